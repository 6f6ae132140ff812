/* A view: the members of the ring with their weights, as one immutable value.
 *
 * Until members agree on views (a later protocol version) it is made from peers.txt: every line a
 * full member, up, weight 1, epoch 1. Members stand in name order; one is known by its index. */
#ifndef DHT_COMMON_VIEW_H
#define DHT_COMMON_VIEW_H

#include "common/address.h"

#define VIEW_MEMBERS_MAX 4096u
#define VIEW_WEIGHT_MAX  100u

struct member {
    char name[ADDRESS_TEXT_BYTES_MAX]; /* host:port, normalised (address.h) */
    uint32_t weight;                   /* 1 … VIEW_WEIGHT_MAX; 128 × weight ring positions */
    bool is_up;                        /* a member that is down leads nothing */
};

struct view {
    uint32_t epoch;
    uint32_t member_count;  /* 1 … VIEW_MEMBERS_MAX */
    struct member *members; /* owned; ascending by name (strcmp) */
};

/* Whether both have the same members with the same weights, up and down. */
bool view_equal(const struct view *a, const struct view *b);

void view_close(struct view *view);

#endif
