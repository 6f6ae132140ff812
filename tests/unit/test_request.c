/* The request parser: every command and every refusal as memcached 1.6.18 has them (its answers
 * were taken from the wire), each read whole and cut at every byte. tests/request_story.h says how
 * a story reads. */
#include "common/prng.h"
#include "tests/request_story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define VALUE_BYTES_MAX 20u

#define TEN       "kkkkkkkkkk"
#define FIFTY     TEN TEN TEN TEN TEN
#define KEY_250   FIFTY FIFTY FIFTY FIFTY FIFTY
#define FORMAT    "!CLIENT_ERROR bad command line format"
#define DATA      "!CLIENT_ERROR bad data chunk"
#define EXPTIME   "!CLIENT_ERROR invalid exptime argument"
#define TOKEN     "!CLIENT_ERROR bad token in command line format"
#define FLAG      "!CLIENT_ERROR invalid flag"
#define TWICE     "!CLIENT_ERROR duplicate flag"
#define USAGE     "!CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]"
#define OPAQUE_31 TEN TEN TEN "k"

struct a_case {
    const char *in;
    const char *story;
};

static char *story_of(struct span in, size_t cut, uint32_t value_bytes_max)
{
    struct story_feed feed = {.limits = {.value_bytes_max = value_bytes_max}};
    story_feed(&feed, span_of(in.data, cut));
    if (cut < in.len)
        story_feed(&feed, span_of(in.data + cut, in.len - cut));
    return story_end(&feed).data;
}

static char *story_byte_by_byte(struct span in)
{
    struct story_feed feed = {.limits = {.value_bytes_max = VALUE_BYTES_MAX}};
    for (size_t i = 0; i < in.len; i++)
        story_feed(&feed, span_of(in.data + i, 1));
    return story_end(&feed).data;
}

static void compare(struct span in, const char *how, char *story, const char *expected)
{
    if (strcmp(story, expected) != 0)
        fail_msg("%.*s\n%s: %s\nnot:  %s", (int)in.len, in.data, how, story, expected);
    free(story);
}

static void check_span(struct span in, const char *expected)
{
    for (size_t cut = 0; cut <= in.len; cut++) {
        char how[32];
        snprintf(how, sizeof(how), "cut at %zu", cut);
        compare(in, how, story_of(in, cut, VALUE_BYTES_MAX), expected);
    }
    compare(in, "byte by byte", story_byte_by_byte(in), expected);
}

static void check_cases(const struct a_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_span(span_of_string(cases[i].in), cases[i].story);
}

#define CHECK_CASES(cases) check_cases(cases, ARRAY_COUNT(cases))

static void lines_end_in_lf_with_or_without_cr(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"", ""},
        {"get a", "..."},
        {"get a\r", "..."},
        {"get a\r\n", "get a"},
        {"get a\n", "get a"},
        {"get a\r\r\n", "get a<0d>"},
        {"get a\rb\r\n", "get a<0d>b"},
        {"get a \r b\r\n", "get a+ | get <0d>+ | get b"},
        {"\r\n", "!ERROR"},
        {"\n", "!ERROR"},
        {" \r\n", "!ERROR"},
        {"mn\r\nmn\nmn\r\n", "mn | mn | mn"},
        {"mn\r\n\r\nmn\r\nm", "mn | !ERROR | mn..."},
    };
    CHECK_CASES(cases);
}

static void words_are_separated_by_spaces_alone(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"  get  a  \r\n", "get a"},
        {"get\ta\r\n", "!ERROR"},
        {"get a\tb\r\n", "get a<09>b"},
        {"set k\t1 \t2 3\v4 +1\r\na\r\n", "set k<09>1 flags=2 exptime=3 [a]"},
        {"set k 0 0 1 \r\na\r\n", "set k [a]"},
        {"delete  k   noreply  \r\n", "delete k noreply"},
        {"mg  a   v  \r\n", "mg a {v}"},
    };
    CHECK_CASES(cases);
}

static void a_nul_ends_the_line(void **state)
{
    (void)state;
    static const struct {
        struct span in;
        const char *story;
    } cases[] = {
        {SPAN_LITERAL("get a\0b\r\nmn\r\n"), "get a | mn"},
        {SPAN_LITERAL("get a b\0c d\r\nmn\r\n"), "get a+ | get b | mn"},
        {SPAN_LITERAL("get a b \0c d\r\nmn\r\n"), "get a+ | get b | mn"},
        {SPAN_LITERAL("get a \0\r\nmn\r\n"), "get a | mn"},
        {SPAN_LITERAL("get \0a\r\nmn\r\n"), "!ERROR | mn"},
        {SPAN_LITERAL("\0get a\r\nmn\r\n"), "!ERROR | mn"},
        {SPAN_LITERAL("set k 0 0 1\0 x y z\r\na\r\n"), "set k [a]"},
        {SPAN_LITERAL("set k 0 0 3\r\na\0b\r\n"), "set k [a<00>b]"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        check_span(cases[i].in, cases[i].story);
}

static void words_are_known_in_either_case(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"GET a\r\n", "get a"},
        {"gEtS a\r\n", "gets a"},
        {"PUT k 0 0 1\r\na\r\n", "set k [a]"},
        {"put k 0 0 1\r\na\r\n", "set k [a]"},
        {"REMOVE k\r\n", "delete k"},
        {"MG a v\r\n", "mg a {v}"},
        {"FLUSH_ALL\r\n", "flush_all"},
        {"flush\x7f"
         "all\r\n",
         "!ERROR"},
        {"Verbosity 1\r\n", "verbosity number=1"},
        {"g\r\n", "!ERROR"},
        {"ge a\r\n", "!ERROR"},
        {"getx a\r\n", "!ERROR"},
        {"bget a\r\n", "!ERROR"},
        {"verbosityx 1\r\n", "!ERROR"},
        {"mx a\r\n", "!ERROR"},
        {"mgx a\r\n", "!ERROR"},
        {"set k 0 0 1 NOREPLY\r\na\r\n", "set k [a]"},
        {"Get_Membership_List\r\n", "get_membership_list"},
        {"get_membership_lists\r\n", "!ERROR"},
    };
    CHECK_CASES(cases);
}

static void a_retrieval_is_given_out_key_by_key(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"get\r\n", "!ERROR"},
        {"gets \r\n", "!ERROR"},
        {"get a\r\nget b\r\n", "get a | get b"},
        {"get a b\r\n", "get a+ | get b"},
        {"get a b \r\n", "get a+ | get b"},
        {"get  a  b  c  \nmn\n", "get a+ | get b+ | get c | mn"},
        {"gets a a\r\n", "gets a+ | gets a"},
        {"get a \rb\r\n", "get a+ | get <0d>b"},
        {"get " KEY_250 "\r\n", "get " KEY_250},
        {"get " KEY_250 "k\r\nmn\r\n", FORMAT " | mn"},
        {"get a b " KEY_250 "k c\r\nmn\r\n", FORMAT " | mn"},
        {"get a " KEY_250 "\r\n", "get a+ | get " KEY_250},
        /* A line of several keys is checked in stretches: a long one may stand anywhere. */
        {"get a b " KEY_250 " " KEY_250 " c\r\n",
         "get a+ | get b+ | get " KEY_250 "+ | get " KEY_250 "+ | get c"},
        {"get a b " KEY_250 " " KEY_250 "k\r\nmn\r\n", FORMAT " | mn"},
        {"get a b " KEY_250 "  " KEY_250 " " KEY_250 "k\r\nmn\r\n", FORMAT " | mn"},
        {"get a b " KEY_250 " c " KEY_250 "k d\r\nmn\r\n", FORMAT " | mn"},
        {"gat\r\n", "!ERROR"},
        {"gat 0\r\n", "!END"},
        {"gats -1 \r\n", "!END"},
        {"gat 5 a\r\n", "gat a exptime=5"},
        {"gats -5 a b\r\n", "gats a+ exptime=-5 | gats b exptime=-5"},
        {"gat 4294967297 a\r\nget a\r\n", "gat a exptime=1 | get a"},
        {"gat 2147483648 a\r\n", "gat a exptime=-2147483648"},
        {"gat x a\r\n", EXPTIME},
        {"gat 1x a\r\n", EXPTIME},
        {"gats a\r\n", EXPTIME},
        {"gat 99999999999999999999 a\r\n", EXPTIME},
        {"gat x " KEY_250 "k\r\n", EXPTIME},
        {"gat 0 a " KEY_250 "k\r\n", FORMAT},
    };
    CHECK_CASES(cases);
}

static void a_store_has_a_line_and_a_body(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"set k 0 0 3\r\nabc\r\n", "set k [abc]"},
        {"add k 1 2 0\r\n\r\nmn\r\n", "add k flags=1 exptime=2 [] | mn"},
        {"replace k 4294967295 -1 1\r\na\r\n", "replace k flags=4294967295 exptime=-1 [a]"},
        {"append k 0 0 4\r\na\r\nb\r\nmn\r\n", "append k [a<0d><0a>b] | mn"},
        {"prepend k 0 0 1 noreply\r\na\r\n", "prepend k noreply [a]"},
        {"set k 0 0 1 foo\r\na\r\n", "set k [a]"},
        {"set k 4294967297 4294967298 4294967299\r\nabc\r\n", "set k flags=1 exptime=2 [abc]"},
        {"set k 18446744073709551615 0 1\r\na\r\n", "set k flags=4294967295 [a]"},
        {"cas k 1 2 1 18446744073709551615\r\na\r\n",
         "cas k flags=1 exptime=2 number=18446744073709551615 [a]"},
        {"cas k 0 0 1 7 noreply\r\na\r\n", "cas k number=7 noreply [a]"},
        {"cas k 0 0 1 7 foo\r\na\r\n", "cas k number=7 [a]"},
        {"set " KEY_250 " 0 0 1\r\na\r\n", "set " KEY_250 " [a]"},
        {"set k 0 0 3\r\nabc", "..."},
    };
    CHECK_CASES(cases);
}

static void a_bare_lf_ends_a_body_too(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"set k 0 0 3\nabc\nmn\n", "set k [abc] | mn"},
        {"set k 0 0 3\r\nabc\nmn\r\n", "set k [abc] | mn"},
        {"set k 0 0 3\r\na\nc\n", "set k [a<0a>c]"},
        {"set k 0 0 0\n\nmn\n", "set k [] | mn"},
        {"set k 0 0 3\r\nab\r\r\nmn\r\n", "set k [ab<0d>] | mn"},
        {"ms k 0\n\nmn\n", "ms k {} [] | mn"},
        {"set k 0 0 21\nabcdefghijklmnopqrstu\nmn\n", "set k too_large | mn"},
    };
    CHECK_CASES(cases);
}

static void a_body_of_another_length_is_refused(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"set k 0 0 3\r\nabcd\r\nmn\r\n", DATA " | !ERROR | mn"},
        {"set k 0 0 3\r\nab\r\nmn\r\nmn\r\n", DATA " | !ERROR | mn"},
        {"set k 0 0 3\r\nabc\rmn\r\n", DATA " | !ERROR"},
        {"set k 0 0 3 noreply\r\nabcde\r\nmn\r\n", "! | !ERROR | mn"},
        {"ms k 3 q\r\nabcd\r\nmn\r\n", DATA " | !ERROR | mn"},
    };
    CHECK_CASES(cases);
}

static void a_malformed_store_line_swallows_nothing(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"set\r\n", "!ERROR"},
        {"set k 0 0\r\nmn\r\n", "!ERROR | mn"},
        {"set k 0 0 1 noreply x\r\nmn\r\n", "!ERROR | mn"},
        {"cas k 0 0 1\r\nmn\r\n", "!ERROR | mn"},
        {"cas k 0 0 1 2 noreply x\r\nmn\r\n", "!ERROR | mn"},
        {"set k 0 0 noreply\r\nmn\r\n", "! | mn"},
        {"set k x 0 1\r\nmn\r\n", FORMAT " | mn"},
        {"set k -1 0 1\r\nmn\r\n", FORMAT " | mn"},
        {"set k 0 x 1\r\nmn\r\n", FORMAT " | mn"},
        {"set k 0 0 x\r\nmn\r\n", FORMAT " | mn"},
        {"set k 0 0 -1\r\nmn\r\n", FORMAT " | mn"},
        {"set k 0 0 -1 noreply\r\nmn\r\n", "! | mn"},
        {"set k 0 0 2147483646\r\nmn\r\n", FORMAT " | mn"},
        {"set k 0 0 99999999999999999999\r\nmn\r\n", FORMAT " | mn"},
        {"set k 18446744073709551616 0 1\r\nmn\r\n", FORMAT " | mn"},
        {"cas k 0 0 1 x\r\nmn\r\n", FORMAT " | mn"},
        {"cas k 0 0 1 -1\r\nmn\r\n", FORMAT " | mn"},
        {"cas k 0 0 1 x noreply\r\nmn\r\n", "! | mn"},
        {"set " KEY_250 "k 0 0 1\r\nmn\r\n", FORMAT " | mn"},
        {"set " KEY_250 "k 0 0 1 noreply\r\nmn\r\n", "! | mn"},
    };
    CHECK_CASES(cases);
}

static void a_value_too_large_is_swallowed(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"set k 0 0 20\r\n12345678901234567890\r\n", "set k [12345678901234567890]"},
        {"set k 1 2 21\r\n123456789012345678901\r\nmn\r\n",
         "set k flags=1 exptime=2 too_large | mn"},
        {"cas k 0 0 21 7 noreply\r\n123456789012345678901\r\nmn\r\n",
         "cas k number=7 noreply too_large | mn"},
        {"ms k 21 q\r\n123456789012345678901\r\nmn\r\n", "ms k {q} too_large | mn"},
        {"set k 0 0 21\r\n123456789012345678901", "set k too_large..."},
        {"set k 0 0 21\r\n123456789012345678901\r", "set k too_large..."},
        {"set k 0 0 2147483645\r\nabc", "set k too_large..."},
    };
    CHECK_CASES(cases);
}

static void numbers_are_read_as_memcached_reads_them(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"incr k 1\r\n", "incr k number=1"},
        {"decr k 18446744073709551615\r\n", "decr k number=18446744073709551615"},
        {"incr k 5 noreply\r\n", "incr k number=5 noreply"},
        {"incr k 5 foo\r\n", "incr k number=5"},
        {"incr\r\n", "!ERROR"},
        {"incr k\r\n", "!ERROR"},
        {"incr k 1 foo bar\r\n", "!ERROR"},
        {"incr k x\r\n", "!CLIENT_ERROR invalid numeric delta argument"},
        {"incr k -1\r\n", "!CLIENT_ERROR invalid numeric delta argument"},
        {"decr k 18446744073709551616\r\n", "!CLIENT_ERROR invalid numeric delta argument"},
        {"incr k x noreply\r\n", "!"},
        {"incr k noreply\r\n", "!"},
        {"incr " KEY_250 "k 1\r\n", FORMAT},
        {"incr " KEY_250 "k 1 noreply\r\n", "!"},
        {"touch k 0\r\n", "touch k"},
        {"touch k -5 noreply\r\n", "touch k exptime=-5 noreply"},
        {"touch k 4294967297\r\n", "touch k exptime=1"},
        {"touch k\r\n", "!ERROR"},
        {"touch k 0 foo bar\r\n", "!ERROR"},
        {"touch k x\r\n", EXPTIME},
        {"touch k x noreply\r\n", "!"},
        {"touch " KEY_250 "k 0\r\n", FORMAT},
    };
    CHECK_CASES(cases);
}

static void delete_takes_a_zero_and_noreply(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"delete k\r\n", "delete k"},
        {"delete k 0\r\n", "delete k"},
        {"delete k noreply\r\n", "delete k noreply"},
        {"delete k 0 noreply\r\n", "delete k noreply"},
        {"delete noreply\r\n", "delete noreply"},
        {"delete\r\n", "!ERROR"},
        {"delete k 0 noreply x\r\n", "!ERROR"},
        {"delete k 1\r\n", USAGE},
        {"delete k 00\r\n", USAGE},
        {"delete k 0 0\r\n", USAGE},
        {"delete k noreply 0\r\n", USAGE},
        {"delete k noreply noreply\r\n", "!"},
        {"delete k 1 noreply\r\n", "!"},
        {"delete " KEY_250 "k\r\n", FORMAT},
        {"delete " KEY_250 "k 1\r\n", USAGE},
        {"delete " KEY_250 "k noreply\r\n", "!"},
    };
    CHECK_CASES(cases);
}

static void the_node_itself_answers_these(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"mn\r\n", "mn"},
        {"mn x y\r\n", "mn"},
        {"version noreply\r\n", "version"},
        {"quit x\r\n", "quit"},
        {"stats\r\n", "stats"},
        {"stats  settings  x \r\n", "stats (settings  x)"},
        {"flush_all\r\n", "flush_all"},
        {"flush_all 0\r\n", "flush_all has_delay"},
        {"flush_all 5 noreply\r\n", "flush_all exptime=5 has_delay noreply"},
        {"flush_all noreply\r\n", "flush_all noreply"},
        {"flush_all -1\r\n", "flush_all exptime=-1 has_delay"},
        {"flush_all 5 x\r\n", "flush_all exptime=5 has_delay"},
        {"flush_all x\r\n", EXPTIME},
        {"flush_all x noreply\r\n", "!"},
        {"flush_all noreply noreply\r\n", "!"},
        {"flush_all 1 2 3\r\n", "!ERROR"},
        {"verbosity\r\n", "!ERROR"},
        {"verbosity 1 2 3\r\n", "!ERROR"},
        {"verbosity 3 x\r\n", "verbosity number=3"},
        {"verbosity 1 noreply\r\n", "verbosity number=1 noreply"},
        {"verbosity 4294967297\r\n", "verbosity number=1"},
        {"verbosity x\r\n", FORMAT},
        {"verbosity -1\r\n", FORMAT},
        {"verbosity noreply\r\n", "!"},
        {"config get cluster\r\n", "config (get cluster)"},
        {"config\r\n", "config"},
        {"get_membership_list\r\n", "get_membership_list"},
        {"get_membership_list 1\r\n", "!ERROR"},
        {"status\r\n", "status"},
        {"status x\r\n", "!ERROR"},
        {"transfers\r\n", "transfers"},
        {"form\r\n", "form"},
        {"form now\r\n", "!ERROR"},
        {"copy k\r\n", "copy k"},
        {"copy\r\n", "!ERROR"},
        {"copy k l\r\n", "!ERROR"},
        {"copy " KEY_250 "\r\n", "copy " KEY_250},
        {"copy " KEY_250 "k\r\n", FORMAT},
        {"forget a:1\r\n", "forget (a:1)"},
        {"forget\r\n", "!ERROR"},
        {"forget a:1 b:1\r\n", "!ERROR"},
        {"accept_loss\r\n", "accept_loss"},
        {"accept_loss a:1  b:1 \r\n", "accept_loss (a:1  b:1)"},
        {"leave\r\n", "leave"},
        {"leave now\r\n", "!ERROR"},
        {"shutdown\r\n", "shutdown"},
        {"shutdown graceful \r\n", "shutdown (graceful)"},
        {"ring\r\n", "ring"},
        {"ring 0123456789abcdef\r\n", "ring number=81985529216486895 has_ring"},
        {"ring 0000000000000000\r\n", "ring has_ring"},
        {"ring 0123456789ABCDEF\r\n", FORMAT},
        {"ring 0123456789abcde\r\n", FORMAT},
        {"ring 0123456789abcdef0\r\n", FORMAT},
        {"ring 0123456789abcdef x\r\n", "!ERROR"},
        {"return_port 65535\r\n", "return_port number=65535"},
        {"return_port 65536\r\n", FORMAT},
        {"return_port 0\r\n", FORMAT},
        {"return_port -1\r\n", FORMAT},
        {"return_port 01\r\n", FORMAT},
        {"return_port\r\n", "!ERROR"},
        {"return_port 1 2\r\n", "!ERROR"},
        {"hello\r\n", "!ERROR"},
        {"HELLO 1 1 data a:1\r\n", "hello (HELLO 1 1 data a:1<0d><0a>)"},
    };
    CHECK_CASES(cases);
}

static void meta_flags_are_taken_in(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"mg a\r\n", "mg a {}"},
        {"mg a s  v t\r\n", "mg a {s  v t}"},
        {"mg a b\r\n", "!CLIENT_ERROR error decoding key"},
        {"mg YQ== b k\r\n", "mg a {b k} base64"},
        {"mg AAE= k b\r\n", "mg <00><01> {k b} base64"},
        {"mg a f h k l O1 q s t u v c N1 R-2 T3 E4\r\n",
         "mg a {f h k l O1 q s t u v c N1 R-2 T3 E4} opaque=1 exptime=3 vivify=1 recache=-2 "
         "explicit=4"},
        {"mg a O" OPAQUE_31 "\r\n", "mg a {O" OPAQUE_31 "} opaque=" OPAQUE_31},
        {"mg a O k\r\n", "mg a {O k}"},
        {"mg a F4294967297 I MX x P L vzzz\r\n",
         "mg a {F4294967297 I MX x P L vzzz} flags=1 mode=X"},
        {"mg " KEY_250 " v\r\n", "mg " KEY_250 " {v}"},
        {"ms a 2\r\nab\r\n", "ms a {} [ab]"},
        {"ms a  2  c k  T-1 F7 C5 E6 I O1 q s b MS\r\n", "!CLIENT_ERROR error decoding key..."},
        {"ms YQ== 2 c k T-1 F7 C5 E6 I O1 q s b MS N9 \r\nab\r\n",
         "ms a {c k T-1 F7 C5 E6 I O1 q s b MS N9} base64 opaque=1 flags=7 exptime=-1 vivify=9 "
         "compare=5 explicit=6 mode=S [ab]"},
        {"ms a 4294967298 MA\r\nab\r\n", "ms a {MA} mode=A [ab]"},
        {"ms a 1 MP\r\na\r\nms a 1 MR\r\na\r\nms a 1 ME\r\na\r\n",
         "ms a {MP} mode=P [a] | ms a {MR} mode=R [a] | ms a {ME} mode=E [a]"},
        {"md a q I T0 C18446744073709551615 E1 x\r\n",
         "md a {q I T0 C18446744073709551615 E1 x} exptime=0 compare=-1 explicit=1"},
        {"md a Mx\r\n", "md a {Mx} mode=x"},
        {"ma a\r\n", "ma a {}"},
        {"ma a N60 J7 D5 T-3 M- q t c v k C1 E2\r\n",
         "ma a {N60 J7 D5 T-3 M- q t c v k C1 E2} exptime=-3 vivify=60 compare=1 explicit=2 "
         "initial=7 delta=5 mode=D"},
        {"ma a M+\r\nma a MI\r\nma a MD\r\n",
         "ma a {M+} mode=I | ma a {MI} mode=I | ma a {MD} mode=D"},
        {"me a\r\n", "me a {}"},
        {"me YQ== b\r\n", "me a {} base64"},
        {"me a k b y y\r\n", "me a {}"},
    };
    CHECK_CASES(cases);
}

static void meta_errors_are_memcacheds(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"mg\r\nms\r\nmd\r\nma\r\n", "!ERROR | !ERROR | !ERROR | !ERROR"},
        {"me\r\n", FORMAT},
        {"mg " KEY_250 "k\r\n", FORMAT},
        {"ms " KEY_250 "k 2\r\nmn\r\n", FORMAT " | mn"},
        {"md " KEY_250 "k\r\nma " KEY_250 "k\r\nme " KEY_250 "k\r\n",
         FORMAT " | " FORMAT " | " FORMAT},
        {"mg a v v\r\n", TWICE},
        {"mg a vx v\r\n", TWICE},
        {"mg a \x7f\r\nmg a \xff\r\n", TWICE " | " TWICE},
        {"mg a y\r\nmg a S\r\nmg a 1\r\nmg a \x01\r\n", FLAG " | " FLAG " | " FLAG " | " FLAG},
        {"mg a q y\r\n", FLAG},
        {"mg a T\r\nmg a Tx\r\nmg a N\r\nmg a R\r\nmg a Cx\r\nmg a E\r\n",
         TOKEN " | " TOKEN " | " TOKEN " | " TOKEN " | " TOKEN " | " TOKEN},
        {"mg a Fx\r\n", FORMAT},
        {"mg a Fx Tx\r\nmg a Tx Fx\r\n", TOKEN " | " TOKEN},
        {"mg a Tx v y\r\n", FLAG},
        {"mg a D\r\nmg a Jx\r\n", "!CLIENT_ERROR invalid numeric delta value | "
                                  "!CLIENT_ERROR invalid numeric initial value"},
        {"mg a M\r\nmg a MSS\r\n", "!CLIENT_ERROR incorrect length for M token | "
                                   "!CLIENT_ERROR incorrect length for M token"},
        {"mg a O" OPAQUE_31 "k\r\n", "!CLIENT_ERROR opaque token too long"},
        {"mg a a\r\nmg !YQ== b\r\nmg YR== b\r\nmg YQ b\r\n",
         FLAG " | !CLIENT_ERROR error decoding key | !CLIENT_ERROR error decoding key | "
              "!CLIENT_ERROR error decoding key"},
        {"me a b\r\n", FORMAT},
        {"ms a\r\nms a x\r\nms a -1\r\nms a 2147483646\r\nms a b 2\r\n",
         FORMAT " | " FORMAT " | " FORMAT " | " FORMAT " | " FORMAT},
        {"md a y\r\nmd a v v\r\nmd a Cx\r\nma a Dx\r\nma a b\r\n",
         "!CLIENT_ERROR invalid or duplicate flag | !CLIENT_ERROR invalid or duplicate flag | "
         "!CLIENT_ERROR invalid or duplicate flag | !CLIENT_ERROR invalid or duplicate flag | "
         "!CLIENT_ERROR invalid or duplicate flag"},
        {"md a O" OPAQUE_31 "k\r\n", "!CLIENT_ERROR opaque token too long"},
        {"ma a Mi\r\nma a Mz O" OPAQUE_31 "k\r\n",
         "!CLIENT_ERROR invalid mode for ma M token | !CLIENT_ERROR invalid mode for ma M token"},
    };
    CHECK_CASES(cases);
}

static void a_malformed_ms_swallows_its_body(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"ms a 2 v v\r\nmn\r\nmn\r\n", TWICE " | mn"},
        {"ms a 2 y q\r\nmn\nmn\r\n", FLAG " | mn"},
        {"ms a 2 Fx\r\nmn\r\nmn\r\n", FORMAT " | mn"},
        {"ms a 2 b\r\nmn\r\nmn\r\n", "!CLIENT_ERROR error decoding key | mn"},
        {"ms a 2 Ma\r\nmn\r\nmn\r\n", "!CLIENT_ERROR invalid mode for ms M token | mn"},
        {"ms a 2 Mz O" OPAQUE_31 "k\r\nmn\r\nmn\r\n",
         "!CLIENT_ERROR invalid mode for ms M token | mn"},
        {"ms a 2 O" OPAQUE_31 "k\r\nmn\r\nmn\r\n", "!CLIENT_ERROR opaque token too long | mn"},
        {"ms a 30 y\r\n123456789012345678901234567890\r\nmn\r\n", FLAG " | mn"},
    };
    CHECK_CASES(cases);
}

/* memcached: 17 flags for mg, md and ma, 16 for ms. */
static void too_many_meta_flags_are_refused(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"mg a f h k l O1 q s t v u c N1 R1 T1 P1 L1 I\r\n",
         "mg a {f h k l O1 q s t v u c N1 R1 T1 P1 L1 I} opaque=1 exptime=1 vivify=1 recache=1"},
        {"mg a f h k l O1 q s t v u c N1 R1 T1 P1 L1 I D1\r\n",
         "!CLIENT_ERROR options flags are too long"},
        {"mg a v v v v v v v v v v v v v v v v v v v v v v v v v v v v v\r\n",
         "!CLIENT_ERROR options flags are too long"},
        {"md a f h k l O1 q s t v u c N1 R1 T1 P1 L1 I D1\r\n",
         "!CLIENT_ERROR options flags too long"},
        {"ma a f h k l O1 q s t v u c N1 R1 T1 P1 L1 I D1\r\n",
         "!CLIENT_ERROR options flags too long"},
        {"ms a 2 f h k l O1 q s t v u c N1 R1 T1 P1 L1 I\r\nmn\r\n",
         "!CLIENT_ERROR options flags too long | mn"},
        {"me a v v v v v v v v v v v v v v v v v v v v v v v v v v v v v\r\n", "me a {}"},
    };
    CHECK_CASES(cases);
}

static void what_is_not_this_protocol_closes(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"\x80\x01", "close"},
        {"mn\r\n\x80", "mn | close"},
        {"GET / HTTP/1.1\r\nHost: a\r\n", "close"},
        {"get / HTTP/1.1\n", "close"},
        {"PUT /a HTTP/1.0\r\n", "close"},
        {"DELETE /a HTTP/1.1\r\n", "close"},
        {"POST /a HTTP/1.1\r\n", "close"},
        {"POST /a\r\n", "close"},
        {"OPTIONS * HTTP/1.1\r\n", "close"},
        {"PRI * HTTP/2.0\r\n", "close"},
        {"POST\r\n", "!ERROR"},
        {"get HTTP/1.1\r\n", "get HTTP/1.1"},
        {"get a b HTTP/1.1\r\n", "get a+ | get b+ | get HTTP/1.1"},
        {"set HTTP/1.1 0 0 1\r\na\r\n", "set HTTP/1.1 [a]"},
        {"foo HTTP/1.1 x\r\n", "!ERROR"},
    };
    CHECK_CASES(cases);
}

/* Makes `<head><filler…><tail>` of len bytes before the tail. */
static struct span filled(const char *head, const char *filler, size_t len, const char *tail)
{
    size_t head_len = strlen(head), tail_len = strlen(tail), filler_len = strlen(filler);
    char *text = malloc(len + tail_len);
    memcpy(text, head, head_len);
    for (size_t i = head_len; i < len; i++)
        text[i] = filler[(i - head_len) % filler_len];
    memcpy(text + len, tail, tail_len);
    return span_of(text, len + tail_len);
}

/* A long input's story where it comes in one block, then in pieces. */
static void check_pieces(struct span in, size_t block, size_t piece, const char *expected)
{
    struct story_feed feed = {.limits = {.value_bytes_max = VALUE_BYTES_MAX}};
    size_t at = block < in.len ? block : in.len;
    story_feed(&feed, span_of(in.data, at));
    for (; at < in.len; at += piece)
        story_feed(&feed, span_of(in.data + at, in.len - at < piece ? in.len - at : piece));
    char *story = story_end(&feed).data;
    if (strcmp(story, expected) != 0)
        fail_msg("%zu bytes %.20s… in pieces of %zu: %.200s\nnot: %.200s", in.len, in.data, piece,
                 story, expected);
    free(story);
}

/* A long input, read whole, cut at some places, in blocks, and byte by byte where it is streamed.
 */
static void check_long(struct span in, const char *expected)
{
    static const size_t cuts[] = {0,    1,     5,     2047,  2048,  2049,  2050,
                                  3000, 65535, 65536, 65537, 65538, 70000, 1000000};
    for (size_t i = 0; i < ARRAY_COUNT(cuts); i++) {
        size_t cut = cuts[i] < in.len ? cuts[i] : in.len;
        char *story = story_of(in, cut, VALUE_BYTES_MAX);
        if (strcmp(story, expected) != 0)
            fail_msg("%zu bytes %.20s… cut at %zu: %.200s\nnot: %.200s", in.len, in.data, cut,
                     story, expected);
        free(story);
    }
    check_pieces(in, 777, 777, expected);
    check_pieces(in, RETRIEVAL_CHECKED_BYTES_MAX - 1, 1, expected);
    free((char *)in.data);
}

/* `word+ | ` count times, then last. */
static char *retrieval_story(const char *word, size_t count, const char *last)
{
    struct buf story = {0};
    for (size_t i = 0; i < count; i++)
        buf_printf(&story, "%s+ | ", word);
    buf_append(&story, last, strlen(last) + 1);
    return story.data;
}

static void a_line_without_end_closes(void **state)
{
    (void)state;
    static const char too_long[] = "close !CLIENT_ERROR line too long";
    check_long(filled("", "x", LINE_BYTES_MAX, ""), "...");
    check_long(filled("", "x", LINE_BYTES_MAX, "\r"), too_long);
    check_long(filled("", "x", LINE_BYTES_MAX, "\nmn\n"), "!ERROR | mn");
    check_long(filled("", "x", LINE_BYTES_MAX, "x\nmn\n"), too_long);
    check_long(filled("", " ", LINE_BYTES_MAX + 1, "\nmn\n"), too_long);
    check_long(filled("set k 0 0 1", " ", LINE_BYTES_MAX + 1, "\r\na\r\n"), too_long);
    check_long(filled("mg k v", " ", 1000000, "\r\n"), too_long);
    check_long(filled("getx ", "a ", 100000, "\r\n"), too_long);
    check_long(filled("get ", " ", 100000, "\r\n"), too_long);
    check_long(filled("gat ", "0", 100000, " a\r\n"), too_long);
    char *story = retrieval_story("get " FIFTY, 1999, too_long);
    struct span spaces = filled("", " ", LINE_BYTES_MAX + 1, " k\r\n");
    char *tail = strndup(spaces.data, spaces.len);
    check_long(filled("get", " " FIFTY, 3 + 51 * 2000, tail), story);
    free(tail);
    free((char *)spaces.data);
    free(story);
}

static void a_retrieval_may_be_of_any_length(void **state)
{
    (void)state;
    char *story = retrieval_story("get k", 4999, "get k | mn");
    check_long(filled("get", " k", 3 + 2 * 5000, "\r\nmn\r\n"), story);
    free(story);
    story = retrieval_story("gats " FIFTY, 1999, "gats " FIFTY " | mn");
    check_long(filled("gats 0", " " FIFTY, 6 + 51 * 2000, "  \nmn\n"), story);
    free(story);
}

static void a_checked_retrieval_may_hold_any_number_of_spaces(void **state)
{
    (void)state;
    check_long(filled("get a", " ", 5000, "b\r\nmn\r\n"), "get a+ | get b | mn");
}

static void a_checked_retrieval_gives_no_key_before_a_bad_one(void **state)
{
    (void)state;
    check_long(filled("get", " k", 3 + 2 * 3000, " " KEY_250 "k k\r\nmn\r\n"), FORMAT " | mn");
    check_long(filled("get", " " FIFTY, 3 + 51 * 1200, " " KEY_250 "k k\r\nmn\r\n"),
               FORMAT " | mn");
}

/* Beyond RETRIEVAL_CHECKED_BYTES_MAX the keys before a malformed one have been given out. */
static void a_streamed_retrieval_breaks_off_at_a_bad_key(void **state)
{
    (void)state;
    char *story = retrieval_story("get " FIFTY, 2000, FORMAT " | mn");
    check_long(filled("get", " " FIFTY, 3 + 51 * 2000, " " KEY_250 "k k\r\nmn\r\n"), story);
    free(story);
    story = retrieval_story("get " FIFTY, 2000, "get k<0d>+ | get " KEY_250 " | mn");
    check_long(filled("get", " " FIFTY, 3 + 51 * 2000, " k\r " KEY_250 "\r\nmn\r\n"), story);
    free(story);
    story = retrieval_story("get " FIFTY, 2000, "get " KEY_250 " | mn");
    check_long(filled("get", " " FIFTY, 3 + 51 * 2000, " " KEY_250 " \r\nmn\r\n"), story);
    free(story);
    check_long(filled("gat ", "0", RETRIEVAL_CHECKED_BYTES_MAX - 2, " k k\r\nmn\r\n"),
               "gat k+ | gat k | mn");
    check_long(filled("gat x", " k", 5 + 2 * 50000, "\r\nmn\r\n"), EXPTIME " | mn");
    check_long(filled("get k", "k", 100000, "\r\nmn\r\n"), FORMAT " | mn");
}

/* What a parser is told of need: a large body costs one parse of its line. */
static void need_says_how_much_is_missing(void **state)
{
    (void)state;
    struct request_parser parser = {0};
    struct request_limits limits = {.value_bytes_max = 1000000};
    struct request request;
    size_t consumed, need;
    struct span line = SPAN_LITERAL("set k 0 0 500000\r\n");
    assert_int_equal(
        request_parse(&parser, &limits, line.data, line.len, &request, &consumed, &need),
        PARSE_MORE);
    assert_int_equal(consumed, 0);
    assert_int_equal(need, line.len + 500000 + 1);
}

static void a_forwarded_line_parses_to_the_same(void **state)
{
    (void)state;
    struct span in = SPAN_LITERAL("  SET  k 1 2 3  noreply \nabc\n");
    struct request_parser parser = {0};
    struct request_limits limits = {.value_bytes_max = VALUE_BYTES_MAX};
    struct request request;
    size_t consumed, need;
    assert_int_equal(request_parse(&parser, &limits, in.data, in.len, &request, &consumed, &need),
                     PARSE_DONE);
    assert_int_equal(request.line.len, in.len);
    assert_ptr_equal(request.line.data, in.data);
}

static void writes_are_those_that_may_change_something(void **state)
{
    (void)state;
    static const char *const writes[] = {"gat 0 a\r\n",
                                         "gats 0 a\r\n",
                                         "set k 0 0 0\r\n\r\n",
                                         "add k 0 0 0\r\n\r\n",
                                         "delete k\r\n",
                                         "incr k 1\r\n",
                                         "decr k 1\r\n",
                                         "touch k 0\r\n",
                                         "mg a T0\r\n",
                                         "mg a N0\r\n",
                                         "mg a R0\r\n",
                                         "ms a 0\r\n\r\n",
                                         "md a\r\n",
                                         "ma a\r\n",
                                         "flush_all\r\n",
                                         "append k 0 0 0\r\n\r\n",
                                         "cas k 0 0 0 0\r\n\r\n",
                                         "replace k 0 0 0\r\n\r\n",
                                         "prepend k 0 0 0\r\n\r\n"};
    static const char *const reads[] = {"get a\r\n",
                                        "gets a\r\n",
                                        "mg a v k t\r\n",
                                        "me a\r\n",
                                        "mn\r\n",
                                        "version\r\n",
                                        "stats\r\n",
                                        "quit\r\n",
                                        "verbosity 1\r\n",
                                        "foo\r\n",
                                        "config get cluster\r\n",
                                        "get_membership_list\r\n",
                                        "ring\r\n",
                                        "status\r\n",
                                        "transfers\r\n",
                                        "copy k\r\n",
                                        "forget a:1\r\n",
                                        "accept_loss\r\n",
                                        "form\r\n",
                                        "leave\r\n",
                                        "shutdown\r\n",
                                        "return_port 2000\r\n"};
    struct request_limits limits = {.value_bytes_max = VALUE_BYTES_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(writes) + ARRAY_COUNT(reads); i++) {
        bool is_write = i < ARRAY_COUNT(writes);
        const char *text = is_write ? writes[i] : reads[i - ARRAY_COUNT(writes)];
        struct request_parser parser = {0};
        struct request request;
        size_t consumed, need;
        assert_int_equal(
            request_parse(&parser, &limits, text, strlen(text), &request, &consumed, &need),
            PARSE_DONE);
        if (request_is_write(&request) != is_write)
            fail_msg("%s", text);
    }
}

static void a_write_may_carry_a_request_id(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"once 7f-A_z set k 1 2 1\r\na\r\n", "once 7f-A_z set k flags=1 exptime=2 [a]"},
        {"  ONCE  1  Set  k 0 0 1 noreply\r\na\n", "once 1 set k noreply [a]"},
        {"once 1 cas k 0 0 1 9\r\na\r\n", "once 1 cas k number=9 [a]"},
        {"once 1 delete k\r\n", "once 1 delete k"},
        {"once 1 incr k 2\r\n", "once 1 incr k number=2"},
        {"once 1 touch k 9\r\n", "once 1 touch k exptime=9"},
        {"once 1 flush_all 5\r\n", "once 1 flush_all exptime=5 has_delay"},
        {"once 1 ms k 1 c Ox\r\na\r\n", "once 1 ms k {c Ox} opaque=x [a]"},
        {"once 1 md k q\r\n", "once 1 md k {q}"},
        {"once 1 ma k v\r\n", "once 1 ma k {v}"},
        {"once 1 mg k c T9\r\n", "once 1 mg k {c T9} exptime=9"},
        {"once " TEN TEN TEN "kk md k\r\n", "once " TEN TEN TEN "kk md k {}"},
        {"once 1 set k 0 0 21\r\n" TEN TEN "k\r\nmn\r\n", "once 1 set k too_large | mn"},
    };
    CHECK_CASES(cases);
}

#define NO_WRITE "!CLIENT_ERROR a request id goes with a write"
#define BAD_ID   "!CLIENT_ERROR malformed request id"

static void a_request_id_in_the_wrong_place_is_refused(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"once\r\n", "!ERROR"},
        {"once 1\r\n", "!ERROR"},
        {"once 1 nonsense k\r\n", "!ERROR"},
        {"once 1 get k\r\nmn\r\n", NO_WRITE " | mn"},
        {"once 1 gat 0 k\r\n", NO_WRITE},
        {"once 1 mg k\r\n", NO_WRITE},
        {"once 1 mg k v T0\r\nmn\r\n", NO_WRITE " | mn"},
        {"once 1 me k\r\n", NO_WRITE},
        {"once 1 version\r\n", NO_WRITE},
        {"once 1 hello\r\n", NO_WRITE},
        {"once 1 once 2 md k\r\n", NO_WRITE},
        {"once 1 set k 0 0\r\n", "!ERROR"},
        {"once 1 set k 0 0 x\r\n", FORMAT},
        {"once 1 set k 0 0 1 noreply\r\nab\r\nmn\r\n", "! | !ERROR | mn"},
        {"once a.b set k 0 0 1\r\na\r\nmn\r\n", BAD_ID " | mn"},
        {"once a.b set k 0 0 1 noreply\r\na\r\nmn\r\n", "! | mn"},
        {"once a.b set k 0 0 21\r\n" TEN TEN "k\r\nmn\r\n", BAD_ID " | mn"},
        {"once " TEN TEN TEN "kkk md k\r\nmn\r\n", BAD_ID " | mn"},
        {"once \xc3\xa9 md k\r\n", BAD_ID},
    };
    CHECK_CASES(cases);
}

static void a_request_is_compared_without_its_id(void **state)
{
    (void)state;
    static const struct a_case cases[] = {
        {"once 1 set k 0 0 1\r\na\r\n", "set k 0 0 1\r\na\r\n"},
        {" Once  1  md  k \r\n", "md  k \r\n"},
        {"md k\r\n", "md k\r\n"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct request_parser parser = {0};
        struct request_limits limits = {.value_bytes_max = VALUE_BYTES_MAX};
        struct request request;
        size_t consumed, need;
        assert_int_equal(request_parse(&parser, &limits, cases[i].in, strlen(cases[i].in), &request,
                                       &consumed, &need),
                         PARSE_DONE);
        assert_true(span_equal(request_without_id(&request), span_of_string(cases[i].story)));
    }
}

static void commands_have_their_first_word(void **state)
{
    (void)state;
    assert_string_equal(command_word(CMD_SET), "set");
    assert_string_equal(command_word(CMD_DELETE), "delete");
    assert_string_equal(command_word(CMD_META_GET), "mg");
    assert_string_equal(command_word(CMD_INVALID), "?");
}

static struct buf told(const char *word, struct span rest)
{
    struct story_feed feed = {.limits = {.value_bytes_max = 100}};
    struct buf bytes = {0};
    buf_append(&bytes, word, strlen(word));
    buf_append(&bytes, rest.data, rest.len);
    story_feed(&feed, buf_span(&bytes));
    buf_close(&bytes);
    return story_end(&feed);
}

static const char *any(struct prng *prng, const char *const *list, size_t count)
{
    /* The first, which is the plain one, most of the time. */
    return list[prng_below(prng, 3) > 0 ? 0 : prng_below(prng, count)];
}

#define ANY(prng, ...)                                                                             \
    any(prng, (const char *const[]){__VA_ARGS__}, ARRAY_COUNT(((const char *const[]){__VA_ARGS__})))

/* Plain lines are read by code of their own, but only with their word in lower case: so a line that
 * differs in nothing else must be read the same. Made so that most are plain but for one thing. */
static void plain_lines_are_read_as_all_others(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 5);
    int done = 0;
    for (int i = 0; i < 100000; i++) {
        struct buf rest = {0};
        buf_printf(&rest, "%s%s", ANY(&prng, " ", "", "  ", "\t"),
                   ANY(&prng, "key", "", "k\rr", "HTTP/1.1", "\xc3\xa9", "k\x7fk", "/"));
        if (prng_below(&prng, 3) == 0)
            for (size_t len = prng_below(&prng, 260); len > 0; len--)
                buf_append(&rest, "k", 1);
        bool is_get = prng_below(&prng, 3) == 0;
        for (int number = 0; number < 3 && !is_get; number++)
            buf_printf(&rest, "%s%s", ANY(&prng, " ", "", "  ", "\t"),
                       ANY(&prng, "3", "0", "007", "-1", "+3", "3:", "/3", "", "x", "999999999",
                           "0000000003", "4294967299", "2147483648"));
        buf_printf(&rest, "%s",
                   ANY(&prng, "\r\n", "\n", "\r", "\r\r\n", " \r\n", "\rx\n", " noreply\r\n",
                       " HTTP/1.1\r\n"));
        buf_printf(&rest, "%s", ANY(&prng, "abc\r\n", "abc\n", "ab\r\n", "abcd\r\n", ""));
        struct buf lower = told(is_get ? "get" : "set", buf_span(&rest));
        struct buf upper = told(is_get ? "GeT" : "SeT", buf_span(&rest));
        assert_true(span_equal(buf_span(&lower), buf_span(&upper)));
        done += lower.data[0] == 'g' || lower.data[0] == 's';
        buf_close(&lower);
        buf_close(&upper);
        buf_close(&rest);
    }
    assert_in_range(done, 10000, 90000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_end_in_lf_with_or_without_cr),
        cmocka_unit_test(words_are_separated_by_spaces_alone),
        cmocka_unit_test(a_nul_ends_the_line),
        cmocka_unit_test(words_are_known_in_either_case),
        cmocka_unit_test(plain_lines_are_read_as_all_others),
        cmocka_unit_test(a_retrieval_is_given_out_key_by_key),
        cmocka_unit_test(a_store_has_a_line_and_a_body),
        cmocka_unit_test(a_bare_lf_ends_a_body_too),
        cmocka_unit_test(a_body_of_another_length_is_refused),
        cmocka_unit_test(a_malformed_store_line_swallows_nothing),
        cmocka_unit_test(a_value_too_large_is_swallowed),
        cmocka_unit_test(numbers_are_read_as_memcached_reads_them),
        cmocka_unit_test(delete_takes_a_zero_and_noreply),
        cmocka_unit_test(the_node_itself_answers_these),
        cmocka_unit_test(meta_flags_are_taken_in),
        cmocka_unit_test(meta_errors_are_memcacheds),
        cmocka_unit_test(a_malformed_ms_swallows_its_body),
        cmocka_unit_test(too_many_meta_flags_are_refused),
        cmocka_unit_test(what_is_not_this_protocol_closes),
        cmocka_unit_test(a_line_without_end_closes),
        cmocka_unit_test(a_retrieval_may_be_of_any_length),
        cmocka_unit_test(a_checked_retrieval_may_hold_any_number_of_spaces),
        cmocka_unit_test(a_checked_retrieval_gives_no_key_before_a_bad_one),
        cmocka_unit_test(a_streamed_retrieval_breaks_off_at_a_bad_key),
        cmocka_unit_test(need_says_how_much_is_missing),
        cmocka_unit_test(a_forwarded_line_parses_to_the_same),
        cmocka_unit_test(writes_are_those_that_may_change_something),
        cmocka_unit_test(a_write_may_carry_a_request_id),
        cmocka_unit_test(a_request_id_in_the_wrong_place_is_refused),
        cmocka_unit_test(a_request_is_compared_without_its_id),
        cmocka_unit_test(commands_have_their_first_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
