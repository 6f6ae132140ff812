#include "server/store/slots.h"

#include "common/check.h"

#define TABLE_CAPACITY_MIN 2u

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
    CHECK(capacity < TABLE_NONE);
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
    slot->capacity = capacity;
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

/* Items */

void slots_remove(struct store *store, struct slot *slot, uint32_t index)
{
    struct item *item = entry_item(slot->table->entries[index]);
    table_remove(slot->table, slot->capacity, index);
    disturb_crawl(store, slot);
    store->counters.items--;
    store->counters.item_bytes -= item_bytes(item);
    slots_free_item(store, item);
}

void slots_reap(struct store *store, struct slot *slot, uint32_t index)
{
    const struct item *item = entry_item(slot->table->entries[index]);
    CHECK(item_is_dead(store, slot, item));
    if (item->version <= slot->flushed) {
        store->counters.flushed++;
    } else {
        store->counters.expired++;
        if (!(item->bits & STORE_MARK_FETCHED))
            store->counters.expired_unfetched++;
    }
    slots_remove(store, slot, index);
}

void slots_note_expiry(struct store *store, struct slot *slot, uint32_t expires_s)
{
    if (expires_s == STORE_NEVER)
        return;
    if (expires_s < slot->due_s)
        slot->due_s = expires_s;
    if (expires_s < store->due_s)
        store->due_s = expires_s;
    if (slot == &store->slots[store->crawl.slot] && expires_s < store->crawl.due_s)
        store->crawl.due_s = expires_s;
}
