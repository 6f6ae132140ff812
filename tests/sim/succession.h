/* Whether a view may follow another, by what stands in the two: proto.md "Views", the rules that
 * can be told without knowing what gossip held. Written anew, not the code that makes views. */
#ifndef DHT_TESTS_SIM_SUCCESSION_H
#define DHT_TESTS_SIM_SUCCESSION_H

#include "common/view.h"

#define SUCCESSION_WHY_BYTES 200u

/* before, after: views of successive numbers. why: out, the rule that is broken. */
bool succession_holds(const struct view *before, const struct view *after,
                      char why[SUCCESSION_WHY_BYTES]);

#endif
