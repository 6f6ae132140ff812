/* Copies under faults: what callers are told can be true, every invariant of proto.md holds
 * after every event, and once the faults are over every slot has its copies again.
 *
 * What a run is made of is drawn from its seed: nodes, which of them keep their data, delays, how
 * many faults at a time, how many callers and how many of their writes carry an id. */
#include "common/check.h"
#include "server/core/views.h"
#include "tests/sim/callers.h"
#include "tests/sim/checks.h"
#include "tests/sim/ghost.h"
#include "tests/sim/names.h"
#include "tests/sim/operator.h"
#include "tests/sim/quiet.h"
#include "tests/sim/schedule.h"

#include <stdio.h>

#define NODES_MIN      3u
#define NODES_MAX      10u
#define MACHINES       4u
#define KEYS           8u
#define SLOTS          4u
#define OPS            2500u
#define FAULTS_MIN     20u
#define VIEWS_MIN      5u
#define FAULTS_MORE    5u /* where they have not made so many */
#define FORM_MS        20000u
#define STEP_MS        250u
#define OPERATOR_MS    60000u /* between an operator's acts where something is stuck */
#define QUIET_MS       60000u /* until all is well again after the last fault */
#define LAST_S         3u     /* callers go on for so long then, */
#define ANSWERED_S     15u /* and until a key of each slot has had an answer, at most for so long */
#define KINDS_OF       4u  /* of so many seeds in a row one has nodes that evict, */
#define EVICTING_AT    2u
#define DELAYING_AT    3u    /* and one has flushes that wait */
#define SQUEEZED_OF    11u   /* of so many steps of such a run in one */
#define SQUEEZED_BYTES 4000u /* so much more fits, at most */
#define OPERATORS      3u    /* times an operator looks whether something is stuck */

/* Times to live: what is left is handed on in whole seconds, now and then, and a message that is
 * held makes it later. */
static const struct linear_options patient = {.early_us = 4 * US_PER_S, .late_us = 200 * US_PER_S};

enum {
    COUNT_DONE = FAULT_KINDS,
    COUNT_ABSENT,
    COUNT_PRESENT,
    COUNT_NOT_DONE,
    COUNT_UNKNOWN,
    COUNT_FULL,
    COUNT_RETRIES,
    COUNT_REPEATS,
    COUNT_VIEWS,
    COUNT_OVERLAPS,
    COUNT_JOINS,
    COUNT_RUNS,
    COUNT_ACTIVATIONS,
    COUNT_SYNCS,
    COUNT_FULL_SYNCS,
    COUNT_DELTAS,
    COUNT_ADVANCES,
    COUNT_PULLS,
    COUNT_CUTS,
    COUNT_FLOORS,
    COUNT_EQUALS,
    COUNT_RECOVERED, /* runs that were quiet again; what it took in seconds is next */
    COUNT_SECONDS,
    COUNT_LOSSES,
    COUNT_ENDED
};
_Static_assert(COUNT_ENDED <= CHECK_COUNTS_MAX, "all counts have a place");

/* One run. */
struct run_of {
    bool recovers; /* on-quorum-loss=recover: no operator gives anything up */
    struct trial *trial;
    struct world *world;
    struct callers *callers;
    struct ghost *ghost;
    struct schedule *schedule;
    struct prng prng;
    struct host *squeezed; /* its memory is used up for this step; NULL: none */
    uint32_t unstarted;    /* nodes from this one on have never been started */
    uint64_t operator_ms;  /* of this run so much has to pass until an operator looks again */
};

static uint64_t draw(struct run_of *run, uint64_t low, uint64_t high)
{
    return low + prng_below(&run->prng, high - low + 1);
}

static void on_told(void *arg, const struct history_key *key, uint64_t version)
{
    struct run_of *run = arg;
    ghost_told(run->ghost, key->slot, span_of_string(key->name), version);
}

static void on_lost(void *arg, uint32_t slot)
{
    struct run_of *run = arg;
    callers_lose(run->callers, slot);
}

/* Nodes are 3 to 10, the last of which join later. */
static void begin_world(struct run_of *run, bool recovers)
{
    struct trial *trial = run->trial;
    uint32_t drawn = trial->node_count;
    if (drawn == 0)
        trial->node_count = (uint32_t)draw(run, NODES_MIN, NODES_MAX);
    uint32_t late = (uint32_t)draw(run, 0, trial->node_count - NODES_MIN);
    trial->seed_count = trial->node_count - (late > 3 ? 3 : late);
    run->world = trial_begin(trial, MACHINES);
    run->unstarted = trial->seed_count;
    trial->node_count = drawn;
    if (draw(run, 0, 2) == 0)
        world_delay(run->world, (uint32_t)draw(run, 100, 40000), (uint32_t)draw(run, 100, 20000));
    uint64_t durable_of_4 = recovers ? draw(run, 0, 2) : draw(run, 2, 4);
    for (uint32_t i = 0; i < run->world->host_count; i++)
        run->world->hosts[i].is_durable = draw(run, 0, 3) < durable_of_4;
    run->world->host_options.evicts = trial->seed % KINDS_OF == EVICTING_AT;
    run->world->host_options.views.on_loss = recovers ? VIEWS_ON_LOSS_RECOVER : VIEWS_ON_LOSS_WAIT;
    for (uint32_t i = 0; i < run->unstarted; i++)
        world_start(run->world, i);
}

static void begin_callers(struct run_of *run)
{
    const struct callers_options options = {.count = (uint32_t)draw(run, 4, 10),
                                            .key_count = KEYS,
                                            .slot_count = (uint32_t)draw(run, 1, SLOTS),
                                            .ops = OPS,
                                            .think_ms = (uint32_t)draw(run, 40, 400),
                                            .has_cold_keys = draw(run, 0, 2) > 0,
                                            .ids_of_10 = (uint32_t)draw(run, 3, 9),
                                            .is_pressing = run->world->host_options.evicts,
                                            .has_flushes = true,
                                            .has_delays =
                                                run->trial->seed % KINDS_OF == DELAYING_AT,
                                            .has_ttl = true};
    run->callers = callers_open(run->world, &options);
    uint32_t slots[SLOTS], count = 0;
    for (uint32_t i = 0; i < KEYS; i++) {
        bool is_new = true;
        for (uint32_t k = 0; k < count; k++)
            is_new &= slots[k] != run->callers->history.keys[i].slot;
        if (is_new)
            slots[count++] = run->callers->history.keys[i].slot;
    }
    run->ghost = ghost_open(run->world, slots, count);
    run->callers->told = on_told;
    run->callers->arg = run;
    ghost_listen(run->ghost, on_lost, run);
}

/* Mostly a minority has a fault at a time, sometimes more. */
static uint32_t draw_down_max(struct run_of *run)
{
    uint32_t minority = (run->world->host_count - 1) / 2;
    return draw(run, 0, 3) > 0 ? (uint32_t)draw(run, 1, minority) : minority + 1;
}

/* Data that are lost at too many nodes at once an operator gives up. */
static void begin_faults(struct run_of *run)
{
    const struct schedule_options options = {.kinds = UINT32_MAX,
                                             .pause_ms = (uint32_t)draw(run, 500, 3000),
                                             .last_ms_min = 20,
                                             .last_ms_max = (uint32_t)draw(run, 500, 12000),
                                             .down_max = draw_down_max(run),
                                             .count_max = (uint32_t)draw(run, FAULTS_MIN, 60)};
    run->schedule = schedule_open(run->world, &options);
}

static bool is_enough(const struct run_of *run)
{
    return run->callers->begun >= OPS && schedule_begun(run->schedule) >= FAULTS_MIN &&
           ghost_counts(run->ghost)->views >= VIEWS_MIN;
}

/* Whether all faults have come and gone, and made too few views. */
static bool is_short_of_views(const struct run_of *run)
{
    return run->callers->begun >= OPS && schedule_is_over(run->schedule) &&
           ghost_counts(run->ghost)->views < VIEWS_MIN;
}

/* A node that has never run joins. */
static void join_one(struct run_of *run)
{
    if (run->unstarted == run->world->host_count || draw(run, 0, 60) > 0)
        return;
    world_start(run->world, run->unstarted++);
}

/* Callers are silent now and then, so that what a copy has of its own is not written over. */
static void lull(struct run_of *run)
{
    if (run->callers->is_paused ? draw(run, 0, 7) > 0 : draw(run, 0, 23) > 0)
        return;
    if (run->callers->is_paused)
        callers_resume(run->callers);
    else
        callers_pause(run->callers);
}

/* Where nodes evict, one has no memory left for a moment now and then. */
static void squeeze(struct run_of *run)
{
    if (!run->world->host_options.evicts)
        return;
    if (run->squeezed)
        run->squeezed->budget.limit_bytes = run->squeezed->memory_bytes;
    run->squeezed = NULL;
    if (draw(run, 0, SQUEEZED_OF) > 0)
        return;
    run->squeezed = &run->world->hosts[draw(run, 0, run->world->host_count - 1)];
    run->squeezed->budget.limit_bytes =
        run->squeezed->budget.used_bytes + draw(run, 0, SQUEEZED_BYTES);
}

/* Now and then an operator gives up what is gone for good, as soon as nobody else is away. */
static void operate(struct run_of *run, uint64_t passed_ms)
{
    if (run->recovers || passed_ms < run->operator_ms || !quiet_is_stuck(run->world) ||
        !operator_accept_loss(run->world))
        return;
    run->operator_ms = passed_ms + OPERATOR_MS;
}

static void stop_faults(struct run_of *run)
{
    schedule_heal(run->schedule);
    while (!schedule_is_over(run->schedule) && !run->world->has_failed)
        world_run_ms(run->world, STEP_MS);
    world_start_down(run->world);
}

/* Exit status 3 asks for an operator. Nobody else starts such a node again. */
static bool start_outdone(struct run_of *run)
{
    bool is_any = false;
    for (uint32_t i = 0; i < run->world->host_count; i++) {
        if (!host_has_ended_outdone(&run->world->hosts[i]))
            continue;
        world_start(run->world, i);
        is_any = true;
    }
    return is_any;
}

/* What an operator does where it is not well by itself. Returns whether there was something. */
static bool help(struct run_of *run, const char *why)
{
    if (start_outdone(run))
        return true;
    if (run->recovers || !quiet_is_stuck(run->world))
        return false;
    trace_say(&run->world->trace, "accept-loss", "because=\"%s\"", why);
    return operator_accept_loss(run->world);
}

static void await_quiet(struct run_of *run)
{
    char why[QUIET_WHY_BYTES];
    uint64_t took_ms = quiet_wait(run->world, QUIET_MS, why);
    for (uint32_t i = 0; took_ms > QUIET_MS && i < OPERATORS && help(run, why); i++)
        took_ms = quiet_wait(run->world, QUIET_MS, why);
    if (took_ms > QUIET_MS)
        quiet_explain(run->world);
    if (took_ms > QUIET_MS)
        world_fail(run->world, "invariant 9: not well %u s after the last fault: %s",
                   QUIET_MS / 1000, why);
    run->trial->counts[COUNT_RECOVERED]++;
    run->trial->counts[COUNT_SECONDS] += took_ms / 1000 + 1;
}

/* Whether what was asked of a key since then has had a result. */
static bool has_result(const struct history_key *key, uint64_t since_us)
{
    for (size_t at = key->count; at-- > 0;) {
        const struct linear_op *op = &key->ops[at];
        if (op->begun_us >= since_us && op->outcome != LINEAR_UNKNOWN &&
            op->outcome != LINEAR_NOT_DONE)
            return true;
    }
    return false;
}

/* Whether a key of each slot has. */
static bool is_answered(const struct run_of *run, uint64_t since_us)
{
    const struct history *history = &run->callers->history;
    for (uint32_t i = 0; i < history->key_count; i++) {
        bool is_any = false;
        for (uint32_t k = 0; k < history->key_count && !is_any; k++)
            is_any = history->keys[k].slot == history->keys[i].slot &&
                     has_result(&history->keys[k], since_us);
        if (!is_any)
            return false;
    }
    return true;
}

/* Callers that had nothing left to do ask for more. */
static void ask_more(struct run_of *run, uint32_t ops, uint32_t seconds)
{
    run->callers->options.ops += ops;
    callers_resume(run->callers);
    world_run_s(run->world, seconds);
}

/* 9: "answers": each slot gives a result again. */
static void await_answers(struct run_of *run)
{
    struct world *world = run->world;
    uint64_t since_us = world->clock.now_us;
    run->callers->options.has_cold_keys = false;
    ask_more(run, KEYS * 10, LAST_S);
    for (uint32_t s = LAST_S; !is_answered(run, since_us) && !world->has_failed; s++) {
        if (s == ANSWERED_S)
            world_fail(world, "invariant 9: a slot has no answer %u s after all was well", s);
        ask_more(run, KEYS, 1);
    }
}

static void count(struct run_of *run)
{
    uint64_t *counts = run->trial->counts;
    const struct ghost_counts *seen = ghost_counts(run->ghost);
    for (int kind = 0; kind < FAULT_KINDS; kind++)
        counts[kind] += run->schedule->begun[kind];
    counts[COUNT_DONE] += callers_total(run->callers, LINEAR_DONE);
    counts[COUNT_ABSENT] += callers_total(run->callers, LINEAR_ABSENT);
    counts[COUNT_PRESENT] += callers_total(run->callers, LINEAR_PRESENT);
    counts[COUNT_NOT_DONE] += callers_total(run->callers, LINEAR_NOT_DONE);
    counts[COUNT_UNKNOWN] += callers_total(run->callers, LINEAR_UNKNOWN);
    counts[COUNT_FULL] += run->callers->full;
    counts[COUNT_RETRIES] += run->callers->retries_ended;
    counts[COUNT_REPEATS] += run->callers->repeats;
    counts[COUNT_VIEWS] += seen->views;
    counts[COUNT_OVERLAPS] += seen->overlaps;
    counts[COUNT_JOINS] += run->unstarted - run->trial->seed_count;
    counts[COUNT_RUNS] += seen->runs;
    counts[COUNT_ACTIVATIONS] += seen->activations;
    counts[COUNT_SYNCS] += seen->syncs;
    counts[COUNT_FULL_SYNCS] += seen->full;
    counts[COUNT_DELTAS] += seen->delta;
    counts[COUNT_ADVANCES] += seen->advances;
    counts[COUNT_PULLS] += seen->pulls;
    counts[COUNT_CUTS] += seen->cuts;
    counts[COUNT_FLOORS] += seen->floors;
    counts[COUNT_EQUALS] += seen->equals;
    counts[COUNT_LOSSES] += seen->losses;
}

static void run_replicas(struct trial *trial, bool recovers)
{
    struct run_of run = {.recovers = recovers, .trial = trial};
    prng_init(&run.prng, trial->seed ^ 0x5ca1ab1e);
    begin_world(&run, recovers);
    struct world *world = run.world;
    begin_callers(&run);
    if (draw(&run, 0, 3) > 0)
        quiet_await(world, FORM_MS, "the cluster forms");
    begin_faults(&run);
    for (uint64_t passed_ms = 0;
         !world->has_failed && !is_enough(&run) && passed_ms < trial->seconds * 1000ull;
         passed_ms += STEP_MS) {
        world_run_ms(world, STEP_MS);
        join_one(&run);
        lull(&run);
        squeeze(&run);
        operate(&run, passed_ms);
        if (is_short_of_views(&run))
            schedule_extend(run.schedule, FAULTS_MORE);
    }
    if (!is_enough(&run))
        world_fail(world, "too little has happened: %llu operations, %llu faults, %llu views",
                   (unsigned long long)run.callers->begun,
                   (unsigned long long)schedule_begun(run.schedule),
                   (unsigned long long)ghost_counts(run.ghost)->views);
    if (run.squeezed)
        run.squeezed->budget.limit_bytes = run.squeezed->memory_bytes;
    callers_resume(run.callers);
    stop_faults(&run);
    await_quiet(&run);
    await_answers(&run);
    callers_give_up(run.callers);
    struct linear_options judged = patient;
    judged.may_vanish = world->host_options.evicts;
    history_judge(&run.callers->history, world, &judged);
    count(&run);
    ghost_close(run.ghost);
    schedule_close(run.schedule);
    callers_close(run.callers);
}

void check_replicas(struct trial *trial)
{
    run_replicas(trial, false);
}

void check_replicas_recover(struct trial *trial)
{
    run_replicas(trial, true);
}
