/* What a node drops is judged by the view in which it drops it, and a loss that it declares counts
 * from that view on, also where it adopts the next one in the same turn. */
#include "tests/sim/ghost.h"

#include "common/message.h"
#include "common/record.h"
#include "server/core/primary.h"
#include "server/core/views.h"
#include "server/store/copy.h"
#include "tests/sim/quiet.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NODES   4u
#define KILLED  3u
#define FORM_MS 20000u

/* A cluster of which one copy of a slot is left where the group lacks it. */
struct play {
    struct world *world;
    struct ghost *ghost;
    struct host *holder;
    uint32_t slot;
};

static struct host *host_at(const struct play *play, const struct view *view, uint32_t member)
{
    for (uint32_t i = 0; i < NODES; i++)
        if (strcmp(play->world->hosts[i].name, view->members[member].name) == 0)
            return &play->world->hosts[i];
    return NULL;
}

/* Whether the one that is to be killed backs the slot: another leads it, and a last one lacks it.
 */
static bool is_fit(struct play *play)
{
    struct views *views = node_views(play->world->hosts[0].node);
    const struct view *view = views_current(views);
    const struct ring *ring = views_ring(views, view->epoch);
    bool has_killed = false;
    uint32_t lacking = (NODES - 1) * NODES / 2;
    for (uint32_t i = 0; i < ring->group_size; i++) {
        const struct host *host = host_at(play, view, ring->group[play->slot][i]);
        has_killed |= i > 0 && host->number == KILLED;
        lacking -= host->number;
    }
    play->holder = &play->world->hosts[lacking];
    return has_killed;
}

static void look(const struct play *play)
{
    play->world->after_turn(play->world->watcher, play->holder);
}

/* Every slot is active in the view that all have. */
static void begin(struct play *play)
{
    const struct world_options options = {.seed = 7, .node_count = NODES, .delay_us = 200};
    char why[QUIET_WHY_BYTES];
    *play = (struct play){.world = world_open(&options)};
    world_start_all(play->world);
    assert_true(quiet_wait(play->world, FORM_MS, why) <= FORM_MS);
    while (!is_fit(play))
        play->slot++;
    world_close(play->world);

    /* Once more, seen from the first view on. */
    play->world = world_open(&options);
    play->ghost = ghost_open(play->world, &play->slot, 1);
    world_start_all(play->world);
    assert_true(quiet_wait(play->world, FORM_MS, why) <= FORM_MS);
    assert_true(is_fit(play));
    const uint64_t none = 0;
    copy_end(play->holder->store, play->slot, &none, 0, 1, true, 0);
    look(play);
    assert_false(play->world->has_failed);
}

static uint32_t epoch_of(const struct play *play)
{
    return views_epoch(node_views(play->holder->node));
}

/* One long turn: the ghost looks again only at its end. */
static void adopt_the_next_view(struct play *play)
{
    uint32_t epoch = epoch_of(play);
    void (*after_turn)(void *watcher, struct host *host) = play->world->after_turn;
    play->world->after_turn = NULL;
    world_kill(play->world, KILLED);
    while (epoch_of(play) == epoch)
        world_run_us(play->world, 100);
    play->world->after_turn = after_turn;
}

static void end(struct play *play)
{
    ghost_close(play->ghost);
    world_close(play->world);
}

static void what_is_dropped_before_the_next_view_may_be_active_in_the_old_one_alone(void **state)
{
    (void)state;
    struct play play;
    begin(&play);
    copy_empty(play.holder->store, play.slot);
    adopt_the_next_view(&play);
    look(&play);
    assert_string_equal(play.world->failure, "");
    end(&play);
}

static void what_is_dropped_after_it_must_be_active_in_that(void **state)
{
    (void)state;
    struct play play;
    begin(&play);
    adopt_the_next_view(&play);
    copy_empty(play.holder->store, play.slot);
    look(&play);
    assert_true(play.world->has_failed);
    end(&play);
}

/* Callers were told of a write that no copy has, and the primary goes on; with a loss, in a long
 * turn in which it adopts the next view. Returns how many losses were seen. */
static uint64_t go_on(struct play *play, bool is_loss)
{
    const uint64_t version = 5; /* of a lower epoch than any */
    begin(play);
    struct views *views = node_views(play->holder->node);
    const struct view *view = views_current(views);
    play->holder = host_at(play, view, views_ring(views, view->epoch)->primary[play->slot]);
    ghost_told(play->ghost, play->slot, SPAN_LITERAL("key"), version);
    const struct primary *primary = node_primary(play->holder->node);
    /* As if it had not needed a quorum: the ghost asks for no more. */
    ((struct run *)(uintptr_t)primary_run(primary, play->slot))->is_loss = is_loss;
    adopt_the_next_view(play);
    look(play);
    return ghost_counts(play->ghost)->losses;
}

static void a_loss_declared_before_the_next_view_counts(void **state)
{
    (void)state;
    struct play play;
    assert_int_equal(go_on(&play, true), 1);
    assert_string_equal(play.world->failure, "");
    end(&play);
}

static void what_was_told_is_missed_where_no_loss_was_declared(void **state)
{
    (void)state;
    struct play play;
    assert_int_equal(go_on(&play, false), 0);
    assert_non_null(strstr(play.world->failure, "invariant 4"));
    end(&play);
}

/* A node is seen to send one record. */
static void send_record(struct play *play, const struct host *from, const struct record *record)
{
    struct buf records = {0};
    struct reply out = {0};
    record_append(&records, record);
    const struct message message = {
        .kind = MESSAGE_STREAM, .STREAM = {.epoch = epoch_of(play)}, .body = buf_span(&records)};
    message_append(&out, &message);
    play->world->frames_sent(play->world->watcher, (struct host *)from, buf_span(&out.bytes),
                             false);
    buf_close(&out.bytes);
    buf_close(&records);
}

/* Invariant 5: of the act and ver that the primary has named. */
static void only_the_copy_that_was_chosen_may_be_pulled(void **state)
{
    (void)state;
    struct play play;
    begin(&play);
    const struct host *primary = &play.world->hosts[0], *chosen = &play.world->hosts[1];
    struct record pull = {.kind = RECORD_PULL, .PULL = {.slot = 1, .sid = 5, .act = 3, .ver = 9}};
    struct record offer = {.kind = RECORD_OFFER,
                           .OFFER = {.slot = 1, .sid = 5, .is_pulled = true, .act = 3, .ver = 9}};
    send_record(&play, primary, &pull);
    send_record(&play, chosen, &offer);
    assert_string_equal(play.world->failure, "");
    assert_int_equal(ghost_counts(play.ghost)->pulls, 1);
    offer.OFFER.ver = 8;
    send_record(&play, chosen, &offer);
    assert_true(play.world->has_failed);
    end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_copy_that_was_chosen_may_be_pulled),
        cmocka_unit_test(what_is_dropped_before_the_next_view_may_be_active_in_the_old_one_alone),
        cmocka_unit_test(what_is_dropped_after_it_must_be_active_in_that),
        cmocka_unit_test(a_loss_declared_before_the_next_view_counts),
        cmocka_unit_test(what_was_told_is_missed_where_no_loss_was_declared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
