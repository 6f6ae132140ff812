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
    key_led_by(scene.cluster, 1, scene.key);
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
    place_stop(&scene.cluster->places[1]);
    say(&scene, "set ", " 0 0 1\r\nx\r\n");
    cluster_pass_ms(scene.cluster, CLUSTER_TIMEOUT_MS);
    client_hears(scene.client, "SERVER_ERROR not done: " NO_ANSWER);
    place_start_listed(&scene.cluster->places[1]);
    for (int i = 0; i < 100; i++)
        cluster_pass_ms(scene.cluster, 10);
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

static void a_broken_link_ends_writes_at_once_and_reads_are_tried_anew(void **state)
{
    (void)state;
    struct scene scene = scene_open(true);
    struct place *place = &scene.cluster->places[1];
    place->is_mute = true;
    say(&scene, "set ", " 0 0 1\r\nx\r\n");
    say(&scene, "get ", "\r\n");
    say(&scene, "mg ", " v N30\r\n");
    say(&scene, "mg ", " v\r\n");
    place->is_mute = false;
    place_stop(place);
    client_hears(scene.client, "SERVER_ERROR outcome unknown: " NO_ANSWER);
    assert_int_equal(node_stats(scene.cluster->places[0].node)->unknown_outcomes, 2);
    assert_int_equal(node_forward_count(scene.cluster->places[0].node), 2);
    place_start_listed(place);
    for (int i = 0; i < 18; i++)
        cluster_pass_ms(scene.cluster, 20);
    client_hears(scene.client, "END\r\nSERVER_ERROR outcome unknown: " NO_ANSWER "EN\r\n");
    assert_int_equal(node_forward_count(scene.cluster->places[0].node), 0);
    cluster_close(scene.cluster);
}

static void a_write_is_carried_out_once_its_node_is_there(void **state)
{
    (void)state;
    struct scene scene = scene_open(false);
    place_stop(&scene.cluster->places[1]);
    say(&scene, "set ", " 0 0 1\r\nx\r\n");
    say(&scene, "append ", " 0 0 1\r\ny\r\n");
    for (int i = 0; i < 3; i++)
        cluster_pass_ms(scene.cluster, 100);
    client_hears(scene.client, "");
    place_start_listed(&scene.cluster->places[1]);
    /* It greets, so the data link's rest is over at once; and comes into the view as a new member.
     */
    for (int i = 0; i < 68; i++)
        cluster_pass_ms(scene.cluster, 10);
    client_hears(scene.client, "STORED\r\nSTORED\r\n");
    say(&scene, "mg ", " v\r\n");
    client_hears(scene.client, "VA 2\r\nxy\r\n");
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
    client_hears(other, ""); /* its own part waits for the other node's copies */
    cluster_pass_ms(scene.cluster, CLUSTER_TIMEOUT_MS);
    client_hears(other, "SERVER_ERROR outcome unknown: flush_all done in 0 of 16384 slots\r\n");
    assert_int_equal(node_forward_count(scene.cluster->places[0].node), 0);
    cluster_close(scene.cluster);
}

/* A coord of its own, of the node 10.0.0.1, on connections of place 0; the test is all other nodes.
 */
struct bench {
    struct cluster *cluster;
    struct stats stats;
    struct links links;
    struct route route;
    struct coord coord;
    struct end *client;
    uint64_t seq; /* of the client's next request */
};

static void bench_place(struct bench *bench, const char *members)
{
    struct view view;
    struct peers_error error;
    assert_int_equal(peers_parse(span_of_string(members), &view, &error), ERR_OK);
    struct ring *ring = malloc(sizeof(*ring));
    CHECK(ring != NULL);
    ring_place(&view, ring);
    route_place(&bench->route, &bench->links, &view, ring, true);
    free(ring);
    view_close(&view);
}

static struct bench *bench_open(const char *members)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    CHECK(bench != NULL);
    bench->cluster = cluster_open(4);
    struct place *place = &bench->cluster->places[0];
    const struct links_identity identity = {
        .name = "10.0.0.1:11211", .cluster = "dht", .gossip = "random", .boot = 9};
    links_init(&bench->links, &identity, CLUSTER_TIMEOUT_MS, &place->env, &place->log,
               &bench->stats);
    route_init(&bench->route);
    coord_init(&bench->coord, &bench->links, &bench->route, NULL, CLUSTER_TIMEOUT_MS);
    if (members)
        bench_place(bench, members);
    bench->client = client_open(bench->cluster, 0);
    bench->client->session.out.bytes.budget = &place->budget;
    return bench;
}

static void bench_close(struct bench *bench)
{
    coord_check(&bench->coord);
    size_t bytes = bench->coord.bytes;
    struct budget *budget = &bench->cluster->places[0].budget;
    size_t used_before = budget->used_bytes;
    coord_close(&bench->coord);
    assert_int_equal(budget->used_bytes, used_before - bytes);
    route_close(&bench->route, &bench->links);
    links_sweep(&bench->links, bench->cluster->now);
    for (uint32_t i = 1; i < bench->links.peers_end; i++)
        if (bench->links.peers[i])
            assert_int_equal(bench->links.peers[i]->holds, 0);
    links_close(&bench->links);
    session_close(&bench->client->session);
    cluster_close(bench->cluster);
    free(bench);
}

static struct request request_of(const char *text)
{
    struct request_parser parser = {0};
    const struct request_limits limits = {.value_bytes_max = CLUSTER_VALUE_MAX};
    struct request request;
    size_t consumed, need;
    assert_int_equal(
        request_parse(&parser, &limits, text, strlen(text), &request, &consumed, &need),
        PARSE_DONE);
    return request;
}

/* The client says text; no request of it is for the bench's node. */
static void bench_say(struct bench *bench, const char *text)
{
    struct request request = request_of(text);
    struct asker asker = {.conn = bench->client->id,
                          .seq = bench->client->session.next_seq++,
                          .part = request.part,
                          .noreply = request.noreply};
    struct digest digest;
    if (!command_has_key(request.command)) {
        coord_keep_flush(&bench->coord, &asker, &request, bench->cluster->now);
        return;
    }
    digest_of(request.key, &digest);
    coord_forward(&bench->coord, &asker, &request, &digest, 0, bench->cluster->now);
    coord_check(&bench->coord);
}

/* The slots that a node leads, as a bit each. */
static void bench_slots(const struct bench *bench, uint32_t peer, uint8_t slots[FLUSHED_BYTES])
{
    memset(slots, 0, FLUSHED_BYTES);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if (bench->route.leader[slot] == peer)
            slots[slot / 8] = (uint8_t)(slots[slot / 8] | 1u << slot % 8);
}

/* A flush_all goes to every node at once; this one has done its part in no time. */
static void flush(struct bench *bench, const struct asker *asker, const struct forward *kept)
{
    uint64_t deadline_ms;
    uint8_t slots[FLUSHED_BYTES];
    struct request request = request_of("flush_all\r\n");
    struct gather *gather =
        coord_flush_all(&bench->coord, asker, &request, kept, &deadline_ms, bench->cluster->now);
    bench_slots(bench, PEER_SELF, slots);
    if (gather)
        coord_flushed(&bench->coord, gather, slots);
}

static void bench_flush(struct bench *bench)
{
    struct asker asker = {.conn = bench->client->id, .seq = bench->client->session.next_seq++};
    flush(bench, &asker, NULL);
}

/* One that has waited for the ring does. */
static void bench_flush_kept(struct bench *bench)
{
    struct forward *kept = coord_take_own(&bench->coord);
    assert_non_null(kept);
    flush(bench, &kept->asker, kept);
    coord_free(&bench->coord, kept);
}

static uint32_t bench_peer(struct bench *bench, int node)
{
    return links_find_peer(&bench->links, span_of_string(bench->cluster->names[node]));
}

static struct link *bench_link(struct bench *bench, int node)
{
    return links_dialled(&bench->links, bench_peer(bench, node), LANE_DATA);
}

/* Hands the news of the links to the coord, as a node does. */
static void bench_tell(struct bench *bench)
{
    struct link_news news;
    while (links_take_news(&bench->links, &news)) {
        if (news.change == LINK_CAME_UP)
            coord_came_up(&bench->coord, news.peer, bench->cluster->now);
        else
            coord_lost(&bench->coord, news.peer, bench->cluster->now);
    }
    coord_check(&bench->coord);
}

/* The dialled link to a node comes up. */
static struct end *bench_up(struct bench *bench, int node)
{
    struct link *link = bench_link(bench, node);
    links_connected(&bench->links, link);
    struct end *end = end_find(&bench->cluster->places[0], link->conn);
    assert_non_null(end);
    reply_consume(&end->session.out, reply_len(&end->session.out)); /* HELLO */
    struct message welcome = {.kind = MESSAGE_WELCOME,
                              .WELCOME = {.version = PROTOCOL_NEWEST,
                                          .from = span_of_string(bench->cluster->names[node]),
                                          .boot = 1}};
    links_handshake(&bench->links, link, link->conn, &welcome, 0, bench->cluster->now);
    bench_tell(bench);
    return end;
}

static void bench_down(struct bench *bench, int node)
{
    links_end(&bench->links, bench_link(bench, node), DISCONNECT_CLOSED, NULL, bench->cluster->now);
    bench_tell(bench);
}

static void bench_pass_ms(struct bench *bench, uint64_t ms)
{
    bench->cluster->now.mono_ms += ms;
    uint32_t late_on;
    while (coord_late(&bench->coord, bench->cluster->now, &late_on))
        continue;
    coord_retry(&bench->coord, bench->cluster->now);
    bench_tell(bench);
}

/* The next FORWARD on a link must be of this text; number: out. Returns its time left. */
static uint32_t hear_forward(struct end *end, const char *text, uint64_t *number)
{
    struct frame frame;
    struct message message;
    size_t consumed, need;
    struct span out = buf_span(&end->session.out.bytes);
    assert_int_equal(frame_parse(out.data, out.len, &frame, &consumed, &need), FRAME_DONE);
    assert_int_equal(message_parse(&frame, &message), ERR_OK);
    assert_int_equal(message.kind, MESSAGE_FORWARD);
    if (!span_equal(message.body, span_of_string(text)))
        fail_msg("expected «%s», got «%.*s»", text, (int)message.body.len, message.body.data);
    if (number)
        *number = message.FORWARD.number;
    uint32_t left_ms = message.FORWARD.deadline_ms;
    reply_consume(&end->session.out, consumed);
    return left_ms;
}

static void hear_nothing(const struct end *end)
{
    assert_int_equal(reply_len(&end->session.out), 0);
}

static void bench_answer(struct bench *bench, int node, uint64_t number, uint32_t status,
                         const char *body)
{
    struct message answer = {.kind = MESSAGE_ANSWER,
                             .ANSWER = {.number = number, .status = status},
                             .body = span_of_string(body)};
    coord_answered(&bench->coord, bench_link(bench, node), &answer, bench->cluster->now);
    coord_check(&bench->coord);
}

/* A node has flushed all slots that it leads. */
static void bench_flushed(struct bench *bench, int node, uint64_t number)
{
    uint8_t slots[FLUSHED_BYTES];
    bench_slots(bench, bench_peer(bench, node), slots);
    struct message answer = {.kind = MESSAGE_ANSWER,
                             .ANSWER = {.number = number, .status = ANSWER_STATUS_DONE},
                             .body = span_of((const char *)slots, sizeof(slots))};
    coord_answered(&bench->coord, bench_link(bench, node), &answer, bench->cluster->now);
    coord_check(&bench->coord);
}

#define NODE_2 "10.0.0.2:11211\n"
#define NODE_3 "10.0.0.3:11211\n"
#define NODE_1 "10.0.0.1:11211\n"

static void without_a_ring_requests_wait_for_it_and_leave_in_order(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NULL);
    bench_say(bench, "set a 0 0 1\r\n1\r\n");
    bench_say(bench, "set a 0 0 1\r\n2\r\n");
    bench_say(bench, "get a\r\n");
    bench_pass_ms(bench, 35);
    bench_place(bench, NODE_2);
    bench_say(bench, "set a 0 0 1\r\n3\r\n"); /* not before those that wait */
    (void)coord_rerouted(&bench->coord, bench->cluster->now);
    struct end *end = bench_up(bench, 1);
    uint64_t number[4];
    assert_int_equal(hear_forward(end, "set a 0 0 1\r\n1\r\n", &number[0]),
                     CLUSTER_TIMEOUT_MS - 35);
    hear_forward(end, "set a 0 0 1\r\n2\r\n", &number[1]);
    hear_forward(end, "get a\r\n", &number[2]);
    assert_int_equal(hear_forward(end, "set a 0 0 1\r\n3\r\n", &number[3]), CLUSTER_TIMEOUT_MS);
    hear_nothing(end);
    for (int i = 0; i < 4; i++)
        bench_answer(bench, 1, number[i], ANSWER_STATUS_DONE,
                     i == 2 ? "VALUE a 0 1\r\n2\r\n" : "STORED\r\n");
    client_hears(bench->client, "STORED\r\nSTORED\r\nVALUE a 0 1\r\n2\r\nEND\r\nSTORED\r\n");
    bench_close(bench);
}

static void without_a_ring_nothing_is_done_in_the_end(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NULL);
    bench_say(bench, "set a 0 0 1\r\n1\r\n");
    bench_pass_ms(bench, CLUSTER_TIMEOUT_MS - 1);
    client_hears(bench->client, "");
    assert_true(coord_deadline(&bench->coord) == bench->cluster->now.mono_ms + 1);
    bench_pass_ms(bench, 1);
    client_hears(bench->client, "SERVER_ERROR not done: no node leads this key now\r\n");
    assert_int_equal(bench->stats.unknown_outcomes, 0);
    assert_true(coord_deadline(&bench->coord) == UINT64_MAX);
    bench_close(bench);
}

static void who_does_not_lead_is_asked_again_after_growing_pauses(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NODE_2);
    bench_say(bench, "incr a 1\r\n");
    struct end *end = bench_up(bench, 1);
    static const uint64_t pauses[] = {10, 20, 40, 80, 100, 100};
    uint64_t number, again;
    hear_forward(end, "incr a 1\r\n", &number);
    for (size_t i = 0; i < ARRAY_COUNT(pauses); i++) {
        bench_answer(bench, 1, number, ANSWER_STATUS_NOT_LEADER, "it does not lead this key");
        client_hears(bench->client, "");
        bench_pass_ms(bench, pauses[i] - 1);
        hear_nothing(end);
        bench_pass_ms(bench, 1);
        hear_forward(end, "incr a 1\r\n", &again);
        assert_true(again == number);
    }
    bench_answer(bench, 1, number, ANSWER_STATUS_DONE, "5\r\n");
    client_hears(bench->client, "5\r\n");
    /* An answer that comes once more finds nobody. */
    bench_answer(bench, 1, number, ANSWER_STATUS_DONE, "6\r\n");
    client_hears(bench->client, "");
    bench_close(bench);
}

static void a_failed_link_rests_before_it_is_dialled_again(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NODE_2);
    uint32_t dials_before = bench->cluster->places[0].generation;
    uint64_t begin_ms = bench->cluster->now.mono_ms;
    uint64_t dialled_ms[8];
    uint32_t dials = 0;
    for (int i = 0; i < 5; i++)
        bench_say(bench, "get a\r\n");
    for (uint32_t ms = 0; ms < CLUSTER_TIMEOUT_MS; ms++) {
        if (bench_link(bench, 1)->state == LINK_DIALLING) {
            dialled_ms[dials++] = bench->cluster->now.mono_ms - begin_ms;
            bench_down(bench, 1);
        }
        bench_pass_ms(bench, 1);
    }
    /* Rests of 50, 100, 200 and 400 ms, each until the next try after it. */
    assert_int_equal(dials, 5);
    assert_int_equal(bench->cluster->places[0].generation - dials_before, dials);
    static const uint64_t earliest[] = {0, 50, 150, 350, 750};
    for (uint32_t i = 0; i < dials; i++)
        assert_in_range(dialled_ms[i], earliest[i], earliest[i] + i * RETRY_MS_MAX);
    client_hears(bench->client,
                 "SERVER_ERROR not done: " NO_ANSWER "SERVER_ERROR not done: " NO_ANSWER
                 "SERVER_ERROR not done: " NO_ANSWER "SERVER_ERROR not done: " NO_ANSWER
                 "SERVER_ERROR not done: " NO_ANSWER);
    bench_close(bench);
}

static void a_new_ring_is_tried_at_once(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NODE_2);
    bench_say(bench, "set a 0 0 1\r\nx\r\n");
    struct end *end = bench_up(bench, 1);
    uint64_t number;
    hear_forward(end, "set a 0 0 1\r\nx\r\n", &number);
    bench_answer(bench, 1, number, ANSWER_STATUS_NOT_LEADER, "");
    bench_say(bench, "get a\r\n");
    bench_place(bench, NODE_3);
    (void)coord_rerouted(&bench->coord, bench->cluster->now);
    struct end *other = bench_up(bench, 2);
    hear_forward(other, "set a 0 0 1\r\nx\r\n", NULL);
    hear_forward(other, "get a\r\n", NULL);
    hear_nothing(end);
    bench_close(bench);
}

static void what_is_queued_goes_to_the_new_leader_what_has_left_stays(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NODE_2);
    bench_say(bench, "set a 0 0 1\r\nx\r\n");
    struct end *old = bench_up(bench, 1);
    hear_forward(old, "set a 0 0 1\r\nx\r\n", NULL);
    bench_down(bench, 1);
    client_hears(bench->client, "SERVER_ERROR outcome unknown: " NO_ANSWER);
    bench_pass_ms(bench, 60); /* its rest is over */
    bench_say(bench, "set a 0 0 1\r\ny\r\n");
    assert_int_equal(bench_link(bench, 1)->state, LINK_DIALLING);
    bench_place(bench, NODE_3);
    (void)coord_rerouted(&bench->coord, bench->cluster->now);
    hear_forward(bench_up(bench, 2), "set a 0 0 1\r\ny\r\n", NULL);
    hear_nothing(bench_up(bench, 1));
    bench_close(bench);
}

static void a_key_that_becomes_this_node_s_own_is_given_back_in_order(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NULL);
    static const char *const texts[] = {"set a 0 0 1\r\n1\r\n", "append a 0 0 1\r\n2\r\n",
                                        "get a\r\n"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        bench_say(bench, texts[i]);
    assert_null(coord_take_own(&bench->coord));
    bench_place(bench, NODE_1);
    (void)coord_rerouted(&bench->coord, bench->cluster->now);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct forward *forward = coord_take_own(&bench->coord);
        assert_non_null(forward);
        assert_true(
            span_equal(span_of(forward->text, forward->text_len), span_of_string(texts[i])));
        assert_int_equal(forward->asker.seq, i);
        coord_free(&bench->coord, forward);
    }
    assert_null(coord_take_own(&bench->coord));
    assert_int_equal(bench->coord.count, 0);
    assert_int_equal(bench->client->session.remote_open, 0);
    bench_close(bench);
}

static void a_flush_before_there_is_a_ring_waits_for_it(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NULL);
    bench_say(bench, "flush_all\r\n");
    bench_pass_ms(bench, 300);
    bench_place(bench, NODE_1 NODE_2 NODE_3);
    (void)coord_rerouted(&bench->coord, bench->cluster->now);
    bench_flush_kept(bench);
    uint64_t number;
    assert_int_equal(hear_forward(bench_up(bench, 1), "flush_all\r\n", &number),
                     CLUSTER_TIMEOUT_MS - 300);
    bench_flushed(bench, 1, number);
    hear_forward(bench_up(bench, 2), "flush_all\r\n", &number);
    client_hears(bench->client, "");
    bench_flushed(bench, 2, number);
    client_hears(bench->client, "OK\r\n");
    bench_close(bench);
}

static void a_flush_that_waited_keeps_its_place_among_requests_that_did(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NULL);
    static const char *const texts[] = {"set a 0 0 1\r\n1\r\n", "flush_all\r\n",
                                        "set a 0 0 1\r\n2\r\n", "set b 0 0 1\r\n3\r\n"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        bench_say(bench, texts[i]);
    bench_place(bench, NODE_2);
    (void)coord_rerouted(&bench->coord, bench->cluster->now);
    bench_flush_kept(bench);
    assert_false(coord_rerouted(&bench->coord, bench->cluster->now));
    struct end *end = bench_up(bench, 1);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        hear_forward(end, texts[i], NULL);
    bench_close(bench);
}

static void a_flush_is_tried_anew_for_each_member_by_itself(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NODE_1 NODE_2 NODE_3);
    bench_flush(bench);
    bench_down(bench, 1); /* refused */
    uint64_t number;
    hear_forward(bench_up(bench, 2), "flush_all\r\n", &number);
    bench_flushed(bench, 2, number);
    bench_pass_ms(bench, 20);
    assert_int_equal(bench_link(bench, 1)->state, LINK_RESTING);
    bench_pass_ms(bench, 60);
    assert_int_equal(bench_link(bench, 1)->state, LINK_DIALLING);
    hear_forward(bench_up(bench, 1), "flush_all\r\n", &number);
    bench_flushed(bench, 1, number);
    client_hears(bench->client, "OK\r\n");
    bench_close(bench);
}

static void one_member_that_is_away_does_not_hold_up_a_flush_of_the_next(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NODE_1 NODE_2 NODE_3);
    bench_flush(bench);
    bench_down(bench, 1);
    bench_down(bench, 2);
    bench_pass_ms(bench, 20);
    links_wake(&bench->links, bench_peer(bench, 2), LANE_DATA);
    bench_pass_ms(bench, 25); /* node 2 still rests, node 3 does not */
    assert_int_equal(bench_link(bench, 1)->state, LINK_RESTING);
    assert_int_equal(bench_link(bench, 2)->state, LINK_DIALLING);
    hear_forward(bench_up(bench, 2), "flush_all\r\n", NULL);
    bench_close(bench);
}

static void nothing_leaves_after_its_deadline(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NODE_2);
    bench_say(bench, "set a 0 0 1\r\nx\r\n"); /* queued */
    bench_place(bench, NODE_2 NODE_3);
    bench->cluster->now.mono_ms += CLUSTER_TIMEOUT_MS;
    struct end *end = bench_up(bench, 1);
    hear_nothing(end);
    bench_place(bench, NODE_3); /* and now it waits */
    (void)coord_rerouted(&bench->coord, bench->cluster->now);
    assert_int_equal(bench_link(bench, 2)->state, LINK_RESTING);
    bench_pass_ms(bench, 0);
    client_hears(bench->client, "SERVER_ERROR not done: " NO_ANSWER);
    bench_close(bench);
}

static void a_flush_that_left_by_a_broken_link_is_not_repeated(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NODE_1 NODE_2);
    bench_flush(bench);
    hear_forward(bench_up(bench, 1), "flush_all\r\n", NULL);
    bench_down(bench, 1);
    uint8_t slots[FLUSHED_BYTES];
    uint32_t count = 0;
    bench_slots(bench, PEER_SELF, slots);
    for (uint32_t i = 0; i < FLUSHED_BYTES; i++)
        count += (uint32_t)__builtin_popcount(slots[i]);
    char text[96];
    snprintf(text, sizeof(text),
             "SERVER_ERROR outcome unknown: flush_all done in %u of 16384 slots\r\n", count);
    client_hears(bench->client, text);
    assert_int_equal(bench->coord.count, 0);
    bench_close(bench);
}

static void only_the_connection_it_left_by_can_answer_a_forward(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NODE_2);
    bench_say(bench, "mg a v\r\n");
    uint64_t number;
    hear_forward(bench_up(bench, 1), "mg a v\r\n", &number);
    struct link stranger = *bench_link(bench, 1);
    stranger.conn.generation++;
    struct message answer = {.kind = MESSAGE_ANSWER,
                             .ANSWER = {.number = number, .status = ANSWER_STATUS_DONE},
                             .body = SPAN_LITERAL("VA 1\r\nx\r\n")};
    coord_answered(&bench->coord, &stranger, &answer, bench->cluster->now);
    client_hears(bench->client, "");
    bench_answer(bench, 1, number + FORWARDS_MAX, ANSWER_STATUS_DONE, "VA 1\r\nx\r\n");
    client_hears(bench->client, "");
    bench_answer(bench, 1, number, ANSWER_STATUS_DONE, "EN\r\n");
    client_hears(bench->client, "EN\r\n");
    bench_close(bench);
}

static void an_answer_of_a_kind_nobody_asked_for_is_no_answer(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NODE_2);
    bench_say(bench, "mg a v\r\n");
    bench_say(bench, "md a\r\n");
    struct end *end = bench_up(bench, 1);
    uint64_t read, write;
    hear_forward(end, "mg a v\r\n", &read);
    hear_forward(end, "md a\r\n", &write);
    bench_answer(bench, 1, read, ANSWER_STATUS_DIRECT, "VA 1\r\nx\r\n");
    bench_answer(bench, 1, write, 77, "HD\r\n");
    client_hears(bench->client,
                 "SERVER_ERROR not done: " NO_ANSWER "SERVER_ERROR outcome unknown: " NO_ANSWER);
    bench_close(bench);
}

/* One aside may have been answered elsewhere, but only if that is what it says. */
static void an_unknown_kind_of_answer_leaves_no_request_aside_unanswered(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NODE_2);
    struct session *session = &bench->client->session;
    session_set_return(session, "5000,00000000000000000000000000000000");
    const struct request request = request_of("mg a v O1\r\n");
    const struct asker asker = {
        .conn = bench->client->id, .is_aside = true, .opaque = request.opaque};
    struct digest digest;
    digest_of(request.key, &digest);
    session_aside_begin(session);
    coord_forward(&bench->coord, &asker, &request, &digest, 0, bench->cluster->now);
    uint64_t number;
    hear_forward(bench_up(bench, 1), "mg a v O1\r\n", &number);
    bench_answer(bench, 1, number, 77, "HD\r\n");
    client_hears(bench->client, "SERVER_ERROR not done: no answer from 10.0.0.2:11211 O1\r\n");
    assert_int_equal(session_open_count(session), 0);
    bench_close(bench);
}

static void what_is_refused_for_good_says_why(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NODE_2);
    bench_say(bench, "md a\r\n");
    uint64_t number;
    hear_forward(bench_up(bench, 1), "md a\r\n", &number);
    bench_answer(bench, 1, number, ANSWER_STATUS_REFUSED, "no \"such\" thing");
    client_hears(bench->client, "SERVER_ERROR not done: 10.0.0.2:11211 says "
                                "no \\x22such\\x22 thing\r\n");
    bench_say(bench, "md a\r\n");
    hear_forward(end_find(&bench->cluster->places[0], bench_link(bench, 1)->conn), "md a\r\n",
                 &number);
    bench_answer(bench, 1, number, ANSWER_STATUS_NOT_LEADER, "");
    bench_pass_ms(bench, CLUSTER_TIMEOUT_MS);
    client_hears(bench->client, "SERVER_ERROR not done: 10.0.0.2:11211 does not lead this key\r\n");
    bench_close(bench);
}

static void copies_of_requests_have_a_bound_in_bytes(void **state)
{
    (void)state;
    struct bench *bench = bench_open(NULL);
    struct budget *budget = &bench->cluster->places[0].budget;
    char *text = malloc(CLUSTER_VALUE_MAX + 100);
    int len = sprintf(text, "set a 0 0 %u noreply\r\n", CLUSTER_VALUE_MAX);
    memset(text + len, 'x', CLUSTER_VALUE_MAX);
    memcpy(text + len + CLUSTER_VALUE_MAX, "\r\n", 3);
    size_t used_before = budget->used_bytes;
    bench_say(bench, text);
    assert_true(budget->used_bytes >= used_before + CLUSTER_VALUE_MAX);
    /* Memory is short before the bound of copies is reached: 64 MiB, a sixteenth and 8 MiB more. */
    uint32_t taken = 1;
    while (bench->client->session.answer_seq == 0 && taken < 100) {
        bench_say(bench, text);
        taken += bench->coord.count > taken;
        if (bench->coord.count < bench->client->session.next_seq)
            break;
    }
    assert_in_range(taken, 60, 78);
    bench_pass_ms(bench, CLUSTER_TIMEOUT_MS);
    assert_int_equal(bench->coord.count, 0);
    assert_int_equal(budget->used_bytes, used_before);
    /* Without a budget the bound of the copies counts. */
    bench->client->session.out.bytes.budget = NULL;
    uint32_t before = 0;
    do {
        before = bench->coord.count;
        bench_say(bench, text);
    } while (bench->coord.count > before);
    assert_int_equal(bench->coord.count, FORWARD_BYTES_MAX / CLUSTER_VALUE_MAX - 1);
    free(text);
    bench_pass_ms(bench, CLUSTER_TIMEOUT_MS);
    bench->client->session.out.bytes.budget = budget;
    client_hears(bench->client, "");
    bench_close(bench);
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
        cmocka_unit_test(a_broken_link_ends_writes_at_once_and_reads_are_tried_anew),
        cmocka_unit_test(a_write_is_carried_out_once_its_node_is_there),
        cmocka_unit_test(a_client_that_has_gone_harms_nothing),
        cmocka_unit_test(more_than_the_bound_under_way_is_busy),
        cmocka_unit_test(a_failed_link_rests_before_it_is_dialled_again),
        cmocka_unit_test(without_a_ring_requests_wait_for_it_and_leave_in_order),
        cmocka_unit_test(without_a_ring_nothing_is_done_in_the_end),
        cmocka_unit_test(who_does_not_lead_is_asked_again_after_growing_pauses),
        cmocka_unit_test(a_new_ring_is_tried_at_once),
        cmocka_unit_test(what_is_queued_goes_to_the_new_leader_what_has_left_stays),
        cmocka_unit_test(a_key_that_becomes_this_node_s_own_is_given_back_in_order),
        cmocka_unit_test(a_flush_before_there_is_a_ring_waits_for_it),
        cmocka_unit_test(a_flush_that_waited_keeps_its_place_among_requests_that_did),
        cmocka_unit_test(a_flush_is_tried_anew_for_each_member_by_itself),
        cmocka_unit_test(one_member_that_is_away_does_not_hold_up_a_flush_of_the_next),
        cmocka_unit_test(nothing_leaves_after_its_deadline),
        cmocka_unit_test(a_flush_that_left_by_a_broken_link_is_not_repeated),
        cmocka_unit_test(only_the_connection_it_left_by_can_answer_a_forward),
        cmocka_unit_test(an_answer_of_a_kind_nobody_asked_for_is_no_answer),
        cmocka_unit_test(an_unknown_kind_of_answer_leaves_no_request_aside_unanswered),
        cmocka_unit_test(what_is_refused_for_good_says_why),
        cmocka_unit_test(copies_of_requests_have_a_bound_in_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
