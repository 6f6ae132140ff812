/* Questions to one node and no other, answered in JSON: how kvcli looks at each node of a cluster.
 * A node that does not answer costs a second, not the whole time. */
#ifndef DHT_CLIENT_CLI_ASK_H
#define DHT_CLIENT_CLI_ASK_H

#include "client/cli.h"
#include "common/buf.h"
#include "common/node_report.h"

#define CLI_ASK_TIMEOUT_MS 1000u
#define CLI_WHY_BYTES_MAX  256u

/* Asks the node of that name, over a connection of its own, for at most CLI_ASK_TIMEOUT_MS, or the
 * time that --timeout gives if that is less.
 * json  out: the report, to be closed; empty unless DHT_OK is returned.
 * why   out: why there is none, for people. */
enum dht_result cli_ask(const struct cli_options *options, const char *node,
                        const struct dht_op *op, struct buf *json, char why[CLI_WHY_BYTES_MAX]);

/* Whether a command that asks every node may do so: not if --via has named the only one that may be
 * connected with, which is said. */
bool cli_may_ask_all(const struct cli *cli, const struct cli_options *options, const char *command);

/* The same of any of the session's servers. Says on stderr what went wrong. Returns a cli_exit;
 * name: out, who answered, borrowed until the next call with the session's client. */
int cli_ask_any(struct cli *cli, const struct cli_options *options, const struct dht_op *op,
                struct buf *json, const char **name);

/* Asks any of them for its status. status: out, to be closed on CLI_DONE; else what went wrong has
 * been said. */
int cli_ask_status(struct cli *cli, const struct cli_options *options, struct node_status *status);

#endif
