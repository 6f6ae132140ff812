#!/usr/bin/env python3
"""What membership costs a node, by the number of nodes: real clusters of several sizes on this machine, at
rest. Adds a line for each to results/scale.csv and draws it again (plot.py). Needs root.

    tests/forty/scale.py [NODES…]        10 40 100 200; many more need more than two processors
"""

import argparse
import csv
import json
import os
import socket
import sys
import time

import plot
import report
from cluster import Cluster

HERE = os.path.dirname(os.path.abspath(__file__))
CSV = os.path.join(HERE, "results", "scale.csv")
COLUMNS = ("nodes", "source", "sent_bytes_s", "packets_s", "processor_percent", "state_kib", "commit", "load")


def at_rest(cluster, settle_s, seconds):
    """Medians over the nodes: bytes and packets sent a second, processor %, KiB shared with no file."""
    cluster.watch(settle_s)
    before = cluster.cost()
    cluster.watch(seconds)
    after = cluster.cost()
    rows = []
    for number, a in before.items():
        b = after[number]
        span = b.at - a.at
        rows.append(((b.sent - a.sent) / span, (b.packets - a.packets) / span,
                     (b.processor - a.processor) / span * 100, b.own))
    return [report.rank(sorted(column), 0.5) for column in zip(*rows)]


def alive_at(name):
    """How many members that node holds for alive."""
    host, port = name.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(b"get_membership_list\r\nquit\r\n")
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    members = json.loads(answer.split(b"\r\n")[1])["members"]
    return sum(member["state"] == "ALIVE" for member in members)


def wait_complete(cluster, nodes, limit):
    """Asked, not read from the logs: they drop lines when hundreds join within a second."""
    end = time.time() + limit
    for name in cluster.names.values():
        while alive_at(name) != nodes:
            if time.time() > end:
                raise RuntimeError(f"{name} knows {alive_at(name)} of {nodes} after {limit} s")
            time.sleep(0.5)


def measure(chosen, nodes, alone_kib):
    cluster = Cluster(chosen.dir, chosen.subnet)
    cluster.down()
    try:
        cluster.up(nodes)
        wait_complete(cluster, nodes, 60 + nodes)
        settle = max(20, nodes) if chosen.settle is None else chosen.settle
        sent, packets, processor, own = at_rest(cluster, settle, chosen.seconds)
    finally:
        cluster.down()
    state = 0 if alone_kib is None else max(0, own - alone_kib)
    return own, {
        "nodes": nodes, "source": "real", "sent_bytes_s": f"{sent:.0f}", "packets_s": f"{packets:.1f}",
        "processor_percent": f"{processor:.3f}", "state_kib": f"{state:.0f}", "commit": report.commit(),
        "load": report.load()}


def record(row):
    exists = os.path.exists(CSV)
    with open(CSV, "a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not exists:
            writer.writeheader()
        writer.writerow(row)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nodes", nargs="*", type=int, default=[10, 40, 100, 200])
    parser.add_argument("--subnet", default="10.79")
    parser.add_argument("--dir", default=f"/tmp/dht-scale-{os.getuid()}")
    parser.add_argument("--settle", type=int,
                        help="seconds from all know all to the measurement (20, at least one a node: until all is told)")
    parser.add_argument("--seconds", type=int, default=60)
    chosen = parser.parse_args()
    # A node alone knows nobody: what it takes less is not the membership's.
    alone, _ = measure(chosen, 1, None)
    for nodes in chosen.nodes:
        began = time.time()
        _, row = measure(chosen, nodes, alone)
        print(f"# {time.time() - began:.0f} s: {row}", flush=True)
        record(row)
    plot.draw(CSV, os.path.splitext(CSV)[0] + ".svg")
    plot.tabulate(CSV, os.path.splitext(CSV)[0] + ".md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
