#include "client/dht_ring.h"

#include "common/check.h"
#include "common/number.h"

#include <jansson.h>
#include <stdlib.h>

#define HASH_DIGITS 16u

/* Takes one member of the list into the view, if it is on the ring. Returns false if it is
 * malformed. */
static bool member_take(const json_t *object, struct view *view)
{
    const json_t *on_ring = json_object_get(object, "on_ring");
    if (!json_is_boolean(on_ring))
        return false;
    if (json_is_false(on_ring))
        return true;
    const char *name = json_string_value(json_object_get(object, "name"));
    json_int_t weight = json_integer_value(json_object_get(object, "weight"));
    const char *why;
    struct address address;
    struct member *member = &view->members[view->member_count];
    if (!name || address_parse(span_of_string(name), &address, &why) != ERR_OK || weight < 1 ||
        weight > VIEW_WEIGHT_MAX || view->member_count == VIEW_MEMBERS_MAX)
        return false;
    address_format(&address, member->name);
    member->weight = (uint32_t)weight;
    member->is_up = true;
    view->member_count++;
    return strcmp(member->name, name) == 0;
}

static int compare_members(const void *a, const void *b)
{
    const struct member *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static bool has_twins(const struct view *view)
{
    for (uint32_t i = 1; i < view->member_count; i++)
        if (strcmp(view->members[i - 1].name, view->members[i].name) == 0)
            return true;
    return false;
}

/* The members on the ring, in name order. */
static enum err view_take(const json_t *members, struct view *view)
{
    size_t count = json_array_size(members);
    if (!json_is_array(members))
        return ERR_SYNTAX;
    *view = (struct view){.epoch = 1, .members = calloc(count + 1, sizeof(struct member))};
    CHECK(view->members != NULL);
    for (size_t i = 0; i < count; i++)
        if (!member_take(json_array_get(members, i), view))
            return ERR_SYNTAX;
    if (view->member_count == 0)
        return ERR_NOT_FOUND;
    qsort(view->members, view->member_count, sizeof(struct member), compare_members);
    return has_twins(view) ? ERR_SYNTAX : ERR_OK;
}

/* The placement, if the node that told the list has the same ring. */
static enum err ring_take(const json_t *object, struct known_ring *ring)
{
    const char *text = json_string_value(json_object_get(object, "hash"));
    uint64_t hash;
    if (!text || !number_parse_hex(span_of_string(text), HASH_DIGITS, &hash))
        return ERR_SYNTAX;
    ring->hash = ring_hash(&ring->view);
    ring->changes = (uint64_t)json_integer_value(json_object_get(object, "changes"));
    if (ring->hash != hash)
        return ERR_SYNTAX;
    ring->place = malloc(sizeof(*ring->place));
    CHECK(ring->place != NULL);
    ring_place(&ring->view, ring->place);
    return ERR_OK;
}

enum err known_ring_parse(struct span json, struct known_ring *ring)
{
    *ring = (struct known_ring){0};
    json_t *list = json_loadb(json.len > 0 ? json.data : "", json.len, 0, NULL);
    enum err err = list ? view_take(json_object_get(list, "members"), &ring->view) : ERR_SYNTAX;
    if (err == ERR_OK)
        err = ring_take(json_object_get(list, "ring"), ring);
    if (err != ERR_OK)
        known_ring_close(ring);
    json_decref(list);
    return err;
}

uint16_t known_ring_leader(const struct known_ring *ring, struct span key)
{
    struct digest digest;
    if (!ring->place)
        return RING_NOBODY;
    digest_of(key, &digest);
    return ring->place->primary[position_slot(digest_position(&digest))];
}

void known_ring_close(struct known_ring *ring)
{
    free(ring->place);
    view_close(&ring->view);
    *ring = (struct known_ring){0};
}
