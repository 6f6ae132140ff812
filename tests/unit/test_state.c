/* The state file: its text, the boots it gives, and what is refused on disk. */
#include "server/state_file.h"
#include "server/state_halves.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char good[] =
    "dht-state 2\ncluster dht\nname 10.0.0.1:11211\nboot 1764153903000\nseat 0000000000000065\n"
    "id 0000000000000007\nlist 0000000000000009\npromised 4 0000000000000066\n"
    "accepted 3 0000000000000065\nviews 2\n"
    "view 1 1 0000000000000007 3 random 1\n"
    "10.0.0.1:11211 0000000000000001 1 0000000000000065 1 full up v 1\n"
    "next 2 1 1\n"
    "10.0.0.2:11211 0000000000000001 1 0000000000000066 1 joiner up - 2\n"
    "next 3 1 1\n"
    "10.0.0.2:11211 0000000000000001 1 0000000000000066 1 full up v 2\n";

static enum err parse(struct span text, struct state *state)
{
    const char *why = NULL;
    enum err err = state_parse(text, state, &why);
    assert_non_null(why);
    return err;
}

static void what_is_written_reads_back_to_the_same(void **state)
{
    (void)state;
    static const uint64_t boots[] = {1, 2, 1764153903000, STATE_BOOT_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(boots); i++) {
        struct state out = {
            .cluster = "a.b_C-9", .name = "[::1]:7001", .boot = boots[i], .seat = 1};
        struct state in;
        struct buf text = {0};
        state_format(&out, &text);
        assert_int_equal(parse(buf_span(&text), &in), ERR_OK);
        assert_string_equal(in.cluster, out.cluster);
        assert_string_equal(in.name, out.name);
        assert_true(in.boot == out.boot);
        assert_true(in.seat == 1);
        assert_int_equal(in.view_count, 0);
        state_close(&in);
        buf_close(&text);
    }
}

static void views_and_votes_are_kept(void **state)
{
    (void)state;
    struct state in;
    struct buf text = {0};
    assert_int_equal(parse(SPAN_LITERAL(good), &in), ERR_OK);
    assert_true(in.seat == 0x65);
    assert_true(in.cluster_id == 7);
    assert_true(in.list == 9);
    assert_true(in.acceptor.promised.round == 4 && in.acceptor.promised.seat == 0x66);
    assert_true(in.acceptor.accepted.round == 3 && in.acceptor.accepted.seat == 0x65);
    assert_int_equal(in.acceptor.view.epoch, 3);
    assert_int_equal(in.view_count, 2);
    assert_int_equal(in.views[1].epoch, 2);
    assert_int_equal(in.views[1].member_count, 2);
    state_format(&in, &text);
    assert_true(span_equal(buf_span(&text), SPAN_LITERAL(good)));
    buf_close(&text);
    state_close(&in);
}

static void a_file_of_the_first_version_has_no_seat_yet(void **state)
{
    (void)state;
    struct state in;
    const char *text = "dht-state 1\ncluster dht\nname 10.0.0.1:11211\nboot 17\n";
    assert_int_equal(parse(span_of_string(text), &in), ERR_OK);
    assert_true(in.boot == 17);
    assert_true(in.seat == 0);
    assert_true(in.cluster_id == 0);
    state_close(&in);
}

static void the_longest_names_fit(void **state)
{
    (void)state;
    struct state out = {.boot = STATE_BOOT_MAX, .seat = UINT64_MAX}, in;
    memset(out.cluster, 'c', STATE_CLUSTER_BYTES_MAX);
    memset(out.name, 'n', HOST_BYTES_MAX);
    memcpy(out.name + HOST_BYTES_MAX, ":65535", sizeof(":65535"));
    struct buf text = {0};
    state_format(&out, &text);
    assert_int_equal(parse(buf_span(&text), &in), ERR_OK);
    assert_string_equal(in.name, out.name);
    state_close(&in);
    buf_close(&text);
}

static void every_beginning_of_a_file_is_refused(void **state)
{
    (void)state;
    struct state in;
    assert_int_equal(parse(SPAN_LITERAL(good), &in), ERR_OK);
    state_close(&in);
    for (size_t len = 0; len < sizeof(good) - 1; len++)
        assert_int_equal(parse(span_of(good, len), &in), ERR_SYNTAX);
}

#define TEXT(seat, id, promised, accepted, views)                                                  \
    "dht-state 2\ncluster dht\nname a:1\nboot 1\n" seat id                                         \
    "list 0000000000000000\n" promised accepted views

static void every_other_text_is_refused(void **state)
{
    (void)state;
    struct state good_one;
    assert_int_equal(parse(SPAN_LITERAL(TEXT("seat 0000000000000001\n", "id 0000000000000000\n",
                                             "promised 0 0000000000000000\n",
                                             "accepted 0 0000000000000000\n", "views 0\n")),
                           &good_one),
                     ERR_OK);
    state_close(&good_one);
    static const char *const texts[] = {
        "dht-state 2\ncluster dht\nname a:1\nboot 1\n",
        "dht-state 3\ncluster dht\nname a:1\nboot 1\n",
        TEXT("seat 0000000000000000\n", "id 0000000000000000\n", "promised 0 0000000000000000\n",
             "accepted 0 0000000000000000\n", "views 0\n"),
        /* an id without a view, and a view without an id */
        TEXT("seat 0000000000000001\n", "id 0000000000000001\n", "promised 0 0000000000000000\n",
             "accepted 0 0000000000000000\n", "views 0\n"),
        TEXT("seat 0000000000000001\n", "id 0000000000000000\n", "promised 0 0000000000000000\n",
             "accepted 0 0000000000000000\n",
             "views 1\nview 1 1 0000000000000007 3 random 1\n"
             "10.0.0.1:11211 0000000000000001 1 0000000000000065 1 full up v 1\n"),
        /* accepted above promised; accepted without a view; a round of none with a seat */
        TEXT("seat 0000000000000001\n", "id 0000000000000000\n", "promised 1 0000000000000001\n",
             "accepted 2 0000000000000001\n",
             "views 0\nview 1 1 0000000000000007 3 random 1\n"
             "10.0.0.1:11211 0000000000000001 1 0000000000000065 1 full up v 1\n"),
        TEXT("seat 0000000000000001\n", "id 0000000000000000\n", "promised 2 0000000000000001\n",
             "accepted 2 0000000000000001\n", "views 0\n"),
        TEXT("seat 0000000000000001\n", "id 0000000000000000\n", "promised 0 0000000000000001\n",
             "accepted 0 0000000000000000\n", "views 0\n"),
        /* a round that none can be above */
        TEXT("seat 0000000000000001\n", "id 0000000000000000\n",
             "promised 18446744073709551615 0000000000000001\n", "accepted 0 0000000000000000\n",
             "views 0\n"),
        "dht-state 1\ncluster dht\nname a:1\nboot 0\n",
        "dht-state 1\ncluster dht\nname a:1\nboot -1\n",
        "dht-state 1\ncluster dht\nname a:1\nboot 01\n",
        "dht-state 1\ncluster dht\nname a:1\nboot 1x\n",
        "dht-state 1\ncluster dht\nname a:1\nboot 4611686018427387904\n",
        "dht-state 1\ncluster dht\nname a:1\nboot 99999999999999999999999\n",
        "dht-state 1\ncluster dht\nname A:1\nboot 1\n",
        "dht-state 1\ncluster dht\nname a\nboot 1\n",
        "dht-state 1\ncluster d t\nname a:1\nboot 1\n",
        "dht-state 1\ncluster \nname a:1\nboot 1\n",
        "dht-state 1\nname a:1\ncluster dht\nboot 1\n",
        "dht-state 1\ncluster dht\nname a:1\nboot 1\n\n",
        "dht-state 1\ncluster dht\nname a:1\nboot 1\nboot 2\n",
        "dht-state 1\r\ncluster dht\r\nname a:1\r\nboot 1\r\n",
        "garbage",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct state in;
        assert_int_equal(parse(span_of_string(texts[i]), &in), ERR_SYNTAX);
    }
}

static void a_cluster_name_is_letters_digits_and_three_signs(void **state)
{
    (void)state;
    char longest[STATE_CLUSTER_BYTES_MAX + 1];
    memset(longest, 'x', sizeof(longest));
    assert_true(state_is_cluster_name(span_of(longest, STATE_CLUSTER_BYTES_MAX)));
    assert_false(state_is_cluster_name(span_of(longest, STATE_CLUSTER_BYTES_MAX + 1)));
    assert_false(state_is_cluster_name(span_of(NULL, 0)));
    for (int c = 0; c < 256; c++) {
        char text = (char)c;
        bool is_good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '.' || c == '_' || c == '-';
        assert_int_equal(state_is_cluster_name(span_of(&text, 1)), is_good);
    }
}

static void a_boot_is_the_time_but_always_above_the_last(void **state)
{
    (void)state;
    assert_true(state_next_boot(0, 1000) == 1000);
    assert_true(state_next_boot(999, 1000) == 1000);
    assert_true(state_next_boot(1000, 1000) == 1001);
    assert_true(state_next_boot(5000, 1000) == 5001);
    assert_true(state_next_boot(0, 0) == 1);
    assert_true(state_next_boot(0, -5) == 1);
    assert_true(state_next_boot(STATE_BOOT_MAX - 1, 1000) == STATE_BOOT_MAX);
}

/* ---- on disk --------------------------------------------------------------------------------- */

static char directory[64];
static char error[STATE_ERROR_BYTES_MAX];

static int make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof(directory), "/tmp/test_state.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    return system(command);
}

static struct state own(void)
{
    return (struct state){.cluster = "dht", .name = "a.example:7001", .seat = 0x5ea7};
}

/* One start and stop of a node. Returns its boot, 0 if it was refused. */
static uint64_t start(const char *path, int64_t unix_ms)
{
    struct state_file file;
    struct state state = own();
    error[0] = '\0';
    if (state_file_open(&file, path, &state, unix_ms, error))
        return 0;
    state_file_close(&file);
    uint64_t boot = state.boot;
    state_close(&state);
    return boot;
}

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void put(const char *text)
{
    const char *path = path_of("state");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* A node that runs, and has started at 5000. */
static void open_file(struct state_file *file, struct state *state)
{
    *state = own();
    error[0] = '\0';
    assert_int_equal(state_file_open(file, directory, state, 5000, error), ERR_OK);
}

static enum err keep_boot(struct state_file *file, struct state *state, uint64_t boot)
{
    struct buf text = {0};
    state->boot = boot;
    state_format(state, &text);
    enum err err = state_file_keep(file, buf_span(&text), error);
    buf_close(&text);
    return err;
}

/* The next of views in which all members are other ones. */
static void add_view(struct state *state)
{
    uint32_t epoch = ++state->view_count;
    struct view *view = &state->views[epoch - 1];
    *view = (struct view){
        .epoch = epoch, .base = 1, .cluster_id = 7, .copies = VIEW_COPIES, .strategy = "random"};
    for (uint32_t i = 0; i < 40; i++) {
        struct member member = {
            .generation = epoch, .boot = 1, .seat = i + 1, .weight = 1, .up_since = epoch};
        snprintf(member.name, sizeof(member.name), "10.0.0.%" PRIu32 ":11211", i + 10);
        view_add(view, &member);
    }
    view_elect(view);
}

/* Keeps a text of at least so many bytes. */
static enum err keep_long(struct state_file *file, uint64_t boot, size_t bytes)
{
    struct state state = own();
    struct buf text = {0};
    state.boot = boot;
    state.cluster_id = 7;
    state.views = calloc(STATE_VIEWS_MAX, sizeof(*state.views));
    assert_non_null(state.views);
    while (buf_len(&text) < bytes && state.view_count < STATE_VIEWS_MAX) {
        add_view(&state);
        text.start = text.end = 0;
        state_format(&state, &text);
    }
    assert_true(buf_len(&text) >= bytes);
    enum err err = state_file_keep(file, buf_span(&text), error);
    state_close(&state);
    buf_close(&text);
    return err;
}

static void close_file(struct state_file *file, struct state *state)
{
    state_file_close(file);
    state_close(state);
}

static struct stat stat_of(const char *name)
{
    struct stat found;
    assert_int_equal(stat(path_of(name), &found), 0);
    return found;
}

static void each_start_has_a_higher_boot_whatever_the_clock_says(void **state)
{
    (void)state;
    assert_true(start(directory, 5000) == 5000);
    assert_true(start(directory, 5000) == 5001);
    assert_true(start(directory, 10) == 5002);
    assert_true(start(directory, 6000) == 6000);
}

static void a_boot_taken_while_running_is_kept_for_the_next_start(void **state)
{
    (void)state;
    struct state_file file;
    struct state mine;
    open_file(&file, &mine);
    assert_int_equal(keep_boot(&file, &mine, 7000), ERR_OK);
    close_file(&file, &mine);
    assert_true(start(directory, 6000) == 7001);
}

static void missing_directories_are_made_for_their_owner_alone(void **state)
{
    (void)state;
    char path[128];
    struct stat made;
    snprintf(path, sizeof(path), "%s/deep/er", directory);
    assert_true(start(path, 5000) == 5000);
    assert_int_equal(stat(path, &made), 0);
    assert_int_equal(made.st_mode & 07777, 0700);
    assert_true(start(path, 1) == 5001);
}

static void two_processes_cannot_hold_one_directory(void **state)
{
    (void)state;
    struct state_file file;
    struct state first = own();
    assert_int_equal(state_file_open(&file, directory, &first, 5000, error), ERR_OK);
    assert_true(start(directory, 9000) == 0);
    assert_non_null(strstr(error, "another dht-server"));
    assert_non_null(strstr(error, directory));
    state_file_close(&file);
    state_close(&first);
    assert_true(start(directory, 1) == 5001); /* the one refused has changed nothing */
}

static void garbage_is_refused_and_kept(void **state)
{
    (void)state;
    char path[128], text[64] = {0};
    put("garbage\n");
    assert_true(start(directory, 5000) == 0);
    assert_non_null(strstr(error, "no state file"));
    snprintf(path, sizeof(path), "%s/state", directory);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    fclose(file);
    assert_string_equal(text, "garbage\n");
}

static void what_follows_the_end_is_refused(void **state)
{
    (void)state;
    char text[sizeof(good) + 4096];
    memset(text, '\n', sizeof(text));
    memcpy(text, good, sizeof(good) - 1);
    text[sizeof(text) - 1] = '\0';
    put(text);
    assert_true(start(directory, 5000) == 0);
    assert_non_null(strstr(error, "damaged"));
}

/* The vote stays with the file, whoever runs over it. */
static void a_seat_is_drawn_once(void **state)
{
    (void)state;
    struct state_file file;
    struct state first = own(), second = own();
    second.seat = 0xffff;
    assert_int_equal(state_file_open(&file, directory, &first, 5000, error), ERR_OK);
    state_file_close(&file);
    assert_int_equal(state_file_open(&file, directory, &second, 5000, error), ERR_OK);
    state_file_close(&file);
    assert_true(second.seat == 0x5ea7);
    state_close(&first);
    state_close(&second);
}

static void another_node_s_or_cluster_s_file_is_refused(void **state)
{
    (void)state;
    put("dht-state 1\ncluster other\nname a.example:7001\nboot 7\n");
    assert_true(start(directory, 5000) == 0);
    assert_non_null(strstr(error, "cluster other"));
    put("dht-state 1\ncluster dht\nname b.example:7001\nboot 7\n");
    assert_true(start(directory, 5000) == 0);
    assert_non_null(strstr(error, "b.example:7001"));
    put("dht-state 1\ncluster dht\nname a.example:7001\nboot 7\n");
    assert_true(start(directory, 1) == 8);
}

static void a_file_in_the_directory_s_place_is_an_error_that_says_what_helps(void **state)
{
    (void)state;
    char path[128];
    put("x");
    snprintf(path, sizeof(path), "%s/state", directory);
    assert_true(start(path, 5000) == 0);
    assert_non_null(strstr(error, "--state-dir"));
}

static void what_a_crash_left_half_written_does_not_count(void **state)
{
    (void)state;
    char path[128];
    assert_true(start(directory, 5000) == 5000);
    snprintf(path, sizeof(path), "%s/state.new", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs("dht-sta", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_true(start(directory, 1) == 5001);
}

/* So that nothing but data has to get to the disk: no block is allotted, no name changes. */
static void a_change_overwrites_the_file_in_place(void **state)
{
    (void)state;
    struct state_file file;
    struct state mine;
    open_file(&file, &mine);
    struct stat begun = stat_of("state");
    assert_int_equal(begun.st_size, 2 * HALF_BYTES_MIN);
    assert_true(512 * begun.st_blocks >= begun.st_size); /* no holes */
    for (uint64_t boot = 6000; boot < 6005; boot++)
        assert_int_equal(keep_boot(&file, &mine, boot), ERR_OK);
    struct stat ended = stat_of("state");
    assert_true(ended.st_ino == begun.st_ino);
    assert_int_equal(ended.st_size, begun.st_size);
    assert_int_equal(ended.st_blocks, begun.st_blocks);
    assert_true(access(path_of("state.new"), F_OK) != 0);
    close_file(&file, &mine);
    assert_true(start(directory, 1) == 6005);
}

static void a_change_half_written_leaves_the_text_before(void **state)
{
    (void)state;
    for (uint64_t last = 6000; last < 6003; last++) {
        struct state_file file;
        struct state mine;
        char begun[] = "dht-half 1 00010000 00000000000000ff";
        assert_int_equal(remove_directory(NULL), 0);
        open_file(&file, &mine);
        for (uint64_t boot = 6000; boot <= last; boot++)
            assert_int_equal(keep_boot(&file, &mine, boot), ERR_OK);
        close_file(&file, &mine);
        int fd = open(path_of("state"), O_WRONLY);
        assert_true(fd >= 0);
        off_t offset = (last - 6000) % 2 == 0 ? 0 : HALF_BYTES_MIN;
        assert_int_equal(pwrite(fd, begun, sizeof(begun), offset), sizeof(begun));
        close(fd);
        assert_true(start(directory, 1) == last + 1);
    }
}

static void a_text_that_has_outgrown_its_half_gets_a_larger_one(void **state)
{
    (void)state;
    struct state_file file;
    struct state mine;
    open_file(&file, &mine);
    struct stat begun = stat_of("state");
    assert_int_equal(keep_long(&file, 6000, HALF_BYTES_MIN), ERR_OK);
    struct stat grown = stat_of("state");
    assert_true(grown.st_size > begun.st_size);
    assert_int_equal(keep_long(&file, 6001, HALF_BYTES_MIN + 10000), ERR_OK);
    assert_int_equal(keep_boot(&file, &mine, 6002), ERR_OK);
    assert_int_equal(keep_long(&file, 6003, HALF_BYTES_MIN), ERR_OK);
    assert_int_equal(stat_of("state").st_ino, grown.st_ino); /* there was room */
    close_file(&file, &mine);
    assert_true(start(directory, 1) == 6004);
    assert_int_equal(stat_of("state").st_size, grown.st_size);
}

static void a_text_that_no_start_would_read_is_not_written(void **state)
{
    (void)state;
    struct state_file file;
    struct state mine;
    char *text = calloc(1, STATE_TEXT_BYTES_MAX + 1);
    assert_non_null(text);
    open_file(&file, &mine);
    assert_int_equal(state_file_keep(&file, span_of(text, STATE_TEXT_BYTES_MAX + 1), error),
                     ERR_IO);
    assert_non_null(strstr(error, "File too large"));
    close_file(&file, &mine);
    assert_true(start(directory, 1) == 5001);
    free(text);
}

static void a_file_of_earlier_versions_is_written_anew_at_the_start(void **state)
{
    (void)state;
    char begun[16] = "";
    struct state_file file;
    struct state mine;
    put(good);
    mine = (struct state){.cluster = "dht", .name = "10.0.0.1:11211", .seat = 0x5ea7};
    assert_int_equal(state_file_open(&file, directory, &mine, 1, error), ERR_OK);
    assert_true(mine.boot == 1764153903001);
    assert_true(mine.seat == 0x65);
    assert_int_equal(mine.acceptor.promised.round, 4);
    assert_int_equal(mine.view_count, 2);
    close_file(&file, &mine);
    int fd = open(path_of("state"), O_RDONLY);
    assert_true(read(fd, begun, 9) == 9);
    close(fd);
    assert_string_equal(begun, "dht-half ");
}

/* Every write that fails part way: beyond limit bytes of a file the system refuses. */
static void a_write_that_fails_leaves_the_old_text_or_the_new(void **state)
{
    (void)state;
    static const rlim_t limits[] = {0,
                                    1,
                                    54,
                                    55,
                                    56,
                                    100,
                                    511,
                                    512,
                                    4096,
                                    HALF_BYTES_MIN - 1,
                                    HALF_BYTES_MIN,
                                    HALF_BYTES_MIN + 1,
                                    HALF_BYTES_MIN + 55,
                                    HALF_BYTES_MIN + 100,
                                    HALF_BYTES_MIN + 512,
                                    2 * HALF_BYTES_MIN - 1};
    struct rlimit no_limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &no_limit), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < 2 * ARRAY_COUNT(limits); i++) {
        struct state_file file;
        struct state mine;
        struct rlimit limit = {.rlim_cur = limits[i / 2], .rlim_max = no_limit.rlim_max};
        uint64_t last = 6000 + i % 2; /* each half in turn is the one that is written */
        assert_int_equal(remove_directory(NULL), 0);
        open_file(&file, &mine);
        for (uint64_t boot = 6000; boot <= last; boot++)
            assert_int_equal(keep_boot(&file, &mine, boot), ERR_OK);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        enum err err = keep_boot(&file, &mine, 7000);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &no_limit), 0);
        bool fits = halves_which(last - 6000 + 3) == 0 && limits[i / 2] >= HALF_BYTES_MIN;
        assert_int_equal(err, fits ? ERR_OK : ERR_IO);
        if (!fits)
            assert_non_null(strstr(error, "cannot write the state file in"));
        if (i % 4 < 2) { /* the next one is kept again; else the process ends first */
            assert_int_equal(keep_boot(&file, &mine, 8000), ERR_OK);
            last = 8000;
        }
        close_file(&file, &mine);
        uint64_t boot = start(directory, 1);
        assert_true(boot == last + 1 || (last < 7000 && boot == 7001));
    }
}

/* As root may write everywhere, the test is not root. */
static void where_no_file_can_be_made_only_what_fits_can_be_kept(void **state)
{
    (void)state;
    struct state_file file;
    struct state mine;
    bool is_root = geteuid() == 0;
    if (is_root) {
        assert_int_equal(chown(directory, 65534, 65534), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    open_file(&file, &mine);
    assert_int_equal(chmod(directory, 0500), 0);
    assert_int_equal(keep_boot(&file, &mine, 6000), ERR_OK);
    assert_int_equal(keep_long(&file, 6001, HALF_BYTES_MIN), ERR_IO);
    assert_non_null(strstr(error, "make it writable"));
    assert_int_equal(keep_boot(&file, &mine, 6002), ERR_OK);
    close_file(&file, &mine);
    assert_true(start(directory, 1) == 0);
    assert_int_equal(chmod(directory, 0700), 0);
    assert_true(start(directory, 1) == 6003);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
}

static void a_file_taken_away_or_replaced_while_a_node_runs_is_made_anew(void **state)
{
    (void)state;
    struct state_file file;
    struct state mine;
    open_file(&file, &mine);
    assert_int_equal(unlink(path_of("state")), 0);
    assert_int_equal(keep_boot(&file, &mine, 6000), ERR_OK);
    struct stat made = stat_of("state");
    put("garbage\n"); /* the same file, now shorter */
    assert_int_equal(keep_boot(&file, &mine, 6001), ERR_OK);
    assert_int_equal(stat_of("state").st_size, made.st_size);
    put("garbage\n");
    char path[128];
    snprintf(path, sizeof(path), "%s", path_of("state"));
    assert_int_equal(rename(path, path_of("other")), 0);
    assert_int_equal(symlink("other", path), 0);
    assert_int_equal(keep_boot(&file, &mine, 6002), ERR_OK);
    assert_int_equal(stat_of("other").st_size, 8);
    close_file(&file, &mine);
    assert_true(start(directory, 1) == 6003);
}

/* As a backup that shares the file's blocks may be. */
static void another_name_of_the_file_keeps_what_it_had(void **state)
{
    (void)state;
    struct state_file file;
    struct state mine;
    open_file(&file, &mine);
    char path[128];
    snprintf(path, sizeof(path), "%s", path_of("state"));
    assert_int_equal(link(path, path_of("backup")), 0);
    assert_int_equal(keep_boot(&file, &mine, 6000), ERR_OK);
    assert_int_equal(keep_boot(&file, &mine, 6001), ERR_OK);
    assert_true(stat_of("state").st_ino != stat_of("backup").st_ino);
    close_file(&file, &mine);
    assert_int_equal(rename(path_of("backup"), path), 0);
    assert_true(start(directory, 1) == 5001);
}

static void the_place_is_the_option_then_systemd_s_then_the_user_s(void **state)
{
    (void)state;
    char path[STATE_PATH_BYTES_MAX];
    setenv("HOME", "/home/h", 1);
    setenv("XDG_STATE_HOME", "/x", 1);
    setenv("STATE_DIRECTORY", "/var/lib/dht:/var/lib/other", 1);
    assert_int_equal(state_place_find("/o", "a:1", path), STATE_PLACE_CHOSEN);
    assert_string_equal(path, "/o");
    assert_int_equal(state_place_find("", "a:1", path), STATE_PLACE_CHOSEN);
    assert_string_equal(path, "/var/lib/dht");
    unsetenv("STATE_DIRECTORY");
    assert_int_equal(state_place_find("", "a:1", path), STATE_PLACE_DEFAULT);
    assert_string_equal(path, "/x/dht/a:1");
    setenv("XDG_STATE_HOME", "relative", 1);
    assert_int_equal(state_place_find("", "a:1", path), STATE_PLACE_DEFAULT);
    assert_string_equal(path, "/home/h/.local/state/dht/a:1");
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
    assert_int_equal(state_place_find("", "a:1", path), STATE_PLACE_NONE);
    assert_string_equal(path, "");
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back_to_the_same),
        cmocka_unit_test(views_and_votes_are_kept),
        cmocka_unit_test(a_file_of_the_first_version_has_no_seat_yet),
        cmocka_unit_test(the_longest_names_fit),
        cmocka_unit_test(every_beginning_of_a_file_is_refused),
        cmocka_unit_test(every_other_text_is_refused),
        cmocka_unit_test(a_cluster_name_is_letters_digits_and_three_signs),
        cmocka_unit_test(a_boot_is_the_time_but_always_above_the_last),
        ON_DISK(each_start_has_a_higher_boot_whatever_the_clock_says),
        ON_DISK(a_boot_taken_while_running_is_kept_for_the_next_start),
        ON_DISK(missing_directories_are_made_for_their_owner_alone),
        ON_DISK(a_seat_is_drawn_once),
        ON_DISK(two_processes_cannot_hold_one_directory),
        ON_DISK(garbage_is_refused_and_kept),
        ON_DISK(what_follows_the_end_is_refused),
        ON_DISK(another_node_s_or_cluster_s_file_is_refused),
        ON_DISK(a_file_in_the_directory_s_place_is_an_error_that_says_what_helps),
        ON_DISK(what_a_crash_left_half_written_does_not_count),
        ON_DISK(a_change_overwrites_the_file_in_place),
        ON_DISK(a_change_half_written_leaves_the_text_before),
        ON_DISK(a_text_that_has_outgrown_its_half_gets_a_larger_one),
        ON_DISK(a_text_that_no_start_would_read_is_not_written),
        ON_DISK(a_file_of_earlier_versions_is_written_anew_at_the_start),
        ON_DISK(a_write_that_fails_leaves_the_old_text_or_the_new),
        ON_DISK(where_no_file_can_be_made_only_what_fits_can_be_kept),
        ON_DISK(a_file_taken_away_or_replaced_while_a_node_runs_is_made_anew),
        ON_DISK(another_name_of_the_file_keeps_what_it_had),
        cmocka_unit_test(the_place_is_the_option_then_systemd_s_then_the_user_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
