/* Gossip: asking for a list, and answering with one. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/gossip_parts.h"

#define LIST_BYTES_MAX   (FRAME_BODY_BYTES_MAX - 4096u) /* a line and the heartbeats fit behind */
#define HEARTBEATS       4u
#define NEWEST           8u    /* changes told to one that asks only where this node stands */
#define MISMATCHES_WHOLE 2u    /* exchanges, then the whole list is asked for */
#define WHOLE_ROW        3u    /* whole lists asked for because of mismatches, in a row; else */
#define WHOLE_MS_MIN     5000u /* there is so long between them, */
#define WHOLE_MS_MEMBER  50u   /* or so long for every member */

/* Questions in a row for one list, or for what there is of it: the longest list takes up to 70
 * frames. Whoever has more to tell is asked again in a later round. */
#define CHUNKS_MAX 100u

static struct message question_of(struct gossip *gossip, uint64_t since)
{
    const struct account *self = gossip->members.self;
    return (struct message){.kind = MESSAGE_GET_MEMBERSHIP_LIST,
                            .GET_MEMBERSHIP_LIST = {.number = ++gossip->number,
                                                    .boot = self->boot,
                                                    .inc = self->inc,
                                                    .hb = self->hb,
                                                    .since = since,
                                                    .viewhash = gossip->members.viewhash}};
}

/* What has this node's own account not been told over this link. */
static void append_self(struct gossip *gossip, struct account *record, struct moment now,
                        struct buf *out)
{
    if (record->has_account)
        return;
    hear_append_account(gossip, gossip->members.self, now, out);
    record->has_account = true;
}

/* Where to begin: at the last change seen. One not asked yet is asked only where it stands, since
 * the others have told what there is; unless it is no member here. */
static uint64_t since_of(const struct gossip *gossip, const struct account *record)
{
    if (!record_is_live(record) || !gossip->has_joined || MUTANT(whole_lists))
        return 0;
    uint64_t generation =
        record->peer == NO_PEER ? 0 : gossip->links->peers[record->peer]->generation;
    return record->cursor != 0 && record->cursor_generation == generation ? record->cursor
                                                                          : SINCE_NEWEST;
}

static uint64_t ask_since(struct gossip *gossip, struct account *record, uint64_t since,
                          struct moment now)
{
    struct reply *out = wire_out(gossip, record, now);
    if (!out)
        return 0;
    struct buf *body = wire_body(gossip);
    if (hear_is_accused(record))
        hear_append_account(gossip, record, now, body);
    append_self(gossip, record, now, body);
    gossip->stats->rumors_sent +=
        rumors_take(&gossip->rumors, RUMORS_PIGGYBACK_MAX, now.mono_ms, body);
    struct message question = question_of(gossip, since);
    question.body = buf_span(body);
    wire_send(gossip, out, &question);
    record->asked_number = gossip->number;
    record->asked_since = since;
    if (record->asked_ms == 0)
        record->asked_ms = now.mono_ms;
    return gossip->number;
}

uint64_t exchange_ask(struct gossip *gossip, struct account *record, bool whole, struct moment now)
{
    record->chunks = 0;
    return ask_since(gossip, record, whole ? 0 : since_of(gossip, record), now);
}

uint64_t exchange_ask_name(struct gossip *gossip, const char *name, struct moment now)
{
    struct account *record = members_find(&gossip->members, span_of_string(name));
    if (record)
        return exchange_ask(gossip, record, true, now);
    uint32_t peer = links_peer(gossip->links, name);
    if (peer == PEER_NONE)
        return 0;
    links_wake(gossip->links, peer, LANE_CONTROL);
    struct link *link = links_to(gossip->links, peer, LANE_CONTROL, now);
    struct reply *out = link ? link_out(gossip->links, link) : NULL;
    if (!out)
        return 0;
    struct buf *body = wire_body(gossip);
    hear_append_account(gossip, gossip->members.self, now, body);
    struct message question = question_of(gossip, 0);
    question.body = buf_span(body);
    wire_send(gossip, out, &question);
    return gossip->number;
}

/* --- answering -------------------------------------------------------------------------------- */

/* Appends the changes after since, as far as they fit. Returns the last one told. */
static uint64_t append_changes(struct gossip *gossip, uint64_t since, struct moment now,
                               struct buf *out)
{
    struct members *members = &gossip->members;
    struct account *record = members_since(members, since);
    for (; record; record = members_next(members, record)) {
        if (buf_len(out) + NEWS_LINE_BYTES_MAX > LIST_BYTES_MAX)
            return since;
        hear_append_account(gossip, record, now, out);
        since = record->change;
    }
    return members->version;
}

/* Appends those removed so short a time ago that the asker may still wait for the end of a
 * suspicion that it has alone. */
static void append_removed(struct gossip *gossip, struct moment now, struct buf *out)
{
    const struct list *tombstones = &gossip->members.tombstones;
    for (const struct list *at = tombstones->prev; at != tombstones; at = at->prev) {
        const struct account *record = CONTAINER_OF(at, struct account, in_state);
        if (now.mono_ms >= record->state_ms + gossip->options.stalled_max_ms ||
            buf_len(out) + NEWS_LINE_BYTES_MAX > LIST_BYTES_MAX)
            return;
        hear_append_account(gossip, record, now, out);
    }
}

/* The heartbeats heard last: they are the freshest, and news to most. */
static void append_heartbeats(const struct members *members, const struct account *asker,
                              struct moment now, struct buf *out)
{
    const struct list *link = members->by_proof.prev;
    for (uint32_t told = 0; told < HEARTBEATS && link != &members->by_proof; link = link->prev) {
        const struct account *record = CONTAINER_OF(link, struct account, by_proof);
        if (record == asker || record->state != MEMBER_ALIVE || record->hb == 0)
            continue;
        const struct news news = {.is_heartbeat = true,
                                  .name = span_of_string(record->name),
                                  .tag = (uint16_t)record->boot,
                                  .hb = record->hb,
                                  .age_ms = news_age_ms(record->proof_ms, now.mono_ms)};
        news_append(out, &news);
        told++;
    }
}

void exchange_answer(struct gossip *gossip, uint32_t peer,
                     const struct message_GET_MEMBERSHIP_LIST *question, struct reply *out,
                     struct moment now)
{
    struct members *members = &gossip->members;
    struct account *asker = wire_record(gossip, peer);
    bool is_same = question->viewhash == members->viewhash;
    uint64_t since = question->since <= members->version || question->since == SINCE_NEWEST
                         ? question->since
                         : 0;
    uint64_t version = members->version;
    struct buf *body = wire_body(gossip);
    if (since == SINCE_NEWEST && !is_same)
        since = version > NEWEST ? version - NEWEST : 0;
    if ((!is_same || MUTANT(whole_lists)) && since != SINCE_NEWEST) {
        version = append_changes(gossip, since, now, body);
        if (since == 0 && version == members->version)
            append_removed(gossip, now, body);
    } else {
        gossip->stats->rumors_sent +=
            rumors_take(&gossip->rumors, RUMORS_PIGGYBACK_MAX, now.mono_ms, body);
    }
    append_heartbeats(members, asker, now, body);
    struct message answer = {.kind = MESSAGE_MEMBERS,
                             .MEMBERS = {.number = question->number,
                                         .boot = members->self->boot,
                                         .inc = members->self->inc,
                                         .hb = members->self->hb,
                                         .version = version,
                                         .newest = members->version,
                                         .viewhash = members->viewhash},
                             .body = buf_span(body)};
    wire_send(gossip, out, &answer);
    /* Who wants all may have as much to tell: two clusters meet, or two sides of a split. */
    if (question->since == 0 && !is_same && asker && asker->asked_number == 0 &&
        now.mono_ms >= asker->whole_ms) {
        asker->whole_ms = now.mono_ms + WHOLE_MS_MIN;
        exchange_ask(gossip, asker, true, now);
    }
}

/* --- taking ----------------------------------------------------------------------------------- */

static void measure(struct account *record, struct moment now)
{
    if (record->asked_ms == 0)
        return;
    uint32_t rtt_ms = (uint32_t)(now.mono_ms - record->asked_ms);
    record->asked_ms = 0;
    record->srtt_ms =
        record->srtt_ms == 0 ? 8 * rtt_ms + 1 : record->srtt_ms - record->srtt_ms / 8 + rtt_ms;
}

/* Asks for a whole list, unless too many were asked for of late. */
static void ask_whole(struct gossip *gossip, struct account *record, struct moment now)
{
    uint64_t pause_ms = (uint64_t)gossip->members.live_count * WHOLE_MS_MEMBER;
    pause_ms = pause_ms > WHOLE_MS_MIN ? pause_ms : WHOLE_MS_MIN;
    if (gossip->whole_ms > now.mono_ms + (WHOLE_ROW - 1) * pause_ms) {
        record->mismatches = 0;
        return;
    }
    gossip->whole_ms = (gossip->whole_ms > now.mono_ms ? gossip->whole_ms : now.mono_ms) + pause_ms;
    gossip->stats->gossip_whole_lists++;
    exchange_ask(gossip, record, true, now);
}

/* The lists differ although every change has been told: once may be chance, news under way; the
 * same member is asked again in the next round, and if they still differ, for the whole list. If
 * that does not help, it has missed the same news: the next one that differs is asked for its own
 * list at once. */
static void compare(struct gossip *gossip, struct account *record, uint64_t viewhash,
                    struct moment now)
{
    if (viewhash == gossip->members.viewhash) {
        record->mismatches = 0;
        gossip->is_whole_vain = false;
    } else if (record->mismatches == MISMATCHES_WHOLE) {
        record->mismatches = 0;
        gossip->is_whole_vain = true;
    } else if (++record->mismatches == MISMATCHES_WHOLE || gossip->is_whole_vain) {
        record->mismatches = MISMATCHES_WHOLE;
        ask_whole(gossip, record, now);
    } else {
        gossip->recheck = record;
    }
}

/* There is more: it is asked for at once, unless the peer only says so. An answer that leads no
 * further than its question would be followed by the same one, at the speed of the network. */
static void ask_on(struct gossip *gossip, struct account *record, uint64_t version,
                   struct moment now)
{
    if (version <= record->asked_since || record->chunks == CHUNKS_MAX)
        return;
    record->chunks++;
    ask_since(gossip, record, version, now);
}

void exchange_take(struct gossip *gossip, struct account *record,
                   const struct message_MEMBERS *answer, struct moment now)
{
    if (answer->number != record->asked_number)
        return; /* an older question's: it has proved life, no more */
    record->asked_number = 0;
    measure(record, now);
    record->cursor = answer->version;
    record->cursor_generation = gossip->links->peers[record->peer]->generation;
    if (answer->version < answer->newest)
        ask_on(gossip, record, answer->version, now);
    else
        compare(gossip, record, answer->viewhash, now);
}
