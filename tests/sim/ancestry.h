/* What the writes of each epoch of a slot were built upon. One run leads a slot in an epoch, so
 * that this is one version an epoch: the ver of the copy that the run began from. With that, a
 * lineage whose entries below the floor are forgotten still says exactly what it covers.
 *
 * A zeroed ancestry is valid and knows nothing.
 *
 * source  proto.md "Terms" and "Becoming primary", 3. */
#ifndef DHT_TESTS_SIM_ANCESTRY_H
#define DHT_TESTS_SIM_ANCESTRY_H

#include "common/base.h"

/* An epoch, and what it was built upon. */
struct descent {
    uint32_t epoch;
    uint64_t from; /* a version of a lower epoch; 0: nothing */
};

struct ancestry {
    struct descent *descents; /* ascending; owned */
    size_t count, capacity;
};

/* Notes that epoch is built upon from. Returns whether nothing else was known of it. */
bool ancestry_note(struct ancestry *ancestry, uint32_t epoch, uint64_t from);
/* The same of what a lineage tells: each entry but the first is built upon the one before it. */
bool ancestry_note_lineage(struct ancestry *ancestry, const uint64_t *lineage, uint32_t count);
/* Whether a lineage covers a version, or had it in what is forgotten. What ends below floor may be
 * forgotten; where nobody saw an epoch begin, all up to floor counts as covered. */
bool ancestry_covers(const struct ancestry *ancestry, const uint64_t *lineage, uint32_t count,
                     uint64_t floor, uint64_t version);
/* Whether all that a lineage is known to have forgotten ends below floor. */
bool ancestry_is_kept(const struct ancestry *ancestry, const uint64_t *lineage, uint32_t count,
                      uint64_t floor);
void ancestry_close(struct ancestry *ancestry);

#endif
