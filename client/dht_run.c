#include "client/dht_run.h"

#include "client/dht_choice.h"
#include "common/check.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define OUT_BYTES_ENOUGH (64u * 1024)   /* more requests are made when less waits to be sent */
#define IN_BYTES_ENOUGH  (1024u * 1024) /* not yet answers' turn: the others wait in the network */
#define SLIPS_AT_HAND    4u
#define LEARN_WAIT_MS    100u /* the longest that what is in flight delays a look at the ring */

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
    uint64_t learn_until_ms; /* requests wait for what is in flight, to learn the ring; 0: not */
    enum dht_result first_bad;
    struct pollfd *fds;     /* owned; scratch */
    struct server **polled; /* owned; scratch: whose fds they are */
    size_t fds_capacity;
    dht_answer_fn *hear;
    void *arg;
};

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
    run->deadline_ms = wire_clock_ms() + run->dht->timeout_ms;
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

static void ask_again(struct run *run, uint32_t index)
{
    unask(run, index)->state = SLIP_WAITING;
    if (index < run->cursor)
        run->cursor = index;
}

/* ---- servers that fail ---- */

/* Whether a write of the server's queue, from slip index on, may have left. */
static bool has_write(const struct run *run, uint32_t index)
{
    for (; index != SLIP_NONE; index = run->slips[index].after)
        if (run->slips[index].has_left && op_is_write(&run->ops[index]))
            return true;
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
            ask_again(run, index);
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

/* A server that takes anything: the one that answered last, else the next that can be had; NULL if
 * none can. */
static struct server *connect_entry(struct run *run)
{
    struct dht *dht = run->dht;
    for (;;) {
        uint64_t now_ms = wire_clock_ms();
        if (run->tries >= dht->server_count) {
            if (run->pause_ms == 0 || now_ms + run->pause_ms >= run->deadline_ms)
                return NULL;
            (void)poll(NULL, 0, (int)run->pause_ms); /* ended early by a signal: asks early */
            run->tries = 0;
            run->pause_ms = 0;
        } else if (dht->entry->wire.fd < 0 && now_ms >= run->deadline_ms) {
            return NULL;
        } else if (connect_to(run, dht->entry, now_ms)) {
            return dht->entry;
        }
    }
}

static struct server *server_for(struct run *run, const struct dht_op *op)
{
    uint64_t now_ms = wire_clock_ms();
    struct server *leader = choice_leader(run->dht, op, now_ms);
    if (leader && connect_to(run, leader, now_ms))
        return leader;
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

static void ask(struct run *run, struct server *server, uint32_t index)
{
    const struct dht_op *op = &run->ops[index];
    char text[VIA_OPAQUE_BYTES_MAX + 1];
    struct span opaque = span_of(NULL, 0);
    struct slip *slip = &run->slips[index];
    if (slip->attempt < VIA_ATTEMPTS_MAX)
        slip->attempt++;
    if (server->is_via && op_has_key(op))
        opaque = via_opaque(run->dht->via, index, slip->attempt, text);
    op_append(&server->wire.out, op, opaque);
    slip->asked = server;
    slip->is_direct = false;
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
        slip->result = run->failure;
        slip_keep(slip, SLIP_FAILED, dht->text, strlen(dht->text));
    }
    run->cursor = run->op_count;
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
        if (run->in_flight > 0 && (is_alone(run, op) || waits_to_learn(run, op)))
            return;
        if (run->in_flight == 0)
            learn_if_wanted(run, op);
        size_t before = run->cursor;
        struct server *server = server_for(run, op);
        if (!server && run->in_flight > 0)
            return;
        if (!server) {
            fail_waiting(run);
            return;
        }
        if (run->cursor < before) /* a server that failed has given back what is older */
            continue;
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

/* Translates an answer to the operation whose turn it is and hands it to the caller. */
static void hear_answer(struct run *run, const struct answer *from)
{
    struct dht *dht = run->dht;
    const struct dht_op *op = &run->ops[run->turn];
    struct dht_answer answer = {.result = answer_result(from->kind),
                                .text = dht->text,
                                .server = asked_name(run),
                                .is_direct = run->slips[run->turn].is_direct,
                                .cas = from->cas,
                                .ttl_s = from->ttl_s,
                                .flags = from->flags};
    copy_text(dht->text, sizeof(dht->text), answer_text(from, op));
    if (from->kind == ANSWER_META_DATA || from->kind == ANSWER_MEMBERSHIP) {
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

/* Takes one answer to an operation that was asked of server. bytes: all of it, as received. */
static void take_answer(struct run *run, struct server *server, uint32_t index,
                        struct answer *answer, struct span bytes)
{
    const struct dht_op *op = &run->ops[index];
    if (!answer_fits(op, answer)) {
        server_failed(run, server, DHT_CANNOT_CONNECT, "an answer to something else came");
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
                    run->slips[index].attempt == attempt;
    return is_asked ? index : SLIP_NONE;
}

enum taken { TAKEN_NONE, TAKEN_ONE, TAKEN_BAD };

/* Takes one answer from the front of what has come from source: a server, or a node that brings
 * answers to what another was asked. */
static enum taken take_next(struct run *run, struct server *source)
{
    struct answer answer;
    size_t need;
    server_let_go(source);
    struct span bytes = buf_span(&source->wire.in);
    switch (answer_parse(bytes.data, bytes.len, DHT_VALUE_BYTES_MAX, &answer, &source->held_bytes,
                         &need)) {
    case ANSWER_MORE:
        return TAKEN_NONE;
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
        switch (take_next(run, server)) {
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

/* A node's connection has ended: what was to come on it does not any more. Reads are asked again;
 * of a write the entry node may still tell, or nobody. */
static void ask_reads_again(struct run *run)
{
    struct server *entry = run->dht->entry;
    for (uint32_t index = entry->first; index != SLIP_NONE;) {
        uint32_t next = run->slips[index].after;
        const struct dht_op *op = &run->ops[index];
        if (op_has_key(op) && !op_is_write(op) && run->slips[index].has_left &&
            run->slips[index].attempt < VIA_ATTEMPTS_MAX)
            ask_again(run, index);
        index = next;
    }
}

static void take_brought(struct run *run, bool has_ended)
{
    struct via *via = run->dht->via;
    for (size_t i = 0; i < via->count; i++) {
        struct server *node = via->connections[i];
        enum taken taken = TAKEN_NONE;
        while (run->in_flight > 0 && (taken = take_next(run, node)) == TAKEN_ONE)
            via->answer_count++;
        if (taken == TAKEN_BAD) {
            server_hang_up(node);
            has_ended = true;
        }
    }
    if (has_ended && run->in_flight > 0) {
        via_forget_ended(via);
        ask_reads_again(run);
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
    if (buf_len(&server->wire.out) < waiting_bytes)
        mark_left(run, server);
    if (err == ERR_OK)
        return;
    take_answers(run, server, true); /* what came before the end counts */
    if (server->wire.fd >= 0)
        server_failed(run, server, DHT_CANNOT_CONNECT, err_text(err));
}

/* Until when to wait for something to move. */
static uint64_t patience_ms(const struct run *run)
{
    bool is_learning = run->learn_until_ms != 0 && run->learn_until_ms < run->deadline_ms;
    return is_learning ? run->learn_until_ms : run->deadline_ms;
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

/* The answer whose turn it is has not come in time. The connection is not used again. Of a client
 * that knows no other way, everything fails; else what waits may go another. */
static void run_timed_out(struct run *run)
{
    struct dht *dht = run->dht;
    struct server *server = run->slips[run->turn].server;
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
        if (run->slips[run->turn].state == SLIP_WAITING && run->in_flight == 0)
            continue; /* a server failed: whom to ask is chosen anew */
        if (!move(run) && wire_clock_ms() >= run->deadline_ms)
            run_timed_out(run);
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
                      .deadline_ms = wire_clock_ms() + dht->timeout_ms,
                      .hear = hear,
                      .arg = arg};
    CHECK(op_count < SLIP_NONE);
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
