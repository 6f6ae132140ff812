/* Which server each key of a benchmark belongs to, as a node's list of members says. */
#include "tests/unit/fake_server.h"

#include "client/bench_ring.h"
#include "client/dht_ring.h"

#define KEYS 1000

/* A node that has these three on its ring, the last one down. */
static void list_write(char *text, size_t size, const char *address, struct view *ring)
{
    struct member members[3] = {{.weight = 1}, {.weight = 1}, {.weight = 1}};
    memcpy(members[0].name, address, sizeof("127.0.0.1:12345"));
    snprintf(members[1].name, sizeof(members[1].name), "127.0.0.2:1");
    snprintf(members[2].name, sizeof(members[2].name), "127.0.0.3:1");
    members[2].standing = STANDING_DOWN;
    struct view view = {.epoch = 4, .member_count = 3, .members = members};
    struct member_list list = {
        .cluster = "dht", .name = "a:1", .ring = view, .ring_hash = ring_hash(&view)};
    struct buf json = {0};
    member_list_format(&list, &json);
    snprintf(text, size, "MEMBERSHIP 1 %zu\r\n%.*s\r\nEND\r\n", buf_len(&json), (int)buf_len(&json),
             json.data);
    buf_close(&json);
    view_copy(&view, ring);
}

static void each_key_is_its_leaders(void **state)
{
    (void)state;
    struct fake node;
    char text[2048];
    struct view view;
    struct bench_keys keys;
    struct bench_ring ring;
    fake_bind(&node);
    list_write(text, sizeof(text), node.address, &view);
    const struct act script[] = {{ACCEPT_DHT, NULL, 0},
                                 {HEAR, "get_membership_list\r\n", 0},
                                 {SAY, text, 0},
                                 {END, NULL, 0}};
    fake_follow(&node, script);
    bench_keys_init(&keys, KEYS, 16);
    assert_int_equal(bench_ring_learn(&ring, node.address, &keys, 5), ERR_OK);
    assert_int_equal(ring.server_count, 2); /* who is down leads nothing */
    assert_int_equal(ring.first[2], KEYS);
    struct known_ring known = {.place = malloc(sizeof(struct ring)), .view = view};
    assert_non_null(known.place);
    ring_place(&known.view, known.place);
    for (uint32_t server = 0; server < 2; server++) {
        assert_in_range(bench_ring_count(&ring, server), KEYS / 3, KEYS * 2 / 3);
        for (uint32_t i = ring.first[server]; i < ring.first[server + 1]; i++) {
            char key[16];
            uint32_t number = ring.numbers[i];
            bench_keys_write(&keys, number, key);
            const char *name =
                known.view.members[known_ring_leader(&known, span_of(key, sizeof(key)))].name;
            const char *at = strstr(ring.list.data, name);
            assert_non_null(at);
            assert_int_equal(at == ring.list.data, server == 0);
            assert_int_equal(ring.server_of[number], server);
        }
    }
    struct prng prng;
    prng_init(&prng, 1);
    for (int zipf = 0; zipf < 2; zipf++) {
        struct bench_draw draw;
        bench_draw_init(&draw, KEYS, zipf);
        for (int i = 0; i < 2000; i++)
            assert_int_equal(ring.server_of[bench_ring_draw(&ring, 1, &draw, &prng)], 1);
    }
    bench_ring_close(&ring);
    known_ring_close(&known);
    bench_keys_close(&keys);
    fake_end(&node);
}

static void a_server_without_a_ring_is_refused(void **state)
{
    (void)state;
    static const char *const answers[] = {"ERROR\r\n", "MEMBERSHIP 1 2\r\n{}\r\nEND\r\n"};
    for (size_t i = 0; i < ARRAY_COUNT(answers); i++) {
        struct fake node;
        struct bench_keys keys;
        struct bench_ring ring;
        fake_bind(&node);
        const struct act script[] = {{ACCEPT, NULL, 0},
                                     {HEAR, "get_membership_list\r\n", 0},
                                     {SAY, answers[i], 0},
                                     {END, NULL, 0}};
        fake_follow(&node, script);
        bench_keys_init(&keys, KEYS, 16);
        assert_int_equal(bench_ring_learn(&ring, node.address, &keys, 5), ERR_CONNECT);
        bench_ring_close(&ring);
        bench_keys_close(&keys);
        fake_end(&node);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_is_its_leaders),
        cmocka_unit_test(a_server_without_a_ring_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
