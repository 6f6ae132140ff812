#!/usr/bin/env bats
# A node's life among others: it joins, hears of new seeds, is stopped and goes on, leaves, and is
# the only one of its name.

load helpers

setup() {
    make_net
    log() { echo "$BATS_TEST_TMPDIR/$1.log"; }
}
teardown() { end_all; }

# node NAME PORT PEERS [OPTION…]: starts a node; PEERS are the words of its own peers.txt.
node() {
    local name=$1 at=$2
    printf '%s\n' $3 >"$BATS_TEST_TMPDIR/$name.peers"
    shift 3
    start_server "$name" "$BATS_TEST_TMPDIR/$name.peers" "$at" "$@"
    wait_until 10 grep -q ' listening address=' "$(log "$name")"
}

# sees PORT STATE COUNT: so many members of that state are listed there.
sees() {
    [ "$(stat_of "$1" "members_$2")" = "$3" ]
}

# three_nodes: member0 to member2, which know each other; pid is the last one's.
three_nodes() {
    local all="127.0.0.1:${ports[0]} 127.0.0.1:${ports[1]} 127.0.0.1:${ports[2]}" index
    for index in 0 1 2; do
        node "member$index" "${ports[$index]}" "$all"
    done
    for index in 0 1 2; do
        wait_until 10 sees "${ports[$index]}" alive 3
    done
}

# lines PATTERN NAME: how often it stands in a log.
lines() {
    grep -cE "$1" "$(log "$2")" || true
}

@test "a node that stands in nobody's list joins through any seed, and all know it" {
    local a=127.0.0.1:${ports[0]} b=127.0.0.1:${ports[1]}
    node first "${ports[0]}" "$a"
    node second "${ports[1]}" "$a $b"
    node third "${ports[2]}" "127.0.0.1:1 $b"
    for port in "${ports[@]}"; do
        wait_until 10 sees "$port" alive 3
    done
    wait_until 10 answers "${ports[2]}" 'set k1 0 0 1\r\n1\r\nset k2 0 0 1\r\n2\r\nget k1 k2\r\n' \
        'STORED\r\nSTORED\r\nVALUE k1 0 1\r\n1\r\nVALUE k2 0 1\r\n2\r\nEND\r\n'
    answers "${ports[0]}" 'get k1 k2\r\n' 'VALUE k1 0 1\r\n1\r\nVALUE k2 0 1\r\n2\r\nEND\r\n'
}

@test "SIGHUP: new lines of peers.txt are joined through, a bad file changes nothing and is named" {
    node first "${ports[0]}" ''
    node second "${ports[1]}" 127.0.0.1:1
    local second=$pid
    sees "${ports[1]}" alive 1
    echo 'nonsense' >"$BATS_TEST_TMPDIR/second.peers"
    kill -HUP "$second"
    wait_until 5 grep -q ' error .* reload .*second.peers: .*nonsense' "$(log second)"
    sees "${ports[1]}" alive 1
    rm "$BATS_TEST_TMPDIR/second.peers"
    kill -HUP "$second"
    wait_until 5 grep -q ' error .* reload .*second.peers: No such file' "$(log second)"
    echo "127.0.0.1:${ports[0]}" >"$BATS_TEST_TMPDIR/second.peers"
    kill -HUP "$second"
    wait_until 10 sees "${ports[0]}" alive 2
    wait_until 10 sees "${ports[1]}" alive 2
    grep -q ' info .* reload seeds=1' "$(log second)"
}

@test "a second process under a name ends with status 3 and says why; the first goes on" {
    local name=127.0.0.1:${ports[0]}
    node first "${ports[0]}" "$name"
    local first=$pid
    wait_until 10 sees "${ports[0]}" alive 1
    node second "${ports[1]}" "$name" --advertise "$name"
    ended_within 10 "$pid"
    [ "$status" -eq 3 ]
    grep -q ' error .* stopping reason="another process is the node of this name' "$(log second)"
    [ "$(stat_of "${ports[0]}" pid)" = "$first" ]
    sees "${ports[0]}" alive 1
}

@test "SIGTERM: the others hear that it leaves, and nobody ever suspects it" {
    three_nodes
    local last=$pid index
    kill -TERM "$last"
    ended_within 5 "$last"
    [ "$status" -eq 0 ]
    grep -q ' stopping reason="left the cluster"' "$(log member2)"
    for index in 0 1; do
        wait_until 2 sees "${ports[$index]}" alive 2
        [ "$(stat_of "${ports[$index]}" suspicions)" -eq 0 ]
        [ "$(lines "member-left member=127.0.0.1:${ports[2]} " "member$index")" -eq 1 ]
        [ "$(lines 'member-(suspect|dead) ' "member$index")" -eq 0 ]
    done
}

@test "a node that was stopped for three seconds suspects nobody, and is not held for dead" {
    three_nodes
    local last=$pid index
    kill -STOP "$last"
    sleep 3 # what is tested: the time of being stopped
    kill -CONT "$last"
    for index in 0 1 2; do
        wait_until 10 sees "${ports[$index]}" alive 3
    done
    [ "$(stat_of "${ports[2]}" suspicions)" -eq 0 ]
    for index in 0 1 2; do
        [ "$(lines 'member-dead ' "member$index")" -eq 0 ]
    done
}

@test "values of a megabyte in both directions do not hold the gossip up" {
    three_nodes
    local index
    wire bulk "${ports[0]}" 4 1000000
    for index in 0 1 2; do
        [ "$(stat_of "${ports[$index]}" suspicions)" -eq 0 ]
    done
}

@test "a node of weight 3 leads three times as many slots as one of weight 1" {
    local all="127.0.0.1:${ports[0]} 127.0.0.1:${ports[1]}" one three
    node light "${ports[0]}" "$all"
    node heavy "${ports[1]}" "$all" --weight 3
    wait_until 20 is_whole "${ports[0]}" 2
    led() {
        in_net "$BIN/kvcli" -s "127.0.0.1:${ports[0]}" --json status | jq ".nodes[] | select(.name == \"127.0.0.1:$1\") | .led"
    }
    one=$(led "${ports[0]}")
    three=$(led "${ports[1]}")
    echo "$one $three"
    [ $((one + three)) -eq 16384 ]
    # 4,096 are meant, and at most a twentieth more.
    [ "$one" -ge 3400 ] && [ "$one" -le 4301 ]
}

@test "nodes join one that has as many clients as it may" {
    local all="127.0.0.1:${ports[0]} 127.0.0.1:${ports[1]} 127.0.0.1:${ports[2]}" index
    node first "${ports[0]}" "127.0.0.1:${ports[0]}" -c 1
    # Holds the one place until it is killed.
    start_in_net /usr/bin/python3 -c '
import socket, sys, time
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
client.sendall(b"mn\r\n")
client.recv(4)
print("held", flush=True)
time.sleep(60)' "${ports[0]}" >"$BATS_TEST_TMPDIR/client"
    wait_until 5 grep -q held "$BATS_TEST_TMPDIR/client"
    node second "${ports[1]}" "$all"
    node third "${ports[2]}" "$all"
    wait_until 10 sees "${ports[1]}" alive 3
    wait_until 10 sees "${ports[2]}" alive 3
    [ "$(ask "${ports[0]}" 'mn\r\n')" = $'SERVER_ERROR busy, retry in 1000 ms\r' ]
}

@test "nodes of another cluster are refused, counted, and said once" {
    local first=127.0.0.1:${ports[0]} second=127.0.0.1:${ports[1]}
    node first "${ports[0]}" "$first $second"
    node second "${ports[1]}" "$first $second" --cluster other --t-rejoin 100ms
    wait_until 10 test "$(stat_of "${ports[0]}" peers_refused)" -ge 1
    # It is tried again and again; the log does not grow with it.
    local before
    before=$(stat_of "${ports[0]}" peers_refused)
    wait_until 20 bash -c "$(declare -f stat_of ask in_net); netns=$netns; [ \$(stat_of ${ports[0]} peers_refused) -gt $((before + 3)) ]"
    [ "$(lines 'peer-refused .*cluster' first)" -eq 1 ]
    sees "${ports[0]}" alive 1
    sees "${ports[1]}" alive 1
}

@test "where another program answers on a line of peers.txt, that is said once, and harms nobody" {
    # One answers what is no frame, one nothing at all.
    local web=7004 mute=7005
    [ -n "$netns" ] || read -r web mute <<<"$(free_ports 2)"
    start_in_net /usr/bin/python3 -m http.server --bind 127.0.0.1 "$web" 2>/dev/null
    start_in_net nc -lk 127.0.0.1 "$mute" >/dev/null
    wait_until 10 in_net nc -z 127.0.0.1 "$web"
    wait_until 10 in_net nc -z 127.0.0.1 "$mute"
    local all="127.0.0.1:$web 127.0.0.1:$mute 127.0.0.1:${ports[0]} 127.0.0.1:${ports[1]} 127.0.0.1:${ports[2]}" index
    for index in 0 1 2; do
        node "member$index" "${ports[$index]}" "$all" --t-rejoin 100ms
    done
    wait_until 20 is_whole "${ports[0]}" 3
    local asked
    asked=$(stat_of "${ports[0]}" frames_malformed)
    wait_until 20 bash -c "$(declare -f stat_of ask in_net); netns=$netns; [ \$(stat_of ${ports[0]} frames_malformed) -gt $((asked + 3)) ]"
    for index in 0 1 2; do
        [ "$(lines " warn .* link-down member=127.0.0.1:$web .*no node" "member$index")" -eq 1 ]
        [ "$(lines " (warn|info) .*=127.0.0.1:$mute " "member$index")" -eq 0 ]
        sees "${ports[$index]}" alive 3
    done
}

@test "--stats-interval logs what stats gossip says" {
    node first "${ports[0]}" '' --stats-interval 1
    wait_until 10 grep -q ' STATS ' "$(log first)"
    local names
    names=$(ask "${ports[0]}" 'stats gossip\r\n' | tr -d '\r' | sed -n 's/^STAT \([^ ]*\) .*/\1/p')
    [ "$(sed -n 's/.* STATS //p' "$(log first)" | head -n 1 | tr ' ' '\n' | sed 's/=.*//')" = "$names" ]
    # A lone node's numbers stand still.
    ask "${ports[0]}" 'stats gossip\r\n' | tr -d '\r' | sed -n 's/^STAT \([^ ]*\) \(.*\)/\1=\2/p' | grep -v '^gossip_rounds' >"$BATS_TEST_TMPDIR/said"
    sed -n 's/.* STATS //p' "$(log first)" | tail -n 1 | tr ' ' '\n' | grep -v '^gossip_rounds' | diff - "$BATS_TEST_TMPDIR/said"
}

@test "whatever another node says, memory does not grow with it: names, news, questions, halves of frames" {
    node first "${ports[0]}" '' -m 64m
    wire flooding_peer "${ports[0]}" "$pid" 24
    # Nor does the log: what is not members is counted.
    [ "$(lines . first)" -lt 1000 ]
    [ "$(stat_of "${ports[0]}" members_full)" -gt 1000 ]
}

# listed PORT: the names that its list has, one a line.
listed() {
    ask "$1" 'get_membership_list\r\n' | grep -o '"name":"[^"]*"' | sort -u
}

@test "bits flipped between nodes close connections and are counted; nothing wrong is believed" {
    # The second node listens elsewhere: under its name there is a wire that flips bits.
    local behind=7012 first=127.0.0.1:${ports[0]} second=127.0.0.1:${ports[1]} third=127.0.0.1:${ports[2]}
    [ -n "$netns" ] || behind=$(free_ports 1)
    local switch=$BATS_TEST_TMPDIR/noise
    start_in_net /usr/bin/python3 -B "$BATS_TEST_DIRNAME/wire.py" noise-proxy "${ports[1]}" "$behind" 3 7 "$switch" \
        >"$BATS_TEST_TMPDIR/proxy"
    wait_until 5 grep -q ready "$BATS_TEST_TMPDIR/proxy"
    node first "${ports[0]}" "$first $second" --profile fast
    node third "${ports[2]}" "$first $second" --profile fast
    node second "$behind" "$first $second" --profile fast --advertise "$second"
    for port in "${ports[0]}" "${ports[2]}" "$behind"; do
        wait_until 10 sees "$port" alive 3
    done
    : >"$switch"
    flipped() { [ $(($(stat_of "$1" frames_bad_crc) + $(stat_of "$1" frames_malformed))) -ge "$2" ]; }
    wait_until 20 flipped "${ports[0]}" 3
    wait_until 20 flipped "$behind" 3
    rm "$switch"
    for port in "${ports[0]}" "${ports[2]}" "$behind"; do
        wait_until 20 sees "$port" alive 3
        listed "$port" | diff - <(printf '"name":"%s"\n' "$first" "$second" "$third" | sort)
        sees "$port" unverified 0
        # Nobody was made dead, or gone, by what it did not say.
        [ "$(stat_of "$port" members_removed)" -eq 0 ]
        [ "$(lines 'member-(dead|left) ' first)" -eq 0 ]
    done
}
