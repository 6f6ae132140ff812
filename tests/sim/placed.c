/* Placements, computed once: hundreds of nodes that see the same members would each place them
 * anew.
 *
 * The simulator is linked with --wrap=ring_place, so what a node calls is this. It is a pure
 * function of the view, so nobody can tell, but by the time it takes. */
#include "common/buf.h"
#include "common/check.h"
#include "common/ring.h"

#include <stdlib.h>
#include <string.h>

#define KEPT 64u /* the last ones used */

void __real_ring_place(const struct view *view, struct ring *ring);
void __wrap_ring_place(const struct view *view, struct ring *ring);

struct placed {
    struct digest key;
    uint64_t used;
    struct ring ring;
};

/* Everything of a view that placement looks at. */
static void key_of(const struct view *view, struct digest *key)
{
    struct buf text = {0};
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct member *member = &view->members[i];
        buf_printf(&text, "%s %u %u\n", member->name, member->weight,
                   member->role * STANDING_COUNT + member->standing);
    }
    digest_of(buf_span(&text), key);
    buf_close(&text);
}

void __wrap_ring_place(const struct view *view, struct ring *ring)
{
    static struct placed *kept; /* for the life of the process; nothing depends on it */
    static uint64_t uses;
    struct digest key;
    key_of(view, &key);
    if (!kept)
        kept = calloc(KEPT, sizeof(*kept));
    CHECK(kept != NULL);
    struct placed *oldest = kept, *found = NULL;
    for (uint32_t i = 0; i < KEPT && !found; i++) {
        if (kept[i].used > 0 && memcmp(&kept[i].key, &key, sizeof(key)) == 0)
            found = &kept[i];
        else if (kept[i].used < oldest->used)
            oldest = &kept[i];
    }
    if (!found) {
        found = oldest;
        found->key = key;
        __real_ring_place(view, &found->ring);
    }
    found->used = ++uses;
    *ring = found->ring;
}
