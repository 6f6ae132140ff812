#!/bin/bash
# Whether membership.md names what there is: checks, unit tests, and planted bugs, each of these in a line that also
# names what has to notice it.
set -u
cd "$(dirname "$0")/../.." || exit 1

{
    sed -n 's/.*{\.name = "\([a-z0-9-]*\)".*/check \1/p' tests/sim/checks.c
    sed -n 's/^ *X(\([a-z0-9_]*\), "\([a-z0-9_-]*\)".*/bug \1 \2/p' common/mutant_list.h
    for file in tests/unit/test_*.c; do
        echo "check $(basename "$file" .c)"
        sed -n 's/^static void \([a-z0-9_]*\)(void \*\*state)$/check \1/p' "$file"
    done
    sed -n 's/^| .* | \(.*\) | \(.*\) |$/row \1 | \2/p' tests/sim/membership.md
} | awk '
    $1 == "check" { checks[$2] = 1 }
    $1 == "bug" { noticed_by[$2] = $3 }
    $1 == "row" && /`/ {
        rows++
        is_bug = 0
        delete here
        for (i = 2; i <= NF; i++) {
            word = $i
            gsub("`", "", word)
            if (word == "|") {
                is_bug = 1
            } else if (!is_bug) {
                here[word] = 1
                if (!(word in checks))
                    wrong[++bad] = "there is no check " word
            } else if (!(word in noticed_by)) {
                wrong[++bad] = "there is no planted bug " word
            } else if (!(noticed_by[word] in here)) {
                wrong[++bad] = word " is noticed by " noticed_by[word] ", which its line does not name"
            }
        }
    }
    END {
        if (rows == 0)
            wrong[++bad] = "there is no table"
        for (i = 1; i <= bad; i++)
            print wrong[i]
        exit bad > 0
    }'
