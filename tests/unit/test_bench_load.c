/* The load engine against a server of a few lines that behaves, stalls, lies, closes or is silent.
 */
#include "client/bench_load.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define NS_PER_MS UINT64_C(1000000)

enum manner {
    BEHAVES,     /* a set is STORED, a get finds nothing */
    STALLS_ONCE, /* for STALL_MS at the 100th request */
    LIES,        /* answers a set as if it had been a get */
    REFUSES,     /* is out of memory */
    CLOSES,      /* at the 10th request */
    IS_SILENT    /* from the 10th request on */
};

enum { STALL_MS = 200 };

struct fixture {
    pid_t server;
    char address[32];
    struct bench_options options;
    struct bench_keys keys;
    struct bench_dialect dialect;
    struct bench_load load;
    struct bench_result result;
};

static const char *answer_to(const char *line, enum manner manner)
{
    if (manner == REFUSES)
        return "SERVER_ERROR out of memory storing object\r\n";
    return strncmp(line, "get", 3) == 0 || manner == LIES ? "END\r\n" : "STORED\r\n";
}

/* Serves one connection, line by line; a set's value is a line of its own. */
static void serve(FILE *client, FILE *answers, enum manner manner)
{
    char line[512];
    for (int number = 1; fgets(line, sizeof(line), client) != NULL; number++) {
        if (strncmp(line, "set", 3) == 0) {
            char value[512];
            if (fgets(value, sizeof(value), client) == NULL)
                return;
        }
        if (manner == CLOSES && number == 10)
            shutdown(fileno(answers), SHUT_WR); /* closing would let the kernel drop answers */
        if ((manner == CLOSES || manner == IS_SILENT) && number >= 10)
            continue;
        if (manner == STALLS_ONCE && number == 100)
            nanosleep(&(struct timespec){0, STALL_MS * (long)NS_PER_MS}, NULL);
        fputs(answer_to(line, manner), answers);
        fflush(answers);
    }
}

static void serve_in_child(struct fixture *fixture, enum manner manner)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_bytes = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &address_bytes), 0);
    snprintf(fixture->address, sizeof(fixture->address), "127.0.0.1:%u", ntohs(address.sin_port));
    fixture->server = fork();
    if (fixture->server == 0) {
        int client = accept(listener, NULL, NULL);
        int one = 1; /* each answer is written on its own: with Nagle's rule a batch takes 40 ms */
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        serve(fdopen(client, "r"), fdopen(dup(client), "w"), manner);
        _exit(0);
    }
    close(listener);
}

/* A generator with one connection to a server of that manner. */
static void open_fixture(struct fixture *fixture, enum manner manner, double get_ratio,
                         uint32_t pipeline)
{
    char *argv[] = {(char[]){"bench"}, (char[]){"--clients=1"}, (char[]){"--timeout=0.3"}, NULL};
    memset(fixture, 0, sizeof(*fixture));
    serve_in_child(fixture, manner);
    assert_int_equal(bench_options_parse(&fixture->options, 3, argv), ERR_OK);
    fixture->options.servers = fixture->address;
    fixture->options.get_ratio = get_ratio;
    fixture->options.pipeline = pipeline;
    bench_keys_init(&fixture->keys, 100, 16);
    bench_dialect_init(&fixture->dialect, BENCH_MEMCACHED, &fixture->keys, 1, 3);
    assert_int_equal(bench_load_open(&fixture->load, &fixture->options, &fixture->dialect, NULL),
                     ERR_OK);
}

static void close_fixture(struct fixture *fixture)
{
    bench_load_close(&fixture->load);
    bench_dialect_close(&fixture->dialect);
    bench_keys_close(&fixture->keys);
    kill(fixture->server, SIGKILL);
    assert_int_equal(waitpid(fixture->server, NULL, 0), fixture->server);
}

static void run(struct fixture *fixture, uint64_t request_count, double rate)
{
    struct bench_phase phase = {.kind = BENCH_MIX,
                                .request_count = request_count,
                                .duration_ns = UINT64_MAX,
                                .rate = rate,
                                .batch = fixture->options.pipeline};
    bench_load_run(&fixture->load, &phase, &fixture->result);
}

static void every_request_asked_for_is_sent_and_answered(void **state)
{
    (void)state;
    static const uint32_t batches[] = {1, 2, 7, 1000, 2000};
    static const double ratios[] = {0, 0.5, 1};
    for (size_t i = 0; i < ARRAY_COUNT(batches) * ARRAY_COUNT(ratios); i++) {
        struct fixture fixture;
        open_fixture(&fixture, BEHAVES, ratios[i % 3], batches[i / 3]);
        run(&fixture, 1000, 0);
        assert_int_equal(fixture.result.request_count, 1000);
        assert_int_equal(fixture.result.latency_ns.total, 1000);
        assert_int_equal(fixture.result.set_count + fixture.result.miss_count, 1000);
        assert_true((fixture.result.set_count > 0) == (ratios[i % 3] < 1));
        assert_int_equal(fixture.result.wrong_count + fixture.result.lost_count, 0);
        close_fixture(&fixture);
    }
}

static void a_fill_stores_every_key(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, BEHAVES, 1, 8);
    struct bench_phase phase = {
        .kind = BENCH_FILL, .request_count = 100, .duration_ns = UINT64_MAX, .batch = 8};
    bench_load_run(&fixture.load, &phase, &fixture.result);
    assert_int_equal(fixture.result.set_count, 100);
    close_fixture(&fixture);
}

/* The 200 ms stall holds up 200 of 500 requests at 1,000 a second, by 100 ms on average. Measured
 * from when they were sent, only one of them would show it. */
static void a_stall_is_charged_to_every_request_it_held_up(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, STALLS_ONCE, 1, 1);
    run(&fixture, 500, 1000);
    assert_int_equal(fixture.result.request_count, 500);
    assert_true(fixture.result.elapsed_ns >= 499 * NS_PER_MS);
    uint64_t slow_ns = bench_histogram_quantile(&fixture.result.latency_ns, 0.75);
    assert_true(slow_ns >= STALL_MS / 4 * NS_PER_MS);
    close_fixture(&fixture);
}

static void without_a_rate_a_stall_shows_once(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, STALLS_ONCE, 1, 1);
    run(&fixture, 500, 0);
    assert_true(fixture.result.latency_ns.max >= STALL_MS * NS_PER_MS);
    assert_int_equal(fixture.result.latency_ns.total, 500);
    close_fixture(&fixture);
}

/* So that who knows what happened meanwhile can tell what of it clients felt. */
static void each_latency_is_told_with_its_time(void **state)
{
    (void)state;
    for (int is_rated = 0; is_rated < 2; is_rated++) {
        struct fixture fixture;
        open_fixture(&fixture, STALLS_ONCE, 1, 1);
        struct buf told = {0};
        struct bench_phase phase = {.kind = BENCH_MIX,
                                    .request_count = 300,
                                    .duration_ns = UINT64_MAX,
                                    .rate = is_rated ? 1000 : 0,
                                    .batch = 1,
                                    .latencies = &told};
        bench_load_run(&fixture.load, &phase, &fixture.result);
        const struct bench_latency *latency = (const struct bench_latency *)buf_span(&told).data;
        assert_int_equal(buf_len(&told), 300 * sizeof(*latency));
        uint64_t most_ns = 0;
        for (uint64_t i = 0; i < 300; i++) {
            uint64_t due_ns = fixture.load.start_ns + i * NS_PER_MS;
            if (is_rated)
                assert_in_range(latency[i].from_ns, due_ns - 1, due_ns + 1);
            assert_true(i == 0 || latency[i].from_ns > latency[i - 1].from_ns);
            most_ns = latency[i].latency_ns > most_ns ? latency[i].latency_ns : most_ns;
        }
        assert_true(most_ns == fixture.result.latency_ns.max);
        assert_int_equal(fixture.result.latency_ns.total, 300);
        assert_true(latency[99].latency_ns >= STALL_MS * NS_PER_MS);
        assert_true((latency[149].latency_ns >= STALL_MS / 4 * NS_PER_MS) == is_rated);
        buf_close(&told);
        close_fixture(&fixture);
    }
}

static void do_nothing(int number)
{
    (void)number;
}

/* The kernel interrupts a process that has rings of its own (io_uring) as a signal does. */
static void a_signal_does_not_end_a_connect(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_bytes = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0), waiting[4];
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &address_bytes), 0);
    for (size_t i = 0; i < ARRAY_COUNT(waiting); i++) { /* those that come now are not answered */
        waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(waiting[i], (struct sockaddr *)&address, sizeof(address));
    }
    struct bench_servers servers = {.count = 1, .address_bytes = {sizeof(address)}};
    memcpy(&servers.addresses[0], &address, sizeof(address));
    const struct sigaction action = {.sa_handler = do_nothing};
    const struct itimerval often = {{0, 10000}, {0, 10000}}, never = {{0, 0}, {0, 0}};
    int fd;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
    enum err err = bench_connect(&servers, 0, 0.2, &fd);
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_int_equal(err, ERR_TIMEOUT);
    for (size_t i = 0; i < ARRAY_COUNT(waiting); i++)
        close(waiting[i]);
    close(listener);
}

static void a_wrong_answer_is_counted_and_ends_the_connection(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, LIES, 0, 1);
    run(&fixture, 100, 0);
    assert_int_equal(fixture.result.wrong_count, 1);
    assert_int_equal(fixture.result.lost_count, 1);
    close_fixture(&fixture);
}

static void refusals_are_counted_and_the_load_goes_on(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, REFUSES, 0.5, 4);
    run(&fixture, 100, 0);
    assert_int_equal(fixture.result.refused_count, 100);
    assert_int_equal(fixture.result.key_count, 0);
    assert_int_equal(fixture.result.lost_count, 0);
    close_fixture(&fixture);
}

static void a_connection_closed_or_silent_is_lost_and_the_phase_ends(void **state)
{
    (void)state;
    static const enum manner manners[] = {CLOSES, IS_SILENT};
    static const double rates[] = {0, 1000};
    for (size_t i = 0; i < 4; i++) {
        struct fixture fixture;
        open_fixture(&fixture, manners[i / 2], 1, 3);
        run(&fixture, 100, rates[i % 2]);
        assert_int_equal(fixture.result.lost_count, 1);
        assert_int_equal(fixture.result.request_count, 9);
        assert_int_equal(fixture.load.unanswered_count, 0);
        close_fixture(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_asked_for_is_sent_and_answered),
        cmocka_unit_test(a_fill_stores_every_key),
        cmocka_unit_test(a_stall_is_charged_to_every_request_it_held_up),
        cmocka_unit_test(without_a_rate_a_stall_shows_once),
        cmocka_unit_test(each_latency_is_told_with_its_time),
        cmocka_unit_test(a_signal_does_not_end_a_connect),
        cmocka_unit_test(a_wrong_answer_is_counted_and_ends_the_connection),
        cmocka_unit_test(refusals_are_counted_and_the_load_goes_on),
        cmocka_unit_test(a_connection_closed_or_silent_is_lost_and_the_phase_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
