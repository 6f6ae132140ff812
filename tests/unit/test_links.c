/* Links: who may have one, and what happens on the way to it. */
#include "tests/unit/cluster.h"

#include "server/core/links.h"

/* A connection to node 0 on which the test itself speaks as another node. */
static struct end *stranger_open(struct cluster *cluster)
{
    return end_open(&cluster->places[0]);
}

static uint64_t own_hash(const struct cluster *cluster)
{
    return peers_hash(&cluster->places[0].view);
}

static void say(struct cluster *cluster, struct end *end, const struct message *message)
{
    struct reply frame = {0};
    message_append(&frame, message);
    struct span bytes = buf_span(&frame.bytes);
    buf_append(&end->in, bytes.data, bytes.len);
    reply_close(&frame);
    cluster_settle(cluster);
}

static struct message hello_from(const struct cluster *cluster, int node)
{
    return (struct message){.kind = MESSAGE_HELLO,
                            .HELLO = {.oldest = 1,
                                      .newest = 1,
                                      .kind = SPAN_LITERAL("data"),
                                      .from = span_of_string(cluster->names[node]),
                                      .to = span_of_string(cluster->names[0]),
                                      .list = own_hash(cluster)}};
}

/* The next message that node 0 has sent on end. */
static enum message_kind hear(struct end *end, char *body, size_t size)
{
    struct frame frame;
    struct message message;
    size_t consumed, need;
    struct span out = buf_span(&end->session.out.bytes);
    assert_int_equal(frame_parse(out.data, out.len, &frame, &consumed, &need), FRAME_DONE);
    assert_int_equal(message_parse(&frame, &message), ERR_OK);
    snprintf(body, size, "%.*s", (int)message.body.len, message.body.data);
    reply_consume(&end->session.out, consumed);
    return message.kind;
}

static void a_member_of_the_same_list_is_welcome(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *end = stranger_open(cluster);
    struct message hello = hello_from(cluster, 1);
    hello.HELLO.newest = 9;
    say(cluster, end, &hello);
    char body[256];
    assert_int_equal(hear(end, body, sizeof(body)), MESSAGE_WELCOME);
    assert_true(end->is_open);
    cluster_close(cluster);
}

struct refusal {
    const char *what;
    void (*spoil)(struct message_HELLO *hello);
    const char *reason;
};

static void spoil_list(struct message_HELLO *hello)
{
    hello->list ^= 1;
}
static void spoil_version(struct message_HELLO *hello)
{
    hello->oldest = hello->newest = 2;
}
static void spoil_to(struct message_HELLO *hello)
{
    hello->to = SPAN_LITERAL("10.0.0.2:11211");
}
static void spoil_from(struct message_HELLO *hello)
{
    hello->from = SPAN_LITERAL("10.9.9.9:11211");
}
static void spoil_self(struct message_HELLO *hello)
{
    hello->from = SPAN_LITERAL("10.0.0.1:11211");
}
static void spoil_kind(struct message_HELLO *hello)
{
    hello->kind = SPAN_LITERAL("gossip");
}

static void every_other_hello_is_refused_with_its_reason(void **state)
{
    (void)state;
    static const struct refusal refusals[] = {
        {"list", spoil_list, "another peers.txt: the lists must name the same nodes"},
        {"version", spoil_version, "no protocol version in common"},
        {"to", spoil_to, "not the node that was meant"},
        {"from", spoil_from, "the sender is no other line of peers.txt"},
        {"itself", spoil_self, "the sender is no other line of peers.txt"},
        {"kind", spoil_kind, "unknown kind of connection"},
    };
    struct cluster *cluster = cluster_open(3);
    struct stats *stats = node_stats(cluster->places[0].node);
    for (size_t i = 0; i < ARRAY_COUNT(refusals); i++) {
        struct end *end = stranger_open(cluster);
        struct message hello = hello_from(cluster, 1);
        refusals[i].spoil(&hello.HELLO);
        /* Said by hand: what is refused is closed once it has been told why. */
        struct reply frame = {0};
        message_append(&frame, &hello);
        struct frame parsed;
        size_t consumed, need;
        struct span bytes = buf_span(&frame.bytes);
        assert_int_equal(frame_parse(bytes.data, bytes.len, &parsed, &consumed, &need), FRAME_DONE);
        node_turn(cluster->places[0].node, cluster->now);
        node_frame(cluster->places[0].node, end->id, &parsed);
        reply_close(&frame);
        char body[256];
        assert_int_equal(hear(end, body, sizeof(body)), MESSAGE_REFUSED);
        assert_string_equal(body, refusals[i].reason);
        assert_true(end->is_closing);
        assert_int_equal(stats->peers_refused, i + 1);
        cluster_settle(cluster);
    }
    cluster_close(cluster);
}

static void a_frame_before_hello_closes_the_connection(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct end *end = stranger_open(cluster);
    struct message message = {.kind = MESSAGE_ANSWER, .ANSWER = {.number = 1}};
    say(cluster, end, &message);
    assert_false(end->is_open);
    cluster_close(cluster);
}

static void messages_out_of_place_close_the_link(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    const struct message messages[] = {
        hello_from(cluster, 1),
        {.kind = MESSAGE_ANSWER, .ANSWER = {.number = 1}},
        {.kind = MESSAGE_PART, .PART = {.number = 1}},
        {.kind = MESSAGE_FORWARD,
         .FORWARD = {.number = 1, .client = SPAN_LITERAL("-"), .total = UINT32_MAX},
         .body = SPAN_LITERAL("get k\r\n")},
        {.kind = MESSAGE_FORWARD,
         .FORWARD = {.number = 1, .client = SPAN_LITERAL("-"), .total = 3},
         .body = SPAN_LITERAL("get k\r\n")},
    };
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct end *end = stranger_open(cluster);
        struct message hello = hello_from(cluster, 1);
        say(cluster, end, &hello);
        assert_true(end->is_open);
        say(cluster, end, &messages[i]);
        assert_false(end->is_open);
    }
    cluster_close(cluster);
}

static void a_newer_connection_of_a_member_closes_the_older(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct message hello = hello_from(cluster, 1);
    struct end *older = stranger_open(cluster);
    say(cluster, older, &hello);
    struct end *newer = stranger_open(cluster);
    say(cluster, newer, &hello);
    assert_false(older->is_open);
    assert_true(newer->is_open);
    cluster_close(cluster);
}

static void a_forward_is_never_forwarded_again(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *end = stranger_open(cluster);
    struct message hello = hello_from(cluster, 1);
    say(cluster, end, &hello);
    char body[256], key[32], text[64];
    assert_int_equal(hear(end, body, sizeof(body)), MESSAGE_WELCOME);
    int from = 0;
    key_led_by(cluster, 2, &from, key);
    snprintf(text, sizeof(text), "get %s\r\n", key);
    struct message forward = {.kind = MESSAGE_FORWARD,
                              .FORWARD = {.number = 5, .client = SPAN_LITERAL("192.0.2.7:99")}};
    digest_of(span_of_string(key), &forward.FORWARD.digest);
    struct reply frames = {0};
    link_append(&frames, &forward, span_of_string(text));
    reply_close(&frames);
    say(cluster, end, &forward);
    assert_int_equal(hear(end, body, sizeof(body)), MESSAGE_ANSWER);
    assert_string_equal(body, "it does not lead this key");
    assert_int_equal(node_forward_count(cluster->places[0].node), 0);
    cluster_close(cluster);
}

static void a_malformed_forward_is_answered_not_executed(void **state)
{
    (void)state;
    static const char *const texts[] = {"get a b\r\n", "get a\r\nget b\r\n", "set a 0 0 5\r\nx\r\n",
                                        "version\r\n", "quit\r\n",           "get\r\n"};
    struct cluster *cluster = cluster_open(2);
    struct end *end = stranger_open(cluster);
    struct message hello = hello_from(cluster, 1);
    say(cluster, end, &hello);
    char body[256];
    assert_int_equal(hear(end, body, sizeof(body)), MESSAGE_WELCOME);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct message forward = {.kind = MESSAGE_FORWARD,
                                  .FORWARD = {.number = i, .client = SPAN_LITERAL("-")}};
        struct reply frames = {0};
        link_append(&frames, &forward, span_of_string(texts[i]));
        reply_close(&frames);
        say(cluster, end, &forward);
        assert_int_equal(hear(end, body, sizeof(body)), MESSAGE_ANSWER);
        assert_true(strcmp(body, "the forward is malformed") == 0 ||
                    strcmp(body, "it is no command on a key") == 0);
    }
    assert_int_equal(node_stats(cluster->places[0].node)->forwards_served, 0);
    cluster_close(cluster);
}

static void a_wrong_checksum_closes_the_link_and_is_counted(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct end *end = stranger_open(cluster);
    struct message hello = hello_from(cluster, 1);
    say(cluster, end, &hello);
    struct reply frame = {0};
    struct message forward = {.kind = MESSAGE_FORWARD, .FORWARD = {.client = SPAN_LITERAL("-")}};
    link_append(&frame, &forward, SPAN_LITERAL("flush_all\r\n"));
    struct span bytes = buf_span(&frame.bytes);
    buf_append(&end->in, bytes.data, bytes.len);
    end->in.data[end->in.end - 4] ^= 1;
    reply_close(&frame);
    cluster_settle(cluster);
    assert_false(end->is_open);
    assert_int_equal(node_stats(cluster->places[0].node)->frames_bad_crc, 1);
    assert_int_equal(node_stats(cluster->places[0].node)->cmd_flush, 0);
    cluster_close(cluster);
}

static void nodes_of_different_lists_refuse_each_other(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    place_stop(&cluster->places[1]);
    place_start(&cluster->places[1], "10.0.0.1:11211\n10.0.0.2:11211\n10.0.0.3:11211\n");
    int from = 0;
    char key[32], text[64];
    key_led_by(cluster, 0, &from, key);
    struct end *client = client_open(cluster, 0);
    for (int led = 0; led < 20; led++) {
        snprintf(text, sizeof(text), "set k%d 0 0 1 noreply\r\nx\r\n", led);
        client_say(cluster, client, text);
    }
    assert_true(node_stats(cluster->places[1].node)->peers_refused > 0);
    assert_int_equal(store_counters(cluster->places[1].store)->items, 0);
    assert_true(node_stats(cluster->places[0].node)->forward_failures > 0);
    cluster_close(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_of_the_same_list_is_welcome),
        cmocka_unit_test(every_other_hello_is_refused_with_its_reason),
        cmocka_unit_test(a_frame_before_hello_closes_the_connection),
        cmocka_unit_test(messages_out_of_place_close_the_link),
        cmocka_unit_test(a_newer_connection_of_a_member_closes_the_older),
        cmocka_unit_test(a_forward_is_never_forwarded_again),
        cmocka_unit_test(a_malformed_forward_is_answered_not_executed),
        cmocka_unit_test(a_wrong_checksum_closes_the_link_and_is_counted),
        cmocka_unit_test(nodes_of_different_lists_refuse_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
