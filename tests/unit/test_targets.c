/* Target selection: everyone in turn, and watchers that all agree on. */
#include "server/core/targets.h"

#include "common/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT_MAX 100

static struct gossip_options options;

/* Members a node of that name sees, itself among count. */
static void members_make(struct members *members, uint32_t self, uint32_t count)
{
    char name[32];
    assert_true(gossip_profile(SPAN_LITERAL("lan"), &options));
    snprintf(name, sizeof(name), "10.0.1.%u:11211", self);
    members_init(members, &options, name, 1, 1, 1);
    for (uint32_t i = 0; i < count; i++) {
        struct account *record;
        snprintf(name, sizeof(name), "10.0.1.%u:11211", i);
        const struct news news = {.state = MEMBER_ALIVE,
                                  .name = span_of_string(name),
                                  .boot = 1,
                                  .generation = 1,
                                  .weight = 1,
                                  .by = SPAN_LITERAL("-")};
        members_hear(members, &news, true, 1000, &record);
    }
    assert_int_equal(members->live_count, count);
}

static struct target_view view_of(const struct members *members)
{
    return (struct target_view){
        .live = members->live, .count = members->live_count, .self = members_self_at(members)};
}

/* SWIM: at most 2n - 1 rounds between two visits. */
static void random_asks_everyone_once_before_anyone_twice(void **state)
{
    (void)state;
    struct members members;
    members_make(&members, 3, 20);
    struct prng prng;
    prng_init(&prng, 1);
    struct targets targets = {.prng = &prng};
    const struct strategy *strategy = targets_find(SPAN_LITERAL("random"));
    assert_non_null(strategy);
    struct target_view view = view_of(&members);
    uint64_t round = 0;
    unsigned same_order = 0;
    struct account *last[19] = {NULL};
    for (unsigned cycle = 0; cycle < 50; cycle++) {
        struct account *seen[19];
        for (unsigned i = 0; i < 19; i++) {
            seen[i] = strategy->pick(&targets, &view, ++round);
            assert_non_null(seen[i]);
            assert_ptr_not_equal(seen[i], members.self);
            for (unsigned j = 0; j < i; j++)
                assert_ptr_not_equal(seen[i], seen[j]);
        }
        same_order += memcmp(seen, last, sizeof(seen)) == 0;
        memcpy(last, seen, sizeof(seen));
    }
    assert_int_equal(same_order, 0);
    members_close(&members);
}

static void a_lone_node_asks_nobody(void **state)
{
    (void)state;
    struct members members;
    members_make(&members, 0, 1);
    struct prng prng;
    prng_init(&prng, 1);
    struct targets targets = {.prng = &prng};
    struct target_view view = view_of(&members);
    struct account *drawn[3];
    assert_null(targets_find(SPAN_LITERAL("random"))->pick(&targets, &view, 1));
    assert_null(targets_successor(&view));
    assert_int_equal(targets_draw(&prng, &view, NULL, 3, drawn), 0);
    members_close(&members);
}

static void a_draw_gives_different_ones_all_equally_often(void **state)
{
    (void)state;
    struct members members;
    members_make(&members, 2, 6);
    struct prng prng;
    prng_init(&prng, 7);
    struct target_view view = view_of(&members);
    const struct account *except = members.live[0];
    unsigned often[6] = {0};
    for (unsigned n = 0; n < 4000; n++) {
        struct account *drawn[2];
        assert_int_equal(targets_draw(&prng, &view, except, 2, drawn), 2);
        assert_ptr_not_equal(drawn[0], drawn[1]);
        for (unsigned i = 0; i < 2; i++)
            for (unsigned m = 0; m < 6; m++)
                often[m] += members.live[m] == drawn[i];
    }
    assert_int_equal(often[0], 0);
    assert_int_equal(often[2], 0);
    for (unsigned m = 0; m < 6; m++)
        if (m != 0 && m != 2)
            assert_in_range(often[m], 1840, 2160); /* 2000 expected, deviation 32 */
    struct account *all[9];
    assert_int_equal(targets_draw(&prng, &view, except, 9, all), 4); /* as many as there are */
    members_close(&members);
}

static void the_successor_goes_round_in_name_order(void **state)
{
    (void)state;
    struct members members;
    members_make(&members, 9, 10);
    struct target_view view = view_of(&members);
    assert_int_equal(view.self, 9);
    assert_ptr_equal(targets_successor(&view), members.live[0]);
    members_doubt(&members, members.live[0], EVIDENCE_SILENT, 1);
    assert_ptr_equal(targets_successor(&view), members.live[1]); /* who is suspected may not hear */
    members_close(&members);
}

/* All nodes agree who watches whom, and every member is watched by as many as can. */
static void eight_watchers_of_each_are_the_same_for_all(void **state)
{
    (void)state;
    static const uint32_t counts[] = {2, 5, 9, 10, 40};
    for (size_t c = 0; c < ARRAY_COUNT(counts); c++) {
        uint32_t count = counts[c];
        unsigned watched[COUNT_MAX] = {0};
        for (uint32_t node = 0; node < count; node++) {
            struct members members;
            members_make(&members, node, count);
            struct target_view view = view_of(&members);
            for (uint32_t m = 0; m < count; m++) {
                struct account *subject = members.live[m], *watchers[WATCHERS];
                if (subject == members.self)
                    continue;
                bool watches = targets_watches(&view, subject);
                watched[m] += watches;
                uint32_t found = targets_watchers(&view, subject, watchers);
                assert_int_equal(found, count - 1 < WATCHERS ? count - 1 : WATCHERS);
                bool is_listed = false;
                for (uint32_t i = 0; i < found; i++)
                    is_listed |= watchers[i] == members.self;
                assert_int_equal(is_listed, watches);
            }
            members_close(&members);
        }
        for (uint32_t m = 0; m < count; m++)
            assert_int_equal(watched[m], count - 1 < WATCHERS ? count - 1 : WATCHERS);
    }
}

static void strategies_are_found_by_name(void **state)
{
    (void)state;
    assert_string_equal(targets_find(SPAN_LITERAL("random"))->name, "random");
    assert_null(targets_find(SPAN_LITERAL("clairvoyant")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_asks_everyone_once_before_anyone_twice),
        cmocka_unit_test(a_lone_node_asks_nobody),
        cmocka_unit_test(a_draw_gives_different_ones_all_equally_often),
        cmocka_unit_test(the_successor_goes_round_in_name_order),
        cmocka_unit_test(eight_watchers_of_each_are_the_same_for_all),
        cmocka_unit_test(strategies_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
