/* Numbers in text: read from spans, written into buffers, without the cost of scanf and printf.
 *
 * Two manners of reading. Strict, for what nodes and files write: digits and nothing else. And
 * memcached's, for what clients write, which is that of C's strtol family on one word: white space
 * in front is skipped, then one sign, then digits, and after them the word ends or white space
 * follows, behind which anything may stand. What does not fit 64 bits is refused; the 32-bit
 * readers keep the low 32 bits of what fits 64, as memcached does. Knows nothing of commands. */
#ifndef DHT_COMMON_NUMBER_H
#define DHT_COMMON_NUMBER_H

#include "common/span.h"

#define DECIMAL_BYTES_MAX 20u /* of UINT64_MAX */
#define HEX64_DIGITS      16u /* of any 64 bits, leading zeros included */

/* Writes value in decimal at to, without NUL; returns one past the last digit. */
char *number_format_decimal(char *to, uint64_t value);
/* Digits that number_format_decimal writes. */
size_t number_digits(uint64_t value);
/* Writes the lowest digits hexadecimal digits of value at to, lower case; returns to + digits. */
char *number_format_hex(char *to, uint64_t value, unsigned digits);

/* Strict: whether text is a decimal number of at most max without sign or leading zero, which
 * value then holds. */
MUST_USE bool number_parse_decimal(struct span text, uint64_t max, uint64_t *value);
/* Strict: whether text is exactly digits (1 … 16) lower case hexadecimal digits. */
MUST_USE bool number_parse_hex(struct span text, unsigned digits, uint64_t *value);
/* Whether text is exactly so many of them, however many: what is no number, such as a token. */
bool number_is_hex(struct span text, size_t digits);

/* memcached's manner: whether text is a number; if not, value is left alone. A negative number
 * read as unsigned is its two's complement if that is below 2^63 ("-18446744073709551615" is 1),
 * else refused. */
MUST_USE bool number_parse_u64(struct span text, uint64_t *value);
MUST_USE bool number_parse_u32(struct span text, uint32_t *value);
MUST_USE bool number_parse_i64(struct span text, int64_t *value);
MUST_USE bool number_parse_i32(struct span text, int32_t *value);

#endif
