/* How kvcli tells results: data to stdout, talk to stderr, JSON instead of both where asked for. */
#ifndef DHT_CLIENT_CLI_PRINT_H
#define DHT_CLIENT_CLI_PRINT_H

#include "client/cli.h"
#include "common/span.h"

#include <jansson.h>
#include <stdio.h>

/* Colours, empty texts where the stream has none. */
enum cli_color { CLI_PLAIN, CLI_BOLD, CLI_DIM, CLI_RED, CLI_GREEN, CLI_CYAN };
const char *cli_color(bool has_color, enum cli_color color);

/* The exit code that stands for a result. */
enum cli_exit cli_exit_of(enum dht_result result);

/* Says on stderr what went wrong with about, or with everything if it is NULL. */
void cli_complain(const struct cli *cli, const char *about, const char *text);
/* Says on stderr what was done, if a person looks at it. */
void cli_tell(const struct cli *cli, const char *about, const char *done);
/* Says on stderr why an operation did not get DHT_OK. */
void cli_complain_result(const struct cli *cli, const char *about, const struct dht_answer *answer);

/* Asks on the terminal whether to do what before, name and after say together, and returns whether
 * the answer begins with y. Where nobody could be asked, or with --yes, it is agreed. */
bool cli_is_agreed(const struct cli *cli, const struct cli_options *options, const char *before,
                   const char *name, const char *after);

/* {"key": …, "result": …} and, on failure, "message". Gives. */
json_t *cli_json_result(const char *key, const struct dht_answer *answer);
/* Puts a value into object, which takes it. */
void cli_json_set(json_t *object, const char *name, json_t *value);
/* A number as 16 hexadecimal digits. Gives. */
json_t *cli_json_hex(uint64_t number);
/* Puts bytes into object: as text under name if they are UTF-8, else in base64 under base64_name.
 */
void cli_json_set_bytes(json_t *object, const char *name, const char *base64_name,
                        struct span bytes);
/* Prints object on a line of its own; takes it. */
void cli_json_print(json_t *object);

#endif
