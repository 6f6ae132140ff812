#include "client/bench_connect.h"

#include "common/address.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

static enum err resolve(struct bench_servers *servers, const struct address *address)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", address->port);
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int error = getaddrinfo(address->host, port, &wanted, &found);
    if (error != 0) {
        fprintf(stderr, "bench: %s: %s\n", address->host, gai_strerror(error));
        return ERR_CONNECT;
    }
    memcpy(&servers->addresses[servers->count], found->ai_addr, found->ai_addrlen);
    servers->address_bytes[servers->count] = found->ai_addrlen;
    servers->count++;
    freeaddrinfo(found);
    return ERR_OK;
}

enum err bench_servers_resolve(struct bench_servers *servers, const char *list)
{
    *servers = (struct bench_servers){0};
    const char *at = list;
    for (;;) {
        struct span text = span_of(at, strcspn(at, ","));
        struct address address;
        const char *why = "too many servers";
        if (servers->count == BENCH_SERVERS_MAX || address_parse(text, &address, &why) != ERR_OK) {
            fprintf(stderr, "bench: server %.*s: %s\n", (int)text.len, text.data, why);
            return ERR_USAGE;
        }
        enum err err = resolve(servers, &address);
        if (err != ERR_OK || at[text.len] == '\0')
            return err;
        at += text.len + 1;
    }
}

/* A blocking connect with a time limit: on Linux SO_SNDTIMEO bounds it. */
enum err bench_connect(const struct bench_servers *servers, uint32_t number, double timeout_s,
                       int *fd)
{
    const struct sockaddr_storage *address = &servers->addresses[number % servers->count];
    double whole_s = floor(timeout_s);
    struct timeval limit = {(time_t)whole_s, (suseconds_t)((timeout_s - whole_s) * 1e6)};
    int one = 1;
    int opened = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_connected = opened >= 0 &&
                        setsockopt(opened, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
                        setsockopt(opened, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
                        connect(opened, (const struct sockaddr *)address,
                                servers->address_bytes[number % servers->count]) == 0 &&
                        fcntl(opened, F_SETFL, O_NONBLOCK) == 0;
    if (is_connected) {
        *fd = opened;
        return ERR_OK;
    }
    enum err err = errno == EINPROGRESS ? ERR_TIMEOUT : ERR_CONNECT;
    fprintf(stderr, "bench: connection %u: %s\n", number + 1,
            err == ERR_TIMEOUT ? err_text(err) : strerror(errno));
    if (opened >= 0)
        close(opened);
    return err;
}

void bench_allow_files(uint64_t count)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= count)
        return;
    limit.rlim_cur = count;
    if (limit.rlim_max < count)
        limit.rlim_max = count; /* only root may */
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    /* What is still missing shows where a socket cannot be opened, with the reason. */
    (void)!setrlimit(RLIMIT_NOFILE, &limit);
}
