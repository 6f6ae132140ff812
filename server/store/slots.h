/* The memory engine's inside: the slots with their tables, and the memory of items and tables.
 *
 * Nothing here makes room: what cannot be had is refused (reclaim.h makes room).
 *
 *  - Each item is led to by exactly one entry of its slot's table, each table by its slot, so both
 *    may be moved by the arena at any allocation under pressure: whoever holds a pointer across
 *    one must put it into pinned or fresh, or look again.
 *  - Items are live, expired, flushed (dead by a flush) or tombstones; a flushed item or a
 * tombstone that the floor has passed is gone: only its memory is still there.
 *  - due_s of a slot is a lower bound of the second at which the crawl has something to do in it:
 * an item of a led slot expires, or (0) something is gone; due_s of the store one of all slots',
 * save those that the crawl has to visit.
 *  - What a look-up or a write of an item needs of a copy lies in struct slot: the version of the
 * next write, a leader's or a synced session's, is the one after the slot's. The rest, rarely
 * looked at, lies in copies: there flush and the last entry of the lineage are older than the
 * slot's, until copy.c looks at them. */
#ifndef DHT_SERVER_STORE_SLOTS_H
#define DHT_SERVER_STORE_SLOTS_H

#include "common/mutant.h"
#include "server/store/arena.h"
#include "server/store/copy.h"
#include "server/store/id_log.h"
#include "server/store/item.h"
#include "server/store/keys.h"
#include "server/store/large.h"
#include "server/store/store.h"
#include "server/store/table.h"

#define DUE_NEVER UINT32_MAX

/* What a chunk of the arena holds. */
enum { KIND_ITEM, KIND_TABLE };

struct slot {
    struct table *table;    /* NULL: no items */
    uint64_t version;       /* ver, if it is of the epoch act; else (act, 0) */
    uint64_t flushed;       /* items up to this version are dead */
    uint32_t capacity : 30; /* of table; 0 if NULL */
    uint32_t is_led : 1;
    uint32_t is_alone : 1;
    uint32_t due_s;
};

_Static_assert(sizeof(struct slot) == 32, "two to a cache line");

#define SLOT_CAPACITY_MAX ((1u << 30) - 1)

/* The round through the slots that looks for the expired and the gone; see reclaim_crawl. */
struct crawl {
    bool is_active;
    bool is_disturbed; /* the slot's table changed while the crawl was in its middle */
    uint32_t slot;     /* the next to visit */
    uint32_t entry;    /* where to go on in it, if in its middle; else 0 */
    uint32_t due_s;    /* least expiry seen in it so far */
};

/* The search for delayed flushes of led slots that are due. */
struct flush_round {
    uint32_t due_s;  /* when to search: a lower bound */
    uint32_t next_s; /* the same of the slots searched so far */
    uint32_t slot;   /* the next to look at */
};

struct store {
    struct budget *budget; /* borrowed */
    bool evict;
    bool saw_expired;
    uint64_t random; /* state of a xorshift generator, never 0 */
    uint32_t now_s;
    uint32_t due_s;
    struct flush_round flushes;
    struct crawl crawl;
    struct keys expired;     /* found by the crawl, not yet taken */
    struct keys evicted;     /* not yet taken */
    uint32_t expected_count; /* store_expect's */
    struct item *pinned;     /* the item being replaced: not to be dropped; follows it if moved */
    struct item *fresh;      /* a chunk no entry leads to yet; follows it if moved */
    struct ledger ledger;
    struct store_counters counters;
    struct arena arena;
    struct large large;
    struct id_log ids;
    struct slot slots[SLOT_COUNT];
    struct copy copies[SLOT_COUNT];
};

static inline struct copy *slot_copy(struct store *store, const struct slot *slot)
{
    return &store->copies[slot - store->slots];
}

static inline bool item_is_tombstone(const struct item *item)
{
    return item->bits & ITEM_TOMBSTONE;
}

static inline bool item_is_flushed(const struct slot *slot, const struct item *item)
{
    return item->version <= slot->flushed;
}

/* Whether its time has come; it is neither flushed nor a tombstone. */
static inline bool item_is_expired(const struct store *store, const struct slot *slot,
                                   const struct item *item)
{
    uint32_t expires_s = item_expires_s(item); /* a tombstone has none */
    return expires_s != STORE_NEVER && expires_s <= store->now_s && !item_is_flushed(slot, item);
}

static inline bool item_is_live(const struct store *store, const struct slot *slot,
                                const struct item *item)
{
    if (item_is_flushed(slot, item))
        return false;
    if (LIKELY(!(item->bits & (ITEM_HAS_EXPIRES | ITEM_TOMBSTONE))))
        return true;
    return !item_is_tombstone(item) && item_expires_s(item) > store->now_s;
}

static inline bool item_is_gone(const struct slot *slot, const struct copy *copy,
                                const struct item *item)
{
    if (item_is_tombstone(item) && item->version <= copy->floor)
        return true;
    return item_is_flushed(slot, item) && (slot->flushed <= copy->floor || MUTANT(flush_drops));
}

/* Index of the key's entry in its slot's table, whatever it is, or TABLE_NONE. */
static inline uint32_t slot_find(const struct slot *slot, const struct store_key *key)
{
    if (slot->table == NULL)
        return TABLE_NONE;
    uint32_t tag = position_tag(key->position);
    if (LIKELY(key->index < slot->capacity) &&
        table_has_at(slot->table, key->index, tag, key->bytes))
        return key->index;
    return table_find(slot->table, slot->capacity, tag, key->bytes);
}

/* The key of an item that this entry of the slot leads to. */
struct store_key slots_key(const struct store *store, const struct slot *slot, uint64_t entry);

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

/* Makes it an empty copy. */
void slots_init_copy(struct copy *copy);
/* Frees what it has; leaves an empty copy. */
void slots_close_copy(struct store *store, struct copy *copy);
/* The version of the led slot's next write. */
static inline uint64_t slots_next_version(const struct slot *slot)
{
    CHECK(slot->is_led);
    uint64_t version = slot->version + 1;
    CHECK(store_version_seq(version) != 0); /* proto.md: no seq is given after the last */
    return version;
}
/* Makes version the end of the lineage, with an entry of its own: it is of a later epoch than the
 * last. */
void slots_lengthen(struct store *store, struct slot *slot, uint64_t version);
/* Makes version the end of the lineage: the write that has it has been carried out. */
static inline void slots_extend(struct store *store, struct slot *slot, uint64_t version)
{
    if (UNLIKELY(store_version_seq(version) == 1))
        slots_lengthen(store, slot, version);
    else
        slot->version = version;
}
/* Raises the floor; forgets what the lineage need not have any more. */
void slots_raise_floor(struct store *store, struct slot *slot, uint64_t floor);

/* Counts an item, or tombstone, that comes or goes. */
void slots_count_in(struct store *store, const struct slot *slot, const struct item *item);
void slots_count_out(struct store *store, const struct slot *slot, const struct item *item);
/* Removes an entry and its item, or tombstone. */
void slots_remove(struct store *store, struct slot *slot, uint32_t index);
/* Makes the item, or tombstone, of an entry a tombstone of this version: in a smaller chunk if
 * there is one, else where it is. */
void slots_bury(struct store *store, struct slot *slot, uint32_t index, uint64_t version);
/* The leader's delete of an item: the next version, and a tombstone unless the slot is led alone.
 */
void slots_delete(struct store *store, struct slot *slot, uint32_t index);
/* The same of an expired item, which is counted as such. */
void slots_expire(struct store *store, struct slot *slot, uint32_t index);
/* Drops what is gone in the slot, without waiting for the crawl. */
void slots_drop_gone(struct store *store, struct slot *slot);
/* Counts that an item was dead, as it goes: expired or flushed; nothing of others. */
void slots_count_death(struct store *store, const struct slot *slot, const struct item *item);

/* Notes that an item of the slot will expire then; only of a led slot that matters. */
void slots_note_expiry(struct store *store, struct slot *slot, uint32_t expires_s);
/* Notes that the crawl has something to do in the slot now. */
void slots_note_due(struct store *store, struct slot *slot);
/* Notes that a delayed flush of a led slot will be due then. */
void slots_note_flush_due(struct store *store, uint32_t due_s);

#endif
