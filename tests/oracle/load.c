/* Loads a real cluster through all its nodes, writes down what was asked and answered, and counts.
 *
 *     load [option…] HOST:PORT[,HOST:PORT…]     --help lists the options
 *
 * Prints one JSON object when its time is over or SIGTERM comes. Exit code 0; 1 if an answer was
 * none; 2 usage. Judge the histories with judge. */
#include "tests/oracle/client.h"

#include "common/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define EVENTS_MAX   256
#define SIGNAL_EVENT UINT64_MAX
#define CLIENTS_MAX  2000u
#define IDLE_WAIT_MS 100

struct load {
    struct load_options options;
    struct shared shared;
    struct client *clients;
    uint64_t began_ns, ended_ns;
};

static _Noreturn void usage(int code)
{
    fprintf(code == 0 ? stdout : stderr,
            "usage: load [option…] HOST:PORT[,HOST:PORT…]\n"
            "  --clients N     each asks one thing at a time (16)\n"
            "  --registers N   keys that are set, added, replaced, swapped, deleted (100)\n"
            "  --counters N    keys that are incremented by one (0)\n"
            "  --lists N       keys that are appended to (0)\n"
            "  --prefix TEXT   what all keys begin with\n"
            "  --reads PERCENT share of reads (50)\n"
            "  --rate N        operations a second (0: as fast as answers come)\n"
            "  --duration S    (0: until SIGTERM)\n"
            "  --patience MS   for an answer (1500)\n"
            "  --ids           writes carry request ids, and are repeated until their outcome is "
            "known\n"
            "  --sweep         read every key once, however often it takes, and end\n"
            "  --seed N        of two loads on the same keys each needs one of its own (1)\n"
            "  --history FILE  write every operation there\n");
    exit(code);
}

static double number_of(const char *text)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end != '\0' || number < 0 || number > 1e9)
        usage(2);
    return number;
}

static void add_node(struct shared *shared, char *name)
{
    char *colon = strrchr(name, ':');
    struct node *node = &shared->nodes[shared->node_count];
    if (colon == NULL || shared->node_count == NODES_MAX)
        usage(2);
    node->name = name;
    *colon = '\0';
    node->address.sin_family = AF_INET;
    node->address.sin_port = htons((uint16_t)number_of(colon + 1));
    if (inet_pton(AF_INET, name, &node->address.sin_addr) != 1)
        usage(2);
    *colon = ':';
    shared->node_count++;
}

static void open_history(struct shared *shared, const char *path)
{
    shared->history = fopen(path, "ae");
    if (shared->history == NULL) {
        fprintf(stderr, "load: %s: %s\n", path, strerror(errno));
        exit(2);
    }
}

static void take_option(struct load *load, int option)
{
    struct load_options *options = &load->options;
    switch (option) {
    case 'c':
        options->client_count = (uint32_t)number_of(optarg);
        break;
    case 'r':
        options->register_count = (uint32_t)number_of(optarg);
        break;
    case 'n':
        options->counter_count = (uint32_t)number_of(optarg);
        break;
    case 'l':
        options->list_count = (uint32_t)number_of(optarg);
        break;
    case 'p':
        options->prefix = optarg;
        break;
    case 'g':
        options->read_percent = (uint32_t)number_of(optarg);
        break;
    case 'R':
        options->rate = number_of(optarg);
        break;
    case 'd':
        options->duration_s = number_of(optarg);
        break;
    case 'P':
        options->patience_ns = (uint64_t)(number_of(optarg) * 1e6);
        break;
    case 'i':
        options->has_ids = true;
        break;
    case 'w':
        options->is_sweep = true;
        break;
    case 's':
        options->seed = (uint64_t)number_of(optarg);
        break;
    case 'H':
        open_history(&load->shared, optarg);
        break;
    case 'h':
        usage(0);
    default:
        usage(2);
    }
}

static void parse_arguments(struct load *load, int argc, char **argv)
{
    static const struct option OPTIONS[] = {
        {"clients", 1, NULL, 'c'}, {"registers", 1, NULL, 'r'}, {"counters", 1, NULL, 'n'},
        {"lists", 1, NULL, 'l'},   {"prefix", 1, NULL, 'p'},    {"reads", 1, NULL, 'g'},
        {"rate", 1, NULL, 'R'},    {"duration", 1, NULL, 'd'},  {"patience", 1, NULL, 'P'},
        {"ids", 0, NULL, 'i'},     {"sweep", 0, NULL, 'w'},     {"seed", 1, NULL, 's'},
        {"history", 1, NULL, 'H'}, {"help", 0, NULL, 'h'},      {NULL, 0, NULL, 0}};
    struct load_options *options = &load->options;
    *options = (struct load_options){.client_count = 16,
                                     .register_count = 100,
                                     .read_percent = 50,
                                     .patience_ns = 1500000000ull,
                                     .seed = 1,
                                     .prefix = ""};
    int option;
    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1)
        take_option(load, option);
    if (optind + 1 != argc || options->client_count == 0 || options->client_count > CLIENTS_MAX ||
        options->register_count + options->counter_count + options->list_count == 0 ||
        strlen(options->prefix) > 20)
        usage(2);
    char *rest = argv[optind], *name;
    while ((name = strsep(&rest, ",")) != NULL)
        add_node(&load->shared, name);
}

/* A descriptor that can be read when the load is to end. */
static void watch_signals(int epoll)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = SIGNAL_EVENT};
    CHECK(fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void init(struct load *load)
{
    struct load_options *options = &load->options;
    struct shared *shared = &load->shared;
    size_t keys = options->register_count + options->counter_count + options->list_count;
    shared->options = options;
    shared->uniques = calloc(keys, sizeof(uint64_t));
    shared->is_made = calloc(keys, sizeof(bool));
    shared->is_full = calloc(keys, sizeof(bool));
    load->clients = calloc(options->client_count, sizeof(struct client));
    shared->epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(shared->uniques != NULL && shared->is_made != NULL && shared->is_full != NULL &&
          load->clients != NULL && shared->epoll >= 0);
    watch_signals(shared->epoll);
    load->began_ns = oracle_now_ns();
    for (uint32_t number = 0; number < options->client_count; number++)
        client_init(&load->clients[number], shared, number, load->began_ns);
}

/* Does what is due; returns how long to wait for events, -1 if all clients have ended. */
static int tick_all(struct load *load)
{
    uint64_t now = oracle_now_ns(), next = now + IDLE_WAIT_MS * 1000000ull;
    bool is_over = true;
    for (uint32_t number = 0; number < load->options.client_count; number++) {
        struct client *client = &load->clients[number];
        if (client->state != CLIENT_ENDED && client->due_ns <= now)
            client_tick(client, now);
        if (client->state == CLIENT_IDLE && load->shared.is_ending)
            client->state = CLIENT_ENDED;
        if (client->state == CLIENT_ENDED)
            continue;
        is_over = false;
        if (client->due_ns < next)
            next = client->due_ns;
    }
    if (is_over)
        return -1;
    return next <= now ? 0 : (int)((next - now + 999999) / 1000000);
}

static void run(struct load *load)
{
    struct shared *shared = &load->shared;
    struct epoll_event events[EVENTS_MAX];
    int wait_ms;
    while ((wait_ms = tick_all(load)) >= 0) {
        int count = epoll_wait(shared->epoll, events, EVENTS_MAX, wait_ms);
        uint64_t now = oracle_now_ns();
        for (int at = 0; at < count; at++) {
            uint64_t data = events[at].data.u64;
            if (data == SIGNAL_EVENT)
                shared->is_ending = true;
            else
                client_ready(&load->clients[data >> 32], (uint32_t)data, events[at].events, now);
        }
        if (load->options.duration_s > 0 &&
            (double)(now - load->began_ns) > load->options.duration_s * 1e9)
            shared->is_ending = true;
    }
    load->ended_ns = oracle_now_ns();
}

static int compare_latency(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static double latency_ms(const struct shared *shared, double fraction)
{
    if (shared->latency_count == 0)
        return 0;
    size_t at = (size_t)(fraction * (double)(shared->latency_count - 1));
    return shared->latencies_us[at] / 1e3;
}

static void print_totals(struct load *load)
{
    struct shared *shared = &load->shared;
    const struct totals *totals = &shared->totals;
    if (shared->latency_count > 0)
        qsort(shared->latencies_us, shared->latency_count, sizeof(uint32_t), compare_latency);
    printf("{\"seconds\": %.3f, \"operations\": %" PRIu64,
           (double)(load->ended_ns - load->began_ns) / 1e9, totals->operations);
    for (size_t at = 0; at < VERB_COUNT; at++)
        printf(", \"%s\": %" PRIu64, verb_name((enum verb)at), totals->by_verb[at]);
    for (size_t at = 0; at < OUTCOME_COUNT; at++)
        printf(", \"%s\": %" PRIu64, outcome_name((enum outcome)at), totals->by_outcome[at]);
    const struct {
        const char *name;
        uint64_t value;
    } COUNTS[] = {{"refused", totals->refused},
                  {"unknown", totals->unknown},
                  {"broken", totals->broken},
                  {"silent", totals->silent},
                  {"unreached", totals->unreached},
                  {"retried_in_time", totals->retried_in_time},
                  {"retried_late", totals->retried_late},
                  {"retried_in_vain", totals->retried_in_vain},
                  {"repeated_ids", totals->repeated_ids},
                  {"wrong", totals->wrong}};
    for (size_t at = 0; at < ARRAY_COUNT(COUNTS); at++)
        printf(", \"%s\": %" PRIu64, COUNTS[at].name, COUNTS[at].value);
    printf(", \"retried_slowest_ms\": %.1f, \"refused_slowest_ms\": %.1f",
           (double)totals->retried_slowest_ns / 1e6, (double)totals->refused_slowest_ns / 1e6);
    printf(", \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f, \"max_ms\": %.3f",
           latency_ms(shared, 0.5), latency_ms(shared, 0.99), latency_ms(shared, 0.999),
           latency_ms(shared, 1));
    printf(", \"refusals\": {");
    for (size_t at = 0; at < WORDINGS_MAX && totals->wordings[at].count > 0; at++)
        printf("%s\"%s\": %" PRIu64, at > 0 ? ", " : "", totals->wordings[at].text,
               totals->wordings[at].count);
    printf("}, \"complaint\": \"");
    for (const char *at = totals->complaint; *at != '\0'; at++)
        if (*at >= ' ' && *at < 127 && *at != '"' && *at != '\\')
            putchar(*at);
    printf("\"}\n");
}

int main(int argc, char **argv)
{
    static struct load load;
    parse_arguments(&load, argc, argv);
    init(&load);
    run(&load);
    print_totals(&load);
    for (uint32_t number = 0; number < load.options.client_count; number++)
        client_close(&load.clients[number]);
    if (load.shared.history != NULL && fclose(load.shared.history) != 0) {
        fprintf(stderr, "load: history: %s\n", strerror(errno));
        return 2;
    }
    free(load.clients);
    free(load.shared.uniques);
    free(load.shared.is_made);
    free(load.shared.is_full);
    free(load.shared.latencies_us);
    return load.shared.totals.wrong == 0 ? 0 : 1;
}
