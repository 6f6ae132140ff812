#include "client/cli_ask.h"

#include "client/cli_print.h"
#include "client/cli_server.h"

#include <stdio.h>

static void keep(const struct dht_answer *answer, struct buf *json)
{
    if (answer->result == DHT_OK && answer->value)
        buf_append(json, answer->value, answer->value_bytes);
}

enum dht_result cli_ask(const struct cli_options *options, const char *node,
                        const struct dht_op *op, struct buf *json, char why[CLI_WHY_BYTES_MAX])
{
    const char *fault;
    struct dht_answer answer;
    unsigned timeout_ms = CLI_ASK_TIMEOUT_MS;
    *json = (struct buf){0};
    struct dht *dht = dht_open(node, &fault);
    if (!dht) {
        snprintf(why, CLI_WHY_BYTES_MAX, "%s", fault);
        return DHT_USAGE;
    }
    if (cli_is_given(options, CLI_BIT(TIMEOUT)) && options->timeout_ms < timeout_ms)
        timeout_ms = options->timeout_ms;
    dht_set_timeout(dht, timeout_ms);
    enum dht_result result = dht_do(dht, op, &answer);
    snprintf(why, CLI_WHY_BYTES_MAX, "%s", answer.text);
    keep(&answer, json);
    dht_close(dht);
    return result;
}

bool cli_may_ask_all(const struct cli *cli, const struct cli_options *options, const char *command)
{
    if (!cli_is_given(options, CLI_BIT(VIA)))
        return true;
    cli_complain(cli, command, "asks every node: not with --via");
    return false;
}

int cli_ask_any(struct cli *cli, const struct cli_options *options, const struct dht_op *op,
                struct buf *json, const char **name)
{
    struct dht_answer answer;
    *json = (struct buf){0};
    if (!cli_connect(cli, options))
        return CLI_USAGE;
    dht_do(cli->dht, op, &answer);
    *name = dht_server(cli->dht);
    keep(&answer, json);
    if (answer.result == DHT_OK)
        return CLI_DONE;
    if (cli_is_given(options, CLI_BIT(JSON)))
        cli_json_print(cli_json_result(NULL, &answer));
    else
        cli_complain_result(cli, NULL, &answer);
    return (int)cli_exit_of(answer.result);
}

int cli_ask_status(struct cli *cli, const struct cli_options *options, struct node_status *status)
{
    struct buf json;
    const char *name;
    const struct dht_op op = {.verb = DHT_OP_STATUS};
    *status = (struct node_status){0};
    int exit_code = cli_ask_any(cli, options, &op, &json, &name);
    if (exit_code == CLI_DONE && node_status_parse(buf_span(&json), status) != ERR_OK) {
        cli_complain(cli, name, "told a status that can't be read");
        exit_code = CLI_REFUSED;
    }
    buf_close(&json);
    return exit_code;
}
