/* The classic commands: what a client types, and what memcached answers. */
#include "tests/unit/executing.h"

static void storing_and_reading(void **state)
{
    static const struct line lines[] = {
        {"get a", "END"},
        {"set a 5 0 3\r\none", "STORED"},
        {"get a", "VALUE a 5 3\r\none\r\nEND"},
        {"set a 4294967295 0 0\r\n", "STORED"},
        {"get a", "VALUE a 4294967295 0\r\n\r\nEND"},
        {"add a 0 0 1\r\nx", "NOT_STORED"},
        {"add b 1 0 1\r\nx", "STORED"},
        {"replace c 0 0 1\r\nx", "NOT_STORED"},
        {"replace b 2 0 2\r\nyz", "STORED"},
        {"get a b c", "VALUE a 4294967295 0\r\n\r\nVALUE b 2 2\r\nyz\r\nEND"},
        {"delete b", "DELETED"},
        {"delete b", "NOT_FOUND"},
        {"get b", "END"},
    };
    EXPECT_LINES(*state, lines);
}

static void append_and_prepend_keep_flags_and_time(void **state)
{
    static const struct line lines[] = {
        {"append a 1 1 1\r\nx", "NOT_STORED"},
        {"prepend a 1 1 1\r\nx", "NOT_STORED"},
        {"set a 7 60 3\r\nmid", "STORED"},
        {"append a 9 5 4\r\n-end", "STORED"},
        {"prepend a 9 5 6\r\nstart-", "STORED"},
        {"get a", "VALUE a 7 13\r\nstart-mid-end\r\nEND"},
        {"mg a t", "HD t60"},
        {"append a 0 0 0\r\n", "STORED"},
        {"get a", "VALUE a 7 13\r\nstart-mid-end\r\nEND"},
    };
    EXPECT_LINES(*state, lines);
}

static void cas_replaces_only_what_was_read(void **state)
{
    struct stage *stage = *state;
    char text[128];
    EXPECT(stage, "cas a 0 0 1 1\r\nx", "NOT_FOUND");
    EXPECT(stage, "set a 0 0 1\r\n1", "STORED");
    uint64_t cas = cas_of(stage, "a");
    EXPECT(stage, "gets a", with_cas(text, sizeof(text), "VALUE a 0 1 <cas>\r\n1\r\nEND", cas));
    EXPECT(stage, "cas a 0 0 1 0\r\nx", "EXISTS");
    EXPECT(stage, with_cas(text, sizeof(text), "cas a 3 0 1 <cas>\r\n2", cas), "STORED");
    EXPECT(stage, with_cas(text, sizeof(text), "cas a 0 0 1 <cas>\r\n3", cas), "EXISTS");
    EXPECT(stage, "get a", "VALUE a 3 1\r\n2\r\nEND");
    assert_int_equal(stage->stats.cas_hits, 1);
    assert_int_equal(stage->stats.cas_badval, 2);
    assert_int_equal(stage->stats.cas_misses, 1);
}

static void cas_unique_changes_with_the_value_only(void **state)
{
    struct stage *stage = *state;
    static const char *const keeps[] = {"touch a 50", "gat 60 a", "get a", "mg a T70"};
    static const char *const changes[] = {"append a 0 0 1\r\n1",
                                          "incr a 1",
                                          "set a 0 0 1\r\n1",
                                          "prepend a 0 0 1\r\n1",
                                          "decr a 1",
                                          "ms a 1\r\n2",
                                          "ma a",
                                          "md a I"};
    EXPECT(stage, "set a 0 0 1\r\n1", "STORED");
    for (size_t i = 0; i < ARRAY_COUNT(keeps); i++) {
        uint64_t before = cas_of(stage, "a");
        ask(stage, keeps[i]);
        assert_int_equal(cas_of(stage, "a"), before);
    }
    for (size_t i = 0; i < ARRAY_COUNT(changes); i++) {
        uint64_t before = cas_of(stage, "a");
        ask(stage, changes[i]);
        assert_true(cas_of(stage, "a") > before);
    }
}

static void incr_and_decr(void **state)
{
    static const struct line lines[] = {
        {"incr a 1", "NOT_FOUND"},
        {"decr a 1", "NOT_FOUND"},
        {"set a 7 60 2\r\n10", "STORED"},
        {"incr a 5", "15"},
        {"decr a 6", "9"},
        {"get a", "VALUE a 7 2\r\n9 \r\nEND"},
        {"incr a 991", "1000"},
        {"get a", "VALUE a 7 4\r\n1000\r\nEND"},
        {"mg a t", "HD t60"},
        {"decr a 5000", "0"},
        {"get a", "VALUE a 7 4\r\n0   \r\nEND"},
        {"incr a 18446744073709551615", "18446744073709551615"},
        {"incr a 3", "2"},
        {"get a", "VALUE a 7 20\r\n2                   \r\nEND"},
        {"incr a 0", "2"},
    };
    EXPECT_LINES(*state, lines);
}

static void what_counts_as_a_number(void **state)
{
#define NON_NUMERIC "CLIENT_ERROR cannot increment or decrement non-numeric value"
    static const struct line lines[] = {
        {"set n 0 0 3\r\n 12", "STORED"},
        {"incr n 1", "13"},
        {"get n", "VALUE n 0 3\r\n13 \r\nEND"},
        {"set n 0 0 6\r\n12 abc", "STORED"},
        {"incr n 1", "13"},
        {"get n", "VALUE n 0 6\r\n13    \r\nEND"},
        {"set n 0 0 2\r\n-0", "STORED"},
        {"incr n 1", "1"},
        {"set n 0 0 2\r\n+5", "STORED"},
        {"incr n 1", "6"},
        {"set n 0 0 2\r\n-1", "STORED"},
        {"incr n 1", NON_NUMERIC},
        {"set n 0 0 0\r\n", "STORED"},
        {"incr n 1", NON_NUMERIC},
        {"set n 0 0 3\r\nabc", "STORED"},
        {"decr n 1", NON_NUMERIC},
        {"set n 0 0 3\r\n1.5", "STORED"},
        {"incr n 1", NON_NUMERIC},
        {"set n 0 0 21\r\n118446744073709551615", "STORED"},
        {"incr n 1", NON_NUMERIC},
        {"get n", "VALUE n 0 21\r\n118446744073709551615\r\nEND"},
    };
    EXPECT_LINES(*state, lines);
    struct stage *stage = *state;
    assert_string_equal(ask_bytes(stage, "set n 0 0 2\r\n1\0\r\n", 17), "STORED\r\n");
    EXPECT(stage, "incr n 1", "2");
}

static void a_number_may_have_any_padding(void **state)
{
    struct stage *stage = *state;
    char request[4000];
    for (int len = 60; len < 3900; len += 731) {
        snprintf(request, sizeof(request), "set n 0 0 %d\r\n%-*d", len, len, 41);
        EXPECT(stage, request, "STORED");
        EXPECT(stage, "incr n 1", "42");
        snprintf(request, sizeof(request), "VALUE n 0 %d\r\n%-*d\r\nEND", len, len, 42);
        EXPECT(stage, "get n", request);
        EXPECT(stage, "append n 0 0 1\r\n ", "STORED");
        EXPECT(stage, "decr n 2", "40");
    }
}

static void expiry(void **state)
{
    struct stage *stage = *state;
    EXPECT(stage, "set a 0 10 1\r\nx", "STORED");
    EXPECT(stage, "set never 0 0 1\r\nx", "STORED");
    pass_s(stage, 9);
    EXPECT(stage, "get a", "VALUE a 0 1\r\nx\r\nEND");
    pass_s(stage, 1);
    EXPECT(stage, "get a", "END");
    EXPECT(stage, "add a 0 0 1\r\ny", "STORED");
    pass_s(stage, 100000000);
    EXPECT(stage, "get never", "VALUE never 0 1\r\nx\r\nEND");
}

static void an_expiry_already_past_stores_nothing_visible(void **state)
{
    static const struct line lines[] = {
        {"set a 0 -1 1\r\nx", "STORED"},
        {"get a", "END"},
        {"add a 0 1000000000 1\r\nx", "STORED"},
        {"get a", "END"},
        {"set a 0 0 1\r\nx", "STORED"},
        {"set a 0 -1 1\r\ny", "STORED"},
        {"get a", "END"},
        {"set a 0 0 1\r\nx", "STORED"},
        {"replace a 0 -1 1\r\ny", "STORED"},
        {"touch a 10", "NOT_FOUND"},
    };
    EXPECT_LINES(*state, lines);
}

static void exptimes_become_seconds_of_the_store_clock(void **state)
{
    const struct executor *executor = &((struct stage *)*state)->executor;
    static const struct {
        int64_t exptime;
        uint32_t expires_s;
    } cases[] = {
        {0, STORE_NEVER},
        {1, START_S + 1},
        {EXPTIME_RELATIVE_MAX_S, START_S + EXPTIME_RELATIVE_MAX_S},
        {EXPTIME_RELATIVE_MAX_S + 1, 1}, /* a moment of 1970 */
        {UNIX_AT_ZERO, 1},
        {UNIX_AT_ZERO + 1, 1},
        {UNIX_AT_ZERO + 5000, 5000},
        {UNIX_AT_ZERO + (int64_t)UINT32_MAX + 9, UINT32_MAX},
        {INT64_MAX, UINT32_MAX},
        {-1, 1},
        {INT64_MIN, 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_int_equal(executor_expiry(executor, cases[i].exptime), cases[i].expires_s);
}

static void touch_and_get_and_touch(void **state)
{
    struct stage *stage = *state;
    static const struct line lines[] = {
        {"touch a 5", "NOT_FOUND"},
        {"gat 5 a", "END"},
        {"set a 3 10 1\r\nx", "STORED"},
        {"touch a 20", "TOUCHED"},
        {"mg a t h", "HD t20 h1"},
        {"gat 30 a b", "VALUE a 3 1\r\nx\r\nEND"},
        {"mg a t", "HD t30"},
        {"touch a 0", "TOUCHED"},
        {"mg a t", "HD t-1"},
        {"gat 1700001060 a", "VALUE a 3 1\r\nx\r\nEND"},
        {"mg a t", "HD t60"},
        {"gat -1 a", "VALUE a 3 1\r\nx\r\nEND"},
        {"gat -1 a", "END"},
        {"set a 0 0 1\r\nx", "STORED"},
        {"touch a -1", "TOUCHED"},
        {"get a", "END"},
    };
    EXPECT_LINES(stage, lines);
    assert_int_equal(stage->stats.cmd_touch, 10);
    assert_int_equal(stage->stats.touch_hits, 6);
    assert_int_equal(stage->stats.touch_misses, 4);
    char text[128];
    EXPECT(stage, "set a 0 0 1\r\nx", "STORED");
    EXPECT(stage, "gats 9 a",
           with_cas(text, sizeof(text), "VALUE a 0 1 <cas>\r\nx\r\nEND", cas_of(stage, "a")));
}

static void noreply_yields_no_byte(void **state)
{
    struct stage *stage = *state;
    static const struct line lines[] = {
        {"set a 0 0 1 noreply\r\n1", ""},
        {"add a 0 0 1 noreply\r\n2", ""},
        {"replace b 0 0 1 noreply\r\n2", ""},
        {"append b 0 0 1 noreply\r\n2", ""},
        {"prepend b 0 0 1 noreply\r\n2", ""},
        {"cas a 0 0 1 1 noreply\r\n2", ""},
        {"incr a 1 noreply", ""},
        {"decr b 1 noreply", ""},
        {"touch a 100 noreply", ""},
        {"touch b 100 noreply", ""},
        {"delete b noreply", ""},
        {"get a", "VALUE a 0 1\r\n2\r\nEND"},
        {"append a 0 0 1 noreply\r\nx", ""},
        {"incr a 1 noreply", ""},
        {"mg a v t", "VA 2 t100\r\n2x"},
        {"delete a noreply", ""},
        {"get a", "END"},
    };
    EXPECT_LINES(stage, lines);
    assert_string_equal(ask_with_body(stage, "set a 0 0 1048577 noreply", VALUE_MAX + 1), "");
}

static void a_value_too_large(void **state)
{
    struct stage *stage = *state;
    static const char *const keeping[] = {"add a 0 0 1048577", "replace a 0 0 1048577",
                                          "append a 0 0 1048577", "prepend a 0 0 1048577",
                                          "cas a 0 0 1048577 1"};
    EXPECT(stage, "set a 0 0 1\r\nx", "STORED");
    for (size_t i = 0; i < ARRAY_COUNT(keeping); i++) {
        assert_string_equal(ask_with_body(stage, keeping[i], VALUE_MAX + 1),
                            "SERVER_ERROR object too large for cache\r\n");
        EXPECT(stage, "get a", "VALUE a 0 1\r\nx\r\nEND");
    }
    assert_string_equal(ask_with_body(stage, "set a 0 0 1048577", VALUE_MAX + 1),
                        "SERVER_ERROR object too large for cache\r\n");
    EXPECT(stage, "get a", "END");
    assert_int_equal(stage->stats.store_too_large, 6);
}

static void an_append_grown_too_large_changes_nothing(void **state)
{
    struct stage *stage = *state;
    assert_string_equal(ask_with_body(stage, "set a 0 0 600000", 600000), "STORED\r\n");
    assert_string_equal(ask_with_body(stage, "append a 0 0 600000", 600000), "NOT_STORED\r\n");
    assert_string_equal(ask_with_body(stage, "prepend a 0 0 600000", 600000), "NOT_STORED\r\n");
    EXPECT(stage, "mg a s", "HD s600000");
    assert_string_equal(ask_with_body(stage, "append a 0 0 400000", 400000), "STORED\r\n");
    EXPECT(stage, "mg a s", "HD s1000000");
}

static void values_of_every_size_come_back_whole(void **state)
{
    struct stage *stage = *state;
    static const size_t sizes[] = {REPLY_BORROW_BYTES_MIN - 2, REPLY_BORROW_BYTES_MIN - 1,
                                   REPLY_BORROW_BYTES_MIN, 65536, 1000000};
    static const char *const readers[] = {"get a\r\n", "gat 100 a\r\n", "gat -1 a\r\n"};
    for (size_t i = 0; i < ARRAY_COUNT(sizes) * ARRAY_COUNT(readers); i++) {
        size_t size = sizes[i / ARRAY_COUNT(readers)];
        const char *reader = readers[i % ARRAY_COUNT(readers)];
        char line[64];
        snprintf(line, sizeof(line), "set a 0 0 %zu", size);
        assert_string_equal(ask_with_body(stage, line, size), "STORED\r\n");
        const char *answer = ask_bytes(stage, reader, strlen(reader));
        int head = snprintf(line, sizeof(line), "VALUE a 0 %zu\r\n", size);
        assert_memory_equal(answer, line, (size_t)head);
        assert_int_equal(strspn(answer + head, "x"), size);
        assert_string_equal(answer + head + size, "\r\nEND\r\n");
    }
}

/* The answers of a batch go out together: what follows a read must not change what it gave. */
static void an_answer_survives_later_changes_in_the_batch(void **state)
{
    struct stage *stage = *state;
    assert_string_equal(ask_with_body(stage, "set a 0 0 20000", 20000), "STORED\r\n");
    static const char batch[] = "get a\r\nset a 0 0 1\r\ny\r\ndelete a\r\nset b 0 0 1\r\nz\r\n";
    const char *answer = ask_bytes(stage, batch, sizeof(batch) - 1);
    assert_int_equal(strspn(answer + strlen("VALUE a 0 20000\r\n"), "x"), 20000);
    assert_string_equal(answer + strlen("VALUE a 0 20000\r\n") + 20000,
                        "\r\nEND\r\nSTORED\r\nDELETED\r\nSTORED\r\n");
}

static void flush(void **state)
{
    struct stage *stage = *state;
    static const struct line lines[] = {
        {"set a 0 0 1\r\nx", "STORED"},
        {"flush_all", "OK"},
        {"get a", "END"},
        {"set a 0 0 1\r\nx", "STORED"},
        {"flush_all 0", "OK"},
        {"get a", "END"},
        {"set a 0 0 1\r\nx", "STORED"},
        {"flush_all -5", "OK"},
        {"get a", "END"},
        {"set a 0 0 1\r\nx", "STORED"},
        {"flush_all 10", "OK"},
        {"get a", "VALUE a 0 1\r\nx\r\nEND"},
    };
    EXPECT_LINES(stage, lines);
    pass_s(stage, 9);
    EXPECT(stage, "get a", "VALUE a 0 1\r\nx\r\nEND");
    EXPECT(stage, "set b 0 0 1\r\ny", "STORED"); /* after the flush, before it fires */
    pass_s(stage, 1);
    EXPECT(stage, "get a b", "END");
    EXPECT(stage, "set a 0 0 1\r\nx", "STORED");
    EXPECT(stage, "flush_all 1700001070", "OK"); /* 60 s from now: the clock is at 1010 */
    pass_s(stage, 59);
    EXPECT(stage, "get a", "VALUE a 0 1\r\nx\r\nEND");
    pass_s(stage, 1);
    EXPECT(stage, "get a", "END");
    assert_int_equal(stage->stats.cmd_flush, 5);
}

static void a_full_store_refuses_and_keeps_everything(void **state)
{
    (void)state;
    static const char *const refused[] = {"set a 0 0 700", "add new 0 0 700", "replace a 0 0 700",
                                          "append a 0 0 700", "prepend a 0 0 700"};
    struct stage stage;
    stage_open(&stage, 8 * 1024 * 1024);
    EXPECT(&stage, "set a 3 0 1\r\n9", "STORED");
    unsigned count = fill(&stage);
    uint64_t refusals = stage.stats.store_no_memory;
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++)
        assert_string_equal(ask_with_body(&stage, refused[i], 700),
                            "SERVER_ERROR out of memory storing object\r\n");
    EXPECT(&stage, "touch a 30", "SERVER_ERROR out of memory storing object");
    EXPECT(&stage, "gat 30 a", "SERVER_ERROR out of memory storing object\r\nEND");
    assert_string_equal(ask_with_body(&stage, "set a 0 0 700 noreply", 700), "");
    assert_int_equal(stage.stats.store_no_memory, refusals + ARRAY_COUNT(refused) + 3);
    EXPECT(&stage, "get a new", "VALUE a 3 1\r\n9\r\nEND");
    for (unsigned i = 0; i < count; i++) {
        char request[64];
        snprintf(request, sizeof(request), "mg fill%u", i);
        EXPECT(&stage, request, "HD");
    }
    for (unsigned i = 0; i < 4; i++) { /* the largest: their memory comes back */
        char request[64];
        snprintf(request, sizeof(request), "delete fill%u", i);
        EXPECT(&stage, request, "DELETED");
    }
    assert_string_equal(ask_with_body(&stage, "set a 0 0 60000", 60000), "STORED\r\n");
    stage_close(&stage);
}

static void every_outcome_is_counted(void **state)
{
    struct stage *stage = *state;
    static const char *const requests[] = {
        "set a 0 0 1\r\n1", "set b 0 0 1\r\nx", "get a b c", "gets a",   "incr a 1", "incr c 1",
        "decr a 1",         "decr c 1",         "incr b 1",  "delete b", "delete b",
    };
    for (size_t i = 0; i < ARRAY_COUNT(requests); i++)
        ask(stage, requests[i]);
    const struct stats wanted = {.cmd_set = 2,
                                 .cmd_get = 4,
                                 .get_hits = 3,
                                 .get_misses = 1,
                                 .incr_hits = 1,
                                 .incr_misses = 1,
                                 .decr_hits = 1,
                                 .decr_misses = 1,
                                 .delete_hits = 1,
                                 .delete_misses = 1};
    assert_memory_equal(&stage->stats, &wanted, sizeof(wanted));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAY(storing_and_reading),
        PLAY(append_and_prepend_keep_flags_and_time),
        PLAY(cas_replaces_only_what_was_read),
        PLAY(cas_unique_changes_with_the_value_only),
        PLAY(incr_and_decr),
        PLAY(what_counts_as_a_number),
        PLAY(a_number_may_have_any_padding),
        PLAY(expiry),
        PLAY(an_expiry_already_past_stores_nothing_visible),
        PLAY(exptimes_become_seconds_of_the_store_clock),
        PLAY(touch_and_get_and_touch),
        PLAY(noreply_yields_no_byte),
        PLAY(a_value_too_large),
        PLAY(an_append_grown_too_large_changes_nothing),
        PLAY(values_of_every_size_come_back_whole),
        PLAY(an_answer_survives_later_changes_in_the_batch),
        PLAY(flush),
        cmocka_unit_test(a_full_store_refuses_and_keeps_everything),
        PLAY(every_outcome_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
