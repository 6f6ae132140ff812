/* Callers that use a few commands on a key each of some slots, and a ghost that looks at these
 * slots: what goes on beside a scenario. */
#ifndef DHT_TESTS_SIM_WATCHED_H
#define DHT_TESTS_SIM_WATCHED_H

#include "tests/sim/callers.h"
#include "tests/sim/ghost.h"

struct watched {
    struct callers *callers;
    struct ghost *ghost;
    uint32_t slots[GHOST_SLOTS_MAX]; /* of the keys, each once */
    uint32_t slot_count;
};

struct watched watched_open(struct world *world);
/* The same with other callers, whose keys are of GHOST_SLOTS_MAX slots at most. */
struct watched watched_open_with(struct world *world, const struct callers_options *options);
/* Gives up what is under way, and judges all that was answered. */
void watched_close(struct watched *watched);

#endif
