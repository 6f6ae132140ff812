/* Which server leads each key of a benchmark: the ring of a cluster, learned once, so that every
 * connection asks its server for keys of that server's alone. A ring that changes later is not
 * followed: the nodes then find the leaders themselves. */
#ifndef DHT_CLIENT_BENCH_RING_H
#define DHT_CLIENT_BENCH_RING_H

#include "client/bench_connect.h"
#include "client/bench_draw.h"
#include "client/bench_keys.h"
#include "common/buf.h"

struct bench_ring {
    uint32_t server_count; /* 1 … BENCH_SERVERS_MAX: the nodes that lead any of the keys */
    struct buf list;       /* owned: "host:port,…" and NUL, in their order */
    uint32_t *numbers;     /* owned; the keys' numbers, server by server, ascending */
    uint8_t *server_of;    /* owned; by a key's number */
    uint32_t
        first[BENCH_SERVERS_MAX + 1]; /* server i's are numbers[first[i]] … [first[i + 1] - 1] */
};

/* Asks the servers of list, in their order, for the ring, and finds out where each key belongs.
 * ring    out: valid (bench_ring_close) on every path.
 * errors  ERR_CONNECT: none of them told a ring; ERR_TOO_LARGE: more than BENCH_SERVERS_MAX nodes
 *         lead. A line on stderr. */
MUST_USE enum err bench_ring_learn(struct bench_ring *ring, const char *list,
                                   const struct bench_keys *keys, double timeout_s);
void bench_ring_close(struct bench_ring *ring);

/* How many keys a server leads; never 0. */
static inline uint32_t bench_ring_count(const struct bench_ring *ring, uint32_t server)
{
    return ring->first[server + 1] - ring->first[server];
}

/* The next key of a server's, drawn by draw's law from all keys: what is drawn of others' is drawn
 * again. draw: over all keys. */
uint32_t bench_ring_draw(const struct bench_ring *ring, uint32_t server,
                         const struct bench_draw *draw, struct prng *prng);

#endif
