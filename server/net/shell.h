/* The shell: the core's outside. All of libevent, sockets, clocks and timers; only this folder
 * includes event2/.
 *
 * The files, top down: shell (what the node asks of the outside, timers, signals, stopping),
 * listener and dialler (where connections come from), conn_in, conn_out, conn (what becomes of
 * them), turn (what they share). */
#ifndef DHT_SERVER_NET_SHELL_H
#define DHT_SERVER_NET_SHELL_H

#include "server/net/turn.h"

struct dialler;
struct listener;

struct shell_options {
    uint32_t connections_max; /* of clients */
    uint32_t unproven_max;    /* above that, taken for a second as they may be other nodes */
    uint32_t idle_timeout_s;  /* 0: never */
    uint32_t value_bytes_max;
    uint32_t stats_interval_s; /* between lines of statistics; 0: none */
    uint32_t leave_timeout_ms; /* how long the node has to leave the cluster */
    uint32_t drain_timeout_ms; /* how long what is in flight has, before and after that */
    bool is_plain;             /* a system call for each read and each send (volley.h) */
    void (*reload)(void *arg); /* SIGHUP */
    bool (*keep_state)(void *arg, struct span text); /* as in env.h */
    void *arg;
};

struct shell {
    struct shell_options options;
    struct turn turn;
    struct env env; /* what the node calls */
    struct dialler *dialler;
    struct listener *listener;

    struct event timer; /* the node's next deadline */
    uint64_t timer_ms;  /* what it is set to; UINT64_MAX: not set */
    bool is_due;        /* a deadline of the node has come: it is judged behind the turn's reads */
    uint32_t catch_up_turns; /* is_due: may go by before that */
    struct event idle_timer;
    struct event stats_timer;
    struct event signals[4];
    uint64_t started_ms;
    uint64_t yields_from_ms; /* until then it keeps the processor between its turns */
    bool is_leaving;         /* the node was told to leave */
    bool has_ended;          /* and has left, or wants to stop on its own */
    enum node_end end;
    uint64_t step_by_ms; /* draining, leaving or stopping: at the latest */
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

#endif
