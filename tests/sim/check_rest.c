/* What a cluster at rest costs a node. */
#include "common/check.h"
#include "tests/sim/checks.h"
#include "tests/sim/quiet.h"
#include "tests/sim/watch.h"

#include <stdlib.h>
#include <string.h>

#define FORMED_MS 60000u /* until a view has all, and all their copies */
#define SETTLE_S  20u    /* news of the start is spent by then */
/* A second and node: what overload allows in its worst minute, too. */
#define BYTES_MAX 10000u

/* Bytes that a node keeps for knowing the others: their accounts and their places in links, without
 * what connections take outside of the core. */
static uint64_t bytes_known(struct world *world, uint32_t node)
{
    const struct gossip *gossip = watch_gossip(world, node);
    const struct links *links = gossip->links;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < links->peers_end; i++)
        bytes += links->peers[i] ? sizeof(struct peer) + strlen(links->peers[i]->name) + 1 : 0;
    for (uint32_t i = 0; i < gossip->members.count; i++) {
        const struct account *account = gossip->members.all[i];
        bytes += sizeof(*account) + strlen(account->name) + 1;
        bytes += account->suspicion ? sizeof(*account->suspicion) : 0;
    }
    return bytes;
}

/* What all nodes still have to tell; has_most: the number of the one that has most. */
static uint32_t to_tell(struct world *world, uint32_t *has_most)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < world->host_count; i++) {
        uint32_t count = watch_gossip(world, i)->rumors.count;
        if (count > most) {
            most = count;
            *has_most = i + 1;
        }
    }
    return most;
}

void check_rest(struct trial *trial)
{
    struct world *world = trial_begin(trial, 0);
    watch_form(world, WATCH_FORM_MS * (world->host_count > 100 ? 3 : 1));
    (void)quiet_await(world, FORMED_MS, "forming");
    world_run_s(world, SETTLE_S);
    /* Of N nodes that have come each tells 2 ceil(log2 N) times, 6 a message, some 4 messages a
     * second. */
    uint32_t number = 0;
    for (uint32_t s = 0; s < world->host_count && to_tell(world, &number) > 0; s++)
        world_run_s(world, 1);
    struct watch *watch = watch_open(world);
    watch->forbids_suspicions = true;
    uint64_t *before = calloc(world->host_count, sizeof(*before));
    CHECK(before != NULL);
    uint64_t sent = 0, known = 0;
    for (uint32_t i = 0; i < world->host_count; i++)
        before[i] = world->net.machines[i].sent_bytes;
    world_run_s(world, trial->seconds);
    for (uint32_t i = 0; i < world->host_count && !world->has_failed; i++) {
        uint64_t rate = (world->net.machines[i].sent_bytes - before[i]) / trial->seconds;
        if (rate > BYTES_MAX)
            world_fail(world, "n%u sends %llu bytes a second", i + 1, (unsigned long long)rate);
        sent += rate;
        known += bytes_known(world, i);
    }
    uint32_t most = to_tell(world, &number);
    if (most > 0 && !world->has_failed)
        world_fail(world, "n%u has %u rumors to tell, and there is no news", number, most);
    trial->counts[0] = sent / world->host_count;
    trial->counts[1] = known / world->host_count;
    free(before);
    watch_close(watch);
}
