/* CPU time of other processes, to the nanosecond. */
#ifndef DHT_CLIENT_BENCH_CPU_H
#define DHT_CLIENT_BENCH_CPU_H

#include "common/err.h"

/* Sum of the CPU time, user and system, that the processes of list (pid[,pid…]) and all their
 * threads have used so far. NULL: 0.
 * errors  ERR_USAGE: not such a list. ERR_NOT_FOUND: no such process. A line on stderr. */
MUST_USE enum err bench_cpu_ns(const char *list, uint64_t *cpu_ns);
/* The same of this process. */
uint64_t bench_cpu_own_ns(void);

#endif
