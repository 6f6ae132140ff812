/* One option's text into its field. */
#include "common/check.h"
#include "server/options_table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

enum err option_refuse(const struct option_report *report, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(report->text, report->size, format, arguments);
    va_end(arguments);
    return ERR_USAGE;
}

static enum err set_number(const struct option_entry *entry, const char *text, char *field,
                           const char *source, const struct option_report *report)
{
    uint64_t number;
    char lowest[32], highest[32];

    const enum option_kind kind = option_number_kind(entry);

    CHECK(option_noun(kind) != NULL);
    if (!option_parse_number(kind, text, &number) || number < entry->lowest ||
        number > entry->highest) {
        option_format_number(kind, entry->lowest, lowest);
        option_format_number(kind, entry->highest, highest);
        return option_refuse(report, "%s: '%.100s' is not %s (%s … %s)", source, text,
                             option_noun(kind), lowest, highest);
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
                         const struct option_report *report)
{
    const bool bare_ipv6 = strchr(text, ':') != NULL && text[0] != '[';
    char whole[ADDRESS_TEXT_BYTES_MAX + 8];
    struct address address;
    const char *why = "too long";
    int len = snprintf(whole, sizeof(whole), bare_ipv6 ? "[%s]:1" : "%s:1", text);

    if (len >= (int)sizeof(whole) ||
        address_parse(span_of(whole, (size_t)len), &address, &why) != ERR_OK)
        return option_refuse(report, "%s: '%.100s' is not a host: %s", source, text, why);
    memcpy(field, address.host, sizeof(address.host));
    return ERR_OK;
}

static enum err set_address(const char *text, char *field, const char *source,
                            const struct option_report *report)
{
    struct address address;
    const char *why;

    if (address_parse(span_of_string(text), &address, &why) != ERR_OK)
        return option_refuse(report, "%s: '%.100s' is not HOST:PORT: %s", source, text, why);
    address_format(&address, field);
    return ERR_OK;
}

static enum err set_name(const char *text, char *field, const char *source,
                         const struct option_report *report)
{
    if (!state_is_cluster_name(span_of_string(text)))
        return option_refuse(report,
                             "%s: '%.100s' is not a name (1 … %u letters, digits and . _ -)",
                             source, text, STATE_CLUSTER_BYTES_MAX);
    memcpy(field, text, strlen(text) + 1);
    return ERR_OK;
}

static enum err set_path(const struct option_entry *entry, const char *text, char *field,
                         const char *source, const struct option_report *report)
{
    if (strlen(text) >= entry->size)
        return option_refuse(report, "%s: the path is longer than %zu bytes", source,
                             entry->size - 1);
    memcpy(field, text, strlen(text) + 1);
    return ERR_OK;
}

/* One of the words that stand in the entry's argument, a|b|c. */
static enum err set_choice(const struct option_entry *entry, const char *text, char *field,
                           const char *source, const struct option_report *report)
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
            return option_refuse(report, "%s: '%.100s' is none of %s", source, text,
                                 entry->argument);
        word += word_len + 1;
    }
}

static enum err set_switch(const char *text, char *field, const char *source,
                           const struct option_report *report)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};

    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            const bool on = i % 2 == 1;
            memcpy(field, &on, sizeof(on));
            return ERR_OK;
        }
    }
    return option_refuse(report, "%s: '%.100s' is not yes or no", source, text);
}

enum err option_set(struct options *options, const struct option_entry *entry, const char *text,
                    const char *source, const struct option_report *report)
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
