#include "common/buf.h"

#include "common/check.h"

#include <stdio.h>
#include <stdlib.h>

#define BUF_CAPACITY_MIN 64

/* Moves the content to the front. */
static void buf_compact(struct buf *buf)
{
    size_t len = buf_len(buf);
    if (buf->start > 0) {
        CHECK(buf->data != NULL);
        memmove(buf->data, buf->data + buf->start, len);
    }
    buf->start = 0;
    buf->end = len;
}

static void buf_grow(struct buf *buf, size_t capacity)
{
    char *data = realloc(buf->data, capacity);
    CHECK(data != NULL);
    if (buf->budget)
        buf->budget->used_bytes += capacity - buf->capacity;
    buf->data = data;
    buf->capacity = capacity;
}

char *buf_make_room(struct buf *buf, size_t bytes)
{
    size_t len = buf_len(buf);
    CHECK(bytes <= SIZE_MAX / 4 - len);
    /* Without growing, moving must be paid for by at least as many bytes consumed, lest a full buf
     * of which a few bytes at a time are consumed be moved for every few. */
    bool is_paid = buf->start >= len;
    buf_compact(buf);
    if (!is_paid || buf->capacity - len < bytes || !buf->data) {
        size_t capacity = buf->capacity ? buf->capacity * 2 : BUF_CAPACITY_MIN;
        while (capacity < len + bytes)
            capacity *= 2;
        buf_grow(buf, capacity);
    }
    return buf->data + buf->end;
}

void buf_append(struct buf *buf, const void *data, size_t len)
{
    if (len == 0)
        return;
    memcpy(buf_reserve(buf, len), data, len);
    buf->end += len;
}

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    CHECK(len >= 0);
    char *room = buf_reserve(buf, (size_t)len + 1);
    vsnprintf(room, (size_t)len + 1, format, args);
    buf->end += (size_t)len;
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(buf, format, args);
    va_end(args);
}

void buf_consume(struct buf *buf, size_t len)
{
    CHECK(len <= buf_len(buf));
    buf->start += len;
    if (buf->start == buf->end)
        buf->start = buf->end = 0;
}

void buf_close(struct buf *buf)
{
    if (buf->budget) {
        CHECK(buf->budget->used_bytes >= buf->capacity);
        buf->budget->used_bytes -= buf->capacity;
    }
    free(buf->data);
    *buf = (struct buf){.budget = buf->budget};
}
