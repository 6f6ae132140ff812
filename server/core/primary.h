/* Primary: becoming the primary of slots in a view, and being it (proto.md "Becoming
 * primary", "Learners", "Tombstones", "Leftovers", "Loss of a group's quorum").
 *
 * When a view is adopted every slot that this node is the primary of begins a run, which ends with
 * the next view. Numbers are the rules of "Becoming primary":
 *
 *            own answer settles every epoch (1)
 *          .-------------------------------------.
 *          |                                     v
 *      COLLECTING --settled, own copy chosen--> LEADING --W have recorded act = e' (4)--> ACTIVE
 *       ^  ^  |                                  ^  (3: act recorded, backups approached)
 *       |  |  '--settled, another's chosen (2)--> PULLING --PULLED--'
 *       |  '------ copy moved, source gone ---------'
 *       '-- an answer's giver has gone: judged anew
 *
 * A backup has a session (sync.h) from LEADING on, a learner too; a session that ends is begun
 * anew. Whether the slot's requests may be carried out is one byte a slot: primary_serving.
 *
 * Calls upwards nobody: which slots have become able to serve is told by primary_take_ready. Knows
 * nothing of requests. */
#ifndef DHT_SERVER_CORE_PRIMARY_H
#define DHT_SERVER_CORE_PRIMARY_H

#include "server/core/collect.h"
#include "server/core/quorum.h"
#include "server/core/sync.h"
#include "server/core/views.h"
#include "server/store/copy.h"

/* Other members of a group, and those who would be in it in the next placement. */
#define RUN_BACKUPS_MAX (RING_COPIES_MAX - 1)
#define RUN_MEMBERS_MAX (RUN_BACKUPS_MAX + RING_COPIES_MAX)

enum run_state { RUN_COLLECTING, RUN_PULLING, RUN_LEADING, RUN_ACTIVE };

/* One slot that this node is the primary of, in its view. Bits: by place in members. */
struct run {
    enum run_state state;
    uint16_t slot;
    uint16_t members[RUN_MEMBERS_MAX]; /* indices in the view: backups in ring order, learners */
    uint8_t group_size;
    uint8_t backup_count;
    uint8_t member_count; /* backups and learners */
    uint8_t synced;       /* bits: the session is synced */
    uint8_t open;         /* bits: there is a session, synced or not */
    uint8_t full;         /* bits: it had no memory; tried anew at retry_ms */
    uint8_t paused;       /* bits: no session, none is begun before retry_ms */
    uint8_t unfit;        /* bits: ADVANCE is nothing for it */
    uint8_t known;        /* bits: this node led in origin_act, and it had acknowledged all */
    bool has_origin;      /* the copy led from was clean: its */
    bool is_loss;         /* the quorum of an epoch was missing, and it was gone on without */
    uint32_t origin_act;
    uint64_t origin_ver;
    uint32_t chosen;   /* PULLING: the giver */
    uint32_t place;    /* COLLECTING, PULLING: its row of answers */
    uint64_t pull_sid; /* PULLING */
    uint64_t retry_ms;
    uint64_t sid[RUN_MEMBERS_MAX];
    uint64_t floor_next; /* the floor may go up to here at the next look: what it might have been
                          * at the last */
};

/* Whether, and how, requests of a slot can be carried out here now. */
enum serving {
    SERVING_NOT,   /* this node does not lead it, it is not active, or too few backups are synced */
    SERVING_FULL,  /* the same, because too few have memory: writes are refused */
    SERVING_ALONE, /* the group is this node, and nobody listens: what is recorded is done */
    SERVING_COPIED /* writes and markers go to those synced */
};

/* Whom the answers of a slot wait for. */
struct listeners {
    bool is_led;   /* all else is 0 */
    uint8_t acks;  /* so many of them must acknowledge: W - 1 */
    uint8_t count; /* backups that are synced */
    uint16_t members[RUN_BACKUPS_MAX];
};

/* Somebody who may be asked for his copies: a member of the view, or of a group of an older one. */
struct giver {
    const struct member *member; /* in its view: until the next is adopted */
    uint32_t peer;               /* held; PEER_NONE: cannot be asked */
    struct conn_id conn;         /* COLLECT has left by it, and it stands; generation 0: not so */
    uint64_t retry_ms;           /* when to ask (anew) what is not answered */
    uint32_t pause_ms;
    bool is_gone; /* as views_is_gone said at the last look */
};

/* A member of the view, as one to have sessions with. */
struct ally {
    uint32_t peer;
    uint64_t generation;
    bool is_barred; /* it can never be synced: superseded */
    /* Scratch of a round of primary_bring. */
    bool is_stranger;    /* another process of its name answers */
    bool is_asked_up;    /* the next is known */
    bool is_up;          /* a stream to it is open */
    bool is_advanced_to; /* all that could be has been, or waits */
};

struct primary_setup {
    struct store *store;
    struct links *links;
    struct views *views;
    struct sync *sync;
    struct log *log;
    struct stats *stats;
};

struct primary {
    struct primary_setup setup;
    uint32_t epoch; /* 0: no view yet */
    const struct view *view;
    const struct ring *ring;
    uint16_t self; /* index in view; RING_NOBODY: not in it */
    bool may_lead;
    uint8_t serving[SLOT_COUNT];            /* enum serving */
    struct listeners listeners[SLOT_COUNT]; /* of the slots led here */
    uint16_t run_of[SLOT_COUNT];            /* index in runs, or RING_NOBODY */
    struct run *runs;                       /* of this view, by slot */
    uint32_t run_count;
    struct ally *allies; /* by index in view */
    /* Slots that could not be served and can be now, not told yet. */
    uint16_t *ready;
    uint32_t ready_count, ready_taken;
    bool is_ready[SLOT_COUNT]; /* in ready, not taken */
    /* Collect. */
    struct giver *givers; /* those of the view by index, then others */
    uint32_t giver_count;
    uint16_t **giver_of; /* by epoch - giver_base: by index in that view; NULL: not made yet */
    uint32_t giver_base, giver_epochs;
    struct collect_answer *answers; /* place × giver_count */
    uint16_t *collected;            /* by place: the slot */
    uint32_t place_count;
    uint32_t unsettled_count; /* runs COLLECTING */
    bool looks_back;          /* rings of earlier views may be there for them */
    uint32_t chosen_count;    /* runs LEADING since the last line about it, ... */
    uint32_t unclean_count;   /* ... and of them those whose copy is not clean */
    uint64_t number;          /* of the last COLLECT */
    uint64_t ask_ms;          /* when to ask next; UINT64_MAX: nobody */
    uint64_t gone_ms;         /* when to look next who is gone */
    bool is_next_wanted;      /* a slot has used its versions up: another view, please */
    bool is_bring_due;        /* sessions are to be begun */
    uint64_t bring_ms;        /* or at that time */
    uint64_t floor_ms;        /* the next look at floors */
    uint64_t holding_ms;      /* the next question about leftovers */
    bool *scratch;            /* SLOT_COUNT */
    uint32_t loss_count;      /* slots gone on with without their quorum, since the start */
    bool has_flushed;         /* a slot was flushed since the start: floors are worth a look */
};

void primary_init(struct primary *primary, const struct primary_setup *setup);
void primary_close(struct primary *primary);

/* A view has been adopted (views_take_adopted): everything of lower epochs is sealed, here and in
 * sync, and the slots led in it begin their runs. */
void primary_adopted(struct primary *primary, struct moment now);
/* COLLECT, COPIES, HOLDING or ACTIVE has come on a data link that is up, of this node's epoch.
 * out  the connection it came on.
 * errors  ERR_SYNTAX: malformed: the link is to be ended. */
MUST_USE enum err primary_message(struct primary *primary, const struct link *link,
                                  const struct message *message, struct reply *out,
                                  struct moment now);
/* A data link has come up or has ended. */
void primary_link(struct primary *primary, const struct link_news *news, struct moment now);
/* An event of sync, in order. */
void primary_sync(struct primary *primary, const struct sync_event *event, struct moment now);
/* What is due; begins the sessions that are to be begun. Call once a turn, before sync_flush. */
void primary_flush(struct primary *primary, struct moment now);
void primary_tick(struct primary *primary, struct moment now);
uint64_t primary_deadline(const struct primary *primary);

/* Takes a slot that has become able to serve. Returns false: there is none. */
bool primary_take_ready(struct primary *primary, uint32_t *slot);
/* Whether there is one. */
static inline bool primary_has_ready(const struct primary *primary)
{
    return primary->ready_taken < primary->ready_count;
}

static inline enum serving primary_serving(const struct primary *primary, uint32_t slot)
{
    return (enum serving)primary->serving[slot];
}
/* The run of a slot; NULL: this node is not its primary. */
static inline struct run *primary_run(const struct primary *primary, uint32_t slot)
{
    uint16_t index = primary->run_of[slot];
    return index == RING_NOBODY ? NULL : &primary->runs[index];
}
/* How many backups must acknowledge: W - 1. */
static inline uint32_t run_acks(const struct run *run)
{
    return quorum_majority(run->group_size) - 1;
}
/* A write has been made in a slot: stops serving it when its versions are used up. */
void primary_note_write(struct primary *primary, uint32_t slot, uint64_t version);

struct primary_counts {
    uint32_t led;              /* slots this node is the primary of; each is one of three: */
    uint32_t whole;            /* served, and every other member of the group is synced */
    uint32_t under_replicated; /* served, and not every one is */
    uint32_t unavailable;      /* cannot be served now */
    uint32_t collecting;       /* wait for answers, of which one is missing */
    uint32_t full;             /* a member of the group has no memory */
};
void primary_count(const struct primary *primary, struct primary_counts *counts);
/* What a slot waits for, in words for people; "" if it does not. */
void primary_awaits(const struct primary *primary, uint32_t slot, char *text, size_t size);

/* Walks the whole structure and CHECKs every invariant; for tests. */
void primary_check(const struct primary *primary);

#endif
