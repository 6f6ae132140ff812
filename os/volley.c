/* The ring is spoken to by its two system calls and the kernel's header: what a library would add
 * is more than the few lines needed here. A call marked MSG_DONTWAIT is carried out while it is
 * submitted and never queued (io_uring_enter(2), REQ_F_NOWAIT), so its result is there when the
 * submission returns. */
#include "os/volley.h"

#include "common/check.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Both queues in one mapping, no result ever dropped, and send and recv as operations: 5.7. */
#define FEATURES_NEEDED (IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_FAST_POLL)

/* Memory shared with the kernel. Submissions: we move the tail, the kernel the head; completions:
 * the other way round. */
struct volley {
    int fd; /* -1: plain calls */
    void *queues;
    size_t queues_bytes;
    struct io_uring_sqe *submissions; /* VOLLEY_CALLS_MAX */
    const struct io_uring_cqe *completions;
    uint32_t *submission_head, *submission_tail;
    uint32_t *completion_head, *completion_tail;
    uint32_t completion_mask;
};

#define SUBMISSIONS_BYTES (VOLLEY_CALLS_MAX * sizeof(struct io_uring_sqe))

_Static_assert((VOLLEY_CALLS_MAX & (VOLLEY_CALLS_MAX - 1)) == 0, "the queue has exactly this size");

static bool map_queues(struct volley *volley, const struct io_uring_params *params)
{
    size_t submissions_end = params->sq_off.array + params->sq_entries * sizeof(uint32_t);
    size_t completions_end = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    volley->queues_bytes = submissions_end > completions_end ? submissions_end : completions_end;
    volley->queues = mmap(NULL, volley->queues_bytes, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_POPULATE, volley->fd, IORING_OFF_SQ_RING);
    if (volley->queues == MAP_FAILED)
        return false;
    volley->submissions = mmap(NULL, SUBMISSIONS_BYTES, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_POPULATE, volley->fd, IORING_OFF_SQES);
    if (volley->submissions == MAP_FAILED) {
        munmap(volley->queues, volley->queues_bytes);
        return false;
    }
    return true;
}

static void point_into_queues(struct volley *volley, const struct io_uring_params *params)
{
    char *at = volley->queues;
    volley->submission_head = (uint32_t *)(at + params->sq_off.head);
    volley->submission_tail = (uint32_t *)(at + params->sq_off.tail);
    volley->completion_head = (uint32_t *)(at + params->cq_off.head);
    volley->completion_tail = (uint32_t *)(at + params->cq_off.tail);
    volley->completion_mask = *(uint32_t *)(at + params->cq_off.ring_mask);
    volley->completions = (const struct io_uring_cqe *)(at + params->cq_off.cqes);
    uint32_t *order = (uint32_t *)(at + params->sq_off.array);
    for (uint32_t i = 0; i < VOLLEY_CALLS_MAX; i++)
        order[i] = i;
}

static bool open_ring(struct volley *volley)
{
    struct io_uring_params params = {0};
    volley->fd = (int)syscall(SYS_io_uring_setup, VOLLEY_CALLS_MAX, &params);
    if (volley->fd < 0)
        return false;
    if ((params.features & FEATURES_NEEDED) != FEATURES_NEEDED ||
        params.sq_entries != VOLLEY_CALLS_MAX || !map_queues(volley, &params)) {
        close(volley->fd);
        return false;
    }
    point_into_queues(volley, &params);
    return true;
}

struct volley *volley_open(bool is_plain)
{
    struct volley *volley = calloc(1, sizeof(*volley));
    CHECK(volley != NULL);
    if (is_plain || !open_ring(volley))
        volley->fd = -1;
    return volley;
}

void volley_close(struct volley *volley)
{
    if (volley == NULL)
        return;
    if (volley->fd >= 0) {
        munmap(volley->submissions, SUBMISSIONS_BYTES);
        munmap(volley->queues, volley->queues_bytes);
        close(volley->fd);
    }
    free(volley);
}

bool volley_is_joint(const struct volley *volley)
{
    return volley->fd >= 0;
}

static void call_plain(struct volley_call *call)
{
    ssize_t result = call->kind == VOLLEY_RECEIVE
                         ? recv(call->fd, call->bytes, call->len, MSG_DONTWAIT)
                         : send(call->fd, call->bytes, call->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    call->result = result < 0 ? -errno : result;
}

static void submit(struct io_uring_sqe *submission, const struct volley_call *call, uint32_t number)
{
    bool receives = call->kind == VOLLEY_RECEIVE;
    *submission = (struct io_uring_sqe){
        .opcode = receives ? IORING_OP_RECV : IORING_OP_SEND,
        .fd = call->fd,
        .addr = (uintptr_t)call->bytes,
        .len = (uint32_t)call->len,
        .msg_flags = receives ? MSG_DONTWAIT : MSG_DONTWAIT | MSG_NOSIGNAL,
        .user_data = number,
    };
}

/* Hands over the calls; returns how many of them, from the first on, the kernel took. */
static uint32_t enter(struct volley *volley, const struct volley_call *calls, uint32_t count)
{
    uint32_t first = *volley->submission_tail;
    for (uint32_t i = 0; i < count; i++)
        submit(&volley->submissions[(first + i) & (VOLLEY_CALLS_MAX - 1)], &calls[i], i);
    __atomic_store_n(volley->submission_tail, first + count, __ATOMIC_RELEASE);
    (void)syscall(SYS_io_uring_enter, volley->fd, count, count, IORING_ENTER_GETEVENTS, NULL, 0);
    uint32_t taken = __atomic_load_n(volley->submission_head, __ATOMIC_ACQUIRE) - first;
    CHECK(taken <= count);
    *volley->submission_tail = first + taken; /* what it would not take is taken back */
    return taken;
}

/* Waits for the results of as many calls: they are there, unless a signal came in between. */
static void collect(struct volley *volley, struct volley_call *calls, uint32_t taken)
{
    uint32_t head = *volley->completion_head;
    while (__atomic_load_n(volley->completion_tail, __ATOMIC_ACQUIRE) - head < taken) {
        long result =
            syscall(SYS_io_uring_enter, volley->fd, 0, taken, IORING_ENTER_GETEVENTS, NULL, 0);
        CHECK(result >= 0 || errno == EINTR);
    }
    for (uint32_t i = 0; i < taken; i++, head++) {
        const struct io_uring_cqe *completion =
            &volley->completions[head & volley->completion_mask];
        CHECK(completion->user_data < taken);
        calls[completion->user_data].result = completion->res;
    }
    __atomic_store_n(volley->completion_head, head, __ATOMIC_RELEASE);
}

void volley_fire(struct volley *volley, struct volley_call *calls, uint32_t count)
{
    CHECK(count <= VOLLEY_CALLS_MAX);
    uint32_t taken = 0;
    if (volley->fd >= 0 && count > 1) {
        taken = enter(volley, calls, count);
        collect(volley, calls, taken);
    }
    for (uint32_t i = taken; i < count; i++)
        call_plain(&calls[i]);
}
