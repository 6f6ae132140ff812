#include "client/cli_item.h"

#include "client/cli_options.h"
#include "client/cli_print.h"
#include "client/cli_server.h"
#include "client/cli_value.h"
#include "common/check.h"
#include "common/number.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

/* How the answers of one command are told. */
struct telling {
    struct cli *cli;
    const struct cli_options *options;
    bool is_many;  /* several values: a newline behind each */
    bool has_told; /* that no server answers: once, not for each key */
    int exit_code; /* the highest so far */
};

/* What a person is told on success; NULL where the answer is data. */
static const char *const done_texts[] = {
    [DHT_OP_EXISTS] = "exists",        [DHT_OP_TOUCH] = "touched",
    [DHT_OP_SET] = "stored",           [DHT_OP_ADD] = "added",
    [DHT_OP_REPLACE] = "replaced",     [DHT_OP_APPEND] = "appended to",
    [DHT_OP_PREPEND] = "prepended to", [DHT_OP_DELETE] = "deleted",
};

static json_t *json_u64(uint64_t number)
{
    char text[DECIMAL_BYTES_MAX];
    if (number <= INT64_MAX)
        return json_integer((json_int_t)number);
    return json_stringn(text, (size_t)(number_format_decimal(text, number) - text));
}

static void print_json(const struct dht_op *op, const struct dht_answer *answer)
{
    json_t *object = cli_json_result(op->key, answer);
    bool is_arith = op->verb == DHT_OP_INCR || op->verb == DHT_OP_DECR;
    if (answer->result == DHT_OK && is_arith)
        cli_json_set(object, "number", json_u64(answer->number));
    else if (answer->value) {
        json_t *ttl = answer->ttl_s < 0 ? json_null() : json_integer(answer->ttl_s);
        cli_json_set_bytes(object, "value", "base64", span_of(answer->value, answer->value_bytes));
        cli_json_set(object, "flags", json_integer(answer->flags));
        cli_json_set(object, "ttl", ttl);
    }
    if (answer->cas)
        cli_json_set(object, "cas", json_u64(answer->cas));
    cli_json_print(object);
}

/* The bytes as they are; a newline only between several, and where a person or a script of commands
 * reads lines. */
static void print_value(const struct telling *telling, const struct dht_answer *answer)
{
    size_t len = answer->value_bytes;
    bool ends_line = len > 0 && answer->value[len - 1] == '\n';
    fwrite(answer->value, 1, len, stdout);
    bool wants_lines = telling->cli->is_interactive || isatty(STDOUT_FILENO);
    if (telling->is_many || (wants_lines && !ends_line))
        putchar('\n');
}

static void print_done(const struct telling *telling, const struct dht_op *op,
                       const struct dht_answer *answer)
{
    switch (op->verb) {
    case DHT_OP_GET:
    case DHT_OP_GAT:
        print_value(telling, answer);
        break;
    case DHT_OP_INCR:
    case DHT_OP_DECR:
        printf("%" PRIu64 "\n", answer->number);
        break;
    default:
        cli_tell(telling->cli, op->key, done_texts[op->verb]);
    }
}

/* --verbose: who was asked, and which way the answer came. */
static void tell_who(const struct telling *telling, const struct dht_op *op,
                     const struct dht_answer *answer)
{
    const struct cli *cli = telling->cli;
    fflush(stdout);
    fprintf(stderr, "%skvcli: %s: %s%s%s%s\n", cli_color(cli->has_color_err, CLI_DIM), op->key,
            answer->server ? "asked " : "nobody could be asked",
            answer->server ? answer->server : "",
            answer->is_direct ? ", answered directly by another node" : "",
            cli_color(cli->has_color_err, CLI_PLAIN));
}

static void hear(void *arg, const struct dht_op *op, const struct dht_answer *answer)
{
    struct telling *telling = arg;
    const struct cli *cli = telling->cli;
    int exit_code = (int)cli_exit_of(answer->result);
    bool is_unreached = answer->result == DHT_CANNOT_CONNECT || answer->result == DHT_TIMEOUT;
    if (exit_code > telling->exit_code)
        telling->exit_code = exit_code;
    if (cli_is_given(telling->options, CLI_BIT(VERBOSE)))
        tell_who(telling, op, answer);
    if (cli_is_given(telling->options, CLI_BIT(JSON)))
        print_json(op, answer);
    else if (answer->result == DHT_OK)
        print_done(telling, op, answer);
    else if (op->verb == DHT_OP_EXISTS && answer->result == DHT_NOT_FOUND)
        cli_tell(cli, op->key, "not found:"); /* an answer like the other: no complaint */
    else if (!is_unreached || !telling->has_told)
        cli_complain_result(cli, is_unreached ? NULL : op->key, answer);
    telling->has_told = telling->has_told || is_unreached;
}

/* Carries out ops and tells what came of them. */
static int run(struct cli *cli, const struct cli_options *options, const struct dht_op *ops,
               size_t op_count)
{
    struct telling telling = {.cli = cli, .options = options, .is_many = op_count > 1};
    struct dht *dht = cli_connect(cli, options);
    if (!dht)
        return CLI_USAGE;
    if (dht_run(dht, ops, op_count, hear, &telling) != DHT_USAGE)
        return telling.exit_code;
    cli_complain(cli, NULL, dht_why(dht));
    return CLI_USAGE;
}

/* The same operation on each of keys. */
static int run_each(struct cli *cli, const struct cli_options *options, struct dht_op op,
                    int key_count, char **keys)
{
    struct dht_op *ops = calloc((size_t)key_count, sizeof(*ops));
    CHECK(ops != NULL);
    for (int i = 0; i < key_count; i++) {
        ops[i] = op;
        ops[i].key = keys[i];
    }
    int exit_code = run(cli, options, ops, (size_t)key_count);
    free(ops);
    return exit_code;
}

int cli_get(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    return run_each(cli, options, (struct dht_op){.verb = DHT_OP_GET}, argc - 1, argv + 1);
}

int cli_exists(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    return run_each(cli, options, (struct dht_op){.verb = DHT_OP_EXISTS}, argc - 1, argv + 1);
}

int cli_del(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    struct dht_op op = {.verb = DHT_OP_DELETE, .cas = options->cas};
    return run_each(cli, options, op, argc - 1, argv + 1);
}

/* gat and touch: TTL KEY… */
static int run_with_ttl(struct cli *cli, const struct cli_options *options, enum dht_verb verb,
                        const char *ttl, int key_count, char **keys)
{
    struct dht_op op = {.verb = verb};
    if (!cli_ttl_parse(ttl, &op.ttl_s)) {
        cli_complain(cli, ttl, "a time such as 90, 10m, 2h or 7d is wanted");
        return CLI_USAGE;
    }
    return run_each(cli, options, op, key_count, keys);
}

int cli_gat(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    return run_with_ttl(cli, options, DHT_OP_GAT, argv[1], argc - 2, argv + 2);
}

int cli_touch(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    return run_with_ttl(cli, options, DHT_OP_TOUCH, argv[argc - 1], argc - 2, argv + 1);
}

/* op, with the value that word stands for. */
static int run_store(struct cli *cli, const struct cli_options *options, struct dht_op op,
                     const char *word)
{
    struct buf value = {0};
    int exit_code = CLI_USAGE;
    if (cli_value_read(cli, word, &value) == ERR_OK) {
        op.value = value.data + value.start;
        op.value_bytes = buf_len(&value);
        op.ttl_s = options->ttl_s;
        op.flags = options->flags;
        exit_code = run(cli, options, &op, 1);
    }
    buf_close(&value);
    return exit_code;
}

static enum dht_verb verb_of(const char *name)
{
    static const struct {
        const char *name;
        enum dht_verb verb;
    } names[] = {{"put", DHT_OP_SET},         {"add", DHT_OP_ADD},
                 {"replace", DHT_OP_REPLACE}, {"append", DHT_OP_APPEND},
                 {"prepend", DHT_OP_PREPEND}, {"incr", DHT_OP_INCR},
                 {"decr", DHT_OP_DECR}};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].verb;
    CHECK(false);
}

int cli_store(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    struct dht_op op = {.verb = verb_of(argv[0]), .key = argv[1], .cas = options->cas};
    return run_store(cli, options, op, argc > 2 ? argv[2] : NULL);
}

int cli_cas(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    struct dht_op op = {.verb = DHT_OP_SET, .key = argv[1]};
    if (!number_parse_decimal(span_of_string(argv[2]), UINT64_MAX, &op.cas) || op.cas == 0) {
        cli_complain(cli, argv[2], "the number that get --json shows as cas is wanted");
        return CLI_USAGE;
    }
    return run_store(cli, options, op, argc > 3 ? argv[3] : NULL);
}

int cli_arith(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    struct dht_op op = {.verb = verb_of(argv[0]), .key = argv[1], .delta = 1, .cas = options->cas};
    if (argc > 2 && !number_parse_decimal(span_of_string(argv[2]), UINT64_MAX, &op.delta)) {
        cli_complain(cli, argv[2], "a number from 0 to 18446744073709551615 is wanted");
        return CLI_USAGE;
    }
    return run(cli, options, &op, 1);
}
