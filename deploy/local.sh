#!/bin/bash
# A cluster of many nodes on this machine.
#
# As root each node gets a network namespace of its own behind a bridge: an address of its own, the
# same port everywhere, a link that can be taken down. Otherwise, or with --loopback, the nodes are
# ports of 127.0.0.1. deploy/local.sh --help tells the rest.
# shellcheck disable=SC2015 # A && B || die: die ends the script
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
# shellcheck source=deploy/process.sh
. "$here/process.sh"

readonly nodes_max=1000
readonly listen_limit_ms=15000 serve_limit_ms=5000 leave_limit_ms=35000 kill_limit_ms=10000

usage() {
    cat <<'TEXT'
usage: deploy/local.sh [options] COMMAND [arguments] [-- dht-server options]

Nodes are numbered from 1; N… may be numbers and ranges like 3-7.

  up [COUNT]         run nodes 1 to COUNT; those that run already are left alone. The
                     first up writes peers.txt with all its nodes; a later one with a
                     higher COUNT starts nodes that join and stand in no peers.txt.
                     Waits until those it started serve, some seconds at most: without a
                     majority they wait on (kvcli status says for whom)
  prepare COUNT      make the machines of nodes 1 to COUNT, and start none
  down               end all nodes, remove their namespaces; the logs are kept
  status             a line a node; exit code 0 if all run, 1 if not, 3 if there is no cluster
  start N…           start nodes again that have ended
  stop N…            SIGTERM: leave the cluster, and end
  kill N…            SIGKILL
  pause N…           SIGSTOP: the process stands still, its machine does not
  resume N…          SIGCONT
  off N…             take the node's link down, as if its machine were off
  on N…              and up again
  loss PERCENT [N…]  lose that share of the packets that reach these nodes (all); 0 ends it
  split N…           cut these nodes off from all others, and from this shell
  heal               join the two parts again
  run N COMMAND…     run a command on node N's machine (in its namespace)
  names [N…]         the nodes' names, host:port, separated by commas as kvcli -s takes them

  -d, --dir DIR      where the state is ($XDG_RUNTIME_DIR/dht-local, else /tmp/dht-local-UID)
                     peers.txt, and for each node a folder with its log
      --loopback     no namespaces: ports of 127.0.0.1
      --subnet A.B   with namespaces the nodes are A.B.0.1, A.B.0.2 … (10.77)
      --port PORT    port of the nodes, on loopback that of the first (11211)
      --seeds COUNT  write only the first COUNT nodes into peers.txt
      --peers FILE   the nodes are the lines of FILE, all of them on loopback
      --program FILE the server (dht-server beside this folder)
      --json         status as JSON
  -h, --help

Exit code: 0 done, 1 something failed, 2 usage, 3 no cluster.
TEXT
}

die() {
    local code=$1
    shift
    printf 'local.sh: %s\n' "$*" >&2
    exit "$code"
}

# ---- settings ------------------------------------------------------------------------------------

dir=''
json=no
declare -A given=()     # settings of the command line
declare -A setting=()   # those in force: mode id subnet port seeds peers program count
server_options=()
has_server_options=no
words=()

parse_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --loopback) given[mode]=loopback ;;
        --json) json=yes ;;
        -d | --dir | --subnet | --port | --seeds | --peers | --program)
            [ $# -ge 2 ] || die 2 "$1 needs a value"
            case $1 in
            -d | --dir) dir=$2 ;;
            *) given[${1#--}]=$2 ;;
            esac
            shift
            ;;
        --)
            shift
            has_server_options=yes
            server_options=("$@")
            break
            ;;
        -*) die 2 "unknown option $1; --help lists them" ;;
        *)
            words+=("$1")
            # The rest is another program's.
            if [ "${words[0]}" = run ] && [ "${#words[@]}" -eq 3 ]; then
                shift
                words+=("$@")
                break
            fi
            ;;
        esac
        shift
    done
    [ "${#words[@]}" -ge 1 ] || {
        usage >&2
        exit 2
    }
    [ -n "$dir" ] || dir=$(default_dir)
    [[ $dir == /* ]] || dir=$PWD/$dir
}

default_dir() {
    if [ -n "${XDG_RUNTIME_DIR-}" ] && [ -w "$XDG_RUNTIME_DIR" ]; then
        echo "$XDG_RUNTIME_DIR/dht-local"
    else
        echo "/tmp/dht-local-$(id -u)"
    fi
}

is_count() {
    [[ $1 =~ ^[1-9][0-9]{0,4}$ ]] && [ "$1" -le "$2" ]
}

check_given() {
    is_count "${given[port]-1}" 65535 || die 2 "--port ${given[port]} is no port"
    is_count "${given[seeds]-1}" "$nodes_max" || die 2 "--seeds ${given[seeds]} is no number of nodes"
    [[ ${given[subnet]-10.77} =~ ^[0-9]{1,3}\.[0-9]{1,3}$ ]] ||
        die 2 "--subnet ${given[subnet]} is not the first half of an address, like 10.77"
    if [ -n "${given[peers]-}" ]; then
        [ -r "${given[peers]}" ] || die 2 "cannot read ${given[peers]}"
        given[peers]=$(realpath "${given[peers]}")
        given[mode]=loopback
    fi
    if [ -n "${given[program]-}" ]; then
        [ -x "${given[program]}" ] || die 2 "no program ${given[program]}"
        given[program]=$(realpath "${given[program]}")
    fi
}

# Whether there is a cluster in $dir; its settings.
load_cluster() {
    local key value
    [ -r "$dir/cluster" ] || return 1
    # In /tmp anybody may have put something there.
    [ -O "$dir/cluster" ] || die 1 "$dir/cluster belongs to somebody else"
    while IFS='=' read -r key value; do
        setting[$key]=$value
    done <"$dir/cluster"
    mapfile -t saved_options <"$dir/options"
}

save_cluster() {
    local key
    for key in "${!setting[@]}"; do
        printf '%s=%s\n' "$key" "${setting[$key]}"
    done >"$dir/cluster.new" && mv "$dir/cluster.new" "$dir/cluster"
}

need_cluster() {
    load_cluster || die 3 "no cluster in $dir; local.sh up COUNT starts one"
}

# One command at a time changes a cluster.
take_lock() {
    if [ -d "$dir" ]; then
        [ -O "$dir" ] || die 1 "$dir belongs to somebody else"
        [ -e "$dir/lock" ] || [ -z "$(ls -A "$dir")" ] ||
            die 1 "$dir is not empty, and not made by local.sh"
    else
        mkdir -p "$(dirname "$dir")" && mkdir -m 700 "$dir" || exit 1
    fi
    exec {lock}>"$dir/lock" || exit 1
    flock -w 60 "$lock" || die 1 "another local.sh is at work in $dir"
}

# ---- nodes ---------------------------------------------------------------------------------------

# name_of N: sets name, host and port.
name_of() {
    case ${setting[mode]} in
    netns)
        host=${setting[subnet]}.$((($1 - 1) / 250)).$((($1 - 1) % 250 + 1))
        port=${setting[port]}
        ;;
    loopback)
        host=127.0.0.1
        port=$((setting[port] + $1 - 1))
        if [ -n "${setting[peers]-}" ]; then
            name=${lines[$1 - 1]}
            host=${name%:*} port=${name##*:}
        fi
        ;;
    esac
    name=$host:$port
}

# The lines of --peers as the server reads them, more or less.
load_lines() {
    lines=()
    [ -z "${setting[peers]-}" ] || mapfile -t lines < <(lines_of "${setting[peers]}")
}

lines_of() {
    sed 's/#.*//; s/[[:space:]]//g; /^$/d' "$1"
}

peers_file() {
    echo "${setting[peers]:-$dir/peers.txt}"
}

# parse_nodes WORD…: sets nodes; without a word all of them.
parse_nodes() {
    local word first last
    nodes=()
    if [ $# -eq 0 ]; then
        mapfile -t nodes < <(seq 1 "${setting[count]}")
        return
    fi
    for word in "$@"; do
        [[ $word =~ ^([0-9]{1,4})(-([0-9]{1,4}))?$ ]] || die 2 "$word is no node: 1 to ${setting[count]}"
        first=$((10#${BASH_REMATCH[1]})) last=$((10#${BASH_REMATCH[3]:-$first}))
        [ "$first" -ge 1 ] && [ "$first" -le "$last" ] && [ "$last" -le "${setting[count]}" ] ||
            die 2 "$word: there are nodes 1 to ${setting[count]}"
        mapfile -t -O "${#nodes[@]}" nodes < <(seq "$first" "$last")
    done
}

need_nodes() {
    [ $# -gt 0 ] || die 2 "which node? 1 to ${setting[count]}"
    parse_nodes "$@"
}

need_namespaces() {
    [ "${setting[mode]}" = netns ] || die 1 "$1 needs nodes in network namespaces (root, without --loopback)"
}

namespace() {
    echo "dht-${setting[id]}-$1"
}

# in_namespace N: sets prefix, words to put before a command that is to run on node N's machine.
in_namespace() {
    prefix=()
    [ "${setting[mode]}" != netns ] || prefix=(nsenter "--net=/run/netns/$(namespace "$1")")
}

failed=0
complain() {
    printf 'local.sh: %s\n' "$*" >&2
    failed=1
}

# launch N: starts the process; wait_launched looks how it went.
launch() {
    local log=$dir/$1/log arguments pid
    name_of "$1"
    mkdir -p "$dir/$1/state" || exit 1
    log_offset[$1]=$(file_bytes "$log")
    arguments=("$(peers_file)" "$port" --state-dir "$dir/$1/state" "${saved_options[@]}")
    # Nodes that came later stand in no list and have to be told who they are.
    [ -n "${setting[peers]}" ] || [ "$1" -le "${setting[seeds]}" ] ||
        arguments+=(--advertise "$name" --listen "$host")
    in_namespace "$1"
    setsid "${prefix[@]}" "${setting[program]}" "${arguments[@]}" \
        </dev/null >>"$log" 2>&1 3>&- {lock}>&- &
    pid=$!
    process_save "$dir/$1/process" "$pid" || rm -f "$dir/$1/process"
}

wait_launched() {
    local log=$dir/$1/log
    if process_wait_line "$dir/$1/process" "$log" "${log_offset[$1]}" ' listening ' "$listen_limit_ms"; then
        return 0
    fi
    complain "node $1 did not start: $(process_last_words "$log" "${log_offset[$1]}")"
    process_signal "$dir/$1/process" KILL
}

# launch_all N…: those of them that do not run; sets started.
launch_all() {
    local node
    started=()
    declare -gA log_offset=()
    for node in "$@"; do
        process_find "$dir/$node/process" && continue
        launch "$node"
        started+=("$node")
    done
    for node in "${started[@]}"; do
        wait_launched "$node"
    done
}

# Until those that were started are full members of the cluster.
wait_serving() {
    local node end=$(($(date +%s%3N) + serve_limit_ms)) left
    for node in "${started[@]}"; do
        left=$((end - $(date +%s%3N)))
        process_wait_line "$dir/$node/process" "$dir/$node/log" "${log_offset[$node]}" ' view-adopted .* stands=full ' "$left" ||
            return 0
    done
}

# ---- network -------------------------------------------------------------------------------------

bridge() {
    echo "dht-${setting[id]}"
}

# The host's end of a node's cable.
cable() {
    echo "d${setting[id]}-$1"
}

can_make_namespaces() {
    [ "$(id -u)" -eq 0 ] && command -v ip >/dev/null && command -v nsenter >/dev/null &&
        ip netns add "dht-try-$$" 2>/dev/null && ip netns del "dht-try-$$"
}

make_bridge() {
    local user
    ip link show dev "$(bridge)" >/dev/null 2>&1 && return
    user=$(ip -4 -br addr | awk -v p="${setting[subnet]}." '{
        for (i = 3; i <= NF; i++) if (index($i, p) == 1) { sub(/@.*/, "", $1); print $1; exit } }')
    [ -z "$user" ] ||
        die 1 "addresses ${setting[subnet]}.* are in use at $user; take others with --subnet"
    ip -batch - <<TEXT || die 1 "cannot make a bridge"
link add $(bridge) type bridge
link set $(bridge) addrgenmode none
addr add ${setting[subnet]}.255.254/16 dev $(bridge)
link set $(bridge) up
TEXT
}

# make_machine N: namespace, cable and address, unless they are there.
make_machine() {
    local space
    space=$(namespace "$1")
    [ ! -e "/run/netns/$space" ] || return 0
    name_of "$1"
    ip -batch - <<TEXT && ip -n "$space" -batch - <<TEXT2 || die 1 "cannot make a namespace for node $1"
netns add $space
link add $(cable "$1") type veth peer name eth0 netns $space
link set $(cable "$1") addrgenmode none
link set $(cable "$1") master $(bridge)
link set $(cable "$1") up
TEXT
link set lo up
link set eth0 addrgenmode none
addr add $host/16 dev eth0
link set eth0 up
TEXT2
}

# All namespaces together share one table of neighbours. Above its limit the kernel drops packets.
widen_neighbours() {
    local file=/proc/sys/net/ipv4/neigh/default/gc_thresh3 wanted now
    wanted=$((setting[count] * setting[count] * 2 + 1024))
    [ -r "$file" ] || return 0
    now=$(<"$file")
    [ "$now" -lt "$wanted" ] || return 0
    if { echo "$wanted" >"$file"; } 2>/dev/null; then
        echo "net.ipv4.neigh.default.gc_thresh3 is now $wanted (was $now), until the next boot"
    else
        echo "local.sh: net.ipv4.neigh.default.gc_thresh3 is $now and cannot be raised to $wanted:" \
            "packets may be lost" >&2
    fi
}

make_network() {
    local node
    [ "${setting[mode]}" = netns ] || return 0
    widen_neighbours
    make_bridge
    for node in "$@"; do
        make_machine "$node"
    done
}

remove_network() {
    local space
    [ "${setting[mode]}" = netns ] || return 0
    while read -r space _; do
        [[ $space != "dht-${setting[id]}-"* ]] || ip netns del "$space" || failed=1
    done < <(ip netns list)
    # A namespace takes its cable along, but only when the last packet is gone.
    ip -o link show 2>/dev/null | grep -o "d${setting[id]}-[0-9]*" | sort -u | sed 's/^/link del /' |
        ip -force -batch - 2>/dev/null
    for space in "$(bridge)" "$(bridge)-b"; do
        ! ip link show dev "$space" >/dev/null 2>&1 || ip link del "$space" || failed=1
    done
}

# ---- commands ------------------------------------------------------------------------------------

# The settings of a new cluster: defaults, then what was given.
found_cluster() {
    setting=([subnet]=10.77 [port]=11211 [seeds]="$1" [peers]='' [program]="$here/../dht-server" [count]="$1")
    local key node
    for key in "${!given[@]}"; do
        setting[$key]=${given[$key]}
    done
    [ -x "${setting[program]}" ] || die 1 "no program ${setting[program]}: make builds it"
    setting[program]=$(realpath "${setting[program]}")
    setting[id]=$(printf '%06x' $(($(cksum <<<"$dir" | cut -d ' ' -f 1) & 0xffffff)))
    if [ -z "${setting[mode]-}" ]; then
        setting[mode]=loopback
        ! can_make_namespaces || setting[mode]=netns
    fi
    load_lines
    [ -z "${setting[peers]}" ] || [ "$1" -le "${#lines[@]}" ] || die 2 "${setting[peers]} has only ${#lines[@]} nodes"
    saved_options=("${server_options[@]}")
    forget_nodes
    printf '%s\n' "${saved_options[@]}" | sed '/^$/d' >"$dir/options"
    save_cluster
    for ((node = 1; node <= $1 && node <= setting[seeds]; node++)); do
        name_of "$node"
        echo "$name"
    done >"$dir/peers.txt"
}

# What an earlier cluster left in $dir.
forget_nodes() {
    local node
    for node in "$dir"/*/; do
        node=$(basename "$node")
        [[ $node =~ ^[0-9]+$ ]] && rm -rf "${dir:?}/$node"
    done
    return 0
}

# open_cluster [COUNT]: founds the cluster, or lets it grow to COUNT nodes; sets wanted.
open_cluster() {
    local key
    wanted=${1-}
    take_lock
    if load_cluster; then
        for key in "${!given[@]}"; do
            [ "${given[$key]}" = "${setting[$key]}" ] ||
                die 1 "the cluster in $dir runs with $key ${setting[$key]}; down ends it"
        done
        [ "$has_server_options" = no ] || [ "${server_options[*]}" = "${saved_options[*]}" ] ||
            die 1 "the cluster in $dir runs with other options: ${saved_options[*]}; down ends it"
        load_lines
    else
        if [ -z "$wanted" ] && [ -n "${given[peers]-}" ]; then
            wanted=$(lines_of "${given[peers]}" | wc -l)
        fi
        [ -n "$wanted" ] || die 2 "how many nodes? local.sh up COUNT"
        is_count "$wanted" "$nodes_max" || die 2 "$wanted is no number of nodes"
        found_cluster "$wanted"
    fi
    [ -n "$wanted" ] || wanted=${setting[count]}
    is_count "$wanted" "$nodes_max" || die 2 "$wanted is no number of nodes"
    if [ "$wanted" -gt "${setting[count]}" ]; then
        [ -z "${setting[peers]}" ] || die 2 "${setting[peers]} has only ${#lines[@]} nodes"
        setting[count]=$wanted
        save_cluster
    fi
    mapfile -t nodes < <(seq 1 "$wanted")
    make_network "${nodes[@]}"
}

command_up() {
    open_cluster "$@"
    launch_all "${nodes[@]}"
    wait_serving
}

command_prepare() {
    [ $# -eq 1 ] || die 2 "how many machines? local.sh prepare COUNT"
    open_cluster "$1"
}

command_down() {
    local node
    [ -d "$dir" ] || return 0
    take_lock
    load_cluster || return 0
    parse_nodes
    for node in "${nodes[@]}"; do
        process_signal "$dir/$node/process" KILL
    done
    for node in "${nodes[@]}"; do
        process_wait_end "$dir/$node/process" "$kill_limit_ms" || complain "node $node does not end"
        rm -f "$dir/$node/process"
    done
    remove_network
    [ "$failed" -ne 0 ] || rm -f "$dir/cluster"
}

# state_of N: sets state: running, paused or ended; and link: up, down or -.
state_of() {
    state=ended link=-
    if process_find "$dir/$1/process"; then
        state=running
        [ "$process_state" != T ] || state=paused
    else
        process_pid=''
    fi
    if [ "${setting[mode]}" = netns ]; then
        link=down
        [[ $(cat "/sys/class/net/$(cable "$1")/flags" 2>/dev/null) != 0x*[13579bdf] ]] || link=up
    fi
}

# json_text TEXT: as the inside of a JSON string.
json_text() {
    local LC_ALL=C text=$1 out='' i char
    [[ $text == *[\"\\[:cntrl:]]* ]] || out=$text text=''
    for ((i = 0; i < ${#text}; i++)); do
        char=${text:i:1}
        case $char in
        [\"\\]) out+="\\$char" ;;
        [[:cntrl:]]) printf -v char '\\u%04x' "'$char" && out+=$char ;;
        *) out+=$char ;;
        esac
    done
    printf '%s' "$out"
}

command_status() {
    local node all=0 comma='' json_dir
    need_cluster
    load_lines
    parse_nodes "$@"
    json_dir=$(json_text "$dir")
    [ "$json" = no ] || printf '{"dir": "%s", "mode": "%s", "peers": "%s", "nodes": [' \
        "$json_dir" "${setting[mode]}" "$(json_text "$(peers_file)")"
    for node in "${nodes[@]}"; do
        name_of "$node"
        state_of "$node"
        [ "$state" = running ] && [ "$link" != down ] || all=1
        if [ "$json" = yes ]; then
            printf '%s\n  {"node": %d, "name": "%s", "state": "%s", "pid": %s, "link": "%s", "log": "%s"}' \
                "$comma" "$node" "$(json_text "$name")" "$state" "${process_pid:-null}" "$link" \
                "$json_dir/$node/log"
            comma=,
        else
            printf '%3d  %-21s  %-7s  %7s  link %-4s  %s\n' \
                "$node" "$name" "$state" "${process_pid:--}" "$link" "$dir/$node/log"
        fi
    done
    [ "$json" = no ] || printf '\n]}\n'
    return "$all"
}

command_start() {
    take_lock
    need_cluster
    load_lines
    need_nodes "$@"
    make_network "${nodes[@]}"
    launch_all "${nodes[@]}"
}

# signal_all SIGNAL: to $nodes.
signal_all() {
    local node
    for node in "${nodes[@]}"; do
        process_signal "$dir/$node/process" "$1" || complain "node $node does not run"
    done
}

# wait_all LIMIT_MS: until $nodes have ended.
wait_all() {
    local node
    for node in "${nodes[@]}"; do
        process_wait_end "$dir/$node/process" "$1" || complain "node $node does not end"
    done
}

command_stop() {
    local node
    take_lock
    need_cluster
    need_nodes "$@"
    signal_all TERM
    for node in "${nodes[@]}"; do
        process_signal "$dir/$node/process" CONT # one that is paused has to wake up for it
    done
    wait_all "$leave_limit_ms"
}

command_kill() {
    take_lock
    need_cluster
    need_nodes "$@"
    signal_all KILL
    wait_all "$kill_limit_ms"
}

command_pause() {
    take_lock
    need_cluster
    need_nodes "$@"
    signal_all STOP
}

command_resume() {
    take_lock
    need_cluster
    need_nodes "$@"
    signal_all CONT
}

# set_links WORD…: what is to be said of each cable, as to ip link set.
set_links() {
    local node
    for node in "${nodes[@]}"; do
        echo "link set $(cable "$node") $*"
    done | ip -batch - || failed=1
}

command_off() {
    take_lock
    need_cluster
    need_namespaces off
    need_nodes "$@"
    set_links down
}

command_on() {
    take_lock
    need_cluster
    need_namespaces on
    need_nodes "$@"
    set_links up
}

command_loss() {
    local percent=${1-} node chance=''
    take_lock
    need_cluster
    need_namespaces loss
    [[ $percent =~ ^[0-9]{1,3}$ ]] && [ "$percent" -le 100 ] || die 2 "loss PERCENT [N…]: 0 to 100"
    command -v nft >/dev/null || die 1 "loss needs nft (Debian's package nftables)"
    [ "$percent" -eq 100 ] || chance="numgen random mod 100 < $percent"
    parse_nodes "${@:2}"
    for node in "${nodes[@]}"; do
        in_namespace "$node"
        {
            echo 'table inet dht_loss' # so that there is one to delete
            echo 'delete table inet dht_loss'
            [ "$percent" -eq 0 ] || cat <<TEXT
table inet dht_loss {
    chain input {
        type filter hook input priority 0;
        iifname != "lo" $chance drop
    }
}
TEXT
        } | "${prefix[@]}" nft -f - || complain "node $node: nft failed"
    done
}

command_split() {
    take_lock
    need_cluster
    need_namespaces split
    need_nodes "$@"
    if ! ip link show dev "$(bridge)-b" >/dev/null 2>&1; then
        ip link add "$(bridge)-b" type bridge && ip link set "$(bridge)-b" addrgenmode none &&
            ip link set "$(bridge)-b" up || die 1 "cannot make a bridge"
    fi
    set_links master "$(bridge)-b"
}

command_heal() {
    [ $# -eq 0 ] || die 2 "heal takes no nodes: it joins all"
    take_lock
    need_cluster
    need_namespaces heal
    parse_nodes
    set_links master "$(bridge)"
}

command_run() {
    need_cluster
    [ $# -ge 2 ] || die 2 "run N COMMAND…"
    need_nodes "$1"
    in_namespace "${nodes[0]}"
    exec "${prefix[@]}" "${@:2}"
}

command_names() {
    local node names=''
    need_cluster
    load_lines
    parse_nodes "$@"
    for node in "${nodes[@]}"; do
        name_of "$node"
        names+=,$name
    done
    echo "${names#,}"
}

parse_arguments "$@"
check_given
case ${words[0]} in
up | prepare | down | status | start | stop | kill | pause | resume | off | on | loss | split | heal | run | names)
    "command_${words[0]}" "${words[@]:1}" || failed=$?
    exit "$failed"
    ;;
*) die 2 "unknown command ${words[0]}; --help lists them" ;;
esac
