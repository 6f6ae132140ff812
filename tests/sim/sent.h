/* What a node sends to others, seen from outside: the epoch that each message names, and how copies
 * are brought in step. */
#ifndef DHT_TESTS_SIM_SENT_H
#define DHT_TESTS_SIM_SENT_H

#include "common/span.h"

#include <stdbool.h>
#include <stdint.h>

/* Sessions that begin, by kind. */
struct sent_syncs {
    uint64_t full;     /* the receiver has emptied its copy */
    uint64_t delta;    /* it has kept what it has in common with the source */
    uint64_t advances; /* copies told to be current, many at once */
    uint64_t pulls;    /* a primary has fetched the copy it had chosen */
};

/* One message of those that a node has handed to the network in a turn. */
struct sent {
    const char *kind; /* its word, static */
    uint32_t epoch;   /* of the sender's view; 0: the message names none, or the sender has none */
};

/* Takes the first message off bytes that begin with a frame, and adds what begins with it to syncs.
 * Returns false where they do not. */
bool sent_take(struct span *bytes, struct sent *sent, struct sent_syncs *syncs);

#endif
