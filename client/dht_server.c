#include "client/dht_server.h"

#include "common/check.h"

#include <stdlib.h>

#define REST_MS        1000u /* not asked as a leader again so soon after a failure */
#define REST_DOUBLINGS 6u    /* up to about a minute: it may never be reached from here */

struct server *server_new(const struct address *address)
{
    struct server *server = calloc(1, sizeof(*server));
    CHECK(server != NULL);
    server->address = *address;
    address_format(address, server->name);
    server->wire.fd = -1;
    server->first = server->last = SLIP_NONE;
    return server;
}

void server_free(struct server *server)
{
    if (!server)
        return;
    wire_close(&server->wire);
    free(server);
}

void server_push(struct server *server, struct slip *slips, uint32_t index)
{
    struct slip *slip = &slips[index];
    slip->state = SLIP_ASKED;
    slip->has_left = false;
    slip->server = server;
    slip->before = server->last;
    slip->after = SLIP_NONE;
    if (server->last != SLIP_NONE)
        slips[server->last].after = index;
    else
        server->first = index;
    server->last = index;
    server->count++;
}

void server_remove(struct server *server, struct slip *slips, uint32_t index)
{
    struct slip *slip = &slips[index];
    CHECK(slip->server == server);
    CHECK(slip->state == SLIP_ASKED);
    if (slip->before != SLIP_NONE)
        slips[slip->before].after = slip->after;
    else
        server->first = slip->after;
    if (slip->after != SLIP_NONE)
        slips[slip->after].before = slip->before;
    else
        server->last = slip->before;
    slip->server = NULL;
    server->count--;
}

void server_let_go(struct server *server)
{
    buf_consume(&server->wire.in, server->held_bytes);
    server->held_bytes = 0;
}

void server_hang_up(struct server *server)
{
    wire_close(&server->wire);
    server->held_bytes = 0;
}

enum err server_ask(struct server *server, const char *request, uint64_t deadline_ms,
                    struct answer *answer)
{
    struct wire *wire = &server->wire;
    CHECK(server->count == 0);
    server_let_go(server);
    buf_append(&wire->out, request, strlen(request));
    for (;;) {
        size_t need;
        struct span in = buf_span(&wire->in);
        switch (answer_parse(in.data, in.len, DHT_VALUE_BYTES_MAX, answer, &server->held_bytes,
                             &need)) {
        case ANSWER_DONE:
            return ERR_OK;
        case ANSWER_BAD:
            return ERR_SYNTAX;
        case ANSWER_MORE:
            break;
        }
        enum err err = wire_step(wire, deadline_ms);
        if (err != ERR_OK)
            return err;
    }
}

void server_rest(struct server *server, uint64_t now_ms)
{
    server->rest_until_ms = now_ms + ((uint64_t)REST_MS << server->failure_count);
    if (server->failure_count < REST_DOUBLINGS)
        server->failure_count++;
}

void server_forgive(struct server *server)
{
    server->rest_until_ms = 0;
    server->failure_count = 0;
}
