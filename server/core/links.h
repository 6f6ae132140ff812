/* Links: this node's connections with other nodes, both ways, and the nodes themselves by index.
 *
 * Another node is a peer: known by its name, and here by an index that stays while anybody uses it.
 * To each peer one connection a lane is dialled on demand: DATA carries requests and answers,
 * CONTROL what gossip and the detector say, so that neither waits for the other. Each peer may have
 * one open here in turn. A connection carries frames once both ends have shown that they mean the
 * same cluster: who dialled says HELLO, the other WELCOME or REFUSED.
 *
 *     dialled:   RESTING --links_to--> DIALLING --connected--> GREETING --WELCOME--> UP
 *                   ^---------------- failed, refused, too late, closed -------------'
 *     accepted:  (none) --HELLO ok--> UP --closed, or a newer one--> (none)
 *
 * A third lane, SELF, has one use: it asks who answers under this node's own name.
 *
 * What happens to a link is news, which the node takes with links_take_news: nothing here calls
 * upwards. Knows nothing of requests, of gossip, or of who stands on the ring. */
#ifndef DHT_SERVER_CORE_LINKS_H
#define DHT_SERVER_CORE_LINKS_H

#include "common/list.h"
#include "common/log.h"
#include "common/message.h"
#include "common/view.h"
#include "server/core/env.h"

#define PROTOCOL_OLDEST 4u
#define PROTOCOL_NEWEST 4u

/* Peers known at a time: every member, and as many that come and go. */
#define PEERS_MAX (2 * VIEW_MEMBERS_MAX)
/* So many of them are not for strangers: whoever says HELLO then takes the place of another that
 * only this way is known. A flood of names keeps no member out. */
#define PEERS_RESERVED (VIEW_MEMBERS_MAX / 2)
#define PEER_SELF      0u         /* this node's own index */
#define PEER_NONE      UINT16_MAX /* no peer */

enum lane { LANE_DATA, LANE_CONTROL, LANE_SELF };
#define LANE_COUNT 3u

enum link_state { LINK_RESTING, LINK_DIALLING, LINK_GREETING, LINK_UP };

/* A body that comes in PARTs: what its first message said, and what is there so far. All of it
 * counts against the memory bound from its first message on. One for which there is no memory is
 * not kept: its PARTs are only counted. */
struct parts {
    struct message first;
    char client[MESSAGE_WORD_BYTES_MAX]; /* of a FORWARD: the texts that first borrows */
    char direct[MESSAGE_WORD_BYTES_MAX];
    char *bytes;           /* room for the whole; NULL: not kept */
    size_t len;            /* that have come */
    struct budget *budget; /* where bytes is counted; may be NULL */
};

struct link {
    enum link_state state; /* an accepted one is UP, or RESTING: there is none */
    enum lane lane;
    bool is_dialled;        /* by this node; else it was accepted */
    uint32_t peer;          /* the other end */
    uint64_t generation;    /* UP: of the process at the other end */
    uint64_t boot;          /* the same */
    struct conn_id conn;    /* its connection; generation 0 while resting */
    struct reply queue;     /* frames that wait for UP; dropped with the link: they never left */
    struct list in_pending; /* DIALLING, GREETING */
    uint64_t deadline_ms;   /* then: when to give up */
    uint64_t heard_ms;      /* UP: when a frame came last; after the greeting the node's to note */
    uint64_t wanted_ms;     /* dialled: when somebody last asked for it */
    uint64_t rest_until_ms; /* RESTING: no new dial before */
    uint32_t rest_ms;       /* the next rest; grows with each failure */
    const char *reason;     /* why it rests, for people; static; NULL after success */
    uint64_t boot_said;  /* this node's, as its HELLO said; it may have taken a later one since */
    struct parts *parts; /* a body under way, or NULL */
};

struct peer {
    uint32_t index;
    uint32_t next_in_bucket; /* PEER_NONE: the last */
    uint32_t holds;          /* who wants it to stay, links apart */
    uint64_t generation;     /* as last greeted; 0 before */
    uint64_t boot;           /* the same */
    uint64_t seat;           /* the same: its vote; 0: none */
    struct link dialled[LANE_COUNT];
    struct link accepted[LANE_COUNT];
    bool is_routed;       /* it stands on the ring: its idle data link is worth keeping */
    bool is_streamed;     /* sessions use its data link */
    struct list forwards; /* the data lane's user's (coord): requests on dialled[LANE_DATA] */
    char name[];          /* normal form */
};

/* Who this node is; borrowed texts. */
struct links_identity {
    const char *name;    /* host:port, normal form */
    const char *cluster; /* only nodes of one cluster speak with each other */
    const char *gossip;  /* and with one strategy */
    uint64_t generation; /* the birth of its data */
    uint64_t boot;       /* rises with every start */
    uint64_t id;         /* of the cluster whose view it has; 0: it has none */
    uint64_t seat;       /* its vote */
    uint32_t epoch;      /* of its view */
};

enum link_change {
    LINK_CAME_UP, /* what was queued has left */
    LINK_ENDED    /* or could not be had; its connection is closed */
};

struct link_news {
    enum link_change change;
    uint32_t peer;
    enum lane lane;
    bool is_dialled;
    bool was_up;         /* ENDED: it had been UP */
    bool is_superseded;  /* ENDED: the other end knows a later process of this node's name */
    enum disconnect why; /* ENDED */
    uint64_t generation; /* CAME_UP: of the process at the other end; as it said */
    uint64_t boot;
    uint32_t epoch;
};

#define LINKS_BUCKETS   4096u
#define REFUSALS_MEMORY 64u

struct links {
    struct links_identity identity;
    const struct env *env; /* borrowed */
    struct log *log;       /* borrowed */
    struct stats *stats;   /* borrowed */
    uint32_t dial_timeout_ms;
    struct peer **peers; /* by index; NULL is free; [PEER_SELF] is this node */
    uint32_t peers_end;  /* one past the highest index ever used */
    uint32_t peers_capacity;
    uint32_t peer_count;
    uint32_t stranger_at;  /* where the next look for a stranger to send away begins */
    uint16_t *buckets;     /* peers by the hash of their name: the first of each chain */
    struct link **by_conn; /* by conn.index; NULL where no link */
    uint32_t by_conn_capacity;
    struct list pending; /* links DIALLING or GREETING, by deadline: all wait equally long */
    uint32_t up_count;   /* links that are UP, both ways */
    struct link_news *news;
    uint32_t news_count, news_taken, news_capacity;
    uint64_t refusals[REFUSALS_MEMORY]; /* hashes of (who, why) already logged */
    uint32_t refusals_next;
};

void links_init(struct links *links, const struct links_identity *identity,
                uint32_t dial_timeout_ms, const struct env *env, struct log *log,
                struct stats *stats);
void links_close(struct links *links);

/* --- peers ------------------------------------------------------------------------------------ */

/* The index of the node of that name (normal form), which is remembered from now on; PEER_SELF for
 * this node's own. PEER_NONE: there are PEERS_MAX already. The index is good until the turn ends,
 * and then as long as it is held or has a link or a forward. */
uint32_t links_peer(struct links *links, const char *name);
/* The index of a name that is remembered, or PEER_NONE. */
uint32_t links_find_peer(const struct links *links, struct span name);
const char *links_name(const struct links *links, uint32_t peer);
/* Whether an index is anybody's; one that was not held may have been given to another node. */
bool links_has_peer(const struct links *links, uint32_t peer);
/* Keeps a peer's index, once for each call; release undoes one. */
void links_hold(struct links *links, uint32_t peer);
void links_release(struct links *links, uint32_t peer);
/* Whether sessions (sync) use a peer's dialled data link: it is kept then. */
void links_set_streamed(struct links *links, uint32_t peer, bool is_streamed);
/* Closes data links that nobody uses or has asked for lately, to peers that are not on the ring: if
 * one of them comes back, what is left of its connection may take long to move again. Then forgets
 * every peer that nobody holds, has no link and no forward. Call between turns' events. */
void links_sweep(struct links *links, struct moment now);

/* --- links ------------------------------------------------------------------------------------ */

/* The dialled link to a peer: begins to dial if need be. NULL: it rests after a failure. PEER_SELF
 * has LANE_SELF only, others have the two other lanes only (CHECKed). */
struct link *links_to(struct links *links, uint32_t peer, enum lane lane, struct moment now);
/* The same link as it is; dials nothing. Never NULL. */
struct link *links_dialled(const struct links *links, uint32_t peer, enum lane lane);
/* Ends a rest: the next links_to dials. */
void links_wake(struct links *links, uint32_t peer, enum lane lane);
/* Closes a dialled link that is not wanted any more, without a rest. News only of LANE_DATA. */
void links_drop(struct links *links, uint32_t peer, enum lane lane, struct moment now);
/* Where frames for this link go now: its queue, or its connection. NULL: the connection is gone. */
struct reply *link_out(const struct links *links, struct link *link);
/* Bytes of the dialled control link that the other machine has not acknowledged; 0 if none is up.
 */
uint64_t links_unacked(const struct links *links, uint32_t peer);
/* The link of a connection; for an accepted connection of no link yet, NULL. */
struct link *links_find(const struct links *links, struct conn_id conn);

/* The dialled connection stands: says HELLO. */
void links_connected(struct links *links, struct link *link);
/* A frame of the handshake has come (HELLO, WELCOME, REFUSED), on a connection that has no link yet
 * if link is NULL. Any other frame out of place ends the link.
 *
 * After a HELLO an index that nobody holds may be another's: nothing open may name one.
 *
 * boot_known  the highest boot known of the sender's name; a process of a lower one is refused. */
void links_handshake(struct links *links, struct link *link, struct conn_id conn,
                     const struct message *message, uint64_t boot_known, struct moment now);
/* A first frame has come that is no message of this version: if it is a HELLO of versions that are
 * not spoken here, refuses it and returns true. */
bool links_refuse_version(struct links *links, struct conn_id conn, const struct frame *frame,
                          struct moment now);
/* Ends a link and closes its connection at once. reason: static, for people; NULL: what why says.
 */
void links_end(struct links *links, struct link *link, enum disconnect why, const char *reason,
               struct moment now);
/* The first dialled link whose deadline has passed, or NULL. The caller ends it. */
struct link *links_late(const struct links *links, struct moment now);
/* What that says of the other end: its machine has acknowledged the HELLO, or it has not. */
enum disconnect links_lateness(const struct links *links, const struct link *link);
/* The earliest deadline of a dialled link; UINT64_MAX if none. */
uint64_t links_deadline(const struct links *links);
/* Takes the oldest news not taken yet. Returns whether there was any. */
bool links_take_news(struct links *links, struct link_news *news);

/* --- bodies ----------------------------------------------------------------------------------- */

/* Takes the first message of a body in parts (total > its body's length).
 * budget  where it is to count; may be NULL.
 * Errors: ERR_TOO_LARGE total over the bound; ERR_SYNTAX one is under way already. */
MUST_USE enum err link_parts_begin(struct link *link, const struct message *first, uint32_t total,
                                   uint32_t total_max, struct budget *budget);
/* Adds a PART. whole: out, true when the body is complete: parts->first then describes it, with
 * body set, its data NULL if there was no memory for it; valid until link_parts_end. Errors:
 * ERR_SYNTAX: not the body under way, or too long. */
MUST_USE enum err link_parts_add(struct link *link, const struct message *part, bool *whole);
void link_parts_end(struct link *link);

/* Where a message says how long its body is that may come in PARTs; NULL if it has one frame. */
uint32_t *message_total(struct message *message);
/* Appends such a message with this body, in PARTs if it exceeds one frame. message's body and total
 * are set here. */
void link_append(struct reply *out, struct message *message, struct span body);

#endif
