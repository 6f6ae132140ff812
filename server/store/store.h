/* The items of this node, in SLOT_COUNT slots, each a small table of its own.
 *
 * One interface for every engine; store_memory.c is the one there is. What an engine promises:
 *  - One thread; every call finishes without waiting.
 *  - A key is hashed by the caller: store_key carries its ring position.
 *  - An item seen expired, or older than a flush, is absent for every call, and its memory comes
 *    back without being asked for (store_tick).
 *  - Nothing that was put is ever lost before it expires, is deleted, flushed or replaced, unless
 *    options.evict; a put that does not fit changes nothing (ERR_FULL).
 *  - Memory: items and tables are counted in options.budget, page by page as taken from the system,
 *    so that resident memory follows the bound.
 *  - A view (struct store_item) borrows: it is valid until the next call that may change the store.
 *    A value of at least REPLY_BORROW_BYTES_MIN bytes moreover stays where it is, even if replaced
 *    or deleted, until store_release, so that it can be sent without a copy.
 *  - Versions: each slot numbers its writes from 1 within the epoch: version = epoch << 40 | seq.
 *    Integer order is (epoch, seq) order. */
#ifndef DHT_SERVER_STORE_STORE_H
#define DHT_SERVER_STORE_STORE_H

#include "common/budget.h"
#include "common/digest.h"
#include "common/err.h"
#include "common/span.h"

#define STORE_SEQ_BITS 40
#define STORE_NEVER    0u /* an expiry: does not expire */

struct store;

struct store_options {
    struct budget *budget; /* borrowed; shared with connection buffers */
    bool evict;    /* when full, drop the least recently used of a sample instead of refusing */
    uint64_t seed; /* for the eviction sample */
};

/* A key with its place. */
struct store_key {
    struct span bytes;
    uint64_t position; /* digest_position of its SHA-1 */
};

/* Marks of an item, all memcached's meta protocol. */
enum {
    STORE_MARK_FETCHED = 1, /* read since it was stored (h) */
    STORE_MARK_STALE = 2,   /* invalidated: answers carry X */
    STORE_MARK_WON = 4      /* a client has been sent W and is to recache it: others get Z */
};

/* A view of one item; borrowed. */
struct store_item {
    struct span value;   /* without line end; the bytes "\r\n" follow it in memory */
    uint64_t version;    /* of the write that made the item what it is */
    uint64_t cas;        /* cas unique: version, unless E or a touch made it differ */
    uint32_t flags;      /* client flags */
    uint32_t expires_s;  /* on the store's clock; STORE_NEVER */
    uint32_t accessed_s; /* last read or write, on the store's clock */
    uint8_t marks;       /* STORE_MARK_… */
    uint32_t item_bytes; /* memory it takes, header and key included (me's size) */
    void *handle;        /* the engine's own; makes store_note cheap */
};

/* What to put. The value is head followed by tail (either may be empty), so that append and prepend
 * need no buffer; both may borrow from the very item that is replaced. */
struct store_put {
    struct span head;
    struct span tail;
    uint32_t flags;
    uint32_t
        expires_s; /* on the store's clock; STORE_NEVER; at or before now: the key becomes absent */
    uint64_t cas;  /* 0: cas unique is the new version; else it is this (meta E, or kept) */
    uint8_t marks;
};

struct store_counters {
    uint64_t items;        /* live or not yet found expired */
    uint64_t items_total;  /* ever put */
    uint64_t item_bytes;   /* asked for by items now: headers, keys, values (memcached's "bytes") */
    uint64_t memory_bytes; /* taken from the system for items and tables: part of budget.used */
    uint64_t expired;      /* dropped because their time had come, never fetched or not */
    uint64_t expired_unfetched;
    uint64_t evicted;
    uint64_t evicted_unfetched;
    uint64_t flushed; /* dropped because of a flush */
    uint64_t refused; /* puts refused with ERR_FULL */
};

/* Creates an empty store. gives: release with store_close. NULL never: failure stops the process.
 */
struct store *store_open(const struct store_options *options);
/* Frees everything; accepts NULL. */
void store_close(struct store *store);

/* Tells the time, once a turn: seconds on the store's clock, which starts at 1 or later and never
 * falls. Cheap when nothing changed. Fires a delayed flush that is due. */
void store_tell_time(struct store *store, uint32_t now_s);
/* Gives expired and flushed memory back, at most about work items' worth at a call; call every
 * 100 ms or so. Returns whether there is more to do right now. */
bool store_tick(struct store *store, uint32_t work);
/* Frees what was kept for sending (see above); call after the turn's sends. */
void store_release(struct store *store);

/* Prefetches, one stage ahead of use, to hide cache misses (three stages): first the slot, then its
 * table's line, then the item. Hints only; never wrong to leave out. */
void store_prefetch_slot(const struct store *store, const struct store_key *key);
void store_prefetch_table(const struct store *store, const struct store_key *key);
void store_prefetch_item(const struct store *store, const struct store_key *key);

/* Finds a live item. Returns whether there is one; item is filled then. Does not count as an
 * access. */
bool store_get(struct store *store, const struct store_key *key, struct store_item *item);
/* Notes a read of the item just got, with no other call between: accessed_s = now, marks |= marks.
 * The view keeps what it was. */
void store_note(struct store *store, struct store_item *item, uint8_t marks);
/* Clears marks of the item just got (as store_note). */
void store_unmark(struct store *store, struct store_item *item, uint8_t marks);

/* Makes the key's item this, replacing what was there. marks start as put->marks.
 * version  out: the one given (may be NULL).
 * errors   ERR_FULL: the memory bound is reached; the old item, if any, is still there.
 *          ERR_TOO_LARGE: key and value exceed 2^32-1 bytes together, same. */
MUST_USE enum err store_put(struct store *store, const struct store_key *key,
                            const struct store_put *put, uint64_t *version);
/* Removes the key's item; takes a version if there was one. Returns whether there was a live one.
 */
bool store_delete(struct store *store, const struct store_key *key);
/* Sets the expiry of a live item; a write with a version of its own, but cas unique stays.
 * expires_s as in store_put.
 * errors  ERR_NOT_FOUND; ERR_FULL: no memory to add an expiry; nothing changed. */
MUST_USE enum err store_touch(struct store *store, const struct store_key *key, uint32_t expires_s);
/* Sets cas unique and marks of a live item in place (md I: stale, new version); a write.
 * cas  0: a new version of the slot; else this.
 * errors  as store_touch. */
MUST_USE enum err store_mark(struct store *store, const struct store_key *key, uint64_t cas,
                             uint8_t marks);

/* Makes every item put before now absent (delay_s 0), or every item that will have been put
 * before now + delay_s, when that moment comes. A later call replaces a pending delayed one. */
void store_flush(struct store *store, uint32_t delay_s);

const struct store_counters *store_counters(const struct store *store);

/* Calls visit for each live item of a slot whose version is above above, in no order, until it
 * returns false. The visitor must not change the store. */
void store_iterate(struct store *store, uint32_t slot, uint64_t above,
                   bool (*visit)(void *arg, struct span key, const struct store_item *item),
                   void *arg);
/* Drops a slot's items. */
void store_drop(struct store *store, uint32_t slot);

/* Walks the whole structure and CHECKs every invariant; for tests. */
void store_check(const struct store *store);

#endif
