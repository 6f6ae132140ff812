#include "server/core/views.h"

#include "common/check.h"
#include "common/mutant.h"
#include "common/peers.h"
#include "server/core/views_parts.h"

#include <stdlib.h>

/* --- life ------------------------------------------------------------------------------------- */

struct views *views_open(const struct views_setup *setup)
{
    struct views *views = calloc(1, sizeof(*views));
    CHECK(views != NULL);
    views->options = setup->options;
    views->strategy = setup->strategy;
    views->founders = setup->founders;
    views->founders_hash = peers_hash(setup->founders);
    views->links = setup->links;
    views->gossip = setup->gossip;
    views->env = setup->env;
    views->log = setup->log;
    views->stats = setup->stats;
    views->weight = setup->weight;
    views->has_state_file = setup->has_state_file;
    views->propose_ms = views->look_ms = UINT64_MAX;
    views->is_look_due = true;
    for (uint32_t i = 0; i < MISMATCH_MAX; i++)
        views->mismatches[i] = PEER_NONE;
    prng_init(&views->prng, setup->seed);
    keep_init(views, setup->state);
    report_init(views);
    return views;
}

void views_close(struct views *views)
{
    if (!views)
        return;
    keep_close(views);
    proposer_close(&views->proposer);
    free(views->told);
    free(views->answered);
    free(views->held);
    free(views);
}

/* --- messages --------------------------------------------------------------------------------- */

static uint32_t epoch_of(const struct message *message)
{
    switch (message->kind) {
#define EPOCH_OF(word)                                                                             \
    case MESSAGE_##word:                                                                           \
        return message->word.epoch;
        EPOCH_OF(GET_VIEWS)
        EPOCH_OF(VIEWS)
        EPOCH_OF(PREPARE)
        EPOCH_OF(PROMISE)
        EPOCH_OF(ACCEPT)
        EPOCH_OF(ACCEPTED)
        EPOCH_OF(PROPOSE)
        EPOCH_OF(PROPOSED)
        EPOCH_OF(REPORT)
        EPOCH_OF(GET_REPORT)
        EPOCH_OF(GET_HELD)
        EPOCH_OF(HELD)
        EPOCH_OF(GET_ALIVE)
        EPOCH_OF(ALIVE)
        EPOCH_OF(ACCEPTLOSS)
#undef EPOCH_OF
    default:
        return 0;
    }
}

static void take_get_views(struct views *views, const struct message_GET_VIEWS *question,
                           struct reply *out)
{
    if (views_epoch(views) > question->epoch)
        tell_views(views, question->first > 0 ? question->first - 1 : 0, out);
}

static void take_alive(struct views *views, uint32_t peer, const struct message_ALIVE *answer,
                       struct moment now)
{
    loss_alive(views, peer, answer, now);
    ask_heard(views, peer, answer->epoch);
    birth_alive(views, peer, answer, now);
}

enum err views_message(struct views *views, uint32_t peer, const struct message *message,
                       struct reply *out, struct moment now)
{
    /* Views themselves say more than their number; votes answer who is behind at once. */
    if (message->kind != MESSAGE_VIEWS && message->kind != MESSAGE_GET_VIEWS &&
        message->kind != MESSAGE_PREPARE && message->kind != MESSAGE_ACCEPT)
        views_see_epoch(views, peer, epoch_of(message), now);
    switch (message->kind) {
    case MESSAGE_GET_VIEWS:
        take_get_views(views, &message->GET_VIEWS, out);
        return ERR_OK;
    case MESSAGE_VIEWS:
        return tell_take(views, peer, message, now);
    case MESSAGE_PREPARE:
        vote_take_prepare(views, peer, &message->PREPARE, out, now);
        return ERR_OK;
    case MESSAGE_PROMISE:
        return propose_take_promise(views, peer, message, now);
    case MESSAGE_ACCEPT:
        return vote_take_accept(views, peer, message, out, now);
    case MESSAGE_ACCEPTED:
        propose_take_accepted(views, peer, &message->ACCEPTED, now);
        return ERR_OK;
    case MESSAGE_PROPOSE:
        return ask_take_propose(views, peer, message, now);
    case MESSAGE_PROPOSED:
        ask_take_proposed(views, message, now);
        return ERR_OK;
    case MESSAGE_REPORT:
        return report_take(views, peer, message, now);
    case MESSAGE_GET_REPORT:
        report_asked(views, &message->GET_REPORT, out);
        return ERR_OK;
    case MESSAGE_GET_HELD:
        return loss_asked_held(views, message, out, now);
    case MESSAGE_HELD:
        return loss_held(views, peer, message, now);
    case MESSAGE_GET_ALIVE:
        loss_asked_alive(views, peer, &message->GET_ALIVE, out);
        return ERR_OK;
    case MESSAGE_ALIVE:
        take_alive(views, peer, &message->ALIVE, now);
        return ERR_OK;
    case MESSAGE_ACCEPTLOSS:
        return loss_accepted(views, message, now);
    default:
        return ERR_SYNTAX;
    }
}

void views_link(struct views *views, const struct link_news *news, struct moment now)
{
    if (news->lane != LANE_CONTROL)
        return;
    if (news->change == LINK_ENDED) {
        if (news->is_dialled)
            birth_lost(views, news->peer);
        return;
    }
    views_see_epoch(views, news->peer, news->epoch, now);
    if (news->epoch == 0)
        birth_link(views, news->peer, now);
    else if (news->is_dialled)
        propose_link(views, news->peer, now);
}

void views_found_by(struct views *views, const struct view *founders, struct moment now)
{
    views->founders = founders;
    views->founders_hash = peers_hash(founders);
    for (uint32_t i = 0; i < MISMATCH_MAX; i++)
        views->mismatches[i] = PEER_NONE;
    views->awaited_logged = 0;
    views->dial_ms = now.mono_ms;
    if (!keep_current(views))
        proposer_end(&views->proposer); /* its voters were other lines */
}

/* --- time ------------------------------------------------------------------------------------- */

void views_tick(struct views *views, struct moment now)
{
    views->tick_ms = now.mono_ms;
    if (views->adopted_ms == 0)
        views->adopted_ms = now.mono_ms;
    /* Gossip has taken a later boot: the next start must be later still. */
    if (views->state.boot != views->links->identity.boot)
        (void)keep_state(views, now);
    report_tick(views, now);
    birth_tick(views, now);
    if (!keep_current(views))
        return;
    ask_tick(views, now);
    propose_tick(views, now);
    report_tick(views, now);
    loss_tick(views, now);
}

uint64_t views_deadline(const struct views *views)
{
    if (views->state.boot != views->links->identity.boot)
        return 0;
    uint64_t deadline_ms = birth_deadline(views);
    if (!keep_current(views))
        return deadline_ms;
    const uint64_t deadlines[] = {ask_deadline(views), propose_deadline(views),
                                  loss_deadline(views), report_deadline(views)};
    for (size_t i = 0; i < ARRAY_COUNT(deadlines); i++)
        deadline_ms = deadlines[i] < deadline_ms ? deadlines[i] : deadline_ms;
    return deadline_ms;
}

void views_check(const struct views *views)
{
    const struct state *state = &views->state;
    const struct view *view = keep_current(views);
    for (uint32_t i = 0; i < state->view_count; i++) {
        CHECK(view_is_valid(&state->views[i]));
        CHECK(state->views[i].cluster_id == state->cluster_id);
        if (i > 0)
            CHECK(state->views[i].epoch == state->views[i - 1].epoch + 1);
    }
    CHECK(ballot_compare(state->acceptor.accepted, state->acceptor.promised) <= 0);
    CHECK((state->acceptor.accepted.round > 0) == (state->acceptor.view.member_count > 0));
    if (state->acceptor.accepted.round > 0)
        CHECK(state->acceptor.view.epoch == (view ? view->epoch : 0) + 1);
    CHECK(views->links->identity.epoch == views_epoch(views));
}
