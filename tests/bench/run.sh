#!/usr/bin/env bash
# dht-server beside memcached, redis and an echo of the same bytes: builds what the benchmark needs
# besides the programs, then runs it. `tests/bench/run.sh --help` lists rows and options.
set -eu
cd "$(dirname "$0")/../.."

readonly build=build/bench
mkdir -p "$build"
compile() {
    "${CC:-cc}" -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -I. -o "$@"
}
compile "$build/echo" tests/bench/echo.c
compile "$build/owned_keys" tests/bench/owned_keys.c common/*.c -ljansson -lcrypto -lisal -luring
compile "$build/rivals" tests/bench/rivals.c client/bench_cpu.c client/bench_histogram.c common/*.c \
    -ljansson -lcrypto -lisal -luring

ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"
exec /usr/bin/python3 tests/bench/run.py "$@"
