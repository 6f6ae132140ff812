/* Single steps by which copies come to be led and synced, judged when they are taken, whether or
 * not a run comes to harm by a wrong one (proto.md "Becoming primary", "Sync"):
 *  - a run begins once COLLECT has brought what it needs: of each epoch that may have been active
 *    the answer of its primary, or of so many of its group that any majority is among them;
 *  - ADVANCE makes a copy current only if that was clean, and of the origin's act;
 *  - a cut leaves the request ids of what it cuts off: the source replaces them, key by key;
 *  - who has been synced has the request ids that its source has. */
#ifndef DHT_TESTS_SIM_STEPS_H
#define DHT_TESTS_SIM_STEPS_H

#include "common/message.h"
#include "common/record.h"
#include "server/core/primary.h"
#include "tests/sim/world.h"

struct steps;

/* slots: each once. gives: steps_close. */
struct steps *steps_open(struct world *world, const uint32_t *slots, uint32_t count);
void steps_close(struct steps *steps);
/* A host sends a message; an ADVANCE in its stream. */
void steps_hear(struct steps *steps, const struct host *host, const struct message *message);
void steps_hear_advance(struct steps *steps, const struct host *host, uint32_t epoch,
                        const struct record_ADVANCE *advance);
/* A host's turn ends, or it is about to write its state file, after which what it does may be of
 * another view. */
void steps_look(struct steps *steps, const struct host *host);
/* The host's data are gone. */
void steps_forget(struct steps *steps, const struct host *host);
/* The run of a slot, by its place in slots, has come to lead at a host. */
void steps_check_lead(struct steps *steps, const struct host *host, uint32_t index);

#endif
