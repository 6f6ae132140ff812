/* The request parser, fed with anything: cutting the bytes anywhere tells the same story as giving
 * them whole, nothing outside of them is read, and a request's own line parses to the same request.
 *
 * The first two bytes choose the value limit and where to cut. */
#include "tests/request_story.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Feeds in, in pieces that seed chooses; 0: whole. */
static struct buf story_in_pieces(struct span in, uint32_t value_bytes_max, uint32_t seed)
{
    struct story_feed feed = {.limits = {.value_bytes_max = value_bytes_max}};
    while (in.len > 0) {
        size_t piece = in.len;
        if (seed != 0) {
            seed = seed * 1664525u + 1013904223u;
            piece = 1 + (seed >> 24) % (seed & 0x10000 ? 4 : 128);
        }
        if (piece > in.len)
            piece = in.len;
        story_feed(&feed, span_of(in.data, piece));
        in.data += piece;
        in.len -= piece;
    }
    return story_end(&feed);
}

/* The first request of in, and its own line alone, as a forward carries it. */
static void check_line(struct span in, uint32_t value_bytes_max)
{
    struct request_limits limits = {.value_bytes_max = value_bytes_max};
    struct request_parser parser = {0}, again = {0};
    static struct request request, copy;
    size_t consumed, need;
    if (request_parse(&parser, &limits, in.data, in.len, &request, &consumed, &need) !=
            PARSE_DONE ||
        request.part == PART_PIECE || request.too_large)
        return;
    CHECK(consumed == request.line.len);
    CHECK(request_parse(&again, &limits, request.line.data, request.line.len, &copy, &consumed,
                        &need) == PARSE_DONE);
    CHECK(consumed == request.line.len);
    struct buf one = {0}, two = {0};
    story_request(&one, &request);
    story_request(&two, &copy);
    CHECK(span_equal(buf_span(&one), buf_span(&two)));
    buf_close(&one);
    buf_close(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    uint32_t value_bytes_max = data[0];
    uint32_t seed = 1u + data[1];
    struct span in = span_of((const char *)data + 2, size - 2);
    struct buf whole = story_in_pieces(in, value_bytes_max, 0);
    struct buf cut = story_in_pieces(in, value_bytes_max, seed);
    CHECK(span_equal(buf_span(&whole), buf_span(&cut)));
    buf_close(&whole);
    buf_close(&cut);
    check_line(in, value_bytes_max);
    return 0;
}
