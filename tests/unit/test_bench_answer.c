/* Answers are judged alike however the stream is cut. */
#include "client/bench_answer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define KEY   "bench:--0000000f" /* number 15 */
#define OTHER "bench:--00000010"

struct answer_case {
    enum bench_protocol protocol;
    bool is_set;
    uint32_t multiget;
    const char *stream;
    enum bench_scan scan;
    uint32_t hits;
    bool is_wrong, is_refused;
};

enum { GET = false, SET = true };

static const struct answer_case cases[] = {
    {BENCH_MEMCACHED, SET, 1, "STORED\r\n", BENCH_SCAN_DONE, 0, false, false},
    {BENCH_MEMCACHED, GET, 1, "END\r\n", BENCH_SCAN_DONE, 0, false, false},
    {BENCH_MEMCACHED, GET, 1, "VALUE " KEY " 0 3\r\nabc\r\nEND\r\n", BENCH_SCAN_DONE, 1, false,
     false},
    {BENCH_MEMCACHED, GET, 1, "VALUE " KEY " 77 3\r\n\r\n\n\r\nEND\r\n", BENCH_SCAN_DONE, 1, false,
     false},
    {BENCH_MEMCACHED, GET, 1, "VALUE " KEY " 0 4\r\nabcd\r\nEND\r\n", BENCH_SCAN_DONE, 0, true,
     false},
    {BENCH_MEMCACHED, GET, 1, "VALUE " KEY " 0 0\r\n\r\nEND\r\n", BENCH_SCAN_DONE, 0, true, false},
    {BENCH_MEMCACHED, GET, 1, "VALUE " OTHER " 0 3\r\nabc\r\nEND\r\n", BENCH_SCAN_DONE, 1, true,
     false},
    {BENCH_MEMCACHED, GET, 1, "VALUE x 0 3\r\nabc\r\nEND\r\n", BENCH_SCAN_DONE, 1, true, false},
    {BENCH_MEMCACHED, GET, 1, "VALUE " KEY " 0 3\r\nabc\r\nVALUE " KEY " 0 3\r\nabc\r\nEND\r\n",
     BENCH_SCAN_DONE, 2, true, false},
    {BENCH_MEMCACHED, GET, 3, "VALUE " KEY " 0 3\r\nabc\r\nVALUE " OTHER " 0 3\r\nabc\r\nEND\r\n",
     BENCH_SCAN_DONE, 2, false, false},
    {BENCH_MEMCACHED, GET, 3, "VALUE " KEY " 0 3\r\nabc\r\nSERVER_ERROR not done: gone\r\n",
     BENCH_SCAN_DONE, 1, false, true},
    {BENCH_MEMCACHED, SET, 1, "SERVER_ERROR out of memory storing object\r\n", BENCH_SCAN_DONE, 0,
     false, true},
    {BENCH_MEMCACHED, SET, 1, "CLIENT_ERROR bad\r\n", BENCH_SCAN_DONE, 0, false, true},
    {BENCH_MEMCACHED, GET, 1, "ERROR\r\n", BENCH_SCAN_DONE, 0, false, true},
    {BENCH_MEMCACHED, GET, 1, "STORED\r\n", BENCH_SCAN_BAD, 0, false, false},
    {BENCH_MEMCACHED, SET, 1, "END\r\n", BENCH_SCAN_BAD, 0, false, false},
    {BENCH_MEMCACHED, SET, 1, "STORED\n", BENCH_SCAN_BAD, 0, false, false},
    {BENCH_MEMCACHED, SET, 1, "\n", BENCH_SCAN_BAD, 0, false, false},
    {BENCH_MEMCACHED, GET, 1, "VALUE " KEY " 0 3\r\nabcd\r\nEND\r\n", BENCH_SCAN_BAD, 1, false,
     false},
    {BENCH_MEMCACHED, GET, 1, "VALUE " KEY " 0 3\r\nabc\rxEND\r\n", BENCH_SCAN_BAD, 1, false,
     false},
    {BENCH_MEMCACHED, GET, 1, "VALUE " KEY " 0 x\r\n", BENCH_SCAN_BAD, 0, false, false},
    {BENCH_MEMCACHED, GET, 1, "VALUE " KEY "\r\n", BENCH_SCAN_BAD, 0, false, false},
    {BENCH_MEMCACHED, GET, 1, "VALUE " KEY " 0 99999999999\r\n", BENCH_SCAN_BAD, 0, false, false},
    {BENCH_RESP, SET, 1, "+OK\r\n", BENCH_SCAN_DONE, 0, false, false},
    {BENCH_RESP, SET, 1, "-OOM command not allowed\r\n", BENCH_SCAN_DONE, 0, false, true},
    {BENCH_RESP, GET, 1, "$3\r\nabc\r\n", BENCH_SCAN_DONE, 1, false, false},
    {BENCH_RESP, GET, 1, "$-1\r\n", BENCH_SCAN_DONE, 0, false, false},
    {BENCH_RESP, GET, 1, "$4\r\nabcd\r\n", BENCH_SCAN_DONE, 0, true, false},
    {BENCH_RESP, GET, 3, "*3\r\n$3\r\nabc\r\n$-1\r\n$3\r\n\r\n\n\r\n", BENCH_SCAN_DONE, 2, false,
     false},
    {BENCH_RESP, GET, 3, "*3\r\n$-1\r\n$-1\r\n$-1\r\n", BENCH_SCAN_DONE, 0, false, false},
    {BENCH_RESP, GET, 3, "-LOADING\r\n", BENCH_SCAN_DONE, 0, false, true},
    {BENCH_RESP, GET, 3, "*2\r\n", BENCH_SCAN_BAD, 0, false, false},
    {BENCH_RESP, GET, 3, "$3\r\nabc\r\n", BENCH_SCAN_BAD, 0, false, false},
    {BENCH_RESP, GET, 3, "*3\r\n*3\r\n", BENCH_SCAN_BAD, 0, false, false},
    {BENCH_RESP, GET, 1, "*1\r\n", BENCH_SCAN_BAD, 0, false, false},
    {BENCH_RESP, GET, 1, "$3\r\nabcxx", BENCH_SCAN_BAD, 1, false, false},
    {BENCH_RESP, GET, 1, "+OK\r\n", BENCH_SCAN_BAD, 0, false, false},
    {BENCH_RESP, SET, 1, "$-1\r\n", BENCH_SCAN_BAD, 0, false, false},
};

#define NEXT "NEXT" /* the beginning of the answer after, not to be touched */

/* Feeds stream in pieces of at most piece bytes, the first one of at most first. */
static void assert_judged(const struct answer_case *one, const struct bench_dialect *dialect,
                          struct span stream, size_t first, size_t piece)
{
    struct bench_answer answer = {0};
    struct bench_asked asked = {one->is_set, 15};
    enum bench_scan scan = BENCH_SCAN_MORE;
    size_t fed = 0;
    size_t left = 0;
    while (scan == BENCH_SCAN_MORE && fed < stream.len) {
        size_t len = fed == 0 ? first : piece;
        len = len < stream.len - fed ? len : stream.len - fed;
        struct span bytes = span_of(stream.data + fed, len);
        scan = bench_answer_scan(&answer, dialect, asked, &bytes);
        fed += len;
        left = bytes.len;
    }
    assert_int_equal(scan, one->scan);
    if (scan != BENCH_SCAN_DONE)
        return;
    assert_int_equal(fed - left, stream.len - strlen(NEXT));
    assert_int_equal(answer.hits, one->hits);
    assert_int_equal(answer.is_wrong, one->is_wrong);
    assert_int_equal(answer.is_refused, one->is_refused);
}

static void answers_are_judged_alike_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct bench_keys keys;
        struct bench_dialect dialect;
        struct buf buf = {0};
        bench_keys_init(&keys, 100, 16);
        bench_dialect_init(&dialect, cases[i].protocol, &keys, cases[i].multiget, 3);
        buf_printf(&buf, "%s" NEXT, cases[i].stream);
        struct span stream = buf_span(&buf);
        for (size_t first = 1; first <= stream.len; first++)
            for (size_t piece = 1; piece <= stream.len; piece++)
                assert_judged(&cases[i], &dialect, stream, first, piece);
        buf_close(&buf);
        bench_dialect_close(&dialect);
        bench_keys_close(&keys);
    }
}

static void a_line_without_an_end_is_bad_at_its_bound(void **state)
{
    (void)state;
    struct bench_keys keys;
    struct bench_dialect dialect;
    struct bench_answer answer = {0};
    bench_keys_init(&keys, 100, 16);
    bench_dialect_init(&dialect, BENCH_MEMCACHED, &keys, 1, 3);
    for (uint32_t i = 0; i <= BENCH_ANSWER_LINE_BYTES_MAX; i++) {
        struct span byte = SPAN_LITERAL("E");
        assert_int_equal(bench_answer_scan(&answer, &dialect, (struct bench_asked){0}, &byte),
                         i < BENCH_ANSWER_LINE_BYTES_MAX ? BENCH_SCAN_MORE : BENCH_SCAN_BAD);
    }
    bench_dialect_close(&dialect);
    bench_keys_close(&keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_judged_alike_however_they_are_cut),
        cmocka_unit_test(a_line_without_an_end_is_bad_at_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
