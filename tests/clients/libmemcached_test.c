/* A C program on libmemcached, as somebody would write it: every kind of command, checked. */
#include <libmemcached/memcached.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(call, expected)                                                                     \
    do {                                                                                           \
        memcached_return_t got_ = (call);                                                          \
        if (got_ != (expected)) {                                                                  \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call,                          \
                    memcached_strerror(NULL, got_));                                               \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The value of key is exactly text, its flags are flags. */
static void expect_value(memcached_st *memc, const char *key, const char *text, uint32_t flags)
{
    size_t len = 0;
    uint32_t got_flags = 0;
    memcached_return_t result = MEMCACHED_FAILURE;
    char *value = memcached_get(memc, key, strlen(key), &len, &got_flags, &result);

    EXPECT(result, MEMCACHED_SUCCESS);
    REQUIRE(len == strlen(text) && memcmp(value, text, len) == 0 && got_flags == flags);
    free(value);
}

static void store_and_change(memcached_st *memc)
{
    EXPECT(memcached_set(memc, "a", 1, "one", 3, 0, 77), MEMCACHED_SUCCESS);
    expect_value(memc, "a", "one", 77);
    EXPECT(memcached_add(memc, "a", 1, "two", 3, 0, 0), MEMCACHED_NOTSTORED);
    EXPECT(memcached_replace(memc, "none", 4, "two", 3, 0, 0), MEMCACHED_NOTSTORED);
    EXPECT(memcached_replace(memc, "a", 1, "two", 3, 0, 78), MEMCACHED_SUCCESS);
    EXPECT(memcached_append(memc, "a", 1, "!", 1, 0, 0), MEMCACHED_SUCCESS);
    EXPECT(memcached_prepend(memc, "a", 1, "<", 1, 0, 0), MEMCACHED_SUCCESS);
    expect_value(memc, "a", "<two!", 78);
    EXPECT(memcached_exist(memc, "a", 1), MEMCACHED_SUCCESS);
    EXPECT(memcached_exist(memc, "none", 4), MEMCACHED_NOTFOUND);
    EXPECT(memcached_touch(memc, "a", 1, 1000), MEMCACHED_SUCCESS);
    EXPECT(memcached_delete(memc, "a", 1, 0), MEMCACHED_SUCCESS);
    EXPECT(memcached_delete(memc, "a", 1, 0), MEMCACHED_NOTFOUND);
}

static void count(memcached_st *memc)
{
    uint64_t number = 0;

    EXPECT(memcached_set(memc, "n", 1, "5", 1, 0, 0), MEMCACHED_SUCCESS);
    EXPECT(memcached_increment(memc, "n", 1, 37, &number), MEMCACHED_SUCCESS);
    REQUIRE(number == 42);
    EXPECT(memcached_decrement(memc, "n", 1, 50, &number), MEMCACHED_SUCCESS);
    REQUIRE(number == 0);
    EXPECT(memcached_increment(memc, "none", 4, 1, &number), MEMCACHED_NOTFOUND);
}

/* 200 keys by one memcached_mget: each comes back once, with its cas unique. */
static void fetch_many(memcached_st *memc)
{
    enum { KEY_COUNT = 200 };
    char names[KEY_COUNT][16];
    const char *keys[KEY_COUNT];
    size_t lens[KEY_COUNT];
    bool seen[KEY_COUNT] = {false};
    memcached_result_st *item;
    memcached_return_t result;

    for (int i = 0; i < KEY_COUNT; i++) {
        lens[i] = (size_t)snprintf(names[i], sizeof names[i], "many%d", i);
        keys[i] = names[i];
        EXPECT(memcached_set(memc, keys[i], lens[i], keys[i], lens[i], 0, (uint32_t)i),
               MEMCACHED_SUCCESS);
    }
    EXPECT(memcached_mget(memc, keys, lens, KEY_COUNT), MEMCACHED_SUCCESS);
    while ((item = memcached_fetch_result(memc, NULL, &result)) != NULL) {
        uint32_t i = memcached_result_flags(item);
        REQUIRE(i < KEY_COUNT && !seen[i]);
        REQUIRE(memcached_result_length(item) == lens[i]);
        REQUIRE(memcmp(memcached_result_value(item), keys[i], lens[i]) == 0);
        REQUIRE(memcached_result_cas(item) != 0);
        seen[i] = true;
        memcached_result_free(item);
    }
    for (int i = 0; i < KEY_COUNT; i++)
        REQUIRE(seen[i]);
}

static void compare_and_set(memcached_st *memc)
{
    const char *keys[] = {"c"};
    const size_t lens[] = {1};
    memcached_return_t result;
    memcached_result_st *item;
    uint64_t unique;

    EXPECT(memcached_set(memc, "c", 1, "1", 1, 0, 0), MEMCACHED_SUCCESS);
    EXPECT(memcached_mget(memc, keys, lens, 1), MEMCACHED_SUCCESS);
    item = memcached_fetch_result(memc, NULL, &result);
    REQUIRE(item != NULL);
    unique = memcached_result_cas(item);
    memcached_result_free(item);
    while (memcached_fetch_result(memc, NULL, &result) != NULL)
        continue;
    EXPECT(memcached_cas(memc, "c", 1, "2", 1, 0, 0, unique), MEMCACHED_SUCCESS);
    EXPECT(memcached_cas(memc, "c", 1, "3", 1, 0, 0, unique), MEMCACHED_DATA_EXISTS);
}

static void large_value(memcached_st *memc)
{
    size_t len = 1000 * 1000;
    size_t got_len = 0;
    uint32_t flags = 0;
    memcached_return_t result;
    char *data = malloc(len);
    char *got;

    REQUIRE(data != NULL);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 31);
    EXPECT(memcached_set(memc, "large", 5, data, len, 0, 0), MEMCACHED_SUCCESS);
    got = memcached_get(memc, "large", 5, &got_len, &flags, &result);
    EXPECT(result, MEMCACHED_SUCCESS);
    REQUIRE(got_len == len && memcmp(got, data, len) == 0);
    free(got);
    free(data);
}

int main(int argc, char **argv)
{
    memcached_st *memc = memcached_create(NULL);

    REQUIRE(argc == 2 && memc != NULL);
    EXPECT(memcached_server_add(memc, "127.0.0.1", (in_port_t)atoi(argv[1])), MEMCACHED_SUCCESS);
    EXPECT(memcached_behavior_set(memc, MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1), MEMCACHED_SUCCESS);
    EXPECT(memcached_version(memc), MEMCACHED_SUCCESS);
    for (uint64_t buffered = 0; buffered < 2; buffered++) {
        EXPECT(memcached_behavior_set(memc, MEMCACHED_BEHAVIOR_NO_BLOCK, buffered),
               MEMCACHED_SUCCESS);
        store_and_change(memc);
        count(memc);
        fetch_many(memc);
        compare_and_set(memc);
        large_value(memc);
    }
    EXPECT(memcached_flush(memc, 0), MEMCACHED_SUCCESS);
    EXPECT(memcached_exist(memc, "large", 5), MEMCACHED_NOTFOUND);
    memcached_free(memc);
    puts("all of libmemcached_test");
    return 0;
}
