#!/usr/bin/env bats
# How a cluster begins, once: by a majority of the lines of peers.txt, or by an operator's word; and how it
# comes back when all its nodes have been down.

load helpers

setup() {
    members=()
    make_net
    printf '127.0.0.1:%s\n' "${ports[@]}" >"$BATS_TEST_TMPDIR/peers.txt"
}
teardown() { end_all; }

cluster_id() {
    in_net "$BIN/kvcli" -s "127.0.0.1:$1" --json status | jq -r .cluster_id
}

@test "alone of three a node waits for a second, and says so in every answer and in its log" {
    local waits='SERVER_ERROR not done: waiting for 2 of 3 peers (1 here)\r\n'
    start_member 0
    answers "${ports[0]}" 'set k 0 0 1\r\n1\r\nget k\r\nincr k 1\r\ndelete k\r\nmg k v\r\nflush_all\r\n' \
        "$waits$waits$waits$waits$waits$waits"
    answers "${ports[0]}" 'mn\r\nverbosity 1\r\n' 'MN\r\nOK\r\n'
    ask "${ports[0]}" 'version\r\n' | grep -q ^VERSION
    [ "$(stat_of "${ports[0]}" curr_items)" = 0 ]
    grep 'waiting for 2 of 3 peers (1 here)' "$BATS_TEST_TMPDIR/member0.log" | grep -q -- --form
    run in_net "$BIN/kvcli" -s "127.0.0.1:${ports[0]}" status
    [ "$status" -eq 1 ]
    [[ $output == *'waiting for 2 of 3 peers (1 here)'* ]]

    start_member 2
    wait_until 10 answers "${ports[0]}" 'set k 0 0 1\r\n1\r\n' 'STORED\r\n'
    wait_until 10 answers "${ports[2]}" 'get k\r\n' 'VALUE k 0 1\r\n1\r\nEND\r\n'
    wait_until 20 is_whole "${ports[0]}" 2

    start_member 1
    wait_until 20 is_whole "${ports[1]}" 3
    answers "${ports[1]}" 'get k\r\n' 'VALUE k 0 1\r\n1\r\nEND\r\n'
}

@test "--form founds at once, alone; the others join" {
    start_member 0 --form
    wait_until 10 answers "${ports[0]}" 'set k 0 0 1\r\n1\r\n' 'STORED\r\n'
    local id
    id=$(cluster_id "${ports[0]}")
    start_member 1
    start_member 2
    wait_until 20 is_whole "${ports[2]}" 3
    [ "$(cluster_id "${ports[2]}")" = "$id" ]
    answers "${ports[2]}" 'get k\r\n' 'VALUE k 0 1\r\n1\r\nEND\r\n'
}

@test "--bootstrap-expect counts the first lines only" {
    printf '127.0.0.1:1\n127.0.0.1:2\n' >>"$BATS_TEST_TMPDIR/peers.txt"
    start_member 0 --bootstrap-expect 1
    wait_until 10 answers "${ports[0]}" 'set k 0 0 1\r\n1\r\n' 'STORED\r\n'
}

@test "who stands in no line of its own list never founds" {
    printf '127.0.0.1:%s\n' "${ports[1]}" >"$BATS_TEST_TMPDIR/peers.txt"
    start_member 0
    run ask "${ports[0]}" 'get k\r\n'
    [[ $output == 'SERVER_ERROR not done: waiting for a cluster to join'* ]]
    start_member 1
    wait_until 20 is_whole "${ports[0]}" 2
}

@test "two lists that do not agree found nothing, and both say so" {
    start_member 0
    printf '127.0.0.1:%s\n' "${ports[0]}" "${ports[1]}" 1 >"$BATS_TEST_TMPDIR/peers.txt"
    start_member 1
    wait_until 10 grep -q 'peers.txt' <(grep -E ' (warn|error) ' "$BATS_TEST_TMPDIR/member0.log")
    wait_until 10 grep -q 'peers.txt' <(grep -E ' (warn|error) ' "$BATS_TEST_TMPDIR/member1.log")
    run ask "${ports[0]}" 'get k\r\n'
    [[ $output == 'SERVER_ERROR not done: '* ]]
    run ask "${ports[1]}" 'get k\r\n'
    [[ $output == 'SERVER_ERROR not done: '* ]]
}

@test "all killed at once come back as the same cluster, empty, and say so; one alone does not" {
    local index id
    for index in 0 1 2; do
        start_member "$index"
    done
    wait_until 20 is_whole "${ports[0]}" 3
    id=$(cluster_id "${ports[0]}")
    answers "${ports[0]}" 'set k 0 0 1\r\n1\r\n' 'STORED\r\n'
    kill -KILL "${members[@]}"
    for index in 0 1 2; do
        ended_within 5 "${members[$index]}"
    done
    start_member 0
    run ask "${ports[0]}" 'get k\r\n'
    [[ $output == 'SERVER_ERROR not done: '* ]]
    start_member 1
    start_member 2
    wait_until 30 is_whole "${ports[0]}" 3
    [ "$(cluster_id "${ports[0]}")" = "$id" ]
    answers "${ports[0]}" 'get k\r\nset k 0 0 1\r\n2\r\nget k\r\n' 'END\r\nSTORED\r\nVALUE k 0 1\r\n2\r\nEND\r\n'
    grep -hE ' (warn|error) ' "$BATS_TEST_TMPDIR"/member?.log | grep -qiE 'los[st]'
}

@test "a founder that restarts empty, its list naming itself alone, joins what it founded" {
    printf '127.0.0.1:%s\n' "${ports[0]}" >"$BATS_TEST_TMPDIR/peers.txt"
    local index id
    for index in 0 1 2; do
        start_member "$index"
    done
    wait_until 20 is_whole "${ports[0]}" 3
    id=$(cluster_id "${ports[0]}")
    answers "${ports[0]}" 'set k 0 0 1\r\n1\r\n' 'STORED\r\n'
    kill -KILL "${members[0]}"
    ended_within 5 "${members[0]}"
    start_member 0
    wait_until 20 is_whole "${ports[0]}" 3
    [ "$(cluster_id "${ports[0]}")" = "$id" ]
    answers "${ports[0]}" 'get k\r\n' 'VALUE k 0 1\r\n1\r\nEND\r\n'
}

@test "two clusters that were founded apart refuse each other, and both say so" {
    printf '127.0.0.1:%s\n' "${ports[0]}" >"$BATS_TEST_TMPDIR/peers.txt"
    start_member 0
    printf '127.0.0.1:%s\n' "${ports[1]}" >"$BATS_TEST_TMPDIR/peers.txt"
    start_member 1
    wait_until 10 answers "${ports[0]}" 'set k 0 0 1\r\n1\r\n' 'STORED\r\n'
    wait_until 10 answers "${ports[1]}" 'set k 0 0 1\r\n2\r\n' 'STORED\r\n'
    printf '127.0.0.1:%s\n' "${ports[@]}" >"$BATS_TEST_TMPDIR/peers.txt"
    kill -HUP "${members[1]}"
    wait_until 10 grep -qE ' (peer-refused|refused-by-peer) .*cluster' "$BATS_TEST_TMPDIR/member0.log"
    wait_until 10 grep -qE ' (peer-refused|refused-by-peer) .*cluster' "$BATS_TEST_TMPDIR/member1.log"
    [ "$(cluster_id "${ports[0]}")" != "$(cluster_id "${ports[1]}")" ]
    answers "${ports[0]}" 'get k\r\n' 'VALUE k 0 1\r\n1\r\nEND\r\n'
    answers "${ports[1]}" 'get k\r\n' 'VALUE k 0 1\r\n2\r\nEND\r\n'
}
