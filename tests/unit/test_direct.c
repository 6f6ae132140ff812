/* Answers given to clients directly: when a connection is made, when a byte goes out on it, what
 * goes back to be relayed, and the bounds. */
#include "server/core/direct.h"

#include "common/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CONNS_MAX 2048u
#define TOKEN     "00112233445566778899aabbccddeeff"
#define OTHER     "ffeeddccbbaa99887766554433221100"

/* ---- an outside that notes what is asked of it ---- */

struct outside {
    struct env env;
    struct stats stats;
    struct log log;
    struct direct direct;
    struct moment now;
    uint32_t conn_count; /* ever dialled; index of the next */
    bool is_full;        /* no connection can be had */
    struct member node;  /* the one node there is */
    struct view nodes;
    struct session sessions[CONNS_MAX];
    bool is_open[CONNS_MAX];
    char dialled[CLIENT_TEXT_BYTES_MAX]; /* last */
};

static struct session *find_session(void *shell, struct conn_id conn)
{
    struct outside *outside = shell;
    return conn.index < outside->conn_count && outside->is_open[conn.index]
               ? &outside->sessions[conn.index]
               : NULL;
}

static struct conn_id dial_client(void *shell, const char *address)
{
    struct outside *outside = shell;
    if (outside->is_full)
        return (struct conn_id){0};
    CHECK(outside->conn_count < CONNS_MAX);
    snprintf(outside->dialled, sizeof(outside->dialled), "%s", address);
    outside->is_open[outside->conn_count] = true;
    return (struct conn_id){outside->conn_count++, 1};
}

static void close_conn(void *shell, struct conn_id conn, bool after_sending)
{
    struct outside *outside = shell;
    (void)after_sending;
    CHECK(outside->is_open[conn.index]);
    outside->is_open[conn.index] = false;
}

static void entropy(void *shell, void *bytes, size_t len)
{
    (void)shell;
    memset(bytes, 0xa5, len);
}

static void sink(void *arg, const char *line, size_t len)
{
    (void)arg;
    (void)line;
    (void)len;
}

static int setup(void **state)
{
    struct outside *outside = calloc(1, sizeof(*outside));
    assert_non_null(outside);
    outside->env = (struct env){.shell = outside,
                                .session = find_session,
                                .dial_client = dial_client,
                                .close = close_conn,
                                .entropy = entropy};
    outside->log = (struct log){.level = LOG_DEBUG, .sink = sink};
    outside->now = (struct moment){100000, 1700000000000};
    snprintf(outside->node.name, sizeof(outside->node.name), "192.0.2.9:11211");
    outside->nodes = (struct view){.member_count = 1, .members = &outside->node};
    direct_init(&outside->direct, &outside->env, &outside->stats, &outside->log);
    *state = outside;
    return 0;
}

static int teardown(void **state)
{
    struct outside *outside = *state;
    direct_check(&outside->direct);
    direct_close(&outside->direct);
    for (uint32_t i = 0; i < outside->conn_count; i++)
        session_close(&outside->sessions[i]);
    free(outside);
    return 0;
}

/* ---- short words ---- */

static const struct conn_id entry = {7777, 1};

static enum direct_lot answer_from(struct outside *outside, const char *client, const char *where,
                                   uint64_t number, const char *text)
{
    struct reply body = {0};
    reply_append(&body, span_of_string(text));
    enum direct_lot lot =
        direct_answer(&outside->direct, span_of_string(client), span_of_string(where),
                      &outside->nodes, entry, number, 500, &body, outside->now);
    assert_int_equal(reply_len(&body), lot == DIRECT_NOT ? strlen(text) : 0);
    reply_close(&body);
    direct_check(&outside->direct);
    return lot;
}

static enum direct_lot answer(struct outside *outside, uint64_t number, const char *text)
{
    return answer_from(outside, "192.0.2.1:40000", "5000," TOKEN, number, text);
}

static struct conn_id conn(uint32_t index)
{
    return (struct conn_id){index, 1};
}

static bool say(struct outside *outside, uint32_t index, const char *line)
{
    return direct_line(&outside->direct, conn(index), span_of_string(line), outside->now);
}

static void pass_ms(struct outside *outside, uint64_t ms)
{
    outside->now.mono_ms += ms;
    direct_tick(&outside->direct, outside->now);
    direct_check(&outside->direct);
}

static void hears(struct outside *outside, uint32_t index, const char *text)
{
    struct span bytes = buf_span(&outside->sessions[index].out.bytes);
    if (!span_equal(bytes, span_of_string(text)))
        fail_msg("expected «%s», got «%.*s»", text, (int)bytes.len, bytes.data);
}

/* The next answer whose lot is known is this; text NULL: it was sent. */
static void is_done(struct outside *outside, uint64_t number, const char *text)
{
    struct direct_kept *kept = direct_take_done(&outside->direct);
    assert_non_null(kept);
    assert_int_equal(kept->number, number);
    assert_int_equal(kept->entry.index, entry.index);
    assert_int_equal(kept->is_sent, text == NULL);
    assert_true(span_equal(buf_span(&kept->body.bytes), span_of_string(text ? text : "")));
    direct_kept_free(kept);
}

static void bring_up(struct outside *outside)
{
    assert_int_equal(answer(outside, 1, "HD O1\r\n"), DIRECT_KEPT);
    assert_true(direct_connected(&outside->direct, conn(0)));
    assert_true(say(outside, 0, TOKEN));
    is_done(outside, 1, NULL);
}

/* ---- tests ---- */

static void nothing_goes_out_before_the_client_has_said_the_token(void **state)
{
    struct outside *outside = *state;
    assert_int_equal(answer(outside, 1, "HD O1\r\n"), DIRECT_KEPT);
    assert_string_equal(outside->dialled, "192.0.2.1:5000");
    assert_int_equal(answer(outside, 2, "HD O2\r\n"), DIRECT_KEPT);
    assert_true(direct_connected(&outside->direct, conn(0)));
    assert_int_equal(answer(outside, 3, "HD O3\r\n"), DIRECT_KEPT);
    hears(outside, 0, "");
    assert_null(direct_take_done(&outside->direct));
    assert_true(say(outside, 0, TOKEN));
    hears(outside, 0, "HD O1\r\nHD O2\r\nHD O3\r\n");
    is_done(outside, 1, NULL);
    is_done(outside, 2, NULL);
    is_done(outside, 3, NULL);
    assert_null(direct_take_done(&outside->direct));
    assert_int_equal(outside->stats.answers_direct, 3);
}

static void a_connection_is_used_again(void **state)
{
    struct outside *outside = *state;
    bring_up(outside);
    for (int i = 0; i < 100; i++)
        assert_int_equal(answer(outside, 2, "EN\r\n"), DIRECT_SENT);
    assert_int_equal(outside->conn_count, 1);
    assert_int_equal(outside->stats.direct_dials, 1);
}

static void without_the_token_all_goes_back(void **state)
{
    static const char *const lines[] = {OTHER, "", "VERSION 1.6", TOKEN " "};
    struct outside *outside = *state;
    for (uint32_t i = 0; i < ARRAY_COUNT(lines); i++) {
        assert_int_equal(answer(outside, i, "HD\r\n"), DIRECT_KEPT);
        assert_true(direct_connected(&outside->direct, conn(i)));
        assert_true(say(outside, i, lines[i]));
        hears(outside, i, "");
        assert_false(outside->is_open[i]);
        is_done(outside, i, "HD\r\n");
        pass_ms(outside, 1000);
    }
    assert_int_equal(outside->stats.direct_failures, ARRAY_COUNT(lines));
}

/* Even the right one: nobody is there yet who could have said it. */
static void a_token_before_the_connection_counts_for_nothing(void **state)
{
    struct outside *outside = *state;
    assert_int_equal(answer(outside, 1, "HD\r\n"), DIRECT_KEPT);
    assert_true(say(outside, 0, TOKEN));
    hears(outside, 0, "");
    is_done(outside, 1, "HD\r\n");
}

static void a_client_that_says_more_is_left(void **state)
{
    struct outside *outside = *state;
    bring_up(outside);
    assert_true(say(outside, 0, "get k"));
    assert_false(outside->is_open[0]);
}

static void nodes_and_what_is_no_address_are_not_called(void **state)
{
    static const struct {
        const char *client, *where;
    } cases[] = {
        {"192.0.2.9:40000", "11211," TOKEN},
        {"192.0.2.1:40000", "80," TOKEN},
        {"192.0.2.1:40000", "5000,token"},
        {"somebody", "5000," TOKEN},
        {"", ""},
    };
    struct outside *outside = *state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_int_equal(answer_from(outside, cases[i].client, cases[i].where, 1, "HD\r\n"),
                         DIRECT_NOT);
    assert_int_equal(outside->conn_count, 0);
    assert_int_equal(answer_from(outside, "192.0.2.9:40000", "11212," TOKEN, 1, "HD\r\n"),
                     DIRECT_KEPT);
}

static void what_cannot_be_connected_goes_back(void **state)
{
    struct outside *outside = *state;
    assert_int_equal(answer(outside, 1, "HD\r\n"), DIRECT_KEPT);
    assert_true(direct_disconnected(&outside->direct, conn(0)));
    is_done(outside, 1, "HD\r\n");
    outside->is_full = true;
    assert_int_equal(answer(outside, 2, "HD\r\n"), DIRECT_NOT);
}

static void a_client_without_a_token_is_waited_for_one_second(void **state)
{
    struct outside *outside = *state;
    assert_int_equal(answer(outside, 1, "HD\r\n"), DIRECT_KEPT);
    assert_true(direct_connected(&outside->direct, conn(0)));
    pass_ms(outside, 499);
    assert_null(direct_take_done(&outside->direct));
    assert_int_equal(direct_deadline(&outside->direct), outside->now.mono_ms + 1);
    pass_ms(outside, 1); /* the answer's patience; the connection may still come */
    is_done(outside, 1, "HD\r\n");
    assert_true(outside->is_open[0]);
    pass_ms(outside, 499);
    assert_true(outside->is_open[0]);
    pass_ms(outside, 1);
    assert_false(outside->is_open[0]);
    assert_int_equal(direct_deadline(&outside->direct), UINT64_MAX);
}

static void an_idle_connection_is_closed(void **state)
{
    struct outside *outside = *state;
    bring_up(outside);
    pass_ms(outside, 9000);
    assert_int_equal(answer(outside, 2, "EN\r\n"), DIRECT_SENT);
    pass_ms(outside, 9999);
    assert_true(outside->is_open[0]);
    pass_ms(outside, 1);
    assert_false(outside->is_open[0]);
    assert_int_equal(outside->stats.direct_failures, 0);
}

/* Another token is another client. One address: one attempt at a time, and two a second. */
static void a_client_address_is_dialled_rarely(void **state)
{
    struct outside *outside = *state;
    assert_int_equal(answer(outside, 1, "HD\r\n"), DIRECT_KEPT);
    assert_int_equal(answer_from(outside, "192.0.2.1:40001", "5001," OTHER, 2, "HD\r\n"),
                     DIRECT_NOT); /* one is pending */
    assert_int_equal(answer_from(outside, "192.0.2.2:40001", "5001," OTHER, 2, "HD\r\n"),
                     DIRECT_KEPT); /* another address */
    assert_true(direct_disconnected(&outside->direct, conn(0)));
    assert_int_equal(answer(outside, 3, "HD\r\n"), DIRECT_KEPT);
    assert_true(direct_disconnected(&outside->direct, conn(2)));
    pass_ms(outside, 400);
    assert_int_equal(answer(outside, 4, "HD\r\n"), DIRECT_NOT); /* a third within the second */
    pass_ms(outside, 600);
    assert_int_equal(answer(outside, 5, "HD\r\n"), DIRECT_KEPT);
}

static void connections_are_bounded(void **state)
{
    struct outside *outside = *state;
    for (uint32_t i = 0; i <= DIRECT_CONNECTIONS_MAX; i++) {
        char client[32];
        snprintf(client, sizeof(client), "10.0.%u.%u:9999", i / 256, i % 256);
        enum direct_lot lot = answer_from(outside, client, "5000," TOKEN, i, "HD\r\n");
        assert_int_equal(lot, i < DIRECT_CONNECTIONS_MAX ? DIRECT_KEPT : DIRECT_NOT);
    }
    pass_ms(outside, 1000);
    pass_ms(outside, 1000);
    assert_int_equal(outside->direct.conn_count, 0);
    assert_int_equal(answer(outside, 1, "HD\r\n"), DIRECT_KEPT); /* addresses are forgotten too */
}

static void answers_that_wait_are_bounded(void **state)
{
    struct outside *outside = *state;
    char *large = malloc(DIRECT_KEPT_BYTES_MAX / 2 + 2);
    assert_non_null(large);
    memset(large, 'x', DIRECT_KEPT_BYTES_MAX / 2 + 1);
    large[DIRECT_KEPT_BYTES_MAX / 2 + 1] = '\0';
    assert_int_equal(answer(outside, 1, large), DIRECT_KEPT);
    assert_int_equal(answer(outside, 2, large), DIRECT_NOT);
    free(large);
    assert_true(direct_connected(&outside->direct, conn(0)));
    assert_true(say(outside, 0, TOKEN));
    assert_int_equal(outside->direct.kept_bytes, 0);
}

/* What is noted of each answer is more than its bytes. */
static void many_short_answers_that_wait_are_bounded_too(void **state)
{
    struct outside *outside = *state;
    uint64_t count = 0;
    while (count < DIRECT_KEPT_BYTES_MAX / 4) {
        struct reply body = {0};
        reply_append(&body, SPAN_LITERAL("HD\r\n"));
        enum direct_lot lot = direct_answer(&outside->direct, SPAN_LITERAL("192.0.2.1:40000"),
                                            SPAN_LITERAL("5000," TOKEN), &outside->nodes, entry,
                                            count, 500, &body, outside->now);
        reply_close(&body);
        if (lot != DIRECT_KEPT)
            break;
        count++;
    }
    assert_in_range(count, 1000, DIRECT_KEPT_BYTES_MAX / sizeof(struct direct_kept));
}

static void answers_that_wait_count_against_the_memory_bound(void **state)
{
    struct outside *outside = *state;
    struct budget budget = {.limit_bytes = 1000};
    for (uint32_t i = 0; i < 2; i++)
        outside->sessions[i].out.bytes.budget = &budget;
    assert_int_equal(answer(outside, 1, "HD\r\n"), DIRECT_KEPT);
    assert_true(budget.used_bytes >= sizeof(struct direct_kept) + 4);
    size_t before_bytes = budget.used_bytes;
    budget.used_bytes += 2 * BUDGET_STRETCH_BYTES;
    assert_int_equal(answer(outside, 2, "EN\r\n"), DIRECT_NOT);
    budget.used_bytes -= 2 * BUDGET_STRETCH_BYTES;
    assert_int_equal(budget.used_bytes, before_bytes);
    assert_true(direct_connected(&outside->direct, conn(0)));
    assert_true(say(outside, 0, TOKEN));
    is_done(outside, 1, NULL);
    budget.used_bytes += 2 * BUDGET_STRETCH_BYTES;
    assert_int_equal(answer(outside, 3, "EN\r\n"), DIRECT_NOT); /* nor on one that is up */
    budget.used_bytes -= 2 * BUDGET_STRETCH_BYTES;
    session_close(&outside->sessions[0]);
    assert_int_equal(budget.used_bytes, 0);
}

static void a_client_that_does_not_read_is_answered_through_the_entry_node(void **state)
{
    struct outside *outside = *state;
    bring_up(outside);
    char *much = calloc(1, DIRECT_UNSENT_MAX + 1);
    assert_non_null(much);
    reply_append(&outside->sessions[0].out, span_of(much, DIRECT_UNSENT_MAX + 1));
    free(much);
    assert_int_equal(answer(outside, 2, "EN\r\n"), DIRECT_NOT);
}

static void connections_of_others_are_left_alone(void **state)
{
    struct outside *outside = *state;
    bring_up(outside);
    assert_false(direct_connected(&outside->direct, conn(5)));
    assert_false(direct_disconnected(&outside->direct, (struct conn_id){0, 2}));
    assert_false(say(outside, 9, TOKEN));
    assert_true(outside->is_open[0]);
}

static void only_the_clients_own_address_is_meant(void **state)
{
    (void)state;
    static const struct {
        const char *client, *where, *address;
    } cases[] = {
        {"192.0.2.1:40000", "5000," TOKEN, "192.0.2.1:5000"},
        {"[2001:db8::1]:40000", "65535," TOKEN, "[2001:db8::1]:65535"},
        {"192.0.2.1:40000", "1024," TOKEN, "192.0.2.1:1024"},
        {"192.0.2.1:40000", "1023," TOKEN, NULL},
        {"192.0.2.1:40000", "65536," TOKEN, NULL},
        {"192.0.2.1:40000", "5000", NULL},
        {"192.0.2.1:40000", "5000,", NULL},
        {"192.0.2.1:40000", "5000," TOKEN "0", NULL},
        {"192.0.2.1:40000", "5000,00112233445566778899AABBCCDDEEFF", NULL},
        {"192.0.2.1:40000", "," TOKEN, NULL},
        {"-", "5000," TOKEN, NULL},
        {"192.0.2.1", "5000," TOKEN, NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char address[CLIENT_TEXT_BYTES_MAX];
        bool is_good = direct_address(span_of_string(cases[i].client),
                                      span_of_string(cases[i].where), address);
        if (is_good != (cases[i].address != NULL))
            fail_msg("%s %s", cases[i].client, cases[i].where);
        if (is_good)
            assert_string_equal(address, cases[i].address);
    }
}

static void a_return_address_has_a_token_of_32_digits(void **state)
{
    struct outside *outside = *state;
    char where[DIRECT_WHERE_BYTES_MAX];
    direct_make_where(&outside->env, 65535, where);
    assert_string_equal(where, "65535,a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_goes_out_before_the_client_has_said_the_token),
        TEST(a_connection_is_used_again),
        TEST(without_the_token_all_goes_back),
        TEST(a_token_before_the_connection_counts_for_nothing),
        TEST(a_client_that_says_more_is_left),
        TEST(nodes_and_what_is_no_address_are_not_called),
        TEST(what_cannot_be_connected_goes_back),
        TEST(a_client_without_a_token_is_waited_for_one_second),
        TEST(an_idle_connection_is_closed),
        TEST(a_client_address_is_dialled_rarely),
        TEST(connections_are_bounded),
        TEST(answers_that_wait_are_bounded),
        TEST(many_short_answers_that_wait_are_bounded_too),
        TEST(answers_that_wait_count_against_the_memory_bound),
        TEST(a_client_that_does_not_read_is_answered_through_the_entry_node),
        TEST(connections_of_others_are_left_alone),
        TEST(only_the_clients_own_address_is_meant),
        TEST(a_return_address_has_a_token_of_32_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
