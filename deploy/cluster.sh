#!/bin/bash
# A cluster over the hosts of a file, through ssh. deploy/cluster.sh --help tells how.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1

usage() {
    cat <<'TEXT'
usage: deploy/cluster.sh [-n] HOSTS COMMAND

  install   put dht-server, kvcli and the list of nodes on every host; a node that runs
            goes on as it is until it is stopped and started
  start     start the nodes that do not run
  status    whether each node runs and answers
  stop      let the nodes leave, and end
  remove    delete what was installed, log and state too

  -n        print what would be run, and run nothing

HOSTS is a file. A line is a node, [user@]host[:port]: host is where ssh connects to and what the
other nodes call it, port the node's (11211). All together are everybody's peers.txt. # begins a
comment. A line with = is a setting; the environment's DHT_CLUSTER_DIRECTORY … goes before it:

  directory = dht            where to install, below the home folder unless it begins with /;
                             each node in a folder named by its port
  program   = ./dht-server   what to install; kvcli is taken from the same folder
  options   = -m 4g          further options of dht-server, words without quotes
  ssh       = -p 2222        options of ssh, words; what is secret belongs into ssh's own files
  parallel  = 16             hosts at a time
  timeout   = 60             seconds until a host is given up

Prints a line for each node, in the order they are done. Exit code: 0 all done, 1 some failed,
2 usage.
TEXT
}

die() {
    printf 'cluster.sh: %s\n' "$*" >&2
    exit 2
}

# ---- the file of hosts ---------------------------------------------------------------------------

declare -A setting=([directory]=dht [program]=$here/../dht-server [options]='' [ssh]='' [parallel]=16 [timeout]=60)
targets=() # where ssh goes: [user@]host
names=()   # host:port

read_setting() {
    local key=$1 value=$2 place=$3
    [ -n "${setting[$key]+known}" ] || die "$place: unknown setting $key"
    setting[$key]=$value
}

read_node() {
    local text=$1 place=$2
    [[ $text =~ ^(([A-Za-z0-9._-]+)@)?([A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\])(:([0-9]{1,5}))?$ ]] ||
        die "$place: '$text' is not [user@]host[:port]"
    local user=${BASH_REMATCH[2]} host=${BASH_REMATCH[3]} port=${BASH_REMATCH[5]:-11211} bare
    [[ $host != -* && $user != -* ]] || die "$place: '$text' begins with a dash"
    if [ "$port" -lt 1 ] || [ "$port" -gt 65535 ]; then
        die "$place: no port $port"
    fi
    bare=${host#[} bare=${bare%]}
    targets+=("${user:+$user@}$bare")
    names+=("$host:$port")
}

read_hosts() {
    local file=$1 line text number=0 key twice
    [ -r "$file" ] || die "cannot read $file"
    while IFS= read -r line || [ -n "$line" ]; do
        number=$((number + 1))
        text=${line%%#*}
        [[ $text =~ ^[[:space:]]*(.*[^[:space:]])[[:space:]]*$ ]] || continue
        text=${BASH_REMATCH[1]}
        if [[ $text =~ ^([^=[:space:]]+)[[:space:]]*=[[:space:]]*(.*)$ ]]; then
            read_setting "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "$file:$number"
        else
            read_node "$text" "$file:$number"
        fi
    done <"$file"
    [ "${#names[@]}" -gt 0 ] || die "$file names no hosts"
    twice=$(printf '%s\n' "${names[@]}" | sort | uniq -d | head -n 1)
    [ -z "$twice" ] || die "$file: $twice stands there twice"
    for key in "${!setting[@]}"; do
        local variable=DHT_CLUSTER_${key^^}
        [ -z "${!variable+set}" ] || setting[$key]=${!variable}
    done
    check_settings
}

check_settings() {
    local key
    for key in parallel timeout; do
        [[ ${setting[$key]} =~ ^[1-9][0-9]{0,4}$ ]] || die "$key = ${setting[$key]} is no number"
    done
    # Goes through a shell we know nothing of.
    [[ ${setting[directory]} =~ ^[A-Za-z0-9._/][A-Za-z0-9._/-]*$ && ${setting[directory]} != *..* ]] ||
        die "directory = ${setting[directory]}: only letters, digits and . _ / - please"
    [[ ${setting[options]} != *[\'\"\\]* ]] || die "options = ${setting[options]}: words without quotes please"
    read -r -a ssh_options <<<"${setting[ssh]}"
}

# ---- one host ------------------------------------------------------------------------------------

# folder_of I: where node I lies on its host.
folder_of() {
    echo "${setting[directory]}/${names[$1]##*:}"
}

# command_for I: the line for the host's shell, whichever that is.
command_for() {
    local folder
    folder=$(folder_of "$1")
    case $command in
    install)
        echo "mkdir -p '$folder/incoming' && tar -x -f - -C '$folder/incoming' &&" \
            "exec bash '$folder/incoming/node.sh' install '${names[$1]}'"
        ;;
    *)
        echo "if test -e '$folder/node.sh'; then exec bash '$folder/node.sh' $command '${names[$1]}';" \
            "else echo 'not installed' >&2; exit 1; fi"
        ;;
    esac
}

# What is sent along to the host's command.
payload() {
    if [ "$command" = install ]; then
        tar -c -f - -C "$stage" --owner=0 --group=0 --no-same-owner .
    fi
}

# In a subshell: its process becomes timeout, which passes a signal on to ssh.
connect() {
    echo "$BASHPID" >"$stage.$1.process"
    exec timeout "${setting[timeout]}" ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 \
        "${ssh_options[@]}" -- "${targets[$1]}" "$(command_for "$1")"
}

# work I: carries the command out on one host and prints its line.
work() {
    local said reason code verdict=ok
    said=$(payload | connect "$1" 2>"$stage.$1")
    code=$?
    if [ "$code" -ne 0 ]; then
        verdict=failed
        reason=$(tr -d '\r' <"$stage.$1" | grep -v '^[[:space:]]*$' | tail -n 1)
        [ "$code" -ne 124 ] || reason="not done within ${setting[timeout]} s"
        said=${reason:-"ssh ended with exit code $code"}
    fi
    printf '%-21s  %-6s  %s\n' "${names[$1]}" "$verdict" "${said##*$'\n'}"
    [ "$code" -eq 0 ]
}

# ---- all of them ---------------------------------------------------------------------------------

# What goes to every host, in a folder.
make_stage() {
    local program=${setting[program]} kvcli
    kvcli=$(dirname "$program")/kvcli
    if [ ! -x "$program" ] || [ ! -x "$kvcli" ]; then
        die "no $program and kvcli beside it: make builds them"
    fi
    mkdir "$stage" && cp "$program" "$stage/dht-server" && cp "$kvcli" "$here/node.sh" "$here/process.sh" "$stage" &&
        printf '%s\n' "${names[@]}" >"$stage/peers.txt" || exit 1
    # shellcheck disable=SC2086 # words
    printf '%s\n' ${setting[options]} | sed '/^$/d' >"$stage/options"
}

failed=0
running=0

wait_one() {
    wait -n || failed=$((failed + 1))
    running=$((running - 1))
}

work_all() {
    local i
    for i in "${!names[@]}"; do
        [ "$running" -lt "${setting[parallel]}" ] || wait_one
        work "$i" &
        running=$((running + 1))
    done
    while [ "$running" -gt 0 ]; do
        wait_one
    done
}

print_all() {
    local i
    for i in "${!names[@]}"; do
        printf 'ssh %s -- %s %q\n' "${setting[ssh]}" "${targets[$i]}" "$(command_for "$i")"
    done
}

dry=no
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    -n | --dry-run) dry=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    -*) die "unknown option $1; --help lists them" ;;
    *) arguments+=("$1") ;;
    esac
    shift
done
if [ "${#arguments[@]}" -ne 2 ]; then
    usage >&2
    exit 2
fi
command=${arguments[1]}
case $command in
install | start | status | stop | remove) ;;
*) die "unknown command $command; --help lists them" ;;
esac
read_hosts "${arguments[0]}"
if [ $dry = yes ]; then
    print_all
    exit 0
fi

scratch=$(mktemp -d) || exit 1
stage=$scratch/stage
trap 'rm -rf "$scratch"' EXIT
trap 'kill $(jobs -p) $(cat "$stage".*.process) 2>/dev/null; wait; exit 130' INT TERM
[ "$command" != install ] || make_stage
work_all
if [ "$failed" -gt 0 ]; then
    echo "cluster.sh: $command failed on $failed of ${#names[@]}" >&2
    exit 1
fi
