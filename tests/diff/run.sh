#!/bin/sh
# Sends COUNT generated commands to memcached and to dht-server and compares every answer.
#   tests/diff/run.sh COUNT SEED [--nodes 1|3]     SEED "fresh": a new one, printed
#   tests/diff/run.sh COUNT SEED --self [--tamper WAY]   memcached against itself: proves the harness
set -eu
count=${1:?COUNT SEED [--nodes 1|3]}
seed=${2:?COUNT SEED [--nodes 1|3]}
shift 2
if [ "$seed" = fresh ]; then
    seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
fi
echo "tests/diff/run.sh $count $seed $*"
exec /usr/bin/python3 -B "$(dirname "$0")/diff.py" "$count" "$seed" "$@"
