#!/usr/bin/env bats
# Unmodified memcached clients as judges, against one node and against one of three.
#
# Programs: libmemcached's tools (Debian's libmemcached-tools calls them memc…), a C program on
# libmemcached, and pymemcache.

load helpers

teardown() { end_all; }

# tool NAME ARGUMENT…: one of libmemcached's tools against this test's server.
tool() {
    local name=$1
    shift
    in_net timeout 60 "$(command -v "memc$name" || command -v "mem$name")" "$@"
}

require() {
    command -v "$1" >/dev/null || skip "$1 is not installed"
}

memcapable() {
    require memccapable
    tool capable -h 127.0.0.1 -p "$port" -a >"$BATS_TEST_TMPDIR/capable" 2>&1 || true
    cat "$BATS_TEST_TMPDIR/capable"
    [ "$(grep -c '\[pass\]' "$BATS_TEST_TMPDIR/capable")" -ge 25 ]
    run grep -E '\[(FAIL|fail)\]|exited' "$BATS_TEST_TMPDIR/capable"
    [ "$status" -ne 0 ]
}

libmemcached_tools() {
    require memccat
    local server=--servers=127.0.0.1:$port dir=$BATS_TEST_TMPDIR
    printf 'some text' >"$dir/first"
    head -c 200000 /dev/urandom >"$dir/second"
    tool ping "$server"
    tool cp "$server" "$dir/first" "$dir/second"
    tool exist "$server" first
    tool cat "$server" first | grep -qx 'some text'
    tool cat "$server" --file="$dir/out" second
    cmp "$dir/second" "$dir/out"
    tool touch "$server" --expire=1000 first
    tool rm "$server" first
    run tool exist "$server" first
    [ "$status" -ne 0 ]
    tool stat "$server" | grep -q 'curr_items'
    tool flush "$server"
    run tool exist "$server" second
    [ "$status" -ne 0 ]
}

libmemcached_program() {
    pkg-config --exists libmemcached || skip "libmemcached-dev is not installed"
    # shellcheck disable=SC2046
    cc -std=c11 -Wall -Wextra -Werror -o "$BATS_TEST_TMPDIR/program" "$repository/tests/clients/libmemcached_test.c" \
        $(pkg-config --cflags --libs libmemcached)
    in_net timeout 60 "$BATS_TEST_TMPDIR/program" "$port"
}

pymemcache() {
    /usr/bin/python3 -c 'import pymemcache' 2>/dev/null || skip "python3-pymemcache is not installed"
    in_net timeout 60 /usr/bin/python3 -B "$repository/tests/clients/pymemcache_test.py" "$port"
}

@test "memcapable's ASCII tests pass against one node" { start_node; memcapable; }
@test "memcapable's ASCII tests pass against one of three" { start_cluster; memcapable; }
@test "libmemcached's tools work against one node" { start_node; libmemcached_tools; }
@test "libmemcached's tools work against one of three" { start_cluster; libmemcached_tools; }
@test "a C program on libmemcached works against one node" { start_node; libmemcached_program; }
@test "a C program on libmemcached works against one of three" { start_cluster; libmemcached_program; }
@test "every method of pymemcache works against one node" { start_node; pymemcache; }
@test "every method of pymemcache works against one of three" { start_cluster; pymemcache; }
