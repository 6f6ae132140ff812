/* Admin: the commands with which clients ask a node for the ring. Words the answers; what they say
 * is told by the caller. Knows no sessions, no gossip. */
#ifndef DHT_SERVER_CORE_ADMIN_H
#define DHT_SERVER_CORE_ADMIN_H

#include "common/reply.h"
#include "common/request.h"
#include "common/view.h"

/* The ring as this node has it now. */
struct admin_ring {
    const struct view *members; /* borrowed; NULL: this node has no ring yet */
    uint64_t hash;              /* ring_hash of members; 0 if there is none */
    uint64_t changes;           /* rings this node has had, this one included */
};

/* `config …`: words is what follows it on the line. */
void admin_config(struct reply *out, const struct admin_ring *ring, struct span words);
/* `ring`: "RING <hash> <members>", those that lead slots: full and up. `config` lists the same. */
void admin_ring(struct reply *out, const struct admin_ring *ring);
/* "RING <hash>": told to a client that follows the ring, before the answer of a forwarded request.
 */
void admin_ring_notice(struct reply *out, uint64_t hash);
/* `get_membership_list`: the list itself, in JSON, is made by the caller. */
void admin_membership(struct reply *out, uint64_t version, struct span json);
/* `status`, `transfers`, `copy`: the report itself, in JSON, is made by the caller. */
void admin_report(struct reply *out, struct span json);
/* Whether the client that calls from address, "<ip>:<port>", may not take answers at that ip on
 * port: a whole answer that says why; empty if it may. ring: its members' own addresses are not
 * for clients. */
struct span admin_return_refusal(const struct view *ring, const char *client, uint64_t port,
                                 bool is_on);
/* Why `shutdown` with these words is refused, a whole answer; empty if it is not. */
struct span admin_shutdown_refusal(bool can_shutdown, struct span words);

#endif
