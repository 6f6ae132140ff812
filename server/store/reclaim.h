/* Where memory comes from when there is none: what is gone, in slots led alone the expired, sparse
 * pages, and (options.evict) the least recently used. */
#ifndef DHT_SERVER_STORE_RECLAIM_H
#define DHT_SERVER_STORE_RECLAIM_H

#include "server/store/slots.h"

/* Goes on with the round through the slots for about work items' worth: what is gone is dropped,
 * what is expired in slots led alone as well, in other led slots it is told (store_take_expired). A
 * round begins when something may be due. Returns whether there is more to do right now. */
bool reclaim_crawl(struct store *store, uint32_t work);

/* Gives sparse pages back for about work items' worth. Returns whether there is more to do. */
bool reclaim_tidy(struct store *store, uint32_t work);

/* slots_alloc, making room as long as that helps. May move items and tables, and drop items other
 * than store->pinned. */
void *reclaim_alloc(struct store *store, unsigned kind, size_t bytes, bool is_large,
                    size_t keep_bytes);

#endif
