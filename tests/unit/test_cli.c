/* kvcli's words: options, times, and what a mistyped command is taken for. */
#include "client/cli_help.h"
#include "client/cli_options.h"
#include "client/cli_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void times_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } goods[] = {
        {"0", 0},         {"90", 90000},
        {"1s", 1000},     {"10m", 600000},
        {"2h", 7200000},  {"7d", 604800000},
        {"250ms", 250},   {"-1", -1000},
        {"-5m", -300000}, {"3660000d", 3660000ll * 86400000},
    };
    static const char *const bads[] = {
        "",
        "-",
        "s",
        "m5",
        "1x",
        "1 s",
        " 1",
        "1.5h",
        "+1",
        "--1",
        "01",
        "1sm",
        "1S",
        "0x1",
        "1e3",
        "3660001d",
        "9223372036854775807",
        "99999999999999999999",
        "1d ",
    };
    int64_t ms;
    for (size_t i = 0; i < ARRAY_COUNT(goods); i++) {
        if (!cli_time_parse(goods[i].text, &ms))
            fail_msg("refused: %s", goods[i].text);
        assert_int_equal(ms, goods[i].ms);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bads); i++)
        if (cli_time_parse(bads[i], &ms))
            fail_msg("taken: \"%s\"", bads[i]);
}

static void a_time_to_live_is_in_whole_seconds(void **state)
{
    (void)state;
    int64_t ttl_s;
    assert_true(cli_ttl_parse("2m", &ttl_s));
    assert_int_equal(ttl_s, 120);
    assert_true(cli_ttl_parse("2000ms", &ttl_s));
    assert_int_equal(ttl_s, 2);
    assert_false(cli_ttl_parse("2500ms", &ttl_s));
}

/* Parses words behind a name; returns the error, and where the other words begin. */
static enum err parse(struct cli_options *options, bool is_leading, char **argv, int *operand)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    return cli_options_parse(options, argc, argv, is_leading, operand);
}

static void options_stand_anywhere_until_two_dashes(void **state)
{
    (void)state;
    char *argv[] = {(char *)"put",
                    (char *)"k",
                    (char *)"--ttl=10m",
                    (char *)"v",
                    (char *)"-jF",
                    (char *)"7",
                    (char *)"--cas",
                    (char *)"18446744073709551615",
                    (char *)"--",
                    (char *)"--json",
                    NULL};
    struct cli_options options = {0};
    int operand;
    assert_int_equal(parse(&options, false, argv, &operand), ERR_OK);
    assert_int_equal(options.given, CLI_BIT(TTL) | CLI_BIT(JSON) | CLI_BIT(FLAGS) | CLI_BIT(CAS));
    assert_int_equal(options.ttl_s, 600);
    assert_int_equal(options.flags, 7);
    assert_true(options.cas == UINT64_MAX);
    assert_int_equal(operand, 7);
    assert_string_equal(argv[operand], "k");
    assert_string_equal(argv[operand + 1], "v");
    assert_string_equal(argv[operand + 2], "--json");
}

static void leading_options_end_at_the_command(void **state)
{
    (void)state;
    char *argv[] = {(char *)"kvcli", (char *)"-s",    (char *)"a:1",
                    (char *)"bench", (char *)"--ttl", NULL};
    struct cli_options options = {0};
    int operand;
    assert_int_equal(parse(&options, true, argv, &operand), ERR_OK);
    assert_int_equal(operand, 3);
    assert_int_equal(options.given, CLI_BIT(SERVER));
    assert_string_equal(options.servers, "a:1");
}

/* Of the ways to name servers. */
static void the_last_of_server_peers_and_via_counts(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        unsigned given;
    } cases[] = {
        {"-p", "-s", CLI_BIT(SERVER)}, {"-s", "-p", CLI_BIT(PEERS)},  {"-s", "--via", CLI_BIT(VIA)},
        {"-p", "-i", CLI_BIT(VIA)},    {"-i", "-s", CLI_BIT(SERVER)}, {"-i", "-p", CLI_BIT(PEERS)},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char *argv[] = {(char *)"get",           (char *)cases[i].first, (char *)"a:1",
                        (char *)cases[i].second, (char *)"b:2",          NULL};
        struct cli_options options = {0};
        int operand;
        assert_int_equal(parse(&options, false, argv, &operand), ERR_OK);
        assert_int_equal(options.given, cases[i].given);
    }
}

static void ages_are_short(void **state)
{
    (void)state;
    static const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {
        {0, "0.0s"},          {449, "0.4s"},       {9999, "9.9s"},          {10000, "10s"},
        {59999, "59s"},       {60000, "1m00s"},    {3599999, "59m59s"},     {3600000, "1h00m"},
        {86399999, "23h59m"}, {86400000, "1d00h"}, {8640000000, "100d00h"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char text[CLI_AGE_BYTES_MAX];
        cli_age_format(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    static const char *const bads[] = {
        "--nonsense",         "-z",      "--ttl",   "--ttl=x",     "--ttl=",       "--flags=-1",
        "--flags=4294967296", "--cas=0", "--cas=x", "--timeout=0", "--timeout=-1", "--timeout=30d",
        "--json=yes"};
    for (size_t i = 0; i < ARRAY_COUNT(bads); i++) {
        char *argv[] = {(char *)"get", (char *)bads[i], NULL};
        struct cli_options options = {0};
        int operand;
        if (parse(&options, false, argv, &operand) != ERR_USAGE)
            fail_msg("taken: %s", bads[i]);
    }
}

static const struct cli_command commands[] = {
    {.name = "get"},     {.name = "put", .aliases = "set store"}, {.name = "stats"},
    {.name = "replace"}, {.name = "del", .aliases = "delete"},    {.name = "repl"},
};
static const struct cli cli = {.commands = commands, .command_count = ARRAY_COUNT(commands)};

static void commands_are_found_by_name_and_alias(void **state)
{
    (void)state;
    assert_ptr_equal(cli_command_find(&cli, "put"), &commands[1]);
    assert_ptr_equal(cli_command_find(&cli, "set"), &commands[1]);
    assert_ptr_equal(cli_command_find(&cli, "store"), &commands[1]);
    assert_null(cli_command_find(&cli, "set store"));
    assert_null(cli_command_find(&cli, "pu"));
    assert_null(cli_command_find(&cli, ""));
}

static void a_mistyped_command_is_taken_for_the_nearest(void **state)
{
    (void)state;
    static const struct {
        const char *typed;
        const char *meant;
    } cases[] = {
        {"gte", "get"},
        {"ge", "get"},
        {"gett", "get"},
        {"ptu", "put"},
        {"sett", "put"},
        {"stat", "stats"},
        {"sttas", "stats"},
        {"repalce", "replace"},
        {"replce", "replace"},
        {"delte", "del"},
        {"reple", "repl"},
        {"nonsense", NULL},
        {"", NULL},
        {"x", NULL},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const char *nearest = cli_command_nearest(&cli, cases[i].typed);
        const char *text = nearest ? nearest : "nothing";
        if (strcmp(text, cases[i].meant ? cases[i].meant : "nothing") != 0)
            fail_msg("\"%s\" was taken for %s", cases[i].typed, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_have_units),
        cmocka_unit_test(a_time_to_live_is_in_whole_seconds),
        cmocka_unit_test(options_stand_anywhere_until_two_dashes),
        cmocka_unit_test(leading_options_end_at_the_command),
        cmocka_unit_test(the_last_of_server_peers_and_via_counts),
        cmocka_unit_test(ages_are_short),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(commands_are_found_by_name_and_alias),
        cmocka_unit_test(a_mistyped_command_is_taken_for_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
