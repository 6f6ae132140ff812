/* Gossip that is told anything by three peers, as time passes: whatever they say, its tables stay
 * whole and within their bounds.
 *
 * The input is a sequence of steps, each up to a NUL. The first byte says which: 0, 1 or 2, that
 * peer says the rest, a frame's header up to a newline and its body behind; t, so many milliseconds
 * pass as there are bytes behind it, times twenty; any other, that peer's connection breaks. */
#include "common/check.h"
#include "common/message.h"
#include "server/core/gossip.h"

#include <stdio.h>
#include <stdlib.h>

#define PEERS    3u
#define ENDS     64u
#define STEP_MS  20u
#define TIME_MAX 600000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct end {
    bool is_open, is_new; /* dialled, and not answered yet */
    uint32_t generation;
    struct session session;
};

struct place {
    struct moment now;
    struct env env;
    struct log log;
    struct stats stats;
    struct links links;
    struct gossip gossip;
    struct end ends[ENDS];
    struct conn_id conns[PEERS]; /* by which the peers speak */
    uint64_t boot;               /* the next one of a peer */
};

static const char *const names[PEERS] = {"10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"};

static struct end *end_of(struct place *place, struct conn_id conn)
{
    struct end *end = conn.index < ENDS ? &place->ends[conn.index] : NULL;
    return end && end->is_open && end->generation == conn.generation ? end : NULL;
}

static struct conn_id end_open(struct place *place, bool is_new)
{
    for (uint32_t i = 0; i < ENDS; i++) {
        struct end *end = &place->ends[i];
        if (end->is_open)
            continue;
        *end = (struct end){.is_open = true, .is_new = is_new, .generation = end->generation + 1};
        return (struct conn_id){i, end->generation};
    }
    return (struct conn_id){0};
}

static struct session *place_session(void *arg, struct conn_id conn)
{
    struct end *end = end_of(arg, conn);
    return end ? &end->session : NULL;
}

static void place_client_text(void *arg, struct conn_id conn, char text[CLIENT_TEXT_BYTES_MAX])
{
    (void)arg;
    (void)conn;
    snprintf(text, CLIENT_TEXT_BYTES_MAX, "192.0.2.1:1024");
}

static struct conn_id place_dial(void *arg, const char *name)
{
    (void)name;
    return end_open(arg, true);
}

static void place_close(void *arg, struct conn_id conn, bool after_sending)
{
    (void)after_sending;
    struct end *end = end_of(arg, conn);
    if (!end)
        return;
    session_close(&end->session);
    end->is_open = false;
}

static uint64_t place_unacked(void *arg, struct conn_id conn)
{
    struct end *end = end_of(arg, conn);
    return end ? reply_len(&end->session.out) : 0;
}

static void place_sink(void *arg, const char *line, size_t len)
{
    (void)arg;
    (void)line;
    (void)len;
}

static void take_news(struct place *place)
{
    struct link_news news;
    while (links_take_news(&place->links, &news))
        if (news.lane != LANE_DATA)
            gossip_link(&place->gossip, &news, place->now);
}

static void hear(struct place *place, uint32_t peer, const struct message *message);

/* A peer dials, as a process that has just started, and tells its own account. */
static void greet(struct place *place, uint32_t peer)
{
    struct conn_id conn = end_open(place, false);
    CHECK(conn.generation != 0);
    struct span name = span_of_string(names[peer]);
    const struct message hello = {.kind = MESSAGE_HELLO,
                                  .HELLO = {.oldest = PROTOCOL_OLDEST,
                                            .newest = PROTOCOL_NEWEST,
                                            .kind = SPAN_LITERAL("control"),
                                            .cluster = SPAN_LITERAL("dht"),
                                            .gossip = SPAN_LITERAL("random"),
                                            .from = name,
                                            .generation = peer + 2,
                                            .boot = place->boot++,
                                            .to = SPAN_LITERAL("10.0.0.1:1")}};
    links_handshake(&place->links, NULL, conn, &hello, gossip_boot_of(&place->gossip, name),
                    place->now);
    place->conns[peer] = conn;
    take_news(place);
    char own[NEWS_LINE_BYTES_MAX];
    snprintf(own, sizeof(own), "ALIVE %s %llu %016x 0 1 0 1 0\n", names[peer],
             (unsigned long long)hello.HELLO.boot, peer + 2);
    const struct message news = {.kind = MESSAGE_NEWS, .NEWS.hb = 1, .body = span_of_string(own)};
    hear(place, peer, &news);
}

/* Dialled connections stand, or are refused, by turns; what was sent has left. */
static void settle(struct place *place)
{
    for (uint32_t i = 0; i < ENDS; i++) {
        struct end *end = &place->ends[i];
        struct link *link = links_find(&place->links, (struct conn_id){i, end->generation});
        if (end->is_open && end->is_new && link && i % 2 == 0) {
            links_connected(&place->links, link);
        } else if (end->is_open && end->is_new && link) {
            end->is_open = false;
            links_end(&place->links, link, DISCONNECT_REFUSED, NULL, place->now);
        }
        end->is_new = false;
        if (end->is_open && reply_len(&end->session.out) > 0) {
            reply_own(&end->session.out);
            reply_consume(&end->session.out, reply_len(&end->session.out));
        }
    }
    take_news(place);
}

static void break_link(struct place *place, uint32_t peer, enum disconnect why)
{
    struct link *link = links_find(&place->links, place->conns[peer]);
    if (link)
        links_end(&place->links, link, why, NULL, place->now);
    take_news(place);
}

static void hear(struct place *place, uint32_t peer, const struct message *message)
{
    struct link *link = links_find(&place->links, place->conns[peer]);
    if (!link)
        return; /* a later process of its name is known */
    struct reply *out = link_out(&place->links, link);
    CHECK(out != NULL);
    if (gossip_message(&place->gossip, link->peer, message, out, place->now))
        break_link(place, peer, DISCONNECT_DENIED);
}

static void say(struct place *place, uint32_t peer, struct span said)
{
    if (!links_find(&place->links, place->conns[peer]))
        greet(place, peer);
    const char *newline = memchr(said.data, '\n', said.len);
    size_t len = newline ? (size_t)(newline - said.data) : said.len;
    size_t body = newline ? len + 1 : len;
    const struct frame frame = {.header = span_of(said.data, len),
                                .body = span_of(said.data + body, said.len - body)};
    struct message message;
    if (frame.header.len > FRAME_HEADER_BYTES_MAX || frame.body.len > FRAME_BODY_BYTES_MAX ||
        message_parse(&frame, &message) || message.kind < MESSAGE_GET_MEMBERSHIP_LIST)
        return;
    hear(place, peer, &message);
}

static void pass(struct place *place, size_t steps)
{
    for (size_t i = 0; i < steps && place->now.mono_ms < TIME_MAX; i++) {
        place->now.mono_ms += STEP_MS;
        place->now.unix_ms += STEP_MS;
        struct link *late;
        while ((late = links_late(&place->links, place->now)))
            links_end(&place->links, late, DISCONNECT_MUTE, NULL, place->now);
        take_news(place);
        if (gossip_deadline(&place->gossip) <= place->now.mono_ms)
            gossip_tick(&place->gossip, place->now);
        settle(place);
    }
    links_sweep(&place->links, place->now);
}

static void step(struct place *place, struct span what)
{
    uint32_t peer = (uint8_t)what.data[0] % PEERS;
    struct span rest = span_of(what.data + 1, what.len - 1);
    if (what.data[0] >= '0' && what.data[0] < '0' + (int)PEERS)
        say(place, (uint32_t)(what.data[0] - '0'), rest);
    else if (what.data[0] == 't')
        pass(place, rest.len);
    else
        break_link(place, peer, rest.len % 2 == 0 ? DISCONNECT_CLOSED : DISCONNECT_RESET);
    settle(place);
    gossip_check(&place->gossip);
}

static void place_open(struct place *place, const struct view *seeds)
{
    place->now = (struct moment){1000, 1700000000000};
    place->boot = 5;
    place->log = (struct log){.level = LOG_INFO, .sink = place_sink};
    place->env = (struct env){.shell = place,
                              .session = place_session,
                              .client_text = place_client_text,
                              .dial = place_dial,
                              .close = place_close,
                              .unacked = place_unacked};
    const struct links_identity identity = {
        .name = "10.0.0.1:1", .cluster = "dht", .gossip = "random", .generation = 1, .boot = 5};
    links_init(&place->links, &identity, 1000, &place->env, &place->log, &place->stats);
    struct gossip_setup setup = {.strategy = "random",
                                 .seeds = seeds,
                                 .weight = 1,
                                 .links = &place->links,
                                 .env = &place->env,
                                 .log = &place->log,
                                 .stats = &place->stats,
                                 .seed = 1};
    CHECK(gossip_profile(SPAN_LITERAL("lan"), &setup.options));
    gossip_init(&place->gossip, &setup);
    for (uint32_t peer = 0; peer < PEERS; peer++)
        greet(place, peer);
    settle(place);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A place of its own with nothing behind. */
    char *copy = malloc(size ? size : 1);
    struct place *place = calloc(1, sizeof(*place));
    CHECK(copy != NULL && place != NULL);
    memcpy(copy, data, size);
    struct view seeds = {0};
    place_open(place, &seeds);
    for (struct span in = span_of(copy, size); in.len > 0;) {
        const char *end = memchr(in.data, '\0', in.len);
        size_t len = end ? (size_t)(end - in.data) : in.len;
        if (len > 0)
            step(place, span_of(in.data, len));
        size_t consumed = end ? len + 1 : len;
        in = span_of(in.data + consumed, in.len - consumed);
    }
    for (uint32_t i = 0; i < ENDS; i++)
        if (place->ends[i].is_open)
            session_close(&place->ends[i].session);
    gossip_close(&place->gossip);
    links_close(&place->links);
    free(place);
    free(copy);
    return 0;
}
