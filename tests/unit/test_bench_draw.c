/* Keys are drawn with the probabilities their distribution gives them. */
#include "client/bench_draw.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { KEYS = 100, DRAWS = 200000 };

/* How far counts lie from what r^-exponent lets expect: chi-square with KEYS - 1 degrees of
 * freedom, whose mean is 99 and whose standard deviation is 14. */
static double chi_square(const uint32_t counts[KEYS], double exponent)
{
    double total = 0, sum = 0;
    for (uint32_t i = 0; i < KEYS; i++)
        total += pow(i + 1, -exponent);
    for (uint32_t i = 0; i < KEYS; i++) {
        double expected = DRAWS * pow(i + 1, -exponent) / total;
        sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    return sum;
}

static void draws_follow_the_law_for_every_exponent(void **state)
{
    (void)state;
    static const double exponents[] = {0, 0.3, 0.99, 1, 1.0000001, 1.5, 2};
    for (size_t i = 0; i < ARRAY_COUNT(exponents); i++) {
        struct bench_draw draw;
        struct prng prng;
        uint32_t counts[KEYS] = {0};
        bench_draw_init(&draw, KEYS, exponents[i]);
        prng_init(&prng, 42);
        for (uint32_t n = 0; n < DRAWS; n++) {
            uint32_t number = bench_draw_next(&draw, &prng);
            assert_true(number < KEYS);
            counts[number]++;
        }
        double distance = chi_square(counts, exponents[i]);
        assert_true(distance > 99 - 5 * 14);
        assert_true(distance < 99 + 5 * 14);
    }
}

static void a_single_key_is_always_drawn(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    for (int halves = 0; halves <= 20; halves++) {
        struct bench_draw draw;
        bench_draw_init(&draw, 1, halves / 2.0);
        for (int i = 0; i < 100; i++)
            assert_int_equal(bench_draw_next(&draw, &prng), 0);
    }
}

static void the_largest_count_and_steepest_law_stay_in_range(void **state)
{
    (void)state;
    static const double exponents[] = {0, 0.01, 1, 10};
    struct prng prng;
    prng_init(&prng, 1);
    for (size_t i = 0; i < ARRAY_COUNT(exponents); i++) {
        struct bench_draw draw;
        bench_draw_init(&draw, 1u << 31, exponents[i]);
        for (int n = 0; n < 10000; n++)
            assert_true(bench_draw_next(&draw, &prng) < 1u << 31);
    }
}

static void the_same_seed_draws_the_same(void **state)
{
    (void)state;
    struct bench_draw draw;
    struct prng first, second;
    bench_draw_init(&draw, 1000000, 0.99);
    prng_init(&first, 7);
    prng_init(&second, 7);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(bench_draw_next(&draw, &first), bench_draw_next(&draw, &second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_follow_the_law_for_every_exponent),
        cmocka_unit_test(a_single_key_is_always_drawn),
        cmocka_unit_test(the_largest_count_and_steepest_law_stay_in_range),
        cmocka_unit_test(the_same_seed_draws_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
