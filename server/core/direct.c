#include "server/core/direct.h"

#include "common/address.h"
#include "common/check.h"
#include "common/mutant.h"
#include "common/number.h"
#include "common/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void direct_init(struct direct *direct, const struct env *env, struct stats *stats, struct log *log)
{
    *direct = (struct direct){.env = env, .stats = stats, .log = log, .pending_due_ms = UINT64_MAX};
    for (uint32_t i = 0; i < DIRECT_BUCKETS; i++) {
        list_init(&direct->buckets[i]);
        list_init(&direct->caller_buckets[i]);
    }
    list_init(&direct->pending);
    list_init(&direct->up);
    list_init(&direct->callers);
    list_init(&direct->done);
}

/* ---- addresses ---- */

void direct_make_where(const struct env *env, uint16_t port, char where[DIRECT_WHERE_BYTES_MAX])
{
    uint8_t token[DIRECT_TOKEN_BYTES];
    env->entropy(env->shell, token, sizeof(token));
    char *at = number_format_decimal(where, port);
    *at++ = ',';
    for (uint32_t i = 0; i < DIRECT_TOKEN_BYTES; i++)
        at = number_format_hex(at, token[i], 2);
    *at = '\0';
}

/* <port> "," <token> */
static bool where_parse(struct span where, uint64_t *port)
{
    const char *comma = memchr(where.data, ',', where.len);
    if (!comma || where.len >= DIRECT_WHERE_BYTES_MAX)
        return false;
    size_t digits = (size_t)(comma - where.data);
    return number_is_hex(span_of(comma + 1, where.len - digits - 1), DIRECT_TOKEN_DIGITS) &&
           number_parse_decimal(span_of(where.data, digits), UINT16_MAX, port) &&
           *port >= CLIENT_PORT_MIN;
}

bool direct_address(struct span client, struct span where, char address[CLIENT_TEXT_BYTES_MAX])
{
    uint64_t port;
    struct address parsed;
    const char *why;
    if (!where_parse(where, &port) || address_parse(client, &parsed, &why) != ERR_OK)
        return false;
    parsed.port = (uint16_t)port;
    char text[ADDRESS_TEXT_BYTES_MAX];
    address_format(&parsed, text);
    size_t len = strlen(text);
    if (len >= CLIENT_TEXT_BYTES_MAX)
        return false;
    memcpy(address, text, len + 1);
    return true;
}

/* FNV-1a. */
static uint32_t bucket_of(const char *text)
{
    uint32_t hash = 2166136261u;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return hash % DIRECT_BUCKETS;
}

/* ---- callers ---- */

static void caller_free(struct direct *direct, struct direct_caller *caller)
{
    CHECK(caller->open_count == 0);
    list_remove(&caller->in_bucket);
    list_remove(&caller->in_age);
    free(caller);
    direct->caller_count--;
}

/* Forgets addresses that were not dialled for a second and have no connection. */
static void callers_forget(struct direct *direct, struct moment now)
{
    struct list *at = direct->callers.next;
    while (at != &direct->callers) {
        struct direct_caller *caller = CONTAINER_OF(at, struct direct_caller, in_age);
        at = at->next;
        if (caller->dial_ms[DIRECT_DIALS_A_SECOND - 1] + 1000 > now.mono_ms)
            return;
        if (caller->open_count == 0)
            caller_free(direct, caller);
    }
}

static struct direct_caller *caller_find(struct direct *direct, const char *host)
{
    struct list *head = &direct->caller_buckets[bucket_of(host)];
    for (struct list *at = head->next; at != head; at = at->next) {
        struct direct_caller *caller = CONTAINER_OF(at, struct direct_caller, in_bucket);
        if (strcmp(caller->host, host) == 0)
            return caller;
    }
    return NULL;
}

static struct direct_caller *caller_get(struct direct *direct, const char *host, struct moment now)
{
    struct direct_caller *caller = caller_find(direct, host);
    if (caller)
        return caller;
    callers_forget(direct, now);
    if (direct->caller_count == DIRECT_CONNECTIONS_MAX)
        return NULL;
    caller = calloc(1, sizeof(*caller));
    CHECK(caller != NULL);
    snprintf(caller->host, sizeof(caller->host), "%s", host);
    list_append(&direct->caller_buckets[bucket_of(host)], &caller->in_bucket);
    list_append(&direct->callers, &caller->in_age);
    direct->caller_count++;
    return caller;
}

static bool may_dial(const struct direct_caller *caller, struct moment now)
{
    bool is_early = caller->dial_ms[0] != 0 && now.mono_ms < caller->dial_ms[0] + 1000;
    return !caller->is_pending && (!is_early || MUTANT(dials_on));
}

static void note_dial(struct direct *direct, struct direct_caller *caller, struct moment now)
{
    memmove(caller->dial_ms, caller->dial_ms + 1, sizeof(caller->dial_ms) - sizeof(uint64_t));
    caller->dial_ms[DIRECT_DIALS_A_SECOND - 1] = now.mono_ms;
    caller->is_pending = true;
    caller->open_count++;
    list_remove(&caller->in_age);
    list_append(&direct->callers, &caller->in_age);
}

/* ---- answers that wait ---- */

void direct_kept_free(struct direct_kept *kept)
{
    reply_close(&kept->body);
    if (kept->budget)
        kept->budget->used_bytes -= sizeof(*kept);
    free(kept);
}

struct direct_kept *direct_take_done(struct direct *direct)
{
    struct list *first = list_first(&direct->done);
    if (LIKELY(!first))
        return NULL;
    list_remove(first);
    return CONTAINER_OF(first, struct direct_kept, in_list);
}

static size_t kept_size(const struct reply *body)
{
    return sizeof(struct direct_kept) + reply_len(body);
}

/* It waits no more: it was sent, or is given back. size: its kept_size while it waited. */
static void kept_done(struct direct *direct, struct direct_kept *kept, size_t size, bool is_sent)
{
    CHECK(direct->kept_bytes >= size);
    direct->kept_bytes -= size;
    kept->is_sent = is_sent;
    list_remove(&kept->in_list);
    list_append(&direct->done, &kept->in_list);
}

/* Gives back what waits for a connection. */
static void give_back(struct direct *direct, struct direct_conn *conn)
{
    struct list *first;
    while ((first = list_first(&conn->kept))) {
        struct direct_kept *kept = CONTAINER_OF(first, struct direct_kept, in_list);
        kept_done(direct, kept, kept_size(&kept->body), false);
    }
}

/* Gives back what has waited for too long, though its connection may still come. */
static void give_back_late(struct direct *direct, struct direct_conn *conn, struct moment now)
{
    struct list *at = conn->kept.next;
    while (at != &conn->kept) {
        struct direct_kept *kept = CONTAINER_OF(at, struct direct_kept, in_list);
        at = at->next;
        if (kept->until_ms <= now.mono_ms)
            kept_done(direct, kept, kept_size(&kept->body), false);
    }
}

/* Something not up is late at this time, if not sooner. */
static void note_due(struct direct *direct, uint64_t due_ms)
{
    if (due_ms < direct->pending_due_ms)
        direct->pending_due_ms = due_ms;
}

/* Returns false if there is no memory for it. */
static bool keep(struct direct *direct, struct direct_conn *conn, struct conn_id entry,
                 uint64_t number, uint64_t until_ms, struct reply *body)
{
    struct budget *budget = env_budget(direct->env, conn->conn);
    if (budget && !budget_stretches(budget, kept_size(body)))
        return false;
    struct direct_kept *kept = calloc(1, sizeof(*kept));
    CHECK(kept != NULL);
    kept->entry = entry;
    kept->number = number;
    kept->until_ms = until_ms;
    kept->budget = kept->body.bytes.budget = budget;
    if (budget)
        budget->used_bytes += sizeof(*kept);
    reply_own(body);
    reply_move(&kept->body, body);
    direct->kept_bytes += kept_size(&kept->body);
    list_append(&conn->kept, &kept->in_list);
    note_due(direct, until_ms);
    return true;
}

/* ---- connections ---- */

static struct direct_conn *conn_find_where(struct direct *direct, const char *where)
{
    struct list *head = &direct->buckets[bucket_of(where)];
    for (struct list *at = head->next; at != head; at = at->next) {
        struct direct_conn *conn = CONTAINER_OF(at, struct direct_conn, in_bucket);
        if (strcmp(conn->where, where) == 0)
            return conn;
    }
    return NULL;
}

static struct direct_conn *conn_find_in(struct list *head, struct conn_id id)
{
    for (struct list *at = head->next; at != head; at = at->next) {
        struct direct_conn *conn = CONTAINER_OF(at, struct direct_conn, in_age);
        if (conn_id_equal(conn->conn, id))
            return conn;
    }
    return NULL;
}

static struct direct_conn *conn_find(struct direct *direct, struct conn_id id)
{
    struct direct_conn *conn = conn_find_in(&direct->pending, id);
    return conn ? conn : conn_find_in(&direct->up, id);
}

/* Forgets a connection, which is closed or will be; what waits for it is given back. */
static void conn_forget(struct direct *direct, struct direct_conn *conn)
{
    give_back(direct, conn);
    conn->caller->open_count--;
    if (conn->state != DIRECT_UP)
        conn->caller->is_pending = false;
    list_remove(&conn->in_bucket);
    list_remove(&conn->in_age);
    free(conn);
    direct->conn_count--;
}

static void conn_fail(struct direct *direct, struct direct_conn *conn, struct moment now,
                      const char *reason)
{
    direct->stats->direct_failures++;
    log_line(direct->log, now, LOG_DEBUG, "direct-failed", "client=%s reason=\"%s\"",
             conn->caller->host, reason);
    direct->env->close(direct->env->shell, conn->conn, false);
    conn_forget(direct, conn);
}

void direct_close(struct direct *direct)
{
    struct list *first;
    if (!direct->env)
        return;
    while ((first = list_first(&direct->pending)) || (first = list_first(&direct->up)))
        conn_forget(direct, CONTAINER_OF(first, struct direct_conn, in_age));
    while ((first = list_first(&direct->callers)))
        caller_free(direct, CONTAINER_OF(first, struct direct_caller, in_age));
    struct direct_kept *kept;
    while ((kept = direct_take_done(direct)))
        direct_kept_free(kept);
    *direct = (struct direct){0};
}

/* The host of an address: what stands before its last colon. */
static void host_of(const char *address, char host[CLIENT_TEXT_BYTES_MAX])
{
    size_t len = (size_t)(strrchr(address, ':') - address);
    memcpy(host, address, len);
    host[len] = '\0';
}

/* A connection to be made, or NULL if the bounds do not allow it. */
static struct direct_conn *conn_dial(struct direct *direct, const char *address, const char *where,
                                     struct moment now)
{
    char host[CLIENT_TEXT_BYTES_MAX];
    if (direct->conn_count == DIRECT_CONNECTIONS_MAX)
        return NULL;
    host_of(address, host);
    struct direct_caller *caller = caller_get(direct, host, now);
    if (!caller || !may_dial(caller, now))
        return NULL;
    struct conn_id id = direct->env->dial_client(direct->env->shell, address);
    if (id.generation == 0)
        return NULL;
    struct direct_conn *conn = calloc(1, sizeof(*conn));
    CHECK(conn != NULL);
    conn->conn = id;
    conn->caller = caller;
    conn->deadline_ms = now.mono_ms + DIRECT_DIAL_MS;
    snprintf(conn->where, sizeof(conn->where), "%s", where);
    list_init(&conn->kept);
    list_append(&direct->buckets[bucket_of(where)], &conn->in_bucket);
    list_append(&direct->pending, &conn->in_age);
    direct->conn_count++;
    direct->stats->direct_dials++;
    note_dial(direct, caller, now);
    note_due(direct, conn->deadline_ms);
    return conn;
}

/* A connection that is up has been used: it is the last to be idle for too long. */
static void put_last(struct direct *direct, struct direct_conn *conn, struct moment now)
{
    conn->deadline_ms = now.mono_ms + DIRECT_IDLE_MS;
    list_remove(&conn->in_age);
    list_append(&direct->up, &conn->in_age);
}

/* Puts an answer on a connection that is up. Returns false if it takes no more. */
static bool conn_send(struct direct *direct, struct direct_conn *conn, struct reply *body,
                      struct moment now)
{
    struct session *session = direct->env->session(direct->env->shell, conn->conn);
    if (!session || reply_len(&session->out) > DIRECT_UNSENT_MAX)
        return false;
    const struct budget *budget = session->out.bytes.budget;
    if (budget && !budget_stretches(budget, reply_len(body)))
        return false;
    if (MUTANT(relays_too)) {
        reply_append(&session->out, buf_span(&body->bytes));
        return false;
    }
    reply_move(&session->out, body);
    direct->stats->answers_direct++;
    put_last(direct, conn, now);
    return true;
}

/* What a connection is found by: the client's host and its return address. Returns false if they
 * are too long to be any. */
static bool key_write(struct span client, struct span where, char key[DIRECT_KEY_BYTES_MAX])
{
    size_t host_len = client.len;
    while (host_len > 0 && client.data[host_len - 1] != ':')
        host_len--;
    if (host_len + where.len >= DIRECT_KEY_BYTES_MAX)
        return false;
    memcpy(key, client.data, host_len);
    memcpy(key + host_len, where.data, where.len);
    key[host_len + where.len] = '\0';
    return true;
}

enum direct_lot direct_answer(struct direct *direct, struct span client, struct span where,
                              const struct view *nodes, struct conn_id entry, uint64_t number,
                              uint32_t patience_ms, struct reply *body, struct moment now)
{
    char address[CLIENT_TEXT_BYTES_MAX];
    char key[DIRECT_KEY_BYTES_MAX];
    CHECK(reply_len(body) > 0);
    if (!key_write(client, where, key))
        return DIRECT_NOT;
    struct direct_conn *conn = conn_find_where(direct, key);
    if (conn && (conn->state == DIRECT_UP || MUTANT(no_token)))
        return conn_send(direct, conn, body, now) ? DIRECT_SENT : DIRECT_NOT;
    if (direct->kept_bytes + kept_size(body) > DIRECT_KEPT_BYTES_MAX)
        return DIRECT_NOT;
    if (!conn && direct_address(client, where, address) && !peers_may_be(nodes, address))
        conn = conn_dial(direct, address, key, now);
    if (!conn || !keep(direct, conn, entry, number, now.mono_ms + patience_ms, body))
        return DIRECT_NOT;
    return DIRECT_KEPT;
}

/* ---- events ---- */

bool direct_connected(struct direct *direct, struct conn_id id)
{
    struct direct_conn *conn = conn_find_in(&direct->pending, id);
    if (!conn)
        return false;
    CHECK(conn->state == DIRECT_DIALLING);
    conn->state = DIRECT_EXPECTING;
    return true;
}

/* The client is who it says: what waits goes out. */
static void come_up(struct direct *direct, struct direct_conn *conn, struct moment now)
{
    conn->state = DIRECT_UP;
    conn->caller->is_pending = false;
    put_last(direct, conn, now);
    struct list *first;
    while ((first = list_first(&conn->kept))) {
        struct direct_kept *kept = CONTAINER_OF(first, struct direct_kept, in_list);
        size_t size = kept_size(&kept->body);
        bool is_sent = conn_send(direct, conn, &kept->body, now);
        kept_done(direct, kept, size, is_sent);
    }
}

bool direct_line(struct direct *direct, struct conn_id id, struct span line, struct moment now)
{
    struct direct_conn *conn = conn_find(direct, id);
    if (!conn)
        return false;
    const char *token = strchr(conn->where, ',') + 1;
    bool is_it = span_equal(line, span_of_string(token)) || MUTANT(any_token);
    if (conn->state == DIRECT_EXPECTING && is_it)
        come_up(direct, conn, now);
    else
        conn_fail(direct, conn, now, conn->state == DIRECT_UP ? "it says more" : "a wrong token");
    return true;
}

bool direct_disconnected(struct direct *direct, struct conn_id id)
{
    struct direct_conn *conn = conn_find(direct, id);
    if (!conn)
        return false;
    direct->stats->direct_failures += conn->state != DIRECT_UP;
    conn_forget(direct, conn);
    return true;
}

/* When the first of what waits for a connection, or the connection, is late. */
static uint64_t pending_deadline(const struct direct_conn *conn)
{
    uint64_t deadline_ms = conn->deadline_ms;
    for (const struct list *at = conn->kept.next; at != &conn->kept; at = at->next) {
        uint64_t until_ms = CONTAINER_OF(at, struct direct_kept, in_list)->until_ms;
        if (until_ms < deadline_ms)
            deadline_ms = until_ms;
    }
    return deadline_ms;
}

static void pending_tick(struct direct *direct, struct moment now)
{
    direct->pending_due_ms = UINT64_MAX;
    struct list *at = direct->pending.next;
    while (at != &direct->pending) {
        struct direct_conn *conn = CONTAINER_OF(at, struct direct_conn, in_age);
        at = at->next;
        if (conn->deadline_ms <= now.mono_ms) {
            conn_fail(direct, conn, now, "no token in time");
            continue;
        }
        give_back_late(direct, conn, now);
        note_due(direct, pending_deadline(conn));
    }
}

void direct_tick(struct direct *direct, struct moment now)
{
    if (now.mono_ms >= direct->pending_due_ms)
        pending_tick(direct, now);
    struct list *at;
    while ((at = list_first(&direct->up))) {
        struct direct_conn *conn = CONTAINER_OF(at, struct direct_conn, in_age);
        if (conn->deadline_ms > now.mono_ms)
            return;
        direct->env->close(direct->env->shell, conn->conn, true);
        conn_forget(direct, conn);
    }
}

uint64_t direct_deadline(const struct direct *direct)
{
    const struct list *first = list_first(&direct->up);
    uint64_t idle_ms = UINT64_MAX;
    if (first)
        idle_ms = CONTAINER_OF(first, struct direct_conn, in_age)->deadline_ms;
    return idle_ms < direct->pending_due_ms ? idle_ms : direct->pending_due_ms;
}

void direct_check(const struct direct *direct)
{
    uint32_t count = 0;
    size_t bytes = 0;
    for (const struct list *at = direct->pending.next; at != &direct->pending; at = at->next) {
        const struct direct_conn *conn = CONTAINER_OF(at, struct direct_conn, in_age);
        CHECK(conn->state != DIRECT_UP);
        CHECK(conn->caller->is_pending);
        for (const struct list *in = conn->kept.next; in != &conn->kept; in = in->next)
            bytes += kept_size(&CONTAINER_OF(in, struct direct_kept, in_list)->body);
        count++;
    }
    uint64_t before_ms = 0;
    for (const struct list *at = direct->up.next; at != &direct->up; at = at->next) {
        const struct direct_conn *conn = CONTAINER_OF(at, struct direct_conn, in_age);
        CHECK(conn->state == DIRECT_UP);
        CHECK(list_is_empty(&conn->kept));
        CHECK(conn->deadline_ms >= before_ms);
        before_ms = conn->deadline_ms;
        count++;
    }
    CHECK(count == direct->conn_count);
    CHECK(bytes == direct->kept_bytes);
}
