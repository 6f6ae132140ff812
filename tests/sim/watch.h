/* Watches a world's membership: what each node says of each other, against what is true.
 *
 * Events come from the nodes' logs, states from their member tables. Who runs and who does not is
 * known from the hosts. */
#ifndef DHT_TESTS_SIM_WATCH_H
#define DHT_TESTS_SIM_WATCH_H

#include "server/core/gossip.h"
#include "tests/sim/world.h"

#define WATCH_FORM_MS 20000u /* until all know all, at 30 % loss too */

struct watch {
    struct world *world;
    bool *is_excused;        /* by node: what it says, and what is said of it, counts for nothing */
    bool *is_away;           /* what is said of it counts for nothing */
    bool forbids_deaths;     /* a false death fails the world */
    bool forbids_suspicions; /* any suspicion does */
    uint64_t suspicions;     /* false ones of a node's own, where nobody is excused */
    uint64_t true_deaths;
    uint32_t *changes;    /* by node: how often somebody held it for dead, one observer's most */
    uint32_t *changes_by; /* [observer * nodes + subject] */
};

/* Begins to listen. gives: watch_close. */
struct watch *watch_open(struct world *world);
void watch_close(struct watch *watch);

/* The gossip of a node that runs, to be crippled or given something to tell. */
struct gossip *watch_gossip(struct world *world, uint32_t node);
/* What observer knows of subject; NULL: nothing, or it does not run. */
const struct account *watch_record(struct world *world, uint32_t observer, uint32_t subject);
/* Whether it is taken for a member that may be asked: the process that runs under that name now. */
bool watch_sees_live(struct world *world, uint32_t observer, uint32_t subject);
/* The same, and not suspected. */
bool watch_sees_alive(struct world *world, uint32_t observer, uint32_t subject);
/* Whether it is held for dead, gone or unknown. */
bool watch_sees_gone(struct world *world, uint32_t observer, uint32_t subject);
/* Every running node sees exactly the running ones, alive, and all have the same viewhash. */
bool watch_is_one_view(struct world *world);
/* Every running node sees subject as it is: alive, or gone. */
bool watch_is_known(struct world *world, uint32_t subject);
/* Says who sees whom otherwise than they are, as a failure. */
void watch_complain(struct world *world, const char *when);

/* Lets time pass until holds(world, arg), looking every step_ms; fails the world, naming what, if
 * it does not within limit_ms. Returns how long it took, in ms. */
uint64_t watch_until(struct world *world, bool (*holds)(struct world *world, const void *arg),
                     const void *arg, uint64_t step_ms, uint64_t limit_ms, const char *what);
/* The same for watch_is_one_view. */
uint64_t watch_until_one_view(struct world *world, uint64_t limit_ms, const char *what);
/* The same for watch_is_known. */
uint64_t watch_until_known(struct world *world, uint32_t subject, uint64_t step_ms,
                           uint64_t limit_ms, const char *what);
/* Starts all nodes and waits until they have one view. */
void watch_form(struct world *world, uint64_t limit_ms);

#endif
