#include "client/dht_ring.h"

#include "common/check.h"

#include <stdlib.h>

/* Takes one member of the list into the view, which has room for it. Returns false if it is none
 * that a ring can hold. */
static bool member_take(const struct member_list_entry *entry, struct view *view)
{
    const char *why;
    struct address address;
    struct member *member = &view->members[view->member_count];
    if (address_parse(span_of_string(entry->name), &address, &why) != ERR_OK || entry->weight < 1 ||
        entry->weight > VIEW_WEIGHT_MAX || view->member_count == VIEW_MEMBERS_MAX)
        return false;
    address_format(&address, member->name);
    member->weight = entry->weight;
    view->member_count++;
    return strcmp(member->name, entry->name) == 0;
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
static enum err view_take(const struct member_list *list, struct view *view)
{
    *view = (struct view){.epoch = 1, .members = calloc(list->count + 1, sizeof(struct member))};
    CHECK(view->members != NULL);
    for (uint32_t i = 0; i < list->count; i++)
        if (list->entries[i].is_on_ring && !member_take(&list->entries[i], view))
            return ERR_SYNTAX;
    if (view->member_count == 0)
        return ERR_NOT_FOUND;
    qsort(view->members, view->member_count, sizeof(struct member), compare_members);
    return has_twins(view) ? ERR_SYNTAX : ERR_OK;
}

enum err known_ring_take(const struct member_list *list, struct known_ring *ring)
{
    *ring = (struct known_ring){.changes = list->ring_changes};
    enum err err = view_take(list, &ring->view);
    if (err == ERR_OK) {
        ring->hash = ring_hash(&ring->view);
        err = ring->hash == list->ring_hash ? ERR_OK : ERR_SYNTAX;
    }
    if (err != ERR_OK) {
        known_ring_close(ring);
        return err;
    }
    ring->place = malloc(sizeof(*ring->place));
    CHECK(ring->place != NULL);
    ring_place(&ring->view, ring->place);
    return ERR_OK;
}

enum err known_ring_parse(struct span json, struct known_ring *ring)
{
    struct member_list list;
    *ring = (struct known_ring){0};
    enum err err = member_list_parse(json, &list);
    if (err == ERR_OK)
        err = known_ring_take(&list, ring);
    member_list_close(&list);
    return err;
}

uint32_t known_ring_slot(struct span key)
{
    struct digest digest;
    digest_of(key, &digest);
    return position_slot(digest_position(&digest));
}

uint16_t known_ring_leader(const struct known_ring *ring, struct span key)
{
    return ring->place ? ring->place->primary[known_ring_slot(key)] : RING_NOBODY;
}

void known_ring_close(struct known_ring *ring)
{
    free(ring->place);
    view_close(&ring->view);
    *ring = (struct known_ring){0};
}
