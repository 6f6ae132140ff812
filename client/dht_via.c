#include "client/dht_via.h"

#include "client/dht_request.h"
#include "common/check.h"
#include "common/number.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define TOKEN_DIGITS      (2 * HEX64_DIGITS)
#define LISTEN_BACKLOG    64
#define REQUEST_BYTES_MAX 32u

struct via *via_new(void)
{
    struct via *via = calloc(1, sizeof(*via));
    CHECK(via != NULL);
    via->listener = -1;
    return via;
}

static void connections_close(struct via *via)
{
    while (via->count > 0)
        server_free(via->connections[--via->count]);
}

static void listener_close(struct via *via)
{
    if (via->listener >= 0)
        close(via->listener);
    via->listener = -1;
}

void via_free(struct via *via)
{
    if (!via)
        return;
    connections_close(via);
    listener_close(via);
    free(via);
}

void via_begin(struct via *via)
{
    via_forget_ended(via);
    while (getrandom(&via->nonce, sizeof(via->nonce), 0) != (ssize_t)sizeof(via->nonce))
        CHECK(errno == EINTR);
}

/* ---- listening ---- */

static uint16_t port_of(const struct sockaddr_storage *name)
{
    return ntohs(name->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)name)->sin6_port
                                             : ((const struct sockaddr_in *)name)->sin_port);
}

static void port_clear(struct sockaddr_storage *name)
{
    if (name->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)name)->sin6_port = 0;
    else
        ((struct sockaddr_in *)name)->sin_port = 0;
}

static bool host_of(const struct sockaddr_storage *name, char host[46])
{
    const void *address = name->ss_family == AF_INET6
                              ? (const void *)&((const struct sockaddr_in6 *)name)->sin6_addr
                              : (const void *)&((const struct sockaddr_in *)name)->sin_addr;
    return inet_ntop(name->ss_family, address, host, 46) != NULL;
}

/* Listens at the address that fd's connection has on this side. Returns false if that can't be. */
static bool listen_beside(struct via *via, int fd)
{
    struct sockaddr_storage name = {0};
    socklen_t len = sizeof(name);
    char host[46];
    if (getsockname(fd, (struct sockaddr *)&name, &len) != 0 || !host_of(&name, host))
        return false;
    if (via->listener >= 0 && strcmp(host, via->host) == 0)
        return true;
    listener_close(via);
    port_clear(&name);
    int listener = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
        return false;
    if (bind(listener, (struct sockaddr *)&name, len) != 0 ||
        listen(listener, LISTEN_BACKLOG) != 0 ||
        getsockname(listener, (struct sockaddr *)&name, &len) != 0) {
        close(listener);
        return false;
    }
    via->listener = listener;
    via->port = port_of(&name);
    memcpy(via->host, host, sizeof(host));
    return true;
}

enum err via_announce(struct via *via, struct server *server, uint64_t deadline_ms)
{
    char request[REQUEST_BYTES_MAX];
    struct answer answer;
    connections_close(via); /* they know another token */
    server->is_via = false;
    if (!listen_beside(via, server->wire.fd))
        return ERR_OK;
    snprintf(request, sizeof(request), "return_port %u\r\n", (unsigned)via->port);
    enum err err = server_ask(server, request, deadline_ms, &answer);
    if (err != ERR_OK || answer.kind != ANSWER_RETURN_PORT ||
        !number_is_hex(answer.text, TOKEN_DIGITS))
        return err;
    memcpy(via->token, answer.text.data, TOKEN_DIGITS);
    via->token[TOKEN_DIGITS] = '\0';
    server->is_via = true;
    return ERR_OK;
}

/* ---- connections from nodes ---- */

size_t via_poll(const struct via *via, struct pollfd *fds)
{
    if (via->listener < 0)
        return 0;
    fds[0] = (struct pollfd){.fd = via->listener, .events = POLLIN};
    for (size_t i = 0; i < via->count; i++) {
        const struct wire *wire = &via->connections[i]->wire;
        fds[1 + i] = (struct pollfd){.fd = wire->fd, .events = wire_events(wire, true)};
    }
    return 1 + via->count;
}

/* Lets one node in. It says nothing before it has the token. */
static void let_in(struct via *via)
{
    static const struct address unknown;
    int one = 1;
    int fd = accept4(via->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (via->count == VIA_CONNECTIONS_MAX) {
        close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct server *node = server_new(&unknown);
    node->wire.fd = fd;
    node->is_via = true;
    buf_printf(&node->wire.out, "%s\r\n", via->token);
    via->connections[via->count++] = node;
}

/* Ends a connection; what came on it before lies in wire.in. */
static void connection_end(struct server *node)
{
    close(node->wire.fd);
    node->wire.fd = -1;
}

bool via_move(struct via *via, const struct pollfd *fds)
{
    bool has_ended = false;
    if (via->listener < 0)
        return false;
    size_t count = via->count; /* those let in now were not polled */
    for (size_t i = 0; i < count; i++) {
        struct server *node = via->connections[i];
        if (fds[1 + i].revents == 0 || wire_move(&node->wire, fds[1 + i].revents) == ERR_OK)
            continue;
        connection_end(node);
        has_ended = true;
    }
    if (fds[0].revents)
        let_in(via);
    return has_ended;
}

void via_forget_ended(struct via *via)
{
    for (size_t i = via->count; i-- > 0;) {
        if (via->connections[i]->wire.fd >= 0)
            continue;
        server_free(via->connections[i]);
        via->connections[i] = via->connections[--via->count];
    }
}

/* ---- opaques ---- */

/* opaque = 16(hexadecimal digit) "." index "." attempt       both in decimal */
struct span via_opaque(const struct via *via, uint32_t index, unsigned attempt,
                       char text[VIA_OPAQUE_BYTES_MAX + 1])
{
    CHECK(attempt <= VIA_ATTEMPTS_MAX);
    int len = snprintf(text, VIA_OPAQUE_BYTES_MAX + 1, "%016" PRIx64 ".%" PRIu32 ".%u", via->nonce,
                       index, attempt);
    CHECK(len > 0 && (unsigned)len <= VIA_OPAQUE_BYTES_MAX);
    return span_of(text, (size_t)len);
}

/* Whether it is of the form that via_opaque gives. */
static bool is_ours(struct span opaque)
{
    return opaque.len >= HEX64_DIGITS + 4 && opaque.data[HEX64_DIGITS] == '.';
}

/* The opaque of an error line is its last word: cut off. Empty if there is none. */
static struct span text_cut_opaque(struct span *text)
{
    size_t at = text->len;
    while (at > 0 && text->data[at - 1] != ' ')
        at--;
    if (at == text->len || text->data[at] != 'O')
        return span_of(NULL, 0);
    struct span opaque = span_of(text->data + at + 1, text->len - at - 1);
    if (!is_ours(opaque))
        return span_of(NULL, 0);
    text->len = at > 0 ? at - 1 : 0;
    return opaque;
}

uint32_t via_index(const struct via *via, struct answer *answer, unsigned *attempt)
{
    struct span opaque = answer->opaque;
    uint64_t nonce, index, number;
    if (answer_is_failure(answer->kind))
        opaque = text_cut_opaque(&answer->text);
    if (opaque.len == 0)
        return SLIP_NONE;
    if (!is_ours(opaque) ||
        !number_parse_hex(span_of(opaque.data, HEX64_DIGITS), HEX64_DIGITS, &nonce) ||
        nonce != via->nonce)
        return VIA_STRAY;
    struct span rest = span_of(opaque.data + HEX64_DIGITS + 1, opaque.len - HEX64_DIGITS - 1);
    const char *dot = memchr(rest.data, '.', rest.len);
    if (!dot)
        return VIA_STRAY;
    size_t digits = (size_t)(dot - rest.data);
    if (!number_parse_decimal(span_of(rest.data, digits), VIA_STRAY - 1, &index) ||
        !number_parse_decimal(span_of(dot + 1, rest.len - digits - 1), VIA_ATTEMPTS_MAX, &number))
        return VIA_STRAY;
    *attempt = (unsigned)number;
    return (uint32_t)index;
}
