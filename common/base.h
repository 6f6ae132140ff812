/* Small things every file may use. Knows nothing of the project. */
#ifndef DHT_COMMON_BASE_H
#define DHT_COMMON_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_COUNT(array)                  (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
#define MUST_USE                            __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first)            __attribute__((format(printf, text, first)))
#define LIKELY(condition)                   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition)                 __builtin_expect(!!(condition), 0)
/* A function of a line or two that a hot path calls many times in a row. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* The instant a turn of the loop began. The core never asks for it: it is told. */
struct moment {
    uint64_t mono_ms; /* monotonic milliseconds, CLOCK_BOOTTIME in the server; never falls */
    int64_t unix_ms;  /* wall clock, ms since 1970; only absolute expiry times look at it */
};

#endif
