/* Links: this node's connections with the other members, both ways.
 *
 * For each member one link is dialled on demand, to forward requests; each member may have one open
 * here in turn. A link carries frames once both ends have shown that they mean the same cluster:
 * the one who dialled says HELLO, the other WELCOME or REFUSED.
 *
 *     dialled:   RESTING --links_to--> DIALLING --connected--> GREETING --WELCOME--> UP
 *                   ^---------------- failed, refused, too late, closed -------------'
 *     accepted:  (first frame) --HELLO ok--> UP --closed--> (gone)
 *
 * Frames for a link that is not UP yet wait in its queue and are dropped with it: what was queued
 * has never left. Knows nothing of requests. */
#ifndef DHT_SERVER_CORE_LINKS_H
#define DHT_SERVER_CORE_LINKS_H

#include "common/digest.h"
#include "common/log.h"
#include "common/message.h"
#include "common/view.h"
#include "server/core/env.h"

#define PROTOCOL_OLDEST 1u
#define PROTOCOL_NEWEST 1u

enum link_state { LINK_RESTING, LINK_DIALLING, LINK_GREETING, LINK_UP };

struct link {
    enum link_state state;
    bool is_dialled;        /* by this node; else it was accepted */
    uint32_t member;        /* index of the other end in the view */
    struct conn_id conn;    /* its connection; generation 0 while resting */
    struct reply queue;     /* frames that wait for UP */
    uint64_t deadline_ms;   /* DIALLING, GREETING: when to give up */
    uint64_t rest_until_ms; /* RESTING: no new dial before */
    uint32_t rest_ms;       /* the next rest; grows with each failure */
    const char *reason;     /* why it rests, for people; static */

    /* A body that comes in PARTs: what its first message said, and what is there so far. */
    struct message parts_first;
    char parts_client[CLIENT_TEXT_BYTES_MAX];
    struct buf parts;
};

struct links {
    const struct view *view; /* borrowed */
    uint32_t self;           /* this node's index */
    uint64_t list_hash;      /* peers_hash of view */
    const struct env *env;   /* borrowed */
    struct log *log;         /* borrowed */
    struct stats *stats;     /* borrowed */
    uint32_t dial_timeout_ms;
    struct link *dialled;   /* one a member */
    struct link **accepted; /* one a member, NULL if there is none */
    struct link **by_conn;  /* by conn.index; NULL where no link */
    uint32_t by_conn_capacity;
};

void links_init(struct links *links, const struct view *view, uint32_t self,
                uint32_t dial_timeout_ms, const struct env *env, struct log *log,
                struct stats *stats);
void links_close(struct links *links);

/* The link to a member, for frames to be appended to link_out: begins to dial if need
 * be. NULL: it rests after a failure; reason says why. */
struct link *links_to(struct links *links, uint32_t member, struct moment now, const char **reason);
/* Where frames for this link go now: its queue, or its connection. NULL: the connection is gone. */
struct reply *link_out(const struct links *links, struct link *link);
/* The link of a connection; for an accepted connection of no link yet, NULL. */
struct link *links_find(const struct links *links, struct conn_id conn);

/* What a frame or a connection's event did to a link. */
enum link_event {
    LINK_NOTHING, /* nothing the requests on it need to know */
    LINK_CAME_UP, /* what was queued has left */
    LINK_ENDED    /* and its connection is being closed; link may be freed: use member only */
};

/* The dialled connection stands: says HELLO. */
void links_connected(struct links *links, struct link *link);
/* A frame of the handshake has come (HELLO, WELCOME, REFUSED), on a connection that has no link yet
 * if link is NULL. Any other frame out of place ends the link. */
enum link_event links_handshake(struct links *links, struct link *link, struct conn_id conn,
                                const struct message *message, struct moment now);
/* Ends a link and closes its connection, at once unless after_sending. A dialled one rests, an
 * accepted one is freed. reason: static, for people. */
void links_end(struct links *links, struct link *link, const char *reason, bool after_sending,
               struct moment now);
/* The first dialled link whose deadline has passed, or NULL. The caller ends it. */
struct link *links_late(struct links *links, struct moment now);
/* Links that are up, both ways. */
uint32_t links_up_count(const struct links *links);
/* The earliest deadline of a dialled link; UINT64_MAX if none. */
uint64_t links_deadline(const struct links *links);

/* Takes the first message of a body in parts (total > its body's length).
 * Errors: ERR_TOO_LARGE total over the bound; ERR_SYNTAX one is under way already. */
MUST_USE enum err link_parts_begin(struct link *link, const struct message *first, uint32_t total,
                                   uint32_t total_max);
/* Adds a PART. whole: out, true when the body is complete: parts_first then describes it, with body
 * set; valid until link_parts_end. Errors: ERR_SYNTAX: not the body under way, or too long. */
MUST_USE enum err link_parts_add(struct link *link, const struct message *part, bool *whole);
void link_parts_end(struct link *link);

/* Appends a FORWARD or ANSWER with this body, in PARTs if it exceeds one frame. message's body and
 * total are set here. */
void link_append(struct reply *out, struct message *message, struct span body);

#endif
