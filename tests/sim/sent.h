/* What a node sends to others, seen from outside: the epoch that each message names, and the
 * records by which copies are brought in step. */
#ifndef DHT_TESTS_SIM_SENT_H
#define DHT_TESTS_SIM_SENT_H

#include "common/message.h"

#include <stdbool.h>
#include <stdint.h>

/* One message of those that a node has handed to the network in a turn. */
struct sent {
    const char *kind;       /* its word, static */
    struct message message; /* borrows from the bytes */
    uint32_t epoch; /* of the sender's view; 0: the message names none, or the sender has none */
    bool is_stream; /* records may begin or end with a part of one */
    struct span records; /* of a stream, or of what answers it; borrows from the bytes */
};

/* Takes the first message off bytes that begin with a frame. Returns false where they do not. */
bool sent_take(struct span *bytes, struct sent *sent);

#endif
