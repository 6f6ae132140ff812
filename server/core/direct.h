/* Direct: answers that this node gives to other nodes' clients on connections of its own to them.
 *
 * A forward may name the client's return address: its own address, a port, and a token that the
 * entry node has made up for it. The connection is made on demand and kept for later answers; not a
 * byte goes out on it before the client has said the token, so that nobody who has not asked for it
 * can be made to receive anything.
 *
 *     (none) --direct_answer--> DIALLING --connected--> EXPECTING --token--> UP --idle--> (none)
 *                                   '--- refused, too late, wrong token, ended ---> (none)
 *
 * An answer is given out once: on the connection, or, where that does not come up in time, back to
 * the caller, for the entry node to relay. One that was appended to the connection is not given
 * back, whatever becomes of it.
 *
 * Bounds: DIRECT_CONNECTIONS_MAX connections; for each client address one that is not up, and two
 * dials a second; DIRECT_KEPT_BYTES_MAX of answers that wait, on all together, with what is
 * noted of each; DIRECT_UNSENT_MAX unsent on one. All of it counts against the memory bound. Above
 * them the answer is not taken. Knows nothing of forwards: a number and a connection say whose an
 * answer is.
 */
#ifndef DHT_SERVER_CORE_DIRECT_H
#define DHT_SERVER_CORE_DIRECT_H

#include "common/list.h"
#include "common/log.h"
#include "common/view.h"
#include "server/core/env.h"

#define DIRECT_TOKEN_BYTES     16u
#define DIRECT_TOKEN_DIGITS    (2 * DIRECT_TOKEN_BYTES)
#define DIRECT_WHERE_BYTES_MAX (5 + 1 + DIRECT_TOKEN_DIGITS + 1) /* <port>,<token> and NUL */
#define DIRECT_KEY_BYTES_MAX   (CLIENT_TEXT_BYTES_MAX + DIRECT_WHERE_BYTES_MAX)
#define DIRECT_CONNECTIONS_MAX 1024u
#define DIRECT_DIAL_MS         1000u               /* from the dial to the token */
#define DIRECT_DIALS_A_SECOND  2u                  /* for each client address */
#define DIRECT_IDLE_MS         10000u              /* then a connection is closed */
#define DIRECT_KEPT_BYTES_MAX  (4u * 1024 * 1024)  /* that wait for connections */
#define DIRECT_UNSENT_MAX      (64u * 1024 * 1024) /* on one: a client that does not read */

enum direct_state { DIRECT_DIALLING, DIRECT_EXPECTING, DIRECT_UP };

/* An answer that waits for its connection, or for the caller to hear what became of it. */
struct direct_kept {
    struct list in_list;
    struct conn_id entry;  /* the connection its forward came by */
    uint64_t number;       /* the forward's */
    uint64_t until_ms;     /* then it is given back */
    bool is_sent;          /* it went out directly */
    struct budget *budget; /* where it is counted; may be NULL */
    struct reply body;     /* owned; empty if it was sent */
};

struct direct_conn {
    struct list in_bucket; /* by address and token */
    struct list in_age;    /* by deadline_ms, of one kind: pending, or up */
    enum direct_state state;
    struct conn_id conn;
    uint64_t deadline_ms; /* UP: idle from then on; else: given up */
    struct direct_caller *caller;
    struct list kept;                 /* answers that wait; none once UP */
    char where[DIRECT_KEY_BYTES_MAX]; /* <ip>:<port>,<token> */
};

/* A client address: how often it was dialled. */
struct direct_caller {
    struct list in_bucket;
    struct list in_age;                      /* by the last dial */
    uint64_t dial_ms[DIRECT_DIALS_A_SECOND]; /* the last ones, oldest first; 0: none */
    uint32_t open_count;                     /* connections */
    bool is_pending;                         /* one of them is not up yet */
    char host[CLIENT_TEXT_BYTES_MAX];
};

#define DIRECT_BUCKETS 256u

struct direct {
    const struct env *env; /* borrowed */
    struct stats *stats;   /* borrowed */
    struct log *log;       /* borrowed */
    uint32_t conn_count;
    uint32_t caller_count;
    size_t kept_bytes;       /* what waits: bodies and struct direct_kept */
    uint64_t pending_due_ms; /* nothing that is not up, or waits for it, is late before */
    struct list buckets[DIRECT_BUCKETS];        /* of connections */
    struct list caller_buckets[DIRECT_BUCKETS]; /* of callers */
    struct list pending;                        /* connections, oldest first */
    struct list up;                             /* connections, that idle longest first */
    struct list callers;                        /* by the last dial, oldest first */
    struct list done;                           /* answers whose lot is known: direct_take_done */
};

void direct_init(struct direct *direct, const struct env *env, struct stats *stats,
                 struct log *log);
void direct_close(struct direct *direct);

/* Makes a return address of a port and a new token: "<port>,<token>". */
void direct_make_where(const struct env *env, uint16_t port, char where[DIRECT_WHERE_BYTES_MAX]);
/* Writes the address a return address means, "<ip>:<port>".
 * client   ip:port, as the client's own connection has it.
 * where    "<port>,<token>".
 * returns  false if either is malformed, or the port below CLIENT_PORT_MIN. */
bool direct_address(struct span client, struct span where, char address[CLIENT_TEXT_BYTES_MAX]);

enum direct_lot {
    DIRECT_SENT, /* it is on its way to the client; body is empty now */
    DIRECT_KEPT, /* it waits; direct_take_done tells what became of it; body is empty now */
    DIRECT_NOT   /* it can't go that way; body is as it was */
};

/* Takes the answer to forward number, which came by connection entry.
 * client, where  as direct_address.
 * nodes          whose own addresses are not called; borrowed.
 * body           the whole answer, at least one byte.
 * patience_ms    how long it may wait for a connection; then it is given back. */
enum direct_lot direct_answer(struct direct *direct, struct span client, struct span where,
                              const struct view *nodes, struct conn_id entry, uint64_t number,
                              uint32_t patience_ms, struct reply *body, struct moment now);
/* The next kept answer whose lot is known, or NULL: sent, or body to be relayed. To be released
 * with direct_kept_free. */
struct direct_kept *direct_take_done(struct direct *direct);
void direct_kept_free(struct direct_kept *kept);

/* Events of a connection; each returns whether it was one of these. */
bool direct_connected(struct direct *direct, struct conn_id conn);
bool direct_line(struct direct *direct, struct conn_id conn, struct span line, struct moment now);
bool direct_disconnected(struct direct *direct, struct conn_id conn);
/* Gives up what is late, closes what is idle. */
void direct_tick(struct direct *direct, struct moment now);
/* When direct_tick is due; UINT64_MAX: never. */
uint64_t direct_deadline(const struct direct *direct);
/* Walks the whole structure and CHECKs every invariant; for tests. */
void direct_check(const struct direct *direct);

#endif
