/* What people ask of a node: what it says of itself, and the ways out of a lost quorum. */
#include "common/node_report.h"
#include "tests/unit/cluster.h"

/* What has come to a client since it last looked, which is a REPORT; its JSON is borrowed. */
static struct span report_of(struct end *client)
{
    struct reply *out = &client->session.out;
    reply_own(out);
    struct span text = buf_span(&out->bytes);
    const struct span word = SPAN_LITERAL("REPORT "), end = SPAN_LITERAL("\r\nEND\r\n");
    assert_true(text.len > word.len + end.len);
    assert_memory_equal(text.data, word.data, word.len);
    const char *newline = memchr(text.data, '\n', text.len);
    assert_non_null(newline);
    size_t line_bytes = (size_t)(newline + 1 - text.data);
    unsigned long bytes = strtoul(text.data + word.len, NULL, 10);
    assert_int_equal(bytes, text.len - line_bytes - end.len);
    assert_memory_equal(text.data + text.len - end.len, end.data, end.len);
    return span_of(newline + 1, bytes);
}

static void heard(struct end *client)
{
    reply_consume(&client->session.out, reply_len(&client->session.out));
}

static void status_of(struct cluster *cluster, int node, struct node_status *status)
{
    struct end *client = client_open(cluster, node);
    client_say(cluster, client, "status\r\n");
    assert_int_equal(node_status_parse(report_of(client), status), ERR_OK);
    end_close(&cluster->places[node], client);
}

static void a_node_says_how_it_is_and_what_its_view_is(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    uint32_t led = 0;
    for (int node = 0; node < 3; node++) {
        struct node_status status;
        struct view view;
        status_of(cluster, node, &status);
        assert_string_equal(status.name, cluster->names[node]);
        assert_string_equal(status.awaits, "");
        assert_int_equal(status.copies, 3);
        assert_int_equal(status.member_count, 3);
        assert_int_equal(node_status_view(&status, &view), ERR_OK);
        assert_int_equal(view.epoch, views_epoch(node_views(cluster->places[node].node)));
        assert_true(view_equal(&view, views_current(node_views(cluster->places[node].node))));
        for (uint32_t i = 0; i < 3; i++)
            assert_string_equal(status.members[i].state, "ALIVE");
        led += status.slots_led;
        assert_int_equal(status.slots_led, status.slots_whole + status.slots_under_replicated +
                                               status.slots_unavailable);
        view_close(&view);
        node_status_close(&status);
    }
    assert_int_equal(led, SLOT_COUNT);
    cluster_close(cluster);
}

static void what_is_awaited_is_said(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    for (int node = 0; node < 3; node++)
        place_stop(&cluster->places[node]);
    buf_close(&cluster->places[0].state); /* as if it had never been part of a cluster */
    place_start_listed(&cluster->places[0]);
    cluster_settle(cluster);
    struct node_status status;
    status_of(cluster, 0, &status);
    assert_int_equal(status.epoch, 0);
    assert_int_equal(status.member_count, 0);
    assert_string_equal(status.awaits, "waiting for 2 of 3 peers (1 here)");
    node_status_close(&status);
    cluster_close(cluster);
}

static void copy_tells_of_the_nodes_own_copy(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(1);
    struct end *client = client_open(cluster, 0);
    static const struct {
        const char *before, *answer, *state;
        uint64_t bytes;
    } cases[] = {
        {"get k\r\n", "END\r\n", "absent", 0},
        {"set k 0 0 2\r\nab\r\n", "STORED\r\n", "item", 2},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct node_copy copy;
        client_say(cluster, client, cases[i].before);
        client_hears(client, cases[i].answer);
        client_say(cluster, client, "copy k\r\n");
        assert_int_equal(node_copy_parse(report_of(client), &copy), ERR_OK);
        heard(client);
        assert_string_equal(copy.state, cases[i].state);
        assert_int_equal(copy.bytes, cases[i].bytes);
        assert_string_equal(copy.role, "primary");
        assert_string_equal(copy.phase, "active");
        assert_true(copy.is_clean);
    }
    client_say(cluster, client, "copy\r\ntransfers x\r\n");
    client_hears(client, "ERROR\r\nERROR\r\n");
    cluster_close(cluster);
}

/* Time passes as it does for a running node. */
static void pass(struct cluster *cluster, uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += 20)
        cluster_pass_ms(cluster, 20);
}

static void who_is_alive_is_not_given_up(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *client = client_open(cluster, 0);
    char text[ADDRESS_TEXT_BYTES_MAX + 32];
    static const char *const commands[] = {"forget", "accept_loss"};
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        snprintf(text, sizeof(text), "%s %s\r\n", commands[i], cluster->names[2]);
        client_say(cluster, client, text);
        pass(cluster, 1000);
        struct span answer = buf_span(&client->session.out.bytes);
        if (answer.len < 22 || memcmp(answer.data, "CLIENT_ERROR not done:", 22) != 0)
            fail_msg("%s%.*s", text, (int)answer.len, answer.data);
        heard(client);
    }
    cluster_close(cluster);
}

static void a_dead_member_is_forgotten(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *client = client_open(cluster, 0);
    char text[ADDRESS_TEXT_BYTES_MAX + 32];
    place_stop(&cluster->places[2]);
    cluster->places[2].is_absent = true;
    cluster_await_ring(cluster, 2);
    snprintf(text, sizeof(text), "forget %s\r\nmn\r\n", cluster->names[2]);
    client_say(cluster, client, text);
    pass(cluster, 2000);
    client_hears(client, "OK\r\nMN\r\n"); /* what is asked behind it waits for its answer */
    struct node_status status;
    status_of(cluster, 0, &status);
    for (uint32_t i = 0; i < status.member_count; i++)
        if (strcmp(status.members[i].name, cluster->names[2]) == 0)
            assert_string_not_equal(status.members[i].role, "full");
    node_status_close(&status);
    cluster_close(cluster);
}

static void a_leave_is_told_to_be_under_way(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *client = client_open(cluster, 2);
    client_say(cluster, client, "leave\r\n");
    for (int i = 0; i < 500 && reply_len(&client->session.out) == 0; i++)
        cluster_pass_ms(cluster, 20);
    client_hears(client, "OK\r\n");
    for (int i = 0; i < 1000 && !cluster->places[2].has_ended; i++)
        cluster_pass_ms(cluster, 20);
    assert_int_equal(cluster->places[2].end, NODE_END_LEFT);
    cluster_close(cluster);
}

/* One of three is dead: of the two others none may go. */
static void a_leave_that_would_cost_a_quorum_is_refused(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    place_stop(&cluster->places[2]);
    cluster->places[2].is_absent = true;
    cluster_await_ring(cluster, 2);
    struct end *client = client_open(cluster, 1);
    client_say(cluster, client, "leave\r\n");
    pass(cluster, 1500);
    struct span answer = buf_span(&client->session.out.bytes);
    if (answer.len < 22 || memcmp(answer.data, "CLIENT_ERROR not done:", 22) != 0)
        fail_msg("%.*s", (int)answer.len, answer.data);
    assert_false(cluster->places[1].has_ended);
    cluster_close(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_says_how_it_is_and_what_its_view_is),
        cmocka_unit_test(what_is_awaited_is_said),
        cmocka_unit_test(copy_tells_of_the_nodes_own_copy),
        cmocka_unit_test(who_is_alive_is_not_given_up),
        cmocka_unit_test(a_dead_member_is_forgotten),
        cmocka_unit_test(a_leave_is_told_to_be_under_way),
        cmocka_unit_test(a_leave_that_would_cost_a_quorum_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
