/* The low-level calls are deprecated in favour of EVP, which costs several times more per short
 * key; they are not going away in the OpenSSL this project is built against. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/digest.h"

#include "common/sha1_pair.h"

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

/* The position is read at once, so it is written at once: read across two writes, it would have to
 * be waited for like a quarter. */
static void put_words(uint8_t *to, uint32_t first, uint32_t second)
{
    uint64_t words = __builtin_bswap64((uint64_t)first << 32 | second);
    memcpy(to, &words, sizeof(words));
}

static void put_word(uint8_t *to, uint32_t word)
{
    word = __builtin_bswap32(word);
    memcpy(to, &word, sizeof(word));
}

/* What SHA-1 takes in at once. */
struct block {
    quarter quarters[BLOCK_BYTES / QUARTER_BYTES];
};

/* Most keys fit one block: padded here (FIPS 180-4, 5.1.1). It will be read by quarters, each at
 * once: a quarter that was written in pieces would have to be waited for until it has left the
 * processor's store buffer, 100 cycles. */
static ALWAYS_INLINE void block_fill(struct block *block, struct span bytes)
{
    size_t whole = bytes.len / QUARTER_BYTES;
    quarter *quarters = block->quarters;
    quarters[0] = whole_quarter(bytes, 0);
    quarters[1] = whole_quarter(bytes, 1);
    quarters[2] = whole_quarter(bytes, 2);
    unsigned __int128 tail = load_tail(bytes.data, bytes.len);
    tail |= (unsigned __int128)0x80 << 8 * (bytes.len % QUARTER_BYTES);
    uint64_t bits = (uint64_t)__builtin_bswap32((uint32_t)bytes.len * 8) << 32;
    if (whole == 3) {
        quarters[3] = quarter_of(tail | (unsigned __int128)bits << 64);
    } else {
        quarters[whole] = quarter_of(tail);
        quarters[3] = (quarter){0, bits};
    }
}

/* Having the block transformed at once costs a third of what the general calls do, which also wipe
 * the context for the sake of secrets. */
static void digest_short(struct span bytes, struct digest *digest)
{
    struct block block;
    block_fill(&block, bytes);
    SHA_CTX context; /* the transform looks at nothing but these */
    context.h0 = 0x67452301;
    context.h1 = 0xefcdab89;
    context.h2 = 0x98badcfe;
    context.h3 = 0x10325476;
    context.h4 = 0xc3d2e1f0;
    SHA1_Transform(&context, (const unsigned char *)&block);
    put_words(digest->bytes, context.h0, context.h1);
    put_words(digest->bytes + 8, context.h2, context.h3);
    put_word(digest->bytes + 16, context.h4);
}

static bool is_short(struct span bytes)
{
    return bytes.len > 0 && bytes.len <= SHORT_BYTES_MAX;
}

void digest_of(struct span bytes, struct digest *digest)
{
    if (LIKELY(is_short(bytes))) {
        digest_short(bytes, digest);
        return;
    }
    SHA_CTX context;
    SHA1_Init(&context);
    SHA1_Update(&context, bytes.data, bytes.len);
    SHA1_Final(digest->bytes, &context);
}

bool digest_has_pairs(void)
{
    return sha1_pair_is_there();
}

void digest_of_pair(struct span one, struct span other, struct digest *one_digest,
                    struct digest *other_digest)
{
    if (UNLIKELY(!is_short(one) || !is_short(other))) {
        digest_of(one, one_digest);
        digest_of(other, other_digest);
        return;
    }
    struct block blocks[2];
    block_fill(&blocks[0], one);
    block_fill(&blocks[1], other);
    sha1_pair((const void *const[]){&blocks[0], &blocks[1]},
              (uint8_t *const[]){one_digest->bytes, other_digest->bytes});
}
