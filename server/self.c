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

static struct address member_address(const struct view *view, uint32_t member)
{
    struct address address;
    const char *why;
    CHECK(address_parse(span_of_string(view->members[member].name), &address, &why) == ERR_OK);
    return address;
}

/* The one line that is this node's: index, or UINT32_MAX with error filled. */
static uint32_t find_line(const struct view *view, const char *listen_host, uint16_t port,
                          char *error, size_t size)
{
    struct ifaddrs *interfaces = NULL;
    if (getifaddrs(&interfaces) != 0)
        interfaces = NULL;
    uint32_t found = UINT32_MAX, count = 0;
    for (uint32_t i = 0; i < view->member_count; i++) {
        struct address address = member_address(view, i);
        if (address.port != port || !is_own_host(address.host, interfaces))
            continue;
        if (strcmp(address.host, listen_host) == 0) {
            found = i;
            count = 1;
            break;
        }
        found = i;
        count++;
    }
    if (interfaces)
        freeifaddrs(interfaces);
    if (count == 1)
        return found;
    if (count == 0)
        snprintf(error, size,
                 "no line of peers.txt has port %u and an address of this machine: add one, or say "
                 "which with --advertise HOST:PORT",
                 port);
    else
        snprintf(
            error, size,
            "%u lines of peers.txt have port %u and an address of this machine: say which with "
            "--advertise HOST:PORT or -l HOST",
            count, port);
    return UINT32_MAX;
}

static void choose_host(const struct view *view, const char *listen_host, const char *name,
                        char host[HOST_BYTES_MAX + 1])
{
    if (listen_host[0] != '\0') {
        snprintf(host, HOST_BYTES_MAX + 1, "%s", listen_host);
    } else if (name[0] != '\0') {
        struct address address = member_address(view, peers_find(view, name));
        snprintf(host, HOST_BYTES_MAX + 1, "%s", address.host);
    } else {
        snprintf(host, HOST_BYTES_MAX + 1, "127.0.0.1");
    }
}

enum err self_find(const struct view *view, const char *advertise, const char *listen_host,
                   uint16_t port, char name[ADDRESS_TEXT_BYTES_MAX], char host[HOST_BYTES_MAX + 1],
                   char *error, size_t size)
{
    name[0] = '\0';
    if (view->member_count > 0 && advertise[0] != '\0') {
        if (peers_find(view, advertise) == UINT32_MAX) {
            snprintf(error, size, "--advertise %s is no line of peers.txt", advertise);
            return ERR_USAGE;
        }
        snprintf(name, ADDRESS_TEXT_BYTES_MAX, "%s", advertise);
    } else if (view->member_count > 0 && port > 0) {
        uint32_t line = find_line(view, listen_host, port, error, size);
        if (line == UINT32_MAX)
            return ERR_USAGE;
        snprintf(name, ADDRESS_TEXT_BYTES_MAX, "%s", view->members[line].name);
    } else if (advertise[0] != '\0') {
        snprintf(name, ADDRESS_TEXT_BYTES_MAX, "%s", advertise);
        choose_host(view, listen_host, "", host);
        return ERR_OK;
    }
    choose_host(view, listen_host, name, host);
    return ERR_OK;
}

enum err self_complete(struct view *view, const char *host, uint16_t port,
                       char name[ADDRESS_TEXT_BYTES_MAX], char *error, size_t size)
{
    if (name[0] == '\0') {
        struct address address = {.port = port};
        snprintf(address.host, sizeof(address.host), "%s", host);
        address_format(&address, name);
    }
    if (view->member_count == 0) {
        struct peers_error unused;
        return peers_parse(span_of_string(name), view, &unused);
    }
    if (peers_find(view, name) != UINT32_MAX)
        return ERR_OK;
    snprintf(error, size, "%s is no line of peers.txt: a node outside the list has no keys", name);
    return ERR_USAGE;
}
