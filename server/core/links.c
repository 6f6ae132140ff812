#include "server/core/links.h"

#include "common/check.h"
#include "common/peers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A failed link rests before it is dialled again: long enough not to flood an absent host with
 * connects, short enough that a restarted one is served within a second of its return. */
#define REST_MS_MIN 50u
#define REST_MS_MAX 1000u

static const char *member_name(const struct links *links, uint32_t member)
{
    return links->view->members[member].name;
}

void links_init(struct links *links, const struct view *view, uint32_t self,
                uint32_t dial_timeout_ms, const struct env *env, struct log *log,
                struct stats *stats)
{
    CHECK(self < view->member_count);
    *links = (struct links){
        .view = view,
        .self = self,
        .list_hash = peers_hash(view),
        .env = env,
        .log = log,
        .stats = stats,
        .dial_timeout_ms = dial_timeout_ms,
        .dialled = calloc(view->member_count, sizeof(struct link)),
        .accepted = calloc(view->member_count, sizeof(struct link *)),
    };
    CHECK(links->dialled != NULL);
    CHECK(links->accepted != NULL);
    for (uint32_t i = 0; i < view->member_count; i++) {
        links->dialled[i].is_dialled = true;
        links->dialled[i].member = i;
        links->dialled[i].rest_ms = REST_MS_MIN;
    }
}

static void link_clear(struct link *link)
{
    reply_close(&link->queue);
    buf_close(&link->parts);
}

void links_close(struct links *links)
{
    for (uint32_t i = 0; links->view && i < links->view->member_count; i++) {
        link_clear(&links->dialled[i]);
        if (links->accepted[i])
            link_clear(links->accepted[i]);
        free(links->accepted[i]);
    }
    free(links->dialled);
    free(links->accepted);
    free(links->by_conn);
    *links = (struct links){0};
}

/* Connections are looked up once a frame: by index, the generation tells a stale number apart. */
static void by_conn_set(struct links *links, struct conn_id conn, struct link *link)
{
    if (conn.index >= links->by_conn_capacity) {
        uint32_t capacity = links->by_conn_capacity ? links->by_conn_capacity : 16;
        while (capacity <= conn.index)
            capacity *= 2;
        links->by_conn = realloc(links->by_conn, capacity * sizeof(*links->by_conn));
        CHECK(links->by_conn != NULL);
        memset(links->by_conn + links->by_conn_capacity, 0,
               (capacity - links->by_conn_capacity) * sizeof(*links->by_conn));
        links->by_conn_capacity = capacity;
    }
    links->by_conn[conn.index] = link;
}

struct link *links_find(const struct links *links, struct conn_id conn)
{
    if (conn.index >= links->by_conn_capacity)
        return NULL;
    struct link *link = links->by_conn[conn.index];
    return link && conn_id_equal(link->conn, conn) ? link : NULL;
}

static void rest(struct link *link, const char *reason, struct moment now)
{
    link->state = LINK_RESTING;
    link->conn = (struct conn_id){0};
    link->reason = reason;
    link->rest_until_ms = now.mono_ms + link->rest_ms;
    link->rest_ms = link->rest_ms * 2 < REST_MS_MAX ? link->rest_ms * 2 : REST_MS_MAX;
}

/* Begins to connect. Returns false if not even that is possible: then the link rests. */
static bool dial(struct links *links, struct link *link, struct moment now)
{
    link->conn = links->env->dial(links->env->shell, member_name(links, link->member));
    if (link->conn.generation == 0) {
        links_end(links, link, disconnect_text(DISCONNECT_LOCAL), false, now);
        return false;
    }
    by_conn_set(links, link->conn, link);
    link->state = LINK_DIALLING;
    link->deadline_ms = now.mono_ms + links->dial_timeout_ms;
    return true;
}

struct link *links_to(struct links *links, uint32_t member, struct moment now, const char **reason)
{
    CHECK(member != links->self);
    struct link *link = &links->dialled[member];
    if (LIKELY(link->state != LINK_RESTING))
        return link;
    if (now.mono_ms >= link->rest_until_ms && dial(links, link, now))
        return link;
    *reason = link->reason;
    return NULL;
}

struct reply *link_out(const struct links *links, struct link *link)
{
    if (link->state != LINK_UP)
        return &link->queue;
    struct session *session = links->env->session(links->env->shell, link->conn);
    return session ? &session->out : NULL;
}

void links_connected(struct links *links, struct link *link)
{
    CHECK(link->state == LINK_DIALLING);
    struct session *session = links->env->session(links->env->shell, link->conn);
    CHECK(session != NULL);
    struct message hello = {
        .kind = MESSAGE_HELLO,
        .HELLO = {.oldest = PROTOCOL_OLDEST,
                  .newest = PROTOCOL_NEWEST,
                  .kind = SPAN_LITERAL("data"),
                  .from = span_of_string(member_name(links, links->self)),
                  .to = span_of_string(member_name(links, link->member)),
                  .list = links->list_hash},
    };
    message_append(&session->out, &hello);
    link->state = LINK_GREETING;
}

void links_end(struct links *links, struct link *link, const char *reason, bool after_sending,
               struct moment now)
{
    if (link->conn.generation != 0) {
        if (links_find(links, link->conn) == link)
            links->by_conn[link->conn.index] = NULL;
        links->env->close(links->env->shell, link->conn, after_sending);
    }
    /* One line for a link that is lost, one for the first failure to have it; retries are quiet. */
    if (link->state == LINK_UP || !link->reason || strcmp(link->reason, reason) != 0)
        log_line(links->log, now, LOG_WARN, "link-down", "member=%s direction=%s reason=\"%s\"",
                 member_name(links, link->member), link->is_dialled ? "out" : "in", reason);
    link_clear(link);
    if (link->is_dialled) {
        rest(link, reason, now);
        return;
    }
    if (links->accepted[link->member] == link)
        links->accepted[link->member] = NULL;
    free(link);
}

/* Closes a connection that asked for a link it may not have, telling it why. */
static void refuse(struct links *links, struct conn_id conn, const struct message_HELLO *hello,
                   const char *reason, struct moment now)
{
    char from[ADDRESS_TEXT_BYTES_MAX];
    log_line(links->log, now, LOG_WARN, "peer-refused",
             "from=%s list=%016" PRIx64 " own_list=%016" PRIx64 " reason=\"%s\"",
             log_quote(hello->from.data, hello->from.len, from, sizeof(from)), hello->list,
             links->list_hash, reason);
    links->stats->peers_refused++;
    struct session *session = links->env->session(links->env->shell, conn);
    if (session) {
        struct message refused = {
            .kind = MESSAGE_REFUSED,
            .REFUSED = {.from = span_of_string(member_name(links, links->self)),
                        .list = links->list_hash},
            .body = span_of_string(reason),
        };
        message_append(&session->out, &refused);
    }
    links->env->close(links->env->shell, conn, true);
}

/* Why a HELLO can't be accepted, or NULL; member is whom it comes from. */
static const char *hello_refusal(const struct links *links, const struct message_HELLO *hello,
                                 uint32_t *member)
{
    if (hello->oldest > PROTOCOL_NEWEST || hello->newest < PROTOCOL_OLDEST)
        return "no protocol version in common";
    if (hello->list != links->list_hash)
        return "another peers.txt: the lists must name the same nodes";
    if (!span_equal(hello->kind, SPAN_LITERAL("data")))
        return "unknown kind of connection";
    if (!span_equal(hello->to, span_of_string(member_name(links, links->self))))
        return "not the node that was meant";
    char from[ADDRESS_TEXT_BYTES_MAX];
    CHECK(hello->from.len < sizeof(from));
    memcpy(from, hello->from.data, hello->from.len);
    from[hello->from.len] = '\0';
    *member = peers_find(links->view, from);
    if (*member == UINT32_MAX || *member == links->self)
        return "the sender is no other line of peers.txt";
    return NULL;
}

static enum link_event accept_hello(struct links *links, struct conn_id conn,
                                    const struct message_HELLO *hello, struct moment now)
{
    uint32_t member = UINT32_MAX;
    const char *reason = hello_refusal(links, hello, &member);
    if (reason) {
        refuse(links, conn, hello, reason, now);
        return LINK_NOTHING;
    }
    if (links->accepted[member])
        links_end(links, links->accepted[member], "replaced by a newer connection", false, now);
    struct link *link = calloc(1, sizeof(*link));
    CHECK(link != NULL);
    *link = (struct link){.state = LINK_UP, .member = member, .conn = conn};
    links->accepted[member] = link;
    by_conn_set(links, conn, link);
    struct message welcome = {
        .kind = MESSAGE_WELCOME,
        .WELCOME = {.version = hello->newest < PROTOCOL_NEWEST ? hello->newest : PROTOCOL_NEWEST,
                    .from = span_of_string(member_name(links, links->self)),
                    .list = links->list_hash},
    };
    struct session *session = links->env->session(links->env->shell, conn);
    if (session)
        message_append(&session->out, &welcome);
    log_line(links->log, now, LOG_INFO, "link-up", "member=%s direction=in",
             member_name(links, member));
    return LINK_NOTHING;
}

static enum link_event welcomed(struct links *links, struct link *link,
                                const struct message_WELCOME *welcome, struct moment now)
{
    if (welcome->version < PROTOCOL_OLDEST || welcome->version > PROTOCOL_NEWEST ||
        welcome->list != links->list_hash ||
        !span_equal(welcome->from, span_of_string(member_name(links, link->member)))) {
        links_end(links, link, "its welcome is not the one expected", false, now);
        return LINK_ENDED;
    }
    link->state = LINK_UP;
    link->rest_ms = REST_MS_MIN;
    link->reason = NULL;
    struct reply *out = link_out(links, link);
    CHECK(out != NULL);
    reply_move(out, &link->queue);
    log_line(links->log, now, LOG_INFO, "link-up", "member=%s direction=out",
             member_name(links, link->member));
    return LINK_CAME_UP;
}

enum link_event links_handshake(struct links *links, struct link *link, struct conn_id conn,
                                const struct message *message, struct moment now)
{
    if (!link) {
        if (message->kind == MESSAGE_HELLO)
            return accept_hello(links, conn, &message->HELLO, now);
        links->env->close(links->env->shell, conn, false);
        return LINK_NOTHING;
    }
    if (link->state == LINK_GREETING && message->kind == MESSAGE_WELCOME)
        return welcomed(links, link, &message->WELCOME, now);
    if (link->state == LINK_GREETING && message->kind == MESSAGE_REFUSED) {
        char reason[128];
        if (!link->reason)
            log_line(links->log, now, LOG_WARN, "refused-by-peer",
                     "member=%s list=%016" PRIx64 " own_list=%016" PRIx64 " reason=%s",
                     member_name(links, link->member), message->REFUSED.list, links->list_hash,
                     log_quote(message->body.data, message->body.len, reason, sizeof(reason)));
        link->rest_ms = REST_MS_MAX;
        links_end(links, link, "it refuses this node, see its log", false, now);
        return LINK_ENDED;
    }
    links_end(links, link, "a message out of place", false, now);
    return LINK_ENDED;
}

struct link *links_late(struct links *links, struct moment now)
{
    for (uint32_t i = 0; i < links->view->member_count; i++) {
        struct link *link = &links->dialled[i];
        if ((link->state == LINK_DIALLING || link->state == LINK_GREETING) &&
            now.mono_ms >= link->deadline_ms)
            return link;
    }
    return NULL;
}

uint32_t links_up_count(const struct links *links)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < links->view->member_count; i++)
        count += (links->dialled[i].state == LINK_UP) + (links->accepted[i] != NULL);
    return count;
}

uint64_t links_deadline(const struct links *links)
{
    uint64_t earliest = UINT64_MAX;
    for (uint32_t i = 0; i < links->view->member_count; i++) {
        const struct link *link = &links->dialled[i];
        if ((link->state == LINK_DIALLING || link->state == LINK_GREETING) &&
            link->deadline_ms < earliest)
            earliest = link->deadline_ms;
    }
    return earliest;
}

enum err link_parts_begin(struct link *link, const struct message *first, uint32_t total,
                          uint32_t total_max)
{
    if (link->parts.capacity > 0 || total <= first->body.len)
        return ERR_SYNTAX;
    if (total > total_max)
        return ERR_TOO_LARGE;
    link->parts_first = *first;
    if (first->kind == MESSAGE_FORWARD) {
        struct span client = first->FORWARD.client;
        if (client.len >= sizeof(link->parts_client))
            return ERR_SYNTAX;
        memcpy(link->parts_client, client.data, client.len);
        link->parts_first.FORWARD.client = span_of(link->parts_client, client.len);
    }
    link->parts_first.body = span_of(NULL, total);
    buf_append(&link->parts, first->body.data, first->body.len);
    buf_reserve(&link->parts, 1); /* under way, even if the first frame's body was empty */
    return ERR_OK;
}

static uint64_t parts_number(const struct message *first)
{
    return first->kind == MESSAGE_FORWARD ? first->FORWARD.number : first->ANSWER.number;
}

enum err link_parts_add(struct link *link, const struct message *part, bool *whole)
{
    size_t total = link->parts_first.body.len;
    if (link->parts.capacity == 0 || part->PART.number != parts_number(&link->parts_first) ||
        part->body.len > total - buf_len(&link->parts))
        return ERR_SYNTAX;
    buf_append(&link->parts, part->body.data, part->body.len);
    *whole = buf_len(&link->parts) == total;
    if (*whole)
        link->parts_first.body = buf_span(&link->parts);
    return ERR_OK;
}

void link_parts_end(struct link *link)
{
    buf_close(&link->parts);
}

void link_append(struct reply *out, struct message *message, struct span body)
{
    CHECK(body.len <= UINT32_MAX);
    uint64_t number;
    if (message->kind == MESSAGE_FORWARD) {
        message->FORWARD.total = (uint32_t)body.len;
        number = message->FORWARD.number;
    } else {
        CHECK(message->kind == MESSAGE_ANSWER);
        message->ANSWER.total = (uint32_t)body.len;
        number = message->ANSWER.number;
    }
    size_t at = body.len < FRAME_BODY_BYTES_MAX ? body.len : FRAME_BODY_BYTES_MAX;
    message->body = span_of(body.data, at);
    message_append(out, message);
    while (at < body.len) {
        size_t rest_len = body.len - at;
        size_t len = rest_len < FRAME_BODY_BYTES_MAX ? rest_len : FRAME_BODY_BYTES_MAX;
        struct message part = {
            .kind = MESSAGE_PART, .PART = {.number = number}, .body = span_of(body.data + at, len)};
        message_append(out, &part);
        at += len;
    }
}
