/* Links that work one way only, and nodes that are too slow. */
#include "common/check.h"
#include "tests/sim/checks.h"
#include "tests/sim/quiet.h"
#include "tests/sim/watch.h"

#include <stdlib.h>

#define SLOW_TIMES   100u
#define BYTES_WORST  10000u                  /* a second and node, in the worst minute */
#define RUMORS_EACH  (CONFIRMATIONS_MAX + 1) /* of a member, at a node: the reports waited for */
#define FORMED_MS    60000u /* until a view has all: view 1, which goes to all, is not overload */
#define MINUTE_S     60u
#define FLIP_MS      10000u /* longer than T_silent, shorter than twice that: what damping is for */
#define FLIP_LONG_MS 20000u /* longer than that, too: a cycle is longer than T_damp */
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
    uint64_t flip_ms =
        trial->seed % 2 == 0 ? FLIP_LONG_MS : FLIP_MS; /* few seeds are to have both */
    uint64_t from_us = world->clock.now_us;
    while (world->clock.now_us < from_us + trial->seconds * (uint64_t)US_PER_S &&
           !world->has_failed) {
        world_isolate(world, node, true);
        world_run_ms(world, flip_ms - 1000 + prng_below(&world->prng, 2000));
        world_isolate(world, node, false);
        world_run_ms(world, flip_ms - 1000 + prng_below(&world->prng, 2000));
        trial->counts[0]++;
    }
    bound_changes(watch, trial, (world->clock.now_us - from_us) / US_PER_MS);
    watch_close(watch);
}

/* What each node has sent since it was before, a second, and now. Returns the most. */
static uint64_t most_sent(const struct world *world, uint64_t *before, uint32_t seconds)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < world->host_count; i++) {
        uint64_t rate = (world->net.machines[i].sent_bytes - before[i]) / seconds;
        before[i] = world->net.machines[i].sent_bytes;
        most = rate > most ? rate : most;
    }
    return most;
}

/* The longest queue of rumors, looked at every second. */
static uint32_t run_and_count_rumors(struct world *world, uint32_t seconds)
{
    uint32_t most = 0;
    for (uint32_t passed_s = 0; passed_s < seconds; passed_s++) {
        world_run_s(world, 1);
        for (uint32_t i = 0; i < world->host_count; i++) {
            uint32_t count = watch_gossip(world, i)->rumors.count;
            most = count > most ? count : most;
        }
    }
    return most;
}

static void note_most(uint64_t *count, uint64_t value)
{
    *count = value > *count ? value : *count;
}

static bool have_told_all(struct world *world)
{
    for (uint32_t i = 0; i < world->host_count; i++)
        if (watch_gossip(world, i)->rumors.count > 0)
            return false;
    return true;
}

/* Until all rumors that there can be are told as often as they are to be: a question a round takes
 * a few of them along. */
static uint64_t telling_ms(const struct world *world)
{
    uint64_t sends = 2ull * log2_ceil(world->host_count + 1) * RUMORS_EACH * world->host_count;
    return (sends / RUMORS_PIGGYBACK_MAX + 1) * world->host_options.timers.gossip_ms * 11 / 10;
}

static void await_told(struct world *world)
{
    uint64_t limit_ms = telling_ms(world);
    for (uint64_t ms = 0; !have_told_all(world) && ms < limit_ms; ms += 1000)
        world_run_ms(world, 1000);
    if (!have_told_all(world))
        world_fail(world, "there is no news, and not all of it has been told");
}

/* Three tenths of the nodes take a hundred times as long for everything. */
void check_overload(struct trial *trial)
{
    struct world *world = form(trial);
    (void)quiet_await(world, FORMED_MS, "forming");
    struct watch *watch = watch_open(world);
    watch->forbids_deaths = true;
    for (uint32_t slow = 0; slow < world->host_count * 3 / 10;) {
        uint32_t node = (uint32_t)prng_below(&world->prng, world->host_count);
        slow += !watch->is_excused[node];
        watch->is_excused[node] = true;
        world->hosts[node].slow = SLOW_TIMES;
    }
    uint64_t *before = calloc(world->host_count, sizeof(*before));
    CHECK(before != NULL);
    (void)most_sent(world, before, MINUTE_S);
    for (uint32_t passed_s = 0; passed_s < trial->seconds && !world->has_failed;
         passed_s += MINUTE_S) {
        uint32_t rumors = run_and_count_rumors(world, MINUTE_S);
        uint64_t rate = most_sent(world, before, MINUTE_S);
        if (rate > BYTES_WORST)
            world_fail(world, "a node sends %llu bytes a second", (unsigned long long)rate);
        if (rumors > RUMORS_EACH * world->host_count)
            world_fail(world, "a node has %u rumors to tell", rumors);
        note_most(&trial->counts[0], rate);
        note_most(&trial->counts[1], rumors);
    }
    free(before);
    for (uint32_t i = 0; i < world->host_count; i++)
        world->hosts[i].slow = 1;
    await_told(world);
    watch_close(watch);
}
