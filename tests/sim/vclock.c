#include "tests/sim/vclock.h"

#include "common/check.h"

void vclock_set(struct vclock *clock, struct vtimer *timer, uint64_t at_us)
{
    CHECK(at_us >= clock->now_us);
    CHECK(timer->ring != NULL);
    heap_remove(&clock->heap, &timer->link);
    heap_push(&clock->heap, &timer->link, at_us);
}

void vclock_stop(struct vclock *clock, struct vtimer *timer)
{
    heap_remove(&clock->heap, &timer->link);
}

uint64_t vtimer_at(const struct vtimer *timer)
{
    CHECK(vtimer_is_set(timer));
    return timer->link.key;
}

bool vclock_step(struct vclock *clock, uint64_t until_us)
{
    struct heap_link *first = heap_first(&clock->heap);
    if (!first || first->key > until_us) {
        if (until_us > clock->now_us)
            clock->now_us = until_us;
        return false;
    }
    heap_remove(&clock->heap, first);
    clock->now_us = first->key;
    clock->rung++;
    struct vtimer *timer = CONTAINER_OF(first, struct vtimer, link);
    timer->ring(timer);
    return true;
}

void vclock_close(struct vclock *clock)
{
    heap_close(&clock->heap);
}
