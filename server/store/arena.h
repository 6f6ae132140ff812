/* An arena: memory for small chunks, in pages of 64 KiB that each hold chunks of one size.
 *
 * Exactly one pointer leads to each chunk, and its owner can find that pointer. So a chunk can be
 * moved, sparse pages can be emptied into others (arena_compact), and no memory stays stuck in a
 * size that is no longer asked for. Chunks of different kinds (what they hold) never share a page,
 * so that the owner knows what has been moved.
 *
 *  - Pages come from pages.h; what is known of a page lies in its region's head, so that chunk to
 *    page is a mask and a shift.
 *  - Pages become resident as they are touched; those of classes with many at once, when taken.
 *  - A page is booked in the ledger when taken and unbooked when given back. Pages given back lose
 *    their memory at once, save a few (ARENA_SPARE_PAGES) that are kept, unbooked, for the next.
 *  - A class has its pages in bins by how full they are. Chunks are taken from the fullest, so that
 *    sparse pages become empty by themselves.
 *
 * One thread; knows nothing of what the chunks hold. */
#ifndef DHT_SERVER_STORE_ARENA_H
#define DHT_SERVER_STORE_ARENA_H

#include "common/base.h"
#include "server/store/pages.h"

#define ARENA_CHUNK_BYTES_MIN 24u
#define ARENA_CHUNK_BYTES_MAX (PAGE_BYTES / 4)
#define ARENA_KINDS           2u
#define ARENA_CLASSES_MAX     120u
#define ARENA_BINS            8u /* of pages neither empty nor full; one more holds the full ones */
#define ARENA_SPARE_PAGES     16u /* 1 MiB: saves most of the page faults when classes trade pages */

struct arena_page;

/* The pages of one kind and chunk size. */
struct arena_class {
    uint32_t chunk_bytes;
    uint32_t page_chunks; /* chunks a page holds */
    uint32_t bin_scale;   /* bin of a page = its used chunks * this >> 16 */
    uint32_t page_count;
    uint64_t free_count; /* chunks not in use in all its pages */
    uint32_t bin_mask;   /* bit b: bins[b] is not empty */
    struct arena_page *bins[ARENA_BINS + 1];
};

/* Tells that the chunk at from is now at to; the bytes have been copied. Mends the one pointer. */
typedef void arena_moved_fn(void *arg, unsigned kind, void *from, void *to);

struct arena {
    struct ledger *ledger; /* borrowed */
    arena_moved_fn *moved;
    void *moved_arg;
    struct pages pages;
    struct arena_page *spares; /* given back, but still with memory */
    uint32_t spare_count;
    uint32_t class_count;
    struct arena_class classes[ARENA_KINDS][ARENA_CLASSES_MAX];
    uint8_t class_of[ARENA_CHUNK_BYTES_MAX / 8 + 1]; /* by size in units of 8 bytes, rounded up */
};

/* ledger is borrowed until arena_close. */
void arena_init(struct arena *arena, struct ledger *ledger, arena_moved_fn *moved, void *moved_arg);
/* Frees all chunks and pages; accepts a zeroed arena. */
void arena_close(struct arena *arena);

/* Takes a chunk of at least bytes (0 … ARENA_CHUNK_BYTES_MAX), aligned to 8. Moves nothing.
 * keep_bytes  a new page is taken only if this much of the budget is left over.
 * returns     NULL if a page would be needed and cannot be had. */
void *arena_alloc(struct arena *arena, unsigned kind, size_t bytes, size_t keep_bytes);
void arena_free(struct arena *arena, void *chunk);
/* Usable bytes of a chunk, and of the chunk that arena_alloc would give for bytes. */
size_t arena_chunk_bytes(const struct arena *arena, const void *chunk);
size_t arena_round(const struct arena *arena, size_t bytes);

/* When arena_compact finds a class worth it. */
enum arena_need {
    ARENA_TIDY,   /* a quarter of its chunks lie idle: cheap, pays for itself */
    ARENA_PRESSED /* any page at all can be won */
};

/* Empties the sparsest page it can and gives it back. moved() is called for each chunk moved.
 * move_count  out: chunks moved.
 * returns     whether a page was given back. */
bool arena_compact(struct arena *arena, enum arena_need need, uint32_t *move_count);

/* CHECKs every invariant; for tests. */
void arena_check(const struct arena *arena);

#endif
