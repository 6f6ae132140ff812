/* A seeded generator of pseudo-random numbers: xoshiro256**, seeded through splitmix64. The same
 * seed gives the same numbers everywhere. Not for secrets. */
#ifndef DHT_COMMON_PRNG_H
#define DHT_COMMON_PRNG_H

#include "common/base.h"

struct prng {
    uint64_t state[4]; /* never all zero */
};

void prng_init(struct prng *prng, uint64_t seed);
/* 64 random bits. */
uint64_t prng_next(struct prng *prng);
/* 0 … bound - 1, all equally likely; bound >= 1. */
uint64_t prng_below(struct prng *prng, uint64_t bound);

#endif
