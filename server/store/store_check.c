/* store_check: every invariant of slots.h, copy.h and item.h. */
#include "common/check.h"
#include "server/store/slots.h"

static void item_check(const struct store *store, const struct slot *slot, const struct item *item)
{
    uint32_t number = (uint32_t)(slot - store->slots);
    uint32_t expires_s = item_expires_s(item);
    struct span value = item_value(item);
    CHECK(item->version > 0);
    CHECK(!slot->is_led || item->version <= slot->version);
    CHECK(!item_is_gone(slot, &store->copies[number], item) || slot->due_s == 0);
    if (slot->is_led && expires_s > store->now_s && !item_is_flushed(slot, item))
        CHECK(expires_s >= slot->due_s);
    if (item_is_tombstone(item)) {
        CHECK((item->bits & ~ITEM_LARGE) == ITEM_TOMBSTONE);
        CHECK(value.len == 0);
    } else {
        CHECK(memcmp(value.data + value.len, "\r\n", 2) == 0);
    }
    if (item->bits & ITEM_LARGE)
        return;
    CHECK(item_slot(item) == number);
    CHECK(value.len < REPLY_BORROW_BYTES_MIN);
    CHECK(item_bytes(item) <= arena_chunk_bytes(&store->arena, item));
}

static void copy_check(const struct store *store, uint32_t number)
{
    const struct slot *slot = &store->slots[number];
    const struct copy *copy = &store->copies[number];
    uint64_t ver = store_ver(store, number);
    CHECK(copy->lineage_count <= copy->lineage_room);
    CHECK(copy_lineage_is_valid(copy->lineage, copy->lineage_count));
    CHECK((copy->lineage_count == 0) == (ver == 0));
    if (ver != 0)
        CHECK(store_version_epoch(copy->lineage[copy->lineage_count - 1]) ==
              store_version_epoch(ver));
    CHECK(copy->floor <= ver);
    CHECK(copy->act == store_version_epoch(slot->version));
    CHECK(slot->version == ver || (store_version_seq(slot->version) == 0 && slot->version > ver));
    CHECK((copy->flush_due == 0) <= (copy->flush_due_s == 0));
    CHECK(slot->is_led || !slot->is_alone);
    if (!slot->is_led)
        return;
    CHECK(copy->is_clean);
    CHECK(slot->flushed <= slot->version);
    CHECK(copy->flush_due <= slot->version);
    CHECK(copy->flush_due == 0 || store->flushes.due_s <= copy->flush_due_s ||
          store->flushes.due_s <= store->now_s);
    CHECK(!slot->is_alone || slot->flushed <= copy->floor);
}

static void slot_check(const struct store *store, uint32_t number, struct store_counters *seen)
{
    const struct slot *slot = &store->slots[number];
    uint32_t tombstone_count = 0;
    CHECK((slot->table == NULL) == (slot->capacity == 0));
    CHECK(slot->due_s >= store->due_s || store->crawl.is_active);
    copy_check(store, number);
    if (slot->table != NULL) {
        CHECK(slot->table->slot == number);
        table_check(slot->table, slot->capacity);
    }
    for (uint32_t index = 0; index < slot->capacity; index++) {
        uint64_t entry = slot->table->entries[index];
        if (entry == 0)
            continue;
        const struct item *item = entry_item(entry);
        item_check(store, slot, item);
        tombstone_count += item_is_tombstone(item);
        seen->items += !item_is_tombstone(item);
        seen->item_bytes += item_bytes(item);
    }
    CHECK(tombstone_count == store->copies[number].tombstone_count);
    seen->tombstones += tombstone_count;
}

void store_check(const struct store *store)
{
    struct store_counters seen = {0};
    CHECK(store->fresh == NULL);
    CHECK(store->pinned == NULL);
    for (uint32_t i = 0; i < SLOT_COUNT; i++)
        slot_check(store, i, &seen);
    CHECK(seen.items == store->counters.items);
    CHECK(seen.tombstones == store->counters.tombstones);
    CHECK(seen.item_bytes == store->counters.item_bytes);
    id_log_check(store);
    arena_check(&store->arena);
    large_check(&store->large);
}
