/* Numbers as text: the strict forms of frames and addresses, without the cost of printf.
 *
 * Decimal: digits only, no sign, no leading zero. Hexadecimal: lower case, a fixed count of digits. */
#ifndef DHT_COMMON_NUMBER_H
#define DHT_COMMON_NUMBER_H

#include "common/span.h"

#define DECIMAL_BYTES_MAX 20u /* of UINT64_MAX */

/* Writes value in decimal at to, without NUL; returns one past the last digit. */
char *number_format_decimal(char *to, uint64_t value);
/* Writes the lowest digits hexadecimal digits of value at to; returns to + digits. */
char *number_format_hex(char *to, uint64_t value, unsigned digits);
/* Whether text is a decimal number of at most max, which value then holds. */
MUST_USE bool number_parse_decimal(struct span text, uint64_t max, uint64_t *value);
/* Whether text is exactly digits (1 … 16) hexadecimal digits; value then holds the number. */
MUST_USE bool number_parse_hex(struct span text, unsigned digits, uint64_t *value);

#endif
