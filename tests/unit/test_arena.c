/* The store's memory: arena (chunks that can be moved), pages and large blocks. */
#include "server/store/arena.h"
#include "server/store/large.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB        (1024u * 1024)
#define CHUNKS_MAX 60000u

struct fixture {
    struct budget budget;
    uint64_t memory_bytes;
    struct ledger ledger;
    struct arena arena;
    struct large large;
    /* The owner: chunk i holds i in its first bytes and i's low byte in all others. */
    unsigned char *chunks[CHUNKS_MAX];
    size_t lens[CHUNKS_MAX];
    unsigned kinds[CHUNKS_MAX];
    uint32_t moved_count;
};

static void moved(void *arg, unsigned kind, void *from, void *to)
{
    struct fixture *fixture = arg;
    uint32_t number;
    memcpy(&number, to, sizeof(number));
    assert_true(number < CHUNKS_MAX);
    assert_ptr_equal(fixture->chunks[number], from);
    assert_int_equal(fixture->kinds[number], kind);
    fixture->chunks[number] = to;
    fixture->moved_count++;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    fixture->budget.limit_bytes = 64 * MIB;
    fixture->ledger = (struct ledger){&fixture->budget, &fixture->memory_bytes};
    arena_init(&fixture->arena, &fixture->ledger, moved, fixture);
    large_init(&fixture->large, &fixture->ledger);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    arena_check(&fixture->arena);
    large_check(&fixture->large);
    arena_close(&fixture->arena);
    large_close(&fixture->large);
    assert_int_equal(fixture->budget.used_bytes, 0);
    assert_int_equal(fixture->memory_bytes, 0);
    free(fixture);
    return 0;
}

static bool take(struct fixture *fixture, uint32_t number, unsigned kind, size_t len)
{
    unsigned char *chunk = arena_alloc(&fixture->arena, kind, len, 0);
    if (chunk == NULL)
        return false;
    memset(chunk, (int)(number & 0xff), len);
    memcpy(chunk, &number, sizeof(number));
    fixture->chunks[number] = chunk;
    fixture->lens[number] = len;
    fixture->kinds[number] = kind;
    return true;
}

static void check_chunk(const struct fixture *fixture, uint32_t number)
{
    uint32_t found;
    memcpy(&found, fixture->chunks[number], sizeof(found));
    assert_int_equal(found, number);
    for (size_t i = sizeof(found); i < fixture->lens[number]; i++)
        assert_int_equal(fixture->chunks[number][i], number & 0xff);
}

static void give(struct fixture *fixture, uint32_t number)
{
    check_chunk(fixture, number);
    arena_free(&fixture->arena, fixture->chunks[number]);
    fixture->chunks[number] = NULL;
}

/* Where a sanitizer, if there is one, keeps what it knows of memory: an eighth of what was ever
 * touched, and where the kernel counts pages that were only read as resident, that stays. */
void __asan_get_shadow_mapping(size_t *scale, size_t *offset) __attribute__((weak));

static bool is_shadow(uintptr_t address)
{
    size_t scale = 0, offset = 0;
    if (__asan_get_shadow_mapping)
        __asan_get_shadow_mapping(&scale, &offset);
    return scale > 0 && address >= offset && address - offset < (1ull << 47 >> scale);
}

/* Of this process, without such shadow. */
static size_t resident_bytes(void)
{
    size_t kib, sum_kib = 0;
    uintptr_t begin = 0;
    char line[512];
    FILE *file = fopen("/proc/self/smaps", "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        (void)sscanf(line, "%" SCNxPTR "-", &begin);
        if (sscanf(line, "Rss: %zu kB", &kib) == 1 && !is_shadow(begin))
            sum_kib += kib;
    }
    fclose(file);
    return sum_kib * 1024;
}

/* Arena */

static void every_size_has_a_class_that_wastes_little(void **state)
{
    struct fixture *fixture = *state;
    for (size_t bytes = 1; bytes <= ARENA_CHUNK_BYTES_MAX; bytes++) {
        size_t chunk_bytes = arena_round(&fixture->arena, bytes);
        assert_true(chunk_bytes >= bytes);
        assert_int_equal(chunk_bytes % 8, 0);
        if (bytes >= ARENA_CHUNK_BYTES_MIN && bytes <= 256)
            assert_true(chunk_bytes < bytes + 16);
        if (bytes >= 128 && bytes <= 4096)
            assert_true(chunk_bytes - bytes <= bytes / 14);
        if (bytes >= 4096)
            assert_true(chunk_bytes - bytes <= bytes / 4 + 8);
        size_t page_chunks = PAGE_BYTES / chunk_bytes;
        assert_true(PAGE_BYTES - page_chunks * chunk_bytes < 8 * page_chunks); /* page is filled */
    }
    assert_int_equal(arena_round(&fixture->arena, 152), 152);
}

static void chunks_are_apart_and_aligned(void **state)
{
    struct fixture *fixture = *state;
    uint32_t number = 0;
    for (size_t len = 4; len <= ARENA_CHUNK_BYTES_MAX; len += 1 + len / 9, number++) {
        assert_true(take(fixture, number, number % 2, len));
        assert_int_equal((uintptr_t)fixture->chunks[number] % 8, 0);
        assert_true(arena_chunk_bytes(&fixture->arena, fixture->chunks[number]) >= len);
    }
    arena_check(&fixture->arena);
    for (uint32_t i = 0; i < number; i++)
        give(fixture, i);
    assert_int_equal(fixture->arena.spare_count, ARENA_SPARE_PAGES);
}

static void kinds_never_share_a_page(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < 1000; i++)
        assert_true(take(fixture, i, i % 2, 64));
    for (uint32_t i = 0; i < 1000; i += 2)
        for (uint32_t j = 1; j < 1000; j += 2)
            assert_true((uintptr_t)fixture->chunks[i] / PAGE_BYTES !=
                        (uintptr_t)fixture->chunks[j] / PAGE_BYTES);
}

static void pages_are_booked_and_unbooked(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(fixture->budget.used_bytes, 0);
    assert_true(take(fixture, 0, 0, 16384));
    assert_int_equal(fixture->budget.used_bytes, REGION_HEAD_BYTES + PAGE_BYTES);
    for (uint32_t i = 1; i < 4; i++)
        assert_true(take(fixture, i, 0, 16384));
    assert_int_equal(fixture->budget.used_bytes, REGION_HEAD_BYTES + PAGE_BYTES);
    assert_true(take(fixture, 4, 0, 16384));
    assert_int_equal(fixture->budget.used_bytes, REGION_HEAD_BYTES + 2 * PAGE_BYTES);
    for (uint32_t i = 0; i < 5; i++)
        give(fixture, i);
    assert_int_equal(fixture->budget.used_bytes, REGION_HEAD_BYTES);
    assert_int_equal(fixture->memory_bytes, REGION_HEAD_BYTES);
}

static void the_budget_is_never_exceeded(void **state)
{
    struct fixture *fixture = *state;
    fixture->budget.limit_bytes = 1 * MIB;
    uint32_t count = 0;
    while (take(fixture, count, 0, 1000))
        count++;
    assert_true(count > 15 * 60);
    assert_true(fixture->budget.used_bytes <= fixture->budget.limit_bytes);
    give(fixture, 0);
    assert_true(take(fixture, 0, 0, 1000)); /* a chunk that is free needs no page */
    assert_null(arena_alloc(&fixture->arena, 1, 1000, 0));
    fixture->budget.limit_bytes += PAGE_BYTES;
    assert_null(arena_alloc(&fixture->arena, 1, 1000, PAGE_BYTES)); /* so much must be left over */
    assert_true(take(fixture, count, 1, 1000));
}

static void memory_of_free_pages_is_given_back(void **state)
{
    struct fixture *fixture = *state;
    size_t before = resident_bytes();
    for (uint32_t i = 0; i < 4000; i++)
        assert_true(take(fixture, i, 0, 10000));
    assert_true(resident_bytes() - before > 4000u * 10000);
    for (uint32_t i = 0; i < 4000; i++)
        give(fixture, i);
    assert_true(resident_bytes() - before < 4 * MIB); /* spares, and the fixture's own */
}

/* How many bytes are resident of the page that chunk lies in. */
static size_t resident_of_page(const void *chunk)
{
    unsigned char is_in[PAGE_BYTES / 4096] = {0};
    void *page = (void *)((uintptr_t)chunk & ~(uintptr_t)(PAGE_BYTES - 1));
    assert_int_equal(mincore(page, PAGE_BYTES, is_in), 0);
    size_t bytes = 0;
    for (size_t i = 0; i < PAGE_BYTES / (size_t)sysconf(_SC_PAGESIZE); i++)
        bytes += (is_in[i] & 1) * (size_t)sysconf(_SC_PAGESIZE);
    return bytes;
}

/* Of a size that little is asked for no more is resident than is touched. */
static void a_page_is_resident_at_once_where_many_are_filled(void **state)
{
    struct fixture *fixture = *state;
    const size_t len = arena_round(&fixture->arena, 1000);
    for (uint32_t page = 0; page < 8; page++) {
        const void *first = arena_alloc(&fixture->arena, 0, len, 0);
        assert_int_equal(resident_of_page(first), page < 4 ? 0 : PAGE_BYTES);
        for (uint32_t i = 1; i < PAGE_BYTES / len; i++)
            assert_non_null(arena_alloc(&fixture->arena, 0, len, 0));
    }
}

static void a_sparse_page_is_emptied_into_others(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t i = 0; i < 20000; i++)
        assert_true(take(fixture, i, i % 2, 100));
    for (uint32_t i = 0; i < 20000; i++)
        if (i % 5 != 0)
            give(fixture, i);
    size_t sparse = fixture->budget.used_bytes;
    uint32_t move_count, move_sum = 0;
    while (arena_compact(&fixture->arena, ARENA_TIDY, &move_count)) {
        move_sum += move_count;
        arena_check(&fixture->arena);
    }
    assert_int_equal(move_sum, fixture->moved_count);
    assert_true(fixture->budget.used_bytes < sparse / 3);
    while (arena_compact(&fixture->arena, ARENA_PRESSED, &move_count))
        arena_check(&fixture->arena);
    size_t least = 4000u * 104 / PAGE_BYTES + 2; /* at most a page of each kind is not full */
    assert_true(fixture->budget.used_bytes <= REGION_HEAD_BYTES + least * PAGE_BYTES);
    for (uint32_t i = 0; i < 20000; i += 5)
        check_chunk(fixture, i);
}

static void compaction_of_full_pages_finds_nothing(void **state)
{
    struct fixture *fixture = *state;
    uint32_t move_count = 77;
    assert_false(arena_compact(&fixture->arena, ARENA_PRESSED, &move_count));
    assert_int_equal(move_count, 0);
    for (uint32_t i = 0; i < 8; i++)
        assert_true(take(fixture, i, 0, 16384));
    assert_false(arena_compact(&fixture->arena, ARENA_PRESSED, &move_count));
    give(fixture, 0);
    give(fixture, 1);
    give(fixture, 4);
    assert_false(arena_compact(&fixture->arena, ARENA_PRESSED, &move_count)); /* 5 need two pages */
    give(fixture, 5);
    assert_true(arena_compact(&fixture->arena, ARENA_PRESSED, &move_count));
    assert_int_equal(move_count, 2);
}

static void random_use_keeps_every_chunk(void **state)
{
    struct fixture *fixture = *state;
    uint64_t random = 1;
    uint32_t move_count;
    for (uint32_t step = 0; step < 200000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint32_t number = (uint32_t)(random >> 40) % 40000;
        size_t len = 4 + (random >> 20) % (number % 50 == 0 ? 16000 : 60);
        if (fixture->chunks[number] != NULL)
            give(fixture, number);
        else if (step / 25000 % 2 == 0) /* else it is a time of giving, and pages get sparse */
            assert_true(take(fixture, number, number % 2, len));
        if (step % 50 == 0)
            arena_compact(&fixture->arena, step % 100 == 0 ? ARENA_PRESSED : ARENA_TIDY,
                          &move_count);
        if (step % 20000 == 0)
            arena_check(&fixture->arena);
    }
    assert_true(fixture->moved_count > 1000);
}

/* Pages */

static void runs_do_not_overlap_and_are_zero(void **state)
{
    struct fixture *fixture = *state;
    struct pages pages = {.ledger = &fixture->ledger};
    char *runs[200] = {0};
    uint64_t random = 3;
    for (uint32_t step = 0; step < 2000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint32_t i = (uint32_t)(random >> 40) % 200;
        uint32_t count = i % PAGES_RUN_MAX + 1;
        if (runs[i] == NULL) {
            runs[i] = pages_take(&pages, count);
            assert_non_null(runs[i]);
            for (uint32_t page = 0; page < count; page++)
                assert_int_equal(runs[i][page * PAGE_BYTES], 0); /* nobody else's, nothing old */
            for (uint32_t page = 0; page < count; page++)
                runs[i][page * PAGE_BYTES] = (char)(i % 100 + 1);
        } else {
            for (uint32_t page = 0; page < count; page++)
                assert_int_equal(runs[i][page * PAGE_BYTES], i % 100 + 1);
            pages_give(&pages, runs[i], count);
            runs[i] = NULL;
        }
    }
    uint64_t taken_count = 0;
    for (uint32_t i = 0; i < 200; i++)
        taken_count += runs[i] != NULL ? i % PAGES_RUN_MAX + 1 : 0;
    assert_int_equal(pages_check(&pages), taken_count);
    pages_close(&pages);
}

/* Large blocks */

static void a_large_block_books_whole_frames(void **state)
{
    struct fixture *fixture = *state;
    const size_t sizes[] = {1, 4080, 4081, 16384, 4 * MIB - 16, 4 * MIB, 20 * MIB};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        size_t before = resident_bytes();
        char *block = large_alloc(&fixture->large, sizes[i], 0);
        assert_non_null(block);
        memset(block, 'x', sizes[i]);
        size_t booked = (sizes[i] + 16 + 4095) / 4096 * 4096;
        size_t heads = fixture->large.pages.regions != NULL ? REGION_HEAD_BYTES : 0;
        assert_int_equal(fixture->budget.used_bytes, booked + heads);
        large_free(&fixture->large, block);
        assert_int_equal(fixture->budget.used_bytes, heads);
        assert_true(resident_bytes() < before + 1 * MIB);
    }
}

static void a_large_block_respects_the_budget(void **state)
{
    struct fixture *fixture = *state;
    fixture->budget.limit_bytes = 8 * MIB;
    assert_null(large_alloc(&fixture->large, 8 * MIB, 0));
    assert_null(large_alloc(&fixture->large, 5 * MIB, 3 * MIB));
    char *block = large_alloc(&fixture->large, 5 * MIB, 2 * MIB);
    assert_non_null(block);
    assert_null(large_alloc(&fixture->large, 3 * MIB, 0));
    large_free(&fixture->large, block);
}

static void a_lent_block_lives_until_the_turn_ends(void **state)
{
    struct fixture *fixture = *state;
    char *lent = large_alloc(&fixture->large, 50000, 0);
    char *other = large_alloc(&fixture->large, 50000, 0);
    assert_non_null(lent);
    assert_non_null(other);
    memset(lent, 'x', 50000);
    size_t both = fixture->budget.used_bytes;
    large_lend(&fixture->large, lent);
    large_free(&fixture->large, lent);
    assert_int_equal(fixture->budget.used_bytes, both);
    large_free(&fixture->large, other);
    assert_true(fixture->budget.used_bytes < both);
    for (size_t i = 0; i < 50000; i++)
        assert_int_equal(lent[i], 'x');
    large_end_turn(&fixture->large);
    assert_int_equal(fixture->budget.used_bytes, REGION_HEAD_BYTES);
    lent = large_alloc(&fixture->large, 50000, 0);
    large_lend(&fixture->large, lent);
    large_end_turn(&fixture->large);
    large_free(&fixture->large, lent); /* lent in a turn that is over */
    assert_int_equal(fixture->budget.used_bytes, REGION_HEAD_BYTES);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_size_has_a_class_that_wastes_little),
        TEST(chunks_are_apart_and_aligned),
        TEST(kinds_never_share_a_page),
        TEST(pages_are_booked_and_unbooked),
        TEST(the_budget_is_never_exceeded),
        TEST(memory_of_free_pages_is_given_back),
        TEST(a_page_is_resident_at_once_where_many_are_filled),
        TEST(a_sparse_page_is_emptied_into_others),
        TEST(compaction_of_full_pages_finds_nothing),
        TEST(random_use_keeps_every_chunk),
        TEST(runs_do_not_overlap_and_are_zero),
        TEST(a_large_block_books_whole_frames),
        TEST(a_large_block_respects_the_budget),
        TEST(a_lent_block_lives_until_the_turn_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
