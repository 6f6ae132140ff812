#!/bin/bash
# Ten nodes: one joins, one is killed, one leaves, as kvcli members and the nodes' logs tell it.
# As root each has a network namespace of its own, else they are ports of 127.0.0.1. Ends them in the end.
#
#   tests/demo_ten.sh        or: make demo-ten
#
# SUBNET=10.X takes other addresses, PORT another port (that of the first node on loopback), RUN another
# folder for the logs.
set -u
cd "$(dirname "$0")/.." || exit 1

readonly run=${RUN-build/demo-ten}

bold='' dim='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi

local_sh() {
    deploy/local.sh -d "$run" "$@"
}

tell() {
    printf '\n%s\n' "${dim}# $*${plain}"
}

# show COMMAND: the command and what it prints.
show() {
    printf '%s\n' "${bold}\$ $1${plain}"
    bash -c "$1" </dev/null 2>&1 | sed 's/^/  /'
}

fail() {
    printf '%s\n' "$*"
    exit 1
}

# wait_for LIMIT_S COMMAND…: until it succeeds.
wait_for() {
    local end=$((SECONDS + $1 + 1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}

# sees NODE STATE OTHER: whether node NODE holds OTHER for ALIVE, DEAD or LEFT.
sees() {
    ./kvcli -s "${names[$1]}" members | grep -q "^$2 *${names[$3]} "
}

# all_see COUNT STATE OTHER: every running node of the first COUNT, OTHER left out.
all_see() {
    local node
    for ((node = 1; node <= $1; node++)); do
        [ "$node" -eq "$3" ] || [[ " $gone " == *" $node "* ]] || sees "$node" "$2" "$3" || return 1
    done
}

# is_full OTHER: whether it has its copies, and serves, as node 1 sees it.
is_full() {
    ./kvcli -s "$one" members | grep -q "^ALIVE *${names[$1]} .* full  .*%"
}

# told OTHER: the lines about it in the log of node 1, as a command to show.
told() {
    show "grep -h 'member=${names[$1]} ' $run/1/log | grep ' member-' | tail -n 3"
}

# names[N]: what node N is called.
read_names() {
    IFS=, read -r -a names <<<",$(local_sh names)"
}

gone=''
options=()
[ -z "${SUBNET-}" ] || options+=(--subnet "$SUBNET")
[ -z "${PORT-}" ] || options+=(--port "$PORT")

mkdir -p "$(dirname "$run")"
local_sh down || exit 1
trap 'local_sh down' EXIT
tell "nine nodes, started together"
local_sh "${options[@]}" up 9 || exit 1
read_names
one=${names[1]}
for ((node = 2; node <= 9; node++)); do
    wait_for 20 all_see 9 ALIVE "$node" || fail "not all nine see node $node"
done
show "./kvcli -s $one members"

tell "a tenth joins; it stands in nobody's peers.txt"
show "deploy/local.sh -d $run up 10"
read_names
wait_for 20 all_see 10 ALIVE 10 || fail "not all see the tenth"
show "./kvcli -s $one members --count"
told 10

tell "one is killed"
show "deploy/local.sh -d $run kill 4"
gone+=" 4"
wait_for 20 all_see 10 DEAD 4 || fail "not all know that node 4 is dead"
show "./kvcli -s $one members"
told 4

tell "one leaves"
show "deploy/local.sh -d $run stop 7"
gone+=" 7"
wait_for 20 all_see 10 LEFT 7 || fail "not all know that node 7 has left"
show "./kvcli -s $one members"
told 7

tell "the killed one comes back, empty, as another process of the name"
show "deploy/local.sh -d $run start 4"
gone=" 7"
wait_for 20 all_see 10 ALIVE 4 || fail "not all see node 4 again"
wait_for 20 is_full 4 || fail "node 4 has not got its copies"
show "./kvcli -s $one members"
told 4
