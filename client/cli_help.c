#include "client/cli_help.h"

#include "client/cli_options.h"
#include "client/cli_print.h"

#define NAME_BYTES_MAX 24u /* longer words are like no command */

/* ---- finding commands ---- */

/* Takes the next of words separated by spaces; len 0 at the end, and where words is NULL. */
static struct span word_next(const char **words)
{
    if (!*words)
        return span_of(NULL, 0);
    *words += strspn(*words, " ");
    struct span word = span_of(*words, strcspn(*words, " "));
    *words += word.len;
    return word;
}

const struct cli_command *cli_command_find(const struct cli *cli, const char *name)
{
    for (size_t i = 0; i < cli->command_count; i++) {
        const char *aliases = cli->commands[i].aliases;
        if (strcmp(cli->commands[i].name, name) == 0)
            return &cli->commands[i];
        for (struct span alias = word_next(&aliases); alias.len > 0; alias = word_next(&aliases))
            if (span_equal(alias, span_of_string(name)))
                return &cli->commands[i];
    }
    return NULL;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

/* How many letters must be put in, taken out, changed or swapped with their neighbour to make one
 * word the other (Damerau-Levenshtein, swapped letters not touched again). Both at most
 * NAME_BYTES_MAX bytes. */
static unsigned typing_distance(struct span from, struct span to)
{
    unsigned rows[NAME_BYTES_MAX + 1][NAME_BYTES_MAX + 1];
    for (unsigned i = 0; i <= from.len; i++) {
        for (unsigned j = 0; j <= to.len; j++) {
            if (i == 0 || j == 0) {
                rows[i][j] = i + j;
                continue;
            }
            bool is_same = from.data[i - 1] == to.data[j - 1];
            rows[i][j] = min3(rows[i - 1][j] + 1, rows[i][j - 1] + 1,
                              rows[i - 1][j - 1] + (is_same ? 0 : 1));
            bool is_swapped = i > 1 && j > 1 && from.data[i - 1] == to.data[j - 2] &&
                              from.data[i - 2] == to.data[j - 1];
            if (is_swapped && rows[i - 2][j - 2] + 1 < rows[i][j])
                rows[i][j] = rows[i - 2][j - 2] + 1;
        }
    }
    return rows[from.len][to.len];
}

/* Of all letters of the longer word at most a third may be wrong, but one always may. */
static unsigned distance_max(struct span a, struct span b)
{
    size_t longer = a.len > b.len ? a.len : b.len;
    return longer < 6 ? 1 : (unsigned)longer / 3;
}

static void nearest_try(struct span typed, struct span name, unsigned *best, bool *is_better)
{
    *is_better = false;
    if (name.len == 0 || name.len > NAME_BYTES_MAX)
        return;
    unsigned distance = typing_distance(typed, name);
    *is_better = distance < *best && distance <= distance_max(typed, name);
    if (*is_better)
        *best = distance;
}

const char *cli_command_nearest(const struct cli *cli, const char *name)
{
    struct span typed = span_of_string(name);
    const char *nearest = NULL;
    unsigned best = NAME_BYTES_MAX;
    bool is_better;
    if (typed.len > NAME_BYTES_MAX)
        return NULL;
    for (size_t i = 0; i < cli->command_count; i++) {
        const char *words = cli->commands[i].aliases;
        struct span word = span_of_string(cli->commands[i].name);
        for (; word.len > 0; word = word_next(&words)) {
            nearest_try(typed, word, &best, &is_better);
            if (is_better)
                nearest = cli->commands[i].name;
        }
    }
    return nearest;
}

/* ---- help ---- */

static void heading(const struct cli *cli, const char *text)
{
    printf("\n%s%s%s\n", cli_color(cli->has_color_out, CLI_BOLD), text,
           cli_color(cli->has_color_out, CLI_PLAIN));
}

static void options_print(const struct cli *cli, unsigned bits)
{
    for (size_t i = 0; i < CLI_OPTION_COUNT; i++) {
        const struct cli_option *option = &cli_option_table[i];
        char left[64];
        if (!(bits & 1u << i))
            continue;
        snprintf(left, sizeof(left), "-%c, --%s%s%s", option->letter, option->name,
                 option->argument ? " " : "", option->argument ? option->argument : "");
        /* The … of an argument is one column in three bytes. */
        int width = 30 + (strstr(left, "…") ? 2 : 0);
        printf("  %s%-*s%s %s\n", cli_color(cli->has_color_out, CLI_CYAN), width, left,
               cli_color(cli->has_color_out, CLI_PLAIN), option->help);
    }
}

void cli_help_overview(const struct cli *cli)
{
    const char *group = "";
    printf("kvcli - put, get and look after the items of a dht or memcached cluster\n\n"
           "Usage: kvcli [options] COMMAND [arguments]\n");
    for (size_t i = 0; i < cli->command_count; i++) {
        const struct cli_command *command = &cli->commands[i];
        char left[64];
        if (strcmp(group, command->group) != 0)
            heading(cli, command->group);
        group = command->group;
        snprintf(left, sizeof(left), "%s %s", command->name,
                 command->arguments ? command->arguments : "");
        int width = 26 + (strstr(left, "…") ? 2 : 0);
        printf("  %s%-*s%s %s\n", cli_color(cli->has_color_out, CLI_CYAN), width, left,
               cli_color(cli->has_color_out, CLI_PLAIN), command->summary);
    }
    heading(cli, "Options, anywhere on the line");
    options_print(cli, CLI_OPTIONS_COMMON | CLI_BIT(VERSION));
    printf("\nServers come from --server, --peers or --via, $KVCLI_SERVERS, or\n"
           "~/.config/kvcli/servers, or are 127.0.0.1:11211. Exit code: 0 done, 1 the answer is\n"
           "no, 2 usage, 3 no server reached, 4 refused. `kvcli help COMMAND` shows examples.\n");
}

void cli_help_usage(const struct cli_command *command, FILE *stream)
{
    bool has_arguments = command->arguments && !command->parses_itself;
    fprintf(stream, "Usage: kvcli %s%s%s [options]\n", command->name, has_arguments ? " " : "",
            has_arguments ? command->arguments : "");
}

static void lines_print(const char *lines)
{
    while (*lines) {
        int len = (int)strcspn(lines, "\n");
        printf("  %.*s\n", len, lines);
        lines += len + (lines[len] == '\n');
    }
}

void cli_help_command(const struct cli *cli, const struct cli_command *command)
{
    cli_help_usage(command, stdout);
    printf("\n%s.\n", command->summary);
    if (command->aliases)
        printf("Also called: %s.\n", command->aliases);
    if (command->detail)
        printf("\n%s\n", command->detail);
    heading(cli, "Examples");
    lines_print(command->examples);
    if (command->options) {
        heading(cli, "Options");
        options_print(cli, command->options);
    }
    heading(cli, "Options of every command");
    options_print(cli, CLI_OPTIONS_COMMON);
}

int cli_help(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    (void)options;
    if (argc < 2) {
        cli_help_overview(cli);
        return CLI_DONE;
    }
    const struct cli_command *command = cli_command_find(cli, argv[1]);
    const char *nearest = command ? NULL : cli_command_nearest(cli, argv[1]);
    if (!command) {
        cli_complain(cli, argv[1], "no such command");
        if (nearest)
            fprintf(stderr, "Did you mean: kvcli help %s\n", nearest);
        return CLI_USAGE;
    }
    if (command->parses_itself)
        return command->run(cli, &cli->options, 2, (char *[]){argv[1], (char *)"--help", NULL});
    cli_help_command(cli, command);
    return CLI_DONE;
}

/* ---- completion ---- */

static void option_words_print(unsigned bits)
{
    for (size_t i = 0; i < CLI_OPTION_COUNT; i++)
        if (bits & 1u << i)
            printf(" --%s", cli_option_table[i].name);
}

/* The branch of a case that adds what one command takes besides the common options. */
static void options_case_print(const char *command, unsigned bits)
{
    printf("    %s) options+=\"", command);
    option_words_print(bits);
    printf("\" ;;\n");
}

static void names_print(const struct cli *cli)
{
    for (size_t i = 0; i < cli->command_count; i++)
        printf("%s%s", i > 0 ? " " : "", cli->commands[i].name);
}

/* The branches of a case that knows a command by all its names. */
static void command_patterns_print(const struct cli *cli)
{
    for (size_t i = 0; i < cli->command_count; i++) {
        const struct cli_command *command = &cli->commands[i];
        const char *aliases = command->aliases;
        printf("        %s", command->name);
        for (struct span alias = word_next(&aliases); alias.len > 0; alias = word_next(&aliases))
            printf(" | %.*s", (int)alias.len, alias.data);
        printf(") command='%s'; break ;;\n", command->name);
    }
}

/* Options behind which anything but a file may stand, as a shell pattern. */
static void argument_pattern_print(void)
{
    const char *separator = "";
    for (size_t i = 0; i < CLI_OPTION_COUNT; i++) {
        const struct cli_option *option = &cli_option_table[i];
        if (!option->argument || i == CLI_OPTION_PEERS)
            continue;
        printf("%s--%s | -%c", separator, option->name, option->letter);
        separator = " | ";
    }
}

static void bash_print(const struct cli *cli)
{
    printf("# bash completion for kvcli, made by: kvcli completion bash\n"
           "_kvcli()\n{\n"
           "    local word command='' cur=${COMP_WORDS[COMP_CWORD]}\n"
           "    local prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
           "    local commands=\"");
    names_print(cli);
    printf("\"\n    local options=\"");
    option_words_print(CLI_OPTIONS_COMMON);
    printf("\"\n    COMPREPLY=()\n"
           "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
           "        case $word in\n");
    command_patterns_print(cli);
    printf("        esac\n    done\n"
           "    case $command in\n");
    options_case_print("''", CLI_BIT(VERSION));
    for (size_t i = 0; i < cli->command_count; i++)
        if (cli->commands[i].options != 0)
            options_case_print(cli->commands[i].name, cli->commands[i].options);
    /* bash breaks words at @, and then replaces only what stands behind it. */
    printf("    esac\n    case $prev in\n"
           "    --peers | -%c | @)\n"
           "        compopt -o filenames\n"
           "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n    ",
           cli_option_table[CLI_OPTION_PEERS].letter);
    argument_pattern_print();
    printf(") return ;;\n    esac\n"
           "    case $command:$cur in\n"
           "    *:-*) mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\") ;;\n"
           "    *:@) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f) ;;\n"
           "    :* | help:*) mapfile -t COMPREPLY < <(compgen -W \"$commands\" -- \"$cur\") ;;\n"
           "    completion:*) mapfile -t COMPREPLY < <(compgen -W bash -- \"$cur\") ;;\n"
           "    esac\n}\ncomplete -F _kvcli kvcli\n");
}

int cli_completion(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    (void)options;
    if (argc > 1 && strcmp(argv[1], "bash") != 0) {
        cli_complain(cli, argv[1], "only bash is known");
        return CLI_USAGE;
    }
    bash_print(cli);
    return CLI_DONE;
}
