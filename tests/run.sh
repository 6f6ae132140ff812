#!/bin/bash
# Runs the stages it is given, counts what passed and failed in what they print (TAP), and ends in
# one line: N passed, N failed. Fails if anything failed. The whole output of each program is kept
# below build/test/.
#
#   tests/run.sh STAGE…    stages: build lint unit sim sim-long mutants fuzz-replay e2e scenes forty bare
set -u
cd "$(dirname "$0")/.." || exit 1

readonly output=build/test
passed=0
failed=0
skipped=0
under_way=0
at_once=1
mkdir -p "$output"

# As many jobs as processors, unless a make above has said how many.
jobs=(-j"$(nproc)")
[[ ${MAKEFLAGS-} == *jobserver* ]] && jobs=()

# Counts a program's TAP: prints "passed failed skipped". Tests that were planned and never came,
# and a program that failed without a failed test, count as failed.
# count FILE EXIT_CODE
count() {
    awk -v code="$2" '
        /^1\.\.[0-9]+/ { planned += substr($1, 4) }
        /^(not )?ok .*# *(SKIP|skip)/ { skipped++; next }
        /^ok / { passed++ }
        /^not ok / { failed++ }
        END {
            missing = planned - passed - failed - skipped
            if (missing > 0) failed += missing
            if (code != 0 && failed == 0) failed = 1
            if (code == 0 && passed + failed + skipped == 0) failed = 1
            print passed + 0, failed + 0, skipped + 0
        }' "$1"
}

# Runs one program that prints TAP, at most LIMIT seconds; shows its output if something failed. The
# counts go into a file beside it.
# try NAME LIMIT COMMAND…
try() {
    local name=$1 limit=$2 file=$output/$1.tap code counts program start=$SECONDS
    shift 2
    timeout --kill-after=10 "$limit" "$@" >"$file" 2>&1 </dev/null &
    program=$!
    trap 'kill "$program"; exit 143' TERM
    wait "$program"
    code=$?
    read -r -a counts < <(count "$file" "$code")
    {
        printf '%-40s %5d passed %3d failed %4d s\n' "$name" "${counts[0]}" "${counts[1]}" \
            $((SECONDS - start))
        if [ "${counts[1]}" -ne 0 ]; then
            [ "$code" -ne 124 ] || echo "    stopped after $limit s"
            grep -v '^ok' "$file" | sed 's/^/    /' | tail -n 100
            echo "    all of it: $file"
        else
            grep '^# seeds: ' "$file" | cut -c3- | fold -s -w 120 | sed 's/^/    /'
        fi
    } >"$file.said"
    flock "$output" cat "$file.said"
    echo "${counts[*]}" >"$file.counts"
}

# Whoever ends this ends what it started.
stop() {
    local running
    mapfile -t running < <(jobs -p)
    [ "${#running[@]}" -eq 0 ] || kill "${running[@]}"
    exit "$1"
}
trap 'stop 143' TERM
trap 'stop 130' INT

# run NAME LIMIT COMMAND…: at_once of them at a time; finish waits for the last.
run() {
    local file=$output/$1.tap
    if [ "$under_way" -ge "$at_once" ]; then
        wait -n
        under_way=$((under_way - 1))
    fi
    rm -f "$file.counts"
    begun+=("$file")
    try "$@" &
    under_way=$((under_way + 1))
}

# Waits for what was begun, and adds up what it found.
finish() {
    local file counts
    wait
    under_way=0
    for file in "${begun[@]}"; do
        counts=(0 1 0)
        [ ! -r "$file.counts" ] || read -r -a counts <"$file.counts"
        passed=$((passed + counts[0]))
        failed=$((failed + counts[1]))
        skipped=$((skipped + counts[2]))
    done
    begun=()
}

# Makes targets. Success is no test passed; a failure is one failed, and what could be made is tested
# all the same.
# build TARGET…
build() {
    local start=$SECONDS
    if timeout 900 "${MAKE:-make}" -s -k "${jobs[@]}" "$@" >"$output/build.log" 2>&1 </dev/null; then
        printf '%-40s %26d s\n' "build $*" $((SECONDS - start))
    else
        failed=$((failed + 1))
        echo "build $* failed:"
        grep -v '^  [A-Z]' "$output/build.log" | sed 's/^/    /' | tail -n 100
    fi
}

stage_build() {
    build all unit-programs replay-programs
}

stage_lint() {
    run lint 600 tests/lint.sh
}

stage_unit() {
    build unit-programs
    at_once=$(nproc)
    for source in tests/unit/test_*.c; do
        local name
        name=$(basename "$source" .c)
        [ -x "build/unit/$name" ] && CMOCKA_MESSAGE_OUTPUT=TAP run "unit/$name" 240 "build/unit/$name"
    done
}

# Each target gets its corpus and every input that ever crashed it.
stage_fuzz-replay() {
    build replay-programs
    at_once=$(nproc)
    for source in tests/fuzz/fuzz_*.c; do
        local name=${source#tests/fuzz/fuzz_}
        name=${name%.c}
        [ -x "build/replay/$name" ] && run "fuzz-replay/$name" 120 "build/replay/$name" \
            "tests/fuzz/corpus/$name" "tests/fuzz/regress/$name"
    done
}

# What depends on how many slots there are, or would go wrong with many only: these are simulated with
# all 16,384, too. The others are as well tried with 256, at a fifth of the cost.
readonly many_slots=(same-trace requests-quiet direct-quiet linear-quiet linear-once heal overload
    replicas replicas-recover scene-rolling scene-growth)

# simulate LIMIT [OPTION…]: every check over its seeds.
simulate() {
    local limit=$1 check
    shift
    at_once=$(nproc)
    for check in "${many_slots[@]}"; do
        run "sim/$check" "$limit" build/sim --check "$check" "$@"
    done
    finish
    at_once=1 # it uses all processors
    run sim-few "$limit" build/sim-few "$@"
}

# Simulated clusters: every check over a few seeds, some of them drawn anew.
stage_sim() {
    build build/sim build/sim-few
    simulate 900
    run sim-stories 120 build/sim --stories tests/sim/stories/*.story
}

# Many seeds, hours of virtual time.
stage_sim-long() {
    build build/sim build/sim-few
    simulate 20000 --long
}

# Each planted bug is noticed, and what ships has none.
stage_mutants() {
    build build/mutants build/sim-few dht-server
    run mutants 3600 build/mutants --mutants
    run sim-failures 120 tests/sim/failures.sh
    run mutants-none 60 tests/sim/none_planted.sh
}

# Each file has its own folders, free ports, namespaces; few of them keep a processor busy.
stage_e2e() {
    build all oracle
    at_once=2
    for file in tests/e2e/*.bats; do
        run "e2e/$(basename "$file" .bats)" 600 env BATS_TEST_TIMEOUT="${BATS_TEST_TIMEOUT:-120}" \
            bats --formatter tap --print-output-on-failure "$file"
    done
}

# A short look at the table of tests/forty, held to ten times what is wanted.
stage_forty() {
    build all
    run forty 2400 tests/forty/run.sh --tap --scale 0.2
}

# Every scene with real nodes, forty of them in one.
stage_scenes() {
    build all oracle
    run scenes 7200 tests/scenes/run.sh
}

stage_bare() {
    run bare 3600 tests/bare.sh
}

shopt -s nullglob
for stage in "$@"; do
    mkdir -p "$output/unit" "$output/sim" "$output/fuzz-replay" "$output/e2e"
    at_once=1
    begun=()
    "stage_$stage"
    finish
done
[ "$skipped" -eq 0 ] || echo "$skipped skipped"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
