#!/usr/bin/env bats
# Answers that do not pass through the node that was asked: the client that knows the ring, and the
# client that gives a return address.

load helpers

setup() { start_cluster; }
teardown() { end_all; }

# key_of PORT: a key that the node on that port leads.
key_of() {
    local i=0
    until [ "$(kvcli where "key$i" --json | jq -r .leader)" = "127.0.0.1:$1" ]; do
        i=$((i + 1))
    done
    echo "key$i"
}

@test "a client that knows the ring asks each key's leader itself" {
    local i p sum=0
    {
        for i in {1..60}; do echo "put k$i value$i"; done
        for i in {1..60}; do echo "get k$i"; done
    } | kvcli repl >"$BATS_TEST_TMPDIR/values"
    cmp "$BATS_TEST_TMPDIR/values" <(printf 'value%d\n' {1..60})
    for p in "${ports[@]}"; do
        [ "$(stat_of "$p" forwards_sent)" -eq 0 ]
        sum=$((sum + $(stat_of "$p" answers_local)))
    done
    [ "$sum" -eq 120 ]
}

@test "a client that knows the ring follows its changes" {
    local key i before
    key=$(key_of "${ports[2]}")
    kvcli put "$key" old
    mkfifo "$BATS_TEST_TMPDIR/commands"
    in_net "$BIN/kvcli" -s "127.0.0.1:$port" -v repl <"$BATS_TEST_TMPDIR/commands" \
        >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
    pids+=($!)
    exec 4>"$BATS_TEST_TMPDIR/commands"
    echo "get $key" >&4
    wait_until 10 grep -q "$key: asked 127.0.0.1:${ports[2]}" "$BATS_TEST_TMPDIR/said"
    kill -KILL "${members[2]}"
    all_have_ring 2 "${ports[0]}" "${ports[1]}"
    for i in {1..5}; do # the first may find the leader gone, or go through another node
        echo "put $key new$i" >&4
        sleep 0.15
    done
    echo "get $key" >&4
    wait_until 10 grep -q '^new5$' "$BATS_TEST_TMPDIR/said"
    before=$(kvcli where "$key" --json | jq -r .leader)
    [ "$(grep "$key: asked" "$BATS_TEST_TMPDIR/said" | tail -n 1)" = "kvcli: $key: asked $before" ]

    start_member 2 # it leads the key again, and the client asks it again
    all_have_ring 3 "${ports[@]}"
    for i in {1..5}; do
        echo "put $key back$i" >&4
        sleep 0.15
    done
    wait_until 10 [ "$(grep -c "$key: asked 127.0.0.1:${ports[2]}" "$BATS_TEST_TMPDIR/said")" -ge 2 ]
    exec 4>&-
}

@test "kvcli --via is answered by the leader, on a connection of the leader's" {
    local key
    key=$(key_of "${ports[1]}")
    run kvcli -v put --via "127.0.0.1:$port" "$key" hello
    [ "$status" -eq 0 ]
    [ "$output" = "kvcli: $key: asked 127.0.0.1:$port, answered directly by another node" ]
    run kvcli -v get --via "127.0.0.1:$port" "$key"
    [ "${lines[0]}" = hello ] || [ "${lines[1]}" = hello ]
    [[ $output == *"asked 127.0.0.1:$port, answered directly by another node"* ]]
    sleep 1 # two calls a second for each client address
    run kvcli del --via "127.0.0.1:$port" "$key"
    [ "$status" -eq 0 ]
    [ "$(stat_of "$port" answers_relayed)" -eq 0 ]
    [ "$(stat_of "$port" forwards_direct)" -eq 3 ]
    [ "$(stat_of "${ports[1]}" answers_direct)" -eq 3 ]
    [ "$(stat_of "${ports[1]}" direct_dials)" -eq 3 ]
}

@test "many keys share one connection of each leader's" {
    local i keys=()
    for i in {1..200}; do keys+=("k$i"); done
    printf 'put %s v\n' "${keys[@]}" | in_net "$BIN/kvcli" repl --via "127.0.0.1:$port"
    run kvcli get --via "127.0.0.1:$port" "${keys[@]}"
    [ "$status" -eq 0 ]
    [ "$(grep -c '^v$' <<<"$output")" -eq 200 ]
    [ "$(stat_of "$port" answers_relayed)" -eq 0 ]
    [ "$(stat_of "${ports[1]}" direct_dials)" -eq 2 ]
    [ "$(stat_of "${ports[2]}" direct_dials)" -eq 2 ]
}

@test "the bytes of a direct answer do not pass through the entry node" {
    [ "$(id -u)" = 0 ] || skip "a capture needs root"
    local key source destination found bytes leader=0 entry=0 from_entry=0
    key=$(key_of "${ports[1]}")
    { printf 'MARKER%.0s' {1..20000}; } | kvcli put "$key"
    start_in_net /usr/bin/python3 -B "$BATS_TEST_DIRNAME/capture.py" "$BATS_TEST_TMPDIR/capture" MARKERMARKER
    local capture=$pid
    wait_until 10 grep -q ready "$BATS_TEST_TMPDIR/capture"
    [ "$(kvcli get --via "127.0.0.1:$port" "$key" | wc -c)" -eq 120000 ]
    kill -TERM "$capture"
    wait "$capture"
    while read -r source destination found bytes; do
        [ "$source" != ready ] || continue
        if [ "$source" = "$port" ] || [ "$destination" = "$port" ]; then
            entry=$((entry + found))
            from_entry=$((from_entry + bytes))
        else
            leader=$((leader + found))
        fi
    done <"$BATS_TEST_TMPDIR/capture"
    [ "$leader" -gt 0 ]
    [ "$entry" -eq 0 ]
    echo "the entry node's connections carried $from_entry bytes"
    [ "$from_entry" -lt 20000 ] # gossip, a request, and "it was answered"
}

@test "a client that does not take calls is answered through the entry node" {
    local key
    key=$(key_of "${ports[1]}")
    kvcli put "$key" v
    answers "$port" "return_port 1023\r\n" 'CLIENT_ERROR return port refused: below 1024\r\n'
    answers "$port" "return_port ${ports[1]}\r\n" 'CLIENT_ERROR return port refused: a node has it\r\n'
    run ask "$port" "return_port 2000\r\nmg $key v O1\r\nmg $key O2\r\n"
    [[ ${lines[0]} == "RETURN_PORT "* ]]
    [[ $output == *$'VA 1 O1\r\nv\r'* ]]
    [[ $output == *$'HD O2\r'* ]]
    [ "$(stat_of "$port" answers_relayed)" -ge 2 ]
    [ "$(stat_of "${ports[1]}" answers_direct)" -eq 0 ]
}

@test "--direct-answers off: everything goes through the entry node" {
    local key index
    for index in 0 1 2; do
        kill -KILL "${members[index]}"
        wait "${members[index]}" || true
    done
    for index in 0 1 2; do
        start_member "$index" --direct-answers off
    done
    wait_until 20 is_whole "$port" 3
    all_have_ring 3 "${ports[@]}"
    key=$(key_of "${ports[1]}")
    answers "$port" 'return_port 2000\r\n' 'SERVER_ERROR direct answers are off\r\n'
    kvcli put --via "127.0.0.1:$port" "$key" v
    [ "$(kvcli get --via "127.0.0.1:$port" "$key")" = v ]
    [ "$(stat_of "$port" answers_relayed)" -eq 2 ]
}
