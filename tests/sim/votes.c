#include "tests/sim/votes.h"

#include "common/check.h"
#include "server/core/state.h"
#include "tests/sim/grown.h"

#include <inttypes.h>
#include <stdlib.h>

/* A promise, or an acceptance, of a seat for the view after epoch. */
struct vote {
    uint32_t epoch;
    uint64_t seat;
    struct ballot ballot;
    struct ballot had; /* a promise: what was accepted then; round 0: nothing */
    uint64_t view;     /* the hash of what was accepted, or had been */
    bool is_untold;    /* a promise that came with an acceptance: whoever offers does not know it */
};

/* An attempt that was begun: by which process. */
struct attempt {
    uint32_t epoch;
    uint32_t node;
    uint32_t starts;
    struct ballot ballot;
};

/* A view that a state file has named. */
struct known {
    uint32_t epoch;
    uint32_t voter_count;
    uint64_t voters[VIEW_VOTERS_MAX]; /* their seats */
};

/* A list that grows. */
struct list_of {
    void *items; /* owned */
    size_t count, capacity;
};

struct votes {
    struct world *world;
    struct list_of promises, acceptances; /* struct vote */
    struct list_of attempts;              /* struct attempt */
    struct list_of views;                 /* struct known, as they came */
    struct list_of seats;                 /* uint64_t: those whose votes are written down */
    uint32_t unseen;                      /* votes for views up to this are not known */
};

static void *append(struct list_of *list, size_t size)
{
    list->items = grown(list->items, list->count, &list->capacity, size);
    return (char *)list->items + size * list->count++;
}

uint64_t votes_view_hash(const struct view *view)
{
    struct buf text = {0};
    uint64_t hash = 0xcbf29ce484222325ull;
    view_format(view, NULL, &text);
    struct span bytes = buf_span(&text);
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ (unsigned char)bytes.data[i]) * 0x100000001b3ull;
    buf_close(&text);
    return hash;
}

static bool is_same(struct ballot a, struct ballot b)
{
    return ballot_compare(a, b) == 0;
}

/* --- who votes -------------------------------------------------------------------------------- */

static const struct known *find_view(const struct votes *votes, uint32_t epoch)
{
    const struct known *views = votes->views.items;
    for (size_t i = votes->views.count; i-- > 0;)
        if (views[i].epoch == epoch)
            return &views[i];
    return NULL;
}

static bool is_written(const struct votes *votes, uint64_t seat)
{
    const uint64_t *seats = votes->seats.items;
    for (size_t i = votes->seats.count; i-- > 0;)
        if (seats[i] == seat)
            return true;
    return false;
}

/* How many vote for the view after epoch; 0: that, or what one of them has voted, is not known. A
 * birth's are the lines of the host's peers.txt. */
static uint32_t count_voters(const struct votes *votes, uint32_t epoch, const struct host *host)
{
    const struct known *view = find_view(votes, epoch);
    if (epoch == 0)
        return host->peers.member_count;
    bool is_known = view && epoch >= votes->unseen;
    for (uint32_t i = 0; is_known && i < view->voter_count; i++)
        is_known = is_written(votes, view->voters[i]);
    return is_known ? view->voter_count : 0;
}

/* Whether a seat is one of F(epoch); at a birth whoever has a line is. */
static bool is_voter(const struct votes *votes, uint32_t epoch, uint64_t seat)
{
    const struct known *view = find_view(votes, epoch);
    for (uint32_t i = 0; view && i < view->voter_count; i++)
        if (view->voters[i] == seat)
            return true;
    return epoch == 0;
}

/* --- ballots ---------------------------------------------------------------------------------- */

static bool was_begun(const struct votes *votes, uint32_t epoch, struct ballot ballot)
{
    const struct attempt *attempts = votes->attempts.items;
    for (size_t i = votes->attempts.count; i-- > 0;)
        if (attempts[i].epoch == epoch && is_same(attempts[i].ballot, ballot))
            return true;
    return false;
}

/* "a ballot is used once": by the process that began with it. */
static void note_attempt(struct votes *votes, const struct host *host, uint32_t epoch,
                         struct ballot ballot)
{
    const struct attempt *attempts = votes->attempts.items;
    for (size_t i = votes->attempts.count; i-- > 0;) {
        if (attempts[i].epoch != epoch || !is_same(attempts[i].ballot, ballot))
            continue;
        if (attempts[i].node != host->number || attempts[i].starts != host->starts)
            world_fail(votes->world,
                       "votes: n%" PRIu32 " uses ballot %" PRIu64 " for view %" PRIu32
                       ", which an earlier process has used",
                       host->number + 1, ballot.round, epoch + 1);
        return;
    }
    struct attempt *attempt = append(&votes->attempts, sizeof(*attempt));
    *attempt = (struct attempt){epoch, host->number, host->starts, ballot};
}

/* Whether what is offered follows from promises: sorted by what they had accepted, those of some
 * majority end in it, or had accepted nothing. */
static bool follows(const struct votes *votes, const struct vote *offer, uint32_t needed)
{
    const struct vote *promises = votes->promises.items;
    uint32_t free_count = 0, below = 0;
    struct ballot highest = {0};
    for (size_t i = 0; i < votes->promises.count; i++)
        if (promises[i].epoch == offer->epoch && is_same(promises[i].ballot, offer->ballot) &&
            promises[i].had.round > 0 && promises[i].view == offer->view &&
            ballot_compare(promises[i].had, highest) > 0)
            highest = promises[i].had;
    for (size_t i = 0; i < votes->promises.count; i++) {
        if (promises[i].epoch != offer->epoch || !is_same(promises[i].ballot, offer->ballot) ||
            promises[i].is_untold || !is_voter(votes, offer->epoch, promises[i].seat))
            continue;
        free_count += promises[i].had.round == 0;
        below += ballot_compare(promises[i].had, highest) <= 0;
    }
    return free_count >= needed || (highest.round > 0 && below >= needed);
}

/* The first acceptance of a ballot shows what it offers; the others are for the same. */
static void check_offer(struct votes *votes, const struct host *host, const struct vote *offer)
{
    const struct vote *accepted = votes->acceptances.items;
    uint32_t voters = count_voters(votes, offer->epoch, host);
    bool is_first = true;
    for (size_t i = 0; i < votes->acceptances.count && is_first; i++) {
        if (accepted[i].epoch != offer->epoch || !is_same(accepted[i].ballot, offer->ballot))
            continue;
        is_first = false;
        if (accepted[i].view != offer->view)
            world_fail(votes->world,
                       "votes: n%" PRIu32 " has accepted another view %" PRIu32
                       " than others, under the same ballot %" PRIu64,
                       host->number + 1, offer->epoch + 1, offer->ballot.round);
    }
    if (is_first && voters > 1 && !follows(votes, offer, voters / 2 + 1))
        world_fail(votes->world,
                   "votes: ballot %" PRIu64 " for view %" PRIu32
                   " offers what does not follow from its promises, n%" PRIu32 " accepts it",
                   offer->ballot.round, offer->epoch + 1, host->number + 1);
}

/* --- seats ------------------------------------------------------------------------------------ */

static const struct vote *last_of(const struct list_of *list, uint64_t seat, uint32_t epoch)
{
    const struct vote *votes = list->items;
    for (size_t i = list->count; i-- > 0;)
        if (votes[i].seat == seat && votes[i].epoch == epoch)
            return &votes[i];
    return NULL;
}

static void check_risen(struct votes *votes, const struct host *host, const struct vote *before,
                        struct ballot now, const char *what)
{
    if (before && ballot_compare(now, before->ballot) < 0)
        world_fail(votes->world,
                   "votes: what n%" PRIu32 " has %s for view %" PRIu32 " falls from ballot %" PRIu64
                   " to %" PRIu64,
                   host->number + 1, what, before->epoch + 1, before->ballot.round, now.round);
}

/* What stands in a state file for the view after its last. */
static void look_at_acceptor(struct votes *votes, const struct host *host, uint32_t epoch,
                             const struct state *state)
{
    const struct acceptor *acceptor = &state->acceptor;
    const struct vote *promised = last_of(&votes->promises, state->seat, epoch);
    const struct vote *accepted = last_of(&votes->acceptances, state->seat, epoch);
    check_risen(votes, host, promised, acceptor->promised, "promised");
    check_risen(votes, host, accepted, acceptor->accepted, "accepted");
    struct vote vote = {.epoch = epoch,
                        .seat = state->seat,
                        .ballot = acceptor->promised,
                        .had = acceptor->accepted};
    if (acceptor->accepted.round > 0)
        vote.view = votes_view_hash(&acceptor->view);
    bool is_new = !promised || !is_same(promised->ballot, acceptor->promised);
    if (acceptor->promised.round > 0 && is_new) {
        vote.is_untold = is_same(acceptor->promised, acceptor->accepted);
        *(struct vote *)append(&votes->promises, sizeof(vote)) = vote;
    }
    vote.ballot = acceptor->accepted;
    if (acceptor->accepted.round == 0 ||
        (accepted && is_same(accepted->ballot, acceptor->accepted)))
        return;
    check_offer(votes, host, &vote);
    *(struct vote *)append(&votes->acceptances, sizeof(vote)) = vote;
}

/* --- views ------------------------------------------------------------------------------------ */

/* How many of F(epoch) have accepted that view under a ballot. */
static uint32_t count_accepted(const struct votes *votes, uint32_t epoch, uint64_t view,
                               struct ballot ballot)
{
    const struct vote *accepted = votes->acceptances.items;
    uint32_t count = 0;
    for (size_t i = 0; i < votes->acceptances.count; i++)
        count += accepted[i].epoch == epoch && accepted[i].view == view &&
                 is_same(accepted[i].ballot, ballot) && is_voter(votes, epoch, accepted[i].seat);
    return count;
}

/* A view that a state file names first: it was chosen. Who votes alone writes nothing before. */
static void check_chosen(struct votes *votes, const struct host *host, uint32_t epoch,
                         uint64_t view)
{
    const struct vote *accepted = votes->acceptances.items;
    uint32_t voters = count_voters(votes, epoch, host), most = 0;
    for (size_t i = 0; i < votes->acceptances.count; i++) {
        uint32_t count =
            accepted[i].epoch == epoch ? count_accepted(votes, epoch, view, accepted[i].ballot) : 0;
        most = count > most ? count : most;
    }
    if (voters > 1 && most < voters / 2 + 1)
        world_fail(votes->world,
                   "votes: n%" PRIu32 " has view %" PRIu32 ", which %" PRIu32 " of %" PRIu32
                   " that vote have accepted",
                   host->number + 1, epoch + 1, most, voters);
}

static void look_at_view(struct votes *votes, const struct host *host, const struct view *view,
                         bool is_judged)
{
    if (find_view(votes, view->epoch))
        return;
    struct known known = {.epoch = view->epoch};
    if (is_judged)
        check_chosen(votes, host, view->epoch - 1, votes_view_hash(view));
    for (uint32_t i = 0; i < view->member_count; i++)
        if (view->members[i].is_voter)
            known.voters[known.voter_count++] = view->members[i].seat;
    *(struct known *)append(&votes->views, sizeof(known)) = known;
}

/* --- what is looked at ------------------------------------------------------------------------ */

static void look(struct votes *votes, const struct host *host, bool is_judged)
{
    struct state state;
    const char *why;
    if (votes->world->has_failed || buf_len(&host->state_text) == 0)
        return;
    CHECK(state_parse(buf_span(&host->state_text), &state, &why) == ERR_OK);
    if (!is_written(votes, state.seat))
        *(uint64_t *)append(&votes->seats, sizeof(state.seat)) = state.seat;
    for (uint32_t i = 0; i < state.view_count; i++)
        look_at_view(votes, host, &state.views[i], is_judged);
    uint32_t epoch = state.view_count > 0 ? state.views[state.view_count - 1].epoch : 0;
    look_at_acceptor(votes, host, epoch, &state);
    state_close(&state);
}

void votes_look(struct votes *votes, const struct host *host)
{
    look(votes, host, true);
}

/* The seat that stands in a host's state file; 0: there is none. list: out, that of the birth in
 * which it has accepted a view; 0: none. */
static uint64_t seat_of(const struct host *host, uint64_t *list)
{
    struct state state;
    const char *why;
    uint64_t seat = 0;
    *list = 0;
    if (buf_len(&host->state_text) > 0 &&
        state_parse(buf_span(&host->state_text), &state, &why) == ERR_OK) {
        seat = state.seat;
        if (state.view_count == 0 && state.acceptor.accepted.round > 0)
            *list = state.list;
        state_close(&state);
    }
    return seat;
}

/* accepted, now: the lists, of a birth, of what the host has accepted and takes part in. */
static void check_list(struct votes *votes, const struct host *host, uint32_t epoch,
                       uint64_t accepted, uint64_t now)
{
    if (epoch == 0 && accepted != 0 && accepted != now)
        world_fail(votes->world,
                   "votes: n%" PRIu32 " has accepted a first view under one peers.txt, and takes "
                   "part in a birth under another",
                   host->number + 1);
}

static void check_prepare(struct votes *votes, const struct host *host,
                          const struct message_PREPARE *prepare)
{
    const struct ballot ballot = {prepare->round, prepare->seat};
    uint64_t list, seat = seat_of(host, &list);
    const struct vote *promised = last_of(&votes->promises, seat, prepare->epoch);
    note_attempt(votes, host, prepare->epoch, ballot);
    check_list(votes, host, prepare->epoch, list, prepare->list);
    if (prepare->epoch < votes->unseen || !is_voter(votes, prepare->epoch, seat))
        return;
    if (!promised || ballot_compare(promised->ballot, ballot) < 0)
        world_fail(votes->world,
                   "votes: n%" PRIu32 " asks for promises of ballot %" PRIu64 " for view %" PRIu32
                   " and has not written its own down",
                   host->number + 1, ballot.round, prepare->epoch + 1);
}

static void check_promise(struct votes *votes, const struct host *host,
                          const struct message_PROMISE *promise)
{
    const struct ballot ballot = {promise->round, promise->seat};
    uint64_t list, seat = seat_of(host, &list);
    const struct vote *promised = last_of(&votes->promises, seat, promise->epoch);
    if (promise->epoch < votes->unseen || ballot.round == 0)
        return;
    if (host->has_no_file && promise->epoch > 0)
        return; /* it was taken in, and its seat is new at each start */
    if (!promised || ballot_compare(promised->ballot, ballot) < 0)
        world_fail(votes->world,
                   "votes: n%" PRIu32 " promises ballot %" PRIu64 " for view %" PRIu32
                   ", which it has not written down",
                   host->number + 1, ballot.round, promise->epoch + 1);
    check_list(votes, host, promise->epoch, list, promise->list);
    if (ballot.seat != seat && !was_begun(votes, promise->epoch, ballot))
        world_fail(votes->world,
                   "votes: n%" PRIu32 " promises ballot %" PRIu64 " for view %" PRIu32
                   ", for which nobody has begun it",
                   host->number + 1, ballot.round, promise->epoch + 1);
}

void votes_hear(struct votes *votes, const struct host *host, const struct message *message)
{
    if (message->kind == MESSAGE_PREPARE)
        check_prepare(votes, host, &message->PREPARE);
    else if (message->kind == MESSAGE_PROMISE)
        check_promise(votes, host, &message->PROMISE);
}

void votes_skip(struct votes *votes, uint32_t epoch)
{
    if (epoch + 1 > votes->unseen)
        votes->unseen = epoch + 1;
}

struct votes *votes_open(struct world *world)
{
    struct votes *votes = calloc(1, sizeof(*votes));
    CHECK(votes != NULL);
    votes->world = world;
    for (uint32_t node = 0; node < world->host_count; node++)
        look(votes, &world->hosts[node], false);
    return votes;
}

void votes_close(struct votes *votes)
{
    free(votes->promises.items);
    free(votes->acceptances.items);
    free(votes->attempts.items);
    free(votes->views.items);
    free(votes->seats.items);
    free(votes);
}
