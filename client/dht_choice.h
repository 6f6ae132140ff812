/* Whom to ask: connections made and kept, the ring learned and followed.
 *
 * What can't be reached, or is no server, is told to the run, whose failure it becomes. Nothing of
 * this sends an operation. */
#ifndef DHT_CLIENT_DHT_CHOICE_H
#define DHT_CLIENT_DHT_CHOICE_H

#include "client/dht_client.h"

#define CONNECTIONS_MAX 256u  /* kept at a time; above it the one idle longest is closed */
#define LEARN_PAUSE_MS  100u  /* between two looks at the list of members */
#define LEARN_FAILED_MS 1000u /* after one in vain */

/* How connecting to a server went. */
enum contact {
    CONTACT_MADE,
    CONTACT_FAILED, /* why says why, for people */
    CONTACT_BUSY    /* it asks to be left alone for pause_ms */
};

struct contact_answer {
    const char *why;
    uint64_t pause_ms;
};

/* Adds a server, which dht owns, behind all others. Borrowed. */
struct server *choice_add(struct dht *dht, const struct address *address);
/* A run begins: servers that are neither of the list nor on the ring any more are forgotten. */
void choice_begin(struct dht *dht);
/* Makes sure that the server's connection is open and usable: in a run, looks at an idle one once.
 * A new one is greeted: a server that is busy, hung or no server at all is so found out before a
 * write has left for it; one that knows the ring is told which ring this client has. */
enum contact choice_connect(struct dht *dht, struct server *server, uint64_t deadline_ms,
                            struct contact_answer *answer);
/* The leader of an operation's key, if it is known and has not just failed; else NULL. */
struct server *choice_leader(const struct dht *dht, const struct dht_op *op, uint64_t now_ms);
/* A node's word on its ring: whether it is another one is kept in dht. */
void choice_ring_heard(struct dht *dht, struct server *server, uint64_t hash);
/* Whether the list of members is to be asked for, once nothing is in flight. */
bool choice_wants_ring(const struct dht *dht, uint64_t now_ms);
/* Asks a connected server for the list of members and takes its ring. Without success all stays as
 * it is. errors  as server_ask: the connection is of no more use. */
MUST_USE enum err choice_learn(struct dht *dht, struct server *server, uint64_t now_ms,
                               uint64_t deadline_ms);
/* The next server's turn to be the entry. */
void choice_next_entry(struct dht *dht);

#endif
