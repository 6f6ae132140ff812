/* Quorum: counting only. Of so many voters, each of whom says something once, is it won, lost, or
 * still open? */
#ifndef DHT_SERVER_CORE_QUORUM_H
#define DHT_SERVER_CORE_QUORUM_H

#include "common/view.h"

enum quorum_state { QUORUM_OPEN, QUORUM_WON, QUORUM_LOST };

struct quorum {
    uint32_t voter_count;
    uint32_t needed; /* to win */
    uint32_t yes_count;
    uint32_t no_count;
    uint64_t has_said[VIEW_MEMBERS_MAX / 64]; /* a bit a voter */
};

/* The smallest number that is more than half. */
static inline uint32_t quorum_majority(uint32_t voter_count)
{
    return voter_count / 2 + 1;
}

/* Begins to count a majority of so many voters (at most VIEW_MEMBERS_MAX), none of whom has said
 * anything. */
void quorum_init(struct quorum *quorum, uint32_t voter_count);
/* Voter (from 0) says yes or no. Only its first word counts: returns false for a further one. */
bool quorum_say(struct quorum *quorum, uint32_t voter, bool is_yes);
enum quorum_state quorum_state(const struct quorum *quorum);
/* Whether this voter has said anything. */
bool quorum_has_said(const struct quorum *quorum, uint32_t voter);

#endif
