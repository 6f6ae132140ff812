#include "client/dht_ring.h"

#include "common/check.h"

#include <stdlib.h>

/* Whether a ring can hold it: a name in normal form, a weight. */
static bool is_member(const struct member *member)
{
    const char *why;
    struct address address;
    char name[ADDRESS_TEXT_BYTES_MAX];
    if (address_parse(span_of_string(member->name), &address, &why) != ERR_OK ||
        member->weight < 1 || member->weight > VIEW_WEIGHT_MAX)
        return false;
    address_format(&address, name);
    return strcmp(member->name, name) == 0;
}

/* The members on the ring, each in its place. */
static enum err view_take(const struct member_list *list, struct view *view)
{
    view_copy(&list->ring, view);
    if (view->member_count == 0)
        return ERR_NOT_FOUND;
    for (uint32_t i = 0; i < view->member_count; i++)
        if (!is_member(&view->members[i]) ||
            (i > 0 && member_compare(&view->members[i - 1], &view->members[i]) >= 0))
            return ERR_SYNTAX;
    return ERR_OK;
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
