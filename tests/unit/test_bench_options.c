/* The options of kvcli bench: defaults, values, refusals. */
#include "client/bench_options.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 8

static enum err parse(struct bench_options *options, const char *const arguments[ARGUMENTS_MAX])
{
    char *argv[ARGUMENTS_MAX + 2] = {(char[]){"bench"}};
    int argc = 1;
    while (argc <= ARGUMENTS_MAX && arguments[argc - 1] != NULL) {
        argv[argc] = (char *)(uintptr_t)arguments[argc - 1]; /* getopt moves them, no more */
        argc++;
    }
    return bench_options_parse(options, argc, argv);
}

static void without_arguments_defaults_hold(void **state)
{
    (void)state;
    struct bench_options options;
    assert_int_equal(parse(&options, (const char *const[ARGUMENTS_MAX]){NULL}), ERR_OK);
    assert_string_equal(options.servers, "127.0.0.1:11211");
    assert_int_equal(options.clients, 50);
    assert_int_equal(options.active, 50);
    assert_int_equal(options.pipeline, 1);
    assert_int_equal(options.value_bytes, 100);
    assert_true(options.get_ratio > 0.94 && options.get_ratio < 0.96);
    assert_null(options.pids);
    assert_false(options.is_resp);
}

static void every_kind_of_value_is_taken(void **state)
{
    (void)state;
    struct bench_options options;
    static const char *const arguments[ARGUMENTS_MAX] = {
        "-s", "a:1,b:2", "--clients=7", "--get-ratio", "0.5", "--resp", "--active", "0"};
    assert_int_equal(parse(&options, arguments), ERR_OK);
    assert_string_equal(options.servers, "a:1,b:2");
    assert_int_equal(options.clients, 7);
    assert_int_equal(options.active, 0);
    assert_true(options.get_ratio > 0.49 && options.get_ratio < 0.51);
    assert_true(options.is_resp);
}

static void bounds_are_allowed(void **state)
{
    (void)state;
    struct bench_options options;
    static const char *const lowest[ARGUMENTS_MAX] = {"--get-ratio", "0", "--key-size", "8"};
    static const char *const highest[ARGUMENTS_MAX] = {"--get-ratio", "1", "--key-size", "250"};
    assert_int_equal(parse(&options, lowest), ERR_OK);
    assert_int_equal(options.key_bytes, 8);
    assert_int_equal(parse(&options, highest), ERR_OK);
    assert_int_equal(options.key_bytes, 250);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const char *const refused[][ARGUMENTS_MAX] = {
        {"--clients", "0"},
        {"--clients", "1.5"},
        {"--clients", "5x"},
        {"--clients", ""},
        {"--clients", "-1"},
        {"--get-ratio", "1.1"},
        {"--get-ratio", "nan"},
        {"--key-size", "7"},
        {"--key-size", "251"},
        {"--clients", "5", "--active", "6"},
        {"--active", "0", "--fill"},
        {"--active", "0", "--requests", "5"},
        {"--nonsense"},
        {"stray"},
    };
    struct bench_options options;
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        assert_int_equal(parse(&options, refused[i]), ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_arguments_defaults_hold),
        cmocka_unit_test(every_kind_of_value_is_taken),
        cmocka_unit_test(bounds_are_allowed),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
