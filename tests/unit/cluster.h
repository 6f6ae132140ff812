/* Several nodes in one process, joined by connections made of buffers: for test_node.c,
 * test_links.c and test_coord.c. No clock, no sockets; whatever is to happen, a test says so. */
#ifndef DHT_TESTS_UNIT_CLUSTER_H
#define DHT_TESTS_UNIT_CLUSTER_H

#include "common/check.h"
#include "common/peers.h"
#include "common/prng.h"
#include "common/ring.h"
#include "server/core/node.h"
#include "server/core/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CLUSTER_NODES_MAX  11
#define CLUSTER_CONNS_MAX  128
#define CLUSTER_VALUE_MAX  (1024u * 1024)
#define CLUSTER_TIMEOUT_MS 1000u

struct cluster;

/* One end of a connection. */
struct end {
    bool is_open;
    bool is_client;
    bool is_raw; /* dialled to a client, for direct answers: the test is that client */
    bool is_connecting;
    bool is_closing; /* after what is in out has been taken */
    bool is_lost;    /* the other end has closed it; the node is to be told */
    struct conn_id id;
    struct session session;
    struct request_parser parser;
    struct buf in;
    int peer_node; /* the other end; -1: the test */
    int peer_index;
    char dialled[CLIENT_TEXT_BYTES_MAX]; /* is_raw: whom */
};

struct place {
    struct cluster *cluster;
    int number;
    bool is_absent;         /* nothing listens: dials are refused */
    bool is_mute;           /* takes nothing in, answers nothing: stopped, or cut off */
    bool goes_mute;         /* from the next moment on */
    int frames_left;        /* it goes mute once it has answered so many frames; 0: never */
    const char *last_frame; /* it goes mute once it has answered one that begins so; NULL: none */
    const char *lost_frame; /* one that begins so never comes; NULL: none */
    int lost_count;         /* so many have not */
    struct view view;
    struct budget budget;
    struct log log;
    struct buf lines; /* what has been logged */
    struct env env;
    struct store *store;
    struct node *node;
    struct end ends[CLUSTER_CONNS_MAX];
    uint32_t generation;
    uint64_t boot; /* starts so far */
    uint64_t born; /* the start whose data it keeps; 0: each start has none */
    struct prng entropy;
    struct log audit;    /* used if is_audited */
    struct buf audited;  /* its lines */
    bool is_audited;     /* from the next start on */
    bool can_shutdown;   /* the same */
    bool no_direct;      /* --direct-answers off */
    bool evicts;         /* from the next start on: --evictions on */
    bool clients_refuse; /* dials to clients come to nothing */
    bool has_ended;      /* the node has asked to stop */
    enum node_end end;
    struct buf state;  /* the state file; it outlives the node */
    bool is_disk_full; /* it cannot be written */
    bool has_no_state; /* from the next start on there is none */
    uint64_t states_kept;
};

struct cluster {
    int count;
    bool is_closing;
    struct gossip_options timers;
    struct views_options views;
    struct moment now;
    char names[CLUSTER_NODES_MAX][ADDRESS_TEXT_BYTES_MAX];
    struct place places[CLUSTER_NODES_MAX];
};

static inline struct end *end_find(struct place *place, struct conn_id id)
{
    if (id.index >= CLUSTER_CONNS_MAX)
        return NULL;
    struct end *end = &place->ends[id.index];
    return end->is_open && end->id.generation == id.generation ? end : NULL;
}

static inline struct end *end_open(struct place *place)
{
    for (uint32_t i = 0; i < CLUSTER_CONNS_MAX; i++) {
        struct end *end = &place->ends[i];
        if (end->is_open)
            continue;
        *end = (struct end){.is_open = true, .id = {i, ++place->generation}, .peer_node = -1};
        return end;
    }
    CHECK(!"a connection is free");
    return NULL;
}

/* The other end's node is told when everything settles, after what it has been sent. */
static inline void end_close(struct place *place, struct end *end)
{
    if (end->peer_node >= 0 && !end->is_connecting) {
        struct end *other = &place->cluster->places[end->peer_node].ends[end->peer_index];
        other->is_lost = true;
        other->peer_node = -1;
    }
    session_close(&end->session);
    buf_close(&end->in);
    end->is_open = false;
}

static inline struct session *cluster_session(void *arg, struct conn_id id)
{
    struct end *end = end_find(arg, id);
    return end ? &end->session : NULL;
}

static inline void cluster_client_text(void *arg, struct conn_id id,
                                       char text[CLIENT_TEXT_BYTES_MAX])
{
    (void)arg;
    snprintf(text, CLIENT_TEXT_BYTES_MAX, "192.0.2.1:%u", id.index + 1024);
}

static inline struct conn_id cluster_dial(void *arg, const char *name)
{
    struct place *place = arg;
    struct end *end = end_open(place);
    end->is_connecting = true;
    for (int i = 0; i < place->cluster->count; i++)
        if (strcmp(place->cluster->names[i], name) == 0)
            end->peer_node = i;
    if (end->peer_node >= 0)
        return end->id;
    end->is_open = false; /* nobody is called so */
    return (struct conn_id){0};
}

/* The test is the client: its end is the one that the node talks to. */
static inline struct conn_id cluster_dial_client(void *arg, const char *address)
{
    struct end *end = end_open(arg);
    end->is_raw = true;
    end->is_connecting = true;
    snprintf(end->dialled, sizeof(end->dialled), "%s", address);
    return end->id;
}

static inline uint64_t cluster_unacked(void *arg, struct conn_id id)
{
    struct end *end = end_find(arg, id);
    return end ? reply_len(&end->session.out) : 0;
}

static inline void cluster_entropy(void *arg, void *bytes, size_t len)
{
    struct place *place = arg;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)prng_next(&place->entropy);
}

static inline void cluster_end(void *arg, enum node_end why)
{
    struct place *place = arg;
    place->has_ended = true;
    place->end = why;
}

static inline bool cluster_keep_state(void *arg, struct span text)
{
    struct place *place = arg;
    if (place->is_disk_full)
        return false;
    buf_consume(&place->state, buf_len(&place->state));
    buf_append(&place->state, text.data, text.len);
    place->states_kept++;
    return true;
}

static inline void cluster_close_conn(void *arg, struct conn_id id, bool after_sending)
{
    struct end *end = end_find(arg, id);
    if (!end)
        return;
    if (after_sending)
        end->is_closing = true;
    else
        end_close(arg, end);
}

static inline void cluster_gauges(void *arg, struct stats_gauges *gauges)
{
    (void)arg;
    (void)gauges;
}

static inline void cluster_verbosity(void *arg, uint64_t level)
{
    (void)arg;
    (void)level;
}

static inline void cluster_sink(void *arg, const char *line, size_t len)
{
    struct place *place = arg;
    buf_append(&place->lines, line, len);
}

static inline void cluster_audit_sink(void *arg, const char *line, size_t len)
{
    struct place *place = arg;
    buf_append(&place->audited, line, len);
}

/* How many lines hold this text. */
static inline int lines_with(struct span lines, const char *text)
{
    int count = 0;
    while (lines.len > 0) {
        size_t len = (size_t)((char *)memchr(lines.data, '\n', lines.len) - lines.data) + 1;
        count += memmem(lines.data, len, text, strlen(text)) != NULL;
        lines = span_of(lines.data + len, lines.len - len);
    }
    return count;
}

/* How many lines of a place's log hold this text. */
static inline int place_logged(const struct place *place, const char *text)
{
    return lines_with(buf_span(&place->lines), text);
}

static inline void cluster_settle(struct cluster *cluster);

/* Starts a place's node with an empty store, on the given list. */
static inline void place_start(struct place *place, const char *list)
{
    struct peers_error error;
    assert_int_equal(peers_parse(span_of_string(list), &place->view, &error), ERR_OK);
    prng_init(&place->entropy, (uint64_t)place->number + 1 + 100 * place->boot);
    place->budget = (struct budget){.limit_bytes = 64u << 20};
    place->log =
        (struct log){.level = LOG_DEBUG, .sink = cluster_sink, .arg = place, .is_complete = true};
    place->env = (struct env){.shell = place,
                              .session = cluster_session,
                              .client_text = cluster_client_text,
                              .dial = cluster_dial,
                              .dial_client = cluster_dial_client,
                              .close = cluster_close_conn,
                              .unacked = cluster_unacked,
                              .entropy = cluster_entropy,
                              .end = cluster_end,
                              .keep_state = cluster_keep_state,
                              .gauges = cluster_gauges,
                              .verbosity = cluster_verbosity};
    const struct store_options store_options = {
        .budget = &place->budget, .seed = 1, .evict = place->evicts};
    place->store = store_open(&store_options);
    place->boot++;
    place->has_ended = false;
    place->audit = (struct log){
        .level = LOG_INFO, .sink = cluster_audit_sink, .arg = place, .is_complete = true};
    const uint64_t born = place->born ? place->born : place->boot;
    const struct node_options options = {.name = place->cluster->names[place->number],
                                         .cluster = "dht",
                                         .gossip = "random",
                                         .generation = 1000 * born + place->number,
                                         .boot = place->boot,
                                         .weight = 1,
                                         .seeds = &place->view,
                                         .founders = &place->view,
                                         .state = buf_span(&place->state),
                                         .has_state_file = !place->has_no_state,
                                         .views = place->cluster->views,
                                         .timers = place->cluster->timers,
                                         .value_bytes_max = CLUSTER_VALUE_MAX,
                                         .can_shutdown = place->can_shutdown,
                                         .direct_answers = !place->no_direct,
                                         .audit = place->is_audited ? &place->audit : NULL,
                                         .op_timeout_ms = CLUSTER_TIMEOUT_MS};
    place->node = node_open(&options, place->store, &place->env, &place->log);
    node_turn(place->node, place->cluster->now);
    place->is_absent = false;
}

static inline void place_stop(struct place *place)
{
    place->is_absent = true;
    for (int i = 0; i < CLUSTER_CONNS_MAX; i++)
        if (place->ends[i].is_open)
            end_close(place, &place->ends[i]);
    node_close(place->node);
    store_close(place->store);
    view_close(&place->view);
    place->node = NULL;
    if (!place->cluster->is_closing)
        cluster_settle(place->cluster);
}

static inline void cluster_list(const struct cluster *cluster, char *list, size_t size)
{
    list[0] = '\0';
    for (int i = 0; i < cluster->count; i++) {
        size_t len = strlen(list);
        snprintf(list + len, size - len, "%s\n", cluster->names[i]);
    }
}

/* Starts a place's node, or starts it again, on the list of all. */
static inline void place_start_listed(struct place *place)
{
    char list[CLUSTER_NODES_MAX * ADDRESS_TEXT_BYTES_MAX];
    cluster_list(place->cluster, list, sizeof(list));
    place_start(place, list);
}

static inline void cluster_pass_ms(struct cluster *cluster, uint64_t ms);

static inline uint32_t count_up(const struct view *view)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->member_count; i++)
        count += member_is_full(&view->members[i]) && member_is_up(&view->members[i]);
    return count;
}

/* Whether every node that runs stands in one view, the same for all, on whose ring so many members
 * are up. */
static inline bool cluster_has_ring(const struct cluster *cluster, uint32_t members)
{
    const struct view *first = NULL;
    for (int i = 0; i < cluster->count; i++) {
        const struct place *place = &cluster->places[i];
        if (!place->node || place->is_mute)
            continue;
        const struct view *view = views_current(node_views(place->node));
        first = first ? first : view;
        uint32_t self = view ? views_self(node_views(place->node)) : VIEW_NOBODY;
        if (self == VIEW_NOBODY || !member_is_full(&view->members[self]) ||
            view->epoch != first->epoch || count_up(&node_route(place->node)->view) != members ||
            node_route(place->node)->view.epoch != view->epoch)
            return false;
    }
    return true;
}

/* Lets time pass until every node that runs has the ring of so many members. */
static inline void cluster_await_ring(struct cluster *cluster, uint32_t members)
{
    for (int i = 0; i < 20000 && !cluster_has_ring(cluster, members); i++)
        cluster_pass_ms(cluster, 5);
    assert_true(cluster_has_ring(cluster, members));
}

/* So many places for nodes, none of which runs. */
static inline struct cluster *cluster_make(int count, const struct gossip_options *timers)
{
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    CHECK(cluster != NULL);
    cluster->count = count;
    cluster->timers = *timers;
    cluster->views = (struct views_options){
        .fence_ms = 2000, .recover_after_ms = 5000, .replace_after_ms = 2000, .up_after_ms = 2000};
    cluster->now = (struct moment){1000000, 1700000000000};
    for (int i = 0; i < count; i++)
        snprintf(cluster->names[i], sizeof(cluster->names[i]), "10.0.0.%d:11211", i + 1);
    for (int i = 0; i < count; i++) {
        cluster->places[i].cluster = cluster;
        cluster->places[i].number = i;
        cluster->places[i].is_absent = true;
    }
    return cluster;
}

/* So many nodes of one list that know each other. */
static inline struct cluster *cluster_open_with(int count, const struct gossip_options *timers)
{
    struct cluster *cluster = cluster_make(count, timers);
    for (int i = 0; i < count; i++)
        place_start_listed(&cluster->places[i]);
    cluster_await_ring(cluster, (uint32_t)count);
    return cluster;
}

/* The same, and whoever goes stays on the ring for an hour: for what happens until it leaves. */
static inline struct cluster *cluster_open(int count)
{
    struct gossip_options timers;
    CHECK(gossip_profile(SPAN_LITERAL("lan"), &timers));
    timers.refused_ms = 3600000;
    return cluster_open_with(count, &timers);
}

/* The same, but within a second all have noticed who has gone. */
static inline struct cluster *cluster_open_quick(int count)
{
    struct gossip_options timers;
    CHECK(gossip_profile(SPAN_LITERAL("fast"), &timers));
    return cluster_open_with(count, &timers);
}

static inline void cluster_close(struct cluster *cluster)
{
    cluster->is_closing = true;
    for (int i = 0; i < cluster->count; i++) {
        if (cluster->places[i].node)
            place_stop(&cluster->places[i]);
        buf_close(&cluster->places[i].lines);
        buf_close(&cluster->places[i].audited);
        buf_close(&cluster->places[i].state);
    }
    free(cluster);
}

static inline struct end *client_open(struct cluster *cluster, int node)
{
    struct end *end = end_open(&cluster->places[node]);
    end->is_client = true;
    return end;
}

/* What the client has said on a connection made to it: the lines that are whole. */
static inline bool end_take_lines(struct place *place, struct end *end)
{
    struct conn_id id = end->id;
    bool has_done = false;
    while (end_find(place, id) == end) {
        struct span in = buf_span(&end->in);
        const char *stop = in.data ? memchr(in.data, '\n', in.len) : NULL;
        if (!stop)
            break;
        size_t len = (size_t)(stop - in.data);
        struct span line = span_of(in.data, len > 0 && stop[-1] == '\r' ? len - 1 : len);
        node_client_line(place->node, id, line);
        node_finish(place->node, place->cluster->now);
        has_done = true;
        if (end_find(place, id) == end)
            buf_consume(&end->in, len + 1);
    }
    return has_done;
}

static inline bool frame_begins(const struct frame *frame, const char *word)
{
    if (!word)
        return false;
    struct span begin = span_of_string(word);
    return frame->header.len >= begin.len &&
           span_equal(span_of(frame->header.data, begin.len), begin);
}

/* What has come on an end, as far as it goes. Returns whether anything was done. */
static inline bool end_take(struct place *place, struct end *end)
{
    if (end->is_raw)
        return end_take_lines(place, end);
    bool has_done = false;
    struct conn_id id = end->id;
    while (end_find(place, id) == end && buf_len(&end->in) > 0) {
        struct span in = buf_span(&end->in);
        size_t consumed = 0, need;
        if (end->is_client) {
            const struct request_limits limits = {.value_bytes_max = CLUSTER_VALUE_MAX};
            struct request *request = node_request(place->node);
            enum parse result =
                request_parse(&end->parser, &limits, in.data, in.len, request, &consumed, &need);
            CHECK(result != PARSE_CLOSE);
            if (result == PARSE_DONE)
                node_submit(place->node, id, &end->session);
        } else {
            struct frame frame;
            enum frame_parse result = frame_parse(in.data, in.len, &frame, &consumed, &need);
            if (place->goes_mute)
                return has_done;
            if (result == FRAME_DONE && frame_begins(&frame, place->lost_frame))
                place->lost_count++;
            else if (result == FRAME_DONE)
                node_frame(place->node, id, &frame);
            else if (result != FRAME_MORE)
                node_frame_bad(place->node, id, result == FRAME_BAD_CRC);
            place->goes_mute = (place->frames_left > 0 && --place->frames_left == 0) ||
                               (result == FRAME_DONE && frame_begins(&frame, place->last_frame));
        }
        node_finish(place->node, place->cluster->now);
        if (consumed == 0 || end_find(place, id) != end)
            return has_done;
        buf_consume(&end->in, consumed);
        has_done = true;
    }
    return has_done;
}

/* Moves what an end has to say to the other end, unless one of them is mute. */
static inline bool end_carry(struct place *place, struct end *end)
{
    if (end->is_connecting && end->is_raw) {
        end->is_connecting = false;
        if (place->clients_refuse) {
            struct conn_id id = end->id;
            end_close(place, end);
            node_disconnected(place->node, id, DISCONNECT_REFUSED);
        } else {
            node_connected(place->node, end->id);
        }
        return true;
    }
    if (end->is_connecting) {
        struct place *there = &place->cluster->places[end->peer_node];
        if (there->is_mute)
            return false;
        end->is_connecting = false;
        if (there->is_absent) {
            struct conn_id id = end->id;
            end->peer_node = -1;
            end_close(place, end);
            node_disconnected(place->node, id, DISCONNECT_REFUSED);
            return true;
        }
        struct end *other = end_open(there);
        other->peer_node = place->number;
        other->peer_index = (int)end->id.index;
        end->peer_index = (int)other->id.index;
        node_connected(place->node, end->id);
        return true;
    }
    if (end->is_client || end->peer_node < 0 || reply_len(&end->session.out) == 0)
        return false;
    struct place *there = &place->cluster->places[end->peer_node];
    if (there->is_mute)
        return false;
    reply_own(&end->session.out);
    struct span out = buf_span(&end->session.out.bytes);
    buf_append(&there->ends[end->peer_index].in, out.data, out.len);
    reply_consume(&end->session.out, out.len);
    return true;
}

/* Lets everything that can happen at this moment happen. */
static inline void cluster_settle(struct cluster *cluster)
{
    bool has_moved = true;
    while (has_moved) {
        has_moved = false;
        for (int n = 0; n < cluster->count; n++) {
            struct place *place = &cluster->places[n];
            if (!place->node || place->is_mute)
                continue;
            node_turn(place->node, cluster->now);
            for (int i = 0; i < CLUSTER_CONNS_MAX; i++) {
                struct end *end = &place->ends[i];
                if (end->is_open)
                    has_moved |= end_take(place, end);
                if (end->is_open) {
                    session_own_window(&end->session);
                    reply_own(&end->session.out);
                    has_moved |= end_carry(place, end);
                }
                if (end->is_open && end->is_closing && reply_len(&end->session.out) == 0) {
                    end_close(place, end);
                    has_moved = true;
                }
                if (end->is_open && end->is_lost && !has_moved) {
                    struct conn_id id = end->id;
                    end_close(place, end);
                    node_disconnected(place->node, id, DISCONNECT_CLOSED);
                    node_finish(place->node, place->cluster->now);
                    has_moved = true;
                }
            }
            node_sent(place->node);
            if (place->goes_mute)
                place->is_mute = true;
        }
    }
}

static inline void cluster_pass_ms(struct cluster *cluster, uint64_t ms)
{
    cluster->now.mono_ms += ms;
    cluster->now.unix_ms += (int64_t)ms;
    for (int n = 0; n < cluster->count; n++) {
        struct place *place = &cluster->places[n];
        if (!place->node || place->is_mute)
            continue;
        node_turn(place->node, cluster->now);
        if (node_deadline(place->node) <= cluster->now.mono_ms)
            node_tick(place->node);
        node_finish(place->node, cluster->now);
    }
    cluster_settle(cluster);
}

/* Sends text on a client's connection and lets everything happen. */
static inline void client_say(struct cluster *cluster, struct end *client, const char *text)
{
    buf_append(&client->in, text, strlen(text));
    cluster_settle(cluster);
}

/* Takes what the client has been answered; it must be this. */
static inline void client_hears(struct end *client, const char *text)
{
    struct span out = buf_span(&client->session.out.bytes);
    if (!span_equal(out, span_of_string(text)))
        fail_msg("expected «%s», got «%.*s»", text, (int)out.len, out.data);
    reply_consume(&client->session.out, out.len);
}

/* A key that the given node leads while all nodes are there: the first of k0, k1, …, from number
 * *from on; the next search goes on behind it. */
static inline void next_key_led_by(const struct cluster *cluster, int node, int *from, char key[32])
{
    static struct ring ring; /* the same for all nodes; read only once made */
    char list[CLUSTER_NODES_MAX * ADDRESS_TEXT_BYTES_MAX];
    struct view view;
    struct peers_error error;
    cluster_list(cluster, list, sizeof(list));
    CHECK(peers_parse(span_of_string(list), &view, &error) == ERR_OK);
    ring_place(&view, &ring);
    view_close(&view);
    struct digest digest;
    do {
        snprintf(key, 32, "k%d", (*from)++);
        digest_of(span_of_string(key), &digest);
    } while (ring.primary[position_slot(digest_position(&digest))] != node);
}

/* The first of them. */
static inline void key_led_by(const struct cluster *cluster, int node, char key[32])
{
    int from = 0;
    next_key_led_by(cluster, node, &from, key);
}

#endif
