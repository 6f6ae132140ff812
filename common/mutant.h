/* Planted bugs: places where a rule can be broken on purpose, to prove that a check would notice.
 *
 * Only a build of its own (-DMUTATIONS, tree build/mut) has them; there MUTANT(name) asks whether
 * this run breaks that rule. Everywhere else it is false, and nothing of it is compiled. */
#ifndef DHT_COMMON_MUTANT_H
#define DHT_COMMON_MUTANT_H

#ifdef MUTATIONS

#include "common/base.h"
#include "common/mutant_list.h"

enum mutant {
    MUTANT_NONE,
#define MUTANT_ENUM(name, check, seed, sentence) MUTANT_##name,
    MUTANT_LIST(MUTANT_ENUM)
#undef MUTANT_ENUM
        MUTANT_COUNT
};

/* The one that is on; set once, before anything runs, by tests/sim. */
extern enum mutant mutant_chosen;

#define MUTANT(name) (mutant_chosen == MUTANT_##name)

#else

#define MUTANT(name) (0)

#endif

#endif
