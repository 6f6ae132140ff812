#!/usr/bin/env bats
# --audit: who asked for what, where it was carried out, and nothing of what was stored.

load helpers

teardown() { end_all; }

# audited_cluster: three nodes with an audit file each, fully replicated.
audited_cluster() {
    local index
    members=()
    make_net
    printf '127.0.0.1:%s\n' "${ports[@]}" >"$BATS_TEST_TMPDIR/peers.txt"
    for index in 0 1 2; do
        start_member "$index" --audit "$BATS_TEST_TMPDIR/audit$index"
    done
    wait_until 20 is_whole "${ports[0]}" 3
}

# lines PATTERN: how many of all audit files are so.
lines() { cat "$BATS_TEST_TMPDIR"/audit[012] | grep -cE "$1" || true; }

@test "the node that carries a request out names the client, the entry node, the command and the outcome" {
    audited_cluster
    local i before
    before=$(lines ' request ')
    for i in {1..9}; do
        answers "${ports[0]}" "set secretkey$i 0 0 11\r\nsecretvalue\r\n" 'STORED\r\n'
    done
    answers "${ports[0]}" 'get secretkey1\r\n' 'VALUE secretkey1 0 11\r\nsecretvalue\r\nEND\r\n'
    answers "${ports[0]}" 'delete nothere\r\n' 'NOT_FOUND\r\n'
    # Each request once, at one node, whichever that is.
    [ "$(lines ' request ')" -eq $((before + 11)) ]
    [ "$(lines 'command=set .*outcome=STORED')" -eq 9 ]
    [ "$(lines 'command=delete .*outcome=NOT_FOUND')" -eq 1 ]
    [ "$(cat "$BATS_TEST_TMPDIR"/audit[012] | grep ' request ' | grep -vc "entry=127.0.0.1:${ports[0]} ")" -eq 0 ]
    grep -q 'client=127\.0\.0\.1:[0-9]* number=[0-9]* .*key=[0-9a-f]\{16\} ' "$BATS_TEST_TMPDIR"/audit[012]
    [ "$(lines 'secretkey|secretvalue|nothere')" -eq 0 ]
    # Also at another node than the one asked.
    [ "$(cat "$BATS_TEST_TMPDIR"/audit[12] | grep -c ' request ')" -gt 0 ]
}

# records REQUESTS COPIES COUNT: of so many writes the files have that many lines of who carried it out, and
# of copies that it was applied to, that name its key and version.
records() {
    cat "$BATS_TEST_TMPDIR"/audit[012] |
        sed -nE 's/.* request .*(key=[^ ]* version=[^- ]*) outcome=.*/\1 request/p; s/.* applied (.*) what=.* as=write$/\1 copy/p' |
        sort | uniq -c | awk -v requests="$1" -v copies="$2" -v count="$3" '
            { key = $2 " " $3; found[key, $4] = $1; keys[key] }
            END { for (key in keys) n += found[key, "request"] == requests && found[key, "copy"] == copies; exit n != count }'
}

@test "a write leaves a record of its coordinator and of each of three copies, of two with one down; repair is told apart" {
    audited_cluster
    local i
    for i in {1..9}; do
        answers "${ports[$((i % 3))]}" "set k$i 0 0 1\r\nx\r\n" 'STORED\r\n'
    done
    applied() { [ "$(lines " applied .* as=$1")" -eq "$2" ]; }
    wait_until 5 applied write 27
    records 1 3 9
    [ "$(lines ' applied .* as=repair')" -eq 0 ]
    kill -KILL "${members[2]}"
    ended_within 5 "${members[2]}"
    # Answered once: what was not done before left no record of a copy.
    wait_until 10 answers "${ports[0]}" 'set late 0 0 1\r\nx\r\n' 'STORED\r\n'
    wait_until 5 applied write 29
    records 1 2 1
    records 1 3 9
    start_member 2 --audit "$BATS_TEST_TMPDIR/audit2"
    wait_until 20 is_whole "${ports[0]}" 3
    wait_until 5 applied repair 10
}

@test "a moved audit file is begun anew on SIGHUP, and nothing is lost in between" {
    start_node --audit "$BATS_TEST_TMPDIR/audit"
    answers "$port" 'set a 0 0 1\r\n1\r\n' 'STORED\r\n'
    mv "$BATS_TEST_TMPDIR/audit" "$BATS_TEST_TMPDIR/audit.1"
    answers "$port" 'set b 0 0 1\r\n1\r\n' 'STORED\r\n'
    kill -HUP "$pid"
    wait_until 5 test -e "$BATS_TEST_TMPDIR/audit"
    answers "$port" 'set c 0 0 1\r\n1\r\n' 'STORED\r\n'
    [ "$(wc -l <"$BATS_TEST_TMPDIR/audit.1")" -eq 4 ] # a request and its one copy, twice
    [ "$(wc -l <"$BATS_TEST_TMPDIR/audit")" -eq 2 ]
}

@test "an audit file that cannot be opened is named, exit 1" {
    : >"$BATS_TEST_TMPDIR/peers.txt"
    run timeout 10 "$BIN/dht-server" "$BATS_TEST_TMPDIR/peers.txt" 0 --state-dir "$BATS_TEST_TMPDIR/s" --audit /nonexistent/audit
    [ "$status" -eq 1 ]
    [ "$output" = 'dht-server: --audit: cannot open /nonexistent/audit: No such file or directory' ]
}

@test "an audit file that is a FIFO keeps nobody waiting: not the start, nor SIGHUP" {
    mkfifo "$BATS_TEST_TMPDIR/fifo"
    : >"$BATS_TEST_TMPDIR/peers.txt"
    run timeout -k 1 5 "$BIN/dht-server" "$BATS_TEST_TMPDIR/peers.txt" 0 --state-dir "$BATS_TEST_TMPDIR/s" --audit "$BATS_TEST_TMPDIR/fifo"
    [ "$status" -eq 1 ]
    [[ $output == 'dht-server: --audit: cannot open '* ]]
    start_node --audit "$BATS_TEST_TMPDIR/audit"
    rm "$BATS_TEST_TMPDIR/audit"
    mkfifo "$BATS_TEST_TMPDIR/audit"
    kill -HUP "$pid"
    wait_until 5 grep -q ' audit-lost ' "$BATS_TEST_TMPDIR/node.log"
    answers "$port" 'set a 0 0 1\r\n1\r\n' 'STORED\r\n'
}

@test "an audit file that can take no more is said once, and serving goes on" {
    [ -w /dev/full ] || skip "there is no /dev/full"
    start_node --audit /dev/full
    answers "$port" 'set a 0 0 1\r\n1\r\nset b 0 0 1\r\n1\r\nget a\r\n' 'STORED\r\nSTORED\r\nVALUE a 0 1\r\n1\r\nEND\r\n'
    [ "$(grep -c ' audit-lost file=/dev/full ' "$BATS_TEST_TMPDIR/node.log")" -eq 1 ]
}
