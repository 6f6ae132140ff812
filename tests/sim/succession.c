#include "tests/sim/succession.h"

#include "common/check.h"
#include "common/ring.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool PRINTF_LIKE(2, 3) broken(char why[SUCCESSION_WHY_BYTES], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, SUCCESSION_WHY_BYTES, format, args);
    va_end(args);
    return false;
}

static const struct member *find(const struct view *view, const struct member *member)
{
    uint32_t at = view_find(view, span_of_string(member->name), member->generation);
    return at == VIEW_NOBODY ? NULL : &view->members[at];
}

static bool is_live(const struct member *member)
{
    return member_is_full(member) && member_is_up(member) && !member->is_leaving;
}

/* A full member stays one, unless it was leaving or replaced, is forgotten, or its name is full
 * with other data. */
static bool may_lose_place(const struct member *was, const struct member *is,
                           const struct view *after)
{
    return was->is_leaving || was->standing == STANDING_REPLACED ||
           (is && is->standing == STANDING_FORGOTTEN) ||
           view_find_full(after, span_of_string(was->name)) != VIEW_NOBODY;
}

static bool keeps_places(const struct view *before, const struct view *after,
                         char why[SUCCESSION_WHY_BYTES])
{
    for (uint32_t i = 0; i < before->member_count; i++) {
        const struct member *was = &before->members[i], *is = find(after, was);
        if (member_is_full(was) && !(is && member_is_full(is)) && !may_lose_place(was, is, after))
            return broken(why, "%s, %s, loses its place, and nothing has it", was->name,
                          member_standing_word(was->standing));
    }
    return true;
}

/* Who is to be replaced finds as many live members as there are copies. Who begins to leave or to
 * stop by this view was one of them when that was judged. */
static bool replaces_by_others(const struct view *before, const struct view *after,
                               char why[SUCCESSION_WHY_BYTES])
{
    uint32_t live = 0;
    const struct member *replaced = NULL;
    for (uint32_t i = 0; i < after->member_count; i++) {
        const struct member *is = &after->members[i], *was = find(before, is);
        bool was_replaced = was && was->standing == STANDING_REPLACED;
        live += is_live(is) || (member_is_full(is) && was && is_live(was) &&
                                (is->is_leaving || is->standing == STANDING_STOPPING));
        if (member_is_full(is) && is->standing == STANDING_REPLACED && !was_replaced)
            replaced = is;
    }
    if (replaced && live < after->copies)
        return broken(why, "%s is replaced, and %" PRIu32 " are there for %" PRIu32 " copies",
                      replaced->name, live, after->copies);
    return true;
}

/* Whether each group has a majority up. */
static bool has_quorums(const struct view *view)
{
    struct ring *ring = malloc(sizeof(*ring));
    bool has_all = true;
    CHECK(ring != NULL);
    ring_place(view, ring);
    for (uint32_t slot = 0; slot < SLOT_COUNT && has_all; slot++) {
        uint32_t up = 0;
        for (uint32_t i = 0; i < ring->group_size; i++)
            up += member_is_up(&view->members[ring->group[slot][i]]);
        has_all = up >= ring->group_size / 2 + 1;
    }
    free(ring);
    return has_all;
}

/* Members of one name stand in the order of their boots. */
static bool has_later(const struct view *view, uint32_t at)
{
    return at + 1 < view->member_count &&
           strcmp(view->members[at].name, view->members[at + 1].name) == 0;
}

/* Those that are replaced keep their places where the others are too few for these. Who was
 * replaced, and is not because one that was leaving counted for nothing, is again as soon as that
 * one stays, which may be by this view. */
static void settle_replaced(const struct view *before, struct view *kept, uint32_t live)
{
    for (uint32_t i = 0; i < kept->member_count; i++) {
        struct member *is = &kept->members[i];
        const struct member *was = find(before, is);
        bool was_replaced = was && was->standing == STANDING_REPLACED;
        if (live >= kept->copies && was_replaced && !member_is_up(is))
            is->standing = STANDING_REPLACED;
        else if (live < kept->copies && is->standing == STANDING_REPLACED)
            is->standing = has_later(kept, i) ? STANDING_SUPERSEDED : STANDING_DOWN;
    }
}

/* Of the next placement. */
static bool has_quorums_next(const struct view *before, const struct view *view)
{
    struct view kept, next;
    uint32_t live = 0;
    view_copy(view, &kept);
    for (uint32_t i = 0; i < kept.member_count; i++)
        live += is_live(&kept.members[i]);
    settle_replaced(before, &kept, live);
    bool has_next = view_next(&kept, &next);
    bool holds = live > 0 && (!has_next || has_quorums(&next));
    if (has_next)
        view_close(&next);
    view_close(&kept);
    return holds;
}

static bool lets_go(const struct view *before, const struct view *after,
                    char why[SUCCESSION_WHY_BYTES])
{
    const struct member *leaving = NULL, *stopping = NULL;
    for (uint32_t i = 0; i < after->member_count; i++) {
        const struct member *is = &after->members[i], *was = find(before, is);
        bool was_stopping = was && was->standing == STANDING_STOPPING;
        if (member_is_full(is) && is->is_leaving)
            leaving = is;
        if (member_is_full(is) && is->standing == STANDING_STOPPING && !was_stopping)
            stopping = is;
    }
    if (leaving && !has_quorums_next(before, after))
        return broken(why, "%s is leaving, and without it a group has no majority up",
                      leaving->name);
    if (stopping && !has_quorums(after))
        return broken(why, "%s is stopping, and without it a group has no majority up",
                      stopping->name);
    return true;
}

/* "superseded … out again": a newcomer whose name runs with other data is out in the view that says
 * so, and gets no place. */
static bool lets_in(const struct view *before, const struct view *after,
                    char why[SUCCESSION_WHY_BYTES])
{
    for (uint32_t i = 0; i < after->member_count; i++) {
        const struct member *is = &after->members[i], *was = find(before, is);
        bool is_new = is->role == ROLE_JOINER || !was || was->role == ROLE_JOINER;
        if (is_new && is->standing == STANDING_SUPERSEDED)
            return broken(why, "%s is superseded, and stays as one that joins", is->name);
    }
    return true;
}

bool succession_holds(const struct view *before, const struct view *after,
                      char why[SUCCESSION_WHY_BYTES])
{
    CHECK(after->epoch == before->epoch + 1);
    return keeps_places(before, after, why) && replaces_by_others(before, after, why) &&
           lets_go(before, after, why) && lets_in(before, after, why);
}
