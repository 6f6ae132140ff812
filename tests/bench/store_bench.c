/* Measures the store by itself: overhead per item, nanoseconds per operation with and without the
 * staged prefetch, and resident memory against the bound after overwriting at random.
 *
 * usage: store_bench [items] [limit_mib] */
#include "common/check.h"
#include "server/store/copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define KEY_BYTES   32
#define VALUE_BYTES 100
#define BATCH       64u
#define MIB         (1024.0 * 1024.0)

struct bench_key {
    char text[KEY_BYTES + 1];
    struct store_key key;
};

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

/* The text is cheap to make, so that it does not hide what is measured. */
static void make_key(struct bench_key *at, uint64_t number)
{
    uint64_t words[KEY_BYTES / 8];
    for (unsigned i = 0; i < KEY_BYTES / 8; i++)
        words[i] = mix(number * 4 + i + 1);
    memcpy(at->text, words, KEY_BYTES);
    at->key =
        (struct store_key){.bytes = span_of(at->text, KEY_BYTES), .position = mix(number + 12345)};
}

/* CPU time: other processes of the machine do not count. */
static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double resident_mib(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL);
    int count = fscanf(file, "%*s %ld", &pages);
    CHECK(count == 1);
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / MIB;
}

/* Opens a store whose slots have no copy elsewhere. */
static struct store *open_alone(const struct store_options *options)
{
    struct store *store = store_open(options);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        copy_lead(store, slot, 1);
        copy_set_alone(store, slot, true);
    }
    return store;
}

static char value_bytes[256 * 1024];

static enum err put(struct store *store, const struct store_key *key, size_t len)
{
    struct store_put put = {.head = span_of(value_bytes, len)};
    return store_put(store, key, &put, NULL);
}

enum op { OP_GET, OP_PUT };

/* ns an operation over count random ones of item_count keys. */
static double run(struct store *store, uint64_t item_count, uint64_t count, enum op op,
                  bool prefetch)
{
    static struct bench_key keys[BATCH];
    static char out[VALUE_BYTES + 2];
    uint64_t random = 99;
    double ns = 0;
    for (uint64_t done = 0; done < count; done += BATCH) {
        for (unsigned i = 0; i < BATCH; i++)
            make_key(&keys[i], mix(random++) % item_count);
        double start = now_ns();
        for (unsigned i = 0; prefetch && i < BATCH; i++)
            store_prefetch_table(store, &keys[i].key);
        for (unsigned i = 0; prefetch && i < BATCH; i++)
            store_prefetch_item(store, &keys[i].key);
        for (unsigned i = 0; i < BATCH; i++) {
            struct store_item item;
            if (op == OP_PUT) {
                CHECK(put(store, &keys[i].key, VALUE_BYTES) == ERR_OK);
                continue;
            }
            CHECK(store_get(store, &keys[i].key, &item));
            store_note(store, &item, STORE_MARK_FETCHED);
            memcpy(out, item.value.data, item.value.len + 2);
        }
        ns += now_ns() - start;
    }
    return ns / (double)count;
}

static void print_overhead(const char *when, const struct store *store, const struct budget *budget,
                           double before_mib)
{
    double item_count = (double)store_counters(store)->items;
    double payload = item_count * (KEY_BYTES + VALUE_BYTES);
    printf("  overhead per item, %-11s  booked %.2f B, resident %.2f B\n", when,
           ((double)budget->used_bytes - payload) / item_count,
           ((resident_mib() - before_mib) * MIB - payload) / item_count);
}

static void measure_speed(uint64_t item_count)
{
    struct budget budget = {.limit_bytes = SIZE_MAX};
    struct store_options options = {.budget = &budget, .seed = 1};
    double before_mib = resident_mib();
    struct store *store = open_alone(&options);
    struct bench_key key;
    double start = now_ns();
    for (uint64_t i = 0; i < item_count; i++) {
        make_key(&key, i);
        CHECK(put(store, &key.key, VALUE_BYTES) == ERR_OK);
    }
    double fill_ns = (now_ns() - start) / (double)item_count;
    printf("%" PRIu64 " items of %d B key, %d B value\n", item_count, KEY_BYTES, VALUE_BYTES);
    print_overhead("as filled", store, &budget, before_mib);
    while (store_tick(store, 1000)) /* as the server does all the time */
        ;
    print_overhead("after ticks", store, &budget, before_mib);
    printf("  first put                   %8.0f ns\n", fill_ns);
    for (unsigned round = 0; round < 2; round++) {
        printf("  get, note, copy             %8.0f ns, prefetched %8.0f ns\n",
               run(store, item_count, 1000000, OP_GET, false),
               run(store, item_count, 1000000, OP_GET, true));
        printf("  overwrite                   %8.0f ns, prefetched %8.0f ns\n",
               run(store, item_count, 1000000, OP_PUT, false),
               run(store, item_count, 1000000, OP_PUT, true));
    }
    store_close(store);
}

static void print_memory(const char *what, const struct store *store, const struct budget *budget)
{
    const struct store_counters *counters = store_counters(store);
    printf("  %-34s items %8" PRIu64
           ", asked for %6.1f MiB, booked %6.1f, resident %6.1f (%.3f x limit"
           "), refused %" PRIu64 "\n",
           what, counters->items, (double)counters->item_bytes / MIB,
           (double)budget->used_bytes / MIB, resident_mib(),
           resident_mib() * MIB / (double)budget->limit_bytes, counters->refused);
}

/* One pass over key_count keys with values of low … high bytes; prints the time of the longest put.
 */
static void pass(struct store *store, uint64_t key_count, uint64_t put_count, size_t low,
                 size_t high, uint64_t *random, const char *what, const struct budget *budget)
{
    struct bench_key key;
    double longest_ns = 0;
    double all_ns = 0;
    for (uint64_t i = 0; i < put_count; i++) {
        make_key(&key, low == high ? i % key_count : mix(++*random) % key_count);
        size_t len = low + mix(++*random) % (high - low + 1);
        double start = now_ns();
        enum err err = put(store, &key.key, len);
        double ns = now_ns() - start;
        CHECK(err == ERR_OK || err == ERR_FULL);
        longest_ns = ns > longest_ns ? ns : longest_ns;
        all_ns += ns;
        if (i % 64 == 0)
            store_release(store);
    }
    print_memory(what, store, budget);
    printf("    %.0f ns a put, longest %.0f us\n", all_ns / (double)put_count, longest_ns / 1e3);
}

static void measure_bound(double limit_mib, bool evict)
{
    struct budget budget = {.limit_bytes = (size_t)(limit_mib * MIB)};
    struct store_options options = {.budget = &budget, .evict = evict, .seed = 1};
    struct store *store = open_alone(&options);
    uint64_t random = 5;
    uint64_t some = budget.limit_bytes / 1504; /* keys whose values of 8 … 3,000 B just fill it */
    uint64_t many = budget.limit_bytes / 80;   /* keys whose values of 8 B do */
    printf("limit %.0f MiB%s\n", limit_mib, evict ? ", evicting" : "");
    pass(store, some * 9 / 10, some * 6, 8, 3000, &random, "random 8-3000 B, 5 x limit", &budget);
    pass(store, some * 2, some * 6, 8, 3000, &random, "more keys than fit", &budget);
    store_flush(store, 0);
    while (store_tick(store, 1000))
        ;
    print_memory("flushed", store, &budget);
    pass(store, many, many, 8, 8, &random, "8 B each", &budget);
    pass(store, many, many, 3000, 3000, &random, "overwritten with 3000 B", &budget);
    pass(store, many, many, 8, 8, &random, "back to 8 B", &budget);
    pass(store, some / 50, some, 8, 200000, &random, "random 8-200000 B", &budget);
    pass(store, some * 9 / 10, some * 6, 8, 3000, &random, "random 8-3000 B again", &budget);
    store_close(store);
}

int main(int argc, char **argv)
{
    memset(value_bytes, 'v', sizeof(value_bytes));
    measure_speed(argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000);
    double limit_mib = argc > 2 ? strtod(argv[2], NULL) : 256;
    measure_bound(limit_mib, false);
    measure_bound(limit_mib, true);
    return 0;
}
