#include "common/answer.h"

#include "common/check.h"
#include "common/number.h"

enum answer_shape {
    SHAPE_BARE,
    SHAPE_TEXT,
    SHAPE_PAUSE,
    SHAPE_STAT,
    SHAPE_VALUE,
    SHAPE_META,
    SHAPE_DATA,
    SHAPE_RING,
    SHAPE_LIST,
    SHAPE_REPORT
};

static const struct answer_word {
    struct span word;
    enum answer_shape shape;
} answer_words[] = {
#define ANSWER_WORD(id, word, shape) [ANSWER_##id] = {{word, sizeof(word) - 1}, SHAPE_##shape},
    ANSWER_LIST(ANSWER_WORD)
#undef ANSWER_WORD
};

/* Takes the next word and the space behind it from the front of rest; an empty one at its end. */
static struct span word_take(struct span *rest)
{
    const char *space = rest->len ? memchr(rest->data, ' ', rest->len) : NULL;
    struct span word = span_of(rest->data, space ? (size_t)(space - rest->data) : rest->len);
    size_t taken = word.len + (space ? 1 : 0);
    *rest = span_of(rest->data + taken, rest->len - taken);
    return word;
}

static bool number_take(struct span *rest, uint64_t max, uint64_t *number)
{
    return number_parse_decimal(word_take(rest), max, number);
}

/* flag = letter [token]; only what our own clients ask for is looked at. */
static bool flag_parse(char letter, struct span token, struct answer *answer)
{
    uint64_t number;
    switch (letter) {
    case 'c':
        return number_parse_decimal(token, UINT64_MAX, &answer->cas);
    case 'f':
        if (!number_parse_decimal(token, UINT32_MAX, &number))
            return false;
        answer->flags = (uint32_t)number;
        return true;
    case 't':
        if (span_equal(token, SPAN_LITERAL("-1")))
            return true;
        if (!number_parse_decimal(token, INT64_MAX, &number))
            return false;
        answer->ttl_s = (int64_t)number;
        return true;
    case 'O':
        answer->opaque = token;
        return true;
    default:
        return true;
    }
}

/* flags = *(SP flag) */
static bool flags_parse(struct span rest, struct answer *answer)
{
    answer->text = rest;
    while (rest.len > 0) {
        struct span flag = word_take(&rest);
        if (flag.len > 0 && !flag_parse(flag.data[0], span_of(flag.data + 1, flag.len - 1), answer))
            return false;
    }
    return true;
}

/* <key> <flags> <bytes> [<cas unique>] */
static bool value_line_parse(struct span rest, uint64_t bytes_max, struct answer *answer,
                             uint64_t *bytes)
{
    uint64_t flags;
    answer->name = word_take(&rest);
    if (answer->name.len == 0 || !number_take(&rest, UINT32_MAX, &flags) ||
        !number_take(&rest, bytes_max, bytes))
        return false;
    answer->flags = (uint32_t)flags;
    return rest.len == 0 || number_parse_decimal(rest, UINT64_MAX, &answer->cas);
}

/* <milliseconds> " ms" [" " opaque] */
static bool pause_parse(struct span rest, struct answer *answer)
{
    if (!number_take(&rest, UINT32_MAX, &answer->number) ||
        !span_equal(word_take(&rest), SPAN_LITERAL("ms")))
        return false;
    answer->text = rest;
    return rest.len == 0 || rest.data[0] == 'O';
}

/* <hash> [<members>] */
static bool ring_parse(struct span rest, struct answer *answer)
{
    uint64_t count;
    return number_parse_hex(word_take(&rest), HEX64_DIGITS, &answer->number) &&
           (rest.len == 0 || number_parse_decimal(rest, UINT32_MAX, &count));
}

/* Parses what follows the word.
 * bytes  out: of the value to come; only shapes VALUE, DATA, LIST and REPORT have one. */
static bool shape_parse(enum answer_shape shape, struct span rest, uint64_t bytes_max,
                        struct answer *answer, uint64_t *bytes)
{
    switch (shape) {
    case SHAPE_BARE:
        return rest.len == 0;
    case SHAPE_TEXT:
        answer->text = rest;
        return true;
    case SHAPE_PAUSE:
        return pause_parse(rest, answer);
    case SHAPE_STAT:
        answer->name = word_take(&rest);
        answer->text = rest;
        return answer->name.len > 0;
    case SHAPE_VALUE:
        return value_line_parse(rest, bytes_max, answer, bytes);
    case SHAPE_META:
        return flags_parse(rest, answer);
    case SHAPE_DATA:
        return number_take(&rest, bytes_max, bytes) && flags_parse(rest, answer);
    case SHAPE_RING:
        return ring_parse(rest, answer);
    case SHAPE_LIST:
        return number_take(&rest, UINT64_MAX, &answer->number) &&
               number_parse_decimal(rest, bytes_max, bytes);
    case SHAPE_REPORT:
        return number_parse_decimal(rest, bytes_max, bytes);
    }
    CHECK(false);
}

/* Whether line is the word alone or the word and a space; rest is then what follows. */
static bool word_fits(struct span line, struct span word, struct span *rest)
{
    if (line.len < word.len || memcmp(line.data, word.data, word.len) != 0)
        return false;
    if (line.len > word.len && line.data[word.len] != ' ')
        return false;
    size_t taken = line.len > word.len ? word.len + 1 : word.len;
    *rest = span_of(line.data + taken, line.len - taken);
    return true;
}

static bool line_parse(struct span line, uint64_t bytes_max, struct answer *answer, uint64_t *bytes)
{
    struct span rest;
    for (size_t i = 0; i < ARRAY_COUNT(answer_words); i++) {
        answer->kind = (enum answer_kind)i;
        if (word_fits(line, answer_words[i].word, &rest) &&
            shape_parse(answer_words[i].shape, rest, bytes_max, answer, bytes))
            return true;
    }
    answer->kind = ANSWER_NUMBER;
    return number_parse_decimal(line, UINT64_MAX, &answer->number);
}

static enum answer_parse more(size_t bytes, size_t *need)
{
    *need = bytes;
    return ANSWER_MORE;
}

enum answer_parse answer_parse(const char *in, size_t len, uint32_t value_bytes_max,
                               struct answer *answer, size_t *consumed, size_t *need)
{
    *answer = (struct answer){.kind = ANSWER_KIND_COUNT, .ttl_s = -1};
    size_t searched = len < ANSWER_LINE_BYTES_MAX + 2 ? len : ANSWER_LINE_BYTES_MAX + 2;
    const char *newline = searched ? memchr(in, '\n', searched) : NULL;
    if (!newline)
        return searched < ANSWER_LINE_BYTES_MAX + 2 ? more(len + 1, need) : ANSWER_BAD;
    if (newline == in || newline[-1] != '\r')
        return ANSWER_BAD;
    struct span line = span_of(in, (size_t)(newline - 1 - in));
    size_t line_bytes = line.len + 2;
    uint64_t value_bytes = 0;
    if (!line_parse(line, value_bytes_max, answer, &value_bytes))
        return ANSWER_BAD;
    bool is_document = answer->kind == ANSWER_MEMBERSHIP || answer->kind == ANSWER_REPORT;
    if (answer->kind != ANSWER_VALUE && answer->kind != ANSWER_META_DATA && !is_document) {
        *consumed = line_bytes;
        return ANSWER_DONE;
    }
    struct span end = is_document ? SPAN_LITERAL("\r\nEND\r\n") : SPAN_LITERAL("\r\n");
    size_t whole = line_bytes + value_bytes + end.len;
    if (len < whole)
        return more(whole, need);
    if (memcmp(in + whole - end.len, end.data, end.len) != 0)
        return ANSWER_BAD;
    answer->value = span_of(in + line_bytes, value_bytes);
    *consumed = whole;
    return ANSWER_DONE;
}
