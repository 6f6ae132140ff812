/* Records as a stream brings them, from any bytes. */
#include "common/check.h"
#include "common/record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A prefix of a record, in memory of its own: nothing past it is read, and more is asked for, but
 * never more than the record has. */
static void check_cut(struct span bytes, size_t len)
{
    char *copy = malloc(len);
    CHECK(copy != NULL || len == 0);
    if (len > 0)
        memcpy(copy, bytes.data, len);
    struct record record;
    size_t taken = 0;
    CHECK(record_parse(span_of(copy, len), &record, &taken) == RECORD_MORE);
    CHECK(taken > len);
    CHECK(taken <= bytes.len);
    free(copy);
}

/* A list within a record comes to an end, whatever is in it. */
static void walk_list(struct span list)
{
    struct record record;
    for (enum record_kind kind = 1; kind < RECORD_KIND_COUNT; kind++) {
        struct span rest = list;
        size_t before = rest.len;
        while (record_take(&rest, kind, &record)) {
            CHECK(rest.len < before);
            before = rest.len;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_of((const char *)data, size);
    struct record record;
    size_t taken;
    while (record_parse(bytes, &record, &taken) == RECORD_DONE) {
        CHECK(taken <= bytes.len);
        CHECK(taken == record_bytes(&record));
        struct span whole = span_of(bytes.data, taken);
        struct buf again = {0};
        record_append(&again, &record);
        CHECK(span_equal(buf_span(&again), whole));
        buf_close(&again);
        for (size_t len = 0; len < taken; len += 1 + len / 4)
            check_cut(whole, len);
        check_cut(whole, taken - 1);
        bytes = span_of(bytes.data + taken, bytes.len - taken);
    }
    walk_list(span_of((const char *)data, size));
    return 0;
}
