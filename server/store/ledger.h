/* The store's share of the node's memory bound: what arena and large items take is booked here, in
 * the common budget and in the store's own counter at once. */
#ifndef DHT_SERVER_STORE_LEDGER_H
#define DHT_SERVER_STORE_LEDGER_H

#include "common/budget.h"
#include "common/check.h"

struct ledger {
    struct budget *budget;  /* borrowed */
    uint64_t *memory_bytes; /* borrowed: what this store has taken */
};

static inline void ledger_take(struct ledger *ledger, size_t bytes)
{
    ledger->budget->used_bytes += bytes;
    *ledger->memory_bytes += bytes;
}

static inline void ledger_give(struct ledger *ledger, size_t bytes)
{
    CHECK(bytes <= ledger->budget->used_bytes);
    CHECK(bytes <= *ledger->memory_bytes);
    ledger->budget->used_bytes -= bytes;
    *ledger->memory_bytes -= bytes;
}

#endif
