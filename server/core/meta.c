#include "server/core/meta.h"

#include "common/base64.h"
#include "common/check.h"
#include "server/core/value.h"

/* Longer than any answer line without its opaque: the status with a length (13), nine flags with a
 * number (22 each), the key in base64 with " k" and " b", W X Z, the line end. */
#define META_LINE_BYTES_MAX (13 + 9 * 22 + 4 + BASE64_BYTES(KEY_BYTES_MAX) + 6 + 2)

/* What an answer's flags tell. */
struct shown {
    uint64_t letters; /* meta_bit of each flag that this answer may carry */
    size_t value_bytes;
    uint64_t cas;
    uint32_t flags;
    uint32_t idle_s;    /* since the last access before this one */
    uint32_t expires_s; /* in: before the request; T and N change it in their turn */
    bool was_fetched;
    bool is_created; /* by this request: N applies */
    bool may_win;    /* nobody has been sent W */
    bool has_won;    /* out: W is to be sent */
};

/* The flags that answers carry: always, of what is stored, of arithmetic, of an item found. */
#define SHOWN_ALWAYS (meta_bit('O') | meta_bit('k'))
#define SHOWN_STORED (SHOWN_ALWAYS | meta_bit('c') | meta_bit('s'))
#define SHOWN_ARITH  (SHOWN_ALWAYS | meta_bit('c') | meta_bit('t'))
#define SHOWN_ITEM   (SHOWN_STORED | SHOWN_ARITH | meta_bit('f') | meta_bit('l') | meta_bit('h'))

static bool has_flag(const struct request *request, char letter)
{
    return (request->meta_seen & meta_bit(letter)) != 0;
}

/* Takes the next flag off the front: its letter, or 0 at the end. Arguments are in the request. */
static char flag_take(struct span *flags)
{
    const char *at = flags->data;
    const char *end = at + flags->len;
    while (at < end && *at == ' ')
        at++;
    char letter = at < end ? *at : '\0';
    while (at < end && *at != ' ')
        at++;
    *flags = span_of(at, (size_t)(end - at));
    return letter;
}

/* The expiry after T and, for an item just created, N: the later flag in the request wins. */
static uint32_t expiry_after(const struct executor *executor, const struct request *request,
                             bool is_created, uint32_t expires_s)
{
    struct span flags = request->meta_flags;
    for (char letter; (letter = flag_take(&flags)) != '\0';) {
        if (letter == 'T')
            expires_s = executor_expiry(executor, request->exptime);
        else if (letter == 'N' && is_created)
            expires_s = executor_expiry(executor, request->vivify_ttl);
    }
    return expires_s;
}

/* " t" and the seconds left; -1 is never. An expiry already past shows 0. */
static char *ttl_compose(char *to, const struct executor *executor, uint32_t expires_s)
{
    memcpy(to, " t", 2);
    to += 2;
    if (expires_s == STORE_NEVER) {
        memcpy(to, "-1", 2);
        return to + 2;
    }
    return number_format_decimal(to, expires_s > executor->now_s ? expires_s - executor->now_s : 0);
}

/* " k" and the key as the client spelled it; a base64 one is marked with " b". */
static char *key_compose(char *to, const struct request *request)
{
    memcpy(to, " k", 2);
    to += 2;
    if (!request->key_base64) {
        memcpy(to, request->key.data, request->key.len);
        return to + request->key.len;
    }
    to += base64_encode(request->key, to);
    memcpy(to, " b", 2);
    return to + 2;
}

static char *flag_number(char *to, char letter, uint64_t number)
{
    to[0] = ' ';
    to[1] = letter;
    return number_format_decimal(to + 2, number);
}

static char *flag_compose(char *to, const struct executor *executor, const struct request *request,
                          char letter, const struct shown *shown)
{
    switch (letter) {
    case 'O':
        memcpy(to, " O", 2);
        memcpy(to + 2, request->opaque.data, request->opaque.len);
        return to + 2 + request->opaque.len;
    case 'k':
        return key_compose(to, request);
    case 't':
        return ttl_compose(to, executor, shown->expires_s);
    case 's':
        return flag_number(to, letter, shown->value_bytes);
    case 'c':
        return flag_number(to, letter, shown->cas);
    case 'f':
        return flag_number(to, letter, shown->flags);
    case 'l':
        return flag_number(to, letter, shown->idle_s);
    default:
        CHECK(letter == 'h');
        return flag_number(to, letter, shown->was_fetched);
    }
}

/* Composes the flags in the request's order; those that change the expiry do so in their turn, as
 * memcached's: "t T30" shows the old time to live, "T30 t" the new one. */
static char *flags_compose(char *to, const struct executor *executor, const struct request *request,
                           struct shown *shown)
{
    struct span flags = request->meta_flags;
    for (char letter; (letter = flag_take(&flags)) != '\0';) {
        CHECK(letter >= 'A'); /* the parser's promise */
        if (shown->letters & meta_bit(letter)) {
            to = flag_compose(to, executor, request, letter, shown);
        } else if (letter == 'T') {
            shown->expires_s = executor_expiry(executor, request->exptime);
        } else if (letter == 'N' && shown->is_created) {
            shown->expires_s = executor_expiry(executor, request->vivify_ttl);
            shown->has_won = true;
        } else if (letter == 'R' && shown->may_win) {
            uint32_t below_s = executor_expiry(executor, request->recache_ttl);
            shown->has_won |= shown->expires_s != STORE_NEVER && shown->expires_s < below_s;
        }
    }
    return to;
}

static char *line_room(struct reply *out, const struct request *request, size_t more_bytes)
{
    return reply_room(out, META_LINE_BYTES_MAX + request->opaque.len + more_bytes);
}

static char *line_end(char *to)
{
    memcpy(to, "\r\n", 2);
    return to + 2;
}

/* Appends a whole line: a two-letter status and the flags it may carry. */
static void line_append(struct reply *out, const struct executor *executor,
                        const struct request *request, const char *status, struct shown *shown)
{
    char *start = line_room(out, request, 0);
    memcpy(start, status, 2);
    char *end = line_end(flags_compose(start + 2, executor, request, shown));
    reply_advance(out, (size_t)(end - start));
}

/* A line that tells nothing of an item: opaque and key go with every status. */
static void bare_line_append(struct reply *out, const struct executor *executor,
                             const struct request *request, const char *status)
{
    struct shown shown = {.letters = SHOWN_ALWAYS};
    line_append(out, executor, request, status, &shown);
}

/* "VA <bytes>" or "HD". */
static char *status_compose(char *to, const struct request *request, size_t value_bytes)
{
    if (!has_flag(request, 'v')) {
        memcpy(to, "HD", 2);
        return to + 2;
    }
    memcpy(to, "VA ", 3);
    return number_format_decimal(to + 3, value_bytes);
}

/* --- mg --- */

/* Z: somebody else has been sent W. X: stale. W: this client is to recache. */
static char *recache_compose(char *to, uint8_t marks, struct shown *shown)
{
    if (marks & STORE_MARK_WON) {
        memcpy(to, " Z", 2);
        to += 2;
    }
    if (marks & STORE_MARK_STALE) {
        memcpy(to, " X", 2);
        to += 2;
        shown->has_won |= shown->may_win;
    }
    if (shown->has_won) {
        memcpy(to, " W", 2);
        to += 2;
    }
    return to;
}

/* Composes the answer for an item in unclaimed room, which begins at *start; returns its end. */
static char *get_compose(struct reply *out, const struct executor *executor,
                         const struct request *request, const struct store_item *item,
                         struct shown *shown, char **start)
{
    bool has_value = has_flag(request, 'v');
    *start = line_room(out, request, has_value ? value_room(item->value) : 0);
    char *to = status_compose(*start, request, item->value.len);
    to = flags_compose(to, executor, request, shown);
    to = line_end(recache_compose(to, item->marks, shown));
    return has_value ? value_compose(to, item->value) : to;
}

static void get_claim(struct reply *out, const struct request *request, const char *start,
                      const char *end, const struct store_item *item)
{
    if (has_flag(request, 'v'))
        value_claim(out, start, end, item->value);
    else
        reply_advance(out, (size_t)(end - start));
}

static struct shown shown_of(const struct executor *executor, const struct store_item *item)
{
    return (struct shown){.letters = SHOWN_ITEM,
                          .value_bytes = item->value.len,
                          .cas = item->cas,
                          .flags = item->flags,
                          .idle_s = executor->now_s - item->accessed_s,
                          .expires_s = item->expires_s,
                          .was_fetched = item->marks & STORE_MARK_FETCHED,
                          .may_win = !(item->marks & STORE_MARK_WON)};
}

static void count_hit(struct stats *stats, bool touches)
{
    if (touches) {
        stats->cmd_touch++;
        stats->touch_hits++;
    } else {
        stats->cmd_get++;
        stats->get_hits++;
    }
}

static void get_hit(struct executor *executor, const struct request *request,
                    const struct store_key *key, struct store_item *item, struct reply *out)
{
    struct shown shown = shown_of(executor, item);
    char *start;
    char *end = get_compose(out, executor, request, item, &shown, &start);
    uint8_t marks = shown.has_won ? STORE_MARK_WON : 0;
    if (!has_flag(request, 'u'))
        marks |= STORE_MARK_FETCHED;
    count_hit(executor->stats, has_flag(request, 'T'));
    enum outcome outcome = OUTCOME_DONE;
    if (has_flag(request, 'T'))
        outcome = executor_touch(executor, key, shown.expires_s, marks);
    else if (marks != 0)
        store_note(executor->store, item, marks);
    if (outcome == OUTCOME_DONE)
        get_claim(out, request, start, end, item);
    else
        reply_append(out, outcome_error(outcome));
}

/* N on a miss: an empty item stands in until the winner, this client, stores the real one. */
static bool get_vivify(struct executor *executor, const struct request *request,
                       const struct store_key *key, struct reply *out)
{
    uint8_t fetched = has_flag(request, 'u') ? 0 : STORE_MARK_FETCHED;
    struct store_put put = {.expires_s = expiry_after(executor, request, true, STORE_NEVER),
                            .cas = request->cas_explicit,
                            .marks = STORE_MARK_WON | fetched};
    struct store_item item = {.value = span_of("\r\n", 0), .accessed_s = executor->now_s};
    if (executor_put(executor, key, &put, &item.cas) != OUTCOME_DONE)
        return false;
    struct shown shown = shown_of(executor, &item);
    shown.is_created = true;
    char *start;
    char *end = get_compose(out, executor, request, &item, &shown, &start);
    get_claim(out, request, start, end, &item);
    return true;
}

static void get_execute(struct executor *executor, const struct request *request,
                        const struct store_key *key, struct reply *out)
{
    struct store_item item;
    if (store_get(executor->store, key, &item)) {
        get_hit(executor, request, key, &item, out);
        return;
    }
    if (has_flag(request, 'N') && get_vivify(executor, request, key, out)) {
        count_hit(executor->stats, has_flag(request, 'T'));
        return;
    }
    executor->stats->cmd_get++;
    executor->stats->get_misses++;
    if (!has_flag(request, 'q'))
        bare_line_append(out, executor, request, "EN");
}

/* --- ms --- */

static enum change_mode mode_of(char mode)
{
    switch (mode) {
    case 'E':
        return CHANGE_ADD;
    case 'A':
        return CHANGE_APPEND;
    case 'P':
        return CHANGE_PREPEND;
    case 'R':
        return CHANGE_REPLACE;
    default:
        CHECK(mode == 'S' || mode == 0);
        return CHANGE_SET;
    }
}

static const char *status_of(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_NOT_STORED:
        return "NS";
    case OUTCOME_EXISTS:
        return "EX";
    case OUTCOME_NOT_FOUND:
        return "NF";
    default:
        CHECK(outcome == OUTCOME_DONE);
        return "HD";
    }
}

static void set_execute(struct executor *executor, const struct request *request,
                        const struct store_key *key, struct reply *out)
{
    if (request->too_large) { /* whatever the mode: unlike add and its like, memcached's rule */
        executor->stats->store_too_large++;
        (void)store_delete(executor->store, key);
        reply_append(out, outcome_error(OUTCOME_TOO_LARGE));
        return;
    }
    struct change change = {.mode = mode_of(request->mode),
                            .compares = has_flag(request, 'C'),
                            .may_be_stale = has_flag(request, 'I'),
                            .vivifies = has_flag(request, 'N'),
                            .value = request->value,
                            .flags = request->flags,
                            .expires_s = executor_expiry(executor, request->exptime),
                            .vivify_expires_s = executor_expiry(executor, request->vivify_ttl),
                            .cas_compare = request->cas_compare,
                            .cas = request->cas_explicit};
    struct changed changed;
    executor->stats->cmd_set++;
    enum outcome outcome = executor_store(executor, key, &change, &changed);
    if (outcome >= OUTCOME_NOT_NUMERIC) {
        reply_append(out, outcome_error(outcome));
        return;
    }
    if (outcome == OUTCOME_DONE && has_flag(request, 'q'))
        return;
    struct shown shown = {
        .letters = SHOWN_STORED, .cas = changed.cas, .value_bytes = changed.value_bytes};
    line_append(out, executor, request, status_of(outcome), &shown);
}

/* --- md --- */

/* I and x: the item stays, as stale (I), without its value (x), or both. x takes flags and expiry
 * from the request and keeps cas unique unless I is there too. */
static enum outcome invalidate(struct executor *executor, const struct request *request,
                               const struct store_key *key, const struct store_item *item)
{
    bool turns_stale = has_flag(request, 'I');
    bool drops_value = has_flag(request, 'x');
    uint8_t stale = turns_stale ? STORE_MARK_STALE : 0;
    uint8_t kept = drops_value ? 0 : item->marks & STORE_MARK_FETCHED;
    if (!drops_value && !has_flag(request, 'T'))
        return executor_mark(executor, key, request->cas_explicit, stale | kept);
    uint32_t expires_s = drops_value ? STORE_NEVER : item->expires_s;
    struct store_put put = {.head = drops_value ? span_of("", 0) : item->value,
                            .flags = drops_value ? request->flags : item->flags,
                            .expires_s = expiry_after(executor, request, false, expires_s),
                            .cas = request->cas_explicit,
                            .marks = stale | kept};
    if (put.cas == 0 && !turns_stale)
        put.cas = item->cas;
    return executor_put(executor, key, &put, NULL);
}

static void delete_execute(struct executor *executor, const struct request *request,
                           const struct store_key *key, struct reply *out)
{
    struct store_item item;
    bool found = store_get(executor->store, key, &item);
    if (!found || (has_flag(request, 'C') && request->cas_compare != item.cas)) {
        executor->stats->delete_misses++;
        bare_line_append(out, executor, request, found ? "EX" : "NF");
        return;
    }
    if (has_flag(request, 'I') || has_flag(request, 'x')) {
        enum outcome outcome = invalidate(executor, request, key, &item);
        if (outcome != OUTCOME_DONE) {
            reply_append(out, outcome_error(outcome));
            return;
        }
    } else {
        (void)store_delete(executor->store, key);
    }
    if (!has_flag(request, 'I'))
        executor->stats->delete_hits++;
    if (!has_flag(request, 'q'))
        bare_line_append(out, executor, request, "HD");
}

/* --- ma --- */

/* Appends the answer to an ma that was carried out; number is the item's value, unpadded. */
static void number_answer(struct reply *out, const struct executor *executor,
                          const struct request *request, uint64_t number, struct shown *shown)
{
    char *start = line_room(out, request, DECIMAL_BYTES_MAX + 2);
    char *to = status_compose(start, request, number_digits(number));
    to = line_end(flags_compose(to, executor, request, shown));
    if (has_flag(request, 'v'))
        to = line_end(number_format_decimal(to, number));
    reply_advance(out, (size_t)(to - start));
}

/* N on a miss: the initial value is stored; the delta is not applied. */
static enum outcome arith_vivify(struct executor *executor, const struct request *request,
                                 const struct store_key *key, uint64_t *cas)
{
    char text[DECIMAL_BYTES_MAX];
    const char *end = number_format_decimal(text, request->initial);
    struct store_put put = {.head = span_of(text, (size_t)(end - text)),
                            .expires_s = expiry_after(executor, request, true, STORE_NEVER),
                            .cas = request->cas_explicit};
    return executor_put(executor, key, &put, cas);
}

static void arith_execute(struct executor *executor, const struct request *request,
                          const struct store_key *key, struct reply *out)
{
    struct arith arith = {.decreases = request->mode == 'D',
                          .delta = request->delta,
                          .cas_compare = request->cas_compare,
                          .cas = request->cas_explicit};
    struct store_item item;
    bool found = store_get(executor->store, key, &item);
    if (!found && !has_flag(request, 'N')) {
        executor_count_arith_miss(executor, arith.decreases);
        bare_line_append(out, executor, request, "NF");
        return;
    }
    struct shown shown = {.letters = SHOWN_ARITH,
                          .expires_s = found ? item.expires_s : STORE_NEVER,
                          .is_created = !found};
    uint64_t number = request->initial;
    enum outcome outcome;
    if (found) {
        uint32_t expires_s = expiry_after(executor, request, false, item.expires_s);
        outcome = executor_arith(executor, key, &item, &arith, expires_s, &number, &shown.cas);
    } else {
        outcome = arith_vivify(executor, request, key, &shown.cas);
    }
    if (outcome >= OUTCOME_NOT_NUMERIC)
        reply_append(out, outcome_error(outcome));
    else if (outcome == OUTCOME_EXISTS)
        bare_line_append(out, executor, request, "EX");
    else if (!found || !has_flag(request, 'q')) /* what was created is told in spite of q */
        number_answer(out, executor, request, number, &shown);
}

/* --- me --- */

/* For people: what is known of an item, without counting as an access. There are no slab classes:
 * cls is always 1. exp is memcached's: negative seconds left, -1 for never. */
static void debug_execute(struct executor *executor, const struct request *request,
                          const struct store_key *key, struct reply *out)
{
    struct store_item item;
    executor->stats->cmd_meta++;
    if (!store_get(executor->store, key, &item)) {
        reply_append(out, SPAN_LITERAL("EN\r\n"));
        return;
    }
    char text[BASE64_BYTES(KEY_BYTES_MAX)];
    struct span name = request->key;
    if (request->key_base64)
        name = span_of(text, base64_encode(request->key, text));
    long long left_s =
        item.expires_s == STORE_NEVER ? 1 : (long long)item.expires_s - executor->now_s;
    reply_printf(out, "ME %.*s exp=%lld la=%u cas=%llu fetch=%s cls=1 size=%u\r\n", (int)name.len,
                 name.data, -left_s, executor->now_s - item.accessed_s,
                 (unsigned long long)item.cas, item.marks & STORE_MARK_FETCHED ? "yes" : "no",
                 item.item_bytes);
}

void meta_execute(struct executor *executor, const struct request *request,
                  const struct store_key *key, struct reply *out)
{
    switch (request->command) {
    case CMD_META_GET:
        get_execute(executor, request, key, out);
        return;
    case CMD_META_SET:
        set_execute(executor, request, key, out);
        return;
    case CMD_META_DELETE:
        delete_execute(executor, request, key, out);
        return;
    case CMD_META_ARITH:
        arith_execute(executor, request, key, out);
        return;
    default:
        CHECK(request->command == CMD_META_DEBUG);
        debug_execute(executor, request, key, out);
    }
}
