/* Only those are given up whose data are gone for good. */
#include "tests/sim/operator.h"
#include "tests/sim/quiet.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NODES   4u
#define AWAY    2u /* the one that is not there */
#define FORM_MS 20000u
#define AWAY_S  60u

static struct world *formed(bool is_durable)
{
    const struct world_options options = {.seed = 7, .node_count = NODES, .delay_us = 200};
    struct world *world = world_open(&options);
    char why[QUIET_WHY_BYTES];
    world->host_options.views.on_loss = VIEWS_ON_LOSS_WAIT;
    world->host_options.views.replace_after_ms = 10 * AWAY_S * 1000;
    for (uint32_t i = 0; i < NODES; i++)
        world->hosts[i].is_durable = is_durable;
    world_start_all(world);
    assert_true(quiet_wait(world, FORM_MS, why) <= FORM_MS);
    return world;
}

/* One of them is killed, and long gone. */
static struct world *bereft(bool is_durable)
{
    struct world *world = formed(is_durable);
    world_kill(world, AWAY);
    world_run_s(world, AWAY_S);
    return world;
}

/* Each node says it once. */
static void count_given_up(void *arg, const struct trace_line *line)
{
    uint32_t *count = arg;
    *count += span_equal(line->event, SPAN_LITERAL("given-up"));
}

static void who_is_cut_off_and_runs_is_not_given_up(void **state)
{
    (void)state;
    struct world *world = formed(false);
    world_isolate(world, AWAY, true);
    world_run_s(world, AWAY_S);
    /* Nor the others by who is cut off. */
    assert_false(operator_accept_loss(world));
    world_close(world);
}

static void who_is_killed_and_keeps_its_data_is_not_given_up(void **state)
{
    (void)state;
    struct world *world = bereft(true);
    assert_false(operator_accept_loss(world));
    world_close(world);
}

static void who_is_killed_without_data_is_given_up(void **state)
{
    (void)state;
    struct world *world = bereft(false);
    uint32_t given_up = 0;
    trace_listen(&world->trace, count_given_up, &given_up);
    assert_true(operator_accept_loss(world));
    world_run_s(world, 1);
    assert_int_equal(given_up, NODES - 1);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_cut_off_and_runs_is_not_given_up),
        cmocka_unit_test(who_is_killed_and_keeps_its_data_is_not_given_up),
        cmocka_unit_test(who_is_killed_without_data_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
