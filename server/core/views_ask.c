/* Views: what this node asks for: to join, to leave, to stop, and what its operator wants. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/views_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- whom to ask ------------------------------------------------------------------------------ */

/* The voter to ask: the alive one of the lowest name, at further tries the next ones; VIEW_NOBODY
 * if none is alive. */
static uint32_t voter_to_ask(const struct views *views, uint32_t tries)
{
    const struct view *view = keep_current(views);
    uint32_t alive[VIEW_VOTERS_MAX], count = 0;
    for (uint32_t i = 0; i < views->voter_count; i++) {
        const struct member *member = &view->members[views->voters[i]];
        if (i == views->own_voter ? keep_may_vote(views) : keep_holds_alive(views, member->name))
            alive[count++] = i;
    }
    return count > 0 ? alive[tries % count] : VIEW_NOBODY;
}

/* Asks a voter, which may be this node itself. */
static void say(struct views *views, const struct wish *wish, uint64_t number, uint32_t tries,
                struct moment now)
{
    const struct member *member = &wish->member;
    uint32_t voter = voter_to_ask(views, tries);
    if (voter == VIEW_NOBODY)
        return;
    if (voter == views->own_voter) {
        propose_wish(views, PEER_SELF, number, wish, now);
        return;
    }
    struct reply *out = tell_out(views, keep_voter_peer(views, voter), now);
    struct message message = {.kind = MESSAGE_PROPOSE,
                              .PROPOSE = {.epoch = views_epoch(views),
                                          .number = number,
                                          .what = span_of_string(wish_word(wish->kind)),
                                          .name = span_of_string(member->name),
                                          .generation = member->generation,
                                          .boot = member->boot,
                                          .seat = member->seat,
                                          .weight = member->weight}};
    if (out)
        message_append(out, &message);
}

/* --- asks ------------------------------------------------------------------------------------- */

struct ask *ask_find(struct views *views, uint64_t number)
{
    for (uint32_t i = 0; i < ASKS_MAX; i++)
        if (number != 0 && views->asks[i].number == number)
            return &views->asks[i];
    return NULL;
}

void ask_end(struct ask *ask, enum views_outcome outcome, const char *why)
{
    if (ask->outcome != VIEWS_UNDER_WAY)
        return;
    ask->outcome = outcome;
    snprintf(ask->why, sizeof(ask->why), "%s", why);
}

struct ask *ask_new(struct views *views, enum wish_kind kind, struct moment now)
{
    struct ask *place = NULL, *going = ask_find(views, views->going_number);
    for (uint32_t i = 0; i < ASKS_MAX; i++)
        if (&views->asks[i] != going && (!place || views->asks[i].number < place->number))
            place = &views->asks[i];
    *place = (struct ask){.kind = kind,
                          .number = ++views->number,
                          .since_ms = now.mono_ms,
                          .next_ms = now.mono_ms,
                          .epoch = views_epoch(views)};
    return place;
}

static bool is_forgotten(const struct view *view, const char *name)
{
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct member *member = &view->members[i];
        if (strcmp(member->name, name) == 0 && !member_is_up(member) &&
            member->standing != STANDING_FORGOTTEN)
            return false;
    }
    return true;
}

/* Whether the current view has it. */
static bool is_fulfilled(const struct views *views, const struct ask *ask)
{
    const struct view *view = keep_current(views);
    const struct member *self = views->self == VIEW_NOBODY ? NULL : &view->members[views->self];
    switch (ask->kind) {
    case WISH_LEAVE:
        return !self || self->is_leaving || self->role == ROLE_LEAVER;
    case WISH_STOP:
        return !self || self->standing == STANDING_STOPPING;
    case WISH_FORGET:
        return is_forgotten(view, ask->name) && view->epoch > ask->epoch;
    case WISH_NEXT:
        return !ask->is_form && view->epoch > ask->epoch;
    case WISH_JOIN:
    case WISH_KIND_COUNT:
        break;
    }
    return false;
}

/* This process, as it is now, is the member that asks: its boot may have risen, or be lower than
 * what the view has of an earlier one. */
static void be_asking(const struct views *views, struct member *member)
{
    keep_self(views, member);
    if (views->self == VIEW_NOBODY)
        return;
    uint64_t boot = keep_current(views)->members[views->self].boot;
    if (boot > member->boot)
        member->boot = boot;
}

static void tick_ask(struct views *views, struct ask *ask, struct moment now)
{
    if (ask->number == 0 || ask->outcome != VIEWS_UNDER_WAY)
        return;
    if (is_fulfilled(views, ask)) {
        ask_end(ask, VIEWS_DONE, "it is so in the current view");
        return;
    }
    bool is_own = ask->kind == WISH_LEAVE || ask->kind == WISH_STOP;
    if (!is_own && now.mono_ms >= ask->since_ms + ASK_END_MS) {
        ask_end(ask, VIEWS_REFUSED,
                ask->is_form ? "those that answer have not agreed in time"
                             : "no majority of those who vote has agreed in time");
        return;
    }
    if (now.mono_ms < ask->next_ms)
        return;
    ask->next_ms = now.mono_ms + ASK_MS;
    struct wish wish = {.kind = ask->kind};
    be_asking(views, &wish.member);
    if (ask->kind == WISH_FORGET)
        memcpy(wish.member.name, ask->name, sizeof(ask->name));
    say(views, &wish, ask->number, ask->tries++, now);
}

enum err ask_take_propose(struct views *views, uint32_t peer, const struct message *message,
                          struct moment now)
{
    const struct message_PROPOSE *propose = &message->PROPOSE;
    struct wish wish = {0};
    if (!wish_parse(propose->what, &wish.kind) || propose->weight < 1 ||
        propose->weight > VIEW_WEIGHT_MAX || propose->boot == 0 || propose->seat == 0)
        return ERR_SYNTAX;
    if (propose->epoch != views_epoch(views) || !keep_may_vote(views))
        return ERR_OK; /* it is told the views, and asks again */
    memcpy(wish.member.name, propose->name.data, propose->name.len);
    wish.member.generation = propose->generation;
    wish.member.boot = propose->boot;
    wish.member.seat = propose->seat;
    wish.member.weight = propose->weight;
    /* Who asks for itself is who it says it is. */
    if (wish.kind != WISH_FORGET &&
        !span_equal(propose->name, span_of_string(links_name(views->links, peer))))
        return ERR_SYNTAX;
    propose_wish(views, peer, propose->number, &wish, now);
    return ERR_OK;
}

void ask_take_proposed(struct views *views, const struct message *message, struct moment now)
{
    char why[VIEWS_WHY_BYTES_MAX];
    struct ask *ask = ask_find(views, message->PROPOSED.number);
    (void)now;
    if (!ask)
        return;
    log_words(message->body.data, message->body.len, why, sizeof(why));
    if (ask->kind == WISH_STOP) {
        views->may_end |= strcmp(why, ALL_STOP) == 0;
        return;
    }
    ask_end(ask, message->body.len > 0 ? VIEWS_REFUSED : VIEWS_DONE, why);
}

enum views_outcome views_asked(struct views *views, uint64_t number, char why[VIEWS_WHY_BYTES_MAX])
{
    struct ask *ask = ask_find(views, number);
    snprintf(why, VIEWS_WHY_BYTES_MAX, "%s", ask ? ask->why : "too many requests at a time");
    if (!ask)
        return VIEWS_REFUSED;
    enum views_outcome outcome = ask->outcome;
    if (outcome != VIEWS_UNDER_WAY)
        ask->number = 0;
    return outcome;
}

void views_forget(struct views *views, struct span name, uint64_t *number, struct moment now)
{
    struct ask *ask = ask_new(views, WISH_FORGET, now);
    const struct view *view = keep_current(views);
    *number = ask->number;
    if (name.len >= sizeof(ask->name)) {
        ask_end(ask, VIEWS_REFUSED, "no member has this name");
        return;
    }
    memcpy(ask->name, name.data, name.len);
    ask->name[name.len] = '\0';
    if (!view)
        ask_end(ask, VIEWS_REFUSED, "this node has no view yet");
    else if (view_find_full(view, name) == VIEW_NOBODY && is_forgotten(view, ask->name))
        ask_end(ask, VIEWS_REFUSED, "no member that is down has this name");
}

#define NAME_TOLD_MAX 200 /* bytes of a name in a reason */

/* --- accept-loss ------------------------------------------------------------------------------ */

/* Whether gossip holds a member of that name and generation for ALIVE. */
static bool is_alive(const struct views *views, const struct member *member)
{
    const struct account *account = keep_account(views, member->name);
    return account && account->state == MEMBER_ALIVE && account->generation == member->generation;
}

/* Whether the member is full in a later one of the views that are kept, too. */
static bool is_full_later(const struct state *state, uint32_t view, const struct member *member)
{
    while (++view < state->view_count) {
        uint32_t at =
            view_find(&state->views[view], span_of_string(member->name), member->generation);
        if (at != VIEW_NOBODY && member_is_full(&state->views[view].members[at]))
            return true;
    }
    return false;
}

const struct member *views_next_lost(const struct views *views, struct views_cursor *cursor)
{
    const struct state *state = &views->state;
    for (; cursor->view < state->view_count; cursor->view++, cursor->member = 0) {
        const struct view *view = &state->views[cursor->view];
        while (cursor->member < view->member_count) {
            const struct member *member = &view->members[cursor->member++];
            if (!member_is_full(member) || is_alive(views, member) ||
                is_full_later(state, cursor->view, member))
                continue;
            cursor->epoch = view->epoch;
            return member;
        }
    }
    return NULL;
}

static bool is_lost(const struct views *views, struct span name)
{
    struct views_cursor cursor = {0};
    const struct member *member;
    do
        member = views_next_lost(views, &cursor);
    while (member && !span_equal(name, span_of_string(member->name)));
    return member != NULL;
}

/* Appends a line for each member that is given up. names: as of views_accept_loss. */
static void given_up(const struct views *views, struct span names, struct buf *out)
{
    struct views_cursor cursor = {0};
    const struct member *member;
    while ((member = views_next_lost(views, &cursor)) != NULL)
        if (names.len == 0 || span_has_word(names, span_of_string(member->name)))
            buf_printf(out, "%s %016" PRIx64 "\n", member->name, member->generation);
}

/* Whether each of the names is of somebody who is lost; why: out: else. */
static bool are_lost(const struct views *views, struct span names, char why[VIEWS_WHY_BYTES_MAX])
{
    while (names.len > 0) {
        struct span name = span_take_word(&names);
        if (name.len == 0 || is_lost(views, name))
            continue;
        int len = name.len < NAME_TOLD_MAX ? (int)name.len : NAME_TOLD_MAX;
        if (view_find_full(keep_current(views), name) != VIEW_NOBODY)
            snprintf(why, VIEWS_WHY_BYTES_MAX, "%.*s is alive: it must be off to be given up", len,
                     name.data);
        else
            snprintf(why, VIEWS_WHY_BYTES_MAX, "no member that is down has the name %.*s", len,
                     name.data);
        return false;
    }
    return true;
}

/* Takes as many whole lines off the front of text as fit one frame. */
static struct span take_frame(struct span *text)
{
    size_t len = text->len < FRAME_BODY_BYTES_MAX ? text->len : FRAME_BODY_BYTES_MAX;
    while (text->data[len - 1] != '\n')
        len--;
    struct span lines = span_of(text->data, len);
    *text = span_of(text->data + len, text->len - len);
    return lines;
}

/* Tells all members, and this node itself, who is given up. */
static void give_up(struct views *views, uint64_t number, struct span lines, struct moment now)
{
    const struct view *view = keep_current(views);
    while (lines.len > 0) {
        struct message message = {.kind = MESSAGE_ACCEPTLOSS,
                                  .ACCEPTLOSS = {.epoch = view->epoch, .number = number},
                                  .body = take_frame(&lines)};
        for (uint32_t i = 0; i < view->member_count; i++) {
            struct reply *out =
                views->peers[i] == PEER_SELF ? NULL : tell_out(views, views->peers[i], now);
            if (out)
                message_append(out, &message);
        }
        CHECK(loss_accepted(views, &message, now) == ERR_OK);
    }
}

void views_accept_loss(struct views *views, struct span names, uint64_t *number, struct moment now)
{
    struct ask *ask = ask_new(views, WISH_NEXT, now);
    const struct view *view = keep_current(views);
    struct buf text = {0};
    char why[VIEWS_WHY_BYTES_MAX];
    *number = ask->number;
    given_up(views, names, &text); /* nobody, where there is no view */
    if (!view) {
        ask_end(ask, VIEWS_REFUSED, "this node has no view yet");
    } else if (!are_lost(views, names, why)) {
        ask_end(ask, VIEWS_REFUSED, why);
    } else if (buf_len(&text) == 0) {
        ask_end(ask, VIEWS_REFUSED, "no member is down");
    } else {
        give_up(views, ask->number, buf_span(&text), now);
        ask_end(ask, VIEWS_DONE, "given up: they must stay off");
    }
    buf_close(&text);
}

/* --- joining ---------------------------------------------------------------------------------- */

/* Whether this node stands in the view, with its seat. */
static bool is_in(const struct views *views)
{
    if (views->self == VIEW_NOBODY)
        return false;
    const struct member *self = &keep_current(views)->members[views->self];
    return self->standing != STANDING_FORGOTTEN && self->seat == views->state.seat;
}

/* newcomers (who finds itself in no view, and is not leaving, asks); and a node whose state file is
 * lost, while its data are not, for its new seat. */
static void tick_join(struct views *views, struct moment now)
{
    if (is_in(views) || views->going != GOING_NOT) {
        views->join_tries = 0;
        return;
    }
    if (now.mono_ms < views->join_ms)
        return;
    views->join_ms = now.mono_ms + ASK_MS;
    struct wish wish = {.kind = WISH_JOIN};
    keep_self(views, &wish.member);
    say(views, &wish, 0, views->join_tries++, now);
}

/* What it asked for in an older view is not looked at any more. */
void ask_adopted(struct views *views, struct moment now)
{
    views->join_ms = now.mono_ms;
    if (views->self != VIEW_NOBODY && !MUTANT(out_for_good))
        views->out_ms = 0; /* it had not heard of this view, which it is in */
}

/* it leads no slot in a view that it had adopted before the restart, but proposes, or asks for, the
 * next view at once. */
static void tick_restarted(struct views *views, struct moment now)
{
    if (views->self != VIEW_NOBODY && !views_may_lead(views) &&
        member_is_full(&keep_current(views)->members[views->self]))
        views_want_next(views, now);
}

void views_want_next(struct views *views, struct moment now)
{
    for (uint32_t i = 0; i < ASKS_MAX; i++)
        if (views->asks[i].number != 0 && views->asks[i].kind == WISH_NEXT &&
            views->asks[i].outcome == VIEWS_UNDER_WAY && !views->asks[i].is_form)
            return;
    ask_new(views, WISH_NEXT, now);
}

/* --- leaving and stopping --------------------------------------------------------------------- */

/* Who stops lets the writes that are under way come to their end before it asks. */
static void go(struct views *views, enum going going, struct moment now)
{
    struct ask *before = ask_find(views, views->going_number);
    struct ask *ask;
    if (views->going == going)
        return;
    if (before)
        before->number = 0;
    views->going = going;
    views->going_ms = now.mono_ms;
    views->out_ms = 0;
    views->may_end = false;
    views->going_why[0] = '\0';
    ask = ask_new(views, going == GOING_LEAVE ? WISH_LEAVE : WISH_STOP, now);
    views->going_number = ask->number;
    if (going != GOING_STOP)
        return;
    vote_hold_writes(views, now);
    ask->next_ms = now.mono_ms + SETTLE_MS;
}

void views_leave(struct views *views, struct moment now)
{
    if (views->going == GOING_NOT)
        go(views, GOING_LEAVE, now);
}

/* How many full members that are up and do not leave there are beside this node. */
static uint32_t count_others(const struct views *views)
{
    const struct view *view = keep_current(views);
    return change_live_count(view) -
           (views->self != VIEW_NOBODY && change_is_live(&view->members[views->self]));
}

void views_go(struct views *views, struct moment now)
{
    const struct view *view = keep_current(views);
    if (views->going == GOING_STOP)
        return;
    bool leaves = view && count_others(views) >= view->copies;
    go(views, leaves ? GOING_LEAVE : GOING_STOP, now);
    views->is_stop_second = leaves;
}

bool views_is_stopping(const struct views *views)
{
    return views->self != VIEW_NOBODY &&
           keep_current(views)->members[views->self].standing == STANDING_STOPPING &&
           !MUTANT(stop_takes_sessions);
}

/* Asks those who vote in the view in which this node is out whether they have adopted it. */
static void ask_out(struct views *views, struct moment now)
{
    if (views->out_epoch != views_epoch(views)) {
        views->out_epoch = views_epoch(views);
        views->out_ask_ms = 0;
        quorum_init(&views->out_quorum, views->voter_count);
    }
    if (now.mono_ms < views->out_ask_ms)
        return;
    views->out_ask_ms = now.mono_ms + ASK_MS;
    struct message question = {
        .kind = MESSAGE_GET_ALIVE,
        .GET_ALIVE = {.epoch = views_epoch(views), .number = ++views->number}};
    tell_voters(views, &question, span_of(NULL, 0), now);
}

void ask_heard(struct views *views, uint32_t peer, uint32_t epoch)
{
    uint32_t voter = views->out_ms != 0 ? keep_voter_of(views, peer) : VIEW_NOBODY;
    if (voter != VIEW_NOBODY && epoch == views->out_epoch && epoch == views_epoch(views))
        quorum_say(&views->out_quorum, voter, true);
}

/* Who is taken out ends only once a majority of F(of that view) has told it that it has adopted it,
 * or after 10 s. */
static bool may_end_out(struct views *views, struct moment now)
{
    if (views->out_ms == 0)
        views->out_ms = now.mono_ms;
    ask_out(views, now);
    return quorum_state(&views->out_quorum) == QUORUM_WON || MUTANT(ends_untold) ||
           now.mono_ms >= views->out_ms + REMOVED_MS;
}

/* Whether no other full member is up. */
static bool is_last(const struct views *views)
{
    const struct view *view = keep_current(views);
    for (uint32_t i = 0; i < view->member_count; i++)
        if (i != views->self && member_is_full(&view->members[i]) &&
            member_is_up(&view->members[i]))
            return false;
    return member_is_full(&view->members[views->self]);
}

static bool may_end_stopped(struct views *views, struct moment now)
{
    if (views->may_end || is_last(views) || now.mono_ms >= views->going_ms + STOP_MS)
        return true;
    return keep_current(views)->members[views->self].standing == STANDING_STOPPING &&
           (report_own_active(views) || MUTANT(stop_early));
}

enum views_outcome views_going(struct views *views, struct moment now,
                               char why[VIEWS_WHY_BYTES_MAX])
{
    snprintf(why, VIEWS_WHY_BYTES_MAX, "%s", views->going_why);
    if (views->going == GOING_NOT)
        return views->going_why[0] != '\0' ? VIEWS_REFUSED : VIEWS_UNDER_WAY;
    const struct view *view = keep_current(views);
    if (!view)
        return VIEWS_DONE; /* nobody counts on it */
    if (views->self == VIEW_NOBODY)
        return !views->has_stood || may_end_out(views, now) ? VIEWS_DONE : VIEWS_UNDER_WAY;
    if (view->members[views->self].role == ROLE_JOINER && views->going == GOING_STOP)
        return VIEWS_DONE;
    if (views->going == GOING_STOP && may_end_stopped(views, now))
        return VIEWS_DONE;
    if (views->going == GOING_LEAVE && is_last(views))
        return VIEWS_DONE;
    return VIEWS_UNDER_WAY;
}

/* A leave that is refused is over; where a signal asked for it, the node stops instead. */
static void tick_going(struct views *views, struct moment now)
{
    struct ask *ask = ask_find(views, views->going_number);
    if (views->going != GOING_LEAVE || !ask || ask->outcome != VIEWS_REFUSED)
        return;
    log_line(views->log, now, LOG_WARN, "leave-refused", "reason=\"%s\"", ask->why);
    if (views->is_stop_second) {
        views->is_stop_second = false;
        go(views, GOING_STOP, now);
        return;
    }
    snprintf(views->going_why, sizeof(views->going_why), "%s", ask->why);
    views->going = GOING_NOT;
}

/* The mark is taken off if a leave cannot go on any more. */
static void tick_unmarked(struct views *views, struct moment now)
{
    struct ask *ask = ask_find(views, views->going_number);
    const struct view *view = keep_current(views);
    if (views->going != GOING_LEAVE || !ask || ask->outcome != VIEWS_DONE ||
        views->self == VIEW_NOBODY)
        return;
    const struct member *self = &view->members[views->self];
    if (self->role != ROLE_FULL || self->is_leaving)
        return;
    ask->outcome = VIEWS_UNDER_WAY; /* asks again, and is told why not */
    ask->next_ms = now.mono_ms;
}

/* --- time ------------------------------------------------------------------------------------- */

void ask_tick(struct views *views, struct moment now)
{
    if (!keep_current(views))
        return;
    tick_join(views, now);
    tick_restarted(views, now);
    for (uint32_t i = 0; i < ASKS_MAX; i++)
        tick_ask(views, &views->asks[i], now);
    tick_unmarked(views, now);
    tick_going(views, now);
}

uint64_t ask_deadline(const struct views *views)
{
    uint64_t deadline_ms = UINT64_MAX;
    const struct view *view = keep_current(views);
    if (!view)
        return UINT64_MAX;
    for (uint32_t i = 0; i < ASKS_MAX; i++)
        if (views->asks[i].number != 0 && views->asks[i].outcome == VIEWS_UNDER_WAY &&
            views->asks[i].next_ms < deadline_ms)
            deadline_ms = views->asks[i].next_ms;
    if (!is_in(views) && views->going == GOING_NOT && views->join_ms < deadline_ms)
        deadline_ms = views->join_ms;
    if (views->going == GOING_STOP &&
        (views->tick_ms < views->going_ms + STOP_MS || MUTANT(stop_wakes)) &&
        views->going_ms + STOP_MS < deadline_ms)
        deadline_ms = views->going_ms + STOP_MS;
    if (views->out_ms != 0 && (views->tick_ms < views->out_ask_ms || MUTANT(out_wakes)) &&
        views->out_ask_ms < deadline_ms)
        deadline_ms = views->out_ask_ms;
    return deadline_ms;
}
