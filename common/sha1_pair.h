/* SHA-1's compression of two blocks at once, by the processor's own instructions for it.
 *
 * Each of its steps waits for the one before, six cycles long, and the processor could begin
 * another every second cycle: two chains side by side take hardly longer than one. */
#ifndef DHT_COMMON_SHA1_PAIR_H
#define DHT_COMMON_SHA1_PAIR_H

#include "common/base.h"

#define SHA1_BLOCK_BYTES  64
#define SHA1_DIGEST_BYTES 20

/* Whether this processor has the instructions. Asking it takes long: ask once. */
bool sha1_pair_is_there(void);

/* Each digest is what SHA-1 gives for a message that, padded, is the one block. Only where
 * sha1_pair_is_there.
 * blocks   each on a boundary of 16 bytes
 * digests  out: SHA1_DIGEST_BYTES each; the first 16 are written at once */
void sha1_pair(const void *const blocks[2], uint8_t *const digests[2]);

#endif
