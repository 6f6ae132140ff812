/* A log-linear histogram: counts in buckets whose width grows with the value.
 *
 * Values below 2^7 have a bucket each; every further octave has 2^7, so that a bucket is never
 * wider than 1/128 of its values. Invariant: total is the sum of counts. Any unit; here ns. */
#ifndef DHT_CLIENT_BENCH_HISTOGRAM_H
#define DHT_CLIENT_BENCH_HISTOGRAM_H

#include "common/base.h"

#define BENCH_HISTOGRAM_STEP_BITS  7
#define BENCH_HISTOGRAM_STEPS      (1u << BENCH_HISTOGRAM_STEP_BITS) /* buckets an octave */
#define BENCH_HISTOGRAM_VALUE_BITS 42 /* 2^42 ns are 73 minutes; what is longer counts as that */
#define BENCH_HISTOGRAM_BUCKETS                                                                    \
    ((BENCH_HISTOGRAM_VALUE_BITS - BENCH_HISTOGRAM_STEP_BITS + 1) * BENCH_HISTOGRAM_STEPS)

struct bench_histogram {
    uint64_t counts[BENCH_HISTOGRAM_BUCKETS];
    uint64_t total;
    uint64_t max; /* the largest value recorded, exact */
};

/* Records value count times. */
void bench_histogram_record(struct bench_histogram *histogram, uint64_t value, uint64_t count);

/* The smallest recorded value that at least fraction (0 … 1) of the values do not exceed, rounded
 * up by less than 1/128 of itself, never above max; 0 if nothing was recorded. */
uint64_t bench_histogram_quantile(const struct bench_histogram *histogram, double fraction);

#endif
