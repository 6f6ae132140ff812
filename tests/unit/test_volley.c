/* A volley does what as many plain calls do, whether the kernel takes them together or not. */
#include "common/volley.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PAIRS 64u

struct fixture {
    struct volley *volley;
    int near[PAIRS], far[PAIRS];
};

static int set_up(void **state, bool is_plain)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->volley = volley_open(is_plain);
    for (unsigned i = 0; i < PAIRS; i++) {
        int pair[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
        fixture->near[i] = pair[0];
        fixture->far[i] = pair[1];
    }
    *state = fixture;
    return 0;
}

static int set_up_joint(void **state)
{
    return set_up(state, false);
}

static int set_up_plain(void **state)
{
    return set_up(state, true);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned i = 0; i < PAIRS; i++) {
        close(fixture->near[i]);
        close(fixture->far[i]);
    }
    volley_close(fixture->volley);
    free(fixture);
    return 0;
}

static void every_count_of_calls_sends_and_receives_what_it_should(void **state)
{
    struct fixture *fixture = *state;
    struct volley_call calls[PAIRS];
    char bytes[PAIRS][16], texts[PAIRS][16];
    for (uint32_t count = 0; count <= PAIRS; count++) {
        for (uint32_t i = 0; i < count; i++) {
            int len = snprintf(texts[i], sizeof(texts[i]), "%u of %u", i, count);
            calls[i] =
                (struct volley_call){VOLLEY_SEND, fixture->near[i], texts[i], (size_t)len, 0};
        }
        volley_fire(fixture->volley, calls, count);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(calls[i].result, strlen(texts[i]));
            calls[i] = (struct volley_call){VOLLEY_RECEIVE, fixture->far[i], bytes[i], 16, 0};
        }
        volley_fire(fixture->volley, calls, count);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(calls[i].result, strlen(texts[i]));
            assert_memory_equal(bytes[i], texts[i], strlen(texts[i]));
        }
    }
}

static void calls_are_made_in_their_order(void **state)
{
    struct fixture *fixture = *state;
    struct volley_call calls[4];
    char bytes[8];
    char ab[] = "ab", cd[] = "cd";
    calls[0] = (struct volley_call){VOLLEY_SEND, fixture->near[0], ab, 2, 0};
    calls[1] = (struct volley_call){VOLLEY_SEND, fixture->near[0], cd, 2, 0};
    calls[2] = (struct volley_call){VOLLEY_RECEIVE, fixture->far[0], bytes, 3, 0};
    calls[3] = (struct volley_call){VOLLEY_RECEIVE, fixture->far[0], bytes + 3, 3, 0};
    volley_fire(fixture->volley, calls, 4);
    assert_int_equal(calls[2].result, 3);
    assert_int_equal(calls[3].result, 1);
    assert_memory_equal(bytes, "abcd", 4);
}

/* Sockets that block, so that a call that waited would never return. */
static void nothing_waits(void **state)
{
    struct fixture *fixture = *state;
    enum { MUCH = 4 << 20 };
    char *much = calloc(1, MUCH);
    char byte = 'x';
    assert_non_null(much);
    struct volley_call calls[] = {
        {VOLLEY_RECEIVE, fixture->near[0], much, 16, 0},
        {VOLLEY_SEND, fixture->near[1], much, MUCH, 0},
        {VOLLEY_SEND, fixture->near[1], much, MUCH, 0},
        {VOLLEY_SEND, fixture->near[2], &byte, 1, 0},
    };
    volley_fire(fixture->volley, calls, 4);
    assert_int_equal(calls[0].result, -EAGAIN);
    assert_in_range(calls[1].result, 1, MUCH - 1);
    assert_int_equal(calls[2].result, -EAGAIN);
    assert_int_equal(calls[3].result, 1);
    free(much);
}

static void each_call_has_its_own_error(void **state)
{
    struct fixture *fixture = *state;
    char byte = 'x';
    int file = open("/dev/null", O_RDWR | O_CLOEXEC);
    close(fixture->far[1]);
    fixture->far[1] = -1;
    struct volley_call calls[] = {
        {VOLLEY_SEND, fixture->near[0], &byte, 1, 0},
        {VOLLEY_SEND, fixture->near[1], &byte, 1, 0}, /* EPIPE, and no signal */
        {VOLLEY_RECEIVE, fixture->near[1], &byte, 1, 0},
        {VOLLEY_RECEIVE, -1, &byte, 1, 0},
        {VOLLEY_RECEIVE, file, &byte, 1, 0},
        {VOLLEY_RECEIVE, fixture->far[0], &byte, 1, 0},
    };
    volley_fire(fixture->volley, calls, 6);
    assert_int_equal(calls[0].result, 1);
    assert_int_equal(calls[1].result, -EPIPE);
    assert_int_equal(calls[2].result, 0);
    assert_int_equal(calls[3].result, -EBADF);
    assert_int_equal(calls[4].result, -ENOTSOCK);
    assert_int_equal(calls[5].result, 1);
    close(file);
}

static void plain_calls_can_be_asked_for(void **state)
{
    (void)state;
    struct volley *volley = volley_open(true);
    assert_false(volley_is_joint(volley));
    volley_close(volley);
    volley_close(NULL);
}

#define BOTH(test)                                                                                 \
    {#test " (together)", test, set_up_joint, tear_down, NULL},                                    \
    {                                                                                              \
#test " (plain)", test, set_up_plain, tear_down, NULL                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(every_count_of_calls_sends_and_receives_what_it_should),
        BOTH(calls_are_made_in_their_order),
        BOTH(nothing_waits),
        BOTH(each_call_has_its_own_error),
        cmocka_unit_test(plain_calls_can_be_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
