/* echo: the least a server can do for the same bytes, to hold real servers against.
 *
 *     echo PORT VALUE_BYTES        port 0: any; the port got is printed
 *
 * Raw epoll, one thread, one read and one write a readiness. It finds where each request ends and
 * answers it with canned bytes of the right length: a get of memcached's text protocol with the key
 * asked for and VALUE_BYTES bytes, a set with STORED. It stores nothing, and knows no errors: what
 * it does not understand closes the connection. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_BYTES        (64u * 1024) /* of one read, and the longest request line kept */
#define EVENTS_MAX      256
#define CONNECTIONS_MAX 65536

struct connection {
    char *kept; /* the beginning of a line that was cut; NULL if none */
    size_t kept_bytes;
    size_t body_left; /* bytes of a set's value and CRLF still to come */
};

struct echo {
    int listener, epoll;
    size_t value_bytes;
    char *tail; /* " 0 <n>\r\n<value>\r\nEND\r\n" */
    size_t tail_bytes;
    char *in, *out;
    struct connection connections[CONNECTIONS_MAX]; /* by descriptor */
};

static void fail(const char *what)
{
    fprintf(stderr, "echo: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *allocate(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (memory == NULL)
        fail("memory");
    return memory;
}

static void make_tail(struct echo *echo)
{
    echo->tail = allocate(echo->value_bytes + 64);
    int head = sprintf(echo->tail, " 0 %zu\r\n", echo->value_bytes);
    memset(echo->tail + head, 'v', echo->value_bytes);
    memcpy(echo->tail + head + echo->value_bytes, "\r\nEND\r\n", 7);
    echo->tail_bytes = (size_t)head + echo->value_bytes + 7;
}

static void watch(struct echo *echo, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(echo->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        fail("epoll");
}

static void open_listener(struct echo *echo, long port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((unsigned short)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_bytes = sizeof(address);
    int one = 1;
    echo->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(echo->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(echo->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(echo->listener, 4096) != 0 ||
        getsockname(echo->listener, (struct sockaddr *)&address, &address_bytes) != 0)
        fail("listen");
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    watch(echo, echo->listener);
}

static void accept_one(struct echo *echo)
{
    int fd = accept(echo->listener, NULL, NULL);
    int one = 1;
    if (fd < 0)
        return;
    if (fd >= CONNECTIONS_MAX) {
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    watch(echo, fd);
}

static void drop(struct echo *echo, int fd)
{
    free(echo->connections[fd].kept);
    echo->connections[fd] = (struct connection){0};
    close(fd);
}

/* Answers a get line, "get key…\r\n". Returns the answer's end. */
static char *answer_get(const struct echo *echo, const char *line, size_t line_bytes, char *out)
{
    const char *key = line + 4;
    const char *end = line + line_bytes - 2;
    while (key < end) {
        const char *space = memchr(key, ' ', (size_t)(end - key));
        size_t key_bytes = (size_t)((space != NULL ? space : end) - key);
        memcpy(out, "VALUE ", 6);
        memcpy(out + 6, key, key_bytes);
        out += 6 + key_bytes;
        key += key_bytes + 1;
        size_t tail_bytes = echo->tail_bytes - (key < end ? 5 : 0); /* END after the last only */
        memcpy(out, echo->tail, tail_bytes);
        out += tail_bytes;
    }
    return out;
}

/* Answers all whole requests in bytes. Returns the answers' end, or NULL for what is no request;
 * *rest: bytes of a line that was cut, at the end. */
static char *answer_all(const struct echo *echo, struct connection *connection, const char *bytes,
                        size_t len, char *out, size_t *rest)
{
    while (len > 0) {
        size_t skipped = connection->body_left < len ? connection->body_left : len;
        bytes += skipped;
        len -= skipped;
        if (skipped > 0 && (connection->body_left -= skipped) == 0) {
            memcpy(out, "STORED\r\n", 8);
            out += 8;
        }
        const char *newline = len > 0 ? memchr(bytes, '\n', len) : NULL;
        if (newline == NULL)
            break;
        size_t line_bytes = (size_t)(newline - bytes) + 1;
        if (line_bytes > 6 && memcmp(bytes, "get ", 4) == 0) {
            out = answer_get(echo, bytes, line_bytes, out);
        } else if (line_bytes > 6 && memcmp(bytes, "set ", 4) == 0) {
            const char *digits = newline - 1;
            while (digits[-1] != ' ')
                digits--;
            connection->body_left = strtoul(digits, NULL, 10) + 2;
        } else {
            return NULL;
        }
        bytes += line_bytes;
        len -= line_bytes;
    }
    *rest = len;
    return out;
}

/* Blocking from here on is right: a client that does not read its answers is not served others. */
static int send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent < 0)
            return -1;
        bytes += sent;
        len -= (size_t)sent;
    }
    return 0;
}

static void serve(struct echo *echo, int fd)
{
    struct connection *connection = &echo->connections[fd];
    size_t kept_bytes = connection->kept_bytes;
    if (kept_bytes > 0) {
        memcpy(echo->in, connection->kept, kept_bytes);
        free(connection->kept);
        connection->kept = NULL;
        connection->kept_bytes = 0;
    }
    ssize_t got = recv(fd, echo->in + kept_bytes, IN_BYTES - kept_bytes, 0);
    size_t rest = 0;
    size_t len = kept_bytes + (got > 0 ? (size_t)got : 0);
    char *end = got <= 0 ? NULL : answer_all(echo, connection, echo->in, len, echo->out, &rest);
    if (end == NULL || rest == IN_BYTES ||
        send_all(fd, echo->out, (size_t)(end - echo->out)) != 0) {
        drop(echo, fd);
        return;
    }
    if (rest > 0) {
        connection->kept = allocate(rest);
        connection->kept_bytes = rest;
        memcpy(connection->kept, echo->in + len - rest, rest);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: echo PORT VALUE_BYTES\n");
        return 2;
    }
    struct echo *echo = allocate(sizeof(*echo));
    echo->value_bytes = strtoul(argv[2], NULL, 10);
    echo->in = allocate(IN_BYTES);
    echo->epoll = epoll_create1(0);
    make_tail(echo);
    /* A key and its space take 2 bytes at least; pages never written cost nothing. */
    echo->out = allocate(IN_BYTES / 2 * (sizeof("VALUE ") + echo->tail_bytes));
    open_listener(echo, strtol(argv[1], NULL, 10));
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(echo->epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == echo->listener)
                accept_one(echo);
            else
                serve(echo, events[i].data.fd);
        }
    }
}
