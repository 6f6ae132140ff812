/* Target selection: whom to ask in the next round.
 *
 * A strategy is two functions: pick gives the target of a round, heard is told who has asked this
 * node. All work on the live members in name order. A further strategy is one more line in the
 * table of targets.c. */
#ifndef DHT_SERVER_CORE_TARGETS_H
#define DHT_SERVER_CORE_TARGETS_H

#include "common/prng.h"
#include "server/core/members.h"

struct targets {
    struct prng *prng; /* borrowed */
    uint32_t cycle;    /* random: everyone once in it */
};

/* What a strategy sees. */
struct target_view {
    struct account *const *live; /* by name; this node among them */
    uint32_t count;              /* at least 1 */
    uint32_t self;               /* this node's place */
};

struct strategy {
    const char *name; /* as --gossip names it */
    /* The target of round 1, 2, …, or NULL if there is nobody else. */
    struct account *(*pick)(struct targets *targets, const struct target_view *view,
                            uint64_t round);
    /* from has asked this node in its round; NULL if the strategy does not care. */
    void (*heard)(struct targets *targets, const struct account *from, uint64_t round);
};

/* The strategy of that name, or NULL. */
const struct strategy *targets_find(struct span name);

/* Fills up to count different live members other than self and except, at random. Returns how
 * many. */
uint32_t targets_draw(struct prng *prng, const struct target_view *view,
                      const struct account *except, uint32_t count, struct account **drawn);
/* The next member after self in name order that is ALIVE, the first after the last; NULL if there
 * is none. News that is always pushed to it, too, reaches everybody: who was missed by chance hears
 * it from the member before. */
struct account *targets_successor(const struct target_view *view);
/* Watchers: those WATCHERS members other than the subject for which mix(subject, member) is
 * highest. Returns whether self is one. cost: one pass over the live ones. */
#define WATCHERS 8u
bool targets_watches(const struct target_view *view, const struct account *subject);
/* Fills the watchers of subject; returns how many. */
uint32_t targets_watchers(const struct target_view *view, const struct account *subject,
                          struct account *watchers[WATCHERS]);

#endif
