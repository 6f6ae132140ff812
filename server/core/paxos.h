/* Paxos: single-decree, for one view at a time (proto.md "Views" 1). Who promises, who
 * accepts, and when a view is chosen; no messages, no time, no files: whoever calls these records
 * what they changed before it tells anybody.
 *
 *     proposer:  IDLE --begin--> PREPARING --a majority has promised--> PREPARED
 *                  ^                                                       | offer
 *                  '---- end ---- CHOSEN <--a majority has accepted-- OFFERING
 *
 * Any stage ends when a higher ballot has been promised by somebody. */
#ifndef DHT_SERVER_CORE_PAXOS_H
#define DHT_SERVER_CORE_PAXOS_H

#include "server/core/quorum.h"

/* In the order of (round, seat). round 0: none; at most VIEW_ROUND_MAX. */
struct ballot {
    uint64_t round;
    uint64_t seat;
};

static inline int ballot_compare(struct ballot a, struct ballot b)
{
    if (a.round != b.round)
        return a.round < b.round ? -1 : 1;
    return (a.seat > b.seat) - (a.seat < b.seat);
}

/* --- the acceptor ----------------------------------------------------------------------------- */

/* What one seat has said about the next view. Zeroed: nothing. */
struct acceptor {
    struct ballot promised;
    struct ballot accepted; /* at most promised; round 0: nothing */
    struct view view;       /* accepted; owned; without members if nothing was */
};

void acceptor_close(struct acceptor *acceptor);
/* Takes PREPARE. Returns whether it is promised: no ballot below is accepted from now on. If not, a
 * higher one has been. */
bool acceptor_prepare(struct acceptor *acceptor, struct ballot ballot);
/* Takes ACCEPT. Returns whether view (copied) is accepted; if not, a higher ballot was promised. */
bool acceptor_accept(struct acceptor *acceptor, struct ballot ballot, const struct view *view);

/* --- the proposer ----------------------------------------------------------------------------- */

enum proposer_stage {
    PROPOSER_IDLE,
    PROPOSER_PREPARING,
    PROPOSER_PREPARED,
    PROPOSER_OFFERING,
    PROPOSER_CHOSEN
};

struct proposer {
    enum proposer_stage stage;
    struct ballot ballot;
    struct quorum quorum;   /* of promises, then of acceptances */
    struct ballot accepted; /* the highest that any voter says it has accepted */
    struct view found;      /* what it accepted; owned */
    struct view view;       /* what is offered; owned */
};

void proposer_close(struct proposer *proposer);
/* Begins with a ballot of its own above all that this seat has promised and all seen.
 *
 * highest  the highest ballot seen anywhere; its round is below VIEW_ROUND_MAX.
 * seat     this one's.
 * voters   how many there are. */
void proposer_begin(struct proposer *proposer, struct ballot highest, uint64_t seat,
                    uint32_t voters);
/* Voter (from 0) has answered PREPARE: its promise, and what it had accepted (copied; NULL:
 * nothing). A promise of another ballot than the own ends the attempt if it is higher. */
void proposer_promised(struct proposer *proposer, uint32_t voter, struct ballot promised,
                       struct ballot accepted, const struct view *view);
/* PREPARING, PREPARED: an operator's word that nobody else is there: a majority of those that have
 * promised decides; alone if nobody has. Then it is PREPARED. */
void proposer_settle(struct proposer *proposer);
/* PREPARED: what must be offered, because a voter has accepted it; NULL: one may choose. */
const struct view *proposer_found(const struct proposer *proposer);
/* PREPARED: offers view (copied). If something was found it is that (CHECKed by its epoch only). */
void proposer_offer(struct proposer *proposer, const struct view *view);
/* Voter has answered ACCEPT with the highest ballot it has promised. */
void proposer_accepted(struct proposer *proposer, uint32_t voter, struct ballot promised);
/* Gives up: nothing is sent under its ballot any more. */
void proposer_end(struct proposer *proposer);

#endif
