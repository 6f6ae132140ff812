/* Whom a run asks, and the requests it makes. */
#include "client/dht_run_parts.h"
#include "common/check.h"
#include "common/number.h"

#include <inttypes.h>
#include <stdio.h>

#define OUT_BYTES_ENOUGH (64u * 1024) /* more requests are made when less waits to be sent */
#define LEARN_WAIT_MS    100u /* the longest that what is in flight delays a look at the ring */
#define ID_BYTES_MAX     (2 * HEX64_DIGITS + 1)

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
        run_server_failed(run, server, DHT_CANNOT_CONNECT, answer.why);
        return false;
    case CONTACT_BUSY:
        run_server_busy(run, server, answer.pause_ms);
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
        run_server_failed(run, server, DHT_CANNOT_CONNECT, err_text(err));
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

unsigned run_attempt_of(const struct run *run, uint32_t index)
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
        envelope.opaque = via_opaque(run->dht->via, index, run_attempt_of(run, index), opaque);
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

void run_fail_waiting(struct run *run)
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
        slip->result = run_result_of_failure(slip, run->failure);
        run_slip_keep(slip, SLIP_FAILED, dht->text, strlen(dht->text));
    }
    run->cursor = run->op_count;
}

bool run_is_pausing(const struct run *run)
{
    return run->settle_ms > 0 && run->slips[run->cursor].is_unsettled &&
           wire_clock_ms() < run->settle_ms;
}

/* Whether a write may have been carried out by a server that knows ids, and this one does not. */
static bool is_stranger_to(const struct run *run, const struct server *server, uint32_t index)
{
    return run->slips[index].is_unsettled && !server->is_dht;
}

void run_ask_waiting(struct run *run)
{
    while (run->cursor < run->op_count && !run->is_held) {
        const struct dht_op *op = &run->ops[run->cursor];
        if (run->slips[run->cursor].state != SLIP_WAITING) {
            run->cursor++;
            continue;
        }
        if (run_is_pausing(run))
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
            run_fail_waiting(run);
            return;
        }
        if (run->cursor < before) /* a server that failed has given back what is older */
            continue;
        if (is_stranger_to(run, server, (uint32_t)run->cursor)) {
            struct slip *slip = &run->slips[run->cursor++];
            slip->result = DHT_OUTCOME_UNKNOWN;
            run_slip_keep(slip, SLIP_FAILED, run->dht->text, strlen(run->dht->text));
            continue;
        }
        if (buf_len(&server->wire.out) >= OUT_BYTES_ENOUGH)
            return;
        ask(run, server, (uint32_t)run->cursor++);
    }
}
