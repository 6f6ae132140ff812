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

/* What finishes something begun, an answer half sent or a request half read, may go beyond the
 * bound by a sixteenth and this much: a full store must not cut off its clients. */
#define BUDGET_STRETCH_BYTES (8u * 1024 * 1024)

static inline bool budget_stretches(const struct budget *budget, size_t bytes)
{
    size_t limit_bytes = budget->limit_bytes + budget->limit_bytes / 16 + BUDGET_STRETCH_BYTES;
    return bytes <= limit_bytes && budget->used_bytes <= limit_bytes - bytes;
}

#endif
