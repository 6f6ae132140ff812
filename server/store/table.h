/* The table of one slot: open addressing, linear probing.
 *
 * An entry is one word: 20 bits of the key's position (its tag) and the item's address / 8 in 44;
 * 0 is an empty entry. An entry's home is proportional to its tag, so a table can grow by any
 * factor without looking at the items. At least one entry is empty, so that every probe ends. The
 * capacity is kept by the slot, beside the table's address, to spare a look-up a cache line. */
#ifndef DHT_SERVER_STORE_TABLE_H
#define DHT_SERVER_STORE_TABLE_H

#include "common/check.h"
#include "common/digest.h"
#include "server/store/item.h"

#define TABLE_TAG_BITS     20
#define TABLE_TAGS         (1u << TABLE_TAG_BITS)
#define TABLE_POINTER_BITS (64 - TABLE_TAG_BITS)
#define TABLE_NONE         UINT32_MAX /* no such entry */

struct table {
    uint32_t count; /* entries in use: < capacity */
    uint32_t slot;  /* whose it is, so that it can be moved */
    uint64_t entries[];
};

static inline size_t table_bytes(uint32_t capacity)
{
    return sizeof(struct table) + (size_t)capacity * sizeof(uint64_t);
}

static inline uint32_t position_tag(uint64_t position)
{
    return (uint32_t)(position << SLOT_BITS >> TABLE_POINTER_BITS);
}

static inline uint64_t table_entry(uint32_t tag, const struct item *item)
{
    return (uint64_t)tag << TABLE_POINTER_BITS | (uintptr_t)item >> 3;
}

static inline uint32_t entry_tag(uint64_t entry)
{
    return (uint32_t)(entry >> TABLE_POINTER_BITS);
}

static inline struct item *entry_item(uint64_t entry)
{
    return (struct item *)(uintptr_t)(entry << TABLE_TAG_BITS >> (TABLE_TAG_BITS - 3));
}

static inline uint32_t table_home(uint32_t capacity, uint32_t tag)
{
    return (uint32_t)((uint64_t)tag * capacity >> TABLE_TAG_BITS);
}

static inline uint32_t table_next(uint32_t capacity, uint32_t index)
{
    return index + 1 == capacity ? 0 : index + 1;
}

/* Whether the entry of this index is the key's. */
static inline bool table_has_at(const struct table *table, uint32_t index, uint32_t tag,
                                struct span key)
{
    uint64_t entry = table->entries[index];
    return entry != 0 && entry_tag(entry) == tag && span_equal(item_key(entry_item(entry)), key);
}

/* Index of the key's entry, or TABLE_NONE. */
static inline uint32_t table_find(const struct table *table, uint32_t capacity, uint32_t tag,
                                  struct span key)
{
    uint32_t index = table_home(capacity, tag);
    for (; table->entries[index] != 0; index = table_next(capacity, index))
        if (table_has_at(table, index, tag, key))
            return index;
    return TABLE_NONE;
}

/* Index of the entry that leads to item, which must be there. Looks at all entries: the tag is not
 * known. */
uint32_t table_find_item(const struct table *table, uint32_t capacity, const struct item *item);
/* Adds an entry; the table has room, and none for this key. */
void table_insert(struct table *table, uint32_t capacity, uint64_t entry);
/* Removes an entry; entries behind it may move up, none to before it save around the end. */
void table_remove(struct table *table, uint32_t capacity, uint32_t index);
/* CHECKs that every entry can be found. */
void table_check(const struct table *table, uint32_t capacity);

#endif
