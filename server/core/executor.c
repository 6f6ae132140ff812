#include "server/core/executor.h"

#include "common/check.h"

#include <stdlib.h>
#include <string.h>

struct span outcome_error(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_NOT_NUMERIC:
        return SPAN_LITERAL("CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
    case OUTCOME_TOO_LARGE:
        return SPAN_LITERAL("SERVER_ERROR object too large for cache\r\n");
    default:
        CHECK(outcome == OUTCOME_FULL);
        return SPAN_LITERAL("SERVER_ERROR out of memory storing object\r\n");
    }
}

uint32_t executor_expiry(const struct executor *executor, int64_t exptime)
{
    if (exptime == 0)
        return STORE_NEVER;
    if (exptime < 0)
        return 1; /* the store's clock starts at 1 or later */
    bool is_absolute = exptime > EXPTIME_RELATIVE_MAX_S;
    int64_t expires_s = exptime + (is_absolute ? -executor->unix_s_at_zero : executor->now_s);
    if (expires_s < 1)
        return 1;
    return expires_s < UINT32_MAX ? (uint32_t)expires_s : UINT32_MAX;
}

/* What the store said, as an outcome; refusals are counted. */
static enum outcome outcome_of(struct executor *executor, enum err err)
{
    switch (err) {
    case ERR_OK:
        return OUTCOME_DONE;
    case ERR_NOT_FOUND:
        return OUTCOME_NOT_FOUND;
    case ERR_TOO_LARGE:
        executor->stats->store_too_large++;
        return OUTCOME_TOO_LARGE;
    default:
        CHECK(err == ERR_FULL);
        executor->stats->store_no_memory++;
        return OUTCOME_FULL;
    }
}

enum outcome executor_put(struct executor *executor, const struct store_key *key,
                          const struct store_put *put, uint64_t *cas)
{
    uint64_t version;
    uint64_t cas_given = put->cas;
    enum err err = store_put(executor->store, key, put, &version);
    if (err == ERR_OK && cas != NULL)
        *cas = cas_given != 0 ? cas_given : version;
    return outcome_of(executor, err);
}

enum outcome executor_touch(struct executor *executor, const struct store_key *key,
                            uint32_t expires_s, uint8_t marks)
{
    enum err err = store_touch(executor->store, key, expires_s);
    struct store_item item;
    if (err == ERR_OK && marks != 0 && store_get(executor->store, key, &item))
        store_note(executor->store, &item, marks);
    return outcome_of(executor, err);
}

enum outcome executor_mark(struct executor *executor, const struct store_key *key, uint64_t cas,
                           uint8_t marks)
{
    return outcome_of(executor, store_mark(executor->store, key, cas, marks));
}

static enum outcome put_new(struct executor *executor, const struct store_key *key,
                            const struct change *change, uint32_t expires_s, uint64_t *cas)
{
    struct store_put put = {
        .head = change->value, .flags = change->flags, .expires_s = expires_s, .cas = change->cas};
    return executor_put(executor, key, &put, cas);
}

static bool is_extension(const struct change *change)
{
    return change->mode == CHANGE_APPEND || change->mode == CHANGE_PREPEND;
}

/* No item is there. add with a cas to compare stores all the same, as memcached's does. */
static enum outcome store_on_miss(struct executor *executor, const struct store_key *key,
                                  const struct change *change, uint64_t *cas)
{
    if (is_extension(change)) {
        if (!change->vivifies)
            return OUTCOME_NOT_STORED;
        return put_new(executor, key, change, change->vivify_expires_s, cas);
    }
    if (change->compares && change->mode != CHANGE_ADD) {
        executor->stats->cas_misses++;
        return OUTCOME_NOT_FOUND;
    }
    if (change->mode == CHANGE_REPLACE)
        return OUTCOME_NOT_STORED;
    return put_new(executor, key, change, change->expires_s, cas);
}

/* Appends or prepends. A cas of 0 compares nothing; flags and expiry are the old item's. */
static enum outcome extend(struct executor *executor, const struct store_key *key,
                           const struct change *change, const struct store_item *old,
                           struct changed *changed)
{
    if (change->cas_compare != 0 && change->cas_compare != old->cas)
        return OUTCOME_EXISTS;
    size_t value_bytes = old->value.len + change->value.len;
    if (value_bytes > executor->value_bytes_max)
        return OUTCOME_NOT_STORED;
    bool appends = change->mode == CHANGE_APPEND;
    struct store_put put = {.head = appends ? old->value : change->value,
                            .tail = appends ? change->value : old->value,
                            .flags = old->flags,
                            .expires_s = old->expires_s,
                            .cas = change->cas};
    enum outcome outcome = executor_put(executor, key, &put, &changed->cas);
    if (outcome == OUTCOME_DONE)
        changed->value_bytes = value_bytes;
    return outcome;
}

/* Replaces the item if it is the one meant. A lower cas may replace the value of an item that was
 * invalidated meanwhile, but its time to live stays, and so does who is to recache it. */
static enum outcome compare_and_set(struct executor *executor, const struct store_key *key,
                                    const struct change *change, const struct store_item *old,
                                    uint64_t *cas)
{
    bool is_same = change->cas_compare == old->cas;
    bool is_older = change->cas_compare != 0 && change->cas_compare < old->cas;
    if (!is_same && !(change->may_be_stale && is_older)) {
        executor->stats->cas_badval++;
        return OUTCOME_EXISTS;
    }
    executor->stats->cas_hits++;
    if (is_same)
        return put_new(executor, key, change, change->expires_s, cas);
    struct store_put put = {.head = change->value,
                            .flags = change->flags,
                            .expires_s = old->expires_s,
                            .cas = change->cas,
                            .marks = STORE_MARK_STALE | (old->marks & STORE_MARK_WON)};
    return executor_put(executor, key, &put, cas);
}

enum outcome executor_store(struct executor *executor, const struct store_key *key,
                            const struct change *change, struct changed *changed)
{
    *changed = (struct changed){.value_bytes = change->value.len};
    if (change->mode == CHANGE_SET && !change->compares)
        return put_new(executor, key, change, change->expires_s, &changed->cas);
    struct store_item old;
    if (!store_get(executor->store, key, &old))
        return store_on_miss(executor, key, change, &changed->cas);
    if (change->mode == CHANGE_ADD)
        return OUTCOME_NOT_STORED;
    if (is_extension(change))
        return extend(executor, key, change, &old, changed);
    if (change->compares)
        return compare_and_set(executor, key, change, &old, &changed->cas);
    return put_new(executor, key, change, change->expires_s, &changed->cas);
}

#define ARITH_STACK_BYTES 64u /* a number is 20 digits; only padding is longer */

/* memcached reads the value as a C string: a NUL ends it. */
static bool value_is_number(struct span value, uint64_t *number)
{
    const char *nul = memchr(value.data, '\0', value.len);
    return number_parse_u64(span_of(value.data, nul ? (size_t)(nul - value.data) : value.len),
                            number);
}

enum outcome executor_arith(struct executor *executor, const struct store_key *key,
                            const struct store_item *item, const struct arith *arith,
                            uint32_t expires_s, uint64_t *number, uint64_t *cas)
{
    if (item->value.len == 0)
        return OUTCOME_NOT_NUMERIC; /* before the comparison: memcached's order */
    if (arith->cas_compare != 0 && arith->cas_compare != item->cas)
        return OUTCOME_EXISTS;
    uint64_t old;
    if (!value_is_number(item->value, &old))
        return OUTCOME_NOT_NUMERIC;
    if (arith->decreases)
        *number = arith->delta < old ? old - arith->delta : 0;
    else
        *number = old + arith->delta;

    char few[ARITH_STACK_BYTES];
    char *text = item->value.len > sizeof(few) ? malloc(item->value.len) : few;
    CHECK(text != NULL);
    size_t digits = (size_t)(number_format_decimal(text, *number) - text);
    bool in_place = digits <= item->value.len;
    size_t len = in_place ? item->value.len : digits;
    memset(text + digits, ' ', len - digits);
    struct store_put put = {.head = span_of(text, len),
                            .flags = item->flags,
                            .expires_s = expires_s,
                            .cas = arith->cas,
                            .marks = in_place ? item->marks : 0};
    enum outcome outcome = executor_put(executor, key, &put, cas);
    if (text != few)
        free(text);
    if (outcome == OUTCOME_DONE && arith->decreases)
        executor->stats->decr_hits++;
    else if (outcome == OUTCOME_DONE)
        executor->stats->incr_hits++;
    return outcome;
}

void executor_count_arith_miss(struct executor *executor, bool decreases)
{
    if (decreases)
        executor->stats->decr_misses++;
    else
        executor->stats->incr_misses++;
}
