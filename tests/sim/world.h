/* The world of one simulation: a clock, a network, hosts, clients, and what they tell.
 *
 * Everything random comes from one seed. Nothing in it knows the checks; they act through host_…
 * and net_path, and listen to the trace. */
#ifndef DHT_TESTS_SIM_WORLD_H
#define DHT_TESTS_SIM_WORLD_H

#include "tests/sim/host.h"

#define WORLD_UNIX_MS 1767225600000ll /* 2026-01-01: when simulations begin */

struct world_options {
    uint64_t seed;
    uint32_t node_count;
    uint32_t seed_count;   /* the first so many nodes stand in everybody's peers.txt; 0: all */
    uint32_t client_count; /* machines of clients */
    uint32_t delay_us;     /* every path's, to begin with */
    uint32_t jitter_us;
    bool is_debugged; /* nodes log at debug */
    FILE *echo;       /* where the trace is printed as it comes; NULL: nowhere */
};

struct world {
    struct world_options options;
    struct prng prng;
    struct vclock clock;
    struct net net;
    struct trace trace;
    uint32_t host_count; /* nodes; their machines have the numbers 0 … host_count - 1 */
    struct host *hosts;
    uint32_t *machine_of; /* by node: where its name leads to */
    struct host_options host_options;
    uint32_t loss_ppm; /* of every path between nodes */
    /* Called at the end of every turn of a node; before that with what the turn sends to another,
     * whole frames, and whether they have waited for the connection; before it writes its state
     * file, which is before it adopts a view, and after that; and when the data or the state file
     * of one are lost; NULL: nobody. */
    void (*after_turn)(void *watcher, struct host *host);
    void (*before_state)(void *watcher, struct host *host);
    void (*after_state)(void *watcher, struct host *host);
    void (*frames_sent)(void *watcher, struct host *host, struct span frames, bool have_waited);
    void (*data_lost)(void *watcher, struct host *host);
    void (*state_lost)(void *watcher, struct host *host);
    void *watcher;
    bool has_failed; /* something that must hold does not: time stands still */
    char failure[300];
};

/* gives: world_close. */
struct world *world_open(const struct world_options *options);
void world_close(struct world *world);
/* Lets time pass. */
void world_run_us(struct world *world, uint64_t us);
static inline void world_run_ms(struct world *world, uint64_t ms)
{
    world_run_us(world, ms * US_PER_MS);
}
static inline void world_run_s(struct world *world, uint64_t s)
{
    world_run_us(world, s * US_PER_S);
}
/* Says what does not hold. The first such word stands. */
void world_fail(struct world *world, const char *format, ...) PRINTF_LIKE(2, 3);
/* What tells this run from another. */
uint64_t world_digest(const struct world *world);

/* The number of client i's machine: there may be more clients than machines for them. */
static inline uint32_t world_client_machine(const struct world *world, uint32_t i)
{
    return world->host_count + i % world->options.client_count;
}
/* A machine's address and port as text. */
void world_address(const struct world *world, uint32_t machine, uint16_t port, char *text,
                   size_t size);
/* The other way round. */
bool world_find_address(const struct world *world, struct span text, uint32_t *machine,
                        uint16_t *port);

/* Acts, each told in the trace. */
void world_start(struct world *world, uint32_t node);
void world_start_all(struct world *world);
/* Those that do not run. */
void world_start_down(struct world *world);
void world_kill(struct world *world, uint32_t node);
/* The state file of a node that is down is lost, and its data if they were in memory. */
void world_forget(struct world *world, uint32_t node);
/* SIGTERM: it leaves, then ends. */
void world_leave(struct world *world, uint32_t node);
void world_power_off(struct world *world, uint32_t node);
void world_power_on(struct world *world, uint32_t node);
void world_stop(struct world *world, uint32_t node);
void world_continue(struct world *world, uint32_t node);
/* Cuts the way from one machine to another, or takes one such cut back. */
void world_cut(struct world *world, uint32_t from, uint32_t to, bool is_cut);
/* Both ways between a node and all other nodes. */
void world_isolate(struct world *world, uint32_t node, bool is_cut);
/* A node that is down is to run under another's name, which from now on leads to it. */
void world_rename(struct world *world, uint32_t node, uint32_t name);
/* The delay of every path, those of clients too. */
void world_delay(struct world *world, uint32_t delay_us, uint32_t jitter_us);
/* The loss of every path between nodes. */
void world_lose(struct world *world, uint32_t loss_ppm);

#endif
