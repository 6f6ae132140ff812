/* What the scenarios have in common (check_scenes, check_growth, check_copies, check_limits): a
 * cluster that has formed, nodes drawn, the group of a key, and answers that are expected. */
#ifndef DHT_TESTS_SIM_SCENE_H
#define DHT_TESTS_SIM_SCENE_H

#include "tests/sim/checks.h"
#include "tests/sim/console.h"

#define SCENE_FORM_MS 20000u
#define SCENE_STABLE_MS                                                                            \
    15000u /* after any single change all have their copies again within this                      \
            */

/* All nodes of the trial, as one cluster. */
struct world *scene_form(struct trial *trial);
/* A node that runs. */
uint32_t scene_draw(struct world *world);
/* The nodes of a key's group, its primary first, by the view of a node that runs. Returns how many.
 */
uint32_t scene_group(struct world *world, const char *key, uint32_t nodes[RING_COPIES_MAX]);
/* Fails the world unless what was heard is of that kind; the value of a key, or none. */
void scene_expect(struct world *world, const char *what, const char *key, const struct heard *heard,
                  enum heard_kind wanted);
void scene_expect_value(struct world *world, const char *what, const char *key,
                        const struct heard *heard, const char *value);
/* The process ends by itself within 30 s; after SIGTERM. */
void scene_await_end(struct world *world, uint32_t node);
void scene_end(struct world *world, uint32_t node);

#endif
