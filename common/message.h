/* Node-to-node messages: structs, parser and formatter made from message_list.h. */
#ifndef DHT_COMMON_MESSAGE_H
#define DHT_COMMON_MESSAGE_H

#include "common/address.h"
#include "common/digest.h"
#include "common/err.h"
#include "common/frame.h"

enum message_kind {
#define FIELD(type, name)
#define MESSAGE(word, fields) MESSAGE_##word,
#include "common/message_list.h"
#undef MESSAGE
    MESSAGE_KIND_COUNT
#undef FIELD
};

#define MESSAGE_TYPE_U64    uint64_t
#define MESSAGE_TYPE_ROUND  uint64_t
#define MESSAGE_TYPE_U32    uint32_t
#define MESSAGE_TYPE_HEX64  uint64_t
#define MESSAGE_TYPE_DIGEST struct digest
#define MESSAGE_TYPE_TOKEN  struct span
#define MESSAGE_TYPE_WORD   struct span

#define MESSAGE_WORD_BYTES_MAX 63u /* an ip:port fits */

#define FIELD(type, name) MESSAGE_TYPE_##type name;
#define MESSAGE(word, fields)                                                                      \
    struct message_##word {                                                                        \
        fields                                                                                     \
    };
#include "common/message_list.h"
#undef MESSAGE
#undef FIELD

/* What an ANSWER means. */
enum answer_status {
    ANSWER_STATUS_DONE,       /* the body is the answer */
    ANSWER_STATUS_REFUSED,    /* nothing was carried out; the body says why */
    ANSWER_STATUS_NOT_LEADER, /* the same, because another node leads the key: to be asked anew */
    ANSWER_STATUS_DIRECT,     /* the client has been answered directly */
    ANSWER_STATUS_NOT_READY,  /* nothing was carried out, because too few copies can be reached */
    ANSWER_STATUS_UNKNOWN,    /* it was carried out, and whether it stays is not known */
    ANSWER_STATUS_COUNT
};

/* One message. TOKEN and WORD fields and body borrow from the frame (parse) or the caller (format).
 */
struct message {
    enum message_kind kind;
    union {
#define MESSAGE(word, fields) struct message_##word word;
#include "common/message_list.h"
#undef MESSAGE
    };
    struct span body;
};

/* Parses a frame that frame_parse accepted.
 * errors  ERR_SYNTAX: unknown word, missing, surplus or malformed field. */
MUST_USE enum err message_parse(const struct frame *frame, struct message *message);
/* The versions that a HELLO of any version of the protocol names.
 * Returns false if the frame is no HELLO, or does not name them. */
bool message_hello_versions(const struct frame *frame, uint32_t *oldest, uint32_t *newest);
/* Appends the message as one frame (body at most FRAME_BODY_BYTES_MAX). */
void message_append(struct reply *out, const struct message *message);
/* The same, with what body holds as the body: borrowed pieces stay borrowed, body is left closed.
 * message->body is empty. */
void message_append_reply(struct reply *out, const struct message *message, struct reply *body);
/* "HELLO", … */
const char *message_word(enum message_kind kind);

#endif
