#!/usr/bin/env bats
# The checking client and its judge: what they find, shown on histories made by hand and on a node that
# loses everything.

load helpers

setup() { oracle=$repository/build/oracle; }
teardown() { end_all; }

# judged COUNTS LINE…: the judge's JSON has COUNTS ("lost=1 wrong=1"; what is not named is 0).
judged() {
    local counts=$1 status=0
    shift
    printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/history"
    "$oracle/judge" "$BATS_TEST_TMPDIR/history" >"$BATS_TEST_TMPDIR/verdict" 2>"$BATS_TEST_TMPDIR/why" || status=$?
    cat "$BATS_TEST_TMPDIR/verdict" "$BATS_TEST_TMPDIR/why"
    jq -e --arg counts "$counts" '
        (reduce ($counts | split(" ") | map(split("="))[]) as $pair ({}; .[$pair[0]] = ($pair[1] | tonumber))) as $wanted
        | del(.keys, .operations, .reads) | to_entries | all(.value == ($wanted[.key] // 0))' <"$BATS_TEST_TMPDIR/verdict"
    [ "$status" -eq "$([[ $counts == *wrong=* ]] && echo 1 || echo 0)" ]
}

@test "what may be so is right: unknown writes, reads at the same time, refusals" {
    judged 'keys=1' \
        '1000000 2000000 0 r0 set a 0 = DONE - 0' \
        '3000000 0 1 r0 set b 0 = UNKNOWN - 0' \
        '4000000 5000000 0 r0 gets - 0 = DONE a 7' \
        '6000000 7000000 0 r0 gets - 0 = DONE b 9' \
        '8000000 9000000 2 r0 set c 0 = NOT_DONE - 0' \
        '8000000 9500000 3 r0 cas d 7 = EXISTS - 0' \
        '10000000 11000000 0 r0 gets - 0 = DONE b 9' \
        '12000000 15000000 1 r0 delete - 0 = DONE - 0' \
        '13000000 14000000 0 r0 gets - 0 = DONE b 9' \
        '16000000 17000000 0 r0 gets - 0 = ABSENT - 0'
}

@test "a write that was acknowledged and is gone is lost" {
    judged 'lost=1 disordered=1 wrong=2' \
        '1000000 2000000 0 r0 set a 0 = DONE - 0' \
        '3000000 4000000 0 r0 gets - 0 = ABSENT - 0'
}

@test "an older value after a newer one was acknowledged, or shown, is stale" {
    judged 'stale=1 disordered=1 wrong=2' \
        '1000000 2000000 0 r0 set a 0 = DONE - 0' \
        '3000000 4000000 1 r0 set b 0 = DONE - 0' \
        '5000000 6000000 0 r0 gets - 0 = DONE a 7'
    # Only the order shows that an unknown write which was seen cannot be unseen.
    judged 'disordered=1 wrong=1' \
        '1000000 2000000 0 r0 set a 0 = DONE - 0' \
        '3000000 0 1 r0 set b 0 = UNKNOWN - 0' \
        '5000000 6000000 0 r0 gets - 0 = DONE b 9' \
        '7000000 8000000 0 r0 gets - 0 = DONE a 7'
}

@test "a deleted value that is there again has risen" {
    judged 'risen=1 disordered=1 wrong=2' \
        '1000000 2000000 0 r0 set a 0 = DONE - 0' \
        '3000000 4000000 1 r0 delete - 0 = DONE - 0' \
        '5000000 6000000 0 r0 gets - 0 = DONE a 7'
}

@test "a write that was refused and is there all the same is found" {
    judged 'undone=1 disordered=1 wrong=2' \
        '1000000 2000000 0 r0 set a 0 = NOT_DONE - 0' \
        '5000000 6000000 0 r0 gets - 0 = DONE a 7'
}

@test "a counter that lost an increment, or has one too many, is found" {
    judged 'below=1 disordered=1 wrong=2' \
        '1000000 2000000 0 n0 add 0 0 = DONE - 0' \
        '3000000 4000000 0 n0 incr 1 0 = DONE 1 0' \
        '5000000 6000000 0 n0 incr 1 0 = DONE 2 0' \
        '7000000 8000000 0 n0 gets - 0 = DONE 1 9'
    judged 'above=1 disordered=1 wrong=2' \
        '1000000 2000000 0 n0 add 0 0 = DONE - 0' \
        '3000000 4000000 0 n0 incr 1 0 = DONE 1 0' \
        '5000000 0 1 n0 incr 1 0 = UNKNOWN - 0' \
        '7000000 8000000 0 n0 gets - 0 = DONE 3 9'
}

@test "an append that is missing, or was carried out twice, is found" {
    judged 'missing=1 disordered=1 wrong=2' \
        '1000000 2000000 0 l0 add + 0 = DONE - 0' \
        '3000000 4000000 0 l0 append a+ 0 = DONE - 0' \
        '5000000 6000000 0 l0 gets - 0 = DONE + 9'
    judged 'doubled=1 disordered=1 wrong=2' \
        '1000000 2000000 0 l0 add + 0 = DONE - 0' \
        '3000000 0 0 l0 append a+ 0 = UNKNOWN - 0' \
        '5000000 6000000 0 l0 gets - 0 = DONE +a+a+ 9'
}

@test "a file that is no history is refused with the number of the line" {
    printf '1 2 0 r0 set a 0 = DONE - 0\n1 2 0 r0 fly a 0 = DONE - 0\n' >"$BATS_TEST_TMPDIR/history"
    run "$oracle/judge" "$BATS_TEST_TMPDIR/history"
    [ "$status" -eq 2 ]
    [[ $output == *"history:2: no operation"* ]]
}

@test "a load on one node is answered rightly; after a restart without memory the judge finds what is lost" {
    start_node
    local keys=(--registers 30 --counters 20 --lists 10)
    "$oracle/load" "${keys[@]}" --duration 1 --history "$BATS_TEST_TMPDIR/one" "127.0.0.1:$port" >"$BATS_TEST_TMPDIR/totals"
    cat "$BATS_TEST_TMPDIR/totals"
    jq -e '.wrong == 0 and .UNKNOWN == 0 and .operations > 500 and .DONE > .operations / 2' <"$BATS_TEST_TMPDIR/totals"
    "$oracle/load" "${keys[@]}" --sweep --history "$BATS_TEST_TMPDIR/one" "127.0.0.1:$port" | jq -e '.gets == 60'
    "$oracle/judge" "$BATS_TEST_TMPDIR/one" | jq -e '.wrong == 0 and .keys == 60'
    kill -KILL "$pid"
    ended_within 5 "$pid"
    start_server node "$BATS_TEST_TMPDIR/peers.txt" "$port" --state-dir "$BATS_TEST_TMPDIR/node.state"
    wait_until 10 answers "$port" 'get none\r\n' 'END\r\n'
    "$oracle/load" "${keys[@]}" --sweep --history "$BATS_TEST_TMPDIR/one" "127.0.0.1:$port" | jq -e '.ABSENT == 60'
    run "$oracle/judge" "$BATS_TEST_TMPDIR/one"
    [ "$status" -eq 1 ]
    [[ $output == *'"lost": '[1-9]* ]]
}
