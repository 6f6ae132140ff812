/* Whole nodes: any node takes any command; answers keep their order; nothing is silently lost. */
#include "tests/unit/cluster.h"

static void every_key_is_reached_through_every_node_and_stored_on_three(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    char text[64];
    for (int i = 0; i < 60; i++) {
        struct end *client = client_open(cluster, i % 3);
        snprintf(text, sizeof(text), "set k%d 7 0 2\r\n%02d\r\n", i, i);
        client_say(cluster, client, text);
        client_hears(client, "STORED\r\n");
        end_close(&cluster->places[i % 3], client);
    }
    cluster_pass_ms(cluster, 10); /* the backups that nobody waited for */
    for (int n = 0; n < 3; n++) {
        assert_int_equal(store_counters(cluster->places[n].store)->items, 60);
        struct end *client = client_open(cluster, n);
        for (int i = 0; i < 60; i++) {
            char answer[64];
            snprintf(text, sizeof(text), "get k%d\r\n", i);
            snprintf(answer, sizeof(answer), "VALUE k%d 7 2\r\n%02d\r\nEND\r\n", i, i);
            client_say(cluster, client, text);
            client_hears(client, answer);
        }
    }
    cluster_close(cluster);
}

static void a_line_of_keys_is_merged_in_the_order_asked(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *client = client_open(cluster, 0);
    for (int i = 0; i < 9; i++) {
        char text[64];
        snprintf(text, sizeof(text), "set k%d 0 0 1 noreply\r\n%d\r\n", i, i);
        client_say(cluster, client, text);
    }
    client_hears(client, "");
    client_say(cluster, client, "get k8 k7 nothing k6 k5 k4 k3 k2 k1 k0\r\nmg k3 v\r\nmn\r\n");
    client_hears(client, "VALUE k8 0 1\r\n8\r\nVALUE k7 0 1\r\n7\r\nVALUE k6 0 1\r\n6\r\n"
                         "VALUE k5 0 1\r\n5\r\nVALUE k4 0 1\r\n4\r\nVALUE k3 0 1\r\n3\r\n"
                         "VALUE k2 0 1\r\n2\r\nVALUE k1 0 1\r\n1\r\nVALUE k0 0 1\r\n0\r\nEND\r\n"
                         "VA 1\r\n3\r\nMN\r\n");
    cluster_close(cluster);
}

static void local_answers_wait_for_forwarded_ones_before_them(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    char here[32], there[32], text[512];
    key_led_by(cluster, 0, here);
    key_led_by(cluster, 1, there);
    struct end *client = client_open(cluster, 0);
    snprintf(text, sizeof(text), "set %s 0 0 1\r\nt\r\n", there);
    client_say(cluster, client, text);
    client_hears(client, "STORED\r\n");
    cluster->places[1].is_mute = true;
    snprintf(text, sizeof(text), "get %s\r\nset %s 0 0 1\r\nh\r\nget %s\r\n", there, here, here);
    client_say(cluster, client, text);
    client_hears(client, "");
    cluster->places[1].is_mute = false;
    cluster_settle(cluster);
    snprintf(text, sizeof(text),
             "VALUE %s 0 1\r\nt\r\nEND\r\nSTORED\r\nVALUE %s 0 1\r\nh\r\nEND\r\n", there, here);
    client_hears(client, text);
    cluster_close(cluster);
}

static void an_absent_line_costs_only_its_own_keys(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    char gone[32], here[32], text[512];
    key_led_by(cluster, 2, gone);
    key_led_by(cluster, 1, here);
    place_stop(&cluster->places[2]);
    struct end *client = client_open(cluster, 0);
    snprintf(text, sizeof(text), "set %s 0 0 1\r\nx\r\nset %s 0 0 1\r\ny\r\nget %s %s\r\n", gone,
             here, here, gone);
    client_say(cluster, client, text);
    client_hears(client, "");
    cluster_pass_ms(cluster, CLUSTER_TIMEOUT_MS);
    snprintf(text, sizeof(text),
             "SERVER_ERROR not done: no answer from 10.0.0.3:11211\r\nSTORED\r\n"
             "VALUE %s 0 1\r\ny\r\nSERVER_ERROR not done: no answer from 10.0.0.3:11211\r\n",
             here);
    client_hears(client, text);
    cluster_close(cluster);
}

static void a_node_that_comes_back_is_served_again(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    char key[32], text[512];
    key_led_by(cluster, 1, key);
    place_stop(&cluster->places[1]);
    struct end *client = client_open(cluster, 0);
    snprintf(text, sizeof(text), "set %s 0 0 1\r\nx\r\n", key);
    client_say(cluster, client, text);
    cluster_pass_ms(cluster, CLUSTER_TIMEOUT_MS);
    client_hears(client, "SERVER_ERROR not done: no answer from 10.0.0.2:11211\r\n");
    place_start_listed(&cluster->places[1]);
    cluster_await_ring(cluster, 2);
    client_say(cluster, client, text);
    cluster_pass_ms(cluster, 100);
    client_hears(client, "STORED\r\n");
    cluster_close(cluster);
}

static void noreply_and_quiet_requests_stay_silent_when_forwarded(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    char key[32], text[512];
    key_led_by(cluster, 1, key);
    struct end *client = client_open(cluster, 0);
    snprintf(text, sizeof(text),
             "set %s 0 0 1 noreply\r\n1\r\nincr %s 1 noreply\r\nadd %s 0 0 1 noreply\r\nx\r\n"
             "ms %s 1 q\r\n2\r\nmg none%s v q\r\nget %s\r\n",
             key, key, key, key, key, key);
    client_say(cluster, client, text);
    snprintf(text, sizeof(text), "VALUE %s 0 1\r\n2\r\nEND\r\n", key);
    client_hears(client, text);
    place_stop(&cluster->places[1]);
    cluster_settle(cluster);
    snprintf(text, sizeof(text), "set %s 0 0 1 noreply\r\n1\r\nmn\r\n", key);
    client_say(cluster, client, text);
    cluster_pass_ms(cluster, CLUSTER_TIMEOUT_MS);
    client_hears(client, "MN\r\n");
    cluster_close(cluster);
}

static void flush_all_reaches_every_node_or_says_how_many(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *client = client_open(cluster, 1);
    char text[64];
    for (int i = 0; i < 30; i++) {
        snprintf(text, sizeof(text), "set k%d 0 0 1 noreply\r\nx\r\n", i);
        client_say(cluster, client, text);
    }
    client_say(cluster, client, "flush_all\r\n");
    client_hears(client, "OK\r\n");
    for (int i = 0; i < 30; i++) {
        snprintf(text, sizeof(text), "get k%d\r\n", i);
        client_say(cluster, client, text);
        client_hears(client, "END\r\n");
    }
    place_stop(&cluster->places[2]);
    client_say(cluster, client, "flush_all\r\nflush_all noreply\r\nmn\r\n");
    cluster_pass_ms(cluster, CLUSTER_TIMEOUT_MS);
    char answer[128];
    uint32_t count = 0;
    const struct route *route = node_route(cluster->places[1].node);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) /* the others two have copies of all */
        count += strcmp(route->view.members[0].name, cluster->names[0]) == 0 &&
                 route->leader[slot] != route->peers[2];
    snprintf(answer, sizeof(answer),
             "SERVER_ERROR outcome unknown: flush_all done in %u of %u slots\r\nMN\r\n", count,
             SLOT_COUNT);
    client_hears(client, answer);
    cluster_close(cluster);
}

static void values_larger_than_a_frame_travel_in_parts(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    int from = 0;
    char key[32], head[64];
    static const size_t sizes[] = {FRAME_BODY_BYTES_MAX - 64, FRAME_BODY_BYTES_MAX,
                                   3 * FRAME_BODY_BYTES_MAX, CLUSTER_VALUE_MAX};
    struct end *client = client_open(cluster, 0);
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        next_key_led_by(cluster, 1, &from, key);
        char *value = malloc(sizes[i]);
        for (size_t at = 0; at < sizes[i]; at++)
            value[at] = (char)(at * 7 + at / 251);
        snprintf(head, sizeof(head), "set %s 0 0 %zu\r\n", key, sizes[i]);
        buf_append(&client->in, head, strlen(head));
        buf_append(&client->in, value, sizes[i]);
        client_say(cluster, client, "\r\n");
        client_hears(client, "STORED\r\n");
        snprintf(head, sizeof(head), "get %s\r\n", key);
        client_say(cluster, client, head);
        snprintf(head, sizeof(head), "VALUE %s 0 %zu\r\n", key, sizes[i]);
        struct span out = buf_span(&client->session.out.bytes);
        assert_int_equal(out.len, strlen(head) + sizes[i] + strlen("\r\nEND\r\n"));
        assert_memory_equal(out.data + strlen(head), value, sizes[i]);
        reply_consume(&client->session.out, out.len);
        free(value);
    }
    cluster_close(cluster);
}

/* All connections of a node count where the shell has said; here only what parts bring. */
static void set_budget(struct cluster *cluster, int node, struct budget *budget)
{
    for (uint32_t i = 0; i < CLUSTER_CONNS_MAX; i++) {
        struct end *end = &cluster->places[node].ends[i];
        if (end->is_open && end->peer_node >= 0) {
            buf_close(&end->session.out.bytes);
            end->session.out.bytes.budget = budget;
        }
    }
}

static void a_body_that_finds_no_memory_is_refused_and_its_link_stays(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    char key[32];
    struct budget budget = {.limit_bytes = 1};
    struct buf set = {0}, get = {0}, answer = {0};
    struct end *client = client_open(cluster, 0);
    key_led_by(cluster, 1, key);
    buf_printf(&set, "set %s 0 0 200000\r\n%0200000d\r\n", key, 7);
    buf_printf(&get, "get %s\r\n", key);
    buf_printf(&answer, "VALUE %s 0 200000\r\n%0200000d\r\nEND\r\n", key, 7);
    buf_append(&set, "", 1);
    buf_append(&get, "", 1);
    buf_append(&answer, "", 1);
    client_say(cluster, client, set.data);
    client_hears(client, "STORED\r\n");
    uint32_t ups = cluster->places[0].generation;

    set_budget(cluster, 1, &budget);
    budget.used_bytes += 2 * BUDGET_STRETCH_BYTES;
    client_say(cluster, client, set.data);
    client_hears(client, "SERVER_ERROR not done: 10.0.0.2:11211 says out of memory\r\n");
    budget.used_bytes -= 2 * BUDGET_STRETCH_BYTES;
    client_say(cluster, client, set.data);
    client_hears(client, "STORED\r\n");
    set_budget(cluster, 1, NULL);
    assert_int_equal(budget.used_bytes, 0);

    set_budget(cluster, 0, &budget);
    budget.used_bytes += 2 * BUDGET_STRETCH_BYTES;
    client_say(cluster, client, get.data);
    struct span out = buf_span(&client->session.out.bytes);
    assert_true(out.len > 12 && memcmp(out.data, "SERVER_ERROR", 12) == 0);
    reply_consume(&client->session.out, out.len);
    budget.used_bytes -= 2 * BUDGET_STRETCH_BYTES;
    client_say(cluster, client, get.data);
    client_hears(client, answer.data);
    set_budget(cluster, 0, NULL);
    assert_int_equal(budget.used_bytes, 0);
    assert_int_equal(cluster->places[0].generation, ups); /* no link was dialled anew */
    buf_close(&set);
    buf_close(&get);
    buf_close(&answer);
    cluster_close(cluster);
}

static void a_batch_of_a_thousand_requests_keeps_its_order(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *client = client_open(cluster, 0);
    struct buf expected = {0};
    for (int i = 0; i < 1000; i++) {
        buf_printf(&client->in, "set k%d 0 0 4\r\n%04d\r\nget k%d\r\n", i, i, i);
        buf_printf(&expected, "STORED\r\nVALUE k%d 0 4\r\n%04d\r\nEND\r\n", i, i);
    }
    cluster_settle(cluster);
    assert_true(span_equal(buf_span(&client->session.out.bytes), buf_span(&expected)));
    buf_close(&expected);
    cluster_close(cluster);
}

static void expired_items_are_given_back_by_ticks_alone(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(1);
    struct end *client = client_open(cluster, 0);
    client_say(cluster, client, "set a 0 5 1\r\nx\r\n");
    client_hears(client, "STORED\r\n");
    cluster_pass_ms(cluster, 4000);
    assert_int_equal(store_counters(cluster->places[0].store)->items, 1);
    cluster_pass_ms(cluster, 3000);
    cluster_pass_ms(cluster, 1000);
    assert_int_equal(store_counters(cluster->places[0].store)->items, 0);
    cluster_close(cluster);
}

/* Restarts all nodes with audits. */
static struct cluster *audited_cluster(int count)
{
    struct cluster *cluster = cluster_open_quick(count);
    for (int i = 0; i < count; i++) {
        place_stop(&cluster->places[i]);
        cluster->places[i].is_audited = true;
    }
    for (int i = 0; i < count; i++)
        place_start_listed(&cluster->places[i]);
    cluster_await_ring(cluster, (uint32_t)count);
    cluster_pass_ms(cluster, 5000); /* all was lost: that is declared */
    return cluster;
}

static void an_audit_names_client_and_entry_where_a_request_is_carried_out(void **state)
{
    (void)state;
    struct cluster *cluster = audited_cluster(2);
    char here[32], there[32], text[256], address[64];
    key_led_by(cluster, 0, here);
    key_led_by(cluster, 1, there);
    struct end *client = client_open(cluster, 0);
    snprintf(text, sizeof(text),
             "set %s 0 0 6\r\nsecret\r\nget %s\r\nset %s 0 0 6 noreply\r\nsecret\r\ndelete x%s\r\n",
             there, there, here, here);
    client_say(cluster, client, text);
    struct span entry = buf_span(&cluster->places[0].audited);
    struct span leader = buf_span(&cluster->places[1].audited);
    snprintf(address, sizeof(address),
             " request client=192.0.2.1:%u number=", client->id.index + 1024);
    assert_int_equal(lines_with(entry, address) + lines_with(leader, address), 4);
    assert_int_equal(lines_with(leader, "entry=10.0.0.1:11211 command=set"), 1);
    assert_int_equal(lines_with(leader, "command=set key="), 1);
    assert_int_equal(lines_with(leader, "outcome=STORED"), 1);
    assert_int_equal(lines_with(leader, "outcome=VALUE"), 1);
    assert_int_equal(lines_with(entry, "number=2 entry=10.0.0.1:11211 command=set"), 1);
    assert_int_equal(lines_with(entry, "outcome=none"), 1); /* noreply */
    struct digest digest;
    digest_of(span_of_string(there), &digest);
    snprintf(text, sizeof(text), " key=%016llx ", (unsigned long long)digest_position(&digest));
    assert_int_equal(lines_with(leader, text), 3); /* the copy's too */
    ;
    snprintf(text, sizeof(text), "%s ", there);
    assert_int_equal(lines_with(leader, text) + lines_with(leader, "secret"), 0);
    cluster_close(cluster);
}

/* What the audits of all nodes have of the write that the first one's copy has of a key: lines of
 * who carried it out, and of copies that it was applied to, as=how. */
static void assert_audited(struct cluster *cluster, const char *key, int requests, int copies,
                           const char *how)
{
    struct digest digest;
    digest_of(span_of_string(key), &digest);
    const struct store_key place = {.bytes = span_of_string(key),
                                    .position = digest_position(&digest)};
    struct store_item item;
    cluster_pass_ms(cluster, 5); /* of two backups one has it a moment later */
    assert_int_not_equal(store_find(cluster->places[0].store, &place, &item), STORE_NONE);
    char request[96], applied[96];
    snprintf(request, sizeof(request),
             " key=%016llx version=%llx outcome=", (unsigned long long)place.position,
             (unsigned long long)item.version);
    snprintf(applied, sizeof(applied), " applied key=%016llx version=%llx what=%s as=%s",
             (unsigned long long)place.position, (unsigned long long)item.version,
             item.is_tombstone ? "tombstone" : "item", how);
    int found_requests = 0, found_copies = 0;
    for (int i = 0; i < cluster->count; i++) {
        found_requests += lines_with(buf_span(&cluster->places[i].audited), request);
        found_copies += lines_with(buf_span(&cluster->places[i].audited), applied);
    }
    assert_int_equal(found_requests, requests);
    assert_int_equal(found_copies, copies);
}

static void an_audit_has_the_coordinator_of_a_write_and_each_copy_that_applied_it(void **state)
{
    (void)state;
    struct cluster *cluster = audited_cluster(3);
    struct end *client = client_open(cluster, 0);
    char text[96];
    for (int i = 0; i < 9; i++) {
        snprintf(text, sizeof(text), "set k%d 0 0 1\r\nx\r\n", i);
        client_say(cluster, client, text);
        client_hears(client, "STORED\r\n");
    }
    for (int i = 0; i < 9; i++) {
        snprintf(text, sizeof(text), "k%d", i);
        assert_audited(cluster, text, 1, 3, "write");
        assert_audited(cluster, text, 1, 0, "repair");
    }
    client_say(cluster, client, "touch k0 100\r\ndelete k2\r\n");
    assert_audited(cluster, "k0", 1, 3, "write");
    int tombstones = 0;
    for (int i = 0; i < 3; i++)
        tombstones += lines_with(buf_span(&cluster->places[i].audited), " what=tombstone as=write");
    assert_int_equal(tombstones, 3);
    client_hears(client, "TOUCHED\r\nDELETED\r\n");
    place_stop(&cluster->places[2]);
    cluster_await_ring(cluster, 2);
    for (int i = 0; i < 9; i++) {
        snprintf(text, sizeof(text), "set late%d 0 0 1\r\nx\r\n", i);
        client_say(cluster, client, text);
        client_hears(client, "STORED\r\n");
    }
    for (int i = 0; i < 9; i++) {
        snprintf(text, sizeof(text), "late%d", i);
        assert_audited(cluster, text, 1, 2, "write");
    }
    place_start_listed(&cluster->places[2]);
    cluster_await_ring(cluster, 3);
    cluster_pass_ms(cluster, 5000);
    for (int i = 0; i < 9; i++) {
        snprintf(text, sizeof(text), "late%d", i);
        assert_audited(cluster, text, 1, 2, "write");
        assert_audited(cluster, text, 1, 1, "repair");
    }
    cluster_close(cluster);
}

/* Where a slot has one copy only, that is one line; what reads or changes nothing has none. */
static void an_audit_of_a_node_alone_has_two_lines_for_a_write_and_one_for_a_read(void **state)
{
    (void)state;
    struct cluster *cluster = audited_cluster(1);
    struct end *client = client_open(cluster, 0);
    client_say(cluster, client, "set a 0 0 1\r\nx\r\nget a\r\nadd a 0 0 1\r\nx\r\ndelete none\r\n");
    client_hears(client, "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\nNOT_STORED\r\nNOT_FOUND\r\n");
    assert_audited(cluster, "a", 1, 1, "write");
    struct span lines = buf_span(&cluster->places[0].audited);
    assert_int_equal(lines_with(lines, " request "), 4);
    assert_int_equal(lines_with(lines, " version=- outcome="), 3);
    assert_int_equal(lines_with(lines, " applied "), 1);
    client_say(cluster, client, "delete a\r\n");
    lines = buf_span(&cluster->places[0].audited);
    assert_int_equal(lines_with(lines, " what=tombstone as=write"), 1);
    cluster_close(cluster);
}

static void an_audit_is_complete_at_any_rate(void **state)
{
    (void)state;
    struct cluster *cluster = audited_cluster(2);
    struct end *client = client_open(cluster, 0);
    for (int i = 0; i < 1000; i++)
        buf_printf(&client->in, "get k%d\r\n", i);
    cluster_settle(cluster);
    assert_int_equal(lines_with(buf_span(&cluster->places[0].audited), " command=get ") +
                         lines_with(buf_span(&cluster->places[1].audited), " command=get "),
                     1000);
    cluster_close(cluster);
}

static void leave_is_answered_then_the_node_ends(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(1);
    struct end *client = client_open(cluster, 0);
    client_say(cluster, client, "set a 0 0 1\r\nx\r\nleave\r\nmn\r\n");
    client_hears(client, "STORED\r\nOK\r\nMN\r\n");
    cluster_pass_ms(cluster, 1000);
    assert_true(cluster->places[0].has_ended);
    assert_int_equal(cluster->places[0].end, NODE_END_LEFT);
    /* What came before the end is answered: nobody else could. */
    client_say(cluster, client, "get a\r\n");
    client_hears(client, "VALUE a 0 1\r\nx\r\nEND\r\n");
    cluster_close(cluster);
}

static void shutdown_has_to_be_allowed(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(1);
    struct place *place = &cluster->places[0];
    struct end *client = client_open(cluster, 0);
    client_say(cluster, client, "shutdown\r\n");
    client_hears(client, "ERROR: shutdown not enabled\r\n");
    cluster_pass_ms(cluster, 1000);
    assert_false(place->has_ended);
    place_stop(place);
    place->can_shutdown = true;
    place_start(place, "10.0.0.1:11211\n");
    client = client_open(cluster, 0);
    client_say(cluster, client, "shutdown now\r\n");
    client_hears(client, "CLIENT_ERROR invalid shutdown mode\r\n");
    assert_true(client->is_open);
    client_say(cluster, client, "shutdown graceful\r\n");
    assert_false(client->is_open);
    cluster_pass_ms(cluster, 1000);
    assert_true(place->has_ended);
    cluster_close(cluster);
}

static void say_sets(struct cluster *cluster, struct end *client, int count)
{
    for (int i = 0; i < count; i++)
        buf_printf(&client->in, "set k%d 0 0 1 noreply\r\nx\r\n", i);
    cluster_settle(cluster);
    client_hears(client, "");
}

static uint64_t items_of(const struct cluster *cluster)
{
    uint64_t items = 0;
    for (int i = 0; i < cluster->count; i++)
        if (cluster->places[i].node)
            items += store_counters(cluster->places[i].store)->items;
    return items;
}

/* How many of k0, k1, … the client gets. */
static uint64_t hits_of(struct cluster *cluster, struct end *client, int count)
{
    for (int i = 0; i < count; i++)
        buf_printf(&client->in, "get k%d\r\n", i);
    cluster_settle(cluster);
    struct span out = buf_span(&client->session.out.bytes);
    uint64_t hits = 0, ends = 0;
    for (size_t at = 0; at + 3 < out.len; at++) {
        hits += memcmp(out.data + at, "VALU", 4) == 0;
        ends += memcmp(out.data + at, "END\r", 4) == 0;
    }
    assert_int_equal(ends, count);
    reply_consume(&client->session.out, out.len);
    return hits;
}

static void a_dead_node_s_keys_are_there_at_the_others(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct end *client = client_open(cluster, 0);
    say_sets(cluster, client, 300);
    assert_int_equal(items_of(cluster), 900);
    place_stop(&cluster->places[2]);
    cluster_await_ring(cluster, 2);
    cluster_pass_ms(cluster, 20); /* the new leaders ask for what they may not have */
    assert_int_equal(hits_of(cluster, client, 300), 300);
    char key[32], text[64];
    key_led_by(cluster, 2, key); /* before */
    snprintf(text, sizeof(text), "set %s 0 0 1\r\ny\r\n", key);
    client_say(cluster, client, text);
    client_hears(client, "STORED\r\n");
    cluster_close(cluster);
}

/* Three copies of each key, wherever that is: who leads or backs a slot no longer drops it, once
 * those that do have it. */
static void copies_move_to_a_node_that_comes_and_are_dropped_where_they_were(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(4);
    place_stop(&cluster->places[3]);
    cluster_await_ring(cluster, 3);
    struct end *client = client_open(cluster, 0);
    say_sets(cluster, client, 400);
    /* It stands in nobody's list that has not forgotten it, and knows only one of them. */
    place_start(&cluster->places[3], "10.0.0.2:11211\n");
    cluster_await_ring(cluster, 4);
    assert_int_equal(hits_of(cluster, client, 400), 400);
    for (int i = 0; i < 3000 && items_of(cluster) != 1200; i++)
        cluster_pass_ms(cluster, 5);
    assert_int_equal(items_of(cluster), 1200);
    assert_in_range(store_counters(cluster->places[3].store)->items, 200, 400);
    assert_int_equal(hits_of(cluster, client, 400), 400);
    cluster_close(cluster);
}

static void what_waits_for_a_dead_node_is_answered_by_its_successor(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct end *client = client_open(cluster, 0);
    say_sets(cluster, client, 60);
    place_stop(&cluster->places[2]);
    for (int i = 0; i < 60; i++)
        buf_printf(&client->in, "add k%d 0 0 1\r\ny\r\n", i);
    cluster_settle(cluster);
    size_t at_once = reply_len(&client->session.out);
    for (int i = 0; i < 200; i++)
        cluster_pass_ms(cluster, 5);
    struct span out = buf_span(&client->session.out.bytes);
    assert_true(out.len > at_once);
    int stored = 0, refused = 0;
    for (size_t at = 0; at < out.len; at++) {
        stored +=
            memcmp(out.data + at, "STORED\r\n", 8) == 0 && (at == 0 || out.data[at - 1] == '\n');
        refused += out.len - at >= 10 && memcmp(out.data + at, "NOT_STORED", 10) == 0;
    }
    /* Those of the dead node are there at its successor. */
    assert_int_equal(stored, 0);
    assert_int_equal(refused, 60);
    reply_consume(&client->session.out, out.len);
    assert_int_equal(node_forward_count(cluster->places[0].node), 0);
    assert_int_equal(items_of(cluster), 120);
    cluster_close(cluster);
}

static void a_node_just_started_answers_when_it_knows_the_ring(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    place_stop(&cluster->places[1]);
    buf_close(&cluster->places[1].state); /* its state file is lost */
    cluster_await_ring(cluster, 2);
    struct end *client = client_open(cluster, 0);
    say_sets(cluster, client, 50);
    for (int i = 0; i < 100; i++) /* the view is new: what is asked of it waits a little */
        cluster_pass_ms(cluster, 5);
    place_start_listed(&cluster->places[1]);
    struct end *early = client_open(cluster, 1);
    assert_int_equal(node_route(cluster->places[1].node)->view.member_count, 0);
    buf_printf(&early->in, "flush_all\r\nget k1\r\nset k1 0 0 1\r\nz\r\nget k1 k2\r\nring\r\n");
    node_turn(cluster->places[1].node, cluster->now);
    end_take(&cluster->places[1], early);
    client_hears(early, "");
    cluster_await_ring(cluster, 3);
    cluster_pass_ms(cluster, 10);
    client_hears(early, "OK\r\nEND\r\nSTORED\r\nVALUE k1 0 1\r\nz\r\nEND\r\n"
                        "RING 0000000000000000 0\r\n");
    cluster_close(cluster);
}

static void a_node_that_leaves_is_off_the_ring_soon(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct end *client = client_open(cluster, 0);
    client_say(cluster, client, "leave\r\n");
    for (int i = 0; i < 200 && reply_len(&client->session.out) == 0; i++)
        cluster_pass_ms(cluster, 5); /* a view has to say so */
    client_hears(client, "OK\r\n");
    for (int i = 0; i < 400 && !cluster->places[0].has_ended; i++)
        cluster_pass_ms(cluster, 5);
    assert_true(cluster->places[0].has_ended);
    assert_int_equal(cluster->places[0].end, NODE_END_LEFT);
    for (int i = 0; i < 20; i++)
        cluster_pass_ms(cluster, 5);
    for (int n = 0; n < 3; n++) /* the one that has gone has seen it too */
        assert_int_equal(node_route(cluster->places[n].node)->view.member_count, 2);
    assert_int_equal(place_logged(&cluster->places[1], " member-left "), 1);
    /* What is still asked of it goes to the others. */
    say_sets(cluster, client, 20);
    assert_int_equal(hits_of(cluster, client, 20), 20);
    assert_int_equal(store_counters(cluster->places[0].store)->items, 0);
    cluster_close(cluster);
}

/* The ring changes while a request is with the former leader, which then gives it back. */
static void what_comes_back_to_its_new_leader_is_carried_out(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    char key[32], text[64];
    key_led_by(cluster, 0, key);
    struct end *client = client_open(cluster, 1);
    snprintf(text, sizeof(text), "set %s 0 0 1\r\nx\r\n", key);
    client_say(cluster, client, text);
    client_hears(client, "STORED\r\n");
    place_stop(&cluster->places[0]);
    client_say(cluster, client, text);
    client_hears(client, "");
    cluster_await_ring(cluster, 2);
    cluster_pass_ms(cluster, 10);
    client_hears(client, "STORED\r\n");
    assert_int_equal(node_forward_count(cluster->places[1].node), 0);
    cluster_close(cluster);
}

static void who_finds_another_process_under_its_name_ends(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    char other[ADDRESS_TEXT_BYTES_MAX];
    /* Node 1 is started as if it were node 2: on an address of its own that nobody knows. */
    place_stop(&cluster->places[1]);
    cluster_await_ring(cluster, 2);
    struct place *place = &cluster->places[1];
    memcpy(other, cluster->names[1], sizeof(other));
    memcpy(cluster->names[1], cluster->names[2], sizeof(other));
    place_start(place, "10.0.0.1:11211\n10.0.0.3:11211\n");
    memcpy(cluster->names[1], other, sizeof(other));
    for (int i = 0; i < 400; i++)
        cluster_pass_ms(cluster, 5);
    assert_true(place->has_ended);
    assert_int_equal(place->end, NODE_END_DUPLICATE);
    assert_false(cluster->places[2].has_ended); /* nobody has heard of the later one */
    cluster_close(cluster);
}

static void the_ring_s_number_counts_real_changes_only(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    uint64_t changes = node_route(cluster->places[0].node)->changes;
    for (int i = 0; i < 200; i++)
        cluster_pass_ms(cluster, 20);
    assert_int_equal(node_route(cluster->places[0].node)->changes, changes);
    place_stop(&cluster->places[1]);
    cluster_await_ring(cluster, 2);
    assert_int_equal(node_route(cluster->places[0].node)->changes, changes + 1);
    struct end *client = client_open(cluster, 0);
    char text[128], value[96];
    int len =
        snprintf(value, sizeof(value), "%llu\n10.0.0.1|10.0.0.1|11211 10.0.0.3|10.0.0.3|11211\n",
                 (unsigned long long)changes + 1);
    snprintf(text, sizeof(text), "CONFIG cluster 0 %d\r\n%s\r\nEND\r\n", len, value);
    client_say(cluster, client, "config get cluster\r\n");
    client_hears(client, text);
    cluster_close(cluster);
}

static void a_client_that_follows_the_ring_is_told_of_a_new_one(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct end *client = client_open(cluster, 0);
    char text[128], key[32];
    snprintf(text, sizeof(text), "RING %016llx 3\r\n",
             (unsigned long long)node_route(cluster->places[0].node)->hash);
    client_say(cluster, client, "ring 0000000000000000\r\n");
    client_hears(client, text);
    place_stop(&cluster->places[2]);
    cluster_await_ring(cluster, 2);
    key_led_by(cluster, 1, key); /* by the old ring, and by the new one too */
    snprintf(text, sizeof(text), "mg %s\r\nmg %s\r\n", key, key);
    client_say(cluster, client, text);
    snprintf(text, sizeof(text), "RING %016llx\r\nEN\r\nEN\r\n",
             (unsigned long long)node_route(cluster->places[0].node)->hash);
    client_hears(client, text);
    cluster_close(cluster);
}

/* Moves what node from has to say to the others, and lets them answer. */
static void carry_there_and_back(struct cluster *cluster, int from)
{
    struct place *places = cluster->places;
    for (int i = 0; i < CLUSTER_CONNS_MAX; i++)
        if (places[from].ends[i].is_open)
            (void)end_carry(&places[from], &places[from].ends[i]);
    for (int n = 0; n < cluster->count; n++)
        for (int i = 0; n != from && i < CLUSTER_CONNS_MAX; i++)
            if (places[n].ends[i].is_open)
                (void)end_take(&places[n], &places[n].ends[i]);
    for (int n = 0; n < cluster->count; n++)
        for (int i = 0; n != from && i < CLUSTER_CONNS_MAX; i++)
            if (places[n].ends[i].is_open)
                (void)end_carry(&places[n], &places[n].ends[i]);
}

/* Gives the node all frames that have come on an end, and behind them one that ends the link. */
static void take_and_break(struct place *place, struct end *end)
{
    struct frame frame;
    size_t consumed, need;
    struct conn_id id = end->id;
    struct span in = buf_span(&end->in);
    while (in.len > 0 && frame_parse(in.data, in.len, &frame, &consumed, &need) == FRAME_DONE) {
        node_frame(place->node, id, &frame);
        in = span_of(in.data + consumed, in.len - consumed);
    }
    node_frame_bad(place->node, id, true);
}

/* A write is not answered for what a backup had acknowledged before it was made, though the
 * backup's connection ends in the same turn, behind that acknowledgement. */
static void an_old_acknowledgement_is_none_of_a_write_that_went_nowhere(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct place *place = &cluster->places[0];
    struct end *client = client_open(cluster, 0);
    char key[32], text[64];
    key_led_by(cluster, 0, key);
    snprintf(text, sizeof(text), "set %s 0 0 1\r\na\r\n", key);
    client_say(cluster, client, text);
    client_hears(client, "STORED\r\n");
    cluster_pass_ms(cluster, 10); /* both backups have it */
    buf_append(&client->in, text, strlen(text));
    assert_true(end_take(place, client));
    carry_there_and_back(cluster, 0);
    int broken = 0;
    for (int i = 0; i < CLUSTER_CONNS_MAX; i++)
        if (place->ends[i].is_open && place->ends[i].peer_node >= 0 &&
            buf_len(&place->ends[i].in) > 0) {
            take_and_break(place, &place->ends[i]);
            broken++;
        }
    assert_int_equal(broken, 1); /* one backup was asked at once */
    const struct request_limits limits = {.value_bytes_max = CLUSTER_VALUE_MAX};
    size_t consumed, need;
    assert_int_equal(request_parse(&client->parser, &limits, text, strlen(text),
                                   node_request(place->node), &consumed, &need),
                     PARSE_DONE);
    node_submit(place->node, client->id, &client->session);
    node_finish(place->node, cluster->now);
    client_hears(client, "STORED\r\n"); /* the first one; nobody has the second */
    cluster_pass_ms(cluster, 10);
    client_hears(client, "STORED\r\n");
    cluster_close(cluster);
}

/* The node has promised, and hears nothing more until the others have the next view; in that moment
 * a client writes a key that it leads. */
static void write_while_a_view_comes(struct cluster *cluster, int node, const char *key)
{
    struct place *place = &cluster->places[node];
    struct end *client = client_open(cluster, node);
    char text[64];
    uint32_t epoch = views_epoch(node_views(place->node));
    place->last_frame = "PREPARE ";
    for (int i = 0; i < 2000 && !place->is_mute; i++)
        cluster_pass_ms(cluster, 1);
    assert_true(place->is_mute);
    assert_int_equal(views_epoch(node_views(place->node)), epoch);
    assert_int_equal(views_epoch(node_views(cluster->places[1].node)), epoch + 1);
    snprintf(text, sizeof(text), "set %s 0 0 1\r\nx\r\n", key);
    buf_append(&client->in, text, strlen(text));
    node_turn(place->node, cluster->now);
    assert_true(end_take(place, client));
    place->last_frame = NULL;
    place->is_mute = place->goes_mute = false;
    cluster_settle(cluster);
    for (int i = 0; i < 100; i++)
        cluster_pass_ms(cluster, 1);
    client_hears(client, "STORED\r\n");
}

static void a_planned_stop_leaves_no_outcome_unknown(void **state)
{
    (void)state;
    char key[32];
    struct cluster *cluster = cluster_open(3);
    key_led_by(cluster, 2, key);
    node_leave(cluster->places[2].node);
    write_while_a_view_comes(cluster, 2, key);
    cluster_close(cluster);
}

static void a_stop_that_is_not_granted_holds_writes_for_a_moment_only(void **state)
{
    (void)state;
    char key[32], text[64];
    struct cluster *cluster = cluster_open(2);
    key_led_by(cluster, 0, key);
    struct end *client = client_open(cluster, 0);
    snprintf(text, sizeof(text), "set %s 0 0 1\r\nx\r\n", key);
    node_leave(cluster->places[0].node);
    client_say(cluster, client, text);
    client_hears(client, "");
    for (int i = 0; i < 31; i++)
        cluster_pass_ms(cluster, 10);
    client_hears(client, "STORED\r\n");
    client_say(cluster, client, text);
    client_hears(client, "STORED\r\n");
    cluster_close(cluster);
}

/* A key that node 2 leads, and node 3 does once it has come. */
static void key_to_be_moved(const struct cluster *cluster, char key[32])
{
    const struct route *route = node_route(cluster->places[2].node);
    struct digest digest;
    int from = 0;
    do {
        next_key_led_by(cluster, 3, &from, key);
        digest_of(span_of_string(key), &digest);
    } while (route->leader[position_slot(digest_position(&digest))] != PEER_SELF);
}

static void who_hands_keys_to_a_newcomer_leaves_no_outcome_unknown(void **state)
{
    (void)state;
    char key[32];
    struct gossip_options timers;
    CHECK(gossip_profile(SPAN_LITERAL("lan"), &timers));
    struct cluster *cluster = cluster_make(4, &timers);
    for (int i = 0; i < 3; i++)
        place_start_listed(&cluster->places[i]);
    cluster_await_ring(cluster, 3);
    key_to_be_moved(cluster, key);
    place_start_listed(&cluster->places[3]);
    const struct views *views = node_views(cluster->places[2].node);
    for (int i = 0; i < 5000 && views_current(views)->member_count < 4; i++)
        cluster_pass_ms(cluster, 1);
    assert_int_equal(views_current(views)->member_count, 4);
    write_while_a_view_comes(cluster, 2, key);
    cluster_close(cluster);
}

/* Lets three nodes stop for a time, all at once, and go on: how many connections the first one
 * found silent for too long. */
static int links_outlived(uint64_t stop_ms)
{
    struct gossip_options timers;
    CHECK(gossip_profile(SPAN_LITERAL("lan"), &timers));
    timers.accept_ms = 12000;
    struct cluster *cluster = cluster_open_with(3, &timers);
    const struct place *place = &cluster->places[0];
    for (int i = 0; i < 400; i++)
        cluster_pass_ms(cluster, 5);
    cluster->now.mono_ms += stop_ms;
    for (int i = 0; i < 200; i++)
        cluster_pass_ms(cluster, 5);
    int count = place_logged(place, "it was silent for too long");
    for (int i = 0; i < 1000; i++)
        cluster_pass_ms(cluster, 5);
    assert_int_equal(place_logged(place, "it was silent for too long"), count);
    assert_true(cluster_has_ring(cluster, 3));
    cluster_close(cluster);
    return count;
}

static void what_lay_unread_for_half_the_age_of_a_proof_is_not_read(void **state)
{
    (void)state;
    assert_int_equal(links_outlived(3000), 0);
    assert_in_range(links_outlived(9000), 1, 4); /* two others, each way */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_reached_through_every_node_and_stored_on_three),
        cmocka_unit_test(an_old_acknowledgement_is_none_of_a_write_that_went_nowhere),
        cmocka_unit_test(a_planned_stop_leaves_no_outcome_unknown),
        cmocka_unit_test(who_hands_keys_to_a_newcomer_leaves_no_outcome_unknown),
        cmocka_unit_test(a_stop_that_is_not_granted_holds_writes_for_a_moment_only),
        cmocka_unit_test(a_line_of_keys_is_merged_in_the_order_asked),
        cmocka_unit_test(local_answers_wait_for_forwarded_ones_before_them),
        cmocka_unit_test(an_absent_line_costs_only_its_own_keys),
        cmocka_unit_test(a_node_that_comes_back_is_served_again),
        cmocka_unit_test(noreply_and_quiet_requests_stay_silent_when_forwarded),
        cmocka_unit_test(flush_all_reaches_every_node_or_says_how_many),
        cmocka_unit_test(values_larger_than_a_frame_travel_in_parts),
        cmocka_unit_test(a_body_that_finds_no_memory_is_refused_and_its_link_stays),
        cmocka_unit_test(a_batch_of_a_thousand_requests_keeps_its_order),
        cmocka_unit_test(an_audit_names_client_and_entry_where_a_request_is_carried_out),
        cmocka_unit_test(an_audit_has_the_coordinator_of_a_write_and_each_copy_that_applied_it),
        cmocka_unit_test(an_audit_of_a_node_alone_has_two_lines_for_a_write_and_one_for_a_read),
        cmocka_unit_test(an_audit_is_complete_at_any_rate),
        cmocka_unit_test(leave_is_answered_then_the_node_ends),
        cmocka_unit_test(shutdown_has_to_be_allowed),
        cmocka_unit_test(a_dead_node_s_keys_are_there_at_the_others),
        cmocka_unit_test(copies_move_to_a_node_that_comes_and_are_dropped_where_they_were),
        cmocka_unit_test(what_waits_for_a_dead_node_is_answered_by_its_successor),
        cmocka_unit_test(a_node_just_started_answers_when_it_knows_the_ring),
        cmocka_unit_test(a_node_that_leaves_is_off_the_ring_soon),
        cmocka_unit_test(what_comes_back_to_its_new_leader_is_carried_out),
        cmocka_unit_test(who_finds_another_process_under_its_name_ends),
        cmocka_unit_test(the_ring_s_number_counts_real_changes_only),
        cmocka_unit_test(a_client_that_follows_the_ring_is_told_of_a_new_one),
        cmocka_unit_test(expired_items_are_given_back_by_ticks_alone),
        cmocka_unit_test(what_lay_unread_for_half_the_age_of_a_proof_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
