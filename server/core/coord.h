/* Coord: client requests on their way to the node that leads their key, until they are answered.
 *
 * A forward is answered exactly once: by its coordinator, or by this node when that cannot answer
 * in time. What never left this node, and reads, end as "not done" (safe to repeat); a write that
 * left and has no answer ends as "outcome unknown", and is never repeated here. Answers come in any
 * order; the client's session puts them right. A flush of the whole cluster is one request with one
 * forward a member.
 *
 * Bounds: FORWARDS_MAX requests under way and LINK_BACKLOG_BYTES_MAX unsent bytes a link; above
 * them the answer is "busy". */
#ifndef DHT_SERVER_CORE_COORD_H
#define DHT_SERVER_CORE_COORD_H

#include "common/list.h"
#include "server/core/route.h"

#define FORWARDS_MAX           65536u
#define LINK_BACKLOG_BYTES_MAX (256u * 1024 * 1024) /* two of the largest values */
#define BUSY_RETRY_MS          100u

/* One client request's place: whose answer it is. */
struct asker {
    struct conn_id conn;
    uint64_t seq; /* in the connection's session */
    enum request_part part;
    bool noreply;
};

/* A flush_all that waits for the other members. */
struct gather {
    struct asker asker;
    uint32_t members; /* asked, this node included */
    uint32_t open;    /* not answered yet */
    uint32_t done;    /* answered OK */
};

struct forward {
    struct list by_deadline;
    struct list by_peer;
    uint64_t number;
    uint64_t deadline_ms;
    uint32_t peer;
    bool is_write;
    bool has_left;         /* it may have been executed */
    struct asker asker;    /* of a flush_all, gather's */
    struct gather *gather; /* owned by its last open forward */
};

struct coord {
    struct links *links; /* borrowed */
    const struct env *env;
    struct stats *stats;
    uint32_t op_timeout_ms;
    struct forward **places; /* by number % FORWARDS_MAX; NULL is free */
    uint32_t places_used;    /* places ever used */
    uint32_t *free_places;   /* a stack */
    uint32_t free_count;
    uint64_t rounds;         /* makes numbers unique: number = rounds * FORWARDS_MAX + place */
    uint32_t count;          /* forwards under way */
    struct list by_deadline; /* all have the same time-out, so this is a queue */
    struct reply text;       /* scratch: a request as it is forwarded */
};

void coord_init(struct coord *coord, struct links *links, uint32_t op_timeout_ms);
void coord_close(struct coord *coord);

/* Sends a client's request to the member that leads its key; answers at once if that can't be. */
void coord_forward(struct coord *coord, const struct asker *asker, uint32_t peer,
                   const struct request *request, const struct digest *digest, struct moment now);
/* Sends a flush_all to all other members; this node has carried it out already. */
void coord_flush_all(struct coord *coord, const struct asker *asker, const struct route *route,
                     const struct request *request, struct moment now);
/* A whole answer has come over a member's dialled link. */
void coord_answered(struct coord *coord, uint32_t peer, const struct message *answer);
/* The member's link is up: what was queued has left. */
void coord_left(struct coord *coord, uint32_t peer);
/* The member's link has ended: its forwards fail. */
void coord_lost(struct coord *coord, uint32_t peer);
/* Fails one forward that is due. Returns whether there was one; peer: out, whom it was for. */
bool coord_late(struct coord *coord, struct moment now, uint32_t *peer);
/* When coord_late is due; UINT64_MAX if nothing is under way. */
uint64_t coord_deadline(const struct coord *coord);

/* Answers a request with nothing but this text; silent for noreply. */
void asker_answer(const struct env *env, const struct asker *asker, struct span text);

#endif
