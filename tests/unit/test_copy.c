/* Copies (server/store/copy.h, and what store.h says of leaders' and backups' writes), sentence by
 * sentence. */
#include "server/store/copy.h"

#include "server/store/ids.h"
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
};

static void open_with(struct fixture *fixture, size_t limit_bytes, bool evict)
{
    fixture->budget = (struct budget){.limit_bytes = limit_bytes};
    struct store_options options = {.budget = &fixture->budget, .evict = evict, .seed = 7};
    fixture->store = store_open(&options);
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

static struct store *store_of(void **state)
{
    return ((struct fixture *)*state)->store;
}

/* A key of SLOT. */
static struct store_key key_of(const char *text)
{
    uint32_t tag = (uint32_t)(uint8_t)text[0] * 4099 + (uint32_t)strlen(text);
    return (struct store_key){.bytes = span_of_string(text),
                              .position = (uint64_t)SLOT << (64 - SLOT_BITS) |
                                          (uint64_t)tag << (64 - STORE_POSITION_BITS)};
}

static uint64_t put(struct store *store, const char *name, const char *value)
{
    struct store_key key = key_of(name);
    struct store_put put = {.head = span_of_string(value)};
    uint64_t version;
    assert_int_equal(store_put(store, &key, &put, &version), ERR_OK);
    return version;
}

static uint64_t put_until(struct store *store, const char *name, uint32_t expires_s)
{
    struct store_key key = key_of(name);
    struct store_put put = {.head = SPAN_LITERAL("v"), .expires_s = expires_s};
    uint64_t version;
    assert_int_equal(store_put(store, &key, &put, &version), ERR_OK);
    return version;
}

static bool delete (struct store *store, const char *name)
{
    struct store_key key = key_of(name);
    return store_delete(store, &key);
}

static bool has(struct store *store, const char *name)
{
    struct store_key key = key_of(name);
    struct store_item item;
    return store_get(store, &key, &item);
}

/* The version of what is there, whatever it is; 0 for nothing. */
static uint64_t found(struct store *store, const char *name, enum store_found expected)
{
    struct store_key key = key_of(name);
    struct store_item item = {0};
    assert_int_equal(store_find(store, &key, &item), expected);
    assert_int_equal(item.is_tombstone, expected == STORE_TOMBSTONE);
    return item.version;
}

static void apply(struct store *store, const char *name, uint64_t version, const char *value,
                  bool moves_ver)
{
    struct store_key key = key_of(name);
    struct store_put put = {.head = span_of_string(value != NULL ? value : "")};
    assert_int_equal(store_apply(store, &key, version, value != NULL ? &put : NULL, moves_ver),
                     ERR_OK);
}

static void tick_until_done(struct store *store)
{
    for (int i = 0; store_tick(store, 1000); i++)
        assert_true(i < 100000);
}

static uint64_t v(uint32_t epoch, uint64_t seq)
{
    return store_version(epoch, seq);
}

static void assert_lineage(struct store *store, uint32_t count, const uint64_t *expected)
{
    const struct copy *copy = store_copy(store, SLOT);
    assert_int_equal(copy->lineage_count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(copy->lineage[i], expected[i]);
    uint64_t ver = count > 0 ? expected[count - 1] : 0;
    assert_int_equal(store_ver(store, SLOT), ver);
    for (uint32_t epoch = copy->act; epoch < copy->act + 2; epoch++)
        assert_int_equal(copy_ends_in(store, SLOT, epoch),
                         ver > 0 && store_version_epoch(ver) == epoch);
}

#define ASSERT_LINEAGE(store, ...)                                                                 \
    do {                                                                                           \
        const uint64_t expected[] = {__VA_ARGS__};                                                 \
        assert_lineage(store, ARRAY_COUNT(expected), expected);                                    \
    } while (0)

/* Leading */

static void a_fresh_copy_is_empty_and_clean(void **state)
{
    const struct copy *copy = store_copy(store_of(state), SLOT);
    assert_int_equal(copy->act, 0);
    assert_true(copy->is_clean);
    assert_int_equal(copy->floor, 0);
    assert_int_equal(copy->flush, 0);
    assert_int_equal(copy->lineage_count, 0);
    assert_int_equal(store_ver(store_of(state), SLOT), 0);
    assert_false(copy_is_led(store_of(state), SLOT));
}

static void a_leader_counts_its_writes_in_each_epoch_from_one(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 3);
    assert_int_equal(store_copy(store, SLOT)->act, 3);
    assert_int_equal(store_ver(store, SLOT), 0);
    assert_int_equal(put(store, "a", "1"), v(3, 1));
    assert_int_equal(put(store, "b", "1"), v(3, 2));
    ASSERT_LINEAGE(store, v(3, 2));
    copy_lead(store, SLOT, 4); /* nothing is written in it */
    ASSERT_LINEAGE(store, v(3, 2));
    copy_lead(store, SLOT, 7);
    assert_int_equal(put(store, "a", "2"), v(7, 1));
    ASSERT_LINEAGE(store, v(3, 2), v(7, 1));
    copy_lead(store, SLOT, 7); /* the epoch has writes already */
    assert_int_equal(put(store, "a", "3"), v(7, 2));
    ASSERT_LINEAGE(store, v(3, 2), v(7, 2));
    for (uint32_t epoch = 8; epoch < 40; epoch++) {
        copy_lead(store, SLOT, epoch);
        put(store, "a", "4");
        store_check(store);
    }
    assert_int_equal(store_copy(store, SLOT)->lineage_count, 34);
}

static void epochs_and_seqs_may_be_near_their_end(void **state)
{
    struct store *store = store_of(state);
    const uint64_t lineage[] = {v(STORE_EPOCH_MAX, STORE_SEQ_MAX - 1)};
    copy_end(store, SLOT, lineage, 1, STORE_EPOCH_MAX, true, 0);
    copy_lead(store, SLOT, STORE_EPOCH_MAX);
    assert_int_equal(put(store, "a", "1"), UINT64_MAX >> 1);
    assert_true(has(store, "a"));
}

static void a_delete_leaves_a_tombstone(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    put(store, "a", "value");
    assert_true(delete (store, "a"));
    assert_false(has(store, "a"));
    assert_int_equal(found(store, "a", STORE_TOMBSTONE), v(1, 2));
    assert_int_equal(store_counters(store)->items, 0);
    assert_int_equal(store_counters(store)->tombstones, 1);
    assert_int_equal(store_copy(store, SLOT)->tombstone_count, 1);
    assert_false(delete (store, "a")); /* takes no version */
    assert_int_equal(store_ver(store, SLOT), v(1, 2));
    struct store_key key = key_of("a");
    assert_int_equal(store_touch(store, &key, 100), ERR_NOT_FOUND);
    assert_int_equal(store_mark(store, &key, 0, 0), ERR_NOT_FOUND);
    tick_until_done(store);
    found(store, "a", STORE_TOMBSTONE);
    put(store, "a", "");
    assert_true(has(store, "a"));
    assert_int_equal(store_counters(store)->tombstones, 0);
    assert_int_equal(found(store, "a", STORE_ITEM), v(1, 3));
}

static void tombstones_are_counted_in_memory_and_are_small(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    copy_lead(store, SLOT, 1);
    struct store_key key = key_of("abcdefghijklmnopqrstuvwxyz012345");
    for (size_t len = 0; len <= 70000; len = len * 3 + 1) { /* chunks and large blocks */
        char *value = calloc(1, len + 1);
        struct store_put put = {.head = span_of(value, len), .flags = len % 2 == 0 ? 3 : 0};
        assert_int_equal(store_put(store, &key, &put, NULL), ERR_OK);
        free(value);
        assert_true(store_delete(store, &key));
        store_release(store);
        struct store_item item;
        assert_int_equal(store_find(store, &key, &item), STORE_TOMBSTONE);
        assert_int_equal(item.value.len, 0);
        assert_int_equal(item.flags, 0);
        assert_true(item.item_bytes <= 18 + 32 + 2);
        assert_int_equal(store_counters(store)->item_bytes, item.item_bytes);
        store_check(store);
    }
}

static void a_large_value_that_is_lent_outlives_its_delete(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    copy_lead(store, SLOT, 1);
    struct store_key key = key_of("a");
    const size_t len = 40000;
    char *value = malloc(len);
    memset(value, 'x', len);
    for (unsigned run = 0; run < 2; run++) {
        struct store_put put = {.head = span_of(value, len)};
        assert_int_equal(store_put(store, &key, &put, NULL), ERR_OK);
        struct store_item item;
        assert_true(store_get(store, &key, &item));
        size_t limit_bytes = fixture->budget.limit_bytes;
        if (run == 0) /* no room for a smaller one: it is buried where it is */
            fixture->budget.limit_bytes = 0;
        assert_true(store_delete(store, &key));
        for (size_t i = 0; i < len; i++)
            assert_int_equal(item.value.data[i], 'x');
        assert_memory_equal(item.value.data + len, "\r\n", 2);
        store_release(store);
        store_check(store);
        fixture->budget.limit_bytes = limit_bytes;
        found(store, "a", STORE_TOMBSTONE);
    }
    free(value);
}

static void touch_takes_a_version_and_keeps_cas(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    struct store_key key = key_of("a");
    struct store_item item;
    put(store, "a", "v");
    assert_int_equal(store_touch(store, &key, 100), ERR_OK);
    assert_int_equal(store_touch(store, &key, STORE_NEVER), ERR_OK);
    assert_true(store_get(store, &key, &item));
    assert_int_equal(item.version, v(1, 3));
    assert_int_equal(item.cas, v(1, 1));
    struct store_put put = {.head = SPAN_LITERAL("w"), .cas = 42};
    assert_int_equal(store_put(store, &key, &put, NULL), ERR_OK);
    assert_int_equal(store_touch(store, &key, 100), ERR_OK);
    assert_true(store_get(store, &key, &item));
    assert_int_equal(item.version, v(1, 5));
    assert_int_equal(item.cas, 42);
}

static void a_put_or_touch_already_expired_is_a_delete(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    store_tell_time(store, 100);
    put(store, "a", "v");
    assert_int_equal(put_until(store, "a", 100), v(1, 2));
    assert_int_equal(found(store, "a", STORE_TOMBSTONE), v(1, 2));
    assert_int_equal(put_until(store, "b", 1), v(1, 3)); /* nothing was there: nothing is left */
    assert_int_equal(found(store, "b", STORE_NONE), 0);
    put(store, "c", "v");
    struct store_key key = key_of("c");
    assert_int_equal(store_touch(store, &key, 99), ERR_OK);
    assert_int_equal(found(store, "c", STORE_TOMBSTONE), v(1, 5));
}

static void a_write_of_nothing_takes_a_version(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    assert_int_equal(store_write_nothing(store, SLOT), v(1, 1));
    assert_int_equal(put(store, "a", "v"), v(1, 2));
    ASSERT_LINEAGE(store, v(1, 2));
}

static void a_full_store_can_delete(void **state)
{
    struct fixture *fixture = *state;
    reopen(fixture, sizeof(struct store) + 20 * PAGE_BYTES, false);
    struct store *store = fixture->store;
    copy_lead(store, SLOT, 1);
    const size_t sizes[] = {20, 200, 17000};
    for (unsigned size = 0; size < ARRAY_COUNT(sizes); size++) {
        char text[32];
        char *value = calloc(1, sizes[size]);
        uint32_t count = 0;
        for (;; count++) {
            snprintf(text, sizeof(text), "%u-%u", count, size);
            struct store_key key = key_of(text);
            struct store_put put = {.head = span_of(value, sizes[size])};
            if (store_put(store, &key, &put, NULL) != ERR_OK)
                break;
        }
        free(value);
        assert_true(count > 20);
        fixture->budget.limit_bytes = 0; /* not a page more is to be had */
        for (uint32_t i = 0; i < count; i++) {
            snprintf(text, sizeof(text), "%u-%u", i, size);
            assert_true(delete (store, text));
            found(store, text, STORE_TOMBSTONE);
        }
        fixture->budget.limit_bytes = sizeof(struct store) + 20 * PAGE_BYTES;
        store_check(store);
        copy_raise_floor(store, SLOT, store_ver(store, SLOT));
        tick_until_done(store);
        assert_int_equal(store_counters(store)->tombstones, 0);
    }
}

/* Alone */

static void alone_nothing_is_left_of_a_delete_and_the_floor_follows(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    copy_lead(store, SLOT, 1);
    put(store, "a", "v");
    put(store, "b", "v");
    assert_true(delete (store, "a"));
    assert_int_equal(store_copy(store, SLOT)->floor, 0);
    copy_set_alone(store, SLOT, true); /* drops the tombstone there is */
    assert_int_equal(store_copy(store, SLOT)->floor, v(1, 3));
    found(store, "a", STORE_NONE);
    put(store, "c", "v");
    assert_true(delete (store, "b"));
    found(store, "b", STORE_NONE);
    assert_int_equal(store_copy(store, SLOT)->floor, v(1, 5));
    store_flush_slot(store, SLOT, 0);
    assert_int_equal(store_copy(store, SLOT)->floor, v(1, 6));
    found(store, "c", STORE_NONE);
    put_until(store, "d", 10);
    store_tell_time(store, 10);
    tick_until_done(store);
    assert_int_equal(store_copy(store, SLOT)->floor, v(1, 8));
    found(store, "d", STORE_NONE);
    assert_int_equal(store_counters(store)->items + store_counters(store)->tombstones, 0);
    copy_set_alone(store, SLOT, false);
    put(store, "e", "v");
    assert_true(delete (store, "e"));
    found(store, "e", STORE_TOMBSTONE);
    assert_int_equal(store_copy(store, SLOT)->floor, v(1, 8));
}

static void alone_the_floor_passes_what_a_broken_sync_left_above_ver(void **state)
{
    struct store *store = store_of(state);
    apply(store, "a", v(2, 5), NULL, false);
    apply(store, "b", v(2, 6), "v", false);
    store_apply_flush(store, SLOT, v(2, 7), 0, 0, 0);
    copy_lead(store, SLOT, 3);
    copy_set_alone(store, SLOT, true);
    assert_int_equal(store_copy(store, SLOT)->floor, v(2, 7));
    ASSERT_LINEAGE(store, v(3, 1)); /* a write of nothing */
    found(store, "a", STORE_NONE);
    found(store, "b", STORE_NONE);
    tick_until_done(store);
    assert_int_equal(store_counters(store)->items + store_counters(store)->tombstones, 0);
}

/* Expiry */

static void an_expired_item_stays_until_the_leader_deletes_it(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    struct store_key key = key_of("a");
    put_until(store, "a", 50);
    store_tell_time(store, 49);
    assert_true(has(store, "a"));
    assert_false(store_expire(store, &key));
    assert_false(store_take_saw_expired(store));
    store_tell_time(store, 50);
    assert_false(has(store, "a"));
    assert_true(store_take_saw_expired(store));
    assert_false(store_take_saw_expired(store));
    assert_false(delete (store, "a"));
    assert_true(store_take_saw_expired(store));
    assert_int_equal(store_touch(store, &key, 100), ERR_NOT_FOUND);
    assert_true(store_take_saw_expired(store));
    assert_int_equal(store_mark(store, &key, 0, 0), ERR_NOT_FOUND);
    assert_true(store_take_saw_expired(store));
    assert_int_equal(found(store, "a", STORE_ITEM), v(1, 1));
    assert_true(store_expire(store, &key));
    assert_int_equal(found(store, "a", STORE_TOMBSTONE), v(1, 2));
    assert_int_equal(store_counters(store)->expired, 1);
    assert_false(store_expire(store, &key));
    assert_false(has(store, "a"));
    assert_false(store_take_saw_expired(store)); /* it is deleted now */
}

static void a_put_takes_the_place_of_an_expired_item(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    struct store_key key = key_of("a");
    put_until(store, "a", 50);
    store_tell_time(store, 50);
    assert_int_equal(put(store, "a", "w"), v(1, 2));
    assert_true(has(store, "a"));
    assert_false(store_expire(store, &key));
    put_until(store, "a", 60);
    store_tell_time(store, 60);
    assert_int_equal(put_until(store, "a", 60), v(1, 4));
    assert_int_equal(found(store, "a", STORE_TOMBSTONE), v(1, 4));
}

static void the_crawl_tells_what_is_expired_where_the_slot_is_led(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    for (char c = 'a'; c <= 'j'; c++)
        put_until(store, (char[]){c, 0}, c < 'f' ? 50 : 60);
    copy_unlead(store, SLOT);
    store_tell_time(store, 50);
    tick_until_done(store);
    struct store_key key;
    assert_false(store_take_expired(store, &key));
    copy_lead(store, SLOT, 2);
    for (uint32_t expected = 5, now_s = 50; now_s <= 60; now_s++) {
        store_tell_time(store, now_s);
        tick_until_done(store);
        store_check(store);
        expected = now_s < 60 ? now_s == 50 ? 5 : 0 : 5;
        for (uint32_t i = 0; i < expected; i++) {
            assert_true(store_take_expired(store, &key));
            assert_true(store_expire(store, &key));
            assert_int_equal(store_ver(store, SLOT), v(2, i + 1 + (now_s == 60 ? 5 : 0)));
        }
        assert_false(store_take_expired(store, &key));
    }
    assert_int_equal(store_counters(store)->items, 0);
    assert_int_equal(store_counters(store)->tombstones, 10);
}

static void what_is_told_expired_and_not_deleted_is_told_again_and_never_stalls(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    char text[300];
    memset(text, 'k', sizeof(text));
    for (uint32_t i = 0; i < 2000; i++) {
        snprintf(text, sizeof(text), "%0200u", i);
        struct store_key key = key_of(text);
        struct store_put put = {.head = SPAN_LITERAL("v"), .expires_s = 10};
        assert_int_equal(store_put(store, &key, &put, NULL), ERR_OK);
    }
    uint32_t taken = 0;
    for (uint32_t now_s = 10; store_counters(store)->items > 0; now_s++) {
        store_tell_time(store, now_s);
        tick_until_done(store); /* though more wait than are kept */
        assert_true(keys_bytes(&store->expired) < 65536 + 300);
        struct store_key key;
        for (uint32_t i = 0; now_s > 12 && store_take_expired(store, &key); i++) {
            char bytes[300];
            struct store_key copied = {.bytes = span_of(bytes, key.bytes.len),
                                       .position = key.position};
            memcpy(bytes, key.bytes.data, key.bytes.len);
            taken += store_expire(store, &copied);
        }
        assert_true(now_s < 40);
    }
    assert_int_equal(taken, 2000);
}

static void eviction_is_a_delete_with_a_version_of_a_led_slot(void **state)
{
    struct fixture *fixture = *state;
    reopen(fixture, sizeof(struct store) + 20 * PAGE_BYTES, true);
    struct store *store = fixture->store;
    copy_lead(store, SLOT, 1);
    char value[2000] = {0};
    struct store_key backup = {.bytes = SPAN_LITERAL("backup"),
                               .position = (uint64_t)6 << (64 - SLOT_BITS)};
    struct store_put put = {.head = span_of(value, sizeof(value))};
    assert_int_equal(store_apply(store, &backup, v(1, 1), &put, false), ERR_OK);
    uint64_t last = 0;
    uint32_t evicted = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%u", i);
        struct store_key key = key_of(text);
        uint64_t version;
        store_tell_time(store, 1 + i);
        if (store_put(store, &key, &put, &version) != ERR_OK)
            break; /* all is tombstones */
        struct store_key gone;
        while (store_take_evicted(store, &gone)) {
            struct store_item item;
            evicted++;
            assert_int_equal(store_find(store, &gone, &item), STORE_TOMBSTONE);
            assert_int_equal(item.version, ++last);
        }
        assert_int_equal(version, last = last == 0 ? v(1, 1) : last + 1);
        assert_int_equal(store_ver(store, SLOT), last);
    }
    assert_true(evicted > 500);
    assert_int_equal(store_counters(store)->evicted, evicted);
    struct store_item item;
    assert_int_equal(store_find(store, &backup, &item), STORE_ITEM);
}

/* Puts an item of 2000 bytes and this number in a slot. Returns whether it found room. */
static bool put_long(struct store *store, uint32_t slot, uint32_t number)
{
    static const char value[2000];
    const struct store_put put = {.head = span_of(value, sizeof(value))};
    char text[16];
    snprintf(text, sizeof(text), "%u", number);
    struct store_key key = key_of(text), gone;
    key.position += (uint64_t)(slot - SLOT) << (64 - SLOT_BITS);
    enum err err = store_put(store, &key, &put, NULL);
    while (store_take_evicted(store, &gone))
        ;
    return err == ERR_OK;
}

/* Else the last one is soon given, and the next is a mistake of ours. */
static void nothing_is_evicted_from_a_slot_whose_versions_are_used_up(void **state)
{
    struct fixture *fixture = *state;
    reopen(fixture, sizeof(struct store) + 20 * PAGE_BYTES, true);
    struct store *store = fixture->store;
    const struct store_counters *counters = store_counters(store);
    uint32_t number = 0;
    copy_lead(store, SLOT, 1);
    copy_lead(store, SLOT + 1, 1);
    for (; counters->evicted == 0; number++)
        assert_true(put_long(store, SLOT + number % 2, number));
    store->slots[SLOT].version = v(1, STORE_SEQ_LAST - 5);
    while (counters->evicted < 100)
        assert_true(put_long(store, SLOT + 1, ++number));
    assert_int_equal(store_ver(store, SLOT), v(1, STORE_SEQ_LAST));
    /* Where no other is left there is no room. */
    store->slots[SLOT + 1].version = v(1, STORE_SEQ_LAST);
    assert_false(put_long(store, SLOT + 1, ++number));
    assert_int_equal(store_ver(store, SLOT), v(1, STORE_SEQ_LAST));
    assert_int_equal(counters->evicted, 100);
}

/* Flush */

static void a_flush_is_a_write_that_hides_what_is_older(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    struct store_key key = key_of("a");
    put(store, "a", "v");
    put(store, "b", "v");
    assert_true(delete (store, "b"));
    assert_int_equal(store_flush_slot(store, SLOT, 0), v(1, 4));
    assert_int_equal(store_copy(store, SLOT)->flush, v(1, 4));
    ASSERT_LINEAGE(store, v(1, 4));
    put(store, "c", "v");
    assert_false(has(store, "a"));
    assert_true(has(store, "c"));
    assert_false(delete (store, "a"));
    assert_int_equal(store_touch(store, &key, 100), ERR_NOT_FOUND);
    assert_false(store_expire(store, &key));
    assert_false(store_take_saw_expired(store));
    tick_until_done(store);
    assert_int_equal(found(store, "a", STORE_ITEM), v(1, 1)); /* stays until the floor has passed */
    copy_raise_floor(store, SLOT, v(1, 3));
    tick_until_done(store);
    assert_int_equal(found(store, "a", STORE_ITEM), v(1, 1));
    assert_int_equal(found(store, "b", STORE_NONE), 0);
    copy_raise_floor(store, SLOT, v(1, 4));
    assert_int_equal(found(store, "a", STORE_NONE), 0);
    assert_int_equal(store_counters(store)->items, 2);
    tick_until_done(store);
    assert_int_equal(store_counters(store)->items, 1);
    assert_int_equal(store_counters(store)->flushed, 1);
}

static void a_delayed_flush_is_carried_out_by_the_leader_when_due(void **state)
{
    struct store *store = store_of(state);
    uint32_t slot;
    copy_lead(store, SLOT, 1);
    copy_lead(store, 9, 1);
    store_tell_time(store, 10);
    put(store, "a", "v");
    assert_int_equal(store_flush_slot(store, SLOT, 5), v(1, 2));
    assert_int_equal(store_flush_slot(store, 9, 7), v(1, 1));
    assert_int_equal(store_copy(store, SLOT)->flush_due, v(1, 2));
    assert_int_equal(store_copy(store, SLOT)->flush_due_s, 15);
    put(store, "b", "v"); /* is hidden, too */
    store_tell_time(store, 14);
    assert_false(store_take_flush_due(store, &slot));
    assert_true(has(store, "a"));
    store_tell_time(store, 15);
    assert_true(store_take_flush_due(store, &slot));
    assert_int_equal(slot, SLOT);
    assert_false(store_take_flush_due(store, &slot));
    assert_int_equal(store_copy(store, SLOT)->flush, v(1, 4));
    assert_int_equal(store_copy(store, SLOT)->flush_due, 0);
    assert_int_equal(store_ver(store, SLOT), v(1, 4));
    assert_false(has(store, "a"));
    assert_false(has(store, "b"));
    put(store, "c", "v");
    copy_unlead(store, 9); /* whoever leads it now */
    store_tell_time(store, 30);
    assert_false(store_take_flush_due(store, &slot));
    copy_lead(store, 9, 2);
    assert_true(store_take_flush_due(store, &slot));
    assert_int_equal(slot, 9);
    assert_int_equal(store_copy(store, 9)->flush, v(2, 1));
    assert_true(has(store, "c"));
}

static void a_flush_replaces_one_that_is_pending(void **state)
{
    struct store *store = store_of(state);
    uint32_t slot;
    copy_lead(store, SLOT, 1);
    store_flush_slot(store, SLOT, 5);
    store_flush_slot(store, SLOT, 50);
    assert_int_equal(store_copy(store, SLOT)->flush_due, v(1, 2));
    store_tell_time(store, 50);
    assert_false(store_take_flush_due(store, &slot));
    assert_int_equal(store_flush_slot(store, SLOT, 0), v(1, 3));
    assert_int_equal(store_copy(store, SLOT)->flush_due, 0);
    store_tell_time(store, 500);
    assert_false(store_take_flush_due(store, &slot));
    store_flush_slot(store, SLOT, UINT32_MAX); /* beyond the clock's end */
    assert_int_equal(store_copy(store, SLOT)->flush_due_s, UINT32_MAX);
}

static void many_slots_due_at_once_are_each_flushed_once(void **state)
{
    struct store *store = store_of(state);
    uint32_t slot;
    for (uint32_t i = 0; i < SLOT_COUNT; i++)
        copy_lead(store, i, 1);
    store_flush(store, 5);
    store_flush_slot(store, 77, 8);
    store_tell_time(store, 6);
    for (uint32_t i = 0; i < SLOT_COUNT - 1; i++) {
        assert_true(store_take_flush_due(store, &slot));
        assert_int_equal(slot, i + (i >= 77));
    }
    assert_false(store_take_flush_due(store, &slot));
    store_tell_time(store, 9);
    assert_true(store_take_flush_due(store, &slot));
    assert_int_equal(slot, 77);
    assert_false(store_take_flush_due(store, &slot));
}

/* A backup's writes */

static void a_backup_does_as_told_whatever_is_there(void **state)
{
    struct store *store = store_of(state);
    apply(store, "a", v(5, 9), "new", false);
    assert_int_equal(found(store, "a", STORE_ITEM), v(5, 9));
    apply(store, "a", v(4, 1), "older", false); /* the tail's versions may be higher */
    assert_int_equal(found(store, "a", STORE_ITEM), v(4, 1));
    apply(store, "a", v(3, 1), NULL, false);
    assert_int_equal(found(store, "a", STORE_TOMBSTONE), v(3, 1));
    apply(store, "a", v(2, 7), NULL, false);
    assert_int_equal(found(store, "a", STORE_TOMBSTONE), v(2, 7));
    apply(store, "b", v(2, 8), NULL, false); /* nothing was there */
    assert_int_equal(found(store, "b", STORE_TOMBSTONE), v(2, 8));
    apply(store, "a", v(2, 6), "again", false);
    assert_int_equal(found(store, "a", STORE_ITEM), v(2, 6));
    struct store_key key = key_of("a");
    store_erase(store, &key);
    assert_int_equal(found(store, "a", STORE_NONE), 0);
    store_erase(store, &key);
    assert_int_equal(store_ver(store, SLOT), 0); /* no lineage comes of that */
    assert_int_equal(store_copy(store, SLOT)->lineage_count, 0);
}

static void an_applied_item_is_what_it_was(void **state)
{
    struct store *store = store_of(state);
    struct store_key key = key_of("a");
    for (unsigned mask = 0; mask < 16; mask++) {
        struct store_put put = {.head = SPAN_LITERAL("value"),
                                .flags = mask & 1 ? 7 : 0,
                                .expires_s = mask & 2 ? 1 : STORE_NEVER, /* expired already */
                                .cas = mask & 4   ? 99
                                       : mask & 8 ? v(2, mask + 1)
                                                  : 0,
                                .marks = mask & 1 ? STORE_MARK_STALE : STORE_MARK_WON};
        assert_int_equal(store_apply(store, &key, v(2, mask + 1), &put, false), ERR_OK);
        struct store_item item;
        assert_int_equal(store_find(store, &key, &item), STORE_ITEM);
        assert_int_equal(item.version, v(2, mask + 1));
        assert_int_equal(item.cas, mask & 4 ? 99 : v(2, mask + 1));
        assert_int_equal(item.flags, put.flags);
        assert_int_equal(item.expires_s, put.expires_s);
        assert_int_equal(item.marks, put.marks);
        assert_int_equal(item.value.len, 5);
    }
    tick_until_done(store);
    found(store, "a", STORE_ITEM); /* no backup lets an item expire */
    struct store_key told;
    assert_false(store_take_expired(store, &told));
}

static void a_synced_write_moves_ver_and_any_other_soils(void **state)
{
    struct store *store = store_of(state);
    const uint64_t lineage[] = {v(1, 7), v(3, 2)};
    copy_end(store, SLOT, lineage, 2, 5, true, 0);
    assert_true(copy_is_next(store, SLOT, v(5, 1)));
    assert_false(copy_is_next(store, SLOT, v(3, 3))); /* of another epoch than it was synced in */
    assert_false(copy_is_next(store, SLOT, v(5, 2)));
    assert_false(copy_is_next(store, SLOT, v(6, 1)));
    apply(store, "a", v(5, 1), "v", true);
    assert_true(copy_is_next(store, SLOT, v(5, 2)));
    assert_false(copy_is_next(store, SLOT, v(5, 1)));
    assert_false(copy_is_next(store, SLOT, v(5, 3)));
    apply(store, "a", v(5, 2), NULL, true);
    store_apply_nothing(store, SLOT, v(5, 3));
    store_apply_flush(store, SLOT, v(5, 4), 0, 0, v(5, 4));
    ASSERT_LINEAGE(store, v(1, 7), v(3, 2), v(5, 4));
    assert_true(store_copy(store, SLOT)->is_clean);
    assert_int_equal(store_copy(store, SLOT)->flush, v(5, 4));
    struct store_key key = key_of("a");
    for (unsigned change = 0; change < 5; change++) {
        copy_end(store, SLOT, lineage, 2, 5, true, 0);
        assert_true(store_copy(store, SLOT)->is_clean);
        if (change == 0)
            apply(store, "a", v(6, 1), "v", false);
        else if (change == 1)
            store_erase(store, &key);
        else if (change == 2)
            store_apply_flush(store, SLOT, 0, 0, 0, 0);
        else if (change == 3)
            assert_int_equal(store_ids_replace(store, &key, NULL, 0), ERR_OK);
        else
            copy_soil(store, SLOT);
        assert_false(store_copy(store, SLOT)->is_clean);
        ASSERT_LINEAGE(store, v(1, 7), v(3, 2));
        assert_int_equal(store_copy(store, SLOT)->act, 5);
    }
}

static void a_write_that_does_not_fit_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    const uint64_t lineage[] = {v(1, 1)};
    apply(store, "a", v(1, 1), "v", false);
    copy_end(store, SLOT, lineage, 1, 1, true, 0);
    fixture->budget.limit_bytes = 0;
    char *value = calloc(1, 100000);
    struct store_key key = key_of("a");
    struct store_put put = {.head = span_of(value, 100000)};
    assert_int_equal(store_apply(store, &key, v(1, 2), &put, true), ERR_FULL);
    assert_int_equal(found(store, "a", STORE_ITEM), v(1, 1));
    assert_true(store_copy(store, SLOT)->is_clean);
    ASSERT_LINEAGE(store, v(1, 1));
    apply(store, "a", v(1, 2), NULL, true); /* a tombstone in the place of an item always fits */
    found(store, "a", STORE_TOMBSTONE);
    free(value);
    fixture->budget.limit_bytes = 64 * MIB;
}

static void a_flush_that_the_source_lacks_is_rolled_back(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    put(store, "a", "v");
    store_flush_slot(store, SLOT, 0);
    store_flush_slot(store, SLOT, 10);
    copy_unlead(store, SLOT);
    tick_until_done(store);
    assert_true(copy_cut(store, SLOT, v(1, 1)));
    assert_false(has(store, "a")); /* until the source says so */
    assert_int_equal(store_copy(store, SLOT)->flush, v(1, 2));
    assert_int_equal(store_copy(store, SLOT)->flush_due, v(1, 3));
    store_apply_flush(store, SLOT, 0, 0, 0, 0);
    assert_true(has(store, "a"));
    assert_int_equal(store_copy(store, SLOT)->flush, 0);
    assert_int_equal(store_copy(store, SLOT)->flush_due, 0);
    store_tell_time(store, 100);
    store_apply_flush(store, SLOT, 0, v(2, 5), 30, 0);
    assert_int_equal(store_copy(store, SLOT)->flush_due, v(2, 5));
    assert_int_equal(store_copy(store, SLOT)->flush_due_s, 130);
}

/* Being synced */

static void common_is_the_lower_end_of_the_highest_epoch_in_both(void **state)
{
    (void)state;
    const struct {
        uint64_t ours[3], theirs[3], common;
        uint32_t our_count, their_count;
    } cases[] = {
        {{0}, {0}, 0, 0, 0},
        {{v(1, 5)}, {0}, 0, 1, 0},
        {{v(1, 5)}, {v(1, 3)}, v(1, 3), 1, 1},
        {{v(1, 3)}, {v(1, 5)}, v(1, 3), 1, 1},
        {{v(1, 5)}, {v(2, 5)}, 0, 1, 1},
        {{v(1, 5), v(2, 9)}, {v(1, 7), v(3, 1)}, v(1, 5), 2, 2},
        {{v(1, 5), v(2, 9), v(4, 1)}, {v(1, 5), v(2, 7), v(3, 1)}, v(2, 7), 3, 3},
        {{v(2, 9)}, {v(1, 7), v(3, 1)}, 0, 1, 2},
        {{v(2, 9), v(5, 5)}, {v(2, 9), v(5, 5)}, v(5, 5), 2, 2},
        {{v(3, 1)}, {v(1, 1), v(2, 1), v(3, 4)}, v(3, 1), 1, 3},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_int_equal(
            copy_common(cases[i].ours, cases[i].our_count, cases[i].theirs, cases[i].their_count),
            cases[i].common);
}

static void only_ascending_ends_of_epochs_are_a_lineage(void **state)
{
    (void)state;
    assert_true(copy_lineage_is_valid(NULL, 0));
    assert_true(copy_lineage_is_valid((uint64_t[]){v(1, 1), v(2, 1)}, 2));
    assert_true(copy_lineage_is_valid((uint64_t[]){UINT64_MAX >> 1}, 1));
    assert_false(copy_lineage_is_valid((uint64_t[]){v(1, 1), v(1, 2)}, 2));
    assert_false(copy_lineage_is_valid((uint64_t[]){v(2, 1), v(1, 2)}, 2));
    assert_false(copy_lineage_is_valid((uint64_t[]){v(1, 0)}, 1));
    assert_false(copy_lineage_is_valid((uint64_t[]){v(0, 1)}, 1));
    assert_false(copy_lineage_is_valid((uint64_t[]){1ull << 63 | v(1, 1)}, 1));
}

static void a_cut_takes_off_the_lineage_and_keeps_the_rest(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    put(store, "a", "v");
    put(store, "b", "v");
    copy_lead(store, SLOT, 2);
    put(store, "b", "w");
    put(store, "c", "v");
    assert_true(delete (store, "c"));
    copy_unlead(store, SLOT);
    assert_false(copy_cut(store, SLOT, v(2, 3))); /* nothing is above it */
    assert_true(store_copy(store, SLOT)->is_clean);
    assert_true(copy_cut(store, SLOT, v(2, 1)));
    assert_false(store_copy(store, SLOT)->is_clean);
    assert_int_equal(store_copy(store, SLOT)->act, 2);
    ASSERT_LINEAGE(store, v(1, 2), v(2, 1));
    assert_int_equal(found(store, "c", STORE_TOMBSTONE), v(2, 3));
    assert_true(copy_cut(store, SLOT, v(1, 1)));
    ASSERT_LINEAGE(store, v(1, 1));
    assert_int_equal(found(store, "b", STORE_ITEM), v(2, 1));
    assert_true(copy_cut(store, SLOT, 0));
    assert_int_equal(store_ver(store, SLOT), 0);
    assert_int_equal(found(store, "a", STORE_ITEM), v(1, 1));
    assert_int_equal(store_copy(store, SLOT)->act, 2);
}

static void an_emptied_copy_has_nothing_left(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    put(store, "a", "v");
    put(store, "b", "v");
    assert_true(delete (store, "b"));
    copy_raise_floor(store, SLOT, v(1, 3));
    store_flush_slot(store, SLOT, 0);
    store_flush_slot(store, SLOT, 99);
    put(store, "c", "v");
    assert_true(delete (store, "c"));
    struct store_key key = key_of("a");
    struct store_id id = {.id = SPAN_LITERAL("1"), .version = v(1, 1), .left_s = 60};
    assert_int_equal(store_id_add(store, &key, &id), ERR_OK);
    copy_unlead(store, SLOT);
    copy_soil(store, SLOT);
    copy_empty(store, SLOT);
    const struct copy *copy = store_copy(store, SLOT);
    assert_int_equal(copy->act, 0);
    assert_true(copy->is_clean);
    assert_int_equal(copy->floor, 0);
    assert_int_equal(copy->flush, 0);
    assert_int_equal(copy->flush_due, 0);
    assert_int_equal(copy->lineage_count, 0);
    assert_int_equal(store_ver(store, SLOT), 0);
    assert_int_equal(store_counters(store)->items, 0);
    assert_int_equal(store_counters(store)->tombstones, 0);
    assert_int_equal(store_counters(store)->ids, 0);
    copy_lead(store, SLOT, 9);
    assert_int_equal(put(store, "a", "v"), v(9, 1));
    assert_true(has(store, "a"));
}

static void an_end_records_lineage_act_clean_and_the_higher_floor(void **state)
{
    struct store *store = store_of(state);
    const uint64_t first[] = {v(1, 7), v(3, 2)};
    const uint64_t second[] = {v(3, 5), v(4, 1), v(6, 9)};
    copy_end(store, SLOT, first, 2, 4, true, v(1, 3));
    ASSERT_LINEAGE(store, v(1, 7), v(3, 2));
    assert_int_equal(store_copy(store, SLOT)->act, 4);
    assert_int_equal(store_copy(store, SLOT)->floor, v(1, 3));
    copy_soil(store, SLOT);
    copy_end(store, SLOT, second, 3, 7, true, 0);
    ASSERT_LINEAGE(store, v(3, 5), v(4, 1), v(6, 9));
    assert_true(store_copy(store, SLOT)->is_clean);
    assert_int_equal(store_copy(store, SLOT)->act, 7);
    assert_int_equal(store_copy(store, SLOT)->floor, v(1, 3));
    copy_end(store, SLOT, second, 3, 7, false, v(4, 1)); /* of a source that is not clean */
    assert_false(store_copy(store, SLOT)->is_clean);
    ASSERT_LINEAGE(store, v(4, 1), v(6, 9)); /* what ends below the floor is forgotten */
}

static void advance_records_act_alone(void **state)
{
    struct store *store = store_of(state);
    const uint64_t lineage[] = {v(3, 2)};
    copy_end(store, SLOT, lineage, 1, 4, true, 0);
    copy_advance(store, SLOT, 6);
    assert_int_equal(store_copy(store, SLOT)->act, 6);
    ASSERT_LINEAGE(store, v(3, 2));
    assert_true(copy_is_next(store, SLOT, v(6, 1)));
}

/* The floor */

static void the_floor_drops_what_it_has_passed_and_never_falls(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    for (char c = 'a'; c <= 'd'; c++) {
        put(store, (char[]){c, 0}, "v");
        assert_true(delete (store, (char[]){c, 0}));
    }
    assert_int_equal(copy_droppable(store, SLOT, UINT64_MAX), v(1, 8));
    assert_int_equal(copy_droppable(store, SLOT, v(1, 5)), v(1, 4));
    assert_int_equal(copy_droppable(store, SLOT, v(1, 1)), 0);
    copy_raise_floor(store, SLOT, v(1, 4));
    assert_int_equal(store_copy(store, SLOT)->floor, v(1, 4));
    found(store, "a", STORE_NONE);
    found(store, "b", STORE_NONE);
    found(store, "c", STORE_TOMBSTONE);
    store_check(store);
    copy_raise_floor(store, SLOT, v(1, 2));
    assert_int_equal(store_copy(store, SLOT)->floor, v(1, 4));
    assert_int_equal(copy_droppable(store, SLOT, v(1, 5)), 0);
    tick_until_done(store);
    assert_int_equal(store_counters(store)->tombstones, 2);
    copy_unlead(store, SLOT);
    copy_raise_floor(store, SLOT, v(1, 8)); /* at a backup, too */
    tick_until_done(store);
    assert_int_equal(store_counters(store)->tombstones, 0);
    assert_int_equal(copy_droppable(store, SLOT, UINT64_MAX), 0);
}

static void items_dead_by_a_flush_are_droppable_up_to_it(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    put(store, "a", "v");
    store_flush_slot(store, SLOT, 0);
    assert_int_equal(copy_droppable(store, SLOT, UINT64_MAX), v(1, 2));
    assert_int_equal(copy_droppable(store, SLOT, v(1, 1)), 0);
    put(store, "a", "w"); /* takes the dead one's place */
    assert_int_equal(copy_droppable(store, SLOT, UINT64_MAX), 0);
}

static void a_dropped_tombstone_leaves_its_request_ids(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    struct store_key key = key_of("a");
    struct store_id id = {.id = SPAN_LITERAL("1"), .version = v(1, 2), .left_s = 60};
    put(store, "a", "v");
    assert_true(delete (store, "a"));
    assert_int_equal(store_id_add(store, &key, &id), ERR_OK);
    copy_raise_floor(store, SLOT, v(1, 2));
    tick_until_done(store);
    assert_int_equal(store_counters(store)->tombstones, 0);
    assert_true(store_id_find(store, SLOT, span_of_string("1"), NULL, &id));
}

static void a_named_key_of_the_source_may_be_gone_as_it_comes(void **state)
{
    struct store *store = store_of(state);
    const uint64_t lineage[] = {v(1, 9)};
    copy_end(store, SLOT, lineage, 1, 1, true, v(1, 5));
    apply(store, "a", v(1, 3), NULL, false); /* the source's floor is lower */
    found(store, "a", STORE_NONE);
    store_check(store);
    tick_until_done(store);
    assert_int_equal(store_counters(store)->tombstones, 0);
}

/* Looking through a slot */

struct seen {
    uint32_t count[400];
    uint32_t tombstones;
    uint32_t total;
};

static bool see(void *arg, const struct store_key *key, const struct store_item *item)
{
    struct seen *seen = arg;
    char text[16] = {0};
    memcpy(text, key->bytes.data, key->bytes.len);
    seen->count[atoi(text)]++;
    seen->tombstones += item->is_tombstone;
    seen->total++;
    return true;
}

static struct store_key number_key(char text[16], uint32_t number)
{
    snprintf(text, 16, "%u", number);
    uint64_t tag = number * 2654435761u >> 12;
    if (number % 5 == 0) /* many of the last tag: they lie around the table's end */
        tag = (1u << 20) - 1;
    return (struct store_key){.bytes = span_of_string(text),
                              .position = (uint64_t)SLOT << (64 - SLOT_BITS) |
                                          tag << (64 - STORE_POSITION_BITS)};
}

static void put_number(struct store *store, uint32_t number)
{
    char text[16];
    struct store_key key = number_key(text, number);
    struct store_put put = {.head = SPAN_LITERAL("v"), .expires_s = number % 3 == 0 ? 10 : 0};
    assert_int_equal(store_put(store, &key, &put, NULL), ERR_OK);
}

static void delete_number(struct store *store, uint32_t number)
{
    char text[16];
    struct store_key key = number_key(text, number);
    assert_true(store_delete(store, &key));
}

static void iteration_shows_items_and_tombstones_dead_ones_too(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    for (uint32_t i = 0; i < 90; i++)
        put_number(store, i);
    for (uint32_t i = 0; i < 10; i++)
        delete_number(store, i);
    store_tell_time(store, 20);
    struct seen seen = {0};
    store_iterate(store, SLOT, 0, see, &seen);
    assert_int_equal(seen.total, 90);
    assert_int_equal(seen.tombstones, 10);
    seen = (struct seen){0};
    store_iterate(store, SLOT, v(1, 50), see, &seen); /* 40 items, and the tombstones */
    assert_int_equal(seen.total, 50);
    store_flush_slot(store, SLOT, 0);
    seen = (struct seen){0};
    store_iterate(store, SLOT, 0, see, &seen);
    assert_int_equal(seen.total, 90);
    struct store_slot_counts counts;
    store_slot_counts(store, SLOT, &counts);
    assert_int_equal(counts.items, 80);
    assert_int_equal(counts.tombstones, 10);
    assert_int_equal(counts.bytes, 10 + 80 * 3);
    copy_raise_floor(store, SLOT, store_ver(store, SLOT));
    seen = (struct seen){0};
    store_iterate(store, SLOT, 0, see, &seen);
    assert_int_equal(seen.total, 0); /* before a tick has dropped them */
}

static void a_walk_shows_once_what_is_there_all_the_while(void **state)
{
    struct store *store = store_of(state);
    for (uint32_t work = 1; work < 60; work += 7) {
        for (uint32_t grows = 0; grows < 2; grows++) {
            copy_unlead(store, SLOT);
            copy_empty(store, SLOT);
            copy_lead(store, SLOT, 1);
            for (uint32_t i = 0; i < 200; i++)
                put_number(store, i);
            struct seen seen = {0};
            uint32_t cursor = 0;
            uint32_t steps = 0;
            for (uint32_t i = 0; store_walk(store, SLOT, 0, &cursor, work, see, &seen); i++) {
                steps++;
                if (grows == 1 && i < 100)
                    put_number(store, 200 + i);
                else if (i < 100)
                    delete_number(store, 100 + i);
                if (grows == 0 && i < 100)
                    copy_raise_floor(store, SLOT, store_ver(store, SLOT));
                if (grows == 0)
                    store_tick(store, 1000); /* the table shrinks */
            }
            assert_true(steps >= 2);
            for (uint32_t i = 0; i < 100; i++)
                assert_int_equal(seen.count[i], 1);
            for (uint32_t i = 100; i < 400; i++)
                assert_true(seen.count[i] <= 1);
            if (grows == 1)
                for (uint32_t i = 100; i < 200; i++)
                    assert_int_equal(seen.count[i], 1);
        }
    }
    uint32_t cursor = 0;
    struct seen seen = {0};
    assert_false(store_walk(store, SLOT + 1, 0, &cursor, 5, see, &seen));
    assert_int_equal(seen.total, 0);
    assert_int_equal(cursor, STORE_WALK_END);
}

static void a_walk_step_looks_at_about_as_many_as_asked(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 1);
    for (uint32_t i = 1; i < 400; i += i % 5 == 4 ? 2 : 1)
        put_number(store, i); /* spread evenly */
    struct seen seen = {0};
    uint32_t cursor = 0;
    uint32_t before = 0;
    while (store_walk(store, SLOT, 0, &cursor, 10, see, &seen)) {
        assert_true(seen.total - before <= 20);
        before = seen.total;
    }
    assert_int_equal(seen.total, 320);
}

/* A store that outlives its node */

static void a_kept_store_leads_nothing_and_has_the_copy(void **state)
{
    struct store *store = store_of(state);
    copy_lead(store, SLOT, 3);
    put_until(store, "a", 5);
    store_tell_time(store, 5);
    tick_until_done(store);
    assert_false(has(store, "a"));
    copy_unlead_all(store);
    struct store_key key;
    assert_false(store_take_expired(store, &key));
    assert_false(store_take_saw_expired(store));
    assert_false(copy_is_led(store, SLOT));
    assert_int_equal(store_now_s(store), 5);
    ASSERT_LINEAGE(store, v(3, 1));
    assert_int_equal(store_copy(store, SLOT)->act, 3);
    found(store, "a", STORE_ITEM);
}

/* The model: an array of keys and what copy.h says, everything by the letter. */

#define MODEL_KEYS    60u
#define MODEL_LINEAGE 64u

struct model_key {
    enum store_found what;
    uint64_t version, cas;
    uint32_t flags, expires_s;
    uint8_t marks, fill;
    size_t len;
};

struct model {
    struct model_key keys[MODEL_KEYS];
    uint64_t lineage[MODEL_LINEAGE];
    uint32_t lineage_count;
    uint32_t act, epoch; /* epoch: the highest any version was of */
    bool is_clean, is_led;
    uint64_t last; /* of this epoch's writes, while led */
    uint64_t floor, flush, flush_due;
    uint32_t flush_due_s, now_s;
    uint64_t random;
    uint64_t full_count;
};

static uint64_t draw(struct model *model, uint64_t bound)
{
    uint64_t x = model->random += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (x ^ x >> 31) % bound;
}

static uint64_t model_ver(const struct model *model)
{
    return model->lineage_count > 0 ? model->lineage[model->lineage_count - 1] : 0;
}

static void model_extend(struct model *model, uint64_t version)
{
    if (store_version_epoch(version) != store_version_epoch(model_ver(model)))
        model->lineage_count++;
    model->lineage[model->lineage_count - 1] = version;
}

/* The leader's next write. */
static uint64_t model_write(struct model *model)
{
    model_extend(model, ++model->last);
    return model->last;
}

static void model_forget(struct model *model)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < model->lineage_count; i++)
        if (i + 1 == model->lineage_count || model->lineage[i] >= model->floor)
            model->lineage[kept++] = model->lineage[i];
    model->lineage_count = kept;
}

/* Drops what the floor has passed. */
static void model_settle(struct model *model)
{
    for (uint32_t i = 0; i < MODEL_KEYS; i++) {
        struct model_key *key = &model->keys[i];
        bool is_flushed = key->version <= model->flush && model->flush <= model->floor;
        if (is_flushed || (key->what == STORE_TOMBSTONE && key->version <= model->floor))
            *key = (struct model_key){0};
    }
}

static bool model_is_expired(const struct model *model, const struct model_key *key)
{
    return key->what == STORE_ITEM && key->version > model->flush && key->expires_s != 0 &&
           key->expires_s <= model->now_s;
}

static bool model_is_live(const struct model *model, const struct model_key *key)
{
    return key->what == STORE_ITEM && key->version > model->flush && !model_is_expired(model, key);
}

static void model_bury(struct model_key *key, uint64_t version)
{
    *key = (struct model_key){.what = STORE_TOMBSTONE, .version = version};
}

static void assert_same(struct model *model, struct store *store)
{
    const struct copy *copy = store_copy(store, SLOT);
    assert_int_equal(copy->act, model->act);
    assert_int_equal(copy->is_clean, model->is_clean);
    assert_int_equal(copy->floor, model->floor);
    assert_int_equal(copy->flush, model->flush);
    assert_int_equal(copy->flush_due, model->flush_due);
    assert_int_equal(copy->flush_due_s, model->flush_due_s);
    assert_lineage(store, model->lineage_count, model->lineage);
    for (uint32_t i = 0; i < MODEL_KEYS; i++) {
        char text[16];
        struct store_key key = number_key(text, i);
        const struct model_key *expected = &model->keys[i];
        struct store_item item;
        assert_int_equal(store_find(store, &key, &item), expected->what);
        if (expected->what != STORE_NONE)
            assert_int_equal(item.version, expected->version);
        if (expected->what != STORE_ITEM)
            continue;
        assert_int_equal(item.cas, expected->cas);
        assert_int_equal(item.flags, expected->flags);
        assert_int_equal(item.expires_s, expected->expires_s);
        assert_int_equal(item.marks, expected->marks);
        assert_int_equal(item.value.len, expected->len);
        for (size_t at = 0; at < item.value.len; at += 997)
            assert_int_equal((uint8_t)item.value.data[at], expected->fill);
        store_take_saw_expired(store);
        assert_int_equal(store_get(store, &key, &item), model_is_live(model, expected));
        assert_int_equal(store_take_saw_expired(store), model_is_expired(model, expected));
    }
}

static struct store_put draw_put(struct model *model, char *bytes, struct model_key *as)
{
    uint64_t kind = draw(model, 100);
    uint32_t soon_s = model->now_s - (uint32_t)draw(model, 2) + (uint32_t)draw(model, 40);
    *as = (struct model_key){.what = STORE_ITEM,
                             .cas = draw(model, 4) == 0 ? 1 + draw(model, 1000) : 0,
                             .flags = (uint32_t)draw(model, 2) * 5,
                             .expires_s = draw(model, 2) == 0 ? 0 : soon_s,
                             .marks = (uint8_t)draw(model, 8),
                             .fill = (uint8_t)draw(model, 256),
                             .len = kind == 0 ? 16000 + draw(model, 30000)
                                              : draw(model, kind < 50 ? 150 : 3000)};
    memset(bytes, as->fill, as->len);
    return (struct store_put){.head = span_of(bytes, as->len),
                              .flags = as->flags,
                              .expires_s = as->expires_s,
                              .cas = as->cas,
                              .marks = as->marks};
}

static void model_put(struct model *model, struct store *store, const struct store_key *key,
                      struct model_key *at, char *bytes)
{
    struct model_key as;
    struct store_put put = draw_put(model, bytes, &as);
    uint64_t version;
    enum err err = store_put(store, key, &put, &version);
    if (err != ERR_OK) {
        model->full_count++;
        return;
    }
    assert_int_equal(version, model_write(model));
    as.version = version;
    as.cas = as.cas != 0 ? as.cas : version;
    if (as.expires_s == 0 || as.expires_s > model->now_s)
        *at = as;
    else if (at->what == STORE_ITEM && at->version > model->flush)
        model_bury(at, version);
}

static void model_touch(struct model *model, struct store *store, const struct store_key *key,
                        struct model_key *at)
{
    uint32_t expires_s = draw(model, 3) == 0 ? 0 : model->now_s + (uint32_t)draw(model, 20);
    enum err err = store_touch(store, key, expires_s);
    assert_int_equal(err == ERR_NOT_FOUND, !model_is_live(model, at));
    if (err != ERR_OK)
        return;
    at->version = model_write(model);
    at->expires_s = expires_s;
    if (expires_s != 0 && expires_s <= model->now_s)
        model_bury(at, at->version);
}

static void model_mark(struct model *model, struct store *store, const struct store_key *key,
                       struct model_key *at)
{
    uint64_t cas = draw(model, 3) == 0 ? 1 + draw(model, 1000) : 0;
    uint8_t marks = (uint8_t)draw(model, 8);
    enum err err = store_mark(store, key, cas, marks);
    assert_int_equal(err == ERR_NOT_FOUND, !model_is_live(model, at));
    if (err != ERR_OK)
        return;
    at->version = model_write(model);
    at->cas = cas != 0 ? cas : at->version;
    at->marks = marks;
}

static void model_flush(struct model *model, uint32_t delay_s)
{
    uint64_t version = model_write(model);
    model->flush_due = delay_s > 0 ? version : 0;
    model->flush_due_s = delay_s > 0 ? model->now_s + delay_s : 0;
    if (delay_s == 0)
        model->flush = version;
}

static void step_led(struct model *model, struct store *store, char *bytes)
{
    char text[16];
    uint32_t number = (uint32_t)draw(model, MODEL_KEYS);
    struct store_key key = number_key(text, number);
    struct model_key *at = &model->keys[number];
    uint64_t kind = draw(model, 100);
    if (kind < 55) {
        model_put(model, store, &key, at, bytes);
    } else if (kind < 75) {
        bool is_live = model_is_live(model, at);
        assert_int_equal(store_delete(store, &key), is_live);
        if (is_live)
            model_bury(at, model_write(model));
    } else if (kind < 82) {
        model_touch(model, store, &key, at);
    } else if (kind < 87) {
        model_mark(model, store, &key, at);
    } else if (kind < 95) {
        bool is_expired = model_is_expired(model, at);
        assert_int_equal(store_expire(store, &key), is_expired);
        if (is_expired)
            model_bury(at, model_write(model));
    } else if (kind < 97) {
        assert_int_equal(store_write_nothing(store, SLOT), model_write(model));
    } else if (kind < 98) {
        uint32_t delay_s = (uint32_t)(draw(model, 2) * draw(model, 30));
        uint64_t version = store_flush_slot(store, SLOT, delay_s);
        model_flush(model, delay_s);
        assert_int_equal(version, model_ver(model));
    } else if (kind < 99) {
        copy_unlead(store, SLOT);
        model->is_led = false;
    }
}

/* A version as a source may send it: of any epoch so far. */
static uint64_t draw_version(struct model *model)
{
    return v(1 + (uint32_t)draw(model, model->epoch), 1 + draw(model, 500));
}

static void step_apply(struct model *model, struct store *store, char *bytes)
{
    char text[16];
    uint32_t number = (uint32_t)draw(model, MODEL_KEYS);
    struct store_key key = number_key(text, number);
    struct model_key as;
    struct store_put put = draw_put(model, bytes, &as);
    bool is_tombstone = draw(model, 3) == 0;
    uint64_t ver = model_ver(model);
    bool moves_ver = model->act > 0 && draw(model, 2) == 0;
    uint64_t version = draw_version(model);
    if (moves_ver)
        version = store_version_epoch(ver) == model->act ? ver + 1 : v(model->act, 1);
    enum err err = store_apply(store, &key, version, is_tombstone ? NULL : &put, moves_ver);
    if (err != ERR_OK) {
        assert_true(!is_tombstone || model->keys[number].what == STORE_NONE);
        model->full_count++;
        return;
    }
    as.version = version;
    as.cas = as.cas != 0 ? as.cas : version;
    if (is_tombstone)
        model_bury(&as, version);
    model->keys[number] = as;
    if (moves_ver)
        model_extend(model, version);
    else
        model->is_clean = false;
}

static void step_apply_flush(struct model *model, struct store *store)
{
    uint64_t flush = draw(model, 3) == 0 ? 0 : draw_version(model);
    uint64_t due = draw(model, 2) == 0 ? 0 : draw_version(model);
    uint32_t left_s = (uint32_t)draw(model, 30);
    if (flush < model->flush && model->flush <= model->floor)
        return; /* no source lacks a flush that the floor has passed */
    store_apply_flush(store, SLOT, flush, due, left_s, 0);
    model->flush = flush;
    model->flush_due = due;
    model->flush_due_s = due != 0 ? model->now_s + left_s : 0;
    model->is_clean = false;
}

static void step_cut(struct model *model, struct store *store)
{
    uint32_t index = (uint32_t)draw(model, model->lineage_count + 1u);
    uint64_t common = 0;
    if (index > 0)
        common =
            model->lineage[index - 1] - draw(model, store_version_seq(model->lineage[index - 1]));
    if (common < model->floor)
        return;
    bool cuts = model_ver(model) > common;
    assert_int_equal(copy_cut(store, SLOT, common), cuts);
    model->lineage_count = index;
    if (index > 0)
        model->lineage[index - 1] = common;
    model->is_clean &= !cuts;
}

static void step_end(struct model *model, struct store *store)
{
    uint64_t lineage[4] = {0};
    uint32_t count = 0;
    uint32_t epoch = store_version_epoch(model_ver(model));
    for (uint32_t i = 0; i < 3; i++)
        if (draw(model, 2) == 0 && epoch + i > 0)
            lineage[count++] = v(epoch + i, 1 + draw(model, 500));
    if (count == 0 || lineage[count - 1] < model->floor)
        return;
    uint64_t floor = draw(model, 2) == 0 ? 0 : lineage[draw(model, count)];
    if (model->epoch < epoch + 3)
        model->epoch = epoch + 3;
    bool is_clean = draw(model, 4) != 0;
    copy_end(store, SLOT, lineage, count, model->epoch, is_clean, floor);
    memcpy(model->lineage, lineage, sizeof(lineage));
    model->lineage_count = count;
    model->act = model->epoch;
    model->is_clean = is_clean;
    if (floor <= model->floor)
        return;
    model->floor = floor;
    model_forget(model);
}

static void step_unled(struct model *model, struct store *store, char *bytes)
{
    char text[16];
    uint32_t number = (uint32_t)draw(model, MODEL_KEYS);
    struct store_key key = number_key(text, number);
    uint64_t kind = draw(model, 100);
    if (kind < 75) {
        step_apply(model, store, bytes);
    } else if (kind < 80) {
        store_erase(store, &key);
        model->keys[number] = (struct model_key){0};
        model->is_clean = false;
    } else if (kind < 83) {
        step_apply_flush(model, store);
    } else if (kind < 88) {
        step_cut(model, store);
    } else if (kind < 93) {
        step_end(model, store);
    } else if (kind < 95 && model->is_clean) {
        copy_advance(store, SLOT, ++model->epoch);
        model->act = model->epoch;
    } else if (kind < 99) {
        copy_lead(store, SLOT, ++model->epoch);
        model->act = model->epoch;
        model->last = v(model->epoch, 0);
        model->is_led = model->is_clean = true;
    } else if (draw(model, 2) == 0) {
        copy_empty(store, SLOT);
        *model = (struct model){.epoch = model->epoch,
                                .is_clean = true,
                                .now_s = model->now_s,
                                .random = model->random,
                                .full_count = model->full_count};
    }
}

static void step_any(struct model *model, struct store *store)
{
    uint64_t kind = draw(model, 100);
    if (kind < 40) {
        model->now_s += (uint32_t)draw(model, 3);
        store_tell_time(store, model->now_s);
        uint32_t slot;
        bool is_due = model->is_led && model->flush_due != 0 && model->flush_due_s <= model->now_s;
        assert_int_equal(store_take_flush_due(store, &slot), is_due);
        if (is_due)
            model_flush(model, 0);
        assert_false(store_take_flush_due(store, &slot));
    } else if (kind < 80) {
        store_tick(store, (uint32_t)draw(model, 60));
        struct store_key key;
        while (store_take_expired(store, &key)) {
            char text[16] = {0};
            memcpy(text, key.bytes.data, key.bytes.len);
            assert_true(model->is_led);
            struct model_key *at = &model->keys[atoi(text)];
            struct store_key copied = {.bytes = span_of_string(text), .position = key.position};
            bool is_expired = model_is_expired(model, at);
            assert_int_equal(store_expire(store, &copied), is_expired);
            if (is_expired)
                model_bury(at, model_write(model));
        }
    } else {
        uint64_t limit = model_ver(model);
        uint64_t floor = kind < 90 ? copy_droppable(store, SLOT, limit) : limit;
        copy_raise_floor(store, SLOT, floor);
        if (floor > model->floor) {
            model->floor = floor;
            model_forget(model);
        }
    }
}

static void random_operations_agree_with_the_model(void **state)
{
    struct fixture *fixture = *state;
    char *bytes = malloc(50000);
    uint64_t full_count = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        size_t limit_bytes = seed % 2 == 0 ? 64 * MIB : sizeof(struct store) + 6 * PAGE_BYTES;
        reopen(fixture, limit_bytes, false);
        struct store *store = fixture->store;
        struct model *model = calloc(1, sizeof(*model));
        *model = (struct model){.random = seed << 32, .is_clean = true, .now_s = 1, .epoch = 1};
        for (uint32_t step = 0; step < 15000; step++) {
            if (draw(model, 12) == 0)
                step_any(model, store);
            else if (model->is_led)
                step_led(model, store, bytes);
            else
                step_unled(model, store, bytes);
            if (model->lineage_count > MODEL_LINEAGE - 8 && !model->is_led) {
                copy_raise_floor(store, SLOT, model_ver(model));
                model->floor = model_ver(model);
                model_forget(model);
            }
            model_settle(model);
            if (step % 16 == 0)
                assert_same(model, store);
            if (step % 256 == 0)
                store_check(store);
            if (draw(model, 20) == 0)
                store_release(store);
        }
        full_count += model->full_count;
        free(model);
    }
    assert_true(full_count > 1000);
    free(bytes);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_fresh_copy_is_empty_and_clean),
        TEST(a_leader_counts_its_writes_in_each_epoch_from_one),
        TEST(epochs_and_seqs_may_be_near_their_end),
        TEST(a_delete_leaves_a_tombstone),
        TEST(tombstones_are_counted_in_memory_and_are_small),
        TEST(a_large_value_that_is_lent_outlives_its_delete),
        TEST(touch_takes_a_version_and_keeps_cas),
        TEST(a_put_or_touch_already_expired_is_a_delete),
        TEST(a_write_of_nothing_takes_a_version),
        TEST(a_full_store_can_delete),
        TEST(alone_nothing_is_left_of_a_delete_and_the_floor_follows),
        TEST(an_expired_item_stays_until_the_leader_deletes_it),
        TEST(a_put_takes_the_place_of_an_expired_item),
        TEST(the_crawl_tells_what_is_expired_where_the_slot_is_led),
        TEST(what_is_told_expired_and_not_deleted_is_told_again_and_never_stalls),
        TEST(eviction_is_a_delete_with_a_version_of_a_led_slot),
        TEST(nothing_is_evicted_from_a_slot_whose_versions_are_used_up),
        TEST(a_flush_is_a_write_that_hides_what_is_older),
        TEST(a_delayed_flush_is_carried_out_by_the_leader_when_due),
        TEST(a_flush_replaces_one_that_is_pending),
        TEST(many_slots_due_at_once_are_each_flushed_once),
        TEST(a_backup_does_as_told_whatever_is_there),
        TEST(an_applied_item_is_what_it_was),
        TEST(a_synced_write_moves_ver_and_any_other_soils),
        TEST(a_write_that_does_not_fit_changes_nothing),
        TEST(a_flush_that_the_source_lacks_is_rolled_back),
        TEST(common_is_the_lower_end_of_the_highest_epoch_in_both),
        TEST(only_ascending_ends_of_epochs_are_a_lineage),
        TEST(a_cut_takes_off_the_lineage_and_keeps_the_rest),
        TEST(an_emptied_copy_has_nothing_left),
        TEST(an_end_records_lineage_act_clean_and_the_higher_floor),
        TEST(advance_records_act_alone),
        TEST(the_floor_drops_what_it_has_passed_and_never_falls),
        TEST(items_dead_by_a_flush_are_droppable_up_to_it),
        TEST(a_dropped_tombstone_leaves_its_request_ids),
        TEST(a_named_key_of_the_source_may_be_gone_as_it_comes),
        TEST(iteration_shows_items_and_tombstones_dead_ones_too),
        TEST(a_walk_shows_once_what_is_there_all_the_while),
        TEST(a_walk_step_looks_at_about_as_many_as_asked),
        TEST(a_kept_store_leads_nothing_and_has_the_copy),
        TEST(alone_the_floor_passes_what_a_broken_sync_left_above_ver),
        TEST(random_operations_agree_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
