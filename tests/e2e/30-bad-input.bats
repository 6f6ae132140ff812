#!/usr/bin/env bats
# Whatever a client sends gets memcached's answer or a clean close, and the server goes on.

load helpers

setup() { start_node; }
teardown() {
    # Whatever the test did: the same process still serves.
    [ "$(stat_of "$port" pid)" = "$pid" ] || echo "the server is gone"
    end_all
}

@test "bad verbs are ERROR" {
    answers "$port" 'foo\r\n\r\ngetx a\r\nm\r\nset\r\nget\r\n' 'ERROR\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\nERROR\r\n'
}

@test "a key that is too long is CLIENT_ERROR" {
    local key
    key=$(printf 'k%.0s' {1..251})
    answers "$port" "get $key\r\ndelete $key\r\nincr $key 1\r\ntouch $key 0\r\nmg $key\r\n" \
        'CLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad command line format\r\n'
}

@test "data longer than announced is a bad data chunk, and what is left over is no command of ours" {
    answers "$port" 'set a 0 0 3\r\nabcdef\r\nget a\r\n' 'CLIENT_ERROR bad data chunk\r\nERROR\r\nEND\r\n'
}

@test "data shorter than announced swallows what it was said to be, no more" {
    answers "$port" 'set a 0 0 9\r\nabc\r\nmn\r\nmn\r\nget a\r\n' 'CLIENT_ERROR bad data chunk\r\nERROR\r\nEND\r\n'
}

@test "negative and overflowing lengths are CLIENT_ERROR" {
    answers "$port" 'set a 0 0 -1\r\nset a 0 0 99999999999999999999\r\nset a 0 0 2147483647\r\nms a -1\r\nget a\r\n' \
        'CLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad command line format\r\nEND\r\n'
}

@test "negative and overflowing numbers are CLIENT_ERROR" {
    answers "$port" 'set n 0 0 1\r\n1\r\nincr n -1\r\nincr n 18446744073709551616\r\ndecr n x\r\ntouch n x\r\nset n -1 0 1\r\nget n\r\n' \
        'STORED\r\nCLIENT_ERROR invalid numeric delta argument\r\nCLIENT_ERROR invalid numeric delta argument\r\nCLIENT_ERROR invalid numeric delta argument\r\nCLIENT_ERROR invalid exptime argument\r\nCLIENT_ERROR bad command line format\r\nVALUE n 0 1\r\n1\r\nEND\r\n'
}

@test "NUL bytes in a value are data" {
    answers "$port" 'set a 0 0 5\r\na\0b\0c\r\nget a\r\n' 'STORED\r\nVALUE a 0 5\r\na\0b\0c\r\nEND\r\n'
}

@test "NUL bytes in a line are survived" {
    ask "$port" 'get a\0b\r\n\0\0\0\r\nset \0 0 0 1\r\n1\r\nmn\r\n' | tail -n 1 | grep -qx $'MN\r'
}

@test "megabytes without a newline cost no memory and end in a close" {
    wire no-newline "$port" "$pid" 8000000
}

@test "half a command and silence hold up nobody else" {
    wire half-command "$port"
}

@test "clients that never read stay within the memory limit and others are served" {
    end_all
    pids=()
    start_node -m 64
    wire never-reads "$port" "$pid" 64 20
}

@test "nothing is set aside for announced data that does not come" {
    wire announced-only "$port" "$pid" 200
}

@test "200 clients that send a byte at a time slow nobody down" {
    wire slow-clients "$port" 200
}

@test "a megabyte of random bytes is survived" {
    local seed
    for seed in 1 2 3 4 5; do
        /usr/bin/python3 -c "import random,sys; sys.stdout.buffer.write(random.Random($seed).randbytes(1 << 20))" |
            timeout 10 nc -N 127.0.0.1 "$port" >/dev/null || true
        answers "$port" 'mn\r\n' 'MN\r\n'
    done
}
