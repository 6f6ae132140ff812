/* What memcached's commands do to one item, apart from how answers are worded: the rules that the
 * classic commands (command.c) and the meta commands (meta.c) share.
 *
 * Every rule was seen on memcached 1.6.18; what is newer is memcached's doc/protocol.txt. A refused
 * change leaves the item as it was. Must not know requests, answers, or who asks. */
#ifndef DHT_SERVER_CORE_EXECUTOR_H
#define DHT_SERVER_CORE_EXECUTOR_H

#include "common/number.h"
#include "server/core/stats.h"
#include "server/store/store.h"

#define EXPTIME_RELATIVE_MAX_S (60 * 60 * 24 * 30) /* larger is a unix time */

/* Where commands are carried out; the caller keeps the times current. */
struct executor {
    struct store *store;      /* borrowed */
    struct stats *stats;      /* borrowed; what was done is counted here */
    uint32_t now_s;           /* the store's clock, as told by store_tell_time */
    int64_t unix_s_at_zero;   /* unix time at 0 of the store's clock: for absolute expiries */
    uint32_t value_bytes_max; /* an append beyond it is refused */
};

/* What became of a change. */
enum outcome {
    OUTCOME_DONE,
    OUTCOME_NOT_STORED, /* the mode's condition does not hold, or the value would grow too large */
    OUTCOME_EXISTS,     /* another cas unique */
    OUTCOME_NOT_FOUND,
    OUTCOME_NOT_NUMERIC, /* arithmetic on something else */
    OUTCOME_TOO_LARGE,   /* the store cannot hold so large a value */
    OUTCOME_FULL         /* the memory bound is reached */
};

/* The answer line for an outcome that is an error, from OUTCOME_NOT_NUMERIC on. Static text. */
struct span outcome_error(enum outcome outcome);

/* The expiry on the store's clock that a client's exptime means: 0 never, negative already past,
 * up to 30 days from now on, above that a unix time. A time already past gives a second <= now. */
uint32_t executor_expiry(const struct executor *executor, int64_t exptime);

enum change_mode { CHANGE_SET, CHANGE_ADD, CHANGE_REPLACE, CHANGE_APPEND, CHANGE_PREPEND };

struct change {
    enum change_mode mode;
    bool compares;     /* cas_compare was given: set and replace then only replace that one */
    bool may_be_stale; /* a lower cas_compare stores too, marked stale (ms I) */
    bool vivifies;     /* append and prepend store on a miss, with vivify_expires_s */
    struct span value; /* borrowed */
    uint32_t flags;
    uint32_t expires_s;
    uint32_t vivify_expires_s;
    uint64_t cas_compare;
    uint64_t cas; /* the new cas unique; 0: the store chooses */
};

struct changed {
    uint64_t cas;       /* the item's cas unique; 0 unless OUTCOME_DONE */
    size_t value_bytes; /* of the item, or, unless OUTCOME_DONE, of what was to be stored */
};

/* Stores, as set, add, replace, append, prepend, cas and ms do. Counts cas_*, store_no_memory. */
enum outcome executor_store(struct executor *executor, const struct store_key *key,
                            const struct change *change, struct changed *changed);

struct arith {
    bool decreases;
    uint64_t delta;       /* up wraps at 2^64, down stops at 0 */
    uint64_t cas_compare; /* 0: whatever it is */
    uint64_t cas;         /* as in struct change */
};

/* Adds to, or subtracts from, the number in an item just got. A value that gets shorter is padded
 * with spaces to its old length; flags stay, and so do marks unless it gets longer: memcached
 * changes a number in place if it can. Counts incr_hits and decr_hits.
 *
 * expires_s  the item's from now on.
 * number     out: the result. cas: out: the item's new cas unique. */
enum outcome executor_arith(struct executor *executor, const struct store_key *key,
                            const struct store_item *item, const struct arith *arith,
                            uint32_t expires_s, uint64_t *number, uint64_t *cas);

/* Counts an incr or decr of what is not there. */
void executor_count_arith_miss(struct executor *executor, bool decreases);

/* The store's store_put, store_touch and store_mark, with refusals counted.
 *
 * cas    put: out: the item's cas unique; may be NULL.
 * marks  touch: set then, if any, which counts as an access (store_note). */
enum outcome executor_put(struct executor *executor, const struct store_key *key,
                          const struct store_put *put, uint64_t *cas);
enum outcome executor_touch(struct executor *executor, const struct store_key *key,
                            uint32_t expires_s, uint8_t marks);
enum outcome executor_mark(struct executor *executor, const struct store_key *key, uint64_t cas,
                           uint8_t marks);

#endif
