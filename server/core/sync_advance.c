/* "Advance": one record for every slot that a backup has already. */
#include "server/core/sync_parts.h"

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
        if (sync->ring->primary[slot] != sync->self || !ring_has(sync->ring, slot, member))
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
    sync_session_drop(sync, slot, peer->index);
    struct sync_session *session =
        sync_session_add(sync, slot, peer, peer->generation, SYNC_FOR_QUORUM);
    session->id = session->sid = sid;
    session->common = store_ver(sync->store, slot);
    sync_session_ends_at(session, number, session->common);
    sync_session_move(sync, session, SYNC_ADVANCING);
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
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if (advance->slots[slot] && sync->ring->primary[slot] == sync->self &&
            ring_has(sync->ring, slot, member))
            advance_slot(sync, slot, of, sid, number);
    return sid;
}
