/* The planted bugs of a build with -DMUTATIONS; any other build has none. */
#ifndef DHT_TESTS_SIM_MUTANTS_H
#define DHT_TESTS_SIM_MUTANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As a seed: none is known to show it yet, and it is run only when asked for by its name. */
#define MUTANT_OPEN UINT64_MAX

struct mutant_line {
    const char *name;
    const char *check;    /* that must notice */
    uint64_t seed;        /* to be tried first; 0: none */
    const char *sentence; /* what is broken */
};

extern const struct mutant_line mutant_lines[];
extern const size_t mutant_count;

/* Switches one on, by its place in the list, for the rest of the process. */
void mutant_choose(size_t index);

#endif
