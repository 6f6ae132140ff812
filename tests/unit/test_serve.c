/* Requests on slots with copies: what is told when copies, or memory, are missing. */
#include "tests/unit/cluster.h"

/* The nodes from first to last take nothing in any more, or do again. */
static void silence(struct cluster *cluster, int first, int last, bool is_mute)
{
    for (int i = first; i <= last; i++)
        cluster->places[i].is_mute = is_mute;
}

/* A key led by the first node, whose item expires in two seconds; then these have passed, and no
 * tick: it is for a read to find out. The read is asked for, and no backup hears of it. */
static struct end *read_expired(struct cluster *cluster)
{
    struct end *client = client_open(cluster, 0);
    char key[32], text[64];
    key_led_by(cluster, 0, key);
    snprintf(text, sizeof(text), "set %s 0 2 1\r\nx\r\n", key);
    client_say(cluster, client, text);
    client_hears(client, "STORED\r\n");
    silence(cluster, 1, 2, true);
    cluster->now.mono_ms += 2500;
    snprintf(text, sizeof(text), "get %s\r\n", key);
    client_say(cluster, client, text);
    client_hears(client, "");
    return client;
}

static void the_outcome_of_a_read_is_never_unknown(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *client = read_expired(cluster);
    cluster_pass_ms(cluster, CLUSTER_TIMEOUT_MS);
    client_hears(client, "SERVER_ERROR not done: too few copies confirmed it\r\n");
    cluster_close(cluster);
}

static void a_read_that_a_view_overtakes_may_be_repeated(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct end *client = read_expired(cluster);
    silence(cluster, 0, 0, true);
    silence(cluster, 1, 2, false);
    uint32_t epoch = node_route(cluster->places[0].node)->view.epoch;
    for (int i = 0; i < 1000 && node_route(cluster->places[1].node)->view.epoch == epoch; i++)
        cluster_pass_ms(cluster, 5);
    assert_true(node_route(cluster->places[1].node)->view.epoch > epoch);
    silence(cluster, 0, 0, false);
    cluster_settle(cluster); /* it hears of the view */
    assert_true(node_route(cluster->places[0].node)->view.epoch > epoch);
    cluster_pass_ms(cluster, 5); /* its time is over by now, wherever it went */
    const char not_done[] = "SERVER_ERROR not done: ";
    struct span out = buf_span(&client->session.out.bytes);
    assert_true(out.len > sizeof(not_done) - 1);
    assert_memory_equal(out.data, not_done, sizeof(not_done) - 1);
    cluster_close(cluster);
}

static void a_flush_whose_id_finds_no_memory_is_not_done(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(1);
    struct end *client = client_open(cluster, 0);
    struct budget *budget = &cluster->places[0].budget;
    client_say(cluster, client, "set k 0 0 1\r\nx\r\n");
    client_hears(client, "STORED\r\n");
    uint64_t limit_bytes = budget->limit_bytes;
    budget->limit_bytes = budget->used_bytes;
    client_say(cluster, client, "once f-1 flush_all\r\nget k\r\n");
    client_hears(client, "SERVER_ERROR outcome unknown: flush_all done in 0 of 16384 slots\r\n"
                         "VALUE k 0 1\r\nx\r\nEND\r\n");
    budget->limit_bytes = limit_bytes;
    client_say(cluster, client, "once f-1 flush_all\r\nget k\r\nset k 0 0 1\r\ny\r\n");
    client_hears(client, "OK\r\nEND\r\nSTORED\r\n");
    client_say(cluster, client, "once f-1 flush_all\r\nget k\r\n");
    client_hears(client, "OK\r\nVALUE k 0 1\r\ny\r\nEND\r\n");
    cluster_close(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_outcome_of_a_read_is_never_unknown),
        cmocka_unit_test(a_read_that_a_view_overtakes_may_be_repeated),
        cmocka_unit_test(a_flush_whose_id_finds_no_memory_is_not_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
