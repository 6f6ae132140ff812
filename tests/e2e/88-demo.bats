#!/usr/bin/env bats
# The demos do what they show.

load helpers

setup() {
    cd "$repository" || exit 1
    run=$BATS_TEST_TMPDIR/demo
}

teardown() { deploy/local.sh -d "$run" down; }

@test "ten nodes: a join, a kill and a leave as members and the logs tell them" {
    local port=$((RANDOM % 20000 + 10000))
    RUN=$run SUBNET=10.$((RANDOM % 30 + 220)) PORT=$port tests/demo_ten.sh >"$BATS_TEST_TMPDIR/said" 3>&- || {
        cat "$BATS_TEST_TMPDIR/said"
        false
    }
    grep -q '^  10$' "$BATS_TEST_TMPDIR/said"
    grep -q '^  9 alive, 0 suspect, 1 dead, 0 left' "$BATS_TEST_TMPDIR/said"
    grep -q '^  8 alive, 0 suspect, .* 1 left' "$BATS_TEST_TMPDIR/said"
    # Every node logged the join, the death and the leave of others once.
    local node event
    for node in 1 2 3 5 6 8 9; do
        grep -q ' joined ' "$run/$node/log"
        for event in member-dead member-left; do
            [ "$(grep -c " $event " "$run/$node/log")" -eq 1 ]
        done
    done
    # Nobody is left.
    [ ! -e "$run/cluster" ]
}
