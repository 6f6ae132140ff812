/* Sessions, pulls, peers and events as such: made, found, moved, freed. */
#include "common/check.h"
#include "server/core/sync_parts.h"

#include <stdlib.h>

/* Of what has not been sent and not been received: above it another write should wait. */
#define BACKLOG_CONGESTED_BYTES (SYNC_BACKLOG_BYTES_MAX / 4)

/* Sessions that are no more and keep their memory: with each view all end, and as many begin. */
#define IDLE_SESSIONS_MAX SLOT_COUNT

/* --- events ----------------------------------------------------------------------------------- */

void sync_event_add(struct sync *sync, const struct sync_event *event)
{
    if (sync->event_count == sync->event_capacity) {
        sync->event_capacity = sync->event_capacity ? 2 * sync->event_capacity : 64;
        sync->events = realloc(sync->events, sync->event_capacity * sizeof(*sync->events));
        CHECK(sync->events != NULL);
    }
    sync->events[sync->event_count++] = *event;
}

bool sync_has_event(const struct sync *sync)
{
    return sync->event_taken < sync->event_count;
}

bool sync_take_event(struct sync *sync, struct sync_event *event)
{
    if (LIKELY(!sync_has_event(sync)))
        return false;
    *event = sync->events[sync->event_taken++];
    if (sync->event_taken == sync->event_count)
        sync->event_taken = sync->event_count = 0;
    return true;
}

/* --- peers ------------------------------------------------------------------------------------ */

struct sync_peer *sync_peer_find(const struct sync *sync, uint32_t index)
{
    return index < sync->by_index_capacity ? sync->by_index[index] : NULL;
}

static void make_room_for(struct sync *sync, uint32_t index)
{
    if (index < sync->by_index_capacity)
        return;
    uint32_t capacity = sync->by_index_capacity ? sync->by_index_capacity : 16;
    while (capacity <= index)
        capacity *= 2;
    sync->by_index = realloc(sync->by_index, capacity * sizeof(*sync->by_index));
    CHECK(sync->by_index != NULL);
    memset(sync->by_index + sync->by_index_capacity, 0,
           (capacity - sync->by_index_capacity) * sizeof(*sync->by_index));
    sync->by_index_capacity = capacity;
}

struct sync_peer *sync_peer_get(struct sync *sync, uint32_t index)
{
    struct sync_peer *peer = sync_peer_find(sync, index);
    if (LIKELY(peer != NULL))
        return peer;
    CHECK(index != PEER_SELF);
    make_room_for(sync, index);
    peer = calloc(1, sizeof(*peer));
    CHECK(peer != NULL);
    peer->index = index;
    peer->member = VIEW_NOBODY;
    peer->told_ms = peer->pulled_ms = sync->now.mono_ms;
    peer->out.position = peer->out.base = peer->out.acked = sync->numbers_end;
    peer->out.queue.budget = peer->in.budget = peer->held.budget = sync->setup.budget;
    list_init(&peer->sessions);
    for (int rank = 0; rank < SYNC_RANK_COUNT; rank++) {
        list_init(&peer->queued[rank]);
        list_init(&peer->sending[rank]);
    }
    list_init(&peer->ending);
    list_init(&peer->pulls);
    list_append(&sync->peers, &peer->in_sync);
    sync->by_index[index] = peer;
    links_hold(sync->links, index);
    return peer;
}

void sync_peer_sweep(struct sync *sync, struct sync_peer *peer)
{
    bool is_used = peer->session_count > 0 || !list_is_empty(&peer->pulls) ||
                   stream_is_open(&peer->out) || peer->in.conn.generation != 0 ||
                   peer->held_epoch > 0 || peer->is_wanted || peer->sent.began_ms > 0 ||
                   peer->sent.logged_ms > 0 || peer->received.began_ms > 0 ||
                   peer->received.logged_ms > 0;
    if (is_used)
        return;
    CHECK(peer->received_count == 0);
    CHECK(peer->receiving_count == 0);
    if (peer->out.position > sync->numbers_end)
        sync->numbers_end = peer->out.position;
    stream_end(&peer->out);
    buf_close(&peer->out.queue);
    stream_in_end(&peer->in);
    buf_close(&peer->held);
    list_remove(&peer->in_sync);
    sync->by_index[peer->index] = NULL;
    links_release(sync->links, peer->index);
    free(peer);
}

/* Looked at where bytes come and go. */
void sync_peer_note_backlog(struct sync *sync, struct sync_peer *peer)
{
    bool is_congested = stream_backlog(&peer->out) > BACKLOG_CONGESTED_BYTES;
    sync->congested_count += is_congested;
    sync->congested_count -= peer->is_congested;
    peer->is_congested = is_congested;
}

/* --- sessions from here ----------------------------------------------------------------------- */

struct sync_session *sync_session_find(const struct sync *sync, uint32_t slot, uint32_t peer)
{
    CHECK(slot < SLOT_COUNT);
    struct sync_session *session = sync->sessions[slot];
    while (session && session->peer->index != peer)
        session = session->next;
    return session;
}

/* Whether one takes part in what is bounded by sync_open_max. */
static bool is_open(enum sync_state state)
{
    return state >= SYNC_OFFERED && state < SYNC_ADVANCING;
}

static void count(struct sync *sync, const struct sync_session *session, int by)
{
    sync->advancing_count += (uint32_t)(session->state == SYNC_ADVANCING ? by : 0);
    session->peer->queued_count += (uint32_t)(session->state == SYNC_QUEUED ? by : 0);
    session->peer->synced_count += (uint32_t)(session->state == SYNC_SYNCED ? by : 0);
    session->peer->open_count += (uint32_t)(is_open(session->state) ? by : 0);
}

static struct list *list_of(struct sync_session *session)
{
    switch (session->state) {
    case SYNC_QUEUED:
        return &session->peer->queued[session->rank];
    case SYNC_SENDING:
        return &session->peer->sending[session->rank];
    case SYNC_ENDING:
    case SYNC_ADVANCING:
        return &session->peer->ending;
    case SYNC_NONE:
    case SYNC_OFFERED:
    case SYNC_SYNCED:
        break;
    }
    return NULL;
}

void sync_session_move(struct sync *sync, struct sync_session *session, enum sync_state state)
{
    count(sync, session, -1);
    list_remove(&session->in_state);
    session->state = state;
    struct list *list = list_of(session);
    if (list)
        list_append(list, &session->in_state);
    count(sync, session, 1);
}

/* Memory for one: that of one that is no more, if there is any. */
static struct sync_session *take_idle(struct sync *sync)
{
    struct sync_session *session = sync->idle;
    if (!session) {
        session = malloc(sizeof(*session));
        CHECK(session != NULL);
        return session;
    }
    sync->idle = session->next;
    sync->idle_count--;
    return session;
}

static void give_idle(struct sync *sync, struct sync_session *session)
{
    if (sync->idle_count == IDLE_SESSIONS_MAX) {
        free(session);
        return;
    }
    session->next = sync->idle;
    sync->idle = session;
    sync->idle_count++;
}

void sync_sessions_free_idle(struct sync *sync)
{
    while (sync->idle)
        free(take_idle(sync));
}

struct sync_session *sync_session_add(struct sync *sync, uint32_t slot, struct sync_peer *peer,
                                      uint64_t generation, enum sync_rank rank)
{
    CHECK(slot < SLOT_COUNT);
    CHECK(rank < SYNC_RANK_COUNT);
    struct sync_session *session = take_idle(sync);
    *session = (struct sync_session){.slot = (uint16_t)slot,
                                     .peer = peer,
                                     .generation = generation,
                                     .rank = rank,
                                     .names.budget = sync->setup.budget,
                                     .next = sync->sessions[slot]};
    sync->sessions[slot] = session;
    list_append(&peer->sessions, &session->in_peer);
    peer->session_count++;
    sync_session_move(sync, session, SYNC_QUEUED);
    return session;
}

void sync_session_remove(struct sync *sync, struct sync_session *session)
{
    struct sync_session **at = &sync->sessions[session->slot];
    while (*at != session)
        at = &(*at)->next;
    *at = session->next;
    count(sync, session, -1);
    list_remove(&session->in_state);
    list_remove(&session->in_peer);
    session->peer->session_count--;
    buf_close(&session->names);
    give_idle(sync, session);
}

void sync_session_drop(struct sync *sync, uint32_t slot, uint32_t peer)
{
    struct sync_session *session = sync_session_find(sync, slot, peer);
    if (session)
        sync_session_remove(sync, session);
}

void sync_session_ends_at(struct sync_session *session, uint64_t number, uint64_t ver)
{
    session->end_number = number;
    session->last_number = session->check_number = number;
    session->last_version = session->check_version = session->acked = ver;
}

uint64_t sync_session_acked(const struct sync_session *session)
{
    uint64_t number = session->peer->out.acked;
    if (session->state != SYNC_SYNCED)
        return 0;
    if (session->last_number <= number)
        return session->last_version;
    return session->check_number <= number && session->check_version > session->acked
               ? session->check_version
               : session->acked;
}

/* --- sessions to here ------------------------------------------------------------------------- */

static void count_receiving(struct sync *sync, const struct receiving *receiving, int by)
{
    struct sync_peer *peer = sync_peer_find(sync, receiving->peer);
    if (receiving->state == RECEIVING_OPEN)
        peer->receiving_count += (uint32_t)by;
    else if (receiving->state == RECEIVING_SYNCED)
        peer->received_count += (uint32_t)by;
}

void sync_receiving_move(struct sync *sync, uint32_t slot, enum receiving_state state)
{
    struct receiving *receiving = &sync->receiving[slot];
    count_receiving(sync, receiving, -1);
    sync->received_count -= receiving->state != RECEIVING_NONE;
    receiving->state = state;
    sync->received_count += receiving->state != RECEIVING_NONE;
    count_receiving(sync, receiving, 1);
}

void sync_receiving_end(struct sync *sync, uint32_t slot)
{
    CHECK(slot < SLOT_COUNT);
    struct receiving *receiving = &sync->receiving[slot];
    if (receiving->state == RECEIVING_SYNCED)
        sync_event_add(sync, &(struct sync_event){.change = SYNC_UNRECEIVED,
                                                  .peer = receiving->peer,
                                                  .slot = slot,
                                                  .sid = receiving->sid});
    sync_receiving_move(sync, slot, RECEIVING_NONE);
    if (receiving->pull) {
        list_remove(&receiving->pull->in_peer);
        free(receiving->pull);
    }
    *receiving = (struct receiving){0};
}

void sync_pull_failed(struct sync *sync, uint32_t slot, enum sync_end why)
{
    const struct receiving *receiving = &sync->receiving[slot];
    CHECK(receiving->pull != NULL);
    struct sync_event event = {.change = SYNC_PULL_FAILED,
                               .why = why,
                               .peer = receiving->peer,
                               .slot = slot,
                               .sid = receiving->sid};
    sync_receiving_end(sync, slot);
    sync_event_add(sync, &event);
}
