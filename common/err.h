/* The one table of error codes and their texts: the world's failures.
 *
 * Our own mistakes are CHECKs; a sender's mistakes are data (an answer or a counted drop), never
 * an err. 0 is success. */
#ifndef DHT_COMMON_ERR_H
#define DHT_COMMON_ERR_H

#include "common/base.h"

#define ERR_LIST(X)                                                                                \
    X(OK, "success")                                                                               \
    X(FULL, "a memory bound is reached")                                                           \
    X(TOO_LARGE, "larger than its bound")                                                          \
    X(NOT_FOUND, "not found")                                                                      \
    X(SYNTAX, "malformed")                                                                         \
    X(CORRUPT, "checksum mismatch")                                                                \
    X(IO, "input or output failed")                                                                \
    X(CONNECT, "cannot connect")                                                                   \
    X(CLOSED, "the connection was closed")                                                         \
    X(TIMEOUT, "timed out")                                                                        \
    X(USAGE, "not a valid argument")                                                               \
    X(REFUSED, "refused by the server")

enum err {
#define ERR_ENUM(name, text) ERR_##name,
    ERR_LIST(ERR_ENUM)
#undef ERR_ENUM
};

/* A short static text for people, e.g. "timed out". Never NULL. */
const char *err_text(enum err err);

#endif
