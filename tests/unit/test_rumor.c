/* Rumors: told a bounded number of times, the newest first, none that is worthless. */
#include "server/core/rumor.h"

#include "common/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW 100000u

static struct account one = {.name = "a:1"}, other = {.name = "b:1"};

static struct news about(const struct account *record, enum member_state state, uint32_t inc)
{
    return (struct news){.state = state,
                         .name = span_of_string(record->name),
                         .boot = 5,
                         .inc = inc,
                         .weight = 1,
                         .evidence = EVIDENCE_SILENT,
                         .by = SPAN_LITERAL("-")};
}

static uint32_t take(struct rumors *rumors, uint32_t max, char *text, size_t size)
{
    struct buf out = {0};
    uint32_t taken = rumors_take(rumors, max, NOW, &out);
    struct span lines = buf_span(&out);
    snprintf(text, size, "%.*s", (int)lines.len, lines.data ? lines.data : "");
    buf_close(&out);
    rumors_check(rumors);
    return taken;
}

static void a_rumor_is_told_twice_the_logarithm_of_the_members(void **state)
{
    (void)state;
    static const struct {
        uint32_t members, sends;
    } cases[] = {{1, 2}, {3, 4}, {40, 12}, {400, 18}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct rumors rumors;
        rumors_init(&rumors);
        struct news news = about(&one, MEMBER_ALIVE, 0);
        rumors_add(&rumors, &one, &news, cases[i].members, NOW);
        struct buf out = {0};
        assert_int_equal(rumors_take_unpushed(&rumors, 1, NOW, &out), 1);
        buf_close(&out);
        char text[256];
        uint32_t told = 1;
        while (take(&rumors, RUMORS_PIGGYBACK_MAX, text, sizeof(text)) == 1)
            told++;
        assert_int_equal(told, cases[i].sends);
        assert_int_equal(rumors.count, 0);
        assert_int_equal(rumors.unpushed, 0);
        rumors_close(&rumors);
    }
}

static void a_push_counts_for_all_it_goes_to_and_happens_once(void **state)
{
    (void)state;
    struct rumors rumors;
    rumors_init(&rumors);
    struct news news = about(&one, MEMBER_ALIVE, 0);
    rumors_add(&rumors, &one, &news, 40, NOW);
    struct buf out = {0};
    assert_int_equal(rumors_take_unpushed(&rumors, 4, NOW, &out), 1);
    assert_int_equal(rumors_take_unpushed(&rumors, 4, NOW, &out), 0);
    rumors_check(&rumors);
    char text[256];
    uint32_t told = 0;
    while (take(&rumors, 1, text, sizeof(text)) == 1)
        told++;
    assert_int_equal(told, 12 - 4);
    buf_close(&out);
    rumors_close(&rumors);
}

/* Those that start together make the cluster grow while their news waits to be pushed. */
static void a_rumor_is_kept_until_it_is_pushed_and_as_the_cluster_is_then(void **state)
{
    (void)state;
    struct rumors rumors;
    rumors_init(&rumors);
    struct news news = about(&one, MEMBER_ALIVE, 0);
    rumors_add(&rumors, &one, &news, 1, NOW);
    char text[256];
    for (int i = 0; i < 9; i++)
        assert_int_equal(take(&rumors, 6, text, sizeof(text)), 1);
    struct news of_other = about(&other, MEMBER_ALIVE, 0);
    rumors_add(&rumors, &other, &of_other, 40, NOW);
    struct buf out = {0};
    assert_int_equal(rumors_take_unpushed(&rumors, 1, NOW, &out), 2);
    assert_int_equal(take(&rumors, 6, text, sizeof(text)), 2); /* 10 of 12 were told */
    rumors_check(&rumors);
    buf_close(&out);
    rumors_close(&rumors);
}

static void a_greater_account_takes_the_place_of_smaller_ones(void **state)
{
    (void)state;
    struct rumors rumors;
    rumors_init(&rumors);
    struct news news = about(&one, MEMBER_SUSPECT, 1);
    news.by = SPAN_LITERAL("x:1");
    rumors_add(&rumors, &one, &news, 40, NOW);
    rumors_add(&rumors, &one, &news, 40, NOW); /* the same from the same: one */
    news.by = SPAN_LITERAL("y:1");
    rumors_add(&rumors, &one, &news, 40, NOW); /* another reporter: both */
    struct news of_other = about(&other, MEMBER_ALIVE, 0);
    rumors_add(&rumors, &other, &of_other, 40, NOW);
    assert_int_equal(rumors.count, 3);
    news = about(&one, MEMBER_ALIVE, 2);
    rumors_add(&rumors, &one, &news, 40, NOW);
    assert_int_equal(rumors.count, 2);
    char text[256];
    assert_int_equal(take(&rumors, 6, text, sizeof(text)), 2);
    assert_string_equal(text, "ALIVE a:1 5 0000000000000000 2 0 0 1 0\n"
                              "ALIVE b:1 5 0000000000000000 0 0 0 1 0\n");
    rumors_forget(&rumors, &one);
    assert_int_equal(rumors.count, 1);
    rumors_close(&rumors);
}

static void ages_grow_while_a_rumor_waits(void **state)
{
    (void)state;
    struct rumors rumors;
    rumors_init(&rumors);
    struct news news = about(&one, MEMBER_SUSPECT, 0);
    news.age_ms = 700;
    news.since_ms = 40;
    news.hops = 2;
    rumors_add(&rumors, &one, &news, 40, NOW - 1000);
    char text[256];
    take(&rumors, 1, text, sizeof(text));
    assert_string_equal(text, "SUSPECT a:1 5 0000000000000000 0 0 1700 1 2 silent 1040 -\n");
    rumors_close(&rumors);
}

static void a_rumor_passed_on_too_often_is_not_kept(void **state)
{
    (void)state;
    struct rumors rumors;
    rumors_init(&rumors);
    struct news news = about(&one, MEMBER_ALIVE, 0);
    news.hops = NEWS_HOPS_MAX + 1;
    rumors_add(&rumors, &one, &news, VIEW_MEMBERS_MAX, NOW);
    news.hops = 30;
    rumors_add(&rumors, &one, &news, 40, NOW); /* 12 + 8 are allowed */
    assert_int_equal(rumors.count, 0);
    news.hops = 20;
    rumors_add(&rumors, &one, &news, 40, NOW);
    assert_int_equal(rumors.count, 1);
    rumors_close(&rumors);
}

static void the_queue_is_bounded_and_the_one_told_most_gives_way(void **state)
{
    (void)state;
    struct rumors rumors;
    rumors_init(&rumors);
    static struct account records[RUMORS_MAX + 10];
    static char names[RUMORS_MAX + 10][16];
    char text[256];
    for (uint32_t i = 0; i < RUMORS_MAX + 10; i++) {
        snprintf(names[i], sizeof(names[i]), "n%u:1", i);
        records[i].name = names[i];
        struct news news = about(&records[i], MEMBER_ALIVE, 0);
        rumors_add(&rumors, &records[i], &news, 40, NOW);
        if (i == 5)
            take(&rumors, 1, text, sizeof(text)); /* n5 is told once */
    }
    assert_int_equal(rumors.count, RUMORS_MAX);
    rumors_check(&rumors);
    for (struct list *link = rumors.queue.next; link != &rumors.queue; link = link->next)
        assert_string_not_equal(CONTAINER_OF(link, struct rumor, link)->about->name, "n5:1");
    rumors_close(&rumors);
}

static void a_push_fits_a_frame(void **state)
{
    (void)state;
    struct rumors rumors;
    rumors_init(&rumors);
    static struct account records[RUMORS_MAX];
    static char names[RUMORS_MAX][16];
    for (uint32_t i = 0; i < RUMORS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "n%u:1", i);
        records[i].name = names[i];
        struct news news = about(&records[i], MEMBER_SUSPECT, 0);
        rumors_add(&rumors, &records[i], &news, 40, NOW);
    }
    uint32_t pushed = 0;
    while (rumors.unpushed > 0) {
        struct buf out = {0};
        uint32_t taken = rumors_take_unpushed(&rumors, 4, NOW, &out);
        assert_true(taken > 0);
        assert_true(buf_len(&out) <= RUMORS_PUSH_BYTES + NEWS_LINE_BYTES_MAX);
        pushed += taken;
        buf_close(&out);
    }
    assert_int_equal(pushed, RUMORS_MAX);
    rumors_check(&rumors);
    rumors_close(&rumors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rumor_is_told_twice_the_logarithm_of_the_members),
        cmocka_unit_test(a_push_counts_for_all_it_goes_to_and_happens_once),
        cmocka_unit_test(a_rumor_is_kept_until_it_is_pushed_and_as_the_cluster_is_then),
        cmocka_unit_test(a_greater_account_takes_the_place_of_smaller_ones),
        cmocka_unit_test(ages_grow_while_a_rumor_waits),
        cmocka_unit_test(a_rumor_passed_on_too_often_is_not_kept),
        cmocka_unit_test(the_queue_is_bounded_and_the_one_told_most_gives_way),
        cmocka_unit_test(a_push_fits_a_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
