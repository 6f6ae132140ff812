/* Which node this process is: its name, and where it listens. */
#ifndef DHT_SERVER_SELF_H
#define DHT_SERVER_SELF_H

#include "common/view.h"

#define SELF_ERROR_BYTES_MAX 512u

/* Finds the own name: advertise if given; else the line of peers.txt with this port whose host is
 * an address of this machine, of several such lines the one that listens on listen_host. If there
 * is none, or the port is 0, name stays empty until the port is known (self_complete).
 *
 * seeds   the lines of peers.txt; may be none.
 * name    out: "" or a name in normal form.
 * host    out: where to listen: listen_host if given, else the own line's host if that is an
 *         address of this machine, else 127.0.0.1.
 * error   out on failure: a line for people.
 * errors  ERR_USAGE: several lines are this node's. */
MUST_USE enum err self_find(const struct view *seeds, const char *advertise,
                            const char *listen_host, uint16_t port,
                            char name[ADDRESS_TEXT_BYTES_MAX], char host[HOST_BYTES_MAX + 1],
                            char *error, size_t size);

/* The port is known: makes an empty name that of host and port.
 * errors  ERR_USAGE: nobody could reach that name, and there are others. error as above. */
MUST_USE enum err self_complete(const struct view *seeds, const char *host, uint16_t port,
                                char name[ADDRESS_TEXT_BYTES_MAX], char *error, size_t size);

/* What is wrong with a name that may yet be meant: a static text for people, or NULL. host: as
 * listened on. Looks nothing up. */
const char *self_doubt(const struct view *seeds, const char *name, const char *host);

/* Whether other machines can connect to what listens on host. */
bool self_is_open(const char *host);

#endif
