/* What must hold some time after the last fault (proto.md, invariant 9): every node that runs
 * has the same view, which has exactly those that run; every slot is active, all members of its
 * group have clean and equal copies of the current epoch, and nobody else has any. */
#ifndef DHT_TESTS_SIM_QUIET_H
#define DHT_TESTS_SIM_QUIET_H

#include "tests/sim/world.h"

#define QUIET_WHY_BYTES 400u

/* Whether it holds now, all slots looked at. why: out, what does not. */
bool quiet_holds(struct world *world, char why[QUIET_WHY_BYTES]);
/* Lets time pass until it holds. Returns how long it took, in ms; where it has not held after
 * limit_ms, more than that, and why says what does not. */
uint64_t quiet_wait(struct world *world, uint64_t limit_ms, char why[QUIET_WHY_BYTES]);
/* The same; fails the world, naming what was before, if it does not hold in time. */
uint64_t quiet_await(struct world *world, uint64_t limit_ms, const char *what);
/* Tells in the trace what is under way at each node: which sessions of its slots are not synced. */
void quiet_explain(struct world *world);
/* Whether some slot of a node that runs lacks what Collect needs, or waits for memory. */
bool quiet_is_stuck(struct world *world);

#endif
