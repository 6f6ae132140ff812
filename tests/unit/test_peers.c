/* peers.txt: what is accepted, what is refused and how the refusal reads. */
#include "common/peers.h"

#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* Parses text, which must be good, and gives the names joined by spaces. */
static const char *names_of(const char *text, size_t len, char names[4096])
{
    struct view view;
    struct peers_error error;
    assert_int_equal(peers_parse(span_of(text, len), &view, &error), ERR_OK);
    assert_int_equal(view.epoch, 1);
    names[0] = '\0';
    for (uint32_t i = 0; i < view.member_count; i++) {
        assert_int_equal(view.members[i].weight, 1);
        assert_true(member_is_up(&view.members[i]));
        if (i > 0)
            strcat(names, " ");
        strcat(names, view.members[i].name);
    }
    view_close(&view);
    assert_null(view.members);
    return names;
}

static void every_accepted_form_gives_names_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *text, *names;
    } cases[] = {
        {"", ""},
        {"\n\n", ""},
        {"# nothing\n   \t\n#", ""},
        {"a:1", "a:1"},
        {"a:1\n", "a:1"},
        {"a:1\r\nb:2\r\n", "a:1 b:2"},
        {"  b:2\t# second\n\ta:1#first\n", "a:1 b:2"},
        {"B.Example:11211\na.EXAMPLE:11211", "a.example:11211 b.example:11211"},
        {"[0:0::0:1]:5\n127.0.0.1:5\n", "127.0.0.1:5 [::1]:5"},
        {"a:2\na:10\na:1", "a:1 a:10 a:2"},
        {"a:1 # b:2\n#c:3", "a:1"},
    };
    char names[4096];
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_string_equal(names_of(cases[i].text, strlen(cases[i].text), names), cases[i].names);
}

static void every_refusal_names_line_and_reason(void **state)
{
    (void)state;
    static const struct {
        struct span text;
        uint32_t line;
        const char *why;
    } cases[] = {
#define CASE(text, line, why) {SPAN_LITERAL(text), line, why}
        CASE("a:1\n\na:70000\n", 3, "line 3: a:70000: the port is not 1-65535"),
        CASE("a:0", 1, "line 1: a:0: the port is not 1-65535"),
        CASE("host", 1, "line 1: host: no port: host:port is wanted"),
        CASE("a:1\n#x\nb:1\n\nA:1\n", 5, "line 5: a:1 is already on line 1"),
        CASE("a:1\nc:1\nb:1\nc:1\nb:1\nb:1\nc:1", 4, "line 4: c:1 is already on line 2"),
        CASE("b:1\na:1\na:1\na:1\nb:1\n", 3, "line 3: a:1 is already on line 2"),
        CASE("a:1 b:2", 1, "line 1: a:1\\x20b:2: not a host name"),
        CASE("a:1\n::1:5", 2, "line 2: ::1:5: an IPv6 address needs brackets: [::1]:port"),
        CASE("a:1\0\n", 1, "line 1: a:1\\x00: the port is not 1-65535"),
        CASE("\0a:1\n", 1, "line 1: \\x00a:1: not a host name"),
        CASE("\r\r\xef\xbb\xbf"
             "a:1\n",
             1, "line 1: \\xef\\xbb\\xbfa:1: not a host name"),
        CASE("a:1\n0123456789abcdefghijklmnopqrstuvwxyz-0123456789abcdefghijklmnopqrstuvwxyz:x", 2,
             "line 2: 0123456789abcdefghijklmnopqrstuvwxyz-0123456789abcdefghijklm…: "
             "the port is not 1-65535"),
#undef CASE
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct view view;
        struct peers_error error;
        assert_int_equal(peers_parse(cases[i].text, &view, &error), ERR_SYNTAX);
        assert_string_equal(error.text, cases[i].why);
        assert_int_equal(error.line, cases[i].line);
        assert_int_equal(view.member_count, 0);
        assert_null(view.members);
    }
}

static void longest_texts_fit_the_error(void **state)
{
    (void)state;
    struct buf text = {0};
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 255; j++)
            buf_append(&text, "x", 1);
        buf_append(&text, ":65535\n", 7);
    }
    struct view view;
    struct peers_error error;
    assert_int_equal(peers_parse(buf_span(&text), &view, &error), ERR_SYNTAX);
    assert_int_equal(error.line, 2);
    assert_non_null(strstr(error.text, "… is already on line 1"));
    buf_close(&text);
}

static void a_host_name_may_be_at_any_address(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool may_be;
    } cases[] = {
        {"10.0.0.1:11211", true}, {"10.0.0.1:11212", false}, {"10.0.0.2:11211", false},
        {"[::1]:11213", true},    {"[::2]:11213", false},    {"10.0.0.2:7777", true},
        {"[::2]:7777", true},     {"10.0.0.2:777", false},   {"10.0.0.2:17777", false},
    };
    static const char list[] = "10.0.0.1:11211\n[::1]:11213\n7up.example.org:7777\n";
    struct view view;
    struct peers_error error;
    assert_int_equal(peers_parse(span_of_string(list), &view, &error), ERR_OK);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        if (peers_may_be(&view, cases[i].address) != cases[i].may_be)
            fail_msg("%s", cases[i].address);
    view_close(&view);
}

static void a_view_holds_at_most_its_bound(void **state)
{
    (void)state;
    struct buf text = {0};
    for (unsigned i = 0; i < VIEW_MEMBERS_MAX; i++)
        buf_printf(&text, "n%u:1\n", i);
    struct view view;
    struct peers_error error;
    assert_int_equal(peers_parse(buf_span(&text), &view, &error), ERR_OK);
    assert_int_equal(view.member_count, VIEW_MEMBERS_MAX);
    for (uint32_t i = 0; i < view.member_count; i++) {
        if (i > 0)
            assert_true(strcmp(view.members[i - 1].name, view.members[i].name) < 0);
        assert_int_equal(peers_find(&view, view.members[i].name), i);
    }
    assert_int_equal(peers_find(&view, "n4096:1"), UINT32_MAX);
    assert_int_equal(peers_find(&view, ""), UINT32_MAX);
    assert_int_equal(peers_find(&view, "z:1"), UINT32_MAX);
    view_close(&view);
    buf_printf(&text, "# no harm\none-more:1\n");
    assert_int_equal(peers_parse(buf_span(&text), &view, &error), ERR_TOO_LARGE);
    assert_string_equal(error.text, "line 4098: more than 4096 nodes");
    buf_close(&text);
}

static uint64_t hash_of(const char *text)
{
    struct view view;
    struct peers_error error;
    assert_int_equal(peers_parse(span_of_string(text), &view, &error), ERR_OK);
    uint64_t hash = peers_hash(&view);
    view_close(&view);
    return hash;
}

static void hash_is_of_the_members_alone(void **state)
{
    (void)state;
    /* printf 'a:1\nb:2' | sha1sum, and sha1sum of nothing */
    assert_true(hash_of("a:1\nb:2\n") == 0x42eeb4bdec45e14a);
    assert_true(hash_of("") == 0xda39a3ee5e6b4b0d);
    assert_true(hash_of("# x\r\n B:2\n\nA:1") == hash_of("a:1\nb:2\n"));
    assert_true(hash_of("a:1\nb:3") != hash_of("a:1\nb:2"));
}

static void find_in_no_view_at_all(void **state)
{
    (void)state;
    assert_int_equal(peers_find(&(struct view){0}, "a:1"), UINT32_MAX);
}

/* --bootstrap-expect: as they are written, whatever their order by name. */
static void the_first_lines_alone_can_be_taken(void **state)
{
    (void)state;
    struct view view;
    struct peers_error error;
    struct span text = SPAN_LITERAL("z:1\n# a comment\na:1\nm:1\n");
    assert_int_equal(peers_parse_first(text, 2, &view, &error), ERR_OK);
    assert_int_equal(view.member_count, 2);
    assert_string_equal(view.members[0].name, "a:1");
    assert_string_equal(view.members[1].name, "z:1");
    view_close(&view);
    assert_int_equal(peers_parse_first(text, 9, &view, &error), ERR_OK);
    assert_int_equal(view.member_count, 3);
    view_close(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_lines_alone_can_be_taken),
        cmocka_unit_test(every_accepted_form_gives_names_in_order),
        cmocka_unit_test(every_refusal_names_line_and_reason),
        cmocka_unit_test(longest_texts_fit_the_error),
        cmocka_unit_test(a_host_name_may_be_at_any_address),
        cmocka_unit_test(a_view_holds_at_most_its_bound),
        cmocka_unit_test(hash_is_of_the_members_alone),
        cmocka_unit_test(find_in_no_view_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
