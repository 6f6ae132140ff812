/* libdht with a return address: answers brought by other nodes, relayed ones, both, neither. The
 * entry node, and the node that calls back, are a thread that plays a scene. */
#include "tests/unit/fake_server.h"

#include "client/dht_via.h"
#include "common/check.h"

#define TOKEN      "00112233445566778899aabbccddeeff"
#define OPAQUE_MAX 32

/* ---- the scene's side ---- */

struct scene {
    struct fake fake;
    void (*play)(struct scene *scene);
    int direct;    /* a connection made to the client; -1: none */
    unsigned port; /* where the client listens */
    char opaque[4][OPAQUE_MAX];
    size_t opaque_count; /* requests heard */
};

/* Accepts the client and takes its return address. */
static void scene_begin(struct scene *scene)
{
    static const struct act greet[] = {{ACCEPT_DHT, NULL, 0}};
    if (!act(&scene->fake, greet) || !hear_line(&scene->fake) ||
        sscanf(scene->fake.heard, "return_port %u\r\n", &scene->port) != 1)
        failed(&scene->fake, "return_port", "something else");
    say(&scene->fake, "RETURN_PORT " TOKEN "\r\n", 12 + 32 + 2);
}

/* What follows a request's id; the whole line if it has none. */
static const char *behind_id(const char *line)
{
    size_t id_bytes = strncmp(line, "once ", 5) == 0 ? strcspn(line + 5, " ") : 0;
    return id_bytes > 0 && line[5 + id_bytes] ? line + 5 + id_bytes + 1 : line;
}

/* Hears a request that begins so, and keeps its opaque. ONCE in front: it has an id. */
static void scene_hear(struct scene *scene, const char *begin)
{
    const char *line = scene->fake.heard;
    CHECK(scene->opaque_count < 4);
    char *opaque = scene->opaque[scene->opaque_count++];
    const char *at = NULL;
    if (hear_line(&scene->fake))
        at = strstr(line, " O");
    if (strncmp(begin, ONCE, strlen(ONCE)) == 0) {
        begin += strlen(ONCE);
        line = behind_id(line);
    }
    if (!at || strncmp(line, begin, strlen(begin)) != 0 || sscanf(at, " O%31s", opaque) != 1)
        failed(&scene->fake, begin, line);
}

/* Calls the client back and hears the token. */
static void scene_call(struct scene *scene)
{
    char token[sizeof(TOKEN "\r\n")] = "";
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)scene->port),
                               .sin_addr = {htonl(INADDR_LOOPBACK)}};
    scene->direct = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(scene->direct, (struct sockaddr *)&name, sizeof(name)) != 0)
        failed(&scene->fake, "to be let in", "nothing");
    for (size_t i = 0; i + 1 < sizeof(token); i++)
        if (byte_read(scene->direct, &token[i]) != 1)
            break;
    if (strcmp(token, TOKEN "\r\n") != 0)
        failed(&scene->fake, TOKEN, token);
}

/* Says text, with the opaque of request number for %s: on the call, or to whom asked. */
static void scene_say(struct scene *scene, bool is_direct, size_t number, const char *text)
{
    char line[256];
    int len = snprintf(line, sizeof(line), text, scene->opaque[number]); /* NOLINT: of this file */
    if (send(is_direct ? scene->direct : scene->fake.fd, line, (size_t)len, MSG_NOSIGNAL) != len)
        failed(&scene->fake, "nobody listens", "");
}

static void scene_hang_up(struct scene *scene)
{
    close(scene->direct);
    scene->direct = -1;
}

static void *scene_thread(void *arg)
{
    struct scene *scene = arg;
    scene->play(scene);
    return NULL;
}

/* ---- the client's side ---- */

static struct dht *scene_open(struct scene *scene, void (*play)(struct scene *))
{
    *scene = (struct scene){.play = play, .direct = -1};
    fake_bind(&scene->fake);
    assert_int_equal(pthread_create(&scene->fake.thread, NULL, scene_thread, scene), 0);
    struct dht *dht = dht_open_via(scene->fake.address, NULL);
    assert_non_null(dht);
    dht_set_timeout(dht, LIMIT_MS);
    return dht;
}

static void scene_close(struct scene *scene, struct dht *dht)
{
    fake_end(&scene->fake);
    if (scene->direct >= 0)
        close(scene->direct);
    dht_close(dht);
}

#define MG_K "mg k v f c t O"
#define MS_K ONCE "ms k 1 c MS T0 F0 O"

/* ---- tests ---- */

static void play_call(struct scene *scene)
{
    scene_begin(scene);
    scene_hear(scene, MG_K);
    scene_call(scene);
    scene_say(scene, true, 0, "VA 1 f0 c1 t-1 O%s\r\nv\r\n");
    scene_hear(scene, MG_K); /* the call is kept */
    scene_say(scene, true, 1, "EN O%s\r\n");
}

static void an_answer_brought_by_another_node_is_taken(void **state)
{
    (void)state;
    struct scene scene;
    struct dht *dht = scene_open(&scene, play_call);
    struct dht_answer answer;
    assert_int_equal(dht_get(dht, "k", &answer), DHT_OK);
    assert_int_equal(answer.value_bytes, 1);
    assert_memory_equal(answer.value, "v", 1);
    assert_int_equal(answer.is_direct, 1);
    assert_string_equal(answer.server, scene.fake.address);
    assert_int_equal(dht_get(dht, "k", &answer), DHT_NOT_FOUND);
    assert_int_equal(dht_direct_answers(dht), 2);
    scene_close(&scene, dht);
}

static void play_relay(struct scene *scene)
{
    scene_begin(scene);
    scene_hear(scene, "mg a ");
    scene_hear(scene, "mg b ");
    scene_hear(scene, "mg c ");
    scene_say(scene, false, 2, "VA 1 O%s\r\n3\r\n");
    scene_say(scene, false, 1, "SERVER_ERROR not done: no answer from a:1 O%s\r\n");
    scene_say(scene, false, 0, "VA 1 O%s\r\n1\r\n");
}

static void relayed_answers_come_in_any_order(void **state)
{
    (void)state;
    struct scene scene;
    struct dht *dht = scene_open(&scene, play_relay);
    const struct dht_op ops[] = {{.verb = DHT_OP_GET, .key = "a"},
                                 {.verb = DHT_OP_GET, .key = "b"},
                                 {.verb = DHT_OP_GET, .key = "c"}};
    assert_told(dht, ops, 3, DHT_NOT_DONE, "a ok 1\nb not_done \nc ok 3\n");
    assert_int_equal(dht_direct_answers(dht), 0);
    scene_close(&scene, dht);
}

static void play_error(struct scene *scene)
{
    scene_begin(scene);
    scene_hear(scene, ONCE "ma k ");
    scene_say(scene, false, 0, "CLIENT_ERROR it is no number O%s\r\n");
}

static void an_error_is_told_without_the_opaque(void **state)
{
    (void)state;
    struct scene scene;
    struct dht *dht = scene_open(&scene, play_error);
    struct dht_op incr = {.verb = DHT_OP_INCR, .key = "k", .delta = 1};
    assert_int_equal(dht_do(dht, &incr, NULL), DHT_CLIENT_ERROR);
    assert_string_equal(dht_why(dht), "it is no number");
    scene_close(&scene, dht);
}

static void play_twice(struct scene *scene)
{
    scene_begin(scene);
    scene_hear(scene, MG_K);
    scene_call(scene);
    scene_say(scene, true, 0, "VA 1 O%s\r\nv\r\n");
    scene_say(scene, true, 0, "VA 1 O%s\r\nw\r\n");
    scene_say(scene, true, 0, "EN Osomebody.else.s\r\n");
    scene_hear(scene, MG_K);
    scene_say(scene, false, 1, "EN O%s\r\n");
}

static void the_first_answer_wins_and_others_are_dropped(void **state)
{
    (void)state;
    struct scene scene;
    struct dht *dht = scene_open(&scene, play_twice);
    struct dht_answer answer;
    assert_int_equal(dht_get(dht, "k", &answer), DHT_OK);
    assert_memory_equal(answer.value, "v", 1);
    assert_int_equal(dht_get(dht, "k", &answer), DHT_NOT_FOUND);
    scene_close(&scene, dht);
}

static void play_twice_in_a_run(struct scene *scene)
{
    scene_begin(scene);
    scene_hear(scene, "mg a ");
    scene_hear(scene, "mg b ");
    scene_call(scene);
    scene_say(scene, true, 0, "VA 1 O%s\r\n1\r\n");
    scene_say(scene, true, 0, "VA 1 O%s\r\n2\r\n");
    scene_say(scene, false, 0, "EN O%s\r\n");
    scene_say(scene, true, 1, "VA 1 O%s\r\n3\r\n");
}

static void a_second_answer_within_a_run_is_dropped_too(void **state)
{
    (void)state;
    struct scene scene;
    struct dht *dht = scene_open(&scene, play_twice_in_a_run);
    const struct dht_op ops[] = {{.verb = DHT_OP_GET, .key = "a"},
                                 {.verb = DHT_OP_GET, .key = "b"}};
    assert_told(dht, ops, 2, DHT_OK, "a ok 1\nb ok 3\n");
    scene_close(&scene, dht);
}

static void play_refuse(struct scene *scene)
{
    static const struct act acts[] = {{ACCEPT_DHT, NULL, 0}, {HEAR, GET_K, 0}, {SAY, VALUE_V, 0}};
    act(&scene->fake, &acts[0]);
    hear_line(&scene->fake);
    scene_say(scene, false, 0, "SERVER_ERROR direct answers are off\r\n");
    act(&scene->fake, &acts[1]);
    act(&scene->fake, &acts[2]);
}

static void a_node_that_knows_nothing_of_it_answers_as_ever(void **state)
{
    (void)state;
    struct scene scene;
    struct dht *dht = scene_open(&scene, play_refuse);
    assert_int_equal(dht_get(dht, "k", NULL), DHT_OK);
    scene_close(&scene, dht);
}

static void play_memcached(struct scene *scene)
{
    static const struct act acts[] = {{ACCEPT, NULL, 0}, {HEAR, GET_K, 0}, {SAY, VALUE_V, 0}};
    for (size_t i = 0; i < ARRAY_COUNT(acts); i++)
        act(&scene->fake, &acts[i]);
}

static void a_memcached_is_not_told_of_it(void **state)
{
    (void)state;
    struct scene scene;
    struct dht *dht = scene_open(&scene, play_memcached);
    assert_int_equal(dht_get(dht, "k", NULL), DHT_OK);
    scene_close(&scene, dht);
}

static void play_break(struct scene *scene)
{
    scene_begin(scene);
    scene_hear(scene, MG_K);
    scene_call(scene);
    scene_say(scene, true, 0, "VA 5 O%s\r\nva");
    scene_hang_up(scene);
    scene_hear(scene, MG_K);
    scene_say(scene, false, 0, "VA 1 O%s\r\nx\r\n"); /* of the first try: nobody's any more */
    scene_say(scene, false, 1, "VA 1 O%s\r\nv\r\n");
}

static void a_read_whose_answer_broke_off_is_asked_again(void **state)
{
    (void)state;
    struct scene scene;
    struct dht *dht = scene_open(&scene, play_break);
    struct dht_answer answer;
    assert_int_equal(dht_get(dht, "k", &answer), DHT_OK);
    assert_int_equal(answer.value_bytes, 1);
    assert_memory_equal(answer.value, "v", 1);
    scene_close(&scene, dht);
}

static void play_break_write(struct scene *scene)
{
    char byte;
    scene_begin(scene);
    scene_hear(scene, "ms k 1 c MS T0 F0 O");
    hear(&scene->fake, "v\r\n");
    scene_call(scene);
    scene_hang_up(scene);
    if (byte_read(scene->fake.fd, &byte) != 0) /* nothing more is asked */
        failed(&scene->fake, "the end", "more");
}

static void a_write_without_an_id_whose_answer_broke_off_is_not(void **state)
{
    (void)state;
    struct scene scene;
    struct dht *dht = scene_open(&scene, play_break_write);
    dht_set_request_ids(dht, 0);
    dht_set_timeout(dht, SHORT_MS);
    assert_int_equal(dht_do(dht, &set_k, NULL), DHT_OUTCOME_UNKNOWN);
    scene_close(&scene, dht);
}

static void play_break_once(struct scene *scene)
{
    scene_begin(scene);
    scene_hear(scene, MS_K);
    hear(&scene->fake, "v\r\n");
    scene_call(scene);
    scene_say(scene, true, 0, "HD c1 O%s\r");
    scene_hang_up(scene);
    scene_hear(scene, MS_K);
    hear(&scene->fake, "v\r\n");
    scene_say(scene, false, 1, "HD c1 O%s\r\n");
    if (strcmp(scene->opaque[0], scene->opaque[1]) != 0) /* the repetition is the same bytes */
        failed(&scene->fake, scene->opaque[0], scene->opaque[1]);
}

static void a_write_with_an_id_whose_answer_broke_off_is_asked_again(void **state)
{
    (void)state;
    struct scene scene;
    struct dht *dht = scene_open(&scene, play_break_once);
    assert_int_equal(dht_do(dht, &set_k, NULL), DHT_OK);
    scene_close(&scene, dht);
}

/* Announces a large value that nobody asked for, and sends some of it. */
static void play_stranger(struct scene *scene)
{
    char byte, part[1000];
    memset(part, 'x', sizeof(part));
    scene_begin(scene);
    scene_hear(scene, MG_K);
    scene_call(scene);
    scene_say(scene, true, 0, "VA 100000000 O00000000000000000.0.1\r\n");
    for (int i = 0; i < 10; i++)
        (void)!send(scene->direct, part, sizeof(part), MSG_NOSIGNAL);
    if (byte_read(scene->direct, &byte) != 0)
        failed(&scene->fake, "the end", "more");
    scene_hang_up(scene);
    scene_hear(scene, MG_K); /* it might have been that answer's connection */
    scene_say(scene, false, 1, "VA 1 O%s\r\nv\r\n");
}

static void a_stranger_cannot_make_it_wait_for_a_large_value(void **state)
{
    (void)state;
    struct scene scene;
    struct dht *dht = scene_open(&scene, play_stranger);
    assert_int_equal(dht_do(dht, &get_k, NULL), DHT_OK);
    scene_close(&scene, dht);
}

static void play_mixed(struct scene *scene)
{
    static const struct act acts[] = {{HEAR, "stats settings\r\n", 0},
                                      {SAY, "STAT a 1\r\nEND\r\n", 0}};
    scene_begin(scene);
    scene_hear(scene, MG_K);
    scene_call(scene);
    scene_say(scene, true, 0, "VA 1 O%s\r\nv\r\n");
    act(&scene->fake, &acts[0]);
    act(&scene->fake, &acts[1]);
}

static void what_has_no_key_waits_for_all_before_it(void **state)
{
    (void)state;
    struct scene scene;
    struct dht *dht = scene_open(&scene, play_mixed);
    const struct dht_op ops[] = {get_k, {.verb = DHT_OP_STATS, .key = "settings"}};
    assert_told(dht, ops, 2, DHT_OK, "k ok v\nsettings ok a=1\nsettings ok \n");
    scene_close(&scene, dht);
}

static void play_nothing(struct scene *scene)
{
    (void)scene;
}

static void bad_lists_are_refused_here_too(void **state)
{
    (void)state;
    struct scene scene;
    const char *why = NULL;
    struct dht *dht = scene_open(&scene, play_nothing);
    assert_null(dht_open_via("a:0", &why));
    assert_non_null(why);
    scene_close(&scene, dht);
}

/* Whose answer it is, for answers that a run could get. */
static void an_opaque_tells_whose_answer_it_is(void **state)
{
    (void)state;
    struct via *via = via_new();
    char text[VIA_OPAQUE_BYTES_MAX + 1];
    via->nonce = 0xabc;
    assert_true(span_equal(via_opaque(via, 12, 3, text), SPAN_LITERAL("0000000000000abc.12.3")));
    assert_int_equal(via_opaque(via, UINT32_MAX - 2, 255, text).len, VIA_OPAQUE_BYTES_MAX);
    static const struct {
        const char *line;
        uint32_t index;
    } cases[] = {
        {"HD O0000000000000abc.12.3\r\n", 12},
        {"EN k O0000000000000abc.0.1\r\n", 0},
        {"SERVER_ERROR not done: no answer O0000000000000abc.7.1\r\n", 7},
        {"SERVER_ERROR busy, retry in 5 ms O0000000000000abc.7.1\r\n", 7},
        {"ERROR O0000000000000abc.7.1\r\n", 7},
        {"HD O0000000000000abd.12.3\r\n", VIA_STRAY}, /* of another run */
        {"SERVER_ERROR x O0000000000000abd.12.3\r\n", VIA_STRAY},
        {"HD O0000000000000abc.12\r\n", VIA_STRAY},
        {"HD O0000000000000abc.12.256\r\n", VIA_STRAY},
        {"HD O0000000000000abc.4294967294.1\r\n", VIA_STRAY},
        {"HD Osomebody\r\n", VIA_STRAY},
        {"HD\r\n", SLIP_NONE},
        {"STAT evict On\r\n", SLIP_NONE},
        {"SERVER_ERROR nobody is Online\r\n", SLIP_NONE},
        {"OK\r\n", SLIP_NONE},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct answer answer;
        size_t consumed, need;
        unsigned attempt;
        assert_int_equal(
            answer_parse(cases[i].line, strlen(cases[i].line), 0, &answer, &consumed, &need),
            ANSWER_DONE);
        if (via_index(via, &answer, &attempt) != cases[i].index)
            fail_msg("%s", cases[i].line);
    }
    via_free(via);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_brought_by_another_node_is_taken),
        cmocka_unit_test(relayed_answers_come_in_any_order),
        cmocka_unit_test(an_error_is_told_without_the_opaque),
        cmocka_unit_test(the_first_answer_wins_and_others_are_dropped),
        cmocka_unit_test(a_second_answer_within_a_run_is_dropped_too),
        cmocka_unit_test(a_node_that_knows_nothing_of_it_answers_as_ever),
        cmocka_unit_test(a_memcached_is_not_told_of_it),
        cmocka_unit_test(a_read_whose_answer_broke_off_is_asked_again),
        cmocka_unit_test(a_write_without_an_id_whose_answer_broke_off_is_not),
        cmocka_unit_test(a_write_with_an_id_whose_answer_broke_off_is_asked_again),
        cmocka_unit_test(a_stranger_cannot_make_it_wait_for_a_large_value),
        cmocka_unit_test(what_has_no_key_waits_for_all_before_it),
        cmocka_unit_test(an_opaque_tells_whose_answer_it_is),
        cmocka_unit_test(bad_lists_are_refused_here_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
