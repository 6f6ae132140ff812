/* dht-server: reads the options and peers.txt, wires store, node and shell, serves, exits.
 *
 * Exit status: 0 stopped as asked, 1 the machine refused (port in use, state directory not usable),
 * 2 usage: an option, peers.txt or the own name, 3 another process is the node of this name. */
#include "common/check.h"
#include "common/peers.h"
#include "common/version.h"
#include "server/audit.h"
#include "server/net/shell.h"
#include "server/options.h"
#include "server/self.h"
#include "server/settings.h"
#include "server/state_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DESCRIPTORS_BESIDE_CONNECTIONS (256u + 4u * VIEW_MEMBERS_MAX) /* four a node */
/* How many above the limit of clients are taken at a time because they may be other nodes: how many
 * of those there are is not known. Each proves it within a second or goes. */
#define UNPROVEN_MAX          256u
#define UP_AFTER_MS           2000u /* a member is up again when it was alive for so long */
#define DRAIN_MARGIN_MS       1000u
#define PEERS_FILE_BYTES_MAX  (4u * 1024 * 1024)
#define PEERS_ERROR_BYTES_MAX 4608u

enum { EXIT_MACHINE = 1, EXIT_USAGE = 2, EXIT_DUPLICATE = 3 };

static int complain(int status, const char *text)
{
    fprintf(stderr, "dht-server: %s\n", text);
    return status;
}

/* Reads peers.txt whole.
 * expect  how many of its lines found the cluster; 0: all.
 * error   out on failure: a line for people, the path in front. */
static enum err read_peers(const char *path, uint32_t expect, struct view *view,
                           struct view *founders, char *error, size_t size)
{
    FILE *file = fopen(path, "rbe");
    if (!file) {
        snprintf(error, size, "%s: %s", path, strerror(errno));
        return ERR_IO;
    }
    struct buf text = {0};
    size_t got;
    do {
        got = fread(buf_reserve(&text, 4096), 1, 4096, file);
        buf_advance(&text, got);
    } while (got > 0 && buf_len(&text) <= PEERS_FILE_BYTES_MAX);
    bool has_failed = ferror(file) != 0 || buf_len(&text) > PEERS_FILE_BYTES_MAX;
    fclose(file);
    struct peers_error why;
    enum err err = has_failed ? ERR_IO : peers_parse(buf_span(&text), view, &why);
    if (!err)
        CHECK(peers_parse_first(buf_span(&text), expect ? expect : UINT32_MAX, founders, &why) ==
              ERR_OK);
    buf_close(&text);
    if (has_failed)
        snprintf(error, size, "%s: cannot be read, or is larger than %u bytes", path,
                 PEERS_FILE_BYTES_MAX);
    else if (err)
        snprintf(error, size, "%s: %s", path, why.text);
    return err;
}

/* As many descriptors as these connections, nodes and the rest need, or as many as there can be.
 * Returns the limit then. */
static uint32_t raise_descriptors(uint32_t connections)
{
    struct rlimit limit;
    uint32_t wanted = connections + DESCRIPTORS_BESIDE_CONNECTIONS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return wanted;
    struct rlimit raised = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return wanted;
    const struct rlimit most = {limit.rlim_max, limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &most);
    getrlimit(RLIMIT_NOFILE, &limit); /* whether that was allowed or not */
    return limit.rlim_cur < wanted ? (uint32_t)limit.rlim_cur : wanted;
}

/* Everything a running server is made of. */
struct server {
    struct options options;
    uint32_t connections_wanted; /* as -c says; the options have what there is room for */
    uint32_t descriptors;
    struct view seeds;    /* the lines of peers.txt */
    struct view founders; /* those of them that found the cluster */
    struct state state;
    bool has_state; /* it is kept as long as anybody may ask for it */
    struct state_file state_file;
    struct budget budget;
    struct log log;
    struct audit audit;
    struct settings settings;
    struct shell shell;
    struct store *store;
    struct node *node;
};

/* Clients must not take what other nodes need: of few descriptors they get half, and an eighth more
 * while it is not known whether they are nodes. Returns that eighth. */
static uint32_t share_descriptors(struct server *server)
{
    struct options *options = &server->options;
    server->connections_wanted = options->connections_max;
    server->descriptors = raise_descriptors(options->connections_max);
    uint32_t half = server->descriptors / 2;
    uint32_t clients =
        server->descriptors -
        (half < DESCRIPTORS_BESIDE_CONNECTIONS ? half : DESCRIPTORS_BESIDE_CONNECTIONS);
    if (clients < options->connections_max)
        options->connections_max = clients > 0 ? clients : 1;
    return server->descriptors / 8 < UNPROVEN_MAX ? server->descriptors / 8 : UNPROVEN_MAX;
}

static void log_start(struct server *server, const char *address, const char *host)
{
    struct log *log = &server->log;
    struct moment now = turn_clock();
    const struct options *options = &server->options;
    const char *doubt = self_doubt(&server->seeds, server->state.name, host);
    log_line(log, now, LOG_INFO, "listening",
             "address=%s version=%s name=%s cluster=%s boot=%" PRIu64 " state=%s seeds=%" PRIu32,
             address, DHT_VERSION, server->state.name, server->state.cluster, server->state.boot,
             server->state_file.is_open ? server->state_file.path : "none",
             server->seeds.member_count);
    log_line(log, now, LOG_INFO, "memory", "limit_mib=%" PRIu64 " when_full=%s",
             options->memory_bytes >> 20,
             options->evict ? "\"evict what was not used for longest\"" : "\"refuse writes\"");
    log_line(log, now, LOG_INFO, "calls", "together=%s",
             volley_is_joint(server->shell.turn.volley) ? "yes" : "no");
    if (options->connections_max < server->connections_wanted)
        log_line(log, now, LOG_WARN, "few-descriptors",
                 "limit=%" PRIu32 " connections=%" PRIu32 " wanted=%" PRIu32
                 " reason=\"the limit of open files leaves clients no more, as other nodes need "
                 "theirs\"",
                 server->descriptors, options->connections_max, server->connections_wanted);
    if (doubt)
        log_line(log, now, LOG_WARN, "name-doubtful", "name=%s reason=\"%s\"", server->state.name,
                 doubt);
    if (self_is_open(host))
        log_line(log, now, LOG_WARN, "unprotected",
                 "reason=\"clients and nodes do not authenticate themselves: whoever can connect "
                 "to this port can read and change everything, so keep it on a closed network\"");
}

/* Said at one start only: the file has been written anew since. */
static void log_damage(struct server *server, struct moment now)
{
    const struct halves_read *last = &server->state_file.last;
    bool may_lack = halves_may_lack(last);
    char damaged[24] = "unknown";
    if (!last->is_damaged)
        return;
    if (last->damaged != 0)
        snprintf(damaged, sizeof(damaged), "%" PRIu64, last->damaged);
    log_line(&server->log, now, LOG_WARN, "state-damaged",
             "half=%s change=%s used=%" PRIu64 " effect=\"%s\" reason=\"%s\"",
             halves_which(last->sequence) == 0 ? "second" : "first", damaged, last->sequence,
             may_lack ? "what this node promised, accepted or adopted last may be forgotten, and "
                        "its next votes may contradict that"
                      : "none: by its number it is the older half",
             may_lack ? "the machine failed during the write, then nobody was told of that change "
                        "and nothing is missing; or the disk lost it later"
                      : "the machine failed while it was overwritten, or the disk lost it");
}

/* Takes the state directory and this start's boot from it. A place that somebody has chosen must be
 * usable; of the default one it is only said. 0 or an exit status. */
static int take_state(struct server *server)
{
    char path[STATE_PATH_BYTES_MAX], error[STATE_ERROR_BYTES_MAX];
    struct moment now = turn_clock();
    const struct options *options = &server->options;
    enum state_place place = state_place_find(options->state_directory, server->state.name, path);
    bool is_named_anew = options->port == 0 && options->advertise[0] == '\0';
    const struct env *env = &server->shell.env;
    server->state.boot = state_next_boot(0, now.unix_ms);
    while (server->state.seat == 0)
        env->entropy(env->shell, &server->state.seat, sizeof(server->state.seat));
    server->has_state = true;
    if (place != STATE_PLACE_CHOSEN && is_named_anew)
        return 0; /* nobody will ever ask for the state of this name again */
    enum err err = ERR_IO;
    snprintf(error, sizeof(error), "there is no home directory; say where with --state-dir DIR");
    if (place != STATE_PLACE_NONE)
        err = state_file_open(&server->state_file, path, &server->state, now.unix_ms, error);
    if (err == ERR_IO && place != STATE_PLACE_CHOSEN) {
        log_line(
            &server->log, now, LOG_WARN, "no-state-file",
            "effect=\"it founds no cluster without --form, and its vote is lost when it ends\" "
            "reason=\"%s\"",
            error);
        server->has_state = false;
        return 0;
    }
    if (err)
        return complain(EXIT_MACHINE, error);
    log_damage(server, now);
    return 0;
}

static int open_audit(struct server *server)
{
    const char *path = server->options.audit_path;
    if (path[0] == '\0' || !audit_open(&server->audit, path, &server->log, turn_clock))
        return 0;
    fprintf(stderr, "dht-server: --audit: cannot open %s: %s\n", path, strerror(errno));
    return EXIT_MACHINE;
}

static void open_node(struct server *server)
{
    const struct options *options = &server->options;
    const struct store_options store_options = {.budget = &server->budget,
                                                .evict = options->evict,
                                                .seed = turn_clock().mono_ms ^ (uint64_t)getpid()};
    uint64_t generation;
    const struct env *env = &server->shell.env;
    env->entropy(env->shell, &generation, sizeof(generation));
    server->store = store_open(&store_options);
    struct buf state = {0};
    state_format(&server->state, &state);
    const struct node_options node_options = {
        .name = server->state.name,
        .cluster = server->state.cluster,
        .gossip = options->gossip,
        .generation = generation,
        .boot = server->state.boot,
        .weight = options->weight,
        .seeds = &server->seeds,
        .timers = options->timers,
        .value_bytes_max = options->value_bytes_max,
        .op_timeout_ms = options->op_timeout_ms,
        .sync_window_bytes = options->sync_window_bytes,
        .sync_rate_bytes_s = options->sync_rate_bytes_s,
        .can_shutdown = options->can_shutdown,
        .direct_answers = options->direct_answers,
        .budget = &server->budget,
        .founders = &server->founders,
        .state = buf_span(&state),
        .has_state_file = server->has_state,
        .views = {.fence_ms = options->fence_ms,
                  .recover_after_ms = options->recover_after_ms,
                  .replace_after_ms = options->replace_after_ms,
                  .up_after_ms = UP_AFTER_MS,
                  .on_loss = strcmp(options->on_quorum_loss, "wait") == 0 ? VIEWS_ON_LOSS_WAIT
                                                                          : VIEWS_ON_LOSS_RECOVER,
                  .is_forming = options->form},
        .audit = server->audit.path ? &server->audit.log : NULL,
        .settings = server->settings.list,
        .settings_count = server->settings.count,
    };
    server->node = node_open(&node_options, server->store, env, &server->log);
    buf_close(&state);
}

/* An empty file counts as the own name alone. */
static void complete_founders(struct server *server)
{
    if (server->founders.member_count > 0)
        return;
    struct member self = {.weight = 1};
    snprintf(self.name, sizeof(self.name), "%s", server->state.name);
    view_add(&server->founders, &self);
}

/* Settles the own name, listens, takes the state, and opens the node. 0 or an exit status. */
static int start(struct server *server)
{
    const struct options *options = &server->options;
    char *name = server->state.name;
    char host[HOST_BYTES_MAX + 1], error[SELF_ERROR_BYTES_MAX];
    if (self_find(&server->seeds, options->advertise, options->listen_host, options->port, name,
                  host, error, sizeof(error)))
        return complain(EXIT_USAGE, error);
    char address[CLIENT_TEXT_BYTES_MAX + 16];
    uint16_t port;
    if (shell_listen(&server->shell, host, options->port, address, &port)) {
        fprintf(stderr, "dht-server: cannot listen on %s port %u: %s\n", host, options->port,
                strerror(errno));
        return EXIT_MACHINE;
    }
    if (self_complete(&server->seeds, host, port, name, error, sizeof(error)))
        return complain(EXIT_USAGE, error);
    complete_founders(server);
    snprintf(server->state.cluster, sizeof(server->state.cluster), "%s", options->cluster);
    snprintf(server->log.node, sizeof(server->log.node), "%.*s", (int)sizeof(server->log.node) - 1,
             name);
    int status = take_state(server);
    if (status == 0)
        status = open_audit(server);
    if (status)
        return status;
    settings_fill(&server->settings, options, host, port);
    open_node(server);
    log_start(server, address, host);
    return 0;
}

/* SIGHUP: a bad peers.txt changes nothing. */
static void reload(void *arg)
{
    struct server *server = arg;
    char error[PEERS_ERROR_BYTES_MAX];
    struct view seeds = {0}, founders = {0};
    if (read_peers(server->options.peers_path, server->options.bootstrap_expect, &seeds, &founders,
                   error, sizeof(error))) {
        log_line(&server->log, turn_clock(), LOG_ERROR, "reload", "effect=none reason=\"%s\"",
                 error);
    } else {
        log_line(&server->log, turn_clock(), LOG_INFO, "reload", "seeds=%" PRIu32,
                 seeds.member_count);
        struct view old = server->seeds, old_founders = server->founders;
        server->seeds = seeds;
        server->founders = founders;
        complete_founders(server);
        node_seed(server->node, &server->seeds, &server->founders);
        view_close(&old);
        view_close(&old_founders);
    }
    if (server->audit.path)
        audit_reopen(&server->audit);
}

/* What the node has promised, accepted and adopted. A name that nobody will ask for again needs no
 * file: its state ends with the process. */
static bool keep_state(void *arg, struct span text)
{
    struct server *server = arg;
    char error[STATE_ERROR_BYTES_MAX];
    if (!server->state_file.is_open)
        return true;
    if (!state_file_keep(&server->state_file, text, error))
        return true;
    log_line(&server->log, turn_clock(), LOG_ERROR, "state-lost", "reason=\"%s\"", error);
    return false;
}

static int serve(struct server *server)
{
    const struct options *options = &server->options;
    server->budget.limit_bytes = options->memory_bytes;
    server->log = (struct log){.level = options->verbosity > 0 ? LOG_DEBUG : LOG_INFO,
                               .sink = log_sink_stderr};
    uint32_t unproven_max = share_descriptors(server);
    const struct shell_options shell_options = {
        .connections_max = options->connections_max,
        .unproven_max = unproven_max,
        .idle_timeout_s = options->idle_timeout_s,
        .value_bytes_max = options->value_bytes_max,
        .stats_interval_s = options->stats_interval_s,
        .leave_timeout_ms = options->leave_timeout_ms,
        .drain_timeout_ms = options->op_timeout_ms + DRAIN_MARGIN_MS,
        .is_plain = options->plain_calls,
        .reload = reload,
        .keep_state = keep_state,
        .arg = server,
    };
    shell_init(&server->shell, &shell_options, &server->budget, &server->log);
    int status = start(server);
    if (status == 0) {
        shell_run(&server->shell, server->node);
        if (server->shell.has_ended && server->shell.end == NODE_END_DUPLICATE)
            status = EXIT_DUPLICATE;
    }
    shell_close(&server->shell);
    node_close(server->node);
    store_close(server->store);
    audit_close(&server->audit);
    state_file_close(&server->state_file);
    state_close(&server->state);
    return status;
}

static int check_peers(struct server *server)
{
    char error[PEERS_ERROR_BYTES_MAX];
    const char *path = server->options.peers_path;
    if (path && read_peers(path, server->options.bootstrap_expect, &server->seeds,
                           &server->founders, error, sizeof(error)))
        return complain(EXIT_USAGE, error);
    return 0;
}

int main(int argc, char **argv)
{
    static struct server server; /* the node's tables are large; nothing but main sees it */
    char error[OPTIONS_ERROR_BYTES_MAX];
    enum err err = options_parse(&server.options, argc, argv, error, sizeof(error));
    if (err)
        return complain(err == ERR_USAGE ? EXIT_USAGE : EXIT_MACHINE, error);
    int status = 0;
    switch (server.options.mode) {
    case OPTIONS_HELP:
        options_print_help(stdout);
        return 0;
    case OPTIONS_VERSION:
        printf("dht-server %s (speaks memcached %s)\n", DHT_VERSION, DHT_MEMCACHED_VERSION);
        return 0;
    case OPTIONS_PRINT_CONFIG:
        options_print_config(&server.options, stdout);
        return 0;
    case OPTIONS_CHECK_CONFIG:
        status = check_peers(&server);
        break;
    case OPTIONS_RUN:
        status = check_peers(&server);
        if (status == 0)
            status = serve(&server);
        break;
    }
    view_close(&server.seeds);
    view_close(&server.founders);
    return status;
}
