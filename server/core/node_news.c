/* What links and gossip tell, and who is to know; leaving. */
#include "server/core/node_parts.h"

static void tell_data(struct node *node, const struct link_news *news)
{
    if (news->change == LINK_ENDED)
        sync_lost(node->sync, news->peer, news->is_dialled, node->now);
    if (news->change == LINK_ENDED && news->why == DISCONNECT_STRANGER)
        gossip_stranger(&node->gossip, news->peer, node->now);
    primary_link(&node->primary, news, node->now);
    if (news->is_dialled && news->change == LINK_CAME_UP)
        coord_came_up(&node->coord, news->peer, node->now);
    else if (news->is_dialled)
        coord_lost(&node->coord, news->peer, node->now);
}

static void tell_control(struct node *node, const struct link_news *news)
{
    gossip_link(&node->gossip, news, node->now);
    views_link(node->views, news, node->now);
    /* Who answers again is to be asked at once, not when its rest is over. */
    if (news->lane == LANE_CONTROL && news->change == LINK_CAME_UP)
        links_wake(&node->links, news->peer, LANE_DATA);
}

/* Whether this process may end: it is out of the view, or nothing depends on it any more; and then
 * it has said so. */
static bool has_gone(struct node *node)
{
    char why[VIEWS_WHY_BYTES_MAX];
    if (!node->is_leaving)
        return false;
    switch (views_going(node->views, node->now, why)) {
    case VIEWS_UNDER_WAY:
        return false;
    case VIEWS_REFUSED:
        node->is_leaving = false;
        return false;
    case VIEWS_DONE:
        break;
    }
    gossip_leave(&node->gossip, node->now);
    return gossip_has_left(&node->gossip, node->now);
}

void node_look_at_gossip(struct node *node)
{
    while (views_take_adopted(node->views))
        node_take_ring(node);
    if (node->has_ended)
        return;
    bool is_duplicate = gossip_is_duplicate(&node->gossip);
    bool is_gone = !is_duplicate && has_gone(node);
    if (!is_duplicate && !is_gone && node->now.mono_ms < node->end_by_ms)
        return;
    node->has_ended = true;
    operator_left(&node->operators);
    node->env->end(node->env->shell, is_duplicate ? NODE_END_DUPLICATE
                                     : is_gone    ? NODE_END_LEFT
                                                  : NODE_END_LATE);
}

void node_tell_news(struct node *node)
{
    struct link_news news;
    while (links_take_news(&node->links, &news))
        if (news.lane == LANE_DATA)
            tell_data(node, &news);
        else
            tell_control(node, &news);
    node_look_at_gossip(node);
}

void node_leave(struct node *node)
{
    node->is_leaving = true;
    views_go(node->views, node->now);
    node_tell_news(node);
}

void node_shut_down(struct node *node)
{
    node->is_shutdown_due = false;
    node->is_leaving = true;
    node->end_by_ms = node->now.mono_ms + SHUTDOWN_MS;
    views_leave(node->views, node->now);
    node_tell_news(node);
}
