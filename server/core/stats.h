/* Counters, and the answers to `stats …` in memcached's manner. */
#ifndef DHT_SERVER_CORE_STATS_H
#define DHT_SERVER_CORE_STATS_H

#include "common/reply.h"
#include "server/store/store.h"

/* What the core counts; whoever does a thing counts it. Zeroed is valid. */
struct stats {
#define COUNTED(name, unit, help) uint64_t name;
#include "server/core/stats_list.h"
};

/* One line of `stats settings`. Both borrowed. */
struct stats_setting {
    struct span name;
    struct span value;
};

/* What is only known when asked for; the caller fills it. */
struct stats_gauges {
#define SHOWN(name, type, unit, help) uint64_t name;
#include "server/core/stats_list.h"
    uint64_t pid;
    int64_t unix_s;
    uint64_t rusage_user_us;
    uint64_t rusage_system_us;
    const struct store_counters *store;   /* borrowed */
    const struct stats_setting *settings; /* borrowed */
    size_t settings_count;
};

/* Appends the answer to a stats line: `stats` and its sub-commands gossip, settings, slabs, items,
 * sizes, conns, detail, cachedump, and reset, which zeroes stats. What needs slabs or per-key books
 * that are not kept here answers as a memcached without any would; an unknown word is ERROR.
 *
 * words  what follows stats on the line, e.g. "settings"; empty for all. */
void stats_append(struct reply *out, struct stats *stats, const struct stats_gauges *gauges,
                  struct span words);

#endif
