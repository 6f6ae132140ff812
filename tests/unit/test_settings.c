/* Settings: what `stats settings` shows is what is in force. */
#include "server/settings.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_shows(const struct settings *settings, const char *name, const char *value)
{
    for (size_t i = 0; i < settings->count; i++) {
        if (!span_equal(settings->list[i].name, span_of_string(name)))
            continue;
        assert_true(span_equal(settings->list[i].value, span_of_string(value)));
        return;
    }
    fail_msg("%s is not shown", name);
}

static void options_are_shown_under_memcacheds_names(void **state)
{
    (void)state;
    const struct options options = {.memory_bytes = 64u << 20,
                                    .connections_max = 123,
                                    .value_bytes_max = 4096,
                                    .evict = true,
                                    .idle_timeout_s = 7,
                                    .op_timeout_ms = 250,
                                    .cluster = "blue",
                                    .weight = 3,
                                    .timers = {.gossip_ms = 71, .fanout = 5}};
    struct settings settings;
    settings_fill(&settings, &options, "::1", 11311);
    assert_shows(&settings, "maxbytes", "67108864");
    assert_shows(&settings, "maxconns", "123");
    assert_shows(&settings, "item_size_max", "4096");
    assert_shows(&settings, "evictions", "on");
    assert_shows(&settings, "idle_timeout", "7");
    assert_shows(&settings, "op_timeout_ms", "250");
    assert_shows(&settings, "inter", "::1");
    assert_shows(&settings, "cluster", "blue");
    assert_shows(&settings, "weight", "3");
    assert_shows(&settings, "gossip_ms", "71");
    assert_shows(&settings, "fanout", "5");
    assert_shows(&settings, "tcpport", "11311");
}

static void the_longest_host_fits(void **state)
{
    (void)state;
    char host[HOST_BYTES_MAX + 1];
    memset(host, 'h', HOST_BYTES_MAX);
    host[HOST_BYTES_MAX] = '\0';
    struct options options = {.memory_bytes = UINT64_MAX,
                              .connections_max = UINT32_MAX,
                              .value_bytes_max = UINT32_MAX,
                              .idle_timeout_s = UINT32_MAX,
                              .op_timeout_ms = UINT32_MAX,
                              .verbosity = UINT32_MAX};
    memset(&options.timers, 0xff, sizeof(options.timers));
    memset(options.cluster, 'c', STATE_CLUSTER_BYTES_MAX);
    memset(options.gossip, 'g', OPTION_CHOICE_BYTES_MAX);
    struct settings settings;
    settings_fill(&settings, &options, host, UINT16_MAX);
    assert_shows(&settings, "inter", host);
    assert_shows(&settings, "maxbytes", "18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_shown_under_memcacheds_names),
        cmocka_unit_test(the_longest_host_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
