/* The subcommands about the cluster: who is in it, who leads what, and leaving it. Each is a
 * cli_command.run. */
#ifndef DHT_CLIENT_CLI_CLUSTER_H
#define DHT_CLIENT_CLI_CLUSTER_H

#include "client/cli.h"

int cli_members(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_ring(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_leave(struct cli *cli, const struct cli_options *options, int argc, char **argv);

#endif
