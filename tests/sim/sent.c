#include "tests/sim/sent.h"

#include "common/message.h"
#include "common/record.h"

/* The messages with an epoch, which is always the sender's. */
#define WITH_EPOCH(X)                                                                              \
    X(HELLO)                                                                                       \
    X(WELCOME)                                                                                     \
    X(FORWARD)                                                                                     \
    X(STREAM)                                                                                      \
    X(STREAMED)                                                                                    \
    X(COLLECT)                                                                                     \
    X(COPIES)                                                                                      \
    X(HOLDING)                                                                                     \
    X(ACTIVE)                                                                                      \
    X(STALE)                                                                                       \
    X(GET_MEMBERSHIP_LIST)                                                                         \
    X(MEMBERS)                                                                                     \
    X(PING)                                                                                        \
    X(PONG)                                                                                        \
    X(GET_VIEWS)                                                                                   \
    X(VIEWS)                                                                                       \
    X(PREPARE)                                                                                     \
    X(PROMISE)                                                                                     \
    X(ACCEPT)                                                                                      \
    X(ACCEPTED)                                                                                    \
    X(PROPOSE)                                                                                     \
    X(PROPOSED)                                                                                    \
    X(REPORT)                                                                                      \
    X(GET_REPORT)                                                                                  \
    X(GET_HELD)                                                                                    \
    X(HELD)                                                                                        \
    X(GET_ALIVE)                                                                                   \
    X(ALIVE)                                                                                       \
    X(ACCEPTLOSS)

/* records: the body of a STREAM, or of what answers it. */
static void count_syncs(struct span records, struct sent_syncs *syncs)
{
    struct record record;
    size_t taken;
    for (; record_parse(records, &record, &taken) == RECORD_DONE;
         records = span_of(records.data + taken, records.len - taken)) {
        switch (record.kind) {
        case RECORD_START:
            syncs->full += record.START.is_full;
            syncs->delta += !record.START.is_full && record.START.is_last;
            break;
        case RECORD_ADVANCE:
            syncs->advances++;
            break;
        case RECORD_OFFER:
            syncs->pulls += record.OFFER.is_pulled;
            break;
        default:
            break;
        }
    }
}

bool sent_take(struct span *bytes, struct sent *sent, struct sent_syncs *syncs)
{
    struct frame frame;
    struct message message;
    size_t consumed, need;
    if (frame_parse(bytes->data, bytes->len, &frame, &consumed, &need) != FRAME_DONE ||
        message_parse(&frame, &message) != ERR_OK)
        return false;
    *bytes = span_of(bytes->data + consumed, bytes->len - consumed);
    *sent = (struct sent){.kind = "another"};
    if (message.kind == MESSAGE_STREAM || message.kind == MESSAGE_STREAMED)
        count_syncs(message.body, syncs);
    switch (message.kind) {
#define CASE(word)                                                                                 \
    case MESSAGE_##word:                                                                           \
        *sent = (struct sent){#word, message.word.epoch};                                          \
        break;
        WITH_EPOCH(CASE)
#undef CASE
    default:
        break;
    }
    return true;
}
