/* The memory engine's inside: the slots with their tables, and the memory of items and tables.
 *
 * Nothing here makes room: what cannot be had is refused (reclaim.h makes room).
 *
 *  - Each item is led to by exactly one entry of its slot's table, each table by its slot, so both
 *    may be moved by the arena at any allocation under pressure: whoever holds a pointer across
 *    one must put it into pinned or fresh, or look again.
 *  - An item whose time has come, or whose version is not above its slot's flushed, is dead: it is
 *    absent for everybody and only its memory is still there.
 *  - due_s of a slot is a lower bound of the second at which an item of it dies (0: some are dead
 *    by a flush); due_s of the store one of all slots', save those that the crawl has to visit. */
#ifndef DHT_SERVER_STORE_SLOTS_H
#define DHT_SERVER_STORE_SLOTS_H

#include "server/store/arena.h"
#include "server/store/item.h"
#include "server/store/large.h"
#include "server/store/store.h"
#include "server/store/table.h"

#define DUE_NEVER UINT32_MAX

/* What a chunk of the arena holds. */
enum { KIND_ITEM, KIND_TABLE };

struct slot {
    struct table *table; /* NULL: no items */
    uint64_t version;    /* the last one given */
    uint64_t flushed;    /* items up to this version are dead */
    uint32_t capacity;   /* of table; 0 if NULL */
    uint32_t due_s;
};

/* The round through the slots that drops the dead; see reclaim_crawl. */
struct crawl {
    bool is_active;
    bool is_disturbed; /* the slot's table changed while the crawl was in its middle */
    uint32_t slot;     /* the next to visit */
    uint32_t entry;    /* where to go on in it, if in its middle; else 0 */
    uint32_t due_s;    /* least expiry seen in it so far */
};

struct store {
    struct budget *budget; /* borrowed */
    bool evict;
    uint64_t random; /* state of a xorshift generator, never 0 */
    uint32_t now_s;
    uint32_t due_s;
    uint32_t flush_s; /* when a delayed flush is due; 0: none */
    struct crawl crawl;
    struct item *pinned; /* the item being replaced: not to be evicted; follows it if moved */
    struct item *fresh;  /* a chunk no entry leads to yet; follows it if moved */
    struct ledger ledger;
    struct store_counters counters;
    struct arena arena;
    struct large large;
    struct slot slots[SLOT_COUNT];
};

static inline bool item_is_dead(const struct store *store, const struct slot *slot,
                                const struct item *item)
{
    uint32_t expires_s = item_expires_s(item);
    return item->version <= slot->flushed ||
           (expires_s != STORE_NEVER && expires_s <= store->now_s);
}

/* Takes memory for an item or a table, a chunk or a large block.
 * keep_bytes  so much of the budget must be left over.
 * returns     NULL if it cannot be had. */
void *slots_alloc(struct store *store, unsigned kind, size_t bytes, bool is_large,
                  size_t keep_bytes);
/* Frees an item's memory; that of a large item seen in this turn at store_release. */
void slots_free_item(struct store *store, struct item *item);

/* Mends the pointer to a moved chunk: arena_moved_fn. */
void slots_moved(void *store, unsigned kind, void *from, void *to);

/* The capacity a table for count items should be made with; all of its chunk is used. */
uint32_t slots_capacity_for(const struct store *store, uint64_t count);
/* Whether a table of this capacity is no chunk. */
bool slots_table_is_large(uint32_t capacity);
/* Makes table, memory of the right size, the slot's table, of this capacity; frees the old one. */
void slots_set_table(struct store *store, struct slot *slot, struct table *table,
                     uint32_t capacity);
/* Frees the slot's table if it is empty, makes it smaller if it is much too large and memory can
 * be had. */
void slots_shrink(struct store *store, struct slot *slot);

/* Removes an entry and its item. */
void slots_remove(struct store *store, struct slot *slot, uint32_t index);
/* The same for a dead item: counts it as flushed or expired. */
void slots_reap(struct store *store, struct slot *slot, uint32_t index);
/* Notes that an item of the slot will die then. */
void slots_note_expiry(struct store *store, struct slot *slot, uint32_t expires_s);

#endif
