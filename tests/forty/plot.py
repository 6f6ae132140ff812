#!/usr/bin/env python3
"""Draws results/scale.csv: bytes sent a second and memory for the membership, a node, by the number of
nodes. An SVG made by hand, no library needed; and the same figures as a table beside it, FILE.md.

    tests/forty/plot.py [FILE.csv [FILE.svg]]

Columns: nodes, source (real: processes on one machine; sim: build/sim-few --check at-rest --seed 1 --nodes
N), sent_bytes_s, state_kib (real: all memory beyond that of a node alone; sim: accounts and peers only,
without what connections take); others are left alone. Of several lines with the same nodes and source the last counts.
"""

import csv
import math
import os
import sys

WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 34, 44
COLOURS = {"real": "#1f6feb", "sim": "#d1740c", "Serf": "#777777"}
# Serf 0.9.4 at rest, 40 agents, measured in the same way.
SERF = {"sent_bytes_s": (40, 423)}


def read(path):
    """{source: {nodes: {column: value}}}"""
    found = {}
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            values = {key: float(row[key]) for key in ("sent_bytes_s", "state_kib") if row.get(key)}
            found.setdefault(row["source"], {})[int(row["nodes"])] = values
    return found


class Axis:
    """Decades, from the one below the smallest to the one above the largest."""

    def __init__(self, values, low, high):
        self.first = math.floor(math.log10(min(values)))
        self.last = max(self.first + 1, math.ceil(math.log10(max(values))))
        self.low, self.high = low, high

    def place(self, value):
        share = (math.log10(value) - self.first) / (self.last - self.first)
        return self.low + share * (self.high - self.low)

    def ticks(self):
        return [10 ** power for power in range(self.first, self.last + 1)]


def tick_text(value):
    if value >= 1e6:
        return f"{value / 1e6:g} M"
    return f"{value / 1000:g} k" if value >= 1000 else f"{value:g}"


def text(x, y, words, anchor="middle", size=12, extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"{extra}>{words}</text>'


def frame(x_axis, y_axis, offset, title):
    yield text(offset + (LEFT + WIDTH - RIGHT) / 2, 20, title, size=13)
    yield text(offset + (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "nodes")
    for value in x_axis.ticks():
        x = offset + x_axis.place(value)
        yield f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>'
        yield text(x, HEIGHT - BOTTOM + 17, tick_text(value))
    for value in y_axis.ticks():
        y = y_axis.place(value)
        yield f'<path d="M{offset + LEFT} {y:.1f}H{offset + WIDTH - RIGHT}" stroke="#ddd"/>'
        yield text(offset + LEFT - 6, y + 4, tick_text(value), "end")


def series(source, points, x_axis, y_axis, offset):
    colour = COLOURS.get(source, "#000")
    places = [(offset + x_axis.place(nodes), y_axis.place(value)) for nodes, value in sorted(points.items())]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for x, y in places:
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'
    # The name beside the last point, on the side where there is room.
    x, y = places[-1]
    side = "end" if x > offset + WIDTH - 90 else "start"
    yield text(x + (-8 if side == "end" else 8), y - 8, source, side, extra=f' fill="{colour}"')


def panel(found, column, title, offset):
    lines = {source: {nodes: values[column] for nodes, values in rows.items() if values.get(column, 0) > 0}
             for source, rows in found.items()}
    if column in SERF:
        lines["Serf"] = dict([SERF[column]])
    lines = {source: points for source, points in lines.items() if points}
    if not lines:
        return
    x_axis = Axis([nodes for points in lines.values() for nodes in points], LEFT, WIDTH - RIGHT)
    y_axis = Axis([value for points in lines.values() for value in points.values()], HEIGHT - BOTTOM, TOP)
    yield from frame(x_axis, y_axis, offset, title)
    for source, points in lines.items():
        yield from series(source, points, x_axis, y_axis, offset)


def draw(source, target):
    found = read(source)
    body = [*panel(found, "sent_bytes_s", "bytes sent a second, a node at rest", 0),
            *panel(found, "state_kib", "memory for the membership, KiB a node", WIDTH)]
    with open(target, "w", encoding="utf-8") as file:
        file.write("\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" font-family="sans-serif">',
            f'<rect width="{2 * WIDTH}" height="{HEIGHT}" fill="#fff"/>', *body, "</svg>", ""]))
    print(f"# drawn: {os.path.relpath(target)}")


def tabulate(source, target):
    lines = ["# What membership costs a node at rest", "",
             "Drawn in [scale.svg](scale.svg). real: processes on one machine, each in a network namespace; all the memory",
             "they take more than a node alone, where that is anything (a node alone leads every slot). sim: `make sim-few",
             "CHECK=at-rest SEED=1 NODES=N`; accounts and peers alone, without buffers of connections; with 66 bytes of",
             "headers a packet.", "",
             "| nodes | | bytes sent a second | packets sent a second | processor % | memory KiB | commit | load |",
             "| ---: | --- | ---: | ---: | ---: | ---: | --- | ---: |"]
    with open(source, encoding="utf-8", newline="") as file:
        rows = {(row["source"], int(row["nodes"])): row for row in csv.DictReader(file)}
    columns = ("sent_bytes_s", "packets_s", "processor_percent", "state_kib", "commit", "load")
    for (kind, nodes), row in sorted(rows.items(), key=lambda item: (item[0][1], item[0][0])):
        lines.append(f"| {nodes} | {kind} | " + " | ".join(row[column] or "-" for column in columns) + " |")
    lines.append(f"| 40 | Serf 0.9.4 | {SERF['sent_bytes_s'][1]} | 3.8 | 0.18 | - | | |")
    with open(target, "w", encoding="utf-8") as file:
        file.write("\n".join([*lines, ""]))
    print(f"# written: {os.path.relpath(target)}")


if __name__ == "__main__":
    default = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results", "scale.csv")
    csv_path = sys.argv[1] if len(sys.argv) > 1 else default
    draw(csv_path, sys.argv[2] if len(sys.argv) > 2 else os.path.splitext(csv_path)[0] + ".svg")
    tabulate(csv_path, os.path.splitext(csv_path)[0] + ".md")
