/* The subcommands that work on items. Each is a cli_command.run. */
#ifndef DHT_CLIENT_CLI_ITEM_H
#define DHT_CLIENT_CLI_ITEM_H

#include "client/cli.h"

int cli_get(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_gat(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_exists(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_touch(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_del(struct cli *cli, const struct cli_options *options, int argc, char **argv);
/* put, add, replace, append, prepend: told apart by argv[0]. */
int cli_store(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_cas(struct cli *cli, const struct cli_options *options, int argc, char **argv);
/* incr and decr, by argv[0]. */
int cli_arith(struct cli *cli, const struct cli_options *options, int argc, char **argv);

#endif
