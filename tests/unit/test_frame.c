/* Frames: known bytes, every cut, every flipped bit, every bound. */
#include "common/frame.h"

#include "common/prng.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What the numbers and the line end leave of the longest line. */
#define HEADER_BYTES_MAX (FRAME_HEADER_BYTES_MAX - sizeof(" 65536 89abcdef\r\n") + 1)

/* Bit by bit, from the definition: reflected polynomial 0x82f63b78. */
static uint32_t slow_crc32c(struct span bytes)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= (unsigned char)bytes.data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static void crc_is_castagnolis(void **state)
{
    (void)state;
    assert_int_equal(crc32c(0, SPAN_LITERAL("123456789")), 0xe3069283);
    assert_int_equal(crc32c(0, span_of(NULL, 0)), 0);
    static const char zeros[32]; /* RFC 3720, B.4 */
    assert_int_equal(crc32c(0, span_of(zeros, sizeof(zeros))), 0x8a9136aa);
    char bytes[300];
    struct prng prng;
    prng_init(&prng, 1);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)prng_next(&prng);
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        uint32_t whole = slow_crc32c(span_of(bytes, len));
        for (size_t cut = 0; cut <= len; cut++) {
            uint32_t first = crc32c(0, span_of(bytes, cut));
            assert_int_equal(crc32c(first, span_of(bytes + cut, len - cut)), whole);
        }
    }
}

static void a_frame_reads_as_documented(void **state)
{
    (void)state;
    struct reply out = {0};
    frame_append(&out, SPAN_LITERAL("PART 7"), SPAN_LITERAL("a\r\n\0b"));
    char want[64];
    int len = snprintf(want, sizeof(want), "PART 7 5 %08x\r\n",
                       slow_crc32c(SPAN_LITERAL("PART 7 5 a\r\n\0b")));
    memcpy(want + len, "a\r\n\0b\r\n", 8);
    assert_int_equal(reply_len(&out), (size_t)len + 7);
    assert_memory_equal(out.bytes.data, want, (size_t)len + 7);
    reply_close(&out);
    frame_append(&out, SPAN_LITERAL("X"), span_of(NULL, 0));
    assert_memory_equal(out.bytes.data, "X 0 ", 4);
    assert_int_equal(reply_len(&out), 16);
    reply_close(&out);
}

/* Copies bytes so that the sanitizer sees every read past len. */
static enum frame_parse parse_exactly(struct span bytes, struct frame *frame, size_t *consumed,
                                      size_t *need, char **copy)
{
    *copy = malloc(bytes.len);
    if (bytes.len > 0)
        memcpy(*copy, bytes.data, bytes.len);
    return frame_parse(*copy, bytes.len, frame, consumed, need);
}

static enum frame_parse verdict(struct span bytes)
{
    struct frame frame;
    size_t consumed, need;
    char *copy;
    enum frame_parse result = parse_exactly(bytes, &frame, &consumed, &need, &copy);
    free(copy);
    return result;
}

static void every_cut_asks_for_more_and_never_too_much(void **state)
{
    (void)state;
    struct reply out = {0};
    frame_append(&out, SPAN_LITERAL("ANSWER 12 0 24"), SPAN_LITERAL("VALUE k 0 5\r\nab\r\nc\r\n"));
    struct span first = buf_span(&out.bytes);
    size_t first_len = first.len;
    frame_append(&out, SPAN_LITERAL("NEXT"), SPAN_LITERAL(""));
    struct span both = buf_span(&out.bytes);
    size_t line_len = (size_t)((const char *)memchr(both.data, '\n', both.len) - both.data) + 1;
    for (size_t len = 0; len <= both.len; len++) {
        struct frame frame;
        size_t consumed = 0, need = 0;
        char *copy;
        enum frame_parse got =
            parse_exactly(span_of(both.data, len), &frame, &consumed, &need, &copy);
        if (len < first_len) {
            assert_int_equal(got, FRAME_MORE);
            assert_int_equal(need, len < line_len ? len + 1 : first_len);
        } else {
            assert_int_equal(got, FRAME_DONE);
            assert_int_equal(consumed, first_len);
            assert_true(span_equal(frame.header, SPAN_LITERAL("ANSWER 12 0 24")));
            assert_true(span_equal(frame.body, SPAN_LITERAL("VALUE k 0 5\r\nab\r\nc\r\n")));
            assert_ptr_equal(frame.header.data, copy);
        }
        free(copy);
    }
    reply_close(&out);
}

static void no_flipped_bit_goes_unnoticed(void **state)
{
    (void)state;
    struct reply out = {0};
    frame_append(&out, SPAN_LITERAL("PART 7"), SPAN_LITERAL("get key\r\n"));
    struct span bytes = buf_span(&out.bytes);
    unsigned crc_count = 0;
    for (size_t bit = 0; bit < bytes.len * 8; bit++) {
        out.bytes.data[bit / 8] = (char)(out.bytes.data[bit / 8] ^ 1 << bit % 8);
        enum frame_parse got = verdict(bytes);
        assert_int_not_equal(got, FRAME_DONE);
        crc_count += got == FRAME_BAD_CRC;
        out.bytes.data[bit / 8] = (char)(out.bytes.data[bit / 8] ^ 1 << bit % 8);
    }
    assert_int_equal(verdict(bytes), FRAME_DONE);
    /* Whatever is wrong in the body is the CRC's to find. */
    assert_true(crc_count >= 8 * sizeof("get key"));
    reply_close(&out);
}

static void malformed_frames_are_refused_at_once(void **state)
{
    (void)state;
    static const struct span bad[] = {
#define CASE(text) SPAN_LITERAL(text)
        CASE("\n"),
        CASE("\r\n"),
        CASE(" \r\n"),
        CASE("   \r\n"),
        CASE("PART\r\n"),
        CASE("PART 7\r\n"),        /* no length, no CRC */
        CASE("0 00000000\r\n"),    /* no header */
        CASE(" 0 00000000\r\n"),   /* an empty one */
        CASE("PART 0 00000000\n"), /* no CR */
        CASE("PART 0 0000000\r\n"),
        CASE("PART 0 000000000\r\n"),
        CASE("PART 0 0000000G\r\n"),
        CASE("PART 0 ABCDEF00\r\n"),
        CASE("PART 0  00000000\r\n"),
        CASE("PART 0 00000000 \r\n"),
        CASE("PART -1 00000000\r\n"),
        CASE("PART +1 00000000\r\n"),
        CASE("PART 01 00000000\r\n"),
        CASE("PART 65537 00000000\r\n"),
        CASE("PART 18446744073709551616 00000000\r\n"),
        CASE("PART x 00000000\r\n"),
        CASE("PART  00000000\r\n"),
        CASE("PART 1\t 00000000\r\n"),
        CASE("PART 2 00000000\r\nab\n\n"),
        CASE("PART 2 00000000\r\nabcd"),
        CASE("PART 0 00000000\r\nX\n"),
#undef CASE
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        if (verdict(bad[i]) != FRAME_BAD_SYNTAX)
            fail_msg("not refused: %s", bad[i].data);
    assert_int_equal(verdict(SPAN_LITERAL("PART 2 00000000\r\nab\r\n")), FRAME_BAD_CRC);
}

static void a_line_is_bounded(void **state)
{
    (void)state;
    char line[FRAME_HEADER_BYTES_MAX + 1];
    memset(line, 'x', sizeof(line));
    assert_int_equal(verdict(span_of(line, FRAME_HEADER_BYTES_MAX - 1)), FRAME_MORE);
    assert_int_equal(verdict(span_of(line, FRAME_HEADER_BYTES_MAX)), FRAME_BAD_SYNTAX);
    line[FRAME_HEADER_BYTES_MAX] = '\n';
    assert_int_equal(verdict(span_of(line, sizeof(line))), FRAME_BAD_SYNTAX);
    struct reply out = {0};
    char *body = calloc(1, FRAME_BODY_BYTES_MAX);
    frame_append(&out, span_of(line, HEADER_BYTES_MAX), span_of(body, FRAME_BODY_BYTES_MAX));
    assert_int_equal(reply_len(&out), FRAME_HEADER_BYTES_MAX + FRAME_BODY_BYTES_MAX + 2);
    assert_int_equal(verdict(buf_span(&out.bytes)), FRAME_DONE);
    free(body);
    reply_close(&out);
}

/* Frames of random headers and bodies, back to back, built either way, come out as they went in. */
static void what_is_appended_is_parsed(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 5);
    char *body = malloc(FRAME_BODY_BYTES_MAX);
    for (size_t i = 0; i < FRAME_BODY_BYTES_MAX; i++)
        body[i] = (char)prng_next(&prng);
    for (int i = 0; i < 300; i++) {
        struct reply one = {0}, other = {0}, content = {0};
        char header[HEADER_BYTES_MAX];
        size_t header_len = 1 + prng_below(&prng, sizeof(header));
        for (size_t j = 0; j < header_len; j++)
            header[j] = (char)(33 + prng_below(&prng, 90));
        size_t body_len = prng_below(&prng, prng_below(&prng, 3) ? 50 : FRAME_BODY_BYTES_MAX + 1);
        size_t cut = prng_below(&prng, body_len + 1);
        frame_append(&one, span_of(header, header_len), span_of(body, body_len));
        reply_append(&other, SPAN_LITERAL("before"));
        reply_borrow(&content, span_of(body, cut));
        reply_borrow(&content, span_of(body + cut, body_len - cut));
        size_t borrowed = content.borrowed_bytes;
        frame_append_reply(&other, span_of(header, header_len), &content);
        assert_int_equal(other.borrowed_bytes, borrowed);
        assert_int_equal(reply_len(&content), 0);
        reply_own(&other);
        reply_consume(&other, 6);
        assert_true(span_equal(buf_span(&one.bytes), buf_span(&other.bytes)));
        struct frame frame;
        size_t consumed, need;
        assert_int_equal(
            frame_parse(buf_span(&other.bytes).data, reply_len(&other), &frame, &consumed, &need),
            FRAME_DONE);
        assert_int_equal(consumed, reply_len(&other));
        assert_true(span_equal(frame.header, span_of(header, header_len)));
        assert_true(span_equal(frame.body, span_of(body, body_len)));
        reply_close(&one);
        reply_close(&other);
        reply_close(&content);
    }
    free(body);
}

/* Runs act on arg in a process of its own, which must end in a failed CHECK. */
static void assert_checked(void (*act)(const void *arg), const void *arg)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (freopen("/dev/null", "w", stderr))
            act(arg);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

struct parts {
    struct span header, body;
};

static void append_parts(const void *parts)
{
    struct reply out = {0};
    frame_append(&out, ((const struct parts *)parts)->header, ((const struct parts *)parts)->body);
}

static void a_frame_that_nobody_could_read_is_never_made(void **state)
{
    (void)state;
    char *bytes = calloc(1, FRAME_BODY_BYTES_MAX + 1);
    const struct parts bad[] = {{{"", 0}, {"x", 1}},
                                {{bytes, HEADER_BYTES_MAX + 1}, {"x", 1}},
                                {{"X", 1}, {bytes, FRAME_BODY_BYTES_MAX + 1}}};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_checked(append_parts, &bad[i]);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_is_castagnolis),
        cmocka_unit_test(a_frame_reads_as_documented),
        cmocka_unit_test(every_cut_asks_for_more_and_never_too_much),
        cmocka_unit_test(no_flipped_bit_goes_unnoticed),
        cmocka_unit_test(malformed_frames_are_refused_at_once),
        cmocka_unit_test(a_line_is_bounded),
        cmocka_unit_test(a_frame_that_nobody_could_read_is_never_made),
        cmocka_unit_test(what_is_appended_is_parsed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
