/* The ways out of a lost quorum: `forget`, `accept-loss`, `form`. Each names what is given up, and
 * asks. Each is a cli_command.run. */
#ifndef DHT_CLIENT_CLI_OPERATE_H
#define DHT_CLIENT_CLI_OPERATE_H

#include "client/cli.h"

int cli_forget(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_accept_loss(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_form(struct cli *cli, const struct cli_options *options, int argc, char **argv);

#endif
