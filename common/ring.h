/* The ring: which member leads each slot, and which back it, as a pure function of a view.
 *
 * The placement is part of the protocol: all nodes and clients of a cluster must compute the same.
 *
 * Members here are the full ones of the view; others are not placed. An index is that of the view,
 * in which a name may stand more than once, but full only once.
 *
 * Positions. A slot is an arc of the ring. In each arc a member stands weight times, once by each
 * of its orders; an order of the slots gives each a rank, 0 … 16,383, and at rank r the member
 * stands r 16,384ths into the slot's arc. Order j (from 0) comes of the SHA-1 of "<name>#<j>", j in
 * decimal ("10.0.0.1:11211#0"). Its first 16 bytes are eight numbers, high byte first: f0, a0, f1,
 * a1 … a3.
 * The slot of rank r is what becomes of x = r in four rounds, i = 0 … 3:
 *     x = (x × (fi | 1) + ai) mod 16,384, then x = x xor floor(x / 128).
 * Members at one position stand in name order. A member that is down keeps its positions and its
 * places in groups.
 *
 * Groups. A slot's walk goes clockwise from the beginning of its arc, and meets everybody in it.
 * The group is the first three members met that are of different hosts (a host is a name up to its
 * last colon), in the order met; where hosts are fewer, the first other members met follow them.
 *
 * Primaries. Slots are taken in order 0 … 16,383. A member's share is
 * max(floor(1.05 × average), ceil(average)), the average being the part of all slots that its
 * weight is of the weight of all members that are up. The first member of the group that is up and
 * leads less than its share becomes the slot's primary; those passed over stay in the group as
 * backups.
 * Where every one that is up leads its share, slots already placed are handed over, each to another
 * member of its own group, along the shortest chain that ends at a member with room (searched level
 * by level: the slots led by the members of the last level, latest slot first, each group in its
 * order); then the chain's beginning leads the slot. Where no chain exists, the share of every
 * member the search reached grows by a 64th (rounded down) and one, and the slot is tried again. So
 * a slot without a primary is one whose whole group is down.
 *
 * A join. Of the groups only the newcomer's places change hands, so a join moves as many copies as
 * the newcomer's positions have caught. As each member stands equally often at every depth of the
 * arcs, that is nearly its part of all: of 19,400 joins among 3 to 100 members (200 sets of names)
 * 1.00 × the ideal share in the mean, deviation 0.018 (0.023 above 80 members), at most 1.08.
 * Primaries move between old members, too, for balance: 1.05 × in the mean, at most 1.31. */
#ifndef DHT_COMMON_RING_H
#define DHT_COMMON_RING_H

#include "common/digest.h"
#include "common/view.h"

#define RING_COPIES_MAX 3u
#define RING_NOBODY     UINT16_MAX

struct ring {
    uint32_t member_count; /* of the view, full or not */
    uint32_t group_size;   /* copies of a slot: the lower of RING_COPIES_MAX and the full members */
    uint16_t group[SLOT_COUNT][RING_COPIES_MAX]; /* member indices; RING_NOBODY past group_size */
    uint16_t primary[SLOT_COUNT]; /* member index; RING_NOBODY if no member of the group is up */
};

/* Places every slot. ring is filled whole. At least one member is full (CHECKed).
 * cost  3 members of weight 1: 0.3 ms; 40: 0.9 ms; 400: 1.1 ms; 4,000: 1.6 ms. */
void ring_place(const struct view *view, struct ring *ring);

/* Places every slot of a view that has the groups of another, which has been placed: the full
 * members have the same names and weights, wherever they stand and whoever is down. The result is
 * that of ring_place.
 * cost  3 members of weight 1: 0.1 ms; 4,000: 0.3 ms.
 * Returns false, and ring is as it was, if the views have not the same groups. */
MUST_USE bool ring_place_like(const struct view *view, const struct view *other,
                              const struct ring *placed, struct ring *ring);

/* Whether a member stands in a slot's group. */
static inline bool ring_has(const struct ring *ring, uint32_t slot, uint32_t member)
{
    for (uint32_t i = 0; i < ring->group_size; i++)
        if (ring->group[slot][i] == member)
            return true;
    return false;
}

/* Names a ring: the first 64 bits, big-endian, of the SHA-1 over "<name> <weight>\n" of each full
 * member in name order, "<name> <weight> down\n" of one that is not up. Whoever has the same
 * members with the same weights, up and down, has the same, and places every slot alike. */
uint64_t ring_hash(const struct view *view);

#endif
