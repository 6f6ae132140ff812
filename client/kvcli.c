/* kvcli: the command line tool. This file is the table of subcommands, and main. */
#include "client/cli_cluster.h"
#include "client/cli_dispatch.h"
#include "client/cli_help.h"
#include "client/cli_item.h"
#include "client/cli_node.h"
#include "client/cli_operate.h"
#include "client/cli_options.h"
#include "client/cli_print.h"
#include "client/cli_repl.h"
#include "client/cli_status.h"
#include "client/cli_where.h"
#include "common/version.h"

#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

#define VALUE_HELP                                                                                 \
    "VALUE is taken as it stands; - is standard input, @FILE a file's content. Without one the\n"  \
    "value comes from a pipe."
#define TIME_HELP     "TIME is in seconds, or has a unit: s, m, h, d. 0 is for ever."
#define STORE_OPTIONS (CLI_BIT(TTL) | CLI_BIT(FLAGS))

/* Help, completion and dispatch are made from this table. */
static const struct cli_command commands[] = {
    {.name = "get",
     .group = "Read",
     .arguments = "KEY…",
     .summary = "Print values",
     .detail =
         "The value's bytes and nothing else; of several keys, each with a newline behind it.\n"
         "With --json an object a key, which also tells flags, ttl and cas.",
     .examples = "kvcli get greeting\n"
                 "kvcli get photo >photo.jpg\n"
                 "kvcli get --json user:1 user:2",
     .args_min = 1,
     .args_max = CLI_ARGS_ANY,
     .run = cli_get},
    {.name = "gat",
     .group = "Read",
     .arguments = "TIME KEY…",
     .summary = "Print values and set their time to live",
     .detail = TIME_HELP,
     .examples = "kvcli gat 30m session:7",
     .args_min = 2,
     .args_max = CLI_ARGS_ANY,
     .run = cli_gat},
    {.name = "exists",
     .group = "Read",
     .arguments = "KEY…",
     .summary = "Tell by the exit code whether keys exist",
     .detail = "No value is transferred. 0: all exist; 1: at least one does not.",
     .examples = "kvcli exists lock && echo locked",
     .args_min = 1,
     .args_max = CLI_ARGS_ANY,
     .run = cli_exists},

    {.name = "put",
     .aliases = "set",
     .group = "Write",
     .arguments = "KEY [VALUE]",
     .summary = "Store a value",
     .detail = VALUE_HELP,
     .examples = "kvcli put greeting hello\n"
                 "kvcli put session:7 @token --ttl 30m\n"
                 "tar cz src | kvcli put backup",
     .options = STORE_OPTIONS | CLI_BIT(CAS),
     .args_min = 1,
     .args_max = 2,
     .run = cli_store},
    {.name = "add",
     .group = "Write",
     .arguments = "KEY [VALUE]",
     .summary = "Store a value unless the key exists",
     .detail = VALUE_HELP,
     .examples = "kvcli add lock $HOSTNAME --ttl 30s",
     .options = STORE_OPTIONS,
     .args_min = 1,
     .args_max = 2,
     .run = cli_store},
    {.name = "replace",
     .group = "Write",
     .arguments = "KEY [VALUE]",
     .summary = "Store a value only if the key exists",
     .detail = VALUE_HELP,
     .examples = "kvcli replace greeting 'good evening'",
     .options = STORE_OPTIONS | CLI_BIT(CAS),
     .args_min = 1,
     .args_max = 2,
     .run = cli_store},
    {.name = "append",
     .group = "Write",
     .arguments = "KEY [VALUE]",
     .summary = "Add to the end of a value",
     .detail = VALUE_HELP "\nFlags and time to live stay as they are.",
     .examples = "date | kvcli append log",
     .options = CLI_BIT(CAS),
     .args_min = 1,
     .args_max = 2,
     .run = cli_store},
    {.name = "prepend",
     .group = "Write",
     .arguments = "KEY [VALUE]",
     .summary = "Add to the front of a value",
     .detail = VALUE_HELP "\nFlags and time to live stay as they are.",
     .examples = "kvcli prepend path /opt/bin:",
     .options = CLI_BIT(CAS),
     .args_min = 1,
     .args_max = 2,
     .run = cli_store},
    {.name = "cas",
     .group = "Write",
     .arguments = "KEY UNIQUE [VALUE]",
     .summary = "Store a value if nobody changed the item since",
     .detail = "UNIQUE is the number that get --json showed as cas.\n" VALUE_HELP,
     .examples = "kvcli get --json counter\n"
                 "kvcli cas counter 42 17",
     .options = STORE_OPTIONS,
     .args_min = 2,
     .args_max = 3,
     .run = cli_cas},
    {.name = "incr",
     .group = "Write",
     .arguments = "KEY [N]",
     .summary = "Add to a number and print the sum",
     .detail = "N is 1 if not given. The number is in decimal and wraps at 2^64.",
     .examples = "kvcli put hits 0\n"
                 "kvcli incr hits\n"
                 "kvcli incr hits 10",
     .options = CLI_BIT(CAS),
     .args_min = 1,
     .args_max = 2,
     .run = cli_arith},
    {.name = "decr",
     .group = "Write",
     .arguments = "KEY [N]",
     .summary = "Subtract from a number and print what is left",
     .detail = "N is 1 if not given. The number stops at 0.",
     .examples = "kvcli decr stock 3",
     .options = CLI_BIT(CAS),
     .args_min = 1,
     .args_max = 2,
     .run = cli_arith},
    {.name = "touch",
     .group = "Write",
     .arguments = "KEY… TIME",
     .summary = "Set the time to live",
     .detail = TIME_HELP,
     .examples = "kvcli touch session:7 30m",
     .args_min = 2,
     .args_max = CLI_ARGS_ANY,
     .run = cli_touch},
    {.name = "del",
     .aliases = "delete remove",
     .group = "Write",
     .arguments = "KEY…",
     .summary = "Delete keys",
     .examples = "kvcli del greeting\n"
                 "kvcli del a b c",
     .options = CLI_BIT(CAS),
     .args_min = 1,
     .args_max = CLI_ARGS_ANY,
     .run = cli_del},
    {.name = "flush",
     .aliases = "flush_all",
     .group = "Write",
     .arguments = "[TIME]",
     .summary = "Delete everything, at once or after TIME",
     .detail = "On a terminal it asks before, unless --yes is given.\n" TIME_HELP,
     .examples = "kvcli flush\n"
                 "kvcli flush --yes 10m",
     .options = CLI_BIT(YES),
     .args_max = 1,
     .run = cli_flush},

    {.name = "status",
     .group = "Cluster",
     .summary = "Ask every node, and say whether all is well",
     .detail =
         "A line a node: state, address, generation, items and bytes it holds, share of the keys\n"
         "that it leads, copies being brought in and out, time since its start, version. The two\n"
         "letters: U up, D down, S suspected, ? does not answer kvcli; N normal, J joining,\n"
         "L leaving, X going out. Below: how many of the slots have all their copies, fewer, or\n"
         "can't be served; then what else a person should know. While the first view is awaited,\n"
         "for whom. Exits 1 unless all is well.",
     .examples = "kvcli status\n"
                 "kvcli status --json | jq .well\n"
                 "until kvcli status >/dev/null; do sleep 1; done",
     .run = cli_status},
    {.name = "members",
     .group = "Cluster",
     .summary = "List the nodes as the one asked sees them",
     .detail = "State, name, generation, place in the view, time since its start, time since it "
               "was last\n"
               "heard of, weight, share of the keys that it leads; of a suspect also what speaks "
               "against\n"
               "it.\n"
               "With --count the number of nodes alive. With --json an object a node.",
     .examples = "kvcli members\n"
                 "kvcli -s 10.0.0.2:11211 members --json\n"
                 "test \"$(kvcli members --count)\" = 5",
     .options = CLI_BIT(ALIVE),
     .run = cli_members},
    {.name = "ring",
     .group = "Cluster",
     .summary = "Print how many of the 16384 slots each node leads",
     .detail = "And of how many it is a backup; below, the ring's hash, the same at every node\n"
               "that has the same members, and which ring of the node asked this is.",
     .examples = "kvcli ring",
     .run = cli_ring},
    {.name = "where",
     .group = "Cluster",
     .arguments = "KEY…",
     .summary = "Print the slot of a key, its leader and backups, and their copies",
     .detail =
         "Each node of the slot's group is asked for its own copy: an item, a tombstone, expired,\n"
         "flushed or absent; the version of that, as epoch:number; its role; act, the epoch in\n"
         "which its copy of the slot was last in step; the last version that it has; and whether\n"
         "a copy that is not clean is being mended. Any node gives the same answer. Exits 1 if a\n"
         "copy can't be had.",
     .examples = "kvcli where greeting\n"
                 "kvcli where --json greeting | jq '.copies[].version'",
     .args_min = 1,
     .args_max = CLI_ARGS_ANY,
     .run = cli_where},
    {.name = "transfers",
     .group = "Cluster",
     .summary = "List the copies that nodes bring to each other",
     .detail =
         "A line for each pair of nodes between which slots are on their way: how many, what\n"
         "was sent, what is left, bytes a second, and when it will be done. Exits 1 if a node "
         "does\n"
         "not answer.",
     .examples = "kvcli transfers",
     .run = cli_transfers},
    {.name = "forget",
     .group = "Cluster",
     .arguments = "NODE",
     .summary = "A member is dead for good: go on without it",
     .detail =
         "It goes out of the cluster even if nobody can take its place, its copies are given up,\n"
         "and tombstones are not kept for it any more. Says what is given up, and asks; --yes\n"
         "where nobody can be asked. Refused for a node that is alive.",
     .examples = "kvcli forget 10.0.0.3:11211",
     .options = CLI_BIT(YES),
     .args_min = 1,
     .args_max = 1,
     .run = cli_forget},
    {.name = "accept-loss",
     .group = "Cluster",
     .arguments = "[NODE…]",
     .summary = "Slots without a quorum go on with the best copy there is",
     .detail =
         "Gives up the members named, without a name all that are down, and the data of those\n"
         "that came back without: what was acknowledged and only they had is lost. They must be\n"
         "off. Says what is given up, and asks; --yes where nobody can be asked. Refused for a\n"
         "node that is alive.",
     .examples = "kvcli accept-loss\n"
                 "kvcli accept-loss --yes 10.0.0.2:11211 10.0.0.3:11211",
     .options = CLI_BIT(YES),
     .args_max = CLI_ARGS_ANY,
     .run = cli_accept_loss},
    {.name = "form",
     .group = "Cluster",
     .summary = "The nodes that answer are the whole cluster from now on",
     .detail =
         "For when a majority of the members that vote is lost for good, with its state files, or\n"
         "too few of peers.txt will ever be there. The node named by --server decides with those\n"
         "that answer it; all others are out. It keeps its data. No other part of the cluster may\n"
         "live. Says what is given up, and asks; --yes where nobody can be asked. With\n"
         "--on-quorum-loss wait slots without a quorum then wait for accept-loss.",
     .examples = "kvcli -s 10.0.0.1:11211 form",
     .options = CLI_BIT(YES),
     .run = cli_form},
    {.name = "leave",
     .group = "Cluster",
     .summary = "Make a node leave the cluster and stop",
     .detail =
         "The node named by --server, and no other: it hands over what it holds, and stops. On a\n"
         "terminal it asks before, unless --yes is given. Refused where the others would be too\n"
         "few for a quorum of some slot.",
     .examples = "kvcli -s 10.0.0.2:11211 leave",
     .options = CLI_BIT(YES),
     .run = cli_leave},
    {.name = "shutdown",
     .group = "Cluster",
     .summary = "The same, by the command that a node must allow (-A)",
     .detail = "Refused by a node that was started without --enable-shutdown.",
     .examples = "kvcli -s 10.0.0.2:11211 shutdown",
     .options = CLI_BIT(YES),
     .run = cli_leave},

    {.name = "stats",
     .group = "Look",
     .arguments = "[GROUP]",
     .summary = "Print a server's statistics",
     .detail = "GROUP is settings, items, slabs or what else the server knows.",
     .examples = "kvcli stats\n"
                 "kvcli stats settings\n"
                 "kvcli -s 10.0.0.2:11211 stats --json",
     .args_max = 1,
     .run = cli_stats},
    {.name = "version",
     .group = "Look",
     .summary = "Print kvcli's and the server's version",
     .examples = "kvcli version",
     .run = cli_version},
    {.name = "bench",
     .group = "Look",
     .arguments = "[options]",
     .summary = "Measure throughput and latency",
     .examples = "kvcli bench --duration 5\n"
                 "kvcli bench --help",
     .args_max = CLI_ARGS_ANY,
     .parses_itself = true,
     .run = cli_bench},

    {.name = "repl",
     .group = "More",
     .summary = "Take commands interactively, or from a pipe",
     .detail =
         "A line is a command as behind kvcli, quoted as in a shell; # begins a comment line.\n"
         "The exit code is the highest of all commands', if they come from a pipe.",
     .examples = "kvcli repl\n"
                 "kvcli repl <commands.txt",
     .run = cli_repl},
    {.name = "completion",
     .group = "More",
     .arguments = "[bash]",
     .summary = "Print the completion script for a shell",
     .examples = "source <(kvcli completion bash)",
     .args_max = 1,
     .run = cli_completion},
    {.name = "help",
     .group = "More",
     .arguments = "[COMMAND]",
     .summary = "Explain kvcli or a command",
     .examples = "kvcli help put",
     .args_max = 1,
     .run = cli_help},
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
