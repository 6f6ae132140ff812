/* Change: what the next view is, rule by rule. */
#include "server/core/change.h"

#include "common/base.h"
#include "common/check.h"
#include "common/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MEMBERS_MAX 12

struct scene {
    struct view view;
    struct view base;
    struct ring ring;
    struct opinion opinions[MEMBERS_MAX];
    struct wish wishes[8];
    struct change change;
    struct view next; /* of the last look */
    bool is_wanted;
};

static struct member member_of(uint32_t number, uint64_t generation)
{
    struct member member = {.generation = generation,
                            .boot = generation,
                            .seat = 100 * generation + number,
                            .weight = 1,
                            .up_since = 1};
    snprintf(member.name, sizeof(member.name), "n%u:1", number);
    return member;
}

/* Members 1 … count, full and up. */
static struct scene *scene_open(uint32_t count)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    CHECK(scene != NULL);
    scene->view = (struct view){
        .epoch = 4, .base = 4, .cluster_id = 7, .copies = VIEW_COPIES, .strategy = "random"};
    for (uint32_t i = 1; i <= count; i++) {
        struct member member = member_of(i, 1);
        view_add(&scene->view, &member);
    }
    view_elect(&scene->view);
    view_copy(&scene->view, &scene->base);
    return scene;
}

static void scene_close(struct scene *scene)
{
    view_close(&scene->view);
    view_close(&scene->base);
    view_close(&scene->next);
    free(scene);
}

/* The member of that number and generation in view; it must be there. */
static struct member *at(struct view *view, uint32_t number, uint64_t generation)
{
    struct member wanted = member_of(number, generation);
    uint32_t index = view_find(view, span_of_string(wanted.name), generation);
    assert_int_not_equal(index, VIEW_NOBODY);
    return &view->members[index];
}

static bool is_in(struct view *view, uint32_t number, uint64_t generation)
{
    struct member wanted = member_of(number, generation);
    return view_find(view, span_of_string(wanted.name), generation) != VIEW_NOBODY;
}

static struct opinion *opinion_of(struct scene *scene, uint32_t number, uint64_t generation)
{
    return &scene->opinions[at(&scene->view, number, generation) - scene->view.members];
}

static void set_standing(struct scene *scene, uint32_t number, enum member_standing standing)
{
    struct member *member = at(&scene->view, number, 1);
    member->standing = standing;
    member->up_since = standing == STANDING_UP;
}

static void look(struct scene *scene)
{
    view_close(&scene->next);
    assert_true(view_is_valid(&scene->view));
    ring_place(&scene->view, &scene->ring);
    scene->change.view = &scene->view;
    scene->change.ring = &scene->ring;
    scene->change.base_view = &scene->base;
    scene->change.opinions = scene->opinions;
    scene->change.wishes = scene->wishes;
    scene->is_wanted = change_make(&scene->change, &scene->next);
    if (scene->is_wanted) {
        assert_true(view_is_valid(&scene->next));
        assert_int_equal(scene->next.epoch, scene->view.epoch + 1);
    }
}

/* What was wanted becomes the view. */
static void adopt(struct scene *scene)
{
    assert_true(scene->is_wanted);
    view_close(&scene->view);
    scene->view = scene->next;
    scene->next = (struct view){0};
    memset(scene->opinions, 0, sizeof(scene->opinions));
    scene->change.wish_count = 0;
    scene->change.is_placed = false;
}

static struct wish *wish(struct scene *scene, enum wish_kind kind, uint32_t number,
                         uint64_t generation)
{
    struct wish *wish = &scene->wishes[scene->change.wish_count++];
    *wish = (struct wish){.kind = kind, .member = member_of(number, generation)};
    return wish;
}

static void where_nothing_has_changed_there_is_no_next_view(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    look(scene);
    assert_false(scene->is_wanted);
    for (uint32_t i = 0; i < 3; i++)
        scene->opinions[i].state = OPINION_UP;
    scene->change.is_all_active = true;
    look(scene);
    assert_false(scene->is_wanted);
    scene_close(scene);
}

static void suspected_members_go_down_and_come_up_again(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    opinion_of(scene, 2, 1)->state = OPINION_DOWN;
    look(scene);
    assert_int_equal(at(&scene->next, 2, 1)->standing, STANDING_DOWN);
    assert_int_equal(at(&scene->next, 2, 1)->up_since, 0);
    assert_int_equal(at(&scene->next, 1, 1)->up_since, 1);
    adopt(scene);
    look(scene);
    assert_false(scene->is_wanted); /* nothing new is held of it */
    opinion_of(scene, 2, 1)->state = OPINION_UP;
    look(scene);
    assert_int_equal(at(&scene->next, 2, 1)->standing, STANDING_UP);
    assert_int_equal(at(&scene->next, 2, 1)->up_since, 6);
    scene_close(scene);
}

static void a_superseded_generation_is_down_for_good(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    opinion_of(scene, 2, 1)->is_superseded = true;
    look(scene);
    adopt(scene);
    assert_int_equal(at(&scene->view, 2, 1)->standing, STANDING_SUPERSEDED);
    opinion_of(scene, 2, 1)->state = OPINION_UP;
    look(scene);
    assert_false(scene->is_wanted);
    scene_close(scene);
}

static void a_group_never_shrinks_to_its_survivors_by_itself(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    *opinion_of(scene, 2, 1) = (struct opinion){.state = OPINION_GONE, .is_overdue = true};
    look(scene);
    assert_int_equal(at(&scene->next, 2, 1)->standing, STANDING_DOWN);
    scene_close(scene);

    scene = scene_open(5); /* three are left that can hold all copies */
    *opinion_of(scene, 2, 1) = (struct opinion){.state = OPINION_GONE, .is_overdue = true};
    *opinion_of(scene, 4, 1) = (struct opinion){.state = OPINION_GONE, .is_overdue = true};
    look(scene);
    assert_int_equal(at(&scene->next, 2, 1)->standing, STANDING_REPLACED);
    assert_int_equal(at(&scene->next, 4, 1)->standing, STANDING_REPLACED);
    adopt(scene);
    /* Another goes: now nobody could take their place, so they stay. */
    opinion_of(scene, 1, 1)->state = OPINION_DOWN;
    look(scene);
    assert_int_equal(at(&scene->next, 2, 1)->standing, STANDING_DOWN);
    scene_close(scene);
}

static void the_placement_comes_when_all_is_synced_as_a_whole(void **state)
{
    (void)state;
    struct scene *scene = scene_open(5);
    set_standing(scene, 2, STANDING_REPLACED);
    at(&scene->view, 3, 1)->is_leaving = true;
    wish(scene, WISH_JOIN, 6, 1);
    look(scene);
    assert_int_equal(at(&scene->next, 6, 1)->role, ROLE_JOINER);
    assert_int_equal(at(&scene->next, 6, 1)->up_since, 5);
    adopt(scene);
    look(scene);
    assert_false(scene->is_wanted); /* not synced */
    scene->change.is_placed = true;
    look(scene);
    assert_false(is_in(&scene->next, 2, 1));
    assert_int_equal(at(&scene->next, 3, 1)->role, ROLE_LEAVER);
    assert_int_equal(at(&scene->next, 6, 1)->role, ROLE_FULL);
    assert_int_equal(at(&scene->next, 1, 1)->role, ROLE_FULL);
    scene_close(scene);
}

/* What was reported was reported for another placement. */
static void a_placement_does_not_come_together_with_another_change(void **state)
{
    (void)state;
    struct scene *scene = scene_open(4);
    struct member joiner = member_of(6, 1);
    joiner.role = ROLE_JOINER;
    view_add(&scene->view, &joiner);
    scene->change.is_placed = true;
    opinion_of(scene, 2, 1)->state = OPINION_DOWN;
    look(scene);
    assert_int_equal(at(&scene->next, 6, 1)->role, ROLE_JOINER);
    assert_int_equal(at(&scene->next, 2, 1)->standing, STANDING_DOWN);
    scene_close(scene);
}

static void a_restarted_member_comes_in_beside_its_lost_generation(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    wish(scene, WISH_JOIN, 2, 5);
    look(scene);
    assert_int_equal(at(&scene->next, 2, 1)->standing, STANDING_SUPERSEDED);
    assert_int_equal(at(&scene->next, 2, 1)->role, ROLE_FULL); /* not out before the placement */
    assert_int_equal(at(&scene->next, 2, 5)->role, ROLE_JOINER);
    adopt(scene);
    /* And again: the joiner that is lost goes out at once. */
    wish(scene, WISH_JOIN, 2, 9);
    look(scene);
    assert_false(is_in(&scene->next, 2, 5));
    adopt(scene);
    struct wish *old = wish(scene, WISH_JOIN, 2, 7); /* an older process asks late */
    look(scene);
    assert_false(scene->is_wanted);
    assert_non_null(old->refusal);
    scene->change.is_placed = true;
    scene->change.wish_count = 0;
    look(scene);
    assert_false(is_in(&scene->next, 2, 1));
    assert_int_equal(at(&scene->next, 2, 9)->role, ROLE_FULL);
    scene_close(scene);
}

static void no_view_is_made_for_joins_alone_right_after_another(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    struct wish *joins = wish(scene, WISH_JOIN, 6, 1);
    scene->change.do_joins_wait = true;
    look(scene);
    assert_false(scene->is_wanted);
    assert_null(joins->refusal);
    scene->change.do_joins_wait = false;
    look(scene);
    assert_int_equal(at(&scene->next, 6, 1)->role, ROLE_JOINER);
    scene_close(scene);
}

static void who_asks_to_join_comes_in_by_a_view_that_is_made_anyway(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    wish(scene, WISH_JOIN, 6, 1);
    scene->change.do_joins_wait = true;
    opinion_of(scene, 1, 1)->state = OPINION_DOWN;
    look(scene);
    assert_int_equal(at(&scene->next, 1, 1)->standing, STANDING_DOWN);
    assert_int_equal(at(&scene->next, 6, 1)->role, ROLE_JOINER);
    scene_close(scene);
}

/* What was reported was reported for the one without it. */
static void who_asks_to_join_right_after_a_view_puts_no_placement_off(void **state)
{
    (void)state;
    struct scene *scene = scene_open(4);
    struct member joiner = member_of(5, 1);
    joiner.role = ROLE_JOINER;
    view_add(&scene->view, &joiner);
    wish(scene, WISH_JOIN, 6, 1);
    scene->change.do_joins_wait = scene->change.is_placed = true;
    look(scene);
    assert_int_equal(at(&scene->next, 5, 1)->role, ROLE_FULL);
    assert_false(is_in(&scene->next, 6, 1));
    scene_close(scene);
}

static void a_new_seat_of_a_member_votes_once_a_view_has_it(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    wish(scene, WISH_JOIN, 2, 1)->member.seat = 77;
    look(scene);
    assert_true(at(&scene->next, 2, 1)->seat == 77);
    assert_int_equal(at(&scene->next, 2, 1)->role, ROLE_FULL);
    assert_true(at(&scene->next, 2, 1)->is_voter);
    scene_close(scene);
}

static void a_joiner_that_is_gone_or_late_goes_out(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct scene *scene = scene_open(3);
        struct member joiner = member_of(6, 1);
        joiner.role = ROLE_JOINER;
        view_add(&scene->view, &joiner);
        struct opinion *opinion = opinion_of(scene, 6, 1);
        if (i == 0)
            opinion->state = OPINION_GONE;
        opinion->is_superseded = i == 1;
        opinion->is_late = i == 2;
        look(scene);
        assert_false(is_in(&scene->next, 6, 1));
        scene_close(scene);
    }
}

static void when_all_is_lost_whoever_is_there_begins_anew(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    for (uint32_t i = 1; i <= 3; i++)
        opinion_of(scene, i, 1)->is_superseded = true;
    wish(scene, WISH_JOIN, 1, 2);
    wish(scene, WISH_JOIN, 3, 2);
    wish(scene, WISH_JOIN, 8, 1);
    look(scene);
    assert_int_equal(at(&scene->next, 1, 2)->role, ROLE_FULL);
    assert_int_equal(at(&scene->next, 3, 2)->role, ROLE_FULL);
    assert_int_equal(at(&scene->next, 8, 1)->role, ROLE_FULL);
    assert_false(is_in(&scene->next, 1, 1));
    assert_int_equal(at(&scene->next, 2, 1)->standing, STANDING_SUPERSEDED);
    scene_close(scene);

    scene = scene_open(3); /* one is left, though down: nothing is lost for good */
    set_standing(scene, 2, STANDING_DOWN);
    opinion_of(scene, 1, 1)->is_superseded = true;
    opinion_of(scene, 3, 1)->is_superseded = true;
    wish(scene, WISH_JOIN, 1, 2);
    look(scene);
    assert_int_equal(at(&scene->next, 1, 2)->role, ROLE_JOINER);
    scene_close(scene);
}

static void a_leave_needs_a_majority_of_each_group_to_be(void **state)
{
    (void)state;
    struct scene *scene = scene_open(4);
    set_standing(scene, 1, STANDING_DOWN);
    set_standing(scene, 2, STANDING_DOWN);
    struct wish *refused = wish(scene, WISH_LEAVE, 3, 1);
    look(scene);
    assert_false(scene->is_wanted);
    assert_non_null(refused->refusal);
    set_standing(scene, 2, STANDING_UP);
    look(scene);
    assert_null(refused->refusal);
    assert_true(at(&scene->next, 3, 1)->is_leaving);
    adopt(scene);
    /* That ceases to be true before the placement: the mark is taken off. */
    opinion_of(scene, 2, 1)->state = OPINION_DOWN;
    look(scene);
    assert_false(at(&scene->next, 3, 1)->is_leaving);
    scene_close(scene);
}

static void groups_may_become_smaller_by_leaves(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    struct wish *leave = wish(scene, WISH_LEAVE, 3, 1);
    look(scene);
    assert_null(leave->refusal);
    assert_true(at(&scene->next, 3, 1)->is_leaving);
    scene_close(scene);
    scene = scene_open(1);
    leave = wish(scene, WISH_LEAVE, 1, 1);
    look(scene);
    assert_false(scene->is_wanted);
    assert_non_null(leave->refusal);
    scene_close(scene);
}

static void a_leaver_goes_out_when_base_has_passed_it(void **state)
{
    (void)state;
    struct scene *scene = scene_open(4);
    at(&scene->view, 3, 1)->role = ROLE_LEAVER;
    scene->view.epoch = 9;
    look(scene);
    assert_false(scene->is_wanted); /* in the base's view it holds slots */
    scene->change.is_all_active = true;
    look(scene);
    assert_int_equal(scene->next.base, 9); /* a view for that alone */
    assert_true(is_in(&scene->next, 3, 1));
    adopt(scene);
    view_close(&scene->base);
    view_copy(&scene->view, &scene->base);
    look(scene);
    assert_false(is_in(&scene->next, 3, 1));
    scene_close(scene);
}

/* Base may lie below all views in which it held slots: who came, and goes again, while some slot is
 * not active. */
static void a_leaver_stays_while_base_is_older_than_its_slots(void **state)
{
    (void)state;
    for (int has_joined = 0; has_joined <= 1; has_joined++) {
        struct scene *scene = scene_open(4);
        if (has_joined)
            at(&scene->base, 3, 1)->role = ROLE_JOINER;
        else
            view_take_out(&scene->base, (uint32_t)(at(&scene->base, 3, 1) - scene->base.members));
        at(&scene->view, 3, 1)->is_leaving = true;
        scene->view.epoch = 6;
        scene->change.is_placed = true;
        look(scene);
        assert_true(is_in(&scene->next, 3, 1));
        assert_int_equal(at(&scene->next, 3, 1)->role, ROLE_LEAVER);
        adopt(scene);
        look(scene);
        assert_false(scene->is_wanted);
        scene_close(scene);
    }
}

static void a_stop_keeps_place_and_seat(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    wish(scene, WISH_STOP, 2, 1);
    look(scene);
    assert_int_equal(at(&scene->next, 2, 1)->standing, STANDING_STOPPING);
    assert_int_equal(at(&scene->next, 2, 1)->role, ROLE_FULL);
    assert_true(at(&scene->next, 2, 1)->is_voter);
    adopt(scene);
    struct wish *second = wish(scene, WISH_STOP, 3, 1);
    look(scene);
    assert_false(scene->is_wanted);
    assert_non_null(second->refusal);
    scene_close(scene);
}

static void an_operator_may_forget_who_is_down(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    struct wish *forget = wish(scene, WISH_FORGET, 2, 1);
    look(scene);
    assert_non_null(forget->refusal); /* it is up */
    set_standing(scene, 2, STANDING_DOWN);
    look(scene);
    assert_null(forget->refusal);
    assert_int_equal(at(&scene->next, 2, 1)->role, ROLE_LEAVER);
    assert_int_equal(at(&scene->next, 2, 1)->standing, STANDING_FORGOTTEN);
    assert_int_equal(view_voter_count(&scene->next), 2);
    adopt(scene);
    opinion_of(scene, 2, 1)->state = OPINION_UP; /* whatever becomes of it */
    look(scene);
    assert_false(scene->is_wanted);
    wish(scene, WISH_JOIN, 2, 1); /* it comes back, and asks: what it has is looked at */
    look(scene);
    assert_int_equal(at(&scene->next, 2, 1)->role, ROLE_JOINER);
    scene->change.wish_count = 0;
    forget = wish(scene, WISH_FORGET, 9, 1);
    look(scene);
    assert_non_null(forget->refusal);
    scene_close(scene);
}

static void who_is_replaced_beside_its_next_generation_is_never_merely_down(void **state)
{
    (void)state;
    struct scene *scene = scene_open(4);
    struct member joiner = member_of(2, 2);
    joiner.role = ROLE_JOINER;
    set_standing(scene, 2, STANDING_REPLACED);
    view_add(&scene->view, &joiner);
    opinion_of(scene, 3, 1)->state = OPINION_DOWN; /* nobody is left to take its place */
    opinion_of(scene, 4, 1)->state = OPINION_DOWN;
    look(scene);
    assert_int_equal(at(&scene->next, 2, 1)->standing, STANDING_SUPERSEDED);
    struct view placed;
    assert_true(view_next(&scene->next, &placed));
    assert_false(member_is_full(at(&placed, 2, 1)));
    assert_true(member_is_full(at(&placed, 2, 2)));
    view_close(&placed);
    scene_close(scene);
}

/* Who has not heard of the later process yet may take what it hears for the former one. */
static void who_has_a_later_generation_in_the_view_never_comes_up_again(void **state)
{
    (void)state;
    struct scene *scene = scene_open(5);
    set_standing(scene, 2, STANDING_REPLACED);
    struct member later = member_of(2, 9);
    later.role = ROLE_JOINER;
    view_add(&scene->view, &later);
    at(&scene->view, 4, 1)->is_leaving = true;
    view_elect(&scene->view);
    opinion_of(scene, 2, 1)->is_overdue = true;
    opinion_of(scene, 2, 1)->state = OPINION_UP;
    look(scene);
    assert_int_equal(at(scene->is_wanted ? &scene->next : &scene->view, 2, 1)->standing,
                     STANDING_REPLACED);
    scene_close(scene);
}

static void replaced_members_go_at_once_where_a_slot_has_no_quorum(void **state)
{
    (void)state;
    struct scene *scene = scene_open(5);
    set_standing(scene, 2, STANDING_REPLACED);
    look(scene);
    assert_false(scene->is_wanted);
    set_standing(scene, 4, STANDING_REPLACED); /* some groups have both */
    *opinion_of(scene, 2, 1) = (struct opinion){.state = OPINION_GONE, .is_overdue = true};
    *opinion_of(scene, 4, 1) = (struct opinion){.state = OPINION_GONE, .is_overdue = true};
    look(scene);
    assert_false(is_in(&scene->next, 2, 1));
    assert_false(is_in(&scene->next, 4, 1));
    scene_close(scene);
}

static void base_rises_with_the_next_view_if_all_is_active(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    scene->view.epoch = 9;
    opinion_of(scene, 2, 1)->state = OPINION_DOWN;
    look(scene);
    assert_int_equal(scene->next.base, 4);
    scene->change.is_all_active = true;
    look(scene);
    assert_int_equal(scene->next.base, 9);
    scene_close(scene);
}

/* Wishes but to forget come with a view that is made anyway, or later. */
static void where_many_views_are_kept_what_is_asked_for_waits(void **state)
{
    (void)state;
    struct scene *scene = scene_open(6);
    scene->view.epoch = 300;
    set_standing(scene, 1, STANDING_DOWN);
    scene->change.do_asks_wait = true;
    wish(scene, WISH_JOIN, 7, 1);
    wish(scene, WISH_LEAVE, 3, 1);
    wish(scene, WISH_STOP, 4, 1);
    wish(scene, WISH_NEXT, 5, 1);
    look(scene);
    assert_false(scene->is_wanted);
    opinion_of(scene, 2, 1)->state = OPINION_DOWN;
    look(scene);
    assert_int_equal(at(&scene->next, 2, 1)->standing, STANDING_DOWN);
    assert_int_equal(at(&scene->next, 7, 1)->role, ROLE_JOINER);
    scene_close(scene);

    scene = scene_open(4);
    scene->view.epoch = 300;
    scene->change.do_asks_wait = true;
    set_standing(scene, 1, STANDING_DOWN);
    wish(scene, WISH_FORGET, 1, 1);
    look(scene);
    assert_int_equal(at(&scene->next, 1, 1)->standing, STANDING_FORGOTTEN);
    scene_close(scene);
}

/* A member that does not run holds up all slots it leads, and so base. */
static void however_many_views_are_kept_who_is_lost_does_not_stay_up(void **state)
{
    (void)state;
    struct scene *scene = scene_open(5);
    scene->view.epoch = 300;
    scene->change.do_asks_wait = true;
    opinion_of(scene, 2, 1)->state = OPINION_DOWN;
    opinion_of(scene, 3, 1)->is_superseded = true;
    look(scene);
    assert_int_equal(at(&scene->next, 2, 1)->standing, STANDING_DOWN);
    assert_int_equal(at(&scene->next, 3, 1)->standing, STANDING_SUPERSEDED);
    adopt(scene);
    *opinion_of(scene, 2, 1) = (struct opinion){.state = OPINION_GONE, .is_overdue = true};
    look(scene);
    assert_int_equal(at(&scene->next, 2, 1)->standing, STANDING_REPLACED);
    scene_close(scene);
}

/* Without n5 two would be left to take the place of n1: it would no longer be replaced, and two of
 * four be down. */
static void a_leave_does_not_undo_who_is_replaced_where_it_then_could_not_be(void **state)
{
    (void)state;
    struct scene *scene = scene_open(5);
    set_standing(scene, 1, STANDING_REPLACED);
    set_standing(scene, 2, STANDING_DOWN);
    opinion_of(scene, 1, 1)->state = opinion_of(scene, 2, 1)->state = OPINION_GONE;
    opinion_of(scene, 1, 1)->is_overdue = true;
    struct wish *leave = wish(scene, WISH_LEAVE, 5, 1);
    look(scene);
    assert_non_null(leave->refusal);
    assert_false(is_in(&scene->next, 1, 1)); /* it goes, where it holds up slots */
    assert_false(at(&scene->next, 5, 1)->is_leaving);
    scene_close(scene);
}

/* The wish of the process before is still kept. */
static void who_has_started_again_is_not_bound_by_what_it_asked_before(void **state)
{
    (void)state;
    for (enum wish_kind kind = WISH_LEAVE; kind <= WISH_STOP; kind++) {
        struct scene *scene = scene_open(5);
        struct wish *asked = wish(scene, kind, 3, 1);
        at(&scene->view, 3, 1)->boot = asked->member.boot + 1;
        look(scene);
        assert_false(scene->is_wanted);
        asked->member.boot++;
        look(scene);
        assert_true(scene->is_wanted);
        scene_close(scene);
    }
}

/* --- views come to an end --------------------------------------------------------------------- */

#define DRAWS     1000u
#define VIEWS_MAX 64u

/* What is held of everybody, whatever view stands. */
struct held_of {
    struct member member;
    struct opinion opinion;
};

static void draw_member(struct prng *prng, uint32_t number, struct scene *scene,
                        struct held_of *held)
{
    static const enum member_standing standings[] = {
        STANDING_UP,       STANDING_UP,       STANDING_UP,         STANDING_DOWN,
        STANDING_REPLACED, STANDING_STOPPING, STANDING_SUPERSEDED, STANDING_FORGOTTEN};
    struct member member = member_of(number, 1);
    member.standing = standings[prng_below(prng, ARRAY_COUNT(standings))];
    if (member.standing == STANDING_FORGOTTEN || prng_below(prng, 12) == 0)
        member.role = ROLE_LEAVER;
    else if (member.standing != STANDING_REPLACED && prng_below(prng, 6) == 0)
        member.role = ROLE_JOINER;
    member.is_leaving = member.role == ROLE_FULL && prng_below(prng, 5) == 0;
    member.up_since = member.standing == STANDING_UP;
    struct opinion opinion = {.state = (int)prng_below(prng, OPINION_GONE + 1),
                              .is_superseded = prng_below(prng, 12) == 0};
    opinion.is_overdue =
        (opinion.state == OPINION_GONE || opinion.is_superseded) && prng_below(prng, 2) == 0;
    opinion.is_late = member.role == ROLE_JOINER && prng_below(prng, 6) == 0;
    *held = (struct held_of){.member = member, .opinion = opinion};
    view_add(&scene->view, &member);
}

/* Somebody asks no two things. */
static void draw_wishes(struct prng *prng, uint32_t count, struct scene *scene)
{
    static const enum wish_kind kinds[] = {WISH_LEAVE, WISH_LEAVE, WISH_STOP, WISH_FORGET};
    for (uint32_t number = 1; number <= count && scene->change.wish_count < 4; number++)
        if (prng_below(prng, 3) == 0)
            wish(scene, kinds[prng_below(prng, ARRAY_COUNT(kinds))], number, 1);
    if (prng_below(prng, 3) == 0)
        wish(scene, WISH_JOIN, count + 1, 1);
}

static void hold(struct scene *scene, const struct held_of *held, uint32_t count)
{
    memset(scene->opinions, 0, sizeof(scene->opinions));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = view_find(&scene->view, span_of_string(held[i].member.name), 1);
        if (index != VIEW_NOBODY)
            scene->opinions[index] = held[i].opinion;
    }
}

/* What is refused is asked no more, as views_propose.c has it; but whether to stop. */
static void drop_refused(struct scene *scene)
{
    for (uint32_t i = scene->change.wish_count; i-- > 0;)
        if (scene->wishes[i].refusal && scene->wishes[i].kind != WISH_STOP)
            scene->wishes[i] = scene->wishes[--scene->change.wish_count];
}

/* As long as the same is held and asked, and views follow each other. */
static uint32_t count_views(struct scene *scene, const struct held_of *held, uint32_t count)
{
    struct view views[VIEWS_MAX] = {0}; /* by epoch, from 4 on */
    uint32_t made = 0;
    for (; made < VIEWS_MAX; made++) {
        hold(scene, held, count);
        look(scene);
        drop_refused(scene);
        if (!scene->is_wanted)
            break;
        views[made] = scene->view;
        scene->view = scene->next;
        scene->next = (struct view){0};
        view_close(&scene->base);
        view_copy(scene->view.base == scene->view.epoch ? &scene->view
                                                        : &views[scene->view.base - 4],
                  &scene->base);
    }
    for (uint32_t i = 0; i < made; i++)
        view_close(&views[i]);
    return made;
}

static void where_nothing_more_happens_views_come_to_an_end(void **state)
{
    (void)state;
    uint32_t most = 0, drawn = 0;
    for (uint64_t seed = 1; seed <= DRAWS; seed++) {
        struct prng prng;
        struct held_of held[MEMBERS_MAX];
        struct scene *scene = scene_open(0);
        prng_init(&prng, seed);
        uint32_t count = 3 + (uint32_t)prng_below(&prng, 5);
        for (uint32_t i = 0; i < count; i++)
            draw_member(&prng, i + 1, scene, &held[i]);
        draw_wishes(&prng, count, scene);
        scene->change.is_all_active = prng_below(&prng, 2);
        scene->change.is_placed = prng_below(&prng, 2);
        view_elect(&scene->view);
        if (view_is_valid(&scene->view)) {
            drawn++;
            view_close(&scene->base);
            view_copy(&scene->view, &scene->base);
            uint32_t made = count_views(scene, held, count);
            if (made == VIEWS_MAX)
                fail_msg("no end of views with seed %llu", (unsigned long long)seed);
            most = made > most ? made : most;
        }
        scene_close(scene);
    }
    print_message("%u draws, %u views at most\n", drawn, most);
    assert_true(drawn > DRAWS / 4);
}

static void after_the_highest_epoch_there_is_none(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    scene->view.epoch = VIEW_EPOCH_MAX;
    opinion_of(scene, 2, 1)->state = OPINION_DOWN;
    look(scene);
    assert_false(scene->is_wanted);
    scene->view.epoch--;
    look(scene);
    assert_true(scene->is_wanted);
    scene_close(scene);
}

static void a_view_may_be_wanted_for_itself(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    wish(scene, WISH_NEXT, 2, 1);
    look(scene);
    assert_true(scene->is_wanted);
    assert_int_equal(scene->next.member_count, 3);
    scene_close(scene);
}

static void what_changes_is_said_in_words(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    char text[128], little[24];
    opinion_of(scene, 2, 1)->state = OPINION_DOWN;
    wish(scene, WISH_JOIN, 9, 1);
    look(scene);
    change_say(&scene->view, &scene->next, text, sizeof(text));
    assert_string_equal(text, "n2:1 down, n9:1 in as joiner");
    change_say(&scene->view, &scene->next, little, sizeof(little));
    assert_string_equal(little, "n2:1 down ...");
    scene_close(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_nothing_has_changed_there_is_no_next_view),
        cmocka_unit_test(suspected_members_go_down_and_come_up_again),
        cmocka_unit_test(a_superseded_generation_is_down_for_good),
        cmocka_unit_test(a_group_never_shrinks_to_its_survivors_by_itself),
        cmocka_unit_test(the_placement_comes_when_all_is_synced_as_a_whole),
        cmocka_unit_test(a_placement_does_not_come_together_with_another_change),
        cmocka_unit_test(a_restarted_member_comes_in_beside_its_lost_generation),
        cmocka_unit_test(no_view_is_made_for_joins_alone_right_after_another),
        cmocka_unit_test(who_asks_to_join_comes_in_by_a_view_that_is_made_anyway),
        cmocka_unit_test(who_asks_to_join_right_after_a_view_puts_no_placement_off),
        cmocka_unit_test(a_new_seat_of_a_member_votes_once_a_view_has_it),
        cmocka_unit_test(a_joiner_that_is_gone_or_late_goes_out),
        cmocka_unit_test(when_all_is_lost_whoever_is_there_begins_anew),
        cmocka_unit_test(a_leave_needs_a_majority_of_each_group_to_be),
        cmocka_unit_test(groups_may_become_smaller_by_leaves),
        cmocka_unit_test(a_leaver_goes_out_when_base_has_passed_it),
        cmocka_unit_test(a_leaver_stays_while_base_is_older_than_its_slots),
        cmocka_unit_test(a_stop_keeps_place_and_seat),
        cmocka_unit_test(an_operator_may_forget_who_is_down),
        cmocka_unit_test(who_is_replaced_beside_its_next_generation_is_never_merely_down),
        cmocka_unit_test(who_has_a_later_generation_in_the_view_never_comes_up_again),
        cmocka_unit_test(replaced_members_go_at_once_where_a_slot_has_no_quorum),
        cmocka_unit_test(base_rises_with_the_next_view_if_all_is_active),
        cmocka_unit_test(where_many_views_are_kept_what_is_asked_for_waits),
        cmocka_unit_test(however_many_views_are_kept_who_is_lost_does_not_stay_up),
        cmocka_unit_test(a_leave_does_not_undo_who_is_replaced_where_it_then_could_not_be),
        cmocka_unit_test(who_has_started_again_is_not_bound_by_what_it_asked_before),
        cmocka_unit_test(where_nothing_more_happens_views_come_to_an_end),
        cmocka_unit_test(after_the_highest_epoch_there_is_none),
        cmocka_unit_test(a_view_may_be_wanted_for_itself),
        cmocka_unit_test(what_changes_is_said_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
