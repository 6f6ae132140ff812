/* SHA-1 known answers, and what is cut from them. */
#include "common/digest.h"

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <openssl/evp.h>

static void assert_digest(struct span bytes, const char *want)
{
    struct digest digest;
    digest_of(bytes, &digest);
    char text[2 * DIGEST_BYTES + 1];
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", digest.bytes[i]);
    assert_string_equal(text, want);
}

/* FIPS 180 and RFC 3174. */
static void gives_the_published_digests(void **state)
{
    (void)state;
    assert_digest(span_of(NULL, 0), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    assert_digest(SPAN_LITERAL("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_digest(SPAN_LITERAL("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
                  "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    struct buf text = {0};
    for (int i = 0; i < 80; i++)
        buf_append(&text, "01234567", 8);
    assert_digest(buf_span(&text), "dea356a2cddd90c7a7ecedc5ebb563934f460452");
    buf_close(&text);
}

/* Short and long keys are hashed by different code. */
static void agrees_with_openssl_at_every_length(void **state)
{
    (void)state;
    char bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 31 + 7);
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        struct digest digest;
        unsigned char want[EVP_MAX_MD_SIZE];
        digest_of(span_of(bytes, len), &digest);
        assert_int_equal(EVP_Digest(bytes, len, want, NULL, EVP_sha1(), NULL), 1);
        assert_memory_equal(digest.bytes, want, DIGEST_BYTES);
    }
}

/* Every length with every other, so short ones beside long ones, too. */
static void a_pair_has_the_digests_each_has_alone(void **state)
{
    (void)state;
    if (!digest_has_pairs())
        skip();
    enum { LEN_MAX = 66 };
    char bytes[2 * LEN_MAX];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 37 + 11);
    for (size_t one = 0; one <= LEN_MAX; one++) {
        for (size_t other = 0; other <= LEN_MAX; other++) {
            struct span keys[2] = {span_of(bytes, one), span_of(bytes + one, other)};
            struct digest want[2], got[2];
            for (size_t i = 0; i < 2; i++) {
                EVP_Digest(keys[i].data, keys[i].len, want[i].bytes, NULL, EVP_sha1(), NULL);
                memset(&got[i], 0, sizeof(got[i]));
            }
            digest_of_pair(keys[0], keys[1], &got[0], &got[1]);
            assert_memory_equal(got, want, sizeof(want));
        }
    }
}

static void position_is_the_first_64_bits_and_slot_the_first_14(void **state)
{
    (void)state;
    struct digest digest;
    digest_of(SPAN_LITERAL("abc"), &digest);
    uint64_t position = digest_position(&digest);
    assert_true(position == 0xa9993e364706816a);
    assert_int_equal(position_slot(position), 0xa9993e364706816a / 0x4000000000000);
    assert_int_equal(position_slot(0), 0);
    assert_int_equal(position_slot(0x0003ffffffffffff), 0);
    assert_int_equal(position_slot(0x0004000000000000), 1);
    assert_int_equal(position_slot(UINT64_MAX), SLOT_COUNT - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_published_digests),
        cmocka_unit_test(agrees_with_openssl_at_every_length),
        cmocka_unit_test(a_pair_has_the_digests_each_has_alone),
        cmocka_unit_test(position_is_the_first_64_bits_and_slot_the_first_14),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
