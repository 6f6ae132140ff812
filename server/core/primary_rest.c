/* Floors, and copies that are held for nobody. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/primary_parts.h"

/* ---- floors ---- */

static uint64_t bound_of(const struct primary *primary, const struct run *run)
{
    struct floor_member others[RUN_BACKUPS_MAX];
    for (uint32_t k = 0; k < run->backup_count; k++) {
        struct sync_session_view session = {.state = SYNC_NONE};
        if (run->synced & 1u << k)
            sync_session(primary->setup.sync, run->slot, primary->allies[run->members[k]].peer,
                         &session);
        others[k] = (struct floor_member){.is_synced = session.state == SYNC_SYNCED,
                                          .acked = session.acked};
    }
    return collect_floor(store_ver(primary->setup.store, run->slot), others, run->backup_count,
                         sync_floor_max(primary->setup.sync, run->slot));
}

/* "It raises floor no higher than it has something to drop, and late enough that short absences
 * need no full sync": what was possible at the last look, if it still is. */
void primary_look_at_floors(struct primary *primary)
{
    struct store *store = primary->setup.store;
    bool has_any = store_counters(store)->tombstones > 0 || primary->has_flushed;
    for (uint32_t i = 0; has_any && i < primary->run_count; i++) {
        struct run *run = &primary->runs[i];
        if (run->state != RUN_ACTIVE || primary_serving(primary, run->slot) == SERVING_ALONE)
            continue;
        uint64_t bound = bound_of(primary, run);
        uint64_t limit = run->floor_next < bound ? run->floor_next : bound;
        run->floor_next = bound;
        if (limit <= store_copy(store, run->slot)->floor)
            continue;
        uint64_t floor = copy_droppable(store, run->slot, limit);
        if (floor <= store_copy(store, run->slot)->floor)
            continue;
        copy_raise_floor(store, run->slot, floor);
        sync_floor(primary->setup.sync, run->slot, floor);
    }
}

/* ---- leftovers ---- */

/* Whether this node holds something of a slot that is not, and will not be, its own. */
static bool is_leftover(const struct primary *primary, const struct ring *next, uint32_t slot)
{
    bool is_member = primary->self != RING_NOBODY;
    if (is_member && (ring_has(primary->ring, slot, primary->self) ||
                      (next && ring_has(next, slot, primary->self))))
        return false;
    return copy_is_known(primary->setup.store, slot);
}

static void send_holding(struct primary *primary, uint32_t member, struct buf *body,
                         struct moment now)
{
    uint32_t peer = primary->allies[member].peer;
    if (buf_len(body) > 0 && peer != PEER_NONE && peer != PEER_SELF) {
        struct link *link = links_to(primary->setup.links, peer, LANE_DATA, now);
        struct reply *out =
            link && link->state == LINK_UP ? link_out(primary->setup.links, link) : NULL;
        struct message message = {
            .kind = MESSAGE_HOLDING, .HOLDING = {.epoch = primary->epoch}, .body = buf_span(body)};
        if (out)
            message_append(out, &message);
    }
    buf_consume(body, buf_len(body));
}

/* "A node that holds a copy of a slot whose group lacks it asks the primary". */
void primary_ask_holding(struct primary *primary, struct moment now)
{
    struct buf body = {0};
    uint32_t count = 0;
    const struct ring *next = views_next_ring(primary->setup.views);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        primary->scratch[slot] = is_leftover(primary, next, slot);
        count += primary->scratch[slot];
    }
    for (uint32_t member = 0; count > 0 && member < primary->view->member_count; member++) {
        struct ranges ranges = {.out = &body};
        for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
            if (!primary->scratch[slot] || primary->ring->primary[slot] != member)
                continue;
            ranges_add(&ranges, slot);
            if (buf_len(&body) > RANGES_BYTES_MAX)
                send_holding(primary, member, &body, now);
        }
        ranges_end(&ranges);
        send_holding(primary, member, &body, now);
    }
    buf_close(&body);
}

enum err primary_take_holding(struct primary *primary, struct span list, struct reply *out)
{
    struct buf body = {0};
    struct ranges ranges = {.out = &body};
    struct record record;
    while (record_take(&list, RECORD_RANGE, &record)) {
        uint32_t last = record.RANGE.last;
        for (uint32_t slot = record.RANGE.first; last < SLOT_COUNT && slot <= last; slot++) {
            const struct run *run = primary_run(primary, slot);
            if (run && (run->state == RUN_ACTIVE || MUTANT(drops_early)) &&
                buf_len(&body) <= RANGES_BYTES_MAX)
                ranges_add(&ranges, slot);
        }
    }
    ranges_end(&ranges);
    struct message message = {
        .kind = MESSAGE_ACTIVE, .ACTIVE = {.epoch = primary->epoch}, .body = buf_span(&body)};
    if (buf_len(&body) > 0)
        message_append(out, &message);
    buf_close(&body);
    return list.len == 0 ? ERR_OK : ERR_SYNTAX;
}

/* "told ACTIVE in its own view e', it drops the copy if act < e' and no session for it is open (the
 * empty copy is recorded first)". */
enum err primary_take_active(struct primary *primary, struct span list)
{
    struct store *store = primary->setup.store;
    const struct ring *next = views_next_ring(primary->setup.views);
    struct record record;
    while (record_take(&list, RECORD_RANGE, &record)) {
        uint32_t last = record.RANGE.last;
        for (uint32_t slot = record.RANGE.first; last < SLOT_COUNT && slot <= last; slot++)
            if (is_leftover(primary, next, slot) && store_copy(store, slot)->act < primary->epoch &&
                !sync_is_received(primary->setup.sync, slot))
                copy_empty(store, slot);
    }
    return list.len == 0 ? ERR_OK : ERR_SYNTAX;
}
