#!/usr/bin/env bats
# deploy/local.sh: many nodes on this machine.

load helpers

setup() {
    dir=$BATS_TEST_TMPDIR/cluster
    subnet=$(free_subnet 130 30)
}

teardown() {
    if [ -z "${BATS_TEST_COMPLETED-}" ]; then
        tail -n 5 "$dir"/*/log || true
    fi
    local_sh down
    ip link del "dht-taken$$" 2>/dev/null || true
}

local_sh() { "$repository/deploy/local.sh" -d "$dir" "$@" 3>&-; }

# up_loopback COUNT: on ports that are free together.
up_loopback() {
    local count=$1 first
    shift
    for _ in {1..20}; do
        first=$((RANDOM % 20000 + 10000))
        ! local_sh --loopback --port "$first" --program "$BIN/dht-server" up "$count" "$@" || return 0
        local_sh down
    done
    return 1
}

up_namespaces() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    local_sh --subnet "$subnet" --program "$BIN/dht-server" up "$@"
}

# field NODE NAME: of the status in JSON.
field() {
    local_sh --json status | /usr/bin/python3 -c '
import json, sys
print(json.load(sys.stdin)["nodes"][int(sys.argv[1]) - 1][sys.argv[2]])' "$1" "$2"
}

at() {
    local node=$1
    shift
    timeout 20 "$BIN/kvcli" -s "$(local_sh names "$node")" "$@"
}

@test "the tests pass over a subnet that something on this host has" {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    ip link add "dht-taken$$" type bridge
    ip addr add 10.250.255.254/16 dev "dht-taken$$"
    run free_subnet 250 2
    [ "$output" = 10.251 ]
    run free_subnet 250 1
    [ "$status" -eq 1 ]
}

@test "loopback: nodes are started, killed, started again, paused, resumed and ended by number" {
    up_loopback 5
    local_sh status
    at 1 put fruit apple
    [ "$(at 5 get fruit)" = apple ]

    local pid
    pid=$(field 3 pid)
    local_sh kill 3
    [ "$(field 3 state)" = ended ]
    run local_sh status
    [ "$status" -eq 1 ]
    local_sh start 3
    [ "$(field 3 state)" = running ]
    [ "$(field 3 pid)" != "$pid" ]

    local_sh pause 1-2
    [ "$(field 2 state)" = paused ]
    local_sh resume 1-2
    [ "$(field 2 state)" = running ]
    local_sh stop 5
    grep -q ' stopp' "$dir/5/log"

    pid=$(field 4 pid)
    local_sh down
    fails is_running "$pid"
    run local_sh status
    [ "$status" -eq 3 ]
    [ -s "$dir/4/log" ]
}

@test "up and down twice do what once does; up starts only what is missing" {
    up_loopback 3
    local pid
    pid=$(field 2 pid)
    local_sh kill 1
    local_sh up
    local_sh up 3
    [ "$(field 2 pid)" = "$pid" ]
    local_sh status
    local_sh down
    local_sh down
}

@test "a process that got the number of a node that ended is left alone" {
    up_loopback 2
    local_sh kill 1
    sleep 60 3>&- &
    local stranger=$!
    # The number of the stranger with the start time of the node.
    printf '%s %s\n' "$stranger" 1 >"$dir/1/process"
    [ "$(field 1 state)" = ended ]
    run local_sh kill 1
    [ "$status" -eq 1 ]
    local_sh down
    is_running "$stranger"
    kill "$stranger"
}

@test "a node that does not start is named with its reason, and the others run" {
    up_loopback 3
    local_sh kill 2
    local port
    port=$(local_sh names 2)
    port=${port#*:}
    nc -lk 127.0.0.1 "$port" >/dev/null 3>&- & # a node that dials it must not end it
    local holder=$!
    wait_until 5 bash -c "ss -Hltn | grep -q '127.0.0.1:$port '"
    run local_sh up
    kill "$holder"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *"node 2 did not start: "*"$port"* ]]
    [ "$(field 1 state)" = running ]
    [ "$(field 3 state)" = running ]
}

@test "what cannot be done is said, with exit codes" {
    run local_sh kill 1
    [ "$status" -eq 3 ]
    run local_sh --port 70000 up 3
    [ "$status" -eq 2 ]
    run local_sh up
    [ "$status" -eq 2 ]
    run local_sh fly
    [ "$status" -eq 2 ]
    up_loopback 2
    run local_sh kill 3
    [ "$status" -eq 2 ]
    run local_sh kill
    [ "$status" -eq 2 ]
    run local_sh off 1
    [ "$status" -eq 1 ]
    run local_sh --port 9 up
    [ "$status" -eq 1 ]
    mkdir "$BATS_TEST_TMPDIR/mine"
    touch "$BATS_TEST_TMPDIR/mine/thesis"
    run "$repository/deploy/local.sh" -d "$BATS_TEST_TMPDIR/mine" up 3
    [ "$status" -eq 1 ]
    [ "$(ls "$BATS_TEST_TMPDIR/mine")" = thesis ]
}

@test "namespaces: every node has an address of its own, and all is gone in the end" {
    up_namespaces 4
    [ "$(local_sh names 4)" = "$subnet.0.4:11211" ]
    [ "$(wc -l <"$dir/peers.txt")" -eq 4 ]
    at 1 put fruit apple
    [ "$(at 4 get fruit)" = apple ]
    local_sh run 2 ip -br addr | grep -q "$subnet.0.2/16"
    local id
    id=$(sed -n 's/^id=//p' "$dir/cluster")
    local_sh down
    fails grep "$id" <(ip netns list; ip -br link)
}

@test "namespaces: a link is taken down, nodes are split, packets are lost, and all is undone" {
    up_namespaces 4
    local_sh off 2
    [ "$(field 2 link)" = down ]
    run at 2 -t 300ms version
    [ "$status" -eq 3 ]
    local_sh on 2
    wait_until 10 at 2 version

    # seen FROM TO: whether a connection can be had between the machines of two nodes.
    seen() { local_sh run "$1" timeout 2 nc -z "$subnet.0.$2" 11211; }
    local_sh split 3-4
    seen 3 4
    seen 1 2
    fails seen 1 3
    fails seen 4 2
    local_sh heal
    wait_until 10 seen 1 3
    wait_until 10 seen 4 2

    command -v nft >/dev/null || skip "loss needs nft"
    local_sh loss 100 1
    fails seen 2 1
    local_sh loss 0 1
    wait_until 10 seen 2 1
}

@test "the status in JSON is JSON, whatever the folder is called" {
    dir=$BATS_TEST_TMPDIR/'a "b" \\c'$'\t\n'd
    up_loopback 2
    [ "$(field 2 log)" = "$dir/2/log" ]
    local_sh --json status | jq -e --arg dir "$dir" '.dir == $dir and .peers == ($dir + "/peers.txt")'
}
