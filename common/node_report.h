/* What a node says of itself to people and tools, as JSON: `status`, `transfers`, `copy`.
 *
 * Server and client use this one module, so that what one writes the other reads; each object has
 * one table of its fields. proto.md "What a node says of itself" describes them. */
#ifndef DHT_COMMON_NODE_REPORT_H
#define DHT_COMMON_NODE_REPORT_H

#include "common/buf.h"
#include "common/member_list.h"
#include "common/view.h"

#define REPORT_VERSION_BYTES_MAX 32u
#define REPORT_TEXT_BYTES_MAX    256u
#define REPORT_UNKNOWN           UINT64_MAX /* a number that is not known: null */

/* A member of the node's view. */
struct status_member {
    char name[ADDRESS_TEXT_BYTES_MAX];
    uint64_t generation;
    uint64_t boot;
    uint32_t weight;
    char role[MEMBER_STATE_BYTES_MAX];     /* "full", "joiner", "leaver" */
    char standing[MEMBER_STATE_BYTES_MAX]; /* "up", "down", … */
    char state[MEMBER_STATE_BYTES_MAX];    /* as gossip has it: "ALIVE", …; "" if it knows none */
    bool is_leaving;
    bool is_voter;
};

/* A member of its view, or of an earlier one that it still keeps, that is not alive: accept-loss
 * gives it up. */
struct status_lost {
    char name[ADDRESS_TEXT_BYTES_MAX];
    uint64_t generation;
    uint32_t epoch; /* of the last view that it is in */
};

struct node_status {
    char cluster[CLUSTER_NAME_BYTES_MAX];
    char name[ADDRESS_TEXT_BYTES_MAX];
    char version[REPORT_VERSION_BYTES_MAX];
    char awaits[REPORT_TEXT_BYTES_MAX];   /* what is waited for before there is a view; or "" */
    char on_loss[MEMBER_STATE_BYTES_MAX]; /* "wait", "recover" */
    uint64_t cluster_id;                  /* 0: there is no view yet */
    uint64_t generation;
    uint64_t boot;
    uint64_t uptime_s;
    uint32_t epoch; /* 0: there is no view yet */
    uint32_t base;
    uint32_t copies;                   /* N */
    uint64_t items, tombstones, bytes; /* held, in all copies of this node; bytes of both */
    uint64_t request_ids;
    uint64_t memory_used, memory_max;
    uint32_t slots_led;              /* this node is their primary */
    uint32_t slots_whole;            /* of them: every copy there is to be is there and synced */
    uint32_t slots_under_replicated; /* served, but a copy is missing or behind */
    uint32_t slots_unavailable;      /* can't be served now */
    uint32_t slots_full;             /* a copy of them has no memory left */
    uint64_t losses;                 /* slots gone on with without their quorum, since its start */
    uint64_t transfers_in, transfers_out; /* sessions under way */
    uint64_t items_left, bytes_left;      /* to be sent by them */
    uint64_t eta_ms; /* until they are through; REPORT_UNKNOWN: nothing moves */
    uint32_t member_count;
    struct status_member *members; /* owned; in the view's order */
    uint32_t lost_count;
    struct status_lost *lost; /* owned; older views first */
};

/* The sessions of a node with one other. */
struct node_transfer {
    char peer[ADDRESS_TEXT_BYTES_MAX];
    uint32_t queued, sending, synced; /* sessions to it */
    uint32_t receiving, received;     /* sessions from it: under way, synced */
    uint64_t items_sent, bytes_sent;
    uint64_t items_left, bytes_left;
    uint64_t bytes_s;
    uint64_t eta_ms; /* REPORT_UNKNOWN: nothing moves */
};

struct node_transfers {
    char name[ADDRESS_TEXT_BYTES_MAX];
    uint32_t epoch;
    uint32_t count;
    struct node_transfer *peers; /* owned */
};

/* A node's own copy of one key. */
struct node_copy {
    char name[ADDRESS_TEXT_BYTES_MAX];
    uint64_t generation;
    uint32_t epoch;
    uint32_t slot;
    char role[MEMBER_STATE_BYTES_MAX];  /* "primary", "backup", "learner", "none" */
    char phase[MEMBER_STATE_BYTES_MAX]; /* "active", "collecting", "synced", "behind", … */
    char awaits[REPORT_TEXT_BYTES_MAX]; /* what a primary that is not active waits for; or "" */
    char state[MEMBER_STATE_BYTES_MAX]; /* "item", "tombstone", "expired", "flushed", "absent" */
    uint64_t version;                   /* of the item or tombstone; 0: absent */
    uint64_t bytes;                     /* of an item's value */
    uint32_t act;
    uint64_t ver;
    bool is_clean;
    uint64_t floor;
};

/* Append the object, without line end. */
void node_status_format(const struct node_status *status, struct buf *out);
void node_transfers_format(const struct node_transfers *transfers, struct buf *out);
void node_copy_format(const struct node_copy *copy, struct buf *out);

/* Parse it. out: gives.
 * errors  ERR_SYNTAX: no JSON, or not such an object; ERR_TOO_LARGE: over MEMBER_LIST_MAX entries.
 */
MUST_USE enum err node_status_parse(struct span json, struct node_status *status);
MUST_USE enum err node_transfers_parse(struct span json, struct node_transfers *transfers);
MUST_USE enum err node_copy_parse(struct span json, struct node_copy *copy);

/* Accept a zeroed one. */
void node_status_close(struct node_status *status);
void node_transfers_close(struct node_transfers *transfers);

/* The view that a status tells of: its members with their roles and standings. out: gives.
 * errors  ERR_SYNTAX: they make none. ERR_NOT_FOUND: there is none yet. */
MUST_USE enum err node_status_view(const struct node_status *status, struct view *view);

#endif
