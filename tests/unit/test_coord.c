/* Coord: a forward is answered exactly once, and never with more certainty than there is. */
#include "tests/unit/cluster.h"

#include "server/core/coord.h"

/* Node 0 with a client, node 1 mute or not, and a key that node 1 leads. */
struct scene {
    struct cluster *cluster;
    struct end *client;
    char key[32];
};

static struct scene scene_open(bool has_link)
{
    struct scene scene = {.cluster = cluster_open(2)};
    int from = 0;
    key_led_by(scene.cluster, 1, &from, scene.key);
    scene.client = client_open(scene.cluster, 0);
    if (has_link) {
        client_say(scene.cluster, scene.client, "flush_all noreply\r\n");
        client_hears(scene.client, "");
    }
    return scene;
}

/* Says before, the key and after. */
static void say(struct scene *scene, const char *before, const char *after)
{
    char text[128];
    snprintf(text, sizeof(text), "%s%s%s", before, scene->key, after);
    client_say(scene->cluster, scene->client, text);
}

#define NO_ANSWER "no answer from 10.0.0.2:11211\r\n"

static void a_write_that_left_without_answer_is_unknown(void **state)
{
    (void)state;
    struct scene scene = scene_open(true);
    scene.cluster->places[1].is_mute = true;
    say(&scene, "set ", " 0 0 1\r\nx\r\n");
    cluster_pass_ms(scene.cluster, CLUSTER_TIMEOUT_MS - 1);
    client_hears(scene.client, "");
    cluster_pass_ms(scene.cluster, 1);
    client_hears(scene.client, "SERVER_ERROR outcome unknown: " NO_ANSWER);
    cluster_close(scene.cluster);
}

static void a_read_that_left_without_answer_is_not_done(void **state)
{
    (void)state;
    struct scene scene = scene_open(true);
    scene.cluster->places[1].is_mute = true;
    say(&scene, "get ", "\r\n");
    cluster_pass_ms(scene.cluster, CLUSTER_TIMEOUT_MS);
    client_hears(scene.client, "SERVER_ERROR not done: " NO_ANSWER);
    cluster_close(scene.cluster);
}

static void what_never_left_is_not_done_and_never_executed(void **state)
{
    (void)state;
    struct scene scene = scene_open(false);
    scene.cluster->places[1].is_mute = true;
    say(&scene, "set ", " 0 0 1\r\nx\r\n");
    cluster_pass_ms(scene.cluster, CLUSTER_TIMEOUT_MS);
    client_hears(scene.client, "SERVER_ERROR not done: " NO_ANSWER);
    scene.cluster->places[1].is_mute = false;
    cluster_settle(scene.cluster);
    cluster_pass_ms(scene.cluster, 5000);
    assert_int_equal(store_counters(scene.cluster->places[1].store)->items, 0);
    say(&scene, "get ", "\r\n");
    client_hears(scene.client, "END\r\n");
    cluster_close(scene.cluster);
}

static void an_answer_after_its_deadline_is_dropped(void **state)
{
    (void)state;
    struct scene scene = scene_open(true);
    scene.cluster->places[1].is_mute = true;
    say(&scene, "set ", " 0 0 1\r\nx\r\n");
    cluster_pass_ms(scene.cluster, CLUSTER_TIMEOUT_MS);
    client_hears(scene.client, "SERVER_ERROR outcome unknown: " NO_ANSWER);
    scene.cluster->places[1].is_mute = false;
    cluster_settle(scene.cluster);
    client_hears(scene.client, "");
    client_say(scene.cluster, scene.client, "mn\r\n");
    client_hears(scene.client, "MN\r\n");
    cluster_close(scene.cluster);
}

/* The numbers of forwards are never given twice, but their places are. */
static void an_answer_to_a_former_request_is_not_taken_for_another_s(void **state)
{
    (void)state;
    struct scene scene = scene_open(true); /* its flush_all had the first number */
    struct place *place = &scene.cluster->places[0];
    scene.cluster->places[1].is_mute = true;
    say(&scene, "mg ", " s\r\n");
    struct message stale = {.kind = MESSAGE_ANSWER, .ANSWER = {.number = FORWARDS_MAX, .total = 4}};
    stale.body = SPAN_LITERAL("OK\r\n");
    struct reply frame = {0};
    message_append(&frame, &stale);
    struct span bytes = buf_span(&frame.bytes);
    for (int i = 0; i < CLUSTER_CONNS_MAX; i++)
        if (place->ends[i].is_open && place->ends[i].peer_node == 1)
            buf_append(&place->ends[i].in, bytes.data, bytes.len);
    reply_close(&frame);
    cluster_settle(scene.cluster);
    client_hears(scene.client, "");
    scene.cluster->places[1].is_mute = false;
    cluster_settle(scene.cluster);
    client_hears(scene.client, "EN\r\n");
    cluster_close(scene.cluster);
}

static void a_late_answer_ends_the_link_and_what_is_queued_on_it(void **state)
{
    (void)state;
    struct scene scene = scene_open(true);
    scene.cluster->places[1].is_mute = true;
    say(&scene, "set ", " 0 0 1\r\nx\r\n");
    cluster_pass_ms(scene.cluster, CLUSTER_TIMEOUT_MS / 2);
    say(&scene, "set ", " 0 0 1\r\ny\r\n");
    cluster_pass_ms(scene.cluster, CLUSTER_TIMEOUT_MS / 2);
    client_hears(scene.client, "SERVER_ERROR outcome unknown: " NO_ANSWER
                               "SERVER_ERROR outcome unknown: " NO_ANSWER);
    scene.cluster->places[1].is_mute = false;
    cluster_settle(scene.cluster);
    assert_int_equal(store_counters(scene.cluster->places[1].store)->items, 0);
    cluster_pass_ms(scene.cluster, CLUSTER_TIMEOUT_MS);
    say(&scene, "get ", "\r\n");
    client_hears(scene.client, "END\r\n");
    cluster_close(scene.cluster);
}

static void large_answers_of_others_are_asked_for_a_few_at_a_time(void **state)
{
    (void)state;
    struct session session = {.remote_open = 3};
    assert_int_equal(session_remote_bytes(&session), 3 * SESSION_REMOTE_BYTES_GUESS);
    session_note_remote(&session, 1000000);
    assert_int_equal(session_remote_bytes(&session), 3000000);
    for (int i = 0; i < 60; i++)
        session_note_remote(&session, 100);
    assert_int_equal(session_remote_bytes(&session), 300);
}

static void what_waited_for_the_link_has_left_once_it_is_up(void **state)
{
    (void)state;
    struct scene scene = scene_open(false);
    scene.cluster->places[1].frames_left = 1; /* HELLO, and nothing after it */
    say(&scene, "set ", " 0 0 1\r\nx\r\n");
    assert_true(scene.cluster->places[1].is_mute);
    cluster_pass_ms(scene.cluster, CLUSTER_TIMEOUT_MS);
    client_hears(scene.client, "SERVER_ERROR outcome unknown: " NO_ANSWER);
    cluster_close(scene.cluster);
}

static void a_broken_link_ends_what_was_under_way_at_once(void **state)
{
    (void)state;
    struct scene scene = scene_open(true);
    struct place *place = &scene.cluster->places[1];
    place->is_mute = true;
    say(&scene, "set ", " 0 0 1\r\nx\r\n");
    say(&scene, "get ", "\r\n");
    say(&scene, "mg ", " v\r\n");
    say(&scene, "mg ", " v N30\r\n");
    place->is_mute = false;
    place_stop(place);
    client_hears(scene.client,
                 "SERVER_ERROR outcome unknown: " NO_ANSWER "SERVER_ERROR not done: " NO_ANSWER
                 "SERVER_ERROR not done: " NO_ANSWER "SERVER_ERROR outcome unknown: " NO_ANSWER);
    assert_int_equal(node_stats(scene.cluster->places[0].node)->unknown_outcomes, 2);
    cluster_close(scene.cluster);
}

static void a_client_that_has_gone_harms_nothing(void **state)
{
    (void)state;
    struct scene scene = scene_open(true);
    scene.cluster->places[1].is_mute = true;
    say(&scene, "set ", " 0 0 1\r\nx\r\n");
    end_close(&scene.cluster->places[0], scene.client);
    scene.cluster->places[1].is_mute = false;
    cluster_settle(scene.cluster);
    assert_int_equal(node_forward_count(scene.cluster->places[0].node), 0);
    struct end *other = client_open(scene.cluster, 0);
    client_say(scene.cluster, other, "mn\r\n");
    client_hears(other, "MN\r\n");
    cluster_close(scene.cluster);
}

static void more_than_the_bound_under_way_is_busy(void **state)
{
    (void)state;
    struct scene scene = scene_open(true);
    scene.cluster->places[1].is_mute = true;
    char text[64];
    int len = snprintf(text, sizeof(text), "get %s\r\n", scene.key);
    for (uint32_t i = 0; i < FORWARDS_MAX; i++)
        buf_append(&scene.client->in, text, (size_t)len);
    cluster_settle(scene.cluster);
    assert_int_equal(node_forward_count(scene.cluster->places[0].node), FORWARDS_MAX);
    struct end *other = client_open(scene.cluster, 0);
    client_say(scene.cluster, other, text);
    client_hears(other, "SERVER_ERROR busy, retry in 100 ms\r\n");
    client_say(scene.cluster, other, "flush_all\r\n");
    client_hears(other, "SERVER_ERROR outcome unknown: flush_all done on 1 of 2 nodes\r\n");
    cluster_pass_ms(scene.cluster, CLUSTER_TIMEOUT_MS);
    assert_int_equal(node_forward_count(scene.cluster->places[0].node), 0);
    cluster_close(scene.cluster);
}

static void a_failed_link_rests_before_it_is_dialled_again(void **state)
{
    (void)state;
    struct scene scene = scene_open(false);
    place_stop(&scene.cluster->places[1]);
    for (int i = 0; i < 5; i++) {
        say(&scene, "get ", "\r\n");
        client_hears(scene.client, "SERVER_ERROR not done: " NO_ANSWER);
    }
    /* One dial only: each takes a generation of the dialling end's. */
    assert_int_equal(scene.cluster->places[0].generation, 2);
    cluster_close(scene.cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_that_left_without_answer_is_unknown),
        cmocka_unit_test(a_read_that_left_without_answer_is_not_done),
        cmocka_unit_test(what_never_left_is_not_done_and_never_executed),
        cmocka_unit_test(an_answer_after_its_deadline_is_dropped),
        cmocka_unit_test(an_answer_to_a_former_request_is_not_taken_for_another_s),
        cmocka_unit_test(a_late_answer_ends_the_link_and_what_is_queued_on_it),
        cmocka_unit_test(large_answers_of_others_are_asked_for_a_few_at_a_time),
        cmocka_unit_test(what_waited_for_the_link_has_left_once_it_is_up),
        cmocka_unit_test(a_broken_link_ends_what_was_under_way_at_once),
        cmocka_unit_test(a_client_that_has_gone_harms_nothing),
        cmocka_unit_test(more_than_the_bound_under_way_is_busy),
        cmocka_unit_test(a_failed_link_rests_before_it_is_dialled_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
