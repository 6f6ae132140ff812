/* Plays requests as a client types them against an executor on a real store: text in, text out.
 * For test_command.c and test_meta.c. */
#ifndef DHT_TESTS_UNIT_EXECUTING_H
#define DHT_TESTS_UNIT_EXECUTING_H

#include "common/check.h"
#include "server/core/command.h"
#include "server/store/copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define START_S      1000 /* of the store's clock */
#define UNIX_AT_ZERO 1700000000
#define VALUE_MAX    (1024 * 1024)

struct stage {
    struct budget budget;
    struct stats stats;
    struct executor executor;
    char *answer; /* of the last request, NUL-terminated */
    size_t answer_len;
};

struct line {
    const char *request; /* with its body; "\r\n" is added at the end */
    const char *answer;  /* without the last "\r\n"; "" for none at all */
};

static inline void stage_open(struct stage *stage, size_t limit_bytes)
{
    *stage = (struct stage){.budget = {.limit_bytes = limit_bytes}};
    struct store_options options = {.budget = &stage->budget, .seed = 1};
    stage->executor = (struct executor){.store = store_open(&options),
                                        .stats = &stage->stats,
                                        .now_s = START_S,
                                        .unix_s_at_zero = UNIX_AT_ZERO,
                                        .value_bytes_max = VALUE_MAX};
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        copy_lead(stage->executor.store, slot, 1);
        copy_set_alone(stage->executor.store, slot, true);
    }
    store_tell_time(stage->executor.store, START_S);
}

static inline void stage_close(struct stage *stage)
{
    store_check(stage->executor.store);
    store_close(stage->executor.store);
    free(stage->answer);
}

static inline void pass_s(struct stage *stage, uint32_t seconds)
{
    stage->executor.now_s += seconds;
    store_tell_time(stage->executor.store, stage->executor.now_s);
    uint32_t slot;
    while (store_take_flush_due(stage->executor.store, &slot))
        ;
}

/* What a session does with one request, as far as it concerns its answer. */
static inline void execute(struct stage *stage, const struct request *request, struct reply *out)
{
    if (request->command == CMD_INVALID) {
        reply_append(out, request->error);
    } else if (command_has_key(request->command)) {
        struct digest digest;
        digest_of(request->key, &digest);
        struct store_key key = {.bytes = request->key, .position = digest_position(&digest)};
        command_execute(&stage->executor, request, &key, out);
        if (command_is_retrieval(request->command) && request->part == PART_LAST)
            reply_append(out, SPAN_LITERAL("END\r\n"));
    } else {
        assert_int_equal(request->command, CMD_FLUSH_ALL);
        store_flush(stage->executor.store, command_flush_delay(&stage->executor, request));
        reply_append(out, SPAN_LITERAL("OK\r\n"));
    }
}

/* Takes the answer out of a reply, pieces and all, as one text. */
static inline void keep_answer(struct stage *stage, struct reply *out)
{
    free(stage->answer);
    stage->answer_len = reply_len(out);
    stage->answer = malloc(stage->answer_len + 1);
    reply_own(out);
    if (stage->answer_len > 0)
        memcpy(stage->answer, buf_span(&out->bytes).data, stage->answer_len);
    stage->answer[stage->answer_len] = '\0';
    reply_close(out);
    store_release(stage->executor.store);
}

/* Plays len bytes of requests, whole ones. Returns all their answers together. */
static inline const char *ask_bytes(struct stage *stage, const char *text, size_t len)
{
    struct request_limits limits = {.value_bytes_max = VALUE_MAX};
    struct request_parser parser = {0};
    struct request request;
    struct reply out = {0};
    size_t consumed;
    size_t need;
    for (size_t at = 0; at < len; at += consumed) {
        enum parse parse =
            request_parse(&parser, &limits, text + at, len - at, &request, &consumed, &need);
        if (parse == PARSE_DONE)
            execute(stage, &request, &out);
        else
            assert_true(parse == PARSE_MORE && consumed > 0);
    }
    keep_answer(stage, &out);
    return stage->answer;
}

static inline const char *ask(struct stage *stage, const char *request)
{
    char text[4096];
    int len = snprintf(text, sizeof(text), "%s\r\n", request);
    assert_in_range(len, 0, sizeof(text) - 1);
    return ask_bytes(stage, text, (size_t)len);
}

static inline void expect_at(struct stage *stage, const char *request, const char *answer,
                             const char *file, int line)
{
    char wanted[4096];
    snprintf(wanted, sizeof(wanted), "%s%s", answer, *answer ? "\r\n" : "");
    const char *got = ask(stage, request);
    if (strcmp(got, wanted) != 0) {
        print_error("%s:%d\nrequest: %s\nwanted:  %s\ngot:     %s\n", file, line, request, wanted,
                    got);
        fail();
    }
}

#define EXPECT(stage, request, answer) expect_at(stage, request, answer, __FILE__, __LINE__)

static inline void expect_lines_at(struct stage *stage, const struct line *lines, size_t count,
                                   const char *file, int line)
{
    for (size_t i = 0; i < count; i++)
        expect_at(stage, lines[i].request, lines[i].answer, file, line);
}

#define EXPECT_LINES(stage, lines)                                                                 \
    expect_lines_at(stage, lines, ARRAY_COUNT(lines), __FILE__, __LINE__)

/* The cas unique of an item that is there. */
static inline uint64_t cas_of(struct stage *stage, const char *key)
{
    char request[300];
    snprintf(request, sizeof(request), "mg %s c u", key);
    unsigned long long cas;
    assert_int_equal(sscanf(ask(stage, request), "HD c%llu", &cas), 1);
    return cas;
}

/* The pattern with its "<cas>" replaced by the number. */
static inline const char *with_cas(char *text, size_t size, const char *pattern, uint64_t cas)
{
    const char *mark = strstr(pattern, "<cas>");
    assert_non_null(mark);
    snprintf(text, size, "%.*s%llu%s", (int)(mark - pattern), pattern, (unsigned long long)cas,
             mark + strlen("<cas>"));
    return text;
}

/* A storage line and a body of body_bytes 'x', as ask_bytes. The line lacks its line end. */
static inline const char *ask_with_body(struct stage *stage, const char *line, size_t body_bytes)
{
    size_t line_bytes = strlen(line);
    size_t len = line_bytes + 2 + body_bytes + 2;
    char *text = malloc(len);
    memset(text, 'x', len);
    memcpy(text, line, line_bytes);
    memcpy(text + line_bytes, "\r\n", 2);
    memcpy(text + len - 2, "\r\n", 2);
    const char *answer = ask_bytes(stage, text, len);
    free(text);
    return answer;
}

/* Fills the store up, at last with the smallest items, so that not even an expiry finds room.
 * Returns how many items "fill0", "fill1" … it took. */
static inline unsigned fill(struct stage *stage)
{
    static const size_t sizes[] = {60000, 4000, 500, 100, 20, 1};
    unsigned count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        for (;; count++) {
            char line[64];
            snprintf(line, sizeof(line), "set fill%u 0 0 %zu", count, sizes[i]);
            if (strcmp(ask_with_body(stage, line, sizes[i]), "STORED\r\n") != 0)
                break;
        }
        assert_string_equal(stage->answer, "SERVER_ERROR out of memory storing object\r\n");
    }
    return count;
}

static inline int stage_setup(void **state)
{
    struct stage *stage = malloc(sizeof(*stage));
    stage_open(stage, 64 * 1024 * 1024);
    *state = stage;
    return 0;
}

static inline int stage_teardown(void **state)
{
    stage_close(*state);
    free(*state);
    return 0;
}

#define PLAY(test) cmocka_unit_test_setup_teardown(test, stage_setup, stage_teardown)

#endif
