#!/usr/bin/env bats
# The sessions written in proto.md are what a node really says.

load helpers

setup() { start_node; }
teardown() { end_all; }

@test "every session in proto.md is answered as written" {
    [ -e "$repository/proto.md" ] || skip "there is no proto.md yet"
    wire replay "$port" "$repository/proto.md"
}
