/* Reads answers out of a byte stream that may be cut anywhere, and judges them.
 *
 *   memcached get:  ("VALUE " key " " flags " " bytes "\r\n" value "\r\n")* "END\r\n"
 *   memcached set:  "STORED\r\n"
 *   RESP get:       item; of n keys: "*" n "\r\n" item…, n of them
 *   RESP item:      "$" bytes "\r\n" value "\r\n" | "$-1\r\n"
 *   RESP set:       "+OK\r\n"
 *   refusal:        ("ERROR" | "CLIENT_ERROR" | "SERVER_ERROR" | "-") text "\r\n"
 *
 * Keeps no value: bodies are counted through. The same result however the bytes were cut. */
#ifndef DHT_CLIENT_BENCH_ANSWER_H
#define DHT_CLIENT_BENCH_ANSWER_H

#include "client/bench_dialect.h"

#define BENCH_ANSWER_LINE_BYTES_MAX 512u

enum bench_scan {
    BENCH_SCAN_DONE, /* one answer is complete */
    BENCH_SCAN_MORE, /* all bytes were taken, the answer goes on */
    BENCH_SCAN_BAD   /* not an answer to this request: the stream can't be followed any more */
};

/* What was asked. */
struct bench_asked {
    bool is_set;
    uint32_t number; /* of the key; of a get of several keys it is not looked at */
};

/* An answer partly read. Zeroed, or after bench_answer_reset: at the start of one. */
struct bench_answer {
    uint32_t hits;      /* values of the right length */
    bool is_wrong;      /* a value of another length or key, or more values than keys */
    bool is_refused;    /* an error line */
    bool is_begun;      /* RESP: the line "*" n has been read */
    uint32_t items;     /* RESP: read so far */
    uint64_t body_left; /* bytes of value and CRLF still to come; 0: within a line */
    uint32_t line_len;
    char line[BENCH_ANSWER_LINE_BYTES_MAX]; /* a line's beginning, where it was cut */
};

static inline void bench_answer_reset(struct bench_answer *answer)
{
    answer->hits = 0;
    answer->is_wrong = false;
    answer->is_refused = false;
    answer->is_begun = false;
    answer->items = 0;
    answer->body_left = 0;
    answer->line_len = 0;
}

/* Takes bytes from the front of stream up to the end of one answer to asked. */
enum bench_scan bench_answer_scan(struct bench_answer *answer, const struct bench_dialect *dialect,
                                  struct bench_asked asked, struct span *stream);

#endif
