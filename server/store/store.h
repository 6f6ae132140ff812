/* The copies that this node keeps: items and tombstones in SLOT_COUNT slots, each a small table of
 * its own, and what is recorded of each copy (copy.h) and of requests (ids.h).
 *
 * One interface for every engine; store_memory.c is the one there is. What an engine promises:
 *  - One thread; every call finishes without waiting.
 *  - A key is hashed by the caller: store_key carries its ring position.
 *  - Two kinds of writes. The leader's (store_put, store_delete, store_touch, store_mark,
 *    store_expire, store_flush_slot) give the slot's next version and lengthen its lineage; they
 *    are for slots that are led (copy_lead). A backup's (store_apply, store_apply_flush,
 *    store_erase) do as they are told, whatever is there; they are for slots that are not.
 *  - What is deleted leaves a tombstone: key and version. It goes when the floor has passed it.
 *  - An item is dead when its time has come, or when its version is not above the slot's flush. To
 *    readers and to the leader's writes it is absent, but it stays: an expired one until the leader
 *    makes it a delete (store_expire), one dead by a flush until the floor has passed the flush.
 *  - In a slot that is led alone (copy_set_alone) nobody needs to be told: the floor follows each
 *    delete, nothing is left of it, and the expired go by themselves.
 *  - Nothing that was put is ever lost before it expires, is deleted, flushed or replaced, unless
 *    options.evict; a put that does not fit changes nothing (ERR_FULL). A delete always fits.
 *  - Memory: items, tombstones, tables and request ids are counted in options.budget, page by page
 *    as taken from the system, so that resident memory follows the bound.
 *  - A view (struct store_item) borrows: it is valid until the next call that may change the store.
 *    A value of at least REPLY_BORROW_BYTES_MIN bytes moreover stays where it is, even if replaced
 *    or deleted, until store_release, so that it can be sent without a copy.
 *  - Versions: epoch << 40 | seq, seq from 1 in each epoch. Integer order is (epoch, seq) order.
 *
 * source  proto.md "Terms", "Sync", "Serving". */
#ifndef DHT_SERVER_STORE_STORE_H
#define DHT_SERVER_STORE_STORE_H

#include "common/budget.h"
#include "common/digest.h"
#include "common/err.h"
#include "common/span.h"

#define STORE_SEQ_BITS  40
#define STORE_SEQ_MAX   ((1ull << STORE_SEQ_BITS) - 1)
#define STORE_EPOCH_MAX ((1u << 23) - 1)
#define STORE_NEVER     0u /* an expiry: does not expire */

/* From this seq on nothing is evicted from a slot, and its leader carries out no more commands: one
 * that is under way may take several versions. */
#define STORE_SEQ_LAST (STORE_SEQ_MAX - 4096)

static inline uint64_t store_version(uint32_t epoch, uint64_t seq)
{
    return (uint64_t)epoch << STORE_SEQ_BITS | seq;
}

static inline uint32_t store_version_epoch(uint64_t version)
{
    return (uint32_t)(version >> STORE_SEQ_BITS);
}

static inline uint64_t store_version_seq(uint64_t version)
{
    return version & STORE_SEQ_MAX;
}

struct store;

struct store_options {
    struct budget *budget; /* borrowed; shared with connection buffers */
    bool evict;    /* when full, drop the least recently used of a sample instead of refusing */
    uint64_t seed; /* for the eviction sample */
};

/* A key with its place. */
struct store_key {
    struct span bytes; /* 1 … 255 bytes; empty: the flushes of the slot (ids.h) */
    uint64_t position; /* digest_position of its SHA-1; the store looks at no more than the first
                          STORE_POSITION_BITS, and gives back no more */
    uint32_t index;    /* where in the slot's table to look first: a hint, any number will do */
};

#define STORE_POSITION_BITS (SLOT_BITS + 20)

/* Marks of an item, all memcached's meta protocol. */
enum {
    STORE_MARK_FETCHED = 1, /* read since it was stored (h) */
    STORE_MARK_STALE = 2,   /* invalidated: answers carry X */
    STORE_MARK_WON = 4,     /* a client has been sent W and is to recache it: others get Z */
    STORE_MARKS = STORE_MARK_FETCHED | STORE_MARK_STALE | STORE_MARK_WON
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
    bool is_tombstone;   /* there is nothing but a version */
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
    uint64_t cas;  /* 0: cas unique is the version; else it is this (meta E, or kept) */
    uint8_t marks;
};

struct store_counters {
    uint64_t items; /* live ones, and dead ones that are still there */
    uint64_t tombstones;
    uint64_t ids;          /* request ids kept */
    uint64_t items_total;  /* ever put */
    uint64_t item_bytes;   /* asked for by items and tombstones now: headers, keys, values */
    uint64_t memory_bytes; /* taken from the system by this store: part of budget.used */
    uint64_t expired;      /* deleted because their time had come, never fetched or not */
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
 * falls. Cheap when nothing changed. */
void store_tell_time(struct store *store, uint32_t now_s);
/* The time as last told: a node that begins on a store kept from before goes on from there. */
uint32_t store_now_s(const struct store *store);
/* Looks for what is expired and gives back memory of what nobody needs any more, at most about work
 * items' worth at a call; call every 100 ms or so. Returns whether there is more to do right now.
 */
bool store_tick(struct store *store, uint32_t work);
/* Frees what was kept for sending (see above); call after the turn's sends. */
void store_release(struct store *store);

/* Prefetches, one stage ahead of use, to hide cache misses (three stages): first the slot, then its
 * table's line, then the item. Hints only; never wrong to leave out. The last returns what, as the
 * key's index, spares the use the search; it may have become another's until then. */
void store_prefetch_slot(const struct store *store, const struct store_key *key);
void store_prefetch_table(const struct store *store, const struct store_key *key);
uint32_t store_prefetch_item(const struct store *store, const struct store_key *key);

/* Finds a live item. Returns whether there is one; item is filled then. Does not count as an
 * access. Meeting an expired one is noted (store_take_saw_expired). */
bool store_get(struct store *store, const struct store_key *key, struct store_item *item);
/* Notes a read of the item just got, with no other call between: accessed_s = now, marks |= marks.
 * The view keeps what it was. */
void store_note(struct store *store, struct store_item *item, uint8_t marks);
/* Clears marks of the item just got (as store_note). */
void store_unmark(struct store *store, struct store_item *item, uint8_t marks);

/* The leader's writes. The slot is led. Each gives the next version of the slot; it stands in the
 * item or tombstone afterwards, and is store_ver(slot). Evictions that a write needed took theirs
 * before it (store_take_evicted). */

/* Makes the key's item this, replacing what was there. marks start as put->marks. An expiry that is
 * past already makes it a delete: a tombstone if there was an item, else nothing but the version.
 * version  out: the one given (may be NULL).
 * errors   ERR_FULL: the memory bound is reached; the old item, if any, is still there.
 *          ERR_TOO_LARGE: key and value exceed 2^32-1 bytes together, same. */
MUST_USE enum err store_put(struct store *store, const struct store_key *key,
                            const struct store_put *put, uint64_t *version);
/* Makes the key's live item a tombstone. Returns whether there was one; else nothing changes. */
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

/* A write that changes nothing: a refused command that carried a request id.
 * returns  its version. */
uint64_t store_write_nothing(struct store *store, uint32_t slot);

/* Makes every item put before now absent (delay_s 0), or every item that will have been put
 * before now + delay_s, when that moment comes (store_take_flush_due). Either replaces a pending
 * delayed one.
 * returns  its version.
 * cost     one write of the slot, however many items it has. */
uint64_t store_flush_slot(struct store *store, uint32_t slot, uint32_t delay_s);
/* Carries out a delayed flush that is due in a slot that is led: a write with a version of its
 * own. Call until false, after store_tell_time.
 * slot  out: where. */
bool store_take_flush_due(struct store *store, uint32_t *slot);
/* store_flush_slot of every slot that is led. */
void store_flush(struct store *store, uint32_t delay_s);

/* Expiry and eviction: deletes that nobody asked for, which the leader has to tell.
 * source  proto.md "Serving": deletes that the primary makes, with version and tombstone,
 *         before it answers that the item is absent. */

/* Whether a call met an expired item, and took it for absent, since this was last asked: its key
 * goes to store_expire before an answer says so. */
bool store_take_saw_expired(struct store *store);
/* Deletes the key's item if its time has come; a write. Returns whether it was so. */
bool store_expire(struct store *store, const struct store_key *key);
/* Takes the key of an item that store_tick found expired in a slot that is led, for store_expire.
 * It may be found again while it is not deleted.
 * key  out: the bytes borrow until the next call that may change the store. */
bool store_take_expired(struct store *store, struct store_key *key);
/* Takes the key of an item that has been evicted, in the order of their versions: there is a
 * tombstone in its place now, or what was put since. Drained by the leader after each write.
 * key  out: as above. */
bool store_take_evicted(struct store *store, struct store_key *key);
/* Whether there may be one to take; cheap. */
bool store_has_evicted(const struct store *store);

/* A backup's writes. The slot is not led. What is there is replaced, whatever its version.
 *
 * moves_ver  the write of a session that is synced: it must be the successor of what the copy has
 *            (copy_is_next), and the lineage grows by it. Else the copy is not clean from here on.
 * source     proto.md "Sync", 4 and 5. */

/* put      what the key is: expiry, marks, and cas unique as given (0: the version is it). An
 *          expired item is kept, like any other. NULL: a tombstone.
 * errors   ERR_FULL: no room; nothing changed. A tombstone in the place of an item always fits.
 *          ERR_TOO_LARGE: as store_put. */
MUST_USE enum err store_apply(struct store *store, const struct store_key *key, uint64_t version,
                              const struct store_put *put, bool moves_ver);
/* Says how many items a slot that items come to is likely to have in the end: a table that has to
 * grow is made for so many at once, if memory is not short. A hint: of a wrong one comes a table
 * larger than need be. 0, as at first: nothing is known. */
void store_expect(struct store *store, uint64_t count);
/* A write of which nothing is left (see store_put), or store_write_nothing: the lineage grows by
 * it.
 */
void store_apply_nothing(struct store *store, uint32_t slot, uint64_t version);
/* Removes what is there, item or tombstone: the source has nothing of this key. Not clean. */
void store_erase(struct store *store, const struct store_key *key);
/* Makes the flush of the copy this. Items above it that an older state of the copy had dead are
 * live again.
 * flush    version of the last flush; 0: none
 * due      version of the delayed one that is pending; 0: none
 * left_s   seconds until that is due, from now on
 * moves    the version of this write, or 0: it is not the write of a synced session. */
void store_apply_flush(struct store *store, uint32_t slot, uint64_t flush, uint64_t due,
                       uint32_t left_s, uint64_t moves);

/* What is there. */

enum store_found { STORE_NONE, STORE_TOMBSTONE, STORE_ITEM };

/* Finds what there is of the key: an item, dead or alive, or a tombstone. item is filled then; of
 * a tombstone version and item_bytes count. */
enum store_found store_find(struct store *store, const struct store_key *key,
                            struct store_item *item);

/* Returns false to stop. It must not change the store. */
typedef bool store_visit_fn(void *arg, const struct store_key *key, const struct store_item *item);

/* Calls visit for each item and tombstone of a slot whose version is above above, dead ones too, in
 * no order, until it returns false. */
void store_iterate(struct store *store, uint32_t slot, uint64_t above, store_visit_fn *visit,
                   void *arg);
#define STORE_WALK_END 1048576u
/* The same in pieces, between which the store may change. What is there all the while is visited
 * once, what comes or goes meanwhile at most once. The visitor cannot stop it.
 * cursor   0 at first; moved on, evenly, to STORE_WALK_END: then there is no more.
 * work     look at about this many, from 1; those of one cursor position are not divided.
 * returns  whether there is more. */
bool store_walk(struct store *store, uint32_t slot, uint64_t above, uint32_t *cursor, uint32_t work,
                store_visit_fn *visit, void *arg);

struct store_slot_counts {
    uint64_t items; /* dead ones that are still there too */
    uint64_t tombstones;
    uint64_t bytes; /* of keys and values */
};

/* cost  looks at every item of the slot. */
void store_slot_counts(const struct store *store, uint32_t slot, struct store_slot_counts *counts);

const struct store_counters *store_counters(const struct store *store);

/* Drops a slot's items, tombstones and request ids; what is recorded of the copy stays (copy_empty
 * forgets that as well). */
void store_drop(struct store *store, uint32_t slot);

/* Walks the whole structure and CHECKs every invariant; for tests. */
void store_check(const struct store *store);

#endif
