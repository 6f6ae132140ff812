/* The two ends of a connection and their kernels: dialling, closing, resets. For net.c and sock.c;
 * others see net.h. */
#ifndef DHT_TESTS_SIM_SOCK_H
#define DHT_TESTS_SIM_SOCK_H

#include "tests/sim/flow.h"

struct wire;

/* One end. Its kernel's side lives until it is SOCK_ENDED; its process's until it is closed. */
struct sock {
    struct wire *wire;
    uint32_t machine;
    uint16_t port;
    enum sock_state state;
    enum sock_failure failure;
    bool is_used;   /* a process has it, or will get it from the backlog */
    bool is_closed; /* its process has closed it: what still comes is answered with RST */
    struct sock_owner owner;
    struct flow out;               /* what it sends */
    struct vtimer reset;           /* a RST of the other end arrives */
    struct net_listener *listener; /* whose backlog it waits in */
    struct list in_backlog;
    struct list in_machine;
};

struct net_listener *net_listener_find(struct net *net, uint32_t machine, uint16_t port);
/* Its machine knows nothing of it any more. */
void sock_forget(struct sock *sock);
/* Nobody will accept it. */
void sock_refuse(struct sock *sock);

#endif
