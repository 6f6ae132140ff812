/* A view adopted: slots placed anew, what waited sent on. */
#include "server/core/node_parts.h"

#include <inttypes.h>

void node_run_own(struct node *node)
{
    struct forward *forward;
    while ((forward = coord_take_own(&node->coord))) {
        struct session *session = node->env->session(node->env->shell, forward->asker.conn);
        struct request *request = node_request(node);
        struct span text = span_of(forward->text, forward->text_len);
        if (session && node_parse(node, text, request)) {
            struct op *op = &node->batch[node->batch_count];
            op->session = session;
            op->asker = forward->asker;
            op->digest = forward->digest;
            op->deadline_ms = forward->deadline_ms;
            if (forward->slot == WAIT_RING) {
                node_run_flush(node, &op->asker, request, forward);
            } else {
                node_place(node, op);
                node->batch_count++;
                node_flush(node);
            }
        }
        coord_free(&node->coord, forward);
    }
}

void node_take_ring(struct node *node)
{
    const struct view *view = views_current(node->views);
    route_place(&node->route, &node->links, view, views_ring(node->views, view->epoch),
                views_may_lead(node->views));
    log_line(node->log, node->now, LOG_INFO, "ring-changed",
             "members=%" PRIu32 " ring=%016" PRIx64 " changes=%" PRIu64 " epoch=%" PRIu32,
             node->route.view.member_count, node->route.hash, node->route.changes, view->epoch);
    primary_adopted(&node->primary, node->now);
    serve_adopted(&node->serve);
    node_tell_sync(node);
    while (coord_rerouted(&node->coord, node->now))
        node_run_own(node);
}
