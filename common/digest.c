/* The low-level calls are deprecated in favour of EVP, which costs several times more per short
 * key; they are not going away in the OpenSSL this project is built against. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/digest.h"

#include <openssl/sha.h>

_Static_assert(DIGEST_BYTES == SHA_DIGEST_LENGTH, "SHA-1 gives 20 bytes");

#define BLOCK_BYTES     SHA_CBLOCK
#define SHORT_BYTES_MAX (BLOCK_BYTES - 1 - 8) /* with the padding's first byte and the length */
#define QUARTER_BYTES   16u

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lowest byte comes first");

/* A quarter of a block, written to memory at once. */
typedef uint64_t quarter __attribute__((vector_size(QUARTER_BYTES)));

static quarter quarter_of(unsigned __int128 bytes)
{
    return (quarter){(uint64_t)bytes, (uint64_t)(bytes >> 64)};
}

/* Quarter number of the bytes, or zeroes if they have it not or not whole. */
static inline quarter whole_quarter(struct span bytes, size_t number)
{
    quarter whole = {0, 0};
    if ((number + 1) * QUARTER_BYTES <= bytes.len)
        memcpy(&whole, bytes.data + number * QUARTER_BYTES, QUARTER_BYTES);
    return whole;
}

static uint64_t load(const char *from, size_t len)
{
    uint64_t bytes = 0;
    memcpy(&bytes, from, len);
    return bytes;
}

/* The last len % 16 bytes of a key as the lowest of a number, nothing outside the key being read.
 */
static unsigned __int128 load_tail(const char *key, size_t len)
{
    size_t tail = len % QUARTER_BYTES;
    if (tail == 0)
        return 0;
    if (len > QUARTER_BYTES) {
        const char *last = key + len - QUARTER_BYTES;
        unsigned __int128 bytes = (unsigned __int128)load(last + 8, 8) << 64 | load(last, 8);
        return bytes >> 8 * (QUARTER_BYTES - tail);
    }
    if (len > 8)
        return (unsigned __int128)load(key + len - 8, 8) << 8 * (len - 8) | load(key, 8);
    if (len == 8)
        return load(key, 8);
    if (len >= 4)
        return load(key + len - 4, 4) << 8 * (len - 4) | load(key, 4);
    return (uint64_t)(uint8_t)key[len - 1] << 8 * (len - 1) |
           (uint64_t)(uint8_t)key[len / 2] << 8 * (len / 2) | (uint8_t)key[0];
}

static void put_word(uint8_t *to, uint32_t word)
{
    word = __builtin_bswap32(word);
    memcpy(to, &word, sizeof(word));
}

/* Most keys fit one block. Padding it here (FIPS 180-4, 5.1.1) and having it transformed at once
 * costs a third of what the general calls do, which also wipe the context for the sake of
 * secrets. The transform reads the block by quarters, at once: a quarter that was written in pieces
 * would have to be waited for until it has left the processor's store buffer, 100 cycles. */
static void digest_short(struct span bytes, struct digest *digest)
{
    size_t whole = bytes.len / QUARTER_BYTES;
    quarter block[BLOCK_BYTES / QUARTER_BYTES] = {whole_quarter(bytes, 0), whole_quarter(bytes, 1),
                                                  whole_quarter(bytes, 2)};
    unsigned __int128 tail = load_tail(bytes.data, bytes.len);
    tail |= (unsigned __int128)0x80 << 8 * (bytes.len % QUARTER_BYTES);
    uint64_t bits = (uint64_t)__builtin_bswap32((uint32_t)bytes.len * 8) << 32;
    if (whole == 3) {
        block[3] = quarter_of(tail | (unsigned __int128)bits << 64);
    } else {
        block[whole] = quarter_of(tail);
        block[3] = (quarter){0, bits};
    }
    SHA_CTX context; /* the transform looks at nothing but these */
    context.h0 = 0x67452301;
    context.h1 = 0xefcdab89;
    context.h2 = 0x98badcfe;
    context.h3 = 0x10325476;
    context.h4 = 0xc3d2e1f0;
    SHA1_Transform(&context, (const unsigned char *)block);
    put_word(digest->bytes, context.h0);
    put_word(digest->bytes + 4, context.h1);
    put_word(digest->bytes + 8, context.h2);
    put_word(digest->bytes + 12, context.h3);
    put_word(digest->bytes + 16, context.h4);
}

void digest_of(struct span bytes, struct digest *digest)
{
    if (LIKELY(bytes.len > 0 && bytes.len <= SHORT_BYTES_MAX)) {
        digest_short(bytes, digest);
        return;
    }
    SHA_CTX context;
    SHA1_Init(&context);
    SHA1_Update(&context, bytes.data, bytes.len);
    SHA1_Final(digest->bytes, &context);
}
