/* Which line of peers.txt this process is: its name, and where it listens. */
#ifndef DHT_SERVER_SELF_H
#define DHT_SERVER_SELF_H

#include "common/view.h"

#define SELF_ERROR_BYTES_MAX 512u

/* Finds the own name: advertise if given; else the line with this port whose host is an address of
 * this machine; of several such lines the one that listens on listen_host. An empty list, or port 0
 * without advertise, leaves name empty until the port is known (self_complete).
 *
 * name    out: a member of view, or "".
 * host    out: where to listen: listen_host if given, else the own line's host, else 127.0.0.1.
 * error   out on failure: a line for people.
 * errors  ERR_USAGE: no line is this node's, or several are; advertise is no line. */
MUST_USE enum err self_find(const struct view *view, const char *advertise, const char *listen_host,
                            uint16_t port, char name[ADDRESS_TEXT_BYTES_MAX],
                            char host[HOST_BYTES_MAX + 1], char *error, size_t size);

/* The port is known: makes an empty view that of this node alone, and an empty name that of host
 * and port, which must then be a line of a view that was not empty.
 * errors  ERR_USAGE as above. */
MUST_USE enum err self_complete(struct view *view, const char *host, uint16_t port,
                                char name[ADDRESS_TEXT_BYTES_MAX], char *error, size_t size);

#endif
