/* Route: one access finds the leader, and members are held while they stand in it. */
#include "server/core/route.h"

#include "common/check.h"
#include "common/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct env env; /* nothing of it is called */
    struct log log;
    struct stats stats;
    struct links links;
    struct route route;
};

static void open_fixture(struct fixture *fixture)
{
    *fixture = (struct fixture){0};
    const struct links_identity identity = {.name = "b:1", .cluster = "dht", .gossip = "random"};
    links_init(&fixture->links, &identity, 1000, &fixture->env, &fixture->log, &fixture->stats);
    route_init(&fixture->route);
}

static void close_fixture(struct fixture *fixture)
{
    route_close(&fixture->route, &fixture->links);
    links_sweep(&fixture->links, (struct moment){0});
    assert_int_equal(fixture->links.peer_count, 1); /* this node */
    links_close(&fixture->links);
}

static struct view view_of(const char *members)
{
    struct view view;
    struct peers_error error;
    assert_int_equal(peers_parse(span_of_string(members), &view, &error), ERR_OK);
    return view;
}

static void place_view(struct fixture *fixture, const struct view *view, bool may_lead)
{
    struct ring *ring = malloc(sizeof(*ring));
    CHECK(ring != NULL);
    ring_place(view, ring);
    route_place(&fixture->route, &fixture->links, view, ring, may_lead);
    free(ring);
}

static void place(struct fixture *fixture, const char *members)
{
    struct view view = view_of(members);
    place_view(fixture, &view, true);
    view_close(&view);
}

static void before_there_is_a_ring_nobody_leads(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        assert_int_equal(fixture.route.leader[slot], ROUTE_NOBODY);
    assert_int_equal(fixture.route.changes, 0);
    close_fixture(&fixture);
}

static void every_slot_has_the_leader_that_the_ring_names(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture);
    struct view view = view_of("a:1\nb:1\nc:1\nd:1\n");
    struct ring *ring = malloc(sizeof(*ring));
    CHECK(ring != NULL);
    ring_place(&view, ring);
    place(&fixture, "a:1\nb:1\nc:1\nd:1\n");
    uint32_t own = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        uint64_t position = (uint64_t)slot << (64 - SLOT_BITS) | 0x1234;
        uint32_t leader = route_leader(&fixture.route, position);
        assert_string_equal(links_name(&fixture.links, leader),
                            view.members[ring->primary[slot]].name);
        own += leader == PEER_SELF;
    }
    assert_in_range(own, SLOT_COUNT / 5, SLOT_COUNT / 3);
    assert_true(fixture.route.hash == ring_hash(&view));
    assert_int_equal(fixture.route.changes, 1);
    free(ring);
    view_close(&view);
    close_fixture(&fixture);
}

static void members_that_stay_keep_their_index_and_those_gone_are_let_go(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture);
    place(&fixture, "a:1\nb:1\nc:1\n");
    uint32_t a = links_find_peer(&fixture.links, SPAN_LITERAL("a:1"));
    place(&fixture, "a:1\nb:1\nd:1\n");
    links_sweep(&fixture.links, (struct moment){0});
    assert_int_equal(links_find_peer(&fixture.links, SPAN_LITERAL("a:1")), a);
    assert_int_equal(links_find_peer(&fixture.links, SPAN_LITERAL("c:1")), PEER_NONE);
    assert_int_not_equal(links_find_peer(&fixture.links, SPAN_LITERAL("d:1")), PEER_NONE);
    assert_int_equal(fixture.route.changes, 2);
    close_fixture(&fixture);
}

static uint32_t count_led(const struct route *route, uint32_t leader)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        count += route->leader[slot] == leader;
    return count;
}

/* Another generation of its name, or a view from before its restart. */
static void what_this_node_may_not_lead_nobody_leads(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture);
    struct view view = view_of("a:1\nb:1\nc:1\n");
    place_view(&fixture, &view, true);
    uint32_t own = count_led(&fixture.route, PEER_SELF);
    assert_true(own > 0);
    place_view(&fixture, &view, false);
    assert_int_equal(count_led(&fixture.route, ROUTE_NOBODY), own);
    assert_int_equal(count_led(&fixture.route, PEER_SELF), 0);
    view.members[1].generation = 5;
    place_view(&fixture, &view, true);
    assert_int_equal(count_led(&fixture.route, ROUTE_NOBODY), own);
    view_close(&view);
    close_fixture(&fixture);
}

/* Members that are not full are none of the ring's; its indices are its own. */
static void only_full_members_are_kept(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture);
    struct view view = view_of("a:1\nb:1\nc:1\n"), rest = view_of("b:1\nc:1\n");
    view.members[0].role = ROLE_JOINER;
    view.epoch = 7;
    place_view(&fixture, &view, true);
    assert_int_equal(fixture.route.view.member_count, 2);
    assert_int_equal(fixture.route.view.epoch, 7);
    assert_true(fixture.route.hash == ring_hash(&rest));
    assert_int_equal(
        count_led(&fixture.route, PEER_SELF) +
            count_led(&fixture.route, links_find_peer(&fixture.links, SPAN_LITERAL("c:1"))),
        SLOT_COUNT);
    view_close(&view);
    view_close(&rest);
    close_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_there_is_a_ring_nobody_leads),
        cmocka_unit_test(every_slot_has_the_leader_that_the_ring_names),
        cmocka_unit_test(members_that_stay_keep_their_index_and_those_gone_are_let_go),
        cmocka_unit_test(what_this_node_may_not_lead_nobody_leads),
        cmocka_unit_test(only_full_members_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
