#include "server/core/paxos.h"

#include "common/check.h"
#include "common/mutant.h"

/* --- the acceptor ----------------------------------------------------------------------------- */

void acceptor_close(struct acceptor *acceptor)
{
    view_close(&acceptor->view);
    *acceptor = (struct acceptor){0};
}

bool acceptor_prepare(struct acceptor *acceptor, struct ballot ballot)
{
    if (ballot_compare(ballot, acceptor->promised) < 0)
        return false;
    if (!MUTANT(forgets_promise))
        acceptor->promised = ballot;
    return true;
}

bool acceptor_accept(struct acceptor *acceptor, struct ballot ballot, const struct view *view)
{
    if (ballot_compare(ballot, acceptor->promised) < 0)
        return false;
    acceptor->promised = ballot;
    if (MUTANT(forgets_acceptance))
        return true;
    acceptor->accepted = ballot;
    struct view copy;
    view_copy(view, &copy); /* it may be the one that is held already */
    view_close(&acceptor->view);
    acceptor->view = copy;
    return true;
}

/* --- the proposer ----------------------------------------------------------------------------- */

void proposer_close(struct proposer *proposer)
{
    view_close(&proposer->found);
    view_close(&proposer->view);
    *proposer = (struct proposer){0};
}

void proposer_end(struct proposer *proposer)
{
    proposer_close(proposer);
}

void proposer_begin(struct proposer *proposer, struct ballot highest, uint64_t seat,
                    uint32_t voters)
{
    CHECK(proposer->stage == PROPOSER_IDLE);
    CHECK(seat != 0);
    CHECK(highest.round < VIEW_ROUND_MAX);
    *proposer = (struct proposer){.stage = PROPOSER_PREPARING,
                                  .ballot = {.round = highest.round + 1, .seat = seat}};
    quorum_init(&proposer->quorum, voters);
    if (MUTANT(half_is_enough))
        proposer->quorum.needed = (voters + 1) / 2;
}

/* Somebody has promised more: nothing of this attempt can be chosen any more, or only by luck. */
static bool is_beaten(struct proposer *proposer, struct ballot promised)
{
    if (ballot_compare(promised, proposer->ballot) <= 0)
        return false;
    proposer_end(proposer);
    return true;
}

void proposer_promised(struct proposer *proposer, uint32_t voter, struct ballot promised,
                       struct ballot accepted, const struct view *view)
{
    if (proposer->stage != PROPOSER_PREPARING && proposer->stage != PROPOSER_PREPARED)
        return;
    if (is_beaten(proposer, promised) || ballot_compare(promised, proposer->ballot) != 0)
        return;
    if (!quorum_say(&proposer->quorum, voter, true))
        return;
    if (view && ballot_compare(accepted, proposer->accepted) > 0 && !MUTANT(own_value)) {
        CHECK(accepted.round > 0);
        proposer->accepted = accepted;
        view_close(&proposer->found);
        view_copy(view, &proposer->found);
    }
    if (quorum_state(&proposer->quorum) == QUORUM_WON)
        proposer->stage = PROPOSER_PREPARED;
}

void proposer_settle(struct proposer *proposer)
{
    struct quorum *quorum = &proposer->quorum;
    CHECK(proposer->stage == PROPOSER_PREPARING || proposer->stage == PROPOSER_PREPARED);
    quorum->needed = quorum->yes_count > 0 ? quorum_majority(quorum->yes_count) : 0;
    proposer->stage = PROPOSER_PREPARED;
}

const struct view *proposer_found(const struct proposer *proposer)
{
    return proposer->accepted.round > 0 ? &proposer->found : NULL;
}

void proposer_offer(struct proposer *proposer, const struct view *view)
{
    CHECK(proposer->stage == PROPOSER_PREPARED);
    CHECK(proposer->accepted.round == 0 || proposer->found.epoch == view->epoch);
    view_copy(view, &proposer->view);
    proposer->stage = PROPOSER_OFFERING;
    uint32_t needed = proposer->quorum.needed;
    quorum_init(&proposer->quorum, proposer->quorum.voter_count);
    proposer->quorum.needed = needed;
    if (MUTANT(next_quorum))
        proposer->quorum.needed = quorum_majority(view_voter_count(view));
    if (needed == 0)
        proposer->stage = PROPOSER_CHOSEN;
}

void proposer_accepted(struct proposer *proposer, uint32_t voter, struct ballot promised)
{
    if (proposer->stage != PROPOSER_OFFERING || is_beaten(proposer, promised) ||
        ballot_compare(promised, proposer->ballot) != 0)
        return;
    quorum_say(&proposer->quorum, voter, true);
    if (quorum_state(&proposer->quorum) == QUORUM_WON)
        proposer->stage = PROPOSER_CHOSEN;
}
