/* The ring: which member leads each slot, and which back it, as a pure function of a view.
 *
 * A member stands at 128 × weight positions: SHA-1 of its name and an index. Slots are placed in
 * order 0 … 16,383; a slot's walk starts at its lowest position and goes clockwise. design.md "Ring
 * and slots" is the specification: group of the first three distinct members, preferring distinct
 * hosts; bounded loads for the primary. Computed once a view; a look-up is one array access. */
#ifndef DHT_COMMON_RING_H
#define DHT_COMMON_RING_H

#include "common/digest.h"
#include "common/view.h"

#define RING_COPIES_MAX 3u
#define RING_POSITIONS_PER_WEIGHT 128u
#define RING_NOBODY UINT16_MAX

struct ring {
    uint32_t member_count;
    uint32_t group_size; /* copies of a slot: the lower of RING_COPIES_MAX and the members */
    uint16_t group[SLOT_COUNT][RING_COPIES_MAX]; /* member indices in walk order; RING_NOBODY past group_size */
    uint16_t primary[SLOT_COUNT]; /* member index; RING_NOBODY if no member of the group is up */
};

/* Places every slot. ring is filled whole; a pure function of view. */
void ring_place(const struct view *view, struct ring *ring);

#endif
