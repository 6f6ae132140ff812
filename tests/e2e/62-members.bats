#!/usr/bin/env bats
# What a person and a program learn of the cluster, and how a node leaves it.

load helpers

setup() { start_cluster --enable-shutdown; }
teardown() { end_all; }

# state_of PORT NAME: the state that the node on PORT sees NAME in.
state_of() {
    port=$1 kvcli members --json | jq -r "select(.name == \"$2\") | .state"
}

is_in_state() { [ "$(state_of "$1" "$2")" = "$3" ]; }

@test "members shows every node, its state and its share" {
    run kvcli members
    [ "$status" -eq 0 ]
    [[ ${lines[0]} == STATE*NODE*GENERATION*ROLE*UP*SEEN*WEIGHT*OWNS ]]
    local p
    for p in "${ports[@]}"; do
        grep -Eq "^ALIVE +127.0.0.1:$p +[0-9a-f]{10}  full .* 1 +3[0-9]\.[0-9]%$" <<<"$output"
    done
    [ "${lines[4]}" = "3 alive, 0 suspect, 0 dead, 0 left, as 127.0.0.1:${ports[0]} sees it" ]
    [ "$(kvcli members --count)" = 3 ]
    [ "$(kvcli members --count --json)" = '{"alive": 3, "suspect": 0, "dead": 0, "left": 0}' ]
    [ "$(kvcli members --json | jq -s 'map(.owns) | add | round')" = 100 ]
    # As people write it, not 20.989999999999998.
    [ "$(kvcli members --json | grep -Ec '"owns": 3[0-9]\.[0-9]{1,2}[,}]')" = 3 ]
}

@test "every node names the same ring, and the same place for a key" {
    local p
    for p in "${ports[@]}"; do
        port=$p kvcli ring | sed 's/, number.*//' >"$BATS_TEST_TMPDIR/ring.$p"
        port=$p kvcli where a b c d >"$BATS_TEST_TMPDIR/where.$p"
        cmp "$BATS_TEST_TMPDIR/ring.$p" "$BATS_TEST_TMPDIR/ring.${ports[0]}"
        cmp "$BATS_TEST_TMPDIR/where.$p" "$BATS_TEST_TMPDIR/where.${ports[0]}"
    done
    grep -Eq '^a: slot [0-9]+, leader 127.0.0.1:[0-9]+, then 127.0.0.1:[0-9]+ 127.0.0.1:[0-9]+$' \
        "$BATS_TEST_TMPDIR/where.${ports[0]}"
    [ "$(kvcli ring --json | jq '[.members[].leads] | add')" = 16384 ]
}

@test "where names the node that carries out what is asked of the key, and the copies" {
    local key leader served
    for key in k{1..12}; do
        leader=$(leader_of "$key")
        served=$(stat_of "$leader" cmd_set)
        answers "$port" "set $key 0 0 1\r\nv\r\n" 'STORED\r\n'
        [ "$(stat_of "$leader" cmd_set)" -eq $((served + 1)) ]
        [ "$(kvcli --json where "$key" | jq -c '[.copies[].state] | unique')" = '["item"]' ]
    done
}

@test "config get cluster lists the ring and counts its changes" {
    local before after
    before=$(ask "$port" 'config get cluster\r\n' | sed -n 2p)
    answers "$port" 'config get cluster\r\n' \
        "CONFIG cluster 0 $((${#before} + 76))\r\n$before\n127.0.0.1|127.0.0.1|${ports[0]} 127.0.0.1|127.0.0.1|${ports[1]} 127.0.0.1|127.0.0.1|${ports[2]}\n\r\nEND\r\n"
    kill -KILL "${members[2]}"
    wait_until 10 has_ring "$port" 2
    after=$(ask "$port" 'config get cluster\r\n' | sed -n 2p)
    [ "$after" -gt "$before" ]
    [ "$(ask "$port" 'config get cluster\r\n' | grep -c "|${ports[2]}")" -eq 0 ]
}

@test "a node that is told to leave is LEFT, never SUSPECT or DEAD, and ends with 0" {
    port=${ports[2]} kvcli leave
    ended_within 10 "${members[2]}"
    [ "$status" -eq 0 ]
    wait_until 10 is_in_state "${ports[0]}" "127.0.0.1:${ports[2]}" LEFT
    wait_until 10 is_in_state "${ports[1]}" "127.0.0.1:${ports[2]}" LEFT
    [ "$(cat "$BATS_TEST_TMPDIR"/member[01].log | grep -Ec "member-(suspect|dead) .*:${ports[2]}")" -eq 0 ]
    grep -q "member-left member=127.0.0.1:${ports[2]}" "$BATS_TEST_TMPDIR/member0.log"
    has_ring "$port" 2
    [ "$(kvcli members --count)" = 2 ]
}

@test "shutdown stops a node that allows it, and closes without an answer" {
    answers "${ports[2]}" 'shutdown\r\n' ''
    ended_within 10 "${members[2]}"
    [ "$status" -eq 0 ]
    port=${ports[1]} kvcli shutdown
    ended_within 10 "${members[1]}"
    [ "$status" -eq 0 ]
}

@test "leave and shutdown want exactly one node" {
    in_net "$BIN/kvcli" -s "127.0.0.1:${ports[0]},127.0.0.1:${ports[1]}" leave || status=$?
    [ "$status" -eq 2 ]
    is_running "${members[0]}"
    is_running "${members[1]}"
}

@test "a killed node is seen as DEAD, with the evidence" {
    kill -KILL "${members[2]}"
    wait_until 10 is_in_state "$port" "127.0.0.1:${ports[2]}" DEAD
    kvcli members | grep -q "^DEAD .*127.0.0.1:${ports[2]} .* -  refused$"
    [ "$(kvcli members --count)" = 2 ]
}
