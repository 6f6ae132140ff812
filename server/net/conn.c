#include "server/net/conn.h"

#include "common/check.h"
#include "common/frame.h"
#include "server/net/evidence.h"
#include "server/net/sockname.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_PIECES_MAX     64             /* iovecs a call */
#define SEND_BYTES_MAX      (1u << 30)     /* of a call in a volley */
#define SPARE_BYTES_MAX     (64u * 1024)   /* a larger buffer is not kept for later */
#define ANSWERS_HIGH_BYTES  (1024u * 1024) /* above this a client's further input waits */
#define ANSWERS_LOW_BYTES   (256u * 1024)
#define BATCH_MAX           64u
#define OPEN_PER_BATCH      16u           /* requests under way: 16 × batch_max = 1,024 */
#define LARGE_ANSWERS_BYTES (256u * 1024) /* a batch that makes more makes the next one small */
#define LINGER_MS           1000
/* Bytes that a node's machine does not acknowledge for so long mean that it is gone, or no way
 * leads there; a new connection finds out sooner when that is over than the old one's growing
 * pauses. */
#define PEER_UNACKED_MS_MAX 3000u
#define HELLO_MS_MAX                                                                               \
    1000 /* a connection above the limit proves in this time that it is a node's                   \
          */
#define FINISH_READS_MAX                                                                           \
    1024 /* a client that never stops sending does not keep a node from stopping */

static struct conn *conn_of(void *arg)
{
    struct conn *conn = arg;
    CHECK(conn->magic == CONN_MAGIC);
    return conn;
}

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

static void mark_active(struct conn *conn)
{
    conn->active_s = (uint32_t)(conn->shell->now.mono_ms / 1000);
}

static uint32_t index_take(struct shell *shell)
{
    if (shell->free_count > 0)
        return shell->free_indices[--shell->free_count];
    uint32_t old = shell->conns_capacity;
    uint32_t capacity = old ? old * 2 : 64;
    shell->conns = realloc(shell->conns, capacity * sizeof(*shell->conns));
    shell->generations = realloc(shell->generations, capacity * sizeof(*shell->generations));
    shell->free_indices = realloc(shell->free_indices, capacity * sizeof(*shell->free_indices));
    CHECK(shell->conns && shell->generations && shell->free_indices);
    for (uint32_t i = capacity - 1; i >= old && i != UINT32_MAX; i--) {
        shell->conns[i] = NULL;
        shell->generations[i] = 0;
        shell->free_indices[shell->free_count++] = i;
    }
    shell->conns_capacity = capacity;
    return shell->free_indices[--shell->free_count];
}

static void conn_watch(struct conn *conn, int fd)
{
    conn->fd = fd;
    CHECK(event_assign(&conn->readable, conn->shell->base, fd, EV_READ | EV_PERSIST, on_readable,
                       conn) == 0);
    CHECK(event_assign(&conn->writable, conn->shell->base, fd, EV_WRITE, on_writable, conn) == 0);
    event_add(&conn->readable, NULL);
}

static struct conn *conn_open(struct shell *shell, enum conn_role role)
{
    bool is_dialled = role != CONN_CLIENT; /* an accepted one is a client's until it says HELLO */
    struct conn *conn = calloc(1, sizeof(*conn));
    CHECK(conn != NULL);
    conn->magic = CONN_MAGIC;
    conn->shell = shell;
    conn->is_dialled = is_dialled;
    conn->role = role;
    conn->batch_max = 1; /* until the size of its answers is known */
    mark_active(conn);
    conn->in.budget = shell->budget;
    conn->session.out.bytes.budget = shell->budget;
    conn->id.index = index_take(shell);
    uint32_t *generation = &shell->generations[conn->id.index];
    conn->id.generation = *generation = *generation + 1 != 0 ? *generation + 1 : 1;
    shell->conns[conn->id.index] = conn;
    shell->conn_count++;
    shell->accepted_count += !is_dialled;
    shell->client_count += !is_dialled;
    conn->fd = -1;
    return conn;
}

struct conn *conn_accept(struct shell *shell, int fd)
{
    struct conn *conn = conn_open(shell, CONN_CLIENT);
    conn_watch(conn, fd);
    return conn;
}

struct conn *conn_dial(struct shell *shell, enum conn_role role)
{
    CHECK(role != CONN_CLIENT);
    return conn_open(shell, role);
}

void conn_limit(struct conn *conn)
{
    const struct timeval limit = {.tv_sec = HELLO_MS_MAX / 1000};
    conn->is_over_limit = true;
    event_add(&conn->readable, &limit);
}

void conn_connected(struct conn *conn, int fd)
{
    CHECK(conn->is_dialled && conn->fd < 0);
    conn_watch(conn, fd);
    node_connected(conn->shell->node, conn->id);
    conn_touch(conn);
}

struct conn *conn_find(const struct shell *shell, struct conn_id id)
{
    if (id.index >= shell->conns_capacity || !shell->conns[id.index])
        return NULL;
    struct conn *conn = shell->conns[id.index];
    return conn->id.generation == id.generation && conn->state != CONN_CLOSED ? conn : NULL;
}

void conn_touch(struct conn *conn)
{
    if (list_is_linked(&conn->in_dirty))
        return;
    list_append(&conn->shell->dirty, &conn->in_dirty);
    /* The answer is written into a buffer that has grown before. */
    struct shell *shell = conn->shell;
    if (conn->session.out.bytes.capacity == 0 && shell->spare_count > 0) {
        conn->session.out.bytes = shell->spares[--shell->spare_count];
    }
}

static void stop_reading(struct conn *conn)
{
    if (conn->fd >= 0)
        event_del(&conn->readable);
}

void conn_drain(struct conn *conn)
{
    if (conn->state != CONN_OPEN)
        return;
    conn->state = CONN_DRAINING;
    stop_reading(conn);
    conn_touch(conn);
}

void conn_end(struct conn *conn)
{
    if (conn->state == CONN_CLOSED)
        return;
    conn->state = CONN_CLOSED;
    conn_touch(conn);
}

void conn_lost(struct conn *conn, enum disconnect why)
{
    if (conn->state == CONN_CLOSED)
        return;
    conn_end(conn);
    if (conn->role != CONN_CLIENT)
        node_disconnected(conn->shell->node, conn->id, why);
}

void conn_free(struct conn *conn)
{
    struct shell *shell = conn->shell;
    if (conn->fd >= 0) {
        event_del(&conn->readable);
        event_del(&conn->writable);
        close(conn->fd);
    }
    list_remove(&conn->in_dirty);
    list_remove(&conn->in_resumed);
    buf_close(&conn->in);
    session_close(&conn->session);
    free(conn->client_text);
    shell->conns[conn->id.index] = NULL;
    shell->free_indices[shell->free_count++] = conn->id.index;
    shell->conn_count--;
    shell->accepted_count -= !conn->is_dialled;
    shell->client_count -= conn->role == CONN_CLIENT;
    conn->magic = 0;
    free(conn);
}

void conn_between_nodes(int fd)
{
    int on = 1;
    unsigned unacked_ms = PEER_UNACKED_MS_MAX;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof(unacked_ms));
}

uint64_t conn_unacked(const struct conn *conn)
{
    int in_socket = 0;
    if (conn->fd >= 0 && ioctl(conn->fd, SIOCOUTQ, &in_socket) != 0)
        in_socket = 0;
    return (uint64_t)in_socket + reply_len(&conn->session.out);
}

const char *conn_text(struct conn *conn)
{
    if (conn->client_text)
        return conn->client_text;
    struct sockaddr_storage storage = {0};
    struct sockaddr *address = (struct sockaddr *)&storage;
    socklen_t len = sizeof(storage);
    char text[CLIENT_TEXT_BYTES_MAX];
    if (conn->fd < 0 || getpeername(conn->fd, address, &len) != 0 ||
        !sockname_format(address, len, text, sizeof(text), NULL))
        return "-";
    conn->client_text = strdup(text);
    CHECK(conn->client_text != NULL);
    return conn->client_text;
}

/* --- input ------------------------------------------------------------------------------------ */

/* Whether the client must take answers before more of its requests are looked at. What a node
 * dialled is never held back: the answers that come on it are what others wait for. */
static bool must_wait(const struct conn *conn)
{
    return !conn->is_dialled &&
           (session_bytes(&conn->session) + session_remote_bytes(&conn->session) >
                ANSWERS_HIGH_BYTES ||
            session_open_count(&conn->session) >= OPEN_PER_BATCH * conn->batch_max);
}

static void submit(struct conn *conn)
{
    conn_touch(conn);
    node_submit(conn->shell->node, conn->id, &conn->session);
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
    conn->shell->refused_total++;
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
        conn->shell->client_count--;
        conn_between_nodes(conn->fd);
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
    node_flush(conn->shell->node);
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
    conn->is_paused = must_wait(conn);
    return !conn->is_paused;
}

static void take_foreign(struct conn *conn, struct request *request)
{
    if (request->error.len > 0)
        submit_error(conn, request, request->error);
    log_line(conn->shell->log, conn->shell->now, LOG_WARN, "client-refused",
             "client=%s reason=\"not the memcached text protocol\"", conn_text(conn));
    conn_drain(conn);
}

/* The value announced does not fit into memory: refuse it as the store would, and swallow it. */
static void refuse_body(struct conn *conn, const char *in, size_t len, size_t *consumed)
{
    const struct request_limits nothing = {.value_bytes_max = 0};
    struct request *request = node_request(conn->shell->node);
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
    struct node *node = conn->shell->node;
    const struct request_limits limits = {.value_bytes_max = conn->shell->options.value_bytes_max};
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
            mark_active(conn);
        } else if (result == PARSE_CLOSE) {
            take_foreign(conn, request);
            return len;
        } else {
            at += consumed;
            if (consumed > 0)
                mark_active(conn); /* of a body that is swallowed */
            if (need > CONN_READ_BYTES && !budget_stretches(conn->shell->budget, need)) {
                refuse_body(conn, in + at, len - at, &consumed);
                at += consumed;
                continue;
            }
            conn->in_need = need;
            break;
        }
    }
    return at;
}

static size_t parse_frames(struct conn *conn, const char *in, size_t len)
{
    struct node *node = conn->shell->node;
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
        node_client_line(conn->shell->node, conn->id, span_of(in + at, line_len - has_cr));
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
        stop_reading(conn);
        conn_touch(conn);
    } else if (conn->has_eof) {
        if (conn->role != CONN_CLIENT && !conn->shell->is_stopping)
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
    node_flush(conn->shell->node);
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
    if (is_empty && !conn->shell->is_stopping)
        return false;
    if (result < 0 && !is_empty) {
        conn_lost(conn, evidence_of((int)-result));
        return false;
    }
    conn->has_eof = true;
    stop_reading(conn);
    return true;
}

/* Whether what comes next is the rest of a large body: it is read to where it stays. */
static bool is_in_body(const struct conn *conn)
{
    return conn->in_need > CONN_READ_BYTES;
}

/* What has come of a body finds no memory to stay in. */
static void refuse_kept(struct conn *conn)
{
    struct span in = buf_span(&conn->in);
    size_t consumed = 0;
    refuse_body(conn, in.data, in.len, &consumed);
    node_flush(conn->shell->node);
    buf_close(&conn->in);
    conn->in_need = 0;
}

/* A large body: read to where it stays, as much as has been announced, never more room at a time
 * than what has come already, so that an announcement alone takes no memory. */
static bool aim_at_body(struct conn *conn, struct volley_call *call)
{
    size_t len = buf_len(&conn->in);
    size_t room = conn->in_need - len;
    size_t step = len > CONN_READ_BYTES ? len : CONN_READ_BYTES;
    if (room > step)
        room = step;
    if (!budget_stretches(conn->shell->budget, room)) {
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
        mark_active(conn);
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
        !budget_stretches(conn->shell->budget, 0))
        refuse_kept(conn);
}

size_t conn_arena_bytes(const struct conn *conn)
{
    return is_in_body(conn) ? 0 : buf_len(&conn->in) + CONN_READ_BYTES;
}

bool conn_aim(struct conn *conn, char *arena, struct volley_call *call)
{
    if (conn->state != CONN_OPEN || conn->is_paused)
        return false;
    call->kind = VOLLEY_RECEIVE;
    call->fd = conn->fd;
    if (UNLIKELY(is_in_body(conn)))
        return aim_at_body(conn, call);
    call->bytes = arena + buf_len(&conn->in);
    call->len = CONN_READ_BYTES;
    return true;
}

void conn_take(struct conn *conn, const struct volley_call *call)
{
    if (conn->state != CONN_OPEN)
        return;
    if (call->result <= 0 && !read_ended(conn, call->result))
        return;
    size_t got = call->result > 0 ? (size_t)call->result : 0;
    node_stats(conn->shell->node)->bytes_read += got;
    if (UNLIKELY(is_in_body(conn)))
        take_body(conn, got);
    else
        take_arena(conn, call->bytes, got);
}

/* Reads once, and parses what there is, now. */
static void conn_read(struct conn *conn)
{
    struct volley_call call;
    CHECK(conn_arena_bytes(conn) <= SHELL_ARENA_BYTES);
    if (!conn_aim(conn, conn->shell->arena, &call))
        return;
    volley_fire(conn->shell->volley, &call, 1);
    conn_take(conn, &call);
    node_flush(conn->shell->node);
}

void conn_resume(struct conn *conn)
{
    list_remove(&conn->in_resumed);
    if (conn->state != CONN_OPEN)
        return;
    CHECK(conn->is_paused);
    conn->is_paused = false;
    parse_kept(conn);
    if (conn->is_paused || conn->state != CONN_OPEN || conn->has_eof)
        return;
    if (conn->shell->is_stopping)
        conn_finish(conn);
    else
        event_add(&conn->readable, NULL);
}

void conn_finish(struct conn *conn)
{
    for (int i = 0; i < FINISH_READS_MAX && conn->state == CONN_OPEN && !conn->is_paused; i++)
        conn_read(conn);
    if (!conn->is_paused)
        conn_drain(conn);
}

static void linger_on(struct conn *conn)
{
    uint64_t now_ms = conn->shell->now.mono_ms;
    if (now_ms >= conn->linger_by_ms) {
        conn_end(conn);
        return;
    }
    uint64_t left_ms = conn->linger_by_ms - now_ms;
    const struct timeval limit = {.tv_sec = (time_t)(left_ms / 1000),
                                  .tv_usec = (suseconds_t)(left_ms % 1000 * 1000)};
    event_add(&conn->readable, &limit);
}

/* What a client still says after its last answer is thrown away. */
static void discard(struct conn *conn)
{
    ssize_t got = recv(conn->fd, conn->shell->arena, CONN_READ_BYTES, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        conn_end(conn);
    else
        linger_on(conn);
}

/* The time a connection had has passed: to hear its last answer, or to say that it is a node's. */
static void on_silence(struct conn *conn)
{
    if (conn->state == CONN_OPEN && conn->is_over_limit)
        refuse_over_limit(conn, node_request(conn->shell->node));
    else if (conn->state == CONN_LINGERING)
        conn_end(conn);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    struct conn *conn = conn_of(arg);
    shell_turn(conn->shell);
    if (what & EV_TIMEOUT)
        on_silence(conn);
    else if (conn->state == CONN_LINGERING)
        discard(conn);
    else if (conn->state == CONN_OPEN && !conn->is_paused)
        shell_read_soon(conn->shell, conn);
}

/* --- output ----------------------------------------------------------------------------------- */

static void keep_spare(struct conn *conn)
{
    struct shell *shell = conn->shell;
    struct buf *bytes = &conn->session.out.bytes;
    if (bytes->capacity > 0 && bytes->capacity <= SPARE_BYTES_MAX &&
        shell->spare_count < SPARE_COUNT_MAX) {
        shell->spares[shell->spare_count++] = *bytes;
        *bytes = (struct buf){.budget = shell->budget};
    } else {
        buf_close(bytes);
    }
}

/* Memory is full, and this connection holds much of it by not reading. */
static void drop_slow(struct conn *conn)
{
    if (conn->state == CONN_CLOSED || conn->role == CONN_PEER)
        return; /* what a node is owed is bounded by its being paused */
    log_line(conn->shell->log, conn->shell->now, LOG_WARN, "client-dropped",
             "client=%s reason=\"it does not read its answers and memory is full\"",
             conn_text(conn));
    conn_end(conn);
}

/* One call's worth of what waits; a negative errno if it fails. len: out, what was offered. */
static ssize_t send_some(int fd, const struct reply *out, size_t *len)
{
    struct iovec pieces[SEND_PIECES_MAX];
    struct msghdr message = {.msg_iov = pieces};
    message.msg_iovlen = (size_t)reply_gather(out, pieces, SEND_PIECES_MAX);
    *len = 0;
    for (size_t i = 0; i < message.msg_iovlen; i++)
        *len += pieces[i].iov_len;
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

/* Takes note of what a call has done with the len bytes offered. Returns whether all are gone. */
static bool note_sent(struct conn *conn, ssize_t result, size_t len)
{
    if (result < 0 && result != -EAGAIN && result != -EINTR) {
        conn_lost(conn, evidence_of((int)-result));
        return false;
    }
    if (result > 0) {
        node_stats(conn->shell->node)->bytes_written += (uint64_t)result;
        mark_active(conn);
        reply_consume(&conn->session.out, (size_t)result);
    }
    return result == (ssize_t)len;
}

/* What the socket refused is copied and waits. */
static void await_writable(struct conn *conn)
{
    struct reply *out = &conn->session.out;
    if (out->borrowed_bytes > 0 && !budget_stretches(conn->shell->budget, reply_len(out))) {
        drop_slow(conn);
        if (conn->state == CONN_CLOSED)
            return;
    }
    reply_own(out);
    if (!conn->is_writing) {
        conn->is_writing = true;
        event_add(&conn->writable, NULL);
    }
}

/* Sends until all is gone or the socket is full. */
static void conn_send(struct conn *conn)
{
    struct reply *out = &conn->session.out;
    while (reply_len(out) > 0) {
        size_t len;
        ssize_t result = send_some(conn->fd, out, &len);
        if (note_sent(conn, result, len))
            continue;
        if (conn->state != CONN_CLOSED)
            await_writable(conn);
        return;
    }
    keep_spare(conn);
}

/* Everything is said: stop, and give the other end time to read it. */
static void linger(struct conn *conn)
{
    if (conn->has_eof || shutdown(conn->fd, SHUT_WR) != 0) {
        conn_end(conn);
        return;
    }
    conn->state = CONN_LINGERING;
    conn->linger_by_ms = conn->shell->now.mono_ms + LINGER_MS;
    event_del(&conn->readable);
    CHECK(event_assign(&conn->readable, conn->shell->base, conn->fd, EV_READ, on_readable, conn) ==
          0);
    linger_on(conn);
}

static bool may_send(const struct conn *conn)
{
    return conn->state != CONN_CLOSED && conn->fd >= 0 && !conn->is_writing;
}

bool conn_offer(struct conn *conn, struct volley_call *call)
{
    const struct reply *out = &conn->session.out;
    if (!may_send(conn) || out->piece_count > 0 || reply_len(out) == 0)
        return false;
    struct span bytes = buf_span(&out->bytes);
    *call = (struct volley_call){
        .kind = VOLLEY_SEND,
        .fd = conn->fd,
        .bytes = (char *)bytes.data,
        .len = bytes.len < SEND_BYTES_MAX ? bytes.len : SEND_BYTES_MAX,
    };
    return true;
}

void conn_sent(struct conn *conn, const struct volley_call *call)
{
    if (conn->state != CONN_CLOSED && !note_sent(conn, call->result, call->len) &&
        conn->state != CONN_CLOSED)
        await_writable(conn);
    conn_settle(conn);
}

void conn_settle(struct conn *conn)
{
    if (may_send(conn)) {
        session_own_window(&conn->session);
        conn_send(conn);
    } else if (conn->state != CONN_CLOSED && conn->is_writing) {
        session_own_window(&conn->session);
        reply_own(&conn->session.out);
    }
    if (session_bytes(&conn->session) > ANSWERS_HIGH_BYTES &&
        !budget_stretches(conn->shell->budget, 0))
        drop_slow(conn);
    if (conn->state == CONN_DRAINING && session_open_count(&conn->session) == 0 &&
        reply_len(&conn->session.out) == 0)
        linger(conn);
    if (conn->state == CONN_OPEN && conn->is_paused && !list_is_linked(&conn->in_resumed) &&
        session_bytes(&conn->session) <= ANSWERS_LOW_BYTES && !must_wait(conn))
        list_append(&conn->shell->resumed, &conn->in_resumed);
    if (conn->state == CONN_CLOSED && !list_is_linked(&conn->in_dirty))
        list_append(&conn->shell->ended, &conn->in_dirty);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct conn *conn = conn_of(arg);
    shell_turn(conn->shell);
    conn->is_writing = false;
    if (conn->state != CONN_CLOSED)
        conn_touch(conn);
}
