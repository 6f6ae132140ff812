#include "client/bench_connect.h"

#include "client/dht_wire.h"
#include "common/address.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/resource.h>

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

enum err bench_connect(const struct bench_servers *servers, uint32_t number, double timeout_s,
                       int *fd)
{
    uint32_t server = number % servers->count;
    uint64_t deadline_ms = wire_clock_ms() + (uint64_t)(timeout_s * 1000);
    enum err err = wire_connect((const struct sockaddr *)&servers->addresses[server],
                                servers->address_bytes[server], deadline_ms, fd);
    if (err != ERR_OK)
        fprintf(stderr, "bench: connection %u: %s\n", number + 1,
                err == ERR_TIMEOUT ? err_text(err) : strerror(errno));
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
