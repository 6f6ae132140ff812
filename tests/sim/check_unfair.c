/* Links that work one way only, and nodes that are too slow. */
#include "tests/sim/checks.h"
#include "tests/sim/quiet.h"
#include "tests/sim/watch.h"

#include <stdlib.h>

#define SLOW_TIMES   100u
#define BYTES_WORST  10000u /* a second and node, in the worst minute */
#define FORMED_MS    60000u /* until a view has all: view 1, which goes to all, is not overload */
#define MINUTE_S     60u
#define FLIP_MS      10000u /* longer than T_silent, shorter than twice that: what damping is for */
#define DEATHS_FIRST 4u     /* until the flap score is up, they come at the pace of the detector */

static struct world *form(struct trial *trial)
{
    struct world *world = trial_begin(trial, 0);
    watch_form(world, WATCH_FORM_MS * (world->host_count > 100 ? 3 : 1));
    return world;
}

/* No observer has held a node for dead more often than once in T_damp. */
static void bound_changes(const struct watch *watch, struct trial *trial, uint64_t passed_ms)
{
    struct world *world = watch->world;
    uint64_t max = passed_ms / world->host_options.timers.damp_ms + DEATHS_FIRST;
    for (uint32_t i = 0; i < world->host_count; i++) {
        if (watch->changes[i] > max)
            world_fail(world, "somebody held n%u for dead %u times in %llu s", i + 1,
                       watch->changes[i], (unsigned long long)passed_ms / 1000);
        trial->counts[1] += watch->changes[i];
    }
}

/* One way is lost: between pairs, or four fifths of what one node sends. */
void check_unfair_paths(struct trial *trial)
{
    struct world *world = form(trial);
    struct watch *watch = watch_open(world);
    watch->forbids_deaths = true;
    uint32_t node = (uint32_t)prng_below(&world->prng, world->host_count);
    if (prng_below(&world->prng, 2) == 0) {
        for (uint32_t i = 0; i < world->host_count / 2; i++) {
            uint32_t from = (uint32_t)prng_below(&world->prng, world->host_count);
            uint32_t to = (uint32_t)prng_below(&world->prng, world->host_count);
            if (from != to)
                world_cut(world, from, to, true);
        }
    } else {
        watch->is_excused[node] = true;
        world->net.machines[node].out_loss_ppm = NET_PPM / 5 * 4;
    }
    world_run_s(world, trial->seconds);
    bound_changes(watch, trial, trial->seconds * 1000ull);
    trial->counts[0]++;
    watch_close(watch);
}

/* One node is cut off and back, again and again. */
void check_unfair_flips(struct trial *trial)
{
    struct world *world = form(trial);
    struct watch *watch = watch_open(world);
    uint32_t node = (uint32_t)prng_below(&world->prng, world->host_count);
    watch->forbids_deaths = true;
    watch->is_excused[node] = true;
    uint64_t from_us = world->clock.now_us;
    while (world->clock.now_us < from_us + trial->seconds * (uint64_t)US_PER_S &&
           !world->has_failed) {
        world_isolate(world, node, true);
        world_run_ms(world, FLIP_MS - 1000 + prng_below(&world->prng, 2000));
        world_isolate(world, node, false);
        world_run_ms(world, FLIP_MS - 1000 + prng_below(&world->prng, 2000));
        trial->counts[0]++;
    }
    bound_changes(watch, trial, (world->clock.now_us - from_us) / US_PER_MS);
    watch_close(watch);
}

/* Three tenths of the nodes take a hundred times as long for everything. */
void check_overload(struct trial *trial)
{
    struct world *world = form(trial);
    (void)quiet_await(world, FORMED_MS, "forming");
    struct watch *watch = watch_open(world);
    watch->forbids_deaths = true;
    for (uint32_t i = 0; i < world->host_count * 3 / 10; i++) {
        uint32_t node = (uint32_t)prng_below(&world->prng, world->host_count);
        watch->is_excused[node] = true;
        world->hosts[node].slow = SLOW_TIMES;
    }
    uint64_t *before = calloc(world->host_count, sizeof(*before));
    for (uint32_t passed_s = 0; passed_s < trial->seconds; passed_s += MINUTE_S) {
        for (uint32_t i = 0; i < world->host_count; i++)
            before[i] = world->net.machines[i].sent_bytes;
        world_run_s(world, MINUTE_S);
        for (uint32_t i = 0; i < world->host_count; i++) {
            uint64_t rate = (world->net.machines[i].sent_bytes - before[i]) / MINUTE_S;
            if (rate > BYTES_WORST)
                world_fail(world, "n%u sends %llu bytes a second", i + 1, (unsigned long long)rate);
            if (rate > trial->counts[0])
                trial->counts[0] = rate;
        }
    }
    free(before);
    watch_close(watch);
}
