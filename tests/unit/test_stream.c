/* Streams: batches that go when the last one is there, numbers that only rise, bytes cut anywhere.
 */
#include "server/core/stream.h"

#include "common/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct conn_id conn = {3, 1};

static struct record a_mark(struct stream_out *stream)
{
    return (struct record){.kind = RECORD_MARK, .MARK = {.number = stream_next_number(stream)}};
}

static void put_value(struct stream_out *stream, char *bytes, size_t len)
{
    memset(bytes, 'v', len);
    stream_put(stream, &(struct record){.kind = RECORD_CHANGE,
                                        .CHANGE = {.slot = 7,
                                                   .sid = 9,
                                                   .key = SPAN_LITERAL("k"),
                                                   .value = span_of(bytes, len)}});
}

/* Takes the STREAM frames in out, and appends their bytes to to. */
static void take_frames(struct reply *out, uint32_t epoch, uint64_t *at, struct buf *to)
{
    while (reply_len(out) > 0) {
        struct span bytes = buf_span(&out->bytes);
        struct frame frame;
        struct message message;
        size_t consumed, need;
        assert_int_equal(frame_parse(bytes.data, bytes.len, &frame, &consumed, &need), FRAME_DONE);
        assert_int_equal(message_parse(&frame, &message), ERR_OK);
        assert_int_equal(message.kind, MESSAGE_STREAM);
        assert_int_equal(message.STREAM.epoch, epoch);
        assert_true(message.STREAM.at == *at);
        *at += message.body.len;
        buf_append(to, message.body.data, message.body.len);
        reply_consume(out, consumed);
    }
}

static void a_batch_goes_when_the_last_one_has_been_received(void **state)
{
    (void)state;
    struct stream_out stream = {0};
    struct reply out = {0};
    struct buf bytes = {0};
    uint64_t at = 0;
    assert_false(stream_is_open(&stream));
    stream_begin(&stream, conn, 5);
    assert_true(stream_may_send(&stream));
    assert_true(stream_put(&stream, &(struct record){.kind = RECORD_MARK}) == 1);
    stream_send(&stream, &out);
    take_frames(&out, 5, &at, &bytes);
    assert_false(stream_may_send(&stream));
    assert_true(stream_put(&stream, &(struct record){.kind = RECORD_MARK}) == 2);
    uint64_t each = stream.sent;
    assert_true(stream_backlog(&stream) == 2 * each);
    assert_int_equal(stream_acknowledged(&stream, 0, each - 1), ERR_OK);
    assert_false(stream_may_send(&stream));
    assert_int_equal(stream_acknowledged(&stream, 1, each), ERR_OK);
    assert_true(stream_may_send(&stream));
    assert_true(stream.acked == 1);
    stream_send(&stream, &out);
    take_frames(&out, 5, &at, &bytes);
    assert_true(at == 2 * each);
    stream_end(&stream);
    buf_close(&stream.queue);
    buf_close(&bytes);
    reply_close(&out);
}

static void numbers_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct stream_out stream = {0};
    struct reply out = {0};
    stream_begin(&stream, conn, 1);
    for (int i = 0; i < 3; i++) {
        struct record mark = a_mark(&stream);
        stream_put(&stream, &mark);
    }
    stream_send(&stream, &out);
    assert_int_equal(stream_acknowledged(&stream, 2, 20), ERR_OK);
    assert_int_equal(stream_acknowledged(&stream, 4, 20), ERR_SYNTAX);
    assert_int_equal(stream_acknowledged(&stream, UINT64_MAX, 20), ERR_SYNTAX);
    assert_int_equal(stream_acknowledged(&stream, 1, 20), ERR_SYNTAX);
    assert_int_equal(stream_acknowledged(&stream, 2, 19), ERR_SYNTAX);
    assert_int_equal(stream_acknowledged(&stream, 2, stream.sent + 1), ERR_SYNTAX);
    assert_true(stream.acked == 2);
    stream_end(&stream);
    buf_close(&stream.queue);
    reply_close(&out);
}

static void numbers_go_on_over_the_end_of_a_stream(void **state)
{
    (void)state;
    struct stream_out stream = {0};
    struct reply out = {0};
    stream_begin(&stream, conn, 1);
    stream_put(&stream, &(struct record){.kind = RECORD_MARK});
    stream_put(&stream, &(struct record){.kind = RECORD_MARK});
    stream_send(&stream, &out);
    assert_int_equal(stream_acknowledged(&stream, 1, 1), ERR_OK);
    stream_begin(&stream, conn, 2);
    assert_true(stream.position == 2);
    assert_true(stream.acked == 1);
    assert_true(stream_next_number(&stream) == 1);
    assert_true(stream_put(&stream, &(struct record){.kind = RECORD_MARK}) == 3);
    reply_close(&out);
    stream_send(&stream, &out);
    assert_int_equal(stream_acknowledged(&stream, 1, stream.sent), ERR_OK);
    assert_true(stream.acked == 3);
    stream_end(&stream);
    buf_close(&stream.queue);
    reply_close(&out);
}

static void a_large_record_goes_in_batches(void **state)
{
    (void)state;
    struct stream_out stream = {0};
    struct reply out = {0};
    struct buf bytes = {0};
    size_t len = 2 * STREAM_BATCH_BYTES_MAX + 100;
    char *value = malloc(len);
    uint64_t at = 0;
    stream_begin(&stream, conn, 1);
    put_value(&stream, value, len);
    for (uint64_t batches = 1; buf_len(&stream.queue) > 0; batches++) {
        stream_send(&stream, &out);
        take_frames(&out, 1, &at, &bytes);
        assert_true(at <= batches * STREAM_BATCH_BYTES_MAX);
    }
    struct record record;
    size_t taken;
    assert_int_equal(record_parse(buf_span(&bytes), &record, &taken), RECORD_DONE);
    assert_true(span_equal(record.CHANGE.value, span_of(value, len)));
    stream_end(&stream);
    buf_close(&stream.queue);
    buf_close(&bytes);
    reply_close(&out);
    free(value);
}

static void records_are_put_together_however_the_bytes_are_cut(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 3);
    char *value = malloc(200000);
    for (int round = 0; round < 50; round++) {
        struct stream_out stream = {0};
        struct reply out = {0};
        struct buf bytes = {0};
        uint64_t at = 0;
        stream_begin(&stream, conn, 1);
        for (int i = 0; i < 20; i++)
            put_value(&stream, value, prng_below(&prng, i % 5 == 0 ? 200000 : 100));
        while (buf_len(&stream.queue) > 0)
            stream_send(&stream, &out);
        take_frames(&out, 1, &at, &bytes);
        struct stream_in in = {0};
        stream_in_begin(&in, conn, 1);
        struct span rest = buf_span(&bytes);
        struct buf again = {0};
        while (rest.len > 0) {
            size_t len = 1 + prng_below(&prng, prng_below(&prng, 2) ? 20 : 50000);
            len = len < rest.len ? len : rest.len;
            char *piece = malloc(len); /* nothing past it is read */
            memcpy(piece, rest.data, len);
            struct span left = span_of(piece, len);
            struct record record;
            enum stream_next next;
            while ((next = stream_in_next(&in, &left, &record)) == STREAM_RECORD) {
                record_append(&again, &record);
                in.records++;
            }
            assert_int_equal(next, STREAM_EMPTY);
            assert_int_equal(left.len, 0);
            rest = span_of(rest.data + len, rest.len - len);
            free(piece);
        }
        assert_int_equal(in.records, 20);
        assert_true(in.bytes == at);
        assert_true(span_equal(buf_span(&again), buf_span(&bytes)));
        stream_in_end(&in);
        stream_end(&stream);
        buf_close(&stream.queue);
        buf_close(&bytes);
        buf_close(&again);
        reply_close(&out);
    }
    free(value);
}

static void a_record_without_room_is_skipped_and_said_so(void **state)
{
    (void)state;
    struct budget budget = {.limit_bytes = 1000};
    budget.used_bytes = 2 * BUDGET_STRETCH_BYTES;
    size_t used = budget.used_bytes, len = 300000;
    char *value = malloc(len);
    struct stream_out stream = {0};
    struct reply out = {0};
    struct buf bytes = {0};
    uint64_t at = 0;
    stream_begin(&stream, conn, 1);
    put_value(&stream, value, len);
    put_value(&stream, value, 10);
    while (buf_len(&stream.queue) > 0)
        stream_send(&stream, &out);
    take_frames(&out, 1, &at, &bytes);
    struct stream_in in = {.budget = &budget};
    stream_in_begin(&in, conn, 1);
    struct record record;
    struct span rest = buf_span(&bytes);
    struct span first = span_of(rest.data, 1000);
    assert_int_equal(stream_in_next(&in, &first, &record), STREAM_EMPTY);
    rest = span_of(rest.data + 1000, rest.len - 1000);
    assert_in_range(budget.used_bytes, used, used + 100);
    assert_int_equal(stream_in_next(&in, &rest, &record), STREAM_SKIPPED);
    assert_int_equal(record.CHANGE.slot, 7);
    assert_true(record.CHANGE.sid == 9);
    assert_int_equal(stream_in_next(&in, &rest, &record), STREAM_RECORD);
    assert_int_equal(record.CHANGE.value.len, 10);
    assert_int_equal(stream_in_next(&in, &rest, &record), STREAM_EMPTY);
    stream_in_end(&in);
    assert_int_equal(budget.used_bytes, used);
    stream_end(&stream);
    buf_close(&stream.queue);
    buf_close(&bytes);
    reply_close(&out);
    free(value);
}

static void answers_count_before_the_numbers_do(void **state)
{
    (void)state;
    struct stream_in in = {0};
    struct reply out = {0};
    stream_in_begin(&in, conn, 4);
    assert_false(stream_in_is_due(&in));
    static char names[STREAM_ANSWER_BYTES_MAX - 64];
    for (uint64_t i = 0; i < 5; i++)
        stream_in_answer(
            &in, &(struct record){.kind = RECORD_START,
                                  .START = {.sid = i, .names = span_of(names, sizeof(names))}});
    in.records = 3;
    in.bytes = 100;
    assert_true(stream_in_is_due(&in));
    stream_in_tell(&in, &out);
    assert_false(stream_in_is_due(&in));
    uint64_t answers = 0, frames = 0;
    struct message message = {0};
    while (reply_len(&out) > 0) {
        struct span bytes = buf_span(&out.bytes);
        struct frame frame;
        size_t consumed, need;
        assert_true(message.STREAMED.records == 0); /* of every frame but the last */
        assert_int_equal(frame_parse(bytes.data, bytes.len, &frame, &consumed, &need), FRAME_DONE);
        assert_int_equal(message_parse(&frame, &message), ERR_OK);
        struct span list = message.body;
        struct record record;
        while (record_take(&list, RECORD_START, &record))
            assert_true(record.START.sid == answers++);
        assert_int_equal(list.len, 0);
        reply_consume(&out, consumed);
        frames++;
    }
    assert_int_equal(answers, 5);
    assert_int_equal(frames, 3);
    assert_true(message.STREAMED.records == 3);
    assert_true(message.STREAMED.bytes == 100);
    stream_in_end(&in);
    reply_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_goes_when_the_last_one_has_been_received),
        cmocka_unit_test(numbers_that_cannot_be_are_refused),
        cmocka_unit_test(numbers_go_on_over_the_end_of_a_stream),
        cmocka_unit_test(a_large_record_goes_in_batches),
        cmocka_unit_test(records_are_put_together_however_the_bytes_are_cut),
        cmocka_unit_test(a_record_without_room_is_skipped_and_said_so),
        cmocka_unit_test(answers_count_before_the_numbers_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
