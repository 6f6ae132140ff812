#include "server/store/slots.h"

#include "common/check.h"
#include "common/mutant.h"

#include <stdlib.h>

#define TABLE_CAPACITY_MIN 2u

struct store_key slots_key(const struct store *store, const struct slot *slot, uint64_t entry)
{
    uint64_t number = (uint64_t)(slot - store->slots);
    return (struct store_key){.bytes = item_key(entry_item(entry)),
                              .position = number << (64 - SLOT_BITS) |
                                          (uint64_t)entry_tag(entry) << (64 - STORE_POSITION_BITS)};
}

/* Memory */

void *slots_alloc(struct store *store, unsigned kind, size_t bytes, bool is_large,
                  size_t keep_bytes)
{
    if (is_large)
        return large_alloc(&store->large, bytes, keep_bytes);
    return arena_alloc(&store->arena, kind, bytes, keep_bytes);
}

void slots_free_item(struct store *store, struct item *item)
{
    if (item->bits & ITEM_LARGE)
        large_free(&store->large, item);
    else
        arena_free(&store->arena, item);
}

void slots_moved(void *arg, unsigned kind, void *from, void *to)
{
    struct store *store = arg;
    if (kind == KIND_TABLE) {
        struct slot *slot = &store->slots[((struct table *)to)->slot];
        CHECK(slot->table == from);
        slot->table = to;
        return;
    }
    if (from == store->fresh) {
        store->fresh = to;
        return;
    }
    struct slot *slot = &store->slots[item_slot(to)];
    uint32_t index = table_find_item(slot->table, slot->capacity, from);
    CHECK(index != TABLE_NONE);
    uint64_t *entry = &slot->table->entries[index];
    *entry = table_entry(entry_tag(*entry), to);
    if (from == store->pinned)
        store->pinned = to;
}

/* Tables */

bool slots_table_is_large(uint32_t capacity)
{
    return table_bytes(capacity) > ARENA_CHUNK_BYTES_MAX;
}

uint32_t slots_capacity_for(const struct store *store, uint64_t count)
{
    uint64_t capacity = count * 5 / 4 + 1;
    if (capacity < TABLE_CAPACITY_MIN)
        capacity = TABLE_CAPACITY_MIN;
    CHECK(capacity <= SLOT_CAPACITY_MAX);
    size_t bytes = table_bytes((uint32_t)capacity);
    if (bytes <= ARENA_CHUNK_BYTES_MAX)
        bytes = arena_round(&store->arena, bytes);
    return (uint32_t)((bytes - sizeof(struct table)) / sizeof(uint64_t));
}

static void table_free(struct store *store, struct slot *slot)
{
    if (slots_table_is_large(slot->capacity))
        large_free(&store->large, slot->table);
    else
        arena_free(&store->arena, slot->table);
}

/* A change of a table's entries makes the crawl's place in its middle meaningless. */
static void disturb_crawl(struct store *store, const struct slot *slot)
{
    if (store->crawl.entry > 0 && slot == &store->slots[store->crawl.slot])
        store->crawl.is_disturbed = true;
}

void slots_set_table(struct store *store, struct slot *slot, struct table *table, uint32_t capacity)
{
    memset(table, 0, table_bytes(capacity));
    table->slot = (uint32_t)(slot - store->slots);
    for (uint32_t index = 0; index < slot->capacity; index++)
        if (slot->table->entries[index] != 0)
            table_insert(table, capacity, slot->table->entries[index]);
    if (slot->table != NULL)
        table_free(store, slot);
    slot->table = table;
    slot->capacity = capacity & SLOT_CAPACITY_MAX;
    disturb_crawl(store, slot);
}

void slots_shrink(struct store *store, struct slot *slot)
{
    if (slot->table == NULL)
        return;
    if (slot->table->count == 0) {
        table_free(store, slot);
        slot->table = NULL;
        slot->capacity = 0;
        disturb_crawl(store, slot);
        return;
    }
    uint64_t count = slot->table->count;
    if (count * 8 >= (uint64_t)slot->capacity * 3)
        return;
    uint32_t capacity = slots_capacity_for(store, count + count / 4);
    if (capacity >= slot->capacity)
        return;
    struct table *table =
        slots_alloc(store, KIND_TABLE, table_bytes(capacity), slots_table_is_large(capacity), 0);
    if (table != NULL)
        slots_set_table(store, slot, table, capacity);
}

/* Versions */

void slots_init_copy(struct copy *copy)
{
    *copy = (struct copy){.is_clean = true, .lineage = &copy->first, .lineage_room = 1};
}

static void lineage_free(struct store *store, struct copy *copy)
{
    if (copy->lineage == &copy->first)
        return;
    ledger_give(&store->ledger, copy->lineage_room * sizeof(*copy->lineage));
    free(copy->lineage);
}

void slots_close_copy(struct store *store, struct copy *copy)
{
    lineage_free(store, copy);
    slots_init_copy(copy);
}

static void lineage_move(struct store *store, struct copy *copy, uint64_t *to, uint32_t room)
{
    CHECK(to != NULL);
    memcpy(to, copy->lineage, copy->lineage_count * sizeof(*to));
    lineage_free(store, copy);
    ledger_take(&store->ledger, room * sizeof(*to));
    copy->lineage = to;
    copy->lineage_room = room;
}

/* The last entry moves on with the slot's version, which is left to who looks at it (copy.c). */
void slots_lengthen(struct store *store, struct slot *slot, uint64_t version)
{
    struct copy *copy = slot_copy(store, slot);
    if (store_version_seq(slot->version) != 0)
        copy->lineage[copy->lineage_count - 1] = slot->version;
    if (copy->lineage_count == copy->lineage_room) {
        uint32_t room = copy->lineage_room * 2 + 1; /* with malloc's word it fills its blocks */
        lineage_move(store, copy, malloc(room * sizeof(*copy->lineage)), room);
    }
    copy->lineage[copy->lineage_count++] = version;
    slot->version = version;
}

void slots_raise_floor(struct store *store, struct slot *slot, uint64_t floor)
{
    struct copy *copy = slot_copy(store, slot);
    if (!MUTANT(floor_falls) && floor <= copy->floor)
        return;
    copy->floor = floor;
    if (copy->lineage_count < 2)
        return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < copy->lineage_count; i++)
        if (i + 1 == copy->lineage_count || copy->lineage[i] >= floor)
            copy->lineage[kept++] = copy->lineage[i];
    copy->lineage_count = kept;
}

/* Items */

void slots_count_in(struct store *store, const struct slot *slot, const struct item *item)
{
    store->counters.item_bytes += item_bytes(item);
    if (!item_is_tombstone(item)) {
        store->counters.items++;
        return;
    }
    store->counters.tombstones++;
    slot_copy(store, slot)->tombstone_count++;
}

void slots_count_out(struct store *store, const struct slot *slot, const struct item *item)
{
    store->counters.item_bytes -= item_bytes(item);
    if (!item_is_tombstone(item)) {
        store->counters.items--;
        return;
    }
    store->counters.tombstones--;
    slot_copy(store, slot)->tombstone_count--;
}

void slots_remove(struct store *store, struct slot *slot, uint32_t index)
{
    struct item *item = entry_item(slot->table->entries[index]);
    table_remove(slot->table, slot->capacity, index);
    disturb_crawl(store, slot);
    slots_count_out(store, slot, item);
    slots_free_item(store, item);
}

/* The bytes of a tombstone's item. */
static size_t tombstone_bytes(const struct item *item)
{
    return ITEM_HEAD_BYTES + item->key_bytes + 2;
}

void slots_bury(struct store *store, struct slot *slot, uint32_t index, uint64_t version)
{
    uint64_t *entry = &slot->table->entries[index];
    struct item *item = entry_item(*entry);
    size_t bytes = tombstone_bytes(item);
    slots_count_out(store, slot, item);
    bool is_large = item->bits & ITEM_LARGE;
    struct item *smaller = NULL;
    if (is_large || arena_round(&store->arena, bytes) < arena_chunk_bytes(&store->arena, item))
        smaller = slots_alloc(store, KIND_ITEM, bytes, false, 0);
    if (smaller != NULL) {
        struct item_fields fields = {.slot = (uint32_t)(slot - store->slots),
                                     .accessed_s = store->now_s,
                                     .version = version,
                                     .is_tombstone = true,
                                     .key = item_key(item)};
        item_write(smaller, &fields);
        *entry = table_entry(entry_tag(*entry), smaller);
        slots_free_item(store, item);
        item = smaller;
    } else {
        item_bury(item, version, store->now_s);
    }
    slots_count_in(store, slot, item);
}

void slots_delete(struct store *store, struct slot *slot, uint32_t index)
{
    uint64_t version = slots_next_version(slot);
    slots_extend(store, slot, version);
    if (!slot->is_alone) {
        slots_bury(store, slot, index, version);
        return;
    }
    slots_remove(store, slot, index);
    slots_raise_floor(store, slot, version);
}

void slots_count_death(struct store *store, const struct slot *slot, const struct item *item)
{
    if (item_is_tombstone(item))
        return;
    if (item_is_flushed(slot, item)) {
        store->counters.flushed++;
    } else if (item_is_expired(store, slot, item)) {
        store->counters.expired++;
        if (!(item->bits & STORE_MARK_FETCHED))
            store->counters.expired_unfetched++;
    }
}

void slots_expire(struct store *store, struct slot *slot, uint32_t index)
{
    const struct item *item = entry_item(slot->table->entries[index]);
    CHECK(item_is_expired(store, slot, item));
    slots_count_death(store, slot, item);
    slots_delete(store, slot, index);
}

void slots_drop_gone(struct store *store, struct slot *slot)
{
    const struct copy *copy = slot_copy(store, slot);
    for (uint32_t index = 0; index < slot->capacity;) {
        uint64_t entry = slot->table->entries[index];
        if (entry == 0 || !item_is_gone(slot, copy, entry_item(entry))) {
            index++;
            continue;
        }
        slots_count_death(store, slot, entry_item(entry));
        slots_remove(store, slot, index); /* another entry may now stand here */
    }
    slots_shrink(store, slot);
}

/* When there is something to do */

void slots_note_expiry(struct store *store, struct slot *slot, uint32_t expires_s)
{
    if (expires_s == STORE_NEVER || !slot->is_led)
        return;
    if (expires_s < slot->due_s)
        slot->due_s = expires_s;
    if (expires_s < store->due_s)
        store->due_s = expires_s;
    if (slot == &store->slots[store->crawl.slot] && expires_s < store->crawl.due_s)
        store->crawl.due_s = expires_s;
}

void slots_note_due(struct store *store, struct slot *slot)
{
    if (slot->table == NULL)
        return;
    slot->due_s = 0;
    store->due_s = 0;
    disturb_crawl(store, slot);
}

void slots_note_flush_due(struct store *store, uint32_t due_s)
{
    if (due_s < store->flushes.due_s)
        store->flushes.due_s = due_s;
    if (due_s < store->flushes.next_s)
        store->flushes.next_s = due_s;
}
