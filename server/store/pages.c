#include "server/store/pages.h"

#include "common/check.h"

#include <string.h>
#include <sys/mman.h>

_Static_assert(sizeof(struct region) <= REGION_HEAD_BYTES, "what is booked for a head covers it");
_Static_assert(REGION_HEAD_BYTES <= PAGE_BYTES, "a head fits its page");

/* Maps a region at an address that is a multiple of its size: twice the room, the ends cut off. */
static struct region *region_map(void)
{
    char *raw = mmap(NULL, 2 * REGION_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED)
        return NULL;
    size_t before = (REGION_BYTES - (uintptr_t)raw % REGION_BYTES) % REGION_BYTES;
    if (before > 0)
        munmap(raw, before);
    munmap(raw + before + REGION_BYTES, REGION_BYTES - before);
    /* Huge pages would gain a tenth of a look-up, and keep memory that has been given back. */
    madvise(raw + before, REGION_BYTES, MADV_NOHUGEPAGE);
    return (struct region *)(raw + before);
}

static struct region *region_add(struct pages *pages)
{
    if (!budget_fits(pages->ledger->budget, REGION_HEAD_BYTES))
        return NULL;
    struct region *region = region_map();
    if (region == NULL)
        return NULL;
    memset(region->free, 0xff, sizeof(region->free));
    region->free[0] &= ~1ull;
    region->free_count = REGION_PAGES - 1;
    region->next = pages->regions;
    pages->regions = region;
    region->next_roomy = pages->roomy;
    pages->roomy = region;
    ledger_take(pages->ledger, REGION_HEAD_BYTES);
    return region;
}

static bool is_free(const struct region *region, uint32_t index)
{
    return region->free[index / 64] >> index % 64 & 1;
}

/* The first page of the first run of count free ones; 0 if there is none. */
static uint32_t find_run(const struct region *region, uint32_t count)
{
    uint32_t run = 0;
    for (uint32_t index = 1; index < REGION_PAGES; index++) {
        if (index % 64 == 0 && region->free[index / 64] == 0) {
            run = 0;
            index += 63;
            continue;
        }
        run = is_free(region, index) ? run + 1 : 0;
        if (run == count)
            return index + 1 - count;
    }
    return 0;
}

void *pages_take(struct pages *pages, uint32_t count)
{
    CHECK(count > 0);
    CHECK(count <= PAGES_RUN_MAX);
    struct region **link = &pages->roomy;
    uint32_t first = 0;
    for (; *link != NULL; link = &(*link)->next_roomy) {
        first = find_run(*link, count);
        if (first != 0)
            break;
    }
    if (*link == NULL) {
        if (region_add(pages) == NULL)
            return NULL;
        link = &pages->roomy;
        first = 1;
    }
    struct region *region = *link;
    for (uint32_t index = first; index < first + count; index++)
        region->free[index / 64] &= ~(1ull << index % 64);
    region->free_count -= count;
    if (region->free_count == 0)
        *link = region->next_roomy;
    return (char *)region + (size_t)first * PAGE_BYTES;
}

void pages_populate(void *run, uint32_t count)
{
    /* Where the system cannot, the memory comes as it is touched, as ever. */
    (void)madvise(run, (size_t)count * PAGE_BYTES, MADV_POPULATE_WRITE);
}

void pages_give(struct pages *pages, void *run, uint32_t count)
{
    struct region *region = region_of(run);
    uint32_t first = page_index(run);
    CHECK(first > 0);
    CHECK(first + count <= REGION_PAGES);
    for (uint32_t index = first; index < first + count; index++) {
        CHECK(!is_free(region, index));
        region->free[index / 64] |= 1ull << index % 64;
    }
    int result = madvise(run, (size_t)count * PAGE_BYTES, MADV_DONTNEED);
    CHECK(result == 0);
    if (region->free_count == 0) {
        region->next_roomy = pages->roomy;
        pages->roomy = region;
    }
    region->free_count += count;
}

void pages_close(struct pages *pages)
{
    while (pages->regions != NULL) {
        struct region *region = pages->regions;
        pages->regions = region->next;
        munmap(region, REGION_BYTES);
        ledger_give(pages->ledger, REGION_HEAD_BYTES);
    }
    pages->roomy = NULL;
}

uint64_t pages_check(const struct pages *pages)
{
    uint64_t taken_count = 0;
    uint32_t roomy_count = 0;
    for (const struct region *region = pages->regions; region != NULL; region = region->next) {
        uint32_t free_count = 0;
        for (uint32_t index = 0; index < REGION_PAGES; index++)
            free_count += is_free(region, index);
        CHECK(!is_free(region, 0));
        CHECK(free_count == region->free_count);
        taken_count += REGION_PAGES - 1 - free_count;
        roomy_count += free_count > 0;
    }
    for (const struct region *region = pages->roomy; region != NULL; region = region->next_roomy)
        roomy_count--;
    CHECK(roomy_count == 0);
    return taken_count;
}
