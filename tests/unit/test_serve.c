/* Requests on slots with copies: what is told when copies, or memory, are missing. */
#include "server/core/sync.h"
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

/* Who is told to recache an item has been given what no one else gets. */
static void a_read_that_was_told_to_recache_may_have_taken_effect(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *client = client_open(cluster, 0);
    char key[32], text[96];
    key_led_by(cluster, 0, key);
    snprintf(text, sizeof(text), "set %s 0 0 1\r\nx\r\nmd %s I T30\r\n", key, key);
    client_say(cluster, client, text);
    client_hears(client, "STORED\r\nHD\r\n");
    silence(cluster, 1, 2, true);
    snprintf(text, sizeof(text), "mg %s v\r\nmg %s v\r\n", key, key);
    client_say(cluster, client, text);
    cluster_pass_ms(cluster, CLUSTER_TIMEOUT_MS);
    client_hears(client, "SERVER_ERROR outcome unknown: too few copies confirmed it\r\n"
                         "SERVER_ERROR not done: too few copies confirmed it\r\n");
    cluster_close(cluster);
}

static void a_flush_whose_id_finds_no_memory_is_not_done(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(1);
    struct end *client = client_open(cluster, 0);
    struct budget *budget = &cluster->places[0].budget;
    char answer[128];
    client_say(cluster, client, "set k 0 0 1\r\nx\r\n");
    client_hears(client, "STORED\r\n");
    uint64_t limit_bytes = budget->limit_bytes;
    budget->limit_bytes = budget->used_bytes;
    client_say(cluster, client, "once f-1 flush_all\r\nget k\r\n");
    snprintf(answer, sizeof(answer),
             "SERVER_ERROR outcome unknown: flush_all done in 0 of %u slots\r\n"
             "VALUE k 0 1\r\nx\r\nEND\r\n",
             SLOT_COUNT);
    client_hears(client, answer);
    budget->limit_bytes = limit_bytes;
    client_say(cluster, client, "once f-1 flush_all\r\nget k\r\nset k 0 0 1\r\ny\r\n");
    client_hears(client, "OK\r\nEND\r\nSTORED\r\n");
    client_say(cluster, client, "once f-1 flush_all\r\nget k\r\n");
    client_hears(client, "OK\r\nVALUE k 0 1\r\ny\r\nEND\r\n");
    cluster_close(cluster);
}

static void what_found_no_memory_is_a_first_when_it_is_repeated(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(1);
    struct end *client = client_open(cluster, 0);
    struct budget *budget = &cluster->places[0].budget;
    struct buf set = {0};
    buf_printf(&set, "once s-2 set k 0 0 200000\r\n%0200000d\r\n", 7);
    buf_append(&set, "", 1);
    client_say(cluster, client, "once s-1 set other 0 0 1\r\nx\r\n"); /* ids have room */
    client_hears(client, "STORED\r\n");
    uint64_t limit_bytes = budget->limit_bytes;
    budget->limit_bytes = budget->used_bytes;
    client_say(cluster, client, set.data);
    client_hears(client, "SERVER_ERROR out of memory storing object\r\n");
    budget->limit_bytes = limit_bytes;
    client_say(cluster, client, set.data);
    client_hears(client, "STORED\r\n");
    buf_close(&set);
    cluster_close(cluster);
}

/* gats ends with a line of its own: after a refusal that must not come. */
static void a_forwarded_gat_that_is_refused_for_memory_has_one_answer(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *first = client_open(cluster, 0), *second = client_open(cluster, 1);
    struct buf set = {0};
    char key[32], text[64];
    key_led_by(cluster, 0, key);
    buf_printf(&set, "set %s 0 0 200000\r\n%0200000d\r\n", key, 7);
    buf_append(&set, "", 1);
    for (int i = 1; i <= 2; i++)
        cluster->places[i].budget.limit_bytes = cluster->places[i].budget.used_bytes;
    client_say(cluster, first, set.data); /* the copies find no memory */
    cluster_pass_ms(cluster, CLUSTER_TIMEOUT_MS);
    client_hears(first, "SERVER_ERROR outcome unknown: too few copies confirmed it\r\n");
    snprintf(text, sizeof(text), "gats 0 %s\r\nmn\r\n", key);
    client_say(cluster, second, text);
    client_hears(second, "SERVER_ERROR not done: 10.0.0.1:11211 says out of memory storing "
                         "object\r\nMN\r\n");
    buf_close(&set);
    cluster_close(cluster);
}

static bool is_tombstone(struct place *place, const char *name)
{
    struct digest digest;
    struct store_item item;
    digest_of(span_of_string(name), &digest);
    const struct store_key key = {.bytes = span_of_string(name),
                                  .position = digest_position(&digest)};
    return store_find(place->store, &key, &item) == STORE_TOMBSTONE;
}

/* Fills the first node with what it keeps for the second, until it has evicted the only item that
 * it leads itself. */
static void evict_for_another(struct cluster *cluster, const char *own)
{
    struct budget *budget = &cluster->places[0].budget;
    struct end *client = client_open(cluster, 1);
    uint64_t limit_bytes = budget->limit_bytes;
    struct buf set = {0};
    char key[32];
    int from = 0;
    budget->limit_bytes = budget->used_bytes;
    for (int i = 0; i < 100 && !is_tombstone(&cluster->places[0], own); i++) {
        next_key_led_by(cluster, 1, &from, key);
        buf_consume(&set, buf_len(&set));
        buf_printf(&set, "set %s 0 0 2000\r\n%02000d\r\n", key, i);
        buf_append(&set, "", 1);
        client_say(cluster, client, set.data);
        client_hears(client, "STORED\r\n");
    }
    assert_true(is_tombstone(&cluster->places[0], own));
    budget->limit_bytes = limit_bytes;
    buf_close(&set);
}

static struct cluster *cluster_that_evicts(char key[32])
{
    struct gossip_options timers;
    CHECK(gossip_profile(SPAN_LITERAL("fast"), &timers));
    struct cluster *cluster = cluster_make(3, &timers);
    cluster->places[0].evicts = true;
    for (int i = 0; i < 3; i++)
        place_start_listed(&cluster->places[i]);
    cluster_await_ring(cluster, 3);
    char text[64];
    struct end *client = client_open(cluster, 0);
    key_led_by(cluster, 0, key);
    snprintf(text, sizeof(text), "set %s 0 0 1\r\nx\r\n", key);
    client_say(cluster, client, text);
    client_hears(client, "STORED\r\n");
    evict_for_another(cluster, key);
    return cluster;
}

static void a_write_over_what_was_evicted_is_still_a_write(void **state)
{
    (void)state;
    char key[32], text[64];
    struct cluster *cluster = cluster_that_evicts(key);
    struct end *client = client_open(cluster, 0);
    silence(cluster, 1, 2, true);
    snprintf(text, sizeof(text), "set %s 0 0 1\r\ny\r\n", key);
    client_say(cluster, client, text);
    cluster_pass_ms(cluster, CLUSTER_TIMEOUT_MS);
    client_hears(client, "SERVER_ERROR outcome unknown: too few copies confirmed it\r\n");
    cluster_close(cluster);
}

static void what_was_evicted_is_told_before_what_is_written_then(void **state)
{
    (void)state;
    char key[32], text[64];
    struct cluster *cluster = cluster_that_evicts(key);
    struct end *client = client_open(cluster, 0);
    uint64_t before = node_stats(cluster->places[1].node)->sync_nosync +
                      node_stats(cluster->places[2].node)->sync_nosync;
    snprintf(text, sizeof(text), "set %s 0 0 1\r\ny\r\n", key);
    client_say(cluster, client, text);
    client_hears(client, "STORED\r\n");
    assert_int_equal(node_stats(cluster->places[1].node)->sync_nosync +
                         node_stats(cluster->places[2].node)->sync_nosync,
                     before);
    cluster_close(cluster);
}

static void what_was_evicted_before_a_view_is_not_told_in_it(void **state)
{
    (void)state;
    char key[32], text[64];
    struct cluster *cluster = cluster_that_evicts(key);
    struct end *client = client_open(cluster, 0);
    silence(cluster, 0, 0, true);
    place_stop(&cluster->places[2]);
    uint32_t epoch = node_route(cluster->places[1].node)->view.epoch;
    silence(cluster, 0, 0, false);
    for (int i = 0; i < 1000 && node_route(cluster->places[0].node)->view.epoch == epoch; i++)
        cluster_pass_ms(cluster, 5);
    assert_true(node_route(cluster->places[0].node)->view.epoch > epoch);
    cluster_pass_ms(cluster, 5);
    snprintf(text, sizeof(text), "get %s\r\n", key);
    client_say(cluster, client, text);
    client_hears(client, "END\r\n");
    cluster_close(cluster);
}

/* Records that a node has put into its streams, all together. */
static uint64_t records_put(struct cluster *cluster, int place)
{
    const struct sync *sync = node_sync(cluster->places[place].node);
    uint64_t sum = 0;
    for (uint32_t peer = sync_next_peer(sync, 0); peer != PEER_NONE;
         peer = sync_next_peer(sync, peer))
        sum += sync_position(sync, peer);
    return sum;
}

static void a_read_asks_one_backup_and_the_other_if_that_is_silent(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *client = client_open(cluster, 0);
    char key[32], text[64];
    key_led_by(cluster, 0, key);
    snprintf(text, sizeof(text), "get %s\r\n", key);
    uint64_t before = records_put(cluster, 0);
    client_say(cluster, client, text);
    client_hears(client, "END\r\n");
    assert_int_equal(records_put(cluster, 0), before + 1);
    for (int other = 1; other <= 2; other++) {
        silence(cluster, other, other, true);
        before = records_put(cluster, 0);
        client_say(cluster, client, text);
        cluster_pass_ms(cluster, 2);
        client_hears(client, "END\r\n");
        assert_true(records_put(cluster, 0) <= before + 2);
        silence(cluster, other, other, false);
        cluster_pass_ms(cluster, 5);
    }
    cluster_close(cluster);
}

/* How many nodes have an item of this key. */
static int copies_of(struct cluster *cluster, const char *text)
{
    struct digest digest;
    struct store_item item;
    int count = 0;
    digest_of(span_of_string(text), &digest);
    const struct store_key key = {.bytes = span_of_string(text),
                                  .position = digest_position(&digest)};
    for (int i = 0; i < cluster->count; i++)
        count += store_find(cluster->places[i].store, &key, &item) == STORE_ITEM;
    return count;
}

static void the_third_copy_follows_within_two_milliseconds(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *client = client_open(cluster, 0);
    char key[32], text[64];
    key_led_by(cluster, 0, key);
    snprintf(text, sizeof(text), "set %s 0 0 1\r\nv\r\n", key);
    client_say(cluster, client, text);
    client_hears(client, "STORED\r\n");
    assert_int_equal(copies_of(cluster, key), 2);
    cluster_pass_ms(cluster, 2);
    assert_int_equal(copies_of(cluster, key), 3);
    cluster_close(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_outcome_of_a_read_is_never_unknown),
        cmocka_unit_test(a_read_that_a_view_overtakes_may_be_repeated),
        cmocka_unit_test(a_read_asks_one_backup_and_the_other_if_that_is_silent),
        cmocka_unit_test(a_read_that_was_told_to_recache_may_have_taken_effect),
        cmocka_unit_test(the_third_copy_follows_within_two_milliseconds),
        cmocka_unit_test(a_flush_whose_id_finds_no_memory_is_not_done),
        cmocka_unit_test(what_found_no_memory_is_a_first_when_it_is_repeated),
        cmocka_unit_test(a_forwarded_gat_that_is_refused_for_memory_has_one_answer),
        cmocka_unit_test(a_write_over_what_was_evicted_is_still_a_write),
        cmocka_unit_test(what_was_evicted_is_told_before_what_is_written_then),
        cmocka_unit_test(what_was_evicted_before_a_view_is_not_told_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
