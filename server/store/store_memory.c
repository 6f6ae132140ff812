/* The memory engine: the operations of store.h on the slots of slots.h. */
#include "server/store/store.h"

#include "common/check.h"
#include "server/store/reclaim.h"
#include "server/store/slots.h"

#include <stdlib.h>

/* Of the budget, only puts that make an item smaller may use the last of it: so a full store can
 * always be made emptier by overwriting. */
#define RESERVE_BYTES (2 * PAGE_BYTES)

#define EPOCH 1ull /* until views are agreed on */

struct store *store_open(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof(*store));
    CHECK(store != NULL);
    store->budget = options->budget;
    store->evict = options->evict;
    store->random = options->seed != 0 ? options->seed : 1;
    store->now_s = 1;
    store->due_s = DUE_NEVER;
    store->crawl.due_s = DUE_NEVER;
    store->ledger = (struct ledger){options->budget, &store->counters.memory_bytes};
    arena_init(&store->arena, &store->ledger, slots_moved, store);
    large_init(&store->large, &store->ledger);
    for (uint32_t i = 0; i < SLOT_COUNT; i++) {
        store->slots[i].version = EPOCH << STORE_SEQ_BITS;
        store->slots[i].due_s = DUE_NEVER;
    }
    ledger_take(&store->ledger, sizeof(*store));
    return store;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    for (uint32_t i = 0; i < SLOT_COUNT; i++)
        store_drop(store, i);
    arena_close(&store->arena);
    large_close(&store->large);
    ledger_give(&store->ledger, sizeof(*store));
    CHECK(store->counters.memory_bytes == 0);
    free(store);
}

/* Time */

static void flush_now(struct store *store)
{
    for (uint32_t i = 0; i < SLOT_COUNT; i++) {
        struct slot *slot = &store->slots[i];
        slot->flushed = slot->version;
        if (slot->table != NULL)
            slot->due_s = 0;
    }
    store->due_s = 0;
    store->flush_s = 0;
    store->crawl.is_disturbed = store->crawl.entry > 0;
}

void store_flush(struct store *store, uint32_t delay_s)
{
    if (delay_s == 0)
        flush_now(store);
    else if (delay_s < UINT32_MAX - store->now_s)
        store->flush_s = store->now_s + delay_s;
    else
        store->flush_s = UINT32_MAX;
}

void store_tell_time(struct store *store, uint32_t now_s)
{
    CHECK(now_s >= store->now_s);
    store->now_s = now_s;
    if (UNLIKELY(store->flush_s != 0 && store->flush_s <= now_s))
        flush_now(store);
}

bool store_tick(struct store *store, uint32_t work)
{
    bool has_dead = reclaim_crawl(store, work);
    bool is_sparse = reclaim_tidy(store, work);
    return has_dead || is_sparse;
}

void store_release(struct store *store)
{
    large_end_turn(&store->large);
}

/* Reading */

void store_prefetch_slot(const struct store *store, const struct store_key *key)
{
    __builtin_prefetch(&store->slots[position_slot(key->position)]);
}

void store_prefetch_table(const struct store *store, const struct store_key *key)
{
    const struct slot *slot = &store->slots[position_slot(key->position)];
    if (slot->table != NULL)
        __builtin_prefetch(
            &slot->table->entries[table_home(slot->capacity, position_tag(key->position))]);
}

void store_prefetch_item(const struct store *store, const struct store_key *key)
{
    const struct slot *slot = &store->slots[position_slot(key->position)];
    if (slot->table == NULL)
        return;
    uint32_t tag = position_tag(key->position);
    uint32_t index = table_home(slot->capacity, tag);
    uint64_t entry;
    while ((entry = slot->table->entries[index]) != 0 && entry_tag(entry) != tag)
        index = table_next(slot->capacity, index);
    if (entry != 0) {
        const char *item = (const char *)entry_item(entry);
        __builtin_prefetch(item);
        __builtin_prefetch(item + 64);
        __builtin_prefetch(item + 128);
    }
}

/* Index of the key's entry in its slot's table, dead or alive, or TABLE_NONE. */
static inline uint32_t find(const struct slot *slot, const struct store_key *key)
{
    if (slot->table == NULL)
        return TABLE_NONE;
    return table_find(slot->table, slot->capacity, position_tag(key->position), key->bytes);
}

/* The key's live item, or NULL; a dead one is removed. For calls that change the store. */
static struct item *find_live(struct store *store, struct slot *slot, const struct store_key *key,
                              uint32_t *index)
{
    *index = find(slot, key);
    if (*index == TABLE_NONE)
        return NULL;
    struct item *item = entry_item(slot->table->entries[*index]);
    if (!item_is_dead(store, slot, item))
        return item;
    slots_reap(store, slot, *index);
    return NULL;
}

/* A view of an item. The bytes of a large one may be used until the turn's end. */
static inline void view(struct store *store, struct item *item, struct store_item *seen)
{
    item_view(item, seen);
    if (UNLIKELY(item->bits & ITEM_LARGE))
        large_lend(&store->large, item);
}

bool store_get(struct store *store, const struct store_key *key, struct store_item *item)
{
    const struct slot *slot = &store->slots[position_slot(key->position)];
    uint32_t index = find(slot, key);
    if (index == TABLE_NONE)
        return false;
    struct item *found = entry_item(slot->table->entries[index]);
    if (item_is_dead(store, slot, found))
        return false;
    view(store, found, item);
    return true;
}

void store_note(struct store *store, struct store_item *item, uint8_t marks)
{
    struct item *noted = item->handle;
    CHECK((marks & ~ITEM_MARKS) == 0);
    /* Most reads change nothing, and a line not written need not be written back. */
    if (noted->accessed_s != store->now_s)
        noted->accessed_s = store->now_s;
    if ((noted->bits & marks) != marks)
        noted->bits |= marks;
}

void store_unmark(struct store *store, struct store_item *item, uint8_t marks)
{
    (void)store;
    struct item *noted = item->handle;
    CHECK((marks & ~ITEM_MARKS) == 0);
    noted->bits = (uint8_t)(noted->bits & ~marks);
}

/* Writing */

static uint64_t next_version(const struct slot *slot)
{
    uint64_t version = slot->version + 1;
    CHECK(version >> STORE_SEQ_BITS == slot->version >> STORE_SEQ_BITS);
    return version;
}

/* Makes sure that one more entry fits the slot's table. A table that cannot grow is filled. */
static bool make_table_room(struct store *store, struct slot *slot)
{
    uint64_t count = slot->table == NULL ? 1 : (uint64_t)slot->table->count + 1;
    if (count * 5 <= (uint64_t)slot->capacity * 4)
        return true;
    uint32_t capacity = slots_capacity_for(store, count + count / 8);
    struct table *table =
        reclaim_alloc(store, KIND_TABLE, table_bytes(capacity), slots_table_is_large(capacity), 0);
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

static void write_over(struct store *store, struct item *old, const struct item_fields *fields)
{
    store->counters.item_bytes -= item_bytes(old);
    item_write_over(old, fields);
    store->counters.item_bytes += item_bytes(old);
}

/* Takes memory for an item, old (may be NULL) being still there and perhaps moved: then fields
 * that borrow from it follow. NULL if it cannot be had. */
static struct item *alloc_item(struct store *store, struct item **old, struct item_fields *fields)
{
    size_t bytes = item_fields_bytes(fields);
    size_t old_bytes = *old != NULL ? item_bytes(*old) : 0;
    store->pinned = *old;
    struct item *item = reclaim_alloc(store, KIND_ITEM, bytes, item_fields_large(fields),
                                      bytes < old_bytes ? 0 : RESERVE_BYTES);
    if (store->pinned != *old) {
        follow(&fields->head, *old, old_bytes, store->pinned);
        follow(&fields->tail, *old, old_bytes, store->pinned);
        *old = store->pinned;
    }
    store->pinned = NULL;
    return item;
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
    item_write(item, fields);
    if (!has_room) {
        slots_free_item(store, item);
        return false;
    }
    table_insert(slot->table, slot->capacity, table_entry(tag, item));
    store->counters.items++;
    store->counters.item_bytes += item_bytes(item);
    return true;
}

/* Whether old need only be given another value of the same length, from elsewhere. */
static bool has_same_shape(const struct item *old, const struct item_fields *fields)
{
    return !(old->bits & ITEM_LARGE) && fields->tail.len == 0 &&
           fields->head.len == item_value_bytes(old) &&
           item_fields_layout(fields) == (old->bits & ITEM_LAYOUT) &&
           !is_inside(old, item_bytes(old), fields->head);
}

/* Puts another item in the place of old. */
static bool replace(struct store *store, struct slot *slot, const struct store_key *key,
                    struct item *old, struct item_fields *fields)
{
    if (LIKELY(has_same_shape(old, fields))) {
        item_write_value(old, fields);
        return true;
    }
    bool fits = can_write_over(store, old, fields);
    size_t bytes = item_fields_bytes(fields);
    if (fits && arena_round(&store->arena, bytes) == arena_chunk_bytes(&store->arena, old)) {
        write_over(store, old, fields);
        return true;
    }
    struct item *item = alloc_item(store, &old, fields);
    if (item == NULL && fits) {
        write_over(store, old, fields);
        return true;
    }
    if (item == NULL)
        return false;
    item_write(item, fields);
    uint32_t index = find(slot, key);
    CHECK(index != TABLE_NONE);
    slot->table->entries[index] = table_entry(position_tag(key->position), item);
    store->counters.item_bytes -= item_bytes(old);
    store->counters.item_bytes += item_bytes(item);
    slots_free_item(store, old);
    return true;
}

enum err store_put(struct store *store, const struct store_key *key, const struct store_put *put,
                   uint64_t *version)
{
    CHECK(key->bytes.len <= UINT8_MAX);
    CHECK((put->marks & ~ITEM_MARKS) == 0);
    if (key->bytes.len + put->head.len + put->tail.len > UINT32_MAX)
        return ERR_TOO_LARGE;
    uint32_t number = position_slot(key->position);
    struct slot *slot = &store->slots[number];
    struct item_fields fields = {
        .slot = number,
        .accessed_s = store->now_s,
        .version = next_version(slot),
        .cas = put->cas,
        .flags = put->flags,
        .expires_s = put->expires_s,
        .marks = put->marks,
        .key = key->bytes,
        .head = put->head,
        .tail = put->tail,
    };
    if (fields.cas == 0)
        fields.cas = fields.version;
    uint32_t index;
    struct item *old = find_live(store, slot, key, &index);
    bool done = true;
    if (put->expires_s != STORE_NEVER && put->expires_s <= store->now_s) {
        if (old != NULL)
            slots_remove(store, slot, index);
        slots_shrink(store, slot);
    } else if (old != NULL) {
        done = replace(store, slot, key, old, &fields);
    } else {
        done = add(store, slot, position_tag(key->position), &fields);
    }
    if (!done) {
        store->counters.refused++;
        return ERR_FULL;
    }
    slots_note_expiry(store, slot, put->expires_s);
    store->counters.items_total++;
    slot->version = fields.version;
    if (version != NULL)
        *version = fields.version;
    return ERR_OK;
}

bool store_delete(struct store *store, const struct store_key *key)
{
    struct slot *slot = &store->slots[position_slot(key->position)];
    uint32_t index;
    bool was_live = find_live(store, slot, key, &index) != NULL;
    if (was_live) {
        slots_remove(store, slot, index);
        slot->version = next_version(slot);
    }
    slots_shrink(store, slot);
    return was_live;
}

/* Rewrites a live item with other fields, its value kept: in place if its layout allows. */
static enum err rewrite(struct store *store, struct slot *slot, const struct store_key *key,
                        struct item *item, struct item_fields *fields)
{
    if (item_fields_layout(fields) == (item->bits & ITEM_LAYOUT))
        item_write_head(item, fields);
    else if (!replace(store, slot, key, item, fields))
        return ERR_FULL;
    slots_note_expiry(store, slot, fields->expires_s);
    slot->version = fields->version;
    return ERR_OK;
}

/* The key's live item, or NULL, and its fields with the next version. The key is the caller's, so
 * that it stays when the item moves. */
static struct item *read_live(struct store *store, struct slot *slot, const struct store_key *key,
                              uint32_t *index, struct item_fields *fields)
{
    struct item *item = find_live(store, slot, key, index);
    if (item == NULL)
        return NULL;
    item_read(item, position_slot(key->position), fields);
    fields->key = key->bytes;
    fields->version = next_version(slot);
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
    if (expires_s == STORE_NEVER || expires_s > store->now_s)
        return rewrite(store, slot, key, item, &fields);
    slots_remove(store, slot, index);
    slots_shrink(store, slot);
    slot->version = fields.version;
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
    fields.cas = cas != 0 ? cas : fields.version;
    fields.marks = marks;
    return rewrite(store, slot, key, item, &fields);
}

/* The whole */

const struct store_counters *store_counters(const struct store *store)
{
    return &store->counters;
}

void store_iterate(struct store *store, uint32_t slot_number, uint64_t above,
                   bool (*visit)(void *arg, struct span key, const struct store_item *item),
                   void *arg)
{
    CHECK(slot_number < SLOT_COUNT);
    const struct slot *slot = &store->slots[slot_number];
    for (uint32_t index = 0; index < slot->capacity; index++) {
        uint64_t entry = slot->table->entries[index];
        if (entry == 0)
            continue;
        struct item *item = entry_item(entry);
        if (item->version <= above || item_is_dead(store, slot, item))
            continue;
        struct store_item seen;
        view(store, item, &seen);
        if (!visit(arg, item_key(item), &seen))
            return;
    }
}

void store_drop(struct store *store, uint32_t slot_number)
{
    CHECK(slot_number < SLOT_COUNT);
    struct slot *slot = &store->slots[slot_number];
    for (uint32_t index = 0; index < slot->capacity;) {
        if (slot->table->entries[index] != 0)
            slots_remove(store, slot, index);
        else
            index++;
    }
    slots_shrink(store, slot);
    slot->due_s = DUE_NEVER;
}

static void item_check(const struct store *store, const struct slot *slot, const struct item *item)
{
    uint32_t expires_s = item_expires_s(item);
    struct span value = item_value(item);
    CHECK(item->version <= slot->version);
    CHECK(item->version <= slot->flushed || expires_s == STORE_NEVER || expires_s >= slot->due_s);
    CHECK(item->version > slot->flushed || slot->due_s == 0);
    CHECK(memcmp(value.data + value.len, "\r\n", 2) == 0);
    if (item->bits & ITEM_LARGE)
        return;
    CHECK(item_slot(item) == slot - store->slots);
    CHECK(value.len < REPLY_BORROW_BYTES_MIN);
    CHECK(item_bytes(item) <= arena_chunk_bytes(&store->arena, item));
}

void store_check(const struct store *store)
{
    uint64_t items = 0;
    uint64_t bytes = 0;
    CHECK(store->fresh == NULL);
    CHECK(store->pinned == NULL);
    for (uint32_t i = 0; i < SLOT_COUNT; i++) {
        const struct slot *slot = &store->slots[i];
        CHECK((slot->table == NULL) == (slot->capacity == 0));
        CHECK(slot->due_s >= store->due_s || store->crawl.is_active);
        if (slot->table == NULL)
            continue;
        CHECK(slot->table->slot == i);
        table_check(slot->table, slot->capacity);
        items += slot->table->count;
        for (uint32_t index = 0; index < slot->capacity; index++) {
            uint64_t entry = slot->table->entries[index];
            if (entry == 0)
                continue;
            item_check(store, slot, entry_item(entry));
            bytes += item_bytes(entry_item(entry));
        }
    }
    CHECK(items == store->counters.items);
    CHECK(bytes == store->counters.item_bytes);
    arena_check(&store->arena);
    large_check(&store->large);
}
