/* Sessions from here: offers, what they send, what is acknowledged. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/sync_parts.h"

/* Of sessions' items, in one turn to one peer: some 0.1 ms. */
#define ITEMS_A_TURN 256u
/* And of offers that no client waits for: of 1,024, which may be due at once, some 0.6 ms. */
#define OFFERS_A_TURN 64u
/* "Never starves clients": while they are served, what they do not wait for goes in pieces of so
 * much, with which neither end is busy for so long as 0.1 ms. The next goes once the last has
 * been received, so that both ends have time between, or, where the way is long, after so long. */
#define CALM_BYTES (18u * 1024)
#define CALM_ITEMS 124u
#define CALM_MS    2u
/* So long after the last request. */
#define SERVED_MS 100u
/* And what they do not wait for begins so long after a view, or after other copies have been made
 * current: there are the requests that came meanwhile, and other nodes have the view later. */
#define SETTLE_MS   50u
#define NAMES_AHEAD 32u
#define ITEMS_AHEAD 8u
/* Of a copy that is walked, in one step: what of it may not go any more is sent by its name. */
#define WALK_ENTRIES 16u

/* Keys of all open sessions with a peer, while slots are small. */
#define OPEN_ITEMS 16384u

/* So much of clients' writes goes out at once, whoever waits. */
#define HOLD_BYTES_MAX (64u * 1024)

static struct sync_session *session_of(struct list *link)
{
    return link ? CONTAINER_OF(link, struct sync_session, in_state) : NULL;
}

static struct sync_session *first_by_rank(const struct list *lists)
{
    for (int rank = 0; rank < SYNC_RANK_COUNT; rank++)
        if (!list_is_empty(&lists[rank]))
            return session_of(list_first(&lists[rank]));
    return NULL;
}

/* --- the beginning and the end of sessions ---------------------------------------------------- */

/* The session is no more; those above are told, if one of them wanted it. */
static void end(struct sync *sync, struct sync_session *session, enum sync_end why)
{
    struct sync_peer *peer = session->peer;
    struct sync_event event = {.change = SYNC_ENDED,
                               .why = why,
                               .peer = peer->index,
                               .slot = session->slot,
                               .sid = session->id};
    if (!session->is_pulled)
        sync_event_add(sync, &event);
    if (session->state != SYNC_SYNCED && session->state != SYNC_QUEUED)
        peer->sent.failed++;
    sync->stats->sync_broken++;
    sync_session_remove(sync, session);
}

uint64_t sync_offer(struct sync *sync, uint32_t slot, uint32_t peer, uint64_t generation,
                    enum sync_rank rank, struct moment now)
{
    sync->now = now;
    CHECK(sync->view != NULL);
    struct sync_session *older = sync_session_find(sync, slot, peer);
    if (older && older->generation != generation)
        end(sync, older, SYNC_ENDED_STRANGER);
    sync_session_drop(sync, slot, peer);
    struct sync_session *session =
        sync_session_add(sync, slot, sync_peer_get(sync, peer), generation, rank);
    session->id = session->sid = ++sync->last_sid;
    return session->id;
}

void sync_lower(struct sync *sync, uint32_t slot, uint32_t peer, enum sync_rank rank)
{
    struct sync_session *session = sync_session_find(sync, slot, peer);
    if (!session || session->rank >= rank || session->is_pulled)
        return;
    if (session->items_sent > 0 || session->cursor > 0)
        return;
    session->rank = rank;
    if (session->state == SYNC_QUEUED || session->state == SYNC_SENDING)
        sync_session_move(sync, session, session->state); /* into the list of that rank */
}

void sync_source_pulled(struct sync *sync, struct sync_peer *peer, uint64_t generation,
                        const struct record_PULL *pull)
{
    sync_session_drop(sync, pull->slot, peer->index);
    struct sync_session *session =
        sync_session_add(sync, pull->slot, peer, generation, SYNC_FOR_QUORUM);
    session->id = session->sid = pull->sid;
    session->is_pulled = true;
}

void sync_close_session(struct sync *sync, uint32_t slot, uint32_t peer)
{
    struct sync_session *session = sync_session_find(sync, slot, peer);
    if (!session)
        return;
    struct sync_peer *of = session->peer;
    if (session->state != SYNC_QUEUED && stream_is_open(&of->out))
        stream_put(&of->out,
                   &(struct record){.kind = RECORD_CLOSE,
                                    .CLOSE = {.slot = session->slot, .sid = session->sid}});
    sync_session_remove(sync, session);
}

/* --- the stream ------------------------------------------------------------------------------- */

/* Nothing of it has been sent, or what was counts no more. */
static void forget_sent(struct sync_session *session)
{
    buf_close(&session->names);
    session->is_flush_due = false;
    session->cursor = 0;
    session->items_walked = 0;
    session->common = 0;
}

/* "The source may begin anew at any time": who has asked for the copy cannot know that the offer
 * never came, and waits for it. */
static void begin_anew(struct sync *sync, struct sync_session *session)
{
    forget_sent(session);
    sync_session_move(sync, session, SYNC_QUEUED);
}

/* What has been under way of all sessions with the peer has come to nothing. */
static void break_off(struct sync *sync, struct sync_peer *peer, enum sync_end why)
{
    struct list *next;
    for (struct list *at = peer->sessions.next; at != &peer->sessions; at = next) {
        next = at->next;
        struct sync_session *session = CONTAINER_OF(at, struct sync_session, in_peer);
        if (session->state == SYNC_QUEUED)
            continue;
        if (session->is_pulled)
            begin_anew(sync, session);
        else
            end(sync, session, why);
    }
}

void sync_source_lost(struct sync *sync, struct sync_peer *peer)
{
    stream_end(&peer->out);
    break_off(sync, peer, SYNC_ENDED_LINK);
    struct list *next;
    for (struct list *at = peer->pulls.next; at != &peer->pulls; at = next) {
        next = at->next;
        const struct pull *pull = CONTAINER_OF(at, struct pull, in_peer);
        if (pull->is_sent)
            sync_pull_failed(sync, pull->slot, SYNC_ENDED_LINK);
    }
}

/* Begins a stream if the link is up. Returns whether there is one. */
static bool open_stream(struct sync *sync, struct sync_peer *peer)
{
    struct link *link = links_to(sync->links, peer->index, LANE_DATA, sync->now);
    if (!link || link->state != LINK_UP)
        return false;
    if (conn_id_equal(link->conn, peer->out.conn))
        return true;
    if (stream_is_open(&peer->out))
        sync_source_lost(sync, peer);
    stream_begin(&peer->out, link->conn, sync->epoch);
    peer->generation = link->generation;
    peer->piece_end = 0;
    if (peer->is_wanted)
        sync_event_add(sync, &(struct sync_event){.change = SYNC_UP, .peer = peer->index});
    peer->is_wanted = false;
    return true;
}

bool sync_is_up(struct sync *sync, uint32_t peer, uint64_t generation, struct moment now)
{
    sync->now = now;
    CHECK(sync->view != NULL);
    struct sync_peer *of = sync_peer_get(sync, peer);
    if (!stream_is_open(&of->out) && !open_stream(sync, of)) {
        of->is_wanted = true;
        return false;
    }
    return of->generation == generation;
}

/* "OFFER(lineage, floor, act, ver)." */
static void offer(struct sync *sync, struct sync_session *session)
{
    const struct copy *copy = store_copy(sync->store, session->slot);
    buf_consume(&sync->names, buf_len(&sync->names));
    copy_put_lineage(sync->store, session->slot, &sync->names);
    stream_put(&session->peer->out,
               &(struct record){.kind = RECORD_OFFER,
                                .OFFER = {.slot = session->slot,
                                          .sid = session->sid,
                                          .is_pulled = session->is_pulled,
                                          .act = copy->act,
                                          .ver = store_ver(sync->store, session->slot),
                                          .floor = copy->floor,
                                          .lineage = buf_span(&sync->names)}});
    sync_session_move(sync, session, SYNC_OFFERED);
    sync->stats->sync_offers++;
}

uint32_t sync_open_max(uint64_t items)
{
    uint64_t count = OPEN_ITEMS / (items / SLOT_COUNT + 1);
    count = count < SYNC_OPEN_MIN ? SYNC_OPEN_MIN : count;
    return count < SYNC_OPEN_MAX ? (uint32_t)count : SYNC_OPEN_MAX;
}

static bool is_serving(const struct sync *sync)
{
    return sync->now.mono_ms < sync->served_ms + SERVED_MS;
}

/* Until when only sessions may begin that clients wait for: for ever while other copies are being
 * made current, which takes a record and its answer and which clients wait for too. */
static uint64_t settled_at(const struct sync *sync)
{
    if (sync->advancing_count > 0)
        return UINT64_MAX;
    return is_serving(sync) ? sync->unsettled_ms + SETTLE_MS : 0;
}

/* The next session that may begin. */
static struct sync_session *next_queued(const struct sync *sync, const struct sync_peer *peer)
{
    struct sync_session *session = first_by_rank(peer->queued);
    bool may_wait = session && session->rank != SYNC_FOR_QUORUM;
    return may_wait && sync->now.mono_ms < settled_at(sync) ? NULL : session;
}

uint64_t sync_source_queue_deadline(const struct sync *sync, const struct sync_peer *peer)
{
    bool is_waiting =
        peer->queued_count > 0 && stream_is_open(&peer->out) && !next_queued(sync, peer);
    return is_waiting ? settled_at(sync) : UINT64_MAX;
}

static void offer_queued(struct sync *sync, struct sync_peer *peer)
{
    uint32_t open_max = sync_open_max(store_counters(sync->store)->items);
    struct sync_session *session;
    for (uint32_t count = 0; peer->open_count < open_max && (session = next_queued(sync, peer));
         count++) {
        if (count >= OFFERS_A_TURN && session->rank != SYNC_FOR_QUORUM) {
            sync->is_more = true;
            return;
        }
        if (session->generation == peer->generation)
            offer(sync, session);
        else
            end(sync, session, SYNC_ENDED_STRANGER);
    }
}

static void ask_for_pulls(struct sync *sync, struct sync_peer *peer)
{
    struct list *next;
    for (struct list *at = peer->pulls.next; at != &peer->pulls; at = next) {
        next = at->next;
        struct pull *pull = CONTAINER_OF(at, struct pull, in_peer);
        if (pull->is_sent)
            continue;
        if (pull->generation != peer->generation) {
            sync_pull_failed(sync, pull->slot, SYNC_ENDED_STRANGER);
            continue;
        }
        stream_put(&peer->out, &(struct record){.kind = RECORD_PULL,
                                                .PULL = {.slot = pull->slot,
                                                         .sid = pull->sid,
                                                         .act = pull->act,
                                                         .ver = pull->ver}});
        pull->is_sent = true;
        peer->pulled_ms = sync->now.mono_ms;
    }
}

/* --- items ------------------------------------------------------------------------------------ */

/* What the key is at this moment. seen: its item, or NULL: it is looked for. */
static void send_item(struct sync *sync, struct sync_session *session, const struct store_key *key,
                      const struct store_item *seen)
{
    struct record record = {.kind = RECORD_CHANGE,
                            .CHANGE = {.slot = session->slot, .sid = session->sid}};
    if (seen)
        copy_describe_seen(sync->store, key, seen, &record.CHANGE);
    else
        copy_describe(sync->store, key, &record.CHANGE);
    buf_consume(&sync->ids, buf_len(&sync->ids));
    copy_put_ids(sync->store, key, &sync->ids);
    record.CHANGE.ids = buf_span(&sync->ids);
    if (!MUTANT(sync_forgets_touch) || record.CHANGE.cas == 0)
        stream_put(&session->peer->out, &record);
    session->items_sent++;
    session->peer->sent.items++;
    sync->stats->sync_items_sent++;
}

static void send_flush(struct sync *sync, struct sync_session *session, uint64_t version)
{
    struct record record = {.kind = RECORD_FLUSH,
                            .FLUSH = {.slot = session->slot,
                                      .sid = session->sid,
                                      .is_write = version > 0,
                                      .version = version}};
    copy_describe_flush(sync->store, session->slot, &record.FLUSH);
    const struct store_key key = store_flush_key(session->slot);
    buf_consume(&sync->ids, buf_len(&sync->ids));
    copy_put_ids(sync->store, &key, &sync->ids);
    record.FLUSH.ids = buf_span(&sync->ids);
    stream_put(&session->peer->out, &record);
}

/* "END(lineage, act, clean, floor)." */
static void send_end(struct sync *sync, struct sync_session *session)
{
    const struct copy *copy = store_copy(sync->store, session->slot);
    buf_consume(&sync->names, buf_len(&sync->names));
    copy_put_lineage(sync->store, session->slot, &sync->names);
    uint64_t number = stream_put(&session->peer->out,
                                 &(struct record){.kind = RECORD_END,
                                                  .END = {.slot = session->slot,
                                                          .sid = session->sid,
                                                          .act = copy->act,
                                                          .is_clean = copy->is_clean,
                                                          .floor = copy->floor,
                                                          .lineage = buf_span(&sync->names)}});
    sync_session_ends_at(session, number, store_ver(sync->store, session->slot));
    buf_close(&session->names);
    sync_session_move(sync, session, SYNC_ENDING);
}

/* What a turn may send of sessions' items to one peer. */
struct share {
    size_t from;      /* the queue's length before */
    uint64_t bytes;   /* that may be added to it */
    uint32_t items;   /* that may be looked at */
    bool is_piece;    /* then the next follows in another turn, see room_of */
    bool is_rated;    /* there is a rate */
    uint64_t at_rate; /* then: bytes that it allows */
};

static uint64_t spent(const struct sync_peer *peer, const struct share *share)
{
    return buf_len(&peer->out.queue) - share->from;
}

static bool is_starved(const struct sync_peer *peer, const struct share *share)
{
    return share->is_rated && spent(peer, share) >= share->at_rate;
}

static bool is_left(const struct sync_peer *peer, const struct share *share)
{
    return share->items > 0 && spent(peer, share) < share->bytes && !is_starved(peer, share) &&
           buf_len(&peer->out.queue) < STREAM_BATCH_BYTES_MAX;
}

static struct store_key key_of(const struct record *name)
{
    return (struct store_key){.bytes = name->NAME.key, .position = name->NAME.position};
}

struct walk {
    struct sync *sync;
    struct sync_session *session;
    struct share *share;
};

/* Sends what a walk has come to, or names it where no more may go in this turn. */
static bool send_seen(void *arg, const struct store_key *key, const struct store_item *item)
{
    const struct walk *walk = arg;
    if (is_left(walk->session->peer, walk->share)) {
        send_item(walk->sync, walk->session, key, item);
        walk->session->items_walked++;
        walk->share->items--;
    } else {
        copy_put_name(&walk->session->names, key);
    }
    return true;
}

static bool is_walked(const struct sync_session *session)
{
    return session->cursor >= STORE_WALK_END;
}

/* Walks on through the session's copy, as far as may be sent. What was written since START is in
 * the stream already, and is sent once more: that does no harm. */
static void send_walked(struct sync *sync, struct sync_session *session, struct share *share)
{
    struct walk walk = {.sync = sync, .session = session, .share = share};
    if (session->cursor == 0)
        copy_put_id_names(sync->store, session->slot, session->common, &session->names);
    while (!is_walked(session) && is_left(session->peer, share)) {
        uint32_t items_before = share->items;
        bool is_more = store_walk(sync->store, session->slot, session->common, &session->cursor,
                                  WALK_ENTRIES, send_seen, &walk);
        if (is_more && share->items == items_before)
            share->items--; /* looking takes its time, too */
    }
}

/* The next keys that the session sends by name, with the memory of each asked for ahead of its use,
 * as of what comes (sync_receive.c). Returns how many there were. */
static uint32_t send_named(struct sync *sync, struct sync_session *session, struct share *share)
{
    struct record names[NAMES_AHEAD];
    size_t ends[NAMES_AHEAD], in_all = buf_len(&session->names);
    struct span rest = buf_span(&session->names);
    uint32_t count = 0, sent = 0;
    for (; count < NAMES_AHEAD && record_take(&rest, RECORD_NAME, &names[count]); count++) {
        const struct store_key key = key_of(&names[count]);
        store_prefetch_table(sync->store, &key);
        ends[count] = in_all - rest.len;
    }
    for (uint32_t ahead = 0; sent < count && is_left(session->peer, share); sent++) {
        for (; ahead < count && ahead < sent + ITEMS_AHEAD; ahead++) {
            const struct store_key key = key_of(&names[ahead]);
            store_prefetch_item(sync->store, &key);
        }
        const struct store_key key = key_of(&names[sent]);
        if (key.bytes.len == 0) /* that of the flush's request ids */
            session->is_flush_due = true;
        else
            send_item(sync, session, &key, NULL);
        share->items--;
    }
    if (sent > 0)
        buf_consume(&session->names, ends[sent - 1]);
    return count;
}

/* Some steps of a session that is SENDING. */
static void send_next(struct sync *sync, struct sync_session *session, struct share *share)
{
    bool is_short = MUTANT(sync_ends_early) && session->items_sent > 0;
    if (!is_short && send_named(sync, session, share) > 0)
        return;
    if (!is_short && !is_walked(session)) {
        send_walked(sync, session, share);
    } else if (session->is_flush_due) {
        send_flush(sync, session, 0);
        session->is_flush_due = false;
    } else {
        send_end(sync, session);
    }
}

/* Whether clients are served, and wait for nothing of what is to be sent. */
static bool is_calm(const struct sync *sync, const struct sync_peer *peer)
{
    return is_serving(sync) && list_is_empty(&peer->sending[SYNC_FOR_QUORUM]);
}

/* Whether the last piece has not been received, as far as is known. */
static bool is_under_way(const struct sync_peer *peer)
{
    return peer->out.received < peer->piece_end;
}

/* Whether it has been sent items so lately that the next piece may wait. */
static bool is_piece_recent(const struct sync *sync, const struct sync_peer *peer)
{
    return sync->now.mono_ms < peer->piece_ms + CALM_MS;
}

/* How many bytes of sessions' items a peer may be sent now: what is under way to it fits the
 * window; and where nothing is, a window, however much clients write. Where it is to be calm, no
 * more than a piece. */
static uint64_t room_of(const struct sync *sync, const struct sync_peer *peer)
{
    uint64_t window = sync->setup.window_bytes;
    uint64_t backlog = stream_may_send(&peer->out) ? 0 : stream_backlog(&peer->out);
    if (!first_by_rank(peer->sending) || backlog >= window)
        return 0;
    uint64_t room = window - backlog;
    if (!is_calm(sync, peer))
        return room;
    if (is_under_way(peer) && is_piece_recent(sync, peer))
        return 0;
    return room < CALM_BYTES ? room : CALM_BYTES;
}

/* Whether a piece lets clients go first: what they are told in this turn leaves before it is made,
 * and what they wait for from other copies is not kept waiting here. */
static bool is_after_clients(const struct sync *sync, const struct sync_peer *peer)
{
    return (sync->has_served || sync->is_awaited) && is_calm(sync, peer) &&
           is_piece_recent(sync, peer);
}

uint64_t sync_source_piece_deadline(const struct sync *sync, const struct sync_peer *peer)
{
    bool is_waiting = is_calm(sync, peer) && first_by_rank(peer->sending) && !sync->is_starved &&
                      (is_under_way(peer) || sync->is_awaited) &&
                      buf_len(&peer->out.queue) < STREAM_BATCH_BYTES_MAX &&
                      stream_backlog(&peer->out) < sync->setup.window_bytes;
    return is_waiting ? peer->piece_ms + CALM_MS : UINT64_MAX;
}

/* "in bounded chunks with back-pressure": behind what clients wait for, and less where they wait. A
 * turn sends no more than takes a fraction of a millisecond; the next one follows at once, unless
 * it is to be calm. */
static void send_items(struct sync *sync, struct sync_peer *peer, uint64_t room)
{
    bool is_piece = is_calm(sync, peer);
    struct share share = {.from = buf_len(&peer->out.queue),
                          .bytes = room,
                          .items = is_piece ? CALM_ITEMS : ITEMS_A_TURN,
                          .is_piece = is_piece,
                          .is_rated = sync->setup.rate_bytes_s > 0,
                          .at_rate = sync->tokens > 0 ? (uint64_t)sync->tokens : 0};
    const uint32_t items_at_first = share.items;
    struct sync_session *session;
    while ((session = first_by_rank(peer->sending)) && is_left(peer, &share) &&
           share.is_piece == is_calm(sync, peer)) {
        size_t before = buf_len(&peer->out.queue);
        send_next(sync, session, &share);
        uint64_t bytes = buf_len(&peer->out.queue) - before;
        session->bytes_sent += bytes;
        peer->sent.bytes += bytes;
        sync->stats->sync_bytes_sent += bytes;
    }
    sync->tokens -= (int64_t)spent(peer, &share);
    sync->is_starved |= session && is_starved(peer, &share);
    bool has_sent = spent(peer, &share) > 0;
    sync->is_more |= session && share.items == 0 && (!share.is_piece || !has_sent);
    if (has_sent || share.items < items_at_first) /* or has looked for some */
        peer->piece_ms = sync->now.mono_ms;
    if (has_sent)
        peer->piece_end = peer->out.sent + buf_len(&peer->out.queue);
}

/* Who takes so little that memory would run full loses its sessions, and with them what waits. */
static bool is_too_slow(struct sync *sync, struct sync_peer *peer, struct link *link)
{
    if (LIKELY(stream_backlog(&peer->out) <= SYNC_BACKLOG_BYTES_MAX))
        return false;
    break_off(sync, peer, SYNC_ENDED_SLOW);
    links_end(sync->links, link, DISCONNECT_MUTE, "it does not take what it is sent", sync->now);
    return true;
}

/* Whether what is in the queue may wait for more: clients' writes alone, that nobody waits for. */
static bool is_held(const struct sync_peer *peer)
{
    size_t len = buf_len(&peer->out.queue);
    return len > 0 && len < HOLD_BYTES_MAX && len == peer->put_bytes && !peer->is_hurried;
}

uint64_t sync_source_deadline(const struct sync_peer *peer)
{
    return is_held(peer) && stream_may_send(&peer->out) ? peer->hold_by_ms : UINT64_MAX;
}

void sync_source_flush(struct sync *sync, struct sync_peer *peer)
{
    if (is_held(peer) && peer->hold_by_ms == 0)
        peer->hold_by_ms = sync->now.mono_ms + SYNC_HOLD_MS;
    peer->is_hurried |= sync->now.mono_ms >= sync_source_deadline(peer);
    sync_peer_note_backlog(sync, peer);
    bool is_wanted = peer->queued_count > 0 || !list_is_empty(&peer->pulls) || peer->is_wanted;
    if (!stream_is_open(&peer->out) && !(is_wanted && open_stream(sync, peer)))
        return;
    struct link *link = links_dialled(sync->links, peer->index, LANE_DATA);
    if (!conn_id_equal(link->conn, peer->out.conn) || is_too_slow(sync, peer, link))
        return; /* the news of its end is under way */
    offer_queued(sync, peer);
    ask_for_pulls(sync, peer);
    uint64_t room = room_of(sync, peer);
    if (room > 0 && is_after_clients(sync, peer)) {
        sync->is_piece_held = true;
        room = 0;
    }
    if (!stream_may_send(&peer->out) && room == 0)
        return;
    send_items(sync, peer, room);
    if (is_held(peer))
        return;
    peer->put_bytes = peer->hold_by_ms = 0;
    peer->is_hurried = false;
    struct reply *out = buf_len(&peer->out.queue) > 0 ? link_out(sync->links, link) : NULL;
    if (!out)
        return;
    stream_send(&peer->out, out);
    peer->sent_ms = sync->now.mono_ms;
}

/* --- what the receiver answers ---------------------------------------------------------------- */

static bool names_are_good(struct span names)
{
    struct record name;
    while (record_take(&names, RECORD_NAME, &name))
        ;
    return names.len == 0;
}

/* The receiver's part is there as a whole. */
static void begin_sending(struct sync *sync, struct sync_session *session, bool is_full)
{
    const struct copy *copy = store_copy(sync->store, session->slot);
    /* "If the source's floor has passed common meanwhile, it offers anew." */
    if (!is_full && session->common < copy->floor) {
        forget_sent(session);
        if (!session->is_pulled)
            session->sid = ++sync->last_sid;
        offer(sync, session);
        return;
    }
    if (copy_has_flush_above(sync->store, session->slot, session->common))
        session->is_flush_due = true;
    sync_session_move(sync, session, SYNC_SENDING);
}

static enum err take_start(struct sync *sync, struct sync_session *session,
                           const struct record_START *start)
{
    if (session->state != SYNC_OFFERED || !names_are_good(start->names))
        return ERR_SYNTAX;
    session->common = start->common;
    if (start->has_flush)
        session->is_flush_due = true;
    if (!MUTANT(sync_no_names))
        buf_append(&session->names, start->names.data, start->names.len);
    if (start->is_last)
        begin_sending(sync, session, start->is_full);
    return ERR_OK;
}

/* The session that an answer is about; NULL: it is no more, and what is said of it is ignored. */
static struct sync_session *answered_session(const struct sync *sync, const struct sync_peer *peer,
                                             uint16_t slot, uint64_t sid)
{
    struct sync_session *session =
        slot < SLOT_COUNT ? sync_session_find(sync, slot, peer->index) : NULL;
    return session && session->sid == sid && session->state != SYNC_QUEUED ? session : NULL;
}

static void take_end(struct sync *sync, const struct sync_peer *peer, uint16_t slot, uint64_t sid,
                     enum sync_end why)
{
    struct sync_session *session = answered_session(sync, peer, slot, sid);
    if (session)
        end(sync, session, why);
}

static void take_moved(struct sync *sync, const struct sync_peer *peer,
                       const struct record_MOVED *moved)
{
    if (moved->slot >= SLOT_COUNT)
        return;
    const struct receiving *receiving = &sync->receiving[moved->slot];
    if (receiving->pull && receiving->sid == moved->sid && receiving->peer == peer->index)
        sync_pull_failed(sync, moved->slot, SYNC_ENDED_MOVED);
}

static enum err take_answer(struct sync *sync, struct sync_peer *peer, const struct record *record)
{
    struct sync_session *session;
    switch (record->kind) {
    case RECORD_START:
        session = answered_session(sync, peer, record->START.slot, record->START.sid);
        return session ? take_start(sync, session, &record->START) : ERR_OK;
    case RECORD_NOSYNC:
        take_end(sync, peer, record->NOSYNC.slot, record->NOSYNC.sid, SYNC_ENDED_NOSYNC);
        return ERR_OK;
    case RECORD_FULL:
        take_end(sync, peer, record->FULL.slot, record->FULL.sid, SYNC_ENDED_FULL);
        return ERR_OK;
    case RECORD_MOVED:
        take_moved(sync, peer, &record->MOVED);
        return ERR_OK;
    default:
        return ERR_SYNTAX;
    }
}

/* Sessions whose END or ADVANCE has been acknowledged. */
static void take_synced(struct sync *sync, struct sync_peer *peer)
{
    struct sync_session *session;
    while ((session = session_of(list_first(&peer->ending))) &&
           (session->end_number <= peer->out.acked || MUTANT(end_unheard))) {
        peer->sent.done++;
        sync->stats->sync_done++;
        if (session->is_pulled) {
            sync_session_remove(sync, session);
            continue;
        }
        sync_session_move(sync, session, SYNC_SYNCED);
        sync_event_add(sync, &(struct sync_event){.change = SYNC_BECAME,
                                                  .peer = peer->index,
                                                  .slot = session->slot,
                                                  .sid = session->id,
                                                  .number = peer->out.acked});
    }
}

enum err sync_source_answered(struct sync *sync, struct sync_peer *peer,
                              const struct message *streamed)
{
    struct span rest = streamed->body;
    while (rest.len > 0) {
        struct record record;
        size_t taken;
        if (record_parse(rest, &record, &taken) != RECORD_DONE)
            return ERR_SYNTAX;
        rest = span_of(rest.data + taken, rest.len - taken);
        enum err err = take_answer(sync, peer, &record);
        if (err)
            return err;
    }
    uint64_t before = peer->out.acked;
    enum err err =
        stream_acknowledged(&peer->out, streamed->STREAMED.records, streamed->STREAMED.bytes);
    if (err || peer->out.acked == before)
        return err;
    take_synced(sync, peer);
    sync_event_add(sync, &(struct sync_event){
                             .change = SYNC_ACKED, .peer = peer->index, .number = peer->out.acked});
    return ERR_OK;
}
