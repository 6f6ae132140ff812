#include "server/core/change.h"

#include "common/check.h"
#include "common/mutant.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const wish_words[] = {
#define WISH_WORD(name, word) [WISH_##name] = (word),
    WISH_LIST(WISH_WORD)
#undef WISH_WORD
};

const char *wish_word(enum wish_kind kind)
{
    CHECK(kind < WISH_KIND_COUNT);
    return wish_words[kind];
}

bool wish_parse(struct span word, enum wish_kind *kind)
{
    for (uint32_t i = 0; i < WISH_KIND_COUNT; i++) {
        *kind = (enum wish_kind)i;
        if (span_equal(word, span_of_string(wish_words[i])))
            return true;
    }
    return false;
}

/* --- counting --------------------------------------------------------------------------------- */

bool change_is_live(const struct member *member)
{
    return member_is_full(member) && member_is_up(member) && !member->is_leaving;
}

uint32_t change_live_count(const struct view *view)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->member_count; i++)
        count += change_is_live(&view->members[i]);
    return count;
}

static bool has_quorum(const struct view *view, const struct ring *ring, uint32_t slot)
{
    uint32_t up = 0;
    for (uint32_t i = 0; i < ring->group_size; i++)
        up += member_is_up(&view->members[ring->group[slot][i]]);
    return up >= ring->group_size / 2 + 1;
}

bool change_has_quorums(const struct view *view, const struct ring *ring)
{
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if (!has_quorum(view, ring, slot))
            return false;
    return true;
}

bool change_is_stuck(const struct view *view, const struct ring *ring, uint32_t index)
{
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        for (uint32_t g = 0; g < ring->group_size; g++)
            if (ring->group[slot][g] == index && !has_quorum(view, ring, slot))
                return true;
    return false;
}

/* The same for a view that has no ring yet. */
static bool would_have_quorums(const struct view *view)
{
    struct ring *ring = malloc(sizeof(*ring));
    CHECK(ring != NULL);
    ring_place(view, ring);
    bool answer = change_has_quorums(view, ring);
    free(ring);
    return answer;
}

/* Whether the next placement has W members up in each group. */
static bool may_be_placed(const struct view *view)
{
    struct view next;
    if (!view_next(view, &next))
        return true; /* nobody goes */
    bool answer = would_have_quorums(&next);
    view_close(&next);
    return answer;
}

/* --- standings -------------------------------------------------------------------------------- */

static void set_standing(struct view *out, struct member *member, enum member_standing standing)
{
    if (member_is_up(member) != (standing == STANDING_UP))
        member->up_since = standing == STANDING_UP ? out->epoch : 0;
    member->standing = standing;
}

/* Whether a later generation of its name stands in the view: then it is superseded, for good,
 * whatever this node has heard of the name. */
static bool is_outlived(const struct view *view, const struct member *member)
{
    const struct member *after = member + 1;
    return after < view->members + view->member_count && strcmp(after->name, member->name) == 0;
}

/* suspected members down; refuted ones up; a member whose name runs with a higher boot and another
 * generation superseded, for good */
static void judge(struct view *out, struct member *member, const struct opinion *opinion)
{
    if (member->standing == STANDING_FORGOTTEN)
        return;
    if (opinion->boot > member->boot)
        member->boot = opinion->boot;
    bool is_superseded = opinion->is_superseded || is_outlived(out, member);
    if (is_superseded) {
        if (member->standing != STANDING_SUPERSEDED && member->standing != STANDING_REPLACED)
            set_standing(out, member, STANDING_SUPERSEDED);
        return;
    }
    if (member->standing == STANDING_SUPERSEDED)
        return;
    if (opinion->state == OPINION_UP && !member_is_up(member))
        set_standing(out, member, STANDING_UP);
    else if ((opinion->state == OPINION_DOWN || opinion->state == OPINION_GONE) &&
             member_is_up(member))
        set_standing(out, member, STANDING_DOWN);
}

/* Whether enough live full members are there to take the places of replaced ones. */
static bool has_others(const struct view *view)
{
    return change_live_count(view) >= view->copies;
}

/* members DEAD (superseded ones too) for --rereplicate-after replaced, if a live full member can
 * take their place; else they stay down: a group never shrinks to its survivors by itself */
static void replace(struct view *out, struct member *member, const struct opinion *opinion,
                    bool may_be)
{
    if (!member_is_full(member) || member_is_up(member))
        return;
    if (opinion->is_overdue && (may_be || MUTANT(shrinks)))
        set_standing(out, member, STANDING_REPLACED);
    else if (member->standing == STANDING_REPLACED && !may_be)
        set_standing(out, member,
                     opinion->is_superseded || is_outlived(out, member) ? STANDING_SUPERSEDED
                                                                        : STANDING_DOWN);
}

/* a joiner that is DEAD, superseded, or not done 30 s after all others out again */
static bool is_joiner_out(const struct member *member, const struct opinion *opinion)
{
    return member->role == ROLE_JOINER && !MUTANT(dead_joiner_stays) &&
           (opinion->state == OPINION_GONE || opinion->is_superseded || opinion->is_late ||
            member->standing == STANDING_SUPERSEDED);
}

/* Members of the present view, each by what is held of it. Backwards, as some go out: indices below
 * stay. */
static void judge_all(struct change *change, struct view *out)
{
    for (uint32_t i = 0; i < out->member_count; i++)
        judge(out, &out->members[i], &change->opinions[i]);
    bool may_be_replaced = has_others(out);
    for (uint32_t i = out->member_count; i-- > 0;) {
        replace(out, &out->members[i], &change->opinions[i], may_be_replaced);
        if (is_joiner_out(&out->members[i], &change->opinions[i]))
            view_take_out(out, i);
    }
    /* Boots may have risen: the order is by them. */
    for (uint32_t i = 1; i < out->member_count; i++)
        for (uint32_t j = i; j > 0 && member_compare(&out->members[j - 1], &out->members[j]) > 0;
             j--) {
            struct member member = out->members[j];
            out->members[j] = out->members[j - 1];
            out->members[j - 1] = member;
        }
}

/* --- wishes ----------------------------------------------------------------------------------- */

/* Whether a later boot stands in the view: who asked has ended, and its data run on, or it goes by
 * another boot and asks again. */
static bool is_outdated(const struct wish *wish, const struct member *member)
{
    return wish->member.boot < member->boot && !MUTANT(wishes_outlive);
}

static struct member *wished_member(struct view *out, const struct wish *wish)
{
    uint32_t at = view_find(out, span_of_string(wish->member.name), wish->member.generation);
    return at == VIEW_NOBODY ? NULL : &out->members[at];
}

/* newcomers in as joiners */
static void join(struct view *out, struct wish *wish)
{
    CHECK(out->members != NULL);
    struct member *known = wished_member(out, wish);
    if (known && known->standing != STANDING_FORGOTTEN) {
        known->seat =
            wish->member.seat; /* its state file was lost: the new one votes from now on */
        return;
    }
    for (uint32_t i = 0; i < out->member_count; i++) {
        struct member *member = &out->members[i];
        if (member == known || strcmp(member->name, wish->member.name) != 0)
            continue;
        if (member->boot >= wish->member.boot) {
            wish->refusal = "a later process of this name is a member";
            return;
        }
        if (member->standing != STANDING_FORGOTTEN && member->standing != STANDING_REPLACED)
            set_standing(out, member, STANDING_SUPERSEDED);
    }
    /* A joiner that is superseded goes out at once. */
    for (uint32_t i = out->member_count; i-- > 0;)
        if (strcmp(out->members[i].name, wish->member.name) == 0 &&
            (&out->members[i] == known || MUTANT(superseded_out) ||
             (out->members[i].role == ROLE_JOINER &&
              out->members[i].standing == STANDING_SUPERSEDED)))
            view_take_out(out, i);
    if (out->member_count == VIEW_MEMBERS_MAX) {
        wish->refusal = "the cluster has as many members as there can be";
        return;
    }
    struct member member = wish->member;
    member.role = ROLE_JOINER;
    member.standing = STANDING_UP;
    member.is_leaving = member.is_voter = false;
    member.up_since = out->epoch;
    view_add(out, &member);
}

static const struct opinion *opinion_of(const struct change *change, const struct member *member)
{
    static const struct opinion nothing;
    uint32_t at = view_find(change->view, span_of_string(member->name), member->generation);
    return at == VIEW_NOBODY ? &nothing : &change->opinions[at];
}

/* Whether leaves may be promised: without those who leave, and with those replaced back in their
 * places that the rest are too few for, the next placement has W members up in each group. */
static bool may_leave(const struct change *change, const struct view *out)
{
    struct view rest;
    if (change_live_count(out) == 0)
        return false;
    view_copy(out, &rest);
    bool may_be_replaced = has_others(out) || MUTANT(leave_undoes);
    for (uint32_t i = 0; i < rest.member_count; i++)
        replace(&rest, &rest.members[i], opinion_of(change, &rest.members[i]), may_be_replaced);
    bool answer = may_be_placed(&rest);
    view_close(&rest);
    return answer;
}

static void leave(const struct change *change, struct view *out, struct wish *wish)
{
    struct member *member = wished_member(out, wish);
    if (!member || member->role == ROLE_LEAVER || member->is_leaving || is_outdated(wish, member))
        return;
    if (member->role == ROLE_JOINER) {
        view_take_out(out, (uint32_t)(member - out->members));
        return;
    }
    if (change_live_count(out) <= change_is_live(member)) {
        wish->refusal = "no other member is up that could take what it holds";
        return;
    }
    member->is_leaving = true;
    if (may_leave(change, out))
        return;
    member->is_leaving = false;
    wish->refusal = "without it some keys would have no majority of their copies up";
}

static void stop(struct view *out, struct wish *wish)
{
    struct member *member = wished_member(out, wish);
    if (!member || !member_is_full(member) || !member_is_up(member) || is_outdated(wish, member))
        return;
    set_standing(out, member, STANDING_STOPPING);
    if (change_live_count(out) > 0 && would_have_quorums(out))
        return;
    set_standing(out, member, STANDING_UP);
    member->up_since = out->epoch;
    wish->refusal = "without it some keys would have no majority of their copies up";
}

static void forget(struct view *out, struct wish *wish)
{
    uint32_t full_count = 0, forgotten = 0, up = 0;
    for (uint32_t i = 0; i < out->member_count; i++)
        full_count += member_is_full(&out->members[i]);
    for (uint32_t i = out->member_count; i-- > 0;) {
        struct member *member = &out->members[i];
        if (strcmp(member->name, wish->member.name) != 0 || member->standing == STANDING_FORGOTTEN)
            continue;
        if (member_is_up(member)) {
            up++;
        } else if (member_is_full(member) && full_count == 1) {
            wish->refusal = "it is the only member that holds keys";
        } else {
            full_count -= member_is_full(member);
            member->role = ROLE_LEAVER;
            member->is_leaving = member->is_voter = false;
            set_standing(out, member, STANDING_FORGOTTEN);
            forgotten++;
        }
    }
    if (forgotten == 0 && up > 0)
        wish->refusal = "it is up: tell it to leave";
    else if (forgotten == 0 && !wish->refusal && !change_live_count(out))
        wish->refusal = "no member is up";
}

static bool is_forgotten(const struct view *view, const char *name)
{
    for (uint32_t i = 0; i < view->member_count; i++)
        if (strcmp(view->members[i].name, name) == 0 &&
            view->members[i].standing == STANDING_FORGOTTEN)
            return true;
    return false;
}

static bool is_known(const struct view *view, const char *name)
{
    for (uint32_t i = 0; i < view->member_count; i++)
        if (strcmp(view->members[i].name, name) == 0)
            return true;
    return false;
}

/* Whether anything was asked for that a view must follow whatever is in it. takes_all: also what
 * waits for a view that is made anyway. */
static bool fulfil(struct change *change, struct view *out, bool takes_all)
{
    bool wants_next = false;
    bool takes_joins = takes_all || !(change->do_joins_wait || change->do_asks_wait);
    bool takes_others = takes_all || !change->do_asks_wait;
    for (uint32_t i = 0; i < change->wish_count; i++) {
        struct wish *wish = &change->wishes[i];
        wish->refusal = NULL;
        switch (wish->kind) {
        case WISH_JOIN:
            if (takes_joins)
                join(out, wish);
            break;
        case WISH_LEAVE:
            if (takes_others)
                leave(change, out, wish);
            break;
        case WISH_STOP:
            if (takes_others)
                stop(out, wish);
            break;
        case WISH_FORGET:
            if (!is_known(change->view, wish->member.name))
                wish->refusal = "no member has this name";
            else if (!is_forgotten(change->view, wish->member.name))
                forget(out, wish);
            break;
        case WISH_NEXT:
        case WISH_KIND_COUNT:
            wants_next |= takes_others || wish->is_urgent;
            break;
        }
    }
    return wants_next;
}

/* else refused with the reason, and so it is if that ceases to be true before the placement: the
 * mark is taken off */
static void look_again_at_leavers(const struct change *change, struct view *out)
{
    for (uint32_t i = out->member_count; i-- > 0;) {
        struct member *member = &out->members[i];
        if (!member->is_leaving || !member_is_full(member) || MUTANT(leave_unchecked))
            continue;
        if (may_leave(change, out))
            return;
        member->is_leaving = false;
    }
}

/* --- roles ------------------------------------------------------------------------------------ */

/* Takes out the full members of that name but the one at keep. */
static void take_out_older(struct view *out, const char *name, uint64_t generation)
{
    for (uint32_t i = out->member_count; i-- > 0;)
        if (strcmp(out->members[i].name, name) == 0 && out->members[i].generation != generation &&
            member_is_full(&out->members[i]))
            view_take_out(out, i);
}

/* total loss: if no full member is left that is not superseded, all joiners and newcomers full at
 * once */
static void recover_from_total_loss(struct view *out)
{
    bool has_joiner = false;
    for (uint32_t i = 0; i < out->member_count; i++) {
        const struct member *member = &out->members[i];
        if (member_is_full(member) && member->standing != STANDING_SUPERSEDED)
            return;
        has_joiner |= member->role == ROLE_JOINER;
    }
    if (!has_joiner)
        return;
    for (uint32_t i = 0; i < out->member_count; i++) {
        if (out->members[i].role != ROLE_JOINER)
            continue;
        struct member joiner = out->members[i];
        take_out_older(out, joiner.name, joiner.generation);
        uint32_t at = view_find(out, span_of_string(joiner.name), joiner.generation);
        out->members[at].role = ROLE_FULL;
        i = at;
    }
}

/* the next placement, as a whole: joiners full, leaving ones leavers, superseded and replaced ones
 * out. Returns whether there is one. */
static bool place(struct view *out)
{
    struct view next;
    if (!view_next(out, &next))
        return false;
    for (uint32_t i = out->member_count; i-- > 0;) {
        struct member *member = &out->members[i];
        if (member->role == ROLE_JOINER && next.members[i].role == ROLE_FULL) {
            member->role = ROLE_FULL;
        } else if (member_is_full(member) && next.members[i].role == ROLE_LEAVER) {
            if (!member->is_leaving) {
                view_take_out(out, i);
                continue;
            }
            member->role = ROLE_LEAVER;
        }
    }
    view_close(&next);
    return true;
}

/* replaced members go out before that where a slot of theirs has no quorum */
static void take_out_stuck(const struct change *change, struct view *out)
{
    for (uint32_t i = 0; i < change->view->member_count; i++) {
        const struct member *member = &change->view->members[i];
        uint32_t at = view_find(out, span_of_string(member->name), member->generation);
        if (member->standing != STANDING_REPLACED || !member_is_full(member) || at == VIEW_NOBODY ||
            out->members[at].standing != STANDING_REPLACED)
            continue;
        if (change_is_stuck(change->view, change->ring, i))
            view_take_out(out, at);
    }
}

/* A leaver goes out once base(e) has reached a view in which it holds nothing: it is a leaver there
 * already. In one of before its slots it held none either, but they came later. */
static void take_out_leavers(const struct change *change, struct view *out)
{
    for (uint32_t i = out->member_count; i-- > 0;) {
        const struct member *member = &out->members[i];
        if (member->role != ROLE_LEAVER || !change->base_view)
            continue;
        uint32_t then =
            view_find(change->base_view, span_of_string(member->name), member->generation);
        if (then != VIEW_NOBODY && change->base_view->members[then].role == ROLE_LEAVER)
            view_take_out(out, i);
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

static bool is_same_member(const struct member *a, const struct member *b)
{
    return strcmp(a->name, b->name) == 0 && a->generation == b->generation && a->role == b->role &&
           a->standing == b->standing && a->is_leaving == b->is_leaving && a->seat == b->seat &&
           a->weight == b->weight;
}

static bool is_same(const struct view *a, const struct view *b)
{
    if (a->member_count != b->member_count)
        return false;
    for (uint32_t i = 0; i < a->member_count; i++)
        if (!is_same_member(&a->members[i], &b->members[i]))
            return false;
    return true;
}

static bool has_leavers(const struct view *view)
{
    for (uint32_t i = 0; i < view->member_count; i++)
        if (view->members[i].role == ROLE_LEAVER)
            return true;
    return false;
}

/* Views kept before one is made only to raise base. */
#define BASE_LAG_MAX 16u

/* A view for the sake of its base alone: leavers wait for it, or too many views are kept. */
static bool is_base_wanted(const struct change *change)
{
    const struct view *view = change->view;
    return change->is_all_active && view->base < view->epoch &&
           (has_leavers(view) || view->epoch - view->base > BASE_LAG_MAX);
}

/* is_placement: out: it is the next placement, which nothing else may come with. */
static bool make(struct change *change, bool takes_all, struct view *out, bool *is_placement)
{
    const struct view *view = change->view;
    view_copy(view, out);
    out->epoch = view->epoch + 1;
    if (change->is_all_active || MUTANT(base_early))
        out->base = view->epoch;
    judge_all(change, out);
    bool wants_next = fulfil(change, out, takes_all);
    look_again_at_leavers(change, out);
    recover_from_total_loss(out);
    take_out_stuck(change, out);
    *is_placement = change->is_placed && is_same(view, out) && place(out);
    take_out_leavers(change, out);
    if (is_same(view, out) && !wants_next && !is_base_wanted(change)) {
        view_close(out);
        return false;
    }
    view_elect(out);
    if (view_is_valid(out))
        return true;
    view_close(out);
    return false;
}

bool change_make(struct change *change, struct view *out)
{
    bool is_placement;
    if (change->view->epoch == VIEW_EPOCH_MAX)
        return false;
    if (!change->do_joins_wait && !change->do_asks_wait)
        return make(change, true, out, &is_placement);
    if (!make(change, false, out, &is_placement))
        return false;
    if (is_placement)
        return true;
    view_close(out); /* it is made anyway: what is asked for comes by it too */
    return make(change, true, out, &is_placement);
}

/* --- words ------------------------------------------------------------------------------------ */

struct saying {
    char *text;
    size_t size;
    size_t len;
};

static void PRINTF_LIKE(2, 3) say(struct saying *saying, const char *format, ...)
{
    char words[ADDRESS_TEXT_BYTES_MAX + 32];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    if (len < 0 || saying->len + (size_t)len + 8 > saying->size) {
        if (saying->len + 5 < saying->size &&
            saying->text[saying->len ? saying->len - 1 : 0] != '.')
            saying->len +=
                (size_t)snprintf(saying->text + saying->len, saying->size - saying->len, " ...");
        return;
    }
    saying->len += (size_t)snprintf(saying->text + saying->len, saying->size - saying->len, "%s%s",
                                    saying->len > 0 ? ", " : "", words);
}

static void say_member(struct saying *saying, const struct member *was, const struct member *is)
{
    if (was->standing != is->standing)
        say(saying, "%s %s", is->name, member_standing_word(is->standing));
    if (was->role != is->role)
        say(saying, "%s %s", is->name, member_role_word(is->role));
    if (was->is_leaving != is->is_leaving)
        say(saying, "%s %s", is->name, is->is_leaving ? "leaving" : "stays");
}

void change_say(const struct view *before, const struct view *after, char *text, size_t size)
{
    struct saying saying = {.text = text, .size = size};
    text[0] = '\0';
    for (uint32_t i = 0; i < after->member_count; i++) {
        const struct member *is = &after->members[i];
        uint32_t at = view_find(before, span_of_string(is->name), is->generation);
        if (at == VIEW_NOBODY)
            say(&saying, "%s in as %s", is->name, member_role_word(is->role));
        else
            say_member(&saying, &before->members[at], is);
    }
    for (uint32_t i = 0; i < before->member_count; i++) {
        const struct member *was = &before->members[i];
        if (view_find(after, span_of_string(was->name), was->generation) == VIEW_NOBODY)
            say(&saying, "%s out", was->name);
    }
    if (after->base != before->base)
        say(&saying, "base %u", after->base);
}
