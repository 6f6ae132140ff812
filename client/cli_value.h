/* Values from where a person has them: the command line, standard input, a file. */
#ifndef DHT_CLIENT_CLI_VALUE_H
#define DHT_CLIENT_CLI_VALUE_H

#include "client/cli.h"
#include "common/buf.h"
#include "common/err.h"

/* Reads a value into value.
 * word    "-": standard input; "@FILE": a file; else the value itself; NULL: standard input, unless
 *         that is a terminal.
 * errors  ERR_USAGE: nothing to read from; ERR_IO, ERR_TOO_LARGE. stderr says what is wrong. */
MUST_USE enum err cli_value_read(const struct cli *cli, const char *word, struct buf *value);

/* Reads a whole file of at most bytes_max bytes.
 * errors  ERR_IO, ERR_TOO_LARGE; errno is set. */
MUST_USE enum err cli_file_read(int fd, size_t bytes_max, struct buf *content);

#endif
