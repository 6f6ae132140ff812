/* The ring as a client knows it: learned from a node's list of members, placed by the same function
 * as on the nodes. Knows no connections. */
#ifndef DHT_CLIENT_DHT_RING_H
#define DHT_CLIENT_DHT_RING_H

#include "common/err.h"
#include "common/ring.h"

/* A zeroed one is valid: no ring is known. */
struct known_ring {
    struct ring *place; /* owned; NULL: no ring is known */
    struct view view;   /* owned: the members on the ring */
    uint64_t hash;      /* ring_hash of view */
    uint64_t changes;   /* as the node that told it counts them */
};

/* Reads the JSON of get_membership_list.
 * ring    out on ERR_OK: gives (known_ring_close).
 * errors  ERR_SYNTAX: no such list, or of members that make no ring, or the node's hash is not
 *         theirs. ERR_NOT_FOUND: nobody is on the ring (yet). */
MUST_USE enum err known_ring_parse(struct span json, struct known_ring *ring);
/* The member that leads a key; RING_NOBODY if none does, or no ring is known. */
uint16_t known_ring_leader(const struct known_ring *ring, struct span key);
void known_ring_close(struct known_ring *ring);

#endif
