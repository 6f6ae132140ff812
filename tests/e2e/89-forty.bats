#!/usr/bin/env bats
# tests/forty measures what it says, tried on six nodes. (The table is of forty: make forty.)

load helpers

teardown() { "$repository/deploy/local.sh" -d "$BATS_TEST_TMPDIR/nodes" down; }

@test "whom a node sees is read from its log, however it came to know of them" {
    /usr/bin/python3 -B "$repository/tests/forty/check_cluster.py"
}

@test "a kill, a restart and a leave of six nodes are seen by all, within ten times what is wanted" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    local subnet
    subnet=$(free_subnet 190 30)
    "$repository/tests/forty/run.sh" --tap --nodes 6 --scale 0.1 --subnet "$subnet" \
        --dir "$BATS_TEST_TMPDIR/nodes" --program "$BIN/dht-server" kill1 leave restart \
        >"$BATS_TEST_TMPDIR/tap" 3>&- || {
        cat "$BATS_TEST_TMPDIR/tap"
        false
    }
    [ "$(grep -c '^ok ' "$BATS_TEST_TMPDIR/tap")" -eq 4 ]
    # Nobody can know of a death before it is certain: 0.2 s after the evidence (t-refused).
    grep -qE '^# kill -9 one: first knows it dead: (0\.[2-9]|[1-9])' "$BATS_TEST_TMPDIR/tap"
}
