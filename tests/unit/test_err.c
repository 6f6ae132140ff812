/* Every error has a text of its own, and no number is without one. */
#include "common/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const enum err all[] = {
#define ERR_VALUE(name, text) ERR_##name,
    ERR_LIST(ERR_VALUE)
#undef ERR_VALUE
};

static void success_is_zero(void **state)
{
    (void)state;
    assert_int_equal(ERR_OK, 0);
    assert_string_equal(err_text(ERR_OK), "success");
}

static void every_error_has_a_text_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        assert_true(strlen(err_text(all[i])) > 0);
        assert_string_not_equal(err_text(all[i]), "unknown error");
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(err_text(all[i]), err_text(all[j]));
    }
    assert_string_equal(err_text(ERR_TIMEOUT), "timed out");
}

static void other_numbers_are_unknown(void **state)
{
    (void)state;
    assert_string_equal(err_text((enum err)ARRAY_COUNT(all)), "unknown error");
    assert_string_equal(err_text((enum err) - 1), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_is_zero),
        cmocka_unit_test(every_error_has_a_text_of_its_own),
        cmocka_unit_test(other_numbers_are_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
