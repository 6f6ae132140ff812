/* Requests, together: hashed and placed, their memory asked for ahead of its use, then carried out
 * here or given to coord, in order. */
#include "common/check.h"
#include "common/mutant.h"
#include "common/peers.h"
#include "server/core/admin.h"
#include "server/core/command.h"
#include "server/core/node_parts.h"
#include "server/core/opaque.h"

#include <string.h>

/* How many requests before its use a key's place and its item are asked for. */
#define PREFETCH_TABLE_AHEAD 24u
#define PREFETCH_ITEM_AHEAD  12u
#define PREFETCH_GROUP       8u

struct request *node_request(struct node *node)
{
    CHECK(!node->is_flushing);
    if (node->batch_count == BATCH_COUNT)
        node_flush(node);
    return &node->batch[node->batch_count].request;
}

bool node_parse(const struct node *node, struct span text, struct request *request)
{
    struct request_parser parser = {0};
    struct request_limits limits = {.value_bytes_max = node->options.value_bytes_max};
    size_t consumed, need;
    enum parse result =
        request_parse(&parser, &limits, text.data, text.len, request, &consumed, &need);
    bool is_whole = result == PARSE_DONE && (consumed == text.len || request->too_large);
    return is_whole && request->part != PART_PIECE;
}

/* Whether it writes and evicts nothing, whatever it meets; the most frequent of those. */
static bool is_plain_read(const struct request *request)
{
    return request->command == CMD_GET || request->command == CMD_GETS;
}

static ALWAYS_INLINE void place(struct node *node, struct op *op)
{
    op->ahead = AHEAD_NONE;
    op->is_placed = true;
    if (!command_has_key(op->request.command))
        return;
    op->key.bytes = op->request.key;
    op->key.position = digest_position(&op->digest);
    op->leader = route_leader(&node->route, op->key.position);
    if (op->leader != PEER_SELF)
        return;
    op->ahead = AHEAD_KEY;
    store_prefetch_slot(node->store, &op->key);
    uint32_t slot = position_slot(op->key.position);
    if (primary_serving(&node->primary, slot) != SERVING_COPIED)
        return;
    serve_prefetch_slot(&node->serve, slot);
    if (is_plain_read(&op->request))
        return; /* it looks at no session */
    op->ahead = AHEAD_COPIES;
    sync_prefetch_slot(node->sync, slot);
}

void node_place(struct node *node, struct op *op)
{
    place(node, op);
}

/* The next op at i or behind it that is to be placed; batch_count if there is none. */
static uint32_t next_unplaced(const struct node *node, uint32_t i)
{
    while (i < node->batch_count && node->batch[i].is_placed)
        i++;
    return i;
}

/* Hashes the keys that clients have sent, two at a time where the processor can. */
static void hash_submitted(struct node *node)
{
    uint32_t i = 0;
    while ((i = next_unplaced(node, i)) < node->batch_count) {
        struct op *op = &node->batch[i];
        i = next_unplaced(node, i + 1);
        if (LIKELY(i < node->batch_count && node->hashes_pairs)) {
            struct op *other = &node->batch[i++];
            digest_of_pair(op->request.key, other->request.key, &op->digest, &other->digest);
        } else {
            digest_of(op->request.key, &op->digest);
        }
    }
}

static void place_submitted(struct node *node)
{
    hash_submitted(node);
    for (uint32_t i = 0; (i = next_unplaced(node, i)) < node->batch_count; i++)
        place(node, &node->batch[i]);
}

/* A client that follows the ring has asked a node that does not lead the key: if the ring is not
 * the one it was told last, a line before the answer says so. It takes a number of the session's,
 * so that it keeps its place. */
static void tell_ring(struct node *node, struct session *session)
{
    if (session->ring_told == node->route.hash)
        return;
    uint64_t seq = session->next_seq++;
    admin_ring_notice(session_reply(session, seq), node->route.hash);
    session_done(session, seq, PART_WHOLE);
    session->ring_told = node->route.hash;
}

/* Whether the answer is known by its opaque, so that it may leave the order. */
static bool is_aside(const struct request *request)
{
    return command_has_key(request->command) && request->opaque.len > 0;
}

void node_submit(struct node *node, struct conn_id conn, struct session *session)
{
    struct op *op = &node->batch[node->batch_count++];
    op->session = session;
    op->deadline_ms = 0;
    op->ahead = AHEAD_NONE;
    op->is_placed = !command_has_key(op->request.command);
    if (UNLIKELY(session->follows_ring) && !op->is_placed && op->request.part == PART_WHOLE) {
        digest_of(op->request.key, &op->digest);
        place(node, op);
        if (op->leader != PEER_SELF)
            tell_ring(node, session);
    }
    op->asker =
        (struct asker){.conn = conn, .part = op->request.part, .noreply = op->request.noreply};
    if (UNLIKELY(session->home != NULL) && is_aside(&op->request)) {
        op->asker.is_aside = true;
        op->asker.opaque = op->request.opaque;
        session_aside_begin(session);
    } else {
        op->asker.seq = session->next_seq++;
    }
}

/* Executes a request on a slot that is served alone, and writes the lines of the audit. audited:
 * who has asked. */
static void execute_audited(struct node *node, const struct op *op, struct audited *audited,
                            struct reply *out)
{
    struct store_item item;
    uint32_t slot = position_slot(op->key.position);
    uint64_t ver = store_ver(node->store, slot);
    size_t len = buf_len(&out->bytes);
    command_execute(&node->executor, &op->request, &op->key, out);
    audited->command = op->request.command;
    audited->position = op->key.position;
    if (store_ver(node->store, slot) != ver) {
        audited->version = store_ver(node->store, slot);
        bool is_item = store_find(node->store, &op->key, &item) == STORE_ITEM;
        audit_applied(node->options.audit, node->now, audited->position, audited->version,
                      is_item ? "item" : "tombstone", APPLIED_AS_WRITE);
    }
    struct span bytes = buf_span(&out->bytes);
    audit_request(node->options.audit, node->now, audited,
                  span_of(bytes.data + len, bytes.len - len));
}

/* Carries out a client's request on the store; its answer is appended to where it belongs. */
static void execute_local(struct node *node, struct op *op, struct reply *out)
{
    if (LIKELY(!node->options.audit)) {
        command_execute(&node->executor, &op->request, &op->key, out);
        return;
    }
    char client[CLIENT_TEXT_BYTES_MAX];
    node->env->client_text(node->env->shell, op->asker.conn, client);
    struct audited audited = {.client = span_of_string(client),
                              .number = op->asker.seq,
                              .entry = links_name(&node->links, PEER_SELF)};
    execute_audited(node, op, &audited, out);
}

/* As run_local, of a request whose answer leaves the order. */
static void run_local_aside(struct node *node, struct op *op)
{
    struct reply *answer = &node->answer;
    execute_local(node, op, answer);
    opaque_mark(answer, op->asker.opaque);
    asker_answer_aside(node->env, &op->asker, answer);
}

static void run_local(struct node *node, struct op *op)
{
    node->stats.answers_local++;
    if (UNLIKELY(op->asker.is_aside)) {
        run_local_aside(node, op);
        return;
    }
    if (UNLIKELY(op->request.command == CMD_GAT || op->request.command == CMD_GATS)) {
        struct reply *answer = &node->answer;
        execute_local(node, op, answer);
        if (node_touch_has_failed(op->request.command, buf_span(&answer->bytes))) {
            asker_answer(node->env, &op->asker, buf_span(&answer->bytes));
            reply_consume(answer, reply_len(answer));
            return;
        }
        reply_move(session_reply(op->session, op->asker.seq), answer);
    } else {
        execute_local(node, op, session_reply(op->session, op->asker.seq));
    }
    session_done(op->session, op->asker.seq, op->asker.part);
}

/* Keeps a client's request until its slot can be served. */
static void keep(struct node *node, const struct op *op)
{
    coord_forward(&node->coord, &op->asker, &op->request, &op->digest, op->deadline_ms, node->now);
}

/* A client's request on a key that this node leads. */
static void run_led(struct node *node, struct op *op)
{
    uint32_t slot = position_slot(op->key.position);
    if (UNLIKELY(coord_is_slot_waiting(&node->coord, slot))) {
        keep(node, op); /* behind what came before it */
        return;
    }
    switch (serve_how(&node->serve, &op->request, slot, node->now)) {
    case SERVE_ALONE:
        run_local(node, op);
        if (!is_plain_read(&op->request))
            serve_told_alone(&node->serve, slot);
        return;
    case SERVE_PENDING:
        node_serve(node, op);
        return;
    case SERVE_LATER:
        keep(node, op);
        return;
    case SERVE_NO_MEMORY:
        node->stats.store_no_memory++;
        asker_answer(node->env, &op->asker, outcome_error(OUTCOME_FULL));
        return;
    case SERVE_BUSY:
        coord_busy(&node->coord, &op->asker);
        return;
    }
}

static void run_client(struct node *node, struct op *op)
{
    if (!command_has_key(op->request.command)) {
        node_run_command(node, op);
    } else if (LIKELY(op->leader == PEER_SELF)) {
        run_led(node, op);
    } else {
        keep(node, op);
    }
}

/* Why a forwarded request can't be carried out here, or NULL. A forward is never forwarded again.
 */
static const char *forwarded_refusal(const struct node *node, const struct op *op,
                                     enum answer_status *status)
{
    *status = ANSWER_STATUS_REFUSED;
    if (op->request.command == CMD_FLUSH_ALL)
        return NULL;
    if (!command_has_key(op->request.command))
        return "it is no command on a key";
    if (op->leader == PEER_SELF)
        return NULL;
    /* Views differ for a while; the same view with another leader will not get better. */
    if (op->epoch == node->route.view.epoch && op->epoch != 0 &&
        views_self(node->views) != VIEW_NOBODY)
        return "it does not lead this key, by the same view";
    *status = ANSWER_STATUS_NOT_LEADER;
    return "it does not lead this key";
}

/* Executes a forwarded request on a slot that is served alone. */
static void run_forwarded_alone(struct node *node, struct op *op)
{
    struct reply *answer = &node->answer;
    struct audited audited = {.client = op->client, .number = op->number};
    if (UNLIKELY(node->options.audit != NULL)) {
        audited.entry = links_name(&node->links, op->entry);
        execute_audited(node, op, &audited, answer);
    } else {
        command_execute(&node->executor, &op->request, &op->key, answer);
    }
    serve_told_alone(&node->serve, position_slot(op->key.position));
    node->stats.forwards_served++;
    struct direct_wish wish = {.conn = op->asker.conn,
                               .number = op->number,
                               .client = op->client,
                               .where = op->direct,
                               .opaque = op->request.opaque,
                               .patience_ms = op->patience_ms};
    bool has_failed = node_touch_has_failed(op->request.command, buf_span(&answer->bytes));
    if (UNLIKELY(!span_equal(op->direct, SPAN_LITERAL("-"))) &&
        node_answer_directly(node, &wish, answer))
        return;
    node_answer_forward(node, op->asker.conn, op->number,
                        has_failed ? ANSWER_STATUS_REFUSED : ANSWER_STATUS_DONE, answer);
}

/* Refuses a forward for now, or for good. */
static void refuse(struct node *node, const struct op *op, enum answer_status status,
                   const char *reason)
{
    node->stats.forwards_refused++;
    node_refuse_forward(node, op->asker.conn, op->number, status, reason);
}

static void run_forwarded(struct node *node, struct op *op)
{
    enum answer_status status;
    const char *refusal = forwarded_refusal(node, op, &status);
    if (refusal) {
        refuse(node, op, status, refusal);
        return;
    }
    if (op->request.command == CMD_FLUSH_ALL) {
        node_serve_flush(node, op);
        return;
    }
    switch (serve_how(&node->serve, &op->request, position_slot(op->key.position), node->now)) {
    case SERVE_ALONE:
        run_forwarded_alone(node, op);
        return;
    case SERVE_PENDING:
        node_serve(node, op);
        return;
    case SERVE_LATER:
        refuse(node, op, ANSWER_STATUS_NOT_READY, "");
        return;
    case SERVE_NO_MEMORY:
        node->stats.store_no_memory++;
        reply_append(&node->answer, outcome_error(OUTCOME_FULL));
        node_answer_forward(node, op->asker.conn, op->number,
                            node_touch_has_failed(op->request.command, outcome_error(OUTCOME_FULL))
                                ? ANSWER_STATUS_REFUSED
                                : ANSWER_STATUS_DONE,
                            &node->answer);
        return;
    case SERVE_BUSY:
        refuse(node, op, ANSWER_STATUS_REFUSED, "it is busy");
        return;
    }
}

/* Asks for the places in their tables of the keys of ops from … to - 1. */
static void prefetch_tables(const struct node *node, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to && i < node->batch_count; i++) {
        const struct op *op = &node->batch[i];
        if (UNLIKELY(op->ahead == AHEAD_NONE))
            continue;
        store_prefetch_table(node->store, &op->key);
        if (op->ahead == AHEAD_COPIES)
            sync_prefetch_first(node->sync, position_slot(op->key.position));
    }
}

static void prefetch_items(struct node *node, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to && i < node->batch_count; i++) {
        struct op *op = &node->batch[i];
        if (UNLIKELY(op->ahead == AHEAD_NONE))
            continue;
        op->key.index = store_prefetch_item(node->store, &op->key);
        if (op->ahead == AHEAD_COPIES)
            sync_prefetch_rest(node->sync, position_slot(op->key.position));
    }
}

/* Brings the memory of the keys behind op i near, in stages: a table's line so many requests before
 * its item, an item so many before its use, so that the memory is kept busy while requests are
 * carried out. A group at a time: the processor translates the addresses of some at once, but holds
 * up everything else for a single one. */
static void prefetch_ahead(struct node *node, uint32_t i)
{
    if (i == 0) { /* nothing precedes these */
        prefetch_tables(node, 0, PREFETCH_TABLE_AHEAD);
        prefetch_items(node, 0, PREFETCH_ITEM_AHEAD);
    }
    if (i % PREFETCH_GROUP > 0)
        return;
    uint32_t table = i + PREFETCH_TABLE_AHEAD, item = i + PREFETCH_ITEM_AHEAD;
    prefetch_tables(node, table, table + PREFETCH_GROUP);
    prefetch_items(node, item, item + PREFETCH_GROUP);
}

void node_flush(struct node *node)
{
    CHECK(!node->is_flushing);
    node->is_flushing = true;
    if (node->batch_count > 0) {
        place_submitted(node);
        if (!MUTANT(acks_late))
            node_take_sync(node);
        serve_begin(&node->serve, node->now);
        sync_tell_served(node->sync);
    }
    for (uint32_t i = 0; i < node->batch_count; i++) {
        struct op *op = &node->batch[i];
        prefetch_ahead(node, i);
        if (op->session)
            run_client(node, op);
        else
            run_forwarded(node, op);
    }
    node->batch_count = 0;
    node->is_flushing = false;
    node_tell_news(node);
    if (UNLIKELY(node->is_shutdown_due))
        node_shut_down(node);
}
