/* A stream of answers gives the same ones however it is cut, and nothing outside it is looked at.
 */
#include "common/answer.h"
#include "common/check.h"

#include <stdlib.h>

#define VALUE_BYTES_MAX 1024u
#define INPUT_BYTES_MAX 4096u /* every cut of it is tried */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void span_check(struct span span, const char *in, size_t len)
{
    if (span.len == 0)
        return;
    CHECK(span.data >= in);
    CHECK(span.data + span.len <= in + len);
}

/* Parses the first len bytes at in, from a place of their own with nothing behind. */
static enum answer_parse parse(const char *in, size_t len, struct answer *answer, size_t *consumed,
                               size_t *need)
{
    char *copy = malloc(len ? len : 1);
    CHECK(copy != NULL);
    memcpy(copy, in, len);
    enum answer_parse result = answer_parse(copy, len, VALUE_BYTES_MAX, answer, consumed, need);
    if (result == ANSWER_DONE) {
        CHECK(*consumed > 0);
        CHECK(*consumed <= len);
        CHECK(answer->kind < ANSWER_KIND_COUNT);
        CHECK(answer->value.len <= VALUE_BYTES_MAX);
        span_check(answer->text, copy, *consumed);
        span_check(answer->name, copy, *consumed);
        span_check(answer->value, copy, *consumed);
    } else {
        CHECK(*consumed == 0);
        CHECK(result == ANSWER_BAD || *need > len);
    }
    free(copy);
    return result;
}

/* Every longer cut says what the first one that said anything did. Returns the bytes consumed. */
static size_t every_cut_check(const char *in, size_t size)
{
    enum answer_parse settled = ANSWER_MORE;
    struct answer first = {0};
    size_t first_consumed = 0;
    size_t needed = 0;
    for (size_t len = 0; len <= size; len++) {
        struct answer answer;
        size_t consumed = 0;
        size_t need = 0;
        enum answer_parse result = parse(in, len, &answer, &consumed, &need);
        if (settled != ANSWER_MORE) {
            CHECK(result == settled);
            CHECK(consumed == first_consumed);
            CHECK(result != ANSWER_DONE || answer.kind == first.kind);
            CHECK(result != ANSWER_DONE || answer.number == first.number);
            CHECK(result != ANSWER_DONE || answer.value.len == first.value.len);
        } else if (result == ANSWER_MORE) {
            needed = need;
        } else {
            CHECK(result == ANSWER_BAD || len >= needed); /* it had not asked for too much */
            settled = result;
            first = answer;
            first_consumed = consumed;
        }
    }
    return first_consumed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *in = (const char *)data;
    size_t left = size < INPUT_BYTES_MAX ? size : INPUT_BYTES_MAX;
    for (size_t consumed = 1; left > 0 && consumed > 0; in += consumed, left -= consumed)
        consumed = every_cut_check(in, left);
    return 0;
}
