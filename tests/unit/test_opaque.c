/* Error lines of answers that leave the order carry the opaque; nothing else is touched. */
#include "server/core/opaque.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void errors_are_marked_and_answers_are_not(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        const char *marked;
    } cases[] = {
        {"SERVER_ERROR not done: no answer from a:1\r\n",
         "SERVER_ERROR not done: no answer from a:1 Oab\r\n"},
        {"SERVER_ERROR busy, retry in 100 ms\r\n", "SERVER_ERROR busy, retry in 100 ms Oab\r\n"},
        {"CLIENT_ERROR invalid flag\r\n", "CLIENT_ERROR invalid flag Oab\r\n"},
        {"ERROR\r\n", "ERROR Oab\r\n"},
        {"HD Oab\r\n", "HD Oab\r\n"},
        {"VA 14 Oab\r\nSERVER_ERROR x\r\n", "VA 14 Oab\r\nSERVER_ERROR x\r\n"},
        {"EN Oab\r\n", "EN Oab\r\n"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct reply answer = {0};
        reply_append(&answer, span_of_string(cases[i].answer));
        opaque_mark(&answer, SPAN_LITERAL("ab"));
        struct span bytes = buf_span(&answer.bytes);
        if (!span_equal(bytes, span_of_string(cases[i].marked)))
            fail_msg("%s", cases[i].answer);
        reply_close(&answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_marked_and_answers_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
