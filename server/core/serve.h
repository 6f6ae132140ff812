/* Serve: carrying out requests on slots that have copies elsewhere, and holding back what they tell
 * until it is safe (proto.md "Serving").
 *
 * A request is executed at once against this node's own copy; its answer waits, as a pending, until
 * so many backups have acknowledged as the slot needs. A write goes into their streams; a read, and
 * a refusal, needs a record in them that came after it: any will do, and if none follows within the
 * turn a marker is put. Acknowledged numbers only rise, so that one comparison with the head of a
 * backup's queue says what is released.
 *
 *     executed --> WAITING --acknowledged--> SAFE --fence--> DONE
 *                     |  ^------------------.  |
 *                     |  session synced anew   '--deadline--> UNKNOWN (a write), NOT_DONE (a read)
 *                     |--deadline--> UNKNOWN (a write), NOT_DONE (a read)
 *                     '--view adopted--> SEALED (a write) --active again: lineage has it--> SAFE
 *                                        |                     '--has it not, or deadline-->
 * UNKNOWN
 *                                        '--(a read): AGAIN
 *
 * Pendings are taken from a pool with the memory of their answers. Knows nothing of connections and
 * sessions: who asked is noted in the pending and is its taker's (serve_take_over). */
#ifndef DHT_SERVER_CORE_SERVE_H
#define DHT_SERVER_CORE_SERVE_H

#include "server/core/coord.h"
#include "server/core/direct.h"
#include "server/core/executor.h"
#include "server/core/primary.h"
#include "server/store/ids.h"

/* Requests that wait here at a time; above that they are refused as busy. */
#define PENDINGS_MAX (4 * SLOT_COUNT)

enum pending_state {
    PENDING_WAITING, /* in its slot's list, and in the queues of the backups it has been sent to */
    PENDING_SAFE,    /* the fence is to be looked at */
    PENDING_SEALED,  /* a write of a lower epoch; in its slot's list */
    PENDING_OVER     /* fate says how */
};

enum pending_fate {
    FATE_DONE,     /* answer is the answer */
    FATE_UNKNOWN,  /* a write that may have taken effect, or may yet */
    FATE_NOT_DONE, /* a read that could not be confirmed in time */
    FATE_AGAIN     /* nothing was done: it may be carried out again, elsewhere */
};

struct flush;

struct pending;

/* A place in a backup's queue. */
struct awaited {
    struct list in_queue;
    struct pending *pending;
    uint64_t number; /* of the record that releases it */
    uint32_t peer;   /* PEER_NONE: in no queue */
};

struct pending {
    struct list in_state; /* WAITING, SEALED: its slot's; SAFE, OVER: serve's */
    struct list by_deadline;
    struct awaited awaited[RUN_BACKUPS_MAX];
    enum pending_state state;
    enum pending_fate fate;
    uint32_t slot;
    uint32_t needed;   /* acknowledgements, still */
    uint64_t begun_ms; /* when it was executed */
    uint64_t version;  /* of the last write it has made, an item's that had expired too; 0: none */
    bool is_write;     /* request_is_write */
    /* The command itself has written: it may take effect, or have taken it, although it is not
     * answered; else it may be carried out again. A read that has met an expired item has a
     * version, of the delete that this was; but that asks nothing of a client. */
    bool is_effective;
    uint64_t deadline_ms;
    struct reply answer;
    struct flush *flush; /* it is one slot's part of it; NULL: it is a request */

    /* Who has asked for what; the taker's. */
    enum command command;
    uint64_t position;
    struct asker asker; /* its opaque lies in words */
    bool is_forwarded;
    bool wants_direct;
    uint64_t forward_number;
    uint32_t entry; /* the peer that forwarded it */
    uint32_t patience_ms;
    struct digest digest;
    char client[CLIENT_TEXT_BYTES_MAX];
    char where[DIRECT_WHERE_BYTES_MAX];
    struct buf words; /* the opaque, then the request's text if it is short enough to be repeated */
    uint32_t text_len;
};

/* A flush_all being carried out at this primary: one write for each slot that it leads. */
struct flush {
    struct list in_list; /* serve's, by age */
    uint64_t deadline_ms;
    uint32_t delay_s;
    uint32_t open;  /* pendings under way */
    uint32_t epoch; /* of the view whose primaries were told, each for its slots */
    bool is_early;  /* that view is not adopted yet: what is to be done is not known */
    bool is_over;
    uint8_t todo[FLUSHED_BYTES]; /* slots that cannot be served yet */
    uint8_t done[FLUSHED_BYTES];
    char id[STORE_ID_BYTES_MAX]; /* its request id */
    uint32_t id_len;
    struct digest id_digest;
    /* Who has asked; the taker's. */
    struct gather *gather; /* a client of this node; NULL: another node */
    struct conn_id conn;
    uint64_t number;
};

/* A backup's stream: what waits for it, oldest first. */
struct queue {
    struct list waiting;
    uint64_t wanted; /* the highest number that something waits for */
    bool is_marked;  /* in marked */
    bool is_hurried; /* something of this turn relies on it: its stream is sent at the turn's end */
};

struct serve_setup {
    struct store *store;
    struct executor *executor;
    struct primary *primary;
    struct sync *sync;
    struct views *views;
    struct links *links;
    struct coord *coord;
    struct stats *stats;
};

struct serve {
    struct serve_setup setup;
    struct list *slots;   /* WAITING and SEALED, by slot; next NULL: not in use yet */
    struct queue *queues; /* by peer */
    uint32_t queue_count;
    uint32_t
        *marked; /* peers that something waits for which was not put yet, or that are hurried */
    uint32_t marked_count;
    uint64_t now_ms;         /* as serve_begin was told */
    struct list by_deadline; /* soonest first */
    struct list safe, over;
    struct list free;
    struct list flushes;
    uint32_t count;         /* pendings that are not over and taken */
    uint32_t waiting_count; /* those that are WAITING */
    uint32_t free_count;
    bool has_fence;    /* as serve_begin found it */
    bool holds_writes; /* the same: views_holds_writes */
    uint64_t hope_ms;  /* without a fence: requests are executed until then; 0: there is a fence */
};

void serve_init(struct serve *serve, const struct serve_setup *setup);
void serve_close(struct serve *serve);

/* Whether a request may be executed now; only a slot that serves may be asked for.
 * ALONE: by command_execute, then serve_told_alone, and the answer is good at once. PENDING: by
 * serve_run. LATER: not now. NO_MEMORY: it is to be answered so. BUSY: the same. */
enum serve_how { SERVE_ALONE, SERVE_PENDING, SERVE_LATER, SERVE_NO_MEMORY, SERVE_BUSY };
enum serve_how serve_how_else(struct serve *serve, const struct request *request, uint32_t slot,
                              struct moment now);
static inline enum serve_how serve_how(struct serve *serve, const struct request *request,
                                       uint32_t slot, struct moment now)
{
    if (LIKELY(primary_serving(serve->setup.primary, slot) == SERVING_ALONE && serve->has_fence &&
               request->once.len == 0))
        return SERVE_ALONE;
    return serve_how_else(serve, request, slot, now);
}
/* Requests are about to be carried out, all at this moment: looks at the fence, and asks for it. */
void serve_begin(struct serve *serve, struct moment now);

/* Executes a request on a key whose slot serves (SERVE_PENDING). Returns its pending, for the
 * caller to note who has asked; it may be over already, but is not given out before
 * serve_take_over. */
struct pending *serve_run(struct serve *serve, const struct request *request,
                          const struct store_key *key, uint64_t deadline_ms);
/* A request has been executed on a slot served alone: tells what was evicted for it. */
void serve_told_alone(struct serve *serve, uint32_t slot);

/* Begins to flush all slots led here, those that cannot be served yet when they can: those that
 * this node led in the view of that epoch too. The rest is others' part, by the view that whoever
 * was asked told all of them by: so no slot is flushed twice. */
struct flush *serve_flush_all(struct serve *serve, const struct request *request, uint32_t epoch,
                              uint64_t deadline_ms);
/* Takes a flush that is over, or NULL: done says for which slots it is. To be freed by the caller
 * (free). */
struct flush *serve_take_flushed(struct serve *serve);

/* A view has been adopted, and primary has been told. */
void serve_adopted(struct serve *serve);
/* An event of sync, after primary has been told. */
void serve_sync(struct serve *serve, const struct sync_event *event);
/* The slot has become able to serve. */
void serve_ready(struct serve *serve, uint32_t slot, struct moment now);
/* Deletes what has expired in the slots led here; carries out flushes that are due. */
void serve_expired(struct serve *serve);
/* The end of a turn: puts the markers that are needed. Before sync_flush. */
void serve_mark(struct serve *serve, struct moment now);
/* Ends what is late. */
void serve_tick(struct serve *serve, struct moment now);
/* When serve_tick or serve_mark is due; UINT64_MAX: never. */
uint64_t serve_deadline(const struct serve *serve);
/* Whether something is safe and waits for the fence alone. */
static inline bool serve_awaits_fence(const struct serve *serve)
{
    return list_first(&serve->safe) != NULL;
}

/* Whether what has been executed waits for other copies. */
static inline bool serve_awaits_copies(const struct serve *serve)
{
    return serve->waiting_count > 0;
}

/* Takes the next pending that is over, or NULL. now: read after all that has led to it. To be given
 * back with serve_free. */
struct pending *serve_take_over(struct serve *serve, struct moment now);
void serve_free(struct serve *serve, struct pending *pending);

/* Walks the whole structure and CHECKs every invariant; for tests. */
void serve_check(const struct serve *serve);

/* Prefetches what a request on a slot with copies looks at here. A hint only. */
static inline void serve_prefetch_slot(const struct serve *serve, uint32_t slot)
{
    __builtin_prefetch(&serve->slots[slot]);
    __builtin_prefetch(&serve->setup.primary->listeners[slot]);
}

#endif
