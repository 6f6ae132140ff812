/* Servers that follow a script, for the tests of libdht: each a thread that accepts, hears exactly
 * what it should, and says what the test wants it to. */
#ifndef DHT_TESTS_UNIT_FAKE_SERVER_H
#define DHT_TESTS_UNIT_FAKE_SERVER_H

#include "client/dht.h"

#include "common/base.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT_MS  10000 /* for the other side to do what it should; only failures take so long */
#define SHORT_MS  150   /* a time-out that is meant to be reached */
#define HEARD_MAX 4096

/* ---- a server that follows a script ---- */

enum act_kind {
    END,        /* of the script: nothing more is listened to */
    ACCEPT,     /* the next connection, greeted as a memcached does */
    ACCEPT_DHT, /* the same, greeted as a node does */
    ACCEPT_SILENTLY,
    HEAR,       /* exactly text, * in it being anything up to the byte behind */
    HEAR_LINE,  /* whatever line it is; kept in heard */
    SAY,        /* text */
    SAY_BYTES,  /* count times the byte 'x' */
    HEAR_BYTES, /* count times the same */
    HANG_UP,    /* close the connection */
    HEAR_END    /* the client closes the connection and has said nothing more */
};

struct act {
    enum act_kind kind;
    const char *text;
    size_t count;
};

struct fake {
    int listener;
    int fd;
    char address[64];
    const struct act *script;
    pthread_t thread;
    char heard[HEARD_MAX];
    char failure[2 * HEARD_MAX]; /* why the script could not be followed; empty: it could */
};

/* Reads one byte; returns 1, or 0 at the end of the connection, or -1 if nothing comes. */
static inline int byte_read(int fd, char *byte)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    if (poll(&poll_fd, 1, LIMIT_MS) != 1)
        return -1;
    return recv(fd, byte, 1, 0) == 1 ? 1 : 0;
}

static inline bool failed(struct fake *fake, const char *what, const char *heard)
{
    snprintf(fake->failure, sizeof(fake->failure), "%.1000s, but heard \"%.1000s\"", what, heard);
    return false;
}

/* Hears text, in which * stands for anything up to the byte behind it: a request's id. */
static inline bool hear(struct fake *fake, const char *text)
{
    char heard[HEARD_MAX] = "";
    size_t len = 0;
    for (const char *at = text; *at; at++) {
        bool is_any = *at == '*';
        at += is_any;
        do {
            if (byte_read(fake->fd, &heard[len]) != 1 || (!is_any && heard[len] != *at))
                return failed(fake, text, heard);
        } while (heard[len++] != *at && len + 1 < HEARD_MAX);
    }
    return true;
}

static inline bool hear_line(struct fake *fake)
{
    size_t len = 0;
    bool is_whole = false;
    while (!is_whole && len + 1 < sizeof(fake->heard) &&
           byte_read(fake->fd, &fake->heard[len]) == 1)
        is_whole = fake->heard[len++] == '\n';
    fake->heard[len] = '\0';
    return is_whole || failed(fake, "a line", fake->heard);
}

static inline bool say(struct fake *fake, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fake->fd, text, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return failed(fake, "nobody listens", "");
        text += sent;
        len -= (size_t)sent;
    }
    return true;
}

static inline bool accept_next(struct fake *fake)
{
    struct pollfd poll_fd = {.fd = fake->listener, .events = POLLIN};
    if (poll(&poll_fd, 1, LIMIT_MS) != 1)
        return failed(fake, "a connection", "");
    fake->fd = accept(fake->listener, NULL, NULL);
    return fake->fd >= 0;
}

static inline bool hear_bytes(struct fake *fake, size_t count)
{
    char bytes[4096];
    while (count > 0) {
        struct pollfd poll_fd = {.fd = fake->fd, .events = POLLIN};
        ssize_t got = poll(&poll_fd, 1, LIMIT_MS) == 1
                          ? recv(fake->fd, bytes, count < sizeof(bytes) ? count : sizeof(bytes), 0)
                          : 0;
        if (got <= 0)
            return failed(fake, "all the bytes", "");
        for (ssize_t i = 0; i < got; i++)
            if (bytes[i] != 'x')
                return failed(fake, "nothing but x", "");
        count -= (size_t)got;
    }
    return true;
}

static inline bool say_bytes(struct fake *fake, size_t count)
{
    char bytes[1000];
    memset(bytes, 'x', sizeof(bytes));
    for (; count > sizeof(bytes); count -= sizeof(bytes))
        if (!say(fake, bytes, sizeof(bytes)))
            return false;
    return say(fake, bytes, count);
}

static inline bool act(struct fake *fake, const struct act *act)
{
    char byte[2] = "";
    switch (act->kind) {
    case END:
        return true;
    case ACCEPT:
        return accept_next(fake) && hear(fake, "version\r\n") &&
               say(fake, "VERSION 1.6.18\r\n", 16);
    case ACCEPT_DHT:
        return accept_next(fake) && hear(fake, "version\r\n") &&
               say(fake, "VERSION 1.6.18 dht-server/0\r\n", 29);
    case ACCEPT_SILENTLY:
        return accept_next(fake);
    case HEAR:
        return hear(fake, act->text);
    case HEAR_LINE:
        return hear_line(fake);
    case SAY:
        return say(fake, act->text, strlen(act->text));
    case SAY_BYTES:
        return say_bytes(fake, act->count);
    case HEAR_BYTES:
        return hear_bytes(fake, act->count);
    case HANG_UP:
        close(fake->fd);
        fake->fd = -1;
        return true;
    case HEAR_END:
        if (byte_read(fake->fd, byte) != 0)
            return failed(fake, "the end of the connection", byte);
        close(fake->fd);
        fake->fd = -1;
        return true;
    }
    return false;
}

/* The script of a server whom nobody is to ask. */
static const struct act idle[] = {{END, NULL, 0}};

static inline void *follow(void *arg)
{
    struct fake *fake = arg;
    for (const struct act *at = fake->script; at->kind != END; at++)
        if (!act(fake, at))
            break;
    return NULL;
}

/* Binds a free port; whether somebody listens there is the caller's choice. */
static inline int bind_port(char address[64])
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(name);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &len), 0);
    snprintf(address, 64, "127.0.0.1:%u", (unsigned)ntohs(name.sin_port));
    return fd;
}

/* Listens; what it is to say may depend on its address. */
static inline void fake_bind(struct fake *fake)
{
    *fake = (struct fake){.fd = -1};
    fake->listener = bind_port(fake->address);
    assert_int_equal(listen(fake->listener, 8), 0);
}

static inline void fake_follow(struct fake *fake, const struct act *script)
{
    fake->script = script;
    assert_int_equal(pthread_create(&fake->thread, NULL, follow, fake), 0);
}

/* Waits for the script's end and asserts that it could be followed and nobody else came. */
static inline void fake_end(struct fake *fake)
{
    struct pollfd poll_fd = {.fd = fake->listener, .events = POLLIN};
    assert_int_equal(pthread_join(fake->thread, NULL), 0);
    assert_string_equal(fake->failure, "");
    assert_int_equal(poll(&poll_fd, 1, 0), 0);
    if (fake->fd >= 0)
        close(fake->fd);
    close(fake->listener);
}

/* ---- a client of one or two of them ---- */

static inline struct dht *client_of(const char *first, const char *second)
{
    char servers[256];
    snprintf(servers, sizeof(servers), "%s%s%s", first, second ? "," : "", second ? second : "");
    struct dht *dht = dht_open(servers, NULL);
    assert_non_null(dht);
    dht_set_timeout(dht, LIMIT_MS);
    return dht;
}

/* Answers as they are heard, one line each. */
struct story {
    char text[HEARD_MAX];
};

static inline void tell(void *arg, const struct dht_op *op, const struct dht_answer *answer)
{
    struct story *story = arg;
    size_t len = strlen(story->text);
    snprintf(story->text + len, sizeof(story->text) - len, "%s %s %.*s%s%s%s\n",
             op->key ? op->key : "-", dht_result_name(answer->result),
             (int)(answer->value_bytes < 40 ? answer->value_bytes : 40),
             answer->value ? answer->value : "", answer->name ? answer->name : "",
             answer->name ? "=" : "", answer->name ? answer->text : "");
}

/* Runs ops, and asserts what came of it as a whole and what was told. */
static inline void assert_told(struct dht *dht, const struct dht_op *ops, size_t op_count,
                               enum dht_result result, const char *text)
{
    struct story story = {""};
    assert_int_equal(dht_run(dht, ops, op_count, tell, &story), result);
    assert_string_equal(story.text, text);
}

static const struct dht_op get_k = {.verb = DHT_OP_GET, .key = "k"};
static const struct dht_op set_k = {.verb = DHT_OP_SET, .key = "k", .value = "v", .value_bytes = 1};

#define GET_K   "mg k v f c t\r\n"
#define SET_K   "ms k 1 c MS T0 F0\r\nv\r\n"
#define ONCE    "once * " /* to nodes */
#define VALUE_V "VA 1 f0 c1 t-1\r\nv\r\n"

#endif
