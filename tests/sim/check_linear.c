/* What callers are told can be true: for every key there is an order in which it is. */
#include "tests/sim/callers.h"
#include "tests/sim/checks.h"
#include "tests/sim/schedule.h"

#define MACHINES 4u
#define SETTLE_S 3u

static const struct callers_options many = {.count = 8,
                                            .key_count = 8,
                                            .slot_count = 4,
                                            .think_ms = 200,
                                            .has_flushes = true,
                                            .has_ttl = true};

/* Clocks of one node count whole seconds. */
static const struct linear_options calm = {.early_us = 1 * US_PER_S, .late_us = 2 * US_PER_S};

void check_linear_quiet(struct trial *trial)
{
    struct world *world = trial_begin(trial, MACHINES);
    world_start_all(world);
    world_run_s(world, SETTLE_S);
    struct callers_options options = many;
    options.has_delays = true;
    struct callers *callers = callers_open(world, &options);
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
