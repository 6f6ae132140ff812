#!/usr/bin/env bats
# One node, by hand: netcat, telnet, kvcli.

load helpers

setup() { start_node; }
teardown() { end_all; }

@test "netcat stores, reads and deletes a value" {
    answers "$port" 'set a 5 0 3\r\nabc\r\nget a\r\ndelete a\r\nget a\r\n' \
        'STORED\r\nVALUE a 5 3\r\nabc\r\nEND\r\nDELETED\r\nEND\r\n'
}

@test "telnet stores and reads a value typed by hand" {
    mkfifo "$BATS_TEST_TMPDIR/keys"
    telnet 127.0.0.1 "$port" <"$BATS_TEST_TMPDIR/keys" >"$BATS_TEST_TMPDIR/screen" 2>&1 3>&- &
    local telnet=$!
    pids+=("$telnet")
    exec 4>"$BATS_TEST_TMPDIR/keys"
    wait_until 5 grep -q Connected "$BATS_TEST_TMPDIR/screen"
    printf 'PUT greeting 0 0 5\nhello\n' >&4
    wait_until 5 grep -q STORED "$BATS_TEST_TMPDIR/screen"
    printf 'GET greeting\n' >&4
    wait_until 5 grep -q END "$BATS_TEST_TMPDIR/screen"
    printf 'REMOVE greeting\nquit\n' >&4
    wait_until 5 bash -c "! kill -0 $telnet"
    exec 4>&-
    tr -d '\r' <"$BATS_TEST_TMPDIR/screen" >"$BATS_TEST_TMPDIR/lines"
    grep -A 2 -x 'VALUE greeting 0 5' "$BATS_TEST_TMPDIR/lines" | tail -n 2 | diff - <(printf 'hello\nEND\n')
    grep -qx DELETED "$BATS_TEST_TMPDIR/lines"
}

@test "kvcli puts, gets and deletes a value" {
    kvcli put greeting hello
    [ "$(kvcli get greeting)" = hello ]
    kvcli del greeting
    run kvcli get greeting
    [ "$status" -eq 1 ]
    [ -z "$(kvcli get greeting 2>/dev/null)" ]
}

@test "kvcli takes a value from a pipe and gives back its very bytes" {
    head -c 300000 /dev/urandom >"$BATS_TEST_TMPDIR/in"
    kvcli put blob - <"$BATS_TEST_TMPDIR/in"
    kvcli get blob >"$BATS_TEST_TMPDIR/out"
    cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
    kvcli put blob2 "@$BATS_TEST_TMPDIR/in"
    kvcli get blob2 | cmp - "$BATS_TEST_TMPDIR/in"
    kvcli put blob3 <"$BATS_TEST_TMPDIR/in"
    kvcli get blob3 | cmp - "$BATS_TEST_TMPDIR/in"
}

@test "kvcli gets and deletes several keys at once" {
    kvcli put one 1
    kvcli put two 2
    [ "$(kvcli get one two)" = $'1\n2' ] || [ "$(kvcli get one two)" = 12 ]
    kvcli del one two
    run kvcli exists one
    [ "$status" -eq 1 ]
    run kvcli exists two
    [ "$status" -eq 1 ]
}

@test "kvcli --json prints one object a key" {
    kvcli put j '"quoted"' --flags 7
    kvcli get j --json | /usr/bin/python3 -c '
import json, sys
item = json.loads(sys.stdin.readline())
assert item["key"] == "j" and item["value"] == "\"quoted\"" and item["flags"] == 7, item
assert not sys.stdin.read()'
}

@test "kvcli add, replace, append, prepend, incr, decr and touch do what memcached does" {
    kvcli add n 5
    run kvcli add n 6
    [ "$status" -eq 1 ]
    run kvcli replace missing 6
    [ "$status" -eq 1 ]
    kvcli replace n 10
    [ "$(kvcli incr n 5)" = 15 ]
    [ "$(kvcli decr n)" = 14 ]
    kvcli append n x
    kvcli prepend n y
    [ "$(kvcli get n)" = y14x ]
    kvcli touch n 10m
    run kvcli touch missing 10m
    [ "$status" -eq 1 ]
}

@test "kvcli cas stores only what nobody changed" {
    kvcli put c first
    local unique
    unique=$(kvcli get c --json | /usr/bin/python3 -c 'import json,sys; print(json.load(sys.stdin)["cas"])')
    kvcli cas c "$unique" second
    run kvcli cas c "$unique" third
    [ "$status" -eq 1 ]
    [ "$(kvcli get c)" = second ]
}

@test "kvcli flush empties the store" {
    kvcli put f 1
    kvcli flush
    run kvcli exists f
    [ "$status" -eq 1 ]
}

@test "kvcli exits 2 on wrong usage" {
    run kvcli nonsense
    [ "$status" -eq 2 ]
    run kvcli get
    [ "$status" -eq 2 ]
    run kvcli put key value --ttl soon
    [ "$status" -eq 2 ]
}

@test "kvcli exits 3 when no server is reached" {
    local nobody
    nobody=$(free_ports 1)
    run timeout 20 "$BIN/kvcli" -s "127.0.0.1:$nobody" get a
    [ "$status" -eq 3 ]
}

@test "kvcli exits 4 when the server refuses" {
    run bash -c "head -c 2000000 /dev/zero | timeout 20 '$BIN/kvcli' -s 127.0.0.1:$port put big -"
    [ "$status" -eq 4 ]
}

@test "kvcli tries the next server" {
    local nobody
    nobody=$(free_ports 1)
    "$BIN/kvcli" -s "127.0.0.1:$port" put k v
    [ "$(timeout 20 "$BIN/kvcli" -s "127.0.0.1:$nobody,127.0.0.1:$port" get k)" = v ]
    [ "$(KVCLI_SERVERS=127.0.0.1:$port timeout 20 "$BIN/kvcli" get k)" = v ]
}

@test "kvcli stats and version answer for the node asked" {
    kvcli stats | grep -qE "pid[^0-9]+$pid"
    kvcli version | grep -q 1.6
}

@test "kvcli talks to memcached too" {
    local other
    other=$(free_ports 1)
    local user=()
    [ "$(id -u)" != 0 ] || user=(-u root)
    memcached "${user[@]}" -l 127.0.0.1 -p "$other" 3>&- &
    pids+=("$!")
    wait_until 5 nc -z 127.0.0.1 "$other"
    "$BIN/kvcli" -s "127.0.0.1:$other" put k v
    [ "$("$BIN/kvcli" -s "127.0.0.1:$other" get k)" = v ]
}
