#include "server/options_table.h"

#include "common/check.h"
#include "common/number.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

/* What the list of timers says that an entry has no other place for. */
#define TIMER_PREFIX "t-"
#define TIMER_SUFFIX "_ms"

const struct option_entry option_entries[OPTION_ENTRY_COUNT] = {
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

const struct option_action option_actions[OPTION_ACTION_COUNT] = {
    [CONFIG_FILE] = {0, "config", "FILE", "read options from a file of lines like memory = 2g",
                     OPTIONS_RUN},
    [PRINT_CONFIG] = {0, "print-config", "", "print all options as they are in force, and exit",
                      OPTIONS_PRINT_CONFIG},
    [CHECK_CONFIG] = {0, "check-config", "", "check options and peers.txt, and exit",
                      OPTIONS_CHECK_CONFIG},
    [HELP] = {'h', "help", "", "print this text, and exit", OPTIONS_HELP},
    [VERSION] = {'V', "version", "", "print the version, and exit", OPTIONS_VERSION},
};

static bool is_time(const struct option_entry *entry)
{
    const size_t len = strlen(entry->name), suffix_len = sizeof(TIMER_SUFFIX) - 1;

    return len > suffix_len && strcmp(entry->name + len - suffix_len, TIMER_SUFFIX) == 0;
}

enum option_kind option_number_kind(const struct option_entry *entry)
{
    if (entry->kind != TIMER)
        return entry->kind;
    return is_time(entry) ? MILLISECONDS : COUNT;
}

const char *option_name(const struct option_entry *entry, char name[OPTION_NAME_BYTES_MAX])
{
    int len;

    if (entry->kind == TIMER && is_time(entry))
        len = snprintf(name, OPTION_NAME_BYTES_MAX, "%s%.*s", TIMER_PREFIX,
                       (int)(strlen(entry->name) - strlen(TIMER_SUFFIX)), entry->name);
    else
        len = snprintf(name, OPTION_NAME_BYTES_MAX, "%s", entry->name);
    CHECK(len > 0 && len < (int)OPTION_NAME_BYTES_MAX);
    for (char *c = name; *c != '\0'; c++)
        if (*c == '_')
            *c = '-';
    return name;
}

const char *option_argument(const struct option_entry *entry)
{
    if (entry->kind != TIMER)
        return entry->argument;
    return is_time(entry) ? "MS" : "COUNT";
}

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

const char *option_noun(enum option_kind kind)
{
    return kind < ARRAY_COUNT(numbers) ? numbers[kind].noun : NULL;
}

bool option_parse_number(enum option_kind kind, const char *text, uint64_t *number)
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

void option_format_number(enum option_kind kind, uint64_t number, char text[32])
{
    const struct unit *best = NULL;

    for (const struct unit *unit = numbers[kind].units; unit->factor != 0; unit++)
        if (number % unit->factor == 0 && (best == NULL || unit->factor >= best->factor))
            best = unit;
    CHECK(best != NULL);
    snprintf(text, 32, "%" PRIu64 "%s", number / best->factor, number == 0 ? "" : best->suffix);
}
