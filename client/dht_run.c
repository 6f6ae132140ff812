#include "client/dht_run.h"

#include "client/dht_run_parts.h"
#include "common/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define IN_BYTES_ENOUGH (1024u * 1024) /* not yet answers' turn: the others wait in the network */

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
    run_take_answers(run, server, true); /* what came before the end counts */
    if (server->wire.fd >= 0)
        run_server_failed(run, server, DHT_CANNOT_CONNECT, err_text(err));
}

/* Until when to wait for something to move. */
static uint64_t patience_ms(const struct run *run)
{
    uint64_t until_ms = run->deadline_ms < run->doubt_ms ? run->deadline_ms : run->doubt_ms;
    if (run->learn_until_ms != 0 && run->learn_until_ms < until_ms)
        until_ms = run->learn_until_ms;
    if (run->cursor < run->op_count && run_is_pausing(run) && run->settle_ms < until_ms)
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
        run_take_brought(run, via_move(via, run->fds + count));
    for (size_t i = 0; i < count; i++)
        if (run->polled[i]->is_via)
            run_take_answers(run, run->polled[i], true);
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
    if (!server || !server->is_dht || dht->server_count < 2 || run_is_lost_with(run, server))
        return;
    uint64_t patience = dht->timeout_ms / 2;
    if (now_ms - server->moved_ms < patience)
        run->doubt_ms = server->moved_ms + patience;
    else
        run_server_failed(run, server, DHT_TIMEOUT, "no answer");
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
        run_slip_keep(slip, SLIP_FAILED, dht->text, strlen(dht->text));
        return;
    }
    if (!server) {
        run_fail_waiting(run); /* no server could be had for it */
        return;
    }
    snprintf(dht->text, sizeof(dht->text), "%s: no answer within %u ms", server->name,
             dht->timeout_ms);
    run_drop_wire(run, server, true, DHT_TIMEOUT);
    run_shun(dht, server);
    if (dht->ring.place) {
        if (server == dht->entry)
            choice_next_entry(dht);
    } else {
        run->failure = DHT_TIMEOUT;
        run_fail_waiting(run);
    }
}

static void run_to_end(struct run *run)
{
    while (run->turn < run->op_count) {
        run_ask_waiting(run);
        run_advance(run);
        if (run->turn == run->op_count)
            return;
        bool is_waiting = run->slips[run->turn].state == SLIP_WAITING && run->in_flight == 0;
        if (is_waiting && !run_is_pausing(run))
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
    run_turn_begin(&run);
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
