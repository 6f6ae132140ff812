#include "client/cli_options.h"

#include "common/check.h"
#include "common/number.h"

#include <getopt.h>
#include <stdio.h>

const struct cli_option cli_option_table[CLI_OPTION_COUNT] = {
#define CLI_OPTION_ROW(id, name, letter, argument, help) {name, letter, argument, help},
    CLI_OPTION_LIST(CLI_OPTION_ROW)
#undef CLI_OPTION_ROW
};

#define MS_MAX (10000ll * 366 * 24 * 60 * 60 * 1000)

bool cli_time_parse(const char *text, int64_t *ms)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"", 1000},       {"ms", 1},          {"s", 1000},
                 {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000}};
    bool is_negative = *text == '-';
    text += is_negative;
    size_t digits = strspn(text, "0123456789");
    uint64_t number;
    if (!number_parse_decimal(span_of(text, digits), INT64_MAX, &number))
        return false;
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (strcmp(text + digits, units[i].name) != 0)
            continue;
        if ((int64_t)number > MS_MAX / units[i].ms)
            return false;
        *ms = (is_negative ? -1 : 1) * (int64_t)number * units[i].ms;
        return true;
    }
    return false;
}

bool cli_ttl_parse(const char *text, int64_t *ttl_s)
{
    int64_t ms;
    if (!cli_time_parse(text, &ms) || ms % 1000 != 0)
        return false;
    *ttl_s = ms / 1000;
    return true;
}

static enum err refuse(enum cli_option_id id, const char *text, const char *wanted)
{
    fprintf(stderr, "kvcli: --%s %s: %s is wanted\n", cli_option_table[id].name, text, wanted);
    return ERR_USAGE;
}

static enum err option_take(struct cli_options *options, enum cli_option_id id, const char *text)
{
    int64_t ms;
    uint64_t number;
    options->given |= 1u << id;
    switch (id) {
    case CLI_OPTION_SERVER:
        options->servers = text;
        options->given &= ~(CLI_BIT(PEERS) | CLI_BIT(VIA)); /* the last of the three counts */
        return ERR_OK;
    case CLI_OPTION_PEERS:
        options->peers_file = text;
        options->given &= ~(CLI_BIT(SERVER) | CLI_BIT(VIA));
        return ERR_OK;
    case CLI_OPTION_VIA:
        options->via = text;
        options->given &= ~(CLI_BIT(SERVER) | CLI_BIT(PEERS));
        return ERR_OK;
    case CLI_OPTION_TIMEOUT:
        if (!cli_time_parse(text, &ms) || ms < 1 || ms > INT32_MAX)
            return refuse(id, text, "a time such as 3s or 500ms");
        options->timeout_ms = (unsigned)ms;
        return ERR_OK;
    case CLI_OPTION_TTL:
        return cli_ttl_parse(text, &options->ttl_s)
                   ? ERR_OK
                   : refuse(id, text, "a time such as 90, 10m, 2h or 7d");
    case CLI_OPTION_FLAGS:
        if (!number_parse_decimal(span_of_string(text), UINT32_MAX, &number))
            return refuse(id, text, "a number from 0 to 4294967295");
        options->flags = (uint32_t)number;
        return ERR_OK;
    case CLI_OPTION_CAS:
        if (!number_parse_decimal(span_of_string(text), UINT64_MAX, &options->cas) ||
            options->cas == 0)
            return refuse(id, text, "the number that get --json shows as cas");
        return ERR_OK;
    default:
        return ERR_OK;
    }
}

enum err cli_options_parse(struct cli_options *options, int argc, char **argv, bool is_leading,
                           int *operand)
{
    struct option long_options[CLI_OPTION_COUNT + 1] = {0};
    char letters[2 * CLI_OPTION_COUNT + 2];
    char *letter = letters;
    if (is_leading)
        *letter++ = '+';
    for (size_t i = 0; i < CLI_OPTION_COUNT; i++) {
        const struct cli_option *row = &cli_option_table[i];
        long_options[i] = (struct option){
            row->name, row->argument ? required_argument : no_argument, NULL, row->letter};
        *letter++ = row->letter;
        if (row->argument)
            *letter++ = ':';
    }
    *letter = '\0';
    argv[0] = (char *)"kvcli"; /* whom getopt_long's complaints name */
    optind = 0;                /* glibc: begin anew */
    int found;
    while ((found = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
        size_t id = 0;
        while (id < CLI_OPTION_COUNT && cli_option_table[id].letter != found)
            id++;
        if (id == CLI_OPTION_COUNT) /* getopt_long has said what is wrong */
            return ERR_USAGE;
        if (option_take(options, (enum cli_option_id)id, optarg) != ERR_OK)
            return ERR_USAGE;
    }
    *operand = optind;
    return ERR_OK;
}
