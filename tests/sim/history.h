/* What all callers were told, key by key, and whether it can be true (linear.h).
 *
 * Where a loss has been declared (on-quorum-loss=recover) a key is judged anew: what was answered
 * before counts for what came before, and the key may be anything then.
 *
 * An operation that is_late has an id, which may be forgotten HISTORY_FORGOTTEN_US after it began,
 * or lost with its slot: then it may happen. It is looked at only where nothing fits without, or
 * nothing is decided: it seldom happens, and what may have happened or not is what makes judging
 * take long. */
#ifndef DHT_TESTS_SIM_HISTORY_H
#define DHT_TESTS_SIM_HISTORY_H

#include "tests/sim/linear.h"
#include "tests/sim/world.h"

#define HISTORY_KEYS_MAX   64u
#define HISTORY_LOSSES_MAX 64u
#define HISTORY_NAME_BYTES 24u
/* Ids are kept 60 s at least; clocks drift, and seconds are whole. */
#define HISTORY_FORGOTTEN_US (50ull * 1000 * 1000)

struct history_key {
    char name[HISTORY_NAME_BYTES];
    uint32_t slot;
    struct linear_op *ops; /* their spans are owned */
    size_t count;
    size_t capacity;
    uint64_t lost_us[HISTORY_LOSSES_MAX]; /* when something of it was declared lost, ascending */
    uint32_t losses;
};

struct history {
    uint32_t key_count;
    struct history_key keys[HISTORY_KEYS_MAX];
    uint64_t judged; /* operations that a verdict was found for */
    uint64_t tries;
};

/* The slot that a key of this name falls into. */
uint32_t history_slot(const char *name);
/* Chooses key_count names that fall into at most slot_count slots, by seed. */
void history_init(struct history *history, uint32_t key_count, uint32_t slot_count, uint64_t seed);
void history_close(struct history *history);
/* Adds an operation of a key that has ended or been given up; its spans are copied. */
void history_add(struct history *history, uint32_t key, const struct linear_op *op);
/* What a slot's keys hold may have been lost until now. */
void history_lose(struct history *history, uint32_t slot, uint64_t at_us);
/* Judges all keys. The first one whose history is a lie fails the world; the whole reason is
 * printed. */
void history_judge(struct history *history, struct world *world,
                   const struct linear_options *options);

#endif
