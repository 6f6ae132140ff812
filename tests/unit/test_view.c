/* View: when two are the same. */
#include "common/view.h"

#include "common/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void views_are_equal_if_all_of_every_member_is(void **state)
{
    (void)state;
    struct member first[] = {{"a:1", 1, true}, {"b:1", 2, true}};
    struct member others[][2] = {
        {{"a:1", 1, true}, {"c:1", 2, true}},
        {{"a:1", 3, true}, {"b:1", 2, true}},
        {{"a:1", 1, true}, {"b:1", 2, false}},
    };
    struct view view = {.epoch = 1, .member_count = 2, .members = first};
    struct member copy[] = {{"a:1", 1, true}, {"b:1", 2, true}};
    struct view same = {.epoch = 9, .member_count = 2, .members = copy};
    assert_true(view_equal(&view, &same));
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        struct view other = {.epoch = 1, .member_count = 2, .members = others[i]};
        assert_false(view_equal(&view, &other));
    }
    same.member_count = 1;
    assert_false(view_equal(&view, &same));
    const struct view nobody = {0};
    assert_false(view_equal(&nobody, &same));
    assert_true(view_equal(&nobody, &nobody));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(views_are_equal_if_all_of_every_member_is)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
