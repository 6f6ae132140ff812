/* What the table of subcommands says for itself: help, suggestions, completion. */
#ifndef DHT_CLIENT_CLI_HELP_H
#define DHT_CLIENT_CLI_HELP_H

#include "client/cli.h"

#include <stdio.h>

/* The command of this name or alias; NULL if there is none. */
const struct cli_command *cli_command_find(const struct cli *cli, const char *name);
/* The name most like a mistyped one; NULL if none is near. */
const char *cli_command_nearest(const struct cli *cli, const char *name);

/* Prints the overview, or all about one command. */
void cli_help_overview(const struct cli *cli);
void cli_help_command(const struct cli *cli, const struct cli_command *command);
/* "Usage: kvcli put KEY [VALUE] [options]". */
void cli_help_usage(const struct cli_command *command, FILE *stream);

/* Subcommands: help [COMMAND], completion bash. */
int cli_help(struct cli *cli, const struct cli_options *options, int argc, char **argv);
int cli_completion(struct cli *cli, const struct cli_options *options, int argc, char **argv);

#endif
