# README.md: its commands do what it says, in the order it says them.

# Blocks not run here, as they would run this again.
readonly left_out='./setup.sh && make test'

setup() {
    root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    blocks=$BATS_TEST_TMPDIR/blocks
    copy=$BATS_TEST_TMPDIR/copy
    mkdir "$blocks" "$copy"
    awk -v DIR="$blocks" -f "$BATS_TEST_DIRNAME/readme_blocks.awk" "$root/README.md"
}

# The tree as a person has it after make, without what tests left there.
copy_tree() {
    tar -c -C "$root" --exclude=./.git --exclude=./build/test --exclude=./build/demo \
        --exclude=./build/san --exclude=./build/fuzz . | tar -x -C "$copy"
}

# One shell for all blocks, as a person's would be, with job control; each block's output in a file.
write_session() {
    cat >"$BATS_TEST_TMPDIR/session" <<'END'
cd "$1" || exit 1
set -em
for block in "$2"/*.sh; do
    echo "== $(basename "$block")"
    cat "$block"
    # shellcheck disable=SC1090
    . "$block" >"${block%.sh}.printed" 2>&1 || { cat "${block%.sh}.printed"; exit 1; }
    cat "${block%.sh}.printed"
done
END
}

# Runs a command where the ports of peers.txt are free for certain and nothing outlives it, if this
# system lets us.
alone() {
    local namespaces=(--net --pid --fork --kill-child --mount-proc)
    [ "$(id -u)" -eq 0 ] || namespaces+=(--map-root-user)
    if unshare "${namespaces[@]}" true 2>/dev/null; then
        unshare "${namespaces[@]}" bash -c 'ip link set lo up && exec "$@"' - "$@"
    else
        "$@"
    fi
}

@test "README: every block of commands works and prints what stands below it" {
    copy_tree
    write_session
    grep -lxF "$left_out" "$blocks"/*.sh >"$BATS_TEST_TMPDIR/left_out"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/left_out")" -eq 1 ]
    rm "$(cat "$BATS_TEST_TMPDIR/left_out")"

    alone env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME="$BATS_TEST_TMPDIR" XDG_RUNTIME_DIR="$BATS_TEST_TMPDIR" LANG=C.UTF-8 \
        timeout 100 bash "$BATS_TEST_TMPDIR/session" "$copy" "$blocks" \
        </dev/null >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- || {
        cat "$BATS_TEST_TMPDIR/log"
        false
    }
    compared=0
    for expected in "$blocks"/*.out; do
        diff "$expected" <(tr -d '\r' <"${expected%.out}.printed")
        compared=$((compared + 1))
    done
    [ "$compared" -ge 3 ]
}

@test "README: every file it links to is there" {
    links=$(grep -o '](\([^)]*\))' "$root/README.md" | tr -d '()]')
    for link in $links; do
        [ -e "$root/$link" ] || { echo "no $link"; false; }
    done
}
