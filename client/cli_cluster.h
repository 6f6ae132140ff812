/* The subcommands about the cluster: who is in it, who leads what, and leaving it. Each is a
 * cli_command.run. */
#ifndef DHT_CLIENT_CLI_CLUSTER_H
#define DHT_CLIENT_CLI_CLUSTER_H

#include "client/cli.h"

int cli_members(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_ring(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_where(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_leave(struct cli *cli, const struct cli_options *options, int argc, char **argv);

/* A span of time for people: "0.4s", "12s", "3m20s", "5h03m", "2d04h". */
#define CLI_AGE_BYTES_MAX 24u
void cli_age_format(uint64_t ms, char text[CLI_AGE_BYTES_MAX]);

#endif
