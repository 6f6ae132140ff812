#include "tests/sim/patience.h"

void patience_connect(struct patience *patience, const struct host *host)
{
    *patience = (struct patience){.host = host, .starts = host->starts};
}

static void wait(const struct patience *patience, struct vtimer *timer, uint64_t wait_ms)
{
    vclock_set(&patience->host->world->clock, timer,
               host_reads_us(patience->host) + wait_ms * US_PER_MS);
}

void patience_begin(struct patience *patience, struct vtimer *timer)
{
    const struct world *world = patience->host->world;
    patience->begun_us = world->clock.now_us;
    patience->is_turn_awaited = false;
    wait(patience, timer, world->host_options.op_timeout_ms + PATIENCE_MARGIN_MS);
}

enum patience_end patience_ring(struct patience *patience, struct vtimer *timer, uint64_t sent_us)
{
    const struct host *host = patience->host;
    if (host->state != HOST_UP || host->starts != patience->starts || host->disturbed_us >= sent_us)
        return PATIENCE_VAIN;
    if (patience->is_turn_awaited || host_reads_us(host) == host->world->clock.now_us)
        return PATIENCE_ENDS;
    patience->is_turn_awaited = true;
    wait(patience, timer, PATIENCE_MARGIN_MS);
    return PATIENCE_LASTS;
}
