/* What options say of themselves: --help and --print-config. */
#include "common/check.h"
#include "common/number.h"
#include "server/options_table.h"

#include <string.h>

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
static const char *help_text(const struct option_entry *entry, char *help, size_t size)
{
    const char *preset = entry->preset;
    char number[32];
    uint64_t value;

    if (entry->kind == TIMER) {
        CHECK(number_parse_decimal(span_of_string(preset), UINT32_MAX, &value));
        option_format_number(option_number_kind(entry), value, number);
        preset = number;
    }
    if (option_argument(entry)[0] == '\0' || preset[0] == '\0')
        preset = NULL;
    snprintf(help, size, preset ? "%s (%s)" : "%s", entry->help, preset);
    return help;
}

void options_print_help(FILE *out)
{
    fputs("dht-server peers.txt PORT [options]\n"
          "\n"
          "One node of a key-value store that memcached clients can talk to. It joins\n"
          "through the nodes that peers.txt names, one host:port a line; others need not\n"
          "stand there. PORT 0 takes any free port, which is printed.\n"
          "\n",
          out);
    for (size_t i = 0; i < OPTION_ENTRY_COUNT; i++) {
        const struct option_entry *entry = &option_entries[i];
        char help[400], name[OPTION_NAME_BYTES_MAX];

        print_help_entry(out, entry->letter, option_name(entry, name), option_argument(entry),
                         help_text(entry, help, sizeof(help)));
    }
    for (size_t i = 0; i < OPTION_ACTION_COUNT; i++)
        print_help_entry(out, option_actions[i].letter, option_actions[i].name,
                         option_actions[i].argument, option_actions[i].help);
    fputs("\n"
          "Every option but the last five is also a key of the file and, in capitals with\n"
          "_ for -, a variable: memory, DHT_MEMORY. The command line goes over the\n"
          "environment, that over the file, that over the default.\n",
          out);
}

static uint64_t option_field_number(const struct options *options, const struct option_entry *entry)
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

void options_print_config(const struct options *options, FILE *out)
{
    for (size_t i = 0; i < OPTION_ENTRY_COUNT; i++) {
        const struct option_entry *entry = &option_entries[i];
        const char *field = (const char *)options + entry->offset;
        char number[32], name[OPTION_NAME_BYTES_MAX];

        option_name(entry, name);

        if (entry->kind <= CHOICE) {
            fprintf(out, "%s%s = %s\n", field[0] == '\0' ? "# " : "", name, field);
        } else if (entry->kind == SWITCH) {
            fprintf(out, "%s = %s\n", name, *(const bool *)field ? "yes" : "no");
        } else {
            option_format_number(option_number_kind(entry), option_field_number(options, entry),
                                 number);
            fprintf(out, "%s = %s\n", name, number);
        }
    }
}
