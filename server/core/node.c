#include "server/core/node_parts.h"

#include "common/check.h"
#include "server/store/copy.h"

#include <stdlib.h>

/* Between two looks for expired items: when there was nothing more to do, and when there was. */
#define STORE_TICK_IDLE_MS 500u
#define STORE_TICK_BUSY_MS 2u
#define STORE_TICK_ITEMS   400u
#define SWEEP_MS           1000u

/* At the end of a turn what one round makes ready the next carries out, so often. */
#define FINISH_ROUNDS 3u

struct node *node_open(const struct node_options *options, struct store *store,
                       const struct env *env, struct log *log)
{
    struct node *node = calloc(1, sizeof(*node));
    CHECK(node != NULL);
    node->options = *options;
    node->store = store;
    node->start_s = store_now_s(store); /* another process may have left it: time never falls */
    copy_unlead_all(store);
    node->env = env;
    node->log = log;
    const struct links_identity identity = {.name = options->name,
                                            .cluster = options->cluster,
                                            .gossip = options->gossip,
                                            .generation = options->generation,
                                            .boot = options->boot};
    links_init(&node->links, &identity, options->op_timeout_ms, env, log, &node->stats);
    route_init(&node->route);
    direct_init(&node->direct, env, &node->stats, log);
    struct gossip_setup setup = {.strategy = options->gossip,
                                 .seeds = options->seeds,
                                 .weight = options->weight,
                                 .options = options->timers,
                                 .links = &node->links,
                                 .env = env,
                                 .log = log,
                                 .stats = &node->stats};
    env->entropy(env->shell, &setup.seed, sizeof(setup.seed));
    gossip_init(&node->gossip, &setup);
    struct views_setup views_setup = {.options = options->views,
                                      .strategy = options->gossip,
                                      .weight = options->weight,
                                      .founders = options->founders,
                                      .links = &node->links,
                                      .gossip = &node->gossip,
                                      .env = env,
                                      .log = log,
                                      .stats = &node->stats,
                                      .state = options->state,
                                      .has_state_file = options->has_state_file};
    env->entropy(env->shell, &views_setup.seed, sizeof(views_setup.seed));
    node->views = views_open(&views_setup);
    node->options.state = span_of(NULL, 0);
    struct sync_setup sync = {.store = store,
                              .links = &node->links,
                              .log = log,
                              .audit = options->audit,
                              .stats = &node->stats,
                              .budget = options->budget,
                              .window_bytes = options->sync_window_bytes,
                              .rate_bytes_s = options->sync_rate_bytes_s};
    if (sync.window_bytes == 0)
        sync.window_bytes = SYNC_WINDOW_BYTES;
    node->sync = sync_open(&sync);
    const struct primary_setup primary = {.store = store,
                                          .links = &node->links,
                                          .views = node->views,
                                          .sync = node->sync,
                                          .log = log,
                                          .stats = &node->stats};
    primary_init(&node->primary, &primary);
    coord_init(&node->coord, &node->links, &node->route, node->primary.serving,
               options->op_timeout_ms);
    const struct serve_setup serve = {.store = store,
                                      .executor = &node->executor,
                                      .primary = &node->primary,
                                      .sync = node->sync,
                                      .views = node->views,
                                      .links = &node->links,
                                      .coord = &node->coord,
                                      .stats = &node->stats};
    serve_init(&node->serve, &serve);
    node->executor = (struct executor){
        .store = store, .stats = &node->stats, .value_bytes_max = options->value_bytes_max};
    node->hashes_pairs = digest_has_pairs();
    node->end_by_ms = UINT64_MAX;
    operator_init(&node->operators, node->views, env);
    return node;
}

void node_close(struct node *node)
{
    if (!node)
        return;
    direct_close(&node->direct);
    serve_close(&node->serve);
    coord_close(&node->coord);
    primary_close(&node->primary);
    sync_close(node->sync);
    views_close(node->views);
    gossip_close(&node->gossip);
    route_close(&node->route, &node->links);
    links_close(&node->links);
    reply_close(&node->answer);
    free(node);
}

void node_turn(struct node *node, struct moment now)
{
    if (node->start_ms == 0)
        node->start_ms = now.mono_ms;
    node->now = now;
    uint32_t now_s = node->start_s + (uint32_t)((now.mono_ms - node->start_ms) / 1000);
    if (now_s != node->executor.now_s) {
        node->executor.now_s = now_s;
        node->executor.unix_s_at_zero = now.unix_ms / 1000 - now_s;
        store_tell_time(node->store, now_s);
        serve_expired(&node->serve);
    }
    sync_tell_time(node->sync, now);
    node_look_at_gossip(node);
}

/* The fence stands again: what waited for it is tried at once. */
static void look_at_fence(struct node *node)
{
    if (UNLIKELY(node->serve.hope_ms != 0 || serve_awaits_fence(&node->serve)))
        views_want_fence(node->views, node->now);
    if (UNLIKELY(node->serve.hope_ms != 0) && views_has_fence(node->views, node->now)) {
        node->serve.hope_ms = 0;
        (void)coord_rerouted(&node->coord, node->now); /* there is a ring: no flush_all waits */
    }
}

void node_finish(struct node *node, struct moment now)
{
    node->now = now;
    node_flush(node);
    look_at_fence(node);
    for (uint32_t round = 0; round < FINISH_ROUNDS; round++) {
        node_tell_sync(node);
        node_run_own(node);
        primary_flush(&node->primary, node->now);
        sync_take_held(node->sync, node->now);
        serve_mark(&node->serve, node->now);
        sync_flush(node->sync, node->now);
        if (LIKELY(!sync_has_event(node->sync) && !primary_has_ready(&node->primary)))
            break;
    }
    node_answer_over(node);
    sync_tell_awaited(node->sync, serve_awaits_copies(&node->serve));
    node_tell_news(node);
}

void node_sent(struct node *node)
{
    store_release(node->store);
}

void node_connected(struct node *node, struct conn_id conn)
{
    if (direct_connected(&node->direct, conn))
        return;
    struct link *link = links_find(&node->links, conn);
    if (link)
        links_connected(&node->links, link);
}

void node_disconnected(struct node *node, struct conn_id conn, enum disconnect why)
{
    if (direct_disconnected(&node->direct, conn)) {
        node_tell_direct(node);
        return;
    }
    struct link *link = links_find(&node->links, conn);
    if (link)
        links_end(&node->links, link, why, NULL, node->now);
    node_tell_news(node);
}

void node_client_line(struct node *node, struct conn_id conn, struct span line)
{
    if (direct_line(&node->direct, conn, line, node->now))
        node_tell_direct(node);
    else
        node->env->close(node->env->shell, conn, false); /* nobody waits for what it says */
}

uint64_t node_deadline(const struct node *node)
{
    const uint64_t deadlines[] = {node->store_tick_ms,
                                  coord_deadline(&node->coord),
                                  links_deadline(&node->links),
                                  gossip_deadline(&node->gossip),
                                  views_deadline(node->views),
                                  direct_deadline(&node->direct),
                                  operator_deadline(&node->operators),
                                  node->has_ended ? UINT64_MAX : node->end_by_ms,
                                  sync_deadline(node->sync),
                                  primary_deadline(&node->primary),
                                  serve_deadline(&node->serve)};
    uint64_t earliest = UINT64_MAX;
    for (size_t i = 0; i < ARRAY_COUNT(deadlines); i++)
        earliest = deadlines[i] < earliest ? deadlines[i] : earliest;
    return earliest;
}

void node_tick(struct node *node)
{
    struct link *late;
    while ((late = links_late(&node->links, node->now)))
        links_end(&node->links, late, links_lateness(&node->links, late), "no answer in time",
                  node->now);
    node_tell_news(node);
    /* Where nothing at all has come meanwhile, ending the link makes the other end drop what nobody
     * waits for any more, instead of carrying it out first. */
    uint32_t peer;
    views_awaits(node->views, node->coord.awaits);
    while (coord_late(&node->coord, node->now, &peer)) {
        struct link *link = peer == PEER_NONE ? NULL : links_dialled(&node->links, peer, LANE_DATA);
        if (link && link->state == LINK_UP &&
            link->heard_ms + node->options.op_timeout_ms <= node->now.mono_ms)
            links_end(&node->links, link, DISCONNECT_TIMEOUT, "an answer did not come in time",
                      node->now);
        node_tell_news(node);
    }
    coord_retry(&node->coord, node->now);
    node_run_own(node); /* given back by a node that led their keys before */
    gossip_tick(&node->gossip, node->now);
    node_tell_news(node);
    views_tick(node->views, node->now);
    operator_tick(&node->operators, node->now);
    node_tell_news(node);
    direct_tick(&node->direct, node->now);
    node_tell_direct(node);
    sync_tick(node->sync, node->now);
    primary_tick(&node->primary, node->now);
    serve_tick(&node->serve, node->now);
    node_tell_sync(node);
    if (node->now.mono_ms >= node->sweep_ms) {
        links_sweep(&node->links, node->now);
        node_tell_news(node);
        node->sweep_ms = node->now.mono_ms + SWEEP_MS;
    }
    if (node->now.mono_ms >= node->store_tick_ms) {
        bool has_more = store_tick(node->store, STORE_TICK_ITEMS);
        serve_expired(&node->serve);
        node->store_tick_ms =
            node->now.mono_ms + (has_more ? STORE_TICK_BUSY_MS : STORE_TICK_IDLE_MS);
    }
}

void node_seed(struct node *node, const struct view *seeds, const struct view *founders)
{
    node->options.seeds = seeds;
    gossip_seed(&node->gossip, seeds, node->now);
    views_found_by(node->views, founders, node->now);
}

bool node_has_link(const struct node *node, struct conn_id conn)
{
    return links_find(&node->links, conn) != NULL;
}

size_t node_forward_count(const struct node *node)
{
    return node->coord.count;
}

bool node_has_others(const struct node *node)
{
    return node->route.view.member_count > 1;
}

uint64_t node_boot(const struct node *node)
{
    return node->links.identity.boot;
}

struct views *node_views(struct node *node)
{
    return node->views;
}

const struct primary *node_primary(const struct node *node)
{
    return &node->primary;
}

const struct serve *node_serve_of(const struct node *node)
{
    return &node->serve;
}

const struct sync *node_sync(const struct node *node)
{
    return node->sync;
}

const struct gossip *node_gossip(const struct node *node)
{
    return &node->gossip;
}

struct stats *node_stats(struct node *node)
{
    return &node->stats;
}

const struct route *node_route(const struct node *node)
{
    return &node->route;
}
