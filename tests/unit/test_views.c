/* Views: whole nodes that agree, in one process (cluster.h). */
#include "server/core/views.h"

#include "server/core/operator.h"
#include "server/core/state.h"
#include "tests/unit/cluster.h"

/* ---- scenes ---- */

static struct cluster *make_quick(int count)
{
    struct gossip_options timers;
    CHECK(gossip_profile(SPAN_LITERAL("fast"), &timers));
    return cluster_make(count, &timers);
}

static const struct view *view_at(const struct cluster *cluster, int node)
{
    return views_current(node_views(cluster->places[node].node));
}

static uint32_t epoch_at(const struct cluster *cluster, int node)
{
    return views_epoch(node_views(cluster->places[node].node));
}

static void pass(struct cluster *cluster, uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += 5)
        cluster_pass_ms(cluster, 5);
}

/* How a name stands in a node's view: its last generation. NULL: it is not there. */
static const struct member *stands(const struct cluster *cluster, int node, int subject)
{
    const struct view *view = view_at(cluster, node);
    const struct member *found = NULL;
    for (uint32_t i = 0; view && i < view->member_count; i++)
        if (strcmp(view->members[i].name, cluster->names[subject]) == 0)
            found = &view->members[i];
    return found;
}

static uint64_t list_start(struct cluster *cluster, int node, const char *list)
{
    place_start(&cluster->places[node], list);
    return cluster->places[node].boot;
}

static enum views_outcome await(struct cluster *cluster, int node, uint64_t number,
                                char why[VIEWS_WHY_BYTES_MAX])
{
    enum views_outcome outcome = VIEWS_UNDER_WAY;
    for (int i = 0; i < 4000 && outcome == VIEWS_UNDER_WAY; i++) {
        cluster_pass_ms(cluster, 5);
        outcome = views_asked(node_views(cluster->places[node].node), number, why);
    }
    return outcome;
}

static void check_all(const struct cluster *cluster)
{
    for (int i = 0; i < cluster->count; i++)
        if (cluster->places[i].node)
            views_check(node_views(cluster->places[i].node));
}

/* What a node answers a message of another; "" if it says nothing. answer: to be closed. */
static struct span told(struct cluster *cluster, int node, int from, const struct message *message,
                        struct reply *answer)
{
    struct views *views = node_views(cluster->places[node].node);
    uint32_t member = (uint32_t)(stands(cluster, node, from) - views_current(views)->members);
    *answer = (struct reply){0};
    assert_int_equal(
        views_message(views, views_member_peer(views, member), message, answer, cluster->now),
        ERR_OK);
    reply_own(answer);
    return buf_span(&answer->bytes);
}

/* Gives a node the view after its own, which another node has. */
static void give_view(struct cluster *cluster, int node, int from, struct view *view)
{
    struct buf text = {0};
    struct reply answer;
    view->epoch++;
    view_elect(view);
    view_format(view, NULL, &text);
    const struct message message = {
        .kind = MESSAGE_VIEWS, .VIEWS = {.epoch = view->epoch}, .body = buf_span(&text)};
    assert_int_equal(told(cluster, node, from, &message, &answer).len, 0);
    assert_int_equal(epoch_at(cluster, node), view->epoch);
    reply_close(&answer);
    buf_close(&text);
}

/* ---- birth ---- */

static void view_1_names_all_who_are_there(void **state)
{
    (void)state;
    struct cluster *cluster = make_quick(3);
    for (int i = 0; i < 3; i++)
        place_start_listed(&cluster->places[i]);
    pass(cluster, 300); /* nobody is waited for */
    for (int i = 0; i < 3; i++) {
        const struct view *view = view_at(cluster, i);
        assert_non_null(view);
        assert_int_equal(view->epoch, 1);
        assert_int_equal(view->member_count, 3);
        assert_int_equal(view_voter_count(view), 3);
        assert_true(view->cluster_id == view_at(cluster, 0)->cluster_id);
        assert_true(views_may_lead(node_views(cluster->places[i].node)));
    }
    check_all(cluster);
    cluster_close(cluster);
}

static void a_majority_of_the_lines_founds_and_the_rest_joins(void **state)
{
    (void)state;
    struct cluster *cluster = make_quick(5);
    char text[VIEWS_WHY_BYTES_MAX];
    place_start_listed(&cluster->places[1]);
    place_start_listed(&cluster->places[4]);
    pass(cluster, 5000);
    assert_null(view_at(cluster, 1));
    assert_true(views_awaits(node_views(cluster->places[1].node), text));
    assert_string_equal(text, "waiting for 3 of 5 peers (2 here)");
    assert_int_equal(place_logged(&cluster->places[1], " founding-awaits "), 1);
    place_start_listed(&cluster->places[2]);
    pass(cluster, 3000);
    assert_non_null(view_at(cluster, 1));
    assert_int_equal(view_at(cluster, 1)->member_count, 3);
    assert_false(views_awaits(node_views(cluster->places[1].node), text));
    uint64_t id = view_at(cluster, 1)->cluster_id;
    place_start_listed(&cluster->places[0]);
    place_start_listed(&cluster->places[3]);
    cluster_await_ring(cluster, 5);
    assert_true(view_at(cluster, 0)->cluster_id == id);
    check_all(cluster);
    cluster_close(cluster);
}

static void who_is_no_line_of_its_file_joins_and_never_founds(void **state)
{
    (void)state;
    struct cluster *cluster = make_quick(2);
    list_start(cluster, 1, "10.0.0.1:11211\n");
    pass(cluster, 3000);
    assert_null(view_at(cluster, 1));
    list_start(cluster, 0, "10.0.0.1:11211\n");
    cluster_await_ring(cluster, 2);
    assert_int_equal(stands(cluster, 0, 1)->role, ROLE_FULL);
    cluster_close(cluster);
}

/* Three nodes and a fourth that is not let in: only one of the three is there. */
static struct cluster *open_outside(void)
{
    struct cluster *cluster = make_quick(4);
    for (int i = 0; i < 3; i++)
        place_start_listed(&cluster->places[i]);
    cluster_await_ring(cluster, 3);
    place_stop(&cluster->places[1]);
    place_stop(&cluster->places[2]);
    list_start(cluster, 3, "10.0.0.1:11211\n");
    pass(cluster, 3000);
    assert_int_equal(epoch_at(cluster, 3), 1);
    assert_null(stands(cluster, 3, 3));
    return cluster;
}

static void a_newcomer_asks_at_once_in_each_view(void **state)
{
    (void)state;
    struct cluster *cluster = open_outside();
    struct place *asked = &cluster->places[0];
    struct view next = {0};
    asked->lost_frame = "PROPOSE ";
    for (int i = 0; i < 400 && asked->lost_count == 0; i++)
        cluster_pass_ms(cluster, 5);
    assert_int_equal(asked->lost_count, 1); /* and 500 ms later the next one */
    view_copy(view_at(cluster, 0), &next);
    give_view(cluster, 3, 0, &next);
    assert_null(stands(cluster, 3, 3));
    pass(cluster, 50);
    assert_int_equal(asked->lost_count, 2);
    view_close(&next);
    cluster_close(cluster);
}

static void a_newcomer_that_is_one_view_behind_is_told_at_once(void **state)
{
    (void)state;
    struct cluster *cluster = open_outside();
    struct view next = {0};
    view_copy(view_at(cluster, 3), &next);
    give_view(cluster, 0, 2, &next);
    pass(cluster, 100); /* a member would have it from whoever made it in 200 ms */
    assert_int_equal(epoch_at(cluster, 3), 2);
    view_close(&next);
    cluster_close(cluster);
}

static void nothing_is_founded_while_two_files_differ(void **state)
{
    (void)state;
    struct cluster *cluster = make_quick(3);
    list_start(cluster, 0, "10.0.0.1:11211\n10.0.0.2:11211\n10.0.0.3:11211\n");
    list_start(cluster, 1, "10.0.0.1:11211\n10.0.0.2:11211\n");
    pass(cluster, 5000);
    assert_null(view_at(cluster, 0));
    assert_null(view_at(cluster, 1));
    assert_int_equal(place_logged(&cluster->places[0], " founding-refused "), 1);
    assert_int_equal(place_logged(&cluster->places[1], " founding-refused "), 1);
    struct view right;
    struct peers_error error;
    assert_int_equal(peers_parse(SPAN_LITERAL("10.0.0.1:11211\n10.0.0.2:11211\n10.0.0.3:11211\n"),
                                 &right, &error),
                     ERR_OK);
    node_seed(cluster->places[1].node, &right, &right);
    pass(cluster, 4000);
    assert_non_null(view_at(cluster, 1));
    assert_int_equal(epoch_at(cluster, 0), 1);
    cluster_close(cluster);
    view_close(&right);
}

static void without_a_state_file_nothing_is_founded_but_by_an_operators_word(void **state)
{
    (void)state;
    struct cluster *cluster = make_quick(1);
    cluster->places[0].has_no_state = true;
    place_start_listed(&cluster->places[0]);
    pass(cluster, 3000);
    assert_null(view_at(cluster, 0));
    place_stop(&cluster->places[0]);
    cluster->views.is_forming = true;
    place_start_listed(&cluster->places[0]);
    pass(cluster, 1500);
    assert_non_null(view_at(cluster, 0));
    cluster_close(cluster);
}

static void form_founds_with_those_that_answer(void **state)
{
    (void)state;
    struct cluster *cluster = make_quick(5);
    place_start_listed(&cluster->places[2]);
    cluster->views.is_forming = true;
    place_start_listed(&cluster->places[3]);
    pass(cluster, 4000);
    assert_non_null(view_at(cluster, 3));
    assert_int_equal(view_at(cluster, 3)->member_count, 2);
    assert_int_equal(epoch_at(cluster, 2), 1);
    cluster_close(cluster);
}

/* A's file lists A alone; B and C joined through it; A starts again and has lost its data. */
static void a_state_file_that_names_a_cluster_never_founds(void **state)
{
    (void)state;
    struct cluster *cluster = make_quick(3);
    list_start(cluster, 0, "10.0.0.1:11211\n");
    pass(cluster, 200);
    list_start(cluster, 1, "10.0.0.1:11211\n");
    list_start(cluster, 2, "10.0.0.1:11211\n");
    cluster_await_ring(cluster, 3);
    uint64_t id = view_at(cluster, 1)->cluster_id;
    place_stop(&cluster->places[0]);
    list_start(cluster, 0, "10.0.0.1:11211\n");
    cluster_await_ring(cluster, 3);
    assert_true(view_at(cluster, 0)->cluster_id == id);
    assert_true(epoch_at(cluster, 0) > 1);
    assert_int_equal(stands(cluster, 1, 0)->generation, 2000);
    cluster_close(cluster);
}

/* ---- members come and go ---- */

/* With the connection that it went by, or as the receiver did not have the view yet. */
static void a_report_that_was_lost_is_asked_for(void **state)
{
    (void)state;
    struct cluster *cluster = make_quick(4);
    for (int i = 0; i < 3; i++)
        place_start_listed(&cluster->places[i]);
    cluster_await_ring(cluster, 3);
    for (int i = 0; i < 3; i++)
        cluster->places[i].lost_frame = "REPORT";
    list_start(cluster, 3, "10.0.0.1:11211\n");
    for (int i = 0; i < 400 && !stands(cluster, 0, 3); i++)
        pass(cluster, 5);
    assert_non_null(stands(cluster, 0, 3));
    pass(cluster, 500);
    for (int i = 0; i < 3; i++)
        cluster->places[i].lost_frame = NULL;
    assert_int_equal(stands(cluster, 0, 3)->role, ROLE_JOINER);
    pass(cluster, 2000);
    assert_int_equal(stands(cluster, 0, 3)->role, ROLE_FULL);
    check_all(cluster);
    cluster_close(cluster);
}

/* Three nodes and a fourth that joins and gets no further; node 0 hears no report. */
static struct cluster *open_joining(void)
{
    struct cluster *cluster = make_quick(4);
    for (int i = 0; i < 3; i++)
        place_start_listed(&cluster->places[i]);
    cluster_await_ring(cluster, 3);
    cluster->places[3].lost_frame = "STREAM";
    list_start(cluster, 3, "10.0.0.1:11211\n");
    for (int i = 0; i < 400 && !stands(cluster, 0, 3); i++)
        pass(cluster, 5);
    assert_non_null(stands(cluster, 0, 3));
    pass(cluster, 100);
    cluster->places[0].lost_frame = "REPORT";
    return cluster;
}

/* Each is of all slots, and goes to all voters. */
static void while_a_copy_is_filled_what_has_come_is_reported_seldom(void **state)
{
    (void)state;
    struct cluster *cluster = open_joining();
    struct place *hears = &cluster->places[0];
    struct views *views = node_views(cluster->places[3].node);
    const struct ring *next = views_next_ring(views);
    uint32_t self = views_self(views), given = 0, told = 0;
    assert_non_null(next);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        given += ring_has(next, slot, (uint16_t)self);
    assert_true(given > 100); /* of the fewest slots that there may be */
    uint32_t slot = 0, most = given / 2 < 200 ? given / 2 : 200;
    for (; told < most; slot++) {
        if (!ring_has(next, slot, (uint16_t)self))
            continue;
        views_report_synced(views, slot, true);
        told++;
        pass(cluster, 1000 / most);
    }
    assert_in_range(hears->lost_count, 3, 7); /* in 1 s or so */
    hears->lost_count = 0;
    views_report_synced(views, slot - 1, false); /* whoever has counted on it must know */
    pass(cluster, 40);
    assert_int_equal(hears->lost_count, 1);
    hears->lost_count = 0;
    for (slot = 0; slot < SLOT_COUNT; slot++)
        if (ring_has(next, slot, (uint16_t)self))
            views_report_synced(views, slot, true);
    pass(cluster, 40); /* all is there */
    assert_int_equal(hears->lost_count, 1);
    cluster_close(cluster);
}

/* "A bit for each slot, the first of a byte the highest": other versions read it too. */
static void a_report_has_a_bit_for_each_slot(void **state)
{
    (void)state;
    enum { BYTES = SLOT_COUNT / 8 };
    static const uint32_t has[] = {0, 9, 10, 23, 64 + 37, SLOT_COUNT - 1};
    struct cluster *cluster = make_quick(1);
    place_start_listed(&cluster->places[0]);
    cluster_await_ring(cluster, 1);
    struct views *views = node_views(cluster->places[0].node);
    for (size_t i = 0; i < ARRAY_COUNT(has); i++)
        views_report_synced(views, has[i], true);
    struct message question = {.kind = MESSAGE_GET_REPORT,
                               .GET_REPORT = {.epoch = views_epoch(views)}};
    struct reply out = {0};
    assert_int_equal(views_message(views, 0, &question, &out, cluster->now), ERR_OK);
    char expected[BYTES] = {0};
    expected[0] = (char)0x80;
    expected[1] = 0x60;
    expected[2] = 0x01;
    expected[8 + 4] = 0x04;
    expected[BYTES - 1] = 0x01;
    struct span text = buf_span(&out.bytes);
    struct frame frame;
    struct message report;
    size_t taken, need;
    assert_int_equal(frame_parse(text.data, text.len, &frame, &taken, &need), FRAME_DONE);
    assert_int_equal(message_parse(&frame, &report), ERR_OK);
    assert_true(span_equal(report.REPORT.what, SPAN_LITERAL("synced")));
    assert_int_equal(report.body.len, BYTES);
    assert_memory_equal(report.body.data, expected, BYTES);
    reply_close(&out);
    cluster_close(cluster);
}

static void who_has_nothing_new_to_report_is_asked_ever_more_seldom(void **state)
{
    (void)state;
    struct cluster *cluster = open_joining();
    struct place *hears = &cluster->places[0];
    pass(cluster, 2500);
    assert_in_range(hears->lost_count, 2, 6); /* each answer is two */
    hears->lost_count = 0;
    pass(cluster, 20000);
    assert_in_range(hears->lost_count, 4, 8);
    cluster_close(cluster);
}

static void a_killed_member_is_down_at_once(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    place_stop(&cluster->places[0]);
    pass(cluster, 150);
    for (int i = 1; i < 3; i++) {
        assert_int_equal(epoch_at(cluster, i), 2);
        assert_int_equal(stands(cluster, i, 0)->standing, STANDING_DOWN);
        assert_int_equal(place_logged(&cluster->places[i], "10.0.0.1:11211 down"), 1);
    }
    pass(cluster, 5000); /* three hold the copies: nobody can take its place */
    assert_int_equal(stands(cluster, 1, 0)->standing, STANDING_DOWN);
    assert_int_equal(epoch_at(cluster, 1), 2);
    check_all(cluster);
    cluster_close(cluster);
}

static void a_dead_member_is_replaced_where_others_can_take_its_place(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(5);
    place_stop(&cluster->places[3]);
    pass(cluster, 1500);
    assert_int_equal(stands(cluster, 0, 3)->standing, STANDING_DOWN);
    pass(cluster, 2500);
    assert_null(stands(cluster, 0, 3)); /* what it held is held elsewhere */
    for (int i = 0; i < 5; i++)
        assert_true(i == 3 || epoch_at(cluster, i) == epoch_at(cluster, 0));
    check_all(cluster);
    cluster_close(cluster);
}

/* Whether a node's rings, this view's and that of its next placement, are what ring_place makes. */
static void check_rings(const struct cluster *cluster, int node)
{
    struct views *views = node_views(cluster->places[node].node);
    const struct view *view = views_current(views);
    const struct ring *next_ring = views_next_ring(views);
    struct ring *ring = malloc(sizeof(*ring));
    struct view next;
    assert_non_null(ring);
    ring_place(view, ring);
    assert_memory_equal(ring, views_ring(views, view->epoch), sizeof(*ring));
    bool has_next = view_next(view, &next);
    assert_int_equal(has_next, next_ring != NULL);
    if (has_next) {
        ring_place(&next, ring);
        assert_memory_equal(ring, next_ring, sizeof(*ring));
        view_close(&next);
    }
    free(ring);
}

/* Lets time pass; each new view of n1 is checked. Returns how many there were. */
static uint32_t pass_checking_rings(struct cluster *cluster, uint64_t ms)
{
    uint32_t first = epoch_at(cluster, 0), last = first;
    for (uint64_t passed = 0; passed < ms; passed += 5) {
        cluster_pass_ms(cluster, 5);
        if (epoch_at(cluster, 0) == last)
            continue;
        last = epoch_at(cluster, 0);
        check_rings(cluster, 0);
    }
    return last - first;
}

static void a_view_placed_like_the_one_before_is_placed_right(void **state)
{
    (void)state;
    struct cluster *cluster = make_quick(6);
    for (int i = 1; i < 5; i++)
        place_start_listed(&cluster->places[i]);
    place_start_listed(&cluster->places[0]);
    cluster_await_ring(cluster, 5);
    check_rings(cluster, 0);
    place_stop(&cluster->places[1]); /* it is down, and comes back as another of its name */
    assert_true(pass_checking_rings(cluster, 300) > 0);
    place_start_listed(&cluster->places[1]);
    assert_true(pass_checking_rings(cluster, 6000) > 1);
    assert_int_equal(stands(cluster, 0, 1)->role, ROLE_FULL);
    list_start(cluster, 5, "10.0.0.1:11211\n"); /* one more */
    assert_true(pass_checking_rings(cluster, 6000) > 1);
    assert_int_equal(stands(cluster, 0, 5)->role, ROLE_FULL);
    node_leave(cluster->places[2].node);
    assert_true(pass_checking_rings(cluster, 6000) > 1);
    assert_null(stands(cluster, 0, 2));
    place_stop(&cluster->places[3]); /* down, then replaced by others */
    assert_true(pass_checking_rings(cluster, 6000) > 1);
    assert_null(stands(cluster, 0, 3));
    cluster_close(cluster);
}

/* Views are kept from base on, which rises only with the next view; a ring is 128 KiB. */
static void rings_of_views_that_are_past_take_no_memory(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct views *views = node_views(cluster->places[0].node);
    for (int i = 0; i < 3; i++) {
        place_stop(&cluster->places[2]);
        pass(cluster, 300);
        place_start_listed(&cluster->places[2]);
        cluster_await_ring(cluster, 3);
    }
    pass(cluster, 5000);
    const struct view *view = views_current(views), *past = views_at(views, view->base);
    assert_true(view->base < view->epoch);
    assert_int_equal(views_forget_rings(views), 0);
    struct ring *ring = malloc(sizeof(*ring));
    assert_non_null(ring);
    ring_place(past, ring);
    assert_memory_equal(ring, views_ring(views, past->epoch), sizeof(*ring)); /* placed anew */
    free(ring);
    assert_int_equal(views_forget_rings(views), 1);
    cluster_close(cluster);
}

static void a_minority_makes_no_view(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    place_stop(&cluster->places[0]);
    place_stop(&cluster->places[1]);
    pass(cluster, 8000);
    assert_int_equal(epoch_at(cluster, 2), 1);
    assert_int_equal(stands(cluster, 2, 0)->standing, STANDING_UP);
    place_start_listed(&cluster->places[1]); /* its seat votes, whatever it has lost */
    cluster_await_ring(cluster, 2);
    place_start_listed(&cluster->places[0]);
    cluster_await_ring(cluster, 3);
    cluster_close(cluster);
}

static void when_all_start_again_together_the_cluster_goes_on(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    uint64_t id = view_at(cluster, 0)->cluster_id;
    for (int i = 0; i < 3; i++)
        place_stop(&cluster->places[i]);
    for (int i = 0; i < 3; i++)
        place_start_listed(&cluster->places[i]);
    cluster_await_ring(cluster, 3);
    assert_true(view_at(cluster, 2)->cluster_id == id);
    assert_true(epoch_at(cluster, 2) > 1);
    check_all(cluster);
    cluster_close(cluster);
}

static void who_was_cut_off_takes_the_view_that_was_made_without_it(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    cluster->places[1].is_mute = true;
    for (int i = 0; i < 8000 && epoch_at(cluster, 0) == 1; i++)
        cluster_pass_ms(cluster, 5);
    assert_int_equal(stands(cluster, 0, 1)->standing, STANDING_DOWN);
    assert_int_equal(epoch_at(cluster, 1), 1);
    cluster->places[1].is_mute = false;
    cluster_await_ring(cluster, 3); /* the same generation: it has lost nothing */
    assert_int_equal(stands(cluster, 0, 1)->generation, 1001);
    cluster_close(cluster);
}

/* ---- state ---- */

static void what_is_said_is_kept_before(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    for (int i = 0; i < 3; i++) {
        struct state kept;
        const char *why;
        assert_int_equal(state_parse(buf_span(&cluster->places[i].state), &kept, &why), ERR_OK);
        assert_int_equal(kept.view_count, 1);
        assert_true(kept.cluster_id == view_at(cluster, i)->cluster_id);
        state_close(&kept);
    }
    /* Of three one is dead and one cannot keep what it says: no majority. */
    cluster->places[1].is_disk_full = true;
    place_stop(&cluster->places[0]);
    pass(cluster, 5000);
    assert_int_equal(epoch_at(cluster, 2), 1);
    assert_int_equal(place_logged(&cluster->places[1], " votes-no-more "), 1);
    cluster_close(cluster);
}

/* The highest ballot that a node has promised, as it is on disk. */
static struct ballot promised_at(const struct cluster *cluster, int node)
{
    struct state kept;
    const char *why;
    assert_int_equal(state_parse(buf_span(&cluster->places[node].state), &kept, &why), ERR_OK);
    struct ballot promised = kept.acceptor.promised;
    state_close(&kept);
    return promised;
}

static void what_could_not_be_kept_is_not_said_when_asked_again(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct reply answer;
    struct buf text = {0};
    struct view next;
    view_copy(view_at(cluster, 1), &next);
    next.epoch++;
    view_format(&next, view_at(cluster, 1), &text);
    const uint64_t seat = stands(cluster, 1, 0)->seat;
    const struct message asked[] = {
        {.kind = MESSAGE_PREPARE, .PREPARE = {.epoch = 1, .round = 50, .seat = seat}},
        {.kind = MESSAGE_ACCEPT,
         .ACCEPT = {.epoch = 1, .round = 50, .seat = seat},
         .body = buf_span(&text)}};
    for (size_t i = 0; i < ARRAY_COUNT(asked); i++) {
        cluster->places[1].is_disk_full = true;
        for (int again = 0; again < 2; again++) {
            assert_int_equal(told(cluster, 1, 0, &asked[i], &answer).len, 0);
            reply_close(&answer);
        }
        cluster->places[1].is_disk_full = false;
        assert_true(told(cluster, 1, 0, &asked[i], &answer).len > 0);
        reply_close(&answer);
    }
    view_close(&next);
    buf_close(&text);
    cluster_close(cluster);
}

static void the_last_ballot_there_can_be_ends_no_node(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    const uint64_t seat = stands(cluster, 1, 0)->seat;
    const struct message last = {.kind = MESSAGE_PREPARE,
                                 .PREPARE = {.epoch = 1, .round = UINT64_MAX - 1, .seat = seat}};
    char why[VIEWS_WHY_BYTES_MAX];
    struct reply answer;
    struct view view;
    uint64_t number;
    assert_true(told(cluster, 1, 0, &last, &answer).len > 0);
    reply_close(&answer);
    assert_true(promised_at(cluster, 1).round == UINT64_MAX - 1);
    place_stop(&cluster->places[0]);
    pass(cluster, 3000);
    views_form(node_views(cluster->places[2].node), &number, cluster->now);
    assert_int_equal(await(cluster, 2, number, why), VIEWS_REFUSED);
    assert_int_equal(epoch_at(cluster, 2), 1);
    place_stop(&cluster->places[1]);
    place_start_listed(&cluster->places[1]); /* it reads what it has kept */
    pass(cluster, 1000);
    view_copy(view_at(cluster, 2), &view);
    give_view(cluster, 2, 0, &view); /* the next view's ballots are its own */
    pass(cluster, 3000);
    assert_true(epoch_at(cluster, 2) > 2);
    assert_int_equal(stands(cluster, 2, 0)->standing, STANDING_DOWN);
    view_close(&view);
    cluster_close(cluster);
}

/* ---- what people ask for ---- */

static void a_leave_hands_over_before_it_ends(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(5);
    node_leave(cluster->places[2].node);
    for (int i = 0; i < 2000 && !cluster->places[2].has_ended; i++)
        cluster_pass_ms(cluster, 5);
    assert_true(cluster->places[2].has_ended);
    assert_int_equal(cluster->places[2].end, NODE_END_LEFT);
    assert_null(stands(cluster, 0, 2));
    assert_null(stands(cluster, 2, 2)); /* it knows */
    assert_int_equal(view_at(cluster, 0)->member_count, 4);
    assert_true(place_logged(&cluster->places[0], "10.0.0.3:11211 leaving") == 1);
    assert_true(place_logged(&cluster->places[0], "10.0.0.3:11211 leaver") == 1);
    assert_int_equal(place_logged(&cluster->places[0], " member-left "), 1);
    cluster_close(cluster);
}

/* n4 hears that it is out, and nobody is there to say that a majority knows it. */
static void who_is_taken_out_waits_until_a_majority_knows_it(void **state)
{
    (void)state;
    for (int are_back = 0; are_back < 2; are_back++) {
        struct cluster *cluster = cluster_open_quick(4);
        struct view view;
        for (int i = 0; i < 3; i++)
            cluster->places[i].is_mute = true;
        node_leave(cluster->places[3].node);
        cluster_pass_ms(cluster, 5);
        view_copy(view_at(cluster, 3), &view);
        uint32_t own = views_self(node_views(cluster->places[3].node));
        view.members[own] = view.members[--view.member_count];
        give_view(cluster, 3, 0, &view);
        assert_int_equal(views_self(node_views(cluster->places[3].node)), VIEW_NOBODY);
        pass(cluster, 9000);
        assert_false(cluster->places[3].has_ended);
        for (int i = 0; i < 3; i++)
            cluster->places[i].is_mute = !are_back;
        if (!are_back)
            pass(cluster, 2000); /* 10 s are over */
        for (int i = 0; i < 180 && !cluster->places[3].has_ended; i++)
            cluster_pass_ms(cluster, 5);
        assert_true(cluster->places[3].has_ended);
        assert_int_equal(cluster->places[3].end, NODE_END_LEFT);
        assert_int_equal(epoch_at(cluster, 0) == view.epoch, are_back);
        view_close(&view);
        cluster_close(cluster);
    }
}

/* n4 is taken out, then in again by the next view, and out by the one after: it waits anew until a
 * majority knows. */
static void who_is_out_again_waits_again(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(4);
    struct node *node = cluster->places[3].node;
    struct view out, in;
    for (int i = 0; i < 3; i++)
        cluster->places[i].is_mute = true;
    node_leave(node);
    cluster_pass_ms(cluster, 5);
    view_copy(view_at(cluster, 3), &out);
    view_copy(view_at(cluster, 3), &in);
    uint32_t own = views_self(node_views(node));
    out.members[own] = out.members[--out.member_count];
    give_view(cluster, 3, 0, &out);
    assert_int_equal(views_self(node_views(node)), VIEW_NOBODY);
    pass(cluster, 1500);
    in.epoch = out.epoch;
    give_view(cluster, 3, 0, &in);
    assert_int_not_equal(views_self(node_views(node)), VIEW_NOBODY);
    pass(cluster, 10000);
    assert_true(node_deadline(node) > cluster->now.mono_ms);
    out.epoch = in.epoch;
    give_view(cluster, 3, 0, &out);
    pass(cluster, 9000);
    assert_false(cluster->places[3].has_ended);
    pass(cluster, 2000);
    assert_true(cluster->places[3].has_ended);
    view_close(&out);
    view_close(&in);
    cluster_close(cluster);
}

/* Who has ended is still there until its clients have read their answers. */
static void who_has_ended_is_not_woken_to_ask_on(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(5);
    struct node *node = cluster->places[2].node;
    node_leave(node);
    for (int i = 0; i < 2000 && !cluster->places[2].has_ended; i++)
        cluster_pass_ms(cluster, 5);
    assert_true(cluster->places[2].has_ended);
    pass(cluster, 1500);
    assert_true(node_deadline(node) > cluster->now.mono_ms);
    cluster_close(cluster);
}

static void where_too_few_would_remain_a_signal_stops(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    uint64_t begun_ms = cluster->now.mono_ms;
    node_leave(cluster->places[0].node);
    while (!cluster->places[0].has_ended && cluster->now.mono_ms < begun_ms + 5000)
        cluster_pass_ms(cluster, 5);
    assert_true(cluster->places[0].has_ended);
    assert_true(cluster->now.mono_ms < begun_ms + 1000);
    assert_int_equal(stands(cluster, 1, 0)->standing, STANDING_STOPPING);
    assert_int_equal(stands(cluster, 1, 0)->role, ROLE_FULL); /* its place is kept */
    pass(cluster, 4000);
    assert_int_equal(stands(cluster, 1, 0)->standing, STANDING_STOPPING);
    cluster_close(cluster);
}

static void those_that_all_stop_end_at_once(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    uint64_t begun_ms = cluster->now.mono_ms;
    for (int i = 0; i < 3; i++)
        node_leave(cluster->places[i].node);
    for (int i = 0; i < 3; i++)
        while (!cluster->places[i].has_ended && cluster->now.mono_ms < begun_ms + 5000)
            cluster_pass_ms(cluster, 5);
    assert_true(cluster->now.mono_ms < begun_ms + 1500);
    cluster_close(cluster);
}

static void a_stop_that_would_cost_a_majority_waits_three_seconds(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(2);
    uint64_t begun_ms = cluster->now.mono_ms;
    node_leave(cluster->places[0].node);
    while (!cluster->places[0].has_ended && cluster->now.mono_ms < begun_ms + 8000)
        cluster_pass_ms(cluster, 5);
    assert_in_range(cluster->now.mono_ms - begun_ms, 3000, 4000);
    assert_int_equal(stands(cluster, 1, 0)->standing, STANDING_UP);
    cluster_close(cluster);
}

static void an_operator_forgets_who_will_not_come_back(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    char why[VIEWS_WHY_BYTES_MAX];
    uint64_t number;
    struct views *views = node_views(cluster->places[2].node);
    views_forget(views, SPAN_LITERAL("10.0.0.9:11211"), &number, cluster->now);
    assert_int_equal(await(cluster, 2, number, why), VIEWS_REFUSED);
    views_forget(views, span_of_string(cluster->names[0]), &number, cluster->now);
    assert_int_equal(await(cluster, 2, number, why), VIEWS_REFUSED);
    assert_non_null(strstr(why, "it is up"));
    place_stop(&cluster->places[0]);
    pass(cluster, 1000);
    struct member lost = *stands(cluster, 2, 0);
    assert_false(views_is_gone(views, &lost, cluster->now));
    views_forget(views, span_of_string(cluster->names[0]), &number, cluster->now);
    assert_int_equal(await(cluster, 2, number, why), VIEWS_DONE);
    assert_true(!stands(cluster, 2, 0) || stands(cluster, 2, 0)->standing == STANDING_FORGOTTEN);
    assert_int_equal(view_voter_count(view_at(cluster, 2)), 2);
    pass(cluster, 2500);
    assert_int_equal(count_up(view_at(cluster, 2)), 2);
    cluster_close(cluster);
}

static void form_goes_on_with_the_members_that_answer(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(5);
    char why[VIEWS_WHY_BYTES_MAX];
    uint64_t number, id = view_at(cluster, 3)->cluster_id;
    for (int i = 0; i < 3; i++)
        place_stop(&cluster->places[i]);
    pass(cluster, 6000);
    assert_int_equal(epoch_at(cluster, 3), 1); /* no majority is left */
    struct member lost = *stands(cluster, 3, 0);
    views_form(node_views(cluster->places[3].node), &number, cluster->now);
    uint64_t begun_ms = cluster->now.mono_ms;
    assert_int_equal(await(cluster, 3, number, why), VIEWS_DONE);
    /* Whom gossip holds dead might have answered all the same. */
    assert_in_range(cluster->now.mono_ms - begun_ms, 1000, 1100);
    assert_int_equal(place_logged(&cluster->places[3], "10.0.0.1:11211 forgotten"), 1);
    assert_true(!stands(cluster, 3, 0) || stands(cluster, 3, 0)->standing == STANDING_FORGOTTEN);
    pass(cluster, 2500);
    for (int i = 3; i < 5; i++) {
        assert_int_equal(epoch_at(cluster, i), epoch_at(cluster, 3));
        assert_int_equal(stands(cluster, i, 4)->role, ROLE_FULL);
        assert_int_equal(view_voter_count(view_at(cluster, i)), 2);
        assert_true(view_at(cluster, i)->cluster_id == id);
    }
    for (int i = 0; i < 1000; i++)
        if (views_is_gone(node_views(cluster->places[3].node), &lost, cluster->now))
            break;
        else
            cluster_pass_ms(cluster, 5);
    assert_true(views_is_gone(node_views(cluster->places[3].node), &lost, cluster->now));
    place_start_listed(&cluster->places[0]); /* it comes back, as a new member */
    cluster_await_ring(cluster, 3);
    check_all(cluster);
    cluster_close(cluster);
}

/* That a voter was alive some time ago is no promise of it. */
static void form_waits_for_the_promise_of_a_voter_that_lives(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(2);
    struct views *views = node_views(cluster->places[1].node);
    const struct message old = {.kind = MESSAGE_ALIVE, .ALIVE = {.epoch = 1, .number = 1}};
    char why[VIEWS_WHY_BYTES_MAX];
    struct reply answer;
    uint64_t number;
    cluster->places[0].is_mute = true;
    views_want_fence(views, cluster->now);
    views_form(views, &number, cluster->now);
    cluster_pass_ms(cluster, 5);
    assert_int_equal(place_logged(&cluster->places[1], " forming "), 1);
    assert_int_equal(told(cluster, 1, 0, &old, &answer).len, 0);
    reply_close(&answer);
    assert_int_equal(epoch_at(cluster, 1), 1);
    cluster->places[0].is_mute = false;
    cluster_settle(cluster);
    assert_int_equal(epoch_at(cluster, 1), 2); /* at once: nobody else is to come */
    assert_int_equal(epoch_at(cluster, 0), 2);
    assert_int_equal(count_up(view_at(cluster, 1)), 2);
    assert_int_equal(views_asked(views, number, why), VIEWS_DONE);
    check_all(cluster);
    cluster_close(cluster);
}

/* It votes as before, whatever it has lost. */
static void form_waits_a_second_for_a_voter_that_has_started_again(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(2);
    char why[VIEWS_WHY_BYTES_MAX];
    uint64_t number;
    cluster->places[0].is_disk_full = true; /* it promises nothing */
    place_stop(&cluster->places[0]);
    pass(cluster, 100);
    place_start_listed(&cluster->places[0]);
    pass(cluster, 3000);
    assert_int_equal(epoch_at(cluster, 1), 1);
    views_form(node_views(cluster->places[1].node), &number, cluster->now);
    uint64_t begun_ms = cluster->now.mono_ms;
    assert_int_equal(await(cluster, 1, number, why), VIEWS_DONE);
    assert_in_range(cluster->now.mono_ms - begun_ms, 1000, 1100);
    cluster_close(cluster);
}

static void form_before_there_is_a_view_makes_one_view(void **state)
{
    (void)state;
    struct cluster *cluster = make_quick(5);
    char why[VIEWS_WHY_BYTES_MAX];
    uint64_t number;
    place_start_listed(&cluster->places[3]);
    pass(cluster, 2000);
    views_form(node_views(cluster->places[3].node), &number, cluster->now);
    assert_int_equal(await(cluster, 3, number, why), VIEWS_DONE);
    pass(cluster, 3000);
    assert_int_equal(epoch_at(cluster, 3), 1);
    cluster_close(cluster);
}

static void form_asked_for_twice_is_done_twice(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(5);
    struct views *views = node_views(cluster->places[4].node);
    char why[VIEWS_WHY_BYTES_MAX];
    uint64_t first, second;
    for (int i = 0; i < 3; i++)
        place_stop(&cluster->places[i]);
    pass(cluster, 6000);
    views_form(views, &first, cluster->now);
    views_form(views, &second, cluster->now);
    assert_int_equal(await(cluster, 4, first, why), VIEWS_DONE);
    assert_int_equal(await(cluster, 4, second, why), VIEWS_DONE);
    assert_int_equal(count_up(view_at(cluster, 4)), 2);
    check_all(cluster);
    cluster_close(cluster);
}

/* Its first attempt comes to nothing: it cannot be kept. */
static void form_is_tried_again_until_it_is_done(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    char why[VIEWS_WHY_BYTES_MAX];
    uint64_t number;
    place_stop(&cluster->places[0]);
    place_stop(&cluster->places[1]);
    pass(cluster, 6000);
    cluster->places[2].is_disk_full = true;
    views_form(node_views(cluster->places[2].node), &number, cluster->now);
    pass(cluster, 2000);
    cluster->places[2].is_disk_full = false;
    assert_int_equal(await(cluster, 2, number, why), VIEWS_DONE);
    assert_int_equal(count_up(view_at(cluster, 2)), 1);
    cluster_close(cluster);
}

static void form_that_comes_to_nothing_is_refused_and_over(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    char why[VIEWS_WHY_BYTES_MAX];
    uint64_t number;
    place_stop(&cluster->places[0]);
    pass(cluster, 2000);
    uint32_t epoch = epoch_at(cluster, 2);
    cluster->places[2].is_disk_full = true;
    views_form(node_views(cluster->places[2].node), &number, cluster->now);
    assert_int_equal(await(cluster, 2, number, why), VIEWS_REFUSED);
    cluster->places[2].is_disk_full = false;
    pass(cluster, 3000);
    assert_int_equal(epoch_at(cluster, 2), epoch);
    cluster_close(cluster);
}

static void form_goes_on_in_a_view_that_came_meanwhile(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct views *views = node_views(cluster->places[2].node);
    char why[VIEWS_WHY_BYTES_MAX];
    uint64_t number;
    struct view view;
    place_stop(&cluster->places[0]);
    place_stop(&cluster->places[1]);
    pass(cluster, 6000);
    view_copy(view_at(cluster, 2), &view);
    views_form(views, &number, cluster->now);
    pass(cluster, 100);
    assert_int_equal(place_logged(&cluster->places[2], " forming "), 1);
    give_view(cluster, 2, 1, &view);
    assert_int_equal(await(cluster, 2, number, why), VIEWS_DONE);
    assert_int_equal(epoch_at(cluster, 2), view.epoch + 1);
    assert_int_equal(count_up(view_at(cluster, 2)), 1);
    view_close(&view);
    cluster_close(cluster);
}

static void form_is_not_done_before_its_view_is_kept(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(2);
    struct views *views = node_views(cluster->places[1].node);
    char why[VIEWS_WHY_BYTES_MAX];
    struct reply answer;
    uint64_t number;
    cluster->places[0].is_mute = true;
    views_form(views, &number, cluster->now);
    cluster_pass_ms(cluster, 5);
    const struct ballot ballot = promised_at(cluster, 1);
    const struct message promise = {
        .kind = MESSAGE_PROMISE,
        .PROMISE = {.epoch = 1, .round = ballot.round, .seat = ballot.seat, .weight = 1}};
    const struct message accepted = {
        .kind = MESSAGE_ACCEPTED,
        .ACCEPTED = {.epoch = 1, .round = ballot.round, .seat = ballot.seat}};
    told(cluster, 1, 0, &promise, &answer);
    reply_close(&answer);
    cluster->places[1].is_disk_full = true;
    told(cluster, 1, 0, &accepted, &answer);
    reply_close(&answer);
    assert_int_equal(epoch_at(cluster, 1), 1);
    assert_int_equal(views_asked(views, number, why), VIEWS_UNDER_WAY);
    cluster->places[1].is_disk_full = false;
    assert_int_equal(await(cluster, 1, number, why), VIEWS_DONE);
    assert_int_equal(epoch_at(cluster, 1), 3); /* what was accepted, then its own anew */
    cluster_close(cluster);
}

static void a_leave_is_not_forgotten_for_what_else_is_asked(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(5);
    node_leave(cluster->places[2].node);
    for (unsigned i = 0; i < 2 * OPERATOR_WAITS_MAX; i++) {
        uint64_t number;
        views_forget(node_views(cluster->places[2].node), SPAN_LITERAL("10.0.0.9:11211"), &number,
                     cluster->now);
    }
    for (int i = 0; i < 2000 && !cluster->places[2].has_ended; i++)
        cluster_pass_ms(cluster, 5);
    assert_true(cluster->places[2].has_ended);
    assert_int_equal(cluster->places[2].end, NODE_END_LEFT);
    cluster_close(cluster);
}

/* Two nodes, one of them dead: nobody agrees to its leave. */
static struct cluster *open_lonely(void)
{
    struct cluster *cluster = cluster_open_quick(2);
    place_stop(&cluster->places[1]);
    pass(cluster, 2000);
    return cluster;
}

static void assert_stops(struct cluster *cluster)
{
    uint64_t begun_ms = cluster->now.mono_ms;
    node_leave(cluster->places[0].node);
    pass(cluster, 4000);
    assert_true(cluster->places[0].has_ended);
    assert_true(cluster->now.mono_ms < begun_ms + 5000);
}

static void a_signal_stops_who_is_busy_with_a_leave(void **state)
{
    (void)state;
    struct cluster *cluster = open_lonely();
    client_say(cluster, client_open(cluster, 0), "leave\r\n");
    assert_stops(cluster);
    cluster_close(cluster);
}

static void a_signal_stops_who_was_too_busy_to_leave(void **state)
{
    (void)state;
    struct cluster *cluster = open_lonely();
    for (unsigned i = 0; i < OPERATOR_WAITS_MAX; i++)
        client_say(cluster, client_open(cluster, 0), "forget 10.0.0.2:11211\r\n");
    struct end *client = client_open(cluster, 0);
    client_say(cluster, client, "leave\r\n");
    client_hears(client, "SERVER_ERROR busy, retry in 1000 ms\r\n");
    assert_stops(cluster);
    cluster_close(cluster);
}

/* ---- loss ---- */

#define MANY 300u /* members of names so long that their lines do not fit one frame */

static void however_many_are_given_up_all_are(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(2);
    char why[VIEWS_WHY_BYTES_MAX];
    uint64_t number;
    struct view view;
    view_copy(view_at(cluster, 0), &view);
    for (unsigned i = 0; i < MANY; i++) {
        struct member member = {.generation = 5000 + i,
                                .boot = 1,
                                .seat = 5000 + i,
                                .weight = 1,
                                .role = ROLE_FULL,
                                .standing = STANDING_DOWN};
        snprintf(member.name, sizeof(member.name), "z%0250u:11211", i);
        view_add(&view, &member);
    }
    give_view(cluster, 0, 1, &view);
    struct views *views = node_views(cluster->places[0].node);
    views_accept_loss(views, SPAN_LITERAL(""), &number, cluster->now);
    assert_int_equal(views_asked(views, number, why), VIEWS_DONE);
    cluster_settle(cluster);
    for (int node = 0; node < 2; node++)
        for (uint32_t i = 2; i < view.member_count; i++)
            assert_true(views_is_gone(node_views(cluster->places[node].node), &view.members[i],
                                      cluster->now));
    pass(cluster, 20); /* nobody is asked about them */
    view_close(&view);
    cluster_close(cluster);
}

static void results_need_a_majority_heard_of_lately(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct views *views = node_views(cluster->places[0].node);
    assert_false(views_has_fence(views, cluster->now));
    views_want_fence(views, cluster->now);
    cluster_settle(cluster);
    assert_true(views_has_fence(views, cluster->now));
    cluster->places[1].is_mute = cluster->places[2].is_mute = true;
    cluster_pass_ms(cluster, 1990);
    views_want_fence(views, cluster->now);
    assert_true(views_has_fence(views, cluster->now));
    cluster_pass_ms(cluster, 10);
    assert_false(views_has_fence(views, cluster->now));
    cluster->places[2].is_mute = false;
    cluster_settle(cluster); /* the question of 10 ms ago is answered by one, and the own seat */
    assert_true(views_has_fence(views, cluster->now));
    cluster_close(cluster);
}

static void who_is_dead_for_a_majority_long_enough_is_gone(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct views *views = node_views(cluster->places[1].node);
    place_stop(&cluster->places[2]);
    cluster_await_ring(cluster, 2);
    struct member lost = *stands(cluster, 1, 2);
    uint64_t begun_ms = cluster->now.mono_ms;
    while (!views_is_gone(views, &lost, cluster->now) && cluster->now.mono_ms < begun_ms + 20000)
        cluster_pass_ms(cluster, 5);
    assert_in_range(cluster->now.mono_ms - begun_ms, 5000, 6000);
    struct member here = *stands(cluster, 1, 0);
    assert_false(views_is_gone(views, &here, cluster->now));
    cluster_close(cluster);
}

/* While it stood still the dead one may have come back: nothing it had been told says otherwise. */
static void what_was_said_before_a_stop_does_not_make_a_member_gone(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct views *views = node_views(cluster->places[1].node);
    place_stop(&cluster->places[2]);
    cluster_await_ring(cluster, 2);
    struct member lost = *stands(cluster, 1, 2);
    for (int i = 0; i < 400; i++) {
        assert_false(views_is_gone(views, &lost, cluster->now));
        cluster_pass_ms(cluster, 5);
    }
    cluster->now.mono_ms += 4000;
    assert_false(views_is_gone(views, &lost, cluster->now)); /* before anything is read */
    uint64_t begun_ms = cluster->now.mono_ms;
    while (!views_is_gone(views, &lost, cluster->now) && cluster->now.mono_ms < begun_ms + 20000)
        cluster_pass_ms(cluster, 5);
    assert_in_range(cluster->now.mono_ms - begun_ms, 1, 5000);
    cluster_close(cluster);
}

#define MANY_DEAD 100u

static void dead_member(unsigned number, struct member *member)
{
    *member = (struct member){.generation = 5000 + number};
    snprintf(member->name, sizeof(member->name), "10.1.%u.%u:11211", number / 100, number % 100);
}

/* From now on a node holds it DEAD. */
static void bury(struct cluster *cluster, int node, const struct member *member)
{
    struct gossip *gossip = (struct gossip *)node_gossip(cluster->places[node].node);
    const uint64_t now_ms = cluster->now.mono_ms;
    gossip_expect(gossip, member->name, 1, member->generation, 1, cluster->now);
    struct account *account = members_find(&gossip->members, span_of_string(member->name));
    members_doubt(&gossip->members, account, EVIDENCE_REFUSED, now_ms);
    members_condemn(&gossip->members, account, now_ms);
}

/* Members of views before, as far as anybody knows. */
static void however_many_are_dead_at_once_all_are_gone(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct views *views = node_views(cluster->places[1].node);
    struct member member;
    for (int node = 0; node < 3; node++)
        for (unsigned i = 0; i < MANY_DEAD; i++) {
            dead_member(i, &member);
            bury(cluster, node, &member);
        }
    unsigned gone = 0;
    for (uint64_t begun_ms = cluster->now.mono_ms;
         gone < MANY_DEAD && cluster->now.mono_ms < begun_ms + 10000; pass(cluster, 200)) {
        gone = 0;
        for (unsigned i = 0; i < MANY_DEAD; i++) {
            dead_member(i, &member);
            gone += views_is_gone(views, &member, cluster->now);
        }
    }
    assert_int_equal(gone, MANY_DEAD);
    cluster_close(cluster);
}

/* It alone votes: its own word too is as old as what it has read. */
static void after_a_stop_a_single_voter_reads_before_it_holds_a_member_gone(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(1);
    struct views *views = node_views(cluster->places[0].node);
    struct member member;
    dead_member(1, &member);
    bury(cluster, 0, &member);
    for (int i = 0; i < 400; i++) {
        assert_false(views_is_gone(views, &member, cluster->now));
        cluster_pass_ms(cluster, 5);
    }
    cluster->now.mono_ms += 20000;
    assert_false(views_is_gone(views, &member, cluster->now));
    uint64_t begun_ms = cluster->now.mono_ms;
    while (!views_is_gone(views, &member, cluster->now) && cluster->now.mono_ms < begun_ms + 20000)
        cluster_pass_ms(cluster, 5);
    assert_in_range(cluster->now.mono_ms - begun_ms, 400, 1000);
    cluster_close(cluster);
}

/* However often a question names one: its answer is one frame. */
static void what_is_held_is_told_as_far_as_a_frame_goes(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    place_stop(&cluster->places[2]);
    pass(cluster, 3000);
    const struct member *lost = stands(cluster, 1, 2);
    struct message question = {.kind = MESSAGE_GET_HELD, .GET_HELD = {.number = 7}};
    struct buf text = {0};
    struct reply answer;
    struct frame frame;
    struct message held;
    size_t consumed = 0, need;
    question.GET_HELD.epoch = epoch_at(cluster, 1);
    while (buf_len(&text) + 64 < FRAME_BODY_BYTES_MAX)
        buf_printf(&text, "%s %016llx\n", lost->name, (unsigned long long)lost->generation);
    question.body = buf_span(&text);
    struct span said = told(cluster, 1, 0, &question, &answer);
    assert_int_equal(frame_parse(said.data, said.len, &frame, &consumed, &need), FRAME_DONE);
    assert_int_equal(consumed, said.len);
    assert_int_equal(message_parse(&frame, &held), ERR_OK);
    assert_int_equal(held.kind, MESSAGE_HELD);
    assert_int_equal(held.HELD.number, 7);
    assert_true(held.body.len > FRAME_BODY_BYTES_MAX / 2);
    assert_int_equal(held.body.data[held.body.len - 1], '\n');
    reply_close(&answer);
    buf_close(&text);
    cluster_close(cluster);
}

/* So many nodes that wait where a quorum is lost, and are a cluster; nobody is replaced within
 * replace_after_ms, 0: as by default. */
static struct cluster *cluster_open_waiting(int count, uint32_t replace_after_ms)
{
    struct gossip_options timers;
    CHECK(gossip_profile(SPAN_LITERAL("fast"), &timers));
    struct cluster *cluster = cluster_make(count, &timers);
    cluster->views.on_loss = VIEWS_ON_LOSS_WAIT;
    if (replace_after_ms > 0)
        cluster->views.replace_after_ms = replace_after_ms;
    for (int i = 0; i < count; i++)
        place_start_listed(&cluster->places[i]);
    cluster_await_ring(cluster, count);
    return cluster;
}

static void what_waits_goes_on_when_an_operator_gives_the_lost_up(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_waiting(3, 0);
    struct views *views = node_views(cluster->places[1].node);
    char why[VIEWS_WHY_BYTES_MAX];
    uint64_t number;
    assert_true(views_has_fence(views, cluster->now)); /* there is none */
    struct member lost = *stands(cluster, 1, 2);
    views_accept_loss(views, span_of_string(cluster->names[2]), &number, cluster->now);
    assert_int_equal(views_asked(views, number, why), VIEWS_REFUSED); /* it is alive */
    place_stop(&cluster->places[2]);
    pass(cluster, 9000);
    assert_false(views_is_gone(views, &lost, cluster->now));
    views_accept_loss(node_views(cluster->places[0].node), SPAN_LITERAL(""), &number, cluster->now);
    cluster_settle(cluster);
    assert_int_equal(views_asked(node_views(cluster->places[0].node), number, why), VIEWS_DONE);
    assert_true(views_is_gone(views, &lost, cluster->now)); /* every member was told */
    cluster_close(cluster);
}

static uint32_t count_lost(const struct cluster *cluster, int node, int subject)
{
    struct views_cursor cursor = {0};
    const struct member *member;
    uint32_t count = 0;
    while ((member = views_next_lost(node_views(cluster->places[node].node), &cursor)) != NULL) {
        assert_string_equal(member->name, cluster->names[subject]);
        assert_in_range(cursor.epoch, 1, epoch_at(cluster, node));
        count++;
    }
    return count;
}

/* Of a name the process that is down is given up, once, also when the next one is there; never the
 * one that lives. */
static void the_lost_are_named_once_though_their_successors_live(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    struct views *views = node_views(cluster->places[0].node);
    char why[VIEWS_WHY_BYTES_MAX];
    uint64_t number;
    assert_int_equal(count_lost(cluster, 0, 2), 0);
    place_stop(&cluster->places[2]);
    pass(cluster, 3000);
    assert_int_equal(stands(cluster, 0, 2)->standing, STANDING_DOWN);
    assert_int_equal(count_lost(cluster, 0, 2), 1);
    uint64_t generation = stands(cluster, 0, 2)->generation;
    place_start_listed(&cluster->places[2]);
    cluster_await_ring(cluster, 3);
    assert_true(stands(cluster, 0, 2)->generation != generation);
    assert_int_equal(count_lost(cluster, 0, 2), 1); /* of a view that is kept */
    views_accept_loss(views, span_of_string(cluster->names[2]), &number, cluster->now);
    assert_int_equal(views_asked(views, number, why), VIEWS_DONE);
    assert_true(member_is_up(stands(cluster, 0, 2)));
    assert_false(views_is_gone(views, stands(cluster, 0, 2), cluster->now));
    views_accept_loss(views, span_of_string(cluster->names[1]), &number, cluster->now);
    assert_int_equal(views_asked(views, number, why), VIEWS_REFUSED);
    assert_non_null(strstr(why, "is alive"));
    views_accept_loss(views, SPAN_LITERAL("nobody:1"), &number, cluster->now);
    assert_int_equal(views_asked(views, number, why), VIEWS_REFUSED);
    assert_non_null(strstr(why, "nobody:1"));
    cluster_close(cluster);
}

/* ---- many views ---- */

/* A node holds another DEAD, whatever it has heard of it. */
static void bury_again(struct cluster *cluster, int node, int subject)
{
    struct gossip *gossip = (struct gossip *)node_gossip(cluster->places[node].node);
    struct account *account =
        members_find(&gossip->members, span_of_string(cluster->names[subject]));
    if (account->state == MEMBER_ALIVE)
        members_doubt(&gossip->members, account, EVIDENCE_REFUSED, cluster->now.mono_ms);
    if (account->state == MEMBER_SUSPECT)
        members_condemn(&gossip->members, account, cluster->now.mono_ms);
}

/* n2 takes n1 for dead; n1 knows better, and so do the others. */
static void who_is_put_down_as_soon_as_it_is_up_comes_up_again_later(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(5);
    uint32_t epoch = epoch_at(cluster, 0);
    for (int i = 0; i < 300; i++) {
        bury_again(cluster, 1, 0);
        cluster_pass_ms(cluster, 5);
    }
    assert_in_range(epoch_at(cluster, 0) - epoch, 3, 4);
    for (int i = 0; i < 1000; i++) { /* from then on base has time to rise in between */
        bury_again(cluster, 1, 0);
        cluster_pass_ms(cluster, 5);
        assert_in_range(epoch_at(cluster, 0) - view_at(cluster, 0)->base, 0, 4);
    }
    cluster_await_ring(cluster, 5);
    check_all(cluster);
    cluster_close(cluster);
}

/* All others hold a member for one that flaps, for long. */
static void damp_everywhere(struct cluster *cluster, int subject, uint64_t ms)
{
    for (int i = 0; i < cluster->count; i++) {
        struct gossip *gossip = (struct gossip *)node_gossip(cluster->places[i].node);
        struct account *account =
            members_find(&gossip->members, span_of_string(cluster->names[subject]));
        if (account && i != subject)
            account->damped_until_ms = cluster->now.mono_ms + ms;
    }
}

/* Of eleven two are gone, so that slots have no quorum; where one is, nothing is amiss and it
 * waits. Neither votes any more, so that neither can propose itself. */
static void who_is_damped_comes_up_early_only_where_it_is_missed(void **state)
{
    (void)state;
    for (int gone = 1; gone <= 2; gone++) {
        struct cluster *cluster = cluster_open_waiting(11, 3600000);
        for (int i = 1; i <= gone; i++)
            cluster->places[i].is_mute = true;
        cluster_await_ring(cluster, 11 - (uint32_t)gone);
        damp_everywhere(cluster, 1, 60000);
        cluster->places[1].is_mute = false;
        pass(cluster, 6000);
        assert_int_equal(member_is_up(stands(cluster, 0, 1)), gone == 2);
        check_all(cluster);
        cluster_close(cluster);
    }
}

/* Two of seven are cut off: some slots have no quorum, so base stays. Of the rest one asks for
 * views without end, and one dies; then those two are back. */
static void however_many_views_are_kept_the_next_one_can_be_made(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_waiting(7, 3600000);
    cluster->places[4].is_mute = cluster->places[5].is_mute = true;
    cluster_await_ring(cluster, 5);
    uint32_t base = view_at(cluster, 0)->base;
    for (int i = 0; i < 2000; i++) {
        views_want_next(node_views(cluster->places[0].node), cluster->now);
        cluster_pass_ms(cluster, 5);
    }
    assert_int_equal(view_at(cluster, 0)->base, base);
    assert_in_range(epoch_at(cluster, 0) - base, 100, 160);
    place_stop(&cluster->places[6]);
    cluster_await_ring(cluster, 4);
    cluster->places[4].is_mute = cluster->places[5].is_mute = false;
    cluster_await_ring(cluster, 6);
    pass(cluster, 3000);
    views_want_next(node_views(cluster->places[0].node), cluster->now);
    pass(cluster, 60000);
    assert_true(view_at(cluster, 0)->base > base + 100);
    check_all(cluster);
    cluster_close(cluster);
}

/* Has a node's state file say that so many views have followed the one it has, with that base: each
 * second one has the subject down; -1: nobody. */
static void add_views(struct place *place, uint32_t count, int subject)
{
    struct state kept;
    const char *why;
    assert_int_equal(state_parse(buf_span(&place->state), &kept, &why), ERR_OK);
    assert_true(kept.view_count + count <= STATE_VIEWS_MAX);
    kept.views = realloc(kept.views, (kept.view_count + count) * sizeof(*kept.views));
    CHECK(kept.views != NULL);
    for (uint32_t i = 0; i < count; i++) {
        struct view *next = &kept.views[kept.view_count++];
        view_copy(next - 1, next);
        next->epoch++;
        if (subject < 0)
            continue;
        next->members[subject].standing = i % 2 == 0 ? STANDING_DOWN : STANDING_UP;
        next->members[subject].up_since = i % 2 == 0 ? 0 : next->epoch;
    }
    buf_consume(&place->state, buf_len(&place->state));
    state_format(&kept, &place->state);
    state_close(&kept);
}

/* All are stopped, and start again with what they had, and with more views. */
static void start_all_again(struct cluster *cluster, uint32_t count, int subject)
{
    for (int i = 0; i < cluster->count; i++) {
        place_stop(&cluster->places[i]);
        cluster->places[i].born = 1;
        add_views(&cluster->places[i], count, subject);
    }
    for (int i = 0; i < cluster->count; i++)
        place_start_listed(&cluster->places[i]);
}

/* Nobody leads anything before the next view. */
static void where_all_have_started_again_the_next_view_does_not_wait(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    uint32_t epoch = epoch_at(cluster, 0) + 200;
    start_all_again(cluster, 200, -1);
    assert_int_equal(epoch_at(cluster, 0), epoch);
    pass(cluster, 10000);
    assert_true(epoch_at(cluster, 0) > epoch);
    for (int i = 0; i < 3; i++)
        assert_true(views_may_lead(node_views(cluster->places[i].node)));
    check_all(cluster);
    cluster_close(cluster);
}

/* A leave of one of three would be refused; but that is looked at when a view may be made. */
static void what_waits_because_many_views_are_kept_is_told_so_once(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    for (int i = 0; i < 3; i++)
        cluster->places[i].lost_frame = "REPORT"; /* base stays */
    start_all_again(cluster, 200, -1);
    pass(cluster, 10000);
    views_leave(node_views(cluster->places[2].node), cluster->now);
    pass(cluster, 5000);
    const struct place *voter = &cluster->places[0];
    assert_int_equal(place_logged(voter, " asks-wait first=\"leave "), 1);
    check_all(cluster);
    cluster_close(cluster);
}

/* Base stays, as nobody hears what is active, and there is a view each 1.5 s. */
static void who_was_down_as_all_started_again_comes_up_whatever_views_come(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open_quick(3);
    for (int i = 0; i < 3; i++)
        cluster->places[i].lost_frame = "REPORT";
    start_all_again(cluster, 5, 2);
    uint32_t epoch = epoch_at(cluster, 0);
    assert_int_equal(stands(cluster, 0, 2)->standing, STANDING_DOWN);
    for (int i = 0; i < 20 && stands(cluster, 0, 2)->standing == STANDING_DOWN; i++) {
        views_want_next(node_views(cluster->places[0].node), cluster->now);
        pass(cluster, 1500);
    }
    assert_int_equal(stands(cluster, 0, 2)->standing, STANDING_UP);
    assert_in_range(epoch_at(cluster, 0) - epoch, 2, 8);
    check_all(cluster);
    cluster_close(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(view_1_names_all_who_are_there),
        cmocka_unit_test(a_majority_of_the_lines_founds_and_the_rest_joins),
        cmocka_unit_test(who_is_no_line_of_its_file_joins_and_never_founds),
        cmocka_unit_test(a_newcomer_asks_at_once_in_each_view),
        cmocka_unit_test(a_newcomer_that_is_one_view_behind_is_told_at_once),
        cmocka_unit_test(nothing_is_founded_while_two_files_differ),
        cmocka_unit_test(without_a_state_file_nothing_is_founded_but_by_an_operators_word),
        cmocka_unit_test(form_founds_with_those_that_answer),
        cmocka_unit_test(a_state_file_that_names_a_cluster_never_founds),
        cmocka_unit_test(a_report_that_was_lost_is_asked_for),
        cmocka_unit_test(while_a_copy_is_filled_what_has_come_is_reported_seldom),
        cmocka_unit_test(a_report_has_a_bit_for_each_slot),
        cmocka_unit_test(who_has_nothing_new_to_report_is_asked_ever_more_seldom),
        cmocka_unit_test(a_killed_member_is_down_at_once),
        cmocka_unit_test(a_dead_member_is_replaced_where_others_can_take_its_place),
        cmocka_unit_test(a_view_placed_like_the_one_before_is_placed_right),
        cmocka_unit_test(rings_of_views_that_are_past_take_no_memory),
        cmocka_unit_test(a_minority_makes_no_view),
        cmocka_unit_test(when_all_start_again_together_the_cluster_goes_on),
        cmocka_unit_test(who_was_cut_off_takes_the_view_that_was_made_without_it),
        cmocka_unit_test(what_is_said_is_kept_before),
        cmocka_unit_test(what_could_not_be_kept_is_not_said_when_asked_again),
        cmocka_unit_test(the_last_ballot_there_can_be_ends_no_node),
        cmocka_unit_test(a_leave_hands_over_before_it_ends),
        cmocka_unit_test(who_is_taken_out_waits_until_a_majority_knows_it),
        cmocka_unit_test(who_is_out_again_waits_again),
        cmocka_unit_test(who_has_ended_is_not_woken_to_ask_on),
        cmocka_unit_test(where_too_few_would_remain_a_signal_stops),
        cmocka_unit_test(those_that_all_stop_end_at_once),
        cmocka_unit_test(a_stop_that_would_cost_a_majority_waits_three_seconds),
        cmocka_unit_test(an_operator_forgets_who_will_not_come_back),
        cmocka_unit_test(form_goes_on_with_the_members_that_answer),
        cmocka_unit_test(form_waits_for_the_promise_of_a_voter_that_lives),
        cmocka_unit_test(form_waits_a_second_for_a_voter_that_has_started_again),
        cmocka_unit_test(form_before_there_is_a_view_makes_one_view),
        cmocka_unit_test(form_asked_for_twice_is_done_twice),
        cmocka_unit_test(form_is_tried_again_until_it_is_done),
        cmocka_unit_test(form_that_comes_to_nothing_is_refused_and_over),
        cmocka_unit_test(form_goes_on_in_a_view_that_came_meanwhile),
        cmocka_unit_test(form_is_not_done_before_its_view_is_kept),
        cmocka_unit_test(a_leave_is_not_forgotten_for_what_else_is_asked),
        cmocka_unit_test(a_signal_stops_who_is_busy_with_a_leave),
        cmocka_unit_test(a_signal_stops_who_was_too_busy_to_leave),
        cmocka_unit_test(however_many_are_given_up_all_are),
        cmocka_unit_test(results_need_a_majority_heard_of_lately),
        cmocka_unit_test(who_is_dead_for_a_majority_long_enough_is_gone),
        cmocka_unit_test(what_was_said_before_a_stop_does_not_make_a_member_gone),
        cmocka_unit_test(after_a_stop_a_single_voter_reads_before_it_holds_a_member_gone),
        cmocka_unit_test(however_many_are_dead_at_once_all_are_gone),
        cmocka_unit_test(what_is_held_is_told_as_far_as_a_frame_goes),
        cmocka_unit_test(what_waits_goes_on_when_an_operator_gives_the_lost_up),
        cmocka_unit_test(the_lost_are_named_once_though_their_successors_live),
        cmocka_unit_test(who_is_put_down_as_soon_as_it_is_up_comes_up_again_later),
        cmocka_unit_test(who_is_damped_comes_up_early_only_where_it_is_missed),
        cmocka_unit_test(however_many_views_are_kept_the_next_one_can_be_made),
        cmocka_unit_test(where_all_have_started_again_the_next_view_does_not_wait),
        cmocka_unit_test(what_waits_because_many_views_are_kept_is_told_so_once),
        cmocka_unit_test(who_was_down_as_all_started_again_comes_up_whatever_views_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
