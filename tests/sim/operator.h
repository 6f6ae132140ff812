/* An operator of a simulated cluster, who knows what no node knows: whose data are gone for good.
 */
#ifndef DHT_TESTS_SIM_OPERATOR_H
#define DHT_TESTS_SIM_OPERATOR_H

#include "tests/sim/world.h"

/* Gives up, at every node that runs, all that are not ALIVE there (`accept_loss` without names),
 * save at nodes that would give up one whose data are there, be it that it runs, or that it will:
 * "they must be off", and stay off. Returns whether any node was asked. */
bool operator_accept_loss(struct world *world);

#endif
