/* The state file's two halves: whatever a crash leaves of a change, the text before it or after it
 * is what is read. */
#include "server/core/state.h"
#include "server/state_halves.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define HALF   HALF_BYTES_MIN
#define SECTOR 512u

static const struct span oldest = SPAN_LITERAL("dht-state 2\nthe text before the last\n");
static const struct span newest = SPAN_LITERAL("dht-state 2\nthe last one\n");

/* A file after so many changes, of which the last two had these texts. gives */
static char *file_of(uint64_t changes, struct span before, struct span last)
{
    struct buf half = {0};
    char *bytes = calloc(2, HALF);
    assert_non_null(bytes);
    if (changes > 1) {
        halves_format(HALF, changes - 1, before, &half);
        memcpy(bytes + (size_t)halves_which(changes - 1) * HALF, half.data, HALF);
        half.start = half.end = 0;
    }
    halves_format(HALF, changes, last, &half);
    memcpy(bytes + (size_t)halves_which(changes) * HALF, half.data, HALF);
    buf_close(&half);
    return bytes;
}

/* What is read; empty if it is refused. */
static struct span read_back(const char *bytes, size_t len)
{
    struct span text;
    struct halves_read read;
    const char *why = NULL;
    enum err err = halves_parse(span_of(bytes, len), &text, &read, &why);
    assert_non_null(why);
    if (err == ERR_OK)
        return text;
    assert_int_equal(err, ERR_SYNTAX);
    return span_of(NULL, 0);
}

static bool reads(const char *bytes, struct span text)
{
    return span_equal(read_back(bytes, (size_t)2 * HALF), text);
}

static void the_newer_text_is_read(void **state)
{
    (void)state;
    for (uint64_t changes = 1; changes < 6; changes++) {
        char *bytes = file_of(changes, oldest, newest);
        assert_true(reads(bytes, newest));
        free(bytes);
    }
    char *bytes = file_of(UINT64_MAX, oldest, newest);
    assert_true(reads(bytes, newest));
    free(bytes);
}

/* A long text, so that a change has some sectors. */
static struct span long_text(char *to, size_t len, char fill)
{
    memset(to, fill, len);
    memcpy(to, "dht-state 2\n", 12);
    return span_of(to, len);
}

#define LONG_BYTES   (5 * SECTOR) /* with the line in front: six sectors */
#define LONG_SECTORS 6u

struct change {
    char *before, *after; /* the whole file, owned */
    struct span old_text, new_text;
    size_t offset; /* of the half that is written */
    char texts[2][LONG_BYTES];
};

/* A change that follows others: the half it overwrites has the text before the last. */
static struct change *begin_change(uint64_t changes)
{
    struct change *change = calloc(1, sizeof(*change));
    assert_non_null(change);
    change->old_text = long_text(change->texts[0], LONG_BYTES, 'o');
    change->new_text = long_text(change->texts[1], LONG_BYTES, 'n');
    change->before = file_of(changes - 1, oldest, change->old_text);
    change->after = file_of(changes, change->old_text, change->new_text);
    change->offset = (size_t)halves_which(changes) * HALF;
    return change;
}

static void end_change(struct change *change)
{
    free(change->before);
    free(change->after);
    free(change);
}

/* Old or new, and new only if all of its bytes are there. */
static void check_torn(const struct change *change, const char *bytes)
{
    bool is_whole =
        memcmp(bytes + change->offset, change->after + change->offset, LONG_SECTORS * SECTOR) == 0;
    assert_true(reads(bytes, is_whole ? change->new_text : change->old_text));
}

static void a_change_cut_off_at_any_byte_leaves_the_old_text_or_the_new(void **state)
{
    (void)state;
    for (uint64_t changes = 2; changes < 5; changes++) {
        struct change *change = begin_change(changes);
        char *bytes = file_of(changes - 1, oldest, change->old_text);
        assert_true(reads(bytes, change->old_text));
        for (size_t at = change->offset; at < change->offset + LONG_SECTORS * SECTOR; at++) {
            bytes[at] = change->after[at];
            check_torn(change, bytes);
        }
        assert_true(reads(bytes, change->new_text));
        free(bytes);
        end_change(change);
    }
}

static void so_does_one_of_which_the_end_came_first(void **state)
{
    (void)state;
    struct change *change = begin_change(4);
    char *bytes = file_of(3, oldest, change->old_text);
    for (size_t at = change->offset + LONG_SECTORS * SECTOR; at-- > change->offset;) {
        bytes[at] = change->after[at];
        check_torn(change, bytes);
    }
    free(bytes);
    end_change(change);
}

static void so_does_one_of_which_any_sectors_came(void **state)
{
    (void)state;
    for (uint64_t changes = 2; changes < 5; changes++) {
        struct change *change = begin_change(changes);
        for (uint32_t came = 0; came < 1u << LONG_SECTORS; came++) {
            char *bytes = file_of(changes - 1, oldest, change->old_text);
            for (uint32_t sector = 0; sector < LONG_SECTORS; sector++)
                if (came >> sector & 1)
                    memcpy(bytes + change->offset + sector * SECTOR,
                           change->after + change->offset + sector * SECTOR, SECTOR);
            check_torn(change, bytes);
            free(bytes);
        }
        end_change(change);
    }
}

/* As a sector is that cannot be read any more, or that the disk has lost. */
static void a_half_with_a_wrong_bit_does_not_count(void **state)
{
    (void)state;
    const size_t len = newest.len + 100; /* more than the line and the text */
    for (uint64_t changes = 1; changes < 4; changes++) {
        char *bytes = file_of(changes, oldest, newest);
        size_t offset = (size_t)halves_which(changes) * HALF;
        size_t wrong = 0;
        for (size_t at = 0; at < len; at++)
            for (unsigned bit = 0; bit < 8; bit++) {
                bytes[offset + at] = (char)(bytes[offset + at] ^ (1 << bit));
                struct span text = read_back(bytes, (size_t)2 * HALF);
                bool is_new = span_equal(text, newest);
                bool is_other = changes == 1 ? text.len == 0 : span_equal(text, oldest);
                assert_true(is_new || is_other);
                wrong += is_other;
                bytes[offset + at] = (char)(bytes[offset + at] ^ (1 << bit));
            }
        /* The line and the text matter, the zeros behind them do not. */
        assert_int_equal(wrong, 8 * (strcspn(bytes + offset, "\n") + 1 + newest.len));
        free(bytes);
    }
}

/* How a file is read. */
static struct halves_read look(const char *bytes)
{
    struct span text;
    struct halves_read read;
    const char *why;
    assert_int_equal(halves_parse(span_of(bytes, (size_t)2 * HALF), &text, &read, &why), ERR_OK);
    return read;
}

static void of_a_whole_file_nothing_is_said(void **state)
{
    (void)state;
    for (uint64_t changes = 1; changes < 4; changes++) {
        char *bytes = file_of(changes, oldest, newest);
        struct halves_read read = look(bytes);
        assert_true(read.sequence == changes);
        assert_false(read.is_damaged);
        assert_false(halves_may_lack(&read));
        free(bytes);
    }
    char alone[2 * HALF] = "dht-state 2\n";
    struct halves_read read = look(alone);
    assert_true(read.sequence == 0);
    assert_false(read.is_damaged);
}

/* A write that a failing machine tore, or a half that was lost later: they look alike. */
static void a_damaged_newer_half_is_told_with_its_number(void **state)
{
    (void)state;
    for (uint64_t changes = 2; changes < 5; changes++) {
        char *bytes = file_of(changes, oldest, newest);
        bytes[(size_t)halves_which(changes) * HALF + 60] ^= 1;
        struct halves_read read = look(bytes);
        assert_true(read.sequence == changes - 1);
        assert_true(read.is_damaged);
        assert_true(read.damaged == changes);
        assert_true(halves_may_lack(&read));
        free(bytes);
    }
}

static void of_a_damaged_half_without_its_line_the_worst_is_taken(void **state)
{
    (void)state;
    char *bytes = file_of(3, oldest, newest);
    bytes[0] = 'x';
    struct halves_read read = look(bytes);
    assert_true(read.sequence == 2);
    assert_true(read.is_damaged);
    assert_true(read.damaged == 0);
    assert_true(halves_may_lack(&read));
    free(bytes);
}

/* Also one of which only the end came: the change was not told to anybody. */
static void a_damaged_older_half_lacks_nothing(void **state)
{
    (void)state;
    char *bytes = file_of(3, oldest, newest);
    bytes[HALF + 60] ^= 1;
    struct halves_read read = look(bytes);
    assert_true(read.sequence == 3);
    assert_true(read.is_damaged);
    assert_true(read.damaged == 2);
    assert_false(halves_may_lack(&read));
    free(bytes);
}

/* Of the first change in place only the end came: before, there were zeros. */
static void a_half_that_is_no_more_all_zeros_is_damaged(void **state)
{
    (void)state;
    char *bytes = file_of(1, oldest, newest);
    bytes[2 * HALF - 1] = 'x';
    struct halves_read read = look(bytes);
    assert_true(read.sequence == 1);
    assert_true(read.is_damaged);
    assert_true(halves_may_lack(&read));
    free(bytes);
}

/* Otherwise the older half might be taken for the newer, and a promise be forgotten. */
static void a_file_that_is_shorter_or_longer_than_it_says_is_refused(void **state)
{
    (void)state;
    char *bytes = file_of(4, oldest, newest);
    char *longer = calloc(4, HALF);
    assert_non_null(longer);
    memcpy(longer, bytes, (size_t)2 * HALF);
    for (size_t len = 0; len < (size_t)4 * HALF; len++)
        if (len != (size_t)2 * HALF)
            assert_int_equal(read_back(longer, len).len, 0);
    free(longer);
    free(bytes);
}

static void two_bad_halves_are_refused_and_it_says_what_they_are(void **state)
{
    (void)state;
    struct span text;
    struct halves_read read;
    const char *why;
    char *bytes = file_of(2, oldest, newest);
    bytes[200] ^= 1;
    assert_true(reads(bytes, newest));
    for (unsigned half = 0; half < 2; half++)
        bytes[half * HALF + 60] ^= 1;
    assert_int_equal(halves_parse(span_of(bytes, (size_t)2 * HALF), &text, &read, &why),
                     ERR_SYNTAX);
    assert_non_null(strstr(why, "damaged"));
    memset(bytes, 0, (size_t)2 * HALF);
    assert_int_equal(halves_parse(span_of(bytes, (size_t)2 * HALF), &text, &read, &why),
                     ERR_SYNTAX);
    assert_non_null(strstr(why, "no state file"));
    free(bytes);
    assert_int_equal(halves_parse(span_of(NULL, 0), &text, &read, &why), ERR_SYNTAX);
    assert_non_null(strstr(why, "no state file"));
    assert_int_equal(halves_parse(SPAN_LITERAL("garbage\n"), &text, &read, &why), ERR_SYNTAX);
    assert_non_null(strstr(why, "no state file"));
}

/* Somebody has exchanged the halves, or copied one over the other. */
static void a_half_in_the_other_one_s_place_does_not_count(void **state)
{
    (void)state;
    char *bytes = file_of(2, oldest, newest), *moved = calloc(2, HALF);
    assert_non_null(moved);
    memcpy(moved, bytes + HALF, HALF);
    memcpy(moved + HALF, bytes, HALF);
    assert_int_equal(read_back(moved, (size_t)2 * HALF).len, 0);
    memcpy(moved, bytes, HALF);
    assert_true(reads(moved, oldest));
    free(moved);
    free(bytes);
}

static void a_text_alone_is_a_file_of_earlier_versions(void **state)
{
    (void)state;
    assert_true(span_equal(read_back(oldest.data, oldest.len), oldest));
    assert_true(
        span_equal(read_back(oldest.data, oldest.len - 1), span_of(oldest.data, oldest.len - 1)));
}

static void a_person_can_read_the_file(void **state)
{
    (void)state;
    struct buf half = {0};
    halves_format(HALF, 0x2a, newest, &half);
    const char *line = "dht-half 1 00010000 000000000000002a 00000019 ";
    assert_int_equal(newest.len, 0x19);
    assert_memory_equal(half.data, line, strlen(line));
    assert_memory_equal(half.data + strlen(line) + 9, newest.data, newest.len);
    buf_close(&half);
}

static void a_text_may_grow_to_twice_its_length_before_the_halves_must(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 1000, 32000, 32741, 33000, 65536, 1u << 20, 15u << 20};
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        uint32_t half_bytes = halves_size(lengths[i]);
        assert_true(half_bytes % HALF_BYTES_MIN == 0);
        assert_true(halves_fit(half_bytes, 2 * lengths[i]));
    }
    assert_int_equal(halves_size(0), HALF_BYTES_MIN);
    assert_int_equal(halves_size(STATE_TEXT_BYTES_MAX), HALF_BYTES_MAX);
    assert_true(halves_fit(HALF_BYTES_MAX, STATE_TEXT_BYTES_MAX));
    assert_true(halves_fit(HALF, HALF - 55));
    assert_false(halves_fit(HALF, HALF - 54));
    assert_false(halves_fit(0, 0));
}

static void a_text_that_fills_its_half_reads_back(void **state)
{
    (void)state;
    char *text = malloc(HALF - 55);
    assert_non_null(text);
    struct span full = long_text(text, HALF - 55, 'x');
    char *bytes = file_of(2, full, full);
    assert_true(reads(bytes, full));
    free(bytes);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newer_text_is_read),
        cmocka_unit_test(a_change_cut_off_at_any_byte_leaves_the_old_text_or_the_new),
        cmocka_unit_test(so_does_one_of_which_the_end_came_first),
        cmocka_unit_test(so_does_one_of_which_any_sectors_came),
        cmocka_unit_test(a_half_with_a_wrong_bit_does_not_count),
        cmocka_unit_test(of_a_whole_file_nothing_is_said),
        cmocka_unit_test(a_damaged_newer_half_is_told_with_its_number),
        cmocka_unit_test(of_a_damaged_half_without_its_line_the_worst_is_taken),
        cmocka_unit_test(a_damaged_older_half_lacks_nothing),
        cmocka_unit_test(a_half_that_is_no_more_all_zeros_is_damaged),
        cmocka_unit_test(a_file_that_is_shorter_or_longer_than_it_says_is_refused),
        cmocka_unit_test(two_bad_halves_are_refused_and_it_says_what_they_are),
        cmocka_unit_test(a_half_in_the_other_one_s_place_does_not_count),
        cmocka_unit_test(a_text_alone_is_a_file_of_earlier_versions),
        cmocka_unit_test(a_person_can_read_the_file),
        cmocka_unit_test(a_text_may_grow_to_twice_its_length_before_the_halves_must),
        cmocka_unit_test(a_text_that_fills_its_half_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
