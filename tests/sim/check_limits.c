/* Near the ends of the numbers: a slot whose versions of an epoch are used up, and a cluster whose
 * views are. Both are reached by moving what the nodes have, all at once and while all is quiet, to
 * just before the end. */
#include "common/check.h"
#include "server/core/primary.h"
#include "server/core/state.h"
#include "server/core/views.h"
#include "server/store/copy.h"
#include "server/store/slots.h"
#include "tests/sim/quiet.h"
#include "tests/sim/scene.h"
#include "tests/sim/watched.h"

#include <inttypes.h>

#define SEQ_ROUNDS   4u
#define SEQ_LEFT     40u    /* versions that a slot has left, at most */
#define SEQ_LIMIT_MS 30000u /* until every one of them is used up, and the next view is there */
#define EPOCHS_LEFT  6u
#define LAST_ROUNDS  4u
#define CALM_MS      3000u

static void pause(struct world *world, struct watched *watched)
{
    callers_pause(watched->callers);
    world_run_ms(world, CALM_MS);
    quiet_await(world, SCENE_STABLE_MS, "callers are silent");
}

/* The next versions of the slots watched are the last but a few, at all who have copies of them. */
static void skip_versions(struct world *world, struct watched *watched, uint32_t epoch)
{
    for (uint32_t i = 0; i < watched->slot_count; i++) {
        uint32_t number = watched->slots[i];
        uint64_t seq = STORE_SEQ_LAST - 1 - prng_below(&world->prng, SEQ_LEFT);
        for (uint32_t k = 0; k < world->host_count; k++) {
            struct store *store = world->hosts[k].store;
            struct slot *slot = &store->slots[number];
            if (store_copy(store, number)->act != epoch)
                continue;
            if (store_version_seq(slot->version) != 0)
                slot->version = store_version(epoch, seq);
            else
                slots_lengthen(store, slot, store_version(epoch, seq));
        }
    }
}

/* Slots use up their versions: the next view goes on with new ones. Requests wait for it, none is
 * refused and none of unknown outcome. */
void check_scene_versions(struct trial *trial)
{
    struct world *world = scene_form(trial);
    struct watched watched = watched_open(world);
    world_run_s(world, 1);
    for (uint32_t round = 0; round < SEQ_ROUNDS && !world->has_failed; round++) {
        pause(world, &watched);
        uint32_t epoch = views_epoch(node_views(world->hosts[0].node));
        skip_versions(world, &watched, epoch);
        callers_resume(watched.callers);
        uint32_t now = epoch;
        for (uint32_t ms = 0; now == epoch && ms < SEQ_LIMIT_MS && !world->has_failed; ms += 50) {
            world_run_ms(world, 50);
            now = views_epoch(node_views(world->hosts[0].node));
        }
        if (now == epoch)
            world_fail(world, "no view follows one whose versions are used up");
        world_run_s(world, 2);
        trial->counts[0] += now - epoch;
    }
    uint64_t undone = callers_total(watched.callers, LINEAR_NOT_DONE) +
                      callers_total(watched.callers, LINEAR_UNKNOWN);
    if (undone > 0)
        world_fail(world, "%" PRIu64 " requests were not carried out, and nothing has failed",
                   undone);
    quiet_await(world, SCENE_STABLE_MS, "versions were used up");
    trial->counts[1] += callers_total(watched.callers, LINEAR_DONE);
    watched_close(&watched);
}

/* --- views ------------------------------------------------------------------------------------ */

/* A node that is down comes back with its last view as the one of that number. */
static void move_state(struct host *host, uint32_t epoch)
{
    struct state state;
    const char *why;
    CHECK(state_parse(buf_span(&host->state_text), &state, &why) == ERR_OK);
    CHECK(state.view_count > 0);
    struct view *last = &state.views[state.view_count - 1];
    for (uint32_t i = 0; i + 1 < state.view_count; i++)
        view_close(&state.views[i]);
    state.views[0] = *last;
    state.view_count = 1;
    state.views[0].epoch = state.views[0].base = epoch;
    acceptor_close(&state.acceptor);
    state.acceptor = (struct acceptor){0};
    buf_consume(&host->state_text, buf_len(&host->state_text));
    state_format(&state, &host->state_text);
    state_close(&state);
}

/* All nodes end, and come back in a view shortly before the last there can be. */
static void skip_views(struct world *world, uint32_t epoch)
{
    uint32_t before = views_epoch(node_views(world->hosts[0].node));
    for (uint32_t i = 0; i < world->host_count; i++) {
        CHECK(views_epoch(node_views(world->hosts[i].node)) == before);
        world_kill(world, i);
    }
    for (uint32_t i = 0; i < world->host_count; i++) {
        struct host *host = &world->hosts[i];
        copy_unlead_all(host->store);
        for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
            if (store_copy(host->store, slot)->act == before)
                copy_advance(host->store, slot, epoch);
        move_state(host, epoch);
    }
    for (uint32_t i = 0; i < world->host_count; i++)
        world_start(world, i);
}

static uint32_t highest_epoch(const struct world *world)
{
    uint32_t highest = 0;
    for (uint32_t i = 0; i < world->host_count; i++) {
        uint32_t epoch = world->hosts[i].node ? views_epoch(node_views(world->hosts[i].node)) : 0;
        highest = epoch > highest ? epoch : highest;
    }
    return highest;
}

/* What a key's request is answered: the answer, or in words that there is none any more. */
static void ask_at_the_end(struct trial *trial, struct world *world, struct console *console)
{
    struct heard heard = console_get(console, scene_draw(world), "last");
    bool is_refused = heard.kind == HEARD_NOT_DONE;
    trial->counts[is_refused ? 2 : 1]++;
    if (!is_refused)
        scene_expect_value(world, "read in the last view", "last", &heard, "value");
}

/* A node in the last view says so, and makes no other at an operator's word either. */
static void expect_last_words(struct host *host)
{
    struct views *views = node_views(host->node);
    char why[VIEWS_WHY_BYTES_MAX];
    uint64_t number;
    if (views_epoch(views) != VIEW_EPOCH_MAX)
        return; /* only just started */
    if (!views_awaits(views, why))
        world_fail(host->world, "n%" PRIu32 " does not say that its view is the last",
                   host->number + 1);
    views_form(views, &number, host_now(host));
    if (views_asked(views, number, why) != VIEWS_REFUSED)
        world_fail(host->world, "n%" PRIu32 " would form a view after the last", host->number + 1);
}

/* The cluster comes to the last view there can be: until then it goes on, and then whatever cannot
 * is refused; nothing that was told is lost or stale, and an operator is told why. */
void check_scene_views(struct trial *trial)
{
    struct world *world = trial_begin(trial, 4);
    struct console console;
    console_init(&console, world, 0);
    for (uint32_t i = 0; i < world->host_count; i++) {
        world->hosts[i].is_durable = true;
        world_start(world, i);
    }
    world->host_options.views.on_loss = VIEWS_ON_LOSS_WAIT;
    quiet_await(world, SCENE_FORM_MS, "the cluster forms");
    struct watched watched = watched_open(world);
    struct heard heard = console_set(&console, 0, "last", "value");
    scene_expect(world, "write", "last", &heard, HEARD_STORED);
    world_run_s(world, 1);
    pause(world, &watched);
    if (!world->has_failed)
        skip_views(world, VIEW_EPOCH_MAX - EPOCHS_LEFT);
    ghost_skip(watched.ghost, VIEW_EPOCH_MAX - EPOCHS_LEFT);
    quiet_await(world, SCENE_FORM_MS, "near the last view");
    callers_resume(watched.callers);
    uint32_t left = LAST_ROUNDS;
    while (left > 0 && !world->has_failed) {
        uint32_t victim = scene_draw(world);
        left -= highest_epoch(world) == VIEW_EPOCH_MAX;
        world_kill(world, victim);
        world_run_us(world, prng_below(&world->prng, 10 * US_PER_S));
        ask_at_the_end(trial, world, &console);
        world_start(world, victim);
        world_run_us(world, prng_below(&world->prng, 10 * US_PER_S));
        trial->counts[0]++;
    }
    for (uint32_t i = 0; i < world->host_count && !world->has_failed; i++)
        expect_last_words(&world->hosts[i]);
    watched_close(&watched);
    console_close(&console);
}
