/* What callers are told can be true: for every key there is an order in which it is. */
#include "server/core/views.h"
#include "tests/sim/callers.h"
#include "tests/sim/checks.h"
#include "tests/sim/quiet.h"
#include "tests/sim/schedule.h"

#define MACHINES 4u
#define SETTLE_S 3u

#define FAR_US_MIN     50000u
#define FAR_US_MAX     350000u
#define FAR_TIMEOUT_MS 6000u
#define FAR_FORM_MS    60000u

static const struct callers_options many = {.count = 8,
                                            .key_count = 8,
                                            .slot_count = 4,
                                            .think_ms = 200,
                                            .has_flushes = true,
                                            .has_ttl = true};

/* Clocks of one node count whole seconds. */
static const struct linear_options calm = {.early_us = 1 * US_PER_S, .late_us = 2 * US_PER_S};

/* All are well: everything asked for is carried out. */
static void run_quiet(struct trial *trial, const struct callers_options *options)
{
    struct world *world = trial->world;
    struct callers *callers = callers_open(world, options);
    world_run_s(world, trial->seconds);
    uint64_t failed =
        callers_total(callers, LINEAR_NOT_DONE) + callers_total(callers, LINEAR_UNKNOWN);
    if (failed > 0)
        world_fail(world, "%llu requests were not carried out", (unsigned long long)failed);
    callers_give_up(callers);
    history_judge(&callers->history, world, &calm);
    trial->counts[0] += callers_total(callers, LINEAR_DONE);
    trial->counts[1] += callers_total(callers, LINEAR_ABSENT);
    trial->counts[2] += callers_total(callers, LINEAR_PRESENT);
    trial->counts[3] += callers->history.judged;
    callers_close(callers);
}

void check_linear_quiet(struct trial *trial)
{
    struct callers_options options = many;
    options.has_delays = true;
    struct world *world = trial_begin(trial, MACHINES);
    world_start_all(world);
    world_run_s(world, SETTLE_S);
    run_quiet(trial, &options);
}

/* All end, and come back without their data: there is one cluster again, whoever has to be asked.
 */
static void restart_far(struct world *world)
{
    for (uint32_t i = 0; i < world->host_count; i++)
        world_kill(world, i);
    for (uint32_t i = 0; i < world->host_count; i++) {
        world_run_us(world, prng_below(&world->prng, US_PER_S));
        world_start(world, i);
    }
    quiet_await(world, FAR_FORM_MS, "nodes that are far apart were restarted");
}

/* Nodes of several continents, clients beside them, and no moment without a request. */
void check_linear_far(struct trial *trial)
{
    struct callers_options options = many;
    options.think_ms = 20;
    struct world *world = trial_begin(trial, MACHINES);
    uint32_t far_us = FAR_US_MIN + (uint32_t)prng_below(&world->prng, FAR_US_MAX - FAR_US_MIN + 1);
    for (uint32_t from = 0; from < world->host_count; from++)
        for (uint32_t to = 0; to < world->host_count; to++)
            net_path(&world->net, from, to)->delay_us = from == to ? 0 : far_us;
    world->host_options.views.on_loss = VIEWS_ON_LOSS_RECOVER;
    world->host_options.op_timeout_ms = FAR_TIMEOUT_MS;
    world_start_all(world);
    quiet_await(world, FAR_FORM_MS, "nodes that are far apart have formed a cluster");
    run_quiet(trial, &options);
    restart_far(world);
}

void check_linear_once(struct trial *trial)
{
    const struct linear_options options = {.early_us = 2 * US_PER_S, .late_us = 8 * US_PER_S};
    struct world *world = trial_begin(trial, MACHINES);
    world_start_all(world);
    world_run_s(world, SETTLE_S);
    struct callers *callers = callers_open(world, &many);
    struct schedule *schedule = schedule_open(world, &schedule_harmless);
    world_run_s(world, trial->seconds);
    callers_give_up(callers);
    history_judge(&callers->history, world, &options);
    trial->counts[0] += callers_total(callers, LINEAR_DONE);
    trial->counts[1] += callers_total(callers, LINEAR_NOT_DONE);
    trial->counts[2] += callers_total(callers, LINEAR_UNKNOWN);
    trial->counts[3] += schedule_begun(schedule);
    trial->counts[4] += callers->history.tries;
    schedule_close(schedule);
    callers_close(callers);
}
