#include "server/net/listener.h"

#include "common/check.h"
#include "server/net/conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096
#define ACCEPTS_PER_TURN 64
#define NO_DESCRIPTOR_PAUSE_MS 100
#define BUSY_ANSWER "SERVER_ERROR busy, retry in 1000 ms\r\n"

struct listener {
    struct shell *shell; /* borrowed */
    int fd;
    int reserve_fd; /* given up for a moment to refuse a connection when there are no descriptors */
    struct event acceptable;
    struct event pause;
};

static void refuse(struct listener *listener, int fd, const char *reason)
{
    struct shell *shell = listener->shell;
    shell->refused_total++;
    ssize_t ignored = send(fd, BUSY_ANSWER, sizeof(BUSY_ANSWER) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)ignored; /* whether it was heard changes nothing */
    shutdown(fd, SHUT_WR);
    close(fd);
    log_line(shell->log, shell->now, LOG_WARN, "client-refused", "reason=\"%s\" connections=%u",
             reason, shell->client_count);
}

/* No descriptor is left: use the reserved one to tell one client, then let others wait a little. */
static void refuse_without_descriptor(struct listener *listener)
{
    if (listener->reserve_fd >= 0)
        close(listener->reserve_fd);
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        refuse(listener, fd, "no file descriptor is left");
    listener->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const struct timeval wait = {.tv_usec = NO_DESCRIPTOR_PAUSE_MS * 1000};
    event_del(&listener->acceptable);
    event_add(&listener->pause, &wait);
}

static void accept_one(struct listener *listener, int fd)
{
    struct shell *shell = listener->shell;
    if (shell->client_count >= shell->options.connections_max) {
        refuse(listener, fd, "as many connections as -c allows");
        return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    shell->accepted_total++;
    conn_open(shell, fd, false);
}

static void on_acceptable(evutil_socket_t listen_fd, short what, void *arg)
{
    (void)what;
    struct listener *listener = arg;
    shell_turn(listener->shell);
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            accept_one(listener, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            refuse_without_descriptor(listener);
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
    event_add(&listener->acceptable, NULL);
}

/* Binds and listens on the first of a host's addresses that allows it; -1 with errno set. */
static int listen_on(const char *host, uint16_t port)
{
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    if (getaddrinfo(host, service, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = -1, error = EADDRNOTAVAIL;
    for (struct addrinfo *ai = found; ai && fd < 0; ai = ai->ai_next) {
        fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int on = 1;
        if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
            bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
            break;
        error = errno;
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    errno = error;
    return fd;
}

static void address_of(int fd, char *text, size_t size, uint16_t *port)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    char host[NI_MAXHOST], service[NI_MAXSERV];
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    CHECK(getnameinfo((struct sockaddr *)&address, len, host, sizeof(host), service,
                      sizeof(service), NI_NUMERICHOST | NI_NUMERICSERV) == 0);
    snprintf(text, size, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, service);
    *port = (uint16_t)strtoul(service, NULL, 10);
}

struct listener *listener_open(struct shell *shell, const char *host, uint16_t port,
                               char *address, size_t address_size, uint16_t *port_got)
{
    int fd = listen_on(host, port);
    if (fd < 0)
        return NULL;
    struct listener *listener = calloc(1, sizeof(*listener));
    CHECK(listener != NULL);
    listener->shell = shell;
    listener->fd = fd;
    listener->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    address_of(fd, address, address_size, port_got);
    CHECK(event_assign(&listener->acceptable, shell->base, fd, EV_READ | EV_PERSIST, on_acceptable,
                       listener) == 0);
    CHECK(evtimer_assign(&listener->pause, shell->base, on_pause_over, listener) == 0);
    event_add(&listener->acceptable, NULL);
    return listener;
}

void listener_close(struct listener *listener)
{
    if (!listener)
        return;
    event_del(&listener->acceptable);
    event_del(&listener->pause);
    close(listener->fd);
    if (listener->reserve_fd >= 0)
        close(listener->reserve_fd);
    free(listener);
}
