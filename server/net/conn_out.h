/* A connection's output: answers down in order, and the end behind the last of them. */
#ifndef DHT_SERVER_NET_CONN_OUT_H
#define DHT_SERVER_NET_CONN_OUT_H

#include "server/net/conn.h"

/* Sends what is owed to every connection that was touched, lets paused input go on, and puts what
 * has ended among those to be freed. The batch must have been carried out. */
void conns_send(struct turn *turn);
/* Frees the connections that have ended; at the turn's end only, never inside a callback. */
void conns_free_ended(struct turn *turn);
/* Ends and frees every connection there is. */
void conns_end(struct turn *turn);

/* libevent's callback: the socket takes bytes again. */
void conn_on_writable(evutil_socket_t fd, short what, void *arg);
/* LINGERING: what a client still says after its last answer is thrown away. */
void conn_discard(struct conn *conn);

#endif
