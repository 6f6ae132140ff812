/* The virtual network: machines, the paths between them, and connections that behave as TCP's do,
 * as far as a program can see.
 *
 *  - What is sent arrives in order, after the path's delay. A packet that is lost is sent again
 *    after 200 ms (and the path's round trip), then after twice as long each time; what was sent
 *    behind it waits for it. With three packets behind it, or when a later one arrives before the
 *    first time-out, it is sent again after one round trip.
 *  - The kernel of a machine acknowledges what arrives, after 40 ms or with the next packet that
 * goes back, whether or not its process ever looks at it, up to a receive window. A sender sees how
 *    much has not been acknowledged.
 *  - A dial takes a round trip; it is refused where nobody listens, and where nothing answers it is
 *    repeated after 1, 2, 4, … s until its owner gives up.
 *  - A connection ends by FIN, by RST (also in answer to data for a connection that is no more), or
 *    because bytes were not acknowledged for too long. A machine that is off says nothing at all.
 *
 * Left out: congestion, and packets of one connection overtaking each other (nobody would see it).
 *
 * Everything random is drawn from one generator, so a run can be repeated. Nothing here knows what
 * the bytes mean. Calls never call back; sock_owner's functions are called by timers only. */
#ifndef DHT_TESTS_SIM_NET_H
#define DHT_TESTS_SIM_NET_H

#include "common/buf.h"
#include "common/list.h"
#include "common/prng.h"
#include "tests/sim/vclock.h"

#define NET_WINDOW_BYTES     (256u * 1024) /* received bytes a kernel keeps for its process */
#define NET_PACKET_BYTES     1448u         /* payload of one packet */
#define NET_HEADER_BYTES     66u           /* Ethernet, IPv4, TCP with timestamps */
#define NET_BACKLOG          4096u         /* connections that wait to be accepted */
#define NET_PPM              1000000u
#define NET_ACK_US           (40 * US_PER_MS)  /* an acknowledgement waits for company */
#define NET_RETRY_US         (200 * US_PER_MS) /* first wait for one, beside the round trip */
#define NET_RETRY_US_MAX     (120ull * US_PER_S)
#define NET_SYN_RETRY_US     US_PER_S
#define NET_DIALLED_GIVE_UP  (3ull * US_PER_S)   /* TCP_USER_TIMEOUT as the dialler sets it */
#define NET_ACCEPTED_GIVE_UP (924ull * US_PER_S) /* Linux's own, after 15 retransmissions */

/* One direction between two machines. */
struct net_path {
    uint32_t delay_us;
    uint32_t jitter_us; /* added: 0 … this, equally likely */
    uint32_t loss_ppm;  /* of a million packets, so many are lost */
    uint32_t cuts;      /* faults that cut it: while there are any nothing passes, silently */
};

/* A machine's network card and kernel, counted since the beginning. */
struct net_machine {
    bool is_on;
    uint32_t out_loss_ppm; /* of what it sends, beside the path's */
    uint16_t next_port;
    uint64_t sent_bytes; /* headers and acknowledgements included */
    struct list socks;   /* its ends of connections */
    struct list listeners;
};

enum sock_state { SOCK_DIALLING, SOCK_OPEN, SOCK_ENDED };

/* Why it has ended, or will be found to have. */
enum sock_failure {
    SOCK_FINE,
    SOCK_REFUSED, /* nobody listens there */
    SOCK_RESET,
    SOCK_TIMED_OUT /* not acknowledged for too long */
};

struct sock;

/* Whom the kernel wakes. */
struct sock_owner {
    /* Something has changed: connected, bytes or their end have come, or it has failed. */
    void (*ready)(void *arg, struct sock *sock);
    void *arg;
};

struct net_listener {
    uint32_t machine;
    uint16_t port;
    /* A connection waits to be accepted. */
    void (*acceptable)(void *arg);
    void *arg;
    struct list backlog;
    uint32_t backlog_count;
    struct list in_machine;
};

struct net {
    struct vclock *clock; /* borrowed */
    struct prng prng;
    uint32_t machine_count;
    struct net_machine *machines;
    struct net_path *paths; /* [from * machine_count + to] */
    uint64_t digest;        /* over everything that arrived, and when */
};

void net_init(struct net *net, struct vclock *clock, uint64_t seed, uint32_t machine_count);
/* Every process must have closed its connections, and every other timer have been stopped: the rest
 * of the clock's are rung. */
void net_close(struct net *net);
static inline struct net_path *net_path(struct net *net, uint32_t from, uint32_t to)
{
    return &net->paths[(size_t)from * net->machine_count + to];
}
/* Power fails: its connections are gone, and nobody is told. The owner's handles are void. */
void net_power_off(struct net *net, uint32_t machine);
void net_power_on(struct net *net, uint32_t machine);

/* Listens until net_unlisten; connections nobody accepted are reset then. */
void net_listen(struct net *net, struct net_listener *listener, uint32_t machine, uint16_t port,
                void (*acceptable)(void *arg), void *arg);
void net_unlisten(struct net_listener *listener);
/* Takes a waiting connection, or returns NULL; sock_set_owner says whom to wake. */
struct sock *net_accept(struct net_listener *listener);
void sock_set_owner(struct sock *sock, struct sock_owner owner);
struct sock *net_dial(struct net *net, uint32_t from, uint32_t to, uint16_t port,
                      struct sock_owner owner);

enum sock_state sock_state(const struct sock *sock);
enum sock_failure sock_failure(const struct sock *sock);
/* The other end's machine and port. */
uint32_t sock_peer_machine(const struct sock *sock);
uint16_t sock_peer_port(const struct sock *sock);
/* Appends to what is sent; of a connection that has ended it is thrown away. */
void sock_send(struct sock *sock, const void *data, size_t len);
/* What has come and was not taken; borrowed until the next call. */
struct span sock_received(const struct sock *sock);
void sock_take(struct sock *sock, size_t len);
/* All has been taken, and the other end says no more. */
bool sock_at_end(const struct sock *sock);
/* Bytes sent that the other machine has not acknowledged. */
uint64_t sock_unacked(const struct sock *sock);
/* Says no more (FIN), still listens. */
void sock_shutdown(struct sock *sock);
/* As a process that closes it, or dies: FIN behind what was sent, RST if something was not taken.
 * The handle is void. */
void sock_close(struct sock *sock);

/* Open connections of a machine with machines below peer_max, at most max of them. Returns how
 * many.
 */
uint32_t net_socks(struct net *net, uint32_t machine, uint32_t peer_max, struct sock **socks,
                   uint32_t max);

/* Faults. */
/* Both ends are reset, as by something between them. */
void sock_break(struct sock *sock);
/* What it sends from now on arrives at until_us, having been acknowledged at once: something
 * between keeps it. */
void sock_hold(struct sock *sock, uint64_t until_us);

#endif
