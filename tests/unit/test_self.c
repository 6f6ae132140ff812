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

static void without_such_a_line_the_name_waits_for_the_port(void **state)
{
    (void)state;
    struct found found = find(three, "", "", 7003);
    assert_int_equal(found.err, ERR_OK);
    assert_string_equal(found.name, "");
    assert_string_equal(found.host, "127.0.0.1");
    assert_string_equal(find("192.0.2.1:7001\n", "", "", 7001).name, "");
    assert_string_equal(find("192.0.2.1:7001\n", "", "127.0.0.3", 7001).host, "127.0.0.3");
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

static void what_is_advertised_need_not_be_a_line(void **state)
{
    (void)state;
    struct found found = find(three, "192.0.2.9:1", "", 7001);
    assert_int_equal(found.err, ERR_OK);
    assert_string_equal(found.name, "192.0.2.9:1");
    assert_string_equal(found.host, "127.0.0.1");
    assert_string_equal(find(three, "192.0.2.1:7001", "", 7001).name, "192.0.2.1:7001");
}

static void it_listens_on_its_own_line_s_host_only_if_that_is_this_machine_s(void **state)
{
    (void)state;
    assert_string_equal(find("127.0.0.9:7001\n", "127.0.0.9:7001", "", 7001).host, "127.0.0.9");
    assert_string_equal(find(three, "192.0.2.1:7001", "", 7001).host, "127.0.0.1");
}

static struct found complete(const char *list, const char *host, uint16_t port, const char *name)
{
    struct view seeds;
    struct peers_error error;
    assert_int_equal(peers_parse(span_of_string(list), &seeds, &error), ERR_OK);
    struct found found = {0};
    snprintf(found.name, sizeof(found.name), "%s", name);
    found.err = self_complete(&seeds, host, port, found.name, found.error, sizeof(found.error));
    view_close(&seeds);
    return found;
}

static void a_name_is_made_of_where_it_listens_and_the_port_got(void **state)
{
    (void)state;
    assert_string_equal(complete("# nobody\n", "127.0.0.1", 40123, "").name, "127.0.0.1:40123");
    assert_string_equal(complete(three, "127.0.0.1", 40123, "").name, "127.0.0.1:40123");
    assert_string_equal(complete(three, "::1", 40123, "").name, "[::1]:40123");
    assert_string_equal(complete(three, "127.0.0.1", 40123, "a:1").name, "a:1");
}

static void a_joiner_that_listens_everywhere_must_say_its_name(void **state)
{
    (void)state;
    static const char *const hosts[] = {"0.0.0.0", "::"};
    for (size_t i = 0; i < ARRAY_COUNT(hosts); i++) {
        struct found found = complete(three, hosts[i], 7003, "");
        assert_int_equal(found.err, ERR_USAGE);
        assert_non_null(strstr(found.error, "--advertise"));
        assert_int_equal(complete(three, hosts[i], 7003, "a:1").err, ERR_OK);
        assert_int_equal(complete("", hosts[i], 7003, "").err, ERR_OK); /* alone it may */
    }
}

static const char *doubt(const char *list, const char *name, const char *host)
{
    struct view seeds;
    struct peers_error error;
    assert_int_equal(peers_parse(span_of_string(list), &seeds, &error), ERR_OK);
    const char *text = self_doubt(&seeds, name, host);
    view_close(&seeds);
    return text;
}

static void a_name_that_others_cannot_reach_is_doubted(void **state)
{
    (void)state;
    assert_null(doubt("", "127.0.0.1:1", "127.0.0.1"));
    assert_null(doubt("127.0.0.1:1\n127.0.0.1:2\n", "127.0.0.1:1", "127.0.0.1"));
    assert_null(doubt("10.0.0.1:1\n10.0.0.2:1\n", "10.0.0.1:1", "10.0.0.1"));
    assert_null(doubt("10.0.0.1:1\n", "a.example:1", "0.0.0.0"));
    assert_non_null(doubt("", "0.0.0.0:1", "0.0.0.0"));
    assert_non_null(doubt("", "[::]:1", "::"));
    assert_non_null(doubt("10.0.0.1:1\n", "127.0.0.1:1", "127.0.0.1"));
    assert_non_null(doubt("10.0.0.1:1\n", "localhost:1", "localhost"));
    assert_non_null(doubt("10.0.0.1:1\n", "10.0.0.1:1", "127.0.0.1"));
}

static void only_loopback_is_closed_to_other_machines(void **state)
{
    (void)state;
    assert_false(self_is_open("127.0.0.1"));
    assert_false(self_is_open("127.1.2.3"));
    assert_false(self_is_open("::1"));
    assert_false(self_is_open("localhost"));
    assert_true(self_is_open("0.0.0.0"));
    assert_true(self_is_open("::"));
    assert_true(self_is_open("10.0.0.1"));
    assert_true(self_is_open("a.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_with_the_port_and_an_address_of_this_machine),
        cmocka_unit_test(without_such_a_line_the_name_waits_for_the_port),
        cmocka_unit_test(several_such_lines_need_to_be_told_apart),
        cmocka_unit_test(what_is_advertised_need_not_be_a_line),
        cmocka_unit_test(it_listens_on_its_own_line_s_host_only_if_that_is_this_machine_s),
        cmocka_unit_test(a_name_is_made_of_where_it_listens_and_the_port_got),
        cmocka_unit_test(a_joiner_that_listens_everywhere_must_say_its_name),
        cmocka_unit_test(a_name_that_others_cannot_reach_is_doubted),
        cmocka_unit_test(only_loopback_is_closed_to_other_machines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
