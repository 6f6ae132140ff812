#include "server/core/quorum.h"

#include "common/check.h"

void quorum_init(struct quorum *quorum, uint32_t voter_count)
{
    CHECK(voter_count <= VIEW_MEMBERS_MAX);
    *quorum = (struct quorum){.voter_count = voter_count, .needed = quorum_majority(voter_count)};
}

bool quorum_has_said(const struct quorum *quorum, uint32_t voter)
{
    CHECK(voter < quorum->voter_count);
    return quorum->has_said[voter / 64] >> voter % 64 & 1;
}

bool quorum_say(struct quorum *quorum, uint32_t voter, bool is_yes)
{
    if (quorum_has_said(quorum, voter))
        return false;
    quorum->has_said[voter / 64] |= UINT64_C(1) << voter % 64;
    quorum->yes_count += is_yes;
    quorum->no_count += !is_yes;
    return true;
}

enum quorum_state quorum_state(const struct quorum *quorum)
{
    if (quorum->yes_count >= quorum->needed)
        return QUORUM_WON;
    return quorum->voter_count - quorum->no_count < quorum->needed ? QUORUM_LOST : QUORUM_OPEN;
}
