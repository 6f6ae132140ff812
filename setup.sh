#!/bin/sh
# Installs what building, testing and measuring need from Debian's packages, and nothing else.
# Needs root, or sudo. Done at once when nothing is missing. Takes no input.
#
#   ./setup.sh          all of it
#   ./setup.sh build    only what `make` needs
#   ./setup.sh bench    all of it, and what `make bench` only compares with
set -eu

build='gcc libc6-dev make pkg-config libevent-dev libjansson-dev libssl-dev libinih-dev libedit-dev
libisal-dev liburing-dev'
tests='libcmocka-dev bats memcached libmemcached-tools libmemcached-dev python3 python3-pymemcache
netcat-openbsd telnet procps iproute2 nftables openssh-client openssh-server jq clang libclang-rt-14-dev
clang-tidy clang-format cppcheck shellcheck mandoc'
peers='redis-server nutcracker'
rivals='etcd-server etcd-client redis-tools'

say() {
    printf 'setup: %s\n' "$*" >&2
}

case ${1-all} in
all) wanted="$build $tests $peers" ;;
build) wanted=$build ;;
bench) wanted="$build $tests $peers $rivals" ;;
*)
    say "usage: ./setup.sh [build|bench]"
    exit 2
    ;;
esac

# What of $wanted is not installed, one a line.
missing() {
    # shellcheck disable=SC2086 # a list of words
    dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null |
        sed -n 's/^installed //p' | sort -u >"$installed"
    # shellcheck disable=SC2086
    printf '%s\n' $wanted | sort -u | comm -23 - "$installed"
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "this is not a Debian system; install by hand what these packages hold:"
    # shellcheck disable=SC2086
    printf '  %s\n' $wanted >&2
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
installed=$work/installed

packages=$(missing)
if [ -z "$packages" ]; then
    say "nothing is missing"
    exit 0
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        say "missing:" "$(echo "$packages" | tr '\n' ' ')"
        say "run this as root, or install sudo"
        exit 1
    fi
    as_root=sudo
fi

# The memcached, redis and sshd of the tests are started by the tests. Debian's packages would start
# theirs too, on the usual ports: this policy says no while we install, unless there is one, and what
# we brought is not started at the next boot either.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap '$as_root rm -f "$policy"; rm -rf "$work"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$work/policy"
    $as_root install -m 755 "$work/policy" "$policy"
fi

say "installing:" "$(echo "$packages" | tr '\n' ' ')"
if ! $as_root apt-get -q -o DPkg::Lock::Timeout=300 update >"$work/log" 2>&1; then
    cat "$work/log" >&2
    say "apt-get update failed; trying with the lists that are there"
fi
# shellcheck disable=SC2086
if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install $packages \
    </dev/null >"$work/log" 2>&1; then
    tail -n 30 "$work/log" >&2
    say "apt-get install failed: see above"
    exit 1
fi

for package in $packages; do
    case $package in
    openssh-server) service=ssh ;;
    etcd-server) service=etcd ;;
    memcached | redis-server | nutcracker | nftables) service=$package ;;
    *) continue ;;
    esac
    ! command -v systemctl >/dev/null || $as_root systemctl -q --no-reload disable "$service" >"$work/log" 2>&1 || true
done

packages=$(missing)
if [ -n "$packages" ]; then
    say "still missing:" "$(echo "$packages" | tr '\n' ' ')"
    exit 1
fi
say "done; next: make demo, make test"
