/* The member list as JSON: what is written is read, and nothing else is. */
#include "common/member_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct member_list_entry entries[] = {
    {.name = "a:1",
     .state = "ALIVE",
     .generation = UINT64_MAX,
     .boot = INT64_MAX,
     .inc = 3,
     .hb = 9,
     .weight = 1,
     .role = "full",
     .standing = "up",
     .is_on_ring = true},
    {.name = "b:1",
     .state = "SUSPECT",
     .evidence = "silent",
     .generation = 1,
     .boot = 2,
     .age_ms = 700,
     .weight = 100,
     .reporters = 2,
     .is_damped = true},
};

static struct member places[] = {
    {.name = "a:1", .weight = 1},
    {.name = "c:1", .weight = 2, .standing = STANDING_DOWN},
};

static const struct member_list example = {
    .cluster = "dht",
    .name = "a:1",
    .version = 5,
    .viewhash = 0xfe,
    .ring_hash = 0xdc,
    .ring_changes = 4,
    .ring = {.epoch = 7, .member_count = 2, .members = places},
    .is_isolated = true,
    .count = 2,
    .entries = entries};

#define MEMBERS_TEXT                                                                               \
    "[{\"name\":\"a:1\",\"state\":\"ALIVE\",\"generation\":\"ffffffffffffffff\","                  \
    "\"boot\":9223372036854775807,\"inc\":3,\"hb\":9,\"age_ms\":0,\"weight\":1,"                   \
    "\"role\":\"full\",\"standing\":\"up\",\"on_ring\":true,\"damped\":false},{\"name\":\"b:1\","  \
    "\"state\":\"SUSPECT\","                                                                       \
    "\"class\":\"silent\",\"reporters\":2,\"generation\":\"0000000000000001\",\"boot\":2,"         \
    "\"inc\":0,\"hb\":0,\"age_ms\":700,\"weight\":100,\"on_ring\":false,\"damped\":true}]"

static void a_list_reads_as_documented_and_is_read_back(void **state)
{
    (void)state;
    struct buf text = {0}, again_text = {0};
    member_list_format(&example, &text);
    const char *expected =
        "{\"cluster\":\"dht\",\"name\":\"a:1\",\"version\":5,\"viewhash\":\"00000000000000fe\","
        "\"isolated\":true,\"ring\":{\"hash\":\"00000000000000dc\",\"changes\":4,\"epoch\":7,"
        "\"members\":[{\"name\":\"a:1\",\"weight\":1,\"up\":true},"
        "{\"name\":\"c:1\",\"weight\":2,\"up\":false}]},"
        "\"members\":" MEMBERS_TEXT "}";
    assert_int_equal(buf_len(&text), strlen(expected));
    assert_memory_equal(buf_span(&text).data, expected, strlen(expected));
    struct member_list again;
    assert_int_equal(member_list_parse(buf_span(&text), &again), ERR_OK);
    assert_int_equal(again.count, 2);
    assert_memory_equal(again.entries, entries, sizeof(entries));
    assert_int_equal(again.ring.epoch, 7);
    assert_int_equal(again.ring.member_count, 2);
    assert_memory_equal(again.ring.members, places, sizeof(places));
    member_list_format(&again, &again_text);
    assert_true(span_equal(buf_span(&text), buf_span(&again_text)));
    member_list_close(&again);
    buf_close(&text);
    buf_close(&again_text);
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"cluster\":1}",
        "{\"cluster\":\"dht\",\"name\":\"a:1\",\"version\":5,\"viewhash\":\"fe\","
        "\"isolated\":true,\"ring\":{\"hash\":\"00000000000000dc\",\"changes\":4,\"epoch\":7,"
        "\"members\":[]},\"members\":[]}",
        "{\"cluster\":\"dht\",\"name\":\"a:1\",\"version\":-5,\"viewhash\":\"00000000000000fe\","
        "\"isolated\":true,\"ring\":{\"hash\":\"00000000000000dc\",\"changes\":4,\"epoch\":7,"
        "\"members\":[]},\"members\":[]}",
        "{\"cluster\":\"dht\",\"name\":\"a:1\",\"version\":5,\"viewhash\":\"00000000000000fe\","
        "\"isolated\":true,\"ring\":{\"hash\":\"00000000000000dc\",\"changes\":4,\"epoch\":7,"
        "\"members\":[]},"
        "\"members\":[{\"name\":\"a:1\"}]}",
        "{\"cluster\":\"dht\",\"name\":\"a:1\",\"version\":5,\"viewhash\":\"00000000000000fe\","
        "\"isolated\":true,\"ring\":4,\"members\":[]}",
        "{\"cluster\":\"dht\",\"name\":\"a:1\",\"version\":5,\"viewhash\":\"00000000000000fe\","
        "\"isolated\":true,\"ring\":{\"hash\":\"00000000000000dc\",\"changes\":4,\"epoch\":7},"
        "\"members\":[]}",
        "{\"cluster\":\"dht\",\"name\":\"a:1\",\"version\":5,\"viewhash\":\"00000000000000fe\","
        "\"isolated\":true,\"ring\":{\"hash\":\"00000000000000dc\",\"changes\":4,\"epoch\":7,"
        "\"members\":[{\"name\":\"a:1\",\"weight\":1}]},\"members\":[]}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct member_list list;
        assert_int_equal(member_list_parse(span_of_string(texts[i]), &list), ERR_SYNTAX);
        assert_null(list.entries);
        assert_null(list.ring.members);
    }
}

static void an_empty_list_is_one(void **state)
{
    (void)state;
    struct member_list list = {.cluster = "dht", .name = "a:1"}, again;
    struct buf text = {0};
    member_list_format(&list, &text);
    assert_int_equal(member_list_parse(buf_span(&text), &again), ERR_OK);
    assert_int_equal(again.count, 0);
    member_list_close(&again);
    buf_close(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_reads_as_documented_and_is_read_back),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(an_empty_list_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
