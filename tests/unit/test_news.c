/* Lines of news: every line says what was meant, and nothing malformed is taken for one. */
#include "server/core/news.h"

#include "common/address.h"
#include "common/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct news suspect = {
    .state = MEMBER_SUSPECT,
    .name = {"10.0.0.1:11211", 14},
    .boot = 1764150000000,
    .generation = 0xfeed,
    .inc = 3,
    .hb = 77,
    .age_ms = 250,
    .weight = 2,
    .hops = 1,
    .evidence = EVIDENCE_SILENT,
    .since_ms = 40,
    .by = {"[::1]:11212", 11},
};

static void assert_line(const struct news *news, const char *line)
{
    struct buf out = {0};
    news_append(&out, news);
    struct span text = buf_span(&out);
    if (!span_equal(text, span_of_string(line)))
        fail_msg("expected «%s», got «%.*s»", line, (int)text.len, text.data);
    struct news again;
    assert_int_equal(news_parse(&text, &again), NEWS_DONE);
    assert_int_equal(text.len, 0);
    struct buf second = {0};
    news_append(&second, &again);
    assert_true(span_equal(buf_span(&second), span_of_string(line)));
    buf_close(&second);
    buf_close(&out);
}

static void every_line_reads_as_documented(void **state)
{
    (void)state;
    struct news news = suspect;
    assert_line(&news, "SUSPECT 10.0.0.1:11211 1764150000000 000000000000feed 3 77 250 2 1 "
                       "silent 40 [::1]:11212\n");
    news.state = MEMBER_DEAD;
    news.by = SPAN_LITERAL("-");
    news.evidence = EVIDENCE_REFUSED;
    assert_line(&news, "DEAD 10.0.0.1:11211 1764150000000 000000000000feed 3 77 250 2 1 "
                       "refused 40 -\n");
    static const enum member_state plain[] = {MEMBER_ALIVE, MEMBER_LEFT, MEMBER_REMOVED};
    for (size_t i = 0; i < ARRAY_COUNT(plain); i++) {
        char line[128];
        news.state = plain[i];
        snprintf(line, sizeof(line),
                 "%s 10.0.0.1:11211 1764150000000 000000000000feed 3 77 250 2 1\n",
                 member_state_word(plain[i]));
        assert_line(&news, line);
    }
    const struct news heartbeat = {
        .is_heartbeat = true, .name = SPAN_LITERAL("a:1"), .tag = 0xbeef, .hb = 12, .age_ms = 340};
    assert_line(&heartbeat, "HB a:1 beef 12 340\n");
}

static void the_longest_line_fits(void **state)
{
    (void)state;
    char name[ADDRESS_TEXT_BYTES_MAX];
    memset(name, 'a', HOST_BYTES_MAX);
    snprintf(name + HOST_BYTES_MAX, sizeof(name) - HOST_BYTES_MAX, ":65535");
    struct news news = suspect;
    news.state = MEMBER_SUSPECT;
    news.name = news.by = span_of_string(name);
    news.evidence = EVIDENCE_STALLED;
    news.boot = news.hb = news.age_ms = news.since_ms = INT64_MAX;
    news.inc = UINT32_MAX;
    news.weight = VIEW_WEIGHT_MAX;
    news.hops = NEWS_HOPS_MAX;
    struct buf out = {0};
    news_append(&out, &news);
    assert_true(buf_len(&out) <= NEWS_LINE_BYTES_MAX);
    struct span text = buf_span(&out);
    assert_int_equal(news_parse(&text, &news), NEWS_DONE);
    buf_close(&out);
}

static void malformed_lines_are_refused(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "ALIVE a:1 1 0000000000000000 0 0 0 1 0", /* no end */
        "\n",
        "ALIVE\n",
        "ALIVE a:1 1 0000000000000000 0 0 0 1\n",    /* a field less */
        "ALIVE a:1 1 0000000000000000 0 0 0 1 0 \n", /* a space more */
        "ALIVE  a:1 1 0000000000000000 0 0 0 1 0\n",
        "ALIVE a:1 1 0000000000000000 0 0 0 1 0 9\n",
        "ALIVE a:1 0 0000000000000000 0 0 0 1 0\n", /* boot */
        "ALIVE a:1 9223372036854775808 0000000000000000 0 0 0 1 0\n",
        "ALIVE a:1 01 0000000000000000 0 0 0 1 0\n",
        "ALIVE a:1 -1 0000000000000000 0 0 0 1 0\n",
        "ALIVE a:1 1 000000000000000 0 0 0 1 0\n", /* generation */
        "ALIVE a:1 1 000000000000000G 0 0 0 1 0\n",
        "ALIVE a:1 1 0000000000000000 4294967296 0 0 1 0\n",
        "ALIVE a:1 1 0000000000000000 0 0 0 0 0\n", /* weight */
        "ALIVE a:1 1 0000000000000000 0 0 0 101 0\n",
        "ALIVE a:1 1 0000000000000000 0 0 0 1 65\n", /* hops */
        "ALIVE A:1 1 0000000000000000 0 0 0 1 0\n",  /* not the normal form */
        "ALIVE a:01 1 0000000000000000 0 0 0 1 0\n",
        "ALIVE a 1 0000000000000000 0 0 0 1 0\n",
        "ALIVE a:1 1 0000000000000000 0 0 0 1 0\r\n",
        "SUSPECT a:1 1 0000000000000000 0 0 0 1 0\n",
        "SUSPECT a:1 1 0000000000000000 0 0 0 1 0 loud 1 b:1\n",
        "SUSPECT a:1 1 0000000000000000 0 0 0 1 0 silent 1\n",
        "SUSPECT a:1 1 0000000000000000 0 0 0 1 0 silent 1 B:1\n",
        "SUSPECT a:1 1 0000000000000000 0 0 0 1 0 silent 1 - -\n",
        "HB a:1 beef 1\n",
        "HB a:1 bee 1 1\n",
        "HB a:1 beef 1 1 1\n",
        "HB  beef 1 1\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        struct span body = span_of_string(lines[i]);
        struct news news;
        if (news_parse(&body, &news) != NEWS_BAD)
            fail_msg("taken: «%s»", lines[i]);
    }
}

static void a_line_over_the_bound_is_refused(void **state)
{
    (void)state;
    char line[NEWS_LINE_BYTES_MAX + 2];
    memset(line, 'X', sizeof(line));
    struct news news;
    line[NEWS_LINE_BYTES_MAX] = '\n';
    struct span body = span_of(line, NEWS_LINE_BYTES_MAX + 1);
    assert_int_equal(news_parse(&body, &news), NEWS_BAD);
    line[NEWS_LINE_BYTES_MAX - 1] = '\n';
    body = span_of(line, NEWS_LINE_BYTES_MAX);
    assert_int_equal(news_parse(&body, &news), NEWS_SKIP);
}

static void unknown_words_are_passed_over(void **state)
{
    (void)state;
    struct span body = SPAN_LITERAL("SERVICE a:1 web 80\nUNVERIFIED\nHB a:1 0000 1 2\n");
    struct news news;
    assert_int_equal(news_parse(&body, &news), NEWS_SKIP);
    /* What only an observer has is no word on the wire. */
    assert_int_equal(news_parse(&body, &news), NEWS_SKIP);
    assert_int_equal(news_parse(&body, &news), NEWS_DONE);
    assert_true(news.is_heartbeat);
    assert_int_equal(news_parse(&body, &news), NEWS_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_reads_as_documented),
        cmocka_unit_test(the_longest_line_fits),
        cmocka_unit_test(malformed_lines_are_refused),
        cmocka_unit_test(a_line_over_the_bound_is_refused),
        cmocka_unit_test(unknown_words_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
