/* liburing does the talking to the ring. A call marked MSG_DONTWAIT is carried out while it is
 * submitted and never queued (io_uring_enter(2), REQ_F_NOWAIT), so its result is there when the
 * submission returns. */
#include "common/volley.h"

#include "common/check.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/socket.h>

/* No result ever dropped, and send and recv as operations: 5.7. */
#define FEATURES_NEEDED (IORING_FEAT_NODROP | IORING_FEAT_FAST_POLL)

struct volley {
    bool is_joint; /* ring is open */
    struct io_uring ring;
};

static bool open_ring(struct io_uring *ring)
{
    if (io_uring_queue_init(VOLLEY_CALLS_MAX, ring, 0) < 0)
        return false;
    if ((ring->features & FEATURES_NEEDED) == FEATURES_NEEDED)
        return true;
    io_uring_queue_exit(ring);
    return false;
}

static void close_ring(struct volley *volley)
{
    if (volley->is_joint)
        io_uring_queue_exit(&volley->ring);
    volley->is_joint = false;
}

struct volley *volley_open(bool is_plain)
{
    struct volley *volley = calloc(1, sizeof(*volley));
    CHECK(volley != NULL);
    volley->is_joint = !is_plain && open_ring(&volley->ring);
    return volley;
}

void volley_close(struct volley *volley)
{
    if (volley == NULL)
        return;
    close_ring(volley);
    free(volley);
}

bool volley_is_joint(const struct volley *volley)
{
    return volley->is_joint;
}

static void call_plain(struct volley_call *call)
{
    ssize_t result = call->kind == VOLLEY_RECEIVE
                         ? recv(call->fd, call->bytes, call->len, MSG_DONTWAIT)
                         : send(call->fd, call->bytes, call->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    call->result = result < 0 ? -errno : result;
}

static void prepare(struct io_uring *ring, const struct volley_call *call, uint32_t number)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(ring);
    CHECK(entry != NULL);
    if (call->kind == VOLLEY_RECEIVE)
        io_uring_prep_recv(entry, call->fd, call->bytes, call->len, MSG_DONTWAIT);
    else
        io_uring_prep_send(entry, call->fd, call->bytes, call->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    io_uring_sqe_set_data64(entry, number);
}

/* Hands over the calls; returns how many of them, from the first on, the kernel took: all, unless
 * it has no memory for more. */
static uint32_t submit(struct io_uring *ring, uint32_t count)
{
    uint32_t taken = 0;
    while (taken < count) {
        int more = io_uring_submit(ring);
        if (more == -EINTR)
            continue;
        if (more <= 0)
            break;
        taken += (uint32_t)more;
    }
    CHECK(taken <= count);
    return taken;
}

/* Waits for the results of as many calls: they are there, unless a signal came in between. */
static void collect(struct io_uring *ring, struct volley_call *calls, uint32_t taken)
{
    struct io_uring_cqe *results[VOLLEY_CALLS_MAX];
    uint32_t got = 0;
    while (got < taken) {
        uint32_t more = io_uring_peek_batch_cqe(ring, results, taken - got);
        if (more == 0) {
            int waited = io_uring_wait_cqe(ring, results);
            CHECK(waited >= 0 || waited == -EINTR);
        }
        for (uint32_t i = 0; i < more; i++) {
            uint64_t number = io_uring_cqe_get_data64(results[i]);
            CHECK(number < taken);
            calls[number].result = results[i]->res;
        }
        io_uring_cq_advance(ring, more);
        got += more;
    }
}

void volley_fire(struct volley *volley, struct volley_call *calls, uint32_t count)
{
    CHECK(count <= VOLLEY_CALLS_MAX);
    uint32_t taken = 0;
    if (volley->is_joint && count > 1) {
        for (uint32_t i = 0; i < count; i++)
            prepare(&volley->ring, &calls[i], i);
        taken = submit(&volley->ring, count);
        collect(&volley->ring, calls, taken);
        if (taken < count) /* what it would not take must not be found there by the next volley */
            close_ring(volley);
    }
    for (uint32_t i = taken; i < count; i++)
        call_plain(&calls[i]);
}
