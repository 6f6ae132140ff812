/* Frames and the messages in them, from any bytes.
 *
 * The first byte chooses: odd, the rest is a stream of frames as a connection would bring it; even,
 * a frame's header, a newline and its body, which are made into a frame first, so that the fuzzer
 * need not find CRCs. */
#include "common/check.h"
#include "common/message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A message that was parsed is written as it stood there. */
static void check_message(const struct frame *frame, struct span bytes)
{
    struct message message;
    if (message_parse(frame, &message))
        return;
    struct reply again = {0};
    message_append(&again, &message);
    CHECK(span_equal(buf_span(&again.bytes), bytes));
    reply_close(&again);
}

/* A prefix of a frame, in memory of its own: nothing past it is read, and more is asked for, but
 * never more than the frame has. */
static void check_cut(struct span bytes, size_t len)
{
    char *copy = malloc(len);
    CHECK(copy != NULL || len == 0);
    if (len > 0)
        memcpy(copy, bytes.data, len);
    struct frame frame;
    size_t consumed, need = 0;
    CHECK(frame_parse(copy, len, &frame, &consumed, &need) == FRAME_MORE);
    CHECK(need > len);
    CHECK(need <= bytes.len);
    free(copy);
}

static void parse_stream(struct span bytes)
{
    struct frame frame;
    size_t consumed, need = 0;
    for (;;) {
        enum frame_parse result = frame_parse(bytes.data, bytes.len, &frame, &consumed, &need);
        if (result == FRAME_MORE) {
            CHECK(need > bytes.len);
            CHECK(need <= FRAME_HEADER_BYTES_MAX + FRAME_BODY_BYTES_MAX + 2);
        }
        if (result != FRAME_DONE)
            return;
        CHECK(consumed <= bytes.len);
        CHECK(frame.body.len <= FRAME_BODY_BYTES_MAX);
        struct span whole = span_of(bytes.data, consumed);
        check_message(&frame, whole);
        for (size_t len = 0; len < consumed; len += 1 + len / 4)
            check_cut(whole, len);
        check_cut(whole, consumed - 1);
        bytes = span_of(bytes.data + consumed, bytes.len - consumed);
    }
}

static void make_frame(struct span bytes)
{
    const char *end = bytes.len ? memchr(bytes.data, '\n', bytes.len) : NULL;
    size_t header_len = end ? (size_t)(end - bytes.data) : bytes.len;
    struct span body = end ? span_of(end + 1, bytes.len - header_len - 1) : span_of(NULL, 0);
    if (header_len == 0 || header_len > 900 || body.len > FRAME_BODY_BYTES_MAX)
        return;
    struct reply out = {0};
    frame_append(&out, span_of(bytes.data, header_len), body);
    struct frame frame;
    size_t consumed, need;
    CHECK(frame_parse(out.bytes.data, reply_len(&out), &frame, &consumed, &need) == FRAME_DONE);
    CHECK(consumed == reply_len(&out));
    CHECK(span_equal(frame.header, span_of(bytes.data, header_len)));
    CHECK(span_equal(frame.body, body));
    parse_stream(buf_span(&out.bytes));
    reply_close(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span rest = span_of((const char *)data + 1, size - 1);
    if (data[0] & 1)
        parse_stream(rest);
    else
        make_frame(rest);
    return 0;
}
