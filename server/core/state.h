/* The state file's text: what a node must know of its earlier lives. Pure; server/state_file.h
 * keeps it on disk, the simulator in memory.
 *
 *     dht-state 2
 *     cluster dht
 *     name 10.0.0.1:11211
 *     boot 1764153903000
 *     seat 5c1f0a7be2d94a10
 *     id 77aa0c12f8b9d3e1             of the cluster; zeros: it has never been in one
 *     list 0123456789abcdef           of the birth that it has a part in; zeros: of none
 *     promised 4 5c1f0a7be2d94a10     the highest ballot, for the view after the last; 0 and zeros
 *     accepted 3 9e55b1d20c7f0a11     the same
 *     views 2
 *     view … next …                   so many views as text (common/view.h), ascending, no gap
 *     next …                          the view accepted, if accepted is not 0
 *
 * These lines, in this order, each ended by a newline, and nothing else. The first version had the
 * first four lines alone. */
#ifndef DHT_SERVER_CORE_STATE_H
#define DHT_SERVER_CORE_STATE_H

#include "server/core/paxos.h"

#define STATE_CLUSTER_BYTES_MAX 63u /* of a cluster's name */
#define STATE_VIEWS_MAX         260u
#define STATE_TEXT_BYTES_MAX    (32u << 20)
#define STATE_BOOT_MAX          ((UINT64_C(1) << 62) - 1) /* no clock and no count gets there */

struct state {
    char cluster[STATE_CLUSTER_BYTES_MAX + 1];
    char name[ADDRESS_TEXT_BYTES_MAX];
    uint64_t boot;            /* of the last start, 1 … STATE_BOOT_MAX */
    uint64_t seat;            /* 0: none yet, only in a file of the first version */
    uint64_t cluster_id;      /* 0: it has never been in a view */
    uint64_t list;            /* hash of the peers.txt lines of the birth; 0: none */
    struct acceptor acceptor; /* for the view after the last, view 1 if there is none */
    uint32_t view_count;      /* at most STATE_VIEWS_MAX */
    struct view *views;       /* owned, with the views; ascending without a gap */
};

/* Whether text may be a cluster's name: 1 … STATE_CLUSTER_BYTES_MAX letters, digits and . _ - */
bool state_is_cluster_name(struct span text);

/* Reads a state file's bytes.
 * state   out, gives (state_close); on error nothing.
 * why     out on error: a static text for people.
 * errors  ERR_SYNTAX: not what state_format writes. */
MUST_USE enum err state_parse(struct span text, struct state *state, const char **why);
/* Appends the file's text. It has a seat (CHECKed). */
void state_format(const struct state *state, struct buf *out);
void state_close(struct state *state);

/* The number of the next start: above that of the last, and the time where that is higher.
 * last  0 if there was none. */
uint64_t state_next_boot(uint64_t last, int64_t unix_ms);

#endif
