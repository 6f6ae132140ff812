#!/bin/bash
# A small cluster to try: starts every node of peers.txt on this machine in the background, shows
# what they do, and leaves them running.
#
#   tests/demo.sh start|stop      or: make demo, make demo-stop
#
# PEERS=FILE takes another list of nodes. Logs lie below build/demo/.
set -u
cd "$(dirname "$0")/.." || exit 1

readonly peers=${PEERS-peers.txt}
readonly run=build/demo

bold='' dim='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi

say() {
    printf '%s\n' "$*"
}

local_sh() {
    deploy/local.sh -d "$run" "$@"
}

# Shows a command and what it prints, and whether it ended with that exit code.
# show EXIT_CODE COMMAND
show() {
    local code
    say "${bold}\$ $2${plain}"
    bash -c "$2" </dev/null 2>&1 | sed "s/^/  /"
    code=${PIPESTATUS[0]}
    if [ "$code" -ne "$1" ]; then
        say "this should have ended with exit code $1, not $code"
        return 1
    fi
}

# wait_for COMMAND: until it succeeds, 10 s at most.
wait_for() {
    for _ in {1..200}; do
        ! bash -c "$1" >/dev/null 2>&1 </dev/null || return 0
        sleep 0.05
    done
    say "waited in vain for: $1"
    return 1
}

tour() {
    local first=$1 second=$2 third=$3
    say "${dim}# put through one node, get through others${plain}"
    show 0 "for i in 1 2 3 4 5 6; do ./kvcli -s $first put key\$i value\$i || exit; done" &&
        show 0 "for i in 1 2 3; do ./kvcli -s $second get key\$i || exit; echo; done" &&
        show 0 "for i in 4 5 6; do ./kvcli -s $third get key\$i || exit; echo; done" &&
        say "${dim}# the same with nothing but netcat: memcached's protocol${plain}" &&
        show 0 "printf 'set fruit 0 0 5\\r\\napple\\r\\nget fruit\\r\\nquit\\r\\n' | nc -N ${second/:/ }"
}

# leader_of KEY, as the first node has it.
leader_of() {
    ./kvcli -s "$1" where "$2" | sed -n 's/.*leader \([^,]*\).*/\1/p'
}

# A key that another node leads: that node answers the client directly.
tour_direct() {
    local first=$1 key leader
    for key in key{1..6}; do
        leader=$(leader_of "$first" "$key")
        [ "$leader" = "$first" ] || break
    done
    say "${dim}# every key has a node that leads it, its primary${plain}"
    show 0 "./kvcli -s $first where $key" || return 1
    [ "$leader" != "$first" ] || return 0
    say "${dim}# asked for it, another node passes the question on, and the leader answers directly${plain}"
    show 0 "./kvcli -v --via $first get $key; echo" &&
        show 0 "./kvcli -s $first stats | grep -E '^forwards_(sent|direct) '" &&
        show 0 "./kvcli -s $leader stats | grep -E '^(forwards_served|answers_direct) '"
}

# The last node dies: the others notice, serve its keys, and make the third copies anew.
tour_death() {
    local first=$1 number=$2 name=$3 key
    for key in key{1..100}; do
        [ "$(leader_of "$first" "$key")" != "$name" ] || break
    done
    # Of the keys that were put, if it leads one of them.
    [[ $key == key[1-6] ]] || show 0 "./kvcli -s $first put $key value${key#key}" || return 1
    say "${dim}# every key lies on three nodes${plain}"
    show 0 "./kvcli -s $first where $key" &&
        say "${dim}# a node dies: what it led is there, and can be written, a moment later${plain}" &&
        show 0 "deploy/local.sh -d $run kill $number" &&
        show 0 "for i in 1 2 3 4 5 6; do ./kvcli -s $first get key\$i && echo || exit; done" &&
        { [[ $key == key[1-6] ]] || show 0 "./kvcli -s $first get $key && echo"; } &&
        show 0 "./kvcli -s $first put $key 'written after the death'" &&
        wait_for "./kvcli -s $first members | grep -q '^DEAD  *$name '" &&
        show 0 "./kvcli -s $first members" || return 1
    [ "$number" -gt 3 ] || return 0
    wait_for "[ \$(./kvcli -s $first --json status | jq '.well and (.nodes | length) == $((number - 1))') = true ]" &&
        say "${dim}# and after some seconds every key has three copies again, on the others${plain}" &&
        show 0 "./kvcli -s $first status" &&
        show 0 "./kvcli -s $first where $key"
}

start() {
    local nodes
    # As the server reads it, more or less: one host:port a line, comments.
    mapfile -t nodes < <(sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$peers")
    if [ "${#nodes[@]}" -eq 0 ]; then
        say "$peers names no nodes"
        return 1
    fi
    mkdir -p build
    [ ! -e "$run/cluster" ] || say "The nodes of the last demo are stopped."
    local_sh down || return 1
    say "Starting ${#nodes[@]} nodes, those of $peers:"
    if ! local_sh --peers "$peers" up; then
        local_sh down
        say "Nothing was left running. Another list of nodes: make demo PEERS=FILE"
        return 1
    fi
    local_sh status
    say
    if ! wait_for "[ \$(./kvcli -s ${nodes[0]} --json status | jq '.well and (.nodes | length) == ${#nodes[@]}') = true ]" ||
        ! tour "${nodes[0]}" "${nodes[1 % ${#nodes[@]}]}" "${nodes[2 % ${#nodes[@]}]}" ||
        ! tour_direct "${nodes[0]}" ||
        ! { [ "${#nodes[@]}" -eq 1 ] || tour_death "${nodes[0]}" "${#nodes[@]}" "${nodes[-1]}"; }; then
        local_sh down
        return 1
    fi
    next_commands "${nodes[@]}"
}

next_commands() {
    local first=$1 second=${2-$1}
    cat <<END

${bold}The cluster is yours.${plain} Ask any node for any key:
  ./kvcli -s $first put colour blue
  ./kvcli -s $second get colour
  ./kvcli -s $first repl                an interactive session
  telnet ${first/:/ }                      memcached's protocol by hand
Start the dead node again, kill another, look how they are (nodes are numbered from 1):
  deploy/local.sh -d $run start $#
  deploy/local.sh -d $run kill 2
  deploy/local.sh -d $run status
  ./kvcli -s $first members
  ./kvcli -s $first status
Stop them all:
  make demo-stop
END
}

stop() {
    local was="No node is running."
    [ ! -e "$run/cluster" ] || was="The nodes were stopped."
    local_sh down && say "$was"
}

case ${1-} in
start | stop) "$1" ;;
*)
    say "usage: tests/demo.sh start|stop" >&2
    exit 2
    ;;
esac
