/* The virtual network behaves as TCP does, as far as a program can see. */
#include "tests/sim/net.h"

#include "common/check.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PORT     11211u
#define DELAY_US 1000u

/* Two machines, and one connection from the first to the second. */
struct pair {
    struct vclock clock;
    struct net net;
    struct net_listener listener;
    struct sock *dialled;
    struct sock *accepted;
    uint64_t connected_us; /* when the dialler was told */
    uint64_t arrived_us;   /* when the listener was last told of bytes */
};

static void on_dialled(void *arg, struct sock *sock)
{
    struct pair *pair = arg;
    if (sock_state(sock) != SOCK_DIALLING && pair->connected_us == 0)
        pair->connected_us = pair->clock.now_us;
}

static void on_accepted(void *arg, struct sock *sock)
{
    struct pair *pair = arg;
    if (sock_received(sock).len > 0)
        pair->arrived_us = pair->clock.now_us;
}

static void on_acceptable(void *arg)
{
    struct pair *pair = arg;
    pair->accepted = net_accept(&pair->listener);
    assert_non_null(pair->accepted);
    sock_set_owner(pair->accepted, (struct sock_owner){on_accepted, pair});
}

static void on_ignored(void *arg)
{
    (void)arg;
}

static void run_us(struct pair *pair, uint64_t us)
{
    uint64_t until_us = pair->clock.now_us + us;
    while (vclock_step(&pair->clock, until_us))
        continue;
}

static void dial(struct pair *pair)
{
    pair->dialled = net_dial(&pair->net, 0, 1, PORT, (struct sock_owner){on_dialled, pair});
}

static int set_up_apart(void **state)
{
    static struct pair pair;
    pair = (struct pair){.clock = {0}};
    net_init(&pair.net, &pair.clock, 1, 2);
    for (int i = 0; i < 4; i++)
        pair.net.paths[i] = (struct net_path){.delay_us = DELAY_US};
    net_listen(&pair.net, &pair.listener, 1, PORT, on_acceptable, &pair);
    *state = &pair;
    return 0;
}

static int set_up(void **state)
{
    set_up_apart(state);
    struct pair *pair = *state;
    dial(pair);
    run_us(pair, 10 * US_PER_MS);
    assert_non_null(pair->accepted);
    return 0;
}

static int tear_down(void **state)
{
    struct pair *pair = *state;
    if (pair->dialled)
        sock_close(pair->dialled);
    if (pair->accepted)
        sock_close(pair->accepted);
    net_close(&pair->net);
    vclock_close(&pair->clock);
    return 0;
}

static void cut(struct pair *pair, uint32_t from, uint32_t to, bool is_cut)
{
    net_path(&pair->net, from, to)->cuts = is_cut;
}

static void say(struct sock *sock, const char *text)
{
    sock_send(sock, text, strlen(text));
}

static void hears(struct sock *sock, const char *text)
{
    struct span got = sock_received(sock);
    assert_int_equal(got.len, strlen(text));
    assert_memory_equal(got.data, text, got.len);
    sock_take(sock, got.len);
}

static void a_dial_takes_a_round_trip(void **state)
{
    struct pair *pair = *state;
    dial(pair);
    run_us(pair, 10 * US_PER_MS);
    assert_int_equal(pair->connected_us, 2 * DELAY_US);
    assert_int_equal(sock_state(pair->dialled), SOCK_OPEN);
}

static void a_dial_where_nobody_listens_is_refused_after_a_round_trip(void **state)
{
    struct pair *pair = *state;
    net_unlisten(&pair->listener);
    dial(pair);
    run_us(pair, 10 * US_PER_MS);
    assert_int_equal(pair->connected_us, 2 * DELAY_US);
    assert_int_equal(sock_failure(pair->dialled), SOCK_REFUSED);
}

static void a_lost_dial_is_repeated_after_a_second(void **state)
{
    struct pair *pair = *state;
    cut(pair, 0, 1, true);
    dial(pair);
    run_us(pair, 500 * US_PER_MS);
    cut(pair, 0, 1, false);
    run_us(pair, 1 * US_PER_S);
    assert_int_equal(pair->connected_us, US_PER_S + 2 * DELAY_US);
}

static void a_machine_that_is_off_never_answers_a_dial(void **state)
{
    struct pair *pair = *state;
    net_power_off(&pair->net, 1);
    dial(pair);
    run_us(pair, 60ull * US_PER_S);
    assert_int_equal(sock_state(pair->dialled), SOCK_DIALLING);
}

static void bytes_arrive_in_order_after_the_delay(void **state)
{
    struct pair *pair = *state;
    uint64_t from_us = pair->clock.now_us;
    net_path(&pair->net, 0, 1)->jitter_us = 5 * US_PER_MS;
    for (int i = 0; i < 100; i++) {
        char digit = (char)('0' + i % 10);
        sock_send(pair->dialled, &digit, 1);
        run_us(pair, 100);
    }
    run_us(pair, 10 * US_PER_MS);
    struct span got = sock_received(pair->accepted);
    assert_int_equal(got.len, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(got.data[i], '0' + i % 10);
    assert_true(pair->arrived_us > from_us + DELAY_US);
    sock_take(pair->accepted, got.len);
}

static void a_lost_packet_comes_again_after_200_ms_then_twice_as_long(void **state)
{
    struct pair *pair = *state;
    uint64_t from_us = pair->clock.now_us;
    cut(pair, 0, 1, true);
    say(pair->dialled, "a");
    run_us(pair, US_PER_MS);
    cut(pair, 0, 1, false);
    run_us(pair, 150 * US_PER_MS);
    hears(pair->accepted, "");
    run_us(pair, 100 * US_PER_MS);
    hears(pair->accepted, "a");
    assert_int_equal(pair->arrived_us - from_us, NET_RETRY_US + 2 * DELAY_US + DELAY_US);

    from_us = pair->clock.now_us;
    cut(pair, 0, 1, true);
    say(pair->dialled, "c");
    run_us(pair, 300 * US_PER_MS); /* the first retry is lost too */
    cut(pair, 0, 1, false);
    run_us(pair, US_PER_S);
    hears(pair->accepted, "c");
    assert_int_equal(pair->arrived_us - from_us, 3 * (NET_RETRY_US + 2 * DELAY_US) + DELAY_US);
}

static void a_lost_packet_comes_again_at_once_when_a_later_one_is_acknowledged(void **state)
{
    struct pair *pair = *state;
    cut(pair, 0, 1, true);
    say(pair->dialled, "a");
    run_us(pair, US_PER_MS);
    cut(pair, 0, 1, false);
    say(pair->dialled, "b");
    run_us(pair, 50 * US_PER_MS);
    hears(pair->accepted, "ab");
}

static void half_of_the_packets_lost_lose_no_byte(void **state)
{
    struct pair *pair = *state;
    uint64_t sum = 0, expected = 0;
    net_path(&pair->net, 0, 1)->loss_ppm = net_path(&pair->net, 1, 0)->loss_ppm = NET_PPM / 2;
    for (unsigned i = 0; i < 5000; i++) {
        char byte = (char)(i * 7 % 128);
        expected = expected * 31 + (unsigned char)byte;
        sock_send(pair->accepted, &byte, 1);
        run_us(pair, 200);
    }
    run_us(pair, 3600ull * US_PER_S);
    struct span got = sock_received(pair->dialled);
    assert_int_equal(got.len, 5000);
    for (size_t i = 0; i < got.len; i++)
        sum = sum * 31 + (unsigned char)got.data[i];
    assert_true(sum == expected);
    sock_take(pair->dialled, got.len);
    assert_int_equal(sock_unacked(pair->accepted), 0);
}

static void what_a_stopped_process_does_not_take_is_acknowledged_up_to_a_window(void **state)
{
    struct pair *pair = *state;
    static char block[NET_WINDOW_BYTES];
    say(pair->dialled, "hello");
    assert_int_equal(sock_unacked(pair->dialled), 5);
    run_us(pair, DELAY_US + NET_ACK_US - 1);
    assert_int_equal(sock_unacked(pair->dialled), 5);
    run_us(pair, 10 * US_PER_MS);
    assert_int_equal(sock_unacked(pair->dialled), 0);
    sock_send(pair->dialled, block, sizeof(block));
    run_us(pair, US_PER_S);
    assert_int_equal(sock_unacked(pair->dialled), 5);
    assert_int_equal(sock_received(pair->accepted).len, NET_WINDOW_BYTES);
    sock_take(pair->accepted, NET_WINDOW_BYTES);
    run_us(pair, US_PER_S);
    assert_int_equal(sock_unacked(pair->dialled), 0);
    sock_take(pair->accepted, 5);
}

static void an_answer_acknowledges_what_it_answers(void **state)
{
    struct pair *pair = *state;
    say(pair->dialled, "ask");
    run_us(pair, DELAY_US);
    hears(pair->accepted, "ask");
    say(pair->accepted, "answer");
    run_us(pair, DELAY_US);
    assert_int_equal(sock_unacked(pair->dialled), 0);
    hears(pair->dialled, "answer");
}

static void bytes_unacknowledged_for_3_s_end_a_dialled_connection(void **state)
{
    struct pair *pair = *state;
    net_power_off(&pair->net, 1);
    pair->accepted = NULL;
    say(pair->dialled, "ask");
    run_us(pair, 2999 * US_PER_MS);
    assert_int_equal(sock_unacked(pair->dialled), 3);
    assert_int_equal(sock_state(pair->dialled), SOCK_OPEN);
    run_us(pair, 2 * US_PER_MS);
    assert_int_equal(sock_state(pair->dialled), SOCK_ENDED);
    assert_int_equal(sock_failure(pair->dialled), SOCK_TIMED_OUT);
}

static void a_way_cut_in_one_direction_lets_bytes_through_but_no_acknowledgement(void **state)
{
    struct pair *pair = *state;
    cut(pair, 1, 0, true);
    say(pair->dialled, "ask");
    run_us(pair, US_PER_S);
    hears(pair->accepted, "ask");
    assert_int_equal(sock_unacked(pair->dialled), 3);
    cut(pair, 1, 0, false);
    run_us(pair, US_PER_S);
    assert_int_equal(sock_unacked(pair->dialled), 0);
}

static void a_closed_end_is_heard_behind_what_it_said(void **state)
{
    struct pair *pair = *state;
    say(pair->dialled, "bye");
    sock_close(pair->dialled);
    pair->dialled = NULL;
    run_us(pair, 10 * US_PER_MS);
    assert_false(sock_at_end(pair->accepted));
    hears(pair->accepted, "bye");
    assert_true(sock_at_end(pair->accepted));
    assert_int_equal(sock_state(pair->accepted), SOCK_OPEN);
}

static void an_end_closed_with_bytes_untaken_resets(void **state)
{
    struct pair *pair = *state;
    say(pair->dialled, "ask");
    run_us(pair, 10 * US_PER_MS);
    sock_close(pair->accepted);
    pair->accepted = NULL;
    run_us(pair, 10 * US_PER_MS);
    assert_int_equal(sock_failure(pair->dialled), SOCK_RESET);
}

static void bytes_for_a_machine_that_was_off_are_answered_by_a_reset(void **state)
{
    struct pair *pair = *state;
    net_power_off(&pair->net, 1);
    pair->accepted = NULL;
    say(pair->dialled, "ask");
    run_us(pair, US_PER_S);
    assert_int_equal(sock_state(pair->dialled), SOCK_OPEN);
    net_power_on(&pair->net, 1);
    run_us(pair, US_PER_S);
    assert_int_equal(sock_failure(pair->dialled), SOCK_RESET);
}

static void a_broken_connection_resets_both_ends(void **state)
{
    struct pair *pair = *state;
    sock_break(pair->dialled);
    run_us(pair, 1);
    assert_int_equal(sock_failure(pair->dialled), SOCK_RESET);
    assert_int_equal(sock_failure(pair->accepted), SOCK_RESET);
}

static void what_is_held_is_acknowledged_and_arrives_late_and_in_order(void **state)
{
    struct pair *pair = *state;
    sock_hold(pair->dialled, pair->clock.now_us + 600ull * US_PER_S);
    say(pair->dialled, "old ");
    run_us(pair, 10 * US_PER_S);
    assert_int_equal(sock_unacked(pair->dialled), 0);
    say(pair->dialled, "news");
    sock_close(pair->dialled);
    pair->dialled = NULL;
    run_us(pair, 580ull * US_PER_S);
    hears(pair->accepted, "");
    run_us(pair, 20ull * US_PER_S);
    hears(pair->accepted, "old news");
    assert_true(sock_at_end(pair->accepted));
}

static void connections_nobody_accepts_are_reset_when_the_listener_ends(void **state)
{
    struct pair *pair = *state;
    pair->listener.acceptable = on_ignored;
    dial(pair);
    run_us(pair, 10 * US_PER_MS);
    assert_int_equal(sock_state(pair->dialled), SOCK_OPEN);
    net_unlisten(&pair->listener);
    run_us(pair, 10 * US_PER_MS);
    assert_int_equal(sock_failure(pair->dialled), SOCK_RESET);
}

static void a_megabyte_passes_a_lossy_path_in_seconds(void **state)
{
    struct pair *pair = *state;
    static char block[1024 * 1024];
    size_t got = 0;
    net_path(&pair->net, 0, 1)->loss_ppm = NET_PPM / 100;
    sock_send(pair->dialled, block, sizeof(block));
    for (int i = 0; i < 10000 && got < sizeof(block); i++) {
        run_us(pair, US_PER_MS);
        size_t len = sock_received(pair->accepted).len;
        sock_take(pair->accepted, len);
        got += len;
    }
    assert_int_equal(got, sizeof(block));
}

#define APART(test)  cmocka_unit_test_setup_teardown(test, set_up_apart, tear_down)
#define JOINED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        APART(a_dial_takes_a_round_trip),
        APART(a_dial_where_nobody_listens_is_refused_after_a_round_trip),
        APART(a_lost_dial_is_repeated_after_a_second),
        APART(a_machine_that_is_off_never_answers_a_dial),
        APART(connections_nobody_accepts_are_reset_when_the_listener_ends),
        JOINED(bytes_arrive_in_order_after_the_delay),
        JOINED(a_lost_packet_comes_again_after_200_ms_then_twice_as_long),
        JOINED(a_lost_packet_comes_again_at_once_when_a_later_one_is_acknowledged),
        JOINED(half_of_the_packets_lost_lose_no_byte),
        JOINED(what_a_stopped_process_does_not_take_is_acknowledged_up_to_a_window),
        JOINED(an_answer_acknowledges_what_it_answers),
        JOINED(bytes_unacknowledged_for_3_s_end_a_dialled_connection),
        JOINED(a_way_cut_in_one_direction_lets_bytes_through_but_no_acknowledgement),
        JOINED(a_closed_end_is_heard_behind_what_it_said),
        JOINED(an_end_closed_with_bytes_untaken_resets),
        JOINED(bytes_for_a_machine_that_was_off_are_answered_by_a_reset),
        JOINED(a_broken_connection_resets_both_ends),
        JOINED(what_is_held_is_acknowledged_and_arrives_late_and_in_order),
        JOINED(a_megabyte_passes_a_lossy_path_in_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
