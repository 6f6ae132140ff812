/* Nobody rises by an old rumour. */
#include "tests/sim/checks.h"
#include "tests/sim/schedule.h"
#include "tests/sim/watch.h"

#include <stdlib.h>

#define LOOK_MS   200u
#define ACCEPT_MS 30000u /* shortened, so that a run is longer than tombstones last */
#define SETTLE_MS 40000u /* a suspicion's longest time, and what follows */

/* What one observer (one process) once said of one subject. */
struct memory {
    uint64_t boot;     /* the highest that was final: removed, or left */
    uint64_t final_us; /* since when */
    bool has_later; /* a later start was heard of since, and the tombstone is that one's record */
    uint64_t seen_boot;
    uint32_t seen_inc; /* of seen_boot */
};

struct memories {
    struct world *world;
    struct memory *of;  /* [observer * nodes + subject] */
    uint32_t *starts;   /* by observer: of which process of its */
    uint64_t *ended_us; /* by subject: when its last process ended; 0: it runs */
    uint64_t *ended_boot;
    uint64_t *whole_us; /* by observer: since when nothing is wrong with it */
};

static struct memory *memory_of(struct memories *memories, uint32_t observer, uint32_t subject)
{
    return &memories->of[(size_t)observer * memories->world->host_count + subject];
}

/* A new process remembers nothing. */
static void forget_if_new(struct memories *memories, uint32_t observer)
{
    const struct host *host = &memories->world->hosts[observer];
    if (memories->starts[observer] == host->starts)
        return;
    memories->starts[observer] = host->starts;
    for (uint32_t i = 0; i < memories->world->host_count; i++)
        *memory_of(memories, observer, i) = (struct memory){0};
}

/* Whether the observer goes by its view alone: a member unknown to gossip (one of whom it has heard
 * of a later start, and whom it could not reach) enters as alive of unknown age, and is probed at
 * once. The next view may be without it. */
static bool is_only_expected(struct world *world, uint32_t observer, const struct account *record)
{
    return record->proof_ms == 0 &&
           host_now(&world->hosts[observer]).mono_ms < record->state_ms + SETTLE_MS;
}

/* Whether it may be forgotten that a process was taken for gone. */
static bool is_memory_over(const struct memories *memories, const struct memory *memory)
{
    uint64_t cleanup_us = (uint64_t)memories->world->host_options.timers.cleanup_ms * US_PER_MS;
    return memories->world->clock.now_us >= memory->final_us + cleanup_us / 10 * 9;
}

/* Once that is forgotten the process may be heard of again: if it lives, or did a short time ago,
 * or stands in a view that has come. The last holds before, too, where a later start of its name
 * was heard of, not reached, and dropped. */
static bool may_return(const struct memories *memories, const struct memory *memory,
                       uint32_t observer, uint32_t subject, const struct account *record)
{
    struct world *world = memories->world;
    uint64_t ended_us = memories->ended_us[subject];
    uint64_t accept_us = (uint64_t)world->host_options.timers.accept_ms * US_PER_MS;
    bool is_expected = is_only_expected(world, observer, record);
    if (!is_memory_over(memories, memory))
        return memory->has_later && is_expected;
    return ended_us == 0 || world->clock.now_us < ended_us + accept_us / 10 * 11 || is_expected;
}

static void look_at(struct memories *memories, uint32_t observer, uint32_t subject)
{
    struct world *world = memories->world;
    const struct account *record = watch_record(world, observer, subject);
    struct memory *memory = memory_of(memories, observer, subject);
    if (!record || record->state == MEMBER_UNVERIFIED) {
        memory->has_later |= record && record->boot > memory->boot;
        memory->seen_boot = 0; /* forgotten: whatever it is heard of next */
        return;
    }
    /* It may have been forgotten, and heard of again, since the last look. */
    if (memory->seen_boot == memory->boot && is_memory_over(memories, memory))
        memory->seen_boot = 0;
    if (record_is_live(record) && may_return(memories, memory, observer, subject, record))
        memory->boot = 0;
    if (record_is_live(record) && record->boot <= memory->boot)
        world_fail(world, "n%u has n%u of boot %llu alive, which it has seen gone for good",
                   observer + 1, subject + 1, (unsigned long long)record->boot);
    if (record->boot == memory->seen_boot && record->inc < memory->seen_inc)
        world_fail(world, "n%u takes the incarnation of n%u back from %u to %u", observer + 1,
                   subject + 1, memory->seen_inc, record->inc);
    if ((record->state == MEMBER_REMOVED || record->state == MEMBER_LEFT) &&
        record->boot > memory->boot) {
        memory->boot = record->boot;
        memory->has_later = false;
        memory->final_us = world->clock.now_us;
    }
    memory->seen_boot = record->boot;
    memory->seen_inc = record->inc;
}

/* Who ended long ago is alive with nobody who has been well since. */
static void look_for_ghosts(struct memories *memories, uint32_t observer, uint32_t subject)
{
    struct world *world = memories->world;
    uint64_t now_us = world->clock.now_us;
    uint64_t long_us = (uint64_t)(ACCEPT_MS + SETTLE_MS) * US_PER_MS;
    const struct account *record = watch_record(world, observer, subject);
    if (memories->ended_us[subject] == 0 || now_us < memories->ended_us[subject] + long_us ||
        now_us < memories->whole_us[observer] + long_us)
        return;
    if (record && record_is_live(record) && record->boot <= memories->ended_boot[subject] &&
        !is_only_expected(world, observer, record))
        world_fail(world, "n%u has n%u alive, which ended %llu s ago", observer + 1, subject + 1,
                   (unsigned long long)((now_us - memories->ended_us[subject]) / US_PER_S));
}

static void look(struct memories *memories, const struct schedule *schedule)
{
    struct world *world = memories->world;
    for (uint32_t i = 0; i < world->host_count; i++) {
        const struct host *host = &world->hosts[i];
        forget_if_new(memories, i);
        if (host->state != HOST_DOWN)
            memories->ended_us[i] = 0;
        else if (memories->ended_us[i] == 0) {
            memories->ended_us[i] = world->clock.now_us;
            memories->ended_boot[i] = host->boot;
        }
        if (host->state != HOST_UP || schedule_disturbs(schedule, i))
            memories->whole_us[i] = world->clock.now_us;
    }
    for (uint32_t i = 0; i < world->host_count; i++)
        for (uint32_t j = 0; world->hosts[i].node && j < world->host_count; j++) {
            look_at(memories, i, j);
            look_for_ghosts(memories, i, j);
        }
}

static const struct schedule_options faults = {
    .kinds = 1u << FAULT_KILL | 1u << FAULT_FORGET | 1u << FAULT_POWER | 1u << FAULT_STOP |
             1u << FAULT_ISOLATE | 1u << FAULT_MUTE | 1u << FAULT_DEAF | 1u << FAULT_HOLD |
             1u << FAULT_BREAK | 1u << FAULT_SPLIT | 1u << FAULT_LEAVE,
    .pause_ms = 4000,
    .last_ms_min = 100,
    /* longer than the dead are remembered */
    .last_ms_max = 8 * ACCEPT_MS,
    .down_max = 4};

void check_resurrect(struct trial *trial)
{
    struct world *world = trial_begin(trial, 0);
    size_t count = world->host_count;
    world->host_options.timers.accept_ms = ACCEPT_MS;
    world->host_options.timers.cleanup_ms = 4 * ACCEPT_MS;
    struct memories memories = {.world = world,
                                .of = calloc(count * count, sizeof(*memories.of)),
                                .starts = calloc(count, sizeof(*memories.starts)),
                                .ended_us = calloc(count, sizeof(*memories.ended_us)),
                                .ended_boot = calloc(count, sizeof(*memories.ended_boot)),
                                .whole_us = calloc(count, sizeof(*memories.whole_us))};
    watch_form(world, WATCH_FORM_MS);
    struct watch *watch = watch_open(world);
    struct schedule *schedule = schedule_open(world, &faults);
    for (uint64_t ms = 0; ms < trial->seconds * 1000ull && !world->has_failed; ms += LOOK_MS) {
        world_run_ms(world, LOOK_MS);
        look(&memories, schedule);
    }
    schedule_heal(schedule);
    watch_until_one_view(world, SETTLE_MS, "after all has healed");
    trial->counts[0] += watch->true_deaths;
    trial->counts[1] += schedule_begun(schedule);
    schedule_close(schedule);
    watch_close(watch);
    free(memories.of);
    free(memories.starts);
    free(memories.ended_us);
    free(memories.ended_boot);
    free(memories.whole_us);
}
