/* Gossip: the start, seeds, and who is to be found again. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/gossip_parts.h"

#include <stdlib.h>
#include <string.h>

#define REJOIN_PAUSE_MS_MIN 500u  /* the first pause; doubles up to rejoin_ms */
#define REJOIN_ISOLATED_MS  1000u /* while this node is cut off */

void join_init(struct gossip *gossip, const struct view *seeds)
{
    gossip->seeds = calloc(seeds->member_count + 1, sizeof(*gossip->seeds));
    CHECK(gossip->seeds != NULL);
    for (uint32_t i = 0; i < seeds->member_count; i++) {
        if (strcmp(seeds->members[i].name, gossip->members.self->name) == 0)
            continue;
        gossip->seeds[gossip->seed_count++].name = seeds->members[i].name;
    }
    gossip->seed_next = 0;
    if (gossip->seed_count > 0)
        gossip->seed_next = (uint32_t)prng_below(&gossip->prng, gossip->seed_count);
}

/* The attempt to join is over, one way or the other: from now on one at a time is tried. */
static void end_join(struct gossip *gossip, struct moment now)
{
    if (gossip->has_joined)
        return;
    gossip->has_joined = true;
    gossip->rejoin_pause_ms = REJOIN_PAUSE_MS_MIN;
    gossip->rejoin_ms = now.mono_ms + gossip->rejoin_pause_ms;
    log_line(gossip->log, now, LOG_INFO, "joined", "members=%u seeds=%u",
             gossip->members.live_count, gossip->seed_count);
    /* Who introduces it does not reach the members behind it in name order by way of itself. */
    hear_spread_self(gossip, now);
}

/* Dials seeds in turn, a few at a time. */
static void dial_seeds(struct gossip *gossip, struct moment now)
{
    uint32_t dialling = 0, tried = 0;
    for (uint32_t i = 0; i < gossip->seed_count; i++) {
        dialling += gossip->seeds[i].is_dialled && !gossip->seeds[i].is_tried;
        tried += gossip->seeds[i].is_tried;
    }
    for (uint32_t step = 0; step < gossip->seed_count && dialling < JOIN_DIALS_MAX; step++) {
        struct seed *seed = &gossip->seeds[gossip->seed_next];
        gossip->seed_next = (gossip->seed_next + 1) % gossip->seed_count;
        if (seed->is_dialled)
            continue;
        seed->is_dialled = true;
        seed->number = exchange_ask_name(gossip, seed->name, now);
        seed->is_tried = seed->number == 0;
        dialling += !seed->is_tried;
        tried += seed->is_tried;
    }
    if (tried == gossip->seed_count)
        end_join(gossip, now);
}

void gossip_seed(struct gossip *gossip, const struct view *seeds, struct moment now)
{
    free(gossip->seeds);
    gossip->seed_count = 0;
    join_init(gossip, seeds);
    if (gossip->has_joined) {
        gossip->rejoin_pause_ms = REJOIN_PAUSE_MS_MIN;
        gossip->rejoin_ms = now.mono_ms;
    } else if (gossip->tick_ms != 0 && gossip->self_until_ms == 0) {
        dial_seeds(gossip, now);
    }
}

void join_self_known(struct gossip *gossip, struct moment now)
{
    if (gossip->self_until_ms == 0)
        return;
    gossip->self_until_ms = 0;
    gossip->join_until_ms = now.mono_ms + gossip->options.join_ms;
    gossip->round_ms = now.mono_ms + prng_below(&gossip->prng, gossip->options.gossip_ms + 1);
    dial_seeds(gossip, now);
}

/* Who starts asks its own name first: a second process of one name must not push the first out. */
void join_begin(struct gossip *gossip, struct moment now)
{
    gossip->self_until_ms = now.mono_ms + gossip->options.join_ms;
    links_wake(gossip->links, PEER_SELF, LANE_SELF);
    if (!links_to(gossip->links, PEER_SELF, LANE_SELF, now))
        join_self_known(gossip, now);
}

static struct seed *seed_find(struct gossip *gossip, const char *name)
{
    for (uint32_t i = 0; i < gossip->seed_count; i++)
        if (strcmp(gossip->seeds[i].name, name) == 0)
            return &gossip->seeds[i];
    return NULL;
}

void join_tried(struct gossip *gossip, uint32_t peer, bool has_answered, struct moment now)
{
    if (gossip->has_joined)
        return;
    struct seed *seed = seed_find(gossip, links_name(gossip->links, peer));
    if (seed && seed->is_dialled)
        seed->is_tried = true;
    if (has_answered)
        end_join(gossip, now);
    else
        dial_seeds(gossip, now);
}

/* --- afterwards ------------------------------------------------------------------------------- */

static bool is_missing(const struct gossip *gossip, const char *name)
{
    const struct account *record = members_find(&gossip->members, span_of_string(name));
    return !record || record->state != MEMBER_ALIVE;
}

/* The next seed that is no member, or not alive. */
static const char *missing_seed(struct gossip *gossip)
{
    for (uint32_t step = 0; step < gossip->seed_count && !MUTANT(seeds_once); step++) {
        const char *name = gossip->seeds[gossip->seed_next].name;
        gossip->seed_next = (gossip->seed_next + 1) % gossip->seed_count;
        if (is_missing(gossip, name))
            return name;
    }
    return NULL;
}

/* One of those that were members, or are about to be; the list turns. Who has left is let go. */
static const char *missing_member(struct gossip *gossip)
{
    struct list *lists[] = {&gossip->members.tombstones, &gossip->members.fading};
    uint32_t total = 0, chosen;
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++)
        for (struct list *link = lists[i]->next; link != lists[i]; link = link->next)
            total++;
    if (total == 0)
        return NULL;
    chosen = (uint32_t)prng_below(&gossip->prng, total);
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++)
        for (struct list *link = lists[i]->next; link != lists[i]; link = link->next)
            if (chosen-- == 0)
                return CONTAINER_OF(link, struct account, in_state)->name;
    return NULL;
}

static void rejoin(struct gossip *gossip, struct moment now)
{
    bool is_seed = prng_below(&gossip->prng, 2) == 0;
    const char *name = is_seed ? missing_seed(gossip) : missing_member(gossip);
    if (!name)
        name = is_seed ? missing_member(gossip) : missing_seed(gossip);
    if (!name) {
        gossip->rejoin_pause_ms = REJOIN_PAUSE_MS_MIN;
        return;
    }
    struct account *record = members_find(&gossip->members, span_of_string(name));
    if (record)
        wire_drop(gossip, record, now); /* what hangs there hangs for long */
    exchange_ask_name(gossip, name, now);
    gossip->rejoin_pause_ms *= 2;
    if (gossip->rejoin_pause_ms > gossip->options.rejoin_ms)
        gossip->rejoin_pause_ms = gossip->options.rejoin_ms;
}

void join_tick(struct gossip *gossip, struct moment now)
{
    if (gossip->self_until_ms != 0 && now.mono_ms >= gossip->self_until_ms)
        join_self_known(gossip, now);
    if (gossip->self_until_ms != 0)
        return;
    if (!gossip->has_joined && now.mono_ms >= gossip->join_until_ms)
        end_join(gossip, now);
    if (!gossip->has_joined || now.mono_ms < gossip->rejoin_ms || MUTANT(never_rejoins))
        return;
    rejoin(gossip, now);
    uint32_t pause_ms = gossip->rejoin_pause_ms;
    if (gossip->isolated_since_ms != 0 && pause_ms > REJOIN_ISOLATED_MS)
        pause_ms = REJOIN_ISOLATED_MS;
    /* The two sides of a split have missed each other at one moment: each node tries at its own. */
    gossip->rejoin_ms = now.mono_ms + pause_ms / 4 +
                        prng_below(&gossip->prng, (uint64_t)pause_ms - pause_ms / 4 + 1);
}

uint64_t join_deadline(const struct gossip *gossip)
{
    if (gossip->self_until_ms != 0)
        return gossip->self_until_ms;
    return gossip->has_joined ? gossip->rejoin_ms : gossip->join_until_ms;
}
