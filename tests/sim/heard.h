/* What a virtual client hears: common/answer.h's parser for a file that also sees the core, which
 * has a struct answer of its own. */
#ifndef DHT_TESTS_SIM_HEARD_H
#define DHT_TESTS_SIM_HEARD_H

#include "common/span.h"

enum heard_kind {
    HEARD_VALUE,
    HEARD_END,
    HEARD_STORED,
    HEARD_NOT_STORED,
    HEARD_DELETED,
    HEARD_NOT_FOUND,
    HEARD_NUMBER,
    HEARD_VERSION,
    HEARD_NOT_DONE,
    HEARD_UNKNOWN,
    HEARD_HIT,         /* meta VA */
    HEARD_META_DONE,   /* HD */
    HEARD_META_MISS,   /* EN */
    HEARD_META_ABSENT, /* NF */
    HEARD_META_NOT_STORED,
    HEARD_META_EXISTS,
    HEARD_EXISTS,
    HEARD_TOUCHED,
    HEARD_OK,
    HEARD_BUSY,
    HEARD_CLIENT_ERROR, /* what follows is in text, as for the next */
    HEARD_SERVER_ERROR,
    HEARD_RETURN_PORT, /* its token is in text */
    HEARD_OTHER,       /* any other answer */
    HEARD_MORE,        /* more bytes are needed */
    HEARD_BAD          /* no answer at all */
};

/* One answer, or one value of it. Spans borrow from the input. */
struct heard {
    enum heard_kind kind;
    struct span name;  /* HEARD_VALUE: the key */
    struct span value; /* HEARD_VALUE, HEARD_HIT */
    struct span text;  /* meta: the flags; what follows the word of other lines */
    struct span opaque;
    uint64_t number; /* HEARD_NUMBER */
    uint64_t cas;    /* HEARD_VALUE of gets, and meta c; 0: not told */
    uint32_t flags;  /* HEARD_VALUE, and meta f */
    size_t consumed;
};

struct heard heard_parse(struct span in, uint32_t value_bytes_max);

#endif
