# What every file of end to end tests uses: starting and ending real servers, asking them, waiting.
#
# Each test has a directory of its own ($BATS_TEST_TMPDIR) and ends only what it started. Servers
# close fd 3, else bats waits for them. BIN=build/asan tests the programs built there.
# shellcheck shell=bash disable=SC2034,SC2154 # members, port and status are for the tests; output and lines are bats's

repository=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
BIN=${BIN:-$repository}
[[ $BIN == /* ]] || BIN=$repository/$BIN
wire() { in_net /usr/bin/python3 -B "$BATS_TEST_DIRNAME/wire.py" "$@"; }

# Whoever starts a server without --state-dir has its state here, never at home.
export XDG_STATE_HOME=$BATS_TEST_TMPDIR/state
unset STATE_DIRECTORY

pids=()   # of every process started here
netns=''  # the network namespace of a cluster, if one was made

# in_net COMMAND…: where the servers of this test live.
in_net() {
    if [ -n "$netns" ]; then
        ip netns exec "$netns" "$@"
    else
        "$@"
    fi
}

# wait_until LIMIT_S COMMAND…: until the command succeeds.
wait_until() {
    local limit=$((SECONDS + $1 + 1))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $limit ]; then
            echo "waited in vain for: $*"
            return 1
        fi
        sleep 0.05
    done
}

# start_in_net COMMAND…: runs a program in the background where the servers of this test live; sets pid.
start_in_net() {
    local prefix=()
    [ -z "$netns" ] || prefix=(ip netns exec "$netns") # becomes the program, unlike in_net
    "${prefix[@]}" "$@" </dev/null 3>&- &
    pid=$!
    pids+=("$pid")
}

# start_server NAME ARGUMENT…: dht-server in the background, its state in NAME.state unless told
# otherwise, its log in NAME.log; sets pid.
start_server() {
    local name=$1 state=()
    shift
    [[ " $* " == *' --state-dir '* ]] || state=(--state-dir "$BATS_TEST_TMPDIR/$name.state")
    : >"$BATS_TEST_TMPDIR/$name.log" # what an earlier one said must not be taken for this one's
    start_in_net "$BIN/dht-server" "${state[@]}" "$@" 2>"$BATS_TEST_TMPDIR/$name.log" >/dev/null
}

# wait_listening NAME: until that server's log says where it listens; sets port.
wait_listening() {
    local log=$BATS_TEST_TMPDIR/$1.log
    wait_until 10 grep -q ' listening address=' "$log" || return 1
    port=$(sed -n 's/.* listening address=[^ ]*:\([0-9]*\).*/\1/p' "$log" | head -n 1)
    # The process that answers there is the one that was started.
    [ "$(stat_of "$port" pid)" = "$pid" ]
}

# start_node [OPTION…]: one node on a free port; sets pid and port.
start_node() {
    : >"$BATS_TEST_TMPDIR/peers.txt"
    rm -rf "$BATS_TEST_TMPDIR/node.state" # another port is another node
    start_server node "$BATS_TEST_TMPDIR/peers.txt" 0 "$@"
    wait_listening node
}

# free_ports COUNT
free_ports() {
    /usr/bin/python3 -c '
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in held))' "$1"
}

# free_subnet FIRST COUNT: one of 10.FIRST, 10.FIRST+1 … of which this host has no address. Files have
# ranges of their own, as they run at once; what a killed run left on its bridges is passed over.
free_subnet() {
    local second start=$((RANDOM % $2)) used
    used=$(ip -4 -br addr)
    for ((second = 0; second < $2; second++)); do
        set -- "$1" "$2" "10.$(($1 + (start + second) % $2))"
        [[ $used == *" $3."* ]] || {
            echo "$3"
            return
        }
    done
    echo "none of 10.$1 and the next $(($2 - 1)) is free: $used" >&2
    return 1
}

# make_net: a namespace for this test's cluster, ports 7001 …; without root free ports of this host.
make_net() {
    if [ "$(id -u)" = 0 ]; then
        netns=dht-e2e-$$-$RANDOM
        ip netns add "$netns"
        ip -n "$netns" link set lo up
        read -r -a ports <<<"7001 7002 7003"
    else
        read -r -a ports <<<"$(free_ports 3)"
    fi
}

# start_member INDEX [OPTION…]: starts (or starts again) the node of ports[INDEX]; members[INDEX] is its pid.
start_member() {
    local index=$1
    shift
    start_server "member$index" "$BATS_TEST_TMPDIR/peers.txt" "${ports[$index]}" "$@"
    members[index]=$pid
    local port
    wait_listening "member$index"
}

# has_ring PORT COUNT: the ring of that node has so many members.
has_ring() {
    [[ $(ask "$1" 'ring\r\n') == "RING "*" $2"$'\r' ]]
}

# all_have_ring COUNT PORT…: waits until all of these nodes have a ring of so many members.
all_have_ring() {
    local count=$1 p
    shift
    for p in "$@"; do
        wait_until 20 has_ring "$p" "$count" || return 1
    done
}

# is_whole PORT COUNT: the cluster of that node has so many members, and every slot all its copies.
is_whole() {
    in_net "$BIN/kvcli" -s "127.0.0.1:$1" --json status >"$BATS_TEST_TMPDIR/status" 2>/dev/null
    jq -e ".under_replicated == 0 and .unavailable == 0 and (.nodes | length) == $2 and
        (.nodes | all(.role == \"full\" and .standing == \"up\"))" <"$BATS_TEST_TMPDIR/status" >/dev/null
}

# leader_of KEY: the port of the node that leads it, as the node on $port has it.
leader_of() {
    kvcli --json where "$1" | jq -r .leader | sed 's/.*://'
}

# start_cluster [OPTION…]: three nodes of one peers.txt, fully replicated; sets ports and members.
start_cluster() {
    members=()
    make_net
    printf '127.0.0.1:%s\n' "${ports[@]}" >"$BATS_TEST_TMPDIR/peers.txt"
    local index
    for index in 0 1 2; do
        start_member "$index" "$@"
    done
    port=${ports[0]}
    wait_until 20 is_whole "$port" 3
    all_have_ring 3 "${ports[@]}"
}

# end_all: for teardown. Ends what this test started; shows the logs if it failed.
end_all() {
    local pid log
    for pid in "${pids[@]}"; do
        kill -CONT "$pid" 2>/dev/null || true
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if [ -n "$netns" ]; then
        ip netns del "$netns"
    fi
    if [ -z "${BATS_TEST_COMPLETED-}" ]; then
        for log in "$BATS_TEST_TMPDIR"/*.log; do
            [ -e "$log" ] || continue
            echo "--- $(basename "$log")"
            tail -n 20 "$log"
        done
    fi
}

# is_running PID: ended and unreaped counts as ended.
is_running() {
    [[ $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) == [^ZX]* ]]
}

# ended_within LIMIT_S PID: it ends by itself; sets status to its exit code.
ended_within() {
    wait_until "$1" bash -c "$(declare -f is_running); ! is_running $2" || return 1
    status=0
    wait "$2" || status=$?
}

# refuses STATUS PATTERN ARGUMENT…: dht-server ends with STATUS and one line that matches.
refuses() {
    local expected=$1 pattern=$2
    shift 2
    run timeout 10 "$BIN/dht-server" "$@"
    echo "status $status: $output"
    [ "$status" -eq "$expected" ]
    [ "${#lines[@]}" -eq 1 ]
    [[ ${lines[0]} =~ $pattern ]]
}

# fails COMMAND…: a command with ! before it does not end a test.
fails() { ! "$@"; }

# ask PORT TEXT: sends TEXT (printf's escapes), closes the sending side, prints everything answered.
ask() {
    printf '%b' "$2" | in_net timeout 10 nc -N 127.0.0.1 "$1"
}

# answers PORT TEXT EXPECTED: TEXT is answered by exactly EXPECTED (both with printf's escapes).
answers() {
    local got=$BATS_TEST_TMPDIR/got expected=$BATS_TEST_TMPDIR/expected
    ask "$1" "$2" >"$got"
    printf '%b' "$3" >"$expected"
    if ! cmp -s "$got" "$expected"; then
        echo "asked:    $2"
        echo "expected: $(head -c 2000 "$expected" | cat -A)"
        echo "got:      $(head -c 2000 "$got" | cat -A)"
        return 1
    fi
}

# stat_of PORT NAME
stat_of() {
    ask "$1" 'stats\r\n' | tr -d '\r' | sed -n "s/^STAT $2 //p"
}

kvcli() {
    in_net timeout 20 "$BIN/kvcli" -s "127.0.0.1:$port" "$@"
}
