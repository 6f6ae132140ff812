#include "client/bench_cpu.h"

#include "common/number.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* A process's CPU clock is as exact as the scheduler's books, and up to date even while the process
 * runs; utime and stime of /proc are rounded to ticks of 10 ms. */
static bool process_cpu_ns(pid_t pid, uint64_t *cpu_ns)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return false;
    *cpu_ns = (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
    return true;
}

enum err bench_cpu_ns(const char *list, uint64_t *cpu_ns)
{
    *cpu_ns = 0;
    for (const char *at = list; at != NULL; at = *at == ',' ? at + 1 : NULL) {
        struct span text = span_of(at, strcspn(at, ","));
        uint64_t pid;
        if (!number_parse_decimal(text, INT32_MAX, &pid) || pid == 0) {
            fprintf(stderr, "bench: --pid %s: not process ids\n", list);
            return ERR_USAGE;
        }
        uint64_t one_ns;
        if (!process_cpu_ns((pid_t)pid, &one_ns)) {
            fprintf(stderr, "bench: --pid %d: no such process\n", (int)pid);
            return ERR_NOT_FOUND;
        }
        *cpu_ns += one_ns;
        at += text.len;
    }
    return ERR_OK;
}

uint64_t bench_cpu_own_ns(void)
{
    uint64_t cpu_ns = 0;
    return process_cpu_ns(getpid(), &cpu_ns) ? cpu_ns : 0;
}
