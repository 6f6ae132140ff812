/* The placement: known answers, an obvious slow one to agree with, balance and movement. */
#include "common/ring.h"

#include "common/buf.h"
#include "common/peers.h"
#include "common/prng.h"
#include "tests/ring_measure.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the slow and obvious: ring.h's rules, word for word ---- */

struct slow_position {
    uint32_t rank;
    uint32_t member;
};

static int compare_slow(const void *a, const void *b)
{
    const struct slow_position *left = a, *right = b;
    if (left->rank != right->rank)
        return left->rank < right->rank ? -1 : 1;
    return (left->member > right->member) - (left->member < right->member);
}

/* One order: of each slot, which rank its position has. */
static void slow_order(const char *name, uint32_t number, uint16_t *rank_of)
{
    char text[400];
    snprintf(text, sizeof(text), "%s#%u", name, number);
    struct digest digest;
    digest_of(span_of_string(text), &digest);
    memset(rank_of, 0xff, SLOT_COUNT * sizeof(*rank_of));
    for (uint32_t rank = 0; rank < 16384; rank++) {
        uint32_t slot = rank;
        for (int round = 0; round < 4; round++) {
            const uint8_t *bytes = digest.bytes + 4 * round;
            uint32_t factor = (bytes[0] * 256u + bytes[1]) | 1;
            uint32_t addend = bytes[2] * 256u + bytes[3];
            slot = (slot * factor + addend) % 16384;
            slot ^= slot / 128;
        }
        if (rank_of[slot] != UINT16_MAX)
            fail_msg("slot %u has two ranks", (unsigned)slot);
        rank_of[slot] = (uint16_t)rank;
    }
}

/* All orders of a view, as slow_order gives them, one after the other. */
static uint16_t *slow_orders(const struct view *view, uint32_t *count)
{
    *count = 0;
    for (uint32_t i = 0; i < view->member_count; i++)
        *count += view->members[i].weight;
    uint16_t *orders = malloc((size_t)*count * SLOT_COUNT * sizeof(*orders));
    uint16_t *end = orders;
    for (uint32_t i = 0; i < view->member_count; i++)
        for (uint32_t number = 0; number < view->members[i].weight; number++, end += SLOT_COUNT)
            slow_order(view->members[i].name, number, end);
    return orders;
}

/* The positions of one slot's arc, in the order that a walk meets them. */
static void slow_positions(const struct view *view, const uint16_t *orders, uint32_t slot,
                           struct slow_position *positions)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->member_count; i++)
        for (uint32_t number = 0; number < view->members[i].weight; number++, count++)
            positions[count] = (struct slow_position){orders[(size_t)count * SLOT_COUNT + slot], i};
    qsort(positions, count, sizeof(*positions), compare_slow);
}

static bool same_host(const struct view *view, uint32_t a, uint32_t b)
{
    char host_a[ADDRESS_TEXT_BYTES_MAX], host_b[ADDRESS_TEXT_BYTES_MAX];
    strcpy(host_a, view->members[a].name);
    strcpy(host_b, view->members[b].name);
    *strrchr(host_a, ':') = '\0';
    *strrchr(host_b, ':') = '\0';
    return strcmp(host_a, host_b) == 0;
}

static void slow_group(const struct view *view, const struct slow_position *positions,
                       uint32_t count, uint16_t *group)
{
    uint32_t found = 0;
    for (int hosts_differ = 1; hosts_differ >= 0; hosts_differ--) {
        for (uint32_t i = 0; i < count && found < 3; i++) {
            uint32_t member = positions[i].member;
            bool is_new = true;
            for (uint32_t j = 0; j < found; j++)
                if (group[j] == member || (hosts_differ && same_host(view, group[j], member)))
                    is_new = false;
            if (is_new)
                group[found++] = (uint16_t)member;
        }
    }
    while (found < 3)
        group[found++] = RING_NOBODY;
}

static uint32_t slow_share(const struct view *view, uint32_t member)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < view->member_count; i++)
        if (member_is_up(&view->members[i]))
            all += view->members[i].weight;
    if (!member_is_up(&view->members[member]))
        return 0;
    uint64_t part = 16384ull * view->members[member].weight;
    uint64_t floor_105 = part * 105 / (all * 100);
    uint64_t ceiling = part % all ? part / all + 1 : part / all;
    return (uint32_t)(floor_105 > ceiling ? floor_105 : ceiling);
}

struct slow {
    const struct ring *groups; /* only its groups are read */
    const struct view *view;
    uint16_t primary[SLOT_COUNT];
    uint32_t share[VIEW_MEMBERS_MAX];
    uint32_t led[VIEW_MEMBERS_MAX];
};

static bool group_holds(const struct ring *ring, uint32_t slot, uint16_t member)
{
    for (uint32_t i = 0; i < ring->group_size; i++)
        if (ring->group[slot][i] == member)
            return true;
    return false;
}

/* The first member of slot's group that is up, at no level yet, and has room; else nobody. */
static uint16_t slow_first_with_room(const struct slow *slow, uint32_t slot, const int *level)
{
    for (uint32_t i = 0; i < slow->groups->group_size; i++) {
        uint16_t member = slow->groups->group[slot][i];
        if (level[member] < 0 && slow->led[member] < slow->share[member])
            return member;
    }
    return RING_NOBODY;
}

/* Gives slot to member; if somebody must first give up a slot of level - 1 for it, likewise. */
static void slow_take(struct slow *slow, uint32_t slot, uint16_t member, uint32_t new_slot,
                      const int *level)
{
    uint16_t before = slow->primary[slot];
    slow->primary[slot] = member;
    if (slot == new_slot)
        return;
    if (level[before] == 0) {
        slow_take(slow, new_slot, before, new_slot, level);
        return;
    }
    for (uint32_t other = new_slot; other-- > 0;) {
        uint16_t leader = slow->primary[other];
        if (other != slot && leader != RING_NOBODY && level[leader] == level[before] - 1 &&
            group_holds(slow->groups, other, before)) {
            slow_take(slow, other, before, new_slot, level);
            return;
        }
    }
    fail_msg("a chain that leads nowhere");
}

static bool slow_try(struct slow *slow, uint32_t new_slot, int *level)
{
    for (uint32_t i = 0; i < slow->view->member_count; i++)
        level[i] = -1;
    uint16_t end = slow_first_with_room(slow, new_slot, level);
    uint32_t end_slot = new_slot;
    for (uint32_t i = 0; i < slow->groups->group_size; i++)
        if (slow->share[slow->groups->group[new_slot][i]] > 0)
            level[slow->groups->group[new_slot][i]] = 0;
    bool is_growing = true;
    for (int depth = 0; end == RING_NOBODY && is_growing; depth++) {
        is_growing = false;
        for (uint32_t slot = new_slot; slot-- > 0 && end == RING_NOBODY;)
            if (slow->primary[slot] != RING_NOBODY && level[slow->primary[slot]] == depth) {
                end = slow_first_with_room(slow, slot, level);
                end_slot = slot;
            }
        for (uint32_t slot = 0; slot < new_slot && end == RING_NOBODY; slot++)
            for (uint32_t i = 0; i < slow->groups->group_size; i++) {
                uint16_t member = slow->groups->group[slot][i];
                if (slow->primary[slot] != RING_NOBODY && level[slow->primary[slot]] == depth &&
                    level[member] < 0 && slow->share[member] > 0) {
                    level[member] = depth + 1;
                    is_growing = true;
                }
            }
    }
    if (end == RING_NOBODY)
        return false;
    slow->led[end]++;
    slow_take(slow, end_slot, end, new_slot, level);
    return true;
}

static void slow_primaries(struct slow *slow)
{
    int level[VIEW_MEMBERS_MAX];
    for (uint32_t i = 0; i < slow->view->member_count; i++)
        slow->share[i] = slow_share(slow->view, i);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        slow->primary[slot] = RING_NOBODY;
        bool somebody_is_up = false;
        for (uint32_t i = 0; i < slow->groups->group_size; i++)
            somebody_is_up |= member_is_up(&slow->view->members[slow->groups->group[slot][i]]);
        while (somebody_is_up && !slow_try(slow, slot, level))
            for (uint32_t i = 0; i < slow->view->member_count; i++)
                slow->share[i] += level[i] >= 0 ? 1 + slow->share[i] / 64 : 0;
    }
}

/* ---- views to place ---- */

PRINTF_LIKE(2, 3) static void view_of(struct view *view, const char *format, ...)
{
    char text[128 * 1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct peers_error error;
    assert_int_equal(peers_parse(span_of_string(text), view, &error), ERR_OK);
}

static void view_of_chance(struct view *view, struct prng *prng)
{
    uint32_t count = 1 + (uint32_t)prng_below(prng, 40);
    uint32_t hosts = 1 + (uint32_t)prng_below(prng, count);
    uint32_t weight_max = 1 + (uint32_t)prng_below(prng, 6);
    uint32_t down_percent = (uint32_t)prng_below(prng, 2) * (uint32_t)prng_below(prng, 80);
    struct buf text = {0};
    for (uint32_t i = 0; i < count; i++)
        buf_printf(&text, "h%u:%u\n", (unsigned)prng_below(prng, hosts), i + 1);
    struct peers_error error;
    assert_int_equal(peers_parse(buf_span(&text), view, &error), ERR_OK);
    buf_close(&text);
    for (uint32_t i = 0; i < count; i++) {
        view->members[i].weight = 1 + (uint32_t)prng_below(prng, weight_max);
        view->members[i].standing =
            prng_below(prng, 100) >= down_percent ? STANDING_UP : STANDING_DOWN;
    }
}

/* A view in which two members must lead far more than their share of 334 slots: in half the groups
 * nobody else is up. */
static void view_of_overload(struct view *view)
{
    view_of(view, "%s", "big:1\nbig:2\nother:1\nsmall:1");
    view->members[0].weight = 50;
    view->members[0].standing = STANDING_DOWN;
    view->members[1].weight = 50;
}

/* ---- tests ---- */

static void agree_with_slow(const struct view *view, struct ring *ring, struct slow *slow)
{
    ring_place(view, ring);
    uint32_t count;
    uint16_t *orders = slow_orders(view, &count);
    struct slow_position *positions = calloc(count, sizeof(*positions));
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot += slot < 64 || slot > 16320 ? 1 : 17) {
        uint16_t group[3];
        slow_positions(view, orders, slot, positions);
        slow_group(view, positions, count, group);
        assert_memory_equal(group, ring->group[slot], sizeof(group));
    }
    free(positions);
    free(orders);
    *slow = (struct slow){.groups = ring, .view = view};
    slow_primaries(slow);
    assert_memory_equal(slow->primary, ring->primary, sizeof(slow->primary));
}

static void agrees_with_the_slow_placement(void **state)
{
    (void)state;
    struct ring *ring = malloc(sizeof(*ring));
    struct slow *slow = malloc(sizeof(*slow));
    struct prng prng;
    prng_init(&prng, 20);
    for (int i = 0; i < 50; i++) {
        struct view view;
        view_of_chance(&view, &prng);
        agree_with_slow(&view, ring, slow);
        view_close(&view);
    }
    struct view view;
    view_of_overload(&view);
    agree_with_slow(&view, ring, slow);
    view_close(&view);
    /* Chains of hand-overs: of one step, and of many where each must lead exactly its share. */
    static const uint32_t counts[] = {97, 1024};
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        view_of_nodes(&view, counts[i]);
        agree_with_slow(&view, ring, slow);
        view_close(&view);
    }
    free(slow);
    free(ring);
}

/* The first 64 bits of the SHA-1 over groups and primaries, two bytes each, high byte first. */
static uint64_t table_hash(const struct ring *ring)
{
    struct buf bytes = {0};
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        for (uint32_t i = 0; i <= RING_COPIES_MAX; i++) {
            uint16_t member = i < RING_COPIES_MAX ? ring->group[slot][i] : ring->primary[slot];
            const char two[] = {(char)(member >> 8), (char)(member & 255)};
            buf_append(&bytes, two, 2);
        }
    struct digest digest;
    digest_of(buf_span(&bytes), &digest);
    buf_close(&bytes);
    return digest_position(&digest);
}

/* Never change these: nodes that place otherwise cannot be in a cluster with those that do not.
 * ring_answers.py prints the table: another program, written from ring.h's words. */
static void places_as_it_always_did(void **state)
{
    (void)state;
    enum { NOBODY = RING_NOBODY };
    static const struct {
        const char *peers;
        uint32_t nodes; /* instead of peers: that many of view_of_nodes */
        uint64_t hash;
        uint16_t first[4], middle[4], last[4]; /* group and primary of slots 0, 8,192, 16,383 */
    } known[] = {
        /* clang-format off */
        {"127.0.0.1:11211", 0, 0xb5e090165d36a4cf,
         {0, NOBODY, NOBODY, 0}, {0, NOBODY, NOBODY, 0}, {0, NOBODY, NOBODY, 0}},
        {"a.example:11211\nb.example:11211", 0, 0x35f58eb19d30db19,
         {0, 1, NOBODY, 0}, {1, 0, NOBODY, 1}, {1, 0, NOBODY, 1}},
        {"127.0.0.1:11211\n127.0.0.1:11212\n127.0.0.1:11213", 0, 0xf9aeacfe0df810de,
         {0, 2, 1, 0}, {2, 0, 1, 2}, {2, 0, 1, 2}},
        {"a:1\na:2\na:3\nb:1\nb:2\n[::1]:1", 0, 0xf525b4d0412a36a1,
         {0, 1, 4, 0}, {4, 1, 0, 4}, {4, 3, 0, 4}},
        {NULL, 5, 0x7db8a11e912bd756,
         {2, 3, 4, 2}, {1, 3, 2, 1}, {3, 0, 4, 3}},
        {NULL, 40, 0xd838493c4c252ce3,
         {12, 1, 25, 12}, {2, 11, 14, 2}, {26, 8, 2, 26}},
        {NULL, 400, 0x3cf5bd7f9bd9ebee,
         {137, 206, 91, 137}, {12, 111, 269, 12}, {317, 280, 256, 317}},
        {NULL, 4000, 0x93a121fceaa414ab,
         {2662, 2436, 1357, 2662}, {2364, 1852, 1635, 2364}, {2015, 3167, 2261, 2015}},
        /* clang-format on */
    };
    struct ring *ring = malloc(sizeof(*ring));
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        struct view view;
        if (known[i].peers)
            view_of(&view, "%s", known[i].peers);
        else
            view_of_nodes(&view, known[i].nodes);
        ring_place(&view, ring);
        const uint32_t slots[] = {0, 8192, 16383};
        const uint16_t *const answers[] = {known[i].first, known[i].middle, known[i].last};
        for (size_t j = 0; j < ARRAY_COUNT(slots); j++) {
            uint16_t got[4];
            memcpy(got, ring->group[slots[j]], sizeof(ring->group[0]));
            got[3] = ring->primary[slots[j]];
            assert_memory_equal(got, answers[j], sizeof(got));
        }
        if (table_hash(ring) != known[i].hash)
            fail_msg("case %zu: table hash 0x%016" PRIx64, i, table_hash(ring));
        view_close(&view);
    }
    free(ring);
}

/* Families of names: addresses, ports, hosts of numbered names, and names by chance. The names of
 * more members are those of fewer, and one. */
static void view_of_family(struct view *view, uint32_t family, uint32_t count)
{
    struct buf text = {0};
    struct prng prng;
    prng_init(&prng, family);
    for (uint32_t i = 1; i <= count; i++) {
        uint32_t chance = (uint32_t)prng_below(&prng, UINT32_MAX);
        if (family % 4 == 0)
            buf_printf(&text, "10.%u.0.%u:11211\n", (unsigned)family, (unsigned)i);
        else if (family % 4 == 1)
            buf_printf(&text, "127.0.0.%u:%u\n", (unsigned)i, (unsigned)(11000 + family * 100 + i));
        else if (family % 4 == 2)
            buf_printf(&text, "node%u.c%u.example:11211\n", (unsigned)i, (unsigned)family);
        else
            buf_printf(&text, "h%x-%u:%u\n", (unsigned)chance, (unsigned)i,
                       (unsigned)(1 + chance % 65535));
    }
    struct peers_error error;
    assert_int_equal(peers_parse(buf_span(&text), view, &error), ERR_OK);
    buf_close(&text);
}

struct bounds {
    double copies, primaries, balance;
};

static void raise_to(double *most, double value)
{
    *most = value > *most ? value : *most;
}

/* All joins of a family among from to to members. */
static void measure_family(uint32_t family, uint32_t from, uint32_t to, struct bounds *most)
{
    struct ring *before = malloc(sizeof(*before)), *after = malloc(sizeof(*after));
    struct view before_view, after_view;
    view_of_family(&before_view, family, from);
    ring_place(&before_view, before);
    raise_to(&most->balance, balance(&before_view, before));
    for (uint32_t count = from + 1; count <= to; count++) {
        view_of_family(&after_view, family, count);
        ring_place(&after_view, after);
        struct movement moved = movement(&before_view, before, &after_view, after);
        raise_to(&most->copies, moved.copies);
        raise_to(&most->primaries, moved.primaries);
        raise_to(&most->balance, balance(&after_view, after));
        view_close(&before_view);
        before_view = after_view;
        struct ring *swap = before;
        before = after;
        after = swap;
    }
    view_close(&before_view);
    free(before);
    free(after);
}

/* Every join, not the mean of them; of 8 families, 776 joins. */
static void a_join_moves_little_and_leaves_balance(void **state)
{
    (void)state;
    struct bounds most = {0, 0, 0};
    for (uint32_t family = 0; family < 8; family++)
        measure_family(family, 3, 100, &most);
    print_message("joins among 3 to 100: at most %.3f x the ideal share of copies, %.3f x of "
                  "primaries; busiest/mean at most %.4f\n",
                  most.copies, most.primaries, most.balance);
    assert_true(most.copies <= 1.1);
    assert_true(most.primaries <= 1.7);
    assert_true(most.balance <= 1.05);
}

/* Beyond, every seventh count (101, 108 … 395) and 400. */
static void up_to_four_hundred_nodes_are_balanced_too(void **state)
{
    (void)state;
    struct ring *ring = malloc(sizeof(*ring));
    double worst = 0;
    for (uint32_t count = 101; count <= 400; count = count == 395 ? 400 : count + 7) {
        struct view view;
        view_of_nodes(&view, count);
        ring_place(&view, ring);
        double now = balance(&view, ring);
        worst = now > worst ? now : worst;
        view_close(&view);
    }
    free(ring);
    assert_true(worst <= 1.05);
}

/* A member that is down leads nothing and stays in its groups; its slots go to the others of them,
 * and nobody leads only where all are down. */
static void members_down_stay_in_groups_and_lead_nothing(void **state)
{
    (void)state;
    struct ring *all_up = malloc(sizeof(*all_up)), *ring = malloc(sizeof(*ring));
    struct view view;
    view_of_nodes(&view, 7);
    ring_place(&view, all_up);
    for (uint32_t down = 0; down < 1u << 7; down++) {
        for (uint32_t i = 0; i < 7; i++)
            view.members[i].standing = down >> i & 1 ? STANDING_DOWN : STANDING_UP;
        ring_place(&view, ring);
        assert_memory_equal(ring->group, all_up->group, sizeof(ring->group));
        for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
            const uint16_t *group = ring->group[slot];
            uint32_t mask = 1u << group[0] | 1u << group[1] | 1u << group[2];
            uint16_t primary = ring->primary[slot];
            if ((mask & down) == mask)
                assert_int_equal(primary, RING_NOBODY);
            else
                assert_true((mask & ~down) >> primary & 1);
        }
    }
    view_close(&view);
    free(ring);
    free(all_up);
}

/* Where the first of a group that is up does not lead, all before the primary lead their share. */
static void only_a_full_share_is_passed_over(void **state)
{
    (void)state;
    struct ring *ring = malloc(sizeof(*ring));
    struct view view;
    view_of_nodes(&view, 60);
    view.members[3].standing = STANDING_DOWN;
    view.members[5].weight = 3;
    ring_place(&view, ring);
    uint32_t led[60] = {0};
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        led[ring->primary[slot]]++;
    uint32_t passed_count = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        for (uint32_t i = 0; ring->group[slot][i] != ring->primary[slot]; i++) {
            uint16_t passed = ring->group[slot][i];
            assert_int_equal(led[passed], slow_share(&view, passed));
            passed_count += member_is_up(&view.members[passed]);
        }
    assert_true(passed_count > 0);
    view_close(&view);
    free(ring);
}

static void where_shares_cannot_be_kept_they_grow_together(void **state)
{
    (void)state;
    struct ring *ring = malloc(sizeof(*ring));
    struct view view;
    view_of_overload(&view);
    ring_place(&view, ring);
    uint32_t led[4] = {0}, alone_count = 0;
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++) {
        assert_int_not_equal(ring->primary[slot], RING_NOBODY);
        led[ring->primary[slot]]++;
        alone_count += !group_holds(ring, slot, 1);
    }
    assert_int_equal(led[0], 0);
    /* What else they lead, they got while a share that had just grown left them room. */
    assert_in_range(led[2] + led[3], alone_count, alone_count + alone_count / 64 + 2);
    assert_in_range(alone_count, 7000, 9000);
    assert_in_range(led[2], alone_count * 48 / 100, alone_count * 52 / 100);
    view_close(&view);
    free(ring);
}

/* Three hosts of two nodes each: no group has two of one host. */
static void groups_prefer_distinct_hosts(void **state)
{
    (void)state;
    struct ring *ring = malloc(sizeof(*ring));
    struct view view;
    view_of(&view, "%s", "a:1\na:2\naa:1\naa:2\n[::1]:1\n[::1]:2");
    ring_place(&view, ring);
    for (uint32_t slot = 0; slot < SLOT_COUNT; slot++)
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < i; j++)
                assert_false(same_host(&view, ring->group[slot][i], ring->group[slot][j]));
    view_close(&view);
    free(ring);
}

/* ---- placing like another view ---- */

/* Another view with the same groups: members are down for whatever reason, and others that are not
 * full stand between them, of the same names too. */
static void view_like(const struct view *view, struct prng *prng, struct view *like)
{
    view_copy(view, like);
    for (uint32_t i = 0; i < like->member_count; i++) {
        struct member *member = &like->members[i];
        member->standing = prng_below(prng, 3) == 0 ? 1 + (uint32_t)prng_below(prng, 4) : 0;
    }
    for (uint32_t count = (uint32_t)prng_below(prng, 4); count > 0; count--) {
        struct member other = {.weight = 1 + (uint32_t)prng_below(prng, 3),
                               .role = prng_below(prng, 2) ? ROLE_JOINER : ROLE_LEAVER,
                               .boot = 7 + count,
                               .generation = 7 + count};
        if (prng_below(prng, 2))
            snprintf(other.name, sizeof(other.name), "10.0.%u.7:1", (unsigned)count);
        else
            memcpy(other.name, view->members[prng_below(prng, view->member_count)].name,
                   sizeof(other.name));
        view_add(like, &other);
    }
    uint32_t full = 0;
    while (!member_is_full(&like->members[full]))
        full++;
    like->members[full].standing = STANDING_UP;
}

static void a_view_is_placed_like_another_as_it_is_alone(void **state)
{
    (void)state;
    struct prng prng;
    struct ring *rings = malloc(3 * sizeof(*rings));
    assert_non_null(rings);
    prng_init(&prng, 11);
    for (int round = 0; round < 60; round++) {
        struct view view, first, second;
        view_of_chance(&view, &prng);
        view_like(&view, &prng, &first);
        view_like(&view, &prng, &second);
        ring_place(&first, &rings[0]);
        ring_place(&second, &rings[1]);
        memset(&rings[2], 0x55, sizeof(rings[2]));
        assert_true(ring_place_like(&second, &first, &rings[0], &rings[2]));
        assert_memory_equal(&rings[1], &rings[2], sizeof(rings[1]));
        view_close(&view);
        view_close(&first);
        view_close(&second);
    }
    free(rings);
}

static void other_members_or_weights_are_placed_alone(void **state)
{
    (void)state;
    struct ring *rings = malloc(2 * sizeof(*rings));
    assert_non_null(rings);
    struct view view;
    view_of_nodes(&view, 5);
    ring_place(&view, &rings[0]);
    memset(&rings[1], 0x55, sizeof(rings[1]));
    for (int change = 0; change < 5; change++) {
        struct view other;
        view_copy(&view, &other);
        switch (change) {
        case 0:
            other.members[2].weight = 2;
            break;
        case 1:
            view_take_out(&other, 0);
            break;
        case 2:
            view_take_out(&other, 4);
            break;
        case 3:
            other.members[3].role = ROLE_JOINER;
            break;
        default:
            view_add(&other, &(struct member){.name = "10.9.9.9:1", .weight = 1});
            break;
        }
        assert_false(ring_place_like(&other, &view, &rings[0], &rings[1]));
        assert_int_equal(rings[1].member_count, 0x55555555);
        view_close(&other);
    }
    view_close(&view);
    free(rings);
}

/* ---- names ---- */

/* The number is Python's: hashlib.sha1(b"a:1 1\nb:2 7\n").hexdigest()[:16]. */
static void a_ring_is_named_by_its_members_and_weights(void **state)
{
    (void)state;
    struct view view;
    view_of(&view, "%s", "b:2\na:1");
    uint64_t even = ring_hash(&view);
    view.members[1].weight = 7;
    assert_int_equal(ring_hash(&view), 0x719921b5a99f3a2a);
    assert_int_not_equal(ring_hash(&view), even);
    view_close(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_is_named_by_its_members_and_weights),
        cmocka_unit_test(places_as_it_always_did),
        cmocka_unit_test(a_view_is_placed_like_another_as_it_is_alone),
        cmocka_unit_test(other_members_or_weights_are_placed_alone),
        cmocka_unit_test(agrees_with_the_slow_placement),
        cmocka_unit_test(a_join_moves_little_and_leaves_balance),
        cmocka_unit_test(up_to_four_hundred_nodes_are_balanced_too),
        cmocka_unit_test(members_down_stay_in_groups_and_lead_nothing),
        cmocka_unit_test(only_a_full_share_is_passed_over),
        cmocka_unit_test(where_shares_cannot_be_kept_they_grow_together),
        cmocka_unit_test(groups_prefer_distinct_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
