/* The simulator's program: runs checks over seeds, or one seed of one check, or stories.
 *
 *   sim [--check NAME] [--seed N] [--nodes N] [--seconds N] [--seeds N] [--fresh N]
 *       [--long] [--trace]
 *   sim --stories FILE… [--rewrite] [--trace]
 *   sim --mutants [--mutant NAME] [--seeds N] [--check NAME]     a build with -DMUTATIONS only
 *   sim --list
 *
 * Prints TAP, one test a check or story. Each check runs in a process of its own, so that a failed
 * assertion in a node ends that check alone. The last line of a failure is the command that repeats
 * it; where several checks run, those of all failures are the last lines of all. */
#include "common/check.h"
#include "tests/sim/checks.h"
#include "tests/sim/mutants.h"
#include "tests/sim/story.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* Seeds tried to catch a planted bug, unless told otherwise. */
#define MUTANT_SEEDS 500u

#define REPEAT_BYTES_MAX 256u

struct settings {
    const char *check; /* NULL: all */
    uint64_t seed;
    bool has_seed;
    uint32_t nodes;   /* 0: the check's own */
    uint32_t seconds; /* 0: the check's own */
    uint32_t seeds;   /* 0: the check's own */
    uint64_t fresh;   /* what the seeds that are not the same every time are drawn from */
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

/* The command that repeats a failure, which the process that ran it leaves for the one that tells
 * of it: this is said last. */
struct repeat {
    char line[REPEAT_BYTES_MAX]; /* "": it has not failed, or could not say how */
};
static struct repeat *repeat_running; /* of what this process runs; NULL: nobody wants to know */

/* With this build's number of slots: with another a seed is another run. */
static void keep_repeat(const struct check *check, const struct trial *trial)
{
    if (repeat_running)
        snprintf(repeat_running->line, sizeof(repeat_running->line),
                 "# repeat: make %s CHECK=%s SEED=0x%" PRIx64 " NODES=%" PRIu32 " SECONDS=%" PRIu32
                 "\n",
                 SLOT_BITS < 14 ? "sim-few" : "sim", check->name, trial->seed, trial->node_count,
                 trial->seconds);
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
    keep_repeat(check, trial);
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

static uint32_t own_nodes(const struct check *check, const struct settings *settings)
{
    return settings->is_long && check->nodes_long ? check->nodes_long : check->node_count;
}

static uint32_t own_seconds(const struct check *check, const struct settings *settings)
{
    return settings->is_long && check->seconds_long ? check->seconds_long : check->seconds;
}

/* With all slots everything takes at least five times as long: a tenth of the seeds do. */
static uint32_t own_seeds(const struct check *check, const struct settings *settings)
{
    if (!settings->is_long)
        return check->seeds_quick;
    return SLOT_BITS < 14 ? check->seeds_long : (check->seeds_long + 9) / 10;
}

/* A seed that is drawn: short enough to be told. */
static uint64_t draw_seed(struct prng *drawn)
{
    return prng_next(drawn) & UINT32_MAX;
}

/* Tells which seeds a check has: so many fixed ones, the others drawn from fresh. */
static void print_seeds(const struct check *check, uint32_t fixed, uint32_t seeds, uint64_t fresh)
{
    struct prng drawn;
    prng_init(&drawn, fresh);
    printf("# seeds: %s 1 to %" PRIu32, check->name, fixed);
    if (fixed < seeds)
        printf("; %" PRIu32 " drawn (--fresh 0x%" PRIx64 "):", seeds - fixed, fresh);
    for (uint32_t i = fixed; i < seeds; i++)
        printf(" 0x%" PRIx64, draw_seed(&drawn));
    printf("\n");
}

/* The seeds of a check: the first half are the same every time, the others are drawn anew; or those
 * from the one that is given on. */
static int run_check(const struct check *check, const struct settings *settings, uint64_t fresh)
{
    uint32_t seeds = settings->seeds      ? settings->seeds
                     : settings->has_seed ? 1
                                          : own_seeds(check, settings);
    struct trial trial = {
        .node_count = settings->nodes ? settings->nodes : own_nodes(check, settings),
        .seconds = settings->seconds ? settings->seconds : own_seconds(check, settings),
        .is_debugged = settings->is_debugged,
        .echo = settings->is_traced ? stdout : NULL};
    struct prng drawn;
    uint32_t fixed = (seeds + 1) / 2;
    prng_init(&drawn, fresh);
    if (settings->has_seed)
        printf("# seeds: %s %" PRIu64 " to %" PRIu64 "\n", check->name, settings->seed,
               settings->seed + seeds - 1);
    else
        print_seeds(check, fixed, seeds, fresh);
    for (uint32_t i = 0; i < seeds; i++) {
        trial.seed = settings->has_seed ? settings->seed + i
                     : i < fixed        ? i + 1
                                        : draw_seed(&drawn);
        if (!run_seed(check, &trial))
            return EXIT_FAILED;
    }
    if (!print_counts(check, &trial) && !settings->has_seed && settings->seeds == 0 &&
        seeds >= check->seeds_counted) {
        printf("# a count is 0: the check has not tried what it is for\n");
        return EXIT_FAILED;
    }
    printf("# %" PRIu32 " seeds, %" PRIu32 " nodes, %" PRIu32 " s\n", seeds, trial.node_count,
           trial.seconds);
    return 0;
}

/* What runs in processes of their own, a few at a time. */
struct jobs {
    size_t count;
    int (*run)(void *arg, size_t i);                 /* in the process; returns its exit status */
    void (*told)(void *arg, size_t i, bool is_good); /* in order, behind what it has printed */
    void *arg;
};

struct job {
    pid_t pid;
    FILE *out; /* what it prints; NULL: straight out */
    bool is_over;
    bool is_good;
};

static void job_begin(const struct jobs *jobs, size_t i, struct job *job)
{
    job->out = jobs->count > 1 ? tmpfile() : NULL;
    CHECK(jobs->count == 1 || job->out != NULL);
    fflush(stdout);
    job->pid = fork();
    CHECK(job->pid >= 0);
    if (job->pid > 0)
        return;
    if (job->out)
        CHECK(dup2(fileno(job->out), STDOUT_FILENO) >= 0);
    int status = jobs->run(jobs->arg, i);
    fflush(stdout);
    _exit(status);
}

static void job_print(const struct job *job)
{
    char bytes[4096];
    size_t got;
    if (!job->out)
        return;
    rewind(job->out);
    while ((got = fread(bytes, 1, sizeof(bytes), job->out)) > 0)
        fwrite(bytes, 1, got, stdout);
    fclose(job->out);
}

/* Waits for any of them to end. */
static void job_wait(struct job *list, size_t begun)
{
    int status;
    pid_t pid = wait(&status);
    CHECK(pid > 0);
    for (size_t i = 0; i < begun; i++) {
        if (list[i].pid != pid)
            continue;
        list[i].is_over = true;
        list[i].is_good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
}

/* Runs them all, as many at a time as there are processors. Returns whether all were good. */
static bool jobs_run(const struct jobs *jobs)
{
    struct job *list = calloc(jobs->count, sizeof(*list));
    CHECK(list != NULL);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t at_a_time = processors > 1 ? (size_t)processors : 1;
    size_t begun = 0, told = 0, under_way = 0;
    bool is_good = true;
    while (told < jobs->count) {
        for (; begun < jobs->count && under_way < at_a_time; under_way++, begun++)
            job_begin(jobs, begun, &list[begun]);
        job_wait(list, begun);
        under_way--;
        for (; told < begun && list[told].is_over; told++) {
            job_print(&list[told]);
            jobs->told(jobs->arg, told, list[told].is_good);
            fflush(stdout);
            is_good &= list[told].is_good;
        }
    }
    free(list);
    return is_good;
}

static const struct check *find_check(const char *name)
{
    for (size_t i = 0; i < check_count; i++)
        if (strcmp(checks[i].name, name) == 0)
            return &checks[i];
    return NULL;
}

/* As a planted bug's place: none is on. */
#define NOTHING_PLANTED SIZE_MAX

/* Whether a seed of a check fails while a rule is broken. */
static bool catches(const struct check *check, size_t mutant, const struct settings *settings,
                    bool is_shown)
{
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(is_shown || (freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr)));
        if (mutant != NOTHING_PLANTED)
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

/* A seed that fails without the bug as well has not noticed it. */
static bool is_noticed(const struct check *check, size_t mutant, const struct settings *settings)
{
    return catches(check, mutant, settings, false) &&
           !catches(check, NOTHING_PLANTED, settings, false);
}

/* The same for one seed alone. */
static struct settings settings_of_seed(const struct settings *settings, uint64_t seed)
{
    struct settings one = *settings;
    one.has_seed = true;
    one.seed = seed;
    one.seeds = 0;
    return one;
}

/* The first seed that shows a planted bug; 0: none of them does. Of the one that the table knows it
 * is run apart whether it passes without (run_whole). */
static uint64_t seed_that_catches(size_t mutant, const struct settings *settings)
{
    const struct check *check =
        find_check(settings->check ? settings->check : mutant_lines[mutant].check);
    CHECK(check != NULL);
    struct settings one = settings_of_seed(settings, settings->seed);
    if (settings->has_seed)
        return catches(check, mutant, &one, true) ? one.seed : 0;
    uint64_t known = settings->check ? 0 : mutant_lines[mutant].seed;
    uint32_t seeds = settings->seeds ? settings->seeds : MUTANT_SEEDS;
    one.seed = known == MUTANT_OPEN ? 0 : known;
    if (one.seed > 0 && catches(check, mutant, &one, false))
        return one.seed;
    for (one.seed = 1; one.seed <= seeds; one.seed++)
        if (one.seed != known && is_noticed(check, mutant, &one))
            return one.seed;
    return 0;
}

/* What is to be run, chosen from the table: first each planted bug, then what notices them without
 * any. */
struct chosen {
    const struct settings *settings;
    size_t *places; /* in the table */
    size_t count;
    size_t whole_from;      /* from here on nothing is planted */
    struct repeat *repeats; /* of each check, shared with the processes that run them */
};

static int run_planted(const struct chosen *chosen, size_t i)
{
    size_t place = chosen->places[i];
    const struct mutant_line *line = &mutant_lines[place];
    char test[UNIT_TEST_BYTES];
    if (unit_is_program(line->check) && !chosen->settings->check) {
        bool is_good = unit_fails(line->check, line->name, test) && test[0] != '\0';
        printf("%s %zu - %s: %s; %s notices, %s\n", is_good ? "ok" : "not ok", i + 1, line->name,
               line->sentence, line->check, test);
        return is_good ? 0 : EXIT_FAILED;
    }
    uint64_t seed = seed_that_catches(place, chosen->settings);
    printf("%s %zu - %s: %s; %s notices, seed %" PRIu64 "\n", seed > 0 ? "ok" : "not ok", i + 1,
           line->name, line->sentence,
           chosen->settings->check ? chosen->settings->check : line->check, seed);
    return seed > 0 ? 0 : EXIT_FAILED;
}

/* Without a planted bug the same passes. */
static int run_whole(const struct chosen *chosen, size_t i)
{
    const struct mutant_line *line = &mutant_lines[chosen->places[i]];
    char test[UNIT_TEST_BYTES];
    struct settings one = settings_of_seed(chosen->settings, line->seed);
    bool is_good = unit_is_program(line->check)
                       ? !unit_fails(line->check, NULL, test)
                       : !catches(find_check(line->check), NOTHING_PLANTED, &one, false);
    printf("%s %zu - nothing is planted: %s passes, seed %" PRIu64 "\n", is_good ? "ok" : "not ok",
           i + 1, line->check, line->seed);
    return is_good ? 0 : EXIT_FAILED;
}

static int run_mutant(void *arg, size_t i)
{
    const struct chosen *chosen = arg;
    return i < chosen->whole_from ? run_planted(chosen, i) : run_whole(chosen, i);
}

static void mutant_told(void *arg, size_t i, bool is_good)
{
    (void)arg;
    (void)i;
    (void)is_good;
}

/* Whether what notices a bug is to be run without: once for all that have the same. */
static bool is_first_of_its_kind(const struct chosen *chosen, size_t place)
{
    const struct mutant_line *line = &mutant_lines[chosen->places[place]];
    if (line->seed == 0 && !unit_is_program(line->check))
        return false; /* looked at where a seed is found */
    for (size_t i = 0; i < place; i++) {
        const struct mutant_line *other = &mutant_lines[chosen->places[i]];
        if (other->seed == line->seed && strcmp(other->check, line->check) == 0)
            return false;
    }
    return true;
}

static void choose_mutants(struct chosen *chosen)
{
    const struct settings *settings = chosen->settings;
    for (size_t i = 0; i < mutant_count; i++) {
        const struct mutant_line *line = &mutant_lines[i];
        if (settings->mutant ? strcmp(settings->mutant, line->name) == 0
                             : line->seed != MUTANT_OPEN)
            chosen->places[chosen->count++] = i;
        else if (!settings->mutant)
            printf("# not shown to be noticed yet: %s: %s\n", line->name, line->sentence);
    }
    chosen->whole_from = chosen->count;
    for (size_t i = 0; i < chosen->whole_from && !settings->mutant; i++)
        if (is_first_of_its_kind(chosen, i))
            chosen->places[chosen->count++] = chosen->places[i];
}

static int run_mutants(const struct settings *settings)
{
    struct chosen chosen = {.settings = settings,
                            .places = calloc(mutant_count * 2 + 1, sizeof(*chosen.places))};
    CHECK(chosen.places != NULL);
    choose_mutants(&chosen);
    if (chosen.count == 0) {
        fprintf(stderr, "sim: there is no such planted bug in this build\n");
        return EXIT_USAGE;
    }
    printf("1..%zu\n", chosen.count);
    const struct jobs jobs = {chosen.count, run_mutant, mutant_told, &chosen};
    bool is_good = jobs_run(&jobs);
    printf("# %zu planted bugs, of %zu, were to be noticed: %s\n", chosen.whole_from, mutant_count,
           is_good ? "all were" : "not all were");
    free(chosen.places);
    return is_good ? 0 : EXIT_FAILED;
}

static int run_chosen(void *arg, size_t i)
{
    const struct chosen *chosen = arg;
    signal(SIGABRT, on_signal);
    signal(SIGSEGV, on_signal);
    repeat_running = &chosen->repeats[i];
    return run_check(&checks[chosen->places[i]], chosen->settings, chosen->settings->fresh);
}

static void chosen_told(void *arg, size_t i, bool is_good)
{
    const struct chosen *chosen = arg;
    const struct check *check = &checks[chosen->places[i]];
    printf("%s %zu - %s: %s\n", is_good ? "ok" : "not ok", i + 1, check->name, check->sentence);
    fputs(chosen->repeats[i].line, stdout);
}

static int run_all(const struct settings *settings)
{
    struct chosen chosen = {.settings = settings,
                            .places = calloc(check_count, sizeof(*chosen.places)),
                            .repeats =
                                mmap(NULL, check_count * sizeof(*chosen.repeats),
                                     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)};
    CHECK(chosen.places != NULL && chosen.repeats != MAP_FAILED);
    for (size_t i = 0; i < check_count; i++)
        if (!settings->check || strcmp(settings->check, checks[i].name) == 0)
            chosen.places[chosen.count++] = i;
    if (chosen.count == 0) {
        fprintf(stderr, "sim: there is no check %s\n", settings->check);
        return EXIT_USAGE;
    }
    printf("1..%zu\n", chosen.count);
    const struct jobs jobs = {chosen.count, run_chosen, chosen_told, &chosen};
    bool is_good = jobs_run(&jobs);
    for (size_t i = 0; i < chosen.count && chosen.count > 1; i++)
        fputs(chosen.repeats[i].line, stdout);
    free(chosen.places);
    CHECK(munmap(chosen.repeats, check_count * sizeof(*chosen.repeats)) == 0);
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
        if (!is_told)
            printf("# repeat: make sim STORY=%s; rewrite: make sim STORY=%s REWRITE=1\n", path,
                   path);
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
        } else if (strcmp(option, "--fresh") == 0) {
            settings->fresh = strtoull(argv[i], NULL, 0);
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
    struct settings settings = {.fresh = ((uint64_t)time(NULL) * 1000003u ^ (uint64_t)getpid()) &
                                         UINT32_MAX};
    if (!parse(&settings, argc, argv)) {
        fprintf(stderr, "usage: sim [--list] [--check NAME] [--seed N] [--nodes N] [--seconds N] "
                        "[--seeds N] [--fresh N] [--long] [--trace | --debug] [--stories FILE... "
                        "[--rewrite]]\n");
        return EXIT_USAGE;
    }
    if (settings.is_mutating)
        return run_mutants(&settings);
    if (settings.stories)
        return tell_stories(&settings);
    return settings.is_list ? list_checks() : run_all(&settings);
}
