#include "tests/sim/callers.h"

#include "common/base64.h"
#include "common/check.h"
#include "tests/sim/heard.h"
#include "tests/sim/names.h"
#include "tests/sim/patience.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH_MAX  3u
#define KEPT_MAX   6u /* answered requests with an id that may be repeated */
#define CONNECT_US (3ull * US_PER_S)
#define RETRY_US   (25ull * US_PER_S) /* an id is tried for so long */
#define REPEAT_US_MAX                                                                              \
    (45ull * US_PER_S)      /* and repeated for so long: ids are kept 60 s at least                \
                             */
#define LARGE_OF        40u /* one value of so many is large */
#define LARGE_BYTES     3000u
#define HUGE_OF         40u /* and one of so many large ones does not fit into one frame */
#define PRESSING_OF     5u  /* is_pressing: the same */
#define PRESSING_HUGE   2u
#define HUGE_BYTES      80000u
#define ANSWER_BYTES    64u
#define EXPIRED_OF      8u /* of so many times to live one is negative */
#define TTL_S_MIN       4u
#define TTL_S_MAX       30u
#define FLUSH_DELAY_MAX 20u

enum manner { MANNER_CLASSIC, MANNER_META };

/* One request, from its first byte to its last answer. */
struct ask {
    struct linear_op op;
    uint32_t key;
    enum manner manner;
    bool has_value; /* a value has come, END has not */
    bool has_id;
    bool is_repeat;   /* it was answered before, as first says */
    bool is_lost;     /* and that was lost while it was under way: it may be carried out anew */
    uint32_t unknown; /* how often it has left without it being known what became of that */
    struct buf line;  /* as sent */
    struct buf value;
    struct buf shown;
    char first[ANSWER_BYTES];
    uint64_t sent_us; /* the last time */
};

/* A write with an id that has its answer. */
struct kept {
    struct linear_op op; /* as it was asked */
    uint32_t key;
    struct buf line;
    struct buf value;
    char first[ANSWER_BYTES];
};

struct caller {
    struct callers *callers;
    uint32_t number;
    struct prng prng;
    uint32_t node;
    struct sock *sock;
    bool is_connected;
    struct patience patience;
    struct buf in;
    struct ask asks[BATCH_MAX];
    uint32_t ask_count;
    uint32_t answered;
    struct ask again[BATCH_MAX]; /* to be sent once more */
    uint32_t again_count;
    struct kept kept[KEPT_MAX];
    struct vtimer timer;
};

static struct vclock *clock_of(const struct caller *caller)
{
    return &caller->callers->world->clock;
}

static uint64_t below(struct caller *caller, uint64_t bound)
{
    return prng_below(&caller->prng, bound);
}

static void fail(const struct caller *caller, const struct ask *ask, const char *what)
{
    world_fail(caller->callers->world, "caller %u at n%u, %.60s of %s sent at %.6f: %s",
               caller->number, caller->node + 1, ask ? linear_kind_word(ask->op.kind) : "-",
               ask ? caller->callers->history.keys[ask->key].name : "-",
               ask ? (double)ask->sent_us / US_PER_S : 0.0, what);
}

static void ask_close(struct ask *ask)
{
    buf_close(&ask->line);
    buf_close(&ask->value);
    buf_close(&ask->shown);
    *ask = (struct ask){0};
}

/* --- requests --------------------------------------------------------------------------------- */

static bool is_counter(const struct caller *caller, uint32_t key)
{
    return key >= caller->callers->options.key_count * 2 / 3;
}

static const char *name_of(const struct caller *caller, const struct ask *ask)
{
    return caller->callers->history.keys[ask->key].name;
}

/* The key as a meta command names it, sometimes in base64; what follows the command is in text. */
static void add_meta(struct caller *caller, struct ask *ask, const char *word, const char *text)
{
    const char *name = name_of(caller, ask);
    if (below(caller, 4) > 0) {
        buf_printf(&ask->line, "%s %s%s", word, name, text);
        return;
    }
    char encoded[BASE64_BYTES(HISTORY_NAME_BYTES) + 1];
    size_t len = base64_encode(span_of_string(name), encoded);
    encoded[len] = '\0';
    buf_printf(&ask->line, "%s %s%s b", word, encoded, text);
}

/* A version that somebody has seen of the key, mostly the last one; 0: nobody has. */
static uint64_t draw_version(struct caller *caller, uint32_t key)
{
    const uint64_t *seen = caller->callers->seen[key];
    return below(caller, 4) > 0 ? seen[0] : seen[below(caller, 4)];
}

static void note_version(struct callers *callers, uint32_t key, uint64_t version)
{
    uint64_t *seen = callers->seen[key];
    if (seen[0] == version)
        return;
    memmove(seen + 1, seen, 3 * sizeof(*seen));
    seen[0] = version;
}

/* Draws a time to live for one request of so many. Returns it as sent: 0 for ever, -1 over. */
static int32_t draw_ttl(struct caller *caller, struct linear_op *op, uint32_t of)
{
    if (!caller->callers->options.has_ttl || below(caller, of) > 0)
        return 0;
    if (below(caller, EXPIRED_OF) == 0) {
        op->is_expired = true;
        return -1;
    }
    uint32_t ttl_s = TTL_S_MIN + (uint32_t)below(caller, TTL_S_MAX - TTL_S_MIN);
    op->ttl_us = ttl_s * US_PER_S;
    return (int32_t)ttl_s;
}

/* A value that names the write, and is long now and then; a number for counters. */
static void draw_value(struct caller *caller, struct ask *ask)
{
    uint64_t number = ++caller->callers->next_number;
    bool is_pressing = caller->callers->options.is_pressing;
    bool is_large = below(caller, is_pressing ? PRESSING_OF : LARGE_OF) == 0;
    if (ask->op.kind == LINEAR_APPEND || ask->op.kind == LINEAR_PREPEND) {
        buf_printf(&ask->value, "[%" PRIu64 "]", number);
    } else if (is_counter(caller, ask->key)) {
        buf_printf(&ask->value, "%" PRIu64, ask->op.kind == LINEAR_ADD ? 0 : number * 1000);
    } else {
        buf_printf(&ask->value, "w%" PRIu64 ".", number);
        size_t fill = is_large ? below(caller, below(caller, is_pressing ? PRESSING_HUGE : HUGE_OF)
                                                   ? LARGE_BYTES
                                                   : HUGE_BYTES)
                               : 0;
        char *at = buf_reserve(&ask->value, fill + 1);
        memset(at, 'a' + (int)(number % 26), fill);
        buf_advance(&ask->value, fill);
    }
    ask->op.value = buf_span(&ask->value);
    ask->op.flags = (uint32_t)(number * 2654435761u);
}

static void add_body(struct ask *ask)
{
    struct span value = buf_span(&ask->value);
    buf_append(&ask->line, "\r\n", 2);
    buf_append(&ask->line, value.data, value.len);
}

static void make_get(struct caller *caller, struct ask *ask)
{
    if (ask->manner == MANNER_META)
        add_meta(caller, ask, "mg", " v c f");
    else
        buf_printf(&ask->line, "gets %s", name_of(caller, ask));
}

/* set, add, replace, append, prepend, cas. */
static void make_store(struct caller *caller, struct ask *ask)
{
    static const struct {
        const char *word;
        char mode;
    } how[LINEAR_KINDS] = {[LINEAR_SET] = {"set", 'S'},
                           [LINEAR_ADD] = {"add", 'E'},
                           [LINEAR_REPLACE] = {"replace", 'R'},
                           [LINEAR_APPEND] = {"append", 'A'},
                           [LINEAR_PREPEND] = {"prepend", 'P'}};
    struct linear_op *op = &ask->op;
    bool is_longer = op->kind == LINEAR_APPEND || op->kind == LINEAR_PREPEND;
    draw_value(caller, ask);
    int32_t ttl = is_longer ? 0 : draw_ttl(caller, op, 12);
    size_t len = buf_len(&ask->value);
    if (ask->manner == MANNER_META) {
        char text[160], compare[40] = "";
        if (op->compare)
            snprintf(compare, sizeof(compare), " C%" PRIu64, op->compare);
        snprintf(text, sizeof(text), " %zu c F%" PRIu32 " T%" PRId32 " M%c%s", len, op->flags, ttl,
                 how[op->kind].mode, compare);
        add_meta(caller, ask, "ms", text);
    } else if (op->compare) {
        buf_printf(&ask->line, "cas %s %" PRIu32 " %" PRId32 " %zu %" PRIu64, name_of(caller, ask),
                   op->flags, ttl, len, op->compare);
    } else {
        buf_printf(&ask->line, "%s %s %" PRIu32 " %" PRId32 " %zu", how[op->kind].word,
                   name_of(caller, ask), op->flags, ttl, len);
    }
    add_body(ask);
}

static void make_count(struct caller *caller, struct ask *ask)
{
    struct linear_op *op = &ask->op;
    bool is_incr = op->kind == LINEAR_INCR;
    /* Which of some unknown ones took effect is hard to tell if each is another number. */
    op->delta = ask->has_id && below(caller, 4) == 0 ? 1 + below(caller, 9) : 1;
    if (ask->manner == MANNER_META) {
        char text[80];
        snprintf(text, sizeof(text), " v c D%" PRIu64 " M%c", op->delta, is_incr ? 'I' : 'D');
        add_meta(caller, ask, "ma", text);
    } else {
        buf_printf(&ask->line, "%s %s %" PRIu64, is_incr ? "incr" : "decr", name_of(caller, ask),
                   op->delta);
    }
}

static void make_delete(struct caller *caller, struct ask *ask)
{
    char text[40] = "";
    if (ask->manner == MANNER_CLASSIC) {
        buf_printf(&ask->line, "delete %s", name_of(caller, ask));
        return;
    }
    if (below(caller, 2) == 0 && (ask->op.compare = draw_version(caller, ask->key)) > 0)
        snprintf(text, sizeof(text), " C%" PRIu64, ask->op.compare);
    add_meta(caller, ask, "md", text);
}

/* touch, gats, or mg with a time: the last two show the value, and carry no id. */
static void make_touch(struct caller *caller, struct ask *ask)
{
    int32_t ttl = draw_ttl(caller, &ask->op, 2);
    if (ask->manner == MANNER_META) {
        char text[40];
        snprintf(text, sizeof(text), " v c f T%" PRId32, ttl);
        add_meta(caller, ask, "mg", text);
    } else if (!ask->has_id && below(caller, 3) == 0) {
        buf_printf(&ask->line, "gats %" PRId32 " %s", ttl, name_of(caller, ask));
    } else {
        buf_printf(&ask->line, "touch %s %" PRId32, name_of(caller, ask), ttl);
    }
}

static void make_flush(struct caller *caller, struct ask *ask)
{
    if (caller->callers->options.has_delays && below(caller, 2) == 0) {
        uint64_t delay_s = TTL_S_MIN + below(caller, FLUSH_DELAY_MAX);
        ask->op.delay_us = delay_s * US_PER_S;
        buf_printf(&ask->line, "flush_all %" PRIu64, delay_s);
    } else {
        buf_printf(&ask->line, "flush_all");
    }
}

/* KIND(of 1000, kind): how often each is drawn, of text keys, of counters, of either if simple. */
static const uint16_t chances[3][LINEAR_KINDS] = {
    {[LINEAR_GET] = 330,
     [LINEAR_SET] = 280,
     [LINEAR_ADD] = 80,
     [LINEAR_REPLACE] = 40,
     [LINEAR_APPEND] = 70,
     [LINEAR_PREPEND] = 30,
     [LINEAR_INCR] = 5,
     [LINEAR_DELETE] = 100,
     [LINEAR_TOUCH] = 57,
     [LINEAR_FLUSH] = 8},
    {[LINEAR_GET] = 260,
     [LINEAR_SET] = 35,
     [LINEAR_ADD] = 120,
     [LINEAR_INCR] = 450,
     [LINEAR_DECR] = 50,
     [LINEAR_DELETE] = 50,
     [LINEAR_TOUCH] = 27,
     [LINEAR_FLUSH] = 8},
    {[LINEAR_GET] = 400,
     [LINEAR_SET] = 250,
     [LINEAR_ADD] = 100,
     [LINEAR_INCR] = 150,
     [LINEAR_DELETE] = 100},
};

static enum linear_kind draw_kind(struct caller *caller, uint32_t key)
{
    const struct callers_options *options = &caller->callers->options;
    const uint16_t *of = chances[options->is_simple ? 2 : is_counter(caller, key)];
    uint64_t total = 0;
    for (int kind = 0; kind < LINEAR_KINDS; kind++)
        total += of[kind];
    uint64_t drawn = below(caller, total);
    int kind = 0;
    for (; drawn >= of[kind]; kind++)
        drawn -= of[kind];
    return kind == LINEAR_FLUSH && !options->has_flushes ? LINEAR_GET : (enum linear_kind)kind;
}

static void draw_ask(struct caller *caller, struct ask *ask)
{
    struct callers *callers = caller->callers;
    *ask = (struct ask){.key = (uint32_t)below(caller, callers->options.key_count)};
    if (callers->options.has_cold_keys && below(caller, 10) > 0)
        ask->key &= ~1u;
    ask->op.kind = draw_kind(caller, ask->key);
    ask->op.begun_us = clock_of(caller)->now_us;
    ask->manner = below(caller, 2) ? MANNER_META : MANNER_CLASSIC;
    bool can_have_id =
        ask->op.kind != LINEAR_GET && !(ask->op.kind == LINEAR_TOUCH && ask->manner == MANNER_META);
    ask->has_id = can_have_id && below(caller, 10) < callers->options.ids_of_10;
    if (ask->has_id)
        buf_printf(&ask->line, "once c%" PRIu32 "-%" PRIu64 " ", caller->number,
                   ++callers->next_id);
    switch (ask->op.kind) {
    case LINEAR_GET:
        make_get(caller, ask);
        break;
    case LINEAR_SET:
        if (!callers->options.is_simple && below(caller, 2) == 0)
            ask->op.compare = draw_version(caller, ask->key);
        make_store(caller, ask);
        break;
    case LINEAR_ADD:
    case LINEAR_REPLACE:
    case LINEAR_APPEND:
    case LINEAR_PREPEND:
        make_store(caller, ask);
        break;
    case LINEAR_INCR:
    case LINEAR_DECR:
        make_count(caller, ask);
        break;
    case LINEAR_DELETE:
        make_delete(caller, ask);
        break;
    case LINEAR_TOUCH:
        make_touch(caller, ask);
        break;
    case LINEAR_FLUSH:
        make_flush(caller, ask);
        break;
    case LINEAR_KINDS:
        CHECK(!"a kind is drawn");
    }
    buf_append(&ask->line, "\r\n", 2);
    callers->begun++;
    callers->open++;
}

/* --- ends ------------------------------------------------------------------------------------- */

static void note(struct callers *callers, uint32_t key, const struct linear_op *op)
{
    uint32_t from = op->kind == LINEAR_FLUSH ? 0 : key;
    uint32_t until = op->kind == LINEAR_FLUSH ? callers->history.key_count : key + 1;
    for (uint32_t number = from; number < until; number++)
        history_add(&callers->history, number, op);
}

/* What was sent with an id and not answered may lie with a node that stands still, or on its way to
 * one, until the id is forgotten, or lost, and take effect once more. times: how many there are
 * beside the one that the history has. */
static void note_late(struct callers *callers, const struct ask *ask, uint32_t times)
{
    struct linear_op late = ask->op;
    late.is_late = true;
    late.outcome = LINEAR_UNKNOWN;
    late.ended_us = LINEAR_OPEN;
    late.shown = (struct span){0};
    late.version = 0;
    late.has_flags = false;
    for (uint32_t i = 0; i < times; i++)
        note(callers, ask->key, &late);
}

/* It is over: the history has it. */
static void ask_end(struct caller *caller, struct ask *ask, enum linear_outcome outcome)
{
    struct callers *callers = caller->callers;
    struct linear_op *op = &ask->op;
    if (ask->is_repeat) {
        note_late(callers, ask, ask->unknown);
    } else {
        op->outcome = ask->unknown > 0 && outcome == LINEAR_NOT_DONE ? LINEAR_UNKNOWN : outcome;
        op->ended_us = op->outcome == LINEAR_UNKNOWN ? LINEAR_OPEN : clock_of(caller)->now_us;
        op->was_unknown = ask->unknown > 0;
        if (op->outcome == LINEAR_UNKNOWN || op->outcome == LINEAR_NOT_DONE)
            op->shown = (struct span){0};
        callers->ended[op->kind][op->outcome]++;
        callers->open--;
        note(callers, ask->key, op);
        uint32_t own = op->outcome == LINEAR_UNKNOWN;
        note_late(callers, ask, ask->unknown > own ? ask->unknown - own : 0);
        if (op->outcome == LINEAR_DONE && op->version > 0) {
            note_version(callers, ask->key, op->version);
            if (callers->told)
                callers->told(callers->arg, &callers->history.keys[ask->key], op->version);
        }
    }
    trace_mix(&callers->world->trace, (uint64_t)op->kind << 8 | outcome);
    trace_mix(&callers->world->trace, clock_of(caller)->now_us ^ op->version);
    ask_close(ask);
}

/* The answer is not definite: with an id it is asked again. */
static void ask_fail(struct caller *caller, struct ask *ask, enum linear_outcome outcome)
{
    uint64_t now_us = clock_of(caller)->now_us;
    ask->unknown += outcome == LINEAR_UNKNOWN;
    if (!ask->has_id || ask->is_repeat || now_us > ask->op.begun_us + RETRY_US) {
        ask_end(caller, ask, outcome);
        return;
    }
    CHECK(caller->again_count < BATCH_MAX);
    buf_close(&ask->shown);
    ask->op.shown = (struct span){0};
    caller->again[caller->again_count++] = *ask;
    *ask = (struct ask){0};
}

static void kept_close(struct kept *kept)
{
    buf_close(&kept->line);
    buf_close(&kept->value);
}

/* Keeps a request with its answer, to be repeated later. */
static void keep(struct caller *caller, const struct ask *ask, const char *answer)
{
    struct kept *kept = &caller->kept[below(caller, KEPT_MAX)];
    struct span line = buf_span(&ask->line), value = buf_span(&ask->value);
    kept_close(kept);
    *kept = (struct kept){.key = ask->key, .op = ask->op};
    kept->op.shown = kept->op.value = (struct span){0};
    kept->op.version = 0;
    kept->op.has_flags = false;
    buf_append(&kept->line, line.data, line.len);
    buf_append(&kept->value, value.data, value.len);
    snprintf(kept->first, sizeof(kept->first), "%s", answer);
}

/* --- answers ---------------------------------------------------------------------------------- */

static void keep_shown(struct ask *ask, const struct heard *answer)
{
    buf_close(&ask->shown);
    buf_append(&ask->shown, answer->value.data, answer->value.len);
    ask->op.shown = buf_span(&ask->shown);
    if (!ask->op.shown.data)
        ask->op.shown = SPAN_LITERAL("");
    ask->op.version = answer->cas;
}

/* A value of a classic get is followed by END. */
static bool take_value(const struct caller *caller, struct ask *ask, const struct heard *answer)
{
    if (ask->has_value || (ask->op.kind != LINEAR_GET && ask->op.kind != LINEAR_TOUCH) ||
        !span_equal(answer->name, span_of_string(name_of(caller, ask))))
        return false;
    ask->has_value = ask->op.has_flags = true;
    ask->op.shown_flags = answer->flags;
    keep_shown(ask, answer);
    return true;
}

/* Which outcome an answer says; false: it does not fit. */
static bool outcome_of(struct ask *ask, const struct heard *answer, enum linear_outcome *outcome)
{
    enum linear_kind kind = ask->op.kind;
    bool is_read = kind == LINEAR_GET || kind == LINEAR_TOUCH;
    bool is_count = kind == LINEAR_INCR || kind == LINEAR_DECR;
    bool is_store = kind >= LINEAR_SET && kind <= LINEAR_PREPEND;
    *outcome = LINEAR_DONE;
    switch (answer->kind) {
    case HEARD_END:
        *outcome = ask->has_value ? LINEAR_DONE : LINEAR_ABSENT;
        return is_read;
    case HEARD_HIT:
        ask->op.has_flags = is_read;
        ask->op.shown_flags = answer->flags;
        keep_shown(ask, answer);
        return is_read || is_count;
    case HEARD_META_DONE:
        ask->op.version = answer->cas;
        return is_store || kind == LINEAR_DELETE;
    case HEARD_STORED:
        return is_store;
    case HEARD_DELETED:
        return kind == LINEAR_DELETE;
    case HEARD_TOUCHED:
        return kind == LINEAR_TOUCH;
    case HEARD_OK:
        return kind == LINEAR_FLUSH;
    case HEARD_NUMBER: {
        char digits[24];
        int len = snprintf(digits, sizeof(digits), "%" PRIu64, answer->number);
        buf_close(&ask->shown);
        buf_append(&ask->shown, digits, (size_t)len);
        ask->op.shown = buf_span(&ask->shown);
        return is_count;
    }
    case HEARD_META_MISS:
        *outcome = LINEAR_ABSENT;
        return is_read;
    case HEARD_NOT_STORED:
    case HEARD_META_NOT_STORED:
        *outcome = kind == LINEAR_ADD ? LINEAR_PRESENT : LINEAR_ABSENT;
        return is_store && (kind != LINEAR_SET || ask->op.compare > 0);
    case HEARD_NOT_FOUND:
    case HEARD_META_ABSENT:
        *outcome = LINEAR_ABSENT;
        return is_count || kind == LINEAR_DELETE || kind == LINEAR_TOUCH ||
               (kind == LINEAR_SET && ask->op.compare > 0);
    case HEARD_EXISTS:
    case HEARD_META_EXISTS:
        *outcome = LINEAR_PRESENT;
        return ask->op.compare > 0;
    case HEARD_CLIENT_ERROR:
        *outcome = LINEAR_NO_NUMBER;
        return is_count && span_equal(answer->text, SPAN_LITERAL("cannot increment or decrement "
                                                                 "non-numeric value"));
    default:
        return false;
    }
}

static bool is_full(const struct heard *answer)
{
    return answer->kind == HEARD_SERVER_ERROR && answer->text.len >= 13 &&
           memcmp(answer->text.data, "out of memory", 13) == 0;
}

/* Returns whether the answer, whose bytes these are, fits the request. */
static bool take_answer(struct caller *caller, struct ask *ask, const struct heard *answer,
                        struct span bytes)
{
    struct callers *callers = caller->callers;
    char text[ANSWER_BYTES];
    enum linear_outcome outcome;
    if (answer->kind == HEARD_VALUE)
        return take_value(caller, ask, answer);
    if (answer->kind == HEARD_NOT_DONE || answer->kind == HEARD_BUSY || is_full(answer)) {
        callers->full += is_full(answer);
        ask_fail(caller, ask, LINEAR_NOT_DONE);
        return true;
    }
    if (answer->kind == HEARD_UNKNOWN) {
        bool can_be = ask->op.kind != LINEAR_GET;
        ask_fail(caller, ask, LINEAR_UNKNOWN);
        return can_be;
    }
    if (!outcome_of(ask, answer, &outcome))
        return false;
    snprintf(text, sizeof(text), "%.*s", (int)bytes.len, bytes.data);
    if (ask->is_repeat) {
        if (strcmp(text, ask->first) != 0 && !ask->is_lost)
            return false;
        ask->unknown += ask->is_lost;
        callers->repeats++;
    } else if (ask->has_id) {
        keep(caller, ask, text);
    }
    callers->retries_ended += ask->unknown > 0 && !ask->is_repeat;
    ask_end(caller, ask, outcome);
    return true;
}

static void think(struct caller *caller)
{
    uint64_t think_us = (uint64_t)caller->callers->options.think_ms * US_PER_MS;
    vclock_set(clock_of(caller), &caller->timer,
               clock_of(caller)->now_us + below(caller, think_us + 1));
}

static void take_answers(struct caller *caller)
{
    struct span in = buf_span(&caller->in);
    size_t at = 0;
    while (at < in.len) {
        struct heard answer = heard_parse(span_of(in.data + at, in.len - at), HOST_VALUE_BYTES_MAX);
        if (answer.kind == HEARD_MORE)
            break;
        struct ask *ask =
            caller->answered < caller->ask_count ? &caller->asks[caller->answered] : NULL;
        bool is_value = answer.kind == HEARD_VALUE;
        size_t len = answer.kind == HEARD_BAD ? in.len - at : answer.consumed;
        struct ask told = ask ? *ask : (struct ask){0};
        if (!ask || answer.kind == HEARD_BAD ||
            !take_answer(caller, ask, &answer, span_of(in.data + at, len))) {
            char text[200];
            snprintf(text, sizeof(text), "%s: %.*s%s%s",
                     ask ? "an answer that does not fit" : "an answer nobody asked for",
                     (int)(len < 60 ? len : 60), in.data + at, ask && told.is_repeat ? " was " : "",
                     ask && told.is_repeat ? told.first : "");
            fail(caller, ask ? &told : NULL, text);
            return;
        }
        caller->answered += !is_value;
        at += len;
    }
    buf_consume(&caller->in, at);
    if (caller->ask_count > 0 && caller->answered == caller->ask_count) {
        caller->ask_count = caller->answered = 0;
        think(caller);
    }
}

/* --- the connection --------------------------------------------------------------------------- */

static void hang_up(struct caller *caller)
{
    if (caller->sock)
        sock_close(caller->sock);
    caller->sock = NULL;
    caller->is_connected = false;
    for (; caller->answered < caller->ask_count; caller->answered++)
        ask_fail(caller, &caller->asks[caller->answered], LINEAR_UNKNOWN);
    caller->ask_count = caller->answered = 0;
    buf_close(&caller->in);
    think(caller);
}

static uint32_t machine_of(const struct caller *caller)
{
    return world_client_machine(caller->callers->world, caller->number);
}

static void on_ready(void *arg, struct sock *sock)
{
    struct caller *caller = arg;
    if (sock_state(sock) == SOCK_OPEN && !caller->is_connected) {
        caller->is_connected = true;
        patience_connect(&caller->patience, &caller->callers->world->hosts[caller->node],
                         machine_of(caller));
        think(caller);
    }
    struct span got = sock_received(sock);
    if (got.len > 0) {
        buf_append(&caller->in, got.data, got.len);
        sock_take(sock, got.len);
        take_answers(caller);
    }
    if (sock_state(sock) == SOCK_ENDED || sock_at_end(sock))
        hang_up(caller);
}

static void connect_somewhere(struct caller *caller)
{
    struct world *world = caller->callers->world;
    caller->node = (uint32_t)below(caller, world->host_count);
    caller->sock = net_dial(&world->net, machine_of(caller), caller->node, NAMES_PORT,
                            (struct sock_owner){on_ready, caller});
    vclock_set(clock_of(caller), &caller->timer, clock_of(caller)->now_us + CONNECT_US);
}

/* A request that was answered with an id some time ago, to be repeated. */
static bool draw_repeat(struct caller *caller, struct ask *ask)
{
    const struct kept *kept = &caller->kept[below(caller, KEPT_MAX)];
    if (!kept->line.data || clock_of(caller)->now_us > kept->op.begun_us + REPEAT_US_MAX)
        return false;
    struct span line = buf_span(&kept->line), value = buf_span(&kept->value);
    *ask = (struct ask){.op = kept->op, .key = kept->key, .has_id = true, .is_repeat = true};
    buf_append(&ask->line, line.data, line.len);
    buf_append(&ask->value, value.data, value.len);
    ask->op.value = buf_span(&ask->value);
    memcpy(ask->first, kept->first, sizeof(ask->first));
    return true;
}

static void send_batch(struct caller *caller)
{
    struct callers *callers = caller->callers;
    uint32_t count = 1 + (uint32_t)(below(caller, 4) == 0 ? below(caller, BATCH_MAX) : 0);
    caller->answered = 0;
    for (caller->ask_count = 0; caller->ask_count < count;) {
        struct ask *ask = &caller->asks[caller->ask_count];
        if (caller->again_count > 0) {
            *ask = caller->again[--caller->again_count];
            callers->retries++;
        } else if (callers->options.ids_of_10 > 0 && below(caller, 12) == 0 &&
                   draw_repeat(caller, ask)) {
            CHECK(ask->is_repeat); /* its first answer is in the history */
        } else if (callers->options.ops == 0 || callers->begun < callers->options.ops) {
            draw_ask(caller, ask);
        } else {
            break;
        }
        ask->sent_us = clock_of(caller)->now_us;
        struct span line = buf_span(&ask->line);
        sock_send(caller->sock, line.data, line.len);
        caller->ask_count++;
    }
    if (caller->ask_count == 0)
        return;
    patience_begin(&caller->patience, &caller->timer);
}

/* An answer has not come by now. */
static void be_late(struct caller *caller)
{
    const struct ask *ask = &caller->asks[caller->answered];
    switch (patience_ring(&caller->patience, &caller->timer, ask->sent_us)) {
    case PATIENCE_LASTS:
        break;
    case PATIENCE_VAIN:
        hang_up(caller);
        break;
    case PATIENCE_ENDS:
        fail(caller, ask, "no answer in time");
        break;
    }
}

static void on_timer(struct vtimer *timer)
{
    struct caller *caller = CONTAINER_OF(timer, struct caller, timer);
    if (caller->ask_count > 0) {
        be_late(caller);
    } else if (caller->callers->is_paused && caller->again_count == 0) {
        return;
    } else if (caller->is_connected) {
        if (below(caller, 20) == 0)
            hang_up(caller);
        else
            send_batch(caller);
    } else if (caller->sock) {
        hang_up(caller);
    } else {
        connect_somewhere(caller);
    }
}

/* --- all of them ------------------------------------------------------------------------------ */

struct callers *callers_open(struct world *world, const struct callers_options *options)
{
    struct callers *callers = calloc(1, sizeof(*callers));
    CHECK(callers != NULL);
    CHECK(world->options.client_count > 0);
    callers->world = world;
    callers->options = *options;
    history_init(&callers->history, options->key_count, options->slot_count,
                 prng_next(&world->prng));
    callers->list = calloc(options->count, sizeof(*callers->list));
    CHECK(callers->list != NULL);
    for (uint32_t i = 0; i < options->count; i++) {
        struct caller *caller = &callers->list[i];
        caller->callers = callers;
        caller->number = i;
        caller->timer.ring = on_timer;
        prng_init(&caller->prng, prng_next(&world->prng));
        think(caller);
    }
    return callers;
}

void callers_pause(struct callers *callers)
{
    callers->is_paused = true;
}

void callers_resume(struct callers *callers)
{
    callers->is_paused = false;
    for (uint32_t i = 0; i < callers->options.count; i++)
        if (!vtimer_is_set(&callers->list[i].timer))
            think(&callers->list[i]);
}

void callers_give_up(struct callers *callers)
{
    for (uint32_t i = 0; i < callers->options.count; i++) {
        struct caller *caller = &callers->list[i];
        if (caller->sock)
            hang_up(caller);
        for (; caller->again_count > 0; caller->again_count--)
            ask_end(caller, &caller->again[caller->again_count - 1], LINEAR_UNKNOWN);
    }
}

void callers_lose(struct callers *callers, uint32_t slot)
{
    history_lose(&callers->history, slot, callers->world->clock.now_us);
    for (uint32_t i = 0; i < callers->options.count; i++) {
        struct caller *caller = &callers->list[i];
        for (uint32_t k = 0; k < KEPT_MAX; k++)
            kept_close(&caller->kept[k]);
        for (uint32_t k = caller->answered; k < caller->ask_count; k++) {
            struct ask *ask = &caller->asks[k];
            bool is_its =
                ask->op.kind == LINEAR_FLUSH || callers->history.keys[ask->key].slot == slot;
            ask->is_lost |= ask->is_repeat && is_its;
        }
    }
}

void callers_close(struct callers *callers)
{
    callers_give_up(callers);
    for (uint32_t i = 0; i < callers->options.count; i++) {
        struct caller *caller = &callers->list[i];
        vclock_stop(&callers->world->clock, &caller->timer);
        buf_close(&caller->in);
        for (uint32_t k = 0; k < KEPT_MAX; k++)
            kept_close(&caller->kept[k]);
    }
    history_close(&callers->history);
    free(callers->list);
    free(callers);
}

uint64_t callers_total(const struct callers *callers, enum linear_outcome outcome)
{
    uint64_t total = 0;
    for (int kind = 0; kind < LINEAR_KINDS; kind++)
        total += callers->ended[kind][outcome];
    return total;
}
