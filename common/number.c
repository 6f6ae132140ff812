#include "common/number.h"

char *number_format_decimal(char *to, uint64_t value)
{
    char reversed[DECIMAL_BYTES_MAX];
    unsigned count = 0;
    do {
        reversed[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0)
        *to++ = reversed[--count];
    return to;
}

char *number_format_hex(char *to, uint64_t value, unsigned digits)
{
    for (unsigned left = digits; left > 0; left--) {
        to[left - 1] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
    return to + digits;
}

bool number_parse_decimal(struct span text, uint64_t max, uint64_t *value)
{
    if (text.len == 0 || text.len > DECIMAL_BYTES_MAX || (text.data[0] == '0' && text.len > 1))
        return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned char)text.data[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(sum, 10u, &sum) ||
            __builtin_add_overflow(sum, digit, &sum))
            return false;
    }
    *value = sum;
    return sum <= max;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool number_parse_hex(struct span text, unsigned digits, uint64_t *value)
{
    if (text.len != digits)
        return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < text.len; i++) {
        int digit = hex_digit(text.data[i]);
        if (digit < 0)
            return false;
        sum = sum << 4 | (unsigned)digit;
    }
    *value = sum;
    return true;
}
