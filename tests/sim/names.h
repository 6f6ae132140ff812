/* The names of simulated nodes: 10.0.0.1:11211 is n1, 10.0.0.251:11211 is not used, 10.0.1.1:11211
 * is n251. As long as real ones, so that counted bytes are real too. */
#ifndef DHT_TESTS_SIM_NAMES_H
#define DHT_TESTS_SIM_NAMES_H

#include "common/address.h"
#include "common/span.h"

#define NAMES_PORT 11211u

/* Writes node number's (from 0) name. */
void name_format(uint32_t number, char name[ADDRESS_TEXT_BYTES_MAX]);
/* If text begins with a node's name: its length and the node's number; else 0. */
size_t name_find(struct span text, uint32_t *number);

#endif
