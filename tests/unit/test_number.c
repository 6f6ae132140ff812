/* Numbers: read as memcached reads them (compared with strtol's family), written as printf does. */
#include "common/number.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static bool space_or_end(const char *end)
{
    return *end == '\0' || *end == ' ' || (*end >= '\t' && *end <= '\r');
}

/* The slow and obvious: C's own functions, with memcached's checks around them. */
static bool slow_u64(const char *text, uint64_t *value)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno == ERANGE || end == text || !space_or_end(end))
        return false;
    if ((long long)number < 0 && memchr(text, '-', (size_t)(end - text)))
        return false;
    *value = number;
    return true;
}

static bool slow_i64(const char *text, int64_t *value)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno == ERANGE || end == text || !space_or_end(end))
        return false;
    *value = number;
    return true;
}

static void compare(const char *text)
{
    uint64_t u = 7, slow_u = 7;
    int64_t i = 7, slow_i = 7;
    struct span span = span_of_string(text);
    if (number_parse_u64(span, &u) != slow_u64(text, &slow_u) || u != slow_u)
        fail_msg("u64 of \"%s\": %" PRIu64 ", not %" PRIu64, text, u, slow_u);
    if (number_parse_i64(span, &i) != slow_i64(text, &slow_i) || i != slow_i)
        fail_msg("i64 of \"%s\": %" PRId64 ", not %" PRId64, text, i, slow_i);
}

static void reads_what_strtol_reads(void **state)
{
    (void)state;
    /* clang-format off */
    static const char *const texts[] = {
        "", " ", "-", "+", "0", "00", "-0", "+0", "1", "+1", "-1", "--1", "+-1", "- 1", "1-", "1x",
        "x1", "0x10", "1 x", "1\t", "\t1", " \v\f\r\n1", "1\r", "1.0", "1e3", "4294967295",
        "4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775807",
        "-9223372036854775808", "-9223372036854775809", "-9223372036854775808 ",
        "18446744073709551615", "18446744073709551616", "18446744073709551619",
        "18446744073709551620", "28446744073709551615", "99999999999999999999",
        "9999999999999999999", "-18446744073709551615", "-18446744073709551616",
        "000000000000000000000000001", "-00000000000000000000000001", "100000000000000000000",
        "999999999999999999999999999999999999", "123456789012345678901234567890 5"};
    /* clang-format on */
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        compare(texts[i]);
}

/* Every word of up to five letters of an alphabet that holds each kind of character. */
static void reads_every_short_word_as_strtol(void **state)
{
    (void)state;
    static const char letters[] = "09+- \tx";
    const size_t base = sizeof(letters) - 1;
    char word[6];
    for (size_t len = 0; len <= 5; len++) {
        size_t count = 1;
        for (size_t i = 0; i < len; i++)
            count *= base;
        for (size_t n = 0; n < count; n++) {
            size_t rest = n;
            for (size_t i = 0; i < len; i++, rest /= base)
                word[i] = letters[rest % base];
            word[len] = '\0';
            compare(word);
        }
    }
}

static void short_readers_keep_the_low_half(void **state)
{
    (void)state;
    uint32_t u;
    int32_t i;
    assert_true(number_parse_u32(SPAN_LITERAL("4294967297"), &u));
    assert_int_equal(u, 1);
    assert_true(number_parse_i32(SPAN_LITERAL("4294967297"), &i));
    assert_int_equal(i, 1);
    assert_true(number_parse_i32(SPAN_LITERAL("-2147483649"), &i));
    assert_int_equal(i, INT32_MAX);
    assert_false(number_parse_u32(SPAN_LITERAL("18446744073709551616"), &u));
    assert_false(number_parse_u32(SPAN_LITERAL("-1"), &u));
    assert_false(number_parse_i32(SPAN_LITERAL("9223372036854775808"), &i));
}

static void strict_decimal_takes_nothing_but_digits(void **state)
{
    (void)state;
    uint64_t value = 7;
    static const char *const bad[] = {"",
                                      "+1",
                                      "-1",
                                      " 1",
                                      "1 ",
                                      "1x",
                                      "01",
                                      "00",
                                      "1/",
                                      "1:",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "100000000000000000000"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(number_parse_decimal(span_of_string(bad[i]), UINT64_MAX, &value));
    assert_false(number_parse_decimal(SPAN_LITERAL("65536"), 65535, &value));
    assert_true(value == 7);
    assert_true(number_parse_decimal(SPAN_LITERAL("18446744073709551615"), UINT64_MAX, &value));
    assert_true(value == UINT64_MAX);
    assert_true(number_parse_decimal(SPAN_LITERAL("65535"), 65535, &value));
    assert_true(value == 65535);
    assert_true(number_parse_decimal(SPAN_LITERAL("0"), 0, &value));
    assert_true(value == 0);
}

static void hex_has_its_count_of_digits(void **state)
{
    (void)state;
    uint64_t value = 7;
    static const char *const bad[] = {"", "123", "12345", "12g4", "12F4", "+123", " 123", "0x12"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_false(number_parse_hex(span_of_string(bad[i]), 4, &value) ||
                     number_is_hex(span_of_string(bad[i]), 4));
    assert_true(value == 7);
    assert_true(number_parse_hex(SPAN_LITERAL("09af"), 4, &value));
    assert_true(value == 0x09af);
    assert_true(number_is_hex(SPAN_LITERAL("0123456789abcdef0123456789abcdef"), 32));
    assert_false(number_is_hex(SPAN_LITERAL("0123456789abcdef0123456789abcdeg"), 32));
    assert_true(number_parse_hex(SPAN_LITERAL("ffffffffffffffff"), 16, &value));
    assert_true(value == UINT64_MAX);
    char text[16];
    assert_ptr_equal(number_format_hex(text, 0x1234567809abcdef, 16), text + 16);
    assert_memory_equal(text, "1234567809abcdef", 16);
    assert_ptr_equal(number_format_hex(text, 0x1f, 4), text + 4);
    assert_memory_equal(text, "001f", 4);
}

static void check_format(uint64_t value)
{
    char ours[DECIMAL_BYTES_MAX], theirs[32];
    size_t len = (size_t)(number_format_decimal(ours, value) - ours);
    int want = snprintf(theirs, sizeof(theirs), "%" PRIu64, value);
    assert_int_equal(len, want);
    assert_int_equal(number_digits(value), want);
    assert_memory_equal(ours, theirs, len);
}

static void writes_what_printf_writes(void **state)
{
    (void)state;
    for (uint64_t value = 0; value < 100000; value++)
        check_format(value);
    uint64_t power = 1;
    for (int i = 0; i < 20; i++, power *= 10) {
        check_format(power - 1);
        check_format(power);
        check_format(power * 9 + 7);
    }
    for (int bit = 0; bit < 64; bit++) {
        check_format((1ull << bit) - 1);
        check_format(1ull << bit);
        check_format(-(1ull << bit));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_strtol_reads),
        cmocka_unit_test(reads_every_short_word_as_strtol),
        cmocka_unit_test(short_readers_keep_the_low_half),
        cmocka_unit_test(strict_decimal_takes_nothing_but_digits),
        cmocka_unit_test(hex_has_its_count_of_digits),
        cmocka_unit_test(writes_what_printf_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
