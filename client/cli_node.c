#include "client/cli_node.h"

#include "client/bench.h"
#include "client/cli_options.h"
#include "client/cli_print.h"
#include "client/cli_server.h"
#include "common/check.h"
#include "common/number.h"
#include "common/version.h"

#include <stdlib.h>

int cli_flush(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    struct dht_op op = {.verb = DHT_OP_FLUSH_ALL};
    struct dht_answer answer;
    if (argc > 1 && (!cli_ttl_parse(argv[1], &op.ttl_s) || op.ttl_s < 0)) {
        cli_complain(cli, argv[1], "a time such as 90, 10m, 2h or 7d is wanted");
        return CLI_USAGE;
    }
    if (!cli_connect(cli, options))
        return CLI_USAGE;
    if (!cli_is_agreed(cli, options, "Delete every item of the cluster behind ",
                       dht_server(cli->dht), "")) {
        cli_complain(cli, NULL, "nothing was deleted");
        return CLI_NEGATIVE;
    }
    dht_do(cli->dht, &op, &answer);
    if (cli_is_given(options, CLI_BIT(JSON)))
        cli_json_print(cli_json_result(NULL, &answer));
    else if (answer.result == DHT_OK)
        cli_tell(cli, "everything", op.ttl_s ? "will delete" : "deleted");
    else
        cli_complain_result(cli, NULL, &answer);
    return (int)cli_exit_of(answer.result);
}

/* Where the statistics go. */
struct stats {
    const struct cli *cli;
    json_t *object; /* NULL: lines are printed */
};

/* A number as a number, anything else as text. */
static json_t *json_stat(const char *text)
{
    uint64_t number;
    if (number_parse_decimal(span_of_string(text), INT64_MAX, &number))
        return json_integer((json_int_t)number);
    json_t *string = json_string(text);
    return string ? string : json_null();
}

static void hear_stat(void *arg, const struct dht_op *op, const struct dht_answer *answer)
{
    struct stats *stats = arg;
    bool has_color = stats->cli->has_color_out;
    (void)op;
    if (answer->name && stats->object)
        (void)json_object_set_new(stats->object, answer->name, json_stat(answer->text));
    else if (answer->name)
        printf("%s%-30s%s %s\n", cli_color(has_color, CLI_CYAN), answer->name,
               cli_color(has_color, CLI_PLAIN), answer->text);
    else if (answer->result != DHT_OK && stats->object)
        cli_json_print(cli_json_result(NULL, answer));
    else if (answer->result != DHT_OK)
        cli_complain_result(stats->cli, NULL, answer);
}

int cli_stats(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    struct dht_op op = {.verb = DHT_OP_STATS, .key = argc > 1 ? argv[1] : NULL};
    struct stats stats = {.cli = cli};
    struct dht *dht = cli_connect(cli, options);
    if (!dht)
        return CLI_USAGE;
    if (cli_is_given(options, CLI_BIT(JSON))) {
        stats.object = json_object();
        CHECK(stats.object != NULL);
    }
    enum dht_result result = dht_run(dht, &op, 1, hear_stat, &stats);
    if (result == DHT_USAGE)
        cli_complain(cli, argv[1], dht_why(dht));
    if (result == DHT_OK && stats.object)
        cli_json_print(stats.object);
    else
        json_decref(stats.object);
    return (int)cli_exit_of(result);
}

int cli_version(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct dht_answer answer;
    bool is_json = cli_is_given(options, CLI_BIT(JSON));
    if (!is_json)
        printf("kvcli  %s\n", DHT_VERSION);
    if (!cli_connect(cli, options))
        return CLI_USAGE;
    dht_do(cli->dht, &(struct dht_op){.verb = DHT_OP_VERSION}, &answer);
    if (is_json) {
        json_t *object = cli_json_result(NULL, &answer);
        cli_json_set(object, "kvcli", json_string(DHT_VERSION));
        if (answer.result == DHT_OK) {
            cli_json_set_bytes(object, "server", "server_base64", span_of_string(answer.text));
            cli_json_set(object, "address", json_string(dht_server(cli->dht)));
        }
        cli_json_print(object);
    } else if (answer.result == DHT_OK) {
        printf("server %s (%s)\n", answer.text, dht_server(cli->dht));
    } else {
        cli_complain_result(cli, NULL, &answer);
    }
    return (int)cli_exit_of(answer.result);
}

int cli_bench(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    (void)cli;
    char *servers = cli_servers(options);
    char **bench_argv = calloc((size_t)argc + 4, sizeof(*bench_argv));
    int bench_argc = 0;
    CHECK(bench_argv != NULL);
    if (!servers) {
        free(bench_argv);
        return CLI_USAGE;
    }
    bench_argv[bench_argc++] = argv[0];
    bench_argv[bench_argc++] = (char *)"-s";
    bench_argv[bench_argc++] = servers; /* a -s among its own options counts more: it comes later */
    if (cli_is_given(options, CLI_BIT(JSON)))
        bench_argv[bench_argc++] = (char *)"--json";
    memcpy(bench_argv + bench_argc, argv + 1, (size_t)(argc - 1) * sizeof(*argv));
    bench_argc += argc - 1;
    int exit_code = bench_main(bench_argc, bench_argv);
    free(bench_argv);
    free(servers);
    return exit_code;
}
