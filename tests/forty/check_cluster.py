#!/usr/bin/env python3
"""What cluster.py makes of logs, tried on written ones: tests/e2e/89-forty.bats runs it."""

import os
import sys
import tempfile

from cluster import Cluster, Log

NAMES = {1: "10.0.0.1:11211", 2: "10.0.0.2:11211", 3: "10.0.0.3:11211"}


def seen_after(lines):
    """The pairs that are not settled once node 1 has logged these lines."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "log")
        with open(path, "w", encoding="utf-8") as file:
            for second, line in enumerate(lines):
                file.write(f"2026-01-01T00:00:{second:02}.000Z info {NAMES[1]} {line}\n")
        cluster = Cluster(folder, "10.0")
        cluster.names = dict(NAMES)
        cluster.pids = {1: 1, 2: 2, 3: 3}
        cluster.logs = {1: Log(path, 1)}
        cluster.read()
        return [name for observer, name in cluster.unsettled() if observer == 1]


BEGIN = "listening address=x"
JOINED = "joined members=2 seeds=2"
EXPECTED = [f"member-expected member={NAMES[number]} boot=1 inc=0" for number in (2, 3)]
CASES = [
    ("nobody is seen at the start", [BEGIN], [NAMES[2], NAMES[3]]),
    ("who joins is seen", [BEGIN, JOINED, f"member-joined member={NAMES[2]} boot=1 inc=0"], [NAMES[3]]),
    ("who is first known from the view is seen",
     [BEGIN, f"member-joined member={NAMES[2]} boot=1 inc=0", JOINED, EXPECTED[1]], []),
    ("who stands in the state file is not seen before somebody has answered", [BEGIN, *EXPECTED],
     [NAMES[2], NAMES[3]]),
    ("and then is", [BEGIN, *EXPECTED, JOINED], []),
    ("unless suspected meanwhile",
     [BEGIN, *EXPECTED, f"member-suspect member={NAMES[2]} boot=1 inc=0", JOINED], [NAMES[2]]),
    ("how many have joined says nothing of who", [BEGIN, "joined members=3 seeds=2"], [NAMES[2], NAMES[3]]),
    ("a new process has seen nobody", [BEGIN, *EXPECTED, JOINED, BEGIN, EXPECTED[0]], [NAMES[2], NAMES[3]]),
]


def main():
    wrong = 0
    for name, lines, expected in CASES:
        found = sorted(seen_after(lines))
        if found != expected:
            print(f"{name}: not seen {found}, expected {expected}")
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
