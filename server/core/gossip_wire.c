/* Gossip: records as peers of links. */
#include "common/check.h"
#include "server/core/gossip_parts.h"

#include <stdlib.h>
#include <string.h>

/* Frames that may wait for one member: one that takes nothing in gets nothing more. */
#define OUT_BYTES_MAX (128u * 1024)

static void by_peer_set(struct gossip *gossip, uint32_t peer, struct account *record)
{
    if (peer >= gossip->by_peer_capacity) {
        uint32_t capacity = gossip->by_peer_capacity ? gossip->by_peer_capacity : 16;
        while (capacity <= peer)
            capacity *= 2;
        gossip->by_peer = realloc(gossip->by_peer, capacity * sizeof(*gossip->by_peer));
        CHECK(gossip->by_peer != NULL);
        memset(gossip->by_peer + gossip->by_peer_capacity, 0,
               (capacity - gossip->by_peer_capacity) * sizeof(*gossip->by_peer));
        gossip->by_peer_capacity = capacity;
    }
    gossip->by_peer[peer] = record;
}

/* The record holds its peer until it is not a member any more, so the index stays. */
static void bind(struct gossip *gossip, struct account *record, uint32_t peer)
{
    CHECK(record->peer == NO_PEER);
    links_hold(gossip->links, peer);
    record->peer = peer;
    by_peer_set(gossip, peer, record);
}

struct account *wire_record(struct gossip *gossip, uint32_t peer)
{
    if (peer < gossip->by_peer_capacity && gossip->by_peer[peer])
        return gossip->by_peer[peer];
    struct account *record =
        members_find(&gossip->members, span_of_string(links_name(gossip->links, peer)));
    if (!record || record == gossip->members.self)
        return NULL;
    bind(gossip, record, peer);
    return record;
}

static bool has_peer(struct gossip *gossip, struct account *record)
{
    if (record->peer != NO_PEER)
        return true;
    uint32_t peer = links_peer(gossip->links, record->name);
    if (peer == PEER_NONE)
        return false;
    bind(gossip, record, peer);
    return true;
}

struct reply *wire_out(struct gossip *gossip, struct account *record, struct moment now)
{
    CHECK(record != gossip->members.self);
    if (!has_peer(gossip, record))
        return NULL;
    links_wake(gossip->links, record->peer, LANE_CONTROL);
    struct link *link = links_to(gossip->links, record->peer, LANE_CONTROL, now);
    if (!link)
        return NULL;
    record->used_ms = now.mono_ms;
    struct reply *out = link_out(gossip->links, link);
    return out && reply_len(out) <= OUT_BYTES_MAX ? out : NULL;
}

/* Where a message says of which view its sender is, or NULL. */
static uint32_t *epoch_of(struct message *message)
{
    switch (message->kind) {
    case MESSAGE_GET_MEMBERSHIP_LIST:
        return &message->GET_MEMBERSHIP_LIST.epoch;
    case MESSAGE_MEMBERS:
        return &message->MEMBERS.epoch;
    case MESSAGE_PING:
        return &message->PING.epoch;
    case MESSAGE_PONG:
        return &message->PONG.epoch;
    default:
        return NULL;
    }
}

void wire_send(struct gossip *gossip, struct reply *out, const struct message *message)
{
    struct message copy = *message;
    uint32_t *epoch = epoch_of(&copy);
    if (epoch)
        *epoch = gossip->links->identity.epoch;
    gossip->stats->gossip_sent++;
    message_append(out, &copy);
}

enum link_state wire_state(const struct gossip *gossip, const struct account *record)
{
    if (record->peer == NO_PEER)
        return LINK_RESTING;
    return links_dialled(gossip->links, record->peer, LANE_CONTROL)->state;
}

uint64_t wire_unacked(const struct gossip *gossip, const struct account *record)
{
    return record->peer == NO_PEER ? 0 : links_unacked(gossip->links, record->peer);
}

void wire_drop(struct gossip *gossip, struct account *record, struct moment now)
{
    if (record->peer == NO_PEER)
        return;
    if (wire_state(gossip, record) == LINK_UP) {
        CHECK(gossip->dialled_up > 0);
        gossip->dialled_up--;
    }
    links_drop(gossip->links, record->peer, LANE_CONTROL, now);
    record->has_account = false;
    record->asked_ms = 0;
}

void wire_release(struct gossip *gossip, struct account *record)
{
    if (record->peer == NO_PEER)
        return;
    gossip->by_peer[record->peer] = NULL;
    links_release(gossip->links, record->peer);
    record->peer = NO_PEER;
}

static bool is_spare(const struct gossip *gossip, const struct account *record)
{
    return record->peer != NO_PEER && !record->is_watched && record->asked_ms == 0 &&
           wire_state(gossip, record) == LINK_UP;
}

void wire_trim(struct gossip *gossip, struct moment now)
{
    while (gossip->dialled_up > gossip->options.links_max) {
        struct account *oldest = NULL;
        for (uint32_t i = 0; i < gossip->members.count; i++) {
            struct account *record = gossip->members.all[i];
            if (is_spare(gossip, record) && (!oldest || record->used_ms < oldest->used_ms))
                oldest = record;
        }
        if (!oldest)
            return;
        wire_drop(gossip, oldest, now);
    }
}

void wire_stop_asking(struct gossip *gossip, struct account *record)
{
    for (size_t i = 0; i < PROBES_MAX; i++)
        if (gossip->probes[i].stage != PROBE_FREE && gossip->probes[i].target == record)
            gossip->probes[i] = (struct probe){0};
    if (gossip->recheck == record)
        gossip->recheck = NULL;
    record->asked_ms = 0;
    record->asked_number = 0;
}

struct target_view wire_view(const struct gossip *gossip)
{
    return (struct target_view){.live = gossip->members.live,
                                .count = gossip->members.live_count,
                                .self = members_self_at(&gossip->members)};
}

struct buf *wire_body(struct gossip *gossip)
{
    buf_consume(&gossip->body, buf_len(&gossip->body));
    return &gossip->body;
}
