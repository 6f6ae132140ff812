#include "client/bench_dialect.h"

#include "common/check.h"
#include "common/prng.h"

#include <stdarg.h>
#include <stdio.h>

PRINTF_LIKE(2, 3) static void piece_printf(struct bench_piece *piece, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(piece->data, sizeof(piece->data), format, args);
    va_end(args);
    CHECK(len >= 0 && (size_t)len < sizeof(piece->data));
    piece->len = (uint32_t)len;
}

/* Letters and digits without a pattern: a value that could be read aloud, but not compressed. */
static void append_value(struct buf *buf, uint32_t value_bytes)
{
    struct prng prng;
    prng_init(&prng, value_bytes);
    char *value = buf_reserve(buf, value_bytes);
    for (uint32_t i = 0; i < value_bytes; i++)
        value[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[prng_next(&prng) & 31];
    buf_advance(buf, value_bytes);
    buf_append(buf, "\r\n", 2);
}

static void init_memcached(struct bench_dialect *dialect)
{
    piece_printf(&dialect->get_head, "get ");
    piece_printf(&dialect->get_between, " ");
    piece_printf(&dialect->get_tail, "\r\n");
    piece_printf(&dialect->set_head, "set ");
    buf_printf(&dialect->set_tail, " 0 0 %u\r\n", dialect->value_bytes);
    piece_printf(&dialect->hit_head, "VALUE ");
    piece_printf(&dialect->hit_middle, " 0 %u\r\n", dialect->value_bytes);
}

static void init_resp(struct bench_dialect *dialect)
{
    uint32_t key_bytes = dialect->keys->key_bytes;
    if (dialect->multiget == 1)
        piece_printf(&dialect->get_head, "*2\r\n$3\r\nGET\r\n$%u\r\n", key_bytes);
    else
        piece_printf(&dialect->get_head, "*%u\r\n$4\r\nMGET\r\n$%u\r\n", dialect->multiget + 1,
                     key_bytes);
    piece_printf(&dialect->get_between, "\r\n$%u\r\n", key_bytes);
    piece_printf(&dialect->get_tail, "\r\n");
    piece_printf(&dialect->set_head, "*3\r\n$3\r\nSET\r\n$%u\r\n", key_bytes);
    buf_printf(&dialect->set_tail, "\r\n$%u\r\n", dialect->value_bytes);
    piece_printf(&dialect->hit_middle, "$%u\r\n", dialect->value_bytes);
}

void bench_dialect_init(struct bench_dialect *dialect, enum bench_protocol protocol,
                        const struct bench_keys *keys, uint32_t multiget, uint32_t value_bytes)
{
    CHECK(multiget >= 1 && multiget <= BENCH_MULTIGET_MAX);
    *dialect = (struct bench_dialect){
        .protocol = protocol, .keys = keys, .multiget = multiget, .value_bytes = value_bytes};
    if (protocol == BENCH_MEMCACHED)
        init_memcached(dialect);
    else
        init_resp(dialect);
    append_value(&dialect->set_tail, value_bytes);
    dialect->hit_bytes = dialect->hit_head.len + dialect->hit_middle.len + value_bytes + 2 +
                         (protocol == BENCH_MEMCACHED ? keys->key_bytes : 0);
}

void bench_dialect_close(struct bench_dialect *dialect)
{
    buf_close(&dialect->set_tail);
    *dialect = (struct bench_dialect){0};
}

size_t bench_dialect_request_bytes_max(const struct bench_dialect *dialect)
{
    size_t key_bytes = dialect->keys->key_bytes;
    size_t get = dialect->get_head.len + dialect->get_tail.len +
                 dialect->multiget * (key_bytes + dialect->get_between.len);
    size_t set = dialect->set_head.len + key_bytes + buf_len(&dialect->set_tail);
    return get > set ? get : set;
}

static char *write_piece(const struct bench_piece *piece, char *out)
{
    memcpy(out, piece->data, piece->len);
    return out + piece->len;
}

char *bench_dialect_write_get(const struct bench_dialect *dialect, const uint32_t *numbers,
                              char *out)
{
    out = write_piece(&dialect->get_head, out);
    out = bench_keys_write(dialect->keys, numbers[0], out);
    for (uint32_t i = 1; i < dialect->multiget; i++) {
        out = write_piece(&dialect->get_between, out);
        out = bench_keys_write(dialect->keys, numbers[i], out);
    }
    return write_piece(&dialect->get_tail, out);
}

char *bench_dialect_write_set(const struct bench_dialect *dialect, uint32_t number, char *out)
{
    out = write_piece(&dialect->set_head, out);
    out = bench_keys_write(dialect->keys, number, out);
    struct span tail = buf_span(&dialect->set_tail);
    CHECK(tail.data != NULL);
    memcpy(out, tail.data, tail.len);
    return out + tail.len;
}
