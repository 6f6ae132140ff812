/* A process is known by name, boot and generation. */
#include "common/check.h"
#include "tests/sim/checks.h"
#include "tests/sim/names.h"
#include "tests/sim/watch.h"

#define NOTICE_MS 1000u
/* Where its machine was off it is held for silent, and that wins until three have found otherwise:
 * each does when it next dials it, on whatever lane. */
#define NOTICE_OFF_MS 4000u
#define AT_ONCE_US    400u /* a process starts before anybody has dialled where another has ended */
#define OFF_MS        4000u  /* a machine's, at most: nobody is dead of it yet */
#define DIAL_MS       10000u /* until somebody dials a name again */
#define SETTLE_MS     3000u

static struct world *form(struct trial *trial)
{
    struct world *world = trial_begin(trial, 0);
    watch_form(world, WATCH_FORM_MS);
    return world;
}

/* Killed and started again within 0.3 s: all see another process within 1 s, and nobody ends. */
void check_identity_restart(struct trial *trial)
{
    struct world *world = form(trial);
    for (int i = 0; i < 10; i++) {
        uint32_t node = (uint32_t)prng_below(&world->prng, world->host_count);
        world_kill(world, node);
        world_run_ms(world, prng_below(&world->prng, 301));
        world_start(world, node);
        trial->counts[0] +=
            watch_until_known(world, node, 10, NOTICE_MS, "a restart is not noticed in 1 s");
        world_run_s(world, 5);
    }
    for (uint32_t i = 0; i < world->host_count; i++)
        if (!world->has_failed && world->hosts[i].state != HOST_UP)
            world_fail(world, "n%u has ended", i + 1);
}

/* Another cluster's node takes a dead one's address: it is never a member here, nor we there. */
void check_identity_foreign(struct trial *trial)
{
    struct world *world = form(trial);
    uint32_t node = 1 + (uint32_t)prng_below(&world->prng, world->host_count - 1);
    world_kill(world, node);
    world_run_ms(world, prng_below(&world->prng, 3000));
    world->host_options.cluster = "other";
    world_start(world, node);
    world->host_options.cluster = "dht";
    for (uint32_t ms = 0; ms < trial->seconds * 1000 && !world->has_failed; ms += 100) {
        world_run_ms(world, 100);
        for (uint32_t i = 0; i < world->host_count; i++) {
            if (i == node)
                continue;
            if (watch_sees_live(world, i, node) || watch_sees_live(world, node, i))
                world_fail(world, "n%u and n%u, of different clusters, are members of each other",
                           i + 1, node + 1);
            if (ms > NOTICE_MS + 3000 && !watch_sees_gone(world, i, node))
                world_fail(world, "n%u holds n%u for alive, whose address another cluster has",
                           i + 1, node + 1);
        }
        trial->counts[0]++;
    }
}

/* When a process was first greeted as another. */
struct greeted {
    uint32_t node;
    const char *as;
    uint64_t at_us; /* 0: not yet */
};

static void hear_refusal(void *arg, const struct trace_line *line)
{
    struct greeted *greeted = arg;
    if (line->node == greeted->node && greeted->at_us == 0 &&
        span_equal(line->event, SPAN_LITERAL("peer-refused")) &&
        span_equal(trace_field(line, "said"), span_of_string(greeted->as)))
        greeted->at_us = line->at_us;
}

/* A node ends, and its machine runs one of another name, without its state file: the last node's,
 * which takes the old name, and has never started. */
static void take_address(struct world *world, uint32_t node, uint32_t spare, bool is_off)
{
    if (is_off) {
        world_power_off(world, node);
        world_run_ms(world, 1000 + prng_below(&world->prng, OFF_MS - 1000));
        world_power_on(world, node);
    } else {
        world_kill(world, node);
        world_run_us(world, prng_below(&world->prng, AT_ONCE_US));
    }
    world_forget(world, node);
    world_rename(world, node, spare);
    name_format(node, world->hosts[spare].name);
    world_start(world, node);
}

/* Another name's process on a member's address: from the first HELLO for the old one on it is dead
 * for all within 1 s, and the new one is a member like any other. */
void check_identity_reused(struct trial *trial)
{
    uint32_t spare = trial->node_count - 1;
    trial->seed_count = spare;
    struct world *world = trial_begin(trial, 0);
    for (uint32_t i = 0; i < spare; i++)
        world_start(world, i);
    watch_until_one_view(world, WATCH_FORM_MS, "the cluster does not form");
    struct watch *watch = watch_open(world);
    watch->forbids_deaths = true;
    uint32_t node = (uint32_t)prng_below(&world->prng, spare);
    struct greeted greeted = {.node = node, .as = world->hosts[spare].name};
    bool is_off = trial->seed % 2 == 0; /* few seeds are to have both */
    trace_listen(&world->trace, hear_refusal, &greeted);
    take_address(world, node, spare, is_off);
    for (uint32_t ms = 0; greeted.at_us == 0 && ms < DIAL_MS && !world->has_failed; ms++)
        world_run_ms(world, 1);
    if (greeted.at_us == 0)
        world_fail(world, "nobody dials %s any more", greeted.as);
    trial->counts[is_off]++;
    trial->counts[2] += watch_until_known(world, spare, 10, is_off ? NOTICE_OFF_MS : NOTICE_MS,
                                          "another name's answer is not noticed");
    watch_until_one_view(world, SETTLE_MS, "after a change of name");
    world->trace.listener_count--;
    watch_close(watch);
}

/* Two machines under one name, the state file copied: the one started later stays. */
void check_identity_clone(struct trial *trial)
{
    struct world *world = trial_begin(trial, 0);
    uint32_t clone = world->host_count - 1, original = 0;
    for (uint32_t i = 0; i < clone; i++)
        world_start(world, i);
    world_run_s(world, 5);
    world_rename(world, clone, original);
    struct span file = buf_span(&world->hosts[original].state_text);
    CHECK(file.len > 0);
    buf_append(&world->hosts[clone].state_text, file.data, file.len);
    world->hosts[clone].boot = world->hosts[original].boot;
    world_start(world, clone);
    world_run_s(world, trial->seconds);
    bool both = world->hosts[original].state == HOST_UP && world->hosts[clone].state == HOST_UP;
    bool none = world->hosts[original].state != HOST_UP && world->hosts[clone].state != HOST_UP;
    if (both || none)
        world_fail(world, "of two processes of one name %s", both ? "both stay" : "none stays");
    uint64_t boot = world->hosts[clone].state == HOST_UP ? world->hosts[clone].boot
                                                         : world->hosts[original].boot;
    for (uint32_t i = 1; i < clone && !world->has_failed; i++) {
        const struct account *record = watch_record(world, i, original);
        if (!record || !record_is_live(record) || record->boot != boot)
            world_fail(world, "n%u does not know the process that stayed", i + 1);
    }
    trial->counts[0]++;
}
