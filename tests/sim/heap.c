#include "tests/sim/heap.h"

#include "common/check.h"

#include <stdlib.h>

/* Four children a place: half the levels of two, and they share a cache line. */
#define CHILDREN 4u

static bool comes_before(const struct heap_link *a, const struct heap_link *b)
{
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void put(struct heap *heap, uint32_t at, struct heap_link *link)
{
    heap->links[at] = link;
    link->place = at + 1;
}

static void move_up(struct heap *heap, uint32_t at, struct heap_link *link)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / CHILDREN;
        if (!comes_before(link, heap->links[parent]))
            break;
        put(heap, at, heap->links[parent]);
        at = parent;
    }
    put(heap, at, link);
}

static void move_down(struct heap *heap, uint32_t at, struct heap_link *link)
{
    for (;;) {
        uint32_t first = at * CHILDREN + 1, best = first;
        if (first >= heap->count)
            break;
        for (uint32_t i = first + 1; i < first + CHILDREN && i < heap->count; i++)
            if (comes_before(heap->links[i], heap->links[best]))
                best = i;
        if (!comes_before(heap->links[best], link))
            break;
        put(heap, at, heap->links[best]);
        at = best;
    }
    put(heap, at, link);
}

void heap_push(struct heap *heap, struct heap_link *link, uint64_t key)
{
    CHECK(link->place == 0);
    if (heap->count == heap->capacity) {
        heap->capacity = heap->capacity ? heap->capacity * 2 : 64;
        heap->links = realloc(heap->links, heap->capacity * sizeof(struct heap_link *));
        CHECK(heap->links != NULL);
    }
    link->key = key;
    link->order = heap->pushed++;
    move_up(heap, heap->count++, link);
}

struct heap_link *heap_first(const struct heap *heap)
{
    return heap->count > 0 ? heap->links[0] : NULL;
}

void heap_remove(struct heap *heap, struct heap_link *link)
{
    if (link->place == 0)
        return;
    uint32_t at = link->place - 1;
    CHECK(at < heap->count);
    CHECK(heap->links[at] == link);
    link->place = 0;
    struct heap_link *last = heap->links[--heap->count];
    if (last == link)
        return;
    if (at > 0 && comes_before(last, heap->links[(at - 1) / CHILDREN]))
        move_up(heap, at, last);
    else
        move_down(heap, at, last);
}

void heap_close(struct heap *heap)
{
    free(heap->links);
    *heap = (struct heap){0};
}

void heap_check(const struct heap *heap)
{
    for (uint32_t i = 0; i < heap->count; i++) {
        CHECK(heap->links[i]->place == i + 1);
        if (i > 0)
            CHECK(!comes_before(heap->links[i], heap->links[(i - 1) / CHILDREN]));
    }
}
