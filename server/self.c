#include "server/self.h"

#include "common/check.h"
#include "common/peers.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static bool same_host(const struct sockaddr *a, const struct sockaddr *b)
{
    if (a->sa_family != b->sa_family)
        return false;
    if (a->sa_family == AF_INET)
        return memcmp(&((const struct sockaddr_in *)a)->sin_addr,
                      &((const struct sockaddr_in *)b)->sin_addr, sizeof(struct in_addr)) == 0;
    if (a->sa_family == AF_INET6)
        return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                      &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
    return false;
}

/* All of 127/8 is this machine's, whatever the interfaces say. */
static bool is_loopback(const struct sockaddr *address)
{
    return address->sa_family == AF_INET &&
           ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static bool is_own_host(const char *host, const struct ifaddrs *interfaces)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return false;
    bool is_own = false;
    for (const struct addrinfo *ai = found; ai && !is_own; ai = ai->ai_next) {
        is_own = is_loopback(ai->ai_addr);
        for (const struct ifaddrs *own = interfaces; own && !is_own; own = own->ifa_next)
            is_own = own->ifa_addr && same_host(ai->ai_addr, own->ifa_addr);
    }
    freeaddrinfo(found);
    return is_own;
}

static struct address address_of(const char *name)
{
    struct address address;
    const char *why;
    CHECK(address_parse(span_of_string(name), &address, &why) == ERR_OK);
    return address;
}

/* The lines that may be this node's: those with the port and an address of this machine; the one
 * that names listen_host stands for all. Returns how many; found: out, the last. */
static uint32_t find_lines(const struct view *seeds, const char *listen_host, uint16_t port,
                           const struct ifaddrs *interfaces, uint32_t *found)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < seeds->member_count; i++) {
        struct address address = address_of(seeds->members[i].name);
        if (address.port != port || !is_own_host(address.host, interfaces))
            continue;
        *found = i;
        count++;
        if (strcmp(address.host, listen_host) == 0)
            return 1;
    }
    return count;
}

/* Where to listen: as told, else on the host of the own line if that is of this machine. */
static void choose_host(const struct view *seeds, const char *listen_host, const char *name,
                        const struct ifaddrs *interfaces, char host[HOST_BYTES_MAX + 1])
{
    snprintf(host, HOST_BYTES_MAX + 1, "127.0.0.1");
    if (listen_host[0] != '\0') {
        snprintf(host, HOST_BYTES_MAX + 1, "%s", listen_host);
    } else if (name[0] != '\0' && peers_find(seeds, name) != UINT32_MAX) {
        struct address address = address_of(name);
        if (is_own_host(address.host, interfaces))
            snprintf(host, HOST_BYTES_MAX + 1, "%s", address.host);
    }
}

enum err self_find(const struct view *seeds, const char *advertise, const char *listen_host,
                   uint16_t port, char name[ADDRESS_TEXT_BYTES_MAX], char host[HOST_BYTES_MAX + 1],
                   char *error, size_t size)
{
    struct ifaddrs *interfaces = NULL;
    uint32_t line = 0, count = 0;
    name[0] = '\0';
    if (getifaddrs(&interfaces) != 0)
        interfaces = NULL;
    if (advertise[0] != '\0')
        snprintf(name, ADDRESS_TEXT_BYTES_MAX, "%s", advertise);
    else if (port > 0)
        count = find_lines(seeds, listen_host, port, interfaces, &line);
    if (count == 1)
        snprintf(name, ADDRESS_TEXT_BYTES_MAX, "%s", seeds->members[line].name);
    choose_host(seeds, listen_host, name, interfaces, host);
    if (interfaces)
        freeifaddrs(interfaces);
    if (count <= 1)
        return ERR_OK;
    snprintf(error, size,
             "%u lines of peers.txt have port %u and an address of this machine: say which with "
             "--advertise HOST:PORT or -l HOST",
             count, port);
    return ERR_USAGE;
}

static bool is_wildcard(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

/* Whether a host, as text, can only be this machine itself. */
static bool is_here_only(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           strncmp(host, "127.", 4) == 0;
}

enum err self_complete(const struct view *seeds, const char *host, uint16_t port,
                       char name[ADDRESS_TEXT_BYTES_MAX], char *error, size_t size)
{
    if (name[0] != '\0')
        return ERR_OK;
    if (is_wildcard(host) && seeds->member_count > 0) {
        snprintf(error, size,
                 "no line of peers.txt is this node's, and %s is no address that other nodes could "
                 "reach: say its name with --advertise HOST:PORT",
                 host);
        return ERR_USAGE;
    }
    struct address address = {.port = port};
    snprintf(address.host, sizeof(address.host), "%s", host);
    address_format(&address, name);
    return ERR_OK;
}

const char *self_doubt(const struct view *seeds, const char *name, const char *host)
{
    struct address own = address_of(name);
    if (is_wildcard(own.host))
        return "no other node can reach this one by its name: give it one with --advertise "
               "HOST:PORT";
    if (is_here_only(host) && !is_here_only(own.host))
        return "it listens on this machine's loopback only, and its name is another address: say "
               "where to listen with -l HOST";
    for (uint32_t i = 0; i < seeds->member_count && is_here_only(own.host); i++) {
        struct address seed = address_of(seeds->members[i].name);
        if (!is_here_only(seed.host))
            return "its name is this machine's loopback, where the other nodes of peers.txt cannot "
                   "reach it: give it another with --advertise HOST:PORT and -l HOST";
    }
    return NULL;
}

bool self_is_open(const char *host)
{
    return !is_here_only(host);
}
