#include "common/reply.h"

#include "common/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void reply_printf(struct reply *reply, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(len >= 0);
    char *room = reply_room(reply, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(room, (size_t)len + 1, format, args);
    va_end(args);
    reply_advance(reply, (size_t)len);
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

/* Pieces count from the first unconsumed byte, so buf moving its content to the front is harmless. */
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

int reply_gather(const struct reply *reply, struct iovec *iov, int iov_max)
{
    struct span bytes = buf_span(&reply->bytes);
    size_t at = 0;
    int count = 0;
    for (uint32_t i = 0; i < reply->piece_count && count + 2 <= iov_max; i++) {
        const struct reply_piece *piece = &reply->pieces[i];
        if (piece->at > at)
            iov[count++] = (struct iovec){(char *)bytes.data + at, piece->at - at};
        at = piece->at;
        iov[count++] = (struct iovec){(char *)piece->borrowed.data, piece->borrowed.len};
        if (i + 1 < reply->piece_count && count + 2 > iov_max)
            return count;
    }
    if (bytes.len > at && count < iov_max)
        iov[count++] = (struct iovec){(char *)bytes.data + at, bytes.len - at};
    return count;
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
    char *to = buf_reserve(&whole, reply_len(reply));
    struct span bytes = buf_span(&reply->bytes);
    size_t at = 0;
    for (uint32_t i = 0; i < reply->piece_count; i++) {
        const struct reply_piece *piece = &reply->pieces[i];
        if (piece->at > at)
            memcpy(to, bytes.data + at, piece->at - at);
        to += piece->at - at;
        at = piece->at;
        memcpy(to, piece->borrowed.data, piece->borrowed.len);
        to += piece->borrowed.len;
    }
    if (bytes.len > at)
        memcpy(to, bytes.data + at, bytes.len - at);
    buf_advance(&whole, reply_len(reply));
    buf_close(&reply->bytes);
    reply->bytes = whole;
    reply->piece_count = 0;
    reply->borrowed_bytes = 0;
}

void reply_move(struct reply *reply, struct reply *from)
{
    struct span bytes = buf_span(&from->bytes);
    size_t at = 0;
    for (uint32_t i = 0; i < from->piece_count; i++) {
        const struct reply_piece *piece = &from->pieces[i];
        reply_append(reply, span_of(bytes.data + at, piece->at - at));
        at = piece->at;
        piece_append(reply, piece->borrowed);
    }
    reply_append(reply, span_of(bytes.data + at, bytes.len - at));
    reply_close(from);
}

void reply_close(struct reply *reply)
{
    buf_close(&reply->bytes);
    free(reply->pieces);
    *reply = (struct reply){.bytes.budget = reply->bytes.budget};
}
