/* Addresses: the one normal form, and every refusal. */
#include "common/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void every_accepted_form_has_its_normal_form(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *normal;
        uint16_t port;
    } cases[] = {
        {"localhost:11211", "localhost", "localhost:11211", 11211},
        {"A.Example-1_x:1", "a.example-1_x", "a.example-1_x:1", 1},
        {"127.0.0.1:65535", "127.0.0.1", "127.0.0.1:65535", 65535},
        {"[::1]:80", "::1", "[::1]:80", 80},
        {"[0:0:0:0:0:0:0:1]:80", "::1", "[::1]:80", 80},
        {"[2001:DB8::0:A]:80", "2001:db8::a", "[2001:db8::a]:80", 80},
        {"[::ffff:1.2.3.4]:80", "::ffff:1.2.3.4", "[::ffff:1.2.3.4]:80", 80},
        {"1a:80", "1a", "1a:80", 80},
        {"1.2.3.4.example:80", "1.2.3.4.example", "1.2.3.4.example:80", 80},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct address address, again;
        const char *why = "none";
        assert_int_equal(address_parse(span_of_string(cases[i].text), &address, &why), ERR_OK);
        assert_string_equal(why, "none");
        assert_string_equal(address.host, cases[i].host);
        assert_int_equal(address.port, cases[i].port);
        char text[ADDRESS_TEXT_BYTES_MAX];
        address_format(&address, text);
        assert_string_equal(text, cases[i].normal);
        assert_int_equal(address_parse(span_of_string(text), &again, &why), ERR_OK);
        assert_string_equal(again.host, address.host);
    }
}

static void every_refusal_says_why(void **state)
{
    (void)state;
    static const char port[] = "the port is not 1-65535";
    static const char name[] = "not a host name";
    static const struct {
        struct span text;
        const char *why;
    } cases[] = {
#define CASE(text, why) {SPAN_LITERAL(text), why}
        CASE("", "no port: host:port is wanted"),
        CASE("host", "no port: host:port is wanted"),
        CASE(":80", "no host: host:port is wanted"),
        CASE("[]:80", "no host: host:port is wanted"),
        CASE("a:", port),
        CASE("a:0", port),
        CASE("a:65536", port),
        CASE("a:99999999999999999999999", port),
        CASE("a:18446744073709551696", port),
        CASE("a:-1", port),
        CASE("a:+1", port),
        CASE("a:080", port),
        CASE("a: 80", port),
        CASE("a:80 ", port),
        CASE("a:8\0", port),
        CASE("a:0x50", port),
        CASE("::1:80", "an IPv6 address needs brackets: [::1]:port"),
        CASE("2001:db8::a:80", "an IPv6 address needs brackets: [::1]:port"),
        CASE("[::g]:80", "not an IPv6 address in the brackets"),
        CASE("[1.2.3.4]:80", "not an IPv6 address in the brackets"),
        CASE("[fe80::1%lo]:80", "not an IPv6 address in the brackets"),
        CASE("[::1:80", name),
        CASE("::1]:80", name),
        CASE("[:80", name),
        CASE("256.1.1.1:80", "not an IPv4 address"),
        CASE("127.1:80", "not an IPv4 address"),
        CASE("1:80", "not an IPv4 address"),
        CASE("1.2.3.4.5:80", "not an IPv4 address"),
        CASE("01.2.3.4:80", "not an IPv4 address"),
        CASE("a b:80", name),
        CASE("a..b:80", name),
        CASE(".a:80", name),
        CASE("a.:80", name),
        CASE("a/b:80", name),
        CASE("a:b:80", name),
        CASE("a\0b:80", name),
        CASE("\xc3\xa4:80", name),
#undef CASE
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct address address;
        const char *why = "none";
        if (address_parse(cases[i].text, &address, &why) != ERR_SYNTAX)
            fail_msg("accepted: %s", cases[i].text.data);
        assert_string_equal(why, cases[i].why);
    }
}

static void a_host_has_at_most_255_bytes(void **state)
{
    (void)state;
    char text[HOST_BYTES_MAX + 8];
    memset(text, 'x', sizeof(text));
    memcpy(text + HOST_BYTES_MAX, ":65535", 6);
    struct address address;
    const char *why;
    assert_int_equal(address_parse(span_of(text, HOST_BYTES_MAX + 6), &address, &why), ERR_OK);
    char again[ADDRESS_TEXT_BYTES_MAX];
    address_format(&address, again);
    assert_int_equal(strlen(again), HOST_BYTES_MAX + 6);
    memcpy(text + HOST_BYTES_MAX + 1, ":65535", 6);
    text[HOST_BYTES_MAX] = 'x';
    assert_int_equal(address_parse(span_of(text, HOST_BYTES_MAX + 7), &address, &why), ERR_SYNTAX);
    assert_string_equal(why, "the host is longer than 255 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_accepted_form_has_its_normal_form),
        cmocka_unit_test(every_refusal_says_why),
        cmocka_unit_test(a_host_has_at_most_255_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
