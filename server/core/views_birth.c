/* Views: view 1, and views that an operator has the seats that answer decide. */
#include "common/check.h"
#include "common/mutant.h"
#include "common/peers.h"
#include "server/core/views_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIALS          3u    /* lines tried at a time */
#define DIAL_MS        500u  /* so often */
#define SAY_AWAITED_MS 1000u /* who comes within that is not awaited in the log */

/* --- the lines -------------------------------------------------------------------------------- */

static const char *line_name(const struct views *views, uint32_t line)
{
    return views->founders->members[line].name;
}

static bool is_own_line(const struct views *views, uint32_t line)
{
    return strcmp(line_name(views, line), views->links->identity.name) == 0;
}

static bool is_line_alive(const struct views *views, uint32_t line)
{
    return is_own_line(views, line) || keep_holds_alive(views, line_name(views, line));
}

static uint32_t count_alive(const struct views *views)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < views->founders->member_count; i++)
        count += is_line_alive(views, i);
    return count;
}

uint32_t birth_rank(const struct views *views)
{
    uint32_t rank = 0;
    for (uint32_t i = 0; i < views->founders->member_count && !is_own_line(views, i); i++)
        rank += is_line_alive(views, i);
    return rank;
}

uint32_t birth_line(const struct views *views, uint32_t peer)
{
    const char *name =
        peer == PEER_SELF ? views->links->identity.name : links_name(views->links, peer);
    uint32_t line = peers_find(views->founders, name);
    return line == UINT32_MAX ? VIEW_NOBODY : line;
}

/* Tries lines that are not there, a few at a time. */
static void dial(struct views *views, struct moment now)
{
    uint32_t lines = views->founders->member_count, dialled = 0;
    if (now.mono_ms < views->dial_ms || (MUTANT(seeds_once) && views->dial_next >= lines))
        return;
    views->dial_ms = now.mono_ms + DIAL_MS;
    for (uint32_t step = 0; step < lines && dialled < DIALS; step++) {
        uint32_t line = views->dial_next++ % lines;
        if (is_line_alive(views, line))
            continue;
        gossip_try(views->gossip, line_name(views, line), now);
        dialled++;
    }
}

/* --- whether to found ------------------------------------------------------------------------- */

static const char *first_mismatch(const struct views *views)
{
    for (uint32_t i = 0; i < MISMATCH_MAX; i++)
        if (views->mismatches[i] != PEER_NONE)
            return links_name(views->links, views->mismatches[i]);
    return NULL;
}

static bool has_other_list(const struct views *views)
{
    return views->state.acceptor.accepted.round > 0 && views->state.list != views->founders_hash &&
           views->state.list != LIST_OF_FORM;
}

/* Whether this node may found with the lines it has, if enough of them are there. */
static bool may_found(const struct views *views)
{
    return birth_line(views, PEER_SELF) != VIEW_NOBODY &&
           (views->has_state_file || MUTANT(founds_without_file)) && !first_mismatch(views) &&
           (!has_other_list(views) || MUTANT(any_list));
}

static const char no_more[] =
    "view 8388607 is the last there can be: members cannot change any more, found a new cluster";
_Static_assert(VIEW_EPOCH_MAX == 8388607, "the text says so");

bool views_awaits(const struct views *views, char text[VIEWS_WHY_BYTES_MAX])
{
    uint32_t lines = views->founders->member_count;
    const char *other = first_mismatch(views);
    text[0] = '\0';
    if (keep_current(views)) {
        if (views_epoch(views) < VIEW_EPOCH_MAX)
            return false;
        snprintf(text, VIEWS_WHY_BYTES_MAX, "%s", no_more);
        return true;
    }
    if (birth_line(views, PEER_SELF) == VIEW_NOBODY)
        snprintf(text, VIEWS_WHY_BYTES_MAX,
                 "waiting for a cluster to join: no line of peers.txt is this node");
    else if (has_other_list(views))
        snprintf(text, VIEWS_WHY_BYTES_MAX,
                 "waiting for a cluster to join: this node has agreed to another peers.txt");
    else if (other)
        snprintf(text, VIEWS_WHY_BYTES_MAX, "waiting for the same peers.txt at %.200s", other);
    else if (!views->has_state_file)
        snprintf(text, VIEWS_WHY_BYTES_MAX,
                 "waiting for a cluster to join: none is founded without a state file");
    else
        snprintf(text, VIEWS_WHY_BYTES_MAX,
                 "waiting for %" PRIu32 " of %" PRIu32 " peers (%" PRIu32 " here)",
                 quorum_majority(lines), lines, count_alive(views));
    return true;
}

static void log_awaited(struct views *views, uint32_t alive, struct moment now)
{
    char text[VIEWS_WHY_BYTES_MAX];
    if (now.mono_ms < views->birth_ms + SAY_AWAITED_MS || views->awaited_logged == alive + 1 ||
        !views_awaits(views, text))
        return;
    views->awaited_logged = alive + 1;
    log_line(views->log, now, LOG_WARN, "founding-awaits",
             "reason=\"%s\" way_out=\"start one of them with --form if no other is to come, ever\"",
             text);
}

/* --- attempts --------------------------------------------------------------------------------- */

static uint64_t list_of(const struct views *views)
{
    return views->is_form ? LIST_OF_FORM : views->founders_hash;
}

static void send_prepare(struct views *views, uint32_t line, struct moment now)
{
    struct message message = {.kind = MESSAGE_PREPARE,
                              .PREPARE = {.epoch = 0,
                                          .round = views->proposer.ballot.round,
                                          .seat = views->proposer.ballot.seat,
                                          .list = list_of(views)}};
    struct reply *out = tell_out(views, links_peer(views->links, line_name(views, line)), now);
    if (out)
        message_append(out, &message);
}

static void note_promise(struct views *views, uint32_t line, uint64_t seat, uint32_t weight)
{
    views->seats[line] = seat;
    views->weights[line] = weight >= 1 && weight <= VIEW_WEIGHT_MAX ? weight : 1;
}

static void begin(struct views *views, bool is_form, struct moment now)
{
    struct acceptor *acceptor = &views->state.acceptor;
    struct proposer *proposer = &views->proposer;
    uint32_t lines = views->founders->member_count, own = birth_line(views, PEER_SELF);
    struct ballot highest = acceptor->promised;
    if (ballot_compare(views->highest, highest) > 0)
        highest = views->highest;
    views->is_form = is_form;
    if (!propose_may_begin(views, highest, now))
        return;
    memset(views->seats, 0, sizeof(views->seats));
    proposer_begin(proposer, highest, views->state.seat, lines);
    views->attempt_ms = now.mono_ms + BIRTH_WAIT_MS;
    acceptor_prepare(acceptor, proposer->ballot);
    if (acceptor->accepted.round == 0)
        views->state.list = list_of(views);
    if (lines > 1 && !keep_state(views, now)) {
        proposer_end(proposer);
        views->propose_ms = now.mono_ms + BROKEN_MS;
        return;
    }
    for (uint32_t line = 0; line < lines; line++)
        if (line != own && is_line_alive(views, line))
            send_prepare(views, line, now);
    if (own == VIEW_NOBODY)
        return;
    note_promise(views, own, views->state.seat, views->weight);
    proposer_promised(proposer, own, acceptor->promised, acceptor->accepted,
                      acceptor->accepted.round > 0 ? &acceptor->view : NULL);
}

/* view 1 names all who promised, full and up. */
static void add_founder(const struct views *views, uint32_t line, struct view *view)
{
    const struct links_identity *own = &views->links->identity;
    struct member member = {.generation = own->generation,
                            .boot = own->boot,
                            .seat = views->seats[line],
                            .weight = views->weights[line],
                            .up_since = 1};
    snprintf(member.name, sizeof(member.name), "%s", line_name(views, line));
    if (!is_own_line(views, line)) {
        uint32_t peer = links_find_peer(views->links, span_of_string(member.name));
        if (peer == PEER_NONE || views->links->peers[peer]->boot == 0)
            return;
        member.generation = views->links->peers[peer]->generation;
        member.boot = views->links->peers[peer]->boot;
    }
    view_add(view, &member);
}

static void make_first(struct views *views, struct view *view)
{
    *view = (struct view){.epoch = 1, .base = 1, .copies = VIEW_COPIES};
    snprintf(view->strategy, sizeof(view->strategy), "%s", views->strategy);
    while (view->cluster_id == 0)
        views->env->entropy(views->env->shell, &view->cluster_id, sizeof(view->cluster_id));
    for (uint32_t line = 0; line < views->founders->member_count; line++)
        if (views->seats[line] != 0)
            add_founder(views, line, view);
    if (view_find(view, span_of_string(views->links->identity.name),
                  views->links->identity.generation) == VIEW_NOBODY) {
        struct member self;
        keep_self(views, &self);
        self.up_since = 1;
        view_add(view, &self);
    }
    view_elect(view);
}

static void send_accept(struct views *views, struct span text, struct moment now)
{
    for (uint32_t line = 0; line < views->founders->member_count; line++) {
        if (views->seats[line] == 0 || is_own_line(views, line))
            continue;
        struct reply *out = tell_out(views, links_peer(views->links, line_name(views, line)), now);
        struct message message = {.kind = MESSAGE_ACCEPT,
                                  .ACCEPT = {.epoch = 0,
                                             .round = views->proposer.ballot.round,
                                             .seat = views->proposer.ballot.seat,
                                             .list = list_of(views)}};
        if (out)
            tell_send(out, &message, text);
    }
}

static void offer_first(struct views *views, struct moment now)
{
    struct proposer *proposer = &views->proposer;
    struct acceptor *acceptor = &views->state.acceptor;
    uint32_t own = birth_line(views, PEER_SELF);
    struct view first = {0};
    struct buf text = {0};
    const struct view *found = proposer_found(proposer);
    if (!found) {
        make_first(views, &first);
        views->form_ms = 0;
    }
    proposer_offer(proposer, found ? found : &first);
    view_close(&first);
    views->attempt_ms = now.mono_ms + BIRTH_WAIT_MS;
    acceptor_accept(acceptor, proposer->ballot, &proposer->view);
    views->state.list = list_of(views);
    if (views->founders->member_count > 1 && !keep_state(views, now)) {
        proposer_end(proposer);
        views->propose_ms = now.mono_ms + BROKEN_MS;
        return;
    }
    view_format(&proposer->view, NULL, &text);
    send_accept(views, buf_span(&text), now);
    buf_close(&text);
    if (own != VIEW_NOBODY)
        proposer_accepted(proposer, own, acceptor->promised);
}

/* --- form in a cluster ------------------------------------------------------------------------ */

static void note_answer(struct views *views, uint32_t peer)
{
    if (!views->is_form || views->proposer.stage == PROPOSER_IDLE)
        return;
    if (views->answered_count == views->answered_capacity) {
        views->answered_capacity = views->answered_capacity ? 2 * views->answered_capacity : 16;
        views->answered =
            realloc(views->answered, views->answered_capacity * sizeof(*views->answered));
        CHECK(views->answered != NULL);
    }
    views->answered[views->answered_count++] = peer;
}

static bool has_answered(const struct views *views, uint32_t member)
{
    uint32_t peer = views_member_peer(views, member);
    if (peer == PEER_SELF)
        return true;
    if (peer == PEER_NONE ||
        views->links->peers[peer]->generation != keep_current(views)->members[member].generation)
        return false;
    for (uint32_t i = 0; i < views->answered_count; i++)
        if (views->answered[i] == peer)
            return true;
    return false;
}

/* Whether gossip holds a process of that member's name live. */
static bool is_live(const struct views *views, const struct member *member)
{
    const struct account *account = keep_account(views, member->name);
    return account && record_is_live(account);
}

/* Likewise, the process that has its data. */
static bool is_here(const struct views *views, const struct member *member)
{
    const struct account *account = keep_account(views, member->name);
    return account && record_is_live(account) && account->generation == member->generation;
}

/* Whether all members have, or after the first second all that gossip holds live: gossip may not
 * have heard yet of one that answers. A voter's answer is its promise, whatever data its process
 * has: an ALIVE binds it to nothing. */
static bool have_all_answered(const struct views *views, struct moment now)
{
    const struct view *view = keep_current(views);
    bool is_early = now.mono_ms < views->form_until_ms;
    for (uint32_t voter = 0; voter < views->voter_count && !MUTANT(form_early); voter++)
        if (voter != views->own_voter && !quorum_has_said(&views->proposer.quorum, voter) &&
            (is_early || is_live(views, &view->members[views->voters[voter]])))
            return false;
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct member *member = &view->members[i];
        if (!member->is_voter && !has_answered(views, i) && (is_early || is_here(views, member)))
            return false;
    }
    return true;
}

static void add_self(const struct views *views, struct view *view)
{
    struct member self;
    keep_self(views, &self);
    self.role = ROLE_JOINER;
    self.up_since = view->epoch;
    view_add(view, &self);
}

/* That view has only the node itself and the members that answer, up, joiners full if no full one
 * is among them; the others are out, and forgotten for recover. */
static void make_formed(struct views *views, struct view *out)
{
    const struct view *view = keep_current(views);
    bool has_full = false;
    view_copy(view, out);
    out->epoch++;
    for (uint32_t i = 0; i < out->member_count; i++) {
        struct member *member = &out->members[i];
        member->is_leaving = false;
        if (has_answered(views, i) && member->role != ROLE_LEAVER) {
            if (!member_is_up(member))
                member->up_since = out->epoch;
            member->standing = STANDING_UP;
            has_full |= member_is_full(member);
            continue;
        }
        member->role = ROLE_LEAVER;
        member->standing = STANDING_FORGOTTEN;
        member->up_since = 0;
    }
    if (views->self == VIEW_NOBODY)
        add_self(views, out);
    for (uint32_t i = 0; i < out->member_count; i++)
        if (!has_full && out->members[i].role == ROLE_JOINER)
            out->members[i].role = ROLE_FULL;
    view_elect(out);
}

static void begin_form(struct views *views, struct moment now)
{
    const struct view *view = keep_current(views);
    views->form_ms = 0;
    proposer_end(&views->proposer);
    views->is_form = true;
    views->answered_count = 0;
    propose_begin(views, now);
    /* Others who try too would end a second long attempt again and again: only the first one
     * lasts so long, and those after it until that second is over at least. */
    if (views->form_tries++ == 0)
        views->form_until_ms = now.mono_ms + BIRTH_WAIT_MS;
    views->attempt_ms = now.mono_ms + ATTEMPT_MS;
    if (views->attempt_ms < views->form_until_ms)
        views->attempt_ms = views->form_until_ms;
    views->form_number = ++views->number;
    struct message question = {.kind = MESSAGE_GET_ALIVE,
                               .GET_ALIVE = {.epoch = view->epoch, .number = views->form_number}};
    for (uint32_t i = 0; i < view->member_count; i++) {
        struct reply *out =
            views->peers[i] == PEER_SELF ? NULL : tell_out(views, views->peers[i], now);
        if (out)
            message_append(out, &question);
    }
    log_line(views->log, now, LOG_WARN, "forming", "epoch=%" PRIu32, view->epoch);
}

/* What one of them has accepted may have been chosen: it comes first, then this is tried anew. */
static void offer_formed(struct views *views, struct moment now)
{
    struct proposer *proposer = &views->proposer;
    struct acceptor *acceptor = &views->state.acceptor;
    struct view formed = {0};
    const struct view *found = proposer_found(proposer);
    struct buf text = {0};
    if (found)
        views->form_ms = now.mono_ms;
    else
        make_formed(views, &formed);
    proposer_offer(proposer, found ? found : &formed);
    view_close(&formed);
    views->attempt_ms = now.mono_ms + BIRTH_WAIT_MS;
    if (views->own_voter != VIEW_NOBODY)
        acceptor_accept(acceptor, proposer->ballot, &proposer->view);
    if (!keep_state(views, now)) {
        proposer_end(proposer);
        return;
    }
    view_format(&proposer->view, keep_current(views), &text);
    struct message message = {.kind = MESSAGE_ACCEPT,
                              .ACCEPT = {.epoch = views_epoch(views),
                                         .round = proposer->ballot.round,
                                         .seat = proposer->ballot.seat}};
    tell_voters(views, &message, buf_span(&text), now);
    buf_close(&text);
    if (views->own_voter != VIEW_NOBODY)
        proposer_accepted(proposer, views->own_voter, acceptor->promised);
}

static bool is_form_wanted(const struct views *views)
{
    for (uint32_t i = 0; i < ASKS_MAX; i++)
        if (views->asks[i].number != 0 && views->asks[i].is_form &&
            views->asks[i].outcome == VIEWS_UNDER_WAY)
            return true;
    return false;
}

/* An attempt that has failed is made again as long as somebody waits for it. */
static void tick_form(struct views *views, struct moment now)
{
    bool is_wanted = is_form_wanted(views);
    if (views->is_form && views->proposer.stage == PROPOSER_IDLE) {
        views->is_form = false;
        views->form_ms = now.mono_ms + BACK_OFF_MS / 2 + prng_below(&views->prng, BACK_OFF_MS);
    }
    if (!is_wanted) {
        views->form_ms = 0;
    } else if (views->form_ms == 0 && !views->is_form) {
        /* A view came from elsewhere in mid-attempt: its members are asked anew. */
        views->form_ms = now.mono_ms;
        views->form_tries = 0;
    }
    if (views->form_ms != 0 && now.mono_ms >= views->form_ms && !views->is_form)
        begin_form(views, now);
}

void views_form(struct views *views, uint64_t *number, struct moment now)
{
    struct ask *ask = ask_new(views, WISH_NEXT, now);
    *number = ask->number;
    if (views_epoch(views) == VIEW_EPOCH_MAX) {
        ask->outcome = VIEWS_REFUSED;
        snprintf(ask->why, sizeof(ask->why), "%s", no_more);
        return;
    }
    ask->is_form = true;
    ask->next_ms = ask->since_ms + ASK_END_MS; /* nobody is asked for it */
    views->form_ms = now.mono_ms;
    views->form_tries = 0;
    if (!keep_current(views))
        views->options.is_forming = true;
}

/* --- going on --------------------------------------------------------------------------------- */

/* Whether all who might promise have. */
static bool have_all_promised(const struct views *views)
{
    return views->proposer.quorum.yes_count == views->proposer.quorum.voter_count;
}

void birth_step(struct views *views, struct moment now)
{
    struct proposer *proposer = &views->proposer;
    bool is_first = keep_current(views) == NULL;
    bool is_trying = proposer->stage == PROPOSER_PREPARING || proposer->stage == PROPOSER_PREPARED;
    bool is_over =
        is_trying && (now.mono_ms >= views->attempt_ms ||
                      (is_first ? have_all_promised(views) : have_all_answered(views, now)));
    if (is_over && views->is_form)
        proposer_settle(proposer);
    if (proposer->stage == PROPOSER_PREPARED && is_over) {
        if (is_first)
            offer_first(views, now);
        else
            offer_formed(views, now);
    }
    if (proposer->stage != PROPOSER_CHOSEN)
        return;
    uint32_t epoch = views_epoch(views);
    propose_chosen(views, is_first ? "birth" : "operator", now);
    bool is_formed = views_epoch(views) > epoch && views->form_ms == 0;
    for (uint32_t i = 0; i < ASKS_MAX && is_formed; i++)
        if (views->asks[i].is_form)
            ask_end(&views->asks[i], VIEWS_DONE, "formed by those that answered");
}

void birth_take_promise(struct views *views, uint32_t peer, const struct message *message,
                        const struct view *accepted, struct moment now)
{
    const struct message_PROMISE *promise = &message->PROMISE;
    struct proposer *proposer = &views->proposer;
    const struct ballot promised = {promise->round, promise->seat};
    const struct ballot accepted_as = {promise->accepted_round, promise->accepted_seat};
    bool is_first = keep_current(views) == NULL;
    uint32_t voter = is_first ? birth_line(views, peer) : keep_voter_of(views, peer);
    bool was_preparing = proposer->stage == PROPOSER_PREPARING;
    if (voter == VIEW_NOBODY)
        return;
    if (ballot_compare(promised, proposer->ballot) == 0) {
        if (is_first)
            note_promise(views, voter, views->links->peers[peer]->seat, promise->weight);
        else
            note_answer(views, peer);
    }
    proposer_promised(proposer, voter, promised, accepted_as, accepted);
    /* After a majority has promised the proposer waits at most 1 s for the rest. */
    if (was_preparing && proposer->stage == PROPOSER_PREPARED && !views->is_form)
        views->attempt_ms = now.mono_ms + BIRTH_WAIT_MS;
    birth_step(views, now);
}

void birth_alive(struct views *views, uint32_t peer, const struct message_ALIVE *answer,
                 struct moment now)
{
    if (!keep_current(views) || !views->is_form || answer->epoch != views_epoch(views) ||
        answer->number != views->form_number)
        return;
    note_answer(views, peer);
    birth_step(views, now);
}

void birth_link(struct views *views, uint32_t peer, struct moment now)
{
    const struct proposer *proposer = &views->proposer;
    uint32_t line = birth_line(views, peer);
    if (keep_current(views) || line == VIEW_NOBODY)
        return;
    if ((proposer->stage == PROPOSER_PREPARING || proposer->stage == PROPOSER_PREPARED) &&
        views->seats[line] == 0)
        send_prepare(views, line, now);
}

void birth_lost(struct views *views, uint32_t peer)
{
    for (uint32_t i = 0; i < MISMATCH_MAX; i++)
        if (views->mismatches[i] == peer)
            views->mismatches[i] = PEER_NONE;
}

/* --- time ------------------------------------------------------------------------------------- */

static void give_up_late(struct views *views, struct moment now)
{
    struct proposer *proposer = &views->proposer;
    if (proposer->stage == PROPOSER_IDLE || now.mono_ms < views->attempt_ms)
        return;
    birth_step(views, now);
    if (proposer->stage != PROPOSER_IDLE && now.mono_ms >= views->attempt_ms) {
        proposer_end(proposer);
        vote_postpone(views, now);
    }
}

/* The lowest name that is alive goes first, the others back off. */
static void consider(struct views *views, uint32_t alive, struct moment now)
{
    if (views->proposer.stage != PROPOSER_IDLE)
        return;
    if (!may_found(views) || alive < quorum_majority(views->founders->member_count)) {
        views->propose_ms = UINT64_MAX;
        return;
    }
    if (views->propose_ms == UINT64_MAX) {
        views->propose_ms = now.mono_ms + vote_back_off(views, birth_rank(views));
    }
    if (now.mono_ms < views->propose_ms)
        return;
    views->propose_ms = UINT64_MAX;
    begin(views, false, now);
    birth_step(views, now);
}

/* --form: the seats that answer within a second of the start decide. */
static void consider_form(struct views *views, uint32_t alive, struct moment now)
{
    if (views->proposer.stage != PROPOSER_IDLE)
        return;
    uint64_t at_ms =
        views->propose_ms == UINT64_MAX ? views->birth_ms + BIRTH_WAIT_MS : views->propose_ms;
    if (now.mono_ms < at_ms && alive < views->founders->member_count) {
        views->propose_ms = at_ms;
        return;
    }
    views->propose_ms = UINT64_MAX;
    begin(views, true, now);
    birth_step(views, now);
}

static void tick_first(struct views *views, struct moment now)
{
    if (views->birth_ms == 0) {
        views->birth_ms = now.mono_ms;
        views->dial_ms = now.mono_ms + DIAL_MS;
    }
    dial(views, now);
    give_up_late(views, now);
    if (keep_current(views))
        return;
    uint32_t alive = count_alive(views);
    if (views->options.is_forming)
        consider_form(views, alive, now);
    else
        consider(views, alive, now);
    if (!keep_current(views))
        log_awaited(views, alive, now);
}

void birth_tick(struct views *views, struct moment now)
{
    if (!gossip_has_begun(views->gossip))
        return;
    if (!keep_current(views)) {
        views->looked_at = views->gossip->members.version;
        tick_first(views, now);
        return;
    }
    if (views->is_form)
        give_up_late(views, now);
    tick_form(views, now);
}

uint64_t birth_deadline(const struct views *views)
{
    uint64_t deadline_ms = UINT64_MAX;
    if (!gossip_has_begun(views->gossip))
        return UINT64_MAX;
    if (keep_current(views)) {
        if (views->is_form)
            return views->proposer.stage == PROPOSER_IDLE ? 0 : views->attempt_ms;
        return views->form_ms != 0 ? views->form_ms : UINT64_MAX;
    }
    if (views->birth_ms == 0 || views->looked_at != views->gossip->members.version)
        return 0;
    const uint64_t deadlines[] = {
        views->dial_ms, views->propose_ms,
        views->proposer.stage == PROPOSER_IDLE ? UINT64_MAX : views->attempt_ms,
        views->awaited_logged == 0 ? views->birth_ms + SAY_AWAITED_MS : UINT64_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(deadlines); i++)
        deadline_ms = deadlines[i] < deadline_ms ? deadlines[i] : deadline_ms;
    return deadline_ms;
}
