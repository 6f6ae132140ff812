#!/bin/bash
# Tries README's commands on a bare Debian 12: a fresh minimal root, then in it ./setup.sh,
# make demo and make test, the last two without a network. Prints TAP. Needs root, debootstrap and
# a Debian mirror; takes a quarter of an hour.
#
#   tests/bare.sh         in a new folder below /var/tmp, removed in the end
#   tests/bare.sh DIR     in DIR, which is kept; if it holds a root already, that one
set -u
cd "$(dirname "$0")/.." || exit 1

if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
    echo "1..0 # SKIP needs root and debootstrap"
    exit 0
fi

root=${1-}
if [ -z "$root" ]; then
    root=$(mktemp -d /var/tmp/dht-bare.XXXXXX) || exit 1
    # One file system only: whatever is mounted below stays what it was.
    trap 'rm -rf --one-file-system "$root"' EXIT
    chmod 755 "$root" # as / is everywhere: some tests are another user for a while
fi
log=$root.log
number=0
status=0

# Runs a command in the root: own mounts and processes, so that nothing outlives it. The root is
# mounted on itself because ip netns wants / to be a mount.
# inside NETWORK COMMAND, NETWORK being yes or no
inside() {
    local namespaces=(--mount --pid --fork --kill-child)
    [ "$1" = yes ] || namespaces+=(--net)
    # shellcheck disable=SC2016 # for the inner shell
    unshare "${namespaces[@]}" bash -c '
        mount --bind "$1" "$1" && mount -t proc proc "$1/proc" &&
            mount -t sysfs sysfs "$1/sys" && mount -t devpts devpts "$1/dev/pts" || exit 1
        [ "$2" = yes ] || ip link set lo up || exit 1
        exec chroot "$1" env -i HOME=/root TERM=dumb LANG=C.UTF-8 \
            ${http_proxy:+http_proxy="$http_proxy"} \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            bash -c "cd /dht && $3"' - "$root" "$1" "$2" </dev/null
}

# check NAME COMMAND…: one line of TAP; if it failed, what failed in it and the end of its output.
check() {
    local name=$1 start=$SECONDS
    shift
    number=$((number + 1))
    if "$@" >"$log" 2>&1; then
        echo "ok $number - $name ($((SECONDS - start)) s)"
    else
        echo "not ok $number - $name ($((SECONDS - start)) s)"
        {
            grep -E -A 20 '[1-9][0-9]* failed|^ *not ok' "$log" | head -n 120
            tail -n 60 "$log"
        } | sed 's/^/# /'
        status=1
    fi
}

mirror() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        sed -n 's/^URIs: *\([^ ]*\/debian\/*\)$/\1/p; s/^deb .*\(http[^ ]*\/debian\/*\) .*/\1/p' | head -n 1
}

copy_tree() {
    rm -rf "$root/dht" && mkdir "$root/dht" &&
        tar -c --exclude=./.git --exclude=./build --exclude=./dht-server --exclude=./kvcli . |
        tar -x -C "$root/dht"
}

quick() {
    local start
    start=$(date +%s%N)
    inside yes ./setup.sh && [ $((($(date +%s%N) - start) / 1000000)) -lt 1000 ]
}

echo 1..5
if [ ! -x "$root/bin/bash" ]; then
    echo "# debootstrap into $root"
    if ! debootstrap --variant=minbase bookworm "$root" "$(mirror)" >"$log" 2>&1; then
        tail "$log" | sed 's/^/# /'
        echo "Bail out! debootstrap failed"
        exit 1
    fi
fi
copy_tree || exit 1
check "setup.sh installs what is missing, and starts no daemon of memcached or redis" \
    inside yes './setup.sh && ! pgrep -x "memcached|redis-server"'
check "setup.sh is done within a second when nothing is missing" quick
check "make demo ends by itself without a terminal" inside no 'make demo && make demo-stop'
check "make test passes without a network" inside no 'make test'
check "make install puts programs, library and manual pages below DESTDIR" inside no '
    make -s install DESTDIR=/tmp/at PREFIX=/usr && /tmp/at/usr/bin/dht-server --version &&
    test -e /tmp/at/usr/lib/pkgconfig/libdht.pc && test -e /tmp/at/usr/share/man/man8/dht-server.8'
[ "$status" -ne 0 ] || rm -f "$log"
exit "$status"
