#include "server/core/members.h"

#include "common/check.h"
#include "common/mutant.h"

#include <stdlib.h>
#include <string.h>

/* --- hashes ----------------------------------------------------------------------------------- */

/* Scatters bits: the finalizer of splitmix64. */
static uint64_t mix(uint64_t bits)
{
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
    return bits ^ bits >> 31;
}

/* FNV-1a, scattered; the same on every node. Never 0, which stands for nobody. */
uint64_t name_hash(struct span name)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (unsigned char)name.data[i]) * 0x100000001b3;
    hash = mix(hash);
    return hash ? hash : 1;
}

static uint64_t view_share(const struct account *record)
{
    uint64_t hash = record->name_hash;
    hash = mix(hash + record->boot);
    hash = mix(hash + record->generation);
    hash = mix(hash + record->inc);
    return mix(hash + ((uint64_t)record->state << 32) + record->weight);
}

/* --- the tables ------------------------------------------------------------------------------- */

static int compare_name(const struct account *record, struct span name)
{
    size_t len = strlen(record->name);
    int order = memcmp(record->name, name.data, len < name.len ? len : name.len);
    return order != 0 ? order : (len > name.len) - (len < name.len);
}

/* Where a record of that name is, or would stand. */
static uint32_t place_of(struct account *const *records, uint32_t count, struct span name)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare_name(records[middle], name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert(struct account ***records, uint32_t *count, uint32_t *capacity,
                   struct account *record)
{
    uint32_t at = place_of(*records, *count, span_of_string(record->name));
    if (*count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 8;
        *records = realloc(*records, *capacity * sizeof(**records));
        CHECK(*records != NULL);
    }
    memmove(*records + at + 1, *records + at, (*count - at) * sizeof(**records));
    (*records)[at] = record;
    (*count)++;
}

static void take_out(struct account **records, uint32_t *count, const struct account *record)
{
    uint32_t at = place_of(records, *count, span_of_string(record->name));
    CHECK(at < *count && records[at] == record);
    (*count)--;
    memmove(records + at, records + at + 1, (*count - at) * sizeof(*records));
}

struct account *members_find(const struct members *members, struct span name)
{
    uint32_t at = place_of(members->all, members->count, name);
    if (at == members->count || compare_name(members->all[at], name) != 0)
        return NULL;
    return members->all[at];
}

uint32_t members_self_at(const struct members *members)
{
    if (!record_is_live(members->self))
        return members->live_count;
    return place_of(members->live, members->live_count, span_of_string(members->self->name));
}

bool record_is_live(const struct account *record)
{
    return record->state == MEMBER_ALIVE || record->state == MEMBER_SUSPECT;
}

bool record_is_listed(const struct account *record)
{
    return record_is_live(record) || record->state == MEMBER_DEAD || record->state == MEMBER_LEFT;
}

static bool is_final(enum member_state state)
{
    return state == MEMBER_LEFT || state == MEMBER_REMOVED;
}

/* --- changes ---------------------------------------------------------------------------------- */

static struct list *list_of_state(struct members *members, enum member_state state)
{
    switch (state) {
    case MEMBER_UNVERIFIED:
        return &members->unverified;
    case MEMBER_SUSPECT:
        return &members->suspects;
    case MEMBER_DEAD:
    case MEMBER_LEFT:
        return &members->fading;
    case MEMBER_REMOVED:
        return &members->tombstones;
    case MEMBER_ALIVE:
    case MEMBER_STATE_COUNT:
        break;
    }
    return NULL;
}

/* Something in the record's account has changed: it is the latest change now. */
static void touch(struct members *members, struct account *record)
{
    members->viewhash ^= record->view_share;
    record->view_share = record_is_live(record) ? view_share(record) : 0;
    members->viewhash ^= record->view_share;
    list_remove(&record->by_change);
    record->change = 0;
    if (record_is_listed(record)) {
        record->change = ++members->version;
        list_append(&members->by_change, &record->by_change);
    }
}

/* The one function that moves a record to another state, and all that lies in lists with it. A
 * suspicion is begun before, and ended here where the new state has none. */
static void move(struct members *members, struct account *record, enum member_state state,
                 uint64_t now_ms)
{
    bool was_live = record_is_live(record);
    members->in_state[record->state]--;
    members->in_state[state]++;
    record->state = state;
    record->state_ms = now_ms;
    list_remove(&record->in_state);
    struct list *list = list_of_state(members, state);
    if (list)
        list_append(list, &record->in_state);
    if (state != MEMBER_SUSPECT && state != MEMBER_DEAD) {
        free(record->suspicion);
        record->suspicion = NULL;
    }
    if (was_live && !record_is_live(record)) {
        take_out(members->live, &members->live_count, record);
        list_remove(&record->by_proof);
    } else if (!was_live && record_is_live(record)) {
        insert(&members->live, &members->live_count, &members->live_capacity, record);
        if (record != members->self)
            list_append(&members->by_proof, &record->by_proof);
    }
    members->has_ring_changed |= was_live != record_is_live(record);
    touch(members, record);
}

/* A record that is in no list but the table yet: move does the rest. */
static struct account *add(struct members *members, struct span name)
{
    struct account *record = calloc(1, sizeof(*record));
    CHECK(record != NULL);
    record->name = malloc(name.len + 1);
    CHECK(record->name != NULL);
    memcpy(record->name, name.data, name.len);
    record->name[name.len] = '\0';
    record->name_hash = name_hash(name);
    record->peer = NO_PEER;
    record->weight = 1;
    insert(&members->all, &members->count, &members->capacity, record);
    record->state = MEMBER_UNVERIFIED;
    members->in_state[MEMBER_UNVERIFIED]++;
    list_append(&members->unverified, &record->in_state);
    return record;
}

void members_forget(struct members *members, struct account *record)
{
    CHECK(record->state == MEMBER_REMOVED || record->state == MEMBER_UNVERIFIED);
    CHECK(record != members->self);
    take_out(members->all, &members->count, record);
    members->in_state[record->state]--;
    list_remove(&record->in_state);
    free(record->name);
    free(record);
}

void members_init(struct members *members, const struct gossip_options *options, const char *name,
                  uint64_t boot, uint64_t generation, uint32_t weight)
{
    CHECK(boot >= 1);
    CHECK(weight >= 1 && weight <= VIEW_WEIGHT_MAX);
    *members = (struct members){.options = options};
    list_init(&members->by_change);
    list_init(&members->by_proof);
    list_init(&members->unverified);
    list_init(&members->suspects);
    list_init(&members->fading);
    list_init(&members->tombstones);
    struct account *self = add(members, span_of_string(name));
    self->boot = boot;
    self->generation = generation;
    self->weight = weight;
    members->self = self;
    move(members, self, MEMBER_ALIVE, 0);
}

void members_close(struct members *members)
{
    for (uint32_t i = 0; i < members->count; i++) {
        free(members->all[i]->suspicion);
        free(members->all[i]->name);
        free(members->all[i]);
    }
    free(members->all);
    free(members->live);
    *members = (struct members){0};
}

/* --- order ------------------------------------------------------------------------------------ */

static int rank_of(enum member_state state)
{
    static const int ranks[] = {
#define MEMBER_STATE_RANK(name, rank) [MEMBER_##name] = (rank),
        MEMBER_STATE_LIST(MEMBER_STATE_RANK)
#undef MEMBER_STATE_RANK
    };
    CHECK(state < MEMBER_STATE_COUNT);
    return ranks[state];
}

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_life(uint64_t boot_a, uint64_t generation_a, uint64_t boot_b,
                        uint64_t generation_b)
{
    int order = compare_u64(boot_a, boot_b);
    return order != 0 ? order : compare_u64(generation_a, generation_b);
}

int account_compare(const struct news *a, const struct news *b)
{
    int order = compare_life(a->boot, a->generation, b->boot, b->generation);
    if (order == 0)
        order = is_final(a->state) - is_final(b->state);
    if (order == 0 && !is_final(a->state))
        order = compare_u64(a->inc, b->inc);
    if (order == 0)
        order = rank_of(a->state) - rank_of(b->state);
    if (order == 0)
        order = compare_u64(a->inc, b->inc);
    return order != 0 ? order : compare_u64(a->weight, b->weight);
}

/* --- time ------------------------------------------------------------------------------------- */

static uint64_t before(uint64_t now_ms, uint64_t age_ms)
{
    return age_ms < now_ms ? now_ms - age_ms : 0;
}

static uint64_t grown(const struct members *members, uint64_t ms)
{
    uint64_t by_size = (uint64_t)members->live_count * 500;
    return ms > by_size ? ms : by_size;
}

uint64_t members_fail_ms(const struct members *members)
{
    return grown(members, members->options->fail_ms);
}

uint64_t members_accept_ms(const struct members *members)
{
    return grown(members, members->options->accept_ms);
}

bool record_is_damped(const struct account *record, uint64_t now_ms)
{
    return now_ms < record->damped_until_ms && !MUTANT(never_damped);
}

/* One refuted suspicion more. */
static void record_flaps(struct account *record, const struct gossip_options *options,
                         uint64_t now_ms)
{
    record->flap_milli =
        flap_score(record->flap_milli, record->flap_ms, now_ms, options->flap_half_ms) + 1000;
    record->flap_ms = now_ms;
    if (record->flap_milli > FLAP_LIMIT_MILLI)
        record->damped_until_ms = now_ms + options->damp_ms;
}

/* It was heard of last, of all that are live. */
static void put_last(struct members *members, struct account *record)
{
    if (!list_is_linked(&record->by_proof))
        return;
    list_remove(&record->by_proof);
    list_append(&members->by_proof, &record->by_proof);
}

/* A planted bug. */
static bool is_lost(const struct account *record)
{
    return record->state == MEMBER_SUSPECT && MUTANT(suspected_for_good);
}

/* Hearsay: a higher heartbeat, seen by somebody at that time. Returns whether it is news. */
static bool take_heartbeat(struct members *members, struct account *record, uint64_t hb,
                           uint64_t proof_ms)
{
    if (hb <= record->hb)
        return false;
    record->hb = hb;
    if (proof_ms <= record->proof_ms)
        return false;
    record->proof_ms = proof_ms;
    put_last(members, record);
    return true;
}

/* Hearsay never cancels REFUSED: who saw the process go knows better than who heard of it before.
 */
static bool cancel_by_hearsay(struct members *members, struct account *record, uint64_t now_ms)
{
    if (record->state != MEMBER_SUSPECT || is_lost(record) ||
        record->suspicion->evidence == EVIDENCE_REFUSED ||
        record->proof_ms <= record->suspicion->since_ms)
        return false;
    move(members, record, MEMBER_ALIVE, now_ms);
    return true;
}

struct account *members_hear_heartbeat(struct members *members, const struct news *news,
                                       uint64_t now_ms)
{
    CHECK(news->is_heartbeat);
    struct account *record = members_find(members, news->name);
    if (!record || record == members->self || !record_is_live(record) ||
        (uint16_t)record->boot != news->tag ||
        !take_heartbeat(members, record, news->hb, before(now_ms, news->age_ms)))
        return NULL;
    return cancel_by_hearsay(members, record, now_ms) ? record : NULL;
}

bool members_prove(struct members *members, struct account *record, uint64_t hb, uint64_t now_ms)
{
    CHECK(record != members->self);
    if (hb > record->hb)
        record->hb = hb;
    record->proof_ms = now_ms;
    record->direct_ms = now_ms;
    put_last(members, record);
    if (record->state != MEMBER_SUSPECT || is_lost(record))
        return false;
    move(members, record, MEMBER_ALIVE, now_ms);
    return true;
}

/* --- accusations ------------------------------------------------------------------------------ */

static void suspect(struct account *record, enum evidence evidence, uint64_t reporter, bool is_own,
                    uint64_t since_ms, uint64_t now_ms)
{
    if (!record->suspicion)
        record->suspicion = malloc(sizeof(*record->suspicion));
    CHECK(record->suspicion != NULL);
    suspicion_begin(record->suspicion, evidence, reporter, is_own, since_ms, now_ms);
}

/* An accusation is believed unless its subject has proved itself since it began. */
static bool is_outdated(const struct account *record, const struct news *news, uint64_t now_ms)
{
    uint64_t proof_ms = news->evidence == EVIDENCE_REFUSED ? record->direct_ms : record->proof_ms;
    return proof_ms > before(now_ms, news->since_ms);
}

static uint64_t reporter_of(const struct news *news)
{
    return span_equal(news->by, SPAN_LITERAL("-")) ? 0 : name_hash(news->by);
}

static enum hearing hear_suspect(struct members *members, struct account *record,
                                 const struct news *news, uint64_t now_ms)
{
    uint64_t reporter = reporter_of(news);
    bool is_higher = news->inc > record->inc;
    if ((news->inc < record->inc && !MUTANT(inc_falls)) ||
        (record->state == MEMBER_DEAD && !is_higher))
        return HEARD_NOTHING;
    record->inc = news->inc;
    if (record->state == MEMBER_SUSPECT) {
        bool is_new = suspicion_report(record->suspicion, news->evidence, reporter, false, now_ms);
        if (is_higher)
            touch(members, record);
        return is_new || is_higher ? HEARD_REPORT : HEARD_NOTHING;
    }
    if (is_outdated(record, news, now_ms)) {
        if (is_higher)
            touch(members, record);
        return HEARD_OUTDATED;
    }
    suspect(record, news->evidence, reporter, false, before(now_ms, news->since_ms), now_ms);
    move(members, record, MEMBER_SUSPECT, now_ms);
    return HEARD_SUSPECT;
}

static enum hearing hear_dead(struct members *members, struct account *record,
                              const struct news *news, uint64_t now_ms)
{
    if (news->inc < record->inc)
        return HEARD_NOTHING;
    bool is_higher = news->inc > record->inc;
    record->inc = news->inc;
    if (record->state == MEMBER_DEAD || is_outdated(record, news, now_ms)) {
        if (is_higher)
            touch(members, record);
        return record->state == MEMBER_DEAD ? HEARD_NOTHING : HEARD_OUTDATED;
    }
    if (!record->suspicion)
        suspect(record, news->evidence, reporter_of(news), false, before(now_ms, news->since_ms),
                now_ms);
    move(members, record, MEMBER_DEAD, now_ms);
    return HEARD_DEAD;
}

static enum hearing hear_left(struct members *members, struct account *record,
                              const struct news *news, uint64_t now_ms)
{
    record->inc = news->inc > record->inc ? news->inc : record->inc;
    move(members, record, MEMBER_LEFT, now_ms);
    return HEARD_LEFT;
}

static enum hearing hear_alive(struct members *members, struct account *record,
                               const struct news *news, bool has_proof, uint64_t now_ms)
{
    if ((news->inc > record->inc || MUTANT(alive_same_inc)) && !is_lost(record)) {
        bool was_dead = record->state == MEMBER_DEAD;
        bool was_accused = was_dead || record->state == MEMBER_SUSPECT;
        members->has_ring_changed |= record->weight != news->weight;
        record->inc = news->inc;
        record->weight = news->weight;
        if (!was_accused) {
            touch(members, record);
            return HEARD_ALIVE;
        }
        record_flaps(record, members->options, now_ms);
        if (was_dead)
            record->damped_until_ms = now_ms + members->options->damp_ms;
        move(members, record, MEMBER_ALIVE, now_ms);
        return HEARD_REFUTED;
    }
    if (news->inc == record->inc && news->weight > record->weight &&
        record->state == MEMBER_ALIVE) {
        members->has_ring_changed = true;
        record->weight = news->weight;
        touch(members, record);
        return HEARD_ALIVE;
    }
    if (has_proof && cancel_by_hearsay(members, record, now_ms))
        return HEARD_CANCELLED;
    return has_proof ? HEARD_PROOF : HEARD_NOTHING;
}

/* --- accounts --------------------------------------------------------------------------------- */

static bool is_full(const struct members *members)
{
    return members->count - members->in_state[MEMBER_REMOVED] >= VIEW_MEMBERS_MAX;
}

/* An account of a process that is not known yet: record holds another one of the name, or none. */
static void take_life(struct account *record, const struct news *news, bool is_direct,
                      uint64_t now_ms)
{
    record->boot = news->boot;
    record->generation = news->generation;
    record->inc = news->inc;
    record->weight = news->weight;
    record->hb = news->hb;
    record->proof_ms = is_direct ? now_ms : before(now_ms, news->age_ms);
    record->direct_ms = is_direct ? now_ms : 0;
}

static bool is_live_account(const struct news *news)
{
    return news->state == MEMBER_ALIVE || news->state == MEMBER_SUSPECT;
}

/* So old that it proves no life: whoever it is about may have ended since, and been forgotten. */
static bool is_stale(const struct members *members, const struct news *news, bool is_direct)
{
    return is_live_account(news) && !is_direct && news->age_ms >= members_accept_ms(members) &&
           !MUTANT(age_ignored);
}

/* The record holds the account's process now: comes into the account's state. */
static enum hearing become(struct members *members, struct account *record, const struct news *news,
                           bool is_direct, uint64_t now_ms)
{
    if (is_stale(members, news, is_direct)) {
        move(members, record, MEMBER_UNVERIFIED, now_ms);
        return HEARD_UNVERIFIED;
    }
    if (news->state == MEMBER_SUSPECT || news->state == MEMBER_DEAD)
        suspect(record, news->evidence, reporter_of(news), false, before(now_ms, news->since_ms),
                now_ms);
    move(members, record, news->state, now_ms);
    if (is_live_account(news))
        return HEARD_NEW;
    return news->state == MEMBER_DEAD ? HEARD_DEAD : HEARD_LEFT;
}

static enum hearing hear_unknown(struct members *members, const struct news *news, bool is_direct,
                                 uint64_t now_ms, struct account **record)
{
    if (is_full(members))
        return HEARD_FULL;
    *record = add(members, news->name);
    take_life(*record, news, is_direct, now_ms);
    return become(members, *record, news, is_direct, now_ms);
}

/* A later process of a name than the one known. */
static enum hearing hear_later_life(struct members *members, struct account *record,
                                    const struct news *news, bool is_direct, uint64_t now_ms)
{
    bool was_live = record_is_live(record);
    bool was_gone = record->state == MEMBER_DEAD || record->state == MEMBER_REMOVED;
    bool is_same_data = record->generation == news->generation;
    if (record->state == MEMBER_REMOVED && is_full(members))
        return HEARD_FULL;
    members->has_ring_changed |= was_live && record->weight != news->weight;
    take_life(record, news, is_direct, now_ms);
    enum hearing hearing = become(members, record, news, is_direct, now_ms);
    if (hearing != HEARD_NEW)
        return hearing;
    if (was_gone && is_same_data)
        record->damped_until_ms = now_ms + members->options->damp_ms;
    if (was_live)
        return is_same_data ? HEARD_RENEWED : HEARD_RESTARTED;
    return HEARD_NEW;
}

/* The process known, once more. */
static enum hearing hear_same_life(struct members *members, struct account *record,
                                   const struct news *news, bool is_direct, uint64_t now_ms)
{
    if (is_final(record->state) && !MUTANT(final_is_not)) {
        record->inc = news->inc > record->inc ? news->inc : record->inc;
        return is_live_account(news) ? HEARD_REMOVED : HEARD_NOTHING;
    }
    if (record->state == MEMBER_UNVERIFIED) {
        take_life(record, news, is_direct, now_ms);
        return become(members, record, news, is_direct, now_ms);
    }
    bool has_proof = take_heartbeat(members, record, news->hb, before(now_ms, news->age_ms));
    if (record->state == MEMBER_DEAD && news->inc > record->inc &&
        is_stale(members, news, is_direct))
        return HEARD_REMOVED;
    switch (news->state) {
    case MEMBER_ALIVE:
        return hear_alive(members, record, news, has_proof, now_ms);
    case MEMBER_SUSPECT:
        return hear_suspect(members, record, news, now_ms);
    case MEMBER_DEAD:
        return hear_dead(members, record, news, now_ms);
    default:
        return hear_left(members, record, news, now_ms);
    }
}

/* Another node has removed a process: that counts only where this very process is suspected. */
static enum hearing hear_removed(const struct account *record, const struct news *news)
{
    if (!record || record->state != MEMBER_SUSPECT || news->inc < record->inc ||
        compare_life(news->boot, news->generation, record->boot, record->generation) != 0)
        return HEARD_NOTHING;
    return suspicion_condemn(record->suspicion) ? HEARD_CONDEMNED : HEARD_NOTHING;
}

enum hearing members_hear(struct members *members, const struct news *news, bool is_direct,
                          uint64_t now_ms, struct account **record)
{
    CHECK(!news->is_heartbeat);
    *record = members_find(members, news->name);
    if (*record == members->self)
        return HEARD_SELF;
    if (news->state == MEMBER_REMOVED)
        return hear_removed(*record, news);
    if (!*record)
        return hear_unknown(members, news, is_direct, now_ms, record);
    int order = compare_life(news->boot, news->generation, (*record)->boot, (*record)->generation);
    if (order < 0)
        return HEARD_NOTHING;
    if (order > 0 && MUTANT(boot_ignored) && record_is_live(*record))
        return HEARD_NOTHING;
    if (order > 0)
        return hear_later_life(members, *record, news, is_direct, now_ms);
    return hear_same_life(members, *record, news, is_direct, now_ms);
}

struct account *members_expect(struct members *members, const struct news *news, uint64_t now_ms)
{
    struct account *account;
    if (members_hear(members, news, true, now_ms, &account) != HEARD_NEW)
        return NULL;
    account->proof_ms = account->direct_ms = 0;
    list_remove(&account->by_proof);
    list_prepend(&members->by_proof, &account->by_proof);
    return account;
}

/* --- this node's own verdicts ----------------------------------------------------------------- */

enum hearing members_doubt(struct members *members, struct account *record, enum evidence evidence,
                           uint64_t now_ms)
{
    CHECK(record_is_live(record));
    CHECK(record != members->self);
    if (record->state == MEMBER_ALIVE) {
        suspect(record, evidence, members->self->name_hash, true,
                MUTANT(since_proof) ? record->proof_ms : now_ms, now_ms);
        move(members, record, MEMBER_SUSPECT, now_ms);
        return HEARD_SUSPECT;
    }
    bool was_own = record->suspicion->is_own;
    bool is_new =
        suspicion_report(record->suspicion, evidence, members->self->name_hash, true, now_ms);
    if (record->suspicion->is_own != was_own)
        touch(members, record);
    return is_new ? HEARD_REPORT : HEARD_NOTHING;
}

void members_condemn(struct members *members, struct account *record, uint64_t now_ms)
{
    CHECK(record->state == MEMBER_SUSPECT);
    move(members, record, MEMBER_DEAD, now_ms);
}

void members_remove(struct members *members, struct account *record, uint64_t now_ms)
{
    CHECK(record->state == MEMBER_DEAD || record->state == MEMBER_LEFT);
    move(members, record, MEMBER_REMOVED, now_ms);
}

void members_raise_inc(struct members *members, uint32_t inc)
{
    CHECK(inc > members->self->inc);
    members->self->inc = inc;
    touch(members, members->self);
}

void members_raise_boot(struct members *members, uint64_t boot)
{
    CHECK(boot > members->self->boot);
    members->self->boot = boot;
    members->self->inc = 0;
    touch(members, members->self);
}

void members_leave(struct members *members, uint64_t now_ms)
{
    CHECK(members->self->state == MEMBER_ALIVE);
    move(members, members->self, MEMBER_LEFT, now_ms);
    list_remove(&members->self->in_state); /* it does not fade here */
}

/* --- telling ---------------------------------------------------------------------------------- */

void members_tell(const struct members *members, const struct account *record, uint64_t now_ms,
                  struct news *news)
{
    bool is_self = record == members->self;
    *news = (struct news){
        .state = record->state,
        .name = span_of_string(record->name),
        .boot = record->boot,
        .generation = record->generation,
        .inc = record->inc,
        .hb = record->hb,
        .age_ms = is_self || MUTANT(age_ignored) ? 0 : news_age_ms(record->proof_ms, now_ms),
        .weight = record->weight,
        .by = SPAN_LITERAL("-"),
    };
    if (!record->suspicion)
        return;
    const struct suspicion *suspicion = record->suspicion;
    news->evidence = suspicion->evidence;
    news->since_ms = now_ms > suspicion->since_ms ? now_ms - suspicion->since_ms : 0;
    if (suspicion->is_own)
        news->by = span_of_string(members->self->name);
}

struct account *members_since(const struct members *members, uint64_t version)
{
    const struct list *head = &members->by_change;
    const struct list *link = head;
    while (link->prev != head &&
           CONTAINER_OF(link->prev, struct account, by_change)->change > version)
        link = link->prev;
    return link == head ? NULL : CONTAINER_OF(link, struct account, by_change);
}

struct account *members_next(const struct members *members, const struct account *record)
{
    struct list *next = record->by_change.next;
    return next == &members->by_change ? NULL : CONTAINER_OF(next, struct account, by_change);
}

/* --- check ------------------------------------------------------------------------------------ */

static void record_check(const struct members *members, const struct account *record)
{
    CHECK(record->state < MEMBER_STATE_COUNT);
    CHECK(record->direct_ms <= record->proof_ms);
    CHECK(record->weight >= 1 && record->weight <= VIEW_WEIGHT_MAX);
    CHECK(list_is_linked(&record->by_change) == record_is_listed(record));
    CHECK((record->change != 0) == record_is_listed(record));
    CHECK(record->change <= members->version);
    CHECK(list_is_linked(&record->by_proof) == (record_is_live(record) && record != members->self));
    CHECK(list_is_linked(&record->in_state) ==
          (record->state != MEMBER_ALIVE && record != members->self));
    CHECK((record->suspicion != NULL) ==
          (record->state == MEMBER_SUSPECT || record->state == MEMBER_DEAD));
    CHECK(record->view_share == (record_is_live(record) ? view_share(record) : 0));
}

void members_check(const struct members *members)
{
    uint32_t in_state[MEMBER_STATE_COUNT] = {0};
    uint32_t live = 0;
    uint64_t viewhash = 0;
    for (uint32_t i = 0; i < members->count; i++) {
        const struct account *record = members->all[i];
        if (i > 0)
            CHECK(strcmp(members->all[i - 1]->name, record->name) < 0);
        record_check(members, record);
        in_state[record->state]++;
        viewhash ^= record->view_share;
        if (record_is_live(record))
            CHECK(members->live[live++] == record);
    }
    CHECK(live == members->live_count);
    CHECK(viewhash == members->viewhash);
    for (size_t i = 0; i < MEMBER_STATE_COUNT; i++)
        CHECK(in_state[i] == members->in_state[i]);
    uint64_t change = 0;
    for (struct account *r = members_since(members, 0); r; r = members_next(members, r)) {
        CHECK(r->change > change);
        change = r->change;
    }
    CHECK(members->count - in_state[MEMBER_REMOVED] <= VIEW_MEMBERS_MAX);
}
