#include "server/net/listener.h"

#include "common/check.h"
#include "server/net/conn_in.h"
#include "server/net/sockname.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG                4096
#define SOCKETS_MAX            8 /* addresses of one name */
#define ACCEPTS_PER_TURN       64
#define NO_DESCRIPTOR_PAUSE_MS 100

/* One of the addresses of the host listened on. */
struct listening {
    int fd;
    struct event acceptable;
};

struct listener {
    struct turn *turn; /* borrowed */
    uint32_t connections_max;
    uint32_t unproven_max;
    struct listening sockets[SOCKETS_MAX];
    int count;
    int reserve_fd; /* given up for a moment to refuse a connection when there are no descriptors */
    struct event pause;
};

static void refuse(struct listener *listener, int fd, const char *reason)
{
    struct turn *turn = listener->turn;
    turn->refused_total++;
    ssize_t ignored = send(fd, BUSY_ANSWER, sizeof(BUSY_ANSWER) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)ignored; /* whether it was heard changes nothing */
    shutdown(fd, SHUT_WR);
    close(fd);
    log_line(turn->log, turn->now, LOG_WARN, "client-refused", "reason=\"%s\" connections=%u",
             reason, turn->client_count);
}

/* No descriptor is left: use the reserved one to tell one client, then let others wait a little. */
static void refuse_without_descriptor(struct listener *listener, int listen_fd)
{
    if (listener->reserve_fd >= 0)
        close(listener->reserve_fd);
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        refuse(listener, fd, "no file descriptor is left");
    listener->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const struct timeval wait = turn_timeval(NO_DESCRIPTOR_PAUSE_MS);
    for (int i = 0; i < listener->count; i++)
        event_del(&listener->sockets[i].acceptable);
    event_add(&listener->pause, &wait);
}

static void accept_one(struct listener *listener, int fd)
{
    struct turn *turn = listener->turn;
    uint32_t connections_max = listener->connections_max;
    if (turn->client_count >= connections_max + listener->unproven_max) {
        refuse(listener, fd, "as many connections as -c allows");
        return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    turn->accepted_total++;
    struct conn *conn = conn_accept(turn, fd);
    if (turn->client_count > connections_max || turn->is_draining)
        conn_limit(conn);
}

static void on_acceptable(evutil_socket_t listen_fd, short what, void *arg)
{
    (void)what;
    struct listener *listener = arg;
    turn_begin(listener->turn);
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accept_one(listener, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            refuse_without_descriptor(listener, listen_fd);
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return;
        }
    }
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct listener *listener = arg;
    for (int i = 0; i < listener->count; i++)
        event_add(&listener->sockets[i].acceptable, NULL);
}

/* A socket that listens on one address; -1 with errno set. */
static int listen_on(const struct addrinfo *ai, uint16_t port)
{
    struct sockaddr_storage address = {0};
    memcpy(&address, ai->ai_addr, ai->ai_addrlen);
    if (ai->ai_family == AF_INET6)
        ((struct sockaddr_in6 *)&address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)&address)->sin_port = htons(port);
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (ai->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&address, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void address_of(int fd, char *text, size_t size, uint16_t *port)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr *address = (struct sockaddr *)&storage;
    socklen_t len = sizeof(storage);
    CHECK(getsockname(fd, address, &len) == 0);
    CHECK(sockname_format(address, len, text, size, port));
}

static void watch(struct listener *listener, int fd)
{
    struct listening *listening = &listener->sockets[listener->count++];
    listening->fd = fd;
    CHECK(event_assign(&listening->acceptable, listener->turn->base, fd, EV_READ | EV_PERSIST,
                       on_acceptable, listener) == 0);
    event_add(&listening->acceptable, NULL);
}

/* Listens on all of a host's addresses that this machine has, all on the port that the first got.
 * Returns 0 or the errno of what failed. */
static int listen_all(struct listener *listener, const struct addrinfo *found, uint16_t port,
                      char *address, size_t address_size, uint16_t *port_got)
{
    int error = EADDRNOTAVAIL;
    for (; found && listener->count < SOCKETS_MAX; found = found->ai_next) {
        int fd = listen_on(found, listener->count > 0 ? *port_got : port);
        if (fd < 0) {
            error = errno;
            if (error == EADDRNOTAVAIL || error == EAFNOSUPPORT)
                continue; /* a name may have addresses that this machine has not */
            return error;
        }
        if (listener->count == 0)
            address_of(fd, address, address_size, port_got);
        watch(listener, fd);
    }
    return listener->count > 0 ? 0 : error;
}

struct listener *listener_open(struct turn *turn, uint32_t connections_max, uint32_t unproven_max,
                               const char *host, uint16_t port, char *address, size_t address_size,
                               uint16_t *port_got)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, NULL, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return NULL;
    }
    struct listener *listener = calloc(1, sizeof(*listener));
    CHECK(listener != NULL);
    listener->turn = turn;
    listener->connections_max = connections_max;
    listener->unproven_max = unproven_max;
    listener->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK(evtimer_assign(&listener->pause, turn->base, on_pause_over, listener) == 0);
    int error = listen_all(listener, found, port, address, address_size, port_got);
    freeaddrinfo(found);
    if (error == 0)
        return listener;
    listener_close(listener);
    errno = error;
    return NULL;
}

void listener_close(struct listener *listener)
{
    if (!listener)
        return;
    for (int i = 0; i < listener->count; i++) {
        event_del(&listener->sockets[i].acceptable);
        close(listener->sockets[i].fd);
    }
    event_del(&listener->pause);
    if (listener->reserve_fd >= 0)
        close(listener->reserve_fd);
    free(listener);
}
