/* What a user does and sees, told step by step: issue by issue what must hold of ten nodes, in
 * virtual time. tests/scenes does the same with real processes. */
#include "common/base.h"
#include "server/core/views.h"
#include "tests/sim/quiet.h"
#include "tests/sim/scene.h"
#include "tests/sim/watched.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CREATES      100u
#define READABLE     1000u
#define COUNTERS     5000u
#define INCREMENTS   5000u  /* between a node's going and its coming back, and after it */
#define AGAIN_MS     10000u /* with two of three copies killed: keys can be written again */
#define AGAIN_OFF_MS 20000u /* with their machines off */
/* With one process stopped: two others are to find out, which took up to 4 s in 120 runs, and a
 * request that was sent to it just before is given up after a second more. */
#define AGAIN_STOPPED_MS 10000u
#define FAILOVER_MS      5000u             /* until another leads: 0.7 s is usual */
#define SOON_US          (300 * US_PER_MS) /* nobody can have noticed yet */
#define ANSWER_US        (1200ull * US_PER_MS)
#define ROLLING_WRITES   200u
#define STOP_S           3u
#define KEY_BYTES        24u

/* Creates through random nodes: three copies each; create says so where there is one, update and
 * delete where there is none; an empty value is a value. */
void check_scene_creates(struct trial *trial)
{
    struct world *world = scene_form(trial);
    struct console console;
    char key[KEY_BYTES], value[KEY_BYTES];
    console_init(&console, world, 0);
    for (uint32_t i = 0; i < CREATES && !world->has_failed; i++) {
        snprintf(key, sizeof(key), "create-%" PRIu32, i);
        snprintf(value, sizeof(value), "value-%" PRIu32, i);
        if (i % 10 == 0)
            value[0] = '\0';
        struct heard heard = console_ask(&console, scene_draw(world), CONSOLE_LIMIT_MS,
                                         "add %s 0 0 %zu\r\n%s\r\n", key, strlen(value), value);
        scene_expect(world, "create", key, &heard, HEARD_STORED);
        heard = console_ask(&console, scene_draw(world), CONSOLE_LIMIT_MS,
                            "add %s 0 0 5\r\nother\r\n", key);
        scene_expect(world, "create again", key, &heard, HEARD_NOT_STORED);
        heard = console_get(&console, scene_draw(world), key);
        scene_expect_value(world, "read", key, &heard, value);
        heard = console_ask(&console, scene_draw(world), CONSOLE_LIMIT_MS,
                            "replace no-%s 0 0 1\r\nx\r\n", key);
        scene_expect(world, "update of nothing", key, &heard, HEARD_NOT_STORED);
        heard = console_ask(&console, scene_draw(world), CONSOLE_LIMIT_MS, "delete no-%s\r\n", key);
        scene_expect(world, "delete of nothing", key, &heard, HEARD_NOT_FOUND);
        trial->counts[0]++;
    }
    quiet_await(world, SCENE_STABLE_MS, "each key is on exactly three copies");
    console_close(&console);
}

/* A node that runs and has no copy. nodes: the group. */
static uint32_t draw_stranger(struct world *world, const uint32_t nodes[RING_COPIES_MAX])
{
    uint32_t node;
    do
        node = scene_draw(world);
    while (node == nodes[0] || node == nodes[1] || node == nodes[2]);
    return node;
}

/* One node is dead: a copy's primary, one of its backups, or one that has no copy. All is read and
 * written on: at once, or, where the primary is dead, once another leads. */
static void lose_one(struct world *world, struct console *console, uint32_t place)
{
    uint32_t nodes[RING_COPIES_MAX];
    scene_group(world, "dead", nodes);
    uint32_t victim = place < RING_COPIES_MAX ? nodes[place] : draw_stranger(world, nodes);
    bool is_primary = place == 0;
    struct heard heard = console_set(console, scene_draw(world), "dead", "before");
    scene_expect(world, "write", "dead", &heard, HEARD_STORED);
    world_kill(world, victim);
    uint64_t limit_us = world->clock.now_us + (is_primary ? FAILOVER_MS * US_PER_MS : 0);
    do
        heard = console_get(console, scene_draw(world), "dead");
    while (heard.kind == HEARD_NOT_DONE && world->clock.now_us < limit_us && !world->has_failed);
    scene_expect_value(world, "read with one copy dead", "dead", &heard, "before");
    heard = console_set(console, scene_draw(world), "dead", "during");
    scene_expect(world, "write with one copy dead", "dead", &heard, HEARD_STORED);
    world_start(world, victim);
    quiet_await(world, SCENE_STABLE_MS, "one copy was killed");
}

static void take_away(struct world *world, uint32_t node, bool is_off)
{
    if (is_off)
        world_power_off(world, node);
    else
        world_kill(world, node);
}

/* A request on a key of whose three copies two were lost a moment ago: no success, but an answer in
 * time; and soon it succeeds. */
static void ask_of_one_left(struct world *world, struct console *console, uint32_t kind,
                            bool is_off)
{
    static const char *const requests[] = {"get dead\r\n", "set dead 0 0 6\r\nduring\r\n",
                                           "add dead 0 0 1\r\nx\r\n", "delete dead\r\n",
                                           "append dead 0 0 1\r\nx\r\n"};
    uint64_t lost_us = world->clock.now_us;
    world_run_us(world, prng_below(&world->prng, SOON_US));
    struct heard heard = console_ask(console, scene_draw(world), 2 * ANSWER_US / US_PER_MS, "%s",
                                     requests[kind % ARRAY_COUNT(requests)]);
    if ((heard.kind != HEARD_NOT_DONE && heard.kind != HEARD_UNKNOWN) ||
        console->took_us > ANSWER_US)
        world_fail(world, "request %" PRIu32 " with two copies lost: kind %d after %" PRIu64 " us",
                   kind, heard.kind, console->took_us);
    uint64_t limit_us = lost_us + (is_off ? AGAIN_OFF_MS : AGAIN_MS) * US_PER_MS;
    do {
        heard = console_set(console, scene_draw(world), "dead", "after");
        world_run_ms(world, 50);
    } while (heard.kind != HEARD_STORED && world->clock.now_us < limit_us && !world->has_failed);
    if (heard.kind != HEARD_STORED)
        world_fail(world, "no write succeeds %" PRIu64 " s after two copies were lost",
                   (limit_us - lost_us) / US_PER_S);
    heard = console_get(console, scene_draw(world), "dead");
    scene_expect_value(world, "read with two copies lost", "dead", &heard, "after");
}

/* One copy is dead: the two others do. Two are dead: nothing succeeds while nobody knows,
 * everything is answered in time, and within 10 s (machines off: 20 s) it succeeds again. */
void check_scene_dead_copies(struct trial *trial)
{
    static const uint8_t pairs[][2] = {{0, 1}, {0, 2}, {1, 2}};
    struct world *world = scene_form(trial);
    struct console console;
    uint32_t nodes[RING_COPIES_MAX];
    console_init(&console, world, 0);
    uint32_t places = world->host_count > RING_COPIES_MAX ? RING_COPIES_MAX + 1 : RING_COPIES_MAX;
    for (uint32_t place = 0; place < places && !world->has_failed; place++)
        lose_one(world, &console, place);
    struct heard heard = console_set(&console, 0, "dead", "before");
    scene_expect(world, "write", "dead", &heard, HEARD_STORED);
    for (uint32_t round = 0; round < 6 && !world->has_failed; round++) {
        const uint8_t *pair = pairs[round % ARRAY_COUNT(pairs)];
        bool is_off = round >= ARRAY_COUNT(pairs);
        scene_group(world, "dead", nodes);
        take_away(world, nodes[pair[0]], is_off);
        take_away(world, nodes[pair[1]], is_off);
        ask_of_one_left(world, &console, (uint32_t)trial->seed + round, is_off);
        trial->counts[1] += console.took_us / 1000;
        for (uint32_t i = 0; i < 2; i++) {
            if (is_off)
                world_power_on(world, nodes[pair[i]]);
            world_start(world, nodes[pair[i]]);
        }
        quiet_await(world, SCENE_STABLE_MS, "they are back");
        heard = console_get(&console, scene_draw(world), "dead");
        scene_expect_value(world, "read with all back", "dead", &heard, "after");
        trial->counts[0]++;
    }
    console_close(&console);
}

static void fill(struct world *world, struct console *console)
{
    char key[KEY_BYTES];
    for (uint32_t i = 0; i < READABLE && !world->has_failed; i++) {
        snprintf(key, sizeof(key), "key-%" PRIu32, i);
        struct heard heard = console_set(console, scene_draw(world), key, key);
        scene_expect(world, "write", key, &heard, HEARD_STORED);
    }
}

/* All are there, but for those whose copies were all lost: counted. */
static void read_all(struct world *world, struct console *console, const char *when)
{
    char key[KEY_BYTES];
    for (uint32_t i = 0; i < READABLE && !world->has_failed; i++) {
        snprintf(key, sizeof(key), "key-%" PRIu32, i);
        struct heard heard = console_get(console, scene_draw(world), key);
        scene_expect_value(world, when, key, &heard, key);
    }
}

static void lose_two(struct world *world, struct console *console, uint32_t a, uint32_t b)
{
    world_kill(world, a);
    world_kill(world, b);
    quiet_await(world, SCENE_STABLE_MS + AGAIN_MS, "two neighbours were killed");
    read_all(world, console, "read after two neighbours were killed");
    world_start(world, a);
    world_start(world, b);
    quiet_await(world, SCENE_STABLE_MS, "they are back");
}

/* Any two neighbours killed at once, each pair in turn: after stabilization all keys are there.
 * Every node stands in each slot, so every two are neighbours somewhere. */
void check_scene_neighbours(struct trial *trial)
{
    struct world *world = scene_form(trial);
    struct console console;
    console_init(&console, world, 0);
    fill(world, &console);
    for (uint32_t a = 0; a < world->host_count; a++) {
        for (uint32_t b = a + 1; b < world->host_count && !world->has_failed; b++) {
            lose_two(world, &console, a, b);
            trial->counts[0]++;
        }
    }
    read_all(world, &console, "read in the end");
    console_close(&console);
}

/* A delete while one copy is stopped: it stays deleted when that one goes on. */
void check_scene_deleted(struct trial *trial)
{
    struct world *world = scene_form(trial);
    struct console console;
    uint32_t nodes[RING_COPIES_MAX];
    console_init(&console, world, 0);
    for (uint32_t round = 0; round < 3 && !world->has_failed; round++) {
        struct heard heard = console_set(&console, scene_draw(world), "gone", "value");
        scene_expect(world, "write", "gone", &heard, HEARD_STORED);
        scene_group(world, "gone", nodes);
        uint32_t stopped = nodes[prng_below(&world->prng, RING_COPIES_MAX)];
        world_stop(world, stopped);
        uint64_t until_us = world->clock.now_us + AGAIN_STOPPED_MS * US_PER_MS;
        do {
            heard = console_ask(&console, scene_draw(world), CONSOLE_LIMIT_MS, "delete gone\r\n");
        } while (heard.kind != HEARD_DELETED && heard.kind != HEARD_NOT_FOUND &&
                 world->clock.now_us < until_us && !world->has_failed);
        if (heard.kind != HEARD_DELETED && heard.kind != HEARD_NOT_FOUND)
            world_fail(world, "no delete in %u ms while one copy is stopped", AGAIN_STOPPED_MS);
        world_run_s(world, 5 + prng_below(&world->prng, 20));
        world_continue(world, stopped);
        for (uint32_t i = 0; i < 40 && !world->has_failed; i++) {
            world_run_ms(world, 50);
            heard = console_get(&console, scene_draw(world), "gone");
            if (heard.kind == HEARD_VALUE)
                world_fail(world, "a deleted key comes back");
        }
        /* One stopped for longer than a stalled one may be was held dead: it is up again once it is
         * not damped any more. */
        quiet_await(world, SCENE_STABLE_MS + world->host_options.timers.damp_ms,
                    "the stopped one goes on");
        trial->counts[0]++;
    }
    console_close(&console);
}

/* A process stopped for 3 s costs two views at most. */
void check_scene_stop(struct trial *trial)
{
    struct world *world = scene_form(trial);
    uint32_t node = scene_draw(world);
    uint32_t other = (node + 1) % world->host_count;
    uint32_t before = views_epoch(node_views(world->hosts[other].node));
    world_stop(world, node);
    world_run_s(world, STOP_S);
    world_continue(world, node);
    quiet_await(world, SCENE_STABLE_MS, "a node was stopped for 3 s");
    world_run_s(world, 10);
    uint32_t views = views_epoch(node_views(world->hosts[other].node)) - before;
    if (views > 2)
        world_fail(world, "a stop of 3 s has cost %" PRIu32 " views", views);
    trial->counts[0]++;
    trial->counts[1] += views;
}

/* A write through a node that runs; what is refused works at the first retry, within a second. */
static void write_once_or_twice(struct world *world, struct console *console)
{
    char key[KEY_BYTES];
    snprintf(key, sizeof(key), "rolling-%" PRIu64, prng_below(&world->prng, 1000));
    struct heard heard = console_set(console, scene_draw(world), key, "value");
    if (heard.kind == HEARD_NOT_DONE)
        heard = console_set(console, scene_draw(world), key, "value");
    if (console->took_us > US_PER_S || (heard.kind != HEARD_STORED && heard.kind != HEARD_BAD))
        world_fail(world, "a write is answered by kind %d after %" PRIu64 " us", heard.kind,
                   console->took_us);
    world_run_ms(world, 5);
}

/* All nodes are restarted, one after another, under load: nothing is lost, hardly anything refused
 * or of unknown outcome, and what is refused works at the next try. */
void check_scene_rolling(struct trial *trial)
{
    const struct callers_options options = {.count = 6,
                                            .key_count = GHOST_SLOTS_MAX,
                                            .slot_count = GHOST_SLOTS_MAX,
                                            .think_ms = 50,
                                            .ids_of_10 = 5,
                                            .is_simple = true};
    struct world *world = scene_form(trial);
    struct watched watched = watched_open_with(world, &options);
    struct callers *callers = watched.callers;
    struct console console;
    console_init(&console, world, 0);
    world_run_s(world, 2);
    for (uint32_t i = 0; i < world->host_count && !world->has_failed; i++) {
        world_leave(world, i);
        while (world->hosts[i].state != HOST_DOWN && !world->has_failed)
            write_once_or_twice(world, &console);
        world_start(world, i);
        for (uint32_t k = 0; k < ROLLING_WRITES; k++)
            write_once_or_twice(world, &console);
        quiet_await(world, SCENE_STABLE_MS, "one node was restarted");
        world_run_s(world, 1);
        trial->counts[0]++;
    }
    console_close(&console);
    callers_give_up(callers);
    uint64_t done = callers_total(callers, LINEAR_DONE) + callers_total(callers, LINEAR_ABSENT) +
                    callers_total(callers, LINEAR_PRESENT);
    uint64_t refused =
        callers_total(callers, LINEAR_NOT_DONE) + callers_total(callers, LINEAR_UNKNOWN);
    if (refused * 1000 > done)
        world_fail(world, "%" PRIu64 " of %" PRIu64 " requests were refused", refused, done);
    trial->counts[1] += done;
    watched_close(&watched);
}

/* Counters incremented through random nodes while nodes come and go: none is ever below what was
 * told to have succeeded, nor above that and what is not known. */
void check_scene_counters(struct trial *trial)
{
    struct world *world = scene_form(trial);
    struct console console;
    uint32_t done[COUNTERS] = {0}, unknown[COUNTERS] = {0};
    char key[KEY_BYTES];
    console_init(&console, world, 0);
    for (uint32_t i = 0; i < COUNTERS && !world->has_failed; i++) {
        snprintf(key, sizeof(key), "counter-%" PRIu32, i);
        struct heard heard = console_set(&console, scene_draw(world), key, "0");
        scene_expect(world, "write", key, &heard, HEARD_STORED);
    }
    for (uint32_t round = 0; round < 4 && !world->has_failed; round++) {
        uint32_t victim = scene_draw(world);
        for (uint32_t i = 0; i < INCREMENTS * 3 && !world->has_failed; i++) {
            uint32_t number = (uint32_t)prng_below(&world->prng, COUNTERS);
            if (i == INCREMENTS && round % 2 == 0)
                world_kill(world, victim);
            if (i == INCREMENTS && round % 2 == 1)
                world_leave(world, victim);
            if (i == INCREMENTS * 2)
                scene_await_end(world, victim);
            if (i == INCREMENTS * 2)
                world_start(world, victim);
            snprintf(key, sizeof(key), "counter-%" PRIu32, number);
            struct heard heard =
                console_ask(&console, scene_draw(world), CONSOLE_LIMIT_MS, "incr %s 1\r\n", key);
            done[number] += heard.kind == HEARD_NUMBER;
            unknown[number] += heard.kind != HEARD_NUMBER && heard.kind != HEARD_NOT_DONE;
            trial->counts[0] += heard.kind == HEARD_NUMBER;
            trial->counts[2 + round % 2] += i == INCREMENTS;
        }
        quiet_await(world, SCENE_STABLE_MS, "a node has come and gone");
    }
    for (uint32_t i = 0; i < COUNTERS && !world->has_failed; i++) {
        snprintf(key, sizeof(key), "counter-%" PRIu32, i);
        struct heard heard = console_get(&console, scene_draw(world), key);
        scene_expect(world, "read", key, &heard, HEARD_VALUE);
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
