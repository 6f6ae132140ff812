/* What each operation sends and which answers fit it: one table. */
#ifndef DHT_CLIENT_DHT_REQUEST_H
#define DHT_CLIENT_DHT_REQUEST_H

#include "client/dht.h"
#include "common/answer.h"
#include "common/buf.h"

/* What is wrong with an operation's arguments: a static text, or NULL. */
const char *op_fault(const struct dht_op *op);
/* Whether it is about a key, thus has a leader. */
bool op_has_key(const struct dht_op *op);
/* Whether it may change something, thus is not repeated when its outcome is unknown, unless it
 * carries an id. */
bool op_is_write(const struct dht_op *op);
/* Whether it may carry a request id. */
bool op_takes_id(const struct dht_op *op);
/* Whether a value follows its line. */
bool op_has_value(const struct dht_op *op);
/* Whether nothing but the end of the connection answers it. */
bool op_ends_connection(const struct dht_op *op);
/* What a request holds besides the operation. A repetition under the same id has to be the same. */
struct op_envelope {
    struct span id;     /* request id, or empty */
    struct span opaque; /* what its answer is to be recognised by, or empty */
    int64_t now_s;      /* Unix time, for times to live too long to be sent as such */
};

/* Appends the request. */
void op_append(struct buf *out, const struct dht_op *op, const struct op_envelope *envelope);

/* Whether it is an error line, which any request may get. */
bool answer_is_failure(enum answer_kind kind);
/* Whether the answer fits the question; a number must be one, and is read. */
bool answer_fits(const struct dht_op *op, struct answer *answer);
/* What it means. */
enum dht_result answer_result(enum answer_kind kind);
/* What a person is told of an answer that is not DHT_OK; borrowed. */
struct span answer_text(const struct answer *answer, const struct dht_op *op);

#endif
