"""Three nodes that keep three copies, beside Redis Cluster, etcd, and memcacheds that keep none; and how fast
a new copy is filled."""

import contextlib
import json
import math
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from measure import GENERATOR_CPU, KVCLI, Rounds, bench, note, ratio_cell
from servers import (etcd_leader, make_redis_cluster, running, free_port, start_dht, start_etcd, start_memcached,
                     start_redis_node, wait_founded)

RIVALS = os.environ.get("RIVALS", "build/bench/rivals")
KEYS, QUICK_KEYS, VALUE_BYTES = 100_000, 5_000, 100
RESYNC_ITEMS, RESYNC_QUICK_ITEMS = 1_000_000, 20_000
RESYNC_LIMIT_S = 600
REFUSED = 4  # kvcli bench's exit code if a request was


def names(servers):
    return ",".join(f"127.0.0.1:{server.port}" for server in servers)


def generate(command, servers):
    """One run of a load generator; its JSON."""
    command = [*command, "--pid", ",".join(str(server.process.pid) for server in servers)]
    if os.cpu_count() > 1:
        command = ["taskset", "-c", str(GENERATOR_CPU), *command]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout.decode()}")
    return json.loads(done.stdout)


class Systems:
    """All of them, running side by side; each has a function that makes one run of a load."""

    def __init__(self, args, folder, stack):
        def together(*starts):
            return stack.enter_context(running(*starts))

        self.keys = QUICK_KEYS if args.quick else KEYS
        ports = [free_port() for _ in range(3)]
        self.dht = together(*(lambda port=port: start_dht(folder, port, ports) for port in ports))
        wait_founded(self.dht)
        self.alone = together(*(lambda: start_dht(folder) for _ in range(3)))
        self.memcached = together(*(lambda: start_memcached(folder) for _ in range(3)))
        self.redis = together(*(lambda: start_redis_node(folder) for _ in range(9)))
        make_redis_cluster(self.redis, 3)
        memory = stack.enter_context(memory_folder())
        self.etcd = together(*start_etcd(memory, 3))
        self.leader = etcd_leader(self.etcd)

    def fill(self):
        """Stores every key where it is asked for: those that keep no copies, each alone, are asked for any."""
        load = ["--fill", "--clients", "50", "--pipeline", "32", "--get-ratio", "0", "--requests", "1"]
        self.run("dht", load)
        for server in [*self.alone, *self.memcached]:
            self.kvcli([server], *load)

    def kvcli(self, servers, *options):
        run = generate([KVCLI, "bench", "-s", names(servers), "--json", "--keys", str(self.keys),
                        "--value-size", str(VALUE_BYTES), *options], servers)
        if run["misses"] > 0:
            sys.exit(f"{run['misses']} of {run['operations']} keys are not on {names(servers)}")
        return run

    def rivals(self, kind, asked, servers, *options):
        return generate([RIVALS, kind, names(asked), "--keys", str(self.keys), "--value-size", str(VALUE_BYTES),
                         *options], servers)

    def run(self, name, load):
        """One run; load: options that all generators know."""
        if name == "dht":
            return self.kvcli(self.dht, "--ring", *load)
        if name == "dht, any node":
            return self.kvcli(self.dht, *load)
        if name == "dht, one copy":
            return self.kvcli(self.alone, *load)
        if name == "memcached":
            return self.kvcli(self.memcached, *load)
        ratio = load.index("--get-ratio")
        load = load[:ratio] + load[ratio + 2:] + (["--get"] if load[ratio + 1] == "1" else [])
        if name.startswith("redis"):
            each = ["--wait-each"] if name == REDIS_WAITS_EACH else []
            return self.rivals("redis", self.redis[:3], self.redis, *load, *each)
        return self.rivals("etcd", [self.leader], self.etcd, *load)


def memory_folder():
    """A folder in memory, as what is measured is no disk."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)


REDIS_WAITS_EACH = "redis, a WAIT for each set"
# Told below the table.
WAITS = """\
Sets 32 at a time: each answer of dht says that two copies have the set. Redis's OK says that the master has it; as
much as dht says is only known by a WAIT 1 behind each SET. That is the unpipelined rows' pair of commands, pipelined,
and what the target of 7 is held to: the prototype that it was taken from reached 14, where one copy alone cannot
reach 14 times the other row. In that row, `redis`, one WAIT 1 follows 32 SETs: the cheapest use of Redis that ends
with as much said, but says it of none before all are done, and of no single one where it fails."""

# what, options, system: (which of dht's runs it is held to, least ratio of operations per CPU second)
LOADS = (
    ("set, 50 connections", "--clients 50 --get-ratio 0",
     {"redis": ("dht", 1.7), "memcached": ("dht", 0.6), "etcd": ("dht", 10), "dht, any node": (None, None)}),
    ("set, 200 connections", "--clients 200 --get-ratio 0", {"redis": ("dht", 1.8), "memcached": ("dht", None)}),
    ("set, 50 connections, 32 at a time", "--clients 50 --pipeline 32 --get-ratio 0",
     {"redis": ("dht", 7), REDIS_WAITS_EACH: ("dht", 7), "memcached": ("dht", None)}),
    ("get, 50 connections", "--clients 50 --get-ratio 1", {"dht, one copy": ("dht", 1 / 1.5), "etcd": ("dht", 5)}),
)


def rows_of(title, rounds, targets):
    lines = [f"| {title} | dht | {' | '.join(rounds.cells('dht'))} | | |"]
    for name, (held, target) in targets.items():
        if held is None:
            lines.append(f"| | {name} | {' | '.join(rounds.cells(name))} | | |")
            ratio = rounds.per_cpu(name) / rounds.per_cpu("redis")
            lines.append(f"| | {name} ÷ redis | | | | | {' | '.join(ratio_cell(ratio, 1.1))} |")
            continue
        ratio = rounds.per_cpu(held) / rounds.per_cpu(name)
        cells = ratio_cell(ratio, target)
        if name == "dht, one copy":
            cells = ratio_cell(1 / ratio, 1.5, is_at_most=True)
            cells = (f"CPU × {cells[0]}", cells[1])
        lines.append(f"| | {name} | {' | '.join(rounds.cells(name))} | {' | '.join(cells)} |")
    if "redis" in targets:
        p99 = [rounds.median(name, lambda run: run["latency_us"]["p99"]) for name in ("dht", "redis")]
        cells = ratio_cell(p99[0] / p99[1], 1, is_at_most=True)
        lines.append(f"| | p99 ÷ redis's | | | | | {' | '.join(cells)} |")
    return lines


def cluster_table(args, folder):
    """Sets and gets on three copies. All systems run all the time and take turns."""
    lines = ["| three nodes, three copies | system | operations per CPU s of all its processes | operations/s | "
             "p99 µs | generator CPU | dht ÷ it | wanted |", "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    timing = ["--duration", str(args.seconds), "--warm-up", str(args.seconds / 5)]
    with contextlib.ExitStack() as stack:
        systems = Systems(args, folder, stack)
        note("cluster: fill")
        systems.fill()
        systems.run("etcd", ["--clients", "50", "--get-ratio", "0", "--duration", "20" if not args.quick else "1"])
        for title, options, targets in LOADS:
            rounds = Rounds()
            for number in range(args.rounds):
                for name in ("dht", *targets):
                    note(f"cluster: {title}: {name}, {number + 1} of {args.rounds}")
                    rounds.add(name, systems.run(name, [*options.split(), *timing]))
            lines += rows_of(title, rounds, targets)
    return [*lines, "", WAITS]


# ---- a new copy --------------------------------------------------------------------------------------------


CLIENTS = ["--get-ratio", "0.5", "--rate", "2000", "--duration", "4"]


class Clients:
    """Clients as there are before and meanwhile, begun: the same load from the same processor."""

    def __init__(self, server, options, folder):
        self.latencies = pathlib.Path(folder, "latencies")
        pin = ["taskset", "-c", str(GENERATOR_CPU)] if os.cpu_count() > 1 else []
        self.process = subprocess.Popen(
            [*pin, KVCLI, "bench", "-s", f"127.0.0.1:{server.port}", "--json", "--latencies", self.latencies,
             *options, *CLIENTS], stdout=subprocess.PIPE)

    def outcome(self):
        """What they were told. Refusals are counted: a view may end while a write is under way. Nothing may
        be wrong or lost."""
        told = self.process.communicate()[0]
        result = json.loads(told) if self.process.returncode in (0, REFUSED) else {}
        if not result or result["wrong"] + result["lost"] > 0:
            sys.exit(f"{self.process.args}: exit {self.process.returncode}\n{told.decode()}")
        rows = (line.split() for line in self.latencies.read_text().splitlines())
        return Outcome(result["requests"], result["refused"],
                       sorted((int(due) / 1e9, int(latency) / 1e3) for due, latency in rows))


class Outcome:
    """How many requests, and of them refused; and of each when it was due, on time.monotonic's clock, and its
    latency in us."""

    def __init__(self, requests, refused, latencies):
        self.requests, self.refused, self.latencies = requests, refused, latencies
        self.began = latencies[0][0]

    def p99(self, first=-math.inf, last=math.inf):
        """Of those that were due from first on, and before last."""
        chosen = sorted(latency for due, latency in self.latencies if first <= due < last)
        return chosen[math.ceil(0.99 * len(chosen)) - 1] if chosen else math.nan


class Watch:
    """How many items a node has, asked over one connection: to start a program for each question would keep a
    processor busy for milliseconds, which clients would be told of as the server's."""

    def __init__(self, server):
        limit = time.monotonic() + RESYNC_LIMIT_S
        while True:
            try:
                self.connection = socket.create_connection(("127.0.0.1", server.port), timeout=RESYNC_LIMIT_S)
                return
            except ConnectionRefusedError:  # it does not listen yet
                if time.monotonic() > limit:
                    raise
                time.sleep(0.005)

    def items(self):
        self.connection.sendall(b"stats\r\n")
        told = b""
        while not told.endswith(b"END\r\n"):
            part = self.connection.recv(65536)
            if not part:
                sys.exit("a node has closed the connection that it is watched by")
            told += part
        return int(told.split(b"STAT curr_items ")[1].split()[0])

    def until(self, items, pause_s):
        """When it has so many; and when it was last seen to have fewer."""
        before = began = time.monotonic()
        while (have := self.items()) < items:
            before = time.monotonic()
            if before > began + RESYNC_LIMIT_S:
                sys.exit(f"the third node has {have} of {items} items after {RESYNC_LIMIT_S} s")
            time.sleep(pause_s)
        return time.monotonic(), before


def resync_once(folder, items, options):
    """Three nodes with so many items; one is killed and started again, empty. Items a second from the first to the
    last, how long the first took to come; p99 meanwhile, and over all the 4 s from the node's start on, and both in
    as much of 4 s before."""
    ports = [free_port() for _ in range(3)]
    starts = [lambda port=port: start_dht(folder, port, ports, is_pinned=False) for port in ports]
    with running(*starts) as servers:
        wait_founded(servers)
        bench(servers[0], [*options, "--pipeline", "32", "--fill", "--requests", "1", "--get-ratio", "1"])
        quiet = Clients(servers[0], options, folder).outcome()
        servers[2].process.kill()
        servers[2].process.wait()
        time.sleep(1)
        began = time.monotonic()
        with running(starts[2]) as (again,):
            clients = Clients(servers[0], options, folder)
            watch = Watch(again)
            first, _ = watch.until(1, 0.005)
            last, not_yet = watch.until(items, 0.02)
            told = clients.outcome()
            shift = quiet.began - told.began
            return {"rate": items / (last - first), "joined": (first - began) * 1000,
                    "filling": told.p99(first, not_yet), "not filling": quiet.p99(first + shift, not_yet + shift),
                    "joining": told.p99(), "not joining": quiet.p99(),
                    "refused": told.refused, "requests": told.requests}


def sets_once(folder, args, options):
    """Pipelined sets a second into one node that is alone."""
    with running(lambda: start_dht(folder, is_pinned=False)) as (alone,):
        sets = bench(alone, [*options, "--pipeline", "32", "--get-ratio", "0", "--duration", str(args.seconds)])
    return sets["operations_per_second"]


def resync_rows(title, sets_per_s, runs):
    def median(value):
        return statistics.median(value(run) for run in runs)

    def p99_row(what, meanwhile, quiet, target):
        ratio = ratio_cell(median(lambda run: run[meanwhile] / run[quiet]), target, is_at_most=True)
        return (f"| {title}: p99 µs of 2,000 requests/s {what}, ÷ quiet ({median(lambda run: run[quiet]):,.0f}) | "
                f"{median(lambda run: run[meanwhile]):,.0f} | {' | '.join(ratio)} |")

    rate = median(lambda run: run["rate"])
    return [f"| {title}: items/s, ÷ pipelined sets into one node ({sets_per_s:,.0f}/s) | {rate:,.0f} | "
            f"{' | '.join(ratio_cell(rate / sets_per_s, 0.5))} |",
            p99_row("from the first item to the last", "filling", "not filling", 2),
            p99_row("in the 4 s from the node's start, its join and its taking its place among them", "joining",
                    "not joining", None),
            f"| {title}: ms from the node's start to its first item | "
            f"{median(lambda run: run['joined']):,.0f} | | |",
            f"| {title}: of {sum(run['requests'] for run in runs):,} requests refused or of unknown outcome | "
            f"{sum(run['refused'] for run in runs)} | | |"]


def resync_table(args, folder):
    """How fast a new copy is filled, and what clients feel of it. All nodes share all processors, with the
    clients on one of them.

    What is wanted of the p99 is wanted of the re-replication: of the requests that were due while items came, which
    is also what the rate is of. Before, the node joins, and afterwards takes its place: that is two views or three,
    as wherever a node comes or goes, with or without items, and each holds up all requests for some milliseconds.
    They are no part of the first p99 and are told by the second, of the 4 s that begin with the node's start, of
    which no bound is given: it says as much of how long one looks as of the views. Each p99 is held to that of as
    much of 4 s before, from the same moment of the load on. The last look that found items missing ends the
    re-replication, so that nothing of the view that follows it counts as a part.

    Each view is written to disk three times at each node, which does nothing else meanwhile; in the second group of
    rows the state files are in memory, which shows the rest."""
    items = RESYNC_QUICK_ITEMS if args.quick else RESYNC_ITEMS
    options = ["--keys", str(items), "--value-size", str(VALUE_BYTES)]
    sets, on_disk, in_memory = [], [], []
    for number in range(args.rounds):
        note(f"resync: {number + 1} of {args.rounds}")
        sets.append(sets_once(folder, args, options))
        on_disk.append(resync_once(folder, items, options))
        with memory_folder() as memory:
            in_memory.append(resync_once(memory, items, options))
    sets_per_s = statistics.median(sets)
    return [f"| {items:,} items to a new copy, nodes on all processors | | | wanted |", "| --- | ---: | ---: | --- |",
            *resync_rows("state files on disk", sets_per_s, on_disk),
            *resync_rows("in memory", sets_per_s, in_memory)]
