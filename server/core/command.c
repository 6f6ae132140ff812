#include "server/core/command.h"

#include "common/check.h"
#include "server/core/meta.h"
#include "server/core/value.h"

/* "VALUE " key " " flags " " bytes " " cas "\r\n", without the key. */
#define VALUE_LINE_BYTES_MAX (6 + 1 + 10 + 1 + 10 + 1 + DECIMAL_BYTES_MAX + 2)

static char *number_after_space(char *to, uint64_t number)
{
    *to++ = ' ';
    return number_format_decimal(to, number);
}

static char *value_line(char *to, struct span key, const struct store_item *item, bool shows_cas)
{
    memcpy(to, "VALUE ", 6);
    memcpy(to + 6, key.data, key.len);
    to = number_after_space(to + 6 + key.len, item->flags);
    to = number_after_space(to, item->value.len);
    if (shows_cas)
        to = number_after_space(to, item->cas);
    memcpy(to, "\r\n", 2);
    return to + 2;
}

/* Composes a VALUE block in unclaimed room, which begins at *start; returns its end. */
static char *value_block(struct reply *out, struct span key, const struct store_item *item,
                         bool shows_cas, char **start)
{
    *start = reply_room(out, VALUE_LINE_BYTES_MAX + key.len + value_room(item->value));
    return value_compose(value_line(*start, key, item, shows_cas), item->value);
}

static void get_execute(struct executor *executor, const struct store_key *key, bool shows_cas,
                        struct reply *out)
{
    struct store_item item;
    executor->stats->cmd_get++;
    if (!store_get(executor->store, key, &item)) {
        executor->stats->get_misses++;
        return;
    }
    executor->stats->get_hits++;
    char *start;
    char *end = value_block(out, key->bytes, &item, shows_cas, &start);
    value_claim(out, start, end, item.value);
    store_note(executor->store, &item, STORE_MARK_FETCHED);
}

static struct span outcome_answer(enum outcome outcome)
{
    switch (outcome) {
    case OUTCOME_DONE:
        return SPAN_LITERAL("STORED\r\n");
    case OUTCOME_NOT_STORED:
        return SPAN_LITERAL("NOT_STORED\r\n");
    case OUTCOME_EXISTS:
        return SPAN_LITERAL("EXISTS\r\n");
    case OUTCOME_NOT_FOUND:
        return SPAN_LITERAL("NOT_FOUND\r\n");
    default:
        return outcome_error(outcome);
    }
}

/* gat and gats. A time already past gives the value once, for the last time. */
static void get_and_touch_execute(struct executor *executor, const struct request *request,
                                  const struct store_key *key, bool shows_cas, struct reply *out)
{
    struct store_item item;
    executor->stats->cmd_touch++;
    if (!store_get(executor->store, key, &item)) {
        executor->stats->touch_misses++;
        return;
    }
    executor->stats->touch_hits++;
    char *start;
    char *end = value_block(out, key->bytes, &item, shows_cas, &start);
    uint32_t expires_s = executor_expiry(executor, request->exptime);
    enum outcome outcome = executor_touch(executor, key, expires_s, STORE_MARK_FETCHED);
    if (outcome == OUTCOME_DONE)
        value_claim(out, start, end, item.value);
    else
        reply_append(out, outcome_error(outcome));
}

static void answer(struct reply *out, const struct request *request, struct span text)
{
    if (!request->noreply)
        reply_append(out, text);
}

static void touch_execute(struct executor *executor, const struct request *request,
                          const struct store_key *key, struct reply *out)
{
    uint32_t expires_s = executor_expiry(executor, request->exptime);
    enum outcome outcome = executor_touch(executor, key, expires_s, STORE_MARK_FETCHED);
    executor->stats->cmd_touch++;
    if (outcome == OUTCOME_NOT_FOUND)
        executor->stats->touch_misses++;
    else
        executor->stats->touch_hits++;
    answer(out, request,
           outcome == OUTCOME_DONE ? SPAN_LITERAL("TOUCHED\r\n") : outcome_answer(outcome));
}

/* memcached's rule: what was to be replaced by something too large must not be read on. */
static void too_large_execute(struct executor *executor, const struct request *request,
                              const struct store_key *key, struct reply *out)
{
    executor->stats->store_too_large++;
    if (request->command == CMD_SET)
        (void)store_delete(executor->store, key);
    answer(out, request, outcome_error(OUTCOME_TOO_LARGE));
}

static void store_execute(struct executor *executor, const struct request *request,
                          const struct store_key *key, enum change_mode mode, struct reply *out)
{
    if (request->too_large) {
        too_large_execute(executor, request, key, out);
        return;
    }
    struct change change = {.mode = mode,
                            .compares = request->command == CMD_CAS,
                            .value = request->value,
                            .flags = request->flags,
                            .expires_s = executor_expiry(executor, request->exptime),
                            .cas_compare = request->number};
    struct changed changed;
    executor->stats->cmd_set++;
    enum outcome outcome = executor_store(executor, key, &change, &changed);
    answer(out, request, outcome_answer(outcome));
}

/* As store_execute, of a plain set, the commonest: nothing is compared, so nothing is looked up. */
static void set_execute(struct executor *executor, const struct request *request,
                        const struct store_key *key, struct reply *out)
{
    if (UNLIKELY(request->too_large)) {
        too_large_execute(executor, request, key, out);
        return;
    }
    struct store_put put = {.head = request->value,
                            .flags = request->flags,
                            .expires_s = executor_expiry(executor, request->exptime)};
    executor->stats->cmd_set++;
    enum outcome outcome = executor_put(executor, key, &put, NULL);
    answer(out, request, outcome_answer(outcome));
}

static void delete_execute(struct executor *executor, const struct request *request,
                           const struct store_key *key, struct reply *out)
{
    if (store_delete(executor->store, key)) {
        executor->stats->delete_hits++;
        answer(out, request, SPAN_LITERAL("DELETED\r\n"));
    } else {
        executor->stats->delete_misses++;
        answer(out, request, SPAN_LITERAL("NOT_FOUND\r\n"));
    }
}

static void arith_execute(struct executor *executor, const struct request *request,
                          const struct store_key *key, struct reply *out)
{
    struct arith arith = {.decreases = request->command == CMD_DECR, .delta = request->number};
    struct store_item item;
    if (!store_get(executor->store, key, &item)) {
        executor_count_arith_miss(executor, arith.decreases);
        answer(out, request, outcome_answer(OUTCOME_NOT_FOUND));
        return;
    }
    uint64_t number;
    uint64_t cas;
    enum outcome outcome =
        executor_arith(executor, key, &item, &arith, item.expires_s, &number, &cas);
    if (outcome != OUTCOME_DONE) {
        answer(out, request, outcome_answer(outcome));
        return;
    }
    char text[DECIMAL_BYTES_MAX + 2];
    char *end = number_format_decimal(text, number);
    memcpy(end, "\r\n", 2);
    answer(out, request, span_of(text, (size_t)(end + 2 - text)));
}

void command_execute(struct executor *executor, const struct request *request,
                     const struct store_key *key, struct reply *out)
{
    CHECK(key->bytes.len >= 1);
    CHECK(key->bytes.len <= KEY_BYTES_MAX);
    switch (request->command) {
    case CMD_GET:
    case CMD_GETS:
        get_execute(executor, key, request->command == CMD_GETS, out);
        return;
    case CMD_GAT:
    case CMD_GATS:
        get_and_touch_execute(executor, request, key, request->command == CMD_GATS, out);
        return;
    case CMD_SET:
        set_execute(executor, request, key, out);
        return;
    case CMD_CAS:
        store_execute(executor, request, key, CHANGE_SET, out);
        return;
    case CMD_ADD:
        store_execute(executor, request, key, CHANGE_ADD, out);
        return;
    case CMD_REPLACE:
        store_execute(executor, request, key, CHANGE_REPLACE, out);
        return;
    case CMD_APPEND:
        store_execute(executor, request, key, CHANGE_APPEND, out);
        return;
    case CMD_PREPEND:
        store_execute(executor, request, key, CHANGE_PREPEND, out);
        return;
    case CMD_DELETE:
        delete_execute(executor, request, key, out);
        return;
    case CMD_INCR:
    case CMD_DECR:
        arith_execute(executor, request, key, out);
        return;
    case CMD_TOUCH:
        touch_execute(executor, request, key, out);
        return;
    default:
        CHECK(command_has_key(request->command));
        meta_execute(executor, request, key, out);
    }
}

uint32_t command_flush_delay(struct executor *executor, const struct request *request)
{
    uint32_t fires_s = request->has_delay ? executor_expiry(executor, request->exptime) : 0;
    executor->stats->cmd_flush++;
    return fires_s > executor->now_s ? fires_s - executor->now_s : 0;
}
