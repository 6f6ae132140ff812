/* Sessions from here: offers, what they send, what is acknowledged. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/sync_parts.h"

#include <inttypes.h>

/* Of what has not been sent and not been received: another write should wait above the one, the
 * sessions end above the other. */
#define BACKLOG_CONGESTED_BYTES (SYNC_BACKLOG_BYTES_MAX / 4)

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

/* Whether anything of sessions that are not synced is under way to the peer. */
static bool is_busy(const struct sync_peer *peer)
{
    return peer->open_count > 0 || !list_is_empty(&peer->ending);
}

static void note_begin(struct sync *sync, struct sync_peer *peer)
{
    if (peer->began_ms > 0)
        return;
    peer->began_ms = sync->now.mono_ms > 0 ? sync->now.mono_ms : 1;
    peer->sessions_done = peer->sessions_failed = 0;
    peer->items_sent = peer->bytes_sent = 0;
    log_line(sync->setup.log, sync->now, LOG_INFO, "sync-begins", "member=%s slots=%u epoch=%u",
             links_name(sync->links, peer->index), peer->open_count + peer->queued_count,
             sync->epoch);
}

static void note_end(struct sync *sync, struct sync_peer *peer)
{
    if (peer->began_ms == 0 || is_busy(peer) || peer->queued_count > 0)
        return;
    log_line(sync->setup.log, sync->now, LOG_INFO, "sync-ends",
             "member=%s synced=%u failed=%u items=%" PRIu64 " bytes=%" PRIu64 " ms=%" PRIu64
             " epoch=%u",
             links_name(sync->links, peer->index), peer->sessions_done, peer->sessions_failed,
             peer->items_sent, peer->bytes_sent, sync->now.mono_ms - peer->began_ms, sync->epoch);
    peer->began_ms = 0;
}

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
        peer->sessions_failed++;
    sync->stats->sync_broken++;
    sync_session_remove(sync, session);
    note_end(sync, peer);
}

/* One that is wanted no more, or again: nobody is told. */
static void drop(struct sync *sync, uint32_t slot, uint32_t peer)
{
    struct sync_session *session = sync_session_find(sync, slot, peer);
    if (session)
        sync_session_remove(sync, session);
}

uint64_t sync_offer(struct sync *sync, uint32_t slot, uint32_t peer, uint64_t generation,
                    enum sync_rank rank, struct moment now)
{
    sync->now = now;
    CHECK(sync->view != NULL);
    drop(sync, slot, peer);
    struct sync_session *session =
        sync_session_add(sync, slot, sync_peer_get(sync, peer), generation, rank);
    session->id = session->sid = ++sync->last_sid;
    return session->id;
}

void sync_source_pulled(struct sync *sync, struct sync_peer *peer, uint64_t generation,
                        const struct record_PULL *pull)
{
    drop(sync, pull->slot, peer->index);
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
    note_end(sync, of);
}

/* --- the stream ------------------------------------------------------------------------------- */

void sync_source_lost(struct sync *sync, struct sync_peer *peer)
{
    stream_end(&peer->out);
    struct list *next;
    for (struct list *at = peer->sessions.next; at != &peer->sessions; at = next) {
        next = at->next;
        struct sync_session *session = CONTAINER_OF(at, struct sync_session, in_peer);
        if (session->state != SYNC_QUEUED)
            end(sync, session, SYNC_ENDED_LINK);
    }
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
    note_begin(sync, session->peer);
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
    sync_session_move(session, SYNC_OFFERED);
    sync->stats->sync_offers++;
}

static void offer_queued(struct sync *sync, struct sync_peer *peer)
{
    struct sync_session *session;
    while (peer->open_count < SYNC_OPEN_MAX && (session = first_by_rank(peer->queued))) {
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
        peer->heard_ms = sync->now.mono_ms;
    }
}

/* --- items ------------------------------------------------------------------------------------ */

/* What the session's next key is at this moment. */
static void send_item(struct sync *sync, struct sync_session *session,
                      const struct record_NAME *name)
{
    const struct store_key key = {.bytes = name->key, .position = name->position};
    struct record record = {.kind = RECORD_CHANGE,
                            .CHANGE = {.slot = session->slot, .sid = session->sid}};
    copy_describe(sync->store, &key, &record.CHANGE);
    buf_consume(&sync->ids, buf_len(&sync->ids));
    copy_put_ids(sync->store, &key, &sync->ids);
    record.CHANGE.ids = buf_span(&sync->ids);
    stream_put(&session->peer->out, &record);
    session->items_sent++;
    session->peer->items_sent++;
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

/* What is acknowledged with this record is this version. */
static void note_end_of_copy(struct sync_session *session, uint64_t number, uint64_t ver)
{
    session->end_number = number;
    session->last_number = session->check_number = number;
    session->last_version = session->check_version = session->acked = ver;
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
    note_end_of_copy(session, number, store_ver(sync->store, session->slot));
    buf_close(&session->names);
    sync_session_move(session, SYNC_ENDING);
}

/* One step of a session that is SENDING. */
static void send_next(struct sync *sync, struct sync_session *session)
{
    struct span rest = buf_span(&session->names);
    struct record name;
    bool is_short = MUTANT(sync_ends_early) && session->items_sent > 0;
    if (!is_short && record_take(&rest, RECORD_NAME, &name)) {
        if (name.NAME.key.len == 0) /* that of the flush's request ids */
            session->is_flush_due = true;
        else
            send_item(sync, session, &name.NAME);
        buf_consume(&session->names, buf_len(&session->names) - rest.len);
    } else if (session->is_flush_due) {
        send_flush(sync, session, 0);
        session->is_flush_due = false;
    } else {
        send_end(sync, session);
    }
}

/* "in bounded chunks with back-pressure": behind what clients wait for, and less where they wait.
 */
static void send_items(struct sync *sync, struct sync_peer *peer)
{
    uint64_t window = peer->put_bytes > 0 ? sync->setup.window_bytes / 4 : sync->setup.window_bytes;
    uint64_t spent = 0;
    struct sync_session *session;
    while (spent < window && buf_len(&peer->out.queue) < STREAM_BATCH_BYTES_MAX &&
           (session = first_by_rank(peer->sending))) {
        if (sync->setup.rate_bytes_s > 0 && sync->tokens <= 0) {
            sync->is_starved = true;
            return;
        }
        size_t before = buf_len(&peer->out.queue);
        send_next(sync, session);
        uint64_t bytes = buf_len(&peer->out.queue) - before;
        spent += bytes;
        sync->tokens -= (int64_t)bytes;
        session->bytes_sent += bytes;
        peer->bytes_sent += bytes;
        sync->stats->sync_bytes_sent += bytes;
    }
}

/* Who takes so little that memory would run full loses its sessions, and with them what waits. */
static bool is_too_slow(struct sync *sync, struct sync_peer *peer, struct link *link)
{
    if (LIKELY(stream_backlog(&peer->out) <= SYNC_BACKLOG_BYTES_MAX))
        return false;
    struct list *next;
    for (struct list *at = peer->sessions.next; at != &peer->sessions; at = next) {
        next = at->next;
        struct sync_session *session = CONTAINER_OF(at, struct sync_session, in_peer);
        if (session->state != SYNC_QUEUED)
            end(sync, session, SYNC_ENDED_SLOW);
    }
    links_end(sync->links, link, DISCONNECT_MUTE, "it does not take what it is sent", sync->now);
    return true;
}

void sync_source_flush(struct sync *sync, struct sync_peer *peer)
{
    bool is_wanted = peer->queued_count > 0 || !list_is_empty(&peer->pulls) || peer->is_wanted;
    if (!stream_is_open(&peer->out) && !(is_wanted && open_stream(sync, peer)))
        return;
    struct link *link = links_dialled(sync->links, peer->index, LANE_DATA);
    if (!conn_id_equal(link->conn, peer->out.conn) || is_too_slow(sync, peer, link))
        return; /* the news of its end is under way */
    offer_queued(sync, peer);
    ask_for_pulls(sync, peer);
    if (!stream_may_send(&peer->out))
        return;
    send_items(sync, peer);
    peer->put_bytes = 0;
    struct reply *out = buf_len(&peer->out.queue) > 0 ? link_out(sync->links, link) : NULL;
    if (out)
        stream_send(&peer->out, out);
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
        buf_close(&session->names);
        session->is_flush_due = false;
        session->common = 0;
        if (!session->is_pulled)
            session->sid = ++sync->last_sid;
        offer(sync, session);
        return;
    }
    copy_put_names(sync->store, session->slot, session->common, &session->names);
    if (copy_has_flush_above(sync->store, session->slot, session->common))
        session->is_flush_due = true;
    session->names_in_all = buf_len(&session->names);
    sync_session_move(session, SYNC_SENDING);
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
           session->end_number <= peer->out.acked) {
        peer->sessions_done++;
        sync->stats->sync_done++;
        if (session->is_pulled) {
            sync_session_remove(sync, session);
            continue;
        }
        sync_session_move(session, SYNC_SYNCED);
        sync_event_add(sync, &(struct sync_event){.change = SYNC_BECAME,
                                                  .peer = peer->index,
                                                  .slot = session->slot,
                                                  .sid = session->id,
                                                  .number = peer->out.acked});
    }
    note_end(sync, peer);
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

/* --- advance ---------------------------------------------------------------------------------- */

static bool is_in_group(const struct ring *ring, uint32_t slot, uint32_t member)
{
    for (uint32_t i = 0; i < ring->group_size; i++)
        if (ring->group[slot][i] == member)
            return true;
    return false;
}

/* Slots first … last are excepted; those between that the ADVANCE does not mean do no harm. */
static void put_range(struct buf *out, uint32_t first, uint32_t last)
{
    record_append(out,
                  &(struct record){.kind = RECORD_RANGE,
                                   .RANGE = {.first = (uint16_t)first, .last = (uint16_t)last}});
}

/* Lists the slots led here and backed by the member that are not meant. */
static void put_excepted(const struct sync *sync, uint32_t member, const bool *slots,
                         struct buf *out)
{
    uint32_t first = SLOT_COUNT, last = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        if (sync->ring->primary[slot] != sync->self || !is_in_group(sync->ring, slot, member))
            continue;
        if (!slots[slot]) {
            first = first == SLOT_COUNT ? slot : first;
            last = slot;
        } else if (first < SLOT_COUNT) {
            put_range(out, first, last);
            first = SLOT_COUNT;
        }
    }
    if (first < SLOT_COUNT)
        put_range(out, first, last);
}

static void put_checks(const struct sync_advance *advance, struct buf *out)
{
    for (uint32_t i = 0; i < advance->check_count; i++)
        record_append(out, &(struct record){.kind = RECORD_CHECK,
                                            .CHECK = {.slot = advance->checks[i].slot,
                                                      .ver = advance->checks[i].ver}});
}

static void advance_slot(struct sync *sync, uint32_t slot, struct sync_peer *peer, uint64_t sid,
                         uint64_t number)
{
    drop(sync, slot, peer->index);
    struct sync_session *session =
        sync_session_add(sync, slot, peer, peer->generation, SYNC_FOR_QUORUM);
    session->id = session->sid = sid;
    session->common = store_ver(sync->store, slot);
    note_end_of_copy(session, number, session->common);
    sync_session_move(session, SYNC_ADVANCING);
}

uint64_t sync_advance(struct sync *sync, uint32_t peer, uint64_t generation,
                      const struct sync_advance *advance, struct moment now)
{
    if (!sync_is_up(sync, peer, generation, now))
        return 0;
    struct sync_peer *of = sync_peer_get(sync, peer);
    uint32_t member =
        view_find(sync->view, span_of_string(links_name(sync->links, peer)), generation);
    uint64_t sid = ++sync->last_sid;
    buf_consume(&sync->names, buf_len(&sync->names));
    buf_consume(&sync->one, buf_len(&sync->one));
    put_excepted(sync, member, advance->slots, &sync->names);
    put_checks(advance, &sync->one);
    uint64_t number =
        stream_put(&of->out, &(struct record){.kind = RECORD_ADVANCE,
                                              .ADVANCE = {.sid = sid,
                                                          .act = advance->act,
                                                          .excepted = buf_span(&sync->names),
                                                          .checks = buf_span(&sync->one)}});
    note_begin(sync, of);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if (advance->slots[slot] && sync->ring->primary[slot] == sync->self &&
            is_in_group(sync->ring, slot, member))
            advance_slot(sync, slot, of, sid, number);
    return sid;
}

/* --- writes ----------------------------------------------------------------------------------- */

/* What the sessions of a slot are told of one write. */
static void describe_write(struct sync *sync, const struct sync_write *write, struct record *record)
{
    if (write->what == SYNC_WRITE_FLUSH) {
        *record = (struct record){.kind = RECORD_FLUSH,
                                  .FLUSH = {.slot = (uint16_t)write->slot, .is_write = true}};
        copy_describe_flush(sync->store, write->slot, &record->FLUSH);
        record->FLUSH.version = write->version;
        return;
    }
    record->kind = RECORD_CHANGE;
    record->CHANGE = (struct record_CHANGE){.slot = (uint16_t)write->slot, .is_write = true};
    struct record_CHANGE *change = &record->CHANGE;
    if (LIKELY(write->what == SYNC_WRITE_KEY)) {
        copy_describe(sync->store, write->key, change);
        CHECK(change->version <= write->version);
        if (change->what != RECORD_ABSENT && change->version < write->version)
            change->what = RECORD_NOTHING; /* the key is as it was before */
    } else {
        change->what = write->what == SYNC_WRITE_DELETED ? RECORD_TOMBSTONE : RECORD_NOTHING;
        change->position = write->key->position;
        change->key = write->key->bytes;
        change->left_s = RECORD_FOREVER;
    }
    change->version = write->version;
}

/* "so does a WRITE to a receiver that is not synced yet (a synced one adds the one entry)" */
static struct span ids_of_write(struct sync *sync, const struct sync_write *write, bool is_synced)
{
    if (is_synced || MUTANT(sync_one_id)) {
        if (LIKELY(write->id.len == 0))
            return span_of(NULL, 0);
        if (buf_len(&sync->one) == 0)
            copy_put_id(sync->store, write->slot, write->id, &sync->one);
        return buf_span(&sync->one);
    }
    const struct store_key flush = store_flush_key(write->slot);
    buf_consume(&sync->ids, buf_len(&sync->ids));
    copy_put_ids(sync->store, write->what == SYNC_WRITE_FLUSH ? &flush : write->key, &sync->ids);
    return buf_span(&sync->ids);
}

/* Keeps the bounds that sync_session_acked tells close to what is acknowledged, with no more than
 * two writes remembered: the last one, and the one that is being waited for. */
static void note_write(struct sync_session *session, uint64_t number, uint64_t version)
{
    uint64_t acked = session->peer->out.acked;
    bool is_all_acked = session->last_number <= acked;
    if (is_all_acked || session->check_number <= acked) {
        session->acked = is_all_acked ? session->last_version : session->check_version;
        session->check_number = session->last_number;
        session->check_version = session->last_version;
    }
    session->last_number = number;
    session->last_version = version;
}

void sync_write(struct sync *sync, const struct sync_write *write)
{
    struct sync_session *session = sync->sessions[write->slot];
    if (!session)
        return;
    struct record record;
    bool is_described = false;
    buf_consume(&sync->one, buf_len(&sync->one));
    for (; session; session = session->next) {
        if (!sync_session_is_past_start(session) || session->is_pulled)
            continue;
        if (!is_described)
            describe_write(sync, write, &record);
        is_described = true;
        struct span ids = ids_of_write(sync, write, session->state != SYNC_SENDING);
        if (record.kind == RECORD_FLUSH) {
            record.FLUSH.sid = session->sid;
            record.FLUSH.ids = ids;
        } else {
            record.CHANGE.sid = session->sid;
            record.CHANGE.ids = ids;
        }
        struct sync_peer *peer = session->peer;
        size_t before = buf_len(&peer->out.queue);
        note_write(session, stream_put(&peer->out, &record), write->version);
        peer->put_bytes += buf_len(&peer->out.queue) - before;
    }
}

uint64_t sync_mark(struct sync *sync, uint32_t peer)
{
    struct sync_peer *of = sync_peer_find(sync, peer);
    CHECK(of != NULL);
    CHECK(stream_is_open(&of->out));
    of->put_bytes += RECORD_HEADER_BYTES;
    return stream_put(&of->out, &(struct record){.kind = RECORD_MARK,
                                                 .MARK = {.number = stream_next_number(&of->out)}});
}

void sync_floor(struct sync *sync, uint32_t slot, uint64_t floor)
{
    for (struct sync_session *session = sync->sessions[slot]; session; session = session->next)
        if (session->state >= SYNC_ENDING && !session->is_pulled)
            stream_put(&session->peer->out,
                       &(struct record){
                           .kind = RECORD_FLOOR,
                           .FLOOR = {.slot = (uint16_t)slot, .sid = session->sid, .floor = floor}});
}

/* --- questions -------------------------------------------------------------------------------- */

bool sync_session(const struct sync *sync, uint32_t slot, uint32_t peer,
                  struct sync_session_view *view)
{
    *view = (struct sync_session_view){.state = SYNC_NONE};
    const struct sync_session *session = sync_session_find(sync, slot, peer);
    if (!session || session->is_pulled)
        return false;
    *view = (struct sync_session_view){.state = session->state,
                                       .sid = session->id,
                                       .generation = session->generation,
                                       .common = session->common,
                                       .acked = sync_session_acked(session),
                                       .is_past_start = sync_session_is_past_start(session)};
    return true;
}

uint64_t sync_floor_max(const struct sync *sync, uint32_t slot)
{
    uint64_t lowest = UINT64_MAX;
    for (const struct sync_session *at = sync->sessions[slot]; at; at = at->next) {
        if (!sync_session_is_past_start(at))
            continue;
        uint64_t own = at->state == SYNC_SYNCED ? sync_session_acked(at) : at->common;
        lowest = own < lowest ? own : lowest;
    }
    return lowest;
}

uint64_t sync_position(const struct sync *sync, uint32_t peer)
{
    const struct sync_peer *of = sync_peer_find(sync, peer);
    return of ? of->out.position : sync->numbers_end;
}

uint64_t sync_acked(const struct sync *sync, uint32_t peer)
{
    const struct sync_peer *of = sync_peer_find(sync, peer);
    return of ? of->out.acked : sync->numbers_end;
}

bool sync_is_congested(const struct sync *sync, uint32_t slot)
{
    for (const struct sync_session *at = sync->sessions[slot]; at; at = at->next)
        if (at->state == SYNC_SYNCED && stream_backlog(&at->peer->out) > BACKLOG_CONGESTED_BYTES)
            return true;
    return false;
}
