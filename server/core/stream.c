#include "server/core/stream.h"

#include "common/check.h"

#include <endian.h>
#include <stdlib.h>

/* Buffers that have grown beyond this are given back when they are empty. */
#define KEPT_BYTES_MAX (1024u * 1024)
/* A CHANGE longer than this is not gathered if there is no memory for it. */
#define ALWAYS_BYTES_MAX (64u * 1024)
/* What is kept of one that is skipped: its header, slot and sid, with which it begins. */
#define SKIPPED_BYTES (RECORD_HEADER_BYTES + sizeof(uint16_t) + sizeof(uint64_t))

/* --- the sending end -------------------------------------------------------------------------- */

static void queue_empty(struct buf *queue)
{
    if (queue->capacity > KEPT_BYTES_MAX)
        buf_close(queue);
    else
        buf_consume(queue, buf_len(queue));
}

void stream_begin(struct stream_out *stream, struct conn_id conn, uint32_t epoch)
{
    CHECK(conn.generation != 0);
    stream_end(stream);
    stream->conn = conn;
    stream->epoch = epoch;
    stream->base = stream->position;
}

void stream_end(struct stream_out *stream)
{
    queue_empty(&stream->queue);
    stream->conn = (struct conn_id){0};
    stream->sent = stream->received = 0;
}

uint64_t stream_put(struct stream_out *stream, const struct record *record)
{
    CHECK(stream_is_open(stream));
    record_append(&stream->queue, record);
    return ++stream->position;
}

void stream_send(struct stream_out *stream, struct reply *out)
{
    CHECK(stream_is_open(stream));
    struct span rest = buf_span(&stream->queue);
    if (rest.len > STREAM_BATCH_BYTES_MAX)
        rest.len = STREAM_BATCH_BYTES_MAX;
    size_t batch_bytes = rest.len;
    while (rest.len > 0) {
        size_t len = rest.len < STREAM_FRAME_BYTES_MAX ? rest.len : STREAM_FRAME_BYTES_MAX;
        struct message frame = {.kind = MESSAGE_STREAM,
                                .STREAM = {.epoch = stream->epoch, .at = stream->sent},
                                .body = span_of(rest.data, len)};
        message_append(out, &frame);
        stream->sent += len;
        rest = span_of(rest.data + len, rest.len - len);
    }
    if (batch_bytes == buf_len(&stream->queue))
        queue_empty(&stream->queue);
    else
        buf_consume(&stream->queue, batch_bytes);
}

enum err stream_acknowledged(struct stream_out *stream, uint64_t records, uint64_t bytes)
{
    if (bytes < stream->received || bytes > stream->sent ||
        records > stream->position - stream->base)
        return ERR_SYNTAX;
    uint64_t number = stream->base + records;
    /* Of this stream's none may be taken back; those below base are no more spoken of. */
    if (stream->acked > stream->base && number < stream->acked)
        return ERR_SYNTAX;
    stream->received = bytes;
    if (number > stream->acked)
        stream->acked = number;
    return ERR_OK;
}

/* --- the receiving end ------------------------------------------------------------------------ */

/* Nothing of a record is kept any more. */
static void part_drop(struct stream_in *stream)
{
    if (stream->part_bytes > ALWAYS_BYTES_MAX) {
        if (stream->budget)
            stream->budget->used_bytes -= stream->part_bytes;
        free(stream->part);
        stream->part = NULL;
        stream->part_bytes = 0;
    }
    stream->part_len = stream->part_need = 0;
    stream->is_part_done = stream->is_part_skipped = false;
}

void stream_in_begin(struct stream_in *stream, struct conn_id conn, uint32_t epoch)
{
    stream_in_end(stream);
    stream->conn = conn;
    stream->epoch = epoch;
}

void stream_in_end(struct stream_in *stream)
{
    part_drop(stream);
    if (stream->budget)
        stream->budget->used_bytes -= stream->part_bytes;
    free(stream->part);
    buf_close(&stream->answers);
    *stream = (struct stream_in){.budget = stream->budget};
}

/* Makes room for the whole record, once its length is known: exactly so much. */
static void part_make_room(struct stream_in *stream)
{
    size_t bytes = stream->part_need;
    if (stream->is_part_skipped || bytes <= stream->part_bytes)
        return;
    bool is_bounded = bytes > ALWAYS_BYTES_MAX && stream->part[0] == RECORD_CHANGE;
    if (is_bounded && stream->budget && !budget_stretches(stream->budget, bytes)) {
        stream->is_part_skipped = true;
        bytes = SKIPPED_BYTES;
        if (bytes <= stream->part_bytes)
            return;
    }
    stream->part = realloc(stream->part, bytes);
    CHECK(stream->part != NULL);
    if (stream->budget)
        stream->budget->used_bytes += bytes - stream->part_bytes;
    stream->part_bytes = bytes;
}

/* Takes what is needed off bytes. Returns whether all of it was there. */
static bool part_fill(struct stream_in *stream, struct span *bytes)
{
    size_t len = stream->part_need - stream->part_len;
    if (len > bytes->len)
        len = bytes->len;
    size_t room = stream->part_bytes > stream->part_len ? stream->part_bytes - stream->part_len : 0;
    size_t kept = len < room ? len : room;
    if (kept > 0)
        memcpy(stream->part + stream->part_len, bytes->data, kept);
    stream->part_len += len;
    *bytes = span_of(bytes->data + len, bytes->len - len);
    return stream->part_len == stream->part_need;
}

/* A record of which only the beginning was kept. */
static void part_skipped(const struct stream_in *stream, struct record *record)
{
    *record = (struct record){.kind = RECORD_CHANGE};
    uint16_t slot;
    uint64_t sid;
    memcpy(&slot, stream->part + RECORD_HEADER_BYTES, sizeof(slot));
    memcpy(&sid, stream->part + RECORD_HEADER_BYTES + sizeof(slot), sizeof(sid));
    record->CHANGE.slot = le16toh(slot);
    record->CHANGE.sid = le64toh(sid);
}

/* Begins to gather a record that does not lie in bytes as a whole. */
static enum stream_next part_begin(struct stream_in *stream, struct span *bytes,
                                   struct record *record)
{
    size_t taken;
    switch (record_parse(*bytes, record, &taken)) {
    case RECORD_DONE:
        *bytes = span_of(bytes->data + taken, bytes->len - taken);
        return STREAM_RECORD;
    case RECORD_BAD:
        return STREAM_BAD;
    case RECORD_MORE:
        break;
    }
    stream->part_need = RECORD_HEADER_BYTES;
    return STREAM_EMPTY;
}

/* Gathers on. */
static enum stream_next part_go_on(struct stream_in *stream, struct span *bytes,
                                   struct record *record)
{
    for (;;) {
        part_make_room(stream);
        if (!part_fill(stream, bytes))
            return STREAM_EMPTY;
        if (stream->is_part_skipped) {
            part_skipped(stream, record);
            stream->is_part_done = true;
            return STREAM_SKIPPED;
        }
        size_t taken;
        switch (record_parse(span_of(stream->part, stream->part_len), record, &taken)) {
        case RECORD_DONE:
            stream->is_part_done = true;
            return STREAM_RECORD;
        case RECORD_BAD:
            return STREAM_BAD;
        case RECORD_MORE:
            CHECK(taken > stream->part_need);
            stream->part_need = taken;
        }
    }
}

enum stream_next stream_in_next(struct stream_in *stream, struct span *bytes, struct record *record)
{
    if (stream->is_part_done)
        part_drop(stream);
    size_t before = bytes->len;
    enum stream_next next = STREAM_EMPTY;
    if (stream->part_need == 0 && bytes->len > 0)
        next = part_begin(stream, bytes, record);
    if (stream->part_need > 0 && bytes->len > 0)
        next = part_go_on(stream, bytes, record);
    stream->bytes += before - bytes->len;
    return next;
}

void stream_in_answer(struct stream_in *stream, const struct record *record)
{
    CHECK(record_bytes(record) <= STREAM_ANSWER_BYTES_MAX);
    record_append(&stream->answers, record);
}

/* How many bytes of whole records fit one frame. */
static size_t answers_fit(struct span answers)
{
    size_t len = 0;
    while (len < answers.len) {
        struct record record;
        size_t taken;
        enum record_parse result =
            record_parse(span_of(answers.data + len, answers.len - len), &record, &taken);
        CHECK(result == RECORD_DONE);
        if (len + taken > FRAME_BODY_BYTES_MAX)
            break;
        len += taken;
    }
    return len;
}

void stream_in_tell(struct stream_in *stream, struct reply *out)
{
    do {
        struct span answers = buf_span(&stream->answers);
        size_t len = answers.len <= FRAME_BODY_BYTES_MAX ? answers.len : answers_fit(answers);
        if (len == answers.len) { /* what follows them: all of them count first */
            stream->records_told = stream->records;
            stream->bytes_told = stream->bytes;
        }
        struct message streamed = {.kind = MESSAGE_STREAMED,
                                   .STREAMED = {.epoch = stream->epoch,
                                                .records = stream->records_told,
                                                .bytes = stream->bytes_told},
                                   .body = span_of(answers.data, len)};
        message_append(out, &streamed);
        buf_consume(&stream->answers, len);
    } while (buf_len(&stream->answers) > 0);
}
