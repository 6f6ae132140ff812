/* Log lines: their form, their bounds, their rate. */
#include "common/log.h"

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void sink(void *arg, const char *line, size_t len)
{
    buf_append(arg, line, len);
}

static struct log log_into(struct buf *lines)
{
    return (struct log){.level = LOG_INFO, .node = "n1:5", .sink = sink, .arg = lines};
}

/* Compares what was logged since the last call. */
static void assert_logged(struct buf *lines, const char *want)
{
    buf_append(lines, "", 1);
    assert_string_equal(buf_span(lines).data, want);
    buf_close(lines);
}

static void a_line_has_time_level_node_event_and_pairs(void **state)
{
    (void)state;
    struct buf lines = {0};
    struct log log = log_into(&lines);
    struct moment now = {.mono_ms = 5, .unix_ms = 1700000000123};
    log_line(&log, now, LOG_INFO, "peer-up", "peer=%s count=%d", "a:1", 3);
    assert_logged(&lines, "2023-11-14T22:13:20.123Z info n1:5 peer-up peer=a:1 count=3\n");
    log_line(&log, now, LOG_WARN, "stop", "%s", "");
    assert_logged(&lines, "2023-11-14T22:13:20.123Z warn n1:5 stop \n");
    log.node[0] = '\0';
    now.unix_ms = -1;
    log_line(&log, now, LOG_ERROR, "x", "a=1");
    assert_logged(&lines, "1969-12-31T23:59:59.999Z error - x a=1\n");
    now.unix_ms = 0;
    log_line(&log, now, LOG_ERROR, "x", "a=1");
    assert_logged(&lines, "1970-01-01T00:00:00.000Z error - x a=1\n");
}

static void lines_above_the_level_are_dropped_and_not_counted(void **state)
{
    (void)state;
    struct buf lines = {0};
    struct log log = log_into(&lines);
    for (unsigned i = 0; i < 2 * LOG_LINES_PER_SECOND_MAX; i++)
        log_line(&log, (struct moment){0, 0}, LOG_DEBUG, "x", "a=1");
    assert_int_equal(buf_len(&lines), 0);
    log.level = LOG_DEBUG;
    log_line(&log, (struct moment){0, 0}, LOG_DEBUG, "x", "a=1");
    assert_logged(&lines, "1970-01-01T00:00:00.000Z debug n1:5 x a=1\n");
    log.level = LOG_ERROR;
    log_line(&log, (struct moment){0, 0}, LOG_WARN, "x", "a=1");
    assert_int_equal(buf_len(&lines), 0);
}

static size_t count_lines(struct buf *lines)
{
    size_t count = 0;
    for (size_t i = 0; i < buf_len(lines); i++)
        count += buf_span(lines).data[i] == '\n';
    buf_close(lines);
    return count;
}

static void a_second_holds_a_bounded_number_of_lines(void **state)
{
    (void)state;
    struct buf lines = {0};
    struct log log = log_into(&lines);
    for (unsigned i = 0; i < LOG_LINES_PER_SECOND_MAX + 7; i++)
        log_line(&log, (struct moment){.mono_ms = 5000 + i, .unix_ms = 0}, LOG_ERROR, "x", "a=1");
    assert_int_equal(count_lines(&lines), LOG_LINES_PER_SECOND_MAX);
    log_line(&log, (struct moment){.mono_ms = 6000, .unix_ms = 0}, LOG_ERROR, "x", "a=1");
    assert_logged(&lines, "1970-01-01T00:00:00.000Z error n1:5 x dropped_lines=7 a=1\n");
    log_line(&log, (struct moment){.mono_ms = 6001, .unix_ms = 0}, LOG_ERROR, "x", "a=1");
    assert_logged(&lines, "1970-01-01T00:00:00.000Z error n1:5 x a=1\n");
    for (unsigned i = 0; i < LOG_LINES_PER_SECOND_MAX; i++)
        log_line(&log, (struct moment){.mono_ms = 6002, .unix_ms = 0}, LOG_ERROR, "x", "a=1");
    assert_int_equal(count_lines(&lines), LOG_LINES_PER_SECOND_MAX - 2);
}

static void a_flood_of_one_event_hides_no_other(void **state)
{
    (void)state;
    struct buf lines = {0};
    struct log log = log_into(&lines);
    const struct moment now = {.mono_ms = 5000, .unix_ms = 0};
    for (unsigned i = 0; i < 2 * LOG_LINES_PER_SECOND_MAX; i++)
        log_line(&log, now, LOG_INFO, "link-up", "a=1");
    assert_int_equal(count_lines(&lines), LOG_LINES_PER_SECOND_MAX);
    log_line(&log, now, LOG_INFO, "member-joined", "a=1");
    assert_logged(&lines,
                  "1970-01-01T00:00:00.000Z info n1:5 member-joined dropped_lines=100 a=1\n");
    log_line(&log, now, LOG_INFO, "member-joined", "a=1");
    assert_logged(&lines, "1970-01-01T00:00:00.000Z info n1:5 member-joined a=1\n");
    log_line(&log, now, LOG_INFO, "link-up", "a=1");
    log_line(&log, now, LOG_INFO, "member-alive", "a=1");
    assert_logged(&lines, "1970-01-01T00:00:00.000Z info n1:5 member-alive dropped_lines=1 a=1\n");
}

static void no_text_can_forge_a_second_line(void **state)
{
    (void)state;
    struct buf lines = {0};
    struct log log = log_into(&lines);
    log_line(&log, (struct moment){0, 0}, LOG_INFO, "x", "a=%s", "1\r\n2\x1b[0m");
    assert_logged(&lines, "1970-01-01T00:00:00.000Z info n1:5 x a=1??2?[0m\n");
}

/* Every length around the bound: at most 1,024 bytes, one newline, an ellipsis only where cut. */
static void long_lines_are_cut(void **state)
{
    (void)state;
    struct buf lines = {0};
    struct log log = log_into(&lines);
    static const char prefix[] = "1970-01-01T00:00:00.000Z info n1:5 x ";
    bool was_cut = false;
    for (int width = 950; width < 1100; width++) {
        log_line(&log, (struct moment){.mono_ms = (uint64_t)width * 1000, .unix_ms = 0}, LOG_INFO,
                 "x", "%*d", width, 7);
        struct span line = buf_span(&lines);
        assert_true(line.len <= 1024);
        assert_int_equal(line.data[line.len - 1], '\n');
        if (memcmp(line.data + line.len - 4, "…", 3) == 0) {
            was_cut = true;
            assert_int_equal(line.len, 1024);
        } else {
            assert_false(was_cut);
            assert_int_equal(line.len, sizeof(prefix) - 1 + (size_t)width + 1);
            assert_int_equal(line.data[line.len - 2], '7');
        }
        buf_close(&lines);
    }
    assert_true(was_cut);
}

static void quoting_leaves_only_plain_characters(void **state)
{
    (void)state;
    char out[64];
    assert_string_equal(log_quote("plain-1.2:3/x", 13, out, sizeof(out)), "plain-1.2:3/x");
    assert_string_equal(log_quote("", 0, out, sizeof(out)), "");
    assert_string_equal(log_quote("a b\n\"'\\\0\xff\x7f", 10, out, 64),
                        "a\\x20b\\x0a\\x22\\x27\\x5c\\x00\\xff\\x7f");
    assert_string_equal(log_words("a b\n\"", 5, out, sizeof(out)), "a b\\x0a\\x22");
}

/* Every text of every length into every size, against what the whole would be. */
static void quoting_cuts_at_its_size(void **state)
{
    (void)state;
    char text[12], whole[64], out[64];
    for (unsigned mask = 0; mask < 1u << 10; mask++) {
        for (unsigned i = 0; i < 10; i++)
            text[i] = mask >> i & 1 ? ' ' : 'a';
        size_t whole_len = strlen(log_quote(text, 10, whole, sizeof(whole)));
        for (size_t size = 4; size < 50; size++) {
            memset(out, '#', sizeof(out));
            assert_ptr_equal(log_quote(text, 10, out, size), out);
            assert_int_equal(out[size], '#');
            if (whole_len < size) {
                assert_string_equal(out, whole);
                continue;
            }
            size_t len = strlen(out);
            assert_true(len < size);
            assert_string_equal(out + len - 3, "…");
            assert_memory_equal(out, whole, len - 3);
            assert_true(size - len <= 4); /* an escape is never cut, and no more is given up */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_node_event_and_pairs),
        cmocka_unit_test(lines_above_the_level_are_dropped_and_not_counted),
        cmocka_unit_test(a_flood_of_one_event_hides_no_other),
        cmocka_unit_test(a_second_holds_a_bounded_number_of_lines),
        cmocka_unit_test(no_text_can_forge_a_second_line),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(quoting_leaves_only_plain_characters),
        cmocka_unit_test(quoting_cuts_at_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
