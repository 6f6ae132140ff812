/* The memory engine: the store as a whole, time, and reading. store_write.c has the writes,
 * copy.c what is recorded of a copy, ids.c the request ids. */
#include "server/store/store.h"

#include "common/check.h"
#include "server/store/reclaim.h"
#include "server/store/slots.h"

#include <stdlib.h>

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
    store->flushes = (struct flush_round){.due_s = DUE_NEVER, .next_s = DUE_NEVER};
    store->ledger = (struct ledger){options->budget, &store->counters.memory_bytes};
    arena_init(&store->arena, &store->ledger, slots_moved, store);
    large_init(&store->large, &store->ledger);
    for (uint32_t i = 0; i < SLOT_COUNT; i++) {
        store->slots[i].due_s = DUE_NEVER;
        slots_init_copy(&store->copies[i]);
    }
    ledger_take(&store->ledger, sizeof(*store));
    return store;
}

static void slot_close(struct store *store, uint32_t number)
{
    store_drop(store, number);
    slots_close_copy(store, &store->copies[number]);
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    for (uint32_t i = 0; i < SLOT_COUNT; i++)
        slot_close(store, i);
    id_log_close(store);
    keys_close(&store->expired);
    keys_close(&store->evicted);
    arena_close(&store->arena);
    large_close(&store->large);
    ledger_give(&store->ledger, sizeof(*store));
    CHECK(store->counters.memory_bytes == 0);
    free(store);
}

/* Time */

void store_tell_time(struct store *store, uint32_t now_s)
{
    CHECK(now_s >= store->now_s);
    store->now_s = now_s;
}

uint32_t store_now_s(const struct store *store)
{
    return store->now_s;
}

bool store_tick(struct store *store, uint32_t work)
{
    bool has_dead = reclaim_crawl(store, work);
    bool is_sparse = reclaim_tidy(store, work);
    bool has_old = id_log_tick(store, work);
    return has_dead || is_sparse || has_old;
}

void store_release(struct store *store)
{
    large_end_turn(&store->large);
}

/* Reading */

#define CACHE_LINE_BYTES 64u
#define PREFETCH_BYTES   152u /* of an item: a key of 32 and a value of 100 bytes, whole */

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

uint32_t store_prefetch_item(const struct store *store, const struct store_key *key)
{
    const struct slot *slot = &store->slots[position_slot(key->position)];
    if (slot->table == NULL)
        return 0;
    uint32_t tag = position_tag(key->position);
    uint32_t index = table_home(slot->capacity, tag);
    uint64_t entry;
    while ((entry = slot->table->entries[index]) != 0 && entry_tag(entry) != tag)
        index = table_next(slot->capacity, index);
    if (entry != 0) {
        const char *item = (const char *)entry_item(entry);
        for (unsigned at = 0; at < PREFETCH_BYTES; at += CACHE_LINE_BYTES)
            __builtin_prefetch(item + at);
        __builtin_prefetch(item + PREFETCH_BYTES - 1); /* items begin anywhere in a line */
    }
    return index;
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
    uint32_t index = slot_find(slot, key);
    if (index == TABLE_NONE)
        return false;
    struct item *found = entry_item(slot->table->entries[index]);
    if (UNLIKELY(!item_is_live(store, slot, found))) {
        store->saw_expired |= item_is_expired(store, slot, found);
        return false;
    }
    view(store, found, item);
    return true;
}

enum store_found store_find(struct store *store, const struct store_key *key,
                            struct store_item *item)
{
    const struct slot *slot = &store->slots[position_slot(key->position)];
    uint32_t index = slot_find(slot, key);
    if (index == TABLE_NONE)
        return STORE_NONE;
    struct item *found = entry_item(slot->table->entries[index]);
    if (item_is_gone(slot, slot_copy(store, slot), found))
        return STORE_NONE;
    view(store, found, item);
    return item_is_tombstone(found) ? STORE_TOMBSTONE : STORE_ITEM;
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

/* The whole */

const struct store_counters *store_counters(const struct store *store)
{
    return &store->counters;
}

#define VISIT_PREFETCH 24u /* entries ahead: a visit is short, and memory far */

/* Shows an entry's item to the visitor if it is above above; what is gone is not there. Returns
 * what the visitor says. */
static bool visit_entry(struct store *store, const struct slot *slot, uint64_t entry,
                        uint64_t above, store_visit_fn *visit, void *arg)
{
    struct item *item = entry_item(entry);
    if (item->version <= above || item_is_gone(slot, slot_copy(store, slot), item))
        return true;
    struct store_item seen;
    struct store_key key = slots_key(store, slot, entry);
    view(store, item, &seen);
    return visit(arg, &key, &seen);
}

/* Asks for the memory of the entries of a table that are looked at first. */
static void prefetch_entries(const struct slot *slot, uint32_t index)
{
    for (uint32_t ahead = 0; ahead < slot->capacity && ahead < VISIT_PREFETCH; ahead++) {
        __builtin_prefetch(entry_item(slot->table->entries[index]));
        index = table_next(slot->capacity, index);
    }
}

void store_iterate(struct store *store, uint32_t slot_number, uint64_t above, store_visit_fn *visit,
                   void *arg)
{
    CHECK(slot_number < SLOT_COUNT);
    const struct slot *slot = &store->slots[slot_number];
    prefetch_entries(slot, 0);
    for (uint32_t index = 0; index < slot->capacity; index++) {
        uint64_t entry = slot->table->entries[index];
        if (index + VISIT_PREFETCH < slot->capacity)
            __builtin_prefetch(entry_item(slot->table->entries[index + VISIT_PREFETCH]));
        if (entry != 0 && !visit_entry(store, slot, entry, above, visit, arg))
            return;
    }
}

/* The tags that a walk looks at next: so many that, tags being spread evenly, they have work
 * entries. */
static uint32_t walk_end(const struct slot *slot, uint32_t cursor, uint32_t work)
{
    uint64_t count = ((uint64_t)work << TABLE_TAG_BITS) / slot->capacity;
    uint64_t end = cursor + (count > 0 ? count : 1);
    return end < TABLE_TAGS ? (uint32_t)end : TABLE_TAGS;
}

_Static_assert(STORE_WALK_END == TABLE_TAGS, "a walk is through with the last tag");

/* A tag is the key's for ever, whatever becomes of the table, so the cursor is one. The entries of
 * tags cursor … end-1 lie between the home of the first and the first empty entry from the home of
 * the last on (around the table's end), together with others. */
bool store_walk(struct store *store, uint32_t slot_number, uint64_t above, uint32_t *cursor,
                uint32_t work, store_visit_fn *visit, void *arg)
{
    CHECK(slot_number < SLOT_COUNT);
    CHECK(work > 0);
    const struct slot *slot = &store->slots[slot_number];
    if (slot->table == NULL)
        *cursor = TABLE_TAGS;
    if (*cursor >= TABLE_TAGS)
        return false;
    uint32_t end = walk_end(slot, *cursor, work);
    uint32_t index = table_home(slot->capacity, *cursor);
    uint32_t sure = table_home(slot->capacity, end - 1) - index;
    if (*cursor == 0)
        prefetch_entries(slot, index);
    uint32_t ahead = (index + VISIT_PREFETCH) % slot->capacity;
    for (uint32_t seen = 0; seen < slot->capacity; seen++) {
        uint64_t entry = slot->table->entries[index];
        if (entry == 0 && seen >= sure)
            break;
        __builtin_prefetch(entry_item(slot->table->entries[ahead]));
        ahead = table_next(slot->capacity, ahead);
        uint32_t tag = entry_tag(entry);
        if (entry != 0 && tag >= *cursor && tag < end)
            visit_entry(store, slot, entry, above, visit, arg);
        index = table_next(slot->capacity, index);
    }
    *cursor = end;
    return end < TABLE_TAGS;
}

void store_slot_counts(const struct store *store, uint32_t slot_number,
                       struct store_slot_counts *counts)
{
    CHECK(slot_number < SLOT_COUNT);
    const struct slot *slot = &store->slots[slot_number];
    *counts = (struct store_slot_counts){0};
    for (uint32_t index = 0; index < slot->capacity; index++) {
        uint64_t entry = slot->table->entries[index];
        const struct item *item = entry_item(entry);
        if (entry == 0 || item_is_gone(slot, &store->copies[slot_number], item))
            continue;
        counts->items += !item_is_tombstone(item);
        counts->tombstones += item_is_tombstone(item);
        counts->bytes += item->key_bytes + (uint64_t)item_value_bytes(item);
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
    id_log_drop(store, slot_number);
}
