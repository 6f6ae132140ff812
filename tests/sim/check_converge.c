/* News reaches all, and parts of a cluster find each other again. */
#include "common/check.h"
#include "tests/sim/checks.h"
#include "tests/sim/quiet.h"
#include "tests/sim/watch.h"

#include <stdlib.h>

#define LAN_US       1000u
#define PUSH_MS      50u   /* the hops of pushed news */
#define LOSSY_ROUNDS 2u    /* the same where a fifth of packets is lost */
#define LOSS_MS      1000u /* once in a hundred: a lost SYN is sent again after a second */
#define FACTS        50u
#define FACTS_LATE   2u     /* of them, beyond the 99th percentile */
#define HEAL_MS      3000u  /* and T_rejoin */
#define ONE_VIEW_MS  3000u  /* after the last change all viewhashes are equal */
#define ACCEPT_MS    30000u /* shortened, so that a split can be longer than tombstones last */
#define CLEANUP_MS   (4 * ACCEPT_MS)
#define FORMED_MS    60000u /* until a view has all */
#define AWAY_MAX     4u     /* of nine voters a majority stays */
#define GONE_MS      60000u /* until who is cut off is in no view and no list any more */

/* The first other node knows it. */
static bool is_heard_of(struct world *world, const void *arg)
{
    const uint32_t *subject = arg;
    for (uint32_t i = 0; i < world->host_count; i++)
        if (i != *subject && watch_sees_alive(world, i, *subject))
            return true;
    return false;
}

/* No other node holds it for a member. */
static bool is_gone_for_all(struct world *world, const void *arg)
{
    const uint32_t *subject = arg;
    for (uint32_t i = 0; i < world->host_count; i++)
        if (i != *subject && !watch_sees_gone(world, i, *subject))
            return false;
    return true;
}

/* Some other node knows of its leave, once it has handed over what it led. */
static bool is_gone_for_some(struct world *world, const void *arg)
{
    const uint32_t *subject = arg;
    for (uint32_t i = 0; i < world->host_count; i++)
        if (i != *subject && watch_sees_gone(world, i, *subject))
            return true;
    return false;
}

/* Everybody but the last node forms a cluster; then that one joins, and leaves again. Where no
 * packet is lost pushes reach everybody, the one after another if not by chance. */
void check_converge_news(struct trial *trial)
{
    struct world *world = trial_begin(trial, 0);
    uint32_t last = world->host_count - 1;
    uint32_t round_ms = world->host_options.timers.gossip_ms * 11 / 10;
    world_delay(world, LAN_US, 0);
    for (uint32_t i = 0; i < last; i++)
        world_start(world, i);
    watch_until_one_view(world, WATCH_FORM_MS, "the cluster does not form");
    bool is_lossy = prng_below(&world->prng, 2) == 0;
    if (is_lossy)
        world_lose(world, NET_PPM / 5);
    world_start(world, last);
    watch_until(world, is_heard_of, &last, 1, WATCH_FORM_MS, "nobody hears of a join");
    uint64_t limit_ms = is_lossy ? LOSSY_ROUNDS * round_ms + LOSS_MS : PUSH_MS;
    trial->counts[is_lossy ? 2 : 0]++;
    trial->counts[is_lossy ? 3 : 1] +=
        watch_until_known(world, last, 1, limit_ms, "news of a join is slow");
    watch_until_one_view(world, ONE_VIEW_MS + (is_lossy ? LOSS_MS : 0), "after a join");
    world_leave(world, last);
    watch_until(world, is_gone_for_some, &last, 1, WATCH_FORM_MS, "nobody hears of a leave");
    trial->counts[is_lossy ? 5 : 4] +=
        watch_until(world, is_gone_for_all, &last, 1, limit_ms, "news of a leave is slow");
    watch_until_one_view(world, ONE_VIEW_MS + (is_lossy ? LOSS_MS : 0), "after a leave");
}

/* A fact that one node has of itself: its incarnation. */
struct fact {
    uint32_t node;
    uint32_t inc;
};

static bool is_known_to_all(struct world *world, const void *arg)
{
    const struct fact *fact = arg;
    for (uint32_t i = 0; i < world->host_count; i++) {
        const struct account *account = watch_record(world, i, fact->node);
        if (!account || account->inc < fact->inc)
            return false;
    }
    return true;
}

/* The 99th percentile of the rounds of random pull. */
static uint32_t pull_rounds(uint32_t nodes)
{
    return nodes <= 40 ? 12 : nodes <= 400 ? 17 : 20;
}

/* Without pushes: a round asks one member, and what is new there comes with the answer. */
void check_converge_pull(struct trial *trial)
{
    struct world *world = trial_begin(trial, 0);
    uint32_t round_ms = world->host_options.timers.gossip_ms, late = 0;
    watch_form(world, WATCH_FORM_MS);
    for (uint32_t i = 0; i < world->host_count; i++)
        gossip_cripple(watch_gossip(world, i), true, false);
    world_run_ms(world, (uint64_t)world->host_count * round_ms * 2); /* all have asked all */
    for (uint32_t i = 0; i < FACTS && !world->has_failed; i++) {
        struct fact fact = {.node = (uint32_t)prng_below(&world->prng, world->host_count)};
        struct members *members = &watch_gossip(world, fact.node)->members;
        fact.inc = members->self->inc + 1;
        members_raise_inc(members, fact.inc);
        uint64_t limit_ms = 2 * (uint64_t)pull_rounds(world->host_count) * round_ms;
        uint64_t took_ms =
            watch_until(world, is_known_to_all, &fact, 10, limit_ms, "pulled news is slow");
        late += took_ms > (uint64_t)pull_rounds(world->host_count) * round_ms;
        trial->counts[0]++;
        trial->counts[1] += took_ms / round_ms;
        world_run_ms(world, prng_below(&world->prng, 1000));
    }
    if (late > FACTS_LATE)
        world_fail(world, "%u of %u facts took more than %u rounds", late, FACTS,
                   pull_rounds(world->host_count));
}

/* All at once: kills, starts and leaves of a third; then one view within 3 s of the last news. */
void check_converge_view(struct trial *trial)
{
    struct world *world = trial_begin(trial, 0);
    watch_form(world, WATCH_FORM_MS);
    for (uint32_t i = 0; i < world->host_count / 3; i++) {
        uint32_t node = (uint32_t)prng_below(&world->prng, world->host_count);
        struct host *host = &world->hosts[node];
        if (host->state != HOST_UP || host->is_ending)
            continue;
        if (prng_below(&world->prng, 2) == 0)
            world_kill(world, node);
        else
            world_leave(world, node);
        world_run_ms(world, prng_below(&world->prng, 300));
        if (host->state == HOST_DOWN && prng_below(&world->prng, 2) == 0)
            world_start(world, node);
    }
    trial->counts[0] += watch_until_one_view(world, ONE_VIEW_MS, "3 s after the last change");
}

/* In parts: two or three, for 10 s, 60 s, or longer than tombstones last. */
void check_heal(struct trial *trial)
{
    struct world *world = trial_begin(trial, 0);
    struct gossip_options *timers = &world->host_options.timers;
    timers->accept_ms = ACCEPT_MS;
    timers->cleanup_ms = CLEANUP_MS;
    const uint32_t lengths_s[] = {10, 60, timers->cleanup_ms / 1000 + 30};
    uint32_t length_s = lengths_s[prng_below(&world->prng, ARRAY_COUNT(lengths_s))];
    uint32_t parts = 2 + (uint32_t)prng_below(&world->prng, 2);
    watch_form(world, WATCH_FORM_MS);
    for (int is_cut = 1; is_cut >= 0; is_cut--) {
        trace_say(&world->trace, is_cut ? "split" : "heal", "parts=%u", parts);
        for (uint32_t i = 0; i < world->host_count; i++)
            for (uint32_t j = 0; j < world->host_count; j++)
                if (i % parts != j % parts)
                    world_cut(world, i, j, is_cut);
        if (is_cut)
            world_run_s(world, length_s);
    }
    struct watch *watch = watch_open(world);
    watch->forbids_deaths = true;
    trial->counts[0] += watch_until_one_view(world, timers->rejoin_ms + HEAL_MS, "after a split");
    world_run_s(world, 20);
    if (!world->has_failed && !watch_is_one_view(world))
        watch_complain(world, "20 s after a split");
    watch_close(watch);
}

/* The same, when only the first node stands in everybody's peers.txt. */
void check_heal_one_seed(struct trial *trial)
{
    trial->seed_count = 1;
    check_heal(trial);
}

/* Some are cut off, start anew without their state files, and so know nobody but the first node,
 * which stands in everybody's peers.txt. */
static void lose_each_other(struct world *world, const bool *is_away, bool is_cut)
{
    trace_say(&world->trace, is_cut ? "split" : "heal", "-");
    for (uint32_t i = 0; i < world->host_count; i++)
        for (uint32_t j = 0; j < world->host_count; j++)
            if (is_away[i] != is_away[j])
                world_cut(world, i, j, is_cut);
    for (uint32_t i = 0; is_cut && i < world->host_count; i++) {
        if (!is_away[i])
            continue;
        world_kill(world, i);
        world_forget(world, i);
        world_start(world, i);
    }
}

static bool are_forgotten(struct world *world, const void *arg)
{
    const bool *is_away = arg;
    for (uint32_t i = 0; i < world->host_count; i++)
        for (uint32_t j = 0; j < world->host_count; j++)
            if (is_away[i] != is_away[j] && watch_record(world, i, j))
                return false;
    return true;
}

/* Longer than tombstones last: neither side has any record of the other. */
void check_heal_forgotten(struct trial *trial)
{
    trial->seed_count = 1;
    struct world *world = trial_begin(trial, 0);
    struct gossip_options *timers = &world->host_options.timers;
    timers->accept_ms = ACCEPT_MS;
    timers->cleanup_ms = CLEANUP_MS;
    watch_form(world, WATCH_FORM_MS);
    (void)quiet_await(world, FORMED_MS, "forming");
    bool *is_away = calloc(world->host_count, sizeof(*is_away));
    CHECK(is_away != NULL);
    uint32_t others = world->host_count - 1; /* than the first */
    uint32_t first = (uint32_t)prng_below(&world->prng, others);
    uint32_t count = 1 + (uint32_t)prng_below(&world->prng, AWAY_MAX);
    for (uint32_t i = 0; i < count; i++)
        is_away[1 + (first + i) % others] = true;
    lose_each_other(world, is_away, true);
    watch_until(world, are_forgotten, is_away, 1000, CLEANUP_MS + GONE_MS, "not yet forgotten");
    lose_each_other(world, is_away, false);
    struct watch *watch = watch_open(world);
    watch->forbids_deaths = true;
    trial->counts[0] += count;
    trial->counts[1] +=
        watch_until_one_view(world, timers->rejoin_ms + HEAL_MS, "after a long split");
    watch_close(watch);
    free(is_away);
}
