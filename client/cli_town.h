/* What a node says of its cluster: the list of members and the ring. */
#ifndef DHT_CLIENT_CLI_TOWN_H
#define DHT_CLIENT_CLI_TOWN_H

#include "client/cli.h"
#include "client/dht_ring.h"

#define CLI_GENERATION_DIGITS 10 /* shown of HEX64_DIGITS: enough to tell two of one name apart */

struct town {
    struct member_list list;
    struct known_ring ring; /* zeroed: the node has none */
    uint32_t *leads;        /* owned; slots by member of ring.view */
    uint32_t *backs;        /* owned; the same: slots whose second or third it is */
};

/* Asks a node for its list. town is to be closed on CLI_DONE; else what went wrong has been said.
 * Returns a cli_exit. */
int town_ask(struct cli *cli, const struct cli_options *options, struct town *town);
void town_close(struct town *town);

/* A member's index in the ring's view; UINT32_MAX if it is not on the ring. */
uint32_t town_ring_index(const struct town *town, const char *name);
/* The width of a column of the members' names. */
int town_name_width(const struct town *town);
/* Says that the node has no ring; returns the exit code for that. */
int town_no_ring(const struct cli *cli, const struct town *town);

#endif
