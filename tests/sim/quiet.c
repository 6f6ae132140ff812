#include "tests/sim/quiet.h"

#include "common/check.h"
#include "server/core/primary.h"
#include "server/core/views.h"
#include "server/store/copy.h"
#include "tests/sim/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define STEP_MS 100u

static bool runs(const struct host *host)
{
    return host->state == HOST_UP;
}

static struct views *views_of(const struct host *host)
{
    return node_views(host->node);
}

/* The host that runs as this member; NULL: none does. */
static const struct host *host_of(struct world *world, const struct member *member)
{
    uint32_t number;
    if (name_find(span_of_string(member->name), &number) == 0 || number >= world->host_count)
        return NULL;
    const struct host *host = &world->hosts[world->machine_of[number]];
    return runs(host) && host->generation == member->generation ? host : NULL;
}

/* All have the view of the first one, which has them all. */
static bool is_one_view(struct world *world, const struct host **first, char *why)
{
    uint32_t running = 0;
    *first = NULL;
    for (uint32_t i = 0; i < world->host_count; i++) {
        const struct host *host = &world->hosts[i];
        if (!runs(host))
            continue;
        running++;
        if (!*first)
            *first = host;
        if (views_epoch(views_of(host)) == views_epoch(views_of(*first)) &&
            views_epoch(views_of(host)) > 0)
            continue;
        snprintf(why, QUIET_WHY_BYTES, "n%" PRIu32 " has view %" PRIu32 ", n%" PRIu32 " %" PRIu32,
                 (*first)->number + 1, views_epoch(views_of(*first)), i + 1,
                 views_epoch(views_of(host)));
        return false;
    }
    if (!*first)
        return true;
    const struct view *view = views_current(views_of(*first));
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct member *member = &view->members[i];
        if (member_is_full(member) && member_is_up(member) && !member->is_leaving &&
            host_of(world, member))
            continue;
        snprintf(why, QUIET_WHY_BYTES, "view %" PRIu32 " has %s, %s and %s%s", view->epoch,
                 member->name, member_role_word(member->role),
                 member_standing_word(member->standing),
                 host_of(world, member) ? "" : ", which does not run");
        return false;
    }
    if (view->member_count != running)
        snprintf(why, QUIET_WHY_BYTES, "view %" PRIu32 " has %" PRIu32 " members, %" PRIu32 " run",
                 view->epoch, view->member_count, running);
    return view->member_count == running;
}

/* A slot, by the ring that all have. */
static bool is_slot_quiet(struct world *world, const struct host *first, uint32_t slot,
                          uint8_t *in_group, char *why)
{
    struct views *views = views_of(first);
    const struct view *view = views_current(views);
    const struct ring *ring = views_ring(views, view->epoch);
    memset(in_group, 0, world->host_count);
    const struct host *leader = host_of(world, &view->members[ring->primary[slot]]);
    const struct run *run = primary_run(node_primary(leader->node), slot);
    if (!run || run->state != RUN_ACTIVE) {
        snprintf(why, QUIET_WHY_BYTES, "slot %" PRIu32 " is not active at n%" PRIu32, slot,
                 leader->number + 1);
        return false;
    }
    uint64_t ver = store_ver(leader->store, slot);
    for (uint32_t i = 0; i < ring->group_size; i++) {
        const struct host *host = host_of(world, &view->members[ring->group[slot][i]]);
        const struct copy *copy = store_copy(host->store, slot);
        in_group[host->number] = 1;
        if (copy->act == view->epoch && copy->is_clean && store_ver(host->store, slot) == ver)
            continue;
        snprintf(why, QUIET_WHY_BYTES,
                 "the copy of slot %" PRIu32 " at n%" PRIu32 " is (%" PRIu32 ", %" PRIx64
                 ")%s, that of its primary n%" PRIu32 " (%" PRIu32 ", %" PRIx64 ")",
                 slot, host->number + 1, copy->act, store_ver(host->store, slot),
                 copy->is_clean ? "" : ", not clean", leader->number + 1, view->epoch, ver);
        return false;
    }
    for (uint32_t i = 0; i < world->host_count; i++) {
        const struct host *host = &world->hosts[i];
        if (!runs(host) || in_group[i])
            continue;
        const struct copy *copy = store_copy(host->store, slot);
        if (copy->act == 0 && store_ver(host->store, slot) == 0)
            continue;
        snprintf(why, QUIET_WHY_BYTES, "n%" PRIu32 " has a copy of slot %" PRIu32 ", act %" PRIu32,
                 i + 1, slot, copy->act);
        return false;
    }
    return true;
}

bool quiet_holds(struct world *world, char why[QUIET_WHY_BYTES])
{
    const struct host *first;
    why[0] = '\0';
    if (!is_one_view(world, &first, why))
        return false;
    uint8_t *in_group = calloc(world->host_count, 1);
    CHECK(in_group != NULL);
    bool holds = true;
    for (uint32_t slot = 0; first && holds && slot < SLOT_COUNT; slot++)
        holds = is_slot_quiet(world, first, slot, in_group, why);
    free(in_group);
    return holds;
}

uint64_t quiet_wait(struct world *world, uint64_t limit_ms, char why[QUIET_WHY_BYTES])
{
    uint64_t passed_ms = 0;
    while (passed_ms <= limit_ms && !world->has_failed && !quiet_holds(world, why)) {
        world_run_ms(world, STEP_MS);
        passed_ms += STEP_MS;
    }
    return passed_ms;
}

uint64_t quiet_await(struct world *world, uint64_t limit_ms, const char *what)
{
    char why[QUIET_WHY_BYTES];
    uint64_t took_ms = quiet_wait(world, limit_ms, why);
    if (took_ms > limit_ms)
        quiet_explain(world);
    if (took_ms > limit_ms)
        world_fail(world, "%s: not quiet after %.1f s: %s", what, (double)limit_ms / 1000, why);
    return took_ms;
}

/* One slot, if it has sessions with nodes that run and are not synced. Returns whether it has. */
static bool explain_run(struct world *world, const struct host *host, const struct run *run)
{
    static const char *const states[] = {"collecting", "pulling", "leading", "active"};
    const struct view *view = views_current(views_of(host));
    struct buf text = {0};
    for (uint32_t i = 0; i < run->member_count; i++)
        if (!(run->synced >> i & 1) && host_of(world, &view->members[run->members[i]]))
            buf_printf(&text, " %s%s%s%s%s%s", view->members[run->members[i]].name,
                       i < run->backup_count ? "" : ":learner", run->open >> i & 1 ? ":open" : "",
                       run->full >> i & 1 ? ":full" : "", run->paused >> i & 1 ? ":paused" : "",
                       run->unfit >> i & 1 ? ":unfit" : "");
    bool is_any = buf_len(&text) > 0 || run->state != RUN_ACTIVE;
    if (is_any)
        trace_say(&world->trace, "not-synced",
                  "node=n%" PRIu32 " slot=%" PRIu32 " state=%s with=\"%.*s\"", host->number + 1,
                  run->slot, states[run->state], (int)buf_len(&text),
                  buf_span(&text).data ? buf_span(&text).data : "");
    buf_close(&text);
    return is_any;
}

void quiet_explain(struct world *world)
{
    for (uint32_t i = 0; i < world->host_count; i++) {
        const struct host *host = &world->hosts[i];
        uint32_t shown = 0;
        if (!runs(host)) {
            trace_say(&world->trace, "not-running", "node=n%" PRIu32, i + 1);
            continue;
        }
        trace_say(&world->trace, "stands",
                  "node=n%" PRIu32 " generation=%" PRIx64 " epoch=%" PRIu32 " next=%d used=%" PRIu64
                  " limit=%" PRIu64,
                  i + 1, host->generation, views_epoch(views_of(host)),
                  views_epoch(views_of(host)) > 0 && views_next_ring(views_of(host)) != NULL,
                  host->budget.used_bytes, host->budget.limit_bytes);
        for (uint32_t slot = 0; slot < SLOT_COUNT && shown < 4; slot++) {
            const struct run *run = primary_run(node_primary(host->node), slot);
            if (!run || (run->state == RUN_ACTIVE && run->synced == (1u << run->member_count) - 1))
                continue;
            shown += explain_run(world, host, run);
        }
    }
}

bool quiet_is_stuck(struct world *world)
{
    for (uint32_t i = 0; i < world->host_count; i++) {
        struct primary_counts counts;
        if (!runs(&world->hosts[i]))
            continue;
        primary_count(node_primary(world->hosts[i].node), &counts);
        if (counts.collecting > 0)
            return true;
    }
    return false;
}
