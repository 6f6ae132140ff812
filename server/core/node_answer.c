/* Answers to other nodes, and to their clients. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/node_parts.h"
#include "server/core/opaque.h"

#include <stdio.h>
#include <string.h>

/* The scratch answer's buffer is kept between forwards up to here. */
#define ANSWER_KEPT_BYTES_MAX (64u * 1024)

void node_answer_forward(struct node *node, struct conn_id conn, uint64_t number,
                         enum answer_status status, struct reply *body)
{
    struct session *session = node->env->session(node->env->shell, conn);
    struct message answer = {
        .kind = MESSAGE_ANSWER,
        .ANSWER = {.number = number, .status = status, .total = (uint32_t)reply_len(body)}};
    if (session && body->piece_count > 0 && reply_len(body) <= FRAME_BODY_BYTES_MAX) {
        message_append_reply(&session->out, &answer, body);
        return;
    }
    reply_own(body);
    if (session)
        link_append(&session->out, &answer, buf_span(&body->bytes));
    reply_consume(body, reply_len(body));
    if (body->bytes.capacity > ANSWER_KEPT_BYTES_MAX)
        reply_close(body);
}

void node_refuse_forward(struct node *node, struct conn_id conn, uint64_t number,
                         enum answer_status status, const char *reason)
{
    reply_append(&node->answer, span_of_string(reason));
    node_answer_forward(node, conn, number, status, &node->answer);
}

bool node_answer_directly(struct node *node, const struct direct_wish *wish, struct reply *answer)
{
    opaque_mark(answer, wish->opaque);
    if (!node->options.direct_answers || reply_len(answer) == 0)
        return false;
    switch (direct_answer(&node->direct, wish->client, wish->where, &node->route.view, wish->conn,
                          wish->number, wish->patience_ms / 2, answer, node->now)) {
    case DIRECT_SENT:
        node_answer_forward(node, wish->conn, wish->number, ANSWER_STATUS_DIRECT, answer);
        return true;
    case DIRECT_KEPT:
        return true;
    case DIRECT_NOT:
        return false;
    }
    CHECK(false);
}

void node_tell_direct(struct node *node)
{
    struct direct_kept *kept;
    while ((kept = direct_take_done(&node->direct))) {
        node_answer_forward(node, kept->entry, kept->number,
                            kept->is_sent || MUTANT(never_relays) ? ANSWER_STATUS_DIRECT
                                                                  : ANSWER_STATUS_DONE,
                            &kept->body);
        direct_kept_free(kept);
    }
}

bool node_touch_has_failed(enum command command, struct span answer)
{
    const struct span error = SPAN_LITERAL("SERVER_ERROR ");
    return (command == CMD_GAT || command == CMD_GATS) && answer.len > error.len &&
           memcmp(answer.data, error.data, error.len) == 0;
}
