#include "tests/sim/mutants.h"

#include "common/check.h"
#include "common/mutant.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* A unit test's program is told by its environment: before main, as it has no options. */
static void __attribute__((constructor)) choose_as_told(void)
{
    const char *name = getenv(MUTANT_VARIABLE);
    size_t index = 0;
    while (name && index < mutant_count && strcmp(mutant_lines[index].name, name) != 0)
        index++;
    if (name)
        mutant_choose(index);
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

/* --- unit tests ------------------------------------------------------------------------------- */

#define UNIT_PREFIX "test_"
#define UNIT_FOLDER "mut/unit" /* beside the simulator's program */
#define UNIT_S      120u       /* what takes longer hangs */

bool unit_is_program(const char *name)
{
    return strncmp(name, UNIT_PREFIX, strlen(UNIT_PREFIX)) == 0;
}

/* Becomes the program; all it says goes to out. */
static void become(const char *name, const char *mutant, int out)
{
    char self[PATH_MAX], path[PATH_MAX + NAME_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    CHECK(len > 0);
    self[len] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(path, sizeof(path), "%s/" UNIT_FOLDER "/%s", self, name);
    CHECK(dup2(out, STDOUT_FILENO) >= 0);
    CHECK(dup2(out, STDERR_FILENO) >= 0);
    if (mutant)
        setenv(MUTANT_VARIABLE, mutant, 1);
    else
        unsetenv(MUTANT_VARIABLE);
    alarm(UNIT_S);
    execl(path, name, (char *)NULL);
    _exit(EXIT_FAILURE);
}

/* Reads what cmocka prints until a test fails, or all is said. Returns whether one has failed. */
static bool read_until_failed(FILE *in, char test[UNIT_TEST_BYTES])
{
    char line[1024];
    while (fgets(line, sizeof(line), in)) {
        sscanf(line, "[ RUN      ] %127[a-z0-9_]", test);
        if (strstr(line, "[  FAILED  ]") || strstr(line, "check failed"))
            return true;
    }
    return false;
}

bool unit_fails(const char *name, const char *mutant, char test[UNIT_TEST_BYTES])
{
    int ends[2], status;
    test[0] = '\0';
    fflush(stdout);
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        become(name, mutant, ends[1]);
    close(ends[1]);
    FILE *in = fdopen(ends[0], "r");
    CHECK(in != NULL);
    bool has_failed = read_until_failed(in, test);
    if (has_failed)
        kill(child, SIGKILL);
    fclose(in);
    CHECK(waitpid(child, &status, 0) == child);
    return has_failed || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}
