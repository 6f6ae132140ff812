#!/usr/bin/env python3
"""Real nodes die, stop, hang, come and go, and what must hold is looked at: see run.sh."""

import argparse
import os
import signal
import subprocess
import sys
import time
import traceback

import stage
from scenes import SCENES, sentence

sys.path.insert(0, os.path.join(stage.ROOT, "tests", "forty"))
import report  # noqa: E402


class Record:
    """What a run has shown, as a section of a file of results."""

    def __init__(self, path, seed):
        self.path = path
        self.seed = seed
        self.began = time.gmtime()
        self.load = report.load()
        self.rows = []
        self.said = []

    def say(self, text):
        self.said.append(text)
        print(f"# {text}", flush=True)

    def scene_over(self, name, verdict, seconds):
        told = "; ".join(self.said).replace("|", "\\|")
        self.rows.append(f"| {name} | {verdict} | {seconds:.0f} | {told} |")
        self.said.clear()

    def write(self, whole):
        is_new = not os.path.exists(self.path)
        with open(self.path, "a", encoding="utf-8") as file:
            if is_new:
                file.write(f"# Scenes with real nodes, {time.strftime('%Y-%m-%d', self.began)}\n\n{report.machine()}. "
                           "What each scene asks: `tests/scenes/run.sh --list`.\n")
            end = time.strftime("%H:%M:%S", time.gmtime())
            file.write(f"\n## {'All scenes' if whole else 'Some scenes'}, commit {report.commit()}, "
                       f"{time.strftime('%H:%M:%S', self.began)} to {end} UTC\n\n"
                       f"Seed {self.seed}; load of the machine {self.load} before, {report.load()} after.\n\n"
                       "| scene | verdict | seconds | told |\n| --- | --- | --- | --- |\n")
            file.write("\n".join(self.rows) + "\n")


def arguments():
    parser = argparse.ArgumentParser(prog="tests/scenes/run.sh", description=__doc__)
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=f"of {' '.join(SCENES)}; all without one")
    parser.add_argument("--list", action="store_true", help="say what each scene shows")
    parser.add_argument("--nodes", type=int, default=10)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rounds and keys of a whole scene")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of what is drawn")
    parser.add_argument("--times", type=int, default=1, help="play each so often")
    parser.add_argument("--loopback", action="store_true", help="no namespaces; needs no root")
    parser.add_argument("--subnet", default="10.83", help="first half of the nodes' addresses")
    parser.add_argument("--dir", default=f"/tmp/dht-scenes-{os.getuid()}", help="state, logs and histories")
    parser.add_argument("--program", default=os.path.join(stage.ROOT, "dht-server"), help="kvcli lies beside it")
    parser.add_argument("--record", metavar="FILE", help="add what came of it to a file of results")
    parser.add_argument("--keep", action="store_true", help="leave the nodes of the last scene running")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.scenes if name not in SCENES]
    if unknown:
        parser.error(f"no scene {unknown[0]}; there are {' '.join(SCENES)}")
    chosen.scenes = chosen.scenes or list(SCENES)
    return chosen


def play(on, name, number, record):
    """Plays one and says how it went, in TAP; whether it held."""
    began = time.time()
    try:
        SCENES[name](on)
        verdict, wrong = "ok", None
    except stage.Skipped as skipped:
        print(f"ok {number} - {name} # SKIP {skipped}", flush=True)
        record.scene_over(name, "skipped", time.time() - began)
        return True
    except stage.Wrong as text:
        verdict, wrong = "not ok", str(text)
    except (RuntimeError, OSError, LookupError, TypeError, ValueError, subprocess.SubprocessError) as text:
        verdict, wrong = "not ok", f"{type(text).__name__}: {text}"
        traceback.print_exc()
    print(f"{verdict} {number} - {name}: {sentence(name)}")
    print(f"# {time.time() - began:.0f} s, seed {on.seed}")
    if wrong:
        print("\n".join(f"#   {line}" for line in wrong.splitlines()))
        print(f"# logs and histories: {on.keep_all(name)}")
        record.said.append(wrong.replace("\n", " "))
    sys.stdout.flush()
    record.scene_over(name, verdict, time.time() - began)
    return verdict == "ok"


def main():
    chosen = arguments()
    if chosen.list:
        for name in SCENES:
            print(f"{name:16} {sentence(name)}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    record = Record(chosen.record, chosen.seed)
    on = stage.Stage(chosen, record.say)
    print(f"1..{len(chosen.scenes) * chosen.times}")
    has_failed, number = False, 0
    try:
        for name in chosen.scenes * chosen.times:
            number += 1
            has_failed = not play(on, name, number, record) or has_failed
        if record.path:
            record.write(chosen.scenes == list(SCENES))
    finally:
        if not chosen.keep:
            on.end()
    return 1 if has_failed else 0


if __name__ == "__main__":
    sys.exit(main())
