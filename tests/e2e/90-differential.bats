#!/usr/bin/env bats
# The same generated commands to memcached and to us: every answer alike (tests/diff).
#
# DIFF_COUNT=1000000 for the long run.

load helpers

setup() { export DHT_SERVER=$BIN/dht-server; }

count=${DIFF_COUNT:-50000}

# shows COMMAND…: its whole output only if it fails, else where to repeat it.
shows() {
    run "$@"
    if [ "$status" -ne 0 ]; then
        echo "$output"
        return 1
    fi
    printf '# %s\n# %s\n' "${lines[0]}" "${lines[-1]}" >&3
}

differential() {
    shows "$repository/tests/diff/run.sh" "$@" --shrink 15
}

@test "memcached against memcached: the harness sees no difference" {
    differential 20000 1 --self
}

@test "falsified answers of each kind are seen" {
    local way
    for way in value outcome error lost extra stale cas ttl flags; do
        run "$repository/tests/diff/run.sh" 20000 3 --self --tamper "$way" --shrink 0
        [ "$status" -eq 1 ] || { echo "not seen: $way"; false; }
        [[ $output == *DIFFERENCE* ]]
    done
}

@test "one node answers a fixed sequence as memcached does" {
    differential "$count" 20240611
}

@test "one node answers a new sequence as memcached does" {
    differential 20000 fresh
}

@test "one of three nodes answers a fixed sequence as memcached does" {
    differential "$count" 20240612 --nodes 3
}

@test "one of three nodes answers a new sequence as memcached does" {
    differential 20000 fresh --nodes 3
}
