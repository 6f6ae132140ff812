#include "tests/sim/linear.h"

#include "common/base.h"
#include "common/buf.h"
#include "common/check.h"
#include "common/number.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TRIES_MAX       24000000u
#define PATIENCE        10000u     /* states looked at with one unknown one in a row at most */
#define IDLE_MAX_CUT    5u         /* so many in a row are tried before any number */
#define TEXT_ANY        UINT32_MAX /* a value that is not known: it may be any */
#define TEXT_UNSEEN     (UINT32_MAX - 1) /* one that nobody was ever shown, nor any made of it */
#define REPORTED_BEFORE 6u               /* operations shown before the place where it stops */
#define REPORTED_NEXT   40u              /* and of those that cannot come next */
#define NUMBER_BYTES    24u

const char *linear_kind_word(enum linear_kind kind)
{
    static const char *const words[LINEAR_KINDS] = {"get",    "set",     "add",  "replace",
                                                    "append", "prepend", "incr", "decr",
                                                    "delete", "touch",   "flush"};
    return words[kind];
}

const char *linear_outcome_word(enum linear_outcome outcome)
{
    static const char *const words[LINEAR_OUTCOMES] = {"done",      "absent",   "present",
                                                       "no-number", "not-done", "unknown"};
    return words[outcome];
}

void linear_format(const struct linear_op *op, char *text, size_t size)
{
    char end[32] = "-";
    if (op->ended_us != LINEAR_OPEN)
        snprintf(end, sizeof(end), "%.6f", (double)op->ended_us / 1e6);
    snprintf(text, size,
             "%.6f %s %s '%.*s' delta=%" PRIu64 " compare=%" PRIu64 " ttl=%.1f%s delay=%.1f = %s "
             "'%.*s' version=%" PRIu64,
             (double)op->begun_us / 1e6, end, linear_kind_word(op->kind), (int)op->value.len,
             op->value.len > 0 ? (const char *)op->value.data : "", op->delta, op->compare,
             (double)op->ttl_us / 1e6, op->is_expired ? " expired" : "", (double)op->delay_us / 1e6,
             linear_outcome_word(op->outcome), (int)op->shown.len,
             op->shown.len > 0 ? (const char *)op->shown.data : "", op->version);
}

/* --- values ----------------------------------------------------------------------------------- */

/* Values by number: equal ones have the same. */
struct texts {
    struct span *spans; /* owned bytes */
    uint32_t count;
    uint32_t capacity;
    uint32_t *places; /* open addressing; number + 1, 0: free */
    uint32_t place_count;
};

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 29;
}

static uint64_t bytes_hash(struct span bytes)
{
    uint64_t hash = 14695981039346656037ull;
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ (uint8_t)((const char *)bytes.data)[i]) * 1099511628211ull;
    return mix(hash, bytes.len);
}

static void texts_place(struct texts *texts, uint32_t number)
{
    uint32_t place = (uint32_t)bytes_hash(texts->spans[number]) & (texts->place_count - 1);
    while (texts->places[place])
        place = (place + 1) & (texts->place_count - 1);
    texts->places[place] = number + 1;
}

static void texts_grow(struct texts *texts)
{
    texts->capacity = texts->capacity ? texts->capacity * 2 : 64;
    texts->place_count = texts->capacity * 2;
    texts->spans = realloc(texts->spans, texts->capacity * sizeof(*texts->spans));
    free(texts->places);
    texts->places = calloc(texts->place_count, sizeof(*texts->places));
    CHECK(texts->spans != NULL);
    CHECK(texts->places != NULL);
    for (uint32_t i = 0; i < texts->count; i++)
        texts_place(texts, i);
}

/* The number of a value. */
static uint32_t texts_number(struct texts *texts, struct span bytes)
{
    if (texts->count == texts->capacity)
        texts_grow(texts);
    uint32_t place = (uint32_t)bytes_hash(bytes) & (texts->place_count - 1);
    for (; texts->places[place]; place = (place + 1) & (texts->place_count - 1))
        if (span_equal(texts->spans[texts->places[place] - 1], bytes))
            return texts->places[place] - 1;
    char *copy = malloc(bytes.len + 1);
    CHECK(copy != NULL);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    texts->spans[texts->count] = span_of(copy, bytes.len);
    texts->places[place] = texts->count + 1;
    return texts->count++;
}

static void texts_close(struct texts *texts)
{
    for (uint32_t i = 0; i < texts->count; i++)
        free((void *)(uintptr_t)texts->spans[i].data);
    free(texts->spans);
    free(texts->places);
}

/* --- the state of a key ----------------------------------------------------------------------- */

enum presence { PRESENCE_NO, PRESENCE_YES, PRESENCE_EITHER };

struct state {
    enum presence presence;
    bool has_flags; /* false: nobody knows them */
    bool has_flush; /* a delayed flush is to come */
    bool is_timed;  /* the last one placed is an unknown one that set a time only */
    uint32_t idle;  /* the last so many placed are of unknown outcome: nothing has seen them yet */
    uint32_t text;  /* TEXT_ANY, TEXT_UNSEEN, or a value's number */
    uint32_t flags;
    uint64_t version; /* of the value; 0: not known, but not below low */
    uint64_t low;     /* the lowest that the version of the last write can be */
    uint64_t dies_from_us, dies_until_us;
    uint64_t flush_from_us, flush_until_us;
};

static void state_clear(struct state *state)
{
    state->presence = PRESENCE_NO;
    state->text = 0;
    state->flags = 0;
    state->has_flags = true;
    state->version = 0;
    state->dies_from_us = state->dies_until_us = LINEAR_OPEN;
}

static uint64_t state_hash(const struct state *state)
{
    uint64_t hash = (uint64_t)state->presence | (uint64_t)state->has_flags << 2 |
                    (uint64_t)state->is_timed << 3 | (uint64_t)state->has_flush << 4 |
                    (uint64_t)state->idle << 8;
    hash = mix(hash, (uint64_t)state->text << 32 | state->flags);
    hash = mix(mix(hash, state->version), state->low);
    hash = mix(mix(hash, state->dies_from_us), state->dies_until_us);
    return mix(mix(hash, state->flush_from_us), state->flush_until_us);
}

static bool state_equal(const struct state *a, const struct state *b)
{
    return a->presence == b->presence && a->has_flags == b->has_flags && a->text == b->text &&
           a->has_flush == b->has_flush && a->flags == b->flags && a->version == b->version &&
           a->low == b->low && a->dies_from_us == b->dies_from_us &&
           a->dies_until_us == b->dies_until_us && a->flush_from_us == b->flush_from_us &&
           a->flush_until_us == b->flush_until_us;
}

/* --- what an operation does ------------------------------------------------------------------- */

struct entry {
    const struct linear_op *op;
    uint32_t text; /* of op->value */
    bool must;     /* it was answered: it has its place */
    bool is_placed;
    uint64_t version;    /* of the value: told, or found out; 0: not known */
    int64_t same_before; /* of unknown outcome: the one of the same effect begun before; -1: none */
    uint64_t mark[2];    /* random: the sum over the placed ones names their set; 0: not must */
};

/* What has been tried: the answered ones that had a place, the state, and with which unknown ones.
 */
struct tried {
    uint64_t key[2]; /* zeros: free */
    uint32_t first;  /* of the list of sets: number + 1 */
};

/* An entry that must be placed, and before any write of a higher version: its own, or the one it
 * compared with, and found. */
struct need {
    uint64_t version;
    size_t entry;
};

/* Flags that somebody was shown: an item has those that it was put with for as long as it is there,
 * and callers give each put flags of its own. */
struct shown_flags {
    uint32_t flags;
    uint64_t until_us; /* whoever puts an item with them begins before this */
    size_t shown;      /* entries that show them and have no place yet */
    size_t putting;    /* entries that may put them, likewise */
};

struct judge {
    const struct linear_options *options;
    struct texts texts;
    struct entry *entries; /* those that must be placed by their beginning, then the unknown ones */
    size_t must_count;
    size_t count;
    struct need *needs; /* ascending */
    size_t need_count;
    struct shown_flags *shown_flags; /* ascending */
    size_t shown_flags_count;
    struct tried *tried; /* open addressing */
    size_t tried_count;
    size_t tried_capacity;
    uint64_t *sets; /* of unknown ones: words for each number, a bit for each of them */
    size_t set_count;
    size_t set_capacity;
    size_t words;
    uint64_t *used; /* the set that is placed now */
    uint64_t tries;
    uint64_t tries_max;
    uint64_t options_tries_max;
    uint32_t idle_max; /* unknown ones in a row, at most, in this search */
    bool is_cut_short; /* there would have been more */
    uint8_t *seen; /* by text: whether somebody was shown it or one made of it; 0: not found out */
    uint32_t seen_capacity;
    const struct linear_op *ops; /* as given */
    size_t op_count;
    uint64_t marks[2];
    size_t *order; /* what is placed, in order */
    size_t placed;
    size_t must_placed;
    /* The longest order so far. */
    size_t *best_order;
    size_t best_placed;
    size_t best_must;
    struct state best_state;
};

enum { SEEN_NOT_KNOWN, SEEN_YES, SEEN_NO };

/* Whether somebody was shown this value, or one that has it as a part; counting may have changed a
 * number. */
static bool find_seen(const struct judge *judge, struct span value)
{
    uint64_t number;
    if (value.len == 0 || number_parse_u64(value, &number))
        return true;
    for (size_t i = 0; i < judge->op_count; i++) {
        struct span shown = judge->ops[i].shown;
        if (shown.data && memmem(shown.data, shown.len, value.data, value.len))
            return true;
    }
    return false;
}

static bool is_seen(struct judge *judge, uint32_t text)
{
    if (text >= judge->seen_capacity) {
        uint32_t capacity = text * 2 + 64;
        judge->seen = realloc(judge->seen, capacity);
        CHECK(judge->seen != NULL);
        memset(judge->seen + judge->seen_capacity, SEEN_NOT_KNOWN, capacity - judge->seen_capacity);
        judge->seen_capacity = capacity;
    }
    if (judge->seen[text] == SEEN_NOT_KNOWN)
        judge->seen[text] = find_seen(judge, judge->texts.spans[text]) ? SEEN_YES : SEEN_NO;
    return judge->seen[text] == SEEN_YES;
}

static uint64_t add_us(uint64_t us, uint64_t more_us)
{
    return us > LINEAR_OPEN - more_us ? LINEAR_OPEN : us + more_us;
}

/* The item is put; its time to live is not touched. */
static void state_put(struct judge *judge, struct state *state, const struct entry *entry,
                      uint32_t text)
{
    state->presence = PRESENCE_YES;
    state->text = text >= TEXT_UNSEEN || is_seen(judge, text) ? text : TEXT_UNSEEN;
    state->version = entry->version;
    state->low = entry->version > 0 ? entry->version : state->low + !entry->op->is_expired;
}

static struct span trimmed(struct span text)
{
    const char *bytes = text.data;
    while (text.len > 0 && bytes[text.len - 1] == ' ')
        text.len--;
    return text;
}

/* A number is shown without the spaces that decr leaves behind it. */
static bool shows_text(struct judge *judge, struct state *state, struct span shown)
{
    if (!shown.data)
        return true;
    if (state->text == TEXT_ANY) {
        state->text = texts_number(&judge->texts, shown);
        return true;
    }
    if (state->text == TEXT_UNSEEN)
        return false;
    struct span text = judge->texts.spans[state->text];
    return span_equal(text, shown) || span_equal(trimmed(text), trimmed(shown));
}

/* The value is of this version. Where that is not known yet, it is from now on. */
static bool is_version(struct state *state, uint64_t version)
{
    if (state->version == 0) {
        if (version < state->low)
            return false;
        state->version = state->low = version;
    }
    return state->version == version;
}

static bool shows_item(struct judge *judge, struct state *state, const struct linear_op *op)
{
    if (op->has_flags && !state->has_flags) {
        state->flags = op->shown_flags;
        state->has_flags = true;
    }
    return shows_text(judge, state, op->shown) &&
           (!op->has_flags || state->flags == op->shown_flags) &&
           (op->version == 0 || is_version(state, op->version));
}

static bool makes_version(const struct state *state, const struct entry *entry)
{
    return entry->version == 0 || entry->version > state->low;
}

static void set_expiry(const struct judge *judge, struct state *state, const struct linear_op *op)
{
    state->dies_from_us = state->dies_until_us = LINEAR_OPEN;
    if (op->is_expired) {
        state_clear(state);
    } else if (op->ttl_us > 0) {
        uint64_t early_us = judge->options->early_us;
        state->dies_from_us = op->begun_us + (op->ttl_us > early_us ? op->ttl_us - early_us : 0);
        state->dies_until_us = add_us(op->ended_us, op->ttl_us + judge->options->late_us);
    }
}

/* Set, add, replace: a new item. */
static bool puts_new(struct judge *judge, struct state *state, const struct entry *entry)
{
    const struct linear_op *op = entry->op;
    if (!makes_version(state, entry))
        return false;
    state_put(judge, state, entry, entry->text);
    state->flags = op->flags;
    state->has_flags = true;
    set_expiry(judge, state, op);
    return true;
}

static bool puts_longer(struct judge *judge, struct state *state, const struct entry *entry)
{
    const struct linear_op *op = entry->op;
    if (!makes_version(state, entry))
        return false;
    uint32_t text = state->text;
    if (text < TEXT_UNSEEN) {
        struct buf joined = {0};
        struct span old = judge->texts.spans[state->text];
        struct span head = op->kind == LINEAR_APPEND ? old : op->value;
        struct span tail = op->kind == LINEAR_APPEND ? op->value : old;
        buf_append(&joined, head.data, head.len);
        buf_append(&joined, tail.data, tail.len);
        text = texts_number(&judge->texts, buf_span(&joined));
        buf_close(&joined);
    }
    state_put(judge, state, entry, text);
    return true;
}

static bool is_number(struct judge *judge, const struct state *state, uint64_t *number)
{
    return state->text < TEXT_UNSEEN &&
           number_parse_u64(trimmed(judge->texts.spans[state->text]), number);
}

static bool counts(struct judge *judge, struct state *state, const struct entry *entry)
{
    const struct linear_op *op = entry->op;
    char digits[NUMBER_BYTES];
    struct buf text = {0};
    uint64_t number;
    if (!makes_version(state, entry))
        return false;
    if (state->text == TEXT_ANY) {
        state_put(judge, state, entry,
                  op->shown.data ? texts_number(&judge->texts, op->shown) : (uint32_t)TEXT_ANY);
        return true;
    }
    if (!is_number(judge, state, &number))
        return false;
    if (op->kind == LINEAR_INCR)
        number += op->delta;
    else
        number = op->delta < number ? number - op->delta : 0;
    snprintf(digits, sizeof(digits), "%" PRIu64, number);
    if (op->shown.data && !span_equal(op->shown, span_of_string(digits)))
        return false;
    /* memcached leaves a number as long as it was, with spaces behind it. */
    buf_printf(&text, "%s", digits);
    while (buf_len(&text) < judge->texts.spans[state->text].len)
        buf_append(&text, " ", 1);
    state_put(judge, state, entry, texts_number(&judge->texts, buf_span(&text)));
    buf_close(&text);
    return true;
}

static bool flushes(struct judge *judge, struct state *state, const struct linear_op *op)
{
    state->has_flush = op->delay_us > 0;
    state->flush_from_us = state->flush_until_us = 0;
    if (op->delay_us == 0) {
        state_clear(state);
        return true;
    }
    uint64_t early_us = judge->options->early_us;
    state->flush_from_us = op->begun_us + (op->delay_us > early_us ? op->delay_us - early_us : 0);
    state->flush_until_us = add_us(op->ended_us, op->delay_us + judge->options->late_us);
    return true;
}

/* The key is there, and of the version asked for, if one was. */
static bool carries_out(struct judge *judge, struct state *state, const struct entry *entry)
{
    const struct linear_op *op = entry->op;
    switch (op->kind) {
    case LINEAR_GET:
        return shows_item(judge, state, op);
    case LINEAR_SET:
    case LINEAR_REPLACE:
        return puts_new(judge, state, entry);
    case LINEAR_APPEND:
    case LINEAR_PREPEND:
        return puts_longer(judge, state, entry);
    case LINEAR_INCR:
    case LINEAR_DECR:
        return counts(judge, state, entry);
    case LINEAR_DELETE:
        state_clear(state);
        state->low++;
        return true;
    case LINEAR_TOUCH:
        if (!shows_item(judge, state, op))
            return false;
        set_expiry(judge, state, op);
        return true;
    case LINEAR_ADD:
    case LINEAR_FLUSH:
    case LINEAR_KINDS:
        break;
    }
    return false;
}

/* An operation that compares versions, or works on what is there only. */
static bool applies_to_item(struct judge *judge, struct state *state, const struct entry *entry)
{
    const struct linear_op *op = entry->op;
    uint64_t number;
    switch (op->outcome) {
    case LINEAR_DONE:
    case LINEAR_UNKNOWN:
        return (op->compare == 0 || is_version(state, op->compare)) &&
               carries_out(judge, state, entry);
    case LINEAR_PRESENT:
        return op->compare != 0 && state->version != op->compare;
    case LINEAR_NO_NUMBER:
        return (op->kind == LINEAR_INCR || op->kind == LINEAR_DECR) &&
               (state->text == TEXT_ANY || !is_number(judge, state, &number));
    case LINEAR_ABSENT:
    case LINEAR_NOT_DONE:
    case LINEAR_OUTCOMES:
        break;
    }
    return false;
}

static bool is_carried_out(const struct linear_op *op)
{
    return op->outcome == LINEAR_DONE || op->outcome == LINEAR_UNKNOWN;
}

/* Whether an operation may come now, the key being there or not: presence is decided. */
static bool applies(struct judge *judge, struct state *state, const struct entry *entry)
{
    const struct linear_op *op = entry->op;
    bool is_there = state->presence == PRESENCE_YES;
    if (op->kind == LINEAR_FLUSH)
        return is_carried_out(op) && flushes(judge, state, op);
    if (op->kind == LINEAR_ADD)
        return is_there ? op->outcome == LINEAR_PRESENT
                        : is_carried_out(op) && puts_new(judge, state, entry);
    if (op->kind == LINEAR_SET && op->compare == 0)
        return is_carried_out(op) && puts_new(judge, state, entry);
    return is_there ? applies_to_item(judge, state, entry) : op->outcome == LINEAR_ABSENT;
}

/* What may have happened by itself before an operation. */
enum before { BEFORE_NOTHING, BEFORE_GONE, BEFORE_EXPIRED, BEFORE_FLUSHED, BEFORE_COUNT };

/* Lets it happen to the state. Returns whether it may. */
static bool happens(const struct judge *judge, enum before before, struct state *state,
                    const struct linear_op *op)
{
    switch (before) {
    case BEFORE_NOTHING:
        if (state->presence == PRESENCE_EITHER)
            state->presence = PRESENCE_YES;
        return (state->presence == PRESENCE_NO || op->begun_us <= state->dies_until_us) &&
               (!state->has_flush || op->begun_us <= state->flush_until_us);
    case BEFORE_GONE: /* it was never there */
        if (state->presence != PRESENCE_EITHER)
            return false;
        state_clear(state);
        return true;
    case BEFORE_EXPIRED: /* or evicted */
        if (state->presence == PRESENCE_NO ||
            ((op->ended_us < state->dies_from_us || state->dies_from_us == LINEAR_OPEN) &&
             !judge->options->may_vanish))
            return false;
        state_clear(state);
        return true;
    case BEFORE_FLUSHED:
        if (!state->has_flush || op->ended_us < state->flush_from_us)
            return false;
        state_clear(state);
        state->has_flush = false;
        state->flush_from_us = state->flush_until_us = 0;
        return true;
    case BEFORE_COUNT:
        break;
    }
    return false;
}

/* It changes nothing, whenever it comes; a get may at most teach what nobody knew. */
static bool is_plain(const struct linear_op *op)
{
    return op->kind == LINEAR_GET || op->outcome == LINEAR_ABSENT ||
           op->outcome == LINEAR_PRESENT || op->outcome == LINEAR_NO_NUMBER;
}

/* Nothing of what was there before matters to it. */
static bool is_blind(const struct linear_op *op)
{
    return (op->kind == LINEAR_SET && op->compare == 0) ||
           (op->kind == LINEAR_FLUSH && op->delay_us == 0);
}

/* It changes the time to live and nothing else. */
static bool is_timing(const struct linear_op *op)
{
    return op->kind == LINEAR_TOUCH && is_carried_out(op) && !op->is_expired && !op->shown.data &&
           op->version == 0;
}

/* --- the search ------------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *seed)
{
    *seed += 0x9e3779b97f4a7c15ull;
    uint64_t word = (*seed ^ *seed >> 30) * 0xbf58476d1ce4e5b9ull;
    word = (word ^ word >> 27) * 0x94d049bb133111ebull;
    return word ^ word >> 31;
}

/* The last one placed, if it is of unknown outcome and nothing has seen it yet. */
struct idle {
    const struct state *before; /* it; NULL: there is none */
    size_t entry;
};

/* Where the key is, or may be put. */
static struct tried *find_tried(struct judge *judge, const uint64_t key[2])
{
    size_t place = key[0] & (judge->tried_capacity - 1);
    while ((judge->tried[place].key[0] | judge->tried[place].key[1]) &&
           (judge->tried[place].key[0] != key[0] || judge->tried[place].key[1] != key[1]))
        place = (place + 1) & (judge->tried_capacity - 1);
    return &judge->tried[place];
}

static void grow_tried(struct judge *judge)
{
    struct tried *old = judge->tried;
    size_t old_capacity = judge->tried_capacity;
    judge->tried_capacity = old_capacity ? old_capacity * 2 : 1024;
    judge->tried = calloc(judge->tried_capacity, sizeof(*judge->tried));
    CHECK(judge->tried != NULL);
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].key[0] | old[i].key[1])
            *find_tried(judge, old[i].key) = old[i];
    free(old);
}

/* A set in the list: the number of the next, then its words. */
static uint64_t *set_at(struct judge *judge, uint32_t number)
{
    return judge->sets + (size_t)number * (judge->words + 1);
}

/* Keeps the set that is placed now. Returns its number. */
static uint32_t keep_set(struct judge *judge, uint32_t next)
{
    if (judge->set_count == judge->set_capacity) {
        judge->set_capacity = judge->set_capacity ? judge->set_capacity * 2 : 1024;
        judge->sets =
            realloc(judge->sets, judge->set_capacity * (judge->words + 1) * sizeof(*judge->sets));
        CHECK(judge->sets != NULL);
    }
    uint64_t *set = set_at(judge, (uint32_t)judge->set_count);
    set[0] = next;
    memcpy(set + 1, judge->used, judge->words * sizeof(*set));
    return (uint32_t)judge->set_count++;
}

/* Whether nothing of a set is missing in what is placed now. */
static bool is_part_of_used(const struct judge *judge, const uint64_t *set)
{
    for (size_t i = 0; i < judge->words; i++)
        if (set[1 + i] & ~judge->used[i])
            return false;
    return true;
}

/* Whether this has been tried, with all the unknown ones that are left now, or more; it has been
 * from now on. */
static bool was_tried(struct judge *judge, const struct state *state, const struct idle *idle)
{
    uint64_t hash = mix(state_hash(state), idle->before ? idle->entry + 1 : 0);
    const uint64_t key[2] = {mix(judge->marks[0], hash),
                             mix(judge->marks[1] ^ 0x5bd1e995, ~hash) | 1};
    if (judge->tried_count * 2 >= judge->tried_capacity)
        grow_tried(judge);
    struct tried *tried = find_tried(judge, key);
    for (uint32_t i = tried->first; i > 0; i = (uint32_t)set_at(judge, i - 1)[0])
        if (is_part_of_used(judge, set_at(judge, i - 1)))
            return true;
    judge->tried_count += tried->first == 0;
    tried->key[0] = key[0];
    tried->key[1] = key[1];
    tried->first = keep_set(judge, tried->first) + 1;
    return false;
}

/* An unknown one is or is no longer placed. */
static void use(struct judge *judge, size_t i)
{
    size_t bit = i - judge->must_count;
    judge->used[bit / 64] ^= 1ull << bit % 64;
}

static bool shows_flags(const struct entry *entry)
{
    return entry->must && entry->op->has_flags && entry->op->outcome == LINEAR_DONE;
}

static bool puts_flags(const struct linear_op *op)
{
    return (op->kind == LINEAR_SET || op->kind == LINEAR_ADD || op->kind == LINEAR_REPLACE) &&
           (op->outcome == LINEAR_DONE || op->outcome == LINEAR_UNKNOWN);
}

static int compare_flags(const void *a, const void *b)
{
    const struct shown_flags *one = a, *other = b;
    return one->flags < other->flags ? -1 : one->flags > other->flags;
}

static struct shown_flags *find_flags(const struct judge *judge, uint32_t flags)
{
    const struct shown_flags key = {.flags = flags};
    return bsearch(&key, judge->shown_flags, judge->shown_flags_count, sizeof(key), compare_flags);
}

/* An entry is placed (by -1), or has no place any more, or not yet (1). */
static void count_flags(struct judge *judge, const struct entry *entry, int by)
{
    struct shown_flags *found = NULL;
    if (shows_flags(entry) && (found = find_flags(judge, entry->op->shown_flags)))
        found->shown += (size_t)by;
    if (puts_flags(entry->op) && (found = find_flags(judge, entry->op->flags)) &&
        entry->op->begun_us <= found->until_us)
        found->putting += (size_t)by;
}

/* Whether the item that was there is gone, though it is still to be shown: nothing that may follow
 * puts one with its flags. */
static bool has_lost_flags(const struct judge *judge, const struct state *before,
                           const struct state *after)
{
    if (!before->has_flags || before->presence == PRESENCE_NO ||
        (after->presence != PRESENCE_NO && after->has_flags && after->flags == before->flags))
        return false;
    const struct shown_flags *lost = find_flags(judge, before->flags);
    return lost && lost->shown > 0 && lost->putting == 0;
}

static void place(struct judge *judge, size_t i)
{
    struct entry *entry = &judge->entries[i];
    entry->is_placed = true;
    judge->marks[0] += entry->mark[0];
    judge->marks[1] += entry->mark[1];
    if (!entry->must)
        use(judge, i);
    judge->order[judge->placed++] = i;
    judge->must_placed += entry->must;
    count_flags(judge, entry, -1);
}

static void unplace(struct judge *judge)
{
    size_t i = judge->order[--judge->placed];
    struct entry *entry = &judge->entries[i];
    entry->is_placed = false;
    judge->marks[0] -= entry->mark[0];
    judge->marks[1] -= entry->mark[1];
    if (!entry->must)
        use(judge, i);
    judge->must_placed -= entry->must;
    count_flags(judge, entry, 1);
}

static void note_best(struct judge *judge, const struct state *state)
{
    if (judge->best_placed > 0 && judge->must_placed <= judge->best_must)
        return;
    memcpy(judge->best_order, judge->order, judge->placed * sizeof(*judge->order));
    judge->best_placed = judge->placed;
    judge->best_must = judge->must_placed;
    judge->best_state = *state;
}

/* The two lowest of those that have no place yet: one may be that of whoever comes next. */
struct lowest {
    struct need needs[2];
};

static struct lowest find_lowest(const struct judge *judge)
{
    struct lowest lowest = {{{UINT64_MAX, SIZE_MAX}, {UINT64_MAX, SIZE_MAX}}};
    size_t count = 0;
    for (size_t i = 0; i < judge->need_count && count < 2; i++)
        if (!judge->entries[judge->needs[i].entry].is_placed)
            lowest.needs[count++] = judge->needs[i];
    return lowest;
}

/* The highest version that there may be once an entry is placed. */
static uint64_t version_max(const struct lowest *lowest, size_t entry)
{
    return lowest->needs[lowest->needs[0].entry == entry].version;
}

/* Who has no place yet and ends first: nobody who begins after that may come before it. */
static uint64_t earliest_end(const struct judge *judge, size_t first)
{
    uint64_t end_us = LINEAR_OPEN;
    for (size_t i = first; i < judge->must_count; i++) {
        const struct entry *entry = &judge->entries[i];
        if (entry->is_placed)
            continue;
        if (entry->op->begun_us > end_us)
            break;
        if (entry->op->ended_us < end_us)
            end_us = entry->op->ended_us;
    }
    return end_us;
}

static bool search(struct judge *judge, const struct state *state, size_t first,
                   const struct idle *idle);

/* An unknown one is placed as late as it can be: right before one that needs it. Whether the next,
 * which led to after, does not, and of two unknown ones is not the later in the list. */
static bool needs_not(struct judge *judge, const struct idle *idle, size_t next,
                      const struct state *after)
{
    const struct entry *entry = &judge->entries[next], *unknown = &judge->entries[idle->entry];
    for (int before = 0; before < BEFORE_COUNT; before++) {
        struct state without = *idle->before;
        if (!happens(judge, (enum before)before, &without, entry->op) ||
            !applies(judge, &without, entry))
            continue;
        if (state_equal(&without, after))
            return true;
        if ((entry->must || next < idle->entry) &&
            happens(judge, BEFORE_NOTHING, &without, unknown->op) &&
            applies(judge, &without, unknown) && state_equal(&without, after))
            return true;
    }
    return false;
}

/* Tries to place one operation next, in every way. Returns whether all others follow. */
static bool try_next(struct judge *judge, const struct state *state, size_t first, size_t i,
                     const struct lowest *lowest, const struct idle *idle)
{
    const struct idle own = {state, i}, none = {NULL, 0};
    struct entry *entry = &judge->entries[i];
    if ((state->idle > 0 && is_blind(entry->op)) || (state->is_timed && is_timing(entry->op)))
        return false; /* the same as if the unknown one had never taken effect */
    if (!entry->must && state->idle == judge->idle_max) {
        judge->is_cut_short = true;
        return false;
    }
    for (int before = 0; before < BEFORE_COUNT; before++) {
        struct state next = *state;
        if (!happens(judge, (enum before)before, &next, entry->op) || !applies(judge, &next, entry))
            continue;
        if (!entry->must && state_equal(&next, state))
            continue; /* no effect: the same as never */
        if (next.low > version_max(lowest, i))
            continue; /* a lower one is still to come */
        if (idle->before && needs_not(judge, idle, i, &next))
            continue;
        next.idle = entry->must ? 0 : state->idle + 1;
        next.is_timed = !entry->must && is_timing(entry->op);
        place(judge, i);
        if (!has_lost_flags(judge, state, &next) &&
            search(judge, &next, first, entry->must ? &none : &own))
            return true;
        unplace(judge);
        if (judge->tries >= judge->tries_max)
            return false;
    }
    return false;
}

/* Places all that changes nothing and is true now: no order needs it later. Returns how many. */
static size_t place_plain(struct judge *judge, const struct state *state, size_t first)
{
    size_t placed = 0;
    uint64_t end_us = earliest_end(judge, first);
    for (size_t i = first; i < judge->must_count; i++) {
        struct entry *entry = &judge->entries[i];
        struct state next = *state;
        if (entry->is_placed)
            continue;
        if (entry->op->begun_us > end_us)
            break;
        if (!is_plain(entry->op) || !happens(judge, BEFORE_NOTHING, &next, entry->op) ||
            !applies(judge, &next, entry) || !state_equal(&next, state))
            continue;
        place(judge, i);
        placed++;
    }
    return placed;
}

/* Tries every operation that may come next. */
static bool search_next(struct judge *judge, const struct state *state, size_t first,
                        const struct idle *idle)
{
    const struct lowest lowest = find_lowest(judge);
    uint64_t end_us = earliest_end(judge, first);
    for (size_t i = first; i < judge->must_count; i++) {
        const struct entry *entry = &judge->entries[i];
        if (entry->is_placed)
            continue;
        if (entry->op->begun_us > end_us)
            break;
        if (try_next(judge, state, first, i, &lowest, idle))
            return true;
    }
    for (size_t i = judge->must_count; i < judge->count; i++) {
        const struct entry *entry = &judge->entries[i];
        if (entry->op->begun_us > end_us)
            break;
        if (!entry->is_placed &&
            (entry->same_before < 0 || judge->entries[entry->same_before].is_placed) &&
            try_next(judge, state, first, i, &lowest, idle))
            return true;
    }
    return false;
}

/* first: all that must be placed before it is. Returns whether an order has been found. */
static bool search(struct judge *judge, const struct state *state, size_t first,
                   const struct idle *idle)
{
    const struct idle none = {NULL, 0};
    struct state now = *state;
    size_t plain = 0, more;
    while ((more = place_plain(judge, &now, first)) > 0) {
        plain += more;
        now.idle = 0;
        now.is_timed = false;
    }
    while (first < judge->must_count && judge->entries[first].is_placed)
        first++;
    const struct idle *left = plain > 0 ? &none : idle;
    note_best(judge, &now);
    if (judge->must_placed == judge->must_count)
        return true;
    judge->tries++;
    if (judge->tries < judge->tries_max && !was_tried(judge, &now, left) &&
        search_next(judge, &now, first, left))
        return true;
    while (plain-- > 0)
        unplace(judge);
    return false;
}

/* Few unknown ones in a row explain nearly everything that can be explained, so few are tried
 * first, and not for long: where more are needed at one place, all that comes before would be tried
 * in vain in every way. Returns whether there is an order. */
static bool search_all(struct judge *judge, const struct state *state)
{
    const struct idle none = {NULL, 0};
    uint64_t patience = PATIENCE;
    for (judge->idle_max = 1;; judge->idle_max++) {
        bool is_last = judge->idle_max > IDLE_MAX_CUT;
        judge->is_cut_short = false;
        judge->tries = 0;
        judge->tries_max =
            is_last || patience > judge->options_tries_max ? judge->options_tries_max : patience;
        if (is_last)
            judge->idle_max = UINT32_MAX;
        if (search(judge, state, 0, &none))
            return true;
        CHECK(judge->placed == 0);
        if (is_last || (!judge->is_cut_short && judge->tries < judge->tries_max))
            return false;
        memset(judge->tried, 0, judge->tried_capacity * sizeof(*judge->tried));
        judge->tried_count = judge->set_count = 0;
        patience *= 2;
    }
}

/* --- in and out ------------------------------------------------------------------------------- */

static int compare_begun(const void *a, const void *b)
{
    const struct entry *one = a, *other = b;
    if (one->must != other->must)
        return one->must ? -1 : 1;
    if (one->op->begun_us != other->op->begun_us)
        return one->op->begun_us < other->op->begun_us ? -1 : 1;
    return one->op < other->op ? -1 : 1;
}

/* Whether two of unknown outcome would do the same, whichever of them it was. When one with a time
 * to live or a delay was begun says when that ends. */
static bool is_same(struct judge *judge, const struct entry *a, const struct entry *b)
{
    const struct linear_op *one = a->op, *other = b->op;
    bool is_unseen = !is_seen(judge, a->text) && !is_seen(judge, b->text);
    bool is_timed =
        one->ttl_us > 0 || other->ttl_us > 0 || one->delay_us > 0 || other->delay_us > 0;
    if (is_timed && (one->ttl_us != other->ttl_us || one->delay_us != other->delay_us ||
                     one->begun_us != other->begun_us || one->ended_us != other->ended_us))
        return false;
    return one->kind == other->kind && one->delta == other->delta &&
           one->compare == other->compare && one->is_expired == other->is_expired &&
           (is_unseen || (a->text == b->text && one->flags == other->flags));
}

static void find_same(struct judge *judge)
{
    for (size_t i = judge->must_count; i < judge->count; i++) {
        judge->entries[i].same_before = -1;
        for (size_t k = i; k-- > judge->must_count;) {
            if (!is_same(judge, &judge->entries[k], &judge->entries[i]))
                continue;
            judge->entries[i].same_before = (int64_t)k;
            break;
        }
    }
}

static bool puts_value(const struct linear_op *op)
{
    return is_carried_out(op) && !op->is_expired &&
           (op->kind == LINEAR_SET || op->kind == LINEAR_ADD || op->kind == LINEAR_REPLACE);
}

/* Whether an operation may be what made this value, which is no number. */
static bool may_make(const struct linear_op *op, struct span value)
{
    struct span part = op->value;
    if (puts_value(op))
        return span_equal(part, value);
    if (!is_carried_out(op) || part.len > value.len)
        return false;
    return (op->kind == LINEAR_APPEND &&
            span_equal(part, span_of(value.data + value.len - part.len, part.len))) ||
           (op->kind == LINEAR_PREPEND && span_equal(part, span_of(value.data, part.len)));
}

/* The version that a value was shown with, and who was the first to be told. */
struct showing {
    uint64_t version; /* 0: none, or several */
    uint64_t ended_us;
};

static struct showing find_showing(const struct judge *judge, struct span value)
{
    struct showing found = {0, LINEAR_OPEN};
    for (size_t i = 0; i < judge->must_count; i++) {
        const struct linear_op *op = judge->entries[i].op;
        if ((op->kind != LINEAR_GET && op->kind != LINEAR_TOUCH) || op->version == 0 ||
            !op->shown.data || !span_equal(op->shown, value))
            continue;
        if (found.version > 0 && found.version != op->version)
            return (struct showing){0};
        found.version = op->version;
        if (op->ended_us < found.ended_us)
            found.ended_us = op->ended_us;
    }
    return found;
}

/* The lowest version told of an item that was there. */
static uint64_t lowest_told(const struct judge *judge)
{
    uint64_t lowest = UINT64_MAX;
    for (size_t i = 0; i < judge->must_count; i++) {
        const struct linear_op *op = judge->entries[i].op;
        bool is_of_item = op->outcome == LINEAR_DONE && op->kind != LINEAR_DELETE;
        if (is_of_item && op->version > 0 && op->version < lowest)
            lowest = op->version;
    }
    return lowest;
}

/* A value that only one operation can have made, and that was shown with a version: it was that
 * operation's. To know it before keeps it from being tried in vain where lower ones are to come.
 * What the key was at the beginning can have been that value too, unless a lower version was told:
 * that can only have come after the beginning, and before this. */
static void find_versions(struct judge *judge)
{
    uint64_t lowest = lowest_told(judge), number;
    for (size_t i = 0; i < judge->count; i++) {
        struct entry *entry = &judge->entries[i];
        struct span value = entry->op->value;
        if (entry->version > 0 || !puts_value(entry->op) ||
            number_parse_u64(trimmed(value), &number))
            continue;
        struct showing showing = find_showing(judge, value);
        bool is_its =
            showing.version > 0 && (!judge->options->is_anything || lowest < showing.version);
        for (size_t k = 0; k < judge->count && is_its; k++) {
            const struct linear_op *other = judge->entries[k].op;
            is_its = k == i || other->begun_us > showing.ended_us || !may_make(other, value);
        }
        if (is_its)
            entry->version = showing.version;
    }
}

static void sort_needs(struct judge *judge)
{
    for (size_t i = 0; i < judge->must_count; i++) {
        const struct entry *entry = &judge->entries[i];
        bool has_found = entry->op->outcome == LINEAR_DONE && entry->op->compare > 0;
        uint64_t version = has_found ? entry->op->compare : entry->version;
        if (version == 0)
            continue;
        size_t at = judge->need_count++;
        for (; at > 0 && judge->needs[at - 1].version > version; at--)
            judge->needs[at] = judge->needs[at - 1];
        judge->needs[at] = (struct need){version, i};
    }
}

static void find_shown_flags(struct judge *judge)
{
    judge->shown_flags = calloc(judge->must_count + 1, sizeof(*judge->shown_flags));
    CHECK(judge->shown_flags != NULL);
    struct shown_flags *list = judge->shown_flags;
    size_t shown = 0, count = 0;
    for (size_t i = 0; i < judge->must_count; i++)
        if (shows_flags(&judge->entries[i]))
            list[shown++] = (struct shown_flags){.flags = judge->entries[i].op->shown_flags,
                                                 .until_us = judge->entries[i].op->ended_us};
    qsort(list, shown, sizeof(*list), compare_flags);
    for (size_t i = 0; i < shown; i++) {
        if (count == 0 || list[count - 1].flags != list[i].flags)
            list[count++] = list[i];
        else if (list[count - 1].until_us < list[i].until_us)
            list[count - 1].until_us = list[i].until_us;
    }
    judge->shown_flags_count = count;
    for (size_t i = 0; i < judge->count; i++)
        count_flags(judge, &judge->entries[i], 1);
}

static void judge_init(struct judge *judge, const struct linear_op *ops, size_t count)
{
    uint64_t seed = 1;
    judge->ops = ops;
    judge->op_count = count;
    (void)texts_number(&judge->texts, SPAN_LITERAL("")); /* 0: what an absent key's value is */
    judge->entries = calloc(count + 1, sizeof(*judge->entries));
    judge->order = calloc(count + 1, sizeof(*judge->order));
    judge->best_order = calloc(count + 1, sizeof(*judge->best_order));
    judge->needs = calloc(count + 1, sizeof(*judge->needs));
    CHECK(judge->entries != NULL);
    CHECK(judge->order != NULL);
    CHECK(judge->best_order != NULL);
    CHECK(judge->needs != NULL);
    for (size_t i = 0; i < count; i++) {
        bool is_unknown = ops[i].outcome == LINEAR_UNKNOWN;
        if (ops[i].outcome == LINEAR_NOT_DONE || (is_unknown && ops[i].kind == LINEAR_GET))
            continue;
        judge->must_count += !is_unknown;
        judge->entries[judge->count++] = (struct entry){
            .op = &ops[i],
            .must = !is_unknown,
            .text = texts_number(&judge->texts, ops[i].value),
            .version = ops[i].version,
            .same_before = -1,
            .mark = {is_unknown ? 0 : next_random(&seed), is_unknown ? 0 : next_random(&seed)}};
    }
    judge->words = (judge->count - judge->must_count) / 64 + 1;
    judge->used = calloc(judge->words, sizeof(*judge->used));
    CHECK(judge->used != NULL);
    qsort(judge->entries, judge->count, sizeof(*judge->entries), compare_begun);
    find_versions(judge);
    sort_needs(judge);
    find_same(judge);
    find_shown_flags(judge);
}

static void judge_close(struct judge *judge)
{
    texts_close(&judge->texts);
    free(judge->entries);
    free(judge->order);
    free(judge->best_order);
    free(judge->needs);
    free(judge->shown_flags);
    free(judge->tried);
    free(judge->sets);
    free(judge->used);
    free(judge->seen);
}

static void report_op(struct buf *out, const char *what, const struct linear_op *op)
{
    char line[400];
    linear_format(op, line, sizeof(line));
    buf_printf(out, "%s%s\n", what, line);
}

/* How far it goes, and what cannot come next. */
static void report(struct judge *judge, struct linear_verdict *verdict)
{
    const struct state *state = &judge->best_state;
    struct buf out = {0};
    buf_printf(&out, "%zu of %zu answered operations have a place; the last ones:\n",
               judge->best_must, judge->must_count);
    size_t from = judge->best_placed > REPORTED_BEFORE ? judge->best_placed - REPORTED_BEFORE : 0;
    for (size_t i = from; i < judge->best_placed; i++)
        report_op(&out, "  ", judge->entries[judge->best_order[i]].op);
    struct span text =
        state->text >= TEXT_UNSEEN ? SPAN_LITERAL("?") : judge->texts.spans[state->text];
    buf_printf(&out, "then the key is %s '%.*s' version=%" PRIu64 " low=%" PRIu64 "; none fits:\n",
               state->presence == PRESENCE_NO    ? "absent"
               : state->presence == PRESENCE_YES ? "there"
                                                 : "anything",
               (int)text.len, (const char *)text.data, state->version, state->low);
    for (size_t i = 0; i < judge->count; i++)
        judge->entries[i].is_placed = false;
    for (size_t i = 0; i < judge->best_placed; i++)
        judge->entries[judge->best_order[i]].is_placed = true;
    uint64_t end_us = earliest_end(judge, 0);
    size_t shown = 0;
    for (size_t i = 0; i < judge->count && shown < REPORTED_NEXT; i++)
        if (!judge->entries[i].is_placed && judge->entries[i].op->begun_us <= end_us) {
            report_op(&out, "  ", judge->entries[i].op);
            shown++;
        }
    struct span all = buf_span(&out);
    snprintf(verdict->report, sizeof(verdict->report), "%.*s", (int)all.len,
             (const char *)all.data);
    buf_close(&out);
}

struct linear_verdict linear_judge(const struct linear_op *ops, size_t count,
                                   const struct linear_options *options)
{
    static const struct linear_options plain;
    struct judge judge = {.options = options ? options : &plain};
    struct linear_verdict verdict = {.result = LINEAR_GOOD};
    judge.options_tries_max = judge.options->tries_max > 0 ? judge.options->tries_max : TRIES_MAX;
    judge_init(&judge, ops, count);
    struct state state = {.low = 0};
    state_clear(&state);
    if (judge.options->is_anything) {
        state.presence = PRESENCE_EITHER;
        state.text = TEXT_ANY;
        state.has_flags = false;
        state.dies_from_us = 0;
    }
    if (!search_all(&judge, &state)) {
        verdict.result = judge.tries < judge.tries_max ? LINEAR_BAD : LINEAR_UNDECIDED;
        report(&judge, &verdict);
    }
    verdict.tries = judge.tries;
    verdict.placed_max = judge.best_must;
    judge_close(&judge);
    return verdict;
}
