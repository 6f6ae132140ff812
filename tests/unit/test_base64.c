/* Base64: RFC 4648's vectors, every refusal, and a round trip for every length of key. */
#include "common/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void gives_the_vectors_of_rfc_4648(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {{"f", "Zg=="},           {"fo", "Zm8="},
                                             {"foo", "Zm9v"},         {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},   {"foobar", "Zm9vYmFy"},
                                             {"\xfb\xff\xbf", "+/+/"}};
    for (size_t i = 0; i < ARRAY_COUNT(vectors); i++) {
        struct span bytes = span_of_string(vectors[i][0]);
        struct span text = span_of_string(vectors[i][1]);
        char out[16];
        assert_int_equal(base64_encode(bytes, out), text.len);
        assert_memory_equal(out, text.data, text.len);
        size_t len;
        assert_int_equal(base64_decode(text, out, sizeof(out), &len), ERR_OK);
        assert_int_equal(len, bytes.len);
        assert_memory_equal(out, bytes.data, len);
    }
}

static void refuses_what_encode_would_not_write(void **state)
{
    (void)state;
    static const char *const bad[] = {"",          "Z",       "Zg",   "Zg=",      "Zg==Zg==",
                                      "=",         "====",    "Z===", "Zg=v",     "Zm9v Zm9",
                                      "Zm9v\nZm9", "Zh==",    "Zm9=", "Zm9v!A==", "Zm9-Zm9v",
                                      "Zm9_Zm9v",  "Zm9\xc3", "=m9v", "Z=9v",     "Zm=v"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        char out[16];
        size_t len;
        if (base64_decode(span_of_string(bad[i]), out, sizeof(out), &len) != ERR_SYNTAX)
            fail_msg("\"%s\" is taken", bad[i]);
    }
}

static void stops_at_the_end_of_the_room(void **state)
{
    (void)state;
    char *room = malloc(4); /* exactly: the address sanitizer watches its end */
    size_t len;
    assert_int_equal(base64_decode(SPAN_LITERAL("Zm9vYg=="), room, 4, &len), ERR_OK);
    assert_int_equal(len, 4);
    assert_int_equal(base64_decode(SPAN_LITERAL("Zm9vYmE="), room, 4, &len), ERR_TOO_LARGE);
    assert_int_equal(base64_decode(SPAN_LITERAL("Zm9vYmFy"), room, 4, &len), ERR_TOO_LARGE);
    free(room);
}

static void brings_back_what_it_wrote(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 256; len++) {
        uint8_t bytes[256];
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)(i * 151 + len);
        char *text = malloc(BASE64_BYTES(len));
        size_t text_len = base64_encode(span_of((const char *)bytes, len), text);
        assert_int_equal(text_len, BASE64_BYTES(len));
        size_t back;
        assert_int_equal(base64_decode(span_of(text, text_len), text, len, &back), ERR_OK);
        assert_int_equal(back, len);
        assert_memory_equal(text, bytes, len);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_vectors_of_rfc_4648),
        cmocka_unit_test(refuses_what_encode_would_not_write),
        cmocka_unit_test(stops_at_the_end_of_the_room),
        cmocka_unit_test(brings_back_what_it_wrote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
