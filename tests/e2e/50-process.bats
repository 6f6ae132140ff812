#!/usr/bin/env bats
# Starting and ending: one line that says what and where, and the exit code.

load helpers

setup() { printf '127.0.0.1:%s\n' "$(free_ports 1)" >"$BATS_TEST_TMPDIR/peers.txt"; }
teardown() { end_all; }

@test "no arguments at all is a usage error" {
    run timeout 10 "$BIN/dht-server"
    [ "$status" -eq 2 ]
}

@test "a bad option is named, exit 2" {
    refuses 2 '--nonsense' "$BATS_TEST_TMPDIR/peers.txt" 0 --nonsense
}

@test "an option's bad value is named, exit 2" {
    refuses 2 'memory' "$BATS_TEST_TMPDIR/peers.txt" 0 -m lots
}

@test "a bad port is named, exit 2" {
    refuses 2 '70000' "$BATS_TEST_TMPDIR/peers.txt" 70000
}

@test "a missing peers.txt is named, exit 2 or 1" {
    run timeout 10 "$BIN/dht-server" "$BATS_TEST_TMPDIR/none.txt" 0
    [ "$status" -eq 2 ] || [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ $output == *none.txt* ]]
}

@test "a bad line of peers.txt is named with file, line and reason, exit 2" {
    printf '# nodes\n127.0.0.1:7001\nnonsense\n' >"$BATS_TEST_TMPDIR/peers.txt"
    refuses 2 'peers.txt:( line )?3: nonsense' "$BATS_TEST_TMPDIR/peers.txt" 0
}

@test "two lines of one name are an error, exit 2" {
    printf '127.0.0.1:7001\n127.0.0.1:7002\n127.0.0.1:7001\n' >"$BATS_TEST_TMPDIR/peers.txt"
    refuses 2 'peers.txt:( line )?3: 127.0.0.1:7001' "$BATS_TEST_TMPDIR/peers.txt" 7001
}

@test "comments, blank lines and a missing final newline are fine" {
    local own
    own=$(free_ports 1)
    printf '# nodes\n\n127.0.0.1:%s # me\n[::1]:7001' "$own" >"$BATS_TEST_TMPDIR/peers.txt"
    start_server node "$BATS_TEST_TMPDIR/peers.txt" "$own"
    wait_listening node
    [ "$port" = "$own" ]
}

@test "port and peers.txt may stand in either order" {
    local own
    own=$(free_ports 1)
    printf '127.0.0.1:%s\n' "$own" >"$BATS_TEST_TMPDIR/peers.txt"
    start_server node "$own" "$BATS_TEST_TMPDIR/peers.txt"
    wait_listening node
    [ "$port" = "$own" ]
}

@test "a port in use is named, exit 1" {
    start_node
    refuses 1 "$port" "$BATS_TEST_TMPDIR/peers.txt" "$port"
}

@test "SIGTERM ends the server with exit code 0" {
    start_node
    kill -TERM "$pid"
    ended_within 5 "$pid"
    [ "$status" -eq 0 ]
}

@test "SIGINT ends the server with exit code 0" {
    start_node
    kill -INT "$pid"
    ended_within 5 "$pid"
    [ "$status" -eq 0 ]
}

@test "SIGTERM: what was received is answered in full before the end" {
    start_node
    wire terminate "$port" "$pid" 100
    ended_within 5 "$pid"
    [ "$status" -eq 0 ]
}

@test "the first answer comes within 50 ms of the start" {
    # The limit is generous for a busy machine; the benchmark measures.
    local begin end
    begin=$(date +%s%N)
    start_node
    end=$(date +%s%N)
    [ $(((end - begin) / 1000000)) -lt 1000 ]
}

@test "--print-config shows options from file, environment and command line, the later over the former" {
    printf 'memory = 200m\nconnections = 50\n' >"$BATS_TEST_TMPDIR/dht.conf"
    DHT_CONNECTIONS=60 run "$BIN/dht-server" "$BATS_TEST_TMPDIR/peers.txt" 0 --config "$BATS_TEST_TMPDIR/dht.conf" -m 300m --print-config
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output =~ memory[^$'\n']*300 ]]
    [[ $output =~ connections[^$'\n']*60 ]]
}

@test "an unknown key of the configuration file is an error, exit 2" {
    printf 'nonsense = 1\n' >"$BATS_TEST_TMPDIR/dht.conf"
    refuses 2 'nonsense' "$BATS_TEST_TMPDIR/peers.txt" 0 --config "$BATS_TEST_TMPDIR/dht.conf"
}

@test "with --plain-calls, or where the kernel has no io_uring, each read and send is a call of its own" {
    start_node --plain-calls
    grep -q ' calls together=no' "$BATS_TEST_TMPDIR/node.log"
    answers "$port" 'set a 0 0 1\r\n1\r\nget a\r\n' 'STORED\r\nVALUE a 0 1\r\n1\r\nEND\r\n'
    "$BIN/kvcli" bench -s "127.0.0.1:$port" --fill --keys 100 --requests 2000 --pid "$pid" \
        --latencies "$BATS_TEST_TMPDIR/latencies" >/dev/null
    [ "$(grep -cE '^[0-9]+ [0-9]+$' "$BATS_TEST_TMPDIR/latencies")" -eq 2000 ]
    run "$BIN/kvcli" bench -s "127.0.0.1:$port" --keys 100 --requests 10 --latencies "$BATS_TEST_TMPDIR/none/latencies"
    [ "$status" -eq 2 ]
    [[ $output == *'none/latencies: No such file or directory' ]]
}
