#include "tests/sim/world.h"

#include "common/address.h"
#include "common/check.h"
#include "common/peers.h"
#include "tests/sim/names.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The same peers.txt for every node. */
static void make_peers(const struct world *world, struct view *view)
{
    uint32_t count = world->options.seed_count;
    if (count == 0 || count > world->host_count)
        count = world->host_count;
    struct buf text = {0};
    for (uint32_t i = 0; i < count; i++) {
        char name[ADDRESS_TEXT_BYTES_MAX];
        name_format(i, name);
        buf_printf(&text, "%s\n", name);
    }
    struct peers_error error;
    CHECK(peers_parse(buf_span(&text), view, &error) == ERR_OK);
    buf_close(&text);
}

struct world *world_open(const struct world_options *options)
{
    struct world *world = calloc(1, sizeof(*world));
    CHECK(world != NULL);
    world->options = *options;
    world->host_options = (struct host_options){.cluster = "dht",
                                                .gossip = "random",
                                                .weight = 1,
                                                .op_timeout_ms = 1000,
                                                .views = {.fence_ms = 2000,
                                                          .recover_after_ms = 5000,
                                                          .replace_after_ms = 2000,
                                                          .up_after_ms = 2000},
                                                .direct_answers = true};
    CHECK(gossip_profile(SPAN_LITERAL("lan"), &world->host_options.timers));
    prng_init(&world->prng, options->seed);
    trace_init(&world->trace, &world->clock);
    world->trace.echo = options->echo;
    uint32_t machines = options->node_count + options->client_count;
    net_init(&world->net, &world->clock, prng_next(&world->prng), machines);
    world_delay(world, options->delay_us, options->jitter_us);
    world->host_count = options->node_count;
    world->hosts = calloc(world->host_count, sizeof(*world->hosts));
    CHECK(world->hosts != NULL);
    world->machine_of = calloc(world->host_count, sizeof(*world->machine_of));
    CHECK(world->machine_of != NULL);
    for (uint32_t i = 0; i < world->host_count; i++) {
        struct view peers;
        make_peers(world, &peers);
        host_init(&world->hosts[i], world, i, &peers);
        world->machine_of[i] = i;
    }
    return world;
}

void world_close(struct world *world)
{
    if (!world)
        return;
    for (uint32_t i = 0; i < world->host_count; i++)
        host_close(&world->hosts[i]);
    free(world->hosts);
    free(world->machine_of);
    net_close(&world->net);
    vclock_close(&world->clock);
    free(world);
}

void world_run_us(struct world *world, uint64_t us)
{
    uint64_t until_us = world->clock.now_us + us;
    while (!world->has_failed && vclock_step(&world->clock, until_us))
        continue;
}

void world_fail(struct world *world, const char *format, ...)
{
    if (world->has_failed)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(world->failure, sizeof(world->failure), format, args);
    va_end(args);
    world->has_failed = true;
    trace_say(&world->trace, "failed", "%s", world->failure);
}

uint64_t world_digest(const struct world *world)
{
    struct trace trace = {.digest = world->trace.digest};
    trace_mix(&trace, world->net.digest);
    trace_mix(&trace, world->clock.rung);
    return trace.digest;
}

void world_address(const struct world *world, uint32_t machine, uint16_t port, char *text,
                   size_t size)
{
    bool is_node = machine < world->host_count;
    uint32_t number = is_node ? machine : machine - world->host_count;
    snprintf(text, size, "10.%u.%u.%u:%u", is_node ? 0 : 1, number / 250, number % 250 + 1, port);
}

bool world_find_address(const struct world *world, struct span text, uint32_t *machine,
                        uint16_t *port)
{
    unsigned kind, net, host, number;
    char copy[64];
    if (text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (sscanf(copy, "10.%u.%u.%u:%u", &kind, &net, &host, &number) != 4 || kind > 1 || host == 0 ||
        host > 250 || number > UINT16_MAX)
        return false;
    *machine = net * 250 + host - 1 + (kind == 1 ? world->host_count : 0);
    *port = (uint16_t)number;
    return *machine < world->net.machine_count;
}

/* --- acts ------------------------------------------------------------------------------------- */

static struct host *host_of(struct world *world, uint32_t node)
{
    CHECK(node < world->host_count);
    return &world->hosts[node];
}

static void say(struct world *world, const char *act, uint32_t node)
{
    trace_say(&world->trace, act, "node=%s", host_of(world, node)->name);
}

void world_start(struct world *world, uint32_t node)
{
    say(world, "start", node);
    host_start(host_of(world, node), &world->host_options);
}

void world_start_all(struct world *world)
{
    for (uint32_t i = 0; i < world->host_count; i++)
        world_start(world, i);
}

void world_start_down(struct world *world)
{
    for (uint32_t i = 0; i < world->host_count; i++)
        if (world->hosts[i].state == HOST_DOWN)
            world_start(world, i);
}

void world_kill(struct world *world, uint32_t node)
{
    say(world, "kill", node);
    host_kill(host_of(world, node));
}

void world_forget(struct world *world, uint32_t node)
{
    say(world, "forget", node);
    host_forget(host_of(world, node));
}

void world_leave(struct world *world, uint32_t node)
{
    say(world, "leave", node);
    host_leave(host_of(world, node));
}

void world_rename(struct world *world, uint32_t node, uint32_t name)
{
    struct host *host = host_of(world, node);
    CHECK(host->state == HOST_DOWN);
    trace_say(&world->trace, "rename", "machine=%u name=%s", node + 1, host_of(world, name)->name);
    name_format(name, host->name);
    world->machine_of[name] = node;
}

void world_power_off(struct world *world, uint32_t node)
{
    say(world, "power-off", node);
    host_power_off(host_of(world, node));
}

void world_power_on(struct world *world, uint32_t node)
{
    say(world, "power-on", node);
    host_power_on(host_of(world, node));
}

void world_stop(struct world *world, uint32_t node)
{
    say(world, "stop", node);
    host_stop(host_of(world, node));
}

void world_continue(struct world *world, uint32_t node)
{
    say(world, "continue", node);
    host_continue(host_of(world, node));
}

void world_cut(struct world *world, uint32_t from, uint32_t to, bool is_cut)
{
    struct net_path *path = net_path(&world->net, from, to);
    CHECK(is_cut || path->cuts > 0);
    path->cuts = is_cut ? path->cuts + 1 : path->cuts - 1;
}

void world_isolate(struct world *world, uint32_t node, bool is_cut)
{
    say(world, is_cut ? "isolate" : "rejoin", node);
    for (uint32_t i = 0; i < world->host_count; i++) {
        if (i == node)
            continue;
        world_cut(world, node, i, is_cut);
        world_cut(world, i, node, is_cut);
    }
}

void world_delay(struct world *world, uint32_t delay_us, uint32_t jitter_us)
{
    struct net *net = &world->net;
    for (size_t i = 0; i < (size_t)net->machine_count * net->machine_count; i++) {
        net->paths[i].delay_us = delay_us;
        net->paths[i].jitter_us = jitter_us;
    }
}

void world_lose(struct world *world, uint32_t loss_ppm)
{
    trace_say(&world->trace, "loss", "ppm=%u", loss_ppm);
    world->loss_ppm = loss_ppm;
    for (uint32_t i = 0; i < world->host_count; i++)
        for (uint32_t j = 0; j < world->host_count; j++)
            net_path(&world->net, i, j)->loss_ppm = loss_ppm;
}
