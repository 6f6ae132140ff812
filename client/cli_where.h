/* `where`: the copies of keys, each as its node has it. A cli_command.run. */
#ifndef DHT_CLIENT_CLI_WHERE_H
#define DHT_CLIENT_CLI_WHERE_H

#include "client/cli.h"

int cli_where(struct cli *cli, const struct cli_options *options, int argc, char **argv);

#endif
