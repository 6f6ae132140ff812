#include "server/core/coord.h"

#include "common/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILURE_BYTES_MAX (ADDRESS_TEXT_BYTES_MAX + 160)

void coord_init(struct coord *coord, struct links *links, uint32_t op_timeout_ms)
{
    *coord = (struct coord){
        .links = links,
        .env = links->env,
        .stats = links->stats,
        .op_timeout_ms = op_timeout_ms,
        .places = calloc(FORWARDS_MAX, sizeof(struct forward *)),
        .free_places = calloc(FORWARDS_MAX, sizeof(uint32_t)),
    };
    CHECK(coord->places != NULL);
    CHECK(coord->free_places != NULL);
    list_init(&coord->by_deadline);
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

/* Takes a forward off every list; what becomes of its asker is the caller's to say. */
static void forward_remove(struct coord *coord, struct forward *forward)
{
    count_remote(coord, &forward->asker, false);
    list_remove(&forward->by_deadline);
    list_remove(&forward->by_peer);
    uint32_t place = (uint32_t)(forward->number % FORWARDS_MAX);
    coord->places[place] = NULL;
    coord->free_places[coord->free_count++] = place;
    coord->count--;
}

void coord_close(struct coord *coord)
{
    struct list *link;
    while (coord->places && (link = list_first(&coord->by_deadline))) {
        struct forward *forward = CONTAINER_OF(link, struct forward, by_deadline);
        forward_remove(coord, forward);
        if (forward->gather && --forward->gather->open == 0)
            free(forward->gather);
        free(forward);
    }
    free(coord->places);
    free(coord->free_places);
    reply_close(&coord->text);
    *coord = (struct coord){0};
}

/* A new forward to member, or NULL if there are too many. */
static struct forward *forward_add(struct coord *coord, const struct asker *asker, uint32_t peer,
                                   struct moment now)
{
    if (coord->count == FORWARDS_MAX)
        return NULL;
    uint32_t place =
        coord->free_count ? coord->free_places[--coord->free_count] : coord->places_used++;
    CHECK(coord->places[place] == NULL);
    struct forward *forward = malloc(sizeof(*forward));
    CHECK(forward != NULL);
    *forward = (struct forward){
        .number = ++coord->rounds * FORWARDS_MAX + place,
        .deadline_ms = now.mono_ms + coord->op_timeout_ms,
        .peer = peer,
        .asker = *asker,
    };
    count_remote(coord, asker, true);
    coord->places[place] = forward;
    list_append(&coord->by_deadline, &forward->by_deadline);
    list_append(&coord->links->peers[peer]->forwards, &forward->by_peer);
    coord->count++;
    return forward;
}

void asker_answer(const struct env *env, const struct asker *asker, struct span text)
{
    struct session *session = env->session(env->shell, asker->conn);
    if (!session)
        return;
    if (asker->noreply)
        session_done(session, asker->seq, asker->part);
    else
        session_fail(session, asker->seq, asker->part, text);
}

/* One member of a flush_all has answered or failed; the last one answers the client. */
static void gather_count(struct coord *coord, struct gather *gather, bool done)
{
    gather->done += done;
    if (--gather->open > 0)
        return;
    if (gather->done == gather->members) {
        asker_answer(coord->env, &gather->asker, SPAN_LITERAL("OK\r\n"));
    } else {
        char text[FAILURE_BYTES_MAX];
        int len = snprintf(text, sizeof(text),
                           "SERVER_ERROR outcome unknown: flush_all done on %u of %u nodes\r\n",
                           gather->done, gather->members);
        coord->stats->unknown_outcomes++;
        asker_answer(coord->env, &gather->asker, span_of(text, (size_t)len));
    }
    free(gather);
}

/* Ends a forward without an answer of its coordinator. */
static void forward_fail(struct coord *coord, struct forward *forward)
{
    forward_remove(coord, forward);
    coord->stats->forward_failures++;
    bool is_unknown = forward->is_write && forward->has_left;
    if (forward->gather) {
        gather_count(coord, forward->gather, false);
    } else {
        char text[FAILURE_BYTES_MAX];
        int len = snprintf(text, sizeof(text), "SERVER_ERROR %s: no answer from %s\r\n",
                           is_unknown ? "outcome unknown" : "not done",
                           links_name(coord->links, forward->peer));
        coord->stats->unknown_outcomes += is_unknown;
        asker_answer(coord->env, &forward->asker, span_of(text, (size_t)len));
    }
    free(forward);
}

/* The request as its coordinator is to parse it: the client's own bytes, or one key's of its line.
 */
static struct span forward_text(struct coord *coord, const struct request *request)
{
    if (request->part == PART_WHOLE)
        return request->line;
    struct reply *text = &coord->text;
    reply_consume(text, reply_len(text));
    reply_append(text, span_of_string(command_word(request->command)));
    reply_append(text, SPAN_LITERAL(" "));
    if (request->command == CMD_GAT || request->command == CMD_GATS) {
        char exptime[32];
        int len = snprintf(exptime, sizeof(exptime), "%lld ", (long long)request->exptime);
        reply_append(text, span_of(exptime, (size_t)len));
    }
    reply_append(text, request->key);
    reply_append(text, SPAN_LITERAL("\r\n"));
    return buf_span(&text->bytes);
}

/* Puts a forward's frames into its link. Returns false if the link can't take it. */
static bool forward_send(struct coord *coord, struct forward *forward, struct conn_id client,
                         const struct request *request, const struct digest *digest,
                         struct moment now)
{
    enum disconnect why;
    struct link *link = links_to(coord->links, forward->peer, LANE_DATA, now, &why);
    if (!link)
        return false;
    struct reply *out = link_out(coord->links, link);
    if (!out)
        return false;
    char client_text[CLIENT_TEXT_BYTES_MAX];
    coord->env->client_text(coord->env->shell, client, client_text);
    struct message message = {
        .kind = MESSAGE_FORWARD,
        .FORWARD = {.number = forward->number,
                    .client = span_of_string(client_text),
                    .deadline_ms = coord->op_timeout_ms,
                    .digest = *digest,
                    .direct = SPAN_LITERAL("-")},
    };
    link_append(out, &message, forward_text(coord, request));
    forward->has_left = link->state == LINK_UP;
    coord->stats->forwards_sent++;
    return true;
}

static bool is_busy(const struct coord *coord, uint32_t peer)
{
    if (coord->count >= FORWARDS_MAX)
        return true;
    struct link *link = links_dialled(coord->links, peer, LANE_DATA);
    if (link->state == LINK_RESTING)
        return false;
    const struct reply *out = link_out(coord->links, link);
    return out && reply_len(out) > LINK_BACKLOG_BYTES_MAX;
}

static void asker_busy(struct coord *coord, const struct asker *asker)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "SERVER_ERROR busy, retry in %u ms\r\n", BUSY_RETRY_MS);
    asker_answer(coord->env, asker, span_of(text, (size_t)len));
}

void coord_forward(struct coord *coord, const struct asker *asker, uint32_t peer,
                   const struct request *request, const struct digest *digest, struct moment now)
{
    if (UNLIKELY(is_busy(coord, peer))) {
        asker_busy(coord, asker);
        return;
    }
    struct forward *forward = forward_add(coord, asker, peer, now);
    forward->is_write = request_is_write(request);
    if (!forward_send(coord, forward, asker->conn, request, digest, now))
        forward_fail(coord, forward);
}

void coord_flush_all(struct coord *coord, const struct asker *asker, const struct route *route,
                     const struct request *request, struct moment now)
{
    const struct view *view = &route->view;
    struct gather *gather = malloc(sizeof(*gather));
    CHECK(gather != NULL);
    /* One more is open than there are members, so that failures at once don't end it early. */
    *gather = (struct gather){.asker = *asker, .members = view->member_count, .open = 1};
    static const struct digest no_key;
    for (uint32_t i = 0; i < view->member_count; i++) {
        if (route->peers[i] == PEER_SELF) {
            gather->done++;
            continue;
        }
        struct forward *forward = forward_add(coord, asker, route->peers[i], now);
        if (!forward)
            continue; /* counted as not done */
        forward->gather = gather;
        forward->is_write = true;
        gather->open++;
        if (!forward_send(coord, forward, asker->conn, request, &no_key, now))
            forward_fail(coord, forward);
    }
    gather_count(coord, gather, false);
}

/* An answer for a client: relayed as it is; a refusal has not been carried out. */
static void relay(struct coord *coord, const struct forward *forward, const struct message *answer)
{
    const struct asker *asker = &forward->asker;
    if (answer->ANSWER.status != ANSWER_DONE) {
        char reason[128], text[FAILURE_BYTES_MAX + 128];
        int len = snprintf(text, sizeof(text), "SERVER_ERROR not done: %s says %s\r\n",
                           links_name(coord->links, forward->peer),
                           log_quote(answer->body.data, answer->body.len, reason, sizeof(reason)));
        coord->stats->forward_failures++;
        asker_answer(coord->env, asker, span_of(text, (size_t)len));
        return;
    }
    struct session *session = coord->env->session(coord->env->shell, asker->conn);
    if (!session)
        return;
    coord->stats->answers_relayed++;
    session_note_remote(session, answer->body.len);
    reply_append(session_reply(session, asker->seq), answer->body);
    session_done(session, asker->seq, asker->part);
}

void coord_answered(struct coord *coord, uint32_t peer, const struct message *answer)
{
    struct forward *forward = coord->places[answer->ANSWER.number % FORWARDS_MAX];
    if (!forward || forward->number != answer->ANSWER.number || forward->peer != peer)
        return; /* it came after its deadline */
    forward_remove(coord, forward);
    if (forward->gather)
        gather_count(coord, forward->gather, answer->ANSWER.status == ANSWER_DONE);
    else
        relay(coord, forward, answer);
    free(forward);
}

void coord_left(struct coord *coord, uint32_t peer)
{
    struct list *head = &coord->links->peers[peer]->forwards;
    for (struct list *link = head->next; link != head; link = link->next)
        CONTAINER_OF(link, struct forward, by_peer)->has_left = true;
}

void coord_lost(struct coord *coord, uint32_t peer)
{
    struct list *link;
    while ((link = list_first(&coord->links->peers[peer]->forwards)))
        forward_fail(coord, CONTAINER_OF(link, struct forward, by_peer));
}

bool coord_late(struct coord *coord, struct moment now, uint32_t *peer)
{
    struct list *link = list_first(&coord->by_deadline);
    if (!link)
        return false;
    struct forward *forward = CONTAINER_OF(link, struct forward, by_deadline);
    if (forward->deadline_ms > now.mono_ms)
        return false;
    *peer = forward->peer;
    forward_fail(coord, forward);
    return true;
}

uint64_t coord_deadline(const struct coord *coord)
{
    struct list *link = list_first(&coord->by_deadline);
    return link ? CONTAINER_OF(link, struct forward, by_deadline)->deadline_ms : UINT64_MAX;
}
