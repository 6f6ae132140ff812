/* kvcli's options, read with getopt_long from the one table in cli.h. */
#ifndef DHT_CLIENT_CLI_OPTIONS_H
#define DHT_CLIENT_CLI_OPTIONS_H

#include "client/cli.h"
#include "common/err.h"

/* One line of the table. */
struct cli_option {
    const char *name;
    char letter;
    const char *argument; /* NULL: takes none */
    const char *help;
};
extern const struct cli_option cli_option_table[CLI_OPTION_COUNT];

/* Reads options from argv (argv[0] is none, and is changed) into options, which hold what was given
 * before.
 *
 * is_leading  stop at the first word that is no option; else options may stand anywhere before
 * "--", and the other words are moved behind them. operand     out: index of the first word that is
 * no option. errors      ERR_USAGE: stderr says what is wrong. */
MUST_USE enum err cli_options_parse(struct cli_options *options, int argc, char **argv,
                                    bool is_leading, int *operand);

/* time = number ["ms" / "s" / "m" / "h" / "d"], seconds without a unit; one '-' may stand before
 * it. Returns false if it is none, or beyond 10,000 years. */
MUST_USE bool cli_time_parse(const char *text, int64_t *ms);
/* The same in whole seconds; a part of one is none. */
MUST_USE bool cli_ttl_parse(const char *text, int64_t *ttl_s);

#endif
