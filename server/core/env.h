/* All that the core asks of the outside: one table of functions.
 *
 * The core does no I/O and knows no clock; the shell (server/net) and the simulator each fill this
 * table. Functions only queue: none of them calls back into the core. Connections cross the seam as
 * numbers with a generation, so that a late answer to a closed connection is recognised. */
#ifndef DHT_SERVER_CORE_ENV_H
#define DHT_SERVER_CORE_ENV_H

#include "server/core/session.h"
#include "server/core/stats.h"

/* A connection: index into the shell's table, and which of that place's users is meant. */
struct conn_id {
    uint32_t index;
    uint32_t generation; /* 0: no connection */
};

static inline bool conn_id_equal(struct conn_id a, struct conn_id b)
{
    return a.index == b.index && a.generation == b.generation;
}

#define CLIENT_TEXT_BYTES_MAX 64u /* [ipv6]:port and NUL */

struct env {
    void *shell; /* first argument of every function */

    /* The session of a connection, or NULL if that is gone. Whoever asks is about to append to out.
     */
    struct session *(*session)(void *shell, struct conn_id conn);
    /* The client's address as text, ip:port, for forwards and the log; "-" if it is gone. */
    void (*client_text)(void *shell, struct conn_id conn, char text[CLIENT_TEXT_BYTES_MAX]);
    /* Begins to connect to a node by its name; node_connected or node_disconnected follows later.
     * generation 0: no connection can be had now. */
    struct conn_id (*dial)(void *shell, const char *name);
    /* Closes a connection: after what waits in out has been sent, or at once. No event of it
     * follows. */
    void (*close)(void *shell, struct conn_id conn, bool after_sending);
    /* Fills in what only the process knows, for stats. */
    void (*gauges)(void *shell, struct stats_gauges *gauges);
    /* A client asked for this log level (verbosity). */
    void (*verbosity)(void *shell, uint64_t level);
};

#endif
