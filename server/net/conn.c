#include "server/net/conn.h"

#include "common/check.h"
#include "server/net/sockname.h"

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes that a node's machine does not acknowledge for so long mean that it is gone, or no way
 * leads there; a new connection finds out sooner when that is over than the old one's growing
 * pauses. */
#define PEER_UNACKED_MS_MAX 3000u
/* Over a link that another node dialled nothing may ever be sent from here: were that node's
 * machine to vanish, nobody would notice. A link silent for so long is tried; the bound above is
 * over then, so one probe that is lost ends it, hence no sooner: the other end dials again. */
#define LINK_IDLE_S    300
#define LINK_PROBE_S   10
#define OPEN_PER_BATCH 16u /* requests under way: 16 × batch_max = 1,024 */

void conn_mark_active(struct conn *conn)
{
    conn->active_s = (uint32_t)(conn->turn->now.mono_ms / 1000);
}

static uint32_t index_take(struct turn *turn)
{
    if (turn->free_count > 0)
        return turn->free_indices[--turn->free_count];
    uint32_t old = turn->conns_capacity;
    uint32_t capacity = old ? old * 2 : 64;
    turn->conns = realloc(turn->conns, capacity * sizeof(*turn->conns));
    turn->generations = realloc(turn->generations, capacity * sizeof(*turn->generations));
    turn->free_indices = realloc(turn->free_indices, capacity * sizeof(*turn->free_indices));
    CHECK(turn->conns && turn->generations && turn->free_indices);
    for (uint32_t i = capacity - 1; i >= old && i != UINT32_MAX; i--) {
        turn->conns[i] = NULL;
        turn->generations[i] = 0;
        turn->free_indices[turn->free_count++] = i;
    }
    turn->conns_capacity = capacity;
    return turn->free_indices[--turn->free_count];
}

struct conn *conn_open(struct turn *turn, enum conn_role role)
{
    bool is_dialled = role != CONN_CLIENT; /* an accepted one is a client's until it says HELLO */
    struct conn *conn = calloc(1, sizeof(*conn));
    CHECK(conn != NULL);
    conn->magic = CONN_MAGIC;
    conn->turn = turn;
    conn->is_dialled = is_dialled;
    conn->role = role;
    conn->batch_max = 1; /* until the size of its answers is known */
    conn_mark_active(conn);
    conn->in.budget = turn->budget;
    conn->session.out.bytes.budget = turn->budget;
    conn->id.index = index_take(turn);
    uint32_t *generation = &turn->generations[conn->id.index];
    conn->id.generation = *generation = *generation + 1 != 0 ? *generation + 1 : 1;
    turn->conns[conn->id.index] = conn;
    turn->conn_count++;
    turn->accepted_count += !is_dialled;
    turn->client_count += !is_dialled;
    conn->fd = -1;
    return conn;
}

struct conn *conn_find(const struct turn *turn, struct conn_id id)
{
    if (id.index >= turn->conns_capacity || !turn->conns[id.index])
        return NULL;
    struct conn *conn = turn->conns[id.index];
    return conn->id.generation == id.generation && conn->state != CONN_CLOSED ? conn : NULL;
}

void conn_touch(struct conn *conn)
{
    if (list_is_linked(&conn->in_dirty))
        return;
    list_append(&conn->turn->dirty, &conn->in_dirty);
    /* The answer is written into a buffer that has grown before. */
    struct turn *turn = conn->turn;
    if (conn->session.out.bytes.capacity == 0 && turn->spare_count > 0) {
        conn->session.out.bytes = turn->spares[--turn->spare_count];
    }
}

void conn_stop_reading(struct conn *conn)
{
    if (conn->fd >= 0)
        event_del(&conn->readable);
}

void conn_drain(struct conn *conn)
{
    if (conn->state != CONN_OPEN)
        return;
    conn->state = CONN_DRAINING;
    conn_stop_reading(conn);
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
        node_disconnected(conn->turn->node, conn->id, why);
}

void conn_free(struct conn *conn)
{
    struct turn *turn = conn->turn;
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
    turn->conns[conn->id.index] = NULL;
    turn->free_indices[turn->free_count++] = conn->id.index;
    turn->conn_count--;
    turn->accepted_count -= !conn->is_dialled;
    turn->client_count -= conn->role == CONN_CLIENT;
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

void conn_watch_idle(int fd)
{
    int on = 1, idle_s = LINK_IDLE_S, interval_s = LINK_PROBE_S;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
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

/* What a node dialled is never held back: the answers that come on it are what others wait for. */
bool conn_must_wait(const struct conn *conn)
{
    return !conn->is_dialled &&
           (session_bytes(&conn->session) + session_remote_bytes(&conn->session) >
                CONN_ANSWERS_HIGH_BYTES ||
            session_open_count(&conn->session) >= OPEN_PER_BATCH * conn->batch_max);
}
