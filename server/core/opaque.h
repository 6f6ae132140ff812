/* Answers that leave the order of their requests are told apart by their opaque. Meta answers carry
 * it by themselves; an error line gets it as its last word. */
#ifndef DHT_SERVER_CORE_OPAQUE_H
#define DHT_SERVER_CORE_OPAQUE_H

#include "common/reply.h"

/* If answer, whole, is an error line, appends " O<opaque>" to it; else leaves it as it is. */
void opaque_mark(struct reply *answer, struct span opaque);

#endif
