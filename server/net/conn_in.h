/* A connection's input: bytes in, requests or frames up to the node. */
#ifndef DHT_SERVER_NET_CONN_IN_H
#define DHT_SERVER_NET_CONN_IN_H

#include "server/net/conn.h"

/* A client's connection: takes fd (non-blocking), and reads. */
struct conn *conn_accept(struct turn *turn, int fd);
/* It is above the limit of clients: it may stay only if it soon proves to be another node's. */
void conn_limit(struct conn *conn);
/* A dialled connection has got its socket: takes fd, tells the node, and reads. */
void conn_connected(struct conn *conn, int fd);

/* Reads what is to be read, carries it out, and sends what is owed. */
void conns_settle(struct turn *turn);
/* Parses on where input was paused and may go on: those clients have waited longest. */
void conns_resume(struct turn *turn);
/* What has come on accepted connections already is taken and answered; then they end.
 * clients_only  those of other nodes go on. */
void conns_finish(struct turn *turn, bool clients_only);

#endif
