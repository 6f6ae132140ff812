#include "client/bench.h"

#include "client/bench_cpu.h"
#include "client/bench_report.h"
#include "common/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum exit_code { EXIT_DONE = 0, EXIT_WRONG = 1, EXIT_USAGE = 2, EXIT_REACH = 3, EXIT_REFUSED = 4 };

static enum exit_code exit_code_of_err(enum err err)
{
    return err == ERR_OK ? EXIT_DONE : err == ERR_USAGE ? EXIT_USAGE : EXIT_REACH;
}

/* The worst first: a wrong answer is the server's bug, the rest its state. */
static enum exit_code exit_code_of_result(const struct bench_result *result)
{
    if (result->wrong_count > 0)
        return EXIT_WRONG;
    if (result->lost_count > 0)
        return EXIT_REACH;
    return result->refused_count > 0 ? EXIT_REFUSED : EXIT_DONE;
}

static uint64_t nanoseconds(double seconds)
{
    return (uint64_t)(seconds * 1e9);
}

/* Runs a phase that is not reported; what went wrong in it stops the benchmark with a line. */
static enum exit_code prepare(struct bench_load *load, const char *name,
                              const struct bench_phase *phase, struct bench_result *result)
{
    bench_load_run(load, phase, result);
    enum exit_code code = exit_code_of_result(result);
    if (code != EXIT_DONE)
        fprintf(stderr, "bench: %s: %ju refused, %ju wrong, %ju connections lost\n", name,
                (uintmax_t)result->refused_count, (uintmax_t)result->wrong_count,
                (uintmax_t)result->lost_count);
    return code;
}

/* Writes latencies, kept in memory until now so that nothing is written while it is measured. */
static void write_latencies(FILE *file, const struct buf *latencies)
{
    struct bench_latency latency;
    for (struct span rest = buf_span(latencies); rest.len > 0;
         rest = span_of(rest.data + sizeof(latency), rest.len - sizeof(latency))) {
        memcpy(&latency, rest.data, sizeof(latency));
        fprintf(file, "%ju %ju\n", (uintmax_t)latency.from_ns, (uintmax_t)latency.latency_ns);
    }
}

static enum exit_code measure(struct bench_load *load, const struct bench_phase *phase,
                              struct bench_result *result)
{
    struct bench_report report = {
        .options = load->options, .keys = load->dialect->keys, .result = result};
    uint64_t before_ns, after_ns;
    enum err err = bench_cpu_ns(load->options->pids, &before_ns);
    if (err != ERR_OK)
        return exit_code_of_err(err);
    uint64_t own_before_ns = bench_cpu_own_ns();
    bench_load_run(load, phase, result);
    report.own_cpu_ns = bench_cpu_own_ns() - own_before_ns;
    err = bench_cpu_ns(load->options->pids, &after_ns);
    if (err != ERR_OK)
        return exit_code_of_err(err);
    report.server_cpu_ns = after_ns - before_ns;
    bench_report_print(&report);
    return exit_code_of_result(result);
}

/* The same, with each latency written to a file. */
static enum exit_code measure_each(struct bench_load *load, struct bench_phase phase,
                                   struct bench_result *result)
{
    const char *path = load->options->latencies_file;
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        fprintf(stderr, "bench: --latencies %s: %s\n", path, strerror(errno));
        return EXIT_USAGE;
    }
    struct buf latencies = {0};
    phase.latencies = &latencies;
    enum exit_code code = measure(load, &phase, result);
    write_latencies(file, &latencies);
    buf_close(&latencies);
    bool is_bad = ferror(file) != 0;
    is_bad |= fclose(file) != 0;
    if (is_bad) {
        fprintf(stderr, "bench: --latencies %s: not written: %s\n", path, strerror(errno));
        return EXIT_USAGE;
    }
    return code;
}

/* Fill, warm-up, measurement, as asked for. */
static enum exit_code run_phases(struct bench_load *load)
{
    const struct bench_options *options = load->options;
    struct bench_phase fill = {.kind = BENCH_FILL,
                               .request_count = load->dialect->keys->count,
                               .duration_ns = UINT64_MAX,
                               .batch = load->batch_max};
    struct bench_phase mix = {.kind = BENCH_MIX,
                              .request_count = UINT64_MAX,
                              .duration_ns = nanoseconds(options->warm_up_s),
                              .rate = options->rate,
                              .batch = options->pipeline};
    struct bench_result *result = malloc(sizeof(*result));
    CHECK(result != NULL);
    enum exit_code code = EXIT_DONE;
    if (options->is_fill)
        code = prepare(load, "fill", &fill, result);
    if (code == EXIT_DONE && options->warm_up_s > 0)
        code = prepare(load, "warm-up", &mix, result);
    mix.duration_ns = nanoseconds(options->duration_s);
    if (options->request_count > 0) {
        mix.request_count = (uint64_t)options->request_count;
        mix.duration_ns = UINT64_MAX;
    }
    if (code == EXIT_DONE && options->latencies_file != NULL)
        code = measure_each(load, mix, result);
    else if (code == EXIT_DONE)
        code = measure(load, &mix, result);
    free(result);
    return code;
}

static enum exit_code make_keys(struct bench_keys *keys, const struct bench_options *options)
{
    if (options->keys_file == NULL) {
        bench_keys_init(keys, options->key_count, options->key_bytes);
        return EXIT_DONE;
    }
    enum err err = bench_keys_read(keys, options->keys_file);
    if (err == ERR_OK)
        return EXIT_DONE;
    fprintf(stderr, "bench: --keys-file %s: %s\n", options->keys_file,
            err == ERR_IO ? strerror(errno) : "not keys of one length, one a line");
    return EXIT_USAGE;
}

int bench_main(int argc, char **argv)
{
    struct bench_options options;
    if (bench_options_parse(&options, argc, argv) != ERR_OK)
        return EXIT_USAGE;
    if (options.is_help) {
        bench_options_help();
        return EXIT_DONE;
    }
    struct bench_keys keys;
    enum exit_code code = make_keys(&keys, &options);
    if (code != EXIT_DONE)
        return code;
    struct bench_dialect dialect;
    bench_dialect_init(&dialect, options.is_resp ? BENCH_RESP : BENCH_MEMCACHED, &keys,
                       options.multiget, options.value_bytes);
    struct bench_load load = {0};
    struct bench_ring ring = {0};
    enum err err = ERR_OK;
    if (options.is_ring)
        err = bench_ring_learn(&ring, options.servers, &keys, options.timeout_s);
    if (err == ERR_OK)
        err = bench_load_open(&load, &options, &dialect, options.is_ring ? &ring : NULL);
    code = err == ERR_OK ? run_phases(&load) : exit_code_of_err(err);
    bench_load_close(&load);
    bench_ring_close(&ring);
    bench_dialect_close(&dialect);
    bench_keys_close(&keys);
    return code;
}
