/* The rounds go in 20 groups of four. In a group's words the first is the highest quarter of a
 * register, as the instructions want it; so are a of abcd and e. */
#include "common/sha1_pair.h"

#include "common/check.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>

#define SHA_NI __attribute__((target("sha,sse4.1")))

bool sha1_pair_is_there(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1))
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

struct chain {
    __m128i words[4]; /* of the last four groups, by number % 4 */
    __m128i abcd;
    __m128i before; /* abcd, a group ago: e comes from it */
};

/* Big-endian words, the first the lowest, to the order here; and back. */
SHA_NI static ALWAYS_INLINE __m128i reversed(__m128i bytes)
{
    return _mm_shuffle_epi8(bytes, _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f));
}

/* FIPS 180-4, 5.3.1. */
SHA_NI static ALWAYS_INLINE __m128i first_abcd(void)
{
    return _mm_set_epi32(0x67452301, (int)0xefcdab89, (int)0x98badcfe, 0x10325476);
}

SHA_NI static ALWAYS_INLINE __m128i first_e(void)
{
    return _mm_set_epi32((int)0xc3d2e1f0, 0, 0, 0);
}

/* abcd after four rounds of the function of this group. */
SHA_NI static ALWAYS_INLINE __m128i four_rounds(__m128i abcd, __m128i words_and_e, unsigned group)
{
    switch (group / 5) {
    case 0:
        return _mm_sha1rnds4_epu32(abcd, words_and_e, 0);
    case 1:
        return _mm_sha1rnds4_epu32(abcd, words_and_e, 1);
    case 2:
        return _mm_sha1rnds4_epu32(abcd, words_and_e, 2);
    default:
        return _mm_sha1rnds4_epu32(abcd, words_and_e, 3);
    }
}

/* The group's words of the message schedule, from those of the four groups before it. */
SHA_NI static ALWAYS_INLINE __m128i schedule(const __m128i *words, unsigned group)
{
    __m128i sum = _mm_sha1msg1_epu32(words[group % 4], words[(group + 1) % 4]);
    sum = _mm_xor_si128(sum, words[(group + 2) % 4]);
    return _mm_sha1msg2_epu32(sum, words[(group + 3) % 4]);
}

SHA_NI static ALWAYS_INLINE void step(struct chain *chain, unsigned group)
{
    __m128i *words = &chain->words[group % 4];
    if (group >= 4)
        *words = schedule(chain->words, group);
    __m128i words_and_e =
        group == 0 ? _mm_add_epi32(*words, first_e()) : _mm_sha1nexte_epu32(chain->before, *words);
    chain->before = chain->abcd;
    chain->abcd = four_rounds(chain->abcd, words_and_e, group);
}

SHA_NI static ALWAYS_INLINE void step_both(struct chain *one, struct chain *other, unsigned group)
{
    step(one, group);
    step(other, group);
}

SHA_NI static ALWAYS_INLINE void five_steps(struct chain *one, struct chain *other, unsigned first)
{
    step_both(one, other, first);
    step_both(one, other, first + 1);
    step_both(one, other, first + 2);
    step_both(one, other, first + 3);
    step_both(one, other, first + 4);
}

SHA_NI static ALWAYS_INLINE struct chain begin(const __m128i *block)
{
    return (struct chain){
        .words = {reversed(block[0]), reversed(block[1]), reversed(block[2]), reversed(block[3])},
        .abcd = first_abcd()};
}

SHA_NI static ALWAYS_INLINE void end(const struct chain *chain, uint8_t *digest)
{
    __m128i e = _mm_sha1nexte_epu32(chain->before, first_e());
    uint32_t last = __builtin_bswap32((uint32_t)_mm_extract_epi32(e, 3));
    _mm_storeu_si128((__m128i *)digest, reversed(_mm_add_epi32(chain->abcd, first_abcd())));
    __builtin_memcpy(digest + 16, &last, sizeof(last));
}

SHA_NI void sha1_pair(const void *const blocks[2], uint8_t *const digests[2])
{
    struct chain one = begin(blocks[0]), other = begin(blocks[1]);
    five_steps(&one, &other, 0);
    five_steps(&one, &other, 5);
    five_steps(&one, &other, 10);
    five_steps(&one, &other, 15);
    end(&one, digests[0]);
    end(&other, digests[1]);
}

#else

bool sha1_pair_is_there(void)
{
    return false;
}

void sha1_pair(const void *const blocks[2], uint8_t *const digests[2])
{
    (void)blocks;
    (void)digests;
    CHECK(!"there are no such instructions");
}

#endif
