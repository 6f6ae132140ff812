/* A node's address as text, host:port, in one normal form, which is also its name. */
#ifndef DHT_COMMON_ADDRESS_H
#define DHT_COMMON_ADDRESS_H

#include "common/err.h"
#include "common/span.h"

#define HOST_BYTES_MAX         255u
#define ADDRESS_TEXT_BYTES_MAX (HOST_BYTES_MAX + 2 + 1 + 5 + 1) /* [host]:port and NUL */

struct address {
    char host[HOST_BYTES_MAX + 1]; /* lower case, no brackets: a name, an IPv4 or IPv6 address */
    uint16_t port;                 /* 1 … 65535, host order */
};

/* Parses host:port, [v6]:port. A bare IPv6 address needs brackets.
 * why     out on error: a static text saying what is wrong, for people.
 * errors  ERR_SYNTAX. */
MUST_USE enum err address_parse(struct span text, struct address *address, const char **why);
/* Writes the normal form, NUL-terminated: lower case host (IP addresses as inet_ntop writes them),
 * brackets around IPv6. */
void address_format(const struct address *address, char text[ADDRESS_TEXT_BYTES_MAX]);

#endif
