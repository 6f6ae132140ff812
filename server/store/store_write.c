/* The writes of store.h: the leader's, which take the slot's next version, and a backup's, which
 * come with one. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/store/reclaim.h"
#include "server/store/slots.h"

/* Of the budget, only puts that make an item smaller, and tombstones, may use the last of it: so a
 * full store can always be made emptier. */
#define RESERVE_BYTES (2 * PAGE_BYTES)

/* No table is made larger than for so many on a mere expectation: 80 KiB. */
#define EXPECTED_MAX 8192u

/* A table for what the slot is likely to have, if that is more than count; NULL if it is not, or if
 * there is no memory to spare. */
static struct table *alloc_expected(struct store *store, uint64_t count, uint32_t *capacity)
{
    if (store->expected_count <= count)
        return NULL;
    *capacity = slots_capacity_for(store, store->expected_count);
    return slots_alloc(store, KIND_TABLE, table_bytes(*capacity), slots_table_is_large(*capacity),
                       RESERVE_BYTES);
}

/* Makes sure that one more entry fits the slot's table. A table that cannot grow is filled. */
static bool make_table_room(struct store *store, struct slot *slot)
{
    uint64_t count = slot->table == NULL ? 1 : (uint64_t)slot->table->count + 1;
    if (count * 5 <= (uint64_t)slot->capacity * 4)
        return true;
    uint32_t capacity;
    struct table *table = alloc_expected(store, count + count / 8, &capacity);
    if (table == NULL) {
        capacity = slots_capacity_for(store, count + count / 8);
        table = reclaim_alloc(store, KIND_TABLE, table_bytes(capacity),
                              slots_table_is_large(capacity), 0);
    }
    if (table != NULL)
        slots_set_table(store, slot, table, capacity);
    return slot->table != NULL && slot->table->count + 1 < slot->capacity;
}

static bool is_inside(const struct item *item, size_t bytes, struct span span)
{
    uintptr_t start = (uintptr_t)item;
    return (uintptr_t)span.data >= start && (uintptr_t)span.data < start + bytes;
}

/* Makes span point to the same bytes of the item after it has been moved. */
static void follow(struct span *span, const struct item *from, size_t bytes, const struct item *to)
{
    if (is_inside(from, bytes, *span))
        span->data = (const char *)to + (span->data - (const char *)from);
}

/* Whether an item can be overwritten where it is: it is a chunk, and one that has room. */
static bool can_write_over(const struct store *store, const struct item *old,
                           const struct item_fields *fields)
{
    if (old->bits & ITEM_LARGE || item_fields_large(fields))
        return false;
    size_t old_bytes = item_bytes(old);
    if (is_inside(old, old_bytes, fields->head) && is_inside(old, old_bytes, fields->tail))
        return false;
    return item_fields_bytes(fields) <= arena_chunk_bytes(&store->arena, old);
}

/* Takes memory for an item, old (may be NULL) being still there and perhaps moved: then fields
 * that borrow from it follow. NULL if it cannot be had. */
static struct item *alloc_item(struct store *store, struct item **old, struct item_fields *fields)
{
    size_t bytes = item_fields_bytes(fields);
    size_t old_bytes = *old != NULL ? item_bytes(*old) : 0;
    store->pinned = *old;
    bool needs_no_reserve = bytes < old_bytes || fields->is_tombstone;
    struct item *item = reclaim_alloc(store, KIND_ITEM, bytes, item_fields_large(fields),
                                      needs_no_reserve ? 0 : RESERVE_BYTES);
    if (store->pinned != *old) {
        follow(&fields->head, *old, old_bytes, store->pinned);
        follow(&fields->tail, *old, old_bytes, store->pinned);
        *old = store->pinned;
    }
    store->pinned = NULL;
    return item;
}

/* A write without a version gets the next one as late as this: what had to be evicted for it has
 * taken versions of the slot, too. */
static void stamp(const struct slot *slot, struct item_fields *fields)
{
    if (fields->version == 0)
        fields->version = slots_next_version(slot);
}

/* Adds an item to a slot that has none for its key. */
static bool add(struct store *store, struct slot *slot, uint32_t tag, struct item_fields *fields)
{
    struct item *none = NULL;
    store->fresh = alloc_item(store, &none, fields);
    if (store->fresh == NULL)
        return false;
    bool has_room = make_table_room(store, slot);
    struct item *item = store->fresh;
    store->fresh = NULL;
    if (has_room)
        stamp(slot, fields);
    item_write(item, fields);
    if (!has_room) {
        slots_free_item(store, item);
        return false;
    }
    table_insert(slot->table, slot->capacity, table_entry(tag, item));
    slots_count_in(store, slot, item);
    return true;
}

/* Whether old need only be given another value of the same length, from elsewhere. */
static bool has_same_shape(const struct item *old, const struct item_fields *fields)
{
    return !(old->bits & (ITEM_LARGE | ITEM_TOMBSTONE)) && fields->tail.len == 0 &&
           fields->head.len == item_value_bytes(old) &&
           item_fields_layout(fields) == (old->bits & ITEM_LAYOUT) &&
           !is_inside(old, item_bytes(old), fields->head);
}

static void write_over(struct store *store, struct slot *slot, struct item *old,
                       struct item_fields *fields)
{
    stamp(slot, fields);
    slots_count_out(store, slot, old);
    item_write_over(old, fields);
    slots_count_in(store, slot, old);
}

/* Puts another item in the place of old, whatever that is. */
static bool replace(struct store *store, struct slot *slot, const struct store_key *key,
                    struct item *old, struct item_fields *fields)
{
    if (LIKELY(has_same_shape(old, fields))) {
        stamp(slot, fields);
        item_write_value(old, fields);
        return true;
    }
    bool fits = can_write_over(store, old, fields);
    size_t bytes = item_fields_bytes(fields);
    if (fits && arena_round(&store->arena, bytes) == arena_chunk_bytes(&store->arena, old)) {
        write_over(store, slot, old, fields);
        return true;
    }
    struct item *item = alloc_item(store, &old, fields);
    if (item == NULL && fits) {
        write_over(store, slot, old, fields);
        return true;
    }
    if (item == NULL)
        return false;
    stamp(slot, fields);
    item_write(item, fields);
    uint32_t index = slot_find(slot, key);
    CHECK(index != TABLE_NONE);
    slot->table->entries[index] = table_entry(position_tag(key->position), item);
    slots_count_out(store, slot, old);
    slots_count_in(store, slot, item);
    slots_free_item(store, old);
    return true;
}

/* Makes the key what fields say. */
static bool write_item(struct store *store, struct slot *slot, const struct store_key *key,
                       struct item_fields *fields)
{
    uint32_t index = slot_find(slot, key);
    bool done = index == TABLE_NONE
                    ? add(store, slot, position_tag(key->position), fields)
                    : replace(store, slot, key, entry_item(slot->table->entries[index]), fields);
    if (UNLIKELY(!done)) {
        store->counters.refused++;
        return false;
    }
    slots_note_expiry(store, slot, fields->expires_s);
    store->counters.items_total += !fields->is_tombstone;
    return true;
}

static struct item_fields put_fields(const struct store *store, const struct store_key *key,
                                     const struct store_put *put)
{
    CHECK(key->bytes.len > 0);
    CHECK(key->bytes.len <= UINT8_MAX);
    CHECK((put->marks & ~ITEM_MARKS) == 0);
    return (struct item_fields){
        .slot = position_slot(key->position),
        .accessed_s = store->now_s,
        .cas = put->cas,
        .flags = put->flags,
        .expires_s = put->expires_s,
        .marks = put->marks,
        .key = key->bytes,
        .head = put->head,
        .tail = put->tail,
    };
}

static bool is_too_large(const struct store_key *key, const struct store_put *put)
{
    return key->bytes.len + put->head.len + put->tail.len > UINT32_MAX;
}

/* The leader's writes */

/* The key's live item, or NULL. */
static struct item *find_live(struct store *store, struct slot *slot, const struct store_key *key,
                              uint32_t *index)
{
    *index = slot_find(slot, key);
    if (*index == TABLE_NONE)
        return NULL;
    struct item *item = entry_item(slot->table->entries[*index]);
    if (item_is_live(store, slot, item))
        return item;
    store->saw_expired |= item_is_expired(store, slot, item);
    return NULL;
}

/* A put that has expired already. Where nothing is that a client has seen, nothing changes but the
 * version: who is synced later finds nothing either. */
static void put_expired(struct store *store, struct slot *slot, const struct store_key *key)
{
    uint32_t index = slot_find(slot, key);
    const struct item *old = index == TABLE_NONE ? NULL : entry_item(slot->table->entries[index]);
    if (old == NULL || item_is_tombstone(old) || item_is_flushed(slot, old))
        slots_extend(store, slot, slots_next_version(slot));
    else
        slots_delete(store, slot, index);
    slots_shrink(store, slot);
    store->counters.items_total++;
}

enum err store_put(struct store *store, const struct store_key *key, const struct store_put *put,
                   uint64_t *version)
{
    struct slot *slot = &store->slots[position_slot(key->position)];
    struct item_fields fields = put_fields(store, key, put);
    if (is_too_large(key, put))
        return ERR_TOO_LARGE;
    if (UNLIKELY(put->expires_s != STORE_NEVER && put->expires_s <= store->now_s))
        put_expired(store, slot, key);
    else if (write_item(store, slot, key, &fields))
        slots_extend(store, slot, fields.version);
    else
        return ERR_FULL;
    if (version != NULL)
        *version = slot->version;
    return ERR_OK;
}

bool store_delete(struct store *store, const struct store_key *key)
{
    struct slot *slot = &store->slots[position_slot(key->position)];
    uint32_t index;
    bool was_live = find_live(store, slot, key, &index) != NULL;
    if (was_live)
        slots_delete(store, slot, index);
    slots_shrink(store, slot);
    return was_live;
}

bool store_expire(struct store *store, const struct store_key *key)
{
    struct slot *slot = &store->slots[position_slot(key->position)];
    uint32_t index = slot_find(slot, key);
    if (index == TABLE_NONE ||
        !item_is_expired(store, slot, entry_item(slot->table->entries[index])))
        return false;
    slots_expire(store, slot, index);
    slots_shrink(store, slot);
    return true;
}

/* Rewrites a live item with other fields, its value kept: in place if its layout allows. */
static enum err rewrite(struct store *store, struct slot *slot, const struct store_key *key,
                        struct item *item, struct item_fields *fields)
{
    if (item_fields_layout(fields) == (item->bits & ITEM_LAYOUT)) {
        stamp(slot, fields);
        item_write_head(item, fields);
    } else if (!replace(store, slot, key, item, fields)) {
        return ERR_FULL;
    }
    slots_note_expiry(store, slot, fields->expires_s);
    slots_extend(store, slot, fields->version);
    return ERR_OK;
}

/* The key's live item, or NULL, and its fields, to be given a version. The key is the caller's, so
 * that it stays when the item moves. */
static struct item *read_live(struct store *store, struct slot *slot, const struct store_key *key,
                              uint32_t *index, struct item_fields *fields)
{
    struct item *item = find_live(store, slot, key, index);
    if (item == NULL)
        return NULL;
    item_read(item, position_slot(key->position), fields);
    fields->key = key->bytes;
    fields->version = 0;
    return item;
}

enum err store_touch(struct store *store, const struct store_key *key, uint32_t expires_s)
{
    struct slot *slot = &store->slots[position_slot(key->position)];
    struct item_fields fields;
    uint32_t index;
    struct item *item = read_live(store, slot, key, &index, &fields);
    if (item == NULL)
        return ERR_NOT_FOUND;
    fields.expires_s = expires_s;
    /* touch keeps cas unique, which the version was until now. */
    if (fields.cas == 0 && !MUTANT(touch_changes_cas))
        fields.cas = item->version;
    if (expires_s == STORE_NEVER || expires_s > store->now_s)
        return rewrite(store, slot, key, item, &fields);
    slots_delete(store, slot, index);
    slots_shrink(store, slot);
    return ERR_OK;
}

enum err store_mark(struct store *store, const struct store_key *key, uint64_t cas, uint8_t marks)
{
    CHECK((marks & ~ITEM_MARKS) == 0);
    struct slot *slot = &store->slots[position_slot(key->position)];
    struct item_fields fields;
    uint32_t index;
    struct item *item = read_live(store, slot, key, &index, &fields);
    if (item == NULL)
        return ERR_NOT_FOUND;
    fields.cas = cas;
    fields.marks = marks;
    return rewrite(store, slot, key, item, &fields);
}

uint64_t store_write_nothing(struct store *store, uint32_t slot_number)
{
    CHECK(slot_number < SLOT_COUNT);
    struct slot *slot = &store->slots[slot_number];
    slots_extend(store, slot, slots_next_version(slot));
    return slot->version;
}

/* A backup's writes */

/* What a synced session wrote lengthens the lineage; any other change soils the copy.
 * proto.md "Sync", 4: from the first change on it is not clean. */
static void applied(struct store *store, struct slot *slot, uint64_t version, bool moves_ver)
{
    uint32_t number = (uint32_t)(slot - store->slots);
    CHECK(!slot->is_led);
    if (moves_ver) {
        CHECK(copy_is_next(store, number, version));
        slots_extend(store, slot, version);
    } else {
        copy_soil(store, number);
    }
}

enum err store_apply(struct store *store, const struct store_key *key, uint64_t version,
                     const struct store_put *put, bool moves_ver)
{
    CHECK(version > 0);
    struct slot *slot = &store->slots[position_slot(key->position)];
    static const struct store_put nothing = {0};
    struct item_fields fields = put_fields(store, key, put != NULL ? put : &nothing);
    fields.version = version;
    fields.is_tombstone = put == NULL;
    if (fields.cas == version)
        fields.cas = 0;
    if (put != NULL && is_too_large(key, put))
        return ERR_TOO_LARGE;
    uint32_t index = put == NULL ? slot_find(slot, key) : TABLE_NONE;
    if (index != TABLE_NONE)
        slots_bury(store, slot, index, version);
    else if (!write_item(store, slot, key, &fields))
        return ERR_FULL;
    applied(store, slot, version, moves_ver);
    if (!moves_ver && version <= slot_copy(store, slot)->floor)
        slots_note_due(store, slot); /* a named key's: it may be gone as it comes */
    return ERR_OK;
}

void store_expect(struct store *store, uint64_t count)
{
    store->expected_count = count < EXPECTED_MAX ? (uint32_t)count : EXPECTED_MAX;
}

void store_apply_nothing(struct store *store, uint32_t slot_number, uint64_t version)
{
    CHECK(slot_number < SLOT_COUNT);
    applied(store, &store->slots[slot_number], version, true);
}

void store_erase(struct store *store, const struct store_key *key)
{
    struct slot *slot = &store->slots[position_slot(key->position)];
    uint32_t index = slot_find(slot, key);
    if (index != TABLE_NONE) {
        slots_remove(store, slot, index);
        slots_shrink(store, slot);
    }
    applied(store, slot, 0, false);
}

/* Flushes */

/* Makes the slot's flush this. What the former one has made go, and the crawl has not met yet, goes
 * first: by the new one alone it would be there, dead, until the floor has passed that as well. */
static void set_flush(struct store *store, struct slot *slot, uint64_t flush)
{
    const struct copy *copy = slot_copy(store, slot);
    bool is_passed = slot->flushed != 0 && slot->flushed <= copy->floor;
    if (is_passed && flush > copy->floor && slot->due_s == 0)
        slots_drop_gone(store, slot);
    slot->flushed = flush;
}

uint64_t store_flush_slot(struct store *store, uint32_t slot_number, uint32_t delay_s)
{
    CHECK(slot_number < SLOT_COUNT);
    struct slot *slot = &store->slots[slot_number];
    struct copy *copy = &store->copies[slot_number];
    uint64_t version = slots_next_version(slot);
    slots_extend(store, slot, version);
    copy->flush_due = 0;
    copy->flush_due_s = 0;
    if (delay_s > 0 && !MUTANT(flush_undelayed)) {
        copy->flush_due = version;
        copy->flush_due_s =
            delay_s < UINT32_MAX - store->now_s ? store->now_s + delay_s : UINT32_MAX;
        slots_note_flush_due(store, copy->flush_due_s);
        return version;
    }
    if (slot->is_alone)
        slots_raise_floor(store, slot, version);
    set_flush(store, slot, version);
    if (slot->is_alone)
        slots_note_due(store, slot);
    return version;
}

void store_flush(struct store *store, uint32_t delay_s)
{
    for (uint32_t i = 0; i < SLOT_COUNT; i++)
        if (store->slots[i].is_led)
            store_flush_slot(store, i, delay_s);
}

bool store_take_flush_due(struct store *store, uint32_t *slot_number)
{
    struct flush_round *flushes = &store->flushes;
    if (LIKELY(flushes->due_s > store->now_s))
        return false;
    while (flushes->slot < SLOT_COUNT) {
        uint32_t number = flushes->slot++;
        const struct copy *copy = &store->copies[number];
        if (!store->slots[number].is_led || copy->flush_due == 0)
            continue;
        if (copy->flush_due_s <= store->now_s) {
            store_flush_slot(store, number, 0);
            *slot_number = number;
            return true;
        }
        if (copy->flush_due_s < flushes->next_s)
            flushes->next_s = copy->flush_due_s;
    }
    *flushes = (struct flush_round){.due_s = flushes->next_s, .next_s = DUE_NEVER};
    return false;
}

void store_apply_flush(struct store *store, uint32_t slot_number, uint64_t flush, uint64_t due,
                       uint32_t left_s, uint64_t moves)
{
    CHECK(slot_number < SLOT_COUNT);
    struct slot *slot = &store->slots[slot_number];
    struct copy *copy = &store->copies[slot_number];
    /* What has been dropped as dead cannot come to life again: a source has every flush that the
     * receiver's floor has passed. */
    CHECK(flush >= slot->flushed || slot->flushed > copy->floor);
    if (!MUTANT(flush_stays) || flush > slot->flushed)
        set_flush(store, slot, flush);
    copy->flush_due = due;
    copy->flush_due_s = 0;
    if (due != 0)
        copy->flush_due_s = left_s < UINT32_MAX - store->now_s ? store->now_s + left_s : UINT32_MAX;
    applied(store, slot, moves, moves != 0);
    if (flush <= copy->floor)
        slots_note_due(store, slot);
}

/* What the leader is to be told */

bool store_take_saw_expired(struct store *store)
{
    bool saw_expired = store->saw_expired;
    store->saw_expired = false;
    return saw_expired;
}

/* Takes the first key whose slot is still led: of others nobody here tells anything. */
static bool take_led(const struct store *store, struct keys *keys, struct store_key *key)
{
    while (keys_take(keys, key))
        if (store->slots[position_slot(key->position)].is_led)
            return true;
    return false;
}

bool store_take_expired(struct store *store, struct store_key *key)
{
    return take_led(store, &store->expired, key);
}

bool store_has_evicted(const struct store *store)
{
    return keys_bytes(&store->evicted) > 0;
}

bool store_take_evicted(struct store *store, struct store_key *key)
{
    return take_led(store, &store->evicted, key);
}
