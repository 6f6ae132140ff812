/* The detector's kernels: how long a suspicion lasts, of what kind it is, whether it is the others
 * or oneself. Numbers in, numbers out: no links, no members, no clock.
 *
 * A suspicion is of a class, called evidence: what was seen decides how long its subject has to
 * prove itself. The milder evidence counts until three later reports say otherwise, or all who
 * reported it have been refused since. */
#ifndef DHT_SERVER_CORE_DETECTOR_H
#define DHT_SERVER_CORE_DETECTOR_H

#include "server/core/gossip_options.h"

/* From mild to harsh. X(name, word on the wire). */
#define EVIDENCE_LIST(X)                                                                           \
    X(STALLED, "stalled") /* its machine acknowledged, its process did not answer */               \
    X(SILENT, "silent")   /* its machine acknowledges nothing */                                   \
    X(REFUSED, "refused") /* its connection broke, and nothing listens there */

enum evidence {
#define EVIDENCE_ENUM(name, word) EVIDENCE_##name,
    EVIDENCE_LIST(EVIDENCE_ENUM)
#undef EVIDENCE_ENUM
};

const char *evidence_word(enum evidence evidence);
MUST_USE bool evidence_parse(struct span word, enum evidence *evidence);

/* --- suspicions ------------------------------------------------------------------------------- */

#define CONFIRMATIONS_MAX 3u /* more reporters shorten nothing */
#define REPORTERS_MAX     8u /* and further ones are not kept */
#define HARSHER_NEEDED    3u

struct suspicion {
    enum evidence evidence;
    uint64_t since_ms;                 /* when it began: proof of life after this cancels it */
    uint64_t evidence_ms;              /* when the evidence became this */
    uint64_t frozen_ms;                /* time that does not count: this node was cut off */
    uint64_t warned_ms;                /* when the subject was asked for a last word; 0: not yet */
    uint64_t reporters[REPORTERS_MAX]; /* hashes of their names */
    uint8_t reported[REPORTERS_MAX];   /* the evidence of each, as it said last */
    uint8_t reporter_count;
    uint8_t harsher_count; /* reports since of harsher evidence */
    bool is_own;           /* this node is a reporter */
    bool is_condemned;     /* another has removed the subject: it has waited already, in vain */
};

/* Begins with one report. reporter 0: hearsay without a reporter. */
void suspicion_begin(struct suspicion *suspicion, enum evidence evidence, uint64_t reporter,
                     bool is_own, uint64_t since_ms, uint64_t now_ms);
/* Takes a report; without reporter (0) it is none. Returns whether others should hear it: it is
 * among the first that confirm, or it counts towards other evidence. */
bool suspicion_report(struct suspicion *suspicion, enum evidence evidence, uint64_t reporter,
                      bool is_own, uint64_t now_ms);
/* Another node has removed the subject, with no word from it since: as good as every confirmation.
 * Returns whether that is new. */
bool suspicion_condemn(struct suspicion *suspicion);
/* When its subject is DEAD.
 *
 * members     live ones, the subject and this node among them: no more confirmations are waited for
 *             than there are others to give them; from 400 on silent and stalled last longer, by
 *             log10 members / log10 400.
 * is_damped   the subject flaps: silent lasts twice as long. */
uint64_t suspicion_deadline(const struct suspicion *suspicion, const struct gossip_options *options,
                            uint32_t members, bool is_damped);

/* 1000 × log2 of value, rounded down; value >= 1. */
uint32_t log2_milli(uint32_t value);
/* The smallest number of doublings that reach value; value >= 1. */
uint32_t log2_ceil(uint32_t value);

/* --- a failed probe --------------------------------------------------------------------------- */

/* What a helper says, or nothing yet. X(name, word on the wire). */
#define FINDING_LIST(X)                                                                            \
    X(OK, "ok")           /* it answers there */                                                   \
    X(REFUSED, "refused") /* as evidence */                                                        \
    X(SILENT, "silent")                                                                            \
    X(STALLED, "stalled")                                                                          \
    X(UNKNOWN, "unknown") /* it could not try */

enum finding {
    FINDING_NONE, /* no answer */
#define FINDING_ENUM(name, word) FINDING_##name,
    FINDING_LIST(FINDING_ENUM)
#undef FINDING_ENUM
};

const char *finding_word(enum finding finding);
MUST_USE bool finding_parse(struct span word, enum finding *finding);
enum finding finding_of(enum evidence evidence);

struct verdict {
    bool is_alive;          /* a helper reached it */
    bool is_mute;           /* there were helpers, and none said anything */
    enum evidence evidence; /* if not alive: the mildest of what was seen */
};

/* Puts own evidence and the helpers' findings together. */
struct verdict verdict_of(enum evidence own, const enum finding *findings, uint32_t count);

/* --- oneself ---------------------------------------------------------------------------------- */

#define HEALTH_MAX 7u

/* Local health: 0 is well; every time of a probe is multiplied by health + 1. */
uint8_t health_worse(uint8_t health, uint32_t by);
uint8_t health_better(uint8_t health);

#define ISOLATION_WINDOW_MS 5000u
#define ISOLATION_PROBES    24u
#define ISOLATION_PEERS_MIN 3u

/* How many that fail make it likely that it is this node, where there are so many others. Of two,
 * both; one that fails may as well be the one that is gone. */
uint32_t isolation_least(uint32_t peers);

/* The last probes, for the question "is it me?". Zeroed is valid. */
struct isolation {
    struct {
        uint64_t peer; /* hash of its name */
        uint64_t at_ms;
        bool has_failed;
    } probes[ISOLATION_PROBES]; /* a ring: the oldest is overwritten; one a peer */
    uint32_t count;
    uint32_t next;
};

/* A probe of this peer has ended. A refusal is a success: the path is well. */
void isolation_note(struct isolation *isolation, uint64_t peer, bool has_failed, uint64_t now_ms);
/* Whether at least isolation_least(peers) and more than half of those probed in the window have
 * failed. */
bool isolation_holds(const struct isolation *isolation, uint32_t peers, uint8_t health,
                     uint64_t now_ms);

/* --- flapping --------------------------------------------------------------------------------- */

#define FLAP_LIMIT_MILLI 3000u

/* The score, in thousandths, as it is now: halved for every half-life since it was counted. */
uint32_t flap_score(uint32_t milli, uint64_t counted_ms, uint64_t now_ms, uint32_t half_ms);

#endif
