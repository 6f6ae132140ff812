#include "server/store/reclaim.h"

#include "common/check.h"

#define CRAWL_SLOTS_PER_WORK 16u    /* a slot with nothing due costs this fraction of an item */
#define CRAWL_PREFETCH       8u     /* entries ahead */
#define EXPIRED_BYTES_MAX    65536u /* of keys that wait to be taken; the rest is found again */
#define EVICT_SAMPLE         16u
#define EVICT_COUNT_MAX      16384u /* for one allocation; then it is refused after all */
#define ALLOC_CRAWL_WORK     256u
#define ALLOC_CRAWLS_MAX     32u /* for one allocation: some hundred microseconds */

/* Does what there is to do with one entry of the crawl's slot. Returns whether it is still there.
 */
static bool crawl_entry(struct store *store, struct slot *slot, uint32_t index)
{
    struct crawl *crawl = &store->crawl;
    uint64_t entry = slot->table->entries[index];
    const struct item *item = entry_item(entry);
    uint32_t due_s = item_expires_s(item);
    if (item == store->pinned) {
        crawl->due_s = 0; /* to be looked at again, should it stay */
        return true;
    }
    if (item_is_gone(slot, slot_copy(store, slot), item)) {
        slots_count_death(store, slot, item);
        slots_remove(store, slot, index);
        return false;
    } else if (!slot->is_led || item_is_flushed(slot, item)) {
        due_s = STORE_NEVER;
    } else if (item_is_expired(store, slot, item)) {
        if (slot->is_alone) {
            slots_expire(store, slot, index);
            return false;
        }
        struct store_key key = slots_key(store, slot, entry);
        if (keys_bytes(&store->expired) < EXPIRED_BYTES_MAX)
            keys_append(&store->expired, &key);
        due_s = store->now_s + 1; /* is it still there then? */
    }
    if (due_s != STORE_NEVER && due_s < crawl->due_s)
        crawl->due_s = due_s;
    return true;
}

/* Does what there is to do in the crawl's slot from its entry on. Returns whether the slot is done;
 * visits falls by what it cost. */
static bool crawl_slot(struct store *store, struct slot *slot, uint32_t *visits)
{
    struct crawl *crawl = &store->crawl;
    uint32_t index = crawl->entry;
    crawl->entry = 0; /* what is removed here does not disturb */
    for (; index < slot->capacity; --*visits) {
        if (*visits == 0) {
            crawl->entry = index;
            return false;
        }
        if (index + CRAWL_PREFETCH < slot->capacity)
            __builtin_prefetch(entry_item(slot->table->entries[index + CRAWL_PREFETCH]));
        if (slot->table->entries[index] == 0 || crawl_entry(store, slot, index))
            index++; /* else another entry may now stand here */
    }
    return true;
}

/* Goes on to the next slot. */
static void crawl_leave_slot(struct store *store, struct slot *slot, bool was_visited)
{
    struct crawl *crawl = &store->crawl;
    if (was_visited && !crawl->is_disturbed)
        slot->due_s = crawl->due_s;
    if (slot->due_s < store->due_s)
        store->due_s = slot->due_s;
    if (was_visited)
        slots_shrink(store, slot);
    crawl->slot++;
    crawl->entry = 0;
    crawl->due_s = DUE_NEVER;
    crawl->is_disturbed = false;
    if (crawl->slot == SLOT_COUNT) {
        crawl->slot = 0;
        crawl->is_active = false;
    }
}

bool reclaim_crawl(struct store *store, uint32_t work)
{
    struct crawl *crawl = &store->crawl;
    uint32_t visits = work;
    uint32_t skipped = 0;
    if (!crawl->is_active) {
        if (store->due_s > store->now_s)
            return false;
        crawl->is_active = true;
        store->due_s = DUE_NEVER;
    }
    while (visits > 0 && crawl->is_active) {
        struct slot *slot = &store->slots[crawl->slot];
        bool is_due = slot->due_s <= store->now_s;
        if (is_due && !crawl_slot(store, slot, &visits))
            break;
        crawl_leave_slot(store, slot, is_due);
        if (++skipped % CRAWL_SLOTS_PER_WORK == 0 && visits > 0)
            visits--;
    }
    return crawl->is_active || store->due_s <= store->now_s;
}

bool reclaim_tidy(struct store *store, uint32_t work)
{
    uint32_t moved_count;
    while (arena_compact(&store->arena, ARENA_TIDY, &moved_count)) {
        if (moved_count >= work)
            return true;
        work -= moved_count;
    }
    return false;
}

/* Eviction */

static uint64_t next_random(struct store *store)
{
    uint64_t x = store->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    store->random = x;
    return x;
}

struct place {
    struct slot *slot;
    uint32_t index;
};

/* Whether the slot has items, and they may be evicted: a backup's are the leader's to delete, and
 * each takes a version, of which there must be some left. */
static bool has_evictable(const struct store *store, uint32_t number)
{
    const struct slot *slot = &store->slots[number];
    return slot->is_led && slot->table != NULL &&
           store_version_seq(slot->version) < STORE_SEQ_LAST &&
           slot->table->count > store->copies[number].tombstone_count;
}

/* Any item that may be evicted: from a random slot and entry, the next there is. Returns whether
 * there is one. */
static bool random_place(struct store *store, struct place *place)
{
    uint64_t random = next_random(store);
    uint32_t number = random % SLOT_COUNT;
    for (uint32_t left = SLOT_COUNT; !has_evictable(store, number); left--) {
        if (left == 0)
            return false;
        number = (number + 1) % SLOT_COUNT;
    }
    place->slot = &store->slots[number];
    place->index = (uint32_t)((random >> 32) * place->slot->capacity >> 32);
    for (uint64_t entry; (entry = place->slot->table->entries[place->index]) == 0 ||
                         item_is_tombstone(entry_item(entry));)
        place->index = table_next(place->slot->capacity, place->index);
    return true;
}

/* Deletes the least recently used of a sample; false if that is none. */
static bool evict_one(struct store *store)
{
    struct place sample[EVICT_SAMPLE];
    for (unsigned i = 0; i < EVICT_SAMPLE; i++) {
        if (!random_place(store, &sample[i]))
            return false;
        __builtin_prefetch(entry_item(sample[i].slot->table->entries[sample[i].index]));
    }
    const struct place *oldest = NULL;
    uint32_t oldest_s = UINT32_MAX;
    for (unsigned i = 0; i < EVICT_SAMPLE; i++) {
        const struct item *item = entry_item(sample[i].slot->table->entries[sample[i].index]);
        if (item == store->pinned || item->accessed_s > oldest_s)
            continue;
        oldest = &sample[i];
        oldest_s = item->accessed_s;
    }
    if (oldest == NULL)
        return false;
    uint64_t entry = oldest->slot->table->entries[oldest->index];
    store->counters.evicted++;
    if (!(entry_item(entry)->bits & STORE_MARK_FETCHED))
        store->counters.evicted_unfetched++;
    if (!oldest->slot->is_alone) {
        struct store_key key = slots_key(store, oldest->slot, entry);
        keys_append(&store->evicted, &key);
    }
    slots_delete(store, oldest->slot, oldest->index);
    slots_shrink(store, oldest->slot);
    return true;
}

void *reclaim_alloc(struct store *store, unsigned kind, size_t bytes, bool is_large,
                    size_t keep_bytes)
{
    uint32_t crawls_left = ALLOC_CRAWLS_MAX;
    uint32_t evictions_left = store->evict ? EVICT_COUNT_MAX : 0;
    uint32_t moved_count;
    for (;;) {
        void *memory = slots_alloc(store, kind, bytes, is_large, keep_bytes);
        if (LIKELY(memory != NULL))
            return memory;
        if (crawls_left > 0) {
            if (!reclaim_crawl(store, ALLOC_CRAWL_WORK))
                crawls_left = 1;
            crawls_left--;
        } else if (arena_compact(&store->arena, ARENA_PRESSED, &moved_count)) {
            continue;
        } else if (evictions_left > 0 && evict_one(store)) {
            evictions_left--;
        } else {
            return NULL;
        }
    }
}
