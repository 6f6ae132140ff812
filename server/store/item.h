/* An item in memory: one piece, a packed head, optional fields, key, value, "\r\n". A tombstone is
 * an item without optional fields, value and line end.
 *
 *     version 8 | accessed 4 | size word 4 | key length 1 | bits 1 | [flags 4] [expires 4] [cas 8]
 *     | key | value | \r\n
 *
 * 18 bytes of head: a key of 32 and a value of 100 bytes make 152, which is a chunk size. Optional
 * fields are there only where they say something (bits tell which). The size word of a small item
 * is its slot (14 bits), so that the entry that leads to it can be found when it is moved, and its
 * value's length (18 bits); that of a large item, which never moves, is the length alone. */
#ifndef DHT_SERVER_STORE_ITEM_H
#define DHT_SERVER_STORE_ITEM_H

#include "common/reply.h"
#include "server/store/arena.h"
#include "server/store/store.h"

struct item {
    uint64_t version;
    uint32_t accessed_s;
    uint32_t size_word;
    uint8_t key_bytes;
    uint8_t bits;
    char rest[]; /* optional fields, key, value, \r\n */
};

/* The lowest three bits are the STORE_MARK_… */
enum {
    ITEM_MARKS = STORE_MARKS,
    ITEM_HAS_FLAGS = 1 << 3,
    ITEM_HAS_EXPIRES = 1 << 4,
    ITEM_HAS_CAS = 1 << 5,
    ITEM_LAYOUT = ITEM_HAS_FLAGS | ITEM_HAS_EXPIRES | ITEM_HAS_CAS,
    ITEM_LARGE = 1 << 6, /* no chunk of the arena */
    ITEM_TOMBSTONE = 1 << 7
};

#define ITEM_HEAD_BYTES  offsetof(struct item, rest)
#define ITEM_LENGTH_BITS (32 - SLOT_BITS)
#define ITEM_LENGTH_MASK ((1u << ITEM_LENGTH_BITS) - 1)

_Static_assert(ITEM_HEAD_BYTES == 18, "the head is packed");
_Static_assert(ARENA_CHUNK_BYTES_MAX <= ITEM_LENGTH_MASK, "a small item's length fits");

/* All that an item is to be. The value is head followed by tail. */
struct item_fields {
    uint32_t slot;
    uint32_t accessed_s;
    uint64_t version;
    uint64_t cas; /* 0: the version is it */
    uint32_t flags;
    uint32_t expires_s;
    uint8_t marks;
    bool is_tombstone; /* then all but slot, accessed_s, version and key is 0 */
    struct span key;   /* at most 255 bytes */
    struct span head;
    struct span tail;
};

/* Where the parts of an item with these bits lie, in bytes from rest. */
static inline unsigned item_key_offset(uint8_t bits)
{
    return (bits & ITEM_HAS_FLAGS ? 4u : 0) + (bits & ITEM_HAS_EXPIRES ? 4u : 0) +
           (bits & ITEM_HAS_CAS ? 8u : 0);
}

static inline uint32_t item_value_bytes(const struct item *item)
{
    return item->bits & ITEM_LARGE ? item->size_word : item->size_word & ITEM_LENGTH_MASK;
}

/* Only of a small item. */
static inline uint32_t item_slot(const struct item *item)
{
    return item->size_word >> ITEM_LENGTH_BITS;
}

static inline size_t item_bytes(const struct item *item)
{
    return ITEM_HEAD_BYTES + item_key_offset(item->bits) + item->key_bytes +
           (size_t)item_value_bytes(item) + 2;
}

static inline struct span item_key(const struct item *item)
{
    return span_of(item->rest + item_key_offset(item->bits), item->key_bytes);
}

static inline struct span item_value(const struct item *item)
{
    struct span key = item_key(item);
    return span_of(key.data + key.len, item_value_bytes(item));
}

static inline uint32_t item_expires_s(const struct item *item)
{
    uint32_t expires_s = STORE_NEVER;
    if (item->bits & ITEM_HAS_EXPIRES)
        memcpy(&expires_s, item->rest + item_key_offset(item->bits & ITEM_HAS_FLAGS), 4);
    return expires_s;
}

/* Bytes that an item of these fields takes; the layout bits it has; whether it has to be large. */
size_t item_fields_bytes(const struct item_fields *fields);
uint8_t item_fields_layout(const struct item_fields *fields);
bool item_fields_large(const struct item_fields *fields);

/* Sets everything but key and value of an item that has the layout of fields already. */
void item_write_head(struct item *item, const struct item_fields *fields);
/* Writes the whole item; nothing in fields lies in its memory. */
void item_write(struct item *item, const struct item_fields *fields);
/* Gives an item of the same key, layout and value length all that fields say anew; head lies
 * elsewhere. */
void item_write_value(struct item *item, const struct item_fields *fields);
/* Writes the whole item over an older one, of which at most one of head and tail is a part. */
void item_write_over(struct item *item, const struct item_fields *fields);
/* Fills a view. */
void item_view(const struct item *item, struct store_item *view);
/* Makes an item a tombstone where it is. Its value's bytes stay in a large one: they may be lent.
 */
void item_bury(struct item *item, uint64_t version, uint32_t accessed_s);
/* The fields an item has; key and head borrow from it, tail is empty. */
void item_read(const struct item *item, uint32_t slot, struct item_fields *fields);

#endif
