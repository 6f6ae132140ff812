"""Measures dht-server beside memcached, redis and an echo of the same bytes, interleaved.

Every server runs on CPU 0, the generator (kvcli bench) on CPU 1. A row's servers take turns, round
after round, so that a disturbance hits all of them; medians are printed. The main figure is
operations per second of server CPU. Nothing here fails for being slow: only wrong answers do.

Started by run.sh. Environment: DHT_SERVER, KVCLI, ECHO, OWNED_KEYS name other programs.
"""

import argparse
import contextlib
import datetime
import os
import pathlib
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile

from cluster import cluster_table, resync_table
from measure import GENERATOR_CPU, fill, measure_interleaved, note, ratio_cell
from servers import (SERVER_CPU, START_LIMIT_S, free_port, running, start_dht, start_echo, start_memcached,
                     start_nutcracker, start_redis, wait_founded)

OWNED_KEYS = os.environ.get("OWNED_KEYS", "build/bench/owned_keys")

SMALL = {"keys": 1_000_000, "quick_keys": 20_000, "value": 100}
LARGE = {"keys": 20_000, "quick_keys": 2_000, "value": 10_240}

# name: (what, data, options of kvcli bench, least ratio to memcached, redis, echo)
LOADS = {
    "plain": ("50 connections, 95 % get", SMALL, "--get-ratio 0.95", 1.45, 1.3, 0.85),
    "pipeline-mix": ("pipelined 32, 90 % get", SMALL, "--pipeline 32 --get-ratio 0.9", 8, 2.2, None),
    "pipeline-get": ("pipelined 32, 100 % get", SMALL, "--pipeline 32 --get-ratio 1", 10, 2.5, None),
    "pipeline-set": ("pipelined 32, 100 % set", SMALL, "--pipeline 32 --get-ratio 0", 5, 2.5, None),
    "set": ("50 connections, 100 % set", SMALL, "--get-ratio 0", 1.45, 1.3, None),
    "multiget": ("multiget of 50 keys", SMALL, "--multiget 50 --get-ratio 1", 4, 2.5, None),
    "many": ("5,000 connections, 50 active", SMALL,
             "--clients 5000 --active 50 --get-ratio 0.95", 1.5, 1.3, None),
    "large": ("10 KiB values, 50 % get", LARGE, "--get-ratio 0.5", 1.35, 1.2, None),
}


def load_table(args, names, folder):
    lines = ["| load | server | operations per server CPU s | operations/s | p99 µs | generator CPU "
             "| dht ÷ it | wanted |", "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    for data in (SMALL, LARGE):
        chosen = [name for name in names if LOADS[name][1] is data]
        if not chosen:
            continue
        keys = data["quick_keys"] if args.quick else data["keys"]
        common = ["--keys", str(keys), "--value-size", str(data["value"])]
        with running(lambda: start_dht(folder), lambda: start_memcached(folder),
                     lambda: start_redis(folder),
                     lambda: start_echo(folder, data["value"])) as servers:
            for server in servers:
                fill(server, common)
            for name in chosen:
                title, _, options, *targets = LOADS[name]
                rounds = measure_interleaved(args, name, [
                    (one.name, one, [*common, *options.split()], None) for one in servers])
                lines.append(f"| {title} | dht | {' | '.join(rounds.cells('dht'))} | | |")
                for peer, target in zip(("memcached", "redis", "echo"), targets):
                    ratio = rounds.per_cpu("dht") / rounds.per_cpu(peer)
                    lines.append(f"| | {peer} | {' | '.join(rounds.cells(peer))} | "
                                 f"{' | '.join(ratio_cell(ratio, target))} |")
    return lines


def memory_table(args, folder):
    items = 50_000 if args.quick else 2_000_000
    key_bytes, value_bytes = 32, 100
    overheads = {}
    for start in (start_dht, start_memcached, start_redis):
        with running(lambda start=start: start(folder)) as (server,):
            note(f"memory: {server.name}")
            before = server.resident_bytes()
            fill(server, ["--keys", str(items), "--key-size", str(key_bytes), "--value-size",
                          str(value_bytes)])
            overheads[server.name] = ((server.resident_bytes() - before) / items
                                      - key_bytes - value_bytes)
    lines = [f"| {items:,} items of {key_bytes} B key, {value_bytes} B value | overhead B an item | "
             "dht ÷ it | wanted |", "| --- | ---: | ---: | --- |",
             f"| dht | {overheads['dht']:.1f} | | |"]
    for peer, target in (("memcached", 0.70), ("redis", None)):
        cells = ratio_cell(overheads["dht"] / overheads[peer], target, is_at_most=True)
        lines.append(f"| {peer} | {overheads[peer]:.1f} | {' | '.join(cells)} |")
    return lines


def idle_table(args, folder):
    """Connections that have each had one answer, and then say nothing."""
    count = 500 if args.quick else 10_000
    lines = [f"| {count:,} idle connections | resident B a connection | wanted |",
             "| --- | ---: | --- |"]
    for start, target in ((start_dht, 2048), (start_memcached, None)):
        with running(lambda start=start: start(folder)) as (server,), \
                contextlib.ExitStack() as clients:
            note(f"idle: {server.name}")
            before = server.resident_bytes()
            for _ in range(count):
                client = clients.enter_context(
                    socket.create_connection(("127.0.0.1", server.port), timeout=START_LIMIT_S))
                client.sendall(b"version\r\n")
                if not client.recv(256).startswith(b"VERSION "):
                    sys.exit(f"{server.name}: no version on an idle connection")
            each = (server.resident_bytes() - before) / count
            met = "" if target is None else f"≤ {target} {'met' if each <= target else 'MISSED'}"
            lines.append(f"| {server.name} | {each:,.0f} | {met} |")
    return lines


def start_table(args, folder):
    lines = ["| start | ms to the first answer | wanted |", "| --- | ---: | --- |"]
    for start, target in ((start_dht, 50), (start_memcached, None), (start_redis, None)):
        times = []
        for _ in range(args.rounds):
            with running(lambda start=start: start(folder)) as (server,):
                times.append(server.start_ms)
        value = statistics.median(times)
        met = "" if target is None else f"< {target} {'met' if value < target else 'MISSED'}"
        lines.append(f"| {server.name} | {value:.1f} | {met} |")
    return lines


def forward_table(args, folder):
    """Gets and sets through a node that leads none of the keys: dht's own forwarding, three nodes
    of one peers.txt, beside nutcracker before memcached; then by a client that has learnt the ring from
    that node, beside one that was told which node leads the keys. CPU of all processes together."""
    ports = [free_port() for _ in range(3)]
    starts = [lambda port=port: start_dht(folder, port, ports) for port in ports]
    starts += [lambda: start_memcached(folder)]
    with running(*starts) as servers, \
            running(lambda: start_nutcracker(folder, servers[3].port)) as (proxy,):
        wait_founded(servers[:3])
        keys = pathlib.Path(folder, "keys")
        with keys.open("wb") as out:
            subprocess.run([OWNED_KEYS, str(pathlib.Path(folder, f"peers-{ports[0]}.txt")),
                            f"127.0.0.1:{ports[1]}", "2000" if args.quick else "100000"],
                           stdout=out, check=True)
        options = ["--keys-file", str(keys), "--get-ratio", "0.95"]
        for server in (servers[0], proxy):
            fill(server, options)
        rounds = measure_interleaved(args, "forward", [
            ("dht", servers[0], options, servers[:3]),
            ("nutcracker", proxy, options, [proxy, servers[3]]),
            ("aware", servers[0], [*options, "--ring"], servers[:3]),
            ("local", servers[1], options, servers[:3])])
    ratio = rounds.per_cpu("nutcracker") / rounds.per_cpu("dht")
    aware = rounds.per_cpu("local") / rounds.per_cpu("aware")
    return ["| 95 % get, through a node that does not lead the key | operations per server CPU s | "
            "operations/s | p99 µs | generator CPU | CPU of dht ÷ it | wanted |",
            "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
            f"| dht, three nodes | {' | '.join(rounds.cells('dht'))} | | |",
            f"| nutcracker and memcached | {' | '.join(rounds.cells('nutcracker'))} | "
            f"{' | '.join(ratio_cell(ratio, 0.8, is_at_most=True))} |", "",
            "| the same keys | operations per server CPU s | operations/s | p99 µs | generator CPU | "
            "CPU of the former ÷ it | wanted |",
            "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
            f"| dht, the client has learnt the ring | {' | '.join(rounds.cells('aware'))} | | |",
            f"| dht, asked at the node that leads them | {' | '.join(rounds.cells('local'))} | "
            f"{' | '.join(ratio_cell(aware, 1.1, is_at_most=True))} |"]


OTHERS = {"memory": memory_table, "idle": idle_table, "start": start_table,
          "forward": forward_table, "cluster": cluster_table, "resync": resync_table}


# ---- report ----------------------------------------------------------------------------------------


def output_of(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode().strip()


def commit():
    """The commit measured; + if the programs' sources differ from it."""
    is_changed = output_of("git", "status", "--porcelain", "--", "common", "server", "client")
    return (output_of("git", "rev-parse", "--short", "HEAD") or "unknown") + ("+" * bool(is_changed))


def header(args, measured):
    model = next((line.split(":")[1].strip()
                  for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown")
    congestion = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    redis_version = output_of("redis-server", "--version").split(" sha")[0]
    return [f"# Benchmark of {datetime.date.today()}, commit {measured}", "",
            f"{os.cpu_count()} CPUs, {model}, Linux {os.uname().release}, TCP with {congestion}; "
            f"{output_of('memcached', '--version')} -t 1; {redis_version}. Servers on CPU "
            f"{SERVER_CPU}, generator on CPU {GENERATOR_CPU}; medians of {args.rounds} interleaved "
            f"rounds of {args.seconds:g} s; load average {os.getloadavg()[0]:.1f} at the start."
            + (" Quick run: figures mean nothing." if args.quick else ""), ""]


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh", description=__doc__.split("\n\n")[0])
    parser.add_argument("rows", nargs="*", metavar="ROW",
                        help=f"of {' '.join([*LOADS, *OTHERS])}; all by default")
    parser.add_argument("--quick", action="store_true", help="a smoke run: little data, one round")
    parser.add_argument("--rounds", type=int, help="turns of each server (5)")
    parser.add_argument("--seconds", type=float, help="of each turn (2.5)")
    parser.add_argument("--output", help="file for the report (a new one in tests/bench/results for "
                        "a whole run; none otherwise)")
    args = parser.parse_args()
    args.rounds = args.rounds or (1 if args.quick else 5)
    args.seconds = args.seconds or (0.3 if args.quick else 2.5)
    unknown = [row for row in args.rows if row not in LOADS and row not in OTHERS]
    if unknown:
        parser.error(f"no such row: {' '.join(unknown)}")
    return args


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended
    args = parse_arguments()
    measured = commit()
    if not args.output and not args.rows and not args.quick:
        args.output = f"tests/bench/results/{datetime.date.today()}-{measured}.md"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    rows = args.rows or [*LOADS, *OTHERS]
    lines = header(args, measured)
    with tempfile.TemporaryDirectory() as folder:
        loads = [row for row in rows if row in LOADS]
        if loads:
            lines += load_table(args, loads, folder) + [""]
        for row in rows:
            if row in OTHERS:
                lines += OTHERS[row](args, folder) + [""]
    print("\n".join(lines))
    if args.output:
        pathlib.Path(args.output).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(args.output).write_text("\n".join(lines))


if __name__ == "__main__":
    main()
