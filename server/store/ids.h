/* Request ids: what a write that carried one was and how it was answered, so that the same request
 * sent again is answered and not carried out again.
 *
 *  - An entry belongs to a key of a slot (to no key, if its write was a flush) and goes where that
 *    goes in a sync; a cut or a dropped tombstone leaves it, an emptied copy loses it.
 *  - It is kept for STORE_ID_KEEP_S at least, and somewhat longer.
 *  - Entries lie in pages of their own, in the order they came, and are booked page by page in the
 *    budget like items.
 *
 * source  proto.md "Serving", Request ids. */
#ifndef DHT_SERVER_STORE_IDS_H
#define DHT_SERVER_STORE_IDS_H

#include "server/store/store.h"

#define STORE_ID_BYTES_MAX        32u
#define STORE_ID_KEEP_S           60u
#define STORE_ID_ANSWER_BYTES_MAX (32u * 1024)

/* One entry; borrows until the next call that may change the store. */
struct store_id {
    struct span id;       /* 1 … STORE_ID_BYTES_MAX bytes */
    struct digest digest; /* of the command, without its id */
    uint64_t version;     /* of the write, also one that changed nothing */
    struct span answer;   /* 0 … STORE_ID_ANSWER_BYTES_MAX bytes, line ends and all */
    uint32_t left_s;      /* seconds it has to be kept yet */
};

/* The key under which the entries of a slot's flushes lie. */
static inline struct store_key store_flush_key(uint32_t slot)
{
    return (struct store_key){.position = (uint64_t)slot << (64 - SLOT_BITS)};
}

/* Finds an id among all entries of a slot. key (may be NULL) and entry are filled then. */
bool store_id_find(struct store *store, uint32_t slot, struct span id, struct store_key *key,
                   struct store_id *entry);
/* Makes sure that an entry with an answer of up to answer_bytes can be added, whatever is written
 * in between, and that no item has to be evicted for it then: asked before a request with an id is
 * executed.
 * errors  ERR_FULL: the memory bound is reached. ERR_TOO_LARGE: no such answer is kept. */
MUST_USE enum err store_id_reserve(struct store *store, size_t answer_bytes);
/* Adds an entry to those of a key, at a leader, or at a backup for a write of a synced session. One
 * of the same id in the slot goes, whatever its key: a backup may have kept it longer than the
 * leader, which has taken the id anew.
 * entry   borrowed; left_s is how long it has to be kept.
 * errors  as store_id_reserve. Nothing changed. */
MUST_USE enum err store_id_add(struct store *store, const struct store_key *key,
                               const struct store_id *entry);
/* Puts these in the place of all entries of a key, and of those of the same ids in the slot: the
 * copy is not clean from here on. One that is there already, as it is to be, stays, for the longer
 * of both times.
 *
 * entries  borrowed; may be NULL if count is 0.
 * errors   as store_id_reserve. Nothing changed. */
MUST_USE enum err store_ids_replace(struct store *store, const struct store_key *key,
                                    const struct store_id *entries, uint32_t count);

/* Returns false to stop. It must not change the store. */
typedef bool store_id_visit_fn(void *arg, const struct store_key *key,
                               const struct store_id *entry);

/* Calls visit for each entry of a key (of store_flush_key: of the slot's flushes), in no order. */
void store_ids_of(struct store *store, const struct store_key *key, store_id_visit_fn *visit,
                  void *arg);
/* Calls visit for each entry of a slot whose version is above above, in no order. */
void store_ids_iterate(struct store *store, uint32_t slot, uint64_t above, store_id_visit_fn *visit,
                       void *arg);

#endif
