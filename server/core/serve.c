#include "server/core/serve.h"

#include "common/check.h"
#include "common/mutant.h"
#include "server/core/command.h"
#include "server/store/copy.h"

#include <stdlib.h>
#include <string.h>

/* Free pendings that keep their memory, and how much each. */
#define FREE_MAX            4096u
#define KEPT_BYTES_MAX      4096u
#define ID_ANSWER_BYTES_MAX 4096u
/* How long requests are executed although the fence has fallen: the question that raises it again
 * has been asked, and their answers wait for it. */
#define FENCE_HOPE_MS 100u

void serve_init(struct serve *serve, const struct serve_setup *setup)
{
    *serve = (struct serve){.setup = *setup, .slots = calloc(SLOT_COUNT, sizeof(struct list))};
    CHECK(serve->slots != NULL);
    list_init(&serve->by_deadline);
    list_init(&serve->safe);
    list_init(&serve->over);
    list_init(&serve->free);
    list_init(&serve->flushes);
}

/* ---- the pool ---- */

static void release_memory(struct pending *pending)
{
    reply_close(&pending->answer);
    buf_close(&pending->words);
    free(pending);
}

static struct pending *take(struct serve *serve, uint32_t slot, uint64_t deadline_ms)
{
    struct list *first = list_first(&serve->free);
    struct pending *pending =
        first ? CONTAINER_OF(first, struct pending, in_state) : calloc(1, sizeof(*pending));
    CHECK(pending != NULL);
    if (first) {
        list_remove(first);
        serve->free_count--;
    }
    CHECK(reply_len(&pending->answer) == 0);
    pending->state = PENDING_WAITING;
    pending->slot = slot;
    pending->version = 0;
    pending->begun_ms = serve->now_ms;
    pending->deadline_ms = deadline_ms;
    pending->flush = NULL;
    pending->is_write = true;
    pending->is_effective = false;
    pending->is_forwarded = pending->wants_direct = false;
    pending->text_len = 0;
    for (uint32_t i = 0; i < RUN_BACKUPS_MAX; i++)
        pending->awaited[i] = (struct awaited){.pending = pending, .peer = PEER_NONE};
    struct list *at = serve->by_deadline.prev; /* most often the last */
    while (at != &serve->by_deadline &&
           CONTAINER_OF(at, struct pending, by_deadline)->deadline_ms > deadline_ms)
        at = at->prev;
    list_append(at->next, &pending->by_deadline);
    serve->count++;
    serve->waiting_count++;
    return pending;
}

void serve_free(struct serve *serve, struct pending *pending)
{
    CHECK(!list_is_linked(&pending->in_state));
    CHECK(!list_is_linked(&pending->by_deadline));
    serve->count--;
    if (serve->free_count >= FREE_MAX) {
        release_memory(pending);
        return;
    }
    if (pending->answer.piece_count > 0 || pending->answer.bytes.capacity > KEPT_BYTES_MAX)
        reply_close(&pending->answer);
    else
        reply_consume(&pending->answer, reply_len(&pending->answer));
    if (pending->words.capacity > KEPT_BYTES_MAX)
        buf_close(&pending->words);
    else
        buf_consume(&pending->words, buf_len(&pending->words));
    list_prepend(&serve->free, &pending->in_state);
    serve->free_count++;
}

void serve_close(struct serve *serve)
{
    struct list *at;
    while (serve->slots && (at = list_first(&serve->by_deadline))) {
        struct pending *pending = CONTAINER_OF(at, struct pending, by_deadline);
        list_remove(at);
        release_memory(pending);
    }
    while (serve->slots && (at = list_first(&serve->over))) {
        list_remove(at);
        release_memory(CONTAINER_OF(at, struct pending, in_state));
    }
    while (serve->slots && (at = list_first(&serve->free))) {
        list_remove(at);
        release_memory(CONTAINER_OF(at, struct pending, in_state));
    }
    while (serve->slots && (at = list_first(&serve->flushes))) {
        struct flush *flush = CONTAINER_OF(at, struct flush, in_list);
        list_remove(at);
        if (flush->gather)
            coord_flushed(serve->setup.coord, flush->gather, NULL);
        free(flush);
    }
    free(serve->slots);
    free(serve->queues);
    free(serve->marked);
    *serve = (struct serve){0};
}

/* ---- states ---- */

static void leave_queue(struct awaited *awaited)
{
    list_remove(&awaited->in_queue);
    awaited->peer = PEER_NONE;
}

/* It waits for copies no more. */
static void leave_queues(struct serve *serve, struct pending *pending)
{
    serve->waiting_count -= pending->state == PENDING_WAITING;
    for (uint32_t i = 0; i < RUN_BACKUPS_MAX; i++)
        leave_queue(&pending->awaited[i]);
}

static struct awaited *find_awaited(struct pending *pending, uint32_t peer)
{
    for (uint32_t i = 0; i < RUN_BACKUPS_MAX; i++)
        if (pending->awaited[i].peer == peer)
            return &pending->awaited[i];
    return NULL;
}

static void become_over(struct serve *serve, struct pending *pending, enum pending_fate fate)
{
    leave_queues(serve, pending);
    list_remove(&pending->in_state);
    list_remove(&pending->by_deadline);
    pending->state = PENDING_OVER;
    pending->fate = fate;
    list_append(&serve->over, &pending->in_state);
}

static void become_safe(struct serve *serve, struct pending *pending)
{
    leave_queues(serve, pending);
    list_remove(&pending->in_state);
    pending->state = PENDING_SAFE;
    list_append(&serve->safe, &pending->in_state);
}

static struct list *slot_list(struct serve *serve, uint32_t slot)
{
    struct list *list = &serve->slots[slot];
    if (UNLIKELY(!list->next))
        list_init(list);
    return list;
}

/* The peer's queue is looked at at the end of the turn. */
static void look_at_end(struct serve *serve, uint32_t peer)
{
    struct queue *queue = &serve->queues[peer];
    if (queue->is_marked)
        return;
    queue->is_marked = true;
    serve->marked[serve->marked_count++] = peer;
}

/* A record of this number in the peer's stream, acknowledged, counts for the pending. */
static void join_queue(struct serve *serve, struct pending *pending, uint32_t peer, uint64_t number)
{
    struct awaited *awaited = find_awaited(pending, PEER_NONE);
    CHECK(awaited != NULL);
    CHECK(peer < serve->queue_count);
    struct queue *queue = &serve->queues[peer];
    awaited->peer = peer;
    awaited->number = number;
    list_append(&queue->waiting, &awaited->in_queue);
    if (number > queue->wanted)
        queue->wanted = number;
    if (number > sync_position(serve->setup.sync, peer))
        look_at_end(serve, peer);
}

/* As few streams as will do are sent at the end of the turn for what has been executed in it: those
 * that are sent anyway first. The others follow when somebody needs them, or a moment later: so
 * most acknowledgements that nobody waits for are those of many turns at once. */
static void hurry(struct serve *serve, const struct pending *pending)
{
    uint32_t missing = pending->needed;
    for (uint32_t i = 0; i < RUN_BACKUPS_MAX && missing > 0; i++)
        if (pending->awaited[i].peer != PEER_NONE)
            missing -= serve->queues[pending->awaited[i].peer].is_hurried;
    for (uint32_t i = 0; i < RUN_BACKUPS_MAX && missing > 0; i++) {
        uint32_t peer = pending->awaited[i].peer;
        if (peer == PEER_NONE || serve->queues[peer].is_hurried)
            continue;
        serve->queues[peer].is_hurried = true;
        look_at_end(serve, peer);
        missing--;
    }
}

/* ---- what is written ---- */

/* The last write of a slot that has been told. */
struct told {
    uint32_t slot;
    uint64_t version;
};

static void tell(struct serve *serve, const struct sync_write *write)
{
    if (MUTANT(write_aside) && write->version % 16 == 5)
        return;
    sync_write(serve->setup.sync, write);
    if (UNLIKELY(store_version_seq(write->version) >= STORE_SEQ_LAST) &&
        primary_run(serve->setup.primary, write->slot))
        primary_note_write(serve->setup.primary, write->slot, write->version);
}

/* The same of the key alone. */
static void tell_key(struct serve *serve, uint32_t slot, uint64_t version,
                     const struct store_key *key)
{
    tell(serve, &(struct sync_write){
                    .what = SYNC_WRITE_KEY, .slot = slot, .version = version, .key = key});
}

/* "Expiry and eviction are deletes that the primary makes": with the slot's next version each, so
 * they are told before anything else is written. What a backup's work here has evicted is told at
 * the end of the turn at the latest. */
static void tell_all_evicted(struct serve *serve, struct told *told)
{
    struct store *store = serve->setup.store;
    struct store_key borrowed;
    while (store_take_evicted(store, &borrowed)) {
        char bytes[KEY_BYTES_MAX + 5];
        struct store_key key = borrowed;
        struct store_item item;
        CHECK(key.bytes.len <= sizeof(bytes));
        memcpy(bytes, key.bytes.data, key.bytes.len);
        key.bytes.data = bytes;
        uint32_t slot = position_slot(key.position);
        if (store_find(store, &key, &item) == STORE_NONE)
            continue; /* led alone */
        tell_key(serve, slot, item.version, &key);
        if (told && told->slot == slot)
            told->version = item.version;
    }
}

static void tell_evicted(struct serve *serve, struct told *told)
{
    if (UNLIKELY(store_has_evicted(serve->setup.store)) && (told || !MUTANT(evicted_late)))
        tell_all_evicted(serve, told);
}

void serve_told_alone(struct serve *serve, uint32_t slot)
{
    uint64_t version = store_ver(serve->setup.store, slot);
    if (UNLIKELY(store_version_seq(version) >= STORE_SEQ_LAST))
        primary_note_write(serve->setup.primary, slot, version);
    tell_evicted(serve, NULL);
}

/* An item that a call met expired is absent for good, and that is a write. */
static void tell_expired(struct serve *serve, const struct store_key *key, struct told *told)
{
    struct store *store = serve->setup.store;
    if (LIKELY(!store_take_saw_expired(store)) || MUTANT(expiry_untold) ||
        !store_expire(store, key))
        return;
    told->version = store_ver(store, told->slot);
    tell_key(serve, told->slot, told->version, key);
}

/* Tells the write that a command has made of its key. Returns its version; 0: it made none. */
static uint64_t tell_command(struct serve *serve, const struct store_key *key, struct told *told)
{
    uint64_t version = store_ver(serve->setup.store, told->slot);
    if (version == told->version)
        return 0;
    told->version = version;
    tell_key(serve, told->slot, version, key);
    return version;
}

/* ---- request ids ---- */

static void id_digest(const struct request *request, struct digest *digest)
{
    digest_of(request_without_id(request), digest);
}

/* Answers from an entry that is there: "a repeated id from there (like a read, with its marker)".
 */
static void answer_again(const struct request *request, const struct store_id *entry,
                         struct reply *out)
{
    struct digest digest;
    id_digest(request, &digest);
    if (memcmp(&digest, &entry->digest, sizeof(digest)) == 0)
        reply_append(out, entry->answer);
    else
        reply_append(out, SPAN_LITERAL("CLIENT_ERROR request id used for another command\r\n"));
}

/* Whether a command found no memory: then nothing is kept, and its repetition is a first. */
static bool is_full(struct reply *answer)
{
    reply_own(answer);
    return span_equal(buf_span(&answer->bytes), outcome_error(OUTCOME_FULL));
}

/* Executes a command that carries an id for the first time: "A command with an id whose answer is a
 * refusal is a write that changes nothing: version, stream, W." Returns its version, 0 if there was
 * no memory. */
static uint64_t run_with_id(struct serve *serve, const struct request *request,
                            const struct store_key *key, struct told *told, struct reply *out)
{
    struct store *store = serve->setup.store;
    if (store_id_reserve(store, ID_ANSWER_BYTES_MAX) != ERR_OK) {
        serve->setup.stats->store_no_memory++;
        reply_append(out, SPAN_LITERAL("SERVER_ERROR not done: out of memory for request ids\r\n"));
        return 0;
    }
    tell_evicted(serve, told);
    command_execute(serve->setup.executor, request, key, out);
    tell_evicted(serve, told);
    uint64_t version = store_ver(store, told->slot);
    bool has_written = version != told->version;
    if (!has_written && is_full(out))
        return 0;
    if (!has_written) {
        tell_expired(serve, key, told);
        version = store_write_nothing(store, told->slot);
    }
    struct store_id entry = {.id = request->once, .version = version, .left_s = STORE_ID_KEEP_S};
    reply_own(out);
    entry.answer = buf_span(&out->bytes);
    id_digest(request, &entry.digest);
    enum err err = store_id_add(store, key, &entry);
    CHECK(err == ERR_OK); /* reserved */
    told->version = version;
    tell(serve, &(struct sync_write){.what = has_written ? SYNC_WRITE_KEY : SYNC_WRITE_NOTHING,
                                     .slot = told->slot,
                                     .version = version,
                                     .key = key,
                                     .id = request->once});
    return version;
}

static uint64_t run_once(struct serve *serve, const struct request *request,
                         const struct store_key *key, struct told *told, struct reply *out)
{
    struct store_id entry;
    if (!store_id_find(serve->setup.store, told->slot, request->once, NULL, &entry))
        return run_with_id(serve, request, key, told, out);
    answer_again(request, &entry, out);
    return 0;
}

/* ---- requests ---- */

void serve_begin(struct serve *serve, struct moment now)
{
    serve->now_ms = now.mono_ms;
    views_want_fence(serve->setup.views, now);
    serve->has_fence = views_has_fence(serve->setup.views, now);
    serve->holds_writes = views_holds_writes(serve->setup.views, now);
}

enum serve_how serve_how_else(struct serve *serve, const struct request *request, uint32_t slot,
                              struct moment now)
{
    enum serving serving = primary_serving(serve->setup.primary, slot);
    if (UNLIKELY(serving == SERVING_NOT))
        return SERVE_LATER;
    /* "while fewer than W can store, writes are refused as out of memory before they are executed"
     */
    if (UNLIKELY(serving == SERVING_FULL))
        return request_is_write(request) ? SERVE_NO_MEMORY : SERVE_LATER;
    if (LIKELY(serve->has_fence)) {
        serve->hope_ms = 0;
    } else {
        if (serve->hope_ms == 0)
            serve->hope_ms = now.mono_ms + FENCE_HOPE_MS;
        if (now.mono_ms >= serve->hope_ms)
            return SERVE_LATER;
        serving = SERVING_COPIED; /* its answer has to wait */
    }
    if (serving == SERVING_ALONE && LIKELY(request->once.len == 0))
        return SERVE_ALONE;
    if (UNLIKELY(serve->count >= PENDINGS_MAX))
        return SERVE_BUSY;
    if (UNLIKELY(serve->holds_writes || sync_is_congested(serve->setup.sync, slot)) &&
        request_is_write(request))
        return SERVE_LATER;
    return SERVE_PENDING;
}

/* "It answers when it has recorded the write itself and W-1 synced backups have acknowledged that
 * version"; a read is "answered when … W-1 backups have acknowledged the marker". */
static void await(struct serve *serve, struct pending *pending)
{
    const struct primary *primary = serve->setup.primary;
    const struct listeners *listeners = &primary->listeners[pending->slot];
    CHECK(listeners->is_led);
    pending->needed = listeners->acks;
    if (pending->needed == 0 || (MUTANT(read_unmarked) && pending->version == 0) ||
        (MUTANT(refusal_unmarked) && pending->is_write && pending->version == 0) ||
        (MUTANT(write_unacked) && pending->version != 0)) {
        become_safe(serve, pending);
        return;
    }
    list_append(slot_list(serve, pending->slot), &pending->in_state);
    for (uint32_t k = 0; k < listeners->count; k++) {
        uint32_t peer = primary->allies[listeners->members[k]].peer;
        uint64_t position = sync_position(serve->setup.sync, peer);
        bool is_enough = pending->version != 0 || MUTANT(marker_before);
        join_queue(serve, pending, peer, is_enough ? position : position + 1);
    }
    hurry(serve, pending);
}

struct pending *serve_run(struct serve *serve, const struct request *request,
                          const struct store_key *key, uint64_t deadline_ms)
{
    struct store *store = serve->setup.store;
    tell_evicted(serve, NULL);
    struct pending *pending = take(serve, position_slot(key->position), deadline_ms);
    struct told told = {.slot = pending->slot, .version = store_ver(store, pending->slot)};
    struct reply *out = &pending->answer;
    pending->is_write = request_is_write(request);
    if (UNLIKELY(request->once.len > 0)) {
        pending->version = run_once(serve, request, key, &told, out);
    } else {
        command_execute(serve->setup.executor, request, key, out);
        tell_evicted(serve, &told);
        pending->version = tell_command(serve, key, &told);
    }
    pending->is_effective = pending->version != 0;
    uint64_t before = told.version;
    tell_expired(serve, key, &told);
    if (told.version != before)
        pending->version = told.version;
    if (UNLIKELY(out->piece_count > 0))
        reply_own(out);
    await(serve, pending);
    return pending;
}

/* ---- flush_all ---- */

static bool bit_is_set(const uint8_t *bits, uint32_t slot)
{
    return bits[slot / 8] & 1u << slot % 8;
}

static void bit_set(uint8_t *bits, uint32_t slot, bool is_set)
{
    uint8_t bit = (uint8_t)(1u << slot % 8);
    bits[slot / 8] = (uint8_t)(is_set ? bits[slot / 8] | bit : bits[slot / 8] & ~bit);
}

static bool has_bits(const uint8_t *bits)
{
    for (uint32_t i = 0; i < FLUSHED_BYTES; i++)
        if (bits[i])
            return true;
    return false;
}

/* Puts the write of one slot, with its id. */
static void write_flush(struct serve *serve, struct flush *flush, struct pending *pending)
{
    struct store *store = serve->setup.store;
    struct store_key key = store_flush_key(pending->slot);
    struct span id = span_of(flush->id, flush->id_len);
    pending->version = store_flush_slot(store, pending->slot, flush->delay_s);
    pending->is_effective = true;
    serve->setup.primary->has_flushed = true;
    const struct store_id entry = {.id = id,
                                   .digest = flush->id_digest,
                                   .version = pending->version,
                                   .answer = SPAN_LITERAL("OK\r\n"),
                                   .left_s = STORE_ID_KEEP_S};
    enum err err = id.len > 0 ? store_id_add(store, &key, &entry) : ERR_OK;
    CHECK(err == ERR_OK); /* reserved */
    tell(serve, &(struct sync_write){.what = SYNC_WRITE_FLUSH,
                                     .slot = pending->slot,
                                     .version = pending->version,
                                     .id = id});
}

/* The write of one slot. "One [an id] that does not fit makes the command 'not done'": without it
 * the repetition would flush what has been written since. */
static void flush_slot(struct serve *serve, struct flush *flush, uint32_t slot)
{
    struct store *store = serve->setup.store;
    struct store_id entry;
    struct span id = span_of(flush->id, flush->id_len);
    bit_set(flush->todo, slot, false);
    struct pending *pending = take(serve, slot, flush->deadline_ms);
    pending->flush = flush;
    flush->open++;
    bool is_known = id.len > 0 && !MUTANT(flush_twice) &&
                    store_id_find(store, slot, id, NULL, &entry) &&
                    memcmp(&entry.digest, &flush->id_digest, sizeof(entry.digest)) == 0;
    if (!is_known && id.len > 0 && store_id_reserve(store, ID_ANSWER_BYTES_MAX) != ERR_OK) {
        serve->setup.stats->store_no_memory++;
        become_over(serve, pending, FATE_NOT_DONE);
        return;
    }
    tell_evicted(serve, NULL);
    if (!is_known)
        write_flush(serve, flush, pending);
    await(serve, pending);
}

static bool can_flush(const struct serve *serve, uint32_t slot)
{
    enum serving serving = primary_serving(serve->setup.primary, slot);
    return serving == SERVING_ALONE || serving == SERVING_COPIED;
}

/* Ends a flush of which nothing is open any more. */
static void look_at_flush(struct flush *flush, bool is_late)
{
    bool is_waiting = flush->is_early || has_bits(flush->todo);
    if (flush->is_over || flush->open > 0 || (!is_late && is_waiting))
        return;
    flush->is_over = true;
}

/* Notes this node's part: what it leads, and led in the view by which the flush was sent. */
static void note_todo(struct serve *serve, struct flush *flush)
{
    const struct primary *primary = serve->setup.primary;
    const struct links_identity *own = &serve->setup.links->identity;
    flush->is_early = flush->epoch > primary->epoch;
    const struct view *view = views_at(serve->setup.views, flush->epoch);
    if (flush->is_early || !view)
        return;
    const struct ring *ring = views_ring(serve->setup.views, flush->epoch);
    uint32_t self = view_find(view, span_of_string(own->name), own->generation);
    for (uint32_t i = 0; i < primary->run_count; i++)
        if (ring->primary[primary->runs[i].slot] == self)
            bit_set(flush->todo, primary->runs[i].slot, true);
}

struct flush *serve_flush_all(struct serve *serve, const struct request *request, uint32_t epoch,
                              uint64_t deadline_ms)
{
    struct primary *primary = serve->setup.primary;
    struct flush *flush = calloc(1, sizeof(*flush));
    CHECK(flush != NULL);
    CHECK(request->once.len <= sizeof(flush->id));
    flush->deadline_ms = deadline_ms;
    flush->epoch = epoch;
    flush->delay_s = command_flush_delay(serve->setup.executor, request);
    flush->id_len = (uint32_t)request->once.len;
    if (flush->id_len > 0) {
        memcpy(flush->id, request->once.data, flush->id_len);
        id_digest(request, &flush->id_digest);
    }
    list_append(&serve->flushes, &flush->in_list);
    note_todo(serve, flush);
    for (uint32_t i = 0; i < primary->run_count; i++)
        if (bit_is_set(flush->todo, primary->runs[i].slot) &&
            can_flush(serve, primary->runs[i].slot))
            flush_slot(serve, flush, primary->runs[i].slot);
    look_at_flush(flush, false);
    return flush;
}

struct flush *serve_take_flushed(struct serve *serve)
{
    for (struct list *at = serve->flushes.next; at != &serve->flushes; at = at->next) {
        struct flush *flush = CONTAINER_OF(at, struct flush, in_list);
        if (!flush->is_over)
            continue;
        list_remove(at);
        return flush;
    }
    return NULL;
}

/* One slot's part of a flush is over. */
static void flush_part_over(struct serve *serve, struct pending *pending)
{
    struct flush *flush = pending->flush;
    CHECK(flush->open > 0);
    flush->open--;
    if (pending->fate == FATE_DONE)
        bit_set(flush->done, pending->slot, true);
    look_at_flush(flush, false);
    serve_free(serve, pending);
}

/* ---- events ---- */

/* The session is synced: what waits in the slot is sent to it as well, and what is put into its
 * stream from here on tells that it has come. */
static void became(struct serve *serve, uint32_t slot, uint32_t peer)
{
    const struct primary *primary = serve->setup.primary;
    const struct run *run = primary_run(primary, slot);
    struct list *list = slot_list(serve, slot);
    bool is_backup = false;
    for (uint32_t k = 0; run && k < run->backup_count; k++)
        is_backup |= primary->allies[run->members[k]].peer == peer && (run->synced & 1u << k);
    if (!is_backup && !MUTANT(unsynced_counts))
        return; /* a learner counts for nothing */
    uint64_t number = sync_position(serve->setup.sync, peer) + 1;
    for (struct list *at = list->next; at != list; at = at->next) {
        struct pending *pending = CONTAINER_OF(at, struct pending, in_state);
        if (pending->state == PENDING_WAITING && !find_awaited(pending, peer))
            join_queue(serve, pending, peer, number);
    }
}

/* The session is no more: what it has acknowledged later does not count. Others have to. */
static void ended(struct serve *serve, uint32_t slot, uint32_t peer)
{
    struct list *list = slot_list(serve, slot);
    for (struct list *at = list->next; at != list; at = at->next) {
        struct pending *pending = CONTAINER_OF(at, struct pending, in_state);
        struct awaited *awaited = find_awaited(pending, peer);
        if (!awaited)
            continue;
        leave_queue(awaited);
        hurry(serve, pending);
    }
}

static void acked(struct serve *serve, uint32_t peer, uint64_t number)
{
    if (peer >= serve->queue_count)
        return;
    struct list *waiting = &serve->queues[peer].waiting;
    struct list *at;
    while ((at = list_first(waiting))) {
        struct awaited *awaited = CONTAINER_OF(at, struct awaited, in_queue);
        struct pending *pending = awaited->pending;
        if (awaited->number > number)
            return;
        leave_queue(awaited);
        CHECK(pending->needed > 0);
        if (--pending->needed == 0)
            become_safe(serve, pending);
    }
}

void serve_sync(struct serve *serve, const struct sync_event *event)
{
    switch (event->change) {
    case SYNC_BECAME:
        became(serve, event->slot, event->peer);
        break;
    case SYNC_ENDED:
        ended(serve, event->slot, event->peer);
        break;
    case SYNC_ACKED:
        acked(serve, event->peer, event->number);
        break;
    default:
        break;
    }
}

static void fit_queues(struct serve *serve)
{
    uint32_t count = serve->setup.links->peers_end;
    if (count > serve->queue_count) {
        serve->queues = realloc(serve->queues, count * sizeof(*serve->queues));
        CHECK(serve->queues != NULL);
        serve->queue_count = count;
    }
    free(serve->marked);
    serve->marked = calloc(serve->queue_count + 1, sizeof(*serve->marked));
    CHECK(serve->marked != NULL);
    serve->marked_count = 0;
    for (uint32_t i = 0; i < serve->queue_count; i++) {
        list_init(&serve->queues[i].waiting);
        serve->queues[i].wanted = 0;
        serve->queues[i].is_marked = serve->queues[i].is_hurried = false;
    }
}

/* "A write executed but not answered has an unknown outcome, and is reported so (or, if the node
 * leads the next active epoch, as in Lead)"; waiting reads may be repeated. */
static void seal(struct serve *serve, struct pending *pending)
{
    if (!pending->is_effective) {
        become_over(serve, pending, FATE_AGAIN);
    } else if (!primary_run(serve->setup.primary, pending->slot)) {
        become_over(serve, pending, FATE_UNKNOWN);
    } else {
        leave_queues(serve, pending);
        list_remove(&pending->in_state);
        pending->state = PENDING_SEALED;
        list_append(slot_list(serve, pending->slot), &pending->in_state);
    }
}

/* What was evicted in a lower epoch and not told is a write like others of it: in the copy. */
static void forget_evicted(struct serve *serve)
{
    struct store_key key;
    while (store_take_evicted(serve->setup.store, &key))
        ;
}

void serve_adopted(struct serve *serve)
{
    forget_evicted(serve);
    struct list *at = serve->by_deadline.next;
    while (at != &serve->by_deadline) {
        struct pending *pending = CONTAINER_OF(at, struct pending, by_deadline);
        at = at->next;
        seal(serve, pending);
    }
    fit_queues(serve);
    for (at = serve->flushes.next; at != &serve->flushes; at = at->next) {
        struct flush *flush = CONTAINER_OF(at, struct flush, in_list);
        for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
            if (bit_is_set(flush->todo, slot) && !primary_run(serve->setup.primary, slot))
                bit_set(flush->todo, slot, false);
        if (flush->is_early)
            note_todo(serve, flush);
        look_at_flush(flush, false);
    }
}

/* Whether a copy has a write: "done if the lineage covers them". */
static bool covers(const struct copy *copy, uint64_t version)
{
    for (uint32_t i = 0; i < copy->lineage_count; i++)
        if (store_version_epoch(copy->lineage[i]) == store_version_epoch(version))
            return copy->lineage[i] >= version;
    return false;
}

void serve_ready(struct serve *serve, uint32_t slot, struct moment now)
{
    struct list *list = slot_list(serve, slot);
    struct list *at = list->next;
    if (!can_flush(serve, slot))
        return;
    while (at != list) {
        struct pending *pending = CONTAINER_OF(at, struct pending, in_state);
        at = at->next;
        if (pending->state != PENDING_SEALED)
            continue;
        if (covers(store_copy(serve->setup.store, slot), pending->version))
            become_safe(serve, pending);
        else
            become_over(serve, pending, FATE_UNKNOWN);
    }
    for (at = serve->flushes.next; at != &serve->flushes; at = at->next) {
        struct flush *flush = CONTAINER_OF(at, struct flush, in_list);
        if (bit_is_set(flush->todo, slot) && now.mono_ms < flush->deadline_ms)
            flush_slot(serve, flush, slot);
    }
}

void serve_expired(struct serve *serve)
{
    struct store *store = serve->setup.store;
    struct store_key borrowed;
    uint32_t slot;
    tell_evicted(serve, NULL);
    while (store_take_flush_due(store, &slot)) {
        serve->setup.primary->has_flushed = true;
        tell(serve, &(struct sync_write){
                        .what = SYNC_WRITE_FLUSH, .slot = slot, .version = store_ver(store, slot)});
    }
    while (store_take_expired(store, &borrowed)) {
        char bytes[KEY_BYTES_MAX + 5];
        struct store_key key = borrowed;
        CHECK(key.bytes.len <= sizeof(bytes));
        memcpy(bytes, key.bytes.data, key.bytes.len);
        key.bytes.data = bytes;
        slot = position_slot(key.position);
        if (can_flush(serve, slot) && store_expire(store, &key))
            tell_key(serve, slot, store_ver(store, slot), &key);
    }
}

/* When a marker is put into a queue that nobody has hurried: something waits for it, and what was
 * hurried instead has not done. */
static uint64_t mark_deadline(const struct queue *queue)
{
    const struct list *first = list_first(&queue->waiting);
    return first ? CONTAINER_OF(first, struct awaited, in_queue)->pending->begun_ms + SYNC_HOLD_MS
                 : UINT64_MAX;
}

/* Puts a marker, if something waits for one. Returns whether it is to be looked at again. */
static bool mark(struct serve *serve, uint32_t peer, struct moment now)
{
    struct queue *queue = &serve->queues[peer];
    bool is_hurried = queue->is_hurried;
    queue->is_hurried = false;
    if (list_is_empty(&queue->waiting))
        return false;
    if (queue->wanted <= sync_position(serve->setup.sync, peer)) {
        if (is_hurried)
            sync_hurry(serve->setup.sync, peer);
        return false;
    }
    if (!is_hurried && now.mono_ms < mark_deadline(queue))
        return true;
    sync_mark(serve->setup.sync, peer);
    sync_hurry(serve->setup.sync, peer);
    return false;
}

void serve_mark(struct serve *serve, struct moment now)
{
    uint32_t left = 0;
    tell_evicted(serve, NULL);
    for (uint32_t i = 0; i < serve->marked_count; i++) {
        uint32_t peer = serve->marked[i];
        bool is_later = mark(serve, peer, now);
        serve->queues[peer].is_marked = is_later;
        if (is_later)
            serve->marked[left++] = peer;
    }
    serve->marked_count = left;
}

/* ---- time ---- */

void serve_tick(struct serve *serve, struct moment now)
{
    struct list *at;
    while ((at = list_first(&serve->by_deadline))) {
        struct pending *pending = CONTAINER_OF(at, struct pending, by_deadline);
        if (pending->deadline_ms > now.mono_ms)
            break;
        become_over(serve, pending, pending->is_effective ? FATE_UNKNOWN : FATE_NOT_DONE);
    }
    for (at = serve->flushes.next; at != &serve->flushes; at = at->next) {
        struct flush *flush = CONTAINER_OF(at, struct flush, in_list);
        if (flush->deadline_ms <= now.mono_ms)
            look_at_flush(flush, true);
    }
}

uint64_t serve_deadline(const struct serve *serve)
{
    uint64_t deadline_ms = UINT64_MAX;
    const struct list *first = list_first(&serve->by_deadline);
    if (first)
        deadline_ms = CONTAINER_OF(first, struct pending, by_deadline)->deadline_ms;
    for (uint32_t i = 0; i < serve->marked_count; i++) {
        uint64_t mark_ms = mark_deadline(&serve->queues[serve->marked[i]]);
        deadline_ms = mark_ms < deadline_ms ? mark_ms : deadline_ms;
    }
    for (struct list *at = serve->flushes.next; at != &serve->flushes; at = at->next) {
        const struct flush *flush = CONTAINER_OF(at, struct flush, in_list);
        deadline_ms = flush->deadline_ms < deadline_ms ? flush->deadline_ms : deadline_ms;
    }
    return deadline_ms;
}

struct pending *serve_take_over(struct serve *serve, struct moment now)
{
    struct list *at;
    if (!list_is_empty(&serve->safe) &&
        (views_has_fence(serve->setup.views, now) || MUTANT(no_fence)))
        while ((at = list_first(&serve->safe)))
            become_over(serve, CONTAINER_OF(at, struct pending, in_state), FATE_DONE);
    while ((at = list_first(&serve->over))) {
        struct pending *pending = CONTAINER_OF(at, struct pending, in_state);
        list_remove(at);
        if (!pending->flush)
            return pending;
        flush_part_over(serve, pending);
    }
    return NULL;
}

void serve_check(const struct serve *serve)
{
    uint64_t deadline_ms = 0;
    uint32_t count = 0, waiting_count = 0;
    for (const struct list *at = serve->by_deadline.next; at != &serve->by_deadline;
         at = at->next) {
        const struct pending *pending = CONTAINER_OF(at, struct pending, by_deadline);
        CHECK(pending->deadline_ms >= deadline_ms);
        CHECK(pending->state != PENDING_OVER);
        CHECK(list_is_linked(&pending->in_state));
        deadline_ms = pending->deadline_ms;
        count++;
        waiting_count += pending->state == PENDING_WAITING;
        for (uint32_t i = 0; i < RUN_BACKUPS_MAX; i++) {
            const struct awaited *awaited = &pending->awaited[i];
            CHECK(list_is_linked(&awaited->in_queue) == (awaited->peer != PEER_NONE));
            CHECK(awaited->peer == PEER_NONE || pending->state == PENDING_WAITING);
        }
    }
    CHECK(count <= serve->count);
    CHECK(waiting_count == serve->waiting_count);
    for (uint32_t peer = 0; peer < serve->queue_count; peer++) {
        const struct list *waiting = &serve->queues[peer].waiting;
        uint64_t number = 0;
        for (const struct list *at = waiting->next; at != waiting; at = at->next) {
            const struct awaited *awaited = CONTAINER_OF(at, const struct awaited, in_queue);
            CHECK(awaited->peer == peer);
            CHECK(awaited->number >= number);
            number = awaited->number;
        }
    }
}
