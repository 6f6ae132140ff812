/* The client's inside: the servers it knows, and which of them to ask.
 *
 * Modules, each knowing only those below it: dht (the interface), dht_run (operations until they
 * are answered; four files), dht_choice (whom to ask), dht_via (a return address), dht_server,
 * dht_ring, dht_request, dht_wire. */
#ifndef DHT_CLIENT_DHT_CLIENT_H
#define DHT_CLIENT_DHT_CLIENT_H

#include "client/dht_request.h"
#include "client/dht_ring.h"
#include "client/dht_server.h"
#include "client/dht_via.h"

#define CLIENT_TEXT_BYTES_MAX (ANSWER_LINE_BYTES_MAX + ADDRESS_TEXT_BYTES_MAX + 1)

struct dht {
    struct server **servers; /* owned; the list's first, in its order, then others of the ring */
    size_t server_count;     /* at least 1 */
    bool has_strangers;      /* some of them may have left the ring */
    struct server *entry;    /* whom to ask what has no leader, or none that can be asked */
    struct server *asked;    /* last; never NULL */

    bool is_ring_wanted;     /* see dht_set_ring_aware */
    bool is_plain;           /* the servers know no ring: it is not asked for again */
    bool is_ring_stale;      /* a node told of another one, or went away */
    uint64_t learn_after_ms; /* the list is not asked for before */
    struct server *told_by;  /* who told of another ring; NULL: nobody */
    struct known_ring ring;
    struct server **leaders; /* owned; by member of ring.view */

    struct via *via; /* owned; NULL: answers come back the way the requests went */

    bool has_ids;      /* see dht_set_request_ids */
    uint64_t id_nonce; /* random: begins the ids of this client's requests */
    uint64_t id_count; /* ids given out: ends them */

    unsigned timeout_ms;
    uint64_t run_count; /* runs begun */
    uint64_t use_count; /* see server.used */
    char text[CLIENT_TEXT_BYTES_MAX];
    char name[ANSWER_LINE_BYTES_MAX + 1];
};

#endif
