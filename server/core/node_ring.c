/* A new ring: slots placed anew, those lost dropped, what waited sent on. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/node_parts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

/* Drops the items of slots that this node led and leads no more: whoever leads them now begins
 * with nothing, and what would stay here would be old if it ever came back. */
static uint32_t drop_lost(struct node *node, const uint16_t *led_before)
{
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        if (led_before[slot] != PEER_SELF || node->route.leader[slot] == PEER_SELF)
            continue;
        if (!MUTANT(keeps_slots))
            store_drop(node->store, slot);
        count++;
    }
    return count;
}

/* Until copies are kept by several nodes: what this node leads is active, and what it is to hold
 * is there, as far as it ever will be. */
static void report_all(struct node *node)
{
    const struct view *view = views_current(node->views);
    const struct ring *next = views_next_ring(node->views);
    uint32_t self = views_self(node->views);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        if (node->route.leader[slot] == PEER_SELF)
            views_report_active(node->views, slot, true);
        for (uint32_t i = 0; next && self != VIEW_NOBODY && i < next->group_size; i++)
            if (next->group[slot][i] == self)
                views_report_synced(node->views, slot, true);
    }
    CHECK(view != NULL);
}

void node_take_ring(struct node *node)
{
    node->is_ring_due = false;
    node_flush(node);
    const struct view *view = views_current(node->views);
    uint16_t *led_before = malloc(sizeof(node->route.leader));
    CHECK(led_before != NULL);
    memcpy(led_before, node->route.leader, sizeof(node->route.leader));
    route_place(&node->route, &node->links, view, views_ring(node->views, view->epoch),
                views_may_lead(node->views));
    uint32_t lost = drop_lost(node, led_before);
    free(led_before);
    report_all(node);
    log_line(node->log, node->now, LOG_INFO, "ring-changed",
             "members=%" PRIu32 " ring=%016" PRIx64 " changes=%" PRIu64 " slots_lost=%" PRIu32,
             node->route.view.member_count, node->route.hash, node->route.changes, lost);
    coord_rerouted(&node->coord, node->now);
    node_run_own(node);
    node_tell_news(node);
}
