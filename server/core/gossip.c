#include "server/core/gossip.h"

#include "common/check.h"
#include "common/mutant.h"
#include "server/core/gossip_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SWEEP_COUNT      16u   /* members looked at a round, whether this node is to watch them */
#define UNVERIFIED_DIALS 3u    /* then it is dropped */
#define UNREAD_MS        1000u /* after a long stop: by then all that wait have been accepted */

/* --- life ------------------------------------------------------------------------------------- */

void gossip_init(struct gossip *gossip, const struct gossip_setup *setup)
{
    const struct links_identity *identity = &setup->links->identity;
    *gossip = (struct gossip){
        .strategy = targets_find(span_of_string(setup->strategy)),
        .options = setup->options,
        .links = setup->links,
        .env = setup->env,
        .log = setup->log,
        .stats = setup->stats,
        .round_ms = UINT64_MAX,
        .suspect_ms = UINT64_MAX,
    };
    CHECK(gossip->strategy != NULL);
    CHECK(gossip->options.fanout >= 1 && gossip->options.fanout <= GOSSIP_FANOUT_MAX);
    prng_init(&gossip->prng, setup->seed);
    gossip->targets.prng = &gossip->prng;
    members_init(&gossip->members, &gossip->options, identity->name, identity->boot,
                 identity->generation, setup->weight);
    rumors_init(&gossip->rumors);
    join_init(gossip, setup->seeds);
}

void gossip_close(struct gossip *gossip)
{
    rumors_close(&gossip->rumors);
    members_close(&gossip->members);
    buf_close(&gossip->body);
    free(gossip->seeds);
    free(gossip->by_peer);
    *gossip = (struct gossip){0};
}

/* --- links ------------------------------------------------------------------------------------ */

static void self_answered(struct gossip *gossip, const struct link_news *news, struct moment now)
{
    if (news->change == LINK_CAME_UP && news->generation != gossip->members.self->generation) {
        log_line(gossip->log, now, LOG_ERROR, "duplicate",
                 "reason=\"another process answers under this name\"");
        gossip->is_duplicate = true;
        return;
    }
    join_self_known(gossip, now);
}

static void came_up(struct gossip *gossip, const struct link_news *news, struct moment now)
{
    struct account *record = wire_record(gossip, news->peer);
    if (!record)
        return; /* its own account follows */
    if (!news->is_dialled && now.mono_ms < gossip->unread_until_ms && !MUTANT(hello_is_fresh))
        return; /* its HELLO may have waited to be accepted; what follows the WELCOME has not */
    if (news->boot == record->boot && news->generation == record->generation) {
        hear_proof(gossip, record, now);
        probe_answered(gossip, record, now);
    } else if (news->is_dialled && news->boot >= record->boot) {
        exchange_ask(gossip, record, true, now); /* another process: what does it say? */
    }
}

/* Whether the end of an accepted link says anything: the dialled one will tell by itself, and in a
 * large cluster links that are not used for long are closed. */
static bool is_telling(const struct gossip *gossip, const struct account *record,
                       const struct link_news *news)
{
    return news->is_dialled || (wire_state(gossip, record) != LINK_UP &&
                                gossip->members.live_count <= gossip->options.links_max);
}

static void ended(struct gossip *gossip, const struct link_news *news, struct moment now)
{
    if (news->is_superseded)
        gossip->is_duplicate = true;
    struct account *record = wire_record(gossip, news->peer);
    if (news->is_dialled)
        join_tried(gossip, news->peer, false, now);
    if (!record)
        return;
    if (news->is_dialled) {
        record->has_account = false;
        record->asked_ms = 0;
        record->asked_number = 0;
    }
    if (record->state == MEMBER_UNVERIFIED) {
        if (!news->was_up && ++record->failures >= UNVERIFIED_DIALS)
            hear_forget(gossip, record);
        return;
    }
    if (is_telling(gossip, record, news))
        probe_lost(gossip, record, news->why, news->was_up, now);
}

void gossip_stranger(struct gossip *gossip, uint32_t peer, struct moment now)
{
    struct account *record = wire_record(gossip, peer);
    if (record && record_is_live(record) && gossip->leave_until_ms == 0 && !gossip->is_duplicate &&
        !MUTANT(stranger_unheard))
        probe_check(gossip, record, now.mono_ms, now);
}

/* A member that was told of the leave has acknowledged it, or is gone. */
static void leave_settled(struct gossip *gossip, uint32_t peer)
{
    for (uint32_t i = 0; i < gossip->leave_waits; i++)
        if (gossip->leave_peers[i] == peer) {
            gossip->leave_peers[i] = gossip->leave_peers[--gossip->leave_waits];
            break;
        }
    gossip->has_left |= gossip->leave_until_ms != 0 && gossip->leave_waits == 0;
}

/* A link of a node that leaves. */
static void leave_link(struct gossip *gossip, const struct link_news *news)
{
    if (news->is_dialled && news->change == LINK_ENDED)
        leave_settled(gossip, news->peer);
}

static void count_dialled(struct gossip *gossip, const struct link_news *news)
{
    if (!news->is_dialled)
        return;
    CHECK(gossip->dialled_up >= news->was_up);
    gossip->dialled_up += news->change == LINK_CAME_UP;
    gossip->dialled_up -= news->was_up;
}

void gossip_link(struct gossip *gossip, const struct link_news *news, struct moment now)
{
    CHECK(news->lane != LANE_DATA);
    if (gossip->is_duplicate)
        return; /* it is to end, and nobody is to hear of it */
    if (news->lane == LANE_SELF) {
        self_answered(gossip, news, now);
        return;
    }
    count_dialled(gossip, news);
    if (gossip->leave_until_ms != 0)
        leave_link(gossip, news);
    else if (news->change == LINK_CAME_UP)
        came_up(gossip, news, now);
    else
        ended(gossip, news, now);
}

/* --- messages --------------------------------------------------------------------------------- */

/* Whether the process at the other end of its links is the one known by the record, as greeted or
 * renewed since. */
static bool is_own_link(const struct gossip *gossip, const struct account *record)
{
    const struct peer *peer = gossip->links->peers[record->peer];
    return peer->generation == record->generation && peer->boot <= record->boot;
}

/* How long a message was under way at least: its sender's heartbeat was lower than the one known.
 */
static uint64_t lateness(struct gossip *gossip, uint32_t peer, uint64_t hb, struct moment now)
{
    const struct account *record = wire_record(gossip, peer);
    uint64_t unread_ms = hear_unread_ms(gossip, now);
    if (!record || !is_own_link(gossip, record) || record->hb <= hb + 1)
        return unread_ms;
    uint64_t late_ms = (record->hb - hb - 1) * gossip->options.gossip_ms;
    return late_ms > unread_ms ? late_ms : unread_ms;
}

/* A message that does not say whose boot it is. */
static void take_proof(struct gossip *gossip, uint32_t peer, struct moment now)
{
    struct account *record = wire_record(gossip, peer);
    if (!record || !is_own_link(gossip, record))
        return;
    hear_proof(gossip, record, now);
    probe_answered(gossip, record, now);
}

static void take_word(struct gossip *gossip, uint32_t peer, uint64_t boot, uint32_t inc,
                      uint64_t hb, struct moment now)
{
    struct account *record = wire_record(gossip, peer);
    if (!record || boot != record->boot)
        return;
    hear_direct(gossip, record, inc, hb, now);
    probe_answered(gossip, record, now);
}

static void take_pong(struct gossip *gossip, uint32_t peer, const struct message_PONG *pong,
                      struct moment now)
{
    struct account *record = wire_record(gossip, peer);
    take_word(gossip, peer, pong->boot, pong->inc, pong->hb, now);
    /* It has taken a higher boot, having been told how it stands: its side of a split is here. */
    if (record && pong->boot > record->boot && record->asked_number == 0)
        exchange_ask(gossip, record, true, now);
}

static enum err take_question(struct gossip *gossip, uint32_t peer, const struct message *message,
                              struct reply *out, struct moment now)
{
    const struct message_GET_MEMBERSHIP_LIST *question = &message->GET_MEMBERSHIP_LIST;
    const struct telling telling = {
        .peer = peer, .is_news = true, .least_ms = lateness(gossip, peer, question->hb, now)};
    enum err err = hear_body(gossip, &telling, message->body, now);
    if (err)
        return err;
    if (telling.least_ms == 0)
        take_word(gossip, peer, question->boot, question->inc, question->hb, now);
    struct account *record = wire_record(gossip, peer);
    if (record && gossip->strategy->heard)
        gossip->strategy->heard(&gossip->targets, record, gossip->round);
    exchange_answer(gossip, peer, question, out, now);
    return ERR_OK;
}

/* A seed that was not a member has been asked by its name. */
static void adopt_question(struct gossip *gossip, struct account *record, uint64_t number)
{
    for (uint32_t i = 0; i < gossip->seed_count; i++)
        if (gossip->seeds[i].number == number && number != 0 &&
            strcmp(gossip->seeds[i].name, record->name) == 0) {
            record->asked_number = number;
            record->asked_since = 0;
            record->chunks = 0;
        }
}

static enum err take_answer(struct gossip *gossip, uint32_t peer, const struct message *message,
                            struct moment now)
{
    const struct message_MEMBERS *answer = &message->MEMBERS;
    struct account *record = wire_record(gossip, peer);
    struct telling telling = {.peer = peer, .least_ms = lateness(gossip, peer, answer->hb, now)};
    if (record && record->asked_number == answer->number && record->asked_ms != 0) {
        telling.is_delta = record->asked_since != 0;
        telling.is_timed = true; /* it cannot have left before it was asked for */
        telling.most_ms = now.mono_ms - record->asked_ms;
    }
    enum err err = hear_body(gossip, &telling, message->body, now);
    if (err)
        return err;
    record = wire_record(gossip, peer);
    if (record) {
        if (!gossip->has_joined)
            adopt_question(gossip, record, answer->number);
        if (telling.least_ms == 0)
            take_word(gossip, peer, answer->boot, answer->inc, answer->hb, now);
        exchange_take(gossip, record, answer, now);
    }
    if (answer->version >= answer->newest)
        join_tried(gossip, peer, true, now);
    return ERR_OK;
}

static enum err take_news(struct gossip *gossip, uint32_t peer, const struct message *message,
                          struct reply *out, struct moment now)
{
    const struct telling telling = {
        .peer = peer, .is_news = true, .least_ms = lateness(gossip, peer, message->NEWS.hb, now)};
    enum err err = hear_body(gossip, &telling, message->body, now);
    if (err)
        return err;
    if (telling.least_ms == 0)
        take_proof(gossip, peer, now);
    if (message->NEWS.number != 0) {
        struct message heard = {.kind = MESSAGE_HEARD, .HEARD = {.number = message->NEWS.number}};
        wire_send(gossip, out, &heard);
    }
    return ERR_OK;
}

static enum err take_ping(struct gossip *gossip, uint32_t peer, const struct message *message,
                          struct reply *out, struct moment now)
{
    const struct telling telling = {.peer = peer};
    enum err err = hear_body(gossip, &telling, message->body, now);
    if (err)
        return err;
    const struct account *self = gossip->members.self;
    struct message pong = {
        .kind = MESSAGE_PONG,
        .PONG = {
            .number = message->PING.number, .boot = self->boot, .inc = self->inc, .hb = self->hb}};
    wire_send(gossip, out, &pong);
    take_proof(gossip, peer, now);
    return ERR_OK;
}

static void take_heard(struct gossip *gossip, uint32_t peer, const struct message *message)
{
    if (gossip->leave_until_ms != 0 && message->HEARD.number == gossip->leave_number)
        leave_settled(gossip, peer);
}

/* A heartbeat that no line can carry would make this node's own lines malformed. */
static bool is_heartbeat_sane(const struct message *message)
{
    switch (message->kind) {
    case MESSAGE_GET_MEMBERSHIP_LIST:
        return message->GET_MEMBERSHIP_LIST.hb <= NEWS_HB_MAX;
    case MESSAGE_MEMBERS:
        return message->MEMBERS.hb <= NEWS_HB_MAX;
    case MESSAGE_PONG:
        return message->PONG.hb <= NEWS_HB_MAX;
    default:
        return true;
    }
}

enum err gossip_message(struct gossip *gossip, uint32_t peer, const struct message *message,
                        struct reply *out, struct moment now)
{
    gossip->stats->gossip_received++;
    if (gossip->is_duplicate)
        return ERR_OK;
    if (!is_heartbeat_sane(message))
        return ERR_SYNTAX;
    switch (message->kind) {
    case MESSAGE_GET_MEMBERSHIP_LIST:
        return take_question(gossip, peer, message, out, now);
    case MESSAGE_MEMBERS:
        return take_answer(gossip, peer, message, now);
    case MESSAGE_NEWS:
        return take_news(gossip, peer, message, out, now);
    case MESSAGE_HEARD:
        take_heard(gossip, peer, message);
        return ERR_OK;
    case MESSAGE_PING:
        return take_ping(gossip, peer, message, out, now);
    case MESSAGE_PONG:
        take_pong(gossip, peer, &message->PONG, now);
        return ERR_OK;
    case MESSAGE_PROBE:
        take_proof(gossip, peer, now);
        probe_help(gossip, peer, &message->PROBE, now);
        return ERR_OK;
    case MESSAGE_PROBED:
        take_proof(gossip, peer, now);
        probe_found(gossip, peer, &message->PROBED, now);
        return ERR_OK;
    default:
        return ERR_SYNTAX;
    }
}

/* --- time ------------------------------------------------------------------------------------- */

/* This node was stopped: answers may wait unread, and no suspicion grew older meanwhile. Judged is
 * in the next tick, after a read. */
static void after_stop(struct gossip *gossip, uint64_t lag_ms, struct moment now)
{
    probe_drop_all(gossip, now);
    struct list *head = &gossip->members.suspects;
    for (struct list *link = head->next; link != head; link = link->next) {
        struct suspicion *suspicion = CONTAINER_OF(link, struct account, in_state)->suspicion;
        suspicion->frozen_ms += lag_ms;
        suspicion->evidence_ms += lag_ms;
        suspicion->warned_ms = 0;
    }
    if (gossip->isolated_since_ms != 0)
        gossip->isolated_since_ms += lag_ms; /* that time is counted already */
    gossip->health = health_worse(gossip->health, (uint32_t)(lag_ms / 500));
    if (gossip->suspect_ms != UINT64_MAX)
        gossip->suspect_ms = now.mono_ms + 1;
    if (gossip->round_ms != UINT64_MAX)
        gossip->round_ms = now.mono_ms + 1;
}

static void thaw(struct gossip *gossip, struct moment now)
{
    struct list *head = &gossip->members.suspects;
    for (struct list *link = head->next; link != head; link = link->next) {
        struct suspicion *suspicion = CONTAINER_OF(link, struct account, in_state)->suspicion;
        uint64_t from_ms = suspicion->since_ms > gossip->isolated_since_ms
                               ? suspicion->since_ms
                               : gossip->isolated_since_ms;
        suspicion->frozen_ms += now.mono_ms - from_ms;
        suspicion->warned_ms = 0;
    }
    gossip->isolated_since_ms = 0;
    gossip->suspect_ms = 0;
    log_line(gossip->log, now, LOG_WARN, "not-isolated", "members=%u", gossip->members.live_count);
}

/* Most of the others are suspected here, by whomever: a few that are cut off together confirm each
 * other's suspicions before any of them has asked many itself. */
static bool are_most_suspected(const struct members *members)
{
    uint32_t count = 0;
    if (2 * members->in_state[MEMBER_SUSPECT] < members->live_count)
        return false;
    const struct list *head = &members->suspects;
    for (const struct list *link = head->next; link != head; link = link->next)
        count +=
            CONTAINER_OF(link, struct account, in_state)->suspicion->evidence != EVIDENCE_REFUSED;
    return count >= isolation_least(members->live_count - 1) && 2 * count >= members->live_count;
}

/* proto.md "Membership": most of those asked are silent, so it is this node. */
static void look_for_isolation(struct gossip *gossip, struct moment now)
{
    uint32_t peers = gossip->members.live_count - 1;
    bool holds = isolation_holds(&gossip->isolation, peers, gossip->health, now.mono_ms) ||
                 are_most_suspected(&gossip->members);
    if (gossip->isolated_since_ms == 0 && holds) {
        gossip->isolated_since_ms = now.mono_ms;
        gossip->suspect_ms = 0;
        gossip->rejoin_ms = now.mono_ms;
        log_line(gossip->log, now, LOG_WARN, "isolated", "members=%u", gossip->members.live_count);
    } else if (gossip->isolated_since_ms != 0 && !holds &&
               gossip->answered_ms > gossip->isolated_since_ms) {
        thaw(gossip, now);
    }
}

/* Whether this node has not doubted it yet: a suspicion that it has only heard of wants to be
 * confirmed, too. */
static bool is_doubtful(const struct account *record, uint64_t fail_ms, struct moment now)
{
    if (record->state == MEMBER_SUSPECT)
        return !record->suspicion->is_own;
    return record->state == MEMBER_ALIVE && now.mono_ms >= record->state_ms + fail_ms;
}

/* The backstop: no proof of life for long, whatever probes have said. */
static void doubt_stale(struct gossip *gossip, struct moment now)
{
    uint64_t fail_ms = members_fail_ms(&gossip->members);
    struct list *head = &gossip->members.by_proof;
    if (MUTANT(never_stale))
        return;
    for (struct list *link = head->next, *next; link != head; link = next) {
        next = link->next;
        struct account *record = CONTAINER_OF(link, struct account, by_proof);
        if (now.mono_ms < record->proof_ms + fail_ms / 2)
            return;
        if (now.mono_ms < record->proof_ms + fail_ms)
            probe_check(gossip, record, now.mono_ms, now);
        else if (is_doubtful(record, fail_ms, now))
            hear_doubt(gossip, record, EVIDENCE_SILENT, now);
    }
}

/* A few members a round: is this node one of their watchers? Then it holds a connection. */
static void sweep_watched(struct gossip *gossip, struct moment now)
{
    struct target_view view = wire_view(gossip);
    for (uint32_t i = 0; i < SWEEP_COUNT && i < view.count; i++) {
        gossip->sweep_at = (gossip->sweep_at + 1) % view.count;
        struct account *record = view.live[gossip->sweep_at];
        if (gossip->sweep_at == view.self)
            continue;
        record->is_watched = targets_watches(&view, record);
        if (record->is_watched && record->state == MEMBER_ALIVE &&
            wire_state(gossip, record) == LINK_RESTING)
            (void)wire_out(gossip, record, now);
    }
}

static void verify_one(struct gossip *gossip, struct moment now)
{
    struct list *link = list_first(&gossip->members.unverified);
    if (!link)
        return;
    list_remove(link);
    list_append(&gossip->members.unverified, link);
    exchange_ask(gossip, CONTAINER_OF(link, struct account, in_state), true, now);
}

static uint64_t round_pause_ms(struct gossip *gossip)
{
    uint64_t ms = (uint64_t)gossip->options.gossip_ms * (gossip->health + 1u);
    return ms - ms / 10 + prng_below(&gossip->prng, ms / 5 + 1);
}

static void begin_round(struct gossip *gossip, struct moment now)
{
    gossip->round++;
    gossip->members.self->hb++;
    gossip->stats->gossip_rounds++;
    gossip->round_ms = now.mono_ms + round_pause_ms(gossip);
    struct target_view view = wire_view(gossip);
    struct account *target = gossip->recheck;
    gossip->recheck = NULL;
    if (!target || !record_is_live(target))
        target = gossip->strategy->pick(&gossip->targets, &view, gossip->round);
    if (target)
        probe_exchange(gossip, target, now);
    verify_one(gossip, now);
    sweep_watched(gossip, now);
    doubt_stale(gossip, now);
    wire_trim(gossip, now);
}

void gossip_tick(struct gossip *gossip, struct moment now)
{
    gossip->has_left |= gossip->leave_until_ms != 0 && now.mono_ms >= gossip->leave_until_ms;
    if (gossip->leave_until_ms != 0 || gossip->is_duplicate)
        return;
    if (gossip->tick_ms == 0)
        join_begin(gossip, now);
    gossip->stop_ms = hear_stop_ms(gossip, now);
    if (gossip->stop_ms > 0)
        after_stop(gossip, gossip->stop_ms, now);
    if (hear_unread_ms(gossip, now) > 0)
        gossip->unread_until_ms = now.mono_ms + UNREAD_MS;
    gossip->tick_ms = now.mono_ms;
    look_for_isolation(gossip, now);
    if (now.mono_ms >= gossip->round_ms)
        begin_round(gossip, now);
    probe_tick(gossip, now);
    hear_condemn(gossip, now);
    hear_expire(gossip, now);
    join_tick(gossip, now);
    hear_push(gossip, now);
    gossip->due_ms = gossip_deadline(gossip);
}

static void earlier(uint64_t *deadline_ms, uint64_t ms)
{
    if (ms < *deadline_ms)
        *deadline_ms = ms;
}

uint64_t gossip_deadline(const struct gossip *gossip)
{
    if (gossip->is_duplicate || gossip->has_left)
        return UINT64_MAX;
    if (gossip->leave_until_ms != 0)
        return gossip->leave_until_ms;
    if (gossip->tick_ms == 0)
        return 0;
    uint64_t deadline_ms = gossip->round_ms;
    if (gossip->rumors.unpushed > 0)
        earlier(&deadline_ms, gossip->tick_ms); /* at once */
    earlier(&deadline_ms, gossip->suspect_ms);
    earlier(&deadline_ms, probe_deadline(gossip));
    earlier(&deadline_ms, join_deadline(gossip));
    const struct list *fading = list_first(&gossip->members.fading);
    if (fading)
        earlier(&deadline_ms, CONTAINER_OF(fading, struct account, in_state)->state_ms +
                                  gossip->options.remove_ms);
    return deadline_ms;
}

/* --- questions -------------------------------------------------------------------------------- */

bool gossip_take_changed(struct gossip *gossip)
{
    bool has_changed = gossip->members.has_ring_changed;
    gossip->members.has_ring_changed = false;
    return has_changed;
}

void gossip_ring_view(const struct gossip *gossip, struct view *view)
{
    const struct members *members = &gossip->members;
    *view = (struct view){.epoch = 1, .member_count = members->live_count};
    view->members = calloc(members->live_count ? members->live_count : 1, sizeof(*view->members));
    CHECK(view->members != NULL);
    for (uint32_t i = 0; i < members->live_count; i++) {
        const struct account *record = members->live[i];
        struct member *member = &view->members[i];
        snprintf(member->name, sizeof(member->name), "%s", record->name);
        member->generation = record->generation;
        member->weight = record->weight;
    }
}

bool gossip_has_begun(const struct gossip *gossip)
{
    return gossip->tick_ms != 0 && gossip->self_until_ms == 0;
}

void gossip_try(struct gossip *gossip, const char *name, struct moment now)
{
    if (gossip->leave_until_ms == 0 && !gossip->is_duplicate)
        exchange_ask_name(gossip, name, now);
}

void gossip_keep(struct gossip *gossip, const struct view *view)
{
    for (uint32_t i = 0; i < gossip->members.count; i++)
        gossip->members.all[i]->is_kept = false;
    for (uint32_t i = 0; i < view->member_count; i++) {
        struct account *account =
            members_find(&gossip->members, span_of_string(view->members[i].name));
        if (account)
            account->is_kept = true;
    }
}

void gossip_expect(struct gossip *gossip, const char *name, uint64_t boot, uint64_t generation,
                   uint32_t weight, struct moment now)
{
    const struct news news = {.state = MEMBER_ALIVE,
                              .name = span_of_string(name),
                              .boot = boot,
                              .generation = generation,
                              .weight = weight,
                              .by = SPAN_LITERAL("-")};
    if (gossip->leave_until_ms != 0 || gossip->is_duplicate)
        return;
    struct account *account = members_expect(&gossip->members, &news, now.mono_ms);
    if (!account)
        return;
    hear_expected(gossip, account, now);
    probe_check(gossip, account, now.mono_ms, now);
}

uint64_t gossip_silence_ms(const struct gossip *gossip)
{
    return members_accept_ms(&gossip->members) / 2;
}

bool gossip_has_joined(const struct gossip *gossip)
{
    return gossip->has_joined;
}

uint64_t gossip_boot_of(const struct gossip *gossip, struct span name)
{
    const struct account *record = members_find(&gossip->members, name);
    return record && record_is_live(record) && record != gossip->members.self ? record->boot : 0;
}

bool gossip_is_duplicate(const struct gossip *gossip)
{
    return gossip->is_duplicate && !MUTANT(duplicate_stays);
}

uint32_t gossip_count(const struct gossip *gossip, enum member_state state)
{
    CHECK(state < MEMBER_STATE_COUNT);
    return gossip->members.in_state[state];
}

static void list_entry(const struct gossip *gossip, const struct account *record,
                       struct member_list_entry *entry, struct moment now)
{
    struct news news;
    members_tell(&gossip->members, record, now.mono_ms, &news);
    *entry = (struct member_list_entry){
        .generation = record->generation,
        .boot = record->boot,
        .inc = record->inc,
        .hb = record->hb,
        .age_ms = news.age_ms,
        .weight = record->weight,
        .reporters = record->suspicion ? record->suspicion->reporter_count : 0,
        .is_on_ring = record_is_live(record),
        .is_damped = record_is_damped(record, now.mono_ms),
    };
    snprintf(entry->name, sizeof(entry->name), "%s", record->name);
    snprintf(entry->state, sizeof(entry->state), "%s", member_state_word(record->state));
    if (record->suspicion)
        snprintf(entry->evidence, sizeof(entry->evidence), "%s",
                 evidence_word(record->suspicion->evidence));
}

void gossip_list(const struct gossip *gossip, struct member_list *list, struct moment now)
{
    const struct members *members = &gossip->members;
    *list = (struct member_list){.version = members->version,
                                 .viewhash = members->viewhash,
                                 .is_isolated = gossip->isolated_since_ms != 0};
    snprintf(list->cluster, sizeof(list->cluster), "%s", gossip->links->identity.cluster);
    snprintf(list->name, sizeof(list->name), "%s", members->self->name);
    list->entries = calloc(members->count, sizeof(*list->entries));
    CHECK(list->entries != NULL);
    for (uint32_t i = 0; i < members->count; i++)
        if (record_is_listed(members->all[i]))
            list_entry(gossip, members->all[i], &list->entries[list->count++], now);
}

void gossip_check(const struct gossip *gossip)
{
    members_check(&gossip->members);
    rumors_check(&gossip->rumors);
    for (uint32_t i = 0; i < gossip->members.count; i++) {
        const struct account *record = gossip->members.all[i];
        if (record->peer != NO_PEER)
            CHECK(gossip->by_peer[record->peer] == record);
    }
    for (size_t i = 0; i < PROBES_MAX; i++) {
        const struct probe *probe = &gossip->probes[i];
        CHECK((probe->stage == PROBE_FREE) == (probe->target == NULL));
        CHECK((probe->kind == PROBE_HELP) == (i >= OWN_PROBES_MAX) || probe->stage == PROBE_FREE);
        CHECK(probe->helper_count <= HELPERS);
    }
}

void gossip_cripple(struct gossip *gossip, bool no_pushes, bool no_doubts)
{
    gossip->no_pushes = no_pushes;
    gossip->no_doubts = no_doubts;
}

/* --- leaving ---------------------------------------------------------------------------------- */

static uint32_t leave_targets(struct gossip *gossip, struct account *targets[LEAVE_TOLD_MAX])
{
    struct target_view view = wire_view(gossip);
    struct account *drawn[LEAVE_TOLD_RANDOM];
    uint32_t count = targets_watchers(&view, gossip->members.self, targets);
    uint32_t drawn_count = targets_draw(&gossip->prng, &view, NULL, LEAVE_TOLD_RANDOM, drawn);
    for (uint32_t i = 0; i < drawn_count; i++) {
        bool is_told = false;
        for (uint32_t t = 0; t < count; t++)
            is_told |= targets[t] == drawn[i];
        if (!is_told)
            targets[count++] = drawn[i];
    }
    return count;
}

void gossip_leave(struct gossip *gossip, struct moment now)
{
    if (gossip->leave_until_ms != 0)
        return;
    struct account *targets[LEAVE_TOLD_MAX];
    uint32_t count = leave_targets(gossip, targets);
    gossip->leave_until_ms = now.mono_ms + gossip->options.leave_ms;
    gossip->leave_number = ++gossip->number;
    members_leave(&gossip->members, now.mono_ms);
    log_line(gossip->log, now, LOG_INFO, "leave-told", "members=%u", count);
    struct buf *body = wire_body(gossip);
    hear_append_account(gossip, gossip->members.self, now, body);
    struct message leave = {
        .kind = MESSAGE_NEWS,
        .NEWS = {.number = gossip->leave_number, .hb = gossip->members.self->hb},
        .body = buf_span(body)};
    for (uint32_t i = 0; i < count; i++) {
        struct reply *out = wire_out(gossip, targets[i], now);
        if (!out)
            continue;
        wire_send(gossip, out, &leave);
        gossip->leave_peers[gossip->leave_waits++] = targets[i]->peer;
    }
    gossip->has_left = gossip->leave_waits == 0;
}

bool gossip_has_left(const struct gossip *gossip, struct moment now)
{
    return gossip->has_left ||
           (gossip->leave_until_ms != 0 && now.mono_ms >= gossip->leave_until_ms);
}
