/* A server a client may talk to: its address, its connection, and the operations that wait for an
 * answer there, in the order of their requests. */
#ifndef DHT_CLIENT_DHT_SERVER_H
#define DHT_CLIENT_DHT_SERVER_H

#include "client/dht.h"
#include "client/dht_wire.h"
#include "common/answer.h"

#define SLIP_NONE UINT32_MAX

enum slip_state {
    SLIP_WAITING,  /* its request is to be made, perhaps again */
    SLIP_ASKED,    /* in a server's queue */
    SLIP_ANSWERED, /* its answer came before its turn and lies in kept */
    SLIP_FAILED,   /* result says how, kept why */
    SLIP_TOLD      /* its answer was told: whatever comes for it now is dropped */
};

/* What is known of one operation of a run. */
struct slip {
    enum slip_state state;
    enum dht_result result; /* FAILED */
    bool has_left;          /* ASKED: it may have been carried out */
    bool has_id;            /* ASKED: the request carries an id, so that it may be repeated */
    bool is_unsettled;      /* a write that an earlier request of it may have carried out */
    uint8_t attempt;        /* how often its request was made: part of its opaque */
    bool is_direct;         /* its answer came on a connection of another node's */
    struct server *asked;   /* last; NULL: nobody */
    struct server *doubted; /* unsettled: who could not tell; others' turn first. NULL: nobody */
    struct server *server;  /* ASKED: the same */
    uint32_t before, after; /* ASKED: neighbours in its server's queue */
    char *kept;             /* owned; bytes of an answer, or a text with NUL */
    size_t kept_bytes;
};

struct server {
    struct address address;
    char name[ADDRESS_TEXT_BYTES_MAX];
    struct wire wire;
    size_t held_bytes;      /* at the front of wire.in: an answer the caller may still look at */
    bool is_dht;            /* it says that it is a dht-server */
    bool is_seed;           /* of the list the client was opened with: never forgotten */
    bool is_via;            /* answers on its connection are known by their opaque: dht_via.h */
    uint64_t seen_run;      /* the last run that found the connection usable */
    uint64_t failed_run;    /* the last run in which it failed */
    uint64_t rest_until_ms; /* after a failure: not asked as a leader before */
    unsigned failure_count; /* since it was last greeted, or the ring changed */
    uint64_t used;          /* grows with each use: who was idle longest */
    uint64_t moved_ms;      /* when it was last heard, or began to be waited for */
    uint32_t first, last;   /* its queue: indices of slips */
    uint32_t count;         /* slips in the queue */
};

/* gives: server_free. */
struct server *server_new(const struct address *address);
void server_free(struct server *server);

void server_push(struct server *server, struct slip *slips, uint32_t index);
/* Takes a slip out of the queue; its state is the caller's to set. */
void server_remove(struct server *server, struct slip *slips, uint32_t index);

/* The answer held is done with: what follows it is at the front. */
void server_let_go(struct server *server);
/* Closes the connection, and drops what came and was to leave. Its queue is the caller's. */
void server_hang_up(struct server *server);

/* Asks one thing of a server that waits for nothing else, and takes the answer. What follows it
 * stays in wire.in.
 * answer   out: borrows from wire.in until the next use of the wire.
 * errors   ERR_TIMEOUT, ERR_CLOSED, ERR_SYNTAX: no answer. */
MUST_USE enum err server_ask(struct server *server, const char *request, uint64_t deadline_ms,
                             struct answer *answer);

/* It failed at now_ms: it rests for a while, longer with each failure. */
void server_rest(struct server *server, uint64_t now_ms);
/* What it did is forgotten: it may be asked at once. */
void server_forgive(struct server *server);

#endif
