/* `stats` and its sub-commands, in memcached's manner. */
#include "common/version.h"
#include "server/core/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct store_counters counters = {.items = 3,
                                               .items_total = 7,
                                               .item_bytes = 300,
                                               .memory_bytes = 4096,
                                               .expired = 2,
                                               .expired_unfetched = 1,
                                               .evicted = 5,
                                               .evicted_unfetched = 4,
                                               .flushed = 6};

static const struct stats_setting settings[] = {
    {{"maxbytes", 8}, {"1073741824", 10}},
    {{"inter", 5}, {"127.0.0.1", 9}},
};

static struct stats_gauges gauges_of_a_server(void)
{
    return (struct stats_gauges){.uptime = 12,
                                 .max_connections = 1024,
                                 .curr_connections = 2,
                                 .limit_maxbytes = 1073741824,
                                 .pid = 4711,
                                 .unix_s = 1700000000,
                                 .rusage_user_us = 3000042,
                                 .rusage_system_us = 999999,
                                 .store = &counters,
                                 .settings = settings,
                                 .settings_count = ARRAY_COUNT(settings)};
}

/* gives: the answer, NUL-terminated. */
static char *answer_to(struct stats *stats, const char *words)
{
    struct stats_gauges gauges = gauges_of_a_server();
    struct reply out = {0};
    stats_append(&out, stats, &gauges, span_of_string(words));
    size_t len = reply_len(&out);
    char *text = malloc(len + 1);
    memcpy(text, buf_span(&out.bytes).data, len);
    text[len] = '\0';
    reply_close(&out);
    return text;
}

static void expect(const char *words, const char *answer)
{
    struct stats stats = {0};
    char *text = answer_to(&stats, words);
    assert_string_equal(text, answer);
    free(text);
}

static void expect_line(const char *text, const char *name, const char *value)
{
    char line[128];
    snprintf(line, sizeof(line), "STAT %s %s\r\n", name, value);
    if (strstr(text, line) == NULL)
        fail_msg("no line '%s' in:\n%s", line, text);
}

static void sub_commands_answer_as_memcached_does(void **state)
{
    (void)state;
    expect("settings", "STAT maxbytes 1073741824\r\nSTAT inter 127.0.0.1\r\nEND\r\n");
    expect("slabs", "STAT active_slabs 0\r\nSTAT total_malloced 4096\r\nEND\r\n");
    expect("items", "END\r\n");
    expect("conns", "END\r\n");
    expect("sizes", "STAT sizes_status disabled\r\nEND\r\n");
    expect("detail on", "OK\r\n");
    expect("detail off", "OK\r\n");
    expect("detail dump", "END\r\n");
    expect("detail", "CLIENT_ERROR usage: stats detail on|off|dump\r\n");
    expect("detail up", "CLIENT_ERROR usage: stats detail on|off|dump\r\n");
    expect("cachedump 1 100", "END\r\n");
    expect("cachedump  1   100", "END\r\n");
    expect("cachedump  1", "CLIENT_ERROR bad command line\r\n");
    expect("cachedump", "CLIENT_ERROR bad command line\r\n");
    expect("bogus", "ERROR\r\n");
    expect("noreply", "ERROR\r\n");
    expect("reset", "RESET\r\n");
    expect("reset more", "RESET\r\n");
}

static void names_that_exporters_need_are_there(void **state)
{
    (void)state;
    static const char *const names[] = {
        "pid",
        "uptime",
        "time",
        "version",
        "pointer_size",
        "rusage_user",
        "rusage_system",
        "max_connections",
        "curr_connections",
        "total_connections",
        "rejected_connections",
        "cmd_get",
        "cmd_set",
        "cmd_flush",
        "cmd_touch",
        "cmd_meta",
        "get_hits",
        "get_misses",
        "get_expired",
        "get_flushed",
        "delete_misses",
        "delete_hits",
        "incr_misses",
        "incr_hits",
        "decr_misses",
        "decr_hits",
        "cas_misses",
        "cas_hits",
        "cas_badval",
        "touch_hits",
        "touch_misses",
        "store_too_large",
        "store_no_memory",
        "auth_cmds",
        "auth_errors",
        "bytes_read",
        "bytes_written",
        "limit_maxbytes",
        "accepting_conns",
        "listen_disabled_num",
        "threads",
        "conn_yields",
        "bytes",
        "curr_items",
        "total_items",
        "expired_unfetched",
        "evicted_unfetched",
        "evictions",
        "reclaimed",
    };
    struct stats stats = {0};
    char *text = answer_to(&stats, "");
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char line[64];
        snprintf(line, sizeof(line), "STAT %s ", names[i]);
        const char *first = strstr(text, line);
        if (first == NULL)
            fail_msg("%s is missing", names[i]);
        assert_null(strstr(first + 1, line)); /* once */
    }
    free(text);
}

static void every_number_stands_by_its_name(void **state)
{
    (void)state;
    struct stats stats = {.cmd_get = UINT64_MAX, .cas_badval = 9, .forwards_sent = 11};
    char *text = answer_to(&stats, "");
    expect_line(text, "pid", "4711");
    expect_line(text, "uptime", "12");
    expect_line(text, "time", "1700000000");
    expect_line(text, "version", DHT_VERSION_ANSWER);
    expect_line(text, "pointer_size", "64");
    expect_line(text, "rusage_user", "3.000042");
    expect_line(text, "rusage_system", "0.999999");
    expect_line(text, "cmd_get", "18446744073709551615");
    expect_line(text, "cas_badval", "9");
    expect_line(text, "forwards_sent", "11");
    expect_line(text, "limit_maxbytes", "1073741824");
    expect_line(text, "bytes", "300");
    expect_line(text, "curr_items", "3");
    expect_line(text, "total_items", "7");
    expect_line(text, "evictions", "5");
    expect_line(text, "evicted_unfetched", "4");
    expect_line(text, "expired_unfetched", "1");
    assert_string_equal(text + strlen(text) - 5, "END\r\n");
    free(text);
}

/* One line is one STAT, one name and one value. */
static void every_line_is_well_formed(void **state)
{
    (void)state;
    struct stats stats = {0};
    char *text = answer_to(&stats, "");
    const char *at = text;
    unsigned lines = 0;
    while (strcmp(at, "END\r\n") != 0) {
        char name[64];
        int value_at = 0;
        assert_int_equal(sscanf(at, "STAT %63[a-z_] %n", name, &value_at), 1);
        assert_true(value_at > 0);
        const char *end = strstr(at, "\r\n");
        assert_non_null(end);
        assert_true(end > at + value_at);
        at = end + 2;
        lines++;
    }
    unsigned listed = 0;
#define COUNTED(name, unit, help)             listed++;
#define SHOWN(name, type, unit, help)         listed++;
#define STORED(name, field, type, unit, help) listed++;
#include "server/core/stats_list.h"
    assert_true(lines > listed);
    free(text);
}

static void the_membership_s_part_says_what_the_whole_says(void **state)
{
    (void)state;
    struct stats stats = {
        .gossip_sent = 7, .rumors_received = UINT64_MAX, .suspicions = 3, .cmd_get = 5};
    char *all = answer_to(&stats, ""), *part = answer_to(&stats, "gossip");
    expect_line(part, "gossip_sent", "7");
    expect_line(part, "rumors_received", "18446744073709551615");
    expect_line(part, "suspicions", "3");
    expect_line(part, "members_alive", "0");
    assert_null(strstr(part, "cmd_get"));
    unsigned lines = 0, listed = 0;
    for (const char *at = part; strcmp(at, "END\r\n") != 0; at = strstr(at, "\r\n") + 2) {
        size_t len = (size_t)(strstr(at, "\r\n") + 2 - at);
        char line[128];
        assert_true(len < sizeof(line));
        memcpy(line, at, len);
        line[len] = '\0';
        assert_non_null(strstr(all, line));
        lines++;
    }
#define COUNTED(name, unit, help)     listed++;
#define SHOWN(name, type, unit, help) listed++;
#include "server/core/stats_gossip_list.h"
#undef COUNTED
#undef SHOWN
    assert_int_equal(lines, listed);
    free(all);
    free(part);
}

static void reset_zeroes_what_is_counted(void **state)
{
    (void)state;
    struct stats stats = {.cmd_get = 5, .peers_refused = 6};
    static const struct stats zero;
    free(answer_to(&stats, "settings"));
    assert_int_equal(stats.cmd_get, 5);
    free(answer_to(&stats, "reset"));
    assert_memory_equal(&stats, &zero, sizeof(zero));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sub_commands_answer_as_memcached_does),
        cmocka_unit_test(names_that_exporters_need_are_there),
        cmocka_unit_test(every_number_stands_by_its_name),
        cmocka_unit_test(every_line_is_well_formed),
        cmocka_unit_test(the_membership_s_part_says_what_the_whole_says),
        cmocka_unit_test(reset_zeroes_what_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
