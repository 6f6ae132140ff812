#include "common/frame.h"

#include "common/check.h"
#include "common/number.h"

#include <isa-l/crc.h>
#include <limits.h>

#define CRC_DIGITS 8u
/* " 65536 89abcdef\r\n": what follows the header in its line. */
#define LINE_TAIL_BYTES_MAX (1 + 5 + 1 + CRC_DIGITS + 2)

_Static_assert(FRAME_BODY_BYTES_MAX <= 99999, "five digits are reserved for the body's length");

uint32_t crc32c(uint32_t crc, struct span bytes)
{
    CHECK(bytes.len <= INT_MAX);
    if (bytes.len == 0)
        return crc;
    /* ISA-L leaves the inversions before and after to its caller and never writes to the buffer. */
    return ~crc32_iscsi((unsigned char *)bytes.data, (int)bytes.len, ~crc);
}

/* Cuts the last word off line and gives it; line keeps what stands before the space. */
static struct span take_last_word(struct span *line)
{
    const char *space = line->len ? memrchr(line->data, ' ', line->len) : NULL;
    if (!space)
        return span_of(NULL, 0);
    struct span word = span_of(space + 1, (size_t)(line->data + line->len - space) - 1);
    line->len = (size_t)(space - line->data);
    return word;
}

/* What the header line says, once it is whole. */
struct frame_line {
    struct span header;
    struct span checked; /* header and the length, up to and including the space before the CRC */
    uint64_t body_bytes;
    uint64_t crc;
};

/* line without its LF. */
static bool line_parse(struct span line, struct frame_line *out)
{
    if (line.len == 0 || line.data[line.len - 1] != '\r')
        return false;
    struct span rest = span_of(line.data, line.len - 1);
    struct span crc = take_last_word(&rest);
    out->checked = span_of(rest.data, rest.len + 1);
    struct span body_bytes = take_last_word(&rest);
    out->header = rest;
    return rest.len > 0 && number_parse_hex(crc, CRC_DIGITS, &out->crc) &&
           number_parse_decimal(body_bytes, FRAME_BODY_BYTES_MAX, &out->body_bytes);
}

enum frame_parse frame_parse(const char *in, size_t len, struct frame *frame, size_t *consumed,
                             size_t *need)
{
    size_t searched = len < FRAME_HEADER_BYTES_MAX ? len : FRAME_HEADER_BYTES_MAX;
    const char *line_end = len > 0 ? memchr(in, '\n', searched) : NULL;
    if (!line_end) {
        *need = len + 1;
        return len < FRAME_HEADER_BYTES_MAX ? FRAME_MORE : FRAME_BAD_SYNTAX;
    }
    struct frame_line line;
    if (!line_parse(span_of(in, (size_t)(line_end - in)), &line))
        return FRAME_BAD_SYNTAX;
    const char *body_data = line_end + 1;
    struct span body = span_of(body_data, (size_t)line.body_bytes);
    size_t total = (size_t)(body_data - in) + body.len + 2;
    if (len < total) {
        *need = total;
        return FRAME_MORE;
    }
    if (memcmp(body.data + body.len, "\r\n", 2) != 0)
        return FRAME_BAD_SYNTAX;
    if (crc32c(crc32c(0, line.checked), body) != line.crc)
        return FRAME_BAD_CRC;
    *frame = (struct frame){.header = line.header, .body = body};
    *consumed = total;
    return FRAME_DONE;
}

/* Writes the header and its length field at to; the CRC of these goes to crc. Returns the end. */
static char *line_begin(char *to, struct span header, size_t body_bytes, uint32_t *crc)
{
    CHECK(header.len > 0);
    CHECK(header.len <= FRAME_HEADER_BYTES_MAX - LINE_TAIL_BYTES_MAX);
    CHECK(body_bytes <= FRAME_BODY_BYTES_MAX);
    char *at = to;
    memcpy(at, header.data, header.len);
    at += header.len;
    *at++ = ' ';
    at = number_format_decimal(at, body_bytes);
    *at++ = ' ';
    *crc = crc32c(0, span_of(to, (size_t)(at - to)));
    return at;
}

static char *line_finish(char *at, uint32_t crc)
{
    at = number_format_hex(at, crc, CRC_DIGITS);
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

void frame_append(struct reply *out, struct span header, struct span body)
{
    char *to = reply_room(out, header.len + LINE_TAIL_BYTES_MAX + body.len + 2);
    uint32_t crc;
    char *at = line_begin(to, header, body.len, &crc);
    at = line_finish(at, crc32c(crc, body));
    if (body.len > 0)
        memcpy(at, body.data, body.len);
    at += body.len;
    *at++ = '\r';
    *at++ = '\n';
    reply_advance(out, (size_t)(at - to));
}

/* The CRC over what reply holds, in the order in which it goes out. */
static uint32_t reply_crc32c(uint32_t crc, const struct reply *reply)
{
    struct span bytes = buf_span(&reply->bytes);
    size_t at = 0;
    for (uint32_t i = 0; i < reply->piece_count; i++) {
        const struct reply_piece *piece = &reply->pieces[i];
        if (piece->at > at)
            crc = crc32c(crc, span_of(bytes.data + at, piece->at - at));
        crc = crc32c(crc, piece->borrowed);
        at = piece->at;
    }
    return bytes.len > at ? crc32c(crc, span_of(bytes.data + at, bytes.len - at)) : crc;
}

void frame_append_reply(struct reply *out, struct span header, struct reply *body)
{
    char *to = reply_room(out, header.len + LINE_TAIL_BYTES_MAX);
    uint32_t crc;
    char *at = line_begin(to, header, reply_len(body), &crc);
    at = line_finish(at, reply_crc32c(crc, body));
    reply_advance(out, (size_t)(at - to));
    reply_move(out, body);
    reply_append(out, SPAN_LITERAL("\r\n"));
}
