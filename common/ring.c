#include "common/ring.h"

#include "common/buf.h"
#include "common/check.h"
#include "common/mutant.h"
#include "common/number.h"

#include <stdlib.h>

_Static_assert(VIEW_MEMBERS_MAX < RING_NOBODY, "an index is never taken for nobody");

/* ---- positions ---- */

#define ORDER_ROUNDS 4u
#define ORDER_SHIFT  (SLOT_BITS / 2)
#define BATCH        16u /* ranks of an order that are computed at once: by vectors */

_Static_assert(SLOT_BITS <= 16 && SLOT_COUNT % BATCH == 0, "a slot's number is 16 bits");

/* One order of a member: which slot has its next position, the one of the next rank. */
struct order {
    uint16_t member;
    uint16_t factor[ORDER_ROUNDS], addend[ORDER_ROUNDS];
    uint16_t slot[BATCH]; /* of the ranks of a batch */
};

static uint16_t digest_word(const struct digest *digest, uint32_t number)
{
    return (uint16_t)(digest->bytes[2 * number] << 8 | digest->bytes[2 * number + 1]);
}

/* Draws the orders of one member at to. Returns one past the last. */
static struct order *draw_orders(const struct member *member, uint16_t index, struct order *to)
{
    char text[ADDRESS_TEXT_BYTES_MAX + 1 + DECIMAL_BYTES_MAX];
    size_t name_len = strlen(member->name);
    memcpy(text, member->name, name_len);
    text[name_len] = '#';
    for (uint32_t i = 0; i < member->weight; i++, to++) {
        const char *end = number_format_decimal(text + name_len + 1, i);
        struct digest digest;
        digest_of(span_of(text, (size_t)(end - text)), &digest);
        to->member = index;
        for (uint32_t round = 0; round < ORDER_ROUNDS; round++) {
            to->factor[round] = digest_word(&digest, 2 * round) | 1;
            to->addend[round] = digest_word(&digest, 2 * round + 1);
        }
    }
    return to;
}

/* The slots of BATCH ranks from rank. Every step can be undone, so each slot has one rank. */
static void compute_slots(struct order *order, uint32_t rank)
{
    uint16_t slot[BATCH];
    for (uint32_t i = 0; i < BATCH; i++)
        slot[i] = (uint16_t)(rank + i);
    for (uint32_t round = 0; round < ORDER_ROUNDS; round++) {
        uint16_t factor = order->factor[round], addend = order->addend[round];
        for (uint32_t i = 0; i < BATCH; i++) {
            uint16_t moved = (uint16_t)((uint32_t)slot[i] * factor + addend) & (SLOT_COUNT - 1);
            slot[i] = moved ^ (uint16_t)(moved >> ORDER_SHIFT);
        }
    }
    memcpy(order->slot, slot, sizeof(slot));
}

/* ---- groups ---- */

/* Numbers the hosts. Names with one host share the prefix "host:" and so stand side by side.
 * Returns how many there are of full members. */
static uint32_t number_hosts(const struct view *view, uint16_t *host_of)
{
    uint32_t count = 0;
    uint16_t counted = RING_NOBODY;
    for (uint32_t i = 0; i < view->member_count; i++) {
        const char *name = view->members[i].name;
        const char *before = i > 0 ? view->members[i - 1].name : "";
        size_t prefix = (size_t)(strrchr(name, ':') - name) + 1;
        host_of[i] = i == 0 ? 0 : (uint16_t)(host_of[i - 1] + (strncmp(name, before, prefix) != 0));
        if (member_is_full(&view->members[i]) && host_of[i] != counted) {
            counted = host_of[i];
            count++;
        }
    }
    return count;
}

/* What a slot's walk has met as yet. */
struct met {
    uint16_t classes[RING_COPIES_MAX]; /* of the group's members; RING_NOBODY past count */
    uint16_t count;
};

/* Groups that are being filled up to size, with members no two of which are of one class. */
struct filling {
    struct ring *ring;
    const uint16_t *class_of; /* of a member: its host, or itself */
    uint32_t size;
    uint32_t open_count; /* slots whose groups have less */
    struct met met[SLOT_COUNT];
    uint32_t held[VIEW_MEMBERS_MAX]; /* of a class: the slots in whose groups it is */
};

/* Puts a member that a slot's walk meets into its group, if its class is missing there. One branch,
 * as chance decides: others would be guessed wrong. */
static inline void meet(struct filling *filling, uint32_t slot, uint16_t member)
{
    struct met *met = &filling->met[slot];
    uint16_t class = filling->class_of[member];
    uint32_t count = met->count;
    if ((met->classes[0] == class) | (met->classes[1] == class) | (met->classes[2] == class) |
        (count >= filling->size))
        return;
    filling->ring->group[slot][count] = member;
    met->classes[count] = class;
    met->count = (uint16_t)(count + 1);
    filling->held[class]++;
    filling->open_count -= count + 1 == filling->size;
}

/* Leaves out the orders of classes that every slot has. Returns how many are left. */
static uint32_t drop_idle_orders(const struct filling *filling, struct order **orders,
                                 uint32_t count)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++)
        if (filling->held[filling->class_of[orders[i]->member]] < SLOT_COUNT)
            orders[left++] = orders[i];
    return left;
}

/* Walks all slots at once: rank by rank each order's position. */
static void fill_groups(struct filling *filling, struct order **orders, uint32_t order_count)
{
    for (uint32_t rank = 0; filling->open_count > 0; rank += BATCH) {
        CHECK(rank < SLOT_COUNT);
        order_count = drop_idle_orders(filling, orders, order_count);
        for (uint32_t i = 0; i < order_count; i++)
            compute_slots(orders[i], rank);
        for (uint32_t step = 0; step < BATCH && filling->open_count > 0; step++)
            for (uint32_t i = 0; i < order_count; i++)
                meet(filling, orders[i]->slot[step], orders[i]->member);
    }
}

/* Begins a filling: how many each group has, and where each class is. */
static void open_filling(struct filling *filling, const uint16_t *class_of, uint32_t size)
{
    filling->class_of = class_of;
    filling->size = size;
    filling->open_count = 0;
    memset(filling->held, 0, sizeof(filling->held));
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        struct met *met = &filling->met[slot];
        memset(met->classes, 0xff, sizeof(met->classes));
        for (uint32_t i = 0; i < met->count; i++) {
            met->classes[i] = class_of[filling->ring->group[slot][i]];
            filling->held[met->classes[i]]++;
        }
        filling->open_count += met->count < size;
    }
}

static struct order *draw_all_orders(const struct view *view, uint32_t *count)
{
    *count = 0;
    for (uint32_t i = 0; i < view->member_count; i++)
        *count += member_is_full(&view->members[i]) ? view->members[i].weight : 0;
    struct order *orders = malloc(*count * sizeof(*orders));
    CHECK(orders != NULL);
    struct order *end = orders;
    for (uint32_t i = 0; i < view->member_count; i++)
        if (member_is_full(&view->members[i]))
            end = draw_orders(&view->members[i], (uint16_t)i, end);
    CHECK(end == orders + *count);
    return orders;
}

/* Fills ring->group: first with members of different hosts, then, where hosts are fewer, with the
 * others that the same walk meets. */
static void place_groups(const struct view *view, struct ring *ring)
{
    uint16_t host_of[VIEW_MEMBERS_MAX], self_of[VIEW_MEMBERS_MAX];
    uint32_t host_count = number_hosts(view, host_of), order_count;
    for (uint32_t i = 0; i < view->member_count; i++)
        self_of[i] = (uint16_t)i;
    struct order *orders = draw_all_orders(view, &order_count);
    struct order **walked = malloc(order_count * sizeof(struct order *));
    struct filling *filling = calloc(1, sizeof(*filling));
    CHECK(walked != NULL);
    CHECK(filling != NULL);
    filling->ring = ring;
    memset(ring->group, 0xff, sizeof(ring->group));
    const uint16_t *const class_of[] = {host_of, self_of};
    const uint32_t size[] = {host_count < ring->group_size ? host_count : ring->group_size,
                             ring->group_size};
    for (uint32_t i = 0; i < 2 && (i == 0 || size[1] > size[0]); i++) {
        open_filling(filling, class_of[i], size[i]);
        for (uint32_t j = 0; j < order_count; j++)
            walked[j] = &orders[j];
        fill_groups(filling, walked, order_count);
    }
    free(filling);
    free(walked);
    free(orders);
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

/* The first member of placing->slot's group that has room, or nobody: what find_chain finds first,
 * without its preparations, which most slots do not need. */
static uint16_t first_with_room(const struct placing *placing)
{
    const uint16_t *group = placing->ring->group[placing->slot];
    for (uint32_t i = 0; i < placing->ring->group_size; i++)
        if (has_room(placing, group[i]))
            return group[i];
    return RING_NOBODY;
}

/* Gives placing->slot, in whose group nobody has room, a primary, unless all of it is down. */
static void place_by_chain(struct placing *placing)
{
    struct chain chain;
    placing->ring->primary[placing->slot] = RING_NOBODY;
    if (group_is_down(placing))
        return;
    uint16_t member;
    while ((member = find_chain(placing, &chain)) == RING_NOBODY)
        raise_shares(placing, &chain);
    hand_over(placing, &chain, member);
}

static void place_primaries(const struct view *view, struct ring *ring)
{
    struct placing placing = {.ring = ring};
    compute_shares(view, placing.share);
    for (; placing.slot < SLOT_COUNT; placing.slot++) {
        uint16_t member = first_with_room(&placing);
        if (LIKELY(member != RING_NOBODY)) {
            placing.led[member]++;
            ring->primary[placing.slot] = member;
        } else {
            place_by_chain(&placing);
        }
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
    place_groups(view, ring);
    place_primaries(view, ring);
}

/* The index of the first full member from one on, or member_count. */
static uint32_t next_full(const struct view *view, uint32_t from)
{
    while (from < view->member_count && !member_is_full(&view->members[from]))
        from++;
    return from;
}

/* Whether two views have the same groups: the full members of one are those of the other, with the
 * same weights. index_of: out, by the other's index, the one in view. */
static bool has_groups_of(const struct view *view, const struct view *other, uint16_t *index_of)
{
    uint32_t i = next_full(view, 0), j = next_full(other, 0);
    for (; i < view->member_count && j < other->member_count;
         i = next_full(view, i + 1), j = next_full(other, j + 1)) {
        const struct member *a = &view->members[i], *b = &other->members[j];
        if (a->weight != b->weight || strcmp(a->name, b->name) != 0)
            return false;
        index_of[j] = (uint16_t)i;
    }
    return i == view->member_count && j == other->member_count;
}

bool ring_place_like(const struct view *view, const struct view *other, const struct ring *placed,
                     struct ring *ring)
{
    uint16_t index_of[VIEW_MEMBERS_MAX];
    CHECK(placed->member_count == other->member_count);
    if (!has_groups_of(view, other, index_of))
        return false;
    (void)check_view(view);
    ring->member_count = view->member_count;
    ring->group_size = placed->group_size;
    memset(ring->group, 0xff, sizeof(ring->group));
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        for (uint32_t i = 0; i < placed->group_size; i++)
            ring->group[slot][i] = index_of[placed->group[slot][i]];
    place_primaries(view, ring);
    return true;
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
