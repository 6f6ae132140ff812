/* What other nodes say: frames of links that are up, and of those that want to be. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/node_parts.h"

/* A value at the largest limit a node may have, with its command or answer line: another node's
 * limit may be higher than this one's, which then answers that the value is too large. */
#define PARTS_BYTES_MAX (128u * 1024 * 1024 + LINE_BYTES_MAX + KEY_BYTES_MAX)

/* Takes a forwarded request into the batch. */
static void forward_submit(struct node *node, const struct link *link,
                           const struct message *message)
{
    struct request *request = node_request(node);
    if (!node_parse(node, message->body, request)) {
        node_refuse_forward(node, link->conn, message->FORWARD.number, ANSWER_STATUS_REFUSED,
                            "the forward is malformed");
        return;
    }
    struct op *op = &node->batch[node->batch_count++];
    op->session = NULL;
    op->asker.conn = link->conn;
    op->number = message->FORWARD.number;
    op->entry = link->peer;
    op->client = message->FORWARD.client;
    op->direct = message->FORWARD.direct;
    op->epoch = message->FORWARD.epoch;
    op->patience_ms = message->FORWARD.deadline_ms;
    op->digest = message->FORWARD.digest;
    node_place(node, op);
    log_line(node->log, node->now, LOG_DEBUG, "forward-served",
             "number=%llu client=%.*s command=%s", (unsigned long long)op->number,
             (int)message->FORWARD.client.len, message->FORWARD.client.data,
             command_word(request->command));
}

/* A FORWARD or ANSWER that is all there. */
static void take_whole(struct node *node, struct link *link, const struct message *message)
{
    if (message->kind == MESSAGE_FORWARD)
        forward_submit(node, link, message);
    else
        coord_answered(&node->coord, link, message, node->now);
}

/* A body for which there was no memory is all through. A request is refused, nothing of it was
 * done. Of an answer nothing is known: its status counts for none. */
static void take_unkept(struct node *node, struct link *link, struct message *message)
{
    log_line(node->log, node->now, LOG_WARN, "body-refused",
             "member=%s bytes=%zu reason=\"out of memory\"", links_name(&node->links, link->peer),
             message->body.len);
    if (message->kind == MESSAGE_FORWARD) {
        node_refuse_forward(node, link->conn, message->FORWARD.number, ANSWER_STATUS_REFUSED,
                            "out of memory");
        return;
    }
    message->ANSWER.status = ANSWER_STATUS_COUNT;
    coord_answered(&node->coord, link, message, node->now);
}

static enum err take_part(struct node *node, struct link *link, const struct message *part)
{
    bool is_whole = false;
    enum err err = link_parts_add(link, part, &is_whole);
    if (err || !is_whole)
        return err;
    if (link->parts->bytes)
        take_whole(node, link, &link->parts->first);
    else
        take_unkept(node, link, &link->parts->first);
    node_flush(node); /* what was submitted borrows from the parts */
    link_parts_end(link);
    return ERR_OK;
}

/* The epoch that a message between copies carries. */
static uint32_t copy_epoch(const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_STREAM:
        return message->STREAM.epoch;
    case MESSAGE_STREAMED:
        return message->STREAMED.epoch;
    case MESSAGE_COLLECT:
        return message->COLLECT.epoch;
    case MESSAGE_COPIES:
        return message->COPIES.epoch;
    case MESSAGE_HOLDING:
        return message->HOLDING.epoch;
    case MESSAGE_ACTIVE:
        return message->ACTIVE.epoch;
    default:
        CHECK(message->kind == MESSAGE_STALE);
        return message->STALE.epoch;
    }
}

/* "A node that sees a higher one fetches and adopts that view first; a message of a lower one is
 * refused with the receiver's epoch." */
static enum err take_copies(struct node *node, struct link *link, const struct message *message)
{
    uint32_t epoch = copy_epoch(message);
    struct reply *out = link_out(&node->links, link);
    bool is_question = message->kind == MESSAGE_STREAM || message->kind == MESSAGE_COLLECT ||
                       message->kind == MESSAGE_HOLDING;
    if (message->kind != MESSAGE_STALE && is_question == link->is_dialled)
        return ERR_SYNTAX; /* questions come over links others dialled, answers over our own */
    views_see_epoch(node->views, link->peer, epoch, node->now);
    if (!out || message->kind == MESSAGE_STALE)
        return ERR_OK;
    if (message->kind == MESSAGE_STREAM || message->kind == MESSAGE_STREAMED)
        return sync_message(node->sync, link, message, node->now);
    if (!views_refuses(node->views, epoch))
        return primary_message(&node->primary, link, message, out, node->now);
    if (epoch < views_epoch(node->views))
        message_append(out, &(struct message){.kind = MESSAGE_STALE,
                                              .STALE = {.epoch = views_epoch(node->views)}});
    return ERR_OK;
}

/* A message on a data link. FORWARDs come over links others dialled, ANSWERs over our own. */
static enum err take_message(struct node *node, struct link *link, const struct message *message)
{
    if (message->kind == MESSAGE_PART)
        return take_part(node, link, message);
    if (message->kind >= MESSAGE_STREAM && message->kind <= MESSAGE_STALE)
        return take_copies(node, link, message);
    if (message->kind != (link->is_dialled ? MESSAGE_ANSWER : MESSAGE_FORWARD))
        return ERR_SYNTAX;
    uint32_t total = link->is_dialled ? message->ANSWER.total : message->FORWARD.total;
    if (total == message->body.len) {
        take_whole(node, link, message);
        return ERR_OK;
    }
    return link_parts_begin(link, message, total, PARTS_BYTES_MAX,
                            env_budget(node->env, link->conn));
}

/* The epoch that a message of gossip carries: a view that is behind, or ahead, is seen by it. */
static void see_epoch(struct node *node, uint32_t peer, const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_GET_MEMBERSHIP_LIST:
        views_see_epoch(node->views, peer, message->GET_MEMBERSHIP_LIST.epoch, node->now);
        break;
    case MESSAGE_MEMBERS:
        views_see_epoch(node->views, peer, message->MEMBERS.epoch, node->now);
        break;
    case MESSAGE_PING:
        views_see_epoch(node->views, peer, message->PING.epoch, node->now);
        break;
    case MESSAGE_PONG:
        views_see_epoch(node->views, peer, message->PONG.epoch, node->now);
        break;
    case MESSAGE_STALE:
        views_see_epoch(node->views, peer, message->STALE.epoch, node->now);
        break;
    default:
        break;
    }
}

/* Views by the text, told by what differs: more than that of the largest cluster whole. */
#define CONTROL_BYTES_MAX (4u * VIEW_TEXT_BYTES_MAX)

/* A message of views that is all there. */
static enum err take_views(struct node *node, struct link *link, const struct message *message)
{
    struct reply *out = link_out(&node->links, link);
    return out ? views_message(node->views, link->peer, message, out, node->now) : ERR_OK;
}

static enum err take_control_part(struct node *node, struct link *link, const struct message *part)
{
    bool is_whole = false;
    enum err err = link_parts_add(link, part, &is_whole);
    if (err || !is_whole)
        return err;
    if (link->parts->bytes)
        err = take_views(node, link, &link->parts->first);
    if (link->parts)
        link_parts_end(link);
    return err;
}

/* What a control link carries is gossip's, or of views. */
static enum err take_control(struct node *node, struct link *link, const struct message *message)
{
    struct reply *out = link_out(&node->links, link);
    struct message copy = *message;
    if (message->kind == MESSAGE_PART)
        return take_control_part(node, link, message);
    if (message->kind < MESSAGE_STALE)
        return ERR_SYNTAX;
    if (message->kind >= MESSAGE_GET_VIEWS) {
        uint32_t *total = message_total(&copy);
        if (total && *total != message->body.len)
            return link_parts_begin(link, message, *total, CONTROL_BYTES_MAX, NULL);
        return take_views(node, link, message);
    }
    see_epoch(node, link->peer, message);
    if (message->kind == MESSAGE_STALE || !out)
        return ERR_OK;
    return gossip_message(&node->gossip, link->peer, message, out, node->now);
}

/* What comes after so long a silence may have been under way for as long, held up by the network or
 * by a stop of this process: what it tells of others would be taken for younger than it is. */
static bool is_outlived(const struct node *node, const struct link *link)
{
    return link->lane != LANE_DATA &&
           node->now.mono_ms - link->heard_ms >= gossip_silence_ms(&node->gossip) &&
           !MUTANT(silence_ignored);
}

/* A message on a link that is up. */
static void take_linked(struct node *node, struct link *link, const struct message *message)
{
    if (is_outlived(node, link)) {
        links_end(&node->links, link, DISCONNECT_CLOSED, "it was silent for too long", node->now);
        return;
    }
    link->heard_ms = node->now.mono_ms;
    enum err err = link->lane == LANE_DATA ? take_message(node, link, message)
                                           : take_control(node, link, message);
    if (err && link->state == LINK_UP)
        links_end(&node->links, link, DISCONNECT_DENIED, "a message it may not send", node->now);
}

/* The boot below which the process that says this is refused. */
static uint64_t boot_known(const struct node *node, const struct link *link,
                           const struct message *message)
{
    struct span name = message->kind == MESSAGE_HELLO ? message->HELLO.from : span_of(NULL, 0);
    if (link)
        name = span_of_string(links_name(&node->links, link->peer));
    return name.len > 0 ? gossip_boot_of(&node->gossip, name) : 0;
}

void node_frame(struct node *node, struct conn_id conn, const struct frame *frame)
{
    struct message message;
    struct link *link = links_find(&node->links, conn);
    if (message_parse(frame, &message)) {
        if (link || !links_refuse_version(&node->links, conn, frame, node->now))
            node_frame_bad(node, conn, false);
        return;
    }
    if (link && link->state == LINK_UP && message.kind >= MESSAGE_FORWARD) {
        take_linked(node, link, &message);
        node_tell_news(node);
        return;
    }
    node_flush(node); /* what waits there names peers */
    links_handshake(&node->links, link, conn, &message, boot_known(node, link, &message),
                    node->now);
    node_tell_news(node);
}

void node_frame_bad(struct node *node, struct conn_id conn, bool crc)
{
    struct link *link = links_find(&node->links, conn);
    const char *reason = "a malformed frame";
    if (crc) {
        node->stats.frames_bad_crc++;
        reason = "a frame's checksum was wrong";
    } else {
        node->stats.frames_malformed++;
        if (link && link->state == LINK_GREETING)
            reason = "what answers there is no node";
    }
    if (link) {
        links_end(&node->links, link, DISCONNECT_DENIED, reason, node->now);
        node_tell_news(node);
        return;
    }
    char client[CLIENT_TEXT_BYTES_MAX];
    node->env->client_text(node->env->shell, conn, client);
    log_line(node->log, node->now, LOG_WARN, "peer-refused", "address=%s reason=\"%s\"", client,
             reason);
    node->env->close(node->env->shell, conn, false);
}
