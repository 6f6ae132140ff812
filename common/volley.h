/* A volley: receives and sends on many sockets with one system call.
 *
 * A system call has a price of its own, beside what it does: between 0.1 and 0.5 microseconds with
 * today's mitigations and under a hypervisor. A server of many connections pays it twice a request,
 * unless it hands the kernel all of a turn's calls together. Linux's io_uring takes them; where the
 * kernel has none or forbids it (seccomp, kernel.io_uring_disabled) the same calls are made one by
 * one. Nothing is ever left under way: every call is done, or was refused, when volley_fire
 * returns, so that readiness, buffers and errors are what they are with plain calls.
 *
 * One thread. Knows nothing of connections. */
#ifndef DHT_COMMON_VOLLEY_H
#define DHT_COMMON_VOLLEY_H

#include "common/base.h"

#include <sys/types.h>

#define VOLLEY_CALLS_MAX 64u /* of one volley */

enum volley_kind { VOLLEY_RECEIVE, VOLLEY_SEND };

/* recv or send of bytes (length up to 2^31 - 1) that never waits. */
struct volley_call {
    enum volley_kind kind;
    int fd;
    void *bytes; /* borrowed; a send only reads them */
    size_t len;
    ssize_t result; /* out: bytes received or sent, or a negative errno */
};

struct volley;

/* is_plain  one system call each, whatever the kernel can do.
 * gives: release with volley_close. Never fails: plain calls are always to be had. */
struct volley *volley_open(bool is_plain);
/* Accepts NULL. */
void volley_close(struct volley *volley);
/* Whether calls are made together. */
bool volley_is_joint(const struct volley *volley);

/* Makes count calls, at most VOLLEY_CALLS_MAX, in their order, and fills in their results. */
void volley_fire(struct volley *volley, struct volley_call *calls, uint32_t count);

#endif
