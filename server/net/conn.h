/* One connection: bytes in, requests or frames up, answers down in order.
 *
 *     OPEN --eof, quit, close after sending--> DRAINING --all sent--> LINGERING --eof, 1 s-->
 * CLOSED
 *       '------------------------ error, close at once -------------------------------------^
 *
 * OPEN reads unless paused (the client does not take its answers). DRAINING reads nothing more and
 * answers what it has. LINGERING has said all it will and throws away what still comes, so that the
 * last answer is not lost to a reset. CLOSED is freed at the end of the turn. */
#ifndef DHT_SERVER_NET_CONN_H
#define DHT_SERVER_NET_CONN_H

#include "server/net/shell.h"

enum conn_state { CONN_OPEN, CONN_DRAINING, CONN_LINGERING, CONN_CLOSED };
enum conn_role {
    CONN_CLIENT,
    CONN_PEER, /* another node's, or dialled to one */
    CONN_RAW   /* dialled to a client, for direct answers: lines come, anything goes */
};

#define CONN_MAGIC      0x636f6e6eu
#define CONN_READ_BYTES (64u * 1024) /* at most this much a connection and turn */
#define BUSY_ANSWER     "SERVER_ERROR busy, retry in 1000 ms\r\n"

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
    bool has_eof;          /* the other end has sent all it will */
    uint8_t batch_max;     /* requests carried out at a time; falls where answers are large */
    uint32_t active_s;     /* when a request, or a piece of a large value, last came */
    uint64_t linger_by_ms; /* LINGERING: ends at the latest then */
    struct shell *shell;
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

/* A client's connection: takes fd (non-blocking); it is in the shell's table and reads. */
struct conn *conn_accept(struct shell *shell, int fd);
/* It is above the limit of clients: it may stay only if it soon proves to be another node's. */
void conn_limit(struct conn *conn);
/* A connection to another node (CONN_PEER) or to a client (CONN_RAW), to be given its socket by
 * conn_connected. */
struct conn *conn_dial(struct shell *shell, enum conn_role role);
void conn_connected(struct conn *conn, int fd);
/* The connection of an id, or NULL if it is gone or ended. */
struct conn *conn_find(const struct shell *shell, struct conn_id id);
/* Puts it among those looked at at the turn's end. */
void conn_touch(struct conn *conn);
/* Answers everything received, then ends. */
void conn_drain(struct conn *conn);
/* Ends it at once, as this side wants it. */
void conn_end(struct conn *conn);
/* It has ended, or could not be had: the node is told, unless it was a client's. */
void conn_lost(struct conn *conn, enum disconnect why);
/* Reading in three steps, so that many connections can be read with one call. Room in the arena
 * that is needed; what to call, false if nothing is to be read now; what came of it. Between the
 * last two nothing else may happen to the connection. */
size_t conn_arena_bytes(const struct conn *conn);
bool conn_aim(struct conn *conn, char *arena, struct volley_call *call);
void conn_take(struct conn *conn, const struct volley_call *call);
/* Sending likewise: false if a call in a volley is not what it needs: conn_settle then does all. */
bool conn_offer(struct conn *conn, struct volley_call *call);
/* What came of the call; then as conn_settle. */
void conn_sent(struct conn *conn, const struct volley_call *call);
/* Sends what is owed, lets paused input go on, puts what has ended among shell->ended. */
void conn_settle(struct conn *conn);
/* Frees one that has ended; at the turn's end only, never inside its own callback. */
void conn_free(struct conn *conn);
/* Parses on where it was paused. */
void conn_resume(struct conn *conn);
/* The node stops: takes what has come already, answers it, then ends. */
void conn_finish(struct conn *conn);
/* Bytes that the other end's machine has not acknowledged, those not sent yet included. */
uint64_t conn_unacked(const struct conn *conn);
/* Sets a connection between nodes up: small frames leave at once, and bytes that the other machine
 * does not acknowledge for 3 s end it. */
void conn_between_nodes(int fd);
/* ip:port of the other end; "-" if unknown. */
const char *conn_text(struct conn *conn);

#endif
