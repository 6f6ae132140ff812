#include "client/dht_run.h"

#include "client/dht_choice.h"
#include "common/check.h"
#include "common/number.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define OUT_BYTES_ENOUGH (64u * 1024)   /* more requests are made when less waits to be sent */
#define IN_BYTES_ENOUGH  (1024u * 1024) /* not yet answers' turn: the others wait in the network */
#define SLIPS_AT_HAND    4u
#define LEARN_WAIT_MS    100u /* the longest that what is in flight delays a look at the ring */
#define SETTLE_PAUSE_MS  50u  /* before a write of unknown outcome is asked for a third time, … */
#define ID_BYTES_MAX     (2 * HEX64_DIGITS + 1)

/* The answers of dht_run's operations being fetched.
 *
 * Each operation has a slip, which says where it stands. Answers are told in the operations' order:
 * the turn is that of the first one not told. One that comes early is kept in its slip. */
struct run {
    struct dht *dht;
    const struct dht_op *ops;
    size_t op_count;
    struct slip *slips; /* owned unless at_hand */
    struct slip at_hand[SLIPS_AT_HAND];
    size_t turn;       /* operations before it have been told */
    size_t cursor;     /* no operation before it is WAITING */
    size_t in_flight;  /* slips that are ASKED */
    bool is_held;      /* one in flight is to be overtaken by nobody */
    bool heard_part;   /* the answer whose turn it is has begun: stats */
    size_t tries;      /* servers that failed since the last answer, but leaders not reached */
    uint64_t pause_ms; /* the shortest that a busy one of them asked for; 0: none did */
    enum dht_result failure; /* how the last of them failed; dht->text says it for people */
    uint64_t deadline_ms;
    uint64_t doubt_ms;       /* when a server that has said nothing is passed by */
    uint64_t settle_ms;      /* unsettled writes are not asked again before */
    uint64_t first_id;       /* number of the first operation's request id */
    int64_t now_s;           /* Unix time of its beginning */
    uint64_t learn_until_ms; /* requests wait for what is in flight, to learn the ring; 0: not */
    enum dht_result first_bad;
    struct pollfd *fds;     /* owned; scratch */
    struct server **polled; /* owned; scratch: whose fds they are */
    size_t fds_capacity;
    dht_answer_fn *hear;
    void *arg;
};

/* The answer of the turn is to come by then. */
static void turn_begin(struct run *run)
{
    uint64_t now_ms = wire_clock_ms();
    run->deadline_ms = now_ms + run->dht->timeout_ms;
    run->doubt_ms = now_ms + run->dht->timeout_ms / 2;
}

/* ---- answers given to the caller ---- */

static void tell(struct run *run, const struct dht_answer *answer)
{
    const struct dht_op *op = &run->ops[run->turn];
    if (run->first_bad == DHT_OK)
        run->first_bad = answer->result;
    run->slips[run->turn].state = SLIP_TOLD;
    run->turn++;
    if (run->cursor < run->turn)
        run->cursor = run->turn;
    run->heard_part = false;
    run->tries = 0;
    run->pause_ms = 0;
    turn_begin(run);
    run->hear(run->arg, op, answer);
}

/* Who was asked last for the operation whose turn it is; NULL: nobody. */
static const char *asked_name(const struct run *run)
{
    const struct server *asked = run->slips[run->turn].asked;
    return asked ? asked->name : NULL;
}

/* Answers the operation whose turn it is with a failure; dht->text says why. */
static void tell_failure(struct run *run, enum dht_result result)
{
    tell(run,
         &(struct dht_answer){
             .result = result, .text = run->dht->text, .server = asked_name(run), .ttl_s = -1});
}

static void slip_keep(struct slip *slip, enum slip_state state, const char *bytes, size_t len)
{
    slip->state = state;
    slip->kept = malloc(len + 1);
    CHECK(slip->kept != NULL);
    memcpy(slip->kept, bytes, len);
    slip->kept[len] = '\0';
    slip->kept_bytes = len;
}

/* Takes an operation that was asked out of its server's queue, to be asked again or told. */
static struct slip *unask(struct run *run, uint32_t index)
{
    struct slip *slip = &run->slips[index];
    server_remove(slip->server, run->slips, index);
    run->in_flight--;
    if (!op_has_key(&run->ops[index]))
        run->is_held = false;
    return slip;
}

/* It will be told at its turn that it failed, with what dht->text says now. */
static void fail_later(struct run *run, uint32_t index, enum dht_result result)
{
    struct slip *slip = unask(run, index);
    slip->result = result;
    slip_keep(slip, SLIP_FAILED, run->dht->text, strlen(run->dht->text));
}

/* It was not done: as if it had not been asked. */
static void ask_again(struct run *run, uint32_t index)
{
    unask(run, index)->state = SLIP_WAITING;
    if (index < run->cursor)
        run->cursor = index;
}

/* What was asked has no answer and will have none: it is asked again, a write under its id. */
static void ask_lost_again(struct run *run, uint32_t index)
{
    struct slip *slip = &run->slips[index];
    CHECK(!slip->has_left || slip->has_id || !op_is_write(&run->ops[index]));
    slip->is_unsettled |= slip->has_left && slip->has_id;
    ask_again(run, index);
}

/* How an operation ends for which nobody had an answer. */
static enum dht_result result_of_failure(const struct slip *slip, enum dht_result failure)
{
    return slip->is_unsettled ? DHT_OUTCOME_UNKNOWN : failure;
}

/* ---- servers that fail ---- */

/* Whether a write of the server's queue, from slip index on, may have left that can't be repeated.
 */
static bool has_write(const struct run *run, uint32_t index)
{
    for (; index != SLIP_NONE; index = run->slips[index].after) {
        const struct slip *slip = &run->slips[index];
        if (slip->has_left && !slip->has_id && op_is_write(&run->ops[index]))
            return true;
    }
    return false;
}

static bool has_left_any(const struct run *run, const struct server *server)
{
    for (uint32_t index = server->first; index != SLIP_NONE; index = run->slips[index].after)
        if (run->slips[index].has_left)
            return true;
    return false;
}

/* Whether what has left for a server is lost with its connection: a write may have been carried
 * out, and what is in flight beside it is not to overtake it; half an answer is not told twice. */
static bool is_lost_with(const struct run *run, const struct server *server)
{
    return (server->first == run->turn && run->heard_part) || has_write(run, server->first);
}

/* Closes the connection. What has no answer will be asked for anew, but for what has left and is
 * lost: a write's outcome is then unknown, a read ends as result. */
static void drop_wire(struct run *run, struct server *server, bool is_lost, enum dht_result result)
{
    server_hang_up(server);
    while (server->first != SLIP_NONE) {
        uint32_t index = server->first;
        const struct dht_op *op = &run->ops[index];
        if (!is_lost || !run->slips[index].has_left)
            ask_lost_again(run, index);
        else if (op_ends_connection(op))
            slip_keep(unask(run, index), SLIP_ANSWERED, "OK\r\n", 4);
        else
            fail_later(run, index, op_is_write(op) ? DHT_OUTCOME_UNKNOWN : result);
    }
}

/* Notes that a server failed: it rests as a leader, and the ring may be another by now. */
static void shun(struct dht *dht, struct server *server)
{
    server->failed_run = dht->run_count;
    server_rest(server, wire_clock_ms());
    if (dht->ring.place)
        dht->is_ring_stale = true;
}

/* A server failed; others' turn. When it comes to telling the caller, a server that did answer
 * weighs more than one that could not be reached; what is lost in flight, most. why  NULL:
 * dht->text says it already. */
static void server_failed(struct run *run, struct server *server, enum dht_result failure,
                          const char *why)
{
    struct dht *dht = run->dht;
    bool is_lost = has_left_any(run, server);
    if (is_lost || run->tries == 0 || failure == DHT_NOT_DONE || run->failure != DHT_NOT_DONE) {
        if (why)
            snprintf(dht->text, sizeof(dht->text), "%s: %s", server->name, why);
        run->failure = failure;
    }
    drop_wire(run, server, is_lost_with(run, server), DHT_NOT_DONE);
    shun(dht, server);
    if (server == dht->entry || failure == DHT_NOT_DONE)
        run->tries++;
    if (server == dht->entry)
        choice_next_entry(dht);
}

static void server_busy(struct run *run, struct server *server, uint64_t pause_ms)
{
    server_failed(run, server, DHT_NOT_DONE, "busy");
    if (run->pause_ms == 0 || pause_ms < run->pause_ms)
        run->pause_ms = pause_ms ? pause_ms : 1;
}

/* ---- whom to ask ---- */

static uint64_t left_ms(const struct run *run, uint64_t now_ms)
{
    return run->deadline_ms > now_ms ? run->deadline_ms - now_ms : 0;
}

/* Connects to a server. Its share of the time left lets the others have theirs. */
static bool connect_to(struct run *run, struct server *server, uint64_t now_ms)
{
    struct contact_answer answer;
    uint64_t share = run->dht->server_count - run->tries;
    uint64_t deadline_ms = now_ms + left_ms(run, now_ms) / (share ? share : 1) + 1;
    switch (choice_connect(run->dht, server, deadline_ms, &answer)) {
    case CONTACT_MADE:
        return true;
    case CONTACT_FAILED:
        server_failed(run, server, DHT_CANNOT_CONNECT, answer.why);
        return false;
    case CONTACT_BUSY:
        server_busy(run, server, answer.pause_ms);
        return false;
    }
    CHECK(false);
}

/* How long to wait before all servers are tried anew: as long as one of them asked for; for a write
 * that may have been carried out there is nothing to do but try. 0: they are not. */
static uint64_t round_pause_ms(const struct run *run)
{
    if (run->pause_ms > 0)
        return run->pause_ms;
    bool is_unsettled = run->cursor < run->op_count && run->slips[run->cursor].is_unsettled;
    return is_unsettled ? SETTLE_PAUSE_MS : 0;
}

/* A server that takes anything: the one that answered last, else the next that can be had; NULL if
 * none can. */
static struct server *connect_entry(struct run *run)
{
    struct dht *dht = run->dht;
    for (;;) {
        uint64_t now_ms = wire_clock_ms();
        if (run->tries >= dht->server_count) {
            uint64_t pause_ms = round_pause_ms(run);
            if (pause_ms == 0 || now_ms + pause_ms >= run->deadline_ms)
                return NULL;
            (void)poll(NULL, 0, (int)pause_ms); /* ended early by a signal: asks early */
            run->tries = 0;
            run->pause_ms = 0;
        } else if (dht->entry->wire.fd < 0 && now_ms >= run->deadline_ms) {
            return NULL;
        } else if (connect_to(run, dht->entry, now_ms)) {
            return dht->entry;
        }
    }
}

/* Whom to ask: a key's leader, else any; but not who could not tell what became of it before, if
 * there is another. (Answers brought by other nodes are brought to one server's client.) */
static struct server *server_for(struct run *run, uint32_t index)
{
    struct dht *dht = run->dht;
    struct slip *slip = &run->slips[index];
    uint64_t now_ms = wire_clock_ms();
    struct server *leader = choice_leader(dht, &run->ops[index], now_ms);
    if (leader && leader != slip->doubted && connect_to(run, leader, now_ms))
        return leader;
    if (slip->doubted == dht->entry && !dht->via)
        choice_next_entry(dht);
    return connect_entry(run);
}

/* Learns the ring, anew if it has changed. Nothing is in flight. */
static void learn(struct run *run)
{
    struct dht *dht = run->dht;
    uint64_t now_ms = wire_clock_ms();
    struct server *server = dht->told_by;
    if (!server || server->wire.fd < 0)
        server = connect_entry(run);
    if (!server)
        return;
    enum err err = choice_learn(dht, server, now_ms, now_ms + left_ms(run, now_ms) / 2 + 1);
    if (err != ERR_OK)
        server_failed(run, server, DHT_CANNOT_CONNECT, err_text(err));
}

/* Whether a request waits until nothing is in flight, as the ring is to be learned first: what is
 * asked by the old and by the new one must not overtake each other. Where an answer keeps it
 * waiting for too long it goes by the old ring, and the new one is learned later. */
static bool waits_to_learn(struct run *run, const struct dht_op *op)
{
    uint64_t now_ms = wire_clock_ms();
    if (!op_has_key(op) || !choice_wants_ring(run->dht, now_ms))
        return false;
    if (run->learn_until_ms == 0)
        run->learn_until_ms = now_ms + LEARN_WAIT_MS;
    if (now_ms < run->learn_until_ms)
        return true;
    run->learn_until_ms = 0;
    run->dht->learn_after_ms = now_ms + LEARN_PAUSE_MS;
    return false;
}

static void learn_if_wanted(struct run *run, const struct dht_op *op)
{
    run->learn_until_ms = 0;
    if (op_has_key(op) && choice_wants_ring(run->dht, wire_clock_ms()))
        learn(run);
}

/* ---- requests ---- */

/* Whether nothing may be asked beside this operation: those without a key are about the whole. Over
 * one connection that keeps its order they need no such care. */
static bool is_alone(const struct run *run, const struct dht_op *op)
{
    return (run->dht->ring.place || run->dht->via) && !op_has_key(op);
}

/* id = nonce "-" number       both hexadecimal, the number without leading zeros */
static struct span id_format(const struct run *run, uint32_t index, char text[ID_BYTES_MAX + 1])
{
    int len = snprintf(text, ID_BYTES_MAX + 1, "%016" PRIx64 "-%" PRIx64, run->dht->id_nonce,
                       run->first_id + index);
    CHECK(len > 0 && len < (int)ID_BYTES_MAX); /* nobody counts to 2^60 */
    return span_of(text, (size_t)len);
}

/* Which of its requests an operation's opaque names: under an id all are one. */
static unsigned attempt_of(const struct run *run, uint32_t index)
{
    return run->slips[index].has_id ? 1 : run->slips[index].attempt;
}

static void ask(struct run *run, struct server *server, uint32_t index)
{
    const struct dht_op *op = &run->ops[index];
    char opaque[VIA_OPAQUE_BYTES_MAX + 1], id[ID_BYTES_MAX + 1];
    struct op_envelope envelope = {.now_s = run->now_s};
    struct slip *slip = &run->slips[index];
    if (slip->attempt < VIA_ATTEMPTS_MAX)
        slip->attempt++;
    slip->has_id = run->dht->has_ids && server->is_dht && op_takes_id(op);
    if (slip->has_id)
        envelope.id = id_format(run, index, id);
    if (server->is_via && op_has_key(op))
        envelope.opaque = via_opaque(run->dht->via, index, attempt_of(run, index), opaque);
    op_append(&server->wire.out, op, &envelope);
    slip->asked = server;
    slip->is_direct = false;
    if (server->count == 0)
        server->moved_ms = wire_clock_ms();
    server_push(server, run->slips, index);
    run->in_flight++;
    run->is_held = is_alone(run, op);
    run->dht->asked = server;
}

static void fail_waiting(struct run *run)
{
    struct dht *dht = run->dht;
    if (run->failure == DHT_OK) {
        snprintf(dht->text, sizeof(dht->text), "no server within %u ms", dht->timeout_ms);
        run->failure = DHT_TIMEOUT;
    }
    for (size_t i = run->cursor; i < run->op_count; i++) {
        struct slip *slip = &run->slips[i];
        if (slip->state != SLIP_WAITING)
            continue;
        slip->result = result_of_failure(slip, run->failure);
        slip_keep(slip, SLIP_FAILED, dht->text, strlen(dht->text));
    }
    run->cursor = run->op_count;
}

/* Whether an unsettled write waits for its time. So does what is behind it: its key's order holds.
 */
static bool is_pausing(const struct run *run)
{
    return run->settle_ms > 0 && run->slips[run->cursor].is_unsettled &&
           wire_clock_ms() < run->settle_ms;
}

/* Whether a write may have been carried out by a server that knows ids, and this one does not. */
static bool is_stranger_to(const struct run *run, const struct server *server, uint32_t index)
{
    return run->slips[index].is_unsettled && !server->is_dht;
}

/* Makes requests of the operations that wait, in order, until enough waits to be sent. */
static void ask_waiting(struct run *run)
{
    while (run->cursor < run->op_count && !run->is_held) {
        const struct dht_op *op = &run->ops[run->cursor];
        if (run->slips[run->cursor].state != SLIP_WAITING) {
            run->cursor++;
            continue;
        }
        if (is_pausing(run))
            return;
        if (run->in_flight > 0 && (is_alone(run, op) || waits_to_learn(run, op)))
            return;
        if (run->in_flight == 0)
            learn_if_wanted(run, op);
        size_t before = run->cursor;
        struct server *server = server_for(run, (uint32_t)run->cursor);
        if (!server && run->in_flight > 0)
            return;
        if (!server) {
            fail_waiting(run);
            return;
        }
        if (run->cursor < before) /* a server that failed has given back what is older */
            continue;
        if (is_stranger_to(run, server, (uint32_t)run->cursor)) {
            struct slip *slip = &run->slips[run->cursor++];
            slip->result = DHT_OUTCOME_UNKNOWN;
            slip_keep(slip, SLIP_FAILED, run->dht->text, strlen(run->dht->text));
            continue;
        }
        if (buf_len(&server->wire.out) >= OUT_BYTES_ENOUGH)
            return;
        ask(run, server, (uint32_t)run->cursor++);
    }
}

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
    return is_refusal ? result_of_failure(slip, result) : result;
}

/* Translates an answer to the operation whose turn it is and hands it to the caller. */
static void hear_answer(struct run *run, const struct answer *from)
{
    struct dht *dht = run->dht;
    const struct dht_op *op = &run->ops[run->turn];
    struct dht_answer answer = {.result = result_of_answer(&run->slips[run->turn], from->kind),
                                .text = dht->text,
                                .server = asked_name(run),
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
        tell(run, &answer);
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
    if (index != run->turn || run->heard_part || has_write(run, run->slips[index].after))
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
    ask_again(run, index);
}

/* Takes one answer to an operation that was asked of server. bytes: all of it, as received. */
static void take_answer(struct run *run, struct server *server, uint32_t index,
                        struct answer *answer, struct span bytes)
{
    const struct dht_op *op = &run->ops[index];
    if (!answer_fits(op, answer)) {
        server_failed(run, server, DHT_CANNOT_CONNECT, "an answer to something else came");
        return;
    }
    if (is_to_be_settled(run, index, answer->kind)) {
        copy_text(run->dht->text, sizeof(run->dht->text), answer_text(answer, op));
        settle_later(run, server, index);
        return;
    }
    if (is_worth_another_try(run, server, index, answer->kind)) {
        ask_again(run, index); /* it was not done: nothing of it is in flight */
        copy_text(run->dht->text, sizeof(run->dht->text), answer_text(answer, op));
        if (answer->kind == ANSWER_BUSY)
            server_busy(run, server, answer->number);
        else
            server_failed(run, server, DHT_NOT_DONE, NULL);
        return;
    }
    if (answer->kind != ANSWER_STAT)
        (void)unask(run, index);
    bool is_refused = answer->kind == ANSWER_ERROR || answer->kind == ANSWER_CLIENT_ERROR;
    if (index == run->turn)
        hear_answer(run, answer);
    else
        slip_keep(&run->slips[index], SLIP_ANSWERED, bytes.data, bytes.len);
    /* A value whose line was refused might be read as commands. */
    if (op_has_value(op) && is_refused)
        drop_wire(run, server, is_lost_with(run, server), DHT_NOT_DONE);
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
                    attempt_of(run, index) == attempt;
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

/* Takes the answers that have come from a server, up to the first whose turn it is not yet, unless
 * everything is wanted: the connection is at its end. */
static void take_answers(struct run *run, struct server *server, bool wants_all)
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
            server_failed(run, server, DHT_CANNOT_CONNECT, "a malformed answer came");
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
        tell_failure(run, slip->result);
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

/* Tells every answer that is there, in turn. */
static void advance(struct run *run)
{
    while (run->turn < run->op_count) {
        size_t turn = run->turn;
        struct slip *slip = &run->slips[turn];
        if (slip->state == SLIP_ANSWERED || slip->state == SLIP_FAILED)
            tell_kept(run, slip);
        else if (slip->state == SLIP_ASKED)
            take_answers(run, slip->server, false);
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
            ask_lost_again(run, index);
        index = next;
    }
}

static void take_brought(struct run *run, bool has_ended)
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

/* ---- a run ---- */

static void fds_reserve(struct run *run)
{
    size_t wanted = run->dht->server_count + (run->dht->via ? VIA_CONNECTIONS_MAX + 1 : 0);
    if (run->fds_capacity >= wanted)
        return;
    free(run->fds);
    free(run->polled);
    run->fds = calloc(wanted, sizeof(*run->fds));
    run->polled = calloc(wanted, sizeof(struct server *));
    CHECK(run->fds != NULL);
    CHECK(run->polled != NULL);
    run->fds_capacity = wanted;
}

/* Fills fds with the servers that owe answers. */
static size_t poll_servers(struct run *run)
{
    struct dht *dht = run->dht;
    size_t count = 0;
    for (size_t i = 0; i < dht->server_count; i++) {
        struct server *server = dht->servers[i];
        if (server->count == 0)
            continue;
        bool is_turn = run->slips[run->turn].server == server;
        bool wants_input = is_turn || server->is_via || buf_len(&server->wire.in) < IN_BYTES_ENOUGH;
        run->polled[count] = server;
        run->fds[count++] = (struct pollfd){.fd = server->wire.fd,
                                            .events = wire_events(&server->wire, wants_input)};
    }
    return count;
}

static void mark_left(struct run *run, struct server *server)
{
    for (uint32_t index = server->last; index != SLIP_NONE && !run->slips[index].has_left;
         index = run->slips[index].before)
        run->slips[index].has_left = true;
}

static void server_move(struct run *run, struct server *server, short came)
{
    size_t waiting_bytes = buf_len(&server->wire.out);
    enum err err = wire_move(&server->wire, came);
    bool has_sent = buf_len(&server->wire.out) < waiting_bytes;
    if (has_sent)
        mark_left(run, server);
    if (has_sent || came & POLLIN)
        server->moved_ms = wire_clock_ms();
    if (err == ERR_OK)
        return;
    take_answers(run, server, true); /* what came before the end counts */
    if (server->wire.fd >= 0)
        server_failed(run, server, DHT_CANNOT_CONNECT, err_text(err));
}

/* Until when to wait for something to move. */
static uint64_t patience_ms(const struct run *run)
{
    uint64_t until_ms = run->deadline_ms < run->doubt_ms ? run->deadline_ms : run->doubt_ms;
    if (run->learn_until_ms != 0 && run->learn_until_ms < until_ms)
        until_ms = run->learn_until_ms;
    if (run->cursor < run->op_count && is_pausing(run) && run->settle_ms < until_ms)
        until_ms = run->settle_ms;
    return until_ms;
}

/* Waits until something moves, and moves it. Returns false if nothing has. */
static bool move(struct run *run)
{
    fds_reserve(run);
    struct via *via = run->dht->via;
    size_t count = poll_servers(run);
    size_t brought_count = via ? via_poll(via, run->fds + count) : 0;
    if (!wire_poll(run->fds, count + brought_count, patience_ms(run)))
        return false;
    for (size_t i = 0; i < count; i++)
        if (run->fds[i].revents && run->polled[i]->wire.fd >= 0)
            server_move(run, run->polled[i], run->fds[i].revents);
    if (brought_count > 0)
        take_brought(run, via_move(via, run->fds + count));
    for (size_t i = 0; i < count; i++)
        if (run->polled[i]->is_via)
            take_answers(run, run->polled[i], true);
    return true;
}

/* Half of the time is over. A node of a cluster that has said nothing in it is passed by, once for
 * each answer, if all that it was asked can be asked of another. */
static void doubt(struct run *run)
{
    struct dht *dht = run->dht;
    struct server *server = run->slips[run->turn].server;
    uint64_t now_ms = wire_clock_ms();
    if (now_ms < run->doubt_ms)
        return;
    run->doubt_ms = UINT64_MAX;
    if (!server || !server->is_dht || dht->server_count < 2 || is_lost_with(run, server))
        return;
    uint64_t patience = dht->timeout_ms / 2;
    if (now_ms - server->moved_ms < patience)
        run->doubt_ms = server->moved_ms + patience;
    else
        server_failed(run, server, DHT_TIMEOUT, "no answer");
}

/* The answer whose turn it is has not come in time. The connection is not used again. Of a client
 * that knows no other way, everything fails; else what waits may go another. */
static void run_timed_out(struct run *run)
{
    struct dht *dht = run->dht;
    struct slip *slip = &run->slips[run->turn];
    struct server *server = slip->server;
    if (!server && slip->is_unsettled) { /* others behind have time of their own */
        slip->result = DHT_OUTCOME_UNKNOWN;
        slip_keep(slip, SLIP_FAILED, dht->text, strlen(dht->text));
        return;
    }
    if (!server) {
        fail_waiting(run); /* no server could be had for it */
        return;
    }
    snprintf(dht->text, sizeof(dht->text), "%s: no answer within %u ms", server->name,
             dht->timeout_ms);
    drop_wire(run, server, true, DHT_TIMEOUT);
    shun(dht, server);
    if (dht->ring.place) {
        if (server == dht->entry)
            choice_next_entry(dht);
    } else {
        run->failure = DHT_TIMEOUT;
        fail_waiting(run);
    }
}

static void run_to_end(struct run *run)
{
    while (run->turn < run->op_count) {
        ask_waiting(run);
        advance(run);
        if (run->turn == run->op_count)
            return;
        bool is_waiting = run->slips[run->turn].state == SLIP_WAITING && run->in_flight == 0;
        if (is_waiting && !is_pausing(run))
            continue; /* a server failed: whom to ask is chosen anew */
        if (!move(run) && wire_clock_ms() >= run->deadline_ms)
            run_timed_out(run);
        else
            doubt(run);
    }
}

/* Zeroed, thus WAITING. */
static void slips_init(struct run *run)
{
    run->slips = run->at_hand;
    if (run->op_count > SLIPS_AT_HAND) {
        run->slips = calloc(run->op_count, sizeof(*run->slips));
        CHECK(run->slips != NULL);
    }
}

static void slips_close(struct run *run)
{
    for (size_t i = 0; i < run->op_count; i++)
        free(run->slips[i].kept);
    if (run->slips != run->at_hand)
        free(run->slips);
}

enum dht_result run_ops(struct dht *dht, const struct dht_op *ops, size_t op_count,
                        dht_answer_fn *hear, void *arg)
{
    struct run run = {.dht = dht,
                      .ops = ops,
                      .op_count = op_count,
                      .first_id = dht->id_count,
                      .now_s = (int64_t)time(NULL),
                      .hear = hear,
                      .arg = arg};
    CHECK(op_count < SLIP_NONE);
    dht->id_count += op_count;
    turn_begin(&run);
    choice_begin(dht);
    if (dht->via)
        via_begin(dht->via);
    slips_init(&run);
    run_to_end(&run);
    CHECK(run.in_flight == 0);
    slips_close(&run);
    free(run.fds);
    free(run.polled);
    return run.first_bad;
}
