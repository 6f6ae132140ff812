/* An intrusive heap: whoever waits holds its link, the heap holds pointers to links.
 *
 * Order is (key, order of insertion), so that what is due at the same moment comes in the order it
 * was asked for, and two runs of a seed agree. A zeroed heap is valid and empty; a zeroed link is
 * in none. */
#ifndef DHT_TESTS_SIM_HEAP_H
#define DHT_TESTS_SIM_HEAP_H

#include "common/base.h"

struct heap_link {
    uint64_t key;
    uint64_t order; /* given by heap_push */
    uint32_t place; /* from 1; 0: in no heap */
};

struct heap {
    struct heap_link **links; /* [place - 1]; owned array, borrowed links */
    uint32_t count;
    uint32_t capacity;
    uint64_t pushed; /* insertions so far */
};

/* Puts link in with this key; it must be in no heap. */
void heap_push(struct heap *heap, struct heap_link *link, uint64_t key);
/* The link of the lowest key, or NULL. */
struct heap_link *heap_first(const struct heap *heap);
/* Takes link out; does nothing if it is in none. */
void heap_remove(struct heap *heap, struct heap_link *link);
void heap_close(struct heap *heap);
/* CHECKs the order and the places; for tests. */
void heap_check(const struct heap *heap);

#endif
