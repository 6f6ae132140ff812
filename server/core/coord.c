#include "server/core/coord.h"

#include "common/check.h"
#include "common/mutant.h"
#include "server/core/opaque.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a key's own request, beside its word and key: spaces, an expiry, the line's end. */
#define TEXT_MORE_BYTES_MAX 32u

#define FAILURE_BYTES_MAX (ADDRESS_TEXT_BYTES_MAX + 160)

void coord_init(struct coord *coord, struct links *links, const struct route *route,
                const uint8_t *serving, uint32_t op_timeout_ms)
{
    *coord = (struct coord){
        .links = links,
        .route = route,
        .serving = serving,
        .env = links->env,
        .stats = links->stats,
        .op_timeout_ms = op_timeout_ms,
        .retry_ms = UINT64_MAX,
        .places = calloc(FORWARDS_MAX, sizeof(struct forward *)),
        .free_places = calloc(FORWARDS_MAX, sizeof(uint32_t)),
        .waits = calloc(WAITS, sizeof(struct waiting)),
    };
    CHECK(coord->places != NULL);
    CHECK(coord->free_places != NULL);
    CHECK(coord->waits != NULL);
    list_init(&coord->by_deadline);
    list_init(&coord->active);
    list_init(&coord->own);
}

/* The asker's session waits for one answer of another node more, or one less. */
static void count_remote(struct coord *coord, const struct asker *asker, bool is_more)
{
    struct session *session = coord->env->session(coord->env->shell, asker->conn);
    if (!session)
        return;
    CHECK(is_more || session->remote_open > 0);
    session->remote_open += is_more ? 1 : UINT32_MAX;
}

static size_t forward_bytes(const struct forward *forward)
{
    return sizeof(*forward) + forward->text_len;
}

static void count_bytes(struct coord *coord, const struct forward *forward, bool is_more)
{
    size_t bytes = is_more ? forward_bytes(forward) : -forward_bytes(forward);
    coord->bytes += bytes;
    if (forward->budget)
        forward->budget->used_bytes += bytes;
}

/* --- which list a forward is in --------------------------------------------------------------- */

/* Takes a forward out of the list of its state. */
static void unlist(struct coord *coord, struct forward *forward)
{
    list_remove(&forward->in_state);
    struct waiting *waiting = &coord->waits[forward->slot];
    if (forward->state == FORWARD_WAITING && list_is_empty(&waiting->forwards))
        list_remove(&waiting->in_active);
}

/* Puts link where the list, ascending by a number, wants it: most often at its end. */
#define LIST_INSERT_BY(head, member, type, field, object)                                          \
    do {                                                                                           \
        struct list *at_ = (head)->prev;                                                           \
        while (at_ != (head) && CONTAINER_OF(at_, type, member)->field > (object)->field)          \
            at_ = at_->prev;                                                                       \
        list_append(at_->next, &(object)->member);                                                 \
    } while (0)

/* Whom a forward is for. The peer is remembered as long: a failure names it. */
static void forward_aim(struct coord *coord, struct forward *forward, uint32_t peer)
{
    if (peer == forward->peer)
        return;
    if (peer != PEER_NONE)
        links_hold(coord->links, peer);
    if (forward->peer != PEER_NONE)
        links_release(coord->links, forward->peer);
    forward->peer = peer;
    forward->was_refused = false;
}

/* The first forward that waits begins a pause, longer with each time. */
static void begin_pause(struct waiting *waiting, struct forward *first, struct moment now)
{
    waiting->retry_ms = now.mono_ms + first->pause_ms;
    first->pause_ms = first->pause_ms * 2 < RETRY_MS_MAX ? first->pause_ms * 2 : RETRY_MS_MAX;
}

/* A forward waits to be tried anew, behind those of its slot that came before it. */
static void wait_for_retry(struct coord *coord, struct forward *forward, struct moment now)
{
    struct waiting *waiting = &coord->waits[forward->slot];
    if (!waiting->forwards.next)
        list_init(&waiting->forwards);
    forward->state = FORWARD_WAITING;
    LIST_INSERT_BY(&waiting->forwards, in_state, struct forward, number, forward);
    if (list_is_linked(&waiting->in_active))
        return;
    list_append(&coord->active, &waiting->in_active);
    begin_pause(waiting, forward, now);
    if (waiting->retry_ms < coord->retry_ms)
        coord->retry_ms = waiting->retry_ms;
}

/* --- beginning and end of a forward ----------------------------------------------------------- */

/* Takes a forward off every list; what becomes of its asker is the caller's to say. */
static void forward_remove(struct coord *coord, struct forward *forward)
{
    count_remote(coord, &forward->asker, false);
    count_bytes(coord, forward, false);
    list_remove(&forward->by_deadline);
    unlist(coord, forward);
    uint32_t place = (uint32_t)(forward->number % FORWARDS_MAX);
    CHECK(coord->places[place] == forward);
    coord->places[place] = NULL;
    coord->free_places[coord->free_count++] = place;
    coord->count--;
}

/* Its peer's name is known until the turn ends. */
void coord_free(struct coord *coord, struct forward *forward)
{
    forward_aim(coord, forward, PEER_NONE);
    free(forward);
}

void coord_close(struct coord *coord)
{
    struct list *link;
    while (coord->places && (link = list_first(&coord->by_deadline))) {
        struct forward *forward = CONTAINER_OF(link, struct forward, by_deadline);
        forward_remove(coord, forward);
        if (forward->gather)
            coord_flushed(coord, forward->gather, NULL);
        coord_free(coord, forward);
    }
    free(coord->places);
    free(coord->free_places);
    free(coord->waits);
    buf_close(&coord->text);
    *coord = (struct coord){0};
}

/* A new forward of text, in no state's list yet. The bounds have been looked at. */
static struct forward *forward_add(struct coord *coord, const struct asker *asker, uint32_t slot,
                                   struct span text, uint64_t deadline_ms)
{
    CHECK(coord->count < FORWARDS_MAX);
    uint32_t place =
        coord->free_count ? coord->free_places[--coord->free_count] : coord->places_used++;
    CHECK(coord->places[place] == NULL);
    struct forward *forward = malloc(sizeof(*forward) + text.len);
    CHECK(forward != NULL);
    *forward = (struct forward){
        .number = ++coord->rounds * FORWARDS_MAX + place,
        .deadline_ms = deadline_ms,
        .pause_ms = RETRY_MS_MIN,
        .peer = PEER_NONE,
        .slot = slot,
        .asker = *asker,
        .budget = env_budget(coord->env, asker->conn),
        .text_len = (uint32_t)text.len,
    };
    forward->order = forward->number;
    memcpy(forward->text, text.data, text.len);
    if (asker->is_aside) /* text is the line it was borrowed from */
        forward->asker.opaque.data = forward->text + (asker->opaque.data - text.data);
    coord->env->client_text(coord->env->shell, asker->conn, forward->client);
    count_remote(coord, asker, true);
    count_bytes(coord, forward, true);
    coord->places[place] = forward;
    LIST_INSERT_BY(&coord->by_deadline, by_deadline, struct forward, deadline_ms, forward);
    coord->count++;
    return forward;
}

void asker_answer_aside(const struct env *env, const struct asker *asker, struct reply *body)
{
    struct session *session = env->session(env->shell, asker->conn);
    CHECK(asker->is_aside);
    if (session)
        session_aside_end(session, body);
    else
        reply_close(body);
}

void asker_answer(const struct env *env, const struct asker *asker, struct span text)
{
    if (asker->is_aside) {
        struct reply body = {0};
        reply_append(&body, text);
        opaque_mark(&body, asker->opaque);
        asker_answer_aside(env, asker, &body);
        return;
    }
    struct session *session = env->session(env->shell, asker->conn);
    if (!session)
        return;
    if (asker->noreply)
        session_done(session, asker->seq, asker->part);
    else
        session_fail(session, asker->seq, asker->part, text);
}

static uint32_t count_flushed(const struct gather *gather)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < FLUSHED_BYTES; i++)
        count += (uint32_t)__builtin_popcount(gather->flushed[i]);
    return count;
}

/* One part of a flush_all is over; the last one answers the client. flushed: NULL: nothing of the
 * part is known. */
static void gather_count(struct coord *coord, struct gather *gather, const uint8_t *flushed)
{
    for (uint32_t i = 0; flushed && i < FLUSHED_BYTES; i++)
        gather->flushed[i] |= flushed[i];
    if (--gather->open > 0)
        return;
    uint32_t count = count_flushed(gather);
    if (count == SLOT_COUNT) {
        asker_answer(coord->env, &gather->asker, SPAN_LITERAL("OK\r\n"));
    } else {
        char text[FAILURE_BYTES_MAX];
        int len = snprintf(text, sizeof(text),
                           "SERVER_ERROR outcome unknown: flush_all done in %u of %u slots\r\n",
                           count, SLOT_COUNT);
        coord->stats->unknown_outcomes++;
        asker_answer(coord->env, &gather->asker, span_of(text, (size_t)len));
    }
    free(gather);
}

void coord_flushed(struct coord *coord, struct gather *gather, const uint8_t *flushed)
{
    if (flushed)
        gather_count(coord, gather, flushed);
    else if (--gather->open == 0)
        free(gather);
}

/* What a forward could not be done for. */
static void failure_text(const struct coord *coord, const struct forward *forward,
                         char text[FAILURE_BYTES_MAX])
{
    bool is_unknown = forward->is_write && forward->state == FORWARD_LEFT;
    const char *outcome = is_unknown ? "outcome unknown" : "not done";
    uint32_t peer = forward->peer;
    if (peer == PEER_NONE && forward->slot < SLOT_COUNT) /* it stood behind one of its slot */
        peer = coord->route->leader[forward->slot];
    if (forward->is_unready || peer == PEER_SELF)
        snprintf(text, FAILURE_BYTES_MAX,
                 "SERVER_ERROR %s: too few copies of it can be reached\r\n", outcome);
    else if (peer == PEER_NONE)
        snprintf(text, FAILURE_BYTES_MAX, "SERVER_ERROR %s: %s\r\n", outcome,
                 coord->awaits[0] != '\0' ? coord->awaits : "no node leads this key now");
    else if (forward->was_refused)
        snprintf(text, FAILURE_BYTES_MAX, "SERVER_ERROR %s: %s does not lead this key\r\n", outcome,
                 links_name(coord->links, peer));
    else
        snprintf(text, FAILURE_BYTES_MAX, "SERVER_ERROR %s: no answer from %s\r\n", outcome,
                 links_name(coord->links, peer));
}

/* Ends a forward without an answer of its coordinator. */
static void forward_fail(struct coord *coord, struct forward *forward)
{
    char text[FAILURE_BYTES_MAX];
    failure_text(coord, forward, text);
    coord->stats->forward_failures++;
    coord->stats->unknown_outcomes +=
        !forward->gather && forward->is_write && forward->state == FORWARD_LEFT;
    forward_remove(coord, forward);
    if (forward->gather)
        gather_count(coord, forward->gather, NULL);
    else
        asker_answer(coord->env, &forward->asker, span_of_string(text));
    coord_free(coord, forward);
}

/* --- sending ---------------------------------------------------------------------------------- */

void coord_append_text(const struct request *request, struct buf *out)
{
    if (request->part == PART_WHOLE) {
        buf_append(out, request->line.data, request->line.len);
        return;
    }
    struct span word = span_of_string(command_word(request->command));
    char *start = buf_reserve(out, word.len + request->key.len + TEXT_MORE_BYTES_MAX);
    char *at = mempcpy(start, word.data, word.len);
    *at++ = ' ';
    if (request->command == CMD_GAT || request->command == CMD_GATS)
        at += snprintf(at, TEXT_MORE_BYTES_MAX - 2, "%lld ", (long long)request->exptime);
    at = mempcpy(at, request->key.data, request->key.len);
    at = mempcpy(at, "\r\n", 2);
    buf_advance(out, (size_t)(at - start));
}

struct span coord_text(struct coord *coord, const struct request *request)
{
    if (request->part == PART_WHOLE)
        return request->line;
    struct buf *text = &coord->text;
    buf_consume(text, buf_len(text));
    coord_append_text(request, text);
    return buf_span(text);
}

/* Where the client of a forward takes its answer, or "-". */
static struct span forward_direct(const struct coord *coord, const struct forward *forward)
{
    struct session *session = NULL;
    if (forward->asker.is_aside)
        session = coord->env->session(coord->env->shell, forward->asker.conn);
    return session ? span_of_string(session->home->where) : SPAN_LITERAL("-");
}

/* Puts a forward's frames into its link, which is up. */
static void forward_leave(struct coord *coord, struct forward *forward, const struct link *link,
                          struct reply *out, struct moment now)
{
    struct message message = {
        .kind = MESSAGE_FORWARD,
        .FORWARD = {.number = forward->number,
                    .client = span_of_string(forward->client),
                    .deadline_ms = (uint32_t)(forward->deadline_ms - now.mono_ms),
                    .digest = forward->digest,
                    .epoch = coord->route->view.epoch,
                    .direct = forward_direct(coord, forward)},
    };
    link_append(out, &message, span_of(forward->text, forward->text_len));
    forward->state = FORWARD_LEFT;
    forward->conn = link->conn;
    coord->stats->forwards_sent++;
}

static struct list *forwards_of(const struct coord *coord, uint32_t peer)
{
    return &coord->links->peers[peer]->forwards;
}

/* Gives a forward that is in no list to the one who is to answer it. Returns false if it has to
 * wait: nobody is known, or the connection rests; or if it is too late for it. */
static bool forward_try(struct coord *coord, struct forward *forward, struct moment now)
{
    if (now.mono_ms >= forward->deadline_ms)
        return false;
    uint32_t peer = forward->gather ? forward->peer : PEER_SELF;
    if (forward->slot == WAIT_RING && coord->route->view.member_count == 0)
        return false;
    if (forward->slot < SLOT_COUNT)
        peer = coord->route->leader[forward->slot];
    if (peer == ROUTE_NOBODY)
        return false;
    forward->is_unready = peer == PEER_SELF && forward->slot < SLOT_COUNT && coord->serving &&
                          !coord->serving[forward->slot];
    if (forward->is_unready)
        return false;
    if (peer == PEER_SELF) {
        forward->state = FORWARD_OWN;
        LIST_INSERT_BY(&coord->own, in_state, struct forward, order, forward);
        return true;
    }
    forward_aim(coord, forward, peer);
    struct link *link = links_to(coord->links, peer, LANE_DATA, now);
    if (!link)
        return false;
    struct reply *out = link_out(coord->links, link);
    if (!out)
        return false;
    LIST_INSERT_BY(forwards_of(coord, peer), in_state, struct forward, order, forward);
    forward->state = FORWARD_QUEUED;
    if (link->state == LINK_UP)
        forward_leave(coord, forward, link, out, now);
    return true;
}

/* Whether the bounds leave no place for a request of so many bytes. */
static bool is_busy(const struct coord *coord, const struct asker *asker, uint32_t peer,
                    size_t bytes)
{
    if (coord->count >= FORWARDS_MAX || bytes > FORWARD_BYTES_MAX ||
        coord->bytes > FORWARD_BYTES_MAX - bytes)
        return true;
    const struct budget *budget = env_budget(coord->env, asker->conn);
    if (budget && !budget_stretches(budget, bytes))
        return true;
    if (peer == ROUTE_NOBODY || peer == PEER_SELF)
        return false;
    struct link *link = links_dialled(coord->links, peer, LANE_DATA);
    const struct reply *out = link->state == LINK_UP ? link_out(coord->links, link) : NULL;
    return out && reply_len(out) > LINK_BACKLOG_BYTES_MAX;
}

void coord_busy(struct coord *coord, const struct asker *asker)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "SERVER_ERROR busy, retry in %u ms\r\n", BUSY_RETRY_MS);
    asker_answer(coord->env, asker, span_of(text, (size_t)len));
}

void coord_again(struct coord *coord, const struct asker *asker, struct span text,
                 const struct digest *digest, bool is_write, uint64_t deadline_ms,
                 struct moment now)
{
    uint32_t slot = position_slot(digest_position(digest));
    uint32_t leader = coord->route->leader[slot];
    if (UNLIKELY(is_busy(coord, asker, leader, sizeof(struct forward) + text.len))) {
        coord_busy(coord, asker);
        return;
    }
    struct forward *forward = forward_add(coord, asker, slot, text, deadline_ms);
    forward->digest = *digest;
    forward->is_write = is_write;
    forward->is_unready = leader == PEER_SELF;
    /* What could not be served here a moment ago is not tried again within it. */
    if (UNLIKELY(coord_is_slot_waiting(coord, slot)) || leader == PEER_SELF ||
        !forward_try(coord, forward, now))
        wait_for_retry(coord, forward, now);
}

void coord_forward(struct coord *coord, const struct asker *asker, const struct request *request,
                   const struct digest *digest, uint64_t deadline_ms, struct moment now)
{
    if (deadline_ms == 0)
        deadline_ms = now.mono_ms + coord->op_timeout_ms;
    coord_again(coord, asker, coord_text(coord, request), digest, request_is_write(request),
                deadline_ms, now);
}

void coord_keep_flush(struct coord *coord, const struct asker *asker, const struct request *request,
                      struct moment now)
{
    if (is_busy(coord, asker, ROUTE_NOBODY, sizeof(struct forward) + request->line.len)) {
        coord_busy(coord, asker);
        return;
    }
    struct forward *forward =
        forward_add(coord, asker, WAIT_RING, request->line, now.mono_ms + coord->op_timeout_ms);
    forward->is_write = true;
    wait_for_retry(coord, forward, now);
}

/* One forward of a flush_all. Above the bounds there is none, and its slots are not done. */
static void flush_peer(struct coord *coord, struct gather *gather, uint32_t peer,
                       const struct request *request, const struct forward *kept,
                       uint64_t deadline_ms, struct moment now)
{
    if (is_busy(coord, &gather->asker, peer, sizeof(struct forward) + request->line.len))
        return;
    struct forward *forward =
        forward_add(coord, &gather->asker, WAIT_MEMBERS, request->line, deadline_ms);
    forward->gather = gather;
    if (kept)
        forward->order = kept->order;
    forward_aim(coord, forward, peer);
    forward->is_write = true;
    gather->open++;
    if (!forward_try(coord, forward, now))
        wait_for_retry(coord, forward, now);
}

struct gather *coord_flush_all(struct coord *coord, const struct asker *asker,
                               const struct request *request, const struct forward *kept,
                               uint64_t *deadline_ms, struct moment now)
{
    const struct route *route = coord->route;
    uint64_t seen[PEERS_MAX / 64] = {0};
    CHECK(route->view.member_count > 0);
    *deadline_ms = kept ? kept->deadline_ms : now.mono_ms + coord->op_timeout_ms;
    struct gather *gather = malloc(sizeof(*gather));
    CHECK(gather != NULL);
    /* One part is this node's: so failures at once don't end it early. */
    *gather = (struct gather){.asker = *asker, .open = 1, .epoch = route->view.epoch};
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        uint32_t peer = route->leader[slot];
        if (peer == ROUTE_NOBODY || (seen[peer / 64] & 1ull << peer % 64))
            continue;
        seen[peer / 64] |= 1ull << peer % 64;
        if (peer != PEER_SELF)
            flush_peer(coord, gather, peer, request, kept, *deadline_ms, now);
    }
    if (seen[0] & 1ull << PEER_SELF)
        return gather;
    gather_count(coord, gather, NULL);
    return NULL;
}

/* --- what comes back -------------------------------------------------------------------------- */

/* An answer for a client, as it is. */
static void relay(struct coord *coord, const struct forward *forward, struct span body)
{
    const struct asker *asker = &forward->asker;
    struct session *session = coord->env->session(coord->env->shell, asker->conn);
    if (!session)
        return;
    coord->stats->answers_relayed++;
    session_note_remote(session, body.len);
    if (asker->is_aside) { /* the coordinator has marked it */
        struct reply answer = {0};
        reply_append(&answer, body);
        asker_answer_aside(coord->env, asker, &answer);
        return;
    }
    reply_append(session_reply(session, asker->seq), body);
    session_done(session, asker->seq, asker->part);
}

/* The client has its answer from its coordinator. */
static void note_direct(struct coord *coord, const struct forward *forward)
{
    struct reply nothing = {0};
    coord->stats->forwards_direct++;
    asker_answer_aside(coord->env, &forward->asker, &nothing);
}

/* A reason may be an answer line: of that the words alone. */
static struct span bare_reason(struct span text)
{
    const struct span error = SPAN_LITERAL("SERVER_ERROR "), end = SPAN_LITERAL("\r\n");
    if (text.len > end.len && memcmp(text.data + text.len - end.len, end.data, end.len) == 0)
        text.len -= end.len;
    if (text.len > error.len && memcmp(text.data, error.data, error.len) == 0)
        text = span_of(text.data + error.len, text.len - error.len);
    return text;
}

/* The coordinator will not do it, whatever is tried. */
static void relay_refusal(struct coord *coord, const struct forward *forward, struct span body)
{
    char reason[128], text[FAILURE_BYTES_MAX + 128];
    body = bare_reason(body);
    int len = snprintf(text, sizeof(text), "SERVER_ERROR not done: %s says %s\r\n",
                       links_name(coord->links, forward->peer),
                       log_words(body.data, body.len, reason, sizeof(reason)));
    coord->stats->forward_failures++;
    asker_answer(coord->env, &forward->asker, span_of(text, (size_t)len));
}

/* The coordinator has executed it, and cannot say whether it stays. */
static void relay_unknown(struct coord *coord, const struct forward *forward)
{
    char text[FAILURE_BYTES_MAX];
    int len = snprintf(text, sizeof(text),
                       "SERVER_ERROR outcome unknown: too few copies confirmed it to %s\r\n",
                       links_name(coord->links, forward->peer));
    coord->stats->unknown_outcomes++;
    asker_answer(coord->env, &forward->asker, span_of(text, (size_t)len));
}

static void retry_later(struct coord *coord, struct forward *forward, struct moment now)
{
    unlist(coord, forward);
    coord->stats->forwards_retried++;
    wait_for_retry(coord, forward, now);
}

void coord_answered(struct coord *coord, const struct link *link, const struct message *answer,
                    struct moment now)
{
    struct forward *forward = coord->places[answer->ANSWER.number % FORWARDS_MAX];
    if (!forward || forward->number != answer->ANSWER.number || forward->state != FORWARD_LEFT ||
        !conn_id_equal(forward->conn, link->conn))
        return; /* it came after its deadline */
    uint32_t status = answer->ANSWER.status;
    bool is_unready = status == ANSWER_STATUS_NOT_READY;
    if ((status == ANSWER_STATUS_NOT_LEADER || is_unready) && !forward->gather) {
        forward->was_refused = !is_unready;
        forward->is_unready = is_unready;
        retry_later(coord, forward, now);
        return;
    }
    if (status >= ANSWER_STATUS_COUNT ||
        (status == ANSWER_STATUS_DIRECT && !forward->asker.is_aside)) {
        forward_fail(coord, forward); /* nobody has asked for that */
        return;
    }
    bool is_flushed = status == ANSWER_STATUS_DONE && answer->body.len == FLUSHED_BYTES;
    forward_remove(coord, forward);
    if (forward->gather)
        gather_count(coord, forward->gather,
                     is_flushed ? (const uint8_t *)answer->body.data : NULL);
    else if (status == ANSWER_STATUS_UNKNOWN)
        relay_unknown(coord, forward);
    else if (status == ANSWER_STATUS_DIRECT)
        note_direct(coord, forward);
    else if (status == ANSWER_STATUS_DONE)
        relay(coord, forward, answer->body);
    else
        relay_refusal(coord, forward, answer->body);
    coord_free(coord, forward);
}

/* --- what happens to links and ring ----------------------------------------------------------- */

void coord_came_up(struct coord *coord, uint32_t peer, struct moment now)
{
    struct link *link = links_dialled(coord->links, peer, LANE_DATA);
    struct reply *out = link_out(coord->links, link);
    if (link->state != LINK_UP || !out)
        return; /* it has ended meanwhile; that will be told too */
    struct list *head = forwards_of(coord, peer);
    for (struct list *at = head->next; at != head; at = at->next) {
        struct forward *forward = CONTAINER_OF(at, struct forward, in_state);
        if (forward->state == FORWARD_QUEUED && now.mono_ms < forward->deadline_ms)
            forward_leave(coord, forward, link, out, now);
    }
}

void coord_lost(struct coord *coord, uint32_t peer, struct moment now)
{
    const struct link *link = links_dialled(coord->links, peer, LANE_DATA);
    struct list *head = forwards_of(coord, peer);
    struct list *at = head->next;
    while (at != head) {
        struct forward *forward = CONTAINER_OF(at, struct forward, in_state);
        at = at->next;
        bool is_newer = forward->state == FORWARD_LEFT ? conn_id_equal(forward->conn, link->conn)
                                                       : link->state != LINK_RESTING;
        if (is_newer)
            continue; /* it is with a connection that came after the one that was lost */
        if (forward->state == FORWARD_LEFT && forward->is_write && !MUTANT(repeat_unknown))
            forward_fail(coord, forward);
        else
            retry_later(coord, forward, now);
    }
}

/* Tries those of one slot in the order they came, until one has to wait on. is_anew: what they
 * waited for has changed. */
static void retry_waiting(struct coord *coord, struct waiting *waiting, bool is_anew,
                          struct moment now)
{
    struct list *at = waiting->forwards.next;
    while (at != &waiting->forwards) {
        struct forward *forward = CONTAINER_OF(at, struct forward, in_state);
        struct list *next = at->next;
        list_remove(at);
        if (is_anew)
            forward->pause_ms = RETRY_MS_MIN;
        if (!forward_try(coord, forward, now)) {
            list_append(next, &forward->in_state); /* where it was */
            begin_pause(waiting, forward, now);
            if (forward->slot != WAIT_MEMBERS)
                break;
        }
        at = next;
    }
    if (list_is_empty(&waiting->forwards))
        list_remove(&waiting->in_active);
}

/* Tries all that wait, or those whose pause is over. */
static void retry_active(struct coord *coord, bool is_anew, struct moment now)
{
    coord->retry_ms = UINT64_MAX;
    struct list *at = coord->active.next;
    while (at != &coord->active) {
        struct waiting *waiting = CONTAINER_OF(at, struct waiting, in_active);
        at = at->next;
        if (is_anew || waiting->retry_ms <= now.mono_ms)
            retry_waiting(coord, waiting, is_anew, now);
        if (list_is_linked(&waiting->in_active) && waiting->retry_ms < coord->retry_ms)
            coord->retry_ms = waiting->retry_ms;
    }
}

void coord_ready(struct coord *coord, uint32_t slot, struct moment now)
{
    if (coord_is_slot_waiting(coord, slot))
        retry_waiting(coord, &coord->waits[slot], true, now);
}

void coord_retry(struct coord *coord, struct moment now)
{
    if (now.mono_ms >= coord->retry_ms)
        retry_active(coord, false, now);
}

/* Tries what waits in the order it came, until a flush_all is to be carried out. */
static void retry_to_flush(struct coord *coord, struct moment now)
{
    struct list *at = coord->by_deadline.next;
    while (at != &coord->by_deadline) {
        struct forward *forward = CONTAINER_OF(at, struct forward, by_deadline);
        at = at->next;
        if (forward->state != FORWARD_WAITING)
            continue;
        unlist(coord, forward);
        if (!forward_try(coord, forward, now))
            wait_for_retry(coord, forward, now);
        else if (forward->slot == WAIT_RING)
            return;
    }
}

bool coord_rerouted(struct coord *coord, struct moment now)
{
    if (UNLIKELY(coord_is_slot_waiting(coord, WAIT_RING))) {
        retry_to_flush(coord, now);
        if (!list_is_empty(&coord->own))
            return true;
    }
    struct list *at = coord->by_deadline.next;
    while (at != &coord->by_deadline) {
        struct forward *forward = CONTAINER_OF(at, struct forward, by_deadline);
        at = at->next;
        bool is_flush_left_over = forward->gather && forward->state != FORWARD_LEFT &&
                                  forward->gather->epoch != coord->route->view.epoch;
        if (is_flush_left_over)
            forward_fail(coord, forward); /* its slots may be another's, who has flushed them */
        else if (forward->state == FORWARD_QUEUED && forward->slot < SLOT_COUNT &&
                 coord->route->leader[forward->slot] != forward->peer)
            retry_later(coord, forward, now);
    }
    retry_active(coord, true, now);
    return false;
}

struct forward *coord_take_own(struct coord *coord)
{
    struct list *first = list_first(&coord->own);
    if (LIKELY(!first))
        return NULL;
    struct forward *forward = CONTAINER_OF(first, struct forward, in_state);
    forward_remove(coord, forward);
    return forward;
}

/* --- time ------------------------------------------------------------------------------------- */

bool coord_late(struct coord *coord, struct moment now, uint32_t *late_on)
{
    struct list *first = list_first(&coord->by_deadline);
    if (!first)
        return false;
    struct forward *forward = CONTAINER_OF(first, struct forward, by_deadline);
    if (forward->deadline_ms > now.mono_ms || MUTANT(no_deadline))
        return false;
    *late_on = forward->state == FORWARD_LEFT ? forward->peer : PEER_NONE;
    forward_fail(coord, forward);
    return true;
}

uint64_t coord_deadline(const struct coord *coord)
{
    const struct list *first = list_first(&coord->by_deadline);
    if (LIKELY(!first))
        return UINT64_MAX;
    uint64_t deadline_ms = CONTAINER_OF(first, struct forward, by_deadline)->deadline_ms;
    return coord->retry_ms < deadline_ms ? coord->retry_ms : deadline_ms;
}

void coord_check(const struct coord *coord)
{
    uint32_t count = 0;
    size_t bytes = 0;
    uint64_t deadline_ms = 0;
    for (const struct list *at = coord->by_deadline.next; at != &coord->by_deadline;
         at = at->next) {
        const struct forward *forward = CONTAINER_OF(at, struct forward, by_deadline);
        CHECK(coord->places[forward->number % FORWARDS_MAX] == forward);
        CHECK(forward->deadline_ms >= deadline_ms);
        CHECK(list_is_linked(&forward->in_state));
        CHECK(forward->state != FORWARD_WAITING || coord_is_slot_waiting(coord, forward->slot));
        deadline_ms = forward->deadline_ms;
        bytes += forward_bytes(forward);
        count++;
    }
    CHECK(count == coord->count);
    CHECK(bytes == coord->bytes);
    for (const struct list *at = coord->active.next; at != &coord->active; at = at->next) {
        const struct waiting *waiting = CONTAINER_OF(at, struct waiting, in_active);
        uint64_t number = 0;
        CHECK(!list_is_empty(&waiting->forwards));
        CHECK(waiting->retry_ms >= coord->retry_ms);
        for (const struct list *in = waiting->forwards.next; in != &waiting->forwards;
             in = in->next) {
            const struct forward *forward = CONTAINER_OF(in, struct forward, in_state);
            CHECK(forward->state == FORWARD_WAITING);
            CHECK(forward->number > number);
            number = forward->number;
        }
    }
}
