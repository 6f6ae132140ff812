#include "server/core/detector.h"

#include "common/check.h"
#include "common/mutant.h"

static const char *const evidence_words[] = {
#define EVIDENCE_WORD(name, word) [EVIDENCE_##name] = (word),
    EVIDENCE_LIST(EVIDENCE_WORD)
#undef EVIDENCE_WORD
};

const char *evidence_word(enum evidence evidence)
{
    CHECK((size_t)evidence < ARRAY_COUNT(evidence_words));
    return evidence_words[evidence];
}

bool evidence_parse(struct span word, enum evidence *evidence)
{
    for (size_t i = 0; i < ARRAY_COUNT(evidence_words); i++) {
        if (span_equal(word, span_of_string(evidence_words[i]))) {
            *evidence = (enum evidence)i;
            return true;
        }
    }
    return false;
}

static const char *const finding_words[] = {[FINDING_NONE] = "none",
#define FINDING_WORD(name, word) [FINDING_##name] = (word),
                                            FINDING_LIST(FINDING_WORD)
#undef FINDING_WORD
};

const char *finding_word(enum finding finding)
{
    CHECK((size_t)finding < ARRAY_COUNT(finding_words));
    return finding_words[finding];
}

bool finding_parse(struct span word, enum finding *finding)
{
    for (size_t i = FINDING_NONE + 1; i < ARRAY_COUNT(finding_words); i++) {
        if (span_equal(word, span_of_string(finding_words[i]))) {
            *finding = (enum finding)i;
            return true;
        }
    }
    return false;
}

enum finding finding_of(enum evidence evidence)
{
    switch (evidence) {
    case EVIDENCE_REFUSED:
        return FINDING_REFUSED;
    case EVIDENCE_SILENT:
        return FINDING_SILENT;
    case EVIDENCE_STALLED:
        break;
    }
    return FINDING_STALLED;
}

/* --- suspicions ------------------------------------------------------------------------------- */

/* Keeps what a reporter says. Returns whether it is new: a new reporter, or other evidence. */
static bool take_reporter(struct suspicion *suspicion, uint64_t reporter, enum evidence evidence)
{
    uint8_t at = 0;
    while (at < suspicion->reporter_count && suspicion->reporters[at] != reporter)
        at++;
    if (at == REPORTERS_MAX)
        return false;
    if (at < suspicion->reporter_count && suspicion->reported[at] == evidence)
        return false;
    suspicion->reporters[at] = reporter;
    suspicion->reported[at] = (uint8_t)evidence;
    if (at == suspicion->reporter_count)
        suspicion->reporter_count++;
    return true;
}

void suspicion_begin(struct suspicion *suspicion, enum evidence evidence, uint64_t reporter,
                     bool is_own, uint64_t since_ms, uint64_t now_ms)
{
    *suspicion = (struct suspicion){
        .evidence = evidence,
        .since_ms = since_ms,
        .evidence_ms = now_ms,
        .is_own = is_own,
    };
    if (reporter != 0)
        take_reporter(suspicion, reporter, evidence);
}

static void change_evidence(struct suspicion *suspicion, enum evidence evidence, uint64_t now_ms)
{
    suspicion->evidence = evidence;
    suspicion->evidence_ms = now_ms;
    suspicion->harsher_count = 0;
}

/* Whether nobody says anything else any more: who said something milder has been refused since. */
static bool are_all_refused(const struct suspicion *suspicion)
{
    for (uint8_t i = 0; i < suspicion->reporter_count; i++)
        if (suspicion->reported[i] != EVIDENCE_REFUSED)
            return false;
    return !MUTANT(milder_stays);
}

/* proto.md "Membership": the milder evidence wins until three later reports say otherwise, or all
 * who reported have been refused. */
bool suspicion_report(struct suspicion *suspicion, enum evidence evidence, uint64_t reporter,
                      bool is_own, uint64_t now_ms)
{
    uint8_t before = suspicion->reporter_count;
    if (reporter == 0 || !take_reporter(suspicion, reporter, evidence))
        return false;
    suspicion->is_own |= is_own;
    if (evidence < suspicion->evidence) {
        change_evidence(suspicion, evidence, now_ms);
        return true;
    }
    if (evidence > suspicion->evidence) {
        if (++suspicion->harsher_count == HARSHER_NEEDED || are_all_refused(suspicion))
            change_evidence(suspicion, evidence, now_ms);
        return true;
    }
    return suspicion->reporter_count > before && suspicion->reporter_count <= CONFIRMATIONS_MAX + 1;
}

bool suspicion_condemn(struct suspicion *suspicion)
{
    bool is_new = !suspicion->is_condemned;
    suspicion->is_condemned = !MUTANT(removal_is_nothing);
    return is_new;
}

uint32_t log2_milli(uint32_t value)
{
    CHECK(value >= 1);
    uint32_t whole = 31 - (uint32_t)__builtin_clz(value);
    /* The fraction bit by bit: squaring a number in [1, 2) doubles its logarithm. */
    uint64_t mantissa = ((uint64_t)value << 32) >> whole; /* 1.0 is 2^32 */
    uint64_t fraction = 0;
    for (unsigned bit = 0; bit < 16; bit++) {
        mantissa = (uint64_t)(((unsigned __int128)mantissa * mantissa) >> 32);
        fraction <<= 1;
        if (mantissa >> 33) {
            mantissa >>= 1;
            fraction |= 1;
        }
    }
    return whole * 1000 + (uint32_t)(fraction * 1000 >> 16);
}

uint32_t log2_ceil(uint32_t value)
{
    CHECK(value >= 1);
    return value == 1 ? 0 : 32 - (uint32_t)__builtin_clz(value - 1);
}

/* log(c + 1) / log(k + 1) in thousandths, for c confirmations of k that are waited for. */
static uint32_t confirmed_milli(uint32_t confirmations, uint32_t needed)
{
    if (confirmations >= needed)
        return 1000;
    return 1000 * log2_milli(confirmations + 1) / log2_milli(needed + 1);
}

/* Beyond 400 members a confirmation takes longer to come around, as the logarithm. */
#define SCALE_FROM_MEMBERS 400u

static uint64_t scaled(uint64_t ms, uint32_t members)
{
    if (members <= SCALE_FROM_MEMBERS)
        return ms;
    return ms * log2_milli(members) / log2_milli(SCALE_FROM_MEMBERS);
}

uint64_t suspicion_deadline(const struct suspicion *suspicion, const struct gossip_options *options,
                            uint32_t members, bool is_damped)
{
    if (suspicion->evidence == EVIDENCE_REFUSED && !MUTANT(refused_waits))
        return suspicion->evidence_ms + options->refused_ms;
    bool is_silent = suspicion->evidence == EVIDENCE_SILENT || MUTANT(stopped_is_silent);
    uint64_t min = is_silent ? options->silent_min_ms : options->stalled_min_ms;
    uint64_t max = is_silent ? options->silent_max_ms : options->stalled_max_ms;
    /* All but the subject and the first reporter can confirm. */
    uint32_t others = members > 2 ? members - 2 : 0;
    uint32_t needed = others < CONFIRMATIONS_MAX ? others : CONFIRMATIONS_MAX;
    uint32_t confirmations = suspicion->reporter_count > 1 ? suspicion->reporter_count - 1u : 0;
    if (suspicion->is_condemned)
        confirmations = needed;
    uint64_t spread = max > min ? max - min : 0;
    uint64_t ms = min + spread - spread * confirmed_milli(confirmations, needed) / 1000;
    if (is_silent && is_damped)
        ms *= 2;
    return suspicion->since_ms + scaled(ms, members) + suspicion->frozen_ms;
}

/* --- a failed probe --------------------------------------------------------------------------- */

static bool evidence_of_finding(enum finding finding, enum evidence *evidence)
{
    switch (finding) {
    case FINDING_REFUSED:
        *evidence = EVIDENCE_REFUSED;
        return true;
    case FINDING_SILENT:
        *evidence = EVIDENCE_SILENT;
        return true;
    case FINDING_STALLED:
        *evidence = EVIDENCE_STALLED;
        return true;
    case FINDING_NONE:
    case FINDING_OK:
    case FINDING_UNKNOWN:
        break;
    }
    return false;
}

struct verdict verdict_of(enum evidence own, const enum finding *findings, uint32_t count)
{
    struct verdict verdict = {.is_mute = count > 0, .evidence = own};
    for (uint32_t i = 0; i < count; i++) {
        enum evidence seen;
        if (findings[i] != FINDING_NONE)
            verdict.is_mute = false;
        if (findings[i] == FINDING_OK)
            verdict.is_alive = true;
        if (evidence_of_finding(findings[i], &seen) && seen < verdict.evidence)
            verdict.evidence = seen;
    }
    return verdict;
}

/* --- oneself ---------------------------------------------------------------------------------- */

uint8_t health_worse(uint8_t health, uint32_t by)
{
    CHECK(health <= HEALTH_MAX);
    return by >= HEALTH_MAX - health ? HEALTH_MAX : (uint8_t)(health + by);
}

uint8_t health_better(uint8_t health)
{
    CHECK(health <= HEALTH_MAX);
    return health == 0 ? 0 : (uint8_t)(health - 1);
}

void isolation_note(struct isolation *isolation, uint64_t peer, bool has_failed, uint64_t now_ms)
{
    uint32_t at = isolation->next;
    for (uint32_t i = 0; i < isolation->count; i++)
        if (isolation->probes[i].peer == peer)
            at = i;
    isolation->probes[at].peer = peer;
    isolation->probes[at].at_ms = now_ms;
    isolation->probes[at].has_failed = has_failed;
    if (at != isolation->next)
        return;
    isolation->next = (isolation->next + 1) % ISOLATION_PROBES;
    if (isolation->count < ISOLATION_PROBES)
        isolation->count++;
}

uint32_t isolation_least(uint32_t peers)
{
    return peers == 2 ? 2 : ISOLATION_PEERS_MIN;
}

bool isolation_holds(const struct isolation *isolation, uint32_t peers, uint8_t health,
                     uint64_t now_ms)
{
    uint64_t window_ms = ISOLATION_WINDOW_MS * (health + 1u);
    uint32_t probed = 0, failed = 0;
    for (uint32_t i = 0; i < isolation->count; i++) {
        if (isolation->probes[i].at_ms + window_ms < now_ms)
            continue;
        probed++;
        failed += isolation->probes[i].has_failed;
    }
    return failed >= isolation_least(peers) && 2 * failed > probed;
}

/* --- flapping --------------------------------------------------------------------------------- */

uint32_t flap_score(uint32_t milli, uint64_t counted_ms, uint64_t now_ms, uint32_t half_ms)
{
    uint64_t elapsed = now_ms > counted_ms ? now_ms - counted_ms : 0;
    uint64_t halvings = elapsed / half_ms;
    if (halvings >= 32)
        return 0;
    uint64_t score = milli >> halvings;
    /* Between two halvings along a straight line: at most 6 % above the curve. */
    return (uint32_t)(score - score * (elapsed % half_ms) / half_ms / 2);
}
