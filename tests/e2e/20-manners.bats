#!/usr/bin/env bats
# The manners of memcached's text protocol that clients rely on, one sentence each.

load helpers

setup() { start_node; }
teardown() { end_all; }

@test "VERSION begins with a major number that libmemcached accepts" {
    [[ $(ask "$port" 'version\r\n') =~ ^VERSION\ 1\.6\.[0-9]+\ dht-server/[0-9.]+$'\r'$ ]]
}

@test "noreply yields no byte, not even where the command fails" {
    answers "$port" 'set a 0 0 1 noreply\r\n1\r\nadd a 0 0 1 noreply\r\n2\r\nreplace none 0 0 1 noreply\r\n3\r\nincr a 1 noreply\r\ndelete none noreply\r\ntouch none 0 noreply\r\nget a\r\n' \
        'VALUE a 0 1\r\n2\r\nEND\r\n'
}

@test "flags are 32 bits and kept verbatim" {
    answers "$port" 'set a 4294967295 0 1\r\n1\r\nget a\r\n' 'STORED\r\nVALUE a 4294967295 1\r\n1\r\nEND\r\n'
}

@test "a trailing space on a command line is fine" {
    answers "$port" 'set a 0 0 1 \r\n1\r\nget a \r\n' 'STORED\r\nVALUE a 0 1\r\n1\r\nEND\r\n'
}

@test "a key has at most 250 bytes" {
    local key
    key=$(printf 'k%.0s' {1..250})
    answers "$port" "set $key 0 0 1\r\n1\r\nget $key\r\n" "STORED\r\nVALUE $key 0 1\r\n1\r\nEND\r\n"
    answers "$port" "get ${key}k\r\n" 'CLIENT_ERROR bad command line format\r\n'
}

@test "exptime above thirty days is absolute" {
    answers "$port" "set past 0 2592001 1\r\n1\r\nget past\r\nset future 0 $(($(date +%s) + 1000)) 1\r\n1\r\nget future\r\n" \
        'STORED\r\nEND\r\nSTORED\r\nVALUE future 0 1\r\n1\r\nEND\r\n'
}

@test "a negative exptime has already expired: STORED, and nothing is visible" {
    answers "$port" 'set a 0 -1 1\r\n1\r\nget a\r\nadd a 0 -1 1\r\n1\r\nadd a 0 0 1\r\n2\r\nget a\r\n' \
        'STORED\r\nEND\r\nSTORED\r\nSTORED\r\nVALUE a 0 1\r\n2\r\nEND\r\n'
}

@test "add with an absolute expiry in the past says STORED and leaves nothing" {
    answers "$port" 'add a 0 1000000000 1\r\n1\r\nget a\r\n' 'STORED\r\nEND\r\n'
}

@test "an item is gone after its time to live" {
    answers "$port" 'set a 0 1 1\r\n1\r\nget a\r\n' 'STORED\r\nVALUE a 0 1\r\n1\r\nEND\r\n'
    wait_until 4 answers "$port" 'get a\r\n' 'END\r\n'
}

@test "a value that is too large is swallowed and the connection stays usable" {
    wire too-large "$port" 1048577
    wire too-large "$port" 5000000
}

@test "a set that is too large removes the old value, add and replace keep it" {
    local big
    big=$(head -c 1048577 /dev/zero | tr '\0' x)
    answers "$port" "set a 0 0 1\r\n1\r\nreplace a 0 0 1048577\r\n$big\r\nget a\r\nadd a 0 0 1048577\r\n$big\r\nget a\r\nset a 0 0 1048577\r\n$big\r\nget a\r\n" \
        'STORED\r\nSERVER_ERROR object too large for cache\r\nVALUE a 0 1\r\n1\r\nEND\r\nSERVER_ERROR object too large for cache\r\nVALUE a 0 1\r\n1\r\nEND\r\nSERVER_ERROR object too large for cache\r\nEND\r\n'
}

@test "incr wraps at 2^64 and decr stops at 0" {
    answers "$port" 'set n 0 0 20\r\n18446744073709551615\r\nincr n 2\r\ndecr n 5\r\n' 'STORED\r\n1\r\n0\r\n'
}

@test "append, prepend, incr and decr keep time to live and flags" {
    answers "$port" 'set n 7 1000 1\r\n1\r\nappend n 9 0 1\r\n0\r\nprepend n 9 0 1\r\n1\r\nincr n 1\r\ndecr n 1\r\nmg n f v\r\n' \
        'STORED\r\nSTORED\r\nSTORED\r\n111\r\n110\r\nVA 3 f7\r\n110\r\n'
    [[ $(ask "$port" 'mg n t\r\n') =~ ^HD\ t(1000|99[0-9])$'\r'$ ]]
}

@test "append grown too large is NOT_STORED and keeps the old value" {
    local half
    half=$(head -c 700000 /dev/zero | tr '\0' y)
    answers "$port" "set a 0 0 700000\r\n$half\r\nappend a 0 0 700000\r\n$half\r\nmg a s\r\n" \
        'STORED\r\nNOT_STORED\r\nHD s700000\r\n'
}

@test "stats settings, slabs and items never answer ERROR" {
    local group
    for group in settings slabs items; do
        ask "$port" "stats $group\r\n" >"$BATS_TEST_TMPDIR/stats"
        [[ $(tail -n 1 "$BATS_TEST_TMPDIR/stats") == END$'\r' ]]
        run grep -v -E $'^(STAT [^ ]+ .*|END)\r$' "$BATS_TEST_TMPDIR/stats"
        [ -z "$output" ]
    done
}

@test "stats carries the names that memcached exporters need" {
    ask "$port" 'set a 0 0 1\r\n1\r\nget a\r\nget b\r\nstats\r\n' | tr -d '\r' >"$BATS_TEST_TMPDIR/stats"
    local name
    for name in pid uptime time version pointer_size rusage_user rusage_system curr_items total_items bytes curr_connections \
        total_connections cmd_get cmd_set cmd_flush cmd_touch get_hits get_misses get_expired delete_misses delete_hits \
        incr_misses incr_hits decr_misses decr_hits cas_misses cas_hits cas_badval touch_hits touch_misses bytes_read \
        bytes_written limit_maxbytes threads evictions reclaimed; do
        grep -q "^STAT $name [^ ]" "$BATS_TEST_TMPDIR/stats" || { echo "no $name"; false; }
    done
    grep -qx 'STAT curr_items 1' "$BATS_TEST_TMPDIR/stats"
    grep -qx 'STAT get_hits 1' "$BATS_TEST_TMPDIR/stats"
    grep -qx 'STAT get_misses 1' "$BATS_TEST_TMPDIR/stats"
    grep -qx 'STAT cmd_set 1' "$BATS_TEST_TMPDIR/stats"
}

@test "a delayed flush_all hides what is stored before it fires, not what comes after" {
    answers "$port" 'set old 0 0 1\r\n1\r\nflush_all 3\r\nset new 0 0 1\r\n2\r\nget old new\r\n' \
        'STORED\r\nOK\r\nSTORED\r\nVALUE old 0 1\r\n1\r\nVALUE new 0 1\r\n2\r\nEND\r\n'
    wait_until 6 answers "$port" 'get old new\r\n' 'END\r\n'
    answers "$port" 'set after 0 0 1\r\n3\r\nget after\r\n' 'STORED\r\nVALUE after 0 1\r\n3\r\nEND\r\n'
}

@test "gat with a negative time gives the value once" {
    answers "$port" 'set a 0 0 1\r\n1\r\ngat -1 a\r\ngat -1 a\r\n' 'STORED\r\nVALUE a 0 1\r\n1\r\nEND\r\nEND\r\n'
}

@test "touch keeps the cas unique, append changes it" {
    local before after
    before=$(ask "$port" 'set a 0 0 1\r\n1\r\nmg a c\r\n' | sed -n 2p)
    after=$(ask "$port" 'touch a 100\r\nmg a c\r\n' | sed -n 2p)
    [ "$before" = "$after" ]
    after=$(ask "$port" 'append a 0 0 1\r\n1\r\nmg a c\r\n' | sed -n 2p)
    [ "$before" != "$after" ]
}

@test "meta answers carry flags in the request's order" {
    answers "$port" 'set a 9 0 3\r\nabc\r\nmg a s Oop k f v t\r\nmg a t f k s\r\n' \
        'STORED\r\nVA 3 s3 Oop ka f9 t-1\r\nabc\r\nHD t-1 f9 ka s3\r\n'
}

@test "k and O come on a meta miss too" {
    answers "$port" 'mg none k O12 v\r\nmd none O13 k\r\n' 'EN knone O12\r\nNF O13 knone\r\n'
}

@test "a base64 key is shown in base64 with b" {
    answers "$port" 'ms AAEC 1 b\r\nx\r\nmg AAEC b k v\r\n' 'HD\r\nVA 1 kAAEC b\r\nx\r\n'
}

@test "meta q hides what was expected and never an error" {
    answers "$port" 'mg none q\r\nms a 1 q\r\n1\r\nmd a q\r\nmg a v v q\r\nms a 1 q Mx\r\n1\r\nms a 1 q MR\r\n1\r\nmn\r\n' \
        'CLIENT_ERROR duplicate flag\r\nCLIENT_ERROR invalid mode for ms M token\r\nNS\r\nMN\r\n'
}

@test "too many words are an error for delete and verbosity" {
    answers "$port" 'delete a 1 2 3\r\nverbosity 1 2 3 4 5 6\r\n' 'ERROR\r\nERROR\r\n'
}

@test "a bare LF ends a data block where byte n is LF" {
    answers "$port" 'set a 0 0 3\nabc\nget a\n' 'STORED\r\nVALUE a 0 3\r\nabc\r\nEND\r\n'
}

@test "command words are accepted in either case, put and remove are set and delete" {
    answers "$port" 'PUT a 0 0 1\r\n1\r\nGet a\r\nREMOVE a\r\nput a 0 0 1\r\n2\r\nremove a\r\n' \
        'STORED\r\nVALUE a 0 1\r\n1\r\nEND\r\nDELETED\r\nSTORED\r\nDELETED\r\n'
}

@test "a first byte 0x80 closes the connection with one log line" {
    local before
    before=$(wc -l <"$BATS_TEST_TMPDIR/node.log")
    answers "$port" '\x80\x00\x00\x00\x00\x00\x00\x00' ''
    wait_until 3 bash -c "[ \$(wc -l <'$BATS_TEST_TMPDIR/node.log') -eq $((before + 1)) ]"
    answers "$port" 'mn\r\n' 'MN\r\n'
}

@test "an HTTP request closes the connection with one log line and executes nothing" {
    local before
    before=$(wc -l <"$BATS_TEST_TMPDIR/node.log")
    answers "$port" 'POST / HTTP/1.1\r\nHost: x\r\n\r\nset a 0 0 1\r\n1\r\n' ''
    wait_until 3 bash -c "[ \$(wc -l <'$BATS_TEST_TMPDIR/node.log') -eq $((before + 1)) ]"
    answers "$port" 'get a\r\n' 'END\r\n'
    answers "$port" 'GET / HTTP/1.0\r\nset a 0 0 1\r\n1\r\n' ''
    answers "$port" 'get a\r\n' 'END\r\n'
}

@test "after a half-close everything received is still answered" {
    wire half-close "$port" 200
}

@test "1,000 commands in one packet are answered in order" {
    wire pipeline "$port" 1000
}

@test "a pipeline of 200,000 commands is answered in order" {
    wire pipeline "$port" 200000
}

@test "commands sent byte by byte are answered as in one piece" {
    local request='set a 1 0 5\r\nab\r\nc\r\nget a\r\nms bb 2 T0 c\r\nxy\r\nmg bb v k\r\nfoo\r\nset c 0 0 3\r\nabcdef\r\nincr a 1\r\nget a bb c none\r\n'
    ask "$port" "flush_all\r\n$request" | tail -n +2 | sed 's/ c[0-9]*//' >"$BATS_TEST_TMPDIR/whole"
    printf '%b' "flush_all\r\n$request" | wire bytewise "$port" | tail -n +2 | sed 's/ c[0-9]*//' >"$BATS_TEST_TMPDIR/cut"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/whole")" -gt 12 ]
    diff "$BATS_TEST_TMPDIR/whole" "$BATS_TEST_TMPDIR/cut"
}

@test "a get of 10,000 keys is answered in the request's order" {
    wire multiget "$port" 10000
}

@test "a value of 1 MiB comes back unchanged" {
    wire value "$port" 1048576 20
}

@test "quit closes the connection and what follows is not executed" {
    answers "$port" 'set a 0 0 1\r\n1\r\nquit\r\ndelete a\r\n' 'STORED\r\n'
    answers "$port" 'get a\r\n' 'VALUE a 0 1\r\n1\r\nEND\r\n'
}
