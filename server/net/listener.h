/* The listening socket: accepts, refuses politely above the bound, survives running out of
 * descriptors. */
#ifndef DHT_SERVER_NET_LISTENER_H
#define DHT_SERVER_NET_LISTENER_H

#include "server/net/turn.h"

/* Listens on host (an address, or a name with all its addresses of this machine) and port (0: any).
 * connections_max: of clients. unproven_max: above that, as they may be other nodes; each proves it
 * within a second or goes. address: out, the first as got.
 * gives: release with listener_close. errors: NULL with errno set. */
struct listener *listener_open(struct turn *turn, uint32_t connections_max, uint32_t unproven_max,
                               const char *host, uint16_t port, char *address, size_t address_size,
                               uint16_t *port_got);
/* Stops accepting and frees. Accepts NULL. */
void listener_close(struct listener *listener);

#endif
