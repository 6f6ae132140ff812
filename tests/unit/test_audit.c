/* The audit file: every line is there, also past the log's rate, and what is lost is said. */
#include "server/audit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64], said[4096];

static void keep(void *arg, const char *line, size_t len)
{
    (void)arg;
    size_t at = strlen(said);
    assert_true(at + len < sizeof(said));
    memcpy(said + at, line, len);
    said[at + len] = '\0';
}

static struct moment noon(void)
{
    return (struct moment){.mono_ms = 1000, .unix_ms = 1764158400000};
}

static struct log node_log = {.level = LOG_INFO, .node = "a:1", .sink = keep};

static int setup(void **state)
{
    (void)state;
    said[0] = '\0';
    strcpy(path, "/tmp/test_audit.XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static size_t lines_in(const char *name)
{
    FILE *file = fopen(name, "r");
    assert_non_null(file);
    size_t count = 0;
    for (int c; (c = fgetc(file)) != EOF;)
        count += c == '\n';
    fclose(file);
    return count;
}

static void every_line_is_written_at_once_and_past_the_log_s_rate(void **state)
{
    (void)state;
    struct audit audit;
    assert_int_equal(audit_open(&audit, path, &node_log, noon), ERR_OK);
    for (int i = 0; i < 1000; i++)
        log_line(&audit.log, noon(), LOG_INFO, "served", "number=%d", i);
    assert_int_equal(lines_in(path), 1000);
    audit_close(&audit);
}

static void it_appends_to_what_is_there(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct audit audit;
        assert_int_equal(audit_open(&audit, path, &node_log, noon), ERR_OK);
        log_line(&audit.log, noon(), LOG_INFO, "served", "number=%d", i);
        audit_close(&audit);
    }
    assert_int_equal(lines_in(path), 2);
}

static void a_file_moved_away_is_begun_anew(void **state)
{
    (void)state;
    struct audit audit;
    char old[80];
    snprintf(old, sizeof(old), "%s.1", path);
    assert_int_equal(audit_open(&audit, path, &node_log, noon), ERR_OK);
    log_line(&audit.log, noon(), LOG_INFO, "served", "number=1");
    assert_int_equal(rename(path, old), 0);
    log_line(&audit.log, noon(), LOG_INFO, "served", "number=2");
    audit_reopen(&audit);
    log_line(&audit.log, noon(), LOG_INFO, "served", "number=3");
    assert_int_equal(lines_in(old), 2);
    assert_int_equal(lines_in(path), 1);
    audit_close(&audit);
    unlink(old);
}

static void a_file_that_cannot_be_opened_is_an_error(void **state)
{
    (void)state;
    struct audit audit;
    assert_int_equal(audit_open(&audit, "/nonexistent/x", &node_log, noon), ERR_IO);
    audit_close(&audit);
}

static void what_cannot_be_written_is_said_once(void **state)
{
    (void)state;
    struct audit audit;
    assert_int_equal(audit_open(&audit, "/dev/full", &node_log, noon), ERR_OK);
    log_line(&audit.log, noon(), LOG_INFO, "served", "number=1");
    assert_non_null(strstr(said, "audit-lost file=/dev/full"));
    size_t len = strlen(said);
    log_line(&audit.log, noon(), LOG_INFO, "served", "number=2");
    assert_int_equal(strlen(said), len);
    audit_close(&audit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_line_is_written_at_once_and_past_the_log_s_rate,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(it_appends_to_what_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_moved_away_is_begun_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_opened_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_said_once, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
