/* Views: the fence, and who is gone for good (proto.md "Loss"). */
#include "common/check.h"
#include "common/mutant.h"
#include "common/number.h"
#include "server/core/views_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of HELD: name, generation, milliseconds. */
#define HELD_LINE_BYTES_MAX (ADDRESS_TEXT_BYTES_MAX + 1 + HEX64_DIGITS + 1 + DECIMAL_BYTES_MAX + 1)
#define HELD_LINES_MAX      (FRAME_BODY_BYTES_MAX / HELD_LINE_BYTES_MAX)

/* --- the fence -------------------------------------------------------------------------------- */

/* Who has accepted e+1 does not answer for e. */
static bool may_say_alive(const struct views *views)
{
    return views->own_voter != VIEW_NOBODY &&
           (views->state.acceptor.accepted.round == 0 || MUTANT(fence_past_accepted));
}

static void count_alive(struct views *views, uint32_t voter)
{
    quorum_say(&views->fence_quorum, voter, true);
    if (quorum_state(&views->fence_quorum) != QUORUM_WON)
        return;
    views->fence_ms = views->fence_asked_ms;
    views->fence_asked_ms = 0;
}

static void send_fence(struct views *views, struct moment now)
{
    views->fence_sent_ms = now.mono_ms;
    struct message question = {
        .kind = MESSAGE_GET_ALIVE,
        .GET_ALIVE = {.epoch = views_epoch(views), .number = views->fence_number}};
    tell_voters(views, &question, span_of(NULL, 0), now);
}

static void ask_fence(struct views *views, struct moment now)
{
    views->fence_number = ++views->number;
    views->fence_asked_ms = now.mono_ms;
    quorum_init(&views->fence_quorum, views->voter_count);
    send_fence(views, now);
    if (may_say_alive(views))
        count_alive(views, views->own_voter);
}

/* The question is sent when a request comes and the last answered one is older than half of
 * --fence, so an idle cluster asks nothing. */
void views_want_fence(struct views *views, struct moment now)
{
    uint32_t half_ms = views->options.fence_ms / 2;
    if (views->options.on_loss == VIEWS_ON_LOSS_WAIT || !keep_current(views))
        return;
    if (views->fence_ms != 0 && now.mono_ms < views->fence_ms + half_ms)
        return;
    /* Answers may be on their way, or lost with a connection: what is told again is the same
     * question, and whoever has not accepted the next view now had not when it was asked. */
    bool is_asked = views->fence_asked_ms != 0 && now.mono_ms < views->fence_asked_ms + half_ms;
    if (is_asked && now.mono_ms < views->fence_sent_ms + half_ms / 4)
        return;
    if (is_asked && !MUTANT(fence_anew))
        send_fence(views, now);
    else
        ask_fence(views, now);
}

bool views_has_fence(const struct views *views, struct moment now)
{
    if (views->options.on_loss == VIEWS_ON_LOSS_WAIT)
        return true;
    return views->fence_ms != 0 &&
           (now.mono_ms < views->fence_ms + views->options.fence_ms || MUTANT(fence_for_ever));
}

void loss_asked_alive(struct views *views, uint32_t peer, const struct message_GET_ALIVE *question,
                      struct reply *out)
{
    struct message answer = {.kind = MESSAGE_ALIVE,
                             .ALIVE = {.epoch = views_epoch(views), .number = question->number}};
    (void)peer;
    /* One of a higher epoch says that this one is over; who asks of a view in which it is out hears
     * that it was adopted. One that does not vote is not counted. */
    if (question->epoch != views_epoch(views) || views->own_voter == VIEW_NOBODY ||
        may_say_alive(views))
        message_append(out, &answer);
}

void loss_alive(struct views *views, uint32_t peer, const struct message_ALIVE *answer,
                struct moment now)
{
    uint32_t voter = keep_current(views) ? keep_voter_of(views, peer) : VIEW_NOBODY;
    (void)now;
    if (voter == VIEW_NOBODY || answer->epoch != views_epoch(views) ||
        answer->number != views->fence_number || views->fence_asked_ms == 0)
        return;
    count_alive(views, voter);
}

/* --- who is gone ------------------------------------------------------------------------------ */

static struct held *held_find(struct views *views, struct span name, uint64_t generation)
{
    for (uint32_t i = 0; i < views->held_count; i++)
        if (views->held[i].generation == generation &&
            span_equal(name, span_of_string(views->held[i].name)))
            return &views->held[i];
    return NULL;
}

static void drop_unwanted(struct views *views, struct moment now)
{
    for (uint32_t i = views->held_count; i-- > 0;)
        if (!views->held[i].is_given_up && now.mono_ms >= views->held[i].wanted_ms + HELD_KEEP_MS)
            views->held[i] = views->held[--views->held_count];
}

static struct held *held_new(struct views *views, struct span name, uint64_t generation)
{
    if (views->held_count == views->held_capacity) {
        views->held_capacity = views->held_capacity ? 2 * views->held_capacity : 16;
        views->held = realloc(views->held, views->held_capacity * sizeof(*views->held));
        CHECK(views->held != NULL);
    }
    struct held *held = &views->held[views->held_count++];
    *held = (struct held){.generation = generation};
    CHECK(name.len < sizeof(held->name));
    memcpy(held->name, name.data, name.len);
    return held;
}

/* Good until the next one is added. NULL: so many are wanted that its turn comes when the others
 * are no longer. */
static struct held *held_want(struct views *views, struct span name, uint64_t generation,
                              struct moment now)
{
    struct held *held = held_find(views, name, generation);
    if (MUTANT(held_few) && !held && views->held_count - views->given_up_count >= 64)
        return NULL;
    if (!held && views->held_count - views->given_up_count >= HELD_MAX)
        drop_unwanted(views, now);
    if (!held && views->held_count - views->given_up_count < HELD_MAX)
        held = held_new(views, name, generation);
    if (held && !held->is_given_up)
        held->wanted_ms = now.mono_ms;
    return held;
}

/* Since when this node holds a member DEAD, mono ms; 0: it does not. */
static uint64_t held_dead_since(const struct views *views, const char *name, uint64_t generation)
{
    const struct account *account = keep_account(views, name);
    if (!account || account->generation != generation)
        return 0;
    if (account->state == MEMBER_DEAD || account->state == MEMBER_LEFT)
        return account->state_ms;
    if (account->state != MEMBER_REMOVED)
        return 0;
    uint64_t before_ms = views->gossip->options.remove_ms;
    return account->state_ms > before_ms ? account->state_ms - before_ms : 1;
}

/* The views there are say it: once superseded, for good; or an operator's word, unless it is back.
 */
static bool is_written_off(const struct views *views, const struct member *member)
{
    const struct state *state = &views->state;
    bool is_superseded = false, is_forgotten = false;
    for (uint32_t i = 0; i < state->view_count; i++) {
        uint32_t at = view_find(&state->views[i], span_of_string(member->name), member->generation);
        if (at == VIEW_NOBODY)
            continue;
        is_superseded |= state->views[i].members[at].standing == STANDING_SUPERSEDED;
        is_forgotten = state->views[i].members[at].standing == STANDING_FORGOTTEN;
    }
    const struct account *account = keep_account(views, member->name);
    return is_superseded || is_forgotten ||
           (account && account->state != MEMBER_UNVERIFIED && account->boot > member->boot &&
            account->generation != member->generation);
}

/* Whether a voter has said lately that it held it DEAD for long enough. It may have come back
 * since: what was said before this node was stopped, or cut off, or lay on the way, counts no more.
 */
static bool is_long_dead(const struct views *views, const struct held *held, uint32_t voter,
                         struct moment now)
{
    return held->dead_ms[voter] != 0 && held->dead_ms[voter] >= views->options.recover_after_ms &&
           now.mono_ms < held->asked_ms[voter] + HELD_GOOD_MS;
}

bool views_is_gone(struct views *views, const struct member *member, struct moment now)
{
    const struct view *view = keep_current(views);
    struct span name = span_of_string(member->name);
    struct held *held = held_find(views, name, member->generation);
    if (held && held->is_given_up)
        return true;
    if (!view || views->options.on_loss == VIEWS_ON_LOSS_WAIT)
        return false;
    held = held_want(views, name, member->generation, now);
    if (!held)
        return false;
    /* e' having been adopted here longer than --fence ago */
    if (now.mono_ms < views->adopted_ms + views->options.fence_ms && !MUTANT(recovers_at_once))
        return false;
    if (is_written_off(views, member))
        return true;
    struct quorum quorum;
    quorum_init(&quorum, views->voter_count);
    for (uint32_t voter = 0; voter < views->voter_count; voter++)
        if (is_long_dead(views, held, voter, now))
            quorum_say(&quorum, voter, true);
    return quorum_state(&quorum) == QUORUM_WON;
}

/* --- asking who is held DEAD ------------------------------------------------------------------ */

/* Its number is the time: the answer tells how old it is. */
static void send_held(struct views *views, struct buf *lines, struct moment now)
{
    struct message question = {.kind = MESSAGE_GET_HELD,
                               .GET_HELD = {.epoch = views_epoch(views), .number = now.mono_ms}};
    tell_voters(views, &question, buf_span(lines), now);
    buf_consume(lines, buf_len(lines));
}

/* In as many questions as it takes for each, and its answer, to fit one frame. */
static void ask_held(struct views *views, struct moment now)
{
    struct buf text = {0};
    uint32_t lines = 0;
    for (uint32_t i = 0; i < views->held_count; i++) {
        const struct held *held = &views->held[i];
        if (now.mono_ms >= held->wanted_ms + 2 * HELD_ASK_MS)
            continue;
        buf_printf(&text, "%s %016" PRIx64 "\n", held->name, held->generation);
        if (++lines % HELD_LINES_MAX == 0)
            send_held(views, &text, now);
    }
    if (buf_len(&text) > 0)
        send_held(views, &text, now);
    buf_close(&text);
}

/* For how long this node has held a member DEAD, ms; 0: it does not. */
static uint64_t held_dead_ms(const struct views *views, const char *name, uint64_t generation,
                             struct moment now)
{
    uint64_t since_ms = held_dead_since(views, name, generation);
    if (since_ms == 0)
        return 0;
    return now.mono_ms > since_ms ? now.mono_ms - since_ms : 1;
}

/* The own voter answers the last question when the next is asked: by then this node has read what
 * came after it, as others have. */
static void answer_held(struct views *views, struct moment now)
{
    if (views->own_voter == VIEW_NOBODY)
        return;
    for (uint32_t i = 0; i < views->held_count; i++) {
        struct held *held = &views->held[i];
        held->dead_ms[views->own_voter] = held_dead_ms(views, held->name, held->generation, now);
        held->asked_ms[views->own_voter] = views->held_asked_ms;
    }
}

/* Whether the voters are to be asked, as soon as the last question is old enough. */
static bool is_held_wanted(const struct views *views, struct moment now)
{
    if (!keep_current(views) || views->options.on_loss == VIEWS_ON_LOSS_WAIT)
        return false;
    for (uint32_t i = 0; i < views->held_count; i++)
        if (now.mono_ms < views->held[i].wanted_ms + 2 * HELD_ASK_MS)
            return true;
    return false;
}

void loss_tick(struct views *views, struct moment now)
{
    if (now.mono_ms < views->held_ask_ms || !is_held_wanted(views, now))
        return;
    views->held_ask_ms = now.mono_ms + HELD_ASK_MS;
    drop_unwanted(views, now);
    answer_held(views, now);
    ask_held(views, now);
    views->held_asked_ms = now.mono_ms;
}

uint64_t loss_deadline(const struct views *views)
{
    const struct moment last = {.mono_ms = views->tick_ms};
    return is_held_wanted(views, last) ? views->held_ask_ms : UINT64_MAX;
}

/* Takes "name generation\n", or with milliseconds behind. */
static bool take_line(struct span *text, char name[ADDRESS_TEXT_BYTES_MAX], uint64_t *generation,
                      uint64_t *ms)
{
    const char *end = text->len > 0 ? memchr(text->data, '\n', text->len) : NULL;
    if (!end)
        return false;
    struct span line = span_of(text->data, (size_t)(end - text->data));
    *text = span_of(end + 1, text->len - line.len - 1);
    struct span word = span_take_word(&line);
    if (word.len == 0 || word.len >= ADDRESS_TEXT_BYTES_MAX || memchr(word.data, '\0', word.len))
        return false;
    memcpy(name, word.data, word.len);
    name[word.len] = '\0';
    return number_parse_hex(span_take_word(&line), HEX64_DIGITS, generation) &&
           (ms ? number_parse_decimal(line, INT64_MAX, ms) : line.len == 0);
}

/* Says it of each that is named, as far as one frame goes. */
enum err loss_asked_held(struct views *views, const struct message *question, struct reply *out,
                         struct moment now)
{
    struct span text = question->body;
    struct buf body = {0};
    char name[ADDRESS_TEXT_BYTES_MAX];
    uint64_t generation;
    bool is_good = true;
    while (text.len > 0 && buf_len(&body) + HELD_LINE_BYTES_MAX <= FRAME_BODY_BYTES_MAX &&
           (is_good = take_line(&text, name, &generation, NULL)))
        buf_printf(&body, "%s %016" PRIx64 " %" PRIu64 "\n", name, generation,
                   held_dead_ms(views, name, generation, now));
    struct message answer = {
        .kind = MESSAGE_HELD,
        .HELD = {.epoch = views_epoch(views), .number = question->GET_HELD.number},
        .body = buf_span(&body)};
    if (is_good)
        message_append(out, &answer);
    buf_close(&body);
    return is_good ? ERR_OK : ERR_SYNTAX;
}

/* Of those that are not named it says nothing: they are in another answer. */
enum err loss_held(struct views *views, uint32_t peer, const struct message *answer,
                   struct moment now)
{
    uint32_t voter = keep_current(views) ? keep_voter_of(views, peer) : VIEW_NOBODY;
    struct span text = answer->body;
    char name[ADDRESS_TEXT_BYTES_MAX];
    uint64_t generation, ms;
    if (voter == VIEW_NOBODY || answer->HELD.epoch != views_epoch(views) ||
        answer->HELD.number > now.mono_ms)
        return ERR_OK;
    while (text.len > 0) {
        if (!take_line(&text, name, &generation, &ms))
            return ERR_SYNTAX;
        struct held *held = held_find(views, span_of_string(name), generation);
        if (!held)
            continue;
        held->dead_ms[voter] = ms;
        held->asked_ms[voter] = answer->HELD.number;
    }
    return ERR_OK;
}

void loss_adopted(struct views *views)
{
    /* Numbers of voters, and what they said, were those of the view before. */
    views->fence_ms = views->fence_asked_ms = 0;
    views->held_ask_ms = views->held_asked_ms = 0;
    for (uint32_t i = 0; i < views->held_count; i++)
        memset(views->held[i].dead_ms, 0, sizeof(views->held[i].dead_ms));
}

/* --- given up --------------------------------------------------------------------------------- */

enum err loss_accepted(struct views *views, const struct message *message, struct moment now)
{
    struct span text = message->body;
    char name[ADDRESS_TEXT_BYTES_MAX];
    uint64_t generation;
    while (text.len > 0) {
        if (!take_line(&text, name, &generation, NULL))
            return ERR_SYNTAX;
        struct held *held = held_find(views, span_of_string(name), generation);
        if (held && held->is_given_up)
            continue;
        if (views->given_up_count == GIVEN_UP_MAX)
            return ERR_OK; /* more than any cluster has */
        if (!held)
            held = held_new(views, span_of_string(name), generation);
        held->is_given_up = true;
        held->wanted_ms = 0; /* nobody is asked about it any more */
        views->given_up_count++;
        log_line(views->log, now, LOG_WARN, "given-up", "member=%s generation=%016" PRIx64, name,
                 generation);
    }
    return ERR_OK;
}
