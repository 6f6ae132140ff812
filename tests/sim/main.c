/* The simulator's program: runs checks over seeds, or one seed of one check, or stories.
 *
 *   sim [--check NAME] [--seed N] [--nodes N] [--seconds N] [--seeds N] [--long] [--trace]
 *   sim --stories FILE… [--rewrite] [--trace]
 *   sim --mutants [--mutant NAME] [--seeds N] [--check NAME]     a build with -DMUTATIONS only
 *   sim --list
 *
 * Prints TAP, one test a check or story. Each check runs in a process of its own, so that a failed
 * assertion in a node ends that check alone. The last line of a failure is the command that repeats
 * it. */
#include "common/check.h"
#include "tests/sim/checks.h"
#include "tests/sim/mutants.h"
#include "tests/sim/story.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Seeds tried to catch a planted bug, unless told otherwise. */
#define MUTANT_SEEDS 100u

struct settings {
    const char *check; /* NULL: all */
    uint64_t seed;
    bool has_seed;
    uint32_t nodes;   /* 0: the check's own */
    uint32_t seconds; /* 0: the check's own */
    uint32_t seeds;   /* 0: the check's own */
    bool is_long;
    bool is_traced;
    bool is_debugged;
    bool is_list;
    bool is_rewriting;
    bool is_mutating;
    const char *mutant; /* NULL: all in turn */
    char **stories;     /* NULL: none */
    int story_count;
};

/* What a signal handler may look at. */
static const struct check *running;
static struct trial *trial_running;

static void print_repeat(const struct check *check, const struct trial *trial)
{
    printf("# repeat: make sim CHECK=%s SEED=0x%" PRIx64 " NODES=%" PRIu32 " SECONDS=%" PRIu32 "\n",
           check->name, trial->seed, trial->node_count, trial->seconds);
}

static void print_failure(const struct check *check, const struct trial *trial)
{
    if (trial->world) {
        if (!trial->echo)
            trace_print_kept(&trial->world->trace, stdout);
        printf("# %s at %.6f s of seed 0x%" PRIx64 "\n",
               trial->world->has_failed ? trial->world->failure : "a node's check failed",
               (double)trial->world->clock.now_us / US_PER_S, trial->seed);
    }
    print_repeat(check, trial);
    fflush(stdout);
}

/* A node has failed a CHECK, or worse: tell where it was. The process is lost anyway. */
static void on_signal(int number)
{
    signal(number, SIG_DFL);
    if (running)
        print_failure(running, trial_running);
    raise(number);
}

/* Runs one seed. Returns whether all held. */
static bool run_seed(const struct check *check, struct trial *trial)
{
    trial_running = trial;
    running = check;
    check->run(trial);
    running = NULL;
    bool is_good = !trial->world->has_failed;
    if (!is_good)
        print_failure(check, trial);
    world_close(trial->world);
    trial->world = NULL;
    return is_good;
}

/* A count that stays 0 says that the check has tried nothing. */
static bool print_counts(const struct check *check, const struct trial *trial)
{
    bool is_good = true;
    for (size_t i = 0; i < ARRAY_COUNT(check->counted) && check->counted[i]; i++) {
        printf("# %s: %" PRIu64 "\n", check->counted[i], trial->counts[i]);
        is_good &= trial->counts[i] > 0;
    }
    return is_good;
}

static uint32_t own_seconds(const struct check *check, const struct settings *settings)
{
    return settings->is_long && check->seconds_long ? check->seconds_long : check->seconds;
}

/* The seeds of a check: the first half are the same every time, the others are drawn anew. */
static int run_check(const struct check *check, const struct settings *settings, uint64_t fresh)
{
    uint32_t seeds = settings->seeds     ? settings->seeds
                     : settings->is_long ? check->seeds_long
                                         : check->seeds_quick;
    struct trial trial = {.node_count = settings->nodes ? settings->nodes : check->node_count,
                          .seconds =
                              settings->seconds ? settings->seconds : own_seconds(check, settings),
                          .is_debugged = settings->is_debugged,
                          .echo = settings->is_traced ? stdout : NULL};
    struct prng drawn;
    prng_init(&drawn, fresh);
    if (settings->has_seed)
        seeds = 1;
    for (uint32_t i = 0; i < seeds; i++) {
        trial.seed = settings->has_seed    ? settings->seed
                     : i < (seeds + 1) / 2 ? i + 1
                                           : prng_next(&drawn);
        if (!run_seed(check, &trial))
            return EXIT_FAILED;
    }
    if (!print_counts(check, &trial) && !settings->has_seed && settings->seeds == 0) {
        printf("# a count is 0: the check has not tried what it is for\n");
        return EXIT_FAILED;
    }
    printf("# %" PRIu32 " seeds, %" PRIu32 " nodes, %" PRIu32 " s\n", seeds, trial.node_count,
           trial.seconds);
    return 0;
}

/* In a process of its own. Returns whether it held. */
static bool run_apart(const struct check *check, const struct settings *settings, uint64_t fresh)
{
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        signal(SIGABRT, on_signal);
        signal(SIGSEGV, on_signal);
        int status = run_check(check, settings, fresh);
        fflush(stdout);
        _exit(status);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static const struct check *find_check(const char *name)
{
    for (size_t i = 0; i < check_count; i++)
        if (strcmp(checks[i].name, name) == 0)
            return &checks[i];
    return NULL;
}

/* Whether a seed of a check fails while a rule is broken. */
static bool catches(const struct check *check, size_t mutant, const struct settings *settings,
                    bool is_shown)
{
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(is_shown || (freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr)));
        mutant_choose(mutant);
        signal(SIGABRT, on_signal);
        int status = run_check(check, settings, 1);
        fflush(stdout);
        _exit(status);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* The first seed that shows a planted bug; 0: none of them does. */
static uint64_t seed_that_catches(size_t mutant, const struct settings *settings)
{
    const struct check *check =
        find_check(settings->check ? settings->check : mutant_lines[mutant].check);
    CHECK(check != NULL);
    if (settings->has_seed)
        return catches(check, mutant, settings, true) ? settings->seed : 0;
    struct settings one = *settings;
    uint32_t seeds = settings->seeds ? settings->seeds : MUTANT_SEEDS;
    one.has_seed = true;
    for (one.seed = 1; one.seed <= seeds; one.seed++)
        if (catches(check, mutant, &one, false))
            return one.seed;
    return 0;
}

static int run_mutants(const struct settings *settings)
{
    uint32_t planned = 0, number = 0;
    bool is_good = true;
    for (size_t i = 0; i < mutant_count; i++)
        planned += !settings->mutant || strcmp(settings->mutant, mutant_lines[i].name) == 0;
    if (planned == 0) {
        fprintf(stderr, "sim: there is no such planted bug in this build\n");
        return EXIT_USAGE;
    }
    printf("1..%" PRIu32 "\n", planned);
    for (size_t i = 0; i < mutant_count; i++) {
        const struct mutant_line *line = &mutant_lines[i];
        if (settings->mutant && strcmp(settings->mutant, line->name) != 0)
            continue;
        uint64_t seed = seed_that_catches(i, settings);
        is_good &= seed > 0;
        printf("%s %" PRIu32 " - %s: %s; %s notices, seed %" PRIu64 "\n",
               seed > 0 ? "ok" : "not ok", ++number, line->name, line->sentence, line->check, seed);
    }
    return is_good ? 0 : EXIT_FAILED;
}

static int run_all(const struct settings *settings)
{
    uint32_t planned = 0, number = 0;
    bool is_good = true;
    uint64_t fresh = (uint64_t)time(NULL) * 1000003u ^ (uint64_t)getpid();
    for (size_t i = 0; i < check_count; i++)
        planned += !settings->check || strcmp(settings->check, checks[i].name) == 0;
    if (planned == 0) {
        fprintf(stderr, "sim: there is no check %s\n", settings->check);
        return EXIT_USAGE;
    }
    printf("1..%" PRIu32 "\n", planned);
    for (size_t i = 0; i < check_count; i++) {
        const struct check *check = &checks[i];
        if (settings->check && strcmp(settings->check, check->name) != 0)
            continue;
        bool holds = run_apart(check, settings, fresh);
        printf("%s %" PRIu32 " - %s: %s\n", holds ? "ok" : "not ok", ++number, check->name,
               check->sentence);
        is_good &= holds;
    }
    return is_good ? 0 : EXIT_FAILED;
}

static int list_checks(void)
{
    for (size_t i = 0; i < check_count; i++)
        printf("%-20s %s\n", checks[i].name, checks[i].sentence);
    return 0;
}

static int tell_stories(const struct settings *settings)
{
    bool is_good = true;
    printf("1..%d\n", settings->story_count);
    for (int i = 0; i < settings->story_count; i++) {
        const char *path = settings->stories[i];
        const char *slash = strrchr(path, '/');
        bool is_told = story_tell(path, settings->is_rewriting, settings->is_traced);
        printf("%s %d - %s\n", is_told ? "ok" : "not ok", i + 1, slash ? slash + 1 : path);
        is_good &= is_told;
    }
    return is_good ? 0 : EXIT_FAILED;
}

static bool parse(struct settings *settings, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if (strcmp(option, "--long") == 0) {
            settings->is_long = true;
        } else if (strcmp(option, "--trace") == 0) {
            settings->is_traced = true;
        } else if (strcmp(option, "--debug") == 0) {
            settings->is_traced = settings->is_debugged = true;
        } else if (strcmp(option, "--list") == 0) {
            settings->is_list = true;
        } else if (strcmp(option, "--mutants") == 0) {
            settings->is_mutating = true;
        } else if (strcmp(option, "--rewrite") == 0) {
            settings->is_rewriting = true;
        } else if (strcmp(option, "--stories") == 0) {
            settings->stories = argv + i + 1;
            while (i + 1 < argc && argv[i + 1][0] != '-') {
                settings->story_count++;
                i++;
            }
        } else if (++i == argc) {
            return false;
        } else if (strcmp(option, "--mutant") == 0) {
            settings->is_mutating = true;
            settings->mutant = argv[i];
        } else if (strcmp(option, "--check") == 0) {
            settings->check = argv[i];
        } else if (strcmp(option, "--seed") == 0) {
            settings->seed = strtoull(argv[i], NULL, 0);
            settings->has_seed = true;
        } else if (strcmp(option, "--nodes") == 0) {
            settings->nodes = (uint32_t)strtoul(argv[i], NULL, 0);
        } else if (strcmp(option, "--seconds") == 0) {
            settings->seconds = (uint32_t)strtoul(argv[i], NULL, 0);
        } else if (strcmp(option, "--seeds") == 0) {
            settings->seeds = (uint32_t)strtoul(argv[i], NULL, 0);
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct settings settings = {0};
    if (!parse(&settings, argc, argv)) {
        fprintf(stderr,
                "usage: sim [--list] [--check NAME] [--seed N] [--nodes N] [--seconds N] "
                "[--seeds N] [--long] [--trace | --debug] [--stories FILE... [--rewrite]]\n");
        return EXIT_USAGE;
    }
    if (settings.is_mutating)
        return run_mutants(&settings);
    if (settings.stories)
        return tell_stories(&settings);
    return settings.is_list ? list_checks() : run_all(&settings);
}
