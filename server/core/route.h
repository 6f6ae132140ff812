/* Route: which peer leads each slot, made from a view of the ring's members.
 *
 * Looking a key up is one access to leader. The members' peers are held while they stand in it. */
#ifndef DHT_SERVER_CORE_ROUTE_H
#define DHT_SERVER_CORE_ROUTE_H

#include "common/ring.h"
#include "server/core/links.h"

#define ROUTE_NOBODY PEER_NONE /* leads where there is no ring yet */

struct route {
    uint16_t leader[SLOT_COUNT]; /* peer index; PEER_SELF: this node; or ROUTE_NOBODY */
    uint64_t hash;               /* ring_hash of the members; 0 without any */
    uint64_t changes;            /* rings so far */
    struct view view;            /* the members; owned */
    uint16_t *peers;             /* of the members, in the view's order; owned */
};

/* No ring: nobody leads anything. */
void route_init(struct route *route);
/* Releases the members. */
void route_close(struct route *route, struct links *links);

/* Places the slots anew.
 * view  taken: emptied; may hold nobody, then nobody leads. */
void route_place(struct route *route, struct links *links, struct view *view);

/* The leader of a key. */
static inline uint32_t route_leader(const struct route *route, uint64_t position)
{
    return route->leader[position_slot(position)];
}

#endif
