/* Gossip: what lines of news do. Each transition is logged once, and passed on if it is news. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/gossip_parts.h"

#include <inttypes.h>
#include <stdlib.h>

#define TELL_INTERVAL_MS 500u

/* --- passing on ------------------------------------------------------------------------------- */

static void spread(struct gossip *gossip, const struct account *record, const struct news *news,
                   struct moment now)
{
    if (gossip->no_pushes)
        return;
    rumors_add(&gossip->rumors, record, news, gossip->members.live_count, now.mono_ms);
}

void hear_spread_self(struct gossip *gossip, struct moment now)
{
    struct news news;
    members_tell(&gossip->members, gossip->members.self, now.mono_ms, &news);
    spread(gossip, gossip->members.self, &news, now);
}

/* The members that news goes to at once: the successor, for whoever chance would miss; the others
 * by chance. */
static uint32_t push_targets(struct gossip *gossip, struct account *targets[GOSSIP_FANOUT_MAX])
{
    struct target_view view = wire_view(gossip);
    struct account *successor = targets_successor(&view);
    uint32_t count = 0;
    if (successor)
        targets[count++] = successor;
    return count + targets_draw(&gossip->prng, &view, successor, gossip->options.fanout - count,
                                targets + count);
}

void hear_push(struct gossip *gossip, struct moment now)
{
    if (gossip->rumors.unpushed == 0 || MUTANT(never_pushes))
        return;
    struct account *targets[GOSSIP_FANOUT_MAX];
    uint32_t count = push_targets(gossip, targets);
    struct buf *body = wire_body(gossip);
    /* A lone node tells nobody; its rumors are spent all the same. */
    uint32_t lines = rumors_take_unpushed(&gossip->rumors, count ? count : 1, now.mono_ms, body);
    gossip->stats->rumors_sent += (uint64_t)lines * count;
    struct message news = {.kind = MESSAGE_NEWS,
                           .NEWS = {.number = 0, .hb = gossip->members.self->hb},
                           .body = buf_span(body)};
    for (uint32_t i = 0; i < count; i++) {
        struct reply *out = wire_out(gossip, targets[i], now);
        if (out)
            wire_send(gossip, out, &news);
    }
}

/* --- telling the accused ---------------------------------------------------------------------- */

static void append_account(struct gossip *gossip, const struct account *record,
                           enum member_state state, struct moment now, struct buf *out)
{
    struct news news;
    members_tell(&gossip->members, record, now.mono_ms, &news);
    news.state = state;
    news_append(out, &news);
}

void hear_append_account(struct gossip *gossip, const struct account *record, struct moment now,
                         struct buf *out)
{
    append_account(gossip, record, record->state, now, out);
}

static bool is_untold(enum member_state state)
{
    return state == MEMBER_REMOVED && MUTANT(removed_untold);
}

bool hear_is_accused(const struct account *record)
{
    return !is_untold(record->state) && record->state != MEMBER_ALIVE &&
           record->state != MEMBER_UNVERIFIED;
}

/* Tells record how it stands, so that it can say otherwise; at most twice a second. state: as
 * others hold it; it may have been cleared here. */
static void tell(struct gossip *gossip, struct account *record, enum member_state state,
                 struct moment now)
{
    if (is_untold(state) ||
        (record->told_ms != 0 && now.mono_ms < record->told_ms + TELL_INTERVAL_MS))
        return;
    struct reply *out = wire_out(gossip, record, now);
    if (!out)
        return;
    record->told_ms = now.mono_ms;
    struct buf line = {0};
    append_account(gossip, record, state, now, &line);
    struct message ping = {
        .kind = MESSAGE_PING, .PING = {.number = ++gossip->number}, .body = buf_span(&line)};
    wire_send(gossip, out, &ping);
    buf_close(&line);
}

/* --- transitions ------------------------------------------------------------------------------ */

static void log_member(struct gossip *gossip, const struct account *record, enum log_level level,
                       const char *event, struct moment now)
{
    log_line(gossip->log, now, level, event, "member=%s boot=%" PRIu64 " inc=%u", record->name,
             record->boot, record->inc);
}

static void log_suspicion(struct gossip *gossip, const struct account *record, const char *event,
                          struct moment now)
{
    const struct suspicion *suspicion = record->suspicion;
    log_line(gossip->log, now, LOG_WARN, event,
             "member=%s boot=%" PRIu64 " inc=%u class=%s reporters=%u own=%d minority=%d",
             record->name, record->boot, record->inc, evidence_word(suspicion->evidence),
             suspicion->reporter_count, suspicion->is_own, gossip->isolated_since_ms != 0);
}

/* Nothing is asked of it any more, and no link to it is kept. */
static void member_gone(struct gossip *gossip, struct account *record, struct moment now)
{
    wire_stop_asking(gossip, record);
    wire_drop(gossip, record, now);
    record->is_watched = false;
}

static void member_came(struct gossip *gossip, struct account *record, const char *event,
                        struct moment now)
{
    log_member(gossip, record, LOG_INFO, event, now);
    record->failures = 0;
    record->mismatches = 0;
    gossip->suspect_ms = 0;
}

/* A suspicion has ended here without the accused's own word: it does not know of it yet. */
static void cleared(struct gossip *gossip, struct account *record, const char *reason,
                    struct moment now)
{
    log_line(gossip->log, now, LOG_INFO, "member-alive", "member=%s inc=%u reason=%s", record->name,
             record->inc, reason);
    gossip->suspect_ms = 0;
    tell(gossip, record, MEMBER_SUSPECT, now);
}

/* What an account has done is logged. Returns whether others should hear it. */
static bool react(struct gossip *gossip, enum hearing hearing, struct account *record,
                  const struct news *news, struct moment now)
{
    switch (hearing) {
    case HEARD_NEW:
        member_came(gossip, record, "member-joined", now);
        return true;
    case HEARD_RESTARTED:
        member_came(gossip, record, "member-restarted", now);
        return true;
    case HEARD_RENEWED:
        member_came(gossip, record, "member-renewed", now);
        return true;
    case HEARD_REFUTED:
        log_line(gossip->log, now, LOG_INFO, "member-alive", "member=%s inc=%u reason=refuted",
                 record->name, record->inc);
        gossip->suspect_ms = 0;
        return true;
    case HEARD_ALIVE:
        return true;
    case HEARD_SUSPECT:
        gossip->stats->suspicions++;
        log_suspicion(gossip, record, "member-suspect", now);
        gossip->suspect_ms = 0;
        return true;
    case HEARD_REPORT:
        gossip->suspect_ms = 0;
        return true;
    case HEARD_CONDEMNED:
        gossip->suspect_ms = 0;
        return false;
    case HEARD_DEAD:
        log_suspicion(gossip, record, "member-dead", now);
        member_gone(gossip, record, now);
        return true;
    case HEARD_LEFT:
        log_member(gossip, record, LOG_INFO, "member-left", now);
        member_gone(gossip, record, now);
        return true;
    case HEARD_OUTDATED:
        tell(gossip, record, news->state, now);
        return false;
    case HEARD_CANCELLED:
        cleared(gossip, record, "heard", now);
        return false;
    case HEARD_REMOVED:
        if (record->state == MEMBER_LEFT)
            return false; /* the last words of one that leaves come by many ways */
        tell(gossip, record, record->state, now);
        return false;
    case HEARD_PROOF:
        if (record->state == MEMBER_DEAD)
            tell(gossip, record, MEMBER_DEAD, now);
        return false;
    case HEARD_FULL:
        gossip->stats->members_full++;
        return false;
    case HEARD_UNVERIFIED:
    case HEARD_NOTHING:
    case HEARD_SELF:
        break;
    }
    return false;
}

/* --- about this node itself ------------------------------------------------------------------- */

/* The others hold the boot it has for gone, and will never have it back: it takes another. */
static void renew(struct gossip *gossip, uint64_t boot_known, struct moment now)
{
    uint64_t boot = boot_known + 1;
    if (boot_known >= INT64_MAX)
        return;
    if (now.unix_ms > 0 && (uint64_t)now.unix_ms > boot)
        boot = (uint64_t)now.unix_ms;
    members_raise_boot(&gossip->members, boot);
    gossip->links->identity.boot = boot;
    for (uint32_t i = 0; i < gossip->members.count; i++)
        gossip->members.all[i]->has_account = false;
    log_line(gossip->log, now, LOG_WARN, "renewed", "boot=%" PRIu64, boot);
    hear_spread_self(gossip, now);
}

static void refute(struct gossip *gossip, const struct news *news, struct moment now)
{
    struct account *self = gossip->members.self;
    if (news->inc < self->inc || MUTANT(never_refutes))
        return; /* answered already */
    if (news->inc == UINT32_MAX) {
        renew(gossip, self->boot, now); /* none is higher: it takes another life */
        return;
    }
    members_raise_inc(&gossip->members, news->inc + 1);
    gossip->health = health_worse(gossip->health, 1);
    gossip->stats->refutations++;
    char by[ADDRESS_TEXT_BYTES_MAX];
    log_line(gossip->log, now, LOG_WARN, "refuted", "inc=%u state=%s class=%s by=%s", self->inc,
             member_state_word(news->state), evidence_word(news->evidence),
             log_quote(news->by.data, news->by.len, by, sizeof(by)));
    hear_spread_self(gossip, now);
}

static void end_as_duplicate(struct gossip *gossip, const struct news *news, struct moment now)
{
    if (!gossip->is_duplicate)
        log_line(gossip->log, now, LOG_ERROR, "duplicate",
                 "boot=%" PRIu64 " later=%" PRIu64 " reason=\"another process has this name\"",
                 gossip->members.self->boot, news->boot);
    gossip->is_duplicate = true;
}

static void hear_self(struct gossip *gossip, const struct news *news, struct moment now)
{
    const struct account *self = gossip->members.self;
    if (gossip->leave_until_ms != 0)
        return;
    bool is_later = news->boot > self->boot ||
                    (news->boot == self->boot && news->generation > self->generation);
    bool is_own = news->boot == self->boot && news->generation == self->generation;
    /* Its own process can still refute that it is DEAD; nobody can for one that was. */
    bool is_gone = news->state == MEMBER_LEFT || news->state == MEMBER_REMOVED ||
                   (is_later && news->state == MEMBER_DEAD);
    if (is_gone && (is_own || is_later))
        renew(gossip, news->boot, now);
    else if (is_later)
        end_as_duplicate(gossip, news, now);
    else if (is_own && (news->state != MEMBER_ALIVE || news->inc > self->inc))
        refute(gossip, news, now);
}

/* --- bodies ----------------------------------------------------------------------------------- */

static uint64_t later(uint64_t ms, uint64_t by_ms)
{
    return ms < UINT64_MAX - by_ms ? ms + by_ms : UINT64_MAX;
}

/* Whoever comes or goes for good: each node passes it on once, however it has heard, since the next
 * one in the order of names may hear it from nobody else. */
static bool is_lasting(enum hearing hearing)
{
    switch (hearing) {
    case HEARD_NEW:
    case HEARD_RESTARTED:
    case HEARD_RENEWED:
    case HEARD_DEAD:
    case HEARD_LEFT:
        return true;
    default:
        return false;
    }
}

static void hear_account(struct gossip *gossip, const struct telling *telling, struct span from,
                         struct news *news, struct moment now)
{
    struct account *record;
    bool is_direct = span_equal(news->name, from) && hear_unread_ms(gossip, now) == 0;
    gossip->stats->rumors_received++;
    enum hearing hearing = members_hear(&gossip->members, news, is_direct, now.mono_ms, &record);
    if (hearing == HEARD_SELF) {
        hear_self(gossip, news, now);
        return;
    }
    bool is_told = telling->is_news || is_direct || (telling->is_delta && is_lasting(hearing));
    if (!react(gossip, hearing, record, news, now) || !is_told)
        return;
    news->hops++;
    spread(gossip, record, news, now);
}

static void hear_heartbeat(struct gossip *gossip, const struct news *news, struct moment now)
{
    struct account *record = members_hear_heartbeat(&gossip->members, news, now.mono_ms);
    if (record)
        cleared(gossip, record, "heard", now);
}

static void hear_line(struct gossip *gossip, const struct telling *telling, struct news *news,
                      struct moment now)
{
    struct span from = span_of_string(links_name(gossip->links, telling->peer));
    news->age_ms = later(news->age_ms, telling->is_timed ? telling->most_ms : telling->least_ms);
    news->since_ms = later(news->since_ms, telling->least_ms);
    if (!telling->is_timed && !span_equal(news->name, from))
        news->hb = 0; /* proves nothing */
    if (!news->is_heartbeat)
        hear_account(gossip, telling, from, news, now);
    else if (telling->is_timed)
        hear_heartbeat(gossip, news, now);
}

enum err hear_body(struct gossip *gossip, const struct telling *telling, struct span body,
                   struct moment now)
{
    for (;;) {
        struct news news;
        switch (news_parse(&body, &news)) {
        case NEWS_END:
            return ERR_OK;
        case NEWS_BAD:
            return ERR_SYNTAX;
        case NEWS_SKIP:
            break;
        case NEWS_DONE:
            hear_line(gossip, telling, &news, now);
            break;
        }
    }
}

/* --- direct ----------------------------------------------------------------------------------- */

/* What record's process says of itself, as an account. */
static void hear_own_word(struct gossip *gossip, struct account *record, uint32_t inc, uint64_t hb,
                          struct moment now)
{
    struct news news;
    members_tell(&gossip->members, record, now.mono_ms, &news);
    news.state = MEMBER_ALIVE;
    news.inc = inc;
    news.hb = hb > record->hb ? hb : record->hb;
    news.age_ms = 0;
    hear_account(gossip, &(struct telling){0}, news.name, &news, now);
}

/* It has said that it leaves, and takes leave. */
static bool is_leaving(const struct gossip *gossip, const struct account *record, struct moment now)
{
    return record->state == MEMBER_LEFT &&
           now.mono_ms < record->state_ms + 2 * (uint64_t)gossip->options.leave_ms;
}

uint64_t hear_stop_ms(const struct gossip *gossip, struct moment now)
{
    bool is_late = gossip->tick_ms != 0 && now.mono_ms > gossip->due_ms + gossip->options.lag_ms;
    return is_late ? now.mono_ms - gossip->due_ms : 0;
}

uint64_t hear_unread_ms(const struct gossip *gossip, struct moment now)
{
    uint64_t stop_ms = now.mono_ms == gossip->tick_ms ? gossip->stop_ms : hear_stop_ms(gossip, now);
    return stop_ms >= gossip->options.fail_ms ? stop_ms : 0;
}

void hear_proof(struct gossip *gossip, struct account *record, struct moment now)
{
    if (hear_unread_ms(gossip, now) > 0)
        return;
    gossip->answered_ms = now.mono_ms;
    isolation_note(&gossip->isolation, record->name_hash, false, now.mono_ms);
    if (record->state == MEMBER_UNVERIFIED) {
        hear_own_word(gossip, record, record->inc, record->hb, now);
        return;
    }
    if (members_prove(&gossip->members, record, 0, now.mono_ms))
        cleared(gossip, record, "answered", now);
    else if (hear_is_accused(record) && !is_leaving(gossip, record, now))
        tell(gossip, record, record->state, now);
}

void hear_direct(struct gossip *gossip, struct account *record, uint32_t inc, uint64_t hb,
                 struct moment now)
{
    if (inc > record->inc)
        hear_own_word(gossip, record, inc, hb, now);
    if (hb > record->hb)
        record->hb = hb;
    hear_proof(gossip, record, now);
}

/* --- verdicts --------------------------------------------------------------------------------- */

/* A planted bug: the dead go on watching, and nobody does it in their place. */
static bool is_left_to_others(const struct gossip *gossip, const struct account *record)
{
    const struct members *members = &gossip->members;
    struct target_view all = {.live = members->all, .count = members->count};
    while (members->all[all.self] != members->self)
        all.self++;
    return !targets_watches(&all, record);
}

void hear_doubt(struct gossip *gossip, struct account *record, enum evidence evidence,
                struct moment now)
{
    if (!record_is_live(record) || (MUTANT(dead_watch) && is_left_to_others(gossip, record)))
        return;
    struct news news = {.state = MEMBER_SUSPECT};
    enum hearing hearing = members_doubt(&gossip->members, record, evidence, now.mono_ms);
    if (!react(gossip, hearing, record, &news, now))
        return;
    members_tell(&gossip->members, record, now.mono_ms, &news);
    /* The report is what was seen here, whatever the suspicion is held for. */
    news.evidence = evidence;
    news.by = span_of_string(gossip->members.self->name);
    spread(gossip, record, &news, now);
}

static void condemn(struct gossip *gossip, struct account *record, struct moment now)
{
    struct news news;
    members_condemn(&gossip->members, record, now.mono_ms);
    gossip->stats->members_condemned++;
    members_tell(&gossip->members, record, now.mono_ms, &news);
    react(gossip, HEARD_DEAD, record, &news, now);
    spread(gossip, record, &news, now);
}

/* While this node is cut off itself, only what cannot be its own fault is a verdict; after
 * isolated_ms the others are condemned all the same. */
static bool is_frozen(const struct gossip *gossip, const struct suspicion *suspicion,
                      struct moment now)
{
    return gossip->isolated_since_ms != 0 && !MUTANT(isolated_condemns) &&
           suspicion->evidence != EVIDENCE_REFUSED &&
           now.mono_ms < gossip->isolated_since_ms + gossip->options.isolated_ms;
}

/* Before its time is over the subject is asked once more, over a connection that is not stuck: the
 * path may have healed since. Returns when it may be condemned. */
static uint64_t warn(struct gossip *gossip, struct account *record, uint64_t deadline_ms,
                     struct moment now)
{
    struct suspicion *suspicion = record->suspicion;
    if (suspicion->evidence == EVIDENCE_REFUSED)
        return deadline_ms;
    uint64_t ahead_ms = gossip->options.probe_ms + gossip->options.indirect_ms;
    if (suspicion->warned_ms == 0) {
        if (now.mono_ms + ahead_ms < deadline_ms)
            return deadline_ms - ahead_ms; /* to be looked at again then */
        suspicion->warned_ms = now.mono_ms;
        if (wire_state(gossip, record) != LINK_UP || wire_unacked(gossip, record) > 0)
            wire_drop(gossip, record, now);
        record->told_ms = 0;
        tell(gossip, record, MEMBER_SUSPECT, now);
    }
    uint64_t earliest_ms = suspicion->warned_ms + gossip->options.probe_ms;
    return deadline_ms > earliest_ms ? deadline_ms : earliest_ms;
}

void hear_condemn(struct gossip *gossip, struct moment now)
{
    if (now.mono_ms < gossip->suspect_ms)
        return;
    struct members *members = &gossip->members;
    gossip->suspect_ms = UINT64_MAX;
    struct list *link = members->suspects.next;
    while (link != &members->suspects) {
        struct account *record = CONTAINER_OF(link, struct account, in_state);
        link = link->next;
        uint64_t deadline_ms =
            suspicion_deadline(record->suspicion, &gossip->options, members->live_count,
                               record_is_damped(record, now.mono_ms));
        if (is_frozen(gossip, record->suspicion, now))
            deadline_ms = gossip->isolated_since_ms + gossip->options.isolated_ms;
        deadline_ms = warn(gossip, record, deadline_ms, now);
        if (deadline_ms <= now.mono_ms && !MUTANT(never_condemned))
            condemn(gossip, record, now);
        else if (deadline_ms < gossip->suspect_ms)
            gossip->suspect_ms = deadline_ms;
    }
}

void hear_expected(struct gossip *gossip, struct account *record, struct moment now)
{
    member_came(gossip, record, "member-expected", now);
}

void hear_forget(struct gossip *gossip, struct account *record)
{
    wire_stop_asking(gossip, record);
    rumors_forget(&gossip->rumors, record);
    wire_release(gossip, record);
    members_forget(&gossip->members, record);
}

static struct account *first_of(const struct list *list)
{
    struct list *link = list_first(list);
    return link ? CONTAINER_OF(link, struct account, in_state) : NULL;
}

/* The oldest tombstone that may be forgotten. */
static struct account *first_tombstone(const struct members *members)
{
    const struct list *head = &members->tombstones;
    for (struct list *link = head->next; link != head; link = link->next) {
        struct account *record = CONTAINER_OF(link, struct account, in_state);
        if (!record->is_kept)
            return record;
    }
    return NULL;
}

void hear_expire(struct gossip *gossip, struct moment now)
{
    struct members *members = &gossip->members;
    struct account *record;
    while ((record = first_of(&members->fading)) &&
           now.mono_ms >= record->state_ms + gossip->options.remove_ms && !MUTANT(never_removed)) {
        bool was_dead = record->state == MEMBER_DEAD;
        members_remove(members, record, now.mono_ms);
        gossip->stats->members_removed++;
        log_member(gossip, record, was_dead ? LOG_WARN : LOG_DEBUG, "member-removed", now);
        wire_release(gossip, record);
    }
    while ((record = first_tombstone(members)) &&
           (now.mono_ms >= record->state_ms + gossip->options.cleanup_ms || MUTANT(no_tombstones) ||
            members->in_state[MEMBER_REMOVED] > TOMBSTONES_MAX))
        hear_forget(gossip, record);
}
