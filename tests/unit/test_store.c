/* The store's contract (server/store/store.h) for slots that are led alone, sentence by sentence,
 * and a comparison with an obvious model under seeded random operations. Keys are placed by the
 * tests themselves, since hashing is the caller's. What copies add is in test_copy.c and
 * test_ids.c. */
#include "server/store/store.h"

#include "common/reply.h"
#include "server/store/arena.h"
#include "server/store/copy.h"
#include "server/store/slots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#define MIB (1024u * 1024)

struct fixture {
    struct budget budget;
    struct store *store;
};

static void open_with(struct fixture *fixture, size_t limit_bytes, bool evict)
{
    fixture->budget = (struct budget){.limit_bytes = limit_bytes};
    struct store_options options = {.budget = &fixture->budget, .evict = evict, .seed = 7};
    fixture->store = store_open(&options);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        copy_lead(fixture->store, slot, 1);
        copy_set_alone(fixture->store, slot, true);
    }
}

static int set_up(void **state)
{
    struct fixture *fixture = malloc(sizeof(*fixture));
    assert_non_null(fixture);
    open_with(fixture, 64 * MIB, false);
    *state = fixture;
    return 0;
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

static void reopen(struct fixture *fixture, size_t limit_bytes, bool evict)
{
    store_close(fixture->store);
    open_with(fixture, limit_bytes, evict);
}

static uint64_t position_of(uint32_t slot, uint32_t tag)
{
    return (uint64_t)slot << (64 - SLOT_BITS) | (uint64_t)tag << (64 - SLOT_BITS - TABLE_TAG_BITS);
}

static struct store_key key_at(const char *text, uint32_t slot, uint32_t tag)
{
    return (struct store_key){.bytes = span_of_string(text), .position = position_of(slot, tag)};
}

/* A key in slot 5. */
static struct store_key key_of(const char *text)
{
    return key_at(text, 5, (uint32_t)text[0] * 4099);
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

struct number_key {
    char text[32];
    struct store_key key;
};

/* The number's key, anywhere on the ring. */
static struct store_key *key_number(struct number_key *at, uint64_t number)
{
    int len = snprintf(at->text, sizeof(at->text), "key-%llu", (unsigned long long)number);
    at->key =
        (struct store_key){.bytes = span_of(at->text, (size_t)len), .position = mix(number + 1)};
    return &at->key;
}

static enum err put_bytes(struct store *store, const struct store_key *key, size_t len, char fill)
{
    char *bytes = malloc(len + 1);
    assert_non_null(bytes);
    memset(bytes, fill, len + 1);
    struct store_put put = {.head = span_of(bytes, len)};
    enum err err = store_put(store, key, &put, NULL);
    free(bytes);
    return err;
}

static void put_text(struct store *store, const struct store_key *key, const char *text,
                     uint32_t expires_s)
{
    struct store_put put = {.head = span_of_string(text), .expires_s = expires_s};
    assert_int_equal(store_put(store, key, &put, NULL), ERR_OK);
}

static void assert_value(struct store *store, const struct store_key *key, const char *text)
{
    struct store_item item;
    assert_true(store_get(store, key, &item));
    assert_int_equal(item.value.len, strlen(text));
    assert_memory_equal(item.value.data, text, item.value.len);
    assert_memory_equal(item.value.data + item.value.len, "\r\n", 2);
}

static void assert_filled(struct store *store, const struct store_key *key, size_t len, char fill)
{
    struct store_item item;
    assert_true(store_get(store, key, &item));
    assert_int_equal(item.value.len, len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(item.value.data[i], fill);
}

static bool has(struct store *store, const struct store_key *key)
{
    struct store_item item;
    return store_get(store, key, &item);
}

/* Tells the time, and does what the leader has to do then. */
static void tell_time(struct store *store, uint32_t now_s)
{
    uint32_t slot;
    store_tell_time(store, now_s);
    while (store_take_flush_due(store, &slot))
        ;
}

static void tick_until_done(struct store *store)
{
    for (int i = 0; store_tick(store, 1000); i++)
        assert_true(i < 100000);
}

/* Reading and writing */

static void an_item_comes_back_as_it_was_put(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key key = key_of("k");
    tell_time(store, 10);
    struct store_put put = {.head = SPAN_LITERAL("he"),
                            .tail = SPAN_LITERAL("llo"),
                            .flags = 0xfedcba98,
                            .expires_s = 99,
                            .cas = 12345678901,
                            .marks = STORE_MARK_STALE};
    uint64_t version = 0;
    assert_int_equal(store_put(store, &key, &put, &version), ERR_OK);
    struct store_item item;
    assert_true(store_get(store, &key, &item));
    assert_value(store, &key, "hello");
    assert_int_equal(item.version, version);
    assert_int_equal(item.cas, 12345678901);
    assert_int_equal(item.flags, 0xfedcba98);
    assert_int_equal(item.expires_s, 99);
    assert_int_equal(item.accessed_s, 10);
    assert_int_equal(item.marks, STORE_MARK_STALE);
    assert_int_equal(item.item_bytes, 18 + 16 + 1 + 5 + 2);
}

static void each_optional_field_is_kept_alone_and_with_others(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key key = key_of("k");
    for (unsigned mask = 0; mask < 8; mask++) {
        struct store_put put = {.head = SPAN_LITERAL("v"),
                                .flags = mask & 1 ? 77 : 0,
                                .expires_s = mask & 2 ? 88 : STORE_NEVER,
                                .cas = mask & 4 ? 99 : 0};
        uint64_t version;
        assert_int_equal(store_put(store, &key, &put, &version), ERR_OK);
        struct store_item item;
        assert_true(store_get(store, &key, &item));
        assert_int_equal(item.flags, put.flags);
        assert_int_equal(item.expires_s, put.expires_s);
        assert_int_equal(item.cas, mask & 4 ? 99 : version);
        assert_value(store, &key, "v");
    }
}

static void an_absent_key_is_not_found(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key present = key_at("aa", 5, 1);
    struct store_key same_place = key_at("ab", 5, 1);
    assert_false(has(store, &present));
    put_text(store, &present, "v", STORE_NEVER);
    assert_false(has(store, &same_place));
    assert_false(store_delete(store, &same_place));
    assert_int_equal(store_touch(store, &same_place, 5), ERR_NOT_FOUND);
    assert_int_equal(store_mark(store, &same_place, 0, 0), ERR_NOT_FOUND);
}

static void versions_count_each_slots_writes_from_one(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key here = key_at("a", 5, 1), there = key_at("b", 6, 1), gone = key_at("c", 5, 2);
    struct store_put put = {.head = SPAN_LITERAL("v")};
    uint64_t version;
    assert_int_equal(store_put(store, &here, &put, &version), ERR_OK);
    assert_int_equal(version, (1ull << STORE_SEQ_BITS) + 1);
    assert_int_equal(store_put(store, &there, &put, &version), ERR_OK);
    assert_int_equal(version, (1ull << STORE_SEQ_BITS) + 1);
    assert_int_equal(store_put(store, &here, &put, &version), ERR_OK);
    assert_int_equal(version, (1ull << STORE_SEQ_BITS) + 2);
    assert_false(store_delete(store, &gone)); /* takes none */
    assert_true(store_delete(store, &here));  /* takes the third */
    assert_int_equal(store_put(store, &here, &put, &version), ERR_OK);
    assert_int_equal(version, (1ull << STORE_SEQ_BITS) + 4);
    store_drop(store, 5);
    assert_int_equal(store_put(store, &here, &put, &version), ERR_OK);
    assert_int_equal(version, (1ull << STORE_SEQ_BITS) + 5);
}

static void get_is_no_access_and_note_is(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key key = key_of("k");
    put_text(store, &key, "v", STORE_NEVER);
    tell_time(store, 50);
    struct store_item item;
    assert_true(store_get(store, &key, &item));
    assert_true(store_get(store, &key, &item));
    assert_int_equal(item.accessed_s, 1);
    assert_int_equal(item.marks, 0);
    store_note(store, &item, STORE_MARK_FETCHED | STORE_MARK_WON);
    assert_true(store_get(store, &key, &item));
    assert_int_equal(item.accessed_s, 50);
    assert_int_equal(item.marks, STORE_MARK_FETCHED | STORE_MARK_WON);
    store_unmark(store, &item, STORE_MARK_WON);
    assert_true(store_get(store, &key, &item));
    assert_int_equal(item.marks, STORE_MARK_FETCHED);
    assert_value(store, &key, "v");
}

static void a_put_may_borrow_from_the_item_it_replaces(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key key = key_of("k");
    put_text(store, &key, "", STORE_NEVER);
    char expected[3001] = "";
    for (size_t len = 0; len < 3000; len++) { /* through many chunk sizes, and in place */
        struct store_item item;
        char text[2] = {(char)('a' + len % 26), 0};
        assert_true(store_get(store, &key, &item));
        struct store_put append = {.head = item.value, .tail = span_of_string(text)};
        struct store_put prepend = {.head = span_of_string(text), .tail = item.value};
        bool in_front = len % 3 == 0;
        append.flags = prepend.flags = len % 5 == 0 ? 9 : 0; /* moves the value within the item */
        assert_int_equal(store_put(store, &key, in_front ? &prepend : &append, NULL), ERR_OK);
        memmove(expected + in_front, expected, len);
        expected[in_front ? 0 : len] = text[0];
        expected[len + 1] = 0;
        assert_value(store, &key, expected);
    }
}

static void a_value_may_be_doubled_from_itself(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key key = key_of("k");
    put_text(store, &key, "ab", STORE_NEVER);
    for (size_t len = 2; len < 100000; len *= 2) {
        struct store_item item;
        assert_true(store_get(store, &key, &item));
        assert_int_equal(item.value.len, len);
        for (size_t i = 0; i < len; i++)
            assert_int_equal(item.value.data[i], i % 2 == 0 ? 'a' : 'b');
        struct store_put put = {.head = item.value, .tail = item.value};
        assert_int_equal(store_put(store, &key, &put, NULL), ERR_OK);
        store_release(store);
    }
}

static void a_value_may_be_turned_around_within_itself(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key key = key_of("k");
    put_text(store, &key, "0123456789", STORE_NEVER);
    struct store_item item;
    assert_true(store_get(store, &key, &item));
    struct store_put put = {.head = span_of(item.value.data + 4, 6),
                            .tail = span_of(item.value.data, 4)};
    assert_int_equal(store_put(store, &key, &put, NULL), ERR_OK);
    assert_value(store, &key, "4567890123");
}

static void a_key_and_value_of_4_gib_are_too_large(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key key = key_of("k");
    put_text(store, &key, "old", STORE_NEVER);
    struct store_put put = {.head = span_of("", UINT32_MAX)}; /* refused before it is looked at */
    assert_int_equal(store_put(store, &key, &put, NULL), ERR_TOO_LARGE);
    assert_value(store, &key, "old");
    put.head.len = UINT32_MAX - 1; /* not too large, but far above the bound */
    assert_int_equal(store_put(store, &key, &put, NULL), ERR_FULL);
    assert_value(store, &key, "old");
}

static void a_large_value_stays_until_release(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key key = key_of("k");
    for (size_t len = REPLY_BORROW_BYTES_MIN; len <= 200000; len += 61000) {
        struct store_item item;
        assert_int_equal(put_bytes(store, &key, len, 'x'), ERR_OK);
        assert_true(store_get(store, &key, &item));
        assert_int_equal(put_bytes(store, &key, len, 'y'), ERR_OK);
        struct store_item second;
        assert_true(store_get(store, &key, &second));
        assert_int_equal(store_touch(store, &key, 1000), ERR_OK); /* gains a field */
        assert_true(store_delete(store, &key));
        for (size_t i = 0; i < len; i++) {
            assert_int_equal(item.value.data[i], 'x');
            assert_int_equal(second.value.data[i], 'y');
        }
        store_release(store);
    }
}

/* Expiry */

static void an_item_expires_at_its_second(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key key = key_of("k");
    put_text(store, &key, "v", 100);
    tell_time(store, 99);
    assert_true(has(store, &key));
    tell_time(store, 100);
    assert_false(has(store, &key));
    assert_false(store_delete(store, &key));
    assert_int_equal(store_touch(store, &key, 200), ERR_NOT_FOUND);
    tick_until_done(store);
    assert_int_equal(store_counters(store)->expired, 1);
    assert_int_equal(store_counters(store)->expired_unfetched, 1);
    put_text(store, &key, "v", 200);
    struct store_item item;
    assert_true(store_get(store, &key, &item));
    store_note(store, &item, STORE_MARK_FETCHED);
    tell_time(store, 200);
    tick_until_done(store);
    assert_int_equal(store_counters(store)->expired, 2);
    assert_int_equal(store_counters(store)->expired_unfetched, 1);
}

static void a_put_already_expired_removes_the_item(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key key = key_of("k");
    tell_time(store, 100);
    put_text(store, &key, "v", STORE_NEVER);
    struct store_put put = {.head = SPAN_LITERAL("w"), .expires_s = 100};
    uint64_t version;
    assert_int_equal(store_put(store, &key, &put, &version), ERR_OK);
    assert_int_equal(version, (1ull << STORE_SEQ_BITS) + 2);
    assert_false(has(store, &key));
    assert_int_equal(store_counters(store)->items, 0);
}

static void touch_sets_the_expiry_and_keeps_cas(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key key = key_of("k");
    struct store_put put = {.head = SPAN_LITERAL("v"), .flags = 3};
    uint64_t version;
    assert_int_equal(store_put(store, &key, &put, &version), ERR_OK);
    struct store_item item;
    for (uint32_t expires_s = 100; expires_s < 103; expires_s++) {
        assert_int_equal(store_touch(store, &key, expires_s), ERR_OK);
        assert_true(store_get(store, &key, &item));
        assert_int_equal(item.expires_s, expires_s);
        assert_int_equal(item.cas, version);
        assert_int_equal(item.version, version + expires_s - 99); /* a write of the slot */
        assert_int_equal(item.flags, 3);
        assert_value(store, &key, "v");
    }
    assert_int_equal(store_touch(store, &key, STORE_NEVER), ERR_OK);
    tell_time(store, 1000);
    assert_true(has(store, &key));
    assert_int_equal(store_touch(store, &key, 1000), ERR_OK);
    assert_false(has(store, &key));
    assert_int_equal(store_counters(store)->items, 0);
}

static void mark_sets_cas_and_marks(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key key = key_of("k");
    put_text(store, &key, "v", 500);
    struct store_item item;
    assert_int_equal(store_mark(store, &key, 0, STORE_MARK_STALE), ERR_OK);
    assert_true(store_get(store, &key, &item));
    assert_int_equal(item.cas, (1ull << STORE_SEQ_BITS) + 2);
    assert_int_equal(item.version, item.cas);
    assert_int_equal(item.marks, STORE_MARK_STALE);
    assert_int_equal(store_mark(store, &key, 42, STORE_MARK_WON), ERR_OK);
    assert_true(store_get(store, &key, &item));
    assert_int_equal(item.cas, 42);
    assert_int_equal(item.version, (1ull << STORE_SEQ_BITS) + 3);
    assert_int_equal(item.marks, STORE_MARK_WON);
    assert_int_equal(item.expires_s, 500);
    assert_value(store, &key, "v");
}

static void expired_memory_comes_back_unasked(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    struct number_key at;
    size_t before = fixture->budget.used_bytes;
    for (uint32_t i = 0; i < 50000; i++)
        put_text(store, key_number(&at, i), "some value or other", 10 + i % 50);
    for (uint32_t now_s = 2; now_s <= 60; now_s++) {
        tell_time(store, now_s);
        tick_until_done(store);
        assert_int_equal(store_counters(store)->items, now_s < 10 ? 50000 : 1000 * (59 - now_s));
        if (now_s == 30) /* two fifths are gone: sparse pages must have been given back */
            assert_true(fixture->budget.used_bytes - before < 50000u * 3 / 5 * 85 + 1 * MIB);
        if (now_s == 59)
            break;
    }
    store_check(store);
    assert_int_equal(store_counters(store)->expired, 50000);
    assert_true(fixture->budget.used_bytes - before <= 16 * 1024); /* a region's head */
}

static void a_tick_does_bounded_work(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    char text[16];
    for (uint32_t i = 0; i < 5000; i++) { /* one slot, larger than the work of a tick */
        snprintf(text, sizeof(text), "%u", i);
        struct store_key key = key_at(text, 9, i * 200);
        put_text(store, &key, "v", i % 2 == 0 ? 10 : 20);
    }
    tell_time(store, 10);
    uint64_t items = 5000;
    for (;;) {
        bool has_more = store_tick(store, 100);
        assert_true(store_counters(store)->items >= items - 100);
        assert_true(has_more);
        items = store_counters(store)->items;
        struct store_key key = key_at("other", 9, (uint32_t)(items * 37)); /* amid the crawl */
        put_text(store, &key, "v", 15);
        assert_true(store_delete(store, &key));
        store_check(store);
        if (items < 3000)
            break;
    }
    tick_until_done(store);
    assert_int_equal(store_counters(store)->items, 2500);
    tell_time(store, 20);
    tick_until_done(store);
    assert_int_equal(store_counters(store)->items, 0);
}

/* Flush */

static void a_flush_hides_what_was_put_before(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    struct number_key at;
    size_t before = fixture->budget.used_bytes;
    for (uint32_t i = 0; i < 20000; i++)
        put_text(store, key_number(&at, i), "v", STORE_NEVER);
    store_flush(store, 0);
    put_text(store, key_number(&at, 7), "new", STORE_NEVER);
    for (uint32_t i = 0; i < 20000; i++)
        assert_int_equal(has(store, key_number(&at, i)), i == 7);
    store_check(store);
    tick_until_done(store);
    assert_value(store, key_number(&at, 7), "new");
    assert_int_equal(store_counters(store)->items, 1);
    assert_int_equal(store_counters(store)->flushed, 19999); /* the seventh was replaced */
    assert_true(fixture->budget.used_bytes - before < 512 * 1024);
}

static void a_delayed_flush_fires_when_due(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key early = key_of("early"), late = key_of("late"), after = key_of("after");
    tell_time(store, 10);
    put_text(store, &early, "v", STORE_NEVER);
    store_flush(store, 5);
    tell_time(store, 14);
    put_text(store, &late, "v", STORE_NEVER);
    assert_true(has(store, &early));
    tell_time(store, 15);
    assert_false(has(store, &early));
    assert_false(has(store, &late));
    put_text(store, &after, "v", STORE_NEVER);
    tell_time(store, 40);
    assert_true(has(store, &after));
}

static void a_later_flush_replaces_a_pending_one(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key key = key_of("k");
    tell_time(store, 10);
    store_flush(store, 5);
    store_flush(store, 50);
    put_text(store, &key, "v", STORE_NEVER);
    tell_time(store, 59);
    assert_true(has(store, &key));
    tell_time(store, 60);
    assert_false(has(store, &key));
    store_flush(store, 5);
    store_flush(store, 0);
    put_text(store, &key, "v", STORE_NEVER);
    tell_time(store, 100);
    assert_true(has(store, &key));
    store_flush(store, UINT32_MAX); /* beyond the clock's end */
    tell_time(store, 101);
    assert_true(has(store, &key));
}

/* Memory */

/* Fills the store with numbered items until one is refused; returns how many went in. */
static uint32_t fill(struct store *store, uint32_t from, size_t value_bytes, char fill_byte)
{
    struct number_key at;
    uint32_t i = from;
    while (put_bytes(store, key_number(&at, i), value_bytes, fill_byte) == ERR_OK)
        i++;
    return i - from;
}

static void a_full_store_keeps_everything(void **state)
{
    struct fixture *fixture = *state;
    reopen(fixture, 9 * MIB, false);
    struct store *store = fixture->store;
    struct number_key at;
    uint32_t count = fill(store, 0, 100, 'a');
    assert_true(count > 6 * MIB / 160);
    assert_true(fixture->budget.used_bytes <= fixture->budget.limit_bytes);
    for (uint32_t i = 0; i < count; i += 7) { /* larger ones do not fit: the old ones stay */
        assert_int_equal(put_bytes(store, key_number(&at, i), 3000, 'b'), ERR_FULL);
        assert_int_equal(put_bytes(store, key_number(&at, i), 50000, 'b'), ERR_FULL);
    }
    store_check(store);
    for (uint32_t i = 0; i < count; i++)
        assert_filled(store, key_number(&at, i), 100, 'a');
    assert_int_equal(store_counters(store)->refused, 1 + 2 * ((count + 6) / 7));
    assert_int_equal(store_counters(store)->items, count);
    assert_true(fixture->budget.used_bytes <= fixture->budget.limit_bytes);
}

static void a_full_store_takes_smaller_values_and_frees_the_rest(void **state)
{
    struct fixture *fixture = *state;
    reopen(fixture, 9 * MIB, false);
    struct store *store = fixture->store;
    struct number_key at;
    uint32_t count = fill(store, 0, 3000, 'a');
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(put_bytes(store, key_number(&at, i), i % 100, 'b'), ERR_OK);
    store_check(store);
    uint32_t more = fill(store, count, 3000, 'c');
    assert_true(more > count * 7 / 10); /* the rest: the small ones, in a page or two a size */
    assert_true(fixture->budget.used_bytes <= fixture->budget.limit_bytes);
    store_check(store);
    for (uint32_t i = 0; i < count; i++)
        assert_filled(store, key_number(&at, i), i % 100, 'b');
    for (uint32_t i = count; i < count + more; i++)
        assert_filled(store, key_number(&at, i), 3000, 'c');
}

static void memory_of_many_small_items_serves_large_ones(void **state)
{
    struct fixture *fixture = *state;
    reopen(fixture, 9 * MIB, false);
    struct store *store = fixture->store;
    struct number_key at;
    uint32_t count = fill(store, 0, 8, 'a');
    for (uint32_t i = 0; i < count; i++) /* one in ten stays: every page is sparse, none empty */
        if (i % 10 != 0)
            assert_true(store_delete(store, key_number(&at, i)));
    store_check(store);
    uint32_t large = 0;
    while (put_bytes(store, key_number(&at, count + large), 40000, 'b') == ERR_OK)
        large++;
    assert_true(large > 5 * MIB / 40000);
    store_check(store);
    for (uint32_t i = 0; i < count; i += 10)
        assert_filled(store, key_number(&at, i), 8, 'a');
}

static void dead_items_make_room_at_once(void **state)
{
    struct fixture *fixture = *state;
    reopen(fixture, 9 * MIB, false);
    struct store *store = fixture->store;
    uint32_t count = fill(store, 0, 100, 'a');
    store_flush(store, 0);
    uint32_t again = fill(store, count, 100, 'b'); /* no tick in between */
    assert_true(again > count * 9 / 10);
    assert_true(fixture->budget.used_bytes <= fixture->budget.limit_bytes);
}

/* Two pages of 152-byte items, one a slot, 200 of 431 in use in each: under pressure, the one into
 * which the last item went is emptied into the other. Spare pages abound, so its memory is gone. */
#define PAGE_ITEMS 431u

static struct store_key half_page_key(char text[9], uint32_t number)
{
    snprintf(text, 9, "%08u", number);
    return key_at(text, number, 77);
}

static void make_half_pages(struct fixture *fixture)
{
    char text[9];
    struct store *store = fixture->store;
    for (uint32_t i = 0; i < 80; i++) { /* twenty pages, to be spare */
        struct store_key key = half_page_key(text, 2000 + i);
        assert_int_equal(put_bytes(store, &key, 16000, 'x'), ERR_OK);
    }
    for (uint32_t i = 0; i < 2 * PAGE_ITEMS; i++) {
        struct store_key key = half_page_key(text, i);
        assert_int_equal(put_bytes(store, &key, 124, 'a'), ERR_OK);
    }
    for (uint32_t i = 0; i < 2 * PAGE_ITEMS; i++) {
        struct store_key key = half_page_key(text, i);
        assert_true(i % PAGE_ITEMS < 200 || store_delete(store, &key));
    }
    for (uint32_t i = 0; i < 80; i++) {
        struct store_key key = half_page_key(text, 2000 + i);
        assert_true(store_delete(store, &key));
    }
}

static void assert_half_pages(struct store *store, uint32_t except)
{
    char text[9];
    for (uint32_t i = 0; i < 2 * PAGE_ITEMS; i++) {
        struct store_key key = half_page_key(text, i);
        if (i % PAGE_ITEMS < 200 && i != except)
            assert_filled(store, &key, 124, 'a');
    }
    store_check(store);
}

static void append_and_prepend_follow_an_item_that_compaction_moves(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t run = 0; run < 4; run++) { /* the item in either page */
        reopen(fixture, 64 * MIB, false);
        make_half_pages(fixture);
        size_t used_bytes = fixture->budget.used_bytes;
        fixture->budget.limit_bytes = used_bytes + REGION_HEAD_BYTES + 2 * PAGE_BYTES;
        char text[9], more[200];
        uint32_t number = run / 2 * PAGE_ITEMS + 3;
        struct store_key key = half_page_key(text, number);
        struct store_item item;
        memset(more, 'a', sizeof(more));
        assert_true(store_get(fixture->store, &key, &item));
        struct store_put put = {.head = item.value, .tail = span_of(more, sizeof(more))};
        if (run % 2 == 1)
            put = (struct store_put){.head = put.tail, .tail = put.head};
        assert_int_equal(store_put(fixture->store, &key, &put, NULL), ERR_OK);
        assert_int_equal(fixture->budget.used_bytes, used_bytes); /* one page won, one taken */
        assert_filled(fixture->store, &key, 324, 'a');
        assert_half_pages(fixture->store, number);
    }
}

static void a_new_item_may_be_moved_while_its_table_grows(void **state)
{
    struct fixture *fixture = *state;
    char text[9];
    make_half_pages(fixture);
    size_t used_bytes = fixture->budget.used_bytes;
    fixture->budget.limit_bytes = used_bytes + REGION_HEAD_BYTES;
    struct store_key key = half_page_key(text, 5000);
    key.position = position_of(3, 78); /* a second one in slot 3: no table of that size yet */
    assert_int_equal(put_bytes(fixture->store, &key, 124, 'b'), ERR_OK);
    assert_int_equal(fixture->budget.used_bytes, used_bytes);
    assert_filled(fixture->store, &key, 124, 'b');
    assert_half_pages(fixture->store, UINT32_MAX);
}

static void memory_that_the_system_refuses_counts_as_full(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    struct store_key key = key_of("k");
    struct store_put put = {.head = SPAN_LITERAL("v")};
    struct rlimit unlimited, none;
    assert_int_equal(getrlimit(RLIMIT_AS, &unlimited), 0);
    none = (struct rlimit){1, unlimited.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &none), 0);
    enum err err = store_put(store, &key, &put, NULL); /* needs the first region */
    assert_int_equal(setrlimit(RLIMIT_AS, &unlimited), 0);
    assert_int_equal(err, ERR_FULL);
    store_check(store);
    put_text(store, &key, "v", STORE_NEVER);
}

static void eviction_makes_room_and_prefers_the_old(void **state)
{
    struct fixture *fixture = *state;
    reopen(fixture, 9 * MIB, true);
    struct store *store = fixture->store;
    struct number_key at;
    const uint32_t count = 30000;
    for (uint32_t i = 0; i < count; i++) /* fits nearly all of the memory */
        assert_int_equal(put_bytes(store, key_number(&at, i), 180, 'a'), ERR_OK);
    assert_int_equal(store_counters(store)->evicted, 0);
    tell_time(store, 100);
    for (uint32_t i = 0; i < count; i += 2) { /* the even ones are read */
        struct store_item item;
        assert_true(store_get(store, key_number(&at, i), &item));
        store_note(store, &item, STORE_MARK_FETCHED);
    }
    for (uint32_t i = count; i < count + 10000; i++)
        assert_int_equal(put_bytes(store, key_number(&at, i), i % 300, 'b'), ERR_OK);
    uint32_t even = 0, odd = 0;
    for (uint32_t i = 0; i < count; i++)
        *(i % 2 == 0 ? &even : &odd) += has(store, key_number(&at, i));
    const struct store_counters *counters = store_counters(store);
    assert_true(counters->evicted > 1000);
    assert_true(counters->evicted_unfetched > counters->evicted * 9 / 10);
    assert_true(even > count / 2 - count / 50);
    assert_true(odd < count / 2 - 1000);
    assert_int_equal(counters->refused, 0);
    assert_true(fixture->budget.used_bytes <= fixture->budget.limit_bytes);
}

static void eviction_makes_room_for_large_values(void **state)
{
    struct fixture *fixture = *state;
    reopen(fixture, 9 * MIB, true);
    struct store *store = fixture->store;
    struct number_key at;
    for (uint32_t i = 0; i < 20000; i++)
        assert_int_equal(put_bytes(store, key_number(&at, i), 300, 'a'), ERR_OK);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(put_bytes(store, key_number(&at, i), 1 * MIB, 'b'), ERR_OK);
        assert_filled(store, &at.key, 1 * MIB, 'b');
        store_release(store);
        store_check(store);
    }
    assert_int_equal(put_bytes(store, key_number(&at, 0), 10 * MIB, 'b'), ERR_FULL);
}

static void the_item_being_replaced_is_not_evicted(void **state)
{
    struct fixture *fixture = *state;
    reopen(fixture, 3 * MIB, true);
    struct store *store = fixture->store;
    struct store_key key = key_of("k");
    assert_int_equal(put_bytes(store, &key, 1 * MIB, 'a'), ERR_OK);
    tell_time(store, 100);
    assert_int_equal(put_bytes(store, &key, 3 * MIB, 'b'), ERR_FULL);
    assert_filled(store, &key, 1 * MIB, 'a');
}

/* Slots */

static void keys_of_one_place_are_told_apart(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    char text[16];
    for (uint32_t i = 0; i < 1000; i++) { /* few tags, the last of all among them: wraps around */
        snprintf(text, sizeof(text), "%u", i);
        struct store_key key = key_at(text, 3, i % 3 == 0 ? (1u << 20) - 1 : i % 3);
        put_text(store, &key, text, STORE_NEVER);
        if (i % 50 == 0)
            store_check(store);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t number = i * 7 % 1000;
        snprintf(text, sizeof(text), "%u", number);
        struct store_key key = key_at(text, 3, number % 3 == 0 ? (1u << 20) - 1 : number % 3);
        assert_value(store, &key, text);
        assert_true(store_delete(store, &key));
        assert_false(has(store, &key));
        if (i % 50 == 0)
            store_check(store);
    }
    assert_int_equal(store_counters(store)->items, 0);
}

static void a_slot_may_grow_large(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    const uint32_t count = 100000;
    char text[16];
    for (uint32_t i = 0; i < count; i++) {
        snprintf(text, sizeof(text), "%u", i);
        struct store_key key = key_at(text, SLOT_COUNT - 1, (uint32_t)(mix(i) & 0xfffff));
        put_text(store, &key, text, STORE_NEVER);
    }
    store_check(store);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(text, sizeof(text), "%u", i);
        struct store_key key = key_at(text, SLOT_COUNT - 1, (uint32_t)(mix(i) & 0xfffff));
        store_prefetch_table(store, &key);
        key.index = store_prefetch_item(store, &key);
        assert_value(store, &key, text);
    }
    store_drop(store, SLOT_COUNT - 1);
    assert_int_equal(store_counters(store)->items, 0);
}

/* What a prefetch said may be of a table that has changed since, or never have been said. */
static void a_key_is_found_whatever_its_hint(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    char text[16], other_text[16];
    const uint32_t count = 40;
    for (uint32_t i = 0; i < count;
         i++) { /* every second tag twice, so that tags alone tell little */
        snprintf(text, sizeof(text), "%u", i);
        struct store_key key = key_at(text, 5, i / 2 * 26214);
        put_text(store, &key, text, STORE_NEVER);
    }
    for (uint32_t i = 0; i < count; i++) {
        snprintf(text, sizeof(text), "%u", i);
        snprintf(other_text, sizeof(other_text), "no %u", i);
        struct store_key key = key_at(text, 5, i / 2 * 26214);
        struct store_key other = key_at(other_text, 5, i / 2 * 26214);
        for (uint32_t hint = 0; hint < 3 * count; hint++) {
            key.index = other.index = hint < 2 * count ? hint : UINT32_MAX - hint;
            assert_value(store, &key, text);
            assert_false(has(store, &other));
        }
    }
    struct store_key key = key_at("0", 5, 0);
    key.index = store_prefetch_item(store, &key);
    assert_true(store_delete(store, &key));
    assert_false(has(store, &key));
    put_text(store, &key, "again", STORE_NEVER);
    assert_value(store, &key, "again");
    store_check(store);
}

static void a_table_shrinks_with_its_slot(void **state)
{
    struct fixture *fixture = *state;
    char text[16];
    for (uint32_t i = 0; i < 20000; i++) {
        snprintf(text, sizeof(text), "%u", i);
        struct store_key key = key_at(text, 9, i * 50);
        put_text(fixture->store, &key, "v", STORE_NEVER);
    }
    struct slot *slot = &fixture->store->slots[9];
    assert_in_range(slot->capacity, 20000 * 5 / 4, 20000 * 5 / 3);
    for (uint32_t i = 0; i < 20000; i++) {
        snprintf(text, sizeof(text), "%u", i);
        struct store_key key = key_at(text, 9, i * 50);
        assert_true(i % 1000 == 0 || store_delete(fixture->store, &key));
    }
    assert_in_range(slot->capacity, 21, 60);
    for (uint32_t i = 0; i < 20000; i += 1000) {
        snprintf(text, sizeof(text), "%u", i);
        struct store_key key = key_at(text, 9, i * 50);
        assert_value(fixture->store, &key, "v");
    }
}

/* Puts so many items into slot 9. Returns how often its table was made anew. */
static uint32_t tables_made(struct store *store, uint32_t count)
{
    const struct slot *slot = &store->slots[9];
    char text[16];
    uint32_t made = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t before = slot->capacity;
        snprintf(text, sizeof(text), "%u", i);
        struct store_key key = key_at(text, 9, (uint32_t)(mix(i) & 0xfffff));
        put_text(store, &key, text, STORE_NEVER);
        made += slot->capacity != before;
    }
    return made;
}

static void a_table_is_made_at_once_for_what_is_expected(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    const struct slot *slot = &store->slots[9];
    assert_in_range(tables_made(store, 60), 6, 20);
    store_drop(store, 9);
    store_expect(store, 60);
    assert_int_equal(tables_made(store, 60), 1);
    assert_in_range(slot->capacity, 75, 90);
    assert_in_range(tables_made(store, 100), 3, 6); /* more come: it grows on as ever */
    assert_in_range(slot->capacity, 125, 180);
    store_drop(store, 9);
    store_expect(store, UINT64_MAX); /* what cannot be is not believed */
    assert_int_equal(tables_made(store, 1), 1);
    assert_in_range(slot->capacity, 1000, 20000);
    store_drop(store, 9);
    store_expect(store, 0);
    assert_int_equal(tables_made(store, 1), 1);
    assert_in_range(slot->capacity, 2, 4);
}

/* How many items of one size, each in a slot of its own, fit. */
static uint32_t items_that_fit(struct fixture *fixture, uint64_t expected)
{
    reopen(fixture, sizeof(struct store) + 16 * PAGE_BYTES, false);
    store_expect(fixture->store, expected);
    char text[16];
    for (uint32_t i = 0;; i++) {
        snprintf(text, sizeof(text), "%u", i);
        struct store_key key = key_at(text, i, 77);
        if (put_bytes(fixture->store, &key, 4000, 'x') == ERR_FULL)
            return i;
        assert_true(fixture->budget.used_bytes <= fixture->budget.limit_bytes);
    }
}

static void what_is_expected_is_given_no_room_that_is_short(void **state)
{
    uint32_t count = items_that_fit(*state, 0);
    assert_in_range(count, 100, SLOT_COUNT);
    assert_in_range(items_that_fit(*state, 60), count * 3 / 4, count);
    assert_in_range(items_that_fit(*state, 8192), 1, count); /* and each put fits or is refused */
}

static bool count_visits(void *arg, const struct store_key *key, const struct store_item *item)
{
    uint32_t *left = arg;
    assert_int_equal(key->bytes.len, 2);
    assert_int_equal(key->position, position_of(5, (uint32_t)key->bytes.data[1]));
    assert_int_equal(item->value.len, 1);
    assert_int_equal(item->value.data[0], key->bytes.data[1]);
    --*left;
    return *left > 0;
}

static void iterate_visits_what_is_above_a_version(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    for (char c = 'a'; c <= 'j'; c++) {
        char text[3] = {'k', c, 0};
        struct store_key key = key_at(text, 5, (uint32_t)c);
        put_text(store, &key, text + 1, c == 'j' ? 10 : STORE_NEVER);
    }
    uint32_t left = 1000;
    store_iterate(store, 5, 0, count_visits, &left);
    assert_int_equal(left, 990);
    store_iterate(store, 5, (1ull << STORE_SEQ_BITS) + 4, count_visits, &left);
    assert_int_equal(left, 984);
    tell_time(store, 10);
    store_iterate(store, 5, 0, count_visits, &left); /* the expired one, too */
    assert_int_equal(left, 974);
    store_iterate(store, 6, 0, count_visits, &left);
    assert_int_equal(left, 974);
    left = 3;
    store_iterate(store, 5, 0, count_visits, &left); /* until the visitor has had enough */
    assert_int_equal(left, 0);
}

static void drop_empties_one_slot(void **state)
{
    struct store *store = ((struct fixture *)*state)->store;
    struct store_key here = key_at("a", 5, 1), there = key_at("b", 6, 1);
    put_text(store, &here, "v", 10);
    put_text(store, &there, "v", 10);
    store_drop(store, 5);
    assert_false(has(store, &here));
    assert_true(has(store, &there));
    assert_int_equal(store_counters(store)->items, 1);
    store_drop(store, 5);
}

static void counters_count(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    struct store_key key = key_of("abc");
    put_text(store, &key, "12345", STORE_NEVER);
    put_text(store, &key, "1234", STORE_NEVER);
    const struct store_counters *counters = store_counters(store);
    assert_int_equal(counters->items, 1);
    assert_int_equal(counters->items_total, 2);
    assert_int_equal(counters->item_bytes, 18 + 3 + 4 + 2);
    assert_int_equal(counters->memory_bytes, fixture->budget.used_bytes);
    assert_true(counters->memory_bytes > sizeof(struct store) + 2 * PAGE_BYTES);
}

static void an_item_of_132_bytes_costs_20_more(void **state)
{
    struct fixture *fixture = *state;
    struct store_key key = key_of("abcdefghijklmnopqrstuvwxyz012345");
    struct store_item item;
    assert_int_equal(put_bytes(fixture->store, &key, 100, 'v'), ERR_OK);
    assert_true(store_get(fixture->store, &key, &item));
    assert_int_equal(item.item_bytes, 152);
    assert_int_equal(arena_chunk_bytes(&fixture->store->arena, item.handle), 152);
}

/* The model: an array of keys, everything by the letter of store.h. */

#define MODEL_KEYS  600u
#define MODEL_SLOTS 5u

struct model_item {
    bool is_present;
    char *value;
    size_t len;
    uint32_t flags, expires_s, accessed_s;
    uint64_t cas, version;
    uint8_t marks;
};

struct model {
    struct model_item items[MODEL_KEYS];
    uint64_t versions[MODEL_SLOTS];
    uint32_t now_s, flush_s;
    uint64_t random;
    uint64_t refused_count;
};

static uint64_t draw(struct model *model, uint64_t bound)
{
    model->random = mix(model->random + 0x9e3779b97f4a7c15u);
    return model->random % bound;
}

static uint32_t model_slot(uint32_t number)
{
    return number % MODEL_SLOTS;
}

static struct store_key *model_key(struct number_key *at, uint32_t number)
{
    key_number(at, number);
    at->key.position = position_of(model_slot(number) * 4000, (uint32_t)(mix(number) % 400 * 2600));
    return &at->key;
}

static void model_remove(struct model_item *item)
{
    free(item->value);
    *item = (struct model_item){0};
}

static void model_tell_time(struct model *model, uint32_t now_s)
{
    model->now_s = now_s;
    bool is_flushed = model->flush_s != 0 && model->flush_s <= now_s;
    for (uint32_t i = 0; i < MODEL_KEYS; i++) {
        struct model_item *item = &model->items[i];
        if (is_flushed || (item->expires_s != 0 && item->expires_s <= now_s))
            model_remove(item);
    }
    if (is_flushed)
        model->flush_s = 0;
}

/* Compares one key; an item that is missing is taken out of the model if may_miss. */
static bool model_compare(struct model *model, struct store *store, uint32_t number, bool may_miss)
{
    struct number_key at;
    struct store_item item;
    struct model_item *expected = &model->items[number];
    bool is_present = store_get(store, model_key(&at, number), &item);
    if (!is_present && expected->is_present && may_miss) {
        model_remove(expected);
        return false;
    }
    assert_int_equal(is_present, expected->is_present);
    if (!is_present)
        return true;
    assert_int_equal(item.value.len, expected->len);
    assert_memory_equal(item.value.data, expected->value, expected->len);
    assert_memory_equal(item.value.data + item.value.len, "\r\n", 2);
    assert_int_equal(item.flags, expected->flags);
    assert_int_equal(item.expires_s, expected->expires_s);
    assert_int_equal(item.accessed_s, expected->accessed_s);
    assert_int_equal(item.cas, expected->cas);
    assert_int_equal(item.version, expected->version);
    assert_int_equal(item.marks, expected->marks);
    return true;
}

static uint32_t draw_expiry(struct model *model)
{
    uint64_t kind = draw(model, 10);
    if (kind == 0)
        return model->now_s - (uint32_t)draw(model, 2);
    return kind < 5 ? STORE_NEVER : model->now_s + 1 + (uint32_t)draw(model, 40);
}

static size_t draw_len(struct model *model)
{
    uint64_t kind = draw(model, 100);
    if (kind == 0)
        return 16000 + draw(model, 30000);
    return kind < 50 ? draw(model, 150) : draw(model, 3000);
}

/* The version that the key's slot has given last, which is a new one; what expired and what was
 * evicted meanwhile may have taken some before it. */
static uint64_t take_version(struct model *model, const struct store *store, uint32_t number)
{
    uint64_t version = store_ver(store, model_slot(number) * 4000);
    assert_true(version > model->versions[model_slot(number)]);
    model->versions[model_slot(number)] = version;
    return version;
}

/* A put of new bytes, or of old and new ones (append, prepend). */
static void step_put(struct model *model, struct store *store, uint32_t number)
{
    struct number_key at;
    struct store_item old = {0};
    struct model_item *item = &model->items[number];
    bool is_old = store_get(store, model_key(&at, number), &old);
    size_t len = draw_len(model);
    char *bytes = malloc(len + 1);
    assert_non_null(bytes);
    memset(bytes, (int)draw(model, 256), len + 1);
    struct store_put put = {.head = span_of(bytes, len), .flags = (uint32_t)draw(model, 2) * 5};
    put.expires_s = draw_expiry(model);
    put.cas = draw(model, 4) == 0 ? 1 + draw(model, 1000) : 0;
    put.marks = (uint8_t)draw(model, 8);
    if (is_old && draw(model, 3) == 0 && old.value.len < 50000) {
        bool in_front = draw(model, 2) == 0;
        put.tail = in_front ? old.value : put.head;
        put.head = in_front ? put.head : old.value;
    }
    size_t all_len = put.head.len + put.tail.len;
    char *all = malloc(all_len + 1);
    assert_non_null(all);
    memcpy(all, put.head.data, put.head.len);
    if (put.tail.len > 0)
        memcpy(all + put.head.len, put.tail.data, put.tail.len);
    uint64_t version = 0;
    enum err err = store_put(store, &at.key, &put, &version);
    free(bytes);
    if (err != ERR_OK) {
        assert_int_equal(err, ERR_FULL);
        model->refused_count++;
        free(all);
        return;
    }
    assert_int_equal(version, take_version(model, store, number));
    model_remove(item);
    *item = (struct model_item){true,
                                all,
                                all_len,
                                put.flags,
                                put.expires_s,
                                model->now_s,
                                put.cas != 0 ? put.cas : version,
                                version,
                                put.marks};
    if (put.expires_s != STORE_NEVER && put.expires_s <= model->now_s)
        model_remove(item);
}

static void step_delete(struct model *model, struct store *store, uint32_t number)
{
    struct number_key at;
    struct model_item *item = &model->items[number];
    assert_int_equal(store_delete(store, model_key(&at, number)), item->is_present);
    if (item->is_present)
        take_version(model, store, number);
    model_remove(item);
}

static void step_touch(struct model *model, struct store *store, uint32_t number)
{
    struct number_key at;
    struct model_item *item = &model->items[number];
    uint32_t expires_s = draw_expiry(model);
    enum err err = store_touch(store, model_key(&at, number), expires_s);
    assert_int_equal(err == ERR_NOT_FOUND, !item->is_present);
    if (err != ERR_OK)
        return;
    item->version = take_version(model, store, number);
    item->expires_s = expires_s;
    if (expires_s != STORE_NEVER && expires_s <= model->now_s)
        model_remove(item);
}

static void step_mark(struct model *model, struct store *store, uint32_t number)
{
    struct number_key at;
    struct model_item *item = &model->items[number];
    uint64_t cas = draw(model, 3) == 0 ? 1 + draw(model, 1000) : 0;
    uint8_t marks = (uint8_t)draw(model, 8);
    enum err err = store_mark(store, model_key(&at, number), cas, marks);
    assert_int_equal(err == ERR_NOT_FOUND, !item->is_present);
    if (err != ERR_OK)
        return;
    item->version = take_version(model, store, number);
    item->cas = cas != 0 ? cas : item->version;
    item->marks = marks;
}

static void step_note(struct model *model, struct store *store, uint32_t number)
{
    struct number_key at;
    struct store_item view;
    struct model_item *item = &model->items[number];
    if (!store_get(store, model_key(&at, number), &view))
        return;
    uint8_t marks = (uint8_t)draw(model, 8);
    if (draw(model, 2) == 0) {
        store_note(store, &view, marks);
        item->accessed_s = model->now_s;
        item->marks |= marks;
    } else {
        store_unmark(store, &view, marks);
        item->marks = (uint8_t)(item->marks & ~marks);
    }
}

static void step_time(struct model *model, struct store *store)
{
    uint32_t step_s = (uint32_t)(draw(model, 50) == 0 ? draw(model, 100) : draw(model, 3));
    tell_time(store, model->now_s + step_s);
    model_tell_time(model, model->now_s + step_s);
}

static void step_flush(struct model *model, struct store *store)
{
    uint32_t delay_s = (uint32_t)(draw(model, 2) * draw(model, 30));
    store_flush(store, delay_s);
    model->flush_s = model->now_s + delay_s;
    if (delay_s == 0)
        model_tell_time(model, model->now_s);
}

static void step_drop(struct model *model, struct store *store, uint32_t slot)
{
    store_drop(store, slot * 4000);
    for (uint32_t i = slot; i < MODEL_KEYS; i += MODEL_SLOTS)
        model_remove(&model->items[i]);
}

static void model_step(struct model *model, struct store *store)
{
    uint32_t number = (uint32_t)draw(model, MODEL_KEYS);
    uint64_t kind = draw(model, 1000);
    if (kind < 500)
        step_put(model, store, number);
    else if (kind < 600)
        step_delete(model, store, number);
    else if (kind < 680)
        step_touch(model, store, number);
    else if (kind < 750)
        step_mark(model, store, number);
    else if (kind < 850)
        step_note(model, store, number);
    else if (kind < 900)
        step_time(model, store);
    else if (kind < 996)
        store_tick(store, (uint32_t)draw(model, 200));
    else if (kind < 998)
        step_drop(model, store, (uint32_t)draw(model, MODEL_SLOTS));
    else if (draw(model, 10) == 0)
        step_flush(model, store);
    if (draw(model, 20) == 0)
        store_release(store);
    if (draw(model, 50) == 0)
        store_expect(store, draw(model, 2) * draw(model, 400));
}

/* Runs the model beside the store; returns how many puts were refused. */
static uint64_t run_model(struct fixture *fixture, uint64_t seed, uint32_t step_count)
{
    struct model *model = calloc(1, sizeof(*model));
    assert_non_null(model);
    model->random = seed;
    model->now_s = 1;
    for (uint32_t i = 0; i < MODEL_SLOTS; i++)
        model->versions[i] = 1ull << STORE_SEQ_BITS;
    for (uint32_t i = 0; i < step_count; i++) {
        uint64_t evicted = store_counters(fixture->store)->evicted;
        model_step(model, fixture->store);
        uint64_t missing = 0;
        bool is_full = i % 64 == 0 || evicted != store_counters(fixture->store)->evicted;
        for (uint32_t key = 0; is_full && key < MODEL_KEYS; key++)
            missing += !model_compare(model, fixture->store, key,
                                      fixture->budget.limit_bytes != 0 &&
                                          evicted != store_counters(fixture->store)->evicted);
        assert_true(missing <= store_counters(fixture->store)->evicted - evicted);
        assert_true(fixture->budget.used_bytes <= fixture->budget.limit_bytes);
        if (i % 64 == 0)
            store_check(fixture->store);
    }
    for (uint32_t key = 0; key < MODEL_KEYS; key++)
        model_remove(&model->items[key]);
    uint64_t refused_count = model->refused_count;
    free(model);
    return refused_count;
}

static void random_operations_agree_with_the_model(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        reopen(*state, 64 * MIB, false);
        assert_int_equal(run_model(*state, seed, 20000), 0);
    }
}

static void random_operations_agree_with_the_model_when_full(void **state)
{
    for (uint64_t seed = 11; seed <= 14; seed++) {
        reopen(*state, sizeof(struct store) + 11 * PAGE_BYTES, false);
        assert_true(run_model(*state, seed, 20000) > 1000);
    }
}

static void random_operations_agree_with_the_model_when_evicting(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t seed = 21; seed <= 22; seed++) {
        reopen(fixture, sizeof(struct store) + 11 * PAGE_BYTES, true);
        run_model(fixture, seed, 20000);
        assert_true(store_counters(fixture->store)->evicted > 1000);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_item_comes_back_as_it_was_put),
        TEST(each_optional_field_is_kept_alone_and_with_others),
        TEST(an_absent_key_is_not_found),
        TEST(versions_count_each_slots_writes_from_one),
        TEST(get_is_no_access_and_note_is),
        TEST(a_put_may_borrow_from_the_item_it_replaces),
        TEST(a_value_may_be_doubled_from_itself),
        TEST(a_value_may_be_turned_around_within_itself),
        TEST(a_key_and_value_of_4_gib_are_too_large),
        TEST(a_large_value_stays_until_release),
        TEST(an_item_expires_at_its_second),
        TEST(a_put_already_expired_removes_the_item),
        TEST(touch_sets_the_expiry_and_keeps_cas),
        TEST(mark_sets_cas_and_marks),
        TEST(expired_memory_comes_back_unasked),
        TEST(a_tick_does_bounded_work),
        TEST(a_flush_hides_what_was_put_before),
        TEST(a_delayed_flush_fires_when_due),
        TEST(a_later_flush_replaces_a_pending_one),
        TEST(a_full_store_keeps_everything),
        TEST(a_full_store_takes_smaller_values_and_frees_the_rest),
        TEST(memory_of_many_small_items_serves_large_ones),
        TEST(dead_items_make_room_at_once),
        TEST(append_and_prepend_follow_an_item_that_compaction_moves),
        TEST(a_new_item_may_be_moved_while_its_table_grows),
        TEST(memory_that_the_system_refuses_counts_as_full),
        TEST(eviction_makes_room_and_prefers_the_old),
        TEST(eviction_makes_room_for_large_values),
        TEST(the_item_being_replaced_is_not_evicted),
        TEST(keys_of_one_place_are_told_apart),
        TEST(a_slot_may_grow_large),
        TEST(a_key_is_found_whatever_its_hint),
        TEST(a_table_shrinks_with_its_slot),
        TEST(a_table_is_made_at_once_for_what_is_expected),
        TEST(what_is_expected_is_given_no_room_that_is_short),
        TEST(iterate_visits_what_is_above_a_version),
        TEST(drop_empties_one_slot),
        TEST(counters_count),
        TEST(an_item_of_132_bytes_costs_20_more),
        TEST(random_operations_agree_with_the_model),
        TEST(random_operations_agree_with_the_model_when_full),
        TEST(random_operations_agree_with_the_model_when_evicting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
