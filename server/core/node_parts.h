/* What the files of node share. Nobody else includes this.
 *
 *     node          the node's life: turns, time, connections
 *     node_frames   what other nodes say
 *     node_ring     a new ring: slots placed anew, what waited sent on
 *     node_batch    requests, together: placed, prefetched, carried out or forwarded
 *     node_admin    the commands that a node answers itself
 *     node_report   what the node says of itself
 *     node_serve    requests whose answers wait for copies
 *     node_answer   answers to other nodes and their clients
 *     node_news     what links and gossip tell; leaving
 *
 * Each calls only those below it. */
#ifndef DHT_SERVER_CORE_NODE_PARTS_H
#define DHT_SERVER_CORE_NODE_PARTS_H

#include "server/core/audit_lines.h"
#include "server/core/coord.h"
#include "server/core/direct.h"
#include "server/core/executor.h"
#include "server/core/gossip.h"
#include "server/core/node.h"
#include "server/core/operator.h"
#include "server/core/primary.h"
#include "server/core/serve.h"
#include "server/core/sync.h"
#include "server/core/views.h"

/* Requests carried out together. From 32 on there is nothing more to hide, and a batch of 64 with
 * all it works on outgrows the processor's first cache. */
#define BATCH_COUNT 32u

/* One request of the batch. */
/* What memory is to be brought near for a request: none, the key's, or that of the sessions of its
 * slot's copies too. */
enum ahead { AHEAD_NONE, AHEAD_KEY, AHEAD_COPIES };

struct op {
    /* What is looked at ahead of its turn lies together. */
    struct store_key key; /* valid if the command has a key */
    uint32_t leader;      /* peer index of the key's primary */
    enum ahead ahead;     /* a hint: as it was when the request was placed */
    bool is_placed;       /* digest and the four above are valid; always, of one without a key */
    struct digest digest;
    struct session *session; /* a client's; NULL for a request another node has forwarded */
    struct asker asker;      /* a client's; of a forwarded one only conn */
    uint64_t deadline_ms;    /* a client's: of one that has waited already; 0: it has just come */
    struct request request;
    /* A forwarded one's: */
    uint64_t number;
    uint32_t entry;       /* the peer that forwarded it */
    struct span client;   /* borrowed: the client's address */
    struct span direct;   /* borrowed: where it takes answers, or "-" */
    uint32_t epoch;       /* of the entry node's view */
    uint32_t patience_ms; /* how long the entry node waits for the answer */
};

struct node {
    struct node_options options;
    struct route route;
    struct store *store; /* borrowed */
    const struct env *env;
    struct log *log;
    struct stats stats;
    struct executor executor;
    struct links links;
    struct gossip gossip;
    struct views *views; /* owned */
    struct sync *sync;   /* owned */
    struct primary primary;
    struct coord coord;
    struct serve serve;
    struct direct direct;
    struct operator_waits operators;
    struct moment now;
    uint64_t start_ms;      /* when the first turn began */
    uint32_t start_s;       /* what the store's clock said then */
    uint64_t sweep_ms;      /* when peers that nobody uses are to be forgotten next */
    uint64_t store_tick_ms; /* when the store is to be ticked next */
    struct reply answer;    /* scratch: the answer to a forwarded request */
    uint64_t end_by_ms;   /* told to shut down, it ends then all the same; UINT64_MAX: it is not */
    bool is_shutdown_due; /* a client has asked for it in this batch */
    bool is_leaving;
    bool has_ended; /* env's end has been called */
    bool is_flushing;
    bool hashes_pairs; /* digest_has_pairs */
    uint32_t batch_count;
    struct op batch[BATCH_COUNT];
};

/* --- node_ring -------------------------------------------------------------------------------- */

/* A view has been adopted: all of lower epochs is sealed, the slots are placed anew, and what waits
 * goes to whom they belong now. What the batch holds was placed by the old ring: it is carried out
 * only where that still serves. */
void node_take_ring(struct node *node);
/* Carries out what clients asked before this node led their keys. */
void node_run_own(struct node *node);

/* --- node_batch ------------------------------------------------------------------------------- */

/* Parses text, which must be one request for one key, or for none. */
bool node_parse(const struct node *node, struct span text, struct request *request);
/* Finds out where the op's key lies; begins to bring its place in memory near. */
void node_place(struct node *node, struct op *op);

/* --- node_admin ------------------------------------------------------------------------------- */

/* Carries out a command without a key, and answers it. */
void node_run_command(struct node *node, const struct op *op);
/* flush_all: here, and on all other members of the ring.
 * kept  what coord kept of it until there was a ring, or NULL. */
void node_run_flush(struct node *node, const struct asker *asker, const struct request *request,
                    const struct forward *kept);

/* --- node_report ------------------------------------------------------------------------------ */

/* status, transfers, copy: answered by the node asked, of itself. */
void node_run_status(const struct node *node, struct reply *out);
void node_run_transfers(const struct node *node, struct reply *out);
void node_run_copy(struct node *node, const struct op *op, struct reply *out);

/* --- node_serve ------------------------------------------------------------------------------- */

/* Executes a request on a key of a slot that has copies elsewhere; it is answered later. */
void node_serve(struct node *node, struct op *op);
/* Carries out another node's flush_all here. */
void node_serve_flush(struct node *node, const struct op *op);
/* What sync has to tell, to primary and serve: before anything is carried out, as what was
 * acknowledged before that is no acknowledgement of it, and whose session has ended has none of it.
 */
void node_take_sync(struct node *node);
/* What sync and primary have to tell: to primary, serve and coord. */
void node_tell_sync(struct node *node);
/* Answers what can be answered now. */
void node_answer_over(struct node *node);

/* --- node_answer ------------------------------------------------------------------------------ */

/* The answer to a forward: sends what is in body, and empties it; borrowed pieces stay borrowed if
 * one frame holds all. */
void node_answer_forward(struct node *node, struct conn_id conn, uint64_t number,
                         enum answer_status status, struct reply *body);
/* Answers a forward that is not carried out. */
void node_refuse_forward(struct node *node, struct conn_id conn, uint64_t number,
                         enum answer_status status, const char *reason);
/* A forwarded request whose client takes answers elsewhere. */
struct direct_wish {
    struct conn_id conn; /* it came by */
    uint64_t number;
    struct span client; /* the client's address */
    struct span where;  /* empty: nowhere */
    struct span opaque;
    uint32_t patience_ms;
};
/* Answers the client itself, and then tells the entry node so. Returns false if that can't be; then
 * the entry node is to have the answer. */
bool node_answer_directly(struct node *node, const struct direct_wish *wish, struct reply *answer);
/* Tells the entry nodes of the answers that waited: they went out, or are to be relayed. */
void node_tell_direct(struct node *node);
/* A touching retrieval can fail for lack of memory: that stands in the place of the line's END. */
bool node_touch_has_failed(enum command command, struct span answer);
/* --- node_news -------------------------------------------------------------------------------- */

/* Tells every module what has happened to the links, and notes what the membership has decided. */
void node_tell_news(struct node *node);
/* The shutdown command: leaves the cluster, and ends within SHUTDOWN_MS whatever that says. */
void node_shut_down(struct node *node);
#define SHUTDOWN_MS 4000u
/* Notes what the membership and the views have decided: acted upon when the turn allows it. */
void node_look_at_gossip(struct node *node);

#endif
