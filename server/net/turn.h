/* A turn of the loop, and what all connections share: every ready connection is read and parsed
 * into the node's batch, the batch is carried out, then every connection that is owed bytes is sent
 * them.
 *
 * Downwards it knows the loop and the node; what connections do is above it: conn.h. Everything in
 * it happens at one moment, now, until the next turn begins. */
#ifndef DHT_SERVER_NET_TURN_H
#define DHT_SERVER_NET_TURN_H

#include "common/budget.h"
#include "common/list.h"
#include "common/log.h"
#include "common/volley.h"
#include "server/core/node.h"

#include <event2/event.h>
#include <event2/event_struct.h>

#define SPARE_COUNT_MAX 64u /* answer buffers kept for later turns */

/* Connections read together, and then answered together: enough to hide cache misses behind each
 * other and to spread the price of a system call, few enough that the kernel's side of each
 * connection is still in the cache when its answer is sent, and that clients work while others are
 * served. */
#define TURN_READS_MAX 32u
/* At most this much is read from each of them. */
#define TURN_READ_BYTES (64u * 1024)
/* From another node so much: what it has put into its stream since the last acknowledgement comes
 * as one batch, and costs one acknowledgement if it is read at once. */
#define TURN_PEER_READ_BYTES (256u * 1024)
/* Room for all of that, unless several nodes are read or much of their earlier input waits. */
#define TURN_ARENA_BYTES ((TURN_READS_MAX + 1) * TURN_READ_BYTES)

struct conn;

struct turn {
    struct event_base *base; /* owned */
    struct node *node;       /* borrowed; NULL until there is one */
    struct budget *budget;   /* borrowed */
    struct log *log;         /* borrowed */
    struct volley *volley;   /* owned; reads and sends go out by it */
    uint32_t value_bytes_max;
    struct moment now;
    bool is_begun;
    bool is_draining; /* no more clients are taken */
    bool is_stopping; /* nor requests of other nodes */

    struct conn **conns;   /* by index; NULL is free */
    uint32_t *generations; /* by index: of its present or last user */
    uint32_t conns_capacity;
    uint32_t *free_indices; /* a stack */
    uint32_t free_count;
    uint32_t conn_count;     /* open ones, those of nodes included */
    uint32_t accepted_count; /* of them, those accepted */
    uint32_t client_count;   /* of those, the ones that are no other node's */
    uint64_t accepted_total;
    uint64_t refused_total;

    struct list dirty;                    /* connections that may be owed bytes or have ended */
    struct list resumed;                  /* connections with input left that may be parsed on */
    struct list ended;                    /* closed connections, to be freed at the turn's end */
    struct conn *reading[TURN_READS_MAX]; /* connections to be read, soon and together */
    uint32_t reading_count;
    uint32_t reads;     /* connections read in this turn */
    char *arena;        /* what was read, until its batch is done; TURN_ARENA_BYTES */
    struct buf *spares; /* buffers for answers, to be used again */
    uint32_t spare_count;
};

/* is_plain  a system call for each read and each send (volley.h).
 * Failure stops the process. */
void turn_init(struct turn *turn, uint32_t value_bytes_max, bool is_plain, struct budget *budget,
               struct log *log);
/* No connection may be left. */
void turn_close(struct turn *turn);
/* The turn begins, if it has not: for every callback of the loop. */
void turn_begin(struct turn *turn);

/* Monotonic and wall clock. */
struct moment turn_clock(void);

/* A time to wait as libevent wants it. */
static inline struct timeval turn_timeval(uint64_t ms)
{
    return (struct timeval){.tv_sec = (time_t)(ms / 1000),
                            .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
}

#endif
