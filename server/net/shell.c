#include "server/net/shell.h"

#include "common/check.h"
#include "server/net/conn.h"
#include "server/net/dialler.h"
#include "server/net/listener.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* A deadline noticed so much too late is judged only after what has come meanwhile; in so many
 * turns at the most, each of which looks at all connections, so that a flood delays nothing for
 * ever. */
#define LAG_MS_MAX         100u
#define CATCH_UP_TURNS_MAX 16u

struct moment shell_clock(void)
{
    struct timespec mono, wall;
    clock_gettime(CLOCK_BOOTTIME, &mono);
    clock_gettime(CLOCK_REALTIME, &wall);
    return (struct moment){
        .mono_ms = (uint64_t)mono.tv_sec * 1000 + (uint64_t)mono.tv_nsec / 1000000,
        .unix_ms = (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000,
    };
}

void shell_turn(struct shell *shell)
{
    if (LIKELY(shell->in_turn))
        return;
    shell->in_turn = true;
    shell->now = shell_clock();
    node_turn(shell->node, shell->now);
}

/* --- what the node asks of the outside -------------------------------------------------------- */

static struct session *env_session(void *arg, struct conn_id id)
{
    struct conn *conn = conn_find(arg, id);
    if (!conn)
        return NULL;
    conn_touch(conn);
    return &conn->session;
}

static void env_client_text(void *arg, struct conn_id id, char text[CLIENT_TEXT_BYTES_MAX])
{
    struct conn *conn = conn_find(arg, id);
    const char *from = conn ? conn_text(conn) : "-";
    size_t len = strlen(from);
    CHECK(len < CLIENT_TEXT_BYTES_MAX);
    memcpy(text, from, len + 1);
}

static struct conn_id env_dial(void *arg, const char *name)
{
    struct shell *shell = arg;
    struct conn *conn = conn_dial(shell, CONN_PEER);
    if (!dialler_dial(shell->dialler, conn->id, name))
        conn_end(conn);
    return conn->state == CONN_CLOSED ? (struct conn_id){0} : conn->id;
}

static struct conn_id env_dial_client(void *arg, const char *address)
{
    struct shell *shell = arg;
    struct conn *conn = conn_dial(shell, CONN_RAW);
    if (!dialler_dial_client(shell->dialler, conn->id, address))
        conn_end(conn);
    return conn->state == CONN_CLOSED ? (struct conn_id){0} : conn->id;
}

static void env_close(void *arg, struct conn_id id, bool after_sending)
{
    struct conn *conn = conn_find(arg, id);
    if (!conn)
        return;
    if (after_sending && conn->fd >= 0)
        conn_drain(conn);
    else
        conn_end(conn);
}

static uint64_t env_unacked(void *arg, struct conn_id id)
{
    const struct conn *conn = conn_find(arg, id);
    return conn ? conn_unacked(conn) : 0;
}

static void env_entropy(void *arg, void *bytes, size_t len)
{
    (void)arg;
    CHECK(len <= 256); /* so much comes whole */
    CHECK(getrandom(bytes, len, 0) == (ssize_t)len);
}

static uint64_t microseconds(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

static void env_gauges(void *arg, struct stats_gauges *gauges)
{
    struct shell *shell = arg;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    gauges->pid = (uint64_t)getpid();
    gauges->uptime = (shell->now.mono_ms - shell->started_ms) / 1000;
    gauges->unix_s = shell->now.unix_ms / 1000;
    gauges->rusage_user_us = microseconds(usage.ru_utime);
    gauges->rusage_system_us = microseconds(usage.ru_stime);
    gauges->max_connections = shell->options.connections_max;
    gauges->curr_connections = shell->client_count;
    gauges->total_connections = shell->accepted_total;
    gauges->rejected_connections = shell->refused_total;
    gauges->limit_maxbytes = shell->budget->limit_bytes;
    gauges->memory_used = shell->budget->used_bytes;
}

static void env_verbosity(void *arg, uint64_t level)
{
    struct shell *shell = arg;
    shell->log->level = level >= 1 ? LOG_DEBUG : LOG_INFO;
}

/* --- turns ------------------------------------------------------------------------------------ */

/* Connections that may go on have their turn first: their clients have waited longest. */
static void resume_paused(struct shell *shell)
{
    struct list due;
    struct list *link;
    list_init(&due);
    while ((link = list_first(&shell->resumed))) {
        list_remove(link);
        list_append(&due, link);
    }
    if (list_is_empty(&due))
        return;
    shell_turn(shell);
    while ((link = list_first(&due)))
        conn_resume(CONTAINER_OF(link, struct conn, in_resumed));
}

/* Reads connections from reading[first] on, as many as the arena has room for, and parses what has
 * come. Returns how many. */
static uint32_t read_some(struct shell *shell, uint32_t first)
{
    struct volley_call calls[SHELL_READS_MAX];
    struct conn *aimed[SHELL_READS_MAX];
    uint32_t count = 0, i = first;
    size_t used = 0;
    node_flush(shell->node); /* what was read before is done with the arena */
    for (; i < shell->reading_count; i++) {
        struct conn *conn = shell->reading[i];
        size_t bytes = conn_arena_bytes(conn);
        CHECK(bytes <= SHELL_ARENA_BYTES);
        if (used + bytes > SHELL_ARENA_BYTES)
            break;
        if (!conn_aim(conn, shell->arena + used, &calls[count]))
            continue;
        used += bytes;
        aimed[count++] = conn;
    }
    volley_fire(shell->volley, calls, count);
    for (uint32_t k = 0; k < count; k++)
        conn_take(aimed[k], &calls[k]);
    return i - first;
}

/* Looks at the connections that may be owed bytes, and sends them. */
static void send_some(struct shell *shell)
{
    struct volley_call calls[VOLLEY_CALLS_MAX];
    struct conn *offered[VOLLEY_CALLS_MAX];
    uint32_t count = 0;
    struct list *link;
    while (count < VOLLEY_CALLS_MAX && (link = list_first(&shell->dirty))) {
        struct conn *conn = CONTAINER_OF(link, struct conn, in_dirty);
        list_remove(link);
        if (conn_offer(conn, &calls[count]))
            offered[count++] = conn;
        else
            conn_settle(conn);
    }
    volley_fire(shell->volley, calls, count);
    for (uint32_t k = 0; k < count; k++)
        conn_sent(offered[k], &calls[k]);
}

/* Reads what is to be read, carries it out, and sends what is owed. */
static void settle(struct shell *shell)
{
    for (uint32_t first = 0; first < shell->reading_count;)
        first += read_some(shell, first);
    shell->reading_count = 0;
    node_flush(shell->node);
    while (!list_is_empty(&shell->dirty))
        send_some(shell);
    node_sent(shell->node);
}

void shell_read_soon(struct shell *shell, struct conn *conn)
{
    shell->turn_reads++;
    shell->reading[shell->reading_count++] = conn;
    if (shell->reading_count == SHELL_READS_MAX)
        settle(shell);
}

static void free_ended(struct shell *shell)
{
    struct list *link;
    while ((link = list_first(&shell->ended))) {
        list_remove(link);
        conn_free(CONTAINER_OF(link, struct conn, in_dirty));
    }
}

/* Whether what is due must wait for more to be read: the process was stopped or busy, and what has
 * come meanwhile may be what the node was waiting for. A turn in which nothing was read is the
 * last; the one in which the delay was noticed may have looked before it. */
static bool is_catching_up(struct shell *shell)
{
    if (shell->catch_up_turns == 0)
        return false;
    bool is_first = shell->catch_up_turns == CATCH_UP_TURNS_MAX;
    shell->catch_up_turns = is_first || shell->turn_reads > 0 ? shell->catch_up_turns - 1 : 0;
    return shell->catch_up_turns > 0;
}

static void end_turn(struct shell *shell)
{
    if (!shell->in_turn)
        return;
    settle(shell);
    if (shell->is_due && !is_catching_up(shell)) {
        shell->is_due = false;
        node_tick(shell->node);
        settle(shell);
    }
    shell->turn_reads = 0;
    free_ended(shell);
    shell->in_turn = false;
}

static void set_timer(struct shell *shell)
{
    if (shell->is_due)
        return; /* the next turn follows at once */
    uint64_t deadline_ms = node_deadline(shell->node);
    if (deadline_ms >= shell->timer_ms)
        return;                              /* it rings early enough */
    uint64_t now_ms = shell_clock().mono_ms; /* the turn may have been long */
    uint64_t wait_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    if (wait_ms > 60000)
        wait_ms = 60000;
    const struct timeval wait = {.tv_sec = (time_t)(wait_ms / 1000),
                                 .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000)};
    shell->timer_ms = now_ms + wait_ms;
    event_add(&shell->timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct shell *shell = arg;
    shell_turn(shell);
    uint64_t lag_ms = shell->now.mono_ms - shell->timer_ms;
    shell->timer_ms = UINT64_MAX;
    shell->is_due = true;
    shell->catch_up_turns = lag_ms > LAG_MS_MAX ? CATCH_UP_TURNS_MAX : 0;
}

/* Closes the connections of clients that have been silent for too long. */
static void on_idle_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct shell *shell = arg;
    shell_turn(shell);
    uint32_t now_s = (uint32_t)(shell->now.mono_ms / 1000);
    for (uint32_t i = 0; i < shell->conns_capacity; i++) {
        struct conn *conn = shell->conns[i];
        if (conn && !conn->is_dialled && !node_has_link(shell->node, conn->id) &&
            session_open_count(&conn->session) == 0 &&
            now_s - conn->active_s > shell->options.idle_timeout_s)
            conn_end(conn);
    }
    const struct timeval second = {.tv_sec = 1};
    event_add(&shell->idle_timer, &second);
}

/* --- stopping --------------------------------------------------------------------------------- */

static void log_stats(struct shell *shell)
{
    struct reply text = {0};
    node_stats_append(shell->node, SPAN_LITERAL(""), &text);
    struct span lines = buf_span(&text.bytes);
    const char *at = lines.data, *end = lines.data + lines.len;
    while (at < end) {
        const char *stop = memchr(at, '\r', (size_t)(end - at));
        struct span line = span_of(at, (size_t)((stop ? stop : end) - at));
        if (line.len > 5 && memcmp(line.data, "STAT ", 5) == 0)
            log_line(shell->log, shell->now, LOG_INFO, "stat", "%.*s", (int)line.len - 5,
                     line.data + 5);
        at = stop ? stop + 2 : end;
    }
    reply_close(&text);
}

/* No more requests: what has come is answered, then everybody is said good-bye. */
static void stop_gracefully(struct shell *shell)
{
    shell->is_stopping = true;
    shell->stop_by_ms = shell->now.mono_ms + shell->options.drain_timeout_ms;
    listener_close(shell->listener);
    shell->listener = NULL;
    for (uint32_t i = 0; i < shell->conns_capacity; i++) {
        struct conn *conn = shell->conns[i];
        if (conn && !conn->is_dialled)
            conn_finish(conn);
    }
}

static void env_keep_boot(void *arg, uint64_t boot)
{
    struct shell *shell = arg;
    shell->options.keep_boot(shell->options.arg, boot);
}

static void env_end(void *arg, enum node_end why)
{
    struct shell *shell = arg;
    if (shell->has_ended)
        return;
    shell->has_ended = true;
    shell->end = why;
    log_line(shell->log, shell->now, why == NODE_END_LEFT ? LOG_INFO : LOG_WARN, "stopping",
             "reason=\"%s\" connections=%u",
             why == NODE_END_LEFT ? "left the cluster" : "another process is the node of this name",
             shell->client_count);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    struct shell *shell = arg;
    shell_turn(shell);
    if (number == SIGUSR1) {
        log_stats(shell);
    } else if (number == SIGHUP) {
        shell->options.reload(shell->options.arg);
    } else if (shell->is_stopping) {
        log_line(shell->log, shell->now, LOG_WARN, "stopped", "reason=\"second signal\"");
        _exit(128 + (int)number);
    } else {
        log_line(shell->log, shell->now, LOG_INFO, "stopping", "signal=%d connections=%u",
                 (int)number, shell->client_count);
        shell->signal_number = (int)number;
        stop_gracefully(shell);
    }
}

static bool has_stopped(const struct shell *shell)
{
    return shell->is_stopping &&
           (shell->accepted_count == 0 || shell->now.mono_ms >= shell->stop_by_ms);
}

/* --- the whole -------------------------------------------------------------------------------- */

/* libevent's own words (a name server that fails) are not in the log's form; what becomes of a
 * look-up is logged by the link that asked for it. */
static void drop_libevent_line(int severity, const char *text)
{
    (void)severity;
    (void)text;
}

void shell_init(struct shell *shell, const struct shell_options *options, struct budget *budget,
                struct log *log)
{
    *shell = (struct shell){
        .options = *options,
        .budget = budget,
        .log = log,
        .timer_ms = UINT64_MAX,
        .now = shell_clock(),
        .env = {.shell = shell,
                .session = env_session,
                .client_text = env_client_text,
                .dial = env_dial,
                .dial_client = env_dial_client,
                .close = env_close,
                .unacked = env_unacked,
                .entropy = env_entropy,
                .end = env_end,
                .keep_boot = env_keep_boot,
                .gauges = env_gauges,
                .verbosity = env_verbosity},
    };
    shell->started_ms = shell->now.mono_ms;
    event_set_log_callback(drop_libevent_line);
    list_init(&shell->dirty);
    list_init(&shell->resumed);
    list_init(&shell->ended);
    struct event_config *config = event_config_new();
    CHECK(config != NULL);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    shell->base = event_base_new_with_config(config);
    event_config_free(config);
    CHECK(shell->base != NULL);
    shell->arena = malloc(SHELL_ARENA_BYTES);
    shell->volley = volley_open(options->is_plain);
    shell->spares = calloc(SPARE_COUNT_MAX, sizeof(*shell->spares));
    CHECK(shell->arena != NULL);
    CHECK(shell->spares != NULL);
    shell->dialler = dialler_open(shell);
    CHECK(evtimer_assign(&shell->timer, shell->base, on_timer, shell) == 0);
    CHECK(evtimer_assign(&shell->idle_timer, shell->base, on_idle_timer, shell) == 0);
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        CHECK(evsignal_assign(&shell->signals[i], shell->base, numbers[i], on_signal, shell) == 0);
        event_add(&shell->signals[i], NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

enum err shell_listen(struct shell *shell, const char *host, uint16_t port,
                      char address[CLIENT_TEXT_BYTES_MAX + 16], uint16_t *port_got)
{
    shell->listener =
        listener_open(shell, host, port, address, CLIENT_TEXT_BYTES_MAX + 16, port_got);
    return shell->listener ? ERR_OK : ERR_IO;
}

void shell_run(struct shell *shell, struct node *node)
{
    shell->node = node;
    if (shell->options.idle_timeout_s > 0) {
        const struct timeval second = {.tv_sec = 1};
        event_add(&shell->idle_timer, &second);
    }
    shell_turn(shell);
    for (;;) {
        end_turn(shell);
        if (shell->has_ended && !shell->is_stopping) {
            shell_turn(shell);
            stop_gracefully(shell);
            continue;
        }
        if (has_stopped(shell))
            break;
        set_timer(shell);
        resume_paused(shell);
        if (shell->is_due)
            shell_turn(shell); /* the time goes on, whether or not anything comes */
        event_base_loop(shell->base, EVLOOP_ONCE | (shell->in_turn ? EVLOOP_NONBLOCK : 0));
    }
    log_line(shell->log, shell->now, LOG_INFO, "stopped", "connections_left=%u",
             shell->accepted_count);
}

void shell_close(struct shell *shell)
{
    listener_close(shell->listener);
    shell->is_stopping = true;
    for (uint32_t i = 0; i < shell->conns_capacity; i++)
        if (shell->conns[i])
            conn_end(shell->conns[i]);
    struct list *link;
    while ((link = list_first(&shell->dirty))) {
        list_remove(link);
        conn_settle(CONTAINER_OF(link, struct conn, in_dirty));
    }
    free_ended(shell);
    event_del(&shell->timer);
    event_del(&shell->idle_timer);
    for (size_t i = 0; i < ARRAY_COUNT(shell->signals); i++)
        event_del(&shell->signals[i]);
    dialler_close(shell->dialler); /* lets the loop end what it has begun: nothing else is left */
    event_base_free(shell->base);
    while (shell->spare_count > 0)
        buf_close(&shell->spares[--shell->spare_count]);
    free(shell->spares);
    free(shell->arena);
    volley_close(shell->volley);
    free(shell->conns);
    free(shell->generations);
    free(shell->free_indices);
    *shell = (struct shell){0};
}
