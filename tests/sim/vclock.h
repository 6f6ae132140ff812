/* Virtual time, and what is to happen when: the one queue that drives a simulation.
 *
 * Time is in microseconds since the simulation began and passes only from one timer to the next.
 * Timers lie in the objects that wait for them. */
#ifndef DHT_TESTS_SIM_VCLOCK_H
#define DHT_TESTS_SIM_VCLOCK_H

#include "tests/sim/heap.h"

#define US_PER_MS 1000u
#define US_PER_S  1000000u

struct vtimer {
    struct heap_link link;
    void (*ring)(struct vtimer *timer); /* may set and stop timers, its own too */
};

struct vclock {
    uint64_t now_us;
    struct heap heap;
    uint64_t rung; /* timers so far */
};

/* Sets a timer to a moment not before now; one that is set already is moved. */
void vclock_set(struct vclock *clock, struct vtimer *timer, uint64_t at_us);
/* Does nothing if it is not set. */
void vclock_stop(struct vclock *clock, struct vtimer *timer);
static inline bool vtimer_is_set(const struct vtimer *timer)
{
    return timer->link.place != 0;
}
/* When it will ring; it must be set. */
uint64_t vtimer_at(const struct vtimer *timer);
/* Goes on to the next timer, unless that is after until_us, and rings it. Returns false if there
 * was none: then it is until_us now. */
bool vclock_step(struct vclock *clock, uint64_t until_us);
void vclock_close(struct vclock *clock);

#endif
