/* Gossip on links: a few nodes on a network of buffers, in steps of a millisecond. What a few
 * hundred do, and under faults, is tests/sim's. */
#include "server/core/gossip.h"

#include "common/check.h"
#include "common/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NODES_MAX 30
#define CONNS_MAX 64
#define RETRY_MS  200u

/* One end of a connection. */
struct end {
    bool is_open, is_connecting, is_closing;
    bool is_unanswered; /* dialled, and no answer comes */
    struct conn_id id;
    struct session session;
    struct buf in;
    int peer_node, peer_index; /* -1: the other end is gone */
    size_t unacked;
    size_t lost;      /* so much of what waits has been sent once, and lost, */
    uint64_t lost_ms; /* then */
};

struct place {
    struct world *world;
    int number;
    bool is_running;
    bool is_off;     /* its machine: nothing goes in or out */
    bool is_stopped; /* its process: its machine acknowledges */
    bool is_lossy;   /* what it sends is lost; RETRY_MS later, or with more behind it, it is not */
    bool has_ended;  /* gossip said it is a duplicate */
    bool is_shut;    /* it has no descriptor left for another connection */
    uint32_t unanswered[NODES_MAX]; /* so many of its next dials to each place have no answer */
    uint64_t boot, generation;
    char name[ADDRESS_TEXT_BYTES_MAX];
    struct view seeds;
    struct env env;
    struct log log;
    struct stats stats;
    struct links links;
    struct gossip gossip;
    struct end ends[CONNS_MAX];
    uint32_t conn_generation;
    uint64_t sent_bytes;
    uint32_t frames;
    struct reply *tape; /* what it is told is kept here, if anywhere */
};

struct world {
    struct moment now;
    int count;
    struct gossip_options options;
    struct place places[NODES_MAX];
    char log[1u << 20]; /* lines of all nodes, "name event …" */
    size_t log_len;
};

static struct end *end_of(struct place *place, struct conn_id id)
{
    struct end *end = &place->ends[id.index % CONNS_MAX];
    return end->is_open && end->id.generation == id.generation ? end : NULL;
}

static struct end *end_open(struct place *place)
{
    for (uint32_t i = 0; i < CONNS_MAX; i++) {
        if (place->ends[i].is_open)
            continue;
        place->ends[i] = (struct end){.is_open = true,
                                      .id = {i, ++place->conn_generation},
                                      .peer_node = -1,
                                      .peer_index = -1};
        return &place->ends[i];
    }
    CHECK(!"a connection is free");
    return NULL;
}

static void end_free(struct end *end)
{
    session_close(&end->session);
    buf_close(&end->in);
    end->is_open = false;
}

static void take_news(struct place *place)
{
    struct link_news news;
    while (links_take_news(&place->links, &news))
        if (news.lane != LANE_DATA)
            gossip_link(&place->gossip, &news, place->world->now);
}

/* The other end of a connection is gone: a FIN comes, unless its machine is off. */
static void hang_up(struct world *world, struct place *place, struct end *end)
{
    int node = end->peer_node, index = end->peer_index;
    end_free(end);
    if (node < 0 || index < 0 || place->is_off || world->places[node].is_off)
        return;
    world->places[node].ends[index].peer_node = -1;
}

static struct session *world_session(void *arg, struct conn_id id)
{
    struct end *end = end_of(arg, id);
    return end ? &end->session : NULL;
}

static void world_client_text(void *arg, struct conn_id id, char text[CLIENT_TEXT_BYTES_MAX])
{
    (void)arg;
    (void)id;
    snprintf(text, CLIENT_TEXT_BYTES_MAX, "192.0.2.1:1024");
}

static struct conn_id world_dial(void *arg, const char *name)
{
    struct place *place = arg;
    if (place->is_shut)
        return (struct conn_id){0};
    struct end *end = end_open(place);
    end->is_connecting = true;
    for (int i = 0; i < NODES_MAX; i++)
        if (strcmp(place->world->places[i].name, name) == 0)
            end->peer_node = i;
    uint32_t *unanswered = end->peer_node >= 0 ? &place->unanswered[end->peer_node] : NULL;
    if (unanswered && *unanswered > 0) {
        end->is_unanswered = true;
        (*unanswered)--;
    }
    return end->id;
}

static void world_close(void *arg, struct conn_id id, bool after_sending)
{
    struct place *place = arg;
    struct end *end = end_of(arg, id);
    if (end && after_sending)
        end->is_closing = true;
    else if (end)
        hang_up(place->world, place, end);
}

static uint64_t world_unacked(void *arg, struct conn_id id)
{
    struct end *end = end_of(arg, id);
    return end ? end->unacked + reply_len(&end->session.out) : 0;
}

static void world_sink(void *arg, const char *line, size_t len)
{
    struct place *place = arg;
    struct world *world = place->world;
    const char *event = strstr(line, " - ");
    CHECK(event != NULL);
    int written =
        snprintf(world->log + world->log_len, sizeof(world->log) - world->log_len, "%d %.*s",
                 place->number, (int)(len - (size_t)(event - line) - 3), event + 3);
    if (getenv("GOSSIP_LOG"))
        printf("%llu %d %.*s", (unsigned long long)world->now.mono_ms - 1000000, place->number,
               (int)len - 25, line + 25);
    if (world->log_len + (size_t)written < sizeof(world->log))
        world->log_len += (size_t)written;
}

static void place_start(struct world *world, int number, const char *seeds)
{
    struct place *place = &world->places[number];
    struct peers_error error;
    assert_int_equal(peers_parse(span_of_string(seeds), &place->seeds, &error), ERR_OK);
    place->world = world;
    place->number = number;
    place->boot = place->boot + 1 > (uint64_t)world->now.unix_ms ? place->boot + 1
                                                                 : (uint64_t)world->now.unix_ms;
    place->generation = place->boot * 1000 + (uint64_t)number;
    place->log = (struct log){.level = LOG_INFO, .sink = world_sink, .arg = place};
    place->env = (struct env){.shell = place,
                              .session = world_session,
                              .client_text = world_client_text,
                              .dial = world_dial,
                              .close = world_close,
                              .unacked = world_unacked};
    const struct links_identity identity = {.name = place->name,
                                            .cluster = "test",
                                            .gossip = "random",
                                            .generation = place->generation,
                                            .boot = place->boot};
    links_init(&place->links, &identity, 1000, &place->env, &place->log, &place->stats);
    const struct gossip_setup setup = {.strategy = "random",
                                       .seeds = &place->seeds,
                                       .weight = 1,
                                       .options = world->options,
                                       .links = &place->links,
                                       .env = &place->env,
                                       .log = &place->log,
                                       .stats = &place->stats,
                                       .seed = (uint64_t)number + 1};
    gossip_init(&place->gossip, &setup);
    place->is_running = true;
    place->has_ended = false;
}

/* kill -9: the kernel closes its connections. */
static void place_kill(struct place *place)
{
    for (uint32_t i = 0; i < CONNS_MAX; i++)
        if (place->ends[i].is_open)
            hang_up(place->world, place, &place->ends[i]);
    gossip_close(&place->gossip);
    links_close(&place->links);
    view_close(&place->seeds);
    place->is_running = false;
}

static void take_frame(struct place *place, struct conn_id id, const struct frame *frame)
{
    struct moment now = place->world->now;
    struct message message;
    struct link *link = links_find(&place->links, id);
    assert_int_equal(message_parse(frame, &message), ERR_OK);
    place->frames++;
    if (link && link->state == LINK_UP && message.kind >= MESSAGE_FORWARD) {
        struct reply *out = link_out(&place->links, link);
        if (place->tape)
            message_append(place->tape, &message);
        assert_int_equal(gossip_message(&place->gossip, link->peer, &message, out, now), ERR_OK);
    } else {
        struct span from = message.kind == MESSAGE_HELLO     ? message.HELLO.from
                           : message.kind == MESSAGE_WELCOME ? message.WELCOME.from
                                                             : SPAN_LITERAL("");
        links_handshake(&place->links, link, id, &message, gossip_boot_of(&place->gossip, from),
                        now);
    }
    take_news(place);
}

static void take_in(struct place *place, struct end *end)
{
    struct conn_id id = end->id;
    while (end_of(place, id) && buf_len(&end->in) > 0) {
        struct span in = buf_span(&end->in);
        struct frame frame;
        size_t consumed = 0, need;
        if (frame_parse(in.data, in.len, &frame, &consumed, &need) != FRAME_DONE)
            return;
        take_frame(place, id, &frame);
        if (end_of(place, id))
            buf_consume(&end->in, consumed);
    }
}

/* A dial gets its answer: a place that runs, a refusal, or nothing from a machine that is off. */
static void connect_end(struct place *place, struct end *end)
{
    struct world *world = place->world;
    struct place *there = end->peer_node >= 0 ? &world->places[end->peer_node] : NULL;
    if ((there && there->is_off) || end->is_unanswered)
        return;
    end->is_connecting = false;
    if (!there || !there->is_running) {
        struct link *link = links_find(&place->links, end->id);
        end->peer_node = -1;
        end_free(end);
        if (link)
            links_end(&place->links, link, DISCONNECT_REFUSED, NULL, world->now);
        take_news(place);
        return;
    }
    struct end *other = end_open(there);
    other->peer_node = place->number;
    other->peer_index = (int)end->id.index;
    end->peer_index = (int)other->id.index;
    struct link *link = links_find(&place->links, end->id);
    CHECK(link != NULL);
    links_connected(&place->links, link);
}

static void lose_end(struct place *place, struct end *end)
{
    struct link *link = links_find(&place->links, end->id);
    end_free(end);
    if (link)
        links_end(&place->links, link, DISCONNECT_CLOSED, NULL, place->world->now);
    take_news(place);
}

static bool is_lost(const struct place *place, struct end *end, size_t len)
{
    uint64_t now_ms = place->world->now.mono_ms;
    if (end->lost == 0 && place->is_lossy) {
        end->lost = len;
        end->lost_ms = now_ms;
    }
    if (len <= end->lost && now_ms < end->lost_ms + RETRY_MS)
        return true;
    end->lost = 0;
    return false;
}

static bool is_other_end(const struct place *place, const struct end *end, const struct end *other)
{
    return other->is_open && other->peer_node == place->number &&
           other->peer_index == (int)end->id.index;
}

static void carry(struct place *place, struct end *end)
{
    struct world *world = place->world;
    if (end->is_connecting) {
        connect_end(place, end);
        return;
    }
    size_t len = reply_len(&end->session.out);
    if (end->peer_node >= 0 && len > 0 && !is_lost(place, end, len)) {
        struct place *there = &world->places[end->peer_node];
        reply_own(&end->session.out);
        end->unacked += len;
        place->sent_bytes += len;
        struct end *other = &there->ends[end->peer_index];
        if (!there->is_off && is_other_end(place, end, other)) {
            buf_append(&other->in, buf_span(&end->session.out.bytes).data, len);
            end->unacked = 0;
        } else if (!there->is_off) {
            end->peer_node = -1; /* its machine knows no such connection: RST */
        }
        reply_consume(&end->session.out, len);
    }
    if (end->is_closing)
        hang_up(world, place, end);
}

static void place_step(struct place *place)
{
    struct world *world = place->world;
    for (uint32_t i = 0; i < CONNS_MAX; i++) {
        struct end *end = &place->ends[i];
        if (end->is_open)
            take_in(place, end);
        if (end->is_open && !end->is_connecting && end->peer_node < 0 && end->peer_index >= 0)
            lose_end(place, end);
    }
    struct link *late;
    while ((late = links_late(&place->links, world->now)))
        links_end(&place->links, late, DISCONNECT_TIMEOUT, NULL, world->now);
    take_news(place);
    if (gossip_deadline(&place->gossip) <= world->now.mono_ms)
        gossip_tick(&place->gossip, world->now);
    links_sweep(&place->links, (struct moment){0});
    gossip_check(&place->gossip);
    place->has_ended |= gossip_is_duplicate(&place->gossip);
    for (uint32_t i = 0; i < CONNS_MAX; i++)
        if (place->ends[i].is_open)
            carry(place, &place->ends[i]);
}

static void pass_ms(struct world *world, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        world->now.mono_ms++;
        world->now.unix_ms++;
        for (int n = 0; n < world->count; n++) {
            struct place *place = &world->places[n];
            if (place->is_running && !place->is_off && !place->is_stopped)
                place_step(place);
        }
    }
}

static struct world *world_open(int count)
{
    struct world *world = calloc(1, sizeof(*world));
    CHECK(world != NULL);
    world->count = count;
    world->now = (struct moment){1000000, 1700000000000};
    assert_true(gossip_profile(SPAN_LITERAL("lan"), &world->options));
    for (int i = 0; i < NODES_MAX; i++) {
        snprintf(world->places[i].name, ADDRESS_TEXT_BYTES_MAX, "10.0.0.%d:11211", i + 1);
        world->places[i].world = world;
        world->places[i].number = i;
    }
    return world;
}

static void world_close_all(struct world *world)
{
    for (int i = 0; i < world->count; i++)
        if (world->places[i].is_running)
            place_kill(&world->places[i]);
    free(world);
}

/* A cluster that knows itself: all through node 0. */
static struct world *world_formed(int count)
{
    struct world *world = world_open(count);
    for (int i = 0; i < count; i++)
        place_start(world, i, "10.0.0.1:11211\n");
    pass_ms(world, 3000);
    return world;
}

static struct account *seen(struct world *world, int by, int whom)
{
    return members_find(&world->places[by].gossip.members,
                        span_of_string(world->places[whom].name));
}

static enum member_state state_of(struct world *world, int by, int whom)
{
    struct account *record = seen(world, by, whom);
    return record ? record->state : MEMBER_REMOVED;
}

/* Whether every running node but the subject sees whom so. */
static bool all_see(struct world *world, int whom, enum member_state state)
{
    for (int i = 0; i < world->count; i++)
        if (i != whom && world->places[i].is_running && state_of(world, i, whom) != state)
            return false;
    return true;
}

static void assert_one_view(struct world *world)
{
    int first = -1;
    for (int i = 0; i < world->count; i++) {
        if (!world->places[i].is_running)
            continue;
        first = first < 0 ? i : first;
        assert_true(world->places[i].gossip.members.viewhash ==
                    world->places[first].gossip.members.viewhash);
    }
}

/* Passes time until all see it; returns the ms it took; fails after limit_ms. */
static uint64_t until_all_see(struct world *world, int whom, enum member_state state,
                              uint64_t limit_ms)
{
    uint64_t start_ms = world->now.mono_ms;
    while (!all_see(world, whom, state)) {
        if (world->now.mono_ms - start_ms > limit_ms)
            fail_msg("not all see %d %s within %llu ms:\n%s", whom, member_state_word(state),
                     (unsigned long long)limit_ms, world->log);
        pass_ms(world, 1);
    }
    return world->now.mono_ms - start_ms;
}

static unsigned lines_of(const struct world *world, const char *event)
{
    unsigned count = 0;
    char word[64];
    snprintf(word, sizeof(word), " %s ", event);
    for (const char *at = world->log; (at = strstr(at, word)); at++)
        count++;
    return count;
}

/* A node is told something by one of its peers. */
static enum err hear(struct world *world, int node, uint32_t peer, const struct message *message)
{
    struct reply out = {0};
    enum err err = gossip_message(&world->places[node].gossip, peer, message, &out, world->now);
    reply_close(&out);
    return err;
}

/* --- joining ---------------------------------------------------------------------------------- */

static void a_node_alone_has_joined_at_once(void **state)
{
    (void)state;
    struct world *world = world_open(1);
    place_start(world, 0, "10.0.0.1:11211\n");
    pass_ms(world, 10);
    assert_true(gossip_has_joined(&world->places[0].gossip));
    assert_true(gossip_take_changed(&world->places[0].gossip));
    struct view view;
    gossip_ring_view(&world->places[0].gossip, &view);
    assert_int_equal(view.member_count, 1);
    view_close(&view);
    world_close_all(world);
}

static void nodes_started_together_through_one_seed_know_each_other(void **state)
{
    (void)state;
    struct world *world = world_open(10);
    for (int i = 0; i < 10; i++)
        place_start(world, i, "10.0.0.1:11211\n");
    for (int i = 0; i < 10; i++)
        until_all_see(world, i, MEMBER_ALIVE, 300);
    pass_ms(world, 3000);
    assert_one_view(world);
    for (int i = 0; i < 10; i++) {
        assert_true(gossip_has_joined(&world->places[i].gossip));
        assert_int_equal(gossip_count(&world->places[i].gossip, MEMBER_ALIVE), 10);
    }
    assert_int_equal(lines_of(world, "member-suspect"), 0);
    world_close_all(world);
}

static void a_node_in_nobodys_list_joins_through_any_seed(void **state)
{
    (void)state;
    struct world *world = world_formed(5);
    world->count = 6;
    place_start(world, 5, "10.0.0.9:11211\n10.0.0.3:11211\n");
    assert_in_range(until_all_see(world, 5, MEMBER_ALIVE, 200), 0, 20); /* each tells it at once */
    assert_int_equal(gossip_count(&world->places[5].gossip, MEMBER_ALIVE), 6);
    world_close_all(world);
}

static void absent_seeds_are_tried_until_they_come(void **state)
{
    (void)state;
    struct world *world = world_open(2);
    place_start(world, 0, "10.0.0.2:11211\n10.0.0.7:11211\n");
    pass_ms(world, 1500);
    assert_true(gossip_has_joined(&world->places[0].gossip));
    assert_int_equal(gossip_count(&world->places[0].gossip, MEMBER_ALIVE), 1);
    place_start(world, 1, "");
    until_all_see(world, 1, MEMBER_ALIVE, 2 * world->options.rejoin_ms + 1000);
    until_all_see(world, 0, MEMBER_ALIVE, 100);
    world_close_all(world);
}

/* One who is nowhere is tried again after pauses that double, up to rejoin_ms; of each some is
 * drawn. */
static void absent_seeds_are_tried_after_growing_pauses(void **state)
{
    (void)state;
    struct world *world = world_open(1);
    place_start(world, 0, "10.0.0.7:11211\n");
    const struct gossip *gossip = &world->places[0].gossip;
    uint64_t due_ms = 0, last_ms = 0, pause_ms = 1000;
    uint32_t tries = 0;
    for (uint32_t ms = 0; ms < 8 * world->options.rejoin_ms; ms += 5) {
        pass_ms(world, 5);
        if (!gossip_has_joined(gossip) || gossip->rejoin_ms == due_ms)
            continue;
        due_ms = gossip->rejoin_ms;
        if (++tries > 2) { /* the first is none: it is set as the node joins alone */
            assert_in_range(world->now.mono_ms - last_ms, pause_ms / 4, pause_ms + 10);
            pause_ms =
                pause_ms * 2 < world->options.rejoin_ms ? pause_ms * 2 : world->options.rejoin_ms;
        }
        last_ms = world->now.mono_ms;
    }
    assert_int_equal(pause_ms, world->options.rejoin_ms);
    assert_in_range(tries, 10, 30);
    world_close_all(world);
}

/* --- failures --------------------------------------------------------------------------------- */

static void a_killed_process_is_dead_for_all_in_a_quarter_second(void **state)
{
    (void)state;
    struct world *world = world_formed(10);
    place_kill(&world->places[4]);
    uint64_t suspect_ms = until_all_see(world, 4, MEMBER_SUSPECT, 150);
    assert_true(suspect_ms <= 150);
    uint64_t ms = suspect_ms + until_all_see(world, 4, MEMBER_DEAD, 400);
    assert_in_range(ms, 200, 260);
    pass_ms(world, world->options.remove_ms + 500);
    assert_true(all_see(world, 4, MEMBER_REMOVED));
    assert_int_equal(lines_of(world, "member-removed"), 9);
    assert_int_equal(lines_of(world, "member-dead"), 9);
    assert_one_view(world);
    world_close_all(world);
}

/* A SYN is lost, or the refusal; a second time, too. */
static void a_killed_process_is_known_dead_though_two_of_three_dials_are_lost(void **state)
{
    (void)state;
    struct world *world = world_formed(10);
    for (int i = 0; i < 10; i++)
        world->places[i].unanswered[4] = 2;
    place_kill(&world->places[4]);
    until_all_see(world, 4, MEMBER_DEAD, 1000);
    world_close_all(world);
}

static bool is_redial_near(const struct place *place)
{
    for (size_t i = 0; i < PROBES_MAX; i++)
        if (place->gossip.probes[i].stage == PROBE_ASKED &&
            place->gossip.probes[i].due_ms < place->gossip.probes[i].end_ms)
            return true;
    return false;
}

/* As after five connections that broke: the sixth cannot even be dialled. */
static void a_probe_that_cannot_ask_anew_is_over(void **state)
{
    (void)state;
    struct world *world = world_formed(3);
    struct place *place = &world->places[0];
    place->unanswered[2] = UINT32_MAX;
    place_kill(&world->places[2]);
    for (int i = 0; i < 2000 && !is_redial_near(place); i++)
        pass_ms(world, 1);
    assert_true(is_redial_near(place));
    place->is_shut = true;
    for (size_t i = 0; i < PROBES_MAX; i++)
        place->gossip.probes[i].breaks = 5;
    pass_ms(world, 200);
    for (size_t i = 0; i < PROBES_MAX; i++)
        assert_true(place->gossip.probes[i].stage == PROBE_FREE ||
                    place->gossip.probes[i].target != NULL);
    world_close_all(world);
}

static void two_of_three_see_the_third_die(void **state)
{
    (void)state;
    struct world *world = world_formed(3);
    place_kill(&world->places[0]);
    until_all_see(world, 0, MEMBER_DEAD, 500);
    place_kill(&world->places[1]);
    until_all_see(world, 1, MEMBER_DEAD, 500);
    world_close_all(world);
}

static void a_machine_that_is_off_is_suspected_soon_and_dead_after_its_time(void **state)
{
    (void)state;
    struct world *world = world_formed(10);
    world->places[4].is_off = true;
    world->places[4].is_running = false; /* of no account for all_see */
    uint64_t start_ms = world->now.mono_ms;
    until_all_see(world, 4, MEMBER_SUSPECT, 4000);
    until_all_see(world, 4, MEMBER_DEAD, 12000);
    assert_in_range(world->now.mono_ms - start_ms, world->options.silent_min_ms, 11000);
    assert_int_equal(lines_of(world, "member-dead"), 9);
    world->places[4].is_running = true;
    world_close_all(world);
}

static void a_stopped_process_is_never_dead_within_its_time_and_comes_back(void **state)
{
    (void)state;
    struct world *world = world_formed(10);
    world->places[4].is_stopped = true;
    pass_ms(world, 8000);
    assert_int_equal(lines_of(world, "member-dead"), 0);
    assert_true(lines_of(world, "member-suspect") > 0);
    world->places[4].is_stopped = false;
    until_all_see(world, 4, MEMBER_ALIVE, 1000);
    assert_true(seen(world, 0, 4)->inc > 0);
    pass_ms(world, 3000);
    assert_one_view(world);
    for (int i = 0; i < 10; i++)
        assert_true(all_see(world, i, MEMBER_ALIVE));
    assert_int_equal(lines_of(world, "member-dead"), 0);
    world_close_all(world);
}

static void a_process_stopped_for_longer_is_dead(void **state)
{
    (void)state;
    struct world *world = world_formed(10);
    world->places[4].is_stopped = true;
    until_all_see(world, 4, MEMBER_DEAD, 16000);
    world->places[4].is_stopped = false;
    until_all_see(world, 4, MEMBER_ALIVE, 8000);
    pass_ms(world, 3000);
    assert_one_view(world);
    world_close_all(world);
}

static void a_quiet_cluster_suspects_nobody(void **state)
{
    (void)state;
    struct world *world = world_formed(10);
    for (int i = 0; i < 10; i++)
        world->places[i].sent_bytes = 0;
    pass_ms(world, 60000);
    assert_int_equal(lines_of(world, "member-suspect"), 0);
    assert_int_equal(lines_of(world, "refuted"), 0);
    /* Without headers: two questions and two answers a second. */
    for (int i = 0; i < 10; i++)
        assert_in_range(world->places[i].sent_bytes / 60, 300, 720);
    world_close_all(world);
}

/* A reply that is late, or lost and sent again by TCP, is no suspicion: helpers and the late reply
 * itself clear it. */
static void one_late_reply_suspects_nobody(void **state)
{
    (void)state;
    struct world *world = world_formed(6);
    uint32_t failures = 0;
    for (int i = 0; i < 40; i++) {
        struct place *place = &world->places[i % 6];
        place->is_stopped = true;
        pass_ms(world, 220);
        place->is_stopped = false;
        pass_ms(world, 480);
    }
    for (int i = 0; i < 6; i++)
        failures += (uint32_t)world->places[i].stats.gossip_failures;
    assert_int_equal(failures, 0);
    assert_int_equal(lines_of(world, "member-suspect"), 0);
    world_close_all(world);
}

/* A kernel sends a lost packet again at once if another arrives behind it, and else long after an
 * answer is late. */
static void what_is_lost_is_nudged_along(void **state)
{
    (void)state;
    struct world *world = world_formed(6);
    uint32_t failures = 0;
    for (int i = 0; i < 6; i++)
        world->places[i].is_lossy = true;
    pass_ms(world, 30000);
    for (int i = 0; i < 6; i++)
        failures += (uint32_t)world->places[i].stats.gossip_failures;
    assert_int_equal(failures, 0);
    assert_int_equal(lines_of(world, "member-suspect"), 0);
    world_close_all(world);
}

/* Its kernel has acknowledged everything. */
static void a_stopped_process_is_hardly_nudged(void **state)
{
    (void)state;
    struct world *world = world_formed(2);
    world->places[1].is_stopped = true;
    uint64_t asked = world->places[0].stats.gossip_rounds;
    uint64_t sent = world->places[0].stats.gossip_sent;
    pass_ms(world, 560);
    asked = world->places[0].stats.gossip_rounds - asked;
    assert_true(asked > 0);
    /* A question a round and two more, and that it is suspected. */
    assert_true(world->places[0].stats.gossip_sent - sent <= 3 * asked + 2);
    world_close_all(world);
}

/* All connections of a node end at once; its process lives. */
static void connections_that_break_are_had_again(void **state)
{
    (void)state;
    struct world *world = world_formed(6);
    for (int round = 0; round < 20; round++) {
        struct place *place = &world->places[round % 6];
        for (uint32_t i = 0; i < CONNS_MAX; i++)
            if (place->ends[i].is_open && place->ends[i].peer_node >= 0 &&
                place->ends[i].peer_index >= 0) {
                world->places[place->ends[i].peer_node].ends[place->ends[i].peer_index].peer_node =
                    -1;
                place->ends[i].peer_node = -1;
            }
        pass_ms(world, 300);
    }
    pass_ms(world, 1000);
    assert_int_equal(lines_of(world, "member-suspect"), 0);
    for (int i = 0; i < 6; i++)
        assert_true(all_see(world, i, MEMBER_ALIVE));
    world_close_all(world);
}

/* A cluster larger than links_max: connections are closed again, but those of watchers. */
static void few_connections_are_kept_and_watchers_still_see_an_end(void **state)
{
    (void)state;
    struct world *world = world_open(30);
    world->options.links_max = 8;
    for (int i = 0; i < 30; i++)
        place_start(world, i, "10.0.0.1:11211\n");
    pass_ms(world, 20000);
    assert_int_equal(lines_of(world, "member-suspect"), 0);
    for (int i = 0; i < 30; i++) {
        uint32_t watched = 0;
        for (int j = 0; j < 30; j++)
            watched += j != i && seen(world, i, j)->is_watched;
        uint32_t most = watched > 8 ? watched : 8;
        assert_in_range(world->places[i].gossip.dialled_up, watched, most + 5);
    }
    place_kill(&world->places[7]);
    until_all_see(world, 7, MEMBER_DEAD, 500);
    assert_int_equal(lines_of(world, "member-dead"), 29);
    world_close_all(world);
}

/* What does not fit a frame is asked for until it is whole. */
static void a_long_list_is_told_in_several_frames(void **state)
{
    (void)state;
    struct world *world = world_open(2);
    place_start(world, 0, "");
    pass_ms(world, 10);
    struct members *members = &world->places[0].gossip.members;
    for (unsigned i = 0; i < 3000; i++) {
        char name[32];
        struct account *record;
        snprintf(name, sizeof(name), "192.0.2.%u:%u", i % 250 + 1, 10000 + i);
        const struct news news = {.state = MEMBER_ALIVE,
                                  .name = span_of_string(name),
                                  .boot = 1700000000000,
                                  .generation = i,
                                  .weight = 1,
                                  .by = SPAN_LITERAL("-")};
        members_hear(members, &news, false, world->now.mono_ms, &record);
    }
    place_start(world, 1, "10.0.0.1:11211\n");
    pass_ms(world, 40);
    assert_true(gossip_has_joined(&world->places[1].gossip));
    assert_int_equal(world->places[1].gossip.members.live_count, 3002);
    assert_true(world->places[1].gossip.members.viewhash == members->viewhash);
    world_close_all(world);
}

/* Node 1 answers node 0's last question so; returns whether it is asked another at once. */
static bool is_asked_on(struct world *world, uint64_t version, uint64_t newest)
{
    struct account *from = seen(world, 0, 1);
    uint64_t number = world->places[0].gossip.number;
    from->asked_number = number;
    struct message message = {.kind = MESSAGE_MEMBERS,
                              .MEMBERS = {.number = number,
                                          .boot = from->boot,
                                          .hb = from->hb + 1,
                                          .version = version,
                                          .newest = newest}};
    assert_int_equal(hear(world, 0, from->peer, &message), ERR_OK);
    return from->asked_number > number;
}

/* Else it would be asked for ever, as fast as the network carries it. */
static void who_always_has_more_to_tell_is_left_until_the_next_round(void **state)
{
    (void)state;
    struct world *world = world_formed(3);
    struct account *from = seen(world, 0, 1);
    from->asked_since = 0;
    from->chunks = 0;
    assert_false(is_asked_on(world, 0, 1)); /* no further than it was asked */
    assert_true(is_asked_on(world, 5, 6));
    assert_false(is_asked_on(world, 5, 6));
    unsigned questions = 0;
    while (questions < 1000 && is_asked_on(world, 10 + questions, UINT64_MAX))
        questions++;
    assert_in_range(questions, 40, 100);
    pass_ms(world, 3000);
    assert_int_equal(from->chunks, 0); /* asked anew */
    world_close_all(world);
}

/* Node by answers node 0's question: that is all, and its view differs. Returns whether node 0 asks
 * it for its whole list now. */
static bool asks_for_the_whole(struct world *world, int by)
{
    struct gossip *gossip = &world->places[0].gossip;
    struct account *from = seen(world, 0, by);
    uint64_t before = gossip->stats->gossip_whole_lists;
    from->asked_number = ++gossip->number;
    struct message message = {.kind = MESSAGE_MEMBERS,
                              .MEMBERS = {.number = from->asked_number,
                                          .boot = from->boot,
                                          .hb = from->hb + 1,
                                          .version = 9,
                                          .newest = 9,
                                          .viewhash = ~gossip->members.viewhash}};
    assert_int_equal(hear(world, 0, from->peer, &message), ERR_OK);
    return gossip->stats->gossip_whole_lists > before;
}

/* One list in a pause of 5 s would leave what two have missed unknown for as long; a list a round
 * would be too much, should the views differ for good. */
static void who_gets_no_help_from_a_whole_list_asks_the_next_for_its_own(void **state)
{
    (void)state;
    struct world *world = world_formed(8);
    struct gossip *gossip = &world->places[0].gossip;
    assert_false(asks_for_the_whole(world, 1)); /* may be chance */
    assert_true(gossip->recheck == seen(world, 0, 1));
    gossip->recheck = NULL;
    assert_true(asks_for_the_whole(world, 1));
    assert_false(asks_for_the_whole(world, 1)); /* it has missed the same */
    assert_null(gossip->recheck);
    assert_true(asks_for_the_whole(world, 2));
    assert_false(asks_for_the_whole(world, 2));
    assert_true(asks_for_the_whole(world, 3));
    assert_false(asks_for_the_whole(world, 3));
    assert_false(asks_for_the_whole(world, 4)); /* that must do */
    world->now.mono_ms += 5001;
    assert_true(asks_for_the_whole(world, 5));
    assert_false(asks_for_the_whole(world, 5));
    assert_false(asks_for_the_whole(world, 6));
    world_close_all(world);
}

/* An answer from node 1 to node 0's last question, with the heartbeat of node 3. */
static void answer_with_heartbeat(struct world *world, uint64_t number, uint64_t hb,
                                  uint64_t age_ms)
{
    struct account *subject = seen(world, 0, 3), *from = seen(world, 0, 1);
    const struct news news = {.is_heartbeat = true,
                              .name = span_of_string(subject->name),
                              .tag = (uint16_t)subject->boot,
                              .hb = hb,
                              .age_ms = age_ms};
    struct buf body = {0};
    news_append(&body, &news);
    struct message message = {.kind = MESSAGE_MEMBERS,
                              .MEMBERS = {.number = number,
                                          .boot = from->boot,
                                          .hb = from->hb + 1,
                                          .version = 1,
                                          .newest = 1},
                              .body = buf_span(&body)};
    assert_int_equal(hear(world, 0, from->peer, &message), ERR_OK);
    buf_close(&body);
}

/* Node 1 answers node 0's question about the changes after since: somebody new. Returns how many
 * rumors node 0 is to push then. */
static uint32_t pushes_after_answer(struct world *world, uint64_t since, const char *name)
{
    struct account *from = seen(world, 0, 1);
    struct gossip *gossip = &world->places[0].gossip;
    const struct news news = {.state = MEMBER_ALIVE,
                              .name = span_of_string(name),
                              .boot = (uint64_t)world->now.unix_ms,
                              .generation = 1,
                              .weight = 1,
                              .by = SPAN_LITERAL("-")};
    struct buf body = {0};
    news_append(&body, &news);
    from->asked_number = gossip->number;
    from->asked_since = since;
    from->asked_ms = world->now.mono_ms;
    struct message message = {.kind = MESSAGE_MEMBERS,
                              .MEMBERS = {.number = gossip->number,
                                          .boot = from->boot,
                                          .hb = from->hb + 1,
                                          .version = 9,
                                          .newest = 9},
                              .body = buf_span(&body)};
    assert_int_equal(hear(world, 0, from->peer, &message), ERR_OK);
    buf_close(&body);
    return gossip->rumors.unpushed;
}

/* The next one in the order of names may hear it from nobody else; but a whole list is no news. */
static void who_learns_of_a_join_from_an_answer_passes_it_on(void **state)
{
    (void)state;
    struct world *world = world_formed(3);
    assert_int_equal(world->places[0].gossip.rumors.unpushed, 0);
    assert_int_equal(pushes_after_answer(world, 0, "10.0.1.1:1"), 0);
    assert_int_equal(pushes_after_answer(world, 5, "10.0.1.2:1"), 1);
    world_close_all(world);
}

/* A node that news has missed and that has asked few so far hears it when it asks anybody. */
static void who_asks_only_where_another_stands_is_told_the_newest(void **state)
{
    (void)state;
    struct world *world = world_formed(20);
    struct place *place = &world->places[0];
    struct account *from = seen(world, 0, 1);
    struct reply out = {0};
    struct message question = {
        .kind = MESSAGE_GET_MEMBERSHIP_LIST,
        .GET_MEMBERSHIP_LIST = {
            .number = 1, .boot = from->boot, .hb = from->hb + 1, .since = UINT64_MAX}};
    for (int is_same = 0; is_same <= 1; is_same++) {
        if (is_same)
            question.GET_MEMBERSHIP_LIST.viewhash = place->gossip.members.viewhash;
        assert_int_equal(gossip_message(&place->gossip, from->peer, &question, &out, world->now),
                         ERR_OK);
        reply_own(&out);
        struct frame frame;
        struct message answer;
        size_t consumed, need;
        struct span bytes = buf_span(&out.bytes);
        assert_int_equal(frame_parse(bytes.data, bytes.len, &frame, &consumed, &need), FRAME_DONE);
        assert_int_equal(message_parse(&frame, &answer), ERR_OK);
        struct span body = answer.body;
        struct news news;
        unsigned told = 0;
        while (news_parse(&body, &news) == NEWS_DONE)
            told += !news.is_heartbeat;
        assert_in_range(told, is_same ? 0 : 1, is_same ? 0 : 8);
        reply_close(&out);
        out = (struct reply){0};
    }
    world_close_all(world);
}

/* On a lossy path an answer is under way for seconds; at each hop a heartbeat would seem younger
 * than it is, and hide a death. */
static void a_heartbeat_is_as_old_as_the_question_may_make_it(void **state)
{
    (void)state;
    struct world *world = world_formed(4);
    struct gossip *gossip = &world->places[0].gossip;
    struct account *subject = seen(world, 0, 3), *from = seen(world, 0, 1);
    from->asked_number = 77;
    from->asked_ms = world->now.mono_ms;
    world->now.mono_ms += 400;
    members_doubt(&gossip->members, subject, EVIDENCE_SILENT, world->now.mono_ms);
    world->now.mono_ms += 600;
    answer_with_heartbeat(world, 77, subject->hb + 5, 0); /* it may have left 1 s ago */
    assert_int_equal(subject->state, MEMBER_SUSPECT);
    answer_with_heartbeat(world, 77, subject->hb + 6, 0); /* to no question */
    assert_int_equal(subject->state, MEMBER_SUSPECT);
    from->asked_number = 78;
    from->asked_ms = world->now.mono_ms - 500;
    answer_with_heartbeat(world, 78, subject->hb + 7, 50);
    assert_int_equal(subject->state, MEMBER_ALIVE);
    world_close_all(world);
}

/* --- what others may say ---------------------------------------------------------------------- */

static void who_asks_for_a_probe_may_be_gone_before_its_end(void **state)
{
    (void)state;
    struct world *world = world_formed(3);
    struct links *links = &world->places[0].links;
    world->places[2].is_stopped = true;
    uint32_t stranger = links_peer(links, "198.51.100.1:11211");
    const struct message question = {
        .kind = MESSAGE_PROBE,
        .PROBE = {.number = 1, .name = span_of_string(world->places[2].name), .boot = 1}};
    assert_int_equal(hear(world, 0, stranger, &question), ERR_OK);
    links_sweep(links, world->now);
    assert_int_equal(links_find_peer(links, SPAN_LITERAL("198.51.100.1:11211")), PEER_NONE);
    pass_ms(world, 2000);
    assert_int_equal(state_of(world, 0, 2), MEMBER_SUSPECT);
    world_close_all(world);
}

static void a_heartbeat_that_no_line_can_tell_is_refused(void **state)
{
    (void)state;
    struct world *world = world_formed(2);
    struct account *from = seen(world, 0, 1);
    struct message pong = {
        .kind = MESSAGE_PONG,
        .PONG = {.number = 1, .boot = from->boot, .inc = from->inc, .hb = 1ull << 63}};
    assert_int_equal(hear(world, 0, from->peer, &pong), ERR_SYNTAX);
    assert_true(from->hb < 1ull << 63);
    pong.PONG.hb--;
    assert_int_equal(hear(world, 0, from->peer, &pong), ERR_OK);
    assert_true(from->hb == INT64_MAX);
    world_close_all(world);
}

static void one_accused_under_the_highest_incarnation_takes_a_higher_boot(void **state)
{
    (void)state;
    struct world *world = world_formed(3);
    const struct account *self = world->places[0].gossip.members.self;
    uint64_t boot = self->boot;
    const struct news news = {.state = MEMBER_SUSPECT,
                              .name = span_of_string(self->name),
                              .boot = self->boot,
                              .generation = self->generation,
                              .inc = UINT32_MAX,
                              .weight = 1,
                              .by = SPAN_LITERAL("-")};
    struct buf body = {0};
    news_append(&body, &news);
    const struct message message = {.kind = MESSAGE_NEWS, .body = buf_span(&body)};
    for (int by = 1; by < 3; by++)
        assert_int_equal(hear(world, 0, seen(world, 0, by)->peer, &message), ERR_OK);
    assert_true(self->boot > boot);
    assert_int_equal(self->inc, 0);
    pass_ms(world, 1000);
    assert_true(seen(world, 1, 0)->boot == self->boot);
    assert_one_view(world);
    buf_close(&body);
    world_close_all(world);
}

/* --- identity --------------------------------------------------------------------------------- */

static void a_restart_within_a_blink_is_noticed_by_all(void **state)
{
    (void)state;
    struct world *world = world_formed(10);
    uint64_t boot = world->places[4].boot;
    place_kill(&world->places[4]);
    pass_ms(world, 50);
    place_start(world, 4, "10.0.0.1:11211\n");
    pass_ms(world, 1000);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(state_of(world, i, 4), MEMBER_ALIVE);
        assert_true(seen(world, i, 4)->boot > boot);
    }
    assert_true(lines_of(world, "member-restarted") + lines_of(world, "member-joined") >= 9);
    world_close_all(world);
}

/* The heartbeat of the new process begins anew: that is no message under way for long. */
static void who_returns_after_a_long_life_is_taken_in_at_once(void **state)
{
    (void)state;
    struct world *world = world_formed(6);
    world->places[4].gossip.members.self->hb = 1000000;
    pass_ms(world, 10000);
    place_kill(&world->places[4]);
    until_all_see(world, 4, MEMBER_REMOVED, 7000);
    place_start(world, 4, "10.0.0.1:11211\n");
    pass_ms(world, 80);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(state_of(world, i, 4), MEMBER_ALIVE);
        assert_true(seen(world, i, 4)->generation == world->places[4].generation);
        assert_true(seen(world, i, 4)->hb < 1000);
    }
    world_close_all(world);
}

/* The wall clock went back, and the state file is lost. */
static void a_boot_lower_than_that_of_the_dead_is_raised(void **state)
{
    (void)state;
    struct world *world = world_formed(6);
    uint64_t boot = world->places[4].boot;
    place_kill(&world->places[4]);
    until_all_see(world, 4, MEMBER_REMOVED, 7000);
    world->places[4].boot = 0;
    world->now.unix_ms -= 86400000;
    place_start(world, 4, "10.0.0.1:11211\n");
    assert_true(world->places[4].boot < boot);
    until_all_see(world, 4, MEMBER_ALIVE, 3000);
    assert_true(world->places[4].links.identity.boot > boot);
    assert_false(world->places[4].has_ended);
    world_close_all(world);
}

static void who_is_removed_and_returns_takes_a_higher_boot(void **state)
{
    (void)state;
    struct world *world = world_formed(6);
    world->places[2].is_stopped = true;
    until_all_see(world, 2, MEMBER_REMOVED, 30000);
    uint64_t boot = world->places[2].boot, generation = world->places[2].generation;
    world->places[2].is_stopped = false;
    until_all_see(world, 2, MEMBER_ALIVE, 8000);
    assert_true(seen(world, 0, 2)->boot > boot);
    assert_true(seen(world, 0, 2)->generation == generation);
    assert_true(world->places[2].links.identity.boot == seen(world, 0, 2)->boot);
    assert_true(record_is_damped(seen(world, 0, 2), world->now.mono_ms));
    pass_ms(world, 3000);
    assert_one_view(world);
    world_close_all(world);
}

static void who_stands_in_the_view_is_not_forgotten(void **state)
{
    (void)state;
    struct world *world = world_open(3);
    world->options.accept_ms = 1000;
    world->options.cleanup_ms = 4000;
    for (int i = 0; i < 3; i++)
        place_start(world, i, "10.0.0.1:11211\n");
    pass_ms(world, 3000);
    struct member member = {0};
    snprintf(member.name, sizeof(member.name), "%s", world->places[2].name);
    const struct view view = {.member_count = 1, .members = &member};
    gossip_keep(&world->places[0].gossip, &view);
    place_kill(&world->places[2]);
    pass_ms(world, 15000);
    assert_int_equal(state_of(world, 0, 2), MEMBER_REMOVED);
    assert_non_null(seen(world, 0, 2));
    assert_null(seen(world, 1, 2));
    world_close_all(world);
}

static void who_is_first_known_from_the_view_is_logged_once(void **state)
{
    (void)state;
    struct world *world = world_formed(3);
    struct gossip *gossip = &world->places[0].gossip;
    world->count = 4;
    place_start(world, 3, "10.0.0.1:11211\n");
    assert_null(seen(world, 0, 3));
    gossip_expect(gossip, world->places[3].name, world->places[3].boot, world->places[3].generation,
                  1, world->now);
    assert_int_equal(state_of(world, 0, 3), MEMBER_ALIVE);
    assert_int_equal(lines_of(world, "member-expected"), 1);
    /* Its own word is no news then. */
    unsigned joined = lines_of(world, "member-joined");
    pass_ms(world, 3000);
    assert_int_equal(lines_of(world, "member-expected"), 1);
    assert_int_equal(lines_of(world, "member-joined"), joined + 2 + 3);
    world_close_all(world);
}

static void the_older_of_two_processes_of_one_name_ends(void **state)
{
    (void)state;
    struct world *world = world_formed(4);
    struct place *place = &world->places[1];
    struct news news;
    members_tell(&place->gossip.members, place->gossip.members.self, world->now.mono_ms, &news);
    news.boot++;
    news.generation++;
    struct buf body = {0};
    news_append(&body, &news);
    struct message message = {
        .kind = MESSAGE_NEWS, .NEWS = {.number = 0, .hb = 1000}, .body = buf_span(&body)};
    assert_int_equal(hear(world, 1, seen(world, 1, 0)->peer, &message), ERR_OK);
    assert_true(gossip_is_duplicate(&place->gossip));
    buf_close(&body);
    world_close_all(world);
}

/* --- leaving ---------------------------------------------------------------------------------- */

static void who_leaves_is_left_and_never_suspected(void **state)
{
    (void)state;
    struct world *world = world_formed(10);
    gossip_leave(&world->places[4].gossip, world->now);
    assert_false(gossip_has_left(&world->places[4].gossip, world->now));
    uint64_t start_ms = world->now.mono_ms;
    while (!gossip_has_left(&world->places[4].gossip, world->now))
        pass_ms(world, 1);
    assert_true(world->now.mono_ms - start_ms <= 20);
    place_kill(&world->places[4]);
    until_all_see(world, 4, MEMBER_LEFT, 100);
    pass_ms(world, 8000);
    assert_int_equal(lines_of(world, "member-suspect"), 0);
    assert_int_equal(lines_of(world, "member-dead"), 0);
    assert_one_view(world);
    world_close_all(world);
}

static void who_leaves_a_mute_cluster_ends_in_time(void **state)
{
    (void)state;
    struct world *world = world_formed(3);
    world->places[0].is_stopped = world->places[1].is_stopped = true;
    gossip_leave(&world->places[2].gossip, world->now);
    pass_ms(world, world->options.leave_ms - 1);
    assert_false(gossip_has_left(&world->places[2].gossip, world->now));
    pass_ms(world, 2);
    assert_true(gossip_has_left(&world->places[2].gossip, world->now));
    assert_true(gossip_deadline(&world->places[2].gossip) == UINT64_MAX);
    world_close_all(world);
}

static void who_leaves_waits_for_nobody_who_is_gone(void **state)
{
    (void)state;
    struct world *world = world_formed(3);
    struct gossip *gossip = &world->places[2].gossip;
    world->places[0].is_stopped = true;
    gossip_leave(gossip, world->now);
    pass_ms(world, 20); /* node 1 has acknowledged */
    assert_false(gossip_has_left(gossip, world->now));
    assert_true(gossip_deadline(gossip) > world->now.mono_ms);
    place_kill(&world->places[0]);
    pass_ms(world, 2);
    assert_true(gossip_has_left(gossip, world->now));
    assert_true(gossip_deadline(gossip) == UINT64_MAX); /* nothing is due any more */
    world_close_all(world);
}

/* --- isolation -------------------------------------------------------------------------------- */

/* Serf's returning node kills its healthy members; this one nobody. */
static void kills_nobody(int count, int cut_off)
{
    struct world *world = world_formed(count);
    struct place *place = &world->places[cut_off];
    place->is_off = true;
    /* It is cut off, not stopped: it goes on by itself. */
    for (int ms = 0; ms < 12000; ms++) {
        pass_ms(world, 1);
        place->is_off = false;
        for (uint32_t i = 0; i < CONNS_MAX; i++)
            if (place->ends[i].is_open && reply_len(&place->ends[i].session.out) > 0) {
                place->ends[i].unacked += reply_len(&place->ends[i].session.out);
                reply_consume(&place->ends[i].session.out, reply_len(&place->ends[i].session.out));
            }
        struct link *late;
        while ((late = links_late(&place->links, world->now)))
            links_end(&place->links, late, DISCONNECT_TIMEOUT, NULL, world->now);
        take_news(place);
        if (gossip_deadline(&place->gossip) <= world->now.mono_ms)
            gossip_tick(&place->gossip, world->now);
        place->is_off = true;
    }
    assert_true(lines_of(world, "isolated") > 0);
    place->is_off = false;
    /* What was sent meanwhile comes by retransmission, or not at all; connections are stuck. */
    pass_ms(world, 10000);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++)
            assert_int_equal(state_of(world, i, j), MEMBER_ALIVE);
    assert_one_view(world);
    for (int i = 0; i < count; i++) {
        char line[64];
        snprintf(line, sizeof(line), "member-dead member=%s ", world->places[i].name);
        if (i != cut_off)
            assert_null(strstr(world->log, line));
    }
    world_close_all(world);
}

static void a_node_back_from_isolation_kills_nobody(void **state)
{
    (void)state;
    kills_nobody(10, 4);
}

static void one_of_three_back_from_isolation_kills_nobody(void **state)
{
    (void)state;
    kills_nobody(3, 1);
}

/* A whole cluster is frozen while it holds itself for isolated: the time is taken off once. */
static void time_both_stopped_and_isolated_counts_once(void **state)
{
    (void)state;
    struct world *world = world_formed(4);
    world->places[3].is_off = true;
    world->places[3].is_running = false;
    until_all_see(world, 3, MEMBER_SUSPECT, 8000);
    for (int i = 0; i < 3; i++) {
        world->places[i].gossip.isolated_since_ms = world->now.mono_ms;
        world->places[i].is_stopped = true;
    }
    pass_ms(world, 60000);
    for (int i = 0; i < 3; i++)
        world->places[i].is_stopped = false;
    until_all_see(world, 3, MEMBER_DEAD, 40000);
    world->places[3].is_running = true;
    world_close_all(world);
}

/* Whether a link that a member has dialled, and that comes up now, proves that it lives. */
static bool is_proof(struct world *world, struct place *place, struct account *record)
{
    world->now.mono_ms++;
    const struct link_news news = {.change = LINK_CAME_UP,
                                   .lane = LANE_CONTROL,
                                   .peer = record->peer,
                                   .boot = record->boot,
                                   .generation = record->generation};
    gossip_link(&place->gossip, &news, world->now);
    return record->proof_ms == world->now.mono_ms;
}

static void after_a_long_stop_a_hello_that_may_have_waited_proves_nothing(void **state)
{
    (void)state;
    struct world *world = world_formed(4);
    struct place *place = &world->places[0];
    assert_true(is_proof(world, place, seen(world, 0, 3)));
    place->is_stopped = true;
    pass_ms(world, 20000);
    place->is_stopped = false;
    pass_ms(world, 5);
    assert_false(is_proof(world, place, seen(world, 0, 3)));
    pass_ms(world, 1000);
    assert_true(is_proof(world, place, seen(world, 0, 3)));
    world_close_all(world);
}

/* --- bad input -------------------------------------------------------------------------------- */

/* Everything on a tape is told to a node once more, by one of its peers, as it was or with each
 * body cut after so many bytes. Returns how many messages there are. */
static unsigned replay(struct world *world, int node, int teller, const struct reply *tape,
                       size_t cut)
{
    struct place *place = &world->places[node];
    uint32_t peer = links_find_peer(&place->links, span_of_string(world->places[teller].name));
    assert_int_not_equal(peer, PEER_NONE);
    struct span in = buf_span(&tape->bytes);
    unsigned count = 0;
    while (in.len > 0) {
        struct frame frame;
        struct message message;
        size_t consumed, need;
        assert_int_equal(frame_parse(in.data, in.len, &frame, &consumed, &need), FRAME_DONE);
        assert_int_equal(message_parse(&frame, &message), ERR_OK);
        bool is_cut = message.body.len > cut;
        if (is_cut)
            message.body.len = cut;
        enum err err = hear(world, node, peer, &message);
        if (!is_cut)
            assert_int_equal(err, ERR_OK);
        gossip_check(&place->gossip);
        in = span_of(in.data + consumed, in.len - consumed);
        count++;
    }
    return count;
}

static void what_is_told_again_or_cut_short_changes_nothing(void **state)
{
    (void)state;
    struct world *world = world_open(8);
    struct reply tape = {0};
    world->places[0].tape = &tape;
    for (int i = 0; i < 8; i++)
        place_start(world, i, "10.0.0.1:11211\n");
    pass_ms(world, 3000);
    place_kill(&world->places[5]);
    until_all_see(world, 5, MEMBER_DEAD, 1000);
    gossip_leave(&world->places[6].gossip, world->now);
    until_all_see(world, 6, MEMBER_LEFT, 1000);
    place_kill(&world->places[6]);
    place_kill(&world->places[7]);
    pass_ms(world, 50);
    place_start(world, 7, "10.0.0.1:11211\n");
    pass_ms(world, 4000);
    for (int i = 0; i <= 3; i += 3) {
        world->places[i].is_stopped = true;
        until_all_see(world, i, MEMBER_SUSPECT, 8000);
        world->places[i].is_stopped = false;
        pass_ms(world, 4000);
    }
    world->places[0].tape = NULL;
    assert_int_equal(state_of(world, 0, 3), MEMBER_ALIVE);
    static const char *const lines[] = {"\nALIVE ", "\nSUSPECT ", "\nDEAD ",  "\nLEFT ",
                                        "\nHB ",    "PING ",      "MEMBERS ", "NEWS "};
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++)
        if (!memmem(buf_span(&tape.bytes).data, buf_len(&tape.bytes), lines[i], strlen(lines[i])))
            fail_msg("nothing on the tape is %s", lines[i]);

    /* To whom it was told, and to another; by one that lives, at once and some time after; twice.
     */
    static const struct {
        int node, teller;
        uint64_t after_ms;
    } cases[] = {{0, 1, 0}, {0, 3, 1000}, {0, 7, 30000}, {2, 1, 0}, {2, 7, 60000}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        pass_ms(world, cases[i].after_ms);
        const struct gossip *gossip = &world->places[cases[i].node].gossip;
        uint64_t viewhash = gossip->members.viewhash;
        size_t log_len = world->log_len;
        for (int again = 0; again < 2; again++)
            assert_true(replay(world, cases[i].node, cases[i].teller, &tape, SIZE_MAX) > 50);
        for (size_t cut = 0; cut < 300; cut++)
            replay(world, cases[i].node, cases[i].teller, &tape, cut);
        assert_true(gossip->members.viewhash == viewhash);
        pass_ms(world, 500);
        assert_string_equal(world->log + log_len, "");
        assert_int_equal(gossip_count(gossip, MEMBER_ALIVE), 6);
        assert_one_view(world);
    }
    reply_close(&tape);
    world_close_all(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_told_again_or_cut_short_changes_nothing),
        cmocka_unit_test(a_node_alone_has_joined_at_once),
        cmocka_unit_test(nodes_started_together_through_one_seed_know_each_other),
        cmocka_unit_test(a_node_in_nobodys_list_joins_through_any_seed),
        cmocka_unit_test(absent_seeds_are_tried_until_they_come),
        cmocka_unit_test(absent_seeds_are_tried_after_growing_pauses),
        cmocka_unit_test(a_killed_process_is_dead_for_all_in_a_quarter_second),
        cmocka_unit_test(a_killed_process_is_known_dead_though_two_of_three_dials_are_lost),
        cmocka_unit_test(a_probe_that_cannot_ask_anew_is_over),
        cmocka_unit_test(two_of_three_see_the_third_die),
        cmocka_unit_test(a_machine_that_is_off_is_suspected_soon_and_dead_after_its_time),
        cmocka_unit_test(a_stopped_process_is_never_dead_within_its_time_and_comes_back),
        cmocka_unit_test(a_process_stopped_for_longer_is_dead),
        cmocka_unit_test(a_quiet_cluster_suspects_nobody),
        cmocka_unit_test(one_late_reply_suspects_nobody),
        cmocka_unit_test(what_is_lost_is_nudged_along),
        cmocka_unit_test(a_stopped_process_is_hardly_nudged),
        cmocka_unit_test(connections_that_break_are_had_again),
        cmocka_unit_test(few_connections_are_kept_and_watchers_still_see_an_end),
        cmocka_unit_test(a_long_list_is_told_in_several_frames),
        cmocka_unit_test(who_always_has_more_to_tell_is_left_until_the_next_round),
        cmocka_unit_test(who_gets_no_help_from_a_whole_list_asks_the_next_for_its_own),
        cmocka_unit_test(who_learns_of_a_join_from_an_answer_passes_it_on),
        cmocka_unit_test(who_asks_only_where_another_stands_is_told_the_newest),
        cmocka_unit_test(a_heartbeat_is_as_old_as_the_question_may_make_it),
        cmocka_unit_test(who_asks_for_a_probe_may_be_gone_before_its_end),
        cmocka_unit_test(a_heartbeat_that_no_line_can_tell_is_refused),
        cmocka_unit_test(one_accused_under_the_highest_incarnation_takes_a_higher_boot),
        cmocka_unit_test(a_restart_within_a_blink_is_noticed_by_all),
        cmocka_unit_test(who_returns_after_a_long_life_is_taken_in_at_once),
        cmocka_unit_test(a_boot_lower_than_that_of_the_dead_is_raised),
        cmocka_unit_test(who_is_removed_and_returns_takes_a_higher_boot),
        cmocka_unit_test(who_stands_in_the_view_is_not_forgotten),
        cmocka_unit_test(who_is_first_known_from_the_view_is_logged_once),
        cmocka_unit_test(the_older_of_two_processes_of_one_name_ends),
        cmocka_unit_test(who_leaves_is_left_and_never_suspected),
        cmocka_unit_test(who_leaves_a_mute_cluster_ends_in_time),
        cmocka_unit_test(who_leaves_waits_for_nobody_who_is_gone),
        cmocka_unit_test(a_node_back_from_isolation_kills_nobody),
        cmocka_unit_test(one_of_three_back_from_isolation_kills_nobody),
        cmocka_unit_test(time_both_stopped_and_isolated_counts_once),
        cmocka_unit_test(after_a_long_stop_a_hello_that_may_have_waited_proves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
