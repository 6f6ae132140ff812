/* A key is judged anew from each declared loss on, and an operation that was under way then may
 * have had its effect on either side. */
#include "tests/sim/history.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LOST_US 5000000u

/* Whether these can be all there was of a key, of which something was lost at lost_us; 0: never.
 * tries_max: that the judge has; 0: as many as it likes. */
static bool is_good_by(const struct linear_op *ops, size_t count, uint64_t lost_us,
                       uint64_t tries_max)
{
    struct world world = {0};
    struct history history;
    const struct linear_options options = {.tries_max = tries_max};
    trace_init(&world.trace, &world.clock);
    history_init(&history, 2, 1, 1);
    for (size_t i = 0; i < count; i++)
        history_add(&history, 0, &ops[i]);
    if (lost_us > 0)
        history_lose(&history, history.keys[0].slot, lost_us);
    history_judge(&history, &world, &options);
    history_close(&history);
    return !world.has_failed;
}

static bool is_good(const struct linear_op *ops, size_t count, uint64_t lost_us)
{
    return is_good_by(ops, count, lost_us, 0);
}

/* Before the loss a value was seen that only an operation can have written that ended after it. */
static bool is_believed(const struct linear_op *spanning)
{
    const struct linear_op seen = {.kind = LINEAR_GET,
                                   .outcome = LINEAR_DONE,
                                   .begun_us = 2000000,
                                   .ended_us = 3000000,
                                   .shown = SPAN_LITERAL("new")};
    const struct linear_op missed = {.kind = LINEAR_GET,
                                     .outcome = LINEAR_ABSENT,
                                     .begun_us = LOST_US + 2000000,
                                     .ended_us = LOST_US + 3000000};
    const struct linear_op ops[] = {seen, *spanning, missed};
    return is_good(ops, 3, LOST_US);
}

static struct linear_op spanning_of(enum linear_kind kind, enum linear_outcome outcome)
{
    return (struct linear_op){.kind = kind,
                              .outcome = outcome,
                              .begun_us = 1000000,
                              .ended_us = LOST_US + 1000000,
                              .value = SPAN_LITERAL("new")};
}

static void a_write_may_have_been_done_before_the_loss_and_answered_after_it(void **state)
{
    (void)state;
    struct linear_op set = spanning_of(LINEAR_SET, LINEAR_DONE);
    assert_true(is_believed(&set));
}

static void what_is_refused_after_the_loss_may_have_been_done_before_it_if_asked_again(void **state)
{
    (void)state;
    struct linear_op add = spanning_of(LINEAR_ADD, LINEAR_PRESENT);
    add.was_unknown = true;
    assert_true(is_believed(&add));
}

static void what_was_asked_once_and_refused_was_never_done(void **state)
{
    (void)state;
    struct linear_op add = spanning_of(LINEAR_ADD, LINEAR_PRESENT);
    assert_false(is_believed(&add));
    struct linear_op not_done = spanning_of(LINEAR_SET, LINEAR_NOT_DONE);
    assert_false(is_believed(&not_done));
}

/* A key is set after the loss and then is not there; a flush with that delay was answered before.
 */
static bool may_vanish(uint64_t delay_us)
{
    const struct linear_op flush = {.kind = LINEAR_FLUSH,
                                    .outcome = LINEAR_DONE,
                                    .begun_us = 1000000,
                                    .ended_us = 2000000,
                                    .delay_us = delay_us};
    const struct linear_op set = {.kind = LINEAR_SET,
                                  .outcome = LINEAR_DONE,
                                  .begun_us = LOST_US + 1000000,
                                  .ended_us = LOST_US + 2000000,
                                  .value = SPAN_LITERAL("new")};
    const struct linear_op missed = {.kind = LINEAR_GET,
                                     .outcome = LINEAR_ABSENT,
                                     .begun_us = LOST_US + 3000000,
                                     .ended_us = LOST_US + 4000000};
    const struct linear_op ops[] = {flush, set, missed};
    return is_good(ops, 3, LOST_US);
}

static void a_flush_that_is_due_while_nobody_leads_fires_after_the_loss(void **state)
{
    (void)state;
    assert_true(may_vanish(LOST_US - 3000000));
    assert_false(may_vanish(0));
    assert_false(may_vanish(100 * LOST_US));
}

/* A value comes back that was overwritten: a try of its set lay somewhere until its id was
 * forgotten. lost_us: when something of the slot was lost, with what was set over it, or not; 0:
 * never. */
static bool may_come_back(uint64_t at_us, bool has_late, uint64_t lost_us)
{
    const struct linear_op set = {.kind = LINEAR_SET,
                                  .outcome = LINEAR_DONE,
                                  .begun_us = 1000000,
                                  .ended_us = 2000000,
                                  .value = SPAN_LITERAL("old")};
    const struct linear_op over = {.kind = LINEAR_SET,
                                   .outcome = LINEAR_DONE,
                                   .begun_us = 30000000,
                                   .ended_us = 31000000,
                                   .value = SPAN_LITERAL("new")};
    const struct linear_op seen = {.kind = LINEAR_GET,
                                   .outcome = LINEAR_DONE,
                                   .begun_us = at_us,
                                   .ended_us = at_us + 1000000,
                                   .shown = SPAN_LITERAL("old")};
    struct linear_op late = set;
    late.is_late = true;
    late.outcome = LINEAR_UNKNOWN;
    late.ended_us = LINEAR_OPEN;
    const struct linear_op ops[] = {set, over, seen, late};
    return is_good(ops, has_late ? 4 : 3, lost_us);
}

static void a_try_whose_id_was_forgotten_may_take_effect_once_more_but_not_sooner(void **state)
{
    (void)state;
    assert_true(may_come_back(70000000, true, 0));
    assert_false(may_come_back(70000000, false, 0));
    assert_false(may_come_back(40000000, true, 0));
}

static void a_try_whose_id_was_lost_may_take_effect_once_more(void **state)
{
    (void)state;
    assert_true(may_come_back(40000000, true, 20000000));
    assert_false(may_come_back(40000000, false, 20000000));
}

/* Where it takes long to find out that nothing fits without a late try, one with it may be found
 * soon. */
static void a_late_try_is_looked_at_too_where_without_it_nothing_is_decided(void **state)
{
    (void)state;
    enum { SETS = 8 };
    struct linear_op ops[SETS + 2];
    char texts[SETS][8];
    for (unsigned i = 0; i < SETS; i++) {
        snprintf(texts[i], sizeof(texts[i]), "v%u", i);
        ops[i] = (struct linear_op){.kind = LINEAR_SET,
                                    .outcome = LINEAR_DONE,
                                    .begun_us = 1000000,
                                    .ended_us = 2000000,
                                    .value = span_of_string(texts[i])};
    }
    ops[SETS] = (struct linear_op){.kind = LINEAR_GET,
                                   .outcome = LINEAR_DONE,
                                   .begun_us = 70000000,
                                   .ended_us = 71000000,
                                   .shown = SPAN_LITERAL("old")};
    ops[SETS + 1] = (struct linear_op){.kind = LINEAR_SET,
                                       .outcome = LINEAR_UNKNOWN,
                                       .begun_us = 1000000,
                                       .ended_us = LINEAR_OPEN,
                                       .value = SPAN_LITERAL("old"),
                                       .is_late = true};
    assert_true(is_good_by(ops, SETS + 2, 0, 50));
    assert_false(is_good(ops, SETS + 1, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_may_have_been_done_before_the_loss_and_answered_after_it),
        cmocka_unit_test(
            what_is_refused_after_the_loss_may_have_been_done_before_it_if_asked_again),
        cmocka_unit_test(what_was_asked_once_and_refused_was_never_done),
        cmocka_unit_test(a_flush_that_is_due_while_nobody_leads_fires_after_the_loss),
        cmocka_unit_test(a_try_whose_id_was_forgotten_may_take_effect_once_more_but_not_sooner),
        cmocka_unit_test(a_try_whose_id_was_lost_may_take_effect_once_more),
        cmocka_unit_test(a_late_try_is_looked_at_too_where_without_it_nothing_is_decided),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
