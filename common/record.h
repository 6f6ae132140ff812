/* Records: what streams between nodes carry, as structs; parser and formatter made from
 * record_list.h.
 *
 * Parsing is in place and resumable: a record is looked at once all of it is there, and its first
 * RECORD_HEADER_BYTES say how long it is. Sizes are bounded before use. Knows nothing of what a
 * record is for. */
#ifndef DHT_COMMON_RECORD_H
#define DHT_COMMON_RECORD_H

#include "common/digest.h"
#include "common/reply.h"

#define RECORD_HEADER_BYTES 5u
/* The largest value a node can be told to hold, and what else a CHANGE of it carries. */
#define RECORD_VALUE_BYTES_MAX (128u * 1024 * 1024)
#define RECORD_BYTES_MAX       (RECORD_VALUE_BYTES_MAX + 64u * 1024 * 1024)

#define RECORD_FOREVER UINT32_MAX /* a left_s: does not expire */

enum record_kind {
    RECORD_NONE, /* 0 is no record */
#define FIELD(type, name)
#define RECORD(word, fields) RECORD_##word,
#include "common/record_list.h"
#undef RECORD
#undef FIELD
    RECORD_KIND_COUNT
};

/* What a CHANGE says of its key. */
enum record_what {
    RECORD_ITEM,
    RECORD_TOMBSTONE,
    RECORD_ABSENT,  /* there is neither: only as an ITEM */
    RECORD_NOTHING, /* the key is as it was: a WRITE that only takes a version (and has an id) */
    RECORD_WHAT_COUNT
};

#define RECORD_TYPE_U8     uint8_t
#define RECORD_TYPE_U16    uint16_t
#define RECORD_TYPE_U32    uint32_t
#define RECORD_TYPE_U64    uint64_t
#define RECORD_TYPE_DIGEST struct digest
#define RECORD_TYPE_SHORT  struct span
#define RECORD_TYPE_BYTES  struct span

#define FIELD(type, name) RECORD_TYPE_##type name;
#define RECORD(word, fields)                                                                       \
    struct record_##word {                                                                         \
        fields                                                                                     \
    };
#include "common/record_list.h"
#undef RECORD
#undef FIELD

/* One record. SHORT and BYTES fields borrow from the bytes (parse) or the caller (format). */
struct record {
    enum record_kind kind;
    union {
#define FIELD(type, name)
#define RECORD(word, fields) struct record_##word word;
#include "common/record_list.h"
#undef RECORD
#undef FIELD
    };
};

enum record_parse { RECORD_DONE, RECORD_MORE, RECORD_BAD };

/* Parses the record that bytes begin with.
 * taken  out. RECORD_DONE: bytes it took. RECORD_MORE: how many it takes in all, as far as is
 *        known: at most RECORD_BYTES_MAX.
 * Returns RECORD_BAD for an unknown kind, one too long, and one whose fields do not fill it. */
enum record_parse record_parse(struct span bytes, struct record *record, size_t *taken);

/* Takes the next record off a list (a body, or a BYTES field), which must be of this kind.
 * Returns false at its end, and at whatever is malformed: list->len is 0 in the first case only. */
bool record_take(struct span *list, enum record_kind kind, struct record *record);

/* Appends the record. Its length is at most RECORD_BYTES_MAX, a SHORT at most UINT16_MAX
 * (CHECKed). */
void record_append(struct buf *out, const struct record *record);
/* Bytes that record_append writes. */
size_t record_bytes(const struct record *record);
/* "OFFER", … */
const char *record_word(enum record_kind kind);

#endif
