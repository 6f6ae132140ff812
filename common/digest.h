/* SHA-1 of a key: its place on the ring and, by the same bits, its place in a slot's table.
 *
 * A key is hashed once, where its request is parsed; forwards carry the digest along. */
#ifndef DHT_COMMON_DIGEST_H
#define DHT_COMMON_DIGEST_H

#include "common/span.h"

#define DIGEST_BYTES 20
#ifndef SLOT_BITS /* some builds of the simulator have fewer: clusters of their own kind */
#define SLOT_BITS 14
#endif
#define SLOT_COUNT (1u << SLOT_BITS) /* 16,384 equal arcs of the ring */

struct digest {
    uint8_t bytes[DIGEST_BYTES]; /* as SHA-1 gives them: bytes[0] is the most significant */
};

/* SHA-1 of bytes. Low-level OpenSSL, context on the stack. */
void digest_of(struct span bytes, struct digest *digest);

/* Whether digest_of_pair may be called: it depends on the processor. Asking takes long: ask once.
 */
bool digest_has_pairs(void);
/* digest_of of two at once: for short ones in little more than the time of one. */
void digest_of_pair(struct span one, struct span other, struct digest *one_digest,
                    struct digest *other_digest);

/* The key's position on the ring: the first 64 bits, big-endian. */
static inline uint64_t digest_position(const struct digest *digest)
{
    uint64_t big_endian;
    memcpy(&big_endian, digest->bytes, sizeof(big_endian));
    return __builtin_bswap64(big_endian);
}

/* The slot of a position: its top SLOT_BITS bits, 0 … SLOT_COUNT-1. */
static inline uint32_t position_slot(uint64_t position)
{
    return (uint32_t)(position >> (64 - SLOT_BITS));
}

#endif
