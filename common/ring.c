#include "common/ring.h"

#include "common/buf.h"
#include "common/check.h"
#include "common/mutant.h"
#include "common/number.h"

#include <stdlib.h>

_Static_assert(VIEW_MEMBERS_MAX < RING_NOBODY, "an index is never taken for nobody");

struct position {
    uint64_t at;
    uint16_t member;
};

/* Every position of a view, ascending; those of slot s are first[s] … first[s + 1] - 1. */
struct positions {
    struct position *all;
    uint32_t first[SLOT_COUNT + 1];
};

/* Ties by name: members stand in name order, so the lower index goes first. */
static int compare_positions(const void *a, const void *b)
{
    const struct position *left = a, *right = b;
    if (left->at != right->at)
        return left->at < right->at ? -1 : 1;
    return (int)left->member - (int)right->member;
}

/* Writes the positions of one member at to. Returns one past the last. */
static struct position *hash_member(const struct member *member, uint16_t index,
                                    struct position *to)
{
    char text[ADDRESS_TEXT_BYTES_MAX + 1 + DECIMAL_BYTES_MAX];
    size_t name_len = strlen(member->name);
    memcpy(text, member->name, name_len);
    text[name_len] = '#';
    for (uint32_t i = 0; i < member->weight * RING_POSITIONS_PER_WEIGHT; i++) {
        const char *end = number_format_decimal(text + name_len + 1, i);
        struct digest digest;
        digest_of(span_of(text, (size_t)(end - text)), &digest);
        *to++ = (struct position){digest_position(&digest), index};
    }
    return to;
}

/* Sorts from into positions: first by slot, counting, then each slot's few by themselves. */
static void sort_positions(const struct position *from, uint32_t count, struct positions *positions)
{
    uint32_t *first = positions->first;
    memset(first, 0, sizeof(positions->first));
    for (uint32_t i = 0; i < count; i++)
        first[position_slot(from[i].at) + 1]++;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        first[slot + 1] += first[slot];
    /* Filling a slot from its front moves first[slot] to its end, which is the next one's front:
     * afterwards all stand one too far. */
    for (uint32_t i = 0; i < count; i++)
        positions->all[first[position_slot(from[i].at)]++] = from[i];
    memmove(first + 1, first, SLOT_COUNT * sizeof(*first));
    first[0] = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        if (first[slot + 1] - first[slot] > 1)
            qsort(positions->all + first[slot], first[slot + 1] - first[slot],
                  sizeof(*positions->all), compare_positions);
}

static void open_positions(const struct view *view, struct positions *positions)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->member_count; i++)
        if (member_is_full(&view->members[i]))
            count += view->members[i].weight * RING_POSITIONS_PER_WEIGHT;
    struct position *unsorted = malloc(count * sizeof(*unsorted));
    positions->all = malloc(count * sizeof(*positions->all));
    CHECK(unsorted != NULL);
    CHECK(positions->all != NULL);
    struct position *end = unsorted;
    for (uint32_t i = 0; i < view->member_count; i++)
        if (member_is_full(&view->members[i]))
            end = hash_member(&view->members[i], (uint16_t)i, end);
    CHECK(end == unsorted + count);
    sort_positions(unsorted, count, positions);
    free(unsorted);
}

/* Numbers the hosts. Names with one host share the prefix "host:" and so stand side by side. */
static void number_hosts(const struct view *view, uint16_t *host_of)
{
    host_of[0] = 0;
    for (uint32_t i = 1; i < view->member_count; i++) {
        const char *name = view->members[i].name;
        const char *before = view->members[i - 1].name;
        size_t prefix = (size_t)(strrchr(name, ':') - name) + 1;
        host_of[i] = (uint16_t)(host_of[i - 1] + (strncmp(name, before, prefix) != 0));
    }
}

/* What a walk meets first: up to RING_COPIES_MAX members, different in the sense of the list. */
struct met {
    uint16_t members[RING_COPIES_MAX];
    uint32_t count;
};

/* Puts member in front; whoever is the same to it (by class_of) goes, else the last if full. */
static void met_push(struct met *met, uint16_t member, const uint16_t *class_of)
{
    uint32_t gone = 0;
    while (gone < met->count && class_of[met->members[gone]] != class_of[member])
        gone++;
    if (gone == met->count && met->count < RING_COPIES_MAX)
        met->count++;
    else if (gone == met->count)
        gone--;
    memmove(met->members + 1, met->members, gone * sizeof(*met->members));
    met->members[0] = member;
}

static bool group_has(const uint16_t *group, uint32_t count, uint16_t member)
{
    for (uint32_t i = 0; i < count; i++)
        if (group[i] == member)
            return true;
    return false;
}

/* The group: members of different hosts first; where hosts are fewer than copies, the next members
 * met. Three distinct members always hold the one or two that are missing. */
static void fill_group(const struct met *hosts, const struct met *members, uint32_t group_size,
                       uint16_t *group)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < hosts->count && count < group_size; i++)
        group[count++] = hosts->members[i];
    for (uint32_t i = 0; i < members->count && count < group_size; i++)
        if (!group_has(group, count, members->members[i]))
            group[count++] = members->members[i];
    CHECK(count == group_size);
    for (; count < RING_COPIES_MAX; count++)
        group[count] = RING_NOBODY;
}

/* Fills ring->group. A walk from one position begins with its member and then meets what the walk
 * from the next position meets. So one round backwards finds what all walks meet, in constant time
 * each; the round before it finds what the last walks meet beyond the ring's end. */
static void place_groups(const struct view *view, const struct positions *positions,
                         struct ring *ring)
{
    uint16_t host_of[VIEW_MEMBERS_MAX], self_of[VIEW_MEMBERS_MAX];
    number_hosts(view, host_of);
    for (uint32_t i = 0; i < view->member_count; i++)
        self_of[i] = (uint16_t)i;
    struct met hosts = {.count = 0}, members = {.count = 0};
    for (int round = 0; round < 2; round++) {
        for (uint32_t slot = SLOT_COUNT; slot-- > 0;) {
            for (uint32_t i = positions->first[slot + 1]; i-- > positions->first[slot];) {
                met_push(&hosts, positions->all[i].member, host_of);
                met_push(&members, positions->all[i].member, self_of);
            }
            if (round == 1)
                fill_group(&hosts, &members, ring->group_size, ring->group[slot]);
        }
    }
}

static bool can_lead(const struct member *member)
{
    return member_is_full(member) && (member_is_up(member) || MUTANT(down_leads));
}

/* How many slots each member may lead before it is passed over:
 * max(floor(1.05 × average), ceil(average)), the average being its weight's part of all slots
 * among the members that are up. 0 for one that is down, or not full. */
static void compute_shares(const struct view *view, uint32_t *share)
{
    uint64_t weight_up = 0;
    for (uint32_t i = 0; i < view->member_count; i++)
        weight_up += can_lead(&view->members[i]) ? view->members[i].weight : 0;
    for (uint32_t i = 0; i < view->member_count; i++) {
        share[i] = 0;
        if (!can_lead(&view->members[i]))
            continue;
        uint64_t part = (uint64_t)SLOT_COUNT * view->members[i].weight;
        uint64_t bound = part * 105 / (weight_up * 100);
        uint64_t average = (part + weight_up - 1) / weight_up;
        share[i] = (uint32_t)(bound > average ? bound : average);
    }
}

/* What is known while slots get their primaries, in order. */
struct placing {
    struct ring *ring;
    uint32_t slot;                    /* the next one; those below have a primary */
    uint32_t share[VIEW_MEMBERS_MAX]; /* 0 for a member that leads nothing */
    uint32_t led[VIEW_MEMBERS_MAX];   /* at most share */
};

/* A search for a chain of handovers: which members it reached, how, and in how many steps. */
struct chain {
    uint16_t slot[VIEW_MEMBERS_MAX];  /* the slot a reached member may take over */
    uint16_t steps[VIEW_MEMBERS_MAX]; /* handovers up to then; UNREACHED */
};
#define UNREACHED UINT16_MAX

static bool has_room(const struct placing *placing, uint16_t member)
{
    return placing->led[member] < placing->share[member];
}

/* Reaches the members of a slot's group in steps; returns the first that has room, or nobody. */
static uint16_t reach_group(const struct placing *placing, uint32_t slot, uint16_t steps,
                            struct chain *chain)
{
    const uint16_t *group = placing->ring->group[slot];
    for (uint32_t i = 0; i < placing->ring->group_size; i++) {
        if (placing->share[group[i]] == 0 || chain->steps[group[i]] != UNREACHED)
            continue;
        chain->steps[group[i]] = steps;
        chain->slot[group[i]] = (uint16_t)slot;
        if (has_room(placing, group[i]))
            return group[i];
    }
    return RING_NOBODY;
}

/* Finds the shortest chain that gives placing->slot a primary: it ends at a member with room, which
 * takes over a slot from one that thereby gets room, and so on. Nobody if there is none. */
static uint16_t find_chain(const struct placing *placing, struct chain *chain)
{
    memset(chain->steps, 0xff, placing->ring->member_count * sizeof(*chain->steps));
    uint16_t member = reach_group(placing, placing->slot, 0, chain);
    bool is_growing = true;
    for (uint16_t steps = 0; member == RING_NOBODY && is_growing; steps++) {
        is_growing = false;
        for (uint32_t slot = placing->slot; slot-- > 0 && member == RING_NOBODY;) {
            uint16_t leader = placing->ring->primary[slot];
            if (leader == RING_NOBODY || chain->steps[leader] != steps)
                continue;
            is_growing = true;
            member = reach_group(placing, slot, (uint16_t)(steps + 1), chain);
        }
    }
    return member;
}

/* Gives placing->slot to the chain's beginning, each slot on the way to the member after. */
static void hand_over(struct placing *placing, const struct chain *chain, uint16_t member)
{
    placing->led[member]++;
    for (;;) {
        uint32_t slot = chain->slot[member];
        uint16_t before = placing->ring->primary[slot];
        placing->ring->primary[slot] = member;
        if (slot == placing->slot)
            return;
        member = before;
    }
}

/* By a 64th and one: small enough for balance, and few steps even to many times the share. */
static void raise_shares(struct placing *placing, const struct chain *chain)
{
    for (uint32_t i = 0; i < placing->ring->member_count; i++)
        if (chain->steps[i] != UNREACHED)
            placing->share[i] += placing->share[i] / 64 + 1;
}

static bool group_is_down(const struct placing *placing)
{
    const uint16_t *group = placing->ring->group[placing->slot];
    for (uint32_t i = 0; i < placing->ring->group_size; i++)
        if (placing->share[group[i]] > 0)
            return false;
    return true;
}

static void place_primaries(const struct view *view, struct ring *ring)
{
    struct placing placing = {.ring = ring};
    struct chain chain;
    compute_shares(view, placing.share);
    for (; placing.slot < SLOT_COUNT; placing.slot++) {
        ring->primary[placing.slot] = RING_NOBODY;
        if (group_is_down(&placing))
            continue;
        uint16_t member;
        while ((member = find_chain(&placing, &chain)) == RING_NOBODY)
            raise_shares(&placing, &chain);
        hand_over(&placing, &chain, member);
    }
}

/* Returns how many members are full: at least one, no two of one name. */
static uint32_t check_view(const struct view *view)
{
    uint32_t count = 0;
    const char *before = NULL;
    CHECK(view->member_count <= VIEW_MEMBERS_MAX);
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct member *member = &view->members[i];
        CHECK(member->weight >= 1);
        CHECK(member->weight <= VIEW_WEIGHT_MAX);
        if (i > 0)
            CHECK(member_compare(member - 1, member) < 0);
        if (!member_is_full(member))
            continue;
        CHECK(before == NULL || strcmp(before, member->name) < 0);
        before = member->name;
        count++;
    }
    CHECK(count >= 1);
    return count;
}

void ring_place(const struct view *view, struct ring *ring)
{
    uint32_t full_count = check_view(view);
    ring->member_count = view->member_count;
    ring->group_size = full_count < RING_COPIES_MAX ? full_count : RING_COPIES_MAX;
    struct positions *positions = malloc(sizeof(*positions));
    CHECK(positions != NULL);
    open_positions(view, positions);
    place_groups(view, positions, ring);
    place_primaries(view, ring);
    free(positions->all);
    free(positions);
}

uint64_t ring_hash(const struct view *view)
{
    struct buf text = {0};
    struct digest digest;
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct member *member = &view->members[i];
        if (member_is_full(member))
            buf_printf(&text, "%s %u%s\n", member->name, (unsigned)member->weight,
                       member_is_up(member) ? "" : " down");
    }
    digest_of(buf_span(&text), &digest);
    buf_close(&text);
    return digest_position(&digest);
}
