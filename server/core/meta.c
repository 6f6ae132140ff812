#include "server/core/meta.h"

#include "common/base64.h"
#include "common/check.h"
#include "server/core/meta_answer.h"
#include "server/core/value.h"

/* --- mg --- */

/* Composes the answer for an item in unclaimed room, which begins at *start; returns its end. */
static char *get_compose(struct reply *out, const struct executor *executor,
                         const struct request *request, const struct store_item *item,
                         struct meta_shown *shown, char **start)
{
    bool has_value = meta_has_flag(request, 'v');
    *start = meta_room(out, request, has_value ? value_room(item->value) : 0);
    char *to = meta_compose_status(*start, request, item->value.len);
    to = meta_compose_flags(to, executor, request, shown);
    to = meta_compose_end(meta_compose_recache(to, item->marks, shown));
    return has_value ? value_compose(to, item->value) : to;
}

static void get_claim(struct reply *out, const struct request *request, const char *start,
                      const char *end, const struct store_item *item)
{
    if (meta_has_flag(request, 'v'))
        value_claim(out, start, end, item->value);
    else
        reply_advance(out, (size_t)(end - start));
}

static struct meta_shown shown_of(const struct executor *executor, const struct store_item *item)
{
    return (struct meta_shown){.letters = META_SHOWN_ITEM,
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

/* Notes a read. Who is to recache an item is told to one client alone, so that is a write: the
 * other copies have to know it too. Where there is no memory for one it is noted here alone: after
 * a failover a second client may be told. */
static void note_read(struct executor *executor, const struct store_key *key,
                      struct store_item *item, uint8_t marks)
{
    store_note(executor->store, item, marks & STORE_MARK_FETCHED);
    bool has_won = marks & STORE_MARK_WON;
    if (has_won && store_mark(executor->store, key, item->cas, item->marks | marks) != ERR_OK &&
        store_get(executor->store, key, item))
        store_note(executor->store, item, marks);
}

static void get_hit(struct executor *executor, const struct request *request,
                    const struct store_key *key, struct store_item *item, struct reply *out)
{
    struct meta_shown shown = shown_of(executor, item);
    char *start;
    char *end = get_compose(out, executor, request, item, &shown, &start);
    uint8_t marks = shown.has_won ? STORE_MARK_WON : 0;
    if (!meta_has_flag(request, 'u'))
        marks |= STORE_MARK_FETCHED;
    count_hit(executor->stats, meta_has_flag(request, 'T'));
    enum outcome outcome = OUTCOME_DONE;
    if (meta_has_flag(request, 'T'))
        outcome = executor_touch(executor, key, shown.expires_s, marks);
    else if (marks != 0)
        note_read(executor, key, item, marks);
    if (outcome == OUTCOME_DONE)
        get_claim(out, request, start, end, item);
    else
        reply_append(out, outcome_error(outcome));
}

/* N on a miss: an empty item stands in until the winner, this client, stores the real one. */
static bool get_vivify(struct executor *executor, const struct request *request,
                       const struct store_key *key, struct reply *out)
{
    uint8_t fetched = meta_has_flag(request, 'u') ? 0 : STORE_MARK_FETCHED;
    struct store_put put = {.expires_s = meta_expiry_after(executor, request, true, STORE_NEVER),
                            .cas = request->cas_explicit,
                            .marks = STORE_MARK_WON | fetched};
    struct store_item item = {.value = span_of("\r\n", 0), .accessed_s = executor->now_s};
    if (executor_put(executor, key, &put, &item.cas) != OUTCOME_DONE)
        return false;
    struct meta_shown shown = shown_of(executor, &item);
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
    if (meta_has_flag(request, 'N') && get_vivify(executor, request, key, out)) {
        count_hit(executor->stats, meta_has_flag(request, 'T'));
        return;
    }
    executor->stats->cmd_get++;
    executor->stats->get_misses++;
    if (!meta_has_flag(request, 'q'))
        meta_append_bare(out, executor, request, "EN");
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
                            .compares = meta_has_flag(request, 'C'),
                            .may_be_stale = meta_has_flag(request, 'I'),
                            .vivifies = meta_has_flag(request, 'N'),
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
    if (outcome == OUTCOME_DONE && meta_has_flag(request, 'q'))
        return;
    struct meta_shown shown = {
        .letters = META_SHOWN_STORED, .cas = changed.cas, .value_bytes = changed.value_bytes};
    meta_append_line(out, executor, request, status_of(outcome), &shown);
}

/* --- md --- */

/* I and x: the item stays, as stale (I), without its value (x), or both. x takes flags and expiry
 * from the request and keeps cas unique unless I is there too. */
static enum outcome invalidate(struct executor *executor, const struct request *request,
                               const struct store_key *key, const struct store_item *item)
{
    bool turns_stale = meta_has_flag(request, 'I');
    bool drops_value = meta_has_flag(request, 'x');
    uint8_t stale = turns_stale ? STORE_MARK_STALE : 0;
    uint8_t kept = drops_value ? 0 : item->marks & STORE_MARK_FETCHED;
    if (!drops_value && !meta_has_flag(request, 'T'))
        return executor_mark(executor, key, request->cas_explicit, stale | kept);
    uint32_t expires_s = drops_value ? STORE_NEVER : item->expires_s;
    struct store_put put = {.head = drops_value ? span_of("", 0) : item->value,
                            .flags = drops_value ? request->flags : item->flags,
                            .expires_s = meta_expiry_after(executor, request, false, expires_s),
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
    if (!found || (meta_has_flag(request, 'C') && request->cas_compare != item.cas)) {
        executor->stats->delete_misses++;
        meta_append_bare(out, executor, request, found ? "EX" : "NF");
        return;
    }
    if (meta_has_flag(request, 'I') || meta_has_flag(request, 'x')) {
        enum outcome outcome = invalidate(executor, request, key, &item);
        if (outcome != OUTCOME_DONE) {
            reply_append(out, outcome_error(outcome));
            return;
        }
    } else {
        (void)store_delete(executor->store, key);
    }
    if (!meta_has_flag(request, 'I'))
        executor->stats->delete_hits++;
    if (!meta_has_flag(request, 'q'))
        meta_append_bare(out, executor, request, "HD");
}

/* --- ma --- */

/* Appends the answer to an ma that was carried out; number is the item's value, unpadded. */
static void number_answer(struct reply *out, const struct executor *executor,
                          const struct request *request, uint64_t number, struct meta_shown *shown)
{
    char *start = meta_room(out, request, DECIMAL_BYTES_MAX + 2);
    char *to = meta_compose_status(start, request, number_digits(number));
    to = meta_compose_end(meta_compose_flags(to, executor, request, shown));
    if (meta_has_flag(request, 'v'))
        to = meta_compose_end(number_format_decimal(to, number));
    reply_advance(out, (size_t)(to - start));
}

/* N on a miss: the initial value is stored; the delta is not applied. */
static enum outcome arith_vivify(struct executor *executor, const struct request *request,
                                 const struct store_key *key, uint64_t *cas)
{
    char text[DECIMAL_BYTES_MAX];
    const char *end = number_format_decimal(text, request->initial);
    struct store_put put = {.head = span_of(text, (size_t)(end - text)),
                            .expires_s = meta_expiry_after(executor, request, true, STORE_NEVER),
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
    if (!found && !meta_has_flag(request, 'N')) {
        executor_count_arith_miss(executor, arith.decreases);
        meta_append_bare(out, executor, request, "NF");
        return;
    }
    struct meta_shown shown = {.letters = META_SHOWN_ARITH,
                               .expires_s = found ? item.expires_s : STORE_NEVER,
                               .is_created = !found};
    uint64_t number = request->initial;
    enum outcome outcome;
    if (found) {
        uint32_t expires_s = meta_expiry_after(executor, request, false, item.expires_s);
        outcome = executor_arith(executor, key, &item, &arith, expires_s, &number, &shown.cas);
    } else {
        outcome = arith_vivify(executor, request, key, &shown.cas);
    }
    if (outcome >= OUTCOME_NOT_NUMERIC)
        reply_append(out, outcome_error(outcome));
    else if (outcome == OUTCOME_EXISTS)
        meta_append_bare(out, executor, request, "EX");
    else if (!found || !meta_has_flag(request, 'q')) /* what was created is told in spite of q */
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
