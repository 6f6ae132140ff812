#include "server/options.h"

#include "common/check.h"
#include "common/number.h"
#include "server/options_table.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- the command line ------------------------------------------------------------------------ */

/* What the command line says, before any of it is put in force. Borrows from argv. */
struct command_line {
    enum options_mode mode;
    const char *config_path;
    const char *positional[2];
    uint32_t positional_count;
    struct {
        const char *text; /* NULL: not given, or given without a value */
        uint32_t count;   /* how often */
    } given[OPTION_ENTRY_COUNT];
};

/* getopt_long's answer is the letter, or for options without one a number past all letters. */
#define ANSWER_ENTRY  256
#define ANSWER_ACTION 512

static int has_argument(const struct option_entry *entry)
{
    return option_argument(entry)[0] != '\0' ? required_argument : optional_argument;
}

/* Both tables as getopt wants them. The leading - makes it hand out words that are no options in
 * their order, whatever POSIXLY_CORRECT says; the : lets us word the complaint. */
static void make_getopt_tables(char letters[], struct option longs[],
                               char names[][OPTION_NAME_BYTES_MAX])
{
    size_t used = 0, count = 0;

    letters[used++] = '-';
    letters[used++] = ':';
    for (size_t i = 0; i < OPTION_ENTRY_COUNT; i++) {
        longs[count++] =
            (struct option){option_name(&option_entries[i], names[i]),
                            has_argument(&option_entries[i]), NULL, ANSWER_ENTRY + (int)i};
        if (option_entries[i].letter != 0) {
            letters[used++] = option_entries[i].letter;
            if (has_argument(&option_entries[i]) == required_argument)
                letters[used++] = ':';
        }
    }
    for (size_t i = 0; i < OPTION_ACTION_COUNT; i++) {
        const bool wants = option_actions[i].argument[0] != '\0';
        longs[count++] =
            (struct option){option_actions[i].name, wants ? required_argument : no_argument, NULL,
                            ANSWER_ACTION + (int)i};
        if (option_actions[i].letter != 0)
            letters[used++] = option_actions[i].letter;
    }
    longs[count] = (struct option){0};
    letters[used] = '\0';
}

/* The number past all letters for a letter; other answers stay. */
static int without_letters(int answer)
{
    for (size_t i = 0; i < OPTION_ENTRY_COUNT; i++)
        if (option_entries[i].letter != 0 && answer == option_entries[i].letter)
            return ANSWER_ENTRY + (int)i;
    for (size_t i = 0; i < OPTION_ACTION_COUNT; i++)
        if (option_actions[i].letter != 0 && answer == option_actions[i].letter)
            return ANSWER_ACTION + (int)i;
    return answer;
}

static enum err take_word(struct command_line *line, const char *word,
                          const struct option_report *report)
{
    if (line->positional_count == ARRAY_COUNT(line->positional))
        return option_refuse(report, "'%.100s' is one word too many; see dht-server --help", word);
    line->positional[line->positional_count++] = word;
    return ERR_OK;
}

static void take_action(struct command_line *line, int which)
{
    if (which == CONFIG_FILE)
        line->config_path = optarg;
    else
        line->mode = option_actions[which].mode;
}

static enum err scan_command_line(struct command_line *line, int argc, char *const *argv,
                                  const struct option_report *report)
{
    char letters[2 + 2 * (OPTION_ENTRY_COUNT + OPTION_ACTION_COUNT) + 1];
    struct option longs[OPTION_ENTRY_COUNT + OPTION_ACTION_COUNT + 1];
    char names[OPTION_ENTRY_COUNT][OPTION_NAME_BYTES_MAX];
    int answer;

    make_getopt_tables(letters, longs, names);
    opterr = 0;
    optind = 0; /* glibc: begin anew, whoever used getopt before */
    while ((answer = without_letters(getopt_long(argc, argv, letters, longs, NULL))) != -1) {
        if (answer == ':')
            return option_refuse(report, "%.100s: a value is missing", argv[optind - 1]);
        if (answer == '?' && optopt >= ANSWER_ENTRY)
            return option_refuse(report, "'%.100s': the option takes no value", argv[optind - 1]);
        if (answer == '?' && optopt != 0)
            return option_refuse(report, "there is no option -%c; see dht-server --help", optopt);
        if (answer == '?')
            return option_refuse(report, "there is no option %.100s; see dht-server --help",
                                 argv[optind - 1]);
        if (answer == 1) {
            if (take_word(line, optarg, report) != ERR_OK)
                return ERR_USAGE;
        } else if (answer >= ANSWER_ACTION) {
            take_action(line, answer - ANSWER_ACTION);
            if (line->mode == OPTIONS_HELP || line->mode == OPTIONS_VERSION)
                return ERR_OK;
        } else {
            CHECK(answer >= ANSWER_ENTRY);
            line->given[answer - ANSWER_ENTRY].text = optarg;
            line->given[answer - ANSWER_ENTRY].count++;
        }
    }
    while (optind < argc)
        if (take_word(line, argv[optind++], report) != ERR_OK)
            return ERR_USAGE;
    return ERR_OK;
}

static bool is_number(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* peers.txt and PORT, in either order: the port is the one that is a number. */
static enum err read_words(struct options *options, const struct command_line *line,
                           const struct option_report *report)
{
    const char *path = line->positional[0], *port = line->positional[1];
    uint64_t number;

    if (line->positional_count == 0 && line->mode != OPTIONS_RUN)
        return ERR_OK;
    if (line->positional_count < 2)
        return option_refuse(report,
                             "peers.txt and PORT are needed: dht-server peers.txt PORT [options]");
    if (!is_number(port) && is_number(path)) {
        path = line->positional[1];
        port = line->positional[0];
    }
    if (!number_parse_decimal(span_of_string(port), UINT16_MAX, &number))
        return option_refuse(report, "port '%.100s' is not a number (0 … 65535)", port);
    options->peers_path = path;
    options->port = (uint16_t)number;
    return ERR_OK;
}

/* ---- the sources, weakest first -------------------------------------------------------------- */

static void set_defaults(struct options *options)
{
    const struct option_report nowhere = {NULL, 0};

    for (size_t i = 0; i < OPTION_ENTRY_COUNT; i++)
        if (option_entries[i].preset[0] != '\0' && option_entries[i].kind != TIMER)
            CHECK(option_set(options, &option_entries[i], option_entries[i].preset, "", &nowhere) ==
                  ERR_OK);
}

struct config_file {
    FILE *file;
    const char *path;
    struct options *options;
    const struct option_report *report;
    int line;     /* last one read, from 1 */
    int bad_line; /* first bad one, which the report is about; 0: none */
};

/* libinih asks for lines here, so that its handler can tell where it is. Ends at the first error.
 * Lines past libinih's bound would be read as two. */
static char *config_line(char *text, int size, void *stream)
{
    struct config_file *config = stream;
    char *read = config->bad_line == 0 ? fgets(text, size, config->file) : NULL;

    if (read == NULL)
        return NULL;
    config->line++;
    if (strchr(text, '\n') == NULL && !feof(config->file)) {
        config->bad_line = config->line;
        (void)option_refuse(config->report, "%s:%d: the line is longer than %d bytes", config->path,
                            config->line, size - 2);
        return NULL;
    }
    return text;
}

/* libinih's handler: 1 is good. */
static int config_entry(void *arg, const char *section, const char *name, const char *value)
{
    struct config_file *config = arg;
    char source[OPTIONS_ERROR_BYTES_MAX / 2];

    snprintf(source, sizeof(source), "%s:%d: %.60s", config->path, config->line, name);
    if (section[0] == '\0' || strcmp(section, "dht-server") == 0) {
        for (size_t i = 0; i < OPTION_ENTRY_COUNT; i++) {
            char own[OPTION_NAME_BYTES_MAX];
            if (strcmp(option_name(&option_entries[i], own), name) == 0) {
                if (option_set(config->options, &option_entries[i], value, source,
                               config->report) == ERR_OK)
                    return 1;
                config->bad_line = config->line;
                return 0;
            }
        }
        (void)option_refuse(config->report, "%s: there is no such option", source);
    } else {
        (void)option_refuse(config->report, "%s:%d: section [%.60s] is not [dht-server]",
                            config->path, config->line, section);
    }
    config->bad_line = config->line;
    return 0;
}

static enum err read_config_file(struct options *options, const char *path,
                                 const struct option_report *report)
{
    struct config_file config = {
        .file = fopen(path, "re"), .path = path, .options = options, .report = report};
    int line, cause = errno;

    if (config.file == NULL) {
        (void)option_refuse(report, "--config: cannot open %.255s: %s", path, strerror(cause));
        return ERR_IO;
    }
    line = ini_parse_stream(config_line, &config, config_entry, &config);
    cause = ferror(config.file) ? errno : 0;
    fclose(config.file);
    if (cause != 0) {
        (void)option_refuse(report, "--config: cannot read %.255s: %s", path, strerror(cause));
        return ERR_IO;
    }
    if (line > 0 && (config.bad_line == 0 || line < config.bad_line))
        return option_refuse(report, "%s:%d: not a line like key = value", path, line);
    return config.bad_line == 0 ? ERR_OK : ERR_USAGE;
}

static void environment_name(const struct option_entry *entry, char name[64])
{
    char own[OPTION_NAME_BYTES_MAX];
    int len = snprintf(name, 64, "DHT_%s", option_name(entry, own));

    CHECK(len < 64);
    for (char *c = name; *c != '\0'; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

/* Other variables that begin with DHT_ may belong to anybody (container links make such) and are
 * left alone. */
static enum err read_environment(struct options *options, const struct option_report *report)
{
    for (size_t i = 0; i < OPTION_ENTRY_COUNT; i++) {
        char name[64];
        const char *text;

        environment_name(&option_entries[i], name);
        text = getenv(name);
        if (text != NULL && option_set(options, &option_entries[i], text, name, report) != ERR_OK)
            return ERR_USAGE;
    }
    return ERR_OK;
}

static enum err read_flags(struct options *options, const struct command_line *line,
                           const struct option_report *report)
{
    for (size_t i = 0; i < OPTION_ENTRY_COUNT; i++) {
        const struct option_entry *entry = &option_entries[i];
        const char *text = line->given[i].text;
        char source[64], level[32], name[OPTION_NAME_BYTES_MAX];

        if (line->given[i].count == 0)
            continue;
        if (text == NULL && entry->kind == LEVEL) {
            const uint32_t count = line->given[i].count;
            option_format_number(LEVEL, count < entry->highest ? count : entry->highest, level);
            text = level;
        } else if (text == NULL) {
            text = "yes";
        }
        snprintf(source, sizeof(source), "--%s", option_name(entry, name));
        if (option_set(options, entry, text, source, report) != ERR_OK)
            return ERR_USAGE;
    }
    return ERR_OK;
}

/* Timers that were not given are the profile's. */
static void complete_timers(struct options *options)
{
    struct gossip_options profile;

    CHECK(gossip_profile(span_of_string(options->profile), &profile));
#define COMPLETE(field, fast, lan, wan, lowest, highest, help)                                     \
    if (options->timers.field == 0)                                                                \
        options->timers.field = profile.field;
    GOSSIP_OPTIONS_LIST(COMPLETE)
#undef COMPLETE
}

static enum err check_timers(const struct gossip_options *timers,
                             const struct option_report *report)
{
    const struct {
        const char *lower, *higher;
        uint32_t low, high;
    } pairs[] = {
        {"t-probe-min", "t-probe", timers->probe_min_ms, timers->probe_ms},
        {"t-silent-min", "t-silent-max", timers->silent_min_ms, timers->silent_max_ms},
        {"t-stalled-min", "t-stalled-max", timers->stalled_min_ms, timers->stalled_max_ms},
    };

    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++)
        if (pairs[i].low > pairs[i].high)
            return option_refuse(report,
                                 "--%s: %" PRIu32 " ms are more than --%s allows, %" PRIu32 " ms",
                                 pairs[i].lower, pairs[i].low, pairs[i].higher, pairs[i].high);
    if (timers->cleanup_ms / 4 < timers->accept_ms)
        return option_refuse(report,
                             "--t-cleanup: %" PRIu32
                             " ms are less than 4 times --t-accept, %" PRIu32
                             " ms: the dead could rise again",
                             timers->cleanup_ms, timers->accept_ms);
    return ERR_OK;
}

static enum err check_together(const struct options *options, const struct option_report *report)
{
    if (options->value_bytes_max > options->memory_bytes)
        return option_refuse(report,
                             "--max-item-size: %" PRIu32 " bytes are more than --memory allows",
                             options->value_bytes_max);
    return check_timers(&options->timers, report);
}

enum err options_parse(struct options *options, int argc, char *const *argv, char *error,
                       size_t size)
{
    const struct option_report report = {error, size};
    struct command_line line = {0};
    enum err err;

    memset(options, 0, sizeof(*options));
    err = scan_command_line(&line, argc, argv, &report);
    options->mode = line.mode;
    if (err != ERR_OK || line.mode == OPTIONS_HELP || line.mode == OPTIONS_VERSION)
        return err;
    set_defaults(options);
    if (line.config_path != NULL)
        err = read_config_file(options, line.config_path, &report);
    if (err == ERR_OK)
        err = read_environment(options, &report);
    if (err == ERR_OK)
        err = read_flags(options, &line, &report);
    if (err == ERR_OK) {
        complete_timers(options);
        err = check_together(options, &report);
    }
    if (err == ERR_OK)
        err = read_words(options, &line, &report);
    return err;
}
