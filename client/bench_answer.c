#include "client/bench_answer.h"

#include "common/check.h"
#include "common/number.h"

#define VALUE_BYTES_MAX (UINT64_C(1) << 30) /* no server here stores more */

static void take(struct span *stream, size_t len)
{
    CHECK(len <= stream->len);
    stream->data += len;
    stream->len -= len;
}

static bool starts_with(struct span text, const char *start, size_t len)
{
    return text.len >= len && memcmp(text.data, start, len) == 0;
}

#define STARTS_WITH(text, literal) starts_with(text, literal, sizeof(literal) - 1)

static bool is_expected_key(const struct bench_dialect *dialect, struct bench_asked asked,
                            const char *key)
{
    if (dialect->multiget > 1) /* a cluster may merge the values in another order */
        return true;
    char expected[BENCH_KEY_BYTES_MAX];
    bench_keys_write(dialect->keys, asked.number, expected);
    return memcmp(key, expected, dialect->keys->key_bytes) == 0;
}

/* Whether a value may come now: in RESP those of several keys stand in an array. */
static bool may_be_item(const struct bench_answer *answer, const struct bench_dialect *dialect)
{
    return dialect->protocol == BENCH_MEMCACHED || dialect->multiget == 1 || answer->is_begun;
}

/* Takes a whole hit exactly as expected, the usual case, with four comparisons. Returns whether it
 * did; anything else is left to the line by line reading below. */
static bool take_whole_hit(struct bench_answer *answer, const struct bench_dialect *dialect,
                           struct bench_asked asked, struct span *stream)
{
    const char *at = stream->data;
    if (stream->len < dialect->hit_bytes || !may_be_item(answer, dialect) ||
        memcmp(at, dialect->hit_head.data, dialect->hit_head.len) != 0)
        return false;
    at += dialect->hit_head.len;
    if (dialect->protocol == BENCH_MEMCACHED) {
        if (!is_expected_key(dialect, asked, at))
            return false;
        at += dialect->keys->key_bytes;
    }
    if (memcmp(at, dialect->hit_middle.data, dialect->hit_middle.len) != 0 ||
        memcmp(stream->data + dialect->hit_bytes - 2, "\r\n", 2) != 0)
        return false;
    take(stream, dialect->hit_bytes);
    answer->hits++;
    answer->items++;
    return true;
}

static struct span next_word(struct span *line)
{
    const char *space = memchr(line->data, ' ', line->len);
    struct span word =
        span_of(line->data, space != NULL ? (size_t)(space - line->data) : line->len);
    take(line, word.len + (space != NULL ? 1 : 0));
    return word;
}

static enum bench_scan begin_body(struct bench_answer *answer, const struct bench_dialect *dialect,
                                  struct span bytes_text)
{
    uint64_t bytes;
    if (!number_parse_decimal(bytes_text, VALUE_BYTES_MAX, &bytes))
        return BENCH_SCAN_BAD;
    if (bytes == dialect->value_bytes)
        answer->hits++;
    else
        answer->is_wrong = true;
    answer->body_left = bytes + 2;
    return BENCH_SCAN_MORE;
}

static enum bench_scan read_memcached_line(struct bench_answer *answer,
                                           const struct bench_dialect *dialect,
                                           struct bench_asked asked, struct span line)
{
    if (STARTS_WITH(line, "SERVER_ERROR") || STARTS_WITH(line, "CLIENT_ERROR") ||
        STARTS_WITH(line, "ERROR")) {
        answer->is_refused = true;
        return BENCH_SCAN_DONE;
    }
    if (asked.is_set)
        return span_equal(line, SPAN_LITERAL("STORED")) ? BENCH_SCAN_DONE : BENCH_SCAN_BAD;
    if (span_equal(line, SPAN_LITERAL("END"))) {
        if (answer->hits > dialect->multiget)
            answer->is_wrong = true;
        return BENCH_SCAN_DONE;
    }
    if (!STARTS_WITH(line, "VALUE "))
        return BENCH_SCAN_BAD;
    take(&line, 6);
    struct span key = next_word(&line);
    next_word(&line); /* flags: whatever they are */
    if (key.len != dialect->keys->key_bytes || !is_expected_key(dialect, asked, key.data))
        answer->is_wrong = true;
    return begin_body(answer, dialect, next_word(&line));
}

/* Counts one element of a RESP answer as read: a null, or one whose body has ended. */
static enum bench_scan end_resp_item(struct bench_answer *answer,
                                     const struct bench_dialect *dialect)
{
    answer->items++;
    return answer->items == dialect->multiget ? BENCH_SCAN_DONE : BENCH_SCAN_MORE;
}

static enum bench_scan read_resp_line(struct bench_answer *answer,
                                      const struct bench_dialect *dialect, struct bench_asked asked,
                                      struct span line)
{
    if (STARTS_WITH(line, "-")) {
        answer->is_refused = true;
        return BENCH_SCAN_DONE;
    }
    if (asked.is_set)
        return span_equal(line, SPAN_LITERAL("+OK")) ? BENCH_SCAN_DONE : BENCH_SCAN_BAD;
    if (!may_be_item(answer, dialect)) { /* only the right count lets the stream be followed */
        uint64_t count;
        answer->is_begun =
            STARTS_WITH(line, "*") &&
            number_parse_decimal(span_of(line.data + 1, line.len - 1), UINT32_MAX, &count) &&
            count == dialect->multiget;
        return answer->is_begun ? BENCH_SCAN_MORE : BENCH_SCAN_BAD;
    }
    if (span_equal(line, SPAN_LITERAL("$-1")))
        return end_resp_item(answer, dialect);
    if (STARTS_WITH(line, "$"))
        return begin_body(answer, dialect, span_of(line.data + 1, line.len - 1));
    return BENCH_SCAN_BAD;
}

/* Counts through a value and its CRLF. */
static enum bench_scan read_body(struct bench_answer *answer, const struct bench_dialect *dialect,
                                 struct span *stream)
{
    if (answer->body_left > 2) {
        uint64_t value_left = answer->body_left - 2;
        size_t len = value_left < stream->len ? (size_t)value_left : stream->len;
        take(stream, len);
        answer->body_left -= len;
    }
    while (answer->body_left <= 2 && answer->body_left > 0 && stream->len > 0) {
        if (stream->data[0] != (answer->body_left == 2 ? '\r' : '\n'))
            return BENCH_SCAN_BAD;
        take(stream, 1);
        answer->body_left--;
    }
    bool is_over = answer->body_left == 0;
    return is_over && dialect->protocol == BENCH_RESP ? end_resp_item(answer, dialect)
                                                      : BENCH_SCAN_MORE;
}

/* Keeps a line's beginning until the rest comes. */
static enum bench_scan keep_line(struct bench_answer *answer, struct span *stream, size_t len)
{
    if (answer->line_len + len > sizeof(answer->line))
        return BENCH_SCAN_BAD;
    memcpy(answer->line + answer->line_len, stream->data, len);
    answer->line_len += (uint32_t)len;
    take(stream, len);
    return BENCH_SCAN_MORE;
}

static enum bench_scan read_line(struct bench_answer *answer, const struct bench_dialect *dialect,
                                 struct bench_asked asked, struct span *stream)
{
    const char *newline = memchr(stream->data, '\n', stream->len);
    if (newline == NULL)
        return keep_line(answer, stream, stream->len);
    size_t len = (size_t)(newline - stream->data) + 1;
    struct span line = span_of(stream->data, len);
    if (answer->line_len > 0) {
        if (keep_line(answer, stream, len) == BENCH_SCAN_BAD)
            return BENCH_SCAN_BAD;
        line = span_of(answer->line, answer->line_len);
        answer->line_len = 0;
    } else {
        take(stream, len);
    }
    if (line.len < 2 || line.data[line.len - 2] != '\r')
        return BENCH_SCAN_BAD;
    line.len -= 2;
    return dialect->protocol == BENCH_MEMCACHED ? read_memcached_line(answer, dialect, asked, line)
                                                : read_resp_line(answer, dialect, asked, line);
}

enum bench_scan bench_answer_scan(struct bench_answer *answer, const struct bench_dialect *dialect,
                                  struct bench_asked asked, struct span *stream)
{
    enum bench_scan scan = BENCH_SCAN_MORE;
    while (scan == BENCH_SCAN_MORE && stream->len > 0) {
        if (answer->body_left > 0)
            scan = read_body(answer, dialect, stream);
        else if (!asked.is_set && answer->line_len == 0 &&
                 take_whole_hit(answer, dialect, asked, stream)) {
            if (dialect->protocol == BENCH_RESP && answer->items == dialect->multiget)
                scan = BENCH_SCAN_DONE;
        } else
            scan = read_line(answer, dialect, asked, stream);
    }
    return scan;
}
