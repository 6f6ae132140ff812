#include "tests/sim/history.h"

#include "common/check.h"
#include "common/digest.h"
#include "tests/sim/grown.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What a slot is without a primary, at most: until an operator comes. */
#define UNLED_US        (300ull * US_PER_S)
#define NAMES_TRIED_MAX 1000000u /* some hundred are enough, unless few slots have many keys */

uint32_t history_slot(const char *name)
{
    struct digest digest;
    digest_of(span_of_string(name), &digest);
    return position_slot(digest_position(&digest));
}

static void add_key(struct history *history, uint64_t seed, uint32_t number, uint32_t slot)
{
    struct history_key *key = &history->keys[history->key_count++];
    snprintf(key->name, sizeof(key->name), "k%" PRIx64 "-%" PRIu32, seed & 0xffff, number);
    key->slot = slot;
}

static bool has_name(const struct history *history, uint64_t seed, uint32_t number)
{
    char name[HISTORY_NAME_BYTES];
    snprintf(name, sizeof(name), "k%" PRIx64 "-%" PRIu32, seed & 0xffff, number);
    for (uint32_t i = 0; i < history->key_count; i++)
        if (strcmp(history->keys[i].name, name) == 0)
            return true;
    return false;
}

static uint32_t slots_used(const struct history *history)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < history->key_count; i++) {
        bool is_new = true;
        for (uint32_t k = 0; k < i; k++)
            is_new &= history->keys[k].slot != history->keys[i].slot;
        used += is_new;
    }
    return used;
}

/* A name whose slot another one has had before: both are taken while there may be more slots, later
 * only such as fall into a slot that is used. */
void history_init(struct history *history, uint32_t key_count, uint32_t slot_count, uint64_t seed)
{
    CHECK(key_count <= HISTORY_KEYS_MAX);
    *history = (struct history){0};
    uint32_t *by_slot = calloc(SLOT_COUNT, sizeof(*by_slot)); /* a name's number + 1 */
    CHECK(by_slot != NULL);
    for (uint32_t number = 0; history->key_count < key_count; number++) {
        char name[HISTORY_NAME_BYTES];
        snprintf(name, sizeof(name), "k%" PRIx64 "-%" PRIu32, seed & 0xffff, number);
        uint32_t slot = history_slot(name), other = by_slot[slot];
        by_slot[slot] = number + 1;
        if (other == 0)
            continue;
        bool is_used = has_name(history, seed, other - 1);
        if (!is_used && slots_used(history) == slot_count)
            continue;
        if (!is_used)
            add_key(history, seed, other - 1, slot);
        if (history->key_count < key_count)
            add_key(history, seed, number, slot);
        CHECK(number < NAMES_TRIED_MAX);
    }
    free(by_slot);
}

static void free_span(struct span span)
{
    free((void *)(uintptr_t)span.data);
}

void history_close(struct history *history)
{
    for (uint32_t i = 0; i < history->key_count; i++) {
        struct history_key *key = &history->keys[i];
        for (size_t k = 0; k < key->count; k++) {
            free_span(key->ops[k].value);
            free_span(key->ops[k].shown);
        }
        free(key->ops);
    }
    *history = (struct history){0};
}

static struct span copy_span(struct span span)
{
    if (!span.data)
        return span;
    char *copy = malloc(span.len + 1);
    CHECK(copy != NULL);
    memcpy(copy, span.data, span.len);
    return span_of(copy, span.len);
}

void history_add(struct history *history, uint32_t number, const struct linear_op *op)
{
    CHECK(number < history->key_count);
    struct history_key *key = &history->keys[number];
    key->ops = grown(key->ops, key->count, &key->capacity, sizeof(*key->ops));
    struct linear_op *own = &key->ops[key->count++];
    *own = *op;
    own->value = copy_span(op->value);
    own->shown = copy_span(op->shown);
}

void history_lose(struct history *history, uint32_t slot, uint64_t at_us)
{
    for (uint32_t i = 0; i < history->key_count; i++) {
        struct history_key *key = &history->keys[i];
        if (key->slot != slot || (key->losses > 0 && key->lost_us[key->losses - 1] == at_us))
            continue;
        CHECK(key->losses < HISTORY_LOSSES_MAX);
        key->lost_us[key->losses++] = at_us;
    }
}

/* Whether a flush that was answered before may fire from a moment on: one that comes due while
 * nobody leads the slot does so when somebody does again. */
static bool may_fire(const struct linear_op *op, uint64_t from_us)
{
    return op->kind == LINEAR_FLUSH && op->outcome == LINEAR_DONE && op->delay_us > 0 &&
           op->ended_us + op->delay_us + UNLED_US > from_us;
}

/* Of the operations of a key those that matter between two moments: those that ended before are
 * past, those that end later were not answered by then. One that was asked again may be refused
 * after a loss though it was done before: the loss took its effect and its id. Returns how many. */
static size_t between(const struct history_key *key, uint64_t from_us, uint64_t until_us,
                      bool has_late, struct linear_op *ops)
{
    size_t count = 0;
    for (size_t i = 0; i < key->count; i++) {
        struct linear_op op = key->ops[i];
        bool is_answered = op.outcome != LINEAR_UNKNOWN;
        if (op.is_late && op.begun_us >= from_us)
            op.begun_us += HISTORY_FORGOTTEN_US; /* else its id may have been lost then */
        if ((op.is_late && !has_late) || op.begun_us >= until_us ||
            (is_answered && op.ended_us <= from_us && !may_fire(&op, from_us)))
            continue;
        if (is_answered && (op.begun_us < from_us || op.ended_us > until_us)) {
            bool may_be_done = op.outcome == LINEAR_DONE || op.was_unknown;
            if (op.kind == LINEAR_GET || !may_be_done)
                continue;
            op.outcome = LINEAR_UNKNOWN;
            op.ended_us = LINEAR_OPEN;
            op.shown = (struct span){0};
            op.has_flags = false;
            op.version = 0;
        }
        ops[count++] = op;
    }
    return count;
}

static const char *const result_words[] = {"good", "a lie", "undecided"};

static void print_report(const struct history_key *key, const struct linear_verdict *verdict)
{
    printf("# %s, slot %" PRIu32 ", %s after %" PRIu64 " tries:\n", key->name, key->slot,
           result_words[verdict->result], verdict->tries);
    for (const char *at = verdict->report; *at;) {
        const char *end = strchr(at, '\n');
        int len = (int)(end ? end - at : (ptrdiff_t)strlen(at));
        printf("# %.*s\n", len, at);
        at += len + (end != NULL);
    }
}

static void judge_key(struct history *history, struct history_key *key, struct world *world,
                      const struct linear_options *options)
{
    struct linear_op *ops = calloc(key->count + 1, sizeof(*ops));
    CHECK(ops != NULL);
    for (uint32_t part = 0; part <= key->losses && !world->has_failed; part++) {
        uint64_t from_us = part > 0 ? key->lost_us[part - 1] : 0;
        uint64_t until_us = part < key->losses ? key->lost_us[part] : LINEAR_OPEN;
        struct linear_options own = *options;
        own.is_anything = part > 0;
        size_t count = between(key, from_us, until_us, false, ops);
        struct linear_verdict verdict = linear_judge(ops, count, &own);
        history->judged += count;
        history->tries += verdict.tries;
        if (verdict.result != LINEAR_GOOD) {
            count = between(key, from_us, until_us, true, ops);
            verdict = linear_judge(ops, count, &own);
            history->tries += verdict.tries;
        }
        if (verdict.result == LINEAR_GOOD)
            continue;
        print_report(key, &verdict);
        world_fail(world, "the history of %s is %s: of %zu operations %zu have a place", key->name,
                   result_words[verdict.result], count, verdict.placed_max);
    }
    free(ops);
}

void history_judge(struct history *history, struct world *world,
                   const struct linear_options *options)
{
    for (uint32_t i = 0; i < history->key_count && !world->has_failed; i++)
        judge_key(history, &history->keys[i], world, options);
}
