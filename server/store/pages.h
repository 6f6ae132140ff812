/* Pages: memory from the system in runs of pages of 64 KiB, given back as soon as it is not used.
 *
 * Pages are cut from regions of 16 MiB, aligned to their size. A region's first page is its head:
 * it says which pages are free and has room for what the owner of the pages has to know of each.
 * Address space once taken is kept; memory is not: a page given back is no longer resident. Memory
 * becomes resident as it is touched, so the last page of a run costs only what is used of it.
 *
 * Only heads are booked in the ledger; the owner books what it uses. */
#ifndef DHT_SERVER_STORE_PAGES_H
#define DHT_SERVER_STORE_PAGES_H

#include "common/base.h"
#include "server/store/ledger.h"

#define PAGE_BYTES         65536u
#define REGION_BYTES       (16u * 1024 * 1024)
#define REGION_PAGES       (REGION_BYTES / PAGE_BYTES)
#define REGION_OWNER_BYTES (7u * 1024)        /* room for the owner in a region's head */
#define REGION_HEAD_BYTES  (8u * 1024)        /* booked for each region */
#define PAGES_RUN_MAX      (REGION_PAGES / 4) /* pages a run may have */

struct region {
    struct region *next;       /* all regions */
    struct region *next_roomy; /* those with free_count > 0 */
    uint32_t free_count;
    uint64_t free[REGION_PAGES / 64];            /* bit: page is free. Page 0 is the head */
    _Alignas(64) char owner[REGION_OWNER_BYTES]; /* zeroed at first */
};

struct pages {
    struct ledger *ledger; /* borrowed */
    struct region *regions;
    struct region *roomy;
};

static inline struct region *region_of(const void *address)
{
    return (struct region *)((uintptr_t)address & ~(uintptr_t)(REGION_BYTES - 1));
}

/* Index of the page in its region, 1 … REGION_PAGES-1. */
static inline uint32_t page_index(const void *address)
{
    return (uint32_t)((uintptr_t)address % REGION_BYTES / PAGE_BYTES);
}

/* Takes a run of count pages (1 … PAGES_RUN_MAX); their bytes are zero. NULL if the system, or the
 * budget for one more region's head, has no memory. */
void *pages_take(struct pages *pages, uint32_t count);
/* Makes all memory of a run resident at once, which costs less than fault by fault. */
void pages_populate(void *run, uint32_t count);
/* Gives a run back. */
void pages_give(struct pages *pages, void *run, uint32_t count);
/* Unmaps everything. */
void pages_close(struct pages *pages);
/* CHECKs every invariant; returns how many pages are taken. For tests. */
uint64_t pages_check(const struct pages *pages);

#endif
