/* The member list of one node as JSON, for people and tools: what `get_membership_list` answers.
 *
 * Server and client library use this one module, so that what one writes the other reads. proto.md
 * "Membership" describes the object. */
#ifndef DHT_COMMON_MEMBER_LIST_H
#define DHT_COMMON_MEMBER_LIST_H

#include "common/view.h"

#define MEMBER_STATE_BYTES_MAX 16u /* with NUL */
#define CLUSTER_NAME_BYTES_MAX 64u /* with NUL */
#define MEMBER_LIST_MAX        8192u

struct member_list_entry {
    char name[ADDRESS_TEXT_BYTES_MAX];
    char state[MEMBER_STATE_BYTES_MAX];    /* "ALIVE", "SUSPECT", … */
    char evidence[MEMBER_STATE_BYTES_MAX]; /* of a suspicion: "refused", …; else "" */
    uint64_t generation;
    uint64_t boot;
    uint32_t inc;
    uint64_t hb;
    uint64_t age_ms; /* since its last proof of life; 0 for the node asked */
    uint32_t weight;
    uint32_t reporters;                    /* of a suspicion */
    char role[MEMBER_STATE_BYTES_MAX];     /* in the view: "full", …; "": it is in none */
    char standing[MEMBER_STATE_BYTES_MAX]; /* "up", … */
    bool is_on_ring;                       /* in the view, full */
    bool is_damped;
};

struct member_list {
    char cluster[CLUSTER_NAME_BYTES_MAX];
    char name[ADDRESS_TEXT_BYTES_MAX]; /* of the node asked */
    uint64_t version;                  /* its number of the last change */
    uint64_t viewhash;
    uint64_t ring_hash;
    uint64_t ring_changes;
    struct view ring; /* owned: the view's full members, their names, weights, up or down */
    bool is_isolated; /* it is cut off itself */
    uint32_t count;
    struct member_list_entry *entries; /* owned; in name order */
};

/* Appends the JSON object, without line end. */
void member_list_format(const struct member_list *list, struct buf *out);
/* Parses it. list: out, gives.
 * errors  ERR_SYNTAX: no JSON, or not such an object; ERR_TOO_LARGE: over MEMBER_LIST_MAX, or
 *         more on the ring than VIEW_MEMBERS_MAX. */
MUST_USE enum err member_list_parse(struct span json, struct member_list *list);
void member_list_close(struct member_list *list);

#endif
