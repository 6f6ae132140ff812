#!/usr/bin/env bats
# A node of three dies, hangs, comes back, is of another cluster, or the network lies.
#
# --op-timeout is 1 s; on a busy machine an answer may take ten times as long, never for ever.

load helpers

setup() {
    start_cluster
    local key owner
    first='' second='' third=''
    while read -r key owner; do
        case $owner in
            "${ports[0]}") first=${first:-$key} ;;
            "${ports[1]}") second=${second:-$key} ;;
            "${ports[2]}") third=${third:-$key} ;;
        esac
    done < <(wire owners "${ports[@]}" -- k{1..24})
    [ -n "$first" ] && [ -n "$second" ] && [ -n "$third" ]
}
teardown() { end_all; }

kill_member() {
    kill -KILL "${members[$1]}"
    ended_within 5 "${members[$1]}"
}

@test "one node killed: the others lead its keys, which are misses" {
    kill_member 2
    # Nothing that was asked meanwhile is answered wrongly, whatever the node knows by then.
    wire timed "${ports[0]}" 10 "set $first 0 0 1\r\n7\r\n" STORED
    all_have_ring 2 "${ports[0]}" "${ports[1]}"
    wire timed "${ports[0]}" 10 "get $third\r\n" END
    answers "${ports[0]}" "set $third 0 0 1\r\n3\r\n" 'STORED\r\n'
    answers "${ports[1]}" "get $third $first $second\r\n" \
        "VALUE $third 0 1\r\n3\r\nVALUE $first 0 1\r\n7\r\nVALUE $second 0 1\r\n1\r\nEND\r\n"
}

@test "a request that meets a node just killed is answered by its successor in time" {
    kill_member 2
    # It waits for the ring to change; if that takes longer than --op-timeout, it is not done.
    wire timed "${ports[0]}" 10 "set $third 0 0 1\r\n3\r\n" STORED 'SERVER_ERROR not done: '
    all_have_ring 2 "${ports[0]}" "${ports[1]}"
    wire timed "${ports[0]}" 10 "set $third 0 0 1\r\n4\r\n" STORED
}

@test "a multiget with an owner that hangs ends in SERVER_ERROR instead of END" {
    kill -STOP "${members[2]}"
    ask "${ports[0]}" "get $first $third $second\r\n" | tr -d '\r' >"$BATS_TEST_TMPDIR/answer"
    cat "$BATS_TEST_TMPDIR/answer"
    [[ $(tail -n 1 "$BATS_TEST_TMPDIR/answer") == "SERVER_ERROR not done: "* ]]
    run grep -x END "$BATS_TEST_TMPDIR/answer"
    [ "$status" -ne 0 ]
    answers "${ports[0]}" "get $first $second\r\n" "VALUE $first 0 1\r\n1\r\nVALUE $second 0 1\r\n1\r\nEND\r\n"
}

@test "answers behind one that fails still come in order" {
    kill -STOP "${members[2]}"
    ask "${ports[0]}" "get $first\r\nget $third\r\nget $second\r\nmn\r\n" | tr -d '\r' | sed 's/^\(SERVER_ERROR not done\).*/\1/' |
        diff - <(printf 'VALUE %s 0 1\n1\nEND\nSERVER_ERROR not done\nVALUE %s 0 1\n1\nEND\nMN\n' "$first" "$second")
}

@test "a node that hangs: gets are not done, sets have an unknown outcome, nothing waits for ever" {
    answers "${ports[1]}" "get $third\r\n" "VALUE $third 0 1\r\n1\r\nEND\r\n"
    kill -STOP "${members[2]}"
    wire timed "${ports[0]}" 10 "get $third\r\n" 'SERVER_ERROR not done: '
    wire timed "${ports[0]}" 10 "mg $third v\r\n" 'SERVER_ERROR not done: '
    # The link is up, so the set has left.
    wire timed "${ports[1]}" 10 "set $third 0 0 1\r\n1\r\n" 'SERVER_ERROR outcome unknown: '
    answers "${ports[0]}" "get $first $second\r\n" "VALUE $first 0 1\r\n1\r\nVALUE $second 0 1\r\n1\r\nEND\r\n"
}

@test "a node that hangs slows the other keys down by no more than a moment" {
    kill -STOP "${members[2]}"
    in_net timeout 30 nc -N 127.0.0.1 "${ports[0]}" < <(printf 'get %s\r\n' "$third") >/dev/null 3>&- &
    pids+=("$!")
    wire timed "${ports[0]}" 0.9 "set $second 0 0 1\r\n1\r\n" STORED
}

@test "a node that hung and goes on serves again" {
    kill -STOP "${members[2]}"
    wire timed "${ports[0]}" 10 "get $third\r\n" 'SERVER_ERROR not done: '
    kill -CONT "${members[2]}"
    wait_until 10 answers "${ports[0]}" "get $third\r\n" "VALUE $third 0 1\r\n1\r\nEND\r\n"
}

@test "flush_all with a node that hangs is not OK" {
    kill -STOP "${members[2]}"
    wire timed "${ports[0]}" 10 'flush_all\r\n' 'SERVER_ERROR outcome unknown: ' 'SERVER_ERROR not done: '
}

@test "a node that comes back is served again, empty" {
    kill_member 2
    all_have_ring 2 "${ports[0]}" "${ports[1]}"
    answers "${ports[0]}" "set $third 0 0 1\r\n8\r\n" 'STORED\r\n'
    start_member 2
    all_have_ring 3 "${ports[@]}"
    answers "${ports[0]}" "get $third\r\n" 'END\r\n'
    answers "${ports[0]}" "set $third 0 0 1\r\n9\r\n" 'STORED\r\n'
    answers "${ports[1]}" "get $third\r\n" "VALUE $third 0 1\r\n9\r\nEND\r\n"
    [ "$(stat_of "${ports[2]}" curr_items)" -eq 1 ]
}

@test "a node of another cluster is refused, and both say so" {
    kill_member 2
    all_have_ring 2 "${ports[0]}" "${ports[1]}"
    start_member 2 --cluster other --state-dir "$BATS_TEST_TMPDIR/other.state"
    wait_until 10 grep -E 'warn.* peer-refused .*reason="a node of another cluster' "$BATS_TEST_TMPDIR/member0.log"
    wait_until 10 grep -E 'warn.* refused-by-peer ' "$BATS_TEST_TMPDIR/member2.log"
    wait_until 10 has_ring "${ports[2]}" 1
    has_ring "${ports[0]}" 2
    answers "${ports[2]}" "set $first 0 0 1\r\n5\r\nget $first\r\n" "STORED\r\nVALUE $first 0 1\r\n5\r\nEND\r\n"
    answers "${ports[0]}" "get $first $second\r\n" "VALUE $first 0 1\r\n1\r\nVALUE $second 0 1\r\n1\r\nEND\r\n"
    # It asks again and again: counted each time, said once.
    wait_until 20 refused_often "${ports[0]}"
    [ "$(grep -c ' peer-refused ' "$BATS_TEST_TMPDIR/member0.log")" -eq 1 ]
}

refused_often() {
    [ "$(stat_of "$1" peers_refused)" -ge 3 ]
}

@test "a bit flipped between nodes closes the connection, is counted, and nothing wrong is answered" {
    # Node 2 listens elsewhere; its own address is the proxy's.
    local behind=7012
    [ -n "$netns" ] || behind=$(free_ports 1)
    kill_member 2
    start_in_net /usr/bin/python3 -B "$BATS_TEST_DIRNAME/wire.py" flip-proxy "${ports[2]}" "$behind" FLIPME \
        >"$BATS_TEST_TMPDIR/proxy"
    wait_until 5 grep -q ready "$BATS_TEST_TMPDIR/proxy"
    start_server member2 "$BATS_TEST_TMPDIR/peers.txt" "$behind" --advertise "127.0.0.1:${ports[2]}"
    wait_until 10 grep -q ' listening ' "$BATS_TEST_TMPDIR/member2.log"
    all_have_ring 3 "${ports[0]}" "${ports[1]}" "$behind"
    wait_until 10 answers "${ports[0]}" "set $third 0 0 4\r\ngood\r\nget $third\r\n" "STORED\r\nVALUE $third 0 4\r\ngood\r\nEND\r\n"
    [ "$(stat_of "$behind" frames_bad_crc)" -eq 0 ]
    wire timed "${ports[0]}" 10 "set $third 0 0 6\r\nFLIPME\r\n" 'SERVER_ERROR outcome unknown: ' 'SERVER_ERROR not done: '
    [ "$(stat_of "$behind" frames_bad_crc)" -ge 1 ]
    wait_until 10 answers "${ports[0]}" "get $third\r\n" "VALUE $third 0 4\r\ngood\r\nEND\r\n"
    # The other way: what is right in the store is damaged on its way back, and not shown.
    answers "$behind" "set $third 0 0 6\r\nFLIPME\r\n" 'STORED\r\n'
    wire timed "${ports[0]}" 10 "get $third\r\n" 'SERVER_ERROR not done: '
    [ "$(stat_of "${ports[0]}" frames_bad_crc)" -ge 1 ]
}

@test "SIGTERM of one node leaves the others serving" {
    kill -TERM "${members[2]}"
    ended_within 10 "${members[2]}"
    [ "$status" -eq 0 ]
    all_have_ring 2 "${ports[0]}" "${ports[1]}"
    answers "${ports[0]}" "get $first $second $third\r\n" "VALUE $first 0 1\r\n1\r\nVALUE $second 0 1\r\n1\r\nEND\r\n"
}

@test "a second signal ends a node at once, whatever is in flight" {
    kill -STOP "${members[2]}"
    # Waits for the stopped node until --op-timeout, and so does the first signal.
    in_net timeout 30 nc -N 127.0.0.1 "${ports[0]}" < <(printf 'get %s\r\n' "$third") >/dev/null 3>&- &
    pids+=("$!")
    wait_until 5 in_flight "${ports[0]}"
    kill -TERM "${members[0]}"
    wait_until 5 grep -qE ' (leaving|draining|stopping) ' "$BATS_TEST_TMPDIR/member0.log"
    kill -TERM "${members[0]}"
    ended_within 5 "${members[0]}"
    [ "$status" -eq 143 ]
    grep -q 'second signal' "$BATS_TEST_TMPDIR/member0.log"
}

# in_flight PORT: that node has forwarded what is not answered yet.
in_flight() {
    [ "$(stat_of "$1" forwards_sent)" -gt "$(($(stat_of "$1" answers_relayed) + $(stat_of "$1" forward_failures)))" ]
}

@test "a node alone in a list of three serves every key" {
    kill_member 0
    kill_member 1
    kill_member 2
    start_member 0
    wait_until 10 has_ring "${ports[0]}" 1
    answers "${ports[0]}" "set $first 0 0 1\r\n1\r\nset $third 0 0 1\r\n3\r\nget $first $third\r\n" \
        "STORED\r\nSTORED\r\nVALUE $first 0 1\r\n1\r\nVALUE $third 0 1\r\n3\r\nEND\r\n"
}
