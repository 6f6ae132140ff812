/* libdht and the ring: how it is learned, whom each key is asked of, and what happens when the ring
 * changes or a leader is gone. Nodes are scripts; fake_server.h. */
#include "tests/unit/fake_server.h"

#include "client/dht_choice.h"
#include "client/dht_ring.h"
#include "client/dht_server.h"

/* ---- two nodes and their ring ---- */

#define KEYS_MAX 64

struct town {
    struct fake nodes[2];
    uint64_t hash;
    char list[2048];   /* what get_membership_list answers while both are on the ring */
    char follow[32];   /* how a client says that it follows this ring */
    char told[40];     /* what it is answered */
    char key[2][32];   /* one key led by each */
    char other[2][32]; /* and another */
    char get[2][64], get_other[2][64];
};

static struct view view_of_names(const char *const *names, size_t count)
{
    struct view view = {.epoch = 1, .members = calloc(count, sizeof(struct member))};
    assert_non_null(view.members);
    for (size_t i = 0; i < count; i++) {
        struct member *member = &view.members[view.member_count++];
        snprintf(member->name, sizeof(member->name), "%s", names[i]);
        member->weight = 1;
    }
    if (count == 2 && strcmp(view.members[0].name, view.members[1].name) > 0) {
        struct member first = view.members[0];
        view.members[0] = view.members[1];
        view.members[1] = first;
    }
    return view;
}

/* The list of a node that has these on its ring, with weight 1. */
static struct member_list list_of_names(const char *const *names, size_t count)
{
    struct member_list list = {
        .cluster = "dht", .name = "a:1", .ring_changes = 5, .ring = view_of_names(names, count)};
    list.ring_hash = ring_hash(&list.ring);
    return list;
}

/* Writes the answer to get_membership_list, every name on the ring. Returns its hash. */
static uint64_t list_write(char *text, size_t size, const char *const *names, size_t count)
{
    struct member_list list = list_of_names(names, count);
    uint64_t hash = list.ring_hash;
    struct buf json = {0};
    member_list_format(&list, &json);
    snprintf(text, size, "MEMBERSHIP 1 %zu\r\n%.*s\r\nEND\r\n", buf_len(&json), (int)buf_len(&json),
             json.data);
    buf_close(&json);
    member_list_close(&list);
    return hash;
}

static void town_find_keys(struct town *town)
{
    const char *const names[] = {town->nodes[0].address, town->nodes[1].address};
    struct known_ring ring = {.place = malloc(sizeof(struct ring)),
                              .view = view_of_names(names, 2)};
    assert_non_null(ring.place);
    ring_place(&ring.view, ring.place);
    for (int i = 0; i < KEYS_MAX; i++) {
        char key[32];
        snprintf(key, sizeof(key), "k%d", i);
        uint16_t leader = known_ring_leader(&ring, span_of_string(key));
        int node = strcmp(ring.view.members[leader].name, names[0]) == 0 ? 0 : 1;
        char *place = town->key[node][0] ? town->other[node] : town->key[node];
        memcpy(place, key, sizeof(key));
    }
    known_ring_close(&ring);
}

/* The request for a key. */
static void get_write(char get[64], const char *key)
{
    char copy[32];
    memcpy(copy, key, sizeof(copy));
    snprintf(get, 64, "mg %s v f c t\r\n", copy);
}

static void town_open(struct town *town)
{
    *town = (struct town){0};
    fake_bind(&town->nodes[0]);
    fake_bind(&town->nodes[1]);
    const char *const names[] = {town->nodes[0].address, town->nodes[1].address};
    town->hash = list_write(town->list, sizeof(town->list), names, 2);
    snprintf(town->follow, sizeof(town->follow), "ring %016" PRIx64 "\r\n", town->hash);
    snprintf(town->told, sizeof(town->told), "RING %016" PRIx64 " 2\r\n", town->hash);
    town_find_keys(town);
    for (int i = 0; i < 2; i++) {
        get_write(town->get[i], town->key[i]);
        get_write(town->get_other[i], town->other[i]);
    }
}

/* The nodes follow their scripts; the client is given the first one's address. */
static struct dht *town_follow(struct town *town, const struct act *first, const struct act *second)
{
    fake_follow(&town->nodes[0], first);
    fake_follow(&town->nodes[1], second);
    return client_of(town->nodes[0].address, NULL);
}

/* Both scripts came to their end. */
static void town_close(struct town *town, struct dht *dht)
{
    fake_end(&town->nodes[0]);
    fake_end(&town->nodes[1]);
    dht_close(dht);
}

/* The client's first words to the first node it meets, and to others of the ring. */
#define LEARN(town)                                                                                \
    {ACCEPT_DHT, NULL, 0}, {HEAR, "get_membership_list\r\n", 0}, {SAY, (town).list, 0},            \
        {HEAR, (town).follow, 0},                                                                  \
    {                                                                                              \
        SAY, (town).told, 0                                                                        \
    }
#define MEET(town)                                                                                 \
    {ACCEPT_DHT, NULL, 0}, {HEAR, (town).follow, 0},                                               \
    {                                                                                              \
        SAY, (town).told, 0                                                                        \
    }

static struct dht_op get_of(const char *key)
{
    return (struct dht_op){.verb = DHT_OP_GET, .key = key};
}

static struct dht_op set_of(const char *key)
{
    return (struct dht_op){.verb = DHT_OP_SET, .key = key, .value = "v", .value_bytes = 1};
}

/* ---- whom a key is asked of ---- */

static void each_key_is_asked_of_its_leader(void **state)
{
    (void)state;
    struct town town;
    town_open(&town);
    const struct act first[] = {
        LEARN(town), {HEAR, town.get[0], 0}, {SAY, VALUE_V, 0}, {END, NULL, 0}};
    const struct act second[] = {
        MEET(town), {HEAR, town.get[1], 0}, {SAY, "EN\r\n", 0}, {END, NULL, 0}};
    struct dht *dht = town_follow(&town, first, second);
    assert_int_equal(dht_get(dht, town.key[1], NULL), DHT_NOT_FOUND);
    assert_string_equal(dht_server(dht), town.nodes[1].address);
    assert_int_equal(dht_get(dht, town.key[0], NULL), DHT_OK);
    assert_string_equal(dht_server(dht), town.nodes[0].address);
    town_close(&town, dht);
}

/* The second node's answers are there long before the first one's. */
static void answers_of_several_nodes_are_told_in_order(void **state)
{
    (void)state;
    struct town town;
    town_open(&town);
    char both[128];
    snprintf(both, sizeof(both), "%s%s", town.get[1], town.get_other[1]);
    const struct act first[] = {LEARN(town),
                                {HEAR, town.get[0], 0},
                                {HEAR, town.get_other[0], 0},
                                {SAY, "VA 1 f0\r\n1\r\n", 0},
                                {SAY, "VA 1 f0\r\n3\r\n", 0},
                                {END, NULL, 0}};
    const struct act second[] = {
        MEET(town), {HEAR, both, 0}, {SAY, "VA 1 f0\r\n2\r\nEN\r\n", 0}, {END, NULL, 0}};
    struct dht *dht = town_follow(&town, first, second);
    const struct dht_op ops[] = {get_of(town.key[0]), get_of(town.key[1]), get_of(town.other[0]),
                                 get_of(town.other[1])};
    char expected[HEARD_MAX];
    snprintf(expected, sizeof(expected), "%s ok 1\n%s ok 2\n%s ok 3\n%s not_found \n", town.key[0],
             town.key[1], town.other[0], town.other[1]);
    assert_told(dht, ops, 4, DHT_NOT_FOUND, expected);
    town_close(&town, dht);
}

/* flush_all between two keys: asked when the first is answered, the second when it is. */
static void what_has_no_key_is_overtaken_by_nothing(void **state)
{
    (void)state;
    struct town town;
    town_open(&town);
    const struct act first[] = {
        LEARN(town), {HEAR, ONCE "flush_all\r\n", 0}, {SAY, "OK\r\n", 0}, {END, NULL, 0}};
    const struct act second[] = {MEET(town),         {HEAR, town.get[1], 0},
                                 {SAY, VALUE_V, 0},  {HEAR, town.get[1], 0},
                                 {SAY, "EN\r\n", 0}, {END, NULL, 0}};
    struct dht *dht = town_follow(&town, first, second);
    const struct dht_op ops[] = {
        get_of(town.key[1]), {.verb = DHT_OP_FLUSH_ALL}, get_of(town.key[1])};
    struct story story = {""};
    assert_int_equal(dht_run(dht, ops, 3, tell, &story), DHT_NOT_FOUND);
    town_close(&town, dht);
}

static void it_can_be_switched_off(void **state)
{
    (void)state;
    struct town town;
    town_open(&town);
    const struct act first[] = {
        {ACCEPT_DHT, NULL, 0}, {HEAR, town.get[1], 0}, {SAY, VALUE_V, 0}, {END, NULL, 0}};
    struct dht *dht = town_follow(&town, first, idle);
    dht_set_ring_aware(dht, 0);
    assert_int_equal(dht_get(dht, town.key[1], NULL), DHT_OK);
    town_close(&town, dht);
}

/* A node that has no ring, or tells one that is not its own, finds the leaders itself. */
static void without_a_ring_the_node_asked_is_asked_for_everything(void **state)
{
    (void)state;
    static const char *const lists[] = {
        "ERROR\r\n",
        "MEMBERSHIP 1 2\r\n{}\r\nEND\r\n",
        "MEMBERSHIP 1 70\r\n{\"ring\": {\"hash\": \"0000000000000000\", \"changes\": 0}, "
        "\"members\": []}   \r\nEND\r\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        struct fake node;
        fake_bind(&node);
        const struct act script[] = {
            {ACCEPT_DHT, NULL, 0}, {HEAR, "get_membership_list\r\n", 0},
            {SAY, lists[i], 0},    {HEAR, GET_K, 0},
            {SAY, VALUE_V, 0},     {HEAR, ONCE SET_K, 0}, /* and is not asked again at once */
            {SAY, "HD c1\r\n", 0}, {END, NULL, 0}};
        fake_follow(&node, script);
        struct dht *dht = client_of(node.address, NULL);
        assert_int_equal(dht_do(dht, &get_k, NULL), DHT_OK);
        assert_int_equal(dht_do(dht, &set_k, NULL), DHT_OK);
        fake_end(&node);
        dht_close(dht);
    }
}

/* ---- changes ---- */

/* The first node tells, before an answer, of a ring without the second. */
static void a_change_told_before_an_answer_is_followed(void **state)
{
    (void)state;
    struct town town;
    town_open(&town);
    char list[1024], follow[32], told[40], notice[128];
    const char *const names[] = {town.nodes[0].address};
    uint64_t hash = list_write(list, sizeof(list), names, 1);
    snprintf(follow, sizeof(follow), "ring %016" PRIx64 "\r\n", hash);
    snprintf(told, sizeof(told), "RING %016" PRIx64 " 1\r\n", hash);
    snprintf(notice, sizeof(notice), "RING %016" PRIx64 "\r\n" VALUE_V, hash);
    const struct act first[] = {LEARN(town),       {HEAR, town.get[0], 0},
                                {SAY, notice, 0},  {HEAR, "get_membership_list\r\n", 0},
                                {SAY, list, 0},    {HEAR, follow, 0},
                                {SAY, told, 0},    {HEAR, town.get[1], 0},
                                {SAY, VALUE_V, 0}, {END, NULL, 0}};
    struct dht *dht = town_follow(&town, first, idle);
    assert_int_equal(dht_get(dht, town.key[0], NULL), DHT_OK);
    usleep(120 * 1000); /* the list is not asked for more often than that */
    assert_int_equal(dht_get(dht, town.key[1], NULL), DHT_OK);
    town_close(&town, dht);
}

/* It told of a ring that it is not on itself, and was the last to tell. */
static void a_server_forgotten_is_not_asked_for_the_ring(void **state)
{
    (void)state;
    const struct address address = {.host = "127.0.0.1", .port = 2};
    struct dht *dht = client_of("127.0.0.1:1", NULL);
    dht->told_by = choice_add(dht, &address);
    dht->has_strangers = true;
    choice_begin(dht);
    assert_int_equal(dht->server_count, 1);
    assert_null(dht->told_by);
    dht->told_by = dht->servers[0];
    dht->has_strangers = true;
    choice_begin(dht);
    assert_ptr_equal(dht->told_by, dht->servers[0]);
    dht_close(dht);
}

static void a_leader_that_is_gone_is_asked_through_another(void **state)
{
    (void)state;
    struct town town;
    town_open(&town);
    const struct act first[] = {
        LEARN(town), {HEAR, town.get[1], 0}, {SAY, VALUE_V, 0}, {END, NULL, 0}};
    close(town.nodes[1].listener);
    fake_follow(&town.nodes[0], first);
    struct dht *dht = client_of(town.nodes[0].address, NULL);
    assert_int_equal(dht_get(dht, town.key[1], NULL), DHT_OK);
    fake_end(&town.nodes[0]);
    dht_close(dht);
}

/* It may never be reached from here: it is tried less and less often. */
static void a_leader_that_cannot_be_reached_rests_longer_each_time(void **state)
{
    (void)state;
    static const struct address nowhere = {.host = "127.0.0.1", .port = 1};
    struct server *server = server_new(&nowhere);
    uint64_t rested_ms = 0;
    for (int i = 0; i < 10; i++) {
        server_rest(server, 1000000);
        uint64_t rest_ms = server->rest_until_ms - 1000000;
        assert_true(i == 0 ? rest_ms == 1000 : rest_ms >= rested_ms);
        rested_ms = rest_ms;
    }
    assert_int_equal(rested_ms, 64000);
    server_forgive(server);
    assert_int_equal(server->rest_until_ms, 0);
    server_rest(server, 0);
    assert_int_equal(server->rest_until_ms, 1000);
    server_free(server);
}

/* A read lost with its connection is asked again, a write without an id is not; other nodes'
 * answers count. */
static void a_leader_lost_costs_only_what_it_was_asked(void **state)
{
    (void)state;
    struct town town;
    town_open(&town);
    char set[64];
    snprintf(set, sizeof(set), "ms %s 1 c MS T0 F0\r\nv\r\n", town.key[1]);
    const struct act first[] = {
        LEARN(town), {HEAR, town.get[0], 0}, {SAY, VALUE_V, 0}, {END, NULL, 0}};
    const struct act second[] = {MEET(town), {HEAR, set, 0}, {HANG_UP, NULL, 0}, {END, NULL, 0}};
    struct dht *dht = town_follow(&town, first, second);
    dht_set_request_ids(dht, 0);
    const struct dht_op ops[] = {set_of(town.key[1]), get_of(town.key[0])};
    char expected[HEARD_MAX];
    snprintf(expected, sizeof(expected), "%s outcome_unknown \n%s ok v\n", town.key[1],
             town.key[0]);
    assert_told(dht, ops, 2, DHT_OUTCOME_UNKNOWN, expected);
    town_close(&town, dht);
}

static void a_read_lost_with_its_leader_is_asked_of_another(void **state)
{
    (void)state;
    struct town town;
    town_open(&town);
    const struct act first[] = {LEARN(town),
                                {HEAR, town.get[0], 0},
                                {SAY, VALUE_V, 0},
                                {HEAR, town.get[1], 0},
                                {SAY, "VA 1 f0\r\nw\r\n", 0},
                                {END, NULL, 0}};
    const struct act second[] = {
        MEET(town), {HEAR, town.get[1], 0}, {SAY, "VA 1", 0}, {HANG_UP, NULL, 0}, {END, NULL, 0}};
    struct dht *dht = town_follow(&town, first, second);
    const struct dht_op ops[] = {get_of(town.key[1]), get_of(town.key[0])};
    char expected[HEARD_MAX];
    snprintf(expected, sizeof(expected), "%s ok w\n%s ok v\n", town.key[1], town.key[0]);
    assert_told(dht, ops, 2, DHT_OK, expected);
    town_close(&town, dht);
}

/* One node is gone, so the ring is to be learned; the other answers nothing before it has heard
 * what the first was asked: neither waits for the other. */
static void learning_the_ring_does_not_wait_for_a_slow_answer(void **state)
{
    (void)state;
    struct town town;
    town_open(&town);
    const struct act first[] = {LEARN(town),        {HEAR, town.get[0], 0},
                                {SAY, VALUE_V, 0},  {HEAR, town.get[0], 0},
                                {HANG_UP, NULL, 0}, {END, NULL, 0}};
    const struct act second[] = {MEET(town),
                                 {HEAR, town.get[1], 0},
                                 {HEAR, town.get[0], 0},
                                 {SAY, VALUE_V "EN\r\n", 0},
                                 {END, NULL, 0}};
    struct dht *dht = town_follow(&town, first, second);
    assert_int_equal(dht_get(dht, town.key[0], NULL), DHT_OK);
    usleep(120 * 1000); /* it may be learned anew from now on */
    const struct dht_op ops[] = {get_of(town.key[0]), get_of(town.key[1])};
    char expected[HEARD_MAX];
    snprintf(expected, sizeof(expected), "%s not_found \n%s ok v\n", town.key[0], town.key[1]);
    assert_told(dht, ops, 2, DHT_NOT_FOUND, expected);
    town_close(&town, dht);
}

/* A leader that hangs costs half of one time-out, not one for each key. */
static void a_leader_that_hangs_is_passed_by_after_half_a_timeout(void **state)
{
    (void)state;
    struct town town;
    town_open(&town);
    const struct act first[] = {LEARN(town),
                                {HEAR, town.get[0], 0},
                                {SAY, VALUE_V, 0},
                                {HEAR, town.get[1], 0},
                                {HEAR, town.get_other[1], 0},
                                {SAY, VALUE_V "EN\r\n", 0},
                                {END, NULL, 0}};
    const struct act second[] = {MEET(town),
                                 {HEAR, town.get[1], 0},
                                 {HEAR, town.get_other[1], 0},
                                 {HEAR_END, NULL, 0},
                                 {END, NULL, 0}};
    struct dht *dht = town_follow(&town, first, second);
    dht_set_timeout(dht, 4 * SHORT_MS);
    uint64_t start_ms = wire_clock_ms();
    const struct dht_op ops[] = {get_of(town.key[1]), get_of(town.other[1]), get_of(town.key[0])};
    char expected[HEARD_MAX];
    snprintf(expected, sizeof(expected), "%s ok v\n%s not_found \n%s ok v\n", town.key[1],
             town.other[1], town.key[0]);
    assert_told(dht, ops, 3, DHT_NOT_FOUND, expected);
    assert_in_range(wire_clock_ms() - start_ms, 2 * SHORT_MS, 4 * SHORT_MS);
    town_close(&town, dht);
}

/* What must be done by nobody else costs the whole time-out, as does what has no other node. */
static void a_write_without_an_id_is_waited_for(void **state)
{
    (void)state;
    struct town town;
    town_open(&town);
    char set[64];
    snprintf(set, sizeof(set), "ms %s 1 c MS T0 F0\r\nv\r\n", town.key[1]);
    const struct act first[] = {LEARN(town), {END, NULL, 0}};
    const struct act second[] = {MEET(town), {HEAR, set, 0}, {HEAR_END, NULL, 0}, {END, NULL, 0}};
    struct dht *dht = town_follow(&town, first, second);
    dht_set_timeout(dht, 2 * SHORT_MS);
    dht_set_request_ids(dht, 0);
    uint64_t start_ms = wire_clock_ms();
    const struct dht_op op = set_of(town.key[1]);
    assert_int_equal(dht_do(dht, &op, NULL), DHT_OUTCOME_UNKNOWN);
    assert_true(wire_clock_ms() - start_ms >= 2 * SHORT_MS);
    town_close(&town, dht);
}

/* ---- request ids ---- */

#define UNKNOWN_OUTCOME "SERVER_ERROR outcome unknown: no answer from a:1\r\n"
#define NOT_DONE        "SERVER_ERROR not done: no answer from a:1\r\n"

/* Lost with its connection, and asked again of another node: the same bytes. */
static void a_write_lost_with_its_leader_is_asked_again_under_its_id(void **state)
{
    (void)state;
    struct town town;
    town_open(&town);
    const struct act first[] = {LEARN(town),           {HEAR_LINE, NULL, 0},   {HEAR, "v\r\n", 0},
                                {SAY, "HD c7\r\n", 0}, {HEAR, town.get[0], 0}, {SAY, VALUE_V, 0},
                                {END, NULL, 0}};
    const struct act second[] = {
        MEET(town), {HEAR_LINE, NULL, 0}, {HEAR, "v\r\n", 0}, {HANG_UP, NULL, 0}, {END, NULL, 0}};
    struct dht *dht = town_follow(&town, first, second);
    const struct dht_op op = set_of(town.key[1]);
    struct dht_answer answer;
    assert_int_equal(dht_do(dht, &op, &answer), DHT_OK);
    assert_int_equal(answer.cas, 7);
    assert_int_equal(dht_get(dht, town.key[0], NULL), DHT_OK);
    char request[128], id[33];
    assert_int_equal(sscanf(town.nodes[0].heard, "once %32[0-9a-f-] ms", id), 1);
    assert_in_range(strlen(id), 18, 32);
    snprintf(request, sizeof(request), "once %s ms %s 1 c MS T0 F0\r\n", id, town.key[1]);
    assert_string_equal(town.nodes[0].heard, request);
    assert_string_equal(town.nodes[1].heard, request);
    town_close(&town, dht);
}

/* Told unknown by its leader, then by another, then asked of the leader again. */
static void a_write_of_unknown_outcome_is_asked_until_it_is_known(void **state)
{
    (void)state;
    struct town town;
    town_open(&town);
    char set[64];
    snprintf(set, sizeof(set), ONCE "ms %s 1 c MS T0 F0\r\nv\r\n", town.key[1]);
    const struct act first[] = {LEARN(town), {HEAR, set, 0}, {SAY, NOT_DONE, 0}, {END, NULL, 0}};
    const struct act second[] = {MEET(town),     {HEAR, set, 0},     {SAY, UNKNOWN_OUTCOME, 0},
                                 {HEAR, set, 0}, {SAY, "NS\r\n", 0}, {END, NULL, 0}};
    struct dht *dht = town_follow(&town, first, second);
    const struct dht_op op = set_of(town.key[1]);
    assert_int_equal(dht_do(dht, &op, NULL), DHT_NOT_STORED);
    town_close(&town, dht);
}

/* That a repetition was not done says nothing of the first. */
static void a_write_whose_outcome_stays_unknown_is_told_so_at_the_end(void **state)
{
    (void)state;
    static const char *const refusals[] = {NOT_DONE, UNKNOWN_OUTCOME,
                                           "SERVER_ERROR busy, retry in 1 ms\r\n"};
    for (size_t i = 0; i < ARRAY_COUNT(refusals); i++) {
        struct fake node;
        fake_bind(&node);
        const struct act script[] = {{ACCEPT_DHT, NULL, 0},     {HEAR, ONCE SET_K, 0},
                                     {SAY, UNKNOWN_OUTCOME, 0}, {HEAR, ONCE SET_K, 0},
                                     {SAY, refusals[i], 0},     {HEAR, ONCE SET_K, 0},
                                     {HEAR_END, NULL, 0},       {END, NULL, 0}};
        fake_follow(&node, script);
        struct dht *dht = client_of(node.address, NULL);
        dht_set_ring_aware(dht, 0);
        dht_set_timeout(dht, 2 * SHORT_MS);
        assert_int_equal(dht_do(dht, &set_k, NULL), DHT_OUTCOME_UNKNOWN);
        fake_end(&node);
        dht_close(dht);
    }
}

static void a_refusal_of_a_repetition_says_nothing_of_the_first(void **state)
{
    (void)state;
    struct fake node;
    fake_bind(&node);
    const struct act script[] = {{ACCEPT_DHT, NULL, 0},
                                 {HEAR, ONCE SET_K, 0},
                                 {SAY, UNKNOWN_OUTCOME, 0},
                                 {HEAR, ONCE SET_K, 0},
                                 {SAY, "SERVER_ERROR out of memory storing object\r\n", 0},
                                 {END, NULL, 0}};
    fake_follow(&node, script);
    struct dht *dht = client_of(node.address, NULL);
    dht_set_ring_aware(dht, 0);
    assert_int_equal(dht_do(dht, &set_k, NULL), DHT_OUTCOME_UNKNOWN);
    fake_end(&node);
    dht_close(dht);
}

/* What was asked of the key behind it may have been done: a repetition would come after that. */
static void what_was_overtaken_is_not_asked_again(void **state)
{
    (void)state;
    struct fake node;
    fake_bind(&node);
    const struct act script[] = {{ACCEPT_DHT, NULL, 0},
                                 {HEAR, ONCE SET_K ONCE SET_K, 0},
                                 {SAY, UNKNOWN_OUTCOME "HD c2\r\n", 0},
                                 {END, NULL, 0}};
    fake_follow(&node, script);
    struct dht *dht = client_of(node.address, NULL);
    dht_set_ring_aware(dht, 0);
    const struct dht_op ops[] = {set_k, set_k};
    assert_told(dht, ops, 2, DHT_OUTCOME_UNKNOWN, "k outcome_unknown \nk ok \n");
    fake_end(&node);
    dht_close(dht);
}

/* A value is not kept with an id: what shows one is not asked again. */
static void what_writes_and_shows_a_value_carries_no_id(void **state)
{
    (void)state;
    struct fake node;
    fake_bind(&node);
    const struct act script[] = {{ACCEPT_DHT, NULL, 0},     {HEAR, "mg k v f c t T60\r\n", 0},
                                 {SAY, UNKNOWN_OUTCOME, 0}, {HEAR, ONCE "mg k c T60\r\n", 0},
                                 {SAY, "HD c1\r\n", 0},     {END, NULL, 0}};
    fake_follow(&node, script);
    struct dht *dht = client_of(node.address, NULL);
    dht_set_ring_aware(dht, 0);
    const struct dht_op ops[] = {{.verb = DHT_OP_GAT, .key = "k", .ttl_s = 60},
                                 {.verb = DHT_OP_TOUCH, .key = "k", .ttl_s = 60}};
    assert_int_equal(dht_do(dht, &ops[0], NULL), DHT_OUTCOME_UNKNOWN);
    assert_int_equal(dht_do(dht, &ops[1], NULL), DHT_OK);
    fake_end(&node);
    dht_close(dht);
}

/* A memcached of the same list knows nothing of what a node was asked. */
static void no_repetition_is_asked_of_another_kind_of_server(void **state)
{
    (void)state;
    struct fake node, memcached;
    fake_bind(&node);
    fake_bind(&memcached);
    const struct act script[] = {
        {ACCEPT_DHT, NULL, 0}, {HEAR, ONCE SET_K, 0}, {HANG_UP, NULL, 0}, {END, NULL, 0}};
    static const struct act other[] = {{ACCEPT, NULL, 0}, {HEAR_END, NULL, 0}, {END, NULL, 0}};
    fake_follow(&node, script);
    fake_follow(&memcached, other);
    struct dht *dht = client_of(node.address, memcached.address);
    dht_set_ring_aware(dht, 0);
    assert_int_equal(dht_do(dht, &set_k, NULL), DHT_OUTCOME_UNKNOWN);
    dht_close(dht);
    fake_end(&node);
    fake_end(&memcached);
}

/* ---- the list ---- */

static void a_list_is_believed_only_if_its_ring_is_the_nodes(void **state)
{
    (void)state;
    static const char *const names[] = {"b:2", "a:1"};
    struct known_ring ring;
    struct member_list list = list_of_names(names, 2);
    list.ring.members[0].standing = STANDING_DOWN; /* it leads nothing, and is known to be there */
    list.ring_hash = ring_hash(&list.ring);
    assert_int_equal(known_ring_take(&list, &ring), ERR_OK);
    assert_int_equal(ring.view.member_count, 2);
    assert_string_equal(ring.view.members[1].name, "b:2");
    assert_int_equal(ring.changes, 5);
    assert_int_equal(known_ring_leader(&ring, SPAN_LITERAL("k")), 1);
    known_ring_close(&ring);
    list.ring.members[0].standing = STANDING_UP; /* another ring than the hash says */
    assert_int_equal(known_ring_take(&list, &ring), ERR_SYNTAX);
    list.ring_hash = ring_hash(&list.ring);
    list.ring.members[0].weight = 2; /* the same */
    assert_int_equal(known_ring_take(&list, &ring), ERR_SYNTAX);
    assert_null(ring.place);
    assert_int_equal(known_ring_leader(&ring, SPAN_LITERAL("k")), RING_NOBODY);
    member_list_close(&list);
}

static void members_that_make_no_ring_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t weight;
        enum err err;
    } cases[] = {
        {"a:1", 1, ERR_OK},     {"a:1", 0, ERR_SYNTAX}, {"a:1", 101, ERR_SYNTAX},
        {"A:1", 1, ERR_SYNTAX}, {"a", 1, ERR_SYNTAX},   {"b:2", 1, ERR_SYNTAX}, /* twice */
        {"c:3", 1, ERR_SYNTAX}                                                  /* out of order */
    };
    static const char *const names[] = {"a:1", "b:2"};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct known_ring ring;
        struct member_list list = list_of_names(names, 2);
        struct member *member = &list.ring.members[0];
        snprintf(member->name, sizeof(member->name), "%s", cases[i].name);
        member->weight = cases[i].weight;
        list.ring_hash = ring_hash(&list.ring);
        if (known_ring_take(&list, &ring) != cases[i].err)
            fail_msg("%s %u", cases[i].name, (unsigned)cases[i].weight);
        known_ring_close(&ring);
        member_list_close(&list);
    }
    struct known_ring ring;
    struct member_list nobody = list_of_names(names, 0);
    assert_int_equal(known_ring_take(&nobody, &ring), ERR_NOT_FOUND);
    member_list_close(&nobody);
    assert_int_equal(known_ring_parse(SPAN_LITERAL("{}"), &ring), ERR_SYNTAX);
    assert_int_equal(known_ring_parse(SPAN_LITERAL(""), &ring), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_is_asked_of_its_leader),
        cmocka_unit_test(answers_of_several_nodes_are_told_in_order),
        cmocka_unit_test(what_has_no_key_is_overtaken_by_nothing),
        cmocka_unit_test(it_can_be_switched_off),
        cmocka_unit_test(without_a_ring_the_node_asked_is_asked_for_everything),
        cmocka_unit_test(a_change_told_before_an_answer_is_followed),
        cmocka_unit_test(a_server_forgotten_is_not_asked_for_the_ring),
        cmocka_unit_test(a_leader_that_is_gone_is_asked_through_another),
        cmocka_unit_test(a_leader_that_cannot_be_reached_rests_longer_each_time),
        cmocka_unit_test(a_leader_lost_costs_only_what_it_was_asked),
        cmocka_unit_test(a_read_lost_with_its_leader_is_asked_of_another),
        cmocka_unit_test(learning_the_ring_does_not_wait_for_a_slow_answer),
        cmocka_unit_test(a_leader_that_hangs_is_passed_by_after_half_a_timeout),
        cmocka_unit_test(a_write_without_an_id_is_waited_for),
        cmocka_unit_test(a_write_lost_with_its_leader_is_asked_again_under_its_id),
        cmocka_unit_test(a_write_of_unknown_outcome_is_asked_until_it_is_known),
        cmocka_unit_test(a_write_whose_outcome_stays_unknown_is_told_so_at_the_end),
        cmocka_unit_test(a_refusal_of_a_repetition_says_nothing_of_the_first),
        cmocka_unit_test(what_was_overtaken_is_not_asked_again),
        cmocka_unit_test(what_writes_and_shows_a_value_carries_no_id),
        cmocka_unit_test(no_repetition_is_asked_of_another_kind_of_server),
        cmocka_unit_test(a_list_is_believed_only_if_its_ring_is_the_nodes),
        cmocka_unit_test(members_that_make_no_ring_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
