#include "tests/sim/operator.h"

#include "server/core/gossip.h"
#include "server/core/members.h"
#include "server/core/views.h"

/* Whether one of the views that the node keeps has the data of another host for a member. */
static bool has_member(struct views *views, const struct host *other)
{
    const struct view *current = views_current(views);
    for (uint32_t epoch = current->base; epoch <= current->epoch; epoch++) {
        const struct view *view = views_at(views, epoch);
        if (view && view_find(view, span_of_string(other->name), other->generation) != VIEW_NOBODY)
            return true;
    }
    return false;
}

static bool holds_alive(const struct host *host, const struct host *other)
{
    const struct account *account =
        members_find(&node_gossip(host->node)->members, span_of_string(other->name));
    return account && account->state == MEMBER_ALIVE && account->generation == other->generation;
}

/* Whether nobody would be given up at this node whose data are there. */
static bool may_ask(const struct host *host)
{
    struct views *views = node_views(host->node);
    if (views_epoch(views) == 0)
        return false;
    for (uint32_t i = 0; i < host->world->host_count; i++) {
        const struct host *other = &host->world->hosts[i];
        if (other->store && has_member(views, other) && !holds_alive(host, other))
            return false;
    }
    return true;
}

bool operator_accept_loss(struct world *world)
{
    bool has_asked = false;
    for (uint32_t i = 0; i < world->host_count; i++) {
        struct host *host = &world->hosts[i];
        uint64_t number;
        if (host->state != HOST_UP || !may_ask(host))
            continue;
        views_accept_loss(node_views(host->node), SPAN_LITERAL(""), &number, host_now(host));
        host_wake(host);
        has_asked = true;
    }
    return has_asked;
}
