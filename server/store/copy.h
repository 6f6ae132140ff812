/* What is recorded of a copy of a slot beside its items: which writes it has, and how sure that is.
 *
 *  - lineage: the last version of each epoch of which a write survives here, ascending. Of every
 *    write it covers, the copy has that write or a newer one of the same key. Entries that end
 * below the floor, save the last, are forgotten.
 *  - ver: the last entry of the lineage; 0 for none.
 *  - act: the highest epoch in which this copy was synced (0: none): it has every write that the
 *    primary of any epoch below acknowledged or showed.
 *  - is_clean: false from the first change made by a sync that has not ended.
 *  - floor: the highest version of which a tombstone, or an item dead by a flush, has been dropped.
 *    It falls only with the whole copy.
 *
 * Everything lives in the store, so that it is kept exactly as long as the items are.
 *
 * source  proto.md "Terms" and "Sync". */
#ifndef DHT_SERVER_STORE_COPY_H
#define DHT_SERVER_STORE_COPY_H

#include "server/store/store.h"

struct copy {
    uint32_t act;
    bool is_clean;
    uint64_t floor;
    uint64_t flush;       /* version of the last flush: items up to it are dead; 0 for none */
    uint64_t flush_due;   /* version of the delayed flush that is pending; 0 for none */
    uint32_t flush_due_s; /* when that is due, on the store's clock */
    uint32_t tombstone_count;
    uint32_t lineage_count;
    uint32_t lineage_room; /* of the array; the store's own */
    uint64_t *lineage;     /* lineage_count versions; the store's own, or first */
    uint64_t first;        /* where a lineage of one entry lies, as most are */
};

/* The copy of a slot. borrows: until the next call that may change the store. */
const struct copy *store_copy(struct store *store, uint32_t slot);
/* The end of the copy's lineage as a version; 0 for none. */
uint64_t store_ver(const struct store *store, uint32_t slot);
/* Whether ver is of this epoch, which is not below act (CHECKed). Looks at less memory than
 * store_ver: for who asks of all slots. */
bool copy_ends_in(const struct store *store, uint32_t slot, uint32_t epoch);
/* Whether the copy is another than one never heard of: it has been active, has a version, or has
 * lost its cleanness. Reads the copy alone, for who asks of all slots again and again. */
bool copy_is_known(const struct store *store, uint32_t slot);

/* The highest version that both lineages have: of the highest epoch in both, the lower end; 0 if
 * they share none.
 * source  proto.md "Sync", 1. */
uint64_t copy_common(const uint64_t *ours, uint32_t our_count, const uint64_t *theirs,
                     uint32_t their_count);
/* Whether these may be a lineage: ascending, one entry an epoch, no seq of 0, no negative. */
bool copy_lineage_is_valid(const uint64_t *lineage, uint32_t count);
/* Whether this is the version of the next write of a synced session: of the epoch in which the copy
 * was synced, the first of it or the one after ver. */
bool copy_is_next(const struct store *store, uint32_t slot, uint64_t version);

/* Leading. */

/* Records act = epoch and clean; from here on the slot is led: the leader's writes get versions of
 * this epoch, (epoch, 1) at first, or go on behind those it has. epoch >= act.
 * source  proto.md "Becoming primary", 3. */
void copy_lead(struct store *store, uint32_t slot, uint32_t epoch);
/* The slot is led no more (its epoch is sealed); nothing of the copy changes. Accepts any slot. */
void copy_unlead(struct store *store, uint32_t slot);
/* copy_unlead of all slots, and what store_take_expired and store_take_evicted had is forgotten: a
 * node begins with a store that another process of it has left. */
void copy_unlead_all(struct store *store);
bool copy_is_led(const struct store *store, uint32_t slot);
/* Whether a slot that is led is led alone: no other member in its group, no session. Then the floor
 * follows each delete. Turned off by copy_unlead. Turning it on drops what tombstones there are. */
void copy_set_alone(struct store *store, uint32_t slot, bool is_alone);
/* The highest version up to limit that a floor has to be to drop all that one of limit would: that
 * of a tombstone, or of the flush if an item is dead by it. 0 if there is nothing to drop. cost
 * looks at every item of a slot that has tombstones, or was flushed above its floor. */
uint64_t copy_droppable(const struct store *store, uint32_t slot, uint64_t limit);
/* Raises the floor to floor, which the lineage covers; does nothing if it is there already.
 * Tombstones up to it are gone, and items dead by the flush if the floor has passed the flush.
 * Their memory comes back by store_tick. Request ids stay. Led or not. source  proto.md
 * "Serving", Tombstones. */
void copy_raise_floor(struct store *store, uint32_t slot, uint64_t floor);

/* Being synced. The slot is not led. */

/* Cuts the lineage to common; not clean if that cut anything off. act and all items, tombstones and
 * request ids stay, those of the cut tail too, and so does the flush.
 * common  0, or covered by the lineage, not below the floor.
 * returns whether anything was cut off.
 * source  proto.md "Sync", 2. */
bool copy_cut(struct store *store, uint32_t slot, uint64_t common);
/* Records an empty copy (nothing written, never synced, clean), then drops all items, tombstones
 * and request ids. */
void copy_empty(struct store *store, uint32_t slot);
/* Not clean from here on. (The unsynced writes of store.h and ids.h say so themselves.) */
void copy_soil(struct store *store, uint32_t slot);
/* The end of a sync: the lineage is this now, act and clean as given, the floor the higher of both.
 * lineage  borrowed; valid, and covering both floors.
 * source   proto.md "Sync", 5. */
void copy_end(struct store *store, uint32_t slot, const uint64_t *lineage, uint32_t count,
              uint32_t act, bool is_clean, uint64_t floor);
/* Records act = epoch >= act: the primary of that epoch has this very copy, which is clean.
 * source  proto.md "Sync", Advance. */
void copy_advance(struct store *store, uint32_t slot, uint32_t epoch);

#endif
