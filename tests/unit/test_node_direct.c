/* Direct answers between whole nodes: the entry node, the node that leads the key, and a client
 * that listens. */
#include "tests/unit/cluster.h"

#include <inttypes.h>

#define TOKEN_DIGITS 32

/* A client at node 0 that has said return_port; token: out. */
static struct end *client_open_direct(struct cluster *cluster, char token[TOKEN_DIGITS + 1])
{
    struct end *client = client_open(cluster, 0);
    client_say(cluster, client, "return_port 5000\r\n");
    struct span out = buf_span(&client->session.out.bytes);
    assert_int_equal(out.len, sizeof("RETURN_PORT ") - 1 + TOKEN_DIGITS + 2);
    assert_memory_equal(out.data, "RETURN_PORT ", 12);
    memcpy(token, out.data + 12, TOKEN_DIGITS);
    token[TOKEN_DIGITS] = '\0';
    reply_consume(&client->session.out, out.len);
    return client;
}

/* Two nodes, a key that node 1 leads, and a client at node 0 that listens. */
struct scene {
    struct cluster *cluster;
    struct end *client;
    char key[32];
    char token[TOKEN_DIGITS + 1];
};

static struct scene scene_open_of(int count)
{
    struct scene scene = {.cluster = cluster_open(count)};
    key_led_by(scene.cluster, 1, scene.key);
    scene.client = client_open_direct(scene.cluster, scene.token);
    return scene;
}

static struct scene scene_open(void)
{
    return scene_open_of(2);
}

/* The connection that a node has made to a client, or NULL. */
static struct end *direct_end(struct cluster *cluster, int node)
{
    for (int i = 0; i < CLUSTER_CONNS_MAX; i++) {
        struct end *end = &cluster->places[node].ends[i];
        if (end->is_open && end->is_raw)
            return end;
    }
    return NULL;
}

static const struct stats *stats_of(struct cluster *cluster, int node)
{
    return node_stats(cluster->places[node].node);
}

static void say_format(struct cluster *cluster, struct end *end, const char *format,
                       const char *key)
{
    char text[128];
    snprintf(text, sizeof(text), format, key); /* NOLINT: formats of this file */
    client_say(cluster, end, text);
}

/* The client of a scene says this of its key. */
static void say(struct scene *scene, const char *format)
{
    say_format(scene->cluster, scene->client, format, scene->key);
}

static void the_leader_answers_the_client_itself(void **state)
{
    (void)state;
    struct scene scene = scene_open();
    char line[TOKEN_DIGITS + 3];
    say(&scene, "ms %s 1 O1\r\nv\r\n");
    struct end *direct = direct_end(scene.cluster, 1);
    assert_non_null(direct);
    assert_string_equal(direct->dialled,
                        "192.0.2.1:5000"); /* where the client's connection is from */
    client_hears(direct, "");
    snprintf(line, sizeof(line), "%s\r\n", scene.token);
    client_say(scene.cluster, direct, line);
    client_hears(direct, "HD O1\r\n");
    say(&scene, "mg %s v O2\r\n"); /* and the connection is kept */
    client_hears(direct, "VA 1 O2\r\nv\r\n");
    say(&scene, "ma %s O3\r\n");
    client_hears(direct, "CLIENT_ERROR cannot increment or decrement non-numeric value O3\r\n");
    client_hears(scene.client, "");
    assert_int_equal(session_open_count(&scene.client->session), 0);
    assert_int_equal(stats_of(scene.cluster, 0)->answers_relayed, 0);
    assert_int_equal(stats_of(scene.cluster, 0)->forwards_direct, 3);
    assert_int_equal(stats_of(scene.cluster, 1)->answers_direct, 3);
    cluster_close(scene.cluster);
}

static void what_has_no_opaque_keeps_its_order(void **state)
{
    (void)state;
    struct scene scene = scene_open();
    say(&scene, "ms %s 1\r\nv\r\n");
    client_hears(scene.client, "HD\r\n");
    assert_null(direct_end(scene.cluster, 1));
    assert_int_equal(stats_of(scene.cluster, 0)->answers_relayed, 1);
    cluster_close(scene.cluster);
}

static void nobody_is_called_who_has_not_asked_for_it(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    char key[32];
    key_led_by(cluster, 1, key);
    struct end *client = client_open(cluster, 0);
    say_format(cluster, client, "mg %s v O1\r\n", key);
    client_hears(client, "EN O1\r\n");
    assert_null(direct_end(cluster, 1));
    cluster_close(cluster);
}

static void a_client_that_does_not_listen_is_answered_through_the_entry_node(void **state)
{
    (void)state;
    struct scene scene = scene_open();
    scene.cluster->places[1].clients_refuse = true;
    say(&scene, "mg %s v O1\r\n");
    client_hears(scene.client, "EN O1\r\n");
    assert_int_equal(stats_of(scene.cluster, 0)->answers_relayed, 1);
    assert_int_equal(stats_of(scene.cluster, 1)->answers_direct, 0);
    cluster_close(scene.cluster);
}

/* It accepts, but does not prove that it has asked for anything. */
static void a_client_without_the_token_is_answered_through_the_entry_node(void **state)
{
    (void)state;
    struct scene scene = scene_open();
    say(&scene, "ms %s 1 O1\r\nv\r\n");
    struct end *direct = direct_end(scene.cluster, 1);
    assert_non_null(direct);
    cluster_pass_ms(scene.cluster, CLUSTER_TIMEOUT_MS / 2);
    client_hears(direct, "");
    client_hears(scene.client, "HD O1\r\n");
    cluster_pass_ms(scene.cluster, CLUSTER_TIMEOUT_MS / 2 + 1);
    assert_null(direct_end(scene.cluster, 1));
    assert_int_equal(stats_of(scene.cluster, 0)->unknown_outcomes, 0);
    cluster_close(scene.cluster);
}

static void answers_of_the_entry_node_leave_the_order_too(void **state)
{
    (void)state;
    struct scene scene = scene_open_of(3);
    char here[32], text[256];
    const char *there = scene.key;
    key_led_by(scene.cluster, 0, here);
    scene.cluster->places[1].is_mute = true;
    snprintf(text, sizeof(text), "mg %s v\r\nmg %s v O2\r\nmg %s v O3\r\nma %s Mx O4\r\n", there,
             here, there, here);
    client_say(scene.cluster, scene.client, text);
    client_hears(scene.client,
                 "EN O2\r\n"); /* what is malformed has no opaque to be known by: it waits */
    cluster_pass_ms(scene.cluster, CLUSTER_TIMEOUT_MS);
    client_hears(scene.client, "SERVER_ERROR not done: no answer from 10.0.0.2:11211\r\n"
                               "CLIENT_ERROR invalid mode for ma M token\r\n"
                               "SERVER_ERROR not done: no answer from 10.0.0.2:11211 O3\r\n");
    cluster_close(scene.cluster);
}

static void a_quiet_request_is_answered_by_nothing_anywhere(void **state)
{
    (void)state;
    struct scene scene = scene_open();
    say(&scene, "mg %s v q O1\r\n");
    client_hears(scene.client, "");
    assert_int_equal(session_open_count(&scene.client->session), 0);
    assert_null(direct_end(scene.cluster, 1));
    cluster_close(scene.cluster);
}

static void it_can_be_switched_off(void **state)
{
    (void)state;
    struct scene scene = scene_open();
    place_stop(&scene.cluster->places[1]);
    scene.cluster->places[1].no_direct = true;
    place_start_listed(&scene.cluster->places[1]);
    for (int i = 0; i < 400; i++)
        cluster_pass_ms(scene.cluster, 10);
    key_led_by(scene.cluster, 1, scene.key);
    say(&scene, "mg %s v O1\r\n");
    client_hears(scene.client, "EN O1\r\n");
    assert_null(direct_end(scene.cluster, 1));
    struct end *other = client_open(scene.cluster, 1);
    client_say(scene.cluster, other, "return_port 5000\r\n");
    client_hears(other, "SERVER_ERROR direct answers are off\r\n");
    cluster_close(scene.cluster);
}

static void ports_of_nodes_and_low_ones_are_refused(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct end *client = client_open(cluster, 0);
    client_say(cluster, client, "return_port 1023\r\nreturn_port 1024\r\n");
    struct span out = buf_span(&client->session.out.bytes);
    assert_memory_equal(out.data, "CLIENT_ERROR return port refused: below 1024\r\nRETURN_PORT ",
                        58);
    cluster_close(cluster);
}

/* ---- following the ring ---- */

static uint64_t hash_of(struct cluster *cluster, int node)
{
    return node_route(cluster->places[node].node)->hash;
}

static void hears_format(struct end *client, const char *format, uint64_t hash)
{
    char text[128];
    snprintf(text, sizeof(text), format, hash); /* NOLINT: formats of this file */
    client_hears(client, text);
}

/* Before the answer to a request that had to be forwarded, once for each ring. */
static void a_client_that_follows_the_ring_is_told_of_a_change(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct end *client = client_open(cluster, 0), *other = client_open(cluster, 0);
    char key[32];
    client_say(cluster, client, "ring 0000000000000000\r\n");
    hears_format(client, "RING %016" PRIx64 " 3\r\n", hash_of(cluster, 0));
    client_say(cluster, other, "ring\r\n"); /* it only asks */
    hears_format(other, "RING %016" PRIx64 " 3\r\n", hash_of(cluster, 0));
    key_led_by(cluster, 1, key);
    say_format(cluster, client, "mg %s\r\n", key); /* it was told this ring */
    client_hears(client, "EN\r\n");

    place_stop(&cluster->places[2]);
    cluster_await_ring(cluster, 2);
    cluster_pass_ms(cluster, 20); /* the new leaders ask for what they may not have */
    key_led_by(cluster, 0, key);
    say_format(cluster, client, "mg %s\r\n", key); /* here nothing had to be forwarded */
    client_hears(client, "EN\r\n");
    key_led_by(cluster, 1, key);
    say_format(cluster, client, "get %s nothing\r\n", key); /* never among values */
    client_hears(client, "END\r\n");
    say_format(cluster, client, "mg %s\r\n", key);
    hears_format(client, "RING %016" PRIx64 "\r\nEN\r\n", hash_of(cluster, 0));
    say_format(cluster, client, "mg %s\r\n", key);
    client_hears(client, "EN\r\n");
    say_format(cluster, other, "mg %s\r\n", key);
    client_hears(other, "EN\r\n");
    cluster_close(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_leader_answers_the_client_itself),
        cmocka_unit_test(what_has_no_opaque_keeps_its_order),
        cmocka_unit_test(nobody_is_called_who_has_not_asked_for_it),
        cmocka_unit_test(a_client_that_does_not_listen_is_answered_through_the_entry_node),
        cmocka_unit_test(a_client_without_the_token_is_answered_through_the_entry_node),
        cmocka_unit_test(answers_of_the_entry_node_leave_the_order_too),
        cmocka_unit_test(a_quiet_request_is_answered_by_nothing_anywhere),
        cmocka_unit_test(it_can_be_switched_off),
        cmocka_unit_test(a_client_that_follows_the_ring_is_told_of_a_change),
        cmocka_unit_test(ports_of_nodes_and_low_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
