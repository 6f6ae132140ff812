/* The memory engine's request ids (ids.h): a log of entries in pages, and three ways to find them.
 *
 *  - Entries are appended to the last page; the oldest are looked at when their time may have come,
 *    and a page is given back when all of its entries have gone. So an entry may be kept for longer
 *    than asked, while an older one of its page is.
 *  - An entry that has been taken out before its time stays in its page as waste. Where that is
 * more than half of the log, the oldest pages are squeezed: what is left in them moves to the last
 * one.
 *  - An entry stands in three chains: of its id, of its key, of its slot. There is no index, and no
 *    page, while there is no entry. */
#ifndef DHT_SERVER_STORE_ID_LOG_H
#define DHT_SERVER_STORE_ID_LOG_H

#include "server/store/ids.h"

struct id_page;
struct id_entry;

/* One chain of entries and its links, through the address of what leads to an entry. */
struct id_link {
    struct id_entry *next;
    struct id_link *before; /* the link, or chain, whose next this is */
};

struct id_log {
    struct id_page *first; /* the oldest; NULL: none */
    struct id_page *last;
    uint32_t page_count;
    size_t waste_bytes;    /* of entries taken out that their page has not passed yet */
    struct id_link *slots; /* SLOT_COUNT chains; NULL: no index yet */
    struct id_link *ids;   /* chain_count chains, then as many of keys */
    uint32_t chain_count;  /* a power of 2 */
};

void id_log_close(struct store *store);
/* Lets go what has been kept long enough, about work entries' worth. Returns whether there is more
 * to do right now. */
bool id_log_tick(struct store *store, uint32_t work);
/* Takes all entries of a slot out. */
void id_log_drop(struct store *store, uint32_t slot);
/* Takes those above a version out: only a planted bug does. */
void id_log_cut(struct store *store, uint32_t slot, uint64_t above);
/* CHECKs every invariant; for tests. */
void id_log_check(const struct store *store);

#endif
