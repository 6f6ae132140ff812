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

tour() {
    local first=$1 second=$2 third=$3
    say "${dim}# put through one node, get through others${plain}"
    show 0 "for i in 1 2 3 4 5 6; do ./kvcli -s $first put key\$i value\$i || exit; done" &&
        show 0 "for i in 1 2 3; do ./kvcli -s $second get key\$i || exit; echo; done" &&
        show 0 "for i in 4 5 6; do ./kvcli -s $third get key\$i || exit; echo; done" &&
        say "${dim}# the same with nothing but netcat: memcached's protocol${plain}" &&
        show 0 "printf 'set fruit 0 0 5\\r\\napple\\r\\nget fruit\\r\\nquit\\r\\n' | nc -N ${second/:/ }"
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
    if ! tour "${nodes[0]}" "${nodes[1 % ${#nodes[@]}]}" "${nodes[2 % ${#nodes[@]}]}"; then
        local_sh down
        return 1
    fi
    next_commands "${nodes[@]}"
}

next_commands() {
    local first=$1 last=${*: -1}
    cat <<END

${bold}The cluster is yours.${plain} Ask any node for any key:
  ./kvcli -s $first put colour blue
  ./kvcli -s $last get colour
  ./kvcli -s $first repl                an interactive session
  telnet ${first/:/ }                      memcached's protocol by hand
Kill a node, start it again, look how they are (nodes are numbered from 1):
  deploy/local.sh -d $run kill 2
  deploy/local.sh -d $run start 2
  deploy/local.sh -d $run status
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
