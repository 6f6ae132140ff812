/* Accuracy: who lives is not held for dead, whatever the network does. */
#include "common/check.h"
#include "tests/sim/checks.h"
#include "tests/sim/watch.h"

#define FAR_MS     50u  /* a delay, one way: a round trip of 100 ms */
#define FARTHER_MS 100u /* the same, with the profile meant for it */
/* Each node's own, an hour, at most, at 10 and at 25 % loss. */
#define SUSPICIONS_HOUR_10 1u
#define SUSPICIONS_HOUR_25 13u
#define JUMP_MS            (6ll * 3600 * 1000)
#define NOTICE_MS          10000u
#define FREEZE_LESS_MS     500u /* than T_silent */

static struct world *form(struct trial *trial, uint32_t loss_percent)
{
    struct world *world = trial_begin(trial, 0);
    world_lose(world, loss_percent * (NET_PPM / 100));
    watch_form(world, WATCH_FORM_MS);
    return world;
}

/* Hours that all nodes together have lived, rounded up. */
static uint64_t node_hours(const struct trial *trial)
{
    return ((uint64_t)trial->node_count * trial->seconds + 3599) / 3600;
}

/* Every path takes nine tenths of this, and up to a tenth more. */
static void stretch_paths(struct world *world, uint32_t delay_ms)
{
    world_delay(world, delay_ms * US_PER_MS / 10 * 9, delay_ms * US_PER_MS / 10);
}

/* Quiet, near and far, wall clocks that jump and clocks that drift: nobody is suspected at all. */
void check_accurate_quiet(struct trial *trial)
{
    struct world *world = trial_begin(trial, 0);
    switch (trial->seed % 3) { /* few seeds are to have each */
    case 0:
        stretch_paths(world, FAR_MS);
        break;
    case 1:
        stretch_paths(world, FARTHER_MS);
        CHECK(gossip_profile(SPAN_LITERAL("wan"), &world->host_options.timers));
        break;
    default:
        break;
    }
    watch_form(world, WATCH_FORM_MS);
    struct watch *watch = watch_open(world);
    watch->forbids_deaths = watch->forbids_suspicions = true;
    for (uint32_t i = 0; i < world->host_count; i++)
        host_drift(&world->hosts[i], (int64_t)prng_below(&world->prng, 401) - 200);
    for (uint32_t passed_s = 0; passed_s < trial->seconds; passed_s += 60) {
        uint32_t node = (uint32_t)prng_below(&world->prng, world->host_count);
        world->hosts[node].wall_ms += (int64_t)prng_below(&world->prng, 2 * JUMP_MS + 1) - JUMP_MS;
        world_run_s(world, 60);
        trial->counts[0]++;
    }
    /* And whoever's clock has jumped still notices a death. */
    uint32_t victim = (uint32_t)prng_below(&world->prng, world->host_count);
    world_kill(world, victim);
    watch->forbids_suspicions = false;
    watch_until_known(world, victim, 10, NOTICE_MS, "a death is not noticed");
    watch_close(watch);
}

static void lossy(struct trial *trial, uint32_t percent, uint32_t suspicions_hour)
{
    struct world *world = form(trial, percent);
    struct watch *watch = watch_open(world);
    watch->forbids_deaths = true;
    world_run_s(world, trial->seconds);
    trial->counts[0] += node_hours(trial);
    trial->counts[1] += watch->suspicions;
    if (watch->suspicions > suspicions_hour * node_hours(trial))
        world_fail(world, "%llu false suspicions in %llu node-hours",
                   (unsigned long long)watch->suspicions, (unsigned long long)node_hours(trial));
    watch_close(watch);
}

void check_accurate_loss10(struct trial *trial)
{
    lossy(trial, 10, SUSPICIONS_HOUR_10);
}

void check_accurate_loss25(struct trial *trial)
{
    lossy(trial, 25, SUSPICIONS_HOUR_25);
}

/* Processes stopped for 3, 5 and 8 s, one after another: suspected, never dead, and back. */
void check_accurate_stops(struct trial *trial)
{
    static const uint32_t stops_s[] = {3, 5, 8};
    struct world *world = form(trial, 0);
    struct watch *watch = watch_open(world);
    watch->forbids_deaths = true;
    for (uint32_t passed_s = 0; passed_s < trial->seconds; passed_s += 20) {
        uint32_t node = (uint32_t)prng_below(&world->prng, world->host_count);
        uint32_t stop_s = stops_s[prng_below(&world->prng, ARRAY_COUNT(stops_s))];
        world_stop(world, node);
        world_run_s(world, stop_s);
        world_continue(world, node);
        world_run_s(world, 12);
        if (!watch_is_one_view(world))
            watch_complain(world, "12 s after a stop");
        trial->counts[0]++;
    }
    trial->counts[1] += watch->suspicions;
    watch_close(watch);
}

/* A whole machine freezes, its kernel too, for a little less than T_silent. */
void check_accurate_freeze(struct trial *trial)
{
    struct world *world = form(trial, 0);
    struct watch *watch = watch_open(world);
    uint64_t freeze_ms = world->host_options.timers.silent_min_ms - FREEZE_LESS_MS;
    watch->forbids_deaths = true;
    for (uint32_t passed_s = 0; passed_s < trial->seconds; passed_s += 20) {
        uint32_t node = (uint32_t)prng_below(&world->prng, world->host_count);
        world_isolate(world, node, true);
        world_stop(world, node);
        world_run_ms(world, freeze_ms);
        world_isolate(world, node, false);
        world_continue(world, node);
        world_run_s(world, 12);
        if (!watch_is_one_view(world))
            watch_complain(world, "12 s after a freeze");
        trial->counts[0]++;
    }
    trial->counts[1] += watch->suspicions;
    watch_close(watch);
}

static void cut_off(struct world *world, const bool *is_away, bool is_cut)
{
    for (uint32_t i = 0; i < world->host_count; i++)
        for (uint32_t j = 0; j < world->host_count; j++)
            if (is_away[i] != is_away[j])
                world_cut(world, i, j, is_cut);
    trace_say(&world->trace, is_cut ? "cut-off" : "return", "-");
}

/* A few nodes are cut off from the others, for less than T_isolated: they hold nobody for dead
 * meanwhile, though they confirm each other, and kill nobody when they come back (what Serf's
 * returning node does). */
void check_accurate_return(struct trial *trial)
{
    struct world *world = form(trial, 0);
    struct watch *watch = watch_open(world);
    watch->forbids_deaths = true;
    for (uint32_t passed_s = 0; passed_s < trial->seconds && !world->has_failed; passed_s += 40) {
        uint32_t first = (uint32_t)prng_below(&world->prng, world->host_count);
        uint32_t count = 1 + (uint32_t)prng_below(&world->prng, world->host_count / 4);
        for (uint32_t i = 0; i < count; i++)
            watch->is_away[(first + i) % world->host_count] = true;
        cut_off(world, watch->is_away, true);
        world_run_ms(world, 2000 + prng_below(&world->prng, 20000));
        cut_off(world, watch->is_away, false);
        trial->counts[1] += watch_until_one_view(world, world->host_options.timers.rejoin_ms + 3000,
                                                 "after a return");
        world_run_s(world, 10);
        for (uint32_t i = 0; i < world->host_count; i++)
            watch->is_away[i] = false;
        trial->counts[0]++;
    }
    watch_close(watch);
}
