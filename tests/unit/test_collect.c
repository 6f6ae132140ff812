#include "server/core/collect.h"

#include "common/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define GIVERS 6u

static struct collect_answer answer(uint32_t act, uint64_t ver)
{
    return (struct collect_answer){.act = act, .ver = ver, .is_there = true, .is_clean = true};
}

static void
an_epoch_needs_its_primary_or_so_many_that_none_of_its_quorums_is_without_one(void **state)
{
    (void)state;
    static const struct {
        uint32_t size, primary; /* place in the group; 9: nobody was up */
        uint32_t answered;      /* bits by place */
        bool is_covered;
    } cases[] = {
        {3, 9, 0, true}, {3, 0, 0, false}, {3, 0, 1, true}, {3, 0, 2, false}, {3, 0, 4, false},
        {3, 0, 6, true}, {3, 1, 1, false}, {3, 1, 2, true}, {3, 1, 5, true},  {3, 2, 3, true},
        {3, 2, 4, true}, {2, 0, 0, false}, {2, 0, 2, true}, {2, 1, 1, true},  {1, 0, 0, false},
        {1, 0, 1, true}, {3, 0, 7, true},  {1, 9, 0, true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct collect_answer answers[GIVERS] = {0};
        struct collect_group group = {.members = {4, 2, 5}, .size = cases[i].size};
        group.primary = cases[i].primary == 9 ? GIVER_NONE : group.members[cases[i].primary];
        for (uint32_t k = 0; k < 3; k++)
            if (cases[i].answered & 1u << k)
                answers[group.members[k]] = answer(1, 1);
        assert_int_equal(collect_is_covered(&group, answers), cases[i].is_covered);
    }
}

static void who_is_not_of_the_group_covers_nothing(void **state)
{
    (void)state;
    struct collect_group group = {.members = {0, 1, 2}, .size = 3, .primary = 0};
    struct collect_answer answers[GIVERS] = {
        [3] = answer(1, 1), [4] = answer(1, 1), [1] = answer(1, 1)};
    assert_false(collect_is_covered(&group, answers));
}

/* Groups by epoch: 5 led by 0, 6 by 1, 7 by 2, 8 by nobody, 9 unknown. */
static bool group_of(void *arg, uint32_t epoch, struct collect_group *group)
{
    (void)arg;
    if (epoch > 8)
        return false;
    *group = (struct collect_group){.members = {0, 1, 2}, .size = 3};
    group->primary = epoch == 8 ? GIVER_NONE : (uint16_t)(epoch - 5);
    return true;
}

static void every_epoch_from_low_on_has_to_be_covered(void **state)
{
    (void)state;
    static const struct {
        uint32_t base, epoch;
        uint32_t acts[GIVERS]; /* 0: no answer */
        uint32_t missing;      /* 0: it is settled */
    } cases[] = {
        {5, 5, {1}, 0},             /* nothing is below */
        {5, 6, {1}, 0},             /* the primary of 5 */
        {5, 7, {1}, 6},             /* 6 was led by another */
        {5, 7, {6}, 6},             /* what is below act does not matter, act itself does */
        {5, 7, {0, 6}, 0},          /* the primary of 6 answered, and 5 is below its act */
        {5, 7, {0, 5}, 5},          /* of 5 only one of three */
        {5, 7, {0, 5, 1}, 0},       /* of both two */
        {5, 8, {0, 7}, 7},          /* one that is not 7's primary */
        {5, 8, {0, 0, 7}, 0},       /* 7's primary */
        {5, 9, {0, 0, 7}, 0},       /* nobody was up in 8 */
        {5, 10, {0, 0, 7}, 9},      /* a view that is not known is not covered */
        {5, 10, {0, 0, 9}, 9},      /* not even so */
        {6, 7, {0, 0, 1}, 6},       /* base is high */
        {6, 7, {1, 0, 1}, 0},       /* two of three */
        {5, 7, {0, 0, 0, 6, 6}, 6}, /* low rises with outsiders' act too */
        {5, 7, {0, 1, 0, 6}, 0},    /* and so they help */
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct collect_answer answers[GIVERS] = {0};
        uint32_t missing = 0;
        for (uint32_t k = 0; k < GIVERS; k++)
            if (cases[i].acts[k] > 0)
                answers[k] = answer(cases[i].acts[k], 1);
        bool is_settled = collect_is_settled(cases[i].base, cases[i].epoch, answers, GIVERS,
                                             group_of, NULL, &missing);
        assert_int_equal(is_settled, cases[i].missing == 0);
        assert_int_equal(missing, cases[i].missing);
    }
}

static void the_greatest_act_then_ver_is_chosen_and_the_own_copy_on_a_tie(void **state)
{
    (void)state;
    static const struct {
        struct {
            uint32_t act;
            uint64_t ver;
        } said[4]; /* act 99: no answer; the own is 1 */
        uint32_t chosen;
    } cases[] = {
        {{{99, 0}, {0, 0}, {99, 0}, {99, 0}}, 1}, {{{3, 5}, {3, 5}, {3, 5}, {3, 5}}, 1},
        {{{3, 6}, {3, 5}, {3, 5}, {3, 5}}, 0},    {{{3, 6}, {4, 5}, {3, 9}, {3, 9}}, 1},
        {{{3, 6}, {3, 5}, {4, 1}, {3, 9}}, 2},    {{{3, 6}, {3, 5}, {4, 1}, {4, 2}}, 3},
        {{{3, 6}, {3, 5}, {99, 99}, {2, 9}}, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct collect_answer answers[4] = {0};
        for (uint32_t k = 0; k < 4; k++)
            if (cases[i].said[k].act != 99)
                answers[k] = answer(cases[i].said[k].act, cases[i].said[k].ver);
        assert_int_equal(collect_choose(answers, 4, 1), cases[i].chosen);
    }
}

static void a_floor_is_no_higher_than_what_every_other_member_has_acknowledged(void **state)
{
    (void)state;
    const struct floor_member both[] = {{true, 8}, {true, 5}};
    const struct floor_member absent[] = {{true, 8}, {false, 8}};
    assert_int_equal(collect_floor(9, NULL, 0, UINT64_MAX), 9);
    assert_int_equal(collect_floor(9, both, 2, UINT64_MAX), 5);
    assert_int_equal(collect_floor(4, both, 2, UINT64_MAX), 4);
    assert_int_equal(collect_floor(9, both, 2, 3), 3);
    assert_int_equal(collect_floor(9, absent, 2, UINT64_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            an_epoch_needs_its_primary_or_so_many_that_none_of_its_quorums_is_without_one),
        cmocka_unit_test(who_is_not_of_the_group_covers_nothing),
        cmocka_unit_test(every_epoch_from_low_on_has_to_be_covered),
        cmocka_unit_test(the_greatest_act_then_ver_is_chosen_and_the_own_copy_on_a_tie),
        cmocka_unit_test(a_floor_is_no_higher_than_what_every_other_member_has_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
