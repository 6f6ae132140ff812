#include "tests/oracle/client.h"

#include "common/check.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What came of an attempt. */
enum attempt_end { ATTEMPT_ANSWERED, ATTEMPT_BROKEN, ATTEMPT_SILENT };

static void attempt_begin(struct client *client, uint64_t now);

static bool draw_below(struct client *client, uint32_t percent)
{
    return prng_below(&client->prng, 100) < percent;
}

uint64_t oracle_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

/* ---- connections
 * ---------------------------------------------------------------------------------- */

static void disconnect(struct client *client, uint32_t node)
{
    if (client->fds[node] >= 0)
        close(client->fds[node]);
    client->fds[node] = -1;
}

/* Begins to connect. */
static bool dial(struct client *client, uint32_t node)
{
    int one = 1;
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    struct shared *shared = client->shared;
    const struct sockaddr_in *address = &shared->nodes[node].address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
        errno != EINPROGRESS) {
        close(fd);
        return false;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT,
                                .data.u64 = (uint64_t)client->number << 32 | node};
    CHECK(epoll_ctl(shared->epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    client->fds[node] = fd;
    return true;
}

/* Draws the node to ask: none that could not be had of late, not the last one again if there are
 * others. */
static void choose_node(struct client *client, uint64_t now)
{
    struct shared *shared = client->shared;
    uint32_t last = client->node, tries = 0;
    do {
        client->node = (uint32_t)prng_below(&client->prng, shared->node_count);
    } while (++tries < 50 &&
             ((client->attempt > 1 && client->node == last && shared->node_count > 1) ||
              shared->nodes[client->node].avoided_until_ns > now));
}

/* ---- what to ask
 * ----------------------------------------------------------------------------------- */

static enum verb draw_register_verb(struct client *client)
{
    static const struct {
        enum verb verb;
        uint32_t share;
    } SHARES[] = {{VERB_SET, 30}, {VERB_ADD, 16},    {VERB_REPLACE, 10},
                  {VERB_CAS, 20}, {VERB_DELETE, 16}, {VERB_TOUCH, 8}};
    uint32_t drawn = (uint32_t)prng_below(&client->prng, 100);
    for (size_t at = 0; at < ARRAY_COUNT(SHARES); at++) {
        if (drawn < SHARES[at].share)
            return SHARES[at].verb;
        drawn -= SHARES[at].share;
    }
    return VERB_SET;
}

static enum verb draw_verb(struct client *client, char kind, const char *initial)
{
    struct shared *shared = client->shared;
    if (shared->options->is_sweep)
        return VERB_GETS;
    if (initial != NULL && !shared->is_made[client->key_number])
        return VERB_ADD;
    if (shared->is_full[client->key_number])
        return VERB_GETS;
    if (draw_below(client, shared->options->read_percent))
        return VERB_GETS;
    if (kind == 'n')
        return VERB_INCR;
    if (kind == 'l')
        return VERB_APPEND;
    enum verb verb = draw_register_verb(client);
    return verb == VERB_CAS && shared->uniques[client->key_number] == 0 ? VERB_SET : verb;
}

/* Draws an operation: begin, verb, key, argument. */
static void draw_operation(struct client *client, uint64_t now)
{
    struct shared *shared = client->shared;
    const struct load_options *options = shared->options;
    uint32_t key_count = options->register_count + options->counter_count + options->list_count;
    struct operation *operation = &client->operation;
    char kind = 'r', argument[64] = "";
    const char *initial = NULL;
    *operation = (struct operation){.begin_ns = now, .client = client->number};
    uint32_t number =
        options->is_sweep ? shared->swept++ : (uint32_t)prng_below(&client->prng, key_count);
    client->key_number = number;
    if (number >= options->register_count + options->counter_count)
        kind = 'l', initial = "+", number -= options->register_count + options->counter_count;
    else if (number >= options->register_count)
        kind = 'n', initial = "0", number -= options->register_count;
    snprintf(operation->key, sizeof(operation->key), "%s%c%" PRIu32, options->prefix, kind, number);
    operation->verb = draw_verb(client, kind, initial);
    if (operation->verb == VERB_INCR)
        snprintf(argument, sizeof(argument), "1");
    else if (operation->verb == VERB_ADD && initial != NULL)
        snprintf(argument, sizeof(argument), "%s", initial);
    else if (operation->verb != VERB_GETS && operation->verb != VERB_DELETE &&
             operation->verb != VERB_TOUCH)
        snprintf(argument, sizeof(argument), "%" PRIx64 "-%" PRIu32 "-%" PRIu64 "%s", options->seed,
                 client->number, shared->totals.operations, kind == 'l' ? "+" : "");
    operation->argument = argument[0] != '\0' ? oracle_copy(argument) : NULL;
    if (operation->verb == VERB_CAS)
        operation->unique = shared->uniques[client->key_number];
    snprintf(client->id, sizeof(client->id), "%" PRIx64 "-%" PRIu32 "-%" PRIu64, options->seed,
             client->number, shared->totals.operations);
}

static size_t format_request(const struct client *client, char *request)
{
    const struct operation *operation = &client->operation;
    const char *argument = operation->argument != NULL ? operation->argument : "", *name;
    size_t len = 0, bytes = strlen(argument);
    char tail[64] = "";
    name = verb_name(operation->verb);
    if (client->shared->options->has_ids && operation->verb != VERB_GETS)
        len = (size_t)snprintf(request, REQUEST_BYTES_MAX, "once %s ", client->id);
    switch (operation->verb) {
    case VERB_SET:
    case VERB_ADD:
    case VERB_REPLACE:
    case VERB_APPEND:
        snprintf(tail, sizeof(tail), " 0 0 %zu\r\n", bytes);
        break;
    case VERB_CAS:
        snprintf(tail, sizeof(tail), " 0 0 %zu %" PRIu64 "\r\n", bytes, operation->unique);
        break;
    case VERB_INCR:
        snprintf(tail, sizeof(tail), " ");
        break;
    case VERB_TOUCH:
        snprintf(tail, sizeof(tail), " 0");
        break;
    case VERB_GETS:
    case VERB_DELETE:
    case VERB_COUNT:
        break;
    }
    len += (size_t)snprintf(request + len, REQUEST_BYTES_MAX - len, "%s %s%s%s\r\n", name,
                            operation->key, tail, argument);
    CHECK(len < REQUEST_BYTES_MAX);
    return len;
}

/* ---- what was answered
 * ----------------------------------------------------------------------------- */

static void free_operation(struct operation *operation)
{
    free(operation->argument);
    free(operation->got);
    operation->argument = operation->got = NULL;
}

static void record(struct client *client, enum outcome outcome, uint64_t now)
{
    struct shared *shared = client->shared;
    client->operation.outcome = outcome;
    client->operation.end_ns = outcome == OUTCOME_UNKNOWN ? 0 : now;
    if (shared->history != NULL)
        history_write(shared->history, &client->operation);
}

static bool is_success(enum outcome outcome)
{
    return outcome != OUTCOME_NOT_DONE && outcome != OUTCOME_UNKNOWN;
}

static void note_latency(struct shared *shared, uint64_t ns)
{
    if (shared->latency_count == shared->latency_room) {
        shared->latency_room = shared->latency_room * 2 + 4096;
        shared->latencies_us =
            oracle_allocate(shared->latencies_us, shared->latency_room * sizeof(uint32_t));
    }
    shared->latencies_us[shared->latency_count++] = (uint32_t)(ns / 1000);
}

/* What later operations need to know of this one. */
static void learn(struct client *client, enum outcome outcome)
{
    struct shared *shared = client->shared;
    uint32_t key = client->key_number;
    const struct operation *operation = &client->operation;
    if (operation->verb == VERB_ADD && is_success(outcome))
        shared->is_made[key] = true;
    if (operation->verb == VERB_GETS && outcome == OUTCOME_DONE)
        shared->uniques[key] = operation->got_unique;
    if (operation->got != NULL && strlen(operation->got) > LIST_BYTES_MAX)
        shared->is_full[key] = true;
}

/* The operation has come to its end. */
static void operation_end(struct client *client, enum outcome outcome, uint64_t now)
{
    struct shared *shared = client->shared;
    struct totals *totals = &shared->totals;
    const struct load_options *options = shared->options;
    record(client, outcome, now);
    learn(client, outcome);
    totals->by_outcome[outcome]++;
    totals->by_verb[client->operation.verb]++;
    if (is_success(outcome))
        note_latency(shared, now - client->operation.begin_ns);
    free_operation(&client->operation);
    client->state = CLIENT_IDLE;
    double pace_ns = options->rate > 0 ? 1e9 * options->client_count / options->rate : 0;
    uint64_t next_ns = client->due_ns > now ? now : client->due_ns;
    client->due_ns = options->is_sweep ? now : next_ns + (uint64_t)pace_ns;
    if (client->due_ns + 1000000000ull < now)
        client->due_ns = now; /* what was missed in a long wait is not made up for */
}

/* Whether the end of a first attempt, or of a retry, is to be followed by another attempt. */
static bool wants_retry(const struct client *client, enum outcome outcome, uint64_t now)
{
    const struct load_options *options = client->shared->options;
    bool is_read = client->operation.verb == VERB_GETS;
    if (options->is_sweep || (options->has_ids && client->was_unknown))
        return now < client->operation.begin_ns + RETRY_LIMIT_NS;
    if (outcome == OUTCOME_UNKNOWN && !is_read)
        return options->has_ids;
    return client->attempt == 1;
}

static void count_first(struct totals *totals, enum outcome outcome, enum attempt_end how)
{
    if (how == ATTEMPT_BROKEN)
        totals->broken++;
    else if (how == ATTEMPT_SILENT)
        totals->silent++;
    else if (outcome == OUTCOME_UNKNOWN)
        totals->unknown++;
    else if (outcome == OUTCOME_NOT_DONE)
        totals->refused++;
}

static void count_retry(const struct client *client, struct totals *totals, enum outcome outcome,
                        uint64_t now)
{
    uint64_t took_ns = now - client->refused_ns;
    if (!is_success(outcome))
        totals->retried_in_vain++;
    else if (took_ns <= RETRY_WANTED_NS)
        totals->retried_in_time++;
    else
        totals->retried_late++;
    if (took_ns > totals->retried_slowest_ns)
        totals->retried_slowest_ns = took_ns;
}

/* For sure nothing happened: the retry is another operation, with a value of its own. */
static void ask_anew(struct client *client, uint64_t now)
{
    struct operation *operation = &client->operation;
    record(client, OUTCOME_NOT_DONE, now);
    operation->begin_ns = now;
    if (operation->argument == NULL || strchr(operation->argument, '-') == NULL)
        return; /* nothing, or what a counter or list begins with */
    char argument[64];
    snprintf(argument, sizeof(argument), "again-%s", operation->argument);
    free(operation->argument);
    operation->argument = oracle_copy(argument);
}

/* An attempt has ended: with an answer, or without. */
static void attempt_end(struct client *client, enum outcome outcome, enum attempt_end how,
                        uint64_t now)
{
    struct totals *totals = &client->shared->totals;
    bool is_read = client->operation.verb == VERB_GETS;
    if (how != ATTEMPT_ANSWERED) /* of a read nothing can have come */
        outcome = is_read ? OUTCOME_NOT_DONE : OUTCOME_UNKNOWN;
    if (client->attempt == 1)
        count_first(totals, outcome, how);
    if (client->attempt == 2 && client->refused_ns != 0)
        count_retry(client, totals, outcome, now);
    if (how == ATTEMPT_ANSWERED && !is_success(outcome) &&
        now - client->attempt_ns > totals->refused_slowest_ns)
        totals->refused_slowest_ns = now - client->attempt_ns;
    client->was_unknown =
        !is_success(outcome) && (client->was_unknown || (outcome == OUTCOME_UNKNOWN && !is_read));
    if (is_success(outcome) || !wants_retry(client, outcome, now)) {
        operation_end(client, client->was_unknown ? OUTCOME_UNKNOWN : outcome, now);
        return;
    }
    if (client->attempt == 1 && outcome == OUTCOME_NOT_DONE && how == ATTEMPT_ANSWERED)
        client->refused_ns = now;
    if (client->was_unknown)
        totals->repeated_ids++;
    else if (!client->shared->options->has_ids)
        ask_anew(client, now);
    client->attempt++;
    if (client->attempt == 2) {
        attempt_begin(client, now);
    } else {
        client->state = CLIENT_PAUSING;
        client->due_ns = now + PAUSE_NS;
    }
}

static void count_wording(struct totals *totals, const char *answer)
{
    char text[WORDING_BYTES_MAX];
    answer += strlen("SERVER_ERROR ");
    size_t bytes = strcspn(answer, "0123456789\r\n\"\\");
    snprintf(text, sizeof(text), "%.*s", (int)bytes, answer);
    for (size_t at = 0; at < WORDINGS_MAX; at++) {
        struct wording *wording = &totals->wordings[at];
        if (wording->count > 0 && strcmp(wording->text, text) != 0)
            continue;
        memcpy(wording->text, text, sizeof(text));
        wording->count++;
        return;
    }
}

static void complain(struct client *client, const char *what)
{
    struct totals *totals = &client->shared->totals;
    snprintf(totals->complaint, sizeof(totals->complaint), "%s %s: %.100s",
             verb_name(client->operation.verb), client->operation.key, what);
    totals->complaint[strcspn(totals->complaint, "\r\n")] = '\0';
}

/* A value with its unique, from an answer that is whole. */
static bool take_value(struct operation *operation, char *answer)
{
    char key[HISTORY_KEY_BYTES_MAX + 1];
    size_t bytes;
    int head;
    if (sscanf(answer, "VALUE %40s %*u %zu %" SCNu64 "%n", key, &bytes, &operation->got_unique,
               &head) != 3 ||
        strcmp(key, operation->key) != 0)
        return false;
    char *value = answer + head + 2;
    if (strlen(value) != bytes + 2 + strlen("END\r\n"))
        return false;
    value[bytes] = '\0';
    operation->got = oracle_copy(bytes > 0 ? value : "-");
    return true;
}

/* The outcome that an answer, whole and ended by NUL, tells of; OUTCOME_COUNT: it is none to this
 * request. */
static enum outcome read_answer(struct client *client)
{
    static const struct {
        const char *text;
        enum outcome outcome;
    } ANSWERS[] = {{"END\r\n", OUTCOME_ABSENT},    {"NOT_FOUND\r\n", OUTCOME_ABSENT},
                   {"STORED\r\n", OUTCOME_DONE},   {"NOT_STORED\r\n", OUTCOME_NOT_STORED},
                   {"EXISTS\r\n", OUTCOME_EXISTS}, {"DELETED\r\n", OUTCOME_DONE},
                   {"TOUCHED\r\n", OUTCOME_DONE}};
    struct operation *operation = &client->operation;
    char *answer = client->answer;
    for (size_t at = 0; at < ARRAY_COUNT(ANSWERS); at++)
        if (strcmp(answer, ANSWERS[at].text) == 0)
            return ANSWERS[at].outcome;
    if (strncmp(answer, "SERVER_ERROR ", 13) == 0) {
        count_wording(&client->shared->totals, answer);
        return strncmp(answer, "SERVER_ERROR outcome unknown", 28) == 0 ? OUTCOME_UNKNOWN
                                                                        : OUTCOME_NOT_DONE;
    }
    if (operation->verb == VERB_GETS && take_value(operation, answer))
        return OUTCOME_DONE;
    if (operation->verb == VERB_INCR && answer[0] >= '0' && answer[0] <= '9') {
        answer[strcspn(answer, " \r\n")] = '\0';
        operation->got = oracle_copy(answer);
        return OUTCOME_DONE;
    }
    return OUTCOME_COUNT;
}

/* Whether what has been read is an answer as a whole. A value holds no line ends. */
static bool is_whole(const char *answer, size_t bytes)
{
    if (bytes < 2 || memcmp(answer + bytes - 2, "\r\n", 2) != 0)
        return false;
    return strncmp(answer, "VALUE ", 6) != 0 ||
           (bytes > 7 && memcmp(answer + bytes - 7, "\r\nEND\r\n", 7) == 0) ||
           strstr(answer, "\r\nSERVER_ERROR ") != NULL;
}

/* ---- an attempt
 * ------------------------------------------------------------------------------------ */

static void unreached(struct client *client, uint64_t now)
{
    struct shared *shared = client->shared;
    disconnect(client, client->node);
    shared->nodes[client->node].avoided_until_ns = now + AVOID_NS;
    shared->totals.unreached++;
    client->state = CLIENT_PAUSING; /* then another node */
    client->due_ns = now + PAUSE_NS;
}

static void send_request(struct client *client, uint64_t now)
{
    char request[REQUEST_BYTES_MAX];
    size_t bytes = format_request(client, request);
    client->answer_bytes = 0;
    client->state = CLIENT_WAITING;
    client->attempt_ns = now;
    client->due_ns = now + client->shared->options->patience_ns;
    if (send(client->fds[client->node], request, bytes, MSG_NOSIGNAL) != (ssize_t)bytes) {
        disconnect(client, client->node);
        attempt_end(client, OUTCOME_UNKNOWN, ATTEMPT_BROKEN, now);
    }
}

static void attempt_begin(struct client *client, uint64_t now)
{
    client->state = CLIENT_DIALLING;
    choose_node(client, now);
    if (client->fds[client->node] >= 0) {
        send_request(client, now);
        return;
    }
    client->due_ns = now + DIAL_LIMIT_NS;
    if (!dial(client, client->node))
        unreached(client, now);
}

static void operation_begin(struct client *client, uint64_t now)
{
    struct shared *shared = client->shared;
    const struct load_options *options = shared->options;
    uint32_t key_count = options->register_count + options->counter_count + options->list_count;
    if (shared->is_ending || (options->is_sweep && shared->swept == key_count)) {
        client->state = CLIENT_ENDED;
        return;
    }
    draw_operation(client, now);
    shared->totals.operations++;
    client->attempt = 1;
    client->refused_ns = 0;
    client->was_unknown = false;
    attempt_begin(client, now);
}

void client_tick(struct client *client, uint64_t now)
{
    switch (client->state) {
    case CLIENT_IDLE:
        operation_begin(client, now);
        break;
    case CLIENT_DIALLING:
        unreached(client, now);
        break;
    case CLIENT_PAUSING:
        if (now > client->operation.begin_ns + RETRY_LIMIT_NS ||
            (client->shared->is_ending && !client->was_unknown)) {
            /* Nobody can be had: this attempt never left. */
            operation_end(client, client->was_unknown ? OUTCOME_UNKNOWN : OUTCOME_NOT_DONE, now);
        } else {
            attempt_begin(client, now);
        }
        break;
    case CLIENT_WAITING:
        disconnect(client, client->node);
        attempt_end(client, OUTCOME_UNKNOWN, ATTEMPT_SILENT, now);
        break;
    case CLIENT_ENDED:
        break;
    }
}

static void hear(struct client *client, uint64_t now)
{
    enum outcome outcome = read_answer(client);
    if (outcome == OUTCOME_COUNT) {
        complain(client, client->answer);
        client->shared->totals.wrong++;
        disconnect(client, client->node);
        outcome = OUTCOME_UNKNOWN;
    }
    attempt_end(client, outcome, ATTEMPT_ANSWERED, now);
}

/* Reads what is there. */
static void receive(struct client *client, uint32_t node, uint64_t now)
{
    bool is_awaited = client->state == CLIENT_WAITING && node == client->node;
    size_t room = ANSWER_BYTES_MAX - 1 - client->answer_bytes;
    char none;
    ssize_t got = is_awaited
                      ? recv(client->fds[node], client->answer + client->answer_bytes, room, 0)
                      : recv(client->fds[node], &none, 1, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0 || !is_awaited || (size_t)got == room) {
        if (got > 0) { /* nobody asked for it, or it has no end */
            client->shared->totals.wrong++;
            complain(client, "more than was asked for");
        }
        disconnect(client, node);
        if (is_awaited)
            attempt_end(client, OUTCOME_UNKNOWN, ATTEMPT_BROKEN, now);
        return;
    }
    now = oracle_now_ns(); /* never before the answer was there */
    client->answer_bytes += (size_t)got;
    client->answer[client->answer_bytes] = '\0';
    if (is_whole(client->answer, client->answer_bytes))
        hear(client, now);
}

void client_ready(struct client *client, uint32_t node, uint32_t events, uint64_t now)
{
    if (client->fds[node] < 0)
        return; /* closed in this very turn */
    if (client->state != CLIENT_DIALLING || node != client->node) {
        if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
            receive(client, node, now);
        return;
    }
    int error = 0;
    socklen_t bytes = sizeof(error);
    CHECK(getsockopt(client->fds[node], SOL_SOCKET, SO_ERROR, &error, &bytes) == 0);
    if (error != 0) {
        unreached(client, now);
        return;
    }
    if (!(events & EPOLLOUT))
        return; /* said of a connection closed in this very turn, whose number this one has */
    struct epoll_event event = {.events = EPOLLIN,
                                .data.u64 = (uint64_t)client->number << 32 | node};
    CHECK(epoll_ctl(client->shared->epoll, EPOLL_CTL_MOD, client->fds[node], &event) == 0);
    send_request(client, now);
}

void client_init(struct client *client, struct shared *shared, uint32_t number, uint64_t now)
{
    const struct load_options *options = shared->options;
    *client = (struct client){.shared = shared, .number = number, .state = CLIENT_IDLE};
    prng_init(&client->prng, options->seed * 1000003 + number);
    double pace_ns = options->rate > 0 ? 1e9 * options->client_count / options->rate : 0;
    client->due_ns = now + (uint64_t)(pace_ns * number / options->client_count);
    for (uint32_t node = 0; node < NODES_MAX; node++)
        client->fds[node] = -1;
}

void client_close(struct client *client)
{
    for (uint32_t node = 0; node < NODES_MAX; node++)
        disconnect(client, node);
    free_operation(&client->operation);
}
