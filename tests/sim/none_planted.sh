#!/bin/bash
# What ships has no planted bugs: no name of theirs in the server, and nothing asks for them.
set -u
cd "$(dirname "$0")/../.." || exit 1
echo 1..1
if nm dht-server | grep -i mutant; then
    echo "not ok 1 - nm dht-server shows no planted bug"
    exit 1
fi
echo "ok 1 - nm dht-server shows no planted bug"
