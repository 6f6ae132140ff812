#!/usr/bin/env bats
# shellcheck disable=SC2034,SC2154 # ports, pids: of helpers.bash
# What an operator does where members are lost for good and nothing goes on by itself: accept-loss, form.

load helpers

setup() { start_cluster --on-quorum-loss wait; }
teardown() { end_all; }

# kill_members INDEX…: at once, with all they had.
kill_members() {
    local i
    for i in "$@"; do
        kill -KILL "${members[i]}"
    done
    for i in "$@"; do
        wait "${members[i]}" || true
    done
}

start_again() {
    local i
    for i in "$@"; do
        start_member "$i" --on-quorum-loss wait
    done
    port=${ports[0]}
}

# names_given_up COMMAND…: kvcli names them, and would ask; sets output and lines.
names_given_up() {
    run kvcli "$@" </dev/null
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *'nobody can be asked here: --yes is wanted' ]]
}

serves_nothing() {
    local p
    for p in "${ports[@]}"; do
        [[ $(ask "$p" 'get k\r\n') == 'SERVER_ERROR not done: '* ]] || return 1
    done
}

# Of each name there is a process that is up, and no other is held for up any more.
has_new_only() {
    kvcli --json status >"$BATS_TEST_TMPDIR/status" || true
    jq -e '[.nodes[] | select(.standing == "up")] | length == 3' "$BATS_TEST_TMPDIR/status" &&
        jq -e '[.nodes[] | select(.standing == "up")] | all(.state == "ALIVE")' "$BATS_TEST_TMPDIR/status"
}

all_slots_unavailable() {
    kvcli --json status | jq -e '.unavailable == 16384'
}

@test "all nodes down at once: nothing is served until accept-loss, which names them" {
    kvcli put k lost
    kill_members 0 1 2
    start_again 0 1 2
    wait_until 20 has_new_only
    all_slots_unavailable
    run kvcli status
    [[ ${lines[-1]} == *'until these are back, or kvcli accept-loss gives them up' ]]
    serves_nothing
    local p
    names_given_up accept-loss
    for p in "${ports[@]}"; do # the first is of an earlier view if the one now is without it already
        [[ ${lines[0]} =~ ^'Given up: '.*"127.0.0.1:$p "\((full, superseded|of view [0-9]+)\) ]]
    done
    [[ $output == *'is on no other node, is lost.'* ]]
    serves_nothing
    run kvcli accept-loss --yes
    [ "$status" -eq 0 ]
    wait_until 10 is_whole "${ports[0]}" 3
    for p in "${ports[@]}"; do
        answers "$p" 'get k\r\n' 'END\r\n'
    done
    kvcli put k new
    [ "$(kvcli get k)" = new ]
}

@test "two of three lost what they had: accept-loss by name, though others of these names live" {
    kvcli put k kept
    kill_members 1 2
    start_again 1 2
    wait_until 20 has_new_only
    all_slots_unavailable
    names_given_up accept-loss "127.0.0.1:${ports[1]}"
    [[ ${lines[0]} == "Given up: 127.0.0.1:${ports[1]} ("* ]]
    run kvcli accept-loss --yes "127.0.0.1:${ports[0]}"
    [ "$status" -eq 1 ]
    [[ $output == *"127.0.0.1:${ports[0]}: no member of this name is down"* ]]
    answers "${ports[1]}" "accept_loss 127.0.0.1:${ports[0]}\r\n" \
        "CLIENT_ERROR not done: 127.0.0.1:${ports[0]} is alive: it must be off to be given up\r\n"
    run kvcli accept-loss --yes "127.0.0.1:${ports[1]}" nobody:1
    [ "$status" -eq 1 ]
    [[ $output == *"nobody:1: no member of this name is down"* ]]
    answers "${ports[0]}" "accept_loss 127.0.0.1:${ports[1]} nobody:1\r\n" \
        'CLIENT_ERROR not done: no member that is down has the name nobody:1\r\n'
    for none in '' "127.0.0.1:${ports[1]} 127.0.0.1:${ports[2]}"; do
        run kvcli accept-loss --yes "$none"
        [ "$status" -eq 2 ]
        [[ $output == *'each argument is the name of one member' ]]
    done
    serves_nothing
    run kvcli accept-loss --yes "127.0.0.1:${ports[1]}" "127.0.0.1:${ports[2]}"
    [ "$status" -eq 0 ]
    wait_until 10 is_whole "${ports[0]}" 3
    [ "$(kvcli get k)" = kept ]
}

@test "two of three gone for good: form goes on with what the third has, and names the two" {
    kvcli put k kept
    kill_members 1 2
    is_alone() {
        kvcli --json status | jq -e '[.nodes[] | select(.state == "DEAD" or .state == "SUSPECT")] | length == 2'
    }
    wait_until 10 is_alone
    run kvcli form </dev/null
    [ "$status" -eq 1 ]
    [[ ${lines[0]} == "Given up: "*"127.0.0.1:${ports[1]} ("*"127.0.0.1:${ports[2]} ("* ]]
    [[ ${lines[1]} == "Copies of 16384 of 16384 slots go with them; 16384 slots keep no majority." ]]
    [[ ${lines[3]} == 'They wait '*' until accept-loss, after this, lets them go on.' ]]
    run kvcli form --yes
    [ "$status" -eq 0 ]
    run kvcli accept-loss --yes
    [ "$status" -eq 0 ]
    wait_until 10 is_whole "${ports[0]}" 1
    [ "$(kvcli get k)" = kept ]
    kvcli put k new
}
