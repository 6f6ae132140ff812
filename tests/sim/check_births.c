/* Births: however nodes come, fail and are restarted while a cluster is founded, however they then
 * leave, stop and fail, and however all are restarted at once, there is one cluster, one view of
 * each number, and each follows the one before by the rules (ghost.h, votes.h, succession.h).
 *
 * A line of peers.txt may be added meanwhile: nodes that are restarted have the longer list, one
 * old line at most before all the others. One node may have no state file. */
#include "common/check.h"
#include "server/core/state.h"
#include "server/core/views.h"
#include "tests/sim/checks.h"
#include "tests/sim/ghost.h"
#include "tests/sim/quiet.h"
#include "tests/sim/schedule.h"

#include <inttypes.h>

#define NODES_MIN  3u
#define NODES_MAX  6u
#define STEP_MS    50u
#define STARTED_IN 20u /* steps: a node that has not been started is in one of so many */
#define BEGUN_MS   5000u
#define STORM_S    8u
#define LATER_S    20u
#define FAULTS     40u
#define OLD_LINES  4u     /* with so many one node with a longer list is no majority of it */
#define QUIET_MS   60000u /* until all is well again */

#define KINDS                                                                                      \
    (1u << FAULT_KILL | 1u << FAULT_POWER | 1u << FAULT_STOP | 1u << FAULT_SLOW |                  \
     1u << FAULT_ISOLATE | 1u << FAULT_MUTE | 1u << FAULT_DEAF | 1u << FAULT_ONE_WAY |             \
     1u << FAULT_LOSSY | 1u << FAULT_BREAK | 1u << FAULT_HOLD | 1u << FAULT_SPLIT |                \
     1u << FAULT_QUICK | 1u << FAULT_FLAP | 1u << FAULT_DISK | 1u << FAULT_LINK)

enum { COUNT_FAULTS, COUNT_FOUNDED, COUNT_LISTS, COUNT_RESTARTS, COUNT_SECONDS };

struct birth {
    struct trial *trial;
    struct world *world;
    struct prng prng;
    bool has_new_line;   /* the last node stands in the longer list only */
    uint32_t forerunner; /* has the longer list before the others */
    uint64_t cluster_id;
};

static uint64_t draw(struct birth *birth, uint64_t low, uint64_t high)
{
    return low + prng_below(&birth->prng, high - low + 1);
}

static void begin(struct birth *birth)
{
    struct trial *trial = birth->trial;
    uint32_t drawn = trial->node_count;
    prng_init(&birth->prng, trial->seed ^ 0xb127b127);
    if (drawn == 0)
        trial->node_count = (uint32_t)draw(birth, NODES_MIN, NODES_MAX);
    birth->has_new_line = trial->node_count >= OLD_LINES && draw(birth, 0, 1) == 0;
    trial->seed_count = trial->node_count - birth->has_new_line;
    birth->world = trial_begin(trial, 1);
    birth->forerunner = (uint32_t)draw(birth, 0, trial->seed_count - 1);
    trial->node_count = drawn;
    struct world *world = birth->world;
    world_delay(world, (uint32_t)draw(birth, 100, 100000), (uint32_t)draw(birth, 100, 100000));
    for (uint32_t i = 0; i < world->host_count; i++)
        world->hosts[i].is_durable = draw(birth, 0, 2) == 0;
    struct host *odd = &world->hosts[draw(birth, 0, world->host_count - 1)];
    odd->has_no_file = draw(birth, 0, 3) == 0;
    odd->is_durable &= !odd->has_no_file;
    world->host_options.views.on_loss = VIEWS_ON_LOSS_RECOVER;
}

/* --- peers.txt -------------------------------------------------------------------------------- */

static bool has_list(const struct host *host, uint32_t lines)
{
    return host->peers.member_count == lines;
}

/* The peers.txt of a node that is down is the longer one. */
static void add_line(struct birth *birth, struct host *host)
{
    struct world *world = birth->world;
    struct member line = {.weight = 1, .up_since = 1};
    CHECK(host->state == HOST_DOWN);
    if (has_list(host, world->host_count))
        return;
    snprintf(line.name, sizeof(line.name), "%s", world->hosts[world->host_count - 1].name);
    view_add(&host->peers, &line);
    trace_say(&world->trace, "line-added", "node=%s", host->name);
    birth->trial->counts[COUNT_LISTS]++;
}

static bool has_view(const struct host *host)
{
    return host->state != HOST_DOWN && views_current(node_views(host->node)) != NULL;
}

/* Whether it has accepted a first view, and has none. */
static bool has_accepted(const struct host *host)
{
    struct state state;
    const char *why;
    if (buf_len(&host->state_text) == 0)
        return false;
    CHECK(state_parse(buf_span(&host->state_text), &state, &why) == ERR_OK);
    bool answer = state.view_count == 0 && state.acceptor.accepted.round > 0;
    state_close(&state);
    return answer;
}

/* All nodes crash as soon as one has accepted a first view that nobody else may have; that one, and
 * the one of the new line, come back with the longer list, and the others one by one. */
static void cut_short(struct birth *birth)
{
    struct world *world = birth->world;
    struct host *forerunner = &world->hosts[birth->forerunner];
    world_start_all(world);
    for (uint32_t ms = 0; ms < BEGUN_MS && !has_accepted(forerunner) && !world->has_failed; ms++)
        world_run_ms(world, 1);
    for (uint32_t i = 0; i < world->host_count; i++)
        world_kill(world, i);
    add_line(birth, forerunner);
    add_line(birth, &world->hosts[world->host_count - 1]);
    for (uint32_t i = 0; i < world->host_count; i++) {
        world_start(world, (birth->forerunner + i) % world->host_count);
        world_run_ms(world, draw(birth, 0, 1500));
    }
}

/* --- the storm -------------------------------------------------------------------------------- */

static void step(struct birth *birth)
{
    struct world *world = birth->world;
    for (uint32_t i = 0; i < world->host_count; i++) {
        struct host *host = &world->hosts[i];
        if (birth->cluster_id == 0 && birth->has_new_line && host->state == HOST_DOWN &&
            (i == birth->forerunner || i + 1 == world->host_count))
            add_line(birth, host);
        if (host->starts == 0 && draw(birth, 1, STARTED_IN) == 1)
            world_start(world, i);
    }
    world_run_ms(world, STEP_MS);
}

/* last_ms: how long a fault lasts, at most. */
static void storm(struct birth *birth, uint32_t kinds, uint32_t seconds, uint32_t last_ms)
{
    const struct schedule_options options = {.kinds = kinds,
                                             .pause_ms = (uint32_t)draw(birth, 50, 400),
                                             .last_ms_min = 5,
                                             .last_ms_max = (uint32_t)draw(birth, 100, last_ms),
                                             .down_max =
                                                 (uint32_t)draw(birth, 1, birth->world->host_count),
                                             .count_max = (uint32_t)draw(birth, 0, FAULTS)};
    struct schedule *schedule = schedule_open(birth->world, &options);
    for (uint32_t ms = 0; ms < seconds * 1000 && !birth->world->has_failed; ms += STEP_MS)
        step(birth);
    schedule_heal(schedule);
    while (!schedule_is_over(schedule) && !birth->world->has_failed)
        step(birth);
    birth->trial->counts[COUNT_FAULTS] += schedule_begun(schedule);
    schedule_close(schedule);
}

/* The operator sees that lists differ, and makes them one, the old one; and that a node has no
 * state file. */
static void set_right(struct birth *birth)
{
    struct world *world = birth->world;
    for (uint32_t i = 0; i < world->host_count; i++) {
        struct host *host = &world->hosts[i];
        bool is_odd = host->has_no_file || !has_list(host, birth->trial->seed_count);
        if (host->state != HOST_DOWN && is_odd)
            world_kill(world, i);
        host->has_no_file = false;
        if (!has_list(host, birth->trial->seed_count))
            view_take_out(&host->peers,
                          view_find(&host->peers,
                                    span_of_string(world->hosts[world->host_count - 1].name), 0));
    }
    world_start_down(world);
}

/* --- restarts --------------------------------------------------------------------------------- */

/* All are killed, one soon after another, and started again in another order. */
static void restart_all(struct birth *birth)
{
    struct world *world = birth->world;
    uint32_t first = (uint32_t)draw(birth, 0, world->host_count - 1);
    for (uint32_t i = 0; i < world->host_count; i++) {
        uint32_t node = (first + i) % world->host_count;
        if (world->hosts[node].state != HOST_DOWN)
            world_kill(world, node);
        if (draw(birth, 0, 2) > 0)
            world_run_ms(world, draw(birth, 0, 200));
    }
    first = (uint32_t)draw(birth, 0, world->host_count - 1);
    for (uint32_t i = 0; i < world->host_count; i++) {
        world_run_ms(world, draw(birth, 0, 1000));
        world_start(world, (first + i) % world->host_count);
    }
    birth->trial->counts[COUNT_RESTARTS]++;
}

static void check_cluster(struct birth *birth)
{
    struct world *world = birth->world;
    for (uint32_t i = 0; i < world->host_count && !world->has_failed; i++) {
        if (!has_view(&world->hosts[i]))
            continue;
        uint64_t id = views_current(node_views(world->hosts[i].node))->cluster_id;
        birth->trial->counts[COUNT_FOUNDED] += birth->cluster_id == 0;
        if (birth->cluster_id != 0 && id != birth->cluster_id)
            world_fail(world, "n%" PRIu32 " is in another cluster than others are, or were", i + 1);
        birth->cluster_id = id;
    }
}

/* Who has been outdone by an earlier process asks for another start. */
static void await_quiet(struct birth *birth, const char *what)
{
    struct world *world = birth->world;
    char why[QUIET_WHY_BYTES];
    uint64_t took_ms = quiet_wait(world, QUIET_MS, why);
    for (uint32_t i = 0; took_ms > QUIET_MS && i < world->host_count; i++)
        if (host_has_ended_outdone(&world->hosts[i])) {
            world_start(world, i);
            took_ms = quiet_wait(world, QUIET_MS, why);
        }
    if (took_ms > QUIET_MS)
        world_fail(world, "not well %u s after %s: %s", QUIET_MS / 1000, what, why);
    birth->trial->counts[COUNT_SECONDS] += took_ms / 1000 + 1;
    check_cluster(birth);
}

void check_births(struct trial *trial)
{
    const uint32_t slot = 0;
    struct birth birth = {.trial = trial};
    begin(&birth);
    struct ghost *ghost = ghost_open(birth.world, &slot, 1);
    if (birth.has_new_line && draw(&birth, 0, 2) == 0)
        cut_short(&birth);
    storm(&birth, KINDS, STORM_S, 2000);
    check_cluster(&birth);
    set_right(&birth);
    await_quiet(&birth, "a birth");
    storm(&birth, KINDS | 1u << FAULT_LEAVE, LATER_S, 12000);
    world_start_down(birth.world);
    await_quiet(&birth, "changes");
    restart_all(&birth);
    await_quiet(&birth, "all were restarted");
    ghost_close(ghost);
}
