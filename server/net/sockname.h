/* Socket addresses as people write them. */
#ifndef DHT_SERVER_NET_SOCKNAME_H
#define DHT_SERVER_NET_SOCKNAME_H

#include "common/base.h"

#include <sys/socket.h>

/* Writes "ip:port", "[ip]:port" for IPv6. port: out, may be NULL. Returns false for what is no
 * internet address. */
bool sockname_format(const struct sockaddr *address, socklen_t len, char *text, size_t size,
                     uint16_t *port);

#endif
