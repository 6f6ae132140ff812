#!/usr/bin/env bats
# Three copies of everything: real nodes are killed, stopped, restarted, cut off, join and leave, and nothing
# that was acknowledged is lost, nothing old is read. A short look at the scenes of tests/scenes (make scenes
# plays them at length, and with forty nodes).

load helpers

setup() { dir=$BATS_TEST_TMPDIR/scenes; }
teardown() { "$repository/deploy/local.sh" -d "$dir/nodes" down; }

# scene SCALE NODES NAME…: plays them.
scene() {
    local scale=$1 nodes=$2 subnet
    shift 2
    subnet=$(free_subnet 100 30)
    "$repository/tests/scenes/run.sh" --scale "$scale" --nodes "$nodes" --subnet "$subnet" \
        --dir "$dir" --program "$BIN/dht-server" "$@" >"$BATS_TEST_TMPDIR/tap" 3>&- || {
        cat "$BATS_TEST_TMPDIR/tap"
        false
    }
    cat "$BATS_TEST_TMPDIR/tap"
    [ "$(grep -c '^ok ' "$BATS_TEST_TMPDIR/tap")" -eq $# ]
}

@test "100 keys created through random nodes lie on exactly three of ten nodes each" { scene 1 10 creates; }

@test "one copy dead: read and updated on the two others" { scene 1 6 one_copy; }

@test "two copies dead: refused, not wrong, and served again within ten seconds" { scene 1 6 two_killed; }

@test "two neighbours killed at once: all keys are there" { scene 0.05 8 pairs; }

@test "deleted while a copy was stopped: still deleted when it goes on" { scene 1 6 deleted; }

@test "three copies again within seconds of a kill, a join and a leave" { scene 0.2 6 copies_again; }

@test "counters are right while nodes come and go" { scene 0.1 5 counters; }

@test "a restart of three nodes in turn, under load, loses and refuses nothing" { scene 1 3 rolling_three; }

@test "a stop of three seconds causes at most two views" { scene 0.2 5 stall; }

@test "a write whose outcome is unknown is asked again under its id, and done once" { scene 1 5 ids; }

@test "split in two under load: no two answers contradict each other" { scene 0.3 5 partition; }

@test "from one node to five and back to one" { scene 0.125 5 growth; }
