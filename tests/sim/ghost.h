/* The ghost: what nobody in the cluster knows, all nodes seen at once. It watches a few slots after
 * every turn of every node, and asserts proto.md's invariants over all nodes (numbers as
 * there):
 *  1. One view per number; a member's never falls; it sends nothing of a lower epoch.
 *  2. One run of one member leads a slot in an epoch. A version names one write for ever.
 *  3. ver is the end of the lineage; lineages that share an epoch agree below it, save what is
 *     forgotten.
 *  4. Of every write that a lineage covers the copy has that or a newer one of the key; a copy of
 *     act k has all that was told in epochs below k; clean copies of equal (act, ver) hold the
 * same.
 *  6. A slot that becomes active has all that was told in lower epochs; who leads it begins from a
 *     copy of the last epoch in which it was active, or of a later one.
 *  7. What a floor has dropped, every copy of the group of the highest active epoch that was synced
 *     in it has, and every session past START does not need.
 * (5 is CHECKed by the store, 8 is the history's, 9 is looked at when all is quiet: quiet.h.)
 *
 * It keeps every write ever seen in a store, by version, and what callers were told. */
#ifndef DHT_TESTS_SIM_GHOST_H
#define DHT_TESTS_SIM_GHOST_H

#include "tests/sim/world.h"

#define GHOST_SLOTS_MAX 8u

struct ghost;

struct ghost_counts {
    uint64_t turns;       /* looked at */
    uint64_t views;       /* numbers that some node has had */
    uint64_t overlaps;    /* of them: while a node that ran had not come to the one before */
    uint64_t writes;      /* versions seen */
    uint64_t runs;        /* of slots watched that came to lead */
    uint64_t activations; /* and became active */
    uint64_t equals;      /* pairs of clean copies that were compared */
    uint64_t floors;      /* times a floor rose */
    uint64_t cuts;        /* times a lineage became shorter */
    uint64_t syncs;       /* times a copy came to a higher act */
    uint64_t sessions;    /* past START, whose floors were looked at */
    uint64_t messages;    /* with an epoch, that were sent */
    uint64_t losses;      /* slots gone on with without their quorum */
    /* Sessions of all slots that begin: */
    uint64_t full;     /* the receiver has emptied its copy */
    uint64_t delta;    /* it has kept what it has in common with the source */
    uint64_t advances; /* copies told to be current, many at once */
    uint64_t pulls;    /* the copy that a primary had chosen is fetched */
};

/* Begins to watch slots, each once. gives: ghost_close. */
struct ghost *ghost_open(struct world *world, const uint32_t *slots, uint32_t count);
void ghost_close(struct ghost *ghost);
/* What was active in epochs up to this was not seen: the nodes are moved there, or were before. */
void ghost_skip(struct ghost *ghost, uint32_t epoch);
/* A caller was told that a key of a slot is, or was made, of this version. */
void ghost_told(struct ghost *ghost, uint32_t slot, struct span key, uint64_t version);
/* Whom to tell that a primary has gone on with a slot without its quorum (recover, accept-loss):
 * what callers were told before counts no more. */
void ghost_listen(struct ghost *ghost, void (*lost)(void *arg, uint32_t slot), void *arg);
const struct ghost_counts *ghost_counts(const struct ghost *ghost);

#endif
