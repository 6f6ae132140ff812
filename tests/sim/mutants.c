#include "tests/sim/mutants.h"

#include "common/check.h"
#include "common/mutant.h"

#ifdef MUTATIONS

enum mutant mutant_chosen;

const struct mutant_line mutant_lines[] = {
#define MUTANT_LINE(name, check, seed, sentence) {#name, check, seed, sentence},
    MUTANT_LIST(MUTANT_LINE)
#undef MUTANT_LINE
};
const size_t mutant_count = ARRAY_COUNT(mutant_lines);

void mutant_choose(size_t index)
{
    CHECK(index < mutant_count);
    mutant_chosen = (enum mutant)(index + 1);
}

#else

const struct mutant_line mutant_lines[1] = {{0}};
const size_t mutant_count = 0;

void mutant_choose(size_t index)
{
    (void)index;
    CHECK(!"this build has no planted bugs");
}

#endif
