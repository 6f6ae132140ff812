/* Answers parsed from bytes cut anywhere; what is no answer, or too large a one, refused. */
#include "common/answer.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define VALUE_BYTES_MAX 1000u

/* What a line means; members not named are what an answer holds when the line does not say. */
struct good {
    const char *bytes;
    enum answer_kind kind;
    const char *text;
    const char *name;
    const char *value;
    const char *opaque;
    uint64_t number;
    uint64_t cas;
    uint32_t flags;
    int64_t ttl_s;
};

static const struct good goods[] = {
    {"HD\r\n", ANSWER_META_DONE, .ttl_s = -1},
    {"HD c12 t-1 f7\r\n", ANSWER_META_DONE, .text = "c12 t-1 f7", .cas = 12, .flags = 7,
     .ttl_s = -1},
    {"HD  Oab  k1 s9 W X\r\n", ANSWER_META_DONE, .text = " Oab  k1 s9 W X", .opaque = "ab",
     .ttl_s = -1},
    {"HD \r\n", ANSWER_META_DONE, .ttl_s = -1},
    {"VA 2 f4294967295 c18446744073709551615 t60\r\nhi\r\n", ANSWER_META_DATA,
     .text = "f4294967295 c18446744073709551615 t60", .value = "hi", .cas = UINT64_MAX,
     .flags = UINT32_MAX, .ttl_s = 60},
    {"VA 0\r\n\r\n", ANSWER_META_DATA, .value = "", .ttl_s = -1},
    {"VA 4\r\n\r\n\r\n\r\n", ANSWER_META_DATA, .value = "\r\n\r\n", .ttl_s = -1},
    {"VA 5 t0\r\nEND\r\n\r\n", ANSWER_META_DATA, .text = "t0", .value = "END\r\n", .ttl_s = 0},
    {"EN\r\n", ANSWER_META_MISS, .ttl_s = -1},
    {"NF Oa\r\n", ANSWER_META_NOT_FOUND, .text = "Oa", .opaque = "a", .ttl_s = -1},
    {"NS\r\n", ANSWER_META_NOT_STORED, .ttl_s = -1},
    {"EX\r\n", ANSWER_META_EXISTS, .ttl_s = -1},
    {"MN\r\n", ANSWER_META_NOOP, .ttl_s = -1},
    {"ME key exp=-1 la=3 cas=5\r\n", ANSWER_META_DEBUG, .text = "key exp=-1 la=3 cas=5",
     .ttl_s = -1},
    {"VALUE key 7 3\r\nabc\r\n", ANSWER_VALUE, .name = "key", .value = "abc", .flags = 7,
     .ttl_s = -1},
    {"VALUE key 0 0 9\r\n\r\n", ANSWER_VALUE, .name = "key", .value = "", .cas = 9, .ttl_s = -1},
    {"END\r\n", ANSWER_END, .ttl_s = -1},
    {"STORED\r\n", ANSWER_STORED, .ttl_s = -1},
    {"NOT_STORED\r\n", ANSWER_NOT_STORED, .ttl_s = -1},
    {"EXISTS\r\n", ANSWER_EXISTS, .ttl_s = -1},
    {"NOT_FOUND\r\n", ANSWER_NOT_FOUND, .ttl_s = -1},
    {"DELETED\r\n", ANSWER_DELETED, .ttl_s = -1},
    {"TOUCHED\r\n", ANSWER_TOUCHED, .ttl_s = -1},
    {"OK\r\n", ANSWER_OK, .ttl_s = -1},
    {"RESET\r\n", ANSWER_RESET, .ttl_s = -1},
    {"0\r\n", ANSWER_NUMBER, .ttl_s = -1},
    {"18446744073709551615\r\n", ANSWER_NUMBER, .number = UINT64_MAX, .ttl_s = -1},
    {"STAT pid 17\r\n", ANSWER_STAT, .name = "pid", .text = "17", .ttl_s = -1},
    {"STAT version a b\r\n", ANSWER_STAT, .name = "version", .text = "a b", .ttl_s = -1},
    {"STAT domain_socket \r\n", ANSWER_STAT, .name = "domain_socket", .ttl_s = -1},
    {"STAT inter\r\n", ANSWER_STAT, .name = "inter", .ttl_s = -1},
    {"VERSION 1.6.18 dht-server/0.1.0\r\n", ANSWER_VERSION, .text = "1.6.18 dht-server/0.1.0",
     .ttl_s = -1},
    {"RING 00000000000000ff 3\r\n", ANSWER_RING, .number = 255, .ttl_s = -1},
    {"RING ffffffffffffffff\r\n", ANSWER_RING, .number = UINT64_MAX, .ttl_s = -1},
    {"MEMBERSHIP 7 2\r\n{}\r\nEND\r\n", ANSWER_MEMBERSHIP, .value = "{}", .number = 7, .ttl_s = -1},
    {"REPORT 2\r\n{}\r\nEND\r\n", ANSWER_REPORT, .value = "{}", .ttl_s = -1},
    {"RETURN_PORT 0f\r\n", ANSWER_RETURN_PORT, .text = "0f", .ttl_s = -1},
    {"ERROR: shutdown not enabled\r\n", ANSWER_DISABLED, .text = "shutdown not enabled",
     .ttl_s = -1},
    {"ERROR\r\n", ANSWER_ERROR, .ttl_s = -1},
    {"ERROR Too many open connections\r\n", ANSWER_ERROR, .text = "Too many open connections",
     .ttl_s = -1},
    {"CLIENT_ERROR bad data chunk\r\n", ANSWER_CLIENT_ERROR, .text = "bad data chunk", .ttl_s = -1},
    {"SERVER_ERROR out of memory storing object\r\n", ANSWER_SERVER_ERROR,
     .text = "out of memory storing object", .ttl_s = -1},
    {"SERVER_ERROR\r\n", ANSWER_SERVER_ERROR, .ttl_s = -1},
    {"SERVER_ERROR busy, retry in 250 ms\r\n", ANSWER_BUSY, .number = 250, .ttl_s = -1},
    {"SERVER_ERROR busy, retry in 1 ms Oab\r\n", ANSWER_BUSY, .text = "Oab", .number = 1,
     .ttl_s = -1},
    {"SERVER_ERROR busy, retry in 1 ms x\r\n", ANSWER_SERVER_ERROR, .text = "busy, retry in 1 ms x",
     .number = 1, .ttl_s = -1},
    {"SERVER_ERROR busy, retry in a while\r\n", ANSWER_SERVER_ERROR,
     .text = "busy, retry in a while", .ttl_s = -1},
    {"SERVER_ERROR not done: no answer from a:1\r\n", ANSWER_NOT_DONE, .text = "no answer from a:1",
     .ttl_s = -1},
    {"SERVER_ERROR outcome unknown: 1 of 3\r\n", ANSWER_OUTCOME_UNKNOWN, .text = "1 of 3",
     .ttl_s = -1},
    {"SERVER_ERROR not done:\r\n", ANSWER_NOT_DONE, .ttl_s = -1},
};

static void assert_span(struct span span, const char *text)
{
    struct span expected = span_of_string(text ? text : "");
    assert_int_equal(span.len, expected.len);
    assert_memory_equal(span.data ? span.data : "", expected.data, expected.len);
}

static void assert_good(const struct good *good, const struct answer *answer)
{
    assert_int_equal(answer->kind, good->kind);
    assert_span(answer->text, good->text);
    assert_span(answer->name, good->name);
    assert_span(answer->value, good->value);
    assert_span(answer->opaque, good->opaque);
    assert_true(answer->number == good->number);
    assert_true(answer->cas == good->cas);
    assert_true(answer->flags == good->flags);
    assert_true(answer->ttl_s == good->ttl_s);
}

/* Parses a copy of exactly len bytes, so that the sanitizer sees a read beyond them. The answer's
 * spans are checked before the copy goes. */
static enum answer_parse parse(const char *bytes, size_t len, const struct good *good,
                               size_t *consumed, size_t *need)
{
    struct answer answer;
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    enum answer_parse result = answer_parse(copy, len, VALUE_BYTES_MAX, &answer, consumed, need);
    if (result == ANSWER_DONE && good)
        assert_good(good, &answer);
    free(copy);
    return result;
}

static void every_form_is_read(void **state)
{
    (void)state;
    size_t consumed;
    size_t need;
    for (size_t i = 0; i < ARRAY_COUNT(goods); i++) {
        size_t len = strlen(goods[i].bytes);
        consumed = 0;
        if (parse(goods[i].bytes, len, &goods[i], &consumed, &need) != ANSWER_DONE)
            fail_msg("not read: %s", goods[i].bytes);
        assert_int_equal(consumed, len);
    }
}

static void every_kind_has_a_case(void **state)
{
    (void)state;
    for (int kind = 0; kind < ANSWER_KIND_COUNT; kind++) {
        bool is_met = false;
        for (size_t i = 0; i < ARRAY_COUNT(goods); i++)
            is_met = is_met || goods[i].kind == (enum answer_kind)kind;
        assert_true(is_met);
    }
}

static void cut_at_any_byte_more_is_wanted(void **state)
{
    (void)state;
    size_t consumed = 77;
    for (size_t i = 0; i < ARRAY_COUNT(goods); i++) {
        size_t whole = strlen(goods[i].bytes);
        for (size_t len = 0; len < whole; len++) {
            size_t need = 0;
            if (parse(goods[i].bytes, len, NULL, &consumed, &need) != ANSWER_MORE)
                fail_msg("%zu bytes of %s", len, goods[i].bytes);
            assert_in_range(need, len + 1, whole);
            assert_int_equal(consumed, 77); /* left alone */
        }
    }
}

static void what_follows_an_answer_is_left_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(goods); i++) {
        char bytes[512];
        size_t consumed = 0;
        size_t need;
        int len = snprintf(bytes, sizeof(bytes), "%sVA 9999\r\n", goods[i].bytes);
        assert_int_equal(parse(bytes, (size_t)len, &goods[i], &consumed, &need), ANSWER_DONE);
        assert_int_equal(consumed, strlen(goods[i].bytes));
    }
}

static void no_answer_is_refused(void **state)
{
    (void)state;
    static const char *const bads[] = {
        "\n",
        "\r\n",
        "HD\n",
        "hd\r\n",
        "HDX\r\n",
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 400 Bad\r\n",
        "HD fx\r\n",
        "HD f4294967296\r\n",
        "HD f\r\n",
        "HD c-1\r\n",
        "HD c\r\n",
        "HD t-2\r\n",
        "HD t9223372036854775808\r\n",
        "VA\r\n",
        "VA \r\n",
        "VA x\r\n",
        "VA -1\r\n",
        "VA 1 f\r\na\r\n",
        "VA 1001\r\n",
        "VA 18446744073709551615\r\n",
        "VA 18446744073709551616\r\n",
        "VA 1\r\nab\r\n",
        "VA 1\r\na\n\r\n",
        "VALUE\r\n",
        "VALUE k\r\n",
        "VALUE k 0\r\n",
        "VALUE k 0 x\r\n",
        "VALUE  0 1\r\na\r\n",
        "VALUE k 4294967296 1\r\na\r\n",
        "VALUE k 0 1001\r\n",
        "VALUE k 0 1 x\r\na\r\n",
        "VALUE k 0 1 2 3\r\na\r\n",
        "VALUE k 0 1\r\nabc",
        "END x\r\n",
        "STORED 1\r\n",
        "STAT\r\n",
        "STAT \r\n",
        "18446744073709551616\r\n",
        "-1\r\n",
        "1 \r\n",
        "01\r\n",
        "SERVER_ERRORS\r\n",
        "$5\r\nhello\r\n",
        "RING 0\r\n",
        "RING 000000000000000G\r\n",
        "RING 0000000000000000 x\r\n",
        "REPORT\r\n",
        "REPORT 1001\r\n",
        "REPORT 2 \r\n{}\r\nEND\r\n",
        "REPORT 2\r\n{}\r\nEN\r\n\r\n",
        "MEMBERSHIP 1\r\n",
        "MEMBERSHIP 1 1001\r\n",
        "MEMBERSHIP 1 2\r\n{}\r\nEN\r\n\r\n",
        "+OK\r\n",
    };
    size_t consumed;
    size_t need;
    for (size_t i = 0; i < ARRAY_COUNT(bads); i++)
        if (parse(bads[i], strlen(bads[i]), NULL, &consumed, &need) != ANSWER_BAD)
            fail_msg("not refused: %s", bads[i]);
}

/* The bound holds whether the end of the line is there or not, and not one byte earlier. */
static void a_line_is_bounded(void **state)
{
    (void)state;
    char line[ANSWER_LINE_BYTES_MAX + 3];
    size_t consumed = 0;
    size_t need;
    memset(line, 'x', sizeof(line));
    memcpy(line, "VERSION ", 8);
    memcpy(line + ANSWER_LINE_BYTES_MAX, "\r\n", 2);
    assert_int_equal(parse(line, ANSWER_LINE_BYTES_MAX + 1, NULL, &consumed, &need), ANSWER_MORE);
    assert_int_equal(parse(line, ANSWER_LINE_BYTES_MAX + 2, NULL, &consumed, &need), ANSWER_DONE);
    assert_int_equal(consumed, ANSWER_LINE_BYTES_MAX + 2);
    memset(line + ANSWER_LINE_BYTES_MAX, 'x', 3);
    assert_int_equal(parse(line, ANSWER_LINE_BYTES_MAX + 1, NULL, &consumed, &need), ANSWER_MORE);
    assert_int_equal(parse(line, ANSWER_LINE_BYTES_MAX + 2, NULL, &consumed, &need), ANSWER_BAD);
    memcpy(line + ANSWER_LINE_BYTES_MAX + 1, "\r\n", 2);
    assert_int_equal(parse(line, ANSWER_LINE_BYTES_MAX + 3, NULL, &consumed, &need), ANSWER_BAD);
}

static void a_value_may_be_as_long_as_allowed(void **state)
{
    (void)state;
    char bytes[VALUE_BYTES_MAX + 32];
    size_t consumed = 0;
    size_t need = 0;
    int line = snprintf(bytes, sizeof(bytes), "VA %u\r\n", VALUE_BYTES_MAX);
    size_t whole = (size_t)line + VALUE_BYTES_MAX + 2;
    assert_int_equal(parse(bytes, (size_t)line, NULL, &consumed, &need), ANSWER_MORE);
    assert_int_equal(need, whole);
    memset(bytes + line, '\0', VALUE_BYTES_MAX);
    memcpy(bytes + whole - 2, "\r\n", 2);
    assert_int_equal(parse(bytes, whole, NULL, &consumed, &need), ANSWER_DONE);
    assert_int_equal(consumed, whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_is_read),
        cmocka_unit_test(every_kind_has_a_case),
        cmocka_unit_test(cut_at_any_byte_more_is_wanted),
        cmocka_unit_test(what_follows_an_answer_is_left_alone),
        cmocka_unit_test(no_answer_is_refused),
        cmocka_unit_test(a_line_is_bounded),
        cmocka_unit_test(a_value_may_be_as_long_as_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
