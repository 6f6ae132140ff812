#include "server/store/arena.h"

#include "common/check.h"

#include <string.h>

#define FULL_BIN   ARENA_BINS
#define LINK_END   UINT16_MAX
#define UNIT_BYTES 8u /* chunk sizes and offsets are multiples of this */

/* A class that has so many pages will soon have filled the next: that becomes resident at once. */
#define POPULATED_FROM 4u

/* What is known of a page. It lies in the region's head, not in the page: heads of pages 64 KiB
 * apart would all compete for one set of the cache. */
struct arena_page {
    struct arena_page *next; /* in its bin, or in the list of spares */
    struct arena_page *prev; /* NULL for the first */
    uint16_t used;           /* chunks in use; 0: the page is given back */
    uint16_t fresh;          /* units from here on have never been in a chunk */
    uint16_t free;           /* first of the list of freed chunks, as unit; LINK_END */
    uint8_t class;           /* kind * ARENA_CLASSES_MAX + index */
    uint8_t bin;
};

_Static_assert(REGION_PAGES * sizeof(struct arena_page) <= REGION_OWNER_BYTES, "they fit the head");
_Static_assert(ARENA_KINDS *ARENA_CLASSES_MAX <= UINT8_MAX, "a page's class fits its field");
_Static_assert(PAGE_BYTES / UNIT_BYTES < LINK_END, "a unit fits a link");

static struct arena_page *page_of(const void *chunk)
{
    struct arena_page *pages = (struct arena_page *)region_of(chunk)->owner;
    return &pages[page_index(chunk)];
}

static char *page_bytes(const struct arena_page *page)
{
    struct region *region = region_of(page);
    size_t index = (size_t)(page - (struct arena_page *)region->owner);
    return (char *)region + index * PAGE_BYTES;
}

static struct arena_class *class_of_page(const struct arena *arena, const struct arena_page *page)
{
    unsigned kind = page->class / ARENA_CLASSES_MAX;
    return (struct arena_class *)&arena->classes[kind][page->class % ARENA_CLASSES_MAX];
}

/* Pages */

static struct arena_page *page_take(struct arena *arena, bool is_filled_soon, size_t keep_bytes)
{
    if (!budget_fits(arena->ledger->budget, PAGE_BYTES + REGION_HEAD_BYTES + keep_bytes))
        return NULL;
    struct arena_page *page = arena->spares;
    if (page != NULL) {
        arena->spares = page->next;
        arena->spare_count--;
    } else {
        void *bytes = pages_take(&arena->pages, 1);
        if (bytes == NULL)
            return NULL;
        page = page_of(bytes);
        if (is_filled_soon)
            pages_populate(bytes, 1);
    }
    ledger_take(arena->ledger, PAGE_BYTES);
    return page;
}

static void page_give(struct arena *arena, struct arena_page *page)
{
    ledger_give(arena->ledger, PAGE_BYTES);
    if (arena->spare_count < ARENA_SPARE_PAGES) {
        page->next = arena->spares;
        arena->spares = page;
        arena->spare_count++;
    } else {
        pages_give(&arena->pages, page_bytes(page), 1);
    }
}

/* Bins */

static unsigned bin_for(const struct arena_class *class, const struct arena_page *page)
{
    return page->used == class->page_chunks ? FULL_BIN : page->used * class->bin_scale >> 16;
}

static void bin_remove(struct arena_class *class, struct arena_page *page)
{
    if (page->next != NULL)
        page->next->prev = page->prev;
    if (page->prev != NULL)
        page->prev->next = page->next;
    else
        class->bins[page->bin] = page->next;
    if (class->bins[page->bin] == NULL)
        class->bin_mask &= ~(1u << page->bin);
}

static void bin_insert(struct arena_class *class, struct arena_page *page, unsigned bin)
{
    page->bin = (uint8_t)bin;
    page->prev = NULL;
    page->next = class->bins[bin];
    if (page->next != NULL)
        page->next->prev = page;
    class->bins[bin] = page;
    class->bin_mask |= 1u << bin;
}

/* Moves a page to its bin after its count of used chunks has changed. */
static void bin_update(struct arena_class *class, struct arena_page *page)
{
    unsigned bin = bin_for(class, page);
    if (LIKELY(bin == page->bin))
        return;
    bin_remove(class, page);
    bin_insert(class, page, bin);
}

static struct arena_page *class_add_page(struct arena *arena, struct arena_class *class,
                                         unsigned kind, unsigned index, size_t keep_bytes)
{
    struct arena_page *page = page_take(arena, class->page_count >= POPULATED_FROM, keep_bytes);
    if (page == NULL)
        return NULL;
    page->used = 0;
    page->fresh = 0;
    page->free = LINK_END;
    page->class = (uint8_t)(kind * ARENA_CLASSES_MAX + index);
    bin_insert(class, page, 0);
    class->page_count++;
    class->free_count += class->page_chunks;
    return page;
}

static void class_remove_page(struct arena *arena, struct arena_class *class,
                              struct arena_page *page)
{
    CHECK(page->used == 0);
    class->page_count--;
    class->free_count -= class->page_chunks;
    page_give(arena, page);
}

/* Chunks */

static void *page_alloc(struct arena_class *class, struct arena_page *page)
{
    CHECK(page->used < class->page_chunks);
    size_t unit = page->free;
    char *chunk;
    if (unit != LINK_END) {
        chunk = page_bytes(page) + unit * UNIT_BYTES;
        memcpy(&page->free, chunk, sizeof(page->free));
    } else {
        chunk = page_bytes(page) + (size_t)page->fresh * UNIT_BYTES;
        page->fresh = (uint16_t)(page->fresh + class->chunk_bytes / UNIT_BYTES);
    }
    page->used++;
    class->free_count--;
    bin_update(class, page);
    return chunk;
}

void *arena_alloc(struct arena *arena, unsigned kind, size_t bytes, size_t keep_bytes)
{
    CHECK(kind < ARENA_KINDS);
    CHECK(bytes <= ARENA_CHUNK_BYTES_MAX);
    unsigned index = arena->class_of[(bytes + UNIT_BYTES - 1) / UNIT_BYTES];
    struct arena_class *class = &arena->classes[kind][index];
    unsigned mask = class->bin_mask & ((1u << FULL_BIN) - 1);
    struct arena_page *page;
    if (LIKELY(mask != 0))
        page = class->bins[31 - __builtin_clz(mask)];
    else
        page = class_add_page(arena, class, kind, index, keep_bytes);
    return page == NULL ? NULL : page_alloc(class, page);
}

void arena_free(struct arena *arena, void *chunk)
{
    struct arena_page *page = page_of(chunk);
    struct arena_class *class = class_of_page(arena, page);
    CHECK(page->used > 0);
    memcpy(chunk, &page->free, sizeof(page->free));
    page->free = (uint16_t)((uintptr_t)chunk % PAGE_BYTES / UNIT_BYTES);
    page->used--;
    class->free_count++;
    if (page->used == 0) {
        bin_remove(class, page);
        class_remove_page(arena, class, page);
    } else {
        bin_update(class, page);
    }
}

size_t arena_chunk_bytes(const struct arena *arena, const void *chunk)
{
    return class_of_page(arena, page_of(chunk))->chunk_bytes;
}

size_t arena_round(const struct arena *arena, size_t bytes)
{
    CHECK(bytes <= ARENA_CHUNK_BYTES_MAX);
    unsigned index = arena->class_of[(bytes + UNIT_BYTES - 1) / UNIT_BYTES];
    return arena->classes[0][index].chunk_bytes;
}

/* Compaction */

/* Whether the class's other pages have room for all chunks of any one of its pages. */
static bool can_compact(const struct arena_class *class, enum arena_need need)
{
    if (class->free_count < class->page_chunks)
        return false;
    if (need == ARENA_PRESSED)
        return true;
    uint64_t chunk_count = (uint64_t) class->page_count * class->page_chunks;
    return class->free_count >= 2 * class->page_chunks && class->free_count >= chunk_count / 4;
}

/* The class whose sparsest page is the sparsest of all. */
static struct arena_class *compact_choose(struct arena *arena, enum arena_need need)
{
    struct arena_class *best = NULL;
    unsigned best_bin = FULL_BIN;
    for (unsigned kind = 0; kind < ARENA_KINDS; kind++) {
        for (unsigned index = 0; index < arena->class_count; index++) {
            struct arena_class *class = &arena->classes[kind][index];
            if (!can_compact(class, need))
                continue;
            unsigned bin = (unsigned)__builtin_ctz(class->bin_mask);
            if (bin < best_bin) {
                best_bin = bin;
                best = class;
            }
        }
    }
    return best;
}

/* Sets the bit of each unit at which a freed chunk of the page begins. */
static void page_mark_free(const struct arena_page *page, uint64_t *is_free)
{
    for (uint16_t unit = page->free; unit != LINK_END;) {
        is_free[unit / 64] |= 1ull << unit % 64;
        memcpy(&unit, page_bytes(page) + (size_t)unit * UNIT_BYTES, sizeof(unit));
    }
}

bool arena_compact(struct arena *arena, enum arena_need need, uint32_t *move_count)
{
    *move_count = 0;
    struct arena_class *class = compact_choose(arena, need);
    if (class == NULL)
        return false;
    struct arena_page *page = class->bins[__builtin_ctz(class->bin_mask)];
    bin_remove(class, page); /* so that no chunk is moved into it */
    uint64_t is_free[PAGE_BYTES / UNIT_BYTES / 64] = {0};
    page_mark_free(page, is_free);
    unsigned kind = page->class / ARENA_CLASSES_MAX;
    unsigned step = class->chunk_bytes / UNIT_BYTES;
    for (unsigned unit = 0; unit < page->fresh; unit += step) {
        if (is_free[unit / 64] >> unit % 64 & 1)
            continue;
        unsigned mask = class->bin_mask & ((1u << FULL_BIN) - 1);
        CHECK(mask != 0);
        void *from = page_bytes(page) + (size_t)unit * UNIT_BYTES;
        void *to = page_alloc(class, class->bins[31 - __builtin_clz(mask)]);
        memcpy(to, from, class->chunk_bytes);
        arena->moved(arena->moved_arg, kind, from, to);
        page->used--;
        class->free_count++;
        ++*move_count;
    }
    class_remove_page(arena, class, page);
    return true;
}

/* The whole */

/* How many chunks a page of the next class holds: a size at most a sixteenth (or 8 bytes, or one
 * chunk a page) above the last, and the largest that puts as many into a page. */
static uint32_t next_page_chunks(uint32_t page_chunks)
{
    uint32_t bytes = PAGE_BYTES / page_chunks / UNIT_BYTES * UNIT_BYTES;
    uint32_t step = bytes / 16 > UNIT_BYTES ? bytes / 16 : UNIT_BYTES;
    uint32_t next = (PAGE_BYTES + bytes + step - 1) / (bytes + step);
    if (next >= page_chunks)
        next = page_chunks - 1;
    while (PAGE_BYTES / next / UNIT_BYTES * UNIT_BYTES == bytes)
        next--;
    return next;
}

static void classes_init(struct arena *arena)
{
    uint32_t page_chunks = PAGE_BYTES / ARENA_CHUNK_BYTES_MIN;
    size_t unit = 0;
    for (uint32_t index = 0; unit < ARRAY_COUNT(arena->class_of); index++) {
        CHECK(index < ARENA_CLASSES_MAX);
        uint32_t bytes = PAGE_BYTES / page_chunks / UNIT_BYTES * UNIT_BYTES;
        for (unsigned kind = 0; kind < ARENA_KINDS; kind++) {
            struct arena_class *class = &arena->classes[kind][index];
            class->chunk_bytes = bytes;
            class->page_chunks = page_chunks;
            class->bin_scale = (ARENA_BINS << 16) / page_chunks;
        }
        while (unit <= bytes / UNIT_BYTES)
            arena->class_of[unit++] = (uint8_t)index;
        arena->class_count = index + 1;
        page_chunks = next_page_chunks(page_chunks);
    }
}

void arena_init(struct arena *arena, struct ledger *ledger, arena_moved_fn *moved, void *moved_arg)
{
    memset(arena, 0, sizeof(*arena));
    arena->ledger = ledger;
    arena->pages.ledger = ledger;
    arena->moved = moved;
    arena->moved_arg = moved_arg;
    classes_init(arena);
}

void arena_close(struct arena *arena)
{
    for (unsigned kind = 0; kind < ARENA_KINDS; kind++)
        for (unsigned index = 0; index < arena->class_count; index++)
            ledger_give(arena->ledger, (size_t)arena->classes[kind][index].page_count * PAGE_BYTES);
    pages_close(&arena->pages);
    memset(arena, 0, sizeof(*arena));
}

static void page_check(const struct arena_class *class, const struct arena_page *page, unsigned bin)
{
    CHECK(page->bin == bin);
    CHECK(page->bin == bin_for(class, page));
    CHECK(page->used > 0);
    CHECK(page->fresh % (class->chunk_bytes / UNIT_BYTES) == 0);
    uint32_t freed_count = 0;
    uint64_t is_free[PAGE_BYTES / UNIT_BYTES / 64] = {0};
    page_mark_free(page, is_free);
    for (size_t word = 0; word < ARRAY_COUNT(is_free); word++)
        freed_count += (uint32_t)__builtin_popcountll(is_free[word]);
    CHECK(freed_count + page->used == page->fresh / (class->chunk_bytes / UNIT_BYTES));
}

static uint32_t class_check(const struct arena *arena, const struct arena_class *class)
{
    uint32_t page_count = 0;
    uint64_t free_count = 0;
    for (unsigned bin = 0; bin <= FULL_BIN; bin++) {
        CHECK((class->bin_mask >> bin & 1) == (class->bins[bin] != NULL));
        for (struct arena_page *page = class->bins[bin]; page != NULL; page = page->next) {
            CHECK(class_of_page(arena, page) == class);
            CHECK(page->next == NULL || page->next->prev == page);
            page_check(class, page, bin);
            page_count++;
            free_count += class->page_chunks - page->used;
        }
    }
    CHECK(page_count == class->page_count);
    CHECK(free_count == class->free_count);
    return page_count;
}

void arena_check(const struct arena *arena)
{
    uint32_t page_count = 0;
    for (unsigned kind = 0; kind < ARENA_KINDS; kind++)
        for (unsigned index = 0; index < arena->class_count; index++)
            page_count += class_check(arena, &arena->classes[kind][index]);
    uint32_t spare_count = 0;
    for (struct arena_page *page = arena->spares; page != NULL; page = page->next)
        spare_count++;
    CHECK(spare_count == arena->spare_count);
    CHECK(pages_check(&arena->pages) == page_count + spare_count);
}
