/* Copies in states that few faults lead to, each brought about step by step, under the ghost's
 * eyes: one whose sync was broken off in its midst, one whose floor is above all it shares with its
 * primary, and a newcomer whose first sync takes long while others drop tombstones. */
#include "common/check.h"
#include "server/core/primary.h"
#include "server/core/views.h"
#include "server/store/copy.h"
#include "tests/sim/ghost.h"
#include "tests/sim/history.h"
#include "tests/sim/quiet.h"
#include "tests/sim/scene.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES   24u
#define LARGE_BYTES 300000u /* more than a session sends before it is answered */
#define TINY_US     100u
#define OFF_MS      200u
#define SYNC_MS     10000u /* until a sync of a node that is back has begun */
#define GONE_MS     60000u /* nodes are off: until others have copies in their place */
#define FLOOR_MS    30000u /* tombstones are dropped after two looks, 5 s apart */
#define STEP_MS     400u
#define BURIED      32u /* so many steps last longer than it takes to drop a tombstone */
#define ROUNDS      3u

/* Where a sync takes long: by far more than a node saves up of its rate. */
#define SLOW_BYTES_S   10000u
#define VALUE_BYTES    200000u
#define NEWCOMER_SLOTS 3u
#define SLOW_MS        120000u

/* A cluster, the slots of it that are watched, and keys of these. */
struct stage {
    struct world *world;
    struct ghost *ghost;
    struct console console;
    uint32_t slots[GHOST_SLOTS_MAX];
    uint32_t slot_count;
    uint32_t number;                               /* of the next key that is made */
    char keys[GHOST_SLOTS_MAX][BURIED][KEY_BYTES]; /* of each slot: written and deleted in turn */
    uint32_t turn;
};

static void close_stage(struct stage *stage)
{
    console_close(&stage->console);
    ghost_close(stage->ghost);
}

/* A key of a slot that was not used before. */
static void make_key(struct stage *stage, uint32_t slot, char key[KEY_BYTES])
{
    do
        snprintf(key, KEY_BYTES, "copy-%" PRIu32, stage->number++);
    while (history_slot(key) != slot);
}

struct stage_options {
    uint32_t least; /* nodes that it takes */
    uint32_t later; /* of them are not started */
    bool is_durable;
    enum views_on_loss on_loss;
    uint32_t slot_count;        /* that are watched */
    uint32_t sync_rate_bytes_s; /* 0: no bound */
};

/* Returns false where there are too few nodes. */
static bool open_stage(struct stage *stage, struct trial *trial,
                       const struct stage_options *options)
{
    *stage = (struct stage){.world = trial_begin(trial, 4), .slot_count = options->slot_count};
    stage->world->host_options.views.on_loss = options->on_loss;
    stage->world->host_options.sync_rate_bytes_s = options->sync_rate_bytes_s;
    for (uint32_t i = 0; i < stage->world->host_count; i++)
        stage->world->hosts[i].is_durable = options->is_durable;
    if (stage->world->host_count < options->least) {
        world_fail(stage->world, "it takes %" PRIu32 " nodes", options->least);
        return false;
    }
    for (uint32_t i = 0; i < stage->world->host_count - options->later; i++)
        world_start(stage->world, i);
    quiet_await(stage->world, SCENE_FORM_MS, "the cluster forms");
    console_init(&stage->console, stage->world, 0);
    for (uint32_t i = 0; i < options->slot_count; i++)
        stage->slots[i] = (uint32_t)(trial->seed * 31 + i * 37) % SLOT_COUNT;
    for (uint32_t i = 0; i < options->slot_count; i++)
        for (uint32_t k = 0; k < BURIED; k++)
            make_key(stage, stage->slots[i], stage->keys[i][k]);
    stage->ghost = ghost_open(stage->world, stage->slots, options->slot_count);
    return true;
}

static char *make_value(size_t len)
{
    char *value = calloc(1, len + 1);
    CHECK(value != NULL);
    memset(value, 'x', len);
    return value;
}

static void write_key(struct stage *stage, const char *key, const char *value)
{
    struct heard heard = console_set(&stage->console, scene_draw(stage->world), key, value);
    scene_expect(stage->world, "write", key, &heard, HEARD_STORED);
}

static void expect_key(struct stage *stage, const char *key, const char *value, const char *when)
{
    struct heard heard = console_get(&stage->console, scene_draw(stage->world), key);
    scene_expect_value(stage->world, when, key, &heard, value);
}

static const struct copy *copy_at(const struct stage *stage, uint32_t node)
{
    return store_copy(stage->world->hosts[node].store, stage->slots[0]);
}

static void switch_on(struct stage *stage, uint32_t node)
{
    world_power_on(stage->world, node);
    world_start(stage->world, node);
}

/* --- one that is not clean -------------------------------------------------------------------- */

/* A primary carries out writes of which its backups hear nothing. */
static void write_alone(struct stage *stage, const uint32_t nodes[RING_COPIES_MAX],
                        char keys[2][KEY_BYTES])
{
    struct world *world = stage->world;
    char *large = make_value(LARGE_BYTES);
    world_cut(world, nodes[0], nodes[1], true);
    world_cut(world, nodes[0], nodes[2], true);
    uint64_t before = store_ver(world->hosts[nodes[0]].store, stage->slots[0]);
    for (uint32_t i = 0; i < 2; i++)
        (void)console_ask(&stage->console, nodes[0], 20, "set %s 0 0 %u\r\n%s\r\n", keys[i],
                          LARGE_BYTES, large);
    free(large);
    if (store_ver(world->hosts[nodes[0]].store, stage->slots[0]) < before + 2)
        world_fail(world, "n%" PRIu32 " has not carried out what it was told", nodes[0] + 1);
}

/* Whether a key's unanswered write has taken effect: it may, once and for all. */
static bool is_written(struct stage *stage, const char *key, const char *when)
{
    struct heard heard = console_get(&stage->console, scene_draw(stage->world), key);
    if (heard.kind == HEARD_VALUE && heard.value.len == LARGE_BYTES)
        return true;
    scene_expect_value(stage->world, when, key, &heard, "before");
    return false;
}

/* Two writes that only their primary has; it is switched off, and on again. Its sync to the last of
 * the group begins, the other does not hear of it; in the midst of that it is switched off. */
static void break_sync_off(struct stage *stage, const uint32_t nodes[RING_COPIES_MAX],
                           char keys[2][KEY_BYTES])
{
    struct world *world = stage->world;
    write_alone(stage, nodes, keys);
    world_power_off(world, nodes[0]);
    world_cut(world, nodes[0], nodes[2], false);
    world_cut(world, nodes[1], nodes[0], true);
    world_run_ms(world, OFF_MS);
    switch_on(stage, nodes[0]);
    uint64_t until_us = world->clock.now_us + SYNC_MS * US_PER_MS;
    while (copy_at(stage, nodes[2])->is_clean && world->clock.now_us < until_us &&
           !world->has_failed)
        world_run_us(world, TINY_US);
    if (copy_at(stage, nodes[2])->is_clean)
        world_fail(world, "no sync to n%" PRIu32 " was broken off", nodes[2] + 1);
    world_power_off(world, nodes[0]);
    world_cut(world, nodes[0], nodes[1], false);
    world_cut(world, nodes[1], nodes[0], false);
}

/* The second of the group leads, of the same act and ver as the last, and clean: the last has no
 * use for that. */
static void lead_after_break(struct stage *stage)
{
    struct world *world = stage->world;
    uint32_t nodes[RING_COPIES_MAX];
    char keys[2][KEY_BYTES];
    bool is_shown[2];
    for (uint32_t i = 0; i < 2; i++) {
        make_key(stage, stage->slots[0], keys[i]);
        write_key(stage, keys[i], "before");
    }
    quiet_await(world, SCENE_STABLE_MS, "all is well");
    scene_group(world, keys[0], nodes);
    break_sync_off(stage, nodes, keys);
    quiet_await(world, GONE_MS, "a sync was broken off");
    for (uint32_t i = 0; i < 2; i++)
        is_shown[i] = is_written(stage, keys[i], "read of what was to be synced");
    switch_on(stage, nodes[0]);
    quiet_await(world, SCENE_STABLE_MS + world->host_options.timers.damp_ms, "it is back");
    for (uint32_t i = 0; i < 2 && !world->has_failed; i++)
        if (is_written(stage, keys[i], "read with all back") != is_shown[i])
            world_fail(world, "%s is another with all back than it was shown before", keys[i]);
}

void check_scene_soiled(struct trial *trial)
{
    struct stage stage;
    const struct stage_options options = {
        .least = 6, .is_durable = true, .on_loss = VIEWS_ON_LOSS_WAIT, .slot_count = 1};
    if (!open_stage(&stage, trial, &options))
        return;
    for (uint32_t round = 0; round < ROUNDS && !stage.world->has_failed; round++) {
        lead_after_break(&stage);
        trial->counts[0]++;
    }
    close_stage(&stage);
}

/* --- one whose floor is above what is shared -------------------------------------------------- */

static void make_tombstones(struct stage *stage)
{
    for (uint32_t i = 0; i < stage->slot_count; i++) {
        const char *key = stage->keys[i][stage->turn % BURIED];
        write_key(stage, key, "value");
        struct heard heard = console_ask(&stage->console, scene_draw(stage->world),
                                         CONSOLE_LIMIT_MS, "delete %s\r\n", key);
        scene_expect(stage->world, "delete", key, &heard, HEARD_DELETED);
    }
    stage->turn++;
}

static void raise_floors(struct stage *stage, const uint32_t nodes[RING_COPIES_MAX], uint64_t above)
{
    struct world *world = stage->world;
    uint64_t until_us = world->clock.now_us + FLOOR_MS * US_PER_MS;
    bool is_raised = false;
    while (!is_raised && world->clock.now_us < until_us && !world->has_failed) {
        make_tombstones(stage);
        world_run_ms(world, STEP_MS);
        is_raised = true;
        for (uint32_t i = 0; i < RING_COPIES_MAX; i++)
            is_raised &= copy_at(stage, nodes[i])->floor > above;
    }
    if (!is_raised)
        world_fail(world, "no tombstones were dropped in %u s", FLOOR_MS / 1000);
}

/* A copy is away while the others' floors pass all it has. nodes: out, the group without it.
 * Returns who it is. */
static uint32_t leave_behind(struct stage *stage, const char *key, uint64_t seed,
                             uint32_t nodes[RING_COPIES_MAX])
{
    struct world *world = stage->world;
    write_key(stage, key, "old");
    quiet_await(world, SCENE_STABLE_MS, "all is well");
    scene_group(world, key, nodes);
    uint32_t stale = nodes[seed % RING_COPIES_MAX];
    world_power_off(world, stale);
    quiet_await(world, GONE_MS, "a copy is away");
    scene_group(world, key, nodes);
    write_key(stage, key, "new");
    raise_floors(stage, nodes, store_ver(world->hosts[stale].store, stage->slots[0]));
    return stale;
}

/* All newer copies go, the one left behind comes, and what it has is all there is: the loss is
 * declared. Then they come back. */
void check_scene_stale(struct trial *trial)
{
    struct stage stage;
    uint32_t nodes[RING_COPIES_MAX];
    char key[KEY_BYTES];
    const struct stage_options options = {
        .least = 8, .is_durable = true, .on_loss = VIEWS_ON_LOSS_RECOVER, .slot_count = 1};
    if (!open_stage(&stage, trial, &options))
        return;
    struct world *world = stage.world;
    make_key(&stage, stage.slots[0], key);
    uint32_t stale = leave_behind(&stage, key, trial->seed, nodes);
    uint64_t shared = store_ver(world->hosts[stale].store, stage.slots[0]);
    for (uint32_t i = 0; i < RING_COPIES_MAX; i++)
        world_power_off(world, nodes[i]);
    switch_on(&stage, stale);
    quiet_await(world, GONE_MS, "all newer copies are off");
    expect_key(&stage, key, "old", "read of what is left");
    trial->counts[0] += ghost_counts(stage.ghost)->losses;
    for (uint32_t i = 0; i < RING_COPIES_MAX; i++) {
        trial->counts[1] += copy_at(&stage, nodes[i])->floor > shared;
        switch_on(&stage, nodes[i]);
    }
    quiet_await(world, GONE_MS, "they are back");
    expect_key(&stage, key, "old", "read with all back");
    close_stage(&stage);
}

/* --- a newcomer's first sync ------------------------------------------------------------------ */

/* Whether it has begun to take a copy, and not ended. */
static bool is_in_sync(const struct stage *stage, uint32_t node)
{
    const struct host *host = &stage->world->hosts[node];
    bool is_any = false;
    for (uint32_t i = 0; i < stage->slot_count && host->node; i++)
        is_any |= sync_is_received(node_sync(host->node), stage->slots[i]) &&
                  !sync_is_received_synced(node_sync(host->node), stage->slots[i]);
    return is_any;
}

/* A node joins; what it takes takes long, and others delete meanwhile. */
static void come_slowly(struct stage *stage, struct trial *trial, uint32_t node)
{
    struct world *world = stage->world;
    uint64_t floors = ghost_counts(stage->ghost)->floors;
    world_start(world, node);
    uint64_t until_us = world->clock.now_us + SYNC_MS * US_PER_MS;
    while (!is_in_sync(stage, node) && world->clock.now_us < until_us && !world->has_failed)
        world_run_ms(world, 1);
    until_us = world->clock.now_us + SLOW_MS * US_PER_MS;
    uint64_t begun_us = world->clock.now_us;
    while (is_in_sync(stage, node) && world->clock.now_us < until_us && !world->has_failed) {
        make_tombstones(stage);
        world_run_ms(world, STEP_MS);
    }
    trial->counts[0]++;
    trial->counts[1] += (world->clock.now_us - begun_us) / US_PER_S;
    quiet_await(world, SLOW_MS, "one has come");
    trial->counts[2] += ghost_counts(stage->ghost)->floors - floors;
}

void check_scene_newcomer(struct trial *trial)
{
    struct stage stage;
    char key[KEY_BYTES];
    const struct stage_options options = {.least = ROUNDS + RING_COPIES_MAX,
                                          .later = ROUNDS,
                                          .on_loss = VIEWS_ON_LOSS_WAIT,
                                          .slot_count = NEWCOMER_SLOTS,
                                          .sync_rate_bytes_s = SLOW_BYTES_S};
    if (!open_stage(&stage, trial, &options))
        return;
    char *value = make_value(VALUE_BYTES);
    for (uint32_t i = 0; i < NEWCOMER_SLOTS; i++) {
        make_key(&stage, stage.slots[i], key);
        write_key(&stage, key, value);
    }
    free(value);
    for (uint32_t round = 0; round < ROUNDS && !stage.world->has_failed; round++)
        come_slowly(&stage, trial, stage.world->host_count - ROUNDS + round);
    close_stage(&stage);
}
