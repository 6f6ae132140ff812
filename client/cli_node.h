/* The subcommands that ask a node rather than for an item, and bench. Each is a cli_command.run. */
#ifndef DHT_CLIENT_CLI_NODE_H
#define DHT_CLIENT_CLI_NODE_H

#include "client/cli.h"

int cli_flush(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_stats(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_version(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_bench(struct cli *cli, const struct cli_options *options, int argc, char **argv);

#endif
