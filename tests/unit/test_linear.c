/* The judge of histories: good ones pass, each kind of lie is found, and on all small histories it
 * says what trying every order says. */
#include "tests/sim/linear.h"

#include "common/base.h"
#include "common/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define S               1000000u /* µs */
#define V(text)         .value = {text, sizeof(text) - 1}
#define SHOWN(text)     .shown = {text, sizeof(text) - 1}
#define AT(from, until) .begun_us = (from), .ended_us = (until)
#define NEVER(from)     .begun_us = (from), .ended_us = LINEAR_OPEN, .outcome = LINEAR_UNKNOWN
#define OPS_MAX         8u

struct history {
    const char *what;
    struct linear_op ops[OPS_MAX];
    bool is_anything;
};

static size_t length(const struct history *history)
{
    size_t count = 0;
    while (count < OPS_MAX && history->ops[count].begun_us > 0)
        count++;
    return count;
}

static struct linear_verdict judge(const struct history *history)
{
    const struct linear_options options = {
        .is_anything = history->is_anything, .early_us = 1 * S, .late_us = 2 * S};
    return linear_judge(history->ops, length(history), &options);
}

static const struct history good[] = {
    {"nothing", {{0}}, false},
    {"a value is read",
     {{LINEAR_SET, AT(1, 2), V("a")}, {LINEAR_GET, AT(3, 4), SHOWN("a")}},
     false},
    {"a read beside a write sees it or not",
     {{LINEAR_SET, AT(1, 9), V("a")},
      {LINEAR_GET, LINEAR_ABSENT, AT(2, 3)},
      {LINEAR_GET, AT(4, 5), SHOWN("a")}},
     false},
    {"an unknown write takes effect late",
     {{LINEAR_SET, NEVER(1), V("a")},
      {LINEAR_SET, AT(2, 3), V("b")},
      {LINEAR_GET, AT(4, 5), SHOWN("b")},
      {LINEAR_GET, AT(6, 7), SHOWN("a")}},
     false},
    {"an unknown write never takes effect",
     {{LINEAR_SET, NEVER(1), V("a")}, {LINEAR_GET, LINEAR_ABSENT, AT(4, 5)}},
     false},
    {"a chain of unknown ones",
     {{LINEAR_SET, NEVER(1), V("a")},
      {LINEAR_APPEND, NEVER(2), V("b")},
      {LINEAR_GET, AT(3, 4), SHOWN("ab")}},
     false},
    {"versions",
     {{LINEAR_SET, AT(1, 2), V("a"), .version = 5},
      {LINEAR_SET, AT(3, 4), V("b"), .compare = 5, .version = 6},
      {LINEAR_SET, LINEAR_PRESENT, AT(5, 6), V("c"), .compare = 5},
      {LINEAR_GET, AT(7, 8), SHOWN("b"), .version = 6}},
     false},
    {"a version not told is learnt by a read, and compared with",
     {{LINEAR_SET, AT(1, 2), V("a")},
      {LINEAR_GET, AT(3, 4), SHOWN("a"), .version = 7},
      {LINEAR_SET, AT(5, 6), V("b"), .compare = 7, .version = 9}},
     false},
    {"touch keeps the version",
     {{LINEAR_SET, AT(1, 2), V("a"), .version = 5},
      {LINEAR_TOUCH, AT(3, 4), .ttl_us = 100 * S},
      {LINEAR_GET, AT(5, 6), SHOWN("a"), .version = 5}},
     false},
    {"counting",
     {{LINEAR_SET, AT(1, 2), V("9")},
      {LINEAR_INCR, AT(3, 8), .delta = 1, SHOWN("11")},
      {LINEAR_INCR, AT(4, 7), .delta = 1, SHOWN("10")},
      {LINEAR_DECR, AT(9, 10), .delta = 5, SHOWN("6")},
      {LINEAR_GET, AT(11, 12), SHOWN("6 ")},
      {LINEAR_DECR, AT(13, 14), .delta = 50, SHOWN("0")}},
     false},
    {"counting wraps",
     {{LINEAR_SET, AT(1, 2), V("18446744073709551615")},
      {LINEAR_INCR, AT(3, 4), .delta = 2, SHOWN("1")}},
     false},
    {"text is not counted",
     {{LINEAR_SET, AT(1, 2), V("a")}, {LINEAR_INCR, LINEAR_NO_NUMBER, AT(3, 4), .delta = 1}},
     false},
    {"add, replace, append, prepend",
     {{LINEAR_REPLACE, LINEAR_ABSENT, AT(1, 2), V("z")},
      {LINEAR_ADD, AT(3, 4), V("a")},
      {LINEAR_ADD, LINEAR_PRESENT, AT(5, 6), V("y")},
      {LINEAR_REPLACE, AT(7, 8), V("b")},
      {LINEAR_PREPEND, AT(9, 10), V("c")},
      {LINEAR_APPEND, AT(11, 12), V("d")},
      {LINEAR_GET, AT(13, 14), SHOWN("cbd")}},
     false},
    {"flags stay with append",
     {{LINEAR_SET, AT(1, 2), V("a"), .flags = 3},
      {LINEAR_APPEND, AT(3, 4), V("b")},
      {LINEAR_GET, AT(5, 6), SHOWN("ab"), .has_flags = true, .shown_flags = 3}},
     false},
    {"its time comes",
     {{LINEAR_SET, AT(1, 2), V("a"), .ttl_us = 5 * S},
      {LINEAR_GET, AT(3 * S, 3 * S + 1), SHOWN("a")},
      {LINEAR_GET, LINEAR_ABSENT, AT(6 * S, 6 * S + 1)},
      {LINEAR_ADD, AT(7 * S, 7 * S + 1), V("b")}},
     false},
    {"a touch that is refused may come right after one of unknown outcome",
     {{LINEAR_SET, AT(1, 2), V("a")},
      {LINEAR_TOUCH, NEVER(3), .ttl_us = 5 * S},
      {LINEAR_TOUCH, LINEAR_ABSENT, AT(9 * S, 9 * S + 1)},
      {LINEAR_GET, LINEAR_ABSENT, AT(10 * S, 10 * S + 1)}},
     false},
    {"a touch gives it more time",
     {{LINEAR_SET, AT(1, 2), V("a"), .ttl_us = 5 * S},
      {LINEAR_TOUCH, AT(3 * S, 3 * S + 1)},
      {LINEAR_GET, AT(60 * S, 60 * S + 1), SHOWN("a")}},
     false},
    {"what is put expired is absent",
     {{LINEAR_SET, AT(1, 2), V("a"), .is_expired = true, .version = 4},
      {LINEAR_GET, LINEAR_ABSENT, AT(3, 4)}},
     false},
    {"a flush",
     {{LINEAR_SET, AT(1, 2), V("a")},
      {LINEAR_FLUSH, AT(3, 4)},
      {LINEAR_DELETE, LINEAR_ABSENT, AT(5, 6)}},
     false},
    {"a delayed flush hides what was put before it fires",
     {{LINEAR_FLUSH, AT(1, 2), .delay_us = 10 * S},
      {LINEAR_SET, AT(3, 4), V("a")},
      {LINEAR_GET, AT(5 * S, 5 * S + 1), SHOWN("a")},
      {LINEAR_GET, LINEAR_ABSENT, AT(11 * S, 11 * S + 1)},
      {LINEAR_SET, AT(12 * S, 12 * S + 1), V("b")},
      {LINEAR_GET, AT(90 * S, 90 * S + 1), SHOWN("b")}},
     false},
    {"what was not done did nothing",
     {{LINEAR_SET, AT(1, 2), V("a")},
      {LINEAR_SET, LINEAR_NOT_DONE, AT(3, 4), V("b")},
      {LINEAR_GET, AT(5, 6), SHOWN("a")}},
     false},
    {"it may have been anything before",
     {{LINEAR_GET, AT(1, 2), SHOWN("x"), .version = 9, .has_flags = true, .shown_flags = 8},
      {LINEAR_APPEND, AT(3, 4), V("y"), .version = 10},
      {LINEAR_GET, AT(5, 6), SHOWN("xy"), .version = 10}},
     true},
    {"or absent", {{LINEAR_DELETE, LINEAR_ABSENT, AT(1, 2)}}, true},
    {"or a number",
     {{LINEAR_INCR, AT(1, 2), .delta = 2, SHOWN("7")}, {LINEAR_GET, AT(3, 4), SHOWN("7")}},
     true},
};

static const struct history bad[] = {
    {"an acknowledged write is lost",
     {{LINEAR_SET, AT(1, 2), V("a")}, {LINEAR_GET, LINEAR_ABSENT, AT(3, 4)}},
     false},
    {"a stale read",
     {{LINEAR_SET, AT(1, 2), V("a")},
      {LINEAR_SET, AT(3, 4), V("b")},
      {LINEAR_GET, AT(5, 6), SHOWN("a")}},
     false},
    {"what a read has shown un-happens",
     {{LINEAR_SET, AT(1, 2), V("a")},
      {LINEAR_SET, NEVER(3), V("b")},
      {LINEAR_GET, AT(5, 6), SHOWN("b")},
      {LINEAR_GET, AT(7, 8), SHOWN("a")}},
     false},
    {"a deleted key comes back",
     {{LINEAR_SET, AT(1, 2), V("a")},
      {LINEAR_DELETE, AT(3, 4)},
      {LINEAR_GET, AT(5, 6), SHOWN("a")}},
     false},
    {"a value nobody wrote", {{LINEAR_GET, AT(5, 6), SHOWN("a")}}, false},
    {"what was not done was done",
     {{LINEAR_SET, LINEAR_NOT_DONE, AT(1, 2), V("a")}, {LINEAR_GET, AT(3, 4), SHOWN("a")}},
     false},
    {"an unknown write takes effect before it was sent",
     {{LINEAR_GET, AT(1, 2), SHOWN("a")}, {LINEAR_SET, NEVER(3), V("a")}},
     false},
    {"an unknown write takes effect twice",
     {{LINEAR_SET, NEVER(1), V("a")},
      {LINEAR_GET, AT(2, 3), SHOWN("a")},
      {LINEAR_SET, AT(4, 5), V("b")},
      {LINEAR_GET, AT(6, 7), SHOWN("a")}},
     false},
    {"an unknown increment counts twice",
     {{LINEAR_SET, AT(1, 2), V("0")},
      {LINEAR_INCR, NEVER(3), .delta = 1},
      {LINEAR_GET, AT(4, 5), SHOWN("2")}},
     false},
    {"an increment is lost",
     {{LINEAR_SET, AT(1, 2), V("0")},
      {LINEAR_INCR, AT(3, 6), .delta = 1, SHOWN("1")},
      {LINEAR_INCR, AT(4, 5), .delta = 1, SHOWN("1")}},
     false},
    {"a version given twice",
     {{LINEAR_SET, AT(1, 2), V("a"), .version = 5}, {LINEAR_SET, AT(3, 4), V("b"), .version = 5}},
     false},
    {"a version that falls",
     {{LINEAR_SET, AT(1, 2), V("a"), .version = 5}, {LINEAR_SET, AT(3, 4), V("b"), .version = 4}},
     false},
    {"one value with two versions",
     {{LINEAR_SET, AT(1, 2), V("a")},
      {LINEAR_GET, AT(3, 4), SHOWN("a"), .version = 5},
      {LINEAR_GET, AT(5, 6), SHOWN("a"), .version = 6}},
     false},
    {"a touch that changes the version",
     {{LINEAR_SET, AT(1, 2), V("a"), .version = 5},
      {LINEAR_TOUCH, AT(3, 4)},
      {LINEAR_GET, AT(5, 6), SHOWN("a"), .version = 6}},
     false},
    {"a touch that is forgotten",
     {{LINEAR_SET, AT(1, 2), V("a"), .ttl_us = 5 * S},
      {LINEAR_TOUCH, AT(3, 4)},
      {LINEAR_GET, LINEAR_ABSENT, AT(9 * S, 9 * S + 1)}},
     false},
    {"an append that keeps the version",
     {{LINEAR_SET, AT(1, 2), V("a"), .version = 5},
      {LINEAR_APPEND, AT(3, 4), V("b")},
      {LINEAR_GET, AT(5, 6), SHOWN("ab"), .version = 5}},
     false},
    {"a comparison that held though it was overwritten",
     {{LINEAR_SET, AT(1, 2), V("a"), .version = 5},
      {LINEAR_SET, AT(3, 4), V("b"), .version = 6},
      {LINEAR_SET, AT(5, 6), V("c"), .compare = 5, .version = 7}},
     false},
    {"a comparison refused though it holds",
     {{LINEAR_SET, AT(1, 2), V("a"), .version = 5},
      {LINEAR_SET, LINEAR_PRESENT, AT(5, 6), V("c"), .compare = 5}},
     false},
    {"two comparisons with one version that both held",
     {{LINEAR_SET, AT(1, 2), V("a"), .version = 5},
      {LINEAR_SET, AT(3, 9), V("b"), .compare = 5, .version = 6},
      {LINEAR_SET, AT(3, 9), V("c"), .compare = 5, .version = 7}},
     false},
    {"an add refused though nothing was there",
     {{LINEAR_ADD, LINEAR_PRESENT, AT(1, 2), V("a")}},
     false},
    {"an add carried out over something",
     {{LINEAR_SET, AT(1, 2), V("a")}, {LINEAR_ADD, AT(3, 4), V("b")}},
     false},
    {"a replace of nothing", {{LINEAR_REPLACE, AT(1, 2), V("a")}}, false},
    {"a delete that found nothing though there was something",
     {{LINEAR_SET, AT(1, 2), V("a")}, {LINEAR_DELETE, LINEAR_ABSENT, AT(3, 4)}},
     false},
    {"two deletes of one value",
     {{LINEAR_SET, AT(1, 2), V("a")}, {LINEAR_DELETE, AT(3, 9)}, {LINEAR_DELETE, AT(3, 9)}},
     false},
    {"a number refused",
     {{LINEAR_SET, AT(1, 2), V("7")}, {LINEAR_INCR, LINEAR_NO_NUMBER, AT(3, 4), .delta = 1}},
     false},
    {"other flags",
     {{LINEAR_SET, AT(1, 2), V("a"), .flags = 3},
      {LINEAR_GET, AT(5, 6), SHOWN("a"), .has_flags = true, .shown_flags = 4}},
     false},
    {"it ends before its time",
     {{LINEAR_SET, AT(1, 2), V("a"), .ttl_us = 5 * S},
      {LINEAR_GET, LINEAR_ABSENT, AT(3 * S, 3 * S + 1)}},
     false},
    {"it ends though it has no time",
     {{LINEAR_SET, AT(1, 2), V("a")}, {LINEAR_GET, LINEAR_ABSENT, AT(99 * S, 99 * S + 1)}},
     false},
    {"it is seen long after its time",
     {{LINEAR_SET, AT(1, 2), V("a"), .ttl_us = 5 * S},
      {LINEAR_GET, AT(8 * S, 8 * S + 1), SHOWN("a")}},
     false},
    {"it rises after its time",
     {{LINEAR_SET, AT(1, 2), V("a"), .ttl_us = 5 * S},
      {LINEAR_GET, LINEAR_ABSENT, AT(5 * S, 5 * S + 1)},
      {LINEAR_GET, AT(6 * S, 6 * S + 1), SHOWN("a")}},
     false},
    {"a flush is not carried out",
     {{LINEAR_SET, AT(1, 2), V("a")}, {LINEAR_FLUSH, AT(3, 4)}, {LINEAR_GET, AT(5, 6), SHOWN("a")}},
     false},
    {"a flush comes back",
     {{LINEAR_FLUSH, AT(1, 2)},
      {LINEAR_SET, AT(3, 4), V("a")},
      {LINEAR_GET, LINEAR_ABSENT, AT(5, 6)}},
     false},
    {"a delayed flush fires early",
     {{LINEAR_FLUSH, AT(1, 2), .delay_us = 10 * S},
      {LINEAR_SET, AT(3, 4), V("a")},
      {LINEAR_GET, LINEAR_ABSENT, AT(5 * S, 5 * S + 1)}},
     false},
    {"a delayed flush never fires",
     {{LINEAR_FLUSH, AT(1, 2), .delay_us = 10 * S},
      {LINEAR_SET, AT(3, 4), V("a")},
      {LINEAR_GET, AT(15 * S, 15 * S + 1), SHOWN("a")}},
     false},
    {"a delayed flush fires twice",
     {{LINEAR_SET, AT(1, 2), V("a")},
      {LINEAR_FLUSH, AT(3, 4), .delay_us = 10 * S},
      {LINEAR_GET, LINEAR_ABSENT, AT(11 * S, 11 * S + 1)},
      {LINEAR_SET, AT(11 * S + 2, 11 * S + 3), V("b")},
      {LINEAR_GET, LINEAR_ABSENT, AT(11 * S + 4, 11 * S + 5)}},
     false},
    {"it may have been anything, but one thing",
     {{LINEAR_GET, AT(1, 2), SHOWN("x")}, {LINEAR_GET, AT(3, 4), SHOWN("y")}},
     true},
};

static void a_true_history_is_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        struct linear_verdict verdict = judge(&good[i]);
        if (verdict.result != LINEAR_GOOD)
            print_message("%s: %s\n", good[i].what, verdict.report);
        assert_int_equal(verdict.result, LINEAR_GOOD);
        assert_int_equal(verdict.report[0], '\0');
    }
}

static void every_kind_of_lie_is_found_and_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct linear_verdict verdict = judge(&bad[i]);
        if (verdict.result != LINEAR_BAD)
            print_message("%s: taken for true\n", bad[i].what);
        assert_int_equal(verdict.result, LINEAR_BAD);
        assert_true(verdict.placed_max < length(&bad[i]));
        assert_non_null(strstr(verdict.report, "none fits"));
    }
}

/* --- against trying every order --------------------------------------------------------------- */

#define SMALL_MAX 6u
#define ROUNDS    50000u

/* What the slow judge keeps of a key: values are small numbers, 0 is none. */
struct slow {
    unsigned value;
    uint64_t version; /* 0: not known, but not below low */
    uint64_t low;     /* the lowest that the last write's can be */
    bool is_first;    /* it was there at the beginning: for how long nobody knows */
    bool is_strict;   /* what was compared with a version, and differed, is remembered of one that
                       * is not known */
    unsigned others;  /* bits: versions that it does not have */
};

/* A text as a number: digits say it, letters are the digits of a number that has 27. */
static unsigned number_of(struct span text)
{
    unsigned number = 0;
    for (size_t i = 0; i < text.len; i++)
        number = text.data[i] >= 'a' ? number * 27 + (unsigned)(text.data[i] - 'a') + 1
                                     : number * 10 + (unsigned)(text.data[i] - '0');
    return number;
}

/* Two texts of letters, one behind the other. */
static unsigned joined(unsigned head, unsigned tail)
{
    for (unsigned rest = tail; rest > 0; rest /= 27)
        head *= 27;
    return head + tail;
}

static bool needs_value(const struct linear_op *op)
{
    return (op->kind != LINEAR_SET || op->compare > 0) && op->kind != LINEAR_ADD;
}

/* Whether the value can be of this version; then it is. */
static bool slow_is_version(struct slow *state, uint64_t version)
{
    if (state->version == 0 && version >= state->low && !(state->others >> version & 1))
        state->version = state->low = version;
    return state->version == version;
}

static unsigned slow_made(const struct slow *state, const struct linear_op *op)
{
    unsigned number = number_of(op->value);
    return op->kind == LINEAR_INCR      ? state->value + 1
           : op->kind == LINEAR_APPEND  ? joined(state->value, number)
           : op->kind == LINEAR_PREPEND ? joined(number, state->value)
                                        : number;
}

/* One operation on one state, as memcached would do it; false: it does not answer so. */
static bool slow_apply(struct slow *state, const struct linear_op *op)
{
    bool is_done = op->outcome == LINEAR_DONE || op->outcome == LINEAR_UNKNOWN;
    bool is_write = op->kind != LINEAR_GET;
    if (op->outcome == LINEAR_ABSENT)
        return state->value == 0;
    if (op->outcome == LINEAR_PRESENT) {
        if (op->compare > 0 && state->is_strict)
            state->others |= 1u << op->compare;
        return state->value != 0 && (op->compare == 0 || state->version != op->compare);
    }
    if (!is_done || (op->kind == LINEAR_ADD && state->value != 0) ||
        (needs_value(op) && state->value == 0))
        return false;
    if (op->kind == LINEAR_GET) {
        if (state->value != number_of(op->shown))
            return false;
        return op->version == 0 || slow_is_version(state, op->version);
    }
    if (op->compare != 0 && !slow_is_version(state, op->compare))
        return false;
    if (op->kind == LINEAR_DELETE) {
        *state = (struct slow){.low = state->low + 1, .is_strict = state->is_strict};
        return true;
    }
    if (op->version != 0 && op->version <= state->low)
        return false;
    state->value = slow_made(state, op);
    state->version = op->version;
    state->is_first = false;
    state->others = 0;
    state->low = op->version ? op->version : state->low + 1;
    return is_write && (op->kind != LINEAR_INCR || op->outcome == LINEAR_UNKNOWN ||
                        state->value == number_of(op->shown));
}

/* Tries every order of every choice of unknown ones. */
static bool slow_search(const struct linear_op *ops, size_t count, unsigned placed,
                        struct slow state)
{
    uint64_t end_us = LINEAR_OPEN;
    for (size_t i = 0; i < count; i++)
        if (!(placed >> i & 1) && ops[i].outcome != LINEAR_UNKNOWN && ops[i].ended_us < end_us)
            end_us = ops[i].ended_us;
    if (end_us == LINEAR_OPEN)
        return true;
    struct slow gone = {.low = state.low, .is_strict = state.is_strict};
    if (state.is_first && slow_search(ops, count, placed, gone))
        return true;
    for (size_t i = 0; i < count; i++) {
        struct slow next = state;
        if (!(placed >> i & 1) && ops[i].begun_us <= end_us && slow_apply(&next, &ops[i]) &&
            slow_search(ops, count, placed | 1u << i, next))
            return true;
    }
    return false;
}

static const char *const digits[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

static struct linear_op draw(struct prng *prng)
{
    static const enum linear_kind kinds[] = {LINEAR_GET, LINEAR_SET, LINEAR_ADD, LINEAR_INCR,
                                             LINEAR_DELETE};
    struct linear_op op = {.kind = kinds[prng_below(prng, ARRAY_COUNT(kinds))],
                           .begun_us = 1 + prng_below(prng, 12)};
    op.ended_us = op.begun_us + 1 + prng_below(prng, 6);
    op.value = span_of_string(digits[1 + prng_below(prng, 2)]);
    op.delta = 1;
    if (op.kind == LINEAR_GET || op.kind == LINEAR_INCR)
        op.shown = span_of_string(digits[1 + prng_below(prng, 3)]);
    if (op.kind != LINEAR_DELETE && prng_below(prng, 3) == 0)
        op.version = 1 + prng_below(prng, 4);
    uint64_t drawn = prng_below(prng, 6);
    if (drawn == 0 && op.kind != LINEAR_GET) {
        op.outcome = LINEAR_UNKNOWN;
        op.ended_us = LINEAR_OPEN;
        op.version = 0;
        op.shown = (struct span){0};
    } else if (drawn == 1 && op.kind != LINEAR_SET) {
        op.outcome = op.kind == LINEAR_ADD ? LINEAR_PRESENT : LINEAR_ABSENT;
        op.version = 0;
        op.shown = (struct span){0};
    }
    return op;
}

/* Letters: a value often tells which write made it, and a read that write's version. */
static struct linear_op draw_text(struct prng *prng, bool has_joins)
{
    static const enum linear_kind kinds[] = {LINEAR_GET,    LINEAR_GET,    LINEAR_SET,
                                             LINEAR_SET,    LINEAR_ADD,    LINEAR_DELETE,
                                             LINEAR_APPEND, LINEAR_PREPEND};
    static const char *const parts[] = {"a", "b", "c", "d"};
    static const char *const wholes[] = {"a", "b", "c", "d", "ab", "ba", "cb", "abc"};
    struct linear_op op = {.kind = kinds[prng_below(prng, has_joins ? 8 : 6)],
                           .begun_us = 1 + prng_below(prng, 12)};
    op.ended_us = op.begun_us + 1 + prng_below(prng, 8);
    if (op.kind == LINEAR_GET) {
        op.shown = span_of_string(wholes[prng_below(prng, has_joins ? 8 : 4)]);
        op.version = prng_below(prng, 3) ? 1 + prng_below(prng, 4) : 0;
        return op;
    }
    op.value = span_of_string(parts[prng_below(prng, 4)]);
    if (op.kind != LINEAR_ADD && prng_below(prng, 4) == 0)
        op.compare = 1 + prng_below(prng, 4);
    if (op.compare > 0 && prng_below(prng, 3) == 0) {
        op.outcome = prng_below(prng, 2) ? LINEAR_PRESENT : LINEAR_ABSENT;
    } else if (prng_below(prng, 4) == 0) {
        op.outcome = LINEAR_UNKNOWN;
        op.ended_us = LINEAR_OPEN;
    } else if (op.kind != LINEAR_DELETE && prng_below(prng, 4) == 0) {
        op.version = 1 + prng_below(prng, 4);
    }
    return op;
}

/* is_anything: from every state. */
static bool slow_judge(const struct linear_op *ops, size_t count, bool is_anything, bool is_strict)
{
    struct slow first = {
        .value = is_anything ? 9999 : 0, .is_first = is_anything, .is_strict = is_strict};
    bool is_good = slow_search(ops, count, 0, first);
    for (size_t i = 0; i < count && is_anything && !is_good; i++) {
        first.value = number_of(ops[i].shown);
        is_good = first.value > 0 && slow_search(ops, count, 0, first);
    }
    return is_good;
}

/* Judges as by trying every order. That a version which nobody was told is not one that was
 * compared with, the judge may know or not. Returns whether it is good. */
static bool judge_both(const struct linear_op *ops, size_t count, bool is_anything)
{
    const struct linear_options options = {.is_anything = is_anything};
    bool may_be = slow_judge(ops, count, is_anything, false);
    bool must_be = may_be && slow_judge(ops, count, is_anything, true);
    struct linear_verdict verdict = linear_judge(ops, count, &options);
    bool is_good = verdict.result == LINEAR_GOOD;
    if (is_good ? !may_be : must_be) {
        for (size_t i = 0; i < count; i++) {
            char text[400];
            linear_format(&ops[i], text, sizeof(text));
            print_message("%s\n", text);
        }
        print_message("%s", verdict.report);
    }
    assert_true(is_good ? may_be : !must_be);
    return is_good;
}

/* variant: 0: numbers; 1: letters; 2: letters, and the key may be anything at the beginning. */
static void small_histories(unsigned variant)
{
    struct prng prng;
    prng_init(&prng, 7);
    unsigned results[2] = {0};
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct linear_op ops[SMALL_MAX];
        size_t count = 1 + prng_below(&prng, SMALL_MAX);
        for (size_t i = 0; i < count; i++)
            ops[i] = variant == 0 ? draw(&prng) : draw_text(&prng, variant == 1);
        results[judge_both(ops, count, variant == 2)]++;
    }
    assert_true(results[0] > 5000);
    assert_true(results[1] > 5000);
}

static void small_histories_are_judged_as_by_trying_every_order(void **state)
{
    (void)state;
    for (unsigned variant = 0; variant < 3; variant++)
        small_histories(variant);
}

/* --- long ones -------------------------------------------------------------------------------- */

#define LONG_COUNT   600u
#define LONG_CLIENTS 8u

struct long_history {
    struct linear_op ops[LONG_COUNT];
    char texts[LONG_COUNT][2][12];
};

/* What one register tells eight clients, each of whom waits for its answer; one write of ten is of
 * unknown outcome. */
static void draw_long(struct prng *prng, struct long_history *history)
{
    uint64_t free_us[LONG_CLIENTS] = {0};
    uint64_t now_us = 1, version = 0, shown_version = 0;
    const char *value = NULL;
    for (size_t i = 0; i < LONG_COUNT; i++) {
        struct linear_op *op = &history->ops[i];
        size_t client = prng_below(prng, LONG_CLIENTS);
        *op = (struct linear_op){.kind = prng_below(prng, 2) ? LINEAR_SET : LINEAR_GET};
        now_us += 1 + prng_below(prng, 10);
        if (now_us <= free_us[client])
            now_us = free_us[client] + 1;
        uint64_t lead_us = prng_below(prng, now_us - free_us[client]);
        op->begun_us = now_us - lead_us;
        op->ended_us = now_us + prng_below(prng, 40);
        free_us[client] = op->ended_us;
        if (op->kind == LINEAR_SET) {
            snprintf(history->texts[i][0], sizeof(history->texts[i][0]), "v%zu", i);
            op->value = span_of_string(history->texts[i][0]);
            bool is_unknown = prng_below(prng, 10) == 0;
            if (is_unknown) {
                op->outcome = LINEAR_UNKNOWN;
                op->ended_us = LINEAR_OPEN;
            }
            if (is_unknown && prng_below(prng, 2) == 0)
                continue;
            value = op->value.data;
            shown_version = ++version;
            op->version = is_unknown ? 0 : version;
        } else if (value) {
            op->shown = span_of_string(value);
            op->version = shown_version;
        } else {
            op->outcome = LINEAR_ABSENT;
        }
    }
}

static void a_long_history_is_judged_in_little_time(void **state)
{
    (void)state;
    struct long_history *history = malloc(sizeof(*history));
    struct prng prng;
    prng_init(&prng, 3);
    assert_non_null(history);
    for (unsigned round = 0; round < 20; round++) {
        draw_long(&prng, history);
        struct linear_verdict verdict = linear_judge(history->ops, LONG_COUNT, NULL);
        if (verdict.result != LINEAR_GOOD)
            print_message("%s", verdict.report);
        assert_int_equal(verdict.result, LINEAR_GOOD);
        assert_true(verdict.tries < 20 * LONG_COUNT);
        /* The last read but some shows what was overwritten long before. */
        size_t read = LONG_COUNT - 40;
        while (history->ops[read].kind != LINEAR_GET)
            read++;
        size_t old = 100;
        while (history->ops[old].kind != LINEAR_SET || history->ops[old].outcome != LINEAR_DONE)
            old++;
        history->ops[read].shown = history->ops[old].value;
        history->ops[read].version = 0;
        verdict = linear_judge(history->ops, LONG_COUNT, NULL);
        assert_int_equal(verdict.result, LINEAR_BAD);
        assert_true(verdict.tries < 200 * LONG_COUNT);
    }
    free(history);
}

/* A set that was asked again and again is answered late and without its version, after many others;
 * then a read shows its value, and the highest version of all, which tells where it belongs. */
static void a_version_shown_later_tells_where_its_write_belongs(void **state)
{
    (void)state;
    struct linear_op ops[] = {
        {LINEAR_SET, NEVER(10), V("a")},
        {LINEAR_SET, NEVER(11), V("b")},
        {LINEAR_FLUSH, NEVER(50), .delay_us = 17 * S},
        {LINEAR_TOUCH, AT(100, 120), SHOWN("b[1]"), .ttl_us = 11 * S, .version = 11},
        {LINEAR_DELETE, AT(300, 320), .compare = 20},
        {LINEAR_PREPEND, AT(400, 415), V("[2]")},
        {LINEAR_SET, AT(410, 425), V("c")},
        {LINEAR_SET, AT(420, 440), V("d"), .version = 30},
        {LINEAR_TOUCH, AT(439, 450), .ttl_us = 5 * S},
        {LINEAR_PREPEND, AT(500, 525), V("[3]")},
        {LINEAR_SET, AT(520, 535), V("e")},
        {LINEAR_SET, AT(530, 545), V("f"), .version = 45},
        {LINEAR_SET, AT(110, 700), V("late")},
        {LINEAR_GET, AT(750, 760), SHOWN("late"), .version = 48},
    };
    struct linear_options options = {
        .is_anything = true, .early_us = 4 * S, .late_us = 200 * S, .tries_max = 50};
    assert_int_equal(linear_judge(ops, ARRAY_COUNT(ops), &options).result, LINEAR_GOOD);
    /* Had it been written before another, it would not be seen after it. */
    ops[ARRAY_COUNT(ops) - 1].version = 40;
    options.tries_max = 0;
    assert_int_equal(linear_judge(ops, ARRAY_COUNT(ops), &options).result, LINEAR_BAD);
}

/* A cas that compared with a version, and found it, is answered as the first of many others that
 * began before it: all of them come after it, and are not tried before. */
static void what_compared_and_found_a_version_comes_before_higher_ones(void **state)
{
    (void)state;
    struct linear_op ops[] = {
        {LINEAR_SET, AT(10, 20), V("a"), .version = 5},
        {LINEAR_ADD, NEVER(11), V("b")},
        {LINEAR_SET, NEVER(30), V("c")},
        {LINEAR_DELETE, AT(31, 90)},
        {LINEAR_SET, AT(32, 90), V("d")},
        {LINEAR_DELETE, AT(33, 91)},
        {LINEAR_SET, AT(34, 92), V("e")},
        {LINEAR_APPEND, AT(35, 93), V("f")},
        {LINEAR_SET, AT(36, 93), V("g")},
        {LINEAR_SET, AT(40, 80), V("h"), .compare = 5},
        {LINEAR_GET, AT(95, 96), SHOWN("ef")},
    };
    const struct linear_options options = {.tries_max = 100};
    assert_int_equal(linear_judge(ops, ARRAY_COUNT(ops), &options).result, LINEAR_GOOD);
    ops[9].begun_us = 94; /* too late */
    ops[9].ended_us = 95;
    assert_int_equal(linear_judge(ops, ARRAY_COUNT(ops), NULL).result, LINEAR_BAD);
}

/* Without versions only the order in time and the values tell. */
static void too_few_tries_leave_it_undecided(void **state)
{
    (void)state;
    struct linear_op ops[] = {{LINEAR_SET, AT(1, 9), V("a")},
                              {LINEAR_SET, AT(1, 9), V("b")},
                              {LINEAR_SET, AT(1, 9), V("c")},
                              {LINEAR_GET, AT(10, 11), SHOWN("d")}};
    const struct linear_options options = {.tries_max = 2};
    assert_int_equal(linear_judge(ops, ARRAY_COUNT(ops), &options).result, LINEAR_UNDECIDED);
    assert_int_equal(linear_judge(ops, ARRAY_COUNT(ops), NULL).result, LINEAR_BAD);
}

static void where_items_are_evicted_they_go_at_any_time_and_do_not_come_back(void **state)
{
    (void)state;
    struct linear_op ops[] = {{LINEAR_SET, AT(1, 2), V("a")},
                              {LINEAR_GET, AT(3, 4), SHOWN("a")},
                              {LINEAR_GET, LINEAR_ABSENT, AT(5, 6)},
                              {LINEAR_ADD, AT(7, 8), V("b")},
                              {LINEAR_GET, AT(9, 10), SHOWN("b")}};
    const struct linear_options evicting = {.may_vanish = true};
    assert_int_equal(linear_judge(ops, ARRAY_COUNT(ops), &evicting).result, LINEAR_GOOD);
    assert_int_equal(linear_judge(ops, ARRAY_COUNT(ops), NULL).result, LINEAR_BAD);
    ops[4].shown = SPAN_LITERAL("a");
    assert_int_equal(linear_judge(ops, ARRAY_COUNT(ops), &evicting).result, LINEAR_BAD);
}

/* An order in which the wrong item is there fails only where its flags are shown: it is given up as
 * soon as none with these flags can come any more, not tried with all that is unknown. */
static void flags_shown_later_tell_which_item_was_there(void **state)
{
    (void)state;
    struct linear_op ops[40];
    size_t count = 0;
    for (uint32_t i = 0; i < 8; i++) {
        ops[count++] = (struct linear_op){LINEAR_ADD, NEVER(1), V("0"), .flags = 7 + i};
        ops[count++] = (struct linear_op){LINEAR_FLUSH, NEVER(1), .delay_us = 5};
        ops[count++] = (struct linear_op){LINEAR_INCR, NEVER(1), .delta = 1};
    }
    ops[count++] = (struct linear_op){LINEAR_ADD, LINEAR_PRESENT, AT(2, 3), V("x")};
    ops[count++] = (struct linear_op){LINEAR_ADD, AT(10, 20), V("0"), .flags = 5};
    ops[count++] = (struct linear_op){LINEAR_DELETE, LINEAR_ABSENT, AT(11, 20)};
    static const char *const numbers[] = {"1", "2", "3", "5", "6", "8"};
    for (uint32_t i = 0; i < ARRAY_COUNT(numbers); i++)
        ops[count++] = (struct linear_op){LINEAR_INCR, AT(30 + 2 * i, 31 + 2 * i), .delta = 1,
                                          .shown = {numbers[i], 1}};
    ops[count++] =
        (struct linear_op){LINEAR_GET, AT(60, 61), SHOWN("8"), .has_flags = true, .shown_flags = 5};
    const struct linear_options options = {.tries_max = 1000, .late_us = 100 * S};
    assert_int_equal(linear_judge(ops, count, &options).result, LINEAR_GOOD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_true_history_is_good),
        cmocka_unit_test(every_kind_of_lie_is_found_and_told),
        cmocka_unit_test(small_histories_are_judged_as_by_trying_every_order),
        cmocka_unit_test(a_long_history_is_judged_in_little_time),
        cmocka_unit_test(a_version_shown_later_tells_where_its_write_belongs),
        cmocka_unit_test(what_compared_and_found_a_version_comes_before_higher_ones),
        cmocka_unit_test(too_few_tries_leave_it_undecided),
        cmocka_unit_test(flags_shown_later_tell_which_item_was_there),
        cmocka_unit_test(where_items_are_evicted_they_go_at_any_time_and_do_not_come_back),
    };
    return cmocka_run_group_tests_name("linear", tests, NULL, NULL);
}
