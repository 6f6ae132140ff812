#include "server/net/conn_out.h"

#include "common/check.h"
#include "server/net/evidence.h"

#include <errno.h>
#include <sys/socket.h>

#define SEND_PIECES_MAX   64            /* iovecs a call */
#define SEND_BYTES_MAX    (1u << 30)    /* of a call in a volley */
#define SPARE_BYTES_MAX   (64u * 1024)  /* a larger buffer is not kept for later */
#define ANSWERS_LOW_BYTES (256u * 1024) /* below this a paused client's input goes on */
#define LINGER_MS         1000

static void keep_spare(struct conn *conn)
{
    struct turn *turn = conn->turn;
    struct buf *bytes = &conn->session.out.bytes;
    if (bytes->capacity > 0 && bytes->capacity <= SPARE_BYTES_MAX &&
        turn->spare_count < SPARE_COUNT_MAX) {
        turn->spares[turn->spare_count++] = *bytes;
        *bytes = (struct buf){.budget = turn->budget};
    } else {
        buf_close(bytes);
    }
}

/* Memory is full, and this connection holds much of it by not reading. */
static void drop_slow(struct conn *conn)
{
    if (conn->state == CONN_CLOSED || conn->role == CONN_PEER)
        return; /* what a node is owed is bounded by its being paused */
    log_line(conn->turn->log, conn->turn->now, LOG_WARN, "client-dropped",
             "client=%s reason=\"it does not read its answers and memory is full\"",
             conn_text(conn));
    conn_lost(conn, DISCONNECT_LOCAL);
}

/* One call's worth of what waits; a negative errno if it fails. len: out, what was offered. */
static ssize_t send_piece(int fd, const struct reply *out, size_t *len)
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
        node_stats(conn->turn->node)->bytes_written += (uint64_t)result;
        conn_mark_active(conn);
        reply_consume(&conn->session.out, (size_t)result);
    }
    return result == (ssize_t)len;
}

/* What the socket refused is copied and waits. */
static void await_writable(struct conn *conn)
{
    struct reply *out = &conn->session.out;
    if (out->borrowed_bytes > 0 && !budget_stretches(conn->turn->budget, reply_len(out))) {
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
        ssize_t result = send_piece(conn->fd, out, &len);
        if (note_sent(conn, result, len))
            continue;
        if (conn->state != CONN_CLOSED)
            await_writable(conn);
        return;
    }
    keep_spare(conn);
}

static void linger_on(struct conn *conn)
{
    uint64_t now_ms = conn->turn->now.mono_ms;
    if (now_ms >= conn->linger_by_ms) {
        conn_end(conn);
        return;
    }
    const struct timeval limit = turn_timeval(conn->linger_by_ms - now_ms);
    event_add(&conn->readable, &limit);
}

/* What a client still says after its last answer is thrown away. */
void conn_discard(struct conn *conn)
{
    ssize_t got = recv(conn->fd, conn->turn->arena, TURN_READ_BYTES, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        conn_end(conn);
    else
        linger_on(conn);
}

/* Everything is said: stop, and give the other end time to read it. */
static void linger(struct conn *conn)
{
    if (conn->has_eof || shutdown(conn->fd, SHUT_WR) != 0) {
        conn_end(conn);
        return;
    }
    conn->state = CONN_LINGERING;
    conn->linger_by_ms = conn->turn->now.mono_ms + LINGER_MS;
    event_del(&conn->readable);
    CHECK(event_assign(&conn->readable, conn->turn->base, conn->fd, EV_READ,
                       event_get_callback(&conn->readable), conn) == 0);
    linger_on(conn);
}

static bool may_send(const struct conn *conn)
{
    return conn->state != CONN_CLOSED && conn->fd >= 0 && !conn->is_writing;
}

/* Sends what is owed, lets paused input go on, puts what has ended among those to be freed. */
static void conn_settle(struct conn *conn)
{
    if (may_send(conn)) {
        session_own_window(&conn->session);
        conn_send(conn);
    } else if (conn->state != CONN_CLOSED && conn->is_writing) {
        session_own_window(&conn->session);
        reply_own(&conn->session.out);
    }
    if (session_bytes(&conn->session) > CONN_ANSWERS_HIGH_BYTES &&
        !budget_stretches(conn->turn->budget, 0))
        drop_slow(conn);
    if (conn->state == CONN_DRAINING && session_open_count(&conn->session) == 0 &&
        reply_len(&conn->session.out) == 0)
        linger(conn);
    if (conn->state == CONN_OPEN && conn->is_paused && !list_is_linked(&conn->in_resumed) &&
        session_bytes(&conn->session) <= ANSWERS_LOW_BYTES && !conn_must_wait(conn))
        list_append(&conn->turn->resumed, &conn->in_resumed);
    if (conn->state == CONN_CLOSED && !list_is_linked(&conn->in_dirty))
        list_append(&conn->turn->ended, &conn->in_dirty);
}

/* What to call to send what is owed; false if a call in a volley is not what it needs. */
static bool conn_offer(struct conn *conn, struct volley_call *call)
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

/* What came of the call; then as conn_settle. */
static void conn_sent(struct conn *conn, const struct volley_call *call)
{
    if (conn->state != CONN_CLOSED && !note_sent(conn, call->result, call->len) &&
        conn->state != CONN_CLOSED)
        await_writable(conn);
    conn_settle(conn);
}

void conn_on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct conn *conn = conn_of(arg);
    turn_begin(conn->turn);
    conn->is_writing = false;
    if (conn->state != CONN_CLOSED)
        conn_touch(conn);
}

/* Looks at connections that may be owed bytes, and sends them. */
static void send_some(struct turn *turn)
{
    struct volley_call calls[VOLLEY_CALLS_MAX];
    struct conn *offered[VOLLEY_CALLS_MAX];
    uint32_t count = 0;
    struct list *link;
    while (count < VOLLEY_CALLS_MAX && (link = list_first(&turn->dirty))) {
        struct conn *conn = CONTAINER_OF(link, struct conn, in_dirty);
        list_remove(link);
        if (conn_offer(conn, &calls[count]))
            offered[count++] = conn;
        else
            conn_settle(conn);
    }
    volley_fire(turn->volley, calls, count);
    for (uint32_t k = 0; k < count; k++)
        conn_sent(offered[k], &calls[k]);
}

void conns_send(struct turn *turn)
{
    while (!list_is_empty(&turn->dirty))
        send_some(turn);
}

void conns_end(struct turn *turn)
{
    struct list *link;
    for (uint32_t i = 0; i < turn->conns_capacity; i++)
        if (turn->conns[i])
            conn_end(turn->conns[i]);
    while ((link = list_first(&turn->dirty))) {
        list_remove(link);
        conn_settle(CONTAINER_OF(link, struct conn, in_dirty));
    }
    conns_free_ended(turn);
}

void conns_free_ended(struct turn *turn)
{
    struct list *link;
    while ((link = list_first(&turn->ended))) {
        list_remove(link);
        conn_free(CONTAINER_OF(link, struct conn, in_dirty));
    }
}
