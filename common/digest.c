/* The low-level calls are deprecated in favour of EVP, which costs several times more per short
 * key; they are not going away in the OpenSSL this project is built against. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/digest.h"

#include <openssl/sha.h>

_Static_assert(DIGEST_BYTES == SHA_DIGEST_LENGTH, "SHA-1 gives 20 bytes");

#define BLOCK_BYTES     SHA_CBLOCK
#define SHORT_BYTES_MAX (BLOCK_BYTES - 1 - 8) /* with the padding's first byte and the length */

static void put_word(uint8_t *to, uint32_t word)
{
    word = __builtin_bswap32(word);
    memcpy(to, &word, sizeof(word));
}

/* Most keys fit one block. Padding it here (FIPS 180-4, 5.1.1) and having it transformed at once
 * costs half of what the general calls do, which also wipe the context for the sake of secrets. */
static void digest_short(struct span bytes, struct digest *digest)
{
    uint8_t block[BLOCK_BYTES] = {0};
    memcpy(block, bytes.data, bytes.len);
    block[bytes.len] = 0x80;
    put_word(block + BLOCK_BYTES - 4, (uint32_t)bytes.len * 8);
    SHA_CTX context;
    SHA1_Init(&context);
    SHA1_Transform(&context, block);
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
