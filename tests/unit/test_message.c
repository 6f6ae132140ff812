/* Messages between nodes: known texts, every refusal, and back what was sent. */
#include "common/message.h"

#include "common/prng.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const struct digest digest_of_abc = {{0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81,
                                             0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50,
                                             0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d}};

/* The header that message makes. */
static void assert_header(const struct message *message, const char *want)
{
    struct reply out = {0}, out_again = {0}, body = {0};
    message_append(&out, message);
    struct frame frame;
    size_t consumed, need;
    struct span bytes = buf_span(&out.bytes);
    assert_int_equal(frame_parse(bytes.data, bytes.len, &frame, &consumed, &need), FRAME_DONE);
    assert_int_equal(consumed, bytes.len);
    assert_int_equal(frame.header.len, strlen(want));
    assert_memory_equal(frame.header.data, want, frame.header.len);
    assert_true(span_equal(frame.body, message->body));
    struct message without_body = *message;
    without_body.body = span_of(NULL, 0);
    reply_append(&body, message->body);
    message_append_reply(&out_again, &without_body, &body);
    assert_true(span_equal(buf_span(&out_again.bytes), bytes));
    reply_close(&out);
    reply_close(&out_again);
    reply_close(&body);
}

static void every_message_reads_as_documented(void **state)
{
    (void)state;
    struct message hello = {.kind = MESSAGE_HELLO,
                            .HELLO = {.oldest = 1,
                                      .newest = UINT32_MAX,
                                      .kind = SPAN_LITERAL("data"),
                                      .cluster = SPAN_LITERAL("c"),
                                      .gossip = SPAN_LITERAL("random"),
                                      .from = SPAN_LITERAL("a:1"),
                                      .generation = 0xabc,
                                      .boot = 17,
                                      .to = SPAN_LITERAL("[::1]:2"),
                                      .id = 0xcd,
                                      .seat = 0xef,
                                      .epoch = 5}};
    assert_header(&hello, "HELLO 1 4294967295 data c random a:1 0000000000000abc 17 [::1]:2 "
                          "00000000000000cd 00000000000000ef 5");
    struct message welcome = {.kind = MESSAGE_WELCOME,
                              .WELCOME = {.version = 0,
                                          .from = SPAN_LITERAL("b:2"),
                                          .generation = UINT64_MAX,
                                          .boot = UINT64_MAX}};
    assert_header(&welcome, "WELCOME 0 b:2 ffffffffffffffff 18446744073709551615 "
                            "0000000000000000 0000000000000000 0");
    struct message refused = {.kind = MESSAGE_REFUSED,
                              .REFUSED = {.why = SPAN_LITERAL("cluster"),
                                          .from = SPAN_LITERAL("b:2"),
                                          .generation = 1,
                                          .boot = 2},
                              .body = SPAN_LITERAL("another cluster")};
    assert_header(&refused, "REFUSED cluster b:2 0000000000000001 2");
    struct message forward = {.kind = MESSAGE_FORWARD,
                              .FORWARD = {.number = UINT64_MAX,
                                          .client = SPAN_LITERAL("10.0.0.1:5555"),
                                          .deadline_ms = 990,
                                          .digest = digest_of_abc,
                                          .epoch = 61,
                                          .direct = SPAN_LITERAL("-"),
                                          .total = 9},
                              .body = SPAN_LITERAL("get abc\r\n")};
    assert_header(&forward, "FORWARD 18446744073709551615 10.0.0.1:5555 990 "
                            "a9993e364706816aba3e25717850c26c9cd0d89d 61 - 9");
    struct message answer = {.kind = MESSAGE_ANSWER,
                             .ANSWER = {.number = 5, .status = ANSWER_STATUS_REFUSED, .total = 3},
                             .body = SPAN_LITERAL("\0\r\n")};
    assert_header(&answer, "ANSWER 5 1 3");
    struct message part = {.kind = MESSAGE_PART, .PART = {.number = 0}};
    assert_header(&part, "PART 0");
}

static void every_message_about_copies_reads_as_documented(void **state)
{
    (void)state;
    struct message stream = {.kind = MESSAGE_STREAM,
                             .STREAM = {.epoch = 7, .at = UINT64_MAX},
                             .body = SPAN_LITERAL("\1\0\r\n")};
    assert_header(&stream, "STREAM 7 18446744073709551615");
    struct message streamed = {.kind = MESSAGE_STREAMED,
                               .STREAMED = {.epoch = UINT32_MAX, .records = 5, .bytes = 6}};
    assert_header(&streamed, "STREAMED 4294967295 5 6");
    struct message collect = {.kind = MESSAGE_COLLECT, .COLLECT = {.epoch = 7, .number = 1}};
    assert_header(&collect, "COLLECT 7 1");
    struct message copies = {.kind = MESSAGE_COPIES, .COPIES = {.epoch = 7, .number = 1}};
    assert_header(&copies, "COPIES 7 1");
    struct message holding = {.kind = MESSAGE_HOLDING, .HOLDING = {.epoch = 7}};
    assert_header(&holding, "HOLDING 7");
    struct message active = {.kind = MESSAGE_ACTIVE, .ACTIVE = {.epoch = 7}};
    assert_header(&active, "ACTIVE 7");
    struct message stale = {.kind = MESSAGE_STALE, .STALE = {.epoch = 8}};
    assert_header(&stale, "STALE 8");
}

static void every_control_message_reads_as_documented(void **state)
{
    (void)state;
    struct message get = {.kind = MESSAGE_GET_MEMBERSHIP_LIST,
                          .GET_MEMBERSHIP_LIST = {.number = 7,
                                                  .boot = 17,
                                                  .inc = UINT32_MAX,
                                                  .hb = 9,
                                                  .since = UINT64_MAX,
                                                  .viewhash = 0xfe,
                                                  .epoch = 3},
                          .body = SPAN_LITERAL("a line of news\n")};
    assert_header(&get, "GET_MEMBERSHIP_LIST 7 17 4294967295 9 18446744073709551615 "
                        "00000000000000fe 3");
    struct message members = {
        .kind = MESSAGE_MEMBERS,
        .MEMBERS = {
            .number = 7, .boot = 17, .inc = 1, .hb = 2, .version = 3, .newest = 4, .viewhash = 5}};
    assert_header(&members, "MEMBERS 7 17 1 2 3 4 0000000000000005 0");
    struct message news = {.kind = MESSAGE_NEWS, .NEWS = {.number = 0, .hb = 6}};
    assert_header(&news, "NEWS 0 6");
    struct message heard = {.kind = MESSAGE_HEARD, .HEARD = {.number = 8}};
    assert_header(&heard, "HEARD 8");
    struct message ping = {.kind = MESSAGE_PING, .PING = {.number = 9}};
    assert_header(&ping, "PING 9 0");
    struct message pong = {.kind = MESSAGE_PONG,
                           .PONG = {.number = 9, .boot = 17, .inc = 1, .hb = 2}};
    assert_header(&pong, "PONG 9 17 1 2 0");
    struct message probe = {.kind = MESSAGE_PROBE,
                            .PROBE = {.number = 3, .name = SPAN_LITERAL("c:3"), .boot = 17}};
    assert_header(&probe, "PROBE 3 c:3 17");
    struct message probed = {.kind = MESSAGE_PROBED,
                             .PROBED = {.number = 3, .result = SPAN_LITERAL("silent")}};
    assert_header(&probed, "PROBED 3 silent");
}

static void every_message_of_views_reads_as_documented(void **state)
{
    (void)state;
    const struct {
        struct message message;
        const char *header;
    } cases[] = {
        {{.kind = MESSAGE_GET_VIEWS, .GET_VIEWS = {4, 2}}, "GET_VIEWS 4 2"},
        {{.kind = MESSAGE_VIEWS, .VIEWS = {4, 100}}, "VIEWS 4 100"},
        {{.kind = MESSAGE_STALE, .STALE = {9}}, "STALE 9"},
        {{.kind = MESSAGE_PREPARE, .PREPARE = {4, 2, 0xab, 0}},
         "PREPARE 4 2 00000000000000ab 0000000000000000"},
        {{.kind = MESSAGE_PROMISE, .PROMISE = {0, 2, 0xab, 0xcd, 1, 0xef, 100, 70}},
         "PROMISE 0 2 00000000000000ab 00000000000000cd 1 00000000000000ef 100 70"},
        {{.kind = MESSAGE_ACCEPT, .ACCEPT = {4, 2, 0xab, 0, 70}},
         "ACCEPT 4 2 00000000000000ab 0000000000000000 70"},
        {{.kind = MESSAGE_ACCEPTED, .ACCEPTED = {4, 2, 0xab, 0}},
         "ACCEPTED 4 2 00000000000000ab 0000000000000000"},
        {{.kind = MESSAGE_PROPOSE,
          .PROPOSE = {4, 1, SPAN_LITERAL("join"), SPAN_LITERAL("a:1"), 0xab, 17, 0xcd, 1}},
         "PROPOSE 4 1 join a:1 00000000000000ab 17 00000000000000cd 1"},
        {{.kind = MESSAGE_PROPOSED, .PROPOSED = {4, 1}}, "PROPOSED 4 1"},
        {{.kind = MESSAGE_REPORT, .REPORT = {4, SPAN_LITERAL("active")}}, "REPORT 4 active"},
        {{.kind = MESSAGE_GET_REPORT, .GET_REPORT = {4}}, "GET_REPORT 4"},
        {{.kind = MESSAGE_GET_HELD, .GET_HELD = {4, 1}}, "GET_HELD 4 1"},
        {{.kind = MESSAGE_HELD, .HELD = {4, 1}}, "HELD 4 1"},
        {{.kind = MESSAGE_GET_ALIVE, .GET_ALIVE = {4, 1}}, "GET_ALIVE 4 1"},
        {{.kind = MESSAGE_ALIVE, .ALIVE = {4, 1}}, "ALIVE 4 1"},
        {{.kind = MESSAGE_ACCEPTLOSS, .ACCEPTLOSS = {4, 1}}, "ACCEPTLOSS 4 1"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_header(&cases[i].message, cases[i].header);
}

static void every_kind_has_its_word(void **state)
{
    (void)state;
    static const char *const words[] = {"HELLO",      "WELCOME",
                                        "REFUSED",    "FORWARD",
                                        "ANSWER",     "PART",
                                        "STREAM",     "STREAMED",
                                        "COLLECT",    "COPIES",
                                        "HOLDING",    "ACTIVE",
                                        "STALE",      "GET_MEMBERSHIP_LIST",
                                        "MEMBERS",    "NEWS",
                                        "HEARD",      "PING",
                                        "PONG",       "PROBE",
                                        "PROBED",     "GET_VIEWS",
                                        "VIEWS",      "PREPARE",
                                        "PROMISE",    "ACCEPT",
                                        "ACCEPTED",   "PROPOSE",
                                        "PROPOSED",   "REPORT",
                                        "GET_REPORT", "GET_HELD",
                                        "HELD",       "GET_ALIVE",
                                        "ALIVE",      "ACCEPTLOSS"};
    assert_int_equal(ARRAY_COUNT(words), MESSAGE_KIND_COUNT);
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        assert_string_equal(message_word((enum message_kind)i), words[i]);
}

static enum err parse(struct span header, struct message *message)
{
    /* Exactly as large as the header, so that a read past it is seen. */
    char *copy = malloc(header.len);
    if (header.len > 0)
        memcpy(copy, header.data, header.len);
    struct frame frame = {.header = span_of(copy, header.len), .body = SPAN_LITERAL("body")};
    enum err err = message_parse(&frame, message);
    free(copy);
    return err;
}

static void every_field_is_read(void **state)
{
    (void)state;
    struct message message;
    struct frame frame = {.header = SPAN_LITERAL("FORWARD 18446744073709551615 c:5 4294967295 "
                                                 "a9993e364706816aba3e25717850c26c9cd0d89d "
                                                 "14 5000,t 0"),
                          .body = SPAN_LITERAL("body")};
    assert_int_equal(message_parse(&frame, &message), ERR_OK);
    assert_int_equal(message.kind, MESSAGE_FORWARD);
    assert_true(message.FORWARD.number == UINT64_MAX);
    assert_true(span_equal(message.FORWARD.client, SPAN_LITERAL("c:5")));
    assert_true(message.FORWARD.deadline_ms == UINT32_MAX);
    assert_memory_equal(&message.FORWARD.digest, &digest_of_abc, sizeof(digest_of_abc));
    assert_true(message.FORWARD.epoch == 14);
    assert_true(span_equal(message.FORWARD.direct, SPAN_LITERAL("5000,t")));
    assert_int_equal(message.FORWARD.total, 0);
    assert_true(span_equal(message.body, SPAN_LITERAL("body")));
    frame.header = SPAN_LITERAL("HELLO 1 2 data c g a:1 0123456789abcdef 3 b:2 "
                                "00000000000000cd 00000000000000ef 4");
    assert_int_equal(message_parse(&frame, &message), ERR_OK);
    assert_int_equal(message.kind, MESSAGE_HELLO);
    assert_int_equal(message.HELLO.oldest, 1);
    assert_int_equal(message.HELLO.newest, 2);
    assert_true(span_equal(message.HELLO.kind, SPAN_LITERAL("data")));
    assert_true(span_equal(message.HELLO.from, SPAN_LITERAL("a:1")));
    assert_true(span_equal(message.HELLO.to, SPAN_LITERAL("b:2")));
    assert_true(span_equal(message.HELLO.cluster, SPAN_LITERAL("c")));
    assert_true(span_equal(message.HELLO.gossip, SPAN_LITERAL("g")));
    assert_true(message.HELLO.generation == 0x0123456789abcdef);
    assert_true(message.HELLO.boot == 3);
    assert_true(message.HELLO.id == 0xcd);
    assert_true(message.HELLO.seat == 0xef);
    assert_int_equal(message.HELLO.epoch, 4);
}

static void malformed_headers_are_refused(void **state)
{
    (void)state;
    static const struct span bad[] = {
#define CASE(text) SPAN_LITERAL(text)
        CASE(""),
        CASE(" "),
        CASE("PARTS 1"),
        CASE("PAR 1"),
        CASE("part 1"),
        CASE("HELLO"),
        CASE("\0PART 1"),
        CASE(" PART 1"),
        /* missing and surplus */
        CASE("PART"),
        CASE("PART "),
        CASE("PART 1 "),
        CASE("PART 1 2"),
        CASE("PART  1"),
        CASE("PART 1  "),
        CASE("ANSWER 1 0"),
        CASE("ANSWER 1 0 5 6"),
        CASE("ANSWER 1 0 5 5"),
        /* numbers */
        CASE("PART -1"),
        CASE("PART +1"),
        CASE("PART 01"),
        CASE("PART 1x"),
        CASE("PART 0x1"),
        CASE("PART 18446744073709551616"),
        CASE("PART 1\0"),
        CASE("PART \t1"),
        CASE("ANSWER 1 0 4294967296"),
        CASE("ANSWER 1 0 -1"),
        CASE("ANSWER 1 0 "),
        /* HEX64 */
        CASE("REFUSED w a:1 0 1"),
        CASE("REFUSED w a:1 00000000000000000 1"),
        CASE("REFUSED w a:1 000000000000000G 1"),
        CASE("REFUSED w a:1 000000000000000A 1"),
        /* TOKEN */
        CASE("REFUSED w a\x01 0000000000000000 1"),
        CASE("REFUSED w a\x7f 0000000000000000 1"),
        CASE("REFUSED w  0000000000000000 1"),
        CASE("REFUSED w a\t 0000000000000000 1"),
        /* DIGEST */
        CASE("FORWARD 1 c:5 9 a9993e364706816aba3e25717850c26c9cd0d89 0000000000000000 - 0"),
        CASE("FORWARD 1 c:5 9 a9993e364706816aba3e25717850c26c9cd0d89d0 0000000000000000 - 0"),
        CASE("FORWARD 1 c:5 9 a9993e364706816aba3e25717850c26c9cd0d8-d 0000000000000000 - 0"),
        CASE("FORWARD 1 c:5 9 A9993E364706816ABA3E25717850C26C9CD0D89D 0000000000000000 - 0"),
        /* ROUND */
        CASE("PREPARE 4 18446744073709551615 00000000000000ab 0000000000000000"),
        CASE("ACCEPT 4 18446744073709551615 00000000000000ab 0000000000000000 0"),
        CASE("ACCEPTED 4 18446744073709551615 00000000000000ab 0000000000000000"),
        CASE("PROMISE 4 18446744073709551615 00000000000000ab 0000000000000000 0 "
             "0000000000000000 1 0"),
        CASE("PROMISE 4 1 00000000000000ab 0000000000000000 18446744073709551615 "
             "00000000000000ab 1 0"),
#undef CASE
    };
    struct message message;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        if (parse(bad[i], &message) != ERR_SYNTAX)
            fail_msg("accepted: %s", bad[i].data);
    assert_int_equal(parse(SPAN_LITERAL("PART 1"), &message), ERR_OK);
    assert_int_equal(
        parse(SPAN_LITERAL("PREPARE 4 18446744073709551614 00000000000000ab 0000000000000000"),
              &message),
        ERR_OK);
    assert_int_equal(parse(SPAN_LITERAL("REFUSED w a 0000000000000000 1"), &message), ERR_OK);
}

static void the_versions_of_a_hello_are_read_whatever_follows(void **state)
{
    (void)state;
    uint32_t oldest, newest;
    struct frame frame = {.header = SPAN_LITERAL("HELLO 1 7 data a:1 b:2 0123456789abcdef")};
    assert_true(message_hello_versions(&frame, &oldest, &newest));
    assert_int_equal(oldest, 1);
    assert_int_equal(newest, 7);
    static const struct span others[] = {
        {"", 0}, {"HELLO", 5}, {"HELLO 1", 7}, {"HELLO 1 x", 9}, {"WELCOME 1 2", 11}};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        frame.header = others[i];
        assert_false(message_hello_versions(&frame, &oldest, &newest));
    }
}

static void a_token_has_at_most_an_address_bytes(void **state)
{
    (void)state;
    struct message message;
    char header[400];
    const int size = ADDRESS_TEXT_BYTES_MAX;
    for (int len = size - 3; len < size + 3; len++) {
        int bytes = snprintf(header, sizeof(header), "REFUSED w %0*d 0000000000000000 1", len, 0);
        enum err want = len < size ? ERR_OK : ERR_SYNTAX;
        assert_int_equal(parse(span_of(header, (size_t)bytes), &message), want);
    }
}

static void a_word_is_shorter(void **state)
{
    (void)state;
    struct message message;
    char header[128];
    const int bytes_max = MESSAGE_WORD_BYTES_MAX;
    for (int len = bytes_max - 1; len < bytes_max + 3; len++) {
        int bytes = snprintf(header, sizeof(header), "PROBED 1 %0*d", len, 0);
        enum err want = len <= bytes_max ? ERR_OK : ERR_SYNTAX;
        assert_int_equal(parse(span_of(header, (size_t)bytes), &message), want);
    }
}

static void the_longest_message_fits_a_frame(void **state)
{
    (void)state;
    char name[ADDRESS_TEXT_BYTES_MAX - 1];
    memset(name, 'n', sizeof(name));
    struct span longest = span_of(name, sizeof(name));
    struct span word = span_of(name, MESSAGE_WORD_BYTES_MAX);
    char *body = calloc(1, FRAME_BODY_BYTES_MAX);
    struct message hello = {.kind = MESSAGE_HELLO,
                            .HELLO = {UINT32_MAX, UINT32_MAX, word, word, word, longest, 1,
                                      UINT64_MAX, longest, 1, 1, UINT32_MAX},
                            .body = span_of(body, FRAME_BODY_BYTES_MAX)};
    struct reply out = {0};
    message_append(&out, &hello);
    struct frame frame;
    struct message again;
    size_t consumed, need;
    assert_int_equal(frame_parse(out.bytes.data, reply_len(&out), &frame, &consumed, &need),
                     FRAME_DONE);
    assert_int_equal(message_parse(&frame, &again), ERR_OK);
    assert_true(span_equal(again.HELLO.to, longest));
    free(body);
    reply_close(&out);
}

/* A forward of random fields comes back as it went. */
static void what_is_sent_is_received(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 9);
    struct reply out = {0};
    for (int i = 0; i < 2000; i++) {
        struct message sent = {.kind = MESSAGE_FORWARD, .body = SPAN_LITERAL("x")}, received;
        sent.FORWARD.number = prng_next(&prng) >> prng_below(&prng, 64);
        sent.FORWARD.client = span_of("abcdefghij", 1 + prng_below(&prng, 10));
        sent.FORWARD.deadline_ms = (uint32_t)(prng_next(&prng) >> (32 + prng_below(&prng, 32)));
        sent.FORWARD.epoch = (uint32_t)prng_next(&prng);
        sent.FORWARD.direct = span_of("1024,abcdef", 1 + prng_below(&prng, 11));
        for (size_t j = 0; j < DIGEST_BYTES; j++)
            sent.FORWARD.digest.bytes[j] = (uint8_t)prng_next(&prng);
        sent.FORWARD.total = (uint32_t)prng_next(&prng);
        message_append(&out, &sent);
        struct frame frame;
        size_t consumed, need;
        struct span bytes = buf_span(&out.bytes);
        assert_int_equal(frame_parse(bytes.data, bytes.len, &frame, &consumed, &need), FRAME_DONE);
        assert_int_equal(message_parse(&frame, &received), ERR_OK);
        assert_int_equal(received.kind, MESSAGE_FORWARD);
        assert_true(received.FORWARD.number == sent.FORWARD.number);
        assert_true(span_equal(received.FORWARD.client, sent.FORWARD.client));
        assert_true(received.FORWARD.deadline_ms == sent.FORWARD.deadline_ms);
        assert_memory_equal(&received.FORWARD.digest, &sent.FORWARD.digest, sizeof(struct digest));
        assert_true(received.FORWARD.epoch == sent.FORWARD.epoch);
        assert_true(span_equal(received.FORWARD.direct, sent.FORWARD.direct));
        assert_true(received.FORWARD.total == sent.FORWARD.total);
        reply_consume(&out, consumed);
        assert_int_equal(reply_len(&out), 0);
    }
    reply_close(&out);
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

static void append_message(const void *message)
{
    struct reply out = {0};
    message_append(&out, message);
}

static void a_message_that_nobody_could_read_is_never_made(void **state)
{
    (void)state;
    char long_name[ADDRESS_TEXT_BYTES_MAX];
    memset(long_name, 'n', sizeof(long_name));
    const struct span bad[] = {
        {NULL, 0}, {"a b", 3}, {"a\r\n", 3}, {"a\0", 2}, {long_name, sizeof(long_name)}};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct message refused = {.kind = MESSAGE_REFUSED,
                                  .REFUSED = {SPAN_LITERAL("w"), bad[i], 1, 1}};
        assert_checked(append_message, &refused);
        struct message probed = {.kind = MESSAGE_PROBED, .PROBED = {1, bad[i]}};
        assert_checked(append_message, &probed);
    }
    struct message unknown = {.kind = MESSAGE_KIND_COUNT};
    assert_checked(append_message, &unknown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_reads_as_documented),
        cmocka_unit_test(every_control_message_reads_as_documented),
        cmocka_unit_test(every_message_about_copies_reads_as_documented),
        cmocka_unit_test(every_message_of_views_reads_as_documented),
        cmocka_unit_test(every_kind_has_its_word),
        cmocka_unit_test(every_field_is_read),
        cmocka_unit_test(the_versions_of_a_hello_are_read_whatever_follows),
        cmocka_unit_test(malformed_headers_are_refused),
        cmocka_unit_test(a_token_has_at_most_an_address_bytes),
        cmocka_unit_test(a_word_is_shorter),
        cmocka_unit_test(the_longest_message_fits_a_frame),
        cmocka_unit_test(a_message_that_nobody_could_read_is_never_made),
        cmocka_unit_test(what_is_sent_is_received),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
