/* The keys of a benchmark: key_count strings of one length, each known by its number.
 *
 * Keys are made where they are needed: writing eight digits costs less than the cache miss of a
 * table of a million strings. Keys read from a file do lie in a table. */
#ifndef DHT_CLIENT_BENCH_KEYS_H
#define DHT_CLIENT_BENCH_KEYS_H

#include "common/err.h"

#include <string.h>

#define BENCH_KEY_BYTES_MAX 250u
#define BENCH_KEY_DIGITS    8u         /* hexadecimal, at the end of a made key */
#define BENCH_KEY_COUNT_MAX (1u << 31) /* a key's number and one flag fit 32 bits */

struct bench_keys {
    uint32_t count;
    uint32_t key_bytes; /* length of every key, BENCH_KEY_DIGITS … BENCH_KEY_BYTES_MAX if made */
    char *table; /* owned; count × key_bytes bytes read from a file, or NULL: keys are made */
    char prefix[BENCH_KEY_BYTES_MAX];
};

/* Keys to be made: "bench:" and dashes cut to size, then the number. */
void bench_keys_init(struct bench_keys *keys, uint32_t count, uint32_t key_bytes);
/* Keys from the lines of a file, all of one length.
 * errors  ERR_IO: it cannot be read (errno says why).
 *         ERR_SYNTAX: no lines, lines of different lengths, a length that is no key's, a space. */
MUST_USE enum err bench_keys_read(struct bench_keys *keys, const char *path);
void bench_keys_close(struct bench_keys *keys);

/* Writes key number to out, key_bytes bytes, and returns the end. number < count. */
static inline char *bench_keys_write(const struct bench_keys *keys, uint32_t number, char *out)
{
    size_t len = keys->key_bytes;
    if (keys->table != NULL) {
        memcpy(out, keys->table + (size_t)number * len, len);
        return out + len;
    }
    memcpy(out, keys->prefix, len - BENCH_KEY_DIGITS);
    for (uint32_t digit = 1; digit <= BENCH_KEY_DIGITS; digit++, number >>= 4)
        out[len - digit] = "0123456789abcdef"[number & 15];
    return out + len;
}

#endif
