/* The member table: of two accounts the greater counts whatever their order, proof of life beats
 * old accusations, and the dead do not rise. */
#include "server/core/members.h"

#include "common/check.h"
#include "common/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW 10000000u

static struct gossip_options options;

static void table_init(struct members *members)
{
    assert_true(gossip_profile(SPAN_LITERAL("lan"), &options));
    members_init(members, &options, "self:1", 7, 7, 1);
}

static struct news account(const char *name, uint64_t boot, uint32_t inc, enum member_state state)
{
    return (struct news){.state = state,
                         .name = span_of_string(name),
                         .boot = boot,
                         .generation = boot,
                         .inc = inc,
                         .hb = 1,
                         .age_ms = 1000,
                         .weight = 1,
                         .evidence = EVIDENCE_SILENT,
                         .since_ms = 500,
                         .by = SPAN_LITERAL("c:1")};
}

static enum hearing hear(struct members *members, const struct news *news, uint64_t now_ms)
{
    struct account *record;
    enum hearing hearing = members_hear(members, news, false, now_ms, &record);
    members_check(members);
    return hearing;
}

static enum hearing hear_of(struct members *members, uint64_t boot, uint32_t inc,
                            enum member_state state, uint64_t now_ms)
{
    struct news news = account("a:1", boot, inc, state);
    return hear(members, &news, now_ms);
}

static struct account *of_a(const struct members *members)
{
    return members_find(members, SPAN_LITERAL("a:1"));
}

/* --- order ------------------------------------------------------------------------------------ */

static struct news random_account(struct prng *prng)
{
    static const enum member_state states[] = {MEMBER_ALIVE, MEMBER_SUSPECT, MEMBER_DEAD,
                                               MEMBER_LEFT};
    struct news news = account("a:1", 1 + prng_below(prng, 3), (uint32_t)prng_below(prng, 3),
                               states[prng_below(prng, ARRAY_COUNT(states))]);
    news.generation = prng_below(prng, 2);
    return news;
}

static void accounts_are_totally_ordered(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    for (int i = 0; i < 20000; i++) {
        struct news a = random_account(&prng), b = random_account(&prng), c = random_account(&prng);
        int ab = account_compare(&a, &b), ba = account_compare(&b, &a);
        assert_true((ab > 0) == (ba < 0) && (ab == 0) == (ba == 0));
        assert_int_equal(account_compare(&a, &a), 0);
        if (ab <= 0 && account_compare(&b, &c) <= 0)
            assert_true(account_compare(&a, &c) <= 0);
        if (ab == 0) {
            assert_int_equal(a.state, b.state);
            assert_int_equal(a.inc, b.inc);
        }
    }
}

static void the_order_is_boot_final_inc_rank(void **state)
{
    (void)state;
    static const struct {
        uint64_t boot;
        uint32_t inc;
        enum member_state state;
    } ascending[] = {
        {1, 0, MEMBER_ALIVE}, {1, 0, MEMBER_SUSPECT}, {1, 0, MEMBER_DEAD},    {1, 1, MEMBER_ALIVE},
        {1, 2, MEMBER_DEAD},  {1, 0, MEMBER_LEFT},    {1, 0, MEMBER_REMOVED}, {2, 0, MEMBER_ALIVE},
    };
    for (size_t i = 0; i + 1 < ARRAY_COUNT(ascending); i++) {
        struct news a = account("a:1", ascending[i].boot, ascending[i].inc, ascending[i].state);
        struct news b =
            account("a:1", ascending[i + 1].boot, ascending[i + 1].inc, ascending[i + 1].state);
        assert_true(account_compare(&a, &b) < 0);
    }
}

/* What the table holds after these accounts, in this order. */
static struct news fold(const struct news *accounts, const size_t *order, size_t count)
{
    struct members members;
    table_init(&members);
    for (size_t i = 0; i < count; i++)
        hear(&members, &accounts[order[i]], NOW);
    struct news news;
    members_tell(&members, of_a(&members), NOW, &news);
    news.name = SPAN_LITERAL("a:1");
    members_close(&members);
    return news;
}

/* Commutative and associative: any order gives the same. Idempotent: so does hearing twice. And
 * what it gives is the greatest. */
static void merging_gives_the_greatest_in_any_order(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 2);
    for (int run = 0; run < 3000; run++) {
        struct news accounts[6];
        size_t count = 2 + (size_t)prng_below(&prng, 5), greatest = 0;
        size_t orders[2][12];
        for (size_t i = 0; i < count; i++) {
            accounts[i] = random_account(&prng);
            if (account_compare(&accounts[i], &accounts[greatest]) > 0)
                greatest = i;
        }
        for (size_t o = 0; o < 2; o++) {
            for (size_t i = 0; i < 2 * count; i++)
                orders[o][i] = i % count;
            for (size_t i = 2 * count - 1; i > 0; i--) {
                size_t j = (size_t)prng_below(&prng, i + 1), swapped = orders[o][i];
                orders[o][i] = orders[o][j];
                orders[o][j] = swapped;
            }
        }
        struct news a = fold(accounts, orders[0], 2 * count);
        struct news b = fold(accounts, orders[1], 2 * count);
        assert_int_equal(account_compare(&a, &b), 0);
        struct news best = accounts[greatest];
        if (best.state == MEMBER_LEFT)
            best.inc = a.inc; /* the highest inc of any evidence is kept */
        assert_int_equal(account_compare(&a, &best), 0);
    }
}

/* No (name, boot) once REMOVED or LEFT is ever ALIVE or SUSPECT again, whatever is heard, found or
 * proved; inc never falls within a boot. */
static void who_was_removed_or_has_left_never_rises(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 3);
    for (int run = 0; run < 1000; run++) {
        struct members members;
        table_init(&members);
        uint64_t gone_boot = 0, now_ms = NOW, boot = 0;
        uint32_t inc = 0;
        for (int step = 0; step < 60; step++) {
            struct account *record = of_a(&members);
            now_ms += prng_below(&prng, 2000);
            switch (prng_below(&prng, 6)) {
            case 0:
                if (record && (record->state == MEMBER_DEAD || record->state == MEMBER_LEFT))
                    members_remove(&members, record, now_ms);
                break;
            case 1:
                if (record && record_is_live(record))
                    members_doubt(&members, record, EVIDENCE_REFUSED, now_ms);
                break;
            case 2:
                if (record && record->state == MEMBER_SUSPECT)
                    members_condemn(&members, record, now_ms);
                break;
            case 3:
                if (record)
                    members_prove(&members, record, prng_below(&prng, 9), now_ms);
                break;
            default: {
                struct news news = random_account(&prng);
                news.generation = news.boot;
                members_hear(&members, &news, prng_below(&prng, 4) == 0, now_ms, &record);
                break;
            }
            }
            members_check(&members);
            record = of_a(&members);
            if (!record)
                continue;
            assert_true(record->boot > boot || record->inc >= inc);
            boot = record->boot;
            inc = record->inc;
            if (record->state == MEMBER_REMOVED || record->state == MEMBER_LEFT)
                gone_boot = record->boot;
            assert_true(!record_is_live(record) || record->boot > gone_boot);
        }
        members_close(&members);
    }
}

/* --- states ----------------------------------------------------------------------------------- */

static void an_unknown_member_is_accepted_only_while_its_proof_is_young(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    struct news news = account("a:1", 1, 0, MEMBER_ALIVE);
    news.age_ms = options.accept_ms;
    assert_int_equal(hear(&members, &news, NOW), HEARD_UNVERIFIED);
    assert_int_equal(members.live_count, 1);
    assert_false(record_is_listed(of_a(&members)));
    news.age_ms = options.accept_ms - 1;
    assert_int_equal(hear(&members, &news, NOW), HEARD_NEW);
    assert_int_equal(members.live_count, 2);
    /* From itself it is accepted whatever it says. */
    struct account *record;
    news = account("b:1", 1, 0, MEMBER_ALIVE);
    news.age_ms = INT64_MAX;
    assert_int_equal(members_hear(&members, &news, true, NOW, &record), HEARD_NEW);
    members_close(&members);
}

/* An old account of it may have lain with one that was stopped: its tombstone's time was over in
 * the meantime, and it is DEAD here again, by another who had never heard of that incarnation. */
static void the_dead_rise_only_by_a_young_account_or_their_own(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    struct account *record;
    struct news news;
    hear_of(&members, 1, 0, MEMBER_DEAD, NOW);
    for (enum member_state said = MEMBER_ALIVE; said <= MEMBER_SUSPECT; said++) {
        news = account("a:1", 1, 1, said);
        news.age_ms = options.accept_ms;
        assert_int_equal(hear(&members, &news, NOW), HEARD_REMOVED);
        assert_int_equal(of_a(&members)->state, MEMBER_DEAD);
    }
    news = account("a:1", 1, 1, MEMBER_ALIVE);
    news.age_ms = options.accept_ms - 1;
    assert_int_equal(hear(&members, &news, NOW), HEARD_REFUTED);
    assert_int_equal(of_a(&members)->state, MEMBER_ALIVE);
    hear_of(&members, 1, 1, MEMBER_DEAD, NOW + 1000);
    news = account("a:1", 1, 2, MEMBER_ALIVE);
    news.age_ms = INT64_MAX;
    assert_int_equal(members_hear(&members, &news, true, NOW + 1000, &record), HEARD_REFUTED);
    members_close(&members);
}

/* Who stands in the view is looked for, but that is no proof of its life to anybody. */
static void one_that_is_expected_is_alive_here_and_unverified_elsewhere(void **state)
{
    (void)state;
    struct members here, there;
    struct news news = account("a:1", 5, 0, MEMBER_ALIVE);
    table_init(&here);
    table_init(&there);
    struct account *expected = members_expect(&here, &news, 1000);
    members_check(&here);
    assert_int_equal(expected->state, MEMBER_ALIVE);
    assert_null(members_expect(&here, &news, 1000)); /* known already */
    members_tell(&here, expected, 1000, &news);
    assert_int_equal(hear(&there, &news, 1000), HEARD_UNVERIFIED);
    /* The same by one whose clock began a moment ago. */
    members_tell(&there, of_a(&there), 1000, &news);
    assert_true(news.age_ms >= options.accept_ms);
    members_close(&here);
    members_close(&there);
}

static void a_higher_boot_is_a_restart_and_with_the_same_data_a_renewal(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    hear_of(&members, 1, 5, MEMBER_ALIVE, NOW);
    assert_int_equal(hear_of(&members, 2, 0, MEMBER_ALIVE, NOW), HEARD_RESTARTED);
    assert_int_equal(of_a(&members)->inc, 0);
    struct news news = account("a:1", 3, 0, MEMBER_ALIVE);
    news.generation = 2;
    assert_int_equal(hear(&members, &news, NOW), HEARD_RENEWED);
    assert_int_equal(hear_of(&members, 2, 9, MEMBER_DEAD, NOW), HEARD_NOTHING); /* the old one */
    members_close(&members);
}

static void a_suspicion_ends_by_a_higher_inc(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    hear_of(&members, 1, 0, MEMBER_ALIVE, NOW);
    assert_int_equal(hear_of(&members, 1, 0, MEMBER_SUSPECT, NOW), HEARD_SUSPECT);
    assert_int_equal(hear_of(&members, 1, 0, MEMBER_ALIVE, NOW), HEARD_NOTHING);
    assert_int_equal(hear_of(&members, 1, 1, MEMBER_ALIVE, NOW), HEARD_REFUTED);
    assert_int_equal(of_a(&members)->state, MEMBER_ALIVE);
    assert_int_equal(hear_of(&members, 1, 0, MEMBER_SUSPECT, NOW), HEARD_NOTHING);
    assert_int_equal(hear_of(&members, 1, 1, MEMBER_DEAD, NOW), HEARD_DEAD);
    assert_int_equal(hear_of(&members, 1, 2, MEMBER_ALIVE, NOW), HEARD_REFUTED);
    assert_true(record_is_damped(of_a(&members), NOW));
    members_close(&members);
}

static void a_suspicion_ends_by_an_own_exchange(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    hear_of(&members, 1, 0, MEMBER_ALIVE, NOW);
    members_doubt(&members, of_a(&members), EVIDENCE_REFUSED, NOW);
    assert_int_equal(of_a(&members)->state, MEMBER_SUSPECT);
    assert_true(members_prove(&members, of_a(&members), 2, NOW + 1));
    assert_int_equal(of_a(&members)->state, MEMBER_ALIVE);
    members_check(&members);
    members_close(&members);
}

static struct account *heartbeat(struct members *members, uint64_t hb, uint64_t age_ms,
                                 uint16_t tag, uint64_t now_ms)
{
    const struct news news = {
        .is_heartbeat = true, .name = SPAN_LITERAL("a:1"), .tag = tag, .hb = hb, .age_ms = age_ms};
    struct account *record = members_hear_heartbeat(members, &news, now_ms);
    members_check(members);
    return record;
}

/* Hearsay: only what lived after the suspicion began, and never against REFUSED. */
static void a_heartbeat_cancels_a_suspicion_that_it_outlived(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    hear_of(&members, 1, 0, MEMBER_ALIVE, NOW);
    members_doubt(&members, of_a(&members), EVIDENCE_SILENT, NOW);
    assert_null(heartbeat(&members, 2, 1100, 1, NOW + 1000)); /* before it began */
    assert_null(heartbeat(&members, 2, 0, 1, NOW + 1000));    /* the same heartbeat again */
    assert_null(heartbeat(&members, 3, 0, 2, NOW + 1000));    /* another boot's */
    assert_ptr_equal(heartbeat(&members, 3, 900, 1, NOW + 1000), of_a(&members));
    assert_int_equal(of_a(&members)->state, MEMBER_ALIVE);
    members_doubt(&members, of_a(&members), EVIDENCE_REFUSED, NOW + 2000);
    assert_null(heartbeat(&members, 4, 0, 1, NOW + 3000));
    assert_int_equal(of_a(&members)->state, MEMBER_SUSPECT);
    members_close(&members);
}

/* The same in an account of the whole list. */
static void a_younger_account_cancels_a_suspicion(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    hear_of(&members, 1, 0, MEMBER_ALIVE, NOW);
    members_doubt(&members, of_a(&members), EVIDENCE_STALLED, NOW);
    struct news news = account("a:1", 1, 0, MEMBER_ALIVE);
    news.hb = 9;
    news.age_ms = 100;
    assert_int_equal(hear(&members, &news, NOW + 200), HEARD_CANCELLED);
    assert_int_equal(of_a(&members)->state, MEMBER_ALIVE);
    members_close(&members);
}

/* A node back from isolation accuses everybody; nobody who has heard of them since believes it. */
static void an_accusation_older_than_the_proof_is_not_believed(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    hear_of(&members, 1, 0, MEMBER_ALIVE, NOW);
    members_prove(&members, of_a(&members), 5, NOW);
    struct news news = account("a:1", 1, 0, MEMBER_DEAD);
    news.since_ms = 200; /* began at NOW - 100 */
    assert_int_equal(hear(&members, &news, NOW + 100), HEARD_OUTDATED);
    news.state = MEMBER_SUSPECT;
    assert_int_equal(hear(&members, &news, NOW + 100), HEARD_OUTDATED);
    news.inc = 4; /* the inc is kept all the same */
    assert_int_equal(hear(&members, &news, NOW + 100), HEARD_OUTDATED);
    assert_int_equal(of_a(&members)->inc, 4);
    news.since_ms = 50; /* began at NOW + 50 */
    assert_int_equal(hear(&members, &news, NOW + 100), HEARD_SUSPECT);
    members_close(&members);
}

static void only_an_own_exchange_beats_refused(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    hear_of(&members, 1, 0, MEMBER_ALIVE, NOW);
    heartbeat(&members, 5, 0, 1, NOW);
    struct news news = account("a:1", 1, 0, MEMBER_SUSPECT);
    news.evidence = EVIDENCE_REFUSED;
    news.since_ms = 200;
    assert_int_equal(hear(&members, &news, NOW + 100), HEARD_SUSPECT);
    members_prove(&members, of_a(&members), 0, NOW + 150);
    assert_int_equal(hear(&members, &news, NOW + 160), HEARD_OUTDATED);
    members_close(&members);
}

static void each_reporter_of_a_suspicion_is_told_on_until_three_confirm(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    hear_of(&members, 1, 0, MEMBER_ALIVE, NOW);
    hear_of(&members, 1, 0, MEMBER_SUSPECT, NOW);
    static const char *const reporters[] = {"d:1", "e:1", "f:1", "g:1"};
    for (size_t i = 0; i < ARRAY_COUNT(reporters); i++) {
        struct news news = account("a:1", 1, 0, MEMBER_SUSPECT);
        news.by = span_of_string(reporters[i]);
        assert_int_equal(hear(&members, &news, NOW), i < 3 ? HEARD_REPORT : HEARD_NOTHING);
        assert_int_equal(hear(&members, &news, NOW), HEARD_NOTHING);
    }
    members_close(&members);
}

static void one_who_flaps_is_damped(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    hear_of(&members, 1, 0, MEMBER_ALIVE, NOW);
    for (uint32_t inc = 0; inc < 4; inc++) {
        assert_false(record_is_damped(of_a(&members), NOW));
        hear_of(&members, 1, inc, MEMBER_SUSPECT, NOW);
        hear_of(&members, 1, inc + 1, MEMBER_ALIVE, NOW);
    }
    assert_true(record_is_damped(of_a(&members), NOW));
    assert_false(record_is_damped(of_a(&members), NOW + options.damp_ms));
    members_close(&members);
}

/* --- changes ---------------------------------------------------------------------------------- */

static void the_changes_after_a_version_are_exactly_those(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    char name[16];
    for (unsigned i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "n%u:1", i);
        struct news news = account(name, 1, 0, MEMBER_ALIVE);
        hear(&members, &news, NOW);
    }
    uint64_t version = members.version;
    assert_null(members_since(&members, version));
    struct news news = account("n3:1", 1, 1, MEMBER_ALIVE);
    hear(&members, &news, NOW);
    news = account("n8:1", 1, 0, MEMBER_SUSPECT);
    hear(&members, &news, NOW);
    struct account *record = members_since(&members, version);
    assert_string_equal(record->name, "n3:1");
    record = members_next(&members, record);
    assert_string_equal(record->name, "n8:1");
    assert_null(members_next(&members, record));
    unsigned all = 0;
    for (record = members_since(&members, 0); record; record = members_next(&members, record))
        all++;
    assert_int_equal(all, 11);
    members_close(&members);
}

static void equal_views_have_equal_hashes_however_they_came_about(void **state)
{
    (void)state;
    struct members a, b;
    table_init(&a);
    table_init(&b);
    struct news one = account("a:1", 1, 0, MEMBER_ALIVE), two = account("b:1", 1, 0, MEMBER_ALIVE);
    struct news suspect = account("b:1", 1, 0, MEMBER_SUSPECT),
                refuted = account("b:1", 1, 1, MEMBER_ALIVE);
    hear(&a, &one, NOW);
    hear(&a, &two, NOW);
    uint64_t before = a.viewhash;
    hear(&a, &suspect, NOW);
    assert_int_not_equal(a.viewhash, before);
    hear(&a, &refuted, NOW);
    hear(&b, &refuted, NOW + 77);
    hear(&b, &one, NOW + 78);
    heartbeat(&b, 99, 0, 1, NOW + 79);
    assert_true(a.viewhash == b.viewhash);
    members_close(&a);
    members_close(&b);
}

static void the_ring_changes_with_who_is_live_and_with_weights(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    members.has_ring_changed = false;
    hear_of(&members, 1, 0, MEMBER_ALIVE, NOW);
    assert_true(members.has_ring_changed);
    members.has_ring_changed = false;
    hear_of(&members, 1, 0, MEMBER_SUSPECT, NOW);
    assert_false(members.has_ring_changed);
    struct news news = account("a:1", 1, 1, MEMBER_ALIVE);
    news.weight = 3;
    hear(&members, &news, NOW);
    assert_true(members.has_ring_changed);
    members.has_ring_changed = false;
    hear_of(&members, 1, 1, MEMBER_DEAD, NOW);
    assert_true(members.has_ring_changed);
    members_close(&members);
}

static void the_table_is_bounded(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    struct account *record;
    for (uint32_t i = 1; i <= VIEW_MEMBERS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%u:1", i);
        struct news news = account(name, 1, 0, MEMBER_ALIVE);
        assert_int_equal(members_hear(&members, &news, false, NOW, &record),
                         i < VIEW_MEMBERS_MAX ? HEARD_NEW : HEARD_FULL);
    }
    assert_int_equal(members.count, VIEW_MEMBERS_MAX);
    members_check(&members);
    members_close(&members);
}

/* A removal is no news but to who suspects that very process, at no higher incarnation. */
static void a_removal_counts_for_a_suspect_alone(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    assert_int_equal(hear_of(&members, 2, 1, MEMBER_REMOVED, NOW), HEARD_NOTHING);
    assert_null(of_a(&members));
    hear_of(&members, 2, 1, MEMBER_ALIVE, NOW);
    assert_int_equal(hear_of(&members, 2, 1, MEMBER_REMOVED, NOW), HEARD_NOTHING);
    assert_int_equal(members_doubt(&members, of_a(&members), EVIDENCE_SILENT, NOW), HEARD_SUSPECT);
    assert_int_equal(hear_of(&members, 1, 5, MEMBER_REMOVED, NOW), HEARD_NOTHING);
    assert_int_equal(hear_of(&members, 3, 0, MEMBER_REMOVED, NOW), HEARD_NOTHING);
    assert_int_equal(hear_of(&members, 2, 0, MEMBER_REMOVED, NOW), HEARD_NOTHING);
    assert_int_equal(of_a(&members)->boot, 2);
    assert_int_equal(hear_of(&members, 2, 1, MEMBER_REMOVED, NOW), HEARD_CONDEMNED);
    assert_int_equal(hear_of(&members, 2, 1, MEMBER_REMOVED, NOW), HEARD_NOTHING);
    assert_int_equal(of_a(&members)->state, MEMBER_SUSPECT); /* it can still say otherwise */
    assert_int_equal(hear_of(&members, 2, 2, MEMBER_ALIVE, NOW), HEARD_REFUTED);
    members_check(&members);
    members_close(&members);
}

static void records_are_forgotten(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    hear_of(&members, 1, 0, MEMBER_DEAD, NOW);
    members_remove(&members, of_a(&members), NOW);
    assert_int_equal(hear_of(&members, 1, 5, MEMBER_ALIVE, NOW), HEARD_REMOVED);
    members_forget(&members, of_a(&members));
    members_check(&members);
    assert_null(of_a(&members));
    members_close(&members);
}

static void this_nodes_own_account_changes_by_its_own_will_only(void **state)
{
    (void)state;
    struct members members;
    table_init(&members);
    struct news news = account("self:1", 9, 9, MEMBER_DEAD);
    assert_int_equal(hear(&members, &news, NOW), HEARD_SELF);
    assert_int_equal(members.self->boot, 7);
    uint64_t hash = members.viewhash;
    members_raise_inc(&members, 3);
    assert_int_not_equal(members.viewhash, hash);
    members_raise_boot(&members, 12);
    assert_int_equal(members.self->inc, 0);
    members_check(&members);
    members_leave(&members, NOW);
    members_check(&members);
    assert_int_equal(members.live_count, 0);
    assert_int_equal(members_self_at(&members), 0);
    members_close(&members);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accounts_are_totally_ordered),
        cmocka_unit_test(the_order_is_boot_final_inc_rank),
        cmocka_unit_test(merging_gives_the_greatest_in_any_order),
        cmocka_unit_test(who_was_removed_or_has_left_never_rises),
        cmocka_unit_test(an_unknown_member_is_accepted_only_while_its_proof_is_young),
        cmocka_unit_test(the_dead_rise_only_by_a_young_account_or_their_own),
        cmocka_unit_test(one_that_is_expected_is_alive_here_and_unverified_elsewhere),
        cmocka_unit_test(a_higher_boot_is_a_restart_and_with_the_same_data_a_renewal),
        cmocka_unit_test(a_suspicion_ends_by_a_higher_inc),
        cmocka_unit_test(a_suspicion_ends_by_an_own_exchange),
        cmocka_unit_test(a_heartbeat_cancels_a_suspicion_that_it_outlived),
        cmocka_unit_test(a_younger_account_cancels_a_suspicion),
        cmocka_unit_test(an_accusation_older_than_the_proof_is_not_believed),
        cmocka_unit_test(only_an_own_exchange_beats_refused),
        cmocka_unit_test(each_reporter_of_a_suspicion_is_told_on_until_three_confirm),
        cmocka_unit_test(one_who_flaps_is_damped),
        cmocka_unit_test(the_changes_after_a_version_are_exactly_those),
        cmocka_unit_test(equal_views_have_equal_hashes_however_they_came_about),
        cmocka_unit_test(the_ring_changes_with_who_is_live_and_with_weights),
        cmocka_unit_test(the_table_is_bounded),
        cmocka_unit_test(a_removal_counts_for_a_suspect_alone),
        cmocka_unit_test(records_are_forgotten),
        cmocka_unit_test(this_nodes_own_account_changes_by_its_own_will_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
