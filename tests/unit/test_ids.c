/* Request ids (server/store/ids.h), sentence by sentence, and a comparison with an obvious list. */
#include "server/store/ids.h"

#include "server/store/copy.h"
#include "server/store/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MIB  (1024u * 1024)
#define SLOT 5u

struct fixture {
    struct budget budget;
    struct store *store;
    size_t empty_bytes; /* the budget's use by an empty store */
};

static int open_with(void **state, bool evict)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->budget.limit_bytes = 64 * MIB;
    struct store_options options = {.budget = &fixture->budget, .evict = evict, .seed = 7};
    fixture->store = store_open(&options);
    fixture->empty_bytes = fixture->budget.used_bytes;
    *state = fixture;
    return 0;
}

static int set_up(void **state)
{
    return open_with(state, false);
}

static int set_up_evicting(void **state)
{
    return open_with(state, true);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    store_check(fixture->store);
    store_close(fixture->store);
    assert_int_equal(fixture->budget.used_bytes, 0);
    free(fixture);
    return 0;
}

static struct store *store_of(void **state)
{
    return ((struct fixture *)*state)->store;
}

static struct store_key key_in(const char *text, uint32_t slot)
{
    uint64_t tag = (uint64_t)(uint8_t)text[0] * 4099;
    return (struct store_key){.bytes = span_of_string(text),
                              .position = (uint64_t)slot << (64 - SLOT_BITS) |
                                          tag << (64 - STORE_POSITION_BITS)};
}

static struct store_id id_of(const char *id, uint64_t version, const char *answer)
{
    struct store_id entry = {.id = span_of_string(id),
                             .version = version,
                             .answer = span_of_string(answer),
                             .left_s = STORE_ID_KEEP_S};
    digest_of(entry.id, &entry.digest);
    return entry;
}

static void add(struct store *store, const char *name, const char *id, uint64_t version,
                const char *answer)
{
    struct store_key key = key_in(name, SLOT);
    struct store_id entry = id_of(id, version, answer);
    assert_int_equal(store_id_add(store, &key, &entry), ERR_OK);
}

static bool has(struct store *store, uint32_t slot, const char *id)
{
    struct store_id entry;
    return store_id_find(store, slot, span_of_string(id), NULL, &entry);
}

static void assert_id(struct store *store, const char *name, const char *id, uint64_t version,
                      const char *answer)
{
    struct store_key key;
    struct store_id entry;
    struct digest digest;
    digest_of(span_of_string(id), &digest);
    assert_true(store_id_find(store, SLOT, span_of_string(id), &key, &entry));
    assert_true(span_equal(key.bytes, span_of_string(name)));
    assert_true(span_equal(entry.id, span_of_string(id)));
    assert_true(span_equal(entry.answer, span_of_string(answer)));
    assert_memory_equal(&entry.digest, &digest, sizeof(digest));
    assert_int_equal(entry.version, version);
}

static bool count_visit(void *arg, const struct store_key *key, const struct store_id *entry)
{
    uint32_t *left = arg;
    assert_true(entry->id.len > 0);
    assert_true(position_slot(key->position) == SLOT);
    --*left;
    return *left > 0;
}

static uint32_t count_of(struct store *store, const char *name)
{
    struct store_key key = name[0] != 0 ? key_in(name, SLOT) : store_flush_key(SLOT);
    uint32_t left = 1000;
    store_ids_of(store, &key, count_visit, &left);
    return 1000 - left;
}

static uint32_t count_above(struct store *store, uint64_t above)
{
    uint32_t left = 1000;
    store_ids_iterate(store, SLOT, above, count_visit, &left);
    return 1000 - left;
}

static void an_entry_is_found_as_it_was_added(void **state)
{
    struct store *store = store_of(state);
    char long_id[33] = "0123456789012345678901234567abcd";
    char long_key[251];
    char answer[STORE_ID_ANSWER_BYTES_MAX + 1];
    memset(long_key, 'k', 250);
    long_key[250] = 0;
    memset(answer, 'a', STORE_ID_ANSWER_BYTES_MAX);
    answer[STORE_ID_ANSWER_BYTES_MAX] = 0;
    assert_false(has(store, SLOT, "1"));
    add(store, "key", "1", 77, "STORED\r\n");
    add(store, "key", "2", 78, "");
    add(store, long_key, long_id, 79, answer);
    assert_id(store, "key", "1", 77, "STORED\r\n");
    assert_id(store, "key", "2", 78, "");
    assert_id(store, long_key, long_id, 79, answer);
    assert_int_equal(store_counters(store)->ids, 3);
    assert_false(has(store, SLOT + 1, "1")); /* ids are each slot's own */
    assert_false(has(store, SLOT, "3"));
}

static void entries_of_a_key_and_of_a_slot_are_visited(void **state)
{
    struct store *store = store_of(state);
    add(store, "aa", "1", 71, "");
    add(store, "ab", "2", 72, ""); /* of the same place on the ring */
    add(store, "aa", "3", 73, "");
    struct store_key flush = store_flush_key(SLOT);
    struct store_id entry = id_of("4", 74, "OK\r\n");
    assert_int_equal(store_id_add(store, &flush, &entry), ERR_OK);
    assert_int_equal(count_of(store, "aa"), 2);
    assert_int_equal(count_of(store, "ab"), 1);
    assert_int_equal(count_of(store, "ac"), 0);
    assert_int_equal(count_of(store, ""), 1);
    assert_int_equal(count_above(store, 0), 4);
    assert_int_equal(count_above(store, 72), 2);
    assert_int_equal(count_above(store, 74), 0);
    assert_id(store, "", "4", 74, "OK\r\n");
    uint32_t left = 1;
    store_ids_iterate(store, SLOT, 0, count_visit, &left); /* until the visitor has had enough */
    assert_int_equal(left, 0);
    left = 1;
    struct store_key key = key_in("aa", SLOT);
    store_ids_of(store, &key, count_visit, &left);
    assert_int_equal(left, 0);
}

static void replace_puts_these_in_the_place_of_all_of_the_key(void **state)
{
    struct store *store = store_of(state);
    struct store_key key = key_in("aa", SLOT);
    add(store, "aa", "1", 71, "old");
    add(store, "aa", "2", 72, "old");
    add(store, "ab", "3", 73, "other");
    struct store_id entries[] = {id_of("2", 92, "new"), id_of("4", 94, "new")};
    assert_int_equal(store_ids_replace(store, &key, entries, 2), ERR_OK);
    assert_false(has(store, SLOT, "1"));
    assert_id(store, "aa", "2", 92, "new");
    assert_id(store, "ab", "3", 73, "other");
    assert_id(store, "aa", "4", 94, "new");
    assert_int_equal(count_of(store, "aa"), 2);
    store_check(store);
    assert_int_equal(store_ids_replace(store, &key, NULL, 0), ERR_OK);
    assert_int_equal(count_of(store, "aa"), 0);
    assert_int_equal(count_of(store, "ab"), 1);
    assert_false(store_copy(store, SLOT)->is_clean);
}

static void a_replacement_that_does_not_fit_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    struct store_key key = key_in("aa", SLOT);
    char answer[30001];
    memset(answer, 'a', 30000);
    answer[30000] = 0;
    add(store, "aa", "1", 71, "old");
    fixture->budget.limit_bytes = fixture->budget.used_bytes;
    struct store_id entries[] = {id_of("1", 91, answer), id_of("2", 92, answer),
                                 id_of("3", 93, answer)};
    assert_int_equal(store_ids_replace(store, &key, entries, 3), ERR_FULL);
    assert_id(store, "aa", "1", 71, "old");
    assert_int_equal(count_of(store, "aa"), 1);
    assert_int_equal(store_counters(store)->ids, 1);
    assert_true(store_copy(store, SLOT)->is_clean);
    store_check(store);
    fixture->budget.limit_bytes = 64 * MIB;
    assert_int_equal(store_ids_replace(store, &key, entries, 3), ERR_OK);
    assert_id(store, "aa", "1", 91, answer);
    assert_int_equal(count_of(store, "aa"), 3);
}

/* A sync tells all entries of a key with each write of it: what it tells anew must not pile up. */
static void entries_replaced_over_and_over_take_no_more_memory(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    enum { COUNT = 100, TIMES = 2000 };
    char ids[COUNT][8];
    struct store_id entries[COUNT];
    struct store_key key = key_in("aa", SLOT);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%u", i);
        entries[i] = id_of(ids[i], 71 + i, "an answer of some length, as a value is");
    }
    for (unsigned time = 0; time < TIMES; time++) {
        assert_int_equal(store_ids_replace(store, &key, entries, COUNT), ERR_OK);
        entries[time % COUNT].version = 1000 + time;
        assert_int_equal(count_of(store, "aa"), COUNT);
    }
    assert_in_range(fixture->budget.used_bytes - fixture->empty_bytes, 1, MIB);
    store_check(store);
}

/* Of other ids each time: all of it is waste but the last. */
static void waste_is_given_back_before_its_time(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    enum { COUNT = 200, TIMES = 1000 };
    char ids[COUNT][12];
    struct store_id entries[COUNT];
    struct store_key key = key_in("aa", SLOT);
    add(store, "ab", "kept", 70, "from the beginning");
    for (unsigned time = 0; time < TIMES; time++) {
        for (unsigned i = 0; i < COUNT; i++) {
            snprintf(ids[i], sizeof(ids[i]), "%u", time * COUNT + i);
            entries[i] = id_of(ids[i], 71 + time * COUNT + i, "STORED\r\n");
        }
        assert_int_equal(store_ids_replace(store, &key, entries, COUNT), ERR_OK);
    }
    assert_in_range(fixture->budget.used_bytes - fixture->empty_bytes, 1, MIB);
    assert_id(store, "ab", "kept", 70, "from the beginning");
    assert_int_equal(count_above(store, 0), COUNT + 1);
    store_check(store);
}

/* What is not used for new entries is there for items. */
static void a_tick_gives_waste_back(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    struct store_key key = key_in("aa", SLOT);
    char answer[1001], ids[4000][8];
    memset(answer, 'a', 1000);
    answer[1000] = 0;
    add(store, "ab", "kept", 70, answer);
    for (unsigned i = 0; i < 4000; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%u", i);
        add(store, "aa", ids[i], 71 + i, answer);
    }
    assert_in_range(fixture->budget.used_bytes - fixture->empty_bytes, 4 * MIB, 64 * MIB);
    assert_int_equal(store_ids_replace(store, &key, NULL, 0), ERR_OK);
    for (unsigned i = 0; i < 1000; i++)
        store_tick(store, 16);
    assert_in_range(fixture->budget.used_bytes - fixture->empty_bytes, 1, MIB);
    assert_id(store, "ab", "kept", 70, answer);
    store_check(store);
}

static void a_known_id_is_taken_anew_whatever_its_key_was(void **state)
{
    struct store *store = store_of(state);
    struct store_key key = key_in("ab", SLOT);
    add(store, "aa", "1", 71, "old");
    add(store, "aa", "1", 72, "new");
    assert_id(store, "aa", "1", 72, "new");
    add(store, "ac", "1", 73, "newer");
    assert_id(store, "ac", "1", 73, "newer");
    assert_int_equal(count_of(store, "aa"), 0);
    struct store_id entries[] = {id_of("2", 74, ""), id_of("1", 75, "newest")};
    assert_int_equal(store_ids_replace(store, &key, entries, 2), ERR_OK);
    assert_id(store, "ab", "1", 75, "newest");
    assert_int_equal(count_above(store, 0), 2);
}

static void an_answer_too_large_is_refused(void **state)
{
    struct store *store = store_of(state);
    struct store_key key = key_in("aa", SLOT);
    struct store_id entry = id_of("1", 71, "");
    entry.answer = span_of("", STORE_ID_ANSWER_BYTES_MAX + 1); /* refused before it is looked at */
    assert_int_equal(store_id_add(store, &key, &entry), ERR_TOO_LARGE);
    assert_int_equal(store_id_reserve(store, STORE_ID_ANSWER_BYTES_MAX + 1), ERR_TOO_LARGE);
    assert_int_equal(store_counters(store)->ids, 0);
}

static void what_is_reserved_can_be_added_whatever_is_written_meanwhile(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    struct store_key key = key_in("aa", SLOT);
    char answer[1001];
    memset(answer, 'a', 1000);
    answer[1000] = 0;
    copy_lead(store, SLOT, 1);
    for (uint32_t i = 0; i < 200; i++) { /* over several pages */
        assert_int_equal(store_id_reserve(store, 1000), ERR_OK);
        size_t limit_bytes = fixture->budget.limit_bytes;
        struct store_put put = {.head = SPAN_LITERAL("v")};
        assert_int_equal(store_put(store, &key, &put, NULL), ERR_OK);
        fixture->budget.limit_bytes = 0;
        char id[16];
        snprintf(id, sizeof(id), "%u", i);
        add(store, "aa", id, 1 + i, answer);
        fixture->budget.limit_bytes = limit_bytes;
    }
    assert_int_equal(count_of(store, "aa"), 200);
}

/* An eviction between a write and its entry would be a later version of the key that was written.
 */
static void what_is_reserved_is_added_without_an_eviction(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    char value[1000];
    memset(value, 'v', sizeof(value));
    fixture->budget.limit_bytes = fixture->empty_bytes + 8 * MIB;
    for (uint32_t slot = 0; slot < 256; slot++)
        copy_lead(store, slot, 1);
    for (uint32_t i = 0; i < 20000; i++) {
        char name[16];
        char id[16];
        snprintf(name, sizeof(name), "%c%u", 'a' + (char)(i % 26), i % 8000);
        snprintf(id, sizeof(id), "%u", i);
        struct store_key key = key_in(name, i % 256);
        struct store_put put = {.head = span_of(value, sizeof(value))};
        struct store_id entry = id_of(id, 1 + i, "STORED\r\n");
        assert_int_equal(store_id_reserve(store, 8), ERR_OK);
        assert_int_equal(store_put(store, &key, &put, NULL), ERR_OK);
        uint64_t evicted = store_counters(store)->evicted;
        assert_int_equal(store_id_add(store, &key, &entry), ERR_OK);
        assert_int_equal(store_counters(store)->evicted, evicted);
        struct store_key gone;
        while (store_take_evicted(store, &gone))
            ;
    }
    assert_true(store_counters(store)->evicted > 0);
}

static void entries_count_in_the_memory_bound_and_are_refused_beyond_it(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    fixture->budget.limit_bytes = fixture->empty_bytes + 2 * MIB;
    uint32_t count = 0;
    for (; store_id_reserve(store, 8) == ERR_OK; count++) {
        char id[16];
        snprintf(id, sizeof(id), "%u", count);
        add(store, "aa", id, 1 + count, "STORED\r\n");
    }
    assert_true(fixture->budget.used_bytes <= fixture->budget.limit_bytes);
    assert_true(count > 6000);
    for (uint32_t i = 0; i < count; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%u", i);
        assert_true(has(store, SLOT, id));
    }
}

static void an_entry_goes_after_its_time_and_its_memory_with_it(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    char id[16];
    for (uint32_t i = 0; i < 5000; i++) {
        store_tell_time(store, 1 + i / 50);
        while (store_tick(store, 100))
            ;
        snprintf(id, sizeof(id), "%u", i);
        add(store, "aa", id, 1 + i, "STORED\r\n");
        struct store_id entry;
        assert_true(store_id_find(store, SLOT, entry.id = span_of_string(id), NULL, &entry));
        assert_int_equal(entry.left_s, STORE_ID_KEEP_S);
        uint32_t oldest = i / 50 < STORE_ID_KEEP_S ? 0 : (i / 50 - STORE_ID_KEEP_S + 1) * 50;
        snprintf(id, sizeof(id), "%u", oldest);
        assert_true(has(store, SLOT, id));
        if (oldest > 0) {
            snprintf(id, sizeof(id), "%u", oldest - 1);
            assert_false(has(store, SLOT, id));
        }
    }
    store_check(store);
    store_tell_time(store, 1 + 5000 / 50 + STORE_ID_KEEP_S);
    assert_true(store_tick(store, 100)); /* bounded work */
    assert_true(store_counters(store)->ids > 0);
    while (store_tick(store, 1000))
        ;
    assert_int_equal(store_counters(store)->ids, 0);
    assert_true(fixture->budget.used_bytes - fixture->empty_bytes <= REGION_HEAD_BYTES);
}

static void an_entry_given_less_time_goes_no_sooner_than_that(void **state)
{
    struct store *store = store_of(state);
    struct store_key key = key_in("aa", SLOT);
    struct store_id first = id_of("1", 1, ""), second = id_of("2", 2, "");
    second.left_s = 10;
    assert_int_equal(store_id_add(store, &key, &first), ERR_OK);
    assert_int_equal(store_id_add(store, &key, &second), ERR_OK);
    store_tell_time(store, 20);
    store_tick(store, 100);
    assert_true(has(store, SLOT, "2")); /* while an older one of its page is kept */
    assert_true(store_id_find(store, SLOT, span_of_string("2"), NULL, &second));
    assert_int_equal(second.left_s, 0);
    store_tell_time(store, 61);
    store_tick(store, 100);
    assert_false(has(store, SLOT, "1"));
    assert_false(has(store, SLOT, "2"));
}

static void a_cut_leaves_entries_and_an_emptied_copy_loses_them(void **state)
{
    struct store *store = store_of(state);
    const uint64_t lineage[] = {store_version(1, 9)};
    copy_end(store, SLOT, lineage, 1, 1, true, 0);
    add(store, "aa", "1", store_version(1, 9), "");
    struct store_key other = key_in("aa", SLOT + 1);
    struct store_id entry = id_of("1", 5, "");
    assert_int_equal(store_id_add(store, &other, &entry), ERR_OK);
    assert_true(copy_cut(store, SLOT, store_version(1, 3)));
    assert_true(has(store, SLOT, "1"));
    struct store_key key = key_in("aa", SLOT);
    store_erase(store, &key); /* entries are replaced by themselves */
    assert_true(has(store, SLOT, "1"));
    copy_empty(store, SLOT);
    assert_false(has(store, SLOT, "1"));
    assert_true(has(store, SLOT + 1, "1"));
}

/* The list that the log is compared with. */

#define MODEL_IDS   400u
#define MODEL_KEYS  12u
#define MODEL_SLOTS 3u

struct model_id {
    bool is_there;
    uint64_t version;
    uint32_t answer_bytes;
    uint32_t until_s;
};

struct model {
    struct model_id ids[MODEL_SLOTS][MODEL_KEYS][MODEL_IDS];
    uint32_t now_s;
    uint64_t random;
    uint64_t version;
};

static uint64_t draw(struct model *model, uint64_t bound)
{
    uint64_t x = model->random += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (x ^ x >> 31) % bound;
}

static struct store_key model_key(char text[16], uint32_t slot, uint32_t number)
{
    if (number == 0)
        return store_flush_key(slot);
    snprintf(text, 16, "%c%u", (char)('a' + number % 3), number); /* some share a place */
    return key_in(text, slot);
}

/* Draws an entry of an id that no other key of the slot has. */
static struct store_id draw_id(struct model *model, char id[16], uint32_t key, uint32_t index,
                               const char *bytes)
{
    snprintf(id, 16, "%u-%u", key, index);
    return (struct store_id){
        .id = span_of_string(id),
        .version = ++model->version,
        .answer = span_of(bytes, draw(model, 50) == 0 ? draw(model, 32768) : draw(model, 80)),
        .left_s = 1 + (uint32_t)draw(model, 60)};
}

static void model_set(struct model *model, struct model_id *at, const struct store_id *entry)
{
    *at = (struct model_id){true, entry->version, (uint32_t)entry->answer.len,
                            model->now_s + entry->left_s};
}

static void step_add(struct model *model, struct store *store, const char *bytes)
{
    char id[16], text[16];
    uint32_t slot = (uint32_t)draw(model, MODEL_SLOTS);
    uint32_t key_number = (uint32_t)draw(model, MODEL_KEYS);
    uint32_t index = (uint32_t)draw(model, MODEL_IDS);
    struct store_key key = model_key(text, slot, key_number);
    struct store_id entry = draw_id(model, id, key_number, index, bytes);
    if (store_id_add(store, &key, &entry) == ERR_OK)
        model_set(model, &model->ids[slot][key_number][index], &entry);
}

static void step_replace(struct model *model, struct store *store, const char *bytes)
{
    char ids[8][16], text[16];
    uint32_t slot = (uint32_t)draw(model, MODEL_SLOTS);
    uint32_t key_number = (uint32_t)draw(model, MODEL_KEYS);
    uint32_t count = (uint32_t)draw(model, 8);
    uint32_t from = (uint32_t)draw(model, MODEL_IDS - 8);
    struct store_key key = model_key(text, slot, key_number);
    struct store_id entries[8];
    for (uint32_t i = 0; i < count; i++)
        entries[i] = draw_id(model, ids[i], key_number, from + i, bytes);
    if (store_ids_replace(store, &key, entries, count) != ERR_OK)
        return;
    memset(model->ids[slot][key_number], 0, sizeof(model->ids[slot][key_number]));
    for (uint32_t i = 0; i < count; i++)
        model_set(model, &model->ids[slot][key_number][from + i], &entries[i]);
}

/* Compares all; what the store has let go must have been old enough. Returns how many there are. */
static uint64_t compare(struct model *model, struct store *store)
{
    uint64_t count = 0;
    for (uint32_t slot = 0; slot < MODEL_SLOTS; slot++)
        for (uint32_t key = 0; key < MODEL_KEYS; key++)
            for (uint32_t index = 0; index < MODEL_IDS; index++) {
                struct model_id *expected = &model->ids[slot][key][index];
                char id[16], text[16];
                snprintf(id, sizeof(id), "%u-%u", key, index);
                struct store_key its_key;
                struct store_id entry;
                bool is_there = store_id_find(store, slot, span_of_string(id), &its_key, &entry);
                if (!is_there && expected->is_there) {
                    assert_true(expected->until_s <= model->now_s);
                    expected->is_there = false;
                }
                assert_int_equal(is_there, expected->is_there);
                if (!is_there)
                    continue;
                count++;
                assert_int_equal(entry.version, expected->version);
                assert_int_equal(entry.answer.len, expected->answer_bytes);
                assert_true(span_equal(its_key.bytes, model_key(text, slot, key).bytes));
            }
    assert_int_equal(store_counters(store)->ids, count);
    return count;
}

static void random_operations_agree_with_a_list(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    char *bytes = calloc(1, STORE_ID_ANSWER_BYTES_MAX);
    struct model *model = calloc(1, sizeof(*model));
    assert_non_null(model);
    model->now_s = 1;
    for (uint32_t step = 0; step < 40000; step++) {
        if (step % 10000 == 0) /* ample, then scarce */
            fixture->budget.limit_bytes =
                step / 10000 % 2 == 0 ? 64 * MIB : fixture->empty_bytes + 20 * PAGE_BYTES;
        uint64_t kind = draw(model, 1000);
        if (kind < 700) {
            step_add(model, store, bytes);
        } else if (kind < 900) {
            step_replace(model, store, bytes);
        } else if (kind < 990) {
            model->now_s +=
                draw(model, 20) == 0 ? (uint32_t)draw(model, 90) : (uint32_t)draw(model, 2);
            store_tell_time(store, model->now_s);
            store_tick(store, (uint32_t)draw(model, 100));
        } else if (kind < 992) {
            uint32_t slot = (uint32_t)draw(model, MODEL_SLOTS);
            copy_empty(store, slot);
            memset(model->ids[slot], 0, sizeof(model->ids[slot]));
        }
        if (step % 500 == 0) {
            compare(model, store);
            store_check(store);
        }
    }
    assert_true(compare(model, store) > 100);
    free(model);
    free(bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_entry_is_found_as_it_was_added),
        TEST(entries_of_a_key_and_of_a_slot_are_visited),
        TEST(replace_puts_these_in_the_place_of_all_of_the_key),
        TEST(a_replacement_that_does_not_fit_changes_nothing),
        TEST(entries_replaced_over_and_over_take_no_more_memory),
        TEST(waste_is_given_back_before_its_time),
        TEST(a_tick_gives_waste_back),
        TEST(a_known_id_is_taken_anew_whatever_its_key_was),
        TEST(an_answer_too_large_is_refused),
        TEST(what_is_reserved_can_be_added_whatever_is_written_meanwhile),
        cmocka_unit_test_setup_teardown(what_is_reserved_is_added_without_an_eviction,
                                        set_up_evicting, tear_down),
        TEST(entries_count_in_the_memory_bound_and_are_refused_beyond_it),
        TEST(an_entry_goes_after_its_time_and_its_memory_with_it),
        TEST(an_entry_given_less_time_goes_no_sooner_than_that),
        TEST(a_cut_leaves_entries_and_an_emptied_copy_loses_them),
        TEST(random_operations_agree_with_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
