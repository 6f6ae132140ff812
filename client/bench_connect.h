/* Opens the benchmark's connections. Knows addresses and sockets, nothing of what is sent. */
#ifndef DHT_CLIENT_BENCH_CONNECT_H
#define DHT_CLIENT_BENCH_CONNECT_H

#include "common/err.h"

#include <sys/socket.h>

#define BENCH_SERVERS_MAX 64u

struct bench_servers {
    uint32_t count; /* 1 … BENCH_SERVERS_MAX once resolved */
    struct sockaddr_storage addresses[BENCH_SERVERS_MAX];
    socklen_t address_bytes[BENCH_SERVERS_MAX];
};

/* Resolves host:port[,host:port…].
 * errors  ERR_USAGE: not such a list. ERR_CONNECT: a name that is not known. A line on stderr. */
MUST_USE enum err bench_servers_resolve(struct bench_servers *servers, const char *list);

/* Connects to server number (modulo count) and makes the socket non-blocking, without delay.
 * fd      out: gives.
 * errors  ERR_CONNECT, ERR_TIMEOUT; a line on stderr. */
MUST_USE enum err bench_connect(const struct bench_servers *servers, uint32_t number,
                                double timeout_s, int *fd);

/* Lets this process have at least count files open, as far as the system allows. */
void bench_allow_files(uint64_t count);

#endif
