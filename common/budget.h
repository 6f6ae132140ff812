/* The node's one memory bound (-m): items, tables and connection buffers are counted together.
 *
 * Whoever holds memory of any size worth bounding adds what it took and subtracts what it gave
 * back; whoever wants more asks first whether it fits. One per process, owned by main. */
#ifndef DHT_COMMON_BUDGET_H
#define DHT_COMMON_BUDGET_H

#include "common/base.h"

struct budget {
    size_t used_bytes;
    size_t limit_bytes;
};

static inline bool budget_fits(const struct budget *budget, size_t bytes)
{
    return bytes <= budget->limit_bytes && budget->used_bytes <= budget->limit_bytes - bytes;
}

#endif
