/* Sessions to here: what comes is applied. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/sync_parts.h"

#include <stdlib.h>

/* --- answers ---------------------------------------------------------------------------------- */

static void answer_nosync(struct sync *sync, struct sync_peer *peer, uint16_t slot, uint64_t sid)
{
    sync->stats->sync_nosync++;
    stream_in_answer(&peer->in,
                     &(struct record){.kind = RECORD_NOSYNC, .NOSYNC = {.slot = slot, .sid = sid}});
}

/* The session to here that a record is about, NULL if it is none that is open. */
static struct receiving *receiving_of(struct sync *sync, struct sync_peer *peer, uint16_t slot,
                                      uint64_t sid)
{
    struct receiving *receiving = slot < SLOT_COUNT ? &sync->receiving[slot] : NULL;
    bool is_open = receiving && receiving->state >= RECEIVING_OPEN;
    if (!is_open || receiving->sid != sid || receiving->peer != peer->index)
        return NULL;
    if (receiving->pull)
        peer->pulled_ms = sync->now.mono_ms;
    return receiving;
}

/* The session ends from this side: answered with why. A pull has failed. */
static void give_up(struct sync *sync, struct sync_peer *peer, uint16_t slot, bool is_full)
{
    struct receiving *receiving = &sync->receiving[slot];
    uint64_t sid = receiving->sid;
    peer->received.failed++;
    if (receiving->pull)
        sync_pull_failed(sync, slot, is_full ? SYNC_ENDED_FULL : SYNC_ENDED_NOSYNC);
    else
        sync_receiving_end(sync, slot);
    if (is_full) {
        sync->stats->sync_full++;
        stream_in_answer(&peer->in,
                         &(struct record){.kind = RECORD_FULL, .FULL = {.slot = slot, .sid = sid}});
    } else {
        answer_nosync(sync, peer, slot, sid);
    }
}

static void receiving_begin(struct sync *sync, struct sync_peer *peer, uint16_t slot, uint64_t sid,
                            enum receiving_state state)
{
    struct receiving *receiving = &sync->receiving[slot];
    receiving->peer = peer->index;
    receiving->sid = sid;
    sync_receiving_move(sync, slot, state);
}

/* --- OFFER ------------------------------------------------------------------------------------ */

/* Names go in several parts where there are many. */
#define NAMES_BYTES_MAX (STREAM_ANSWER_BYTES_MAX - 64)

/* The records that list begins with, as many as fit a part. */
static struct span take_names(struct span *list)
{
    struct span rest = *list;
    struct record name;
    size_t len = 0;
    while (record_take(&rest, RECORD_NAME, &name) && list->len - rest.len <= NAMES_BYTES_MAX)
        len = list->len - rest.len;
    struct span part = span_of(list->data, len);
    *list = span_of(list->data + len, list->len - len);
    return part;
}

static void answer_start(struct sync_peer *peer, struct record_START start, struct span names)
{
    do {
        start.names = take_names(&names);
        start.is_last = names.len == 0;
        stream_in_answer(&peer->in, &(struct record){.kind = RECORD_START, .START = start});
    } while (names.len > 0);
}

/* "If common < the floor of either: the receiver records an empty copy and then drops all items and
 * entries: START(full)." */
static void start_full(struct sync *sync, struct sync_peer *peer, const struct record_OFFER *offer)
{
    copy_empty(sync->store, offer->slot);
    sync->stats->sync_full_starts++;
    answer_start(peer,
                 (struct record_START){.slot = offer->slot, .sid = offer->sid, .is_full = true},
                 span_of(NULL, 0));
}

/* For a mutant: the cut tail is gone before the source has replaced it. */
static void erase_all(struct sync *sync, struct span names)
{
    struct record name;
    while (record_take(&names, RECORD_NAME, &name)) {
        const struct store_key key = {.bytes = name.NAME.key, .position = name.NAME.position};
        if (key.bytes.len > 0)
            store_erase(sync->store, &key);
    }
}

/* "Otherwise it cuts its lineage to common, not clean if that cut anything off. It keeps act and
 * all its items until the source replaces them: START(common, names), names being its own keys
 * above common, and its flush if above." */
static void start_common(struct sync *sync, struct sync_peer *peer,
                         const struct record_OFFER *offer, uint64_t common)
{
    if (!MUTANT(sync_never_cuts))
        (void)copy_cut(sync->store, offer->slot, common);
    buf_consume(&sync->names, buf_len(&sync->names));
    copy_put_names(sync->store, offer->slot, common, &sync->names);
    if (MUTANT(sync_drops_tail))
        erase_all(sync, buf_span(&sync->names));
    answer_start(
        peer,
        (struct record_START){.slot = offer->slot,
                              .sid = offer->sid,
                              .has_flush = copy_has_flush_above(sync->store, offer->slot, common),
                              .common = common},
        buf_span(&sync->names));
}

/* Whether this node takes the session: of the slot's primary, or of the copy that it has asked. */
static bool is_welcome(struct sync *sync, const struct sync_peer *peer,
                       const struct record_OFFER *offer)
{
    const struct receiving *receiving = &sync->receiving[offer->slot];
    if (offer->is_pulled)
        return receiving->pull && receiving->sid == offer->sid && receiving->peer == peer->index;
    uint16_t primary = sync->ring->primary[offer->slot];
    return !sync->refuses && !receiving->pull && primary != RING_NOBODY &&
           primary == peer->member && primary != sync->self;
}

/* "A copy pulled from is the one that was chosen." */
static bool is_chosen(const struct pull *pull, uint32_t act, uint64_t ver)
{
    return !pull || (pull->act == act && pull->ver == ver);
}

static enum err take_offer(struct sync *sync, struct sync_peer *peer,
                           const struct record_OFFER *offer)
{
    uint32_t count;
    if (offer->slot >= SLOT_COUNT || !copy_take_lineage(sync, offer->lineage, &count))
        return ERR_SYNTAX;
    if (!is_welcome(sync, peer, offer)) {
        answer_nosync(sync, peer, offer->slot, offer->sid);
        return ERR_OK;
    }
    struct receiving *receiving = &sync->receiving[offer->slot];
    if (!is_chosen(receiving->pull, offer->act, offer->ver)) {
        sync_pull_failed(sync, offer->slot, SYNC_ENDED_MOVED);
        answer_nosync(sync, peer, offer->slot, offer->sid);
        return ERR_OK;
    }
    if (receiving->state != RECEIVING_NONE && !receiving->pull)
        sync_receiving_end(sync, offer->slot); /* a newer session takes its place */
    if (receiving->pull)
        peer->pulled_ms = sync->now.mono_ms;
    receiving_begin(sync, peer, offer->slot, offer->sid, RECEIVING_OPEN);
    const struct copy *copy = store_copy(sync->store, offer->slot);
    uint64_t common = copy_common(copy->lineage, copy->lineage_count, sync->lineage, count);
    if (MUTANT(sync_common_by_ver)) {
        uint64_t ver = store_ver(sync->store, offer->slot);
        common = ver < offer->ver ? ver : offer->ver;
    }
    bool is_below = common < offer->floor || (common < copy->floor && !MUTANT(sync_own_floor));
    if (is_below && !MUTANT(sync_never_full))
        start_full(sync, peer, offer);
    else
        start_common(sync, peer, offer, common);
    return ERR_OK;
}

/* --- what a session brings -------------------------------------------------------------------- */

/* "synced: each WRITE is the successor of its ver" */
static bool is_next(struct sync *sync, uint16_t slot, uint64_t version)
{
    return copy_is_next(sync->store, slot, version) || MUTANT(sync_takes_gaps);
}

/* Whether a session takes this record: "unconditionally in order of arrival" before END, only
 * writes without a gap after it. */
static bool takes(struct sync *sync, const struct receiving *receiving, uint16_t slot,
                  bool is_write, uint64_t version)
{
    if (receiving->state == RECEIVING_OPEN)
        return true;
    return is_write && is_next(sync, slot, version);
}

/* What has become of a record of a session. */
static enum err applied(struct sync *sync, struct sync_peer *peer, uint16_t slot, enum err err)
{
    if (err == ERR_SYNTAX)
        return err;
    if (err) /* "A backup that cannot store a write ends the session with FULL." */
        give_up(sync, peer, slot, true);
    return ERR_OK;
}

static enum err take_change(struct sync *sync, struct sync_peer *peer,
                            const struct record_CHANGE *change)
{
    const struct receiving *receiving = receiving_of(sync, peer, change->slot, change->sid);
    if (!receiving)
        return ERR_OK;
    bool is_synced = receiving->state == RECEIVING_SYNCED;
    if (!takes(sync, receiving, change->slot, change->is_write, change->version)) {
        give_up(sync, peer, change->slot, false);
        return ERR_OK;
    }
    if (!is_synced) { /* "from the first change on it is not clean" */
        copy_soil(sync->store, change->slot);
        uint64_t bytes = change->key.len + change->value.len + change->ids.len;
        peer->received.items++;
        peer->received.bytes += bytes;
        sync->stats->sync_items_received++;
        sync->stats->sync_bytes_received += bytes;
    }
    return applied(sync, peer, change->slot, copy_apply(sync, change, is_synced));
}

static enum err take_flush(struct sync *sync, struct sync_peer *peer,
                           const struct record_FLUSH *flush)
{
    const struct receiving *receiving = receiving_of(sync, peer, flush->slot, flush->sid);
    if (!receiving)
        return ERR_OK;
    if (!takes(sync, receiving, flush->slot, flush->is_write, flush->version)) {
        give_up(sync, peer, flush->slot, false);
        return ERR_OK;
    }
    bool is_synced = receiving->state == RECEIVING_SYNCED;
    if (!is_synced)
        copy_soil(sync->store, flush->slot);
    return applied(sync, peer, flush->slot, copy_apply_flush(sync, flush, is_synced));
}

/* The copy that this node asked for is here: it is that copy now, of this (act, ver). */
static void take_pulled(struct sync *sync, struct sync_peer *peer, const struct record_END *end)
{
    struct sync_event event = {.change = SYNC_PULLED,
                               .peer = peer->index,
                               .slot = end->slot,
                               .sid = end->sid,
                               .act = end->act,
                               .ver = store_ver(sync->store, end->slot),
                               .is_clean = end->is_clean};
    sync_receiving_end(sync, end->slot);
    sync_event_add(sync, &event);
}

/* "END(lineage, act, clean, floor). The receiver records lineage and ver, the higher of both
 * floors, clean, and act = e', and acknowledges. From here it is synced." */
static enum err take_end(struct sync *sync, struct sync_peer *peer, const struct record_END *end)
{
    const struct receiving *receiving = receiving_of(sync, peer, end->slot, end->sid);
    if (!receiving || receiving->state != RECEIVING_OPEN)
        return receiving ? ERR_SYNTAX : ERR_OK;
    uint32_t count;
    if (!copy_take_lineage(sync, end->lineage, &count))
        return ERR_SYNTAX;
    uint64_t ver = count > 0 ? sync->lineage[count - 1] : 0;
    uint64_t floor = store_copy(sync->store, end->slot)->floor;
    floor = floor > end->floor ? floor : end->floor;
    uint32_t act = receiving->pull ? end->act : sync->epoch;
    if (floor > ver || act > sync->epoch || store_version_epoch(ver) > act)
        return ERR_SYNTAX;
    if (!is_chosen(receiving->pull, end->act, ver)) {
        sync_pull_failed(sync, end->slot, SYNC_ENDED_MOVED);
        return ERR_OK;
    }
    copy_end(sync->store, end->slot, sync->lineage, count, act, end->is_clean, end->floor);
    peer->received.done++;
    if (receiving->pull) {
        take_pulled(sync, peer, end);
    } else {
        sync_receiving_move(sync, end->slot, RECEIVING_SYNCED);
        sync_event_add(sync, &(struct sync_event){.change = SYNC_RECEIVED,
                                                  .peer = peer->index,
                                                  .slot = end->slot,
                                                  .sid = end->sid});
    }
    return ERR_OK;
}

static void take_close(struct sync *sync, struct sync_peer *peer, const struct record_CLOSE *close)
{
    const struct receiving *receiving = receiving_of(sync, peer, close->slot, close->sid);
    if (!receiving)
        return;
    if (receiving->pull)
        sync_pull_failed(sync, close->slot, SYNC_ENDED_MOVED);
    else
        sync_receiving_end(sync, close->slot);
}

/* "FLOOR makes the synced receivers do the same." */
static void take_floor(struct sync *sync, struct sync_peer *peer, const struct record_FLOOR *floor)
{
    const struct receiving *receiving = receiving_of(sync, peer, floor->slot, floor->sid);
    if (!receiving)
        return;
    if (receiving->state != RECEIVING_SYNCED || floor->floor > store_ver(sync->store, floor->slot))
        give_up(sync, peer, floor->slot, false);
    else
        copy_raise_floor(sync->store, floor->slot, floor->floor);
}

/* --- ADVANCE ---------------------------------------------------------------------------------- */

static bool is_backed_here(const struct sync *sync, uint32_t slot, uint32_t primary)
{
    return sync->ring->primary[slot] == primary && ring_has(sync->ring, slot, sync->self);
}

/* Ascending lists, of which the entry at or behind a slot is looked at. */
struct advance_lists {
    struct span excepted, checks;
    struct record range, check;
    bool has_range, has_check;
};

static bool is_excepted(struct advance_lists *lists, uint32_t slot)
{
    while (lists->has_range && lists->range.RANGE.last < slot)
        lists->has_range = record_take(&lists->excepted, RECORD_RANGE, &lists->range);
    return lists->has_range && lists->range.RANGE.first <= slot;
}

/* Whether the copy is what the source says that it has to be. */
static bool is_checked(struct advance_lists *lists, uint32_t slot, uint64_t ver)
{
    while (lists->has_check && lists->check.CHECK.slot < slot)
        lists->has_check = record_take(&lists->checks, RECORD_CHECK, &lists->check);
    bool is_listed = lists->has_check && lists->check.CHECK.slot == slot;
    return !is_listed || lists->check.CHECK.ver == ver || MUTANT(advance_any_ver);
}

/* "A backup whose (act, ver) equals origin, clean, has the primary's copy already: it records act =
 * e'; it is synced. Any other answers NOSYNC and is offered a sync." */
static void advance_slot(struct sync *sync, struct sync_peer *peer, uint32_t slot,
                         const struct record_ADVANCE *advance, bool is_checked)
{
    const struct copy *copy = store_copy(sync->store, slot);
    bool is_same = (copy->act == advance->act || MUTANT(advance_any_act)) &&
                   (copy->is_clean || MUTANT(advance_soiled)) && is_checked;
    if (sync->receiving[slot].state != RECEIVING_NONE)
        sync_receiving_end(sync, slot); /* of an older session */
    if (!is_same || sync->refuses) {
        answer_nosync(sync, peer, (uint16_t)slot, advance->sid);
        return;
    }
    copy_advance(sync->store, slot, sync->epoch);
    receiving_begin(sync, peer, (uint16_t)slot, advance->sid, RECEIVING_SYNCED);
    sync_event_add(
        sync, &(struct sync_event){
                  .change = SYNC_RECEIVED, .peer = peer->index, .slot = slot, .sid = advance->sid});
}

/* "It means every slot that the sender leads in e', the receiver backs, that is not excepted, and
 * whose act is a, clean at the receiver." */
static enum err take_advance(struct sync *sync, struct sync_peer *peer,
                             const struct record_ADVANCE *advance)
{
    struct advance_lists lists = {.excepted = advance->excepted, .checks = advance->checks};
    lists.has_range = record_take(&lists.excepted, RECORD_RANGE, &lists.range);
    lists.has_check = record_take(&lists.checks, RECORD_CHECK, &lists.check);
    if ((!lists.has_range && lists.excepted.len > 0) || (!lists.has_check && lists.checks.len > 0))
        return ERR_SYNTAX;
    for (uint32_t slot = 0; peer->member != VIEW_NOBODY && slot < SLOT_COUNT; slot++) {
        if (!is_backed_here(sync, slot, peer->member) || is_excepted(&lists, slot))
            continue;
        bool is_good = is_checked(&lists, slot, store_ver(sync->store, slot));
        advance_slot(sync, peer, slot, advance, is_good);
    }
    return ERR_OK;
}

/* --- PULL ------------------------------------------------------------------------------------- */

uint64_t sync_pull(struct sync *sync, uint32_t slot, uint32_t peer, uint64_t generation,
                   uint32_t act, uint64_t ver, struct moment now)
{
    sync->now = now;
    CHECK(sync->view != NULL);
    CHECK(slot < SLOT_COUNT);
    struct sync_peer *of = sync_peer_get(sync, peer);
    sync_receiving_end(sync, slot);
    struct pull *pull = calloc(1, sizeof(*pull));
    CHECK(pull != NULL);
    *pull = (struct pull){.slot = (uint16_t)slot,
                          .sid = ++sync->last_sid,
                          .generation = generation,
                          .act = act,
                          .ver = ver};
    if (list_is_empty(&of->pulls))
        of->pulled_ms = now.mono_ms;
    list_append(&of->pulls, &pull->in_peer);
    receiving_begin(sync, of, (uint16_t)slot, pull->sid, RECEIVING_ASKED);
    sync->receiving[slot].pull = pull;
    return pull->sid;
}

/* "PULL makes that copy the source of a sync to the primary. If its (act, ver) is no longer what
 * was answered, collect again." */
static enum err take_pull(struct sync *sync, struct sync_peer *peer, const struct record_PULL *pull)
{
    if (pull->slot >= SLOT_COUNT)
        return ERR_SYNTAX;
    const struct copy *copy = store_copy(sync->store, pull->slot);
    uint16_t primary = sync->ring->primary[pull->slot];
    bool is_asked_well = primary != RING_NOBODY && primary == peer->member &&
                         copy->act == pull->act && store_ver(sync->store, pull->slot) == pull->ver;
    const struct link *link = links_find(sync->links, peer->in.conn);
    if (is_asked_well && link) {
        sync_source_pulled(sync, peer, link->generation, pull);
        return ERR_OK;
    }
    stream_in_answer(&peer->in, &(struct record){.kind = RECORD_MOVED,
                                                 .MOVED = {.slot = pull->slot, .sid = pull->sid}});
    return ERR_OK;
}

/* --- the stream ------------------------------------------------------------------------------- */

static enum err take_record(struct sync *sync, struct sync_peer *peer, const struct record *record)
{
    switch (record->kind) {
    case RECORD_OFFER:
        return take_offer(sync, peer, &record->OFFER);
    case RECORD_CHANGE:
        return take_change(sync, peer, &record->CHANGE);
    case RECORD_FLUSH:
        return take_flush(sync, peer, &record->FLUSH);
    case RECORD_END:
        return take_end(sync, peer, &record->END);
    case RECORD_ADVANCE:
        return take_advance(sync, peer, &record->ADVANCE);
    case RECORD_MARK:
        return record->MARK.number == peer->in.records + 1 ? ERR_OK : ERR_SYNTAX;
    case RECORD_FLOOR:
        take_floor(sync, peer, &record->FLOOR);
        return ERR_OK;
    case RECORD_CLOSE:
        take_close(sync, peer, &record->CLOSE);
        return ERR_OK;
    case RECORD_PULL:
        return take_pull(sync, peer, &record->PULL);
    default:
        return ERR_SYNTAX;
    }
}

/* A record too large for the memory there is. */
static void take_skipped(struct sync *sync, struct sync_peer *peer,
                         const struct record_CHANGE *change)
{
    if (receiving_of(sync, peer, change->slot, change->sid))
        give_up(sync, peer, change->slot, true);
}

/* Records looked at together, so that the memory of their keys is asked for in stages ahead of its
 * use: slots when they are parsed, then tables, then items, these so many records ahead. */
#define GROUP_MAX    64u
#define TABLES_AHEAD 24u
#define ITEMS_AHEAD  12u
#define STEP         8u

struct group {
    struct record records[GROUP_MAX];
    uint32_t count;
};

typedef void prefetch_fn(const struct store *store, const struct store_key *key);

static void prefetch(const struct sync *sync, const struct group *group, uint32_t from, uint32_t to,
                     prefetch_fn *stage)
{
    for (uint32_t i = from; i < to && i < group->count; i++) {
        if (group->records[i].kind != RECORD_CHANGE)
            continue;
        const struct record_CHANGE *change = &group->records[i].CHANGE;
        stage(sync->store, &(struct store_key){.bytes = change->key, .position = change->position});
    }
}

static void prefetch_item(const struct store *store, const struct store_key *key)
{
    (void)store_prefetch_item(store, key);
}

static void prefetch_slot(const struct sync *sync, const struct record *record)
{
    if (record->kind != RECORD_CHANGE)
        return;
    const struct store_key key = {.position = record->CHANGE.position};
    __builtin_prefetch(&sync->receiving[record->CHANGE.slot % SLOT_COUNT]);
    store_prefetch_slot(sync->store, &key);
}

/* As node_batch does. */
static void prefetch_ahead(const struct sync *sync, const struct group *group, uint32_t i)
{
    if (i == 0) {
        prefetch(sync, group, 0, TABLES_AHEAD, store_prefetch_table);
        prefetch(sync, group, 0, ITEMS_AHEAD, prefetch_item);
    }
    if (i % STEP > 0)
        return;
    uint32_t table = i + TABLES_AHEAD, item = i + ITEMS_AHEAD;
    prefetch(sync, group, table, table + STEP, store_prefetch_table);
    prefetch(sync, group, item, item + STEP, prefetch_item);
}

static enum err apply_group(struct sync *sync, struct sync_peer *peer, struct group *group)
{
    for (uint32_t i = 0; i < group->count; i++) {
        prefetch_ahead(sync, group, i);
        enum err err = take_record(sync, peer, &group->records[i]);
        if (err)
            return err;
        peer->in.records++;
    }
    group->count = 0;
    return ERR_OK;
}

/* What has come of so few slots says little, and tables of so few items are soon made. */
#define EXPECTED_SLOTS_MIN 64u
#define EXPECTED_ITEMS_MIN 32u

/* How many items a slot is likely to have in the end: as many as those that have come before, and
 * an eighth more, so that few have more. */
static uint64_t expected_items(const struct sync_batch *received)
{
    uint64_t items = received->items / (received->done + 1);
    bool is_known = received->done >= EXPECTED_SLOTS_MIN && items >= EXPECTED_ITEMS_MIN;
    return is_known ? items + items / 8 : 0;
}

static enum err take_records(struct sync *sync, struct sync_peer *peer, struct span bytes)
{
    struct group group;
    group.count = 0;
    for (;;) {
        struct record *record = &group.records[group.count];
        enum stream_next next = stream_in_next(&peer->in, &bytes, record);
        if (next == STREAM_RECORD) {
            prefetch_slot(sync, record);
            if (++group.count < GROUP_MAX && !stream_in_is_gathered(&peer->in))
                continue;
        }
        enum err err = apply_group(sync, peer, &group);
        if (stream_in_is_long(&peer->in)) /* whatever it is of */
            peer->pulled_ms = sync->now.mono_ms;
        if (err || next == STREAM_EMPTY)
            return err;
        if (next == STREAM_BAD)
            return ERR_SYNTAX;
        if (next == STREAM_SKIPPED) {
            take_skipped(sync, peer, &record->CHANGE);
            peer->in.records++;
        }
    }
}

enum err sync_receive(struct sync *sync, struct sync_peer *peer, struct span bytes)
{
    store_expect(sync->store, expected_items(&peer->received));
    enum err err = take_records(sync, peer, bytes);
    store_expect(sync->store, 0);
    return err;
}

void sync_receive_lost(struct sync *sync, struct sync_peer *peer)
{
    stream_in_end(&peer->in);
    peer->member = VIEW_NOBODY;
    uint32_t left = peer->receiving_count + peer->received_count;
    for (uint32_t slot = 0; slot < SLOT_COUNT && left > 0; slot++) {
        const struct receiving *receiving = &sync->receiving[slot];
        if (receiving->state < RECEIVING_OPEN || receiving->peer != peer->index)
            continue;
        left--;
        if (receiving->pull)
            sync_pull_failed(sync, slot, SYNC_ENDED_LINK);
        else
            sync_receiving_end(sync, slot);
    }
}

bool sync_is_received(const struct sync *sync, uint32_t slot)
{
    return sync->receiving[slot].state >= RECEIVING_OPEN;
}

bool sync_is_received_synced(const struct sync *sync, uint32_t slot)
{
    return sync->receiving[slot].state == RECEIVING_SYNCED;
}
