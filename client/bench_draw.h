/* Draws numbers of keys, uniformly or by Zipf's law. The same seed gives the same load. */
#ifndef DHT_CLIENT_BENCH_DRAW_H
#define DHT_CLIENT_BENCH_DRAW_H

#include "common/prng.h"

/* A number in [0, 1) with 53 random bits. */
static inline double bench_fraction(struct prng *prng)
{
    return (double)(prng_next(prng) >> 11) * 0x1p-53;
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
uint32_t bench_draw_next(const struct bench_draw *draw, struct prng *prng);

#endif
