#!/usr/bin/env bats
# Bounds: connections, descriptors, time, memory.

load helpers

teardown() { end_all; }

@test "a connection over the limit is told that the server is busy, and served once there is room" {
    start_node -c 20
    wire connection-limit "$port" 20
}

@test "running out of descriptors loses no connection that is served" {
    start_node -c 1000
    prlimit --pid "$pid" --nofile=64:64
    wire descriptors "$port" 200
    grep -q ' client-refused reason="no file descriptor is left"' "$BATS_TEST_TMPDIR/node.log"
    [ "$(stat_of "$port" pid)" = "$pid" ]
}

# hold PORT COUNT: as many connections as it takes, tried again and again.
hold() {
    start_in_net /usr/bin/python3 -c '
import socket, sys, time
held = []
while True:
    held = [s for s in held if s.fileno() >= 0]
    while len(held) < int(sys.argv[2]):
        held.append(socket.create_connection(("127.0.0.1", int(sys.argv[1]))))
        held[-1].sendall(b"mn\r\n")
        held[-1].setblocking(False)
    for s in held:
        try:
            if s.recv(100)[:2] != b"MN":
                s.close()
        except BlockingIOError:
            pass
        except OSError:
            s.close()
    time.sleep(0.01)' "$@"
}

@test "where descriptors are few clients get half of them, which is said, and other nodes join" {
    make_net
    printf '127.0.0.1:%s\n' "${ports[@]:0:2}" >"$BATS_TEST_TMPDIR/peers.txt"
    ulimit -n 96
    start_member 0
    grep -q ' few-descriptors limit=96 connections=48 wanted=10000 ' "$BATS_TEST_TMPDIR/member0.log"
    [ "$(stat_of "${ports[0]}" max_connections)" -eq 48 ]
    hold "${ports[0]}" 60
    hold "${ports[0]}" 60
    wait_until 10 grep -q ' client-refused ' "$BATS_TEST_TMPDIR/member0.log"
    start_member 1
    # Both have to have it: of two copies two are a quorum.
    wait_until 20 in_net "$BIN/kvcli" -s "127.0.0.1:${ports[1]}" put fruit apple
    all_have_ring 2 "${ports[1]}"
    fails grep -q 'no file descriptor is left' "$BATS_TEST_TMPDIR/member0.log"
}

@test "an idle connection is closed after --idle-timeout" {
    start_node --idle-timeout 1
    wire idle "$port" 5
}

@test "a client that drips bytes but never sends a command is closed after --idle-timeout" {
    start_node --idle-timeout 1
    wire drips "$port" 6
}

@test "a full store refuses writes and keeps everything acknowledged" {
    start_node -m 32
    wire fill "$port" 32
}

@test "resident memory stays within 1.1 x -m + 16 MiB whatever is overwritten" {
    start_node -m 64
    wire overwrite "$port" "$pid" 64
}

@test "expired items give their memory back without being asked for" {
    start_node -m 64
    wire expire "$port" 20000
}

@test "with --evict everything is stored and old items go" {
    start_node -m 16 --evict
    wire evict "$port" 16
}

@test "a value of 128 MiB comes back unchanged with -I 128m" {
    start_node -I 128m -m 1024
    wire value "$port" 134217728
}
