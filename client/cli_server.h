/* Which servers kvcli talks to, and the connection to them. */
#ifndef DHT_CLIENT_CLI_SERVER_H
#define DHT_CLIENT_CLI_SERVER_H

#include "client/cli.h"

/* The list of servers, from the first of: --server, --peers, $KVCLI_SERVERS, the user's file
 * ($XDG_CONFIG_HOME or ~/.config)/kvcli/servers, 127.0.0.1:11211.
 * returns  gives "host:port[,host:port…]"; NULL after stderr said what is wrong. */
char *cli_servers(const struct cli_options *options);

/* The session's client for these options: opened when first needed, and anew when they name other
 * servers. Returns NULL after stderr said what is wrong; borrowed from cli. */
struct dht *cli_connect(struct cli *cli, const struct cli_options *options);

#endif
