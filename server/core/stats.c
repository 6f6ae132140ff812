#include "server/core/stats.h"

#include "common/number.h"
#include "common/version.h"

static void text_append(struct reply *out, struct span name, struct span value)
{
    reply_append(out, SPAN_LITERAL("STAT "));
    reply_append(out, name);
    reply_append(out, SPAN_LITERAL(" "));
    reply_append(out, value);
    reply_append(out, SPAN_LITERAL("\r\n"));
}

static void number_append(struct reply *out, struct span name, uint64_t value)
{
    char digits[DECIMAL_BYTES_MAX];
    const char *end = number_format_decimal(digits, value);
    text_append(out, name, span_of(digits, (size_t)(end - digits)));
}

static void end_append(struct reply *out)
{
    reply_append(out, SPAN_LITERAL("END\r\n"));
}

static void rusage_append(struct reply *out, const char *name, uint64_t us)
{
    reply_printf(out, "STAT %s %llu.%06llu\r\n", name, (unsigned long long)(us / 1000000),
                 (unsigned long long)(us % 1000000));
}

/* Lines of memcached's that tools insist on, about things that a single thread without slabs and
 * without authentication does not have. */
static void constants_append(struct reply *out)
{
    number_append(out, SPAN_LITERAL("pointer_size"), 8 * sizeof(void *));
    number_append(out, SPAN_LITERAL("threads"), 1);
    number_append(out, SPAN_LITERAL("accepting_conns"), 1);
    static const char *const zeros[] = {
        "auth_cmds",   "auth_errors", "reclaimed",           "get_expired",
        "get_flushed", "conn_yields", "listen_disabled_num", "time_in_listen_disabled_us"};
    for (size_t i = 0; i < ARRAY_COUNT(zeros); i++)
        number_append(out, span_of_string(zeros[i]), 0);
}

static void all_append(struct reply *out, const struct stats *stats,
                       const struct stats_gauges *gauges)
{
    number_append(out, SPAN_LITERAL("pid"), gauges->pid);
    number_append(out, SPAN_LITERAL("time"), (uint64_t)gauges->unix_s);
    text_append(out, SPAN_LITERAL("version"), SPAN_LITERAL(DHT_VERSION_ANSWER));
    rusage_append(out, "rusage_user", gauges->rusage_user_us);
    rusage_append(out, "rusage_system", gauges->rusage_system_us);
    constants_append(out);
#define COUNTED(name, unit, help)     number_append(out, SPAN_LITERAL(#name), stats->name);
#define SHOWN(name, type, unit, help) number_append(out, SPAN_LITERAL(#name), gauges->name);
#define STORED(name, field, type, unit, help)                                                      \
    number_append(out, SPAN_LITERAL(#name), gauges->store->field);
#include "server/core/stats_list.h"
    end_append(out);
}

static void gossip_append(struct reply *out, const struct stats *stats,
                          const struct stats_gauges *gauges)
{
#define COUNTED(name, unit, help)     number_append(out, SPAN_LITERAL(#name), stats->name);
#define SHOWN(name, type, unit, help) number_append(out, SPAN_LITERAL(#name), gauges->name);
#include "server/core/stats_gossip_list.h"
#undef COUNTED
#undef SHOWN
    end_append(out);
}

static void settings_append(struct reply *out, const struct stats_gauges *gauges)
{
    for (size_t i = 0; i < gauges->settings_count; i++)
        text_append(out, gauges->settings[i].name, gauges->settings[i].value);
    end_append(out);
}

static void slabs_append(struct reply *out, const struct stats_gauges *gauges)
{
    number_append(out, SPAN_LITERAL("active_slabs"), 0);
    number_append(out, SPAN_LITERAL("total_malloced"), gauges->store->memory_bytes);
    end_append(out);
}

/* Per-prefix books are not kept: on and off are accepted, the dump is empty. */
static void detail_append(struct reply *out, struct span word)
{
    if (span_equal(word, SPAN_LITERAL("on")) || span_equal(word, SPAN_LITERAL("off")))
        reply_append(out, SPAN_LITERAL("OK\r\n"));
    else if (span_equal(word, SPAN_LITERAL("dump")))
        end_append(out);
    else
        reply_append(out, SPAN_LITERAL("CLIENT_ERROR usage: stats detail on|off|dump\r\n"));
}

void stats_append(struct reply *out, struct stats *stats, const struct stats_gauges *gauges,
                  struct span words)
{
    struct span word = span_take_word(&words);
    if (word.len == 0) {
        all_append(out, stats, gauges);
    } else if (span_equal(word, SPAN_LITERAL("reset"))) {
        *stats = (struct stats){0};
        reply_append(out, SPAN_LITERAL("RESET\r\n"));
    } else if (span_equal(word, SPAN_LITERAL("gossip"))) {
        gossip_append(out, stats, gauges);
    } else if (span_equal(word, SPAN_LITERAL("settings"))) {
        settings_append(out, gauges);
    } else if (span_equal(word, SPAN_LITERAL("slabs"))) {
        slabs_append(out, gauges);
    } else if (span_equal(word, SPAN_LITERAL("items")) || span_equal(word, SPAN_LITERAL("conns"))) {
        end_append(out);
    } else if (span_equal(word, SPAN_LITERAL("sizes"))) {
        text_append(out, SPAN_LITERAL("sizes_status"), SPAN_LITERAL("disabled"));
        end_append(out);
    } else if (span_equal(word, SPAN_LITERAL("detail"))) {
        detail_append(out, span_take_word(&words));
    } else if (span_equal(word, SPAN_LITERAL("cachedump"))) {
        span_take_word(&words);
        if (span_take_word(&words).len > 0)
            end_append(out);
        else
            reply_append(out, SPAN_LITERAL("CLIENT_ERROR bad command line\r\n"));
    } else {
        reply_append(out, SPAN_LITERAL("ERROR\r\n"));
    }
}
