#include "server/store/ids.h"

#include "common/check.h"
#include "server/store/reclaim.h"
#include "server/store/slots.h"

#define PAGE_ROOM_BYTES                                                                            \
    (PAGE_BYTES - 64) /* so that a page, with its heads, is one of the system's */
#define CHAIN_COUNT_MIN    1024u
#define CHAIN_LOAD_MAX     2u               /* entries a chain, when the index is made larger */
#define ID_RESERVE_BYTES   (2 * PAGE_BYTES) /* left over for deletes */
#define WASTEFUL_PAGES_MIN 4u
#define SQUEEZED_PAGES     3u /* given back, at most, when a page is added */
/* Set in the version of an entry that stays while a key's entries are replaced. */
#define STAYS (UINT64_C(1) << 63)

struct id_page {
    struct id_page *next;
    uint32_t seen; /* entries up to here have gone */
    uint32_t end;  /* of the last entry */
    char entries[PAGE_ROOM_BYTES];
};

struct id_entry {
    struct id_link by_slot; /* next NULL and before NULL: taken out */
    struct id_link by_id;
    struct id_link by_key;
    uint64_t version;
    uint64_t position; /* of the key, as far as the store goes */
    uint32_t until_s;
    uint16_t answer_bytes;
    uint8_t id_bytes;
    uint8_t key_bytes;
    struct digest digest;
    char bytes[]; /* id, key, answer */
};

#define ENTRY_ALIGN 8u

_Static_assert(sizeof(struct id_page) + 16 <= PAGE_BYTES, "a page is one of the system's");
_Static_assert(STORE_ID_ANSWER_BYTES_MAX <= UINT16_MAX, "an answer's length fits");

static size_t entry_bytes(size_t id_bytes, size_t key_bytes, size_t answer_bytes)
{
    size_t bytes = sizeof(struct id_entry) + id_bytes + key_bytes + answer_bytes;
    return (bytes + ENTRY_ALIGN - 1) / ENTRY_ALIGN * ENTRY_ALIGN;
}

static size_t entry_size(const struct id_entry *entry)
{
    return entry_bytes(entry->id_bytes, entry->key_bytes, entry->answer_bytes);
}

static struct id_entry *page_entry(const struct id_page *page, uint32_t at)
{
    return (struct id_entry *)(page->entries + at);
}

static bool entry_is_out(const struct id_entry *entry)
{
    return entry->by_slot.before == NULL;
}

static struct span entry_id(const struct id_entry *entry)
{
    return span_of(entry->bytes, entry->id_bytes);
}

static struct span entry_key(const struct id_entry *entry)
{
    return span_of(entry->bytes + entry->id_bytes, entry->key_bytes);
}

static uint32_t entry_slot(const struct id_entry *entry)
{
    return position_slot(entry->position);
}

/* Chains */

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

static struct id_link *id_chain(const struct id_log *log, uint32_t slot, struct span id)
{
    uint64_t hash = slot;
    for (size_t i = 0; i < id.len; i++)
        hash = (hash ^ (uint8_t)id.data[i]) * 0x100000001b3u;
    return &log->ids[mix(hash) & (log->chain_count - 1)];
}

/* By what the store knows of a position: keys that share it share the chain. */
static uint64_t known_position(uint64_t position)
{
    return position >> (64 - STORE_POSITION_BITS) << (64 - STORE_POSITION_BITS);
}

static struct id_link *key_chain(const struct id_log *log, uint64_t position)
{
    return &log->ids[log->chain_count + (mix(known_position(position)) & (log->chain_count - 1))];
}

/* Puts link, which lies offset bytes into entry, in front of a chain. */
static void chain_push(struct id_link *chain, struct id_entry *entry, size_t offset)
{
    struct id_link *link = (struct id_link *)((char *)entry + offset);
    link->next = chain->next;
    link->before = chain;
    if (link->next != NULL)
        ((struct id_link *)((char *)link->next + offset))->before = link;
    chain->next = entry;
}

static void chain_remove(struct id_entry *entry, size_t offset)
{
    struct id_link *link = (struct id_link *)((char *)entry + offset);
    CHECK(link->before != NULL); /* it stands in a chain */
    link->before->next = link->next;
    if (link->next != NULL)
        ((struct id_link *)((char *)link->next + offset))->before = link->before;
    *link = (struct id_link){0};
}

#define BY_SLOT offsetof(struct id_entry, by_slot)
#define BY_ID   offsetof(struct id_entry, by_id)
#define BY_KEY  offsetof(struct id_entry, by_key)

static void entry_link(struct id_log *log, struct id_entry *entry)
{
    chain_push(id_chain(log, entry_slot(entry), entry_id(entry)), entry, BY_ID);
    chain_push(key_chain(log, entry->position), entry, BY_KEY);
}

static void entry_take_out(struct store *store, struct id_entry *entry)
{
    chain_remove(entry, BY_SLOT);
    chain_remove(entry, BY_ID);
    chain_remove(entry, BY_KEY);
    store->counters.ids--;
    store->ids.waste_bytes += entry_size(entry);
}

/* The entry whose link lies at offset has been copied to to: its neighbours are told. */
static void chain_move(struct id_entry *to, size_t offset)
{
    struct id_link *link = (struct id_link *)((char *)to + offset);
    link->before->next = to;
    if (link->next != NULL)
        ((struct id_link *)((char *)link->next + offset))->before = link;
}

/* The index */

static size_t chains_bytes(uint32_t chain_count)
{
    return 2 * (size_t)chain_count * sizeof(struct id_link);
}

/* Memory for chain_count chains of ids and of keys, all empty; NULL if it cannot be had. */
static struct id_link *chains_alloc(struct store *store, uint32_t chain_count)
{
    size_t bytes = chains_bytes(chain_count);
    struct id_link *chains = reclaim_alloc(store, KIND_TABLE, bytes, true, ID_RESERVE_BYTES);
    if (chains != NULL)
        memset(chains, 0, bytes);
    return chains;
}

static bool index_open(struct store *store)
{
    struct id_log *log = &store->ids;
    if (log->slots != NULL)
        return true;
    size_t bytes = SLOT_COUNT * sizeof(*log->slots);
    log->slots = reclaim_alloc(store, KIND_TABLE, bytes, true, ID_RESERVE_BYTES);
    if (log->slots == NULL)
        return false;
    memset(log->slots, 0, bytes);
    log->ids = chains_alloc(store, CHAIN_COUNT_MIN);
    if (log->ids == NULL) {
        large_free(&store->large, log->slots);
        log->slots = NULL;
        return false;
    }
    log->chain_count = CHAIN_COUNT_MIN;
    return true;
}

static void index_close(struct store *store)
{
    struct id_log *log = &store->ids;
    if (log->slots == NULL)
        return;
    large_free(&store->large, log->slots);
    large_free(&store->large, log->ids);
    log->slots = log->ids = NULL;
    log->chain_count = 0;
}

/* Doubles the chains if they have become long and memory can be had. */
static void index_grow(struct store *store)
{
    struct id_log *log = &store->ids;
    if (log->slots == NULL || log->chain_count > UINT32_MAX / 4 ||
        store->counters.ids < (uint64_t)log->chain_count * CHAIN_LOAD_MAX)
        return;
    struct id_link *chains = chains_alloc(store, log->chain_count * 2);
    if (chains == NULL)
        return;
    large_free(&store->large, log->ids);
    log->ids = chains;
    log->chain_count *= 2;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        for (struct id_entry *entry = log->slots[slot].next; entry != NULL;
             entry = entry->by_slot.next)
            entry_link(log, entry);
}

/* Pages */

static bool page_has_room(const struct id_page *page, size_t bytes)
{
    return page != NULL && page->end + bytes <= PAGE_ROOM_BYTES;
}

/* errors  ERR_FULL. */
static enum err page_add(struct store *store)
{
    struct id_log *log = &store->ids;
    struct id_page *page = reclaim_alloc(store, KIND_TABLE, sizeof(*page), true, ID_RESERVE_BYTES);
    if (page == NULL)
        return ERR_FULL;
    page->next = NULL;
    page->seen = page->end = 0;
    if (log->last != NULL)
        log->last->next = page;
    else
        log->first = page;
    log->last = page;
    log->page_count++;
    return ERR_OK;
}

/* Lets the oldest page go. */
static void first_close(struct store *store)
{
    struct id_log *log = &store->ids;
    struct id_page *page = log->first;
    log->first = page->next;
    if (log->first == NULL)
        log->last = NULL;
    log->page_count--;
    large_free(&store->large, page);
    if (log->first == NULL)
        index_close(store);
}

/* Waste */

static bool is_wasteful(const struct id_log *log)
{
    return log->page_count >= WASTEFUL_PAGES_MIN &&
           log->waste_bytes > (size_t)log->page_count * (PAGE_ROOM_BYTES / 2);
}

static size_t page_live_bytes(const struct id_page *page)
{
    size_t bytes = 0;
    for (uint32_t at = page->seen; at < page->end;) {
        const struct id_entry *entry = page_entry(page, at);
        bytes += entry_is_out(entry) ? 0 : entry_size(entry);
        at += (uint32_t)entry_size(entry);
    }
    return bytes;
}

/* Moves an entry to the last page, which has room. It stands in its chains where it stood. */
static void entry_move(struct id_log *log, const struct id_entry *entry)
{
    struct id_entry *to = page_entry(log->last, log->last->end);
    size_t bytes = entry_size(entry);
    memcpy(to, entry, bytes);
    log->last->end += (uint32_t)bytes;
    chain_move(to, BY_SLOT);
    chain_move(to, BY_ID);
    chain_move(to, BY_KEY);
}

/* What is left of the oldest page goes to the last one, and the page is given back. Returns false
 * if there is no memory for that. */
static bool first_squeeze(struct store *store)
{
    struct id_log *log = &store->ids;
    struct id_page *page = log->first;
    if (!page_has_room(log->last, page_live_bytes(page)) && page_add(store) != ERR_OK)
        return false;
    while (page->seen < page->end) {
        const struct id_entry *entry = page_entry(page, page->seen);
        page->seen += (uint32_t)entry_size(entry);
        if (entry_is_out(entry))
            log->waste_bytes -= entry_size(entry);
        else
            entry_move(log, entry);
    }
    first_close(store);
    return true;
}

/* Makes sure that the last page has room for bytes more. Where most of the log is waste a few old
 * pages are given back for a new one: else keys whose entries are replaced over and over would fill
 * the memory with what nobody can find any more. */
static enum err make_room(struct store *store, size_t bytes)
{
    struct id_log *log = &store->ids;
    if (page_has_room(log->last, bytes))
        return ERR_OK;
    if (!index_open(store))
        return ERR_FULL;
    enum err err = page_add(store);
    for (uint32_t i = 0; i < SQUEEZED_PAGES && is_wasteful(log); i++)
        if (!first_squeeze(store))
            break;
    if (page_has_room(log->last, bytes))
        return ERR_OK;
    return err ? err : page_add(store);
}

bool id_log_tick(struct store *store, uint32_t work)
{
    struct id_log *log = &store->ids;
    for (; log->first != NULL; work--) {
        struct id_page *page = log->first;
        if (page->seen == page->end) {
            first_close(store);
            continue;
        }
        struct id_entry *entry = page_entry(page, page->seen);
        if (!entry_is_out(entry) && entry->until_s > store->now_s)
            return is_wasteful(log) && first_squeeze(store);
        if (work == 0)
            return true;
        page->seen += (uint32_t)entry_size(entry);
        if (!entry_is_out(entry))
            entry_take_out(store, entry);
        log->waste_bytes -= entry_size(entry);
    }
    return false;
}

void id_log_close(struct store *store)
{
    while (store->ids.first != NULL)
        first_close(store);
    index_close(store);
}

void id_log_cut(struct store *store, uint32_t slot, uint64_t above)
{
    if (store->ids.slots == NULL)
        return;
    struct id_entry *next;
    for (struct id_entry *entry = store->ids.slots[slot].next; entry != NULL; entry = next) {
        next = entry->by_slot.next;
        if (entry->version > above)
            entry_take_out(store, entry);
    }
}

void id_log_drop(struct store *store, uint32_t slot)
{
    id_log_cut(store, slot, 0);
}

/* ids.h */

static void show(const struct store *store, const struct id_entry *entry, struct store_key *key,
                 struct store_id *seen)
{
    *key = (struct store_key){.bytes = entry_key(entry), .position = entry->position};
    *seen = (struct store_id){
        .id = entry_id(entry),
        .digest = entry->digest,
        .version = entry->version,
        .answer = span_of(entry->bytes + entry->id_bytes + entry->key_bytes, entry->answer_bytes),
        .left_s = entry->until_s > store->now_s ? entry->until_s - store->now_s : 0,
    };
}

/* The first entry of the id from entry, one of its chain, on. */
static struct id_entry *of_id(struct id_entry *entry, uint32_t slot, struct span id)
{
    while (entry != NULL && !(entry_slot(entry) == slot && span_equal(entry_id(entry), id)))
        entry = entry->by_id.next;
    return entry;
}

static struct id_entry *find(const struct store *store, uint32_t slot, struct span id)
{
    const struct id_log *log = &store->ids;
    return log->slots == NULL ? NULL : of_id(id_chain(log, slot, id)->next, slot, id);
}

bool store_id_find(struct store *store, uint32_t slot, struct span id, struct store_key *key,
                   struct store_id *seen)
{
    CHECK(slot < SLOT_COUNT);
    const struct id_entry *entry = find(store, slot, id);
    if (entry == NULL)
        return false;
    struct store_key its_key;
    show(store, entry, key != NULL ? key : &its_key, seen);
    return true;
}

enum err store_id_reserve(struct store *store, size_t answer_bytes)
{
    if (answer_bytes > STORE_ID_ANSWER_BYTES_MAX)
        return ERR_TOO_LARGE;
    enum err err = make_room(store, entry_bytes(STORE_ID_BYTES_MAX, UINT8_MAX, answer_bytes));
    if (err == ERR_OK)
        index_grow(store);
    return err;
}

static uint32_t until(const struct store *store, const struct store_id *entry)
{
    return entry->left_s < UINT32_MAX - store->now_s ? store->now_s + entry->left_s : UINT32_MAX;
}

/* Adds an entry, whatever others of its id there are. */
static enum err add(struct store *store, const struct store_key *key, const struct store_id *added)
{
    CHECK(added->id.len > 0);
    CHECK(added->id.len <= STORE_ID_BYTES_MAX);
    CHECK(key->bytes.len <= UINT8_MAX);
    if (added->answer.len > STORE_ID_ANSWER_BYTES_MAX)
        return ERR_TOO_LARGE;
    struct id_log *log = &store->ids;
    size_t bytes = entry_bytes(added->id.len, key->bytes.len, added->answer.len);
    enum err err = make_room(store, bytes);
    if (err != ERR_OK)
        return err;
    struct id_entry *entry = page_entry(log->last, log->last->end);
    log->last->end += (uint32_t)bytes;
    *entry = (struct id_entry){.version = added->version,
                               .position = known_position(key->position),
                               .until_s = until(store, added),
                               .answer_bytes = (uint16_t)added->answer.len,
                               .id_bytes = (uint8_t)added->id.len,
                               .key_bytes = (uint8_t)key->bytes.len,
                               .digest = added->digest};
    char *to = entry->bytes;
    memcpy(to, added->id.data, added->id.len);
    to += added->id.len;
    if (key->bytes.len > 0)
        memcpy(to, key->bytes.data, key->bytes.len);
    to += key->bytes.len;
    if (added->answer.len > 0)
        memcpy(to, added->answer.data, added->answer.len);
    chain_push(&log->slots[entry_slot(entry)], entry, BY_SLOT);
    entry_link(log, entry);
    store->counters.ids++;
    return ERR_OK;
}

/* Takes all entries of an id out save the newest, which stands in front of the others. */
static void keep_newest(struct store *store, uint32_t slot, struct span id)
{
    struct id_entry *newest = find(store, slot, id);
    struct id_entry *older;
    while ((older = of_id(newest->by_id.next, slot, id)) != NULL)
        entry_take_out(store, older);
}

enum err store_id_add(struct store *store, const struct store_key *key,
                      const struct store_id *added)
{
    enum err err = add(store, key, added);
    if (err == ERR_OK)
        keep_newest(store, position_slot(key->position), added->id);
    return err;
}

/* The first entry of the key from entry, one of its chain, on. */
static struct id_entry *of_key(struct id_entry *entry, const struct store_key *key)
{
    while (entry != NULL && !(entry->position == known_position(key->position) &&
                              span_equal(entry_key(entry), key->bytes)))
        entry = entry->by_key.next;
    return entry;
}

static struct id_entry *first_of_key(const struct store *store, const struct store_key *key)
{
    const struct id_log *log = &store->ids;
    return log->slots == NULL ? NULL : of_key(key_chain(log, key->position)->next, key);
}

/* The entry that is there already as it is to be, or NULL. */
static struct id_entry *find_same(const struct store *store, const struct store_key *key,
                                  const struct store_id *wanted)
{
    struct id_entry *entry = find(store, position_slot(key->position), wanted->id);
    bool is_same =
        entry != NULL && (entry->version & ~STAYS) == wanted->version &&
        entry->position == known_position(key->position) &&
        span_equal(entry_key(entry), key->bytes) &&
        memcmp(&entry->digest, &wanted->digest, sizeof(entry->digest)) == 0 &&
        span_equal(span_of(entry->bytes + entry->id_bytes + entry->key_bytes, entry->answer_bytes),
                   wanted->answer);
    return is_same ? entry : NULL;
}

/* Adds those that are not there; added_count: out. All that are to be are marked then. */
static enum err add_missing(struct store *store, const struct store_key *key,
                            const struct store_id *entries, uint32_t count, uint32_t *added_count)
{
    *added_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct id_entry *entry = find_same(store, key, &entries[i]);
        if (entry == NULL) {
            enum err err = add(store, key, &entries[i]);
            if (err != ERR_OK)
                return err;
            ++*added_count;
            entry = first_of_key(store, key);
        }
        uint32_t until_s = until(store, &entries[i]);
        entry->until_s = until_s > entry->until_s ? until_s : entry->until_s;
        entry->version |= STAYS;
    }
    return ERR_OK;
}

enum err store_ids_replace(struct store *store, const struct store_key *key,
                           const struct store_id *entries, uint32_t count)
{
    uint32_t added_count;
    enum err err = add_missing(store, key, entries, count, &added_count);
    /* Those just added stand in front. */
    struct id_entry *next;
    uint32_t index = 0;
    for (struct id_entry *entry = first_of_key(store, key); entry != NULL; entry = next, index++) {
        next = of_key(entry->by_key.next, key);
        bool stays = entry->version & STAYS;
        entry->version &= ~STAYS;
        if (err != ERR_OK ? index < added_count : !stays)
            entry_take_out(store, entry);
    }
    if (err != ERR_OK)
        return err;
    for (uint32_t i = 0; i < count; i++)
        keep_newest(store, position_slot(key->position), entries[i].id);
    index_grow(store);
    copy_soil(store, position_slot(key->position));
    return ERR_OK;
}

void store_ids_of(struct store *store, const struct store_key *key, store_id_visit_fn *visit,
                  void *arg)
{
    for (struct id_entry *entry = first_of_key(store, key); entry != NULL;
         entry = of_key(entry->by_key.next, key)) {
        struct store_key its_key;
        struct store_id seen;
        show(store, entry, &its_key, &seen);
        if (!visit(arg, &its_key, &seen))
            return;
    }
}

void store_ids_iterate(struct store *store, uint32_t slot, uint64_t above, store_id_visit_fn *visit,
                       void *arg)
{
    CHECK(slot < SLOT_COUNT);
    if (store->ids.slots == NULL)
        return;
    for (struct id_entry *entry = store->ids.slots[slot].next; entry != NULL;
         entry = entry->by_slot.next) {
        if (entry->version <= above)
            continue;
        struct store_key key;
        struct store_id seen;
        show(store, entry, &key, &seen);
        if (!visit(arg, &key, &seen))
            return;
    }
}

/* The whole */

static uint64_t page_check(const struct store *store, const struct id_page *page,
                           size_t *waste_bytes)
{
    uint64_t count = 0;
    CHECK(page->seen <= page->end);
    CHECK(page->end <= PAGE_ROOM_BYTES);
    uint32_t at = page->seen;
    for (; at < page->end; at += (uint32_t)entry_size(page_entry(page, at))) {
        const struct id_entry *entry = page_entry(page, at);
        if (entry_is_out(entry)) {
            *waste_bytes += entry_size(entry);
            continue;
        }
        CHECK(!(entry->version & STAYS));
        struct store_key key = {.bytes = entry_key(entry), .position = entry->position};
        struct id_entry *of_its_key = first_of_key(store, &key);
        while (of_its_key != entry) {
            CHECK(of_its_key != NULL);
            of_its_key = of_key(of_its_key->by_key.next, &key);
        }
        CHECK(find(store, entry_slot(entry), entry_id(entry)) == entry);
        count++;
    }
    CHECK(at == page->end);
    return count;
}

void id_log_check(const struct store *store)
{
    const struct id_log *log = &store->ids;
    uint64_t in_pages = 0;
    uint64_t in_slots = 0;
    uint32_t page_count = 0;
    size_t waste_bytes = 0;
    CHECK((log->first == NULL) == (log->last == NULL));
    for (const struct id_page *page = log->first; page != NULL; page = page->next) {
        in_pages += page_check(store, page, &waste_bytes);
        page_count++;
        CHECK(page->next != NULL || page == log->last);
    }
    for (uint32_t slot = 0; log->slots != NULL && slot < SLOT_COUNT; slot++)
        for (const struct id_entry *entry = log->slots[slot].next; entry != NULL;
             entry = entry->by_slot.next) {
            CHECK(entry_slot(entry) == slot);
            in_slots++;
        }
    CHECK(page_count == log->page_count);
    CHECK(waste_bytes == log->waste_bytes);
    CHECK(in_pages == store->counters.ids);
    CHECK(in_slots == store->counters.ids);
}
