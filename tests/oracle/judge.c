#include "tests/oracle/judge.h"

#include "tests/sim/linear.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COMPLAINTS_MAX 40u /* of a kind; the rest is only counted */

uint64_t findings_sum(const struct findings *findings)
{
    return findings->lost + findings->stale + findings->risen + findings->undone + findings->above +
           findings->below + findings->missing + findings->doubled + findings->disordered +
           findings->undecided;
}

static void find(uint64_t *count, const char *what, const struct operation *at,
                 const struct operation *because)
{
    if (++*count > COMPLAINTS_MAX)
        return;
    fprintf(stderr, "%s: ", what);
    history_write(stderr, at);
    if (because != NULL) {
        fprintf(stderr, "    for: ");
        history_write(stderr, because);
    }
}

static bool is_write_of_value(enum verb verb)
{
    return verb == VERB_SET || verb == VERB_ADD || verb == VERB_REPLACE || verb == VERB_CAS;
}

static bool may_have_happened(const struct operation *operation)
{
    return operation->outcome == OUTCOME_DONE || operation->outcome == OUTCOME_UNKNOWN;
}

static bool is_done(const struct operation *operation)
{
    return operation->outcome == OUTCOME_DONE;
}

/* ---- registers
 * ------------------------------------------------------------------------------------- */

/* A write of a value, and when it had happened at the latest: its answer, or the first that showed
 * it. */
struct write {
    const struct operation *operation;
    uint64_t happened_ns;
};

/* What replaced a value for sure: acknowledged, in the order of the answers. latest is, of those up
 * to here, the one that began last. */
struct overwrite {
    const struct operation *operation, *latest;
};

struct registry {
    struct write *writes;
    struct overwrite *overwrites;
    const struct operation **deletes; /* that may have happened, by begin */
    size_t write_count, overwrite_count, delete_count;
};

static int compare_write(const void *left_, const void *right_)
{
    const struct write *left = left_, *right = right_;
    return strcmp(left->operation->argument, right->operation->argument);
}

static int compare_overwrite(const void *left_, const void *right_)
{
    const struct overwrite *left = left_, *right = right_;
    return left->operation->end_ns < right->operation->end_ns   ? -1
           : left->operation->end_ns > right->operation->end_ns ? 1
                                                                : 0;
}

static struct write *find_write(const struct registry *registry, const char *value)
{
    struct operation wanted = {.argument = (char *)(uintptr_t)value};
    struct write key = {.operation = &wanted};
    return bsearch(&key, registry->writes, registry->write_count, sizeof(key), compare_write);
}

static void collect(const struct operation *operations, size_t count, struct registry *registry)
{
    *registry = (struct registry){
        .writes = oracle_allocate(NULL, (count + 1) * sizeof(struct write)),
        .overwrites = oracle_allocate(NULL, (count + 1) * sizeof(struct overwrite)),
        .deletes = oracle_allocate(NULL, (count + 1) * sizeof(void *))};
    for (size_t at = 0; at < count; at++) {
        const struct operation *operation = &operations[at];
        bool is_write = is_write_of_value(operation->verb);
        if (is_write)
            registry->writes[registry->write_count++] =
                (struct write){operation, is_done(operation) ? operation->end_ns : UINT64_MAX};
        if ((is_write || operation->verb == VERB_DELETE) && is_done(operation))
            registry->overwrites[registry->overwrite_count++] = (struct overwrite){operation, NULL};
        if (operation->verb == VERB_DELETE && may_have_happened(operation))
            registry->deletes[registry->delete_count++] = operation;
    }
    qsort(registry->writes, registry->write_count, sizeof(struct write), compare_write);
    qsort(registry->overwrites, registry->overwrite_count, sizeof(struct overwrite),
          compare_overwrite);
    const struct operation *latest = NULL;
    for (size_t at = 0; at < registry->overwrite_count; at++) {
        struct overwrite *overwrite = &registry->overwrites[at];
        if (latest == NULL || overwrite->operation->begin_ns > latest->begin_ns)
            latest = overwrite->operation;
        overwrite->latest = latest;
    }
    for (size_t at = 0; at < count; at++) {
        const struct operation *read = &operations[at];
        if (read->verb != VERB_GETS || !is_done(read))
            continue;
        struct write *write = find_write(registry, read->got != NULL ? read->got : "");
        if (write != NULL && read->end_ns < write->happened_ns)
            write->happened_ns = read->end_ns;
    }
}

/* Of the overwrites answered before a time, the one that began last; NULL: there is none. */
static const struct operation *latest_before(const struct registry *registry, uint64_t time_ns)
{
    size_t low = 0, high = registry->overwrite_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (registry->overwrites[middle].operation->end_ns < time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? registry->overwrites[low - 1].latest : NULL;
}

/* Whether a delete may have happened after a write had begun and before the read was answered. */
static bool may_be_deleted(const struct registry *registry, const struct operation *write,
                           const struct operation *read)
{
    for (size_t at = 0; at < registry->delete_count; at++) {
        const struct operation *other = registry->deletes[at];
        if (other->begin_ns >= read->end_ns)
            break;
        if (other->outcome == OUTCOME_UNKNOWN || other->end_ns >= write->begin_ns)
            return true;
    }
    return false;
}

static void judge_register_read(const struct registry *registry, const struct operation *read,
                                struct findings *findings)
{
    const struct operation *latest = latest_before(registry, read->begin_ns);
    if (read->outcome == OUTCOME_ABSENT) {
        if (latest != NULL && latest->verb != VERB_DELETE &&
            !may_be_deleted(registry, latest, read))
            find(&findings->lost, "lost", read, latest);
        return;
    }
    const struct write *write = find_write(registry, read->got != NULL ? read->got : "");
    if (write == NULL || !may_have_happened(write->operation) ||
        write->operation->begin_ns > read->end_ns)
        find(&findings->undone, "of no write", read, write != NULL ? write->operation : NULL);
    else if (latest != NULL && write->happened_ns < latest->begin_ns)
        find(latest->verb == VERB_DELETE ? &findings->risen : &findings->stale,
             latest->verb == VERB_DELETE ? "risen" : "stale", read, latest);
}

static void judge_register(const struct operation *operations, size_t count,
                           struct findings *findings)
{
    struct registry registry;
    collect(operations, count, &registry);
    for (size_t at = 0; at < count; at++)
        if (operations[at].verb == VERB_GETS && operations[at].outcome <= OUTCOME_ABSENT)
            judge_register_read(&registry, &operations[at], findings);
    free(registry.writes);
    free(registry.overwrites);
    free(registry.deletes);
}

/* ---- counters
 * -------------------------------------------------------------------------------------- */

static int compare_number(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

/* How many of the sorted numbers are below a bound. */
static size_t count_below(const uint64_t *numbers, size_t count, uint64_t bound)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (numbers[middle] < bound)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void judge_numbers_given(const struct operation *operations, size_t count,
                                struct findings *findings)
{
    uint64_t *given = oracle_allocate(NULL, (count + 1) * sizeof(uint64_t));
    size_t given_count = 0;
    for (size_t at = 0; at < count; at++)
        if (operations[at].verb == VERB_INCR && operations[at].got != NULL)
            given[given_count++] = strtoull(operations[at].got, NULL, 10);
    qsort(given, given_count, sizeof(uint64_t), compare_number);
    for (size_t at = 1; at < given_count; at++)
        if (given[at] == given[at - 1]) {
            fprintf(stderr, "%s: %" PRIu64 " was given twice\n", operations[0].key, given[at]);
            findings->above++;
        }
    free(given);
}

static void judge_counter(const struct operation *operations, size_t count,
                          struct findings *findings)
{
    uint64_t *begins = oracle_allocate(NULL, (count + 1) * sizeof(uint64_t));
    uint64_t *ends = oracle_allocate(NULL, (count + 1) * sizeof(uint64_t));
    size_t begin_count = 0, end_count = 0;
    for (size_t at = 0; at < count; at++) {
        if (operations[at].verb != VERB_INCR)
            continue;
        if (may_have_happened(&operations[at]))
            begins[begin_count++] = operations[at].begin_ns;
        if (is_done(&operations[at]))
            ends[end_count++] = operations[at].end_ns;
    }
    qsort(ends, end_count, sizeof(uint64_t), compare_number);
    for (size_t at = 0; at < count; at++) {
        const struct operation *operation = &operations[at];
        if ((operation->verb != VERB_INCR && operation->verb != VERB_GETS) ||
            operation->got == NULL)
            continue;
        uint64_t shown = strtoull(operation->got, NULL, 10);
        if (shown > count_below(begins, begin_count, operation->end_ns))
            find(&findings->above, "above", operation, NULL);
        if (shown < count_below(ends, end_count, operation->begin_ns))
            find(&findings->below, "below", operation, NULL);
    }
    judge_numbers_given(operations, count, findings);
    free(begins);
    free(ends);
}

/* ---- lists
 * ----------------------------------------------------------------------------------------- */

/* How often the token, "+" included, stands in a list. */
static size_t count_token(const char *list, const char *token)
{
    size_t found = 0, bytes = strlen(token);
    for (const char *at = strstr(list, token); at != NULL; at = strstr(at + bytes, token))
        found += at > list && at[-1] == '+';
    return found;
}

static size_t count_tokens(const char *list)
{
    size_t found = 0;
    for (; *list != '\0'; list++)
        found += *list == '+';
    return found - 1; /* it begins with one */
}

static void judge_list_read(const struct operation *operations, size_t count,
                            const struct operation *read, struct findings *findings)
{
    size_t known = 0;
    for (size_t at = 0; at < count && operations[at].begin_ns < read->end_ns; at++) {
        const struct operation *append = &operations[at];
        if (append->verb != VERB_APPEND)
            continue;
        size_t times = count_token(read->got, append->argument);
        known += times;
        if (times > 1 || (times == 1 && !may_have_happened(append)))
            find(&findings->doubled, "doubled", read, append);
        if (times == 0 && is_done(append) && append->end_ns < read->begin_ns)
            find(&findings->missing, "missing", read, append);
    }
    if (known != count_tokens(read->got))
        find(&findings->doubled, "with what nobody appended", read, NULL);
}

/* The last read of a list shows all that was lost; the order of the others is for judge_order. */
static void judge_list(const struct operation *operations, size_t count, struct findings *findings)
{
    const struct operation *last = NULL;
    for (size_t at = 0; at < count; at++)
        if (operations[at].verb == VERB_GETS && is_done(&operations[at]))
            last = &operations[at];
    if (last != NULL)
        judge_list_read(operations, count, last, findings);
}

/* The letter before the digits of a key says of what kind it is. */
static char kind_of(const char *key)
{
    size_t bytes = strlen(key);
    while (bytes > 0 && key[bytes - 1] >= '0' && key[bytes - 1] <= '9')
        bytes--;
    return bytes > 0 ? key[bytes - 1] : '\0';
}

void judge_key(const struct operation *operations, size_t count, struct findings *findings)
{
    char kind = kind_of(operations[0].key);
    findings->keys++;
    findings->operations += count;
    for (size_t at = 0; at < count; at++)
        findings->reads += operations[at].verb == VERB_GETS;
    if (kind == 'n')
        judge_counter(operations, count, findings);
    else if (kind == 'l')
        judge_list(operations, count, findings);
    else
        judge_register(operations, count, findings);
}

/* ---- order
 * ----------------------------------------------------------------------------------------- */

static struct span text_span(const char *text)
{
    return text != NULL ? span_of(text, strlen(text)) : (struct span){0};
}

static struct linear_op translate(const struct operation *operation)
{
    static const enum linear_kind KINDS[VERB_COUNT] = {
        [VERB_GETS] = LINEAR_GET,        [VERB_SET] = LINEAR_SET,   [VERB_ADD] = LINEAR_ADD,
        [VERB_REPLACE] = LINEAR_REPLACE, [VERB_CAS] = LINEAR_SET,   [VERB_APPEND] = LINEAR_APPEND,
        [VERB_DELETE] = LINEAR_DELETE,   [VERB_INCR] = LINEAR_INCR, [VERB_TOUCH] = LINEAR_TOUCH};
    static const enum linear_outcome OUTCOMES[OUTCOME_COUNT] = {[OUTCOME_DONE] = LINEAR_DONE,
                                                                [OUTCOME_ABSENT] = LINEAR_ABSENT,
                                                                [OUTCOME_EXISTS] = LINEAR_PRESENT,
                                                                [OUTCOME_NOT_DONE] =
                                                                    LINEAR_NOT_DONE,
                                                                [OUTCOME_UNKNOWN] = LINEAR_UNKNOWN};
    struct linear_op op = {.kind = KINDS[operation->verb],
                           .outcome = OUTCOMES[operation->outcome],
                           .begun_us = operation->begin_ns / 1000,
                           .ended_us = operation->outcome == OUTCOME_UNKNOWN
                                           ? LINEAR_OPEN
                                           : operation->end_ns / 1000 + 1,
                           .value = text_span(operation->argument),
                           .compare = operation->unique,
                           .shown = text_span(operation->got),
                           .version = operation->got_unique};
    if (operation->outcome == OUTCOME_NOT_STORED)
        op.outcome = operation->verb == VERB_ADD ? LINEAR_PRESENT : LINEAR_ABSENT;
    if (operation->verb == VERB_INCR)
        op.delta = strtoull(operation->argument, NULL, 10);
    return op;
}

void judge_order(const struct operation *operations, size_t count, struct findings *findings)
{
    struct linear_op *ops = oracle_allocate(NULL, (count + 1) * sizeof(*ops));
    for (size_t at = 0; at < count; at++)
        ops[at] = translate(&operations[at]);
    struct linear_verdict verdict = linear_judge(ops, count, NULL);
    if (verdict.result != LINEAR_GOOD) {
        uint64_t *which =
            verdict.result == LINEAR_BAD ? &findings->disordered : &findings->undecided;
        if (++*which <= COMPLAINTS_MAX)
            fprintf(stderr, "%s: %s\n", operations[0].key, verdict.report);
    }
    free(ops);
}
