/* Coord: client requests on their way to the node that leads their key, until they are answered.
 *
 * A forward keeps its own copy of the request. What is certain not to have been done (it never
 * left, its leader is not known, or was refused because another node leads the key), and a read
 * whose link broke, is tried anew: when the ring changes, and after 10, 20, 40 … 100 ms, until its
 * deadline. A write that left and has no answer is never repeated: its outcome is unknown.
 *
 *        .---------- link ended (a read), not the leader ----------.
 *        v                                                          |
 *     WAITING --leader's link not up--> QUEUED --link up--> LEFT ---+--ANSWER--> answered
 *        |  ^---------- link ended, another leader ---'       |
 *        |  '--(link up: LEFT at once)                        +--deadline, link ended: a write is
 *        |                                                    |  "outcome unknown"
 *        '--deadline--> "not done"                            '--deadline: a read is "not done"
 *
 * A forward is answered exactly once. Those of one slot that have not left yet leave in the order
 * in which they came. Answers come in any order; the client's session puts them right. A flush of
 * the whole cluster is one request with one forward for each node that leads slots.
 *
 * What this node leads itself comes here too while it cannot be served (primary.h), and waits.
 *
 * Bounds: FORWARDS_MAX requests under way, FORWARD_BYTES_MAX bytes of their copies, which count
 * against the memory bound, and LINK_BACKLOG_BYTES_MAX unsent bytes a link; above them the answer
 * is "busy". */
#ifndef DHT_SERVER_CORE_COORD_H
#define DHT_SERVER_CORE_COORD_H

#include "common/list.h"
#include "server/core/route.h"

#define FORWARDS_MAX           65536u
#define FORWARD_BYTES_MAX      (256u * 1024 * 1024) /* two of the largest values */
#define LINK_BACKLOG_BYTES_MAX (256u * 1024 * 1024)
#define COORD_AWAITS_BYTES_MAX 256u
#define BUSY_RETRY_MS          100u
#define RETRY_MS_MIN           10u
#define RETRY_MS_MAX           100u

/* One client request's place: whose answer it is. */
struct asker {
    struct conn_id conn;
    uint64_t seq; /* in the connection's session */
    enum request_part part;
    bool noreply;
    bool is_aside;      /* its answer leaves the order: seq means nothing, opaque tells */
    struct span opaque; /* of one aside: borrowed from the request, or from the forward's text */
};

#define FLUSHED_BYTES (SLOT_COUNT / 8) /* a bit a slot, the lowest of a byte first */

/* A flush_all that waits for the primaries of all slots. */
struct gather {
    struct asker asker;
    uint32_t open;                  /* parts not answered yet */
    uint32_t epoch;                 /* of the view that says which part is whose */
    uint8_t flushed[FLUSHED_BYTES]; /* slots for which it is done */
};

enum forward_state {
    FORWARD_WAITING, /* to be tried anew; in its slot's list */
    FORWARD_QUEUED,  /* its leader's link is not up yet; in the peer's list */
    FORWARD_LEFT,    /* it may have been executed; in the peer's list */
    FORWARD_OWN      /* this node leads it, and can serve it now; in coord->own */
};

struct forward {
    struct list by_deadline;
    struct list in_state; /* the list that its state says */
    enum forward_state state;
    uint64_t number;
    uint64_t order; /* its place among others: its number, or its kept flush_all's */
    uint64_t deadline_ms;
    uint32_t pause_ms;   /* WAITING: the pause after the next try that comes to nothing */
    uint32_t peer;       /* whom it is for, as last tried; PEER_NONE: nobody yet */
    uint32_t slot;       /* of its key; WAIT_RING, WAIT_MEMBERS without one */
    struct conn_id conn; /* LEFT: the connection it left by */
    bool is_write;
    bool was_refused;                   /* by peer: it does not lead the key */
    bool is_unready;                    /* its primary cannot serve the slot now, as last tried */
    struct digest digest;               /* of its key */
    struct asker asker;                 /* of a flush_all, gather's */
    struct gather *gather;              /* owned by its last open forward */
    struct budget *budget;              /* where its bytes are counted; may be NULL */
    char client[CLIENT_TEXT_BYTES_MAX]; /* the client's address */
    uint32_t text_len;
    char text[]; /* the request as its coordinator is to parse it */
};

/* Requests of one slot that wait to be tried anew. */
struct waiting {
    struct list forwards;  /* by number; next NULL: not in use */
    struct list in_active; /* linked while forwards is not empty */
    uint64_t retry_ms;
};

#define WAIT_RING    SLOT_COUNT       /* a flush_all before there is a ring */
#define WAIT_MEMBERS (SLOT_COUNT + 1) /* forwards of flush_all, each for its own member */
#define WAITS        (SLOT_COUNT + 2)

struct coord {
    struct links *links;       /* borrowed */
    const struct route *route; /* borrowed */
    const uint8_t *serving;    /* borrowed: by slot, not 0: what this node leads it can serve */
    const struct env *env;
    struct stats *stats;
    uint32_t op_timeout_ms;
    struct forward **places; /* by number % FORWARDS_MAX; NULL is free */
    uint32_t places_used;    /* places ever used */
    uint32_t *free_places;   /* a stack */
    uint32_t free_count;
    uint64_t rounds;         /* makes numbers unique: number = rounds * FORWARDS_MAX + place */
    uint32_t count;          /* forwards under way */
    size_t bytes;            /* that they take */
    struct list by_deadline; /* soonest first */
    struct waiting *waits;   /* by slot, and the two above */
    struct list active;      /* those with forwards */
    uint64_t retry_ms;       /* no wait is over before */
    struct list own;
    struct buf text;                     /* scratch: a request as it is forwarded */
    char awaits[COORD_AWAITS_BYTES_MAX]; /* told by the node: why there is no ring, or no other */
};

/* serving  a byte a slot (primary.h); NULL: what this node leads it serves. */
void coord_init(struct coord *coord, struct links *links, const struct route *route,
                const uint8_t *serving, uint32_t op_timeout_ms);
void coord_close(struct coord *coord);

/* Takes a client's request on a key that this node does not lead, or cannot serve now: sends it to
 * whom the route says, now or later; answers at once only if it is too busy.
 * deadline_ms  0: from now on as long as a request may take. */
void coord_forward(struct coord *coord, const struct asker *asker, const struct request *request,
                   const struct digest *digest, uint64_t deadline_ms, struct moment now);
/* The same of one of which nothing has been done although it was begun here.
 * text  as coord_text gave it; asker's opaque lies in it. */
void coord_again(struct coord *coord, const struct asker *asker, struct span text,
                 const struct digest *digest, bool is_write, uint64_t deadline_ms,
                 struct moment now);
/* A request as its coordinator is to parse it: the client's own bytes, or one key's of its line.
 * Borrowed until the next call. */
struct span coord_text(struct coord *coord, const struct request *request);
/* The same, appended to out. */
void coord_append_text(const struct request *request, struct buf *out);
/* Answers that there is too much under way. */
void coord_busy(struct coord *coord, const struct asker *asker);
/* Whether requests of the slot wait to be tried anew: later ones wait behind them. */
static inline bool coord_is_slot_waiting(const struct coord *coord, uint32_t slot)
{
    return coord->count > 0 && list_is_linked(&coord->waits[slot].in_active);
}
/* This node can serve the slot now: what waits for that is among coord_take_own's. */
void coord_ready(struct coord *coord, uint32_t slot, struct moment now);
/* Sends a flush_all to all who lead slots. The route must have members. Returns what the own part
 * is to be told to, by coord_flushed: NULL if this node leads nothing.
 * kept  what coord_take_own gave for it, NULL if it has only just come.
 * deadline_ms  out. */
struct gather *coord_flush_all(struct coord *coord, const struct asker *asker,
                               const struct request *request, const struct forward *kept,
                               uint64_t *deadline_ms, struct moment now);
/* This node's part is over. flushed: FLUSHED_BYTES; NULL: the node closes, nobody is answered. */
void coord_flushed(struct coord *coord, struct gather *gather, const uint8_t *flushed);
/* Keeps a flush_all until there is a ring; then it is among coord_take_own's. */
void coord_keep_flush(struct coord *coord, const struct asker *asker, const struct request *request,
                      struct moment now);
/* A whole answer has come over a peer's dialled link. */
void coord_answered(struct coord *coord, const struct link *link, const struct message *answer,
                    struct moment now);
/* The peer's data link is up: what was queued for it leaves. */
void coord_came_up(struct coord *coord, uint32_t peer, struct moment now);
/* The peer's data link has ended: its writes that left fail, the rest waits to be tried anew. */
void coord_lost(struct coord *coord, uint32_t peer, struct moment now);
/* The route has changed: what has not left goes where it says now. Returns whether coord_take_own's
 * are to be carried out first (a flush_all that waited is among them), and this called again. */
bool coord_rerouted(struct coord *coord, struct moment now);
/* Tries anew what is due. */
void coord_retry(struct coord *coord, struct moment now);
/* Takes a request that this node itself leads by now, in the order they came, or NULL. It is open
 * no more: the caller carries it out for its asker and frees it with coord_free. */
struct forward *coord_take_own(struct coord *coord);
void coord_free(struct coord *coord, struct forward *forward);
/* Fails one forward that is due. Returns whether there was one. late_on: out, the peer on whose
 * data link it was late, PEER_NONE if it had not left. */
bool coord_late(struct coord *coord, struct moment now, uint32_t *late_on);
/* When coord_late or coord_retry is due; UINT64_MAX if nothing is under way. */
uint64_t coord_deadline(const struct coord *coord);
/* Walks the whole structure and CHECKs every invariant; for tests. */
void coord_check(const struct coord *coord);

/* Answers a request with nothing but this text; silent for noreply. */
void asker_answer(const struct env *env, const struct asker *asker, struct span text);
/* Answers a request whose answer leaves the order with all of body, which is left closed. */
void asker_answer_aside(const struct env *env, const struct asker *asker, struct reply *body);

#endif
