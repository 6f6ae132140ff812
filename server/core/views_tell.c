/* Views: sent to others, and taken from them. */
#include "common/check.h"
#include "common/mutant.h"
#include "common/number.h"
#include "server/core/views_parts.h"

#include <stdlib.h>

/* A view that is chosen is pushed; who is seen with an older one before this has passed has it on
 * its way. */
#define PUSH_MS 200u
/* The same peer is told, or asked, the same again after so long. */
#define AGAIN_MS 200u
/* Frames that may wait for one member before views wait too. */
#define OUT_BYTES_MAX (8u * 1024 * 1024)

struct reply *tell_out(struct views *views, uint32_t peer, struct moment now)
{
    CHECK(peer != PEER_SELF);
    if (peer == PEER_NONE)
        return NULL;
    links_wake(views->links, peer, LANE_CONTROL);
    struct link *link = links_to(views->links, peer, LANE_CONTROL, now);
    struct reply *out = link ? link_out(views->links, link) : NULL;
    return out && reply_len(out) <= OUT_BYTES_MAX ? out : NULL;
}

void tell_send(struct reply *out, struct message *message, struct span body)
{
    if (message_total(message)) {
        link_append(out, message, body);
        return;
    }
    message->body = body;
    message_append(out, message);
}

void tell_voters(struct views *views, struct message *message, struct span body, struct moment now)
{
    for (uint32_t voter = 0; voter < views->voter_count; voter++) {
        struct reply *out =
            voter == views->own_voter ? NULL : tell_out(views, keep_voter_peer(views, voter), now);
        if (out)
            tell_send(out, message, body);
    }
}

/* --- telling ---------------------------------------------------------------------------------- */

/* The views above epoch, told from that one if it is known here; else all that there are. */
static void format_views(const struct views *views, uint32_t epoch, struct buf *out)
{
    const struct state *state = &views->state;
    const struct view *before = views_at(views, epoch);
    for (uint32_t i = 0; i < state->view_count; i++) {
        if (before && state->views[i].epoch <= before->epoch)
            continue;
        view_format(&state->views[i], before, out);
        before = &state->views[i];
    }
}

void tell_views(struct views *views, uint32_t epoch, struct reply *out)
{
    struct buf text = {0};
    struct message message = {.kind = MESSAGE_VIEWS, .VIEWS = {.epoch = views_epoch(views)}};
    if (views_epoch(views) <= epoch)
        return;
    format_views(views, epoch, &text);
    tell_send(out, &message, buf_span(&text));
    buf_close(&text);
}

static struct told *told_of(struct views *views, uint32_t peer)
{
    if (peer >= views->told_capacity) {
        uint32_t capacity = views->told_capacity ? views->told_capacity : 16;
        while (capacity <= peer)
            capacity *= 2;
        views->told = realloc(views->told, capacity * sizeof(*views->told));
        CHECK(views->told != NULL);
        memset(views->told + views->told_capacity, 0,
               (capacity - views->told_capacity) * sizeof(*views->told));
        views->told_capacity = capacity;
    }
    return &views->told[peer];
}

/* Whoever is behind is sent the views it has not; at most once in a while. */
static void tell_behind(struct views *views, uint32_t peer, uint32_t epoch, struct moment now)
{
    struct told *told = told_of(views, peer);
    if (told->epoch == views_epoch(views) && now.mono_ms < told->at_ms + AGAIN_MS)
        return;
    struct reply *out = tell_out(views, peer, now);
    if (!out)
        return;
    *told = (struct told){.epoch = views_epoch(views), .at_ms = now.mono_ms};
    tell_views(views, epoch, out);
}

static bool is_there(const struct views *views, const char *name)
{
    const struct account *account = keep_account(views, name);
    return !account || record_is_live(account);
}

/* One message for all: most have the view before. */
static void push_to(struct views *views, uint32_t peer, struct span text, struct moment now)
{
    struct message message = {.kind = MESSAGE_VIEWS, .VIEWS = {.epoch = views_epoch(views)}};
    if (peer == PEER_SELF || peer == PEER_NONE)
        return;
    struct told *told = told_of(views, peer);
    if (told->epoch == views_epoch(views) && told->at_ms == now.mono_ms)
        return; /* its name stands in both views */
    if (!is_there(views, links_name(views->links, peer)))
        return;
    struct reply *out = tell_out(views, peer, now);
    if (!out)
        return;
    *told = (struct told){.epoch = views_epoch(views), .at_ms = now.mono_ms};
    tell_send(out, &message, text);
}

void tell_chosen(struct views *views, const struct view *before, struct moment now)
{
    const struct view *view = keep_current(views);
    struct buf text = {0};
    format_views(views, before ? before->epoch : 0, &text);
    for (uint32_t i = 0; i < view->member_count; i++)
        push_to(views, views->peers[i], buf_span(&text), now);
    for (uint32_t i = 0; before && i < before->member_count; i++)
        push_to(views, links_peer(views->links, before->members[i].name), buf_span(&text), now);
    buf_close(&text);
}

/* Whether the current view is on its way to it: whoever has made the view sends it to its members.
 */
static bool is_pushed_to(const struct views *views, uint32_t peer, struct moment now)
{
    if (now.mono_ms >= views->adopted_ms + PUSH_MS)
        return false;
    const struct view *view = keep_current(views);
    for (uint32_t i = 0; i < view->member_count; i++)
        if (views->peers[i] == peer)
            return true;
    return false;
}

void views_see_epoch(struct views *views, uint32_t peer, uint32_t epoch, struct moment now)
{
    uint32_t own = views_epoch(views);
    if (LIKELY(epoch == own) || peer == PEER_SELF || peer == PEER_NONE)
        return;
    if (epoch < own) {
        if (epoch + 1 < own || !is_pushed_to(views, peer, now))
            tell_behind(views, peer, epoch, now);
        return;
    }
    if (epoch <= views->asked_epoch && now.mono_ms < views->asked_ms + AGAIN_MS)
        return;
    struct reply *out = tell_out(views, peer, now);
    if (!out)
        return;
    views->asked_epoch = epoch;
    views->asked_ms = now.mono_ms;
    struct message question = {.kind = MESSAGE_GET_VIEWS,
                               .GET_VIEWS = {.epoch = own, .first = own + 1}};
    message_append(out, &question);
}

/* --- taking ----------------------------------------------------------------------------------- */

/* The epoch that the next view of text says it is of; 0: it says none. */
static uint32_t peek_epoch(struct span text)
{
    const char *end = text.len > 0 ? memchr(text.data, '\n', text.len) : NULL;
    struct span line = span_of(text.data, end ? (size_t)(end - text.data) : 0);
    uint64_t epoch = 0;
    span_take_word(&line);
    return number_parse_decimal(span_take_word(&line), VIEW_EPOCH_MAX, &epoch) ? (uint32_t)epoch
                                                                               : 0;
}

static void close_views(struct view *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        view_close(&list[i]);
    free(list);
}

/* Parses all views of text: ascending without a gap.
 * errors  ERR_NOT_FOUND: they are told from one that is not known here. */
static enum err parse_views(const struct views *views, struct span text, struct view **list,
                            uint32_t *count)
{
    enum err err = ERR_OK;
    *list = calloc(STATE_VIEWS_MAX, sizeof(**list));
    CHECK(*list != NULL);
    *count = 0;
    while (text.len > 0 && !err) {
        const struct view *before =
            *count > 0 ? &(*list)[*count - 1] : views_at(views, peek_epoch(text) - 1);
        if (*count == STATE_VIEWS_MAX) {
            err = ERR_TOO_LARGE;
            break;
        }
        err = view_parse(&text, before, &(*list)[*count]);
        if (err)
            break;
        const struct view *view = &(*list)[(*count)++];
        if (*count > 1 &&
            (view->epoch != before->epoch + 1 || view->cluster_id != before->cluster_id))
            err = ERR_SYNTAX;
    }
    if (!err && *count == 0)
        err = ERR_SYNTAX;
    if (err) {
        close_views(*list, *count);
        *list = NULL;
    }
    return err;
}

enum err tell_take(struct views *views, uint32_t peer, const struct message *message,
                   struct moment now)
{
    struct view *list;
    uint32_t count;
    if (message->VIEWS.epoch <= views_epoch(views))
        return ERR_OK;
    enum err err = parse_views(views, message->body, &list, &count);
    if (err == ERR_NOT_FOUND) { /* views that are not known here are told by what differs */
        struct reply *out = tell_out(views, peer, now);
        struct message question = {.kind = MESSAGE_GET_VIEWS,
                                   .GET_VIEWS = {.epoch = views_epoch(views), .first = 0}};
        if (out)
            message_append(out, &question);
        return ERR_OK;
    }
    if (err)
        return ERR_SYNTAX;
    if (views->state.cluster_id != 0 && list[0].cluster_id != views->state.cluster_id) {
        log_line(views->log, now, LOG_WARN, "views-refused",
                 "from=%s reason=\"they are another cluster's, of the same name\"",
                 links_name(views->links, peer));
        close_views(list, count);
        return ERR_SYNTAX;
    }
    if (list[count - 1].epoch <= views_epoch(views)) {
        close_views(list, count);
        return ERR_OK;
    }
    (void)keep_adopt(views, list, count, links_name(views->links, peer), now);
    free(list);
    return ERR_OK;
}
