/* A cluster that grows from one node to many and shrinks to one again, and one of which many nodes
 * are stopped: what each size promises holds. tests/scenes does the same with real processes. */
#include "common/check.h"
#include "server/core/gossip.h"
#include "server/core/primary.h"
#include "server/core/views.h"
#include "tests/sim/quiet.h"
#include "tests/sim/scene.h"
#include "tests/sim/watched.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_BYTES    24u
#define TWO_KEYS     50u
#define TWO_WAIT_S   15u /* at two nodes the other is away for so long, well past recover-after */
#define MANY_KEYS    40000u
#define MANY_BYTES   500u
#define MANY_STOPPED 4u
#define MANY_WAIT_S  30u
#define ANSWER_US    (1200ull * US_PER_MS)
#define LEAVE_ASK_MS 10000u
#define JOINERS_MS   45000u /* many nodes that come at once have their copies after this */

static uint64_t cluster_of(const struct world *world, uint32_t node)
{
    return views_current(node_views(world->hosts[node].node))->cluster_id;
}

static void crash(struct world *world, uint32_t node, const char *what)
{
    if (world->has_failed)
        return;
    world_kill(world, node);
    world_run_us(world, prng_below(&world->prng, 5 * US_PER_S));
    world_start(world, node);
    quiet_await(world, JOINERS_MS, what);
}

/* At one node a crash loses all: declared once, and the same cluster goes on. */
static void crash_of_one(struct world *world, struct console *console)
{
    struct heard heard = console_set(console, 0, "alone", "x");
    scene_expect(world, "write", "alone", &heard, HEARD_STORED);
    uint64_t id = cluster_of(world, 0);
    crash(world, 0, "the only node was restarted");
    if (cluster_of(world, 0) != id)
        world_fail(world, "another cluster goes on");
    heard = console_get(console, 0, "alone");
    scene_expect(world, "read of what is lost", "alone", &heard, HEARD_END);
    uint64_t losses = node_primary(world->hosts[0].node)->loss_count;
    if (losses != SLOT_COUNT)
        world_fail(world, "%" PRIu64 " losses of %u slots are declared", losses, SLOT_COUNT);
}

/* Writes or reads the keys that two nodes keep. */
static void ask_two(struct world *world, struct console *console, bool is_write,
                    enum heard_kind wanted)
{
    char key[KEY_BYTES];
    for (uint32_t i = 0; i < TWO_KEYS && !world->has_failed; i++) {
        snprintf(key, sizeof(key), "two-%" PRIu32, i);
        uint32_t node = scene_draw(world);
        struct heard heard =
            is_write ? console_set(console, node, key, key) : console_get(console, node, key);
        if (heard.kind == HEARD_UNKNOWN && wanted == HEARD_NOT_DONE)
            heard.kind = HEARD_NOT_DONE; /* a write just as the other ends */
        scene_expect(world, is_write ? "write" : "read", key, &heard, wanted);
        if (console->took_us > ANSWER_US)
            world_fail(world, "an answer after %" PRIu64 " us", console->took_us);
    }
}

/* At two a crash refuses everything until the restarted one has synced, and loses nothing. */
static void crash_of_two(struct world *world, struct console *console)
{
    ask_two(world, console, true, HEARD_STORED);
    world_kill(world, 1);
    ask_two(world, console, false, HEARD_NOT_DONE);
    world_run_s(world, TWO_WAIT_S);
    ask_two(world, console, true, HEARD_NOT_DONE);
    world_start(world, 1);
    quiet_await(world, SCENE_STABLE_MS, "the second node was restarted");
    ask_two(world, console, false, HEARD_VALUE);
}

static void grow(struct trial *trial, struct world *world, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to && !world->has_failed; i++) {
        world_start(world, i);
        world_run_us(world, prng_below(&world->prng, US_PER_S));
        trial->counts[0]++;
    }
    quiet_await(world, JOINERS_MS, "it grows");
}

/* SIGTERM leaves as long as three remain. */
static void shrink(struct trial *trial, struct world *world, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i-- > to && !world->has_failed;) {
        scene_end(world, i);
        trial->counts[1]++;
    }
    quiet_await(world, SCENE_STABLE_MS, "it shrinks");
}

/* Of the last three a node leaves where it is told to. */
static void shrink_to_one(struct trial *trial, struct world *world, struct console *console)
{
    for (uint32_t i = 3; i-- > 1 && !world->has_failed;) {
        struct heard heard = console_ask(console, i, LEAVE_ASK_MS, "leave\r\n");
        scene_expect(world, "leave", "itself", &heard, HEARD_OK);
        scene_await_end(world, i);
        quiet_await(world, SCENE_STABLE_MS, "it shrinks below three");
        trial->counts[1]++;
    }
}

/* From one node to two, three and all, and by leaving back to three and one; peers.txt names the
 * first alone, and it is the last to be restarted. At each size one crashes and comes back. */
void check_scene_growth(struct trial *trial)
{
    uint32_t count = trial->node_count;
    trial->seed_count = 1;
    struct world *world = trial_begin(trial, 4);
    trial->seed_count = 0;
    struct console console;
    console_init(&console, world, 0);
    world_start(world, 0);
    quiet_await(world, SCENE_FORM_MS, "one node");
    crash_of_one(world, &console);
    grow(trial, world, 1, 2);
    crash_of_two(world, &console);
    grow(trial, world, 2, 3);
    struct watched watched = watched_open(world);
    world_run_s(world, 1);
    crash(world, 1, "one of three was restarted");
    grow(trial, world, 3, count);
    crash(world, count - 1, "one of all was restarted");
    crash(world, 0, "the first one was restarted");
    shrink(trial, world, count, 3);
    crash(world, 2, "one of three was restarted again");
    shrink_to_one(trial, world, &console);
    world_run_s(world, 1);
    ask_two(world, &console, false, HEARD_VALUE);
    trial->counts[2] += callers_total(watched.callers, LINEAR_DONE);
    if (ghost_counts(watched.ghost)->losses > 0)
        world_fail(world, "a loss was declared with three nodes or more");
    watched_close(&watched);
    crash_of_one(world, &console);
    console_close(&console);
}

/* What is known of the keys of a cluster of which many nodes are stopped. */
struct many {
    struct world *world;
    struct console console;
    bool is_lost[MANY_KEYS];    /* all its copies were on nodes that were stopped at once */
    bool is_changed[MANY_KEYS]; /* while some were */
    uint32_t right;
};

static void many_text(uint32_t i, bool is_changed, char key[KEY_BYTES], char *value)
{
    snprintf(key, KEY_BYTES, "many-%" PRIu32, i);
    memset(value, is_changed ? 'b' : 'a', MANY_BYTES);
    value[MANY_BYTES] = '\0';
    memcpy(value, key, strlen(key));
}

static void many_set(struct many *many, uint32_t i)
{
    char key[KEY_BYTES], value[MANY_BYTES + 1];
    many_text(i, many->is_changed[i], key, value);
    struct heard heard = console_set(&many->console, scene_draw(many->world), key, value);
    scene_expect(many->world, "write", key, &heard, HEARD_STORED);
}

/* Every key is what was written last, or it is missing, which only what is lost may be. */
static void many_read(struct many *many, const char *when)
{
    char key[KEY_BYTES], value[MANY_BYTES + 1];
    many->right = 0;
    for (uint32_t i = 0; i < MANY_KEYS && !many->world->has_failed; i++) {
        many_text(i, many->is_changed[i], key, value);
        struct heard heard = console_get(&many->console, scene_draw(many->world), key);
        if (heard.kind == HEARD_END && many->is_lost[i])
            continue;
        scene_expect_value(many->world, when, key, &heard, value);
        many->right++;
    }
}

static bool is_stopped(const struct world *world, uint32_t node)
{
    return world->hosts[node].state == HOST_STOPPED;
}

/* Every node that runs holds exactly those for alive. */
static void check_counts(struct world *world)
{
    uint32_t running = 0;
    for (uint32_t i = 0; i < world->host_count; i++)
        running += world->hosts[i].state == HOST_UP;
    for (uint32_t i = 0; i < world->host_count; i++) {
        if (world->hosts[i].state != HOST_UP)
            continue;
        uint32_t alive = node_gossip(world->hosts[i].node)->members.in_state[MEMBER_ALIVE];
        if (alive != running)
            world_fail(world, "n%" PRIu32 " counts %" PRIu32 " members of %" PRIu32, i + 1, alive,
                       running);
    }
}

/* Four nodes stop at once. Half a minute later every other one knows, and has what it must. */
static void many_stop(struct many *many)
{
    struct world *world = many->world;
    static uint32_t groups[MANY_KEYS][RING_COPIES_MAX];
    uint32_t nodes[MANY_STOPPED];
    char key[KEY_BYTES], value[MANY_BYTES + 1];
    for (uint32_t i = 0; i < MANY_KEYS; i++) {
        many_text(i, false, key, value);
        CHECK(scene_group(world, key, groups[i]) == RING_COPIES_MAX);
    }
    for (uint32_t i = 0; i < MANY_STOPPED; i++) {
        nodes[i] = scene_draw(world);
        world_stop(world, nodes[i]);
    }
    for (uint32_t i = 0; i < MANY_KEYS; i++) {
        bool is_lost = true;
        for (uint32_t k = 0; k < RING_COPIES_MAX; k++)
            is_lost &= is_stopped(world, groups[i][k]);
        many->is_lost[i] |= is_lost;
    }
    char why[QUIET_WHY_BYTES];
    world_run_s(world, MANY_WAIT_S);
    if (!world->has_failed && !quiet_holds(world, why))
        world_fail(world, "%u s after four nodes were stopped: %s", MANY_WAIT_S, why);
    check_counts(world);
}

/* Forty nodes, of which four stop every half minute, six times; then all go on. Nothing is lost but
 * what had all its copies on those that stopped together, and nothing old is read. */
void check_scene_many(struct trial *trial)
{
    struct many *many = calloc(1, sizeof(*many));
    CHECK(many != NULL);
    struct world *world = many->world = scene_form(trial);
    console_init(&many->console, world, 0);
    for (uint32_t i = 0; i < MANY_KEYS && !world->has_failed; i++)
        many_set(many, i);
    uint32_t batches = world->host_count / MANY_STOPPED * 3 / 5;
    for (uint32_t i = 0; i < batches && !world->has_failed; i++) {
        many_stop(many);
        trial->counts[0]++;
    }
    many_read(many, "read with many stopped");
    trial->counts[1] += many->right;
    for (uint32_t i = 0; i < MANY_KEYS; i += 7) {
        many->is_changed[i] = true;
        if (!world->has_failed)
            many_set(many, i);
    }
    for (uint32_t i = 0; i < world->host_count; i++)
        if (is_stopped(world, i))
            world_continue(world, i);
    quiet_await(world, JOINERS_MS, "all go on");
    many_read(many, "read with all back");
    console_close(&many->console);
    free(many);
}
