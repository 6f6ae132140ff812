#!/usr/bin/env python3
"""How long a key whose primary is gone cannot be written: five real nodes, each run one is killed (or its link
goes down), and a client that asks another node notes its first acknowledged write.

    tests/scenes/failover.py [kill] [off] [--runs N]      needs root

Prints a table, and writes it to tests/scenes/results/failover-DATE-COMMIT.md. Exit code 1 if it is above what
is wanted.
"""

import argparse
import os
import selectors
import socket
import sys
import time

import stage

sys.path.insert(0, os.path.join(stage.ROOT, "tests", "forty"))
import report  # noqa: E402

NODES = 5
PROBES = 40             # keys of the lost primary, each written over a connection of its own, again and again
PROBE_GAP_S = 0.002     # between an answer and the next write: so fine is the measurement
LIMIT_S = 30
WANTED = {"kill": ("process killed", 0.7, 1.5), "off": ("machine off (link down)", 2.0, 4.0)}


class Probe:
    """A connection that writes one key through one node."""

    def __init__(self, stage_, key, node):
        host, port = stage_.name(node).rsplit(":", 1)
        self.key = key
        self.socket = socket.create_connection((host, int(port)), timeout=5)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = None        # when the write under way was sent; None: none is
        self.next = 0
        self.acknowledged = None    # when the first write sent after the event was
        self.answers = []
        self.count = 0

    def write(self, now):
        self.count += 1
        value = str(self.count)
        self.sent = now
        self.socket.send(f"set {self.key} 0 0 {len(value)}\r\n{value}\r\n".encode())

    def hear(self, event):
        """Takes an answer."""
        answer = self.socket.recv(4096).decode()
        now = time.time()
        if event and self.sent > event:
            if answer == "STORED\r\n":
                self.acknowledged = self.acknowledged or now
            else:
                self.answers.append(answer.strip())
        elif answer != "STORED\r\n" and not event:
            raise stage.Wrong(f"set {self.key}: {answer!r} before anything happened")
        self.sent = None
        self.next = now + PROBE_GAP_S


def keys_led_by(s, victim):
    keys, number = [], 0
    while len(keys) < PROBES:
        key = f"failover{number}"
        number += 1
        if s.group(key)[0] == victim:
            keys.append(key)
    return keys


def turn(selector, probes, event):
    now = time.time()
    for probe in probes:
        if probe.sent is None and probe.next <= now and not probe.acknowledged:
            probe.write(now)
    for ready, _ in selector.select(PROBE_GAP_S):
        ready.data.hear(event)


def run(s, how, victim):
    """Seconds from the event to the first acknowledged write, of each key."""
    keys = keys_led_by(s, victim)
    others = [number for number in s.numbers() if number != victim]
    probes = [Probe(s, key, others[at % len(others)]) for at, key in enumerate(keys)]
    selector = selectors.DefaultSelector()
    for probe in probes:
        selector.register(probe.socket, selectors.EVENT_READ, probe)
    end = time.time() + 0.5
    while time.time() < end:
        turn(selector, probes, None)
    event = s.off(victim) if how == "off" else s.cluster.signal([victim], 9)
    while not all(probe.acknowledged for probe in probes):
        turn(selector, probes, event)
        if time.time() > event + LIMIT_S:
            raise stage.Wrong(f"no write acknowledged within {LIMIT_S} s: {probes[0].answers[-1:]}")
    for probe in probes:
        probe.socket.close()
    return sorted(probe.acknowledged - event for probe in probes)


def recover(s, how, victim):
    if how == "off":
        s.on(victim)
    else:
        s.cluster.wait_end(victim)
        del s.cluster.pids[victim]
        s.wait_well()
        s.start(victim)
    s.wait_well()


def measure(s, how, runs):
    first, last = [], []
    for at in range(runs):
        victim = s.numbers()[at % NODES]
        took = run(s, how, victim)
        first.append(took[0])
        last.append(took[-1])
        print(f"# {how} {at + 1} of {runs}: first key {took[0]:.3f} s, last of {len(took)} {took[-1]:.3f} s", flush=True)
        recover(s, how, victim)
    return sorted(first), sorted(last)


def table(results):
    yield "| event | first acknowledged write, median / worst (n) | wanted | every one of 40 keys, median / worst |"
    yield "| --- | --- | --- | --- |"
    for how, (first, last) in results.items():
        name, median, worst = WANTED[how]
        yield (f"| {name} | {report.rank(first, 0.5):.3f} / {first[-1]:.3f} s ({len(first)}) | {median} / {worst} s | "
               f"{report.rank(last, 0.5):.3f} / {last[-1]:.3f} s |")


def write(results, loads):
    folder = os.path.join(stage.HERE, "results")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"failover-{time.strftime('%Y-%m-%d')}-{report.commit()}.md")
    command = "tests/scenes/failover.py " + " ".join(sys.argv[1:])
    text = "\n".join([
        f"# Failover on five nodes, {time.strftime('%Y-%m-%d')}, commit {report.commit()}", "",
        f"`{command.strip()}`. {report.machine()}; load {loads[0]} before and {loads[1]} after. Seconds from the event to "
        "the first acknowledged write, sent after it, on keys whose primary was lost, asked for through the four other "
        "nodes all the time.", "", *table(results), ""])
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    print(f"# written to {os.path.relpath(path)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("events", nargs="*", metavar="EVENT", help="kill or off; both without one")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--subnet", default="10.84")
    parser.add_argument("--dir", default=f"/tmp/dht-failover-{os.getuid()}")
    parser.add_argument("--program", default=os.path.join(stage.ROOT, "dht-server"))
    parser.add_argument("--no-record", action="store_true", help="write no file")
    chosen = parser.parse_args()
    chosen.seed, chosen.scale, chosen.loopback, chosen.nodes = 1, 1.0, False, NODES
    if os.geteuid() != 0:
        parser.error("needs root, for network namespaces")
    s = stage.Stage(chosen, print)
    results, loads = {}, [report.load(), ""]
    try:
        s.begin(NODES)
        for how in chosen.events or list(WANTED):
            results[how] = measure(s, how, chosen.runs)
    finally:
        loads[1] = report.load()
        s.end()
    print("\n".join(table(results)))
    if not chosen.no_record:
        write(results, loads)
    missed = [how for how, (first, _) in results.items()
              if report.rank(first, 0.5) > WANTED[how][1] or first[-1] > WANTED[how][2]]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
