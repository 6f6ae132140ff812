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

static void place(struct fixture *fixture, const char *members)
{
    struct view view = view_of(members);
    route_place(&fixture->route, &fixture->links, &view);
    assert_null(view.members); /* taken */
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

static void an_empty_ring_leads_nothing_again(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture);
    place(&fixture, "a:1\nb:1\n");
    place(&fixture, "");
    assert_int_equal(fixture.route.leader[0], ROUTE_NOBODY);
    assert_int_equal(fixture.route.leader[SLOT_COUNT - 1], ROUTE_NOBODY);
    assert_int_equal(fixture.route.hash, 0);
    assert_int_equal(fixture.route.changes, 2);
    close_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_there_is_a_ring_nobody_leads),
        cmocka_unit_test(every_slot_has_the_leader_that_the_ring_names),
        cmocka_unit_test(members_that_stay_keep_their_index_and_those_gone_are_let_go),
        cmocka_unit_test(an_empty_ring_leads_nothing_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
