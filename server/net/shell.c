#include "server/net/shell.h"

#include "common/check.h"
#include "server/net/conn_in.h"
#include "server/net/conn_out.h"
#include "server/net/dialler.h"
#include "server/net/listener.h"

#include <errno.h>
#include <sched.h>
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
#define SIGNALS_AT_START   2u    /* of those listened for */
#define YIELD_US_MAX       2500u /* longer than a turn or two of other nodes */
#define YIELD_PAUSE_MS     250u

/* --- what the node asks of the outside -------------------------------------------------------- */

static struct session *env_session(void *arg, struct conn_id id)
{
    struct conn *conn = conn_find(&((struct shell *)arg)->turn, id);
    if (!conn)
        return NULL;
    conn_touch(conn);
    return &conn->session;
}

static void env_client_text(void *arg, struct conn_id id, char text[CLIENT_TEXT_BYTES_MAX])
{
    struct conn *conn = conn_find(&((struct shell *)arg)->turn, id);
    const char *from = conn ? conn_text(conn) : "-";
    size_t len = strlen(from);
    CHECK(len < CLIENT_TEXT_BYTES_MAX);
    memcpy(text, from, len + 1);
}

/* The id of a connection that is being dialled; none if that could not even begin. */
static struct conn_id dialled(struct conn *conn, bool has_begun)
{
    if (!has_begun)
        conn_end(conn);
    return conn->state == CONN_CLOSED ? (struct conn_id){0} : conn->id;
}

static struct conn_id env_dial(void *arg, const char *name)
{
    struct shell *shell = arg;
    struct conn *conn = conn_open(&shell->turn, CONN_PEER);
    return dialled(conn, dialler_dial(shell->dialler, conn->id, name));
}

static struct conn_id env_dial_client(void *arg, const char *address)
{
    struct shell *shell = arg;
    struct conn *conn = conn_open(&shell->turn, CONN_RAW);
    return dialled(conn, dialler_dial_client(shell->dialler, conn->id, address));
}

static void env_close(void *arg, struct conn_id id, bool after_sending)
{
    struct conn *conn = conn_find(&((struct shell *)arg)->turn, id);
    if (!conn)
        return;
    if (after_sending && conn->fd >= 0)
        conn_drain(conn);
    else
        conn_end(conn);
}

static uint64_t env_unacked(void *arg, struct conn_id id)
{
    const struct conn *conn = conn_find(&((struct shell *)arg)->turn, id);
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
    gauges->uptime = (shell->turn.now.mono_ms - shell->started_ms) / 1000;
    gauges->unix_s = shell->turn.now.unix_ms / 1000;
    gauges->rusage_user_us = microseconds(usage.ru_utime);
    gauges->rusage_system_us = microseconds(usage.ru_stime);
    gauges->max_connections = shell->options.connections_max;
    gauges->curr_connections = shell->turn.client_count;
    gauges->total_connections = shell->turn.accepted_total;
    gauges->rejected_connections = shell->turn.refused_total;
    gauges->limit_maxbytes = shell->turn.budget->limit_bytes;
    gauges->memory_used = shell->turn.budget->used_bytes;
}

static void env_verbosity(void *arg, uint64_t level)
{
    struct shell *shell = arg;
    shell->turn.log->level = level >= 1 ? LOG_DEBUG : LOG_INFO;
}

/* --- turns ------------------------------------------------------------------------------------ */

/* Whether what is due must wait for more to be read: the process was stopped or busy, and what has
 * come meanwhile may be what the node was waiting for. A turn in which nothing was read is the
 * last; the one in which the delay was noticed may have looked before it. */
static bool is_catching_up(struct shell *shell)
{
    if (shell->catch_up_turns == 0)
        return false;
    bool is_first = shell->catch_up_turns == CATCH_UP_TURNS_MAX;
    shell->catch_up_turns = is_first || shell->turn.reads > 0 ? shell->catch_up_turns - 1 : 0;
    return shell->catch_up_turns > 0;
}

static void end_turn(struct shell *shell)
{
    if (!shell->turn.is_begun)
        return;
    conns_settle(&shell->turn);
    if (shell->is_due && !is_catching_up(shell)) {
        shell->is_due = false;
        node_tick(shell->turn.node);
        conns_settle(&shell->turn);
    }
    shell->turn.reads = 0;
    conns_free_ended(&shell->turn);
    shell->turn.is_begun = false;
}

static void set_timer(struct shell *shell)
{
    if (shell->is_due)
        return; /* the next turn follows at once */
    uint64_t deadline_ms = node_deadline(shell->turn.node);
    if (deadline_ms >= shell->timer_ms)
        return;                             /* it rings early enough */
    uint64_t now_ms = turn_clock().mono_ms; /* the turn may have been long */
    uint64_t wait_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    if (wait_ms > 60000)
        wait_ms = 60000;
    const struct timeval wait = turn_timeval(wait_ms);
    shell->timer_ms = now_ms + wait_ms;
    event_add(&shell->timer, &wait);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct shell *shell = arg;
    turn_begin(&shell->turn);
    uint64_t now_ms = shell->turn.now.mono_ms;
    uint64_t lag_ms = now_ms > shell->timer_ms ? now_ms - shell->timer_ms : 0;
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
    turn_begin(&shell->turn);
    uint32_t now_s = (uint32_t)(shell->turn.now.mono_ms / 1000);
    for (uint32_t i = 0; i < shell->turn.conns_capacity; i++) {
        struct conn *conn = shell->turn.conns[i];
        if (conn && !conn->is_dialled && !node_has_link(shell->turn.node, conn->id) &&
            session_open_count(&conn->session) == 0 &&
            now_s - conn->active_s > shell->options.idle_timeout_s)
            conn_end(conn);
    }
}

/* --- statistics ------------------------------------------------------------------------------ */

/* Takes the next "STAT name value" off an answer to stats; an empty span behind the last. */
static struct span stat_take(struct span *answer)
{
    const struct span word = SPAN_LITERAL("STAT ");
    const char *stop = answer->len > 0 ? memchr(answer->data, '\r', answer->len) : NULL;
    if (!stop || answer->len < word.len || memcmp(answer->data, word.data, word.len) != 0)
        return span_of(NULL, 0);
    size_t len = (size_t)(stop - answer->data);
    struct span stat = span_of(answer->data + word.len, len - word.len);
    *answer = span_of(stop + 2, answer->len - len - 2);
    return stat;
}

/* A line for each number that there is. */
static void log_stats(struct shell *shell)
{
    struct reply answer = {0};
    node_stats_append(shell->turn.node, SPAN_LITERAL(""), &answer);
    struct span rest = buf_span(&answer.bytes), stat;
    while ((stat = stat_take(&rest)).len > 0)
        log_line(shell->turn.log, shell->turn.now, LOG_INFO, "stat", "%.*s", (int)stat.len,
                 stat.data);
    reply_close(&answer);
}

/* One line about the membership, name=value …. */
static void log_stats_line(struct shell *shell)
{
    struct reply answer = {0};
    struct buf line = {0};
    node_stats_append(shell->turn.node, SPAN_LITERAL("gossip"), &answer);
    struct span rest = buf_span(&answer.bytes), stat;
    while ((stat = stat_take(&rest)).len > 0) {
        const char *space = memchr(stat.data, ' ', stat.len);
        size_t name_len = (size_t)(space - stat.data);
        buf_printf(&line, "%s%.*s=%.*s", buf_len(&line) > 0 ? " " : "", (int)name_len, stat.data,
                   (int)(stat.len - name_len - 1), space + 1);
    }
    struct span text = buf_span(&line);
    log_line(shell->turn.log, shell->turn.now, LOG_INFO, "STATS", "%.*s", (int)text.len, text.data);
    buf_close(&line);
    reply_close(&answer);
}

static void on_stats_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct shell *shell = arg;
    turn_begin(&shell->turn);
    log_stats_line(shell);
}

/* --- stopping --------------------------------------------------------------------------------- */

static bool env_keep_state(void *arg, struct span text)
{
    struct shell *shell = arg;
    return shell->options.keep_state(shell->options.arg, text);
}

static void env_end(void *arg, enum node_end why)
{
    struct shell *shell = arg;
    if (shell->has_ended)
        return;
    shell->has_ended = true;
    shell->end = why;
}

/* The first step of a stop: the node leaves the cluster, and serves everybody as before meanwhile,
 * by what the others lead; env_end follows. */
static void leave(struct shell *shell, int signal_number)
{
    struct turn *turn = &shell->turn;
    log_line(turn->log, turn->now, LOG_INFO, "leaving", "signal=%d connections=%u", signal_number,
             turn->client_count);
    shell->is_leaving = true;
    shell->step_by_ms = turn->now.mono_ms + shell->options.leave_timeout_ms;
    node_leave(turn->node);
}

/* The second: nobody new is taken, clients are served what they have asked for, and no more. */
static void drain(struct shell *shell)
{
    struct turn *turn = &shell->turn;
    turn_begin(turn);
    log_line(turn->log, turn->now, LOG_INFO, "draining", "connections=%u", turn->client_count);
    turn->is_draining = true;
    shell->step_by_ms = turn->now.mono_ms + shell->options.drain_timeout_ms;
    listener_close(shell->listener);
    shell->listener = NULL;
    conns_finish(turn, true);
}

/* The last: the node has left or will not. What other nodes have asked for is answered, then
 * everybody is said good-bye. */
static void stop(struct shell *shell)
{
    struct turn *turn = &shell->turn;
    bool is_duplicate = shell->has_ended && shell->end == NODE_END_DUPLICATE;
    const char *reason = "left the cluster";
    if (is_duplicate)
        reason = "another process is the node of this name, or was started under it later";
    else if (shell->has_ended && shell->end == NODE_END_LATE)
        reason = "told to shut down, and the others have not let it go in time";
    else if (!shell->has_ended)
        reason = "the others have not heard in time that it leaves";
    turn_begin(turn);
    log_line(turn->log, turn->now, is_duplicate ? LOG_ERROR : LOG_INFO, "stopping",
             "reason=\"%s\" connections=%u", reason, turn->client_count);
    turn->is_draining = turn->is_stopping = true;
    shell->step_by_ms = turn->now.mono_ms + shell->options.drain_timeout_ms;
    if (shell->listener)
        listener_close(shell->listener);
    shell->listener = NULL;
    conns_finish(turn, false);
}

/* Takes the next step if it is time. Returns whether there was one. */
static bool step(struct shell *shell)
{
    const struct turn *turn = &shell->turn;
    bool is_late = turn->now.mono_ms >= shell->step_by_ms;
    if (turn->is_stopping)
        return false;
    bool is_duplicate = shell->has_ended && shell->end == NODE_END_DUPLICATE;
    if (is_duplicate || (turn->is_draining && (turn->client_count == 0 || is_late)))
        stop(shell);
    else if (!turn->is_draining && (shell->has_ended || (shell->is_leaving && is_late)))
        drain(shell);
    else
        return false;
    return true;
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    struct shell *shell = arg;
    struct turn *turn = &shell->turn;
    turn_begin(turn);
    if (number == SIGUSR1) {
        log_stats(shell);
    } else if (number == SIGHUP) {
        shell->options.reload(shell->options.arg);
    } else if (shell->is_leaving || turn->is_draining) {
        log_line(turn->log, turn->now, LOG_WARN, "stopped", "reason=\"second signal\"");
        _exit(128 + (int)number);
    } else {
        leave(shell, (int)number);
    }
}

static bool has_stopped(const struct shell *shell)
{
    return shell->turn.is_stopping &&
           (shell->turn.accepted_count == 0 || shell->turn.now.mono_ms >= shell->step_by_ms);
}

static uint64_t clock_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Where several nodes share a processor, each lets the others go first between its turns: they are
 * those whose answers it waits for, and more is there by its next turn, which costs less a request
 * then. Who is away for as long as no turn of theirs takes has let something else go, that has use
 * for all it gets, and does not do so again for a while. */
static void let_others_go_first(struct shell *shell)
{
    uint64_t now_ms = shell->turn.now.mono_ms;
    if (shell->is_due || now_ms < shell->yields_from_ms || !node_has_others(shell->turn.node))
        return;
    uint64_t before_us = clock_us();
    sched_yield();
    if (clock_us() - before_us > YIELD_US_MAX)
        shell->yields_from_ms = now_ms + YIELD_PAUSE_MS;
}

/* --- the whole -------------------------------------------------------------------------------- */

void shell_init(struct shell *shell, const struct shell_options *options, struct budget *budget,
                struct log *log)
{
    *shell = (struct shell){
        .options = *options,
        .timer_ms = UINT64_MAX,
        .env = {.shell = shell,
                .session = env_session,
                .client_text = env_client_text,
                .dial = env_dial,
                .dial_client = env_dial_client,
                .close = env_close,
                .unacked = env_unacked,
                .entropy = env_entropy,
                .end = env_end,
                .keep_state = env_keep_state,
                .gauges = env_gauges,
                .verbosity = env_verbosity},
    };
    turn_init(&shell->turn, options->value_bytes_max, options->is_plain, budget, log);
    shell->started_ms = shell->turn.now.mono_ms;
    shell->dialler = dialler_open(&shell->turn);
    CHECK(evtimer_assign(&shell->timer, shell->turn.base, on_timer, shell) == 0);
    CHECK(event_assign(&shell->idle_timer, shell->turn.base, -1, EV_PERSIST, on_idle_timer,
                       shell) == 0);
    CHECK(event_assign(&shell->stats_timer, shell->turn.base, -1, EV_PERSIST, on_stats_timer,
                       shell) == 0);
    /* SIGHUP and SIGUSR1 wait until the node runs; until then the other two end the process at
     * once, whatever its start waits for. */
    static const int numbers[] = {SIGHUP, SIGUSR1, SIGTERM, SIGINT};
    _Static_assert(ARRAY_COUNT(numbers) == ARRAY_COUNT(shell->signals), "one event each");
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        CHECK(evsignal_assign(&shell->signals[i], shell->turn.base, numbers[i], on_signal, shell) ==
              0);
        if (i < SIGNALS_AT_START)
            event_add(&shell->signals[i], NULL);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of the write */
}

enum err shell_listen(struct shell *shell, const char *host, uint16_t port,
                      char address[CLIENT_TEXT_BYTES_MAX + 16], uint16_t *port_got)
{
    shell->listener =
        listener_open(&shell->turn, shell->options.connections_max, shell->options.unproven_max,
                      host, port, address, CLIENT_TEXT_BYTES_MAX + 16, port_got);
    return shell->listener ? ERR_OK : ERR_IO;
}

void shell_run(struct shell *shell, struct node *node)
{
    shell->turn.node = node;
    for (size_t i = SIGNALS_AT_START; i < ARRAY_COUNT(shell->signals); i++)
        event_add(&shell->signals[i], NULL);
    if (shell->options.idle_timeout_s > 0) {
        const struct timeval second = {.tv_sec = 1};
        event_add(&shell->idle_timer, &second);
    }
    if (shell->options.stats_interval_s > 0) {
        const struct timeval interval = {.tv_sec = (time_t)shell->options.stats_interval_s};
        event_add(&shell->stats_timer, &interval);
    }
    turn_begin(&shell->turn);
    for (;;) {
        end_turn(shell);
        if (step(shell))
            continue;
        if (has_stopped(shell))
            break;
        set_timer(shell);
        conns_resume(&shell->turn);
        if (shell->is_due)
            turn_begin(&shell->turn); /* the time goes on, whether or not anything comes */
        let_others_go_first(shell);
        event_base_loop(shell->turn.base,
                        EVLOOP_ONCE | (shell->turn.is_begun ? EVLOOP_NONBLOCK : 0));
    }
    log_line(shell->turn.log, shell->turn.now, LOG_INFO, "stopped", "connections_left=%u",
             shell->turn.accepted_count);
}

void shell_close(struct shell *shell)
{
    listener_close(shell->listener);
    shell->turn.is_stopping = true;
    conns_end(&shell->turn);
    event_del(&shell->timer);
    event_del(&shell->idle_timer);
    event_del(&shell->stats_timer);
    for (size_t i = 0; i < ARRAY_COUNT(shell->signals); i++)
        event_del(&shell->signals[i]);
    dialler_close(shell->dialler); /* lets the loop end what it has begun: nothing else is left */
    turn_close(&shell->turn);
    *shell = (struct shell){0};
}
