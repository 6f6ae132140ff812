/* Sessions: answers leave in the order of the questions, and a line of keys is one answer. */
#include "server/core/session.h"

#include "common/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t ask(struct session *session)
{
    return session->next_seq++;
}

static void answer(struct session *session, uint64_t seq, enum request_part part, const char *text)
{
    reply_append(session_reply(session, seq), span_of_string(text));
    session_done(session, seq, part);
    session_check(session);
}

static void assert_out(const struct session *session, const char *text)
{
    struct span out = buf_span(&session->out.bytes);
    assert_int_equal(out.len, strlen(text));
    assert_memory_equal(out.data, text, out.len);
}

static void answers_in_order_go_straight_out(void **state)
{
    (void)state;
    struct session session = {0};
    for (int i = 0; i < 3; i++)
        answer(&session, ask(&session), PART_WHOLE, "x\r\n");
    assert_out(&session, "x\r\nx\r\nx\r\n");
    assert_int_equal(session_open_count(&session), 0);
    assert_null(session.window);
    session_close(&session);
}

static void early_answers_wait_for_their_turn(void **state)
{
    (void)state;
    struct session session = {0};
    uint64_t a = ask(&session), b = ask(&session), c = ask(&session);
    answer(&session, c, PART_WHOLE, "c");
    answer(&session, b, PART_WHOLE, "b");
    assert_out(&session, "");
    assert_int_equal(session_bytes(&session), 2);
    answer(&session, a, PART_WHOLE, "a");
    assert_out(&session, "abc");
    assert_int_equal(session.window_bytes, 0);
    session_close(&session);
}

static void a_line_of_keys_ends_once(void **state)
{
    (void)state;
    struct session session = {0};
    uint64_t a = ask(&session), b = ask(&session), c = ask(&session);
    answer(&session, b, PART_PIECE, "B");
    answer(&session, c, PART_LAST, "C");
    answer(&session, a, PART_PIECE, "A");
    assert_out(&session, "ABCEND\r\n");
    session_close(&session);
}

static void a_failed_key_stands_in_the_place_of_end(void **state)
{
    (void)state;
    struct session session = {0};
    uint64_t a = ask(&session), b = ask(&session), c = ask(&session), d = ask(&session);
    session_fail(&session, b, PART_PIECE, SPAN_LITERAL("SERVER_ERROR first\r\n"));
    session_fail(&session, c, PART_LAST, SPAN_LITERAL("SERVER_ERROR second\r\n"));
    answer(&session, d, PART_LAST, "D");
    answer(&session, a, PART_PIECE, "A");
    assert_out(&session, "ASERVER_ERROR first\r\nDEND\r\n");
    session_close(&session);
}

static void a_failed_whole_request_is_its_text(void **state)
{
    (void)state;
    struct session session = {0};
    uint64_t a = ask(&session), b = ask(&session);
    session_fail(&session, b, PART_WHOLE, SPAN_LITERAL("SERVER_ERROR b\r\n"));
    session_fail(&session, a, PART_WHOLE, SPAN_LITERAL("SERVER_ERROR a\r\n"));
    assert_out(&session, "SERVER_ERROR a\r\nSERVER_ERROR b\r\n");
    session_close(&session);
}

static void a_line_broken_off_leaves_no_error_for_the_next(void **state)
{
    (void)state;
    struct session session = {0};
    session_fail(&session, ask(&session), PART_PIECE, SPAN_LITERAL("SERVER_ERROR x\r\n"));
    answer(&session, ask(&session), PART_WHOLE, "CLIENT_ERROR bad command line format\r\n");
    answer(&session, ask(&session), PART_LAST, "");
    assert_out(&session, "CLIENT_ERROR bad command line format\r\nEND\r\n");
    session_close(&session);
}

static void a_borrowed_value_that_waits_is_copied_on_demand(void **state)
{
    (void)state;
    struct session session = {0};
    size_t len = REPLY_BORROW_BYTES_MIN;
    char *value = malloc(len);
    memset(value, 'v', len);
    uint64_t a = ask(&session), b = ask(&session);
    reply_borrow(session_reply(&session, b), span_of(value, len));
    session_done(&session, b, PART_WHOLE);
    session_own_window(&session);
    memset(value, 'w', len);
    answer(&session, a, PART_WHOLE, "a");
    struct span out = buf_span(&session.out.bytes);
    assert_int_equal(out.len, len + 1);
    assert_int_equal(out.data[1], 'v');
    assert_int_equal(out.data[len], 'v');
    free(value);
    session_close(&session);
}

/* Any order of answering gives the same bytes as answering in order. */
static void every_order_gives_the_same_bytes(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    for (int round = 0; round < 200; round++) {
        enum { COUNT = 100 };
        struct session ordered = {0}, shuffled = {0};
        enum request_part parts[COUNT];
        bool fails[COUNT];
        uint32_t order[COUNT];
        for (uint32_t i = 0; i < COUNT; i++) {
            bool in_line = i > 0 && parts[i - 1] == PART_PIECE;
            uint64_t die = prng_below(&prng, 3);
            parts[i] = die == 0 || i == COUNT - 1 ? PART_LAST
                       : die == 1 || in_line      ? PART_PIECE
                                                  : PART_WHOLE;
            fails[i] = prng_below(&prng, 5) == 0;
            ask(&ordered);
            ask(&shuffled);
            order[i] = i;
        }
        for (uint32_t i = COUNT - 1; i > 0; i--) {
            uint32_t j = (uint32_t)prng_below(&prng, i + 1), kept = order[i];
            order[i] = order[j];
            order[j] = kept;
        }
        for (uint32_t i = 0; i < COUNT; i++) {
            char text[32];
            snprintf(text, sizeof(text), "<%u>", i);
            if (fails[i])
                session_fail(&ordered, i, parts[i], span_of_string(text));
            else
                answer(&ordered, i, parts[i], text);
            snprintf(text, sizeof(text), "<%u>", order[i]);
            if (fails[order[i]])
                session_fail(&shuffled, order[i], parts[order[i]], span_of_string(text));
            else
                answer(&shuffled, order[i], parts[order[i]], text);
        }
        assert_true(span_equal(buf_span(&ordered.out.bytes), buf_span(&shuffled.out.bytes)));
        assert_int_equal(session_open_count(&shuffled), 0);
        session_close(&ordered);
        session_close(&shuffled);
    }
}

static void aside(struct session *session, const char *text)
{
    struct reply body = {0};
    reply_append(&body, span_of_string(text));
    session_aside_end(session, &body);
    assert_int_equal(reply_len(&body), 0);
    session_check(session);
}

static void an_answer_aside_comes_before_open_ones(void **state)
{
    (void)state;
    struct session session = {0};
    session_set_return(&session, "5000,token");
    uint64_t a = ask(&session);
    session_aside_begin(&session);
    uint64_t b = ask(&session);
    session_aside_begin(&session);
    assert_int_equal(session_open_count(&session), 4);
    answer(&session, b, PART_WHOLE, "b");
    aside(&session, "EN O1");
    assert_out(&session, "EN O1");
    answer(&session, a, PART_WHOLE, "a");
    aside(&session, ""); /* answered elsewhere */
    assert_out(&session, "EN O1ab");
    assert_int_equal(session_open_count(&session), 0);
    session_close(&session);
}

static void an_answer_aside_never_parts_the_values_of_a_line(void **state)
{
    (void)state;
    struct session session = {0};
    session_set_return(&session, "5000,token");
    uint64_t a = ask(&session), b = ask(&session);
    session_aside_begin(&session);
    answer(&session, a, PART_PIECE, "A ");
    aside(&session, "EN ");
    assert_out(&session, "A ");
    assert_int_equal(session_bytes(&session), 5);
    session_own_window(&session);
    answer(&session, b, PART_LAST, "B ");
    assert_out(&session, "A B END\r\nEN ");
    session_close(&session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_in_order_go_straight_out),
        cmocka_unit_test(early_answers_wait_for_their_turn),
        cmocka_unit_test(a_line_of_keys_ends_once),
        cmocka_unit_test(a_failed_key_stands_in_the_place_of_end),
        cmocka_unit_test(a_failed_whole_request_is_its_text),
        cmocka_unit_test(a_line_broken_off_leaves_no_error_for_the_next),
        cmocka_unit_test(a_borrowed_value_that_waits_is_copied_on_demand),
        cmocka_unit_test(every_order_gives_the_same_bytes),
        cmocka_unit_test(an_answer_aside_comes_before_open_ones),
        cmocka_unit_test(an_answer_aside_never_parts_the_values_of_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
