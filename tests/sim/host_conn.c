#include "tests/sim/host_conn.h"

#include "common/check.h"
#include "tests/sim/names.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

#define ANSWERS_HIGH_BYTES (1024u * 1024) /* above this a client's further input waits */
#define OPEN_REQUESTS_MAX  1024u
#define READ_BYTES         (64u * 1024) /* at most this much a connection and turn */
#define LINGER_US          (1ull * US_PER_S)
#define DIAL_US            (5ull * US_PER_S)    /* as server/net/dialler.c's LAST_ADDRESS_MS */
#define DIAL_CLIENT_US     (950ull * US_PER_MS) /* and CLIENT_MS_MAX */
#define PIECES_MAX         64

/* --- the table -------------------------------------------------------------------------------- */

static uint32_t index_take(struct host *host)
{
    for (uint32_t i = 0; i < host->conns_capacity; i++)
        if (!host->conns[i])
            return i;
    uint32_t old = host->conns_capacity, capacity = old ? old * 2 : 16;
    host->conns = realloc(host->conns, capacity * sizeof(struct host_conn *));
    host->generations = realloc(host->generations, capacity * sizeof(*host->generations));
    CHECK(host->conns != NULL);
    CHECK(host->generations != NULL);
    for (uint32_t i = old; i < capacity; i++) {
        host->conns[i] = NULL;
        host->generations[i] = 0;
    }
    host->conns_capacity = capacity;
    return old;
}

static void on_limit(struct vtimer *timer);

static struct host_conn *conn_open(struct host *host, enum conn_role role, bool is_dialled)
{
    struct host_conn *conn = calloc(1, sizeof(*conn));
    CHECK(conn != NULL);
    conn->host = host;
    conn->role = role;
    conn->is_dialled = is_dialled;
    conn->limit.ring = on_limit;
    conn->in.budget = &host->budget;
    conn->session.out.bytes.budget = &host->budget;
    conn->id.index = index_take(host);
    conn->id.generation = ++host->generations[conn->id.index];
    host->conns[conn->id.index] = conn;
    return conn;
}

struct host_conn *host_conn_find(struct host *host, struct conn_id id)
{
    if (id.index >= host->conns_capacity || !host->conns[id.index])
        return NULL;
    struct host_conn *conn = host->conns[id.index];
    return conn->id.generation == id.generation && conn->state != CONN_CLOSED ? conn : NULL;
}

static void touch(struct host_conn *conn)
{
    if (!list_is_linked(&conn->in_dirty))
        list_append(&conn->host->dirty, &conn->in_dirty);
}

static void make_ready(struct host_conn *conn)
{
    if (conn->state == CONN_CLOSED)
        return;
    if (!list_is_linked(&conn->in_ready))
        list_append(&conn->host->ready, &conn->in_ready);
    host_wake(conn->host);
}

static void on_ready(void *arg, struct sock *sock)
{
    (void)sock;
    make_ready(arg);
}

static void on_limit(struct vtimer *timer)
{
    make_ready(CONTAINER_OF(timer, struct host_conn, limit));
}

void host_conn_free(struct host_conn *conn)
{
    struct host *host = conn->host;
    vclock_stop(&host->world->clock, &conn->limit);
    if (conn->sock)
        sock_close(conn->sock);
    list_remove(&conn->in_ready);
    list_remove(&conn->in_dirty);
    buf_close(&conn->in);
    session_close(&conn->session);
    host->conns[conn->id.index] = NULL;
    free(conn);
}

/* It ends at once; the node is told unless it wanted that. */
static void conn_end(struct host_conn *conn)
{
    if (conn->state == CONN_CLOSED)
        return;
    conn->state = CONN_CLOSED;
    touch(conn);
}

static void conn_lost(struct host_conn *conn, enum disconnect why)
{
    if (conn->state == CONN_CLOSED)
        return;
    conn_end(conn);
    if (conn->role != CONN_CLIENT)
        node_disconnected(conn->host->node, conn->id, why);
}

static void conn_drain(struct host_conn *conn)
{
    if (conn->state != CONN_OPEN)
        return;
    conn->state = CONN_DRAINING;
    touch(conn);
}

/* --- what the node asks for ------------------------------------------------------------------- */

static struct session *env_session(void *arg, struct conn_id id)
{
    struct host_conn *conn = host_conn_find(arg, id);
    if (!conn)
        return NULL;
    touch(conn);
    return &conn->session;
}

static void env_client_text(void *arg, struct conn_id id, char text[CLIENT_TEXT_BYTES_MAX])
{
    struct host *host = arg;
    const struct host_conn *conn = host_conn_find(host, id);
    if (conn)
        world_address(host->world, sock_peer_machine(conn->sock), sock_peer_port(conn->sock), text,
                      CLIENT_TEXT_BYTES_MAX);
    else
        snprintf(text, CLIENT_TEXT_BYTES_MAX, "-");
}

static struct conn_id dial(struct host *host, enum conn_role role, uint32_t machine, uint16_t port,
                           uint64_t limit_us)
{
    struct host_conn *conn = conn_open(host, role, true);
    conn->sock = net_dial(&host->world->net, host->number, machine, port,
                          (struct sock_owner){on_ready, conn});
    vclock_set(&host->world->clock, &conn->limit, host->world->clock.now_us + limit_us);
    return conn->id;
}

static struct conn_id env_dial(void *arg, const char *name)
{
    struct host *host = arg;
    uint32_t number;
    if (name_find(span_of_string(name), &number) == 0 || number >= host->world->host_count) {
        /* Nobody has the name: looking it up fails, a little later. */
        struct host_conn *conn = conn_open(host, CONN_PEER, true);
        make_ready(conn);
        return conn->id;
    }
    return dial(host, CONN_PEER, host->world->machine_of[number], NAMES_PORT, DIAL_US);
}

static struct conn_id env_dial_client(void *arg, const char *address)
{
    struct host *host = arg;
    uint32_t machine;
    uint16_t port;
    if (!world_find_address(host->world, span_of_string(address), &machine, &port))
        return (struct conn_id){0};
    trace_say(&host->world->trace, "dial-client", "node=%s address=%s", host->name, address);
    return dial(host, CONN_RAW, machine, port, DIAL_CLIENT_US);
}

static void env_close(void *arg, struct conn_id id, bool after_sending)
{
    struct host_conn *conn = host_conn_find(arg, id);
    if (!conn)
        return;
    if (after_sending && conn->sock && sock_state(conn->sock) == SOCK_OPEN)
        conn_drain(conn);
    else
        conn_end(conn);
}

static uint64_t env_unacked(void *arg, struct conn_id id)
{
    const struct host_conn *conn = host_conn_find(arg, id);
    if (!conn || !conn->sock)
        return 0;
    return sock_unacked(conn->sock) + reply_len(&conn->session.out);
}

static void env_entropy(void *arg, void *bytes, size_t len)
{
    struct host *host = arg;
    char *at = bytes;
    for (size_t i = 0; i < len; i++)
        at[i] = (char)prng_next(&host->prng);
}

static void env_end(void *arg, enum node_end why)
{
    struct host *host = arg;
    host->is_ending = true;
    host->end = why;
}

static bool env_keep_state(void *arg, struct span text)
{
    struct host *host = arg;
    if (host->node && host->world->before_state)
        host->world->before_state(host->world->watcher, host);
    if (host->is_disk_full)
        return false;
    buf_consume(&host->state_text, buf_len(&host->state_text));
    buf_append(&host->state_text, text.data, text.len);
    host->boot = host->node ? node_boot(host->node) : host->boot;
    if (host->world->after_state)
        host->world->after_state(host->world->watcher, host);
    return true;
}

static void env_gauges(void *arg, struct stats_gauges *gauges)
{
    const struct host *host = arg;
    gauges->limit_maxbytes = host->budget.limit_bytes;
    gauges->memory_used = host->budget.used_bytes;
}

static void env_verbosity(void *arg, uint64_t level)
{
    struct host *host = arg;
    host->log.level = level >= 1 ? LOG_DEBUG : LOG_INFO;
}

void host_conn_env(struct host *host)
{
    host->env = (struct env){.shell = host,
                             .session = env_session,
                             .client_text = env_client_text,
                             .dial = env_dial,
                             .dial_client = env_dial_client,
                             .close = env_close,
                             .unacked = env_unacked,
                             .entropy = env_entropy,
                             .end = env_end,
                             .keep_state = env_keep_state,
                             .gauges = env_gauges,
                             .verbosity = env_verbosity};
}

/* --- input ------------------------------------------------------------------------------------ */

void host_conn_accept(struct host *host)
{
    struct sock *sock;
    while ((sock = net_accept(&host->listener))) {
        struct host_conn *conn = conn_open(host, CONN_CLIENT, false);
        conn->sock = sock;
        sock_set_owner(sock, (struct sock_owner){on_ready, conn});
        make_ready(conn);
    }
}

static bool must_wait(const struct host_conn *conn)
{
    return !conn->is_dialled && (session_bytes(&conn->session) > ANSWERS_HIGH_BYTES ||
                                 session_open_count(&conn->session) >= OPEN_REQUESTS_MAX);
}

static void submit(struct host_conn *conn)
{
    touch(conn);
    conn->host->messages++;
    node_submit(conn->host->node, conn->id, &conn->session);
}

static void submit_error(struct host_conn *conn, struct request *request, struct span error)
{
    request->command = CMD_INVALID;
    request->part = PART_WHOLE;
    request->noreply = false;
    request->error = error;
    submit(conn);
}

/* A request is there. Returns false if it ends this way of parsing. */
static bool take_request(struct host_conn *conn, struct request *request)
{
    if (request->command == CMD_QUIT) {
        conn_drain(conn);
        return false;
    }
    if (request->command == CMD_HELLO && conn->session.next_seq > 0) {
        submit_error(conn, request, SPAN_LITERAL("ERROR\r\n"));
        return true;
    }
    if (request->command == CMD_HELLO) {
        conn->role = CONN_PEER;
        return false;
    }
    submit(conn);
    return true;
}

static size_t parse_requests(struct host_conn *conn, const char *in, size_t len)
{
    const struct request_limits limits = {.value_bytes_max = HOST_VALUE_BYTES_MAX};
    size_t at = 0;
    while (at < len && conn->state == CONN_OPEN && !must_wait(conn)) {
        struct request *request = node_request(conn->host->node);
        size_t consumed = 0, need;
        enum parse result =
            request_parse(&conn->parser, &limits, in + at, len - at, request, &consumed, &need);
        if (result == PARSE_CLOSE) {
            if (request->error.len > 0)
                submit_error(conn, request, request->error);
            conn_drain(conn);
            return len;
        }
        if (result == PARSE_DONE && !take_request(conn, request))
            return request->command == CMD_HELLO ? at : len;
        at += consumed;
        if (result == PARSE_MORE)
            break;
    }
    return at;
}

static size_t parse_frames(struct host_conn *conn, const char *in, size_t len)
{
    struct node *node = conn->host->node;
    size_t at = 0;
    while (at < len && conn->state == CONN_OPEN && !must_wait(conn)) {
        struct frame frame;
        size_t consumed, need;
        enum frame_parse result = frame_parse(in + at, len - at, &frame, &consumed, &need);
        if (result == FRAME_MORE)
            break;
        if (result != FRAME_DONE) {
            node_frame_bad(node, conn->id, result == FRAME_BAD_CRC);
            return len;
        }
        conn->host->messages++;
        node_frame(node, conn->id, &frame);
        at += consumed;
    }
    return at;
}

/* What a client says on a connection made to it. */
static size_t parse_lines(struct host_conn *conn, const char *in, size_t len)
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
        node_client_line(conn->host->node, conn->id, span_of(in + at, line_len - has_cr));
        at += line_len + 1;
    }
    return at;
}

/* The node's batch may borrow what is parsed: it is dropped when that has been carried out. */
static void parse(struct host_conn *conn)
{
    struct span in = buf_span(&conn->in);
    conn->has_more = false;
    size_t at = 0;
    if (conn->role == CONN_CLIENT)
        at = parse_requests(conn, in.data, in.len);
    if (conn->role == CONN_PEER && conn->state == CONN_OPEN)
        at += parse_frames(conn, in.data + at, in.len - at);
    if (conn->role == CONN_RAW && conn->state == CONN_OPEN)
        at += parse_lines(conn, in.data + at, in.len - at);
    conn->parsed = conn->state == CONN_OPEN ? at : in.len;
    conn->is_paused = conn->state == CONN_OPEN && must_wait(conn);
    touch(conn);
}

static enum disconnect disconnect_of(enum sock_failure failure)
{
    switch (failure) {
    case SOCK_REFUSED:
        return DISCONNECT_REFUSED;
    case SOCK_TIMED_OUT:
        return DISCONNECT_TIMEOUT;
    case SOCK_RESET:
    case SOCK_FINE:
        break;
    }
    return DISCONNECT_RESET;
}

/* A dialled connection that is not known to be there yet. Returns whether it is now. */
static bool connect_on(struct host_conn *conn)
{
    struct vclock *clock = &conn->host->world->clock;
    if (!conn->sock) {
        conn_lost(conn, DISCONNECT_NAME);
        return false;
    }
    switch (sock_state(conn->sock)) {
    case SOCK_DIALLING:
        if (!vtimer_is_set(&conn->limit))
            conn_lost(conn, DISCONNECT_TIMEOUT);
        return false;
    case SOCK_ENDED:
        conn_lost(conn, disconnect_of(sock_failure(conn->sock)));
        return false;
    case SOCK_OPEN:
        break;
    }
    vclock_stop(clock, &conn->limit);
    conn->is_connected = true;
    node_connected(conn->host->node, conn->id);
    touch(conn);
    return conn->state == CONN_OPEN;
}

/* What a client still says after its last answer is thrown away. */
static void linger_on(struct host_conn *conn)
{
    sock_take(conn->sock, sock_received(conn->sock).len);
    if (!vtimer_is_set(&conn->limit) || sock_at_end(conn->sock) ||
        sock_state(conn->sock) == SOCK_ENDED)
        conn_end(conn);
}

void host_conn_read(struct host_conn *conn)
{
    if (conn->is_dialled && !conn->is_connected && !connect_on(conn))
        return;
    if (conn->state == CONN_LINGERING) {
        linger_on(conn);
        return;
    }
    if (conn->state != CONN_OPEN || conn->is_paused || conn->parsed > 0)
        return;
    struct span got = sock_received(conn->sock);
    size_t len = got.len < READ_BYTES ? got.len : READ_BYTES;
    if (len > 0) {
        buf_append(&conn->in, got.data, len);
        sock_take(conn->sock, len);
        node_stats(conn->host->node)->bytes_read += len;
    }
    if (len > 0 || conn->has_more)
        parse(conn);
    if (len < got.len) {
        make_ready(conn);
    } else if (sock_at_end(conn->sock) && !conn->is_paused) {
        if (conn->role == CONN_CLIENT)
            conn_drain(conn);
        else
            conn_lost(conn, DISCONNECT_CLOSED);
    } else if (sock_state(conn->sock) == SOCK_ENDED) {
        conn_lost(conn, disconnect_of(sock_failure(conn->sock)));
        conn_end(conn);
    }
}

/* --- output ----------------------------------------------------------------------------------- */

static void send_all(struct host_conn *conn)
{
    struct world *world = conn->host->world;
    struct reply *out = &conn->session.out;
    struct buf frames = {0};
    bool have_waited = conn->is_dialled && conn->batches < 2;
    bool is_watched = conn->role == CONN_PEER && world->frames_sent;
    conn->batches += reply_len(out) > 0;
    while (reply_len(out) > 0) {
        struct iovec pieces[PIECES_MAX];
        int count = reply_gather(out, pieces, PIECES_MAX);
        size_t len = 0;
        for (int i = 0; i < count; i++) {
            sock_send(conn->sock, pieces[i].iov_base, pieces[i].iov_len);
            if (is_watched)
                buf_append(&frames, pieces[i].iov_base, pieces[i].iov_len);
            len += pieces[i].iov_len;
        }
        node_stats(conn->host->node)->bytes_written += len;
        reply_consume(out, len);
    }
    if (buf_len(&frames) > 0)
        world->frames_sent(world->watcher, conn->host, buf_span(&frames), have_waited);
    buf_close(&frames);
}

void host_conn_settle(struct host_conn *conn)
{
    struct host *host = conn->host;
    if (conn->parsed > 0) {
        buf_consume(&conn->in, conn->parsed);
        conn->parsed = 0;
    }
    if (conn->state != CONN_CLOSED && conn->sock && sock_state(conn->sock) == SOCK_OPEN) {
        session_own_window(&conn->session);
        send_all(conn);
    }
    if (conn->state == CONN_DRAINING && session_open_count(&conn->session) == 0) {
        sock_shutdown(conn->sock);
        conn->state = CONN_LINGERING;
        vclock_set(&host->world->clock, &conn->limit, host->world->clock.now_us + LINGER_US);
        make_ready(conn);
    }
    if (conn->state == CONN_OPEN && conn->is_paused && !must_wait(conn)) {
        conn->is_paused = false;
        conn->has_more = true;
        make_ready(conn);
    }
    if (conn->state == CONN_CLOSED && !list_is_linked(&conn->in_dirty))
        list_append(&host->ended, &conn->in_dirty);
}
