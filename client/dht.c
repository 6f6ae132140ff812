#include "client/dht.h"

#include "client/dht_choice.h"
#include "client/dht_run.h"
#include "common/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static const char *const result_names[] = {
    [DHT_OK] = "ok",
    [DHT_NOT_FOUND] = "not_found",
    [DHT_NOT_STORED] = "not_stored",
    [DHT_EXISTS] = "exists",
    [DHT_NOT_DONE] = "not_done",
    [DHT_OUTCOME_UNKNOWN] = "outcome_unknown",
    [DHT_CLIENT_ERROR] = "client_error",
    [DHT_SERVER_ERROR] = "server_error",
    [DHT_CANNOT_CONNECT] = "cannot_connect",
    [DHT_TIMEOUT] = "timeout",
    [DHT_USAGE] = "usage",
};

const char *dht_result_name(enum dht_result result)
{
    return (size_t)result < ARRAY_COUNT(result_names) ? result_names[result] : "unknown";
}

/* Adds the servers of a list. Returns false, with why set, if it is no list. */
static bool seeds_take(struct dht *dht, const char *servers, const char **why)
{
    for (const char *at = servers;; at++) {
        size_t len = strcspn(at, ",");
        struct address address;
        if (address_parse(span_of(at, len), &address, why) != ERR_OK)
            return false;
        choice_add(dht, &address)->is_seed = true;
        at += len;
        if (!*at)
            return true;
    }
}

struct dht *dht_open(const char *servers, const char **why)
{
    const char *unheard;
    struct dht *dht = calloc(1, sizeof(*dht));
    CHECK(dht != NULL);
    dht->timeout_ms = DHT_TIMEOUT_MS;
    dht->is_ring_wanted = true;
    dht->has_ids = true;
    while (getrandom(&dht->id_nonce, sizeof(dht->id_nonce), 0) != (ssize_t)sizeof(dht->id_nonce))
        CHECK(errno == EINTR);
    if (!seeds_take(dht, servers, why ? why : &unheard)) {
        dht_close(dht);
        return NULL;
    }
    dht->entry = dht->servers[0];
    dht->asked = dht->entry;
    return dht;
}

struct dht *dht_open_via(const char *server, const char **why)
{
    struct dht *dht = dht_open(server, why);
    if (dht) {
        dht->is_ring_wanted = false;
        dht->via = via_new();
    }
    return dht;
}

void dht_close(struct dht *dht)
{
    if (!dht)
        return;
    for (size_t i = 0; i < dht->server_count; i++)
        server_free(dht->servers[i]);
    free(dht->servers);
    free(dht->leaders);
    known_ring_close(&dht->ring);
    via_free(dht->via);
    free(dht);
}

void dht_set_timeout(struct dht *dht, unsigned timeout_ms)
{
    dht->timeout_ms = timeout_ms < 1 ? 1 : timeout_ms > INT32_MAX ? INT32_MAX : timeout_ms;
}

void dht_set_ring_aware(struct dht *dht, int is_ring_aware)
{
    dht->is_ring_wanted = is_ring_aware && !dht->via;
    if (!dht->is_ring_wanted)
        known_ring_close(&dht->ring);
}

void dht_set_request_ids(struct dht *dht, int has_ids)
{
    dht->has_ids = has_ids;
}

unsigned long long dht_direct_answers(const struct dht *dht)
{
    return dht->via ? dht->via->answer_count : 0;
}

const char *dht_server(const struct dht *dht)
{
    return dht->asked->name;
}

const char *dht_why(const struct dht *dht)
{
    return dht->text;
}

enum dht_result dht_run(struct dht *dht, const struct dht_op *ops, size_t op_count,
                        dht_answer_fn *hear, void *arg)
{
    for (size_t i = 0; i < op_count; i++) {
        const char *fault = op_fault(&ops[i]);
        if (!fault)
            continue;
        snprintf(dht->text, sizeof(dht->text), "%s", fault);
        return DHT_USAGE;
    }
    return run_ops(dht, ops, op_count, hear, arg);
}

static void hear_one(void *arg, const struct dht_op *op, const struct dht_answer *answer)
{
    (void)op;
    *(struct dht_answer *)arg = *answer;
}

enum dht_result dht_do(struct dht *dht, const struct dht_op *op, struct dht_answer *answer)
{
    struct dht_answer unheard = {0};
    struct dht_answer *out = answer ? answer : &unheard;
    if (dht_run(dht, op, 1, hear_one, out) == DHT_USAGE)
        *out = (struct dht_answer){.result = DHT_USAGE, .text = dht->text, .ttl_s = -1};
    return out->result;
}

enum dht_result dht_get(struct dht *dht, const char *key, struct dht_answer *answer)
{
    return dht_do(dht, &(struct dht_op){.verb = DHT_OP_GET, .key = key}, answer);
}

enum dht_result dht_set(struct dht *dht, const char *key, const void *value, size_t value_bytes,
                        int64_t ttl_s)
{
    struct dht_op op = {
        .verb = DHT_OP_SET, .key = key, .value = value, .value_bytes = value_bytes, .ttl_s = ttl_s};
    return dht_do(dht, &op, NULL);
}

enum dht_result dht_delete(struct dht *dht, const char *key)
{
    return dht_do(dht, &(struct dht_op){.verb = DHT_OP_DELETE, .key = key}, NULL);
}
