#include "common/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(struct span bytes, char *out)
{
    const uint8_t *in = (const uint8_t *)bytes.data;
    char *to = out;
    for (size_t left = bytes.len; left > 0;) {
        size_t taken = left < 3 ? left : 3;
        uint32_t bits = (uint32_t)in[0] << 16;
        bits |= taken > 1 ? (uint32_t)in[1] << 8 : 0;
        bits |= taken > 2 ? (uint32_t)in[2] : 0;
        to[0] = alphabet[bits >> 18];
        to[1] = alphabet[bits >> 12 & 63];
        to[2] = taken > 1 ? alphabet[bits >> 6 & 63] : '=';
        to[3] = taken > 2 ? alphabet[bits & 63] : '=';
        in += taken;
        to += 4;
        left -= taken;
    }
    return (size_t)(to - out);
}

/* 0 … 63, or -1 for a byte that is not of the alphabet. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* Decodes four characters; returns the bytes they stand for, 1 … 3, or 0 if they are malformed. */
static size_t decode_group(const char *in, bool is_last, uint8_t bytes[3])
{
    size_t digits = 4;
    if (is_last && in[3] == '=')
        digits = in[2] == '=' ? 2 : 3;
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < digits ? value_of(in[i]) : 0;
        if (value < 0)
            return 0;
        bits = bits << 6 | (uint32_t)value;
    }
    bytes[0] = (uint8_t)(bits >> 16);
    bytes[1] = (uint8_t)(bits >> 8);
    bytes[2] = (uint8_t)bits;
    size_t count = digits - 1;
    bool stray = (bits & (0xffffffu >> (8 * count))) != 0;
    return stray ? 0 : count;
}

enum err base64_decode(struct span text, char *out, size_t size, size_t *len)
{
    if (text.len == 0 || text.len % 4 != 0)
        return ERR_SYNTAX;
    size_t done = 0;
    for (size_t at = 0; at < text.len; at += 4) {
        uint8_t bytes[3];
        size_t count = decode_group(text.data + at, at + 4 == text.len, bytes);
        if (count == 0)
            return ERR_SYNTAX;
        if (count > size - done)
            return ERR_TOO_LARGE;
        memcpy(out + done, bytes, count);
        done += count;
    }
    *len = done;
    return ERR_OK;
}
