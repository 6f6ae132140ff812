/* Views: what is held of the members, and proposals. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/views_parts.h"

#include <inttypes.h>
#include <stdlib.h>

/* "Changes known together go into one view": so soon after a view, for each of its members, none is
 * made for joins alone: others come a moment later. Each view costs every pair of nodes a word. */
#define JOINS_MS     2u
#define JOINS_MS_MAX 200u

/* A member that is put down as soon as it is up comes up again after twice as long each time. */
#define DOUBLINGS_MAX 3u

/* From so many kept views on, what adds a view waits: for PACE_MS, and twice as long with each
 * PACE_VIEWS views more. */
#define KEPT_MANY      96u
#define PACE_VIEWS     8u
#define PACE_MS        250u
#define PACE_SHIFT_MAX 24u
#define SAY_WAIT_MS    2000u /* a shorter wait is not worth a line */

/* --- what is held of the members -------------------------------------------------------------- */

static void look_again_at(struct views *views, uint64_t at_ms)
{
    if (at_ms < views->look_ms)
        views->look_ms = at_ms;
}

/* DEAD here means DEAD, REMOVED or LEFT, counted through. */
static bool is_gone(const struct account *account)
{
    return account->state == MEMBER_DEAD || account->state == MEMBER_REMOVED ||
           account->state == MEMBER_LEFT;
}

/* suspected members (class REFUSED, or two reporters) down */
static bool is_suspected_enough(const struct account *account)
{
    return account->state == MEMBER_SUSPECT && (account->suspicion->evidence == EVIDENCE_REFUSED ||
                                                account->suspicion->reporter_count >= 2);
}

/* Where base does not rise the views that are kept become ever more, and no more than
 * STATE_VIEWS_MAX can be kept: the more there are, the later comes what adds to them. */
static uint64_t pace_ms(const struct view *view)
{
    uint32_t kept = view->epoch - view->base + 1;
    if (kept < KEPT_MANY || MUTANT(views_unpaced))
        return 0;
    uint32_t shift = (kept - KEPT_MANY) / PACE_VIEWS;
    return (uint64_t)PACE_MS << (shift < PACE_SHIFT_MAX ? shift : PACE_SHIFT_MAX);
}

/* How often a member has come up again in the views that are kept. */
static uint32_t count_returns(const struct views *views, const struct member *member)
{
    uint32_t count = 0;
    bool was_down = false;
    for (uint32_t i = 0; i < views->state.view_count; i++) {
        const struct view *view = &views->state.views[i];
        uint32_t at = view_find(view, span_of_string(member->name), member->generation);
        bool is_up = at != VIEW_NOBODY && member_is_up(&view->members[at]);
        count += was_down && is_up;
        was_down = at != VIEW_NOBODY && !is_up;
    }
    return count;
}

/* When a member that is not up may be again. Who has been so, and was put down before base could
 * rise, waits: those who vote may hold different things of it, and each makes a view of its own. */
static uint64_t again_ms(const struct views *views, uint32_t index)
{
    const struct view *view = keep_current(views);
    uint32_t returns = count_returns(views, &view->members[index]);
    if (returns == 0 || MUTANT(up_at_once))
        return 0;
    uint32_t doublings = returns - 1 < DOUBLINGS_MAX ? returns - 1 : DOUBLINGS_MAX;
    uint64_t wait_ms = (uint64_t)views->options.up_after_ms << doublings;
    uint64_t *down_ms = &views->watches[index].down_ms;
    if (*down_ms == 0) /* it was so when this node started; further views change nothing of that */
        *down_ms = views->adopted_ms;
    return *down_ms + (pace_ms(view) > wait_ms ? pace_ms(view) : wait_ms);
}

/* Whether anything but this joiner waits for the next placement. */
static bool do_others_wait(const struct view *view, uint32_t joiner)
{
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct member *member = &view->members[i];
        if (i != joiner && strcmp(member->name, view->members[joiner].name) != 0 &&
            ((member->role == ROLE_JOINER && member_is_up(member)) ||
             (member_is_full(member) &&
              (member->is_leaving || member->standing == STANDING_REPLACED))))
            return true;
    }
    return false;
}

/* Whether a member that is not up is missed: a slot of its group has no quorum without it; or, of a
 * joiner, it has all its copies, and others wait for the next placement, which comes with it alone.
 */
static bool is_missed(struct views *views, uint32_t index)
{
    const struct view *view = keep_current(views);
    if (view->members[index].role == ROLE_JOINER)
        return views->done[index] && do_others_wait(view, index);
    return change_is_stuck(view, views_ring(views, view->epoch), index);
}

/* One that runs: up again when it has been ALIVE for long enough, a damped one when that is over,
 * or it is missed. */
static void hold_alive(struct views *views, uint32_t index, const struct account *account,
                       struct opinion *opinion, struct moment now)
{
    const struct member *member = &keep_current(views)->members[index];
    opinion->boot = account->boot;
    uint64_t up_ms = account->state_ms + views->options.up_after_ms;
    if (account->damped_until_ms > up_ms &&
        (member_is_up(member) || !is_missed(views, index) || MUTANT(damped_stays)))
        up_ms = account->damped_until_ms;
    /* Who stops is alive, and ends soon; only its next process comes up. */
    if (member->standing == STANDING_STOPPING && account->boot <= member->boot)
        up_ms = views->adopted_ms + LATE_MS;
    if (account == views->gossip->members.self && member->standing != STANDING_STOPPING)
        up_ms = 0;
    if (!member_is_up(member) && again_ms(views, index) > up_ms)
        up_ms = again_ms(views, index);
    if (now.mono_ms >= up_ms)
        opinion->state = OPINION_UP;
    else
        look_again_at(views, up_ms);
}

static void hold(struct views *views, uint32_t index, struct opinion *opinion, struct moment now)
{
    const struct member *member = &keep_current(views)->members[index];
    struct watch *watch = &views->watches[index];
    const struct account *account = keep_account(views, member->name);
    *opinion = (struct opinion){.state = OPINION_NONE};
    if (!account || account->state == MEMBER_UNVERIFIED)
        return;
    if (account->generation != member->generation) {
        opinion->is_superseded = account->boot > member->boot;
    } else if (account->state == MEMBER_ALIVE) {
        hold_alive(views, index, account, opinion, now);
    } else if (is_gone(account)) {
        opinion->state = OPINION_GONE;
        opinion->boot = account->boot;
    } else if (is_suspected_enough(account)) {
        opinion->state = OPINION_DOWN;
    }
    bool is_lost = opinion->is_superseded || opinion->state == OPINION_GONE ||
                   member->standing == STANDING_SUPERSEDED;
    if (!is_lost)
        watch->gone_ms = 0;
    else if (watch->gone_ms == 0)
        watch->gone_ms = now.mono_ms;
    if (!is_lost || !member_is_full(member))
        return;
    uint64_t overdue_ms = watch->gone_ms + views->options.replace_after_ms;
    opinion->is_overdue = now.mono_ms >= overdue_ms;
    if (!opinion->is_overdue)
        look_again_at(views, overdue_ms);
}

/* a joiner … not done 30 s after all others out again: here, one that makes no progress while
 * others wait */
static void hold_late(struct views *views, struct opinion *opinions, struct moment now)
{
    const struct view *view = keep_current(views);
    for (uint32_t i = 0; i < view->member_count; i++) {
        if (view->members[i].role != ROLE_JOINER || views->done[i] || !do_others_wait(view, i))
            continue;
        uint64_t late_ms = views->watches[i].progress_ms + LATE_MS;
        opinions[i].is_late = now.mono_ms >= late_ms;
        if (!opinions[i].is_late)
            look_again_at(views, late_ms);
    }
}

/* A joiner that is down holds the placement up until it is back, or out. */
static bool is_joiner_down(const struct view *view)
{
    for (uint32_t i = 0; i < view->member_count; i++)
        if (view->members[i].role == ROLE_JOINER && !member_is_up(&view->members[i]))
            return true;
    return false;
}

/* --- wishes ----------------------------------------------------------------------------------- */

static void drop_old_wishes(struct views *views, struct moment now)
{
    for (uint32_t i = views->wish_count; i-- > 0;)
        if (now.mono_ms >= views->wishes[i].until_ms)
            views->wishes[i] = views->wishes[--views->wish_count];
}

void propose_wish(struct views *views, uint32_t peer, uint64_t number, const struct wish *wish,
                  struct moment now)
{
    struct kept_wish *place = NULL;
    drop_old_wishes(views, now);
    for (uint32_t i = 0; i < views->wish_count && !place; i++) {
        struct kept_wish *other = &views->wishes[i];
        if (other->wish.kind == wish->kind &&
            strcmp(other->wish.member.name, wish->member.name) == 0)
            place = other;
    }
    if (!place && views->wish_count == WISHES_MAX)
        return; /* it asks again */
    if (!place)
        place = &views->wishes[views->wish_count++];
    *place = (struct kept_wish){
        .wish = *wish, .until_ms = now.mono_ms + WISH_MS, .peer = peer, .number = number};
    views->is_look_due = true;
    look_again_at(views, place->until_ms);
}

/* It is answered, once. One that is refused is forgotten, but for a stop: whether all have asked
 * for one counts them. */
static void refuse_wish(struct views *views, struct kept_wish *kept, const char *why,
                        struct moment now)
{
    struct message message = {.kind = MESSAGE_PROPOSED,
                              .PROPOSED = {.epoch = views_epoch(views), .number = kept->number},
                              .body = span_of_string(why)};
    struct ask *ask = NULL;
    uint64_t number = kept->number;
    kept->number = 0;
    if (kept->wish.kind != WISH_STOP)
        kept->until_ms = 0;
    if (number == 0)
        return;
    if (kept->peer == PEER_SELF) {
        ask = ask_find(views, number);
        if (ask)
            ask_take_proposed(views, &message, now);
        return;
    }
    struct reply *out =
        links_has_peer(views->links, kept->peer) ? tell_out(views, kept->peer, now) : NULL;
    if (out)
        message_append(out, &message);
}

/* The highest boot that a member is known to have had. */
static uint64_t known_boot(const struct views *views, const struct member *member)
{
    const struct account *account = keep_account(views, member->name);
    bool is_later =
        account && account->generation == member->generation && account->boot > member->boot;
    return is_later ? account->boot : member->boot;
}

/* The last full member, or all once every full member that is up has asked, end at once. */
static bool do_all_stop(const struct views *views)
{
    const struct view *view = keep_current(views);
    uint32_t up = 0, stopping = 0;
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct member *member = &view->members[i];
        if (!member_is_full(member) || !member_is_up(member))
            continue;
        up++;
        for (uint32_t w = 0; w < views->wish_count; w++) {
            const struct wish *wish = &views->wishes[w].wish;
            if (wish->kind == WISH_STOP && strcmp(wish->member.name, member->name) == 0 &&
                wish->member.generation == member->generation &&
                wish->member.boot >= known_boot(views, member)) {
                stopping++;
                break;
            }
        }
    }
    return up > 0 && stopping == up;
}

/* --- the next view ---------------------------------------------------------------------------- */

/* Whether a member has started again with its data in the views that are kept. */
static bool has_restarted(const struct views *views, const struct member *member)
{
    uint64_t boot = 0;
    for (uint32_t i = 0; i < views->state.view_count; i++) {
        const struct view *view = &views->state.views[i];
        uint32_t at = view_find(view, span_of_string(member->name), member->generation);
        if (at == VIEW_NOBODY)
            continue;
        if (boot != 0 && view->members[at].boot != boot)
            return true;
        boot = view->members[at].boot;
    }
    return false;
}

/* Who has started again leads nothing before the next view; if all have, nobody does. The first
 * time since base it does not wait. That view has its boot, so nobody asks so twice. */
static bool is_urgent(const struct views *views, const struct wish *wish)
{
    const struct view *view = keep_current(views);
    const struct account *account = keep_account(views, wish->member.name);
    uint32_t at = view_find(view, span_of_string(wish->member.name), wish->member.generation);
    return wish->kind == WISH_NEXT && at != VIEW_NOBODY && account &&
           account->state == MEMBER_ALIVE && account->generation == wish->member.generation &&
           account->boot > view->members[at].boot && !has_restarted(views, &wish->member);
}

static void copy_wishes(const struct views *views, struct wish *wishes)
{
    for (uint32_t i = 0; i < views->wish_count; i++) {
        wishes[i] = views->wishes[i].wish;
        wishes[i].is_urgent = is_urgent(views, &wishes[i]);
    }
}

static void take_refusals(struct views *views, const struct wish *wishes, struct moment now)
{
    bool all_stop = do_all_stop(views);
    for (uint32_t i = 0; i < views->wish_count; i++) {
        struct kept_wish *kept = &views->wishes[i];
        if (kept->wish.kind == WISH_STOP && all_stop)
            refuse_wish(views, kept, ALL_STOP, now);
        else if (wishes[i].refusal && kept->wish.kind != WISH_STOP)
            refuse_wish(views, kept, wishes[i].refusal, now);
    }
}

/* Who waits should know why; it is said once a view, by the voter that was asked. */
static void say_that_asks_wait(struct views *views, uint64_t until_ms, struct moment now)
{
    const struct view *view = keep_current(views);
    if (now.mono_ms + SAY_WAIT_MS > until_ms || views->wait_logged == view->epoch)
        return;
    views->wait_logged = view->epoch;
    log_line(views->log, now, LOG_WARN, "asks-wait",
             "first=\"%s %s\" asks=%" PRIu32 " wait_ms=%" PRIu64 " views=%" PRIu32
             " reason=\"some slot is not active, so views are kept, and the more there are the "
             "longer waits what adds to them\"",
             wish_word(views->wishes[0].wish.kind), views->wishes[0].wish.member.name,
             views->wish_count, until_ms - now.mono_ms, view->epoch - view->base + 1);
}

/* Makes the next view as things stand. Returns whether there is to be one. */
static bool make_next(struct views *views, struct view *out, struct moment now)
{
    const struct view *view = keep_current(views);
    struct opinion *opinions = calloc(view->member_count, sizeof(*opinions));
    struct wish *wishes = calloc(WISHES_MAX, sizeof(*wishes));
    CHECK(opinions != NULL);
    CHECK(wishes != NULL);
    drop_old_wishes(views, now);
    views->look_ms = UINT64_MAX;
    for (uint32_t i = 0; i < views->wish_count; i++)
        look_again_at(views, views->wishes[i].until_ms);
    for (uint32_t i = 0; i < view->member_count; i++)
        hold(views, i, &opinions[i], now);
    copy_wishes(views, wishes);
    bool is_placed = report_is_placed(views);
    hold_late(views, opinions, now);
    uint64_t wait_ms = (uint64_t)JOINS_MS * view->member_count;
    uint64_t joins_ms = views->adopted_ms + (wait_ms < JOINS_MS_MAX ? wait_ms : JOINS_MS_MAX);
    uint64_t asks_ms = views->adopted_ms + pace_ms(view);
    struct change change = {
        .view = view,
        .ring = views_ring(views, view->epoch),
        .base_view = views_at(views, view->base),
        .opinions = opinions,
        .wishes = wishes,
        .wish_count = views->wish_count,
        .is_all_active = report_all_active(views),
        .is_placed = is_placed && !is_joiner_down(view),
        .do_joins_wait = now.mono_ms < joins_ms,
        .do_asks_wait = now.mono_ms < asks_ms,
    };
    if (change.do_joins_wait && views->wish_count > 0)
        look_again_at(views, joins_ms);
    if (change.do_asks_wait && views->wish_count > 0)
        look_again_at(views, asks_ms);
    bool is_wanted = change_make(&change, out);
    if (change.do_asks_wait && views->wish_count > 0 && !is_wanted)
        say_that_asks_wait(views, asks_ms, now);
    take_refusals(views, wishes, now);
    free(opinions);
    free(wishes);
    return is_wanted;
}

/* Whether anything has happened that may change what the next view is to be. */
static bool is_look_due(const struct views *views, struct moment now)
{
    return views->is_look_due || views->looked_at != views->gossip->members.version ||
           now.mono_ms >= views->look_ms;
}

/* Who stands in the view is never dropped or forgotten: unknown to gossip, it enters as ALIVE of
 * unknown age, and is probed at once. */
static void make_known(struct views *views, struct moment now)
{
    const struct view *view = keep_current(views);
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct member *member = &view->members[i];
        if (!keep_account(views, member->name) && member->standing != STANDING_FORGOTTEN)
            gossip_expect(views->gossip, member->name, member->boot, member->generation,
                          member->weight, now);
    }
    gossip_keep(views->gossip, view);
}

static void look(struct views *views, struct moment now)
{
    struct view next;
    if (!is_look_due(views, now))
        return;
    views->is_look_due = false;
    views->looked_at = views->gossip->members.version;
    make_known(views, now);
    views->is_wanted = make_next(views, &next, now);
    if (views->is_wanted)
        view_close(&next);
}

/* --- attempts --------------------------------------------------------------------------------- */

static struct message prepare_of(const struct views *views)
{
    return (struct message){.kind = MESSAGE_PREPARE,
                            .PREPARE = {.epoch = views_epoch(views),
                                        .round = views->proposer.ballot.round,
                                        .seat = views->proposer.ballot.seat}};
}

/* text: gives its body. */
static struct message accept_of(const struct views *views, struct buf *text)
{
    const struct proposer *proposer = &views->proposer;
    view_format(&proposer->view, keep_current(views), text);
    return (struct message){.kind = MESSAGE_ACCEPT,
                            .ACCEPT = {.epoch = views_epoch(views),
                                       .round = proposer->ballot.round,
                                       .seat = proposer->ballot.seat}};
}

static void send_prepare(struct views *views, struct moment now)
{
    struct message message = prepare_of(views);
    tell_voters(views, &message, span_of(NULL, 0), now);
}

/* A round for each nanosecond of five centuries: only a peer's mistake uses them up. Whoever has
 * the next view all the same is waited for. */
bool propose_may_begin(struct views *views, struct ballot highest, struct moment now)
{
    if (highest.round < VIEW_ROUND_MAX)
        return true;
    views->propose_ms = now.mono_ms + BROKEN_MS;
    return false;
}

/* A proposer records its own promise before it sends anything. */
void propose_begin(struct views *views, struct moment now)
{
    struct acceptor *acceptor = &views->state.acceptor;
    struct proposer *proposer = &views->proposer;
    struct ballot highest = acceptor->promised;
    CHECK(keep_may_vote(views) || views->is_form);
    if (ballot_compare(views->highest, highest) > 0 && !MUTANT(ballot_reused))
        highest = views->highest;
    if (MUTANT(ballot_reused))
        highest = (struct ballot){0};
    if (!propose_may_begin(views, highest, now))
        return;
    proposer_begin(proposer, highest, views->state.seat, views->voter_count);
    views->attempt_ms = now.mono_ms + vote_doubled(views, ATTEMPT_MS);
    acceptor_prepare(acceptor, proposer->ballot);
    if (views->voter_count > 1 && !MUTANT(promise_late) && !keep_state(views, now)) {
        proposer_end(proposer);
        views->propose_ms = now.mono_ms + BROKEN_MS;
        return;
    }
    vote_hold_writes(views, now);
    send_prepare(views, now);
    if (views->own_voter != VIEW_NOBODY)
        proposer_promised(proposer, views->own_voter, acceptor->promised, acceptor->accepted,
                          acceptor->accepted.round > 0 ? &acceptor->view : NULL);
}

static void send_accept(struct views *views, struct moment now)
{
    struct buf text = {0};
    struct message message = accept_of(views, &text);
    tell_voters(views, &message, buf_span(&text), now);
    buf_close(&text);
}

/* What was told to a voter that could not be reached went with the dial. */
void propose_link(struct views *views, uint32_t peer, struct moment now)
{
    const struct proposer *proposer = &views->proposer;
    bool is_offering = proposer->stage == PROPOSER_OFFERING;
    uint32_t voter = keep_current(views) ? keep_voter_of(views, peer) : VIEW_NOBODY;
    if (voter == VIEW_NOBODY || views->is_form ||
        (proposer->stage != PROPOSER_PREPARING && !is_offering) ||
        quorum_has_said(&proposer->quorum, voter))
        return;
    struct buf text = {0};
    struct message message = is_offering ? accept_of(views, &text) : prepare_of(views);
    struct reply *out = tell_out(views, peer, now);
    if (out)
        tell_send(out, &message, buf_span(&text));
    buf_close(&text);
}

void propose_chosen(struct views *views, const char *why, struct moment now)
{
    const struct view *current = keep_current(views);
    struct view before = {0}, chosen;
    if (current)
        view_copy(current, &before);
    view_copy(&views->proposer.view, &chosen);
    if (keep_adopt(views, &chosen, 1, why, now))
        tell_chosen(views, before.member_count > 0 ? &before : NULL, now);
    else
        views->propose_ms = now.mono_ms + BROKEN_MS;
    view_close(&before);
}

/* A majority has promised: what one of it has accepted is offered, else what is wanted now. */
static void offer(struct views *views, struct moment now)
{
    struct proposer *proposer = &views->proposer;
    struct acceptor *acceptor = &views->state.acceptor;
    struct view next = {0};
    const struct view *found = proposer_found(proposer);
    if (!found && !make_next(views, &next, now)) {
        proposer_end(proposer); /* it has settled itself */
        views->is_wanted = false;
        return;
    }
    proposer_offer(proposer, found ? found : &next);
    view_close(&next);
    views->attempt_ms = now.mono_ms + vote_doubled(views, ATTEMPT_MS);
    if (views->own_voter != VIEW_NOBODY)
        acceptor_accept(acceptor, proposer->ballot, &proposer->view);
    if (views->voter_count > 1 && !keep_state(views, now)) {
        proposer_end(proposer);
        views->propose_ms = now.mono_ms + BROKEN_MS;
        return;
    }
    send_accept(views, now);
    if (views->own_voter != VIEW_NOBODY)
        proposer_accepted(proposer, views->own_voter, acceptor->promised);
}

void propose_step(struct views *views, struct moment now)
{
    struct proposer *proposer = &views->proposer;
    if (proposer->stage == PROPOSER_PREPARED)
        offer(views, now);
    if (proposer->stage == PROPOSER_CHOSEN)
        propose_chosen(views, "proposal", now);
}

/* An attempt in view epoch that an answer has ended, and no view has come of it. */
static void postpone_vain(struct views *views, bool was_trying, uint32_t epoch, struct moment now)
{
    if (!was_trying || views->proposer.stage != PROPOSER_IDLE || epoch != views_epoch(views))
        return;
    views->vain_attempts++;
    vote_postpone(views, now);
}

enum err propose_take_promise(struct views *views, uint32_t peer, const struct message *message,
                              struct moment now)
{
    const struct message_PROMISE *promise = &message->PROMISE;
    const struct ballot promised = {promise->round, promise->seat};
    const struct ballot accepted = {promise->accepted_round, promise->accepted_seat};
    struct view view = {0};
    if (promise->epoch != views_epoch(views) ||
        (promise->epoch == 0 && !vote_is_own_list(views, peer, promise->list, now)))
        return ERR_OK;
    struct span text = message->body;
    if (accepted.round > 0 && (view_parse(&text, keep_current(views), &view) || text.len > 0 ||
                               view.epoch != promise->epoch + 1)) {
        view_close(&view);
        return ERR_SYNTAX;
    }
    if (ballot_compare(promised, views->highest) > 0)
        views->highest = promised;
    const struct view *found = accepted.round > 0 ? &view : NULL;
    bool was_trying = views->proposer.stage != PROPOSER_IDLE;
    if (promise->epoch == 0 || views->is_form) {
        birth_take_promise(views, peer, message, found, now);
    } else {
        uint32_t voter = keep_voter_of(views, peer);
        if (voter != VIEW_NOBODY)
            proposer_promised(&views->proposer, voter, promised, accepted, found);
        propose_step(views, now);
    }
    view_close(&view);
    postpone_vain(views, was_trying, promise->epoch, now);
    return ERR_OK;
}

void propose_take_accepted(struct views *views, uint32_t peer,
                           const struct message_ACCEPTED *message, struct moment now)
{
    const struct ballot promised = {message->round, message->seat};
    if (message->epoch != views_epoch(views))
        return;
    if (ballot_compare(promised, views->highest) > 0)
        views->highest = promised;
    bool is_birth = message->epoch == 0 || views->is_form;
    uint32_t voter = message->epoch == 0 ? birth_line(views, peer) : keep_voter_of(views, peer);
    bool was_trying = views->proposer.stage != PROPOSER_IDLE;
    if (voter == VIEW_NOBODY)
        return;
    proposer_accepted(&views->proposer, voter, promised);
    if (is_birth)
        birth_step(views, now);
    else
        propose_step(views, now);
    postpone_vain(views, was_trying, message->epoch, now);
}

/* --- time ------------------------------------------------------------------------------------- */

void propose_adopted(struct views *views, const struct view *before, struct watch *old)
{
    const struct view *view = keep_current(views);
    views->is_form = false;
    views->propose_ms = UINT64_MAX;
    views->vain_attempts = 0;
    views->is_look_due = true;
    /* A view has come: who wanted one, whatever is in it, has it. */
    for (uint32_t i = views->wish_count; i-- > 0;)
        if (views->wishes[i].wish.kind == WISH_NEXT)
            views->wishes[i] = views->wishes[--views->wish_count];
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct member *member = &view->members[i];
        uint32_t at = view_find(before, span_of_string(member->name), member->generation);
        views->watches[i].progress_ms = views->adopted_ms;
        if (at != VIEW_NOBODY)
            views->watches[i].gone_ms = old[at].gone_ms;
        if (!member_is_up(member))
            views->watches[i].down_ms = at == VIEW_NOBODY || member_is_up(&before->members[at])
                                            ? views->adopted_ms
                                            : old[at].down_ms;
    }
}

/* Not before it is known that nobody else has this name; nor once this node has said that it has
 * left, from when on it knows no others. */
static bool may_look(const struct views *views)
{
    return gossip_has_begun(views->gossip) && views->gossip->leave_until_ms == 0;
}

static void give_up_late(struct views *views, struct moment now)
{
    if (views->proposer.stage == PROPOSER_IDLE || now.mono_ms < views->attempt_ms || views->is_form)
        return;
    proposer_end(&views->proposer);
    views->vain_attempts++;
    views->propose_ms = now.mono_ms + BACK_OFF_MS / 4 + prng_below(&views->prng, BACK_OFF_MS / 2) +
                        (uint64_t)BACK_OFF_MS * vote_rank(views);
}

void propose_tick(struct views *views, struct moment now)
{
    if (!may_look(views))
        return;
    look(views, now);
    if (!keep_may_vote(views)) {
        views->propose_ms = UINT64_MAX;
        return;
    }
    give_up_late(views, now);
    /* A voter that has accepted e+1 and not learned within its back-off that it is chosen proposes
     * e+1 itself. */
    bool is_wanted = views->is_wanted || views->state.acceptor.accepted.round > 0;
    if (!is_wanted || views->proposer.stage != PROPOSER_IDLE) {
        if (!is_wanted)
            views->propose_ms = UINT64_MAX;
        return;
    }
    if (views->propose_ms == UINT64_MAX) {
        views->propose_ms = now.mono_ms + vote_back_off(views, vote_rank(views));
    }
    if (now.mono_ms < views->propose_ms)
        return;
    views->propose_ms = UINT64_MAX;
    propose_begin(views, now);
    propose_step(views, now);
}

uint64_t propose_deadline(const struct views *views)
{
    uint64_t deadline_ms = views->look_ms;
    if (!may_look(views))
        return UINT64_MAX;
    if (views->is_look_due || views->looked_at != views->gossip->members.version)
        return 0;
    /* Who accepts another's view in mid-attempt is to go on later, and then waits for its end. */
    bool is_trying = views->proposer.stage != PROPOSER_IDLE;
    if ((!is_trying || MUTANT(postponed_wakes)) && views->propose_ms < deadline_ms)
        deadline_ms = views->propose_ms;
    if (is_trying && views->attempt_ms < deadline_ms)
        deadline_ms = views->attempt_ms;
    return deadline_ms;
}
