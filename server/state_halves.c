#include "server/state_halves.h"

#include "common/check.h"
#include "common/frame.h"
#include "common/number.h"
#include "server/core/state.h"

#define WORD            "dht-half "
#define VERSION         WORD "1 "
#define TEXT_WORD       "dht-state " /* state.h: what a text begins with */
#define DIGITS_32       8u
#define LINE_BYTES      (sizeof(VERSION) - 1 + DIGITS_32 + 1 + HEX64_DIGITS + 1 + 2 * (DIGITS_32 + 1))
#define CHECKED_BYTES   (LINE_BYTES - DIGITS_32 - 1) /* of the line, by the CRC */
#define TEXT_BYTES_ROOM 2u                           /* so many times its length */

_Static_assert(STATE_TEXT_BYTES_MAX + LINE_BYTES <= HALF_BYTES_MAX, "every text fits");

uint32_t halves_size(size_t text_bytes)
{
    uint32_t size = HALF_BYTES_MIN;
    CHECK(text_bytes <= STATE_TEXT_BYTES_MAX);
    while (size < HALF_BYTES_MAX && size < TEXT_BYTES_ROOM * text_bytes + LINE_BYTES)
        size *= 2;
    return size;
}

bool halves_fit(uint32_t half_bytes, size_t text_bytes)
{
    return half_bytes >= LINE_BYTES && text_bytes <= half_bytes - LINE_BYTES;
}

uint32_t halves_which(uint64_t sequence)
{
    CHECK(sequence > 0);
    return (sequence - 1) % 2;
}

/* Writes the line of a half with that text at to. */
static void format_line(char to[LINE_BYTES], uint32_t half_bytes, uint64_t sequence,
                        struct span text)
{
    char *at = to + sizeof(VERSION) - 1;
    memcpy(to, VERSION, sizeof(VERSION) - 1);
    at = number_format_hex(at, half_bytes, DIGITS_32);
    *at++ = ' ';
    at = number_format_hex(at, sequence, HEX64_DIGITS);
    *at++ = ' ';
    at = number_format_hex(at, text.len, DIGITS_32);
    *at++ = ' ';
    CHECK(at == to + CHECKED_BYTES);
    at = number_format_hex(at, crc32c(crc32c(0, span_of(to, CHECKED_BYTES)), text), DIGITS_32);
    *at = '\n';
}

void halves_format(uint32_t half_bytes, uint64_t sequence, struct span text, struct buf *out)
{
    CHECK(halves_fit(half_bytes, text.len));
    CHECK(sequence > 0);
    char *to = buf_reserve(out, half_bytes);
    format_line(to, half_bytes, sequence, text);
    if (text.len > 0)
        memcpy(to + LINE_BYTES, text.data, text.len);
    memset(to + LINE_BYTES + text.len, 0, half_bytes - LINE_BYTES - text.len);
    buf_advance(out, half_bytes);
}

static bool begins_with(struct span bytes, const char *word)
{
    size_t len = strlen(word);
    return bytes.len >= len && memcmp(bytes.data, word, len) == 0;
}

/* Takes a number and the space behind it. */
static bool take_number(const char **at, unsigned digits, uint64_t *number)
{
    if (!number_parse_hex(span_of(*at, digits), digits, number) || (*at)[digits] != ' ')
        return false;
    *at += digits + 1;
    return true;
}

/* What the line of a half says: its own length, its sequence and how long the text is. Returns
 * false if it is none. */
static bool take_line(struct span half, uint64_t *size, uint64_t *sequence, uint64_t *text_bytes)
{
    if (half.len < LINE_BYTES || !begins_with(half, VERSION))
        return false;
    const char *at = half.data + sizeof(VERSION) - 1;
    return take_number(&at, DIGITS_32, size) && take_number(&at, HEX64_DIGITS, sequence) &&
           take_number(&at, DIGITS_32, text_bytes);
}

/* The sequence and the text of a half; 0 if it is not whole, or not the half that this one is in.
 * Its length is what it says it is. */
static uint64_t parse_half(struct span half, uint32_t which, struct span *text)
{
    uint64_t size, sequence, text_bytes;
    const uint32_t half_bytes = (uint32_t)half.len;
    char line[LINE_BYTES];
    if (half.len > HALF_BYTES_MAX || !take_line(half, &size, &sequence, &text_bytes) ||
        size != half.len || sequence == 0 || halves_which(sequence) != which ||
        !halves_fit(half_bytes, text_bytes))
        return 0;
    *text = span_of(half.data + LINE_BYTES, text_bytes);
    format_line(line, half_bytes, sequence, *text);
    return memcmp(line, half.data, LINE_BYTES) == 0 ? sequence : 0;
}

static bool is_zeros(struct span bytes)
{
    return bytes.len == 0 ||
           (bytes.data[0] == 0 && memcmp(bytes.data, bytes.data + 1, bytes.len - 1) == 0);
}

/* The half that the text is not in. */
static void look_at_other(struct span other, bool is_whole, struct halves_read *read)
{
    uint64_t size, text_bytes;
    read->is_damaged = !is_whole && !is_zeros(other);
    if (!read->is_damaged || !take_line(other, &size, &read->damaged, &text_bytes))
        read->damaged = 0;
}

bool halves_may_lack(const struct halves_read *read)
{
    return read->is_damaged && (read->damaged == 0 || read->damaged > read->sequence);
}

enum err halves_parse(struct span file, struct span *text, struct halves_read *read,
                      const char **why)
{
    *why = "it is no state file of a dht-server";
    *read = (struct halves_read){0};
    if (begins_with(file, TEXT_WORD)) {
        *text = file;
        return ERR_OK;
    }
    size_t half_bytes = file.len / 2;
    struct span texts[2], halves[2] = {span_of(file.data, half_bytes)};
    halves[1] = half_bytes > 0 ? span_of(file.data + half_bytes, half_bytes) : halves[0];
    if (begins_with(halves[0], WORD) || begins_with(halves[1], WORD))
        *why = "it is damaged";
    uint64_t sequences[2];
    for (uint32_t which = 0; which < 2; which++)
        sequences[which] = parse_half(halves[which], which, &texts[which]);
    if (file.len % 2 != 0 || (sequences[0] == 0 && sequences[1] == 0))
        return ERR_SYNTAX;
    const uint32_t newer = sequences[0] > sequences[1] ? 0 : 1;
    *text = texts[newer];
    read->sequence = sequences[newer];
    look_at_other(halves[1 - newer], sequences[1 - newer] != 0, read);
    return ERR_OK;
}
