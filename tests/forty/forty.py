#!/usr/bin/env python3
"""Forty real nodes on this machine, each in a network namespace of its own, measured as Serf was: see
run.sh. The table goes to standard output and into a file of results/."""

import argparse
import glob
import os
import shutil
import signal
import sys
import time
import traceback

import report
from cluster import Cluster, PROGRAM
from rows import Line, Measurement, ROWS

HERE = os.path.dirname(os.path.abspath(__file__))


def arguments():
    parser = argparse.ArgumentParser(prog="tests/forty/run.sh", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {' '.join(ROWS)}; all without one")
    parser.add_argument("--nodes", type=int, default=40)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the runs and times of the whole table")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the choice of victims")
    parser.add_argument("--subnet", default="10.79", help="first half of the nodes' addresses")
    parser.add_argument("--dir", default=f"/tmp/dht-forty-{os.getuid()}", help="state and logs of the nodes")
    parser.add_argument("--out", help="the file of the table; - for none")
    parser.add_argument("--keep", action="store_true", help="leave the nodes running")
    parser.add_argument("--program", default=PROGRAM, help="another dht-server than that of this folder")
    parser.add_argument("--server", action="append", default=[], metavar="OPTION", help="of dht-server, such as --profile=fast")
    parser.add_argument("--tap", action="store_true", help="a test of each row, held to ten times what is wanted")
    chosen = parser.parse_args()
    unknown = [row for row in chosen.rows if row not in ROWS]
    if unknown:
        parser.error(f"no row {unknown[0]}; there are {' '.join(ROWS)}")
    chosen.rows = chosen.rows or list(ROWS)
    return chosen


def form(cluster, count):
    """All started at once; until all know all."""
    cluster.prepare(count)
    began = min(cluster.start(number) for number in list(cluster.names))
    cluster.settle(60)
    took = max(since for view in cluster.view.values() for _, since in view.values()) - began
    return [Line(f"form: {count} started at once, all know all", [took], "0.94-1.3", None)]


def keep_logs(folder, row):
    """A copy, as a new cluster begins with new logs."""
    kept = f"{folder}-{row}"
    shutil.rmtree(kept, ignore_errors=True)
    os.makedirs(kept)
    for log in glob.glob(os.path.join(folder, "*", "log")):
        number = os.path.basename(os.path.dirname(log))
        shutil.copy(log, os.path.join(kept, f"{number}.log"))
    return kept


def measure(chosen, cluster, say):
    """Rows' names with their lines, or with the error that ended them."""
    say(f"# {chosen.nodes} nodes, seed {chosen.seed}, logs in {chosen.dir}")
    yield "form", form(cluster, chosen.nodes), None
    measurement = Measurement(cluster, chosen.scale, say, chosen.seed)
    for row in chosen.rows:
        start = time.time()
        if not cluster.rest():
            say(f"# {row}: the cluster has not come to rest before it")
        before = report.load()
        try:
            lines, error = ROWS[row](measurement), None
        except (RuntimeError, OSError) as problem:
            lines, error = [], f"{row}: {problem}"
            traceback.print_exc()
        say(f"# {row}: {time.time() - start:.0f} s, load {before} before, {report.load()} after")
        yield row, lines, error
        if error:
            # What one row broke is not to be held against the next.
            cluster.down()
            say(f"# logs kept in {keep_logs(chosen.dir, row)}")
            form(cluster, chosen.nodes)
            measurement.base = sorted(cluster.pids)


def complaints(lines, error):
    found = [line.complaint() for line in lines]
    return [text for text in [error, *found] if text]


def test(number, row, lines, error):
    """A test in TAP."""
    wrong = complaints(lines, error)
    print(f"{'not ' if wrong else ''}ok {number} - forty: {row}")
    for text in wrong:
        print(f"#   {text}")
    for line in lines:
        print(f"# {line.name}: {report.figures(line)}")
    sys.stdout.flush()


def write(path, chosen, lines, loads):
    command = "tests/forty/run.sh " + " ".join(sys.argv[1:])
    text = "\n".join([
        f"# {chosen.nodes} nodes on one machine, {time.strftime('%Y-%m-%d')}, commit {report.commit()}",
        "",
        f"`{command.strip()}`, seed {chosen.seed}. {report.machine()}; load {loads[0]} before and {loads[1]} after"
        " (the nodes' own included). Serf: 0.9.4, LAN profile, 40 agents, measured in the same way before.",
        "Times are seconds from the event to the nodes' log lines.",
        "", *report.table(lines), ""])
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"# written to {os.path.relpath(path)}")


def main():
    chosen = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cluster = Cluster(chosen.dir, chosen.subnet, chosen.program, chosen.server)
    cluster.down()
    lines, failed, loads = [], False, [report.load(), ""]
    if chosen.tap:
        print(f"1..{len(chosen.rows) + 1}")
    try:
        for number, (row, found, error) in enumerate(measure(chosen, cluster, lambda text: print(text, flush=True)), 1):
            lines += found
            failed = failed or bool(complaints(found, error))
            if chosen.tap:
                test(number, row, found, error)
            else:
                for text in complaints(found, error):
                    print(f"# above ten times what is wanted: {text}")
    finally:
        loads[1] = report.load()
        if not chosen.keep:
            cluster.down()
    if not chosen.tap:
        print("\n".join(report.table(lines)))
        if chosen.out != "-":
            write(chosen.out or os.path.join(HERE, "results", f"{time.strftime('%Y-%m-%d')}-{report.commit()}.md"),
                  chosen, lines, loads)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
