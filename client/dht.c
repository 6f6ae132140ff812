#include "client/dht.h"

#include "client/dht_wire.h"
#include "common/answer.h"
#include "common/check.h"
#include "common/number.h"

#include <ctype.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define OUT_BYTES_ENOUGH (64u * 1024) /* more requests are made when less waits to be sent */
#define TEXT_BYTES_MAX   (ANSWER_LINE_BYTES_MAX + ADDRESS_TEXT_BYTES_MAX + 1)

/* A number above it is a point in time on the wire: 30 days. */
#define TTL_RELATIVE_MAX_S (60 * 60 * 24 * 30)

struct dht {
    struct address *servers; /* owned */
    size_t server_count;     /* at least 1 */
    size_t server;           /* index of the one wire leads to, or will */
    struct wire wire;
    size_t held_bytes; /* at the front of wire.in: the last answer; a caller may still look at it */
    unsigned timeout_ms;
    char server_text[ADDRESS_TEXT_BYTES_MAX];
    char text[TEXT_BYTES_MAX];
    char name[ANSWER_LINE_BYTES_MAX + 1];
};

/* What of an operation a verb sends. */
enum takes {
    TAKES_KEY = 1,
    TAKES_VALUE = 2,
    TAKES_TTL = 4,
    TAKES_FLAGS = 8,
    TAKES_CAS = 16,
    TAKES_DELTA = 32
};

#define KIND(id) (1u << ANSWER_##id)
_Static_assert(ANSWER_KIND_COUNT <= 32, "a set of kinds fits 32 bits");

/* Answers that any request may get. */
#define KINDS_FAILURE                                                                              \
    (KIND(ERROR) | KIND(CLIENT_ERROR) | KIND(SERVER_ERROR) | KIND(BUSY) | KIND(NOT_DONE) |         \
     KIND(OUTCOME_UNKNOWN))
#define KINDS_STORE                                                                                \
    (KIND(META_DONE) | KIND(META_NOT_STORED) | KIND(META_EXISTS) | KIND(META_NOT_FOUND))
#define KINDS_ARITH                                                                                \
    (KIND(META_DATA) | KIND(META_NOT_STORED) | KIND(META_EXISTS) | KIND(META_NOT_FOUND))
#define TAKES_ITEM  (TAKES_KEY | TAKES_VALUE | TAKES_TTL | TAKES_FLAGS | TAKES_CAS)
#define TAKES_JOIN  (TAKES_KEY | TAKES_VALUE | TAKES_CAS)
#define TAKES_ARITH (TAKES_KEY | TAKES_CAS | TAKES_DELTA)

/* Operations on keys are meta commands: each has exactly one answer, which says all there is to. */
static const struct verb {
    const char *word;
    const char *meta_flags;
    unsigned takes; /* set of enum takes */
    bool is_write;  /* not to be repeated when its outcome is unknown */
    uint32_t kinds; /* answers that fit, besides KINDS_FAILURE */
} verbs[] = {
    [DHT_OP_GET] = {"mg", " v f c t", TAKES_KEY, false, KIND(META_DATA) | KIND(META_MISS)},
    [DHT_OP_GAT] = {"mg", " v f c t", TAKES_KEY | TAKES_TTL, true,
                    KIND(META_DATA) | KIND(META_MISS)},
    [DHT_OP_EXISTS] = {"mg", "", TAKES_KEY, false, KIND(META_DONE) | KIND(META_MISS)},
    [DHT_OP_TOUCH] = {"mg", " c", TAKES_KEY | TAKES_TTL, true, KIND(META_DONE) | KIND(META_MISS)},
    [DHT_OP_SET] = {"ms", " c MS", TAKES_ITEM, true, KINDS_STORE},
    [DHT_OP_ADD] = {"ms", " c ME", TAKES_ITEM, true, KINDS_STORE},
    [DHT_OP_REPLACE] = {"ms", " c MR", TAKES_ITEM, true, KINDS_STORE},
    [DHT_OP_APPEND] = {"ms", " c MA", TAKES_JOIN, true, KINDS_STORE},
    [DHT_OP_PREPEND] = {"ms", " c MP", TAKES_JOIN, true, KINDS_STORE},
    [DHT_OP_DELETE] = {"md", "", TAKES_KEY | TAKES_CAS, true,
                       KIND(META_DONE) | KIND(META_NOT_FOUND) | KIND(META_EXISTS)},
    [DHT_OP_INCR] = {"ma", " v c MI", TAKES_ARITH, true, KINDS_ARITH},
    [DHT_OP_DECR] = {"ma", " v c MD", TAKES_ARITH, true, KINDS_ARITH},
    [DHT_OP_FLUSH_ALL] = {"flush_all", "", 0, true, KIND(OK)},
    [DHT_OP_STATS] = {"stats", "", 0, false, KIND(STAT) | KIND(END) | KIND(RESET)},
    [DHT_OP_VERSION] = {"version", "", 0, false, KIND(VERSION)},
};

/* The answers of dht_run's operations being fetched.
 * Invariant: answered <= left <= queued <= op_count, but that left may lag behind answered. */
struct run {
    struct dht *dht;
    const struct dht_op *ops;
    size_t op_count;
    size_t answered;         /* operations before it have their answer */
    size_t left;             /* operations before it may have left for the server */
    size_t queued;           /* operations before it are in wire.out, or have left */
    bool heard_part;         /* the first unanswered one's answer has begun: stats */
    size_t tries;            /* servers that failed since the last answer */
    uint64_t pause_ms;       /* the shortest that a busy one of them asked for; 0: none did */
    enum dht_result failure; /* how the last of them failed; dht->text says it for people */
    uint64_t deadline_ms;
    enum dht_result first_bad;
    dht_answer_fn *hear;
    void *arg;
};

/* ---- the library's object ---- */

static const char *const result_names[] = {
    [DHT_OK] = "ok",
    [DHT_NOT_FOUND] = "not_found",
    [DHT_NOT_STORED] = "not_stored",
    [DHT_EXISTS] = "exists",
    [DHT_NOT_DONE] = "not_done",
    [DHT_OUTCOME_UNKNOWN] = "outcome_unknown",
    [DHT_CLIENT_ERROR] = "client_error",
    [DHT_SERVER_ERROR] = "server_error",
    [DHT_CANNOT_CONNECT] = "cannot_connect",
    [DHT_TIMEOUT] = "timeout",
    [DHT_USAGE] = "usage",
};

const char *dht_result_name(enum dht_result result)
{
    return (size_t)result < ARRAY_COUNT(result_names) ? result_names[result] : "unknown";
}

static size_t commas_count(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == ',';
    return count;
}

static void server_choose(struct dht *dht, size_t server)
{
    dht->server = server;
    address_format(&dht->servers[server], dht->server_text);
}

struct dht *dht_open(const char *servers, const char **why)
{
    const char *unheard;
    struct dht *dht = calloc(1, sizeof(*dht));
    CHECK(dht != NULL);
    dht->servers = calloc(commas_count(servers) + 1, sizeof(*dht->servers));
    CHECK(dht->servers != NULL);
    dht->wire.fd = -1;
    dht->timeout_ms = DHT_TIMEOUT_MS;
    for (const char *at = servers;; at++) {
        size_t len = strcspn(at, ",");
        if (address_parse(span_of(at, len), &dht->servers[dht->server_count],
                          why ? why : &unheard) != ERR_OK) {
            dht_close(dht);
            return NULL;
        }
        dht->server_count++;
        at += len;
        if (!*at)
            break;
    }
    server_choose(dht, 0);
    return dht;
}

void dht_close(struct dht *dht)
{
    if (!dht)
        return;
    wire_close(&dht->wire);
    free(dht->servers);
    free(dht);
}

void dht_set_timeout(struct dht *dht, unsigned timeout_ms)
{
    dht->timeout_ms = timeout_ms < 1 ? 1 : timeout_ms > INT32_MAX ? INT32_MAX : timeout_ms;
}

const char *dht_server(const struct dht *dht)
{
    return dht->server_text;
}

const char *dht_why(const struct dht *dht)
{
    return dht->text;
}

/* ---- requests ---- */

static bool usage(struct dht *dht, const char *text)
{
    snprintf(dht->text, sizeof(dht->text), "%s", text);
    return false;
}

/* key = 1*250(byte above SP, but DEL) */
static bool key_check(struct dht *dht, const char *key)
{
    if (!key || !*key)
        return usage(dht, "a key has at least one byte");
    if (strlen(key) > DHT_KEY_BYTES_MAX)
        return usage(dht, "a key has at most 250 bytes");
    for (const char *at = key; *at; at++)
        if (*at == ' ' || iscntrl((unsigned char)*at))
            return usage(dht, "a key holds no spaces and no control characters");
    return true;
}

static bool words_check(struct dht *dht, const char *words)
{
    for (const char *at = words; at && *at; at++)
        if (iscntrl((unsigned char)*at))
            return usage(dht, "no control characters, please");
    return !words || strlen(words) <= DHT_KEY_BYTES_MAX || usage(dht, "more than 250 bytes");
}

static bool op_check(struct dht *dht, const struct dht_op *op)
{
    if ((size_t)op->verb >= ARRAY_COUNT(verbs))
        return usage(dht, "no such operation");
    if (op->value_bytes > DHT_VALUE_BYTES_MAX)
        return usage(dht, "a value has at most 128 MiB");
    return verbs[op->verb].takes & TAKES_KEY ? key_check(dht, op->key) : words_check(dht, op->key);
}

static int64_t ttl_to_send(int64_t ttl_s)
{
    return ttl_s > TTL_RELATIVE_MAX_S ? (int64_t)time(NULL) + ttl_s : ttl_s;
}

static void request_append(struct buf *out, const struct dht_op *op)
{
    const struct verb *verb = &verbs[op->verb];
    buf_printf(out, "%s%s%s", verb->word, op->key ? " " : "", op->key ? op->key : "");
    if (verb->takes & TAKES_VALUE)
        buf_printf(out, " %zu", op->value_bytes);
    buf_append(out, verb->meta_flags, strlen(verb->meta_flags));
    if (verb->takes & TAKES_TTL)
        buf_printf(out, " T%" PRId64, ttl_to_send(op->ttl_s));
    if (verb->takes & TAKES_FLAGS)
        buf_printf(out, " F%" PRIu32, op->flags);
    if (verb->takes & TAKES_CAS && op->cas)
        buf_printf(out, " C%" PRIu64, op->cas);
    if (verb->takes & TAKES_DELTA)
        buf_printf(out, " D%" PRIu64, op->delta);
    if (op->verb == DHT_OP_FLUSH_ALL && op->ttl_s)
        buf_printf(out, " %" PRId64, ttl_to_send(op->ttl_s));
    buf_append(out, "\r\n", 2);
    if (verb->takes & TAKES_VALUE) {
        buf_append(out, op->value, op->value_bytes);
        buf_append(out, "\r\n", 2);
    }
}

/* ---- answers given to the caller ---- */

static void deliver(struct run *run, const struct dht_answer *answer)
{
    const struct dht_op *op = &run->ops[run->answered];
    if (run->first_bad == DHT_OK)
        run->first_bad = answer->result;
    run->answered++;
    run->heard_part = false;
    run->tries = 0;
    run->pause_ms = 0;
    run->deadline_ms = wire_clock_ms() + run->dht->timeout_ms;
    run->hear(run->arg, op, answer);
}

/* Answers the next operation with a failure; dht->text says why. */
static void deliver_failure(struct run *run, enum dht_result result)
{
    deliver(run, &(struct dht_answer){.result = result, .text = run->dht->text, .ttl_s = -1});
}

static bool has_write(const struct run *run, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (verbs[run->ops[i].verb].is_write)
            return true;
    return false;
}

/* Gives up on what may have left: writes of it have an unknown outcome, reads get result. */
static void deliver_lost(struct run *run, enum dht_result result)
{
    while (run->answered < run->left) {
        bool is_write = verbs[run->ops[run->answered].verb].is_write;
        deliver_failure(run, is_write ? DHT_OUTCOME_UNKNOWN : result);
    }
}

/* ---- servers that fail ---- */

/* Closes the connection; what has no answer will be asked for anew. But a write that may have left
 * is never repeated, and nothing in flight beside it overtakes it. */
static void drop_wire(struct run *run)
{
    wire_close(&run->dht->wire);
    run->dht->held_bytes = 0;
    if (run->heard_part || has_write(run, run->answered, run->left))
        deliver_lost(run, DHT_NOT_DONE);
    run->left = run->queued = run->answered;
}

/* The server at hand failed; the next one's turn. When it comes to telling the caller, a server
 * that did answer weighs more than one that could not be reached; what is lost in flight, most. */
static void server_failed(struct run *run, enum dht_result failure, const char *why)
{
    struct dht *dht = run->dht;
    bool is_lost = run->answered < run->left;
    if (is_lost || run->tries == 0 || failure == DHT_NOT_DONE || run->failure != DHT_NOT_DONE) {
        snprintf(dht->text, sizeof(dht->text), "%s: %s", dht->server_text, why);
        run->failure = failure;
    }
    drop_wire(run);
    run->tries++;
    server_choose(dht, (dht->server + 1) % dht->server_count);
}

static void server_busy(struct run *run, uint64_t pause_ms)
{
    server_failed(run, DHT_NOT_DONE, "busy");
    if (run->pause_ms == 0 || pause_ms < run->pause_ms)
        run->pause_ms = pause_ms ? pause_ms : 1;
}

/* ---- connecting ---- */

/* Asks for the version before anything else is said: a server that is busy, hung or no server at
 * all is so found out before a write has left for it. */
static enum err greet(struct wire *wire, uint64_t deadline_ms, struct answer *answer)
{
    static const char greeting[] = "version\r\n";
    buf_append(&wire->out, greeting, sizeof(greeting) - 1);
    for (;;) {
        size_t consumed;
        size_t need;
        switch (answer_parse(wire->in.data, buf_len(&wire->in), 0, answer, &consumed, &need)) {
        case ANSWER_DONE:
            buf_consume(&wire->in, consumed);
            return ERR_OK;
        case ANSWER_BAD:
            return ERR_SYNTAX;
        case ANSWER_MORE:
            break;
        }
        enum err err = wire_step(wire, deadline_ms);
        if (err != ERR_OK)
            return err;
    }
}

/* Connects to the server at hand. Its share of the time left lets the others have theirs. */
static void server_try(struct run *run, uint64_t now_ms)
{
    struct dht *dht = run->dht;
    uint64_t left_ms = run->deadline_ms - now_ms;
    uint64_t deadline_ms = now_ms + left_ms / (dht->server_count - run->tries) + 1;
    const char *why;
    struct answer answer;
    if (wire_open(&dht->wire, &dht->servers[dht->server], deadline_ms, &why) != ERR_OK) {
        server_failed(run, DHT_CANNOT_CONNECT, why);
        return;
    }
    enum err err = greet(&dht->wire, deadline_ms, &answer);
    if (err == ERR_SYNTAX)
        server_failed(run, DHT_CANNOT_CONNECT, "does not speak memcached's protocol");
    else if (err != ERR_OK)
        server_failed(run, DHT_CANNOT_CONNECT, err_text(err));
    else if (answer.kind == ANSWER_BUSY)
        server_busy(run, answer.number);
    else if (answer.kind != ANSWER_VERSION)
        server_failed(run, DHT_CANNOT_CONNECT, "does not take connections");
}

/* Makes dht->wire lead to the server that is to be asked for op; false if none can be had. Today
 * any server will do, so the one that answered last stays; a client that knows the ring chooses
 * here. */
static bool connect_for(struct run *run)
{
    struct dht *dht = run->dht;
    while (dht->wire.fd < 0) {
        uint64_t now_ms = wire_clock_ms();
        if (run->tries == dht->server_count) {
            if (run->pause_ms == 0 || now_ms + run->pause_ms >= run->deadline_ms)
                return false;
            (void)poll(NULL, 0, (int)run->pause_ms); /* ended early by a signal: asks early */
            run->tries = 0;
            run->pause_ms = 0;
        } else if (now_ms >= run->deadline_ms) {
            return false;
        } else {
            server_try(run, now_ms);
        }
    }
    return true;
}

/* ---- the answers ---- */

static enum dht_result result_of(enum answer_kind kind)
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
    switch (result_of(kind)) {
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

static void copy_text(char *to, size_t size, struct span text)
{
    CHECK(text.len < size);
    if (text.len)
        memcpy(to, text.data, text.len);
    to[text.len] = '\0';
}

/* Translates a whole answer and hands it to the caller. */
static void hear_answer(struct run *run, const struct answer *from)
{
    struct dht *dht = run->dht;
    struct dht_answer answer = {.result = result_of(from->kind),
                                .text = dht->text,
                                .cas = from->cas,
                                .ttl_s = from->ttl_s,
                                .flags = from->flags};
    bool is_text = from->kind == ANSWER_VERSION || from->kind == ANSWER_STAT ||
                   (1u << from->kind & KINDS_FAILURE);
    struct span text = is_text ? from->text : SPAN_LITERAL("");
    if (text.len == 0 && answer.result != DHT_OK)
        text = span_of_string(failure_text(from->kind, run->ops[run->answered].verb));
    copy_text(dht->text, sizeof(dht->text), text);
    if (from->kind == ANSWER_META_DATA) {
        answer.value = from->value.data;
        answer.value_bytes = from->value.len;
        answer.number = from->number;
    }
    if (from->kind == ANSWER_STAT) {
        copy_text(dht->name, sizeof(dht->name), from->name);
        answer.name = dht->name;
        run->heard_part = true;
        run->deadline_ms = wire_clock_ms() + dht->timeout_ms;
        run->hear(run->arg, &run->ops[run->answered], &answer);
        return;
    }
    deliver(run, &answer);
}

/* Whether the answer fits the question; a number must be one. */
static bool answer_fits(const struct verb *verb, struct answer *answer)
{
    if (!(1u << answer->kind & (verb->kinds | KINDS_FAILURE)))
        return false;
    return !(verb->takes & TAKES_DELTA) || answer->kind != ANSWER_META_DATA ||
           number_parse_decimal(answer->value, UINT64_MAX, &answer->number);
}

/* Whether the operation just refused is to be tried again rather than heard: what is in flight
 * behind it can be repeated too, and for "not done" there is another server to ask. */
static bool is_worth_another_try(const struct run *run, enum answer_kind kind)
{
    if (run->heard_part || has_write(run, run->answered + 1, run->left))
        return false;
    if (kind == ANSWER_NOT_DONE)
        return run->left == run->answered + 1 && run->tries + 1 < run->dht->server_count;
    return kind == ANSWER_BUSY;
}

/* Takes one answer to the first operation that has none. */
static void take_answer(struct run *run, struct answer *answer)
{
    const struct verb *verb = &verbs[run->ops[run->answered].verb];
    if (!answer_fits(verb, answer)) {
        server_failed(run, DHT_CANNOT_CONNECT, "an answer to something else came");
        return;
    }
    if (is_worth_another_try(run, answer->kind)) {
        run->left = run->answered; /* it was not done: nothing of unknown outcome is in flight */
        if (answer->kind == ANSWER_BUSY)
            server_busy(run, answer->number);
        else
            server_failed(run, DHT_NOT_DONE, "not done");
        return;
    }
    hear_answer(run, answer);
    /* A value whose line was refused might be read as commands. */
    if (verb->takes & TAKES_VALUE &&
        (answer->kind == ANSWER_ERROR || answer->kind == ANSWER_CLIENT_ERROR))
        drop_wire(run);
}

static void take_answers(struct run *run)
{
    struct dht *dht = run->dht;
    struct buf *in = &dht->wire.in;
    while (run->answered < run->left && dht->wire.fd >= 0) {
        struct answer answer;
        size_t need;
        buf_consume(in, dht->held_bytes);
        dht->held_bytes = 0;
        switch (answer_parse(in->data + in->start, buf_len(in), DHT_VALUE_BYTES_MAX, &answer,
                             &dht->held_bytes, &need)) {
        case ANSWER_DONE:
            take_answer(run, &answer);
            break;
        case ANSWER_BAD:
            server_failed(run, DHT_CANNOT_CONNECT, "a malformed answer came");
            break;
        case ANSWER_MORE:
            return;
        }
    }
}

/* ---- a run ---- */

static void queue_requests(struct run *run)
{
    struct buf *out = &run->dht->wire.out;
    while (run->queued < run->op_count && buf_len(out) < OUT_BYTES_ENOUGH)
        request_append(out, &run->ops[run->queued++]);
}

static void fail_rest(struct run *run, enum dht_result result)
{
    while (run->answered < run->op_count)
        deliver_failure(run, result);
}

static void run_timed_out(struct run *run)
{
    struct dht *dht = run->dht;
    snprintf(dht->text, sizeof(dht->text), "%s: no answer within %u ms", dht->server_text,
             dht->timeout_ms);
    wire_close(&dht->wire);
    dht->held_bytes = 0;
    deliver_lost(run, DHT_TIMEOUT);
    fail_rest(run, DHT_TIMEOUT);
}

static void run_to_end(struct run *run)
{
    struct wire *wire = &run->dht->wire;
    while (run->answered < run->op_count) {
        if (!connect_for(run)) {
            fail_rest(run, run->failure);
            return;
        }
        queue_requests(run);
        size_t waiting_bytes = buf_len(&wire->out);
        enum err err = wire_step(wire, run->deadline_ms);
        if (buf_len(&wire->out) < waiting_bytes)
            run->left = run->queued;
        if (err == ERR_TIMEOUT) {
            run_timed_out(run);
            return;
        }
        take_answers(run); /* also of a connection that is closed by now */
        if (err != ERR_OK && wire->fd >= 0)
            server_failed(run, DHT_CANNOT_CONNECT, err_text(err));
    }
}

enum dht_result dht_run(struct dht *dht, const struct dht_op *ops, size_t op_count,
                        dht_answer_fn *hear, void *arg)
{
    for (size_t i = 0; i < op_count; i++)
        if (!op_check(dht, &ops[i]))
            return DHT_USAGE;
    buf_consume(&dht->wire.in, dht->held_bytes);
    dht->held_bytes = 0;
    if (!wire_is_fresh(&dht->wire))
        wire_close(&dht->wire);
    struct run run = {.dht = dht,
                      .ops = ops,
                      .op_count = op_count,
                      .deadline_ms = wire_clock_ms() + dht->timeout_ms,
                      .hear = hear,
                      .arg = arg};
    run_to_end(&run);
    return run.first_bad;
}

static void hear_one(void *arg, const struct dht_op *op, const struct dht_answer *answer)
{
    (void)op;
    *(struct dht_answer *)arg = *answer;
}

enum dht_result dht_do(struct dht *dht, const struct dht_op *op, struct dht_answer *answer)
{
    struct dht_answer unheard = {0};
    struct dht_answer *out = answer ? answer : &unheard;
    if (dht_run(dht, op, 1, hear_one, out) == DHT_USAGE)
        *out = (struct dht_answer){.result = DHT_USAGE, .text = dht->text, .ttl_s = -1};
    return out->result;
}

enum dht_result dht_get(struct dht *dht, const char *key, struct dht_answer *answer)
{
    return dht_do(dht, &(struct dht_op){.verb = DHT_OP_GET, .key = key}, answer);
}

enum dht_result dht_set(struct dht *dht, const char *key, const void *value, size_t value_bytes,
                        int64_t ttl_s)
{
    struct dht_op op = {
        .verb = DHT_OP_SET, .key = key, .value = value, .value_bytes = value_bytes, .ttl_s = ttl_s};
    return dht_do(dht, &op, NULL);
}

enum dht_result dht_delete(struct dht *dht, const char *key)
{
    return dht_do(dht, &(struct dht_op){.verb = DHT_OP_DELETE, .key = key}, NULL);
}
