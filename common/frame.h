/* Frames between nodes: a text header line, a counted binary-safe body, a CRC-32C over both.
 *
 *     <WORD> <fields…> <body bytes> <crc32c: 8 hex digits>\r\n<body>\r\n
 *
 * The CRC covers the header up to and including the space before it, then the body. proto.md
 * "Between nodes" is the reference. Parsing is in place and resumable; sizes are bounded before
 * use. */
#ifndef DHT_COMMON_FRAME_H
#define DHT_COMMON_FRAME_H

#include "common/reply.h"
#include "common/span.h"

#define FRAME_HEADER_BYTES_MAX 1024u        /* the header line with its numbers and line end */
#define FRAME_BODY_BYTES_MAX   (64u * 1024) /* larger bodies travel in several frames */

struct frame {
    struct span header; /* WORD and fields, without the two numbers and the line end; borrowed */
    struct span body;   /* borrowed */
};

enum frame_parse { FRAME_DONE, FRAME_MORE, FRAME_BAD_SYNTAX, FRAME_BAD_CRC };

/* Parses one frame from the len bytes at in.
 * consumed  out on FRAME_DONE: bytes it took.
 * need      out on FRAME_MORE: bytes that must be there before calling again makes sense. */
enum frame_parse frame_parse(const char *in, size_t len, struct frame *frame, size_t *consumed,
                             size_t *need);

/* Appends one frame, all of it copied; header without trailing space; body at most
 * FRAME_BODY_BYTES_MAX bytes (CHECKed). */
void frame_append(struct reply *out, struct span header, struct span body);
/* Appends one frame whose body is what body holds, at most FRAME_BODY_BYTES_MAX bytes (CHECKed);
 * body is left closed. Borrowed pieces stay borrowed. */
void frame_append_reply(struct reply *out, struct span header, struct reply *body);

/* CRC-32C (Castagnoli) of bytes, continuing from crc (0 to begin); from ISA-L. "123456789" gives
 * e3069283. */
uint32_t crc32c(uint32_t crc, struct span bytes);

#endif
