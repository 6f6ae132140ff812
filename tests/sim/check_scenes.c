/* What a user does and sees, told step by step: issue by issue what must hold of ten nodes, in
 * virtual time. tests/scenes does the same with real processes. */
#include "common/check.h"
#include "common/digest.h"
#include "server/core/views.h"
#include "tests/sim/callers.h"
#include "tests/sim/checks.h"
#include "tests/sim/console.h"
#include "tests/sim/names.h"
#include "tests/sim/quiet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CREATES   100u
#define READABLE  1000u
#define COUNTERS  200u
#define FORM_MS   20000u
#define STABLE_MS 15000u /* after any single change all have their copies again within this */
#define AGAIN_MS  10000u /* with two of three copies killed: keys can be written again */
#define ANSWER_US (1200ull * US_PER_MS)
#define STOP_S    3u
#define KEY_BYTES 24u

static struct world *form(struct trial *trial)
{
    struct world *world = trial_begin(trial, 4);
    world_start_all(world);
    quiet_await(world, FORM_MS, "the cluster forms");
    return world;
}

static uint32_t draw_node(struct world *world)
{
    uint32_t node;
    do
        node = (uint32_t)prng_below(&world->prng, world->host_count);
    while (world->hosts[node].state != HOST_UP);
    return node;
}

static uint32_t slot_of(const char *key)
{
    struct digest digest;
    digest_of(span_of_string(key), &digest);
    return position_slot(digest_position(&digest));
}

/* The nodes of a key's group, its primary first, by the view of a node that runs. Returns how many.
 */
static uint32_t group_of(struct world *world, const char *key, uint32_t nodes[RING_COPIES_MAX])
{
    struct views *views = node_views(world->hosts[draw_node(world)].node);
    const struct view *view = views_current(views);
    const struct ring *ring = views_ring(views, view->epoch);
    uint32_t slot = slot_of(key), count = 1;
    for (uint32_t i = 0; i < ring->group_size; i++) {
        uint16_t member = ring->group[slot][i];
        uint32_t place = member == ring->primary[slot] ? 0 : count++;
        CHECK(name_find(span_of_string(view->members[member].name), &nodes[place]) > 0);
    }
    return count;
}

static void expect(struct world *world, const char *what, const char *key,
                   const struct heard *heard, enum heard_kind wanted)
{
    if (heard->kind != wanted)
        world_fail(world, "%s of %s is answered by kind %d, not %d", what, key, heard->kind,
                   wanted);
}

static void expect_value(struct world *world, const char *what, const char *key,
                         const struct heard *heard, const char *value)
{
    expect(world, what, key, heard, HEARD_VALUE);
    if (heard->kind == HEARD_VALUE && !span_equal(heard->value, span_of_string(value)))
        world_fail(world, "%s of %s shows another value", what, key);
}

/* Creates through random nodes: three copies each; create says so where there is one, update and
 * delete where there is none; an empty value is a value. */
void check_scene_creates(struct trial *trial)
{
    struct world *world = form(trial);
    struct console console;
    char key[KEY_BYTES], value[KEY_BYTES];
    console_init(&console, world, 0);
    for (uint32_t i = 0; i < CREATES && !world->has_failed; i++) {
        snprintf(key, sizeof(key), "create-%" PRIu32, i);
        snprintf(value, sizeof(value), i % 10 == 0 ? "" : "value-%" PRIu32, i);
        struct heard heard = console_ask(&console, draw_node(world), CONSOLE_LIMIT_MS,
                                         "add %s 0 0 %zu\r\n%s\r\n", key, strlen(value), value);
        expect(world, "create", key, &heard, HEARD_STORED);
        heard = console_ask(&console, draw_node(world), CONSOLE_LIMIT_MS,
                            "add %s 0 0 5\r\nother\r\n", key);
        expect(world, "create again", key, &heard, HEARD_NOT_STORED);
        heard = console_get(&console, draw_node(world), key);
        expect_value(world, "read", key, &heard, value);
        heard = console_ask(&console, draw_node(world), CONSOLE_LIMIT_MS,
                            "replace no-%s 0 0 1\r\nx\r\n", key);
        expect(world, "update of nothing", key, &heard, HEARD_NOT_STORED);
        heard = console_ask(&console, draw_node(world), CONSOLE_LIMIT_MS, "delete no-%s\r\n", key);
        expect(world, "delete of nothing", key, &heard, HEARD_NOT_FOUND);
        trial->counts[0]++;
    }
    quiet_await(world, STABLE_MS, "each key is on exactly three copies");
    console_close(&console);
}

/* One copy is dead: the two others do. Two are dead: nothing succeeds while nobody knows,
 * everything is answered in time, and within 10 s it succeeds again. */
void check_scene_dead_copies(struct trial *trial)
{
    struct world *world = form(trial);
    struct console console;
    uint32_t nodes[RING_COPIES_MAX];
    console_init(&console, world, 0);
    struct heard heard = console_set(&console, 0, "dead", "before");
    expect(world, "write", "dead", &heard, HEARD_STORED);
    group_of(world, "dead", nodes);
    uint32_t victim = nodes[1 + prng_below(&world->prng, 2)];
    world_kill(world, victim);
    heard = console_get(&console, draw_node(world), "dead");
    expect_value(world, "read with one copy dead", "dead", &heard, "before");
    heard = console_set(&console, draw_node(world), "dead", "during");
    expect(world, "write with one copy dead", "dead", &heard, HEARD_STORED);
    world_start(world, victim);
    quiet_await(world, STABLE_MS, "one copy was killed");
    group_of(world, "dead", nodes);
    world_kill(world, nodes[0]);
    world_kill(world, nodes[2]);
    heard = console_set(&console, draw_node(world), "dead", "after");
    if (heard.kind == HEARD_STORED || heard.kind == HEARD_MORE || console.took_us > ANSWER_US)
        world_fail(world, "a write with two copies dead: kind %d after %" PRIu64 " us", heard.kind,
                   console.took_us);
    trial->counts[1] += console.took_us / 1000;
    uint64_t begun_us = world->clock.now_us;
    while (heard.kind != HEARD_STORED && !world->has_failed) {
        if (world->clock.now_us > begun_us + AGAIN_MS * US_PER_MS)
            world_fail(world, "no write succeeds 10 s after two copies were killed");
        heard = console_set(&console, draw_node(world), "dead", "after");
        world_run_ms(world, 50);
    }
    trial->counts[0]++;
    console_close(&console);
}

static void fill(struct world *world, struct console *console)
{
    char key[KEY_BYTES];
    for (uint32_t i = 0; i < READABLE && !world->has_failed; i++) {
        snprintf(key, sizeof(key), "key-%" PRIu32, i);
        struct heard heard = console_set(console, draw_node(world), key, key);
        expect(world, "write", key, &heard, HEARD_STORED);
    }
}

/* All are there, but for those whose copies were all lost: counted. */
static void read_all(struct world *world, struct console *console, const char *when)
{
    char key[KEY_BYTES];
    for (uint32_t i = 0; i < READABLE && !world->has_failed; i++) {
        snprintf(key, sizeof(key), "key-%" PRIu32, i);
        struct heard heard = console_get(console, draw_node(world), key);
        expect_value(world, when, key, &heard, key);
    }
}

/* Any two neighbours killed at once: after stabilization all keys are there. */
void check_scene_neighbours(struct trial *trial)
{
    struct world *world = form(trial);
    struct console console;
    console_init(&console, world, 0);
    fill(world, &console);
    for (uint32_t i = 0; i < world->host_count && !world->has_failed; i++) {
        uint32_t nodes[RING_COPIES_MAX];
        char key[KEY_BYTES];
        snprintf(key, sizeof(key), "key-%" PRIu32, (uint32_t)prng_below(&world->prng, READABLE));
        group_of(world, key, nodes);
        world_kill(world, nodes[0]);
        world_kill(world, nodes[1]);
        quiet_await(world, STABLE_MS + AGAIN_MS, "two neighbours were killed");
        read_all(world, &console, "read after two neighbours were killed");
        world_start(world, nodes[0]);
        world_start(world, nodes[1]);
        quiet_await(world, STABLE_MS, "they are back");
        trial->counts[0]++;
    }
    console_close(&console);
}

/* A delete while one copy is stopped: it stays deleted when that one goes on. */
void check_scene_deleted(struct trial *trial)
{
    struct world *world = form(trial);
    struct console console;
    uint32_t nodes[RING_COPIES_MAX];
    console_init(&console, world, 0);
    for (uint32_t round = 0; round < 3 && !world->has_failed; round++) {
        struct heard heard = console_set(&console, draw_node(world), "gone", "value");
        expect(world, "write", "gone", &heard, HEARD_STORED);
        group_of(world, "gone", nodes);
        uint32_t stopped = nodes[prng_below(&world->prng, RING_COPIES_MAX)];
        world_stop(world, stopped);
        uint64_t until_us = world->clock.now_us + 5 * US_PER_S;
        do {
            heard = console_ask(&console, draw_node(world), CONSOLE_LIMIT_MS, "delete gone\r\n");
        } while (heard.kind != HEARD_DELETED && heard.kind != HEARD_NOT_FOUND &&
                 world->clock.now_us < until_us && !world->has_failed);
        if (heard.kind != HEARD_DELETED && heard.kind != HEARD_NOT_FOUND)
            world_fail(world, "no delete in 5 s while one copy is stopped");
        world_run_s(world, 5 + prng_below(&world->prng, 20));
        world_continue(world, stopped);
        for (uint32_t i = 0; i < 40 && !world->has_failed; i++) {
            world_run_ms(world, 50);
            heard = console_get(&console, draw_node(world), "gone");
            if (heard.kind == HEARD_VALUE)
                world_fail(world, "a deleted key comes back");
        }
        quiet_await(world, STABLE_MS, "the stopped one goes on");
        trial->counts[0]++;
    }
    console_close(&console);
}

/* A process stopped for 3 s costs two views at most. */
void check_scene_stop(struct trial *trial)
{
    struct world *world = form(trial);
    uint32_t node = draw_node(world);
    uint32_t other = (node + 1) % world->host_count;
    uint32_t before = views_epoch(node_views(world->hosts[other].node));
    world_stop(world, node);
    world_run_s(world, STOP_S);
    world_continue(world, node);
    quiet_await(world, STABLE_MS, "a node was stopped for 3 s");
    world_run_s(world, 10);
    uint32_t views = views_epoch(node_views(world->hosts[other].node)) - before;
    if (views > 2)
        world_fail(world, "a stop of 3 s has cost %" PRIu32 " views", views);
    trial->counts[0]++;
    trial->counts[1] += views;
}

/* A cluster grows from one node to all, and back to three, under load; after each step all copies
 * are where they belong, and nothing is lost. */
void check_scene_growth(struct trial *trial)
{
    const struct callers_options options = {.count = 4,
                                            .key_count = 8,
                                            .slot_count = 8,
                                            .think_ms = 100,
                                            .ids_of_10 = 5,
                                            .is_simple = true};
    const struct linear_options calm = {.early_us = US_PER_S, .late_us = 5 * US_PER_S};
    trial->seed_count = 1;
    struct world *world = trial_begin(trial, 4);
    trial->seed_count = 0;
    world_start(world, 0);
    quiet_await(world, FORM_MS, "one node");
    struct callers *callers = callers_open(world, &options);
    for (uint32_t i = 1; i < world->host_count && !world->has_failed; i++) {
        world_start(world, i);
        quiet_await(world, STABLE_MS, "it grows");
        world_run_s(world, 2);
        trial->counts[0]++;
    }
    for (uint32_t i = world->host_count; i-- > 3 && !world->has_failed;) {
        world_leave(world, i);
        for (uint32_t ms = 0; world->hosts[i].state != HOST_DOWN && ms < 30000; ms += 50)
            world_run_ms(world, 50);
        if (world->hosts[i].state != HOST_DOWN)
            world_fail(world, "n%" PRIu32 " has not left in 30 s", i + 1);
        quiet_await(world, STABLE_MS, "it shrinks");
        trial->counts[1]++;
    }
    callers_give_up(callers);
    history_judge(&callers->history, world, &calm);
    trial->counts[2] += callers_total(callers, LINEAR_DONE);
    callers_close(callers);
}

/* All nodes are restarted, one after another, under load: nothing is lost, hardly anything refused,
 * and what is refused works at the next try. */
void check_scene_rolling(struct trial *trial)
{
    const struct callers_options options = {.count = 6,
                                            .key_count = 8,
                                            .slot_count = 8,
                                            .think_ms = 50,
                                            .ids_of_10 = 5,
                                            .is_simple = true};
    const struct linear_options calm = {.early_us = US_PER_S, .late_us = 5 * US_PER_S};
    struct world *world = form(trial);
    struct callers *callers = callers_open(world, &options);
    world_run_s(world, 2);
    for (uint32_t i = 0; i < world->host_count && !world->has_failed; i++) {
        world_leave(world, i);
        for (uint32_t ms = 0; world->hosts[i].state != HOST_DOWN && ms < 30000; ms += 50)
            world_run_ms(world, 50);
        if (world->hosts[i].state != HOST_DOWN)
            world_fail(world, "n%" PRIu32 " has not stopped in 30 s", i + 1);
        world_start(world, i);
        quiet_await(world, STABLE_MS, "one node was restarted");
        world_run_s(world, 1);
        trial->counts[0]++;
    }
    callers_give_up(callers);
    history_judge(&callers->history, world, &calm);
    uint64_t done = callers_total(callers, LINEAR_DONE) + callers_total(callers, LINEAR_ABSENT) +
                    callers_total(callers, LINEAR_PRESENT);
    uint64_t refused = callers_total(callers, LINEAR_NOT_DONE);
    if (refused * 1000 > done)
        world_fail(world, "%" PRIu64 " of %" PRIu64 " requests were refused", refused, done);
    trial->counts[1] += done;
    callers_close(callers);
}

/* Counters incremented through random nodes while nodes come and go: none is ever below what was
 * told to have succeeded, nor above that and what is not known. */
void check_scene_counters(struct trial *trial)
{
    struct world *world = form(trial);
    struct console console;
    uint32_t done[COUNTERS] = {0}, unknown[COUNTERS] = {0};
    char key[KEY_BYTES];
    console_init(&console, world, 0);
    for (uint32_t i = 0; i < COUNTERS && !world->has_failed; i++) {
        snprintf(key, sizeof(key), "counter-%" PRIu32, i);
        struct heard heard = console_set(&console, draw_node(world), key, "0");
        expect(world, "write", key, &heard, HEARD_STORED);
    }
    for (uint32_t round = 0; round < 4 && !world->has_failed; round++) {
        uint32_t victim = draw_node(world);
        for (uint32_t i = 0; i < COUNTERS * 3 && !world->has_failed; i++) {
            uint32_t number = (uint32_t)prng_below(&world->prng, COUNTERS);
            if (i == COUNTERS)
                world_kill(world, victim);
            if (i == COUNTERS * 2)
                world_start(world, victim);
            snprintf(key, sizeof(key), "counter-%" PRIu32, number);
            struct heard heard =
                console_ask(&console, draw_node(world), CONSOLE_LIMIT_MS, "incr %s 1\r\n", key);
            done[number] += heard.kind == HEARD_NUMBER;
            unknown[number] += heard.kind != HEARD_NUMBER && heard.kind != HEARD_NOT_DONE;
            trial->counts[0] += heard.kind == HEARD_NUMBER;
        }
        quiet_await(world, STABLE_MS, "a node has come and gone");
    }
    for (uint32_t i = 0; i < COUNTERS && !world->has_failed; i++) {
        snprintf(key, sizeof(key), "counter-%" PRIu32, i);
        struct heard heard = console_get(&console, draw_node(world), key);
        expect(world, "read", key, &heard, HEARD_VALUE);
        char text[24] = "";
        snprintf(text, sizeof(text), "%.*s", (int)heard.value.len, heard.value.data);
        uint64_t value = strtoull(text, NULL, 10);
        if (value < done[i] || value > done[i] + unknown[i])
            world_fail(world, "%s is %" PRIu64 ": %" PRIu32 " succeeded, %" PRIu32 " unknown", key,
                       value, done[i], unknown[i]);
        trial->counts[1]++;
    }
    console_close(&console);
}
