/* The answers of a run: taken from where they come, judged, told in turn. */
#include "client/dht_run_parts.h"
#include "common/check.h"

#include <stdio.h>

/* ---- answers ---- */

static void copy_text(char *to, size_t size, struct span text)
{
    CHECK(text.len < size);
    if (text.len)
        memcpy(to, text.data, text.len);
    to[text.len] = '\0';
}

/* What an answer means: that a repetition was not done, or could not be, says nothing of what was
 * asked before it. */
static enum dht_result result_of_answer(const struct slip *slip, enum answer_kind kind)
{
    enum dht_result result = answer_result(kind);
    bool is_refusal = result == DHT_NOT_DONE || result == DHT_SERVER_ERROR || kind == ANSWER_ERROR;
    return is_refusal ? run_result_of_failure(slip, result) : result;
}

/* Translates an answer to the operation whose turn it is and hands it to the caller. */
static void hear_answer(struct run *run, const struct answer *from)
{
    struct dht *dht = run->dht;
    const struct dht_op *op = &run->ops[run->turn];
    struct dht_answer answer = {.result = result_of_answer(&run->slips[run->turn], from->kind),
                                .text = dht->text,
                                .server = run_asked_name(run),
                                .is_direct = run->slips[run->turn].is_direct,
                                .cas = from->cas,
                                .ttl_s = from->ttl_s,
                                .flags = from->flags};
    copy_text(dht->text, sizeof(dht->text), answer_text(from, op));
    if (from->kind == ANSWER_META_DATA || from->kind == ANSWER_MEMBERSHIP ||
        from->kind == ANSWER_REPORT) {
        answer.value = from->value.data;
        answer.value_bytes = from->value.len;
        answer.number = from->number;
    }
    if (from->kind != ANSWER_STAT) {
        run_tell(run, &answer);
        return;
    }
    copy_text(dht->name, sizeof(dht->name), from->name);
    answer.name = dht->name;
    run->heard_part = true;
    run->deadline_ms = wire_clock_ms() + dht->timeout_ms;
    run->hear(run->arg, op, &answer);
}

/* Whether another operation of the queue behind is about the same key. */
static bool has_same_key_behind(const struct run *run, uint32_t index)
{
    const char *key = run->ops[index].key;
    for (uint32_t at = run->slips[index].after; at != SLIP_NONE; at = run->slips[at].after)
        if (key && op_has_key(&run->ops[at]) && strcmp(run->ops[at].key, key) == 0)
            return true;
    return false;
}

/* How many servers to ask before "not done" is heard. A node of a ring has tried all it could, but
 * another may know more; others are on their own. */
static size_t not_done_tries(const struct dht *dht)
{
    return dht->ring.place && dht->server_count > 2 ? 2 : dht->server_count;
}

/* Whether the operation just refused is to be tried again rather than heard: what is in flight
 * behind it can be repeated too, and for "not done" there is another server to ask. */
static bool is_worth_another_try(const struct run *run, const struct server *server, uint32_t index,
                                 enum answer_kind kind)
{
    if (index != run->turn || run->heard_part || run_has_write(run, run->slips[index].after))
        return false;
    if (kind == ANSWER_NOT_DONE)
        return server->count == 1 && run->tries + 1 < not_done_tries(run->dht);
    return kind == ANSWER_BUSY && !has_same_key_behind(run, index);
}

/* Whether an operation's outcome is still open after this answer, and can be asked for again: it
 * carries an id, and what was asked behind it on its key has not overtaken it. */
static bool is_to_be_settled(const struct run *run, uint32_t index, enum answer_kind kind)
{
    const struct slip *slip = &run->slips[index];
    bool is_open = kind == ANSWER_OUTCOME_UNKNOWN ||
                   (slip->is_unsettled && (kind == ANSWER_NOT_DONE || kind == ANSWER_BUSY));
    return is_open && slip->has_id && !has_same_key_behind(run, index);
}

/* The second time at once, of another server; then after a pause. */
static void settle_later(struct run *run, struct server *server, uint32_t index)
{
    struct slip *slip = &run->slips[index];
    slip->is_unsettled = true;
    slip->doubted = server;
    if (slip->attempt > 1)
        run->settle_ms = wire_clock_ms() + SETTLE_PAUSE_MS;
    run_ask_again(run, index);
}

/* Takes one answer to an operation that was asked of server. bytes: all of it, as received. */
static void take_answer(struct run *run, struct server *server, uint32_t index,
                        struct answer *answer, struct span bytes)
{
    const struct dht_op *op = &run->ops[index];
    if (!answer_fits(op, answer)) {
        run_server_failed(run, server, DHT_CANNOT_CONNECT, "an answer to something else came");
        return;
    }
    if (is_to_be_settled(run, index, answer->kind)) {
        copy_text(run->dht->text, sizeof(run->dht->text), answer_text(answer, op));
        settle_later(run, server, index);
        return;
    }
    if (is_worth_another_try(run, server, index, answer->kind)) {
        run_ask_again(run, index); /* it was not done: nothing of it is in flight */
        copy_text(run->dht->text, sizeof(run->dht->text), answer_text(answer, op));
        if (answer->kind == ANSWER_BUSY)
            run_server_busy(run, server, answer->number);
        else
            run_server_failed(run, server, DHT_NOT_DONE, NULL);
        return;
    }
    if (answer->kind != ANSWER_STAT)
        (void)run_unask(run, index);
    bool is_refused = answer->kind == ANSWER_ERROR || answer->kind == ANSWER_CLIENT_ERROR;
    if (index == run->turn)
        hear_answer(run, answer);
    else
        run_slip_keep(&run->slips[index], SLIP_ANSWERED, bytes.data, bytes.len);
    /* A value whose line was refused might be read as commands. */
    if (op_has_value(op) && is_refused)
        run_drop_wire(run, server, run_is_lost_with(run, server), DHT_NOT_DONE);
}

/* Which operation an answer is to: what waits longest, or what its opaque says. One that is not to
 * this run's, or was answered before, is to none. */
static uint32_t index_of(const struct run *run, const struct server *server, struct answer *answer)
{
    unsigned attempt;
    if (!server->is_via)
        return server->first;
    uint32_t index = via_index(run->dht->via, answer, &attempt);
    if (index == SLIP_NONE) {
        index = server->first; /* what has no key keeps its order */
        while (index != SLIP_NONE && op_has_key(&run->ops[index]))
            index = run->slips[index].after;
        return index;
    }
    bool is_asked = index < run->op_count && run->slips[index].state == SLIP_ASKED &&
                    run_attempt_of(run, index) == attempt;
    return is_asked ? index : SLIP_NONE;
}

enum taken { TAKEN_NONE, TAKEN_ONE, TAKEN_BAD };

/* Whether an answer of which only the line is there is one that nobody asked for, and too long to
 * be waited for all the same. */
static bool is_strangers(const struct run *run, struct answer *answer, size_t need)
{
    unsigned attempt;
    return need > VIA_STRANGER_BYTES_MAX && via_index(run->dht->via, answer, &attempt) >= VIA_STRAY;
}

/* Takes one answer from the front of what has come from source: a server, or, is_brought, a node
 * that brings answers to what another was asked. */
static enum taken take_next(struct run *run, struct server *source, bool is_brought)
{
    struct answer answer;
    size_t need;
    server_let_go(source);
    struct span bytes = buf_span(&source->wire.in);
    switch (answer_parse(bytes.data, bytes.len, DHT_VALUE_BYTES_MAX, &answer, &source->held_bytes,
                         &need)) {
    case ANSWER_MORE:
        return is_brought && is_strangers(run, &answer, need) ? TAKEN_BAD : TAKEN_NONE;
    case ANSWER_BAD:
        return TAKEN_BAD;
    case ANSWER_DONE:
        break;
    }
    bytes.len = source->held_bytes;
    if (answer.kind == ANSWER_RING) {
        choice_ring_heard(run->dht, source, answer.number);
        return TAKEN_ONE;
    }
    uint32_t index = index_of(run, source, &answer);
    if (index != SLIP_NONE) {
        run->slips[index].is_direct = run->slips[index].server != source;
        take_answer(run, run->slips[index].server, index, &answer, bytes);
    } else if (!source->is_via) {
        return TAKEN_BAD;
    }
    return TAKEN_ONE;
}

void run_take_answers(struct run *run, struct server *server, bool wants_all)
{
    while (server->count > 0 && server->wire.fd >= 0) {
        bool is_ordered = !server->is_via;
        if (!wants_all && is_ordered && run->slips[run->turn].server != server)
            return;
        switch (take_next(run, server, false)) {
        case TAKEN_ONE:
            break;
        case TAKEN_NONE:
            return;
        case TAKEN_BAD:
            run_server_failed(run, server, DHT_CANNOT_CONNECT, "a malformed answer came");
            return;
        }
    }
}

/* Tells what was kept for its turn. */
static void tell_kept(struct run *run, struct slip *slip)
{
    struct dht *dht = run->dht;
    if (slip->state == SLIP_FAILED) {
        snprintf(dht->text, sizeof(dht->text), "%s", slip->kept);
        run_tell_failure(run, slip->result);
        return;
    }
    struct answer answer;
    size_t consumed, need;
    unsigned attempt;
    CHECK(answer_parse(slip->kept, slip->kept_bytes, DHT_VALUE_BYTES_MAX, &answer, &consumed,
                       &need) == ANSWER_DONE);
    if (dht->via)
        (void)via_index(dht->via, &answer, &attempt); /* frees an error's text of it */
    CHECK(answer_fits(&run->ops[run->turn], &answer));
    hear_answer(run, &answer);
}

void run_advance(struct run *run)
{
    while (run->turn < run->op_count) {
        size_t turn = run->turn;
        struct slip *slip = &run->slips[turn];
        if (slip->state == SLIP_ANSWERED || slip->state == SLIP_FAILED)
            tell_kept(run, slip);
        else if (slip->state == SLIP_ASKED)
            run_take_answers(run, slip->server, false);
        if (run->turn == turn)
            return;
    }
}

/* ---- answers brought by other nodes ---- */

/* A node's connection has ended: what was to come on it does not any more. Reads are asked again,
 * and what carries an id; of other writes the entry node may still tell, or nobody. */
static void ask_brought_again(struct run *run)
{
    struct server *entry = run->dht->entry;
    for (uint32_t index = entry->first; index != SLIP_NONE;) {
        uint32_t next = run->slips[index].after;
        const struct dht_op *op = &run->ops[index];
        const struct slip *slip = &run->slips[index];
        bool is_repeatable = slip->has_id || !op_is_write(op);
        if (op_has_key(op) && is_repeatable && slip->has_left && slip->attempt < VIA_ATTEMPTS_MAX)
            run_ask_lost_again(run, index);
        index = next;
    }
}

void run_take_brought(struct run *run, bool has_ended)
{
    struct via *via = run->dht->via;
    for (size_t i = 0; i < via->count; i++) {
        struct server *node = via->connections[i];
        enum taken taken = TAKEN_NONE;
        while (run->in_flight > 0 && (taken = take_next(run, node, true)) == TAKEN_ONE)
            via->answer_count++;
        if (taken == TAKEN_BAD) {
            server_hang_up(node);
            has_ended = true;
        }
    }
    if (has_ended && run->in_flight > 0) {
        via_forget_ended(via);
        ask_brought_again(run);
    }
}
