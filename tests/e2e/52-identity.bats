#!/usr/bin/env bats
# Who a node is: its name, its state file, its boot, and one process for each.

load helpers

setup() {
    own=$(free_ports 1)
    peers=$BATS_TEST_TMPDIR/peers.txt
    printf '127.0.0.1:%s\n' "$own" >"$peers"
}
teardown() { end_all; }

# said NAME KEY: the value of KEY in the line with which the server NAME said that it listens.
said() {
    sed -n "s/.* listening .*\b$2=\([^ ]*\).*/\1/p" "$BATS_TEST_TMPDIR/$1.log" | head -n 1
}

# run_node [OPTION…]: starts the node of $own and ends it again, its log in node.log; sets boot and status.
run_node() {
    start_server node "$peers" "$own" "$@"
    wait_listening node
    boot=$(said node boot)
    kill -TERM "$pid"
    ended_within 10 "$pid"
}

@test "the name is the line of peers.txt with this port, another only if --advertise says so" {
    run_node
    [ "$(said node name)" = "127.0.0.1:$own" ]
    [ "$(said node seeds)" = 1 ]
    rm -r "$BATS_TEST_TMPDIR/node.state"
    run_node --advertise "Node-1.Example:9"
    [ "$(said node name)" = node-1.example:9 ]
}

@test "who stands in no line is called by the address listened on and the port" {
    printf '127.0.0.1:1\n' >"$peers"
    run_node
    [ "$(said node name)" = "127.0.0.1:$own" ]
    rm -r "$BATS_TEST_TMPDIR/node.state"
    start_server node "$peers" "$own" -l 127.0.0.2
    wait_until 10 grep -q ' listening ' "$BATS_TEST_TMPDIR/node.log"
    [ "$(said node name)" = "127.0.0.2:$own" ]
    [ "$(said node address)" = "127.0.0.2:$own" ]
}

@test "who listens everywhere beside others must say its name, exit 2" {
    printf '127.0.0.1:1\n' >"$peers"
    refuses 2 '0\.0\.0\.0 .*--advertise' "$peers" "$own" -l 0.0.0.0 --state-dir "$BATS_TEST_TMPDIR/s"
}

@test "two lines that are both this machine's are an error that says what helps, exit 2" {
    printf '127.0.0.1:%s\n127.0.0.2:%s\n' "$own" "$own" >"$peers"
    refuses 2 '2 lines .*--advertise' "$peers" "$own" --state-dir "$BATS_TEST_TMPDIR/s"
}

@test "a node that listens beyond loopback says once that nothing is protected" {
    run_node -l 0.0.0.0 --advertise "127.0.0.1:$own"
    [ "$(grep -c ' warn .* unprotected ' "$BATS_TEST_TMPDIR/node.log")" -eq 1 ]
    run_node
    [ "$(grep -c ' unprotected ' "$BATS_TEST_TMPDIR/node.log")" -eq 0 ]
}

# state_text FILE: the text of its newer half.
state_text() {
    local half=$(($(stat -c %s "$1") / 2)) at=1 first second bytes
    read -r _ _ _ first _ < <(head -c 55 "$1")
    read -r _ _ _ second _ < <(tail -c "$half" "$1" | head -c 55 | tr -d '\0') || true
    [[ $second > $first ]] && at=$((half + 1))
    read -r _ _ _ _ bytes _ < <(tail -c "+$at" "$1" | head -c 55)
    tail -c "+$((at + 55))" "$1" | head -c "$((16#$bytes))"
}

@test "each start has a higher boot, also when the clock has been set back" {
    local first state=$BATS_TEST_TMPDIR/node.state/state
    run_node
    first=$boot
    state_text "$state" >"$BATS_TEST_TMPDIR/text"
    grep -qx "boot $first" "$BATS_TEST_TMPDIR/text"
    run_node
    [ "$boot" -gt "$first" ]
    # As if the last start had been in the year 2100, of a version that wrote the text alone.
    sed -i 's/^boot .*/boot 4102444800000/' "$BATS_TEST_TMPDIR/text"
    cp "$BATS_TEST_TMPDIR/text" "$state"
    run_node
    [ "$boot" = 4102444800001 ]
    state_text "$state" | grep -qx 'boot 4102444800001'
}

@test "a state file of which the last change is not whole is the one before it" {
    local state=$BATS_TEST_TMPDIR/node.state/state half at id first
    run_node
    first=$boot
    half=$(($(stat -c %s "$state") / 2))
    id=$(state_text "$state" | grep '^id ')
    [ "$id" != 'id 0000000000000000' ] # it has founded a cluster of one: the second change
    printf x | dd of="$state" bs=1 seek=$((half + 100)) conv=notrunc status=none
    run_node # which knows nothing of that, and founds another
    [ "$boot" -gt "$first" ]
    [ "$(state_text "$state" | grep '^id ')" != "$id" ]
    [ "$(grep -c ' warn .* state-damaged half=second change=2 used=1 effect="what this node promised' "$BATS_TEST_TMPDIR/node.log")" -eq 1 ]
    run_node # the file has been made anew: nothing more to say
    [ "$(grep -c ' state-damaged ' "$BATS_TEST_TMPDIR/node.log")" -eq 0 ]
    # With neither half whole it is refused and kept.
    for at in 100 $((half + 100)); do
        printf x | dd of="$state" bs=1 seek="$at" conv=notrunc status=none
    done
    cp "$state" "$BATS_TEST_TMPDIR/damaged"
    refuses 1 '/state: it is damaged' "$peers" "$own" --state-dir "$BATS_TEST_TMPDIR/node.state"
    cmp "$state" "$BATS_TEST_TMPDIR/damaged"
}

@test "a killed node leaves its state behind, whole" {
    start_server node "$peers" "$own"
    wait_listening node
    kill -KILL "$pid"
    ended_within 5 "$pid"
    local first
    first=$(said node boot)
    run_node
    [ "$boot" -gt "$first" ]
}

@test "two processes cannot use one state directory; the second says so, exit 1" {
    start_server node "$peers" "$own"
    wait_listening node
    refuses 1 'another dht-server .*--state-dir' "$peers" 0 --state-dir "$BATS_TEST_TMPDIR/node.state"
    [ "$(stat_of "$own" pid)" = "$pid" ]
}

@test "garbage in the state file is refused and kept, exit 1" {
    mkdir "$BATS_TEST_TMPDIR/s"
    echo garbage >"$BATS_TEST_TMPDIR/s/state"
    refuses 1 '/s/state: it is no state file' "$peers" "$own" --state-dir "$BATS_TEST_TMPDIR/s"
    [ "$(cat "$BATS_TEST_TMPDIR/s/state")" = garbage ]
}

@test "a state file that is a FIFO keeps nobody waiting" {
    mkdir "$BATS_TEST_TMPDIR/s"
    mkfifo "$BATS_TEST_TMPDIR/s/state"
    refuses 1 '/s/state: ' "$peers" "$own" --state-dir "$BATS_TEST_TMPDIR/s"
}

@test "another node's state, or another cluster's, is refused, exit 1" {
    run_node
    refuses 1 "belongs to the node 127.0.0.1:$own" /dev/null "$(free_ports 1)" --state-dir "$BATS_TEST_TMPDIR/node.state"
    refuses 1 'cluster dht, and this is one of cluster other' "$peers" "$own" --cluster other --state-dir "$BATS_TEST_TMPDIR/node.state"
}

@test "a state directory that was chosen and cannot be made is an error, exit 1" {
    refuses 1 'cannot make .*--state-dir' "$peers" "$own" --state-dir /dev/null/x
    STATE_DIRECTORY=/dev/null/x refuses 1 'cannot make' "$peers" "$own"
}

@test "a start whose state file finds no room says so in a line, exit 1, and leaves the old one" {
    local full=$BATS_TEST_TMPDIR/full
    # The limit of a file's size is what any user can have less of; a full disk is the same write failing.
    (ulimit -f 64 && refuses 1 "cannot write the state file in $full: File too large; make room for it" \
        "$peers" "$own" --state-dir "$full")
    [ "$(ls "$full")" = lock ]
    if ! unshare --user --map-root-user --mount true; then
        skip "no mount namespace: not tried on a full disk"
    fi
    mkdir "$BATS_TEST_TMPDIR/disk"
    timeout 30 unshare --user --map-root-user --mount bash -c '
        disk=$1 server=$2
        shift 2
        mount -t tmpfs -o size=192k none "$disk"
        timeout 10 "$server" "$@" --state-dir "$disk/s" 2>"$disk.log" &
        until grep -q " listening " "$disk.log"; do sleep 0.05; done
        kill $! && wait $! || true
        cp "$disk/s/state" "$disk.before"
        status=0
        timeout 10 "$server" "$@" --state-dir "$disk/s" 2>"$disk.log" || status=$?
        cmp "$disk.before" "$disk/s/state" && ls "$disk/s" && exit "$status"' \
        - "$BATS_TEST_TMPDIR/disk" "$BIN/dht-server" "$peers" "$own" >"$BATS_TEST_TMPDIR/left" || status=$?
    [ "$status" -eq 1 ]
    [ "$(cat "$BATS_TEST_TMPDIR/disk.log")" = "dht-server: cannot write the state file in $BATS_TEST_TMPDIR/disk/s: No space left on device; make room for it, or say where with --state-dir DIR" ]
    [ "$(cat "$BATS_TEST_TMPDIR/left")" = $'lock\nstate' ]
}

@test "without a place for its state a node runs, and says so once" {
    HOME='' XDG_STATE_HOME='' run timeout 10 bash -c "
        exec 2>'$BATS_TEST_TMPDIR/node.log'
        '$BIN/dht-server' '$peers' '$own' & until grep -q ' listening ' '$BATS_TEST_TMPDIR/node.log'; do sleep 0.05; done
        kill \$!; wait \$!"
    [ "$status" -eq 0 ]
    [ "$(grep -c ' warn .* no-state-file ' "$BATS_TEST_TMPDIR/node.log")" -eq 1 ]
    grep -q ' listening .*state=none' "$BATS_TEST_TMPDIR/node.log"
}

@test "state lies where systemd says, else below the user's state directory by the node's name" {
    local name=127.0.0.1:$own
    for place in systemd xdg home; do
        case $place in
            systemd) set -- STATE_DIRECTORY="$BATS_TEST_TMPDIR/a:/b" XDG_STATE_HOME=/nowhere HOME=/nowhere "$BATS_TEST_TMPDIR/a" ;;
            xdg) set -- XDG_STATE_HOME="$BATS_TEST_TMPDIR/x" HOME=/nowhere A=B "$BATS_TEST_TMPDIR/x/dht/$name" ;;
            home) set -- XDG_STATE_HOME= HOME="$BATS_TEST_TMPDIR/h" A=B "$BATS_TEST_TMPDIR/h/.local/state/dht/$name" ;;
        esac
        : >"$BATS_TEST_TMPDIR/node.log"
        env "${@:1:3}" "$BIN/dht-server" "$peers" "$own" 2>"$BATS_TEST_TMPDIR/node.log" 3>&- &
        pid=$!
        pids+=("$pid")
        wait_listening node
        [ -s "$4/state" ]
        kill -TERM "$pid"
        ended_within 10 "$pid"
    done
}
