#include "client/bench_histogram.h"

#include "common/check.h"

#include <math.h>

#define VALUE_MAX ((UINT64_C(1) << BENCH_HISTOGRAM_VALUE_BITS) - 1)

/* An octave is [2^k, 2^(k+1)). The first two, [0, 2^STEP_BITS) taken whole and the one after it,
 * have buckets one wide; each later one has buckets twice as wide as the one before. */
static uint32_t bucket_of(uint64_t value)
{
    if (value < BENCH_HISTOGRAM_STEPS)
        return (uint32_t)value;
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - BENCH_HISTOGRAM_STEP_BITS;
    return (shift << BENCH_HISTOGRAM_STEP_BITS) + (uint32_t)(value >> shift);
}

static uint64_t bucket_last_value(uint32_t bucket)
{
    if (bucket < BENCH_HISTOGRAM_STEPS)
        return bucket;
    uint32_t shift = (bucket >> BENCH_HISTOGRAM_STEP_BITS) - 1;
    uint64_t first = (uint64_t)(bucket - (shift << BENCH_HISTOGRAM_STEP_BITS)) << shift;
    return first + (UINT64_C(1) << shift) - 1;
}

void bench_histogram_record(struct bench_histogram *histogram, uint64_t value, uint64_t count)
{
    if (count == 0)
        return;
    uint32_t bucket = bucket_of(value < VALUE_MAX ? value : VALUE_MAX);
    CHECK(bucket < BENCH_HISTOGRAM_BUCKETS);
    histogram->counts[bucket] += count;
    histogram->total += count;
    if (value > histogram->max)
        histogram->max = value;
}

uint64_t bench_histogram_quantile(const struct bench_histogram *histogram, double fraction)
{
    CHECK(fraction >= 0 && fraction <= 1);
    uint64_t wanted = (uint64_t)ceil(fraction * (double)histogram->total);
    uint64_t seen = 0;
    for (uint32_t bucket = 0; bucket < BENCH_HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->counts[bucket];
        if (seen >= wanted && seen > 0) {
            uint64_t last = bucket_last_value(bucket);
            return last < histogram->max ? last : histogram->max;
        }
    }
    return histogram->max; /* nothing recorded: 0 */
}
