#!/usr/bin/env bats
# deploy/cluster.sh: a cluster over ssh, tried with an sshd for each of some hosts, which are network
# namespaces here, each with a home folder of its own.

load helpers

setup() {
    hosts=$BATS_TEST_TMPDIR/hosts.txt
    keys=$BATS_FILE_TMPDIR
    export DHT_CLUSTER_PROGRAM=$BIN/dht-server
}

teardown() {
    local name
    for name in "${spaces[@]}"; do
        # The nodes too: they live in the namespace and nowhere else.
        ip netns pids "$name" | xargs -r kill -KILL
        ip link del "$name"
        ip netns del "$name"
    done
    [ -z "${bridge-}" ] || ip link del "$bridge"
}

spaces=()

cluster() { "$repository/deploy/cluster.sh" "$@" 3>&-; }

# make_hosts COUNT: hosts $subnet.1 … with an sshd each; writes $hosts.
make_hosts() {
    [ "$(id -u)" -eq 0 ] || skip "needs root"
    command -v /usr/sbin/sshd >/dev/null || skip "needs openssh-server"
    local i name
    subnet=$(free_subnet 160 25).0
    bridge=dht-s$((RANDOM % 10000))
    ip link add "$bridge" type bridge
    ip addr add "$subnet.254/24" dev "$bridge"
    ip link set "$bridge" up
    ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/key"
    mkdir -p /run/sshd
    cat >"$BATS_TEST_TMPDIR/sshd_config" <<TEXT
HostKey $BATS_TEST_TMPDIR/host_key
AuthorizedKeysFile $BATS_TEST_TMPDIR/key.pub
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
TEXT
    ssh-keygen -q -t ed25519 -N '' -f "$BATS_TEST_TMPDIR/host_key"
    for ((i = 1; i <= $1; i++)); do
        name=$bridge-$i
        ip netns add "$name"
        spaces+=("$name")
        ip link add "$name" type veth peer name eth0 netns "$name"
        ip link set "$name" master "$bridge" up
        ip -n "$name" link set lo up
        ip -n "$name" addr add "$subnet.$i/24" dev eth0
        ip -n "$name" link set eth0 up
        ip netns exec "$name" unshare --mount bash -c '
            mount -t tmpfs tmpfs "$HOME" && exec /usr/sbin/sshd -D -e -f "$1"' - "$BATS_TEST_TMPDIR/sshd_config" \
            2>"$BATS_TEST_TMPDIR/sshd$i.log" 3>&- &
        pids+=("$!")
        wait_until 10 nc -z "$subnet.$i" 22
    done
    cat >"$hosts" <<TEXT
ssh = -i $BATS_TEST_TMPDIR/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
options = -m 64
# the nodes
TEXT
    for ((i = 1; i <= $1; i++)); do
        echo "root@$subnet.$i" >>"$hosts"
    done
}

# is_said COUNT PATTERN: that many lines of $output are like that.
is_said() {
    if [ "$(grep -cE -- "$2" <<<"$output")" -ne "$1" ]; then
        echo "not $1 lines with '$2' in:"
        echo "$output"
        return 1
    fi
}

at() {
    local host=$1
    shift
    timeout 20 "$BIN/kvcli" -s "$host:11211" "$@"
}

@test "three hosts: install, start, status, stop, remove, each a line a host" {
    make_hosts 3
    run cluster "$hosts" status
    [ "$status" -eq 1 ]
    is_said 3 '^10\.[0-9.]+:11211 +failed +not installed$'
    run cluster "$hosts" install
    [ "$status" -eq 0 ]
    is_said 3 '^10\.[0-9.]+:11211 +ok +installed, dht-server '
    run cluster "$hosts" start
    [ "$status" -eq 0 ]
    is_said 3 ' ok +started, process [0-9]+$'
    run cluster "$hosts" start
    [ "$status" -eq 0 ]
    is_said 3 ' ok +runs already, process [0-9]+$'
    run cluster "$hosts" status
    [ "$status" -eq 0 ]
    is_said 3 ' ok +running, process [0-9]+, '
    at "$subnet.1" put fruit apple
    [ "$(at "$subnet.3" get fruit)" = apple ]
    run cluster "$hosts" remove
    [ "$status" -eq 1 ]
    is_said 3 ' failed +process [0-9]+ runs still: stop it first$'
    run cluster "$hosts" install
    [ "$status" -eq 0 ]
    is_said 3 ' process [0-9]+ runs on as it was started$'
    [ "$(at "$subnet.2" get fruit)" = apple ]
    run cluster "$hosts" stop
    [ "$status" -eq 0 ]
    is_said 3 ' ok +stopped$'
    run cluster "$hosts" status
    [ "$status" -eq 1 ]
    is_said 3 ' failed +not running$'
    run cluster "$hosts" stop
    [ "$status" -eq 0 ]
    is_said 3 ' ok +does not run$'
    run cluster "$hosts" remove
    [ "$status" -eq 0 ]
    is_said 3 ' ok +removed$'
}

@test "a host that fails is named with its reason, and the others are done" {
    make_hosts 3
    # The first does not let us in, the second cannot be reached, a fourth has no name.
    ip -n "${spaces[1]}" addr del "$subnet.2/24" dev eth0
    ip -n "${spaces[1]}" addr add "$subnet.12/24" dev eth0
    sed -i "s/root@$subnet.1/nobody@$subnet.1/" "$hosts"
    echo no-such-host.invalid >>"$hosts"
    run cluster "$hosts" install
    [ "$status" -eq 1 ]
    is_said 1 "^$subnet.1:11211 +failed +.*Permission denied"
    is_said 1 "^$subnet.2:11211 +failed +.*(No route to host|timed out)"
    is_said 1 "^no-such-host.invalid:11211 +failed +.*[Cc]ould not resolve"
    is_said 1 "^$subnet.3:11211 +ok +installed"
    is_said 1 '^cluster.sh: install failed on 3 of 4$'
}

@test "a host whose node cannot start says why; two nodes share a host" {
    make_hosts 1
    echo "root@$subnet.1:11212" >>"$hosts"
    run cluster "$hosts" install
    [ "$status" -eq 0 ]
    ip netns exec "${spaces[0]}" nc -lk "$subnet.1" 11211 >/dev/null 3>&- &
    wait_until 5 nc -z "$subnet.1" 22
    wait_until 5 bash -c "ip netns exec ${spaces[0]} ss -Hltn | grep -q ':11211 '"
    run cluster "$hosts" start
    [ "$status" -eq 1 ]
    is_said 1 "^$subnet.1:11211 +failed +did not start: .*11211"
    is_said 1 "^$subnet.1:11212 +ok +started"
}

@test "a host that hangs is given up after the timeout" {
    make_hosts 2
    kill -STOP "${pids[0]}"
    sed -i '1i timeout = 8' "$hosts"
    run cluster "$hosts" install
    kill -CONT "${pids[0]}"
    [ "$status" -eq 1 ]
    is_said 1 "^$subnet.1:11211 +failed +not done within 8 s"
    is_said 1 "^$subnet.2:11211 +ok"
}

# fake_ssh: an ssh that counts how many of it run at a time, and says nothing else.
fake_ssh() {
    mkdir -p "$BATS_TEST_TMPDIR/bin" "$BATS_TEST_TMPDIR/running"
    cat >"$BATS_TEST_TMPDIR/bin/ssh" <<TEXT
#!/bin/bash
cd "$BATS_TEST_TMPDIR/running" && touch \$\$ && ls | wc -l >>../counts
printf '%s\n' "\$*" >>../calls
sleep 0.1
rm \$\$
echo fine
TEXT
    chmod +x "$BATS_TEST_TMPDIR/bin/ssh"
    PATH=$BATS_TEST_TMPDIR/bin:$PATH
}

@test "no more than parallel hosts at a time, and each of them once" {
    fake_ssh
    printf '10.0.0.%s\n' {1..12} >"$hosts"
    DHT_CLUSTER_PARALLEL=3 run cluster "$hosts" stop
    [ "$status" -eq 0 ]
    is_said 12 '^10\.0\.0\.[0-9]+:11211 +ok +fine$'
    [ "$(sort -n "$BATS_TEST_TMPDIR/counts" | tail -n 1)" -eq 3 ]
    [ "$(wc -l <"$BATS_TEST_TMPDIR/calls")" -eq 12 ]
}

@test "interrupted, it leaves no ssh behind" {
    fake_ssh
    printf '#!/bin/bash\necho $$ >>%q/sshs\nexec sleep 20\n' "$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/bin/ssh"
    printf '10.0.0.%s\n' 1 2 >"$hosts"
    "$repository/deploy/cluster.sh" "$hosts" stop 3>&- &
    local script=$! ssh
    wait_until 10 eval '[ "$(cat "$BATS_TEST_TMPDIR/sshs" | wc -l)" -eq 2 ]'
    kill -TERM "$script"
    wait "$script" || [ $? -eq 130 ]
    while read -r ssh; do
        wait_until 5 fails kill -0 "$ssh"
    done <"$BATS_TEST_TMPDIR/sshs"
}

@test "a node started twice at once runs once, and is remembered" {
    local folder=$BATS_TEST_TMPDIR/node name first second
    name=127.0.0.1:$(free_ports 1)
    mkdir "$folder"
    cp "$BIN/dht-server" "$BIN/kvcli" "$repository"/deploy/{node,process}.sh "$folder"
    echo "$name" >"$folder/peers.txt"
    printf -- '-m\n64\n' >"$folder/options"
    bash "$folder/node.sh" start "$name" >"$BATS_TEST_TMPDIR/first" 2>&1 3>&- &
    first=$!
    bash "$folder/node.sh" start "$name" >"$BATS_TEST_TMPDIR/second" 2>&1 3>&- &
    second=$!
    wait "$first" && wait "$second"
    output=$(cat "$BATS_TEST_TMPDIR/first" "$BATS_TEST_TMPDIR/second")
    is_said 1 '^started, process'
    is_said 1 '^runs already, process'
    run bash "$folder/node.sh" stop "$name"
    [ "$output" = stopped ]
    [ "$status" -eq 0 ]
}

@test "a dry run prints what it would do, and does nothing" {
    fake_ssh
    printf 'ssh = -p 2222\nme@10.0.0.1:7000\n' >"$hosts"
    run cluster -n "$hosts" start
    [ "$status" -eq 0 ]
    [[ $output == "ssh -p 2222 -- me@10.0.0.1 "*dht/7000/node.sh*start*10.0.0.1:7000* ]]
    [ ! -e "$BATS_TEST_TMPDIR/calls" ]
}

@test "a bad list is refused with file and line, before anything is done" {
    fake_ssh
    refused() {
        printf -- "$1" >"$hosts"
        run cluster "$hosts" start
        [ "$status" -eq 2 ]
        is_said 1 "$2"
        [ ! -e "$BATS_TEST_TMPDIR/calls" ]
    }
    refused '10.0.0.1\n\nten zero\n' "hosts.txt:3: 'ten zero' is not"
    refused 'x\n-oProxyCommand=x\n' 'hosts.txt:2: unknown setting -oProxyCommand'
    refused '-x@y\n' "hosts.txt:1: '-x@y' begins with a dash"
    refused '10.0.0.1:70000\n' 'hosts.txt:1: no port 70000'
    refused 'a\nb\na:11211\n' 'a:11211 stands there twice'
    refused 'colour = blue\na\n' 'hosts.txt:1: unknown setting colour'
    refused 'directory = $(reboot)\na\n' 'only letters'
    refused 'directory = ../x\na\n' 'only letters'
    refused 'parallel = many\na\n' 'parallel = many is no number'
    refused '# nobody\n' 'names no hosts'
    run cluster "$hosts"
    [ "$status" -eq 2 ]
    run cluster "$hosts" explode
    [ "$status" -eq 2 ]
    run cluster /no/such/file start
    [ "$status" -eq 2 ]
}
