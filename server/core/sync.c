#include "server/core/sync.h"

#include "common/check.h"
#include "common/mutant.h"
#include "server/core/sync_parts.h"

#include <stdlib.h>

/* Of a stream of an epoch that is not adopted yet; more breaks the link. No source sends so much:
 * it is answered nothing until then, so it sends one batch and waits, however large the writes are
 * that follow an ADVANCE. More go only while a session is SENDING, which takes a START of this
 * epoch. */
#define HELD_BYTES_MAX (4u * 1024 * 1024)
_Static_assert(HELD_BYTES_MAX >= STREAM_BATCH_BYTES_MAX, "what a source sends unanswered is kept");
/* So much of the rate may be sent at once, or the least of it. */
#define TOKENS_MS        100u
#define TOKENS_BYTES_MIN (64 * 1024)
#define STARVED_MS       10u

/* --- the whole -------------------------------------------------------------------------------- */

struct sync *sync_open(const struct sync_setup *setup)
{
    CHECK(setup->window_bytes >= 4096);
    struct sync *sync = calloc(1, sizeof(*sync));
    CHECK(sync != NULL);
    sync->setup = *setup;
    sync->store = setup->store;
    sync->links = setup->links;
    sync->stats = setup->stats;
    sync->self = RING_NOBODY;
    list_init(&sync->peers);
    sync->sessions = calloc(SLOT_COUNT, sizeof(struct sync_session *));
    sync->receiving = calloc(SLOT_COUNT, sizeof(struct receiving));
    CHECK(sync->sessions != NULL);
    CHECK(sync->receiving != NULL);
    return sync;
}

static struct sync_peer *peer_of(struct list *link)
{
    return CONTAINER_OF(link, struct sync_peer, in_sync);
}

static void drop_held(struct sync *sync, struct sync_peer *peer)
{
    sync->held_count -= peer->held_epoch != 0;
    peer->held_epoch = 0;
    buf_close(&peer->held);
}

/* Every session, both ways, is no more; nobody is told. */
static void end_all(struct sync *sync)
{
    for (struct list *at = sync->peers.next; at != &sync->peers; at = at->next) {
        struct sync_peer *peer = peer_of(at);
        struct list *first;
        while ((first = list_first(&peer->sessions)))
            sync_session_remove(sync, CONTAINER_OF(first, struct sync_session, in_peer));
    }
    for (uint32_t slot = 0; slot < SLOT_COUNT && sync->received_count > 0; slot++)
        if (sync->receiving[slot].state != RECEIVING_NONE)
            sync_receiving_end(sync, slot);
}

void sync_close(struct sync *sync)
{
    if (!sync)
        return;
    end_all(sync);
    struct list *first;
    while ((first = list_first(&sync->peers))) {
        struct sync_peer *peer = peer_of(first);
        stream_end(&peer->out);
        stream_in_end(&peer->in);
        drop_held(sync, peer);
        peer->is_wanted = false;
        peer->sent = peer->received = (struct sync_batch){0};
        sync_peer_sweep(sync, peer);
    }
    sync_sessions_free_idle(sync);
    buf_close(&sync->ids);
    buf_close(&sync->one);
    buf_close(&sync->names);
    free(sync->events);
    free(sync->entries);
    free(sync->lineage);
    free(sync->by_index);
    free(sync->sessions);
    free(sync->receiving);
    free(sync);
}

void sync_tell_time(struct sync *sync, struct moment now)
{
    sync->now = now;
    sync->has_served = false;
}

void sync_tell_served(struct sync *sync)
{
    sync->served_ms = sync->now.mono_ms;
    sync->has_served = true;
}

void sync_tell_awaited(struct sync *sync, bool is_awaited)
{
    sync->is_awaited = is_awaited;
    sync->is_more |= sync->is_piece_held && !is_awaited;
}

/* "Adopting a view seals all lower epochs at that node: sessions of theirs end, and nothing of
 * theirs is applied, acknowledged or answered again." */
void sync_seal(struct sync *sync, const struct view *view, const struct ring *ring, uint16_t self,
               struct moment now)
{
    CHECK(view->epoch > sync->epoch);
    sync->now = now;
    end_all(sync);
    for (struct list *at = sync->peers.next; at != &sync->peers; at = at->next) {
        struct sync_peer *peer = peer_of(at);
        stream_end(&peer->out);
        stream_in_end(&peer->in);
        peer->member = VIEW_NOBODY;
        peer->put_bytes = peer->hold_by_ms = 0;
        peer->is_hurried = false;
    }
    sync->event_count = sync->event_taken = 0;
    sync->unsettled_ms = now.mono_ms;
    sync->view = view;
    sync->ring = ring;
    sync->self = self;
    sync->epoch = view->epoch;
}

void sync_refuse(struct sync *sync, bool refuses)
{
    sync->refuses = refuses;
}

/* --- messages --------------------------------------------------------------------------------- */

/* Who is at the other end, in this epoch. */
static uint32_t member_of(const struct sync *sync, const struct link *link)
{
    return view_find(sync->view, span_of_string(links_name(sync->links, link->peer)),
                     link->generation);
}

static void stream_in_open(struct sync *sync, struct sync_peer *peer, const struct link *link)
{
    sync_receive_lost(sync, peer);
    stream_in_begin(&peer->in, link->conn, sync->epoch);
    peer->member = member_of(sync, link);
}

/* "a message of a lower one is refused with the receiver's epoch." */
static void refuse_stale(struct sync *sync, struct link *link)
{
    struct reply *out = link_out(sync->links, link);
    if (out)
        message_append(out,
                       &(struct message){.kind = MESSAGE_STALE, .STALE = {.epoch = sync->epoch}});
}

/* Takes what has come of this epoch before it was adopted; of one that was passed over, the sender
 * is told.
 * errors  ERR_SYNTAX. */
static enum err take_held(struct sync *sync, struct sync_peer *peer)
{
    if (peer->held_epoch == 0 || peer->held_epoch > sync->epoch)
        return ERR_OK;
    enum err err = ERR_OK;
    struct link *link = links_find(sync->links, peer->held_conn);
    if (link && peer->held_epoch < sync->epoch) {
        refuse_stale(sync, link);
    } else if (link) {
        stream_in_open(sync, peer, link);
        err = sync_receive(sync, peer, buf_span(&peer->held));
    }
    drop_held(sync, peer);
    return err;
}

/* Keeps the bytes of a stream whose epoch is not adopted yet. */
static enum err hold(struct sync *sync, struct link *link, const struct message *message)
{
    struct sync_peer *peer = sync_peer_get(sync, link->peer);
    uint32_t epoch = message->STREAM.epoch;
    if (peer->held_epoch != epoch || !conn_id_equal(peer->held_conn, link->conn)) {
        drop_held(sync, peer);
        sync->held_count++;
        peer->held_epoch = epoch;
        peer->held_conn = link->conn;
    }
    if (message->STREAM.at != buf_len(&peer->held) ||
        buf_len(&peer->held) + message->body.len > HELD_BYTES_MAX)
        return ERR_SYNTAX;
    buf_append(&peer->held, message->body.data, message->body.len);
    return ERR_OK;
}

static enum err take_stream(struct sync *sync, struct link *link, const struct message *message)
{
    struct sync_peer *peer = sync_peer_get(sync, link->peer);
    enum err err = take_held(sync, peer);
    if (err)
        return err;
    if (!conn_id_equal(peer->in.conn, link->conn))
        stream_in_open(sync, peer, link);
    if (message->STREAM.at != peer->in.bytes)
        return ERR_SYNTAX;
    return sync_receive(sync, peer, message->body);
}

static enum err take_streamed(struct sync *sync, const struct link *link,
                              const struct message *message)
{
    struct sync_peer *peer = sync_peer_find(sync, link->peer);
    if (!peer || !conn_id_equal(peer->out.conn, link->conn))
        return ERR_OK; /* of a stream that is no more */
    peer->told_ms = sync->now.mono_ms;
    return sync_source_answered(sync, peer, message);
}

enum err sync_message(struct sync *sync, struct link *link, const struct message *message,
                      struct moment now)
{
    sync->now = now;
    bool is_stream = message->kind == MESSAGE_STREAM;
    CHECK(is_stream || message->kind == MESSAGE_STREAMED);
    if (is_stream == link->is_dialled) /* a stream goes from who dialled */
        return ERR_SYNTAX;
    uint32_t epoch = is_stream ? message->STREAM.epoch : message->STREAMED.epoch;
    if (epoch < sync->epoch) {
        refuse_stale(sync, link);
        return ERR_OK;
    }
    if (epoch > sync->epoch)
        return is_stream ? hold(sync, link, message) : ERR_OK;
    return is_stream ? take_stream(sync, link, message) : take_streamed(sync, link, message);
}

void sync_lost(struct sync *sync, uint32_t peer, bool is_dialled, struct moment now)
{
    sync->now = now;
    struct sync_peer *of = sync_peer_find(sync, peer);
    if (!of)
        return;
    if (is_dialled && stream_is_open(&of->out))
        sync_source_lost(sync, of);
    if (!is_dialled && of->in.conn.generation != 0)
        sync_receive_lost(sync, of);
    if (!is_dialled)
        drop_held(sync, of);
}

/* --- turns ------------------------------------------------------------------------------------ */

static void refill(struct sync *sync)
{
    uint64_t rate = sync->setup.rate_bytes_s;
    uint64_t ms = sync->now.mono_ms - sync->tokens_ms;
    sync->tokens_ms = sync->now.mono_ms;
    sync->is_starved = sync->is_more = sync->is_piece_held = false;
    if (rate == 0)
        return;
    int64_t most = (int64_t)(rate * TOKENS_MS / 1000);
    if (most < TOKENS_BYTES_MIN)
        most = TOKENS_BYTES_MIN;
    int64_t more = ms > 1000 ? most : (int64_t)(rate * ms / 1000);
    sync->tokens = sync->tokens + more < most ? sync->tokens + more : most;
}

static void tell(struct sync *sync, struct sync_peer *peer)
{
    if (!stream_in_is_due(&peer->in))
        return;
    struct link *link = links_find(sync->links, peer->in.conn);
    struct reply *out = link ? link_out(sync->links, link) : NULL;
    if (out)
        stream_in_tell(&peer->in, out);
}

void sync_take_held(struct sync *sync, struct moment now)
{
    sync->now = now;
    if (!sync->view || LIKELY(sync->held_count == 0))
        return;
    for (struct list *at = sync->peers.next; at != &sync->peers; at = at->next) {
        struct sync_peer *peer = peer_of(at);
        struct conn_id conn = peer->held_conn;
        if (take_held(sync, peer) == ERR_OK)
            continue;
        struct link *link = links_find(sync->links, conn);
        if (link)
            links_end(sync->links, link, DISCONNECT_DENIED, "a malformed stream", now);
    }
}

void sync_flush(struct sync *sync, struct moment now)
{
    if (!sync->view)
        return;
    sync->now = now;
    if (sync->advancing_count > 0)
        sync->unsettled_ms = now.mono_ms;
    refill(sync);
    struct list *next;
    for (struct list *at = sync->peers.next; at != &sync->peers; at = next) {
        next = at->next;
        struct sync_peer *peer = peer_of(at);
        sync_source_flush(sync, peer);
        tell(sync, peer);
        sync_batches_look(sync, peer);
        links_set_streamed(sync->links, peer->index,
                           peer->session_count > 0 || !list_is_empty(&peer->pulls));
        sync_peer_sweep(sync, peer);
    }
}

/* --- time ------------------------------------------------------------------------------------- */

static uint64_t pull_deadline(const struct sync_peer *peer)
{
    return list_is_empty(&peer->pulls) ? UINT64_MAX : peer->pulled_ms + SYNC_PULL_TIMEOUT_MS;
}

/* When a receiver will have been silent for too long about what it was sent. */
static uint64_t silence_deadline(const struct sync_peer *peer)
{
    if (!stream_is_open(&peer->out) || stream_may_send(&peer->out))
        return UINT64_MAX;
    uint64_t since_ms = peer->told_ms > peer->sent_ms ? peer->told_ms : peer->sent_ms;
    return since_ms + SYNC_SILENCE_MS;
}

static void end_silent(struct sync *sync, struct sync_peer *peer)
{
    struct link *link = links_dialled(sync->links, peer->index, LANE_DATA);
    if (sync->now.mono_ms >= silence_deadline(peer) && conn_id_equal(link->conn, peer->out.conn))
        links_end(sync->links, link, DISCONNECT_MUTE, "it does not take what it is sent",
                  sync->now);
}

void sync_tick(struct sync *sync, struct moment now)
{
    sync->now = now;
    for (struct list *at = sync->peers.next; at != &sync->peers; at = at->next) {
        struct sync_peer *peer = peer_of(at);
        while (now.mono_ms >= pull_deadline(peer)) {
            struct pull *pull = CONTAINER_OF(list_first(&peer->pulls), struct pull, in_peer);
            sync_pull_failed(sync, pull->slot, SYNC_ENDED_TIMEOUT);
        }
        end_silent(sync, peer);
    }
}

/* When a connection may be dialled anew that something waits for. */
static uint64_t dial_deadline(const struct sync *sync, const struct sync_peer *peer)
{
    bool is_waiting = peer->queued_count > 0 || !list_is_empty(&peer->pulls) || peer->is_wanted;
    if (stream_is_open(&peer->out) || !is_waiting)
        return UINT64_MAX;
    const struct link *link = links_dialled(sync->links, peer->index, LANE_DATA);
    return link->state == LINK_RESTING ? link->rest_until_ms : UINT64_MAX;
}

static uint64_t peer_deadline(const struct sync *sync, const struct sync_peer *peer)
{
    const uint64_t deadlines[] = {sync_batches_deadline(peer),
                                  pull_deadline(peer),
                                  silence_deadline(peer),
                                  sync_source_deadline(peer),
                                  sync_source_piece_deadline(sync, peer),
                                  sync_source_queue_deadline(sync, peer),
                                  dial_deadline(sync, peer)};
    uint64_t earliest = UINT64_MAX;
    for (size_t i = 0; i < ARRAY_COUNT(deadlines); i++)
        earliest = deadlines[i] < earliest ? deadlines[i] : earliest;
    return earliest;
}

uint64_t sync_deadline(const struct sync *sync)
{
    uint64_t earliest = sync->is_starved ? sync->now.mono_ms + STARVED_MS : UINT64_MAX;
    if (sync->is_more)
        return sync->now.mono_ms;
    for (struct list *at = sync->peers.next; at != &sync->peers; at = at->next) {
        uint64_t deadline = peer_deadline(sync, peer_of(at));
        earliest = deadline < earliest ? deadline : earliest;
    }
    return earliest;
}

/* --- checks ----------------------------------------------------------------------------------- */

/* Returns how many sessions with it are ADVANCING. */
static uint32_t check_peer(const struct sync *sync, const struct sync_peer *peer)
{
    uint32_t sessions = 0, queued = 0, open = 0, advancing = 0;
    for (struct list *at = peer->sessions.next; at != &peer->sessions; at = at->next) {
        const struct sync_session *session = CONTAINER_OF(at, struct sync_session, in_peer);
        CHECK(session->peer == peer);
        CHECK(sync_session_find(sync, session->slot, peer->index) == session);
        CHECK(session->state != SYNC_NONE);
        CHECK(session->state == SYNC_QUEUED || stream_is_open(&peer->out));
        CHECK(session->check_number <= session->last_number);
        CHECK(session->last_number <= peer->out.position);
        sessions++;
        queued += session->state == SYNC_QUEUED;
        open += session->state >= SYNC_OFFERED && session->state < SYNC_ADVANCING;
        advancing += session->state == SYNC_ADVANCING;
    }
    CHECK(sessions == peer->session_count);
    CHECK(queued == peer->queued_count);
    CHECK(open == peer->open_count);
    CHECK(open <= SYNC_OPEN_MAX);
    CHECK(peer->out.acked <= peer->out.position);
    CHECK(peer->out.received <= peer->out.sent);
    return advancing;
}

void sync_check(const struct sync *sync)
{
    uint32_t received = 0, advancing = 0;
    for (struct list *at = sync->peers.next; at != &sync->peers; at = at->next)
        advancing += check_peer(sync, peer_of(at));
    CHECK(advancing == sync->advancing_count);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        const struct receiving *receiving = &sync->receiving[slot];
        if (receiving->state == RECEIVING_NONE)
            continue;
        received++;
        CHECK(sync_peer_find(sync, receiving->peer) != NULL);
        CHECK(receiving->state != RECEIVING_ASKED || receiving->pull != NULL);
        CHECK(receiving->state != RECEIVING_SYNCED ||
              store_copy(sync->store, slot)->act == sync->epoch);
    }
    CHECK(received == sync->received_count);
}
