#include "client/cli_repl.h"

#include "client/cli_dispatch.h"
#include "client/cli_print.h"
#include "client/cli_server.h"
#include "common/buf.h"
#include "common/check.h"

#include <errno.h>
#include <histedit.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define HISTORY_LINES_MAX 1000
#define PROMPT_BYTES_MAX  320

/* The interactive mode: the editor's client data. */
struct repl {
    struct cli *cli;
    EditLine *editor;
    History *history;
    struct buf history_path; /* NUL-terminated; empty: nowhere to keep it */
    char prompt[PROMPT_BYTES_MAX];
};

/* ---- a line ---- */

/* Runs one line; *is_over if it asks to leave. */
static int line_run(struct cli *cli, Tokenizer *tokenizer, const char *line, bool *is_over)
{
    int argc;
    const char **words;
    line += strspn(line, " \t");
    if (*line == '#')
        return CLI_DONE;
    tok_reset(tokenizer);
    if (tok_str(tokenizer, line, &argc, &words) != 0) {
        cli_complain(cli, NULL, "a quote or backslash has no end");
        return CLI_USAGE;
    }
    if (argc > 1 && strcmp(words[0], "kvcli") == 0) { /* out of habit */
        argc--;
        words++;
    }
    if (argc == 0)
        return CLI_DONE;
    *is_over = argc == 1 && (strcmp(words[0], "exit") == 0 || strcmp(words[0], "quit") == 0);
    if (*is_over)
        return CLI_DONE;
    char **argv = calloc((size_t)argc + 1, sizeof(*argv));
    CHECK(argv != NULL);
    for (int i = 0; i < argc; i++)
        argv[i] = (char *)words[i]; /* reordered, never written to */
    int exit_code = cli_dispatch(cli, argc, argv);
    free(argv);
    return exit_code;
}

/* ---- not a terminal: a script of commands ---- */

static int script_run(struct cli *cli, Tokenizer *tokenizer)
{
    char *line = NULL;
    size_t size = 0;
    bool is_over = false;
    int worst = CLI_DONE;
    while (!is_over && getline(&line, &size, stdin) >= 0) {
        int exit_code = line_run(cli, tokenizer, line, &is_over);
        worst = exit_code > worst ? exit_code : worst;
        fflush(stdout); /* whoever feeds us may wait for the answer */
    }
    free(line);
    return worst;
}

/* ---- a terminal ---- */

static struct repl *repl_of(EditLine *editor)
{
    struct repl *repl = NULL;
    CHECK(el_get(editor, EL_CLIENTDATA, &repl) == 0);
    CHECK(repl != NULL);
    return repl;
}

/* \001 stands around what takes no column. */
static char *prompt(EditLine *editor)
{
    struct repl *repl = repl_of(editor);
    bool has_color = repl->cli->has_color_out;
    const char *mark = has_color ? "\001" : "";
    snprintf(repl->prompt, sizeof(repl->prompt), "%s%s%s%s%s%s%s> ", mark,
             cli_color(has_color, CLI_CYAN), mark, dht_server(repl->cli->dht), mark,
             cli_color(has_color, CLI_PLAIN), mark);
    return repl->prompt;
}

/* Completes the first word of a line to a subcommand; of several, as far as they agree, and lists
 * them. */
static unsigned char complete(EditLine *editor, int key)
{
    const struct cli *cli = repl_of(editor)->cli;
    const LineInfo *line = el_line(editor);
    size_t typed = (size_t)(line->cursor - line->buffer);
    const char *word = line->buffer;
    const char *found = NULL;
    size_t agreed = 0;
    unsigned count = 0;
    (void)key;
    if (typed >= 5 && strncmp(word, "help ", 5) == 0) {
        word += 5;
        typed -= 5;
    }
    if (memchr(word, ' ', typed))
        return CC_REFRESH_BEEP;
    for (size_t i = 0; i < cli->command_count; i++) {
        const char *name = cli->commands[i].name;
        if (strncmp(name, word, typed) != 0)
            continue;
        if (count++ == 0) {
            found = name;
            agreed = strlen(name);
        }
        while (strncmp(name, found, agreed) != 0)
            agreed--;
    }
    if (count == 0)
        return CC_REFRESH_BEEP;
    char text[64];
    snprintf(text, sizeof(text), "%.*s%s", (int)(agreed - typed), found + typed,
             count == 1 ? " " : "");
    if (*text)
        return el_insertstr(editor, text) == 0 ? CC_REFRESH : CC_ERROR;
    putchar('\n');
    for (size_t i = 0; i < cli->command_count; i++)
        if (strncmp(cli->commands[i].name, word, typed) == 0)
            printf("%s  ", cli->commands[i].name);
    putchar('\n');
    return CC_REDISPLAY;
}

/* ($XDG_STATE_HOME or ~/.local/state)/kvcli_history; its folders are made. */
static void history_path_find(struct buf *path)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (state && *state)
        buf_printf(path, "%s/kvcli_history", state);
    else if (home && *home)
        buf_printf(path, "%s/.local/state/kvcli_history", home);
    else
        return;
    buf_append(path, "", 1);
    for (char *at = path->data + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        (void)mkdir(path->data, 0700); /* it exists, or writing the history will fail: no harm */
        *at = '/';
    }
}

static void history_keep(struct repl *repl, const char *line)
{
    HistEvent event;
    if (line[strspn(line, " \t\n")] == '\0')
        return;
    history(repl->history, &event, H_ENTER, line);
    if (buf_len(&repl->history_path) > 0) /* after each line: ^C in a command ends us */
        history(repl->history, &event, H_SAVE, repl->history_path.data);
}

static void repl_init(struct repl *repl, struct cli *cli)
{
    HistEvent event;
    *repl = (struct repl){.cli = cli};
    repl->editor = el_init("kvcli", stdin, stdout, stderr);
    repl->history = history_init();
    CHECK(repl->editor != NULL);
    CHECK(repl->history != NULL);
    history(repl->history, &event, H_SETSIZE, HISTORY_LINES_MAX);
    history(repl->history, &event, H_SETUNIQUE, 1);
    history_path_find(&repl->history_path);
    if (buf_len(&repl->history_path) > 0)
        history(repl->history, &event, H_LOAD, repl->history_path.data);
    el_set(repl->editor, EL_CLIENTDATA, repl);
    el_set(repl->editor, EL_EDITOR, "emacs");
    el_set(repl->editor, EL_SIGNAL, 1);
    el_set(repl->editor, EL_HIST, history, repl->history);
    el_set(repl->editor, EL_PROMPT_ESC, prompt, '\001');
    el_set(repl->editor, EL_ADDFN, "complete", "complete a subcommand", complete);
    el_set(repl->editor, EL_BIND, "^I", "complete", NULL);
    el_set(repl->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
}

static void repl_close(struct repl *repl)
{
    history_end(repl->history);
    el_end(repl->editor);
    buf_close(&repl->history_path);
}

static void interrupted(int number)
{
    (void)number; /* it only ends the read of a line */
}

/* Reads a line; ^C throws away what was typed. NULL at the end of input. */
static const char *line_read(struct repl *repl)
{
    struct sigaction during = {.sa_handler = interrupted};
    struct sigaction before;
    const char *line;
    int len;
    CHECK(sigaction(SIGINT, &during, &before) == 0);
    for (;;) {
        errno = 0;
        line = el_gets(repl->editor, &len);
        if (line || errno != EINTR)
            break;
        el_reset(repl->editor);
        putchar('\n');
    }
    CHECK(sigaction(SIGINT, &before, NULL) == 0);
    return line;
}

static void terminal_run(struct cli *cli, Tokenizer *tokenizer)
{
    struct repl repl;
    const char *line;
    bool is_over = false;
    repl_init(&repl, cli);
    printf("%sType help for the commands, Tab to complete, exit or ^D to leave.%s\n",
           cli_color(cli->has_color_out, CLI_DIM), cli_color(cli->has_color_out, CLI_PLAIN));
    while (!is_over && (line = line_read(&repl)) != NULL) {
        history_keep(&repl, line);
        (void)line_run(cli, tokenizer, line, &is_over);
        fflush(stdout);
    }
    if (!is_over)
        putchar('\n');
    repl_close(&repl);
}

int cli_repl(struct cli *cli, const struct cli_options *options, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    int exit_code = CLI_DONE;
    if (cli->is_interactive) {
        cli_complain(cli, NULL, "this is the interactive mode");
        return CLI_USAGE;
    }
    cli->options = *options;
    if (!cli_connect(cli, options))
        return CLI_USAGE;
    Tokenizer *tokenizer = tok_init(NULL);
    CHECK(tokenizer != NULL);
    cli->is_interactive = true;
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
        terminal_run(cli, tokenizer);
    else
        exit_code = script_run(cli, tokenizer);
    cli->is_interactive = false;
    tok_end(tokenizer);
    return exit_code;
}
