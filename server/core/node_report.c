/* What a node says of itself: gathered from the modules, worded by common/node_report.h. */
#include "common/node_report.h"
#include "common/check.h"
#include "common/version.h"
#include "server/core/admin.h"
#include "server/core/node_parts.h"
#include "server/store/copy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What gossip says of a member, in a word; empty: it knows of none. */
static const char *gossip_state(const struct member_list *list, const struct member *member)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (list->entries[i].generation == member->generation &&
            strcmp(list->entries[i].name, member->name) == 0)
            return list->entries[i].state;
    return "";
}

static void fill_member(struct status_member *to, const struct member *from, const char *state)
{
    memcpy(to->name, from->name, sizeof(to->name));
    to->generation = from->generation;
    to->boot = from->boot;
    to->weight = from->weight;
    to->is_leaving = from->is_leaving;
    to->is_voter = from->is_voter;
    snprintf(to->role, sizeof(to->role), "%s", member_role_word(from->role));
    snprintf(to->standing, sizeof(to->standing), "%s", member_standing_word(from->standing));
    snprintf(to->state, sizeof(to->state), "%s", state);
}

static void fill_view(const struct node *node, struct node_status *status)
{
    const struct view *view = views_current(node->views);
    struct member_list list;
    char awaits[VIEWS_WHY_BYTES_MAX];
    views_awaits(node->views, awaits);
    snprintf(status->awaits, sizeof(status->awaits), "%s", awaits);
    if (!view)
        return;
    status->epoch = view->epoch;
    status->base = view->base;
    status->copies = view->copies;
    status->cluster_id = view->cluster_id;
    status->members = calloc(view->member_count + 1, sizeof(*status->members));
    CHECK(status->members != NULL);
    gossip_list(&node->gossip, &list, node->now);
    for (; status->member_count < view->member_count; status->member_count++) {
        const struct member *member = &view->members[status->member_count];
        fill_member(&status->members[status->member_count], member, gossip_state(&list, member));
    }
    member_list_close(&list);
}

/* As many as one report may have: of more, the oldest. */
static void fill_lost(const struct node *node, struct node_status *status)
{
    struct views_cursor cursor = {0};
    const struct member *member;
    uint32_t room = 0;
    while (status->lost_count < MEMBER_LIST_MAX &&
           (member = views_next_lost(node->views, &cursor)) != NULL) {
        if (status->lost_count == room) {
            room = room * 2 + 8;
            status->lost = realloc(status->lost, room * sizeof(*status->lost));
            CHECK(status->lost != NULL);
        }
        struct status_lost *lost = &status->lost[status->lost_count++];
        *lost = (struct status_lost){.generation = member->generation, .epoch = cursor.epoch};
        memcpy(lost->name, member->name, sizeof(lost->name));
    }
}

static void fill_slots(const struct node *node, struct node_status *status)
{
    struct primary_counts counts;
    primary_count(&node->primary, &counts);
    status->slots_led = counts.led;
    status->slots_whole = counts.whole;
    status->slots_under_replicated = counts.under_replicated;
    status->slots_unavailable = counts.unavailable;
    status->slots_full = counts.full;
    status->losses = node->primary.loss_count;
}

static void fill_progress(const struct node *node, struct node_status *status)
{
    struct sync_progress progress;
    sync_progress_sum(node->sync, &progress);
    status->transfers_in = progress.receiving;
    status->transfers_out = progress.queued + progress.sending;
    status->items_left = progress.items_left;
    status->bytes_left = progress.bytes_left;
    status->eta_ms = progress.eta_ms;
}

void node_run_status(const struct node *node, struct reply *out)
{
    const struct store_counters *store = store_counters(node->store);
    struct stats_gauges gauges = {0};
    struct buf json = {0};
    struct node_status status = {.generation = node->options.generation,
                                 .boot = node->options.boot,
                                 .uptime_s = (node->now.mono_ms - node->start_ms) / 1000,
                                 .copies = VIEW_COPIES,
                                 .items = store->items,
                                 .tombstones = store->tombstones,
                                 .request_ids = store->ids,
                                 .bytes = store->item_bytes};
    node->env->gauges(node->env->shell, &gauges);
    status.memory_used = gauges.memory_used;
    status.memory_max = gauges.limit_maxbytes;
    snprintf(status.cluster, sizeof(status.cluster), "%s", node->options.cluster);
    snprintf(status.name, sizeof(status.name), "%s", node->options.name);
    snprintf(status.version, sizeof(status.version), "%s", DHT_VERSION);
    snprintf(status.on_loss, sizeof(status.on_loss), "%s",
             node->options.views.on_loss == VIEWS_ON_LOSS_WAIT ? "wait" : "recover");
    fill_view(node, &status);
    fill_lost(node, &status);
    fill_slots(node, &status);
    fill_progress(node, &status);
    node_status_format(&status, &json);
    admin_report(out, buf_span(&json));
    node_status_close(&status);
    buf_close(&json);
}

static void fill_transfer(const struct node *node, uint32_t peer, struct node_transfer *transfer)
{
    struct sync_progress progress;
    sync_progress(node->sync, peer, &progress);
    *transfer = (struct node_transfer){.queued = progress.queued,
                                       .sending = progress.sending,
                                       .synced = progress.synced,
                                       .receiving = progress.receiving,
                                       .received = progress.received,
                                       .items_sent = progress.items_sent,
                                       .bytes_sent = progress.bytes_sent,
                                       .items_left = progress.items_left,
                                       .bytes_left = progress.bytes_left,
                                       .bytes_s = progress.bytes_s,
                                       .eta_ms = progress.eta_ms};
    snprintf(transfer->peer, sizeof(transfer->peer), "%s", links_name(&node->links, peer));
}

void node_run_transfers(const struct node *node, struct reply *out)
{
    struct buf json = {0};
    struct node_transfers transfers = {.epoch = views_epoch(node->views)};
    snprintf(transfers.name, sizeof(transfers.name), "%s", node->options.name);
    uint32_t peer = 0, count = 0;
    while ((peer = sync_next_peer(node->sync, peer)) != PEER_NONE)
        count++;
    transfers.peers = calloc(count + 1, sizeof(*transfers.peers));
    CHECK(transfers.peers != NULL);
    for (peer = 0; (peer = sync_next_peer(node->sync, peer)) != PEER_NONE;)
        fill_transfer(node, peer, &transfers.peers[transfers.count++]);
    node_transfers_format(&transfers, &json);
    admin_report(out, buf_span(&json));
    node_transfers_close(&transfers);
    buf_close(&json);
}

/* What there is of a key: what readers see of it or, where that is nothing, why.
 * flush  the version of the slot's last flush. */
static const char *key_state(const struct node *node, uint64_t flush, enum store_found found,
                             const struct store_item *item)
{
    if (found == STORE_NONE)
        return "absent";
    if (found == STORE_TOMBSTONE)
        return "tombstone";
    if (item->version <= flush)
        return "flushed";
    bool is_expired = item->expires_s != STORE_NEVER && item->expires_s <= store_now_s(node->store);
    return is_expired ? "expired" : "item";
}

static void fill_copy(const struct node *node, const struct store_key *key, struct node_copy *copy)
{
    struct store_item item = {0};
    const struct copy *kept = store_copy(node->store, copy->slot);
    copy->act = kept->act;
    copy->is_clean = kept->is_clean;
    copy->floor = kept->floor;
    copy->ver = store_ver(node->store, copy->slot);
    uint64_t flush = kept->flush;
    enum store_found found = store_find(node->store, key, &item);
    snprintf(copy->state, sizeof(copy->state), "%s", key_state(node, flush, found, &item));
    copy->version = found == STORE_NONE ? 0 : item.version;
    copy->bytes = found == STORE_ITEM ? item.value.len : 0;
}

/* What this node is to a slot, and how far it is with it. */
static void fill_role(const struct node *node, struct node_copy *copy)
{
    static const char *const phases[] = {[RUN_COLLECTING] = "collecting",
                                         [RUN_PULLING] = "pulling",
                                         [RUN_LEADING] = "leading",
                                         [RUN_ACTIVE] = "active"};
    const struct run *run = primary_run(&node->primary, copy->slot);
    uint32_t self = views_self(node->views);
    const struct ring *ring = views_ring(node->views, copy->epoch);
    const struct ring *next = views_next_ring(node->views);
    const char *role = "none", *phase = "";
    bool is_synced = sync_is_received_synced(node->sync, copy->slot);
    if (run)
        role = "primary";
    else if (ring && ring_has(ring, copy->slot, self))
        role = "backup";
    else if (next && ring_has(next, copy->slot, self))
        role = "learner";
    if (run)
        phase = phases[run->state];
    else if (strcmp(role, "none") != 0)
        phase = is_synced ? "synced" : "behind";
    snprintf(copy->role, sizeof(copy->role), "%s", role);
    snprintf(copy->phase, sizeof(copy->phase), "%s", phase);
    primary_awaits(&node->primary, copy->slot, copy->awaits, sizeof(copy->awaits));
}

void node_run_copy(struct node *node, const struct op *op, struct reply *out)
{
    struct digest digest;
    struct buf json = {0};
    digest_of(op->request.key, &digest);
    struct store_key key = {.bytes = op->request.key, .position = digest_position(&digest)};
    struct node_copy copy = {.generation = node->options.generation,
                             .epoch = views_epoch(node->views),
                             .slot = position_slot(key.position)};
    snprintf(copy.name, sizeof(copy.name), "%s", node->options.name);
    fill_role(node, &copy);
    fill_copy(node, &key, &copy);
    node_copy_format(&copy, &json);
    admin_report(out, buf_span(&json));
    buf_close(&json);
}
