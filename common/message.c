#include "common/message.h"

#include "common/check.h"
#include "common/number.h"
#include "common/view.h"

#define TOKEN_BYTES_MAX (ADDRESS_TEXT_BYTES_MAX - 1)

/* The longest header each message can have fits a frame's line, with 32 bytes for length, CRC and
 * line end. */
#define FIELD_BYTES_MAX_U64    DECIMAL_BYTES_MAX
#define FIELD_BYTES_MAX_ROUND  DECIMAL_BYTES_MAX
#define FIELD_BYTES_MAX_U32    10
#define FIELD_BYTES_MAX_HEX64  HEX64_DIGITS
#define FIELD_BYTES_MAX_DIGEST (2 * DIGEST_BYTES)
#define FIELD_BYTES_MAX_TOKEN  TOKEN_BYTES_MAX
#define FIELD_BYTES_MAX_WORD   MESSAGE_WORD_BYTES_MAX
#define FIELD(type, name)      +1 + FIELD_BYTES_MAX_##type
#define MESSAGE(word, fields)                                                                      \
    _Static_assert(sizeof(#word) fields <= FRAME_HEADER_BYTES_MAX - 32, #word " fits a frame");
#include "common/message_list.h"
#undef MESSAGE
#undef FIELD

static const struct span words[] = {
#define MESSAGE(word, fields) [MESSAGE_##word] = {#word, sizeof(#word) - 1},
#include "common/message_list.h"
#undef MESSAGE
};

const char *message_word(enum message_kind kind)
{
    CHECK(kind < MESSAGE_KIND_COUNT);
    return words[kind].data;
}

/* Parsing. rest is what of the header follows the fields already read: each field is a space and
 * the bytes up to the next one. No type of field may be empty. */

static bool take_field(struct span *rest, struct span *field)
{
    if (rest->len == 0 || rest->data[0] != ' ')
        return false;
    const char *start = rest->data + 1;
    const char *end = memchr(start, ' ', rest->len - 1);
    *field = span_of(start, end ? (size_t)(end - start) : rest->len - 1);
    *rest = span_of(start + field->len, rest->len - 1 - field->len);
    return true;
}

static bool is_token(struct span text, size_t len_max)
{
    if (text.len == 0 || text.len > len_max)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c <= ' ' || c == 0x7f)
            return false;
    }
    return true;
}

static bool parse_U64(struct span field, uint64_t *value)
{
    return number_parse_decimal(field, UINT64_MAX, value);
}

/* A ballot's: one that none can be above is malformed. */
static bool parse_ROUND(struct span field, uint64_t *value)
{
    return number_parse_decimal(field, VIEW_ROUND_MAX, value);
}

static bool parse_U32(struct span field, uint32_t *value)
{
    uint64_t wide;
    if (!number_parse_decimal(field, UINT32_MAX, &wide))
        return false;
    *value = (uint32_t)wide;
    return true;
}

static bool parse_HEX64(struct span field, uint64_t *value)
{
    return number_parse_hex(field, HEX64_DIGITS, value);
}

static bool parse_DIGEST(struct span field, struct digest *digest)
{
    if (field.len != 2 * DIGEST_BYTES)
        return false;
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        uint64_t byte;
        if (!number_parse_hex(span_of(field.data + 2 * i, 2), 2, &byte))
            return false;
        digest->bytes[i] = (uint8_t)byte;
    }
    return true;
}

static bool parse_TOKEN(struct span field, struct span *token)
{
    *token = field;
    return is_token(field, TOKEN_BYTES_MAX);
}

static bool parse_WORD(struct span field, struct span *word)
{
    *word = field;
    return is_token(field, MESSAGE_WORD_BYTES_MAX);
}

/* clang-format off */
#define FIELD(type, name)                                              \
    if (!take_field(&rest, &field) || !parse_##type(field, &to->name)) \
        return false;
#define MESSAGE(word, fields)                                             \
    static bool parse_##word(struct span rest, struct message_##word *to) \
    {                                                                     \
        struct span field;                                                \
        fields                                                            \
        return rest.len == 0;                                             \
    }
/* clang-format on */
#include "common/message_list.h"
#undef MESSAGE
#undef FIELD

static bool parse_kind(struct span header, enum message_kind *kind, struct span *rest)
{
    const char *space = memchr(header.data, ' ', header.len);
    struct span word = span_of(header.data, space ? (size_t)(space - header.data) : header.len);
    *rest = span_of(header.data + word.len, header.len - word.len);
    for (*kind = 0; *kind < MESSAGE_KIND_COUNT; (*kind)++)
        if (span_equal(word, words[*kind]))
            return true;
    return false;
}

enum err message_parse(const struct frame *frame, struct message *message)
{
    struct span rest;
    if (frame->header.len == 0 || !parse_kind(frame->header, &message->kind, &rest))
        return ERR_SYNTAX;
    message->body = frame->body;
    bool is_good = false;
    switch (message->kind) {
#define MESSAGE(word, fields)                                                                      \
    case MESSAGE_##word:                                                                           \
        is_good = parse_##word(rest, &message->word);                                              \
        break;
#include "common/message_list.h"
#undef MESSAGE
    case MESSAGE_KIND_COUNT:
        break;
    }
    return is_good ? ERR_OK : ERR_SYNTAX;
}

bool message_hello_versions(const struct frame *frame, uint32_t *oldest, uint32_t *newest)
{
    enum message_kind kind;
    struct span rest, field;
    return frame->header.len > 0 && parse_kind(frame->header, &kind, &rest) &&
           kind == MESSAGE_HELLO && take_field(&rest, &field) && parse_U32(field, oldest) &&
           take_field(&rest, &field) && parse_U32(field, newest);
}

/* Formatting. Each function writes at to and returns the end of what it wrote. */

static char *format_U64(char *to, uint64_t value)
{
    return number_format_decimal(to, value);
}

static char *format_ROUND(char *to, uint64_t value)
{
    return number_format_decimal(to, value);
}

static char *format_U32(char *to, uint32_t value)
{
    return number_format_decimal(to, value);
}

static char *format_HEX64(char *to, uint64_t value)
{
    return number_format_hex(to, value, HEX64_DIGITS);
}

static char *format_DIGEST(char *to, struct digest digest)
{
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        to = number_format_hex(to, digest.bytes[i], 2);
    return to;
}

static char *format_TOKEN(char *to, struct span token)
{
    CHECK(is_token(token, TOKEN_BYTES_MAX));
    memcpy(to, token.data, token.len);
    return to + token.len;
}

static char *format_WORD(char *to, struct span word)
{
    CHECK(is_token(word, MESSAGE_WORD_BYTES_MAX));
    memcpy(to, word.data, word.len);
    return to + word.len;
}

/* clang-format off */
#define FIELD(type, name) \
    *to++ = ' ';          \
    to = format_##type(to, from->name);
#define MESSAGE(word, fields)                                               \
    static char *format_##word(char *to, const struct message_##word *from) \
    {                                                                       \
        fields                                                              \
        return to;                                                          \
    }
/* clang-format on */
#include "common/message_list.h"
#undef MESSAGE
#undef FIELD

/* Writes word and fields into storage. */
static struct span format_header(const struct message *message,
                                 char storage[FRAME_HEADER_BYTES_MAX])
{
    CHECK(message->kind < MESSAGE_KIND_COUNT);
    struct span word = words[message->kind];
    memcpy(storage, word.data, word.len);
    char *end = storage + word.len;
    switch (message->kind) {
#define MESSAGE(word, fields)                                                                      \
    case MESSAGE_##word:                                                                           \
        end = format_##word(end, &message->word);                                                  \
        break;
#include "common/message_list.h"
#undef MESSAGE
    case MESSAGE_KIND_COUNT:
        break;
    }
    return span_of(storage, (size_t)(end - storage));
}

void message_append(struct reply *out, const struct message *message)
{
    char storage[FRAME_HEADER_BYTES_MAX];
    frame_append(out, format_header(message, storage), message->body);
}

void message_append_reply(struct reply *out, const struct message *message, struct reply *body)
{
    CHECK(message->body.len == 0);
    char storage[FRAME_HEADER_BYTES_MAX];
    frame_append_reply(out, format_header(message, storage), body);
}
