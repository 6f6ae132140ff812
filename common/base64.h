/* Base64 (RFC 4648, section 4) for binary keys of the meta commands. No line breaks; padding is
 * required; one text for one key: what is not exactly what base64_encode writes is refused. */
#ifndef DHT_COMMON_BASE64_H
#define DHT_COMMON_BASE64_H

#include "common/err.h"
#include "common/span.h"

#define BASE64_BYTES(len) (((len) + 2) / 3 * 4) /* text bytes for len bytes */

/* Writes BASE64_BYTES(bytes.len) bytes of text, without NUL; returns that number. */
size_t base64_encode(struct span bytes, char *out);

/* Decodes text into at most size bytes at out, which may be text's own place.
 * len     out: bytes decoded.
 * errors  ERR_SYNTAX: empty, not a multiple of four, a foreign byte, bad padding, stray bits in
 *         the last byte. ERR_TOO_LARGE: more than size bytes; out may hold any part of them. */
MUST_USE enum err base64_decode(struct span text, char *out, size_t size, size_t *len);

#endif
