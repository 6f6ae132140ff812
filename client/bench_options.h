/* The options of kvcli bench: one table, from which parsing, defaults and --help are made. */
#ifndef DHT_CLIENT_BENCH_OPTIONS_H
#define DHT_CLIENT_BENCH_OPTIONS_H

#include "common/err.h"

struct bench_options {
    const char *servers;   /* host:port[,host:port…]; clients are spread over them */
    const char *pids;      /* pid[,pid…] of server processes whose CPU is counted; NULL: none */
    const char *keys_file; /* one key a line, instead of made ones; NULL: none */
    const char *latencies_file; /* is given each request's latency; NULL: none */
    uint32_t clients;           /* connections opened, 1 or more */
    uint32_t active;            /* of them send requests; never above clients */
    uint32_t key_count;
    uint32_t key_bytes;
    uint32_t value_bytes;
    uint32_t pipeline; /* requests a batch, 1 or more */
    uint32_t multiget; /* keys a get, 1 or more */
    uint32_t seed;
    double request_count; /* whole number; 0: until the duration is over */
    double duration_s;
    double warm_up_s; /* the same load before it, not measured */
    double timeout_s; /* of silence while answers are awaited */
    double get_ratio; /* 0 … 1; the others are sets */
    double zipf;      /* exponent; 0: uniform */
    double rate;      /* requests a second over all clients; 0: as fast as answers come */
    bool is_resp;
    bool is_ring; /* each connection asks a node of a cluster for keys that it leads */
    bool is_fill; /* store every key once before */
    bool is_json;
    bool is_help;
};

/* Parses argv (argv[0] is no option) into options, defaults included; texts are borrowed from argv.
 * errors  ERR_USAGE: a line on stderr says what is wrong. */
MUST_USE enum err bench_options_parse(struct bench_options *options, int argc, char **argv);
/* Prints every option with its default, and examples, to stdout. */
void bench_options_help(void);

#endif
