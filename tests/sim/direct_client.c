#include "tests/sim/direct_client.h"

#include "common/check.h"
#include "common/number.h"
#include "tests/sim/client.h"
#include "tests/sim/heard.h"
#include "tests/sim/names.h"
#include "tests/sim/patience.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_US      (3ull * US_PER_S)
#define LATE_US         (1500ull * US_PER_MS)
#define THINK_US        (100ull * US_PER_MS)
#define KEYS            16u /* d0 … of each kind; not those of client.h */
#define CALLS_MAX       64u
#define CALL_PORT       20000u
#define LARGE_OF        40u /* one value of so many may have LARGE_BYTES, the others SMALL_BYTES */
#define LARGE_BYTES     150000u
#define SMALL_BYTES     64u
#define HANG_UP_OF      40u /* after one batch of so many it takes another entry node */
#define ANNOUNCE_OF     15u /* or another token */
#define CLOSE_OF        8u  /* HASTY: after one batch of so many */
#define DIAL_WINDOW_US  (1000ull * US_PER_MS)
#define DIAL_SLACK_US   (12ull * US_PER_MS) /* clocks 1 % too fast, and milliseconds cut off */
#define TOKEN_BYTES_MAX 40u

enum ask_kind { ASK_GET, ASK_SET, ASK_COUNT, ASK_DELETE, ASK_KINDS };

/* A request; kept for good, so that whatever comes later is judged too. */
struct ask {
    enum ask_kind kind;
    uint32_t key;
    uint64_t sent_us;
    uint32_t results; /* answers that say what was done or found */
    uint32_t errors;  /* that say why not */
    bool is_over;     /* not waited for any more */
};

/* A connection that a node has made to the client. */
struct call {
    struct direct_client *client;
    struct sock *sock; /* NULL: unused */
    bool has_said;     /* the right token */
    struct buf in;
    struct vtimer say; /* the token */
};

struct direct_client {
    struct direct_clients *clients;
    uint32_t number;
    uint32_t machine;
    struct prng prng;
    enum manner manner;
    uint32_t node; /* the entry node */
    struct sock *sock;
    bool is_connected;
    struct patience patience;
    bool is_announcing; /* return_port is not answered */
    char token[TOKEN_BYTES_MAX];
    struct buf in;
    struct net_listener listener;
    bool is_listening;
    struct call calls[CALLS_MAX];
    struct ask *asks;
    uint32_t ask_count;
    uint32_t ask_capacity;
    uint32_t first_open; /* before it all are over */
    uint64_t disturbed_us;
    struct vtimer timer;
    uint64_t *dial_us;     /* [node][2]: the last dials of its process */
    uint32_t *dial_starts; /* which process that was */
};

static struct vclock *clock_of(const struct direct_client *client)
{
    return &client->clients->world->clock;
}

static uint64_t now_of(const struct direct_client *client)
{
    return clock_of(client)->now_us;
}

static void fail(const struct direct_client *client, const struct ask *ask, const char *what)
{
    static const char *const kinds[ASK_KINDS] = {"mg", "ms", "ma", "md"};
    world_fail(client->clients->world, "client %u at n%u, %s of d%u sent at %.6f: %s",
               client->number, client->node + 1, ask ? kinds[ask->kind] : "-", ask ? ask->key : 0,
               ask ? (double)ask->sent_us / US_PER_S : 0.0, what);
}

static void think(struct direct_client *client)
{
    vclock_set(clock_of(client), &client->timer,
               now_of(client) + prng_below(&client->prng, THINK_US + 1));
}

/* --- requests --------------------------------------------------------------------------------- */

static struct ask *ask_add(struct direct_client *client)
{
    if (client->ask_count == client->ask_capacity) {
        client->ask_capacity = client->ask_capacity * 2 + 64;
        client->asks = realloc(client->asks, client->ask_capacity * sizeof(*client->asks));
        CHECK(client->asks != NULL);
    }
    struct ask *ask = &client->asks[client->ask_count++];
    *ask = (struct ask){.kind = (enum ask_kind)prng_below(&client->prng, ASK_KINDS),
                        .key = (uint32_t)prng_below(&client->prng, KEYS),
                        .sent_us = now_of(client)};
    ask->key += ask->kind == ASK_COUNT ? KEYS : 0;
    return ask;
}

/* A value names its key, and the request that has set it. */
static void append_set(struct direct_client *client, struct buf *out, const struct ask *ask)
{
    uint32_t index = client->ask_count - 1;
    bool is_large = prng_below(&client->prng, LARGE_OF) == 0;
    size_t fill = prng_below(&client->prng, is_large ? LARGE_BYTES : SMALL_BYTES);
    char head[64];
    int len = snprintf(head, sizeof(head), "d%u %u %u ", ask->key, client->number, index);
    buf_printf(out, "ms d%u %zu O%u.%u k\r\n%s", ask->key, (size_t)len + fill, client->number,
               index, head);
    char *at = buf_reserve(out, fill);
    memset(at, 'a' + (int)(index % 26), fill);
    buf_advance(out, fill);
    buf_printf(out, "\r\n");
}

static void append_ask(struct direct_client *client, struct buf *out)
{
    const struct ask *ask = ask_add(client);
    uint32_t index = client->ask_count - 1;
    switch (ask->kind) {
    case ASK_GET:
        buf_printf(out, "mg d%u v k O%u.%u\r\n", ask->key, client->number, index);
        break;
    case ASK_COUNT:
        buf_printf(out, "ma d%u N0 J1 v k O%u.%u\r\n", ask->key, client->number, index);
        break;
    case ASK_DELETE:
        buf_printf(out, "md d%u k O%u.%u\r\n", ask->key, client->number, index);
        break;
    default:
        append_set(client, out, ask);
        break;
    }
}

static void send_batch(struct direct_client *client)
{
    struct buf out = {0};
    uint32_t count = 1 + (uint32_t)prng_below(&client->prng, CLIENT_BATCH_MAX);
    for (uint32_t i = 0; i < count; i++)
        append_ask(client, &out);
    struct span bytes = buf_span(&out);
    sock_send(client->sock, bytes.data, bytes.len);
    buf_close(&out);
    patience_begin(&client->patience, &client->timer);
}

static void announce(struct direct_client *client)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "return_port %u\r\n", CALL_PORT + client->number);
    client->is_announcing = true;
    sock_send(client->sock, text, (size_t)len);
    patience_begin(&client->patience, &client->timer);
}

static bool has_open(const struct direct_client *client)
{
    return client->first_open < client->ask_count;
}

static void ask_over(struct direct_client *client, struct ask *ask)
{
    ask->is_over = true;
    while (has_open(client) && client->asks[client->first_open].is_over)
        client->first_open++;
}

/* --- answers ---------------------------------------------------------------------------------- */

/* The opaque of an error line is its last word. */
static struct span opaque_of(const struct heard *answer)
{
    if (answer->kind != HEARD_NOT_DONE && answer->kind != HEARD_UNKNOWN)
        return answer->opaque;
    size_t at = answer->text.len;
    while (at > 0 && answer->text.data[at - 1] != ' ')
        at--;
    if (at == answer->text.len || answer->text.data[at] != 'O')
        return (struct span){0};
    return span_of(answer->text.data + at + 1, answer->text.len - at - 1);
}

/* Takes a number and the byte that must follow it, or, with '\0', the end. */
static bool take_number(struct span *rest, char stop, uint32_t *number)
{
    const char *at = stop ? memchr(rest->data, stop, rest->len) : rest->data + rest->len;
    uint64_t parsed;
    if (!at)
        return false;
    size_t digits = (size_t)(at - rest->data);
    if (!number_parse_decimal(span_of(rest->data, digits), UINT32_MAX, &parsed))
        return false;
    *number = (uint32_t)parsed;
    *rest = span_of(rest->data + digits + (stop != 0), rest->len - digits - (stop != 0));
    return true;
}

/* The request that an answer's opaque names, or NULL: it is none of this client's. */
static struct ask *find_ask(const struct direct_client *client, const struct heard *answer)
{
    struct span opaque = opaque_of(answer);
    uint32_t number, index;
    if (opaque.len == 0 || !take_number(&opaque, '.', &number) ||
        !take_number(&opaque, '\0', &index) || number != client->number ||
        index >= client->ask_count)
        return NULL;
    return &client->asks[index];
}

/* Whether the key that the answer names is the request's. */
static bool names_key(const struct ask *ask, const struct heard *answer)
{
    char wanted[16];
    int len = snprintf(wanted, sizeof(wanted), "d%u", ask->key);
    for (size_t at = 0; at + 1 < answer->text.len; at++) {
        struct span rest = span_of(answer->text.data + at, answer->text.len - at);
        bool begins = at == 0 || rest.data[-1] == ' ';
        if (!begins || rest.data[0] != 'k')
            continue;
        const char *stop = memchr(rest.data, ' ', rest.len);
        size_t word = stop ? (size_t)(stop - rest.data) : rest.len;
        return word == (size_t)len + 1 && memcmp(rest.data + 1, wanted, (size_t)len) == 0;
    }
    return false;
}

/* Whether a value is of the key, and was sent for it by whom it names. */
static bool is_value_of(const struct direct_client *client, const struct ask *ask,
                        struct span value)
{
    const struct direct_clients *clients = client->clients;
    uint32_t key, number, index;
    struct span rest = value;
    if (rest.len == 0 || rest.data[0] != 'd')
        return false;
    rest = span_of(rest.data + 1, rest.len - 1);
    if (!take_number(&rest, ' ', &key) || !take_number(&rest, ' ', &number) ||
        !take_number(&rest, ' ', &index) || key != ask->key || number >= clients->count ||
        index >= clients->list[number].ask_count)
        return false;
    const struct ask *set = &clients->list[number].asks[index];
    return set->kind == ASK_SET && set->key == key;
}

static bool is_number(struct span value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
    return value.len > 0;
}

static bool fits(const struct direct_client *client, const struct ask *ask,
                 const struct heard *answer)
{
    if (answer->kind == HEARD_NOT_DONE)
        return true;
    if (answer->kind == HEARD_UNKNOWN)
        return ask->kind != ASK_GET;
    if (answer->kind == HEARD_META_MISS || answer->kind == HEARD_META_ABSENT)
        return (ask->kind == ASK_GET || ask->kind == ASK_DELETE) && names_key(ask, answer);
    if (answer->kind == HEARD_META_DONE)
        return (ask->kind == ASK_SET || ask->kind == ASK_DELETE) && names_key(ask, answer);
    if (answer->kind != HEARD_HIT || !names_key(ask, answer))
        return false;
    return ask->kind == ASK_COUNT ? is_number(answer->value)
                                  : ask->kind == ASK_GET && is_value_of(client, ask, answer->value);
}

/* Counts an answer. Returns what is wrong with its being there, or NULL. */
static const char *count_answer(struct direct_client *client, struct ask *ask, bool is_error,
                                bool is_direct)
{
    struct direct_clients *clients = client->clients;
    ask->results += !is_error;
    ask->errors += is_error;
    clients->errors += is_error;
    clients->direct += is_direct;
    clients->by_node += !is_direct;
    if (is_error && is_direct)
        return "an answer of the entry node's comes directly";
    if (is_error && clients->is_whole)
        return "it is not carried out";
    if (ask->results > 1 && (ask->kind != ASK_GET || clients->is_whole))
        return "a second answer";
    if (ask->errors > 1)
        return "a second error";
    return NULL;
}

static void say_wrong(struct direct_client *client, const struct ask *ask, const char *what,
                      const struct heard *answer, const char *text)
{
    char line[200];
    int len = answer->consumed < 100 ? (int)answer->consumed : 100;
    snprintf(line, sizeof(line), "%s: %.*s", what, len, text);
    fail(client, ask, line);
}

/* Takes one answer. Returns false if something is wrong. */
static bool take_answer(struct direct_client *client, const struct heard *answer, const char *text,
                        bool is_direct)
{
    struct ask *ask = find_ask(client, answer);
    const char *wrong = NULL;
    if (!ask)
        wrong = "an answer to nothing it has asked";
    else if (!fits(client, ask, answer))
        wrong = "an answer that does not fit";
    else
        wrong = count_answer(client, ask,
                             answer->kind == HEARD_NOT_DONE || answer->kind == HEARD_UNKNOWN,
                             is_direct);
    if (wrong) {
        say_wrong(client, ask, wrong, answer, text);
        return false;
    }
    trace_mix(&client->clients->world->trace, now_of(client) << 1 | is_direct);
    if (!ask->is_over) {
        ask_over(client, ask);
        if (!has_open(client))
            think(client);
    }
    return true;
}

/* The answer to return_port. */
static bool take_announced(struct direct_client *client, const struct heard *answer)
{
    bool is_on = answer->kind == HEARD_RETURN_PORT && answer->text.len < TOKEN_BYTES_MAX;
    bool is_refused = answer->kind == HEARD_CLIENT_ERROR || answer->kind == HEARD_SERVER_ERROR ||
                      answer->kind == HEARD_OTHER;
    if ((!is_on && !is_refused) || (is_on && client->clients->is_off)) {
        fail(client, NULL, "an answer that does not fit return_port");
        return false;
    }
    client->is_announcing = false;
    size_t len = is_on ? answer->text.len : 0;
    memcpy(client->token, answer->text.data, len);
    client->token[len] = '\0';
    think(client);
    return true;
}

static void take_answers(struct direct_client *client, struct buf *buf, bool is_direct)
{
    struct span in = buf_span(buf);
    size_t at = 0;
    while (at < in.len) {
        struct heard answer = heard_parse(span_of(in.data + at, in.len - at), HOST_VALUE_BYTES_MAX);
        if (answer.kind == HEARD_MORE)
            break;
        bool is_about_port = !is_direct && client->is_announcing && opaque_of(&answer).len == 0;
        if (answer.kind == HEARD_BAD) {
            fail(client, NULL, "bytes that are no answer");
            return;
        }
        if (is_about_port ? !take_announced(client, &answer)
                          : !take_answer(client, &answer, in.data + at, is_direct))
            return;
        at += answer.consumed;
    }
    buf_consume(buf, at);
}

/* --- connections from nodes ------------------------------------------------------------------- */

static void call_close(struct call *call)
{
    struct direct_client *client = call->client;
    if (!call->sock)
        return;
    vclock_stop(clock_of(client), &call->say);
    sock_close(call->sock);
    call->sock = NULL;
    buf_close(&call->in);
    client->clients->silent += !call->has_said;
    if (call->has_said)
        client->disturbed_us = now_of(client);
}

static void calls_close(struct direct_client *client)
{
    for (uint32_t i = 0; i < CALLS_MAX; i++)
        call_close(&client->calls[i]);
}

static void on_call_ready(void *arg, struct sock *sock)
{
    struct call *call = arg;
    struct span got = sock_received(sock);
    if (got.len > 0 && !call->has_said) {
        fail(call->client, NULL, "bytes come before it has said the token");
        return;
    }
    if (got.len > 0) {
        buf_append(&call->in, got.data, got.len);
        sock_take(sock, got.len);
        take_answers(call->client, &call->in, true);
    }
    if (sock_state(sock) == SOCK_ENDED || sock_at_end(sock))
        call_close(call);
}

static void say_token(struct call *call)
{
    struct direct_client *client = call->client;
    char text[TOKEN_BYTES_MAX + 2];
    if (client->token[0] == '\0')
        return;
    int len = snprintf(text, sizeof(text), "%s\r\n", client->token);
    call->has_said = client->manner != MANNER_WRONG;
    if (!call->has_said)
        text[prng_below(&client->prng, (uint64_t)len - 2)] = 'g'; /* no digit */
    sock_send(call->sock, text, (size_t)len);
}

static void on_say(struct vtimer *timer)
{
    say_token(CONTAINER_OF(timer, struct call, say));
}

static void call_begin(struct direct_client *client, struct call *call, struct sock *sock)
{
    call->sock = sock;
    call->has_said = false;
    sock_set_owner(sock, (struct sock_owner){on_call_ready, call});
    if (client->manner == MANNER_LATE)
        vclock_set(clock_of(client), &call->say,
                   now_of(client) + prng_below(&client->prng, LATE_US));
    else if (client->manner != MANNER_MUTE)
        say_token(call);
}

static void on_call(void *arg)
{
    struct direct_client *client = arg;
    struct sock *sock;
    while ((sock = net_accept(&client->listener))) {
        uint32_t i = 0;
        while (i < CALLS_MAX && client->calls[i].sock)
            i++;
        CHECK(i < CALLS_MAX);
        call_begin(client, &client->calls[i], sock);
    }
}

static void listen_or_not(struct direct_client *client, bool listens)
{
    struct net *net = &client->clients->world->net;
    if (listens && !client->is_listening)
        net_listen(net, &client->listener, client->machine, (uint16_t)(CALL_PORT + client->number),
                   on_call, client);
    if (!listens && client->is_listening)
        net_unlisten(&client->listener);
    client->is_listening = listens;
}

static void draw_manner(struct direct_client *client)
{
    do {
        client->manner = (enum manner)prng_below(&client->prng, MANNERS);
    } while (!(client->clients->manners >> client->manner & 1));
    listen_or_not(client, client->manner != MANNER_ABSENT);
}

/* A node dials somebody: it must be one of these, where it listens, and not too often. */
static void hear_dial(void *arg, const struct trace_line *line)
{
    struct direct_clients *clients = arg;
    struct world *world = clients->world;
    uint32_t machine, node;
    uint16_t port;
    if (!span_equal(line->event, SPAN_LITERAL("dial-client")))
        return;
    clients->dials++;
    bool is_known = name_find(trace_field(line, "node"), &node) > 0 && node < world->host_count &&
                    world_find_address(world, trace_field(line, "address"), &machine, &port) &&
                    machine >= world->host_count && machine < world->host_count + clients->count &&
                    port == CALL_PORT + machine - world->host_count;
    if (!is_known || clients->is_off) {
        world_fail(world, "a node dials somebody who has not asked for it");
        return;
    }
    struct direct_client *client = &clients->list[machine - world->host_count];
    uint64_t *last_us = &client->dial_us[(size_t)node * 2], now_us = world->clock.now_us;
    if (client->dial_starts[node] != world->hosts[node].starts)
        last_us[0] = last_us[1] = 0;
    client->dial_starts[node] = world->hosts[node].starts;
    if (last_us[0] != 0 && now_us + DIAL_SLACK_US < last_us[0] + DIAL_WINDOW_US)
        fail(client, NULL, "a node dials it three times within a second");
    last_us[0] = last_us[1];
    last_us[1] = now_us;
}

/* --- the connection to the entry node --------------------------------------------------------- */

static void hang_up(struct direct_client *client)
{
    if (client->sock)
        sock_close(client->sock);
    client->sock = NULL;
    client->is_connected = client->is_announcing = false;
    CHECK(!has_open(client) || client->asks != NULL);
    for (; has_open(client); client->first_open++) {
        struct ask *ask = &client->asks[client->first_open];
        client->clients->lost += !ask->is_over;
        ask->is_over = true;
    }
    buf_close(&client->in);
    calls_close(client);
    client->token[0] = '\0';
    think(client);
}

static void on_ready(void *arg, struct sock *sock)
{
    struct direct_client *client = arg;
    if (sock_state(sock) == SOCK_OPEN && !client->is_connected) {
        client->is_connected = true;
        patience_connect(&client->patience, &client->clients->world->hosts[client->node],
                         client->machine);
        announce(client);
    }
    struct span got = sock_received(sock);
    if (got.len > 0) {
        buf_append(&client->in, got.data, got.len);
        sock_take(sock, got.len);
        take_answers(client, &client->in, false);
    }
    if (sock_state(sock) == SOCK_ENDED || sock_at_end(sock))
        hang_up(client);
}

static void connect_somewhere(struct direct_client *client)
{
    struct world *world = client->clients->world;
    draw_manner(client);
    client->node = (uint32_t)prng_below(&client->prng, world->host_count);
    client->sock = net_dial(&world->net, client->machine, client->node, NAMES_PORT,
                            (struct sock_owner){on_ready, client});
    vclock_set(clock_of(client), &client->timer, now_of(client) + CONNECT_US);
}

/* Whether an answer that was given directly may have been lost since then. */
static bool may_have_lost(const struct direct_client *client, uint64_t since_us)
{
    const struct world *world = client->clients->world;
    bool may = client->disturbed_us >= since_us;
    for (uint32_t i = 0; i < CALLS_MAX && !may; i++) {
        const struct call *call = &client->calls[i];
        if (!call->sock || !call->has_said)
            continue;
        uint32_t node = sock_peer_machine(call->sock);
        may = !world->net.machines[node].is_on || world->hosts[node].disturbed_us >= since_us;
    }
    return may;
}

/* Some answers, or that to return_port, have not come by now. */
static void be_late(struct direct_client *client)
{
    const struct ask *ask = has_open(client) ? &client->asks[client->first_open] : NULL;
    uint64_t since_us = ask ? ask->sent_us : client->patience.begun_us;
    enum patience_end end = patience_ring(&client->patience, &client->timer, since_us);
    if (end == PATIENCE_LASTS)
        return;
    if (end == PATIENCE_ENDS && !may_have_lost(client, since_us))
        fail(client, ask, "no answer in time");
    hang_up(client);
}

static void go_on(struct direct_client *client)
{
    if (prng_below(&client->prng, HANG_UP_OF) == 0) {
        hang_up(client);
        return;
    }
    if (client->manner == MANNER_HASTY && prng_below(&client->prng, CLOSE_OF) == 0)
        calls_close(client);
    if (prng_below(&client->prng, ANNOUNCE_OF) == 0) {
        calls_close(client); /* they know another token */
        announce(client);
    } else {
        send_batch(client);
    }
}

static void on_timer(struct vtimer *timer)
{
    struct direct_client *client = CONTAINER_OF(timer, struct direct_client, timer);
    if (has_open(client) || client->is_announcing)
        be_late(client);
    else if (client->is_connected)
        go_on(client);
    else if (client->sock)
        hang_up(client);
    else
        connect_somewhere(client);
}

static void client_init(struct direct_clients *clients, uint32_t number)
{
    struct direct_client *client = &clients->list[number];
    struct world *world = clients->world;
    client->clients = clients;
    client->number = number;
    client->machine = world_client_machine(world, number);
    client->timer.ring = on_timer;
    client->dial_us = calloc((size_t)world->host_count * 2, sizeof(*client->dial_us));
    client->dial_starts = calloc(world->host_count, sizeof(*client->dial_starts));
    CHECK(client->dial_us != NULL);
    CHECK(client->dial_starts != NULL);
    for (uint32_t i = 0; i < CALLS_MAX; i++)
        client->calls[i] = (struct call){.client = client, .say.ring = on_say};
    prng_init(&client->prng, prng_next(&world->prng));
    think(client);
}

struct direct_clients *direct_clients_open(struct world *world, uint32_t count, uint32_t manners)
{
    CHECK(count <= world->options.client_count);
    CHECK(manners != 0);
    struct direct_clients *clients = calloc(1, sizeof(*clients));
    CHECK(clients != NULL);
    *clients = (struct direct_clients){.world = world, .count = count, .manners = manners};
    clients->list = calloc(count, sizeof(*clients->list));
    CHECK(clients->list != NULL);
    for (uint32_t i = 0; i < count; i++)
        client_init(clients, i);
    trace_listen(&world->trace, hear_dial, clients);
    return clients;
}

void direct_clients_close(struct direct_clients *clients)
{
    for (uint32_t i = 0; i < clients->count; i++) {
        struct direct_client *client = &clients->list[i];
        vclock_stop(&clients->world->clock, &client->timer);
        if (client->sock)
            sock_close(client->sock);
        calls_close(client);
        listen_or_not(client, false);
        buf_close(&client->in);
        free(client->asks);
        free(client->dial_us);
        free(client->dial_starts);
    }
    clients->world->trace.listener_count--; /* its own is the last */
    free(clients->list);
    free(clients);
}

void direct_client_disturb(struct direct_clients *clients, uint32_t number)
{
    CHECK(number < clients->count);
    clients->list[number].disturbed_us = clients->world->clock.now_us;
}

uint32_t direct_client_entry(const struct direct_clients *clients, uint32_t number)
{
    CHECK(number < clients->count);
    return clients->list[number].sock ? clients->list[number].node : UINT32_MAX;
}
