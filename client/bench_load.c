#include "client/bench_load.h"

#include "client/bench_connect.h"
#include "common/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 256
#define OWN_FILES  16u /* standard streams, epoll, libraries */
#define NS_PER_S   UINT64_C(1000000000)

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void *allocate(size_t count, size_t bytes)
{
    void *memory = calloc(count > 0 ? count : 1, bytes);
    CHECK(memory != NULL);
    return memory;
}

static void await(struct bench_load *load, struct bench_connection *connection, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    CHECK(epoll_ctl(load->epoll_fd, EPOLL_CTL_MOD, connection->fd, &event) == 0);
    connection->awaits_writing = (events & EPOLLOUT) != 0;
}

/* Picks the active connections so that they are spread evenly over all. */
static void choose_active(struct bench_load *load)
{
    uint64_t clients = load->options->clients;
    uint32_t active = load->options->active;
    for (uint32_t place = 0; place < active; place++) {
        struct bench_connection *connection = &load->connections[place * clients / active];
        connection->is_active = true;
        connection->place = place;
        connection->asked = allocate(load->batch_max, sizeof(*connection->asked));
        load->active[place] = connection;
    }
    load->live_count = active;
}

static enum err connect_all(struct bench_load *load, const struct bench_servers *servers)
{
    for (uint32_t i = 0; i < load->options->clients; i++) {
        struct bench_connection *connection = &load->connections[i];
        connection->server = i % servers->count;
        enum err err = bench_connect(servers, i, load->options->timeout_s, &connection->fd);
        if (err != ERR_OK)
            return err;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        CHECK(epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event) == 0);
    }
    return ERR_OK;
}

/* With a ring every server needs an active connection, or its keys are asked for by nobody. */
static enum err check_servers(const struct bench_load *load)
{
    for (uint32_t server = 0; load->ring && server < load->ring->server_count; server++) {
        bool is_asked = false;
        for (uint32_t i = 0; i < load->options->active; i++)
            is_asked = is_asked || load->active[i]->server == server;
        if (is_asked || load->options->active == 0)
            continue;
        fprintf(stderr, "bench: --ring: fewer active connections than the %" PRIu32 " nodes\n",
                load->ring->server_count);
        return ERR_USAGE;
    }
    return ERR_OK;
}

enum err bench_load_open(struct bench_load *load, const struct bench_options *options,
                         const struct bench_dialect *dialect, const struct bench_ring *ring)
{
    uint32_t fill_batch = options->is_fill ? BENCH_FILL_BATCH : 1;
    *load = (struct bench_load){.options = options,
                                .dialect = dialect,
                                .ring = ring,
                                .batch_max =
                                    options->pipeline > fill_batch ? options->pipeline : fill_batch,
                                .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    CHECK(load->epoll_fd >= 0);
    prng_init(&load->prng, options->seed);
    bench_draw_init(&load->draw, dialect->keys->count, options->zipf);
    load->volley = volley_open(false);
    load->in = allocate(VOLLEY_CALLS_MAX, BENCH_IN_BYTES); /* pages never written cost nothing */
    load->connections = allocate(options->clients, sizeof(*load->connections));
    load->active = allocate(options->active, sizeof(struct bench_connection *));
    for (uint32_t i = 0; i < options->clients; i++)
        load->connections[i].fd = -1;
    choose_active(load);
    bench_allow_files(options->clients + OWN_FILES);
    struct bench_servers servers;
    enum err err = bench_servers_resolve(&servers, ring ? ring->list.data : options->servers);
    if (err == ERR_OK)
        err = connect_all(load, &servers);
    return err != ERR_OK ? err : check_servers(load);
}

void bench_load_close(struct bench_load *load)
{
    for (uint32_t i = 0; load->connections != NULL && i < load->options->clients; i++) {
        struct bench_connection *connection = &load->connections[i];
        if (connection->fd >= 0)
            close(connection->fd);
        free(connection->asked);
        buf_close(&connection->unsent);
    }
    if (load->options != NULL)
        close(load->epoll_fd);
    free(load->connections);
    free(load->active);
    free(load->in);
    volley_close(load->volley);
    buf_close(&load->out);
    *load = (struct bench_load){0};
}

/* ---- sending ----------------------------------------------------------------------------------
 */

/* Filling by the ring: where a server has lost its last connection its keys can't be stored. */
static void give_up_server(struct bench_load *load, uint32_t server)
{
    for (uint32_t i = 0; i < load->options->active; i++)
        if (load->active[i]->fd >= 0 && load->active[i]->server == server)
            return;
    uint64_t left = bench_ring_count(load->ring, server) - load->filled[server];
    load->filled[server] += (uint32_t)left;
    load->issued_count += left;
    load->result->unsent_count += left;
}

static void lose(struct bench_load *load, struct bench_connection *connection)
{
    uint64_t waiting = connection->due_count > connection->sent_count
                           ? connection->due_count - connection->sent_count
                           : 0;
    close(connection->fd); /* leaves the epoll set by this */
    connection->fd = -1;
    load->result->lost_count++;
    load->result->unsent_count += waiting;
    load->waiting_count -= waiting;
    load->unanswered_count -= connection->asked_count;
    connection->asked_count = 0;
    if (connection->is_active)
        load->live_count--;
    if (connection->is_active && load->ring && load->phase.kind == BENCH_FILL)
        give_up_server(load, connection->server);
}

/* What a write has done with bytes: the rest waits in unsent until the socket takes more. */
static void note_sent(struct bench_load *load, struct bench_connection *connection,
                      struct span bytes, ssize_t result)
{
    if (result < 0 && result != -EAGAIN && result != -EINTR) {
        lose(load, connection);
        return;
    }
    size_t taken = result > 0 ? (size_t)result : 0;
    if (taken < bytes.len) {
        buf_append(&connection->unsent, bytes.data + taken, bytes.len - taken);
        await(load, connection, EPOLLIN | EPOLLOUT);
    }
}

/* Sends the batches that are to leave. */
static void launch(struct bench_load *load)
{
    struct volley_call calls[VOLLEY_CALLS_MAX];
    uint32_t count = load->leaving_count;
    char *at = load->out.data + load->out.start;
    for (uint32_t i = 0; i < count; i++) {
        const struct bench_leaving *leaving = &load->leaving[i];
        calls[i] = (struct volley_call){
            .kind = VOLLEY_SEND, .fd = leaving->connection->fd, .bytes = at, .len = leaving->bytes};
        at += leaving->bytes;
    }
    volley_fire(load->volley, calls, count);
    for (uint32_t i = 0; i < count; i++)
        note_sent(load, load->leaving[i].connection, span_of(calls[i].bytes, calls[i].len),
                  calls[i].result);
    buf_consume(&load->out, buf_len(&load->out));
    load->leaving_count = 0;
}

static void send_unsent(struct bench_load *load, struct bench_connection *connection)
{
    struct span bytes = buf_span(&connection->unsent);
    ssize_t sent = send(connection->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        lose(load, connection);
        return;
    }
    buf_consume(&connection->unsent, sent > 0 ? (size_t)sent : 0);
    if (buf_len(&connection->unsent) == 0)
        await(load, connection, EPOLLIN);
}

/* The next key to ask a connection for. */
static uint32_t draw_key(struct bench_load *load, const struct bench_connection *connection)
{
    return load->ring ? bench_ring_draw(load->ring, connection->server, &load->draw, &load->prng)
                      : bench_draw_next(&load->draw, &load->prng);
}

/* The next key to be stored while filling; number: of the request. */
static uint32_t fill_key(struct bench_load *load, const struct bench_connection *connection,
                         uint64_t number)
{
    if (!load->ring)
        return (uint32_t)number;
    uint32_t server = connection->server;
    return load->ring->numbers[load->ring->first[server] + load->filled[server]++];
}

/* Draws the next request, appends it to out and to what the connection has asked. */
static void write_request(struct bench_load *load, struct bench_connection *connection,
                          uint64_t number)
{
    char *out = load->out.data + load->out.end; /* send_batch made room */
    struct bench_asked asked = {.is_set = true};
    if (load->phase.kind == BENCH_MIX) {
        double ratio = load->options->get_ratio;
        asked.is_set = ratio < 1 && bench_fraction(&load->prng) >= ratio;
        asked.number = draw_key(load, connection);
    } else {
        asked.number = fill_key(load, connection, number);
    }
    char *end;
    if (asked.is_set) {
        end = bench_dialect_write_set(load->dialect, asked.number, out);
    } else {
        uint32_t numbers[BENCH_MULTIGET_MAX];
        numbers[0] = asked.number;
        for (uint32_t i = 1; i < load->dialect->multiget; i++)
            numbers[i] = draw_key(load, connection);
        end = bench_dialect_write_get(load->dialect, numbers, out);
    }
    buf_advance(&load->out, (size_t)(end - out));
    uint32_t last = connection->asked_first + connection->asked_count++;
    connection->asked[last < load->batch_max ? last : last - load->batch_max] = asked;
}

/* With a ring: the server's keys that are still to be stored. */
static uint64_t fill_left(const struct bench_load *load, uint32_t server)
{
    return bench_ring_count(load->ring, server) - load->filled[server];
}

/* How many requests may go out on the connection at once: a whole batch when nothing is unanswered;
 * with a rate, what is due, as far as the batch has room. */
static uint64_t sendable_count(const struct bench_load *load,
                               const struct bench_connection *connection)
{
    uint64_t room = load->phase.batch - connection->asked_count;
    uint64_t left =
        connection->asked_count > 0 ? 0 : load->phase.request_count - load->issued_count;
    if (load->ring && load->phase.kind == BENCH_FILL && left > fill_left(load, connection->server))
        left = fill_left(load, connection->server);
    if (load->phase.rate > 0)
        left = connection->due_count - connection->sent_count;
    return room < left ? room : left;
}

static void send_batch(struct bench_load *load, struct bench_connection *connection,
                       uint64_t now_ns)
{
    if (connection->fd < 0 || now_ns >= load->end_ns || buf_len(&connection->unsent) > 0)
        return;
    uint64_t count = sendable_count(load, connection);
    if (count == 0)
        return;
    if (load->leaving_count == VOLLEY_CALLS_MAX)
        launch(load);
    size_t before = buf_len(&load->out);
    buf_reserve(&load->out, count * bench_dialect_request_bytes_max(load->dialect));
    for (uint64_t i = 0; i < count; i++)
        write_request(load, connection, load->issued_count + i);
    if (load->phase.rate > 0)
        load->waiting_count -= count;
    else
        load->issued_count += count;
    connection->sent_count += count;
    connection->sent_ns = now_ns;
    load->unanswered_count += count;
    load->leaving[load->leaving_count++] =
        (struct bench_leaving){.connection = connection, .bytes = buf_len(&load->out) - before};
}

/* With a rate: makes due what is due by now, then sends it, in one batch for each connection. */
static void send_due(struct bench_load *load, uint64_t now_ns)
{
    if (load->phase.rate == 0 || load->options->active == 0)
        return;
    uint64_t until_ns = now_ns < load->end_ns ? now_ns : load->end_ns;
    double passed_s = (double)(until_ns - load->start_ns) / (double)NS_PER_S;
    uint64_t due = (uint64_t)(passed_s * load->phase.rate) + 1;
    if (due > load->phase.request_count)
        due = load->phase.request_count;
    uint64_t first = load->issued_count;
    uint32_t active = load->options->active;
    for (; load->issued_count < due; load->issued_count++) {
        struct bench_connection *connection = load->active[load->issued_count % active];
        if (connection->fd < 0) {
            load->result->unsent_count++;
        } else {
            connection->due_count++;
            load->waiting_count++;
        }
    }
    for (uint64_t i = first; i < due && i < first + active; i++)
        send_batch(load, load->active[i % active], now_ns);
    launch(load);
}

/* ---- receiving --------------------------------------------------------------------------------
 */

static void count_answer(struct bench_load *load, const struct bench_answer *answer,
                         struct bench_asked asked)
{
    struct bench_result *result = load->result;
    result->request_count++;
    if (answer->is_wrong)
        result->wrong_count++;
    if (answer->is_refused) {
        result->refused_count++;
    } else if (asked.is_set) {
        result->key_count++;
        result->set_count++;
    } else {
        uint32_t keys = load->dialect->multiget;
        result->key_count += keys;
        result->hit_count += answer->hits;
        result->miss_count += answer->hits < keys ? keys - answer->hits : 0;
    }
}

/* From when on a connection's request of this number counts. */
static uint64_t from_ns(const struct bench_load *load, const struct bench_connection *connection,
                        uint64_t i)
{
    if (load->phase.rate == 0)
        return connection->sent_ns;
    double number = (double)i * load->options->active + connection->place;
    return load->start_ns + (uint64_t)(number / load->phase.rate * (double)NS_PER_S);
}

/* Latencies of the count answers that came together. */
static void record_latency(struct bench_load *load, const struct bench_connection *connection,
                           uint64_t count, uint64_t now_ns)
{
    struct bench_histogram *histogram = &load->result->latency_ns;
    if (load->phase.rate == 0 && load->phase.latencies == NULL) {
        bench_histogram_record(histogram, now_ns - connection->sent_ns, count);
        return;
    }
    for (uint64_t i = connection->answer_count - count; i < connection->answer_count; i++) {
        struct bench_latency latency = {.from_ns = from_ns(load, connection, i)};
        latency.latency_ns = now_ns > latency.from_ns ? now_ns - latency.from_ns : 0;
        bench_histogram_record(histogram, latency.latency_ns, 1);
        if (load->phase.latencies != NULL)
            buf_append(load->phase.latencies, &latency, sizeof(latency));
    }
}

/* What a read has brought. */
static void take(struct bench_load *load, struct bench_connection *connection,
                 const struct volley_call *call, uint64_t now_ns)
{
    if (call->result == -EAGAIN || call->result == -EINTR)
        return;
    if (call->result <= 0) {
        lose(load, connection);
        return;
    }
    uint64_t done_count = 0;
    struct span stream = span_of(call->bytes, (size_t)call->result);
    while (stream.len > 0) {
        struct bench_asked asked = {0};
        enum bench_scan scan = BENCH_SCAN_BAD; /* nothing was asked */
        if (connection->asked_count > 0) {
            asked = connection->asked[connection->asked_first];
            scan = bench_answer_scan(&connection->answer, load->dialect, asked, &stream);
        }
        if (scan == BENCH_SCAN_BAD) {
            load->result->wrong_count++;
            lose(load, connection);
            return;
        }
        if (scan == BENCH_SCAN_MORE)
            break;
        count_answer(load, &connection->answer, asked);
        bench_answer_reset(&connection->answer);
        connection->asked_count--;
        if (++connection->asked_first == load->batch_max)
            connection->asked_first = 0;
        done_count++;
    }
    load->unanswered_count -= done_count;
    connection->answer_count += done_count;
    record_latency(load, connection, done_count, now_ns);
    send_batch(load, connection, now_ns);
}

/* ---- phases -----------------------------------------------------------------------------------
 */

static bool is_done(const struct bench_load *load, uint64_t now_ns)
{
    bool sends_more = now_ns < load->end_ns &&
                      (load->live_count > 0 || load->options->active == 0) &&
                      (load->issued_count < load->phase.request_count || load->waiting_count > 0);
    return !sends_more && load->unanswered_count == 0;
}

/* How long to wait for events: until the phase ends, the next request is due, or silence has lasted
 * too long. */
static uint64_t wait_ns(const struct bench_load *load, uint64_t now_ns, uint64_t heard_ns)
{
    uint64_t until_ns = heard_ns + (uint64_t)(load->options->timeout_s * (double)NS_PER_S);
    if (load->unanswered_count == 0 || (now_ns < load->end_ns && load->end_ns < until_ns))
        until_ns = load->end_ns;
    if (load->phase.rate > 0 && now_ns < load->end_ns &&
        load->issued_count < load->phase.request_count) {
        double due_s = (double)load->issued_count / load->phase.rate;
        uint64_t due_ns = load->start_ns + (uint64_t)(due_s * (double)NS_PER_S);
        until_ns = due_ns < until_ns ? due_ns : until_ns;
    }
    return until_ns > now_ns ? until_ns - now_ns : 0;
}

/* Gives up every connection that owes an answer. */
static void lose_silent(struct bench_load *load)
{
    for (uint32_t i = 0; i < load->options->active; i++)
        if (load->active[i]->fd >= 0 && load->active[i]->asked_count > 0)
            lose(load, load->active[i]);
}

static void begin_phase(struct bench_load *load, const struct bench_phase *phase,
                        struct bench_result *result)
{
    CHECK(phase->batch >= 1 && phase->batch <= load->batch_max);
    CHECK(load->unanswered_count == 0);
    *result = (struct bench_result){0};
    load->result = result;
    load->phase = *phase;
    load->issued_count = load->waiting_count = 0;
    memset(load->filled, 0, sizeof(load->filled));
    load->start_ns = clock_ns();
    load->end_ns =
        phase->duration_ns == UINT64_MAX ? UINT64_MAX : load->start_ns + phase->duration_ns;
    for (uint32_t i = 0; i < load->options->active; i++) {
        struct bench_connection *connection = load->active[i];
        connection->due_count = connection->sent_count = connection->answer_count = 0;
    }
}

/* Reads count connections, at most VOLLEY_CALLS_MAX, and sends what follows their answers. */
static void receive(struct bench_load *load, struct bench_connection **ready, uint32_t count)
{
    struct volley_call calls[VOLLEY_CALLS_MAX];
    for (uint32_t i = 0; i < count; i++)
        calls[i] = (struct volley_call){.kind = VOLLEY_RECEIVE,
                                        .fd = ready[i]->fd,
                                        .bytes = load->in + (size_t)i * BENCH_IN_BYTES,
                                        .len = BENCH_IN_BYTES};
    volley_fire(load->volley, calls, count);
    uint64_t now_ns = clock_ns();
    for (uint32_t i = 0; i < count; i++)
        take(load, ready[i], &calls[i], now_ns);
    launch(load);
}

static void handle_events(struct bench_load *load, const struct epoll_event *events, int count)
{
    struct bench_connection *ready[VOLLEY_CALLS_MAX];
    uint32_t ready_count = 0;
    for (int i = 0; i < count; i++) {
        struct bench_connection *connection = events[i].data.ptr;
        if (connection->fd >= 0 && (events[i].events & EPOLLOUT) && connection->awaits_writing)
            send_unsent(load, connection);
        if (connection->fd >= 0 && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            ready[ready_count++] = connection;
        if (ready_count == VOLLEY_CALLS_MAX || i + 1 == count) {
            receive(load, ready, ready_count);
            ready_count = 0;
        }
    }
}

void bench_load_run(struct bench_load *load, const struct bench_phase *phase,
                    struct bench_result *result)
{
    begin_phase(load, phase, result);
    uint64_t now_ns = load->start_ns;
    uint64_t heard_ns = now_ns;
    for (uint32_t i = 0; i < load->options->active && phase->rate == 0; i++)
        send_batch(load, load->active[i], now_ns);
    launch(load);
    while (send_due(load, now_ns), !is_done(load, now_ns)) {
        struct epoll_event events[EVENTS_MAX];
        uint64_t wait = wait_ns(load, now_ns, heard_ns);
        struct timespec limit = {(time_t)(wait / NS_PER_S), (long)(wait % NS_PER_S)};
        int count = epoll_pwait2(load->epoll_fd, events, EVENTS_MAX, &limit, NULL);
        CHECK(count >= 0 || errno == EINTR);
        handle_events(load, events, count);
        now_ns = clock_ns();
        if (count > 0)
            heard_ns = now_ns;
        else if (load->unanswered_count > 0 &&
                 (double)(now_ns - heard_ns) >= load->options->timeout_s * (double)NS_PER_S)
            lose_silent(load);
    }
    load->result->unsent_count += load->waiting_count;
    load->result->elapsed_ns = clock_ns() - load->start_ns;
}
