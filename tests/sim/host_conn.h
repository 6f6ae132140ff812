/* A simulated node's connections: what server/net/conn.c is to a real one. For host.c alone. */
#ifndef DHT_TESTS_SIM_HOST_CONN_H
#define DHT_TESTS_SIM_HOST_CONN_H

#include "tests/sim/host.h"

enum conn_state { CONN_OPEN, CONN_DRAINING, CONN_LINGERING, CONN_CLOSED };
enum conn_role { CONN_CLIENT, CONN_PEER, CONN_RAW };

struct host_conn {
    struct host *host;
    struct conn_id id;
    struct sock *sock;
    enum conn_state state;
    enum conn_role role;
    bool is_dialled;
    bool is_connected; /* dialled, and the node knows that it is there */
    bool is_paused;    /* input waits until answers have been taken */
    uint32_t batches;  /* dialled: times that something was sent; HELLO first, then what has waited
                        * for WELCOME */
    bool has_more;     /* it was paused: what lies in in is to be parsed */
    struct request_parser parser;
    struct buf in;
    size_t parsed; /* of in: to be dropped when the batch is done */
    struct session session;
    struct list in_ready;
    struct list in_dirty; /* or in ended */
    struct vtimer limit;  /* connecting, or lingering, no longer */
};

/* The env functions of a host. */
void host_conn_env(struct host *host);
struct host_conn *host_conn_find(struct host *host, struct conn_id id);
/* Takes what waits at the listener. */
void host_conn_accept(struct host *host);
/* Looks at what has come. */
void host_conn_read(struct host_conn *conn);
/* Sends what is owed, after the batch has been carried out. */
void host_conn_settle(struct host_conn *conn);
void host_conn_free(struct host_conn *conn);

#endif
