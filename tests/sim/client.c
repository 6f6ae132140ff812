#include "tests/sim/client.h"

#include "common/check.h"
#include "tests/sim/heard.h"
#include "tests/sim/names.h"
#include "tests/sim/patience.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_US      (3ull * US_PER_S)
#define COUNTER_MADE_OF 8u  /* one increment of so many is an add of the counter */
#define LARGE_OF        50u /* one value of so many may be as large as allowed */

struct client {
    struct clients *clients;
    uint32_t number;
    struct prng prng;
    uint32_t node;
    struct sock *sock;
    bool is_connected;
    struct patience patience;
    struct buf in;
    struct op ops[CLIENT_BATCH_MAX]; /* sent and not all answered */
    uint32_t op_count;
    uint32_t op_answered;
    struct vtimer timer; /* to begin, or for an answer to be late */
};

static struct vclock *clock_of(const struct client *client)
{
    return &client->clients->world->clock;
}

static void fail(const struct client *client, const struct op *op, const char *what)
{
    static const char *const kinds[OP_KINDS] = {"get",  "set",     "add",    "delete",
                                                "incr", "get-two", "version"};
    world_fail(client->clients->world, "client %u at n%u, %s of k%u sent at %.6f: %s",
               client->number, client->node + 1, op ? kinds[op->kind] : "-", op ? op->keys[0] : 0,
               op ? (double)op->sent_us / US_PER_S : 0.0, what);
}

/* --- requests --------------------------------------------------------------------------------- */

static void note_written(struct clients *clients, uint64_t number, uint32_t key)
{
    if (number >= clients->written_capacity) {
        clients->written_capacity = (size_t)number * 2 + 64;
        clients->written =
            realloc(clients->written, clients->written_capacity * sizeof(*clients->written));
        CHECK(clients->written != NULL);
    }
    clients->written[number] = (struct written){(uint8_t)key, UINT64_MAX};
}

/* A value names its key and the write, and is as long as the write's number makes it. */
static void append_value(struct client *client, struct buf *out, struct op *op)
{
    struct clients *clients = client->clients;
    op->number = ++clients->next_number;
    note_written(clients, op->number, op->keys[0]);
    char head[64];
    int len = snprintf(head, sizeof(head), "k%u %" PRIu64 " ", op->keys[0], op->number);
    uint64_t bound = prng_below(&client->prng, LARGE_OF) == 0 ? clients->value_bytes_max : 64;
    size_t fill = prng_below(&client->prng, bound + 1);
    buf_printf(out, " 0 0 %zu\r\n%s", (size_t)len + fill, head);
    char *at = buf_reserve(out, fill);
    memset(at, 'a' + (int)(op->number % 26), fill);
    buf_advance(out, fill);
    buf_printf(out, "\r\n");
}

/* Keys of the upper half are counters. */
static void append_request(struct client *client, struct buf *out, struct op *op)
{
    struct clients *clients = client->clients;
    uint32_t half = clients->key_count / 2;
    op->kind = (enum op_kind)prng_below(&client->prng, OP_KINDS);
    op->keys[0] = (uint32_t)prng_below(&client->prng, half);
    op->keys[1] = (uint32_t)prng_below(&client->prng, half);
    switch (op->kind) {
    case OP_GET:
        buf_printf(out, "get k%u\r\n", op->keys[0]);
        break;
    case OP_GET_TWO:
        buf_printf(out, "get k%u k%u\r\n", op->keys[0], op->keys[1]);
        break;
    case OP_SET:
    case OP_ADD:
        buf_printf(out, "%s k%u", op->kind == OP_SET ? "set" : "add", op->keys[0]);
        append_value(client, out, op);
        break;
    case OP_DELETE:
        clients->keys[op->keys[0]].open_deletes++;
        buf_printf(out, "delete k%u\r\n", op->keys[0]);
        break;
    case OP_INCR:
        op->keys[0] += half;
        if (prng_below(&client->prng, COUNTER_MADE_OF) == 0) {
            op->kind = OP_ADD;
            buf_printf(out, "add k%u 0 0 1\r\n0\r\n", op->keys[0]);
        } else {
            clients->keys[op->keys[0]].increments++;
            buf_printf(out, "incr k%u 1\r\n", op->keys[0]);
        }
        break;
    default:
        buf_printf(out, "version\r\n");
        break;
    }
}

static void send_batch(struct client *client)
{
    struct buf out = {0};
    uint32_t count = 1 + (uint32_t)prng_below(&client->prng, CLIENT_BATCH_MAX);
    for (uint32_t i = 0; i < count; i++) {
        client->ops[i] = (struct op){
            .client = client->number, .node = client->node, .sent_us = clock_of(client)->now_us};
        struct op *op = &client->ops[i];
        append_request(client, &out, op);
        for (int k = 0; k < 2; k++)
            op->superseded_us[k] = client->clients->keys[op->keys[k]].superseded_us;
    }
    client->op_count = count;
    client->op_answered = 0;
    struct span bytes = buf_span(&out);
    sock_send(client->sock, bytes.data, bytes.len);
    buf_close(&out);
    patience_begin(&client->patience, &client->timer);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* Keeps what later reads are judged by. */
static void note_end(struct clients *clients, const struct op *op)
{
    struct key_state *key = &clients->keys[op->keys[0]];
    bool is_write = op->kind == OP_SET || op->kind == OP_ADD || op->kind == OP_DELETE;
    bool is_done = op->outcome == OUTCOME_DONE;
    if (is_write && is_done && op->sent_us > key->superseded_us)
        key->superseded_us = op->sent_us;
    if (op->number > 0 && (op->kind == OP_SET || op->kind == OP_ADD) && is_done)
        clients->written[op->number].end_us = op->answered_us;
    key->open_deletes -= op->kind == OP_DELETE;
    if (op->kind == OP_DELETE && op->outcome == OUTCOME_UNKNOWN)
        key->absent_us = UINT64_MAX;
    else if (op->kind == OP_DELETE && is_done && key->absent_us < op->answered_us)
        key->absent_us = op->answered_us;
    if (op->kind == OP_INCR && (op->outcome == OUTCOME_NOT_DONE || op->outcome == OUTCOME_MISS))
        key->increments--;
}

static void op_end(struct client *client, struct op *op, enum op_outcome outcome)
{
    struct clients *clients = client->clients;
    op->outcome = outcome;
    op->answered_us = clock_of(client)->now_us;
    note_end(clients, op);
    clients->done[op->kind][outcome]++;
    trace_mix(&clients->world->trace, (uint64_t)op->kind << 8 | outcome);
    trace_mix(&clients->world->trace, op->answered_us ^ op->number);
    client->op_answered++;
    if (clients->listen)
        clients->listen(clients->arg, op);
}

/* Whether a get may show the write of this number. */
static bool may_be_current(const struct client *client, const struct op *op, int which,
                           uint64_t number)
{
    const struct clients *clients = client->clients;
    return (!clients->is_strict && !clients->is_ordered) ||
           clients->written[number].end_us >= op->superseded_us[which];
}

/* Whether a get may find nothing. */
static bool may_be_absent(const struct client *client, const struct op *op, int which)
{
    const struct clients *clients = client->clients;
    const struct key_state *key = &clients->keys[op->keys[which]];
    return !clients->is_strict || op->superseded_us[which] == 0 || key->open_deletes > 0 ||
           key->absent_us >= op->superseded_us[which];
}

/* Which of the keys asked for a value is of; -1: none. */
static int value_key(const struct op *op, struct span name)
{
    for (int which = 0; which < (op->kind == OP_GET_TWO ? 2 : 1); which++) {
        char wanted[16];
        snprintf(wanted, sizeof(wanted), "k%u", op->keys[which]);
        if (!(op->values >> which & 1) && span_equal(name, span_of_string(wanted)))
            return which;
    }
    return -1;
}

/* A value that came for a key: must name it, and a write that was sent for it. */
static bool take_value(struct client *client, struct op *op, const struct heard *answer)
{
    char text[64], *at;
    int which = value_key(op, answer->name);
    size_t len = answer->value.len < sizeof(text) - 1 ? answer->value.len : sizeof(text) - 1;
    memcpy(text, answer->value.data, len);
    text[len] = '\0';
    if (which < 0 || text[0] != 'k')
        return false;
    uint64_t named = strtoull(text + 1, &at, 10);
    uint64_t number = strtoull(at, &at, 10);
    if (named != op->keys[which] || number == 0 || number > client->clients->next_number ||
        client->clients->written[number].key != named || !may_be_current(client, op, which, number))
        return false;
    op->number = number;
    op->values |= 1u << which;
    return true;
}

static bool take_get(struct client *client, struct op *op, const struct heard *answer)
{
    if (answer->kind == HEARD_VALUE)
        return take_value(client, op, answer);
    if (answer->kind != HEARD_END)
        return false;
    for (int which = 0; which < (op->kind == OP_GET_TWO ? 2 : 1); which++)
        if (!(op->values >> which & 1) && !may_be_absent(client, op, which))
            return false;
    op_end(client, op, op->values > 0 ? OUTCOME_DONE : OUTCOME_MISS);
    return true;
}

/* Returns whether the answer fits the request. */
static bool take_answer(struct client *client, struct op *op, const struct heard *answer)
{
    static const struct {
        enum heard_kind done, miss;
    } fitting[OP_KINDS] = {
        [OP_SET] = {HEARD_STORED, HEARD_STORED},        [OP_ADD] = {HEARD_STORED, HEARD_NOT_STORED},
        [OP_DELETE] = {HEARD_DELETED, HEARD_NOT_FOUND}, [OP_INCR] = {HEARD_NUMBER, HEARD_NOT_FOUND},
        [OP_VERSION] = {HEARD_VERSION, HEARD_VERSION},
    };
    bool is_get = op->kind == OP_GET || op->kind == OP_GET_TWO;
    bool can_fail = op->kind != OP_VERSION;
    if (answer->kind == HEARD_NOT_DONE && can_fail)
        op_end(client, op, OUTCOME_NOT_DONE);
    else if (answer->kind == HEARD_UNKNOWN && can_fail && !is_get)
        op_end(client, op, OUTCOME_UNKNOWN);
    else if (is_get)
        return take_get(client, op, answer);
    else if (op->kind == OP_INCR && answer->kind == HEARD_NUMBER &&
             answer->number > client->clients->keys[op->keys[0]].increments)
        return false;
    else if (answer->kind == fitting[op->kind].done)
        op_end(client, op, OUTCOME_DONE);
    else if (answer->kind == fitting[op->kind].miss)
        op_end(client, op, OUTCOME_MISS);
    else
        return false;
    return true;
}

static void think(struct client *client)
{
    uint64_t think_us = (uint64_t)client->clients->think_ms * US_PER_MS;
    vclock_set(clock_of(client), &client->timer,
               clock_of(client)->now_us + prng_below(&client->prng, think_us + 1));
}

static void take_answers(struct client *client)
{
    struct span in = buf_span(&client->in);
    size_t at = 0;
    while (at < in.len) {
        struct heard answer = heard_parse(span_of(in.data + at, in.len - at), HOST_VALUE_BYTES_MAX);
        if (answer.kind == HEARD_MORE)
            break;
        struct op *op =
            client->op_answered < client->op_count ? &client->ops[client->op_answered] : NULL;
        if (!op || answer.kind == HEARD_BAD || !take_answer(client, op, &answer)) {
            char text[160];
            snprintf(text, sizeof(text), "%s: %.100s",
                     op ? "an answer that does not fit" : "an answer nobody asked for",
                     in.data + at);
            fail(client, op, text);
            return;
        }
        at += answer.consumed;
    }
    buf_consume(&client->in, at);
    if (client->op_count > 0 && client->op_answered == client->op_count) {
        client->op_count = client->op_answered = 0;
        think(client);
    }
}

/* --- the connection --------------------------------------------------------------------------- */

static void hang_up(struct client *client)
{
    if (client->sock)
        sock_close(client->sock);
    client->sock = NULL;
    client->is_connected = false;
    while (client->op_answered < client->op_count)
        op_end(client, &client->ops[client->op_answered], OUTCOME_UNKNOWN);
    client->op_count = client->op_answered = 0;
    buf_close(&client->in);
    think(client);
}

static uint32_t machine_of(const struct client *client)
{
    return world_client_machine(client->clients->world, client->number);
}

static void on_ready(void *arg, struct sock *sock)
{
    struct client *client = arg;
    if (sock_state(sock) == SOCK_OPEN && !client->is_connected) {
        client->is_connected = true;
        patience_connect(&client->patience, &client->clients->world->hosts[client->node],
                         machine_of(client));
        think(client);
    }
    struct span got = sock_received(sock);
    if (got.len > 0) {
        buf_append(&client->in, got.data, got.len);
        sock_take(sock, got.len);
        take_answers(client);
    }
    if (sock_state(sock) == SOCK_ENDED || sock_at_end(sock))
        hang_up(client);
}

static void connect_somewhere(struct client *client)
{
    struct world *world = client->clients->world;
    client->node = (uint32_t)prng_below(&client->prng, world->host_count);
    client->sock = net_dial(&world->net, machine_of(client), client->node, NAMES_PORT,
                            (struct sock_owner){on_ready, client});
    vclock_set(clock_of(client), &client->timer, clock_of(client)->now_us + CONNECT_US);
}

/* An answer has not come by now. */
static void be_late(struct client *client)
{
    const struct op *op = &client->ops[client->op_answered];
    switch (patience_ring(&client->patience, &client->timer, op->sent_us)) {
    case PATIENCE_LASTS:
        break;
    case PATIENCE_VAIN:
        hang_up(client);
        break;
    case PATIENCE_ENDS:
        fail(client, op, "no answer in time");
        break;
    }
}

static void on_timer(struct vtimer *timer)
{
    struct client *client = CONTAINER_OF(timer, struct client, timer);
    if (client->op_count > 0) {
        be_late(client);
    } else if (client->clients->is_paused) {
        return;
    } else if (client->is_connected) {
        if (prng_below(&client->prng, 20) == 0)
            hang_up(client);
        else
            send_batch(client);
    } else if (client->sock) {
        hang_up(client);
    } else {
        connect_somewhere(client);
    }
}

struct clients *clients_open(struct world *world, uint32_t count, uint32_t key_count)
{
    CHECK(key_count >= 2);
    CHECK(key_count <= CLIENT_KEYS_MAX);
    CHECK(world->options.client_count > 0);
    struct clients *clients = calloc(1, sizeof(*clients));
    CHECK(clients != NULL);
    *clients = (struct clients){.world = world,
                                .count = count,
                                .key_count = key_count,
                                .think_ms = 100,
                                .value_bytes_max = 200 * 1024};
    clients->list = calloc(count, sizeof(*clients->list));
    CHECK(clients->list != NULL);
    for (uint32_t i = 0; i < count; i++) {
        struct client *client = &clients->list[i];
        client->clients = clients;
        client->number = i;
        client->timer.ring = on_timer;
        prng_init(&client->prng, prng_next(&world->prng));
        think(client);
    }
    return clients;
}

void clients_pause(struct clients *clients)
{
    clients->is_paused = true;
}

void clients_resume(struct clients *clients)
{
    clients->is_paused = false;
    for (uint32_t i = 0; i < clients->count; i++)
        if (!vtimer_is_set(&clients->list[i].timer))
            think(&clients->list[i]);
}

void clients_close(struct clients *clients)
{
    for (uint32_t i = 0; i < clients->count; i++) {
        struct client *client = &clients->list[i];
        vclock_stop(&clients->world->clock, &client->timer);
        if (client->sock)
            sock_close(client->sock);
        buf_close(&client->in);
    }
    free(clients->list);
    free(clients->written);
    free(clients);
}

uint64_t clients_total(const struct clients *clients, enum op_outcome outcome)
{
    uint64_t total = 0;
    for (int kind = 0; kind < OP_KINDS; kind++)
        total += clients->done[kind][outcome];
    return total;
}
