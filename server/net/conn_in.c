#include "server/net/conn_in.h"

#include "common/check.h"
#include "common/frame.h"
#include "server/net/conn_out.h"
#include "server/net/evidence.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define BATCH_MAX           64u
#define LARGE_ANSWERS_BYTES (256u * 1024) /* a batch that makes more makes the next one small */
/* A connection above the limit proves in this time that it is a node's. */
#define HELLO_MS_MAX 1000
/* A client that never stops sending does not keep a node from stopping. */
#define FINISH_READS_MAX 1024

static void submit(struct conn *conn)
{
    conn_touch(conn);
    node_submit(conn->turn->node, conn->id, &conn->session);
}

static void submit_error(struct conn *conn, struct request *request, struct span error)
{
    request->command = CMD_INVALID;
    request->part = PART_WHOLE;
    request->noreply = false;
    request->error = error;
    submit(conn);
}

static void refuse_over_limit(struct conn *conn, struct request *request)
{
    conn->turn->refused_total++;
    submit_error(conn, request, SPAN_LITERAL(BUSY_ANSWER));
    conn_drain(conn);
}

/* A request is there. Returns false if it ends this way of parsing. */
static bool take_request(struct conn *conn, struct request *request)
{
    if (UNLIKELY(conn->is_over_limit) && request->command != CMD_HELLO) {
        refuse_over_limit(conn, request);
        return false;
    }
    switch (request->command) {
    case CMD_QUIT:
        conn_drain(conn);
        return false;
    case CMD_HELLO:
        if (conn->session.next_seq > 0) {
            submit_error(conn, request, SPAN_LITERAL("ERROR\r\n"));
            return true;
        }
        conn->role = CONN_PEER;
        conn->is_over_limit = false;
        event_remove_timer(&conn->readable);
        conn->turn->client_count--;
        conn_between_nodes(conn->fd);
        conn_watch_idle(conn->fd);
        return false;
    default:
        submit(conn);
        return true;
    }
}

/* What one pass over a connection's input has put into the node's batch. */
struct batching {
    uint32_t count;       /* since the batch was last carried out */
    size_t answers_bytes; /* held for the connection then */
};

static struct batching batching_begin(const struct conn *conn)
{
    return (struct batching){.answers_bytes = session_bytes(&conn->session)};
}

/* Carries the batch out when this connection has put enough into it: little where its answers have
 * been large, since all of a batch's answers are made before one of them is sent. */
static void batching_bound(struct conn *conn, struct batching *batching)
{
    if (batching->count < conn->batch_max)
        return;
    node_flush(conn->turn->node);
    size_t answers_bytes = session_bytes(&conn->session);
    uint32_t twice = conn->batch_max * 2u;
    if (answers_bytes > batching->answers_bytes + LARGE_ANSWERS_BYTES)
        conn->batch_max = 1;
    else
        conn->batch_max = (uint8_t)(twice < BATCH_MAX ? twice : BATCH_MAX);
    *batching = batching_begin(conn);
}

/* Whether more of a connection's input may be taken now; if not, it is paused. */
static bool may_go_on(struct conn *conn, struct batching *batching)
{
    batching_bound(conn, batching);
    conn->is_paused = conn_must_wait(conn);
    return !conn->is_paused;
}

static void take_foreign(struct conn *conn, struct request *request)
{
    if (request->error.len > 0)
        submit_error(conn, request, request->error);
    log_line(conn->turn->log, conn->turn->now, LOG_WARN, "client-refused",
             "client=%s reason=\"not the memcached text protocol\"", conn_text(conn));
    conn_drain(conn);
}

/* The value announced does not fit into memory: refuse it as the store would, and swallow it. */
static void refuse_body(struct conn *conn, const char *in, size_t len, size_t *consumed)
{
    const struct request_limits nothing = {.value_bytes_max = 0};
    struct request *request = node_request(conn->turn->node);
    size_t need;
    if (request_parse(&conn->parser, &nothing, in, len, request, consumed, &need) != PARSE_DONE) {
        conn_drain(conn); /* no body but an endless line of keys */
        return;
    }
    bool noreply = request->noreply;
    submit_error(conn, request,
                 noreply ? SPAN_LITERAL("")
                         : SPAN_LITERAL("SERVER_ERROR out of memory storing object\r\n"));
}

/* Parses requests from in; returns how many bytes are done with. */
static size_t parse_requests(struct conn *conn, const char *in, size_t len)
{
    struct node *node = conn->turn->node;
    const struct request_limits limits = {.value_bytes_max = conn->turn->value_bytes_max};
    size_t at = 0;
    struct batching batching = batching_begin(conn);
    conn->in_need = 0;
    while (at < len && conn->state == CONN_OPEN) {
        if (!may_go_on(conn, &batching))
            break;
        struct request *request = node_request(node);
        size_t consumed = 0, need = 0;
        enum parse result =
            request_parse(&conn->parser, &limits, in + at, len - at, request, &consumed, &need);
        if (result == PARSE_DONE) {
            if (!take_request(conn, request))
                return request->command == CMD_HELLO ? at : len;
            at += consumed;
            batching.count++;
        } else if (result == PARSE_CLOSE) {
            take_foreign(conn, request);
            return len;
        } else {
            at += consumed;
            if (need > TURN_READ_BYTES && !budget_stretches(conn->turn->budget, need)) {
                refuse_body(conn, in + at, len - at, &consumed);
                at += consumed;
                continue;
            }
            conn->in_need = need;
            break;
        }
    }
    if (at > 0) /* requests, or a part of a body that is swallowed */
        conn_mark_active(conn);
    return at;
}

static size_t parse_frames(struct conn *conn, const char *in, size_t len)
{
    struct node *node = conn->turn->node;
    size_t at = 0;
    struct batching batching = batching_begin(conn);
    conn->in_need = 0;
    while (at < len && conn->state == CONN_OPEN) {
        if (!may_go_on(conn, &batching))
            break;
        struct frame frame;
        size_t consumed, need;
        enum frame_parse result = frame_parse(in + at, len - at, &frame, &consumed, &need);
        if (result == FRAME_MORE) {
            conn->in_need = need;
            break;
        }
        if (result != FRAME_DONE) {
            node_frame_bad(node, conn->id, result == FRAME_BAD_CRC);
            return len;
        }
        node_frame(node, conn->id, &frame);
        at += consumed;
        batching.count++;
    }
    return at;
}

/* What a client says on a connection made to it. */
static size_t parse_lines(struct conn *conn, const char *in, size_t len)
{
    size_t at = 0;
    while (at < len && conn->state == CONN_OPEN) {
        const char *stop = memchr(in + at, '\n', len - at);
        size_t line_len = stop ? (size_t)(stop - in) - at : len - at;
        if (line_len > CLIENT_LINE_BYTES_MAX + 1) {
            conn_lost(conn, DISCONNECT_RESET);
            break;
        }
        if (!stop)
            break;
        bool has_cr = line_len > 0 && stop[-1] == '\r';
        node_client_line(conn->turn->node, conn->id, span_of(in + at, line_len - has_cr));
        at += line_len + 1;
    }
    return at;
}

static size_t parse(struct conn *conn, const char *in, size_t len)
{
    size_t at = 0;
    if (conn->role == CONN_CLIENT)
        at = parse_requests(conn, in, len);
    if (conn->role == CONN_PEER && conn->state == CONN_OPEN)
        at += parse_frames(conn, in + at, len - at);
    if (conn->role == CONN_RAW && conn->state == CONN_OPEN)
        at += parse_lines(conn, in + at, len - at);
    if (conn->is_paused) {
        conn_stop_reading(conn);
        conn_touch(conn);
    } else if (conn->has_eof) {
        if (conn->role != CONN_CLIENT && !conn->turn->is_stopping)
            conn_lost(conn, DISCONNECT_CLOSED);
        else
            conn_drain(conn);
    }
    return conn->state == CONN_OPEN ? at : len;
}

/* Parses what lies in conn->in, in place; the batch must be done before it moves. */
static void parse_kept(struct conn *conn)
{
    struct span in = buf_span(&conn->in);
    size_t done = parse(conn, in.data, in.len);
    node_flush(conn->turn->node);
    buf_consume(&conn->in, done);
    if (buf_len(&conn->in) == 0)
        buf_close(&conn->in);
}

/* After a read of nothing. Returns whether the connection is to be parsed once more. */
static bool read_ended(struct conn *conn, ssize_t result)
{
    bool is_empty = result == -EAGAIN;
    if (result == -EINTR)
        return false;
    if (is_empty && !conn->is_finishing)
        return false;
    if (result < 0 && !is_empty) {
        conn_lost(conn, evidence_of((int)-result));
        return false;
    }
    conn->has_eof = true;
    conn_stop_reading(conn);
    return true;
}

/* Whether what comes next is the rest of a large body: it is read to where it stays. */
static bool is_in_body(const struct conn *conn)
{
    return conn->in_need > TURN_READ_BYTES;
}

/* What has come of a body finds no memory to stay in. */
static void refuse_kept(struct conn *conn)
{
    struct span in = buf_span(&conn->in);
    size_t consumed = 0;
    refuse_body(conn, in.data, in.len, &consumed);
    node_flush(conn->turn->node);
    buf_close(&conn->in);
    conn->in_need = 0;
}

/* A large body: read to where it stays, as much as has been announced, never more room at a time
 * than what has come already, so that an announcement alone takes no memory. */
static bool aim_at_body(struct conn *conn, struct volley_call *call)
{
    size_t len = buf_len(&conn->in);
    size_t room = conn->in_need - len;
    size_t step = len > TURN_READ_BYTES ? len : TURN_READ_BYTES;
    if (room > step)
        room = step;
    if (!budget_stretches(conn->turn->budget, room)) {
        refuse_kept(conn);
        return false;
    }
    call->bytes = buf_reserve(&conn->in, room);
    call->len = room;
    return true;
}

static void take_body(struct conn *conn, size_t got)
{
    buf_advance(&conn->in, got);
    if (got > 0)
        conn_mark_active(conn);
    if (conn->has_eof || buf_len(&conn->in) >= conn->in_need)
        parse_kept(conn);
}

/* The usual case: what was left and what comes now lie in the arena together. */
static void take_arena(struct conn *conn, char *at, size_t got)
{
    struct span kept = buf_span(&conn->in);
    size_t len = kept.len + got;
    at -= kept.len;
    if (UNLIKELY(kept.len > 0)) {
        memcpy(at, kept.data, kept.len);
        buf_close(&conn->in);
    }
    size_t done = parse(conn, at, len);
    if (LIKELY(done == len))
        return;
    buf_append(&conn->in, at + done, len - done);
    if (conn->role == CONN_CLIENT && len - done > LINE_BYTES_MAX && !conn->is_paused &&
        !budget_stretches(conn->turn->budget, 0))
        refuse_kept(conn);
}

static size_t read_bytes(const struct conn *conn)
{
    return conn->role == CONN_PEER ? TURN_PEER_READ_BYTES : TURN_READ_BYTES;
}

static size_t conn_arena_bytes(const struct conn *conn)
{
    return is_in_body(conn) ? 0 : buf_len(&conn->in) + read_bytes(conn);
}

static bool conn_aim(struct conn *conn, char *arena, struct volley_call *call)
{
    if (conn->state != CONN_OPEN || conn->is_paused)
        return false;
    call->kind = VOLLEY_RECEIVE;
    call->fd = conn->fd;
    if (UNLIKELY(is_in_body(conn)))
        return aim_at_body(conn, call);
    call->bytes = arena + buf_len(&conn->in);
    call->len = read_bytes(conn);
    return true;
}

static void conn_take(struct conn *conn, const struct volley_call *call)
{
    if (conn->state != CONN_OPEN)
        return;
    if (call->result <= 0 && !read_ended(conn, call->result))
        return;
    size_t got = call->result > 0 ? (size_t)call->result : 0;
    node_stats(conn->turn->node)->bytes_read += got;
    if (UNLIKELY(is_in_body(conn)))
        take_body(conn, got);
    else
        take_arena(conn, call->bytes, got);
}

/* Reads once, and parses what there is, now. */
static void conn_read(struct conn *conn)
{
    struct volley_call call;
    CHECK(conn_arena_bytes(conn) <= TURN_ARENA_BYTES);
    if (!conn_aim(conn, conn->turn->arena, &call))
        return;
    volley_fire(conn->turn->volley, &call, 1);
    conn_take(conn, &call);
    node_flush(conn->turn->node);
}

/* The time a connection had has passed: to hear its last answer, or to say that it is a node's. */
static void on_silence(struct conn *conn)
{
    if (conn->state == CONN_OPEN && conn->is_over_limit)
        refuse_over_limit(conn, node_request(conn->turn->node));
    else if (conn->state == CONN_LINGERING)
        conn_end(conn);
}

/* The node stops: takes what has come already, answers it, then ends. */
static void conn_finish(struct conn *conn)
{
    conn->is_finishing = true;
    for (int i = 0; i < FINISH_READS_MAX && conn->state == CONN_OPEN && !conn->is_paused; i++)
        conn_read(conn);
    if (!conn->is_paused)
        conn_drain(conn);
}

/* Parses on where it was paused. */
static void conn_resume(struct conn *conn)
{
    list_remove(&conn->in_resumed);
    if (conn->state != CONN_OPEN)
        return;
    CHECK(conn->is_paused);
    conn->is_paused = false;
    parse_kept(conn);
    if (conn->is_paused || conn->state != CONN_OPEN || conn->has_eof)
        return;
    if (conn->is_finishing)
        conn_finish(conn);
    else
        event_add(&conn->readable, NULL);
}

/* Reads connections from reading[first] on, as many as the arena has room for, and parses what has
 * come. Returns how many. */
static uint32_t read_some(struct turn *turn, uint32_t first)
{
    struct volley_call calls[TURN_READS_MAX];
    struct conn *aimed[TURN_READS_MAX];
    uint32_t count = 0, i = first;
    size_t used = 0;
    node_flush(turn->node); /* what was read before is done with the arena */
    for (; i < turn->reading_count; i++) {
        struct conn *conn = turn->reading[i];
        size_t bytes = conn_arena_bytes(conn);
        CHECK(bytes <= TURN_ARENA_BYTES);
        if (used + bytes > TURN_ARENA_BYTES)
            break;
        if (!conn_aim(conn, turn->arena + used, &calls[count]))
            continue;
        used += bytes;
        aimed[count++] = conn;
    }
    volley_fire(turn->volley, calls, count);
    for (uint32_t k = 0; k < count; k++)
        conn_take(aimed[k], &calls[k]);
    return i - first;
}

void conns_settle(struct turn *turn)
{
    for (uint32_t first = 0; first < turn->reading_count;)
        first += read_some(turn, first);
    turn->reading_count = 0;
    node_finish(turn->node, turn_clock());
    conns_send(turn);
    node_sent(turn->node);
}

/* The connection is readable: it is read with others, within the turn. */
static void read_soon(struct turn *turn, struct conn *conn)
{
    turn->reads++;
    turn->reading[turn->reading_count++] = conn;
    if (turn->reading_count == TURN_READS_MAX)
        conns_settle(turn);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    struct conn *conn = conn_of(arg);
    turn_begin(conn->turn);
    if (what & EV_TIMEOUT)
        on_silence(conn);
    else if (conn->state == CONN_LINGERING)
        conn_discard(conn);
    else if (conn->state == CONN_OPEN && !conn->is_paused)
        read_soon(conn->turn, conn);
}

static void conn_watch(struct conn *conn, int fd)
{
    conn->fd = fd;
    CHECK(event_assign(&conn->readable, conn->turn->base, fd, EV_READ | EV_PERSIST, on_readable,
                       conn) == 0);
    CHECK(event_assign(&conn->writable, conn->turn->base, fd, EV_WRITE, conn_on_writable, conn) ==
          0);
    event_add(&conn->readable, NULL);
}

struct conn *conn_accept(struct turn *turn, int fd)
{
    struct conn *conn = conn_open(turn, CONN_CLIENT);
    conn_watch(conn, fd);
    return conn;
}

void conn_limit(struct conn *conn)
{
    const struct timeval limit = turn_timeval(HELLO_MS_MAX);
    conn->is_over_limit = true;
    event_add(&conn->readable, &limit);
}

void conn_connected(struct conn *conn, int fd)
{
    CHECK(conn->is_dialled && conn->fd < 0);
    conn_watch(conn, fd);
    node_connected(conn->turn->node, conn->id);
    conn_touch(conn);
}

void conns_resume(struct turn *turn)
{
    struct list due;
    struct list *link;
    list_init(&due);
    while ((link = list_first(&turn->resumed))) {
        list_remove(link);
        list_append(&due, link);
    }
    if (list_is_empty(&due))
        return;
    turn_begin(turn);
    while ((link = list_first(&due)))
        conn_resume(CONTAINER_OF(link, struct conn, in_resumed));
}

void conns_finish(struct turn *turn, bool clients_only)
{
    for (uint32_t i = 0; i < turn->conns_capacity; i++) {
        struct conn *conn = turn->conns[i];
        if (conn && !conn->is_dialled && !(clients_only && conn->role != CONN_CLIENT))
            conn_finish(conn);
    }
}
