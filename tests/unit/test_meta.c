/* The meta commands: what a client types, and what memcached answers. */
#include "common/base64.h"
#include "tests/unit/executing.h"

static void mg_returns_what_was_asked_for_in_order(void **state)
{
    static const struct line lines[] = {
        {"mg a", "EN"},
        {"mg a k Oq", "EN ka Oq"},
        {"mg a Oq v k", "EN Oq ka"},
        {"mg a q k", ""},
        {"set a 5 0 3\r\none", "STORED"},
        {"mg a", "HD"},
        {"mg a v", "VA 3\r\none"},
        {"mg a s f t k Oabc", "HD s3 f5 t-1 ka Oabc"},
        {"mg a Oabc k t f s v", "VA 3 Oabc ka t-1 f5 s3\r\none"},
        {"mg a q k", "HD ka"},
        {"mg a q v", "VA 3\r\none"},
        {"mg a P/x Lz s", "HD s3"},
        {"mg a I D1 J2 F3 C4 MI s", "HD s3"}, /* known letters that mean nothing here */
        {"set a 0 0 0\r\n", "STORED"},
        {"mg a s v", "VA 0 s0\r\n"},
    };
    EXPECT_LINES(*state, lines);
}

static void mg_shows_the_access_before_this_one(void **state)
{
    struct stage *stage = *state;
    EXPECT(stage, "set a 0 0 1\r\nx", "STORED");
    EXPECT(stage, "mg a h l u", "HD h0 l0");
    pass_s(stage, 5);
    EXPECT(stage, "mg a h l u", "HD h0 l5");
    EXPECT(stage, "mg a h T30 u", "HD h0");
    EXPECT(stage, "mg a h l", "HD h0 l5");
    EXPECT(stage, "mg a h l", "HD h1 l0");
    EXPECT(stage, "append a 0 0 1\r\nx", "STORED");
    EXPECT(stage, "mg a h", "HD h0");
}

static void mg_carries_out_flags_in_their_order(void **state)
{
    struct stage *stage = *state;
    static const struct line lines[] = {
        {"set a 0 0 1\r\nx", "STORED"},
        {"mg a t T30", "HD t-1"},
        {"mg a T60 t", "HD t60"},
        {"mg a t", "HD t60"},
        {"mg a T0 t", "HD t-1"},
        {"mg new N30 t", "HD t30 W"},
        {"mg late t N30", "HD t-1 W"},
        {"mg late t", "HD t30 Z"},
        {"mg both N30 T60 t", "HD t60 W"},
        {"mg other T60 N30 t", "HD t30 W"},
        {"mg both t", "HD t60 Z"},
        {"mg other t", "HD t30 Z"},
        {"mg a T-1 v", "VA 1\r\nx"},
        {"mg a", "EN"},
        {"mg a T30", "EN"},
    };
    EXPECT_LINES(stage, lines);
    assert_int_equal(stage->stats.touch_hits, 6);
    assert_int_equal(stage->stats.get_misses, 2);
}

static void mg_vivifies_once(void **state)
{
    struct stage *stage = *state;
    static const struct line lines[] = {
        {"mg a N30 v t s f h k", "VA 0 t30 s0 f0 h0 ka W\r\n"},
        {"mg a N90 v t h", "VA 0 t30 h1 Z\r\n"},
        {"mg b N30 u", "HD W"},
        {"mg b h u", "HD h0 Z"},
        {"ms a 4 T20\r\nreal", "HD"},
        {"mg a N30 v t", "VA 4 t20\r\nreal"},
        {"mg c N-1 v", "VA 0 W\r\n"},
        {"mg c", "EN"},
        {"mg d N0 t", "HD t-1 W"},
        {"mg e N30 E77 c", "HD c77 W"},
        {"mg e c", "HD c77 Z"},
        {"mg f N30 q", "HD W"},
    };
    EXPECT_LINES(stage, lines);
    uint64_t cas = cas_of(stage, "b");
    EXPECT(stage, "mg g N30", "HD W");
    assert_true(cas_of(stage, "g") != 0);
    assert_int_equal(cas_of(stage, "b"), cas);
    pass_s(stage, 30);
    EXPECT(stage, "mg b N30", "HD W"); /* its time was over: won anew */
}

static void mg_lets_one_client_recache(void **state)
{
    static const struct line lines[] = {
        {"set a 0 30 1\r\nx", "STORED"},
        {"mg a R30", "HD"}, /* 30 s are left: not below 30 */
        {"mg a R31 t", "HD t30 W"},
        {"mg a R31", "HD Z"},
        {"mg a v", "VA 1 Z\r\nx"},
        {"ms a 1 T30\r\ny", "HD"},
        {"mg a T10 R20 t", "HD t10 W"},
        {"ms a 1 T30\r\ny", "HD"},
        {"mg a R20 T10", "HD"}, /* R looked at the old time */
        {"mg a R0", "HD"},
        {"mg a R-1", "HD"},
        {"set b 0 0 1\r\nx", "STORED"},
        {"mg b R100", "HD"},
        {"set c 0 5 1\r\nx", "STORED"},
        {"mg c R100 u h", "HD h0 W"},
        {"mg c u h", "HD h0 Z"},
    };
    EXPECT_LINES(*state, lines);
}

static void md_invalidates(void **state)
{
    struct stage *stage = *state;
    static const struct line lines[] = {
        {"set a 7 60 1\r\nx", "STORED"},
        {"get a", "VALUE a 7 1\r\nx\r\nEND"},
        {"md a I k Oq", "HD ka Oq"},
        {"mg a v t f h", "VA 1 t60 f7 h1 X W\r\nx"},
        {"mg a v", "VA 1 Z X\r\nx"},
        {"md a I T90", "HD"},
        {"mg a v t f", "VA 1 t90 f7 X W\r\nx"},
        {"md a I q", ""},
        {"mg a", "HD X W"},
        {"ms a 1 T30\r\ny", "HD"},
        {"mg a v", "VA 1\r\ny"},
        {"md a I E500", "HD"},
        {"mg a c", "HD c500 X W"},
        {"md a I T-1", "HD"},
        {"mg a", "EN"},
        {"md a I", "NF"},
    };
    EXPECT_LINES(stage, lines);
    assert_int_equal(stage->stats.delete_hits, 0);
    assert_int_equal(stage->stats.delete_misses, 1);
}

static void a_stale_item_stays_so_while_its_value_does(void **state)
{
    static const struct line lines[] = {
        {"set a 0 0 2\r\n10", "STORED"},
        {"md a I", "HD"},
        {"incr a 1", "11"},
        {"mg a v", "VA 2 X W\r\n11"},
        {"ma a", "HD"},
        {"mg a v", "VA 2 Z X\r\n12"},
        {"touch a 10", "TOUCHED"},
        {"mg a", "HD Z X"},
        {"incr a 100", "112"},
        {"mg a", "HD"}, /* longer: a new item, as memcached's */
        {"md a I", "HD"},
        {"append a 0 0 1\r\n0", "STORED"},
        {"mg a v", "VA 4\r\n1120"},
    };
    EXPECT_LINES(*state, lines);
}

static void md_deletes(void **state)
{
    struct stage *stage = *state;
    static const struct line lines[] = {
        {"md a", "NF"},
        {"md a k Oq q", "NF ka Oq"},
        {"ms a 1 E100\r\nx", "HD"},
        {"md a C99 k", "EX ka"},
        {"md a C0", "EX"},
        {"md a q C1", "EX"},
        {"mg a c", "HD c100"},
        {"md a C100 k Oq", "HD ka Oq"},
        {"mg a", "EN"},
        {"set a 0 0 1\r\nx", "STORED"},
        {"md a T90 q", ""}, /* T alone means nothing */
        {"mg a", "EN"},
    };
    EXPECT_LINES(stage, lines);
    assert_int_equal(stage->stats.delete_hits, 2);
    assert_int_equal(stage->stats.delete_misses, 5);
}

static void md_x_drops_the_value_only(void **state)
{
    struct stage *stage = *state;
    static const struct line lines[] = {
        {"md a x", "NF"},
        {"ms a 3 F7 T60 E100\r\none", "HD"},
        {"md a x", "HD"},
        {"mg a v f t c", "VA 0 f0 t-1 c100\r\n"},
        {"md a x F9 T30 E200", "HD"},
        {"mg a v f t c", "VA 0 f9 t30 c200\r\n"},
        {"ms a 3\r\none", "HD"},
        {"md a x I C1", "EX"},
        {"md a x I q", ""},
        {"mg a v h", "VA 0 h0 X W\r\n"},
    };
    EXPECT_LINES(stage, lines);
    uint64_t cas = cas_of(stage, "a");
    EXPECT(stage, "md a x I", "HD");
    assert_true(cas_of(stage, "a") > cas);
    assert_int_equal(stage->stats.delete_hits, 2);
}

static void ms_modes(void **state)
{
    static const struct line lines[] = {
        {"ms a 1 MR k\r\nx", "NS ka"},
        {"ms a 1 MA\r\nx", "NS"},
        {"ms a 1 MP\r\nx", "NS"},
        {"ms a 1 ME F3 T60\r\nx", "HD"},
        {"mg a v f t", "VA 1 f3 t60\r\nx"},
        {"ms a 1 ME q\r\ny", "NS"},
        {"ms a 2 MA s F9 T5\r\nyz", "HD s3"},
        {"ms a 2 MP s Oq k\r\nvw", "HD s5 Oq ka"},
        {"mg a v f t", "VA 5 f3 t60\r\nvwxyz"},
        {"ms a 2 MR s\r\nrr", "HD s2"},
        {"mg a v f t", "VA 2 f0 t-1\r\nrr"},
        {"ms a 2 MS\r\nss", "HD"},
        {"ms a 3 F4294967295 T9\r\nttt", "HD"},
        {"mg a v f t", "VA 3 f4294967295 t9\r\nttt"},
        {"ms a 1 q\r\nu", ""},
        {"ms a 0\r\n", "HD"},
        {"mg a v", "VA 0\r\n"},
        {"ms a 1 ME c s k\r\nx", "NS c0 s1 ka"},
        {"ms a 1 T-1\r\nx", "HD"},
        {"mg a", "EN"},
    };
    EXPECT_LINES(*state, lines);
}

static void ms_appends_to_nothing_with_n(void **state)
{
    static const struct line lines[] = {
        {"ms a 1 MA N30 F5 T90 s\r\nx", "HD s1"},
        {"mg a v t f", "VA 1 t30 f5\r\nx"},
        {"ms a 1 MA N90\r\ny", "HD"},
        {"mg a v t f", "VA 2 t30 f5\r\nxy"},
        {"ms b 1 MP N0\r\nx", "HD"},
        {"mg b v t", "VA 1 t-1\r\nx"},
        {"ms c 1 MR N30\r\nx", "NS"},
        {"ms d 1 MA C5 N30\r\nx", "HD"},
    };
    EXPECT_LINES(*state, lines);
}

static void ms_compares(void **state)
{
    struct stage *stage = *state;
    static const struct line lines[] = {
        {"ms a 1 C5 k c\r\nx", "NF ka c0"},
        {"ms a 1 MA C5 k\r\nx", "NS ka"},
        {"ms a 1 ME C5 E100\r\nx", "HD"}, /* add compares nothing */
        {"ms a 1 C99 c\r\ny", "EX c0"},
        {"ms a 1 C0\r\ny", "EX"},
        {"ms a 1 C100 E200 c\r\ny", "HD c200"},
        {"ms a 1 MR C100\r\nz", "EX"},
        {"ms a 1 MR C200 E300 c\r\nz", "HD c300"},
        {"ms a 1 MA C200 c\r\nz", "EX c0"},
        {"ms a 1 MA C300 E400 c\r\nz", "HD c400"},
        {"ms a 1 MP C0 E500 c\r\nz", "HD c500"}, /* no comparison */
        {"ms a 1 ME C500\r\nz", "NS"},
        {"mg a v c", "VA 3 c500\r\nzzz"},
    };
    EXPECT_LINES(stage, lines);
    assert_int_equal(stage->stats.cas_misses, 1);
    assert_int_equal(stage->stats.cas_badval, 3);
    assert_int_equal(stage->stats.cas_hits, 2);
}

static void ms_i_lets_a_late_winner_store_what_is_stale(void **state)
{
    static const struct line lines[] = {
        {"ms a 1 T60 E1000\r\nx", "HD"},
        {"ms a 1 I C1001\r\ny", "EX"},
        {"ms a 1 I C0\r\ny", "EX"},
        {"ms a 1 I C999 T500 F3 E2000 c\r\ny", "HD c2000"},
        {"mg a v t f c", "VA 1 t60 f3 c2000 X W\r\ny"},
        {"ms a 1 I C1999\r\nz", "HD"},
        {"mg a v", "VA 1 Z X\r\nz"}, /* who won still has won */
        {"ms b 1 E1000\r\nx", "HD"},
        {"ms b 1 I C1000\r\ny", "HD"},
        {"mg b v", "VA 1\r\ny"},
        {"ms b 1 E1000\r\nx", "HD"},
        {"ms b 1 MA I C999\r\ny", "EX"}, /* only where a value is replaced */
    };
    EXPECT_LINES(*state, lines);
}

static void ma_counts(void **state)
{
    struct stage *stage = *state;
    static const struct line lines[] = {
        {"ma a", "NF"},
        {"ma a q k Ox", "NF ka Ox"},
        {"ma a MD", "NF"},
        {"set a 7 60 2\r\n10", "STORED"},
        {"ma a", "HD"},
        {"ma a v", "VA 2\r\n12"},
        {"ma a D5 v t k Ox", "VA 2 t60 ka Ox\r\n17"},
        {"ma a MI D3 v", "VA 2\r\n20"},
        {"ma a M+ v", "VA 2\r\n21"},
        {"ma a MD D15 v", "VA 1\r\n6"},
        {"ma a M- D1 v", "VA 1\r\n5"},
        {"mg a v f", "VA 2 f7\r\n5 "},
        {"ma a MD D50 v", "VA 1\r\n0"},
        {"ma a D18446744073709551615 v", "VA 20\r\n18446744073709551615"},
        {"ma a v", "VA 1\r\n0"},
        {"ma a q", ""},
        {"ma a q v", ""},
        {"ma a E900 c v", "VA 1 c900\r\n3"},
        {"ma a C899 k", "EX ka"},
        {"ma a C899 q", "EX"},
        {"ma a C900 v", "VA 1\r\n4"},
        {"ma a C0 v", "VA 1\r\n5"}, /* no comparison */
    };
    EXPECT_LINES(stage, lines);
    assert_int_equal(stage->stats.incr_misses, 2);
    assert_int_equal(stage->stats.decr_misses, 1);
    assert_int_equal(stage->stats.decr_hits, 3);
}

static void ma_refuses_what_is_no_number(void **state)
{
    static const struct line lines[] = {
        {"set a 0 0 3\r\nabc", "STORED"},
        {"ma a q", "CLIENT_ERROR cannot increment or decrement non-numeric value"},
        {"ma a C1", "EX"},
        {"set a 0 0 0\r\n", "STORED"},
        {"ma a C1", "CLIENT_ERROR cannot increment or decrement non-numeric value"},
    };
    EXPECT_LINES(*state, lines);
}

static void ma_vivifies_and_touches(void **state)
{
    static const struct line lines[] = {
        {"ma a N30 J13 D5 v t", "VA 2 t30\r\n13"},
        {"ma a N90 D5 v t", "VA 2 t30\r\n18"},
        {"ma a t T60", "HD t30"},
        {"ma a T90 t", "HD t90"},
        {"mg a v t", "VA 2 t90\r\n20"},
        {"ma b N30 q v", "VA 1\r\n0"}, /* what was created is told in spite of q */
        {"ma c N0 q", "HD"},
        {"ma d N30 T60 t", "HD t60"},
        {"ma e T60 N30 t", "HD t30"},
        {"mg e t", "HD t30"},
        {"ma f N30 E44 c", "HD c44"},
        {"mg f c f", "HD c44 f0"},
        {"ma g N-1 v", "VA 1\r\n0"},
        {"mg g", "EN"},
        {"ma a T-1 v", "VA 2\r\n21"},
        {"mg a", "EN"},
    };
    EXPECT_LINES(*state, lines);
}

static void base64_keys_are_told_as_they_were_asked(void **state)
{
    static const struct line lines[] = {
        {"mg Zm9v b k Ox", "EN kZm9v b Ox"},
        {"ms Zm9v 1 b k\r\nx", "HD kZm9v b"},
        {"mg Zm9v b v k s", "VA 1 kZm9v b s1\r\nx"},
        {"mg foo v k", "VA 1 kfoo\r\nx"},
        {"ms AAEC/w== 1 k b\r\ny", "HD kAAEC/w== b"},
        {"mg AAEC/w== b k", "HD kAAEC/w== b"},
        {"ma YmFy b N0 k v", "VA 1 kYmFy b\r\n0"},
        {"ma bar k v", "VA 1 kbar\r\n1"},
        {"md YmFy k b", "HD kYmFy b"},
        {"md YmFy b k", "NF kYmFy b"},
    };
    EXPECT_LINES(*state, lines);
}

/* As many flags as there are, with their longest arguments. */
static void the_longest_answers_fit(void **state)
{
#define LONG_OPAQUE "Oabcdefghijklmnopqrstuvwxyz12345"
    struct stage *stage = *state;
    char bytes[KEY_BYTES_MAX];
    memset(bytes, 'y', sizeof(bytes));
    char keys[2][KEY_BYTES_MAX + 1] = {{0}};
    memset(keys[0], 'y', KEY_BYTES_MAX);
    base64_encode(span_of(bytes, KEY_BYTES_MAX / 4 * 3), keys[1]);
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        const char *mark = i == 0 ? "" : " b";
        char request[1024];
        snprintf(request, sizeof(request), "ms %s 1%s F4294967295 E18446744073709551615\r\nx",
                 keys[i], mark);
        EXPECT(stage, request, "HD");
        snprintf(request, sizeof(request), "mg %s%s T2592000 s t c f l h k " LONG_OPAQUE " v u",
                 keys[i], mark);
        char answer[1024];
        snprintf(answer, sizeof(answer),
                 "VA 1 s1 t2592000 c18446744073709551615 f4294967295 l0 h0 k%s%s " LONG_OPAQUE
                 "\r\nx",
                 keys[i], mark);
        EXPECT(stage, request, answer);
    }
}

static void me_tells_without_touching(void **state)
{
    struct stage *stage = *state;
    EXPECT(stage, "me a", "EN");
    EXPECT(stage, "ms foo 1 E55\r\nx", "HD");
    pass_s(stage, 3);
    unsigned bytes;
    assert_int_equal(
        sscanf(ask(stage, "me foo"), "ME foo exp=-1 la=3 cas=55 fetch=no cls=1 size=%u", &bytes),
        1);
    assert_in_range(bytes, 4, 100);
    char wanted[200];
    EXPECT(stage, "mg foo T20", "HD");
    pass_s(stage, 5);
    (void)ask(stage, "me foo");
    assert_non_null(strstr(stage->answer, "ME foo exp=-15 la=5 cas=55 fetch=yes cls=1 size="));
    snprintf(wanted, sizeof(wanted), "ME Zm9v %s", strstr(stage->answer, "exp="));
    assert_string_equal(ask(stage, "me Zm9v b"), wanted);
    assert_int_equal(stage->stats.cmd_meta, 4);
}

static void ms_too_large_removes_in_every_mode(void **state)
{
    struct stage *stage = *state;
    static const char *const lines[] = {"ms a 1048577", "ms a 1048577 ME", "ms a 1048577 MR k",
                                        "ms a 1048577 MA q", "ms a 1048577 MP"};
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++) {
        EXPECT(stage, "set a 0 0 1\r\nx", "STORED");
        assert_string_equal(ask_with_body(stage, lines[i], VALUE_MAX + 1),
                            "SERVER_ERROR object too large for cache\r\n");
        EXPECT(stage, "mg a", "EN");
    }
    assert_string_equal(ask_with_body(stage, "ms a 600000", 600000), "HD\r\n");
    assert_string_equal(ask_with_body(stage, "ms a 600000 MA k q", 600000), "NS ka\r\n");
    assert_string_equal(ask_with_body(stage, "ms a 600000 MP s", 600000), "NS s600000\r\n");
}

static void mg_returns_large_values_whole(void **state)
{
    struct stage *stage = *state;
    static const char *const requests[] = {"mg a v\r\n", "mg a v T60\r\n", "mg a v T-1\r\n"};
    for (size_t i = 0; i < ARRAY_COUNT(requests); i++) {
        assert_string_equal(ask_with_body(stage, "ms a 70000", 70000), "HD\r\n");
        const char *answer = ask_bytes(stage, requests[i], strlen(requests[i]));
        assert_memory_equal(answer, "VA 70000\r\n", 10);
        assert_int_equal(strspn(answer + 10, "x"), 70000);
        assert_string_equal(answer + 10 + 70000, "\r\n");
        EXPECT(stage, "mg a s", i < 2 ? "HD s70000" : "EN");
    }
}

static void a_full_store_refuses_and_keeps_what_is_there(void **state)
{
    (void)state;
    static const char *const refused[] = {"mg a T30 v t",
                                          "ma new N30",
                                          "ma new N30 q v",
                                          "md a I E5",
                                          "ms new 1\r\nx",
                                          "ms new 1 q\r\nx",
                                          "ms a 30 MA k\r\n0123456789abcdefghijklmnopqrst"};
    struct stage stage;
    stage_open(&stage, 8 * 1024 * 1024);
    EXPECT(&stage, "ms a 1 F3\r\n9", "HD");
    uint64_t cas = cas_of(&stage, "a");
    fill(&stage);
    uint64_t refusals = stage.stats.store_no_memory;
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        EXPECT(&stage, refused[i], "SERVER_ERROR out of memory storing object");
        EXPECT(&stage, "mg a v f t h u", "VA 1 f3 t-1 h0\r\n9");
        assert_int_equal(cas_of(&stage, "a"), cas);
    }
    EXPECT(&stage, "mg new N30", "EN"); /* nothing to win: a plain miss */
    assert_int_equal(stage.stats.store_no_memory, refusals + ARRAY_COUNT(refused) + 1);
    EXPECT(&stage, "md a I", "HD");
    EXPECT(&stage, "mg a v", "VA 1 X W\r\n9");
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAY(mg_returns_what_was_asked_for_in_order),
        PLAY(mg_shows_the_access_before_this_one),
        PLAY(mg_carries_out_flags_in_their_order),
        PLAY(mg_vivifies_once),
        PLAY(mg_lets_one_client_recache),
        PLAY(md_invalidates),
        PLAY(a_stale_item_stays_so_while_its_value_does),
        PLAY(md_deletes),
        PLAY(md_x_drops_the_value_only),
        PLAY(ms_modes),
        PLAY(ms_appends_to_nothing_with_n),
        PLAY(ms_compares),
        PLAY(ms_i_lets_a_late_winner_store_what_is_stale),
        PLAY(ma_counts),
        PLAY(ma_refuses_what_is_no_number),
        PLAY(ma_vivifies_and_touches),
        PLAY(base64_keys_are_told_as_they_were_asked),
        PLAY(the_longest_answers_fit),
        PLAY(me_tells_without_touching),
        PLAY(ms_too_large_removes_in_every_mode),
        PLAY(mg_returns_large_values_whole),
        cmocka_unit_test(a_full_store_refuses_and_keeps_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
