/* Large blocks: memory for items and tables that are no chunks of the arena. They never move.
 *
 * Up to 4 MiB they are runs of pages (pages.h), beyond that mappings of their own; either way
 * exactly the 4 KiB frames they touch are resident and booked, and none once freed. (malloc would
 * keep freed blocks of this size, unbooked but resident, for want of a neighbour.)
 *
 * A block may be lent: then it is freed only when the turn in which it was lent is over. */
#ifndef DHT_SERVER_STORE_LARGE_H
#define DHT_SERVER_STORE_LARGE_H

#include "server/store/pages.h"

struct large_block;

struct large {
    struct ledger *ledger; /* borrowed */
    struct pages pages;
    uint64_t turn;            /* from 1 */
    struct large_block *kept; /* freed, but lent in this turn */
};

void large_init(struct large *large, struct ledger *ledger);
/* Frees what is kept, and the pages; all blocks up to 4 MiB are gone, others must have been freed.
 */
void large_close(struct large *large);

/* Takes a block of bytes bytes, aligned to 16; keep_bytes of the budget must be left over. NULL if
 * it cannot be had. */
void *large_alloc(struct large *large, size_t bytes, size_t keep_bytes);
/* Frees a block, at the turn's end if it is lent. */
void large_free(struct large *large, void *block);
/* Notes that somebody may use the block until the end of the turn. */
void large_lend(const struct large *large, void *block);
/* Ends the turn. */
void large_end_turn(struct large *large);

/* CHECKs every invariant; for tests. */
void large_check(const struct large *large);

#endif
