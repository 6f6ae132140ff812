#include "server/core/serve.h"

#include "common/check.h"
#include "common/mutant.h"
#include "server/core/gossip.h"
#include "server/core/serve.h"
#include "server/core/state.h"
#include "tests/sim/host_conn.h"
#include "tests/sim/names.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

#define TURNS_A_CHECK 32u   /* turns after which a node's structures are walked */
#define RESTLESS_MAX  50u   /* turns that may come to nothing, one after the other */
#define VIEWS_A_S_MAX 60u   /* whatever happens: they do not follow each other without end */
#define TIMER_LATE_US 1000u /* timers ring so much too late at most: epoll counts milliseconds */
#define UPTIME_US     (1ull * US_PER_S) /* what a monotonic clock says when the machine comes up */
#define UPTIME_US_MAX (10ull * 86400 * US_PER_S) /* some have been up for long when it begins */
#define SHORT_CLOCK   0xffffffu                  /* a planted bug's */
#define END_US        (2ull * US_PER_S) /* a node that ends waits so long for its clients */

static void on_turn(struct vtimer *timer);
static void on_timer(struct vtimer *timer);
static void on_acceptable(void *arg);

void host_init(struct host *host, struct world *world, uint32_t number, struct view *peers)
{
    *host = (struct host){
        .world = world, .number = number, .slow = 1, .mono_us = UPTIME_US, .peers = *peers};
    *peers = (struct view){0};
    name_format(number, host->name);
    prng_init(&host->prng, prng_next(&world->prng));
    host->mono_us += prng_below(&host->prng, UPTIME_US_MAX);
    host->memory_bytes = HOST_MEMORY_BYTES;
    host->turn.ring = on_turn;
    host->timer.ring = on_timer;
    list_init(&host->ready);
    list_init(&host->dirty);
    list_init(&host->ended);
}

/* Its monotonic clock now. */
static uint64_t own_us(const struct host *host)
{
    int64_t passed_us = (int64_t)(host->world->clock.now_us - host->since_us);
    return host->mono_us + (uint64_t)(passed_us + passed_us / 1000 * host->drift_ppm / 1000);
}

struct moment host_now(const struct host *host)
{
    uint64_t jumped_ms = MUTANT(wall_clock) ? (uint64_t)host->wall_ms : 0;
    uint64_t kept = MUTANT(short_clock) ? SHORT_CLOCK : UINT64_MAX;
    return (struct moment){
        .mono_ms = (own_us(host) / US_PER_MS + jumped_ms) & kept,
        .unix_ms = WORLD_UNIX_MS + (int64_t)(host->world->clock.now_us / US_PER_MS) + host->wall_ms,
    };
}

void host_drift(struct host *host, int64_t drift_ppm)
{
    host->mono_us = own_us(host);
    host->since_us = host->world->clock.now_us;
    host->drift_ppm = drift_ppm;
}

/* When its monotonic clock will say so. */
static uint64_t when_us(const struct host *host, uint64_t mono_ms)
{
    uint64_t now_us = host->world->clock.now_us, now_ms = host_now(host).mono_ms;
    if (mono_ms <= now_ms)
        return now_us;
    uint64_t wait_ms = mono_ms - now_ms;
    if (wait_ms > 60000)
        wait_ms = 60000;
    int64_t wait_us = (int64_t)wait_ms * US_PER_MS;
    return now_us + (uint64_t)(wait_us - wait_us / 1000 * host->drift_ppm / 1000);
}

static void log_sink(void *arg, const char *line, size_t len)
{
    struct host *host = arg;
    trace_log_line(&host->world->trace, host->number, span_of(line, len));
}

uint64_t host_reads_us(const struct host *host)
{
    uint64_t now_us = host->world->clock.now_us;
    if (vtimer_is_set(&host->turn))
        return vtimer_at(&host->turn);
    return host->busy_until_us > now_us ? host->busy_until_us : now_us;
}

void host_wake(struct host *host)
{
    if (host->state == HOST_UP && !vtimer_is_set(&host->turn))
        vclock_set(&host->world->clock, &host->turn, host_reads_us(host));
}

static void on_acceptable(void *arg)
{
    struct host *host = arg;
    host->has_waiting = true;
    host_wake(host);
}

static void on_timer(struct vtimer *timer)
{
    struct host *host = CONTAINER_OF(timer, struct host, timer);
    host->is_due = true;
    host_wake(host);
}

/* As the shell does: a timer that rings early enough is left alone. */
static void set_timer(struct host *host)
{
    uint64_t deadline_ms = node_deadline(host->node);
    if (deadline_ms == UINT64_MAX)
        return;
    uint64_t at_us = when_us(host, deadline_ms) + prng_below(&host->prng, TIMER_LATE_US);
    if (vtimer_is_set(&host->timer) && vtimer_at(&host->timer) <= at_us)
        return;
    vclock_set(&host->world->clock, &host->timer, at_us);
}

static void read_all(struct host *host)
{
    struct list due;
    struct list *link;
    list_init(&due);
    while ((link = list_first(&host->ready))) {
        list_remove(link);
        list_append(&due, link);
    }
    while ((link = list_first(&due))) {
        list_remove(link);
        host_conn_read(CONTAINER_OF(link, struct host_conn, in_ready));
    }
}

static void settle(struct host *host)
{
    struct list *link;
    node_finish(host->node, host_now(host));
    while ((link = list_first(&host->dirty))) {
        list_remove(link);
        host_conn_settle(CONTAINER_OF(link, struct host_conn, in_dirty));
    }
    node_sent(host->node);
    while ((link = list_first(&host->ended)))
        host_conn_free(CONTAINER_OF(link, struct host_conn, in_dirty));
}

static void tick(struct host *host)
{
    host->is_due = false;
    node_tick(host->node);
}

/* The node wants to end: nobody new, and the clients that are there get what they are owed. */
static bool end_on(struct host *host)
{
    uint64_t now_us = host->world->clock.now_us;
    uint32_t accepted = 0;
    if (host->end_by_us == 0) {
        host->end_by_us = now_us + END_US;
        net_unlisten(&host->listener);
    }
    for (uint32_t i = 0; i < host->conns_capacity; i++) {
        struct host_conn *conn = host->conns[i];
        if (!conn || conn->is_dialled)
            continue;
        accepted++;
        host->env.close(host, conn->id, true);
    }
    return accepted == 0 || now_us >= host->end_by_us;
}

/* What holds between turns, module by module. */
static void check_all(const struct host *host)
{
    gossip_check(node_gossip(host->node));
    views_check(node_views(host->node));
    primary_check(node_primary(host->node));
    serve_check(node_serve_of(host->node));
}

/* A node that is called because its deadline has come, reads nothing, and has a deadline that has
 * come, again and again, would keep a processor busy with that. Turns between that are taken for
 * other reasons, before the timer rings, say nothing. */
static void check_rest(struct host *host, bool was_due)
{
    if (host->messages > 0 || node_deadline(host->node) > host_now(host).mono_ms)
        host->restless_turns = 0;
    else if (was_due)
        host->restless_turns++;
    if (host->restless_turns == RESTLESS_MAX)
        world_fail(host->world, "node %s takes turn after turn for nothing", host->name);
}

static void check_pace(struct host *host)
{
    uint64_t now_us = host->world->clock.now_us;
    uint32_t epoch = views_epoch(node_views(host->node));
    if (epoch == host->epoch)
        return;
    host->epoch = epoch;
    if (now_us >= host->views_us + US_PER_S) {
        host->views_us = now_us;
        host->views = 0;
    }
    if (++host->views == VIEWS_A_S_MAX)
        world_fail(host->world, "node %s has adopted %u views within a second", host->name,
                   host->views);
}

static void on_turn(struct vtimer *timer)
{
    struct host *host = CONTAINER_OF(timer, struct host, turn);
    struct vclock *clock = &host->world->clock;
    bool was_due = host->is_due;
    host->messages = 0;
    node_turn(host->node, host_now(host));
    bool ticks_first = host->is_due && prng_below(&host->prng, 2) == 0;
    if (host->is_to_leave)
        node_leave(host->node);
    host->is_to_leave = false;
    if (ticks_first)
        tick(host);
    if (host->has_waiting && !host->is_ending)
        host_conn_accept(host);
    host->has_waiting = false;
    read_all(host);
    if (host->is_due && !ticks_first)
        tick(host);
    settle(host);
    if (++host->turns % TURNS_A_CHECK == 0)
        check_all(host);
    check_rest(host, was_due);
    check_pace(host);
    if (host->world->after_turn)
        host->world->after_turn(host->world->watcher, host);
    host->busy_until_us =
        clock->now_us + (uint64_t)(HOST_TURN_US + HOST_MESSAGE_US * host->messages) * host->slow;
    if (host->is_ending && end_on(host)) {
        trace_say(&host->world->trace, "exit", "node=%s why=%s", host->name,
                  host->end == NODE_END_DUPLICATE ? "duplicate" : "left");
        host_kill(host);
        return;
    }
    if (!list_is_empty(&host->ready) || !list_is_empty(&host->dirty) || host->is_ending)
        host_wake(host);
    set_timer(host);
}

/* A node of another cluster has a state directory of its own: what it finds there is not its. */
static void drop_other_state(struct host *host, const char *cluster)
{
    struct state state;
    const char *why;
    if (buf_len(&host->state_text) == 0)
        return;
    CHECK(state_parse(buf_span(&host->state_text), &state, &why) == ERR_OK);
    if (strcmp(state.cluster, cluster) != 0)
        buf_close(&host->state_text);
    state_close(&state);
}

static void note_boot(struct host *host, uint64_t boot)
{
    if (boot > host->boot_max)
        host->boot_max = boot;
}

void host_start(struct host *host, const struct host_options *options)
{
    struct world *world = host->world;
    CHECK(host->state == HOST_DOWN);
    CHECK(world->net.machines[host->number].is_on);
    host->options = *options;
    host->budget.limit_bytes = host->memory_bytes;
    host->log = (struct log){.level = world->options.is_debugged ? LOG_DEBUG : LOG_INFO,
                             .sink = log_sink,
                             .arg = host,
                             .is_complete = true}; /* the checks read the lines */
    snprintf(host->log.node, sizeof(host->log.node), "n%u", host->number + 1);
    host_conn_env(host);
    const struct store_options store_options = {
        .budget = &host->budget, .evict = options->evicts, .seed = prng_next(&host->prng)};
    uint64_t generation = prng_next(&host->prng);
    if (!host->store) {
        host->store = store_open(&store_options);
        if (!MUTANT(generation_reused) || host->generation == 0)
            host->generation = generation;
    }
    drop_other_state(host, options->cluster);
    host->boot = state_next_boot(host->boot, host_now(host).unix_ms);
    host->is_outdone = host->boot <= host->boot_max;
    note_boot(host, host->boot);
    const struct node_options node_options = {.name = host->name,
                                              .cluster = options->cluster,
                                              .gossip = options->gossip,
                                              .generation = host->generation,
                                              .boot = host->boot,
                                              .weight = options->weight,
                                              .seeds = &host->peers,
                                              .timers = options->timers,
                                              .value_bytes_max = HOST_VALUE_BYTES_MAX,
                                              .op_timeout_ms = options->op_timeout_ms,
                                              .sync_rate_bytes_s = options->sync_rate_bytes_s,
                                              .direct_answers = options->direct_answers,
                                              .founders = &host->peers,
                                              .state = buf_span(&host->state_text),
                                              .has_state_file = !host->has_no_file,
                                              .views = options->views};
    host->node = node_open(&node_options, host->store, &host->env, &host->log);
    net_listen(&world->net, &host->listener, host->number, NAMES_PORT, on_acceptable, host);
    host->state = HOST_UP;
    host->starts++;
    host->is_due = host->is_ending = host->has_waiting = host->is_to_leave = false;
    host->end_by_us = 0;
    host_wake(host);
}

void host_leave(struct host *host)
{
    CHECK(host->state != HOST_DOWN);
    host->is_to_leave = true;
    host->leave_us = host->world->clock.now_us;
    host_wake(host);
}

void host_forget(struct host *host)
{
    host->boot = 0;
    if (host->world->state_lost)
        host->world->state_lost(host->world->watcher, host);
    buf_close(&host->state_text);
}

/* The process is gone, and its connections with it. */
static void drop_process(struct host *host)
{
    struct vclock *clock = &host->world->clock;
    vclock_stop(clock, &host->turn);
    vclock_stop(clock, &host->timer);
    for (uint32_t i = 0; i < host->conns_capacity; i++)
        if (host->conns[i])
            host_conn_free(host->conns[i]);
    free(host->conns);
    free(host->generations);
    host->conns = NULL;
    host->generations = NULL;
    host->conns_capacity = 0;
    host->disturbed_us = clock->now_us;
    note_boot(host, node_boot(host->node)); /* it may have taken a higher one */
    node_close(host->node);
    host->node = NULL;
    host->state = HOST_DOWN;
    if (!host->is_durable)
        host_wipe(host);
    if (host->has_no_file)
        host_forget(host);
}

bool host_has_ended_outdone(const struct host *host)
{
    return host->state == HOST_DOWN && host->is_ending && host->end == NODE_END_DUPLICATE &&
           host->is_outdone;
}

void host_wipe(struct host *host)
{
    CHECK(host->state == HOST_DOWN);
    store_close(host->store);
    host->store = NULL;
    CHECK(host->budget.used_bytes == 0);
    if (host->world->data_lost)
        host->world->data_lost(host->world->watcher, host);
}

void host_kill(struct host *host)
{
    CHECK(host->state != HOST_DOWN);
    if (list_is_linked(&host->listener.in_machine))
        net_unlisten(&host->listener);
    drop_process(host);
}

void host_power_off(struct host *host)
{
    for (uint32_t i = 0; i < host->conns_capacity; i++)
        if (host->conns[i])
            host->conns[i]->sock = NULL;
    net_power_off(&host->world->net, host->number);
    if (host->state != HOST_DOWN)
        drop_process(host);
}

void host_power_on(struct host *host)
{
    net_power_on(&host->world->net, host->number);
    host->mono_us = UPTIME_US;
    host->since_us = host->world->clock.now_us;
    host->busy_until_us = 0;
}

void host_stop(struct host *host)
{
    CHECK(host->state == HOST_UP);
    host->state = HOST_STOPPED;
    host->disturbed_us = host->world->clock.now_us;
    vclock_stop(&host->world->clock, &host->turn);
}

void host_continue(struct host *host)
{
    CHECK(host->state == HOST_STOPPED);
    host->state = HOST_UP;
    host->disturbed_us = host->world->clock.now_us;
    host_wake(host);
}

void host_close(struct host *host)
{
    if (host->state != HOST_DOWN)
        host_kill(host);
    host_wipe(host);
    view_close(&host->peers);
    buf_close(&host->state_text);
}
