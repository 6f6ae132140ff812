"""Runs of the load generator, taken in turns, and their medians."""

import json
import os
import statistics
import subprocess
import sys

KVCLI = os.environ.get("KVCLI", "./kvcli")
GENERATOR_CPU = 1


def bench(server, options, counted=None):
    """One run of the generator; its JSON. A wrong, refused or lost answer ends everything."""
    pids = ",".join(str(one.process.pid) for one in counted or [server])
    command = [KVCLI, "bench", "-s", f"127.0.0.1:{server.port}", "--json", "--pid", pids, *options]
    if server.is_resp:
        command.append("--resp")
    if os.cpu_count() > 1:
        command = ["taskset", "-c", str(GENERATOR_CPU), *command]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout.decode()}")
    return json.loads(done.stdout)


def fill(server, options):
    bench(server, [*options, "--fill", "--requests", "1", "--get-ratio", "1"])


class Rounds:
    """Results of one load: a list of each server's runs, and their medians."""

    def __init__(self):
        self.runs = {}

    def add(self, name, result):
        self.runs.setdefault(name, []).append(result)

    def median(self, name, value):
        return statistics.median(value(run) for run in self.runs[name])

    def per_cpu(self, name):
        return self.median(name, lambda run: run["operations_per_server_cpu_second"])

    def cells(self, name):
        return [f"{self.per_cpu(name):,.0f}",
                f"{self.median(name, lambda run: run['operations_per_second']):,.0f}",
                f"{self.median(name, lambda run: run['latency_us']['p99']):,.0f}",
                "{:.0f} %".format(100 * self.median(
                    name, lambda run: run["generator_cpu_seconds"] / run["seconds"]))]


def note(text):
    print(text, file=sys.stderr, flush=True)


def measure_interleaved(args, title, targets):
    """targets: of (name, server, options, processes counted)."""
    rounds = Rounds()
    timing = ["--duration", str(args.seconds), "--warm-up", str(args.seconds / 5)]
    for number in range(args.rounds):
        for name, server, options, counted in targets:
            note(f"{title}: {name}, {number + 1} of {args.rounds}")
            rounds.add(name, bench(server, [*options, *timing], counted))
    return rounds


def ratio_cell(ratio, target, is_at_most=False):
    if target is None:
        return f"{ratio:.2f}", ""
    is_met = ratio <= target if is_at_most else ratio >= target
    sign = "≤" if is_at_most else "≥"
    return f"{ratio:.2f}", f"{sign} {target:g} {'met' if is_met else 'MISSED'}"
