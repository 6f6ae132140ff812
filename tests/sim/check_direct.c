/* Answers that go from the node that leads a key to the client directly. */
#include "tests/sim/checks.h"
#include "tests/sim/direct_client.h"
#include "tests/sim/schedule.h"

#define CLIENTS      6u
#define SETTLE_S     3u   /* until all have found each other */
#define AFTERWARDS_S 15u  /* until a healed cluster works again */
#define STEP_MS      100u /* paths to clients are looked at so often */
#define PATHS_MAX    4u   /* of them that are bad at a time */
#define PATH_OF      15u  /* one begins in one step of so many */
#define LAST_MS_MAX  4000u
#define PASSED_MS    5000u /* until what it has kept under way has come, or is given up */

#define ALL_MANNERS  ((1u << MANNERS) - 1)
#define KIND_MANNERS (ALL_MANNERS & ~(1u << MANNER_HASTY))
#define UNREACHABLE  (1u << MANNER_MUTE | 1u << MANNER_WRONG | 1u << MANNER_ABSENT)

/* Which nodes answer directly, and whether clients let them. */
enum variant { VARIANT_ALL, VARIANT_SOME, VARIANT_NONE, VARIANT_UNREACHABLE, VARIANTS };

static void add_counts(struct trial *trial, const struct direct_clients *clients)
{
    trial->counts[0] += clients->direct;
    trial->counts[1] += clients->by_node;
    trial->counts[2] += clients->dials;
    trial->counts[3] += clients->silent;
}

/* Nobody is disturbed: every request is carried out and has its one answer, whatever a client does
 * when a node connects to it. */
void check_direct_quiet(struct trial *trial)
{
    struct world *world = trial_begin(trial, CLIENTS);
    enum variant variant = (enum variant)prng_below(&world->prng, VARIANTS);
    for (uint32_t i = 0; i < world->host_count; i++) {
        world->host_options.direct_answers =
            variant != VARIANT_NONE && (variant != VARIANT_SOME || i % 2 == 0);
        world_start(world, i);
    }
    world_run_s(world, SETTLE_S);
    struct direct_clients *clients = direct_clients_open(
        world, CLIENTS, variant == VARIANT_UNREACHABLE ? UNREACHABLE : KIND_MANNERS);
    clients->is_whole = true;
    clients->is_off = variant == VARIANT_NONE;
    world_run_s(world, trial->seconds);
    bool is_direct = variant == VARIANT_ALL || variant == VARIANT_SOME;
    if (is_direct != (clients->direct > 0))
        world_fail(world, "%llu answers have come directly", (unsigned long long)clients->direct);
    if (clients->by_node == 0)
        world_fail(world, "no answer has come through an entry node");
    if (clients->lost > 0)
        world_fail(world, "%llu requests were lost", (unsigned long long)clients->lost);
    add_counts(trial, clients);
    direct_clients_close(clients);
}

/* A way between a node and a client that is cut or loses much, one way or both. */
struct bad_path {
    bool is_on;
    bool is_cut;
    uint32_t client;
    uint32_t node;
    uint32_t ways; /* bits: to the client, from it */
    uint64_t until_us;
};

static void path_set(struct world *world, const struct bad_path *path, bool is_bad)
{
    uint32_t ends[] = {path->node, world_client_machine(world, path->client)};
    for (uint32_t way = 0; way < 2; way++) {
        if (!(path->ways >> way & 1))
            continue;
        if (path->is_cut)
            world_cut(world, ends[way], ends[1 - way], is_bad);
        else
            net_path(&world->net, ends[way], ends[1 - way])->loss_ppm = is_bad ? NET_PPM / 4 : 0;
    }
    trace_say(&world->trace, is_bad ? "path-bad" : "path-good", "client=%u node=%s cut=%d ways=%u",
              path->client, world->hosts[path->node].name, path->is_cut, path->ways);
}

/* Never between a client and its entry node: there it would see a plain connection fail. */
static void path_begin(struct world *world, struct direct_clients *clients, struct bad_path *path)
{
    path->client = (uint32_t)prng_below(&world->prng, CLIENTS);
    path->node = (uint32_t)prng_below(&world->prng, world->host_count);
    path->is_cut = prng_below(&world->prng, 2) == 0;
    path->ways = 1 + (uint32_t)prng_below(&world->prng, 3);
    path->until_us =
        world->clock.now_us + (1 + prng_below(&world->prng, LAST_MS_MAX)) * (uint64_t)US_PER_MS;
    if (path->node == direct_client_entry(clients, path->client))
        return;
    path->is_on = true;
    path_set(world, path, true);
}

/* Time passes; paths become bad and good again. Returns how many became bad. */
static uint64_t run_with_bad_paths(struct world *world, struct direct_clients *clients,
                                   uint32_t seconds)
{
    struct bad_path paths[PATHS_MAX] = {0};
    uint64_t begun = 0;
    for (uint64_t passed_ms = 0; passed_ms < seconds * 1000ull; passed_ms += STEP_MS) {
        for (uint32_t i = 0; i < PATHS_MAX; i++) {
            struct bad_path *path = &paths[i];
            uint64_t now_us = world->clock.now_us;
            if (path->is_on && now_us >= path->until_us) {
                path_set(world, path, false);
                path->is_on = false;
            } else if (!path->is_on && now_us >= path->until_us + PASSED_MS * US_PER_MS &&
                       prng_below(&world->prng, PATH_OF) == 0) {
                path_begin(world, clients, path);
                begun += path->is_on;
            }
            if (path->until_us > 0 && now_us < path->until_us + PASSED_MS * US_PER_MS)
                direct_client_disturb(clients, path->client);
        }
        world_run_ms(world, STEP_MS);
    }
    for (uint32_t i = 0; i < PATHS_MAX; i++)
        if (paths[i].is_on)
            path_set(world, &paths[i], false);
    return begun;
}

static const struct schedule_options any_fault = {.kinds = FAULTS_PLAIN,
                                                  .pause_ms = 3000,
                                                  .last_ms_min = 50,
                                                  .last_ms_max = 20000,
                                                  .down_max = 2};

/* Nodes, the ways between them, and those between them and clients fail; then all is healed, and
 * everything works again. */
void check_direct(struct trial *trial)
{
    struct world *world = trial_begin(trial, CLIENTS);
    world_start_all(world);
    world_run_s(world, SETTLE_S);
    struct direct_clients *clients = direct_clients_open(world, CLIENTS, ALL_MANNERS);
    struct schedule *schedule = schedule_open(world, &any_fault);
    trial->counts[6] += run_with_bad_paths(world, clients, trial->seconds);
    schedule_heal(schedule);
    world_run_s(world, AFTERWARDS_S);
    clients->is_whole = true;
    world_run_s(world, AFTERWARDS_S);
    add_counts(trial, clients);
    trial->counts[4] += clients->errors;
    trial->counts[5] += clients->lost;
    trial->counts[7] += schedule_begun(schedule);
    schedule_close(schedule);
    direct_clients_close(clients);
}
