/* Views: which slots are active and synced, here and elsewhere. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/views_parts.h"

#include <stdlib.h>
#include <string.h>

/* What becomes so within this time goes into one report: after a view all of a node's slots become
 * active, and each report goes to every voter. */
#define REPORT_MS 20u
/* While a copy is filled its slots become synced one by one, thousands of them: what has come is
 * told so often, and at once when the last is there. */
#define FILLING_MS 250u
/* A report is lost with the connection that it went by, or if it comes before its view has been
 * adopted. Who has told nothing for so long is asked for what is lacking; each time nothing new was
 * told meanwhile, only after twice as long as before. */
#define LACK_MS     1000u
#define LACK_MS_MAX 8000u

/* --- what this node has ----------------------------------------------------------------------- */

static bool put(struct slots *slots, uint32_t slot, bool has)
{
    CHECK(slot < SLOT_COUNT);
    uint64_t bit = UINT64_C(1) << slot % 64;
    if (slots_has(slots, slot) == has)
        return false;
    slots->words[slot / 64] ^= bit;
    return true;
}

void views_report_active(struct views *views, uint32_t slot, bool is_active)
{
    views->is_active_due |= put(&views->own_active, slot, is_active);
}

void views_report_synced(struct views *views, uint32_t slot, bool is_synced)
{
    bool is_news = put(&views->own_synced, slot, is_synced);
    views->is_synced_due |= is_news;
    views->is_less_due |= is_news && !is_synced;
}

void report_init(struct views *views)
{
    views->lack_pause_ms = MUTANT(asks_unpaused) ? 0 : LACK_MS;
}

void report_adopted(struct views *views, struct moment now)
{
    /* Whatever was active was so in a view that is sealed. */
    memset(&views->own_active, 0, sizeof(views->own_active));
    memset(&views->own_synced, 0, sizeof(views->own_synced));
    memset(&views->active, 0, sizeof(views->active));
    views->is_active_due = views->is_synced_due = views->is_less_due = false;
    views->report_ms = views->synced_ms = 0;
    views->lack_pause_ms = LACK_MS;
    views->lack_ms = now.mono_ms + LACK_MS;
    for (uint32_t i = 0; i < keep_current(views)->member_count; i++)
        views->watches[i].reported_ms = now.mono_ms;
    views->is_active_known = views->is_placed_known = views->are_comers_known = false;
    free(views->done);
    views->done = calloc((size_t)keep_current(views)->member_count + 1, sizeof(*views->done));
    CHECK(views->done != NULL);
}

/* --- on the wire ------------------------------------------------------------------------------ */

/* A bit a slot, the first of a byte the highest: groups are drawn, so slots come without order, and
 * a list of ranges would be ten times as long. */
#define SLOTS_BYTES (SLOT_COUNT / 8)

/* Eight bytes with the bits of each in the other order. */
static uint64_t turn_bytes(uint64_t word)
{
    const uint64_t ones = 0x5555555555555555u, twos = 0x3333333333333333u,
                   fours = 0x0F0F0F0F0F0F0F0Fu;
    word = (word >> 1 & ones) | (word & ones) << 1;
    word = (word >> 2 & twos) | (word & twos) << 2;
    return (word >> 4 & fours) | (word & fours) << 4;
}

static void format_slots(const struct slots *slots, struct buf *out)
{
    char *bytes = buf_reserve(out, SLOTS_BYTES);
    for (uint32_t i = 0; i < SLOT_WORDS; i++) {
        uint64_t word = turn_bytes(slots->words[i]);
        for (uint32_t k = 0; k < 8; k++)
            bytes[8 * i + k] = (char)(word >> 8 * k);
    }
    buf_advance(out, SLOTS_BYTES);
}

static bool parse_slots(struct span bytes, struct slots *slots)
{
    if (bytes.len != SLOTS_BYTES)
        return false;
    for (uint32_t i = 0; i < SLOT_WORDS; i++) {
        uint64_t word = 0;
        for (uint32_t k = 0; k < 8; k++)
            word |= (uint64_t)(uint8_t)bytes.data[8 * i + k] << 8 * k;
        slots->words[i] = turn_bytes(word);
    }
    return true;
}

/* --- taking ----------------------------------------------------------------------------------- */

/* The primary's word counts for the slots that it leads. Returns whether it says anything new. */
static bool take_active(struct views *views, uint32_t member, const struct slots *slots)
{
    const struct ring *ring = views_ring(views, views_epoch(views));
    bool is_news = false;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if (ring->primary[slot] == member || MUTANT(any_active))
            is_news |= put(&views->active, slot, slots_has(slots, slot));
    return is_news;
}

/* Returns whether it says anything new. */
static bool take_synced(struct views *views, uint32_t member, const struct slots *slots,
                        struct moment now)
{
    struct watch *watch = &views->watches[member];
    if (!watch->synced) {
        watch->synced = calloc(1, sizeof(*watch->synced));
        CHECK(watch->synced != NULL);
    }
    for (uint32_t i = 0; i < SLOT_WORDS; i++)
        if (slots->words[i] & ~watch->synced->words[i])
            watch->progress_ms = now.mono_ms;
    bool is_news = memcmp(watch->synced, slots, sizeof(*slots)) != 0;
    *watch->synced = *slots;
    return is_news;
}

static void take(struct views *views, uint32_t member, bool is_active, const struct slots *slots,
                 struct moment now)
{
    bool is_news =
        is_active ? take_active(views, member, slots) : take_synced(views, member, slots, now);
    views->watches[member].reported_ms = now.mono_ms;
    if (is_news)
        views->lack_pause_ms = LACK_MS;
    bool is_look_far = views->lack_ms > now.mono_ms + LACK_MS;
    if (is_look_far && (is_news || views->lack_ms == UINT64_MAX))
        views->lack_ms = now.mono_ms + LACK_MS;
    views->is_active_known &= !is_active;
    views->is_placed_known &= is_active;
    views->is_look_due = true;
}

/* The member whose process is at the other end of peer's links, or VIEW_NOBODY. */
static uint32_t member_of(const struct views *views, uint32_t peer)
{
    return view_find(keep_current(views), span_of_string(links_name(views->links, peer)),
                     views->links->peers[peer]->generation);
}

enum err report_take(struct views *views, uint32_t peer, const struct message *message,
                     struct moment now)
{
    struct slots slots;
    bool is_active = span_equal(message->REPORT.what, SPAN_LITERAL("active"));
    if ((!is_active && !span_equal(message->REPORT.what, SPAN_LITERAL("synced"))) ||
        !parse_slots(message->body, &slots))
        return ERR_SYNTAX;
    if (message->REPORT.epoch != views_epoch(views) || message->REPORT.epoch == 0)
        return ERR_OK;
    uint32_t member = member_of(views, peer);
    if (member != VIEW_NOBODY)
        take(views, member, is_active, &slots, now);
    return ERR_OK;
}

/* --- telling ---------------------------------------------------------------------------------- */

/* Who is to know: voters, and those that stop and wait for the others to have everything. */
static bool is_told(const struct member *member)
{
    return member->is_voter || member->standing == STANDING_STOPPING;
}

/* What this node has; body: scratch. */
static struct message report_of(const struct views *views, bool is_active, struct buf *body)
{
    buf_consume(body, buf_len(body));
    format_slots(is_active ? &views->own_active : &views->own_synced, body);
    return (struct message){
        .kind = MESSAGE_REPORT,
        .REPORT = {.epoch = views_epoch(views),
                   .what = is_active ? SPAN_LITERAL("active") : SPAN_LITERAL("synced")},
        .body = buf_span(body)};
}

static void send(struct views *views, bool is_active, struct moment now)
{
    const struct view *view = keep_current(views);
    struct buf text = {0};
    struct message message = report_of(views, is_active, &text);
    for (uint32_t i = 0; i < view->member_count; i++) {
        uint32_t peer = views->peers[i];
        if (!is_told(&view->members[i]) || peer == PEER_SELF || peer == PEER_NONE)
            continue;
        struct reply *out = tell_out(views, peer, now);
        if (out)
            message_append(out, &message);
    }
    buf_close(&text);
    if (views->self != VIEW_NOBODY)
        take(views, views->self, is_active, is_active ? &views->own_active : &views->own_synced,
             now);
}

/* By member: what it comes into by the next placement, and is to have a copy of before that. A slot
 * without an up member holds up nothing. Both placements are the current view's: it is found once.
 */
static void find_comers(struct views *views)
{
    const struct ring *next = views_next_ring(views), *ring = views_ring(views, views_epoch(views));
    if (!next || views->are_comers_known)
        return;
    views->are_comers_known = true;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        bool is_same = memcmp(next->group[slot], ring->group[slot], sizeof(next->group[slot])) == 0;
        for (uint32_t i = 0; !is_same && i < next->group_size; i++) {
            uint32_t member = next->group[slot][i];
            if (ring->primary[slot] == RING_NOBODY || ring_has(ring, slot, member))
                continue;
            struct watch *watch = &views->watches[member];
            watch->comes = watch->comes ? watch->comes : calloc(1, sizeof(*watch->comes));
            CHECK(watch->comes != NULL);
            (void)put(watch->comes, slot, true);
        }
    }
}

/* Whether a member that is up and has these copies lacks one that the next placement gives it. */
static bool lacks(struct views *views, uint32_t member, const struct slots *synced)
{
    find_comers(views);
    const struct slots *comes = views->watches[member].comes;
    if (!comes || !member_is_up(&keep_current(views)->members[member]))
        return false;
    for (uint32_t i = 0; i < SLOT_WORDS; i++)
        if (comes->words[i] & ~(synced ? synced->words[i] : 0))
            return true;
    return false;
}

/* Whether this node comes into the group of a slot by the next placement, and has no copy yet. */
static bool is_filling(struct views *views)
{
    return views->self != VIEW_NOBODY && lacks(views, views->self, &views->own_synced);
}

/* Whether all that is due is that more of a copy has come. */
static bool may_wait(struct views *views, struct moment now)
{
    return !views->is_active_due && !views->is_less_due &&
           now.mono_ms < views->synced_ms + FILLING_MS && is_filling(views);
}

static void send_due(struct views *views, struct moment now)
{
    if (!views->is_active_due && !views->is_synced_due)
        return;
    if (views->report_ms == 0)
        views->report_ms = now.mono_ms + REPORT_MS;
    if (now.mono_ms < views->report_ms)
        return;
    if (may_wait(views, now)) {
        views->report_ms = now.mono_ms + REPORT_MS;
        return;
    }
    bool is_active_due = views->is_active_due, is_synced_due = views->is_synced_due;
    views->is_active_due = views->is_synced_due = views->is_less_due = false;
    views->report_ms = 0;
    if (is_active_due)
        send(views, true, now);
    if (!is_synced_due)
        return;
    views->synced_ms = now.mono_ms;
    send(views, false, now);
}

void report_asked(const struct views *views, const struct message_GET_REPORT *question,
                  struct reply *out)
{
    struct buf text = {0};
    if (question->epoch != views_epoch(views) || question->epoch == 0)
        return;
    for (int is_active = 0; is_active <= 1; is_active++) {
        struct message message = report_of(views, is_active, &text);
        message_append(out, &message);
    }
    buf_close(&text);
}

/* --- asking for what is lacking --------------------------------------------------------------- */

/* By member: who has not reported a slot active that it leads, or one synced that it is to hold.
 * Returns whether anybody has not. */
static bool find_lacking(struct views *views, bool *is_lacking)
{
    const struct ring *ring = views_ring(views, views_epoch(views));
    bool is_any = false;
    (void)report_is_placed(views);
    for (uint32_t i = 0; i < keep_current(views)->member_count; i++) {
        is_lacking[i] = !views->done[i];
        is_any |= is_lacking[i];
    }
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        uint16_t primary = ring->primary[slot];
        if (primary == RING_NOBODY || slots_has(&views->active, slot))
            continue;
        is_lacking[primary] = true;
        is_any = true;
    }
    return is_any;
}

static void ask_lacking(struct views *views, struct moment now)
{
    const struct view *view = keep_current(views);
    struct message question = {.kind = MESSAGE_GET_REPORT, .GET_REPORT = {.epoch = view->epoch}};
    views->lack_ms = UINT64_MAX;
    if (MUTANT(reports_once) || views->self == VIEW_NOBODY || !is_told(&view->members[views->self]))
        return;
    bool is_any_asked = false;
    bool *is_lacking = calloc(view->member_count, sizeof(*is_lacking));
    CHECK(is_lacking != NULL);
    if (find_lacking(views, is_lacking))
        views->lack_ms = now.mono_ms + views->lack_pause_ms;
    for (uint32_t i = 0; i < view->member_count; i++) {
        if (!is_lacking[i] || views->peers[i] == PEER_SELF ||
            now.mono_ms < views->watches[i].reported_ms + LACK_MS ||
            !keep_holds_alive(views, view->members[i].name))
            continue;
        struct reply *out = tell_out(views, views->peers[i], now);
        if (out)
            message_append(out, &question);
        is_any_asked = true;
    }
    free(is_lacking);
    if (is_any_asked && views->lack_pause_ms < LACK_MS_MAX)
        views->lack_pause_ms *= 2;
}

void report_tick(struct views *views, struct moment now)
{
    if (!keep_current(views))
        return;
    send_due(views, now);
    if (now.mono_ms >= views->lack_ms)
        ask_lacking(views, now);
}

uint64_t report_deadline(const struct views *views)
{
    bool is_due = views->is_active_due || views->is_synced_due;
    uint64_t due_ms = is_due ? views->report_ms : UINT64_MAX; /* 0: that is seen in a tick */
    return due_ms < views->lack_ms ? due_ms : views->lack_ms;
}

/* --- questions -------------------------------------------------------------------------------- */

static bool are_all_active(struct views *views)
{
    const struct ring *ring = views_ring(views, views_epoch(views));
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if ((ring->primary[slot] == RING_NOBODY && !MUTANT(base_past_nobody)) ||
            (ring->primary[slot] != RING_NOBODY && !slots_has(&views->active, slot)))
            return false;
    return true;
}

bool report_all_active(struct views *views)
{
    if (!views->is_active_known)
        views->is_all_active = are_all_active(views);
    views->is_active_known = true;
    return views->is_all_active;
}

bool report_own_active(struct views *views)
{
    const struct ring *ring = views_ring(views, views_epoch(views));
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if (ring_has(ring, slot, views->self) && !slots_has(&views->active, slot))
            return false;
    return true;
}

bool report_is_placed(struct views *views)
{
    if (views->is_placed_known)
        return views->is_placed;
    views->is_placed_known = true;
    views->is_placed = views_next_ring(views) != NULL;
    for (uint32_t i = 0; i < keep_current(views)->member_count; i++) {
        views->done[i] = !lacks(views, i, views->watches[i].synced);
        views->is_placed &= views->done[i];
    }
    return views->is_placed;
}
