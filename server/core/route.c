#include "server/core/route.h"

#include "common/check.h"

#include <stdlib.h>

static void lead_nothing(struct route *route)
{
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        route->leader[slot] = ROUTE_NOBODY;
}

void route_init(struct route *route)
{
    *route = (struct route){0};
    lead_nothing(route);
}

/* Lets go of a view's members. */
static void release(struct links *links, struct view *view, uint16_t *peers)
{
    for (uint32_t i = 0; i < view->member_count; i++) {
        if (peers[i] == PEER_NONE)
            continue;
        links->peers[peers[i]]->is_routed = false;
        links_release(links, peers[i]);
    }
    free(peers);
    view_close(view);
}

void route_close(struct route *route, struct links *links)
{
    release(links, &route->view, route->peers);
    *route = (struct route){0};
}

/* The peers of a view's members, held. A member beyond the bound of peers is nobody. */
static uint16_t *hold(struct links *links, const struct view *view)
{
    uint16_t *peers = malloc(view->member_count * sizeof(*peers) + 1);
    CHECK(peers != NULL);
    for (uint32_t i = 0; i < view->member_count; i++) {
        peers[i] = (uint16_t)links_peer(links, view->members[i].name);
        if (peers[i] != PEER_NONE)
            links_hold(links, peers[i]);
    }
    return peers;
}

static void mark_routed(struct links *links, const struct view *view, const uint16_t *peers)
{
    for (uint32_t i = 0; i < view->member_count; i++)
        if (peers[i] != PEER_NONE)
            links->peers[peers[i]]->is_routed = true;
}

void route_place(struct route *route, struct links *links, struct view *view)
{
    uint16_t *peers = hold(links, view); /* before the old ones are released: most are the same */
    release(links, &route->view, route->peers);
    mark_routed(links, view, peers);
    route->view = *view;
    route->peers = peers;
    *view = (struct view){0};
    route->changes++;
    if (route->view.member_count == 0) {
        route->hash = 0;
        lead_nothing(route);
        return;
    }
    route->hash = ring_hash(&route->view);
    struct ring *ring = malloc(sizeof(*ring));
    CHECK(ring != NULL);
    ring_place(&route->view, ring);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        route->leader[slot] =
            ring->primary[slot] == RING_NOBODY ? ROUTE_NOBODY : peers[ring->primary[slot]];
    free(ring);
}
