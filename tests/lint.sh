#!/bin/bash
# Looks at the sources without running them; prints TAP, a test for each tool.
set -u
cd "$(dirname "$0")/.." || exit 1

number=0
status=0

# check NAME COMMAND…: silent tools that fail; their output if they do.
check() {
    local name=$1 text
    shift
    number=$((number + 1))
    if text=$("$@" 2>&1); then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        printf '%s\n' "$text" | sed 's/^/# /'
        status=1
    fi
}

# Every option of --help stands in the manual page, and the other way round.
manual_names_options() {
    diff <(./dht-server --help | grep -o -- '--[a-z][a-z-]*' | sort -u) \
        <(sed -n 's/^\.It .*Fl -\([a-z][a-z-]*\).*/--\1/p' server/dht-server.8 | sort -u)
}

mapfile -t sources < <(find common server client tests -name '*.[ch]' | sort)
mapfile -t scripts < <(find setup.sh .ci/run tests -name '*.sh' -o -name '*.bash' -o -path .ci/run)
mapfile -t manuals < <(find server client -name '*.[1-8]')
[ -d deploy ] && mapfile -t -O "${#scripts[@]}" scripts < <(find deploy -name '*.sh')

echo 1..8
check "sources are formatted" clang-format --dry-run --Werror "${sources[@]}"
check "includes point down" tests/layers.sh
check "clang-tidy" "${MAKE:-make}" -s -k -j"$(nproc)" tidy
# internalAstError: this cppcheck stumbles over compound literals behind a question mark.
check "cppcheck" cppcheck --quiet --std=c11 --enable=warning,performance,portability \
    --inline-suppr --suppress=missingIncludeSystem --suppress=internalAstError \
    --error-exitcode=1 -j"$(nproc)" -D_GNU_SOURCE -I. \
    common server client
check "shellcheck" shellcheck --exclude=SC2317 "${scripts[@]}"
check "manual pages" mandoc -T lint -W warning "${manuals[@]}"
check "the manual page names every option" manual_names_options
check "what is shown of membership is there" tests/sim/membership.sh
exit "$status"
