/* A view: the members of the ring with their weights, as one immutable value.
 *
 * A node makes it from the members it sees alive, a client from a node's list of them, each up, of
 * its own weight, epoch 1; the lines of peers.txt, where a node looks for others, are held as one
 * too, each of weight 1. Members stand in name order; one is known by its index. */
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
    uint32_t member_count;  /* at most VIEW_MEMBERS_MAX */
    struct member *members; /* owned; ascending by name (strcmp) */
};

/* Whether both have the same members with the same weights, up and down. */
bool view_equal(const struct view *a, const struct view *b);

void view_close(struct view *view);

#endif
