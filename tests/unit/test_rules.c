/* Rules of replication.md that are seldom put to the test where nodes come and go at random: whole
 * nodes in one process (cluster.h), brought to where each rule decides. */
#include "server/core/state.h"
#include "server/core/sync.h"
#include "server/core/views_parts.h"
#include "server/store/copy.h"
#include "tests/unit/cluster.h"

#include <string.h>

static struct views *views_of(const struct cluster *cluster, int node)
{
    return node_views(cluster->places[node].node);
}

static const struct member *stands(const struct cluster *cluster, int node, int subject)
{
    const struct view *view = views_current(views_of(cluster, node));
    for (uint32_t i = 0; i < view->member_count; i++)
        if (strcmp(view->members[i].name, cluster->names[subject]) == 0)
            return &view->members[i];
    fail_msg("n%d does not stand in the view of n%d", subject + 1, node + 1);
    return NULL;
}

static void pass(struct cluster *cluster, uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += 5)
        cluster_pass_ms(cluster, 5);
}

/* Time goes by, and nobody has had a turn meanwhile. */
static void freeze(struct cluster *cluster, uint64_t ms)
{
    cluster->now.mono_ms += ms;
    cluster->now.unix_ms += (int64_t)ms;
}

/* How many bytes a node answers a message of another. */
static size_t told(struct cluster *cluster, int node, int from, const struct message *message)
{
    struct views *views = views_of(cluster, node);
    uint32_t member = (uint32_t)(stands(cluster, node, from) - views_current(views)->members);
    struct reply answer = {0};
    assert_int_equal(
        views_message(views, views_member_peer(views, member), message, &answer, cluster->now),
        ERR_OK);
    size_t len = reply_len(&answer);
    reply_close(&answer);
    return len;
}

static uint32_t slot_of(const char *key)
{
    struct digest digest;
    digest_of(span_of_string(key), &digest);
    return position_slot(digest_position(&digest));
}

/* What a client of n1 sends, given a key that n1 leads. */
static struct end *client_of_leader(struct cluster *cluster, char key[32], const char *command)
{
    char text[100];
    struct end *client = client_open(cluster, 0);
    key_led_by(cluster, 0, key);
    snprintf(text, sizeof(text), command, key);
    client_say(cluster, client, text);
    pass(cluster, 20);
    client_hears(client, "STORED\r\n");
    return client;
}

static void say_get(struct cluster *cluster, struct end *client, const char *key)
{
    char text[100];
    snprintf(text, sizeof(text), "get %s\r\n", key);
    client_say(cluster, client, text);
}

static void set_mute(struct cluster *cluster, bool is_mute)
{
    for (int i = 1; i < cluster->count; i++)
        cluster->places[i].is_mute = is_mute;
}

/* ---- votes ---- */

static void an_acceptor_answers_for_the_view_after_its_own_alone(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    place_stop(&cluster->places[2]);
    cluster_await_ring(cluster, 2);
    uint32_t epoch = views_epoch(views_of(cluster, 1));
    struct message question = {
        .kind = MESSAGE_PREPARE,
        .PREPARE = {.epoch = epoch - 1, .round = 50, .seat = stands(cluster, 1, 0)->seat}};
    uint64_t kept = cluster->places[1].states_kept;
    told(cluster, 1, 0, &question);
    assert_true(cluster->places[1].states_kept == kept); /* nothing was promised */
    question.PREPARE.epoch = epoch;
    told(cluster, 1, 0, &question);
    assert_true(cluster->places[1].states_kept > kept);
    cluster_close(cluster);
}

static void who_cannot_keep_its_own_promise_asks_nobody_for_theirs(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    uint64_t seat = stands(cluster, 1, 0)->seat;
    cluster->places[0].is_disk_full = true;
    place_stop(&cluster->places[2]);
    for (int i = 0; i < 300; i++) {
        cluster_pass_ms(cluster, 5);
        assert_true(views_of(cluster, 1)->highest.seat != seat);
    }
    assert_true(views_of(cluster, 1)->state.acceptor.promised.round > 0); /* it tries itself */
    cluster_close(cluster);
}

static void members_that_are_down_have_their_votes(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(5);
    place_stop(&cluster->places[4]);
    place_stop(&cluster->places[3]);
    cluster_await_ring(cluster, 3);
    uint32_t epoch = views_epoch(views_of(cluster, 0));
    assert_int_equal(view_voter_count(views_current(views_of(cluster, 0))), 5);
    place_stop(&cluster->places[2]);
    pass(cluster, 2500);
    assert_int_equal(views_epoch(views_of(cluster, 0)), epoch); /* two of five */
    cluster_close(cluster);
}

static void who_has_accepted_under_one_list_founds_under_no_other(void **state)
{
    (void)state;
    struct gossip_options timers;
    CHECK(gossip_profile(SPAN_LITERAL("fast"), &timers));
    struct cluster *cluster = cluster_make(1, &timers);
    struct state said = {
        .boot = 1, .seat = 7, .list = 99, .acceptor = {.promised = {1, 7}, .accepted = {1, 7}}};
    struct member member = {.name = "10.0.0.1:11211",
                            .generation = 1000,
                            .boot = 1,
                            .seat = 7,
                            .weight = 1,
                            .up_since = 1};
    struct view *view = &said.acceptor.view;
    *view = (struct view){
        .epoch = 1, .base = 1, .cluster_id = 1, .copies = VIEW_COPIES, .strategy = "random"};
    view_add(view, &member);
    view_elect(view);
    snprintf(said.cluster, sizeof(said.cluster), "dht");
    snprintf(said.name, sizeof(said.name), "%s", cluster->names[0]);
    state_format(&said, &cluster->places[0].state);
    state_close(&said);
    cluster->places[0].boot = 1;
    place_start_listed(&cluster->places[0]);
    pass(cluster, 3000);
    assert_null(views_current(views_of(cluster, 0)));
    cluster_close(cluster);
}

/* n3 starts again, and its state file is lost: the seat in the view is another's from then on. */
static void who_has_lost_its_state_file_has_lost_its_vote(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    uint64_t seat = stands(cluster, 1, 0)->seat;
    struct buf text = {0};
    view_format(views_current(views_of(cluster, 1)), NULL, &text);
    set_mute(cluster, true);
    cluster->places[0].is_mute = true;
    place_stop(&cluster->places[2]);
    buf_consume(&cluster->places[2].state, buf_len(&cluster->places[2].state));
    place_start_listed(&cluster->places[2]);
    struct views *views = views_of(cluster, 2);
    struct reply answer = {0};
    uint32_t peer = links_peer(views->links, cluster->names[0]);
    const struct message told_view = {
        .kind = MESSAGE_VIEWS, .VIEWS = {.epoch = 1}, .body = buf_span(&text)};
    assert_int_equal(views_message(views, peer, &told_view, &answer, cluster->now), ERR_OK);
    assert_int_equal(views_epoch(views), 1);
    const struct message question = {.kind = MESSAGE_PREPARE,
                                     .PREPARE = {.epoch = 1, .round = 50, .seat = seat}};
    assert_true(told(cluster, 2, 0, &question) == 0);
    reply_close(&answer);
    buf_close(&text);
    cluster_close(cluster);
}

/* ---- collect ---- */

/* Writes a value through a node; the answer is to be this. */
static void say_set(struct cluster *cluster, struct end *client, const char *key, char value)
{
    char text[100];
    snprintf(text, sizeof(text), "set %s 0 0 1\r\n%c\r\n", key, value);
    client_say(cluster, client, text);
}

static void hears_value(struct end *client, const char *key, char value)
{
    char text[100];
    snprintf(text, sizeof(text), "VALUE %s 0 1\r\n%c\r\nEND\r\n", key, value);
    client_hears(client, text);
}

/* A key that n1 leads, and behind it n2. */
static void key_led_then_by(struct cluster *cluster, int first, int second, char key[32])
{
    const struct ring *ring = views_ring(views_of(cluster, first), 1);
    int from = 0;
    uint32_t slot;
    do {
        next_key_led_by(cluster, first, &from, key);
        slot = slot_of(key);
    } while (ring->group[slot][0] != first || ring->group[slot][1] != second);
}

/* n3 is down in view 2, and its copy is synced nevertheless: it was only mute. With n1 it has a
 * write that n2 has not. Then n1 is gone, and n2 leads: without n3 it does not know enough. */
static void a_member_that_was_down_counts_for_what_is_needed(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    char key[32];
    key_led_then_by(cluster, 0, 1, key);
    struct end *client = client_open(cluster, 0);
    say_set(cluster, client, key, 'a');
    client_hears(client, "STORED\r\n");
    cluster->places[2].is_mute = true;
    for (int i = 0; i < 4000 && views_epoch(views_of(cluster, 0)) == 1; i++)
        cluster_pass_ms(cluster, 5);
    assert_int_equal(stands(cluster, 0, 2)->standing, STANDING_DOWN);
    pass(cluster, 20);
    cluster->places[2].is_mute = false;
    const struct node *back = cluster->places[2].node;
    for (int i = 0; i < 300 && (views_epoch(views_of(cluster, 2)) == 1 ||
                                !sync_is_received_synced(node_sync(back), slot_of(key)));
         i++)
        cluster_pass_ms(cluster, 5);
    assert_int_equal(views_epoch(views_of(cluster, 2)), 2);
    assert_true(sync_is_received_synced(node_sync(back), slot_of(key)));
    assert_int_equal(stands(cluster, 0, 2)->standing, STANDING_DOWN);
    cluster->places[1].is_mute = true;
    say_set(cluster, client, key, 'b');
    pass(cluster, 20);
    client_hears(client, "STORED\r\n");
    assert_int_equal(views_epoch(views_of(cluster, 0)), 2);
    place_stop(&cluster->places[0]);
    cluster->places[1].is_mute = false;
    struct end *other = client_open(cluster, 1);
    for (int i = 0; i < 2000 && buf_len(&other->session.out.bytes) == 0; i++) {
        if (i == 400)
            say_get(cluster, other, key);
        cluster_pass_ms(cluster, 5);
    }
    hears_value(other, key, 'b');
    cluster_close(cluster);
}

/* n2 and n3 have copies of one (act, ver), that of n2 with an item above it, of a sync that has not
 * ended: when n2 leads, n3 gets it too. */
static void what_an_unclean_copy_has_above_its_ver_goes_to_the_backups(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    char key[32];
    key_led_then_by(cluster, 0, 1, key);
    uint32_t slot = slot_of(key);
    struct end *client = client_open(cluster, 0);
    say_set(cluster, client, key, 'a');
    pass(cluster, 20);
    client_hears(client, "STORED\r\n");
    struct store *store = cluster->places[1].store;
    struct digest digest;
    digest_of(span_of_string(key), &digest);
    const struct store_key place = {.bytes = span_of_string(key),
                                    .position = digest_position(&digest)};
    const struct store_put put = {.head = SPAN_LITERAL("b"), .expires_s = STORE_NEVER};
    uint64_t ver = store_ver(store, slot);
    assert_int_equal(store_apply(store, &place, ver + 1, &put, false), ERR_OK);
    copy_soil(store, slot);
    assert_true(store_ver(store, slot) == ver);
    place_stop(&cluster->places[0]);
    cluster_await_ring(cluster, 2);
    pass(cluster, 500);
    struct store_item item;
    for (int i = 1; i < 3; i++) {
        assert_int_equal(store_find(cluster->places[i].store, &place, &item), STORE_ITEM);
        assert_true(span_equal(item.value, SPAN_LITERAL("b")));
        assert_true(store_copy(cluster->places[i].store, slot)->is_clean);
    }
    cluster_close(cluster);
}

/* The session that n1 has of a slot with another node. */
static struct sync_session_view session_to(const struct cluster *cluster, int node, uint32_t slot)
{
    const struct views *views = views_of(cluster, 0);
    uint32_t member = (uint32_t)(stands(cluster, 0, node) - views_current(views)->members);
    struct sync_session_view session;
    assert_true(sync_session(node_sync(cluster->places[0].node), slot,
                             views_member_peer(views, member), &session));
    return session;
}

/* Lets a mute node take what has come, until it has answered a frame of this kind. */
static void wake_until(struct cluster *cluster, int node, const char *last_frame)
{
    cluster->places[node].is_mute = cluster->places[node].goes_mute = false;
    cluster->places[node].last_frame = last_frame;
    pass(cluster, 5);
}

/* Neither backup's copy is what n1 led from: both say so, and are offered it; n2 takes nothing of
 * that. */
static void once_the_quorum_is_there_clients_wait_for_no_other_copy(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct place *places = cluster->places;
    char key[32];
    key_led_then_by(cluster, 0, 1, key);
    uint32_t slot = slot_of(key), epoch = views_epoch(views_of(cluster, 0));
    struct end *client = client_open(cluster, 0);
    say_set(cluster, client, key, 'a');
    pass(cluster, 20);
    client_hears(client, "STORED\r\n");
    copy_soil(places[1].store, slot);
    copy_soil(places[2].store, slot);
    places[1].last_frame = places[2].last_frame = "ACCEPT ";
    views_want_next(views_of(cluster, 0), cluster->now);
    for (int i = 0; i < 400 && views_epoch(views_of(cluster, 0)) == epoch; i++)
        cluster_pass_ms(cluster, 5);
    assert_int_equal(views_epoch(views_of(cluster, 0)), epoch + 1);
    for (int node = 1; node < 3; node++) {
        wake_until(cluster, node, "VIEWS "); /* what came of the view before is taken with it */
        places[node].is_mute = false;        /* to say, not to hear */
        places[node].goes_mute = true;
        pass(cluster, 5);
        if (session_to(cluster, node, slot).state == SYNC_ADVANCING)
            wake_until(cluster, node, "STREAM ");
        assert_int_equal(session_to(cluster, node, slot).state, SYNC_OFFERED);
    }
    assert_int_equal(session_to(cluster, 1, slot).rank, SYNC_FOR_QUORUM);
    wake_until(cluster, 2, NULL);
    pass(cluster, 20);
    assert_int_equal(session_to(cluster, 2, slot).state, SYNC_SYNCED);
    assert_int_equal(session_to(cluster, 1, slot).state, SYNC_OFFERED);
    assert_int_equal(session_to(cluster, 1, slot).rank, SYNC_FOR_GROUP);
    cluster_close(cluster);
}

/* ---- base ---- */

/* n1 of four, the others down: it leads what it is of the group of, and the rest has no primary. */
static void where_a_slot_has_no_primary_not_all_are_active(void **state)
{
    (void)state;
    struct gossip_options timers;
    CHECK(gossip_profile(SPAN_LITERAL("fast"), &timers));
    struct cluster *cluster = cluster_make(4, &timers);
    struct view view = {
        .epoch = 5, .base = 5, .cluster_id = 1, .copies = VIEW_COPIES, .strategy = "random"};
    struct state said = {.boot = 1, .seat = 1, .cluster_id = 1, .view_count = 1, .views = &view};
    for (int i = 0; i < 4; i++) {
        struct member member = {.generation = (uint64_t)(2000 + i),
                                .boot = 2,
                                .seat = (uint64_t)i + 1,
                                .weight = 1,
                                .standing = i == 0 ? STANDING_UP : STANDING_DOWN,
                                .up_since = i == 0};
        snprintf(member.name, sizeof(member.name), "%s", cluster->names[i]);
        view_add(&view, &member);
    }
    view_elect(&view);
    snprintf(said.cluster, sizeof(said.cluster), "dht");
    snprintf(said.name, sizeof(said.name), "%s", cluster->names[0]);
    state_format(&said, &cluster->places[0].state);
    view_close(&view);
    cluster->places[0].boot = 1;
    place_start_listed(&cluster->places[0]);
    struct views *views = views_of(cluster, 0);
    const struct ring *ring = views_ring(views, 5);
    uint32_t led = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        bool is_led = ring->primary[slot] == views_self(views);
        led += is_led;
        views_report_active(views, slot, is_led);
    }
    report_tick(views, cluster->now); /* what is due goes together, a moment later */
    freeze(cluster, 1000);
    report_tick(views, cluster->now);
    assert_true(led > 0 && led < SLOT_COUNT);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        assert_true(slots_has(&views->active, slot) == (ring->primary[slot] != RING_NOBODY));
    assert_false(report_all_active(views));
    cluster_close(cluster);
}

/* ---- going ---- */

static void who_stops_takes_no_session_and_waits_until_the_others_have_everything(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    cluster->places[2].is_mute = true; /* so that no slot has two copies without n1 */
    uint64_t begun_ms = cluster->now.mono_ms;
    node_leave(cluster->places[0].node);
    pass(cluster, 300);
    assert_int_equal(stands(cluster, 1, 0)->standing, STANDING_STOPPING);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        assert_false(sync_is_received(node_sync(cluster->places[0].node), slot));
    while (!cluster->places[0].has_ended && cluster->now.mono_ms < begun_ms + 6000)
        cluster_pass_ms(cluster, 5);
    assert_in_range(cluster->now.mono_ms - begun_ms, 2500, 4500);
    cluster_close(cluster);
}

/* ---- the fence, and recovery ---- */

static void who_has_accepted_the_next_view_answers_no_more_for_the_present(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    const struct view *current = views_current(views_of(cluster, 1));
    const struct message question = {.kind = MESSAGE_GET_ALIVE,
                                     .GET_ALIVE = {.epoch = 1, .number = 5}};
    struct view next;
    struct buf text = {0};
    assert_true(told(cluster, 1, 0, &question) > 0);
    view_copy(current, &next);
    next.epoch++;
    view_format(&next, current, &text);
    const struct message accept = {
        .kind = MESSAGE_ACCEPT,
        .ACCEPT = {.epoch = 1, .round = 50, .seat = stands(cluster, 1, 0)->seat},
        .body = buf_span(&text)};
    assert_true(told(cluster, 1, 0, &accept) > 0);
    assert_true(told(cluster, 1, 0, &question) == 0);
    buf_close(&text);
    view_close(&next);
    cluster_close(cluster);
}

static void nobody_is_gone_before_the_fence_of_the_older_views_has_fallen(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct views *views = views_of(cluster, 1);
    char why[VIEWS_WHY_BYTES_MAX];
    uint64_t number;
    place_stop(&cluster->places[2]);
    cluster_await_ring(cluster, 2);
    struct member lost = *stands(cluster, 1, 2);
    views_forget(views, span_of_string(cluster->names[2]), &number, cluster->now);
    for (int i = 0; i < 400 && views_asked(views, number, why) == VIEWS_UNDER_WAY; i++)
        cluster_pass_ms(cluster, 5);
    assert_int_equal(stands(cluster, 1, 2)->standing, STANDING_FORGOTTEN);
    assert_false(views_is_gone(views, &lost, cluster->now)); /* its fence may stand still */
    uint64_t begun_ms = cluster->now.mono_ms;
    while (!views_is_gone(views, &lost, cluster->now) && cluster->now.mono_ms < begun_ms + 20000)
        cluster_pass_ms(cluster, 5);
    assert_in_range(cluster->now.mono_ms - begun_ms, 1900, 4500);
    cluster_close(cluster);
}

/* ---- serving ---- */

static void a_read_waits_for_a_marker_that_was_sent_after_it_came(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    char key[32], value[64];
    struct end *client = client_of_leader(cluster, key, "set %s 0 0 1\r\nx\r\n");
    set_mute(cluster, true);
    say_get(cluster, client, key);
    client_hears(client, "");
    set_mute(cluster, false);
    cluster_settle(cluster);
    snprintf(value, sizeof(value), "VALUE %s 0 1\r\nx\r\nEND\r\n", key);
    client_hears(client, value);
    cluster_close(cluster);
}

/* What was refused tells what is there, as a read does. */
static void a_refusal_waits_for_a_marker_like_a_read(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    char key[32], text[100];
    struct end *client = client_of_leader(cluster, key, "set %s 0 0 1\r\nx\r\n");
    set_mute(cluster, true);
    snprintf(text, sizeof(text), "add %s 0 0 1\r\ny\r\n", key);
    client_say(cluster, client, text);
    client_hears(client, "");
    set_mute(cluster, false);
    cluster_settle(cluster);
    client_hears(client, "NOT_STORED\r\n");
    cluster_close(cluster);
}

static void an_expired_item_is_deleted_before_it_is_said_to_be_absent(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    char key[32];
    struct end *client = client_of_leader(cluster, key, "set %s 0 1 1\r\nx\r\n");
    uint32_t slot = slot_of(key);
    uint64_t ver = store_ver(cluster->places[0].store, slot);
    freeze(cluster, 1500);
    say_get(cluster, client, key);
    client_hears(client, "END\r\n");
    assert_true(store_ver(cluster->places[0].store, slot) > ver);
    assert_true(store_ver(cluster->places[1].store, slot) > ver ||
                store_ver(cluster->places[2].store, slot) > ver);
    cluster_close(cluster);
}

static void no_result_is_given_once_the_fence_has_fallen(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(3);
    char key[32];
    struct end *client = client_of_leader(cluster, key, "set %s 0 0 1\r\nx\r\n");
    set_mute(cluster, true);
    say_get(cluster, client, key);
    client_hears(client, "");
    freeze(cluster, 3000); /* all of them were stopped, n1 too */
    set_mute(cluster, false);
    cluster_settle(cluster); /* the backups confirm what they were asked then */
    struct span heard = buf_span(&client->session.out.bytes);
    assert_false(heard.len > 0 && memmem(heard.data, heard.len, "VALUE", 5));
    cluster_close(cluster);
}

/* ---- becoming primary ---- */

/* The place of the member that stands there in the group of a slot. */
static int node_in_group(const struct cluster *cluster, uint32_t slot, uint32_t at)
{
    struct views *views = views_of(cluster, 0);
    const struct view *view = views_current(views);
    const struct ring *ring = views_ring(views, view->epoch);
    for (int i = 0; i < cluster->count; i++)
        if (strcmp(view->members[ring->group[slot][at]].name, cluster->names[i]) == 0)
            return i;
    fail_msg("nobody");
    return -1;
}

static uint64_t version_at(const struct place *place, const char *name)
{
    struct digest digest;
    struct store_item item;
    digest_of(span_of_string(name), &digest);
    const struct store_key key = {.bytes = span_of_string(name),
                                  .position = digest_position(&digest)};
    assert_int_equal(store_find(place->store, &key, &item), STORE_ITEM);
    return item.version;
}

/* Waits until a node's view says that another is up, or down. */
static void await_up(struct cluster *cluster, int node, int subject, bool is_up)
{
    for (int i = 0; i < 2000 && member_is_up(stands(cluster, node, subject)) != is_up; i++)
        cluster_pass_ms(cluster, 5);
    assert_true(member_is_up(stands(cluster, node, subject)) == is_up);
}

/* n1 leads a slot in a view, is down in the next, which it does not hear of until it is up again in
 * the one after that, and takes the copy of who led it meanwhile. What the other backup had
 * acknowledged to n1 says nothing of what it lacks of that. */
static void a_copy_taken_from_another_is_known_of_no_backup(void **state)
{
    (void)state;
    struct gossip_options timers;
    CHECK(gossip_profile(SPAN_LITERAL("lan"), &timers));
    struct cluster *cluster = cluster_open_with(5, &timers);
    char key[32], text[64];
    (void)client_of_leader(cluster, key, "set %s 0 0 1\r\nx\r\n");
    pass(cluster, 50);
    uint32_t slot = slot_of(key), epoch = views_epoch(views_of(cluster, 0));
    int second = node_in_group(cluster, slot, 1), third = node_in_group(cluster, slot, 2);
    struct place *places = cluster->places;
    places[0].is_mute = places[0].is_disk_full = true;
    await_up(cluster, second, 0, false);
    pass(cluster, 50);
    assert_int_equal(store_copy(places[third].store, slot)->act, epoch + 1);
    places[0].is_mute = false; /* alive, but it cannot adopt a view */
    const struct views *views = views_of(cluster, second);
    const struct account *account = keep_account(views, cluster->names[0]);
    while (account->state != MEMBER_ALIVE ||
           account->state_ms + views->options.up_after_ms > cluster->now.mono_ms + 20)
        cluster_pass_ms(cluster, 5);
    assert_int_equal(views_epoch(views_of(cluster, second)), epoch + 1);
    places[third].is_mute = true; /* it has no part in this write */
    snprintf(text, sizeof(text), "set %s 0 0 1\r\ny\r\n", key);
    client_say(cluster, client_open(cluster, second), text);
    await_up(cluster, second, 0, true);
    assert_int_equal(views_epoch(views_of(cluster, second)), epoch + 2);
    assert_int_equal(views_epoch(views_of(cluster, 0)), epoch);
    places[0].is_disk_full = false;
    for (int i = 0; i < 200 && views_epoch(views_of(cluster, 0)) == epoch; i++)
        cluster_pass_ms(cluster, 5);
    assert_int_equal(views_epoch(views_of(cluster, 0)), epoch + 2);
    for (int i = 0; i < CLUSTER_CONNS_MAX; i++) { /* what was under way to the third is lost */
        struct end *end = &places[second].ends[i];
        if (end->is_open && end->peer_node == third)
            reply_consume(&end->session.out, reply_len(&end->session.out));
    }
    places[third].is_mute = false;
    pass(cluster, 100);
    assert_int_equal(store_copy(places[third].store, slot)->act, epoch + 2);
    assert_int_equal(version_at(&places[0], key) >> STORE_SEQ_BITS, epoch + 1);
    assert_true(version_at(&places[third], key) == version_at(&places[0], key));
    cluster_close(cluster);
}

/* ---- flush_all ---- */

static void hears_of(struct cluster *cluster, int node, const char *format, const char *key,
                     const char *answer)
{
    char text[100];
    struct end *client = client_open(cluster, node);
    snprintf(text, sizeof(text), format, key);
    client_say(cluster, client, text);
    cluster_pass_ms(cluster, 5);
    client_hears(client, answer);
}

/* n1 has flushed the slot, and is gone; who leads it then hears of the flush_all only now. */
static void a_flush_comes_to_a_slot_once_whoever_leads_it(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(5);
    struct place *places = cluster->places;
    char key[32];
    (void)client_of_leader(cluster, key, "set %s 0 0 1\r\nx\r\n");
    uint32_t slot = slot_of(key);
    int second = node_in_group(cluster, slot, 1), third = node_in_group(cluster, slot, 2);
    int entry = 1;
    while (entry == second || entry == third)
        entry++;
    places[second].is_mute = true; /* what the entry node says to it is under way */
    struct end *client = client_open(cluster, entry);
    client_say(cluster, client, "flush_all\r\n");
    hears_of(cluster, third, "get %s\r\n", key, "END\r\n");
    place_stop(&places[0]);
    await_up(cluster, third, 0, false);
    places[entry].is_mute = true;
    places[second].is_mute = false;
    pass(cluster, 50);
    assert_false(member_is_up(stands(cluster, second, 0)));
    hears_of(cluster, second, "set %s 0 0 1\r\ny\r\n", key, "STORED\r\n");
    places[entry].is_mute = false;
    pass(cluster, 50);
    char value[64];
    snprintf(value, sizeof(value), "VALUE %s 0 1\r\ny\r\nEND\r\n", key);
    hears_of(cluster, second, "get %s\r\n", key, value);
    cluster_close(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flush_comes_to_a_slot_once_whoever_leads_it),
        cmocka_unit_test(a_copy_taken_from_another_is_known_of_no_backup),
        cmocka_unit_test(an_acceptor_answers_for_the_view_after_its_own_alone),
        cmocka_unit_test(who_cannot_keep_its_own_promise_asks_nobody_for_theirs),
        cmocka_unit_test(members_that_are_down_have_their_votes),
        cmocka_unit_test(who_has_accepted_under_one_list_founds_under_no_other),
        cmocka_unit_test(who_has_lost_its_state_file_has_lost_its_vote),
        cmocka_unit_test(a_member_that_was_down_counts_for_what_is_needed),
        cmocka_unit_test(what_an_unclean_copy_has_above_its_ver_goes_to_the_backups),
        cmocka_unit_test(once_the_quorum_is_there_clients_wait_for_no_other_copy),
        cmocka_unit_test(where_a_slot_has_no_primary_not_all_are_active),
        cmocka_unit_test(who_stops_takes_no_session_and_waits_until_the_others_have_everything),
        cmocka_unit_test(who_has_accepted_the_next_view_answers_no_more_for_the_present),
        cmocka_unit_test(nobody_is_gone_before_the_fence_of_the_older_views_has_fallen),
        cmocka_unit_test(a_read_waits_for_a_marker_that_was_sent_after_it_came),
        cmocka_unit_test(a_refusal_waits_for_a_marker_like_a_read),
        cmocka_unit_test(an_expired_item_is_deleted_before_it_is_said_to_be_absent),
        cmocka_unit_test(no_result_is_given_once_the_fence_has_fallen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
