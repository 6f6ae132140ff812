/* Self: which line of peers.txt a process is. */
#include "server/self.h"

#include "common/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct found {
    enum err err;
    char name[ADDRESS_TEXT_BYTES_MAX];
    char host[HOST_BYTES_MAX + 1];
    char error[SELF_ERROR_BYTES_MAX];
};

static struct found find(const char *list, const char *advertise, const char *listen, uint16_t port)
{
    struct view view;
    struct peers_error error;
    assert_int_equal(peers_parse(span_of_string(list), &view, &error), ERR_OK);
    struct found found = {0};
    found.err = self_find(&view, advertise, listen, port, found.name, found.host, found.error,
                          sizeof(found.error));
    view_close(&view);
    return found;
}

static const char three[] = "192.0.2.1:7001\n127.0.0.1:7001\n127.0.0.1:7002\n";

static void the_line_with_the_port_and_an_address_of_this_machine(void **state)
{
    (void)state;
    struct found found = find(three, "", "", 7001);
    assert_int_equal(found.err, ERR_OK);
    assert_string_equal(found.name, "127.0.0.1:7001");
    assert_string_equal(found.host, "127.0.0.1");
}

static void no_such_line_is_an_error_that_says_what_helps(void **state)
{
    (void)state;
    struct found found = find(three, "", "", 7003);
    assert_int_equal(found.err, ERR_USAGE);
    assert_non_null(strstr(found.error, "7003"));
    assert_non_null(strstr(found.error, "--advertise"));
    assert_int_equal(find("192.0.2.1:7001\n", "", "", 7001).err, ERR_USAGE);
}

static void several_such_lines_need_to_be_told_apart(void **state)
{
    (void)state;
    const char *list = "127.0.0.1:7001\n127.0.0.2:7001\n";
    struct found found = find(list, "", "", 7001);
    assert_int_equal(found.err, ERR_USAGE);
    assert_non_null(strstr(found.error, "2 lines"));
    found = find(list, "", "127.0.0.2", 7001);
    assert_int_equal(found.err, ERR_OK);
    assert_string_equal(found.name, "127.0.0.2:7001");
    found = find(list, "127.0.0.1:7001", "0.0.0.0", 7001);
    assert_int_equal(found.err, ERR_OK);
    assert_string_equal(found.name, "127.0.0.1:7001");
    assert_string_equal(found.host, "0.0.0.0");
}

static void what_is_advertised_must_be_a_line(void **state)
{
    (void)state;
    assert_int_equal(find(three, "192.0.2.9:1", "", 7001).err, ERR_USAGE);
    assert_string_equal(find(three, "192.0.2.1:7001", "", 7001).name, "192.0.2.1:7001");
}

static void an_empty_list_is_this_node_alone_under_the_port_got(void **state)
{
    (void)state;
    struct view view;
    struct peers_error peers_error;
    assert_int_equal(peers_parse(SPAN_LITERAL("# nobody\n"), &view, &peers_error), ERR_OK);
    char name[ADDRESS_TEXT_BYTES_MAX], host[HOST_BYTES_MAX + 1], error[SELF_ERROR_BYTES_MAX];
    assert_int_equal(self_find(&view, "", "", 0, name, host, error, sizeof(error)), ERR_OK);
    assert_string_equal(host, "127.0.0.1");
    assert_int_equal(self_complete(&view, host, 40123, name, error, sizeof(error)), ERR_OK);
    assert_string_equal(name, "127.0.0.1:40123");
    assert_int_equal(view.member_count, 1);
    assert_string_equal(view.members[0].name, name);
    view_close(&view);
}

static void a_port_that_is_in_no_line_has_no_keys(void **state)
{
    (void)state;
    struct view view;
    struct peers_error peers_error;
    assert_int_equal(peers_parse(span_of_string(three), &view, &peers_error), ERR_OK);
    char name[ADDRESS_TEXT_BYTES_MAX], host[HOST_BYTES_MAX + 1], error[SELF_ERROR_BYTES_MAX];
    assert_int_equal(self_find(&view, "", "", 0, name, host, error, sizeof(error)), ERR_OK);
    assert_int_equal(self_complete(&view, host, 40123, name, error, sizeof(error)), ERR_USAGE);
    assert_non_null(strstr(error, "127.0.0.1:40123"));
    assert_int_equal(self_find(&view, "", "", 0, name, host, error, sizeof(error)), ERR_OK);
    assert_int_equal(self_complete(&view, host, 7002, name, error, sizeof(error)), ERR_OK);
    view_close(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_with_the_port_and_an_address_of_this_machine),
        cmocka_unit_test(no_such_line_is_an_error_that_says_what_helps),
        cmocka_unit_test(several_such_lines_need_to_be_told_apart),
        cmocka_unit_test(what_is_advertised_must_be_a_line),
        cmocka_unit_test(an_empty_list_is_this_node_alone_under_the_port_got),
        cmocka_unit_test(a_port_that_is_in_no_line_has_no_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
