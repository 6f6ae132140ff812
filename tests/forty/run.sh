#!/bin/bash
# Measures forty real nodes on this machine: how soon all know of a death, a join, a leave; what is held
# dead in error; what an idle node costs. Needs root (network namespaces) and takes half an hour.
#
#   tests/forty/run.sh [ROW…]        --help lists rows and options; --scale 0.2 is a short look
#   make forty
#
# Prints a table beside what Serf did, and writes it to tests/forty/results/DATE-COMMIT.md.
set -u
cd "$(dirname "$0")/../.." || exit 1

if [ "$(id -u)" -ne 0 ]; then
    [[ " $* " != *" --tap "* ]] || { echo "ok 1 - forty # SKIP needs root" && exit; }
    echo "tests/forty/run.sh: needs root, for network namespaces" >&2
    exit 2
fi

# The names of the row `reuse`, known in here only.
hosts=$(mktemp) || exit 1
trap 'rm -f "$hosts"' EXIT
cat /etc/hosts >"$hosts" 2>/dev/null
subnet=10.79
for ((i = 1; i < $#; i++)); do
    next=$((i + 1))
    [ "${!i}" != --subnet ] || subnet=${!next}
done
for ((i = 1; i <= 250; i++)); do
    echo "$subnet.0.$i reuse$i.dht.test"
done >>"$hosts"
# Only /: namespaces named in here (/run/netns is a mount of its own) are known outside too.
ip netns add "dht-try-$$" && ip netns del "dht-try-$$"
# shellcheck disable=SC2016 # for the inner shell
unshare --mount --propagation unchanged bash -c '
    mount --make-private / && mount --bind "$1" /etc/hosts && shift &&
        exec /usr/bin/python3 -B tests/forty/forty.py "$@"' - "$hosts" "$@"
