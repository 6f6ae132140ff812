#include "client/bench_options.h"

#include "client/bench_dialect.h"
#include "common/check.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_COUNT, OPTION_NUMBER };

struct option_row {
    const char *name;
    enum option_kind kind;
    size_t offset; /* of the field: bool, const char *, uint32_t or double, by kind */
    const char *initial;
    double min, max;
    const char *argument; /* how --help calls it */
    const char *help;
};

#define FIELD(name) offsetof(struct bench_options, name)

static const struct option_row rows[] = {
    {"server", OPTION_TEXT, FIELD(servers), "127.0.0.1:11211", 0, 0, "HOST:PORT[,...]",
     "servers; the connections are spread over them"},
    {"resp", OPTION_FLAG, FIELD(is_resp), NULL, 0, 0, NULL, "speak to Redis instead of memcached"},
    {"ring", OPTION_FLAG, FIELD(is_ring), NULL, 0, 0, NULL,
     "ask each key of the node that leads it; the connections are spread over all nodes"},
    {"clients", OPTION_COUNT, FIELD(clients), "50", 1, 1e6, "N", "connections"},
    {"active", OPTION_COUNT, FIELD(active), NULL, 0, 1e6, "N",
     "of them send requests, the others stay idle (all)"},
    {"requests", OPTION_NUMBER, FIELD(request_count), "0", 0, 1e15, "N",
     "stop after so many (0: when the duration is over)"},
    {"duration", OPTION_NUMBER, FIELD(duration_s), "10", 0.01, 1e6, "SECONDS",
     "stop after so long"},
    {"warm-up", OPTION_NUMBER, FIELD(warm_up_s), "0", 0, 1e6, "SECONDS",
     "the same load before it, not measured"},
    {"fill", OPTION_FLAG, FIELD(is_fill), NULL, 0, 0, NULL, "first store every key once"},
    {"keys", OPTION_COUNT, FIELD(key_count), "100000", 1, BENCH_KEY_COUNT_MAX, "N",
     "number of keys"},
    {"keys-file", OPTION_TEXT, FIELD(keys_file), NULL, 0, 0, "FILE",
     "keys, one a line, all of one length, instead of made ones"},
    {"key-size", OPTION_COUNT, FIELD(key_bytes), "32", BENCH_KEY_DIGITS, BENCH_KEY_BYTES_MAX,
     "BYTES", "length of a key"},
    {"value-size", OPTION_COUNT, FIELD(value_bytes), "100", 0, 1 << 30, "BYTES",
     "length of a value; hits of another length are wrong"},
    {"get-ratio", OPTION_NUMBER, FIELD(get_ratio), "0.95", 0, 1, "RATIO",
     "share of gets; the others are sets"},
    {"zipf", OPTION_NUMBER, FIELD(zipf), "0", 0, 10, "EXPONENT",
     "draw keys by Zipf's law, 0.99 being customary (0: uniformly)"},
    {"pipeline", OPTION_COUNT, FIELD(pipeline), "1", 1, 100000, "N",
     "requests sent in one batch on a connection"},
    {"multiget", OPTION_COUNT, FIELD(multiget), "1", 1, BENCH_MULTIGET_MAX, "N", "keys a get"},
    {"rate", OPTION_NUMBER, FIELD(rate), "0", 0, 1e9, "N",
     "requests a second over all clients, each measured from its due time (0: no limit)"},
    {"pid", OPTION_TEXT, FIELD(pids), NULL, 0, 0, "PID[,...]",
     "server processes on this machine, whose CPU time is counted"},
    {"latencies", OPTION_TEXT, FIELD(latencies_file), NULL, 0, 0, "FILE",
     "write, a line for each request, when it was due (or sent) and its latency, both in ns"},
    {"timeout", OPTION_NUMBER, FIELD(timeout_s), "10", 0.01, 1e6, "SECONDS",
     "give up after so long a silence"},
    {"seed", OPTION_COUNT, FIELD(seed), "1", 0, UINT32_MAX, "N", "of the random keys"},
    {"json", OPTION_FLAG, FIELD(is_json), NULL, 0, 0, NULL, "print one JSON object"},
    {"help", OPTION_FLAG, FIELD(is_help), NULL, 0, 0, NULL, "print this"},
};

#define ACTIVE_NOT_GIVEN UINT32_MAX

static bool set_number(const struct option_row *row, const char *text, char *field)
{
    char *end;
    double number = strtod(text, &end);
    bool is_good = end != text && *end == '\0' && number >= row->min && number <= row->max;
    if (!is_good)
        return false;
    if (row->kind == OPTION_NUMBER) {
        memcpy(field, &number, sizeof(number));
        return true;
    }
    uint32_t count = (uint32_t)number;
    memcpy(field, &count, sizeof(count));
    return count == number;
}

static bool set_option(struct bench_options *options, const struct option_row *row,
                       const char *text)
{
    char *field = (char *)options + row->offset;
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)field = true;
        return true;
    case OPTION_TEXT:
        memcpy(field, &text, sizeof(text));
        return true;
    case OPTION_COUNT:
    case OPTION_NUMBER:
        return set_number(row, text, field);
    }
    return false;
}

static void set_defaults(struct bench_options *options)
{
    *options = (struct bench_options){.active = ACTIVE_NOT_GIVEN};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (rows[i].initial != NULL)
            CHECK(set_option(options, &rows[i], rows[i].initial));
}

/* getopt_long's own table; an option's val is its row. */
static void make_long_options(struct option long_options[ARRAY_COUNT(rows) + 1])
{
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        long_options[i] = (struct option){
            rows[i].name, rows[i].kind == OPTION_FLAG ? no_argument : required_argument, NULL,
            (int)i};
    long_options[ARRAY_COUNT(rows)] = (struct option){0};
}

/* What no option can say for itself. */
static enum err check_together(struct bench_options *options, const char *program)
{
    if (options->active == ACTIVE_NOT_GIVEN)
        options->active = options->clients;
    if (options->active > options->clients) {
        fprintf(stderr, "%s: --active %u: more than --clients %u\n", program, options->active,
                options->clients);
        return ERR_USAGE;
    }
    if (options->is_ring && options->is_resp) {
        fprintf(stderr, "%s: --ring: not with --resp\n", program);
        return ERR_USAGE;
    }
    if (options->active == 0 && (options->is_fill || options->request_count > 0)) {
        fprintf(stderr, "%s: --active 0: nobody to send --fill or --requests\n", program);
        return ERR_USAGE;
    }
    return ERR_OK;
}

enum err bench_options_parse(struct bench_options *options, int argc, char **argv)
{
    struct option long_options[ARRAY_COUNT(rows) + 1];
    make_long_options(long_options);
    set_defaults(options);
    optind = 0; /* glibc: forget an earlier parse, such as kvcli's own */
    int row;
    while ((row = getopt_long(argc, argv, "s:h", long_options, NULL)) != -1) {
        if (row == 's')
            options->servers = optarg;
        else if (row == 'h')
            options->is_help = true;
        else if (row == '?')
            return ERR_USAGE; /* getopt has said why */
        else if (!set_option(options, &rows[row], optarg)) {
            fprintf(stderr, "%s: --%s %s: not %s from %.15g to %.15g\n", argv[0], rows[row].name,
                    optarg, rows[row].kind == OPTION_COUNT ? "a whole number" : "a number",
                    rows[row].min, rows[row].max);
            return ERR_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: %s: not an option\n", argv[0], argv[optind]);
        return ERR_USAGE;
    }
    return check_together(options, argv[0]);
}

void bench_options_help(void)
{
    puts("Usage: kvcli bench [options]\n"
         "Loads servers and measures throughput, latency and, with --pid, their CPU time.\n");
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct option_row *row = &rows[i];
        char left[64];
        snprintf(left, sizeof(left), "--%s %s", row->name, row->argument ? row->argument : "");
        printf("  %-26s %s", left, row->help);
        if (row->initial != NULL)
            printf(" (%s)", row->initial);
        puts("");
    }
    puts("\nExamples:\n"
         "  kvcli bench --fill --clients 50 --duration 5 --pid $(pidof dht-server)\n"
         "  kvcli bench --pipeline 32 --get-ratio 0.9 --zipf 0.99\n"
         "  kvcli bench --rate 20000 --json\n"
         "  kvcli bench --ring --fill --get-ratio 0 -s 10.0.0.1:11211\n"
         "  kvcli bench --resp -s 127.0.0.1:6379");
}
