/* libdht: a client for a dht cluster, or for any memcached of version 1.6 and later.
 *
 *     #include <dht.h>                  // cc app.c $(pkg-config --cflags --libs libdht)
 *
 *     struct dht *dht = dht_open("10.0.0.1:11211,10.0.0.2:11211", NULL);
 *     struct dht_answer answer;
 *     dht_set(dht, "greeting", "hello", 5, 60);
 *     if (dht_get(dht, "greeting", &answer) == DHT_OK)
 *         fwrite(answer.value, 1, answer.value_bytes, stdout);
 *     else
 *         fprintf(stderr, "%s\n", dht_why(dht));
 *     dht_close(dht);
 *
 * Calls block, none longer than the timeout allows (name look-ups excepted). A struct dht serves
 * one thread at a time, and different ones know nothing of each other.
 *
 * Of a dht cluster it learns the ring from the first node it reaches, asks the node that leads a
 * key itself, over a connection to each that is opened when first needed (at most 256 at a time),
 * and learns the ring anew when a node tells of another or goes away. Where a leader can't be had
 * any other node is asked, which finds it. Any other server is asked for everything over one
 * connection.
 *
 * What a failure means is always told: DHT_NOT_DONE and DHT_TIMEOUT say that nothing was changed,
 * DHT_OUTCOME_UNKNOWN that a write may or may not have been carried out. What certainly was not
 * done is tried on the next server before anybody hears of it. A write of unknown outcome is asked
 * again, of this server and others until the time is over, where it carries a request id: the
 * cluster carries it out once and answers each time as the first. Nodes of a dht cluster are given
 * such ids, other servers are not: there it is never repeated. Nor is DHT_OP_GAT.
 * A connection that gave no answer, or a wrong one, is closed and not used again. A node that says
 * nothing for half of the time is passed by, if another can be asked instead. */
#ifndef DHT_H
#define DHT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DHT_KEY_BYTES_MAX   250u
#define DHT_VALUE_BYTES_MAX (128u << 20) /* sent and accepted; a server may allow less */
#define DHT_TIMEOUT_MS      3000u        /* unless dht_set_timeout says otherwise */

struct dht;

enum dht_result {
    DHT_OK,
    /* The server's answer is no. */
    DHT_NOT_FOUND,
    DHT_NOT_STORED, /* add: the key exists; replace, append, prepend: it does not */
    DHT_EXISTS,     /* cas: the item has been changed since */
    /* It could not be done. */
    DHT_NOT_DONE,        /* nothing was changed; safe to try again */
    DHT_OUTCOME_UNKNOWN, /* a write: it may have been carried out or not */
    DHT_CLIENT_ERROR,    /* the server does not accept the request, e.g. incr of a text */
    DHT_SERVER_ERROR,    /* the server can't, e.g. out of memory; nothing was stored */
    DHT_CANNOT_CONNECT,  /* no server could be reached and talked to; nothing was changed */
    DHT_TIMEOUT,         /* no answer in time; nothing was changed */
    DHT_USAGE            /* an argument is wrong; nothing was sent */
};

/* A short name for programs, e.g. "not_found". */
const char *dht_result_name(enum dht_result result);

enum dht_verb {
    DHT_OP_GET,
    DHT_OP_GAT,    /* get and set the ttl */
    DHT_OP_EXISTS, /* get without the value: nothing of it is transferred */
    DHT_OP_TOUCH,
    DHT_OP_SET,
    DHT_OP_ADD,     /* store only if the key does not exist */
    DHT_OP_REPLACE, /* store only if it does */
    DHT_OP_APPEND,  /* flags and ttl stay the item's */
    DHT_OP_PREPEND,
    DHT_OP_DELETE,
    DHT_OP_INCR,
    DHT_OP_DECR, /* stops at 0 */
    DHT_OP_FLUSH_ALL,
    DHT_OP_STATS,
    DHT_OP_VERSION,
    DHT_OP_MEMBERS,     /* what the node asked knows of all others: JSON, as proto.md says */
    DHT_OP_STATUS,      /* what it says of itself and of its view: JSON */
    DHT_OP_TRANSFERS,   /* the copies that it brings to others, or is brought: JSON */
    DHT_OP_COPY,        /* its own copy of the key, whoever leads it: JSON */
    DHT_OP_FORGET,      /* the member named by key is gone for good */
    DHT_OP_ACCEPT_LOSS, /* the members named by key, separated by spaces, or all that are down, are
                           given up: go on without what only they had */
    DHT_OP_FORM,        /* the nodes that answer are the whole cluster from now on */
    DHT_OP_LEAVE,       /* the node asked leaves the cluster and stops */
    DHT_OP_SHUTDOWN     /* the same, where the node's options allow it */
};

/* One operation. Everything is borrowed until the call returns; what a verb does not use is 0. */
struct dht_op {
    enum dht_verb verb;
    const char *key; /* 1 … DHT_KEY_BYTES_MAX bytes without spaces or control characters, and NUL;
                        DHT_OP_STATS: the group, e.g. "settings", or NULL; DHT_OP_FORGET,
                        DHT_OP_ACCEPT_LOSS: names */
    const void *value;
    size_t value_bytes;
    int64_t ttl_s; /* seconds from now, however many; 0 never expires, negative: already has.
                      DHT_OP_FLUSH_ALL: the delay */
    uint32_t flags;
    uint64_t cas;   /* set … prepend, delete, incr, decr: only if the item's is this; 0: always */
    uint64_t delta; /* incr, decr */
};

struct dht_answer {
    enum dht_result result;
    const char *text;  /* never NULL. DHT_OP_VERSION: the version; DHT_OP_STATS: a value;
                          a failure: why, for people */
    const char *name;  /* DHT_OP_STATS: of the value; else NULL */
    const char *value; /* get, gat, JSON: borrowed until the next call with this dht, what
                          dht_run tells until hear returns; no NUL behind it */
    size_t value_bytes;
    uint64_t number;    /* incr, decr: the new number */
    uint64_t cas;       /* of the item as it is now, where the verb gives it; else 0 */
    int64_t ttl_s;      /* get: seconds left, -1 for ever */
    uint32_t flags;     /* get, gat */
    const char *server; /* who was asked, "host:port"; NULL: nobody could be */
    int is_direct;      /* of dht_open_via: the answer did not come through that server */
};

/* Hears one answer. It must not call into the same dht. */
typedef void dht_answer_fn(void *arg, const struct dht_op *op, const struct dht_answer *answer);

/* Makes a client; connects to nothing yet.
 *
 * servers  "host:port[,host:port…]", IPv6 as [::1]:port; tried in this order.
 * why      out on failure, may be NULL: a static text saying what is wrong.
 * returns  NULL if servers is no such list; else to be closed with dht_close. */
struct dht *dht_open(const char *servers, const char **why);
void dht_close(struct dht *dht); /* accepts NULL */

/* Makes a client of one entry node, which need not reach any other: it listens on a port of its
 * own, tells the entry node that return address, and the nodes that hold the keys answer there
 * directly. Where they can't, or the server knows nothing of it, answers come through the entry
 * node as they would otherwise.
 *
 * server  as above; of several the first that can be had is the entry node. */
struct dht *dht_open_via(const char *server, const char **why);
/* How many answers have come directly, not through the entry node. */
unsigned long long dht_direct_answers(const struct dht *dht);

/* Whether to find the leader of each key and ask it (1, as it is after dht_open), or to ask whoever
 * answers for everything (0). Servers that know no ring are asked for everything in any case. */
void dht_set_ring_aware(struct dht *dht, int is_ring_aware);

/* Whether writes carry request ids (1, as it is after dht_open). The cluster keeps each for a
 * minute or more, which costs it memory on every copy: a bulk load that can be begun anew may do
 * without (0). */
void dht_set_request_ids(struct dht *dht, int has_ids);

/* The longest wait for an answer, connecting and retrying included; of several pipelined
 * operations each answer may take so long. At least 1. */
void dht_set_timeout(struct dht *dht, unsigned timeout_ms);

/* The server asked last, "host:port"; before the first call the first of the list. */
const char *dht_server(const struct dht *dht);

/* Why the last call failed, for people: what answer.text said, and what was wrong on DHT_USAGE. */
const char *dht_why(const struct dht *dht);

/* Carries out one operation and returns answer->result.
 * answer  out, may be NULL; what it points to is valid until the next call with this dht. */
enum dht_result dht_do(struct dht *dht, const struct dht_op *op, struct dht_answer *answer);

/* Carries out operations pipelined: many requests travel before the first answer is back.
 *
 * hear is called in their order, once for each (DHT_OP_STATS: once for each value, then once
 * without a name). Those on one key are carried out in order; those on others in any, except that
 * what has no key (DHT_OP_FLUSH_ALL, for one) comes after all before it and before all behind it. A
 * wrong argument in any of them refuses all: DHT_USAGE, nothing is sent and hear is not called.
 *
 * returns  DHT_OK if all were; else the first other result. */
enum dht_result dht_run(struct dht *dht, const struct dht_op *ops, size_t op_count,
                        dht_answer_fn *hear, void *arg);

/* Short forms of dht_do. */
enum dht_result dht_get(struct dht *dht, const char *key, struct dht_answer *answer);
enum dht_result dht_set(struct dht *dht, const char *key, const void *value, size_t value_bytes,
                        int64_t ttl_s);
enum dht_result dht_delete(struct dht *dht, const char *key);

#ifdef __cplusplus
}
#endif

#endif
