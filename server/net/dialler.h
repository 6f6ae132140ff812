/* The dialler: from a node's name to a connection. Names are looked up anew at every dial, without
 * stopping the loop (evdns; addresses need no look-up). */
#ifndef DHT_SERVER_NET_DIALLER_H
#define DHT_SERVER_NET_DIALLER_H

#include "server/net/conn.h"

struct dialler *dialler_open(struct turn *turn);
/* Ends look-ups under way. Accepts NULL. */
void dialler_close(struct dialler *dialler);
/* Begins to connect to name (host:port) for a connection that has no socket yet, trying the name's
 * addresses in turn. What becomes of it the connection learns by conn_connected or conn_lost.
 * Returns false if it can't even begin. */
MUST_USE bool dialler_dial(struct dialler *dialler, struct conn_id conn, const char *name);

/* The same to a client's numeric address ip:port, with a port that no privileged service has; it
 * has 1 s. */
MUST_USE bool dialler_dial_client(struct dialler *dialler, struct conn_id conn,
                                  const char *address);

#endif
