#include "tests/sim/scene.h"

#include "common/check.h"
#include "server/core/views.h"
#include "tests/sim/history.h"
#include "tests/sim/names.h"
#include "tests/sim/quiet.h"

#include <inttypes.h>

#define LEAVE_MS 30000u
#define STEP_MS  50u

struct world *scene_form(struct trial *trial)
{
    struct world *world = trial_begin(trial, 4);
    world_start_all(world);
    quiet_await(world, SCENE_FORM_MS, "the cluster forms");
    return world;
}

uint32_t scene_draw(struct world *world)
{
    uint32_t node;
    do
        node = (uint32_t)prng_below(&world->prng, world->host_count);
    while (world->hosts[node].state != HOST_UP);
    return node;
}

uint32_t scene_group(struct world *world, const char *key, uint32_t nodes[RING_COPIES_MAX])
{
    struct views *views = node_views(world->hosts[scene_draw(world)].node);
    const struct view *view = views_current(views);
    const struct ring *ring = views_ring(views, view->epoch);
    uint32_t slot = history_slot(key), count = 1;
    for (uint32_t i = 0; i < ring->group_size; i++) {
        uint16_t member = ring->group[slot][i];
        uint32_t place = member == ring->primary[slot] ? 0 : count++;
        CHECK(name_find(span_of_string(view->members[member].name), &nodes[place]) > 0);
    }
    return count;
}

void scene_expect(struct world *world, const char *what, const char *key, const struct heard *heard,
                  enum heard_kind wanted)
{
    if (heard->kind != wanted)
        world_fail(world, "%s of %s is answered by kind %d, not %d", what, key, heard->kind,
                   wanted);
}

void scene_expect_value(struct world *world, const char *what, const char *key,
                        const struct heard *heard, const char *value)
{
    scene_expect(world, what, key, heard, HEARD_VALUE);
    if (heard->kind == HEARD_VALUE && !span_equal(heard->value, span_of_string(value)))
        world_fail(world, "%s of %s shows another value", what, key);
}

void scene_await_end(struct world *world, uint32_t node)
{
    for (uint32_t ms = 0; world->hosts[node].state != HOST_DOWN && ms < LEAVE_MS; ms += STEP_MS)
        world_run_ms(world, STEP_MS);
    if (world->hosts[node].state != HOST_DOWN)
        world_fail(world, "n%" PRIu32 " has not ended in 30 s", node + 1);
}

void scene_end(struct world *world, uint32_t node)
{
    world_leave(world, node);
    scene_await_end(world, node);
}
