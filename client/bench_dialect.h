/* What a benchmark's requests and answers look like on the wire, cut into pieces once, so that
 * writing a request is a few copies and recognising an answer a few comparisons.
 *
 *   get:     get_head key (get_between key)… get_tail
 *   set:     set_head key set_tail             value block included in set_tail
 *   answer:  hit_head key hit_middle value "\r\n", once for each key found; RESP names no key
 */
#ifndef DHT_CLIENT_BENCH_DIALECT_H
#define DHT_CLIENT_BENCH_DIALECT_H

#include "client/bench_keys.h"
#include "common/buf.h"

enum bench_protocol { BENCH_MEMCACHED, BENCH_RESP };

#define BENCH_MULTIGET_MAX 10000u

struct bench_piece {
    char data[52];
    uint32_t len;
};

struct bench_dialect {
    enum bench_protocol protocol;
    const struct bench_keys *keys; /* borrowed */
    uint32_t multiget;             /* keys a get asks for, 1 … BENCH_MULTIGET_MAX */
    uint32_t value_bytes;          /* of every value stored, and expected in every hit */
    struct bench_piece get_head, get_between, get_tail, set_head;
    struct buf set_tail;
    struct bench_piece hit_head, hit_middle;
    uint32_t hit_bytes; /* of one whole hit */
};

/* keys is borrowed until the dialect is closed. */
void bench_dialect_init(struct bench_dialect *dialect, enum bench_protocol protocol,
                        const struct bench_keys *keys, uint32_t multiget, uint32_t value_bytes);
void bench_dialect_close(struct bench_dialect *dialect);

/* Bytes the longest request needs. */
size_t bench_dialect_request_bytes_max(const struct bench_dialect *dialect);
/* Writes a get of multiget keys, or a set of one, to out, and returns the end. */
char *bench_dialect_write_get(const struct bench_dialect *dialect, const uint32_t *numbers,
                              char *out);
char *bench_dialect_write_set(const struct bench_dialect *dialect, uint32_t number, char *out);

#endif
