/* View: when two are the same, who votes, the next placement, views as text. */
#include "common/view.h"

#include "common/base.h"
#include "common/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void views_are_equal_if_all_of_every_full_member_is(void **state)
{
    (void)state;
    struct member first[] = {{.name = "a:1", .weight = 1}, {.name = "b:1", .weight = 2}};
    struct member others[][2] = {
        {{.name = "a:1", .weight = 1}, {.name = "c:1", .weight = 2}},
        {{.name = "a:1", .weight = 3}, {.name = "b:1", .weight = 2}},
        {{.name = "a:1", .weight = 1}, {.name = "b:1", .weight = 2, .standing = STANDING_DOWN}},
        {{.name = "a:1", .weight = 1}, {.name = "b:1", .weight = 2, .role = ROLE_JOINER}},
    };
    struct view view = {.epoch = 1, .member_count = 2, .members = first};
    struct member copy[] = {{.name = "a:1", .weight = 1},
                            {.name = "a:1", .boot = 4, .weight = 1, .role = ROLE_JOINER},
                            {.name = "b:1", .weight = 2}};
    struct view same = {.epoch = 9, .member_count = 3, .members = copy};
    assert_true(view_equal(&view, &same));
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        struct view other = {.epoch = 1, .member_count = 2, .members = others[i]};
        assert_false(view_equal(&view, &other));
    }
    same.member_count = 2;
    assert_false(view_equal(&view, &same));
    const struct view nobody = {0};
    assert_false(view_equal(&nobody, &same));
    assert_true(view_equal(&nobody, &nobody));
}

/* ---- views of a cluster ---- */

static struct member member_of(uint32_t number, uint64_t generation)
{
    struct member member = {.generation = generation,
                            .boot = generation,
                            .seat = 100 + number,
                            .weight = 1,
                            .up_since = 1};
    snprintf(member.name, sizeof(member.name), "10.0.0.%u:11211", 100 + number);
    return member;
}

/* Members 1 … count, full and up, of generation 1. */
static void view_of(struct view *view, uint32_t count)
{
    *view = (struct view){
        .epoch = 1, .base = 1, .cluster_id = 7, .copies = VIEW_COPIES, .strategy = "random"};
    for (uint32_t i = 1; i <= count; i++) {
        struct member member = member_of(i, 1);
        view_add(view, &member);
    }
    view_elect(view);
    assert_true(view_is_valid(view));
}

static void set_standing(struct view *view, uint32_t index, enum member_standing standing)
{
    view->members[index].standing = standing;
    view->members[index].up_since = standing == STANDING_UP;
}

static void up_to_nine_all_vote_and_of_more_those_up_for_longest(void **state)
{
    (void)state;
    struct view view;
    view_of(&view, 9);
    assert_int_equal(view_voter_count(&view), 9);
    set_standing(&view, 2, STANDING_DOWN);
    view.members[4].role = ROLE_LEAVER;
    view.members[5].role = ROLE_JOINER;
    view_elect(&view);
    assert_int_equal(view_voter_count(&view), 8);
    assert_true(view.members[2].is_voter);
    assert_true(view.members[4].is_voter);
    assert_false(view.members[5].is_voter);
    view_close(&view);

    view_of(&view, 12);
    view.epoch = 9;
    view.members[0].up_since = 5;          /* late */
    set_standing(&view, 1, STANDING_DOWN); /* last */
    view.members[11].up_since = 1;
    view.members[10].up_since = 2;
    view_elect(&view);
    assert_int_equal(view_voter_count(&view), 9);
    assert_false(view.members[0].is_voter);
    assert_false(view.members[1].is_voter);
    assert_false(view.members[10].is_voter);
    assert_true(view.members[11].is_voter);
    view_close(&view);
}

/* Its file votes once, with the generation that runs over it now. */
static void a_seat_votes_once(void **state)
{
    (void)state;
    struct view view;
    view_of(&view, 3);
    view.members[0].role = ROLE_LEAVER;
    struct member later = member_of(1, 2);
    view_add(&view, &later);
    view_elect(&view);
    assert_int_equal(view_voter_count(&view), 3);
    assert_false(view.members[0].is_voter);
    assert_true(view.members[1].is_voter);
    view.members[0].is_voter = true;
    assert_false(view_is_valid(&view));
    view_close(&view);
}

static void the_next_placement_takes_all_steps_together(void **state)
{
    (void)state;
    struct view view, next;
    view_of(&view, 5);
    assert_false(view_next(&view, NULL));
    set_standing(&view, 0, STANDING_SUPERSEDED); /* its next generation is a joiner */
    set_standing(&view, 1, STANDING_SUPERSEDED); /* its next generation is not there */
    set_standing(&view, 2, STANDING_REPLACED);
    view.members[3].is_leaving = true;
    assert_true(view_next(&view, NULL));
    struct member joiner = member_of(1, 2);
    joiner.role = ROLE_JOINER;
    view_add(&view, &joiner);
    assert_true(view_next(&view, &next));
    const enum member_role roles[] = {ROLE_LEAVER, ROLE_FULL,   ROLE_FULL,
                                      ROLE_LEAVER, ROLE_LEAVER, ROLE_FULL};
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(next.members[i].role, roles[i]);
    view_close(&next);
    view_close(&view);
}

/* The last member that leaves has nobody to leave for. */
static void a_placement_without_anybody_is_none(void **state)
{
    (void)state;
    struct view view;
    view_of(&view, 1);
    view.members[0].is_leaving = true;
    assert_false(view_next(&view, NULL));
    view_close(&view);
}

/* ---- text ---- */

static void assert_same_text(const struct view *a, const struct view *b)
{
    struct buf one = {0}, other = {0};
    view_format(a, NULL, &one);
    view_format(b, NULL, &other);
    assert_true(span_equal(buf_span(&one), buf_span(&other)));
    buf_close(&one);
    buf_close(&other);
}

static void a_view_is_this_text(void **state)
{
    (void)state;
    struct view view;
    view_of(&view, 2);
    view.epoch = 12;
    view.base = 3;
    set_standing(&view, 0, STANDING_SUPERSEDED);
    view.members[1].is_leaving = true;
    struct member joiner = member_of(1, 2);
    joiner.role = ROLE_JOINER;
    joiner.up_since = 12;
    view_add(&view, &joiner);
    struct buf text = {0};
    view_format(&view, NULL, &text);
    const char *expected =
        "view 12 3 0000000000000007 3 random 3\n"
        "10.0.0.101:11211 0000000000000001 1 0000000000000065 1 full superseded v 0\n"
        "10.0.0.101:11211 0000000000000002 2 0000000000000065 1 joiner up - 12\n"
        "10.0.0.102:11211 0000000000000001 1 0000000000000066 1 full up lv 1\n";
    assert_true(span_equal(buf_span(&text), span_of_string(expected)));
    buf_close(&text);

    struct view later;
    view_copy(&view, &later);
    later.epoch = 13;
    view_take_out(&later, 0);
    later.members[0].role = ROLE_FULL;
    view_elect(&later);
    view_format(&later, &view, &text);
    expected = "next 13 3 2\n"
               "- 10.0.0.101:11211 0000000000000001\n"
               "10.0.0.101:11211 0000000000000002 2 0000000000000065 1 full up v 12\n";
    assert_true(span_equal(buf_span(&text), span_of_string(expected)));
    struct span rest = buf_span(&text);
    struct view again;
    assert_int_equal(view_parse(&rest, &view, &again), ERR_OK);
    assert_int_equal(rest.len, 0);
    assert_same_text(&later, &again);
    view_close(&again);
    rest = buf_span(&text);
    assert_int_equal(view_parse(&rest, NULL, &again), ERR_NOT_FOUND);
    rest = buf_span(&text);
    assert_int_equal(view_parse(&rest, &later, &again), ERR_NOT_FOUND);
    buf_close(&text);
    view_close(&later);
    view_close(&view);
}

static void what_is_no_view_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "view 1 1 0000000000000007 3 random 1",
        "view 1 1 0000000000000007 3 random 0\n", /* nobody */
        "view 1 1 0000000000000007 3 random 1\n", /* missing */
        "view 1 2 0000000000000007 3 random 1\na:1 0000000000000001 1 0000000000000001 1 full up v "
        "1\n",
        "view 1 1 0000000000000000 3 random 1\na:1 0000000000000001 1 0000000000000001 1 full up v "
        "1\n",
        "view 1 1 0000000000000007 4 random 1\na:1 0000000000000001 1 0000000000000001 1 full up v "
        "1\n",
        "view 1 1 0000000000000007 3 random 1\na:1 0000000000000001 1 0000000000000001 1 full up - "
        "1\n",
        "view 1 1 0000000000000007 3 random 1\na:1 0000000000000001 1 0000000000000001 1 full up "
        "vl 1\n",
        "view 1 1 0000000000000007 3 random 1\na:1 0000000000000001 1 0000000000000001 1 full down "
        "v 1\n",
        "view 1 1 0000000000000007 3 random 1\na:1 0000000000000001 1 0000000000000000 1 full up v "
        "1\n",
        "view 1 1 0000000000000007 3 random 1\na:1 0000000000000001 0 0000000000000001 1 full up v "
        "1\n",
        "view 1 1 0000000000000007 3 random 1\na:1 0000000000000001 1 0000000000000001 0 full up v "
        "1\n",
        "view 1 1 0000000000000007 3 random 1\na:1 0000000000000001 1 0000000000000001 1 joiner up "
        "v 1\n",
        "view 1 1 0000000000000007 3 random 1\na:1 0000000000000001 1  0000000000000001 1 full up "
        "v 1\n",
        "view 8388608 1 0000000000000007 3 random 1\na:1 0000000000000001 1 0000000000000001 1 "
        "full up v 1\n",
        /* out of order; full twice */
        "view 1 1 0000000000000007 3 random 2\nb:1 0000000000000001 1 0000000000000001 1 full up v "
        "1\n"
        "a:1 0000000000000001 1 0000000000000002 1 full up v 1\n",
        "view 1 1 0000000000000007 3 random 2\na:1 0000000000000001 1 0000000000000001 1 full up v "
        "1\n"
        "a:1 0000000000000002 2 0000000000000002 1 full up v 1\n",
        "next 2 1 0\n",
    };
    struct view view;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct span text = span_of_string(texts[i]);
        assert_int_not_equal(view_parse(&text, NULL, &view), ERR_OK);
        assert_null(view.members);
    }
    struct span good = span_of_string("view 1 1 0000000000000007 3 random 1\n"
                                      "a:1 0000000000000001 1 0000000000000001 1 full up v 1\n");
    struct span text = good;
    assert_int_equal(view_parse(&text, NULL, &view), ERR_OK);
    view_close(&view);
    for (size_t len = 0; len < good.len; len++) { /* cut anywhere */
        text = span_of(good.data, len);
        assert_int_equal(view_parse(&text, NULL, &view), ERR_SYNTAX);
    }
}

/* A view made of another by chance. */
static void change_by_chance(struct view *view, struct prng *prng)
{
    for (uint32_t i = 0; i < view->member_count; i++) {
        struct member *member = &view->members[i];
        if (prng_below(prng, 3) > 0 || i == 0)
            continue;
        set_standing(view, i, (enum member_standing)prng_below(prng, STANDING_COUNT));
        member->is_leaving = prng_below(prng, 2) == 0;
        member->weight = 1 + (uint32_t)prng_below(prng, VIEW_WEIGHT_MAX);
        if ((prng_below(prng, 4) == 0 && i > 0) || member->standing == STANDING_FORGOTTEN)
            member->role = ROLE_LEAVER;
    }
    if (view->member_count > 2 && prng_below(prng, 3) == 0)
        view_take_out(view, view->member_count - 1);
    struct member joiner = member_of(1 + (uint32_t)prng_below(prng, 100), 2 + view->epoch);
    joiner.role = ROLE_JOINER;
    view_add(view, &joiner);
    view_elect(view);
}

static void any_view_is_told_whole_or_by_what_differs(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 6);
    for (uint32_t run = 0; run < 100; run++) {
        struct view view;
        view_of(&view, 1 + (uint32_t)prng_below(&prng, 30));
        for (uint32_t step = 0; step < 20; step++) {
            struct view next, parsed;
            view_copy(&view, &next);
            next.epoch++;
            next.base = 1 + (uint32_t)prng_below(&prng, next.epoch);
            change_by_chance(&next, &prng);
            for (int is_whole = 0; is_whole < 2; is_whole++) {
                struct buf text = {0};
                view_format(&next, is_whole ? NULL : &view, &text);
                struct span rest = buf_span(&text);
                assert_int_equal(view_parse(&rest, &view, &parsed), ERR_OK);
                assert_int_equal(rest.len, 0);
                assert_same_text(&next, &parsed);
                view_close(&parsed);
                buf_close(&text);
            }
            view_close(&view);
            view = next;
        }
        view_close(&view);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_equal_if_all_of_every_full_member_is),
        cmocka_unit_test(up_to_nine_all_vote_and_of_more_those_up_for_longest),
        cmocka_unit_test(a_seat_votes_once),
        cmocka_unit_test(the_next_placement_takes_all_steps_together),
        cmocka_unit_test(a_placement_without_anybody_is_none),
        cmocka_unit_test(a_view_is_this_text),
        cmocka_unit_test(what_is_no_view_is_refused),
        cmocka_unit_test(any_view_is_told_whole_or_by_what_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
