/* The low-level calls are deprecated in favour of EVP, which costs several times more per short
 * key (design.md); they are not going away in the OpenSSL this project is built against. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/digest.h"

#include <openssl/sha.h>

_Static_assert(DIGEST_BYTES == SHA_DIGEST_LENGTH, "SHA-1 gives 20 bytes");

void digest_of(struct span bytes, struct digest *digest)
{
    SHA_CTX context;
    SHA1_Init(&context);
    SHA1_Update(&context, bytes.data, bytes.len);
    SHA1_Final(digest->bytes, &context);
}
