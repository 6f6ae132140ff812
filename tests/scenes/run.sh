#!/bin/bash
# Plays scenes with real nodes on this machine: they are killed, stopped, cut off, restarted, they join and
# leave, under a load whose every answer is checked. TAP. As root each node has a network namespace of its
# own; otherwise, or with --loopback, they are ports of 127.0.0.1.
#
#   tests/scenes/run.sh [SCENE…]        --help lists the scenes and options, --list says what each shows
#   make scenes                         all of them: half an hour
set -u
cd "$(dirname "$0")/../.." || exit 1
if [ ! -x build/oracle/load ] || [ ! -x build/oracle/judge ]; then
    echo "build the programs that ask and judge first: make all oracle" >&2
    exit 2
fi
exec /usr/bin/python3 -B tests/scenes/scenes_main.py "$@"
