/* SHA-1's compression of two blocks at once, by the processor's own instructions for it.
 *
 * Each of its steps waits for the one before, six cycles long, and the processor could begin
 * another every second cycle: two chains side by side take hardly longer than one. */
#ifndef DHT_COMMON_SHA1_PAIR_H
#define DHT_COMMON_SHA1_PAIR_H

#include "common/base.h"

/* Whether this processor has the instructions. Asking it takes long: ask once. */
bool sha1_pair_is_there(void);

/* Each digest is what SHA-1 gives for a message that, padded, is the one block. Only where
 * sha1_pair_is_there.
 * blocks   64 bytes each, on a boundary of 16
 * digests  out: 20 bytes each; the first 16 are written at once */
void sha1_pair(const void *const blocks[2], uint8_t *const digests[2]);

#endif
