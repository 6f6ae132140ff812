/* Gossip: questions that wait for an answer, and what follows if none comes. */
#include "common/check.h"
#include "common/mutant.h"
#include "server/core/gossip_parts.h"

#define STUCK_MS       1000u /* a connection that has not got a question through for so long is left */
#define BREAKS_MAX     5u    /* connections that may break under one probe */
#define BREAK_PAUSE_MS 100u /* after the second; then 200, 400, 800 */
#define REDIALS_MAX    2u   /* of a connection that a probe waits for */
#define NUDGES_MAX     12u  /* of one probe, */
#define NUDGES_ACKED   2u   /* or so many, once its machine has acknowledged all */

/* --- slots ------------------------------------------------------------------------------------ */

static struct probe *probe_find(struct gossip *gossip, const struct account *target)
{
    for (size_t i = 0; i < OWN_PROBES_MAX; i++)
        if (gossip->probes[i].stage != PROBE_FREE && gossip->probes[i].target == target)
            return &gossip->probes[i];
    return NULL;
}

static struct probe *probe_take(struct gossip *gossip, enum probe_kind kind, struct account *target)
{
    size_t begin = kind == PROBE_HELP ? OWN_PROBES_MAX : 0;
    size_t end = kind == PROBE_HELP ? PROBES_MAX : OWN_PROBES_MAX;
    for (size_t i = begin; i < end; i++) {
        if (gossip->probes[i].stage != PROBE_FREE)
            continue;
        gossip->probes[i] = (struct probe){.kind = kind, .stage = PROBE_WAITING, .target = target};
        return &gossip->probes[i];
    }
    return NULL;
}

static void probe_free(struct probe *probe)
{
    *probe = (struct probe){0};
}

/* --- what was found --------------------------------------------------------------------------- */

static void say_finding(struct gossip *gossip, uint32_t asker, uint64_t asked_as,
                        enum finding finding, struct moment now)
{
    /* The asker is held by nobody unless it is a member: it may be forgotten by now. */
    struct account *record =
        links_has_peer(gossip->links, asker) ? wire_record(gossip, asker) : NULL;
    struct reply *out = record ? wire_out(gossip, record, now) : NULL;
    if (!out)
        return;
    struct message probed = {
        .kind = MESSAGE_PROBED,
        .PROBED = {.number = asked_as, .result = span_of_string(finding_word(finding))}};
    wire_send(gossip, out, &probed);
}

static void conclude(struct gossip *gossip, struct probe *probe, struct moment now)
{
    struct account *target = probe->target;
    struct verdict verdict = verdict_of(probe->own, probe->findings, probe->helper_count);
    probe_free(probe);
    if (verdict.is_alive || gossip->no_doubts)
        return;
    bool is_path = verdict.evidence != EVIDENCE_REFUSED;
    isolation_note(&gossip->isolation, target->name_hash, is_path, now.mono_ms);
    if (verdict.is_mute && is_path)
        gossip->health = health_worse(gossip->health, 1);
    gossip->stats->gossip_failures++;
    hear_doubt(gossip, target, verdict.evidence, now);
}

static void ask_helpers(struct gossip *gossip, struct probe *probe, struct moment now)
{
    struct account *drawn[2 * HELPERS];
    struct target_view view = wire_view(gossip);
    uint32_t count = targets_draw(&gossip->prng, &view, probe->target, 2 * HELPERS, drawn);
    struct message question = {.kind = MESSAGE_PROBE,
                               .PROBE = {.number = probe->number,
                                         .name = span_of_string(probe->target->name),
                                         .boot = probe->target->boot}};
    for (uint32_t i = 0; i < count && probe->helper_count < HELPERS; i++) {
        struct reply *out =
            drawn[i]->state == MEMBER_ALIVE ? wire_out(gossip, drawn[i], now) : NULL;
        if (!out)
            continue;
        wire_send(gossip, out, &question);
        probe->helpers[probe->helper_count++] = drawn[i]->peer;
    }
}

/* It does not answer here: do others reach it? A helper says what it has found. */
static void go_indirect(struct gossip *gossip, struct probe *probe, enum evidence evidence,
                        struct moment now)
{
    if (probe->kind == PROBE_HELP) {
        say_finding(gossip, probe->asker, probe->asked_as, finding_of(evidence), now);
        probe_free(probe);
        return;
    }
    probe->stage = PROBE_INDIRECT;
    probe->own = evidence;
    probe->number = ++gossip->number;
    probe->due_ms = now.mono_ms + gossip->options.indirect_ms;
    if (!MUTANT(no_helpers))
        ask_helpers(gossip, probe, now);
    if (probe->helper_count == 0)
        conclude(gossip, probe, now);
}

void probe_found(struct gossip *gossip, uint32_t peer, const struct message_PROBED *found,
                 struct moment now)
{
    enum finding finding;
    if (!finding_parse(found->result, &finding))
        return; /* a later version's */
    for (size_t i = 0; i < OWN_PROBES_MAX; i++) {
        struct probe *probe = &gossip->probes[i];
        if (probe->stage != PROBE_INDIRECT || probe->number != found->number)
            continue;
        bool is_complete = true;
        for (uint32_t h = 0; h < probe->helper_count; h++) {
            if (probe->helpers[h] == peer)
                probe->findings[h] = finding;
            is_complete &= probe->findings[h] != FINDING_NONE;
        }
        if (is_complete || finding == FINDING_OK)
            conclude(gossip, probe, now);
        return;
    }
}

/* --- asking ----------------------------------------------------------------------------------- */

static uint64_t ping(struct gossip *gossip, struct account *record, struct moment now)
{
    struct reply *out = wire_out(gossip, record, now);
    if (!out)
        return 0;
    struct buf *body = wire_body(gossip);
    if (hear_is_accused(record))
        hear_append_account(gossip, record, now, body);
    struct message question = {
        .kind = MESSAGE_PING, .PING = {.number = ++gossip->number}, .body = buf_span(body)};
    wire_send(gossip, out, &question);
    return gossip->number;
}

/* How long an answer may take: four round trips, within bounds; longer while this node is unwell. A
 * helper waits nearly as long as who asked it: a packet that is lost is repeated after 200 ms. */
static uint64_t answer_ms(const struct gossip *gossip, const struct probe *probe)
{
    const struct gossip_options *options = &gossip->options;
    if (probe->kind == PROBE_HELP)
        return options->indirect_ms - options->indirect_ms / 10;
    uint32_t ms = options->probe_ms;
    uint32_t adapted_ms = probe->target->srtt_ms / 2;
    if (probe->target->srtt_ms != 0 && adapted_ms < ms)
        ms = adapted_ms > options->probe_min_ms ? adapted_ms : options->probe_min_ms;
    return (uint64_t)ms * (gossip->health + 1u);
}

/* A packet that is lost is sent again by the kernel after 200 ms, and if that is lost, after 400
 * and 800 more; but at once when a later one arrives behind it and is acknowledged in its place. So
 * another question follows one that has had no answer, and another answer that of the first. If all
 * is acknowledged, only the answer can be lost, or the process is stopped, or busy, and is not to
 * be burdened. A path whose round trip is longer than the pause carries some more for nothing. */
static void nudge(struct gossip *gossip, struct account *account, uint32_t times, struct moment now)
{
    if (wire_state(gossip, account) == LINK_UP &&
        (times <= NUDGES_ACKED || wire_unacked(gossip, account) > 0))
        ping(gossip, account, now);
}

static void tick_nudge(struct gossip *gossip, struct probe *probe, struct moment now)
{
    probe->nudge_ms = UINT64_MAX;
    if (++probe->nudges > NUDGES_MAX || MUTANT(never_nudges))
        return;
    probe->nudge_ms = now.mono_ms + gossip->options.probe_min_ms / 2;
    nudge(gossip, probe->target, probe->nudges, now);
    for (uint32_t i = 0; probe->stage == PROBE_INDIRECT && i < probe->helper_count; i++) {
        struct account *helper = wire_record(gossip, probe->helpers[i]);
        if (helper && probe->findings[i] == FINDING_NONE)
            nudge(gossip, helper, UINT32_MAX, now);
    }
}

static void wait_again(struct gossip *gossip, struct probe *probe, struct moment now)
{
    if (++probe->breaks > BREAKS_MAX) {
        if (probe->kind == PROBE_HELP)
            say_finding(gossip, probe->asker, probe->asked_as, FINDING_UNKNOWN, now);
        probe_free(probe); /* no evidence of anything: the backstop will tell */
        return;
    }
    probe->stage = PROBE_WAITING;
    uint64_t pause_ms = probe->breaks == 1 ? 0 : BREAK_PAUSE_MS << (probe->breaks - 2);
    probe->due_ms = now.mono_ms + pause_ms;
}

/* When to look at a question that has just been asked: at its end, or before it, where the
 * connection is only being made. A SYN or a refusal that is lost would make silent of a process
 * that is gone: there is time for three. */
static uint64_t ask_due_ms(const struct gossip *gossip, const struct probe *probe,
                           struct moment now)
{
    uint64_t pause_ms = answer_ms(gossip, probe) / (REDIALS_MAX + 1);
    if (pause_ms > gossip->options.redial_ms)
        pause_ms = gossip->options.redial_ms;
    bool may_redial =
        probe->redials < REDIALS_MAX && wire_state(gossip, probe->target) == LINK_DIALLING;
    return may_redial && now.mono_ms + pause_ms < probe->end_ms ? now.mono_ms + pause_ms
                                                                : probe->end_ms;
}

static void ask(struct gossip *gossip, struct probe *probe, struct moment now)
{
    bool is_exchange = probe->kind == PROBE_EXCHANGE;
    probe->number = is_exchange ? exchange_ask(gossip, probe->target, false, now)
                                : ping(gossip, probe->target, now);
    if (probe->number == 0) {
        wait_again(gossip, probe, now);
        return;
    }
    probe->stage = PROBE_ASKED;
    probe->end_ms = now.mono_ms + answer_ms(gossip, probe);
    probe->nudge_ms = now.mono_ms + gossip->options.probe_min_ms / 2;
    probe->due_ms = ask_due_ms(gossip, probe, now);
}

/* A connection whose first bytes were lost long ago tries again only after a long pause, and one
 * that leads to a machine that has been away, never. */
static void leave_stuck(struct gossip *gossip, struct account *record, struct moment now)
{
    if (record->asked_ms != 0 && now.mono_ms >= record->asked_ms + STUCK_MS &&
        (wire_state(gossip, record) != LINK_UP || wire_unacked(gossip, record) > 0))
        wire_drop(gossip, record, now);
}

void probe_exchange(struct gossip *gossip, struct account *record, struct moment now)
{
    if (probe_find(gossip, record))
        return;
    struct probe *probe = probe_take(gossip, PROBE_EXCHANGE, record);
    if (!probe)
        return;
    leave_stuck(gossip, record, now);
    ask(gossip, probe, now);
}

void probe_check(struct gossip *gossip, struct account *record, uint64_t at_ms, struct moment now)
{
    if (probe_find(gossip, record))
        return;
    struct probe *probe = probe_take(gossip, PROBE_CHECK, record);
    if (!probe)
        return;
    probe->due_ms = at_ms;
    if (at_ms <= now.mono_ms)
        ask(gossip, probe, now);
}

void probe_help(struct gossip *gossip, uint32_t asker, const struct message_PROBE *question,
                struct moment now)
{
    struct account *record = members_find(&gossip->members, question->name);
    if (record == gossip->members.self) {
        say_finding(gossip, asker, question->number, FINDING_OK, now);
        return;
    }
    struct probe *probe =
        record && record_is_live(record) ? probe_take(gossip, PROBE_HELP, record) : NULL;
    if (!probe) {
        say_finding(gossip, asker, question->number, FINDING_UNKNOWN, now);
        return;
    }
    probe->asker = asker;
    probe->asked_as = question->number;
    leave_stuck(gossip, record, now);
    ask(gossip, probe, now);
}

/* --- what happens ----------------------------------------------------------------------------- */

void probe_answered(struct gossip *gossip, struct account *record, struct moment now)
{
    for (size_t i = 0; i < PROBES_MAX; i++) {
        struct probe *probe = &gossip->probes[i];
        if (probe->stage == PROBE_FREE || probe->target != record)
            continue;
        if (probe->kind == PROBE_HELP)
            say_finding(gossip, probe->asker, probe->asked_as, FINDING_OK, now);
        else if (probe->stage != PROBE_WAITING)
            gossip->health = health_better(gossip->health);
        probe_free(probe);
    }
}

/* What the end of a connection says. Returns false if it says nothing of the other process. */
static bool evidence_of(enum disconnect why, enum evidence *evidence)
{
    switch (why) {
    case DISCONNECT_REFUSED:
    case DISCONNECT_STRANGER:
        *evidence = EVIDENCE_REFUSED;
        return !MUTANT(refusal_is_nothing) &&
               !(MUTANT(stranger_is_nothing) && why == DISCONNECT_STRANGER);
    case DISCONNECT_MUTE:
        *evidence = EVIDENCE_STALLED;
        return true;
    case DISCONNECT_TIMEOUT:
    case DISCONNECT_UNREACHABLE:
        *evidence = EVIDENCE_SILENT;
        return true;
    case DISCONNECT_CLOSED:
    case DISCONNECT_RESET:
    case DISCONNECT_NAME:
    case DISCONNECT_LOCAL:
    case DISCONNECT_DENIED:
        break;
    }
    return false;
}

void probe_lost(struct gossip *gossip, struct account *record, enum disconnect why, bool was_up,
                struct moment now)
{
    bool was_asked = false;
    enum evidence evidence;
    for (size_t i = 0; i < PROBES_MAX; i++) {
        struct probe *probe = &gossip->probes[i];
        if (probe->stage == PROBE_FREE || probe->target != record)
            continue;
        was_asked |= probe->kind != PROBE_HELP;
        if (probe->stage != PROBE_ASKED)
            continue;
        if (why == DISCONNECT_DENIED)
            probe_free(probe);
        else if (evidence_of(why, &evidence))
            go_indirect(gossip, probe, evidence, now);
        else
            wait_again(gossip, probe, now);
    }
    if (was_asked || !was_up || !record_is_live(record))
        return;
    /* proto.md "Membership": watchers look at once, everybody else waits for what they say. */
    struct target_view view = wire_view(gossip);
    bool is_watcher = targets_watches(&view, record);
    probe_check(gossip, record, now.mono_ms + (is_watcher ? 0 : gossip->options.look_ms), now);
}

/* --- time ------------------------------------------------------------------------------------- */

/* No answer: what does the open connection say? */
static enum evidence evidence_of_silence(const struct gossip *gossip, const struct account *record)
{
    switch (wire_state(gossip, record)) {
    case LINK_UP:
        return wire_unacked(gossip, record) > 0 ? EVIDENCE_SILENT : EVIDENCE_STALLED;
    case LINK_GREETING:
        return EVIDENCE_STALLED;
    case LINK_RESTING:
    case LINK_DIALLING:
        break;
    }
    return EVIDENCE_SILENT;
}

/* Others have said by now what happened to it. */
static bool is_settled(const struct probe *probe)
{
    return probe->kind == PROBE_CHECK && (!record_is_live(probe->target) ||
                                          (probe->target->state == MEMBER_SUSPECT &&
                                           probe->target->suspicion->evidence == EVIDENCE_REFUSED));
}

static void tick_asked(struct gossip *gossip, struct probe *probe, struct moment now)
{
    if (now.mono_ms >= probe->end_ms) {
        go_indirect(gossip, probe, evidence_of_silence(gossip, probe->target), now);
        return;
    }
    probe->due_ms = probe->end_ms;
    if (wire_state(gossip, probe->target) != LINK_DIALLING)
        return;
    /* A lost SYN is repeated only after a second: a new one goes at once. */
    uint64_t end_ms = probe->end_ms;
    probe->redials++;
    wire_drop(gossip, probe->target, now);
    ask(gossip, probe, now);
    if (probe->stage != PROBE_ASKED)
        return; /* it cannot be asked: that waits, or the probe is over */
    probe->end_ms = end_ms;
    probe->due_ms = ask_due_ms(gossip, probe, now);
}

static void tick_one(struct gossip *gossip, struct probe *probe, struct moment now)
{
    switch (probe->stage) {
    case PROBE_FREE:
        break;
    case PROBE_WAITING:
        if (is_settled(probe))
            probe_free(probe);
        else
            ask(gossip, probe, now);
        break;
    case PROBE_ASKED:
        tick_asked(gossip, probe, now);
        break;
    case PROBE_INDIRECT:
        conclude(gossip, probe, now);
        break;
    }
}

/* An answer is waited for, the target's or the helpers'. */
static bool is_judging(const struct probe *probe)
{
    return probe->stage == PROBE_ASKED || probe->stage == PROBE_INDIRECT;
}

void probe_tick(struct gossip *gossip, struct moment now)
{
    for (size_t i = 0; i < PROBES_MAX; i++) {
        struct probe *probe = &gossip->probes[i];
        if (is_judging(probe) && probe->nudge_ms <= now.mono_ms)
            tick_nudge(gossip, probe, now);
        if (probe->stage != PROBE_FREE && probe->due_ms <= now.mono_ms)
            tick_one(gossip, probe, now);
    }
}

uint64_t probe_deadline(const struct gossip *gossip)
{
    uint64_t deadline_ms = UINT64_MAX;
    for (size_t i = 0; i < PROBES_MAX; i++) {
        const struct probe *probe = &gossip->probes[i];
        if (probe->stage != PROBE_FREE && probe->due_ms < deadline_ms)
            deadline_ms = probe->due_ms;
        if (is_judging(probe) && probe->nudge_ms < deadline_ms)
            deadline_ms = probe->nudge_ms;
    }
    return deadline_ms;
}

void probe_drop_all(struct gossip *gossip, struct moment now)
{
    for (size_t i = 0; i < PROBES_MAX; i++) {
        struct probe *probe = &gossip->probes[i];
        if (probe->stage == PROBE_FREE)
            continue;
        if (probe->kind == PROBE_HELP)
            say_finding(gossip, probe->asker, probe->asked_as, FINDING_UNKNOWN, now);
        if (probe->kind != PROBE_CHECK || probe->stage != PROBE_WAITING)
            probe_free(probe);
    }
}
