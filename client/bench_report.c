#include "client/bench_report.h"

#include "common/check.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    double fraction;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}};

static double per_second(uint64_t count, uint64_t ns)
{
    return ns == 0 ? 0 : (double)count * 1e9 / (double)ns;
}

static double seconds(uint64_t ns)
{
    return (double)ns / 1e9;
}

static double quantile_us(const struct bench_result *result, double fraction)
{
    return (double)bench_histogram_quantile(&result->latency_ns, fraction) / 1e3;
}

static void print_text(const struct bench_report *report)
{
    const struct bench_options *options = report->options;
    const struct bench_result *result = report->result;
    printf(
        "load        %u connections, %u active, %u requests a batch, %.4g %% gets of %u keys%s\n",
        options->clients, options->active, options->pipeline, options->get_ratio * 100,
        options->multiget, options->is_ring ? ", of those who lead them" : "");
    printf("data        %u keys of %u bytes, values of %u bytes\n", report->keys->count,
           report->keys->key_bytes, options->value_bytes);
    printf("throughput  %.0f operations/s, %.0f requests/s, %.3f s\n",
           per_second(result->key_count, result->elapsed_ns),
           per_second(result->request_count, result->elapsed_ns), seconds(result->elapsed_ns));
    if (options->pids != NULL)
        printf("server CPU  %.0f operations per CPU second, %.3f s used\n",
               per_second(result->key_count, report->server_cpu_ns),
               seconds(report->server_cpu_ns));
    printf("latency us ");
    for (size_t i = 0; i < ARRAY_COUNT(quantiles); i++)
        printf(" %s %.1f", quantiles[i].name, quantile_us(result, quantiles[i].fraction));
    printf("\nanswers     %ju hits, %ju misses, %ju stored, %ju refused, %ju wrong\n",
           (uintmax_t)result->hit_count, (uintmax_t)result->miss_count,
           (uintmax_t)result->set_count, (uintmax_t)result->refused_count,
           (uintmax_t)result->wrong_count);
    if (result->lost_count > 0)
        printf("lost        %ju connections\n", (uintmax_t)result->lost_count);
    if (result->unsent_count > 0)
        printf("behind      %ju requests were due but not sent before the end\n",
               (uintmax_t)result->unsent_count);
    printf("generator   %.0f %% of one CPU\n",
           100 * (double)report->own_cpu_ns / (double)result->elapsed_ns);
}

static json_t *latency_json(const struct bench_result *result)
{
    json_t *latency = json_object();
    for (size_t i = 0; i < ARRAY_COUNT(quantiles); i++)
        json_object_set_new(latency, quantiles[i].name,
                            json_real(quantile_us(result, quantiles[i].fraction)));
    return latency;
}

static void print_json(const struct bench_report *report)
{
    const struct bench_options *options = report->options;
    const struct bench_result *result = report->result;
    json_t *json = json_pack(
        "{s:I, s:I, s:f, s:f, s:f, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "requests",
        (json_int_t)result->request_count, "operations", (json_int_t)result->key_count, "seconds",
        seconds(result->elapsed_ns), "requests_per_second",
        per_second(result->request_count, result->elapsed_ns), "operations_per_second",
        per_second(result->key_count, result->elapsed_ns), "latency_us", latency_json(result),
        "hits", (json_int_t)result->hit_count, "misses", (json_int_t)result->miss_count, "stored",
        (json_int_t)result->set_count, "refused", (json_int_t)result->refused_count, "wrong",
        (json_int_t)result->wrong_count, "lost", (json_int_t)result->lost_count, "unsent",
        (json_int_t)result->unsent_count, "generator_cpu_seconds", seconds(report->own_cpu_ns));
    CHECK(json != NULL);
    if (options->pids != NULL) {
        json_object_set_new(json, "server_cpu_seconds", json_real(seconds(report->server_cpu_ns)));
        json_object_set_new(json, "operations_per_server_cpu_second",
                            json_real(per_second(result->key_count, report->server_cpu_ns)));
    }
    char *text = json_dumps(json, JSON_REAL_PRECISION(9));
    CHECK(text != NULL);
    puts(text);
    free(text);
    json_decref(json);
}

void bench_report_print(const struct bench_report *report)
{
    if (report->options->is_json)
        print_json(report);
    else
        print_text(report);
}
