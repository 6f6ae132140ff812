#include "tests/sim/console.h"

#include "common/check.h"
#include "tests/sim/names.h"

#include <stdarg.h>

#define STEP_US    100u
#define CONNECT_MS 300u

void console_init(struct console *console, struct world *world, uint32_t client)
{
    *console = (struct console){.world = world, .machine = world_client_machine(world, client)};
}

static void hang_up(struct console *console)
{
    if (console->sock)
        sock_close(console->sock);
    console->sock = NULL;
    console->is_ended = false;
    buf_close(&console->in);
}

void console_close(struct console *console)
{
    hang_up(console);
}

static void on_ready(void *arg, struct sock *sock)
{
    struct console *console = arg;
    struct span got = sock_received(sock);
    buf_append(&console->in, got.data, got.len);
    sock_take(sock, got.len);
    if (sock_state(sock) == SOCK_ENDED || sock_at_end(sock))
        console->is_ended = true;
}

static bool is_connected(const struct console *console, uint32_t node)
{
    const struct host *host = &console->world->hosts[node];
    return console->sock && console->node == node && !console->is_ended &&
           console->starts == host->starts && sock_state(console->sock) == SOCK_OPEN;
}

static bool connect_to(struct console *console, uint32_t node)
{
    struct world *world = console->world;
    uint64_t until_us = world->clock.now_us + CONNECT_MS * US_PER_MS;
    if (is_connected(console, node)) {
        buf_close(&console->in);
        return true;
    }
    hang_up(console);
    console->node = node;
    console->starts = world->hosts[node].starts;
    console->sock = net_dial(&world->net, console->machine, node, NAMES_PORT,
                             (struct sock_owner){on_ready, console});
    while (sock_state(console->sock) == SOCK_DIALLING && world->clock.now_us < until_us &&
           !world->has_failed)
        world_run_us(world, STEP_US);
    return sock_state(console->sock) == SOCK_OPEN;
}

struct heard console_ask(struct console *console, uint32_t node, uint64_t limit_ms,
                         const char *format, ...)
{
    struct world *world = console->world;
    uint64_t begun_us = world->clock.now_us;
    struct heard heard = {.kind = HEARD_BAD};
    struct buf out = {0};
    va_list args;
    console->took_us = 0;
    if (!connect_to(console, node))
        return heard;
    va_start(args, format);
    buf_vprintf(&out, format, args);
    va_end(args);
    begun_us = world->clock.now_us;
    sock_send(console->sock, buf_span(&out).data, buf_len(&out));
    buf_close(&out);
    heard.kind = HEARD_MORE;
    while (heard.kind == HEARD_MORE && !world->has_failed) {
        if (buf_len(&console->in) > 0)
            heard = heard_parse(buf_span(&console->in), HOST_VALUE_BYTES_MAX);
        if (heard.kind != HEARD_MORE || console->is_ended ||
            world->clock.now_us >= begun_us + limit_ms * US_PER_MS)
            break;
        world_run_us(world, STEP_US);
    }
    console->took_us = world->clock.now_us - begun_us;
    if (heard.kind == HEARD_MORE && console->is_ended)
        heard.kind = HEARD_BAD;
    if (heard.kind == HEARD_VALUE) /* END follows in the same breath */
        world_run_us(world, STEP_US);
    if (heard.kind == HEARD_MORE || heard.kind == HEARD_VALUE)
        console->starts = UINT32_MAX; /* what comes late is for nobody */
    return heard;
}

struct heard console_get(struct console *console, uint32_t node, const char *key)
{
    return console_ask(console, node, CONSOLE_LIMIT_MS, "get %s\r\n", key);
}

struct heard console_set(struct console *console, uint32_t node, const char *key, const char *value)
{
    return console_ask(console, node, CONSOLE_LIMIT_MS, "set %s 0 0 %zu\r\n%s\r\n", key,
                       strlen(value), value);
}
