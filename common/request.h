/* One client request: parsed in place from the bytes of a connection, nothing copied.
 *
 * The parser is fed the unconsumed bytes of a connection, always from the same first byte until it
 * says how many it consumed; it allocates nothing and gives the same requests however the bytes
 * were cut. A retrieval of several keys is given out one key at a time ("pieces"), so that a line
 * of any length is served in bounded memory. A malformed line is a request too (CMD_INVALID), so
 * that its error keeps its place among the answers. proto.md is the reference. */
#ifndef DHT_COMMON_REQUEST_H
#define DHT_COMMON_REQUEST_H

#include "common/digest.h"
#include "common/span.h"

#define KEY_BYTES_MAX        250u
#define REQUEST_ID_BYTES_MAX 32u
/* A command line without its newline; retrievals may be longer. */
#define LINE_BYTES_MAX 2048u
/* Up to here a retrieval line is checked before any of its keys is given out. */
#define RETRIEVAL_CHECKED_BYTES_MAX (64u * 1024)

enum command {
    CMD_INVALID, /* answer request.error and nothing else */
    /* clang-format off */
    CMD_GET, CMD_GETS, CMD_GAT, CMD_GATS,
    CMD_SET, CMD_ADD, CMD_REPLACE, CMD_APPEND, CMD_PREPEND, CMD_CAS,
    CMD_DELETE, CMD_INCR, CMD_DECR, CMD_TOUCH,
    CMD_META_GET, CMD_META_SET, CMD_META_DELETE, CMD_META_ARITH, CMD_META_DEBUG,
    CMD_META_NOOP, CMD_FLUSH_ALL, CMD_STATS, CMD_VERSION, CMD_VERBOSITY, CMD_QUIT,
    CMD_CONFIG, CMD_MEMBERSHIP, CMD_RING, CMD_STATUS, CMD_TRANSFERS, CMD_COPY,
    CMD_FORGET, CMD_ACCEPT_LOSS, CMD_FORM, CMD_LEAVE, CMD_SHUTDOWN, CMD_RETURN_PORT,
    /* clang-format on */
    CMD_HELLO, /* the connection becomes a peer's: the line is a frame header (frame.h) */
    CMD_ONCE,  /* a prefix: no request's command */
    CMD_COUNT
};

/* What place a request has in its line; decides who writes END. */
enum request_part {
    PART_WHOLE, /* a request of its own */
    PART_PIECE, /* a key of a retrieval line, not its last */
    PART_LAST   /* the last (or only) key of a retrieval line: END, or the line's error, follows */
};

/* A bit for a meta flag letter: 'a'…'z' then 'A'…'Z'. */
static inline uint64_t meta_bit(char letter)
{
    return letter >= 'a' ? 1ull << (letter - 'a') : 1ull << (26 + letter - 'A');
}

struct request {
    enum command command;
    enum request_part part;
    bool noreply;      /* classic: no byte of answer. Never set for meta (q is in meta_seen) */
    bool too_large;    /* the announced value exceeds the limit: value is empty; it is swallowed */
    bool has_delay;    /* flush_all: a number was given, in exptime */
    bool has_ring;     /* ring: a hash was given, in number */
    bool key_base64;   /* meta b: the line's key is base64; key is what it decodes to */
    uint32_t flags;    /* client flags: STORE, CAS; meta F */
    int64_t exptime;   /* as sent: STORE, CAS, RETOUCH, TOUCH; meta T; flush_all's delay */
    uint64_t number;   /* CAS: cas unique; ARITH: delta; VERBOSITY: level; RING: the client's hash;
                          RETURN_PORT: 1 … 65,535 */
    struct span key;   /* 1 … KEY_BYTES_MAX bytes; empty where the family has none (COPY has) */
    struct span value; /* STORE, CAS, ms: the body without its line end */
    struct span line;  /* the request as received, body and line ends included; of a retrieval of
                          several keys the part consumed: forward "<word> [<exptime>] <key>" */
    struct span words; /* STATS, CONFIG, SHUTDOWN, ACCEPT_LOSS: the rest of the line, e.g.
                          "settings", trimmed; FORGET: the name; HELLO: all of it */
    struct span once;  /* the request id: 1 … REQUEST_ID_BYTES_MAX bytes; empty without one */
    struct span error; /* CMD_INVALID: the answer with its \r\n, a static text; empty after a
                          noreply: no answer. Its part is PART_WHOLE, in the midst of keys too */

    /* Meta commands. Which flags stand in the line, and their arguments; absent ones are 0. */
    uint64_t meta_seen;     /* meta_bit of each flag present */
    struct span meta_flags; /* the flags as sent, spaces between: answers keep their order */
    struct span opaque;     /* O's argument */
    int64_t vivify_ttl;     /* N */
    int64_t recache_ttl;    /* R */
    uint64_t cas_compare;   /* C */
    uint64_t cas_explicit;  /* E */
    uint64_t initial;       /* J */
    uint64_t delta;         /* D; 1 if absent */
    char mode;              /* M's argument, upper case: ms S A P R E, ma I D; 0 if absent */

    char key_decoded[KEY_BYTES_MAX + 2]; /* storage behind key when key_base64 */
};

struct request_limits {
    uint32_t value_bytes_max; /* -I: compared with the announced length alone */
};

enum parse {
    PARSE_DONE, /* request is filled, consumed says how many bytes it took */
    PARSE_MORE, /* more bytes are needed; consumed may be > 0 (swallowed bytes) */
    PARSE_CLOSE /* 0x80, HTTP or an endless line: answer request.error if any, then close */
};

/* What of a connection's input outlives one call. A zeroed parser is at a line's start. */
struct request_parser {
    uint64_t swallow_bytes;    /* of a body that is thrown away, still to come */
    bool swallow_line;         /* throw away up to and including the next LF */
    enum command retrieval;    /* CMD_GET … CMD_GATS: inside that line's keys; else CMD_INVALID */
    int64_t retrieval_exptime; /* gat, gats */
    bool retrieval_checked;    /* the rest of the line is known to be well formed */
};

/* Parses the next request from the len unconsumed bytes at in.
 *
 * request   out: filled on PARSE_DONE; every span in it borrows from in, from static memory or from
 *           the request itself (key_decoded): do not copy the struct by value without mending key.
 * consumed  out: how many bytes of in are done with; they must stay in place while request is used.
 * need      out on PARSE_MORE: calling again is useless before this many unconsumed bytes are there
 *           (a hint that makes large bodies cost one parse of their line; at least
 *           len - consumed + 1).
 * bound     a line not ended after LINE_BYTES_MAX bytes (retrievals excepted) is PARSE_CLOSE;
 *           nothing is ever allocated. */
enum parse request_parse(struct request_parser *parser, const struct request_limits *limits,
                         const char *in, size_t len, struct request *request, size_t *consumed,
                         size_t *need);

/* Whether a command takes a key, i.e. is routed by the ring. */
static inline bool command_has_key(enum command command)
{
    return command >= CMD_GET && command <= CMD_META_DEBUG;
}
static inline bool command_is_retrieval(enum command command)
{
    return command >= CMD_GET && command <= CMD_GATS;
}
/* Whether executing it can change the store: if it has left for another node and no answer came,
 * its outcome is unknown. mg counts as a write when it may touch, vivify or mark (T, N, R), or when
 * in doubt. */
bool request_is_write(const struct request *request);

/* The request as received, but for its id: what a request of the same id is compared by. */
struct span request_without_id(const struct request *request);

/* The command's word in lower case, e.g. "get"; "?" for CMD_INVALID. */
const char *command_word(enum command command);

#endif
