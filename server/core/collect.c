#include "server/core/collect.h"

#include "common/check.h"
#include "common/mutant.h"
#include "server/core/quorum.h"

/* "… is needed: the answer of the primary of group(k,s) (the first that was up in view k, of the
 * same generation), or answers of |group(k,s)| - W + 1 of its members, up or down in k alike". */
bool collect_is_covered(const struct collect_group *group, const struct collect_answer *answers)
{
    uint32_t answered = 0;
    CHECK(group->size >= 1);
    CHECK(group->size <= RING_COPIES_MAX);
    if (group->primary == GIVER_NONE)
        return true;
    for (uint32_t i = 0; i < group->size; i++)
        answered += group->members[i] != GIVER_NONE && answers[group->members[i]].is_there;
    uint16_t primary = MUTANT(collect_first) ? group->members[0] : group->primary;
    if (primary != GIVER_NONE && answers[primary].is_there && !MUTANT(collect_all))
        return true;
    if (MUTANT(collect_any))
        return answered > 0;
    uint32_t needed = group->size - quorum_majority(group->size) + 1;
    if (MUTANT(collect_all))
        needed = group->size;
    if (MUTANT(collect_too_few) && needed > 1)
        needed--;
    return answered >= needed;
}

bool collect_is_settled(uint32_t base, uint32_t epoch, const struct collect_answer *answers,
                        uint32_t count, collect_group_fn *group_of, void *arg, uint32_t *missing)
{
    /* "low = max(base(e'), every act answered)" */
    uint32_t low = base;
    for (uint32_t i = 0; i < count; i++)
        if (answers[i].is_there && answers[i].act > low)
            low = answers[i].act;
    if (MUTANT(collect_last_only) && low + 1 < epoch)
        low = epoch - 1;
    for (uint32_t k = low; k < epoch; k++) {
        struct collect_group group;
        bool is_known = group_of(arg, k, &group);
        if (is_known && collect_is_covered(&group, answers)) {
            if (MUTANT(collect_lowest_only))
                return true;
            continue;
        }
        if (missing)
            *missing = k;
        return false;
    }
    return true;
}

static bool is_greater(const struct collect_answer *a, const struct collect_answer *b)
{
    if (MUTANT(choose_by_ver))
        return a->ver > b->ver;
    if (MUTANT(choose_by_act))
        return a->act > b->act;
    return a->act != b->act ? a->act > b->act : a->ver > b->ver;
}

uint32_t collect_choose(const struct collect_answer *answers, uint32_t count, uint32_t own)
{
    CHECK(own < count);
    CHECK(answers[own].is_there);
    uint32_t best = own;
    for (uint32_t i = 0; i < count; i++)
        if (answers[i].is_there && is_greater(&answers[i], &answers[best]))
            best = i;
    return best;
}

/* "f ≤ its own recorded ver, ≤ the version acknowledged in this epoch by every other member of the
 * group, and, for every session (learners' too), ≤ its acknowledged version once synced, ≤ its
 * common before." */
uint64_t collect_floor(uint64_t own_ver, const struct floor_member *others, uint32_t count,
                       uint64_t sessions_max)
{
    uint64_t floor = own_ver;
    if (sessions_max < floor && !MUTANT(floor_ignores_sessions))
        floor = sessions_max;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t acked = others[i].is_synced ? others[i].acked : 0;
        if (!others[i].is_synced && MUTANT(floor_up_only))
            acked = own_ver;
        floor = acked < floor && !MUTANT(floor_own) ? acked : floor;
    }
    return floor;
}
