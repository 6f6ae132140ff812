#include "common/prng.h"

#include "common/check.h"

/* One step of splitmix64, which never gives four zeros in a row. */
static uint64_t splitmix_next(uint64_t *state)
{
    uint64_t bits = *state += 0x9e3779b97f4a7c15;
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
    return bits ^ bits >> 31;
}

void prng_init(struct prng *prng, uint64_t seed)
{
    for (size_t i = 0; i < ARRAY_COUNT(prng->state); i++)
        prng->state[i] = splitmix_next(&seed);
}

static uint64_t rotate_left(uint64_t bits, unsigned count)
{
    return bits << count | bits >> (64 - count);
}

uint64_t prng_next(struct prng *prng)
{
    uint64_t *state = prng->state;
    uint64_t result = rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate_left(state[3], 45);
    return result;
}

uint64_t prng_below(struct prng *prng, uint64_t bound)
{
    CHECK(bound >= 1);
    /* The first 2^64 mod bound numbers would make low results likelier: they are thrown away. */
    uint64_t surplus = (0 - bound) % bound;
    uint64_t bits;
    do {
        bits = prng_next(prng);
    } while (bits < surplus);
    return bits % bound;
}
