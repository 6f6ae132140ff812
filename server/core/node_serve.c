/* Requests whose answers wait for copies: what is noted of who has asked, and the answer when it
 * can be given. */
#include "common/check.h"
#include "server/core/command.h"
#include "server/core/node_parts.h"
#include "server/core/opaque.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request of at most so many bytes is kept, to be repeated if nothing came of it. */
#define REPEATED_BYTES_MAX 1024u
/* A forwarded request is given up so much of its time before its entry node does. */
#define FORWARD_EARLY_PART 8u

static void set_text(char *to, size_t size, struct span text)
{
    size_t len = text.len < size ? text.len : size - 1;
    memcpy(to, text.data, len);
    to[len] = '\0';
}

/* Keeps the request's text, if it is short and may have to be carried out again, and the opaque. */
static void keep_words(struct pending *pending, const struct op *op)
{
    bool may_repeat = !pending->is_effective && !pending->is_forwarded;
    struct span opaque = op->request.opaque;
    pending->text_len = 0;
    pending->asker.opaque = opaque;
    if (LIKELY(!may_repeat && opaque.len == 0))
        return;
    struct span line = op->request.line;
    bool is_short = op->request.part != PART_WHOLE || line.len <= REPEATED_BYTES_MAX;
    is_short &= may_repeat;
    if (is_short)
        coord_append_text(&op->request, &pending->words);
    else
        buf_append(&pending->words, opaque.data, opaque.len);
    pending->text_len = is_short ? (uint32_t)buf_len(&pending->words) : 0;
    pending->digest = op->digest;
    if (opaque.len > 0) /* what has one is no part of a line */
        pending->asker.opaque = span_of(
            buf_span(&pending->words).data + (is_short ? opaque.data - line.data : 0), opaque.len);
}

static void note_client(struct node *node, struct pending *pending, const struct op *op)
{
    pending->asker = op->asker;
    keep_words(pending, op);
    op->session->remote_open++;
    if (UNLIKELY(node->options.audit != NULL))
        node->env->client_text(node->env->shell, op->asker.conn, pending->client);
}

static void note_forwarded(struct node *node, struct pending *pending, const struct op *op)
{
    pending->is_forwarded = true;
    pending->asker = (struct asker){.conn = op->asker.conn};
    pending->forward_number = op->number;
    pending->entry = op->entry;
    pending->patience_ms = op->patience_ms;
    pending->wants_direct = !span_equal(op->direct, SPAN_LITERAL("-"));
    if (UNLIKELY(node->options.audit != NULL || pending->wants_direct)) {
        set_text(pending->client, sizeof(pending->client), op->client);
        set_text(pending->where, sizeof(pending->where), op->direct);
        keep_words(pending, op);
    }
}

static uint64_t deadline_of(const struct node *node, const struct op *op)
{
    if (op->session)
        return op->deadline_ms ? op->deadline_ms : node->now.mono_ms + node->options.op_timeout_ms;
    return node->now.mono_ms + op->patience_ms - op->patience_ms / FORWARD_EARLY_PART;
}

void node_serve(struct node *node, struct op *op)
{
    struct pending *pending =
        serve_run(&node->serve, &op->request, &op->key, deadline_of(node, op));
    pending->command = op->request.command;
    pending->position = op->key.position;
    if (op->session)
        note_client(node, pending, op);
    else
        note_forwarded(node, pending, op);
}

/* ---- answers ---- */

static void audit_pending(struct node *node, const struct pending *pending, struct span answer)
{
    const struct audited audited = {
        .client = span_of_string(pending->client),
        .number = pending->is_forwarded ? pending->forward_number : pending->asker.seq,
        .entry = links_name(&node->links, pending->is_forwarded ? pending->entry : PEER_SELF),
        .command = pending->command,
        .position = pending->position,
        .version = pending->version};
    audit_request(node->options.audit, node->now, &audited, answer);
}

/* What is told of a request that has failed; static. */
static const char *failure(enum pending_fate fate)
{
    return fate == FATE_UNKNOWN ? "SERVER_ERROR outcome unknown: too few copies confirmed it\r\n"
                                : "SERVER_ERROR not done: too few copies confirmed it\r\n";
}

static void give_client(struct node *node, struct session *session, struct pending *pending)
{
    struct reply *answer = &pending->answer;
    node->stats.answers_local++;
    session_note_remote(session, reply_len(answer));
    if (UNLIKELY(pending->asker.is_aside)) {
        opaque_mark(answer, pending->asker.opaque);
        asker_answer_aside(node->env, &pending->asker, answer);
        return;
    }
    if (UNLIKELY(node_touch_has_failed(pending->command, buf_span(&answer->bytes)))) {
        asker_answer(node->env, &pending->asker, buf_span(&answer->bytes));
        return;
    }
    struct reply *out = session_reply(session, pending->asker.seq);
    if (reply_len(answer) < REPLY_BORROW_BYTES_MIN)
        reply_append(out, buf_span(&answer->bytes));
    else
        reply_move(out, answer);
    session_done(session, pending->asker.seq, pending->asker.part);
}

static void answer_client(struct node *node, struct pending *pending)
{
    struct session *session = node->env->session(node->env->shell, pending->asker.conn);
    if (!session)
        return;
    CHECK(session->remote_open > 0);
    session->remote_open--;
    if (pending->fate == FATE_DONE) {
        give_client(node, session, pending);
    } else if (pending->fate == FATE_AGAIN && pending->text_len > 0) {
        struct span text = span_of(buf_span(&pending->words).data, pending->text_len);
        coord_again(&node->coord, &pending->asker, text, &pending->digest, pending->is_write,
                    pending->deadline_ms, node->now);
    } else {
        node->stats.unknown_outcomes += pending->fate == FATE_UNKNOWN;
        asker_answer(node->env, &pending->asker, span_of_string(failure(pending->fate)));
    }
}

static void answer_entry(struct node *node, struct pending *pending)
{
    struct conn_id conn = pending->asker.conn;
    uint64_t number = pending->forward_number;
    struct reply *answer = &pending->answer;
    switch (pending->fate) {
    case FATE_UNKNOWN:
        node_refuse_forward(node, conn, number, ANSWER_STATUS_UNKNOWN, "");
        return;
    case FATE_AGAIN:
        node_refuse_forward(node, conn, number, ANSWER_STATUS_NOT_READY, "");
        return;
    case FATE_NOT_DONE:
        node_refuse_forward(node, conn, number, ANSWER_STATUS_REFUSED,
                            "too few copies confirmed it");
        return;
    case FATE_DONE:
        break;
    }
    node->stats.forwards_served++;
    const struct direct_wish wish = {.conn = conn,
                                     .number = number,
                                     .client = span_of_string(pending->client),
                                     .where = span_of_string(pending->where),
                                     .opaque = pending->asker.opaque,
                                     .patience_ms = pending->patience_ms};
    bool has_failed = node_touch_has_failed(pending->command, buf_span(&answer->bytes));
    if (UNLIKELY(pending->wants_direct) && node_answer_directly(node, &wish, answer))
        return;
    node_answer_forward(node, conn, number, has_failed ? ANSWER_STATUS_REFUSED : ANSWER_STATUS_DONE,
                        answer);
}

/* ---- flush_all ---- */

static void give_flushed(struct node *node, struct flush *flush)
{
    if (flush->gather) {
        coord_flushed(&node->coord, flush->gather, flush->done);
    } else {
        reply_append(&node->answer, span_of((const char *)flush->done, sizeof(flush->done)));
        node_answer_forward(node, flush->conn, flush->number, ANSWER_STATUS_DONE, &node->answer);
    }
    free(flush);
}

void node_serve_flush(struct node *node, const struct op *op)
{
    struct flush *flush =
        serve_flush_all(&node->serve, &op->request, op->epoch, deadline_of(node, op));
    flush->conn = op->asker.conn;
    flush->number = op->number;
    node->stats.forwards_served++;
}

void node_answer_over(struct node *node)
{
    struct pending *pending;
    while ((pending = serve_take_over(&node->serve, node->now))) {
        if (UNLIKELY(node->options.audit != NULL) && pending->fate != FATE_AGAIN)
            audit_pending(node, pending,
                          pending->fate == FATE_DONE ? buf_span(&pending->answer.bytes)
                                                     : span_of_string(failure(pending->fate)));
        if (pending->is_forwarded)
            answer_entry(node, pending);
        else
            answer_client(node, pending);
        serve_free(&node->serve, pending);
    }
    struct flush *flush;
    while ((flush = serve_take_flushed(&node->serve)))
        give_flushed(node, flush);
}

/* ---- events ---- */

void node_take_sync(struct node *node)
{
    struct sync_event event;
    while (sync_take_event(node->sync, &event)) {
        primary_sync(&node->primary, &event, node->now);
        serve_sync(&node->serve, &event);
    }
}

void node_tell_sync(struct node *node)
{
    node_take_sync(node);
    uint32_t slot;
    while (primary_take_ready(&node->primary, &slot)) {
        serve_ready(&node->serve, slot, node->now);
        coord_ready(&node->coord, slot, node->now);
    }
}
