/* The ring as a client knows it: learned from a node's list of members, placed by the same function
 * as on the nodes. Knows no connections. */
#ifndef DHT_CLIENT_DHT_RING_H
#define DHT_CLIENT_DHT_RING_H

#include "common/member_list.h"
#include "common/ring.h"

/* A zeroed one is valid: no ring is known. */
struct known_ring {
    struct ring *place; /* owned; NULL: no ring is known */
    struct view view;   /* owned: the members on the ring */
    uint64_t hash;      /* ring_hash of view */
    uint64_t changes;   /* as the node that told it counts them */
};

/* Takes the ring out of a node's list of members.
 * ring    out on ERR_OK: gives (known_ring_close).
 * errors  ERR_SYNTAX: the members make no ring, or the node's hash is not theirs.
 *         ERR_NOT_FOUND: nobody is on the ring (yet). */
MUST_USE enum err known_ring_take(const struct member_list *list, struct known_ring *ring);
/* The same from the JSON of get_membership_list.
 * errors  also ERR_SYNTAX, ERR_TOO_LARGE of member_list_parse. */
MUST_USE enum err known_ring_parse(struct span json, struct known_ring *ring);
uint32_t known_ring_slot(struct span key);
/* The member that leads a key; RING_NOBODY if none does, or no ring is known. */
uint16_t known_ring_leader(const struct known_ring *ring, struct span key);
void known_ring_close(struct known_ring *ring);

#endif
