#include "common/number.h"

size_t number_digits(uint64_t value)
{
    size_t digits = 1;
    for (; value >= 10000; value /= 10000)
        digits += 4;
    return digits + (value >= 10) + (value >= 100) + (value >= 1000);
}

char *number_format_decimal(char *to, uint64_t value)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    if (value < 10) {
        *to = (char)('0' + value);
        return to + 1;
    }
    char *end = to + number_digits(value);
    char *at = end;
    for (; value >= 100; value /= 100) {
        at -= 2;
        memcpy(at, pairs + value % 100 * 2, 2);
    }
    if (value >= 10)
        memcpy(at - 2, pairs + value * 2, 2);
    else
        at[-1] = (char)('0' + value);
    return end;
}

char *number_format_hex(char *to, uint64_t value, unsigned digits)
{
    for (unsigned left = digits; left > 0; left--) {
        to[left - 1] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
    return to + digits;
}

/* Reads the digits text begins with; returns how many there are, 0 if their number does not fit. */
static size_t read_digits(struct span text, uint64_t *value)
{
    uint64_t sum = 0;
    size_t at = 0;
    for (; at < text.len; at++) {
        unsigned digit = (unsigned char)text.data[at] - (unsigned)'0';
        if (digit > 9)
            break;
        if (__builtin_mul_overflow(sum, 10u, &sum) || __builtin_add_overflow(sum, digit, &sum))
            return 0;
    }
    *value = sum;
    return at;
}

bool number_parse_decimal(struct span text, uint64_t max, uint64_t *value)
{
    uint64_t number;
    if (text.len == 0 || read_digits(text, &number) != text.len || number > max ||
        (text.data[0] == '0' && text.len > 1))
        return false;
    *value = number;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool number_is_hex(struct span text, size_t digits)
{
    if (text.len != digits)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (hex_digit(text.data[i]) < 0)
            return false;
    return true;
}

bool number_parse_hex(struct span text, unsigned digits, uint64_t *value)
{
    if (!number_is_hex(text, digits))
        return false;
    uint64_t sum = 0;
    for (size_t i = 0; i < text.len; i++)
        sum = sum << 4 | (unsigned)hex_digit(text.data[i]);
    *value = sum;
    return true;
}

/* isspace of the C locale. */
static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* [space] [sign] digits [space anything], into sign and magnitude. */
static bool parse_word(struct span text, bool *negative, uint64_t *magnitude)
{
    size_t at = 0;
    while (at < text.len && is_space(text.data[at]))
        at++;
    *negative = at < text.len && text.data[at] == '-';
    if (at < text.len && (text.data[at] == '-' || text.data[at] == '+'))
        at++;
    size_t digits = read_digits(span_of(text.data + at, text.len - at), magnitude);
    at += digits;
    return digits > 0 && (at == text.len || is_space(text.data[at]));
}

bool number_parse_u64(struct span text, uint64_t *value)
{
    bool negative;
    uint64_t magnitude;
    if (!parse_word(text, &negative, &magnitude))
        return false;
    uint64_t number = negative ? -magnitude : magnitude;
    if (negative && (number >> 63) != 0)
        return false;
    *value = number;
    return true;
}

bool number_parse_u32(struct span text, uint32_t *value)
{
    uint64_t number;
    if (!number_parse_u64(text, &number))
        return false;
    *value = (uint32_t)number;
    return true;
}

bool number_parse_i64(struct span text, int64_t *value)
{
    bool negative;
    uint64_t magnitude;
    if (!parse_word(text, &negative, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *value = (int64_t)(negative ? -magnitude : magnitude);
    return true;
}

bool number_parse_i32(struct span text, int32_t *value)
{
    int64_t number;
    if (!number_parse_i64(text, &number))
        return false;
    *value = (int32_t)number;
    return true;
}
