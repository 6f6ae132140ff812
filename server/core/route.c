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

/* The full members of a view. at: out, by the view's index, the index there. */
static void take_full(const struct view *view, struct view *full, uint16_t *at)
{
    *full = *view;
    full->member_count = 0;
    full->members = malloc(((size_t)view->member_count + 1) * sizeof(*full->members));
    CHECK(full->members != NULL);
    for (uint32_t i = 0; i < view->member_count; i++) {
        if (!member_is_full(&view->members[i]))
            continue;
        at[i] = (uint16_t)full->member_count;
        full->members[full->member_count++] = view->members[i];
    }
}

/* Who answers for a member: its peer, or nobody. */
static uint16_t leader_of(const struct links *links, const struct member *member, uint16_t peer,
                          bool may_lead)
{
    bool is_own = peer == PEER_SELF;
    return is_own && (!may_lead || member->generation != links->identity.generation) ? ROUTE_NOBODY
                                                                                     : peer;
}

void route_place(struct route *route, struct links *links, const struct view *view,
                 const struct ring *ring, bool may_lead)
{
    uint16_t at[VIEW_MEMBERS_MAX];
    struct view full;
    take_full(view, &full, at);
    uint16_t *peers = hold(links, &full); /* before the old ones are released: most are the same */
    release(links, &route->view, route->peers);
    mark_routed(links, &full, peers);
    route->view = full;
    route->peers = peers;
    route->changes++;
    route->hash = ring_hash(&route->view);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        route->leader[slot] = ROUTE_NOBODY;
        if (ring->primary[slot] == RING_NOBODY)
            continue;
        uint16_t member = at[ring->primary[slot]];
        route->leader[slot] = leader_of(links, &full.members[member], peers[member], may_lead);
    }
}
