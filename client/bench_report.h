/* Prints what a benchmark measured, for people or as JSON. */
#ifndef DHT_CLIENT_BENCH_REPORT_H
#define DHT_CLIENT_BENCH_REPORT_H

#include "client/bench_load.h"

struct bench_report {
    const struct bench_options *options; /* borrowed */
    const struct bench_keys *keys;       /* borrowed */
    const struct bench_result *result;   /* borrowed */
    uint64_t server_cpu_ns; /* used by the processes of --pid during the measured phase */
    uint64_t own_cpu_ns;    /* by this process */
};

/* One result on stdout, as options->is_json says. */
void bench_report_print(const struct bench_report *report);

#endif
