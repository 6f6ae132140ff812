#include "tests/sim/ghost.h"

#include "common/check.h"
#include "common/record.h"
#include "server/core/primary.h"
#include "server/core/sync.h"
#include "server/core/views.h"
#include "server/store/copy.h"
#include "tests/sim/ancestry.h"
#include "tests/sim/grown.h"
#include "tests/sim/names.h"
#include "tests/sim/sent.h"
#include "tests/sim/steps.h"
#include "tests/sim/succession.h"
#include "tests/sim/votes.h"

#include <inttypes.h>
#include <stdlib.h>

#define REMOVED_MS 10000u             /* who is out waits at most so long */
#define STOP_US    (2960 * US_PER_MS) /* and who stops, 3 s by a clock that may be 1 % fast */
#define KEYS_MAX   64u                /* that a slot watched may have */
#define PULLS_KEPT 1024u

/* A write, as it was first seen in some store. */
struct write {
    uint64_t version;
    uint64_t key; /* hash of its bytes */
    bool is_tombstone;
    uint64_t content; /* hash of value, flags and cas unique */
};

/* The highest version of an epoch that callers were told in another, which may be later: what was
 * written and never acknowledged may be left above a lineage and be shown again. */
struct told {
    uint64_t version;
    uint64_t key;   /* hash of its bytes */
    uint32_t epoch; /* or a lower one: the slot was active in it when the caller heard */
};

/* What was dropped where nobody needed to be told: a slot led alone keeps no tombstones. */
struct buried {
    uint64_t key;
    uint64_t floor; /* all writes of the key up to this are gone */
};

/* The run that leads a slot in an epoch. */
struct reign {
    uint32_t epoch;
    uint32_t node;
    uint32_t starts;
    bool is_active;
};

struct slot_ghost {
    uint32_t slot;
    struct write *writes; /* ascending */
    size_t write_count, write_capacity;
    struct buried buried[KEYS_MAX];
    uint32_t buried_count;
    uint64_t *flushes; /* versions that some copy had as its last flush */
    size_t flush_count, flush_capacity;
    struct reign *reigns; /* ascending */
    size_t reign_count, reign_capacity;
    struct told *told; /* ascending by the epochs of its versions, then by those of who told */
    size_t told_count, told_capacity;
    uint64_t told_changes;                  /* of that, so far */
    struct ancestry ancestry;               /* of its epochs */
    uint32_t active_epoch;                  /* the highest in which it became active, */
    uint32_t active_group[RING_COPIES_MAX]; /* and the nodes of its group then */
    uint32_t active_count;
    uint32_t lost_epoch; /* what was told in lower ones counts no more */
};

/* What a node's copy was when last looked at. */
struct copy_ghost {
    uint32_t act;
    bool is_clean;
    uint64_t ver;
    uint64_t floor;
    uint64_t digest; /* of its live items */
    uint64_t lineage_digest;
    uint64_t told_changes; /* of the slot, then, */
    size_t known_epochs;   /* and how much was known of its ancestry */
    bool is_alone;   /* the node led the slot, and nobody else stood in its group or came into it */
    bool is_dropped; /* it has been since, and that was judged */
};

/* A session to a peer that was past START when last looked at. */
struct session_ghost {
    uint64_t sid; /* 0: there was none */
    uint64_t floor_max;
};

struct node_ghost {
    uint32_t epoch;
    bool
        is_unkept; /* its disk was full when it came to that: it votes no more, and may forget it */
    bool is_lost[GHOST_SLOTS_MAX]; /* the run goes on without a quorum, and that was told */
    bool is_forgotten;             /* its state file was lost once */
    uint32_t said_epoch;           /* the highest in which it has told somebody that it is there */
    uint32_t stood;                /* the start whose process has stood in a view; 0: none */
    uint32_t ended;                /* the start whose process ends, and was judged for that */
    uint64_t out_ms;               /* since when it is in none any more; 0: not so */
    bool is_out_adopted; /* a majority of who vote in a view it is out of have told that */
    uint32_t acted[GHOST_SLOTS_MAX]; /* the highest act that any copy here has had */
    struct copy_ghost copies[GHOST_SLOTS_MAX];
    struct session_ghost sessions[GHOST_SLOTS_MAX][RUN_MEMBERS_MAX];
};

/* A view that some node has had. */
struct seen_view {
    uint32_t epoch;
    uint64_t hash; /* of its text */
};

struct ghost {
    struct world *world;
    uint32_t slot_count;
    struct slot_ghost slots[GHOST_SLOTS_MAX];
    struct node_ghost *nodes;
    struct votes *votes;
    struct steps *steps;
    struct seen_view *views; /* ascending */
    size_t view_count, view_capacity;
    uint32_t unseen_epoch; /* what was active in epochs up to this was not seen */
    uint32_t base;         /* the highest of any view */
    void (*lost)(void *arg, uint32_t slot);
    void *arg;
    struct record_PULL pulls[PULLS_KEPT]; /* the last ones that were asked for */
    uint64_t pull_count;
    struct ghost_counts counts;
};

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 29;
}

static uint64_t word_at(const char *bytes, size_t count)
{
    uint64_t word = 0;
    memcpy(&word, bytes, count);
    return word;
}

/* Four words side by side: it is of all that the slots watched hold, after every turn. */
static uint64_t bytes_hash(struct span bytes)
{
    uint64_t lanes[4] = {1, 2, 3, 4};
    size_t at = 0;
    for (; at + sizeof(lanes) <= bytes.len; at += sizeof(lanes))
        for (size_t lane = 0; lane < 4; lane++)
            lanes[lane] = mix(lanes[lane], word_at(bytes.data + at + lane * 8, 8));
    uint64_t hash = mix(mix(lanes[0], lanes[1]), mix(lanes[2], lanes[3]));
    for (; at < bytes.len; at += 8)
        hash = mix(hash, word_at(bytes.data + at, bytes.len - at < 8 ? bytes.len - at : 8));
    return mix(hash, bytes.len);
}

/* --- what is known ---------------------------------------------------------------------------- */

/* The first write that is not below version. */
static size_t write_place(const struct slot_ghost *slot, uint64_t version)
{
    size_t low = 0, high = slot->write_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (slot->writes[mid].version < version)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* 2: a version names one write for ever. */
static void note_write(struct ghost *ghost, struct slot_ghost *slot, uint32_t node,
                       const struct write *write)
{
    size_t place = write_place(slot, write->version);
    if (place < slot->write_count && slot->writes[place].version == write->version) {
        const struct write *known = &slot->writes[place];
        if (known->key != write->key || known->is_tombstone != write->is_tombstone ||
            known->content != write->content)
            world_fail(ghost->world,
                       "invariant 2: version %" PRIx64 " of slot %" PRIu32
                       " names another write at n%" PRIu32 " than before",
                       write->version, slot->slot, node + 1);
        return;
    }
    slot->writes =
        grown(slot->writes, slot->write_count, &slot->write_capacity, sizeof(*slot->writes));
    memmove(slot->writes + place + 1, slot->writes + place,
            (slot->write_count - place) * sizeof(*slot->writes));
    slot->writes[place] = *write;
    slot->write_count++;
    ghost->counts.writes++;
}

static struct slot_ghost *find_slot(struct ghost *ghost, uint32_t number)
{
    for (uint32_t i = 0; i < ghost->slot_count; i++)
        if (ghost->slots[i].slot == number)
            return &ghost->slots[i];
    return NULL;
}

static int compare_told(const struct told *a, const struct told *b)
{
    uint32_t mine = store_version_epoch(a->version), other = store_version_epoch(b->version);
    if (mine != other)
        return mine < other ? -1 : 1;
    return a->epoch < b->epoch ? -1 : a->epoch > b->epoch;
}

void ghost_told(struct ghost *ghost, uint32_t number, struct span key, uint64_t version)
{
    struct slot_ghost *slot = find_slot(ghost, number);
    uint32_t epoch = store_version_epoch(version);
    if (!slot || epoch < slot->lost_epoch)
        return;
    const struct told now = {version, bytes_hash(key),
                             slot->active_epoch > epoch ? slot->active_epoch : epoch};
    size_t place = slot->told_count;
    while (place > 0 && compare_told(&slot->told[place - 1], &now) >= 0)
        place--;
    if (place < slot->told_count && compare_told(&slot->told[place], &now) == 0) {
        slot->told_changes += version > slot->told[place].version;
        if (version > slot->told[place].version)
            slot->told[place] = now;
        return;
    }
    slot->told_changes++;
    slot->told = grown(slot->told, slot->told_count, &slot->told_capacity, sizeof(*slot->told));
    memmove(slot->told + place + 1, slot->told + place,
            (slot->told_count - place) * sizeof(*slot->told));
    slot->told[place] = now;
    slot->told_count++;
}

static void lose(struct ghost *ghost, struct slot_ghost *slot, uint32_t epoch)
{
    size_t kept = 0;
    for (size_t i = 0; i < slot->told_count; i++)
        if (store_version_epoch(slot->told[i].version) >= epoch)
            slot->told[kept++] = slot->told[i];
    slot->told_count = kept;
    slot->told_changes++;
    if (epoch > slot->lost_epoch)
        slot->lost_epoch = epoch;
    ghost->counts.losses++;
    trace_say(&ghost->world->trace, "slot-lost", "slot=%" PRIu32 " epoch=%" PRIu32, slot->slot,
              epoch);
    if (ghost->lost)
        ghost->lost(ghost->arg, slot->slot);
}

void ghost_listen(struct ghost *ghost, void (*lost)(void *arg, uint32_t slot), void *arg)
{
    ghost->lost = lost;
    ghost->arg = arg;
}

/* --- copies ----------------------------------------------------------------------------------- */

/* The last version of an epoch in the lineage; 0: none. */
static uint64_t lineage_of(const struct copy *copy, uint32_t epoch)
{
    for (uint32_t i = 0; i < copy->lineage_count; i++)
        if (store_version_epoch(copy->lineage[i]) == epoch)
            return copy->lineage[i];
    return 0;
}

/* Whether the lineage covers a version, or had it in what it has forgotten. */
static bool covers(const struct slot_ghost *slot, const struct copy *copy, uint64_t version)
{
    return ancestry_covers(&slot->ancestry, copy->lineage, copy->lineage_count, copy->floor,
                           version);
}

/* One item or tombstone of a slot. */
struct thing {
    uint64_t key;
    uint64_t version;
};

/* What a look at a copy finds. */
struct look {
    struct ghost *ghost;
    struct slot_ghost *slot;
    uint32_t node;
    const struct copy *copy;
    struct thing things[KEYS_MAX];
    uint32_t count;
    uint64_t digest;
};

static bool visit(void *arg, const struct store_key *key, const struct store_item *item)
{
    struct look *look = arg;
    struct write write = {.version = item->version,
                          .key = bytes_hash(key->bytes),
                          .is_tombstone = item->is_tombstone};
    if (!item->is_tombstone)
        write.content = mix(mix(bytes_hash(item->value), item->flags), item->cas);
    note_write(look->ghost, look->slot, look->node, &write);
    CHECK(look->count < KEYS_MAX);
    look->things[look->count++] = (struct thing){write.key, write.version};
    if (!item->is_tombstone && item->version > look->copy->flush)
        look->digest += mix(mix(write.key, write.version), write.content);
    return true;
}

static uint64_t version_of(const struct look *look, uint64_t key)
{
    for (uint32_t i = 0; i < look->count; i++)
        if (look->things[i].key == key)
            return look->things[i].version;
    return 0;
}

/* What is known of a slot, for whoever looks for the reason of a failure. */
static void say_slot(struct ghost *ghost, const struct slot_ghost *slot)
{
    struct trace *trace = &ghost->world->trace;
    for (size_t i = 0; i < slot->write_count; i++)
        trace_say(trace, "ghost-write", "slot=%" PRIu32 " version=%" PRIx64 " key=%" PRIx64 "%s",
                  slot->slot, slot->writes[i].version, slot->writes[i].key,
                  slot->writes[i].is_tombstone ? " tombstone=1" : "");
    for (size_t i = 0; i < slot->told_count; i++)
        trace_say(trace, "ghost-told", "version=%" PRIx64 " epoch=%" PRIu32, slot->told[i].version,
                  slot->told[i].epoch);
    for (uint32_t i = 0; i < ghost->world->host_count; i++) {
        struct store *store = ghost->world->hosts[i].store;
        struct buf lineage = {0};
        if (!store)
            continue;
        const struct copy *copy = store_copy(store, slot->slot);
        for (uint32_t k = 0; k < copy->lineage_count; k++)
            buf_printf(&lineage, "%s%" PRIx64, k > 0 ? "," : "", copy->lineage[k]);
        trace_say(trace, "ghost-copy",
                  "node=n%" PRIu32 " act=%" PRIu32 " clean=%d floor=%" PRIx64 " flush=%" PRIx64
                  " due=%" PRIx64 " lineage=%.*s",
                  i + 1, copy->act, copy->is_clean, copy->floor, copy->flush, copy->flush_due,
                  (int)buf_len(&lineage), buf_span(&lineage).data ? buf_span(&lineage).data : "");
        buf_close(&lineage);
    }
}

static void note_flush(struct slot_ghost *slot, uint64_t version)
{
    for (size_t i = 0; i < slot->flush_count; i++)
        if (slot->flushes[i] == version)
            return;
    slot->flushes =
        grown(slot->flushes, slot->flush_count, &slot->flush_capacity, sizeof(*slot->flushes));
    slot->flushes[slot->flush_count++] = version;
}

/* Whether a flush that the floor has passed has made an item dead. */
static bool is_flushed(const struct slot_ghost *slot, uint64_t version, uint64_t floor)
{
    for (size_t i = 0; i < slot->flush_count; i++)
        if (version < slot->flushes[i] && slot->flushes[i] <= floor)
            return true;
    return false;
}

static uint64_t buried_floor(const struct slot_ghost *slot, uint64_t key)
{
    for (uint32_t i = 0; i < slot->buried_count; i++)
        if (slot->buried[i].key == key)
            return slot->buried[i].floor;
    return 0;
}

static void bury(struct slot_ghost *slot, uint64_t key, uint64_t floor)
{
    uint32_t at = 0;
    while (at < slot->buried_count && slot->buried[at].key != key)
        at++;
    CHECK(at < KEYS_MAX);
    if (at == slot->buried_count)
        slot->buried[slot->buried_count++] = (struct buried){.key = key};
    if (floor > slot->buried[at].floor)
        slot->buried[at].floor = floor;
}

/* The keys that a copy led alone has no more. */
static void note_buried(const struct look *look)
{
    for (size_t i = 0; i < look->slot->write_count; i++) {
        const struct write *write = &look->slot->writes[i];
        if (write->version <= look->copy->floor && version_of(look, write->key) == 0)
            bury(look->slot, write->key, look->copy->floor);
    }
}

/* Whether the copy has a write or a newer one of its key, or may have dropped it. */
static bool has(const struct look *look, const struct write *write)
{
    uint64_t floor = look->copy->floor;
    bool may_be_gone = write->is_tombstone
                           ? write->version <= floor
                           : is_flushed(look->slot, write->version, floor) ||
                                 write->version <= buried_floor(look->slot, write->key);
    return may_be_gone || version_of(look, write->key) >= write->version;
}

/* 4: of the newest write of each key that the lineage covers, the copy has that or a newer one. */
static void check_covered(const struct look *look)
{
    const struct copy *copy = look->copy;
    uint64_t seen[KEYS_MAX];
    uint32_t seen_count = 0;
    for (size_t i = look->slot->write_count; i-- > 0;) {
        const struct write *write = &look->slot->writes[i];
        bool is_seen = false;
        for (uint32_t k = 0; k < seen_count; k++)
            is_seen |= seen[k] == write->key;
        if (is_seen || !covers(look->slot, copy, write->version))
            continue;
        CHECK(seen_count < KEYS_MAX);
        seen[seen_count++] = write->key;
        if (!has(look, write))
            world_fail(look->ghost->world,
                       "invariant 4: the lineage of slot %" PRIu32 " at n%" PRIu32
                       " covers version %" PRIx64 ", but its copy has %" PRIx64 " of that key",
                       look->slot->slot, look->node + 1, write->version,
                       version_of(look, write->key));
    }
}

/* The same of a write that may never have been seen: the next one of its key came within the turn.
 */
static bool has_told(const struct look *look, const struct told *told)
{
    size_t place = write_place(look->slot, told->version);
    if (place < look->slot->write_count && look->slot->writes[place].version == told->version)
        return has(look, &look->slot->writes[place]);
    return has(look, &(struct write){.version = told->version, .key = told->key});
}

/* 4, 6: a copy of act k has all that was told in epochs below k. That is: its lineage covers it; or
 * it has it above the lineage of what it was built upon. For a copy that was cut keeps its tail,
 * may be chosen, and then a primary of a later epoch shows what is in that tail, or answers from
 * the request ids that are kept with it. */
static void check_told(const struct look *look)
{
    for (size_t i = 0; i < look->slot->told_count; i++) {
        const struct told *told = &look->slot->told[i];
        if (told->epoch < look->copy->act && !covers(look->slot, look->copy, told->version) &&
            !has_told(look, told))
            world_fail(look->ghost->world,
                       "invariant 4: the copy of slot %" PRIu32 " at n%" PRIu32 " has act %" PRIu32
                       ", but not version %" PRIx64 ", which was told",
                       look->slot->slot, look->node + 1, look->copy->act, told->version);
    }
}

/* 3: ver is the end of an ascending lineage. */
static void check_lineage(const struct look *look)
{
    const struct copy *copy = look->copy;
    const struct store *store = look->ghost->world->hosts[look->node].store;
    uint64_t ver = store_ver(store, look->slot->slot);
    bool is_good = ver == (copy->lineage_count > 0 ? copy->lineage[copy->lineage_count - 1] : 0);
    for (uint32_t i = 1; i < copy->lineage_count; i++)
        is_good &=
            store_version_epoch(copy->lineage[i - 1]) < store_version_epoch(copy->lineage[i]);
    if (!is_good)
        world_fail(look->ghost->world,
                   "invariant 3: the lineage of slot %" PRIu32 " at n%" PRIu32 " is malformed",
                   look->slot->slot, look->node + 1);
}

/* 3: what an epoch is built upon is the same in all lineages, and what its run began from; only
 * what ends below the floor is forgotten. */
static void check_ancestry(const struct look *look)
{
    const struct copy *copy = look->copy;
    struct ancestry *ancestry = &look->slot->ancestry;
    if (!ancestry_note_lineage(ancestry, copy->lineage, copy->lineage_count))
        world_fail(look->ghost->world,
                   "invariant 3: the lineage of slot %" PRIu32 " at n%" PRIu32
                   " has an epoch built upon another version than it was",
                   look->slot->slot, look->node + 1);
    if (!ancestry_is_kept(ancestry, copy->lineage, copy->lineage_count, copy->floor))
        world_fail(look->ghost->world,
                   "invariant 3: the lineage of slot %" PRIu32 " at n%" PRIu32
                   " has forgotten what does not end below its floor %" PRIx64,
                   look->slot->slot, look->node + 1, copy->floor);
}

/* 3: what a has below an epoch that both have, b has too, unless it has forgotten it. */
static void check_agrees(const struct look *look, const struct copy *a, const struct copy *b,
                         uint32_t other)
{
    uint32_t shared = 0;
    for (uint32_t i = 0; i < a->lineage_count; i++)
        if (lineage_of(b, store_version_epoch(a->lineage[i])) > 0)
            shared = store_version_epoch(a->lineage[i]);
    for (uint32_t i = 0; i < a->lineage_count; i++) {
        uint64_t end = a->lineage[i];
        if (store_version_epoch(end) >= shared)
            break;
        uint64_t theirs = lineage_of(b, store_version_epoch(end));
        if (theirs != end && (theirs > 0 || end > b->floor))
            world_fail(look->ghost->world,
                       "invariant 3: the lineages of slot %" PRIu32 " at n%" PRIu32 " and n%" PRIu32
                       " share epoch %" PRIu32 ", but not %" PRIx64,
                       look->slot->slot, look->node + 1, other + 1, shared, end);
    }
}

static bool is_in_active_group(const struct slot_ghost *slot, uint32_t node)
{
    for (uint32_t i = 0; i < slot->active_count; i++)
        if (slot->active_group[i] == node)
            return true;
    return false;
}

/* 7: the floor is covered by every copy of the group synced in the highest active epoch. A
 * learner's holds it up by its session alone (look_at_sessions): whose session has ended takes a
 * whole copy if need be, and whatever it has, one of the group that has more answers before it is
 * chosen. */
static void check_floor(const struct look *look, const struct copy *copy, const struct copy *other,
                        uint32_t node)
{
    uint32_t epoch = look->slot->active_epoch;
    if (copy->act == epoch && other->act == epoch && is_in_active_group(look->slot, node) &&
        !covers(look->slot, other, copy->floor))
        world_fail(look->ghost->world,
                   "invariant 7: the floor %" PRIx64 " of slot %" PRIu32 " at n%" PRIu32
                   " is not in the lineage of n%" PRIu32,
                   copy->floor, look->slot->slot, look->node + 1, node + 1);
}

/* A copy against those of all other nodes that run, or whose data live on. */
static void check_others(struct look *look, uint32_t index, const struct copy_ghost *now)
{
    struct ghost *ghost = look->ghost;
    for (uint32_t i = 0; i < ghost->world->host_count; i++) {
        struct store *store = ghost->world->hosts[i].store;
        if (i == look->node || !store)
            continue;
        const struct copy *other = store_copy(store, look->slot->slot);
        const struct copy_ghost *theirs = &ghost->nodes[i].copies[index];
        check_agrees(look, look->copy, other, i);
        check_agrees(look, other, look->copy, i);
        check_floor(look, look->copy, other, i);
        if (!now->is_clean || !theirs->is_clean || now->act == 0 || now->act != theirs->act ||
            now->ver != theirs->ver)
            continue;
        ghost->counts.equals++;
        if (now->digest != theirs->digest)
            world_fail(ghost->world,
                       "invariant 4: clean copies of slot %" PRIu32 " at n%" PRIu32 " and n%" PRIu32
                       " of (%" PRIu32 ", %" PRIx64 ") differ",
                       look->slot->slot, look->node + 1, i + 1, now->act, now->ver);
    }
}

/* 4, 7: a copy that was cut is not clean; a floor falls only with the whole copy. Each takes a turn
 * of its own: what ends a sync comes with a later message. */
static void check_step(const struct look *look, const struct copy_ghost *before,
                       const struct copy_ghost *now)
{
    if (now->ver == 0 || before->ver == 0)
        return;
    if (now->ver < before->ver && now->act == before->act && now->is_clean)
        world_fail(look->ghost->world,
                   "invariant 4: the copy of slot %" PRIu32 " at n%" PRIu32
                   " is clean, but was cut from %" PRIx64 " to %" PRIx64,
                   look->slot->slot, look->node + 1, before->ver, now->ver);
    if (now->floor < before->floor)
        world_fail(look->ghost->world,
                   "invariant 7: the floor of slot %" PRIu32 " at n%" PRIu32 " falls from %" PRIx64
                   " to %" PRIx64,
                   look->slot->slot, look->node + 1, before->floor, now->floor);
}

static bool is_led_alone(const struct ghost *ghost, uint32_t node, uint32_t slot)
{
    const struct host *host = &ghost->world->hosts[node];
    const struct run *run = host->node ? primary_run(node_primary(host->node), slot) : NULL;
    return run && run->state == RUN_ACTIVE && run->member_count == 0;
}

static struct reign *find_reign(struct slot_ghost *slot, uint32_t epoch)
{
    for (size_t i = slot->reign_count; i-- > 0;)
        if (slot->reigns[i].epoch == epoch)
            return &slot->reigns[i];
    return NULL;
}

/* "told ACTIVE in its own view e', it drops the copy": who has no place in the group, now or next,
 * is sent no sync either that could empty it. */
static void check_dropped(const struct look *look)
{
    const struct host *host = &look->ghost->world->hosts[look->node];
    struct views *views = node_views(host->node);
    uint32_t epoch = views_epoch(views), self = views_self(views), number = look->slot->slot;
    const struct ring *ring = views_ring(views, epoch), *next = views_next_ring(views);
    const struct reign *reign = find_reign(look->slot, epoch);
    if (epoch == 0 || sync_is_received(node_sync(host->node), number) ||
        (self != VIEW_NOBODY &&
         ((ring && ring_has(ring, number, self)) || (next && ring_has(next, number, self)))))
        return;
    if (!reign || !reign->is_active)
        world_fail(look->ghost->world,
                   "n%" PRIu32 " drops what is left of slot %" PRIu32
                   ", which is not active in %" PRIu32,
                   look->node + 1, number, epoch);
}

/* Whether nothing is left of what was there a turn ago. */
static bool is_dropped(struct store *store, uint32_t slot, const struct copy_ghost *before)
{
    return (before->act > 0 || before->ver > 0) && store_copy(store, slot)->act == 0 &&
           store_ver(store, slot) == 0;
}

static void look_at_copy(struct ghost *ghost, uint32_t node, uint32_t index)
{
    struct slot_ghost *slot = &ghost->slots[index];
    struct store *store = ghost->world->hosts[node].store;
    struct copy_ghost *before = &ghost->nodes[node].copies[index];
    struct look look = {
        .ghost = ghost, .slot = slot, .node = node, .copy = store_copy(store, slot->slot)};
    const struct copy *copy = look.copy;
    check_lineage(&look);
    uint64_t lineage_digest = 1;
    for (uint32_t i = 0; i < copy->lineage_count; i++)
        lineage_digest = mix(lineage_digest, copy->lineage[i]);
    /* What is known of an epoch stays, so what was right before is, until more is known. */
    if (lineage_digest != before->lineage_digest || copy->floor != before->floor ||
        slot->ancestry.count != before->known_epochs)
        check_ancestry(&look);
    if (copy->flush > 0)
        note_flush(slot, copy->flush);
    store_iterate(store, slot->slot, 0, visit, &look);
    struct copy_ghost now = {.act = copy->act,
                             .is_clean = copy->is_clean,
                             .ver = store_ver(store, slot->slot),
                             .floor = copy->floor,
                             .digest = mix(look.digest, copy->flush),
                             .lineage_digest = lineage_digest,
                             .told_changes = slot->told_changes,
                             .known_epochs = slot->ancestry.count,
                             .is_alone = is_led_alone(ghost, node, slot->slot)};
    if (now.is_alone || before->is_alone)
        note_buried(&look);
    ghost->counts.floors += now.floor > before->floor;
    ghost->counts.cuts += now.ver < before->ver;
    ghost->counts.syncs += now.act > before->act;
    bool is_same = now.act == before->act && now.is_clean == before->is_clean &&
                   now.ver == before->ver && now.floor == before->floor &&
                   now.digest == before->digest && now.lineage_digest == before->lineage_digest;
    check_step(&look, before, &now);
    if (!before->is_dropped && is_dropped(store, slot->slot, before))
        check_dropped(&look);
    if (now.act > ghost->nodes[node].acted[index])
        ghost->nodes[node].acted[index] = now.act;
    bool is_told_same = is_same && now.told_changes == before->told_changes &&
                        now.known_epochs == before->known_epochs;
    *before = now;
    if (!is_told_same)
        check_told(&look);
    if (is_same)
        return;
    check_covered(&look);
    check_others(&look, index, &now);
}

/* --- leading ---------------------------------------------------------------------------------- */

/* A run that goes on without a quorum: from here on all is judged anew. */
static void look_at_loss(struct ghost *ghost, uint32_t node, uint32_t index)
{
    struct slot_ghost *slot = &ghost->slots[index];
    const struct primary *primary = node_primary(ghost->world->hosts[node].node);
    const struct run *run = primary_run(primary, slot->slot);
    bool is_lost = run && run->is_loss;
    if (is_lost && !ghost->nodes[node].is_lost[index])
        lose(ghost, slot, primary->epoch);
    ghost->nodes[node].is_lost[index] = is_lost;
}

/* What a run that leads has begun from: to be known before its copy is looked at. */
static void look_at_origin(struct ghost *ghost, uint32_t node, uint32_t index)
{
    struct slot_ghost *slot = &ghost->slots[index];
    const struct primary *primary = node_primary(ghost->world->hosts[node].node);
    const struct run *run = primary_run(primary, slot->slot);
    if (run && run->state >= RUN_LEADING &&
        !ancestry_note(&slot->ancestry, primary->epoch, run->origin_ver))
        world_fail(ghost->world,
                   "invariant 3: n%" PRIu32 " leads slot %" PRIu32 " in epoch %" PRIu32
                   " from %" PRIx64 ", but it was built upon another version",
                   node + 1, slot->slot, primary->epoch, run->origin_ver);
}

/* The node that runs, or last ran, under a member's name. */
static uint32_t node_of(const struct world *world, const struct member *member)
{
    uint32_t number;
    CHECK(name_find(span_of_string(member->name), &number) > 0);
    CHECK(number < world->host_count);
    return world->machine_of[number];
}

/* "The slot is active, and served, when W members of group(e',s) have recorded act = e'." */
static void check_active(struct ghost *ghost, uint32_t node, uint32_t index)
{
    struct views *views = node_views(ghost->world->hosts[node].node);
    const struct primary *primary = node_primary(ghost->world->hosts[node].node);
    const struct view *view = views_at(views, primary->epoch);
    const struct ring *ring = views_ring(views, primary->epoch);
    uint32_t slot = ghost->slots[index].slot, recorded = 0;
    for (uint32_t i = 0; ring && i < ring->group_size; i++) {
        uint32_t other = node_of(ghost->world, &view->members[ring->group[slot][i]]);
        recorded += ghost->nodes[other].acted[index] >= primary->epoch;
    }
    if (ring && recorded < ring->group_size / 2 + 1)
        world_fail(ghost->world,
                   "slot %" PRIu32 " is active at n%" PRIu32 " in epoch %" PRIu32 ", which %" PRIu32
                   " of its %" PRIu32 " have recorded",
                   slot, node + 1, primary->epoch, recorded, ring->group_size);
}

/* "keep origin = (act, ver) of the chosen copy if that was clean" */
static void check_origin(struct ghost *ghost, uint32_t node, const struct run *run,
                         const struct copy_ghost *before)
{
    if (run->has_origin && before->act > 0 && !before->is_clean && before->act == run->origin_act &&
        before->ver == run->origin_ver)
        world_fail(ghost->world,
                   "n%" PRIu32 " leads slot %u from its own copy (%" PRIu32 ", %" PRIx64
                   "), which is not clean, and takes it for an origin",
                   node + 1, run->slot, before->act, before->ver);
}

/* Collect: of any group that became active a majority has recorded it, and one of them, or of what
 * they gave their copies to, was heard; so the chosen copy is of that epoch or of a later one. */
static void check_chosen(struct ghost *ghost, uint32_t node, const struct slot_ghost *slot,
                         const struct run *run, uint32_t epoch)
{
    uint32_t active = 0;
    for (size_t i = 0; i < slot->reign_count; i++)
        if (slot->reigns[i].is_active && slot->reigns[i].epoch < epoch)
            active = slot->reigns[i].epoch;
    if (run->is_loss || active < slot->lost_epoch || run->origin_act >= active)
        return;
    world_fail(ghost->world,
               "n%" PRIu32 " leads slot %" PRIu32 " in epoch %" PRIu32
               " from a copy of act %" PRIu32 ", and it was active in epoch %" PRIu32,
               node + 1, slot->slot, epoch, run->origin_act, active);
}

/* A run has become active: whose copies now have to cover its floor. */
static void note_active_group(struct ghost *ghost, uint32_t node, struct slot_ghost *slot)
{
    struct views *views = node_views(ghost->world->hosts[node].node);
    uint32_t epoch = node_primary(ghost->world->hosts[node].node)->epoch;
    const struct view *view = views_at(views, epoch);
    const struct ring *ring = views_ring(views, epoch);
    if (epoch <= slot->active_epoch)
        return;
    CHECK(ring != NULL); /* who leads has it */
    slot->active_epoch = epoch;
    slot->active_count = 0;
    for (uint32_t i = 0; i < ring->group_size; i++)
        slot->active_group[slot->active_count++] =
            node_of(ghost->world, &view->members[ring->group[slot->slot][i]]);
}

/* A member that is down leads nothing; and "record act = e'" comes before all else that leads. */
static void check_leader(struct ghost *ghost, uint32_t node, const struct run *run)
{
    const struct host *host = &ghost->world->hosts[node];
    const struct primary *primary = node_primary(host->node);
    if (!member_is_up(&primary->view->members[primary->self]))
        world_fail(ghost->world,
                   "n%" PRIu32 " leads slot %u in epoch %" PRIu32 ", in which it is down", node + 1,
                   run->slot, primary->epoch);
    if (store_copy(host->store, run->slot)->act != primary->epoch)
        world_fail(ghost->world,
                   "n%" PRIu32 " leads slot %u in epoch %" PRIu32 " and has not recorded it",
                   node + 1, run->slot, primary->epoch);
}

/* 2: one run of one member leads a slot in an epoch. before: its copy a turn ago. */
static void look_at_run(struct ghost *ghost, uint32_t node, uint32_t index,
                        const struct copy_ghost *before)
{
    struct slot_ghost *slot = &ghost->slots[index];
    const struct host *host = &ghost->world->hosts[node];
    const struct primary *primary = node_primary(host->node);
    const struct run *run = primary_run(primary, slot->slot);
    if (!run || run->state < RUN_LEADING)
        return;
    check_leader(ghost, node, run);
    size_t place = slot->reign_count;
    while (place > 0 && slot->reigns[place - 1].epoch >= primary->epoch)
        place--;
    if (place == slot->reign_count || slot->reigns[place].epoch != primary->epoch) {
        slot->reigns =
            grown(slot->reigns, slot->reign_count, &slot->reign_capacity, sizeof(*slot->reigns));
        memmove(slot->reigns + place + 1, slot->reigns + place,
                (slot->reign_count - place) * sizeof(*slot->reigns));
        slot->reigns[place] = (struct reign){primary->epoch, node, host->starts, false};
        slot->reign_count++;
        ghost->counts.runs++;
        check_origin(ghost, node, run, before);
        check_chosen(ghost, node, slot, run, primary->epoch);
        if (primary->epoch > ghost->unseen_epoch)
            steps_check_lead(ghost->steps, host, index);
    }
    struct reign *reign = &slot->reigns[place];
    if (reign->node != node || reign->starts != host->starts)
        world_fail(ghost->world,
                   "invariant 2: n%" PRIu32 " and n%" PRIu32 " lead slot %" PRIu32
                   " in epoch %" PRIu32,
                   reign->node + 1, node + 1, slot->slot, primary->epoch);
    if (run->state != RUN_ACTIVE || reign->is_active)
        return;
    reign->is_active = true;
    ghost->counts.activations++;
    check_active(ghost, node, index);
    note_active_group(ghost, node, slot);
}

/* 7: the floor is at most common in every session past START, and at most what is acknowledged in
 * one that is synced; where all is sent (common is 0), it stays where it was. */
static void look_at_sessions(struct ghost *ghost, uint32_t node, uint32_t index)
{
    struct slot_ghost *slot = &ghost->slots[index];
    const struct host *host = &ghost->world->hosts[node];
    const struct primary *primary = node_primary(host->node);
    const struct run *run = primary_run(primary, slot->slot);
    uint64_t floor = store_copy(host->store, slot->slot)->floor;
    for (uint32_t k = 0; k < RUN_MEMBERS_MAX; k++) {
        struct session_ghost *before = &ghost->nodes[node].sessions[index][k];
        struct sync_session_view session = {0};
        bool is_open = run && k < run->member_count &&
                       sync_session(node_sync(host->node), slot->slot,
                                    primary->allies[run->members[k]].peer, &session);
        if (!is_open || !session.is_past_start) {
            *before = (struct session_ghost){0};
            continue;
        }
        if (before->sid != session.sid)
            *before = (struct session_ghost){
                .sid = session.sid, .floor_max = session.common > 0 ? session.common : floor};
        if (session.state == SYNC_SYNCED && session.acked > before->floor_max)
            before->floor_max = session.acked;
        ghost->counts.sessions++;
        if (floor > before->floor_max)
            world_fail(ghost->world,
                       "invariant 7: the floor of slot %" PRIu32 " at n%" PRIu32 ", %" PRIx64
                       ", has passed %" PRIx64 ", all that a session is known to have",
                       slot->slot, node + 1, floor, before->floor_max);
    }
}

static void note_pull(struct ghost *ghost, const struct record_PULL *pull)
{
    ghost->pulls[ghost->pull_count++ % PULLS_KEPT] = *pull;
}

/* 5: a copy pulled from is the one that was chosen: of the same act and ver; unless whoever pulled
 * leads by now, with another's, and has made this one current before it came to be offered. */
static void check_pulled(struct ghost *ghost, uint32_t node, const struct record_OFFER *offer)
{
    bool is_known = false, is_same = false;
    for (uint32_t i = 0; i < PULLS_KEPT; i++) {
        const struct record_PULL *pull = &ghost->pulls[i];
        if (pull->slot != offer->slot || pull->sid != offer->sid)
            continue;
        is_known = true;
        is_same |= pull->act == offer->act && pull->ver == offer->ver;
    }
    struct views *views = node_views(ghost->world->hosts[node].node);
    if (is_known && !is_same && offer->act != views_epoch(views))
        world_fail(ghost->world,
                   "invariant 5: n%" PRIu32 " gives its copy of slot %" PRIu32 " of act %" PRIu32
                   " and ver %" PRIx64 ", which was not chosen",
                   node + 1, (uint32_t)offer->slot, offer->act, offer->ver);
}

/* "From its adoption of that view on" - the one in which it stops - "it takes no session". */
static void check_start(struct ghost *ghost, uint32_t node, uint32_t epoch,
                        const struct record_START *start)
{
    struct views *views = node_views(ghost->world->hosts[node].node);
    const struct view *view = views_current(views);
    if (view && view->epoch == epoch && views_self(views) != VIEW_NOBODY &&
        view->members[views_self(views)].standing == STANDING_STOPPING)
        world_fail(ghost->world,
                   "n%" PRIu32 " takes a session of slot %" PRIu32 " in view %" PRIu32
                   ", in which it stops",
                   node + 1, (uint32_t)start->slot, epoch);
}

/* How copies are brought in step, in a view: counted, and what may be taken and pulled. records:
 * all of a turn and connection: frames end anywhere, what a turn says ends with a record. */
static void look_at_records(struct ghost *ghost, uint32_t node, uint32_t epoch, struct span records)
{
    struct ghost_counts *counts = &ghost->counts;
    struct record record;
    size_t taken;
    for (; record_parse(records, &record, &taken) == RECORD_DONE;
         records = span_of(records.data + taken, records.len - taken)) {
        switch (record.kind) {
        case RECORD_START:
            counts->full += record.START.is_full;
            counts->delta += !record.START.is_full && record.START.is_last;
            check_start(ghost, node, epoch, &record.START);
            break;
        case RECORD_ADVANCE:
            counts->advances++;
            steps_hear_advance(ghost->steps, &ghost->world->hosts[node], epoch, &record.ADVANCE);
            break;
        case RECORD_PULL:
            note_pull(ghost, &record.PULL);
            break;
        case RECORD_OFFER:
            counts->pulls += record.OFFER.is_pulled;
            if (record.OFFER.is_pulled)
                check_pulled(ghost, node, &record.OFFER);
            break;
        default:
            break;
        }
    }
}

/* 1: nothing of an epoch below the view that the sender had before this turn, unless it was said
 * before and has waited. */
static void look_at_frames(void *arg, struct host *host, struct span frames, bool have_waited)
{
    struct ghost *ghost = arg;
    struct node_ghost *node = &ghost->nodes[host->number];
    struct sent sent;
    struct buf records = {0};
    uint32_t stream_epoch = 0;
    while (frames.len > 0) {
        if (!sent_take(&frames, &sent)) {
            world_fail(ghost->world, "n%" PRIu32 " sends what is no message", host->number + 1);
            break;
        }
        votes_hear(ghost->votes, host, &sent.message);
        steps_hear(ghost->steps, host, &sent.message);
        ghost->counts.messages += sent.epoch > 0;
        if (sent.message.kind == MESSAGE_ALIVE && sent.epoch > node->said_epoch)
            node->said_epoch = sent.epoch;
        if (sent.is_stream) {
            stream_epoch = sent.epoch;
            buf_append(&records, sent.records.data, sent.records.len);
        } else {
            look_at_records(ghost, host->number, sent.epoch, sent.records);
        }
        if (sent.epoch > 0 && sent.epoch < node->epoch && !node->is_unkept && !have_waited)
            world_fail(ghost->world,
                       "invariant 1: n%" PRIu32 " of view %" PRIu32 " sends %s of epoch %" PRIu32,
                       host->number + 1, node->epoch, sent.kind, sent.epoch);
    }
    look_at_records(ghost, host->number, stream_epoch, buf_span(&records));
    buf_close(&records);
}

/* "base rises to e if every slot has a primary in e and that has reported it active" */
static void check_base(struct ghost *ghost, uint32_t node, uint32_t base)
{
    if (base <= ghost->unseen_epoch)
        return;
    const struct ring *ring = views_ring(node_views(ghost->world->hosts[node].node), base);
    bool is_good = ring != NULL;
    for (uint32_t slot = 0; is_good && slot < SLOT_COUNT; slot++)
        is_good = ring->primary[slot] != RING_NOBODY;
    for (uint32_t i = 0; is_good && i < ghost->slot_count; i++) {
        const struct reign *reign = find_reign(&ghost->slots[i], base);
        is_good = reign && reign->is_active;
    }
    if (!is_good)
        world_fail(ghost->world,
                   "base rises to %" PRIu32 ", in which not every slot has been active", base);
}

/* "Who is taken out ends only once a majority of F(of that view) has told it that it has adopted
 * it, or after 10 s." In the turn in which it ends it may have come to a later view. */
static void look_at_leaver(struct ghost *ghost, uint32_t node)
{
    const struct host *host = &ghost->world->hosts[node];
    struct views *views = node_views(host->node);
    const struct view *view = views_current(views);
    struct node_ghost *own = &ghost->nodes[node];
    uint64_t now_ms = host_now(host).mono_ms;
    uint32_t voters = 0, told = 0;
    if (view && views_self(views) != VIEW_NOBODY) {
        own->stood = host->starts;
        own->out_ms = 0;
        own->is_out_adopted = false;
    }
    if (!view || views_self(views) != VIEW_NOBODY || own->stood != host->starts)
        return;
    if (own->out_ms == 0)
        own->out_ms = now_ms;
    for (uint32_t i = 0; i < view->member_count; i++) {
        if (!view->members[i].is_voter)
            continue;
        const struct node_ghost *voter = &ghost->nodes[node_of(ghost->world, &view->members[i])];
        voters++;
        told += voter->said_epoch >= view->epoch || voter->is_forgotten;
    }
    own->is_out_adopted |= told >= voters / 2 + 1;
    if (!host->is_ending || host->end != NODE_END_LEFT)
        return;
    if (!own->is_out_adopted && now_ms < own->out_ms + REMOVED_MS)
        world_fail(ghost->world,
                   "n%" PRIu32 " ends, and of the %" PRIu32 " that vote in view %" PRIu32
                   " without it %" PRIu32 " have told that they are in it",
                   node + 1, voters, view->epoch, told);
}

/* "it may end once every slot in whose group it stands is reported active in it" - the view in
 * which it stops - "else it ends after 3 s as if killed"; at once where no other is up. */
static void look_at_stopper(struct ghost *ghost, uint32_t node)
{
    const struct host *host = &ghost->world->hosts[node];
    struct views *views = node_views(host->node);
    const struct view *view = views_current(views);
    uint32_t self = view ? views_self(views) : VIEW_NOBODY;
    if (!host->is_ending || host->end != NODE_END_LEFT || self == VIEW_NOBODY ||
        view->members[self].standing != STANDING_STOPPING ||
        ghost->world->clock.now_us >= host->leave_us + STOP_US)
        return;
    const struct ring *ring = views_ring(views, view->epoch);
    uint32_t up = 0;
    for (uint32_t i = 0; i < view->member_count; i++)
        up += member_is_full(&view->members[i]) && member_is_up(&view->members[i]);
    for (uint32_t i = 0; i < ghost->slot_count && up > 0; i++) {
        const struct reign *reign = find_reign(&ghost->slots[i], view->epoch);
        if (ring_has(ring, ghost->slots[i].slot, self) && !(reign && reign->is_active))
            world_fail(ghost->world,
                       "n%" PRIu32 " ends, and slot %" PRIu32 ", of which it has a copy, is not "
                       "active in view %" PRIu32 ", in which it stops",
                       node + 1, ghost->slots[i].slot, view->epoch);
    }
}

/* Who ends sends its last words first; what view it comes to meanwhile is no reason any more. */
static void look_at_end(struct ghost *ghost, const struct host *host)
{
    struct node_ghost *own = &ghost->nodes[host->number];
    if (own->ended == host->starts)
        return;
    look_at_leaver(ghost, host->number);
    look_at_stopper(ghost, host->number);
    if (host->is_ending)
        own->ended = host->starts;
}

/* Whether a node that runs has not come to the view before this one: changes overlap. */
static bool is_anybody_behind(const struct ghost *ghost, uint32_t epoch)
{
    for (uint32_t i = 0; i < ghost->world->host_count; i++)
        if (ghost->world->hosts[i].state == HOST_UP && ghost->nodes[i].epoch > 0 &&
            ghost->nodes[i].epoch + 1 < epoch)
            return true;
    return false;
}

/* What follows from two views, each of which the node has. */
static void check_succession(struct ghost *ghost, struct views *views, uint32_t epoch)
{
    char why[SUCCESSION_WHY_BYTES];
    const struct view *before = epoch > 1 ? views_at(views, epoch - 1) : NULL;
    if (before && epoch > ghost->unseen_epoch &&
        !succession_holds(before, views_at(views, epoch), why))
        world_fail(ghost->world, "view %" PRIu32 " may not follow: %s", epoch, why);
}

/* 1: one view per number; a member's never falls. */
static void look_at_view(struct ghost *ghost, uint32_t node)
{
    struct views *views = node_views(ghost->world->hosts[node].node);
    uint32_t epoch = views_epoch(views);
    if (epoch == ghost->nodes[node].epoch)
        return;
    if (epoch < ghost->nodes[node].epoch && !ghost->nodes[node].is_unkept)
        world_fail(ghost->world,
                   "invariant 1: the view of n%" PRIu32 " falls from %" PRIu32 " to %" PRIu32,
                   node + 1, ghost->nodes[node].epoch, epoch);
    ghost->nodes[node].epoch = epoch;
    ghost->nodes[node].is_unkept = ghost->world->hosts[node].is_disk_full;
    if (epoch == 0)
        return;
    uint64_t hash = votes_view_hash(views_current(views));
    size_t place = ghost->view_count;
    while (place > 0 && ghost->views[place - 1].epoch >= epoch)
        place--;
    if (place < ghost->view_count && ghost->views[place].epoch == epoch) {
        if (ghost->views[place].hash != hash)
            world_fail(ghost->world, "invariant 1: n%" PRIu32 " has another view %" PRIu32,
                       node + 1, epoch);
        return;
    }
    ghost->views =
        grown(ghost->views, ghost->view_count, &ghost->view_capacity, sizeof(*ghost->views));
    memmove(ghost->views + place + 1, ghost->views + place,
            (ghost->view_count - place) * sizeof(*ghost->views));
    ghost->views[place] = (struct seen_view){epoch, hash};
    ghost->view_count++;
    ghost->counts.views++;
    ghost->counts.overlaps += is_anybody_behind(ghost, epoch);
    check_succession(ghost, views, epoch);
    uint32_t base = views_current(views)->base;
    if (base > ghost->base && epoch > 1)
        check_base(ghost, node, base);
    if (base > ghost->base)
        ghost->base = base;
}

/* --- after every turn ------------------------------------------------------------------------- */

/* It may be another view that is written: what this turn has dropped until now, it dropped in the
 * one that the node has, and what it has declared lost, with the runs of that one. */
static void look_before_state(void *arg, struct host *host)
{
    struct ghost *ghost = arg;
    steps_look(ghost->steps, host);
    for (uint32_t i = 0; i < ghost->slot_count && !ghost->world->has_failed; i++) {
        struct slot_ghost *slot = &ghost->slots[i];
        struct copy_ghost *before = &ghost->nodes[host->number].copies[i];
        look_at_loss(ghost, host->number, i);
        if (before->is_dropped || !is_dropped(host->store, slot->slot, before))
            continue;
        check_dropped(&(struct look){.ghost = ghost, .slot = slot, .node = host->number});
        before->is_dropped = true;
    }
}

static void look_after_state(void *arg, struct host *host)
{
    struct ghost *ghost = arg;
    votes_look(ghost->votes, host);
}

static void look_at_host(void *arg, struct host *host)
{
    struct ghost *ghost = arg;
    if (ghost->world->has_failed)
        return;
    ghost->counts.turns++;
    look_at_view(ghost, host->number);
    look_at_end(ghost, host);
    steps_look(ghost->steps, host);
    for (uint32_t i = 0; i < ghost->slot_count; i++) {
        look_at_loss(ghost, host->number, i);
        look_at_origin(ghost, host->number, i);
        struct copy_ghost before = ghost->nodes[host->number].copies[i];
        look_at_copy(ghost, host->number, i);
        look_at_run(ghost, host->number, i, &before);
        look_at_sessions(ghost, host->number, i);
        if (ghost->world->has_failed) {
            say_slot(ghost, &ghost->slots[i]);
            return;
        }
    }
}

/* A host's data are gone: there is nothing to compare with any more. */
static void forget_copies(void *arg, struct host *host)
{
    struct ghost *ghost = arg;
    memset(ghost->nodes[host->number].copies, 0, sizeof(ghost->nodes[host->number].copies));
    steps_forget(ghost->steps, host);
}

/* A new seat, which has had no view yet. */
static void forget_view(void *arg, struct host *host)
{
    struct ghost *ghost = arg;
    ghost->nodes[host->number].epoch = 0;
    ghost->nodes[host->number].is_forgotten = true;
}

void ghost_skip(struct ghost *ghost, uint32_t epoch)
{
    if (epoch > ghost->unseen_epoch)
        ghost->unseen_epoch = epoch;
    votes_skip(ghost->votes, epoch);
}

struct ghost *ghost_open(struct world *world, const uint32_t *slots, uint32_t count)
{
    struct ghost *ghost = calloc(1, sizeof(*ghost));
    CHECK(ghost != NULL);
    CHECK(count <= GHOST_SLOTS_MAX);
    ghost->world = world;
    ghost->votes = votes_open(world);
    ghost->nodes = calloc(world->host_count, sizeof(*ghost->nodes));
    CHECK(ghost->nodes != NULL);
    ghost->slot_count = count;
    for (uint32_t i = 0; i < count; i++)
        ghost->slots[i].slot = slots[i];
    ghost->steps = steps_open(world, slots, count);
    /* Who is not the first to look sees what they have recorded until now. */
    for (uint32_t node = 0; node < world->host_count; node++)
        for (uint32_t i = 0; world->hosts[node].store && i < count; i++)
            ghost->nodes[node].acted[i] = store_copy(world->hosts[node].store, slots[i])->act;
    for (uint32_t node = 0; node < world->host_count; node++)
        if (world->hosts[node].node)
            ghost_skip(ghost, views_epoch(node_views(world->hosts[node].node)));
    world->after_turn = look_at_host;
    world->before_state = look_before_state;
    world->after_state = look_after_state;
    world->frames_sent = look_at_frames;
    world->data_lost = forget_copies;
    world->state_lost = forget_view;
    world->watcher = ghost;
    return ghost;
}

void ghost_close(struct ghost *ghost)
{
    ghost->world->after_turn = NULL;
    ghost->world->before_state = NULL;
    ghost->world->after_state = NULL;
    votes_close(ghost->votes);
    steps_close(ghost->steps);
    ghost->world->frames_sent = NULL;
    ghost->world->data_lost = NULL;
    ghost->world->state_lost = NULL;
    for (uint32_t i = 0; i < ghost->slot_count; i++) {
        free(ghost->slots[i].writes);
        free(ghost->slots[i].flushes);
        free(ghost->slots[i].reigns);
        free(ghost->slots[i].told);
        ancestry_close(&ghost->slots[i].ancestry);
    }
    free(ghost->nodes);
    free(ghost->views);
    free(ghost);
}

const struct ghost_counts *ghost_counts(const struct ghost *ghost)
{
    return &ghost->counts;
}
