#include "tests/sim/schedule.h"

#include "common/check.h"
#include "server/core/views.h"

#include <stdlib.h>

#define DAY_MS        86400000
#define DRIFT_PPM_MAX 10000
#define SLOW_TIMES    100u
#define QUICK_MS      300
#define LONG_MS_MIN   15000 /* COMA, SLEEP */
#define LONG_MS_MAX   40000
#define LIMBO_MS_MIN  40000
#define LIMBO_MS_MAX  120000
#define FLIP_MS_MIN   30 /* FLAP */
#define FLIP_MS_MAX   1500
#define LINK_US_MIN   20000 /* LINK: so much longer each way */
#define LINK_US_MAX   500000
#define FULL_BYTES    2000u /* FULL: so much more fits, at most */

static const uint32_t weights[FAULT_KINDS] = {
#define FAULT_WEIGHT(id, weight) weight,
    FAULT_LIST(FAULT_WEIGHT)
#undef FAULT_WEIGHT
};

const struct schedule_options schedule_harmless = {
    .kinds = 1u << FAULT_STOP | 1u << FAULT_SLOW | 1u << FAULT_ISOLATE | 1u << FAULT_MUTE |
             1u << FAULT_DEAF | 1u << FAULT_ONE_WAY | 1u << FAULT_LOSSY | 1u << FAULT_BREAK |
             1u << FAULT_HOLD | 1u << FAULT_WALL | 1u << FAULT_DRIFT,
    .pause_ms = 1000,
    .last_ms_min = 50,
    .last_ms_max = 3000,
    .down_max = 2};

const char *fault_word(enum fault_kind kind)
{
    static const char *const words[FAULT_KINDS] = {
#define FAULT_WORD(id, weight) #id,
        FAULT_LIST(FAULT_WORD)
#undef FAULT_WORD
    };
    return words[kind];
}

static bool is_allowed(const struct schedule *schedule, enum fault_kind kind)
{
    return schedule->options.kinds >> kind & 1;
}

static enum fault_kind draw_kind(struct schedule *schedule)
{
    uint32_t total = 0;
    for (int kind = 0; kind < FAULT_KINDS; kind++)
        total += is_allowed(schedule, (enum fault_kind)kind) ? weights[kind] : 0;
    uint64_t drawn = prng_below(&schedule->prng, total);
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        if (!is_allowed(schedule, (enum fault_kind)kind))
            continue;
        if (drawn < weights[kind])
            return (enum fault_kind)kind;
        drawn -= weights[kind];
    }
    CHECK(!"a kind is drawn");
    return FAULT_KILL;
}

/* One of the node's connections with another node, or NULL. */
static struct sock *draw_sock(struct schedule *schedule, uint32_t node)
{
    struct sock *socks[64];
    uint32_t count = net_socks(&schedule->world->net, node, schedule->world->host_count, socks,
                               ARRAY_COUNT(socks));
    return count > 0 ? socks[prng_below(&schedule->prng, count)] : NULL;
}

static void cut_all(struct schedule *schedule, uint32_t node, bool out, bool in, bool is_cut)
{
    struct world *world = schedule->world;
    for (uint32_t i = 0; i < world->host_count; i++) {
        if (i != node && out)
            world_cut(world, node, i, is_cut);
        if (i != node && in)
            world_cut(world, i, node, is_cut);
    }
}

/* What it sends to other nodes; what clients hear is not part of it. */
static void lose_all(struct schedule *schedule, uint32_t node, uint32_t loss_ppm)
{
    struct world *world = schedule->world;
    for (uint32_t i = 0; i < world->host_count; i++)
        net_path(&world->net, node, i)->loss_ppm = loss_ppm;
}

/* What two nodes send to each other takes longer by more_us, or as long as before. */
static void slow_link(struct world *world, const struct fault *fault, bool is_slow)
{
    uint32_t ends[] = {fault->node, fault->other};
    for (int i = 0; i < 2; i++) {
        struct net_path *path = net_path(&world->net, ends[i], ends[1 - i]);
        CHECK(is_slow || path->delay_us >= fault->more_us);
        path->delay_us =
            is_slow ? path->delay_us + fault->more_us : path->delay_us - fault->more_us;
    }
}

static void split(struct schedule *schedule, bool is_cut)
{
    struct world *world = schedule->world;
    for (uint32_t i = 0; is_cut && i < world->host_count; i++)
        schedule->is_split[i] = (uint8_t)prng_below(&schedule->prng, 2);
    for (uint32_t i = 0; i < world->host_count; i++)
        for (uint32_t j = 0; j < world->host_count; j++)
            if (schedule->is_split[i] != schedule->is_split[j])
                world_cut(world, i, j, is_cut);
}

static int64_t draw_between(struct schedule *schedule, int64_t low, int64_t high)
{
    return low + (int64_t)prng_below(&schedule->prng, (uint64_t)(high - low) + 1);
}

static uint64_t draw_below(struct schedule *schedule, uint64_t bound)
{
    return prng_below(&schedule->prng, bound);
}

/* FLAP: what was cut is not, and the other way round, and so on. */
static void flip(struct fault *fault)
{
    struct schedule *schedule = fault->schedule;
    struct vclock *clock = &schedule->world->clock;
    fault->is_flipped = !fault->is_flipped;
    cut_all(schedule, fault->node, true, true, fault->is_flipped);
    uint64_t ms = (uint64_t)draw_between(schedule, FLIP_MS_MIN, FLIP_MS_MAX);
    vclock_set(clock, &fault->flip, clock->now_us + ms * US_PER_MS);
}

static void on_flip(struct vtimer *timer)
{
    flip(CONTAINER_OF(timer, struct fault, flip));
}

static void begin(struct schedule *schedule, struct fault *fault, uint64_t until_us)
{
    struct world *world = schedule->world;
    struct host *host = &world->hosts[fault->node];
    struct sock *sock;
    switch (fault->kind) {
    case FAULT_KILL:
    case FAULT_FORGET:
    case FAULT_WIPE:
    case FAULT_QUICK:
        world_kill(world, fault->node);
        break;
    case FAULT_LEAVE:
        world_leave(world, fault->node);
        break;
    case FAULT_POWER:
        world_power_off(world, fault->node);
        break;
    case FAULT_STOP:
    case FAULT_COMA:
        world_stop(world, fault->node);
        break;
    case FAULT_SLOW:
        host->slow = SLOW_TIMES;
        break;
    case FAULT_ISOLATE:
    case FAULT_SLEEP:
        cut_all(schedule, fault->node, true, true, true);
        break;
    case FAULT_FLAP:
        flip(fault);
        break;
    case FAULT_FULL:
        host->budget.limit_bytes = host->budget.used_bytes + draw_below(schedule, FULL_BYTES);
        break;
    case FAULT_DISK:
        host->is_disk_full = true;
        break;
    case FAULT_MUTE:
        cut_all(schedule, fault->node, true, false, true);
        break;
    case FAULT_DEAF:
        cut_all(schedule, fault->node, false, true, true);
        break;
    case FAULT_ONE_WAY:
        world_cut(world, fault->node, fault->other, true);
        break;
    case FAULT_LOSSY:
        lose_all(schedule, fault->node, NET_PPM / 4);
        break;
    case FAULT_BREAK:
    case FAULT_HOLD:
    case FAULT_LIMBO:
        sock = draw_sock(schedule, fault->node);
        if (sock && fault->kind == FAULT_BREAK)
            sock_break(sock);
        else if (sock)
            sock_hold(sock, until_us);
        break;
    case FAULT_WALL:
        host->wall_ms += draw_between(schedule, -DAY_MS, DAY_MS);
        break;
    case FAULT_DRIFT:
        host_drift(host, draw_between(schedule, -DRIFT_PPM_MAX, DRIFT_PPM_MAX));
        break;
    case FAULT_SPLIT:
        split(schedule, true);
        break;
    case FAULT_LINK:
        fault->more_us = (uint32_t)draw_between(schedule, LINK_US_MIN, LINK_US_MAX);
        slow_link(world, fault, true);
        break;
    case FAULT_KINDS:
        CHECK(!"a fault has a kind");
    }
}

static void undo(struct schedule *schedule, struct fault *fault)
{
    struct world *world = schedule->world;
    struct host *host = &world->hosts[fault->node];
    switch (fault->kind) {
    case FAULT_FORGET:
        world_forget(world, fault->node);
        host_wipe(host);
        world_start(world, fault->node);
        break;
    case FAULT_WIPE:
        host_wipe(host);
        world_start(world, fault->node);
        break;
    case FAULT_KILL:
    case FAULT_QUICK:
        world_start(world, fault->node);
        break;
    case FAULT_LEAVE:
        if (host->state != HOST_DOWN)
            world_kill(world, fault->node); /* it takes its time to leave: it is not given more */
        world_start(world, fault->node);
        break;
    case FAULT_POWER:
        world_power_on(world, fault->node);
        world_start(world, fault->node);
        break;
    case FAULT_STOP:
    case FAULT_COMA:
        if (host->state == HOST_STOPPED)
            world_continue(world, fault->node);
        break;
    case FAULT_SLOW:
        host->slow = 1;
        break;
    case FAULT_ISOLATE:
    case FAULT_SLEEP:
        cut_all(schedule, fault->node, true, true, false);
        break;
    case FAULT_FLAP:
        vclock_stop(&world->clock, &fault->flip);
        if (fault->is_flipped)
            cut_all(schedule, fault->node, true, true, false);
        break;
    case FAULT_FULL:
        host->budget.limit_bytes = host->memory_bytes;
        break;
    case FAULT_DISK:
        host->is_disk_full = false;
        if (host->state != HOST_DOWN)
            world_kill(world, fault->node);
        world_start(world, fault->node);
        break;
    case FAULT_MUTE:
        cut_all(schedule, fault->node, true, false, false);
        break;
    case FAULT_DEAF:
        cut_all(schedule, fault->node, false, true, false);
        break;
    case FAULT_ONE_WAY:
        world_cut(world, fault->node, fault->other, false);
        break;
    case FAULT_LOSSY:
        lose_all(schedule, fault->node, world->loss_ppm);
        break;
    case FAULT_SPLIT:
        split(schedule, false);
        break;
    case FAULT_LINK:
        slow_link(world, fault, false);
        break;
    case FAULT_BREAK:
    case FAULT_HOLD:
    case FAULT_LIMBO:
    case FAULT_WALL:
    case FAULT_DRIFT:
    case FAULT_KINDS:
        break;
    }
}

static void fault_end(struct fault *fault)
{
    struct schedule *schedule = fault->schedule;
    trace_say(&schedule->world->trace, "fault-ends", "kind=%s node=%s", fault_word(fault->kind),
              schedule->world->hosts[fault->node].name);
    fault->is_on = false;
    schedule->on_count--;
    undo(schedule, fault);
}

static void on_end(struct vtimer *timer)
{
    fault_end(CONTAINER_OF(timer, struct fault, end));
}

static bool has_fault(const struct schedule *schedule, uint32_t node)
{
    for (size_t i = 0; i < FAULTS_MAX; i++)
        if (schedule->faults[i].is_on && schedule->faults[i].node == node)
            return true;
    return false;
}

static bool has_kind(const struct schedule *schedule, enum fault_kind kind)
{
    for (size_t i = 0; i < FAULTS_MAX; i++)
        if (schedule->faults[i].is_on && schedule->faults[i].kind == kind)
            return true;
    return false;
}

bool schedule_disturbs(const struct schedule *schedule, uint32_t node)
{
    return has_fault(schedule, node) || has_kind(schedule, FAULT_SPLIT);
}

uint64_t schedule_begun(const struct schedule *schedule)
{
    uint64_t total = 0;
    for (int kind = 0; kind < FAULT_KINDS; kind++)
        total += schedule->begun[kind];
    return total;
}

/* How long a fault lasts. */
static uint64_t draw_length_ms(struct schedule *schedule, enum fault_kind kind)
{
    int64_t low = schedule->options.last_ms_min, high = schedule->options.last_ms_max;
    if (kind == FAULT_COMA || kind == FAULT_SLEEP) {
        low = LONG_MS_MIN;
        high = LONG_MS_MAX;
    } else if (kind == FAULT_LIMBO) {
        low = LIMBO_MS_MIN;
        high = LIMBO_MS_MAX;
    } else if (kind == FAULT_QUICK) {
        low = 1;
        high = QUICK_MS;
    }
    return (uint64_t)draw_between(schedule, low, high);
}

/* Whether every node that has ever run stands in one view, full and up, as the process that runs.
 */
static bool is_whole(const struct world *world)
{
    uint32_t epoch = 0;
    for (uint32_t i = 0; i < world->host_count; i++) {
        const struct host *host = &world->hosts[i];
        if (host->starts == 0)
            continue;
        const struct views *views = host->state == HOST_UP ? node_views(host->node) : NULL;
        uint32_t self = views && views_current(views) ? views_self(views) : VIEW_NOBODY;
        if (self == VIEW_NOBODY || (epoch > 0 && views_epoch(views) != epoch))
            return false;
        const struct view *view = views_current(views);
        epoch = view->epoch;
        for (uint32_t m = 0; m < view->member_count; m++)
            if (!member_is_full(&view->members[m]) || !member_is_up(&view->members[m]))
                return false;
    }
    return true;
}

/* A majority of state files lost would end views for good: the next is lost only when a view has
 * taken the last new seat in, and nothing else is in the way of that. */
static bool may_forget(const struct schedule *schedule)
{
    return schedule->on_count == 0 && is_whole(schedule->world);
}

static void begin_one(struct schedule *schedule)
{
    struct world *world = schedule->world;
    struct fault *fault = schedule->faults;
    while (fault->is_on)
        fault++;
    enum fault_kind kind = draw_kind(schedule);
    uint32_t node = (uint32_t)prng_below(&schedule->prng, world->host_count);
    uint32_t other = (uint32_t)prng_below(&schedule->prng, world->host_count);
    if (has_fault(schedule, node) || world->hosts[node].state != HOST_UP ||
        ((kind == FAULT_ONE_WAY || kind == FAULT_LINK) && node == other) ||
        (kind == FAULT_SPLIT && has_kind(schedule, kind)) ||
        (kind == FAULT_FORGET && !may_forget(schedule)))
        return;
    uint64_t until_us = world->clock.now_us + draw_length_ms(schedule, kind) * US_PER_MS;
    fault->kind = kind;
    fault->is_flipped = false;
    fault->is_on = true;
    fault->node = node;
    fault->other = other;
    schedule->on_count++;
    schedule->begun[kind]++;
    trace_say(&world->trace, "fault", "kind=%s node=%s until=%.3f", fault_word(kind),
              world->hosts[node].name, (double)until_us / US_PER_S);
    vclock_set(&world->clock, &fault->end, until_us);
    begin(schedule, fault, until_us);
}

static void set_next(struct schedule *schedule)
{
    uint64_t pause_us = (uint64_t)schedule->options.pause_ms * US_PER_MS;
    struct vclock *clock = &schedule->world->clock;
    vclock_set(clock, &schedule->next, clock->now_us + prng_below(&schedule->prng, pause_us + 1));
}

static void on_next(struct vtimer *timer)
{
    struct schedule *schedule = CONTAINER_OF(timer, struct schedule, next);
    if (schedule->on_count < schedule->options.down_max)
        begin_one(schedule);
    if (schedule->options.count_max == 0 || schedule_begun(schedule) < schedule->options.count_max)
        set_next(schedule);
}

struct schedule *schedule_open(struct world *world, const struct schedule_options *options)
{
    CHECK(options->down_max < FAULTS_MAX);
    struct schedule *schedule = calloc(1, sizeof(*schedule));
    CHECK(schedule != NULL);
    schedule->world = world;
    schedule->options = *options;
    schedule->next.ring = on_next;
    schedule->is_split = calloc(world->host_count, 1);
    CHECK(schedule->is_split != NULL);
    prng_init(&schedule->prng, prng_next(&world->prng));
    for (size_t i = 0; i < FAULTS_MAX; i++)
        schedule->faults[i] =
            (struct fault){.schedule = schedule, .end.ring = on_end, .flip.ring = on_flip};
    set_next(schedule);
    return schedule;
}

void schedule_extend(struct schedule *schedule, uint32_t count)
{
    uint32_t *max = &schedule->options.count_max;
    if (*max == 0 || schedule_begun(schedule) < *max)
        return;
    *max += count;
    set_next(schedule);
}

void schedule_heal(struct schedule *schedule)
{
    vclock_stop(&schedule->world->clock, &schedule->next);
    for (size_t i = 0; i < FAULTS_MAX; i++) {
        struct fault *fault = &schedule->faults[i];
        if (!fault->is_on || fault->kind == FAULT_HOLD || fault->kind == FAULT_LIMBO)
            continue;
        vclock_stop(&schedule->world->clock, &fault->end);
        fault_end(fault);
    }
}

bool schedule_is_over(const struct schedule *schedule)
{
    return schedule->on_count == 0;
}

void schedule_close(struct schedule *schedule)
{
    vclock_stop(&schedule->world->clock, &schedule->next);
    for (size_t i = 0; i < FAULTS_MAX; i++) {
        vclock_stop(&schedule->world->clock, &schedule->faults[i].end);
        vclock_stop(&schedule->world->clock, &schedule->faults[i].flip);
    }
    free(schedule->is_split);
    free(schedule);
}
