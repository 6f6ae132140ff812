/* Random numbers for the generator: a seeded stream, and keys drawn from it uniformly or by Zipf's
 * law. The same seed gives the same load. */
#ifndef DHT_CLIENT_BENCH_DRAW_H
#define DHT_CLIENT_BENCH_DRAW_H

#include "common/base.h"

struct bench_random {
    uint64_t state; /* any value is a valid seed */
};

/* The next 64 random bits (splitmix64: one multiply-xor chain a number, passes BigCrush). */
static inline uint64_t bench_random_next(struct bench_random *random)
{
    uint64_t mixed = random->state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

/* A number in [0, 1) with 53 random bits. */
static inline double bench_random_fraction(struct bench_random *random)
{
    return (double)(bench_random_next(random) >> 11) * 0x1p-53;
}

/* A distribution over 0 … count-1. exponent 0 is uniform; else rank r (from 1) has a probability
 * proportional to r^-exponent, and 0 is the most frequent. */
struct bench_draw {
    uint32_t count;
    double exponent;
    double integral_first; /* the three constants of rejection-inversion, see bench_draw.c */
    double integral_last;
    double always_accepted;
};

/* count: 1 … UINT32_MAX; exponent: 0 … 10. */
void bench_draw_init(struct bench_draw *draw, uint32_t count, double exponent);
/* The next number, 0 … count-1. Constant expected cost, no table. */
uint32_t bench_draw_next(const struct bench_draw *draw, struct bench_random *random);

#endif
