#include "server/store/item.h"

#include "common/check.h"

uint8_t item_fields_layout(const struct item_fields *fields)
{
    return (uint8_t)((fields->flags != 0 ? ITEM_HAS_FLAGS : 0) |
                     (fields->expires_s != STORE_NEVER ? ITEM_HAS_EXPIRES : 0) |
                     (fields->cas != 0 ? ITEM_HAS_CAS : 0));
}

size_t item_fields_bytes(const struct item_fields *fields)
{
    return ITEM_HEAD_BYTES + item_key_offset(item_fields_layout(fields)) + fields->key.len +
           fields->head.len + fields->tail.len + 2;
}

/* A value that answers may borrow must not move, so it is no chunk even where it would fit one. */
bool item_fields_large(const struct item_fields *fields)
{
    return fields->head.len + fields->tail.len >= REPLY_BORROW_BYTES_MIN ||
           item_fields_bytes(fields) > ARENA_CHUNK_BYTES_MAX;
}

/* The fields that an item of this layout has beside its key and value. */
static void write_optional(struct item *item, uint8_t layout, const struct item_fields *fields)
{
    char *at = item->rest;
    if (layout & ITEM_HAS_FLAGS) {
        memcpy(at, &fields->flags, sizeof(fields->flags));
        at += sizeof(fields->flags);
    }
    if (layout & ITEM_HAS_EXPIRES) {
        memcpy(at, &fields->expires_s, sizeof(fields->expires_s));
        at += sizeof(fields->expires_s);
    }
    if (layout & ITEM_HAS_CAS)
        memcpy(at, &fields->cas, sizeof(fields->cas));
}

void item_write_head(struct item *item, const struct item_fields *fields)
{
    uint8_t layout = item_fields_layout(fields);
    uint32_t value_bytes = (uint32_t)(fields->head.len + fields->tail.len);
    bool large = item_fields_large(fields);
    item->version = fields->version;
    item->accessed_s = fields->accessed_s;
    item->size_word = large ? value_bytes : fields->slot << ITEM_LENGTH_BITS | value_bytes;
    item->key_bytes = (uint8_t)fields->key.len;
    item->bits = (uint8_t)(layout | fields->marks | (large ? ITEM_LARGE : 0) |
                           (fields->is_tombstone ? ITEM_TOMBSTONE : 0));
    write_optional(item, layout, fields);
}

static void copy(char *to, struct span from)
{
    if (from.len > 0)
        memmove(to, from.data, from.len);
}

void item_write(struct item *item, const struct item_fields *fields)
{
    item_write_head(item, fields);
    char *key = item->rest + item_key_offset(item->bits);
    char *value = key + fields->key.len;
    copy(key, fields->key);
    copy(value, fields->head);
    copy(value + fields->head.len, fields->tail);
    memcpy(value + fields->head.len + fields->tail.len, "\r\n", 2);
}

void item_write_value(struct item *item, const struct item_fields *fields)
{
    uint8_t layout = item->bits & ITEM_LAYOUT;
    CHECK(fields->head.len == item_value_bytes(item));
    item->version = fields->version;
    item->accessed_s = fields->accessed_s;
    item->bits = (uint8_t)((item->bits & ~ITEM_MARKS) | fields->marks);
    if (UNLIKELY(layout != 0))
        write_optional(item, layout, fields);
    if (fields->head.len > 0)
        memcpy(item->rest + item_key_offset(layout) + item->key_bytes, fields->head.data,
               fields->head.len);
}

void item_write_over(struct item *item, const struct item_fields *fields)
{
    char *value = item->rest + item_key_offset(item_fields_layout(fields)) + fields->key.len;
    struct item_fields rest = *fields;
    bool tail_inside = fields->tail.data >= item->rest &&
                       fields->tail.data < item->rest + item_bytes(item) - ITEM_HEAD_BYTES;
    /* The part that comes from the old item goes first, while it is whole. */
    if (tail_inside) {
        copy(value + fields->head.len, fields->tail);
        rest.tail.data = value + fields->head.len;
    } else {
        copy(value, fields->head);
        rest.head.data = value;
    }
    item_write(item, &rest);
}

void item_bury(struct item *item, uint64_t version, uint32_t accessed_s)
{
    memmove(item->rest, item->rest + item_key_offset(item->bits), item->key_bytes);
    item->version = version;
    item->accessed_s = accessed_s;
    item->size_word &= item->bits & ITEM_LARGE ? 0 : ~ITEM_LENGTH_MASK;
    item->bits = ITEM_TOMBSTONE | (item->bits & ITEM_LARGE);
}

void item_view(const struct item *item, struct store_item *view)
{
    size_t bytes = item_bytes(item);
    unsigned at = item->bits & ITEM_HAS_FLAGS ? 4 : 0;
    view->value = item_value(item);
    view->version = item->version;
    view->cas = item->version;
    view->flags = 0;
    view->expires_s = item_expires_s(item);
    view->accessed_s = item->accessed_s;
    view->marks = item->bits & ITEM_MARKS;
    view->is_tombstone = item->bits & ITEM_TOMBSTONE;
    view->item_bytes = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
    view->handle = (void *)item;
    if (item->bits & ITEM_HAS_FLAGS)
        memcpy(&view->flags, item->rest, sizeof(view->flags));
    if (item->bits & ITEM_HAS_EXPIRES)
        at += 4;
    if (item->bits & ITEM_HAS_CAS)
        memcpy(&view->cas, item->rest + at, sizeof(view->cas));
}

void item_read(const struct item *item, uint32_t slot, struct item_fields *fields)
{
    struct store_item view;
    item_view(item, &view);
    *fields = (struct item_fields){
        .slot = slot,
        .accessed_s = view.accessed_s,
        .version = view.version,
        .cas = view.cas == view.version ? 0 : view.cas,
        .flags = view.flags,
        .expires_s = view.expires_s,
        .marks = view.marks,
        .is_tombstone = view.is_tombstone,
        .key = item_key(item),
        .head = view.value,
    };
}
