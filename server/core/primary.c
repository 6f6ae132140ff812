#include "server/core/primary.h"

#include "common/check.h"
#include "server/core/primary_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GONE_LOOK_MS    200u
#define FLOOR_LOOK_MS   5000u
#define HOLDING_LOOK_MS 1000u

void primary_init(struct primary *primary, const struct primary_setup *setup)
{
    *primary = (struct primary){.setup = *setup,
                                .self = RING_NOBODY,
                                .ready = calloc(SLOT_COUNT, sizeof(uint16_t)),
                                .scratch = calloc(SLOT_COUNT, sizeof(bool)),
                                .ask_ms = UINT64_MAX,
                                .bring_ms = UINT64_MAX};
    CHECK(primary->ready != NULL);
    CHECK(primary->scratch != NULL);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        primary->run_of[slot] = RING_NOBODY;
}

void primary_close(struct primary *primary)
{
    primary_drop_givers(primary);
    free(primary->runs);
    free(primary->allies);
    free(primary->ready);
    free(primary->scratch);
    *primary = (struct primary){0};
}

/* ---- a view adopted ---- */

/* What is known of the backups of a run that ends. */
struct past {
    uint32_t epoch;
    struct run *runs;
    uint32_t run_count;
    struct ally *allies;
    uint16_t run_of[SLOT_COUNT];
};

/* Which backups had acknowledged everything: "the sender may leave unchecked only a slot it led
 * itself in a and whose last version this backup had acknowledged". Asked before sync forgets. */
static void note_known(struct primary *primary)
{
    for (uint32_t i = 0; i < primary->run_count; i++) {
        struct run *run = &primary->runs[i];
        uint64_t ver = store_ver(primary->setup.store, run->slot);
        run->known = 0;
        for (uint32_t k = 0; k < run->backup_count; k++) {
            struct sync_session_view session;
            if (!(run->synced & 1u << k))
                continue;
            sync_session(primary->setup.sync, run->slot, primary->allies[run->members[k]].peer,
                         &session);
            if (session.state == SYNC_SYNCED && session.acked == ver)
                run->known |= (uint8_t)(1u << k);
        }
    }
}

static void take_past(struct primary *primary, struct past *past)
{
    note_known(primary);
    past->epoch = primary->epoch;
    past->runs = primary->runs;
    past->run_count = primary->run_count;
    past->allies = primary->allies;
    memcpy(past->run_of, primary->run_of, sizeof(past->run_of));
    primary->runs = NULL;
    primary->run_count = 0;
    primary->allies = NULL;
}

/* Whether a later process of the member's name stands in the view too, so that this one is no more:
 * superseded, or replaced since. Members of a name stand in the order of their boots. */
static bool is_outlived(const struct view *view, uint32_t member)
{
    return member + 1 < view->member_count &&
           strcmp(view->members[member].name, view->members[member + 1].name) == 0;
}

static void make_allies(struct primary *primary)
{
    const struct view *view = primary->view;
    primary->allies = calloc(view->member_count, sizeof(struct ally));
    CHECK(primary->allies != NULL);
    for (uint32_t i = 0; i < view->member_count; i++)
        primary->allies[i] =
            (struct ally){.peer = views_member_peer(primary->setup.views, i),
                          .generation = view->members[i].generation,
                          .is_barred = view->members[i].standing == STANDING_SUPERSEDED};
    for (uint32_t i = 0; i < view->member_count; i++)
        if (primary->allies[i].peer == PEER_NONE || is_outlived(view, i))
            primary->allies[i].is_barred = true;
}

/* Whom the slot's copies are to reach: the others of its group; learners, who would be in the group
 * in the next placement. */
static void fill_members(struct primary *primary, struct run *run, const struct ring *next)
{
    const struct ring *ring = primary->ring;
    for (uint32_t i = 0; i < ring->group_size; i++)
        if (ring->group[run->slot][i] != primary->self)
            run->members[run->member_count++] = ring->group[run->slot][i];
    run->group_size = (uint8_t)ring->group_size;
    run->backup_count = run->member_count;
    CHECK(run->backup_count + 1 == run->group_size);
    for (uint32_t i = 0; next && i < next->group_size; i++) {
        uint16_t member = next->group[run->slot][i];
        if (member != primary->self && !ring_has(ring, run->slot, member))
            run->members[run->member_count++] = member;
    }
}

/* Which backups are known to have what this node had when the last view ended. */
static void fill_known(const struct primary *primary, struct run *run, const struct past *past)
{
    uint16_t index = past->run_of[run->slot];
    if (index == RING_NOBODY || index >= past->run_count)
        return;
    const struct run *before = &past->runs[index];
    uint32_t act = store_copy(primary->setup.store, run->slot)->act;
    if (before->state < RUN_LEADING || act != past->epoch)
        return;
    for (uint32_t k = 0; k < before->backup_count; k++) {
        const struct ally *was = &past->allies[before->members[k]];
        for (uint32_t i = 0; i < run->backup_count; i++) {
            const struct ally *is = &primary->allies[run->members[i]];
            if ((before->known & 1u << k) && is->peer == was->peer &&
                is->generation == was->generation)
                run->known |= (uint8_t)(1u << i);
        }
    }
}

static bool is_led(const struct primary *primary, uint32_t slot)
{
    return primary->may_lead && primary->self != RING_NOBODY &&
           primary->ring->primary[slot] == primary->self;
}

static void make_runs(struct primary *primary, const struct past *past)
{
    const struct ring *next = views_next_ring(primary->setup.views);
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        count += is_led(primary, slot);
    primary->runs = calloc(count + 1, sizeof(struct run));
    CHECK(primary->runs != NULL);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        primary->run_of[slot] = RING_NOBODY;
        copy_unlead(primary->setup.store, slot); /* until it is led in this epoch */
        if (!is_led(primary, slot))
            continue;
        primary->run_of[slot] = (uint16_t)primary->run_count;
        struct run *run = &primary->runs[primary->run_count++];
        *run = (struct run){.slot = (uint16_t)slot, .retry_ms = UINT64_MAX};
        fill_members(primary, run, next);
        fill_known(primary, run, past);
    }
}

static void forget_ready(struct primary *primary)
{
    primary->ready_count = primary->ready_taken = 0;
    memset(primary->is_ready, 0, sizeof(primary->is_ready));
    memset(primary->serving, SERVING_NOT, sizeof(primary->serving));
    memset(primary->listeners, 0, sizeof(primary->listeners));
}

/* One line for all slots whose copy has been chosen in this turn. */
static void log_chosen(struct primary *primary, struct moment now)
{
    if (LIKELY(primary->chosen_count == 0))
        return;
    log_line(primary->setup.log, now, LOG_DEBUG, "copies-chosen",
             "epoch=%" PRIu32 " slots=%" PRIu32 " unclean=%" PRIu32 " left=%" PRIu32,
             primary->epoch, primary->chosen_count, primary->unclean_count,
             primary->unsettled_count);
    primary->chosen_count = primary->unclean_count = 0;
}

void primary_adopted(struct primary *primary, struct moment now)
{
    log_chosen(primary, now);
    struct past *past = malloc(sizeof(*past));
    CHECK(past != NULL);
    take_past(primary, past);
    struct views *views = primary->setup.views;
    uint32_t self = views_self(views);
    primary->view = views_current(views);
    CHECK(primary->view != NULL);
    CHECK(primary->view->epoch > primary->epoch);
    primary->epoch = primary->view->epoch;
    primary->ring = views_ring(views, primary->epoch);
    primary->self = self == VIEW_NOBODY ? RING_NOBODY : (uint16_t)self;
    primary->may_lead = views_may_lead(views);
    forget_ready(primary);
    sync_seal(primary->setup.sync, primary->view, primary->ring, primary->self, now);
    sync_refuse(primary->setup.sync, views_is_stopping(views));
    make_allies(primary);
    make_runs(primary, past);
    primary_make_givers(primary);
    primary_begin(primary, now);
    primary->looks_back = true;
    primary->gone_ms = now.mono_ms + GONE_LOOK_MS;
    primary->floor_ms = now.mono_ms + FLOOR_LOOK_MS;
    primary->holding_ms = now.mono_ms + HOLDING_LOOK_MS;
    free(past->runs);
    free(past->allies);
    free(past);
    log_line(primary->setup.log, now, LOG_INFO, "slots-led",
             "epoch=%" PRIu32 " led=%" PRIu32 " asked=%" PRIu32, primary->epoch, primary->run_count,
             primary->unsettled_count);
}

/* ---- events ---- */

enum err primary_message(struct primary *primary, const struct link *link,
                         const struct message *message, struct reply *out, struct moment now)
{
    switch (message->kind) {
    case MESSAGE_COLLECT:
        return primary_answer_collect(primary, message, out);
    case MESSAGE_COPIES:
        return primary_take_copies(primary, link, message, now);
    case MESSAGE_HOLDING:
        return primary_take_holding(primary, message->body, out);
    case MESSAGE_ACTIVE:
        return primary_take_active(primary, message->body);
    default:
        return ERR_SYNTAX;
    }
}

void primary_link(struct primary *primary, const struct link_news *news, struct moment now)
{
    if (primary->epoch == 0 || news->lane != LANE_DATA || !news->is_dialled)
        return;
    primary->is_bring_due = true; /* who answers there may be another than before */
    if (news->change == LINK_CAME_UP)
        primary_giver_up(primary, news->peer, now);
    else
        primary_giver_lost(primary, news->peer, now);
}

/* The copy here is synced: a learner says so. */
static void received(struct primary *primary, uint32_t slot)
{
    const struct ring *next = views_next_ring(primary->setup.views);
    if (next && primary->self != RING_NOBODY && ring_has(next, slot, primary->self) &&
        !ring_has(primary->ring, slot, primary->self))
        views_report_synced(primary->setup.views, slot, true);
}

/* Events of a session that has been replaced meanwhile are none: sid tells. */
static void run_event(struct primary *primary, const struct sync_event *event, struct moment now)
{
    struct run *run = primary_run(primary, event->slot);
    if (!run)
        return;
    switch (event->change) {
    case SYNC_BECAME:
        primary_became(primary, run, event);
        break;
    case SYNC_ENDED:
        primary_ended(primary, run, event, now);
        break;
    case SYNC_PULLED:
        primary_pulled(primary, run, event);
        break;
    default:
        CHECK(event->change == SYNC_PULL_FAILED);
        primary_pull_failed(primary, run, event, now);
        break;
    }
}

void primary_sync(struct primary *primary, const struct sync_event *event, struct moment now)
{
    switch (event->change) {
    case SYNC_UP:
        primary->is_bring_due = true;
        break;
    case SYNC_RECEIVED:
        received(primary, event->slot);
        break;
    case SYNC_UNRECEIVED:
        if (!sync_is_received_synced(primary->setup.sync, event->slot))
            views_report_synced(primary->setup.views, event->slot, false);
        break;
    case SYNC_ACKED:
        break;
    default:
        run_event(primary, event, now);
        break;
    }
}

/* Sessions that rested may be begun anew. */
static void end_pauses(struct primary *primary, struct moment now)
{
    primary->bring_ms = UINT64_MAX;
    for (uint32_t i = 0; i < primary->run_count; i++) {
        struct run *run = &primary->runs[i];
        if (run->retry_ms <= now.mono_ms) {
            run->retry_ms = UINT64_MAX;
            run->paused = 0;
        } else if (run->retry_ms < primary->bring_ms) {
            primary->bring_ms = run->retry_ms;
        }
    }
}

void primary_flush(struct primary *primary, struct moment now)
{
    if (primary->epoch == 0)
        return;
    log_chosen(primary, now);
    if (primary->is_next_wanted)
        views_want_next(primary->setup.views, now);
    primary->is_next_wanted = false;
    if (now.mono_ms >= primary->ask_ms)
        primary_ask(primary, now);
    if (now.mono_ms >= primary->bring_ms) {
        end_pauses(primary, now);
        primary->is_bring_due = true;
    }
    if (primary->is_bring_due)
        primary_bring(primary, now);
    if (UNLIKELY(primary->looks_back && primary->unsettled_count == 0)) {
        primary->looks_back = false;
        (void)views_forget_rings(primary->setup.views);
    }
}

void primary_tick(struct primary *primary, struct moment now)
{
    if (primary->epoch == 0)
        return;
    if (now.mono_ms >= primary->gone_ms) {
        primary->gone_ms = now.mono_ms + GONE_LOOK_MS;
        if (primary->unsettled_count > 0)
            primary_look_who_is_gone(primary, now);
    }
    if (now.mono_ms >= primary->floor_ms) {
        primary->floor_ms = now.mono_ms + FLOOR_LOOK_MS;
        primary_look_at_floors(primary);
    }
    if (now.mono_ms >= primary->holding_ms) {
        primary->holding_ms = now.mono_ms + HOLDING_LOOK_MS;
        primary_ask_holding(primary, now);
        sync_refuse(primary->setup.sync, views_is_stopping(primary->setup.views));
    }
}

uint64_t primary_deadline(const struct primary *primary)
{
    if (primary->epoch == 0)
        return UINT64_MAX;
    const uint64_t deadlines[] = {primary->ask_ms, primary->bring_ms, primary->floor_ms,
                                  primary->holding_ms,
                                  primary->unsettled_count > 0 ? primary->gone_ms : UINT64_MAX};
    uint64_t earliest = UINT64_MAX;
    for (size_t i = 0; i < ARRAY_COUNT(deadlines); i++)
        earliest = deadlines[i] < earliest ? deadlines[i] : earliest;
    return earliest;
}

bool primary_take_ready(struct primary *primary, uint32_t *slot)
{
    if (LIKELY(primary->ready_taken == primary->ready_count)) {
        primary->ready_taken = primary->ready_count = 0;
        return false;
    }
    *slot = primary->ready[primary->ready_taken++];
    primary->is_ready[*slot] = false;
    return true;
}

void primary_note_write(struct primary *primary, uint32_t slot, uint64_t version)
{
    struct run *run = primary_run(primary, slot);
    CHECK(run != NULL);
    CHECK(version >> STORE_SEQ_BITS == primary->epoch);
    if (UNLIKELY(store_version_seq(version) >= STORE_SEQ_LAST))
        primary_judge(primary, run);
}

/* ---- for people and tests ---- */

void primary_count(const struct primary *primary, struct primary_counts *counts)
{
    *counts =
        (struct primary_counts){.led = primary->run_count, .collecting = primary->unsettled_count};
    for (uint32_t i = 0; i < primary->run_count; i++) {
        const struct run *run = &primary->runs[i];
        uint8_t backups = (uint8_t)((1u << run->backup_count) - 1);
        enum serving serving = primary_serving(primary, run->slot);
        if (serving == SERVING_NOT || serving == SERVING_FULL)
            counts->unavailable++;
        else if ((run->synced & backups) == backups)
            counts->whole++;
        else
            counts->under_replicated++;
        counts->full += (run->full & backups) != 0;
    }
}

void primary_check(const struct primary *primary)
{
    uint32_t unsettled = 0;
    for (uint32_t i = 0; i < primary->run_count; i++) {
        const struct run *run = &primary->runs[i];
        uint32_t synced = bits_count(run->synced & ((1u << run->backup_count) - 1));
        enum serving serving = primary_serving(primary, run->slot);
        CHECK(primary->run_of[run->slot] == i);
        CHECK((run->synced & ~run->open) == 0);
        CHECK((run->open & run->paused) == 0);
        CHECK(run->open == 0 || run->state >= RUN_LEADING);
        CHECK(run->state < RUN_LEADING ||
              store_copy(primary->setup.store, run->slot)->act == primary->epoch);
        CHECK(serving != SERVING_COPIED || synced >= run_acks(run));
        CHECK(serving != SERVING_COPIED || primary->listeners[run->slot].count == synced);
        CHECK(serving != SERVING_COPIED || primary->listeners[run->slot].acks == run_acks(run));
        CHECK(serving != SERVING_ALONE || run->group_size == 1);
        CHECK(serving == SERVING_NOT || serving == SERVING_FULL || run->state == RUN_ACTIVE);
        unsettled += run->state == RUN_COLLECTING;
    }
    CHECK(unsettled == primary->unsettled_count);
}
