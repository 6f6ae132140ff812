#include "tests/sim/patience.h"

void patience_connect(struct patience *patience, const struct host *host, uint32_t client)
{
    *patience = (struct patience){.host = host, .client = client, .starts = host->starts};
}

/* Until so long after the turn that the host is in. */
static void wait(const struct patience *patience, struct vtimer *timer, uint64_t wait_ms)
{
    vclock_set(&patience->host->world->clock, timer,
               host_reads_us(patience->host) + wait_ms * US_PER_MS);
}

void patience_begin(struct patience *patience, struct vtimer *timer)
{
    struct world *world = patience->host->world;
    const struct net_path *path = net_path(&world->net, patience->client, patience->host->number);
    patience->begun_us = world->clock.now_us;
    patience->stage = PATIENCE_ARRIVES;
    vclock_set(&world->clock, timer, patience->begun_us + path->delay_us + path->jitter_us + 1);
}

enum patience_end patience_ring(struct patience *patience, struct vtimer *timer, uint64_t sent_us)
{
    const struct host *host = patience->host;
    if (patience->stage == PATIENCE_ARRIVES) {
        patience->stage = PATIENCE_ANSWERS;
        wait(patience, timer, host->world->host_options.op_timeout_ms + PATIENCE_MARGIN_MS);
        return PATIENCE_LASTS;
    }
    if (host->state != HOST_UP || host->starts != patience->starts || host->disturbed_us >= sent_us)
        return PATIENCE_VAIN;
    if (patience->stage == PATIENCE_TURN || host_reads_us(host) == host->world->clock.now_us)
        return PATIENCE_ENDS;
    patience->stage = PATIENCE_TURN;
    wait(patience, timer, PATIENCE_MARGIN_MS);
    return PATIENCE_LASTS;
}
