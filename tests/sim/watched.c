#include "tests/sim/watched.h"

static void on_told(void *arg, const struct history_key *key, uint64_t version)
{
    ghost_told(arg, key->slot, span_of_string(key->name), version);
}

static bool has_slot(const struct watched *watched, uint32_t slot)
{
    for (uint32_t i = 0; i < watched->slot_count; i++)
        if (watched->slots[i] == slot)
            return true;
    return false;
}

struct watched watched_open_with(struct world *world, const struct callers_options *options)
{
    struct watched watched = {.callers = callers_open(world, options)};
    for (uint32_t i = 0; i < options->key_count; i++)
        if (!has_slot(&watched, watched.callers->history.keys[i].slot))
            watched.slots[watched.slot_count++] = watched.callers->history.keys[i].slot;
    watched.ghost = ghost_open(world, watched.slots, watched.slot_count);
    watched.callers->told = on_told;
    watched.callers->arg = watched.ghost;
    return watched;
}

struct watched watched_open(struct world *world)
{
    const struct callers_options options = {.count = 4,
                                            .key_count = GHOST_SLOTS_MAX,
                                            .slot_count = GHOST_SLOTS_MAX,
                                            .think_ms = 100,
                                            .ids_of_10 = 5,
                                            .is_simple = true};
    return watched_open_with(world, &options);
}

void watched_close(struct watched *watched)
{
    const struct linear_options calm = {.early_us = US_PER_S, .late_us = 5 * US_PER_S};
    callers_give_up(watched->callers);
    history_judge(&watched->callers->history, watched->callers->world, &calm);
    ghost_close(watched->ghost);
    callers_close(watched->callers);
}
