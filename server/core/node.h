/* The node as a function of what happens to it: every event enters here and is routed to one
 * module.
 *
 * The seam takes batches: within a turn of the loop the shell parses requests straight
 * into the node's batch; it is carried out when full or when node_flush is called, with the memory
 * of all its keys prefetched. Nothing here waits or recurses; env's functions only queue.
 *
 *     node_turn(now) { node_request, node_submit | node_frame | node_connected | node_disconnected
 * }* node_flush node_finish  then the shell sends  then node_sent
 *
 * Bytes a submitted request or frame borrows must stay until node_flush. */
#ifndef DHT_SERVER_CORE_NODE_H
#define DHT_SERVER_CORE_NODE_H

#include "common/frame.h"
#include "common/log.h"
#include "common/view.h"
#include "server/core/env.h"
#include "server/core/gossip_options.h"
#include "server/core/views.h"
#include "server/store/store.h"

struct node;
struct primary;
struct route;
struct serve;
struct sync;
struct views;

struct node_options {
    const char *name;            /* this node's, host:port in normal form */
    const char *cluster;         /* its cluster's name: 1 to MESSAGE_WORD_BYTES_MAX bytes */
    const char *gossip;          /* the strategy's name, as targets_find knows it */
    uint64_t generation;         /* the birth of its data: random */
    uint64_t boot;               /* higher with every start under this name */
    uint32_t weight;             /* 1 … VIEW_WEIGHT_MAX */
    const struct view *seeds;    /* the lines of peers.txt; the own name may be among them */
    const struct view *founders; /* those of them whose majority founds the cluster */
    struct span state;           /* the state file's text as this start has written it, or empty;
                                  * borrowed by node_open alone */
    bool has_state_file;         /* there is one: what the node promises is kept */
    struct views_options views;
    struct gossip_options timers;
    uint32_t value_bytes_max;   /* -I */
    uint32_t op_timeout_ms;     /* a forwarded request is answered within this */
    uint32_t sync_window_bytes; /* of a copy on their way to one node; 0: SYNC_WINDOW_BYTES */
    uint32_t sync_rate_bytes_s; /* of copies to all nodes together; 0: no bound */
    bool can_shutdown;          /* -A: clients may end the node by the shutdown command */
    struct log *audit;     /* borrowed; a line for every request carried out here; NULL: none */
    bool direct_answers;   /* other nodes' clients may be answered on connections to them */
    struct budget *budget; /* borrowed: where what waits for other nodes counts; may be NULL */
    const struct stats_setting *settings; /* for `stats settings`; borrowed for the node's life */
    size_t settings_count;
};

/* Creates a node. Texts, seeds, store, env and log are borrowed for its life.
 * gives: release with node_close. */
struct node *node_open(const struct node_options *options, struct store *store,
                       const struct env *env, struct log *log);
/* Frees the node, not what it borrows. Accepts NULL. */
void node_close(struct node *node);

/* A turn begins: everything until the next call happens at now. */
void node_turn(struct node *node, struct moment now);

/* Where the next request is to be parsed into; valid until node_submit. */
struct request *node_request(struct node *node);
/* The request just parsed joins the batch. It is number next_seq of its connection's session, which
 * is thereby taken. */
void node_submit(struct node *node, struct conn_id conn, struct session *session);
/* Carries out the batch. */
void node_flush(struct node *node);
/* Everything of the turn has been read and carried out: what other nodes are to have is put into
 * their connections, and what can be answered now is. Before the turn's sends, once or more.
 * now  read after all that. */
void node_finish(struct node *node, struct moment now);
/* The turn's sends are done: memory kept for them may go. */
void node_sent(struct node *node);

/* A frame has come on a connection: one that the node dialled, or one whose client said HELLO. */
void node_frame(struct node *node, struct conn_id conn, const struct frame *frame);
/* A malformed frame came, crc: its checksum was wrong. The connection is closed by the node. */
void node_frame_bad(struct node *node, struct conn_id conn, bool crc);
/* A dialled connection is there. */
void node_connected(struct node *node, struct conn_id conn);
/* A connection that the node dialled, or another node's, has ended or could not be had. Connections
 * that were only ever a client's need not be told. */
void node_disconnected(struct node *node, struct conn_id conn, enum disconnect why);
/* A line has come on a connection of dial_client, without its line end; borrowed. A client that
 * says more than CLIENT_LINE_BYTES_MAX without a line end has its connection closed by the shell:
 * node_disconnected follows. */
void node_client_line(struct node *node, struct conn_id conn, struct span line);

/* When node_tick wants to be called next: monotonic ms. */
uint64_t node_deadline(const struct node *node);
/* Time passes: deadlines, retries, expired items. */
void node_tick(struct node *node);

/* peers.txt has been read anew. Both borrowed in place of the old ones. */
void node_seed(struct node *node, const struct view *seeds, const struct view *founders);
/* Leaves the cluster, or stops where too few would remain (proto.md "Views" 2); when that is
 * through it says so to the others, and calls env's end with NODE_END_LEFT. A second call changes
 * nothing. */
void node_leave(struct node *node);

/* Whether a connection is a link to another node. */
bool node_has_link(const struct node *node, struct conn_id conn);
/* Requests forwarded and not answered yet. */
size_t node_forward_count(const struct node *node);
/* Whether the cluster has other nodes. */
bool node_has_others(const struct node *node);
struct stats *node_stats(struct node *node);
/* The boot it goes by: a later one than it was started with, if the others held it for gone. */
uint64_t node_boot(const struct node *node);
/* The agreed views, as it has them. */
struct views *node_views(struct node *node);
/* What it knows of the members: for the simulator's checks. */
const struct gossip *node_gossip(const struct node *node);
/* Which slots it leads and how far they are, what waits for copies: for the simulator's checks. */
const struct primary *node_primary(const struct node *node);
const struct serve *node_serve_of(const struct node *node);
const struct sync *node_sync(const struct node *node);
/* The ring as the node has it. */
const struct route *node_route(const struct node *node);
/* Appends the answer to `stats` (words empty) for the log; see stats.h. */
void node_stats_append(struct node *node, struct span words, struct reply *out);

#endif
