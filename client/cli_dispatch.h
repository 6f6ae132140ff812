/* From words to a subcommand: the one way in, from the shell and from the interactive mode. */
#ifndef DHT_CLIENT_CLI_DISPATCH_H
#define DHT_CLIENT_CLI_DISPATCH_H

#include "client/cli.h"

/* Runs the command argv[0] with the arguments behind it; cli->options hold what was given before.
 * argv is reordered. Returns a cli_exit; what went wrong has been said. */
int cli_dispatch(struct cli *cli, int argc, char **argv);

#endif
