/* Carries out one client command on the store and appends its answer.
 *
 * Answers are memcached 1.6.18's, byte for byte, save for what proto.md lists. What an answer tells
 * is composed in the reply's unclaimed room before the store changes, and claimed after: so a
 * change may free what the answer shows, and a change that is refused leaves no half answer.
 * Must not know connections, forwards, or where in a line of keys a request stood. */
#ifndef DHT_SERVER_CORE_COMMAND_H
#define DHT_SERVER_CORE_COMMAND_H

#include "common/request.h"
#include "server/core/executor.h"

/* Executes a command that has a key (CHECKed: command_has_key).
 *
 * request  borrowed; its value may be of any size: the parser has bounded it (too_large).
 * key      request->key with its place.
 * out      the answer is appended. A retrieval's is one VALUE block, nothing on a miss, or one
 *          SERVER_ERROR line, which then stands in the place of the line's END. With noreply, and
 *          for some answers with a meta q, nothing is appended. Large values are borrowed from the
 *          store: until store_release. */
void command_execute(struct executor *executor, const struct request *request,
                     const struct store_key *key, struct reply *out);

/* After how many seconds a flush_all is to be carried out; 0: now. Counts it. */
uint32_t command_flush_delay(struct executor *executor, const struct request *request);

#endif
