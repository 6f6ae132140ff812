#include "server/net/sockname.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool sockname_format(const struct sockaddr *address, socklen_t len, char *text, size_t size,
                     uint16_t *port)
{
    char host[NI_MAXHOST], service[NI_MAXSERV];
    if (getnameinfo(address, len, host, sizeof(host), service, sizeof(service),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false;
    bool is_v6 = strchr(host, ':') != NULL;
    snprintf(text, size, "%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "", service);
    if (port)
        *port = (uint16_t)strtoul(service, NULL, 10);
    return true;
}
