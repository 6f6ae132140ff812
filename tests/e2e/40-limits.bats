#!/usr/bin/env bats
# Bounds: connections, descriptors, time, memory.

load helpers

teardown() { end_all; }

@test "a connection over the limit is told that the server is busy, and served once there is room" {
    start_node -c 20
    wire connection-limit "$port" 20
}

@test "running out of descriptors loses no connection that is served" {
    ulimit -S -n 64
    start_node -c 10000
    ulimit -S -n 1024
    wire descriptors "$port" 200
    [ "$(stat_of "$port" pid)" = "$pid" ]
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
