/* The detector's kernels, by tables. */
#include "server/core/detector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct gossip_options lan(void)
{
    struct gossip_options options = {0};
    assert_true(gossip_profile(SPAN_LITERAL("lan"), &options));
    return options;
}

static void the_profiles_are_those_of_the_specification(void **state)
{
    (void)state;
    struct gossip_options options;
    assert_true(gossip_profile(SPAN_LITERAL("fast"), &options));
    assert_int_equal(options.gossip_ms, 250);
    assert_int_equal(options.silent_min_ms, 5000);
    options = lan();
    assert_int_equal(options.gossip_ms, 500);
    assert_int_equal(options.silent_min_ms, 6400);
    assert_int_equal(options.remove_ms, 5000);
    assert_true(gossip_profile(SPAN_LITERAL("wan"), &options));
    assert_int_equal(options.gossip_ms, 1000);
    assert_int_equal(options.silent_min_ms, 12000);
    assert_false(gossip_profile(SPAN_LITERAL("moon"), &options));
}

static void logarithms_are_exact_to_a_thousandth(void **state)
{
    (void)state;
    static const struct {
        uint32_t value, milli, ceil;
    } cases[] = {{1, 0, 0},      {2, 1000, 1},      {3, 1584, 2},
                 {4, 2000, 2},   {10, 3321, 4},     {40, 5321, 6},
                 {400, 8643, 9}, {4000, 11965, 12}, {UINT32_MAX, 31999, 32}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_in_range(log2_milli(cases[i].value), cases[i].milli, cases[i].milli + 1);
        assert_int_equal(log2_ceil(cases[i].value), cases[i].ceil);
    }
}

/* Timer = max(min, max - (max - min) × log(c + 1) / log(k + 1)), k = 3. */
static void confirmations_shorten_a_suspicion_as_the_formula_says(void **state)
{
    (void)state;
    const struct gossip_options options = lan();
    static const struct {
        enum evidence evidence;
        uint32_t reporters, members;
        uint64_t ms, slack;
    } cases[] = {
        {EVIDENCE_SILENT, 1, 40, 38400, 0},
        {EVIDENCE_SILENT, 2, 40, 22400, 40}, /* half: log 2 / log 4 */
        {EVIDENCE_SILENT, 3, 40, 13040, 60}, /* log 3 / log 4 = 0.7925 */
        {EVIDENCE_SILENT, 4, 40, 6400, 0},
        {EVIDENCE_SILENT, 8, 40, 6400, 0},
        {EVIDENCE_SILENT, 1, 2, 6400, 0}, /* nobody can confirm */
        {EVIDENCE_SILENT, 2, 3, 6400, 0}, /* one can */
        {EVIDENCE_SILENT, 1, 3, 38400, 0},
        {EVIDENCE_SILENT, 4, 4000, 8859, 10}, /* × log 4000 / log 400 */
        {EVIDENCE_STALLED, 1, 40, 60000, 0},
        {EVIDENCE_STALLED, 4, 40, 10000, 0},
        {EVIDENCE_REFUSED, 1, 4000, 200, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct suspicion suspicion;
        suspicion_begin(&suspicion, cases[i].evidence, 1, true, 1000, 1000);
        for (uint32_t r = 2; r <= cases[i].reporters; r++)
            suspicion_report(&suspicion, cases[i].evidence, r, false, 1000);
        uint64_t deadline_ms = suspicion_deadline(&suspicion, &options, cases[i].members, false);
        assert_in_range(deadline_ms, 1000 + cases[i].ms - cases[i].slack,
                        1000 + cases[i].ms + cases[i].slack);
    }
}

static void a_damped_member_is_silent_for_twice_as_long(void **state)
{
    (void)state;
    const struct gossip_options options = lan();
    struct suspicion suspicion;
    suspicion_begin(&suspicion, EVIDENCE_SILENT, 1, true, 0, 0);
    assert_int_equal(suspicion_deadline(&suspicion, &options, 2, true), 2 * 6400);
    suspicion_begin(&suspicion, EVIDENCE_STALLED, 1, true, 0, 0);
    assert_int_equal(suspicion_deadline(&suspicion, &options, 2, true), 10000);
}

static void a_reporter_counts_once(void **state)
{
    (void)state;
    struct suspicion suspicion;
    suspicion_begin(&suspicion, EVIDENCE_SILENT, 7, false, 0, 0);
    assert_false(suspicion_report(&suspicion, EVIDENCE_SILENT, 7, false, 0));
    assert_true(suspicion_report(&suspicion, EVIDENCE_SILENT, 8, true, 0));
    assert_false(suspicion_report(&suspicion, EVIDENCE_SILENT, 8, true, 0));
    assert_false(suspicion_report(&suspicion, EVIDENCE_SILENT, 0, false, 0)); /* nobody */
    assert_int_equal(suspicion.reporter_count, 2);
    assert_true(suspicion.is_own);
}

static void only_the_first_confirmations_are_passed_on(void **state)
{
    (void)state;
    struct suspicion suspicion;
    suspicion_begin(&suspicion, EVIDENCE_SILENT, 100, false, 0, 0);
    unsigned passed = 0;
    for (uint64_t reporter = 1; reporter <= 50; reporter++)
        passed += suspicion_report(&suspicion, EVIDENCE_SILENT, reporter, false, 0);
    assert_int_equal(passed, CONFIRMATIONS_MAX);
    assert_int_equal(suspicion.reporter_count, REPORTERS_MAX);
}

static void the_milder_evidence_wins_until_three_say_otherwise(void **state)
{
    (void)state;
    struct suspicion suspicion;
    suspicion_begin(&suspicion, EVIDENCE_REFUSED, 1, false, 0, 0);
    assert_true(suspicion_report(&suspicion, EVIDENCE_STALLED, 2, false, 10));
    assert_int_equal(suspicion.evidence, EVIDENCE_STALLED);
    for (uint64_t reporter = 3; reporter <= 4; reporter++) {
        assert_true(suspicion_report(&suspicion, EVIDENCE_REFUSED, reporter, false, 20));
        assert_false(suspicion_report(&suspicion, EVIDENCE_REFUSED, reporter, false, 20));
        assert_int_equal(suspicion.evidence, EVIDENCE_STALLED);
    }
    assert_true(suspicion_report(&suspicion, EVIDENCE_REFUSED, 5, false, 30));
    assert_int_equal(suspicion.evidence, EVIDENCE_REFUSED);
    /* Its grace counts from then. */
    const struct gossip_options options = lan();
    assert_int_equal(suspicion_deadline(&suspicion, &options, 40, false), 230);
}

/* Who suspected a process that then ends may be the only one that knows of it. */
static void the_milder_evidence_falls_when_all_who_reported_have_been_refused(void **state)
{
    (void)state;
    struct suspicion suspicion;
    suspicion_begin(&suspicion, EVIDENCE_STALLED, 1, true, 0, 0);
    assert_true(suspicion_report(&suspicion, EVIDENCE_SILENT, 1, true, 10));
    assert_int_equal(suspicion.evidence, EVIDENCE_STALLED); /* what does not answer may go silent */
    suspicion_begin(&suspicion, EVIDENCE_STALLED, 1, true, 0, 0);
    assert_true(suspicion_report(&suspicion, EVIDENCE_SILENT, 2, false, 20));
    assert_true(suspicion_report(&suspicion, EVIDENCE_REFUSED, 1, true, 30));
    assert_int_equal(suspicion.evidence, EVIDENCE_STALLED);
    assert_true(suspicion_report(&suspicion, EVIDENCE_REFUSED, 2, false, 40));
    assert_int_equal(suspicion.evidence, EVIDENCE_REFUSED);
    suspicion_begin(&suspicion, EVIDENCE_STALLED, 1, true, 0, 0);
    assert_true(suspicion_report(&suspicion, EVIDENCE_REFUSED, 2, false, 20));
    assert_int_equal(suspicion.evidence, EVIDENCE_STALLED);
    assert_true(suspicion_report(&suspicion, EVIDENCE_REFUSED, 1, true, 40)); /* two of three */
    assert_int_equal(suspicion.evidence, EVIDENCE_REFUSED);
    const struct gossip_options options = lan();
    assert_int_equal(suspicion_deadline(&suspicion, &options, 40, false), 240);
}

/* Who alone suspects what all others have removed would wait for confirmations that nobody gives.
 */
static void a_removal_confirms_what_is_suspected(void **state)
{
    (void)state;
    const struct gossip_options options = lan();
    struct suspicion suspicion;
    suspicion_begin(&suspicion, EVIDENCE_SILENT, 1, true, 100, 100);
    assert_int_equal(suspicion_deadline(&suspicion, &options, 40, false), 100 + 38400);
    assert_true(suspicion_condemn(&suspicion));
    assert_false(suspicion_condemn(&suspicion));
    assert_int_equal(suspicion_deadline(&suspicion, &options, 40, false), 100 + 6400);
}

static void one_reporter_may_change_what_it_says(void **state)
{
    (void)state;
    struct suspicion suspicion;
    suspicion_begin(&suspicion, EVIDENCE_STALLED, 1, true, 0, 0);
    for (uint64_t reporter = 2; reporter <= 3; reporter++)
        suspicion_report(&suspicion, EVIDENCE_STALLED, reporter, false, 0);
    for (uint64_t reporter = 1; reporter <= 3; reporter++)
        suspicion_report(&suspicion, EVIDENCE_REFUSED, reporter, reporter == 1, 50);
    assert_int_equal(suspicion.evidence, EVIDENCE_REFUSED);
    assert_int_equal(suspicion.reporter_count, 3);
}

static void the_verdict_is_the_mildest_of_what_was_seen(void **state)
{
    (void)state;
    static const struct {
        enum evidence own;
        enum finding findings[3];
        uint32_t count;
        bool is_alive, is_mute;
        enum evidence evidence;
    } cases[] = {
        {EVIDENCE_REFUSED, {0}, 0, false, false, EVIDENCE_REFUSED}, /* no helper left */
        {EVIDENCE_REFUSED, {FINDING_REFUSED, FINDING_NONE}, 2, false, false, EVIDENCE_REFUSED},
        {EVIDENCE_REFUSED, {FINDING_REFUSED, FINDING_SILENT}, 2, false, false, EVIDENCE_SILENT},
        {EVIDENCE_SILENT, {FINDING_REFUSED, FINDING_REFUSED}, 2, false, false, EVIDENCE_SILENT},
        {EVIDENCE_SILENT, {FINDING_STALLED, FINDING_UNKNOWN}, 2, false, false, EVIDENCE_STALLED},
        {EVIDENCE_SILENT,
         {FINDING_NONE, FINDING_NONE, FINDING_NONE},
         3,
         false,
         true,
         EVIDENCE_SILENT},
        {EVIDENCE_REFUSED, {FINDING_REFUSED, FINDING_OK}, 2, true, false, EVIDENCE_REFUSED},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct verdict verdict = verdict_of(cases[i].own, cases[i].findings, cases[i].count);
        assert_int_equal(verdict.is_alive, cases[i].is_alive);
        assert_int_equal(verdict.is_mute, cases[i].is_mute);
        assert_int_equal(verdict.evidence, cases[i].evidence);
    }
}

static void health_stays_within_its_bounds(void **state)
{
    (void)state;
    assert_int_equal(health_better(0), 0);
    assert_int_equal(health_better(7), 6);
    assert_int_equal(health_worse(0, 1), 1);
    assert_int_equal(health_worse(5, 100), HEALTH_MAX);
    assert_int_equal(health_worse(7, UINT32_MAX), HEALTH_MAX);
}

static void it_is_me_if_most_peers_fail(void **state)
{
    (void)state;
    struct isolation isolation = {0};
    isolation_note(&isolation, 1, true, 0);
    isolation_note(&isolation, 1, true, 100);
    isolation_note(&isolation, 2, true, 200);
    assert_false(isolation_holds(&isolation, 9, 0, 200)); /* two of nine */
    assert_false(isolation_holds(&isolation, 3, 0, 200));
    assert_true(isolation_holds(&isolation, 2, 0, 200)); /* both there are */
    assert_false(isolation_holds(&isolation, 1, 0, 200));
    isolation_note(&isolation, 3, true, 300);
    assert_true(isolation_holds(&isolation, 9, 0, 300));
    for (uint64_t peer = 11; peer <= 13; peer++)
        isolation_note(&isolation, peer, false, 400);
    assert_false(isolation_holds(&isolation, 9, 0, 400)); /* half is not most */
    isolation_note(&isolation, 4, true, 500);
    assert_true(isolation_holds(&isolation, 9, 0, 500));
    isolation_note(&isolation, 1, false, 600); /* the last probe of a peer counts */
    assert_false(isolation_holds(&isolation, 9, 0, 600));
    isolation_note(&isolation, 1, true, 700);
    assert_true(isolation_holds(&isolation, 9, 0, 700));
    assert_false(isolation_holds(&isolation, 9, 0, 700 + ISOLATION_WINDOW_MS + 1));
}

static void the_memory_of_probes_is_bounded(void **state)
{
    (void)state;
    struct isolation isolation = {0};
    for (uint64_t peer = 1; peer <= 1000; peer++)
        isolation_note(&isolation, peer, peer % 3 != 0, 1);
    assert_int_equal(isolation.count, ISOLATION_PROBES);
    assert_true(isolation_holds(&isolation, 9, 0, 1));
}

static void a_flap_counts_half_after_its_half_life(void **state)
{
    (void)state;
    assert_int_equal(flap_score(4000, 0, 0, 300000), 4000);
    assert_int_equal(flap_score(4000, 0, 300000, 300000), 2000);
    assert_int_equal(flap_score(4000, 0, 150000, 300000), 3000);
    assert_int_equal(flap_score(4000, 0, 600000, 300000), 1000);
    assert_int_equal(flap_score(4000, 0, UINT64_MAX, 300000), 0);
    assert_int_equal(flap_score(4000, 500, 0, 300000), 4000); /* counted later than now */
}

static void words_are_read_back(void **state)
{
    (void)state;
    for (int i = EVIDENCE_STALLED; i <= EVIDENCE_REFUSED; i++) {
        enum evidence evidence;
        assert_true(evidence_parse(span_of_string(evidence_word((enum evidence)i)), &evidence));
        assert_int_equal(evidence, i);
        enum finding finding = finding_of(evidence), again;
        assert_true(finding_parse(span_of_string(finding_word(finding)), &again));
        assert_int_equal(finding, again);
        assert_string_equal(finding_word(finding), evidence_word(evidence));
    }
    enum finding finding;
    assert_false(finding_parse(SPAN_LITERAL("none"), &finding));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_profiles_are_those_of_the_specification),
        cmocka_unit_test(logarithms_are_exact_to_a_thousandth),
        cmocka_unit_test(confirmations_shorten_a_suspicion_as_the_formula_says),
        cmocka_unit_test(a_damped_member_is_silent_for_twice_as_long),
        cmocka_unit_test(a_reporter_counts_once),
        cmocka_unit_test(only_the_first_confirmations_are_passed_on),
        cmocka_unit_test(the_milder_evidence_wins_until_three_say_otherwise),
        cmocka_unit_test(the_milder_evidence_falls_when_all_who_reported_have_been_refused),
        cmocka_unit_test(a_removal_confirms_what_is_suspected),
        cmocka_unit_test(one_reporter_may_change_what_it_says),
        cmocka_unit_test(the_verdict_is_the_mildest_of_what_was_seen),
        cmocka_unit_test(health_stays_within_its_bounds),
        cmocka_unit_test(it_is_me_if_most_peers_fail),
        cmocka_unit_test(the_memory_of_probes_is_bounded),
        cmocka_unit_test(a_flap_counts_half_after_its_half_life),
        cmocka_unit_test(words_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
