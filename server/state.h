/* The state file's text: what a node must know of its earlier lives. Pure; state_file.h keeps it on
 * disk.
 *
 *     dht-state 1
 *     cluster dht
 *     name 10.0.0.1:11211
 *     boot 1764153903000
 *
 * These lines, in this order, each ended by a newline, and nothing else. */
#ifndef DHT_SERVER_STATE_H
#define DHT_SERVER_STATE_H

#include "common/address.h"

#define STATE_CLUSTER_BYTES_MAX 63u /* of a cluster's name */
#define STATE_TEXT_BYTES_MAX    1024u
#define STATE_BOOT_MAX          ((UINT64_C(1) << 62) - 1) /* no clock and no count gets there */

struct state {
    char cluster[STATE_CLUSTER_BYTES_MAX + 1];
    char name[ADDRESS_TEXT_BYTES_MAX];
    uint64_t boot; /* of the last start, 1 … STATE_BOOT_MAX */
};

/* Whether text may be a cluster's name: 1 … STATE_CLUSTER_BYTES_MAX letters, digits and . _ - */
bool state_is_cluster_name(struct span text);

/* Reads a state file's bytes.
 * why     out on error: a static text for people.
 * errors  ERR_SYNTAX: not what state_format writes. */
MUST_USE enum err state_parse(struct span text, struct state *state, const char **why);
/* Writes the file's text; returns its bytes. */
size_t state_format(const struct state *state, char text[STATE_TEXT_BYTES_MAX]);

/* The number of the next start: above that of the last, and the time where that is higher.
 * last  0 if there was none. */
uint64_t state_next_boot(uint64_t last, int64_t unix_ms);

#endif
