/* A stream: records from one node to another, each with a number, over a connection that both have.
 *
 * The sending end collects records in a queue and gives them to the connection as STREAM frames,
 * cut anywhere. It waits with the next batch until the last one has been received (unless the user
 * has more of a kind for which that would only be slow): so a batch holds what came meanwhile, and
 * the costlier a turn is, the more is carried in one. The receiving end
 * puts the bytes together again and tells with STREAMED how many records it has worked off.
 *
 * A stream begins with a connection, and anew with each epoch. Numbers go on: those that were given
 * before and not acknowledged are passed over.
 *
 * Knows nothing of what a record is for, and of links only the connection's number. */
#ifndef DHT_SERVER_CORE_STREAM_H
#define DHT_SERVER_CORE_STREAM_H

#include "common/message.h"
#include "common/record.h"
#include "server/core/env.h"

/* Most bytes of a batch: so that a large value goes in pieces, between which others' frames have
 * their turn. */
#define STREAM_BATCH_BYTES_MAX (1024u * 1024)
/* Most bytes of a STREAM frame: several come with one read, and little of one that comes in part is
 * to be kept. */
#define STREAM_FRAME_BYTES_MAX (16u * 1024)

/* --- the sending end -------------------------------------------------------------------------- */

/* Zeroed is valid: there is no connection, and nothing can be put. */
struct stream_out {
    struct conn_id conn; /* that it lies on; generation 0: none */
    uint32_t epoch;
    struct buf queue;  /* records that have not been sent */
    uint64_t sent;     /* bytes of this stream given to the connection */
    uint64_t received; /* of these, that the other end has */
    uint64_t position; /* number of the last record put; only rises */
    uint64_t base;     /* position when this stream began */
    uint64_t acked;    /* the highest number that the other end has worked off */
};

/* Begins a stream of this epoch on a connection; whatever was under way is dropped. */
void stream_begin(struct stream_out *stream, struct conn_id conn, uint32_t epoch);
/* There is no stream any more. */
void stream_end(struct stream_out *stream);
static inline bool stream_is_open(const struct stream_out *stream)
{
    return stream->conn.generation != 0;
}
/* Puts a record; returns its number. The stream is open. */
uint64_t stream_put(struct stream_out *stream, const struct record *record);
/* The number that the record put next will have, counted within this stream: from 1. */
static inline uint64_t stream_next_number(const struct stream_out *stream)
{
    return stream->position - stream->base + 1;
}
/* Whether the last batch has been received, so that another may go. */
static inline bool stream_may_send(const struct stream_out *stream)
{
    return stream->received == stream->sent;
}
/* Sends a batch of what is queued. */
void stream_send(struct stream_out *stream, struct reply *out);
/* Bytes that the other end does not have yet, as far as is known. */
static inline uint64_t stream_backlog(const struct stream_out *stream)
{
    return buf_len(&stream->queue) + (stream->sent - stream->received);
}
/* The other end has answered.
 * errors  ERR_SYNTAX: with numbers that cannot be. */
MUST_USE enum err stream_acknowledged(struct stream_out *stream, uint64_t records, uint64_t bytes);

/* --- the receiving end ------------------------------------------------------------------------ */

/* Zeroed is valid: nothing has come. */
struct stream_in {
    struct conn_id conn; /* that it comes by; generation 0: none */
    uint32_t epoch;
    uint64_t records;      /* worked off */
    uint64_t bytes;        /* received */
    uint64_t records_told; /* by the last STREAMED */
    uint64_t bytes_told;
    struct buf answers;    /* records for the next STREAMED */
    char *part;            /* what there is of a record that came in part; NULL: none */
    size_t part_bytes;     /* that there is room for */
    size_t part_len;       /* that have come, those not kept included */
    size_t part_need;      /* that are needed to see more */
    bool is_part_done;     /* it has been given out */
    bool is_part_skipped;  /* no memory: only its beginning is kept */
    struct budget *budget; /* where part counts; may be NULL */
};

/* Begins a stream of this epoch from a connection; whatever was under way is dropped. */
void stream_in_begin(struct stream_in *stream, struct conn_id conn, uint32_t epoch);
/* There is none any more. */
void stream_in_end(struct stream_in *stream);

enum stream_next {
    STREAM_RECORD,  /* here is one: count it in records when it has been worked off */
    STREAM_SKIPPED, /* one for whose bytes there was no memory: only kind and what it begins with
                     * are there, which for all that can be so large is slot and sid */
    STREAM_EMPTY,   /* bytes are used up */
    STREAM_BAD      /* they are no records */
};

/* Takes the next record from the bytes that have come; bytes: what of them is left.
 * record  out; borrows from bytes, or from the stream until the next call: stream_in_is_gathered.
 */
enum stream_next stream_in_next(struct stream_in *stream, struct span *bytes,
                                struct record *record);
/* Whether the record just given out borrows from the stream: it had come in pieces. */
static inline bool stream_in_is_gathered(const struct stream_in *stream)
{
    return stream->is_part_done;
}
/* Whether a record is under way that no frame holds. */
static inline bool stream_in_is_long(const struct stream_in *stream)
{
    return stream->part_need > FRAME_BODY_BYTES_MAX;
}
/* Whether there is something to tell. */
static inline bool stream_in_is_due(const struct stream_in *stream)
{
    return stream->bytes != stream->bytes_told || buf_len(&stream->answers) > 0;
}
/* Answers with a record, at most STREAM_ANSWER_BYTES_MAX bytes long (CHECKed). */
#define STREAM_ANSWER_BYTES_MAX (32u * 1024)
void stream_in_answer(struct stream_in *stream, const struct record *record);
/* Sends STREAMED: all answers, then how far the stream has come. */
void stream_in_tell(struct stream_in *stream, struct reply *out);

#endif
