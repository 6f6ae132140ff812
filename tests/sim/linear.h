/* Judges what clients were told of one key: is there an order of their operations, each taking
 * effect at one moment between its beginning and its end, in which every answer is true?
 *
 * It knows memcached's rules for one key and nothing else: not how a cluster works, nor any code of
 * the server. The search is Wing and Gong's with Lowe's memory of what was tried: an order is built
 * from the front; what has been placed, and the state it led to, is tried once. A version that was
 * shown with a value which only one operation can have made is that operation's from the start; one
 * that was compared with, and found, comes before all higher ones.
 *
 *  - An operation of unknown outcome takes effect once, at any moment after its beginning, or
 * never. One that was not done never does.
 *  - Versions (`cas unique`) rise with every write, and belong to one write for ever.
 *  - A key with a time to live may be found absent early_us before its time at the earliest, and be
 *    seen late_us after it at the latest: clocks differ, and nodes hand on what is left in seconds.
 *
 * Used by the simulator, and by the checking client of the scenarios with real processes. */
#ifndef DHT_TESTS_SIM_LINEAR_H
#define DHT_TESTS_SIM_LINEAR_H

#include "common/span.h"

#define LINEAR_OPEN        UINT64_MAX /* ended_us of what was never answered */
#define LINEAR_REPORT_SIZE 6000u

enum linear_kind {
    LINEAR_GET,
    LINEAR_SET,
    LINEAR_ADD,
    LINEAR_REPLACE,
    LINEAR_APPEND,
    LINEAR_PREPEND,
    LINEAR_INCR,
    LINEAR_DECR,
    LINEAR_DELETE,
    LINEAR_TOUCH, /* also the write of a gat, whose value is then shown */
    LINEAR_FLUSH,
    LINEAR_KINDS
};

enum linear_outcome {
    LINEAR_DONE,      /* carried out; a get: there is a value */
    LINEAR_ABSENT,    /* refused, or missed: the key is absent */
    LINEAR_PRESENT,   /* refused: it is there (add), or is of another version (compare) */
    LINEAR_NO_NUMBER, /* incr, decr refused: the value is no number */
    LINEAR_NOT_DONE,
    LINEAR_UNKNOWN,
    LINEAR_OUTCOMES
};

struct linear_op {
    enum linear_kind kind;
    enum linear_outcome outcome;
    uint64_t begun_us;
    uint64_t ended_us; /* LINEAR_OPEN: never */

    /* What was asked; borrowed. */
    struct span value; /* set, add, replace: the value; append, prepend: what is put to it */
    uint32_t flags;    /* set, add, replace: client flags */
    uint64_t delta;    /* incr, decr */
    uint64_t compare; /* set, append, prepend, incr, decr, delete: only if the version is this; 0 */
    uint64_t ttl_us;  /* set, add, replace, touch: time to live; 0: for ever */
    bool is_expired;  /* likewise: to be absent at once (a negative time) */
    uint64_t delay_us; /* flush: not now, but when so much has passed */

    /* What was answered. */
    struct span
        shown;        /* get, touch (gat): the value; incr, decr: the number; data NULL: not told */
    uint64_t version; /* of the value: found (get, touch), or made (the others); 0: not told */
    uint32_t shown_flags;
    bool has_flags;   /* shown_flags was told */
    bool was_unknown; /* asked again by its id, as what had become of it was not known */
    bool is_late;     /* the same once more, after its id was forgotten: unknown */
};

struct linear_options {
    bool is_anything;  /* the key may be anything at the beginning; else it is absent */
    bool may_vanish;   /* it may be gone at any time: evicted */
    uint64_t early_us; /* see above */
    uint64_t late_us;
    uint64_t tries_max; /* states looked at, at most; 0: a million */
};

enum linear_result {
    LINEAR_GOOD,
    LINEAR_BAD,
    LINEAR_UNDECIDED /* tries_max was too few */
};

struct linear_verdict {
    enum linear_result result;
    uint64_t tries;
    size_t placed_max; /* of count operations that had to be placed, at most so many */
    char report[LINEAR_REPORT_SIZE]; /* if not good: how far it goes, and what cannot come next */
};

/* Judges count operations of one key, in any order; options may be NULL. */
struct linear_verdict linear_judge(const struct linear_op *ops, size_t count,
                                   const struct linear_options *options);
/* Writes an operation as one line of text, without a line end. */
void linear_format(const struct linear_op *op, char *text, size_t size);
const char *linear_kind_word(enum linear_kind kind);
const char *linear_outcome_word(enum linear_outcome outcome);

#endif
