/* The state file's halves: of any bytes the text found lies within them, and putting it in a half
 * of that size gives the same again; and of a change that came in part either text is read. */
#include "common/check.h"
#include "server/state_halves.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HALF_BYTES 512u

static void read_any(struct span file)
{
    struct span text, again;
    struct buf half = {0};
    struct halves_read read;
    const char *why = NULL;
    enum err err = halves_parse(file, &text, &read, &why);
    CHECK(why != NULL);
    if (err)
        return;
    CHECK(read.is_damaged || !halves_may_lack(&read));
    CHECK(text.data >= file.data && text.data + text.len <= file.data + file.len);
    if (text.data == file.data)
        return; /* of earlier versions */
    halves_format((uint32_t)(file.len / 2), 1, text, &half);
    memset(buf_reserve(&half, file.len / 2), 0, file.len / 2);
    buf_advance(&half, file.len / 2);
    CHECK(halves_parse(buf_span(&half), &again, &read, &why) == ERR_OK);
    CHECK(span_equal(text, again));
    CHECK(read.sequence == 1 && !read.is_damaged);
    buf_close(&half);
}

/* What is read of a file of which one half is lost and the other one was overwritten in part;
 * either text, or nothing: the CRC does not tell what else it might be. */
static void tear(struct span before, struct span after, size_t from, size_t to)
{
    struct span text;
    struct buf file = {0}, change = {0};
    struct halves_read read;
    const char *why;
    halves_format(HALF_BYTES, 1, before, &file);
    memset(buf_reserve(&file, HALF_BYTES), 0, HALF_BYTES);
    buf_advance(&file, HALF_BYTES);
    halves_format(HALF_BYTES, 3, after, &change);
    memcpy(file.data + from, change.data + from, to - from);
    if (halves_parse(buf_span(&file), &text, &read, &why) == ERR_OK)
        CHECK(span_equal(text, before) || span_equal(text, after));
    change.start = change.end = 0;
    halves_format(HALF_BYTES, 2, before, &change);
    memcpy(file.data + HALF_BYTES, change.data, HALF_BYTES);
    CHECK(halves_parse(buf_span(&file), &text, &read, &why) == ERR_OK);
    CHECK(span_equal(text, before) || span_equal(text, after));
    CHECK(!read.is_damaged || read.sequence == 2);
    buf_close(&file);
    buf_close(&change);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = span_of((const char *)data, size);
    read_any(bytes);
    if (size < 2 || !halves_fit(HALF_BYTES, size - 2))
        return 0;
    size_t from = data[0] * 2u, to = data[1] * 2u, middle = 2 + (size - 2) / 2;
    tear(span_of(bytes.data + 2, middle - 2), span_of(bytes.data + middle, size - middle),
         from < to ? from : to, from < to ? to : from);
    return 0;
}
