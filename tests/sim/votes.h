/* What seats have voted, seen from outside: by what each writes into its state file before it says
 * it, and by what is sent. With all seats' votes at hand it asserts what makes one view of each
 * number, whether or not a run comes to two:
 *  - what a seat has promised and accepted never falls, and is written down before it is said;
 *  - a ballot is one attempt of one process, for one epoch, and offers one view;
 *  - who has accepted a first view under one peers.txt takes part under no other;
 *  - what a ballot offers is what those who promised it had accepted under the highest ballot, of
 *    some majority of F(e) at least;
 *  - a view that anybody has was accepted, under one ballot, by a majority of F(e); view 1 by a
 *    majority of the lines of peers.txt.
 *
 * source  proto.md "Views" 1 and 2. */
#ifndef DHT_TESTS_SIM_VOTES_H
#define DHT_TESTS_SIM_VOTES_H

#include "common/message.h"
#include "tests/sim/world.h"

struct votes;

/* Begins with what stands in the hosts' state files. gives: votes_close. */
struct votes *votes_open(struct world *world);
void votes_close(struct votes *votes);
/* What was voted for views up to the one after epoch is not judged. */
void votes_skip(struct votes *votes, uint32_t epoch);
/* What tells a view from another of its number. */
uint64_t votes_view_hash(const struct view *view);
/* A host has written its state file. */
void votes_look(struct votes *votes, const struct host *host);
/* A host sends a message. */
void votes_hear(struct votes *votes, const struct host *host, const struct message *message);

#endif
