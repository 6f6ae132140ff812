/* A process that is taken for an earlier one than it is ends, and can be started again. */
#include "tests/sim/quiet.h"
#include "tests/sim/world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NODES   3u
#define LOST    1u /* whose state file is lost */
#define FORM_MS 20000u
#define DAY_MS  86400000

static struct world *formed(void)
{
    const struct world_options options = {.seed = 7, .node_count = NODES, .delay_us = 200};
    struct world *world = world_open(&options);
    char why[QUIET_WHY_BYTES];
    world_start_all(world);
    assert_true(quiet_wait(world, FORM_MS, why) <= FORM_MS);
    return world;
}

/* The state file is lost, and the wall clock set. Started again after a while, it has a second. */
static const struct host *lose_state(struct world *world, int64_t wall_ms, uint64_t pause_ms)
{
    world_kill(world, LOST);
    world->hosts[LOST].wall_ms += wall_ms;
    world_forget(world, LOST);
    world_run_ms(world, pause_ms);
    world_start(world, LOST);
    world_run_s(world, 1);
    return &world->hosts[LOST];
}

static void
without_its_state_file_and_by_an_early_clock_it_is_outdone_by_the_one_before(void **state)
{
    (void)state;
    struct world *world = formed();
    assert_true(host_has_ended_outdone(lose_state(world, -DAY_MS, 10)));
    world_close(world);
}

static void started_again_when_that_one_is_held_for_gone_it_is_a_member(void **state)
{
    (void)state;
    struct world *world = formed();
    char why[QUIET_WHY_BYTES];
    const struct host *host = lose_state(world, -DAY_MS, 10);
    world_start(world, LOST);
    assert_true(quiet_wait(world, FORM_MS, why) <= FORM_MS);
    assert_int_equal(host->state, HOST_UP);
    assert_false(host_has_ended_outdone(host));
    world_close(world);
}

static void by_a_clock_that_is_right_it_stays(void **state)
{
    (void)state;
    struct world *world = formed();
    const struct host *host = lose_state(world, 0, 10);
    assert_int_equal(host->state, HOST_UP);
    assert_false(host_has_ended_outdone(host));
    world_close(world);
}

static void who_is_killed_has_not_ended_by_itself(void **state)
{
    (void)state;
    struct world *world = formed();
    const struct host *host = lose_state(world, -DAY_MS, 1000);
    assert_int_equal(host->state, HOST_UP); /* the one before was gone already */
    world_kill(world, LOST);
    assert_false(host_has_ended_outdone(host));
    world_close(world);
}

static void a_duplicate_that_no_process_before_it_outdoes_is_not_started_again(void **state)
{
    (void)state;
    struct world *world = formed();
    uint32_t clone = NODES - 1;
    world_kill(world, clone);
    world_rename(world, clone, 0);
    world->hosts[clone].boot = world->hosts[0].boot;
    world_start(world, clone);
    world_run_s(world, 5);
    const struct host *ended = &world->hosts[world->hosts[0].state == HOST_UP ? clone : 0];
    assert_int_equal(ended->state, HOST_DOWN);
    assert_int_equal(ended->end, NODE_END_DUPLICATE);
    assert_false(host_has_ended_outdone(ended));
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            without_its_state_file_and_by_an_early_clock_it_is_outdone_by_the_one_before),
        cmocka_unit_test(started_again_when_that_one_is_held_for_gone_it_is_a_member),
        cmocka_unit_test(by_a_clock_that_is_right_it_stays),
        cmocka_unit_test(who_is_killed_has_not_ended_by_itself),
        cmocka_unit_test(a_duplicate_that_no_process_before_it_outdoes_is_not_started_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
