/* What an error of the kernel says about the other end. */
#include "server/net/evidence.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void each_error_has_the_class_that_it_is_evidence_of(void **state)
{
    (void)state;
    static const struct {
        int error;
        enum disconnect why;
    } cases[] = {
        {ECONNREFUSED, DISCONNECT_REFUSED},
        {ECONNRESET, DISCONNECT_RESET},
        {EPIPE, DISCONNECT_RESET},
        {ETIMEDOUT, DISCONNECT_TIMEOUT},
        {EHOSTUNREACH, DISCONNECT_UNREACHABLE},
        {ENETUNREACH, DISCONNECT_UNREACHABLE},
        {ENETDOWN, DISCONNECT_UNREACHABLE},
        {EMFILE, DISCONNECT_LOCAL},
        {ENFILE, DISCONNECT_LOCAL},
        {EADDRNOTAVAIL, DISCONNECT_LOCAL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_int_equal(evidence_of(cases[i].error), cases[i].why);
}

static void an_error_never_says_what_only_a_fin_or_a_look_up_can(void **state)
{
    (void)state;
    for (int error = 1; error < 200; error++) {
        assert_int_not_equal(evidence_of(error), DISCONNECT_CLOSED);
        assert_int_not_equal(evidence_of(error), DISCONNECT_NAME);
    }
}

static void only_a_refused_connection_says_that_nothing_listens(void **state)
{
    (void)state;
    for (int error = 1; error < 200; error++)
        if (error != ECONNREFUSED)
            assert_int_not_equal(evidence_of(error), DISCONNECT_REFUSED);
}

static void every_class_has_a_text_of_its_own(void **state)
{
    (void)state;
    for (int i = DISCONNECT_REFUSED; i <= DISCONNECT_LOCAL; i++) {
        assert_true(strlen(disconnect_text((enum disconnect)i)) > 0);
        for (int k = DISCONNECT_REFUSED; k < i; k++)
            assert_string_not_equal(disconnect_text((enum disconnect)i),
                                    disconnect_text((enum disconnect)k));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_has_the_class_that_it_is_evidence_of),
        cmocka_unit_test(an_error_never_says_what_only_a_fin_or_a_look_up_can),
        cmocka_unit_test(only_a_refused_connection_says_that_nothing_listens),
        cmocka_unit_test(every_class_has_a_text_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
