/* The shell: all of libevent, sockets, clocks and timers; the core's outside.
 *
 * Work goes in turns of the loop: every ready connection is read and parsed into the node's batch,
 * the batch is carried out, then every connection that is owed bytes is sent them with one call.
 * Only this folder includes event2/.
 *
 * Ownership: the shell owns the connections (a table; a place is used again with a higher
 * generation), the read arena and the spare answer buffers. A connection is freed at the end of a
 * turn, never inside its own callback. */
#ifndef DHT_SERVER_NET_SHELL_H
#define DHT_SERVER_NET_SHELL_H

#include "common/budget.h"
#include "common/list.h"
#include "common/log.h"
#include "os/volley.h"
#include "server/core/node.h"

#include <event2/event.h>
#include <event2/event_struct.h>

#define SPARE_COUNT_MAX 64u /* answer buffers kept for later turns */

/* Connections read together, and then answered together: enough to hide cache misses behind each
 * other and to spread the price of a system call, few enough that the kernel's side of each
 * connection is still in the cache when its answer is sent, and that clients work while others are
 * served. */
#define SHELL_READS_MAX 32u
/* Room to read each of them into, unless much of their earlier input waits. */
#define SHELL_ARENA_BYTES (SHELL_READS_MAX * 64u * 1024 + 64u * 1024)

struct conn;
struct dialler;
struct listener;

struct shell_options {
    uint32_t connections_max; /* of clients */
    uint32_t idle_timeout_s;  /* 0: never */
    uint32_t value_bytes_max;
    uint32_t drain_timeout_ms; /* how long a graceful stop waits */
    bool is_plain;             /* a system call for each read and each send (volley.h) */
    void (*reload)(void *arg); /* SIGHUP */
    void (*keep_boot)(void *arg, uint64_t boot); /* as in env.h */
    void *arg;
};

/* What net's own files share of the shell. */
struct shell {
    struct shell_options options;
    struct event_base *base;
    struct node *node;     /* borrowed; set by shell_run */
    struct budget *budget; /* borrowed */
    struct log *log;       /* borrowed */
    struct env env;        /* what the node calls */
    struct dialler *dialler;
    struct listener *listener;

    struct conn **conns;   /* by index; NULL is free */
    uint32_t *generations; /* by index: of its present or last user */
    uint32_t conns_capacity;
    uint32_t *free_indices; /* a stack */
    uint32_t free_count;
    uint32_t conn_count; /* open ones, peers' included */
    uint32_t accepted_count;
    uint32_t client_count; /* those accepted that are no other node's */
    uint64_t accepted_total;
    uint64_t refused_total;

    struct list
        dirty; /* connections that may be owed bytes or have ended: looked at after the batch */
    struct list resumed;                   /* connections with input left that may be parsed on */
    struct list ended;                     /* closed connections, to be freed at the turn's end */
    struct volley *volley;                 /* reads and sends go out by it */
    struct conn *reading[SHELL_READS_MAX]; /* connections to be read, soon and together */
    uint32_t reading_count;
    char *arena;        /* what was read, until its batch is done; SHELL_ARENA_BYTES */
    struct buf *spares; /* buffers for answers, to be used again */
    uint32_t spare_count;

    struct moment now;
    bool in_turn;
    struct event timer; /* the node's next deadline */
    uint64_t timer_ms;  /* what it is set to; UINT64_MAX: not set */
    bool is_due;        /* a deadline of the node has come: it is judged behind the turn's reads */
    uint32_t catch_up_turns; /* is_due: may go by before that */
    uint32_t turn_reads;     /* connections read in this turn */
    struct event idle_timer;
    struct event signals[4];
    uint64_t started_ms;
    bool is_stopping;
    uint64_t stop_by_ms;
    int signal_number; /* what ended it; 0 while running */
    bool has_ended;    /* the node has asked to stop */
    enum node_end end; /* why */
};

/* Prepares a shell: base, env table; no node yet. Failure stops the process. */
void shell_init(struct shell *shell, const struct shell_options *options, struct budget *budget,
                struct log *log);
/* Opens the listening socket. port 0: any; address: out, "ip:port" as got.
 * errors: ERR_IO with errno set. */
MUST_USE enum err shell_listen(struct shell *shell, const char *host, uint16_t port,
                               char address[CLIENT_TEXT_BYTES_MAX + 16], uint16_t *port_got);
/* Serves until a signal has been carried out. */
void shell_run(struct shell *shell, struct node *node);
void shell_close(struct shell *shell);

/* For callbacks in net: the turn begins, if it has not. */
void shell_turn(struct shell *shell);
/* A connection is readable: it is read with others, within the turn. */
void shell_read_soon(struct shell *shell, struct conn *conn);
/* Monotonic and wall clock. */
struct moment shell_clock(void);

#endif
