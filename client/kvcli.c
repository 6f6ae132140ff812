/* kvcli: the command line tool. This file is the table of subcommands, and main. */
#include "client/cli_dispatch.h"
#include "client/cli_help.h"
#include "client/cli_item.h"
#include "client/cli_node.h"
#include "client/cli_options.h"
#include "client/cli_print.h"
#include "client/cli_repl.h"
#include "common/version.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

#define VALUE_HELP                                                                               \
    "VALUE is taken as it stands; - is standard input, @FILE a file's content. Without one the\n" \
    "value comes from a pipe."
#define TIME_HELP "TIME is in seconds, or has a unit: s, m, h, d. 0 is for ever."
#define STORE_OPTIONS (CLI_BIT(TTL) | CLI_BIT(FLAGS) | CLI_BIT(CAS))

/* Help, completion and dispatch are made from this table. */
static const struct cli_command commands[] = {
    {"get", "", "Read", "KEY…", "Print values",
     "The value's bytes and nothing else; of several keys, each with a newline behind it. With\n"
     "--json an object a key, which also tells flags, ttl and cas.",
     "kvcli get greeting\nkvcli get photo >photo.jpg\nkvcli get --json user:1 user:2",
     0, 1, CLI_ARGS_ANY, false, cli_get},
    {"gat", "", "Read", "TIME KEY…", "Print values and set their time to live", TIME_HELP,
     "kvcli gat 30m session:7", 0, 2, CLI_ARGS_ANY, false, cli_gat},
    {"exists", "", "Read", "KEY…", "Tell by the exit code whether keys exist",
     "No value is transferred. 0: all exist; 1: at least one does not.",
     "kvcli exists lock && echo locked", 0, 1, CLI_ARGS_ANY, false, cli_exists},

    {"put", "set", "Write", "KEY [VALUE]", "Store a value", VALUE_HELP,
     "kvcli put greeting hello\nkvcli put session:7 @token --ttl 30m\n"
     "tar cz src | kvcli put backup -",
     STORE_OPTIONS, 1, 2, false, cli_store},
    {"add", "", "Write", "KEY [VALUE]", "Store a value unless the key exists", VALUE_HELP,
     "kvcli add lock $HOSTNAME --ttl 30s", CLI_BIT(TTL) | CLI_BIT(FLAGS), 1, 2, false, cli_store},
    {"replace", "", "Write", "KEY [VALUE]", "Store a value only if the key exists", VALUE_HELP,
     "kvcli replace greeting 'good evening'", STORE_OPTIONS, 1, 2, false, cli_store},
    {"append", "", "Write", "KEY [VALUE]", "Add to the end of a value",
     VALUE_HELP "\nFlags and time to live stay as they are.", "date | kvcli append log -",
     CLI_BIT(CAS), 1, 2, false, cli_store},
    {"prepend", "", "Write", "KEY [VALUE]", "Add to the front of a value",
     VALUE_HELP "\nFlags and time to live stay as they are.", "kvcli prepend path /opt/bin:",
     CLI_BIT(CAS), 1, 2, false, cli_store},
    {"cas", "", "Write", "KEY UNIQUE [VALUE]", "Store a value if nobody changed the item since",
     "UNIQUE is the number that get --json showed as cas.\n" VALUE_HELP,
     "kvcli get --json counter\nkvcli cas counter 42 17", CLI_BIT(TTL) | CLI_BIT(FLAGS), 2, 3, false,
     cli_cas},
    {"incr", "", "Write", "KEY [N]", "Add to a number and print the sum",
     "N is 1 if not given. The number is in decimal and wraps at 2^64.",
     "kvcli put hits 0\nkvcli incr hits\nkvcli incr hits 10", CLI_BIT(CAS), 1, 2, false, cli_arith},
    {"decr", "", "Write", "KEY [N]", "Subtract from a number and print what is left",
     "N is 1 if not given. The number stops at 0.", "kvcli decr stock 3", CLI_BIT(CAS), 1, 2, false,
     cli_arith},
    {"touch", "", "Write", "KEY… TIME", "Set the time to live", TIME_HELP,
     "kvcli touch session:7 30m", 0, 2, CLI_ARGS_ANY, false, cli_touch},
    {"del", "delete remove", "Write", "KEY…", "Delete keys", "",
     "kvcli del greeting\nkvcli del a b c", CLI_BIT(CAS), 1, CLI_ARGS_ANY, false, cli_del},
    {"flush", "flush_all", "Write", "[TIME]", "Delete everything, at once or after TIME",
     "On a terminal it asks before, unless --yes is given. " TIME_HELP,
     "kvcli flush\nkvcli flush --yes 10m", CLI_BIT(YES), 0, 1, false, cli_flush},

    {"stats", "", "Look", "[GROUP]", "Print a server's statistics",
     "GROUP is settings, items, slabs or what else the server knows.",
     "kvcli stats\nkvcli stats settings\nkvcli -s 10.0.0.2:11211 stats --json", 0, 0, 1, false,
     cli_stats},
    {"version", "", "Look", "", "Print kvcli's and the server's version", "", "kvcli version", 0, 0,
     0, false, cli_version},
    {"bench", "", "Look", "[options]", "Measure throughput and latency", "",
     "kvcli bench --duration 5\nkvcli bench --help", 0, 0, CLI_ARGS_ANY, true, cli_bench},

    {"repl", "", "More", "", "Take commands interactively, or from a pipe",
     "A line is a command as behind kvcli, quoted as in a shell; # begins a comment line. The\n"
     "exit code is the highest of all commands', if they come from a pipe.",
     "kvcli repl\nkvcli repl <commands.txt", 0, 0, 0, false, cli_repl},
    {"completion", "", "More", "bash", "Print the completion script for a shell", "",
     "source <(kvcli completion bash)", 0, 1, 1, false, cli_completion},
    {"help", "", "More", "[COMMAND]", "Explain kvcli or a command", "", "kvcli help put", 0, 0, 1,
     false, cli_help},
};

static bool has_color(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return isatty(fd) && !(no_color && *no_color) && !(terminal && strcmp(terminal, "dumb") == 0);
}

static int run(struct cli *cli, int argc, char **argv)
{
    int operand;
    if (cli_options_parse(&cli->options, argc, argv, true, &operand) != ERR_OK) {
        fputs("See: kvcli help\n", stderr);
        return CLI_USAGE;
    }
    if (cli_is_given(&cli->options, CLI_BIT(VERSION))) {
        puts("kvcli " DHT_VERSION);
        return CLI_DONE;
    }
    if (operand == argc) {
        cli_help_overview(cli);
        return CLI_DONE;
    }
    return cli_dispatch(cli, argc - operand, argv + operand);
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, ""); /* libedit edits characters, not bytes */
    struct cli cli = {.commands = commands,
                      .command_count = ARRAY_COUNT(commands),
                      .has_color_out = has_color(STDOUT_FILENO),
                      .has_color_err = has_color(STDERR_FILENO),
                      .is_terminal_err = isatty(STDERR_FILENO)};
    int exit_code = run(&cli, argc, argv);
    dht_close(cli.dht);
    free(cli.servers);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cli_complain(&cli, "standard output", strerrordesc_np(errno));
        return exit_code == CLI_DONE ? CLI_USAGE : exit_code;
    }
    return exit_code;
}
