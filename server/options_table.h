/* The table behind options: one entry an option, how its text is read and written. For options.c,
 * options_value.c and options_print.c. */
#ifndef DHT_SERVER_OPTIONS_TABLE_H
#define DHT_SERVER_OPTIONS_TABLE_H

#include "server/options.h"

enum option_kind {
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

/* One option. */
struct option_entry {
    enum option_kind kind;
    char letter;         /* 0: none */
    size_t offset, size; /* of the field, bytes */
    const char *name, *argument, *preset, *help;
    uint64_t lowest, highest;
};

#define OPTION_TIMER_COUNT (sizeof(struct gossip_options) / sizeof(uint32_t))
#define OPTION_ENTRY_COUNT (OPTION_LISTED_COUNT + OPTION_TIMER_COUNT)

/* How many options_list.h lists. */
enum {
#define OPTION_COUNTED(kind, field, letter, name, argument, preset, lowest, highest, help)         \
    OPTION_INDEX_##field,
    OPTIONS_LIST(OPTION_COUNTED)
#undef OPTION_COUNTED
        OPTION_LISTED_COUNT
};

extern const struct option_entry option_entries[OPTION_ENTRY_COUNT];

/* The options that are about the options: only on the command line. */
enum { CONFIG_FILE, PRINT_CONFIG, CHECK_CONFIG, HELP, VERSION, OPTION_ACTION_COUNT };

struct option_action {
    char letter; /* 0: none */
    const char *name, *argument, *help;
    enum options_mode mode;
};

extern const struct option_action option_actions[OPTION_ACTION_COUNT];

#define OPTION_NAME_BYTES_MAX 32u

/* The kind by which a number is read and written. */
enum option_kind option_number_kind(const struct option_entry *entry);
/* The long option: of a timer t- and its field without the unit. Returns name. */
const char *option_name(const struct option_entry *entry, char name[OPTION_NAME_BYTES_MAX]);
/* What --help calls its value; "" if it takes none. */
const char *option_argument(const struct option_entry *entry);

/* What a number of this kind is called: "a size"; NULL if the kind is none of numbers. */
const char *option_noun(enum option_kind kind);
/* Digits and at most one suffix of the kind. */
MUST_USE bool option_parse_number(enum option_kind kind, const char *text, uint64_t *number);
/* Writes a number in the largest unit that holds it without a fraction. */
void option_format_number(enum option_kind kind, uint64_t number, char text[32]);

/* Where a complaint goes: one line for people. */
struct option_report {
    char *text;
    size_t size;
};

/* Complains. Returns ERR_USAGE. */
enum err option_refuse(const struct option_report *report, const char *format, ...)
    PRINTF_LIKE(2, 3);
/* Puts one text into its field. source is what the person wrote it as: --memory, DHT_MEMORY,
 * dht.conf:3: memory. errors ERR_USAGE, report filled. */
MUST_USE enum err option_set(struct options *options, const struct option_entry *entry,
                             const char *text, const char *source,
                             const struct option_report *report);

#endif
