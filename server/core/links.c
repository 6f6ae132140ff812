#include "server/core/links.h"

#include "common/check.h"
#include "common/mutant.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A failed link rests before it is dialled again: long enough not to flood an absent host with
 * connects, short enough that a restarted one is served within a second of its return. */
#define REST_MS_MIN 50u
#define REST_MS_MAX 1000u
#define IDLE_MS     5000u /* an idle data link is closed so long after it was asked for last */

_Static_assert(PEERS_MAX < PEER_NONE, "an index is never taken for none");

/* --- peers ------------------------------------------------------------------------------------ */

/* FNV-1a. */
static uint64_t hash_text(uint64_t hash, struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (uint8_t)text.data[i]) * 0x100000001b3u;
    return hash;
}
#define HASH_BEGIN 0xcbf29ce484222325u

static uint16_t *bucket_of(const struct links *links, struct span name)
{
    return &links->buckets[hash_text(HASH_BEGIN, name) % LINKS_BUCKETS];
}

uint32_t links_find_peer(const struct links *links, struct span name)
{
    uint32_t index = *bucket_of(links, name);
    while (index != PEER_NONE) {
        const struct peer *peer = links->peers[index];
        if (span_equal(name, span_of_string(peer->name)))
            return index;
        index = peer->next_in_bucket;
    }
    return PEER_NONE;
}

static uint32_t free_index(struct links *links)
{
    for (uint32_t i = 0; i < links->peers_end && links->peer_count < links->peers_end; i++)
        if (!links->peers[i])
            return i;
    if (links->peers_end == links->peers_capacity) {
        links->peers_capacity = links->peers_capacity ? 2 * links->peers_capacity : 16;
        links->peers = realloc(links->peers, links->peers_capacity * sizeof(struct peer *));
        CHECK(links->peers != NULL);
    }
    links->peers[links->peers_end] = NULL;
    return links->peers_end++;
}

uint32_t links_peer(struct links *links, const char *name)
{
    struct span text = span_of_string(name);
    uint32_t found = links_find_peer(links, text);
    if (found != PEER_NONE)
        return found;
    if (links->peer_count == PEERS_MAX)
        return PEER_NONE;
    CHECK(text.len < ADDRESS_TEXT_BYTES_MAX);
    struct peer *peer = calloc(1, sizeof(*peer) + text.len + 1);
    CHECK(peer != NULL);
    memcpy(peer->name, name, text.len + 1);
    peer->index = free_index(links);
    for (uint32_t lane = 0; lane < LANE_COUNT; lane++) {
        peer->dialled[lane] = (struct link){.lane = (enum lane)lane,
                                            .peer = peer->index,
                                            .is_dialled = true,
                                            .rest_ms = REST_MS_MIN};
        peer->accepted[lane] = (struct link){.lane = (enum lane)lane, .peer = peer->index};
    }
    list_init(&peer->forwards);
    uint16_t *bucket = bucket_of(links, text);
    peer->next_in_bucket = *bucket;
    *bucket = (uint16_t)peer->index;
    links->peers[peer->index] = peer;
    links->peer_count++;
    return peer->index;
}

static struct peer *peer_at(const struct links *links, uint32_t index)
{
    CHECK(index < links->peers_end);
    CHECK(links->peers[index] != NULL);
    return links->peers[index];
}

bool links_has_peer(const struct links *links, uint32_t peer)
{
    return peer < links->peers_end && links->peers[peer];
}

const char *links_name(const struct links *links, uint32_t peer)
{
    return peer_at(links, peer)->name;
}

void links_hold(struct links *links, uint32_t peer)
{
    peer_at(links, peer)->holds++;
}

void links_release(struct links *links, uint32_t peer)
{
    CHECK(peer_at(links, peer)->holds > 0);
    links->peers[peer]->holds--;
}

void links_set_streamed(struct links *links, uint32_t peer, bool is_streamed)
{
    peer_at(links, peer)->is_streamed = is_streamed;
}

static void link_clear(struct link *link)
{
    reply_close(&link->queue);
    link_parts_end(link);
    list_remove(&link->in_pending);
}

static void peer_free(struct links *links, struct peer *peer)
{
    uint16_t *bucket = bucket_of(links, span_of_string(peer->name));
    if (*bucket == peer->index) {
        *bucket = (uint16_t)peer->next_in_bucket;
    } else {
        struct peer *before = links->peers[*bucket];
        while (before->next_in_bucket != peer->index)
            before = links->peers[before->next_in_bucket];
        before->next_in_bucket = peer->next_in_bucket;
    }
    for (uint32_t lane = 0; lane < LANE_COUNT; lane++) {
        link_clear(&peer->dialled[lane]);
        link_clear(&peer->accepted[lane]);
    }
    links->peers[peer->index] = NULL;
    links->peer_count--;
    free(peer);
}

/* --- the whole -------------------------------------------------------------------------------- */

void links_init(struct links *links, const struct links_identity *identity,
                uint32_t dial_timeout_ms, const struct env *env, struct log *log,
                struct stats *stats)
{
    *links = (struct links){
        .identity = *identity,
        .env = env,
        .log = log,
        .stats = stats,
        .dial_timeout_ms = dial_timeout_ms,
        .buckets = malloc(LINKS_BUCKETS * sizeof(uint16_t)),
    };
    CHECK(links->buckets != NULL);
    for (uint32_t i = 0; i < LINKS_BUCKETS; i++)
        links->buckets[i] = PEER_NONE;
    list_init(&links->pending);
    uint32_t self = links_peer(links, identity->name);
    CHECK(self == PEER_SELF);
    links_hold(links, self);
}

void links_close(struct links *links)
{
    for (uint32_t i = 0; i < links->peers_end; i++)
        if (links->peers[i])
            peer_free(links, links->peers[i]);
    free(links->peers);
    free(links->buckets);
    free(links->by_conn);
    free(links->news);
    *links = (struct links){0};
}

static void news_append(struct links *links, struct link_news news)
{
    if (links->news_count == links->news_capacity) {
        links->news_capacity = links->news_capacity ? 2 * links->news_capacity : 16;
        links->news = realloc(links->news, links->news_capacity * sizeof(*links->news));
        CHECK(links->news != NULL);
    }
    links->news[links->news_count++] = news;
}

bool links_take_news(struct links *links, struct link_news *news)
{
    if (LIKELY(links->news_taken == links->news_count))
        return false;
    *news = links->news[links->news_taken++];
    if (links->news_taken == links->news_count)
        links->news_taken = links->news_count = 0;
    return true;
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

/* --- the dialled side ------------------------------------------------------------------------- */

struct link *links_dialled(const struct links *links, uint32_t peer, enum lane lane)
{
    CHECK(lane < LANE_COUNT);
    return &peer_at(links, peer)->dialled[lane];
}

/* Begins to connect. Returns false if not even that is possible: then the link rests. */
static bool dial(struct links *links, struct link *link, struct moment now)
{
    link->conn = links->env->dial(links->env->shell, links_name(links, link->peer));
    if (link->conn.generation == 0) {
        links_end(links, link, DISCONNECT_LOCAL, NULL, now);
        return false;
    }
    by_conn_set(links, link->conn, link);
    link->state = LINK_DIALLING;
    link->deadline_ms = now.mono_ms + links->dial_timeout_ms;
    list_append(&links->pending, &link->in_pending);
    return true;
}

struct link *links_to(struct links *links, uint32_t peer, enum lane lane, struct moment now)
{
    CHECK((peer == PEER_SELF) == (lane == LANE_SELF));
    struct link *link = links_dialled(links, peer, lane);
    link->wanted_ms = now.mono_ms;
    if (LIKELY(link->state != LINK_RESTING))
        return link;
    return now.mono_ms >= link->rest_until_ms && dial(links, link, now) ? link : NULL;
}

void links_wake(struct links *links, uint32_t peer, enum lane lane)
{
    struct link *link = links_dialled(links, peer, lane);
    link->rest_until_ms = 0;
    link->rest_ms = REST_MS_MIN;
}

struct reply *link_out(const struct links *links, struct link *link)
{
    if (link->state != LINK_UP)
        return &link->queue;
    struct session *session = links->env->session(links->env->shell, link->conn);
    return session ? &session->out : NULL;
}

uint64_t links_unacked(const struct links *links, uint32_t peer)
{
    const struct link *link = links_dialled(links, peer, LANE_CONTROL);
    return link->state == LINK_UP ? links->env->unacked(links->env->shell, link->conn) : 0;
}

static struct span kind_of(enum lane lane)
{
    static const struct span kinds[LANE_COUNT] = {
        [LANE_DATA] = {"data", 4}, [LANE_CONTROL] = {"control", 7}, [LANE_SELF] = {"self", 4}};
    return kinds[lane];
}

void links_connected(struct links *links, struct link *link)
{
    CHECK(link->state == LINK_DIALLING);
    struct session *session = links->env->session(links->env->shell, link->conn);
    CHECK(session != NULL);
    const struct links_identity *own = &links->identity;
    struct message hello = {
        .kind = MESSAGE_HELLO,
        .HELLO = {.oldest = PROTOCOL_OLDEST,
                  .newest = PROTOCOL_NEWEST,
                  .kind = kind_of(link->lane),
                  .cluster = span_of_string(own->cluster),
                  .gossip = span_of_string(own->gossip),
                  .from = span_of_string(own->name),
                  .generation = own->generation,
                  .boot = own->boot,
                  .to = span_of_string(links_name(links, link->peer)),
                  .id = own->id,
                  .seat = own->seat,
                  .epoch = own->epoch},
    };
    message_append(&session->out, &hello);
    link->boot_said = own->boot;
    link->state = LINK_GREETING;
}

/* Takes the link off its connection, which is closed. */
static void detach(struct links *links, struct link *link)
{
    links->up_count -= link->state == LINK_UP;
    if (link->conn.generation != 0) {
        if (links_find(links, link->conn) == link)
            links->by_conn[link->conn.index] = NULL;
        links->env->close(links->env->shell, link->conn, false);
    }
    link_clear(link);
    link->state = LINK_RESTING;
    link->conn = (struct conn_id){0};
}

static void rest(struct link *link, const char *reason, struct moment now)
{
    link->reason = reason;
    link->rest_until_ms = now.mono_ms + link->rest_ms;
    link->rest_ms = link->rest_ms * 2 < REST_MS_MAX ? link->rest_ms * 2 : REST_MS_MAX;
}

/* Lanes of gossip come and go: what that means for a member is gossip's to log. */
static enum log_level lane_level(enum lane lane, enum log_level level)
{
    return lane == LANE_DATA ? level : LOG_DEBUG;
}

/* Never 0, which is no refusal. */
static uint64_t refusal_hash(struct span from, const char *why)
{
    return hash_text(hash_text(HASH_BEGIN, span_of_string(why)), from) | 1;
}

/* Whether this has not been logged lately: a node that is refused asks again and again. Longer than
 * a peer is remembered. */
static bool is_new_refusal(struct links *links, struct span from, const char *why)
{
    uint64_t hash = refusal_hash(from, why);
    for (uint32_t i = 0; i < REFUSALS_MEMORY; i++)
        if (links->refusals[i] == hash)
            return false;
    links->refusals[links->refusals_next++ % REFUSALS_MEMORY] = hash;
    return true;
}

/* The two get on again: refusing once more would be news. */
static void forget_refusal(struct links *links, struct span from, const char *why)
{
    uint64_t hash = refusal_hash(from, why);
    for (uint32_t i = 0; i < REFUSALS_MEMORY; i++)
        if (links->refusals[i] == hash)
            links->refusals[i] = 0;
}

/* What is remembered of a peer that will not have this node, */
static const char it_refuses[] = "it refuses this node, see its log";
/* and of a name under which something answers that is no node, or another one. */
static const char no_such_node[] = "no such node";

static enum log_level end_level(struct links *links, const struct link *link, enum disconnect why,
                                const char *reason)
{
    bool is_no_node = link->state == LINK_GREETING && reason != it_refuses &&
                      (why == DISCONNECT_DENIED || why == DISCONNECT_STRANGER);
    bool is_news =
        link->lane != LANE_DATA && is_no_node &&
        is_new_refusal(links, span_of_string(links_name(links, link->peer)), no_such_node);
    return is_news ? LOG_WARN : lane_level(link->lane, LOG_WARN);
}

void links_end(struct links *links, struct link *link, enum disconnect why, const char *reason,
               struct moment now)
{
    if (!reason)
        reason = disconnect_text(why);
    bool was_up = link->state == LINK_UP;
    /* One line for a link that is lost, one for the first failure to have it; retries are quiet. */
    if (was_up || !link->reason || strcmp(link->reason, reason) != 0)
        log_line(links->log, now, end_level(links, link, why, reason), "link-down",
                 "member=%s lane=%s direction=%s reason=\"%s\"", links_name(links, link->peer),
                 kind_of(link->lane).data, link->is_dialled ? "out" : "in", reason);
    detach(links, link);
    news_append(links, (struct link_news){.change = LINK_ENDED,
                                          .peer = link->peer,
                                          .lane = link->lane,
                                          .is_dialled = link->is_dialled,
                                          .was_up = was_up,
                                          .why = why});
    if (link->is_dialled)
        rest(link, reason, now);
}

void links_drop(struct links *links, uint32_t peer, enum lane lane, struct moment now)
{
    struct link *link = links_dialled(links, peer, lane);
    if (link->state == LINK_RESTING)
        return;
    if (lane == LANE_DATA)
        links_end(links, link, DISCONNECT_LOCAL, "not wanted any more", now);
    else
        detach(links, link);
    links_wake(links, peer, lane);
    link->reason = NULL;
}

/* --- the handshake ---------------------------------------------------------------------------- */

/* What both HELLO and WELCOME say of their sender. */
struct greeting {
    uint64_t generation;
    uint64_t boot;
    uint64_t seat;
    uint32_t epoch;
};

/* Whether a link leads nowhere, though nobody has closed it, now that its member has greeted so: it
 * is one with an older process of the name. A later boot alone may be the same process, renewed;
 * but a data link to it over which nothing is under way costs little to make anew, and that it was
 * forgotten there would not be noticed while nothing is sent. */
static bool leads_nowhere(const struct links *links, const struct peer *peer,
                          const struct link *link, const struct greeting *greeting)
{
    if (link->state != LINK_UP || link->boot >= greeting->boot)
        return false;
    return link->generation != greeting->generation ||
           (link == &peer->dialled[LANE_DATA] && list_is_empty(&peer->forwards) &&
            links->env->unacked(links->env->shell, link->conn) == 0);
}

/* A link is up: the process at the other end has said who it is. */
static void came_up(struct links *links, struct link *link, const struct greeting *greeting,
                    struct moment now)
{
    uint64_t generation = greeting->generation, boot = greeting->boot;
    struct peer *peer = peer_at(links, link->peer);
    link->state = LINK_UP;
    link->generation = generation;
    link->boot = boot;
    link->heard_ms = now.mono_ms;
    list_remove(&link->in_pending);
    links->up_count++;
    peer->generation = generation;
    peer->boot = boot;
    peer->seat = greeting->seat;
    for (uint32_t i = 0; i < 2 * LANE_COUNT; i++) {
        struct link *other = i < LANE_COUNT ? &peer->dialled[i] : &peer->accepted[i - LANE_COUNT];
        if (leads_nowhere(links, peer, other, greeting))
            links_end(links, other, DISCONNECT_CLOSED,
                      other->generation != generation
                          ? "its node has started again"
                          : "its node has taken a later boot, and may have forgotten the link",
                      now);
    }
    news_append(links, (struct link_news){.change = LINK_CAME_UP,
                                          .peer = link->peer,
                                          .lane = link->lane,
                                          .is_dialled = link->is_dialled,
                                          .generation = generation,
                                          .boot = boot,
                                          .epoch = greeting->epoch});
    log_line(links->log, now, lane_level(link->lane, LOG_INFO), "link-up",
             "member=%s lane=%s direction=%s boot=%" PRIu64, peer->name, kind_of(link->lane).data,
             link->is_dialled ? "out" : "in", boot);
}

/* Why a HELLO is refused: a word for the other node, a text for people. */
struct refusal {
    const char *why;
    const char *text;
};

/* Closes a connection that asked for a link it may not have, telling it why. from: whom the log
 * names. said: what is wrong with it, for the log. */
static void refuse(struct links *links, struct conn_id conn, struct span from, struct span said,
                   const struct refusal *refusal, struct moment now)
{
    char name[ADDRESS_TEXT_BYTES_MAX], what[2 * MESSAGE_WORD_BYTES_MAX];
    char address[CLIENT_TEXT_BYTES_MAX];
    links->env->client_text(links->env->shell, conn, address);
    if (is_new_refusal(links, from, refusal->why))
        log_line(links->log, now, LOG_WARN, "peer-refused",
                 "from=%s address=%s said=%s reason=\"%s\"",
                 log_quote(from.data, from.len, name, sizeof(name)), address,
                 log_quote(said.data, said.len, what, sizeof(what)), refusal->text);
    links->stats->peers_refused++;
    struct session *session = links->env->session(links->env->shell, conn);
    if (session) {
        struct message refused = {
            .kind = MESSAGE_REFUSED,
            .REFUSED = {.why = span_of_string(refusal->why),
                        .from = span_of_string(links->identity.name),
                        .generation = links->identity.generation,
                        .boot = links->identity.boot},
            .body = span_of_string(refusal->text),
        };
        message_append(&session->out, &refused);
    }
    links->env->close(links->env->shell, conn, true);
}

static const struct refusal refusals[] = {
    {"version", "no protocol version in common"},
    {"cluster", "a node of another cluster: --cluster must be the same"},
    {"gossip", "another gossip strategy: --gossip must be the same"},
    {"kind", "unknown kind of connection"},
    {"name", "not the node that was meant"},
    {"self", "the sender bears the name of this node"},
    {"boot", "a later process of that name is known"},
    {"full", "too many nodes"},
    {"id", "a node of another cluster, of the same name but founded apart"},
};
enum { BY_VERSION, BY_CLUSTER, BY_GOSSIP, BY_KIND, BY_NAME, BY_SELF, BY_BOOT, BY_FULL, BY_ID };

static bool is_version_common(uint32_t oldest, uint32_t newest)
{
    return oldest <= newest && oldest <= PROTOCOL_NEWEST && newest >= PROTOCOL_OLDEST;
}

bool links_refuse_version(struct links *links, struct conn_id conn, const struct frame *frame,
                          struct moment now)
{
    uint32_t oldest, newest;
    if (!message_hello_versions(frame, &oldest, &newest) || is_version_common(oldest, newest))
        return false;
    char address[CLIENT_TEXT_BYTES_MAX], versions[32];
    links->env->client_text(links->env->shell, conn, address);
    int len = snprintf(versions, sizeof(versions), "%u..%u", oldest, newest);
    /* Its port is another one with every retry. */
    const char *port = strrchr(address, ':');
    size_t host_len = port ? (size_t)(port - address) : strlen(address);
    refuse(links, conn, span_of(address, host_len), span_of(versions, (size_t)len),
           &refusals[BY_VERSION], now);
    return true;
}

static bool lane_parse(struct span kind, enum lane *lane)
{
    for (uint32_t i = 0; i < LANE_COUNT; i++) {
        *lane = (enum lane)i;
        if (span_equal(kind, kind_of(*lane)))
            return true;
    }
    return false;
}

/* View 1 draws the cluster id; nodes of different ids refuse each other. */
static bool is_other_id(const struct links_identity *own, uint64_t id)
{
    return own->id != 0 && id != 0 && own->id != id;
}

/* Why a HELLO can't be accepted, or NULL; said is the field that is to blame. */
static const struct refusal *hello_refusal(const struct links *links,
                                           const struct message_HELLO *hello, uint64_t boot_known,
                                           enum lane *lane, struct span *said)
{
    const struct links_identity *own = &links->identity;
    *said = hello->kind;
    if (!is_version_common(hello->oldest, hello->newest))
        return &refusals[BY_VERSION];
    if (!lane_parse(hello->kind, lane))
        return &refusals[BY_KIND];
    *said = hello->cluster;
    if (!span_equal(hello->cluster, span_of_string(own->cluster)) && !MUTANT(any_cluster))
        return &refusals[BY_CLUSTER];
    *said = hello->to;
    if (!span_equal(hello->to, span_of_string(own->name)))
        return &refusals[BY_NAME];
    if (*lane == LANE_SELF)
        return NULL;
    *said = hello->gossip;
    if (!span_equal(hello->gossip, span_of_string(own->gossip)))
        return &refusals[BY_GOSSIP];
    *said = hello->from;
    if (is_other_id(own, hello->id))
        return &refusals[BY_ID];
    if (span_equal(hello->from, span_of_string(own->name)))
        return &refusals[BY_SELF];
    return hello->boot < boot_known ? &refusals[BY_BOOT] : NULL;
}

static void say_welcome(struct links *links, struct conn_id conn, const struct message_HELLO *hello)
{
    struct session *session = links->env->session(links->env->shell, conn);
    if (!session)
        return;
    struct message welcome = {
        .kind = MESSAGE_WELCOME,
        .WELCOME = {.version = hello->newest < PROTOCOL_NEWEST ? hello->newest : PROTOCOL_NEWEST,
                    .from = span_of_string(links->identity.name),
                    .generation = links->identity.generation,
                    .boot = links->identity.boot,
                    .id = links->identity.id,
                    .seat = links->identity.seat,
                    .epoch = links->identity.epoch},
    };
    message_append(&session->out, &welcome);
}

/* Nobody here wants it: it is known only because it has dialled. */
static bool is_stranger(const struct peer *peer)
{
    for (uint32_t lane = 0; lane < LANE_COUNT; lane++)
        if (peer->dialled[lane].state != LINK_RESTING)
            return false;
    return peer->holds == 0 && !peer->is_routed && list_is_empty(&peer->forwards);
}

/* Forgets one stranger, each in its turn, and closes what it has open. Nobody is told: nobody has
 * asked for it. While there is news, which names peers, nobody is forgotten. */
static void send_stranger_away(struct links *links)
{
    if (links->news_taken < links->news_count)
        return;
    for (uint32_t i = 0; i < links->peers_end; i++) {
        links->stranger_at = (links->stranger_at + 1) % links->peers_end;
        struct peer *peer = links->peers[links->stranger_at];
        if (!peer || !is_stranger(peer))
            continue;
        for (uint32_t lane = 0; lane < LANE_COUNT; lane++)
            if (peer->accepted[lane].state != LINK_RESTING)
                detach(links, &peer->accepted[lane]);
        peer_free(links, peer);
        return;
    }
}

/* The index of who says HELLO, or PEER_NONE. */
static uint32_t hello_peer(struct links *links, const char *from)
{
    if (links->peer_count >= PEERS_MAX - PEERS_RESERVED &&
        links_find_peer(links, span_of_string(from)) == PEER_NONE)
        send_stranger_away(links);
    return links_peer(links, from);
}

static void accept_hello(struct links *links, struct conn_id conn,
                         const struct message_HELLO *hello, uint64_t boot_known, struct moment now)
{
    enum lane lane = LANE_DATA;
    struct span said;
    const struct refusal *refusal = hello_refusal(links, hello, boot_known, &lane, &said);
    if (!refusal && lane == LANE_SELF) {
        say_welcome(links, conn, hello);
        links->env->close(links->env->shell, conn, true);
        return;
    }
    char from[ADDRESS_TEXT_BYTES_MAX];
    CHECK(hello->from.len < sizeof(from));
    memcpy(from, hello->from.data, hello->from.len);
    from[hello->from.len] = '\0';
    uint32_t peer = refusal ? PEER_NONE : hello_peer(links, from);
    if (!refusal && peer == PEER_NONE)
        refusal = &refusals[BY_FULL];
    if (refusal) {
        refuse(links, conn, hello->from, said, refusal, now);
        return;
    }
    struct link *link = &links->peers[peer]->accepted[lane];
    /* The newer connection is the one that counts; what was under way by the older is over. */
    if (link->state == LINK_UP && lane == LANE_DATA)
        links_end(links, link, DISCONNECT_CLOSED, "a newer connection has come", now);
    else if (link->state == LINK_UP)
        detach(links, link);
    for (size_t i = 0; i < ARRAY_COUNT(refusals); i++)
        forget_refusal(links, hello->from, refusals[i].why);
    link->conn = conn;
    by_conn_set(links, conn, link);
    say_welcome(links, conn, hello);
    const struct greeting greeting = {hello->generation, hello->boot, hello->seat, hello->epoch};
    came_up(links, link, &greeting, now);
}

static void take_welcome(struct links *links, struct link *link,
                         const struct message_WELCOME *welcome, uint64_t boot_known,
                         struct moment now)
{
    if (welcome->version < PROTOCOL_OLDEST || welcome->version > PROTOCOL_NEWEST) {
        links_end(links, link, DISCONNECT_DENIED, "its welcome is not the one expected", now);
        return;
    }
    if (!span_equal(welcome->from, span_of_string(links_name(links, link->peer))) ||
        (link->lane != LANE_SELF && is_other_id(&links->identity, welcome->id)) ||
        (link->lane != LANE_SELF && welcome->boot < boot_known)) {
        links_end(links, link, DISCONNECT_STRANGER, NULL, now);
        return;
    }
    link->rest_ms = REST_MS_MIN;
    link->reason = NULL;
    forget_refusal(links, welcome->from, it_refuses);
    forget_refusal(links, welcome->from, no_such_node);
    const struct greeting greeting = {welcome->generation, welcome->boot, welcome->seat,
                                      welcome->epoch};
    came_up(links, link, &greeting, now);
    struct reply *out = link_out(links, link);
    CHECK(out != NULL);
    reply_move(out, &link->queue);
}

/* What answers there is not the node that was meant, or is it and will not have this one. */
static enum disconnect refusal_class(struct span why)
{
    bool is_stranger = span_equal(why, SPAN_LITERAL("cluster")) ||
                       span_equal(why, SPAN_LITERAL("id")) || span_equal(why, SPAN_LITERAL("name"));
    return is_stranger ? DISCONNECT_STRANGER : DISCONNECT_DENIED;
}

static void take_refused(struct links *links, struct link *link, const struct message *message,
                         struct moment now)
{
    const struct message_REFUSED *refused = &message->REFUSED;
    uint64_t boot_said = link->boot_said;
    char reason[128], from[ADDRESS_TEXT_BYTES_MAX];
    if (is_new_refusal(links, span_of_string(links_name(links, link->peer)), it_refuses))
        log_line(links->log, now, LOG_WARN, "refused-by-peer",
                 "member=%s lane=%s from=%s reason=\"%s\"", links_name(links, link->peer),
                 kind_of(link->lane).data,
                 log_quote(refused->from.data, refused->from.len, from, sizeof(from)),
                 log_words(message->body.data, message->body.len, reason, sizeof(reason)));
    link->rest_ms = REST_MS_MAX;
    links_end(links, link, refusal_class(refused->why), it_refuses, now);
    if (span_equal(refused->why, span_of_string(refusals[BY_BOOT].why)) &&
        boot_said == links->identity.boot)
        links->news[links->news_count - 1].is_superseded = true;
}

void links_handshake(struct links *links, struct link *link, struct conn_id conn,
                     const struct message *message, uint64_t boot_known, struct moment now)
{
    if (!link && message->kind == MESSAGE_HELLO)
        accept_hello(links, conn, &message->HELLO, boot_known, now);
    else if (!link)
        links->env->close(links->env->shell, conn, false);
    else if (link->state == LINK_GREETING && message->kind == MESSAGE_WELCOME)
        take_welcome(links, link, &message->WELCOME, boot_known, now);
    else if (link->state == LINK_GREETING && message->kind == MESSAGE_REFUSED)
        take_refused(links, link, message, now);
    else
        links_end(links, link, DISCONNECT_DENIED, "a message out of place", now);
}

/* --- time ------------------------------------------------------------------------------------- */

static struct link *first_pending(const struct links *links)
{
    struct list *first = list_first(&links->pending);
    return first ? CONTAINER_OF(first, struct link, in_pending) : NULL;
}

struct link *links_late(const struct links *links, struct moment now)
{
    struct link *link = first_pending(links);
    return link && now.mono_ms >= link->deadline_ms ? link : NULL;
}

enum disconnect links_lateness(const struct links *links, const struct link *link)
{
    bool is_heard =
        link->state == LINK_GREETING && links->env->unacked(links->env->shell, link->conn) == 0;
    return is_heard ? DISCONNECT_MUTE : DISCONNECT_TIMEOUT;
}

uint64_t links_deadline(const struct links *links)
{
    const struct link *link = first_pending(links);
    return link ? link->deadline_ms : UINT64_MAX;
}

static bool is_unused(const struct peer *peer)
{
    for (uint32_t lane = 0; lane < LANE_COUNT; lane++)
        if (peer->dialled[lane].state != LINK_RESTING || peer->accepted[lane].state != LINK_RESTING)
            return false;
    return peer->holds == 0 && list_is_empty(&peer->forwards);
}

/* Whoever asked for it lately may wait for the dial, or for an answer. */
static bool is_idle(const struct peer *peer, struct moment now)
{
    const struct link *link = &peer->dialled[LANE_DATA];
    bool is_asked = now.mono_ms < link->wanted_ms + IDLE_MS && !MUTANT(asked_is_idle);
    return !peer->is_routed && !peer->is_streamed && !is_asked && list_is_empty(&peer->forwards) &&
           link->state != LINK_RESTING;
}

void links_sweep(struct links *links, struct moment now)
{
    for (uint32_t i = PEER_SELF + 1; i < links->peers_end; i++)
        if (links->peers[i] && is_idle(links->peers[i], now))
            links_drop(links, i, LANE_DATA, now);
    if (links->news_taken < links->news_count)
        return; /* they name peers */
    for (uint32_t i = PEER_SELF + 1; i < links->peers_end; i++)
        if (links->peers[i] && is_unused(links->peers[i]))
            peer_free(links, links->peers[i]);
}

/* --- bodies ----------------------------------------------------------------------------------- */

/* Copies a text that first borrows to where it stays. */
static void parts_keep(struct span *text, char to[MESSAGE_WORD_BYTES_MAX])
{
    CHECK(text->len <= MESSAGE_WORD_BYTES_MAX);
    memcpy(to, text->data, text->len);
    text->data = to;
}

static void parts_append(struct parts *parts, struct span body)
{
    if (parts->bytes && body.len > 0)
        memcpy(parts->bytes + parts->len, body.data, body.len);
    parts->len += body.len;
}

/* Makes room for the whole body at once, if the memory bound allows it. */
static void parts_make_room(struct parts *parts, uint32_t total, struct budget *budget)
{
    if (budget && !budget_stretches(budget, total))
        return;
    parts->bytes = malloc(total);
    CHECK(parts->bytes != NULL);
    parts->budget = budget;
    if (budget)
        budget->used_bytes += total;
}

enum err link_parts_begin(struct link *link, const struct message *first, uint32_t total,
                          uint32_t total_max, struct budget *budget)
{
    if (link->parts || total <= first->body.len)
        return ERR_SYNTAX;
    if (total > total_max)
        return ERR_TOO_LARGE;
    struct parts *parts = calloc(1, sizeof(*parts));
    CHECK(parts != NULL);
    link->parts = parts;
    parts->first = *first;
    if (first->kind == MESSAGE_FORWARD) {
        parts_keep(&parts->first.FORWARD.client, parts->client);
        parts_keep(&parts->first.FORWARD.direct, parts->direct);
    }
    parts->first.body = span_of(NULL, total);
    parts_make_room(parts, total, budget);
    parts_append(parts, first->body);
    return ERR_OK;
}

/* Those of control links have no number: nothing comes between a message and its PARTs. */
static uint64_t parts_number(const struct message *first)
{
    if (first->kind == MESSAGE_FORWARD)
        return first->FORWARD.number;
    return first->kind == MESSAGE_ANSWER ? first->ANSWER.number : 0;
}

enum err link_parts_add(struct link *link, const struct message *part, bool *whole)
{
    struct parts *parts = link->parts;
    if (!parts || part->PART.number != parts_number(&parts->first))
        return ERR_SYNTAX;
    size_t total = parts->first.body.len;
    if (part->body.len > total - parts->len)
        return ERR_SYNTAX;
    parts_append(parts, part->body);
    *whole = parts->len == total;
    if (*whole)
        parts->first.body = span_of(parts->bytes, total);
    return ERR_OK;
}

void link_parts_end(struct link *link)
{
    struct parts *parts = link->parts;
    if (!parts)
        return;
    if (parts->budget)
        parts->budget->used_bytes -= parts->first.body.len;
    free(parts->bytes);
    free(parts);
    link->parts = NULL;
}

uint32_t *message_total(struct message *message)
{
    switch (message->kind) {
    case MESSAGE_FORWARD:
        return &message->FORWARD.total;
    case MESSAGE_ANSWER:
        return &message->ANSWER.total;
    case MESSAGE_VIEWS:
        return &message->VIEWS.total;
    case MESSAGE_PROMISE:
        return &message->PROMISE.total;
    case MESSAGE_ACCEPT:
        return &message->ACCEPT.total;
    default:
        return NULL;
    }
}

void link_append(struct reply *out, struct message *message, struct span body)
{
    CHECK(body.len <= UINT32_MAX);
    uint32_t *total = message_total(message);
    CHECK(total != NULL);
    *total = (uint32_t)body.len;
    uint64_t number = parts_number(message);
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
