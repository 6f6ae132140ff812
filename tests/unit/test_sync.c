/* Sync: what proto.md says of sessions, sentence by sentence, and then everything at once:
 * random writes, floors, cuts, breaks and epochs, with every copy checked by the model throughout.
 */
#include "server/core/sync_parts.h"
#include "server/store/slots.h"
#include "tests/unit/sync_scene.h"

#define SLOT (4711u % SLOT_COUNT)

/* --- small helpers ---------------------------------------------------------------------------- */

/* Frames arrive until nothing is under way. */
static void settle(struct scene *scene)
{
    for (bool moves = true; moves;) {
        moves = false;
        for (int i = 0; i < SIDES; i++)
            flush_side(&scene->sides[i]);
        for (int i = 0; i < WIRES; i++)
            for (int end = 0; end < 2; end++)
                while (arrive(scene, &scene->wires[i], end))
                    moves = true;
        for (int i = 0; i < WIRES; i++)
            moves |= learn_of_close(scene, &scene->wires[i]);
    }
    for (int i = 0; i < SIDES; i++)
        sync_check(scene->sides[i].sync);
}

/* The next event of this kind; all before it are dropped. */
static struct sync_event await(struct side *side, enum sync_change change)
{
    struct sync_event event;
    while (sync_take_event(side->sync, &event))
        if (event.change == change)
            return event;
    fail_msg("the event has not come");
    return event;
}

static bool has_event(struct side *side, enum sync_change change)
{
    struct sync_event event;
    bool has = false;
    while (sync_take_event(side->sync, &event))
        has |= event.change == change;
    return has;
}

static enum sync_state state_of(struct side *side, uint32_t slot, int other)
{
    struct sync_session_view view;
    (void)sync_session(side->sync, slot, peer_to(side, other), &view);
    return view.state;
}

static uint64_t acked_of(struct side *side, uint32_t slot, int other)
{
    struct sync_session_view view;
    (void)sync_session(side->sync, slot, peer_to(side, other), &view);
    return view.acked;
}

static uint64_t offer_to(struct side *side, uint32_t slot, int other)
{
    return sync_offer(side->sync, slot, peer_to(side, other), generation_of(other), SYNC_FOR_QUORUM,
                      side->scene->now);
}

/* An epoch in which 0 leads every slot, and has recorded so of SLOT. */
static struct side *led_scene(struct scene *scene)
{
    scene_place(scene, 0);
    scene_seal(scene);
    copy_lead(scene->sides[0].store, SLOT, scene->epoch);
    return &scene->sides[0];
}

/* Side 0 has some of everything in SLOT. */
static void write_some(struct side *leader)
{
    for (int i = 0; i < 20; i++)
        write_one(leader, SLOT, i % KEYS, WROTE_ITEM, i % 3 == 0);
    write_one(leader, SLOT, 3, WROTE_TOMBSTONE, true);
    write_one(leader, SLOT, 0, WROTE_FLUSH, true);
    write_one(leader, SLOT, 5, WROTE_ITEM, false);
}

/* --- one session ------------------------------------------------------------------------------ */

static void a_session_brings_a_copy_to_the_sources_and_keeps_it_there(void **state)
{
    (void)state;
    struct scene *scene = scene_open(1);
    struct side *source = led_scene(scene), *backup = &scene->sides[1];
    write_some(source);
    uint64_t sid = offer_to(source, SLOT, 1);
    assert_int_equal(state_of(source, SLOT, 1), SYNC_QUEUED);
    settle(scene);
    struct sync_event event = await(source, SYNC_BECAME);
    assert_int_equal(event.slot, SLOT);
    assert_true(event.sid == sid);
    assert_int_equal(event.peer, peer_to(source, 1));
    assert_int_equal(await(backup, SYNC_RECEIVED).slot, SLOT);
    assert_int_equal(state_of(source, SLOT, 1), SYNC_SYNCED);
    assert_true(sync_is_received_synced(backup->sync, SLOT));
    assert_true(acked_of(source, SLOT, 1) == store_ver(source->store, SLOT));
    check_equal(source, backup, SLOT);
    assert_true(has_event(source, SYNC_ACKED));
    for (int i = 0; i < 5; i++) {
        uint64_t version = write_one(source, SLOT, i, i % 2 ? WROTE_TOMBSTONE : WROTE_ITEM, i > 2);
        uint64_t number = sync_position(source->sync, peer_to(source, 1));
        assert_true(acked_of(source, SLOT, 1) < version);
        settle(scene);
        assert_true(await(source, SYNC_ACKED).number == number);
        assert_true(sync_acked(source->sync, peer_to(source, 1)) == number);
        assert_true(acked_of(source, SLOT, 1) == version);
        check_equal(source, backup, SLOT);
        check_copy(backup, SLOT);
    }
    scene_close(scene);
}

/* What is being sent of a slot to side 1 comes, turn by turn, until it is synced. */
static void settle_synced(struct side *source, uint32_t slot)
{
    for (int turn = 0; turn < 100 && state_of(source, slot, 1) != SYNC_SYNCED; turn++)
        settle(source->scene);
    assert_int_equal(state_of(source, slot, 1), SYNC_SYNCED);
}

/* All say what they have to, and of each wire at most one frame arrives at each end. */
static void pass_one_frame(struct scene *scene)
{
    for (int i = 0; i < SIDES; i++)
        flush_side(&scene->sides[i]);
    for (int i = 0; i < WIRES; i++)
        for (int end = 0; end < 2; end++)
            (void)arrive(scene, &scene->wires[i], end);
}

static void writes_from_start_on_come_too_and_nothing_is_acknowledged_before_end(void **state)
{
    (void)state;
    struct scene *scene = scene_open(2);
    struct side *source = led_scene(scene), *backup = &scene->sides[1];
    for (int i = 0; i < 200; i++)
        write_one(source, SLOT, i % KEYS, WROTE_ITEM, i % 5 == 0);
    offer_to(source, SLOT, 1);
    int writes = 0;
    for (int turn = 0; turn < 2000 && state_of(source, SLOT, 1) != SYNC_SYNCED; turn++) {
        pass_one_frame(scene);
        struct sync_session_view view;
        assert_true(sync_session(source->sync, SLOT, peer_to(source, 1), &view));
        assert_int_equal(view.is_past_start, view.state >= SYNC_SENDING);
        if (view.state != SYNC_SYNCED)
            assert_true(view.acked == 0);
        if (view.is_past_start) {
            write_one(source, SLOT, turn % KEYS, turn % 4 ? WROTE_ITEM : WROTE_TOMBSTONE,
                      turn % 3 == 0);
            writes++;
        }
        check_copy(backup, SLOT);
    }
    assert_true(writes > 2);
    settle(scene);
    check_equal(source, backup, SLOT);
    scene_close(scene);
}

static void a_tail_that_the_source_lacks_is_replaced_key_by_key(void **state)
{
    (void)state;
    struct scene *scene = scene_open(3);
    struct side *source = led_scene(scene), *other = &scene->sides[1];
    for (int i = 0; i < 6; i++)
        write_one(source, SLOT, i, WROTE_ITEM, true);
    offer_to(source, SLOT, 1);
    settle(scene);
    uint64_t common = store_ver(source->store, SLOT);
    /* 1 leads an epoch and writes what 0 never gets: items, tombstones, a flush, ids. */
    scene_place(scene, 1);
    scene_seal(scene);
    copy_lead(other->store, SLOT, scene->epoch);
    write_one(other, SLOT, 0, WROTE_ITEM, true);
    write_one(other, SLOT, 1, WROTE_TOMBSTONE, true);
    write_one(other, SLOT, 0, WROTE_FLUSH, false);
    write_one(other, SLOT, 8, WROTE_ITEM, false);
    /* Then 0 leads again, and writes too. */
    scene_place(scene, 0);
    scene_seal(scene);
    copy_lead(source->store, SLOT, scene->epoch);
    write_one(source, SLOT, 2, WROTE_ITEM, true);
    offer_to(source, SLOT, 1);
    settle(scene);
    assert_int_equal(state_of(source, SLOT, 1), SYNC_SYNCED);
    struct sync_session_view view;
    assert_true(sync_session(source->sync, SLOT, peer_to(source, 1), &view));
    assert_true(view.common == common);
    assert_int_equal(other->stats.sync_full_starts, 0);
    check_equal(source, other, SLOT);
    check_copy(other, SLOT);
    scene_close(scene);
}

static void a_copy_below_the_floor_is_emptied_first(void **state)
{
    (void)state;
    for (int below = 0; below < 2; below++) { /* the source's floor, or the receiver's */
        struct scene *scene = scene_open(4);
        struct side *source = led_scene(scene), *other = &scene->sides[1];
        struct side *ahead = below == 0 ? source : other;
        if (below == 1) {
            scene_place(scene, 1);
            scene_seal(scene);
            copy_lead(other->store, SLOT, scene->epoch);
        }
        write_one(ahead, SLOT, 0, WROTE_ITEM, true);
        write_one(ahead, SLOT, 0, WROTE_TOMBSTONE, false);
        copy_raise_floor(ahead->store, SLOT, store_ver(ahead->store, SLOT));
        write_one(ahead, SLOT, 1, WROTE_ITEM, true);
        scene_place(scene, 0);
        scene_seal(scene);
        copy_lead(source->store, SLOT, scene->epoch);
        if (below == 0) { /* what the other has is nothing that anybody else knows */
            scene_place(scene, 1);
            scene_seal(scene);
            copy_lead(other->store, SLOT, scene->epoch);
            write_one(other, SLOT, 7, WROTE_ITEM, true);
            scene_place(scene, 0);
            scene_seal(scene);
            copy_lead(source->store, SLOT, scene->epoch);
        }
        offer_to(source, SLOT, 1);
        settle(scene);
        assert_int_equal(state_of(source, SLOT, 1), SYNC_SYNCED);
        assert_int_equal(other->stats.sync_full_starts, 1);
        check_equal(source, other, SLOT);
        check_copy(other, SLOT);
        scene_close(scene);
    }
}

static void a_key_that_the_source_has_forgotten_raises_the_floor_at_once(void **state)
{
    (void)state;
    struct scene *scene = scene_open(30);
    struct side *source = led_scene(scene), *other = &scene->sides[1];
    write_one(source, SLOT, 0, WROTE_ITEM, false);
    offer_to(source, SLOT, 1);
    settle(scene);
    uint64_t floor = write_one(source, SLOT, 0, WROTE_TOMBSTONE, false);
    settle(scene);
    copy_raise_floor(source->store, SLOT, floor); /* of which the other does not hear */
    scene_place(scene, 1);
    scene_seal(scene);
    copy_lead(other->store, SLOT, scene->epoch);
    write_one(other, SLOT, 0, WROTE_ITEM, false); /* a tail, over its tombstone */
    scene_place(scene, 0);
    scene_seal(scene);
    copy_lead(source->store, SLOT, scene->epoch);
    for (int i = 1; i < KEYS; i++) /* so much that END comes later */
        write_one(source, SLOT, i, WROTE_ITEM, true);
    offer_to(source, SLOT, 1);
    struct key_text text;
    struct store_key key = key_of(&text, SLOT, 0);
    struct store_item item;
    for (int turn = 0; turn < 100 && store_find(other->store, &key, &item) != STORE_NONE; turn++) {
        pass_one_frame(scene);
        for (int i = 0; i < WIRES; i++)
            (void)learn_of_close(scene, &scene->wires[i]);
        check_copy(other, SLOT);
    }
    assert_int_equal(store_find(other->store, &key, &item), STORE_NONE);
    assert_true(store_copy(other->store, SLOT)->floor >= floor);
    settle(scene);
    check_equal(source, other, SLOT);
    scene_close(scene);
}

/* A floor says what was dropped: above the source's nothing was. Else it would pass what another
 * member of the group has, which then takes all anew. */
static void a_key_that_the_source_never_had_raises_no_floor_above_its_own(void **state)
{
    (void)state;
    struct scene *scene = scene_open(31);
    struct side *source = led_scene(scene), *other = &scene->sides[1];
    write_one(source, SLOT, 0, WROTE_ITEM, false);
    uint64_t floor = write_one(source, SLOT, 0, WROTE_TOMBSTONE, false);
    offer_to(source, SLOT, 1);
    settle(scene);
    copy_raise_floor(source->store, SLOT, floor);
    sync_floor(source->sync, SLOT, floor);
    write_one(source, SLOT, 1, WROTE_ITEM, false);
    settle(scene);
    scene_place(scene, 1);
    scene_seal(scene);
    copy_lead(other->store, SLOT, scene->epoch);
    write_one(other, SLOT, 2, WROTE_ITEM, false); /* a tail: a key of its own */
    scene_place(scene, 0);
    scene_seal(scene);
    copy_lead(source->store, SLOT, scene->epoch);
    offer_to(source, SLOT, 1);
    settle(scene);
    assert_int_equal(other->stats.sync_full_starts, 0);
    check_equal(source, other, SLOT);
    check_copy(other, SLOT);
    assert_true(store_copy(other->store, SLOT)->floor == floor);
    scene_close(scene);
}

static void a_floor_that_passed_common_meanwhile_makes_the_source_offer_anew(void **state)
{
    (void)state;
    struct scene *scene = scene_open(5);
    struct side *source = led_scene(scene), *other = &scene->sides[1];
    write_one(source, SLOT, 0, WROTE_ITEM, false);
    offer_to(source, SLOT, 1);
    settle(scene);
    sync_close_session(source->sync, SLOT, peer_to(source, 1));
    settle(scene);
    assert_false(sync_is_received(other->sync, SLOT));
    write_one(source, SLOT, 0, WROTE_TOMBSTONE, false);
    uint64_t sid = offer_to(source, SLOT, 1);
    flush_side(source);
    assert_int_equal(state_of(source, SLOT, 1), SYNC_OFFERED);
    copy_raise_floor(source->store, SLOT, store_ver(source->store, SLOT));
    settle(scene);
    assert_int_equal(source->stats.sync_offers, 3);
    assert_int_equal(other->stats.sync_full_starts, 1);
    assert_true(await(source, SYNC_BECAME).sid != 0);
    assert_true(await(source, SYNC_BECAME).sid == sid);
    check_equal(source, other, SLOT);
    scene_close(scene);
}

static void a_write_that_is_not_the_next_one_ends_the_session(void **state)
{
    (void)state;
    struct scene *scene = scene_open(6);
    struct side *source = led_scene(scene);
    write_some(source);
    uint64_t sid = offer_to(source, SLOT, 1);
    settle(scene);
    assert_true(has_event(source, SYNC_BECAME));
    struct key_text text;
    struct store_key key = key_of(&text, SLOT, 0);
    assert_int_equal(store_put(source->store, &key, &(struct store_put){.flags = 1}, NULL), ERR_OK);
    write_one(source, SLOT, 1, WROTE_ITEM, false); /* the one before was not streamed */
    settle(scene);
    struct sync_event event = await(source, SYNC_ENDED);
    assert_int_equal(event.why, SYNC_ENDED_NOSYNC);
    assert_true(event.sid == sid);
    assert_int_equal(state_of(source, SLOT, 1), SYNC_NONE);
    assert_false(sync_is_received(scene->sides[1].sync, SLOT));
    scene_close(scene);
}

/* A backup that is synced, and whose floor has passed a flush. */
static struct side *flushed_scene(struct scene *scene)
{
    struct side *source = led_scene(scene);
    write_some(source);
    offer_to(source, SLOT, 1);
    settle(scene);
    assert_true(has_event(source, SYNC_BECAME));
    uint64_t floor = store_ver(source->store, SLOT);
    copy_raise_floor(source->store, SLOT, floor);
    sync_floor(source->sync, SLOT, floor);
    settle(scene);
    assert_true(store_copy(scene->sides[1].store, SLOT)->floor == floor);
    return source;
}

/* Of another build, or damaged where no checksum sees it: the link ends, nothing else does. */
static void what_no_source_may_say_ends_the_link(void **state)
{
    (void)state;
    for (int which = 0; which < 3; which++) {
        struct scene *scene = scene_open(6);
        scene->is_malformed = true;
        struct side *source = flushed_scene(scene);
        struct sync_session_view view;
        assert_true(sync_session(source->sync, SLOT, peer_to(source, 1), &view));
        uint64_t next = store_ver(source->store, SLOT) + 1;
        struct key_text text;
        struct store_key key = key_of(&text, SLOT, 0);
        struct buf lineage = {0};
        record_append(&lineage,
                      &(struct record){.kind = RECORD_LAST,
                                       .LAST.version = store_version(scene->epoch + 1, 1)});
        const struct record records[] = {
            {.kind = RECORD_CHANGE,
             .CHANGE = {.slot = SLOT,
                        .sid = view.sid,
                        .is_write = true,
                        .version = next,
                        .what = RECORD_ITEM,
                        .position = key.position,
                        .key = key.bytes,
                        .left_s = RECORD_FOREVER,
                        .marks = 0x80}},
            {.kind = RECORD_FLUSH,
             .FLUSH = {.slot = SLOT, .sid = view.sid, .is_write = true, .version = next}},
            {.kind = RECORD_END,
             .END = {.slot = SLOT, .sid = 99, .is_clean = true, .lineage = buf_span(&lineage)}},
        };
        struct stream_out *out = &sync_peer_find(source->sync, peer_to(source, 1))->out;
        if (records[which].kind == RECORD_END)
            stream_put(out, &(struct record){
                                .kind = RECORD_OFFER,
                                .OFFER = {.slot = SLOT, .sid = 99, .lineage = buf_span(&lineage)}});
        stream_put(out, &records[which]);
        settle(scene);
        assert_int_equal(await(source, SYNC_ENDED).why, SYNC_ENDED_LINK);
        assert_false(sync_is_received(scene->sides[1].sync, SLOT));
        buf_close(&lineage);
        scene_close(scene);
    }
}

static void a_backup_without_memory_ends_the_session_as_full(void **state)
{
    (void)state;
    struct scene *scene = scene_open(7);
    struct side *source = led_scene(scene), *backup = &scene->sides[1];
    write_one(source, SLOT, 0, WROTE_ITEM, false);
    offer_to(source, SLOT, 1);
    settle(scene);
    assert_true(has_event(source, SYNC_BECAME));
    uint64_t ver = store_ver(backup->store, SLOT);
    backup->budget.limit_bytes = 0;
    for (int i = 0; i < 400 && state_of(source, SLOT, 1) == SYNC_SYNCED; i++) {
        write_one(source, SLOT, i % KEYS, WROTE_ITEM, false);
        settle(scene);
    }
    assert_int_equal(await(source, SYNC_ENDED).why, SYNC_ENDED_FULL);
    assert_true(store_ver(backup->store, SLOT) >= ver);
    check_copy(backup, SLOT);
    backup->budget.limit_bytes = 64u << 20;
    offer_to(source, SLOT, 1);
    settle(scene);
    check_equal(source, backup, SLOT);
    scene_close(scene);
}

static void a_mark_is_acknowledged_when_all_before_it_is_applied(void **state)
{
    (void)state;
    struct scene *scene = scene_open(8);
    struct side *source = led_scene(scene), *backup = &scene->sides[1];
    offer_to(source, SLOT, 1);
    settle(scene);
    uint64_t version = write_one(source, SLOT, 0, WROTE_ITEM, false);
    uint64_t number = sync_mark(source->sync, peer_to(source, 1));
    assert_true(number == sync_position(source->sync, peer_to(source, 1)));
    assert_true(sync_acked(source->sync, peer_to(source, 1)) < number);
    settle(scene);
    assert_true(sync_acked(source->sync, peer_to(source, 1)) == number);
    assert_true(store_ver(backup->store, SLOT) == version);
    scene_close(scene);
}

/* How many bytes wait to be sent on the data links of a side. */
static size_t bytes_out(struct scene *scene, const struct side *side)
{
    size_t len = 0;
    for (int i = 0; i < WIRES; i++)
        for (int end = 0; end < 2; end++)
            if (scene->wires[i].is_open[end] && scene->wires[i].side[end] == side->number)
                len += reply_len(&scene->wires[i].session[end].out);
    return len;
}

static void a_write_that_nobody_waits_for_waits_for_more_a_moment(void **state)
{
    (void)state;
    struct scene *scene = scene_open(8);
    struct side *source = led_scene(scene), *backup = &scene->sides[1];
    offer_to(source, SLOT, 1);
    settle(scene);
    write_one(source, SLOT, 0, WROTE_ITEM, false);
    uint64_t begun_ms = scene->now.mono_ms;
    sync_flush(source->sync, scene->now);
    assert_int_equal(bytes_out(scene, source), 0);
    assert_int_equal(sync_deadline(source->sync), begun_ms + SYNC_HOLD_MS);
    scene->now.mono_ms++;
    uint64_t version = write_one(source, SLOT, 1, WROTE_ITEM, false);
    sync_flush(source->sync, scene->now);
    assert_int_equal(bytes_out(scene, source), 0);
    scene->now.mono_ms = begun_ms + SYNC_HOLD_MS;
    sync_flush(source->sync, scene->now);
    assert_true(bytes_out(scene, source) > 0);
    settle(scene);
    assert_true(store_ver(backup->store, SLOT) == version);
    scene_close(scene);
}

static void what_is_hurried_or_much_is_sent_at_once(void **state)
{
    (void)state;
    struct scene *scene = scene_open(8);
    struct side *source = led_scene(scene);
    offer_to(source, SLOT, 1);
    settle(scene);
    write_one(source, SLOT, 0, WROTE_ITEM, false);
    sync_hurry(source->sync, peer_to(source, 1));
    sync_flush(source->sync, scene->now);
    assert_true(bytes_out(scene, source) > 0);
    settle(scene);
    uint64_t before = sync_position(source->sync, peer_to(source, 1));
    for (int i = 0; bytes_out(scene, source) == 0; i++) {
        assert_true(i < 100000);
        write_one(source, SLOT, i % KEYS, WROTE_ITEM, false);
        sync_flush(source->sync, scene->now);
    }
    assert_true(sync_position(source->sync, peer_to(source, 1)) > before + 100);
    settle(scene);
    scene_close(scene);
}

static void a_floor_goes_to_the_synced(void **state)
{
    (void)state;
    struct scene *scene = scene_open(9);
    struct side *source = led_scene(scene), *backup = &scene->sides[1];
    write_one(source, SLOT, 0, WROTE_ITEM, false);
    uint64_t floor = write_one(source, SLOT, 0, WROTE_TOMBSTONE, false);
    assert_true(sync_floor_max(source->sync, SLOT) == UINT64_MAX);
    offer_to(source, SLOT, 1);
    settle(scene);
    assert_true(sync_floor_max(source->sync, SLOT) == floor);
    copy_raise_floor(source->store, SLOT, floor);
    sync_floor(source->sync, SLOT, floor);
    settle(scene);
    assert_true(store_copy(backup->store, SLOT)->floor == floor);
    struct key_text text;
    struct store_key key = key_of(&text, SLOT, 0);
    struct store_item item;
    assert_int_equal(store_find(backup->store, &key, &item), STORE_NONE);
    write_one(source, SLOT, 1, WROTE_ITEM, false);
    assert_true(sync_floor_max(source->sync, SLOT) == floor);
    settle(scene);
    assert_true(sync_floor_max(source->sync, SLOT) == store_ver(source->store, SLOT));
    scene_close(scene);
}

static void what_expires_travels_as_time_left(void **state)
{
    (void)state;
    struct scene *scene = scene_open(10);
    struct side *source = led_scene(scene), *backup = &scene->sides[1];
    store_tell_time(backup->store, 5000);
    struct key_text text;
    struct store_key key = key_of(&text, SLOT, 0);
    assert_int_equal(
        store_put(source->store, &key, &(struct store_put){.expires_s = 10 + 77}, NULL), ERR_OK);
    offer_to(source, SLOT, 1);
    settle(scene);
    struct store_item item;
    assert_true(store_get(backup->store, &key, &item));
    assert_int_equal(item.expires_s, 5000 + 77);
    scene_close(scene);
}

static void another_process_of_that_name_gets_nothing(void **state)
{
    (void)state;
    struct scene *scene = scene_open(11);
    struct side *source = led_scene(scene);
    sync_offer(source->sync, SLOT, peer_to(source, 1), 999, SYNC_FOR_GROUP, scene->now);
    settle(scene);
    assert_int_equal(await(source, SYNC_ENDED).why, SYNC_ENDED_STRANGER);
    assert_int_equal(scene->sides[1].stats.sync_full_starts, 0);
    scene_close(scene);
}

static void only_the_primary_of_this_epoch_may_offer(void **state)
{
    (void)state;
    struct scene *scene = scene_open(12);
    scene_place(scene, 0);
    scene_seal(scene);
    struct side *other = &scene->sides[2];
    copy_lead(other->store, SLOT, scene->epoch);
    write_one(other, SLOT, 0, WROTE_ITEM, false);
    offer_to(other, SLOT, 1);
    settle(scene);
    assert_int_equal(await(other, SYNC_ENDED).why, SYNC_ENDED_NOSYNC);
    assert_true(store_ver(scene->sides[1].store, SLOT) == 0);
    scene_close(scene);
}

static void who_refuses_takes_no_session(void **state)
{
    (void)state;
    struct scene *scene = scene_open(13);
    struct side *source = led_scene(scene);
    sync_refuse(scene->sides[1].sync, true);
    offer_to(source, SLOT, 1);
    settle(scene);
    assert_int_equal(await(source, SYNC_ENDED).why, SYNC_ENDED_NOSYNC);
    scene_close(scene);
}

static bool slots_meant[SLOT_COUNT];

static void mean_only(const uint32_t *slots, size_t count)
{
    memset(slots_meant, 0, sizeof(slots_meant));
    for (size_t i = 0; i < count; i++)
        slots_meant[slots[i]] = true;
}

/* A write of so many bytes in SLOT. */
static void put_large(struct side *source, size_t len)
{
    char *bytes = malloc(len);
    assert_non_null(bytes);
    memset(bytes, 'x', len);
    struct key_text text;
    struct store_key key = key_of(&text, SLOT, 0);
    assert_int_equal(
        store_put(source->store, &key, &(struct store_put){.head = span_of(bytes, len)}, NULL),
        ERR_OK);
    sync_write(source->sync, &(struct sync_write){.what = SYNC_WRITE_KEY,
                                                  .slot = SLOT,
                                                  .version = store_ver(source->store, SLOT),
                                                  .key = &key});
    free(bytes);
}

/* --- epochs ----------------------------------------------------------------------------------- */

/* The source adopts the next view, and leads in it; the others have not heard of it. */
static void adopt_ahead(struct side *source)
{
    struct scene *scene = source->scene;
    scene_place(scene, 0);
    scene->epoch++;
    side_seal(source, scene->epoch);
}

static void a_stream_of_a_view_not_adopted_yet_waits_for_it(void **state)
{
    (void)state;
    struct scene *scene = scene_open(14);
    struct side *source = led_scene(scene), *backup = &scene->sides[1];
    offer_to(source, SLOT, 1);
    settle(scene);
    adopt_ahead(source);
    copy_lead(source->store, SLOT, scene->epoch);
    write_one(source, SLOT, 0, WROTE_ITEM, false);
    offer_to(source, SLOT, 1);
    scene->cuts = true;
    settle(scene);
    assert_int_equal(state_of(source, SLOT, 1), SYNC_OFFERED);
    assert_true(store_ver(backup->store, SLOT) == 0);
    side_seal(backup, scene->epoch);
    assert_int_equal(sync_is_received(backup->sync, SLOT), false);
    sync_take_held(backup->sync, scene->now); /* before anything is sent */
    assert_int_equal(sync_is_received(backup->sync, SLOT), true);
    settle(scene);
    assert_int_equal(state_of(source, SLOT, 1), SYNC_SYNCED);
    check_equal(source, backup, SLOT);
    scene_close(scene);
}

/* A write goes to a copy that is to be advanced before that is answered, so before the backup has
 * adopted the view; of a large one no more than a batch does. */
static void a_large_write_to_one_that_has_not_adopted_the_view_ends_nothing(void **state)
{
    (void)state;
    struct scene *scene = scene_open(38);
    struct side *source = led_scene(scene), *backup = &scene->sides[1];
    offer_to(source, SLOT, 1);
    settle(scene);
    uint32_t act = scene->epoch;
    adopt_ahead(source);
    copy_lead(source->store, SLOT, scene->epoch);
    const uint32_t slot = SLOT;
    mean_only(&slot, 1);
    const struct sync_advance advance = {.act = act, .slots = slots_meant};
    assert_true(sync_advance(source->sync, peer_to(source, 1), generation_of(1), &advance,
                             scene->now) != 0);
    for (uint32_t i = 0; i < 2; i++)
        put_large(source, 9u << 20);
    settle(scene);
    assert_int_equal(state_of(source, SLOT, 1), SYNC_ADVANCING);
    assert_true(store_ver(backup->store, SLOT) == 0);
    side_seal(backup, scene->epoch);
    sync_take_held(backup->sync, scene->now);
    settle(scene);
    assert_false(has_event(source, SYNC_ENDED));
    assert_int_equal(state_of(source, SLOT, 1), SYNC_SYNCED);
    check_equal(source, backup, SLOT);
    scene_close(scene);
}

static void a_stream_of_a_lower_epoch_is_stale(void **state)
{
    (void)state;
    struct scene *scene = scene_open(15);
    struct side *source = led_scene(scene), *backup = &scene->sides[1];
    offer_to(source, SLOT, 1);
    settle(scene);
    scene_place(scene, 0);
    side_seal(backup, scene->epoch + 1);
    scene->view.epoch = scene->epoch;
    uint64_t version = write_one(source, SLOT, 0, WROTE_ITEM, false);
    settle(scene);
    assert_true(acked_of(source, SLOT, 1) < version);
    assert_true(store_ver(backup->store, SLOT) == 0);
    assert_int_equal(source->stale_epoch, scene->epoch + 1);
    scene_close(scene);
}

static void a_stream_of_an_epoch_that_is_passed_over_is_stale(void **state)
{
    (void)state;
    struct scene *scene = scene_open(26);
    struct side *source = led_scene(scene), *backup = &scene->sides[1];
    adopt_ahead(source);
    offer_to(source, SLOT, 1);
    settle(scene);
    assert_int_equal(source->stale_epoch, 0);
    scene->epoch++;
    scene_place(scene, 0);
    scene->rings[scene->epoch % 2] = scene->rings[(scene->epoch + 1) % 2];
    side_seal(backup, scene->epoch);
    settle(scene);
    assert_int_equal(source->stale_epoch, scene->epoch);
    assert_int_equal(state_of(source, SLOT, 1), SYNC_OFFERED);
    assert_false(sync_is_received(backup->sync, SLOT));
    scene_close(scene);
}

static void sealing_ends_everything_without_a_word(void **state)
{
    (void)state;
    struct scene *scene = scene_open(16);
    struct side *source = led_scene(scene), *backup = &scene->sides[1];
    offer_to(source, SLOT, 1);
    settle(scene);
    uint64_t position = sync_position(source->sync, peer_to(source, 1));
    write_one(source, SLOT, 0, WROTE_ITEM, false);
    scene_place(scene, 0);
    scene_seal(scene);
    struct sync_event event;
    assert_false(sync_take_event(source->sync, &event));
    assert_int_equal(state_of(source, SLOT, 1), SYNC_NONE);
    assert_false(sync_is_received(backup->sync, SLOT));
    settle(scene);
    assert_true(store_ver(backup->store, SLOT) == 0);
    assert_true(sync_position(source->sync, peer_to(source, 1)) >= position);
    copy_lead(source->store, SLOT, scene->epoch);
    offer_to(source, SLOT, 1);
    settle(scene);
    check_equal(source, backup, SLOT);
    scene_close(scene);
}

/* --- advance ---------------------------------------------------------------------------------- */

static void advance_means_every_slot_that_is_the_same_and_no_other(void **state)
{
    (void)state;
    struct scene *scene = scene_open(17);
    /* By what they are to be: same, excepted, of another ver, soiled, of another act. */
    static const uint32_t slots[] = {5, 6, 7, 8, 9};
    struct side *source = &scene->sides[0], *backup = &scene->sides[1];
    scene_place(scene, 0);
    scene_seal(scene);
    for (size_t i = 0; i < ARRAY_COUNT(slots); i++) {
        copy_lead(source->store, slots[i], scene->epoch);
        write_one(source, slots[i], 0, WROTE_ITEM, false);
        if (slots[i] != 9)
            offer_to(source, slots[i], 1);
    }
    settle(scene);
    write_one(source, 7, 1, WROTE_ITEM, false); /* never arrives */
    uint32_t act = scene->epoch;
    scene_place(scene, 0);
    scene_seal(scene);
    copy_soil(backup->store, 8);
    struct sync_check checks[ARRAY_COUNT(slots)];
    uint32_t check_count = 0;
    mean_only(slots, ARRAY_COUNT(slots));
    slots_meant[6] = false;
    for (size_t i = 0; i < ARRAY_COUNT(slots); i++) {
        copy_lead(source->store, slots[i], scene->epoch);
        if (slots_meant[slots[i]])
            checks[check_count++] = (struct sync_check){.slot = (uint16_t)slots[i],
                                                        .ver = store_ver(source->store, slots[i])};
    }
    struct sync_advance advance = {
        .act = act, .slots = slots_meant, .checks = checks, .check_count = check_count};
    assert_true(sync_advance(source->sync, peer_to(source, 1), generation_of(1), &advance,
                             scene->now) != 0);
    uint64_t before = sync_position(source->sync, peer_to(source, 1));
    uint64_t version = write_one(source, 5, 2, WROTE_ITEM, true); /* behind it in the stream */
    assert_true(sync_position(source->sync, peer_to(source, 1)) == before + 1);
    settle(scene);
    static const enum sync_state want[] = {SYNC_SYNCED, SYNC_NONE, SYNC_NONE, SYNC_NONE, SYNC_NONE};
    for (size_t i = 0; i < ARRAY_COUNT(slots); i++) {
        assert_int_equal(state_of(source, slots[i], 1), want[i]);
        assert_int_equal(store_copy(backup->store, slots[i])->act == scene->epoch,
                         want[i] == SYNC_SYNCED);
    }
    struct sync_event event;
    uint32_t nosync = 0;
    while (sync_take_event(source->sync, &event))
        nosync += event.change == SYNC_ENDED && event.why == SYNC_ENDED_NOSYNC;
    assert_int_equal(nosync, 3);
    assert_true(acked_of(source, 5, 1) == version);
    check_equal(source, backup, 5);
    scene_close(scene);
}

/* Clients wait for the one, and nobody for the other. */
static void who_only_learns_waits_until_the_copies_that_are_there_are_current(void **state)
{
    (void)state;
    enum { CURRENT = 3, LEARNT = 4, WANTED = 5 };
    const uint32_t slots[] = {CURRENT, LEARNT, WANTED};
    struct scene *scene = scene_open(37);
    struct side *source = led_scene(scene);
    offer_to(source, SLOT, 1);
    offer_to(source, SLOT, 2);
    settle(scene); /* links are up */
    scene_place(scene, 0);
    scene_seal(scene);
    for (size_t i = 0; i < ARRAY_COUNT(slots); i++)
        copy_lead(source->store, slots[i], scene->epoch);
    mean_only(slots, 1);
    const struct sync_advance advance = {.act = 0, .slots = slots_meant};
    assert_true(sync_advance(source->sync, peer_to(source, 1), generation_of(1), &advance,
                             scene->now) != 0);
    (void)sync_offer(source->sync, LEARNT, peer_to(source, 2), generation_of(2), SYNC_FOR_LEARNER,
                     scene->now);
    offer_to(source, WANTED, 2);
    flush_side(source);
    flush_side(source);
    assert_int_equal(state_of(source, CURRENT, 1), SYNC_ADVANCING);
    assert_int_equal(state_of(source, LEARNT, 2), SYNC_QUEUED);
    assert_int_equal(state_of(source, WANTED, 2), SYNC_OFFERED);
    settle(scene);
    assert_int_equal(state_of(source, CURRENT, 1), SYNC_SYNCED);
    assert_int_equal(state_of(source, LEARNT, 2), SYNC_SYNCED);
    scene_close(scene);
}

/* What came for clients while the view began is there then, at the other nodes too. */
static void
while_clients_are_served_what_they_do_not_wait_for_waits_until_a_view_has_settled(void **state)
{
    (void)state;
    enum { CLIENTS = 3, NOBODY = 4, SETTLE_MS = 50 };
    struct scene *scene = scene_open(54);
    struct side *source = led_scene(scene);
    offer_to(source, SLOT, 1);
    settle(scene); /* the link is up */
    scene->now.mono_ms += 1000;
    for (int i = 0; i < SIDES; i++) {
        sync_tell_time(scene->sides[i].sync, scene->now);
        sync_tell_served(scene->sides[i].sync);
    }
    scene_place(scene, 0);
    scene_seal(scene);
    copy_lead(source->store, CLIENTS, scene->epoch);
    copy_lead(source->store, NOBODY, scene->epoch);
    offer_to(source, CLIENTS, 1);
    (void)sync_offer(source->sync, NOBODY, peer_to(source, 1), generation_of(1), SYNC_FOR_GROUP,
                     scene->now);
    settle(scene);
    assert_int_equal(state_of(source, CLIENTS, 1), SYNC_SYNCED);
    assert_int_equal(state_of(source, NOBODY, 1), SYNC_QUEUED);
    assert_int_equal(sync_deadline(source->sync), scene->now.mono_ms + SETTLE_MS);
    scene->now.mono_ms += SETTLE_MS - 1;
    settle(scene);
    assert_int_equal(state_of(source, NOBODY, 1), SYNC_QUEUED);
    scene->now.mono_ms++;
    settle(scene);
    assert_int_equal(state_of(source, NOBODY, 1), SYNC_SYNCED);
    scene_close(scene);
}

/* Of the same ver and clean, but of an epoch before: what a primary has led from since then may
 * have items above that ver. */
static void a_copy_of_another_act_is_not_advanced(void **state)
{
    (void)state;
    struct scene *scene = scene_open(19);
    struct side *source = led_scene(scene), *backup = &scene->sides[1];
    write_one(source, SLOT, 0, WROTE_ITEM, false);
    offer_to(source, SLOT, 1);
    settle(scene);
    uint32_t act = scene->epoch;
    for (int views = 0; views < 2; views++) {
        scene_place(scene, 0);
        scene_seal(scene);
        copy_lead(source->store, SLOT, scene->epoch);
    }
    const uint32_t slot = SLOT;
    mean_only(&slot, 1);
    const uint64_t ver = store_ver(source->store, SLOT);
    assert_true(store_ver(backup->store, SLOT) == ver);
    struct sync_check check = {.slot = SLOT, .ver = ver};
    struct sync_advance advance = {
        .act = scene->epoch - 1, .slots = slots_meant, .checks = &check, .check_count = 1};
    assert_true(sync_advance(source->sync, peer_to(source, 1), generation_of(1), &advance,
                             scene->now) != 0);
    settle(scene);
    assert_int_equal(await(source, SYNC_ENDED).why, SYNC_ENDED_NOSYNC);
    assert_int_equal(store_copy(backup->store, SLOT)->act, act);
    offer_to(source, SLOT, 1);
    settle(scene);
    check_equal(source, backup, SLOT);
    scene_close(scene);
}

static void one_advance_and_one_acknowledgement_whatever_the_number_of_slots(void **state)
{
    (void)state;
    struct scene *scene = scene_open(18);
    struct side *source = &scene->sides[0], *backup = &scene->sides[1];
    scene_place(scene, 0);
    scene_seal(scene);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        slots_meant[slot] = true;
        copy_lead(source->store, slot, scene->epoch);
    }
    struct sync_advance advance = {.act = 0, .slots = slots_meant};
    assert_true(sync_advance(source->sync, peer_to(source, 1), generation_of(1), &advance,
                             scene->now) == 0); /* the link is not up yet */
    settle(scene);
    assert_int_equal(await(source, SYNC_UP).peer, peer_to(source, 1));
    uint64_t before = sync_position(source->sync, peer_to(source, 1));
    assert_true(sync_advance(source->sync, peer_to(source, 1), generation_of(1), &advance,
                             scene->now) != 0);
    assert_true(sync_position(source->sync, peer_to(source, 1)) == before + 1);
    flush_side(source);
    size_t bytes = 0;
    for (int i = 0; i < WIRES; i++)
        bytes += reply_len(&scene->wires[i].session[0].out);
    assert_in_range(bytes, 1, 200);
    settle(scene);
    uint32_t became = 0, acked = 0;
    struct sync_event event;
    while (sync_take_event(source->sync, &event)) {
        became += event.change == SYNC_BECAME;
        acked += event.change == SYNC_ACKED;
    }
    assert_int_equal(became, SLOT_COUNT);
    assert_int_equal(acked, 1);
    assert_int_equal(store_copy(backup->store, 0)->act, scene->epoch);
    scene_close(scene);
}

/* --- pull ------------------------------------------------------------------------------------- */

static void a_primary_pulls_the_copy_that_it_has_chosen(void **state)
{
    (void)state;
    struct scene *scene = scene_open(19);
    struct side *chosen = led_scene(scene), *primary = &scene->sides[1];
    write_some(chosen);
    scene_place(scene, 1);
    scene_seal(scene);
    uint32_t act = store_copy(chosen->store, SLOT)->act;
    uint64_t ver = store_ver(chosen->store, SLOT);
    uint64_t sid =
        sync_pull(primary->sync, SLOT, peer_to(primary, 0), generation_of(0), act, ver, scene->now);
    settle(scene);
    struct sync_event event = await(primary, SYNC_PULLED);
    assert_true(event.sid == sid);
    assert_int_equal(event.act, act);
    assert_true(event.ver == ver);
    assert_true(event.is_clean);
    check_equal(chosen, primary, SLOT);
    check_copy(primary, SLOT);
    assert_int_equal(state_of(chosen, SLOT, 1), SYNC_NONE);
    assert_false(sync_is_received(primary->sync, SLOT));
    scene_close(scene);
}

static void a_copy_that_has_moved_is_not_pulled(void **state)
{
    (void)state;
    struct scene *scene = scene_open(20);
    struct side *chosen = led_scene(scene), *primary = &scene->sides[1];
    write_some(chosen);
    scene_place(scene, 1);
    scene_seal(scene);
    sync_pull(primary->sync, SLOT, peer_to(primary, 0), generation_of(0), 1,
              store_ver(chosen->store, SLOT) - 1, scene->now);
    settle(scene);
    assert_int_equal(await(primary, SYNC_PULL_FAILED).why, SYNC_ENDED_MOVED);
    assert_true(store_ver(primary->store, SLOT) == 0);
    scene_close(scene);
}

static void a_pull_of_which_nothing_comes_fails_in_time(void **state)
{
    (void)state;
    struct scene *scene = scene_open(21);
    struct side *primary = &scene->sides[1];
    scene_place(scene, 1);
    scene_seal(scene);
    sync_pull(primary->sync, SLOT, peer_to(primary, 0), generation_of(0), 0, 0, scene->now);
    flush_side(primary);
    assert_true(sync_deadline(primary->sync) <= scene->now.mono_ms + SYNC_PULL_TIMEOUT_MS);
    scene->now.mono_ms += SYNC_PULL_TIMEOUT_MS;
    sync_tick(primary->sync, scene->now);
    assert_int_equal(await(primary, SYNC_PULL_FAILED).why, SYNC_ENDED_TIMEOUT);
    scene_close(scene);
}

/* All that comes by the connections that a side has opened, and what is answered there. */
static void settle_dialled_by(struct scene *scene, int side)
{
    for (bool moves = true; moves;) {
        moves = false;
        for (int i = 0; i < SIDES; i++)
            flush_side(&scene->sides[i]);
        for (int i = 0; i < WIRES; i++)
            for (int end = 0; end < 2 && scene->wires[i].side[0] == side; end++)
                while (arrive(scene, &scene->wires[i], end))
                    moves = true;
    }
}

/* The way back is closed, and what goes on otherwise says nothing of the copy. */
static void a_pull_of_which_nothing_comes_fails_whatever_else_does(void **state)
{
    (void)state;
    struct scene *scene = scene_open(31);
    struct side *primary = &scene->sides[1];
    scene_place(scene, 1);
    scene_seal(scene);
    copy_lead(primary->store, SLOT + 1, scene->epoch);
    offer_to(primary, SLOT + 1, 0);
    sync_pull(primary->sync, SLOT, peer_to(primary, 0), generation_of(0), 0, 0, scene->now);
    for (int half = 0; half < 8; half++) {
        settle_dialled_by(scene, 1);
        write_one(primary, SLOT + 1, 0, WROTE_ITEM, false);
        scene->now.mono_ms += SYNC_PULL_TIMEOUT_MS / 4;
        sync_tick(primary->sync, scene->now);
        tell_news(primary);
    }
    assert_int_equal(state_of(primary, SLOT + 1, 0), SYNC_SYNCED);
    assert_int_equal(await(primary, SYNC_PULL_FAILED).why, SYNC_ENDED_TIMEOUT);
    scene_close(scene);
}

static void a_pulled_copy_comes_although_the_way_of_its_offer_broke(void **state)
{
    (void)state;
    struct scene *scene = scene_open(29);
    struct side *chosen = led_scene(scene), *primary = &scene->sides[1];
    write_some(chosen);
    scene_place(scene, 1);
    scene_seal(scene);
    uint64_t sid =
        sync_pull(primary->sync, SLOT, peer_to(primary, 0), generation_of(0),
                  store_copy(chosen->store, SLOT)->act, store_ver(chosen->store, SLOT), scene->now);
    struct wire *wire = NULL;
    for (int turn = 0; turn < 100 && chosen->stats.sync_offers == 0; turn++) {
        for (int i = 0; i < SIDES; i++)
            flush_side(&scene->sides[i]);
        for (int i = 0; i < WIRES && chosen->stats.sync_offers == 0; i++)
            for (int end = 0; end < 2; end++)
                (void)arrive(scene, &scene->wires[i], end);
    }
    assert_int_equal(chosen->stats.sync_offers, 1);
    for (int i = 0; i < WIRES; i++)
        if (scene->wires[i].is_open[0] && scene->wires[i].side[0] == chosen->number)
            wire = &scene->wires[i];
    assert_non_null(wire);
    break_wire(scene, wire);    /* the offer is lost with it */
    scene->now.mono_ms += 1000; /* the link rests */
    settle(scene);
    assert_true(await(primary, SYNC_PULLED).sid == sid);
    assert_int_equal(chosen->stats.sync_offers, 2);
    check_equal(chosen, primary, SLOT);
    scene_close(scene);
}

static void a_receiver_that_is_silent_loses_its_sessions(void **state)
{
    (void)state;
    struct scene *scene = scene_open(27);
    struct side *source = led_scene(scene);
    offer_to(source, SLOT, 1);
    settle(scene);
    assert_true(has_event(source, SYNC_BECAME));
    scene->now.mono_ms += 2 * SYNC_SILENCE_MS; /* nothing is to be said */
    sync_tick(source->sync, scene->now);
    tell_news(source);
    assert_int_equal(state_of(source, SLOT, 1), SYNC_SYNCED);
    write_one(source, SLOT, 0, WROTE_ITEM, false);
    flush_side(source);
    assert_true(sync_deadline(source->sync) == scene->now.mono_ms + SYNC_SILENCE_MS);
    scene->now.mono_ms += SYNC_SILENCE_MS - 1;
    sync_tick(source->sync, scene->now);
    tell_news(source);
    assert_int_equal(state_of(source, SLOT, 1), SYNC_SYNCED);
    scene->now.mono_ms++;
    sync_tick(source->sync, scene->now);
    tell_news(source);
    assert_int_equal(await(source, SYNC_ENDED).why, SYNC_ENDED_LINK);
    scene_close(scene);
}

static void a_receiver_learns_that_it_is_synced_no_more(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct scene *scene = scene_open(34);
        struct side *source = led_scene(scene), *backup = &scene->sides[1];
        offer_to(source, SLOT, 1);
        settle(scene);
        assert_true(has_event(backup, SYNC_RECEIVED));
        if (how == 0) {
            sync_close_session(source->sync, SLOT, peer_to(source, 1));
            settle(scene);
        } else {
            for (int i = 0; i < WIRES; i++)
                break_wire(scene, &scene->wires[i]);
        }
        assert_int_equal(await(backup, SYNC_UNRECEIVED).slot, SLOT);
        scene_close(scene);
    }
}

/* It says nothing of what it was sent, although it has something to say itself. */
static void a_receiver_is_silent_if_only_its_own_stream_comes(void **state)
{
    (void)state;
    struct scene *scene = scene_open(32);
    struct side *source = &scene->sides[0], *other = &scene->sides[1];
    scene_place(scene, 0);
    scene_ring(scene)->primary[SLOT + 1] = 1;
    scene_seal(scene);
    copy_lead(source->store, SLOT, scene->epoch);
    copy_lead(other->store, SLOT + 1, scene->epoch);
    offer_to(source, SLOT, 1);
    offer_to(other, SLOT + 1, 0);
    settle(scene);
    assert_true(has_event(source, SYNC_BECAME));
    write_one(source, SLOT, 0, WROTE_ITEM, false);
    for (int part = 0; part < 8; part++) {
        write_one(other, SLOT + 1, 0, WROTE_ITEM, false);
        settle_dialled_by(scene, 1);
        scene->now.mono_ms += SYNC_SILENCE_MS / 4;
        sync_tick(source->sync, scene->now);
        tell_news(source);
    }
    assert_int_equal(await(source, SYNC_ENDED).why, SYNC_ENDED_LINK);
    scene_close(scene);
}

/* The connection by which a copy comes is replaced by a newer one: what was under way is over, and
 * the pull with it. */
static void a_newer_connection_ends_what_came_by_the_older(void **state)
{
    (void)state;
    struct scene *scene = scene_open(33);
    struct side *chosen = led_scene(scene), *primary = &scene->sides[1];
    write_some(chosen);
    scene_place(scene, 1);
    scene_seal(scene);
    sync_pull(primary->sync, SLOT, peer_to(primary, 0), generation_of(0),
              store_copy(chosen->store, SLOT)->act, store_ver(chosen->store, SLOT), scene->now);
    for (int turn = 0; turn < 100 && !sync_is_received(primary->sync, SLOT); turn++) {
        for (int i = 0; i < SIDES; i++)
            flush_side(&scene->sides[i]);
        for (int i = 0; i < WIRES && !sync_is_received(primary->sync, SLOT); i++)
            for (int end = 0; end < 2; end++)
                (void)arrive(scene, &scene->wires[i], end);
    }
    assert_true(sync_is_received(primary->sync, SLOT));
    struct link *out = links_dialled(&chosen->links, peer_to(chosen, 1), LANE_DATA);
    links_end(&chosen->links, out, DISCONNECT_RESET, NULL, scene->now); /* only here it is known */
    tell_news(chosen);
    (void)links_to(&chosen->links, peer_to(chosen, 1), LANE_DATA, scene->now);
    scene->now.mono_ms += 1000;
    assert_non_null(links_to(&chosen->links, peer_to(chosen, 1), LANE_DATA, scene->now));
    for (int i = 0; i < WIRES; i++)
        if (scene->wires[i].side[0] == 0 && scene->wires[i].is_connecting)
            for (int frame = 0; frame < 2; frame++)
                (void)arrive(scene, &scene->wires[i], 0);
    assert_int_equal(await(primary, SYNC_PULL_FAILED).why, SYNC_ENDED_LINK);
    assert_false(sync_is_received(primary->sync, SLOT));
    scene_close(scene);
}

/* --- bounds ----------------------------------------------------------------------------------- */

static void the_smaller_the_slots_the_more_sessions_are_open(void **state)
{
    (void)state;
    assert_int_equal(sync_open_max(0), SYNC_OPEN_MAX);
    assert_int_equal(sync_open_max(100ull * SLOT_COUNT), 16384 / 101);
    assert_int_equal(sync_open_max(UINT64_MAX), SYNC_OPEN_MIN);
}

static void many_sessions_take_turns(void **state)
{
    (void)state;
    if (SLOT_COUNT < 3 * SYNC_OPEN_MAX)
        skip(); /* a build of few slots: all may be open at once */
    struct scene *scene = scene_open(22);
    struct side *source = &scene->sides[0], *backup = &scene->sides[1];
    scene_place(scene, 0);
    scene_seal(scene);
    uint32_t count = 3 * SYNC_OPEN_MAX;
    for (uint32_t slot = 0; slot < count; slot++) {
        copy_lead(source->store, slot, scene->epoch);
        if (slot % 8 == 0)
            for (int i = 0; i < 10; i++)
                write_one(source, slot, i, WROTE_ITEM, false);
        sync_offer(source->sync, slot, peer_to(source, 1), generation_of(1),
                   slot < count - 1 ? SYNC_FOR_LEARNER : SYNC_FOR_QUORUM, scene->now);
    }
    struct sync_progress progress;
    sync_progress_sum(source->sync, &progress);
    assert_int_equal(progress.queued, count);
    flush_side(source);
    for (int i = 0; i < 3; i++) /* dialled, HELLO, WELCOME */
        assert_true(arrive(scene, &scene->wires[0], i == 2));
    uint32_t sending = 0;
    for (uint32_t turn = 1; sending < SYNC_OPEN_MAX; turn++) {
        assert_in_range(turn, 1, SYNC_OPEN_MAX / 64); /* so that no turn is long */
        flush_side(source);
        sync_progress_sum(source->sync, &progress);
        assert_in_range(progress.sending, sending + 1, sending + 64);
        sending = progress.sending;
        assert_int_equal(progress.queued, count - sending);
        assert_int_equal(state_of(source, count - 1, 1), SYNC_OFFERED); /* it goes first */
        assert_true((sync_deadline(source->sync) <= scene->now.mono_ms) ==
                    (sending < SYNC_OPEN_MAX));
    }
    settle(scene);
    sync_progress(source->sync, peer_to(source, 1), &progress);
    assert_int_equal(progress.synced, count);
    assert_int_equal(progress.sending + progress.queued, 0);
    assert_true(progress.items_left == 0);
    assert_int_equal(sync_next_peer(source->sync, 0), peer_to(source, 1));
    assert_int_equal(sync_next_peer(source->sync, peer_to(source, 1)), PEER_NONE);
    sync_progress(backup->sync, peer_to(backup, 0), &progress);
    assert_int_equal(progress.received, count);
    for (uint32_t slot = 0; slot < count; slot += 8)
        check_equal(source, backup, slot);
    scene_close(scene);
}

static void no_more_than_a_window_of_items_is_under_way(void **state)
{
    (void)state;
    struct scene *scene = scene_open(23);
    struct side *source = led_scene(scene);
    for (int i = 0; i < 30; i++)
        write_one(source, SLOT, i % KEYS, WROTE_ITEM, false);
    offer_to(source, SLOT, 1);
    size_t most = 0;
    for (int turn = 0; turn < 200 && state_of(source, SLOT, 1) != SYNC_SYNCED; turn++) {
        for (int i = 0; i < SIDES; i++)
            flush_side(&scene->sides[i]);
        size_t bytes = 0;
        for (int i = 0; i < WIRES; i++)
            bytes += reply_len(&scene->wires[i].session[0].out);
        most = bytes > most ? bytes : most;
        for (int i = 0; i < WIRES; i++)
            for (int end = 0; end < 2; end++)
                while (arrive(scene, &scene->wires[i], end))
                    ;
    }
    assert_int_equal(state_of(source, SLOT, 1), SYNC_SYNCED);
    assert_in_range(most, 1000, 4096 + VALUE_BYTES + 400);
    scene_close(scene);
}

/* Keys of other names than those of key_of, spread over the slot. */
static struct store_key number_key(uint32_t slot, uint32_t number, char text[16])
{
    const uint32_t spread = number * 0x9e3779b1u >> (32 + SLOT_BITS - STORE_POSITION_BITS);
    snprintf(text, 16, "%u", number);
    return (struct store_key){.bytes = span_of_string(text),
                              .position = ((uint64_t)slot << (64 - SLOT_BITS)) |
                                          (uint64_t)spread << (64 - STORE_POSITION_BITS)};
}

/* So many items, all of one slot. */
static void put_values(struct side *side, uint32_t slot, uint32_t count, struct span value)
{
    char text[16];
    for (uint32_t i = 0; i < count; i++) {
        const struct store_key key = number_key(slot, i, text);
        const struct store_put put = {.head = value, .expires_s = STORE_NEVER};
        assert_int_equal(store_put(side->store, &key, &put, NULL), ERR_OK);
    }
}

static void fill_slot(struct side *side, uint32_t slot, uint32_t count)
{
    put_values(side, slot, count, SPAN_LITERAL("x"));
}

/* What there is to pass is passed until the session to side 1 is about to send items. */
static void run_until_sending(struct side *source, uint32_t slot)
{
    struct scene *scene = source->scene;
    while (state_of(source, slot, 1) != SYNC_SENDING) {
        for (int i = 0; i < SIDES; i++)
            flush_side(&scene->sides[i]);
        for (int i = 0; i < WIRES && state_of(source, slot, 1) != SYNC_SENDING; i++)
            for (int end = 0; end < 2; end++)
                (void)arrive(scene, &scene->wires[i], end);
    }
}

/* Side 0 with such a window and rate. */
static struct side *source_with(struct scene *scene, uint32_t window_bytes, uint64_t rate_bytes_s)
{
    struct side *source = &scene->sides[0];
    sync_close(source->sync);
    source->sync = sync_open(&(struct sync_setup){.store = source->store,
                                                  .links = &source->links,
                                                  .log = &source->log,
                                                  .stats = &source->stats,
                                                  .window_bytes = window_bytes,
                                                  .rate_bytes_s = rate_bytes_s});
    return led_scene(scene);
}

/* It leads a slot of 2,000 small items, and is about to send them to side 1. */
static struct side *begin_sending_at(struct scene *scene, uint32_t window_bytes,
                                     uint64_t rate_bytes_s, enum sync_rank rank)
{
    struct side *source = source_with(scene, window_bytes, rate_bytes_s);
    fill_slot(source, SLOT, 2000);
    (void)sync_offer(source->sync, SLOT, peer_to(source, 1), generation_of(1), rank, scene->now);
    run_until_sending(source, SLOT);
    return source;
}

static struct side *begin_sending(struct scene *scene, uint32_t window_bytes)
{
    return begin_sending_at(scene, window_bytes, 0, SYNC_FOR_GROUP);
}

/* So that clients are not kept waiting; and the next turn does not wait for an answer. */
static void a_turn_sends_a_bounded_number_of_items_and_the_next_follows_at_once(void **state)
{
    (void)state;
    struct scene *scene = scene_open(35);
    struct side *source = begin_sending(scene, 1u << 20);
    for (uint32_t turn = 1; turn <= 4; turn++) {
        flush_side(source);
        assert_in_range(source->stats.sync_items_sent, 100 * turn, 256 * turn);
        assert_true(sync_deadline(source->sync) <= scene->now.mono_ms);
    }
    settle_synced(source, SLOT);
    assert_int_equal(source->stats.sync_items_sent, 2000);
    scene_close(scene);
}

/* A turn in which clients are served, or are not, and at whose end requests wait for other copies,
 * or do not; returns how many items it sends. */
static uint64_t turn_until(struct side *source, bool is_serving, bool is_awaited)
{
    uint64_t before = source->stats.sync_items_sent;
    sync_tell_time(source->sync, source->scene->now);
    if (is_serving)
        sync_tell_served(source->sync);
    flush_side(source);
    sync_tell_awaited(source->sync, is_awaited);
    return source->stats.sync_items_sent - before;
}

static uint64_t turn_of(struct side *source, bool is_serving)
{
    return turn_until(source, is_serving, false);
}

/* What the source has sent is received, and that is said. */
static void receive_all(struct scene *scene)
{
    for (int i = 0; i < WIRES; i++)
        for (int end = 0; end < 2; end++)
            while (arrive(scene, &scene->wires[i], end))
                flush_side(&scene->sides[1]);
}

/* "Never starves clients": neither end is long busy with a piece, and both have time between. */
static void while_clients_are_served_items_go_in_small_pieces_one_at_a_time(void **state)
{
    (void)state;
    enum { PIECE_ITEMS = 124, WAY_MS = 2 };
    struct scene *scene = scene_open(41);
    struct side *source = begin_sending(scene, SYNC_WINDOW_BYTES);
    assert_in_range(turn_of(source, true), 1, PIECE_ITEMS);
    assert_int_equal(turn_of(source, false), 0); /* it has not been received */
    assert_in_range(sync_deadline(source->sync), scene->now.mono_ms + 1,
                    scene->now.mono_ms + WAY_MS);
    scene->now.mono_ms = sync_deadline(source->sync); /* a long way */
    assert_in_range(turn_of(source, false), 1, PIECE_ITEMS);
    assert_int_equal(turn_of(source, false), 0);
    receive_all(scene);
    assert_in_range(turn_of(source, false), 1, PIECE_ITEMS);
    scene->now.mono_ms += 1000; /* clients have gone */
    assert_in_range(turn_of(source, false), PIECE_ITEMS + 1, 256);
    assert_true(sync_deadline(source->sync) <= scene->now.mono_ms);
    settle_synced(source, SLOT);
    scene_close(scene);
}

/* So that an answer does not wait until a piece has been put together; but not for ever. */
static void a_piece_goes_in_another_turn_than_answers_if_one_comes_soon(void **state)
{
    (void)state;
    enum { WAY_MS = 2 };
    struct scene *scene = scene_open(51);
    struct side *source = begin_sending(scene, SYNC_WINDOW_BYTES);
    assert_true(turn_of(source, true) > 0);
    receive_all(scene);
    assert_int_equal(turn_of(source, true), 0);
    assert_true(sync_deadline(source->sync) <= scene->now.mono_ms);
    assert_true(turn_of(source, false) > 0);
    receive_all(scene);
    assert_int_equal(turn_of(source, true), 0);
    scene->now.mono_ms += WAY_MS; /* there has been no other turn */
    assert_true(turn_of(source, true) > 0);
    receive_all(scene);
    assert_true(turn_of(source, false) > 0);
    settle_synced(source, SLOT);
    scene_close(scene);
}

/* So that other copies' answers find the node idle; but not for ever, where requests always wait.
 */
static void a_piece_waits_while_requests_wait_for_other_copies(void **state)
{
    (void)state;
    enum { WAY_MS = 2 };
    struct scene *scene = scene_open(55);
    struct side *source = begin_sending(scene, SYNC_WINDOW_BYTES);
    assert_true(turn_of(source, true) > 0);
    receive_all(scene);
    assert_int_equal(turn_until(source, true, true), 0);
    assert_int_equal(turn_until(source, false, true), 0);
    assert_int_equal(sync_deadline(source->sync), scene->now.mono_ms + WAY_MS);
    assert_int_equal(turn_of(source, false), 0); /* in which they are answered */
    assert_true(sync_deadline(source->sync) <= scene->now.mono_ms);
    assert_true(turn_until(source, false, true) > 0);
    receive_all(scene);
    assert_int_equal(turn_until(source, false, true), 0);
    scene->now.mono_ms += WAY_MS;
    assert_true(turn_until(source, false, true) > 0);
    receive_all(scene);
    assert_int_equal(turn_of(source, false), 0);
    settle_synced(source, SLOT);
    scene_close(scene);
}

/* Whatever the items are like. */
static void a_piece_is_longer_than_its_bytes_by_one_item_at_most(void **state)
{
    (void)state;
    enum { PIECE_BYTES = 18 << 10, ITEM_BYTES = 5000, ITEMS = 40 };
    static char value[ITEM_BYTES];
    struct scene *scene = scene_open(56);
    struct side *source = source_with(scene, SYNC_WINDOW_BYTES, 0);
    put_values(source, SLOT, ITEMS, span_of(value, sizeof(value)));
    (void)sync_offer(source->sync, SLOT, peer_to(source, 1), generation_of(1), SYNC_FOR_GROUP,
                     scene->now);
    run_until_sending(source, SLOT);
    uint32_t pieces = 0;
    while (source->stats.sync_items_sent < ITEMS) {
        assert_int_equal(turn_of(source, true), PIECE_BYTES / ITEM_BYTES + 1);
        receive_all(scene);
        scene->now.mono_ms += 2;
        pieces++;
    }
    assert_int_equal(pieces, ITEMS / (PIECE_BYTES / ITEM_BYTES + 1));
    settle_synced(source, SLOT);
    assert_int_equal(source->stats.sync_items_sent, ITEMS);
    scene_close(scene);
}

/* Items that fill_slot or put_values has put, and what has been written to them since. */
static void check_equal_items(struct side *a, struct side *b, uint32_t slot, uint32_t count)
{
    check_equal(a, b, slot);
    for (uint32_t i = 0; i < count; i++) {
        char text[16];
        const struct store_key key = number_key(slot, i, text);
        struct store_item here, there;
        enum store_found found = store_find(a->store, &key, &here);
        assert_int_equal(store_find(b->store, &key, &there), found);
        assert_true(found == STORE_NONE || here.version == there.version);
    }
}

/* Puts the item, or deletes it if it is there, and tells the sessions of it. */
static void write_number(struct side *leader, uint32_t slot, uint32_t number, bool is_put)
{
    char text[16];
    const struct store_key key = number_key(slot, number, text);
    if (is_put) {
        const struct store_put put = {.head = SPAN_LITERAL("new"), .expires_s = STORE_NEVER};
        assert_int_equal(store_put(leader->store, &key, &put, NULL), ERR_OK);
    } else if (!store_delete(leader->store, &key)) {
        return;
    }
    sync_write(leader->sync, &(struct sync_write){.what = SYNC_WRITE_KEY,
                                                  .slot = slot,
                                                  .version = store_ver(leader->store, slot),
                                                  .key = &key});
}

/* Before and behind the place that it has come to, while the table grows, or what is in it goes. */
static void a_copy_is_sent_whole_whatever_is_written_meanwhile(void **state)
{
    (void)state;
    enum { ITEMS = 2000, TURN_WRITES = 40 };
    for (uint32_t number = 0; number < 6; number++) {
        struct scene *scene = scene_open(57 + number);
        struct side *source = begin_sending(scene, SYNC_WINDOW_BYTES);
        bool grows = number % 2 == 0;
        uint32_t next = ITEMS, turns = 0;
        for (; state_of(source, SLOT, 1) == SYNC_SENDING; turns++) {
            for (uint32_t i = 0; i < TURN_WRITES; i++) {
                uint32_t of = grows && i % 2 == 0 ? next++ : (uint32_t)draw(scene, ITEMS);
                write_number(source, SLOT, of, grows || i % 8 == 0);
            }
            if (turns == number)
                write_one(source, SLOT, 0, WROTE_FLUSH, false);
            (void)turn_of(source, true);
            receive_all(scene);
            scene->now.mono_ms += 2;
        }
        assert_true(turns > 5);
        settle_synced(source, SLOT);
        check_equal_items(source, &scene->sides[1], SLOT, next);
        scene_close(scene);
    }
}

/* Asks side 0 for its copy, as it is now. */
static void pull_from_0(struct side *primary)
{
    const struct side *chosen = &primary->scene->sides[0];
    (void)sync_pull(primary->sync, SLOT, peer_to(primary, 0), generation_of(0),
                    store_copy(chosen->store, SLOT)->act, store_ver(chosen->store, SLOT),
                    primary->scene->now);
}

/* What has come of it counts for nothing, once it is asked for anew. */
static void a_pulled_copy_comes_whole_after_its_way_broke_in_the_middle(void **state)
{
    (void)state;
    enum { ITEMS = 2000 };
    struct scene *scene = scene_open(30);
    struct side *chosen = source_with(scene, SYNC_WINDOW_BYTES, 0), *primary = &scene->sides[1];
    fill_slot(chosen, SLOT, ITEMS);
    scene_place(scene, 1);
    scene_seal(scene);
    pull_from_0(primary);
    for (int turn = 0; turn < 100 && chosen->stats.sync_items_sent == 0; turn++)
        pass_one_frame(scene);
    assert_in_range(chosen->stats.sync_items_sent, 1, ITEMS / 2);
    for (int i = 0; i < WIRES; i++)
        if (scene->wires[i].is_open[0] && scene->wires[i].side[0] == chosen->number)
            break_wire(scene, &scene->wires[i]); /* with what is on its way */
    assert_int_equal(await(primary, SYNC_PULL_FAILED).why, SYNC_ENDED_LINK);
    scene->now.mono_ms += 1000; /* the link rests */
    pull_from_0(primary);
    for (int turn = 0; turn < 20 && !has_event(primary, SYNC_PULLED); turn++)
        settle(scene);
    check_equal_items(chosen, primary, SLOT, ITEMS);
    scene_close(scene);
}

/* What clients wait for is not held up for the sake of others. */
static void what_clients_wait_for_goes_as_fast_as_it_can_while_others_are_served(void **state)
{
    (void)state;
    struct scene *scene = scene_open(42);
    struct side *source = begin_sending_at(scene, 64u << 10, 0, SYNC_FOR_QUORUM);
    sync_tell_time(source->sync, scene->now);
    sync_tell_served(source->sync);
    for (uint32_t turn = 1; turn <= 3; turn++) {
        flush_side(source);
        assert_in_range(source->stats.sync_items_sent, 256 * turn, 256 * turn);
        assert_true(sync_deadline(source->sync) <= scene->now.mono_ms);
    }
    settle_synced(source, SLOT);
    scene_close(scene);
}

/* Leads so many slots with so many items each, and offers them to side 1. */
static void offer_filled(struct side *source, uint32_t slots, uint32_t items)
{
    for (uint32_t slot = 0; slot < slots; slot++) {
        copy_lead(source->store, slot, source->scene->epoch);
        fill_slot(source, slot, items);
    }
    for (uint32_t slot = 0; slot < slots; slot++)
        offer_to(source, slot, 1);
}

/* The quorum of a slot may be there before its third copy's turn comes. */
static void a_session_that_clients_wait_for_no_longer_goes_after_others(void **state)
{
    (void)state;
    enum { SLOTS = 4, LOWERED = 0 };
    struct scene *scene = scene_open(44);
    struct side *source = led_scene(scene);
    offer_filled(source, SLOTS, 500);
    sync_lower(source->sync, LOWERED, peer_to(source, 1), SYNC_FOR_GROUP);
    sync_lower(source->sync, LOWERED, peer_to(source, 2), SYNC_FOR_GROUP); /* there is none */
    for (int turn = 0; turn < 1000 && state_of(source, SLOTS - 1, 1) != SYNC_SYNCED; turn++) {
        pass_one_frame(scene);
        assert_int_not_equal(state_of(source, LOWERED, 1), SYNC_SYNCED);
    }
    settle_synced(source, LOWERED);
    scene_close(scene);
}

/* How many items slots have is not said: those that have come tell it of the others. */
static void the_tables_of_many_slots_are_made_at_once(void **state)
{
    (void)state;
    enum { SLOTS = 100, ITEMS = 40, KNOWN = 70 };
    struct scene *scene = scene_open(50);
    struct side *source = led_scene(scene), *other = &scene->sides[1];
    offer_filled(source, SLOTS, ITEMS);
    uint32_t capacities[SLOTS] = {0}, made[SLOTS] = {0};
    for (int turn = 0; turn < 10000 && state_of(source, SLOTS - 1, 1) != SYNC_SYNCED; turn++) {
        pass_one_frame(scene);
        for (uint32_t slot = 0; slot < SLOTS; slot++) {
            made[slot] += other->store->slots[slot].capacity != capacities[slot];
            capacities[slot] = other->store->slots[slot].capacity;
        }
    }
    settle_synced(source, SLOTS - 1);
    for (uint32_t slot = KNOWN; slot < SLOTS; slot++) {
        assert_int_equal(made[slot], 1);
        assert_in_range(capacities[slot], (ITEMS + ITEMS / 9) * 5 / 4, (ITEMS + ITEMS / 8) * 3 / 2);
    }
    assert_int_equal(other->store->expected_count, 0);
    scene_close(scene);
}

/* Else the loop would turn without an end until the last piece has been received. */
static void a_source_whose_rate_is_used_up_rests_while_clients_are_served(void **state)
{
    (void)state;
    enum { RATE_BYTES_S = 2000, WINDOW_BYTES = 1u << 20 };
    struct scene *scene = scene_open(43);
    struct side *source = begin_sending_at(scene, WINDOW_BYTES, RATE_BYTES_S, SYNC_FOR_GROUP);
    uint64_t began_ms = scene->now.mono_ms;
    uint32_t turns = 0;
    sync_tell_time(source->sync, scene->now);
    sync_tell_served(source->sync);
    flush_side(source); /* what may go at once; nobody says that it has come */
    while (scene->now.mono_ms < began_ms + 80) {
        uint64_t deadline = sync_deadline(source->sync);
        assert_true(deadline > scene->now.mono_ms);
        scene->now.mono_ms = deadline;
        flush_side(source);
        turns++;
    }
    assert_in_range(turns, 8, 50);
    scene_close(scene);
}

/* So a turn in which many sessions begin is as short as others, and nothing is kept for them but
 * what of the last step may not go any more. */
static void a_copy_is_walked_when_its_session_s_turn_to_send_has_come(void **state)
{
    (void)state;
    enum { SLOTS = 16, KEPT_BYTES_MAX = 2048 };
    struct scene *scene = scene_open(36);
    struct side *source = led_scene(scene);
    offer_filled(source, SLOTS, 500);
    size_t before = source->budget.used_bytes;
    struct sync_progress progress;
    do {
        pass_one_frame(scene);
    } while (state_of(source, SLOTS - 1, 1) != SYNC_SENDING);
    assert_in_range(source->stats.sync_items_sent, 0, 500);
    assert_in_range(source->budget.used_bytes - before, 0, KEPT_BYTES_MAX);
    sync_progress_sum(source->sync, &progress);
    assert_in_range(progress.items_left, (SLOTS - 2) * 500, SLOTS * 500);
    settle_synced(source, SLOTS - 1);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        assert_int_equal(state_of(source, slot, 1), SYNC_SYNCED);
    assert_int_equal(source->stats.sync_items_sent, SLOTS * 500);
    scene_close(scene);
}

/* The connection breaks when half of the slots are through: they are not sent again, and of the one
 * that was under way no more than it has. */
static void a_broken_connection_costs_what_was_under_way_at_most(void **state)
{
    (void)state;
    enum { SLOTS = 16, ITEMS = 500 };
    struct scene *scene = scene_open(37);
    struct side *source = led_scene(scene);
    offer_filled(source, SLOTS, ITEMS);
    do {
        pass_one_frame(scene);
    } while (state_of(source, SLOTS / 2, 1) != SYNC_SENDING);
    for (int i = 0; i < WIRES; i++)
        break_wire(scene, &scene->wires[i]);
    assert_int_not_equal(state_of(source, 0, 1), SYNC_SYNCED);
    scene->now.mono_ms += 1000; /* the links rest */
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        offer_to(source, slot, 1);
    settle_synced(source, SLOTS - 1);
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        check_equal(source, &scene->sides[1], slot);
    assert_in_range(source->stats.sync_items_sent, SLOTS * ITEMS, (SLOTS + 1) * ITEMS);
    scene_close(scene);
}

static void count_line(void *arg, const char *line, size_t len)
{
    (void)len;
    uint32_t *lines = arg;
    *lines += strstr(line, " sync-") != NULL;
}

/* As after many views in which everybody keeps what it has. */
static void copies_that_are_the_same_are_no_news(void **state)
{
    (void)state;
    struct scene *scene = scene_open(26);
    struct side *source = led_scene(scene);
    uint32_t lines[2] = {0};
    for (int i = 0; i < 2; i++)
        scene->sides[i].log = (struct log){.level = LOG_INFO, .sink = count_line, .arg = &lines[i]};
    for (uint32_t slot = 0; slot < 20; slot++) {
        copy_lead(source->store, slot, scene->epoch);
        offer_to(source, slot, 1);
    }
    settle(scene);
    for (int view = 0; view < 50; view++) {
        scene->now.mono_ms += 3000;
        settle(scene);
        scene_seal(scene);
        for (uint32_t slot = 0; slot < 20; slot++) {
            copy_lead(source->store, slot, scene->epoch);
            offer_to(source, slot, 1);
        }
        settle(scene);
        assert_int_equal(state_of(source, 19, 1), SYNC_SYNCED);
    }
    assert_int_equal(lines[0] + lines[1], 0);
    scene_close(scene);
}

static void of_sessions_with_a_peer_there_is_a_line_in_some_seconds(void **state)
{
    (void)state;
    struct scene *scene = scene_open(27);
    struct side *source = led_scene(scene);
    uint32_t lines[2] = {0};
    for (int i = 0; i < 2; i++)
        scene->sides[i].log = (struct log){.level = LOG_INFO, .sink = count_line, .arg = &lines[i]};
    for (int second = 0; second < 100; second++) {
        write_one(source, SLOT, second % KEYS, WROTE_ITEM, false);
        offer_to(source, SLOT, 1);
        for (int part = 0; part < 2; part++) {
            settle(scene);
            scene->now.mono_ms += 550;
        }
        assert_int_equal(state_of(source, SLOT, 1), SYNC_SYNCED);
        scene_seal(scene);
        copy_lead(source->store, SLOT, scene->epoch);
    }
    assert_in_range(lines[0], 20, 44); /* that one begins, and that it is through */
    assert_in_range(lines[1], 10, 22);
    scene_close(scene);
}

static void a_rate_is_kept(void **state)
{
    (void)state;
    struct scene *scene = scene_open(24);
    struct side *source = &scene->sides[0];
    sync_close(source->sync);
    source->sync = sync_open(&(struct sync_setup){.store = source->store,
                                                  .links = &source->links,
                                                  .log = &source->log,
                                                  .stats = &source->stats,
                                                  .window_bytes = 1u << 20,
                                                  .rate_bytes_s = 100000});
    (void)led_scene(scene);
    const uint32_t slots = 60;
    for (uint32_t slot = 0; slot < slots; slot++) {
        copy_lead(source->store, slot, scene->epoch);
        for (int i = 0; i < 60; i++)
            write_one(source, slot, i % KEYS, WROTE_ITEM, false);
        offer_to(source, slot, 1);
    }
    uint64_t began_ms = scene->now.mono_ms;
    uint32_t synced = 0;
    for (int turn = 0; turn < 20000 && synced < slots; turn++) {
        settle(scene);
        for (synced = 0; synced < slots && state_of(source, synced, 1) == SYNC_SYNCED; synced++)
            ;
        uint64_t deadline = sync_deadline(source->sync);
        assert_true(synced == slots || deadline < UINT64_MAX);
        if (synced < slots)
            scene->now.mono_ms = deadline;
    }
    assert_int_equal(synced, slots);
    uint64_t ms = scene->now.mono_ms - began_ms, bytes = source->stats.sync_bytes_sent;
    assert_true(bytes > 150000);
    /* What may go at once, at the beginning, does not count. */
    assert_true((bytes - 64 * 1024) * 1000 <= (ms + 100) * 105000);
    scene_close(scene);
}

static void a_large_value_goes_in_pieces(void **state)
{
    (void)state;
    struct scene *scene = scene_open(25);
    struct side *source = led_scene(scene), *backup = &scene->sides[1];
    const size_t len = 5u << 20;
    char *bytes = malloc(len);
    memset(bytes, 'x', len);
    struct key_text text;
    struct store_key key = key_of(&text, SLOT, 0);
    assert_int_equal(
        store_put(source->store, &key, &(struct store_put){.head = span_of(bytes, len)}, NULL),
        ERR_OK);
    offer_to(source, SLOT, 1);
    settle(scene);
    struct store_item item;
    assert_true(store_get(backup->store, &key, &item));
    assert_true(span_equal(item.value, span_of(bytes, len)));
    /* And as a write, to one that has no room for it: the session ends, and nothing else does. */
    assert_true(has_event(source, SYNC_BECAME));
    backup->budget.limit_bytes = 0;
    backup->budget.used_bytes += 32u << 20;
    put_large(source, len);
    uint64_t number = sync_mark(source->sync, peer_to(source, 1));
    settle(scene);
    assert_int_equal(await(source, SYNC_ENDED).why, SYNC_ENDED_FULL);
    assert_true(await(source, SYNC_ACKED).number == number);
    backup->budget.used_bytes -= 32u << 20;
    free(bytes);
    scene_close(scene);
}

/* --- everything at once ----------------------------------------------------------------------- */

#define PLAY_SLOTS 3
static const uint32_t play_slots[PLAY_SLOTS] = {17, SLOT, SLOT_COUNT - 1};

enum led_state { LED_COLLECTING, LED_PULLING, LED_LEADING };

/* A slot in the present epoch, as its primary would see it. */
struct led {
    int primary;
    enum led_state state;
    uint32_t origin_act;
    bool is_origin_clean;
    bool has_written;
    uint64_t acked; /* by the primary and another, in any epoch */
};

struct play {
    struct scene *scene;
    struct led led[PLAY_SLOTS];
    bool is_healing;
};

static struct side *primary_of(struct play *play, int at)
{
    return &play->scene->sides[play->led[at].primary];
}

/* An ADVANCE if the link is up, else an offer. */
static void try_to_advance(struct play *play, int at, struct side *side, uint32_t peer)
{
    struct led *led = &play->led[at];
    mean_only(&play_slots[at], 1);
    struct sync_check check = {.slot = (uint16_t)play_slots[at],
                               .ver = store_ver(side->store, play_slots[at])};
    struct sync_advance advance = {
        .act = led->origin_act, .slots = slots_meant, .checks = &check, .check_count = 1};
    int other = side_at(side, peer);
    if (sync_advance(side->sync, peer, generation_of(other), &advance, play->scene->now) == 0)
        offer_to(side, play_slots[at], other);
}

/* "Record act = e', clean. Only now the backups are approached." */
static void lead(struct play *play, int at, uint32_t origin_act, bool is_clean)
{
    struct led *led = &play->led[at];
    struct side *side = primary_of(play, at);
    const struct copy *copy = store_copy(side->store, play_slots[at]);
    assert_true(led->acked == 0 || covers(copy, led->acked));
    copy_lead(side->store, play_slots[at], play->scene->epoch);
    led->state = LED_LEADING;
    led->origin_act = origin_act;
    led->is_origin_clean = is_clean;
    led->has_written = false;
    for (int other = 0; other < SIDES; other++) {
        if (other == side->number)
            continue;
        if (is_clean && draw(play->scene, 3) > 0)
            try_to_advance(play, at, side, peer_to(side, other));
        else
            offer_to(side, play_slots[at], other);
    }
}

/* The own answer and another's are two of three, enough for every epoch: all have that group. */
static void collect(struct play *play, int at)
{
    struct led *led = &play->led[at];
    struct side *side = primary_of(play, at);
    int other = (side->number + 1 + (int)draw(play->scene, SIDES - 1)) % SIDES;
    struct side *answers[] = {side, &play->scene->sides[other]};
    const struct copy *own = store_copy(answers[0]->store, play_slots[at]);
    uint32_t own_act = own->act;
    bool own_clean = own->is_clean;
    const struct copy *its = store_copy(answers[1]->store, play_slots[at]);
    uint64_t own_ver = store_ver(answers[0]->store, play_slots[at]);
    uint64_t its_ver = store_ver(answers[1]->store, play_slots[at]);
    if (its->act > own_act || (its->act == own_act && its_ver > own_ver)) {
        led->state = LED_PULLING;
        sync_pull(side->sync, play_slots[at], peer_to(side, other), generation_of(other), its->act,
                  its_ver, play->scene->now);
    } else {
        lead(play, at, own_act, own_clean);
    }
}

static int play_slot_of(uint32_t slot)
{
    for (int at = 0; at < PLAY_SLOTS; at++)
        if (play_slots[at] == slot)
            return at;
    fail();
    return -1;
}

static void take_events(struct play *play, struct side *side)
{
    struct sync_event event;
    while (sync_take_event(side->sync, &event)) {
        int at =
            event.change == SYNC_UP || event.change == SYNC_ACKED ? 0 : play_slot_of(event.slot);
        struct led *led = &play->led[at];
        switch (event.change) {
        case SYNC_PULLED:
            assert_int_equal(led->state, LED_PULLING);
            lead(play, at, event.act, event.is_clean);
            break;
        case SYNC_PULL_FAILED:
            assert_int_equal(led->state, LED_PULLING);
            collect(play, at);
            break;
        case SYNC_ENDED:
            assert_int_equal(led->primary, side->number);
            if (!led->has_written && led->is_origin_clean && draw(play->scene, 2))
                try_to_advance(play, at, side, event.peer);
            else
                offer_to(side, event.slot, side_at(side, event.peer));
            break;
        default:
            break;
        }
    }
}

/* What the primary and one synced backup have is acknowledged. */
static void note_acked(struct play *play)
{
    for (int at = 0; at < PLAY_SLOTS; at++) {
        struct side *side = primary_of(play, at);
        if (play->led[at].state != LED_LEADING)
            continue;
        for (int other = 0; other < SIDES; other++) {
            uint64_t acked = other == side->number ? 0 : acked_of(side, play_slots[at], other);
            if (acked > play->led[at].acked)
                play->led[at].acked = acked;
        }
    }
}

static void begin_epoch(struct play *play)
{
    struct scene *scene = play->scene;
    scene_place(scene, 0);
    for (int at = 0; at < PLAY_SLOTS; at++) {
        play->led[at].primary = (int)draw(scene, SIDES);
        play->led[at].state = LED_COLLECTING;
        scene_ring(scene)->primary[play_slots[at]] = (uint16_t)play->led[at].primary;
    }
    scene_seal(scene);
    for (int at = 0; at < PLAY_SLOTS; at++)
        collect(play, at);
}

static void write_at_random(struct play *play, int at)
{
    struct led *led = &play->led[at];
    struct scene *scene = play->scene;
    if (led->state != LED_LEADING || scene->write_count == WRITES_MAX)
        return;
    static const enum written kinds[] = {WROTE_ITEM, WROTE_ITEM,      WROTE_ITEM,   WROTE_TOMBSTONE,
                                         WROTE_ITEM, WROTE_TOMBSTONE, WROTE_NOTHING};
    bool is_flush = draw(scene, 40) == 0;
    write_one(primary_of(play, at), play_slots[at], (int)draw(scene, KEYS),
              is_flush ? WROTE_FLUSH : kinds[draw(scene, ARRAY_COUNT(kinds))], draw(scene, 4) == 0);
    led->has_written = true;
}

/* "The primary of an active slot may raise floor to f if …" */
static void raise_floor(struct play *play, int at)
{
    struct led *led = &play->led[at];
    struct side *side = primary_of(play, at);
    if (led->state != LED_LEADING)
        return;
    uint64_t floor = sync_floor_max(side->sync, play_slots[at]);
    for (int other = 0; other < SIDES; other++) {
        uint64_t acked = other == side->number ? UINT64_MAX : acked_of(side, play_slots[at], other);
        floor = acked < floor ? acked : floor;
    }
    if (floor <= store_copy(side->store, play_slots[at])->floor)
        return;
    copy_raise_floor(side->store, play_slots[at], floor);
    sync_floor(side->sync, play_slots[at], floor);
}

static void arrive_at_random(struct scene *scene)
{
    uint32_t first = draw(scene, 2 * WIRES);
    for (uint32_t i = 0; i < 2 * WIRES; i++) {
        uint32_t at = (first + i) % (2 * WIRES);
        if (arrive(scene, &scene->wires[at / 2], (int)at % 2))
            return;
    }
}

static void step(struct play *play)
{
    struct scene *scene = play->scene;
    uint32_t kind = draw(scene, 100);
    scene->now.mono_ms += draw(scene, 5);
    if (kind < 50)
        arrive_at_random(scene);
    else if (kind < 70)
        sync_flush(scene->sides[draw(scene, SIDES)].sync, scene->now);
    else if (kind < 88)
        write_at_random(play, (int)draw(scene, PLAY_SLOTS));
    else if (kind < 92)
        raise_floor(play, (int)draw(scene, PLAY_SLOTS));
    else if (kind < 94)
        break_wire(scene, &scene->wires[draw(scene, WIRES)]);
    else if (kind < 96)
        (void)learn_of_close(scene, &scene->wires[draw(scene, WIRES)]);
    else if (kind == 96 && draw(scene, 6) == 0)
        begin_epoch(play);
    else if (kind < 99)
        sync_tick(scene->sides[draw(scene, SIDES)].sync, scene->now);
    for (int i = 0; i < SIDES; i++)
        take_events(play, &scene->sides[i]);
    note_acked(play);
}

static void check_all(struct play *play)
{
    for (int i = 0; i < SIDES; i++) {
        struct side *side = &play->scene->sides[i];
        for (int at = 0; at < PLAY_SLOTS; at++)
            check_copy(side, play_slots[at]);
        sync_check(side->sync);
    }
}

/* Faults over: all become synced, and equal. */
static void heal(struct play *play)
{
    struct scene *scene = play->scene;
    begin_epoch(play);
    for (int round = 0; round < 20; round++) {
        scene->now.mono_ms += 2000;
        settle(scene);
        for (int i = 0; i < SIDES; i++) {
            sync_tick(scene->sides[i].sync, scene->now);
            take_events(play, &scene->sides[i]);
        }
    }
    for (int at = 0; at < PLAY_SLOTS; at++)
        for (int other = 0; other < SIDES; other++)
            if (other != play->led[at].primary) {
                assert_int_equal(state_of(primary_of(play, at), play_slots[at], other),
                                 SYNC_SYNCED);
                check_equal(primary_of(play, at), &scene->sides[other], play_slots[at]);
            }
}

static void play_one(uint64_t seed, int steps)
{
    struct play play = {.scene = scene_open(seed)};
    play.scene->cuts = true;
    begin_epoch(&play);
    for (int i = 0; i < steps; i++) {
        step(&play);
        if (i % 8 == 0)
            check_all(&play);
    }
    heal(&play);
    check_all(&play);
    scene_close(play.scene);
}

static void whatever_happens_every_copy_is_correct_for_what_it_states(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++)
        play_one(seed, 1500);
}

int main(int argc, char **argv)
{
    if (argc == 3) { /* test_sync SEED STEPS: repeats one play */
        play_one(strtoull(argv[1], NULL, 0), atoi(argv[2]));
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_brings_a_copy_to_the_sources_and_keeps_it_there),
        cmocka_unit_test(writes_from_start_on_come_too_and_nothing_is_acknowledged_before_end),
        cmocka_unit_test(a_tail_that_the_source_lacks_is_replaced_key_by_key),
        cmocka_unit_test(a_copy_below_the_floor_is_emptied_first),
        cmocka_unit_test(a_key_that_the_source_has_forgotten_raises_the_floor_at_once),
        cmocka_unit_test(a_key_that_the_source_never_had_raises_no_floor_above_its_own),
        cmocka_unit_test(a_floor_that_passed_common_meanwhile_makes_the_source_offer_anew),
        cmocka_unit_test(a_write_that_is_not_the_next_one_ends_the_session),
        cmocka_unit_test(what_no_source_may_say_ends_the_link),
        cmocka_unit_test(a_backup_without_memory_ends_the_session_as_full),
        cmocka_unit_test(a_mark_is_acknowledged_when_all_before_it_is_applied),
        cmocka_unit_test(a_write_that_nobody_waits_for_waits_for_more_a_moment),
        cmocka_unit_test(what_is_hurried_or_much_is_sent_at_once),
        cmocka_unit_test(a_floor_goes_to_the_synced),
        cmocka_unit_test(what_expires_travels_as_time_left),
        cmocka_unit_test(another_process_of_that_name_gets_nothing),
        cmocka_unit_test(only_the_primary_of_this_epoch_may_offer),
        cmocka_unit_test(who_refuses_takes_no_session),
        cmocka_unit_test(a_stream_of_a_view_not_adopted_yet_waits_for_it),
        cmocka_unit_test(a_large_write_to_one_that_has_not_adopted_the_view_ends_nothing),
        cmocka_unit_test(a_stream_of_a_lower_epoch_is_stale),
        cmocka_unit_test(a_stream_of_an_epoch_that_is_passed_over_is_stale),
        cmocka_unit_test(sealing_ends_everything_without_a_word),
        cmocka_unit_test(advance_means_every_slot_that_is_the_same_and_no_other),
        cmocka_unit_test(a_copy_of_another_act_is_not_advanced),
        cmocka_unit_test(one_advance_and_one_acknowledgement_whatever_the_number_of_slots),
        cmocka_unit_test(a_primary_pulls_the_copy_that_it_has_chosen),
        cmocka_unit_test(a_copy_that_has_moved_is_not_pulled),
        cmocka_unit_test(a_pull_of_which_nothing_comes_fails_in_time),
        cmocka_unit_test(a_pull_of_which_nothing_comes_fails_whatever_else_does),
        cmocka_unit_test(a_pulled_copy_comes_although_the_way_of_its_offer_broke),
        cmocka_unit_test(a_pulled_copy_comes_whole_after_its_way_broke_in_the_middle),
        cmocka_unit_test(a_receiver_that_is_silent_loses_its_sessions),
        cmocka_unit_test(a_receiver_learns_that_it_is_synced_no_more),
        cmocka_unit_test(a_receiver_is_silent_if_only_its_own_stream_comes),
        cmocka_unit_test(a_newer_connection_ends_what_came_by_the_older),
        cmocka_unit_test(the_smaller_the_slots_the_more_sessions_are_open),
        cmocka_unit_test(many_sessions_take_turns),
        cmocka_unit_test(no_more_than_a_window_of_items_is_under_way),
        cmocka_unit_test(a_turn_sends_a_bounded_number_of_items_and_the_next_follows_at_once),
        cmocka_unit_test(while_clients_are_served_items_go_in_small_pieces_one_at_a_time),
        cmocka_unit_test(a_piece_goes_in_another_turn_than_answers_if_one_comes_soon),
        cmocka_unit_test(a_piece_waits_while_requests_wait_for_other_copies),
        cmocka_unit_test(a_piece_is_longer_than_its_bytes_by_one_item_at_most),
        cmocka_unit_test(a_copy_is_sent_whole_whatever_is_written_meanwhile),
        cmocka_unit_test(what_clients_wait_for_goes_as_fast_as_it_can_while_others_are_served),
        cmocka_unit_test(a_session_that_clients_wait_for_no_longer_goes_after_others),
        cmocka_unit_test(the_tables_of_many_slots_are_made_at_once),
        cmocka_unit_test(a_source_whose_rate_is_used_up_rests_while_clients_are_served),
        cmocka_unit_test(a_copy_is_walked_when_its_session_s_turn_to_send_has_come),
        cmocka_unit_test(a_broken_connection_costs_what_was_under_way_at_most),
        cmocka_unit_test(who_only_learns_waits_until_the_copies_that_are_there_are_current),
        cmocka_unit_test(
            while_clients_are_served_what_they_do_not_wait_for_waits_until_a_view_has_settled),
        cmocka_unit_test(copies_that_are_the_same_are_no_news),
        cmocka_unit_test(of_sessions_with_a_peer_there_is_a_line_in_some_seconds),
        cmocka_unit_test(a_rate_is_kept),
        cmocka_unit_test(a_large_value_goes_in_pieces),
        cmocka_unit_test(whatever_happens_every_copy_is_correct_for_what_it_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
