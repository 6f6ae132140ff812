/* One connection: its life. What it reads is conn_in.h's, what it sends conn_out.h's.
 *
 *     OPEN --eof, quit, close after sending--> DRAINING --all sent--> LINGERING
 *       |                                         |                      | eof, 1 s
 *       '---------- error, close at once ---------'--------------------> CLOSED
 *
 * OPEN reads unless paused (the client does not take its answers). DRAINING reads nothing more and
 * answers what it has. LINGERING has said all it will and throws away what still comes, so that the
 * last answer is not lost to a reset. CLOSED is freed at the end of the turn. */
#ifndef DHT_SERVER_NET_CONN_H
#define DHT_SERVER_NET_CONN_H

#include "common/check.h"
#include "server/net/turn.h"

enum conn_state { CONN_OPEN, CONN_DRAINING, CONN_LINGERING, CONN_CLOSED };
enum conn_role {
    CONN_CLIENT,
    CONN_PEER, /* another node's, or dialled to one */
    CONN_RAW   /* dialled to a client, for direct answers: lines come, anything goes */
};

#define CONN_MAGIC              0x636f6e6eu
#define CONN_ANSWERS_HIGH_BYTES (1024u * 1024) /* above this a client's further input waits */
#define BUSY_ANSWER             "SERVER_ERROR busy, retry in 1000 ms\r\n"

struct conn {
    uint32_t magic;
    int fd; /* -1: dialled, and not there yet */
    struct conn_id id;
    enum conn_state state;
    enum conn_role role;
    bool is_dialled;
    bool is_paused;        /* input waits until answers have been taken */
    bool is_writing;       /* the write event is set */
    bool is_over_limit;    /* taken in case it is a node; a client is told that there is no place */
    bool is_finishing;     /* what has come already is all that is taken */
    bool has_eof;          /* the other end has sent all it will */
    uint8_t batch_max;     /* requests carried out at a time; falls where answers are large */
    uint32_t active_s;     /* when a request, or a piece of a large value, last came */
    uint64_t linger_by_ms; /* LINGERING: ends at the latest then */
    struct turn *turn;
    struct event readable;
    struct event writable;
    struct request_parser parser;
    struct buf in;  /* input not parsed yet */
    size_t in_need; /* parsing it makes no sense before there is as much */
    struct session session;
    char *client_text; /* ip:port, made when first asked for; owned */
    struct list in_dirty;
    struct list in_resumed;
};

/* A connection without a socket yet, in the turn's table. Dialled to another node (CONN_PEER) or to
 * a client (CONN_RAW), unless it is a client's (CONN_CLIENT). */
struct conn *conn_open(struct turn *turn, enum conn_role role);

/* Back from the void * of libevent. */
static inline struct conn *conn_of(void *arg)
{
    struct conn *conn = arg;
    CHECK(conn->magic == CONN_MAGIC);
    return conn;
}

/* The connection of an id, or NULL if it is gone or ended. */
struct conn *conn_find(const struct turn *turn, struct conn_id id);
/* Puts it among those looked at at the turn's end. */
void conn_touch(struct conn *conn);
/* Answers everything received, then ends. */
void conn_drain(struct conn *conn);
/* Ends it at once, as this side wants it. */
void conn_end(struct conn *conn);
/* It has ended, or could not be had: the node is told, unless it was a client's. */
void conn_lost(struct conn *conn, enum disconnect why);
/* Frees one that has ended; at the turn's end only, never inside its own callback. */
void conn_free(struct conn *conn);
/* Something has come from it, or has gone to it. */
void conn_mark_active(struct conn *conn);
void conn_stop_reading(struct conn *conn);
/* Whether the client must take answers before more of its requests are looked at. */
bool conn_must_wait(const struct conn *conn);
/* Bytes that the other end's machine has not acknowledged, those not sent yet included. */
uint64_t conn_unacked(const struct conn *conn);
/* Sets a connection between nodes up: small frames leave at once, and bytes that the other machine
 * does not acknowledge for 3 s end it. */
void conn_between_nodes(int fd);
/* One that another node has dialled ends, too, when that node's machine is gone and nothing is sent
 * to it: after some minutes. */
void conn_watch_idle(int fd);
/* ip:port of the other end; "-" if unknown. */
const char *conn_text(struct conn *conn);

#endif
