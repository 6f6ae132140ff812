/* Completeness: whoever crashes is held for dead by every survivor, in time.
 */
#include "common/check.h"
#include "tests/sim/checks.h"
#include "tests/sim/watch.h"

#include <stdlib.h>

/* Loss in per cent, drawn by the seed's run number. */
static uint32_t draw_loss(struct world *world)
{
    static const uint32_t losses[] = {0, 5, 10, 20, 30};
    return losses[prng_below(&world->prng, ARRAY_COUNT(losses))];
}

/* min-timer + 4 T_gossip + 2 s, and twice that above 10 % loss; if the silent are a quarter or more
 * of all, survivors may hold themselves for cut off until T_isolated has passed. */
static uint64_t bound_ms(const struct world *world, uint32_t loss, bool is_off, bool are_many)
{
    const struct gossip_options *timers = &world->host_options.timers;
    uint64_t ms =
        (is_off ? timers->silent_min_ms : timers->refused_ms) + 4 * timers->gossip_ms + 2000;
    if (loss > 10)
        ms *= 2;
    return ms + (are_many ? timers->isolated_ms : 0);
}

static bool all_see_gone(struct world *world, const void *arg)
{
    const bool *is_victim = arg;
    for (uint32_t i = 0; i < world->host_count; i++)
        for (uint32_t j = 0; j < world->host_count; j++)
            if (!is_victim[i] && is_victim[j] && !watch_sees_gone(world, i, j))
                return false;
    return true;
}

static bool all_have_removed(struct world *world, const void *arg)
{
    const bool *is_victim = arg;
    for (uint32_t i = 0; i < world->host_count; i++)
        for (uint32_t j = 0; j < world->host_count; j++) {
            const struct account *account =
                !is_victim[i] && is_victim[j] ? watch_record(world, i, j) : NULL;
            if (account && account->state != MEMBER_REMOVED)
                return false;
        }
    return true;
}

static void crash(struct world *world, uint32_t node, bool is_off)
{
    if (is_off)
        world_power_off(world, node);
    else
        world_kill(world, node);
}

/* More victims, until there are as many as wanted. count: how many there are. */
static void draw_more(struct world *world, bool *is_victim, uint32_t count, uint32_t wanted)
{
    while (count < wanted) {
        uint32_t node = (uint32_t)prng_below(&world->prng, world->host_count);
        count += !is_victim[node];
        is_victim[node] = true;
    }
}

/* Draws victims: any set, or node 0 (the introducer) and the targets binary gossip has for it. */
static uint32_t draw_victims(struct world *world, bool *is_victim)
{
    uint32_t wanted = 1 + (uint32_t)prng_below(&world->prng, (world->host_count - 1) / 2);
    uint32_t count = 0;
    if (prng_below(&world->prng, 3) == 0) {
        for (uint32_t step = 1; step < world->host_count && count < (world->host_count - 1) / 2;
             step *= 2) {
            is_victim[step] = true;
            count++;
        }
        return count;
    }
    if (prng_below(&world->prng, 2) == 0) {
        is_victim[0] = true;
        count++;
    }
    draw_more(world, is_victim, count, wanted);
    return wanted;
}

/* A cluster that forms while some of all that is sent is lost, loss per cent, and is watched. */
static struct watch *watch_lossy(struct world *world, uint32_t *loss)
{
    *loss = draw_loss(world);
    world_lose(world, *loss * (NET_PPM / 100));
    watch_form(world, WATCH_FORM_MS);
    struct watch *watch = watch_open(world);
    watch->forbids_deaths = *loss <= 10;
    return watch;
}

static void crash_all(struct world *world, const bool *is_victim, bool is_off)
{
    for (uint32_t i = 0; i < world->host_count; i++)
        if (is_victim[i])
            crash(world, i, is_off);
}

/* All survivors hold the crashed for dead within limit_ms, and then remove them. Returns how long
 * the first took, in ms. */
static uint64_t await_removed(struct world *world, const bool *is_victim, uint64_t limit_ms)
{
    uint64_t took_ms = watch_until(world, all_see_gone, is_victim, 10, limit_ms,
                                   "not all survivors hold the crashed for dead in time");
    watch_until(world, all_have_removed, is_victim, 10, world->host_options.timers.remove_ms + 2000,
                "not all survivors have removed the crashed in time");
    return took_ms;
}

void check_complete(struct trial *trial)
{
    uint32_t loss;
    struct world *world = trial_begin(trial, 0);
    struct watch *watch = watch_lossy(world, &loss);
    bool *is_victim = calloc(world->host_count, sizeof(*is_victim));
    bool is_off = prng_below(&world->prng, 2) == 0;
    uint32_t count = draw_victims(world, is_victim);
    crash_all(world, is_victim, is_off);
    bool are_many = is_off && count * 4 >= world->host_count;
    uint64_t limit_ms = bound_ms(world, loss, is_off || loss > 0, are_many);
    trial->counts[is_off] += count;
    trial->counts[2] += await_removed(world, is_victim, limit_ms);
    free(is_victim);
    watch_close(watch);
}

/* Half of them crash at once, the introducer too, at 10 % loss: the others hold them for dead, and
 * then remove them. */
void check_complete_half(struct trial *trial)
{
    struct world *world = trial_begin(trial, 0);
    world_lose(world, NET_PPM / 10);
    watch_form(world, WATCH_FORM_MS);
    struct watch *watch = watch_open(world);
    watch->forbids_deaths = true;
    bool *is_victim = calloc(world->host_count, sizeof(*is_victim));
    CHECK(is_victim != NULL);
    bool is_off = trial->seed % 2 == 0; /* few seeds are to have both */
    is_victim[0] = true;
    draw_more(world, is_victim, 1, world->host_count / 2);
    crash_all(world, is_victim, is_off);
    trial->counts[is_off]++;
    trial->counts[2] += await_removed(world, is_victim, bound_ms(world, 10, true, true));
    free(is_victim);
    watch_close(watch);
}

/* A node dies, and with it all that would have seen its connections end. */
void check_complete_watchers(struct trial *trial)
{
    uint32_t loss;
    struct world *world = trial_begin(trial, 0);
    struct watch *watch = watch_lossy(world, &loss);
    bool *is_victim = calloc(world->host_count, sizeof(*is_victim));
    bool is_off = prng_below(&world->prng, 2) == 0;
    uint32_t subject = (uint32_t)prng_below(&world->prng, world->host_count);
    uint32_t watchers = 0;
    is_victim[subject] = true;
    for (uint32_t i = 0; i < world->host_count; i++) {
        if (i == subject)
            continue;
        const struct members *members = &watch_gossip(world, i)->members;
        struct target_view view = {members->live, members->live_count, members_self_at(members)};
        is_victim[i] = targets_watches(&view, watch_record(world, i, subject));
        watchers += is_victim[i];
    }
    if (watchers != WATCHERS)
        world_fail(world, "%u of %u members watch one", watchers, WATCHERS);
    crash_all(world, is_victim, is_off);
    /* Where refusals are lost, some find the killed silent, and the milder evidence wins. */
    uint64_t limit_ms = bound_ms(world, loss, is_off || loss > 0, is_off);
    trial->counts[is_off] += watchers + 1;
    trial->counts[2] +=
        watch_until(world, all_see_gone, is_victim, 10, limit_ms,
                    "not all survivors hold a node and its watchers for dead in time");
    free(is_victim);
    watch_close(watch);
}

/* Probes tell nothing: what is left is that nobody has heard of it for T_fail. */
void check_complete_backstop(struct trial *trial)
{
    struct world *world = trial_begin(trial, 0);
    const struct gossip_options *timers = &world->host_options.timers;
    watch_form(world, WATCH_FORM_MS);
    for (uint32_t i = 0; i < world->host_count; i++)
        gossip_cripple(watch_gossip(world, i), false, true);
    struct watch *watch = watch_open(world);
    watch->forbids_deaths = true;
    world_run_s(world, 60);
    bool *is_victim = calloc(world->host_count, sizeof(*is_victim));
    uint32_t victim = (uint32_t)prng_below(&world->prng, world->host_count);
    bool is_off = trial->seed % 2 == 0; /* few seeds are to have both */
    is_victim[victim] = true;
    crash(world, victim, is_off);
    uint64_t fail_ms = members_fail_ms(&watch_gossip(world, victim == 0)->members);
    uint64_t took_ms =
        watch_until(world, all_see_gone, is_victim, 10, fail_ms + bound_ms(world, 0, true, false),
                    "the backstop does not tell in time");
    trial->counts[is_off]++;
    trial->counts[2] += took_ms;
    if (took_ms < fail_ms / 2)
        world_fail(world, "probes were to tell nothing, and all knew after %llu ms of %u",
                   (unsigned long long)took_ms, timers->fail_ms);
    free(is_victim);
    watch_close(watch);
}
