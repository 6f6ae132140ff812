/* How long clients of each kind wait for a node that is slow: it reads what they sent in the turn
 * after that has come, what is due may come with the turn after the one that it is in, and no
 * later. */
#include "tests/sim/callers.h"
#include "tests/sim/client.h"
#include "tests/sim/direct_client.h"
#include "tests/sim/patience.h"
#include "tests/sim/quiet.h"
#include "tests/sim/world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FORM_MS 20000u
#define CLIENTS 4u
/* Of 20 µs: a turn takes longer than an answer may. */
#define SLOW_TIMES 100000u
#define PUT_OFF_MS 100u

/* Clients of one kind, who ask the world's only node. The other two are NULL. */
struct asking {
    struct world *world;
    struct clients *clients;
    struct callers *callers;
    struct direct_clients *direct;
};

enum kind { KIND_CLIENTS, KIND_CALLERS, KIND_DIRECT, KINDS };

static uint64_t done_by(const struct asking *asking)
{
    if (asking->clients)
        return clients_total(asking->clients, OUTCOME_DONE);
    if (asking->direct)
        return asking->direct->direct + asking->direct->by_node;
    return callers_total(asking->callers, LINEAR_DONE);
}

static struct asking begin(enum kind kind)
{
    const struct world_options world_options = {
        .seed = 7, .node_count = 1, .client_count = CLIENTS, .delay_us = 200};
    const struct callers_options options = {
        .count = CLIENTS, .key_count = 2, .slot_count = 1, .think_ms = 100, .is_simple = true};
    struct asking asking = {.world = world_open(&world_options)};
    char why[QUIET_WHY_BYTES];
    world_start_all(asking.world);
    assert_true(quiet_wait(asking.world, FORM_MS, why) <= FORM_MS);
    if (kind == KIND_CLIENTS)
        asking.clients = clients_open(asking.world, CLIENTS, 4);
    else if (kind == KIND_CALLERS)
        asking.callers = callers_open(asking.world, &options);
    else
        asking.direct = direct_clients_open(asking.world, CLIENTS, 1u << MANNER_PROMPT);
    world_run_s(asking.world, 1);
    assert_false(asking.world->has_failed);
    return asking;
}

static void end(struct asking *asking)
{
    if (asking->clients)
        clients_close(asking->clients);
    if (asking->callers)
        callers_close(asking->callers);
    if (asking->direct)
        direct_clients_close(asking->direct);
    world_close(asking->world);
}

static void what_is_due_in_a_turn_may_come_with_the_next(void **state)
{
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct asking asking = begin(kind);
        uint64_t done = done_by(&asking);
        asking.world->hosts[0].slow = SLOW_TIMES;
        world_run_s(asking.world, 20);
        assert_string_equal(asking.world->failure, "");
        assert_true(done_by(&asking) > done);
        end(&asking);
    }
}

static void more_than_one_turn_late_is_a_failure(void **state)
{
    (void)state;
    for (enum kind kind = 0; kind < KINDS; kind++) {
        struct asking asking = begin(kind);
        struct world *world = asking.world;
        struct vtimer *turn = &world->hosts[0].turn;
        for (uint32_t i = 0; i < 50; i++) { /* its turn is put off for ever */
            vclock_stop(&world->clock, turn);
            vclock_set(&world->clock, turn, world->clock.now_us + 2 * PUT_OFF_MS * US_PER_MS);
            world_run_ms(world, PUT_OFF_MS);
        }
        assert_non_null(strstr(world->failure, "no answer in time"));
        end(&asking);
    }
}

/* Who asks a node, and waits until it should have answered. */
struct waiting {
    struct world *world;
    struct patience patience;
    struct vtimer timer;
    uint64_t end_us; /* 0: has not ended */
};

static void on_timer(struct vtimer *timer)
{
    struct waiting *waiting = CONTAINER_OF(timer, struct waiting, timer);
    if (patience_ring(&waiting->patience, timer, waiting->patience.begun_us) == PATIENCE_ENDS)
        waiting->end_us = waiting->world->clock.now_us;
}

static void a_turn_that_begins_before_it_has_come_puts_the_reading_off(void **state)
{
    (void)state;
    const uint64_t turn_ms = 900;
    struct asking asking = begin(KIND_CLIENTS);
    struct world *world = asking.world;
    struct host *host = &world->hosts[0];
    struct waiting waiting = {.world = world, .timer = {.ring = on_timer}};
    clients_close(asking.clients);
    patience_connect(&waiting.patience, host, world_client_machine(world, 0));
    patience_begin(&waiting.patience, &waiting.timer);
    host->busy_until_us = world->clock.now_us + turn_ms * US_PER_MS;
    uint64_t due_us = host->busy_until_us + world->host_options.op_timeout_ms * US_PER_MS;
    world_run_s(world, 5);
    assert_in_range(waiting.end_us, due_us, due_us + 2 * PATIENCE_MARGIN_MS * US_PER_MS);
    world_close(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_due_in_a_turn_may_come_with_the_next),
        cmocka_unit_test(more_than_one_turn_late_is_a_failure),
        cmocka_unit_test(a_turn_that_begins_before_it_has_come_puts_the_reading_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
