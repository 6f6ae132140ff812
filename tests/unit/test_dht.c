/* libdht against scripted servers: what it sends, what it makes of good and bad answers, and what
 * it repeats when one fails it. */
#include "tests/unit/fake_server.h"

#include "client/dht_wire.h"

static void fake_start(struct fake *fake, const struct act *script)
{
    fake_bind(fake);
    fake_follow(fake, script);
}

/* A server, and a client of it alone. */
static struct dht *client_start(struct fake *fake, const struct act *script)
{
    fake_start(fake, script);
    return client_of(fake->address, NULL);
}

/* Two servers, and a client that asks the first one first. */
struct pair {
    struct fake first, second;
};

static struct dht *pair_open(struct pair *pair, const struct act *first, const struct act *second)
{
    fake_start(&pair->first, first);
    fake_start(&pair->second, second);
    return client_of(pair->first.address, pair->second.address);
}

static void pair_close(struct pair *pair, struct dht *dht)
{
    fake_end(&pair->first);
    fake_end(&pair->second);
    dht_close(dht);
}

/* ---- tests ---- */

static void each_verb_is_one_request_and_one_answer(void **state)
{
    (void)state;
    static const struct {
        struct dht_op op;
        const char *request;
        const char *answer;
        enum dht_result result;
    } cases[] = {
        {{.verb = DHT_OP_GET, .key = "k"}, GET_K, "EN\r\n", DHT_NOT_FOUND},
        {{.verb = DHT_OP_GAT, .key = "k", .ttl_s = -1}, "mg k v f c t T-1\r\n", VALUE_V, DHT_OK},
        {{.verb = DHT_OP_EXISTS, .key = "k"}, "mg k\r\n", "HD\r\n", DHT_OK},
        {{.verb = DHT_OP_EXISTS, .key = "k"}, "mg k\r\n", "EN\r\n", DHT_NOT_FOUND},
        {{.verb = DHT_OP_TOUCH, .key = "k", .ttl_s = 2592000},
         "mg k c T2592000\r\n",
         "HD c1\r\n",
         DHT_OK},
        {{.verb = DHT_OP_SET,
          .key = "k",
          .value = "a\r\n",
          .value_bytes = 3,
          .ttl_s = 9,
          .flags = 4294967295,
          .cas = UINT64_MAX},
         "ms k 3 c MS T9 F4294967295 C18446744073709551615\r\na\r\n\r\n",
         "EX\r\n",
         DHT_EXISTS},
        {{.verb = DHT_OP_ADD, .key = "k"}, "ms k 0 c ME T0 F0\r\n\r\n", "NS\r\n", DHT_NOT_STORED},
        {{.verb = DHT_OP_REPLACE, .key = "k"},
         "ms k 0 c MR T0 F0\r\n\r\n",
         "NS\r\n",
         DHT_NOT_STORED},
        {{.verb = DHT_OP_APPEND, .key = "k", .value = "v", .value_bytes = 1},
         "ms k 1 c MA\r\nv\r\n",
         "HD c8\r\n",
         DHT_OK},
        {{.verb = DHT_OP_PREPEND, .key = "k", .cas = 7},
         "ms k 0 c MP C7\r\n\r\n",
         "NF\r\n",
         DHT_NOT_FOUND},
        {{.verb = DHT_OP_DELETE, .key = "k", .cas = 7}, "md k C7\r\n", "EX\r\n", DHT_EXISTS},
        {{.verb = DHT_OP_DELETE, .key = "k"}, "md k\r\n", "NF\r\n", DHT_NOT_FOUND},
        {{.verb = DHT_OP_INCR, .key = "k", .delta = UINT64_MAX},
         "ma k v c MI D18446744073709551615\r\n",
         "VA 2 c9\r\n17\r\n",
         DHT_OK},
        {{.verb = DHT_OP_DECR, .key = "k", .delta = 1},
         "ma k v c MD D1\r\n",
         "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n",
         DHT_CLIENT_ERROR},
        {{.verb = DHT_OP_FLUSH_ALL}, "flush_all\r\n", "OK\r\n", DHT_OK},
        {{.verb = DHT_OP_FLUSH_ALL, .ttl_s = 5},
         "flush_all 5\r\n",
         "SERVER_ERROR outcome unknown: 1 of 3\r\n",
         DHT_OUTCOME_UNKNOWN},
        {{.verb = DHT_OP_STATS, .key = "reset"}, "stats reset\r\n", "RESET\r\n", DHT_OK},
        {{.verb = DHT_OP_STATUS}, "status\r\n", "REPORT 2\r\n{}\r\nEND\r\n", DHT_OK},
        {{.verb = DHT_OP_TRANSFERS}, "transfers\r\n", "REPORT 2\r\n{}\r\nEND\r\n", DHT_OK},
        {{.verb = DHT_OP_COPY, .key = "k"}, "copy k\r\n", "REPORT 2\r\n{}\r\nEND\r\n", DHT_OK},
        {{.verb = DHT_OP_FORGET, .key = "a:1"}, "forget a:1\r\n", "OK\r\n", DHT_OK},
        {{.verb = DHT_OP_ACCEPT_LOSS}, "accept_loss\r\n", "OK\r\n", DHT_OK},
        {{.verb = DHT_OP_ACCEPT_LOSS, .key = "a:1 b:1"},
         "accept_loss a:1 b:1\r\n",
         "CLIENT_ERROR not done: b:1 is alive\r\n",
         DHT_CLIENT_ERROR},
        {{.verb = DHT_OP_FORM}, "form\r\n", "OK\r\n", DHT_OK},
        {{.verb = DHT_OP_VERSION}, "version\r\n", "VERSION 1.6.19 x\r\n", DHT_OK},
        {{.verb = DHT_OP_SET, .key = "k"},
         "ms k 0 c MS T0 F0\r\n\r\n",
         "SERVER_ERROR out of memory storing object\r\n",
         DHT_SERVER_ERROR},
        {{.verb = DHT_OP_SET, .key = "k"},
         "ms k 0 c MS T0 F0\r\n\r\n",
         "SERVER_ERROR not done: no answer from a:1\r\n",
         DHT_NOT_DONE},
    };
    struct act script[2 + 2 * ARRAY_COUNT(cases)] = {{ACCEPT, NULL, 0}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        script[1 + 2 * i] = (struct act){HEAR, cases[i].request, 0};
        script[2 + 2 * i] = (struct act){SAY, cases[i].answer, 0};
    }
    struct fake fake;
    struct dht *dht = client_start(&fake, script);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        if (dht_do(dht, &cases[i].op, NULL) != cases[i].result)
            fail_msg("%s%s", cases[i].request, cases[i].answer);
    fake_end(&fake);
    dht_close(dht);
}

static void an_answer_tells_all_the_server_said(void **state)
{
    (void)state;
    static const struct act script[] = {{ACCEPT, NULL, 0},
                                        {HEAR, GET_K, 0},
                                        {SAY, "VA 2 f7 c12 t60\r\nhi\r\n", 0},
                                        {HEAR, "ma k v c MI D2\r\n", 0},
                                        {SAY, "VA 2 c13\r\n17\r\n", 0},
                                        {HEAR, "version\r\n", 0},
                                        {SAY, "VERSION 1.6.18 x\r\n", 0},
                                        {END, NULL, 0}};
    struct fake fake;
    struct dht_answer answer;
    struct dht *dht = client_start(&fake, script);
    assert_int_equal(dht_get(dht, "k", &answer), DHT_OK);
    assert_int_equal(answer.value_bytes, 2);
    assert_memory_equal(answer.value, "hi", 2);
    assert_int_equal(answer.flags, 7);
    assert_int_equal(answer.cas, 12);
    assert_int_equal(answer.ttl_s, 60);
    struct dht_op incr = {.verb = DHT_OP_INCR, .key = "k", .delta = 2};
    assert_int_equal(dht_do(dht, &incr, &answer), DHT_OK);
    assert_int_equal(answer.number, 17);
    assert_int_equal(answer.cas, 13);
    assert_int_equal(dht_do(dht, &(struct dht_op){.verb = DHT_OP_VERSION}, &answer), DHT_OK);
    assert_string_equal(answer.text, "1.6.18 x");
    assert_string_equal(dht_server(dht), fake.address);
    fake_end(&fake);
    dht_close(dht);
}

static void a_long_ttl_is_sent_as_a_point_in_time(void **state)
{
    (void)state;
    static const struct act script[] = {
        {ACCEPT, NULL, 0}, {HEAR_LINE, NULL, 0}, {SAY, "HD\r\n", 0}, {END, NULL, 0}};
    struct fake fake;
    long long sent;
    struct dht *dht = client_start(&fake, script);
    long long before = (long long)time(NULL);
    struct dht_op touch = {.verb = DHT_OP_TOUCH, .key = "k", .ttl_s = 2592001};
    assert_int_equal(dht_do(dht, &touch, NULL), DHT_OK);
    long long after = (long long)time(NULL);
    fake_end(&fake);
    assert_int_equal(sscanf(fake.heard, "mg k c T%lld\r\n", &sent), 1);
    assert_in_range(sent, before + 2592001, after + 2592001);
    dht_close(dht);
}

static void a_run_is_pipelined_and_answered_in_order(void **state)
{
    (void)state;
    static const struct act script[] = {
        {ACCEPT, NULL, 0},
        {HEAR, "mg a v f c t\r\n" SET_K "mg b v f c t\r\n", 0}, /* all before the first answer */
        {SAY, "VA 1 f0\r\n1\r\nHD c2\r\nE", 0},
        {SAY, "N\r\n", 0},
        {END, NULL, 0}};
    const struct dht_op ops[] = {
        {.verb = DHT_OP_GET, .key = "a"}, set_k, {.verb = DHT_OP_GET, .key = "b"}};
    struct fake fake;
    struct dht *dht = client_start(&fake, script);
    assert_told(dht, ops, 3, DHT_NOT_FOUND, "a ok 1\nk ok \nb not_found \n");
    fake_end(&fake);
    dht_close(dht);
}

static void large_values_pass_both_ways(void **state)
{
    (void)state;
    enum { BYTES = 300000 };
    static const struct act script[] = {{ACCEPT, NULL, 0},
                                        {HEAR, "ms k 300000 c MS T0 F0\r\n", 0},
                                        {HEAR_BYTES, NULL, BYTES},
                                        {HEAR, "\r\n", 0},
                                        {SAY, "HD c1\r\n", 0},
                                        {HEAR, GET_K, 0},
                                        {SAY, "VA 300000 f0 c1 t-1\r\n", 0},
                                        {SAY_BYTES, NULL, BYTES},
                                        {SAY, "\r\n", 0},
                                        {END, NULL, 0}};
    struct fake fake;
    struct dht_answer answer;
    char *value = malloc(BYTES);
    assert_non_null(value);
    memset(value, 'x', BYTES);
    struct dht *dht = client_start(&fake, script);
    assert_int_equal(dht_set(dht, "k", value, BYTES, 0), DHT_OK);
    assert_int_equal(dht_get(dht, "k", &answer), DHT_OK);
    assert_int_equal(answer.value_bytes, BYTES);
    assert_memory_equal(answer.value, value, BYTES);
    fake_end(&fake);
    dht_close(dht);
    free(value);
}

static void wrong_arguments_are_refused_unsent(void **state)
{
    (void)state;
    char key[DHT_KEY_BYTES_MAX + 2];
    char address[64];
    struct story story = {""};
    int fd = bind_port(address); /* nobody listens: a try to send would say cannot_connect */
    struct dht *dht = client_of(address, NULL);
    memset(key, 'k', sizeof(key));
    key[sizeof(key) - 1] = '\0';
    const struct dht_op bads[] = {
        {.verb = DHT_OP_GET},
        {.verb = DHT_OP_GET, .key = ""},
        {.verb = DHT_OP_GET, .key = "a b"},
        {.verb = DHT_OP_GET, .key = "a\r\nflush_all"},
        {.verb = DHT_OP_GET, .key = "a\x7f"},
        {.verb = DHT_OP_GET, .key = key},
        {.verb = DHT_OP_STATS, .key = "a\nb"},
        {.verb = DHT_OP_COPY, .key = "a b"},
        {.verb = DHT_OP_COPY},
        {.verb = DHT_OP_SET, .key = "k", .value = "", .value_bytes = DHT_VALUE_BYTES_MAX + 1},
        {.verb = (enum dht_verb)99, .key = "k"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bads); i++) {
        const struct dht_op ops[] = {get_k, bads[i]};
        assert_int_equal(dht_run(dht, ops, 2, tell, &story), DHT_USAGE);
        assert_string_equal(story.text, "");
        assert_int_not_equal(strlen(dht_why(dht)), 0);
    }
    key[DHT_KEY_BYTES_MAX] = '\0';
    assert_int_equal(dht_get(dht, key, NULL), DHT_CANNOT_CONNECT);
    dht_close(dht);
    close(fd);
}

static void bad_server_lists_are_refused(void **state)
{
    (void)state;
    static const char *const bads[] = {"",         ",",   "a",       "a:1,",  ",a:1",
                                       "a:1,,b:1", "a:0", "a:65536", "::1:5", "a b:1"};
    for (size_t i = 0; i < ARRAY_COUNT(bads); i++) {
        const char *why = NULL;
        assert_null(dht_open(bads[i], &why));
        assert_non_null(why);
    }
    struct dht *dht = dht_open("[::1]:5,Host:6", NULL);
    assert_non_null(dht);
    assert_string_equal(dht_server(dht), "[::1]:5");
    dht_close(dht);
}

/* ---- servers that fail ---- */

static void who_cannot_be_reached_is_passed_over(void **state)
{
    (void)state;
    static const struct act script[] = {{ACCEPT, NULL, 0}, {HEAR, SET_K, 0},  {SAY, "HD c1\r\n", 0},
                                        {HEAR, GET_K, 0},  {SAY, VALUE_V, 0}, {END, NULL, 0}};
    char nobody[64];
    struct fake fake;
    int fd = bind_port(nobody);
    fake_start(&fake, script);
    struct dht *dht = client_of(nobody, fake.address);
    assert_int_equal(dht_do(dht, &set_k, NULL), DHT_OK);
    assert_int_equal(dht_do(dht, &get_k, NULL), DHT_OK); /* and stays there */
    fake_end(&fake);
    dht_close(dht);
    close(fd);
}

static void who_hangs_is_found_out_before_a_write_leaves(void **state)
{
    (void)state;
    static const struct act silent[] = {
        {ACCEPT_SILENTLY, NULL, 0}, {HEAR, "version\r\n", 0}, {HEAR_END, NULL, 0}, {END, NULL, 0}};
    static const struct act script[] = {
        {ACCEPT, NULL, 0}, {HEAR, SET_K, 0}, {SAY, "HD c1\r\n", 0}, {END, NULL, 0}};
    struct pair pair;
    struct dht *dht = pair_open(&pair, silent, script);
    dht_set_timeout(dht, 2 * SHORT_MS); /* the hung one gets its half of it */
    assert_int_equal(dht_do(dht, &set_k, NULL), DHT_OK);
    pair_close(&pair, dht);
}

static void no_server_at_all_is_said(void **state)
{
    (void)state;
    static const struct act foreign[] = {{ACCEPT_SILENTLY, NULL, 0},
                                         {SAY, "SSH-2.0-OpenSSH_9.2\r\n", 0},
                                         {HEAR, "version\r\n", 0},
                                         {HEAR_END, NULL, 0},
                                         {END, NULL, 0}};
    char nobody[64];
    struct fake ssh;
    int fd = bind_port(nobody);
    fake_start(&ssh, foreign);
    struct dht *dht = client_of(nobody, ssh.address);
    const struct dht_op ops[] = {set_k, get_k};
    assert_told(dht, ops, 2, DHT_CANNOT_CONNECT, "k cannot_connect \nk cannot_connect \n");
    assert_non_null(strstr(dht_why(dht), ssh.address));
    fake_end(&ssh);
    dht_close(dht);
    close(fd);
}

/* Bad answers to a read: the connection is closed and the next server asked. */
static void a_read_badly_answered_is_asked_of_the_next(void **state)
{
    (void)state;
    static const char *const bads[] = {
        "nonsense\r\n",         "HD\r\n", "VA 134217729\r\n", "VA 1\r\nvvv", "STORED\r\n",
        "VALUE k 0 1\r\nv\r\n", "17\r\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bads); i++) {
        const struct act script[] = {{ACCEPT, NULL, 0},
                                     {HEAR, GET_K, 0},
                                     {SAY, bads[i], 0},
                                     {HEAR_END, NULL, 0},
                                     {END, NULL, 0}};
        static const struct act good[] = {
            {ACCEPT, NULL, 0}, {HEAR, GET_K, 0}, {SAY, VALUE_V, 0}, {END, NULL, 0}};
        struct pair pair;
        struct dht *dht = pair_open(&pair, script, good);
        assert_int_equal(dht_do(dht, &get_k, NULL), DHT_OK);
        pair_close(&pair, dht);
    }
}

static void a_write_of_unknown_outcome_is_not_repeated(void **state)
{
    (void)state;
    static const char *const bads[] = {"nonsense\r\n", "EN\r\n", "H", ""};
    for (size_t i = 0; i < ARRAY_COUNT(bads); i++) {
        const struct act script[] = {{ACCEPT, NULL, 0},
                                     {HEAR, SET_K, 0},
                                     {SAY, bads[i], 0},
                                     {HANG_UP, NULL, 0},
                                     {END, NULL, 0}};
        struct pair pair;
        struct dht *dht = pair_open(&pair, script, idle);
        assert_int_equal(dht_do(dht, &set_k, NULL), DHT_OUTCOME_UNKNOWN);
        pair_close(&pair, dht); /* nobody came */
    }
}

static void a_connection_lost_in_a_run_costs_only_what_had_left(void **state)
{
    (void)state;
    static const struct act script[] = {{ACCEPT, NULL, 0},
                                        {HEAR, "mg a v f c t\r\n" SET_K "mg b v f c t\r\n", 0},
                                        {SAY, "EN\r\n", 0},
                                        {HANG_UP, NULL, 0},
                                        {END, NULL, 0}};
    const struct dht_op ops[] = {
        {.verb = DHT_OP_GET, .key = "a"}, set_k, {.verb = DHT_OP_GET, .key = "b"}};
    struct pair pair;
    struct dht *dht = pair_open(&pair, script, idle);
    assert_told(dht, ops, 3, DHT_NOT_FOUND, "a not_found \nk outcome_unknown \nb not_done \n");
    pair_close(&pair, dht);
}

static void reads_without_an_answer_go_on_where_they_were(void **state)
{
    (void)state;
    static const struct act script[] = {{ACCEPT, NULL, 0},
                                        {HEAR, "mg a v f c t\r\nmg b v f c t\r\n", 0},
                                        {SAY, "EN\r\nVA 5", 0},
                                        {HANG_UP, NULL, 0},
                                        {END, NULL, 0}};
    static const struct act rest[] = {
        {ACCEPT, NULL, 0}, {HEAR, "mg b v f c t\r\n", 0}, {SAY, "EN\r\n", 0}, {END, NULL, 0}};
    const struct dht_op ops[] = {{.verb = DHT_OP_GET, .key = "a"},
                                 {.verb = DHT_OP_GET, .key = "b"}};
    struct pair pair;
    struct dht *dht = pair_open(&pair, script, rest);
    assert_told(dht, ops, 2, DHT_NOT_FOUND, "a not_found \nb not_found \n");
    pair_close(&pair, dht);
}

static void after_a_timeout_the_connection_is_not_used_again(void **state)
{
    (void)state;
    static const struct act script[] = {{ACCEPT, NULL, 0}, {HEAR, GET_K, 0}, {HEAR_END, NULL, 0},
                                        {ACCEPT, NULL, 0}, {HEAR, SET_K, 0}, {HEAR_END, NULL, 0},
                                        {ACCEPT, NULL, 0}, {HEAR, GET_K, 0}, {SAY, VALUE_V, 0},
                                        {END, NULL, 0}};
    struct fake fake;
    struct dht *dht = client_start(&fake, script);
    dht_set_timeout(dht, SHORT_MS);
    assert_int_equal(dht_do(dht, &get_k, NULL), DHT_TIMEOUT);
    assert_int_equal(dht_do(dht, &set_k, NULL), DHT_OUTCOME_UNKNOWN);
    dht_set_timeout(dht, LIMIT_MS);
    assert_int_equal(dht_do(dht, &get_k, NULL), DHT_OK);
    fake_end(&fake);
    dht_close(dht);
}

static void an_idle_connection_closed_by_the_server_harms_no_write(void **state)
{
    (void)state;
    static const struct act script[] = {
        {ACCEPT, NULL, 0}, {HEAR, GET_K, 0}, {SAY, VALUE_V, 0}, {HANG_UP, NULL, 0}, {END, NULL, 0}};
    static const struct act again[] = {
        {ACCEPT, NULL, 0}, {HEAR, SET_K, 0}, {SAY, "HD c1\r\n", 0}, {END, NULL, 0}};
    struct fake fake;
    struct dht *dht = client_start(&fake, script);
    assert_int_equal(dht_do(dht, &get_k, NULL), DHT_OK);
    assert_int_equal(pthread_join(fake.thread, NULL), 0); /* it has hung up */
    fake.script = again;
    assert_int_equal(pthread_create(&fake.thread, NULL, follow, &fake), 0);
    assert_int_equal(dht_do(dht, &set_k, NULL), DHT_OK);
    fake_end(&fake);
    dht_close(dht);
}

static void an_answer_nobody_asked_for_is_never_taken_for_the_next(void **state)
{
    (void)state;
    static const struct act script[] = {
        {ACCEPT, NULL, 0}, {HEAR, GET_K, 0}, {SAY, "EN\r\n" VALUE_V, 0}, {HEAR_END, NULL, 0},
        {ACCEPT, NULL, 0}, {HEAR, GET_K, 0}, {SAY, "EN\r\n", 0},         {END, NULL, 0}};
    struct fake fake;
    struct dht *dht = client_start(&fake, script);
    assert_int_equal(dht_do(dht, &get_k, NULL), DHT_NOT_FOUND);
    assert_int_equal(dht_do(dht, &get_k, NULL), DHT_NOT_FOUND);
    fake_end(&fake);
    dht_close(dht);
}

static void a_value_whose_line_was_refused_ends_the_connection(void **state)
{
    (void)state;
    static const struct act script[] = {{ACCEPT, NULL, 0},
                                        {HEAR, SET_K, 0},
                                        {SAY, "CLIENT_ERROR bad command line format\r\n", 0},
                                        {HEAR_END, NULL, 0},
                                        {END, NULL, 0}};
    struct fake fake;
    struct dht *dht = client_start(&fake, script);
    assert_int_equal(dht_do(dht, &set_k, NULL), DHT_CLIENT_ERROR);
    assert_string_equal(dht_why(dht), "bad command line format");
    fake_end(&fake);
    dht_close(dht);
}

/* ---- servers that ask for patience ---- */

static void busy_is_waited_for_at_the_door_and_inside(void **state)
{
    (void)state;
    static const struct act script[] = {{ACCEPT_SILENTLY, NULL, 0},
                                        {SAY, "SERVER_ERROR busy, retry in 60 ms\r\n", 0},
                                        {HEAR, "version\r\n", 0},
                                        {HEAR_END, NULL, 0},
                                        {ACCEPT, NULL, 0},
                                        {HEAR, SET_K, 0},
                                        {SAY, "SERVER_ERROR busy, retry in 60 ms\r\n", 0},
                                        {HEAR_END, NULL, 0},
                                        {ACCEPT, NULL, 0},
                                        {HEAR, SET_K, 0},
                                        {SAY, "HD c1\r\n", 0},
                                        {END, NULL, 0}};
    struct fake fake;
    struct dht *dht = client_start(&fake, script);
    uint64_t start_ms = wire_clock_ms();
    assert_int_equal(dht_do(dht, &set_k, NULL), DHT_OK);
    assert_true(wire_clock_ms() - start_ms >= 2 * 60);
    fake_end(&fake);
    dht_close(dht);
}

static void a_loss_after_a_refusal_is_told_as_a_loss(void **state)
{
    (void)state;
    static const struct act busy[] = {{ACCEPT_SILENTLY, NULL, 0},
                                      {SAY, "SERVER_ERROR busy, retry in 1 ms\r\n", 0},
                                      {HEAR, "version\r\n", 0},
                                      {HEAR_END, NULL, 0},
                                      {END, NULL, 0}};
    static const struct act lost[] = {
        {ACCEPT, NULL, 0}, {HEAR, SET_K, 0}, {HANG_UP, NULL, 0}, {END, NULL, 0}};
    struct pair pair;
    struct dht *dht = pair_open(&pair, busy, lost);
    assert_int_equal(dht_do(dht, &set_k, NULL), DHT_OUTCOME_UNKNOWN);
    assert_non_null(strstr(dht_why(dht), pair.second.address));
    pair_close(&pair, dht);
}

static void busy_beyond_the_timeout_is_not_done(void **state)
{
    (void)state;
    static const struct act script[] = {{ACCEPT, NULL, 0},
                                        {HEAR, SET_K, 0},
                                        {SAY, "SERVER_ERROR busy, retry in 60000 ms\r\n", 0},
                                        {HEAR_END, NULL, 0},
                                        {END, NULL, 0}};
    struct fake fake;
    struct dht *dht = client_start(&fake, script);
    uint64_t start_ms = wire_clock_ms();
    assert_int_equal(dht_do(dht, &set_k, NULL), DHT_NOT_DONE);
    assert_true(wire_clock_ms() - start_ms < LIMIT_MS); /* nor is it waited for in vain */
    fake_end(&fake);
    dht_close(dht);
}

static void what_was_not_done_is_asked_of_the_next(void **state)
{
    (void)state;
    static const struct act refuse[] = {{ACCEPT, NULL, 0},
                                        {HEAR, SET_K, 0},
                                        {SAY, "SERVER_ERROR not done: no answer from a:1\r\n", 0},
                                        {HEAR_END, NULL, 0},
                                        {END, NULL, 0}};
    static const struct act accept_it[] = {
        {ACCEPT, NULL, 0}, {HEAR, SET_K, 0}, {SAY, "HD c1\r\n", 0}, {END, NULL, 0}};
    struct pair pair;
    struct dht *dht = pair_open(&pair, refuse, accept_it);
    assert_int_equal(dht_do(dht, &set_k, NULL), DHT_OK);
    pair_close(&pair, dht);
}

static void in_a_run_a_key_not_done_costs_only_itself(void **state)
{
    (void)state;
    static const struct act script[] = {
        {ACCEPT, NULL, 0},
        {HEAR, "mg a v f c t\r\nmg b v f c t\r\nmg c v f c t\r\n", 0},
        {SAY, VALUE_V "SERVER_ERROR not done: no answer from a:1\r\n" VALUE_V, 0},
        {END, NULL, 0}};
    const struct dht_op ops[] = {{.verb = DHT_OP_GET, .key = "a"},
                                 {.verb = DHT_OP_GET, .key = "b"},
                                 {.verb = DHT_OP_GET, .key = "c"}};
    struct pair pair;
    struct dht *dht = pair_open(&pair, script, idle);
    assert_told(dht, ops, 3, DHT_NOT_DONE, "a ok v\nb not_done \nc ok v\n");
    pair_close(&pair, dht); /* the others' answers were not thrown away to ask it */
}

static void statistics_begun_are_not_told_twice(void **state)
{
    (void)state;
    static const struct act script[] = {{ACCEPT, NULL, 0},
                                        {HEAR, "stats\r\n", 0},
                                        {SAY, "STAT pid 1\r\nSTAT time 2\r\n", 0},
                                        {HANG_UP, NULL, 0},
                                        {END, NULL, 0}};
    struct pair pair;
    const struct dht_op stats = {.verb = DHT_OP_STATS};
    struct dht *dht = pair_open(&pair, script, idle);
    assert_told(dht, &stats, 1, DHT_NOT_DONE, "- ok pid=1\n- ok time=2\n- not_done \n");
    pair_close(&pair, dht);
}

static void statistics_begun_and_refused_are_not_told_twice(void **state)
{
    (void)state;
    static const struct act script[] = {
        {ACCEPT, NULL, 0},
        {HEAR, "stats\r\n", 0},
        {SAY, "STAT pid 1\r\nSERVER_ERROR busy, retry in 1 ms\r\n", 0},
        {END, NULL, 0}};
    struct pair pair;
    const struct dht_op stats = {.verb = DHT_OP_STATS};
    struct dht *dht = pair_open(&pair, script, idle);
    assert_told(dht, &stats, 1, DHT_NOT_DONE, "- ok pid=1\n- not_done \n");
    pair_close(&pair, dht);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_verb_is_one_request_and_one_answer),
        cmocka_unit_test(an_answer_tells_all_the_server_said),
        cmocka_unit_test(a_long_ttl_is_sent_as_a_point_in_time),
        cmocka_unit_test(a_run_is_pipelined_and_answered_in_order),
        cmocka_unit_test(large_values_pass_both_ways),
        cmocka_unit_test(wrong_arguments_are_refused_unsent),
        cmocka_unit_test(bad_server_lists_are_refused),
        cmocka_unit_test(who_cannot_be_reached_is_passed_over),
        cmocka_unit_test(who_hangs_is_found_out_before_a_write_leaves),
        cmocka_unit_test(no_server_at_all_is_said),
        cmocka_unit_test(a_read_badly_answered_is_asked_of_the_next),
        cmocka_unit_test(a_write_of_unknown_outcome_is_not_repeated),
        cmocka_unit_test(a_connection_lost_in_a_run_costs_only_what_had_left),
        cmocka_unit_test(reads_without_an_answer_go_on_where_they_were),
        cmocka_unit_test(after_a_timeout_the_connection_is_not_used_again),
        cmocka_unit_test(an_idle_connection_closed_by_the_server_harms_no_write),
        cmocka_unit_test(an_answer_nobody_asked_for_is_never_taken_for_the_next),
        cmocka_unit_test(a_value_whose_line_was_refused_ends_the_connection),
        cmocka_unit_test(busy_is_waited_for_at_the_door_and_inside),
        cmocka_unit_test(a_loss_after_a_refusal_is_told_as_a_loss),
        cmocka_unit_test(busy_beyond_the_timeout_is_not_done),
        cmocka_unit_test(what_was_not_done_is_asked_of_the_next),
        cmocka_unit_test(in_a_run_a_key_not_done_costs_only_itself),
        cmocka_unit_test(statistics_begun_are_not_told_twice),
        cmocka_unit_test(statistics_begun_and_refused_are_not_told_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
