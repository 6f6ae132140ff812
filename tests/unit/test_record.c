/* Records of streams between nodes: what is written is read, and nothing else. */
#include "common/record.h"

#include "common/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct record random_record(struct prng *prng, char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)prng_next(prng);
    struct record record;
    for (size_t i = 0; i < sizeof(record); i++)
        ((uint8_t *)&record)[i] = (uint8_t)prng_next(prng);
    record.kind = 1 + (enum record_kind)prng_below(prng, RECORD_KIND_COUNT - 1);
#define RANDOM_U8(field)     (void)(field)
#define RANDOM_U16(field)    (void)(field)
#define RANDOM_U32(field)    (void)(field)
#define RANDOM_U64(field)    (void)(field)
#define RANDOM_DIGEST(field) (void)(field)
#define RANDOM_SHORT(field)  (field) = span_of(bytes, prng_below(prng, (uint32_t)len))
#define RANDOM_BYTES(field)  (field) = span_of(bytes, prng_below(prng, (uint32_t)len))
    switch (record.kind) {
#define FIELD(type, name) RANDOM_##type(of->name);
#define RECORD(word, fields)                                                                       \
    case RECORD_##word: {                                                                          \
        struct record_##word *of = &record.word;                                                   \
        fields break;                                                                              \
    }
#include "common/record_list.h"
#undef RECORD
#undef FIELD
    case RECORD_NONE:
    case RECORD_KIND_COUNT:
        fail();
    }
    return record;
}

/* Parses a copy that is exactly so long, so that a read past it is seen. */
static enum record_parse parse_copy(struct span bytes, size_t *taken, struct buf *again)
{
    char *copy = malloc(bytes.len);
    assert_true(copy != NULL || bytes.len == 0);
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    struct record record;
    enum record_parse result = record_parse(span_of(copy, bytes.len), &record, taken);
    if (result == RECORD_DONE && again)
        record_append(again, &record);
    free(copy);
    return result;
}

static void what_is_written_is_read_however_it_is_cut(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 1);
    char bytes[300];
    for (int round = 0; round < 3000; round++) {
        struct buf out = {0}, again = {0};
        struct record record = random_record(&prng, bytes, sizeof(bytes));
        record_append(&out, &record);
        struct span whole = buf_span(&out);
        assert_int_equal(whole.len, record_bytes(&record));
        size_t taken;
        for (size_t cut = 0; cut < whole.len; cut += 1 + cut / 8) {
            assert_int_equal(parse_copy(span_of(whole.data, cut), &taken, NULL), RECORD_MORE);
            assert_true(taken > cut);
            assert_true(taken <= whole.len);
        }
        assert_int_equal(parse_copy(whole, &taken, &again), RECORD_DONE);
        assert_int_equal(taken, whole.len);
        assert_true(span_equal(buf_span(&again), whole));
        buf_close(&out);
        buf_close(&again);
    }
}

static void a_range_reads_as_documented(void **state)
{
    (void)state;
    struct buf out = {0};
    record_append(&out,
                  &(struct record){.kind = RECORD_RANGE, .RANGE = {.first = 0x102, .last = 0x304}});
    static const uint8_t want[] = {RECORD_RANGE, 4, 0, 0, 0, 2, 1, 4, 3};
    assert_int_equal(buf_len(&out), sizeof(want));
    assert_memory_equal(buf_span(&out).data, want, sizeof(want));
    assert_string_equal(record_word(RECORD_RANGE), "RANGE");
    assert_string_equal(record_word(RECORD_OFFER), "OFFER");
    buf_close(&out);
}

static void a_record_of_no_kind_is_refused_at_its_first_byte(void **state)
{
    (void)state;
    static const uint8_t kinds[] = {RECORD_NONE, RECORD_KIND_COUNT, 0x80, 0xff};
    for (size_t i = 0; i < sizeof(kinds); i++) {
        size_t taken;
        assert_int_equal(parse_copy(span_of((const char *)&kinds[i], 1), &taken, NULL), RECORD_BAD);
    }
}

static void a_length_that_is_not_that_of_the_fields_is_refused(void **state)
{
    (void)state;
    struct buf out = {0};
    record_append(&out, &(struct record){.kind = RECORD_MARK, .MARK = {.number = 9}});
    size_t taken;
    out.data[1]--; /* a byte short */
    assert_int_equal(parse_copy(buf_span(&out), &taken, NULL), RECORD_BAD);
    out.data[1] += 2; /* a byte too many */
    buf_append(&out, "x", 1);
    assert_int_equal(parse_copy(buf_span(&out), &taken, NULL), RECORD_BAD);
    buf_close(&out);
}

static void a_length_above_the_bound_is_refused_before_it_is_there(void **state)
{
    (void)state;
    char header[RECORD_HEADER_BYTES] = {RECORD_CHANGE};
    uint32_t len = RECORD_BYTES_MAX - RECORD_HEADER_BYTES;
    for (size_t i = 0; i < 4; i++)
        header[1 + i] = (char)(len >> 8 * i);
    size_t taken;
    assert_int_equal(parse_copy(span_of(header, sizeof(header)), &taken, NULL), RECORD_MORE);
    assert_int_equal(taken, RECORD_BYTES_MAX);
    len++;
    for (size_t i = 0; i < 4; i++)
        header[1 + i] = (char)(len >> 8 * i);
    assert_int_equal(parse_copy(span_of(header, sizeof(header)), &taken, NULL), RECORD_BAD);
}

static void a_field_longer_than_its_record_is_refused(void **state)
{
    (void)state;
    struct buf out = {0};
    record_append(&out,
                  &(struct record){.kind = RECORD_NAME, .NAME = {.key = SPAN_LITERAL("abc")}});
    size_t taken;
    out.data[RECORD_HEADER_BYTES + 8]++;
    assert_int_equal(parse_copy(buf_span(&out), &taken, NULL), RECORD_BAD);
    buf_close(&out);
}

static void a_list_is_taken_one_by_one_and_its_end_is_told_from_dirt(void **state)
{
    (void)state;
    struct buf out = {0};
    for (uint64_t i = 0; i < 3; i++)
        record_append(&out, &(struct record){.kind = RECORD_LAST, .LAST = {.version = i}});
    struct span list = buf_span(&out);
    struct record record;
    for (uint64_t i = 0; i < 3; i++) {
        assert_true(record_take(&list, RECORD_LAST, &record));
        assert_true(record.LAST.version == i);
    }
    assert_false(record_take(&list, RECORD_LAST, &record));
    assert_int_equal(list.len, 0);
    list = buf_span(&out);
    assert_false(record_take(&list, RECORD_NAME, &record));
    assert_true(list.len > 0);
    list.len--;
    assert_true(record_take(&list, RECORD_LAST, &record));
    assert_true(record_take(&list, RECORD_LAST, &record));
    assert_false(record_take(&list, RECORD_LAST, &record));
    assert_true(list.len > 0);
    buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_however_it_is_cut),
        cmocka_unit_test(a_range_reads_as_documented),
        cmocka_unit_test(a_record_of_no_kind_is_refused_at_its_first_byte),
        cmocka_unit_test(a_length_that_is_not_that_of_the_fields_is_refused),
        cmocka_unit_test(a_length_above_the_bound_is_refused_before_it_is_there),
        cmocka_unit_test(a_field_longer_than_its_record_is_refused),
        cmocka_unit_test(a_list_is_taken_one_by_one_and_its_end_is_told_from_dirt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
