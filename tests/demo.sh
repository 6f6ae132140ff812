#!/bin/bash
# A small cluster to try: starts every node of peers.txt on this machine in the background, shows
# what they do, and leaves them running.
#
#   tests/demo.sh start|stop      or: make demo, make demo-stop
#
# PEERS=FILE takes another list of nodes. Logs and process numbers lie below build/demo/.
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

# Whether PID is one of our servers still: the number may belong to somebody else by now, or to what
# is left of a process whose parent never asks (which has no exe).
is_running() {
    [[ $(readlink "/proc/$1/exe") =~ /dht-server( \(deleted\))?$ ]]
}

# Ends the nodes that were started from here; true if there were any.
stop_nodes() {
    local file pid found=1
    for file in "$run"/*.pid; do
        [ -e "$file" ] || continue
        pid=$(cat "$file")
        if is_running "$pid"; then
            kill "$pid"
            found=0
            for _ in {1..100}; do
                is_running "$pid" || break
                sleep 0.05
            done
        fi
        rm -f "$file"
    done
    return $found
}

# Starts the node of one line and waits until it listens; its last words if it does not.
start_node() {
    local address=$1 port=${1##*:} pid
    setsid ./dht-server "$peers" "$port" </dev/null >"$run/$port.log" 2>&1 &
    pid=$!
    echo "$pid" >"$run/$port.pid"
    for _ in {1..100}; do
        if grep -q ' listening ' "$run/$port.log"; then
            say "  $address   process $pid, log $run/$port.log"
            return 0
        fi
        is_running "$pid" || kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    say "${bold}The node $address did not start:${plain}"
    sed 's/^/  /' "$run/$port.log"
    return 1
}

# Shows a command and what it prints; a negative answer is no failure here.
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
    say "${dim}# put through one node, get through another, delete through a third${plain}"
    show 0 "./kvcli -s $first put greeting 'hello, ring'" &&
        show 0 "./kvcli -s $second get greeting; echo" &&
        show 0 "./kvcli -s $third del greeting" &&
        show 1 "./kvcli -s $first get greeting" &&
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
    mkdir -p "$run"
    stop_nodes && say "The nodes of the last demo were stopped."
    rm -f "$run"/*.log
    say "Starting ${#nodes[@]} nodes, those of $peers:"
    for node in "${nodes[@]}"; do
        if ! start_node "$node"; then
            stop_nodes
            say "Nothing was left running. Another list of nodes: make demo PEERS=FILE"
            return 1
        fi
    done
    say
    if ! tour "${nodes[0]}" "${nodes[1 % ${#nodes[@]}]}" "${nodes[2 % ${#nodes[@]}]}"; then
        stop_nodes
        return 1
    fi
    next_commands "${nodes[@]}"
}

next_commands() {
    local first=$1 last=${*: -1} port
    port=${last##*:}
    cat <<END

${bold}The cluster is yours.${plain} Ask any node for any key:
  ./kvcli -s $first put colour blue
  ./kvcli -s $last get colour
  ./kvcli -s $first repl                an interactive session
  telnet ${first/:/ }                      memcached's protocol by hand
Stop one node: its keys are lost, commands for them say so at once, all others go on.
  kill \$(cat $run/$port.pid)
  for i in 1 2 3 4 5 6; do ./kvcli -s $first put key\$i value; done
Start it again:
  ./dht-server $peers $port &
Stop them all:
  make demo-stop
END
}

stop() {
    if stop_nodes; then
        say "The nodes were stopped."
    else
        say "No node is running."
    fi
}

case ${1-} in
start | stop) "$1" ;;
*)
    say "usage: tests/demo.sh start|stop" >&2
    exit 2
    ;;
esac
