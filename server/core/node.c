#include "server/core/node.h"

#include "common/check.h"
#include "common/version.h"
#include "server/core/admin.h"
#include "server/core/command.h"
#include "server/core/coord.h"
#include "server/core/direct.h"
#include "server/core/gossip.h"
#include "server/core/opaque.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Requests carried out together. From 32 on there is nothing more to hide. */
#define BATCH_COUNT 64u
/* How many requests before its use a key's place and its item are asked for. */
#define PREFETCH_TABLE_AHEAD 24u
#define PREFETCH_ITEM_AHEAD  12u
#define PREFETCH_GROUP       8u
/* Between two looks for expired items: when there was nothing more to do, and when there was. */
#define STORE_TICK_IDLE_MS 500u
#define STORE_TICK_BUSY_MS 10u
#define STORE_TICK_ITEMS   2000u
#define SWEEP_MS           1000u
/* The scratch answer's buffer is kept between forwards up to here. */
#define ANSWER_KEPT_BYTES_MAX (64u * 1024)
/* A value at the largest limit a node may have, with its command or answer line: another node's
 * limit may be higher than this one's, which then answers that the value is too large. */
#define PARTS_BYTES_MAX (128u * 1024 * 1024 + LINE_BYTES_MAX + KEY_BYTES_MAX)

/* One request of the batch. */
struct op {
    struct request request;
    struct digest digest;
    struct store_key key;    /* valid if the command has a key */
    uint32_t leader;         /* peer index of the key's primary */
    struct session *session; /* a client's; NULL for a request another node has forwarded */
    struct asker asker;      /* a client's; of a forwarded one only conn */
    /* A forwarded one's: */
    uint64_t number;
    uint32_t entry;       /* the peer that forwarded it */
    struct span client;   /* borrowed: the client's address */
    struct span direct;   /* borrowed: where it takes answers, or "-" */
    uint32_t patience_ms; /* how long the entry node waits for the answer */
};

struct node {
    struct node_options options;
    struct route route;
    struct store *store; /* borrowed */
    const struct env *env;
    struct log *log;
    struct stats stats;
    struct executor executor;
    struct links links;
    struct gossip gossip;
    struct coord coord;
    struct direct direct;
    struct moment now;
    uint64_t start_ms;      /* when the first turn began */
    uint64_t sweep_ms;      /* when peers that nobody uses are to be forgotten next */
    uint64_t store_tick_ms; /* when the store is to be ticked next */
    struct reply answer;    /* scratch: the answer to a forwarded request */
    bool is_ring_due;       /* the members have changed: take_ring before anything else */
    bool has_joined;        /* there is a ring, if anybody is left to be on it */
    bool is_leave_due;      /* a client has asked for it in this batch */
    bool is_leaving;
    bool has_ended; /* env's end has been called */
    bool is_flushing;
    uint32_t batch_count;
    struct op batch[BATCH_COUNT];
};

struct node *node_open(const struct node_options *options, struct store *store,
                       const struct env *env, struct log *log)
{
    struct node *node = calloc(1, sizeof(*node));
    CHECK(node != NULL);
    node->options = *options;
    node->store = store;
    node->env = env;
    node->log = log;
    const struct links_identity identity = {.name = options->name,
                                            .cluster = options->cluster,
                                            .gossip = options->gossip,
                                            .generation = options->generation,
                                            .boot = options->boot};
    links_init(&node->links, &identity, options->op_timeout_ms, env, log, &node->stats);
    route_init(&node->route);
    coord_init(&node->coord, &node->links, &node->route, options->op_timeout_ms);
    direct_init(&node->direct, env, &node->stats, log);
    struct gossip_setup setup = {.strategy = options->gossip,
                                 .seeds = options->seeds,
                                 .weight = options->weight,
                                 .options = options->timers,
                                 .links = &node->links,
                                 .env = env,
                                 .log = log,
                                 .stats = &node->stats};
    env->entropy(env->shell, &setup.seed, sizeof(setup.seed));
    gossip_init(&node->gossip, &setup);
    node->executor = (struct executor){
        .store = store, .stats = &node->stats, .value_bytes_max = options->value_bytes_max};
    return node;
}

void node_close(struct node *node)
{
    if (!node)
        return;
    direct_close(&node->direct);
    coord_close(&node->coord);
    gossip_close(&node->gossip);
    route_close(&node->route, &node->links);
    links_close(&node->links);
    reply_close(&node->answer);
    free(node);
}

struct request *node_request(struct node *node)
{
    CHECK(!node->is_flushing);
    if (node->batch_count == BATCH_COUNT)
        node_flush(node);
    return &node->batch[node->batch_count].request;
}

/* Finds out where the op's key lies; begins to bring its place in memory near. */
static void op_place(struct node *node, struct op *op)
{
    if (!command_has_key(op->request.command))
        return;
    op->key.bytes = op->request.key;
    op->key.position = digest_position(&op->digest);
    op->leader = route_leader(&node->route, op->key.position);
    if (op->leader == PEER_SELF)
        store_prefetch_slot(node->store, &op->key);
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
    if (command_has_key(op->request.command))
        digest_of(op->request.key, &op->digest);
    op_place(node, op);
    bool is_elsewhere = command_has_key(op->request.command) && op->leader != PEER_SELF;
    if (UNLIKELY(session->follows_ring) && is_elsewhere && op->request.part == PART_WHOLE)
        tell_ring(node, session);
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

size_t node_batch_count(const struct node *node)
{
    return node->batch_count;
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

static void run_membership(struct node *node, struct reply *out)
{
    struct member_list list;
    struct buf json = {0};
    gossip_list(&node->gossip, &list, node->now);
    list.ring_hash = node->route.hash;
    list.ring_changes = node->route.changes;
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
    node->is_leave_due = true;
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
    case CMD_LEAVE:
        reply_append(out, SPAN_LITERAL("OK\r\n"));
        node->is_leave_due = true;
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

/* flush_all: here, and on all other members of the ring. */
static void run_flush(struct node *node, const struct asker *asker, const struct request *request,
                      const struct forward *kept)
{
    if (node->route.view.member_count == 0) {
        coord_keep_flush(&node->coord, asker, request, node->now);
        return;
    }
    command_flush(&node->executor, request);
    coord_flush_all(&node->coord, asker, request, kept, node->now);
}

/* Commands that the node asked answers itself. */
static void run_node_command(struct node *node, const struct op *op)
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
    case CMD_SHUTDOWN:
    case CMD_LEAVE:
    case CMD_RETURN_PORT:
        run_admin(node, op, out);
        break;
    case CMD_FLUSH_ALL:
        run_flush(node, &op->asker, request, NULL);
        return;
    default:
        CHECK(request->command == CMD_INVALID);
        reply_append(out, request->error);
        break;
    }
    session_done(op->session, op->asker.seq, op->asker.part);
}

/* A touching retrieval can fail for lack of memory: that stands in the place of the line's END. */
static bool touch_has_failed(const struct op *op, const struct reply *answer)
{
    const struct span error = SPAN_LITERAL("SERVER_ERROR ");
    struct span text = buf_span(&answer->bytes);
    return (op->request.command == CMD_GAT || op->request.command == CMD_GATS) &&
           text.len > error.len && memcmp(text.data, error.data, error.len) == 0;
}

/* Who asked for what, and what became of it: never a whole key, never a value. answer: of which
 * the first word tells. */
static void audit(struct node *node, const struct op *op, struct span client, uint64_t number,
                  uint32_t entry, struct span answer)
{
    char key[2 * sizeof(uint64_t) + 1] = "-";
    if (command_has_key(op->request.command))
        snprintf(key, sizeof(key), "%016" PRIx64, op->key.position);
    size_t len = 0;
    while (len < answer.len && answer.data[len] > ' ')
        len++;
    log_line(node->options.audit, node->now, LOG_INFO, "request",
             "client=%.*s number=%" PRIu64 " entry=%s command=%s key=%s outcome=%.*s",
             (int)client.len, client.data, number, links_name(&node->links, entry),
             command_word(op->request.command), key, len > 0 ? (int)len : 4,
             len > 0 ? answer.data : "none");
}

/* Carries out a client's request on the store; its answer is appended to where it belongs. */
static void execute_local(struct node *node, struct op *op, struct reply *out)
{
    if (LIKELY(!node->options.audit)) {
        command_execute(&node->executor, &op->request, &op->key, out);
        return;
    }
    size_t before = buf_len(&out->bytes);
    command_execute(&node->executor, &op->request, &op->key, out);
    char client[CLIENT_TEXT_BYTES_MAX];
    node->env->client_text(node->env->shell, op->asker.conn, client);
    struct span bytes = buf_span(&out->bytes);
    audit(node, op, span_of_string(client), op->asker.seq, PEER_SELF,
          span_of(bytes.data + before, bytes.len - before));
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
        if (touch_has_failed(op, answer)) {
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

static void run_client(struct node *node, struct op *op)
{
    if (!command_has_key(op->request.command)) {
        run_node_command(node, op);
    } else if (LIKELY(op->leader == PEER_SELF)) {
        run_local(node, op);
    } else {
        coord_forward(&node->coord, &op->asker, &op->request, &op->digest, node->now);
    }
}

/* Why a forwarded request can't be carried out here, or NULL. A forward is never forwarded again.
 */
static const char *forwarded_refusal(const struct op *op, enum answer_status *status)
{
    *status = ANSWER_REFUSED;
    if (op->request.command == CMD_FLUSH_ALL)
        return NULL;
    if (!command_has_key(op->request.command))
        return "it is no command on a key";
    *status = ANSWER_NOT_LEADER;
    return op->leader == PEER_SELF ? NULL : "it does not lead this key";
}

/* Sends what is in body, and empties it; borrowed pieces stay borrowed if one frame holds all. */
static void answer_forward(struct node *node, struct conn_id conn, uint64_t number,
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

static void refuse_forward(struct node *node, struct conn_id conn, uint64_t number,
                           enum answer_status status, const char *reason)
{
    reply_append(&node->answer, span_of_string(reason));
    answer_forward(node, conn, number, status, &node->answer);
}

/* Where the client of a forwarded request takes answers; empty if nowhere. */
static struct span direct_where(const struct op *op)
{
    return span_equal(op->direct, SPAN_LITERAL("-")) ? span_of(NULL, 0) : op->direct;
}

/* Answers the client itself, and then tells the entry node so. Returns false if that can't be; then
 * the entry node is to have the answer. */
static bool answer_directly(struct node *node, const struct op *op, struct reply *answer)
{
    opaque_mark(answer, op->request.opaque);
    if (!node->options.direct_answers || reply_len(answer) == 0)
        return false;
    switch (direct_answer(&node->direct, op->client, direct_where(op), &node->route.view,
                          op->asker.conn, op->number, op->patience_ms / 2, answer, node->now)) {
    case DIRECT_SENT:
        answer_forward(node, op->asker.conn, op->number, ANSWER_DIRECT, answer);
        return true;
    case DIRECT_KEPT:
        return true;
    case DIRECT_NOT:
        return false;
    }
    CHECK(false);
}

/* Tells the entry nodes of the answers that waited: they went out, or are to be relayed. */
static void tell_direct(struct node *node)
{
    struct direct_kept *kept;
    while ((kept = direct_take_done(&node->direct))) {
        answer_forward(node, kept->entry, kept->number, kept->is_sent ? ANSWER_DIRECT : ANSWER_DONE,
                       &kept->body);
        direct_kept_free(kept);
    }
}

static void run_forwarded(struct node *node, struct op *op)
{
    enum answer_status status;
    const char *refusal = forwarded_refusal(op, &status);
    if (refusal) {
        refuse_forward(node, op->asker.conn, op->number, status, refusal);
        return;
    }
    struct reply *answer = &node->answer;
    if (op->request.command == CMD_FLUSH_ALL) {
        command_flush(&node->executor, &op->request);
        reply_append(answer, SPAN_LITERAL("OK\r\n"));
    } else {
        command_execute(&node->executor, &op->request, &op->key, answer);
    }
    node->stats.forwards_served++;
    if (UNLIKELY(node->options.audit != NULL))
        audit(node, op, op->client, op->number, op->entry, buf_span(&answer->bytes));
    if (UNLIKELY(direct_where(op).len > 0) && answer_directly(node, op, answer))
        return;
    answer_forward(node, op->asker.conn, op->number,
                   touch_has_failed(op, answer) ? ANSWER_REFUSED : ANSWER_DONE, answer);
}

static bool is_local(const struct op *op)
{
    return command_has_key(op->request.command) && op->leader == PEER_SELF;
}

/* Asks for the places in their tables of the keys of ops from … to - 1. */
static void prefetch_tables(const struct node *node, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to && i < node->batch_count; i++)
        if (is_local(&node->batch[i]))
            store_prefetch_table(node->store, &node->batch[i].key);
}

static void prefetch_items(const struct node *node, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to && i < node->batch_count; i++)
        if (is_local(&node->batch[i]))
            store_prefetch_item(node->store, &node->batch[i].key);
}

/* Brings the memory of the keys behind op i near, in stages: a table's line so many requests before
 * its item, an item so many before its use, so that the memory is kept busy while requests are
 * carried out. A group at a time: the processor translates the addresses of some at once, but holds
 * up everything else for a single one. */
static void prefetch_ahead(const struct node *node, uint32_t i)
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

static void tell_one(struct node *node, const struct link_news *news)
{
    if (news->lane != LANE_DATA)
        gossip_link(&node->gossip, news, node->now);
    else if (news->is_dialled && news->change == LINK_CAME_UP)
        coord_came_up(&node->coord, news->peer, node->now);
    else if (news->is_dialled)
        coord_lost(&node->coord, news->peer, node->now);
    /* Who answers again is to be asked at once, not when its rest is over. */
    if (news->lane == LANE_CONTROL && news->change == LINK_CAME_UP)
        links_wake(&node->links, news->peer, LANE_DATA);
}

/* Notes what the membership has decided: acted upon when the turn allows it. */
static void look_at_gossip(struct node *node)
{
    if (UNLIKELY(!node->has_joined) && gossip_has_joined(&node->gossip))
        node->has_joined = node->is_ring_due = true;
    if (gossip_take_changed(&node->gossip))
        node->is_ring_due = node->has_joined;
    if (node->has_ended)
        return;
    bool is_duplicate = gossip_is_duplicate(&node->gossip);
    if (is_duplicate || (node->is_leaving && gossip_has_left(&node->gossip, node->now))) {
        node->has_ended = true;
        node->env->end(node->env->shell, is_duplicate ? NODE_END_DUPLICATE : NODE_END_LEFT);
    }
}

/* Tells every module what has happened to the links. */
static void tell_news(struct node *node)
{
    struct link_news news;
    while (links_take_news(&node->links, &news))
        tell_one(node, &news);
    look_at_gossip(node);
}

void node_flush(struct node *node)
{
    CHECK(!node->is_flushing);
    node->is_flushing = true;
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
    tell_news(node);
    if (UNLIKELY(node->is_leave_due))
        node_leave(node);
}

/* Parses text, which must be one request for one key, or for none. */
static bool parse_whole(const struct node *node, struct span text, struct request *request)
{
    struct request_parser parser = {0};
    struct request_limits limits = {.value_bytes_max = node->options.value_bytes_max};
    size_t consumed, need;
    enum parse result =
        request_parse(&parser, &limits, text.data, text.len, request, &consumed, &need);
    bool is_whole = result == PARSE_DONE && (consumed == text.len || request->too_large);
    return is_whole && request->part != PART_PIECE;
}

/* Carries out what clients asked before this node led their keys. */
static void run_own(struct node *node)
{
    struct forward *forward;
    while ((forward = coord_take_own(&node->coord))) {
        struct session *session = node->env->session(node->env->shell, forward->asker.conn);
        struct request *request = node_request(node);
        struct span text = span_of(forward->text, forward->text_len);
        if (session && parse_whole(node, text, request)) {
            struct op *op = &node->batch[node->batch_count];
            op->session = session;
            op->asker = forward->asker;
            op->digest = forward->digest;
            if (forward->slot == WAIT_RING) {
                run_flush(node, &op->asker, request, forward);
            } else {
                op_place(node, op);
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
        store_drop(node->store, slot);
        count++;
    }
    return count;
}

/* The members of the ring have changed: places the slots anew, and sends what waits to whom they
 * belong now. Outside a batch: what was submitted has been placed by the old ring. */
static void take_ring(struct node *node)
{
    node->is_ring_due = false;
    node_flush(node);
    struct view view;
    gossip_ring_view(&node->gossip, &view);
    /* The last node to leave serves what it has received to its end. */
    bool is_last = node->is_leaving && view.member_count == 0;
    if (is_last || (node->route.changes > 0 && view_equal(&view, &node->route.view))) {
        view_close(&view);
        return;
    }
    uint16_t *led_before = malloc(sizeof(node->route.leader));
    CHECK(led_before != NULL);
    memcpy(led_before, node->route.leader, sizeof(node->route.leader));
    route_place(&node->route, &node->links, &view);
    uint32_t lost = drop_lost(node, led_before);
    free(led_before);
    log_line(node->log, node->now, LOG_INFO, "ring-changed",
             "members=%" PRIu32 " ring=%016" PRIx64 " changes=%" PRIu64 " slots_lost=%" PRIu32,
             node->route.view.member_count, node->route.hash, node->route.changes, lost);
    coord_rerouted(&node->coord, node->now);
    run_own(node);
    tell_news(node);
}

void node_turn(struct node *node, struct moment now)
{
    if (node->start_ms == 0)
        node->start_ms = now.mono_ms;
    node->now = now;
    uint32_t now_s = 1 + (uint32_t)((now.mono_ms - node->start_ms) / 1000);
    if (now_s != node->executor.now_s) {
        node->executor.now_s = now_s;
        node->executor.unix_s_at_zero = now.unix_ms / 1000 - now_s;
        store_tell_time(node->store, now_s);
    }
    look_at_gossip(node);
    if (UNLIKELY(node->is_ring_due))
        take_ring(node);
}

void node_sent(struct node *node)
{
    store_release(node->store);
}

/* Takes a forwarded request into the batch. */
static void forward_submit(struct node *node, const struct link *link,
                           const struct message *message)
{
    struct request *request = node_request(node);
    if (!parse_whole(node, message->body, request)) {
        refuse_forward(node, link->conn, message->FORWARD.number, ANSWER_REFUSED,
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
    op->patience_ms = message->FORWARD.deadline_ms;
    op->digest = message->FORWARD.digest;
    op_place(node, op);
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

static enum err take_part(struct node *node, struct link *link, const struct message *part)
{
    bool is_whole = false;
    enum err err = link_parts_add(link, part, &is_whole);
    if (err || !is_whole)
        return err;
    take_whole(node, link, &link->parts->first);
    node_flush(node); /* what was submitted borrows from the parts */
    link_parts_end(link);
    return ERR_OK;
}

/* A message on a link that is up. FORWARDs come over links others dialled, ANSWERs over our own. */
static enum err take_message(struct node *node, struct link *link, const struct message *message)
{
    if (message->kind == MESSAGE_PART)
        return take_part(node, link, message);
    if (message->kind != (link->is_dialled ? MESSAGE_ANSWER : MESSAGE_FORWARD))
        return ERR_SYNTAX;
    uint32_t total = link->is_dialled ? message->ANSWER.total : message->FORWARD.total;
    if (total == message->body.len) {
        take_whole(node, link, message);
        return ERR_OK;
    }
    return link_parts_begin(link, message, total, PARTS_BYTES_MAX);
}

/* What a control link carries is gossip's. */
static enum err take_control(struct node *node, struct link *link, const struct message *message)
{
    struct reply *out = link_out(&node->links, link);
    if (message->kind < MESSAGE_GET_MEMBERSHIP_LIST)
        return ERR_SYNTAX;
    return out ? gossip_message(&node->gossip, link->peer, message, out, node->now) : ERR_OK;
}

/* A message on a link that is up. */
static void take_linked(struct node *node, struct link *link, const struct message *message)
{
    enum err err;
    if (link->lane == LANE_DATA)
        err = message->kind <= MESSAGE_PART ? take_message(node, link, message) : ERR_SYNTAX;
    else
        err = take_control(node, link, message);
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
    if (link && link->state == LINK_UP && message.kind >= MESSAGE_FORWARD)
        take_linked(node, link, &message);
    else
        links_handshake(&node->links, link, conn, &message, boot_known(node, link, &message),
                        node->now);
    tell_news(node);
}

void node_frame_bad(struct node *node, struct conn_id conn, bool crc)
{
    const char *reason = crc ? "a frame's checksum was wrong" : "a malformed frame";
    if (crc)
        node->stats.frames_bad_crc++;
    else
        node->stats.frames_malformed++;
    struct link *link = links_find(&node->links, conn);
    if (link) {
        links_end(&node->links, link, DISCONNECT_DENIED, reason, node->now);
        tell_news(node);
        return;
    }
    char client[CLIENT_TEXT_BYTES_MAX];
    node->env->client_text(node->env->shell, conn, client);
    log_line(node->log, node->now, LOG_WARN, "peer-refused", "address=%s reason=\"%s\"", client,
             reason);
    node->env->close(node->env->shell, conn, false);
}

void node_connected(struct node *node, struct conn_id conn)
{
    if (direct_connected(&node->direct, conn))
        return;
    struct link *link = links_find(&node->links, conn);
    if (link)
        links_connected(&node->links, link);
}

void node_disconnected(struct node *node, struct conn_id conn, enum disconnect why)
{
    if (direct_disconnected(&node->direct, conn)) {
        tell_direct(node);
        return;
    }
    struct link *link = links_find(&node->links, conn);
    if (link)
        links_end(&node->links, link, why, NULL, node->now);
    tell_news(node);
}

void node_client_line(struct node *node, struct conn_id conn, struct span line)
{
    if (direct_line(&node->direct, conn, line, node->now))
        tell_direct(node);
    else
        node->env->close(node->env->shell, conn, false); /* nobody waits for what it says */
}

uint64_t node_deadline(const struct node *node)
{
    if (node->is_ring_due)
        return node->now.mono_ms;
    const uint64_t deadlines[] = {node->store_tick_ms, coord_deadline(&node->coord),
                                  links_deadline(&node->links), gossip_deadline(&node->gossip),
                                  direct_deadline(&node->direct)};
    uint64_t earliest = UINT64_MAX;
    for (size_t i = 0; i < ARRAY_COUNT(deadlines); i++)
        earliest = deadlines[i] < earliest ? deadlines[i] : earliest;
    return earliest;
}

void node_tick(struct node *node)
{
    struct link *late;
    while ((late = links_late(&node->links, node->now)))
        links_end(&node->links, late, links_lateness(&node->links, late), "no answer in time",
                  node->now);
    tell_news(node);
    /* Answers come in the order of the forwards, so all behind a late one are late too. Ending the
     * link makes the other end drop what nobody waits for any more, instead of carrying it out
     * first. */
    uint32_t peer;
    while (coord_late(&node->coord, node->now, &peer)) {
        struct link *link = peer == PEER_NONE ? NULL : links_dialled(&node->links, peer, LANE_DATA);
        if (link && link->state == LINK_UP)
            links_end(&node->links, link, DISCONNECT_TIMEOUT, "an answer did not come in time",
                      node->now);
        tell_news(node);
    }
    coord_retry(&node->coord, node->now);
    gossip_tick(&node->gossip, node->now);
    tell_news(node);
    direct_tick(&node->direct, node->now);
    tell_direct(node);
    if (node->is_ring_due)
        take_ring(node);
    if (node->now.mono_ms >= node->sweep_ms) {
        links_sweep(&node->links, node->now);
        tell_news(node);
        node->sweep_ms = node->now.mono_ms + SWEEP_MS;
    }
    if (node->now.mono_ms >= node->store_tick_ms) {
        bool has_more = store_tick(node->store, STORE_TICK_ITEMS);
        node->store_tick_ms =
            node->now.mono_ms + (has_more ? STORE_TICK_BUSY_MS : STORE_TICK_IDLE_MS);
    }
}

void node_seed(struct node *node, const struct view *seeds)
{
    node->options.seeds = seeds;
    gossip_seed(&node->gossip, seeds, node->now);
}

void node_leave(struct node *node)
{
    node->is_leave_due = false;
    if (node->is_leaving)
        return;
    node->is_leaving = true;
    gossip_leave(&node->gossip, node->now);
    tell_news(node);
}

bool node_has_link(const struct node *node, struct conn_id conn)
{
    return links_find(&node->links, conn) != NULL;
}

size_t node_forward_count(const struct node *node)
{
    return node->coord.count;
}

const struct gossip *node_gossip(const struct node *node)
{
    return &node->gossip;
}

struct stats *node_stats(struct node *node)
{
    return &node->stats;
}

const struct route *node_route(const struct node *node)
{
    return &node->route;
}
