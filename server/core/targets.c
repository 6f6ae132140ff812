#include "server/core/targets.h"

#include "common/check.h"
#include "common/mutant.h"

#include <string.h>

/* random: everyone once before anyone twice, in an order that each cycle draws anew. Who joins in
 * the middle of a cycle is in it. */
static struct account *pick_from_cycle(struct targets *targets, const struct target_view *view)
{
    uint32_t left = 0;
    struct account *picked = NULL;
    for (uint32_t i = 0; i < view->count; i++) {
        struct account *record = view->live[i];
        if (i == view->self || record->turn == targets->cycle)
            continue;
        /* Each of those left is the one with equal probability: the n-th replaces the choice in
         * one of n cases. */
        if (prng_below(targets->prng, ++left) == 0)
            picked = record;
    }
    return picked;
}

static struct account *random_pick(struct targets *targets, const struct target_view *view,
                                   uint64_t round)
{
    (void)round;
    if (MUTANT(asks_neighbour) && view->count > 1)
        return view->live[(view->self + 1) % view->count];
    struct account *picked = pick_from_cycle(targets, view);
    if (!picked && view->count > 1) {
        targets->cycle++;
        picked = pick_from_cycle(targets, view);
    }
    if (picked)
        picked->turn = targets->cycle;
    return picked;
}

static const struct strategy strategies[] = {
    {"random", random_pick, NULL},
};

const struct strategy *targets_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_COUNT(strategies); i++)
        if (span_equal(name, span_of_string(strategies[i].name)))
            return &strategies[i];
    return NULL;
}

static bool is_free(const struct target_view *view, uint32_t at, const struct account *except,
                    struct account *const *drawn, uint32_t drawn_count)
{
    if (at == view->self || view->live[at] == except)
        return false;
    for (uint32_t i = 0; i < drawn_count; i++)
        if (drawn[i] == view->live[at])
            return false;
    return true;
}

/* By rejection: few of many are wanted, or nearly all of a few. Whoever chance does not find in so
 * many tries is looked for from a random place on. */
#define DRAW_TRIES 32u

uint32_t targets_draw(struct prng *prng, const struct target_view *view,
                      const struct account *except, uint32_t count, struct account **drawn)
{
    uint32_t found = 0;
    while (found < count && view->count > 1) {
        uint32_t at = (uint32_t)prng_below(prng, view->count);
        for (uint32_t tries = 1; tries < DRAW_TRIES && !is_free(view, at, except, drawn, found);
             tries++)
            at = (uint32_t)prng_below(prng, view->count);
        uint32_t steps = 0;
        while (steps < view->count && !is_free(view, at, except, drawn, found)) {
            at = (at + 1) % view->count;
            steps++;
        }
        if (steps == view->count)
            break;
        drawn[found++] = view->live[at];
    }
    return found;
}

struct account *targets_successor(const struct target_view *view)
{
    for (uint32_t step = 1; step < view->count; step++) {
        struct account *next = view->live[(view->self + step) % view->count];
        if (next->state == MEMBER_ALIVE)
            return next;
    }
    return NULL;
}

/* Rendezvous: the same on every node, and each subject's own order of the members. */
static uint64_t claim(const struct account *subject, const struct account *member)
{
    uint64_t bits = subject->name_hash ^ (member->name_hash << 32 | member->name_hash >> 32);
    bits = (bits ^ bits >> 33) * 0xff51afd7ed558ccd;
    return bits ^ bits >> 33;
}

bool targets_watches(const struct target_view *view, const struct account *subject)
{
    uint64_t own = claim(subject, view->live[view->self]);
    uint32_t ahead = 0;
    for (uint32_t i = 0; i < view->count && ahead < WATCHERS; i++)
        if (i != view->self && view->live[i] != subject)
            ahead += claim(subject, view->live[i]) > own;
    return ahead < WATCHERS;
}

uint32_t targets_watchers(const struct target_view *view, const struct account *subject,
                          struct account *watchers[WATCHERS])
{
    uint64_t claims[WATCHERS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        struct account *record = view->live[i];
        if (record == subject)
            continue;
        uint64_t bits = claim(subject, record);
        uint32_t at = count;
        while (at > 0 && claims[at - 1] < bits)
            at--;
        if (at == WATCHERS)
            continue;
        uint32_t last = count < WATCHERS ? count++ : WATCHERS - 1;
        memmove(claims + at + 1, claims + at, (last - at) * sizeof(*claims));
        memmove(watchers + at + 1, watchers + at, (last - at) * sizeof(struct account *));
        claims[at] = bits;
        watchers[at] = record;
    }
    return count;
}
