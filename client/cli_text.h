/* Numbers for people: spans of time, sizes, shares, versions. */
#ifndef DHT_CLIENT_CLI_TEXT_H
#define DHT_CLIENT_CLI_TEXT_H

#include "common/base.h"

#define CLI_AGE_BYTES_MAX     24u
#define CLI_SIZE_BYTES_MAX    16u
#define CLI_VERSION_BYTES_MAX 32u

/* A span of time: "0.4s", "12s", "3m20s", "5h03m", "2d04h". */
void cli_age_format(uint64_t ms, char text[CLI_AGE_BYTES_MAX]);
/* How long a process of this boot number has been running: that is the time of its start, in Unix
 * ms, as its own clock had it. "-" where it can't be. */
void cli_up_format(uint64_t boot, char text[CLI_AGE_BYTES_MAX]);
/* Bytes: "512", "1.5K", "23.0M", "1.2G": of 1024. */
void cli_size_format(uint64_t bytes, char text[CLI_SIZE_BYTES_MAX]);
/* A version as epoch and number: "7:12"; "-" for none. */
void cli_version_format(uint64_t version, char text[CLI_VERSION_BYTES_MAX]);
/* Of all slots, in percent, to two places, rounded down: 100 is all of them. */
double cli_share(uint32_t slots);

#endif
