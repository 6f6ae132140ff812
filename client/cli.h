/* kvcli's shared types: the session, its options, a subcommand.
 *
 * Modules, each knowing only those below it: kvcli (the table of subcommands), cli_item, cli_node,
 * cli_cluster and cli_repl (what they do), cli_dispatch, cli_help, cli_print, cli_server,
 * cli_value, cli_options. */
#ifndef DHT_CLIENT_CLI_H
#define DHT_CLIENT_CLI_H

#include "client/dht.h"
#include "common/base.h"

enum cli_exit {
    CLI_DONE = 0,
    CLI_NEGATIVE = 1,  /* the answer is no: not found, not stored, changed since */
    CLI_USAGE = 2,     /* wrong arguments, or a local file can't be read or written */
    CLI_UNREACHED = 3, /* no server reached, or no answer in time */
    CLI_REFUSED = 4    /* the server refused */
};

/* OPTION(id, name, letter, argument, help): the one table of options. */
#define CLI_OPTION_LIST(OPTION)                                                                    \
    OPTION(SERVER, "server", 's', "HOST:PORT[,…]",                                                 \
           "servers to ask; the next if one can't be reached")                                     \
    OPTION(PEERS, "peers", 'p', "FILE", "take the servers from a peers.txt")                       \
    OPTION(VIA, "via", 'i', "HOST:PORT",                                                           \
           "ask this node alone; others answer directly, on a port of kvcli's")                    \
    OPTION(TIMEOUT, "timeout", 't', "TIME", "longest wait for an answer: 3s, 500ms")               \
    OPTION(VERBOSE, "verbose", 'v', NULL, "say on stderr who was asked, and who answered")         \
    OPTION(JSON, "json", 'j', NULL, "print JSON, one object a line")                               \
    OPTION(HELP, "help", 'h', NULL, "explain the command")                                         \
    OPTION(VERSION, "version", 'V', NULL, "print kvcli's version")                                 \
    OPTION(TTL, "ttl", 'T', "TIME", "forget the item after so long: 90, 10m, 2h, 7d")              \
    OPTION(FLAGS, "flags", 'F', "N", "a number of the client's own, kept with the value")          \
    OPTION(CAS, "cas", 'C', "UNIQUE", "only if the item is still the one that get --json showed")  \
    OPTION(ALIVE, "count", 'c', NULL, "print how many are alive, nothing else")                    \
    OPTION(YES, "yes", 'y', NULL, "do not ask")

enum cli_option_id {
#define CLI_OPTION_ENUM(id, name, letter, argument, help) CLI_OPTION_##id,
    CLI_OPTION_LIST(CLI_OPTION_ENUM)
#undef CLI_OPTION_ENUM
        CLI_OPTION_COUNT
};

#define CLI_BIT(id) (1u << CLI_OPTION_##id)
/* Options that every command takes. */
#define CLI_OPTIONS_COMMON                                                                         \
    (CLI_BIT(SERVER) | CLI_BIT(PEERS) | CLI_BIT(VIA) | CLI_BIT(TIMEOUT) | CLI_BIT(VERBOSE) |       \
     CLI_BIT(JSON) | CLI_BIT(HELP))

struct cli_options {
    unsigned given;         /* set of CLI_BIT */
    const char *servers;    /* borrowed from the arguments; NULL if not given */
    const char *peers_file; /* the same */
    const char *via;        /* the same */
    unsigned timeout_ms;
    int64_t ttl_s;
    uint32_t flags;
    uint64_t cas; /* 0: not given */
};

struct cli;

/* A subcommand. Texts that it does not have are NULL. */
struct cli_command {
    const char *name;
    const char *aliases;   /* other names, separated by spaces */
    const char *group;     /* heading in the overview; commands of a group stand together */
    const char *arguments; /* e.g. "KEY [VALUE]" */
    const char *summary;   /* one line */
    const char *detail;    /* paragraphs for the command's own help */
    const char *examples;  /* one a line */
    unsigned options;      /* set of CLI_BIT, besides the common ones */
    int args_min;          /* behind the name */
    int args_max;
    bool parses_itself; /* takes its options as they stand */
    /* argv[0] is the name; options are taken out. Returns a cli_exit. */
    int (*run)(struct cli *cli, const struct cli_options *options, int argc, char **argv);
};

#define CLI_ARGS_ANY 1000000

/* One session: the process, or its interactive mode. */
struct cli {
    const struct cli_command *commands;
    size_t command_count;
    struct dht *dht;            /* owned; NULL until a command needs it */
    char *servers;              /* owned; those dht was opened with */
    bool is_via;                /* dht was opened to be answered directly */
    struct cli_options options; /* given before the command; interactive lines inherit them */
    bool is_interactive;        /* inside the interactive mode: standard input belongs to it */
    bool has_color_out;
    bool has_color_err;
    bool is_terminal_err; /* a person is told what was done */
};

static inline bool cli_is_given(const struct cli_options *options, unsigned bits)
{
    return (options->given & bits) != 0;
}

#endif
