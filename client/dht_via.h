/* A return address: where other nodes than the one asked may bring their answers (proto.md, "Direct
 * answers"). Listens, lets them in, tells them the token; which answer belongs to what is the
 * opaque's to say. */
#ifndef DHT_CLIENT_DHT_VIA_H
#define DHT_CLIENT_DHT_VIA_H

#include "client/dht_server.h"

#include <poll.h>

#define VIA_CONNECTIONS_MAX  256u
#define VIA_OPAQUE_BYTES_MAX 31u /* and a NUL */
#define VIA_STRAY            (SLIP_NONE - 1)
#define VIA_ATTEMPTS_MAX     255u /* told apart; fits slip.attempt */
/* What is kept of an answer before its line has shown that it is to something asked: anybody can
 * connect here. So no stranger makes the client hold more than this and one read. */
#define VIA_STRANGER_BYTES_MAX (64u * 1024)

struct via {
    int listener;   /* -1: none yet */
    char host[46];  /* numeric address it listens at */
    uint16_t port;  /* it listens on */
    char token[33]; /* 32 hexadecimal digits and NUL */
    uint64_t nonce; /* of the run: what nobody else knows of its opaques */
    struct server *connections[VIA_CONNECTIONS_MAX]; /* owned; from nodes, in no order */
    size_t count;
    uint64_t answer_count; /* answers that have come on them */
};

/* gives: via_free. */
struct via *via_new(void);
void via_free(struct via *via);

/* A run begins: opaques of earlier ones are none of it. */
void via_begin(struct via *via);
/* Tells a server that is just connected where this client listens, which it does from now on if it
 * did not: at the address of that connection. server->is_via: out, whether the server agreed.
 * errors  as server_ask. */
MUST_USE enum err via_announce(struct via *via, struct server *server, uint64_t deadline_ms);
/* What poll is to look at: fills count + 1 entries at most, returns how many. */
size_t via_poll(const struct via *via, struct pollfd *fds);
/* Lets in, sends and receives as poll said; fds as via_poll filled them. What has ended is closed
 * (wire.fd < 0), and is to be forgotten once its answers are taken.
 * returns  whether any connection has ended. */
bool via_move(struct via *via, const struct pollfd *fds);
/* Forgets the connections that have ended. */
void via_forget_ended(struct via *via);

/* The opaque of an operation's attempt, at text. */
struct span via_opaque(const struct via *via, uint32_t index, unsigned attempt,
                       char text[VIA_OPAQUE_BYTES_MAX + 1]);
/* What an opaque says. An error's text is freed of its opaque.
 * attempt  out: which try of the operation, if one is returned.
 * returns  the operation's index; SLIP_NONE: the answer has no opaque; VIA_STRAY: it has one that
 * is none of this run's. */
uint32_t via_index(const struct via *via, struct answer *answer, unsigned *attempt);

#endif
