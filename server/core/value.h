/* A value in an answer: composed first, claimed after the store has changed (command.h). */
#ifndef DHT_SERVER_CORE_VALUE_H
#define DHT_SERVER_CORE_VALUE_H

#include "common/reply.h"

/* Whether it is copied into the answer; if not, it is borrowed when the answer is claimed. */
static inline bool value_is_copied(struct span value)
{
    return value.len < REPLY_BORROW_BYTES_MIN;
}

/* Room that the copied part of value and its line end need. */
static inline size_t value_room(struct span value)
{
    return value_is_copied(value) ? value.len + 2 : 0;
}

/* Writes that part at to; the line end follows the value in memory. Returns one past it. */
static inline char *value_compose(char *to, struct span value)
{
    size_t len = value_room(value);
    memcpy(to, value.data, len);
    return to + len;
}

/* Claims what was composed from where reply_room began up to end, and the value if borrowed. */
static inline void value_claim(struct reply *out, const char *start, const char *end,
                               struct span value)
{
    reply_advance(out, (size_t)(end - start));
    if (!value_is_copied(value))
        reply_borrow(out, span_of(value.data, value.len + 2));
}

#endif
