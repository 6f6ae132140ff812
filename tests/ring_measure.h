/* What a placement is measured by, for the unit test and the benchmark: how even it is, what a join
 * moves. */
#ifndef DHT_TESTS_RING_MEASURE_H
#define DHT_TESTS_RING_MEASURE_H

#include "common/buf.h"
#include "common/check.h"
#include "common/peers.h"
#include "common/ring.h"

#include <inttypes.h>
#include <stdlib.h>

/* count members at node1.example:11211, node2.example:11211, … */
static inline void view_of_nodes(struct view *view, uint32_t count)
{
    struct buf text = {0};
    for (uint32_t i = 1; i <= count; i++)
        buf_printf(&text, "node%" PRIu32 ".example:11211\n", i);
    struct peers_error error;
    CHECK(peers_parse(buf_span(&text), view, &error) == ERR_OK);
    buf_close(&text);
}

/* Slots that the busiest member leads, over the mean. */
static inline double balance(const struct view *view, const struct ring *ring)
{
    uint32_t *led = calloc(view->member_count, sizeof(*led));
    CHECK(led != NULL);
    uint32_t busiest = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        uint16_t primary = ring->primary[slot];
        const uint16_t *group = ring->group[slot];
        CHECK(primary == group[0] || primary == group[1] || primary == group[2]);
        if (++led[primary] > busiest)
            busiest = led[primary];
    }
    free(led);
    return (double)busiest * view->member_count / SLOT_COUNT;
}

struct movement {
    double copies, primaries; /* relative to the newcomer's part of all: 1 is ideal */
};

/* What moves when a member of after that is not in before joins. */
static inline struct movement movement(const struct view *before_view, const struct ring *before,
                                       const struct view *after_view, const struct ring *after)
{
    double copies = 0, primaries = 0;
    uint32_t *old_of = calloc(after_view->member_count, sizeof(*old_of));
    CHECK(old_of != NULL);
    for (uint32_t i = 0; i < after_view->member_count; i++)
        old_of[i] = peers_find(before_view, after_view->members[i].name);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        for (uint32_t i = 0; i < after->group_size; i++) {
            uint32_t old = old_of[after->group[slot][i]];
            bool is_new = true;
            for (uint32_t j = 0; j < before->group_size; j++)
                is_new &= before->group[slot][j] != old;
            if (is_new)
                CHECK(old == UINT32_MAX); /* the newcomer only */
            copies += is_new;
        }
        primaries += old_of[after->primary[slot]] != before->primary[slot];
    }
    free(old_of);
    double part = (double)SLOT_COUNT / after_view->member_count;
    return (struct movement){copies / (part * after->group_size), primaries / part};
}

#endif
