/* Views: answers to proposals. */
#include "common/check.h"
#include "common/mutant.h"
#include "common/peers.h"
#include "server/core/views_parts.h"

#include <inttypes.h>

static void note_ballot(struct views *views, struct ballot ballot)
{
    if (ballot_compare(ballot, views->highest) > 0)
        views->highest = ballot;
}

/* Whether a member is there, as gossip holds it; this node is. */
static bool is_alive(const struct views *views, const struct member *member)
{
    return strcmp(member->name, views->links->identity.name) == 0 ||
           keep_holds_alive(views, member->name);
}

uint32_t vote_rank(const struct views *views)
{
    const struct view *view = keep_current(views);
    uint32_t rank = 0;
    for (uint32_t i = 0; i < views->voter_count && i != views->own_voter; i++)
        rank += is_alive(views, &view->members[views->voters[i]]);
    return rank;
}

uint64_t vote_back_off(struct views *views, uint32_t rank)
{
    uint64_t wait_ms = (uint64_t)BACK_OFF_MS * rank;
    return wait_ms / 2 + (wait_ms ? prng_below(&views->prng, wait_ms + 1) : 0);
}

uint64_t vote_doubled(const struct views *views, uint64_t ms)
{
    uint32_t vain = MUTANT(attempts_alike) ? 0 : views->vain_attempts;
    return ms << (vain < ATTEMPT_DOUBLINGS ? vain : ATTEMPT_DOUBLINGS);
}

void vote_postpone(struct views *views, struct moment now)
{
    uint32_t rank = views_epoch(views) == 0 ? birth_rank(views) : vote_rank(views);
    uint64_t wait_ms = vote_doubled(views, vote_back_off(views, rank + 1));
    if (views_epoch(views) == 0)
        wait_ms += BIRTH_WAIT_MS;
    views->propose_ms = now.mono_ms + wait_ms;
}

/* Whether writes began to wait in the current view, less than ms ago. */
static bool has_held_writes(const struct views *views, uint64_t ms, struct moment now)
{
    return views->hold_epoch == views_epoch(views) && views->hold_ms != 0 &&
           now.mono_ms < views->hold_ms + ms;
}

void vote_hold_writes(struct views *views, struct moment now)
{
    if (has_held_writes(views, HOLD_REST_MS, now))
        return;
    views->hold_epoch = views_epoch(views);
    views->hold_ms = now.mono_ms;
}

bool views_holds_writes(const struct views *views, struct moment now)
{
    return has_held_writes(views, HOLD_MS, now);
}

/* --- births ----------------------------------------------------------------------------------- */

static uint32_t *mismatch_of(struct views *views, uint32_t peer)
{
    for (uint32_t i = 0; i < MISMATCH_MAX; i++)
        if (views->mismatches[i] == peer)
            return &views->mismatches[i];
    return NULL;
}

bool vote_is_own_list(struct views *views, uint32_t peer, uint64_t list, struct moment now)
{
    uint32_t *known = mismatch_of(views, peer);
    if (list == views->founders_hash || list == LIST_OF_FORM) {
        if (known)
            *known = PEER_NONE;
        return true;
    }
    uint32_t *place = mismatch_of(views, PEER_NONE);
    if (known || !place)
        return false;
    *place = peer;
    log_line(
        views->log, now, LOG_ERROR, "founding-refused",
        "member=%s list=%016" PRIx64 " own=%016" PRIx64 " lines=%" PRIu32
        " reason=\"the peers.txt of the two nodes differ: nothing is founded until they agree\"",
        links_name(views->links, peer), list, views->founders_hash, views->founders->member_count);
    return false;
}

/* Whether this node has a part in a birth under that list: its own, whose line it is, and no other
 * that it has accepted under. */
static bool may_found(struct views *views, uint32_t peer, uint64_t list, struct moment now)
{
    const struct state *state = &views->state;
    if (!vote_is_own_list(views, peer, list, now))
        return false;
    if (list != LIST_OF_FORM &&
        peers_find(views->founders, views->links->identity.name) == UINT32_MAX)
        return false;
    /* Without a file what is promised is not kept: only an operator's word counts. */
    if (list != LIST_OF_FORM && !views->has_state_file && !views->options.is_forming)
        return false;
    return state->acceptor.accepted.round == 0 || state->list == list || list == LIST_OF_FORM ||
           MUTANT(any_list);
}

/* --- the acceptor ----------------------------------------------------------------------------- */

/* An acceptor answers PREPARE and ACCEPT for e+1 only with a seat that stands in F(e) and only
 * while its own view is e; to anyone behind it sends the views it has. */
static bool may_answer(struct views *views, uint32_t peer, uint32_t epoch, uint64_t list,
                       struct reply *out, struct moment now)
{
    uint32_t own = views_epoch(views);
    if (epoch < own && !MUTANT(votes_for_old)) {
        tell_views(views, epoch, out);
        return false;
    }
    if (epoch > own) {
        views_see_epoch(views, peer, epoch, now);
        return false;
    }
    return epoch == 0 ? may_found(views, peer, list, now) : keep_may_vote(views);
}

/* At a birth the answer says whose list is another: so that both know. */
static void say_other_list(struct views *views, uint32_t epoch, uint64_t list, struct reply *out)
{
    if (epoch != 0 || views_epoch(views) != 0 || list == views->founders_hash ||
        list == LIST_OF_FORM)
        return;
    struct message message = {.kind = MESSAGE_PROMISE,
                              .PROMISE = {.list = views->founders_hash, .weight = views->weight}};
    tell_send(out, &message, span_of(NULL, 0));
}

/* and records promise and acceptance first: what could not be written when it was said is tried
 * again before anything is answered. */
static bool is_recorded(struct views *views, struct moment now)
{
    return !views->is_broken || MUTANT(vote_unrecorded) || keep_state(views, now);
}

static void say_promise(struct views *views, uint64_t list, struct reply *out)
{
    const struct acceptor *acceptor = &views->state.acceptor;
    struct message message = {.kind = MESSAGE_PROMISE,
                              .PROMISE = {.epoch = views_epoch(views),
                                          .round = acceptor->promised.round,
                                          .seat = acceptor->promised.seat,
                                          .list = list,
                                          .accepted_round = acceptor->accepted.round,
                                          .accepted_seat = acceptor->accepted.seat,
                                          .weight = views->weight}};
    struct buf text = {0};
    if (acceptor->accepted.round > 0)
        view_format(&acceptor->view, keep_current(views), &text);
    tell_send(out, &message, buf_span(&text));
    buf_close(&text);
}

void vote_take_prepare(struct views *views, uint32_t peer, const struct message_PREPARE *message,
                       struct reply *out, struct moment now)
{
    const struct ballot ballot = {message->round, message->seat};
    if (!may_answer(views, peer, message->epoch, message->list, out, now)) {
        say_other_list(views, message->epoch, message->list, out);
        return;
    }
    note_ballot(views, ballot);
    bool is_new = ballot_compare(ballot, views->state.acceptor.promised) > 0;
    if (acceptor_prepare(&views->state.acceptor, ballot) && is_new) {
        if (message->epoch == 0 && views->state.acceptor.accepted.round == 0)
            views->state.list = message->list;
        if (!keep_state(views, now))
            return;
        if (views->proposer.stage != PROPOSER_IDLE) {
            views->vain_attempts++;
            proposer_end(&views->proposer);
        }
        vote_postpone(views, now);
        vote_hold_writes(views, now);
    }
    if (is_recorded(views, now))
        say_promise(views, message->list, out);
}

static void say_accepted(struct views *views, uint64_t list, struct reply *out)
{
    const struct ballot *promised = &views->state.acceptor.promised;
    struct message message = {.kind = MESSAGE_ACCEPTED,
                              .ACCEPTED = {.epoch = views_epoch(views),
                                           .round = promised->round,
                                           .seat = promised->seat,
                                           .list = list}};
    message_append(out, &message);
}

/* Whether a view may follow the own one. */
static bool is_next(const struct views *views, const struct view *view)
{
    const struct view *current = keep_current(views);
    if (!current)
        return view->epoch == 1;
    return view->epoch == current->epoch + 1 && view->cluster_id == current->cluster_id &&
           view->base >= current->base && view->base <= current->epoch;
}

enum err vote_take_accept(struct views *views, uint32_t peer, const struct message *message,
                          struct reply *out, struct moment now)
{
    const struct message_ACCEPT *accept = &message->ACCEPT;
    const struct ballot ballot = {accept->round, accept->seat};
    struct acceptor *acceptor = &views->state.acceptor;
    if (!may_answer(views, peer, accept->epoch, accept->list, out, now))
        return ERR_OK;
    struct span text = message->body;
    struct view view;
    enum err err = view_parse(&text, keep_current(views), &view);
    if (!err && (text.len > 0 || !is_next(views, &view))) {
        view_close(&view);
        err = ERR_SYNTAX;
    }
    if (err)
        return ERR_SYNTAX;
    note_ballot(views, ballot);
    bool is_new = ballot_compare(ballot, acceptor->accepted) != 0;
    bool is_accepted = acceptor_accept(acceptor, ballot, &view);
    view_close(&view);
    if (is_accepted && is_new) {
        if (accept->epoch == 0)
            views->state.list = accept->list;
        if (!keep_state(views, now))
            return ERR_OK;
        vote_postpone(views, now);
    }
    if (is_recorded(views, now))
        say_accepted(views, accept->list, out);
    return ERR_OK;
}
