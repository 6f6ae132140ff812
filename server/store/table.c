#include "server/store/table.h"

uint32_t table_find_item(const struct table *table, uint32_t capacity, const struct item *item)
{
    uint64_t wanted = table_entry(0, item);
    uint64_t mask = UINT64_MAX >> TABLE_TAG_BITS;
    for (uint32_t index = 0; index < capacity; index++)
        if ((table->entries[index] & mask) == wanted)
            return index;
    return TABLE_NONE;
}

void table_insert(struct table *table, uint32_t capacity, uint64_t entry)
{
    CHECK(table->count + 1 < capacity);
    uint32_t index = table_home(capacity, entry_tag(entry));
    while (table->entries[index] != 0)
        index = table_next(capacity, index);
    table->entries[index] = entry;
    table->count++;
}

/* Entries to go from home forward, around the end, to index. */
static uint32_t distance(uint32_t capacity, uint32_t home, uint32_t index)
{
    return index >= home ? index - home : index + capacity - home;
}

void table_remove(struct table *table, uint32_t capacity, uint32_t index)
{
    CHECK(table->entries[index] != 0);
    uint32_t hole = index;
    uint64_t entry;
    while ((entry = table->entries[index = table_next(capacity, index)]) != 0) {
        /* An entry may fill the hole unless its home lies behind the hole. */
        uint32_t home = table_home(capacity, entry_tag(entry));
        if (distance(capacity, home, index) < distance(capacity, hole, index))
            continue;
        table->entries[hole] = entry;
        hole = index;
    }
    table->entries[hole] = 0;
    table->count--;
}

void table_check(const struct table *table, uint32_t capacity)
{
    uint32_t count = 0;
    for (uint32_t index = 0; index < capacity; index++) {
        uint64_t entry = table->entries[index];
        if (entry == 0)
            continue;
        count++;
        uint32_t at = table_home(capacity, entry_tag(entry));
        while (at != index) {
            CHECK(table->entries[at] != 0);
            at = table_next(capacity, at);
        }
    }
    CHECK(count == table->count);
    CHECK(count < capacity);
}
