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

/* The sequence and the text of a half; 0 if it is not whole, or not the half that this one is in.
 * Its length is what it says it is. */
static uint64_t parse_half(struct span half, uint32_t which, struct span *text)
{
    uint64_t size, sequence, text_bytes;
    const uint32_t half_bytes = (uint32_t)half.len;
    char line[LINE_BYTES];
    if (half.len < LINE_BYTES || half.len > HALF_BYTES_MAX || !begins_with(half, VERSION))
        return 0;
    const char *at = half.data + sizeof(VERSION) - 1;
    if (!take_number(&at, DIGITS_32, &size) || !take_number(&at, HEX64_DIGITS, &sequence) ||
        !take_number(&at, DIGITS_32, &text_bytes) || size != half.len || sequence == 0 ||
        halves_which(sequence) != which || !halves_fit(half_bytes, text_bytes))
        return 0;
    *text = span_of(half.data + LINE_BYTES, text_bytes);
    format_line(line, half_bytes, sequence, *text);
    return memcmp(line, half.data, LINE_BYTES) == 0 ? sequence : 0;
}

enum err halves_parse(struct span file, struct span *text, const char **why)
{
    *why = "it is no state file of a dht-server";
    if (begins_with(file, TEXT_WORD)) {
        *text = file;
        return ERR_OK;
    }
    size_t half_bytes = file.len / 2;
    struct span texts[2], first = span_of(file.data, half_bytes);
    struct span second = half_bytes > 0 ? span_of(file.data + half_bytes, half_bytes) : first;
    if (begins_with(first, WORD) || begins_with(second, WORD))
        *why = "it is damaged";
    uint64_t sequence_1 = parse_half(first, 0, &texts[0]);
    uint64_t sequence_2 = parse_half(second, 1, &texts[1]);
    if (file.len % 2 != 0 || (sequence_1 == 0 && sequence_2 == 0))
        return ERR_SYNTAX;
    *text = sequence_1 > sequence_2 ? texts[0] : texts[1];
    return ERR_OK;
}
