/* All that the core asks of the outside: one table of functions, and the words both sides use.
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

/* How a connection ended, or why it could not be had: what the kernel saw, told apart as far as it
 * tells a process that is gone from a machine that is. The last two are the handshake's. */
#define DISCONNECT_LIST(X)                                                                         \
    X(REFUSED, "connection refused")          /* nothing listens there */                          \
    X(CLOSED, "the other end closed it")      /* a FIN */                                          \
    X(RESET, "the connection broke")          /* a RST */                                          \
    X(TIMEOUT, "its machine does not answer") /* to a SYN, or to bytes sent, for too long */       \
    X(MUTE, "it does not answer")             /* its machine acknowledges, its process is mute */  \
    X(UNREACHABLE, "it can't be reached")     /* no way to its machine */                          \
    X(NAME, "its name is not known")          /* it could not be looked up */                      \
    X(LOCAL, "no connection can be opened")   /* here: no descriptor, no memory */                 \
    X(STRANGER, "it is another node")         /* what answers there is not who was meant */        \
    X(DENIED, "it refuses this node")         /* it is there, and will not speak with this one */

enum disconnect {
#define DISCONNECT_ENUM(name, text) DISCONNECT_##name,
    DISCONNECT_LIST(DISCONNECT_ENUM)
#undef DISCONNECT_ENUM
};

/* A static text for people. */
const char *disconnect_text(enum disconnect why);

/* Why a node ends itself. */
enum node_end {
    NODE_END_LEFT,     /* it was told to leave, and has left */
    NODE_END_LATE,     /* it was told to shut down, and the cluster has not let it go in time */
    NODE_END_DUPLICATE /* another process answers under its name, or has been started later */
};

#define CLIENT_LINE_BYTES_MAX 128u  /* of a line that a client says on a connection made to it */
#define CLIENT_PORT_MIN       1024u /* to be dialled at a client: lower ones are privileged */

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
    /* Begins to connect to a client for direct answers: address is its numeric ip:port, port 1024
     * or above. Within 1 s node_connected or node_disconnected follows; what the client says comes
     * line by line through node_client_line; what is appended to out goes as it is.
     * generation 0: no connection can be had now, or the address is none. */
    struct conn_id (*dial_client)(void *shell, const char *address);
    /* Closes a connection: after what waits in out has been sent, or at once. No event of it
     * follows. */
    void (*close)(void *shell, struct conn_id conn, bool after_sending);
    /* Bytes for a connection that the other end's machine has not acknowledged, those that still
     * wait in out included. 0 if it is gone. */
    uint64_t (*unacked)(void *shell, struct conn_id conn);
    /* Fills len bytes with randomness fit for secrets. */
    void (*entropy)(void *shell, void *bytes, size_t len);
    /* The process is to stop: what is in flight is finished, then it exits. */
    void (*end)(void *shell, enum node_end why);
    /* Keeps the state file's text (state.h) in place of the one before: it is durable when this
     * returns. false: it could not be kept, and the one before may stand still. */
    bool (*keep_state)(void *shell, struct span text);
    /* Fills in what only the process knows, for stats. */
    void (*gauges)(void *shell, struct stats_gauges *gauges);
    /* A client asked for this log level (verbosity). */
    void (*verbosity)(void *shell, uint64_t level);
};

/* The memory bound that a connection's buffers count against; NULL if it is gone or has none. */
struct budget *env_budget(const struct env *env, struct conn_id conn);

#endif
