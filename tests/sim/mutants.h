/* The planted bugs of a build with -DMUTATIONS; any other build has none. */
#ifndef DHT_TESTS_SIM_MUTANTS_H
#define DHT_TESTS_SIM_MUTANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As a seed: none is known to show it yet, and it is run only when asked for by its name. */
#define MUTANT_OPEN UINT64_MAX

/* The environment variable that names one to a unit test's program of that build. */
#define MUTANT_VARIABLE "DHT_MUTANT"

struct mutant_line {
    const char *name;
    const char *check;    /* that must notice; or a unit test's program, test_… */
    uint64_t seed;        /* of a check, to be tried first; 0: none */
    const char *sentence; /* what is broken */
};

extern const struct mutant_line mutant_lines[];
extern const size_t mutant_count;

/* Switches one on, by its place in the list, for the rest of the process. */
void mutant_choose(size_t index);

#define UNIT_TEST_BYTES 128u

/* Whether that is the name of a unit test's program and not of a check. */
bool unit_is_program(const char *name);
/* Runs such a program of this build, until a test of it fails.
 *
 * mutant  the planted bug that is on; NULL: none.
 * test    out: the name of the test that has failed; empty: none.
 *
 * Returns whether one has failed, or the program could not run. */
bool unit_fails(const char *name, const char *mutant, char test[UNIT_TEST_BYTES]);

#endif
