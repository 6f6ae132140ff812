/* kvcli's interactive mode: a line is a subcommand with its arguments, quoted as in a shell. */
#ifndef DHT_CLIENT_CLI_REPL_H
#define DHT_CLIENT_CLI_REPL_H

#include "client/cli.h"

/* A cli_command.run. On a terminal with line editing, history and completion; else it reads
 * commands from standard input and returns the highest exit code met. */
int cli_repl(struct cli *cli, const struct cli_options *options, int argc, char **argv);

#endif
