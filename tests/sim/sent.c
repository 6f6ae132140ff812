#include "tests/sim/sent.h"

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

bool sent_take(struct span *bytes, struct sent *sent)
{
    struct frame frame;
    size_t consumed, need;
    *sent = (struct sent){.kind = "another"};
    struct message *message = &sent->message;
    if (frame_parse(bytes->data, bytes->len, &frame, &consumed, &need) != FRAME_DONE ||
        message_parse(&frame, message) != ERR_OK)
        return false;
    *bytes = span_of(bytes->data + consumed, bytes->len - consumed);
    switch (message->kind) {
#define CASE(word)                                                                                 \
    case MESSAGE_##word:                                                                           \
        sent->kind = #word;                                                                        \
        sent->epoch = message->word.epoch;                                                         \
        break;
        WITH_EPOCH(CASE)
#undef CASE
    default:
        break;
    }
    if (message->kind == MESSAGE_STREAM || message->kind == MESSAGE_STREAMED)
        sent->records = message->body;
    sent->is_stream = message->kind == MESSAGE_STREAM;
    return true;
}
