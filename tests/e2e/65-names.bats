#!/usr/bin/env bats
# Nodes known by names that have several addresses.

load helpers

setup() {
    members=()
    make_net
    [ -n "$netns" ] || skip "a hosts file of the test's own needs root"
    hosts=/etc/netns/$netns # what ip netns exec lays over /etc
    mkdir -p "$hosts"
    printf '::1 many.test\n127.0.0.9 many.test\n127.0.0.1 many.test localhost\n' >"$hosts/hosts"
    printf 'many.test:%s\n' "${ports[@]}" >"$BATS_TEST_TMPDIR/peers.txt"
}

teardown() {
    end_all
    [ -z "${hosts-}" ] || rm -r "$hosts"
}

@test "a node is reached although it listens on one of its name's addresses only" {
    local index i
    for index in 0 1 2; do
        start_member "$index" -l 127.0.0.1
    done
    all_have_ring 3 "${ports[@]}"
    for i in {1..12}; do
        answers "${ports[0]}" "set key$i 0 0 1\r\nx\r\n" 'STORED\r\n'
    done
    [ "$(stat_of "${ports[0]}" forwards_sent)" -gt 0 ]
    [ "$(stat_of "${ports[0]}" forward_failures)" -eq 0 ]
}

@test "a node listens on all addresses of its name" {
    start_member 0
    run in_net /usr/bin/python3 -c '
import socket, sys
for host in ("::1", "127.0.0.1", "127.0.0.9"):
    with socket.create_connection((host, int(sys.argv[1])), 5) as client:
        client.sendall(b"mn\r\n")
        print(client.recv(16))' "${ports[0]}"
    [ "$output" = "$(printf "%s\n" "b'MN\\r\\n'" "b'MN\\r\\n'" "b'MN\\r\\n'")" ]
}

@test "a node that is told to stop while it looks a name up stops, and loses nothing" {
    # Nobody answers there; under the sanitizers (BIN=build/asan) what is not freed fails the test.
    printf 'nameserver 127.0.0.9\n' >"$hosts/resolv.conf"
    printf '%s\n' "many.test:${ports[0]}" nobody.test:7 >"$BATS_TEST_TMPDIR/peers.txt"
    start_in_net /usr/bin/python3 -c '
import socket, time
mute = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
mute.bind(("127.0.0.9", 53))
time.sleep(60)'
    start_member 0
    in_net timeout 10 nc -N 127.0.0.1 "${ports[0]}" < <(printf 'get k%d\r\n' {1..8}) >"$BATS_TEST_TMPDIR/asked" 3>&- &
    sleep 0.3
    kill -TERM "${members[0]}"
    ended_within 10 "${members[0]}"
    [ "$status" -eq 0 ]
}

@test "a start that waits for its own name's address ends on SIGTERM at once" {
    printf 'nameserver 127.0.0.9\n' >"$hosts/resolv.conf"
    start_in_net /usr/bin/python3 -c '
import socket, sys, time
mute = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
mute.bind(("127.0.0.9", 53))
open(sys.argv[1] + "/bound", "w").close()
mute.recv(1)
open(sys.argv[1] + "/asked", "w").close()
time.sleep(60)' "$BATS_TEST_TMPDIR"
    wait_until 10 test -e "$BATS_TEST_TMPDIR/bound"
    start_server starts "$BATS_TEST_TMPDIR/peers.txt" "${ports[0]}" -l nobody.test
    wait_until 10 test -e "$BATS_TEST_TMPDIR/asked"
    kill -TERM "$pid"
    ended_within 2 "$pid"
    [ "$status" -eq 143 ]
}
