#include "server/options.h"

#include "common/check.h"
#include "common/number.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the tables ------------------------------------------------------------------------------ */

enum kind {
    HOST, /* up to CHOICE the field is text */
    ADDRESS,
    NAME,
    PATH,
    CHOICE,
    MEBIBYTES,
    BYTES,
    COUNT,
    SECONDS,
    MILLISECONDS,
    LEVEL,
    SWITCH,
    TIMER /* of the membership protocol: time or count, as its name says */
};

struct entry {
    enum kind kind;
    char letter;         /* 0: none */
    size_t offset, size; /* of the field, bytes */
    const char *name, *argument, *preset, *help;
    uint64_t lowest, highest;
};

/* What the list of timers says that an entry has no other place for. */
#define TIMER_PREFIX "t-"
#define TIMER_SUFFIX "_ms"

static const struct entry entries[] = {
#define OPTION_ENTRY(kind, field, letter, name, argument, preset, lowest, highest, help)           \
    {kind,                                                                                         \
     letter,                                                                                       \
     offsetof(struct options, field),                                                              \
     sizeof(((struct options *)0)->field),                                                         \
     name,                                                                                         \
     argument,                                                                                     \
     preset,                                                                                       \
     help,                                                                                         \
     lowest,                                                                                       \
     highest},
    OPTIONS_LIST(OPTION_ENTRY)
#undef OPTION_ENTRY
#define TIMER_ENTRY(field, fast, lan, wan, lowest, highest, help)                                  \
    {TIMER,                                                                                        \
     0,                                                                                            \
     offsetof(struct options, timers.field),                                                       \
     sizeof(uint32_t),                                                                             \
     #field,                                                                                       \
     "",                                                                                           \
     #lan,                                                                                         \
     help,                                                                                         \
     lowest,                                                                                       \
     highest},
        GOSSIP_OPTIONS_LIST(TIMER_ENTRY)
#undef TIMER_ENTRY
};
#define ENTRY_COUNT ARRAY_COUNT(entries)

#define ENTRY_NAME_BYTES_MAX 32u

static bool is_time(const struct entry *entry)
{
    const size_t len = strlen(entry->name), suffix_len = sizeof(TIMER_SUFFIX) - 1;

    return len > suffix_len && strcmp(entry->name + len - suffix_len, TIMER_SUFFIX) == 0;
}

/* The kind by which a number is read and written. */
static enum kind number_kind(const struct entry *entry)
{
    if (entry->kind != TIMER)
        return entry->kind;
    return is_time(entry) ? MILLISECONDS : COUNT;
}

/* The long option: of a timer t- and its field without the unit. Returns name. */
static const char *entry_name(const struct entry *entry, char name[ENTRY_NAME_BYTES_MAX])
{
    int len;

    if (entry->kind == TIMER && is_time(entry))
        len = snprintf(name, ENTRY_NAME_BYTES_MAX, "%s%.*s", TIMER_PREFIX,
                       (int)(strlen(entry->name) - strlen(TIMER_SUFFIX)), entry->name);
    else
        len = snprintf(name, ENTRY_NAME_BYTES_MAX, "%s", entry->name);
    CHECK(len > 0 && len < (int)ENTRY_NAME_BYTES_MAX);
    for (char *c = name; *c != '\0'; c++)
        if (*c == '_')
            *c = '-';
    return name;
}

static const char *entry_argument(const struct entry *entry)
{
    if (entry->kind != TIMER)
        return entry->argument;
    return is_time(entry) ? "MS" : "COUNT";
}

/* The options that are about the options: only on the command line. */
enum { CONFIG_FILE, PRINT_CONFIG, CHECK_CONFIG, HELP, VERSION, ACTION_COUNT };

static const struct action {
    char letter; /* 0: none */
    const char *name, *argument, *help;
    enum options_mode mode;
} actions[ACTION_COUNT] = {
    [CONFIG_FILE] = {0, "config", "FILE", "read options from a file of lines like memory = 2g",
                     OPTIONS_RUN},
    [PRINT_CONFIG] = {0, "print-config", "", "print all options as they are in force, and exit",
                      OPTIONS_PRINT_CONFIG},
    [CHECK_CONFIG] = {0, "check-config", "", "check options and peers.txt, and exit",
                      OPTIONS_CHECK_CONFIG},
    [HELP] = {'h', "help", "", "print this text, and exit", OPTIONS_HELP},
    [VERSION] = {'V', "version", "", "print the version, and exit", OPTIONS_VERSION},
};

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* How numbers of a kind are written. The first unit is that of a bare number. */
static const struct number {
    const char *noun;
    struct unit units[6]; /* factors never 0 but after the last */
} numbers[] = {
    [MEBIBYTES] = {"a size", {{"", 1 << 20}, {"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}}},
    [BYTES] = {"a size", {{"", 1}, {"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}}},
    [COUNT] = {"a number", {{"", 1}}},
    [SECONDS] = {"a time", {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}},
    [MILLISECONDS] = {"a time", {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}}},
    [LEVEL] = {"a level", {{"", 1}}},
};

/* ---- errors ---------------------------------------------------------------------------------- */

struct report {
    char *text;
    size_t size;
};

static enum err PRINTF_LIKE(2, 3) refuse(const struct report *report, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(report->text, report->size, format, arguments);
    va_end(arguments);
    return ERR_USAGE;
}

/* ---- one value ------------------------------------------------------------------------------- */

/* Digits and at most one suffix of the kind. */
static bool parse_number(enum kind kind, const char *text, uint64_t *number)
{
    const size_t digits = strspn(text, "0123456789");

    for (const struct unit *unit = numbers[kind].units; unit->factor != 0; unit++) {
        if (strcasecmp(text + digits, unit->suffix) == 0) {
            if (!number_parse_decimal(span_of(text, digits), UINT64_MAX / unit->factor, number))
                return false;
            *number *= unit->factor;
            return true;
        }
    }
    return false;
}

/* Writes a number in the largest unit that holds it without a fraction. */
static void format_number(enum kind kind, uint64_t number, char text[32])
{
    const struct unit *best = NULL;

    for (const struct unit *unit = numbers[kind].units; unit->factor != 0; unit++)
        if (number % unit->factor == 0 && (best == NULL || unit->factor >= best->factor))
            best = unit;
    CHECK(best != NULL);
    snprintf(text, 32, "%" PRIu64 "%s", number / best->factor, number == 0 ? "" : best->suffix);
}

static uint64_t field_number(const struct options *options, const struct entry *entry)
{
    const char *field = (const char *)options + entry->offset;
    uint32_t narrow;
    uint64_t wide;

    if (entry->size == sizeof(wide)) {
        memcpy(&wide, field, sizeof(wide));
        return wide;
    }
    CHECK(entry->size == sizeof(narrow));
    memcpy(&narrow, field, sizeof(narrow));
    return narrow;
}

static enum err set_number(const struct entry *entry, const char *text, char *field,
                           const char *source, const struct report *report)
{
    uint64_t number;
    char lowest[32], highest[32];

    const enum kind kind = number_kind(entry);

    CHECK(numbers[kind].noun != NULL);
    if (!parse_number(kind, text, &number) || number < entry->lowest || number > entry->highest) {
        format_number(kind, entry->lowest, lowest);
        format_number(kind, entry->highest, highest);
        return refuse(report, "%s: '%.100s' is not %s (%s … %s)", source, text, numbers[kind].noun,
                      lowest, highest);
    }
    if (entry->size == sizeof(uint64_t)) {
        memcpy(field, &number, sizeof(number));
    } else {
        const uint32_t narrow = (uint32_t)number;
        CHECK(narrow == number);
        memcpy(field, &narrow, sizeof(narrow));
    }
    return ERR_OK;
}

/* A host is what may stand before the colon of an address, so the address parser judges it. */
static enum err set_host(const char *text, char *field, const char *source,
                         const struct report *report)
{
    const bool bare_ipv6 = strchr(text, ':') != NULL && text[0] != '[';
    char whole[ADDRESS_TEXT_BYTES_MAX + 8];
    struct address address;
    const char *why = "too long";
    int len = snprintf(whole, sizeof(whole), bare_ipv6 ? "[%s]:1" : "%s:1", text);

    if (len >= (int)sizeof(whole) ||
        address_parse(span_of(whole, (size_t)len), &address, &why) != ERR_OK)
        return refuse(report, "%s: '%.100s' is not a host: %s", source, text, why);
    memcpy(field, address.host, sizeof(address.host));
    return ERR_OK;
}

static enum err set_address(const char *text, char *field, const char *source,
                            const struct report *report)
{
    struct address address;
    const char *why;

    if (address_parse(span_of_string(text), &address, &why) != ERR_OK)
        return refuse(report, "%s: '%.100s' is not HOST:PORT: %s", source, text, why);
    address_format(&address, field);
    return ERR_OK;
}

static enum err set_name(const char *text, char *field, const char *source,
                         const struct report *report)
{
    if (!state_is_cluster_name(span_of_string(text)))
        return refuse(report, "%s: '%.100s' is not a name (1 … %u letters, digits and . _ -)",
                      source, text, STATE_CLUSTER_BYTES_MAX);
    memcpy(field, text, strlen(text) + 1);
    return ERR_OK;
}

static enum err set_path(const struct entry *entry, const char *text, char *field,
                         const char *source, const struct report *report)
{
    if (strlen(text) >= entry->size)
        return refuse(report, "%s: the path is longer than %zu bytes", source, entry->size - 1);
    memcpy(field, text, strlen(text) + 1);
    return ERR_OK;
}

/* One of the words that stand in the entry's argument, a|b|c. */
static enum err set_choice(const struct entry *entry, const char *text, char *field,
                           const char *source, const struct report *report)
{
    const size_t len = strlen(text);
    const char *word = entry->argument;

    for (;;) {
        const size_t word_len = strcspn(word, "|");
        CHECK(word_len < entry->size);
        if (word_len == len && strncasecmp(word, text, len) == 0) {
            memcpy(field, word, len);
            field[len] = '\0';
            return ERR_OK;
        }
        if (word[word_len] == '\0')
            return refuse(report, "%s: '%.100s' is none of %s", source, text, entry->argument);
        word += word_len + 1;
    }
}

static enum err set_switch(const char *text, char *field, const char *source,
                           const struct report *report)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};

    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            const bool on = i % 2 == 1;
            memcpy(field, &on, sizeof(on));
            return ERR_OK;
        }
    }
    return refuse(report, "%s: '%.100s' is not yes or no", source, text);
}

/* Puts one text into its field. source is what the person wrote it as: --memory, DHT_MEMORY,
 * dht.conf:3: memory. */
static enum err set_option(struct options *options, const struct entry *entry, const char *text,
                           const char *source, const struct report *report)
{
    char *field = (char *)options + entry->offset;

    switch (entry->kind) {
    case HOST:
        return set_host(text, field, source, report);
    case ADDRESS:
        return set_address(text, field, source, report);
    case NAME:
        return set_name(text, field, source, report);
    case PATH:
        return set_path(entry, text, field, source, report);
    case CHOICE:
        return set_choice(entry, text, field, source, report);
    case SWITCH:
        return set_switch(text, field, source, report);
    default:
        return set_number(entry, text, field, source, report);
    }
}

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
    } given[ENTRY_COUNT];
};

/* getopt_long's answer is the letter, or for options without one a number past all letters. */
#define ANSWER_ENTRY  256
#define ANSWER_ACTION 512

static int has_argument(const struct entry *entry)
{
    return entry_argument(entry)[0] != '\0' ? required_argument : optional_argument;
}

/* Both tables as getopt wants them. The leading - makes it hand out words that are no options in
 * their order, whatever POSIXLY_CORRECT says; the : lets us word the complaint. */
static void make_getopt_tables(char letters[], struct option longs[],
                               char names[][ENTRY_NAME_BYTES_MAX])
{
    size_t used = 0, count = 0;

    letters[used++] = '-';
    letters[used++] = ':';
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        longs[count++] = (struct option){entry_name(&entries[i], names[i]),
                                         has_argument(&entries[i]), NULL, ANSWER_ENTRY + (int)i};
        if (entries[i].letter != 0) {
            letters[used++] = entries[i].letter;
            if (has_argument(&entries[i]) == required_argument)
                letters[used++] = ':';
        }
    }
    for (size_t i = 0; i < ACTION_COUNT; i++) {
        const bool wants = actions[i].argument[0] != '\0';
        longs[count++] = (struct option){actions[i].name, wants ? required_argument : no_argument,
                                         NULL, ANSWER_ACTION + (int)i};
        if (actions[i].letter != 0)
            letters[used++] = actions[i].letter;
    }
    longs[count] = (struct option){0};
    letters[used] = '\0';
}

/* The number past all letters for a letter; other answers stay. */
static int without_letters(int answer)
{
    for (size_t i = 0; i < ENTRY_COUNT; i++)
        if (entries[i].letter != 0 && answer == entries[i].letter)
            return ANSWER_ENTRY + (int)i;
    for (size_t i = 0; i < ACTION_COUNT; i++)
        if (actions[i].letter != 0 && answer == actions[i].letter)
            return ANSWER_ACTION + (int)i;
    return answer;
}

static enum err take_word(struct command_line *line, const char *word, const struct report *report)
{
    if (line->positional_count == ARRAY_COUNT(line->positional))
        return refuse(report, "'%.100s' is one word too many; see dht-server --help", word);
    line->positional[line->positional_count++] = word;
    return ERR_OK;
}

static void take_action(struct command_line *line, int which)
{
    if (which == CONFIG_FILE)
        line->config_path = optarg;
    else
        line->mode = actions[which].mode;
}

static enum err scan_command_line(struct command_line *line, int argc, char *const *argv,
                                  const struct report *report)
{
    char letters[2 + 2 * (ENTRY_COUNT + ACTION_COUNT) + 1];
    struct option longs[ENTRY_COUNT + ACTION_COUNT + 1];
    char names[ENTRY_COUNT][ENTRY_NAME_BYTES_MAX];
    int answer;

    make_getopt_tables(letters, longs, names);
    opterr = 0;
    optind = 0; /* glibc: begin anew, whoever used getopt before */
    while ((answer = without_letters(getopt_long(argc, argv, letters, longs, NULL))) != -1) {
        if (answer == ':')
            return refuse(report, "%.100s: a value is missing", argv[optind - 1]);
        if (answer == '?' && optopt >= ANSWER_ENTRY)
            return refuse(report, "'%.100s': the option takes no value", argv[optind - 1]);
        if (answer == '?' && optopt != 0)
            return refuse(report, "there is no option -%c; see dht-server --help", optopt);
        if (answer == '?')
            return refuse(report, "there is no option %.100s; see dht-server --help",
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
                           const struct report *report)
{
    const char *path = line->positional[0], *port = line->positional[1];
    uint64_t number;

    if (line->positional_count == 0 && line->mode != OPTIONS_RUN)
        return ERR_OK;
    if (line->positional_count < 2)
        return refuse(report, "peers.txt and PORT are needed: dht-server peers.txt PORT [options]");
    if (!is_number(port) && is_number(path)) {
        path = line->positional[1];
        port = line->positional[0];
    }
    if (!number_parse_decimal(span_of_string(port), UINT16_MAX, &number))
        return refuse(report, "port '%.100s' is not a number (0 … 65535)", port);
    options->peers_path = path;
    options->port = (uint16_t)number;
    return ERR_OK;
}

/* ---- the sources, weakest first -------------------------------------------------------------- */

static void set_defaults(struct options *options)
{
    const struct report nowhere = {NULL, 0};

    for (size_t i = 0; i < ENTRY_COUNT; i++)
        if (entries[i].preset[0] != '\0' && entries[i].kind != TIMER)
            CHECK(set_option(options, &entries[i], entries[i].preset, "", &nowhere) == ERR_OK);
}

struct config_file {
    FILE *file;
    const char *path;
    struct options *options;
    const struct report *report;
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
        (void)refuse(config->report, "%s:%d: the line is longer than %d bytes", config->path,
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
        for (size_t i = 0; i < ENTRY_COUNT; i++) {
            char own[ENTRY_NAME_BYTES_MAX];
            if (strcmp(entry_name(&entries[i], own), name) == 0) {
                if (set_option(config->options, &entries[i], value, source, config->report) ==
                    ERR_OK)
                    return 1;
                config->bad_line = config->line;
                return 0;
            }
        }
        (void)refuse(config->report, "%s: there is no such option", source);
    } else {
        (void)refuse(config->report, "%s:%d: section [%.60s] is not [dht-server]", config->path,
                     config->line, section);
    }
    config->bad_line = config->line;
    return 0;
}

static enum err read_config_file(struct options *options, const char *path,
                                 const struct report *report)
{
    struct config_file config = {
        .file = fopen(path, "re"), .path = path, .options = options, .report = report};
    int line, cause = errno;

    if (config.file == NULL) {
        (void)refuse(report, "--config: cannot open %.255s: %s", path, strerror(cause));
        return ERR_IO;
    }
    line = ini_parse_stream(config_line, &config, config_entry, &config);
    cause = ferror(config.file) ? errno : 0;
    fclose(config.file);
    if (cause != 0) {
        (void)refuse(report, "--config: cannot read %.255s: %s", path, strerror(cause));
        return ERR_IO;
    }
    if (line > 0 && (config.bad_line == 0 || line < config.bad_line))
        return refuse(report, "%s:%d: not a line like key = value", path, line);
    return config.bad_line == 0 ? ERR_OK : ERR_USAGE;
}

static void environment_name(const struct entry *entry, char name[64])
{
    char own[ENTRY_NAME_BYTES_MAX];
    int len = snprintf(name, 64, "DHT_%s", entry_name(entry, own));

    CHECK(len < 64);
    for (char *c = name; *c != '\0'; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

/* Other variables that begin with DHT_ may belong to anybody (container links make such) and are
 * left alone. */
static enum err read_environment(struct options *options, const struct report *report)
{
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        char name[64];
        const char *text;

        environment_name(&entries[i], name);
        text = getenv(name);
        if (text != NULL && set_option(options, &entries[i], text, name, report) != ERR_OK)
            return ERR_USAGE;
    }
    return ERR_OK;
}

static enum err read_flags(struct options *options, const struct command_line *line,
                           const struct report *report)
{
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        const struct entry *entry = &entries[i];
        const char *text = line->given[i].text;
        char source[64], level[32], name[ENTRY_NAME_BYTES_MAX];

        if (line->given[i].count == 0)
            continue;
        if (text == NULL && entry->kind == LEVEL) {
            const uint32_t count = line->given[i].count;
            format_number(LEVEL, count < entry->highest ? count : entry->highest, level);
            text = level;
        } else if (text == NULL) {
            text = "yes";
        }
        snprintf(source, sizeof(source), "--%s", entry_name(entry, name));
        if (set_option(options, entry, text, source, report) != ERR_OK)
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

static enum err check_timers(const struct gossip_options *timers, const struct report *report)
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
            return refuse(report, "--%s: %" PRIu32 " ms are more than --%s allows, %" PRIu32 " ms",
                          pairs[i].lower, pairs[i].low, pairs[i].higher, pairs[i].high);
    if (timers->cleanup_ms / 4 < timers->accept_ms)
        return refuse(report,
                      "--t-cleanup: %" PRIu32 " ms are less than 4 times --t-accept, %" PRIu32
                      " ms: the dead could rise again",
                      timers->cleanup_ms, timers->accept_ms);
    return ERR_OK;
}

static enum err check_together(const struct options *options, const struct report *report)
{
    if (options->value_bytes_max > options->memory_bytes)
        return refuse(report, "--max-item-size: %" PRIu32 " bytes are more than --memory allows",
                      options->value_bytes_max);
    return check_timers(&options->timers, report);
}

enum err options_parse(struct options *options, int argc, char *const *argv, char *error,
                       size_t size)
{
    const struct report report = {error, size};
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

/* ---- output ---------------------------------------------------------------------------------- */

#define HELP_COLUMN 30
#define HELP_WIDTH  80

/* Writes text from HELP_COLUMN on, broken between words. */
static void print_wrapped(FILE *out, int column, const char *text)
{
    if (column >= HELP_COLUMN) {
        fputc('\n', out);
        column = 0;
    }
    while (*text != '\0') {
        const int len = (int)strcspn(text, " ");

        if (column + 1 + len > HELP_WIDTH) {
            fputc('\n', out);
            column = 0;
        }
        if (column < HELP_COLUMN)
            column += fprintf(out, "%*s", HELP_COLUMN - column, "");
        else
            column += fprintf(out, " ");
        column += fprintf(out, "%.*s", len, text);
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void print_help_entry(FILE *out, char letter, const char *name, const char *argument,
                             const char *help)
{
    int column = letter != 0 ? fprintf(out, "  -%c, ", letter) : fprintf(out, "      ");

    column += fprintf(out, "--%s%s%s", name, argument[0] != '\0' ? " " : "", argument);
    print_wrapped(out, column, help);
}

/* What an option is for, with its default. Returns help. */
static const char *help_text(const struct entry *entry, char *help, size_t size)
{
    const char *preset = entry->preset;
    char number[32];
    uint64_t value;

    if (entry->kind == TIMER) {
        CHECK(number_parse_decimal(span_of_string(preset), UINT32_MAX, &value));
        format_number(number_kind(entry), value, number);
        preset = number;
    }
    if (entry_argument(entry)[0] == '\0' || preset[0] == '\0')
        preset = NULL;
    snprintf(help, size, preset ? "%s (%s)" : "%s", entry->help, preset);
    return help;
}

void options_print_help(FILE *out)
{
    fputs("dht-server peers.txt PORT [options]\n"
          "\n"
          "One node of a key-value store that memcached clients can talk to. peers.txt\n"
          "names all nodes, one host:port a line. PORT 0 takes any free port, which is\n"
          "printed.\n"
          "\n",
          out);
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        const struct entry *entry = &entries[i];
        char help[400], name[ENTRY_NAME_BYTES_MAX];

        print_help_entry(out, entry->letter, entry_name(entry, name), entry_argument(entry),
                         help_text(entry, help, sizeof(help)));
    }
    for (size_t i = 0; i < ACTION_COUNT; i++)
        print_help_entry(out, actions[i].letter, actions[i].name, actions[i].argument,
                         actions[i].help);
    fputs("\n"
          "Every option but the last five is also a key of the file and, in capitals with\n"
          "_ for -, a variable: memory, DHT_MEMORY. The command line goes over the\n"
          "environment, that over the file, that over the default.\n",
          out);
}

void options_print_config(const struct options *options, FILE *out)
{
    for (size_t i = 0; i < ENTRY_COUNT; i++) {
        const struct entry *entry = &entries[i];
        const char *field = (const char *)options + entry->offset;
        char number[32], name[ENTRY_NAME_BYTES_MAX];

        entry_name(entry, name);

        if (entry->kind <= CHOICE) {
            fprintf(out, "%s%s = %s\n", field[0] == '\0' ? "# " : "", name, field);
        } else if (entry->kind == SWITCH) {
            fprintf(out, "%s = %s\n", name, *(const bool *)field ? "yes" : "no");
        } else {
            format_number(number_kind(entry), field_number(options, entry), number);
            fprintf(out, "%s = %s\n", name, number);
        }
    }
}
