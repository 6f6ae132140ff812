/* Answers of a memcached text protocol server, parsed in place: what a client reads.
 *
 * One call parses one line, with the value behind it where the line announces one. The parser is
 * fed the unconsumed bytes of a connection, keeps no state, allocates nothing and gives the same
 * answers however the bytes were cut. Every size is bounded before it is believed. It knows the
 * grammar only; which answers fit which request is the caller's to judge. */
#ifndef DHT_COMMON_ANSWER_H
#define DHT_COMMON_ANSWER_H

#include "common/span.h"

#define ANSWER_LINE_BYTES_MAX 2048u /* without its line end */

/* ANSWER(id, word, shape): the one table of answers. A line begins with its word; where two
 * lines of the table fit, the upper one is meant. What follows the word is the shape:
 *   BARE   nothing
 *   TEXT   any text, or nothing
 *   PAUSE  <milliseconds> " ms" [" " O<opaque>]
 *   STAT   <name> [<value>]
 *   VALUE  <key> <flags> <bytes> [<cas unique>], then the value
 *   META   <flags>*
 *   DATA   <bytes> <flags>*, then the value
 *   RING   <hash> [<members>]
 *   LIST   <version> <bytes>, then the value, then a line END
 *   REPORT <bytes>, then the value, then a line END */
/* clang-format off */
#define ANSWER_LIST(ANSWER)                                        \
    ANSWER(META_DONE,      "HD",                            META)  \
    ANSWER(META_DATA,      "VA",                            DATA)  \
    ANSWER(META_MISS,      "EN",                            META)  \
    ANSWER(META_NOT_FOUND, "NF",                            META)  \
    ANSWER(META_NOT_STORED,"NS",                            META)  \
    ANSWER(META_EXISTS,    "EX",                            META)  \
    ANSWER(META_NOOP,      "MN",                            META)  \
    ANSWER(META_DEBUG,     "ME",                            TEXT)  \
    ANSWER(VALUE,          "VALUE",                         VALUE) \
    ANSWER(END,            "END",                           BARE)  \
    ANSWER(STORED,         "STORED",                        BARE)  \
    ANSWER(NOT_STORED,     "NOT_STORED",                    BARE)  \
    ANSWER(EXISTS,         "EXISTS",                        BARE)  \
    ANSWER(NOT_FOUND,      "NOT_FOUND",                     BARE)  \
    ANSWER(DELETED,        "DELETED",                       BARE)  \
    ANSWER(TOUCHED,        "TOUCHED",                       BARE)  \
    ANSWER(OK,             "OK",                            BARE)  \
    ANSWER(RESET,          "RESET",                         BARE)  \
    ANSWER(STAT,           "STAT",                          STAT)  \
    ANSWER(VERSION,        "VERSION",                       TEXT)  \
    ANSWER(RING,           "RING",                          RING)  \
    ANSWER(MEMBERSHIP,     "MEMBERSHIP",                    LIST)  \
    ANSWER(REPORT,         "REPORT",                        REPORT) \
    ANSWER(RETURN_PORT,    "RETURN_PORT",                   TEXT)  \
    ANSWER(DISABLED,       "ERROR:",                        TEXT)  \
    ANSWER(ERROR,          "ERROR",                         TEXT)  \
    ANSWER(CLIENT_ERROR,   "CLIENT_ERROR",                  TEXT)  \
    ANSWER(BUSY,           "SERVER_ERROR busy, retry in",   PAUSE) \
    ANSWER(NOT_DONE,       "SERVER_ERROR not done:",        TEXT)  \
    ANSWER(OUTCOME_UNKNOWN,"SERVER_ERROR outcome unknown:", TEXT)  \
    ANSWER(SERVER_ERROR,   "SERVER_ERROR",                  TEXT)
/* clang-format on */

enum answer_kind {
#define ANSWER_ENUM(id, word, shape) ANSWER_##id,
    ANSWER_LIST(ANSWER_ENUM)
#undef ANSWER_ENUM
        ANSWER_NUMBER, /* incr, decr: a line of digits */
    ANSWER_KIND_COUNT
};

/* One answer. Spans borrow from the input; what the line does not hold is zero, ttl_s -1. */
struct answer {
    enum answer_kind kind;
    struct span text;   /* TEXT: what follows the word; STAT: the value; META, DATA: the flags */
    struct span name;   /* STAT: the name; VALUE: the key */
    struct span value;  /* VALUE, DATA, LIST, REPORT: the value without its line end */
    struct span opaque; /* meta O */
    uint64_t number;    /* NUMBER; BUSY: the pause in ms; RING: the hash; LIST: the version */
    uint64_t cas;       /* VALUE of gets; meta c */
    int64_t ttl_s;      /* meta t: seconds left, -1 for ever */
    uint32_t flags;     /* VALUE; meta f */
};

enum answer_parse {
    ANSWER_DONE, /* answer is filled, consumed says how many bytes it took */
    ANSWER_MORE, /* more bytes are needed */
    ANSWER_BAD /* not an answer, or beyond its bounds: the connection can't be followed any more */
};

/* Parses the answer at the front of the len bytes at in.
 *
 * value_bytes_max  an announced value above it is ANSWER_BAD.
 * consumed         out on ANSWER_DONE; else left alone.
 * need             out on ANSWER_MORE: calling again is useless before this many bytes are there.
 * answer           out on ANSWER_MORE too: what the line says, where that is whole.
 */
enum answer_parse answer_parse(const char *in, size_t len, uint32_t value_bytes_max,
                               struct answer *answer, size_t *consumed, size_t *need);

#endif
