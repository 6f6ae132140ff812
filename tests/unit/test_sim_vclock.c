/* Virtual time goes from timer to timer, in the order of their moments, then of their setting. */
#include "tests/sim/vclock.h"

#include "common/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define TIMERS 1000

struct bell {
    struct vtimer timer;
    uint64_t at_us;
    uint64_t set; /* the how manieth set */
    uint64_t rung_us;
    uint64_t rung; /* the how manieth to ring */
    struct vclock *clock;
};

static void on_ring(struct vtimer *timer)
{
    struct bell *bell = CONTAINER_OF(timer, struct bell, timer);
    bell->rung_us = bell->clock->now_us;
    bell->rung = bell->clock->rung;
}

static void timers_ring_in_order_whatever_is_set_moved_and_stopped(void **state)
{
    (void)state;
    static struct bell bells[TIMERS];
    struct vclock clock = {0};
    struct prng prng;
    uint64_t sets = 0;
    prng_init(&prng, 4);
    for (int i = 0; i < TIMERS; i++)
        bells[i] = (struct bell){.timer.ring = on_ring, .clock = &clock};
    for (int i = 0; i < 10 * TIMERS; i++) {
        struct bell *bell = &bells[prng_below(&prng, TIMERS)];
        if (prng_below(&prng, 4) == 0) {
            vclock_stop(&clock, &bell->timer);
        } else {
            bell->at_us = prng_below(&prng, 200);
            bell->set = sets++;
            vclock_set(&clock, &bell->timer, bell->at_us);
        }
        heap_check(&clock.heap);
    }
    bool is_set[TIMERS];
    for (int i = 0; i < TIMERS; i++)
        is_set[i] = vtimer_is_set(&bells[i].timer);
    while (vclock_step(&clock, 1000))
        heap_check(&clock.heap);
    assert_int_equal(clock.now_us, 1000);
    for (int i = 0; i < TIMERS; i++) {
        assert_true(is_set[i] == (bells[i].rung > 0));
        if (!is_set[i])
            continue;
        assert_int_equal(bells[i].rung_us, bells[i].at_us);
        for (int j = 0; j < i; j++)
            if (is_set[j] && bells[i].at_us == bells[j].at_us)
                assert_true((bells[i].rung < bells[j].rung) == (bells[i].set < bells[j].set));
    }
    vclock_close(&clock);
}

static void no_timer_rings_before_its_moment(void **state)
{
    (void)state;
    struct vclock clock = {0};
    struct bell bell = {.timer.ring = on_ring, .clock = &clock};
    vclock_set(&clock, &bell.timer, 100);
    assert_false(vclock_step(&clock, 99));
    assert_int_equal(clock.now_us, 99);
    assert_int_equal(bell.rung, 0);
    assert_true(vclock_step(&clock, 100));
    assert_int_equal(bell.rung_us, 100);
    vclock_close(&clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_ring_in_order_whatever_is_set_moved_and_stopped),
        cmocka_unit_test(no_timer_rings_before_its_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
