/* `status` and `transfers`: how the whole cluster is. Each is a cli_command.run. */
#ifndef DHT_CLIENT_CLI_STATUS_H
#define DHT_CLIENT_CLI_STATUS_H

#include "client/cli.h"

int cli_status(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_transfers(struct cli *cli, const struct cli_options *options, int argc, char **argv);

#endif
