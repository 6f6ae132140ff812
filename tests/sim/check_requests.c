/* What clients see, with and without faults. */
#include "tests/sim/checks.h"
#include "tests/sim/client.h"
#include "tests/sim/direct_client.h"
#include "tests/sim/schedule.h"

#define CLIENTS      8u
#define MACHINES     4u
#define KEYS         32u
#define MOVE_S       9u  /* between changes */
#define SETTLE_S     3u  /* until all have found each other */
#define AFTERWARDS_S 15u /* until a healed cluster works again */

static const struct schedule_options any_fault = {.kinds = FAULTS_PLAIN,
                                                  .pause_ms = 3000,
                                                  .last_ms_min = 50,
                                                  .last_ms_max = 20000,
                                                  .down_max = 3};

/* Clients of a cluster whose nodes have found each other. */
static struct clients *begin_settled(struct trial *trial)
{
    struct world *world = trial_begin(trial, MACHINES);
    world_start_all(world);
    world_run_s(world, SETTLE_S);
    return clients_open(world, CLIENTS, KEYS);
}

static uint64_t failed_so_far(const struct clients *clients)
{
    return clients_total(clients, OUTCOME_NOT_DONE) + clients_total(clients, OUTCOME_UNKNOWN);
}

static void count_answered(struct trial *trial, const struct clients *clients)
{
    trial->counts[0] += clients_total(clients, OUTCOME_DONE);
    trial->counts[1] += clients_total(clients, OUTCOME_MISS);
}

static void count_all(struct trial *trial, const struct clients *clients,
                      const struct schedule *schedule)
{
    count_answered(trial, clients);
    trial->counts[2] += clients_total(clients, OUTCOME_NOT_DONE);
    trial->counts[3] += clients_total(clients, OUTCOME_UNKNOWN);
    trial->counts[4] += schedule_begun(schedule);
}

void check_requests_quiet(struct trial *trial)
{
    struct clients *clients = begin_settled(trial);
    struct world *world = trial->world;
    clients->is_strict = true;
    world_run_s(world, trial->seconds);
    uint64_t failed = failed_so_far(clients);
    if (failed > 0)
        world_fail(world, "%llu requests were not carried out", (unsigned long long)failed);
    count_answered(trial, clients);
    clients_close(clients);
}

void check_requests_faults(struct trial *trial)
{
    struct clients *clients = begin_settled(trial);
    struct world *world = trial->world;
    struct schedule *schedule = schedule_open(world, &any_fault);
    world_run_s(world, trial->seconds);
    schedule_heal(schedule);
    world_run_s(world, AFTERWARDS_S);
    uint64_t before = failed_so_far(clients);
    world_run_s(world, AFTERWARDS_S);
    uint64_t failed = failed_so_far(clients) - before;
    if (failed > 0)
        world_fail(world, "%llu requests fail although all is healed", (unsigned long long)failed);
    count_all(trial, clients, schedule);
    schedule_close(schedule);
    clients_close(clients);
}

void check_requests_once(struct trial *trial)
{
    struct clients *clients = begin_settled(trial);
    struct world *world = trial->world;
    clients->is_strict = true;
    struct schedule *schedule = schedule_open(world, &schedule_harmless);
    world_run_s(world, trial->seconds);
    count_all(trial, clients, schedule);
    schedule_close(schedule);
    clients_close(clients);
}

/* Nodes come and go while nobody asks for anything: what is moved may be lost (it is a miss), but
 * nothing that was overwritten meanwhile comes back. */
void check_requests_moved(struct trial *trial)
{
    struct clients *clients = begin_settled(trial);
    struct world *world = trial->world;
    clients->is_ordered = true;
    for (uint32_t passed_s = 0; passed_s < trial->seconds; passed_s += MOVE_S) {
        world_run_s(world, 2);
        clients_pause(clients);
        world_run_s(world, 2);
        uint32_t node = (uint32_t)prng_below(&world->prng, world->host_count);
        if (world->hosts[node].state == HOST_DOWN)
            world_start(world, node);
        else if (prng_below(&world->prng, 2) == 0)
            world_leave(world, node);
        else
            world_kill(world, node);
        world_run_s(world, MOVE_S - 4);
        clients_resume(clients);
        trial->counts[2]++;
    }
    count_answered(trial, clients);
    clients_close(clients);
}

static uint64_t run_once(struct trial *trial, uint64_t *faults)
{
    struct world *world = trial_begin(trial, MACHINES);
    world_start_all(world);
    struct clients *clients = clients_open(world, CLIENTS, KEYS);
    struct direct_clients *direct = direct_clients_open(world, MACHINES, 1u << MANNER_PROMPT);
    struct schedule *schedule = schedule_open(world, &any_fault);
    world_run_s(world, trial->seconds);
    uint64_t digest = world_digest(world);
    direct_clients_close(direct);
    *faults += schedule_begun(schedule);
    schedule_close(schedule);
    clients_close(clients);
    return digest;
}

void check_same_trace(struct trial *trial)
{
    uint64_t first = run_once(trial, &trial->counts[0]);
    world_close(trial->world);
    uint64_t second = run_once(trial, &trial->counts[0]);
    if (first != second)
        world_fail(trial->world, "the digests of two runs are %016llx and %016llx",
                   (unsigned long long)first, (unsigned long long)second);
    trial->seed++;
    struct world *failed = trial->world;
    uint64_t other = failed->has_failed ? 0 : run_once(trial, &trial->counts[0]);
    if (!failed->has_failed)
        world_close(failed);
    trial->seed--;
    if (other == first)
        world_fail(trial->world, "another seed has the same digest %016llx",
                   (unsigned long long)first);
}
