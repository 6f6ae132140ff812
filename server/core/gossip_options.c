#include "server/core/gossip_options.h"

bool gossip_profile(struct span name, struct gossip_options *options)
{
    static const struct {
        struct span name;
        struct gossip_options options;
    } profiles[] = {
#define FAST(field, fast, lan, wan, lowest, highest, help) .field = (fast),
#define LAN(field, fast, lan, wan, lowest, highest, help)  .field = (lan),
#define WAN(field, fast, lan, wan, lowest, highest, help)  .field = (wan),
        {{"fast", 4}, {GOSSIP_OPTIONS_LIST(FAST)}},
        {{"lan", 3}, {GOSSIP_OPTIONS_LIST(LAN)}},
        {{"wan", 3}, {GOSSIP_OPTIONS_LIST(WAN)}},
#undef FAST
#undef LAN
#undef WAN
    };
    for (size_t i = 0; i < ARRAY_COUNT(profiles); i++) {
        if (!span_equal(name, profiles[i].name))
            continue;
        *options = profiles[i].options;
        return true;
    }
    return false;
}
