#!/usr/bin/env bats
# Three nodes of one peers.txt: any node serves every key.

load helpers

setup() { start_cluster; }
teardown() { end_all; }

@test "every key is reachable through every node" {
    local i p
    for i in {1..30}; do
        answers "${ports[$((i % 3))]}" "set key$i 0 0 3\r\n$((100 + i))\r\n" 'STORED\r\n'
    done
    for p in "${ports[@]}"; do
        for i in {1..30}; do
            answers "$p" "get key$i\r\n" "VALUE key$i 0 3\r\n$((100 + i))\r\nEND\r\n"
        done
    done
}

@test "each key is held by all three nodes, and each node leads some" {
    local i p leaders=''
    for i in {1..24}; do
        answers "$port" "set k$i 0 0 1\r\n1\r\n" 'STORED\r\n'
        leaders+="$(leader_of "k$i") "
    done
    [ "$(tr ' ' '\n' <<<"$leaders" | sed '/^$/d' | sort -u | wc -l)" -eq 3 ]
    for p in "${ports[@]}"; do
        [ "$(stat_of "$p" curr_items)" -eq 24 ]
    done
}

@test "the answers of a pipeline across nodes come in the order of the requests" {
    local p
    for p in "${ports[@]}"; do
        wire pipeline "$p" 2000
    done
}

@test "a multiget is split and its values come in the request's order" {
    local p
    for p in "${ports[@]}"; do
        wire multiget "$p" 10000
    done
}

@test "every kind of command works on a key of another node" {
    local p
    for p in "${ports[@]}"; do
        answers "$p" 'flush_all\r\nset n 7 0 1\r\n5\r\nadd n 0 0 1\r\n6\r\nreplace n 7 0 2\r\n10\r\nappend n 0 0 1\r\n0\r\nprepend n 0 0 1\r\n2\r\nincr n 1\r\ndecr n 2\r\ntouch n 100\r\ngat 200 n\r\nmg n f v k Ox\r\nma n v\r\nms n 2 T0\r\nzz\r\nmd n\r\nmg n\r\ndelete n\r\n' \
            'OK\r\nSTORED\r\nNOT_STORED\r\nSTORED\r\nSTORED\r\nSTORED\r\n2101\r\n2099\r\nTOUCHED\r\nVALUE n 7 4\r\n2099\r\nEND\r\nVA 4 f7 kn Ox\r\n2099\r\nVA 4\r\n2100\r\nHD\r\nHD\r\nEN\r\nNOT_FOUND\r\n'
    done
}

@test "a cas unique got through one node is good through another" {
    local unique
    unique=$(ask "${ports[0]}" 'set c 0 0 1\r\n1\r\ngets c\r\n' | sed -n 's/^VALUE c 0 1 \([0-9]*\).*/\1/p')
    answers "${ports[1]}" "cas c 0 0 1 $unique\r\n2\r\n" 'STORED\r\n'
    answers "${ports[2]}" "cas c 0 0 1 $unique\r\n3\r\n" 'EXISTS\r\n'
}

@test "noreply and quiet commands on other nodes' keys yield no byte and are done in order" {
    local i request=''
    for i in {1..20}; do
        request+="set q$i 0 0 1 noreply\r\n1\r\nms m$i 1 q\r\n1\r\nincr q$i 1 noreply\r\n"
    done
    answers "${ports[0]}" "${request}get q1 q7 q20\r\nmn\r\n" \
        'VALUE q1 0 1\r\n2\r\nVALUE q7 0 1\r\n2\r\nVALUE q20 0 1\r\n2\r\nEND\r\nMN\r\n'
}

@test "flush_all reaches all nodes" {
    local i p request=''
    for i in {1..30}; do
        request+="set f$i 0 0 1 noreply\r\n1\r\n"
    done
    answers "${ports[0]}" "${request}mn\r\n" 'MN\r\n'
    answers "${ports[1]}" 'flush_all\r\n' 'OK\r\n'
    for p in "${ports[@]}"; do
        for i in {1..30}; do
            answers "$p" "get f$i\r\n" 'END\r\n'
        done
    done
}

@test "large values go through every node" {
    local p
    for p in "${ports[@]}"; do
        wire value "$p" 1048576 3
        wire too-large "$p" 1048577
    done
}

@test "commands sent byte by byte to another node's keys are answered as in one piece" {
    local request='set a 1 0 5\r\nab\r\nc\r\nget a\r\nset b 0 0 1\r\n1\r\nset c 0 0 1\r\n2\r\nget a b c none\r\nincr b 1\r\n'
    ask "${ports[0]}" "$request" >"$BATS_TEST_TMPDIR/whole"
    printf '%b' "$request" | wire bytewise "${ports[0]}" >"$BATS_TEST_TMPDIR/cut"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/whole")" -eq 16 ]
    diff "$BATS_TEST_TMPDIR/whole" "$BATS_TEST_TMPDIR/cut"
}

@test "kvcli reaches every key through any node" {
    local i p
    for i in {1..10}; do
        kvcli put "cli$i" "value$i"
    done
    for p in "${ports[@]}"; do
        for i in {1..10}; do
            [ "$(in_net "$BIN/kvcli" -s "127.0.0.1:$p" get "cli$i")" = "value$i" ]
        done
    done
    [ "$(in_net "$BIN/kvcli" -p "$BATS_TEST_TMPDIR/peers.txt" get cli3)" = value3 ]
}

@test "peers speak over two connections an ordered pair" {
    wire pipeline "${ports[0]}" 1000
    wire pipeline "${ports[1]}" 1000
    wire pipeline "${ports[2]}" 1000
    local p
    for p in "${ports[@]}"; do
        [ "$(in_net ss -Htn state established "( sport = :$p )" | awk '{print $4}' | wc -l)" -le 5 ]
    done
}

@test "a node that stands in nobody's peers.txt joins through any that is" {
    ports+=(7004)
    [ -n "$netns" ] || ports[3]=$(free_ports 1)
    printf '127.0.0.1:%s\n' "${ports[1]}" >"$BATS_TEST_TMPDIR/peers.txt"
    start_member 3
    wait_until 20 is_whole "${ports[3]}" 4
    all_have_ring 4 "${ports[@]}"
    local hash
    hash=$(ask "${ports[0]}" 'ring\r\n')
    [ "$(ask "${ports[3]}" 'ring\r\n')" = "$hash" ]
    answers "${ports[3]}" 'set joined 0 0 1\r\n1\r\n' 'STORED\r\n'
    answers "${ports[2]}" 'get joined\r\n' 'VALUE joined 0 1\r\n1\r\nEND\r\n'
}

@test "keys move to a node that joins, before it serves, and their old places are emptied" {
    local i request=''
    for i in {1..200}; do
        request+="set m$i 0 0 1 noreply\r\n1\r\n"
    done
    answers "${ports[0]}" "${request}mn\r\n" 'MN\r\n'
    ports+=(7004)
    [ -n "$netns" ] || ports[3]=$(free_ports 1)
    start_member 3
    local p sum hits
    holds_600() {
        sum=0
        for p in "${ports[@]}"; do
            sum=$((sum + $(stat_of "$p" curr_items)))
        done
        [ "$sum" -eq 600 ]
    }
    wait_until 20 is_whole "${ports[3]}" 4
    wait_until 20 holds_600
    [ "$(stat_of "${ports[3]}" curr_items)" -gt 60 ]
    for p in "${ports[@]}"; do
        hits=$(for i in {1..200}; do printf 'get m%s\r\n' "$i"; done | in_net timeout 20 nc -N 127.0.0.1 "$p" | grep -c ^VALUE)
        [ "$hits" -eq 200 ]
    done
}

@test "a link that another node dialled is tried when it is silent for long" {
    command -v ss >/dev/null || skip "needs ss"
    # By TCP: its timer stands at five minutes at most (the kernel's own would be two hours). While
    # what a link has sent is not acknowledged, another timer of it is shown.
    are_tried() {
        in_net ss -Htno state established "sport = :${ports[0]}" >"$BATS_TEST_TMPDIR/links"
        [ "$(grep -cE 'timer:\(keepalive,([0-4]min)?[0-9.]+m?s?(ec)?,' "$BATS_TEST_TMPDIR/links")" -ge 4 ]
    }
    wait_until 10 are_tried || { cat "$BATS_TEST_TMPDIR/links" && false; }
}
