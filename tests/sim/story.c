#include "tests/sim/story.h"

#include "common/check.h"
#include "tests/sim/names.h"
#include "tests/sim/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX       (4u * 1024 * 1024)
#define STORY_LINE_BYTES_MAX 1000u
#define DELAY_US             1000u
#define ANSWER_US            (3ull * US_PER_S) /* an answer is awaited so long at most */

struct story {
    const char *path;
    bool is_traced;
    struct world_options options;
    struct world *world; /* NULL: still being described */
    struct buf told;     /* the trace */
    struct sock *console;
    uint32_t console_node;
};

/* --- the trace -------------------------------------------------------------------------------- */

/* What a reader of a story wants to see of a node's log. */
static bool is_decision(struct span event)
{
    static const char *const begins[] = {"member-", "refuted", "isolated", "rejoined",  "joined",
                                         "ring",    "leaving", "stopping", "duplicate", "damped"};
    for (size_t i = 0; i < ARRAY_COUNT(begins); i++) {
        size_t len = strlen(begins[i]);
        if (event.len >= len && memcmp(event.data, begins[i], len) == 0)
            return true;
    }
    return false;
}

static void hear(void *arg, const struct trace_line *line)
{
    struct story *story = arg;
    char text[TRACE_LINE_BYTES_MAX];
    if (line->node != TRACE_WORLD && !is_decision(line->event))
        return;
    trace_format(line, text, sizeof(text));
    buf_printf(&story->told, "%s\n", text);
}

/* --- a client at a console -------------------------------------------------------------------- */

static void on_ready(void *arg, struct sock *sock)
{
    struct story *story = arg;
    for (;;) {
        struct span got = sock_received(sock);
        const char *end = got.len > 0 ? memchr(got.data, '\n', got.len) : NULL;
        if (!end)
            break;
        size_t len = (size_t)(end - got.data);
        int shown = (int)(len > 0 && end[-1] == '\r' ? len - 1 : len);
        trace_say(&story->world->trace, "answer", "from=n%u %.*s", story->console_node + 1, shown,
                  got.data);
        sock_take(sock, len + 1);
    }
    if (sock_state(sock) == SOCK_ENDED || sock_at_end(sock))
        trace_say(&story->world->trace, "console-ended", "node=n%u", story->console_node + 1);
}

static void hang_up(struct story *story)
{
    if (story->console)
        sock_close(story->console);
    story->console = NULL;
}

/* Sends text, \r and \n as written, and lets time pass until an answer has had its time. */
static void act_say(struct story *story, uint32_t node, const char *text)
{
    struct world *world = story->world;
    struct buf out = {0};
    hang_up(story);
    story->console_node = node;
    story->console = net_dial(&world->net, world_client_machine(world, 0), node, NAMES_PORT,
                              (struct sock_owner){on_ready, story});
    for (uint64_t i = 0; i < 5 && sock_state(story->console) == SOCK_DIALLING; i++)
        world_run_us(world, DELAY_US);
    for (const char *at = text; *at; at++) {
        bool is_escape = *at == '\\' && (at[1] == 'r' || at[1] == 'n');
        char c = !is_escape ? *at : at[1] == 'r' ? '\r' : '\n';
        buf_append(&out, &c, 1);
        at += is_escape;
    }
    buf_append(&out, "\r\n", 2);
    trace_say(&world->trace, "say", "to=n%u %s", node + 1, text);
    sock_send(story->console, buf_span(&out).data, buf_len(&out));
    buf_close(&out);
}

/* --- commands --------------------------------------------------------------------------------- */

struct act {
    const char *word;
    void (*one)(struct world *world, uint32_t node);
};

static void isolate(struct world *world, uint32_t node)
{
    world_isolate(world, node, true);
}

static void rejoin(struct world *world, uint32_t node)
{
    world_isolate(world, node, false);
}

static const struct act acts[] = {
    {"start", world_start}, {"kill", world_kill}, {"off", world_power_off},
    {"on", world_power_on}, {"stop", world_stop}, {"continue", world_continue},
    {"isolate", isolate},   {"rejoin", rejoin},   {"forget", world_forget},
    {"leave", world_leave},
};

static bool parse_node(const struct story *story, const char *text, uint32_t *node)
{
    char *end;
    unsigned long number = text[0] == 'n' ? strtoul(text + 1, &end, 10) : 0;
    if (number == 0 || number > story->options.node_count || *end != '\0')
        return false;
    *node = (uint32_t)number - 1;
    return true;
}

/* Acts on each of "n1,n4", or on all. */
static bool act_each(struct story *story, const struct act *act, char *who)
{
    char *rest = NULL;
    if (strcmp(who, "all") == 0) {
        for (uint32_t i = 0; i < story->options.node_count; i++)
            act->one(story->world, i);
        return true;
    }
    for (char *word = strtok_r(who, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        uint32_t node;
        if (!parse_node(story, word, &node))
            return false;
        act->one(story->world, node);
    }
    return true;
}

/* A line that says how the world is made. */
static bool take_setting(struct story *story, const char *word, const char *value)
{
    double number = strtod(value, NULL);
    if (strcmp(word, "nodes") == 0)
        story->options.node_count = (uint32_t)number;
    else if (strcmp(word, "seed") == 0)
        story->options.seed = (uint64_t)number;
    else if (strcmp(word, "peers") == 0)
        story->options.seed_count = (uint32_t)number;
    else if (strcmp(word, "delay") == 0)
        story->options.delay_us = (uint32_t)(number * US_PER_MS);
    else
        return false;
    return true;
}

/* An act that is about something else than whole nodes. */
static bool take_other(struct story *story, const char *word, const char *first, char *rest)
{
    struct world *world = story->world;
    uint32_t node, other;
    if (strcmp(word, "run") == 0) {
        world_run_us(world, (uint64_t)(strtod(first, NULL) * US_PER_S));
    } else if (strcmp(word, "loss") == 0) {
        world_lose(world, (uint32_t)(strtod(first, NULL) * NET_PPM / 100));
    } else if (!parse_node(story, first, &node)) {
        return false;
    } else if (strcmp(word, "say") == 0) {
        act_say(story, node, rest);
    } else if (strcmp(word, "slow") == 0) {
        trace_say(&world->trace, "slow", "node=n%u times=%s", node + 1, rest);
        world->hosts[node].slow = (uint32_t)strtoul(rest, NULL, 10);
    } else if (parse_node(story, rest, &other) &&
               (strcmp(word, "cut") == 0 || strcmp(word, "heal") == 0)) {
        trace_say(&world->trace, word, "from=n%u to=n%u", node + 1, other + 1);
        world_cut(world, node, other, strcmp(word, "cut") == 0);
    } else {
        return false;
    }
    return true;
}

/* Carries out one line; line is cut up. */
static bool take_line(struct story *story, char *line)
{
    char *rest = NULL;
    const char *word = strtok_r(line, " ", &rest);
    if (!word || word[0] == '#')
        return true;
    if (strcmp(word, "show") == 0) {
        buf_consume(&story->told, buf_len(&story->told));
        return true;
    }
    char *first = strtok_r(NULL, " ", &rest);
    if (!first)
        return false;
    if (!story->world && take_setting(story, word, first))
        return true;
    if (!story->world) {
        story->world = world_open(&story->options);
        story->world->trace.echo = story->is_traced ? stdout : NULL;
        trace_listen(&story->world->trace, hear, story);
    }
    for (size_t i = 0; i < ARRAY_COUNT(acts); i++)
        if (strcmp(word, acts[i].word) == 0)
            return act_each(story, &acts[i], first);
    return take_other(story, word, first, rest ? rest : "");
}

/* --- files ------------------------------------------------------------------------------------ */

static bool read_file(const char *path, struct buf *text)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("# %s: %s\n", path, strerror(errno));
        return false;
    }
    size_t got;
    do {
        got = fread(buf_reserve(text, 4096), 1, 4096, file);
        buf_advance(text, got);
    } while (got > 0 && buf_len(text) < FILE_BYTES_MAX);
    fclose(file);
    return true;
}

static bool write_file(const char *path, struct span head, struct span told)
{
    FILE *file = fopen(path, "wb");
    if (!file) {
        printf("# %s: %s\n", path, strerror(errno));
        return false;
    }
    fwrite(head.data, 1, head.len, file);
    fwrite(told.data, 1, told.len, file);
    return fclose(file) == 0;
}

/* The line at *at, without its end; *at goes on behind it. */
static struct span take_text_line(struct span text, size_t *at)
{
    const char *from = text.data + *at;
    const char *end = memchr(from, '\n', text.len - *at);
    size_t len = end ? (size_t)(end - from) : text.len - *at;
    *at += len + (end != NULL);
    return span_of(from, len);
}

/* Shows where two traces part. */
static void show_difference(struct span wanted, struct span told)
{
    size_t at = 0, from = 0;
    while (at < wanted.len && at < told.len && wanted.data[at] == told.data[at]) {
        at++;
        if (wanted.data[at - 1] == '\n')
            from = at;
    }
    size_t wanted_at = from, told_at = from;
    for (int i = 0; i < 10 && wanted_at < wanted.len; i++) {
        struct span line = take_text_line(wanted, &wanted_at);
        printf("# -%.*s\n", (int)line.len, line.data);
    }
    for (int i = 0; i < 10 && told_at < told.len; i++) {
        struct span line = take_text_line(told, &told_at);
        printf("# +%.*s\n", (int)line.len, line.data);
    }
}

/* Carries out the commands. Returns how long they are, the line of dashes included; 0: malformed.
 */
static size_t take_commands(struct story *story, struct span text)
{
    size_t at = 0, number = 0;
    while (at < text.len) {
        struct span span = take_text_line(text, &at);
        char line[STORY_LINE_BYTES_MAX];
        number++;
        if (span_equal(span, SPAN_LITERAL("---")))
            return at;
        if (span.len >= sizeof(line))
            return 0;
        memcpy(line, span.data, span.len);
        line[span.len] = '\0';
        if (!take_line(story, line)) {
            printf("# %s:%zu: not understood: %.*s\n", story->path, number, (int)span.len,
                   span.data);
            return 0;
        }
    }
    printf("# %s: there is no line of dashes\n", story->path);
    return 0;
}

bool story_tell(const char *path, bool rewrite, bool is_traced)
{
    struct story story = {
        .path = path,
        .is_traced = is_traced,
        .options = {.seed = 1, .node_count = 3, .client_count = 1, .delay_us = DELAY_US}};
    struct buf text = {0};
    bool is_good = read_file(path, &text);
    size_t head = is_good ? take_commands(&story, buf_span(&text)) : 0;
    is_good = head > 0;
    if (is_good) {
        struct span all = buf_span(&text), told = buf_span(&story.told);
        struct span wanted = span_of(all.data + head, all.len - head);
        bool is_same = span_equal(wanted, told);
        if (!is_same && rewrite) {
            is_same = write_file(path, span_of(all.data, head), told);
        } else if (!is_same) {
            show_difference(wanted, told);
        }
        is_good = is_same;
    }
    hang_up(&story);
    world_close(story.world);
    buf_close(&story.told);
    buf_close(&text);
    return is_good;
}
