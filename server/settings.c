#include "server/settings.h"

#include "common/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Adds one line; *used counts the bytes of text taken. */
static void PRINTF_LIKE(4, 5)
    add(struct settings *settings, size_t *used, const char *name, const char *format, ...)
{
    CHECK(settings->count < SETTINGS_MAX);
    va_list args;
    va_start(args, format);
    char *at = settings->text + *used;
    int len = vsnprintf(at, sizeof(settings->text) - *used, format, args);
    va_end(args);
    CHECK(len >= 0 && *used + (size_t)len < sizeof(settings->text));
    *used += (size_t)len + 1;
    settings->list[settings->count++] =
        (struct stats_setting){span_of_string(name), span_of(at, (size_t)len)};
}

void settings_fill(struct settings *settings, const struct options *options, const char *host,
                   uint16_t port)
{
    size_t used = 0;
    settings->count = 0;
    add(settings, &used, "maxbytes", "%" PRIu64, options->memory_bytes);
    add(settings, &used, "maxconns", "%" PRIu32, options->connections_max);
    add(settings, &used, "tcpport", "%u", port);
    add(settings, &used, "udpport", "0");
    add(settings, &used, "inter", "%s", host);
    add(settings, &used, "verbosity", "%" PRIu32, options->verbosity);
    add(settings, &used, "evictions", "%s", options->evict ? "on" : "off");
    add(settings, &used, "domain_socket", "NULL");
    add(settings, &used, "num_threads", "1");
    add(settings, &used, "cas_enabled", "yes");
    add(settings, &used, "auth_enabled_sasl", "no");
    add(settings, &used, "item_size_max", "%" PRIu32, options->value_bytes_max);
    add(settings, &used, "flush_enabled", "yes");
    add(settings, &used, "idle_timeout", "%" PRIu32, options->idle_timeout_s);
    add(settings, &used, "op_timeout_ms", "%" PRIu32, options->op_timeout_ms);
    add(settings, &used, "sync_window", "%" PRIu32, options->sync_window_bytes);
    add(settings, &used, "sync_rate", "%" PRIu32, options->sync_rate_bytes_s);
    add(settings, &used, "cluster", "%s", options->cluster);
    add(settings, &used, "weight", "%" PRIu32, options->weight);
    add(settings, &used, "direct_answers", "%s", options->direct_answers ? "on" : "off");
    add(settings, &used, "shutdown_enabled", "%s", options->can_shutdown ? "yes" : "no");
    add(settings, &used, "gossip", "%s", options->gossip);
#define TIMER(field, fast, lan, wan, lowest, highest, help)                                        \
    add(settings, &used, #field, "%" PRIu32, options->timers.field);
    GOSSIP_OPTIONS_LIST(TIMER)
#undef TIMER
}
