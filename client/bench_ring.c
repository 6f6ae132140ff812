#include "client/bench_ring.h"

#include "client/dht.h"
#include "client/dht_ring.h"
#include "common/check.h"

#include <stdio.h>
#include <stdlib.h>

#define NO_SERVER UINT8_MAX
_Static_assert(BENCH_SERVERS_MAX < NO_SERVER, "a server's number fits a byte");

/* Asks for the list of members. */
static enum err ask(const char *list, double timeout_s, struct known_ring *known)
{
    const char *why;
    struct dht_answer answer;
    struct dht *dht = dht_open(list, &why);
    if (!dht) {
        fprintf(stderr, "bench: %s: %s\n", list, why);
        return ERR_USAGE;
    }
    dht_set_timeout(dht, (unsigned)(timeout_s * 1000));
    enum err err = ERR_CONNECT;
    if (dht_do(dht, &(struct dht_op){.verb = DHT_OP_MEMBERS}, &answer) != DHT_OK)
        fprintf(stderr, "bench: no ring: %s\n", answer.text);
    else if (known_ring_parse(span_of(answer.value, answer.value_bytes), known) != ERR_OK)
        fprintf(stderr, "bench: no ring: %s has none\n", dht_server(dht));
    else
        err = ERR_OK;
    dht_close(dht);
    return err;
}

/* The number of a member among the servers: who leads none of the keys is none. Adds it to them
 * when it is met first. */
static enum err server_number(struct bench_ring *ring, const struct known_ring *known,
                              uint8_t *servers, uint16_t member, uint8_t *server)
{
    if (servers[member] == NO_SERVER) {
        if (ring->server_count == BENCH_SERVERS_MAX) {
            fprintf(stderr, "bench: more than %u nodes lead keys\n", BENCH_SERVERS_MAX);
            return ERR_TOO_LARGE;
        }
        servers[member] = (uint8_t)ring->server_count++;
        buf_printf(&ring->list, "%s%s", servers[member] > 0 ? "," : "",
                   known->view.members[member].name);
    }
    *server = servers[member];
    return ERR_OK;
}

/* Finds out who leads each key; a key that nobody leads is the first server's. */
static enum err place_keys(struct bench_ring *ring, const struct known_ring *known,
                           const struct bench_keys *keys)
{
    uint8_t servers[VIEW_MEMBERS_MAX];
    char key[BENCH_KEY_BYTES_MAX];
    memset(servers, NO_SERVER, sizeof(servers));
    for (uint32_t number = 0; number < keys->count; number++) {
        bench_keys_write(keys, number, key);
        uint16_t leader = known_ring_leader(known, span_of(key, keys->key_bytes));
        ring->server_of[number] = 0;
        if (leader == RING_NOBODY)
            continue;
        enum err err = server_number(ring, known, servers, leader, &ring->server_of[number]);
        if (err != ERR_OK)
            return err;
    }
    buf_append(&ring->list, "", 1);
    if (ring->server_count > 0)
        return ERR_OK;
    fputs("bench: nobody leads any of the keys\n", stderr);
    return ERR_CONNECT;
}

/* Sorts the keys' numbers by server. */
static void sort_keys(struct bench_ring *ring, uint32_t count)
{
    uint32_t next[BENCH_SERVERS_MAX] = {0};
    for (uint32_t number = 0; number < count; number++)
        next[ring->server_of[number]]++;
    for (uint32_t server = 0; server < ring->server_count; server++)
        ring->first[server + 1] = ring->first[server] + next[server];
    memcpy(next, ring->first, sizeof(next));
    for (uint32_t number = 0; number < count; number++)
        ring->numbers[next[ring->server_of[number]]++] = number;
}

enum err bench_ring_learn(struct bench_ring *ring, const char *list, const struct bench_keys *keys,
                          double timeout_s)
{
    struct known_ring known;
    *ring = (struct bench_ring){0};
    enum err err = ask(list, timeout_s, &known);
    if (err != ERR_OK)
        return err;
    ring->numbers = malloc(keys->count * sizeof(*ring->numbers));
    ring->server_of = malloc(keys->count);
    CHECK(ring->numbers != NULL);
    CHECK(ring->server_of != NULL);
    err = place_keys(ring, &known, keys);
    if (err == ERR_OK)
        sort_keys(ring, keys->count);
    known_ring_close(&known);
    return err;
}

void bench_ring_close(struct bench_ring *ring)
{
    buf_close(&ring->list);
    free(ring->numbers);
    free(ring->server_of);
    *ring = (struct bench_ring){0};
}

uint32_t bench_ring_draw(const struct bench_ring *ring, uint32_t server,
                         const struct bench_draw *draw, struct prng *prng)
{
    if (draw->exponent == 0) {
        uint64_t place = (prng_next(prng) >> 32) * bench_ring_count(ring, server) >> 32;
        return ring->numbers[ring->first[server] + place];
    }
    for (;;) {
        uint32_t number = bench_draw_next(draw, prng);
        if (ring->server_of[number] == server)
            return number;
    }
}
