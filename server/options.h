/* What the person who starts dht-server may choose, and from where: command line over environment
 * (DHT_<KEY>) over configuration file over default. options_list.h is the list.
 *
 * Nothing here prints on its own, ends the process or keeps state: main does that with the result.
 */
#ifndef DHT_SERVER_OPTIONS_H
#define DHT_SERVER_OPTIONS_H

#include "common/address.h"
#include "common/err.h"
#include "server/core/gossip_options.h"
#include "server/core/state.h"
#include "server/options_list.h"

#include <stdio.h>

#define OPTIONS_ERROR_BYTES_MAX 2048u
#define OPTION_PATH_BYTES_MAX   1023u
#define OPTION_CHOICE_BYTES_MAX 23u

/* The C type of each kind of option. */
#define OPTION_FIELD_HOST(name) char name[HOST_BYTES_MAX + 1] /* "": not given */
#define OPTION_FIELD_ADDRESS(name)                                                                 \
    char name[ADDRESS_TEXT_BYTES_MAX]                 /* normal form; "": not given */
#define OPTION_FIELD_MEBIBYTES(name)    uint64_t name /* bytes, whatever the text's unit was */
#define OPTION_FIELD_BYTES(name)        uint32_t name
#define OPTION_FIELD_COUNT(name)        uint32_t name
#define OPTION_FIELD_SECONDS(name)      uint32_t name
#define OPTION_FIELD_MILLISECONDS(name) uint32_t name
#define OPTION_FIELD_LEVEL(name)        uint32_t name
#define OPTION_FIELD_SWITCH(name)       bool name
#define OPTION_FIELD_NAME(name)         char name[STATE_CLUSTER_BYTES_MAX + 1]
#define OPTION_FIELD_PATH(name)         char name[OPTION_PATH_BYTES_MAX + 1] /* "": not given */
#define OPTION_FIELD_CHOICE(name)       char name[OPTION_CHOICE_BYTES_MAX + 1] /* a word of argument */

enum options_mode {
    OPTIONS_RUN,
    OPTIONS_PRINT_CONFIG, /* options_print_config, exit 0 */
    OPTIONS_CHECK_CONFIG, /* look at peers.txt too if there is one, exit 0 */
    OPTIONS_HELP,         /* options_print_help, exit 0; nothing else was looked at */
    OPTIONS_VERSION,      /* the same */
};

struct options {
    enum options_mode mode;
    const char *peers_path; /* borrowed from argv; NULL only if mode is not OPTIONS_RUN */
    uint16_t port;          /* 0: any free one, which is printed */
#define OPTION_FIELD(kind, field, letter, name, argument, preset, lowest, highest, help)           \
    OPTION_FIELD_##kind(field);
    OPTIONS_LIST(OPTION_FIELD)
#undef OPTION_FIELD
    struct gossip_options timers; /* each as given, else as the profile has it */
};

/* Reads all sources: `dht-server peers.txt PORT [options]`, the two in either order.
 *
 * options  out; whole only on success.
 * argv     as main got it; options borrows from it.
 * error    out on failure: one line for people without newline, naming the option, variable or
 *          file and line, and what would be right.
 * size     of error; OPTIONS_ERROR_BYTES_MAX holds every text.
 * errors   ERR_USAGE: something given is wrong; ERR_IO: the configuration file cannot be read. */
MUST_USE enum err options_parse(struct options *options, int argc, char *const *argv, char *error,
                                size_t size);

/* Writes the help text. */
void options_print_help(FILE *out);

/* Writes every option as it is in force, as a file that --config reads back to the same. */
void options_print_config(const struct options *options, FILE *out);

#endif
