/* dht-server: reads the options and peers.txt, wires store, node and shell, serves, exits.
 *
 * Exit status: 0 stopped as asked, 1 the machine refused (port in use, file not readable), 2 usage:
 * an option, peers.txt or the own name. */
#include "common/peers.h"
#include "common/version.h"
#include "server/net/shell.h"
#include "server/options.h"
#include "server/self.h"
#include "server/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DESCRIPTORS_BESIDE_CONNECTIONS 256u
#define DRAIN_MARGIN_MS                1000u
#define PEERS_FILE_BYTES_MAX           (4u * 1024 * 1024)

enum { EXIT_MACHINE = 1, EXIT_USAGE = 2 };

static int complain(int status, const char *text)
{
    fprintf(stderr, "dht-server: %s\n", text);
    return status;
}

/* Reads peers.txt whole. Returns 0 or an exit status, having said why. */
static int read_peers(const char *path, struct view *view)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "dht-server: %s: %s\n", path, strerror(errno));
        return EXIT_USAGE;
    }
    struct buf text = {0};
    size_t got;
    do {
        got = fread(buf_reserve(&text, 4096), 1, 4096, file);
        buf_advance(&text, got);
    } while (got > 0 && buf_len(&text) <= PEERS_FILE_BYTES_MAX);
    bool has_failed = ferror(file) != 0 || buf_len(&text) > PEERS_FILE_BYTES_MAX;
    fclose(file);
    struct peers_error error;
    enum err err = has_failed ? ERR_IO : peers_parse(buf_span(&text), view, &error);
    buf_close(&text);
    if (has_failed)
        fprintf(stderr, "dht-server: %s: cannot be read, or is larger than %u bytes\n", path,
                PEERS_FILE_BYTES_MAX);
    else if (err)
        fprintf(stderr, "dht-server: %s: %s\n", path, error.text);
    return err ? EXIT_USAGE : 0;
}

/* As many descriptors as connections, peers and the rest need; fewer only cost connections. */
static void raise_descriptors(uint32_t connections)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)connections + DESCRIPTORS_BESIDE_CONNECTIONS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return;
    struct rlimit raised = {wanted, limit.rlim_max > wanted ? limit.rlim_max : wanted};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* Everything a running server is made of. */
struct server {
    struct options options;
    struct view view;
    struct budget budget;
    struct log log;
    struct settings settings;
    struct shell shell;
    struct store *store;
    struct node *node;
};

static void log_start(struct server *server, const char *address)
{
    struct log *log = &server->log;
    struct moment now = shell_clock();
    const struct options *options = &server->options;
    log_line(log, now, LOG_INFO, "listening", "address=%s version=%s members=%" PRIu32, address,
             DHT_VERSION, server->view.member_count);
    log_line(log, now, LOG_INFO, "memory", "limit_mib=%" PRIu64 " when_full=%s",
             options->memory_bytes >> 20,
             options->evict ? "\"evict what was not used for longest\"" : "\"refuse writes\"");
    log_line(log, now, LOG_INFO, "calls", "together=%s",
             volley_is_joint(server->shell.volley) ? "yes" : "no");
    if (server->view.member_count > 1)
        log_line(
            log, now, LOG_WARN, "unprotected",
            "reason=\"nodes do not authenticate each other: keep the port on a closed network\"");
}

/* Listens, and settles under which name this node stands on the ring. 0 or an exit status. */
static int start(struct server *server)
{
    const struct options *options = &server->options;
    char name[ADDRESS_TEXT_BYTES_MAX], host[HOST_BYTES_MAX + 1], error[SELF_ERROR_BYTES_MAX];
    if (self_find(&server->view, options->advertise, options->listen_host, options->port, name,
                  host, error, sizeof(error)))
        return complain(EXIT_USAGE, error);
    char address[CLIENT_TEXT_BYTES_MAX + 16];
    uint16_t port;
    if (shell_listen(&server->shell, host, options->port, address, &port)) {
        fprintf(stderr, "dht-server: cannot listen on %s port %u: %s\n", host, options->port,
                strerror(errno));
        return EXIT_MACHINE;
    }
    if (self_complete(&server->view, host, port, name, error, sizeof(error)))
        return complain(EXIT_USAGE, error);
    snprintf(server->log.node, sizeof(server->log.node), "%.*s", (int)sizeof(server->log.node) - 1,
             name);
    const struct store_options store_options = {.budget = &server->budget,
                                                .evict = options->evict,
                                                .seed = shell_clock().mono_ms ^ (uint64_t)getpid()};
    server->store = store_open(&store_options);
    settings_fill(&server->settings, options, host, port);
    uint64_t generation;
    server->shell.env.entropy(&server->shell, &generation, sizeof(generation));
    const struct node_options node_options = {.name = name,
                                              .cluster = "dht",
                                              .gossip = "random",
                                              .generation = generation,
                                              .boot = (uint64_t)shell_clock().unix_ms,
                                              .weight = 1,
                                              .seeds = &server->view,
                                              .value_bytes_max = options->value_bytes_max,
                                              .op_timeout_ms = options->op_timeout_ms,
                                              .settings = server->settings.list,
                                              .settings_count = server->settings.count};
    server->node = node_open(&node_options, server->store, &server->shell.env, &server->log);
    log_start(server, address);
    return 0;
}

static int serve(struct server *server)
{
    const struct options *options = &server->options;
    raise_descriptors(options->connections_max + 3 * server->view.member_count);
    server->budget.limit_bytes = options->memory_bytes;
    server->log = (struct log){.level = options->verbosity > 0 ? LOG_DEBUG : LOG_INFO,
                               .sink = log_sink_stderr};
    const struct shell_options shell_options = {
        .connections_max = options->connections_max,
        .nodes_max = 2 * (server->view.member_count > 0 ? server->view.member_count - 1 : 0),
        .idle_timeout_s = options->idle_timeout_s,
        .value_bytes_max = options->value_bytes_max,
        .drain_timeout_ms = options->op_timeout_ms + DRAIN_MARGIN_MS,
        .is_plain = options->plain_calls,
    };
    shell_init(&server->shell, &shell_options, &server->budget, &server->log);
    int status = start(server);
    if (status == 0)
        shell_run(&server->shell, server->node);
    shell_close(&server->shell);
    node_close(server->node);
    store_close(server->store);
    return status;
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
        if (server.options.peers_path)
            status = read_peers(server.options.peers_path, &server.view);
        break;
    case OPTIONS_RUN:
        status = read_peers(server.options.peers_path, &server.view);
        if (status == 0)
            status = serve(&server);
        break;
    }
    view_close(&server.view);
    return status;
}
