/* Views: those there are. Adopted, recorded, placed. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/views_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* --- placing ---------------------------------------------------------------------------------- */

/* In pages of its own, which the system has back with it: where a slot's copies are down there can
 * be hundreds until one is there again. */
static struct ring *new_ring(void)
{
    struct ring *ring =
        mmap(NULL, sizeof(*ring), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(ring != MAP_FAILED);
    return ring;
}

static void free_ring(struct ring *ring)
{
    if (ring)
        CHECK(munmap(ring, sizeof(*ring)) == 0);
}

/* NULL: the two views have not the same groups. */
static struct ring *place_like(const struct view *view, const struct view *other,
                               const struct ring *placed)
{
    struct ring *ring = new_ring();
    if (ring_place_like(view, other, placed, ring))
        return ring;
    free_ring(ring);
    return NULL;
}

/* Most views differ from the one before in who is up: their groups are the same. */
static struct ring *place(const struct views *views, const struct view *view)
{
    uint32_t last = views->state.view_count;
    while (last > 0 && !views->rings[last - 1])
        last--;
    struct ring *ring = NULL;
    if (last > 0)
        ring = place_like(view, &views->state.views[last - 1], views->rings[last - 1]);
    if (!ring) {
        ring = new_ring();
        ring_place(view, ring);
    }
    return ring;
}

static void forget_next_ring(struct views *views)
{
    free_ring(views->next_ring);
    views->next_ring = NULL;
    views->is_next_known = false;
}

/* The next placement of the view before is the current one's, or is over. */
static void take_next_ring(struct views *views, const struct view *before)
{
    struct view next;
    struct ring **current = &views->rings[views->state.view_count - 1];
    CHECK(*current == NULL);
    if (views->next_ring && view_next(before, &next)) {
        *current = place_like(keep_current(views), &next, views->next_ring);
        view_close(&next);
    }
    forget_next_ring(views);
}

/* --- life ------------------------------------------------------------------------------------- */

static void tell_identity(struct views *views)
{
    struct links_identity *identity = &views->links->identity;
    identity->id = views->state.cluster_id;
    identity->seat = views->state.seat;
    identity->epoch = views_epoch(views);
}

/* A state of its own, where there was none. */
static void begin_state(struct views *views)
{
    const struct links_identity *identity = &views->links->identity;
    struct state *state = &views->state;
    snprintf(state->cluster, sizeof(state->cluster), "%s", identity->cluster);
    snprintf(state->name, sizeof(state->name), "%s", identity->name);
    state->boot = identity->boot;
    while (state->seat == 0)
        views->env->entropy(views->env->shell, &state->seat, sizeof(state->seat));
}

void keep_self(const struct views *views, struct member *member)
{
    const struct links_identity *own = &views->links->identity;
    *member = (struct member){.generation = own->generation,
                              .boot = own->boot,
                              .seat = views->state.seat,
                              .weight = views->weight};
    snprintf(member->name, sizeof(member->name), "%s", own->name);
}

/* What follows from the current view: who the members are for links, who votes. */
static void look_up_members(struct views *views)
{
    const struct view *view = keep_current(views);
    const struct links_identity *own = &views->links->identity;
    uint16_t *peers = malloc(view->member_count * sizeof(*peers) + 1);
    CHECK(peers != NULL);
    views->voter_count = 0;
    views->own_voter = VIEW_NOBODY;
    views->self = view_find(view, span_of_string(own->name), own->generation);
    views->has_stood |= views->self != VIEW_NOBODY;
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct member *member = &view->members[i];
        peers[i] = (uint16_t)links_peer(views->links, member->name);
        if (peers[i] != PEER_NONE)
            links_hold(views->links, peers[i]);
        if (!member->is_voter || (MUTANT(voters_up_only) && !member_is_up(member)) ||
            (MUTANT(voters_alive_only) && peers[i] != PEER_SELF &&
             !keep_holds_alive(views, member->name)))
            continue;
        if (peers[i] == PEER_SELF && (member->seat == views->state.seat || MUTANT(votes_again)))
            views->own_voter = views->voter_count;
        views->voters[views->voter_count++] = i;
    }
    views->peers = peers;
}

static void release_peers(struct views *views, const uint16_t *peers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (peers[i] != PEER_NONE)
            links_release(views->links, peers[i]);
}

static struct watch *new_watches(uint32_t count)
{
    struct watch *watches = calloc((size_t)count + 1, sizeof(*watches));
    CHECK(watches != NULL);
    return watches;
}

/* A planted bug: to who has lost its data the state file says nothing but its seat. */
static void forget_cluster(struct views *views)
{
    const struct links_identity *own = &views->links->identity;
    const struct view *view = keep_current(views);
    uint64_t seat = views->state.seat;
    if (!view || view_find(view, span_of_string(own->name), own->generation) != VIEW_NOBODY)
        return;
    state_close(&views->state);
    views->state = (struct state){.seat = seat};
    begin_state(views);
}

void keep_init(struct views *views, struct span text)
{
    const char *why;
    views->self = views->own_voter = VIEW_NOBODY;
    if (text.len > 0 && !MUTANT(founds_anew))
        CHECK(state_parse(text, &views->state, &why) == ERR_OK);
    else
        begin_state(views);
    if (MUTANT(founds_by_majority))
        forget_cluster(views);
    views->state.boot = views->links->identity.boot;
    /* Room for as many as there can be. */
    views->state.views = realloc(views->state.views, STATE_VIEWS_MAX * sizeof(struct view));
    CHECK(views->state.views != NULL);
    const struct view *view = keep_current(views);
    views->start_epoch = view ? view->epoch : 0;
    if (view) {
        look_up_members(views);
        views->watches = new_watches(view->member_count);
        views->done = calloc((size_t)view->member_count + 1, sizeof(*views->done));
        CHECK(views->done != NULL);
        views->has_adopted = true;
    }
    tell_identity(views);
}

static void close_watches(struct watch *watches, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(watches[i].synced);
        free(watches[i].comes);
    }
    free(watches);
}

void keep_close(struct views *views)
{
    const struct view *view = keep_current(views);
    if (view) {
        release_peers(views, views->peers, view->member_count);
        close_watches(views->watches, view->member_count);
    }
    free(views->peers);
    free(views->done);
    forget_next_ring(views);
    for (uint32_t i = 0; i < views->state.view_count; i++)
        free_ring(views->rings[i]);
    state_close(&views->state);
}

/* --- recording -------------------------------------------------------------------------------- */

/* A state on disk; what could not be written is tried again when there is something to say. */
static bool record(struct views *views, const struct state *state, struct moment now)
{
    struct buf text = {0};
    if (!views->has_state_file)
        return true; /* its seat is new at each start: nothing it has said binds another */
    state_format(state, &text);
    bool is_kept = views->env->keep_state(views->env->shell, buf_span(&text));
    buf_close(&text);
    if (is_kept == views->is_broken)
        log_line(views->log, now, is_kept ? LOG_INFO : LOG_ERROR,
                 is_kept ? "votes-again" : "votes-no-more",
                 is_kept ? "reason=\"the state file is written\""
                         : "reason=\"the state file cannot be written\"");
    views->is_broken = !is_kept;
    return is_kept;
}

bool keep_state(struct views *views, struct moment now)
{
    views->state.boot = views->links->identity.boot;
    return record(views, &views->state, now);
}

/* --- adopting --------------------------------------------------------------------------------- */

/* Drops the views below the base of the last, and at least so many. */
static void drop_old(struct views *views, uint32_t gone)
{
    struct state *state = &views->state;
    uint32_t base = keep_current(views)->base;
    while (gone + 1 < state->view_count && state->views[gone].epoch < base)
        gone++;
    for (uint32_t i = 0; i < gone; i++) {
        view_close(&state->views[i]);
        free_ring(views->rings[i]);
    }
    state->view_count -= gone;
    memmove(state->views, state->views + gone, state->view_count * sizeof(*state->views));
    memmove(views->rings, views->rings + gone, state->view_count * sizeof(views->rings[0]));
    for (uint32_t i = 0; i < gone; i++)
        views->rings[state->view_count + i] = NULL;
}

static void drop_all(struct views *views)
{
    struct state *state = &views->state;
    for (uint32_t i = 0; i < state->view_count; i++) {
        view_close(&state->views[i]);
        free_ring(views->rings[i]);
        views->rings[i] = NULL;
    }
    state->view_count = 0;
}

/* Puts the adopted views behind those there are, or in their place if there is a gap. Those known
 * already are dropped. */
static void put_behind(struct views *views, struct view *adopted, uint32_t count)
{
    struct state *state = &views->state;
    uint32_t epoch = views_epoch(views);
    CHECK(state->views != NULL);
    if (adopted[0].epoch > epoch + 1)
        drop_all(views);
    for (uint32_t i = 0; i < count; i++) {
        if (adopted[i].epoch <= epoch || count - i > STATE_VIEWS_MAX) {
            view_close(&adopted[i]);
            continue;
        }
        if (state->view_count == STATE_VIEWS_MAX)
            drop_old(views, 1);
        state->views[state->view_count++] = adopted[i];
    }
    drop_old(views, 0);
}

/* Records the state as it is to be: those that are kept, from the last base on, and nothing said
 * about what follows them. */
static bool record_adoption(struct views *views, const struct view *adopted, uint32_t count,
                            struct moment now)
{
    const struct state *state = &views->state;
    struct state next = *state;
    const struct view *last = &adopted[count - 1];
    uint32_t epoch = views_epoch(views), kept = 0;
    next.boot = views->links->identity.boot;
    next.cluster_id = last->cluster_id;
    next.acceptor = (struct acceptor){0};
    next.views = calloc(2 * STATE_VIEWS_MAX, sizeof(*next.views)); /* borrowed ones */
    CHECK(next.views != NULL);
    for (uint32_t i = 0; i < state->view_count && adopted[0].epoch <= epoch + 1; i++)
        if (state->views[i].epoch >= last->base)
            next.views[kept++] = state->views[i];
    for (uint32_t i = 0; i < count; i++)
        if (adopted[i].epoch > epoch && (adopted[i].epoch >= last->base || i + 1 == count))
            next.views[kept++] = adopted[i];
    uint32_t gone = kept > STATE_VIEWS_MAX ? kept - STATE_VIEWS_MAX : 0;
    struct view *all = next.views;
    next.views += gone;
    next.view_count = kept - gone;
    bool is_kept = record(views, &next, now);
    free(all);
    return is_kept;
}

static void log_adopted(struct views *views, const struct view *before, const char *why,
                        struct moment now)
{
    const struct view *view = keep_current(views);
    uint32_t full = 0, up = 0;
    char changes[512] = "first";
    for (uint32_t i = 0; i < view->member_count; i++) {
        full += member_is_full(&view->members[i]);
        up += member_is_full(&view->members[i]) && member_is_up(&view->members[i]);
    }
    if (before->member_count > 0)
        change_say(before, view, changes, sizeof(changes));
    log_line(views->log, now, LOG_INFO, "view-adopted",
             "epoch=%" PRIu32 " base=%" PRIu32 " members=%" PRIu32 " full=%" PRIu32 " up=%" PRIu32
             " id=%016" PRIx64 " stands=%s by=%s changes=\"%s\"",
             view->epoch, view->base, view->member_count, full, up, view->cluster_id,
             views->self == VIEW_NOBODY ? "no" : member_role_word(view->members[views->self].role),
             why, changes);
}

/* Adopting a view is recorded and seals all lower epochs at this node. */
bool keep_adopt(struct views *views, struct view *adopted, uint32_t count, const char *why,
                struct moment now)
{
    CHECK(count > 0);
    CHECK(adopted[count - 1].epoch > views_epoch(views));
    bool is_unrecorded =
        MUTANT(adoption_unrecorded) || (MUTANT(mark_late) && views_epoch(views) == 0);
    if (!is_unrecorded && !record_adoption(views, adopted, count, now)) {
        proposer_end(&views->proposer);
        for (uint32_t i = 0; i < count; i++)
            view_close(&adopted[i]);
        return false;
    }
    views->state.boot = views->links->identity.boot;
    struct view before = {0};
    struct watch *old = views->watches;
    const struct view *current = keep_current(views);
    if (current)
        view_copy(current, &before);
    uint16_t *old_peers = views->peers;
    put_behind(views, adopted, count);
    views->state.cluster_id = keep_current(views)->cluster_id;
    /* What was promised and accepted was for a view that is chosen now. */
    acceptor_close(&views->state.acceptor);
    views->highest = (struct ballot){0};
    proposer_end(&views->proposer);
    look_up_members(views);
    if (before.member_count > 0)
        release_peers(views, old_peers, before.member_count);
    free(old_peers);
    views->watches = new_watches(keep_current(views)->member_count);
    take_next_ring(views, &before);
    tell_identity(views);
    views->has_adopted = !MUTANT(no_seal) || before.member_count == 0;
    views->adopted_ms = now.mono_ms;
    views->stats->views_adopted++;
    log_adopted(views, &before, why, now);
    report_adopted(views, now);
    loss_adopted(views);
    ask_adopted(views, now);
    propose_adopted(views, &before, old);
    close_watches(old, before.member_count);
    view_close(&before);
    return true;
}

/* --- questions -------------------------------------------------------------------------------- */

bool keep_may_vote(const struct views *views)
{
    return views->own_voter != VIEW_NOBODY;
}

uint32_t keep_voter_peer(const struct views *views, uint32_t voter)
{
    CHECK(voter < views->voter_count);
    uint32_t peer = views->peers[views->voters[voter]];
    if (voter == views->own_voter)
        return PEER_SELF;
    return peer == PEER_SELF ? PEER_NONE : peer; /* a seat of this name whose file is lost */
}

uint32_t keep_voter_of(const struct views *views, uint32_t peer)
{
    if (peer == PEER_SELF || peer == PEER_NONE)
        return peer == PEER_SELF ? views->own_voter : VIEW_NOBODY;
    const struct view *view = keep_current(views);
    for (uint32_t i = 0; i < views->voter_count; i++)
        if (views->peers[views->voters[i]] == peer &&
            (view->members[views->voters[i]].seat == views->links->peers[peer]->seat ||
             MUTANT(votes_again)))
            return i;
    return VIEW_NOBODY;
}

struct account *keep_account(const struct views *views, const char *name)
{
    return members_find(&views->gossip->members, span_of_string(name));
}

bool keep_holds_alive(const struct views *views, const char *name)
{
    const struct account *account = keep_account(views, name);
    return account && account->state == MEMBER_ALIVE;
}

bool views_take_adopted(struct views *views)
{
    bool has_adopted = views->has_adopted;
    views->has_adopted = false;
    return has_adopted;
}

const struct view *views_current(const struct views *views)
{
    return keep_current(views);
}

uint32_t views_epoch(const struct views *views)
{
    const struct view *view = keep_current(views);
    return view ? view->epoch : 0;
}

/* The index of a view that is kept, or VIEW_NOBODY. */
static uint32_t index_of(const struct views *views, uint32_t epoch)
{
    const struct state *state = &views->state;
    if (state->view_count == 0 || epoch < state->views[0].epoch ||
        epoch - state->views[0].epoch >= state->view_count)
        return VIEW_NOBODY;
    return epoch - state->views[0].epoch;
}

const struct view *views_at(const struct views *views, uint32_t epoch)
{
    uint32_t at = index_of(views, epoch);
    return at == VIEW_NOBODY ? NULL : &views->state.views[at];
}

const struct ring *views_ring(struct views *views, uint32_t epoch)
{
    uint32_t at = index_of(views, epoch);
    if (at == VIEW_NOBODY)
        return NULL;
    if (!views->rings[at])
        views->rings[at] = place(views, &views->state.views[at]);
    return views->rings[at];
}

uint32_t views_forget_rings(struct views *views)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i + 1 < views->state.view_count; i++) {
        count += views->rings[i] != NULL;
        free_ring(views->rings[i]);
        views->rings[i] = NULL;
    }
    return count;
}

const struct ring *views_next_ring(struct views *views)
{
    const struct view *view = keep_current(views);
    struct view next;
    if (!view || views->is_next_known)
        return views->next_ring;
    views->is_next_known = true;
    if (view_next(view, &next)) {
        views->next_ring = place(views, &next);
        view_close(&next);
    }
    return views->next_ring;
}

uint32_t views_member_peer(const struct views *views, uint32_t member)
{
    const struct view *view = keep_current(views);
    CHECK(view != NULL);
    CHECK(member < view->member_count);
    if (views->peers[member] != PEER_SELF)
        return views->peers[member];
    return member == views->self ? PEER_SELF : PEER_NONE;
}

uint32_t views_self(const struct views *views)
{
    return views->self;
}

bool views_may_lead(const struct views *views)
{
    return views_epoch(views) > views->start_epoch || MUTANT(leads_old_view);
}

bool views_refuses(const struct views *views, uint32_t epoch)
{
    return epoch != views_epoch(views);
}
