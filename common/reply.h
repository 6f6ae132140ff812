/* A reply: the bytes going to one receiver, in order; small ones copied, large ones borrowed.
 *
 * Whoever answers appends; whoever sends gathers bytes and borrowed pieces with one writev. A
 * borrowed piece must stay where it is until the turn's send; what the socket then refused is
 * copied by reply_own. A zeroed reply is valid and empty. */
#ifndef DHT_COMMON_REPLY_H
#define DHT_COMMON_REPLY_H

#include "common/buf.h"

#include <sys/uio.h>

/* A value of at least this many bytes is borrowed rather than copied. */
#define REPLY_BORROW_BYTES_MIN (16u * 1024)

struct reply_piece {
    size_t at; /* copied bytes that go out before it, counted from the first unsent one */
    struct span borrowed;
};

struct reply {
    struct buf bytes;
    struct reply_piece *pieces; /* ascending at */
    uint32_t piece_count;
    uint32_t piece_capacity;
    size_t borrowed_bytes; /* sum over pieces */
};

/* Room for at least bytes more; write, then reply_advance. Cheap: this is the hot path. */
static inline char *reply_room(struct reply *reply, size_t bytes)
{
    return buf_reserve(&reply->bytes, bytes);
}
static inline void reply_advance(struct reply *reply, size_t bytes)
{
    buf_advance(&reply->bytes, bytes);
}
static inline void reply_append(struct reply *reply, struct span span)
{
    buf_append(&reply->bytes, span.data, span.len);
}
void reply_printf(struct reply *reply, const char *format, ...) PRINTF_LIKE(2, 3);

/* Appends span: copied if short, borrowed (until reply_own or its being sent) if long. */
void reply_borrow(struct reply *reply, struct span span);

/* Bytes waiting to go out. */
static inline size_t reply_len(const struct reply *reply)
{
    return buf_len(&reply->bytes) + reply->borrowed_bytes;
}

/* Fills at most iov_max entries with what goes out next; returns how many. */
int reply_gather(const struct reply *reply, struct iovec *iov, int iov_max);
/* Drops len bytes from the front: they have been sent. */
void reply_consume(struct reply *reply, size_t len);
/* Copies every borrowed piece, so that nothing is borrowed any more. */
void reply_own(struct reply *reply);
/* Appends everything in from to reply; borrowed pieces stay borrowed. from is left closed. */
void reply_move(struct reply *reply, struct reply *from);
void reply_close(struct reply *reply);

#endif
