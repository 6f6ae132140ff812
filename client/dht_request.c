#include "client/dht_request.h"

#include "common/number.h"

#include <ctype.h>
#include <inttypes.h>

/* A number above it is a point in time on the wire: 30 days. */
#define TTL_RELATIVE_MAX_S (60 * 60 * 24 * 30)
#define WORDS_BYTES_MAX    2000u /* with the command a line's 2,048 */

/* What of an operation a verb sends. */
enum takes {
    TAKES_KEY = 1,
    TAKES_VALUE = 2,
    TAKES_TTL = 4,
    TAKES_FLAGS = 8,
    TAKES_CAS = 16,
    TAKES_DELTA = 32,
    TAKES_ID = 64,
    TAKES_OWN_KEY = 128 /* a key that is asked of the node at hand, not of its leader */
};

#define KIND(id) (1u << ANSWER_##id)
_Static_assert(ANSWER_KIND_COUNT <= 32, "a set of kinds fits 32 bits");

/* Answers that any request may get. */
#define KINDS_FAILURE                                                                              \
    (KIND(ERROR) | KIND(DISABLED) | KIND(CLIENT_ERROR) | KIND(SERVER_ERROR) | KIND(BUSY) |         \
     KIND(NOT_DONE) | KIND(OUTCOME_UNKNOWN))
#define KINDS_STORE                                                                                \
    (KIND(META_DONE) | KIND(META_NOT_STORED) | KIND(META_EXISTS) | KIND(META_NOT_FOUND))
#define KINDS_ARITH                                                                                \
    (KIND(META_DATA) | KIND(META_NOT_STORED) | KIND(META_EXISTS) | KIND(META_NOT_FOUND))
#define TAKES_ITEM  (TAKES_KEY | TAKES_VALUE | TAKES_TTL | TAKES_FLAGS | TAKES_CAS | TAKES_ID)
#define TAKES_JOIN  (TAKES_KEY | TAKES_VALUE | TAKES_CAS | TAKES_ID)
#define TAKES_ARITH (TAKES_KEY | TAKES_CAS | TAKES_DELTA | TAKES_ID)

/* Operations on keys are meta commands: each has exactly one answer, which says all there is to. */
static const struct verb {
    const char *word;
    const char *meta_flags;
    unsigned takes; /* set of enum takes */
    bool is_write;
    uint32_t kinds; /* answers that fit, besides KINDS_FAILURE */
} verbs[] = {
    [DHT_OP_GET] = {"mg", " v f c t", TAKES_KEY, false, KIND(META_DATA) | KIND(META_MISS)},
    [DHT_OP_GAT] = {"mg", " v f c t", TAKES_KEY | TAKES_TTL, true,
                    KIND(META_DATA) | KIND(META_MISS)},
    [DHT_OP_EXISTS] = {"mg", "", TAKES_KEY, false, KIND(META_DONE) | KIND(META_MISS)},
    [DHT_OP_TOUCH] = {"mg", " c", TAKES_KEY | TAKES_TTL | TAKES_ID, true,
                      KIND(META_DONE) | KIND(META_MISS)},
    [DHT_OP_SET] = {"ms", " c MS", TAKES_ITEM, true, KINDS_STORE},
    [DHT_OP_ADD] = {"ms", " c ME", TAKES_ITEM, true, KINDS_STORE},
    [DHT_OP_REPLACE] = {"ms", " c MR", TAKES_ITEM, true, KINDS_STORE},
    [DHT_OP_APPEND] = {"ms", " c MA", TAKES_JOIN, true, KINDS_STORE},
    [DHT_OP_PREPEND] = {"ms", " c MP", TAKES_JOIN, true, KINDS_STORE},
    [DHT_OP_DELETE] = {"md", "", TAKES_KEY | TAKES_CAS | TAKES_ID, true,
                       KIND(META_DONE) | KIND(META_NOT_FOUND) | KIND(META_EXISTS)},
    [DHT_OP_INCR] = {"ma", " v c MI", TAKES_ARITH, true, KINDS_ARITH},
    [DHT_OP_DECR] = {"ma", " v c MD", TAKES_ARITH, true, KINDS_ARITH},
    [DHT_OP_FLUSH_ALL] = {"flush_all", "", TAKES_ID, true, KIND(OK)},
    [DHT_OP_STATS] = {"stats", "", 0, false, KIND(STAT) | KIND(END) | KIND(RESET)},
    [DHT_OP_VERSION] = {"version", "", 0, false, KIND(VERSION)},
    [DHT_OP_MEMBERS] = {"get_membership_list", "", 0, false, KIND(MEMBERSHIP)},
    [DHT_OP_STATUS] = {"status", "", 0, false, KIND(REPORT)},
    [DHT_OP_TRANSFERS] = {"transfers", "", 0, false, KIND(REPORT)},
    [DHT_OP_COPY] = {"copy", "", TAKES_OWN_KEY, false, KIND(REPORT)},
    [DHT_OP_FORGET] = {"forget", "", 0, true, KIND(OK)},
    [DHT_OP_ACCEPT_LOSS] = {"accept_loss", "", 0, true, KIND(OK)},
    [DHT_OP_FORM] = {"form", "", 0, true, KIND(OK)},
    [DHT_OP_LEAVE] = {"leave", "", 0, true, KIND(OK)},
    [DHT_OP_SHUTDOWN] = {"shutdown", "", 0, true, KIND(OK)},
};

/* key = 1*250(byte above SP, but DEL) */
static const char *key_fault(const char *key)
{
    if (!key || !*key)
        return "a key has at least one byte";
    if (strlen(key) > DHT_KEY_BYTES_MAX)
        return "a key has at most 250 bytes";
    for (const char *at = key; *at; at++)
        if (*at == ' ' || iscntrl((unsigned char)*at))
            return "a key holds no spaces and no control characters";
    return NULL;
}

static const char *words_fault(const char *words)
{
    for (const char *at = words; at && *at; at++)
        if (iscntrl((unsigned char)*at))
            return "no control characters, please";
    return words && strlen(words) > WORDS_BYTES_MAX ? "too many words" : NULL;
}

const char *op_fault(const struct dht_op *op)
{
    if ((size_t)op->verb >= ARRAY_COUNT(verbs))
        return "no such operation";
    if (op->value_bytes > DHT_VALUE_BYTES_MAX)
        return "a value has at most 128 MiB";
    bool is_key = (verbs[op->verb].takes & (TAKES_KEY | TAKES_OWN_KEY)) != 0;
    return is_key ? key_fault(op->key) : words_fault(op->key);
}

bool op_has_key(const struct dht_op *op)
{
    return (verbs[op->verb].takes & TAKES_KEY) != 0;
}

bool op_is_write(const struct dht_op *op)
{
    return verbs[op->verb].is_write;
}

bool op_takes_id(const struct dht_op *op)
{
    return (verbs[op->verb].takes & TAKES_ID) != 0;
}

bool op_has_value(const struct dht_op *op)
{
    return (verbs[op->verb].takes & TAKES_VALUE) != 0;
}

bool op_ends_connection(const struct dht_op *op)
{
    return op->verb == DHT_OP_SHUTDOWN;
}

static int64_t ttl_to_send(int64_t ttl_s, int64_t now_s)
{
    return ttl_s > TTL_RELATIVE_MAX_S ? now_s + ttl_s : ttl_s;
}

void op_append(struct buf *out, const struct dht_op *op, const struct op_envelope *envelope)
{
    const struct verb *verb = &verbs[op->verb];
    struct span opaque = envelope->opaque;
    if (envelope->id.len > 0)
        buf_printf(out, "once %.*s ", (int)envelope->id.len, envelope->id.data);
    buf_printf(out, "%s%s%s", verb->word, op->key ? " " : "", op->key ? op->key : "");
    if (verb->takes & TAKES_VALUE)
        buf_printf(out, " %zu", op->value_bytes);
    buf_append(out, verb->meta_flags, strlen(verb->meta_flags));
    if (verb->takes & TAKES_TTL)
        buf_printf(out, " T%" PRId64, ttl_to_send(op->ttl_s, envelope->now_s));
    if (verb->takes & TAKES_FLAGS)
        buf_printf(out, " F%" PRIu32, op->flags);
    if (verb->takes & TAKES_CAS && op->cas)
        buf_printf(out, " C%" PRIu64, op->cas);
    if (verb->takes & TAKES_DELTA)
        buf_printf(out, " D%" PRIu64, op->delta);
    if (op->verb == DHT_OP_FLUSH_ALL && op->ttl_s)
        buf_printf(out, " %" PRId64, ttl_to_send(op->ttl_s, envelope->now_s));
    if (opaque.len > 0)
        buf_printf(out, " O%.*s", (int)opaque.len, opaque.data);
    buf_append(out, "\r\n", 2);
    if (verb->takes & TAKES_VALUE) {
        buf_append(out, op->value, op->value_bytes);
        buf_append(out, "\r\n", 2);
    }
}

bool answer_is_failure(enum answer_kind kind)
{
    return (1u << kind & KINDS_FAILURE) != 0;
}

bool answer_fits(const struct dht_op *op, struct answer *answer)
{
    const struct verb *verb = &verbs[op->verb];
    if (!(1u << answer->kind & verb->kinds) && !answer_is_failure(answer->kind))
        return false;
    return !(verb->takes & TAKES_DELTA) || answer->kind != ANSWER_META_DATA ||
           number_parse_decimal(answer->value, UINT64_MAX, &answer->number);
}

enum dht_result answer_result(enum answer_kind kind)
{
    switch (kind) {
    case ANSWER_META_MISS:
    case ANSWER_META_NOT_FOUND:
        return DHT_NOT_FOUND;
    case ANSWER_META_NOT_STORED:
        return DHT_NOT_STORED;
    case ANSWER_META_EXISTS:
        return DHT_EXISTS;
    case ANSWER_ERROR:
    case ANSWER_DISABLED:
    case ANSWER_CLIENT_ERROR:
        return DHT_CLIENT_ERROR;
    case ANSWER_SERVER_ERROR:
        return DHT_SERVER_ERROR;
    case ANSWER_OUTCOME_UNKNOWN:
        return DHT_OUTCOME_UNKNOWN;
    case ANSWER_BUSY:
    case ANSWER_NOT_DONE:
        return DHT_NOT_DONE;
    default:
        return DHT_OK;
    }
}

static const char *failure_text(enum answer_kind kind, enum dht_verb verb)
{
    switch (answer_result(kind)) {
    case DHT_NOT_FOUND:
        return "not found";
    case DHT_NOT_STORED:
        return verb == DHT_OP_ADD ? "not stored, the key exists" : "not stored, no such key";
    case DHT_EXISTS:
        return "changed since";
    case DHT_CLIENT_ERROR:
        return "the server does not know this command";
    default:
        return kind == ANSWER_BUSY ? "busy" : "";
    }
}

struct span answer_text(const struct answer *answer, const struct dht_op *op)
{
    bool is_text = answer->kind == ANSWER_VERSION || answer->kind == ANSWER_STAT ||
                   answer_is_failure(answer->kind);
    if (is_text && answer->text.len > 0)
        return answer->text;
    return answer_result(answer->kind) == DHT_OK
               ? SPAN_LITERAL("")
               : span_of_string(failure_text(answer->kind, op->verb));
}
