/* What clients are told of the ring. */
#include "server/core/admin.h"

#include "common/peers.h"
#include "common/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct view view_of_list(const char *list)
{
    struct view view;
    struct peers_error error;
    assert_int_equal(peers_parse(span_of_string(list), &view, &error), ERR_OK);
    return view;
}

/* What has been written is this, and nothing else. */
static void check_reply(struct reply *out, const char *text)
{
    struct span bytes = buf_span(&out->bytes);
    if (!span_equal(bytes, span_of_string(text)))
        fail_msg("expected «%s», got «%.*s»", text, (int)bytes.len, bytes.data);
    reply_close(out);
}

static void config_lists_the_ring_for_auto_discovery(void **state)
{
    (void)state;
    struct view view = view_of_list("10.0.0.2:1\n[::1]:2\ncache.example:3\n");
    struct admin_ring ring = {.members = &view, .changes = 12};
    struct reply out = {0};
    admin_config(&out, &ring, SPAN_LITERAL("get cluster"));
    check_reply(&out, "CONFIG cluster 0 63\r\n"
                      "12\n"
                      "10.0.0.2|10.0.0.2|1 ::1|::1|2 cache.example|cache.example|3\n"
                      "\r\nEND\r\n");
    view.members[0].standing = STANDING_DOWN; /* who leads nothing is not listed */
    admin_config(&out, &ring, SPAN_LITERAL("get cluster"));
    struct span text = buf_span(&out.bytes);
    assert_null(memmem(text.data, text.len, view.members[0].name, 5));
    reply_close(&out);
    view.members[0].standing = STANDING_UP;
    admin_config(&out, &ring, SPAN_LITERAL("get  cluster"));
    assert_true(reply_len(&out) > 5);
    reply_close(&out);
    view_close(&view);
}

static void config_of_a_node_without_a_ring_lists_nobody(void **state)
{
    (void)state;
    struct admin_ring ring = {.members = NULL};
    struct reply out = {0};
    admin_config(&out, &ring, SPAN_LITERAL("get cluster"));
    check_reply(&out, "CONFIG cluster 0 3\r\n0\n\n\r\nEND\r\n");
    admin_ring(&out, &ring);
    check_reply(&out, "RING 0000000000000000 0\r\n");
}

static void config_knows_one_item_and_one_verb(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        const char *answer;
    } cases[] = {
        {"get other", "END\r\n"},       {"get", "ERROR\r\n"},         {"", "ERROR\r\n"},
        {"get cluster x", "ERROR\r\n"}, {"set cluster", "ERROR\r\n"}, {"GET cluster", "ERROR\r\n"},
    };
    struct view view = view_of_list("a:1\n");
    struct admin_ring ring = {.members = &view, .changes = 1};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct reply out = {0};
        admin_config(&out, &ring, span_of_string(cases[i].words));
        check_reply(&out, cases[i].answer);
    }
    view_close(&view);
}

static void a_ring_is_told_by_its_hash(void **state)
{
    (void)state;
    struct view view = view_of_list("a:1\nb:2\n");
    struct admin_ring ring = {.members = &view, .hash = 0xabc, .changes = 1};
    struct reply out = {0};
    admin_ring(&out, &ring);
    check_reply(&out, "RING 0000000000000abc 2\r\n");
    admin_ring_notice(&out, UINT64_MAX);
    check_reply(&out, "RING ffffffffffffffff\r\n");
    view_close(&view);
}

static void the_list_is_announced_with_its_length(void **state)
{
    (void)state;
    struct reply out = {0};
    admin_membership(&out, 7, SPAN_LITERAL("{\"a\": 1}"));
    check_reply(&out, "MEMBERSHIP 7 8\r\n{\"a\": 1}\r\nEND\r\n");
}

static void a_return_port_is_the_clients_own_and_no_nodes(void **state)
{
    (void)state;
    static const struct {
        const char *client;
        uint64_t port;
        bool is_on;
        const char *refusal;
    } cases[] = {
        {"192.0.2.1:40000", 5000, true, ""},
        {"192.0.2.1:40000", 1024, true, ""},
        {"192.0.2.1:40000", 1023, true, "CLIENT_ERROR return port refused: below 1024\r\n"},
        {"10.0.0.2:40000", 11211, true, "CLIENT_ERROR return port refused: a node has it\r\n"},
        {"10.0.0.2:40000", 11212, true, ""},
        {"[::1]:40000", 11211, true, "CLIENT_ERROR return port refused: a node has it\r\n"},
        /* That of a node called by a host name, which may be at that address. */
        {"192.0.2.1:40000", 7777, true, "CLIENT_ERROR return port refused: a node has it\r\n"},
        {"-", 5000, true, "CLIENT_ERROR return port refused: no address to return to\r\n"},
        {"192.0.2.1:40000", 5000, false, "SERVER_ERROR direct answers are off\r\n"},
    };
    struct view view = view_of_list("10.0.0.2:11211\n[::1]:11211\nnode7:7777\n");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct span refusal =
            admin_return_refusal(&view, cases[i].client, cases[i].port, cases[i].is_on);
        if (!span_equal(refusal, span_of_string(cases[i].refusal)))
            fail_msg("%s %u", cases[i].client, (unsigned)cases[i].port);
    }
    view_close(&view);
}

static void shutdown_is_refused_as_memcached_does(void **state)
{
    (void)state;
    static const struct {
        bool can_shutdown;
        const char *words;
        const char *refusal;
    } cases[] = {
        {false, "", "ERROR: shutdown not enabled\r\n"},
        {false, "graceful", "ERROR: shutdown not enabled\r\n"},
        {true, "", ""},
        {true, "graceful", ""},
        {true, "now", "CLIENT_ERROR invalid shutdown mode\r\n"},
        {true, "graceful x", "CLIENT_ERROR invalid shutdown mode\r\n"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct span words = span_of_string(cases[i].words);
        struct span refusal = admin_shutdown_refusal(cases[i].can_shutdown, words);
        assert_true(span_equal(refusal, span_of_string(cases[i].refusal)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_lists_the_ring_for_auto_discovery),
        cmocka_unit_test(config_of_a_node_without_a_ring_lists_nobody),
        cmocka_unit_test(config_knows_one_item_and_one_verb),
        cmocka_unit_test(a_ring_is_told_by_its_hash),
        cmocka_unit_test(the_list_is_announced_with_its_length),
        cmocka_unit_test(a_return_port_is_the_clients_own_and_no_nodes),
        cmocka_unit_test(shutdown_is_refused_as_memcached_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
