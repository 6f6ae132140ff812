/* The generator gives the published numbers, and every number below a bound equally often. */
#include "common/prng.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void seeds_as_splitmix64(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1234567);
    assert_true(prng.state[0] == 6457827717110365317u);
    assert_true(prng.state[1] == 3203168211198807973u);
    assert_true(prng.state[2] == 9817491932198370423u);
    assert_true(prng.state[3] == 4593380528125082431u);
}

static void gives_the_numbers_of_xoshiro256(void **state)
{
    (void)state;
    struct prng prng = {.state = {1, 2, 3, 4}};
    static const uint64_t known[] = {11520, 0, 1509978240, 1215971899390074240};
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        assert_true(prng_next(&prng) == known[i]);
}

static void every_number_below_the_bound_is_equally_likely(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    for (uint64_t bound = 1; bound <= 20; bound++) {
        unsigned seen[20] = {0};
        for (uint64_t i = 0; i < bound * 1000; i++) {
            uint64_t number = prng_below(&prng, bound);
            assert_true(number < bound);
            seen[number]++;
        }
        for (uint64_t i = 0; i < bound; i++) /* 1000 expected, deviation 32: 5 of them */
            assert_in_range(seen[i], 840, 1160);
    }
}

/* 3 × 2^62 divides 2^64 with a surplus: without throwing it away the lowest third comes twice as
 * often as each of the others. */
static void a_large_bound_has_no_bias(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 2);
    unsigned low = 0;
    for (int i = 0; i < 3000; i++)
        low += prng_below(&prng, 3ull << 62) < 1ull << 62;
    assert_in_range(low, 870, 1130);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_as_splitmix64),
        cmocka_unit_test(gives_the_numbers_of_xoshiro256),
        cmocka_unit_test(every_number_below_the_bound_is_equally_likely),
        cmocka_unit_test(a_large_bound_has_no_bias),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
