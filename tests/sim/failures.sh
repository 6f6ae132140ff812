#!/bin/bash
# A failure ends in the command that repeats it, and that command does: of one check, of several, of a
# story. The build with planted bugs fails on demand.
set -u
cd "$(dirname "$0")/../.." || exit 1
readonly sim=build/mutants few=build/sim-few
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failed=0
echo 1..3

# tell NUMBER SENTENCE EXIT_CODE
tell() {
    [ "$3" -eq 0 ] || failed=1
    [ "$3" -eq 0 ] && echo "ok $1 - $2" || echo "not ok $1 - $2"
}

# ends_in_repeat FILE COMMAND…: it fails, and its last line is a command for that check.
ends_in_repeat() {
    local out=$1
    shift
    if "$@" >"$out" 2>&1; then
        echo "# did not fail: $*"
        return 1
    fi
    [[ $(tail -n 1 "$out") == '# repeat: make sim'* ]]
}

one() {
    ends_in_repeat "$folder/one" env DHT_MUTANT=act_kept "$sim" --check replicas --seeds 3 || return
    local seed
    seed=$(sed -n '$s/.*CHECK=replicas SEED=\([^ ]*\) .*/\1/p' "$folder/one")
    [ -n "$seed" ] || return
    ends_in_repeat "$folder/again" env DHT_MUTANT=act_kept "$sim" --check replicas --seed "$seed" || return
    "$few" --check replicas --seed "$seed" >"$folder/good" 2>&1
}

# With three nodes and a second only, some checks cannot hold.
several() {
    ends_in_repeat "$folder/all" "$few" --seeds 1 --nodes 3 --seconds 1 || return
    grep -q '^ok ' "$folder/all"
}

story() {
    local path=$folder/wrong.story
    sed '/^---$/q' tests/sim/stories/left.story >"$path"
    ends_in_repeat "$folder/story" "$few" --stories "$path" && grep -q "STORY=$path" "$folder/story"
}

one
tell 1 "a check that fails ends in the command that repeats it" $?
several
tell 2 "so do all checks, where one of them fails" $?
story
tell 3 "so does a story that is told otherwise" $?
exit $failed
