/* Rules 3 and 4: leading a slot, bringing backups and learners, when it is active. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/primary_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Between two tries to have a session that has been refused; that found no memory. */
#define RETRY_MS      200u
#define RETRY_FULL_MS 10000u
/* ADVANCEs to one member at a turn: origins of more epochs are synced instead. */
#define ADVANCES_MAX 4u

static uint32_t backups_synced(const struct run *run)
{
    uint32_t mask = (1u << run->backup_count) - 1;
    if (MUTANT(active_learners))
        mask = UINT32_MAX;
    return bits_count(run->synced & mask);
}

/* "A primary that has given seq 2^40-1 stops writing and proposes the next view." It stops a little
 * earlier, because one command may take several versions. */
static bool is_exhausted(const struct primary *primary, const struct run *run)
{
    return copy_ends_in(primary->setup.store, run->slot, primary->epoch) &&
           store_version_seq(store_ver(primary->setup.store, run->slot)) >= STORE_SEQ_LAST;
}

static enum serving serving_of(const struct primary *primary, const struct run *run)
{
    if (run->state != RUN_ACTIVE || is_exhausted(primary, run))
        return SERVING_NOT;
    if (run->member_count == 0)
        return SERVING_ALONE;
    /* "while fewer than W-1 backups are synced nothing is executed" */
    if (backups_synced(run) >= run_acks(run))
        return SERVING_COPIED;
    uint32_t full = bits_count(run->full & ((1u << run->backup_count) - 1));
    return run->group_size - full < quorum_majority(run->group_size) ? SERVING_FULL : SERVING_NOT;
}

static void activate(struct primary *primary, struct run *run)
{
    run->state = RUN_ACTIVE;
    if (MUTANT(lead_unrecorded))
        copy_lead(primary->setup.store, run->slot, primary->epoch);
    copy_set_alone(primary->setup.store, run->slot, run->member_count == 0);
    views_report_active(primary->setup.views, run->slot, true);
}

/* What each request would otherwise find out of the run, a cold line of memory. */
static void note_listeners(struct primary *primary, const struct run *run)
{
    struct listeners *listeners = &primary->listeners[run->slot];
    *listeners = (struct listeners){.is_led = true, .acks = (uint8_t)run_acks(run)};
    for (uint32_t k = 0; k < run->backup_count; k++)
        if ((run->open & 1u << k) && ((run->synced & 1u << k) || MUTANT(unsynced_counts)))
            listeners->members[listeners->count++] = run->members[k];
}

/* A planted bug: as if those that are down were not of the group. */
static uint32_t group_up(const struct primary *primary, const struct run *run)
{
    uint32_t up = 1;
    for (uint32_t k = 0; k < run->backup_count; k++)
        up += member_is_up(&primary->view->members[run->members[k]]);
    return up;
}

void primary_judge(struct primary *primary, struct run *run)
{
    note_listeners(primary, run);
    /* "The slot is active, and served, when W members of group(e',s) have recorded act = e'." */
    uint32_t recorded = 1 + backups_synced(run);
    uint32_t size = MUTANT(active_up_only) ? group_up(primary, run) : run->group_size;
    if (run->state == RUN_LEADING && (recorded >= quorum_majority(size) || MUTANT(active_few)))
        activate(primary, run);
    enum serving serving = serving_of(primary, run);
    if (is_exhausted(primary, run))
        primary->is_next_wanted = true;
    if (serving == primary->serving[run->slot])
        return;
    primary->serving[run->slot] = (uint8_t)serving;
    if (serving == SERVING_NOT || primary->is_ready[run->slot])
        return;
    CHECK(primary->ready_count < SLOT_COUNT);
    primary->ready[primary->ready_count++] = run->slot;
    primary->is_ready[run->slot] = true;
}

/* "Record act = e', clean; keep origin = (act, ver) of the chosen copy if that was clean." */
void primary_lead(struct primary *primary, struct run *run, const struct collect_answer *origin)
{
    CHECK(run->state == RUN_COLLECTING || run->state == RUN_PULLING);
    CHECK(store_ver(primary->setup.store, run->slot) == origin->ver);
    run->state = RUN_LEADING;
    run->has_origin = origin->is_clean || MUTANT(origin_unclean);
    run->origin_act = origin->act;
    run->origin_ver = origin->ver;
    if (!MUTANT(lead_unrecorded))
        copy_lead(primary->setup.store, run->slot, primary->epoch);
    primary->is_bring_due = true;
    primary->chosen_count++;
    primary->unclean_count += !origin->is_clean;
    primary_judge(primary, run);
}

/* ---- sessions ---- */

static void note_open(struct run *run, uint32_t k, uint64_t sid)
{
    run->open |= (uint8_t)(1u << k);
    run->sid[k] = sid;
}

static enum sync_rank rank_of(const struct run *run, uint32_t k)
{
    if (k >= run->backup_count)
        return SYNC_FOR_LEARNER;
    return backups_synced(run) < run_acks(run) ? SYNC_FOR_QUORUM : SYNC_FOR_GROUP;
}

/* "A backup whose (act, ver) equals origin, clean, has the primary's copy already: as long as the
 * primary has written nothing in e', ADVANCE(origin) instead of a sync makes it record act = e'".
 */
static bool may_advance(const struct primary *primary, const struct run *run, uint32_t k)
{
    return run->has_origin && k < run->backup_count && !(run->unfit & 1u << k) &&
           !copy_ends_in(primary->setup.store, run->slot, primary->epoch);
}

/* Whether another process of the member's name answers: until that link has ended it is offered
 * nothing. */
static bool is_stranger(const struct primary *primary, const struct ally *ally)
{
    const struct link *link = links_dialled(primary->setup.links, ally->peer, LANE_DATA);
    return link->state == LINK_UP && link->generation != ally->generation;
}

/* Bits: the members that have no session and are to have one, unless they cannot. */
static uint32_t missing_of(const struct run *run)
{
    uint32_t all = (1u << run->member_count) - 1;
    bool may_begin = run->state >= RUN_LEADING || MUTANT(backups_early);
    return may_begin ? all & ~(uint32_t)(run->open | run->paused) : 0;
}

static bool can_have(const struct ally *ally)
{
    return !ally->is_barred && !ally->is_stranger;
}

/* The place of a member among a run's, or -1. */
static int place_of(const struct run *run, uint32_t member)
{
    for (uint32_t k = 0; k < run->member_count; k++)
        if (run->members[k] == member)
            return (int)k;
    return -1;
}

/* One ADVANCE: all slots of one origin's epoch that the member backs and that can go that way. The
 * slots are marked in scratch. Returns how many. */
static uint32_t gather(struct primary *primary, uint32_t member, struct sync_advance *advance,
                       struct sync_check *checks)
{
    uint32_t count = 0;
    memset(primary->scratch, 0, SLOT_COUNT * sizeof(bool));
    for (uint32_t i = 0; i < primary->run_count; i++) {
        const struct run *run = &primary->runs[i];
        uint32_t missing = missing_of(run);
        int k = missing ? place_of(run, member) : -1;
        if (k < 0 || !(missing & 1u << k) || !may_advance(primary, run, (uint32_t)k) ||
            (count > 0 && run->origin_act != advance->act))
            continue;
        if (count++ == 0)
            advance->act = run->origin_act;
        primary->scratch[run->slot] = true;
        if (!(run->known & 1u << k))
            checks[advance->check_count++] =
                (struct sync_check){.slot = run->slot, .ver = run->origin_ver};
    }
    return count;
}

static void note_advanced(struct primary *primary, uint32_t member, uint64_t sid)
{
    for (uint32_t i = 0; i < primary->run_count; i++) {
        struct run *run = &primary->runs[i];
        if (primary->scratch[run->slot])
            note_open(run, (uint32_t)place_of(run, member), sid);
    }
}

/* Advances what can be, to a member that can be reached. */
static void advance_all(struct primary *primary, uint32_t member, struct moment now)
{
    const struct ally *ally = &primary->allies[member];
    struct sync_check *checks = malloc(SLOT_COUNT * sizeof(*checks));
    CHECK(checks != NULL);
    for (uint32_t i = 0; i < ADVANCES_MAX; i++) {
        struct sync_advance advance = {.slots = primary->scratch, .checks = checks};
        if (gather(primary, member, &advance, checks) == 0)
            break;
        uint64_t sid =
            sync_advance(primary->setup.sync, ally->peer, ally->generation, &advance, now);
        if (sid == 0)
            break;
        note_advanced(primary, member, sid);
    }
    free(checks);
}

static void offer(struct primary *primary, struct run *run, uint32_t k, struct moment now)
{
    const struct ally *ally = &primary->allies[run->members[k]];
    run->unfit |= (uint8_t)(1u << k);
    note_open(run, k,
              sync_offer(primary->setup.sync, run->slot, ally->peer, ally->generation,
                         rank_of(run, k), now));
}

/* A round looks at all slots, and asks of each ally once. */
static void begin_round(struct primary *primary)
{
    primary->is_bring_due = false;
    for (uint32_t i = 0; i < primary->view->member_count; i++) {
        struct ally *ally = &primary->allies[i];
        ally->is_stranger = !ally->is_barred && i != primary->self && is_stranger(primary, ally);
        ally->is_asked_up = ally->is_advanced_to = false;
    }
}

static bool is_up(struct primary *primary, struct ally *ally, struct moment now)
{
    if (!ally->is_asked_up)
        ally->is_up = sync_is_up(primary->setup.sync, ally->peer, ally->generation, now);
    ally->is_asked_up = true;
    return ally->is_up;
}

/* Advances whom that can be done to. Returns whether some cannot be reached yet. */
static bool advance_to_all(struct primary *primary, struct moment now)
{
    bool is_waiting = false;
    for (uint32_t i = 0; i < primary->run_count; i++) {
        const struct run *run = &primary->runs[i];
        for (uint32_t left = missing_of(run); left; left &= left - 1) {
            uint32_t k = (uint32_t)__builtin_ctz(left);
            struct ally *ally = &primary->allies[run->members[k]];
            if (ally->is_advanced_to || !can_have(ally) || !may_advance(primary, run, k))
                continue;
            ally->is_advanced_to = true;
            if (is_up(primary, ally, now))
                advance_all(primary, run->members[k], now);
            else
                is_waiting = true;
        }
    }
    return is_waiting;
}

/* Whether all members of a run have a session, or are to have none for now. */
static bool is_brought(const struct run *run)
{
    uint32_t all = (1u << run->member_count) - 1;
    return ((run->open | run->paused) & all) == all;
}

void primary_bring(struct primary *primary, struct moment now)
{
    begin_round(primary);
    bool is_waiting = advance_to_all(primary, now);
    for (uint32_t i = 0; i < primary->run_count; i++) {
        struct run *run = &primary->runs[i];
        for (uint32_t k = 0; !is_brought(run) && k < run->member_count; k++) {
            struct ally *ally = &primary->allies[run->members[k]];
            bool waits = is_waiting && may_advance(primary, run, k) && !is_up(primary, ally, now);
            if (!waits && (missing_of(run) & 1u << k) && can_have(ally))
                offer(primary, run, k, now);
        }
    }
    if (is_waiting && primary->bring_ms > now.mono_ms + RETRY_MS)
        primary->bring_ms = now.mono_ms + RETRY_MS; /* dialling is sync's; it is asked again */
}

/* The place of the session that an event is about, or -1 if that is no more. */
static int session_of(const struct primary *primary, const struct run *run,
                      const struct sync_event *event)
{
    for (uint32_t k = 0; k < run->member_count; k++)
        if ((run->open & 1u << k) && run->sid[k] == event->sid &&
            primary->allies[run->members[k]].peer == event->peer)
            return (int)k;
    return -1;
}

/* The quorum is there: clients wait for no other backup's copy any more. */
static void lower_others(struct primary *primary, const struct run *run)
{
    for (uint32_t k = 0; k < run->backup_count; k++) {
        bool is_offered = run->open & run->unfit & ~run->synced & 1u << k;
        if (is_offered && member_is_up(&primary->view->members[run->members[k]]))
            sync_lower(primary->setup.sync, run->slot, primary->allies[run->members[k]].peer,
                       SYNC_FOR_GROUP);
    }
}

void primary_became(struct primary *primary, struct run *run, const struct sync_event *event)
{
    int k = session_of(primary, run, event);
    if (k < 0)
        return;
    run->synced |= (uint8_t)(1u << k);
    run->full &= (uint8_t) ~(1u << k);
    if (backups_synced(run) == run_acks(run))
        lower_others(primary, run);
    primary_judge(primary, run);
}

static void pause_until(struct primary *primary, struct run *run, uint32_t k, uint64_t ms)
{
    run->paused |= (uint8_t)(1u << k);
    if (run->retry_ms > ms)
        run->retry_ms = ms;
    if (primary->bring_ms > ms)
        primary->bring_ms = ms;
}

void primary_ended(struct primary *primary, struct run *run, const struct sync_event *event,
                   struct moment now)
{
    int place = session_of(primary, run, event);
    if (place < 0)
        return;
    uint32_t k = (uint32_t)place;
    bool was_offered = run->unfit & 1u << k;
    run->open &= (uint8_t) ~(1u << k);
    run->synced &= (uint8_t) ~(1u << k);
    primary->is_bring_due = true;
    switch (event->why) {
    case SYNC_ENDED_NOSYNC:
        run->unfit |= (uint8_t)(1u << k);
        if (was_offered)
            pause_until(primary, run, k, now.mono_ms + RETRY_MS);
        break;
    case SYNC_ENDED_FULL:
        /* "the primary tries anew every 10 s" */
        run->full |= (uint8_t)(1u << k);
        pause_until(primary, run, k, now.mono_ms + RETRY_FULL_MS);
        break;
    case SYNC_ENDED_SLOW:
        pause_until(primary, run, k, now.mono_ms + RETRY_MS);
        break;
    default:
        break;
    }
    primary_judge(primary, run);
}
