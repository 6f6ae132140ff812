/* What must hold, each as a named check: a world of some nodes, a seed, some virtual time.
 *
 * A check makes its world in trial_begin, acts, and says world_fail where something does not hold.
 * The table in checks.c is all there is; main.c runs it. */
#ifndef DHT_TESTS_SIM_CHECKS_H
#define DHT_TESTS_SIM_CHECKS_H

#include "tests/sim/world.h"

#define CHECK_COUNTS_MAX 64u

/* One run of one check. */
struct trial {
    uint64_t seed;
    uint32_t node_count;
    uint32_t seed_count; /* lines of peers.txt; 0: all nodes */
    uint32_t seconds;    /* of virtual time, where the check leaves it open */
    FILE *echo;
    bool is_debugged;
    struct world *world;               /* made by the check, closed by whoever runs it */
    uint64_t counts[CHECK_COUNTS_MAX]; /* whatever the check counts, added up over seeds */
};

struct check {
    const char *name;
    const char *sentence; /* what holds */
    void (*run)(struct trial *trial);
    uint32_t node_count; /* unless told otherwise */
    uint32_t nodes_long; /* in `make test-long`; 0: the same */
    uint32_t seconds;
    uint32_t seconds_long;  /* in `make test-long`; 0: the same */
    uint32_t seeds_quick;   /* in `make test` */
    uint32_t seeds_long;    /* in `make test-long`; a tenth of them with all slots */
    uint32_t seeds_counted; /* see counted */
    /* Names of the counts; a count that stays 0 over all seeds fails, if they are not chosen by
     * hand and at least seeds_counted. */
    const char *counted[CHECK_COUNTS_MAX];
};

extern const struct check checks[];
extern const size_t check_count;

/* Opens a world of the trial's nodes on a quiet network. */
struct world *trial_begin(struct trial *trial, uint32_t client_count);

/* In check_*.c, one file a subject. */
void check_same_trace(struct trial *trial);
void check_requests_quiet(struct trial *trial);
void check_requests_faults(struct trial *trial);
void check_requests_once(struct trial *trial);
void check_requests_moved(struct trial *trial);
void check_direct_quiet(struct trial *trial);
void check_direct(struct trial *trial);
void check_complete(struct trial *trial);
void check_complete_half(struct trial *trial);
void check_complete_watchers(struct trial *trial);
void check_complete_backstop(struct trial *trial);
void check_accurate_quiet(struct trial *trial);
void check_accurate_loss10(struct trial *trial);
void check_accurate_loss25(struct trial *trial);
void check_accurate_stops(struct trial *trial);
void check_accurate_freeze(struct trial *trial);
void check_accurate_return(struct trial *trial);
void check_converge_news(struct trial *trial);
void check_converge_pull(struct trial *trial);
void check_converge_view(struct trial *trial);
void check_heal(struct trial *trial);
void check_heal_one_seed(struct trial *trial);
void check_heal_forgotten(struct trial *trial);
void check_resurrect(struct trial *trial);
void check_identity_restart(struct trial *trial);
void check_identity_foreign(struct trial *trial);
void check_identity_reused(struct trial *trial);
void check_identity_clone(struct trial *trial);
void check_unfair_paths(struct trial *trial);
void check_unfair_flips(struct trial *trial);
void check_overload(struct trial *trial);
void check_rest(struct trial *trial);
void check_births(struct trial *trial);
void check_linear_quiet(struct trial *trial);
void check_linear_far(struct trial *trial);
void check_linear_once(struct trial *trial);
void check_replicas(struct trial *trial);
void check_replicas_recover(struct trial *trial);
void check_scene_creates(struct trial *trial);
void check_scene_dead_copies(struct trial *trial);
void check_scene_neighbours(struct trial *trial);
void check_scene_deleted(struct trial *trial);
void check_scene_counters(struct trial *trial);
void check_scene_rolling(struct trial *trial);
void check_scene_growth(struct trial *trial);
void check_scene_versions(struct trial *trial);
void check_scene_views(struct trial *trial);
void check_scene_many(struct trial *trial);
void check_scene_stop(struct trial *trial);
void check_scene_soiled(struct trial *trial);
void check_scene_stale(struct trial *trial);
void check_scene_newcomer(struct trial *trial);

#endif
