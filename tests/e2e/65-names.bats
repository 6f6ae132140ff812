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

# sees PORT STATE COUNT: so many members of that state are listed there.
sees() { [ "$(stat_of "$1" "members_$2")" = "$3" ]; }

@test "a name is looked up anew at each try: a node is found where it is now, at the start and later" {
    printf '127.0.0.9 moving.test\n127.0.0.1 still.test localhost\n' >"$hosts/hosts"
    printf '%s\n' "still.test:${ports[0]}" "moving.test:${ports[1]}" >"$BATS_TEST_TMPDIR/peers.txt"
    # Nobody is there yet.
    start_member 0 -l 127.0.0.1
    wait_until 10 grep -q 'waiting for 2 of 2 peers' "$BATS_TEST_TMPDIR/member0.log"
    sees "${ports[0]}" alive 1
    # It comes, elsewhere; in place, as ip netns exec has it mounted.
    printf '127.0.0.1 moving.test still.test localhost\n' >"$hosts/hosts"
    start_member 1 -l 127.0.0.1 --advertise "moving.test:${ports[1]}"
    wait_until 20 is_whole "${ports[0]}" 2
    # It dies, and comes back under another address.
    kill -KILL "${members[1]}"
    wait_until 10 sees "${ports[0]}" dead 1
    printf '127.0.0.8 moving.test\n127.0.0.1 still.test localhost\n' >"$hosts/hosts"
    start_server member1 "$BATS_TEST_TMPDIR/peers.txt" "${ports[1]}" -l 127.0.0.8 --advertise "moving.test:${ports[1]}"
    wait_until 20 sees "${ports[0]}" alive 2
    wait_until 20 is_whole "${ports[0]}" 2
}

@test "a node that starts before its name server is there finds the others once it is" {
    printf '127.0.0.1 still.test localhost\n' >"$hosts/hosts"
    printf 'nameserver 127.0.0.9\n' >"$hosts/resolv.conf" # nobody answers there
    printf '%s\n' "still.test:${ports[0]}" "far.test:${ports[1]}" >"$BATS_TEST_TMPDIR/peers.txt"
    start_member 0 -l 127.0.0.1
    wait_until 10 grep -q 'waiting for 2 of 2 peers' "$BATS_TEST_TMPDIR/member0.log"
    # The other does not dial it.
    printf '%s\n' "127.0.0.1:1" "far.test:${ports[1]}" >"$BATS_TEST_TMPDIR/peers.txt"
    start_member 1 -l 127.0.0.1 --advertise "far.test:${ports[1]}"
    start_in_net /usr/bin/python3 -B "$BATS_TEST_DIRNAME/wire.py" name_server 53 127.0.0.1 >"$BATS_TEST_TMPDIR/names"
    wait_until 5 grep -q ready "$BATS_TEST_TMPDIR/names"
    wait_until 10 grep -q 'waiting for ' "$BATS_TEST_TMPDIR/member1.log"
    sees "${ports[0]}" alive 1
    printf 'nameserver 127.0.0.1\n' >"$hosts/resolv.conf"
    wait_until 20 sees "${ports[0]}" alive 2
    sees "${ports[1]}" alive 2
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
