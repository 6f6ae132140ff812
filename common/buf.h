/* A buf: bytes owned, growing at the end, consumed from the front.
 *
 * Invariant: start <= end <= capacity; data is NULL exactly when capacity is 0. A zeroed buf is
 * valid and empty. Growth doubles; a closed buf holds no memory. If budget is
 * set, capacity is counted there (never refused: ask budget_fits first where a peer decides how
 * much). A failed allocation stops the process. */
#ifndef DHT_COMMON_BUF_H
#define DHT_COMMON_BUF_H

#include "common/base.h"
#include "common/budget.h"
#include "common/span.h"

#include <stdarg.h>

struct buf {
    char *data;
    size_t start;          /* first unconsumed byte */
    size_t end;            /* one past the last byte */
    size_t capacity;       /* bytes allocated */
    struct budget *budget; /* borrowed, may be NULL */
};

static inline size_t buf_len(const struct buf *buf)
{
    return buf->end - buf->start;
}

static inline struct span buf_span(const struct buf *buf)
{
    return buf->data ? span_of(buf->data + buf->start, buf->end - buf->start) : (struct span){0};
}

/* buf_reserve's rarer way. */
char *buf_make_room(struct buf *buf, size_t bytes);

/* Makes room for at least bytes more at the end and returns where they go; the caller then says
 * with buf_advance how many it wrote. May move the data: moves the content to the front or grows to
 * at most four times what is then needed, whichever keeps the cost a byte constant. */
static inline char *buf_reserve(struct buf *buf, size_t bytes)
{
    if (LIKELY(buf->capacity - buf->end >= bytes && buf->data != NULL))
        return buf->data + buf->end;
    return buf_make_room(buf, bytes);
}

static inline void buf_advance(struct buf *buf, size_t bytes)
{
    buf->end += bytes;
}

/* Appends a copy of len bytes. */
void buf_append(struct buf *buf, const void *data, size_t len);
/* Appends formatted text (no terminating NUL). */
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *buf, const char *format, va_list args) PRINTF_LIKE(2, 0);
/* Drops len bytes from the front; len <= buf_len. An emptied buf starts at 0 again. */
void buf_consume(struct buf *buf, size_t len);
/* Frees the memory; keeps the budget pointer. Accepts a zeroed or closed buf. */
void buf_close(struct buf *buf);

#endif
