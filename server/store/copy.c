#include "server/store/copy.h"

#include "common/check.h"
#include "common/mutant.h"
#include "server/store/slots.h"

static struct slot *slot_at(struct store *store, uint32_t number)
{
    CHECK(number < SLOT_COUNT);
    return &store->slots[number];
}

/* Brings what the slot knows better into its copy. */
static struct copy *settle(struct store *store, uint32_t number)
{
    const struct slot *slot = slot_at(store, number);
    struct copy *copy = &store->copies[number];
    copy->flush = slot->flushed;
    if (store_version_seq(slot->version) != 0) {
        CHECK(copy->lineage_count > 0);
        copy->lineage[copy->lineage_count - 1] = slot->version;
    }
    return copy;
}

const struct copy *store_copy(struct store *store, uint32_t number)
{
    return settle(store, number);
}

uint64_t store_ver(const struct store *store, uint32_t number)
{
    CHECK(number < SLOT_COUNT);
    const struct copy *copy = &store->copies[number];
    uint64_t version = store->slots[number].version;
    if (store_version_seq(version) != 0)
        return version;
    return copy->lineage_count > 0 ? copy->lineage[copy->lineage_count - 1] : 0;
}

bool copy_ends_in(const struct store *store, uint32_t number, uint32_t epoch)
{
    CHECK(number < SLOT_COUNT);
    uint64_t version = store->slots[number].version; /* of the epoch act */
    CHECK(store_version_epoch(version) <= epoch);
    return store_version_epoch(version) == epoch && store_version_seq(version) != 0;
}

bool copy_is_known(const struct store *store, uint32_t number)
{
    CHECK(number < SLOT_COUNT);
    const struct copy *copy = &store->copies[number];
    return copy->act > 0 || copy->lineage_count > 0 || !copy->is_clean;
}

/* Lineages */

uint64_t copy_common(const uint64_t *ours, uint32_t our_count, const uint64_t *theirs,
                     uint32_t their_count)
{
    while (our_count > 0 && their_count > 0) {
        uint64_t our = ours[our_count - 1];
        uint64_t their = theirs[their_count - 1];
        if (store_version_epoch(our) == store_version_epoch(their))
            return our < their ? our : their;
        if (our > their)
            our_count--;
        else
            their_count--;
    }
    return 0;
}

bool copy_lineage_is_valid(const uint64_t *lineage, uint32_t count)
{
    uint32_t epoch = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t version = lineage[i];
        if (version >> 63 != 0 || store_version_seq(version) == 0 ||
            store_version_epoch(version) <= epoch)
            return false;
        epoch = store_version_epoch(version);
    }
    return true;
}

bool copy_is_next(const struct store *store, uint32_t number, uint64_t version)
{
    CHECK(number < SLOT_COUNT);
    uint64_t last = store->slots[number].version; /* of the epoch act */
    return version == last + 1 && store_version_epoch(version) == store_version_epoch(last);
}

/* Records act, and the lineage's end as the slot has it. */
static void record_act(struct store *store, uint32_t number, uint32_t act)
{
    struct copy *copy = settle(store, number);
    uint64_t ver = store_ver(store, number);
    CHECK(act >= store_version_epoch(ver));
    copy->act = act;
    store->slots[number].version = act == store_version_epoch(ver) ? ver : store_version(act, 0);
}

/* Leading */

void copy_lead(struct store *store, uint32_t number, uint32_t epoch)
{
    struct slot *slot = slot_at(store, number);
    struct copy *copy = settle(store, number);
    CHECK(epoch > 0);
    CHECK(epoch <= STORE_EPOCH_MAX);
    CHECK(epoch >= copy->act);
    /* proto.md "Becoming primary", 3: record act = e', clean. */
    record_act(store, number, epoch);
    copy->is_clean = true;
    slot->is_led = true;
    slot->is_alone = false;
    slots_note_due(store, slot); /* expiries have not been noted while it was not led */
    if (copy->flush_due != 0)
        slots_note_flush_due(store, copy->flush_due_s);
}

void copy_unlead(struct store *store, uint32_t number)
{
    struct slot *slot = slot_at(store, number);
    settle(store, number);
    slot->is_led = false;
    slot->is_alone = false;
}

void copy_unlead_all(struct store *store)
{
    for (uint32_t i = 0; i < SLOT_COUNT; i++)
        copy_unlead(store, i);
    keys_clear(&store->expired);
    keys_clear(&store->evicted);
    store->saw_expired = false;
}

bool copy_is_led(const struct store *store, uint32_t number)
{
    CHECK(number < SLOT_COUNT);
    return store->slots[number].is_led;
}

void copy_set_alone(struct store *store, uint32_t number, bool is_alone)
{
    struct slot *slot = slot_at(store, number);
    CHECK(slot->is_led);
    slot->is_alone = is_alone;
    if (!is_alone)
        return;
    uint64_t floor = copy_droppable(store, number, UINT64_MAX);
    if (slot->flushed > floor)
        floor = slot->flushed;
    /* Of a sync that has not ended there may be a tombstone, or the flush, above ver: a write that
     * changes nothing lets the floor pass it. */
    if (floor > store_ver(store, number))
        slots_extend(store, slot, slots_next_version(slot));
    copy_raise_floor(store, number, floor);
    slots_note_due(store, slot); /* what is expired goes by itself now */
}

/* The floor */

uint64_t copy_droppable(const struct store *store, uint32_t number, uint64_t limit)
{
    CHECK(number < SLOT_COUNT);
    const struct slot *slot = &store->slots[number];
    const struct copy *copy = &store->copies[number];
    if (copy->tombstone_count == 0 && slot->flushed <= copy->floor)
        return 0;
    uint64_t highest = 0;
    for (uint32_t index = 0; index < slot->capacity; index++) {
        uint64_t entry = slot->table->entries[index];
        const struct item *item = entry_item(entry);
        if (entry == 0 || item_is_gone(slot, copy, item))
            continue;
        uint64_t version = item_is_tombstone(item)       ? item->version
                           : item_is_flushed(slot, item) ? slot->flushed
                                                         : 0;
        if (version <= limit && version > highest)
            highest = version;
    }
    return highest;
}

void copy_raise_floor(struct store *store, uint32_t number, uint64_t floor)
{
    struct slot *slot = slot_at(store, number);
    struct copy *copy = settle(store, number);
    bool passes_flush = slot->flushed > copy->floor && slot->flushed <= floor;
    if (MUTANT(tombstone_takes_ids) && floor > copy->floor)
        id_log_drop(store, number);
    CHECK(floor <= store_ver(store, number));
    slots_raise_floor(store, slot, floor);
    if (copy->tombstone_count > 0 || passes_flush)
        slots_note_due(store, slot);
}

/* Being synced */

/* The copy of a slot that may be synced. */
static struct copy *synced_copy(struct store *store, uint32_t number)
{
    CHECK(!slot_at(store, number)->is_led);
    return settle(store, number);
}

/* Cuts off what lies above common; the slot goes by the lineage again. */
static void cut_lineage(struct store *store, uint32_t number, uint64_t common)
{
    struct copy *copy = &store->copies[number];
    uint32_t epoch = store_version_epoch(common);
    while (copy->lineage_count > 0 &&
           store_version_epoch(copy->lineage[copy->lineage_count - 1]) > epoch)
        copy->lineage_count--;
    if (common != 0) {
        CHECK(copy->lineage_count > 0);
        CHECK(store_version_epoch(copy->lineage[copy->lineage_count - 1]) == epoch);
        CHECK(copy->lineage[copy->lineage_count - 1] >= common);
        copy->lineage[copy->lineage_count - 1] = common;
    }
    store->slots[number].version = common;
    record_act(store, number, copy->act);
}

bool copy_cut(struct store *store, uint32_t number, uint64_t common)
{
    struct copy *copy = synced_copy(store, number);
    bool cuts = store_ver(store, number) > common;
    CHECK(common >= copy->floor);
    cut_lineage(store, number, common);
    if (cuts && !MUTANT(cut_is_clean))
        copy->is_clean = false;
    if (cuts && MUTANT(ids_cut))
        id_log_cut(store, number, common);
    return cuts;
}

void copy_empty(struct store *store, uint32_t number)
{
    struct copy *copy = synced_copy(store, number);
    /* proto.md "Sync", 2: the empty copy is recorded first. */
    uint32_t act = MUTANT(act_kept) ? copy->act : 0;
    uint32_t tombstone_count = copy->tombstone_count; /* until they are dropped */
    slots_close_copy(store, copy);
    copy->tombstone_count = tombstone_count;
    store->slots[number].version = 0;
    store->slots[number].flushed = 0;
    record_act(store, number, act);
    store_drop(store, number);
    CHECK(copy->tombstone_count == 0);
}

void copy_soil(struct store *store, uint32_t number)
{
    synced_copy(store, number)->is_clean = false;
}

void copy_end(struct store *store, uint32_t number, const uint64_t *lineage, uint32_t count,
              uint32_t act, bool is_clean, uint64_t floor)
{
    struct copy *copy = synced_copy(store, number);
    struct slot *slot = &store->slots[number];
    CHECK(copy_lineage_is_valid(lineage, count));
    slot->version = 0;
    copy->lineage_count = 0;
    for (uint32_t i = 0; i < count; i++)
        slots_lengthen(store, slot, lineage[i]);
    record_act(store, number, act);
    copy->is_clean = is_clean;
    /* proto.md "Sync", 5: the higher of both floors. */
    copy_raise_floor(store, number, floor);
    CHECK(copy->floor <= store_ver(store, number));
}

void copy_advance(struct store *store, uint32_t number, uint32_t epoch)
{
    struct copy *copy = synced_copy(store, number);
    CHECK(copy->is_clean || MUTANT(cut_is_clean));
    CHECK(epoch >= copy->act);
    record_act(store, number, epoch);
}
