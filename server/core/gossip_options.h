/* Every timer and bound of the membership protocol, and the profiles that set them together, as one
 * list: from it come the fields of struct gossip_options and the profiles, and whoever offers them
 * to people (options) makes his lines from it too. */
#ifndef DHT_SERVER_CORE_GOSSIP_OPTIONS_H
#define DHT_SERVER_CORE_GOSSIP_OPTIONS_H

#include "common/span.h"

/* X(field, fast, lan, wan, lowest, highest, help): _ms is milliseconds. */
/* clang-format off */
#define GOSSIP_OPTIONS_LIST(X)                                                                     \
    X(gossip_ms, 250, 500, 1000, 10, 60000, "a round: one exchange with one member, +-10 %")       \
    X(probe_ms, 150, 300, 1500, 5, 60000, "an answer's time at most; adapts to 4 round trips")     \
    X(probe_min_ms, 50, 100, 300, 5, 60000, "an answer's time at least")                           \
    X(redial_ms, 75, 150, 600, 5, 60000, "a connect that takes so long is tried anew, twice")      \
    X(indirect_ms, 150, 300, 1500, 5, 60000, "time for others to try a member that is mute here")  \
    X(look_ms, 50, 100, 300, 1, 60000, "one not watched is looked at so long after its end")       \
    X(refused_ms, 200, 200, 1000, 1, 60000, "suspected because its process is gone, until dead")   \
    X(silent_min_ms, 5000, 6400, 12000, 50, 3600000,                                               \
      "suspected because its machine is silent, until dead: with 3 confirmations")                 \
    X(silent_max_ms, 30000, 38400, 72000, 50, 3600000, "the same without any confirmation")        \
    X(stalled_min_ms, 10000, 10000, 20000, 50, 3600000,                                            \
      "suspected because its process is stopped, until dead: with 3 confirmations")                \
    X(stalled_max_ms, 60000, 60000, 120000, 50, 3600000, "the same without any confirmation")      \
    X(remove_ms, 2000, 5000, 20000, 10, 3600000, "dead or left until it leaves the list")          \
    X(rejoin_ms, 5000, 5000, 5000, 50, 3600000, "between attempts to reach those that are gone")   \
    X(isolated_ms, 30000, 30000, 60000, 100, 3600000,                                              \
      "cut off itself for so long, a node holds silent ones for dead all the same")                \
    X(fail_ms, 10000, 10000, 20000, 100, 86400000,                                                 \
      "no sign of life for so long is suspicious (members / 2 seconds if that is longer)")         \
    X(accept_ms, 900000, 900000, 900000, 1000, 86400000,                                           \
      "an unknown member's last sign of life may be so old (likewise)")                            \
    X(cleanup_ms, 3600000, 3600000, 3600000, 4000, 345600000,                                      \
      "the dead are remembered so long; at least 4 times accept_ms")                               \
    X(damp_ms, 30000, 30000, 30000, 10, 3600000, "how long one that flaps is damped")              \
    X(flap_half_ms, 300000, 300000, 300000, 10, 86400000, "half-life of the flap score")           \
    X(join_ms, 1000, 1000, 3000, 10, 60000, "the first attempt to join is over after so long")     \
    X(leave_ms, 500, 500, 1000, 1, 60000, "who leaves waits so long for acknowledgements")         \
    X(lag_ms, 250, 250, 250, 10, 60000, "a timer later than this: this process was stopped")       \
    X(fanout, 4, 4, 4, 1, 16, "members that news is pushed to at once")                            \
    X(links_max, 128, 128, 128, 8, 4096, "control connections kept; up to so many: to everybody")
/* clang-format on */

struct gossip_options {
#define GOSSIP_OPTIONS_FIELD(field, fast, lan, wan, lowest, highest, help) uint32_t field;
    GOSSIP_OPTIONS_LIST(GOSSIP_OPTIONS_FIELD)
#undef GOSSIP_OPTIONS_FIELD
};

#define GOSSIP_FANOUT_MAX 16u

/* Sets every field as a profile has it: "fast", "lan" or "wan". Returns false for another name,
 * nothing changed. */
MUST_USE bool gossip_profile(struct span name, struct gossip_options *options);

#endif
