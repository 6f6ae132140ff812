/* Replies against a slow model: what goes out is what was appended, in order, however it is cut. */
#include "common/reply.h"

#include "common/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* What borrowed pieces are taken from: 64 KiB in which places can be told apart. */
static char *source_new(void)
{
    char *source = malloc(64 * 1024);
    struct prng prng;
    prng_init(&prng, 3);
    for (size_t i = 0; i < 64 * 1024; i++)
        source[i] = (char)prng_next(&prng);
    return source;
}

/* All that goes out. */
static struct buf sent_of(const struct reply *reply)
{
    struct buf sent = {0};
    struct iovec iov[256];
    int count = reply_gather(reply, iov, 256);
    assert_true(count < 256);
    for (int i = 0; i < count; i++) {
        assert_true(iov[i].iov_len > 0);
        buf_append(&sent, iov[i].iov_base, iov[i].iov_len);
    }
    return sent;
}

static void assert_holds(const struct reply *reply, struct span want)
{
    assert_int_equal(reply_len(reply), want.len);
    struct buf sent = sent_of(reply);
    assert_int_equal(buf_len(&sent), want.len);
    if (want.len > 0)
        assert_memory_equal(sent.data, want.data, want.len);
    buf_close(&sent);
    size_t borrowed = 0, at = 0;
    for (uint32_t i = 0; i < reply->piece_count; i++) {
        assert_true(reply->pieces[i].at >= at);
        assert_true(reply->pieces[i].borrowed.len > 0);
        at = reply->pieces[i].at;
        borrowed += reply->pieces[i].borrowed.len;
    }
    assert_true(at <= buf_len(&reply->bytes));
    assert_int_equal(borrowed, reply->borrowed_bytes);
}

/* Whatever iov_max, the entries are the beginning of what goes out, and as many as there are. */
static void assert_gathers(const struct reply *reply, struct span want)
{
    struct iovec all[256], few[256];
    int all_count = reply_gather(reply, all, 256);
    for (int iov_max = 0; iov_max <= all_count + 1; iov_max++) {
        int count = reply_gather(reply, few, iov_max);
        assert_int_equal(count, iov_max < all_count ? iov_max : all_count);
        size_t at = 0;
        for (int i = 0; i < count; i++) {
            assert_memory_equal(few[i].iov_base, want.data + at, few[i].iov_len);
            at += few[i].iov_len;
        }
    }
}

static void append_something(struct reply *reply, struct buf *model, const char *source,
                             struct prng *prng)
{
    size_t from = prng_below(prng, 32 * 1024);
    size_t len = prng_below(prng, prng_below(prng, 2) ? 100 : 32 * 1024);
    switch (prng_below(prng, 4)) {
    case 0:
        len = len > 500 ? 500 : len;
        reply_append(reply, span_of(source + from, len));
        break;
    case 1:
        reply_borrow(reply, span_of(source + from, len));
        break;
    case 2:
        len = len > 500 ? 500 : len;
        memcpy(reply_room(reply, len + 1), source + from, len);
        reply_advance(reply, len);
        break;
    case 3:
        reply_printf(reply, "%zu %s", len, "text");
        buf_printf(model, "%zu %s", len, "text");
        return;
    }
    buf_append(model, source + from, len);
}

static void operate(struct reply *reply, struct buf *model, const char *source, struct prng *prng)
{
    struct reply other = {.bytes.budget = reply->bytes.budget};
    size_t len = prng_below(prng, buf_len(model) + 1);
    switch (prng_below(prng, 8)) {
    default:
        append_something(reply, model, source, prng);
        break;
    case 0:
    case 1:
        len = prng_below(prng, 4) ? len : buf_len(model);
        reply_consume(reply, len);
        buf_consume(model, len);
        break;
    case 2:
        reply_own(reply);
        assert_int_equal(reply->borrowed_bytes, 0);
        assert_int_equal(reply->piece_count, 0);
        break;
    case 3:
        for (uint64_t i = prng_below(prng, 4); i > 0; i--)
            append_something(&other, model, source, prng);
        reply_move(reply, &other);
        assert_int_equal(reply_len(&other), 0);
        assert_int_equal(other.piece_count, 0);
        reply_close(&other);
        break;
    }
}

static void agrees_with_plain_bytes_under_random_operations(void **state)
{
    (void)state;
    char *source = source_new();
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        struct budget budget = {.limit_bytes = SIZE_MAX};
        struct reply reply = {.bytes.budget = &budget};
        struct buf model = {0};
        for (int i = 0; i < 60; i++) {
            operate(&reply, &model, source, &prng);
            assert_holds(&reply, buf_span(&model));
            assert_gathers(&reply, buf_span(&model));
            assert_int_equal(budget.used_bytes, reply.bytes.capacity);
        }
        buf_close(&model);
        reply_close(&reply);
        assert_int_equal(budget.used_bytes, 0);
    }
    free(source);
}

/* copied, borrowed, copied, borrowed, borrowed, copied: 3 × 16 KiB and some. */
static void fill(struct reply *reply, struct buf *model, const char *source)
{
    const size_t lens[] = {
        5, REPLY_BORROW_BYTES_MIN, 7, REPLY_BORROW_BYTES_MIN + 1, REPLY_BORROW_BYTES_MIN, 3};
    for (size_t i = 0; i < ARRAY_COUNT(lens); i++) {
        reply_borrow(reply, span_of(source + 1000 * i, lens[i]));
        if (model)
            buf_append(model, source + 1000 * i, lens[i]);
    }
}

static void may_be_sent_in_part_at_every_byte(void **state)
{
    (void)state;
    char *source = source_new();
    struct buf model = {0};
    struct reply reply = {0};
    fill(&reply, &model, source);
    assert_int_equal(reply.piece_count, 3);
    reply_close(&reply);
    struct span all = buf_span(&model);
    for (size_t cut = 0; cut <= all.len; cut++) {
        fill(&reply, NULL, source);
        reply_consume(&reply, cut);
        assert_int_equal(reply_len(&reply), all.len - cut);
        struct iovec iov[8];
        int count = reply_gather(&reply, iov, 8);
        size_t at = cut;
        for (int i = 0; i < count; at += iov[i++].iov_len) {
            /* The first and the last bytes suffice: the operations above compare all. */
            assert_int_equal(*(char *)iov[i].iov_base, all.data[at]);
            assert_int_equal(((char *)iov[i].iov_base)[iov[i].iov_len - 1],
                             all.data[at + iov[i].iov_len - 1]);
        }
        assert_int_equal(at, all.len);
        reply_consume(&reply, all.len - cut);
        assert_int_equal(reply_len(&reply), 0);
        assert_int_equal(reply.piece_count, 0);
    }
    reply_close(&reply);
    buf_close(&model);
    free(source);
}

static void short_spans_are_copied_and_long_ones_borrowed(void **state)
{
    (void)state;
    char *source = source_new();
    struct reply reply = {0};
    reply_borrow(&reply, span_of(source, REPLY_BORROW_BYTES_MIN - 1));
    assert_int_equal(reply.borrowed_bytes, 0);
    reply_borrow(&reply, span_of(source, REPLY_BORROW_BYTES_MIN));
    assert_int_equal(reply.borrowed_bytes, REPLY_BORROW_BYTES_MIN);
    struct iovec iov[4];
    assert_int_equal(reply_gather(&reply, iov, 4), 2);
    assert_ptr_equal(iov[1].iov_base, source);
    reply_own(&reply);
    free(source); /* nothing refers to it any more, which the sanitizer watches */
    assert_int_equal(reply_gather(&reply, iov, 4), 1);
    assert_int_equal(iov[0].iov_len, 2 * REPLY_BORROW_BYTES_MIN - 1);
    volatile char sum = 0;
    for (size_t i = 0; i < iov[0].iov_len; i++)
        sum = (char)(sum + ((char *)iov[0].iov_base)[i]);
    reply_close(&reply);
}

/* Moving keeps borrowed pieces borrowed: their addresses go out. */
static void moving_copies_no_borrowed_byte(void **state)
{
    (void)state;
    char *source = source_new();
    struct reply from = {0}, to = {0};
    reply_append(&to, SPAN_LITERAL("to"));
    fill(&from, NULL, source);
    reply_move(&to, &from);
    assert_int_equal(to.borrowed_bytes, 3 * REPLY_BORROW_BYTES_MIN + 1);
    assert_ptr_equal(to.pieces[1].borrowed.data, source + 3000);
    assert_int_equal(to.pieces[0].at, 7);
    reply_close(&to);
    reply_close(&from);
    free(source);
}

static void an_empty_reply_is_valid(void **state)
{
    (void)state;
    struct reply reply = {0}, other = {0};
    struct iovec iov[2];
    assert_int_equal(reply_len(&reply), 0);
    assert_int_equal(reply_gather(&reply, iov, 2), 0);
    reply_consume(&reply, 0);
    reply_own(&reply);
    reply_move(&reply, &other);
    reply_append(&reply, span_of(NULL, 0));
    reply_borrow(&reply, span_of(NULL, 0));
    assert_int_equal(reply_gather(&reply, iov, 2), 0);
    reply_close(&reply);
    reply_close(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_plain_bytes_under_random_operations),
        cmocka_unit_test(may_be_sent_in_part_at_every_byte),
        cmocka_unit_test(short_spans_are_copied_and_long_ones_borrowed),
        cmocka_unit_test(moving_copies_no_borrowed_byte),
        cmocka_unit_test(an_empty_reply_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
