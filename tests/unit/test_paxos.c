/* Paxos: one view is chosen, whatever order messages come in, and whoever restarts. */
#include "server/core/paxos.h"

#include "common/base.h"
#include "common/check.h"
#include "common/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A view that is told from others by its member's boot. */
static void view_of(struct view *view, uint64_t value)
{
    struct member member = {
        .name = "a:1", .generation = 1, .boot = value, .seat = 1, .weight = 1, .up_since = 1};
    *view = (struct view){
        .epoch = 1, .base = 1, .cluster_id = 1, .copies = VIEW_COPIES, .strategy = "random"};
    view_add(view, &member);
    view_elect(view);
}

static uint64_t value_of(const struct view *view)
{
    return view->members[0].boot;
}

static void ballots_are_ordered_by_round_then_seat(void **state)
{
    (void)state;
    const struct ballot ballots[] = {{0, 0}, {1, 1}, {1, 2}, {2, 1}, {UINT64_MAX, 0}};
    for (size_t i = 0; i < ARRAY_COUNT(ballots); i++)
        for (size_t j = 0; j < ARRAY_COUNT(ballots); j++)
            assert_int_equal(ballot_compare(ballots[i], ballots[j]), (i > j) - (i < j));
}

static void an_acceptor_keeps_its_promise(void **state)
{
    (void)state;
    struct acceptor acceptor = {0};
    struct view view, other;
    view_of(&view, 1);
    view_of(&other, 2);
    assert_true(acceptor_prepare(&acceptor, (struct ballot){2, 1}));
    assert_true(acceptor_prepare(&acceptor, (struct ballot){2, 1})); /* the same, once more */
    assert_false(acceptor_prepare(&acceptor, (struct ballot){1, 9}));
    assert_false(acceptor_accept(&acceptor, (struct ballot){1, 9}, &other));
    assert_true(acceptor_accept(&acceptor, (struct ballot){2, 1}, &view));
    assert_true(acceptor_accept(&acceptor, (struct ballot){2, 1}, &acceptor.view));
    assert_true(value_of(&acceptor.view) == 1);
    assert_true(
        acceptor_accept(&acceptor, (struct ballot){3, 1}, &other)); /* never prepared here */
    assert_true(value_of(&acceptor.view) == 2);
    assert_false(acceptor_prepare(&acceptor, (struct ballot){2, 5}));
    assert_int_equal(acceptor.promised.round, 3);
    acceptor_close(&acceptor);
    view_close(&view);
    view_close(&other);
}

static void a_proposer_offers_what_was_accepted_under_the_highest_ballot(void **state)
{
    (void)state;
    struct proposer proposer = {0};
    struct view low, high;
    view_of(&low, 1);
    view_of(&high, 2);
    proposer_begin(&proposer, (struct ballot){6, 4}, 3, 5);
    assert_true(proposer.ballot.round == 7 && proposer.ballot.seat == 3);
    proposer_promised(&proposer, 0, proposer.ballot, (struct ballot){2, 1}, &low);
    proposer_promised(&proposer, 0, proposer.ballot, (struct ballot){0}, NULL); /* twice is once */
    proposer_promised(&proposer, 1, proposer.ballot, (struct ballot){4, 1}, &high);
    assert_int_equal(proposer.stage, PROPOSER_PREPARING);
    proposer_promised(&proposer, 2, proposer.ballot, (struct ballot){0}, NULL);
    assert_int_equal(proposer.stage, PROPOSER_PREPARED);
    proposer_promised(&proposer, 3, proposer.ballot, (struct ballot){3, 1}, &low);
    assert_true(value_of(proposer_found(&proposer)) == 2);
    proposer_offer(&proposer, proposer_found(&proposer));
    for (uint32_t voter = 0; voter < 3; voter++) {
        assert_int_equal(proposer.stage, PROPOSER_OFFERING);
        proposer_accepted(&proposer, voter, proposer.ballot);
    }
    assert_int_equal(proposer.stage, PROPOSER_CHOSEN);
    assert_true(value_of(&proposer.view) == 2);
    proposer_close(&proposer);
    view_close(&low);
    view_close(&high);
}

static void half_of_the_voters_decide_nothing(void **state)
{
    (void)state;
    struct proposer proposer = {0};
    struct view view;
    view_of(&view, 1);
    proposer_begin(&proposer, (struct ballot){0}, 3, 4);
    for (uint32_t voter = 0; voter < 3; voter++) {
        assert_int_equal(proposer.stage, PROPOSER_PREPARING);
        proposer_promised(&proposer, voter, proposer.ballot, (struct ballot){0}, NULL);
    }
    assert_int_equal(proposer.stage, PROPOSER_PREPARED);
    proposer_offer(&proposer, &view);
    for (uint32_t voter = 0; voter < 3; voter++) {
        assert_int_equal(proposer.stage, PROPOSER_OFFERING);
        proposer_accepted(&proposer, voter, proposer.ballot);
    }
    assert_int_equal(proposer.stage, PROPOSER_CHOSEN);
    proposer_close(&proposer);
    view_close(&view);
}

static void a_higher_promise_ends_an_attempt(void **state)
{
    (void)state;
    struct proposer proposer = {0};
    struct view view;
    view_of(&view, 1);
    proposer_begin(&proposer, (struct ballot){0}, 3, 3);
    proposer_promised(&proposer, 1, (struct ballot){0}, (struct ballot){0}, NULL); /* a late one */
    assert_int_equal(proposer.stage, PROPOSER_PREPARING);
    proposer_promised(&proposer, 1, (struct ballot){1, 4}, (struct ballot){0}, NULL);
    assert_int_equal(proposer.stage, PROPOSER_IDLE);
    proposer_begin(&proposer, (struct ballot){1, 4}, 3, 3);
    proposer_promised(&proposer, 0, proposer.ballot, (struct ballot){0}, NULL);
    proposer_promised(&proposer, 1, proposer.ballot, (struct ballot){0}, NULL);
    proposer_offer(&proposer, &view);
    proposer_accepted(&proposer, 0, proposer.ballot);
    proposer_accepted(&proposer, 1, (struct ballot){3, 4});
    assert_int_equal(proposer.stage, PROPOSER_IDLE);
    view_close(&view);
}

static void an_operators_word_makes_a_majority_of_those_that_promised(void **state)
{
    (void)state;
    struct proposer proposer = {0};
    struct view view;
    view_of(&view, 1);
    proposer_begin(&proposer, (struct ballot){0}, 3, 9);
    for (uint32_t voter = 0; voter < 3; voter++)
        proposer_promised(&proposer, voter, proposer.ballot, (struct ballot){0}, NULL);
    assert_int_equal(proposer.stage, PROPOSER_PREPARING);
    proposer_settle(&proposer);
    proposer_offer(&proposer, &view);
    proposer_accepted(&proposer, 0, proposer.ballot);
    assert_int_equal(proposer.stage, PROPOSER_OFFERING);
    proposer_accepted(&proposer, 1, proposer.ballot);
    assert_int_equal(proposer.stage, PROPOSER_CHOSEN);
    proposer_end(&proposer);
    proposer_begin(&proposer, (struct ballot){0}, 3, 9); /* nobody else is left: alone */
    proposer_settle(&proposer);
    proposer_offer(&proposer, &view);
    assert_int_equal(proposer.stage, PROPOSER_CHOSEN);
    proposer_close(&proposer);
    view_close(&view);
}

/* ---- any order ---- */

#define SEATS    5u
#define MESSAGES 512u

enum kind { PREPARE, PROMISE, ACCEPT, ACCEPTED };

struct message {
    enum kind kind;
    uint32_t from, to;
    struct ballot ballot, accepted;
    uint64_t value; /* 0: none */
};

struct world {
    struct prng prng;
    struct acceptor acceptors[SEATS];
    struct proposer proposers[SEATS];
    struct message under_way[MESSAGES];
    uint32_t count;
    uint64_t chosen; /* 0: nothing yet */
};

static void send(struct world *world, struct message message)
{
    if (world->count < MESSAGES)
        world->under_way[world->count++] = message;
}

static void send_all(struct world *world, struct message message)
{
    for (message.to = 0; message.to < SEATS; message.to++)
        send(world, message);
}

static void begin(struct world *world, uint32_t seat)
{
    struct proposer *proposer = &world->proposers[seat];
    if (proposer->stage != PROPOSER_IDLE)
        proposer_end(proposer);
    /* Its own promise is recorded before anything is sent. */
    proposer_begin(proposer, world->acceptors[seat].promised, seat + 1, SEATS);
    assert_true(acceptor_prepare(&world->acceptors[seat], proposer->ballot));
    send_all(world, (struct message){PREPARE, seat, 0, proposer->ballot, {0}, 0});
}

/* It is chosen where a majority of acceptors has accepted it under one ballot: seen by each
 * proposer that hears of it. */
static void look_at_chosen(struct world *world, uint32_t seat)
{
    struct proposer *proposer = &world->proposers[seat];
    if (proposer->stage != PROPOSER_CHOSEN)
        return;
    uint64_t value = value_of(&proposer->view);
    if (world->chosen == 0)
        world->chosen = value;
    assert_true(world->chosen == value);
    proposer_end(proposer);
}

static void offer(struct world *world, uint32_t seat)
{
    struct proposer *proposer = &world->proposers[seat];
    struct view own;
    if (proposer->stage != PROPOSER_PREPARED)
        return;
    view_of(&own, 1000 * (seat + 1) + proposer->ballot.round);
    const struct view *found = proposer_found(proposer);
    proposer_offer(proposer, found ? found : &own);
    view_close(&own);
    send_all(world,
             (struct message){ACCEPT, seat, 0, proposer->ballot, {0}, value_of(&proposer->view)});
}

static void deliver(struct world *world, const struct message *message)
{
    struct acceptor *acceptor = &world->acceptors[message->to];
    struct proposer *proposer = &world->proposers[message->to];
    struct message answer = {.from = message->to, .to = message->from};
    struct view view = {0};
    if (message->value != 0)
        view_of(&view, message->value);
    switch (message->kind) {
    case PREPARE:
        acceptor_prepare(acceptor, message->ballot);
        answer.kind = PROMISE;
        answer.ballot = acceptor->promised;
        answer.accepted = acceptor->accepted;
        answer.value = acceptor->accepted.round > 0 ? value_of(&acceptor->view) : 0;
        send(world, answer);
        break;
    case PROMISE:
        proposer_promised(proposer, message->from, message->ballot, message->accepted,
                          message->value ? &view : NULL);
        offer(world, message->to);
        break;
    case ACCEPT:
        acceptor_accept(acceptor, message->ballot, &view);
        answer.kind = ACCEPTED;
        answer.ballot = acceptor->promised;
        send(world, answer);
        break;
    case ACCEPTED:
        proposer_accepted(proposer, message->from, message->ballot);
        look_at_chosen(world, message->to);
        break;
    }
    view_close(&view);
}

/* Messages are lost, doubled, held for long and reordered; proposers begin anew and restart, which
 * leaves them what their acceptor has recorded. */
static bool run(uint64_t seed)
{
    struct world *world = calloc(1, sizeof(*world));
    CHECK(world != NULL);
    prng_init(&world->prng, seed);
    uint32_t steps = 400 + (uint32_t)prng_below(&world->prng, 2000);
    uint32_t loss = (uint32_t)prng_below(&world->prng, 40),
             rivals = 1 + (uint32_t)prng_below(&world->prng, SEATS);
    for (uint32_t step = 0; step < steps; step++) {
        if (world->count == 0 || prng_below(&world->prng, 40) == 0) {
            begin(world, (uint32_t)prng_below(&world->prng, rivals));
            continue;
        }
        if (prng_below(&world->prng, 100) == 0) {
            proposer_end(&world->proposers[prng_below(&world->prng, SEATS)]); /* a restart */
            continue;
        }
        uint32_t at = (uint32_t)prng_below(&world->prng, world->count);
        struct message message = world->under_way[at];
        if (prng_below(&world->prng, 10) > 0)
            world->under_way[at] = world->under_way[--world->count];
        if (prng_below(&world->prng, 100) >= loss)
            deliver(world, &message);
    }
    bool is_chosen = world->chosen != 0;
    for (uint32_t i = 0; i < SEATS; i++) {
        acceptor_close(&world->acceptors[i]);
        proposer_close(&world->proposers[i]);
    }
    free(world);
    return is_chosen;
}

static void whatever_happens_one_view_is_chosen(void **state)
{
    (void)state;
    uint32_t chosen = 0;
    for (uint64_t seed = 1; seed <= 2000; seed++)
        chosen += run(seed);
    assert_true(chosen > 1500); /* and most runs do choose one */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ballots_are_ordered_by_round_then_seat),
        cmocka_unit_test(an_acceptor_keeps_its_promise),
        cmocka_unit_test(a_proposer_offers_what_was_accepted_under_the_highest_ballot),
        cmocka_unit_test(half_of_the_voters_decide_nothing),
        cmocka_unit_test(a_higher_promise_ends_an_attempt),
        cmocka_unit_test(an_operators_word_makes_a_majority_of_those_that_promised),
        cmocka_unit_test(whatever_happens_one_view_is_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
