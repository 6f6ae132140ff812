#!/usr/bin/env bats
# A node of three dies, hangs, comes back, is of another cluster, or the network lies.
#
# --op-timeout is 1 s; on a busy machine an answer may take ten times as long, never for ever.

load helpers

setup() {
    start_cluster
    local key
    first='' second='' third=''
    for key in k{1..24}; do
        answers "$port" "set $key 0 0 1\r\n1\r\n" 'STORED\r\n'
        case $(leader_of "$key") in
            "${ports[0]}") first=${first:-$key} ;;
            "${ports[1]}") second=${second:-$key} ;;
            "${ports[2]}") third=${third:-$key} ;;
        esac
    done
    [ -n "$first" ] && [ -n "$second" ] && [ -n "$third" ]
}
teardown() { end_all; }

kill_member() {
    kill -KILL "${members[$1]}"
    ended_within 5 "${members[$1]}"
}

# value_is PORT KEY VALUE
value_is() { answers "$1" "get $2\r\n" "VALUE $2 0 ${#3}\r\n$3\r\nEND\r\n"; }

@test "one node killed: the others have its keys, and serve them" {
    kill_member 2
    # It waits for the next view, which comes within a second on a machine that is not busy.
    wait_until 5 answers "${ports[0]}" "set $third 0 0 1\r\n3\r\n" 'STORED\r\n'
    wire timed "${ports[0]}" 10 "set $first 0 0 1\r\n7\r\n" STORED
    answers "${ports[1]}" "get $third $first $second\r\n" \
        "VALUE $third 0 1\r\n3\r\nVALUE $first 0 1\r\n7\r\nVALUE $second 0 1\r\n1\r\nEND\r\n"
    [ "$(leader_of "$third")" != "${ports[2]}" ]
}

@test "a request that meets a primary just killed is answered by its successor in time" {
    kill_member 2
    # It waits for the next view; if that takes longer than --op-timeout, it is not done.
    wire timed "${ports[0]}" 10 "set $third 0 0 1\r\n3\r\n" STORED 'SERVER_ERROR not done: '
    wait_until 5 answers "${ports[1]}" "set $third 0 0 1\r\n4\r\n" 'STORED\r\n'
    value_is "${ports[0]}" "$third" 4
}

@test "two of three killed: everything is refused within the time, and there when they are back" {
    kill_member 2
    wait_until 5 answers "${ports[0]}" "set $third 0 0 1\r\n3\r\n" 'STORED\r\n'
    kill_member 1
    local key
    for key in "$first" "$second" "$third"; do
        wire timed "${ports[0]}" 1.5 "get $key\r\n" 'SERVER_ERROR not done: '
        wire timed "${ports[0]}" 1.5 "set $key 0 0 1\r\n9\r\n" 'SERVER_ERROR not done: ' 'SERVER_ERROR outcome unknown: '
    done
    start_member 1
    start_member 2
    wait_until 30 is_whole "${ports[0]}" 3
    answers "${ports[2]}" "get $third\r\n" "VALUE $third 0 1\r\n3\r\nEND\r\n" ||
        answers "${ports[2]}" "get $third\r\n" "VALUE $third 0 1\r\n9\r\nEND\r\n"
}

@test "a node that hangs holds its keys up for a moment only; a multiget is never a silent miss" {
    kill -STOP "${members[2]}"
    ask "${ports[0]}" "get $first $third $second\r\n" | tr -d '\r' >"$BATS_TEST_TMPDIR/answer"
    cat "$BATS_TEST_TMPDIR/answer"
    case $(tail -n 1 "$BATS_TEST_TMPDIR/answer") in
        "SERVER_ERROR not done: "*) fails grep -x END "$BATS_TEST_TMPDIR/answer" ;;
        END) [ "$(grep -c ^VALUE "$BATS_TEST_TMPDIR/answer")" -eq 3 ] ;;
        *) false ;;
    esac
    wait_until 10 value_is "${ports[0]}" "$third" 1
    wait_until 10 answers "${ports[1]}" "set $third 0 0 1\r\n2\r\n" 'STORED\r\n'
    # It comes back, and has what was written meanwhile.
    kill -CONT "${members[2]}"
    wait_until 20 is_whole "${ports[2]}" 3
    value_is "${ports[2]}" "$third" 2
}

@test "answers behind one that waits still come in order" {
    kill -STOP "${members[2]}"
    ask "${ports[0]}" "get $first\r\nget $third\r\nget $second\r\nmn\r\n" | tr -d '\r' >"$BATS_TEST_TMPDIR/answer"
    sed 's/^\(SERVER_ERROR not done\).*/\1/' "$BATS_TEST_TMPDIR/answer" |
        diff - <(printf 'VALUE %s 0 1\n1\nEND\nSERVER_ERROR not done\nVALUE %s 0 1\n1\nEND\nMN\n' "$first" "$second") ||
        diff "$BATS_TEST_TMPDIR/answer" \
            <(printf 'VALUE %s 0 1\n1\nEND\nVALUE %s 0 1\n1\nEND\nVALUE %s 0 1\n1\nEND\nMN\n' "$first" "$third" "$second")
}

@test "a node that hangs slows the other keys down by no more than a moment" {
    kill -STOP "${members[2]}"
    in_net timeout 30 nc -N 127.0.0.1 "${ports[0]}" < <(printf 'get %s\r\n' "$third") >/dev/null 3>&- &
    pids+=("$!")
    wire timed "${ports[0]}" 0.9 "set $second 0 0 1\r\n1\r\n" STORED
}

@test "flush_all reaches what a node that hangs led" {
    kill -STOP "${members[2]}"
    # At once it may not be able to say so.
    wire timed "${ports[0]}" 10 'flush_all\r\n' OK 'SERVER_ERROR outcome unknown: ' 'SERVER_ERROR not done: '
    wait_until 10 answers "${ports[0]}" 'flush_all\r\n' 'OK\r\n'
    answers "${ports[1]}" "get $first $second $third\r\n" 'END\r\n'
    kill -CONT "${members[2]}"
    wait_until 20 is_whole "${ports[2]}" 3
    answers "${ports[2]}" "get $first $second $third\r\n" 'END\r\n'
}

@test "a node that comes back gets its copies, and is served again" {
    kill_member 2
    wait_until 5 answers "${ports[0]}" "set $third 0 0 1\r\n8\r\n" 'STORED\r\n'
    start_member 2
    wait_until 20 is_whole "${ports[0]}" 3
    answers "${ports[2]}" "get $third $first\r\n" "VALUE $third 0 1\r\n8\r\nVALUE $first 0 1\r\n1\r\nEND\r\n"
    [ "$(stat_of "${ports[2]}" curr_items)" -eq 24 ]
}

@test "a node of another cluster is refused, and both say so" {
    kill_member 2
    start_member 2 --cluster other --state-dir "$BATS_TEST_TMPDIR/other.state"
    wait_until 10 grep -E 'warn.* peer-refused .*reason="a node of another cluster' "$BATS_TEST_TMPDIR/member0.log"
    wait_until 10 grep -E 'warn.* refused-by-peer ' "$BATS_TEST_TMPDIR/member2.log"
    wait_until 5 answers "${ports[0]}" "get $first $second\r\n" "VALUE $first 0 1\r\n1\r\nVALUE $second 0 1\r\n1\r\nEND\r\n"
    # Alone of three it founds nothing.
    [[ $(ask "${ports[2]}" "get $first\r\n") == 'SERVER_ERROR not done: waiting for 2 of 3 peers'* ]]
    # It asks again and again: counted each time, said once.
    wait_until 20 refused_often "${ports[0]}"
    [ "$(grep -c ' peer-refused ' "$BATS_TEST_TMPDIR/member0.log")" -eq 1 ]
}

refused_often() {
    [ "$(stat_of "$1" peers_refused)" -ge 3 ]
}

@test "a bit flipped between nodes closes the connection, is counted, and nothing wrong is answered" {
    # Node 2 listens elsewhere; its own address is the proxy's.
    local behind=7012 key
    [ -n "$netns" ] || behind=$(free_ports 1)
    kill_member 2
    start_in_net /usr/bin/python3 -B "$BATS_TEST_DIRNAME/wire.py" flip-proxy "${ports[2]}" "$behind" FLIPME \
        >"$BATS_TEST_TMPDIR/proxy"
    wait_until 5 grep -q ready "$BATS_TEST_TMPDIR/proxy"
    start_server member2 "$BATS_TEST_TMPDIR/peers.txt" "$behind" --advertise "127.0.0.1:${ports[2]}"
    wait_until 10 grep -q ' listening ' "$BATS_TEST_TMPDIR/member2.log"
    wait_until 20 is_whole "${ports[0]}" 3
    key=$third
    wait_until 10 answers "${ports[0]}" "set $key 0 0 4\r\ngood\r\nget $key\r\n" "STORED\r\nVALUE $key 0 4\r\ngood\r\nEND\r\n"
    [ "$(stat_of "$behind" frames_bad_crc)" -eq 0 ]
    # What the others lead, node 2 is to have a copy of: it comes to grief on its way there, again and again.
    answers "${ports[0]}" "set $first 0 0 6\r\nFLIPME\r\n" 'STORED\r\n'
    damaged() { [ "$(stat_of "$behind" frames_bad_crc)" -ge 1 ]; }
    wait_until 10 damaged
    value_is "${ports[0]}" "$first" FLIPME
    [ "$(in_net "$BIN/kvcli" -s "127.0.0.1:${ports[0]}" --json where "$first" |
        jq '[.copies[] | select(.state == "item")] | length')" -ge 2 ]
    answers "${ports[0]}" "set $first 0 0 4\r\ngood\r\n" 'STORED\r\n'
    wait_until 20 is_whole "${ports[0]}" 3
    value_is "$behind" "$first" good
}

@test "SIGTERM of one of three leaves the others serving everything" {
    kill -TERM "${members[2]}"
    ended_within 10 "${members[2]}"
    [ "$status" -eq 0 ]
    wait_until 5 answers "${ports[0]}" "get $first $second $third\r\n" \
        "VALUE $first 0 1\r\n1\r\nVALUE $second 0 1\r\n1\r\nVALUE $third 0 1\r\n1\r\nEND\r\n"
    answers "${ports[1]}" "set $third 0 0 1\r\n2\r\n" 'STORED\r\n'
}

@test "a second signal ends a node at once, whatever is in flight" {
    kill -STOP "${members[2]}"
    # Waits for the stopped node until --op-timeout, and so does the first signal.
    in_net timeout 30 nc -N 127.0.0.1 "${ports[0]}" < <(printf 'get %s\r\n' "$third") >/dev/null 3>&- &
    pids+=("$!")
    wait_until 5 in_flight "${ports[0]}"
    kill -TERM "${members[0]}"
    wait_until 5 grep -qE ' (draining|leaving|stopping) ' "$BATS_TEST_TMPDIR/member0.log"
    kill -TERM "${members[0]}"
    ended_within 5 "${members[0]}"
    [ "$status" -eq 143 ]
    grep -q 'second signal' "$BATS_TEST_TMPDIR/member0.log"
}

# in_flight PORT: that node has forwarded what is not answered yet.
in_flight() {
    [ "$(stat_of "$1" forwards_sent)" -gt "$(($(stat_of "$1" answers_relayed) + $(stat_of "$1" forward_failures)))" ]
}
