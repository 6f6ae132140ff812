/* What a lineage covers is exact, also where it has forgotten what ends below the floor. */
#include "tests/sim/ancestry.h"

#include "server/store/store.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Epoch 3 was built upon (1, 4), and lost: 12 began from nothing, 28 from (12, 20), 29 from that.
 */
static void begin(struct ancestry *ancestry)
{
    *ancestry = (struct ancestry){0};
    assert_true(ancestry_note(ancestry, 1, 0));
    assert_true(ancestry_note(ancestry, 3, store_version(1, 4)));
    assert_true(ancestry_note(ancestry, 29, store_version(28, 1)));
    assert_true(ancestry_note(ancestry, 12, 0));
    assert_true(ancestry_note(ancestry, 28, store_version(12, 20)));
}

static void a_lost_write_below_the_floor_is_not_covered_by_a_lineage_that_forgot(void **state)
{
    (void)state;
    struct ancestry ancestry;
    uint64_t lineage = store_version(29, 11), floor = store_version(29, 4);
    begin(&ancestry);
    assert_false(ancestry_covers(&ancestry, &lineage, 1, floor, store_version(3, 20)));
    assert_false(ancestry_covers(&ancestry, &lineage, 1, floor, store_version(1, 4)));
    assert_false(ancestry_covers(&ancestry, &lineage, 1, floor, store_version(20, 1)));
    ancestry_close(&ancestry);
}

static void what_was_forgotten_is_covered_up_to_where_the_next_epoch_began(void **state)
{
    (void)state;
    struct ancestry ancestry;
    uint64_t lineage = store_version(29, 11), floor = store_version(29, 4);
    begin(&ancestry);
    assert_true(ancestry_covers(&ancestry, &lineage, 1, floor, store_version(28, 1)));
    assert_false(ancestry_covers(&ancestry, &lineage, 1, floor, store_version(28, 2)));
    assert_true(ancestry_covers(&ancestry, &lineage, 1, floor, store_version(12, 20)));
    assert_false(ancestry_covers(&ancestry, &lineage, 1, floor, store_version(12, 21)));
    lineage = store_version(3, 9);
    assert_true(ancestry_covers(&ancestry, &lineage, 1, lineage, store_version(1, 4)));
    assert_false(ancestry_covers(&ancestry, &lineage, 1, lineage, store_version(1, 5)));
    ancestry_close(&ancestry);
}

static void what_is_in_the_lineage_is_covered_up_to_its_end_and_nothing_above_it(void **state)
{
    (void)state;
    struct ancestry ancestry = {0};
    uint64_t lineage[] = {store_version(12, 20), store_version(28, 1), store_version(29, 6)};
    assert_true(ancestry_note_lineage(&ancestry, lineage, 3));
    assert_true(ancestry_covers(&ancestry, lineage, 3, 0, 0));
    assert_true(ancestry_covers(&ancestry, lineage, 3, 0, store_version(29, 6)));
    assert_false(ancestry_covers(&ancestry, lineage, 3, 0, store_version(29, 7)));
    assert_false(ancestry_covers(&ancestry, lineage, 3, lineage[2], store_version(28, 2)));
    assert_false(ancestry_covers(&ancestry, lineage, 3, lineage[2], store_version(20, 1)));
    assert_false(ancestry_covers(&ancestry, lineage, 3, lineage[2], store_version(30, 1)));
    assert_true(ancestry_covers(&ancestry, NULL, 0, 0, 0));
    assert_false(ancestry_covers(&ancestry, NULL, 0, 0, store_version(1, 1)));
    ancestry_close(&ancestry);
}

static void where_nobody_saw_an_epoch_begin_all_up_to_the_floor_counts_as_covered(void **state)
{
    (void)state;
    struct ancestry ancestry = {0};
    uint64_t lineage[] = {store_version(12, 20), store_version(28, 1)};
    assert_true(ancestry_note_lineage(&ancestry, lineage, 2));
    assert_true(ancestry_covers(&ancestry, lineage, 2, lineage[0], store_version(3, 20)));
    assert_false(ancestry_covers(&ancestry, lineage, 2, 0, store_version(3, 20)));
    assert_true(ancestry_covers(&ancestry, lineage + 1, 1, lineage[1], store_version(3, 20)));
    assert_false(ancestry_covers(&ancestry, lineage + 1, 1, lineage[1], store_version(12, 21)));
    ancestry_close(&ancestry);
}

static void an_epoch_is_built_upon_one_version(void **state)
{
    (void)state;
    struct ancestry ancestry;
    uint64_t lineage[] = {store_version(12, 20), store_version(29, 1)};
    begin(&ancestry);
    assert_true(ancestry_note(&ancestry, 28, store_version(12, 20)));
    assert_false(ancestry_note(&ancestry, 28, store_version(12, 19)));
    assert_false(ancestry_note_lineage(&ancestry, lineage, 2));
    ancestry_close(&ancestry);
}

static void only_what_ends_below_the_floor_may_be_forgotten(void **state)
{
    (void)state;
    struct ancestry ancestry;
    uint64_t lineage[] = {store_version(12, 20), store_version(28, 1), store_version(29, 1)};
    begin(&ancestry);
    assert_true(ancestry_is_kept(&ancestry, lineage, 3, 0));
    assert_true(ancestry_is_kept(&ancestry, lineage + 1, 2, store_version(12, 21)));
    assert_false(ancestry_is_kept(&ancestry, lineage + 1, 2, store_version(12, 20)));
    assert_false(ancestry_is_kept(&ancestry, lineage + 2, 1, 0));
    assert_true(ancestry_is_kept(&ancestry, NULL, 0, 0));
    ancestry_close(&ancestry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_write_below_the_floor_is_not_covered_by_a_lineage_that_forgot),
        cmocka_unit_test(what_was_forgotten_is_covered_up_to_where_the_next_epoch_began),
        cmocka_unit_test(what_is_in_the_lineage_is_covered_up_to_its_end_and_nothing_above_it),
        cmocka_unit_test(where_nobody_saw_an_epoch_begin_all_up_to_the_floor_counts_as_covered),
        cmocka_unit_test(an_epoch_is_built_upon_one_version),
        cmocka_unit_test(only_what_ends_below_the_floor_may_be_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
