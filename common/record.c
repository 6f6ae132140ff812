#include "common/record.h"

#include "common/check.h"

#include <endian.h>

static const char *const words[] = {
#define FIELD(type, name)
#define RECORD(word, fields) [RECORD_##word] = #word,
#include "common/record_list.h"
#undef RECORD
#undef FIELD
};

const char *record_word(enum record_kind kind)
{
    CHECK(kind > RECORD_NONE);
    CHECK(kind < RECORD_KIND_COUNT);
    return words[kind];
}

/* Parsing. rest is what of the record follows the fields already read. */

static ALWAYS_INLINE bool take_bytes(struct span *rest, void *to, size_t len)
{
    if (rest->len < len)
        return false;
    memcpy(to, rest->data, len);
    *rest = span_of(rest->data + len, rest->len - len);
    return true;
}

static ALWAYS_INLINE bool take_span(struct span *rest, struct span *to, size_t len)
{
    if (rest->len < len)
        return false;
    *to = span_of(rest->data, len);
    *rest = span_of(rest->data + len, rest->len - len);
    return true;
}

static ALWAYS_INLINE bool parse_U8(struct span *rest, uint8_t *value)
{
    return take_bytes(rest, value, sizeof(*value));
}

static ALWAYS_INLINE bool parse_U16(struct span *rest, uint16_t *value)
{
    bool is_there = take_bytes(rest, value, sizeof(*value));
    *value = le16toh(*value);
    return is_there;
}

static ALWAYS_INLINE bool parse_U32(struct span *rest, uint32_t *value)
{
    bool is_there = take_bytes(rest, value, sizeof(*value));
    *value = le32toh(*value);
    return is_there;
}

static ALWAYS_INLINE bool parse_U64(struct span *rest, uint64_t *value)
{
    bool is_there = take_bytes(rest, value, sizeof(*value));
    *value = le64toh(*value);
    return is_there;
}

static ALWAYS_INLINE bool parse_DIGEST(struct span *rest, struct digest *digest)
{
    return take_bytes(rest, digest->bytes, DIGEST_BYTES);
}

static ALWAYS_INLINE bool parse_SHORT(struct span *rest, struct span *value)
{
    uint16_t len = 0;
    return parse_U16(rest, &len) && take_span(rest, value, len);
}

static ALWAYS_INLINE bool parse_BYTES(struct span *rest, struct span *value)
{
    uint32_t len = 0;
    return parse_U32(rest, &len) && take_span(rest, value, len);
}

/* clang-format off */
#define FIELD(type, name)               \
    if (!parse_##type(rest, &to->name)) \
        return false;
#define RECORD(word, fields)                                            \
    static bool parse_##word(struct span all, struct record_##word *to) \
    {                                                                   \
        struct span *rest = &all;                                       \
        fields                                                          \
        return rest->len == 0;                                          \
    }
/* clang-format on */
#include "common/record_list.h"
#undef RECORD
#undef FIELD

static bool parse_fields(struct span rest, struct record *record)
{
    switch (record->kind) {
#define FIELD(type, name)
#define RECORD(word, fields)                                                                       \
    case RECORD_##word:                                                                            \
        return parse_##word(rest, &record->word);
#include "common/record_list.h"
#undef RECORD
#undef FIELD
    case RECORD_NONE:
    case RECORD_KIND_COUNT:
        break;
    }
    return false;
}

enum record_parse record_parse(struct span bytes, struct record *record, size_t *taken)
{
    *taken = RECORD_HEADER_BYTES;
    if (bytes.len > 0 && (bytes.data[0] <= RECORD_NONE || bytes.data[0] >= RECORD_KIND_COUNT))
        return RECORD_BAD;
    if (bytes.len < RECORD_HEADER_BYTES)
        return RECORD_MORE;
    struct span rest = span_of(bytes.data + 1, bytes.len - 1);
    uint32_t len = 0;
    if (!parse_U32(&rest, &len) || len > RECORD_BYTES_MAX - RECORD_HEADER_BYTES)
        return RECORD_BAD;
    *taken += len;
    if (rest.len < len)
        return RECORD_MORE;
    record->kind = (enum record_kind)bytes.data[0];
    return parse_fields(span_of(rest.data, len), record) ? RECORD_DONE : RECORD_BAD;
}

bool record_take(struct span *list, enum record_kind kind, struct record *record)
{
    size_t taken;
    if (list->len == 0 || record_parse(*list, record, &taken) != RECORD_DONE ||
        record->kind != kind)
        return false;
    *list = span_of(list->data + taken, list->len - taken);
    return true;
}

/* Formatting. Each function writes at to and returns the end of what it wrote. */

#define BYTES_OF_U8(value)     sizeof(value)
#define BYTES_OF_U16(value)    sizeof(value)
#define BYTES_OF_U32(value)    sizeof(value)
#define BYTES_OF_U64(value)    sizeof(value)
#define BYTES_OF_DIGEST(value) DIGEST_BYTES
#define BYTES_OF_SHORT(value)  (sizeof(uint16_t) + (value).len)
#define BYTES_OF_BYTES(value)  (sizeof(uint32_t) + (value).len)

size_t record_bytes(const struct record *record)
{
    switch (record->kind) {
#define FIELD(type, name) +BYTES_OF_##type(from->name)
#define RECORD(word, fields)                                                                       \
    case RECORD_##word: {                                                                          \
        const struct record_##word *from = &record->word;                                          \
        return RECORD_HEADER_BYTES fields;                                                         \
    }
#include "common/record_list.h"
#undef RECORD
#undef FIELD
    case RECORD_NONE:
    case RECORD_KIND_COUNT:
        break;
    }
    CHECK(record->kind > RECORD_NONE);
    CHECK(record->kind < RECORD_KIND_COUNT);
    return 0;
}

static ALWAYS_INLINE char *format_U8(char *to, uint8_t value)
{
    *to = (char)value;
    return to + 1;
}

static ALWAYS_INLINE char *format_U16(char *to, uint16_t value)
{
    value = htole16(value);
    memcpy(to, &value, sizeof(value));
    return to + sizeof(value);
}

static ALWAYS_INLINE char *format_U32(char *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof(value));
    return to + sizeof(value);
}

static ALWAYS_INLINE char *format_U64(char *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof(value));
    return to + sizeof(value);
}

static ALWAYS_INLINE char *format_DIGEST(char *to, struct digest digest)
{
    memcpy(to, digest.bytes, DIGEST_BYTES);
    return to + DIGEST_BYTES;
}

static ALWAYS_INLINE char *format_span(char *to, struct span value)
{
    if (value.len > 0)
        memcpy(to, value.data, value.len);
    return to + value.len;
}

static ALWAYS_INLINE char *format_SHORT(char *to, struct span value)
{
    CHECK(value.len <= UINT16_MAX);
    return format_span(format_U16(to, (uint16_t)value.len), value);
}

static ALWAYS_INLINE char *format_BYTES(char *to, struct span value)
{
    CHECK(value.len <= RECORD_BYTES_MAX);
    return format_span(format_U32(to, (uint32_t)value.len), value);
}

/* clang-format off */
#define FIELD(type, name) to = format_##type(to, from->name);
#define RECORD(word, fields)                                              \
    static char *format_##word(char *to, const struct record_##word *from) \
    {                                                                     \
        fields                                                            \
        return to;                                                        \
    }
/* clang-format on */
#include "common/record_list.h"
#undef RECORD
#undef FIELD

static char *format_fields(char *to, const struct record *record)
{
    switch (record->kind) {
#define FIELD(type, name)
#define RECORD(word, fields)                                                                       \
    case RECORD_##word:                                                                            \
        return format_##word(to, &record->word);
#include "common/record_list.h"
#undef RECORD
#undef FIELD
    case RECORD_NONE:
    case RECORD_KIND_COUNT:
        break;
    }
    return to;
}

void record_append(struct buf *out, const struct record *record)
{
    size_t bytes = record_bytes(record);
    CHECK(bytes <= RECORD_BYTES_MAX);
    char *start = buf_reserve(out, bytes);
    char *at = format_U8(start, (uint8_t)record->kind);
    at = format_U32(at, (uint32_t)(bytes - RECORD_HEADER_BYTES));
    at = format_fields(at, record);
    CHECK((size_t)(at - start) == bytes);
    buf_advance(out, bytes);
}
