/* What callers ask of a node that is slow: an answer that is due may wait for its turn to be over,
 * and no longer. */
#include "tests/sim/callers.h"
#include "tests/sim/quiet.h"
#include "tests/sim/world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FORM_MS 20000u
/* Of 20 µs: a turn takes longer than an answer may. */
#define SLOW_TIMES 100000u
#define PUT_OFF_MS 100u

/* One node that is asked. gives: callers_close, then world_close of callers->world. */
static struct callers *asked(void)
{
    const struct world_options world_options = {
        .seed = 7, .node_count = 1, .client_count = 4, .delay_us = 200};
    struct world *world = world_open(&world_options);
    const struct callers_options options = {
        .count = 4, .key_count = 2, .slot_count = 1, .think_ms = 100, .is_simple = true};
    char why[QUIET_WHY_BYTES];
    world_start_all(world);
    assert_true(quiet_wait(world, FORM_MS, why) <= FORM_MS);
    struct callers *callers = callers_open(world, &options);
    world_run_s(world, 1);
    assert_false(world->has_failed);
    return callers;
}

static void what_is_due_in_a_turn_may_come_with_the_next(void **state)
{
    (void)state;
    struct callers *callers = asked();
    struct world *world = callers->world;
    uint64_t done = callers_total(callers, LINEAR_DONE);
    world->hosts[0].slow = SLOW_TIMES;
    world_run_s(world, 20);
    assert_string_equal(world->failure, "");
    assert_true(callers_total(callers, LINEAR_DONE) > done);
    callers_close(callers);
    world_close(world);
}

static void more_than_one_turn_late_is_a_failure(void **state)
{
    (void)state;
    struct callers *callers = asked();
    struct world *world = callers->world;
    struct vtimer *turn = &world->hosts[0].turn;
    for (uint32_t i = 0; i < 50; i++) { /* its turn is put off for ever */
        vclock_stop(&world->clock, turn);
        vclock_set(&world->clock, turn, world->clock.now_us + 2 * PUT_OFF_MS * US_PER_MS);
        world_run_ms(world, PUT_OFF_MS);
    }
    assert_non_null(strstr(world->failure, "no answer in time"));
    callers_close(callers);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_due_in_a_turn_may_come_with_the_next),
        cmocka_unit_test(more_than_one_turn_late_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
