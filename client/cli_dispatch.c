#include "client/cli_dispatch.h"

#include "client/cli_help.h"
#include "client/cli_options.h"
#include "client/cli_print.h"

static int unknown(const struct cli *cli, const char *name)
{
    const char *nearest = cli_command_nearest(cli, name);
    cli_complain(cli, name, "no such command");
    if (nearest)
        fprintf(stderr, "Did you mean: %s%s\n", cli->is_interactive ? "" : "kvcli ", nearest);
    else
        fprintf(stderr, "See: %shelp\n", cli->is_interactive ? "" : "kvcli ");
    return CLI_USAGE;
}

static int misused(const struct cli_command *command)
{
    cli_help_usage(command, stderr);
    fprintf(stderr, "See: kvcli help %s\n", command->name);
    return CLI_USAGE;
}

/* Whether only options stand that the command takes; one it does not could be thought to count. */
static bool options_fit(const struct cli *cli, const struct cli_command *command,
                        const struct cli_options *options)
{
    unsigned surplus = options->given & ~(command->options | CLI_OPTIONS_COMMON);
    for (size_t i = 0; i < CLI_OPTION_COUNT; i++) {
        char text[64];
        if (!(surplus & 1u << i))
            continue;
        snprintf(text, sizeof(text), "--%s does not go with it", cli_option_table[i].name);
        cli_complain(cli, command->name, text);
        return false;
    }
    return true;
}

int cli_dispatch(struct cli *cli, int argc, char **argv)
{
    struct cli_options options = cli->options;
    int operand;
    const struct cli_command *command = cli_command_find(cli, argv[0]);
    if (!command)
        return unknown(cli, argv[0]);
    if (command->parses_itself) {
        argv[0] = (char *)command->name;
        return command->run(cli, &options, argc, argv);
    }
    if (cli_options_parse(&options, argc, argv, false, &operand) != ERR_OK)
        return misused(command);
    if (cli_is_given(&options, CLI_BIT(HELP))) {
        cli_help_command(cli, command);
        return CLI_DONE;
    }
    int args = argc - operand;
    if (!options_fit(cli, command, &options) || args < command->args_min ||
        args > command->args_max)
        return misused(command);
    argv[operand - 1] = (char *)command->name; /* there stood an option taken out, or argv[0] */
    return command->run(cli, &options, args + 1, argv + operand - 1);
}
