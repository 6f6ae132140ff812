"""The table of a measurement, in Markdown, and whether it is within bounds."""

import os
import platform
import subprocess


def number(value, unit):
    if unit == "s":
        return f"{value:.3f}" if value < 1 else f"{value:.2f}"
    if value == int(value):
        return str(int(value))
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def rank(ordered, share):
    """The smallest value that at least that share of them does not exceed."""
    at = -(-len(ordered) * share // 1)
    return ordered[max(0, int(at) - 1)]


def figures(line):
    """median / p90 / max; n"""
    ordered = sorted(line.values)
    if not ordered:
        return "none"
    unit = line.unit
    if len(ordered) == 1:
        text = number(ordered[0], unit)
    else:
        text = " / ".join(number(value, unit) for value in (line.median(), rank(ordered, 0.9), ordered[-1]))
    text += f" {unit}" if unit else ""
    text += f" ({len(ordered)})"
    return text + (f", {line.missing} missing" if line.missing else "")


def with_unit(text, unit):
    if text is None:
        return ""
    return f"{text} {unit}" if text[0].isdigit() and text[-1].isdigit() and unit else text


def table(lines):
    yield "| scenario | median / p90 / max (n) | Serf 0.9.4 | wanted |"
    yield "| --- | --- | --- | --- |"
    for line in lines:
        yield f"| {line.name} | {figures(line)} | {with_unit(line.serf, line.unit)} | {with_unit(line.target, line.unit)} |"


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False,
                          cwd=os.path.dirname(os.path.abspath(__file__)))
    return done.stdout.strip() or "unknown"


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def machine():
    return f"{os.cpu_count()} processors ({processor()}), Linux {platform.release()}"


def load():
    return "%.1f" % os.getloadavg()[0]
