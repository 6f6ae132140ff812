#include "client/dht_choice.h"

#include "common/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define REQUEST_BYTES_MAX 64u

/* ---- connections ---- */

/* Closes the connection that was idle longest, if there are too many. */
static void make_room(struct dht *dht)
{
    struct server *oldest = NULL;
    size_t open_count = 0;
    for (size_t i = 0; i < dht->server_count; i++) {
        struct server *server = dht->servers[i];
        if (server->wire.fd < 0)
            continue;
        open_count++;
        if (server->count == 0 && server != dht->entry && (!oldest || server->used < oldest->used))
            oldest = server;
    }
    if (open_count >= CONNECTIONS_MAX && oldest)
        server_hang_up(oldest);
}

static bool names_dht(struct span version)
{
    const struct span word = SPAN_LITERAL("dht-server/");
    return version.len >= word.len && memmem(version.data, version.len, word.data, word.len);
}

/* Tells a node which ring this client has; from then on the node tells of others.
 * told  out: which one the node has. */
static enum err follow_ring(struct server *server, uint64_t hash, uint64_t deadline_ms,
                            uint64_t *told)
{
    char request[REQUEST_BYTES_MAX];
    struct answer answer;
    snprintf(request, sizeof(request), "ring %016" PRIx64 "\r\n", hash);
    enum err err = server_ask(server, request, deadline_ms, &answer);
    *told = err == ERR_OK && answer.kind == ANSWER_RING ? answer.number : hash;
    return err;
}

static enum contact failed(struct contact_answer *answer, const char *why)
{
    answer->why = why;
    return CONTACT_FAILED;
}

static enum contact greet(struct dht *dht, struct server *server, uint64_t deadline_ms,
                          struct contact_answer *out)
{
    struct answer answer;
    enum err err = server_ask(server, "version\r\n", deadline_ms, &answer);
    if (err == ERR_SYNTAX)
        return failed(out, "does not speak memcached's protocol");
    if (err != ERR_OK)
        return failed(out, err_text(err));
    if (answer.kind == ANSWER_BUSY) {
        out->pause_ms = answer.number ? answer.number : 1;
        return CONTACT_BUSY;
    }
    if (answer.kind != ANSWER_VERSION)
        return failed(out, "does not take connections");
    server->is_dht = names_dht(answer.text);
    if (server->is_dht && dht->ring.place) {
        uint64_t told;
        err = follow_ring(server, dht->ring.hash, deadline_ms, &told);
        choice_ring_heard(dht, server, told);
    }
    if (err == ERR_OK && server->is_dht && dht->via)
        err = via_announce(dht->via, server, deadline_ms);
    if (err != ERR_OK)
        return failed(out, err_text(err));
    server_forgive(server);
    return CONTACT_MADE;
}

enum contact choice_connect(struct dht *dht, struct server *server, uint64_t deadline_ms,
                            struct contact_answer *answer)
{
    server->used = ++dht->use_count;
    if (server->seen_run != dht->run_count) {
        server_let_go(server);
        if (!wire_is_fresh(&server->wire))
            server_hang_up(server);
        server->seen_run = dht->run_count;
    }
    if (server->wire.fd >= 0)
        return CONTACT_MADE;
    make_room(dht);
    const char *why;
    server->is_via = false;
    if (wire_open(&server->wire, &server->address, deadline_ms, &why) != ERR_OK)
        return failed(answer, why);
    return greet(dht, server, deadline_ms, answer);
}

/* ---- the ring ---- */

struct server *choice_leader(const struct dht *dht, const struct dht_op *op, uint64_t now_ms)
{
    if (!dht->ring.place || !op_has_key(op))
        return NULL;
    uint16_t member = known_ring_leader(&dht->ring, span_of_string(op->key));
    if (member == RING_NOBODY)
        return NULL;
    struct server *leader = dht->leaders[member];
    bool has_failed = leader->failed_run == dht->run_count || now_ms < leader->rest_until_ms;
    return has_failed ? NULL : leader;
}

void choice_ring_heard(struct dht *dht, struct server *server, uint64_t hash)
{
    if (!dht->ring.place || hash == dht->ring.hash)
        return;
    dht->is_ring_stale = true;
    dht->told_by = server;
}

bool choice_wants_ring(const struct dht *dht, uint64_t now_ms)
{
    if (!dht->is_ring_wanted || dht->is_plain || now_ms < dht->learn_after_ms)
        return false;
    return !dht->ring.place || dht->is_ring_stale;
}

static struct server *server_find(struct dht *dht, const char *name)
{
    for (size_t i = 0; i < dht->server_count; i++)
        if (strcmp(dht->servers[i]->name, name) == 0)
            return dht->servers[i];
    return NULL;
}

static bool is_leader(const struct dht *dht, const struct server *server)
{
    for (uint32_t i = 0; i < dht->ring.view.member_count; i++)
        if (dht->leaders[i] == server)
            return true;
    return false;
}

struct server *choice_add(struct dht *dht, const struct address *address)
{
    dht->servers = realloc(dht->servers, (dht->server_count + 1) * sizeof(*dht->servers));
    CHECK(dht->servers != NULL);
    struct server *server = server_new(address);
    dht->servers[dht->server_count++] = server;
    return server;
}

void choice_begin(struct dht *dht)
{
    dht->run_count++;
    if (!dht->has_strangers)
        return;
    dht->has_strangers = false;
    size_t kept = 0;
    for (size_t i = 0; i < dht->server_count; i++) {
        struct server *server = dht->servers[i];
        CHECK(server->count == 0);
        if (server->is_seed || is_leader(dht, server)) {
            dht->servers[kept++] = server;
            continue;
        }
        if (dht->entry == server)
            dht->entry = dht->servers[0];
        if (dht->asked == server)
            dht->asked = dht->servers[0];
        if (dht->told_by == server)
            dht->told_by = NULL;
        server_free(server);
    }
    dht->server_count = kept;
}

/* Takes a ring over: each of its members is a server from now on. */
static void ring_take(struct dht *dht, struct known_ring *ring)
{
    bool is_other = !dht->ring.place || dht->ring.hash != ring->hash;
    known_ring_close(&dht->ring);
    dht->ring = *ring;
    *ring = (struct known_ring){0};
    uint32_t count = dht->ring.view.member_count;
    free(dht->leaders);
    dht->leaders = calloc(count, sizeof(*dht->leaders));
    CHECK(dht->leaders != NULL);
    for (uint32_t i = 0; i < count; i++) {
        const char *name = dht->ring.view.members[i].name;
        dht->leaders[i] = server_find(dht, name);
        if (dht->leaders[i]) {
            if (is_other)
                server_forgive(dht->leaders[i]);
            continue;
        }
        struct address address;
        const char *why;
        CHECK(address_parse(span_of_string(name), &address, &why) == ERR_OK);
        dht->leaders[i] = choice_add(dht, &address);
    }
    dht->has_strangers = true;
}

enum err choice_learn(struct dht *dht, struct server *server, uint64_t now_ms, uint64_t deadline_ms)
{
    struct answer answer;
    struct known_ring ring;
    dht->told_by = NULL;
    dht->learn_after_ms = now_ms + LEARN_FAILED_MS;
    if (!server->is_dht) {
        dht->is_plain = !dht->ring.place;
        return ERR_OK;
    }
    enum err err = server_ask(server, "get_membership_list\r\n", deadline_ms, &answer);
    if (err != ERR_OK)
        return err;
    if (answer.kind != ANSWER_MEMBERSHIP || known_ring_parse(answer.value, &ring) != ERR_OK)
        return ERR_OK; /* the node has none yet, or is of another age: it finds the leaders itself
                        */
    uint64_t told;
    err = follow_ring(server, ring.hash, deadline_ms, &told);
    if (err != ERR_OK) {
        known_ring_close(&ring);
        return err;
    }
    ring_take(dht, &ring);
    dht->is_ring_stale = told != dht->ring.hash;
    dht->learn_after_ms = now_ms + LEARN_PAUSE_MS;
    return ERR_OK;
}

void choice_next_entry(struct dht *dht)
{
    size_t at = 0;
    while (dht->servers[at] != dht->entry)
        at++;
    dht->entry = dht->servers[(at + 1) % dht->server_count];
    dht->asked = dht->entry;
}
