/* server/options: each source, their order, every refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORDS_MAX 24

static struct options options;
static char error[OPTIONS_ERROR_BYTES_MAX];
static char path[] = "/tmp/test_options.XXXXXX";

/* Parses a command line given as one text, words separated by single spaces. */
static enum err parse(const char *line)
{
    static char text[4096]; /* options borrow from it */
    char *argv[WORDS_MAX + 1] = {0}, *rest;
    int argc = 0;

    snprintf(text, sizeof(text), "dht-server %s", line);
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        assert_true(argc < WORDS_MAX);
        argv[argc++] = word;
    }
    error[0] = '\0';
    return options_parse(&options, argc, argv, error, sizeof(error));
}

static void assert_refused(const char *line, const char *text)
{
    assert_int_equal(parse(line), ERR_USAGE);
    assert_string_equal(error, text);
}

static void write_config(const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void assert_config_refused(const char *config, const char *text)
{
    char line[64], whole[OPTIONS_ERROR_BYTES_MAX];

    write_config(config);
    snprintf(line, sizeof(line), "p 1 --config %s", path);
    snprintf(whole, sizeof(whole), "%s%s", path, text);
    assert_refused(line, whole);
}

static void two_words_are_the_whole_minimum(void **state)
{
    (void)state;
    assert_int_equal(parse("peers.txt 11211"), ERR_OK);
    assert_int_equal(options.mode, OPTIONS_RUN);
    assert_string_equal(options.peers_path, "peers.txt");
    assert_int_equal(options.port, 11211);
    assert_string_equal(options.listen_host, "");
    assert_string_equal(options.advertise, "");
    assert_int_equal(options.memory_bytes, 1 << 30);
    assert_int_equal(options.value_bytes_max, 1 << 20);
    assert_false(options.evict);
    assert_int_equal(options.connections_max, 10000);
    assert_int_equal(options.idle_timeout_s, 0);
    assert_int_equal(options.op_timeout_ms, 1000);
    assert_int_equal(options.verbosity, 0);
    assert_string_equal(options.cluster, "dht");
    assert_int_equal(options.weight, 1);
    assert_string_equal(options.state_directory, "");
    assert_int_equal(options.bootstrap_expect, 0);
    assert_false(options.form);
    assert_string_equal(options.on_quorum_loss, "recover");
    assert_int_equal(options.fence_ms, 2000);
    assert_int_equal(options.recover_after_ms, 5000);
    assert_int_equal(options.replace_after_ms, 2000);
    assert_int_equal(options.leave_timeout_ms, 30000);
    assert_string_equal(options.gossip, "random");
    assert_string_equal(options.profile, "lan");
    assert_true(options.direct_answers);
    assert_false(options.can_shutdown);
    assert_string_equal(options.audit_path, "");
    assert_int_equal(options.stats_interval_s, 0);
}

static void assert_timers_are(const char *profile, const char *line)
{
    struct gossip_options wanted;

    assert_true(gossip_profile(span_of_string(profile), &wanted));
    assert_int_equal(parse(line), ERR_OK);
    assert_memory_equal(&options.timers, &wanted, sizeof(wanted));
}

static void a_profile_sets_all_timers_together(void **state)
{
    (void)state;
    assert_timers_are("lan", "p 1");
    assert_timers_are("fast", "p 1 --profile fast");
    assert_timers_are("wan", "p 1 --profile=WAN");
    assert_refused("p 1 --profile slow", "--profile: 'slow' is none of fast|lan|wan");
    assert_refused("p 1 --profile fas", "--profile: 'fas' is none of fast|lan|wan");
    assert_refused("p 1 --gossip telepathy", "--gossip: 'telepathy' is none of random");
}

static void a_timer_that_is_given_goes_over_the_profile_from_whatever_source(void **state)
{
    char line[64];

    (void)state;
    write_config("t-gossip = 70ms\nprofile = wan\nt-silent-min = 2s\n");
    snprintf(line, sizeof(line), "p 1 --fanout 9 --profile fast --config %s", path);
    setenv("DHT_T_SILENT_MIN", "3s", 1);
    setenv("DHT_LINKS_MAX", "16", 1);
    assert_int_equal(parse(line), ERR_OK);
    unsetenv("DHT_T_SILENT_MIN");
    unsetenv("DHT_LINKS_MAX");
    assert_int_equal(options.timers.gossip_ms, 70);
    assert_int_equal(options.timers.silent_min_ms, 3000);
    assert_int_equal(options.timers.links_max, 16);
    assert_int_equal(options.timers.fanout, 9);
    assert_int_equal(options.timers.remove_ms, 2000); /* fast */
}

static void every_timer_is_an_option_with_its_bounds(void **state)
{
    static const struct {
        const char *field;
        size_t offset;
        uint32_t lowest, highest;
    } timers[] = {
#define TIMER(field, fast, lan, wan, lowest, highest, help)                                        \
    {#field, offsetof(struct options, timers.field), lowest, highest},
        GOSSIP_OPTIONS_LIST(TIMER)
#undef TIMER
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(timers); i++) {
        const size_t len = strlen(timers[i].field);
        const bool is_time = strcmp(timers[i].field + len - 3, "_ms") == 0;
        char name[64], line[128], want[128];

        snprintf(name, sizeof(name), "--%s%.*s", is_time ? "t-" : "",
                 (int)(is_time ? len - 3 : len), timers[i].field);
        for (char *c = name; *c != '\0'; c++)
            *c = *c == '_' ? '-' : *c;
        snprintf(line, sizeof(line), "p 1 %s %u", name, timers[i].highest + 1);
        snprintf(want, sizeof(want), "%s: '%u' is not a %s", name, timers[i].highest + 1,
                 is_time ? "time" : "number");
        assert_int_equal(parse(line), ERR_USAGE);
        assert_memory_equal(error, want, strlen(want));
        snprintf(line, sizeof(line), "p 1 %s %u", name, timers[i].lowest - 1);
        assert_int_equal(parse(line), ERR_USAGE);
        /* Every bound is good by itself; beside the others' defaults it may not be. */
        for (int k = 0; k < 2; k++) {
            uint32_t value, bound = k == 0 ? timers[i].lowest : timers[i].highest;
            snprintf(line, sizeof(line), "p 1 %s %u", name, bound);
            if (parse(line) == ERR_OK) {
                memcpy(&value, (const char *)&options + timers[i].offset, sizeof(value));
                assert_int_equal(value, bound);
            } else {
                assert_null(strstr(error, "is not a"));
            }
        }
    }
}

static void timers_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    assert_refused("p 1 --t-silent-min 40s",
                   "--t-silent-min: 40000 ms are more than --t-silent-max allows, 38400 ms");
    assert_refused("p 1 --t-stalled-max 5s",
                   "--t-stalled-min: 10000 ms are more than --t-stalled-max allows, 5000 ms");
    assert_refused("p 1 --t-probe 50",
                   "--t-probe-min: 100 ms are more than --t-probe allows, 50 ms");
    assert_refused("p 1 --t-accept 20m",
                   "--t-cleanup: 3600000 ms are less than 4 times --t-accept, "
                   "1200000 ms: the dead could rise again");
    assert_int_equal(parse("p 1 --t-accept 20m --t-cleanup 80m"), ERR_OK);
}

static void names_and_paths_are_taken_as_they_are(void **state)
{
    (void)state;
    assert_int_equal(
        parse("p 1 --cluster My_cluster-2.x --state-dir /a/B --audit ./c --weight 100"), ERR_OK);
    assert_string_equal(options.cluster, "My_cluster-2.x");
    assert_string_equal(options.state_directory, "/a/B");
    assert_string_equal(options.audit_path, "./c");
    assert_int_equal(options.weight, 100);
    assert_refused("p 1 --weight 101", "--weight: '101' is not a number (1 … 100)");
    assert_refused("p 1 --weight 0", "--weight: '0' is not a number (1 … 100)");
    assert_refused("p 1 --cluster a/b",
                   "--cluster: 'a/b' is not a name (1 … 63 letters, digits and . _ -)");
    assert_refused("p 1 --cluster=",
                   "--cluster: '' is not a name (1 … 63 letters, digits and . _ -)");
}

static void a_path_has_a_bound(void **state)
{
    static char line[OPTION_PATH_BYTES_MAX + 64];

    (void)state;
    snprintf(line, sizeof(line), "p 1 --audit=/");
    memset(line + strlen(line), 'a', OPTION_PATH_BYTES_MAX - 1);
    assert_int_equal(parse(line), ERR_OK);
    assert_int_equal(strlen(options.audit_path), OPTION_PATH_BYTES_MAX);
    line[strlen(line)] = 'a';
    assert_refused(line, "--audit: the path is longer than 1023 bytes");
}

static void direct_answers_take_a_word(void **state)
{
    (void)state;
    assert_int_equal(parse("p 1 --direct-answers off -A"), ERR_OK);
    assert_false(options.direct_answers);
    assert_true(options.can_shutdown);
    assert_int_equal(parse("p 1 --direct-answers=on"), ERR_OK);
    assert_true(options.direct_answers);
    assert_refused("p 1 --direct-answers", "--direct-answers: a value is missing");
}

static void the_two_words_come_in_either_order(void **state)
{
    static const char *const lines[] = {"peers.txt 11211", "11211 peers.txt",
                                        "-v 11211 -m 5 peers.txt", "-- 11211 peers.txt"};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        assert_int_equal(parse(lines[i]), ERR_OK);
        assert_string_equal(options.peers_path, "peers.txt");
        assert_int_equal(options.port, 11211);
    }
    assert_int_equal(parse("1 2"), ERR_OK); /* a file may be called 1 */
    assert_string_equal(options.peers_path, "1");
    assert_int_equal(options.port, 2);
    assert_int_equal(parse("p 0"), ERR_OK);
    assert_int_equal(options.port, 0);
    assert_int_equal(parse("p 65535"), ERR_OK);
}

static void options_may_stand_behind_words_even_in_posix_mode(void **state)
{
    (void)state;
    setenv("POSIXLY_CORRECT", "1", 1);
    assert_int_equal(parse("p 1 -m 5"), ERR_OK);
    unsetenv("POSIXLY_CORRECT");
    assert_int_equal(options.memory_bytes, 5 << 20);
}

static void wrong_words_are_refused(void **state)
{
    (void)state;
    assert_refused("", "peers.txt and PORT are needed: dht-server peers.txt PORT [options]");
    assert_refused("peers.txt",
                   "peers.txt and PORT are needed: dht-server peers.txt PORT [options]");
    assert_refused("a 1 b", "'b' is one word too many; see dht-server --help");
    assert_refused("-- a 1 -v", "'-v' is one word too many; see dht-server --help");
    assert_refused("a b", "port 'b' is not a number (0 … 65535)");
    assert_refused("a 65536", "port '65536' is not a number (0 … 65535)");
    assert_refused("a -1", "there is no option -1; see dht-server --help");
}

static void every_number_is_read_in_its_units(void **state)
{
    static const struct {
        const char *line;
        uint64_t number;
        size_t offset;
        bool wide;
    } cases[] = {
#define MEMORY offsetof(struct options, memory_bytes), true
        {"-m 1", 1 << 20, MEMORY},
        {"-m64", 64 << 20, MEMORY},
        {"--memory=1024k", 1 << 20, MEMORY},
        {"--memory 3M", 3 << 20, MEMORY},
        {"--mem 2g", UINT64_C(2) << 30, MEMORY},
        {"-m 16384g", UINT64_C(16) << 40, MEMORY},
        {"-m 5 -m 6", 6 << 20, MEMORY},
#undef MEMORY
#define ITEM offsetof(struct options, value_bytes_max), false
        {"-I 1024", 1024, ITEM},
        {"-I 1k", 1024, ITEM},
        {"-I 128m", 128 << 20, ITEM},
        {"--max-item-size 2000", 2000, ITEM},
#undef ITEM
        {"-c 1", 1, offsetof(struct options, connections_max), false},
        {"--connections 1000000", 1000000, offsetof(struct options, connections_max), false},
        {"--idle-timeout 0", 0, offsetof(struct options, idle_timeout_s), false},
        {"--idle-timeout 90", 90, offsetof(struct options, idle_timeout_s), false},
        {"--idle-timeout 2h", 7200, offsetof(struct options, idle_timeout_s), false},
        {"--idle-timeout 1d", 86400, offsetof(struct options, idle_timeout_s), false},
        {"--op-timeout 250", 250, offsetof(struct options, op_timeout_ms), false},
        {"--op-timeout 500ms", 500, offsetof(struct options, op_timeout_ms), false},
        {"--op-timeout 1S", 1000, offsetof(struct options, op_timeout_ms), false},
        {"--op-timeout 2m", 120000, offsetof(struct options, op_timeout_ms), false},
        {"-v", 1, offsetof(struct options, verbosity), false},
        {"-v -v", 1, offsetof(struct options, verbosity), false},
        {"-vvvv", 1, offsetof(struct options, verbosity), false},
        {"--verbose=1", 1, offsetof(struct options, verbosity), false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const char *field = (const char *)&options + cases[i].offset;
        char line[128];
        uint64_t wide;
        uint32_t narrow;

        snprintf(line, sizeof(line), "p 1 %s", cases[i].line);
        assert_int_equal(parse(line), ERR_OK);
        memcpy(&narrow, field, sizeof(narrow));
        memcpy(&wide, &options.memory_bytes, sizeof(wide));
        assert_int_equal(cases[i].wide ? wide : narrow, cases[i].number);
    }
}

static void bad_numbers_are_refused_with_what_is_right(void **state)
{
    static const char *const bad[] = {"12x",
                                      "-5",
                                      "+5",
                                      "1.5g",
                                      "0x10",
                                      "",
                                      "g",
                                      "0",
                                      "007",
                                      "16385g",
                                      "99999999999999999999",
                                      "18446744073709551615",
                                      "17592186044417" /* 2^64 bytes and 1m */,
                                      "1mm"};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        char line[128], text[OPTIONS_ERROR_BYTES_MAX];

        snprintf(line, sizeof(line), "p 1 --memory=%s", bad[i]);
        snprintf(text, sizeof(text), "--memory: '%s' is not a size (1m … 16384g)", bad[i]);
        assert_refused(line, text);
    }
    assert_refused("p 1 -I 1023", "--max-item-size: '1023' is not a size (1k … 128m)");
    assert_refused("p 1 -I 129m", "--max-item-size: '129m' is not a size (1k … 128m)");
    assert_refused("p 1 -c 0", "--connections: '0' is not a number (1 … 1000000)");
    assert_refused("p 1 -c 1k", "--connections: '1k' is not a number (1 … 1000000)");
    assert_refused("p 1 --idle-timeout 366d", "--idle-timeout: '366d' is not a time (0 … 365d)");
    assert_refused("p 1 --op-timeout 0", "--op-timeout: '0' is not a time (1ms … 60m)");
    assert_refused("p 1 --verbose=2", "--verbose: '2' is not a level (0 … 1)");
    assert_refused("p 1 -m 1 -I 2m",
                   "--max-item-size: 2097152 bytes are more than --memory allows");
}

static void hosts_and_names_take_their_normal_form(void **state)
{
    (void)state;
    assert_int_equal(parse("p 1 -l 0.0.0.0 --advertise Node-1.Example:11211"), ERR_OK);
    assert_string_equal(options.listen_host, "0.0.0.0");
    assert_string_equal(options.advertise, "node-1.example:11211");
    assert_int_equal(parse("p 1 -l ::1 --advertise [0:0::1]:5"), ERR_OK);
    assert_string_equal(options.listen_host, "::1");
    assert_string_equal(options.advertise, "[::1]:5");
    assert_int_equal(parse("p 1 -l [::1]"), ERR_OK);
    assert_string_equal(options.listen_host, "::1");
}

static void bad_hosts_and_names_are_refused(void **state)
{
    static const char *const lines[] = {
        "p 1 -l 127.0.0.1:11211", "p 1 --listen=",          "p 1 -l a\tb",
        "p 1 --advertise node",   "p 1 --advertise node:0", "p 1 --advertise node:65536",
        "p 1 --advertise ::1:5"};
    char line[700] = "p 1 -l ";

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        assert_int_equal(parse(lines[i]), ERR_USAGE);
        assert_true(strncmp(error, i < 3 ? "--listen: '" : "--advertise: '", 11) == 0);
    }
    memset(line + strlen(line), 'a', 600);
    assert_int_equal(parse(line), ERR_USAGE);
    assert_non_null(strstr(error, "is not a host: too long"));
}

static void a_switch_can_be_turned_off_again(void **state)
{
    (void)state;
    assert_int_equal(parse("p 1 --evict"), ERR_OK);
    assert_true(options.evict);
    setenv("DHT_EVICT", "yes", 1);
    assert_int_equal(parse("p 1"), ERR_OK);
    assert_true(options.evict);
    assert_int_equal(parse("p 1 --evict=no"), ERR_OK);
    assert_false(options.evict);
    unsetenv("DHT_EVICT");
    assert_refused("p 1 --evict=maybe", "--evict: 'maybe' is not yes or no");
}

static void unknown_options_and_missing_values_are_named(void **state)
{
    (void)state;
    assert_refused("p 1 -Z", "there is no option -Z; see dht-server --help");
    assert_refused("p 1 --memroy=3", "there is no option --memroy=3; see dht-server --help");
    assert_refused("p 1 -m", "-m: a value is missing");
    assert_refused("p 1 --memory", "--memory: a value is missing");
    assert_refused("p 1 --help=3", "'--help=3': the option takes no value");
}

static void flag_goes_over_environment_over_file_over_default(void **state)
{
    char line[64];

    (void)state;
    write_config("# all of it\nmemory = 2g\n[dht-server]\nconnections = 7 ; few\nidle-timeout=1m");
    snprintf(line, sizeof(line), "p 1 -c 9 --config %s", path);
    setenv("DHT_CONNECTIONS", "8", 1);
    setenv("DHT_IDLE_TIMEOUT", "2m", 1);
    setenv("DHT_PORT", "tcp://10.0.0.1:11211", 1); /* as container links set: not ours */
    assert_int_equal(parse(line), ERR_OK);
    unsetenv("DHT_CONNECTIONS");
    unsetenv("DHT_IDLE_TIMEOUT");
    unsetenv("DHT_PORT");
    assert_int_equal(options.connections_max, 9);
    assert_int_equal(options.idle_timeout_s, 120);
    assert_int_equal(options.memory_bytes, UINT64_C(2) << 30);
    assert_int_equal(options.op_timeout_ms, 1000);
}

static void a_bad_variable_is_named(void **state)
{
    (void)state;
    setenv("DHT_MAX_ITEM_SIZE", "huge", 1);
    assert_refused("p 1", "DHT_MAX_ITEM_SIZE: 'huge' is not a size (1k … 128m)");
    unsetenv("DHT_MAX_ITEM_SIZE");
}

static void a_bad_line_of_the_file_is_named(void **state)
{
    char longest[260];

    (void)state;
    assert_config_refused("\nmemroy = 3\n", ":2: memroy: there is no such option");
    assert_config_refused("config = x\n", ":1: config: there is no such option");
    assert_config_refused("memory = 3\nmemory = x\nfoo = 1",
                          ":2: memory: 'x' is not a size (1m … 16384g)");
    assert_config_refused("memory = 3\n\nevict\nfoo = 1\n", ":3: not a line like key = value");
    assert_config_refused("[other]\nmemory = 3\n", ":2: section [other] is not [dht-server]");
    memset(longest, 'x', sizeof(longest));
    longest[0] = '#';
    longest[sizeof(longest) - 1] = '\0';
    assert_config_refused(longest, ":1: the line is longer than 198 bytes");
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    assert_int_equal(parse("p 1 --config /nonexistent/x"), ERR_IO);
    assert_string_equal(error, "--config: cannot open /nonexistent/x: No such file or directory");
    assert_int_equal(parse("p 1 --config /tmp"), ERR_IO);
    assert_string_equal(error, "--config: cannot read /tmp: Is a directory");
}

static void help_and_version_look_at_nothing_else(void **state)
{
    (void)state;
    assert_int_equal(parse("--help --nonsense"), ERR_OK);
    assert_int_equal(options.mode, OPTIONS_HELP);
    assert_int_equal(parse("p -h"), ERR_OK);
    assert_int_equal(options.mode, OPTIONS_HELP);
    assert_int_equal(parse("-m x -V"), ERR_OK);
    assert_int_equal(options.mode, OPTIONS_VERSION);
}

static void looking_at_the_configuration_needs_no_words(void **state)
{
    (void)state;
    assert_int_equal(parse("--print-config"), ERR_OK);
    assert_int_equal(options.mode, OPTIONS_PRINT_CONFIG);
    assert_null(options.peers_path);
    assert_int_equal(parse("--check-config p 1"), ERR_OK);
    assert_int_equal(options.mode, OPTIONS_CHECK_CONFIG);
    assert_string_equal(options.peers_path, "p");
    assert_refused("--check-config p",
                   "peers.txt and PORT are needed: dht-server peers.txt PORT [options]");
}

static char *printed(void)
{
    char *text;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    assert_non_null(stream);
    options_print_config(&options, stream);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void what_is_printed_reads_back_to_the_same(void **state)
{
    static const char *const lines[] = {
        "p 1",
        "p 1 -m 1025k -I 1025 --evict -c 5 -l ::1 --advertise [::1]:1 --idle-timeout 61 "
        "--op-timeout 1001 --plain-calls -vv",
        "p 1 --cluster c --weight 7 --state-dir /s --profile fast --t-gossip 1001 --fanout 3 "
        "--direct-answers off -A --audit /a --stats-interval 90",
        "p 1 --bootstrap-expect 3 --form --on-quorum-loss wait --fence 1s --recover-after 1501 "
        "--rereplicate-after 60s --leave-timeout 5s"};
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        struct options first;
        char line[64], *text;

        assert_int_equal(parse(lines[i]), ERR_OK);
        first = options;
        text = printed();
        write_config(text);
        free(text);
        snprintf(line, sizeof(line), "p 1 --config %s", path);
        assert_int_equal(parse(line), ERR_OK);
        assert_string_equal(options.listen_host, first.listen_host);
        assert_string_equal(options.advertise, first.advertise);
        assert_int_equal(options.memory_bytes, first.memory_bytes);
        assert_int_equal(options.value_bytes_max, first.value_bytes_max);
        assert_int_equal(options.evict, first.evict);
        assert_int_equal(options.connections_max, first.connections_max);
        assert_int_equal(options.idle_timeout_s, first.idle_timeout_s);
        assert_int_equal(options.op_timeout_ms, first.op_timeout_ms);
        assert_int_equal(options.plain_calls, first.plain_calls);
        assert_int_equal(options.verbosity, first.verbosity);
        assert_string_equal(options.cluster, first.cluster);
        assert_int_equal(options.weight, first.weight);
        assert_string_equal(options.state_directory, first.state_directory);
        assert_int_equal(options.bootstrap_expect, first.bootstrap_expect);
        assert_int_equal(options.form, first.form);
        assert_string_equal(options.on_quorum_loss, first.on_quorum_loss);
        assert_int_equal(options.fence_ms, first.fence_ms);
        assert_int_equal(options.recover_after_ms, first.recover_after_ms);
        assert_int_equal(options.replace_after_ms, first.replace_after_ms);
        assert_int_equal(options.leave_timeout_ms, first.leave_timeout_ms);
        assert_string_equal(options.profile, first.profile);
        assert_memory_equal(&options.timers, &first.timers, sizeof(first.timers));
        assert_int_equal(options.direct_answers, first.direct_answers);
        assert_int_equal(options.can_shutdown, first.can_shutdown);
        assert_string_equal(options.audit_path, first.audit_path);
        assert_int_equal(options.stats_interval_s, first.stats_interval_s);
    }
}

static void help_names_every_option_within_80_columns(void **state)
{
    static const char *const names[] = {
#define NAME(kind, field, letter, name, argument, preset, lowest, highest, help) "--" name,
        OPTIONS_LIST(NAME)
#undef NAME
            "--t-gossip",
        "--t-silent-min",
        "--links-max",
        "--config",
        "--print-config",
        "--check-config",
        "-h, --help",
        "-V, --version"};
    char *text, *rest;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    (void)state;
    options_print_help(stream);
    assert_int_equal(fclose(stream), 0);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        assert_non_null(strstr(text, names[i]));
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        assert_true(strlen(line) <= 80);
    free(text);
}

static int make_path(void **state)
{
    int file = mkstemp(path);

    (void)state;
    return file < 0 ? -1 : close(file);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_words_are_the_whole_minimum),
        cmocka_unit_test(a_profile_sets_all_timers_together),
        cmocka_unit_test(a_timer_that_is_given_goes_over_the_profile_from_whatever_source),
        cmocka_unit_test(every_timer_is_an_option_with_its_bounds),
        cmocka_unit_test(timers_that_contradict_each_other_are_refused),
        cmocka_unit_test(names_and_paths_are_taken_as_they_are),
        cmocka_unit_test(a_path_has_a_bound),
        cmocka_unit_test(direct_answers_take_a_word),
        cmocka_unit_test(the_two_words_come_in_either_order),
        cmocka_unit_test(options_may_stand_behind_words_even_in_posix_mode),
        cmocka_unit_test(wrong_words_are_refused),
        cmocka_unit_test(every_number_is_read_in_its_units),
        cmocka_unit_test(bad_numbers_are_refused_with_what_is_right),
        cmocka_unit_test(hosts_and_names_take_their_normal_form),
        cmocka_unit_test(bad_hosts_and_names_are_refused),
        cmocka_unit_test(a_switch_can_be_turned_off_again),
        cmocka_unit_test(unknown_options_and_missing_values_are_named),
        cmocka_unit_test(flag_goes_over_environment_over_file_over_default),
        cmocka_unit_test(a_bad_variable_is_named),
        cmocka_unit_test(a_bad_line_of_the_file_is_named),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named),
        cmocka_unit_test(help_and_version_look_at_nothing_else),
        cmocka_unit_test(looking_at_the_configuration_needs_no_words),
        cmocka_unit_test(what_is_printed_reads_back_to_the_same),
        cmocka_unit_test(help_names_every_option_within_80_columns),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
