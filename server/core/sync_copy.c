/* What of a copy goes into records, and comes out of them. */
#include "common/check.h"
#include "common/digest.h"
#include "common/mutant.h"
#include "common/request.h"
#include "server/core/audit_lines.h"
#include "server/core/sync_parts.h"

#include <stdlib.h>

/* --- lineage ---------------------------------------------------------------------------------- */

void copy_put_lineage(struct store *store, uint32_t slot, struct buf *out)
{
    const struct copy *copy = store_copy(store, slot);
    for (uint32_t i = 0; i < copy->lineage_count; i++)
        record_append(out,
                      &(struct record){.kind = RECORD_LAST, .LAST = {.version = copy->lineage[i]}});
}

bool copy_take_lineage(struct sync *sync, struct span list, uint32_t *count)
{
    struct record record;
    *count = 0;
    while (record_take(&list, RECORD_LAST, &record)) {
        if (*count == sync->lineage_capacity) {
            sync->lineage_capacity = sync->lineage_capacity ? 2 * sync->lineage_capacity : 16;
            sync->lineage = realloc(sync->lineage, sync->lineage_capacity * sizeof(uint64_t));
            CHECK(sync->lineage != NULL);
        }
        sync->lineage[(*count)++] = record.LAST.version;
    }
    return list.len == 0 && copy_lineage_is_valid(sync->lineage, *count);
}

/* --- what is above a version ------------------------------------------------------------------ */

void copy_put_name(struct buf *out, const struct store_key *key)
{
    record_append(out, &(struct record){.kind = RECORD_NAME,
                                        .NAME = {.position = key->position, .key = key->bytes}});
}

static bool name_item(void *arg, const struct store_key *key, const struct store_item *item)
{
    (void)item;
    copy_put_name(arg, key);
    return true;
}

/* The entries of a flush have a key too: an empty one. */
static bool name_id(void *arg, const struct store_key *key, const struct store_id *entry)
{
    (void)entry;
    copy_put_name(arg, key);
    return true;
}

void copy_put_id_names(struct store *store, uint32_t slot, uint64_t above, struct buf *out)
{
    store_ids_iterate(store, slot, above, name_id, out);
}

void copy_put_names(struct store *store, uint32_t slot, uint64_t above, struct buf *out)
{
    store_iterate(store, slot, above, name_item, out);
    copy_put_id_names(store, slot, above, out);
}

bool copy_has_flush_above(struct store *store, uint32_t slot, uint64_t above)
{
    const struct copy *copy = store_copy(store, slot);
    return copy->flush > above || copy->flush_due > above;
}

/* --- request ids ------------------------------------------------------------------------------ */

static bool put_entry(void *arg, const struct store_key *key, const struct store_id *entry)
{
    (void)key;
    record_append(arg, &(struct record){.kind = RECORD_ID,
                                        .ID = {.id = entry->id,
                                               .digest = entry->digest,
                                               .version = entry->version,
                                               .left_s = entry->left_s,
                                               .answer = entry->answer}});
    return true;
}

void copy_put_ids(struct store *store, const struct store_key *key, struct buf *out)
{
    store_ids_of(store, key, put_entry, out);
}

void copy_put_id(struct store *store, uint32_t slot, struct span id, struct buf *out)
{
    struct store_id entry;
    bool is_there = store_id_find(store, slot, id, NULL, &entry);
    CHECK(is_there);
    put_entry(out, NULL, &entry);
}

/* Reads IDs into the scratch; they borrow from list. Returns false if they are malformed. */
static bool take_ids(struct sync *sync, struct span list, uint32_t *count)
{
    struct record record;
    *count = 0;
    while (record_take(&list, RECORD_ID, &record)) {
        if (*count == sync->entries_capacity) {
            sync->entries_capacity = sync->entries_capacity ? 2 * sync->entries_capacity : 16;
            sync->entries = realloc(sync->entries, sync->entries_capacity * sizeof(*sync->entries));
            CHECK(sync->entries != NULL);
        }
        if (record.ID.id.len == 0 || record.ID.id.len > STORE_ID_BYTES_MAX ||
            record.ID.answer.len > STORE_ID_ANSWER_BYTES_MAX)
            return false;
        sync->entries[(*count)++] = (struct store_id){.id = record.ID.id,
                                                      .digest = record.ID.digest,
                                                      .version = record.ID.version,
                                                      .answer = record.ID.answer,
                                                      .left_s = record.ID.left_s};
    }
    return list.len == 0;
}

/* "In a sync the entries of a key go where the key goes: ITEM carries all entries of its key and
 * puts them in place of the receiver's; so does a WRITE to a receiver that is not synced yet (a
 * synced one adds the one entry)." */
static enum err apply_ids(struct sync *sync, const struct store_key *key, struct span ids,
                          bool is_synced)
{
    if (ids.len == 0 && is_synced)
        return ERR_OK;
    uint32_t count;
    if (!take_ids(sync, ids, &count))
        return ERR_SYNTAX;
    if (!is_synced && !MUTANT(ids_stay))
        return store_ids_replace(sync->store, key, sync->entries, count);
    enum err err = ERR_OK;
    for (uint32_t i = 0; i < count && !err; i++)
        err = store_id_add(sync->store, key, &sync->entries[i]);
    return err;
}

/* A write is never there without its id: room for that is made before it is applied. */
static enum err reserve_ids(struct store *store, struct span ids)
{
    if (ids.len == 0)
        return ERR_OK;
    size_t bytes = ids.len < STORE_ID_ANSWER_BYTES_MAX ? ids.len : STORE_ID_ANSWER_BYTES_MAX;
    return store_id_reserve(store, bytes);
}

/* --- a key ------------------------------------------------------------------------------------ */

/* TTLs travel as time left: nobody's clock is compared with another's. */
static uint32_t left_s(struct store *store, uint32_t expires_s)
{
    if (expires_s == STORE_NEVER)
        return RECORD_FOREVER;
    uint32_t now_s = store_now_s(store);
    return expires_s > now_s ? expires_s - now_s : 0;
}

static uint32_t expires_s(struct store *store, uint32_t left)
{
    if (left == RECORD_FOREVER)
        return STORE_NEVER;
    uint32_t now_s = store_now_s(store);
    return left < UINT32_MAX - now_s ? now_s + left : UINT32_MAX;
}

void copy_describe_seen(struct store *store, const struct store_key *key,
                        const struct store_item *item, struct record_CHANGE *change)
{
    change->position = key->position;
    change->key = key->bytes;
    change->version = item->version;
    change->left_s = RECORD_FOREVER;
    change->what = RECORD_TOMBSTONE;
    if (item->is_tombstone)
        return;
    change->what = RECORD_ITEM;
    change->cas = item->cas == item->version ? 0 : item->cas;
    change->flags = item->flags;
    change->left_s = left_s(store, item->expires_s);
    change->marks = item->marks;
    change->value = item->value;
}

void copy_describe(struct store *store, const struct store_key *key, struct record_CHANGE *change)
{
    struct store_item item;
    if (store_find(store, key, &item) != STORE_NONE) {
        copy_describe_seen(store, key, &item, change);
        return;
    }
    change->position = key->position;
    change->key = key->bytes;
    change->version = 0;
    change->left_s = RECORD_FOREVER;
    change->what = RECORD_ABSENT;
    change->cas = store_copy(store, position_slot(key->position))->floor;
}

static bool change_is_good(const struct record_CHANGE *change)
{
    bool has_thing = change->what == RECORD_ITEM || change->what == RECORD_TOMBSTONE;
    /* The empty key is that of the entries of flushes: nothing else is under it. */
    bool has_key = change->key.len > 0 || !has_thing;
    return change->what < RECORD_WHAT_COUNT && change->key.len <= KEY_BYTES_MAX && has_key &&
           position_slot(change->position) == change->slot &&
           (change->version > 0 || (!change->is_write && !has_thing)) &&
           change->version <= INT64_MAX && (change->marks & ~STORE_MARKS) == 0;
}

/* The item or tombstone that change says there is. */
static enum err apply_thing(struct store *store, const struct store_key *key,
                            const struct record_CHANGE *change, bool is_synced)
{
    if (change->what == RECORD_TOMBSTONE)
        return store_apply(store, key, change->version, NULL, is_synced);
    const struct store_put put = {.head = change->value,
                                  .flags = change->flags,
                                  .expires_s = expires_s(store, change->left_s),
                                  .cas = change->cas,
                                  .marks = change->marks};
    return store_apply(store, key, change->version, &put, is_synced);
}

/* "Higher version wins" is not what a sync does: see the mutant. */
static bool is_older(struct store *store, const struct store_key *key, uint64_t version)
{
    struct store_item item;
    return store_find(store, key, &item) != STORE_NONE && item.version > version;
}

static const char *what_word(uint8_t what)
{
    switch (what) {
    case RECORD_ITEM:
        return "item";
    case RECORD_TOMBSTONE:
        return "tombstone";
    case RECORD_ABSENT:
        return "absent";
    default:
        return "nothing";
    }
}

void copy_audit(struct sync *sync, const struct record_CHANGE *change, bool is_synced)
{
    struct digest digest;
    if (change->key.len == 0)
        return;                      /* entries of flushes */
    digest_of(change->key, &digest); /* of its position a sync carries only what the store needs */
    audit_applied(sync->setup.audit, sync->now, digest_position(&digest), change->version,
                  what_word(change->what), is_synced ? APPLIED_AS_WRITE : APPLIED_AS_REPAIR);
}

enum err copy_apply(struct sync *sync, const struct record_CHANGE *change, bool is_synced)
{
    if (!change_is_good(change))
        return ERR_SYNTAX;
    struct store *store = sync->store;
    struct store_key key = {.bytes = change->key, .position = change->position};
    enum err err = reserve_ids(store, change->ids);
    if (err)
        return err;
    if (change->what == RECORD_ITEM || change->what == RECORD_TOMBSTONE) {
        if (MUTANT(sync_newer_wins) && !is_synced && is_older(store, &key, change->version))
            return ERR_OK;
        err = apply_thing(store, &key, change, is_synced);
    } else if (is_synced) {
        store_apply_nothing(store, change->slot, change->version);
    } else if (change->what == RECORD_ABSENT && key.bytes.len > 0) {
        /* The source may have dropped a tombstone of it, up to its floor, which is at most common,
         * our ver (0 if we began with nothing). This copy has that no more either, from now on, and
         * must say so: END may never come. Of more it must not say so: a floor above the source's
         * may be above what another copy of the group has. */
        uint64_t ver = store_ver(store, change->slot);
        copy_raise_floor(store, change->slot, change->cas < ver ? change->cas : ver);
        store_erase(store, &key);
    }
    if (UNLIKELY(sync->setup.audit != NULL) && !err)
        copy_audit(sync, change, is_synced);
    return err ? err : apply_ids(sync, &key, change->ids, is_synced);
}

/* --- the flush -------------------------------------------------------------------------------- */

void copy_describe_flush(struct store *store, uint32_t slot, struct record_FLUSH *flush)
{
    const struct copy *copy = store_copy(store, slot);
    uint32_t now_s = store_now_s(store);
    flush->flush = copy->flush;
    flush->due = copy->flush_due;
    flush->left_s =
        copy->flush_due > 0 && copy->flush_due_s > now_s ? copy->flush_due_s - now_s : 0;
}

enum err copy_apply_flush(struct sync *sync, const struct record_FLUSH *flush, bool is_synced)
{
    if (flush->is_write && flush->version == 0)
        return ERR_SYNTAX;
    if (flush->flush > INT64_MAX || flush->due > INT64_MAX || flush->version > INT64_MAX)
        return ERR_SYNTAX;
    /* What the floor has passed every source has. */
    const struct copy *copy = store_copy(sync->store, flush->slot);
    if (flush->flush < copy->flush && copy->flush <= copy->floor)
        return ERR_SYNTAX;
    enum err err = reserve_ids(sync->store, flush->ids);
    if (err)
        return err;
    store_apply_flush(sync->store, flush->slot, flush->flush, flush->due, flush->left_s,
                      is_synced ? flush->version : 0);
    const struct store_key key = store_flush_key(flush->slot);
    return apply_ids(sync, &key, flush->ids, is_synced);
}
