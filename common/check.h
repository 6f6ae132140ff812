/* Assertions that stay on in release builds: a broken invariant stops the process, which the
 * cluster survives; going on with one might not be survived.
 *
 * CHECK one condition each, so that the failure names itself. CHECK_SLOW is for whole-structure
 * walks: on only where tests and the simulator are built (-DCHECK_SLOW_ON). */
#ifndef DHT_COMMON_CHECK_H
#define DHT_COMMON_CHECK_H

#include "common/base.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (UNLIKELY(!(condition)))                                                                \
            check_failed(__FILE__, __LINE__, #condition);                                          \
    } while (0)

#ifdef CHECK_SLOW_ON
#define CHECK_SLOW(condition) CHECK(condition)
#else
#define CHECK_SLOW(condition) ((void)sizeof(condition))
#endif

/* Prints file, line, condition to stderr, then aborts. */
__attribute__((noreturn, cold)) void check_failed(const char *file, int line,
                                                  const char *condition);

#endif
