/* What clients write goes into the streams; and what is known of how far it has come. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/sync_parts.h"

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

/* The copy here has the write already. */
static void audit_own(struct sync *sync, const struct sync_write *write)
{
    struct record record;
    describe_write(sync, write, &record);
    if (record.kind == RECORD_CHANGE)
        copy_audit(sync, &record.CHANGE, true);
}

/* Puts what may wait for more. */
static uint64_t put(struct sync_peer *peer, const struct record *record)
{
    size_t before = buf_len(&peer->out.queue);
    uint64_t number = stream_put(&peer->out, record);
    peer->put_bytes += buf_len(&peer->out.queue) - before;
    return number;
}

/* A planted bug: who is synced takes whatever comes, and now and then a write does not. */
static bool leaves_gap(uint64_t version)
{
    return MUTANT(sync_takes_gaps) && version % 64 == 0;
}

void sync_write(struct sync *sync, const struct sync_write *write)
{
    struct sync_session *session = sync->sessions[write->slot];
    if (UNLIKELY(sync->setup.audit != NULL))
        audit_own(sync, write);
    if (!session || leaves_gap(write->version))
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
        note_write(session, put(peer, &record), write->version);
        if (UNLIKELY(peer->put_bytes > STREAM_BATCH_BYTES_MAX))
            sync_peer_note_backlog(sync, peer);
    }
}

void sync_prefetch_slot(const struct sync *sync, uint32_t slot)
{
    __builtin_prefetch(&sync->sessions[slot]);
}

static void prefetch_session(const struct sync_session *session)
{
    if (!session)
        return;
    __builtin_prefetch(session);
    __builtin_prefetch((const char *)session + 64);
}

void sync_prefetch_first(const struct sync *sync, uint32_t slot)
{
    prefetch_session(sync->sessions[slot]);
}

void sync_prefetch_rest(const struct sync *sync, uint32_t slot)
{
    if (sync->sessions[slot])
        prefetch_session(sync->sessions[slot]->next);
}

uint64_t sync_mark(struct sync *sync, uint32_t peer)
{
    struct sync_peer *of = sync_peer_find(sync, peer);
    CHECK(of != NULL);
    CHECK(stream_is_open(&of->out));
    const struct record record = {.kind = RECORD_MARK,
                                  .MARK = {.number = stream_next_number(&of->out)}};
    return put(of, &record);
}

void sync_hurry(struct sync *sync, uint32_t peer)
{
    struct sync_peer *of = sync_peer_find(sync, peer);
    if (of)
        of->is_hurried = true;
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
                                       .is_past_start = sync_session_is_past_start(session),
                                       .rank = session->rank};
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
    if (LIKELY(sync->congested_count == 0)) /* the sessions of a slot are not looked at in vain */
        return false;
    for (const struct sync_session *at = sync->sessions[slot]; at; at = at->next)
        if (at->state == SYNC_SYNCED && at->peer->is_congested)
            return true;
    return false;
}
