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
/* How long one of a name's addresses may take while there is another (RFC 8305's delay), and the
 * last. */
#define NEXT_ADDRESS_MS 250u
#define LAST_ADDRESS_MS 5000u

struct dialler {
    struct shell *shell;    /* borrowed */
    struct evdns_base *dns; /* made when a name first needs it */
    struct list attempts;
};

/* One connection on its way: a name being looked up, then its addresses tried in turn. */
struct attempt {
    struct dialler *dialler;
    struct conn_id conn; /* it may end meanwhile */
    struct list in_attempts;
    struct evutil_addrinfo *found;      /* owned; NULL while the name is being looked up */
    const struct evutil_addrinfo *next; /* of found, to be tried */
    int fd;                             /* connecting; -1: none */
    struct event connected;
};

struct dialler *dialler_open(struct shell *shell)
{
    struct dialler *dialler = calloc(1, sizeof(*dialler));
    CHECK(dialler != NULL);
    dialler->shell = shell;
    list_init(&dialler->attempts);
    return dialler;
}

static void attempt_drop_socket(struct attempt *attempt)
{
    if (attempt->fd < 0)
        return;
    event_del(&attempt->connected);
    close(attempt->fd);
    attempt->fd = -1;
}

static void attempt_free(struct attempt *attempt)
{
    attempt_drop_socket(attempt);
    if (attempt->found)
        evutil_freeaddrinfo(attempt->found);
    list_remove(&attempt->in_attempts);
    free(attempt);
}

void dialler_close(struct dialler *dialler)
{
    if (!dialler)
        return;
    struct list *link;
    if (dialler->dns)
        evdns_base_free(dialler->dns, 0); /* its callbacks do not come any more */
    while ((link = list_first(&dialler->attempts)))
        attempt_free(CONTAINER_OF(link, struct attempt, in_attempts));
    free(dialler);
}

static void on_connected(evutil_socket_t fd, short what, void *arg);

/* Begins to connect to one address. Returns false with errno set. */
static bool connect_to(struct attempt *attempt, const struct evutil_addrinfo *address, bool is_last)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    int on = 1;
    unsigned unacked_ms = PEER_UNACKED_MS_MAX;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof(unacked_ms));
    if (connect(fd, address->ai_addr, (socklen_t)address->ai_addrlen) != 0 &&
        errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        errno = error;
        return false;
    }
    unsigned wait_ms = is_last ? LAST_ADDRESS_MS : NEXT_ADDRESS_MS;
    const struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
    attempt->fd = fd;
    CHECK(event_assign(&attempt->connected, attempt->dialler->shell->base, fd, EV_WRITE,
                       on_connected, attempt) == 0);
    event_add(&attempt->connected, &wait);
    return true;
}

/* Goes on to the next address that can be tried. Returns false with errno set if there is none. */
static bool connect_next(struct attempt *attempt)
{
    while (attempt->next) {
        const struct evutil_addrinfo *address = attempt->next;
        attempt->next = address->ai_next;
        if (connect_to(attempt, address, attempt->next == NULL))
            return true;
    }
    return false;
}

/* Ends an attempt that has come to nothing, and the connection that waited for it. */
static void attempt_fail(struct attempt *attempt, const char *reason)
{
    struct conn *conn = conn_find(attempt->dialler->shell, attempt->conn);
    attempt_free(attempt);
    if (conn)
        conn_end(conn, reason);
}

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
    struct attempt *attempt = arg;
    shell_turn(attempt->dialler->shell);
    struct conn *conn = conn_find(attempt->dialler->shell, attempt->conn);
    int error = ETIMEDOUT;
    socklen_t len = sizeof(error);
    if ((what & EV_WRITE) && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (!conn) {
        attempt_free(attempt);
    } else if (error == 0) {
        attempt->fd = -1; /* the connection's from here on */
        attempt_free(attempt);
        conn_connected(conn, fd);
    } else {
        attempt_drop_socket(attempt);
        if (!connect_next(attempt))
            attempt_fail(attempt,
                         error == ECONNREFUSED ? "connection refused" : "it can't be reached");
    }
}

static void on_found(int result, struct evutil_addrinfo *found, void *arg)
{
    struct attempt *attempt = arg;
    shell_turn(attempt->dialler->shell);
    attempt->found = found;
    attempt->next = found;
    if (result != 0)
        attempt_fail(attempt, "its name is not known");
    else if (!conn_find(attempt->dialler->shell, attempt->conn))
        attempt_free(attempt);
    else if (!connect_next(attempt))
        attempt_fail(attempt, "it can't be reached");
}

static struct attempt *attempt_open(struct dialler *dialler, struct conn_id conn)
{
    struct attempt *attempt = calloc(1, sizeof(*attempt));
    CHECK(attempt != NULL);
    attempt->dialler = dialler;
    attempt->conn = conn;
    attempt->fd = -1;
    list_append(&dialler->attempts, &attempt->in_attempts);
    return attempt;
}

static bool dns_ready(struct dialler *dialler)
{
    if (!dialler->dns)
        dialler->dns = evdns_base_new(dialler->shell->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
                                                                EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    return dialler->dns != NULL;
}

bool dialler_dial(struct dialler *dialler, struct conn_id conn, const char *name)
{
    struct address address;
    const char *why;
    if (address_parse(span_of_string(name), &address, &why))
        return false;
    char service[8];
    snprintf(service, sizeof(service), "%u", address.port);
    struct evutil_addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_NUMERICHOST};
    struct attempt *attempt = attempt_open(dialler, conn);
    if (evutil_getaddrinfo(address.host, service, &hints, &attempt->found) == 0) {
        attempt->next = attempt->found;
        bool is_begun = connect_next(attempt);
        if (!is_begun)
            attempt_free(attempt);
        return is_begun;
    }
    attempt->found = NULL;
    if (!dns_ready(dialler)) {
        attempt_free(attempt);
        return false;
    }
    hints.ai_flags = 0;
    /* The answer may come before this returns: then the connection may have ended already. */
    evdns_getaddrinfo(dialler->dns, address.host, service, &hints, on_found, attempt);
    return true;
}
