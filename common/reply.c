#include "common/reply.h"

#include "common/check.h"

#include <stdlib.h>

void reply_printf(struct reply *reply, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(&reply->bytes, format, args);
    va_end(args);
}

static struct reply_piece *piece_add(struct reply *reply)
{
    if (reply->piece_count == reply->piece_capacity) {
        reply->piece_capacity = reply->piece_capacity ? reply->piece_capacity * 2 : 4;
        reply->pieces = realloc(reply->pieces, reply->piece_capacity * sizeof(*reply->pieces));
        CHECK(reply->pieces != NULL);
    }
    return &reply->pieces[reply->piece_count++];
}

/* Pieces count from the first unconsumed byte, so a buf that moves its content does no harm. */
static void piece_append(struct reply *reply, struct span span)
{
    *piece_add(reply) = (struct reply_piece){buf_len(&reply->bytes), span};
    reply->borrowed_bytes += span.len;
}

void reply_borrow(struct reply *reply, struct span span)
{
    if (span.len < REPLY_BORROW_BYTES_MIN)
        reply_append(reply, span);
    else
        piece_append(reply, span);
}

/* The copied bytes from … to - 1, counted from the first unsent one. */
static struct span copied_span(const struct reply *reply, size_t from, size_t to)
{
    return from < to ? span_of(buf_span(&reply->bytes).data + from, to - from) : (struct span){0};
}

static int iov_add(struct iovec *iov, int count, int iov_max, struct span span)
{
    if (span.len == 0 || count == iov_max)
        return count;
    iov[count] = (struct iovec){(char *)span.data, span.len}; /* writev only reads */
    return count + 1;
}

int reply_gather(const struct reply *reply, struct iovec *iov, int iov_max)
{
    size_t at = 0;
    int count = 0;
    for (uint32_t i = 0; i < reply->piece_count && count < iov_max; i++) {
        const struct reply_piece *piece = &reply->pieces[i];
        count = iov_add(iov, count, iov_max, copied_span(reply, at, piece->at));
        count = iov_add(iov, count, iov_max, piece->borrowed);
        at = piece->at;
    }
    return iov_add(iov, count, iov_max, copied_span(reply, at, buf_len(&reply->bytes)));
}

static void pieces_shift(struct reply *reply, uint32_t gone, size_t bytes)
{
    for (uint32_t i = gone; i < reply->piece_count; i++) {
        reply->pieces[i - gone] = reply->pieces[i];
        reply->pieces[i - gone].at -= bytes;
    }
    reply->piece_count -= gone;
}

void reply_consume(struct reply *reply, size_t len)
{
    CHECK(len <= reply_len(reply));
    size_t bytes = 0; /* of the copied part that are gone */
    uint32_t gone = 0;
    while (gone < reply->piece_count) {
        struct reply_piece *piece = &reply->pieces[gone];
        size_t before = piece->at - bytes;
        if (len < before)
            break;
        len -= before;
        bytes += before;
        size_t taken = len < piece->borrowed.len ? len : piece->borrowed.len;
        piece->borrowed.data += taken;
        piece->borrowed.len -= taken;
        reply->borrowed_bytes -= taken;
        len -= taken;
        if (piece->borrowed.len > 0)
            break;
        gone++;
    }
    bytes += len;
    pieces_shift(reply, gone, bytes);
    buf_consume(&reply->bytes, bytes);
}

void reply_own(struct reply *reply)
{
    if (reply->piece_count == 0)
        return;
    struct buf whole = {.budget = reply->bytes.budget};
    buf_reserve(&whole, reply_len(reply));
    size_t at = 0;
    for (uint32_t i = 0; i < reply->piece_count; i++) {
        const struct reply_piece *piece = &reply->pieces[i];
        struct span copied = copied_span(reply, at, piece->at);
        buf_append(&whole, copied.data, copied.len);
        buf_append(&whole, piece->borrowed.data, piece->borrowed.len);
        at = piece->at;
    }
    struct span rest = copied_span(reply, at, buf_len(&reply->bytes));
    buf_append(&whole, rest.data, rest.len);
    buf_close(&reply->bytes);
    reply->bytes = whole;
    reply->piece_count = 0;
    reply->borrowed_bytes = 0;
}

void reply_move(struct reply *reply, struct reply *from)
{
    size_t at = 0;
    for (uint32_t i = 0; i < from->piece_count; i++) {
        const struct reply_piece *piece = &from->pieces[i];
        reply_append(reply, copied_span(from, at, piece->at));
        piece_append(reply, piece->borrowed);
        at = piece->at;
    }
    reply_append(reply, copied_span(from, at, buf_len(&from->bytes)));
    reply_close(from);
}

void reply_close(struct reply *reply)
{
    buf_close(&reply->bytes);
    free(reply->pieces);
    *reply = (struct reply){.bytes.budget = reply->bytes.budget};
}
