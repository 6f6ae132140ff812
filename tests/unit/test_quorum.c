/* Quorum: every way in which up to seven voters can speak. */
#include "server/core/quorum.h"

#include "common/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* 0: silent, 1: yes, 2: no. */
static enum quorum_state obvious(const uint32_t *said, uint32_t count)
{
    uint32_t yes = 0, no = 0;
    for (uint32_t i = 0; i < count; i++) {
        yes += said[i] == 1;
        no += said[i] == 2;
    }
    if (2 * yes > count)
        return QUORUM_WON;
    return 2 * (count - no) > count ? QUORUM_OPEN : QUORUM_LOST;
}

static void it_is_won_by_more_than_half_and_lost_when_that_cannot_be(void **state)
{
    (void)state;
    for (uint32_t count = 0; count <= 7; count++) {
        uint32_t cases = 1;
        for (uint32_t i = 0; i < count; i++)
            cases *= 3;
        for (uint32_t number = 0; number < cases; number++) {
            uint32_t said[7] = {0};
            struct quorum quorum;
            quorum_init(&quorum, count);
            for (uint32_t i = 0, rest = number; i < count; i++, rest /= 3) {
                said[i] = rest % 3;
                if (said[i] > 0)
                    assert_true(quorum_say(&quorum, i, said[i] == 1));
                assert_int_equal(quorum_has_said(&quorum, i), said[i] > 0);
            }
            assert_int_equal(quorum_state(&quorum), obvious(said, count));
        }
    }
}

static void only_a_voters_first_word_counts(void **state)
{
    (void)state;
    struct quorum quorum;
    quorum_init(&quorum, 3);
    assert_true(quorum_say(&quorum, 1, true));
    assert_false(quorum_say(&quorum, 1, true));
    assert_false(quorum_say(&quorum, 1, false));
    assert_int_equal(quorum_state(&quorum), QUORUM_OPEN);
    assert_true(quorum_say(&quorum, 2, true));
    assert_int_equal(quorum_state(&quorum), QUORUM_WON);
}

static void a_list_may_be_as_long_as_a_view(void **state)
{
    (void)state;
    struct quorum quorum;
    quorum_init(&quorum, VIEW_MEMBERS_MAX);
    for (uint32_t i = 0; i < VIEW_MEMBERS_MAX / 2; i++)
        assert_true(quorum_say(&quorum, VIEW_MEMBERS_MAX - 1 - i, true));
    assert_int_equal(quorum_state(&quorum), QUORUM_OPEN);
    assert_true(quorum_say(&quorum, 0, true));
    assert_int_equal(quorum_state(&quorum), QUORUM_WON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_won_by_more_than_half_and_lost_when_that_cannot_be),
        cmocka_unit_test(only_a_voters_first_word_counts),
        cmocka_unit_test(a_list_may_be_as_long_as_a_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
