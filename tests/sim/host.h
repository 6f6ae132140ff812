/* A host: one machine with one node on it, driven as server/net's shell drives it, but by a virtual
 * clock and a virtual network.
 *
 *     DOWN --host_start--> UP <--host_stop, host_continue--> STOPPED
 *       ^--host_kill, host_power_off, the node ends itself------'
 *
 * What of the shell's manners a node can see is kept: requests are parsed into batches, answers go
 * out together at a turn's end, env's functions only queue, a timer is set to node_deadline and may
 * ring up to a millisecond late, in any order with what is to be read. */
#ifndef DHT_TESTS_SIM_HOST_H
#define DHT_TESTS_SIM_HOST_H

#include "common/buf.h"
#include "common/list.h"
#include "server/core/node.h"
#include "tests/sim/net.h"
#include "tests/sim/trace.h"

#define HOST_VALUE_BYTES_MAX (1024u * 1024)
#define HOST_MEMORY_BYTES    (64u << 20)
#define HOST_TURN_US         20u /* what a turn takes at least, and what it takes more for a message */
#define HOST_MESSAGE_US      10u

enum host_state { HOST_DOWN, HOST_UP, HOST_STOPPED };

struct host_conn;
struct world;

/* How nodes are started; the same for all unless a test says otherwise. */
struct host_options {
    const char *cluster;
    const char *gossip; /* the strategy */
    uint32_t weight;
    uint32_t op_timeout_ms;
    uint32_t sync_rate_bytes_s; /* 0: no bound */
    bool direct_answers;
    bool evicts; /* --evictions on */
    struct gossip_options timers;
    struct views_options views;
};

struct host {
    struct world *world;
    uint32_t number; /* also its machine in the network */
    char name[ADDRESS_TEXT_BYTES_MAX];
    enum host_state state;

    /* The machine. */
    struct prng prng;
    uint64_t mono_us; /* what its monotonic clock said at since_us */
    uint64_t since_us;
    int64_t drift_ppm;     /* its clocks run so much too fast since then */
    int64_t wall_ms;       /* its wall clock is so much ahead of the true one */
    uint32_t slow;         /* everything takes so many times as long; from 1 */
    struct buf state_text; /* the state file; empty: there is none */
    uint64_t boot;         /* the last start's number; 0: there was none, or that is forgotten */
    uint64_t boot_max;     /* the highest that any process here has had */
    struct view peers;     /* its peers.txt */
    uint64_t generation;   /* of the process that runs, or ran last: the birth of its data */
    bool is_durable;       /* its data outlive the process */
    bool is_disk_full;     /* its state file cannot be written */
    bool has_no_file;      /* it is started without a state file */
    uint64_t memory_bytes; /* the budget of its next start */

    /* The process. */
    struct host_options options;
    struct budget budget;
    struct log log;
    struct env env;
    struct store *store; /* a durable host's is there while the process is not */
    struct node *node;
    struct net_listener listener;
    struct host_conn **conns; /* by index; NULL is free */
    uint32_t *generations;
    uint32_t conns_capacity;
    struct list ready; /* to be looked at */
    struct list dirty; /* may be owed bytes, or have ended */
    struct list ended; /* to be freed at the turn's end */
    bool has_waiting;  /* connections may be accepted */
    uint32_t messages; /* taken in this turn */
    struct vtimer turn;
    struct vtimer timer; /* the node's deadline */
    bool is_due;         /* it has rung */
    bool is_to_leave;    /* a signal has come */
    uint64_t leave_us;   /* when it came last */
    uint64_t busy_until_us;
    uint64_t disturbed_us; /* when it was last killed, stopped or continued */
    bool is_ending;        /* the node wants to end, or has ended by itself */
    enum node_end end;
    bool is_outdone; /* an earlier process here had a boot no lower than this one's */
    uint64_t end_by_us;
    uint64_t turns;
    uint32_t restless_turns; /* that came to nothing since the last that did not */
    uint32_t epoch;          /* of its view at the last turn */
    uint32_t views;          /* adopted in the second that began at views_us */
    uint64_t views_us;
    uint32_t starts;
};

/* peers: taken. */
void host_init(struct host *host, struct world *world, uint32_t number, struct view *peers);
void host_close(struct host *host);

/* The process starts: with an empty store, or with the data that a durable host has kept. */
void host_start(struct host *host, const struct host_options *options);
/* When it reads what is sent to it now, us; a loop that is in a turn, or is late, does so in the
 * next. */
uint64_t host_reads_us(const struct host *host);
/* SIGTERM: the node leaves; it ends by itself. A stopped one does it when it continues. */
void host_leave(struct host *host);
/* kill -9: its kernel closes its connections. */
void host_kill(struct host *host);
/* The data of a host that is down are lost. */
void host_wipe(struct host *host);
/* Its state file is lost. */
void host_forget(struct host *host);
/* The machine loses power: nobody is told anything. Its state file stays. */
void host_power_off(struct host *host);
/* The machine comes up, without the node. */
void host_power_on(struct host *host);
/* SIGSTOP and SIGCONT. */
void host_stop(struct host *host);
void host_continue(struct host *host);
/* From now on its clocks run so much too fast. */
void host_drift(struct host *host, int64_t drift_ppm);
/* What its clocks say now. */
struct moment host_now(const struct host *host);
/* Whether the process has ended by itself because one that ran here before counts as the later one:
 * its state file was lost and its wall clock is behind, so its boot is no higher; and the others
 * did not yet hold that one for gone (proto.md "Joining"). It can be started again. */
bool host_has_ended_outdone(const struct host *host);
/* There is something to do. */
void host_wake(struct host *host);

#endif
