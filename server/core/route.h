/* Route: which peer leads each slot, made from the current view and its ring.
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
    uint64_t changes;            /* views so far */
    struct view view;            /* the full members, up or down, with the view's epoch; owned */
    uint16_t *peers;             /* of the members, in the view's order; owned */
};

/* No ring: nobody leads anything. */
void route_init(struct route *route);
/* Releases the members. */
void route_close(struct route *route, struct links *links);

/* Takes over a view and its ring (both copied from). A member of this node's name but another
 * generation leads nothing here, nor does this node if it may not lead. */
void route_place(struct route *route, struct links *links, const struct view *view,
                 const struct ring *ring, bool may_lead);

/* The leader of a key. */
static inline uint32_t route_leader(const struct route *route, uint64_t position)
{
    return route->leader[position_slot(position)];
}

#endif
