#include "tests/sim/steps.h"

#include "common/check.h"
#include "server/core/sync_parts.h"
#include "server/core/views.h"
#include "server/store/slots.h"
#include "tests/sim/grown.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ADVANCES_KEPT 1024u
#define IDS_KEPT      128u
#define AGE_S         2u /* an id that has so long to live yet is there in the next turn */
#define YOUNG_US      (30 * US_PER_S) /* and one of a write so young is wherever it belongs */

/* What somebody has answered to a COLLECT of an epoch: the last such word. */
struct copy_answer {
    uint32_t epoch;
    uint64_t generation;
    uint32_t act;
};

struct slot_answers {
    struct copy_answer *list;
    size_t count, capacity;
};

/* How far a slot's versions had come, once a second. */
struct reached {
    uint64_t us;
    uint64_t version;
};

struct slot_times {
    struct reached *list; /* ascending */
    size_t count, capacity;
};

struct kept_id {
    char bytes[STORE_ID_BYTES_MAX];
    uint32_t len;
    uint64_t version;
    uint64_t until_s; /* by the clock of the store, which may have stood still */
};

/* A copy when last looked at. */
struct step_copy {
    uint32_t act;
    bool is_clean;
    uint64_t ver;
    bool has_ids; /* ids are those of this copy, which has not changed since */
    uint32_t id_count;
    struct kept_id *ids; /* IDS_KEPT; NULL: none so far */
};

struct advanced {
    uint64_t generation; /* of who sent it */
    uint32_t epoch;
    uint64_t sid;
    uint32_t act; /* of the origins */
};

struct steps {
    struct world *world;
    uint32_t *slots;
    uint32_t slot_count;
    struct slot_answers *answers;            /* by slot */
    struct slot_times *times;                /* by slot */
    struct step_copy *copies;                /* by host, then slot */
    struct advanced advances[ADVANCES_KEPT]; /* the last ones that were sent */
    uint64_t advance_count;
};

struct steps *steps_open(struct world *world, const uint32_t *slots, uint32_t count)
{
    struct steps *steps = calloc(1, sizeof(*steps));
    CHECK(steps != NULL);
    *steps = (struct steps){.world = world, .slot_count = count};
    steps->slots = calloc(count, sizeof(*steps->slots));
    steps->answers = calloc(count, sizeof(*steps->answers));
    steps->copies = calloc((size_t)world->host_count * count, sizeof(*steps->copies));
    steps->times = calloc(count, sizeof(*steps->times));
    CHECK(steps->slots != NULL);
    CHECK(steps->answers != NULL);
    CHECK(steps->times != NULL);
    CHECK(steps->copies != NULL);
    memcpy(steps->slots, slots, count * sizeof(*slots));
    for (uint32_t i = 0; i < world->host_count; i++)
        if (world->hosts[i].store)
            steps_look(steps, &world->hosts[i]);
    return steps;
}

void steps_close(struct steps *steps)
{
    for (uint32_t i = 0; i < steps->slot_count; i++) {
        free(steps->answers[i].list);
        free(steps->times[i].list);
    }
    for (uint32_t i = 0; i < steps->slot_count * steps->world->host_count; i++)
        free(steps->copies[i].ids);
    free(steps->slots);
    free(steps->answers);
    free(steps->times);
    free(steps->copies);
    free(steps);
}

static struct step_copy *copies_of(struct steps *steps, const struct host *host)
{
    return &steps->copies[(size_t)host->number * steps->slot_count];
}

void steps_forget(struct steps *steps, const struct host *host)
{
    for (uint32_t i = 0; i < steps->slot_count; i++) {
        struct step_copy *copy = &copies_of(steps, host)[i];
        *copy = (struct step_copy){.ids = copy->ids};
    }
}

/* --- collect ---------------------------------------------------------------------------------- */

static void note_answer(struct slot_answers *answers, const struct copy_answer *now)
{
    for (size_t i = answers->count; i-- > 0;) {
        struct copy_answer *known = &answers->list[i];
        if (known->epoch != now->epoch || known->generation != now->generation)
            continue;
        known->act = now->act;
        return;
    }
    answers->list =
        grown(answers->list, answers->count, &answers->capacity, sizeof(*answers->list));
    answers->list[answers->count++] = *now;
}

void steps_hear(struct steps *steps, const struct host *host, const struct message *message)
{
    struct record record;
    if (message->kind != MESSAGE_COPIES)
        return;
    struct span list = message->body;
    while (record_take(&list, RECORD_COPY, &record))
        for (uint32_t i = 0; i < steps->slot_count; i++)
            if (steps->slots[i] == record.COPY.slot)
                note_answer(&steps->answers[i],
                            &(struct copy_answer){message->COPIES.epoch, host->generation,
                                                  record.COPY.act});
}

static bool has_answered(const struct slot_answers *answers, uint32_t epoch, uint64_t generation)
{
    for (size_t i = answers->count; i-- > 0;)
        if (answers->list[i].epoch == epoch && answers->list[i].generation == generation)
            return true;
    return false;
}

/* Whether what an epoch needs can have been answered by the time that a later one is led. */
static bool is_covered(const struct slot_answers *answers, struct views *views, uint32_t slot,
                       uint32_t epoch, const struct host *leader, uint32_t led)
{
    const struct ring *ring = views_ring(views, epoch);
    const struct view *view = views_at(views, epoch);
    uint32_t answered = 0;
    if (!ring || !view)
        return false;
    if (ring->primary[slot] == RING_NOBODY)
        return true;
    for (uint32_t i = 0; i < ring->group_size; i++) {
        uint16_t member = ring->group[slot][i];
        uint64_t generation = view->members[member].generation;
        if (generation != leader->generation && !has_answered(answers, led, generation))
            continue;
        if (member == ring->primary[slot])
            return true;
        answered++;
    }
    uint32_t majority = ring->group_size / 2 + 1;
    return answered >= ring->group_size - majority + 1;
}

void steps_check_lead(struct steps *steps, const struct host *host, uint32_t index)
{
    struct views *views = node_views(host->node);
    const struct primary *primary = node_primary(host->node);
    const struct run *run = primary_run(primary, steps->slots[index]);
    CHECK(run != NULL);
    const struct slot_answers *answers = &steps->answers[index];
    uint32_t low = primary->view->base > run->origin_act ? primary->view->base : run->origin_act;
    for (size_t i = 0; i < answers->count; i++)
        if (answers->list[i].epoch == primary->epoch && answers->list[i].act > low)
            low = answers->list[i].act;
    for (uint32_t epoch = low; epoch < primary->epoch && !run->is_loss; epoch++)
        if (!is_covered(answers, views, run->slot, epoch, host, primary->epoch))
            world_fail(steps->world,
                       "n%" PRIu32 " leads slot %u in epoch %" PRIu32
                       ", and too few have answered of those that had it in %" PRIu32,
                       host->number + 1, run->slot, primary->epoch, epoch);
}

/* --- advance ---------------------------------------------------------------------------------- */

void steps_hear_advance(struct steps *steps, const struct host *host, uint32_t epoch,
                        const struct record_ADVANCE *advance)
{
    steps->advances[steps->advance_count++ % ADVANCES_KEPT] =
        (struct advanced){host->generation, epoch, advance->sid, advance->act};
}

/* The generation of a slot's primary, in the view of a node's sessions. */
static uint64_t source_of(const struct sync *sync, uint32_t slot)
{
    return sync->view->members[sync->ring->primary[slot]].generation;
}

/* The ADVANCE that a slot's session to here began with; NULL: it began with an OFFER. */
static const struct advanced *advance_of(const struct steps *steps, const struct host *host,
                                         uint32_t slot)
{
    const struct sync *sync = node_sync(host->node);
    const struct receiving *receiving = &sync->receiving[slot];
    if (receiving->state != RECEIVING_SYNCED)
        return NULL;
    for (uint32_t i = 0; i < ADVANCES_KEPT; i++) {
        const struct advanced *advance = &steps->advances[i];
        if (advance->sid == receiving->sid && advance->epoch == sync->epoch &&
            advance->generation == source_of(sync, slot))
            return advance;
    }
    return NULL;
}

static void check_advanced(struct steps *steps, const struct host *host, uint32_t slot,
                           const struct step_copy *before)
{
    const struct advanced *advance = advance_of(steps, host, slot);
    if (!advance || (before->is_clean && before->act == advance->act))
        return;
    world_fail(steps->world,
               "n%" PRIu32 " takes its copy of slot %" PRIu32 ", of act %" PRIu32
               "%s, for one of act %" PRIu32,
               host->number + 1, slot, before->act, before->is_clean ? "" : " and not clean",
               advance->act);
}

/* --- request ids ------------------------------------------------------------------------------ */

struct id_look {
    struct step_copy *copy;
    uint64_t now_s;
};

static bool keep_id(void *arg, const struct store_key *key, const struct store_id *entry)
{
    const struct id_look *look = arg;
    struct kept_id *kept = &look->copy->ids[look->copy->id_count];
    (void)key;
    CHECK(entry->id.len <= sizeof(kept->bytes));
    memcpy(kept->bytes, entry->id.data, entry->id.len);
    kept->len = (uint32_t)entry->id.len;
    kept->version = entry->version;
    kept->until_s = look->now_s + entry->left_s;
    return ++look->copy->id_count < IDS_KEPT;
}

static void keep_ids(const struct host *host, uint32_t slot, struct step_copy *copy)
{
    if (!copy->ids)
        copy->ids = calloc(IDS_KEPT, sizeof(*copy->ids));
    CHECK(copy->ids != NULL);
    copy->id_count = 0;
    store_ids_iterate(host->store, slot, 0, keep_id, &(struct id_look){copy, host->store->now_s});
}

/* "drops none": of START. */
static void check_cut(struct steps *steps, const struct host *host, uint32_t slot,
                      const struct step_copy *before, uint64_t common)
{
    for (uint32_t i = 0; i < before->id_count; i++) {
        const struct kept_id *kept = &before->ids[i];
        struct store_id entry;
        if (kept->until_s < host->store->now_s + AGE_S ||
            store_id_find(host->store, slot, span_of(kept->bytes, kept->len), NULL, &entry))
            continue;
        world_fail(steps->world,
                   "n%" PRIu32 " cuts its copy of slot %" PRIu32 " to %" PRIx64
                   " and drops a request id of %" PRIx64,
                   host->number + 1, slot, common, kept->version);
    }
}

/* How far the slot has come by now. */
static void note_time(struct slot_times *times, uint64_t version, uint64_t now_us)
{
    const struct reached *last = times->count > 0 ? &times->list[times->count - 1] : NULL;
    if (version == 0 || (last && (version <= last->version || now_us < last->us + US_PER_S)))
        return;
    times->list = grown(times->list, times->count, &times->capacity, sizeof(*times->list));
    times->list[times->count++] = (struct reached){now_us, version};
}

/* Whether a version was given less than YOUNG_US ago. What is left of an id's time does not tell:
 * a process that was stopped, and does not know it yet, hands it on as if it were younger. */
static bool is_young(const struct slot_times *times, uint64_t version, uint64_t now_us)
{
    size_t at = times->count;
    while (at > 0 && times->list[at - 1].version >= version)
        at--;
    return at == times->count || now_us < times->list[at].us + YOUNG_US;
}

struct id_check {
    struct steps *steps;
    const struct host *source, *receiver;
    uint32_t index; /* of the slot */
    uint64_t ver;
};

static bool check_id(void *arg, const struct store_key *key, const struct store_id *entry)
{
    const struct id_check *check = arg;
    struct world *world = check->steps->world;
    uint32_t slot = check->steps->slots[check->index];
    struct store_id own;
    (void)key;
    if (entry->version > check->ver ||
        !is_young(&check->steps->times[check->index], entry->version, world->clock.now_us) ||
        store_id_find(check->receiver->store, slot, entry->id, NULL, &own))
        return true;
    world_fail(world,
               "n%" PRIu32 " is synced by n%" PRIu32 " and has of slot %" PRIu32
               " not the request id of %" PRIx64,
               check->receiver->number + 1, check->source->number + 1, slot, entry->version);
    return false;
}

/* "every copy of the slot keeps (id, …)": who has just been synced has those of its source. */
static void check_ids(struct steps *steps, const struct host *host, uint32_t index, uint64_t ver)
{
    const struct sync *sync = node_sync(host->node);
    uint32_t slot = steps->slots[index];
    if (!sync_is_received_synced(sync, slot))
        return;
    for (uint32_t i = 0; i < steps->world->host_count; i++) {
        const struct host *source = &steps->world->hosts[i];
        if (source->node && source->generation == source_of(sync, slot))
            store_ids_iterate(source->store, slot, 0, check_id,
                              &(struct id_check){steps, source, host, index, ver});
    }
}

/* --- a turn ----------------------------------------------------------------------------------- */

static void look(struct steps *steps, const struct host *host, uint32_t index)
{
    uint32_t slot = steps->slots[index];
    struct step_copy *before = &copies_of(steps, host)[index];
    const struct copy *copy = store_copy(host->store, slot);
    struct step_copy now = {.act = copy->act,
                            .is_clean = copy->is_clean,
                            .ver = store_ver(host->store, slot),
                            .ids = before->ids,
                            .id_count = before->id_count};
    note_time(&steps->times[index], now.ver, steps->world->clock.now_us);
    bool is_same =
        now.act == before->act && now.is_clean == before->is_clean && now.ver == before->ver;
    if (host->node && now.act > before->act) {
        check_advanced(steps, host, slot, before);
        check_ids(steps, host, index, now.ver);
    }
    if (before->has_ids && now.ver < before->ver && now.act == before->act && now.act > 0)
        check_cut(steps, host, slot, before, now.ver);
    now.has_ids = before->has_ids && is_same;
    /* Only a copy at rest is cut. */
    if (!now.has_ids && host->node &&
        node_sync(host->node)->receiving[slot].state == RECEIVING_NONE) {
        keep_ids(host, slot, &now);
        now.has_ids = true;
    }
    *before = now;
}

void steps_look(struct steps *steps, const struct host *host)
{
    for (uint32_t i = 0; i < steps->slot_count && !steps->world->has_failed; i++)
        look(steps, host, i);
}
