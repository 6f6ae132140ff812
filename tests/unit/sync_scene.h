/* A few nodes that have nothing but copies, links and sync, joined by queues: the test decides
 * which frame arrives when, how the byte stream is cut, and when a connection breaks. A model knows
 * every write by its version, and what a copy must hold for the (act, ver) that it states. */
#ifndef DHT_TESTS_SYNC_SCENE_H
#define DHT_TESTS_SYNC_SCENE_H

#include "common/check.h"
#include "common/prng.h"
#include "server/core/sync.h"
#include "server/store/copy.h"
#include "server/store/ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SIDES       3
#define WIRES       32
#define KEYS        12 /* of a slot */
#define WRITES_MAX  4096
#define VALUE_BYTES 2000

struct scene;

/* One node. */
struct side {
    struct scene *scene;
    int number;
    char name[32];
    struct budget budget;
    struct log log;
    struct stats stats;
    struct env env;
    struct store *store;
    struct links links;
    struct sync *sync;
    uint32_t stale_epoch; /* of the last STALE that it was told; 0: none */
};

/* A connection: end 0 is who dialled. */
struct wire {
    bool is_open[2];
    bool is_connecting;
    uint32_t serial;
    int side[2];
    struct session session[2];
};

enum written { WROTE_ITEM, WROTE_TOMBSTONE, WROTE_FLUSH, WROTE_NOTHING };

struct written_once {
    uint64_t version;
    uint32_t slot;
    int key;
    enum written what;
    uint32_t content; /* which value */
    uint32_t id;      /* 0: none */
};

struct scene {
    struct side sides[SIDES];
    struct wire wires[WIRES];
    struct moment now;
    struct prng prng;
    struct view view;
    struct member members[SIDES];
    struct ring rings[2]; /* sync borrows one until the next */
    uint32_t epoch;
    bool cuts;         /* STREAM frames are cut anywhere */
    bool is_malformed; /* the test says what may not be said */
    struct written_once writes[WRITES_MAX];
    uint32_t write_count;
    uint32_t id_count;
};

static inline uint32_t draw(struct scene *scene, uint32_t bound)
{
    return (uint32_t)prng_below(&scene->prng, bound);
}

/* --- env -------------------------------------------------------------------------------------- */

static inline struct wire *wire_of(struct scene *scene, struct conn_id conn)
{
    struct wire *wire = &scene->wires[conn.index / 2];
    bool is_same = conn.index < 2 * WIRES && wire->serial == conn.generation;
    return is_same && wire->is_open[conn.index % 2] ? wire : NULL;
}

static inline struct conn_id conn_of(const struct scene *scene, const struct wire *wire, int end)
{
    return (struct conn_id){(uint32_t)(2 * (wire - scene->wires) + end), wire->serial};
}

static inline struct session *scene_session(void *shell, struct conn_id conn)
{
    struct side *side = shell;
    struct wire *wire = wire_of(side->scene, conn);
    return wire ? &wire->session[conn.index % 2] : NULL;
}

static inline void scene_client_text(void *shell, struct conn_id conn,
                                     char text[CLIENT_TEXT_BYTES_MAX])
{
    (void)shell;
    (void)conn;
    snprintf(text, CLIENT_TEXT_BYTES_MAX, "-");
}

static inline struct conn_id scene_dial(void *shell, const char *name)
{
    struct side *side = shell;
    struct scene *scene = side->scene;
    for (int i = 0; i < WIRES; i++) {
        struct wire *wire = &scene->wires[i];
        if (wire->is_open[0] || wire->is_open[1])
            continue;
        int to = 0;
        while (strcmp(scene->sides[to].name, name) != 0)
            to++;
        *wire = (struct wire){.is_open = {true, true},
                              .is_connecting = true,
                              .serial = wire->serial + 1,
                              .side = {side->number, to}};
        return conn_of(scene, wire, 0);
    }
    return (struct conn_id){0};
}

static inline void wire_close_end(struct wire *wire, int end)
{
    wire->is_open[end] = false;
    session_close(&wire->session[end]);
}

static inline void scene_close_conn(void *shell, struct conn_id conn, bool after_sending)
{
    (void)after_sending;
    struct side *side = shell;
    struct wire *wire = wire_of(side->scene, conn);
    if (wire)
        wire_close_end(wire, (int)conn.index % 2);
}

static inline uint64_t scene_unacked(void *shell, struct conn_id conn)
{
    (void)shell;
    (void)conn;
    return 0;
}

/* --- the whole -------------------------------------------------------------------------------- */

static inline void side_open(struct side *side)
{
    side->budget = (struct budget){.limit_bytes = 64u << 20};
    side->env = (struct env){.shell = side,
                             .session = scene_session,
                             .client_text = scene_client_text,
                             .dial = scene_dial,
                             .close = scene_close_conn,
                             .unacked = scene_unacked};
    side->log = (struct log){.level = LOG_ERROR, .sink = log_sink_stderr};
    side->store = store_open(&(struct store_options){.budget = &side->budget});
    store_tell_time(side->store, 10);
    const struct links_identity identity = {.name = side->name,
                                            .cluster = "dht",
                                            .gossip = "random",
                                            .generation = 100 + (uint64_t)side->number,
                                            .boot = 1};
    links_init(&side->links, &identity, 1000, &side->env, &side->log, &side->stats);
    side->sync = sync_open(&(struct sync_setup){.store = side->store,
                                                .links = &side->links,
                                                .log = &side->log,
                                                .stats = &side->stats,
                                                .budget = &side->budget,
                                                .window_bytes = 4096});
}

static inline struct scene *scene_open(uint64_t seed)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    assert_non_null(scene);
    prng_init(&scene->prng, seed);
    scene->now = (struct moment){.mono_ms = 1000, .unix_ms = 1700000000000};
    scene->view.members = scene->members;
    scene->view.member_count = SIDES;
    for (int i = 0; i < SIDES; i++) {
        struct side *side = &scene->sides[i];
        side->scene = scene;
        side->number = i;
        snprintf(side->name, sizeof(side->name), "10.0.0.%d:11211", i + 1);
        memcpy(scene->members[i].name, side->name, sizeof(side->name));
        scene->members[i].generation = 100 + (uint64_t)i;
        scene->members[i].weight = 1;
        side_open(side);
    }
    return scene;
}

static inline void scene_close(struct scene *scene)
{
    for (int i = 0; i < SIDES; i++) {
        struct side *side = &scene->sides[i];
        sync_check(side->sync);
        sync_close(side->sync);
        links_close(&side->links);
        store_check(side->store);
        store_close(side->store);
        assert_int_equal(side->budget.used_bytes, 0);
    }
    for (int i = 0; i < WIRES; i++)
        for (int end = 0; end < 2; end++)
            session_close(&scene->wires[i].session[end]);
    free(scene);
}

/* Another side as a side's peer. */
static inline uint32_t peer_to(struct side *side, int other)
{
    return links_peer(&side->links, side->scene->sides[other].name);
}

/* The end of a turn in which somebody waits for whatever has been put. */
static inline void flush_side(struct side *side)
{
    for (int other = 0; other < SIDES; other++)
        if (other != side->number)
            sync_hurry(side->sync, peer_to(side, other));
    sync_take_held(side->sync, side->scene->now);
    sync_flush(side->sync, side->scene->now);
}

static inline int side_at(struct side *side, uint32_t peer)
{
    for (int i = 0; i < SIDES; i++)
        if (strcmp(links_name(&side->links, peer), side->scene->sides[i].name) == 0)
            return i;
    fail();
    return -1;
}

static inline uint64_t generation_of(int side)
{
    return 100 + (uint64_t)side;
}

/* Every slot is led by primary from now on, but those that the test sets in scene_ring. */
static inline struct ring *scene_ring(struct scene *scene)
{
    return &scene->rings[(scene->epoch + 1) % 2];
}

/* A ring for the next epoch: all in every group, primary leading every slot. */
static inline void scene_place(struct scene *scene, int primary)
{
    struct ring *ring = scene_ring(scene);
    ring->member_count = ring->group_size = SIDES;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        ring->primary[slot] = (uint16_t)primary;
        for (uint16_t i = 0; i < SIDES; i++)
            ring->group[slot][i] = i;
    }
}

/* A side adopts the next epoch, which scene_place has made. */
static inline void side_seal(struct side *side, uint32_t epoch)
{
    struct scene *scene = side->scene;
    scene->view.epoch = epoch;
    sync_seal(side->sync, &scene->view, &scene->rings[epoch % 2], (uint16_t)side->number,
              scene->now);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        copy_unlead(side->store, slot);
}

static inline void scene_seal(struct scene *scene)
{
    scene->epoch++;
    for (int i = 0; i < SIDES; i++)
        side_seal(&scene->sides[i], scene->epoch);
}

/* --- what happens ----------------------------------------------------------------------------- */

static inline void tell_news(struct side *side)
{
    struct link_news news;
    while (links_take_news(&side->links, &news))
        if (news.change == LINK_ENDED && news.lane == LANE_DATA)
            sync_lost(side->sync, news.peer, news.is_dialled, side->scene->now);
}

static inline void break_wire(struct scene *scene, struct wire *wire)
{
    for (int end = 0; end < 2; end++) {
        if (!wire->is_open[end])
            continue;
        struct side *side = &scene->sides[wire->side[end]];
        struct link *link = links_find(&side->links, conn_of(scene, wire, end));
        if (link)
            links_end(&side->links, link, DISCONNECT_RESET, NULL, scene->now);
        wire_close_end(wire, end);
        tell_news(side);
    }
}

static inline void take_message(struct side *side, struct conn_id conn,
                                const struct message *message)
{
    struct moment now = side->scene->now;
    struct link *link = links_find(&side->links, conn);
    if (message->kind == MESSAGE_STREAM || message->kind == MESSAGE_STREAMED) {
        assert_non_null(link);
        enum err err = sync_message(side->sync, link, message, now);
        assert_true(!err || side->scene->is_malformed);
        if (err)
            links_end(&side->links, link, DISCONNECT_DENIED, NULL, now);
    } else if (message->kind == MESSAGE_STALE) {
        side->stale_epoch = message->STALE.epoch;
    } else {
        links_handshake(&side->links, link, conn, message, 0, now);
    }
    tell_news(side);
}

/* The frame at the front of what end has sent arrives, cut or whole. Returns whether there was one.
 */
static inline bool arrive(struct scene *scene, struct wire *wire, int end)
{
    struct side *side = &scene->sides[wire->side[1 - end]];
    struct conn_id conn = conn_of(scene, wire, 1 - end);
    if (wire->is_connecting && wire->is_open[0]) {
        wire->is_connecting = false;
        struct side *dialler = &scene->sides[wire->side[0]];
        links_connected(&dialler->links, links_find(&dialler->links, conn_of(scene, wire, 0)));
        return true;
    }
    struct reply *out = &wire->session[end].out;
    struct frame frame;
    size_t consumed, need;
    if (!wire->is_open[end] || reply_len(out) == 0)
        return false;
    assert_int_equal(out->piece_count, 0);
    struct span bytes = buf_span(&out->bytes);
    assert_int_equal(frame_parse(bytes.data, bytes.len, &frame, &consumed, &need), FRAME_DONE);
    char *copy = malloc(consumed);
    memcpy(copy, bytes.data, consumed);
    assert_int_equal(frame_parse(copy, consumed, &frame, &(size_t){0}, &need), FRAME_DONE);
    reply_consume(out, consumed);
    struct message message;
    assert_int_equal(message_parse(&frame, &message), ERR_OK);
    uint32_t serial = wire->serial;
    if (scene->cuts && message.kind == MESSAGE_STREAM && message.body.len > 1) {
        struct message first = message;
        first.body.len = 1 + draw(scene, (uint32_t)message.body.len - 1);
        take_message(side, conn, &first);
        message.STREAM.at += first.body.len;
        message.body =
            span_of(message.body.data + first.body.len, message.body.len - first.body.len);
        if (draw(scene, 4) == 0)
            flush_side(side);
    }
    if (wire->serial == serial && wire->is_open[1 - end])
        take_message(side, conn, &message);
    free(copy);
    return true;
}

/* One end has closed: the other learns of it. */
static inline bool learn_of_close(struct scene *scene, struct wire *wire)
{
    if (wire->is_open[0] == wire->is_open[1])
        return false;
    break_wire(scene, wire);
    return true;
}

/* --- writes, and what a copy must hold -------------------------------------------------------- */

struct key_text {
    char bytes[16];
    struct store_key key;
};

static inline struct store_key key_of(struct key_text *text, uint32_t slot, int key)
{
    int len = snprintf(text->bytes, sizeof(text->bytes), "k%u.%d", slot, key);
    text->key = (struct store_key){.bytes = span_of(text->bytes, (size_t)len),
                                   .position = (uint64_t)slot << (64 - SLOT_BITS) |
                                               (uint64_t)(key * 40503 + 7) << 30};
    return text->key;
}

/* A value that its number tells, of some length. */
static inline struct span content_of(uint32_t content, char bytes[VALUE_BYTES])
{
    size_t len = content % 7 == 0 ? VALUE_BYTES : 8 + content % 50;
    memset(bytes, (int)('a' + content % 26), len);
    memcpy(bytes, &content, sizeof(content));
    return span_of(bytes, len);
}

static inline void id_text(uint32_t id, char text[16])
{
    snprintf(text, 16, "id%u", id);
}

static inline void add_id(struct side *leader, struct written_once *write,
                          const struct store_key *key)
{
    struct scene *scene = leader->scene;
    write->id = ++scene->id_count;
    char text[16];
    id_text(write->id, text);
    assert_int_equal(store_id_add(leader->store, key,
                                  &(struct store_id){.id = span_of_string(text),
                                                     .version = write->version,
                                                     .answer = SPAN_LITERAL("STORED\r\n"),
                                                     .left_s = STORE_ID_KEEP_S}),
                     ERR_OK);
}

/* The leader of a slot makes a write of this kind and tells its sessions. */
static inline uint64_t write_one(struct side *leader, uint32_t slot, int key, enum written what,
                                 bool has_id)
{
    struct scene *scene = leader->scene;
    assert_true(scene->write_count < WRITES_MAX);
    struct key_text text;
    struct store_key store_key = key_of(&text, slot, key);
    struct written_once write = {.slot = slot, .key = key, .what = what};
    struct store_item item;
    if (what == WROTE_TOMBSTONE && !store_get(leader->store, &store_key, &item))
        what = write.what = WROTE_ITEM;
    enum sync_written kind = SYNC_WRITE_KEY;
    char bytes[VALUE_BYTES];
    switch (what) {
    case WROTE_ITEM:
        write.content = scene->write_count + 1;
        assert_int_equal(store_put(leader->store, &store_key,
                                   &(struct store_put){.head = content_of(write.content, bytes)},
                                   NULL),
                         ERR_OK);
        break;
    case WROTE_TOMBSTONE:
        assert_true(store_delete(leader->store, &store_key));
        break;
    case WROTE_FLUSH:
        store_flush_slot(leader->store, slot, 0);
        kind = SYNC_WRITE_FLUSH;
        store_key = store_flush_key(slot);
        break;
    case WROTE_NOTHING:
        assert_int_equal(
            store_put(leader->store, &store_key, &(struct store_put){.expires_s = 1}, NULL),
            ERR_OK);
        if (store_find(leader->store, &store_key, &item) == STORE_TOMBSTONE &&
            item.version == store_ver(leader->store, slot))
            write.what = WROTE_TOMBSTONE;
        break;
    }
    write.version = store_ver(leader->store, slot);
    char id[16] = "";
    if (has_id) {
        add_id(leader, &write, &store_key);
        id_text(write.id, id);
    }
    scene->writes[scene->write_count++] = write;
    sync_write(leader->sync, &(struct sync_write){.what = kind,
                                                  .slot = slot,
                                                  .version = write.version,
                                                  .key = &store_key,
                                                  .id = span_of_string(id)});
    return write.version;
}

static inline bool covers(const struct copy *copy, uint64_t version)
{
    for (uint32_t i = 0; i < copy->lineage_count; i++)
        if (store_version_epoch(copy->lineage[i]) == store_version_epoch(version))
            return version <= copy->lineage[i];
    return false; /* or forgotten, below the floor: then one cannot tell */
}

/* "Of each write the lineage covers, the copy has that write or a newer one of the same key." */
static inline void check_key(struct side *side, uint32_t slot, int key)
{
    struct scene *scene = side->scene;
    const struct copy *copy = store_copy(side->store, slot);
    const struct written_once *last = NULL;
    for (uint32_t i = 0; i < scene->write_count; i++) {
        const struct written_once *write = &scene->writes[i];
        bool is_its = write->slot == slot && write->what <= WROTE_TOMBSTONE && write->key == key;
        if (is_its && covers(copy, write->version) && (!last || write->version > last->version))
            last = write;
    }
    struct key_text text;
    struct store_key store_key = key_of(&text, slot, key);
    struct store_item item;
    enum store_found found = store_find(side->store, &store_key, &item);
    if (last && found == STORE_NONE) {
        bool is_dropped = last->version <= copy->floor &&
                          (last->what == WROTE_TOMBSTONE || copy->flush >= last->version);
        assert_true(is_dropped);
        return;
    }
    if (last)
        assert_true(item.version >= last->version);
    if (found != STORE_ITEM)
        return;
    for (uint32_t i = 0; i < scene->write_count; i++) {
        const struct written_once *write = &scene->writes[i];
        if (write->slot != slot || write->version != item.version || write->what != WROTE_ITEM)
            continue;
        char bytes[VALUE_BYTES];
        assert_true(span_equal(item.value, content_of(write->content, bytes)));
        return;
    }
    fail_msg("an item that nobody wrote");
}

static inline void check_ids(struct side *side, uint32_t slot)
{
    const struct copy *copy = store_copy(side->store, slot);
    for (uint32_t i = 0; i < side->scene->write_count; i++) {
        const struct written_once *write = &side->scene->writes[i];
        if (write->slot != slot || write->id == 0 || !covers(copy, write->version))
            continue;
        char text[16];
        id_text(write->id, text);
        struct store_id entry;
        assert_true(store_id_find(side->store, slot, span_of_string(text), NULL, &entry));
        assert_true(entry.version == write->version);
    }
}

static inline void check_flush(struct side *side, uint32_t slot)
{
    const struct copy *copy = store_copy(side->store, slot);
    for (uint32_t i = 0; i < side->scene->write_count; i++) {
        const struct written_once *write = &side->scene->writes[i];
        if (write->slot == slot && write->what == WROTE_FLUSH && covers(copy, write->version))
            assert_true(copy->flush >= write->version);
    }
}

/* What proto.md says of a copy: it is correct for the (act, ver) that it states. */
static inline void check_copy(struct side *side, uint32_t slot)
{
    const struct copy *copy = store_copy(side->store, slot);
    assert_true(copy_lineage_is_valid(copy->lineage, copy->lineage_count));
    assert_true(copy->floor <= store_ver(side->store, slot));
    for (int key = 0; key < KEYS; key++)
        check_key(side, slot, key);
    check_flush(side, slot);
    check_ids(side, slot);
}

static inline bool find_live(struct side *side, const struct store_key *key,
                             struct store_item *item)
{
    return store_get(side->store, key, item);
}

/* "Clean copies with equal (act, ver) have equal live items." */
static inline void check_equal(struct side *a, struct side *b, uint32_t slot)
{
    const struct copy *one = store_copy(a->store, slot), *two = store_copy(b->store, slot);
    assert_int_equal(one->act, two->act);
    assert_true(one->is_clean);
    assert_true(two->is_clean);
    assert_true(store_ver(a->store, slot) == store_ver(b->store, slot));
    assert_true(one->flush == two->flush);
    for (int key = 0; key < KEYS; key++) {
        struct key_text text;
        struct store_key store_key = key_of(&text, slot, key);
        struct store_item here, there;
        bool is_here = find_live(a, &store_key, &here);
        assert_int_equal(is_here, find_live(b, &store_key, &there));
        if (!is_here)
            continue;
        assert_true(here.version == there.version);
        assert_true(here.cas == there.cas);
        assert_int_equal(here.expires_s, there.expires_s);
        assert_true(span_equal(here.value, there.value));
    }
    for (uint32_t id = 1; id <= a->scene->id_count; id++) {
        char text[16];
        id_text(id, text);
        struct store_id here, there;
        bool is_here = store_id_find(a->store, slot, span_of_string(text), NULL, &here);
        assert_int_equal(is_here,
                         store_id_find(b->store, slot, span_of_string(text), NULL, &there));
        assert_true(!is_here || here.version == there.version);
    }
}

#endif
