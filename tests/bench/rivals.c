/* rivals: loads a Redis Cluster or an etcd cluster as kvcli bench loads dht-server, and prints the
 * same JSON, so that they can be held side by side.
 *
 *     rivals redis HOST:PORT,HOST:PORT,HOST:PORT [option…]   the masters in the order of their
 * slots, each with a third of them, as redis-cli --cluster create gives rivals etcd
 * HOST:PORT[,HOST:PORT…] [option…]
 *
 * Redis: a batch is P times SET and one WAIT 1, in one send; it is done when all have been answered
 * and a replica has acknowledged. With --wait-each every SET is followed by a WAIT 1 of its own, as
 * what a SET's OK says is only by WAIT more than that the master has it. Every connection asks one
 * master, for keys of its slots. etcd:
 * Put, or a linearizable Range, as gRPC over HTTP/2, one call at a time on a connection. Any other
 * answer ends the run. */
#include "client/bench_cpu.h"
#include "client/bench_histogram.h"

#include "common/base.h"
#include "common/prng.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SERVERS_MAX   8u
#define KEY_BYTES     32u
#define REDIS_SLOTS   16384u
#define IN_BYTES      (256u * 1024)
#define OUT_BYTES     (256u * 1024)
#define EVENTS_MAX    256
#define SILENCE_MS    10000
#define WINDOW_BYTES  65535  /* HTTP/2: of a connection, before any update */
#define WINDOW_GIVE   16384u /* received bytes after which the server gets them back */
#define HTTP2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define FRAME_BYTES   9u
#define GRPC_BYTES    5u

enum frame {
    FRAME_DATA,
    FRAME_HEADERS,
    FRAME_PRIORITY,
    FRAME_RST,
    FRAME_SETTINGS,
    FRAME_PUSH,
    FRAME_PING,
    FRAME_GOAWAY,
    FRAME_WINDOW,
    FRAME_CONTINUATION
};

struct connection {
    int fd;
    uint32_t server;
    uint64_t sent_ns;
    uint32_t left;       /* redis: answers of the batch still to come */
    uint32_t stream;     /* etcd: of the call under way */
    int64_t window;      /* etcd: bytes of DATA that may be sent */
    uint32_t received;   /* etcd: bytes of DATA not given back yet */
    uint32_t call_bytes; /* etcd: of DATA of this call */
    bool is_waiting;     /* etcd: for the window */
    size_t in_bytes;
    char *in;
};

struct run {
    bool is_etcd, is_get, waits_each;
    struct sockaddr_in servers[SERVERS_MAX];
    uint32_t server_count;
    uint32_t client_count, pipeline, key_count, value_bytes;
    double duration_s, warm_up_s;
    const char *pids;
    struct prng prng;
    uint32_t *keys[SERVERS_MAX]; /* redis: numbers of the keys of each master */
    uint32_t keys_of[SERVERS_MAX];
    struct connection *connections;
    struct bench_histogram histogram;
    uint64_t operations;
    int epoll;
    char *out, *value;
};

static _Noreturn void fail(const char *what, const char *why)
{
    fprintf(stderr, "rivals: %s: %s\n", what, why);
    exit(1);
}

static void *allocate(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (memory == NULL)
        fail("memory", strerror(errno));
    return memory;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void format_key(uint32_t number, char *key)
{
    snprintf(key, KEY_BYTES + 1, "bench:------------------%08" PRIx32, number);
}

/* ---- redis
 * ------------------------------------------------------------------------------------------ */

/* CRC-16/XMODEM, which Redis Cluster takes for a key's slot. */
static uint32_t redis_slot(const char *key)
{
    uint32_t crc = 0;
    for (; *key != '\0'; key++) {
        crc ^= (uint32_t)(uint8_t)*key << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1) & 0xffff;
    }
    return crc % REDIS_SLOTS;
}

static uint32_t redis_server(const struct run *run, const char *key)
{
    /* redis-cli rounds: 0-5460, 5461-10922, 10923-16383. */
    uint32_t slot = redis_slot(key), server = 0;
    double each = (double)REDIS_SLOTS / run->server_count;
    while (server + 1 < run->server_count && slot > (uint32_t)(each * (server + 1) - 1 + 0.5))
        server++;
    return server;
}

static void redis_keys(struct run *run)
{
    char key[KEY_BYTES + 1];
    for (uint32_t server = 0; server < run->server_count; server++)
        run->keys[server] = allocate(run->key_count * sizeof(uint32_t));
    for (uint32_t number = 0; number < run->key_count; number++) {
        format_key(number, key);
        uint32_t server = redis_server(run, key);
        run->keys[server][run->keys_of[server]++] = number;
    }
}

static size_t put_wait(char *out)
{
    static const char WAIT[] = "*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$4\r\n1000\r\n";
    memcpy(out, WAIT, sizeof(WAIT) - 1);
    return sizeof(WAIT) - 1;
}

static size_t redis_request(struct run *run, struct connection *connection)
{
    size_t len = 0;
    char key[KEY_BYTES + 1];
    for (uint32_t at = 0; at < run->pipeline; at++) {
        const uint32_t *keys = run->keys[connection->server];
        format_key(keys[prng_below(&run->prng, run->keys_of[connection->server])], key);
        len += (size_t)snprintf(run->out + len, OUT_BYTES - len,
                                "*3\r\n$3\r\nSET\r\n$%u\r\n%s\r\n$%u\r\n%s\r\n", KEY_BYTES, key,
                                run->value_bytes, run->value);
        if (run->waits_each)
            len += put_wait(run->out + len);
    }
    if (!run->waits_each)
        len += put_wait(run->out + len);
    connection->left = run->waits_each ? 2 * run->pipeline : run->pipeline + 1;
    return len;
}

/* Takes answers; returns whether the batch is done. */
static bool redis_hear(const struct run *run, struct connection *connection)
{
    size_t at = 0;
    char *end;
    while (connection->left > 0 &&
           (end = memchr(connection->in + at, '\n', connection->in_bytes - at)) != NULL) {
        const char *line = connection->in + at;
        bool is_wait = run->waits_each ? connection->left % 2 == 1 : connection->left == 1;
        if (is_wait ? line[0] != ':' || line[1] < '1' || line[1] > '9'
                    : strncmp(line, "+OK", 3) != 0) {
            *end = '\0';
            fail("redis", line);
        }
        at = (size_t)(end - connection->in) + 1;
        connection->left--;
    }
    memmove(connection->in, connection->in + at, connection->in_bytes - at);
    connection->in_bytes -= at;
    return connection->left == 0;
}

/* ---- etcd: HTTP/2 and as much protobuf as two calls need
 * ---------------------------------------------- */

static char *put_frame(char *out, size_t bytes, enum frame type, uint8_t flags, uint32_t stream)
{
    const uint8_t head[FRAME_BYTES] = {(uint8_t)(bytes >> 16),
                                       (uint8_t)(bytes >> 8),
                                       (uint8_t)bytes,
                                       (uint8_t)type,
                                       flags,
                                       (uint8_t)(stream >> 24),
                                       (uint8_t)(stream >> 16),
                                       (uint8_t)(stream >> 8),
                                       (uint8_t)stream};
    memcpy(out, head, sizeof(head));
    return out + sizeof(head);
}

/* A header field, as HPACK's literal without indexing. */
static char *put_field(char *out, const char *name, const char *value)
{
    *out++ = 0;
    *out++ = (char)strlen(name);
    out = stpcpy(out, name);
    *out++ = (char)strlen(value);
    return stpcpy(out, value);
}

/* A protobuf field of bytes. */
static char *put_bytes(char *out, uint8_t field, const char *bytes, size_t len)
{
    *out++ = (char)(field << 3 | 2);
    size_t left = len;
    for (; left >= 0x80; left >>= 7)
        *out++ = (char)(left | 0x80);
    *out++ = (char)left;
    memcpy(out, bytes, len);
    return out + len;
}

static size_t etcd_request(struct run *run, struct connection *connection)
{
    char key[KEY_BYTES + 1], *headers = run->out + FRAME_BYTES, *out = headers;
    format_key((uint32_t)prng_below(&run->prng, run->key_count), key);
    connection->stream += 2;
    connection->call_bytes = 0;
    out = put_field(out, ":method", "POST");
    out = put_field(out, ":scheme", "http");
    out = put_field(out, ":path", run->is_get ? "/etcdserverpb.KV/Range" : "/etcdserverpb.KV/Put");
    out = put_field(out, ":authority", "bench");
    out = put_field(out, "content-type", "application/grpc");
    out = put_field(out, "te", "trailers");
    put_frame(run->out, (size_t)(out - headers), FRAME_HEADERS, 0x4, connection->stream);
    char *frame = out, *grpc = frame + FRAME_BYTES, *message = grpc + GRPC_BYTES;
    out = put_bytes(message, 1, key, KEY_BYTES);
    if (!run->is_get)
        out = put_bytes(out, 2, run->value, run->value_bytes);
    size_t bytes = (size_t)(out - message);
    grpc[0] = 0;
    for (int at = 0; at < 4; at++)
        grpc[1 + at] = (char)(bytes >> (24 - 8 * at));
    put_frame(frame, bytes + GRPC_BYTES, FRAME_DATA, 0x1, connection->stream);
    connection->window -= (int64_t)(bytes + GRPC_BYTES);
    return (size_t)(out - run->out);
}

static void send_all(const struct connection *connection, const char *bytes, size_t len)
{
    if (send(connection->fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
        fail("send", strerror(errno));
}

static uint32_t number_at(const char *bytes)
{
    const uint8_t *b = (const uint8_t *)bytes;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void etcd_give_back(struct connection *connection, uint32_t bytes)
{
    char out[FRAME_BYTES + 4];
    connection->received += bytes;
    if (connection->received < WINDOW_GIVE)
        return;
    char *body = put_frame(out, 4, FRAME_WINDOW, 0, 0);
    for (int at = 0; at < 4; at++)
        body[at] = (char)(connection->received >> (24 - 8 * at));
    send_all(connection, out, sizeof(out));
    connection->received = 0;
}

/* Takes one frame; returns whether it ends the call. */
static bool etcd_take(const struct run *run, struct connection *connection, uint8_t type,
                      uint8_t flags, uint32_t stream, const char *body, uint32_t bytes)
{
    char out[FRAME_BYTES + 8];
    if (type == FRAME_RST || type == FRAME_GOAWAY)
        fail("etcd", "the call was refused");
    if (type == FRAME_DATA) {
        connection->call_bytes += bytes;
        etcd_give_back(connection, bytes);
    } else if (type == FRAME_SETTINGS && !(flags & 1)) {
        put_frame(out, 0, FRAME_SETTINGS, 1, 0);
        send_all(connection, out, FRAME_BYTES);
    } else if (type == FRAME_PING && !(flags & 1)) {
        memcpy(put_frame(out, 8, FRAME_PING, 1, 0), body, 8);
        send_all(connection, out, sizeof(out));
    } else if (type == FRAME_WINDOW && stream == 0) {
        connection->window += number_at(body) & 0x7fffffff;
    }
    if (stream != connection->stream || !(flags & 1) || type != FRAME_HEADERS)
        return false;
    /* An error has no message; a miss has one without the value. */
    if (connection->call_bytes <= GRPC_BYTES ||
        (run->is_get && connection->call_bytes < run->value_bytes + KEY_BYTES))
        fail("etcd", "an answer without what was asked for");
    return true;
}

static bool etcd_hear(const struct run *run, struct connection *connection)
{
    size_t at = 0;
    bool is_done = false;
    while (connection->in_bytes - at >= FRAME_BYTES) {
        const char *frame = connection->in + at;
        uint32_t bytes = number_at(frame) >> 8;
        if (connection->in_bytes - at < FRAME_BYTES + bytes)
            break;
        is_done = etcd_take(run, connection, (uint8_t)frame[3], (uint8_t)frame[4],
                            number_at(frame + 5) & 0x7fffffff, frame + FRAME_BYTES, bytes) ||
                  is_done;
        at += FRAME_BYTES + bytes;
    }
    memmove(connection->in, connection->in + at, connection->in_bytes - at);
    connection->in_bytes -= at;
    return is_done;
}

/* ---- the run
 * ------------------------------------------------------------------------------------------ */

static void ask(struct run *run, struct connection *connection)
{
    size_t most = run->value_bytes + 2 * KEY_BYTES;
    connection->is_waiting = run->is_etcd && connection->window < (int64_t)most;
    if (connection->is_waiting)
        return;
    size_t len = run->is_etcd ? etcd_request(run, connection) : redis_request(run, connection);
    connection->sent_ns = now_ns();
    send_all(connection, run->out, len);
}

static void open_connection(struct run *run, uint32_t number)
{
    struct connection *connection = &run->connections[number];
    int one = 1;
    connection->server = number % run->server_count;
    connection->in = allocate(IN_BYTES);
    connection->window = WINDOW_BYTES;
    connection->stream = UINT32_MAX; /* the first is 1 */
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in *address = &run->servers[connection->server];
    if (connection->fd < 0 ||
        connect(connection->fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
        fail("connect", strerror(errno));
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = number};
    if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
        fail("epoll", strerror(errno));
    if (run->is_etcd) {
        char out[sizeof(HTTP2_PREFACE) + FRAME_BYTES];
        memcpy(out, HTTP2_PREFACE, sizeof(HTTP2_PREFACE) - 1);
        put_frame(out + sizeof(HTTP2_PREFACE) - 1, 0, FRAME_SETTINGS, 0, 0);
        send_all(connection, out, sizeof(HTTP2_PREFACE) - 1 + FRAME_BYTES);
    }
    ask(run, connection);
}

static void hear(struct run *run, struct connection *connection, bool is_counted)
{
    ssize_t got = recv(connection->fd, connection->in + connection->in_bytes,
                       IN_BYTES - connection->in_bytes, 0);
    if (got <= 0)
        fail("receive", got == 0 ? "closed" : strerror(errno));
    connection->in_bytes += (size_t)got;
    bool is_done = run->is_etcd ? etcd_hear(run, connection) : redis_hear(run, connection);
    if (is_done && is_counted) {
        run->operations += run->pipeline;
        bench_histogram_record(&run->histogram, now_ns() - connection->sent_ns, run->pipeline);
    }
    if (is_done || connection->is_waiting)
        ask(run, connection);
}

static void turn_until(struct run *run, uint64_t end_ns, bool is_counted)
{
    struct epoll_event events[EVENTS_MAX];
    while (now_ns() < end_ns) {
        int count = epoll_wait(run->epoll, events, EVENTS_MAX, SILENCE_MS);
        if (count == 0)
            fail("servers", "silent for ten seconds");
        for (int at = 0; at < count; at++)
            hear(run, &run->connections[events[at].data.u32], is_counted);
    }
}

static uint64_t server_cpu_ns(const struct run *run)
{
    uint64_t cpu_ns;
    if (bench_cpu_ns(run->pids, &cpu_ns) != ERR_OK)
        exit(2);
    return cpu_ns;
}

static void measure(struct run *run)
{
    uint64_t began = now_ns();
    turn_until(run, began + (uint64_t)(run->warm_up_s * 1e9), false);
    began = now_ns();
    uint64_t server = server_cpu_ns(run), own = bench_cpu_own_ns();
    turn_until(run, began + (uint64_t)(run->duration_s * 1e9), true);
    double seconds = (double)(now_ns() - began) / 1e9;
    double cpu = (double)(server_cpu_ns(run) - server) / 1e9;
    printf("{\"operations_per_second\": %.1f, \"operations_per_server_cpu_second\": %.1f, "
           "\"seconds\": %.3f, "
           "\"generator_cpu_seconds\": %.3f, \"latency_us\": {\"p50\": %.1f, \"p99\": %.1f}}\n",
           (double)run->operations / seconds, cpu > 0 ? (double)run->operations / cpu : 0, seconds,
           (double)(bench_cpu_own_ns() - own) / 1e9,
           (double)bench_histogram_quantile(&run->histogram, 0.5) / 1e3,
           (double)bench_histogram_quantile(&run->histogram, 0.99) / 1e3);
}

static _Noreturn void usage(void)
{
    fprintf(
        stderr,
        "usage: rivals redis|etcd HOST:PORT[,HOST:PORT…] [--clients N] [--pipeline N] [--keys N]\n"
        "       [--value-size BYTES] [--duration S] [--warm-up S] [--pid PID[,…]] [--get]\n"
        "       [--wait-each]\n");
    exit(2);
}

static void add_servers(struct run *run, char *list)
{
    char *name;
    while ((name = strsep(&list, ",")) != NULL) {
        char *colon = strrchr(name, ':');
        if (colon == NULL || run->server_count == SERVERS_MAX)
            usage();
        *colon = '\0';
        struct sockaddr_in *address = &run->servers[run->server_count++];
        address->sin_family = AF_INET;
        address->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
        if (inet_pton(AF_INET, name, &address->sin_addr) != 1)
            usage();
    }
}

static void parse_arguments(struct run *run, int argc, char **argv)
{
    static const struct option OPTIONS[] = {
        {"clients", 1, NULL, 'c'},   {"pipeline", 1, NULL, 'P'},
        {"keys", 1, NULL, 'k'},      {"value-size", 1, NULL, 'v'},
        {"duration", 1, NULL, 'd'},  {"warm-up", 1, NULL, 'w'},
        {"pid", 1, NULL, 'p'},       {"get", 0, NULL, 'g'},
        {"wait-each", 0, NULL, 'W'}, {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        switch (option) {
        case 'c':
            run->client_count = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'P':
            run->pipeline = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'k':
            run->key_count = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'v':
            run->value_bytes = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'd':
            run->duration_s = strtod(optarg, NULL);
            break;
        case 'w':
            run->warm_up_s = strtod(optarg, NULL);
            break;
        case 'p':
            run->pids = optarg;
            break;
        case 'g':
            run->is_get = true;
            break;
        case 'W':
            run->waits_each = true;
            break;
        default:
            usage();
        }
    }
    if (optind + 2 != argc || run->client_count == 0 || run->pipeline == 0 || run->key_count == 0)
        usage();
    run->is_etcd = strcmp(argv[optind], "etcd") == 0;
    if (!run->is_etcd && (strcmp(argv[optind], "redis") != 0 || run->is_get))
        usage();
    if (run->is_etcd && (run->pipeline != 1 || run->waits_each))
        usage();
    if ((size_t)run->pipeline * (run->value_bytes + 192) + 512 > OUT_BYTES)
        usage();
    add_servers(run, argv[optind + 1]);
}

int main(int argc, char **argv)
{
    static struct run run = {.client_count = 50,
                             .pipeline = 1,
                             .key_count = 100000,
                             .value_bytes = 100,
                             .duration_s = 5};
    parse_arguments(&run, argc, argv);
    prng_init(&run.prng, 1);
    run.out = allocate(OUT_BYTES);
    run.value = allocate(run.value_bytes + 1);
    memset(run.value, 'v', run.value_bytes);
    if (!run.is_etcd)
        redis_keys(&run);
    run.connections = allocate(run.client_count * sizeof(struct connection));
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t number = 0; number < run.client_count; number++)
        open_connection(&run, number);
    measure(&run);
    return 0;
}
