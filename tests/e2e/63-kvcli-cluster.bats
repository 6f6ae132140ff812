#!/usr/bin/env bats
# shellcheck disable=SC2030,SC2031,SC2034,SC2154 # tests run apart; ports, pids: of helpers.bash
# What kvcli makes of a cluster: status, where, transfers, the ways out, bench by the ring.

load helpers

setup() { start_cluster; }
teardown() { end_all; }

is_well() { kvcli status >/dev/null; }

@test "status asks every node and says that all is well" {
    wait_until 10 is_well
    run kvcli status
    [ "$status" -eq 0 ]
    [[ ${lines[1]} == --*NODE*GENERATION*ITEMS*BYTES*OWNS*IN*OUT*UP*VERSION ]]
    local p
    for p in "${ports[@]}"; do
        grep -Eq "^UN  127.0.0.1:$p  [0-9a-f]{10} .* 3[0-9]\.[0-9]% " <<<"$output"
    done
    [[ ${lines[5]} == "fully replicated 100.00%, under-replicated 0.00%, unavailable 0.00% (16384, 0 and 0 of 16384 slots)" ]]
    kvcli status --json >"$BATS_TEST_TMPDIR/status"
    [ "$(jq '.well, .fully_replicated, (.nodes | length)' "$BATS_TEST_TMPDIR/status" | tr '\n' ' ')" = 'true 16384 3 ' ]
    [ "$(jq '[.nodes[].led] | add' "$BATS_TEST_TMPDIR/status")" = 16384 ]
}

@test "where asks each node of the group for its copy, and is the same from every node" {
    wait_until 10 is_well
    kvcli put fruit apple
    local p
    for p in "${ports[@]}"; do
        port=$p kvcli where fruit nothing >"$BATS_TEST_TMPDIR/where.$p"
        cmp "$BATS_TEST_TMPDIR/where.$p" "$BATS_TEST_TMPDIR/where.${ports[0]}"
    done
    [ "$(wc -l <"$BATS_TEST_TMPDIR/where.${ports[0]}")" -eq 8 ]
    grep -Eq '^  127.0.0.1:[0-9]+  item +[0-9]+:[0-9]+ +primary +act [0-9]+, .*, clean, active$' "$BATS_TEST_TMPDIR/where.${ports[0]}"
    [ "$(kvcli where fruit --json | jq '.copies | length')" -eq 3 ]
    [ "$(kvcli where fruit --json | jq '.copies[0].version')" = "$(kvcli get fruit --json | jq .cas)" ]
}

@test "nothing is on its way when all is well" {
    wait_until 10 is_well
    run kvcli transfers
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

# Ten megabytes at 300 kB a second: it takes long enough to be looked at.
@test "a copy on its way is shown by transfers, status and the log: items, bytes, and for how long yet" {
    end_all
    pids=()
    rm -rf "$BATS_TEST_TMPDIR"/member*.state
    start_cluster --sync-rate 300k
    kvcli bench --clients 4 --keys 10000 --value-size 1000 --fill --requests 1 --get-ratio 1 >"$BATS_TEST_TMPDIR/bench"
    wait_until 10 is_well
    kill -KILL "${members[2]}"
    wait "${members[2]}" || true
    start_member 2 --sync-rate 300k
    is_moving() {
        kvcli --json transfers >"$BATS_TEST_TMPDIR/transfers" || return 1
        jq -es --arg to "127.0.0.1:${ports[2]}" '[.[] | select(.to == $to) |
            select(.items_sent > 0 and .bytes_sent > 0 and .items_left > 0 and .bytes_left > 0 and .eta_ms > 0)] |
            length > 0' "$BATS_TEST_TMPDIR/transfers"
    }
    wait_until 20 is_moving
    kvcli transfers | grep -Eq "^127.0.0.1:[0-9]+ +127.0.0.1:${ports[2]} .* ([0-9.]+s|[0-9]+m[0-9]{2}s)$"
    is_told() { kvcli status | grep -Eq '^[0-9]+ items, [0-9.]+ ?[kM]?i?B?, are being brought to where they belong: ready in '; }
    wait_until 10 is_told
    is_logged() {
        grep -Eq ' sync-sent member=127.0.0.1:'"${ports[2]}"' .* items=[1-9][0-9]* bytes=[1-9][0-9]* .* items_left=[1-9][0-9]* bytes_left=[1-9][0-9]* eta_ms=[1-9]' \
            "$BATS_TEST_TMPDIR"/member[01].log
    }
    wait_until 20 is_logged
}

@test "transfers names the nodes that do not answer" {
    wait_until 10 is_well
    kill -STOP "${pids[2]}"
    run kvcli -s "127.0.0.1:${ports[0]}" transfers
    kill -CONT "${pids[2]}"
    [ "$status" -eq 1 ]
    [[ $output == *"127.0.0.1:${ports[2]}: "* ]]
}

@test "what asks every node is not asked of one alone" {
    local command
    for command in status transfers 'where k'; do
        # shellcheck disable=SC2086 # where and its key
        run kvcli --via "127.0.0.1:${ports[0]}" $command
        [ "$status" -eq 2 ]
        [ "$output" = "kvcli: ${command%% *}: asks every node: not with --via" ]
    done
}

@test "the ways out want --yes where nobody can be asked, and name what is given up" {
    run kvcli forget "127.0.0.1:${ports[2]}" </dev/null
    [ "$status" -eq 1 ]
    [[ $output == "Given up: 127.0.0.1:${ports[2]} (full, up)."* ]]
    [[ $output == *'nobody can be asked here: --yes is wanted' ]]
    run kvcli forget --yes nobody:1
    [ "$status" -eq 1 ]
    [[ $output == *'no member of the cluster has this name' ]]
    run kvcli accept-loss --yes
    [ "$status" -eq 1 ]
    [[ $output == *'no member is down' ]]
    run in_net "$BIN/kvcli" -s "127.0.0.1:${ports[0]},127.0.0.1:${ports[1]}" form --yes
    [ "$status" -eq 2 ]
}

@test "bench --ring asks each key of its leader" {
    wait_until 10 is_well
    local before after p
    before=$(for p in "${ports[@]}"; do stat_of "$p" forwards_sent; done)
    kvcli bench --ring --clients 6 --keys 500 --fill --requests 2000 --get-ratio 0.5 --pipeline 4 --json >"$BATS_TEST_TMPDIR/bench"
    [ "$(jq '.requests, .misses, .wrong, .refused, .lost' "$BATS_TEST_TMPDIR/bench" | tr '\n' ' ')" = '2000 0 0 0 0 ' ]
    after=$(for p in "${ports[@]}"; do stat_of "$p" forwards_sent; done)
    [ "$before" = "$after" ]
    run kvcli bench --ring --clients 2 --requests 1
    [ "$status" -eq 2 ]
    [[ $output == *'fewer active connections than the 3 nodes' ]]
}

@test "a write repeated under its id is answered as the first, on any node and after a failover" {
    wait_until 10 is_well
    local leader i p
    kvcli put n 5
    answers "${ports[0]}" 'once first-1 incr n 1\r\n' '6\r\n'
    for p in "${ports[@]}"; do
        answers "$p" 'once first-1 incr n 1\r\nonce first-2 add n 0 0 1\r\n7\r\n' '6\r\nNOT_STORED\r\n'
    done
    answers "${ports[1]}" 'once first-1 incr n 2\r\n' 'CLIENT_ERROR request id used for another command\r\n'
    leader=$(kvcli where n --json | jq -r .leader)
    for i in 0 1 2; do
        [ "127.0.0.1:${ports[i]}" = "$leader" ] || port=${ports[i]}
    done
    for i in 0 1 2; do
        [ "127.0.0.1:${ports[i]}" != "$leader" ] || kill -KILL "${members[i]}"
    done
    # kvcli asks for as long as it takes, under an id of its own.
    [ "$(kvcli --timeout 10s incr n)" = 7 ]
    answers "$port" 'once first-1 incr n 1\r\nget n\r\n' '6\r\nVALUE n 0 1\r\n7\r\nEND\r\n'
}

@test "status says that copies are missing while a node is down, and where it is told what is awaited" {
    wait_until 10 is_well
    kill -KILL "${members[2]}"
    under_replicated() { kvcli status --json | jq -e '.unavailable == 0 and .under_replicated == 16384 and (.well | not)'; }
    wait_until 10 under_replicated
    run kvcli status
    [ "$status" -eq 1 ]
    # While it is suspected only, it is asked, and refuses.
    shows_down() { kvcli status | grep -Eq "^DN  127.0.0.1:${ports[2]} .* down$"; }
    wait_until 20 shows_down
    run kvcli forget --yes "127.0.0.1:${ports[2]}"
    [ "$status" -eq 0 ]
    wait_until 10 is_well
    run kvcli status
    [[ $output == *'two nodes: when one ends nothing is served until it is back and synced' ]]
    end_all
    pids=()
    make_net
    printf '127.0.0.1:%s\n' "${ports[@]}" >"$BATS_TEST_TMPDIR/peers.txt"
    start_member 0 --state-dir "$BATS_TEST_TMPDIR/new.state"
    port=${ports[0]}
    run kvcli status
    [ "$status" -eq 1 ]
    [ "$output" = "127.0.0.1:$port: waiting for 2 of 3 peers (1 here)" ]
}
