/* Requests as they go over the wire, in both protocols. */
#include "client/bench_dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY_0F "bench:--0000000f"
#define KEY_10 "bench:--00000010"

struct fixture {
    struct bench_keys keys;
    struct bench_dialect dialect;
    char out[512];
};

static void open_fixture(struct fixture *fixture, enum bench_protocol protocol, uint32_t multiget)
{
    bench_keys_init(&fixture->keys, 100, 16);
    bench_dialect_init(&fixture->dialect, protocol, &fixture->keys, multiget, 3);
}

/* Checks what was written up to end, and that the announced bound holds it. */
static void assert_written(struct fixture *fixture, char *end, const char *start, const char *rest)
{
    char expected[512];
    /* The value is the fixture's own: three letters nobody chose. */
    struct span tail = buf_span(&fixture->dialect.set_tail);
    snprintf(expected, sizeof(expected), "%s%.3s%s", start, tail.data + tail.len - 5, rest);
    size_t len = (size_t)(end - fixture->out);
    assert_true(len <= bench_dialect_request_bytes_max(&fixture->dialect));
    *end = '\0';
    assert_string_equal(fixture->out, expected);
    bench_dialect_close(&fixture->dialect);
    bench_keys_close(&fixture->keys);
}

static void assert_get(enum bench_protocol protocol, uint32_t multiget, const char *expected)
{
    struct fixture fixture;
    const uint32_t numbers[] = {15, 16};
    open_fixture(&fixture, protocol, multiget);
    char *end = bench_dialect_write_get(&fixture.dialect, numbers, fixture.out);
    assert_true((size_t)(end - fixture.out) <= bench_dialect_request_bytes_max(&fixture.dialect));
    *end = '\0';
    assert_string_equal(fixture.out, expected);
    bench_dialect_close(&fixture.dialect);
    bench_keys_close(&fixture.keys);
}

static void gets_name_their_keys(void **state)
{
    (void)state;
    assert_get(BENCH_MEMCACHED, 1, "get " KEY_0F "\r\n");
    assert_get(BENCH_MEMCACHED, 2, "get " KEY_0F " " KEY_10 "\r\n");
    assert_get(BENCH_RESP, 1, "*2\r\n$3\r\nGET\r\n$16\r\n" KEY_0F "\r\n");
    assert_get(BENCH_RESP, 2, "*3\r\n$4\r\nMGET\r\n$16\r\n" KEY_0F "\r\n$16\r\n" KEY_10 "\r\n");
}

static void sets_carry_the_value(void **state)
{
    (void)state;
    struct fixture fixture;
    open_fixture(&fixture, BENCH_MEMCACHED, 1);
    assert_written(&fixture, bench_dialect_write_set(&fixture.dialect, 15, fixture.out),
                   "set " KEY_0F " 0 0 3\r\n", "\r\n");
    open_fixture(&fixture, BENCH_RESP, 1);
    assert_written(&fixture, bench_dialect_write_set(&fixture.dialect, 16, fixture.out),
                   "*3\r\n$3\r\nSET\r\n$16\r\n" KEY_10 "\r\n$3\r\n", "\r\n");
}

static enum err read_keys(const char *text, struct bench_keys *keys)
{
    char path[] = "/tmp/test_bench_keys.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    enum err err = bench_keys_read(keys, path);
    unlink(path);
    return err;
}

static void keys_come_from_a_file(void **state)
{
    (void)state;
    struct bench_keys keys;
    char out[4] = "";
    assert_int_equal(read_keys("abc\ndef\nghi\njkl\nmno", &keys), ERR_OK);
    assert_int_equal(keys.count, 5);
    for (uint32_t i = 0; i < keys.count; i++) {
        assert_ptr_equal(bench_keys_write(&keys, i, out), out + 3);
        assert_memory_equal(out, &"abcdefghijklmno"[3 * i], 3);
    }
    bench_keys_close(&keys);
}

static void files_that_hold_no_keys_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "abc\nde\n", "abc\n\n", "a c\n", "a\tc\n"};
    struct bench_keys keys;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        assert_int_equal(read_keys(texts[i], &keys), ERR_SYNTAX);
    assert_int_equal(bench_keys_read(&keys, "/nonexistent/keys"), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gets_name_their_keys),
        cmocka_unit_test(sets_carry_the_value),
        cmocka_unit_test(keys_come_from_a_file),
        cmocka_unit_test(files_that_hold_no_keys_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
