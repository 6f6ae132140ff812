/* The commands that a node answers itself. */
#include "common/check.h"
#include "common/version.h"
#include "server/core/admin.h"
#include "server/core/command.h"
#include "server/core/node_parts.h"

#include <stdio.h>
#include <string.h>

static struct admin_ring ring_now(const struct node *node)
{
    const struct route *route = &node->route;
    return (struct admin_ring){
        .members = &route->view, .hash = route->hash, .changes = route->changes};
}

static void run_ring(struct node *node, const struct op *op, struct reply *out)
{
    struct admin_ring ring = ring_now(node);
    op->session->follows_ring |= op->request.has_ring;
    op->session->ring_told = ring.hash;
    admin_ring(out, &ring);
}

/* What the view says of those whom gossip knows. */
static void note_roles(const struct view *view, struct member_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct member_list_entry *entry = &list->entries[i];
        uint32_t index = view_find(view, span_of_string(entry->name), entry->generation);
        entry->is_on_ring = index != VIEW_NOBODY && member_is_full(&view->members[index]);
        if (index == VIEW_NOBODY)
            continue;
        const struct member *member = &view->members[index];
        snprintf(entry->role, sizeof(entry->role), "%s", member_role_word(member->role));
        snprintf(entry->standing, sizeof(entry->standing), "%s",
                 member_standing_word(member->standing));
    }
}

/* The ring of a view, for clients: its full members. */
static void note_ring(const struct view *view, struct view *ring)
{
    view_copy(view, ring);
    for (uint32_t i = ring->member_count; i-- > 0;)
        if (!member_is_full(&ring->members[i]))
            view_take_out(ring, i);
}

static void run_membership(struct node *node, struct reply *out)
{
    struct member_list list;
    struct buf json = {0};
    gossip_list(&node->gossip, &list, node->now);
    list.ring_hash = node->route.hash;
    list.ring_changes = node->route.changes;
    note_roles(&node->route.view, &list);
    note_ring(&node->route.view, &list.ring);
    member_list_format(&list, &json);
    admin_membership(out, list.version, buf_span(&json));
    member_list_close(&list);
    buf_close(&json);
}

/* As memcached's: no answer, the connection closes. */
static void run_shutdown(struct node *node, const struct op *op, struct reply *out)
{
    struct span refusal = admin_shutdown_refusal(node->options.can_shutdown, op->request.words);
    reply_append(out, refusal);
    if (refusal.len > 0)
        return;
    node->is_shutdown_due = true;
    node->env->close(node->env->shell, op->asker.conn, true);
}

/* Where the client takes answers of other nodes: at its own address, never another's. */
static void run_return_port(struct node *node, const struct op *op, struct reply *out)
{
    char client[CLIENT_TEXT_BYTES_MAX], where[DIRECT_WHERE_BYTES_MAX];
    node->env->client_text(node->env->shell, op->asker.conn, client);
    struct span refusal = admin_return_refusal(&node->route.view, client, op->request.number,
                                               node->options.direct_answers);
    reply_append(out, refusal);
    if (refusal.len > 0)
        return;
    direct_make_where(node->env, (uint16_t)op->request.number, where);
    session_set_return(op->session, where);
    reply_printf(out, "RETURN_PORT %s\r\n", strchr(where, ',') + 1);
}

/* Commands about the cluster; what stops the node is done after its answer. */
static void run_admin(struct node *node, const struct op *op, struct reply *out)
{
    const struct request *request = &op->request;
    struct admin_ring ring;
    switch (request->command) {
    case CMD_CONFIG:
        ring = ring_now(node);
        admin_config(out, &ring, request->words);
        break;
    case CMD_RING:
        run_ring(node, op, out);
        break;
    case CMD_MEMBERSHIP:
        run_membership(node, out);
        break;
    case CMD_STATUS:
        node_run_status(node, out);
        break;
    case CMD_TRANSFERS:
        node_run_transfers(node, out);
        break;
    case CMD_COPY:
        node_run_copy(node, op, out);
        break;
    case CMD_RETURN_PORT:
        run_return_port(node, op, out);
        break;
    default:
        CHECK(request->command == CMD_SHUTDOWN);
        run_shutdown(node, op, out);
        break;
    }
}

void node_run_flush(struct node *node, const struct asker *asker, const struct request *request,
                    const struct forward *kept)
{
    if (node->route.view.member_count == 0) {
        coord_keep_flush(&node->coord, asker, request, node->now);
        return;
    }
    uint64_t deadline_ms;
    struct gather *gather =
        coord_flush_all(&node->coord, asker, request, kept, &deadline_ms, node->now);
    if (gather)
        serve_flush_all(&node->serve, request, gather->epoch, deadline_ms)->gather = gather;
}

void node_stats_append(struct node *node, struct span words, struct reply *out)
{
    struct stats_gauges gauges = {.store = store_counters(node->store)};
    node->env->gauges(node->env->shell, &gauges);
    gauges.curr_peers = node->links.up_count;
    gauges.members_alive = gossip_count(&node->gossip, MEMBER_ALIVE);
    gauges.members_suspect = gossip_count(&node->gossip, MEMBER_SUSPECT);
    gauges.members_dead = gossip_count(&node->gossip, MEMBER_DEAD);
    gauges.members_left = gossip_count(&node->gossip, MEMBER_LEFT);
    gauges.members_unverified = gossip_count(&node->gossip, MEMBER_UNVERIFIED);
    gauges.settings = node->options.settings;
    gauges.settings_count = node->options.settings_count;
    stats_append(out, &node->stats, &gauges, words);
}

void node_run_command(struct node *node, const struct op *op)
{
    const struct request *request = &op->request;
    struct reply *out = session_reply(op->session, op->asker.seq);
    switch (request->command) {
    case CMD_META_NOOP:
        reply_append(out, SPAN_LITERAL("MN\r\n"));
        break;
    case CMD_VERSION:
        reply_append(out, SPAN_LITERAL("VERSION " DHT_VERSION_ANSWER "\r\n"));
        break;
    case CMD_VERBOSITY:
        node->env->verbosity(node->env->shell, request->number);
        if (!request->noreply)
            reply_append(out, SPAN_LITERAL("OK\r\n"));
        break;
    case CMD_STATS:
        node_stats_append(node, request->words, out);
        break;
    case CMD_CONFIG:
    case CMD_RING:
    case CMD_MEMBERSHIP:
    case CMD_STATUS:
    case CMD_TRANSFERS:
    case CMD_COPY:
    case CMD_SHUTDOWN:
    case CMD_RETURN_PORT:
        run_admin(node, op, out);
        break;
    case CMD_LEAVE:
        node->is_leaving |= operator_take(&node->operators, &op->asker, request, node->now);
        return;
    case CMD_FORGET:
    case CMD_ACCEPT_LOSS:
    case CMD_FORM:
        (void)operator_take(&node->operators, &op->asker, request, node->now);
        return;
    case CMD_FLUSH_ALL:
        node_run_flush(node, &op->asker, request, NULL);
        return;
    default:
        CHECK(request->command == CMD_INVALID);
        reply_append(out, request->error);
        break;
    }
    session_done(op->session, op->asker.seq, op->asker.part);
}
