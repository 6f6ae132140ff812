#include "server/net/dialler.h"

#include "common/address.h"
#include "common/check.h"

#include <errno.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes that a peer's machine does not acknowledge for so long mean that it is gone. */
#define PEER_UNACKED_MS_MAX 3000u

struct dialler {
    struct shell *shell;    /* borrowed */
    struct evdns_base *dns; /* made when a name first needs it */
    struct list lookups;
};

/* A name being looked up for a connection, which may end meanwhile. */
struct lookup {
    struct dialler *dialler;
    struct conn_id conn;
    struct list in_lookups;
};

struct dialler *dialler_open(struct shell *shell)
{
    struct dialler *dialler = calloc(1, sizeof(*dialler));
    CHECK(dialler != NULL);
    dialler->shell = shell;
    list_init(&dialler->lookups);
    return dialler;
}

void dialler_close(struct dialler *dialler)
{
    if (!dialler)
        return;
    struct list *link;
    if (dialler->dns)
        evdns_base_free(dialler->dns, 0); /* its callbacks do not come any more */
    while ((link = list_first(&dialler->lookups))) {
        list_remove(link);
        free(CONTAINER_OF(link, struct lookup, in_lookups));
    }
    free(dialler);
}

/* Connects to one address. Returns false with errno set. */
static bool connect_to(struct conn *conn, const struct sockaddr *address, socklen_t len)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    int on = 1;
    unsigned unacked_ms = PEER_UNACKED_MS_MAX;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof(unacked_ms));
    if (connect(fd, address, len) != 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        errno = error;
        return false;
    }
    conn_dialling(conn, fd);
    return true;
}

static bool connect_any(struct conn *conn, const struct addrinfo *found)
{
    for (; found; found = found->ai_next)
        if (connect_to(conn, found->ai_addr, (socklen_t)found->ai_addrlen))
            return true;
    return false;
}

static void on_found(int result, struct evutil_addrinfo *found, void *arg)
{
    struct lookup *lookup = arg;
    struct dialler *dialler = lookup->dialler;
    shell_turn(dialler->shell);
    struct conn *conn = conn_find(dialler->shell, lookup->conn);
    list_remove(&lookup->in_lookups);
    free(lookup);
    if (conn && conn->fd < 0) {
        if (result != 0)
            conn_end(conn, "its name is not known");
        else if (!connect_any(conn, found))
            conn_end(conn, "it can't be reached");
    }
    if (found)
        evutil_freeaddrinfo(found);
}

bool dialler_dial(struct dialler *dialler, struct conn *conn, const char *name)
{
    struct address address;
    const char *why;
    if (address_parse(span_of_string(name), &address, &why))
        return false;
    char service[8];
    snprintf(service, sizeof(service), "%u", address.port);
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
                                    .ai_flags = EVUTIL_AI_NUMERICHOST};
    struct evutil_addrinfo *found = NULL;
    if (evutil_getaddrinfo(address.host, service, &hints, &found) == 0) {
        bool is_begun = connect_any(conn, found);
        evutil_freeaddrinfo(found);
        return is_begun;
    }
    if (!dialler->dns)
        dialler->dns = evdns_base_new(dialler->shell->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
                                                                EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!dialler->dns)
        return false;
    struct lookup *lookup = malloc(sizeof(*lookup));
    CHECK(lookup != NULL);
    *lookup = (struct lookup){.dialler = dialler, .conn = conn->id};
    list_append(&dialler->lookups, &lookup->in_lookups);
    hints.ai_flags = 0;
    /* The answer may come before this returns: on_found then has ended or begun the connection. */
    evdns_getaddrinfo(dialler->dns, address.host, service, &hints, on_found, lookup);
    return true;
}
