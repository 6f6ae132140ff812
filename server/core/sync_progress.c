/* How far sessions are, for people: transfers, status, the log. */
#include "server/core/sync_parts.h"

#include <inttypes.h>
#include <stdio.h>

/* A batch is over when nothing has been under way for so long, or when it has taken so long: one
 * line tells of many sessions, and there is at most one in so long a time for each peer and way. */
#define BATCH_IDLE_MS 1000u
#define BATCH_MAX_MS  10000u
#define BATCH_PACE_MS 5000u

#define LEFT_BYTES_MAX 128u

uint32_t sync_next_peer(const struct sync *sync, uint32_t peer)
{
    for (uint32_t index = peer + 1; index < sync->by_index_capacity; index++) {
        const struct sync_peer *of = sync->by_index[index];
        if (of && (of->session_count > 0 || of->receiving_count > 0 || of->received_count > 0))
            return index;
    }
    return PEER_NONE;
}

struct average {
    uint64_t items_a_slot;
    uint64_t bytes_an_item;
};

#define NAME_BYTES 32u /* of a NAME, about */

/* What a session that is SENDING has yet to send: as much for what has not been walked as for what
 * has; and what the store holds on the average for one that has sent nothing. */
static void add_left(const struct sync_session *session, struct average average,
                     struct sync_progress *progress)
{
    uint64_t sent = session->items_sent;
    uint64_t left = STORE_WALK_END - session->cursor;
    uint64_t items = buf_len(&session->names) / NAME_BYTES;
    if (session->cursor > 0)
        items += left * session->items_walked / session->cursor;
    else
        items += average.items_a_slot;
    progress->items_left += items;
    progress->bytes_left += items * (sent > 0 ? session->bytes_sent / sent : average.bytes_an_item);
}

static struct average average_of(const struct sync *sync)
{
    const struct store_counters *counters = store_counters(sync->store);
    uint64_t slots = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        slots += store_ver(sync->store, slot) > 0;
    uint64_t items = counters->items + counters->tombstones;
    return (struct average){.items_a_slot = slots > 0 ? items / slots : 0,
                            .bytes_an_item = items > 0 ? counters->item_bytes / items : 0};
}

static void add_peer(const struct sync *sync, const struct sync_peer *peer, struct average average,
                     struct sync_progress *progress)
{
    uint32_t advancing = 0;
    for (struct list *at = peer->sessions.next; at != &peer->sessions; at = at->next) {
        const struct sync_session *session = CONTAINER_OF(at, struct sync_session, in_peer);
        progress->synced += session->state == SYNC_SYNCED;
        advancing += session->state == SYNC_ADVANCING;
        if (session->state == SYNC_SENDING)
            add_left(session, average, progress);
    }
    progress->queued += peer->queued_count;
    progress->sending += peer->open_count + advancing;
    progress->receiving += peer->receiving_count;
    progress->received += peer->received_count;
    progress->items_left += peer->queued_count * average.items_a_slot;
    progress->bytes_left += peer->queued_count * average.items_a_slot * average.bytes_an_item;
    const struct sync_batch *sent = &peer->sent;
    if (sent->began_ms == 0 || sent->idle_ms > 0)
        return;
    progress->items_sent += sent->items;
    progress->bytes_sent += sent->bytes;
    uint64_t ms = sync->now.mono_ms - sent->began_ms;
    progress->bytes_s += ms > 0 ? sent->bytes * 1000 / ms : 0;
}

static void estimate(struct sync_progress *progress)
{
    bool is_left = progress->queued > 0 || progress->sending > 0;
    if (!is_left)
        progress->eta_ms = 0;
    else if (progress->bytes_s == 0)
        progress->eta_ms = UINT64_MAX;
    else
        progress->eta_ms = progress->bytes_left * 1000 / progress->bytes_s;
}

void sync_progress(const struct sync *sync, uint32_t peer, struct sync_progress *progress)
{
    *progress = (struct sync_progress){0};
    const struct sync_peer *of = sync_peer_find(sync, peer);
    if (of)
        add_peer(sync, of, average_of(sync), progress);
    estimate(progress);
}

void sync_progress_sum(const struct sync *sync, struct sync_progress *progress)
{
    *progress = (struct sync_progress){0};
    struct average average = average_of(sync);
    for (struct list *at = sync->peers.next; at != &sync->peers; at = at->next)
        add_peer(sync, CONTAINER_OF(at, struct sync_peer, in_sync), average, progress);
    estimate(progress);
}

/* --- the log ---------------------------------------------------------------------------------- */

/* What is still to be sent to a peer, for the log; "" if nothing is. */
static void left_of(const struct sync *sync, const struct sync_peer *peer,
                    char text[LEFT_BYTES_MAX])
{
    struct sync_progress progress;
    sync_progress(sync, peer->index, &progress);
    text[0] = '\0';
    if (progress.queued + progress.sending == 0)
        return;
    int length = snprintf(text, LEFT_BYTES_MAX, " items_left=%" PRIu64 " bytes_left=%" PRIu64,
                          progress.items_left, progress.bytes_left);
    if (progress.eta_ms != UINT64_MAX)
        snprintf(text + length, LEFT_BYTES_MAX - (size_t)length, " eta_ms=%" PRIu64,
                 progress.eta_ms);
}

/* Tells of a batch that is over; not of one that only found copies to be the same, as after each
 * view they are. */
static void log_batch(struct sync *sync, const struct sync_peer *peer, struct sync_batch *batch)
{
    uint64_t now_ms = sync->now.mono_ms, until_ms = batch->idle_ms > 0 ? batch->idle_ms : now_ms;
    bool is_worth_it = batch->items > 0 || batch->failed > 0;
    char left[LEFT_BYTES_MAX] = "";
    if (is_worth_it && batch == &peer->sent)
        left_of(sync, peer, left);
    if (is_worth_it)
        log_line(sync->setup.log, sync->now, LOG_INFO,
                 batch == &peer->sent ? "sync-sent" : "sync-received",
                 "member=%s synced=%u failed=%u items=%" PRIu64 " bytes=%" PRIu64 " ms=%" PRIu64
                 " epoch=%u%s",
                 links_name(sync->links, peer->index), batch->done, batch->failed, batch->items,
                 batch->bytes, until_ms - batch->began_ms, sync->epoch, left);
    *batch = (struct sync_batch){.logged_ms = is_worth_it ? now_ms : 0};
}

/* When a batch is over, if nothing more happens, or may be told of again; UINT64_MAX: none is. */
static uint64_t batch_ends_ms(const struct sync_batch *batch)
{
    if (batch->began_ms == 0)
        return batch->logged_ms > 0 ? batch->logged_ms + BATCH_PACE_MS : UINT64_MAX;
    uint64_t ends_ms = batch->began_ms + BATCH_MAX_MS;
    if (batch->idle_ms > 0 && batch->idle_ms + BATCH_IDLE_MS < ends_ms)
        ends_ms = batch->idle_ms + BATCH_IDLE_MS;
    bool is_early = batch->logged_ms > 0 && ends_ms < batch->logged_ms + BATCH_PACE_MS;
    return is_early ? batch->logged_ms + BATCH_PACE_MS : ends_ms;
}

static void look(struct sync *sync, const struct sync_peer *peer, struct sync_batch *batch,
                 bool is_busy)
{
    uint64_t now_ms = sync->now.mono_ms > 0 ? sync->now.mono_ms : 1;
    if (batch->began_ms == 0 && (is_busy || batch->done + batch->failed > 0))
        batch->began_ms = now_ms;
    if (batch == &peer->sent && batch->items > 0 && !batch->is_told) {
        char left[LEFT_BYTES_MAX];
        left_of(sync, peer, left);
        batch->is_told = true;
        log_line(sync->setup.log, sync->now, LOG_INFO, "sync-begins",
                 "member=%s slots=%u epoch=%u%s", links_name(sync->links, peer->index),
                 peer->session_count - peer->synced_count, sync->epoch, left);
    }
    if (batch->began_ms == 0 || is_busy)
        batch->idle_ms = 0;
    else if (batch->idle_ms == 0)
        batch->idle_ms = now_ms;
    if (now_ms >= batch_ends_ms(batch))
        log_batch(sync, peer, batch);
}

void sync_batches_look(struct sync *sync, struct sync_peer *peer)
{
    bool is_open = stream_is_open(&peer->out);
    look(sync, peer, &peer->sent, is_open && peer->session_count > peer->synced_count);
    look(sync, peer, &peer->received, peer->receiving_count > 0);
}

uint64_t sync_batches_deadline(const struct sync_peer *peer)
{
    uint64_t sent_ms = batch_ends_ms(&peer->sent), received_ms = batch_ends_ms(&peer->received);
    return sent_ms < received_ms ? sent_ms : received_ms;
}
