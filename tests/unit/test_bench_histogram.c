/* The histogram's quantiles against those of the same values in a sorted array. */
#include "client/bench_histogram.h"

#include "common/prng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void every_quantile_is_at_most_a_128th_above_the_exact_one(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static uint64_t values[COUNT];
    static struct bench_histogram histogram;
    struct prng prng;
    prng_init(&prng, 1);
    for (size_t i = 0; i < COUNT; i++) { /* every magnitude up to 2^40 as often */
        values[i] = prng_next(&prng) >> (24 + prng_below(&prng, 40));
        bench_histogram_record(&histogram, values[i], 1);
    }
    qsort(values, COUNT, sizeof(values[0]), compare);
    for (uint32_t permille = 1; permille <= 1000; permille++) {
        double fraction = permille / 1000.0;
        uint64_t exact = values[(size_t)ceil(fraction * COUNT) - 1];
        uint64_t got = bench_histogram_quantile(&histogram, fraction);
        assert_in_range(got, exact, exact + exact / BENCH_HISTOGRAM_STEPS);
    }
    assert_int_equal(bench_histogram_quantile(&histogram, 1), values[COUNT - 1]);
    assert_int_equal(histogram.total, COUNT);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 2 * BENCH_HISTOGRAM_STEPS; value++) {
        struct bench_histogram histogram = {0};
        bench_histogram_record(&histogram, value, 1);
        bench_histogram_record(&histogram, 1000, 1); /* so that max does not cut it */
        assert_int_equal(bench_histogram_quantile(&histogram, 0.5), value);
    }
}

static void a_value_recorded_many_times_weighs_as_much(void **state)
{
    (void)state;
    struct bench_histogram histogram = {0};
    bench_histogram_record(&histogram, 10, 99);
    bench_histogram_record(&histogram, 20, 1);
    bench_histogram_record(&histogram, 30, 0);
    assert_int_equal(bench_histogram_quantile(&histogram, 0.99), 10);
    assert_int_equal(bench_histogram_quantile(&histogram, 0.991), 20);
    assert_int_equal(histogram.max, 20);
}

static void the_longest_possible_value_is_counted_and_kept_as_max(void **state)
{
    (void)state;
    struct bench_histogram histogram = {0};
    bench_histogram_record(&histogram, UINT64_MAX, 1);
    assert_int_equal(histogram.total, 1);
    assert_true(histogram.max == UINT64_MAX);
    assert_int_equal(histogram.counts[BENCH_HISTOGRAM_BUCKETS - 1], 1);
}

static void nothing_recorded_gives_zero(void **state)
{
    (void)state;
    struct bench_histogram histogram = {0};
    assert_int_equal(bench_histogram_quantile(&histogram, 0.5), 0);
    assert_int_equal(bench_histogram_quantile(&histogram, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_quantile_is_at_most_a_128th_above_the_exact_one),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(a_value_recorded_many_times_weighs_as_much),
        cmocka_unit_test(the_longest_possible_value_is_counted_and_kept_as_max),
        cmocka_unit_test(nothing_recorded_gives_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
