/* One connection to a server, with the bytes that wait on either side of it.
 *
 * Non-blocking underneath: every wait has a deadline on wire_clock_ms. Knows bytes, not answers. */
#ifndef DHT_CLIENT_DHT_WIRE_H
#define DHT_CLIENT_DHT_WIRE_H

#include "common/address.h"
#include "common/buf.h"
#include "common/err.h"

#include <sys/socket.h>

/* A zeroed wire, but for fd -1, is closed and valid. */
struct wire {
    int fd;         /* -1: closed */
    struct buf in;  /* received, not yet consumed */
    struct buf out; /* to be sent */
};

/* The monotonic clock that deadlines are on. */
uint64_t wire_clock_ms(void);

/* Connects a non-blocking socket, without delay; a signal does not end it.
 * out     gives.
 * errors  ERR_CONNECT with errno set; ERR_TIMEOUT. */
MUST_USE enum err wire_connect(const struct sockaddr *address, socklen_t address_len,
                               uint64_t deadline_ms, int *out);

/* Connects to each address the host has in turn, until one accepts. The look-up of a name may take
 * longer than the deadline.
 * why     out on error: what the system said last, e.g. "Connection refused"; static text.
 * errors  ERR_CONNECT, ERR_TIMEOUT. */
MUST_USE enum err wire_open(struct wire *wire, const struct address *address, uint64_t deadline_ms,
                            const char **why);

/* What poll is to tell of this wire: POLLOUT if something waits to be sent, POLLIN if wants_input.
 */
short wire_events(const struct wire *wire, bool wants_input);
/* Sends and receives as far as poll said that it can.
 * errors  ERR_CLOSED: the other side is gone; what it sent before lies in in. */
MUST_USE enum err wire_move(struct wire *wire, short came);

/* Sends and receives what can be without waiting longer than until something moved.
 * errors  ERR_TIMEOUT: nothing moved before the deadline.
 *         ERR_CLOSED: the other side is gone; what it sent before lies in in. */
MUST_USE enum err wire_step(struct wire *wire, uint64_t deadline_ms);

struct pollfd;
/* Waits until any of fds is ready, or the deadline: then false. A signal does not end it. */
bool wire_poll(struct pollfd *fds, size_t count, uint64_t deadline_ms);

/* Whether an idle wire can be used: open, and the other side has neither closed nor said anything
 * unasked. */
bool wire_is_fresh(const struct wire *wire);

/* Closes it and drops what waited. Accepts a closed one. */
void wire_close(struct wire *wire);

#endif
