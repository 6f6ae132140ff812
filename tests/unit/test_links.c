/* Links: who may have one, and what happens on the way to it. */
#include "tests/unit/cluster.h"

#include "server/core/links.h"

/* A connection to node 0 on which the test itself speaks as another node. */
static struct end *stranger_open(struct cluster *cluster)
{
    return end_open(&cluster->places[0]);
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

/* What node 0 itself would say, or one that is none of the cluster's nodes. */
static struct message hello_from(const struct cluster *cluster, int node)
{
    return (struct message){.kind = MESSAGE_HELLO,
                            .HELLO = {.oldest = 1,
                                      .newest = PROTOCOL_NEWEST,
                                      .kind = SPAN_LITERAL("data"),
                                      .cluster = SPAN_LITERAL("dht"),
                                      .gossip = SPAN_LITERAL("random"),
                                      .from = node == 0 ? span_of_string(cluster->names[0])
                                                        : SPAN_LITERAL("10.0.0.9:11211"),
                                      .generation = 77,
                                      .boot = 5,
                                      .to = span_of_string(cluster->names[0])}};
}

struct heard {
    enum message_kind kind;
    char body[256];
    char why[MESSAGE_WORD_BYTES_MAX + 1]; /* of a REFUSED */
    uint64_t boot;                        /* of a WELCOME */
    uint32_t status;                      /* of an ANSWER */
};

/* The next message that node 0 has sent on end. */
static struct heard hear(struct end *end)
{
    struct frame frame;
    struct message message;
    size_t consumed, need;
    struct span out = buf_span(&end->session.out.bytes);
    assert_int_equal(frame_parse(out.data, out.len, &frame, &consumed, &need), FRAME_DONE);
    assert_int_equal(message_parse(&frame, &message), ERR_OK);
    struct heard heard = {.kind = message.kind};
    snprintf(heard.body, sizeof(heard.body), "%.*s", (int)message.body.len, message.body.data);
    if (message.kind == MESSAGE_REFUSED)
        snprintf(heard.why, sizeof(heard.why), "%.*s", (int)message.REFUSED.why.len,
                 message.REFUSED.why.data);
    if (message.kind == MESSAGE_WELCOME)
        heard.boot = message.WELCOME.boot;
    if (message.kind == MESSAGE_ANSWER)
        heard.status = message.ANSWER.status;
    reply_consume(&end->session.out, consumed);
    return heard;
}

/* What node 0 says to a first message. Said by hand: what is refused is closed once it has been
 * told why. */
static struct heard say_first(struct cluster *cluster, struct end *end, struct span header)
{
    struct reply bytes = {0};
    frame_append(&bytes, header, span_of(NULL, 0));
    struct frame frame;
    size_t consumed, need;
    assert_int_equal(frame_parse(bytes.bytes.data, reply_len(&bytes), &frame, &consumed, &need),
                     FRAME_DONE);
    node_turn(cluster->places[0].node, cluster->now);
    node_frame(cluster->places[0].node, end->id, &frame);
    reply_close(&bytes);
    struct heard heard = hear(end);
    assert_true(end->is_closing || heard.kind == MESSAGE_WELCOME);
    cluster_settle(cluster);
    return heard;
}

static struct heard say_hello(struct cluster *cluster, struct end *end, const struct message *hello)
{
    struct reply bytes = {0};
    message_append(&bytes, hello);
    struct frame frame;
    size_t consumed, need;
    assert_int_equal(frame_parse(bytes.bytes.data, reply_len(&bytes), &frame, &consumed, &need),
                     FRAME_DONE);
    struct heard heard = say_first(cluster, end, frame.header);
    reply_close(&bytes);
    return heard;
}

/* A connection to node 0 that is opened with this hello. */
static struct end *stranger_greeting(struct cluster *cluster, const struct message *hello)
{
    struct end *end = stranger_open(cluster);
    say(cluster, end, hello);
    return end;
}

/* A link to node 0 that is up. */
static struct end *link_open(struct cluster *cluster)
{
    struct message hello = hello_from(cluster, 1);
    struct end *end = stranger_greeting(cluster, &hello);
    assert_int_equal(hear(end).kind, MESSAGE_WELCOME);
    assert_true(end->is_open);
    return end;
}

static void a_node_of_the_same_cluster_is_welcome(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *end = stranger_open(cluster);
    struct message hello = hello_from(cluster, 1);
    hello.HELLO.newest = 9;
    say(cluster, end, &hello);
    assert_int_equal(hear(end).kind, MESSAGE_WELCOME);
    assert_true(end->is_open);
    cluster_close(cluster);
}

struct refusal {
    const char *why;
    void (*spoil)(struct message_HELLO *hello);
    const char *reason;
};

static void spoil_cluster(struct message_HELLO *hello)
{
    hello->cluster = SPAN_LITERAL("other");
}
static void spoil_gossip(struct message_HELLO *hello)
{
    hello->gossip = SPAN_LITERAL("round-robin");
}
static void spoil_version(struct message_HELLO *hello)
{
    hello->oldest = hello->newest = PROTOCOL_NEWEST + 1;
}
static void spoil_versions(struct message_HELLO *hello)
{
    hello->oldest = PROTOCOL_NEWEST;
    hello->newest = PROTOCOL_NEWEST - 1;
}
static void spoil_to(struct message_HELLO *hello)
{
    hello->to = SPAN_LITERAL("10.0.0.2:11211");
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
        {"version", spoil_version, "no protocol version in common"},
        {"version", spoil_versions, "no protocol version in common"},
        {"cluster", spoil_cluster, "a node of another cluster: --cluster must be the same"},
        {"gossip", spoil_gossip, "another gossip strategy: --gossip must be the same"},
        {"kind", spoil_kind, "unknown kind of connection"},
        {"name", spoil_to, "not the node that was meant"},
        {"self", spoil_self, "the sender bears the name of this node"},
    };
    struct cluster *cluster = cluster_open(3);
    struct stats *stats = node_stats(cluster->places[0].node);
    for (size_t i = 0; i < ARRAY_COUNT(refusals); i++) {
        struct end *end = stranger_open(cluster);
        struct message hello = hello_from(cluster, 1);
        refusals[i].spoil(&hello.HELLO);
        struct heard heard = say_hello(cluster, end, &hello);
        assert_int_equal(heard.kind, MESSAGE_REFUSED);
        assert_string_equal(heard.why, refusals[i].why);
        assert_string_equal(heard.body, refusals[i].reason);
        assert_false(end->is_open);
        assert_int_equal(stats->peers_refused, i + 1);
    }
    cluster_close(cluster);
}

static void a_hello_of_other_versions_need_not_even_parse(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct heard heard = say_first(cluster, stranger_open(cluster),
                                   SPAN_LITERAL("HELLO 1 1 data a:1 b:2 0123456789abcdef"));
    assert_int_equal(heard.kind, MESSAGE_REFUSED);
    assert_string_equal(heard.why, "version");
    heard = say_first(cluster, stranger_open(cluster), SPAN_LITERAL("HELLO 7 9 what ever"));
    assert_string_equal(heard.why, "version");
    assert_int_equal(node_stats(cluster->places[0].node)->peers_refused, 2);
    assert_int_equal(node_stats(cluster->places[0].node)->frames_malformed, 0);
    /* One that names this version must be whole. */
    struct end *end = stranger_open(cluster);
    struct reply bytes = {0};
    frame_append(&bytes, SPAN_LITERAL("HELLO 4 4 data a:1"), span_of(NULL, 0));
    buf_append(&end->in, bytes.bytes.data, reply_len(&bytes));
    reply_close(&bytes);
    cluster_settle(cluster);
    assert_false(end->is_open);
    assert_int_equal(node_stats(cluster->places[0].node)->frames_malformed, 1);
    cluster_close(cluster);
}

static void a_refusal_is_logged_once_and_counted_each_time(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct place *place = &cluster->places[0];
    struct message foreign = hello_from(cluster, 1);
    foreign.HELLO.cluster = SPAN_LITERAL("other");
    for (int i = 0; i < 5; i++)
        say_hello(cluster, stranger_open(cluster), &foreign);
    assert_int_equal(node_stats(place->node)->peers_refused, 5);
    assert_int_equal(place_logged(place, " peer-refused "), 1);
    assert_int_equal(place_logged(place, "said=other reason=\"a node of another cluster"), 1);
    /* Another reason is news, and so is the first one after a welcome. */
    struct message other = hello_from(cluster, 1);
    other.HELLO.gossip = SPAN_LITERAL("sequence-check");
    say_hello(cluster, stranger_open(cluster), &other);
    assert_int_equal(place_logged(place, " peer-refused "), 2);
    struct message good = hello_from(cluster, 1);
    assert_int_equal(say_hello(cluster, stranger_open(cluster), &good).kind, MESSAGE_WELCOME);
    say_hello(cluster, stranger_open(cluster), &foreign);
    assert_int_equal(place_logged(place, " peer-refused "), 3);
    cluster_close(cluster);
}

static void who_asks_for_this_name_is_told_and_gets_no_link(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct end *end = stranger_open(cluster);
    struct message hello = hello_from(cluster, 0);
    hello.HELLO.kind = SPAN_LITERAL("self");
    struct heard heard = say_hello(cluster, end, &hello);
    assert_int_equal(heard.kind, MESSAGE_WELCOME);
    assert_int_equal(heard.boot, 1);
    assert_false(end->is_open);
    assert_int_equal(node_stats(cluster->places[0].node)->peers_refused, 0);
    cluster_close(cluster);
}

static void each_lane_has_a_connection_of_its_own(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct message hello = hello_from(cluster, 1);
    struct end *data = stranger_greeting(cluster, &hello);
    struct end *control = stranger_open(cluster);
    hello.HELLO.kind = SPAN_LITERAL("control");
    say(cluster, control, &hello);
    assert_true(data->is_open && control->is_open);
    cluster_close(cluster);
}

static void a_node_that_has_started_again_closes_its_former_connections(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct message hello = hello_from(cluster, 1);
    hello.HELLO.kind = SPAN_LITERAL("control");
    struct end *control = stranger_greeting(cluster, &hello);
    hello.HELLO.kind = SPAN_LITERAL("data");
    struct end *same = stranger_greeting(cluster, &hello);
    assert_true(control->is_open);
    /* A higher boot alone is the same process, renewed. */
    hello.HELLO.boot++;
    struct end *renewed = stranger_greeting(cluster, &hello);
    assert_true(renewed->is_open && control->is_open);
    assert_false(same->is_open);
    hello.HELLO.boot++;
    hello.HELLO.generation++;
    struct end *again = stranger_greeting(cluster, &hello);
    assert_true(again->is_open);
    assert_false(control->is_open);
    assert_false(renewed->is_open);
    cluster_close(cluster);
}

/* Links of a place without a node: for what a node does not show. */
static void bare_links(struct links *links, struct place *place, struct stats *stats)
{
    const struct links_identity identity = {
        .name = "10.0.0.1:11211", .cluster = "dht", .gossip = "random", .boot = 9};
    links_init(links, &identity, 1000, &place->env, &place->log, stats);
}

static void a_peer_is_remembered_as_long_as_it_is_held(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct stats stats = {0};
    struct links links;
    bare_links(&links, &cluster->places[0], &stats);
    assert_int_equal(links_peer(&links, "10.0.0.1:11211"), PEER_SELF);
    uint32_t first = links_peer(&links, "a:1"), second = links_peer(&links, "b:2");
    assert_int_not_equal(first, second);
    assert_int_equal(links_peer(&links, "a:1"), first);
    links_hold(&links, first);
    links_hold(&links, first);
    links_sweep(&links, cluster->now);
    assert_int_equal(links_find_peer(&links, SPAN_LITERAL("b:2")), PEER_NONE);
    assert_string_equal(links_name(&links, first), "a:1");
    links_release(&links, first);
    links_sweep(&links, cluster->now);
    assert_int_equal(links_find_peer(&links, SPAN_LITERAL("a:1")), first);
    links_release(&links, first);
    links_sweep(&links, cluster->now);
    assert_int_equal(links_find_peer(&links, SPAN_LITERAL("a:1")), PEER_NONE);
    assert_int_equal(links_find_peer(&links, SPAN_LITERAL("10.0.0.1:11211")), PEER_SELF);
    links_close(&links);
    cluster_close(cluster);
}

static void peers_have_a_bound_and_their_places_are_used_again(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(1);
    struct stats stats = {0};
    struct links links;
    bare_links(&links, &cluster->places[0], &stats);
    char name[32];
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 1; i < PEERS_MAX; i++) {
            snprintf(name, sizeof(name), "n%u-%d:1", i, round);
            assert_int_not_equal(links_peer(&links, name), PEER_NONE);
        }
        assert_int_equal(links_peer(&links, "one.more:1"), PEER_NONE);
        assert_int_equal(links_find_peer(&links, span_of_string(name)), links_peer(&links, name));
        links_sweep(&links, cluster->now);
        assert_int_equal(links.peer_count, 1);
    }
    links_close(&links);
    cluster_close(cluster);
}

/* Strangers make place for each other, and never take all of it. */
static void a_flood_of_names_keeps_nobody_out(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(1);
    struct stats stats = {0};
    struct links links;
    bare_links(&links, &cluster->places[0], &stats);
    char name[32];
    struct link_news news;
    uint32_t held = links_peer(&links, "10.0.0.2:11211");
    links_hold(&links, held);
    for (uint32_t i = 0; i < PEERS_MAX + 10; i++) {
        snprintf(name, sizeof(name), "stranger%u:1", i);
        struct message hello = hello_from(cluster, 1);
        hello.HELLO.from = span_of_string(name);
        struct end *end = stranger_open(cluster);
        links_handshake(&links, NULL, end->id, &hello, 0, cluster->now);
        assert_int_equal(hear(end).kind, MESSAGE_WELCOME);
        assert_non_null(links_find(&links, end->id));
        while (links_take_news(&links, &news))
            assert_int_equal(news.change, LINK_CAME_UP);
        if (i % 16 == 15) /* the test has few connections: these have gone away again */
            for (uint32_t n = 0; n < CLUSTER_CONNS_MAX; n++)
                if (cluster->places[0].ends[n].is_open) {
                    struct link *link = links_find(&links, cluster->places[0].ends[n].id);
                    if (link)
                        links_end(&links, link, DISCONNECT_CLOSED, NULL, cluster->now);
                    while (links_take_news(&links, &news))
                        continue;
                }
    }
    assert_int_equal(links.peer_count, PEERS_MAX - PEERS_RESERVED);
    assert_int_equal(links_find_peer(&links, SPAN_LITERAL("10.0.0.2:11211")), held);
    for (uint32_t i = 0; i < PEERS_RESERVED; i++) { /* for whom this node wants */
        snprintf(name, sizeof(name), "wanted%u:1", i);
        assert_int_not_equal(links_peer(&links, name), PEER_NONE);
    }
    assert_int_equal(stats.peers_refused, 0);
    links_close(&links);
    cluster_close(cluster);
}

static void an_older_process_of_a_name_is_refused(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct place *place = &cluster->places[0];
    struct stats stats = {0};
    struct links links;
    bare_links(&links, place, &stats);
    struct message hello = hello_from(cluster, 1);
    struct end *end = stranger_open(cluster);
    links_handshake(&links, NULL, end->id, &hello, hello.HELLO.boot + 1, cluster->now);
    struct heard heard = hear(end);
    assert_int_equal(heard.kind, MESSAGE_REFUSED);
    assert_string_equal(heard.why, "boot");
    end = stranger_open(cluster);
    links_handshake(&links, NULL, end->id, &hello, hello.HELLO.boot, cluster->now);
    assert_int_equal(hear(end).kind, MESSAGE_WELCOME);
    struct link_news news;
    assert_true(links_take_news(&links, &news));
    assert_int_equal(news.change, LINK_CAME_UP);
    assert_int_equal(news.boot, hello.HELLO.boot);
    assert_false(news.is_dialled);
    assert_false(links_take_news(&links, &news));
    links_close(&links);
    cluster_close(cluster);
}

/* Dials peer b:2 and lets the connection come to stand. */
static struct link *greeting_link(struct links *links, struct cluster *cluster, enum lane lane)
{
    struct link *link = links_to(links, links_peer(links, cluster->names[1]), lane, cluster->now);
    assert_non_null(link);
    links_connected(links, link);
    return link;
}

static void what_answers_a_hello_decides_how_the_link_ends(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct stats stats = {0};
    struct links links;
    bare_links(&links, &cluster->places[0], &stats);
    struct span name = span_of_string(cluster->names[1]);
    const struct {
        struct message message;
        enum disconnect why;
        bool is_superseded;
    } cases[] = {
        {{.kind = MESSAGE_WELCOME, .WELCOME = {.version = 1, .from = name, .boot = 9}},
         DISCONNECT_DENIED,
         false},
        {{.kind = MESSAGE_WELCOME,
          .WELCOME = {.version = PROTOCOL_NEWEST, .from = SPAN_LITERAL("z:9"), .boot = 9}},
         DISCONNECT_STRANGER,
         false},
        {{.kind = MESSAGE_WELCOME,
          .WELCOME = {.version = PROTOCOL_NEWEST, .from = name, .boot = 7}},
         DISCONNECT_STRANGER,
         false},
        {{.kind = MESSAGE_REFUSED, .REFUSED = {.why = SPAN_LITERAL("cluster"), .from = name}},
         DISCONNECT_STRANGER,
         false},
        {{.kind = MESSAGE_REFUSED, .REFUSED = {.why = SPAN_LITERAL("name"), .from = name}},
         DISCONNECT_STRANGER,
         false},
        {{.kind = MESSAGE_REFUSED, .REFUSED = {.why = SPAN_LITERAL("gossip"), .from = name}},
         DISCONNECT_DENIED,
         false},
        {{.kind = MESSAGE_REFUSED, .REFUSED = {.why = SPAN_LITERAL("boot"), .from = name}},
         DISCONNECT_DENIED,
         true},
        {{.kind = MESSAGE_PONG, .PONG = {.number = 1}}, DISCONNECT_DENIED, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct link *link = greeting_link(&links, cluster, LANE_CONTROL);
        links_handshake(&links, link, link->conn, &cases[i].message, 8, cluster->now);
        assert_int_equal(link->state, LINK_RESTING);
        struct link_news news;
        assert_true(links_take_news(&links, &news));
        assert_int_equal(news.change, LINK_ENDED);
        assert_int_equal(news.why, cases[i].why);
        assert_false(news.was_up);
        assert_true(news.is_superseded == cases[i].is_superseded);
        assert_null(links_to(&links, link->peer, LANE_CONTROL, cluster->now));
        links_wake(&links, link->peer, LANE_CONTROL);
    }
    struct link *link = greeting_link(&links, cluster, LANE_CONTROL);
    struct message welcome = {
        .kind = MESSAGE_WELCOME,
        .WELCOME = {.version = PROTOCOL_NEWEST, .from = name, .generation = 3, .boot = 8}};
    links_handshake(&links, link, link->conn, &welcome, 8, cluster->now);
    assert_int_equal(link->state, LINK_UP);
    assert_int_equal(links.up_count, 1);
    struct link_news news;
    assert_true(links_take_news(&links, &news));
    assert_int_equal(news.change, LINK_CAME_UP);
    assert_true(news.is_dialled);
    assert_int_equal(news.generation, 3);
    links_drop(&links, link->peer, LANE_CONTROL, cluster->now);
    assert_false(links_take_news(&links, &news)); /* gossip wanted it so */
    assert_int_equal(links.up_count, 0);
    links_close(&links);
    cluster_close(cluster);
}

static void what_answers_and_is_no_node_is_said_once(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct place *place = &cluster->places[0];
    struct stats stats = {0};
    struct links links;
    bare_links(&links, place, &stats);
    const struct message refusal = {
        .kind = MESSAGE_REFUSED,
        .REFUSED = {.why = SPAN_LITERAL("cluster"), .from = span_of_string(cluster->names[1])}};
    for (int i = 0; i < 6; i++) {
        struct link *link = greeting_link(&links, cluster, LANE_CONTROL);
        if (i < 3)
            links_end(&links, link, DISCONNECT_DENIED, "of this test", cluster->now);
        else
            links_handshake(&links, link, link->conn, &refusal, 8, cluster->now);
        links_wake(&links, link->peer, LANE_CONTROL);
        struct link_news news;
        while (links_take_news(&links, &news))
            ;
        links_sweep(&links, cluster->now); /* forgets the peer */
        assert_int_equal(links_find_peer(&links, span_of_string(cluster->names[1])), PEER_NONE);
    }
    assert_int_equal(place_logged(place, "warn - link-down member=10.0.0.2:11211 lane=control"), 1);
    assert_int_equal(place_logged(place, "warn - refused-by-peer "), 1);
    /* That nobody answers is no news. */
    struct link *link = greeting_link(&links, cluster, LANE_CONTROL);
    links_end(&links, link, DISCONNECT_MUTE, NULL, cluster->now);
    assert_int_equal(place_logged(place, "warn - link-down member=10.0.0.2:11211 lane=control"), 1);
    links_close(&links);
    cluster_close(cluster);
}

static void an_idle_data_link_to_who_is_not_on_the_ring_is_closed(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct stats stats = {0};
    struct links links;
    bare_links(&links, &cluster->places[0], &stats);
    struct list forward;
    struct link *link[3];
    for (int i = 1; i < 3; i++)
        link[i] = links_to(&links, links_peer(&links, cluster->names[i]), LANE_DATA, cluster->now);
    links.peers[link[1]->peer]->is_routed = true;
    list_append(&links.peers[link[2]->peer]->forwards, &forward);
    links_sweep(&links, cluster->now);
    assert_int_equal(link[1]->state, LINK_DIALLING);
    assert_int_equal(link[2]->state, LINK_DIALLING);
    list_remove(&forward);
    links.peers[link[1]->peer]->is_routed = false;
    struct moment now = cluster->now;
    now.mono_ms += 4999;
    links_sweep(&links, now); /* they were asked for lately */
    assert_int_equal(link[1]->state, LINK_DIALLING);
    assert_int_equal(link[2]->state, LINK_DIALLING);
    now.mono_ms++;
    links_sweep(&links, now);
    assert_int_equal(link[1]->state, LINK_RESTING);
    assert_int_equal(link[2]->state, LINK_RESTING);
    struct link_news news;
    assert_true(links_take_news(&links, &news));
    assert_true(links_take_news(&links, &news));
    links_sweep(&links, cluster->now);
    assert_int_equal(links.peer_count, 1);
    links_close(&links);
    cluster_close(cluster);
}

static void a_link_that_does_not_come_up_is_late(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct stats stats = {0};
    struct links links;
    bare_links(&links, &cluster->places[0], &stats);
    struct moment now = cluster->now;
    assert_true(links_deadline(&links) == UINT64_MAX);
    struct link *first = greeting_link(&links, cluster, LANE_CONTROL);
    now.mono_ms += 10;
    struct link *second = links_to(&links, first->peer, LANE_DATA, now);
    assert_true(links_deadline(&links) == cluster->now.mono_ms + 1000);
    now.mono_ms = cluster->now.mono_ms + 999;
    assert_null(links_late(&links, now));
    now.mono_ms++;
    assert_ptr_equal(links_late(&links, now), first);
    links_end(&links, first, DISCONNECT_TIMEOUT, NULL, now);
    assert_null(links_late(&links, now));
    assert_true(links_deadline(&links) == second->deadline_ms);
    links_close(&links);
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

/* A data link to node 1, or a control link, which its process of that boot has welcomed. */
static struct link *welcomed_link(struct links *links, struct cluster *cluster, enum lane lane,
                                  uint64_t boot)
{
    struct span name = span_of_string(cluster->names[1]);
    const struct message welcome = {
        .kind = MESSAGE_WELCOME,
        .WELCOME = {.version = PROTOCOL_NEWEST, .from = name, .generation = 3, .boot = boot}};
    struct link *link = greeting_link(links, cluster, lane);
    struct reply *out = &links->env->session(links->env->shell, link->conn)->out;
    reply_consume(out, reply_len(out)); /* the HELLO is acknowledged */
    links_handshake(links, link, link->conn, &welcome, boot, cluster->now);
    assert_int_equal(link->state, LINK_UP);
    return link;
}

/* Who took a later boot may have forgotten the connection, and over an idle one nobody would
 * notice. */
static void an_idle_data_link_is_made_anew_for_a_later_boot(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct stats stats = {0};
    struct links links;
    bare_links(&links, &cluster->places[0], &stats);
    struct link *data = welcomed_link(&links, cluster, LANE_DATA, 8);
    struct list forward;
    list_append(&links.peers[data->peer]->forwards, &forward);
    struct link *control = welcomed_link(&links, cluster, LANE_CONTROL, 9);
    assert_int_equal(data->state, LINK_UP); /* an answer is awaited, or that it breaks */
    list_remove(&forward);
    links_drop(&links, control->peer, LANE_CONTROL, cluster->now);
    links_wake(&links, control->peer, LANE_CONTROL);
    welcomed_link(&links, cluster, LANE_CONTROL, 9);
    assert_int_equal(data->state, LINK_RESTING);
    assert_non_null(strstr(data->reason, "a later boot"));
    assert_int_equal(place_logged(&cluster->places[0], "has started again"), 0);
    links_close(&links);
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
         .FORWARD = {.number = 1,
                     .client = SPAN_LITERAL("-"),
                     .direct = SPAN_LITERAL("-"),
                     .total = UINT32_MAX},
         .body = SPAN_LITERAL("get k\r\n")},
        {.kind = MESSAGE_FORWARD,
         .FORWARD =
             {.number = 1, .client = SPAN_LITERAL("-"), .direct = SPAN_LITERAL("-"), .total = 3},
         .body = SPAN_LITERAL("get k\r\n")},
    };
    for (size_t i = 0; i < ARRAY_COUNT(messages); i++) {
        struct end *end = link_open(cluster);
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
    struct end *older = stranger_greeting(cluster, &hello);
    struct end *newer = stranger_greeting(cluster, &hello);
    assert_false(older->is_open);
    assert_true(newer->is_open);
    cluster_close(cluster);
}

static void a_forward_is_never_forwarded_again(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *end = link_open(cluster);
    char key[32], text[64];
    key_led_by(cluster, 2, key);
    snprintf(text, sizeof(text), "get %s\r\n", key);
    struct message forward = {.kind = MESSAGE_FORWARD,
                              .FORWARD = {.number = 5,
                                          .client = SPAN_LITERAL("192.0.2.7:99"),
                                          .direct = SPAN_LITERAL("-")}};
    digest_of(span_of_string(key), &forward.FORWARD.digest);
    struct reply frames = {0};
    link_append(&frames, &forward, span_of_string(text));
    reply_close(&frames);
    say(cluster, end, &forward);
    struct heard heard = hear(end);
    assert_int_equal(heard.kind, MESSAGE_ANSWER);
    assert_int_equal(heard.status, ANSWER_STATUS_NOT_LEADER);
    assert_int_equal(node_forward_count(cluster->places[0].node), 0);
    cluster_close(cluster);
}

static void the_same_ring_with_another_leader_is_no_matter_of_time(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    struct end *end = link_open(cluster);
    char key[32], text[64];
    key_led_by(cluster, 2, key);
    int len = snprintf(text, sizeof(text), "get %s\r\n", key);
    struct message forward = {.kind = MESSAGE_FORWARD,
                              .FORWARD = {.number = 5,
                                          .client = SPAN_LITERAL("-"),
                                          .epoch = node_route(cluster->places[0].node)->view.epoch,
                                          .direct = SPAN_LITERAL("-"),
                                          .total = (uint32_t)len},
                              .body = span_of(text, (size_t)len)};
    digest_of(span_of_string(key), &forward.FORWARD.digest);
    say(cluster, end, &forward);
    struct heard heard = hear(end);
    assert_int_equal(heard.status, ANSWER_STATUS_REFUSED);
    assert_string_equal(heard.body, "it does not lead this key, by the same view");
    forward.FORWARD.epoch--;
    say(cluster, end, &forward);
    assert_int_equal(hear(end).status, ANSWER_STATUS_NOT_LEADER);
    assert_int_equal(node_stats(cluster->places[0].node)->forwards_refused, 2);
    cluster_close(cluster);
}

static void a_malformed_forward_is_answered_not_executed(void **state)
{
    (void)state;
    static const char *const texts[] = {"get a b\r\n", "get a\r\nget b\r\n", "set a 0 0 5\r\nx\r\n",
                                        "version\r\n", "quit\r\n",           "get\r\n"};
    struct cluster *cluster = cluster_open(2);
    struct end *end = link_open(cluster);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct message forward = {
            .kind = MESSAGE_FORWARD,
            .FORWARD = {.number = i, .client = SPAN_LITERAL("-"), .direct = SPAN_LITERAL("-")}};
        struct reply frames = {0};
        link_append(&frames, &forward, span_of_string(texts[i]));
        reply_close(&frames);
        say(cluster, end, &forward);
        struct heard heard = hear(end);
        assert_int_equal(heard.kind, MESSAGE_ANSWER);
        assert_int_equal(heard.status, ANSWER_STATUS_REFUSED);
        assert_true(strcmp(heard.body, "the forward is malformed") == 0 ||
                    strcmp(heard.body, "it is no command on a key") == 0);
    }
    assert_int_equal(node_stats(cluster->places[0].node)->forwards_served, 0);
    cluster_close(cluster);
}

static void a_wrong_checksum_closes_the_link_and_is_counted(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    struct end *end = link_open(cluster);
    struct reply frame = {0};
    struct message forward = {
        .kind = MESSAGE_FORWARD,
        .FORWARD = {.client = SPAN_LITERAL("-"), .direct = SPAN_LITERAL("-")}};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_of_the_same_cluster_is_welcome),
        cmocka_unit_test(every_other_hello_is_refused_with_its_reason),
        cmocka_unit_test(a_hello_of_other_versions_need_not_even_parse),
        cmocka_unit_test(a_refusal_is_logged_once_and_counted_each_time),
        cmocka_unit_test(who_asks_for_this_name_is_told_and_gets_no_link),
        cmocka_unit_test(each_lane_has_a_connection_of_its_own),
        cmocka_unit_test(a_node_that_has_started_again_closes_its_former_connections),
        cmocka_unit_test(a_peer_is_remembered_as_long_as_it_is_held),
        cmocka_unit_test(peers_have_a_bound_and_their_places_are_used_again),
        cmocka_unit_test(a_flood_of_names_keeps_nobody_out),
        cmocka_unit_test(an_older_process_of_a_name_is_refused),
        cmocka_unit_test(what_answers_a_hello_decides_how_the_link_ends),
        cmocka_unit_test(what_answers_and_is_no_node_is_said_once),
        cmocka_unit_test(an_idle_data_link_to_who_is_not_on_the_ring_is_closed),
        cmocka_unit_test(a_link_that_does_not_come_up_is_late),
        cmocka_unit_test(a_frame_before_hello_closes_the_connection),
        cmocka_unit_test(an_idle_data_link_is_made_anew_for_a_later_boot),
        cmocka_unit_test(messages_out_of_place_close_the_link),
        cmocka_unit_test(a_newer_connection_of_a_member_closes_the_older),
        cmocka_unit_test(a_forward_is_never_forwarded_again),
        cmocka_unit_test(the_same_ring_with_another_leader_is_no_matter_of_time),
        cmocka_unit_test(a_malformed_forward_is_answered_not_executed),
        cmocka_unit_test(a_wrong_checksum_closes_the_link_and_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
