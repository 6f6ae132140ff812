/* Operations of a run handed from state to state, and what becomes of them when a server fails. */
#include "client/dht_run_parts.h"
#include "common/check.h"

#include <stdio.h>
#include <stdlib.h>

void run_turn_begin(struct run *run)
{
    uint64_t now_ms = wire_clock_ms();
    run->deadline_ms = now_ms + run->dht->timeout_ms;
    run->doubt_ms = now_ms + run->dht->timeout_ms / 2;
}

/* ---- answers given to the caller ---- */

void run_tell(struct run *run, const struct dht_answer *answer)
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
    run_turn_begin(run);
    run->hear(run->arg, op, answer);
}

const char *run_asked_name(const struct run *run)
{
    const struct server *asked = run->slips[run->turn].asked;
    return asked ? asked->name : NULL;
}

void run_tell_failure(struct run *run, enum dht_result result)
{
    run_tell(run, &(struct dht_answer){.result = result,
                                       .text = run->dht->text,
                                       .server = run_asked_name(run),
                                       .ttl_s = -1});
}

void run_slip_keep(struct slip *slip, enum slip_state state, const char *bytes, size_t len)
{
    slip->state = state;
    slip->kept = malloc(len + 1);
    CHECK(slip->kept != NULL);
    memcpy(slip->kept, bytes, len);
    slip->kept[len] = '\0';
    slip->kept_bytes = len;
}

struct slip *run_unask(struct run *run, uint32_t index)
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
    struct slip *slip = run_unask(run, index);
    slip->result = result;
    run_slip_keep(slip, SLIP_FAILED, run->dht->text, strlen(run->dht->text));
}

void run_ask_again(struct run *run, uint32_t index)
{
    run_unask(run, index)->state = SLIP_WAITING;
    if (index < run->cursor)
        run->cursor = index;
}

void run_ask_lost_again(struct run *run, uint32_t index)
{
    struct slip *slip = &run->slips[index];
    CHECK(!slip->has_left || slip->has_id || !op_is_write(&run->ops[index]));
    slip->is_unsettled |= slip->has_left && slip->has_id;
    run_ask_again(run, index);
}

enum dht_result run_result_of_failure(const struct slip *slip, enum dht_result failure)
{
    return slip->is_unsettled ? DHT_OUTCOME_UNKNOWN : failure;
}

/* ---- servers that fail ---- */

bool run_has_write(const struct run *run, uint32_t index)
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

bool run_is_lost_with(const struct run *run, const struct server *server)
{
    return (server->first == run->turn && run->heard_part) || run_has_write(run, server->first);
}

void run_drop_wire(struct run *run, struct server *server, bool is_lost, enum dht_result result)
{
    server_hang_up(server);
    while (server->first != SLIP_NONE) {
        uint32_t index = server->first;
        const struct dht_op *op = &run->ops[index];
        if (!is_lost || !run->slips[index].has_left)
            run_ask_lost_again(run, index);
        else if (op_ends_connection(op))
            run_slip_keep(run_unask(run, index), SLIP_ANSWERED, "OK\r\n", 4);
        else
            fail_later(run, index, op_is_write(op) ? DHT_OUTCOME_UNKNOWN : result);
    }
}

void run_shun(struct dht *dht, struct server *server)
{
    server->failed_run = dht->run_count;
    server_rest(server, wire_clock_ms());
    if (dht->ring.place)
        dht->is_ring_stale = true;
}

void run_server_failed(struct run *run, struct server *server, enum dht_result failure,
                       const char *why)
{
    struct dht *dht = run->dht;
    bool is_lost = has_left_any(run, server);
    if (is_lost || run->tries == 0 || failure == DHT_NOT_DONE || run->failure != DHT_NOT_DONE) {
        if (why)
            snprintf(dht->text, sizeof(dht->text), "%s: %s", server->name, why);
        run->failure = failure;
    }
    run_drop_wire(run, server, run_is_lost_with(run, server), DHT_NOT_DONE);
    run_shun(dht, server);
    if (server == dht->entry || failure == DHT_NOT_DONE)
        run->tries++;
    if (server == dht->entry)
        choice_next_entry(dht);
}

void run_server_busy(struct run *run, struct server *server, uint64_t pause_ms)
{
    run_server_failed(run, server, DHT_NOT_DONE, "busy");
    if (run->pause_ms == 0 || pause_ms < run->pause_ms)
        run->pause_ms = pause_ms ? pause_ms : 1;
}
