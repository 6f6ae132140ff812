/* A buf against a slow model, its bounds, and what it tells its budget. */
#include "common/buf.h"

#include "common/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void check_buf(const struct buf *buf)
{
    assert_true(buf->start <= buf->end);
    assert_true(buf->end <= buf->capacity);
    assert_int_equal(buf->data == NULL, buf->capacity == 0);
    assert_int_equal(buf->budget->used_bytes, buf->capacity);
}

/* The model: every byte ever appended, and how many were consumed. */
static void holds_what_was_appended_and_not_consumed(void **state)
{
    (void)state;
    enum { BYTES_MAX = 1 << 20 };
    unsigned char *model = malloc(BYTES_MAX);
    struct prng prng;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct budget budget = {.limit_bytes = SIZE_MAX};
        struct buf buf = {.budget = &budget};
        size_t appended = 0, consumed = 0;
        prng_init(&prng, seed);
        for (size_t i = 0; i < BYTES_MAX; i++)
            model[i] = (unsigned char)prng_next(&prng);
        while (appended < BYTES_MAX - 3000) {
            size_t len = prng_below(&prng, prng_below(&prng, 10) ? 200 : 3000);
            switch (prng_below(&prng, 4)) {
            case 0:
                buf_append(&buf, model + appended, len);
                appended += len;
                break;
            case 1:
                memcpy(buf_reserve(&buf, len + 10), model + appended, len);
                buf_advance(&buf, len);
                appended += len;
                break;
            case 2:
                len = prng_below(&prng, buf_len(&buf) + 1);
                buf_consume(&buf, len);
                consumed += len;
                break;
            case 3:
                if (prng_below(&prng, 50) == 0) {
                    buf_close(&buf);
                    consumed = appended;
                    assert_int_equal(budget.used_bytes, 0);
                }
                break;
            }
            check_buf(&buf);
            assert_int_equal(buf_len(&buf), appended - consumed);
            struct span span = buf_span(&buf);
            if (span.len > 0)
                assert_memory_equal(span.data, model + consumed, span.len);
        }
        buf_close(&buf);
        buf_close(&buf);
        assert_int_equal(budget.used_bytes, 0);
        assert_ptr_equal(buf.budget, &budget);
    }
    free(model);
}

static void printf_appends_text_of_any_length(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_append(&buf, "x", 1);
    buf_printf(&buf, "%s", "");
    buf_printf(&buf, "%d-%s|", -5, "abc");
    for (int width = 1; width < 300; width++) {
        size_t before = buf_len(&buf);
        buf_printf(&buf, "%*d", width, 7);
        assert_int_equal(buf_len(&buf), before + (size_t)width);
        assert_int_equal(buf.data[buf.end - 1], '7');
    }
    assert_memory_equal(buf.data, "x-5-abc|7 7", 11);
    buf_close(&buf);
}

static void an_emptied_buf_starts_at_its_front(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_append(&buf, "abcdef", 6);
    buf_consume(&buf, 2);
    assert_int_equal(buf.start, 2);
    buf_consume(&buf, 4);
    assert_int_equal(buf.start, 0);
    assert_int_equal(buf.end, 0);
    buf_consume(&buf, 0);
    buf_close(&buf);
}

static void an_empty_one_has_an_empty_span_and_gives_room(void **state)
{
    (void)state;
    struct buf buf = {0};
    buf_append(&buf, NULL, 0);
    assert_null(buf.data);
    assert_null(buf_span(&buf).data);
    assert_int_equal(buf_span(&buf).len, 0);
    assert_non_null(buf_reserve(&buf, 0));
    buf_close(&buf);
    assert_null(buf.data);
}

/* A full buf of which one byte goes and one comes, over and over: it must not be moved each time,
 * and must not grow for ever. Seen from outside, a move is a start that falls to 0. */
static void a_trickle_through_a_full_buf_moves_it_seldom(void **state)
{
    (void)state;
    struct buf buf = {0};
    static const char content[60000];
    buf_append(&buf, content, sizeof(content));
    unsigned moves = 0;
    for (int i = 0; i < 1000000; i++) {
        buf_consume(&buf, 1);
        size_t before = buf.start;
        buf_append(&buf, "x", 1);
        moves += buf.start < before;
    }
    assert_int_equal(buf_len(&buf), sizeof(content));
    assert_in_range(moves, 1, 1000000 / sizeof(content) + 1);
    assert_true(buf.capacity <= 4 * (sizeof(content) + 1));
    buf_close(&buf);
}

static void a_budget_fits_up_to_its_limit(void **state)
{
    (void)state;
    struct budget budget = {.used_bytes = 60, .limit_bytes = 100};
    assert_true(budget_fits(&budget, 0));
    assert_true(budget_fits(&budget, 40));
    assert_false(budget_fits(&budget, 41));
    assert_false(budget_fits(&budget, 101));
    assert_false(budget_fits(&budget, SIZE_MAX));
    budget.used_bytes = 101;
    assert_false(budget_fits(&budget, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_appended_and_not_consumed),
        cmocka_unit_test(printf_appends_text_of_any_length),
        cmocka_unit_test(an_emptied_buf_starts_at_its_front),
        cmocka_unit_test(an_empty_one_has_an_empty_span_and_gives_room),
        cmocka_unit_test(a_trickle_through_a_full_buf_moves_it_seldom),
        cmocka_unit_test(a_budget_fits_up_to_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
