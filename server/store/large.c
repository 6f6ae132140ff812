#include "server/store/large.h"

#include "common/check.h"

#include <sys/mman.h>

#define FRAME_BYTES 4096u /* what memory becomes resident by */

/* Stands before the bytes that are given out. */
struct large_block {
    size_t booked_bytes; /* with this head, whole frames */
    union {
        uint64_t lent_turn;       /* the last one it was lent in; 0: never */
        struct large_block *next; /* of those kept */
    };
};

_Static_assert(sizeof(struct large_block) == 16, "blocks are aligned to 16");

static struct large_block *head_of(void *block)
{
    return (struct large_block *)block - 1;
}

static uint32_t run_pages(size_t bytes)
{
    return (uint32_t)((bytes + PAGE_BYTES - 1) / PAGE_BYTES);
}

static bool is_run(size_t bytes)
{
    return bytes <= (size_t)PAGES_RUN_MAX * PAGE_BYTES;
}

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

void large_init(struct large *large, struct ledger *ledger)
{
    *large = (struct large){.ledger = ledger, .pages = {.ledger = ledger}, .turn = 1};
}

void large_close(struct large *large)
{
    large_end_turn(large);
    pages_close(&large->pages);
}

void *large_alloc(struct large *large, size_t bytes, size_t keep_bytes)
{
    bytes = (bytes + sizeof(struct large_block) + FRAME_BYTES - 1) / FRAME_BYTES * FRAME_BYTES;
    if (!budget_fits(large->ledger->budget, bytes + keep_bytes + REGION_HEAD_BYTES))
        return NULL;
    struct large_block *head =
        is_run(bytes) ? pages_take(&large->pages, run_pages(bytes)) : map(bytes);
    if (head == NULL)
        return NULL;
    *head = (struct large_block){.booked_bytes = bytes};
    ledger_take(large->ledger, bytes);
    return head + 1;
}

static void free_now(struct large *large, struct large_block *head)
{
    size_t bytes = head->booked_bytes;
    ledger_give(large->ledger, bytes);
    if (is_run(bytes))
        pages_give(&large->pages, head, run_pages(bytes));
    else
        munmap(head, bytes);
}

void large_free(struct large *large, void *block)
{
    struct large_block *head = head_of(block);
    if (head->lent_turn != large->turn) {
        free_now(large, head);
        return;
    }
    head->next = large->kept;
    large->kept = head;
}

void large_lend(const struct large *large, void *block)
{
    head_of(block)->lent_turn = large->turn;
}

void large_end_turn(struct large *large)
{
    while (large->kept != NULL) {
        struct large_block *head = large->kept;
        large->kept = head->next;
        free_now(large, head);
    }
    large->turn++;
}

void large_check(const struct large *large)
{
    CHECK(large->turn > 0);
    pages_check(&large->pages);
}
