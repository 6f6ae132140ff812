/* Judges the histories of one cluster, written by load.
 *
 *     judge [--quick] FILE…     --quick: single answers only, not whether an order of all exists
 *
 * Prints one JSON object; on stderr what is wrong. Exit code 0 if nothing is, 1 if something is, 2
 * usage or a file that is no history. */
#include "tests/oracle/judge.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void judge_all(const struct history *history, bool is_quick, struct findings *findings)
{
    size_t first = 0;
    for (size_t at = 1; at <= history->count; at++) {
        const struct operation *key = &history->operations[first];
        if (at < history->count && strcmp(history->operations[at].key, key->key) == 0)
            continue;
        judge_key(key, at - first, findings);
        if (!is_quick)
            judge_order(key, at - first, findings);
        first = at;
    }
}

static void print(const struct findings *findings)
{
    const struct {
        const char *name;
        uint64_t value;
    } COUNTS[] = {{"keys", findings->keys},          {"operations", findings->operations},
                  {"reads", findings->reads},        {"lost", findings->lost},
                  {"stale", findings->stale},        {"risen", findings->risen},
                  {"undone", findings->undone},      {"above", findings->above},
                  {"below", findings->below},        {"missing", findings->missing},
                  {"doubled", findings->doubled},    {"disordered", findings->disordered},
                  {"undecided", findings->undecided}};
    for (size_t at = 0; at < ARRAY_COUNT(COUNTS); at++)
        printf("%s\"%s\": %" PRIu64, at == 0 ? "{" : ", ", COUNTS[at].name, COUNTS[at].value);
    printf(", \"wrong\": %" PRIu64 "}\n", findings_sum(findings));
}

int main(int argc, char **argv)
{
    struct history history = {0};
    struct findings findings = {0};
    bool is_quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    int first = is_quick ? 2 : 1;
    if (argc <= first) {
        fprintf(stderr, "usage: judge [--quick] FILE…\n");
        return 2;
    }
    for (int at = first; at < argc; at++) {
        long wrong = history_read(&history, argv[at]);
        if (wrong == 0)
            continue;
        if (wrong < 0)
            fprintf(stderr, "judge: %s: %s\n", argv[at], strerror(errno));
        else
            fprintf(stderr, "judge: %s:%ld: no operation\n", argv[at], wrong);
        return 2;
    }
    history_sort(&history);
    judge_all(&history, is_quick, &findings);
    print(&findings);
    history_close(&history);
    return findings_sum(&findings) == 0 ? 0 : 1;
}
