#include "client/dht_wire.h"

#include "common/check.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define RECEIVE_BYTES (64u * 1024)

uint64_t wire_clock_ms(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool wire_poll(struct pollfd *fds, size_t count, uint64_t deadline_ms)
{
    for (;;) {
        uint64_t now_ms = wire_clock_ms();
        uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
        int ready = poll(fds, count, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
        CHECK(ready >= 0 || errno == EINTR || errno == ENOMEM);
        if (ready > 0)
            return true;
        if (ready == 0 && wire_clock_ms() >= deadline_ms)
            return false;
    }
}

/* Waits for any of events; returns those that came, 0 at the deadline. */
static short wait_for(int fd, short events, uint64_t deadline_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    return wire_poll(&poll_fd, 1, deadline_ms) ? poll_fd.revents : 0;
}

enum err wire_connect(const struct sockaddr *address, socklen_t address_len, uint64_t deadline_ms,
                      int *out)
{
    enum err err = ERR_CONNECT;
    int one = 1;
    int so_error = 0;
    socklen_t len = sizeof(so_error);
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return ERR_CONNECT;
    if (connect(fd, address, address_len) != 0) {
        if (errno != EINPROGRESS)
            goto out;
        if (!wait_for(fd, POLLOUT, deadline_ms)) {
            err = ERR_TIMEOUT;
            goto out;
        }
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &so_error, &len) != 0)
            goto out;
        if (so_error != 0) {
            errno = so_error;
            goto out;
        }
    }
    /* Without it we are slower, no more. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    *out = fd;
    return ERR_OK;
out:
    so_error = errno;
    close(fd);
    errno = so_error;
    return err;
}

enum err wire_open(struct wire *wire, const struct address *address, uint64_t deadline_ms,
                   const char **why)
{
    CHECK(wire->fd < 0);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    char port[6];
    snprintf(port, sizeof(port), "%u", (unsigned)address->port);
    int code = getaddrinfo(address->host, port, &hints, &found);
    if (code != 0) {
        *why = gai_strerror(code);
        return ERR_CONNECT;
    }
    enum err err = ERR_CONNECT;
    for (const struct addrinfo *at = found; at && err != ERR_OK; at = at->ai_next) {
        err = wire_connect(at->ai_addr, at->ai_addrlen, deadline_ms, &wire->fd);
        if (err != ERR_OK)
            *why = err == ERR_TIMEOUT ? err_text(err) : strerrordesc_np(errno);
    }
    freeaddrinfo(found);
    return err;
}

static enum err send_some(struct wire *wire)
{
    ssize_t sent =
        send(wire->fd, wire->out.data + wire->out.start, buf_len(&wire->out), MSG_NOSIGNAL);
    if (sent >= 0)
        buf_consume(&wire->out, (size_t)sent);
    else if (errno != EAGAIN && errno != EINTR)
        return ERR_CLOSED;
    return ERR_OK;
}

static enum err receive_some(struct wire *wire)
{
    char *room = buf_reserve(&wire->in, RECEIVE_BYTES);
    ssize_t received = recv(wire->fd, room, wire->in.capacity - wire->in.end, 0);
    if (received > 0)
        buf_advance(&wire->in, (size_t)received);
    else if (received == 0 || (errno != EAGAIN && errno != EINTR))
        return ERR_CLOSED;
    return ERR_OK;
}

short wire_events(const struct wire *wire, bool wants_input)
{
    return (short)((wants_input ? POLLIN : 0) | (buf_len(&wire->out) > 0 ? POLLOUT : 0));
}

enum err wire_move(struct wire *wire, short came)
{
    /* First receive: what was said counts even where sending fails as the other side is gone. */
    if (came & (POLLIN | POLLERR | POLLHUP)) {
        enum err err = receive_some(wire);
        if (err != ERR_OK)
            return err;
    }
    return came & POLLOUT ? send_some(wire) : ERR_OK;
}

enum err wire_step(struct wire *wire, uint64_t deadline_ms)
{
    CHECK(wire->fd >= 0);
    short came = wait_for(wire->fd, wire_events(wire, true), deadline_ms);
    return came ? wire_move(wire, came) : ERR_TIMEOUT;
}

bool wire_is_fresh(const struct wire *wire)
{
    char byte;
    if (wire->fd < 0 || buf_len(&wire->in) > 0 || buf_len(&wire->out) > 0)
        return false;
    return recv(wire->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

void wire_close(struct wire *wire)
{
    if (wire->fd >= 0)
        close(wire->fd);
    buf_close(&wire->in);
    buf_close(&wire->out);
    wire->fd = -1;
}
