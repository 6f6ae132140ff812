/* What a node says of itself: what is written is read, and nothing else is. */
#include "common/node_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct status_member members[] = {
    {.name = "a:1",
     .generation = UINT64_MAX,
     .boot = 5,
     .weight = 1,
     .role = "full",
     .standing = "up",
     .state = "ALIVE",
     .is_voter = true},
    {.name = "b:1",
     .generation = 2,
     .weight = 100,
     .role = "joiner",
     .standing = "down",
     .is_leaving = true},
};

static struct status_lost lost[] = {
    {.name = "b:1", .generation = 1, .epoch = 6},
    {.name = "b:1", .generation = 2, .epoch = 7},
};

static const struct node_status status_example = {.cluster = "dht",
                                                  .name = "a:1",
                                                  .version = "0.1.0",
                                                  .on_loss = "recover",
                                                  .cluster_id = 0xab,
                                                  .generation = 0xcd,
                                                  .boot = 5,
                                                  .uptime_s = 61,
                                                  .epoch = 7,
                                                  .base = 6,
                                                  .copies = 3,
                                                  .items = 10,
                                                  .tombstones = 2,
                                                  .bytes = 1000,
                                                  .request_ids = 4,
                                                  .memory_used = 2000,
                                                  .memory_max = 3000,
                                                  .slots_led = 16384,
                                                  .slots_whole = 16000,
                                                  .slots_under_replicated = 300,
                                                  .slots_unavailable = 84,
                                                  .slots_full = 1,
                                                  .losses = 9,
                                                  .transfers_in = 1,
                                                  .transfers_out = 2,
                                                  .items_left = 50,
                                                  .bytes_left = 5000,
                                                  .eta_ms = REPORT_UNKNOWN,
                                                  .member_count = 2,
                                                  .members = members,
                                                  .lost_count = 2,
                                                  .lost = lost};

#define STATUS_TEXT                                                                                \
    "{\"cluster\":\"dht\",\"name\":\"a:1\",\"version\":\"0.1.0\",\"awaits\":\"\","                 \
    "\"on_quorum_loss\":\"recover\",\"cluster_id\":\"00000000000000ab\","                          \
    "\"generation\":\"00000000000000cd\",\"boot\":5,\"uptime_s\":61,\"epoch\":7,\"base\":6,"       \
    "\"copies\":3,\"items\":10,\"tombstones\":2,\"bytes\":1000,\"request_ids\":4,"                 \
    "\"memory_used\":2000,\"memory_max\":3000,\"slots_led\":16384,\"slots_whole\":16000,"          \
    "\"slots_under_replicated\":300,\"slots_unavailable\":84,\"slots_full\":1,\"losses\":9,"       \
    "\"transfers_in\":1,\"transfers_out\":2,\"items_left\":50,\"bytes_left\":5000,"                \
    "\"eta_ms\":null,\"members\":[{\"name\":\"a:1\",\"generation\":\"ffffffffffffffff\","          \
    "\"boot\":5,\"weight\":1,\"role\":\"full\",\"standing\":\"up\",\"state\":\"ALIVE\","           \
    "\"leaving\":false,\"voter\":true},{\"name\":\"b:1\",\"generation\":\"0000000000000002\","     \
    "\"boot\":0,\"weight\":100,\"role\":\"joiner\",\"standing\":\"down\",\"state\":\"\","          \
    "\"leaving\":true,\"voter\":false}],"                                                          \
    "\"lost\":[{\"name\":\"b:1\",\"generation\":\"0000000000000001\",\"epoch\":6},"                \
    "{\"name\":\"b:1\",\"generation\":\"0000000000000002\",\"epoch\":7}]}"

static void assert_text(struct buf *text, const char *expected)
{
    assert_int_equal(buf_len(text), strlen(expected));
    assert_memory_equal(buf_span(text).data, expected, strlen(expected));
}

static void a_status_reads_as_documented_and_is_read_back(void **state)
{
    (void)state;
    struct buf text = {0}, again_text = {0};
    node_status_format(&status_example, &text);
    assert_text(&text, STATUS_TEXT);
    struct node_status again;
    assert_int_equal(node_status_parse(buf_span(&text), &again), ERR_OK);
    node_status_format(&again, &again_text);
    assert_text(&again_text, STATUS_TEXT);
    node_status_close(&again);
    buf_close(&text);
    buf_close(&again_text);
}

static void transfers_are_read_back(void **state)
{
    (void)state;
    struct node_transfer peers[] = {
        {.peer = "b:1", .queued = 1, .sending = 2, .synced = 3, .items_sent = 4, .eta_ms = 1500},
        {.peer = "c:1", .receiving = 1, .received = 2, .eta_ms = REPORT_UNKNOWN},
    };
    const struct node_transfers transfers = {.name = "a:1", .epoch = 3, .count = 2, .peers = peers};
    struct buf text = {0}, again_text = {0};
    node_transfers_format(&transfers, &text);
    struct node_transfers again;
    assert_int_equal(node_transfers_parse(buf_span(&text), &again), ERR_OK);
    assert_int_equal(again.count, 2);
    assert_int_equal(again.peers[0].eta_ms, 1500);
    assert_true(again.peers[1].eta_ms == REPORT_UNKNOWN);
    node_transfers_format(&again, &again_text);
    assert_true(span_equal(buf_span(&text), buf_span(&again_text)));
    node_transfers_close(&again);
    buf_close(&text);
    buf_close(&again_text);
}

static void a_copy_is_read_back(void **state)
{
    (void)state;
    const struct node_copy copy = {.name = "a:1",
                                   .generation = 1,
                                   .epoch = 3,
                                   .slot = 16383,
                                   .role = "primary",
                                   .phase = "active",
                                   .state = "item",
                                   .version = 3ull << 40 | 7,
                                   .bytes = 5,
                                   .act = 3,
                                   .ver = 3ull << 40 | 9,
                                   .is_clean = true};
    struct buf text = {0}, again_text = {0};
    node_copy_format(&copy, &text);
    struct node_copy again;
    assert_int_equal(node_copy_parse(buf_span(&text), &again), ERR_OK);
    node_copy_format(&again, &again_text);
    assert_true(span_equal(buf_span(&text), buf_span(&again_text)));
    buf_close(&text);
    buf_close(&again_text);
}

/* Each is the example with one thing changed. */
static void what_is_no_status_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"\"epoch\":7", "\"epoch\":-7"},
        {"\"epoch\":7", "\"epoch\":4294967296"},
        {"\"epoch\":7", "\"epoch\":null"},
        {"\"epoch\":7", "\"epok\":7"},
        {"\"name\":\"a:1\"", "\"name\":7"},
        {"00000000000000cd", "0000000000000cd"},
        {"00000000000000cd", "00000000000000CD"},
        {"\"voter\":true", "\"voter\":1"},
        {"\"boot\":0", "\"boot\":9223372036854775808"},
        {"\"members\":[", "\"members\":[7,"},
        {"\"members\":", "\"members\":7,\"x\":"},
        {"{\"cluster\"", "[{\"cluster\""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf text = {0};
        const char *at = strstr(STATUS_TEXT, cases[i].from);
        assert_non_null(at);
        buf_append(&text, STATUS_TEXT, (size_t)(at - STATUS_TEXT));
        buf_printf(&text, "%s%s", cases[i].to, at + strlen(cases[i].from));
        struct node_status status;
        if (node_status_parse(buf_span(&text), &status) != ERR_SYNTAX)
            fail_msg("%s", cases[i].to);
        assert_null(status.members);
        buf_close(&text);
    }
    struct node_status status;
    struct node_copy copy;
    struct node_transfers transfers;
    assert_int_equal(node_status_parse(span_of(NULL, 0), &status), ERR_SYNTAX);
    assert_int_equal(node_copy_parse(SPAN_LITERAL("{}"), &copy), ERR_SYNTAX);
    assert_int_equal(node_transfers_parse(SPAN_LITERAL("{}"), &transfers), ERR_SYNTAX);
}

static void a_status_tells_its_view(void **state)
{
    (void)state;
    struct view view;
    assert_int_equal(node_status_view(&status_example, &view), ERR_OK);
    assert_int_equal(view.epoch, 7);
    assert_int_equal(view.member_count, 2);
    assert_true(member_is_up(&view.members[0]));
    assert_int_equal(view.members[1].role, ROLE_JOINER);
    assert_int_equal(view.members[1].standing, STANDING_DOWN);
    assert_int_equal(view.members[1].weight, 100);
    view_close(&view);
    struct node_status status = status_example;
    status.epoch = 0;
    assert_int_equal(node_status_view(&status, &view), ERR_NOT_FOUND);
    static const struct status_member bads[] = {
        {.name = "c", .weight = 1, .role = "full", .standing = "up"},
        {.name = "C:1", .weight = 1, .role = "full", .standing = "up"},
        {.name = "c:1", .weight = 0, .role = "full", .standing = "up"},
        {.name = "c:1", .weight = 101, .role = "full", .standing = "up"},
        {.name = "c:1", .weight = 1, .role = "half", .standing = "up"},
        {.name = "c:1", .weight = 1, .role = "full", .standing = "UP"},
        {.name = "a:1", .weight = 1, .role = "full", .standing = "up"}, /* not in order */
    };
    for (size_t i = 0; i < ARRAY_COUNT(bads); i++) {
        struct status_member two[2] = {members[0], bads[i]};
        status = status_example;
        status.members = two;
        if (node_status_view(&status, &view) != ERR_SYNTAX)
            fail_msg("%zu", i);
        assert_null(view.members);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_reads_as_documented_and_is_read_back),
        cmocka_unit_test(transfers_are_read_back),
        cmocka_unit_test(a_copy_is_read_back),
        cmocka_unit_test(what_is_no_status_is_refused),
        cmocka_unit_test(a_status_tells_its_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
