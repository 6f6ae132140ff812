#!/bin/bash
# One node on its host: what cluster.sh runs there, in the folder it has installed.
#
#   node.sh install NAME     check what arrived beside this file, and put it in the folder above
#   node.sh start NAME       NAME: the node's host:port, a line of peers.txt
#   node.sh status NAME
#   node.sh stop NAME
#   node.sh remove NAME
#
# Says in one line what is now; the reason of a failure is the last line on stderr. Exit code 0 done,
# 1 not.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) && cd "$here" || exit 1
# shellcheck source=deploy/process.sh
. ./process.sh

readonly files=(dht-server kvcli node.sh process.sh peers.txt options)
readonly listen_limit_ms=15000 leave_limit_ms=35000
readonly name=${2-}

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Words for the server, as the list of hosts gives them.
server_arguments() {
    local options
    mapfile -t options <options
    arguments=(peers.txt "${name##*:}" --advertise "$name" --state-dir state "${options[@]}")
}

# Whether others can reach what this host takes its own name for. Debian writes the name of a host into
# its /etc/hosts as 127.0.1.1.
check_name() {
    local host=${name%:*} address
    host=${host#[} host=${host%]}
    address=$(getent ahosts "$host" | awk '{ print $1; exit }')
    [ -n "$address" ] || fail "this host cannot resolve its own name, $host"
    if [[ $address == 127.* && $host != 127.* && $host != localhost && $(wc -l <peers.txt) -gt 1 ]] &&
        ! grep -qxE -- '-l.*|--listen.*' options; then
        fail "$host is $address on this host: list its address instead, or set options = --listen 0.0.0.0"
    fi
}

install() {
    local file version
    [ "$(basename "$here")" = incoming ] || fail "nothing has arrived to be installed"
    version=$(./dht-server --version 2>&1) || fail "dht-server does not run here: $version"
    check_name
    server_arguments
    ./dht-server "${arguments[@]}" --check-config >/dev/null || exit 1
    for file in "${files[@]}"; do
        mv -f "$file" "../$file" || exit 1
    done
    cd .. && rmdir incoming || exit 1
    if process_find process; then
        echo "installed, $version; process $process_pid runs on as it was started"
    else
        echo "installed, $version"
    fi
}

need_installed() {
    [ -x dht-server ] || fail "not installed"
}

start() {
    local offset
    need_installed
    if process_find process; then
        echo "runs already, process $process_pid"
        return
    fi
    server_arguments
    mkdir -p state || exit 1
    offset=$(file_bytes log)
    setsid ./dht-server "${arguments[@]}" </dev/null >>log 2>&1 {lock}<&- &
    process_save process $! || fail "did not start: $(process_last_words log "$offset")"
    if ! process_wait_line process log "$offset" ' listening ' "$listen_limit_ms" || ! process_find process; then
        process_signal process KILL
        fail "did not start: $(process_last_words log "$offset")"
    fi
    echo "started, process $process_pid"
}

status() {
    local version members
    need_installed
    process_find process || fail "not running"
    [ "$process_state" != T ] || fail "process $process_pid is stopped"
    version=$(./kvcli --timeout 2s -s "$name" version 2>/dev/null | sed -n 's/^server //p')
    [ -n "$version" ] || fail "process $process_pid runs and does not answer"
    members=$(./kvcli --timeout 2s -s "$name" members --count 2>/dev/null | head -n 1)
    echo "running, process $process_pid, $version${members:+, members: $members}"
}

stop() {
    if ! process_signal process TERM; then
        echo "does not run"
        return
    fi
    process_signal process CONT
    process_wait_end process "$leave_limit_ms" || fail "process $process_pid does not end"
    rm -f process
    echo "stopped"
}

remove() {
    need_installed
    ! process_find process || fail "process $process_pid runs still: stop it first"
    rm -rf state incoming
    rm -f log process "${files[@]}"
    cd .. || exit 1
    rmdir "$here" || exit 1
    rmdir "$(pwd)" 2>/dev/null # the last node of this host
    echo "removed"
}

# One command at a time: two starts would each take the other's process for none.
take_lock() {
    local folder=$here
    [ "$(basename "$here")" != incoming ] || folder=$(dirname "$here")
    exec {lock}<"$folder" || exit 1
    flock -w 50 "$lock" || fail "another node.sh is at work in $folder"
}

[[ $name == *?:?* ]] || fail "which node?"
case ${1-} in
status) status ;;
install | start | stop | remove)
    take_lock
    "$1"
    ;;
*) fail "unknown command ${1-}" ;;
esac
